"""Training on several processes that work together through MPI.

MPI, the message passing interface, is a standard for programs that run as several processes, on one machine or on
many. `mpiexec -n 4 fcn train ...` starts four processes. Each has a number, its rank, from 0 to 3. A communicator is
the object through which the processes of a job send each other arrays.

launcher  reads from the environment whether mpiexec started this process
group     the processes of a job: sums and other values that they share, and a common end when one fails
parallel  a Trainer that is one of several, and evaluation on several processes
"""

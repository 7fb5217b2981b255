"""Around the networks: benchmarks, the comparison, the doctor, the paper's tables, training over MPI."""

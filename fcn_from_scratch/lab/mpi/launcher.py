"""Reads from the environment what a launcher (mpiexec, srun) tells each process that it starts."""

import os

# set by Open MPI; by MPICH, Intel MPI and others that use PMI; by Slurm's srun
_SIZES = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS")
_RANKS = ("OMPI_COMM_WORLD_RANK", "PMI_RANK", "SLURM_PROCID")


def size():
    """The number of processes that were started together; 1 without a launcher."""
    return _number(_SIZES, 1)


def rank():
    """The number of this process among them, from 0."""
    return _number(_RANKS, 0)


def _number(names, default):
    found = (os.environ.get(name, "") for name in names)
    return next((int(text) for text in found if text.isdecimal()), default)

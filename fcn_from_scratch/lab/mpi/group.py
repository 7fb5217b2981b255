"""The processes of one job, connected by MPI: their numbers, the values they share, and their common end.

`mpiexec -n 4 fcn train ...` starts four processes. At first they only have environment variables that tell them so.
`join` connects them through mpi4py and returns a Group. Without a launcher `join` does nothing, and mpi4py is not
imported.
"""

import contextlib
import os
import platform
import sys
import time
import traceback

import numpy as np

from fcn_from_scratch.backend import get_array_module, to_numpy
from fcn_from_scratch.checks import InputError
from fcn_from_scratch.engine import threads
from fcn_from_scratch.lab.mpi import launcher

BUCKET = 1 << 20  # numbers in one message: a few megabytes, however large the network is
TO_BE_READ = 0.3  # seconds that the launcher gets to pass on what a rank printed, before all its processes are killed
PATIENCE = 5.0  # seconds that a rank with an error waits for the other ranks to fail too


class Group:
    """The processes of one job. MPI calls them ranks.

    rank      the number of this process, from 0
    size      the number of all processes
    local     the number of this process among those on the same machine; it chooses the GPU
    comm      an mpi4py communicator: its methods exchange values between all ranks. A Group uses allgather, Allreduce
              and Abort
    failures  a second communicator, which is used for Ibarrier only
    cuda      whether the MPI library takes arrays on the GPU. Otherwise they are copied to the host to be summed
    """

    def __init__(self, comm, failures=None, cuda=False):
        self.comm, self.failures, self.cuda = comm, failures, cuda
        self.rank, self.size, self.local = comm.Get_rank(), comm.Get_size(), 0

    @property
    def first(self):
        """Whether this is rank 0, which prints and writes files."""
        return self.rank == 0

    def part(self, length, turn=0):
        """This rank's slice of `length` items. The slices of all ranks are about equal and cover all items.

        turn   with 1, 2, ... the slices move on to the next rank, so that no rank always gets the largest
        """
        number = (self.rank + turn) % self.size
        return slice(length * number // self.size, length * (number + 1) // self.size)

    def gather(self, value):
        """A list of all ranks' values in the order of ranks. Every rank gets it. For small values."""
        return self.comm.allgather(value)

    def agree(self, value, what):
        """Compare a value between the ranks. Raises: InputError that names `what` if they differ."""
        if len(set(self.gather(value))) > 1:
            raise InputError(
                f"the {self.size} processes differ in {what}: they must read the same files, on machines of one kind"
            )

    def add_up(self, arrays):
        """Replace each array, in place, by its sum over all ranks. All ranks pass lists of equal shapes.

        A message holds about BUCKET numbers: several small arrays, or a part of a large one. A CUDA-aware MPI library
        gets CuPy's arrays as they are. Other libraries get a copy on the host.
        """
        for pieces in _buckets(arrays):
            flat = get_array_module(*pieces).concatenate([piece.ravel() for piece in pieces])
            total, start = self._sum(flat), 0
            for piece in pieces:
                piece[...] = total[start : start + piece.size].reshape(piece.shape)
                start += piece.size

    def _sum(self, flat):
        xp = get_array_module(flat)
        sent = flat if self.cuda else to_numpy(flat)
        if xp is not np and self.cuda:  # MPI does not wait for CUDA's streams: the numbers must be there
            xp.cuda.get_current_stream().synchronize()
        total = get_array_module(sent).empty_like(sent)
        self.comm.Allreduce(sent, total)
        return xp.asarray(total)

    def share_cores(self):
        """Divide each machine's cores among its ranks, unless the launcher or FCN_THREADS did so. Sets `local`."""
        cores = sorted(threads.cores())
        told = self.gather((platform.node(), cores))
        self.local = [node for node, _ in told[: self.rank]].count(platform.node())
        if "FCN_THREADS" not in os.environ:
            threads.limit(max(len(cores) // told.count((platform.node(), cores)), 1))

    def all_fail(self):
        """Whether all ranks call this method within PATIENCE seconds: then all of them have failed."""
        request, start = self.failures.Ibarrier(), time.monotonic()
        while not request.Test():
            if time.monotonic() - start > PATIENCE:
                return False
            time.sleep(0.01)
        return True

    def abort(self, error):
        """Print this rank's error and end all ranks, since the others may wait for this one."""
        # What is no Exception is a signal: Ctrl-C, or the end of the launcher.
        known = isinstance(error, (InputError, OSError, MemoryError)) or not isinstance(error, Exception)
        text = (str(error) or "interrupted") if known else traceback.format_exc()
        print(f"fcn: rank {self.rank} of {self.size} failed: {text}", file=sys.__stderr__, flush=True)
        time.sleep(TO_BE_READ)
        status = 2 if isinstance(error, InputError) else 1
        self.comm.Abort(128 + error.number if hasattr(error, "number") else status)


@contextlib.contextmanager
def join():
    """Connect the processes that a launcher (mpiexec, srun) started together.

        with join() as group: ...

    group is a Group, or None if this process was started alone.
    From here on only the first rank prints. If all ranks fail (because of a wrong option, say), the error is raised as
    usual, and the first rank reports it. If only some ranks fail, these report their errors and end the whole job.
    Raises: InputError without mpi4py, or if mpi4py uses another MPI library than the launcher.
    """
    size = launcher.size()
    if size == 1:
        yield None
        return
    if launcher.rank() > 0:
        sys.stdout = sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 (open until the process ends)
    group = _connect(size)
    try:
        yield group
    except BaseException as error:
        if not group.all_fail():
            group.abort(error)
        raise


def _connect(size):
    try:
        from mpi4py import MPI  # this import connects the process to its job
    except (ImportError, RuntimeError) as error:  # RuntimeError: mpi4py finds no MPI library
        raise InputError(
            f"{size} processes were started to train together, which needs mpi4py: pip install "
            f"'fcn_from_scratch[mpi]' ({error})"
        ) from None
    world = MPI.COMM_WORLD
    if world.Get_size() != size:
        raise InputError(
            f"{size} processes were started, but mpi4py's library ({MPI.Get_library_version().split(',')[0].strip()}) "
            f"sees {world.Get_size()}: start them with the mpiexec of that library (under Slurm: srun --mpi=pmix)"
        )
    kinds = world.Get_info().get("mpi_memory_alloc_kinds", "")  # MPI 4.1 lists here whether it takes memory of the GPU
    group = Group(world, world.Dup(), cuda="cuda" in kinds)
    group.share_cores()
    return group


def _buckets(arrays):
    """Cut and group the arrays: yields lists of views of one dtype, each with about BUCKET numbers in all."""
    bucket, count = [], 0
    for array in arrays:
        for rows in threads.split(len(array), array.size // BUCKET):
            piece = array[rows]
            if bucket and (count + piece.size > BUCKET or piece.dtype != bucket[0].dtype):
                yield bucket
                bucket, count = [], 0
            bucket.append(piece)
            count += piece.size
    if bucket:
        yield bucket

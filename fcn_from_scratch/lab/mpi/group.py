"""The processes of one job, through MPI: who they are, what they tell each other, and how they end together.

`mpiexec -n 4 fcn train ...` starts four processes that know of each other by their environment only. `join` turns them
into a Group. Without a launcher nothing happens, and mpi4py is not imported.
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

BUCKET = 1 << 20  # numbers summed at a time: a message of a few megabytes, however large the network is
PATIENCE = 5.0  # seconds that a rank which fails waits for the others to fail too


class Group:
    """The processes ("ranks") of one job.

    rank, size   this one's number, from 0, and how many there are
    local        its number among those on the same machine: which GPU it takes
    comm         an mpi4py communicator, or what has its allgather, Allreduce and Abort
    failures     a second one, for nothing but Ibarrier
    cuda         whether the library takes arrays on the GPU. Else they are summed through the host
    """

    def __init__(self, comm, failures=None, cuda=False):
        self.comm, self.failures, self.cuda = comm, failures, cuda
        self.rank, self.size, self.local = comm.Get_rank(), comm.Get_size(), 0

    @property
    def first(self):
        """Whether this is the rank that prints and writes files."""
        return self.rank == 0

    def part(self, length, turn=0):
        """The slice of `length` things in a row that is this rank's: all ranks' are about equal and make up the whole.

        With turn 1, 2, ... the parts go round, so that nobody always gets the larger one, or the only one.
        """
        number = (self.rank + turn) % self.size
        return slice(length * number // self.size, length * (number + 1) // self.size)

    def gather(self, value):
        """Every rank's small value, in the order of ranks, on every rank."""
        return self.comm.allgather(value)

    def agree(self, value, what):
        """Raises: InputError when the ranks hold different values of `what`."""
        if len(set(self.gather(value))) > 1:
            raise InputError(
                f"the {self.size} ranks differ in {what}: they must read the same files, on machines of one kind"
            )

    def add_up(self, arrays):
        """Put into each array, in place, the sum of all ranks' arrays in the same place of their lists.

        Small arrays travel together and large ones in pieces, a message of about BUCKET numbers each. CuPy's arrays
        are handed to a CUDA-aware library as they are, to another as a copy on the host.
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
        if xp is not np and self.cuda:  # MPI knows nothing of CUDA's streams: what it sends must be there
            xp.cuda.get_current_stream().synchronize()
        total = get_array_module(sent).empty_like(sent)
        self.comm.Allreduce(sent, total)
        return xp.asarray(total)

    def share_cores(self):
        """Divide each machine's cores among its ranks, unless the launcher or FCN_THREADS has done so; sets `local`."""
        cores = sorted(threads.cores())
        told = self.gather((platform.node(), cores))
        self.local = [node for node, _ in told[: self.rank]].count(platform.node())
        if "FCN_THREADS" not in os.environ:
            threads.limit(max(len(cores) // told.count((platform.node(), cores)), 1))

    def all_fail(self):
        """Whether every rank calls this within PATIENCE seconds."""
        request, start = self.failures.Ibarrier(), time.monotonic()
        while not request.Test():
            if time.monotonic() - start > PATIENCE:
                return False
            time.sleep(0.01)
        return True

    def abort(self, error):
        """Say what happened to this rank, and end them all: the others may be waiting for it."""
        known = isinstance(error, (InputError, OSError, MemoryError))
        text = str(error) if known else traceback.format_exc()
        print(f"fcn: rank {self.rank} of {self.size} failed: {text}", file=sys.__stderr__, flush=True)
        self.comm.Abort(2 if isinstance(error, InputError) else 1)


@contextlib.contextmanager
def join():
    """The Group that a launcher (mpiexec, srun) started this process in; None if it was started alone.

        with join() as group: ...

    Ranks other than the first print nothing from here on. An error that all ranks run into (a wrong flag, say) passes
    through, for the first to report; one that only some run into is reported by them and ends the whole job.
    Raises: InputError without mpi4py, or with one that belongs to another MPI than the launcher.
    """
    size = launcher.size()
    if size == 1:
        yield None
        return
    if launcher.rank() > 0:
        sys.stdout = sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 (for as long as the process lives)
    group = _connect(size)
    try:
        yield group
    except BaseException as error:
        if not group.all_fail():
            group.abort(error)
        raise


def _connect(size):
    try:
        from mpi4py import MPI  # joins the job
    except (ImportError, RuntimeError) as error:  # RuntimeError: there is no MPI library
        raise InputError(
            f"{size} processes were started to train together, which takes mpi4py: pip install "
            f"'fcn_from_scratch[mpi]' ({error})"
        ) from None
    world = MPI.COMM_WORLD
    if world.Get_size() != size:
        raise InputError(
            f"{size} processes were started, but mpi4py's library ({MPI.Get_library_version().split(',')[0].strip()}) "
            f"sees {world.Get_size()}: start them with the mpiexec of that library (under Slurm: srun --mpi=pmix)"
        )
    kinds = world.Get_info().get("mpi_memory_alloc_kinds", "")  # how MPI 4.1 says that it takes memory of the GPU
    group = Group(world, world.Dup(), cuda="cuda" in kinds)
    group.share_cores()
    return group


def _buckets(arrays):
    """Lists of views, of one dtype and about BUCKET numbers together, that make up the arrays."""
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

"""A rival in a process of its own: its memory can be told from the others', and its threads from theirs.

The parent asks, one after another; a rival that is not asked sleeps. Its libraries read how many threads they may have
when they are loaded, so that has to stand in the environment before the process begins.
"""

import contextlib
import ctypes
import multiprocessing
import os
import signal
import time
import traceback

from fcn_from_scratch.checks import InputError
from fcn_from_scratch.lab import memory
from fcn_from_scratch.lab.bench.clocks import wall

# Threads that wake up after a rest may share a core for some 60 ms, until the system gives each its own; and others
# have had the caches meanwhile. So a rival that makes short calls makes them for so many seconds before it is timed.
SETTLE = 0.2

# what sets the number of threads of ours, of NumPy's BLAS and of PyTorch
THREADS = ("FCN_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "OMP_NUM_THREADS")


class Process:
    """make(*arguments) in a new process, until `close` or the end of a with block.

    make       a class or function of a module: the object's methods are what can be asked for
    threads    how many it may use
    mallopt    let malloc keep what is freed, see keep_memory
    variables  more of its environment, a dict; None removes a variable
    title      how messages call it
    """

    def __init__(self, make, *arguments, threads, mallopt=False, variables=None, title="a rival"):
        self.title = title
        context = multiprocessing.get_context("spawn")  # a forked process would share its parent's pages
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, make, arguments, mallopt), daemon=True)
        with _environment({name: str(threads) for name in THREADS} | (variables or {})):
            self._process.start()
        theirs.close()
        self._receive()

    def ask(self, method, *arguments):
        """What the object's method returns; an exception in it is raised here."""
        return self._request("ask", method, *arguments)

    def seconds(self, method, calls=1, ahead=False):
        """How long a call of the method takes: the mean of so many, after some that are not counted if they are many.

        By the object's `clock`, if it has one, or by the wall; ahead: see bench.clocks.
        """
        return self._request("seconds", method, calls, ahead)

    def peak(self):
        """Bytes of memory it held at its largest: what the object's `peak` says, if it has one, or else the process;
        None where the system does not tell."""
        return self._request("peak")

    def close(self):
        self._process.terminate()
        self._process.join()
        self._connection.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _request(self, *request):
        self._connection.send(request)
        return self._receive()

    def _receive(self):
        try:
            worked, result = self._connection.recv()
        except EOFError:
            raise MemoryError(f"{self.title}'s process ended, as if the system had stopped it") from None
        if worked:
            return result
        self.close()
        raise MemoryError(f"{self.title}: {result}") if isinstance(result, MemoryError) else result


def _serve(connection, make, arguments, mallopt):
    """In the child: make the object, then answer requests with (True, result) or (False, exception)."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's, which ends this process
    try:
        if mallopt:
            keep_memory()
        rival = make(*arguments)
        connection.send((True, None))
        while True:
            request, *details = connection.recv()
            connection.send((True, ANSWERS[request](rival, *details)))
    except EOFError:  # the parent is gone
        pass
    except Exception as error:
        if _no_memory(error):
            error = MemoryError(str(error).strip().splitlines()[0] if str(error) else "out of memory")
        elif not isinstance(error, InputError):
            traceback.print_exc()
        connection.send((False, error))


def _no_memory(error):
    """Each library has an exception of its own for a full GPU, and not all of them are MemoryErrors."""
    return isinstance(error, MemoryError) or "out of memory" in str(error).lower()


def _ask(rival, method, *arguments):
    return getattr(rival, method)(*arguments)


def _seconds(rival, method, calls, ahead=False):
    call, clock = getattr(rival, method), getattr(rival, "clock", wall)
    if calls > 1:  # in a loop of such short calls nobody rests
        start = time.perf_counter()
        call()
        while clock is wall and time.perf_counter() - start < SETTLE:
            call()
    return clock(call, calls, ahead) / calls


def _peak(rival):
    return rival.peak() if hasattr(rival, "peak") else memory.peak()


ANSWERS = {"ask": _ask, "seconds": _seconds, "peak": _peak}


@contextlib.contextmanager
def _environment(variables):
    before = {name: os.environ.get(name) for name in variables}
    _set(variables)
    try:
        yield
    finally:
        _set(before)


def _set(variables):
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


# glibc's names for what mallopt sets, from malloc.h
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX, M_ARENA_MAX = -1, -2, -4, -8
LARGEST_INT = 2 ** (8 * ctypes.sizeof(ctypes.c_int) - 1) - 1


def keep_memory():
    """Let glibc's malloc keep what is freed, for this process and until its end.

    Large arrays then lie where earlier ones lay, on pages that need not be handed out and wiped again, and the process
    never gets smaller. A Workspace does this for a network's arrays alone.
    Raises: InputError where malloc is not glibc's.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        raise InputError("--mallopt is for Linux with glibc, whose malloc can be told to keep memory") from None
    for name, value in ((M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, LARGEST_INT), (M_TOP_PAD, 64 << 20), (M_ARENA_MAX, 1)):
        mallopt(name, value)

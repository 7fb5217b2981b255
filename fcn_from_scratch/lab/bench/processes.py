"""A process for each rival, so that each has its own memory and threads.

The parent asks one rival at a time; the others sleep. Libraries read their number of threads when they are loaded, so
it must be in the environment before the process starts.
"""

import contextlib
import ctypes
import math
import multiprocessing
import os
import signal
import time
import traceback

from fcn_from_scratch.browser import needs_processes
from fcn_from_scratch.checks import InputError
from fcn_from_scratch.lab import memory
from fcn_from_scratch.lab.bench.budget import LateError
from fcn_from_scratch.lab.bench.clocks import wall

# When threads wake up after a rest, they may share a core for about 60 ms until the system moves them. The caches also
# hold other programs' data then. So a rival with short calls makes them for this many seconds before it is timed.
SETTLE = 0.2
PATIENCE = 3.0  # seconds that a process has for its end

# the variables that set the number of threads of this project, of NumPy's BLAS and of PyTorch; the other peers are told
THREADS = ("FCN_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "OMP_NUM_THREADS")


def allowed_threads():
    """How many threads a library may use in this process, which Process has started."""
    return int(os.environ.get("OMP_NUM_THREADS", os.cpu_count() or 1))


class Process:
    """The object make(*arguments) in a new process, which ends with `close` or with the with block.

    make       a class or function at the top level of a module; the object's methods can be called by name
    threads    how many threads the process may use
    mallopt    let malloc keep freed memory, see keep_memory
    variables  more environment variables, a dict; None removes a variable
    title      its name in messages
    wait       False: go on while the process makes its object; `ready` then waits for it
    until      after this time no answer is waited for: a LateError
    """

    def __init__(
        self, make, *arguments, threads, mallopt=False, variables=None, title="a rival", wait=True, until=math.inf
    ):
        needs_processes("fcn bench", "run it on your computer")
        self.title, self.until = title, until
        context = multiprocessing.get_context("spawn")  # a forked process would share its parent's pages
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, make, arguments, mallopt), daemon=True)
        with _environment({name: str(threads) for name in THREADS} | (variables or {})):
            self._process.start()
        theirs.close()
        if wait:
            self.ready()

    def ready(self, until=math.inf):
        """Wait until the object is made. Raises: LateError after the time `until`."""
        self.answer(until)

    def begin(self, *request):
        """Send a request, as "ask" with a method's name, or "peak". `answer` gets the result: only then send more."""
        self._connection.send(request)

    def answer(self, until=math.inf):
        """The result of the request that was sent. Raises: LateError after the time `until`."""
        return self._receive(min(until, self.until))

    def ask(self, method, *arguments):
        """Call a method of the object and return its result; an exception in it is raised here."""
        return self._request("ask", method, *arguments)

    def seconds(self, method, calls=1, ahead=False):
        """The mean seconds of `calls` calls of the method. Several calls get a warm-up first, which is not counted.

        The time is measured by the object's `clock` if it has one, otherwise by the system's; `ahead`: see clocks.
        """
        return self._request("seconds", method, calls, ahead)

    def peak(self):
        """Peak memory in bytes: the object's `peak()` if it has one, otherwise that of the process. None if the system
        does not report it."""
        return self._request("peak")

    def waits(self):
        """Whether a time that was measured `ahead` contains the host's, see clocks."""
        return self._request("waits")

    def close(self):
        self._process.terminate()
        self._process.join(PATIENCE)
        if self._process.is_alive():  # a driver may hold a process up
            self._process.kill()
            self._process.join()
        self._connection.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _request(self, *request):
        self.begin(*request)
        return self.answer()

    def _receive(self, until):
        try:
            if until != math.inf and not self._connection.poll(max(0.0, until - time.monotonic())):
                raise LateError(f"{self.title} has not answered in time")
            worked, result = self._connection.recv()
        except EOFError:
            raise MemoryError(f"the process of {self.title} ended; the system may have stopped it") from None
        if worked:
            return result
        self.close()
        raise MemoryError(f"{self.title}: {result}") if isinstance(result, MemoryError) else result


def _serve(connection, make, arguments, mallopt):
    """The child process: make the object, then answer requests with (True, result) or (False, exception)."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the parent, which ends this process
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
    """Whether an exception means that memory ran out. Not every library raises a MemoryError for a full GPU."""
    return isinstance(error, MemoryError) or "out of memory" in str(error).lower()


def _ask(rival, method, *arguments):
    return getattr(rival, method)(*arguments)


def _seconds(rival, method, calls, ahead=False):
    call, clock = getattr(rival, method), getattr(rival, "clock", wall)
    if calls > 1:  # short calls: let the threads and caches settle first
        start = time.perf_counter()
        call()
        while clock is wall and time.perf_counter() - start < SETTLE:
            call()
    return clock(call, calls, ahead) / calls


def _peak(rival):
    return rival.peak() if hasattr(rival, "peak") else memory.peak()


def _waits(rival):
    clock = getattr(rival, "clock", wall)
    return hasattr(clock, "waits") and clock.waits()


def _warm(rival, method):
    """Call the method once; what it returns stays here. On a GPU a first call compiles, and chooses algorithms."""
    getattr(rival, method)()


ANSWERS = {"ask": _ask, "warm": _warm, "seconds": _seconds, "peak": _peak, "waits": _waits}


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


# parameters of glibc's mallopt, from malloc.h
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX, M_ARENA_MAX = -1, -2, -4, -8
LARGEST_INT = 2 ** (8 * ctypes.sizeof(ctypes.c_int) - 1) - 1


def keep_memory():
    """Let glibc's malloc keep freed memory until this process ends.

    New large arrays then reuse the pages of earlier ones. The system need not hand out and clear pages again, and the
    process never shrinks. A Workspace does the same for the arrays of a network only.
    Raises: InputError where malloc is not glibc's.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        raise InputError("--mallopt is for Linux with glibc, whose malloc can be told to keep memory") from None
    for name, value in ((M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, LARGEST_INT), (M_TOP_PAD, 64 << 20), (M_ARENA_MAX, 1)):
        mallopt(name, value)

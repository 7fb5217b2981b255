"""More than one core: blocks of work on a few Python threads, and BLAS kept to one thread meanwhile.

NumPy lets go of Python's lock inside a matrix product or a large copy, so threads that each work on a block of their
own run side by side. BLAS can split one product over cores by itself, but does so for the product alone, waits for the
slowest core each time, and keeps the others spinning in between. A training step of mini_fcn8s, layer by layer, in
milliseconds, medians of 15 alternated runs on two cores:

                          4 x 240x320 pixels            8 x 64x64 pixels
                          quiet   one core taken        quiet   one core taken
one thread                 229         269                27          51
two threads of ours        190         236                27          34
two threads of BLAS's      206         520                26         121

(Today the trainer gives each thread pictures of its own: engine.micro_batches.)
FCN_THREADS=N in the environment sets the number of threads; the default is the number of cores this process may use.
"""

import contextlib
import contextvars
import ctypes
import functools
import itertools
import os
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import numpy as np

AT_ONCE = 1 << 17  # numbers that one thread works on at a time: fewer, and the threads wait for each other


def workers():
    """How many threads work at once: 1 inside an item of `run`, whose threads have work already; else `most`."""
    return 1 if _here.busy else most()


@functools.cache
def most():
    """FCN_THREADS, else the number of cores; 1 if BLAS cannot be kept to one thread."""
    if _blas() is None:
        return 1
    text = os.environ.get("FCN_THREADS", "")
    if text.isdecimal() and int(text) > 0:
        return int(text)
    return len(cores())


def cores():
    """The numbers of the cores that this process may use."""
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))


def limit(number):
    """Use so many threads at most, in BLAS too: other processes work on the machine's other cores."""
    os.environ["FCN_THREADS"] = str(number)
    most.cache_clear()
    _pool.cache_clear()
    if _blas() is not None:
        _blas()[1](number)


def run(function, items, local=None):
    """Call function(item) for every item, several at a time; returns when all are done.

    A thread that is free takes the next item: where one core is busy with something else, the other does more of them.
    The items must be independent: no two may write to the same place. The first exception is raised again.
    What an item itself shares out by `run` is done by its own thread, one after another.
    local    called once in each thread; function(item, local()) may work in what it returns without asking others
    """
    items = list(items)
    number, waiting = 1 if len(items) < 2 else min(len(items), workers()), iter(items)

    def work():
        own = () if local is None else (local(),)
        for item in waiting:
            function(item, *own)

    if number <= 1:
        work()
        return
    # A context of its own for each: what NumPy warns of here (np.errstate) it warns of there.
    others = [_pool().submit(contextvars.copy_context().run, _busy, work) for _ in range(number - 1)]
    try:
        _busy(work)
    finally:
        begun = [other for other in others if not other.cancel()]  # what never began has nothing left to do
        wait(begun)
    for other in begun:
        other.result()


def split(total, count):
    """0..total as `count` slices of about equal length (or fewer, none of them empty)."""
    count = max(min(count, total), 1)
    edges = [total * part // count for part in range(count + 1)]
    return [slice(*pair) for pair in itertools.pairwise(edges)]


def pieces(length, size):
    """0..length as slices that each hold about AT_ONCE of an array's `size` numbers."""
    return split(length, size // AT_ONCE)


def one_blas_thread(function):
    """A decorator: BLAS runs on one thread inside the function, as it did before after it."""

    @functools.wraps(function)
    def wrapped(*args, **kwargs):
        if _here.holds:
            return function(*args, **kwargs)
        with _held():
            return function(*args, **kwargs)

    return wrapped


class _Here(threading.local):
    """What this thread does: an item of `run` (`busy`), something inside one_blas_thread (`holds`)."""

    busy = holds = False


_here = _Here()


def _busy(work):
    """work(), during which `workers` is 1 in this thread."""
    _here.busy = True
    try:
        work()
    finally:
        _here.busy = False


@functools.cache
def _pool():
    return ThreadPoolExecutor(workers() - 1, thread_name_prefix="fcn")


_lock, _depth, _before = threading.Lock(), 0, 1


@contextlib.contextmanager
def _held():
    """Keep BLAS at one thread; of the threads that ask for it the last one out restores what the first one found."""
    global _depth, _before
    blas = _blas()
    if blas is None:
        yield
        return
    get, put = blas
    with _lock:
        if _depth == 0:
            _before = get()
            put(1)
        _depth += 1
    _here.holds = True
    try:
        yield
    finally:
        _here.holds = False
        with _lock:
            _depth -= 1
            if _depth == 0:
                put(_before)


@functools.cache
def _blas():
    """(get, set) for the number of threads of the OpenBLAS that NumPy brings along; None where it has another."""
    root = Path(np.__file__).parent
    for library in [*root.parent.glob("numpy.libs/*openblas*"), *root.glob(".dylibs/*openblas*")]:
        try:
            handle = ctypes.CDLL(str(library))
        except OSError:
            continue
        for prefix, suffix in (("scipy_", "64_"), ("scipy_", ""), ("", "64_"), ("", "")):
            with contextlib.suppress(AttributeError):
                get = getattr(handle, f"{prefix}openblas_get_num_threads{suffix}")
                put = getattr(handle, f"{prefix}openblas_set_num_threads{suffix}")
                return get, put
    return None

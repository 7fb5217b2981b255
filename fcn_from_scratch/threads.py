"""More than one core: blocks of work on a few Python threads, and BLAS kept to one thread meanwhile.

NumPy lets go of Python's lock inside a matrix product or a large copy, so threads that each work on a block of their
own run side by side. BLAS can split one product over cores by itself, but does so for the product alone, waits for the
slowest core each time, and keeps the others spinning in between. A training step of mini_fcn8s, in milliseconds,
medians of 15 alternated runs on two cores:

                          4 x 240x320 pixels            8 x 64x64 pixels
                          quiet   one core taken        quiet   one core taken
one thread                 229         269                27          51
two threads of ours        190         236                27          34
two threads of BLAS's      206         520                26         121

FCN_THREADS=N in the environment sets the number of threads; the default is the number of cores this process may use.
"""

import contextlib
import ctypes
import functools
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np


@functools.cache
def workers():
    """How many threads work at once: FCN_THREADS, else the cores; 1 if BLAS cannot be kept to one thread."""
    if _blas() is None:
        return 1
    text = os.environ.get("FCN_THREADS", "")
    if text.isdecimal() and int(text) > 0:
        return int(text)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run(function, items):
    """Call function(item) for every item, several at a time; returns when all are done.

    The items must be independent: no two may write to the same place. The first exception is raised again.
    """
    items = list(items)
    if len(items) < 2 or workers() < 2:
        for item in items:
            function(item)
        return
    others = [_pool().submit(function, item) for item in items[1:]]
    function(items[0])
    for other in others:
        other.result()


def one_blas_thread(function):
    """A decorator: BLAS runs on one thread inside the function, as it did before after it."""

    @functools.wraps(function)
    def wrapped(*args, **kwargs):
        with _held():
            return function(*args, **kwargs)

    return wrapped


@functools.cache
def _pool():
    return ThreadPoolExecutor(workers() - 1, thread_name_prefix="fcn")


_lock, _depth, _before = threading.Lock(), 0, 1


@contextlib.contextmanager
def _held():
    """Keep BLAS at one thread; calls nest, and the last one out restores what the first one found."""
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
    try:
        yield
    finally:
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

"""Work on several cores: blocks of work on a few Python threads, while BLAS uses one thread only.

NumPy releases Python's lock inside a matrix product or a large copy. So threads that each work on their own block run
side by side. BLAS can also split one product over cores. But this speeds up only the product, it waits each time for
the slowest core, and the other cores spin in between. A training step of mini_fcn8s, layer by layer, in milliseconds,
medians of 15 alternated runs on two cores:

                          4 x 240x320 pixels            8 x 64x64 pixels
                          quiet   one core taken        quiet   one core taken
one thread                 229         269                27          51
two threads of ours        190         236                27          34
two threads of BLAS's      206         520                26         121

(Today the trainer gives each thread or process its own pictures: engine.micro_batches.)
FCN_THREADS=N in the environment sets the number of threads. The default is the number of cores this process may use.
"""

import contextlib
import ctypes
import functools
import itertools
import os
import threading
from pathlib import Path

import numpy as np

from fcn_from_scratch.browser import IN_BROWSER
from fcn_from_scratch.engine.team import Team

AT_ONCE = 1 << 17  # numbers of a large array in the hands of one thread; with fewer, threads wait for each other
LARGE = 8  # times AT_ONCE; an array of up to this size is cut in two, so that two threads wait for each other only once
SHARES = 2  # parts of one operation, see `shares`; with more, two cores lose time on small maps


def workers():
    """How many threads may work at once: 1 inside an item of `run`, since the others have work already; else `most`."""
    return 1 if _here.busy else most()


def shares():
    """Into how many parts to cut an operation at least: SHARES; 1 inside an item of `run`, where the others have work.

    It is the same for any number of threads. How a sum or a matrix product is cut decides how it is rounded. So a
    network gives the same bits on one core and on eight. Large operations have more parts: blocks that fit the cache.
    """
    return 1 if _here.busy else SHARES


@functools.cache
def most():
    """FCN_THREADS, else the number of cores; 1 if BLAS cannot be kept to one thread, and in a browser."""
    if IN_BROWSER or _blas() is None:
        return 1
    text = os.environ.get("FCN_THREADS", "")
    if text.isdecimal() and int(text) > 0:
        return int(text)
    return len(cores())


def cores():
    """The numbers of the cores that this process may use."""
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))


def limit(number):
    """Use at most this many threads, in BLAS too: other processes work on the machine's other cores."""
    os.environ["FCN_THREADS"] = str(number)
    most.cache_clear()
    _team.cache_clear()
    if _blas() is not None:
        _blas()[1](number)


def run(function, items, local=None):
    """Call function(item) for every item, several at a time. Returns when all are done.

    A thread that is free takes the next item. So if another program uses one core, the other cores do more items.
    The items must be independent: no two may write to the same place. The first exception of an item is raised here.
    If an item itself calls `run`, its own thread does that work, one after another.
    local    called once in each thread: function(item, local()) may use the result without locks
    """
    items = list(items)
    waiting = iter(items)

    def work():
        own = () if local is None else (local(),)
        for item in waiting:
            function(item, *own)

    if len(items) < 2:
        work()
        return
    number = min(len(items), workers())
    if number == 1:
        _busy(work)  # so its items are cut into parts as they are with several threads
        return
    # In the other threads too, the caller's np.errstate and plain() hold: they are part of the context.
    others = [_team().submit(_busy, work) for _ in range(number - 1)]
    try:
        _busy(work)
    finally:
        begun = [other for other in others if not _team().cancel(other)]
        for other in begun:
            other.wait()
    for other in begun:
        other.result()


@contextlib.contextmanager
def meanwhile(function):
    """Call function() in another thread while the block runs. Yields a function that waits for its result.

    If no other thread has begun with it when the result is wanted, this thread calls it: there may be no other thread,
    or it has other work, or this process was forked from one that had it. Either way it
    counts as an item of `run`: how its work is cut does not depend on the number of threads.
    """
    found = []

    def work():
        if not found:
            found.append(function())

    def result():
        if begun is None or _team().cancel(begun):
            _busy(work)
        else:
            begun.result()
        return found[0]

    begun = None if workers() == 1 else _team().submit(_busy, work)
    try:
        yield result
    finally:
        if begun is not None and not _team().cancel(begun):
            begun.wait()


def in_order(function, items, take):
    """Like `run`; then take(number, result) gets what the function returned for each item, in the order of the items.

    Only one thread is in `take` at a time. So a sum that it adds up does not depend on which thread is faster.
    """
    items, results, lock, turn = list(items), {}, threading.Lock(), 0

    def work(number):
        nonlocal turn
        result = function(items[number])
        with lock:
            results[number] = result
            while turn in results:
                take(turn, results.pop(turn))
                turn += 1

    run(work, range(len(items)))


@functools.lru_cache(maxsize=1024)  # every operation of a step asks for one of a few cuts
def split(total, count):
    """Cut 0..total into `count` slices of about equal length (or fewer, so that none is empty)."""
    count = max(min(count, total), 1)
    edges = [total * part // count for part in range(count + 1)]
    return tuple(slice(*pair) for pair in itertools.pairwise(edges))


def tapered(total, count):
    """Like `split`. But if there are more than 2 * SHARES slices, each of the last SHARES is cut in two. So at the end,
    a thread waits at most half as long.
    """
    cut = split(total, count)
    if len(cut) <= 2 * SHARES:
        return cut
    edge = cut[-SHARES].start
    return *cut[:-SHARES], *(slice(edge + each.start, edge + each.stop) for each in split(total - edge, 2 * SHARES))


def pieces(length, size):
    """Cut the rows 0..length of an array of `size` numbers: up to LARGE * AT_ONCE numbers into two slices at most, more
    into slices of about AT_ONCE numbers.

    After each call on a slice a thread waits for Python's lock. So, on two cores, two slices of half a million numbers
    are faster than eight small ones, although they do not fit the cache.
    """
    count = size // AT_ONCE
    return split(length, min(count, SHARES) if count <= LARGE else count)


def as_item(work):
    """Call work() as an item of `run` is called: it computes the same bits, and uses this thread alone."""
    return _busy(work)


def one_blas_thread(function):
    """A decorator: BLAS uses one thread inside the function. Afterwards it uses as many as before."""

    @functools.wraps(function)
    def wrapped(*args, **kwargs):
        if _here.holds:
            return function(*args, **kwargs)
        _hold()
        try:
            return function(*args, **kwargs)
        finally:
            _let_go()

    return wrapped


class _Here(threading.local):
    """What this thread is doing: `busy`, an item of `run`; `holds`, a function of one_blas_thread."""

    busy = holds = False


_here = _Here()


def _busy(work):
    """Return work(). Meanwhile `workers` and `shares` are 1 in this thread."""
    before, _here.busy = _here.busy, True
    try:
        return work()
    finally:
        _here.busy = before


@functools.cache
def _team():
    return Team(workers() - 1)


_lock, _depth, _before = threading.Lock(), 0, 1


def _hold():
    """Keep BLAS at one thread. The first thread to enter saves its setting, and the last one to leave restores it."""
    global _depth, _before
    if _blas() is not None:
        get, put = _blas()
        with _lock:
            if _depth == 0:
                _before = get()
                put(1)
            _depth += 1
    _here.holds = True


def _let_go():
    global _depth
    _here.holds = False
    if _blas() is not None:
        with _lock:
            _depth -= 1
            if _depth == 0:
                _blas()[1](_before)


def steers_blas():
    """Whether BLAS can be kept to one thread: whether NumPy uses its own OpenBLAS."""
    return _openblas() is not None


def blas_kernel():
    """The BLAS of NumPy and its routines for this processor, such as "OpenBLAS SkylakeX": they decide on rounding."""
    found = _openblas()
    if found is None:
        return np.show_config(mode="dicts")["Build Dependencies"]["blas"].get("name", "unknown")
    name = found("get_corename")
    name.restype = ctypes.c_char_p
    return f"OpenBLAS {name().decode()}"


@functools.cache
def _blas():
    """(get, set) for the number of threads of NumPy's own OpenBLAS. None if NumPy uses another BLAS."""
    found = _openblas()
    return None if found is None else (found("get_num_threads"), found("set_num_threads"))


@functools.cache
def _openblas():
    """A function: name -> OpenBLAS's function of this name, in NumPy's own copy. None if NumPy uses another BLAS."""
    root = Path(np.__file__).parent
    for library in [*root.parent.glob("numpy.libs/*openblas*"), *root.glob(".dylibs/*openblas*")]:
        try:
            handle = ctypes.CDLL(str(library))
        except OSError:
            continue
        for prefix, suffix in (("scipy_", "64_"), ("scipy_", ""), ("", "64_"), ("", "")):
            if hasattr(handle, f"{prefix}openblas_get_num_threads{suffix}"):
                return lambda name, p=prefix, s=suffix, of=handle: getattr(of, f"{p}openblas_{name}{s}")
    return None

"""A bell that one thread rings for another, which waits without sleeping.

A thread that sleeps begins late: the system must wake it, and perhaps a core for it. So a thread that waits here first
*spins*: it reads a word of memory again and again until another thread changes it. pthread_spin_lock of the C library
does that. It is called by ctypes, which gives Python's lock back meanwhile. After PATIENCE seconds, or at most twice
that, the thread sleeps until the bell rings. One more thread, the watch, sees to that. If the system takes the core
away from a thread that spins, another program needs it. So for the next tenth of a second this thread sleeps at once.

POSIX wants a spin lock to be released by the thread that holds it. Here another one does. In the C libraries of Linux
(glibc and musl) the lock is one number, and to release it is to store this number. On other systems a thread sleeps at
once. So it does if there are more threads than cores, or with FCN_SPIN=0 in the environment.
"""

import contextlib
import ctypes
import functools
import os
import sys
import threading
import time

try:
    import resource
except ImportError:  # on Windows and in a browser, where nothing spins
    resource = None

PATIENCE = 0.005  # seconds
TRUCE = 0.1  # seconds without spinning after another program needed the core
CACHE_LINE = 64  # bytes: the word has a line of its own, so that nobody else's writes slow the spinning down


class Bell:
    """One thread waits for it, any other rings it. A bell that was rung before is not waited for."""

    def __init__(self):
        self.waits = 0  # how many times the thread has spun
        self._truce = 0.0  # the time from which on the thread may spin
        self._rung, self._asleep, self._sleep = False, False, threading.Lock()
        self._sleep.acquire()
        if _lock_exists():
            self._memory = ctypes.create_string_buffer(2 * CACHE_LINE)
            address = ctypes.addressof(self._memory)
            self._word = ctypes.c_void_p(address + -address % CACHE_LINE)
            _library().pthread_spin_init(self._word, 0)
            _library().pthread_spin_lock(self._word)

    def ring(self):
        """Let the thread that waits go on, or the next one that will wait."""
        self._rung = True
        if _lock_exists():
            self.end_spinning()
        if self._asleep:
            with contextlib.suppress(RuntimeError):  # it woke by itself
                self._sleep.release()

    def wait(self, spin=False):
        """Wait until the bell rings. With `spin`, which needs `may_spin`, the thread spins at first."""
        if spin and time.monotonic() >= self._truce:
            self._spin()
        self._asleep = True  # first this, then a look at _rung: `ring` does it the other way round
        while not self._rung:
            self._sleep.acquire()
        self._asleep = self._rung = False

    def _spin(self):
        before = _interruptions()
        self.waits += 1
        _watch.begin(self)
        try:
            _library().pthread_spin_lock(self._word)
        finally:
            _watch.end(self)  # also if Ctrl-C came meanwhile
        if _interruptions() > before:
            self._truce = time.monotonic() + TRUCE

    def end_spinning(self):
        """Let the thread that spins go to sleep, if the bell was not rung."""
        _with_pythons_lock().pthread_spin_unlock(self._word)


class _Watch:
    """A thread that ends the spinning of others after PATIENCE seconds. It sleeps while nobody spins."""

    def __init__(self):
        self._spinning, self._wanted, self._thread, self._starting = set(), threading.Event(), None, threading.Lock()

    def begin(self, bell):
        """A thread is about to spin until this bell rings."""
        self._spinning.add(bell)
        if not self._wanted.is_set():
            self._wanted.set()
            self._start()

    def end(self, bell):
        """It spins no longer."""
        self._spinning.discard(bell)

    def _start(self):
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._look, name="fcn-watch", daemon=True)
                self._thread.start()

    def _look(self):
        before = {}
        while True:
            self._wanted.wait()
            time.sleep(PATIENCE)
            now = {bell: bell.waits for bell in self._spinning.copy()}
            for bell, waits in now.items():
                if before.get(bell) == waits:  # it has been spinning since the last look
                    bell.end_spinning()
            before = now
            if not now:
                self._wanted.clear()
                if self._spinning:  # a thread began in between
                    self._wanted.set()


def may_spin(number):
    """Whether so many threads may spin: there is a core for each of them, and the C library has spin locks."""
    return _lock_exists() and len(os.sched_getaffinity(0)) >= number and os.environ.get("FCN_SPIN") != "0"


@functools.cache
def _lock_exists():
    return sys.platform == "linux" and hasattr(_library(), "pthread_spin_lock")


def _interruptions():
    """How many times the system has taken the core away from this thread, which still had work."""
    return resource.getrusage(resource.RUSAGE_THREAD).ru_nivcsw


@functools.cache
def _library():
    """The C library. Python's lock is given back during a call."""
    return ctypes.CDLL(None)


@functools.cache
def _with_pythons_lock():
    """The C library again. Python's lock is kept: a call that takes no time should not have to wait for it."""
    return ctypes.PyDLL(None)


_watch = _Watch()

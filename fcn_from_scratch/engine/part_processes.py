"""Processes for the parts of a batch: they do not wait for each other's Python lock, as threads do.

A part goes to a process with all that it needs: the replica of the network, the pictures and the labels (channel). The
process keeps nothing from part to part. So it always computes with the network as it is now. The same code computes the
same numbers in the same order, so a run does not depend on who computed a part. A process gets its next part while it
still has one to compute. So it need not wait between two parts.

The processes are started in the background, once a run has trained for START_AFTER seconds. A short run never needs
them. Until they are ready, threads compute the parts. If a process cannot compute its part, this process does, and
threads compute the parts of later batches: if the network cannot be pickled, if memory runs out, or if the process was
killed or stopped. The processes end with the last trainer that uses them, or with this process. They are used on Linux
only: there, shared memory needs no file that somebody must remove. FCN_PROCESSES=0 in the environment turns them off.
"""

import collections
import contextlib
import os
import select
import subprocess
import sys
import threading
import time
import weakref

import numpy as np

from fcn_from_scratch.engine import threads
from fcn_from_scratch.engine.channel import Channel

START_AFTER = 1.0  # seconds in the parts of batches
AHEAD = 2  # the most parts that a process has at a time: the one that it computes, and the next one
LONGEST = 60.0  # seconds to wait for an answer; a process that was stopped never gives one
ONE_THREAD = {"FCN_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
PATIENCE = 3.0  # seconds to wait until a process has ended


def allowed():
    """Whether this process may start others for the parts of a batch, and would gain by it."""
    able = hasattr(os, "memfd_create") and sys.executable and not getattr(sys, "frozen", False)
    return bool(able) and threads.most() > 1 and os.environ.get("FCN_PROCESSES") != "0"


class PartProcesses:
    """The processes of this process: one for each thread but the first. Several threads may use it."""

    def __init__(self):
        self._lock, self._seconds, self._begun = threading.Lock(), 0.0, None
        self._starting, self._free = [], []

    def count(self, seconds, work):
        """Add the seconds that a batch took. When it is time, start the processes; they import what `work` needs."""
        self._seconds += seconds
        if self._seconds > START_AFTER:
            self.start(work)

    def start(self, work, patience=0.0):
        """Start the processes, once. They take part when they are ready: this waits `patience` seconds at most."""
        with self._lock:
            if self._begun is not None or not allowed():
                return
            self._begun = os.getpid()
            with contextlib.suppress(OSError):  # no process or no memory is left
                for _ in range(threads.most() - 1):
                    self._starting.append(_PartProcess(work))
        until = time.monotonic() + patience
        while self._starting and time.monotonic() < until:
            time.sleep(0.01)
            with self._lock:
                self._welcome()

    def ids(self):
        """The process ids of those that are ready and free."""
        return [process.id for process in self._free]

    def _welcome(self):
        """Let those take part that have become ready."""
        for process in self._starting[:]:
            if process.is_ready():
                self._starting.remove(process)
                self._free += [] if process.lost else [process]

    @contextlib.contextmanager
    def lent(self):
        """The processes as a Crew, for the parts of one batch. NOBODY if fewer than half of them are ready and free:
        then threads use more cores."""
        free, wanted = [], threads.most() - 1 if allowed() else 0
        with self._lock:
            if self._begun == os.getpid():  # else they do not run, or this is a fork of the process that started them
                self._welcome()
                if 2 * len(self._free) >= wanted:
                    free, self._free = self._free[:wanted], self._free[wanted:]
        crew = Crew(free) if free else NOBODY
        try:
            yield crew
        finally:
            crew.wait()
            with self._lock:
                self._free += [process for process in free if not process.lost]


class Crew:
    """The processes that take parts of one batch, and their answers."""

    def __init__(self, processes):
        self._processes, self._answers = processes, {}
        self.failed = False  # whether a process could not do its part, so that nothing should be tried again
        for process in processes:
            process.sent = 0

    def begin(self, number, *request):
        """Give a part to the process with the fewest parts, if it has fewer than AHEAD. The request is (work, model,
        arguments). Returns: whether the part was sent."""
        process = min(self._processes, key=lambda each: len(each.parts), default=None)
        if process is None or self.failed or len(process.parts) >= AHEAD:
            return False
        self.failed = not process.begin(number, *request)
        return not self.failed

    def look(self):
        """Take the answers that have come, without waiting for one."""
        for process in self._processes:
            while process.parts and process.has_answered(0):
                self._take(process)

    def end(self, number):
        """Wait for the answer to a part that was given to a process.

        Returns: (the result of work(model, *arguments), the gradients of loss_shares.leaves(model)). The arrays are
        valid until the crew is given back. None if the process could not compute the part.
        """
        while number not in self._answers:
            self._take(next(process for process in self._processes if number in process.parts))
        return self._answers.pop(number)

    def wait(self):
        """Wait for the parts that nobody has asked for, because of an error in another part."""
        for process in self._processes:
            while process.parts:
                self._take(process)

    def _take(self, process):
        """Wait for the next answer of a process."""
        number, answer = process.end()
        self.failed = self.failed or answer is None
        self._answers[number] = answer


NOBODY = Crew(())


class _PartProcess:
    """One process, as seen from here.

    parts  the numbers of the parts that it has not answered yet, in the order in which they were sent
    sent   how many parts of this batch it was given
    lost   whether it has ended, or may be in the middle of a message: an error or a signal may come at any moment.
           Nothing is sent to such a process, or read from it, any more
    """

    def __init__(self, work):
        self.parts, self.sent, self.lost = collections.deque(), 0, False
        with contextlib.ExitStack() as opened:  # an error closes what it holds

            def held(descriptor):
                opened.callback(os.close, descriptor)
                return descriptor

            memory = [held(os.memfd_create(name)) for name in ("fcn-requests", "fcn-answers")]
            ours, theirs = map(held, os.pipe())
            self._process = _started(*memory, theirs)
            opened.pop_all()
        os.close(theirs)
        answers = os.fdopen(ours, "rb", buffering=0)  # else poll() would not see an answer that Python has read ahead
        weakref.finalize(self, _end, self._process, answers, memory)
        self._requests, self._answers = Channel(self._process.stdin, memory[0]), Channel(answers, memory[1])
        self.begin(None, work, None, ())

    @property
    def id(self):
        return self._process.pid

    def is_ready(self):
        """Whether it has answered for the first time, or ended before."""
        answered = self.has_answered(0)
        if answered and self.end() != (None, threads.blas_kernel()):  # it would round in another way
            self.lost = True
        return answered

    def has_answered(self, seconds):
        """Whether there is an answer, or the end of all answers, within this time."""
        poll = select.poll()
        poll.register(self._answers.pipe, select.POLLIN)
        return bool(poll.poll(1000 * seconds))

    def begin(self, number, work, model, arguments):
        """Send the part of this number. Returns: whether it was sent."""
        if self.lost:
            return False
        self.lost = True  # until all of it is sent, and known to be
        try:
            self._requests.send((work, model, arguments, np.geterr(), self.sent), keep=len(self.parts))
        except OSError:
            return False
        except Exception:  # it cannot be pickled, for which there are many errors; nothing was sent
            self.lost = False
            return False
        self.parts.append(number)
        self.sent += 1
        self.lost = False
        return True

    def end(self):
        """Wait for the answer to the first of its parts. Returns: (the number of the part, the answer).

        The answer is None if the process could not do the work, or if it is lost.
        """
        if self.lost or not self.has_answered(LONGEST):
            self.lost = True
            return self.parts.popleft(), None
        self.lost = True  # until all of it is read, and known to be
        try:
            answer = self._answers.receive()
        except Exception:  # it has ended, perhaps in the middle of the answer
            return self.parts.popleft(), None
        number = self.parts.popleft()
        self.lost = False
        return number, answer


def _started(*descriptors):
    """Start the process. It gets these descriptors; they are the arguments of part_worker.serve."""
    path = [each for each in sys.path if isinstance(each, str)]
    call = f"serve{descriptors}"
    return subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"import sys; sys.path[:] = {path}; from {__package__}.part_worker import serve; {call}",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=descriptors,
        env={**os.environ, **ONE_THREAD},
        start_new_session=True,  # Ctrl-C in a terminal is for this process alone, which ends the other one
    )


def _end(process, answers, memory):
    """End a process and give everything back. It ends by itself when its pipe is closed."""
    for pipe in (process.stdin, answers):
        with contextlib.suppress(OSError):  # a request that nobody will read
            pipe.close()
    for each in memory:
        os.close(each)
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


_current = weakref.ref(PartProcesses())  # gone at once: there are none yet
_making = threading.Lock()


def shared():
    """The PartProcesses that all trainers of this process share. They end with the last one that holds them."""
    global _current
    with _making:
        found = _current()
        if found is None:
            found = PartProcesses()
            _current = weakref.ref(found)
        return found

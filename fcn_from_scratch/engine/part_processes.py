"""Processes for the parts of a batch: they do not wait for each other's Python lock, as threads do.

A part goes to a process with all that it needs: the replica of the network, the pictures and the labels (channel). The
process keeps nothing from part to part. So whatever changed in the network since the last step, it is there. The same
code computes the same numbers in the same order, so a run does not depend on who computed a part.

The processes are started in the background, once a run has trained for START_AFTER seconds. A short run never needs
them. Until they are ready, and whenever one cannot do its work, a thread does it: if the network cannot be pickled, if
memory runs out, or if the process was stopped. They end with the last trainer that uses them, or with this process.
They are used on Linux only (for memory that both processes see, and that nobody has to remove). FCN_PROCESSES=0 in the
environment turns them off.
"""

import contextlib
import os
import select
import subprocess
import sys
import threading
import weakref

import numpy as np

from fcn_from_scratch.engine import threads
from fcn_from_scratch.engine.channel import Channel
from fcn_from_scratch.engine.loss_shares import leaves

START_AFTER = 1.0  # seconds in the parts of batches
ONE_THREAD = {"FCN_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
PATIENCE = 3.0  # seconds that a process has for its end


def allowed():
    """Whether this process may start others for the parts of a batch, and would gain by it."""
    able = hasattr(os, "memfd_create") and sys.executable and not getattr(sys, "frozen", False)
    return bool(able) and threads.most() > 1 and os.environ.get("FCN_PROCESSES") != "0"


class PartProcesses:
    """The processes of this process: one for each thread but the first. Several threads may use it."""

    def __init__(self):
        self._lock, self._seconds, self._begun = threading.Lock(), 0.0, None
        self._starting, self._idle = [], []

    def count(self, seconds, work):
        """Add the seconds that a batch took. When it is time, start the processes; they import what `work` needs."""
        self._seconds += seconds
        if self._seconds > START_AFTER and self._begun is None and allowed():
            self.start(work)

    def start(self, work):
        """Start the processes and go on. They take part when they are ready."""
        self._begun = os.getpid()
        with contextlib.suppress(OSError):  # no process or no memory is left
            for _ in range(threads.most() - 1):
                self._starting.append(_PartProcess(work))

    def compute(self, work, model, arguments):
        """Call work(model, *arguments) in a free process. The gradients of the model are then as if it had run here.

        Returns: [result]; [] if no process is free, or if the process cannot do it.
        """
        process = self._take()
        if process is None:
            return []
        answer = process.compute(work, model, arguments)
        if not process.lost:
            self._idle.append(process)
        return answer

    def _take(self):
        with self._lock:
            if self._begun != os.getpid():  # not started, or this is a fork of the process that has started them
                return None
            ready = [process for process in self._starting if process.is_ready()]
            self._starting = [process for process in self._starting if process not in ready]
            self._idle += [process for process in ready if not process.lost]
            return self._idle.pop() if self._idle else None


class _PartProcess:
    """One process, as seen from here. It is `lost` when it has ended."""

    def __init__(self, work):
        memory = [os.memfd_create(name) for name in ("fcn-requests", "fcn-answers")]
        code = f"import sys; sys.path[:] = {sys.path}; from {__package__}.part_worker import serve; serve{(*memory,)}"
        self.lost = False
        self._process = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            pass_fds=memory,
            env={**os.environ, **ONE_THREAD},
            start_new_session=True,  # Ctrl-C in a terminal is for this process alone, which ends the other one
        )
        weakref.finalize(self, _end, self._process, memory)
        pipes = self._process.stdin, self._process.stdout
        self._requests, self._answers = (Channel(pipe, each) for pipe, each in zip(pipes, memory))
        self._requests.send((work, None, (), {}))

    def is_ready(self):
        """Whether it has answered for the first time, or ended before."""
        answered = bool(select.select([self._process.stdout], [], [], 0)[0])
        if answered:
            self._receive()
        return answered

    def compute(self, work, model, arguments):
        try:
            self._requests.send((work, model, arguments, np.geterr()))
        except OSError:
            self.lost = True
            return []
        except Exception:  # what cannot be pickled: there are many errors for it
            return []
        answer = self._receive()
        if answer is None:
            return []
        result, gradients = answer
        for layer, theirs in zip(leaves(model), gradients):
            for name, gradient in layer.grads.items():
                gradient[...] = theirs[name]
        return [result]

    def _receive(self):
        """What the process has computed; None if it could not, or if it has ended."""
        try:
            return self._answers.receive()
        except (OSError, EOFError):
            self.lost = True
            return None


def _end(process, memory):
    """End a process and give everything back. It ends by itself when its pipe is closed."""
    for pipe in (process.stdin, process.stdout):
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

"""Threads that do tasks for others, as in concurrent.futures. But a thread that waits spins at first, see bells."""

import collections
import contextlib
import contextvars
import threading

from fcn_from_scratch.engine.bells import Bell, may_spin


class Team:
    """Up to `size` threads. They start when there is work for them, and end with the program or by `close`."""

    def __init__(self, size):
        self.size, self.spins = size, may_spin(size + 1)  # and the thread that has tasks for them
        self._tasks, self._idle, self._threads = collections.deque(), [], []
        self._starting = threading.Lock()

    def submit(self, function, *args):
        """Let a thread call function(*args), in a copy of the caller's context. Returns: the Task."""
        task = Task(function, args, self.spins)
        self._tasks.append(task)
        if not self._ring():
            self._start()
        return task

    def cancel(self, task):
        """Take a task back. Returns: whether no thread has begun with it, so that none ever will."""
        if not task.cancelled:
            with contextlib.suppress(ValueError):
                self._tasks.remove(task)
                task.cancelled = True
        return task.cancelled

    def close(self):
        """Let all threads end when they have done what was submitted, and wait for them."""
        for _ in self._threads:
            self._tasks.append(None)
            self._ring()
        for thread in self._threads:
            thread.join()

    def _ring(self):
        """Let an idle thread look for a task. Returns: whether there was one."""
        try:
            self._idle.pop().ring()
        except IndexError:
            return False
        return True

    def _start(self):
        with self._starting:
            if len(self._threads) < self.size:
                name = f"fcn-{len(self._threads) + 1}"
                self._threads.append(threading.Thread(target=self._serve, name=name, daemon=True))
                self._threads[-1].start()

    def _serve(self):
        bell = Bell()
        while True:
            try:
                task = self._tasks.popleft()
            except IndexError:
                self._idle.append(bell)
                if self._tasks:  # one came before this thread was known to be idle
                    self._ring()
                bell.wait(self.spins)
                continue
            if task is None:
                return
            task.do()
            del task  # what it holds is freed while this thread waits


class Task:
    """A call that another thread makes. Any thread may wait for it."""

    def __init__(self, function, args, spins):
        self._call = contextvars.copy_context().run, function, args
        self._spins, self._waiting = spins, []
        self._answer, self.cancelled = None, False

    def do(self):
        """Make the call, in the thread that took the task."""
        run, function, args = self._call
        try:
            self._answer = run(function, *args), None
        except BaseException as error:
            self._answer = None, error
        for bell in self._waiting:
            bell.ring()

    def wait(self):
        """Wait for the end of the call."""
        bell = _of_this_thread.bell
        self._waiting.append(bell)  # first this, then a look at the answer: `do` does it the other way round
        while self._answer is None:
            bell.wait(self._spins)

    def result(self):
        """Wait for what the call returned. Raises: what the call raised."""
        self.wait()
        value, error = self._answer
        if error is not None:
            raise error
        return value


class _OfThisThread(threading.local):
    def __init__(self):
        self.bell = Bell()


_of_this_thread = _OfThisThread()

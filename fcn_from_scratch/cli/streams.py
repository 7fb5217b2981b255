"""Standard output and standard error that may go away: `fcn train | head -1`, a closed stderr, a full disk.

A command that writes files must not lose them because nobody reads what it prints.
"""

import errno
import os
import sys
from contextlib import contextmanager, suppress


@contextmanager
def lasting():
    """Inside, output that cannot be printed is dropped, and the command goes on.

    Yields: a list, which at the end holds the OSErrors of output that was lost for another reason than a closed pipe.
    """
    _open_the_closed()
    before, lost = (sys.stdout, sys.stderr), []
    sys.stdout, sys.stderr = (_Lasting(stream, lost) for stream in before)
    try:
        yield lost
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
    finally:
        for name, stream in zip(("stdout", "stderr"), before):
            if isinstance(getattr(sys, name), _Lasting):  # a process of several has put its own there: lab.mpi
                setattr(sys, name, stream)


def _open_the_closed():
    """Give the numbers 0, 1 and 2 to the null device where they are closed. Else the next file would get one."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


class _Lasting:
    """A text stream that drops what it cannot write."""

    def __init__(self, stream, lost):
        self._stream, self._lost = stream, lost

    def __getattr__(self, name):
        return getattr(self._stream, name)

    def write(self, text):
        if self._stream is not None:
            self._try(lambda: self._stream.write(text))
        return len(text)

    def flush(self):
        if self._stream is not None:
            self._try(self._stream.flush)

    def isatty(self):
        return self._stream is not None and self._stream.isatty()

    def _try(self, action):
        try:
            action()
        except OSError as error:
            if error.errno not in (errno.EPIPE, errno.EINVAL):  # Windows says EINVAL for a broken pipe
                self._lost.append(error)
            give_up(self._stream)


def give_up(stream):
    """Let the null device take what comes, also what the stream still keeps."""
    with suppress(OSError, ValueError, AttributeError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)

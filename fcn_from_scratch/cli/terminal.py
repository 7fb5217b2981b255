"""Text for a terminal. Names of files and words from files may hold anything; the terminal must not obey them."""

import contextlib
import sys

from fcn_from_scratch.checks import printable


@contextlib.contextmanager
def printable_output():
    """Inside, what is printed to stdout has "?" for every character that could control a terminal."""
    before = sys.stdout
    ours = sys.stdout = before and _Printable(before)
    try:
        yield
    finally:
        if sys.stdout is ours:  # a process of several has put its own there: lab.mpi
            sys.stdout = before


class _Printable:
    """A text stream that keeps the lines and tabs of a text, and no other control characters."""

    def __init__(self, stream):
        self._stream = stream

    def write(self, text):
        kept = "".join(part if part in ("\n", "\t") else printable(part) for part in _parts(text))
        encoding = getattr(self._stream, "encoding", None) or "utf-8"
        return self._stream.write(kept.encode(encoding, "replace").decode(encoding))

    def __getattr__(self, name):
        return getattr(self._stream, name)


def _parts(text):
    """The text between its newlines and tabs, and these."""
    for number, line in enumerate(text.split("\n")):
        if number:
            yield "\n"
        for column, word in enumerate(line.split("\t")):
            if column:
                yield "\t"
            yield word

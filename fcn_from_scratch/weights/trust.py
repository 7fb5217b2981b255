"""What every reader here does to read files from strangers safely."""

import struct
import textwrap
import tokenize
import zipfile
import zlib
from contextlib import contextmanager

import numpy as np

from fcn_from_scratch.checks import InputError

CHUNK = 1 << 20  # bytes read at once, so that a file is never in memory twice

DAMAGE = (  # all errors that a reader, Python or NumPy raises for a damaged file
    OSError,  # zipfile seeks to wherever a damaged entry points
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    tokenize.TokenError,
    EOFError,
    ValueError,
    SyntaxError,
    TypeError,
    AttributeError,
    LookupError,
    ArithmeticError,
    RuntimeError,  # and its subclasses NotImplementedError and RecursionError
)


@contextmanager
def sound(path, kind):
    """Turn any error in reading `path` into one sentence that names the file and what it should have been."""
    try:
        yield
    except DAMAGE as error:
        reason = printable(textwrap.shorten(str(error), 300)) or type(error).__name__
        raise InputError(f"{path}: not a sound {kind}: {reason}") from None


def printable(text):
    """Words from a file, with "?" for every character that could control a terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def size_of(file):
    """The size of an open file in bytes. Afterwards the file is at its beginning."""
    size = file.seek(0, 2)
    file.seek(0)
    return size


def read_exactly(stream, count, what):
    """Read the next `count` bytes into a new uint8 array. The caller has compared `count` with the file's size."""
    buffer, filled = np.empty(count, np.uint8), 0
    while filled < count:
        got = stream.readinto(memoryview(buffer)[filled : filled + CHUNK])
        if not got:
            raise InputError(f"{what} ends after {filled} of {count} bytes")
        filled += got
    return buffer


def widen_bfloat16(words):
    """Turn bfloat16 numbers, given as 16-bit words, into float32. They are its upper half, so the values are exact."""
    wide = words.astype(np.uint32)
    wide <<= 16
    return wide.view(np.float32)

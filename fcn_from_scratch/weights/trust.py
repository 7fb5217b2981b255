"""What every reader does about files that nobody vouches for."""

import struct
import textwrap
import tokenize
import zipfile
import zlib
from contextlib import contextmanager

import numpy as np

from fcn_from_scratch.checks import InputError

CHUNK = 1 << 20  # bytes read at once: nothing is in memory twice

DAMAGE = (  # whatever a reader, Python or NumPy stumbles over in a damaged file
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
    RuntimeError,  # with its kinds NotImplementedError and RecursionError
)


@contextmanager
def sound(path, kind):
    """Turn whatever reading `path` raises into one sentence that names the file and what it should have been."""
    try:
        yield
    except DAMAGE as error:
        reason = printable(textwrap.shorten(str(error), 300)) or type(error).__name__
        raise InputError(f"{path}: not a sound {kind}: {reason}") from None


def printable(text):
    """A file's own words, without what would steer a terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def size_of(file):
    """The bytes of an open file, which is left at its beginning."""
    size = file.seek(0, 2)
    file.seek(0)
    return size


def read_exactly(stream, count, what):
    """The next `count` bytes as a uint8 array of its own. The caller has held `count` against the file's size."""
    buffer, filled = np.empty(count, np.uint8), 0
    while filled < count:
        got = stream.readinto(memoryview(buffer)[filled : filled + CHUNK])
        if not got:
            raise InputError(f"{what} ends after {filled} of {count} bytes")
        filled += got
    return buffer


def widen_bfloat16(words):
    """bfloat16 numbers, as the 16-bit words they are stored in, as float32: its upper half, so the values are exact."""
    wide = words.astype(np.uint32)
    wide <<= 16
    return wide.view(np.float32)

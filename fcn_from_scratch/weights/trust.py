"""What every reader here does to read files from strangers safely."""

import json
import struct
import textwrap
import tokenize
import zipfile
import zlib
from contextlib import contextmanager

import numpy as np

from fcn_from_scratch.checks import ENDLESS, InputError, printable

CHUNK = 1 << 20  # bytes read at once, so that a file is never in memory twice
MOST_JSON = 8 << 20  # characters; as lists and dicts they may take 30 times that much memory
MOST_MESSAGE = 2000  # characters of an error that are looked at: it may repeat what a file says

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
        reason = printable(textwrap.shorten(str(error)[:MOST_MESSAGE], 300)) or type(error).__name__
        raise InputError(f"{path}: not a sound {kind}: {reason}") from None


def parsed_json(text):
    """The value of a JSON text, str or bytes, from a stranger.

    Raises: ValueError if it is none, or longer than MOST_JSON.
    """
    if len(text) > MOST_JSON:
        raise ValueError(f"its JSON has {len(text)} characters, more than {MOST_JSON}")
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("its JSON is nested too deeply") from None


def in_bytes(count, itemsize):
    """The size of `count` numbers in words, with checks.numbers_claimed's limit."""
    return f"{count * itemsize} bytes" if count <= ENDLESS else "more bytes than any file has"


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

"""Reading .npz archives that nobody vouches for: no pickle, and every size is checked before it is allocated."""

import math
import struct
import textwrap
import tokenize
import zipfile
import zlib

import numpy as np

from fcn_from_scratch.checks import InputError

# An archive may hold this many bytes for each of its own. Trained weights hardly compress; a bomb does, a thousandfold.
MOST_EXPANSION = 64
FREE_BYTES = 64 << 20  # below this size expansion is not judged
CHUNK = 1 << 20  # bytes read at once: a member is never in memory twice

_DAMAGE = (
    OSError,  # zipfile seeks to wherever a damaged entry points
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    tokenize.TokenError,
    EOFError,
    ValueError,
    SyntaxError,
    TypeError,
    OverflowError,
    KeyError,
    RuntimeError,
    NotImplementedError,
    RecursionError,
)


def read_npz(path):
    """The arrays of an .npz archive, name -> array, as float, integer or boolean numbers.

    Raises: InputError that names the file when it is not an archive, is damaged, claims sizes it does not have, or
    holds anything but numbers; OSError when it cannot be opened.
    """
    with open(path, "rb") as file:
        size = file.seek(0, 2)
        try:
            with zipfile.ZipFile(file) as archive:
                members = archive.infolist()
                total = sum(member.file_size for member in members)
                if total > FREE_BYTES and total > MOST_EXPANSION * size:
                    raise InputError(f"its {size} bytes claim to hold {total}: this is not a file of weights")
                return {_name(member): _read_array(archive, member) for member in members}
        except _DAMAGE as error:
            reason = textwrap.shorten(str(error), 300) or type(error).__name__
            raise InputError(f"{path}: not a sound .npz archive: {reason}") from None


def _name(member):
    if not member.filename.endswith(".npy"):
        raise InputError(f"it holds {member.filename!r}, which is not an array")
    return member.filename[: -len(".npy")]


def _read_array(archive, member):
    """One array, after its header has been held against the size of what follows."""
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise InputError(f"{member.filename} is packed by method {member.compress_type}, which NumPy never uses")
    with archive.open(member) as stream:
        version = np.lib.format.read_magic(stream)
        if version not in ((1, 0), (2, 0)):
            raise InputError(f"{member.filename} has the unknown format version {version}")
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        try:
            shape, fortran_order, dtype = read_header(stream)
        except MemoryError:  # Python's parser, about a header that nests without end
            raise InputError(f"{member.filename} has a header that cannot be parsed") from None
        if dtype.kind not in "fiub":
            raise InputError(f"{member.filename} holds {dtype}, not numbers")
        if any(n < 0 for n in shape):
            raise InputError(f"{member.filename} has the shape {shape}")
        claimed, there = math.prod(shape) * dtype.itemsize, member.file_size - stream.tell()
        if claimed != there:
            raise InputError(f"{member.filename} claims shape {shape} of {dtype}, {claimed} bytes, and has {there}")
        buffer, filled = np.empty(claimed, np.uint8), 0
        while filled < claimed:
            part = stream.read(min(CHUNK, claimed - filled))
            if not part:
                raise InputError(f"{member.filename} ends after {filled} of {claimed} bytes")
            buffer[filled : filled + len(part)] = np.frombuffer(part, np.uint8)
            filled += len(part)
    return buffer.view(dtype).reshape(shape, order="F" if fortran_order else "C")

"""Read .npz archives from strangers. Pickles are refused, and every size is checked before memory is allocated."""

import numpy as np

from fcn_from_scratch.checks import InputError, numbers_claimed
from fcn_from_scratch.files import open_regular
from fcn_from_scratch.weights.archive import Doled, open_archive
from fcn_from_scratch.weights.trust import in_bytes, read_exactly, sound

MOST_HEADER = 1 << 16  # bytes; NumPy itself takes headers of at most 10,000


def read_npz(path):
    """Read the arrays of an .npz archive. Returns: a dict, name -> array of floats, integers or booleans.

    Raises: InputError naming the file when it is no archive, is damaged, claims sizes that it does not have, or holds
    anything but numbers; OSError when it cannot be opened.
    """
    with open_regular(path) as file, sound(path, ".npz archive"), open_archive(file) as archive:
        return {_name(member): _read_array(archive, member) for member in archive.infolist()}


def _name(member):
    if not member.filename.endswith(".npy"):
        raise InputError(f"it holds {member.filename!r}, which is not an array")
    return member.filename[: -len(".npy")]


def _read_array(archive, member):
    """Read one array, after comparing the size in its header with the bytes that follow."""
    with archive.open(member) as stream:
        version = np.lib.format.read_magic(stream)
        if version not in ((1, 0), (2, 0)):
            raise InputError(f"{member.filename} has the unknown format version {version}")
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        try:
            shape, fortran_order, dtype = read_header(Doled(stream, MOST_HEADER, "a header"))
        except MemoryError:  # Python's parser raises it for a header that is nested too deeply
            raise InputError(f"{member.filename} has a header that cannot be parsed") from None
        if dtype.kind not in "fiub":
            pickled = " but Python objects. Open it with allow_pickle=True if you trust it, and save the arrays alone"
            raise InputError(f"{member.filename} holds {dtype}, not numbers{pickled if dtype.hasobject else ''}")
        if any(n < 0 for n in shape):
            raise InputError(f"{member.filename} has the shape {shape}")
        count, there = numbers_claimed(shape), member.file_size - stream.tell()
        if count * dtype.itemsize != there:
            claimed = in_bytes(count, dtype.itemsize)
            raise InputError(f"{member.filename} claims shape {shape} of {dtype}, {claimed}, and has {there}")
        buffer = read_exactly(stream, there, member.filename)
    return buffer.view(dtype).reshape(shape, order="F" if fortran_order else "C")

"""Read one array, a label map, from a MATLAB file (.mat, level 5: the format of MATLAB 5 to 7.2 and of SciPy).

Files of level 7.3 are HDF5 files; hdf5.py reads them.

The file is a header of 128 bytes followed by elements. Each element is a tag (type, size) and that many bytes. A
variable is an element MATRIX, often wrapped in an element COMPRESSED. Inside a MATRIX are elements again: flags,
dimensions, name, and then the numbers or the fields of a struct. Elements that nobody asked for are skipped by their
size and never read.

This module reads only the part of the format that the datasets need, so they do not need SciPy. The files come from
strangers. Every size is compared with the bytes that are there before anything is read, and one file may unpack to at
most LARGEST bytes in all. So a small file that claims to be huge costs nothing.

Source: The MathWorks, "MAT-File Format", the level 5 chapter.
"""

import struct
import zlib
from pathlib import Path

import numpy as np

from fcn_from_scratch.checks import MOST_AXES, InputError, few, numbers_claimed
from fcn_from_scratch.datasets.hdf5 import USER_BLOCK, is_hdf5, read_hdf5
from fcn_from_scratch.files import open_regular, read_bytes

LARGEST = 64 * 2**20  # the most bytes of a file, and of all that is unpacked from it
MOST_NUMBERS = LARGEST // 8  # the most pixels of a label map: 8 million, as many as LARGEST holds as doubles
MOST_ELEMENTS = 10_000  # the most variables of a file
MOST_FIELDS, MOST_NAME = 1000, 1000  # the most fields of a struct; the most bytes of a name, of which MATLAB has 63

HEADER = 128
INT8, INT32, UINT32, MATRIX, COMPRESSED = 1, 5, 6, 14, 15  # types of elements
# classes of matrices: NUMBERS are double, single, int8 to uint64; OPAQUE are objects, such as MATLAB's strings
CELL, STRUCT, NUMBERS, OPAQUE = 1, 2, range(6, 16), 17
COMPLEX = 0x0800  # a flag of a matrix
# The NumPy type of the numbers in a file, by the type of their element. A matrix of doubles is often stored as bytes.
STORED = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}


def read_mat(path, variable, field=None):
    """Read the numbers of a variable, or of one field of a variable that is a single struct.

    A cell array stands for its first cell: groundTruth{1} of NYUDv2's labels. Objects such as strings are skipped.
    Returns: an array of the type that the file stores, which may be narrower than the one MATLAB shows.
    Raises: InputError naming the file when it is missing, damaged, of another format (level 4), or larger than
    LARGEST when unpacked. When the variable or field is not there, the error says what is.
    """
    path = Path(path)
    if _is_level_73(path):
        return read_hdf5(path, variable, field)
    data = _contents(path)
    try:
        order = _byte_order(data)
        found = []
        for matrix in _matrices(memoryview(data)[HEADER:], order):
            flags, shape, name, parts = _head(matrix, order)
            if flags & 0xFF == CELL and name == variable:
                flags, shape, _, parts = _head(_next(parts, MATRIX), order)
            if name == variable:
                if field is not None:
                    flags, shape, _, parts = _head(_field(flags, shape, parts, order, field), order)
                return _numbers(flags, shape, parts, order)
            found.append(name)
    except (ValueError, zlib.error) as error:
        raise InputError(f"{path} cannot be read as a MATLAB file: {error}") from None
    raise InputError(f"{path} holds no variable {variable}; it holds {few(found) or 'none'}")


def _is_level_73(path):
    try:
        with open_regular(path) as file:
            return is_hdf5(file.read(USER_BLOCK + 8))
    except OSError:
        return False  # whoever reads the contents says why


def _contents(path):
    try:
        return read_bytes(path, LARGEST)
    except FileNotFoundError:
        raise InputError(f"there is no file {path}") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None


def _byte_order(data):
    """ "<" or ">". The header ends with the letters MI, stored as a 16-bit number in the writing machine's order."""
    order = {b"IM": "<", b"MI": ">"}.get(data[HEADER - 2 : HEADER])
    if order is None:
        raise ValueError("it does not begin like a file of level 5")
    if data[124:126] not in (b"\x00\x01", b"\x01\x00"):
        raise ValueError("it is of format 7.3 (HDF5): save it with -v7 instead")  # and damaged
    return order


def _matrices(data, order):
    """The bytes of each variable."""
    room = LARGEST
    for number, (kind, body) in enumerate(_elements(data, order)):
        if number == MOST_ELEMENTS:
            raise ValueError(f"it has more than {MOST_ELEMENTS} variables")
        if kind == COMPRESSED:
            unpacker = zlib.decompressobj()
            unpacked = unpacker.decompress(body, room + 1)
            room -= len(unpacked)
            if room < 0:
                raise ValueError(f"it unpacks to more than {LARGEST >> 20} MiB")
            if not unpacker.eof:
                raise ValueError("its compressed data are cut short")
            kind, body = next(_elements(memoryview(unpacked), order), (None, None))
        if kind == MATRIX:
            yield body


def _elements(data, order):
    """Yield (type, bytes) of one element after the other."""
    at = 0
    while at < len(data):
        if len(data) - at < 8:
            raise ValueError("it is cut short")
        kind, size = struct.unpack_from(f"{order}II", data, at)
        start = at + 8
        if kind >> 16:  # the short form: size and type share one word, and up to four bytes follow
            kind, size, start = kind & 0xFFFF, kind >> 16, at + 4
            if size > 4:
                raise ValueError(f"a short element claims {size} bytes")
        if size > len(data) - start:
            raise ValueError(f"an element claims {size} bytes, but {len(data) - start} are left")
        yield kind, data[start : start + size]
        at = start + size
        if kind != COMPRESSED:
            at += -at % 8  # elements begin at multiples of eight bytes, except after compressed ones


def _head(matrix, order):
    """Read the head of a matrix. Returns: (flags, shape, name, iterator over the elements that follow)."""
    parts = _elements(matrix, order)
    flags = _integers(parts, UINT32, order)
    shape = (0, 0) if flags and flags[0] & 0xFF == OPAQUE else _integers(parts, INT32, order)
    name = _next(parts, INT8)
    if len(name) > MOST_NAME:
        raise ValueError(f"a name has {len(name)} characters")
    name = bytes(name).decode("ascii")
    if len(flags) != 2 or len(shape) < 2 or min(shape) < 0:
        raise ValueError(f"a matrix has the shape {shape}")
    return flags[0], shape, name, parts


def _integers(parts, kind, order):
    body = _next(parts, kind)
    if len(body) % 4 or len(body) > 4 * MOST_AXES:
        raise ValueError(f"{len(body)} bytes are not 1 to {MOST_AXES} integers of 32 bits, as flags and sizes are")
    return struct.unpack(f"{order}{len(body) // 4}{'I' if kind == UINT32 else 'i'}", body)


def _next(parts, kind):
    """The bytes of the next element, which must be of this type."""
    found, body = next(parts, (None, None))
    if found != kind:
        raise ValueError(f"an element of type {kind} is missing" + (f"; there is one of type {found}" if found else ""))
    return body


def _field(flags, shape, parts, order, field):
    """The bytes of the matrix that a struct's field holds."""
    if flags & 0xFF != STRUCT or numbers_claimed(shape) != 1:
        raise ValueError(f"the variable is not a single struct with a field {field}")
    (width,) = _integers(parts, INT32, order) or (0,)
    names = _next(parts, INT8)
    if not 1 <= width <= MOST_NAME or len(names) % width or len(names) > MOST_FIELDS * width:
        raise ValueError("the names of a struct's fields are damaged")
    names = bytes(names)
    names = [names[i : i + width].split(b"\0")[0].decode("ascii") for i in range(0, len(names), width)]
    if field not in names:
        raise ValueError(f"the struct has no field {field}; it has {few(names)}")
    for _ in range(names.index(field)):
        _next(parts, MATRIX)
    return _next(parts, MATRIX)


def _numbers(flags, shape, parts, order):
    if flags & 0xFF not in NUMBERS or flags & COMPLEX:
        raise ValueError("the variable holds no real numbers")
    kind, body = next(parts, (None, b""))
    if kind not in STORED:
        raise ValueError(f"numbers are stored as the unknown type {kind}")
    dtype = np.dtype(order + STORED[kind])
    count = numbers_claimed(shape)
    if count * dtype.itemsize != len(body):
        raise ValueError(f"an array of shape {shape} does not fit into {len(body)} bytes of {dtype.name}")
    if count > MOST_NUMBERS:
        raise ValueError(f"an array has {count} numbers; a label map has at most {MOST_NUMBERS}")
    return np.frombuffer(body, dtype).reshape(shape, order="F")  # MATLAB stores a matrix column by column

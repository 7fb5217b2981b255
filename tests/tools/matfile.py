"""MATLAB files of level 5 written by hand, so that the reader is not tested with a writer that shares its mistakes.

Written from the published description of the format: a header, then elements of type, size and bytes.
"""

import struct
import zlib

import numpy as np

INT8, UINT8, INT32, UINT32, DOUBLE, MATRIX, COMPRESSED = 1, 2, 5, 6, 9, 14, 15
STORED = {"i1": 1, "u1": 2, "i2": 3, "u2": 4, "i4": 5, "u4": 6, "f4": 7, "f8": 9, "i8": 12, "u8": 13}
CLASSES = {"f8": 6, "f4": 7, "i1": 8, "u1": 9, "i2": 10, "u2": 11, "i4": 12, "u4": 13, "i8": 14, "u8": 15}
CELL, STRUCT, SPARSE = 1, 2, 5


def element(kind, data, order="<", short=False):
    """One element; `short` is the form of eight bytes in all for up to four of data."""
    if short:
        return struct.pack(order + "I", len(data) << 16 | kind) + data.ljust(4, b"\0")
    return struct.pack(order + "II", kind, len(data)) + data + b"\0" * (-len(data) % 8)


def head(kind, shape, name, order="<", flags=0, nonzeros=0):
    return (
        element(UINT32, struct.pack(order + "II", kind | flags, nonzeros), order)
        + element(INT32, struct.pack(f"{order}{len(shape)}i", *shape), order)
        + element(INT8, name.encode(), order, short=0 < len(name) <= 4)
    )


def array(values, name="", order="<", kind=None, flags=0):
    """A matrix element; `kind` is the class it claims to be, if it is not that of its numbers."""
    values = np.asarray(values)
    code = values.dtype.str[1:]
    data = values.astype(order + code).tobytes(order="F")
    stored = element(STORED[code], data, order, short=len(data) <= 4)
    return element(MATRIX, head(kind or CLASSES[code], values.shape, name, order, flags) + stored, order)


def cells(name="", order="<"):
    """A cell array of one sparse matrix with a single 1: what a reader of label maps must step over."""
    rows, columns = struct.pack(order + "i", 0), struct.pack(order + "3i", 0, 1, 1)
    sparse = head(SPARSE, (2, 2), "", order, nonzeros=1) + element(INT32, rows, order) + element(INT32, columns, order)
    sparse += element(DOUBLE, struct.pack(order + "d", 1), order)
    return element(MATRIX, head(CELL, (1, 1), name, order) + element(MATRIX, sparse, order), order)


def structure(fields, name, order="<", shape=(1, 1), width=32):
    """A struct; `fields` is a dict name -> matrix element."""
    names = b"".join(field.encode().ljust(width, b"\0") for field in fields)
    start = element(INT32, struct.pack(order + "i", width), order, short=True) + element(INT8, names, order)
    return element(MATRIX, head(STRUCT, shape, name, order) + start + b"".join(fields.values()), order)


def packed(matrix, order="<"):
    """The same element compressed; no padding follows it."""
    data = zlib.compress(matrix)
    return struct.pack(order + "II", COMPRESSED, len(data)) + data


def header(order="<", version=0x0100):
    text = b"MATLAB 5.0 MAT-file, by hand".ljust(124)
    return text + struct.pack(order + "H", version) + struct.pack(order + "H", 0x4D49)


def file(*matrices, order="<", compress=False):
    """The bytes of a file with these variables."""
    return header(order) + b"".join(packed(matrix, order) if compress else matrix for matrix in matrices)

"""Read .safetensors files: a length of eight bytes, a JSON table of dtypes, shapes and offsets, and the numbers."""

import json

import numpy as np

from fcn_from_scratch.checks import MOST_AXES, InputError, numbers_claimed
from fcn_from_scratch.files import open_regular
from fcn_from_scratch.weights.trust import in_bytes, read_exactly, size_of, sound, widen_bfloat16

MOST_HEADER = 4 << 20  # the most bytes of JSON: some 40,000 arrays
BFLOAT16 = "BF16"
DTYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    BFLOAT16: "<u2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "i1",
    "U64": "<u8",
    "U32": "<u4",
    "U16": "<u2",
    "U8": "u1",
    "BOOL": "u1",
}


def looks_like_safetensors(head):
    """Whether a file begins with a length below 2**32 and the opening brace of the table. `head` is its first bytes."""
    return len(head) > 8 and head[4:9] == b"\0\0\0\0{"


def read_safetensors(path):
    """Read a file. Returns: (arrays, meta), a dict name -> array and the strings that the file says about itself.

    The table must describe the data without gap or overlap, as the format demands. bfloat16 becomes float32.
    Raises: InputError naming the file when it is damaged or claims sizes that it does not have.
    """
    with open_regular(path) as file, sound(path, ".safetensors file"):
        table, start, size = _header(file)
        meta = table.pop("__metadata__", {})
        if not isinstance(meta, dict):
            raise InputError("its __metadata__ is not a table of strings")
        entries = sorted((_entry(name, entry) for name, entry in table.items()), key=lambda entry: entry[1])
        end = 0
        for name, begin, stop, _, _ in entries:
            if begin != end:
                raise InputError(f"{name} begins at byte {begin} of the data; the array before it ends at {end}")
            end = stop
        if end != size - start:
            raise InputError(f"its arrays end at byte {end} of {size - start} bytes of data")
        file.seek(start)
        read = {name: _array(file, name, stop - begin, *form) for name, begin, stop, *form in entries}
    return {name: read[name] for name in table}, {str(key): str(value) for key, value in meta.items()}


def data_bytes(path):
    """How many bytes of numbers a sound file holds."""
    with open_regular(path) as file:
        _, start, size = _header(file)
    return size - start


def _header(file):
    """Read the header. Returns: (the table, where the data starts, the file's size)."""
    size = size_of(file)
    length = int.from_bytes(file.read(8), "little")
    if not 2 <= length <= min(size - 8, MOST_HEADER):
        raise InputError(f"its header claims {length} bytes; the file has {size}, and headers at most {MOST_HEADER}")
    table = json.loads(file.read(length), object_pairs_hook=_without_duplicates)
    if not isinstance(table, dict):
        raise InputError("its header is not a table of arrays")
    return table, 8 + length, size


def _without_duplicates(pairs):
    table = dict(pairs)
    if len(table) < len(pairs):
        raise InputError("its header names something twice")
    return table


def _entry(name, entry):
    """Check one array's entry: its size must fit its shape. Returns: (name, begin, stop, dtype, shape)."""
    if not isinstance(entry, dict) or not entry.keys() >= {"dtype", "shape", "data_offsets"}:
        raise InputError(f"{name} is not described by dtype, shape and data_offsets")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if dtype not in DTYPES:
        raise InputError(f"{name} has the dtype {str(dtype)[:20]!r}; readable are {', '.join(DTYPES)}")
    for numbers in (shape, offsets):
        if not isinstance(numbers, list) or not all(type(n) is int and n >= 0 for n in numbers):
            raise InputError(f"{name} has a shape or data_offsets that are not lists of sizes")
    begin, stop = offsets
    if len(shape) > MOST_AXES:
        raise InputError(f"{name} claims a shape of {len(shape)} axes, more than the {MOST_AXES} of any array")
    there, itemsize = stop - begin, np.dtype(DTYPES[dtype]).itemsize
    count = numbers_claimed(shape)
    if count * itemsize != there:
        raise InputError(f"{name} claims shape {tuple(shape)} of {dtype}, {in_bytes(count, itemsize)}, and has {there}")
    return name, begin, stop, dtype, shape


def _array(file, name, count, dtype, shape):
    array = read_exactly(file, count, name).view(DTYPES[dtype]).reshape(shape)
    if dtype == BFLOAT16:
        return widen_bfloat16(array)
    return array != 0 if dtype == "BOOL" else array

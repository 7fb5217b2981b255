"""What a PyTorch file's pickle may name, and what is built for it: descriptions of tensors, not tensors.

A tensor is described by its storage (a row of numbers elsewhere in the file), an offset, a size and a stride. Nothing
is read until `Storages.array` is asked for it, and nothing is a view before it is known to stay inside its storage.
"""

import math
import re
from typing import NamedTuple

import numpy as np

from fcn_from_scratch.checks import InputError
from fcn_from_scratch.weights.pickles import dict_key
from fcn_from_scratch.weights.trust import widen_bfloat16

MOST_AXES = 32


class Kind(NamedTuple):
    """A storage class: its name, and the dtype its numbers are stored in."""

    name: str
    stored: str

    @property
    def itemsize(self):
        return np.dtype(self.stored).itemsize


KINDS = [
    Kind("DoubleStorage", "<f8"),
    Kind("FloatStorage", "<f4"),
    Kind("HalfStorage", "<f2"),
    Kind("BFloat16Storage", "<u2"),
    Kind("LongStorage", "<i8"),
    Kind("IntStorage", "<i4"),
    Kind("ShortStorage", "<i2"),
    Kind("CharStorage", "i1"),
    Kind("ByteStorage", "u1"),
    Kind("BoolStorage", "u1"),
]


class Storage(NamedTuple):
    """A reference to `length` numbers from `start` on in the storage `key`, which has `count`."""

    key: str
    kind: Kind
    count: int
    start: int
    length: int


class Tensor(NamedTuple):
    storage: Storage
    offset: int
    size: tuple
    stride: tuple


class Storages:
    """The storages of one file: declared by the pickle, read when an array is asked for, each at most once.

    read    a function (Storage) -> uint8 array of its bytes
    """

    def __init__(self):
        self.declared, self.arrays, self.read = {}, {}, None

    def declare(self, identity):
        """The persistent id of a storage: ("storage", kind, key, place, count) and in old files a window of it."""
        if not isinstance(identity, tuple) or len(identity) not in (5, 6) or identity[0] != "storage":
            raise InputError(
                "its pickle refers to something that is no storage: was a whole model saved? "
                "model.state_dict() is what can be read"
            )
        _, kind, key, _, count, window = (*identity, None)[:6]
        if not isinstance(kind, Kind) or not isinstance(key, str) or not _is_size(count):
            raise InputError("its pickle describes a storage that has no dtype, name or size")
        if self.declared.setdefault(key, (kind, count)) != (kind, count):
            raise InputError(f"storage {key} has two dtypes or sizes")
        start, length = 0, count
        if window is not None:
            if not isinstance(window, tuple) or len(window) != 3 or not all(map(_is_size, window[1:])):
                raise InputError(f"storage {key} has a window without place and size")
            _, start, length = window
        if start + length > count:
            raise InputError(f"storage {key} has {count} numbers; a window reaches to {start + length}")
        return Storage(key, kind, count, start, length)

    def array(self, name, tensor):
        """The tensor as an array: a view of its storage, which it may share with others and need not fill in order."""
        storage, offset, size, stride = tensor
        reach = 1 + sum((n - 1) * step for n, step in zip(size, stride)) if 0 not in size else 0
        if offset + reach > storage.length or math.prod(size) > storage.length:
            raise InputError(f"{name} of shape {size} reaches to number {offset + reach} of {storage.length} stored")
        if storage.key not in self.arrays:
            self.arrays[storage.key] = _numbers(self.read(storage), storage.kind)
        row = self.arrays[storage.key][storage.start + offset :]
        steps = [step * row.itemsize if n > 1 else 0 for n, step in zip(size, stride)]
        return np.lib.stride_tricks.as_strided(row, size, steps) if reach else np.empty(size, row.dtype)


def _numbers(data, kind):
    stored = data.view(kind.stored)
    if kind.name == "BFloat16Storage":
        return widen_bfloat16(stored)
    return stored != 0 if kind.name == "BoolStorage" else stored


# --- what the pickle may call ----------------------------------------------------------------------------------


def rebuild_tensor(storage, offset, size, stride, *flags):
    """A Tensor. The flags (whether it wants a gradient, hooks) say nothing about its numbers."""
    if not isinstance(storage, Storage) or not _is_size(offset):
        raise InputError("its pickle describes a tensor without a storage or a place in it")
    for numbers in (size, stride):
        if not isinstance(numbers, tuple) or len(numbers) > MOST_AXES or not all(map(_is_size, numbers)):
            raise InputError("its pickle describes a tensor whose size or stride is no tuple of sizes")
    if len(size) != len(stride):
        raise InputError(f"its pickle describes a tensor of size {size} with {len(stride)} strides")
    return Tensor(storage, offset, size, stride)


def rebuild_parameter(data, *flags):
    if not isinstance(data, Tensor):
        raise InputError("its pickle describes a parameter that is no tensor")
    return data


def ordered_dict(pairs=()):
    """An OrderedDict, which today's dict is. Python 2 wrote the pairs as an argument."""
    if not isinstance(pairs, (list, tuple)) or not all(isinstance(p, (list, tuple)) and len(p) == 2 for p in pairs):
        raise InputError("its pickle makes an OrderedDict of something that is no list of pairs")
    return {dict_key(key): value for key, value in pairs}


class DType(NamedTuple):
    """numpy.dtype, for the scores that training scripts note as NumPy's numbers."""

    letters: str
    order: str = "<"

    def with_state(self, state):
        """NumPy's state of a dtype: (version, byte order, ...)."""
        if not isinstance(state, tuple) or len(state) < 2 or state[1] not in ("<", ">", "|", "="):
            raise InputError("its pickle gives a dtype an odd state")
        return self._replace(order=state[1])


def dtype(letters, *flags):
    if not isinstance(letters, str) or not re.fullmatch("[fiub][1248]", letters):
        raise InputError("its pickle makes a dtype that is not one of a number")
    return DType(letters)


def scalar(form, data):
    """One of NumPy's numbers, as Python's."""
    data = data.encode("latin-1") if isinstance(data, str) else data
    if not isinstance(form, DType) or not isinstance(data, bytes):
        raise InputError("its pickle makes a number out of something else")
    return np.frombuffer(data, np.dtype(form.order + form.letters), count=1)[0].item()


def encode(text, encoding):
    """How protocol 2 writes bytes."""
    if not isinstance(text, str) or encoding != "latin1":
        raise InputError("its pickle makes bytes out of something else")
    return text.encode("latin-1")


def _is_size(value):
    return type(value) is int and value >= 0


GLOBALS = {
    **{f"torch {kind.name}": kind for kind in KINDS},
    "torch._utils _rebuild_tensor": rebuild_tensor,
    "torch._utils _rebuild_tensor_v2": rebuild_tensor,
    "torch._utils _rebuild_parameter": rebuild_parameter,
    "collections OrderedDict": ordered_dict,
    "numpy dtype": dtype,
    "numpy.core.multiarray scalar": scalar,
    "numpy._core.multiarray scalar": scalar,
    "_codecs encode": encode,
}

"""What a PyTorch file's pickle may name, and the objects built for it: descriptions of tensors, not tensors.

A tensor is described by its storage (a row of numbers elsewhere in the file), an offset, a size and a stride. Numbers
are read only when `Storages.array` is called. It makes a view only after checking that the view stays inside its
storage.
"""

import re
from typing import NamedTuple

import numpy as np

from fcn_from_scratch.checks import MOST_AXES, InputError, numbers_claimed
from fcn_from_scratch.weights.pickles import dict_key
from fcn_from_scratch.weights.placeholders import Placeholder
from fcn_from_scratch.weights.trust import widen_bfloat16

MOST_NUMBERS = 1 << 30  # of all arrays that share storages, beyond those that are stored
MOST_REPEATED = 1 << 24  # numbers of all arrays that say more than their storage holds, by a stride of 0


class Kind(NamedTuple):
    """A storage class of PyTorch: its name, and the dtype in which its numbers are stored."""

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
    """A reference to `length` numbers in the storage `key`, beginning at `start`. The storage has `count` numbers."""

    key: str
    kind: Kind
    count: int
    start: int
    length: int


class Tensor(NamedTuple):
    """A view of a storage. `negative`: its numbers have the other sign than those that are stored."""

    storage: Storage
    offset: int
    size: tuple
    stride: tuple
    negative: bool = False


class Storages:
    """The storages of one file. The pickle declares them; each is read at most once, when an array is asked for.

    read    a function (Storage) -> uint8 array of its bytes
    """

    def __init__(self):
        self.declared, self.arrays, self.read = {}, {}, None
        self.room, self.room_repeated = MOST_NUMBERS, MOST_REPEATED

    def declare(self, identity):
        """Declare a storage by its persistent id. Returns: Storage; a Placeholder for a class or other numbers.

        The id is ("storage", kind, key, place, count). In old files a window of the storage may follow.
        """
        if isinstance(identity, tuple) and len(identity) == 4 and identity[0] == "module":
            kind = identity[1]  # a class, which old files keep with its file and its source code
            return kind if isinstance(kind, Placeholder) else Placeholder("a class")
        if not isinstance(identity, tuple) or len(identity) not in (5, 6) or identity[0] != "storage":
            raise InputError(
                "its pickle refers to something that is no storage: was a whole model saved? "
                "model.state_dict() is what can be read"
            )
        _, kind, key, _, count, window = (*identity, None)[:6]
        if isinstance(kind, Placeholder):
            return kind
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
        """The tensor as an array. It is a view of its storage, with any strides, and others may share the storage."""
        storage, offset, size, stride, negative = tensor
        reach = 1 + sum((n - 1) * step for n, step in zip(size, stride)) if 0 not in size else 0
        count = numbers_claimed(size)
        if offset + reach > storage.length:
            raise InputError(f"{name} of shape {size} reaches to number {offset + reach} of {storage.length} stored")
        row = self._row(storage, negative)[storage.start + offset :]
        self._spend(name, size, count, storage)
        steps = [step * row.itemsize if n > 1 else 0 for n, step in zip(size, stride)]
        return np.lib.stride_tricks.as_strided(row, size, steps) if reach else np.empty(size, row.dtype)

    def _row(self, storage, negative):
        """All numbers of a storage, with their sign or with the other one."""
        key = (storage.key, negative)
        if negative and key not in self.arrays:
            self.arrays[key] = np.negative(self._row(storage, False))
        elif key not in self.arrays:
            self.arrays[key] = _numbers(self.read(storage), storage.kind)
            self.room += storage.count
        return self.arrays[key]

    def _spend(self, name, size, count, storage):
        """Count the numbers of an array. A small file could otherwise describe arrays that no memory holds."""
        self.room -= count
        if count > storage.length:
            self.room_repeated -= count
        if self.room_repeated < 0:
            raise InputError(f"{name} of shape {size} repeats the {storage.length} numbers that are stored too often")
        if self.room < 0:
            raise InputError("its arrays share the same numbers too often: this is not a file of weights")


def _numbers(data, kind):
    stored = data.view(kind.stored)
    if kind.name == "BFloat16Storage":
        return widen_bfloat16(stored)
    return stored != 0 if kind.name == "BoolStorage" else stored


# --- what the pickle may call ----------------------------------------------------------------------------------


def rebuild_tensor(storage, offset, size, stride, requires_grad=False, hooks=None, metadata=None):
    """Describe a tensor. Whether it requires a gradient, and its hooks, say nothing about its numbers.

    metadata   how PyTorch reads the numbers: {"neg": True} changes their sign. {"conj": True} changes nothing here,
               since real numbers are their own conjugates, and complex ones are not read
    Returns: Tensor; a Placeholder for one whose numbers mean something that is not known here.
    """
    if isinstance(storage, Placeholder):
        return storage
    if not isinstance(storage, Storage) or not _is_size(offset):
        raise InputError("its pickle describes a tensor without a storage or a place in it")
    for numbers in (size, stride):
        if not isinstance(numbers, tuple) or len(numbers) > MOST_AXES or not all(map(_is_size, numbers)):
            raise InputError("its pickle describes a tensor whose size or stride is no tuple of sizes")
    if len(size) != len(stride):
        raise InputError(f"its pickle describes a tensor of size {size} with {len(stride)} strides")
    metadata = {} if metadata is None else metadata
    if not isinstance(metadata, dict) or any(metadata[key] is not False for key in metadata.keys() - {"neg", "conj"}):
        return Placeholder("a tensor with unknown metadata")
    negative = metadata.get("neg", False) is not False
    if negative and storage.kind.name == "BoolStorage":
        return Placeholder("a negative truth value")
    return Tensor(storage, offset, size, stride, negative)


def rebuild_parameter(data, *flags):
    if not isinstance(data, (Tensor, Placeholder)):
        raise InputError("its pickle describes a parameter that is no tensor")
    return data


def rebuild_from_type(function, kind, arguments, state):
    """Describe a tensor with attributes, or of a class of its own. Neither says anything about its numbers."""
    if function not in (rebuild_tensor, rebuild_parameter) or not isinstance(arguments, tuple):
        return kind if isinstance(kind, Placeholder) else Placeholder("a tensor of another kind")
    return function(*arguments)


def ordered_dict(pairs=()):
    """Stand in for OrderedDict. Today's dict is ordered too. Python 2 wrote the pairs as an argument."""
    if not isinstance(pairs, (list, tuple)) or not all(isinstance(p, (list, tuple)) and len(p) == 2 for p in pairs):
        raise InputError("its pickle makes an OrderedDict of something that is no list of pairs")
    return Ordered({dict_key(key): value for key, value in pairs})


class Ordered(dict):
    """A dict. If the file gives it attributes, they are kept. `fcn export` writes its facts there."""

    def with_state(self, state):
        self.attributes = state if isinstance(state, dict) else {}
        return self


class DType(NamedTuple):
    """Stand in for numpy.dtype. Training scripts note their scores as NumPy's numbers."""

    letters: str
    order: str = "<"

    def with_state(self, state):
        """NumPy's state of a dtype: (version, byte order, ...)."""
        if not isinstance(state, tuple) or len(state) < 2 or state[1] not in ("<", ">", "|", "="):
            raise InputError("its pickle gives a dtype an odd state")
        return self._replace(order=state[1])


def dtype(letters, *flags):
    """The dtype of a number. Returns: DType; a Placeholder for a dtype of anything else, such as text or dates."""
    is_number = isinstance(letters, str) and re.fullmatch("[fiub][1248]", letters)
    return DType(letters) if is_number else Placeholder("numpy.dtype")


def scalar(form, data):
    """One of NumPy's scalars, as a Python number."""
    if isinstance(form, Placeholder):
        return form
    data = data.encode("latin-1") if isinstance(data, str) else data
    if not isinstance(form, DType) or not isinstance(data, bytes):
        raise InputError("its pickle makes a number out of something else")
    return np.frombuffer(data, np.dtype(form.order + form.letters), count=1)[0].item()


def encode(text, encoding):
    """Stand in for codecs.encode, by which protocol 2 of pickle writes bytes."""
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
    "torch._utils _rebuild_parameter_with_state": rebuild_parameter,
    "torch._tensor _rebuild_from_type_v2": rebuild_from_type,
    "collections OrderedDict": ordered_dict,
    "numpy dtype": dtype,
    "numpy.core.multiarray scalar": scalar,
    "numpy._core.multiarray scalar": scalar,
    "_codecs encode": encode,
}

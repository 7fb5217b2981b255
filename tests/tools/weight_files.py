"""Files of weights in the formats of others, written by hand: what the readers are tested on.

Each writer follows the format's public description and shares no code with the readers.
"""

import io
import json
import pickle
import struct
import types
import zipfile
from collections import OrderedDict

import numpy as np

# --- .caffemodel ----------------------------------------------------------------------------------------------


def varint(value):
    value &= 2**64 - 1
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def field(number, content):
    """A field: an integer, or bytes with their length."""
    if isinstance(content, int):
        return varint(number << 3) + varint(content)
    return varint(number << 3 | 2) + varint(len(content)) + content


def blob(array, old_shape=False, packed=True, double=False):
    array = np.asarray(array)
    number, form, wire = (8, "<f8", 1) if double else (5, "<f4", 5)
    if packed:
        data = field(number, array.astype(form).tobytes())
    else:
        tag = varint(number << 3 | wire)
        data = b"".join(tag + value.tobytes() for value in array.astype(form).ravel())
    if old_shape:
        four = (1,) * (4 - array.ndim) + array.shape
        return b"".join(field(axis + 1, n) for axis, n in enumerate(four)) + data
    return data + field(7, field(1, b"".join(varint(n) for n in array.shape)))


def layer(name, blobs, form="new", kind=None):
    """A layer with blobs that are already bytes; `kind` is its type, a word or, in V1, a number."""
    if form == "new":
        head = field(1, name.encode()) + (field(2, kind.encode()) if kind else b"")
        return field(100, head + b"".join(field(7, b) for b in blobs))
    if form == "v1":
        head = field(4, name.encode()) + (field(5, kind) if kind else b"")
        return field(2, field(2, b"data") + head + b"".join(field(6, b) for b in blobs))
    head = field(1, name.encode()) + (field(2, kind.encode()) if kind else b"")
    return field(2, field(1, head + b"".join(field(50, b) for b in blobs)) + field(2, b"data"))


KINDS = {
    "new": {"conv": "Convolution", "fc": "InnerProduct", "scale": "Scale"},
    "v1": {"conv": 4, "fc": 14, "scale": None},
    "v0": {"conv": "conv", "fc": "innerproduct", "scale": None},
}


def caffemodel(arrays, form="new", **options):
    """A net of the layers whose weights and biases these are, with layers around them that have none."""
    options.setdefault("old_shape", form != "new")
    layers = OrderedDict()
    for key, array in arrays.items():
        layers.setdefault(key.rpartition(".")[0], []).append(array)
    parts = [field(1, b"a net"), layer("data", [], form, None)]
    for name, group in layers.items():
        kind = "scale" if name.startswith("scale") else "fc" if group[0].ndim == 2 else "conv"
        parts.append(layer(name, [blob(a, **options) for a in group], form, KINDS[form][kind]))
        parts.append(layer(f"relu_{name}", [], form, None))
    return b"".join(parts)


# --- .safetensors ---------------------------------------------------------------------------------------------

SAFE_DTYPES = {"f8": "F64", "f4": "F32", "f2": "F16", "i8": "I64", "i4": "I32", "u1": "U8", "b1": "BOOL"}


def safetensors(arrays, metadata=None, header=None):
    """`header` replaces the true one."""
    table, data = {} if metadata is None else {"__metadata__": metadata}, b""
    for name, array in arrays.items():
        offsets = [len(data), len(data) + array.nbytes]
        table[name] = {"dtype": SAFE_DTYPES[array.dtype.str[1:]], "shape": list(array.shape), "data_offsets": offsets}
        data += array.tobytes()
    text = json.dumps(table if header is None else header).encode()
    return struct.pack("<Q", len(text)) + text + data


# --- PyTorch --------------------------------------------------------------------------------------------------

TORCH_DTYPES = {
    "f8": "DoubleStorage",
    "f4": "FloatStorage",
    "f2": "HalfStorage",
    "i8": "LongStorage",
    "i4": "IntStorage",
    "i2": "ShortStorage",
    "i1": "CharStorage",
    "u1": "ByteStorage",
    "b1": "BoolStorage",
}


def named(name, module):
    """A function that is pickled as module.name."""
    function = types.FunctionType((lambda *_: None).__code__, {})
    function.__name__ = function.__qualname__ = name
    function.__module__ = module
    function.is_named_only = True
    return function


REBUILD = named("_rebuild_tensor_v2", "torch._utils")
REBUILD_PARAMETER = named("_rebuild_parameter", "torch._utils")


class Row:
    """A storage: a flat array, under the name of its class."""

    def __init__(self, array, kind=None):
        self.array = np.ascontiguousarray(array).ravel()
        self.kind = named(kind or TORCH_DTYPES[array.dtype.str[1:]], "torch")


class Tensor:
    """A window of a storage, as torch.save writes it."""

    def __init__(self, row, size, stride, offset=0, parameter=False):
        self.row, self.size, self.stride, self.offset, self.parameter = row, size, stride, offset, parameter

    def __reduce_ex__(self, protocol):
        arguments = (self.row, self.offset, self.size, self.stride, False, OrderedDict())
        if self.parameter:
            return REBUILD_PARAMETER, (Tensor(self.row, self.size, self.stride, self.offset), True, OrderedDict())
        return REBUILD, arguments


def tensor(array, **options):
    """A contiguous tensor of its own storage."""
    array = np.asarray(array)
    stride = tuple(step // array.itemsize for step in np.ascontiguousarray(array).strides)
    return Tensor(Row(array), array.shape, stride if array.ndim else (), **options)


class TorchPickler(pickle._Pickler):
    """Python's pickler in Python: it writes names without importing them, and storages as references."""

    dispatch = dict(pickle._Pickler.dispatch)  # noqa: RUF012, it is how this class is extended

    def __init__(self, file, rows, in_stream=False, protocol=2):
        super().__init__(file, protocol)
        self.rows, self.in_stream = rows, in_stream

    def save_global(self, obj, name=None):
        if not hasattr(obj, "is_named_only"):
            super().save_global(obj, name)
        elif self.proto >= 4:
            self.save(obj.__module__)
            self.save(obj.__name__)
            self.write(pickle.STACK_GLOBAL)
        else:
            self.write(f"c{obj.__module__}\n{obj.__name__}\n".encode())

    dispatch[types.FunctionType] = save_global

    def persistent_id(self, obj):
        if not isinstance(obj, Row):
            return None
        key = str(next((n for n, row in enumerate(self.rows) if row is obj), len(self.rows)))
        if int(key) == len(self.rows):
            self.rows.append(obj)
        return ("storage", obj.kind, key, "cpu", obj.array.size, *([None] if self.in_stream else []))


def torch_pickle(content, rows, in_stream=False, protocol=2):
    file = io.BytesIO()
    TorchPickler(file, rows, in_stream, protocol).dump(content)
    return file.getvalue()


def torch_zip(
    content, folder="archive", byteorder=b"little", data_pkl=None, extra=(), method=zipfile.ZIP_STORED, protocol=2
):
    """What torch.save writes today. `content` is pickled with its Tensors; `data_pkl` replaces the pickle."""
    rows, file = [], io.BytesIO()
    program = torch_pickle(content, rows, protocol=protocol)
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.writestr(f"{folder}/data.pkl", program if data_pkl is None else data_pkl)
        if byteorder is not None:
            archive.writestr(f"{folder}/byteorder", byteorder)
        for number, row in enumerate(rows):
            archive.writestr(f"{folder}/data/{number}", row.array.tobytes())
        archive.writestr(f"{folder}/version", b"3\n")
        for name, data in extra:
            archive.writestr(name, data)
    return file.getvalue()


def torch_stream(content, little_endian=True, magic=0x1950A86A20F9469CFC6C, version=1001, program=None, keys=None):
    """What torch.save wrote before: pickles, one after the other, and then the storages."""
    rows = []
    written = torch_pickle(content, rows, in_stream=True)
    system = {"protocol_version": 1001, "little_endian": little_endian, "type_sizes": {"short": 2, "int": 4, "long": 4}}
    out = b"".join(pickle.dumps(value, 2) for value in (magic, version, system))
    out += (written if program is None else program) + pickle.dumps(
        [str(number) for number in range(len(rows))] if keys is None else keys, 2
    )
    return out + b"".join(struct.pack("<q", row.array.size) + row.array.tobytes() for row in rows)


def state_dict(arrays):
    return OrderedDict((name, tensor(array)) for name, array in arrays.items())


# --- Chainer --------------------------------------------------------------------------------------------------


def chainer_names(arrays):
    """conv1_1/W for conv1_1.weight."""
    return {name.replace(".weight", "/W").replace(".bias", "/b"): array for name, array in arrays.items()}

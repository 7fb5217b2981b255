"""ONNX files without ONNX's packages: a reader, and an interpreter of the operators that `fcn export` writes.

The reader walks through the fields with weights.protobuf; the numbers of the fields are those of onnx.proto. The
interpreter follows ONNX's description of each operator and computes with the package's ops. onnxruntime is the other
judge of the same files, where it is installed.
"""

from typing import NamedTuple

import numpy as np

from fcn_from_scratch import ops
from fcn_from_scratch.weights.protobuf import Reader

DTYPES = {1: "<f4", 7: "<i8"}


class Node(NamedTuple):
    operator: str
    name: str
    inputs: list
    outputs: list
    attributes: dict


class File(NamedTuple):
    ir_version: int
    opset: int
    producer: tuple
    metadata: dict
    nodes: list
    constants: dict  # name -> array
    inputs: dict  # name -> shape, with words for sizes that are free
    outputs: dict


class _Parser:
    """The fields of a message: {number: [value, ...]}, where a message or a string is a span of the file."""

    def __init__(self, file):
        self.file, self.reader = file, Reader(file)

    def fields(self, span):
        found = {}
        for number, _, value in self.reader.fields(span):
            found.setdefault(number, []).append(value)
        return found

    def bytes(self, span):
        self.file.seek(span[0])
        return self.file.read(span[1] - span[0])

    def text(self, span):
        return self.bytes(span).decode()

    def node(self, span):
        found = self.fields(span)
        names = [[self.text(each) for each in found.get(number, [])] for number in (1, 2)]
        attributes = dict(self.attribute(each) for each in found.get(5, []))
        return Node(self.text(found[4][0]), self.text(found[3][0]), *names, attributes)

    def attribute(self, span):
        found = self.fields(span)
        (kind,), name = found[20], self.text(found[1][0])
        if kind == 1:  # a run of floats is a span with its tags; one float is five bytes
            return name, float(np.frombuffer(self.bytes(found[2][0])[-4:], "<f4")[0])
        if kind == 2:
            return name, found[3][0]
        if kind == 3:
            return name, self.text(found[4][0])
        assert kind == 7
        return name, found[8]

    def tensor(self, span):
        found = self.fields(span)
        dtype = DTYPES[found[2][0]]
        return self.text(found[8][0]), np.frombuffer(self.bytes(found[9][0]), dtype).reshape(found.get(1, []))

    def value(self, span):
        found = self.fields(span)
        (tensor,) = self.fields(found[2][0])[1]
        tensor = self.fields(tensor)
        assert tensor[1] == [1]
        dims = [self.fields(each) for each in self.fields(tensor[2][0])[1]]
        return self.text(found[1][0]), tuple(dim[1][0] if 1 in dim else self.text(dim[2][0]) for dim in dims)


def read(path):
    """The File at `path`."""
    with open(path, "rb") as file:
        parser = _Parser(file)
        top = parser.fields(parser.reader.span)
        (graph,) = top[7]
        graph = parser.fields(graph)
        assert len(top[8]) == 1
        facts = [parser.fields(each) for each in top.get(14, [])]
        return File(
            top[1][0],
            parser.fields(top[8][0])[2][0],
            tuple(parser.text(top[number][0]) for number in (2, 3)),
            {parser.text(each[1][0]): parser.text(each[2][0]) for each in facts},
            [parser.node(each) for each in graph[1]],
            dict(parser.tensor(each) for each in graph.get(5, [])),
            dict(parser.value(each) for each in graph[11]),
            dict(parser.value(each) for each in graph[12]),
        )


def run(file, image):
    """The outputs of a File for an image, in order."""
    values = {**file.constants, "image": image}
    for node in file.nodes:
        found = OPERATORS[node.operator](node.attributes, *(values[name] if name else None for name in node.inputs))
        found = found if isinstance(found, tuple) else (found,)
        values.update(zip(node.outputs, found))
    return [values[name] for name in file.outputs]


def _padding(a):
    half = len(a["pads"]) // 2
    assert a["pads"][:half] == a["pads"][half:]
    return a["pads"][:half]


def _conv(a, x, weight, bias=None):
    assert list(weight.shape[2:]) == a["kernel_shape"]
    return ops.conv2d(x, weight, bias, a["strides"], _padding(a), a.get("dilations", (1, 1)), a.get("group", 1))


def _conv_transpose(a, x, weight, bias=None):
    extra, dilations = a.get("output_padding", (0, 0)), a.get("dilations", (1, 1))
    return ops.conv_transpose2d(x, weight, bias, a["strides"], _padding(a), extra, a["group"], dilations)


def _max_pool(a, x):
    y, indices = ops.max_pool2d(x, a["kernel_shape"], a["strides"], _padding(a), a["dilations"], bool(a["ceil_mode"]))
    planes = np.arange(x.shape[0] * x.shape[1]).reshape(*x.shape[:2], 1, 1)
    return y, indices + planes * (x.shape[2] * x.shape[3])


def _slice(a, x, starts, ends, axes=None):
    index = [slice(None)] * x.ndim
    for axis, start, end in zip(range(len(starts)) if axes is None else axes, starts, ends):
        assert 0 <= start <= end <= x.shape[axis]
        index[axis] = slice(start, end)
    return x[tuple(index)]


def _scatter(a, data, indices, updates):
    assert a["axis"] == 0
    data = data.copy()
    data[indices] = updates
    return data


def _resize(a, x, _, scales):
    assert (a["mode"], a["coordinate_transformation_mode"], a["nearest_mode"]) == ("nearest", "asymmetric", "floor")
    assert list(scales[:2]) == [1, 1]
    return x.repeat(int(scales[2]), axis=2).repeat(int(scales[3]), axis=3)


def _lrn(a, x):
    """The window of ONNX: c - floor((size - 1) / 2) to c + ceil((size - 1) / 2)."""
    before, after = (a["size"] - 1) // 2, -(-(a["size"] - 1) // 2)
    square = np.stack([(x[:, max(0, c - before) : c + after + 1] ** 2).sum(axis=1) for c in range(x.shape[1])], axis=1)
    return x / (a["bias"] + a["alpha"] / a["size"] * square) ** a["beta"]


def _depth_to_space(a, x):
    assert a["mode"] == "CRD"
    n, c, h, w = x.shape
    r = a["blocksize"]
    return x.reshape(n, c // r**2, r, r, h, w).transpose(0, 1, 4, 2, 5, 3).reshape(n, c // r**2, h * r, w * r)


def _average_pool(a, x):
    return ops.avg_pool2d(x, a["kernel_shape"], a["strides"], _padding(a), False, bool(a["count_include_pad"]))


OPERATORS = {
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "MaxPool": _max_pool,
    "AveragePool": _average_pool,
    "LRN": _lrn,
    "Resize": _resize,
    "DepthToSpace": _depth_to_space,
    "Slice": _slice,
    "ScatterElements": _scatter,
    "Relu": lambda a, x: np.maximum(x, 0),
    "Concat": lambda a, *maps: np.concatenate(maps, axis=a["axis"]),
    "Add": lambda a, x, y: _add(x, y),
    "Sub": lambda a, x, y: x - y,
    "Mul": lambda a, x, y: x * y,
    "Min": lambda a, x, y: np.minimum(x, y),
    "Sum": lambda a, *maps: sum(maps[1:], maps[0]),
    "Shape": lambda a, x: np.int64(x.shape),
    "Size": lambda a, x: np.int64(x.size),
    "Reshape": lambda a, x, shape: x.reshape(shape),
    "ConstantOfShape": lambda a, shape: np.zeros(shape, np.float32),
    "Gemm": lambda a, x, weight, bias: x @ weight.T + bias if a["transB"] else None,
    "Flatten": lambda a, x: x.reshape(len(x), -1) if a["axis"] == 1 else None,
    "Identity": lambda a, x: x,
}


def _add(x, y):
    """Nothing here is broadcast by mistake."""
    assert x.shape == y.shape
    return x + y

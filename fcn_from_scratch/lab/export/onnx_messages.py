"""The messages of an ONNX file that are needed here: model, graph, node, attribute, tensor, and the type of a value.

The numbers of the fields are those of onnx.proto, https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
"""

import numpy as np

from fcn_from_scratch.lab.export.protobuf import Message

OPSET = 13  # the version of the operators, of 2020; ONNX Runtime reads it since version 1.6
IR_VERSION = 7  # the version of the file's format that belongs to it
FLOAT, INT64 = 1, 7  # of TensorProto.DataType
DATA_TYPES = {"<f4": FLOAT, "<i8": INT64}


def model(graph, facts):
    """ModelProto. `facts` become its metadata_props, a dict of strings."""
    name, _, version = facts["producer"].partition(" ")
    message = Message().integer(1, IR_VERSION).text(2, name).text(3, version).message(7, graph)
    message.message(8, Message().text(1, "").integer(2, OPSET))
    for key, value in facts.items():
        message.message(14, Message().text(1, key).text(2, value))
    return message


def graph(name, words, nodes, constants, inputs, outputs):
    """GraphProto. `words` describe it; `constants` is a dict name -> array."""
    message = Message()
    for each in nodes:
        message.message(1, each)
    message.text(2, name)
    for key, array in constants.items():
        message.message(5, tensor(key, array))
    message.text(10, words)
    for number, values in ((11, inputs), (12, outputs)):
        for each in values:
            message.message(number, each)
    return message


def node(operator, name, inputs, outputs, attributes):
    """NodeProto. `attributes` is a dict name -> integer, float, string or list of integers."""
    message = Message()
    for number, values in ((1, inputs), (2, outputs)):
        for value in values:
            message.text(number, value)
    message.text(3, name).text(4, operator)
    for key, value in attributes.items():
        message.message(5, attribute(key, value))
    return message


def attribute(name, value):
    """AttributeProto. Its field 20 says which kind of value it holds."""
    message = Message().text(1, name)
    if isinstance(value, float):
        return message.real(2, value).integer(20, 1)
    if isinstance(value, str):
        return message.text(4, value).integer(20, 3)
    if isinstance(value, (list, tuple)):
        for number in value:
            message.integer(8, number)
        return message.integer(20, 7)
    return message.integer(3, value).integer(20, 2)


def tensor(name, array):
    """TensorProto of a float32 or int64 array."""
    message = Message()
    for size in array.shape:
        message.integer(1, size)
    array = np.asarray(array, array.dtype.newbyteorder("<"))
    return message.integer(2, DATA_TYPES[array.dtype.str]).text(8, name).array(9, array)


def value(name, shape):
    """ValueInfoProto of a float32 tensor. A size is an integer, or a word for a size that is free."""
    dims = Message()
    for size in shape:
        dims.message(1, Message().text(2, size) if isinstance(size, str) else Message().integer(1, size))
    kind = Message().integer(1, FLOAT).message(2, dims)
    return Message().text(1, name).message(2, Message().message(1, kind))

"""Read .caffemodel files: Caffe's NetParameter, in today's form and in the two older forms.

NetParameter   field 100 `layer`: name 1, type 2 (a word), blobs 7
               field 2 `layers`, the V1 form: name 4, type 5 (a number), blobs 6
               field 2 with a field 1 in it, the oldest form: that field's name 1, type 2 (a word), blobs 50
BlobProto      data 5 (float) or double_data 8; shape 7 {dim 1}, or the older num 1, channels 2, height 3, width 4
Everything else is skipped and never read, the network's description and the gradients included.
Source: caffe.proto of BVLC's Caffe.
"""

from typing import NamedTuple

import numpy as np

from fcn_from_scratch.checks import MOST_AXES, InputError, numbers_claimed
from fcn_from_scratch.files import open_regular
from fcn_from_scratch.weights.protobuf import LENGTH, VARINT, Reader
from fcn_from_scratch.weights.trust import sound

OLD_LAYERS, LAYERS = 2, 100
FIRST_BYTES = bytes([0x0A, 0x12, 0x1A, 0x20, 0x22, 0x28, 0x32, 0x38, 0x42, 0xA2])  # the tags of NetParameter's fields


class _Form(NamedTuple):
    """The field numbers under which one form of layer keeps its name, type and blobs."""

    label: str
    name: int
    type: int
    blobs: int


NEW, V1, V0 = _Form("layer", 1, 2, 7), _Form("layers, V1", 4, 5, 6), _Form("layers, V0", 1, 2, 50)
V0_IN_V1 = 1
SHAPE, DATA, DOUBLE_DATA, OLD_SHAPE = 7, 5, 8, (1, 2, 3, 4)
FULLY_CONNECTED = ("InnerProduct", "innerproduct", 14)
CONVOLUTIONS = ("Convolution", "Deconvolution", "conv", 4, 39)


def read_caffemodel(path):
    """Read the arrays of every layer with blobs. Returns: (arrays, form).

    arrays is a dict such as "conv1_1.weight" -> array, and form names the form of the layers. Blob 0 of a layer is its
    weight, blob 1 its bias. An old blob always has four sizes. A fully connected weight (1, 1, out, in) and a bias
    (1, 1, 1, out) lose their leading ones; a convolution's weight keeps them.

    The memory used is that of the arrays.
    Raises: InputError naming the file when it is damaged or claims other sizes than it has.
    """
    arrays, form, layers = {}, None, 0
    with open_regular(path) as file, sound(path, ".caffemodel"):
        reader = Reader(file)
        for number, wire, value in reader.fields(reader.span):
            if wire == LENGTH and number in (LAYERS, OLD_LAYERS):
                form = _read_layer(reader, value, NEW if number == LAYERS else V1, arrays)
                layers += 1
        if not layers:
            raise InputError("it has no layers")
        if not arrays:
            raise InputError(f"none of its {layers} layers has weights: is it the description of a net?")
    return arrays, form.label


def _read_layer(reader, span, form, arrays):
    """Add a layer's blobs to `arrays`. Returns: the layer's _Form."""
    name, kind, blobs = None, None, []
    for number, wire, value in reader.fields(span):
        if form is V1 and number == V0_IN_V1 and wire == LENGTH:
            return _read_layer(reader, value, V0, arrays)
        if number == form.name:
            name = reader.text(wire, value)
        elif number == form.type:
            kind = value if wire == VARINT else reader.text(wire, value)
        elif number == form.blobs and wire == LENGTH:
            blobs.append(value)
    if blobs and not name:
        raise InputError("a layer with weights has no name")
    for index, blob in enumerate(blobs):
        key = f"{name}.{('weight', 'bias')[index] if index < 2 else index}"
        if key in arrays:
            raise InputError(f"two layers are called {name}")
        arrays[key] = _read_blob(reader, blob, key, kind, index)
    return form


def _read_blob(reader, span, key, kind, index):
    data, old, shape, dtype = bytearray(), {}, None, None
    for number, wire, value in reader.fields(span):
        if number in (DATA, DOUBLE_DATA):
            if dtype not in (None, number):
                raise InputError(f"{key} has both float and double numbers")
            dtype = number
            reader.append(data, wire, value, 4 if number == DATA else 8)
        elif number in OLD_SHAPE:
            old[number] = reader.integers(wire, value)[-1]
        elif number == SHAPE and wire == LENGTH:
            shape = _read_shape(reader, value, key)
    array = np.frombuffer(data, "<f8" if dtype == DOUBLE_DATA else "<f4")
    if shape is None and old:
        shape = _without_leading_ones([old.get(field, 0) for field in OLD_SHAPE], kind, index)
    if shape is None or min(shape, default=1) < 0 or numbers_claimed(shape) != array.size:
        claimed = "no shape" if shape is None else f"shape {tuple(shape)}"
        raise InputError(f"{key} claims {claimed} and has {array.size} numbers")
    return array.reshape(shape)


def _read_shape(reader, span, key):
    shape = []
    for number, wire, value in reader.fields(span):
        if number == 1:
            shape += reader.integers(wire, value)
        if len(shape) > MOST_AXES:
            raise InputError(f"{key} claims a shape of more than {MOST_AXES} axes")
    return shape


def _without_leading_ones(shape, kind, index):
    """The true shape of an old blob, which is written with four sizes."""
    if index == 0 and kind in FULLY_CONNECTED:
        return shape[2:] if shape[:2] == [1, 1] else shape
    if index == 0 and (kind in CONVOLUTIONS or shape[:2] != [1, 1]):
        return shape
    while len(shape) > 1 and shape[0] == 1:
        shape = shape[1:]
    return shape

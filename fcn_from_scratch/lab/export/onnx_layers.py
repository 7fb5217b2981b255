"""Each layer as operators of ONNX.

For each kind of layer there is a function f(graph, name, layer, *maps). It adds operators to the onnx_graph.Graph and
returns the name of their result, which is `name` except for layers that do nothing. `maps` are the names of what the
layer reads. The operators run in eval mode: dropout does nothing.
"""

import numpy as np

from fcn_from_scratch import layers
from fcn_from_scratch.checks import InputError
from fcn_from_scratch.lab.export.tensors import kernel_of

INSTEAD = "export the weights alone, as .safetensors or .pth"  # of a network that ONNX cannot hold


def add(graph, name, layer, *maps):
    """Add one layer to the graph. Raises: InputError for a layer that has no counterpart."""
    if type(layer) not in COUNTERPARTS:
        raise InputError(f"{layer.label} has no counterpart in ONNX here: {INSTEAD}")
    return COUNTERPARTS[type(layer)](graph, name, layer, *maps)


def _conv2d(graph, name, layer, x):
    place = _window(layer) | {"dilations": layer.dilation, "group": layer.groups}
    return graph.add("Conv", name, [x, *graph.parameters(name, layer)], **place)


def _conv_transpose2d(graph, name, layer, x):
    place = _window(layer) | {
        "dilations": layer.dilation,
        "group": layer.groups,
        "output_padding": layer.output_padding,
    }
    return graph.add("ConvTranspose", name, [x, *graph.parameters(name, layer)], **place)


def _bilinear_upsample(graph, name, layer, x):
    """A transposed convolution with one group for each channel. ONNX's Resize treats the borders in another way."""
    channels = graph.channels[x]
    kernel = np.broadcast_to(kernel_of(layer), (channels, 1, *layer.kernel_size))
    return graph.add(
        "ConvTranspose", name, [x, graph.constant(f"{name}.weight", kernel)], group=channels, **_window(layer)
    )


def _nearest_upsample(graph, name, layer, x):
    scales = graph.constant(f"{name}.scales", np.float32([1, 1, *layer.scale]))
    how = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    return graph.add("Resize", name, [x, "", scales], **how)


def _max_pool2d(graph, name, layer, x):
    """With its indices as a second result, NAME.indices, if an unpooling needs them."""
    if layer.ceil_mode and any(s > k for s, k in zip(layer.stride, layer.kernel_size)):
        raise InputError(f"{layer.label} rounds up with a stride above its window, which ONNX does differently")
    place = _window(layer) | {"dilations": layer.dilation, "ceil_mode": int(layer.ceil_mode)}
    return graph.add("MaxPool", name, [x], more=["indices"] if layer in graph.unpooled else [], **place)


def _max_unpool2d(graph, name, layer, x, read, made):
    """Scatter x over zeros of the size of `read`, the map that the pool had read; `made` is the pool's result.

    ONNX counts indices through the whole batch. Its MaxUnpool counts them in a map of the size that the pool would have
    without rounding, which is not the map's own size here.
    """
    flat = graph.constant("flat", np.int64([-1]))
    count = graph.add("Reshape", f"{name}.count", [graph.add("Size", f"{name}.all", [read]), flat])
    zeros = graph.add("ConstantOfShape", f"{name}.zeros", [count])
    indices = graph.add("Reshape", f"{name}.places", [f"{made}.indices", flat])
    values = graph.add("Reshape", f"{name}.values", [x, flat])
    row = graph.add("ScatterElements", f"{name}.row", [zeros, indices, values], axis=0)
    return graph.add("Reshape", name, [row, graph.add("Shape", f"{name}.shape", [read])])


def _avg_pool2d(graph, name, layer, x):
    if layer.ceil_mode:
        raise InputError(f"{layer.label} rounds up; ONNX averages the last windows differently")
    return graph.add("AveragePool", name, [x], count_include_pad=int(layer.count_include_pad), **_window(layer))


def _local_response_norm(graph, name, layer, x):
    if layer.size % 2 == 0:
        raise InputError(f"{layer.label} sums over {layer.size} channels; ONNX allows only odd numbers")
    numbers = {"alpha": float(layer.alpha), "beta": float(layer.beta), "bias": float(layer.k)}
    return graph.add("LRN", name, [x], size=layer.size, **numbers)


def _linear(graph, name, layer, x):
    return graph.add("Gemm", name, [x, *graph.parameters(name, layer)], transB=1)


def _pixel_shuffle(graph, name, layer, x):
    return graph.add("DepthToSpace", name, [x], blocksize=layer.upscale_factor, mode="CRD")


def _skip_fusion(graph, name, layer, scores, skip):
    """Score the skip, crop both maps to where they overlap, and add them."""
    if layer.scale != 1:
        scale = graph.constant(f"{name}.scale", np.float32(layer.scale))
        skip = graph.add("Mul", f"{name}.scaled", [skip, scale])
    fine = graph.add("Conv", f"{name}.score", [skip, *graph.parameters(name, layer)], **_window(layer.score))
    parts = [(scores, [max(-o, 0) for o in layer.offset]), (fine, [max(o, 0) for o in layer.offset])]
    rests = [
        _less(graph, f"{name}.{key}", graph.size(part), cut) for key, (part, cut) in zip(("coarse", "fine"), parts)
    ]
    size = graph.add("Min", f"{name}.size", rests)
    cropped = [_cut(graph, f"{name}.crop_{number}", part, cut, size) for number, (part, cut) in enumerate(parts)]
    return graph.add("Add", name, cropped)


def _crop(graph, name, layer, x, reference=None):
    """The size is that of the reference, which is known only when the graph runs; or the layer's own."""
    size = graph.constant(f"{name}.size", np.int64(layer.size)) if reference is None else graph.size(reference)
    return _cut(graph, name, x, layer.offset, size)


def _cut(graph, name, x, offset, size):
    """The window of x that begins at `offset` and has the (H, W) `size`, the name of a vector of two integers."""
    starts = graph.constant(f"{name}.starts", np.int64(offset))
    ends = graph.add("Add", f"{name}.ends", [size, starts])
    return graph.add("Slice", name, [x, starts, ends, graph.constant("rows_and_columns", np.int64([2, 3]))])


def _less(graph, name, size, offset):
    return graph.add("Sub", name, [size, graph.constant(f"{name}.from", np.int64(offset))])


def _sum(graph, name, layer, *maps):
    if layer.scale == 1:
        return graph.add("Sum", name, maps)
    total = graph.add("Sum", f"{name}.sum", maps)
    return graph.add("Mul", name, [total, graph.constant(f"{name}.scale", np.float32(layer.scale))])


def _nothing(graph, name, layer, x):
    return x


def _window(layer):
    """The attributes of a window. ONNX wants the padding at the beginning and at the end of each axis."""
    return {"kernel_shape": layer.kernel_size, "strides": layer.stride, "pads": [*layer.padding, *layer.padding]}


COUNTERPARTS = {
    layers.Conv2d: _conv2d,
    layers.ConvTranspose2d: _conv_transpose2d,
    layers.BilinearUpsample: _bilinear_upsample,
    layers.NearestUpsample: _nearest_upsample,
    layers.PixelShuffle: _pixel_shuffle,
    layers.MaxPool2d: _max_pool2d,
    layers.MaxUnpool2d: _max_unpool2d,
    layers.AvgPool2d: _avg_pool2d,
    layers.LocalResponseNorm: _local_response_norm,
    layers.ReLU: lambda graph, name, layer, x: graph.add("Relu", name, [x]),
    layers.Dropout: _nothing,
    layers.ChannelDropout: _nothing,
    layers.Flatten: lambda graph, name, layer, x: graph.add("Flatten", name, [x], axis=1),
    layers.Linear: _linear,
    layers.SkipFusion: _skip_fusion,
    layers.Crop: _crop,
    layers.Concat: lambda graph, name, layer, *maps: graph.add("Concat", name, maps, axis=1),
    layers.Sum: _sum,
}

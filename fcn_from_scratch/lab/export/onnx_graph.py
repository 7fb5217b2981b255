"""A network as a graph of ONNX's operators, made from the network's own list of layers (geometry.graph)."""

import numpy as np

from fcn_from_scratch import geometry, layers
from fcn_from_scratch.geometry.graph import entries
from fcn_from_scratch.lab.export import onnx_layers, onnx_messages
from fcn_from_scratch.lab.export.tensors import float32

IMAGE, SCORES = "image", "scores"  # the names of the input and of the output
FREE = "batch", "height", "width"  # sizes that are known only when the graph runs


class Graph:
    """A graph in the making.

    nodes      the operators, as messages, in the order in which they can run
    constants  name -> array: the parameters under the network's names, kernels, and numbers such as a crop's offset
    unpooled   the pools whose indices are needed
    channels   name of a map -> its number of channels
    """

    def __init__(self):
        self.nodes, self.constants, self.unpooled, self.channels, self._sizes = [], {}, set(), {}, {}

    def add(self, operator, name, inputs, *, more=(), **attributes):
        """Add an operator. Its results are `name`, and NAME.WORD for each word in `more`. Returns: `name`."""
        outputs = [name, *(f"{name}.{word}" for word in more)]
        self.nodes.append(onnx_messages.node(operator, name, inputs, outputs, attributes))
        return name

    def constant(self, name, array):
        """Add a constant, float32 or int64. Returns: its name."""
        self.constants[name] = array if array.dtype == np.int64 else float32(array)
        return name

    def parameters(self, name, layer):
        """Add the layer's parameters as constants. Returns: their names, the weight first."""
        return [self.constant(f"{name}.{key}", array) for key, array in layer.params.items()]

    def size(self, name):
        """The name of the vector (H, W) of a map. It is computed when the graph runs, so no size is fixed."""
        if name not in self._sizes:
            shape = self.add("Shape", f"{name}.shape", [name])
            ends = [self.constant(f"axis_{number}", np.int64([number])) for number in (2, 4)]
            self._sizes[name] = self.add("Slice", f"{name}.size", [shape, *ends])
        return self._sizes[name]


def build(net, shape=None):
    """The Graph of a network, and its inputs and outputs as pairs (name, shape).

    The input is `image` (batch, C, height, width), after the preprocessing. The output is `scores`. A network with two
    heads has the outputs `scores_sem` and `scores_geo`. Sizes that stay free are words.

    shape  (batch, height, width) of the image, if these three are fixed
    Raises: InputError for a layer that has no counterpart in ONNX.
    """
    batch, *size = FREE if shape is None else shape
    sizes = None if shape is None else geometry.map_sizes(net, size)
    nodes, graph = geometry.graph(net), Graph()
    graph.unpooled = {node.layer.pool for node in nodes if isinstance(node.layer, layers.MaxUnpool2d)}
    values, channels = _images(graph, net, nodes)
    read = {source for node in nodes for source in node.sources}
    outputs = []
    for node in nodes:
        maps = [values.get((node.name, source), values.get(source)) for source in node.sources]
        values[node.name] = onnx_layers.add(graph, node.name, node.layer, *maps)
        graph.channels[values[node.name]] = _channels(node, [graph.channels[name] for name in maps])
        if node.name not in read:
            ends = size if shape is None else sizes[node.name].size
            outputs.append(_output(graph, node, values[node.name], batch, ends))
    return graph, [(IMAGE, (batch, channels, *size))], outputs


def _images(graph, net, nodes):
    """What stands for the image. Returns: (a dict, the number of the image's channels).

    The dict has the entry "image". For late fusion it also has an entry (name of a first convolution, "image") for each
    stream, which reads its own channels of the image.
    """
    first = entries(nodes)
    streams = getattr(getattr(net, "trunk", None), "channels", None)
    if streams is None:
        graph.channels[IMAGE] = first[0].layer.in_channels
        return {IMAGE: IMAGE}, graph.channels[IMAGE]
    values, ends = {IMAGE: IMAGE}, np.cumsum(streams)
    graph.channels[IMAGE] = int(ends[-1])
    axis = graph.constant("channel_axis", np.int64([1]))
    for node, count, end in zip(first, streams, ends):
        limits = [graph.constant(f"channel_{number}", np.int64([number])) for number in (end - count, end)]
        part = graph.add("Slice", f"{IMAGE}.{node.name}", [IMAGE, *limits, axis])
        values[node.name, IMAGE], graph.channels[part] = part, count
    return values, graph.channels[IMAGE]


def _channels(node, before):
    """The number of channels of a node's result."""
    if isinstance(node.layer, layers.Concat):
        return sum(before)
    if isinstance(node.layer, layers.PixelShuffle):
        return before[0] // node.layer.upscale_factor**2
    return getattr(node.layer, "out_channels", getattr(node.layer, "out_features", before[0]))


def _output(graph, node, value, batch, size):
    """Name a result that no layer reads. Returns: (name, shape)."""
    head = node.name.removeprefix("crop") if node.name.startswith("crop") else ""
    name = graph.add("Identity", SCORES + head, [value])
    return name, (batch, graph.channels[value], *(size if node.layer.on_grid else ()))

"""What is measured: one network on one batch of pictures, either a forward or a whole training step."""

from itertools import pairwise
from math import prod
from typing import NamedTuple

import numpy as np

from fcn_from_scratch import geometry, layers, models
from fcn_from_scratch.checks import InputError
from fcn_from_scratch.geometry.graph import entries
from fcn_from_scratch.geometry.table import memory
from fcn_from_scratch.lab.bench import drawn
from fcn_from_scratch.layers.conv import ZeroInit
from fcn_from_scratch.ops.shapes import conv_output_size

LESSON = "lesson"  # the network of `--small`: a pool follows each convolution but the last
LESSON_CHANNELS, LESSON_CLASSES = (3, 16, 32, 64, 96), 5

LR, MOMENTUM, WEIGHT_DECAY = 1e-3, 0.9, 5e-4  # of the training step, the same in all rivals


class Work(NamedTuple):
    """A network, a batch of pictures, and what is done with them. Each rival builds its own copy from the same seed.

    model        a name for models.build, or LESSON
    size         of the pictures, (H, W)
    batch        number of pictures
    train        True: a training step (forward, loss, backward, SGD); False: a forward in eval mode
    options      options of models.build, such as width
    num_classes  of the network
    seed         of weights, pictures and labels
    weights      the folder to which another process writes the weights, see bench.drawn; None: draw them
    """

    model: str
    size: tuple
    batch: int = 1
    train: bool = False
    options: dict = {}  # noqa: RUF012  never written to
    num_classes: int = 21
    seed: int = 0
    weights: str | None = None

    @property
    def name(self):
        """The network and what is done with it, in words."""
        name = f"the lesson-size network {'-'.join(map(str, LESSON_CHANNELS))}" if self.model == LESSON else self.model
        name += "".join(f", {option} {value}" for option, value in self.options.items())
        return f"{name}: {'training step' if self.train else 'inference'}"

    @property
    def title(self):
        """The work in words."""
        height, width = self.size
        return f"{self.name}, {self.batch} picture{'s' * (self.batch > 1)} of {height}x{width}"

    def facts(self):
        """What is measured as a dict, for files."""
        return {name: value for name, value in self._asdict().items() if name != "weights"}

    def network(self, dtype="float32"):
        """The network with random weights: the same weights in every dtype.

        Score layers usually start at zero. Here they get random weights too, so that scores can be compared.
        """
        net = self.outline()
        if self.weights is None or not drawn.read(net, self.weights):
            net = self._drawn()
        for generator in net.generators().values():
            generator.bit_generator.state = np.random.default_rng(self.seed + 4).bit_generator.state
        return net if dtype == "float32" else net.astype(dtype)

    def _drawn(self):
        net, rng = self._build(self.seed), np.random.default_rng(self.seed + 1)
        for name, weight in net.params.items():
            if name.startswith("score") and name.endswith("weight"):
                weight[...] = rng.normal(0, weight[0].size ** -0.5, weight.shape)
        return net

    def outline(self):
        """The network without drawn weights, for computing sizes."""
        return self._build(None)

    def _build(self, seed):
        if self.model == LESSON:
            return lesson_network(ZeroInit(np.random.PCG64(0)) if seed is None else np.random.default_rng(seed))
        return models.build(self.model, self.num_classes, seed=seed, **self.options)

    def pictures(self, net):
        """Random numbers in the place of pictures: float32 (N, C, H, W), channels last in memory."""
        rng = np.random.default_rng(self.seed + 2)
        channels = next(iter(net.params.values())).shape[1]
        return rng.standard_normal((self.batch, *self.size, channels), np.float32).transpose(0, 3, 1, 2)

    def labels(self):
        """Random classes, (N, H, W)."""
        number = LESSON_CLASSES if self.model == LESSON else self.num_classes
        return np.random.default_rng(self.seed + 3).integers(0, number, (self.batch, *self.size))

    def multiply_adds(self):
        """Multiply-adds of the direct sums, for the whole batch.

        A training step needs those of the forward, as many again for each layer's input gradient (except for layers
        that read the image), and as many again for each weight gradient.
        """
        net = self.outline()
        table, total = geometry.table(net, self.size), 0
        for row, node in zip(table.rows, geometry.graph(net)):
            times = 1 + self.train * ((node.sources[0] != "image") + (row.parameters > 0))
            total += times * row.multiply_adds
        return self.batch * total

    def bytes(self):
        """Bytes that a rival needs at least.

        A forward needs the weights and two maps of the largest size. A training step also needs gradients, velocities
        and all maps.
        """
        table = geometry.table(self.outline(), self.size)
        weights, largest = 4 * table.parameters, 2 * max(row.bytes for row in table.rows)
        if self.train:
            return 3 * weights + self.batch * table.activation_bytes
        return weights + self.batch * largest

    def check(self, rivals, room=None):
        """Refuse a work that cannot be measured by `rivals` processes together in `room` bytes of memory.

        Raises: InputError for a network with more than one input or output, for pictures that do not fit the network,
        and for too little memory. (A system that runs out of memory may stop any process, not only ours.)
        """
        try:
            found = geometry.graph(self.outline())
        except (ValueError, TypeError) as error:
            raise InputError(str(error)) from None
        read = {source for node in found for source in node.sources}
        ends = [node for node in found if node.name not in read]
        starts = entries(found)
        if len(ends) > 1 or len(starts) > 1 or any(isinstance(node.layer, layers.Flatten) for node in found):
            raise InputError(
                f"fcn bench measures networks with one input picture and one output map; {self.model} is not one"
            )
        try:
            geometry.map_sizes(self.outline(), self.size)
        except ValueError as error:
            height, width = self.size
            raise InputError(f"a picture of {height}x{width} does not fit {self.model}: {error}") from None
        if room is not None and rivals * self.bytes() > room:
            raise InputError(
                f"{rivals} rivals hold at least {memory(rivals * self.bytes())}, and {memory(room)} are free: take a "
                "smaller --size, --batch or --width, or fewer peers (--peer)"
            )


class Conv(NamedTuple):
    """A convolution that is measured alone.

    names          names of the layers that have this shape, joined by commas
    first          the name of the first of them
    x_shape        shape of its input, (N, C, H, W)
    multiply_adds  of one pass, by the direct sum
    bytes          of one pass: input, weight and output once each, in float32
    from_image     whether it reads the picture; then no input gradient is needed
    """

    names: str
    first: str
    x_shape: tuple
    multiply_adds: int
    bytes: int
    from_image: bool

    @property
    def passes(self):
        return ("forward", "weight_grad") if self.from_image else ("forward", "input_grad", "weight_grad")


def convolutions(work):
    """One Conv for each shape of convolution in the network: layers of the same shape cost the same."""
    net = work.outline()
    table, maps = geometry.table(net, work.size), geometry.map_sizes(net, work.size)
    found = {}
    for node in geometry.graph(net):
        conv = convolution(node.layer)
        if conv is None:
            continue
        source = node.sources[-1]  # of a skip fusion: the map that it scores
        x_shape = work.batch, maps[source].channels, *maps[source].size
        shape = x_shape, conv.out_channels, conv.kernel_size, conv.stride, conv.padding, conv.dilation, conv.groups
        multiply_adds = work.batch * table.row(node.name).multiply_adds
        moved = 4 * (prod(x_shape) + conv.params["weight"].size + prod(output_shape(conv, x_shape)))
        found.setdefault(shape, []).append(Conv(node.name, node.name, x_shape, multiply_adds, moved, source == "image"))
    return [group[0]._replace(names=", ".join(conv.names for conv in group)) for group in found.values()]


def convolution(layer):
    """The layer itself if it is a Conv2d, or the Conv2d inside a SkipFusion; otherwise None."""
    layer = layer.score if isinstance(layer, layers.SkipFusion) else layer
    return layer if isinstance(layer, layers.Conv2d) else None


def output_shape(conv, x_shape):
    """Shape of a Conv2d's output, (N, F, oh, ow), for an input of x_shape."""
    n, _, *size = x_shape
    window = conv.kernel_size, conv.stride, conv.padding, conv.dilation
    return n, conv.out_channels, *map(conv_output_size, size, *window)


def takes_winograd(node):
    """Whether a layer of a network is a 3x3 convolution at stride 1 that does not read the picture."""
    conv = convolution(node.layer)
    return (
        conv is not None
        and (conv.kernel_size, conv.stride, conv.dilation, conv.groups) == ((3, 3), (1, 1), (1, 1), 1)
        and node.sources[-1] != "image"
    )


def lesson_network(rng):
    """Four 3x3 convolutions with ReLU, 2x2 pools between them, a 1x1 score and eightfold bilinear upsampling."""
    chain, last = [], len(LESSON_CHANNELS) - 1
    for number, (before, after) in enumerate(pairwise(LESSON_CHANNELS), start=1):
        chain.append(layers.Conv2d(before, after, 3, padding=1, rng=rng, name=f"conv{number}"))
        chain.append(layers.ReLU(name=f"relu{number}"))
        if number < last:
            chain.append(layers.MaxPool2d(2, name=f"pool{number}"))
    chain.append(layers.Conv2d(LESSON_CHANNELS[-1], LESSON_CLASSES, 1, rng=rng, name="score"))
    chain.append(layers.BilinearUpsample(16, 8, 4, name="upscore"))
    return layers.Sequential(*chain)

"""A kernel at work: what runs, what CuPy would run instead, and how many bytes have to move."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from fcn_from_scratch import geometry, layers
from fcn_from_scratch.checks import InputError
from fcn_from_scratch.lab.bench.work import convolution, takes_winograd

REAL = np.float32


class Piece(NamedTuple):
    """One kernel with its arrays.

    ours    launches it once, and returns what it made
    theirs  makes the same by CuPy's functions
    by      what theirs is, in a few words
    size    of the largest array, in words
    moved   bytes that are read and written at least, each array once
    flops   of a product; 0 where the work is moving bytes
    same    the two make the same numbers; random ones do not
    """

    ours: Callable
    theirs: Callable
    by: str
    size: str
    moved: int
    flops: int = 0
    same: bool = True


class Sizes:
    """The sizes of a network's arrays, by the parts they play. Maps are (N, H, W, C), channels last.

    pooled    what its first 2x2 max-pool makes; what that reads is twice as high and as wide
    conv      input and output of the 3x3 convolution with most multiplications, and its padding
    wide      the map with most channels: fc6's
    scores    what it makes in the end
    coarse    what its last upsampling reads, and its stride; the kernel is twice that, as the paper's are
    weight    of the layer with most
    Raises: InputError for a network without a max-pool, a 3x3 convolution or upsampling.
    """

    def __init__(self, work):
        net = work.outline()
        maps, nodes = geometry.map_sizes(net, work.size), geometry.graph(net)

        def map_of(name):
            return work.batch, *maps[name].size, maps[name].channels

        def first(wanted, chain):
            found = next((node for node in chain if wanted(node)), None)
            if found is None:
                raise InputError(
                    "--kernels takes its sizes from a network with a max-pool, a 3x3 convolution at stride 1 and an "
                    f"upsampling layer; {work.model} is another"
                )
            return found

        pool = first(lambda node: isinstance(node.layer, layers.MaxPool2d), nodes)
        n, h, w, c = map_of(pool.sources[0])
        self.pooled = n, h // 2, w // 2, c
        table = geometry.table(net, work.size)
        by_work = sorted(nodes, key=lambda node: -table.row(node.name).multiply_adds)
        conv = first(takes_winograd, by_work)
        self.conv = map_of(conv.sources[-1]), map_of(conv.name), convolution(conv.layer).padding
        self.wide = map_of(max(nodes, key=lambda node: maps[node.name].channels).name)
        self.scores = map_of(nodes[-1].name)
        kinds = layers.BilinearUpsample, layers.ConvTranspose2d
        up = first(lambda node: isinstance(node.layer, kinds), reversed(nodes))
        self.coarse, self.stride = map_of(up.sources[0]), up.layer.stride[0]
        self.weight = max((weight.shape for weight in net.params.values()), key=np.prod)


def normal(xp, rng, *shape):
    """Random float32 on the device."""
    return xp.asarray(rng.standard_normal(shape, REAL))


def moved(*arrays):
    """Bytes of all the arrays."""
    return sum(array.nbytes for array in arrays)


def times(array):
    """An array's shape in words: 1x349x349x64."""
    return "x".join(map(str, array.shape))


def taps(x, stride=2):
    """The pixels of every stride x stride window, place by place."""
    return [x[:, a::stride, b::stride] for a in range(stride) for b in range(stride)]

"""What a kernel case is, and the sizes of its arrays."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from fcn_from_scratch import geometry, layers
from fcn_from_scratch.checks import InputError
from fcn_from_scratch.lab.bench.work import convolution, takes_winograd

REAL = np.float32
DRAWN = 1 << 20  # random numbers of an array, at most: on the host, 100 million take longer than a measurement


class KernelCase(NamedTuple):
    """One kernel with its arrays, and the same computation by CuPy's functions.

    ours    function that launches the kernel once and returns its results
    theirs  function that computes the same results with CuPy
    by      the CuPy code, in a few words
    size    shape of the largest array, in words
    moved   bytes that must be read and written: each array once
    flops   operations of a matrix product; 0 for a kernel that only moves bytes
    same    whether both results are equal; False where they are random
    """

    ours: Callable
    theirs: Callable
    by: str
    size: str
    moved: int
    flops: int = 0
    same: bool = True


class Sizes:
    """Shapes of a network's arrays, under the roles they play in the cases. Maps are (N, H, W, C), channels last.

    pooled    output of the first 2x2 max-pool. Its input is twice as high and twice as wide
    conv      input shape, output shape and padding of the 3x3 convolution with the most multiplications
    wide      the map with the most channels: fc6's
    scores    the output of the network
    coarse    input of the last upsampling layer
    stride    of that layer. Its kernel is twice as large, as in the paper
    weight    the largest weight
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
                    f"upsampling layer; {work.model} is not one"
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
    """Random float32 on the device. In a large array they come again and again."""
    return xp.asarray(np.resize(rng.standard_normal(min(math.prod(shape), DRAWN), REAL), shape))


def moved(*arrays):
    """Bytes of all the arrays together."""
    return sum(array.nbytes for array in arrays)


def size_of(array):
    """An array's shape in words: 1x349x349x64."""
    return "x".join(map(str, array.shape))


def taps(x, stride=2):
    """The pixels of every stride x stride window: one array for each position in the window."""
    return [x[:, a::stride, b::stride] for a in range(stride) for b in range(stride)]

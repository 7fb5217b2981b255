"""Every layer in a few configurations: its input, its parameters and the promises of the layer contract.

Each function below makes (layer, x) for one configuration. op_cases checks strides and windows; this is not repeated
here. What is left to check of a layer is that it passes on the right arguments, keeps the right arrays and adds up its
gradients.
"""

import numpy as np

from fcn_from_scratch import layers, ops
from fcn_from_scratch.backend import get_array_module
from fcn_from_scratch.gradcheck.vjp import away_from_zero, spaced

SHAPE = (2, 3, 7, 6)


class Unpool(layers.MaxUnpool2d):
    """MaxUnpool2d as a function of x alone. The indices and the size are fixed and have no gradient."""

    def __init__(self, indices, size):
        super().__init__()
        self.indices, self.size = indices, size

    def forward(self, x):
        return super().forward(x, get_array_module(x).asarray(self.indices), self.size)


def normal(layer):
    """Make a function that returns (layer, x), with normal random x of the usual shape."""
    return lambda rng, **options: (layer(**options), rng.normal(size=SHAPE))


def drawing(layer):
    """Like `normal`, for a layer that draws random numbers."""
    return lambda rng, **options: (layer(rng=rng, **options), rng.normal(size=SHAPE))


def conv2d(rng, kernel_size=(3, 2), **options):
    return layers.Conv2d(4, 6, kernel_size, rng=rng, dtype=np.float64, **options), rng.normal(size=(2, 4, 7, 6))


def conv_transpose2d(rng, **options):
    layer = layers.ConvTranspose2d(4, 6, (3, 2), rng=rng, dtype=np.float64, **options)
    return layer, rng.normal(size=(2, 4, 7, 6))


def linear(rng, **options):
    return layers.Linear(5, 4, rng=rng, dtype=np.float64, **options), rng.normal(size=(2, 5))


def pixel_shuffle(rng, upscale_factor):
    return layers.PixelShuffle(upscale_factor), rng.normal(size=(2, 2 * upscale_factor**2, 3, 4))


def relu(rng):
    return layers.ReLU(), away_from_zero(rng, SHAPE)


def max_pool2d(rng, **options):
    return layers.MaxPool2d(**options), spaced(rng, SHAPE)


def max_unpool2d(rng, **options):
    indices = ops.max_pool2d(rng.normal(size=SHAPE), **options)[1]
    return Unpool(indices, SHAPE[2:]), rng.normal(size=indices.shape)


def skip_fusion(rng, scores, skip, **options):
    layer = layers.SkipFusion(3, 4, dtype=np.float64, **options)
    return layer, (rng.normal(size=(2, 4, *scores)), rng.normal(size=(2, 3, *skip)))


def joined(layer, *channels):
    """Make a function that returns (layer, maps), with one map for each number of channels in `channels`."""
    return lambda rng, **options: (layer(**options), tuple(rng.normal(size=(2, c, 7, 6)) for c in channels))


def branches(rng):
    """Two chains, of one and of two layers. Both start from the same map, whose gradient is the sum of theirs."""
    one = layers.Conv2d(3, 4, (3, 2), padding=(1, 0), rng=rng, dtype=np.float64, name="one")
    two = [
        layers.AvgPool2d((1, 2), 1, name="pool"),
        layers.Conv2d(3, 2, 1, rng=rng, dtype=np.float64, name="two"),
    ]
    return layers.Branches([one], two), rng.normal(size=SHAPE)


def sequential(rng):
    """A chain that goes down and up again. All its layers are smooth, so there are no kinks to avoid."""
    chain = layers.Sequential(
        layers.Conv2d(3, 4, (3, 2), padding=1, rng=rng, dtype=np.float64),
        layers.LocalResponseNorm(3, alpha=0.7, k=2.0),
        layers.AvgPool2d(2, ceil_mode=True),
        layers.ConvTranspose2d(4, 2, 4, stride=2, padding=1, rng=rng, dtype=np.float64),
    )
    return chain, rng.normal(size=SHAPE)


def shift_and_stitch(rng, **options):
    """A net of output stride (2, 2). Its max-pool comes first, because only the input's values are known to differ."""
    net = layers.Sequential(
        layers.MaxPool2d(2, stride=(2, 1)),
        layers.Conv2d(3, 4, (1, 2), stride=(1, 2), rng=rng, dtype=np.float64),
    )
    return layers.ShiftAndStitch(net, 2, **options), spaced(rng, SHAPE)


# name -> (the function that makes (layer, x), its configurations)
LAYERS = {
    "Conv2d": (
        conv2d,
        [
            {"stride": (2, 1), "padding": (1, 0)},
            {"dilation": (2, 3), "bias": False},
            {"groups": 2},
            {"kernel_size": 3, "algorithm": "winograd", "padding": (1, 0)},
        ],
    ),
    "ConvTranspose2d": (
        conv_transpose2d,
        [
            {"stride": (2, 3), "padding": (1, 0)},
            {"stride": 2, "bias": False},
            {"stride": (2, 3), "output_padding": (1, 2), "dilation": (1, 2)},
            {"stride": (1, 2), "padding": (0, 1), "groups": 2, "bias": False},
            {"stride": 2, "padding": 1, "output_padding": (1, 2), "groups": 2, "dilation": (2, 3)},
        ],
    ),
    "Linear": (linear, [{}, {"bias": False}]),
    "Flatten": (normal(layers.Flatten), [{}]),
    "ReLU": (relu, [{}]),
    "MaxPool2d": (
        max_pool2d,
        [{"kernel_size": (3, 2), "stride": (2, 1), "padding": (1, 0)}, {"kernel_size": 2, "ceil_mode": True}],
    ),
    "AvgPool2d": (
        normal(layers.AvgPool2d),
        [{"kernel_size": (3, 2)}, {"kernel_size": 3, "stride": 2, "padding": 1, "count_include_pad": False}],
    ),
    "MaxUnpool2d": (max_unpool2d, [{"kernel_size": (3, 2)}]),
    "LocalResponseNorm": (
        normal(layers.LocalResponseNorm),
        [{"size": 2, "alpha": 0.7, "beta": 0.5, "k": 2.0}],
    ),
    "Dropout": (drawing(layers.Dropout), [{"p": 0.3}, {"p": 0.0}]),
    "ChannelDropout": (drawing(layers.ChannelDropout), [{"p": 0.4}]),
    "NearestUpsample": (normal(layers.NearestUpsample), [{"scale": (3, 2)}]),
    "BedOfNails": (normal(layers.BedOfNails), [{"scale": (3, 2)}]),
    "PixelShuffle": (pixel_shuffle, [{"upscale_factor": 2}, {"upscale_factor": 3}]),
    "BilinearUpsample": (
        normal(layers.BilinearUpsample),
        [{"kernel_size": (4, 6), "stride": (2, 3), "padding": (1, 2)}],
    ),
    "Crop": (normal(layers.Crop), [{"offset": (2, 1), "size": (4, 3)}]),
    "SkipFusion": (
        skip_fusion,
        [
            {"scores": (5, 6), "skip": (9, 8), "offset": (3, 1), "scale": 0.5},
            {"scores": (5, 6), "skip": (3, 4), "offset": (-1, -2)},
        ],
    ),
    "Concat": (joined(layers.Concat, 3, 1, 2), [{}]),
    "Sum": (joined(layers.Sum, 3, 3, 3), [{}, {"scale": 0.5}]),
    "Sequential": (sequential, [{}]),
    "Branches": (branches, [{}]),
    "ShiftAndStitch": (shift_and_stitch, [{}, {"form": "shift"}]),
}

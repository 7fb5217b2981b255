"""FCN-AlexNet: the paper's shallowest trunk. It has layers in two groups and local response normalisation."""

import numpy as np

from fcn_from_scratch import checks
from fcn_from_scratch.layers import Conv2d, LocalResponseNorm, MaxPool2d, ReLU
from fcn_from_scratch.models.fcn import FCN
from fcn_from_scratch.models.trunk import SmallerConfig, Trunk, relu_and_dropout

# name: (channels at full width, kernel size, padding, groups); the option `pad` is the padding of conv1
CONVOLUTIONS = {"conv2": (256, 5, 2, 2), "conv3": (384, 3, 1, 1), "conv4": (384, 3, 1, 2), "conv5": (256, 3, 1, 2)}
FULL_WIDTH = 96  # channels of conv1


def config(width=FULL_WIDTH, pad=100, dropout=0.5, in_channels=3):
    """The options of the trunk.

    width  the channels of conv1. The channels of all layers scale with it, rounded up to even numbers because some
           layers work in two groups
    """
    return SmallerConfig(checks.integer(width, "width", 1), pad, dropout, in_channels)


def trunk(config, rng, dtype=np.float32):
    """The layers conv1 ... drop7 of CaffeNet, the variant of AlexNet that pools before it normalises.

    conv2, conv4 and conv5 work in two groups, because AlexNet ran on two GPUs. Each group reads half of the channels,
    so conv2's weight is (256, 48, 5, 5). fc6 spans 6x6 cells of pool5. Pools round sizes up.
    """

    def channels(full):
        return -(-full * config.width // (2 * FULL_WIDTH)) * 2

    def conv(before, out, kernel_size, name, **options):
        return Conv2d(channels(before), channels(out), kernel_size, rng=rng, dtype=dtype, name=name, **options)

    first = Conv2d(config.in_channels, channels(FULL_WIDTH), 11, 4, config.pad, rng=rng, dtype=dtype, name="conv1")
    chain, before = [first, ReLU(name="relu1"), *_pool_and_norm(1)], FULL_WIDTH
    for name, (out, kernel_size, padding, groups) in CONVOLUTIONS.items():
        number = name.removeprefix("conv")
        chain += [conv(before, out, kernel_size, name, padding=padding, groups=groups), ReLU(name=f"relu{number}")]
        chain += _pool_and_norm(2) if name == "conv2" else []
        before = out
    chain.append(_pool(5))
    chain += [conv(before, 4096, 6, "fc6"), *relu_and_dropout(6, config.dropout, rng)]
    chain += [conv(4096, 4096, 1, "fc7"), *relu_and_dropout(7, config.dropout, rng)]
    return Trunk(*chain)


def fcn(config, num_classes, rng, dtype=np.float32, upsampling="fixed", name=None):
    """FCN-AlexNet, of stride 32.

    The centre of its first score lies on a pixel, 113 - pad, and not between two pixels. So `upscore` has 63 taps a
    side. With 64 the scores would be half a pixel off, and no crop could correct that.
    Source: Long et al. 2015, table 1; the paper's public voc-fcn-alexnet. Krizhevsky et al. 2012. Lesson 15.
    """
    return FCN(trunk(config, rng, dtype), num_classes, upsampling=upsampling, dtype=dtype, name=name)


def _pool(number):
    return MaxPool2d(3, 2, ceil_mode=True, name=f"pool{number}")


def _pool_and_norm(number):
    return _pool(number), LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=1.0, name=f"norm{number}")

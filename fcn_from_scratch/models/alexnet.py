"""FCN-AlexNet: the paper's smallest trunk, with layers in two groups and local response normalisation."""

import numpy as np

from fcn_from_scratch import checks
from fcn_from_scratch.layers import Conv2d, LocalResponseNorm, MaxPool2d, ReLU
from fcn_from_scratch.models.fcn import FCN
from fcn_from_scratch.models.trunk import SmallerConfig, Trunk, relu_and_dropout

# name: (channels at full width, kernel size, padding, groups); conv1 is padded by the option `pad`
CONVOLUTIONS = {"conv2": (256, 5, 2, 2), "conv3": (384, 3, 1, 1), "conv4": (384, 3, 1, 2), "conv5": (256, 3, 1, 2)}
FULL_WIDTH = 96  # channels of conv1


def config(width=FULL_WIDTH, pad=100, dropout=0.5, in_channels=3):
    """width, the channels of conv1, scales every layer's, rounded up to even numbers for the groups of two."""
    return SmallerConfig(checks.integer(width, "width", 1), pad, dropout, in_channels)


def trunk(config, rng, dtype=np.float32):
    """The layers conv1 ... drop7 of CaffeNet, AlexNet's variant that pools before it normalises.

    conv2, conv4 and conv5 work in two groups: AlexNet's were on two GPUs. Each group reads half of the channels, so a
    weight is (256, 48, 5, 5). fc6 spans 6x6 cells of pool5. Pools round sizes up.
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

    Its scores start on a pixel, 113 - pad, and not between two, so `upscore` has 63 taps a side: 64 would put the
    scores half a pixel off, and no crop could mend it.
    Source: Long et al. 2015, table 1; the paper's public voc-fcn-alexnet. Krizhevsky et al. 2012. Lesson 15.
    """
    return FCN(trunk(config, rng, dtype), num_classes, upsampling=upsampling, dtype=dtype, name=name)


def _pool(number):
    return MaxPool2d(3, 2, ceil_mode=True, name=f"pool{number}")


def _pool_and_norm(number):
    return _pool(number), LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=1.0, name=f"norm{number}")

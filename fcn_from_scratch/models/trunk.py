"""The trunk of a VGG-like network: five stages of convolutions, each with a pool that halves the map, then fc6 and fc7.

A trunk is a chain that returns some of its inner maps, the taps, besides its last map. Its backward takes a gradient
for each of them. VGG16 and the lesson-size networks are the same chain with different numbers.
"""

import operator
from copy import copy
from math import prod
from typing import NamedTuple

import numpy as np

from fcn_from_scratch import checks
from fcn_from_scratch.backend import in_memory_order, is_plain
from fcn_from_scratch.layers import Conv2d, Dropout, Flatten, Linear, MaxPool2d, ReLU, Sequential, fused


class VGGConfig(NamedTuple):
    """The numbers that define a VGG-like trunk.

    channels       the channels of the five stages
    convs          the number of 3x3 convolutions in each stage
    fc_channels    the channels of fc6 and fc7
    fc6_kernel     fc6 sees fc6_kernel x fc6_kernel cells of pool5
    pad            the padding of conv1_1; every other convolution of the stages has padding 1
    fc6_padding    the padding of fc6: 0 in the paper, which pads the image by 100 instead
    dropout        the probability of dropout after fc6 and fc7
    in_channels    the channels of the image: 3, or 4 with depth as the last one
    pool_strides   the strides of the five pools. A pool of stride 1 keeps the map fine, and the later layers are
                   dilated to make up for it
    """

    channels: tuple = (64, 128, 256, 512, 512)
    convs: tuple = (2, 2, 3, 3, 3)
    fc_channels: int = 4096
    fc6_kernel: int = 7
    pad: int = 100
    fc6_padding: int = 0
    dropout: float = 0.5
    in_channels: int = 3
    pool_strides: tuple = (2, 2, 2, 2, 2)

    def dilation(self, stage):
        """The dilation of the layers of a stage, from 1 to 5, and of fc6, the stage after them.

        It is the product of all strides that earlier pools lack. So the taps of a filter lie over the same pixels of
        the image as in the network whose pools all have stride 2. dense.rarefy follows the same rule.
        """
        return prod(2 // stride for stride in self.pool_strides[: stage - 1])


class SmallerConfig(NamedTuple):
    """The options of AlexNet's and GoogLeNet's trunks; see the function `config` of each."""

    width: int
    pad: int
    dropout: float
    in_channels: int


class Trunk(Sequential):
    """A Sequential that also returns the maps after the layers named in `taps`.

    forward(x) -> (top, maps), where maps is a dict tap -> array
    backward(dtop, dmaps) -> dx
    """

    def __init__(self, *layers, taps=(), name=None):
        super().__init__(*layers, name=name)
        self.taps = tuple(taps)

    def forward(self, x):
        return self._run(self.children, x)

    def on_window(self, x):
        """The same without the padding of the first layer: x is a part of a picture with the pixels around it."""
        name, first = next(iter(self.children.items()))
        first = copy(first)  # it shares the weights
        first.padding = (0, 0)
        return self._run({**self.children, name: first}, x)

    def _run(self, children, x):
        if not is_plain():
            return fused.forward(children, x, self.taps, winners=False)
        maps = {}
        for name, layer in children.items():
            x = layer(x)
            if name in self.taps:
                maps[name] = x
        return x, maps

    def backward(self, dtop, dmaps):
        return self._back(dtop, dmaps, lambda first, dy: first.backward(dy))

    def backward_params(self, dtop, dmaps):
        self._back(dtop, dmaps, lambda first, dy: first.backward_params(dy))

    def _back(self, dy, dmaps, finish):
        first, *later = self.children
        for key in reversed(later):
            dy = self.children[key].backward(self._both(dy, dmaps, key))
        return finish(self.children[first], self._both(dy, dmaps, first))

    def _both(self, dy, dmaps, key):
        """Two consumers read a tapped map, the next layer and a skip. Its gradient is the sum of theirs."""
        return in_memory_order(operator.add, dy, dmaps[key]) if key in dmaps else dy


def vgg_stages(config, rng, dtype=np.float32):
    """The layers conv1_1 ... pool5: 3x3 convolutions with ReLU, and 2x2 max-pools that round sizes up.

    With depth in a fourth channel the first layer is called conv1_1_bgrd, as in the paper's public code. It is not the
    layer of VGG16, and in files of weights the name tells them apart.
    """
    chain, channels, pad = [], config.in_channels, config.pad
    for stage, (width, count) in enumerate(zip(config.channels, config.convs), start=1):
        dilation, stride = config.dilation(stage), config.pool_strides[stage - 1]
        for number in range(1, count + 1):
            tag = f"{stage}_{number}"
            name = f"conv{tag}_bgrd" if channels == 4 and tag == "1_1" else f"conv{tag}"
            place = {"padding": pad * dilation, "dilation": dilation}
            chain.append(Conv2d(channels, width, 3, **place, rng=rng, dtype=dtype, name=name))
            chain.append(ReLU(name=f"relu{tag}"))
            channels, pad = width, 1
        chain.append(MaxPool2d(2, stride, dilation=dilation, ceil_mode=True, name=f"pool{stage}"))
    return chain


def vgg_trunk(config, taps, rng, dtype=np.float32):
    """The fully convolutional trunk: the stages, then fc6 and fc7 as convolutions."""
    channels, dilation = config.fc_channels, config.dilation(6)
    fc6 = Conv2d(
        config.channels[-1],
        channels,
        config.fc6_kernel,
        padding=tuple(p * dilation for p in checks.pair(config.fc6_padding, "fc6_padding", 0)),
        dilation=dilation,
        rng=rng,
        dtype=dtype,
        name="fc6",
    )
    fc7 = Conv2d(channels, channels, 1, rng=rng, dtype=dtype, name="fc7")
    top = [fc6, *relu_and_dropout(6, config.dropout, rng), fc7, *relu_and_dropout(7, config.dropout, rng)]
    return Trunk(*vgg_stages(config, rng, dtype), *top, taps=taps)


def vgg_classifier(config, num_classes, rng, dtype=np.float32):
    """The classifier that the trunk is made from: the stages, then the Linear layers fc6, fc7 and fc8.

    Its images are squares of 32 * fc6_kernel pixels: conv1_1 pads by 1, and fc6 spans the whole of pool5.
    """
    features = config.channels[-1] * config.fc6_kernel**2
    channels = config.fc_channels
    return Sequential(
        *vgg_stages(config._replace(pad=1), rng, dtype),
        Flatten(name="flatten"),
        Linear(features, channels, rng=rng, dtype=dtype, name="fc6"),
        *relu_and_dropout(6, config.dropout, rng),
        Linear(channels, channels, rng=rng, dtype=dtype, name="fc7"),
        *relu_and_dropout(7, config.dropout, rng),
        Linear(channels, num_classes, rng=rng, dtype=dtype, name="fc8"),
    )


def relu_and_dropout(number, dropout, rng):
    """The two layers that follow fc6, and those that follow fc7."""
    return ReLU(name=f"relu{number}"), Dropout(dropout, rng=rng, name=f"drop{number}")

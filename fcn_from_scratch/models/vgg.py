"""Networks with VGG16's shape: the paper's at full size, and the same construction at lesson size."""

import numpy as np

from fcn_from_scratch import checks, geometry
from fcn_from_scratch.models.concat import ConcatFCN
from fcn_from_scratch.models.decoder import UnpoolingDecoder
from fcn_from_scratch.models.fcn import FCN
from fcn_from_scratch.models.trunk import VGGConfig, vgg_classifier, vgg_trunk

SKIPS = {"32s": (), "16s": ("pool4",), "8s": ("pool4", "pool3"), "4s": ("pool4", "pool3", "pool2")}
# The factors for the features of pool4 and pool3, which are so large that they would swamp the scores at first.
AT_ONCE_SCALES = (0.01, 0.0001)
DILATED_POOLS = (2, 2, 2, 1, 1)  # the strides of the dilated network's pools: its scores stand 8 pixels apart


def vgg16_config(width=64, pad=100, fc6_kernel=7, fc6_padding=0, dropout=0.5, convs=(2, 2, 3, 3, 3), in_channels=3):
    """VGG16 with the paper's changes. A smaller width keeps the geometry and gives every map fewer channels."""
    width = checks.integer(width, "width", 1)
    channels = (width, 2 * width, 4 * width, 8 * width, 8 * width)
    return VGGConfig(channels, tuple(convs), 64 * width, fc6_kernel, pad, fc6_padding, dropout, in_channels)


def mini_config(width=16, pad=1, fc6_kernel=3, fc6_padding=None, dropout=0.0, convs=(1, 1, 1, 1, 1), in_channels=3):
    """VGG's shape at lesson size: five stages, stride 32, few channels.

    conv1_1 pads by 1 and fc6 by half its kernel, so that the maps align for every image size and no time is spent on a
    wide frame of zeros. For the paper's construction pass fc6_padding=0, fc6_kernel >= 5 and
    pad >= 16 * (fc6_kernel - 1) + 1. With a smaller fc6 some skips end before the scores that they are added to.
    """
    width = checks.integer(width, "width", 1)
    channels = (width, 2 * width, 4 * width, 6 * width, 8 * width)
    fc6_padding = fc6_kernel // 2 if fc6_padding is None else fc6_padding
    return VGGConfig(channels, tuple(convs), 8 * width, fc6_kernel, pad, fc6_padding, dropout, in_channels)


def fcn(config, stride, num_classes, rng, dtype=np.float32, at_once=False, upsampling="fixed", name=None):
    """The network with the output stride "32s", "16s", "8s" or "4s"."""
    skips = SKIPS[stride]
    trunk = vgg_trunk(config, skips, rng, dtype)
    scales = AT_ONCE_SCALES if at_once else None
    return FCN(trunk, num_classes, skips, scales, upsampling, dtype=dtype, name=name)


def dilated(config, num_classes, rng, dtype=np.float32, upsampling="fixed", name=None):
    """FCN-32s with an output stride of 8: the last two pools have stride 1, and the later layers are dilated.

    It has the parameters of FCN-32s, with the same names and shapes. With equal weights, its coarse scores are those of
    the rarefied network  (tests/models/test_dilated.py). FCN-32s with the same padding has every fourth of them.
    pad=None, the default, puts one score in the middle of each block of 8x8 pixels, where FCN-8s at lesson size has
    them. Each pool without stride takes a border from the map, so this needs more padding than FCN-32s has.
    Source: Chen et al. 2015, "Semantic image segmentation with deep convolutional nets and fully connected CRFs"; Yu
    and Koltun 2016, "Multi-scale context aggregation by dilated convolutions". Lesson 8.
    """
    start = config._replace(pool_strides=DILATED_POOLS, pad=0 if config.pad is None else config.pad)
    trunk = vgg_trunk(start, (), rng, dtype)
    if config.pad is None:
        _centre_on_blocks(trunk)
    return FCN(trunk, num_classes, (), None, upsampling, dtype=dtype, name=name)


def _centre_on_blocks(trunk):
    """Pad the image so that the first cell of the trunk's top is centred on the first block of `stride` pixels."""
    first, field = trunk.layers[0], geometry.receptive_field(trunk.layers)
    first.padding = tuple(max(0, int(axis.start - (axis.stride - 1) / 2)) for axis in field.axes)


def concat(config, num_classes, rng, dtype=np.float32, upsampling="fixed", name=None):
    """FCN-8s whose skips are stacked features, not added scores, as in U-Net."""
    skips = SKIPS["8s"]
    trunk = vgg_trunk(config, skips, rng, dtype)
    return ConcatFCN(trunk, num_classes, skips, upsampling, rng=rng, dtype=dtype, name=name)


def unpool(config, num_classes, rng, dtype=np.float32, name=None):
    """The trunk with a decoder that mirrors it, instead of a score layer and upsampling."""
    trunk = vgg_trunk(config, (), rng, dtype)
    return UnpoolingDecoder(trunk, num_classes, rng=rng, dtype=dtype, name=name)


def classifier(config, num_classes, rng, dtype=np.float32, name=None):
    """The classifier that the trunk is made from."""
    net = vgg_classifier(config, num_classes, rng, dtype)
    net.name = name
    return net

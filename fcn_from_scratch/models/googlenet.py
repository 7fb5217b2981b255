"""FCN-GoogLeNet: the paper's trunk with the fewest parameters, nine modules of four branches each."""

import numpy as np

from fcn_from_scratch import checks
from fcn_from_scratch.layers import Branches, Conv2d, Dropout, LocalResponseNorm, MaxPool2d, ReLU
from fcn_from_scratch.models.fcn import FCN
from fcn_from_scratch.models.trunk import SmallerConfig, Trunk

FULL_WIDTH = 64  # channels of conv1/7x7_s2

# name: channels at full width of 1x1; 3x3_reduce, 3x3; 5x5_reduce, 5x5; pool_proj. None stands for a pool.
MODULES = {
    "inception_3a": (64, 96, 128, 16, 32, 32),
    "inception_3b": (128, 128, 192, 32, 96, 64),
    "pool3/3x3_s2": None,
    "inception_4a": (192, 96, 208, 16, 48, 64),
    "inception_4b": (160, 112, 224, 24, 64, 64),
    "inception_4c": (128, 128, 256, 24, 64, 64),
    "inception_4d": (112, 144, 288, 32, 64, 64),
    "inception_4e": (256, 160, 320, 32, 128, 128),
    "pool4/3x3_s2": None,
    "inception_5a": (256, 160, 320, 32, 128, 128),
    "inception_5b": (384, 192, 384, 48, 128, 128),
}


def config(width=FULL_WIDTH, pad=100, dropout=0.4, in_channels=3):
    """The options of the trunk.

    width  the channels of conv1/7x7_s2. The channels of all layers scale with it, rounded up
    pad    the padding of conv1/7x7_s2. It is 100 as in the paper's other networks, so that every image fits. The
           classifier pads by 3. Since the modules keep the size of their maps, only the smallest images do not fit
           with 3 (tests/models/test_googlenet.py)
    """
    return SmallerConfig(checks.integer(width, "width", 1), pad, dropout, in_channels)


def inception(name, in_channels, widths, rng, dtype=np.float32):
    """Four branches that read one map, their outputs stacked: 1x1, 3x3 and 5x5 convolutions, and a 3x3 max-pool.

    1x1 convolutions before the larger kernels and after the pool keep the number of channels small. All branches keep
    the map's size and alignment. They see 1, 3, 5 and 3 cells of it.
    widths   the channels of 1x1, 3x3_reduce, 3x3, 5x5_reduce, 5x5, pool_proj
    Returns: Branches, with BVLC's layer names, "inception_3a/5x5_reduce".
    """

    def conv(before, out, kernel_size, key):
        padding = kernel_size // 2
        layer = Conv2d(before, out, kernel_size, padding=padding, rng=rng, dtype=dtype, name=key)
        return [layer, ReLU(name=f"relu_{key}")]

    one, reduce3, three, reduce5, five, projected = widths
    return Branches(
        conv(in_channels, one, 1, "1x1"),
        conv(in_channels, reduce3, 1, "3x3_reduce") + conv(reduce3, three, 3, "3x3"),
        conv(in_channels, reduce5, 1, "5x5_reduce") + conv(reduce5, five, 5, "5x5"),
        [MaxPool2d(3, 1, 1, ceil_mode=True, name="pool"), *conv(in_channels, projected, 1, "pool_proj")],
        name=name,
    )


def trunk(config, rng, dtype=np.float32):
    """The layers conv1/7x7_s2 ... inception_5b and the dropout: BVLC's GoogLeNet without its last pool.

    That average pool and the classifier's two auxiliary losses are left out, as the paper says. With the pool the
    receptive field would be the paper's 907 pixels; without it, it is 715 (tests/models/test_googlenet.py).
    """

    def channels(full):
        return -(-full * config.width // FULL_WIDTH)

    def conv(before, out, kernel_size, key, relu, **options):
        layer = Conv2d(before, channels(out), kernel_size, rng=rng, dtype=dtype, name=key, **options)
        return [layer, ReLU(name=relu)]

    chain = [
        *conv(config.in_channels, 64, 7, "conv1/7x7_s2", "conv1/relu_7x7", stride=2, padding=config.pad),
        _pool("pool1/3x3_s2"),
        _norm("pool1/norm1"),
        *conv(channels(64), 64, 1, "conv2/3x3_reduce", "conv2/relu_3x3_reduce"),
        *conv(channels(64), 192, 3, "conv2/3x3", "conv2/relu_3x3", padding=1),
        _norm("conv2/norm2"),
        _pool("pool2/3x3_s2"),
    ]
    before = channels(192)
    for name, widths in MODULES.items():
        if widths is None:
            chain.append(_pool(name))
        else:
            chain.append(inception(name, before, [channels(full) for full in widths], rng, dtype))
            before = chain[-1].out_channels
    return Trunk(*chain, Dropout(config.dropout, rng=rng, name="pool5/drop_7x7_s1"))


def fcn(config, num_classes, rng, dtype=np.float32, upsampling="fixed", name=None):
    """FCN-GoogLeNet, of stride 32.

    The paper's own network was never published. This one follows the paper's description and takes its geometry, names
    and numbers from BVLC's GoogLeNet. The score layer and the upsampling have the same names as in the other networks.

    The centre of its first score lies on a pixel, 33 - pad. So `upscore` has 63 taps a side, as in FCN-AlexNet, and the
    crop is pad - 2.
    Source: Long et al. 2015, section 4.1 and table 1. Szegedy et al. 2015. Lesson 15.
    """
    return FCN(trunk(config, rng, dtype), num_classes, upsampling=upsampling, dtype=dtype, name=name)


def _pool(name):
    return MaxPool2d(3, 2, ceil_mode=True, name=name)


def _norm(name):
    return LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=1.0, name=name)

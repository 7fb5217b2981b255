"""One way to ask for every kind of upsampling, in one step or in several."""

import numpy as np

from fcn_from_scratch import checks
from fcn_from_scratch.layers.container import Sequential
from fcn_from_scratch.layers.conv import ConvTranspose2d
from fcn_from_scratch.layers.pooling import MaxUnpool2d
from fcn_from_scratch.layers.upsampling import BedOfNails, BilinearUpsample, NearestUpsample

METHODS = ("nearest", "bed_of_nails", "max_unpool", "bilinear", "learned")


def upsampler(method, channels, *factors, kernel_size=None, padding=None, pools=(), dtype=np.float32, name=None):
    """Make a layer that maps (N, C, H, W) to (N, C, f*H, f*W) by one of these methods.

    method        the layer of one step              where a coarse pixel goes                    learned weights
    nearest       NearestUpsample                    over its whole block of s*s                  none
    bed_of_nails  BedOfNails                         to its block's first pixel, 0 beside it      none
    max_unpool    MaxUnpool2d                        to the pool's maximum, 0 beside it           none
    bilinear      BilinearUpsample                   spread by the bilinear kernel                none
    learned       ConvTranspose2d, starts bilinear   spread by a kernel for each channel pair     C*C*k*k

    channels     C; only "learned" needs it
    factors      s of each step, integers or pairs, in order; f is their product. One factor gives the layer itself,
                 several give a Sequential
    kernel_size, padding   k and p of each step of the last two methods, as in a transposed convolution. The result has
                 s(H - 1) + k - 2p rows. By default k = 2s - s % 2 and p = s // 2. This gives s*H rows at the same
                 positions as those of "nearest". FCN uses padding=0 and crops the result
    pools        for "max_unpool": the MaxPool2d that each step undoes, the last pool first. The indices and the size
                 come from the pool's last forward. The size is that of the pool's input: s*H, or a little less if
                 the pool rounded up
    dtype        the dtype of the learned weights
    geometry.receptive_field of the layer says where the fine pixels lie and what they see.
    Identity: each step equals a transposed convolution, which tests/layers/test_upsampling.py writes out.
    Raises: ValueError for another method (the right ones are listed), no factor, or pools that do not match.
    Source: Long et al. 2015, section 3.3. Lesson 9.
    """
    checks.choice(method, "method", METHODS)
    if not factors:
        raise ValueError("an upsampler needs a factor for each of its steps: upsampler(method, channels, 2, 2, 8)")
    factors = [checks.pair(factor, "each factor", 1) for factor in factors]
    if method == "max_unpool":
        layers = _unpoolings(factors, pools)
    else:
        layers = [_one_step(method, channels, factor, kernel_size, padding, dtype) for factor in factors]
    if len(layers) > 1:
        return Sequential(*layers, name=name)
    layers[0].name = name
    return layers[0]


def _one_step(method, channels, factor, kernel_size, padding, dtype):
    if method == "nearest":
        return NearestUpsample(factor)
    if method == "bed_of_nails":
        return BedOfNails(factor)
    kernel_size = tuple(2 * s - s % 2 for s in factor) if kernel_size is None else kernel_size
    padding = tuple(s // 2 for s in factor) if padding is None else padding
    if method == "bilinear":
        return BilinearUpsample(kernel_size, factor, padding)
    layer = ConvTranspose2d(channels, channels, kernel_size, factor, padding, bias=False, dtype=dtype)
    return layer.init_bilinear()


def _unpoolings(factors, pools):
    strides = [pool.stride for pool in pools]
    if strides != factors:
        raise ValueError(
            f"max_unpool needs one pool for each factor, with a stride equal to the factor; got factors {factors} and "
            f"pools of strides {strides}"
        )
    return [MaxUnpool2d(pool) for pool in pools]

"""One way to ask for every kind of upsampling, in one step or in several."""

import numpy as np

from fcn_from_scratch import checks
from fcn_from_scratch.layers.container import Sequential
from fcn_from_scratch.layers.conv import ConvTranspose2d
from fcn_from_scratch.layers.pooling import MaxUnpool2d
from fcn_from_scratch.layers.upsampling import BedOfNails, BilinearUpsample, NearestUpsample

METHODS = ("nearest", "bed_of_nails", "max_unpool", "bilinear", "learned")


def upsampler(method, channels, *factors, kernel_size=None, padding=None, pools=(), dtype=np.float32, name=None):
    """A layer that takes (N, C, H, W) to (N, C, f*H, f*W): forward(x), whatever the method.

    method        the layer of one step              where a coarse pixel goes                    learns
    nearest       NearestUpsample                    over its whole block of s*s                  nothing
    bed_of_nails  BedOfNails                         to its block's first pixel, 0 beside it      nothing
    max_unpool    MaxUnpool2d                        where the pool's maximum stood, 0 beside it  nothing
    bilinear      BilinearUpsample                   spread by the bilinear kernel                nothing
    learned       ConvTranspose2d, starts bilinear   spread by a kernel for each two channels     C*C*k*k

    channels     C; only "learned" has to know it
    factors      s of each step, integers or pairs, in order; f is their product. One makes that layer, several a
                 Sequential
    kernel_size, padding   of each step of the last two methods, k and p of a transposed convolution: the result has
                 s(H - 1) + k - 2p rows. Default k = 2s - s % 2 and p = s // 2, which makes s*H rows that stand where
                 nearest's do. FCN keeps all that is spread (padding=0), and crops.
    pools        for "max_unpool": the MaxPool2d that each step undoes, the last pool first. Indices come from the
                 pool's last forward, and so does the size: that of the map the pool had read, s*H or, if it rounded
                 up, a little less.
    dtype        of the learned weights
    Where the fine pixels stand and what they see: geometry.receptive_field of the layer.
    Identity: each step equals the transposed convolution that tests/layers/test_upsampling.py writes down for it.
    Raises: ValueError for another method (the right ones are listed), no factor, or pools that do not match.
    Source: Long et al. 2015, section 3.3. Lesson 9.
    """
    checks.choice(method, "method", METHODS)
    if not factors:
        raise ValueError("an upsampler takes a factor for each of its steps: upsampler(method, channels, 2, 2, 8)")
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
            f"max_unpool takes for each factor the pool of that stride that it undoes; got factors {factors} and pools "
            f"of strides {strides}"
        )
    return [MaxUnpool2d(pool) for pool in pools]

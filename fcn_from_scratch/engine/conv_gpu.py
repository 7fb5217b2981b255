"""Convolution on a GPU, by the kernels of `kernels` and cuBLAS's matrix products.

The border of zeros is never made: im2col.cu puts the zeros into the patches. All functions take arrays of one dtype,
float32 or float64, on the GPU (kernels.usable). `geometry` is an ops.shapes.Geometry.
"""

from fcn_from_scratch import kernels
from fcn_from_scratch.backend import get_array_module
from fcn_from_scratch.engine.conv_im2col import weight_matrix
from fcn_from_scratch.engine.im2col import block_list, channels_first, channels_last, patch_bytes


def conv2d(x, weight, bias, geometry, relu=False):
    """y[(n, i, j), f] = bias[f] + sum over (a, b, c) of patches[(n, i, j), (a, b, c)] * weight[(a, b, c), f]"""
    f, groups = len(weight), geometry.groups
    xp, pixels = get_array_module(x), channels_last(x)
    y = xp.empty((len(x), *geometry.output_size, f), x.dtype)
    for group in range(groups):
        mine, outputs = _part(pixels, group, groups), _slice(f, group, groups)
        matrix = weight_matrix(weight[outputs], x.dtype)
        for image, rows in _blocks(pixels, geometry, groups):
            target = y[image, rows].reshape(-1, f)
            if groups == 1:
                xp.matmul(_patches(mine[image], rows, geometry), matrix, out=target)
            else:
                target[:, outputs] = _patches(mine[image], rows, geometry) @ matrix
    if relu and bias is not None:
        kernels.bias_relu(y, bias, out=y)
    elif bias is not None:
        y += bias
    elif relu:
        xp.maximum(y, 0, out=y)
    return channels_first(y)


def _blocks(pixels, geometry, groups):
    """Slices (images, output rows) whose patches fit into memory."""
    oh, ow = geometry.output_size
    row_bytes = patch_bytes(ow, geometry.kernel_size, pixels.shape[3] // groups, pixels.dtype)
    return block_list(get_array_module(pixels), len(pixels), oh, row_bytes)


def _patches(pixels, rows, geometry):
    """The patches below some output rows. Those of a 1x1 kernel are the pixels: they are not copied."""
    kernel_size, stride, padding, dilation, _, (_, ow) = geometry
    if kernel_size == stride == (1, 1) and padding == (0, 0):
        return pixels[:, rows].reshape(-1, pixels.shape[3])
    return kernels.im2col(pixels, rows, ow, kernel_size, stride, dilation, padding)


def _slice(channels, group, groups):
    each = channels // groups
    return slice(group * each, (group + 1) * each)


def _part(pixels, group, groups):
    """One group's channels of pixels (..., C), contiguous."""
    if groups == 1:
        return pixels
    return get_array_module(pixels).ascontiguousarray(pixels[..., _slice(pixels.shape[-1], group, groups)])

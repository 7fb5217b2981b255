"""Transposed convolution by the routines of convolution. `geometry` is that of the convolution from y to x."""

import math

from fcn_from_scratch import checks, kernels
from fcn_from_scratch.backend import get_array_module
from fcn_from_scratch.engine import gpu
from fcn_from_scratch.engine.conv import conv2d, conv2d_input_grad, conv2d_weight_grad
from fcn_from_scratch.engine.im2col import channels_first, channels_last, scatter_add


def conv_transpose2d(x, weight, bias, geometry, y_shape):
    """Compute ops.conv_transpose2d. y lies channels last in memory."""
    size, xp = y_shape[2:], get_array_module(x, weight, bias)
    dtype = checks.floating_result(xp, x, weight)
    if kernels.usable(x, weight, bias):
        return gpu.conv_transpose2d(x, weight, bias, geometry, size)
    if math.prod((*geometry.dilation, geometry.groups)) > 1:
        y = conv2d_input_grad(x, y_shape, weight, geometry)
        return y if bias is None else y + bias.astype(dtype, copy=False)[:, None, None]
    (ph, pw), (oh, ow) = geometry.padding, size
    y = scatter_add(channels_last(x, dtype=dtype), weight, geometry.stride, (oh + 2 * ph, ow + 2 * pw))
    y = y[:, ph : ph + oh, pw : pw + ow]
    if bias is not None:
        y = y + bias.astype(dtype, copy=False)
    return channels_first(xp.ascontiguousarray(y))


def conv_transpose2d_backward(dy, x, weight, geometry):
    """Compute ops.conv_transpose2d_backward."""
    dx = conv2d(dy, weight, None, geometry)
    return dx, conv2d_weight_grad(x, dy, weight, geometry), dy.sum(axis=(0, 2, 3))

"""Upsampling on the GPU. Maps are channels last, (N, H, W, C)."""

import math

from fcn_from_scratch.backend import get_array_module
from fcn_from_scratch.kernels.launch import contiguous, launch


def conv_transpose(x, weight, bias, out, stride, padding, dilation=(1, 1), groups=1):
    """y of ops.conv_transpose2d. Each output pixel gathers its sum (conv_transpose.cu).

    Shapes: x (N, H, W, C); weight (C, O / groups, kh, kw), as the op has it; bias (O,) or None; out (oh, ow), with
    the op's output_padding.
    """
    xp = get_array_module(x)
    n = x.shape[0]
    _, outputs, *kernel_size = weight.shape
    o = outputs * groups
    taps = contiguous(weight.transpose(2, 3, 0, 1))
    y = xp.empty((n, *out, o), x.dtype)
    placing = *kernel_size, *stride, *padding, *dilation, groups
    launch("conv_transpose", y.size, x, taps, contiguous(bias), y, *x.shape, o, *out, *placing)
    return y


def bilinear(x, kernel_size, stride, padding=(0, 0)):
    """y of ops.bilinear_upsample, in one pass along the height and one along the width (bilinear.cu)."""
    for axis, (k, s, p) in enumerate(zip(kernel_size, stride, padding), start=1):
        outer, inner = _around(x.shape, axis)
        shape = list(x.shape)
        shape[axis] = s * (x.shape[axis] - 1) + k - 2 * p
        y = get_array_module(x).empty(tuple(shape), x.dtype)
        launch("bilinear", y.size, x, y, outer, x.shape[axis], inner, k, s, p)
        x = y
    return x


def bilinear_backward(dy, image_shape, kernel_size, stride, padding=(0, 0)):
    """dx of ops.bilinear_upsample_backward: the same two passes, transposed (bilinear.cu)."""
    for axis, (k, s, p) in enumerate(zip(kernel_size, stride, padding), start=1):
        outer, inner = _around(dy.shape, axis)
        shape = list(dy.shape)
        shape[axis] = image_shape[axis]
        dx = get_array_module(dy).empty(tuple(shape), dy.dtype)
        launch("bilinear_backward", dx.size, dy, dx, outer, shape[axis], inner, k, s, p)
        dy = dx
    return dy


def interlace(coarse, fine, stride, shift):
    """Write the result of one pass of shift-and-stitch: fine[:, a::sh, b::sw] = coarse (interlace.cu)."""
    n, h, w, c = coarse.shape
    launch("interlace", coarse.size, coarse, fine, n, h, w, c, *fine.shape[1:3], *stride, *shift)


def _around(shape, axis):
    """The number of elements before and after an axis."""
    return math.prod(shape[:axis]), math.prod(shape[axis + 1 :])

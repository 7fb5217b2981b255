"""Convolution, as patches times weights: forward, and the gradients by input, weight and bias.

The word is the field's; what is computed is a cross-correlation (the kernel is not flipped). The definition as
plain loops is ops.loops.conv2d_loops.
"""

from typing import NamedTuple

from fcn_from_scratch import checks, threads
from fcn_from_scratch.backend import get_array_module
from fcn_from_scratch.ops import shapes
from fcn_from_scratch.ops.im2col import (
    channels_first,
    channels_last,
    gather,
    patch_bytes,
    rarefy_kernel,
    shares,
    spread,
)


@threads.one_blas_thread
def conv2d(x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """Slide a kernel over the image; each output is the weighted sum of the pixels below it.

    y[n, f, i, j] = bias[f] + sum over c, a, b of x[n, c, s*i + d*a - p, s*j + d*b - p] * weight[f, c, a, b]

    Pixels outside the image count as zero. With groups G, output channels f in the g-th of G equal parts see the
    g-th part of the input channels only.
    Shapes: x (N, C, H, W); weight (F, C/G, kh, kw); bias (F,) or None; stride, padding, dilation integers or pairs.
    Returns: y (N, F, oh, ow), oh = (H + 2p - d(kh - 1) - 1) // s + 1; channels last in memory.
    Identity: equals ops.loops.conv2d_loops  (tests/ops/test_conv.py).
    Memory: the patch matrix is built in blocks of ops.im2col.BLOCK_BYTES, at least one output row, one a thread.
    Raises: ValueError when the channels do not fit, an argument is out of range or the output would be empty.
    Source: Long et al. 2015, section 3. Lesson 2.
    """
    geometry = _geometry(x, weight, bias, stride, padding, dilation, groups)
    kernel_size, stride, padding, dilation, (oh, ow) = geometry
    xp = get_array_module(x, weight, bias)
    dtype = checks.floating_result(xp, x, weight)
    n, (f, c) = x.shape[0], weight.shape[:2]
    padded = channels_last(x, padding, dtype=dtype)
    y = xp.empty((n, oh, ow, f), dtype)
    for inputs, outputs in _group_slices(groups, c, f):
        source = padded[..., inputs]
        matrix = _matrix(weight[outputs], dtype)

        def fill(share, source=source, matrix=matrix, outputs=outputs):
            for image, rows in share:
                part = y[image, rows, :, outputs]
                product = gather(source[image], rows, ow, kernel_size, stride, dilation) @ matrix
                if bias is not None:
                    product += bias[outputs]
                part[...] = product.reshape(part.shape)

        threads.run(fill, shares(xp, n, oh, patch_bytes(ow, kernel_size, c, dtype)))
    return channels_first(y)


def conv2d_backward(dy, x, weight, stride=1, padding=0, dilation=1, groups=1):
    """The gradients of conv2d: (dx, dweight, dbias) for the upstream gradient dy.

    Shapes: dy like conv2d's result; dx like x; dweight like weight; dbias (F,).
    Identity: <dy, conv2d(v)> == <dx, v>, and vjp_check  (tests/ops/test_conv.py).
    Raises: ValueError when dy does not have conv2d's output shape, and all that conv2d raises. Lesson 3.
    """
    args = (weight, stride, padding, dilation, groups)
    dx = conv2d_input_grad(dy, x.shape, *args)
    return dx, conv2d_weight_grad(dy, x, *args), dy.sum(axis=(0, 2, 3))


def conv2d_input_grad(dy, x_shape, weight, stride=1, padding=0, dilation=1, groups=1):
    """The gradient by the input: every output hands its gradient back along the weights it came through.

    dx[n, c, s*i + d*a - p, s*j + d*b - p] += dy[n, f, i, j] * weight[f, c, a, b]

    This is transposed convolution. At stride 1 it is also a convolution of dy with the kernel turned by 180
    degrees, which needs no overlapping additions and is what runs then.
    """
    kernel_size, stride, padding, dilation, _ = _check_upstream(dy, x_shape, weight, stride, padding, dilation, groups)
    xp = get_array_module(dy, weight)
    if stride == (1, 1):
        f, c = weight.shape[:2]
        grouped = weight.reshape(groups, f // groups, c, *kernel_size)
        turned = grouped[..., ::-1, ::-1].swapaxes(1, 2).reshape(groups * c, f // groups, *kernel_size)
        reach = tuple(d * (k - 1) - p for k, d, p in zip(kernel_size, dilation, padding))
        return _correlate(dy, turned, reach, dilation, groups)
    n, c_all, h, w = x_shape
    (ph, pw), (f, c) = padding, weight.shape[:2]
    dtype = checks.floating_result(xp, dy, weight)
    source = channels_last(dy, dtype=dtype)
    dx = xp.empty((n, h, w, c_all), dtype)
    for inputs, outputs in _group_slices(groups, c, f):
        part = xp.ascontiguousarray(source[..., outputs])
        full = spread(part, rarefy_kernel(weight[outputs], dilation), stride, (h + 2 * ph, w + 2 * pw))
        dx[..., inputs] = full[:, ph : ph + h, pw : pw + w]
    return channels_first(dx)


@threads.one_blas_thread
def conv2d_weight_grad(dy, x, weight, stride=1, padding=0, dilation=1, groups=1):
    """The gradient by the weight: each tap sums its pixel times the output's gradient over all positions.

    dweight[f, c, a, b] = sum over n, i, j of dy[n, f, i, j] * x[n, c, s*i + d*a - p, s*j + d*b - p]

    Only the shape of `weight` is used.
    """
    kernel_size, stride, padding, dilation, (oh, ow) = _check_upstream(
        dy, x.shape, weight, stride, padding, dilation, groups
    )
    xp = get_array_module(dy, x)
    dtype = checks.floating_result(xp, dy, x)
    n, (f, c) = x.shape[0], weight.shape[:2]
    padded, source = channels_last(x, padding, dtype=dtype), channels_last(dy, dtype=dtype)
    dweight = xp.empty(weight.shape, dtype)
    for inputs, outputs in _group_slices(groups, c, f):
        dealt = shares(xp, n, oh, patch_bytes(ow, kernel_size, c, dtype))
        totals = [None] * len(dealt)

        def add_up(worker, inputs=inputs, outputs=outputs, dealt=dealt, totals=totals):
            for image, rows in dealt[worker]:
                patches = gather(padded[image][..., inputs], rows, ow, kernel_size, stride, dilation)
                part = patches.T @ source[image, rows, :, outputs].reshape(-1, f // groups)
                totals[worker] = part if totals[worker] is None else totals[worker] + part

        threads.run(add_up, range(len(dealt)))
        total = sum(totals[1:], start=totals[0])  # in a fixed order, whichever thread was first
        dweight[outputs] = total.reshape(*kernel_size, c, f // groups).transpose(3, 2, 0, 1)
    return dweight


class _Geometry(NamedTuple):
    kernel_size: tuple
    stride: tuple
    padding: tuple
    dilation: tuple
    output_size: tuple


def _geometry(x, weight, bias, stride, padding, dilation, groups):
    """Check everything conv2d was given; return its pairs and the output size."""
    checks.ndim(x, 4, "x", "(N, C, H, W)")
    checks.conv_weight(weight, x.shape, groups)
    checks.bias(bias, weight.shape[0])
    return _sizes(x.shape, weight, stride, padding, dilation)


def _sizes(x_shape, weight, stride, padding, dilation):
    kernel_size = weight.shape[2:]
    stride = checks.pair(stride, "stride", 1)
    padding = checks.pair(padding, "padding", 0)
    dilation = checks.pair(dilation, "dilation", 1)
    size = x_shape[2:]
    out = tuple(map(shapes.conv_output_size, size, kernel_size, stride, padding, dilation))
    checks.output_fits(out, size, tuple(map(shapes.span, kernel_size, dilation)), padding, "the kernel")
    return _Geometry(kernel_size, stride, padding, dilation, out)


def _check_upstream(dy, x_shape, weight, stride, padding, dilation, groups):
    checks.conv_weight(weight, x_shape, groups)
    geometry = _sizes(x_shape, weight, stride, padding, dilation)
    checks.same_shape(dy, (x_shape[0], weight.shape[0], *geometry.output_size), "dy", "conv2d's output has")
    return geometry


def _correlate(x, weight, padding, dilation, groups):
    """conv2d at stride 1 with a padding that may be negative: then x is cropped."""
    crop_h, crop_w = (max(-p, 0) for p in padding)
    x = x[:, :, crop_h : x.shape[2] - crop_h, crop_w : x.shape[3] - crop_w]
    return conv2d(x, weight, None, 1, tuple(max(p, 0) for p in padding), dilation, groups)


def _group_slices(groups, c, f):
    """The (input channels, output channels) of each group; c is the group's input channels, f all outputs."""
    per_group = f // groups
    for g in range(groups):
        yield slice(g * c, (g + 1) * c), slice(g * per_group, (g + 1) * per_group)


def _matrix(weight, dtype):
    """weight (F, C, kh, kw) as the (kh*kw*C, F) factor of a patch matrix."""
    f = weight.shape[0]
    return weight.transpose(2, 3, 1, 0).reshape(-1, f).astype(dtype, copy=False)

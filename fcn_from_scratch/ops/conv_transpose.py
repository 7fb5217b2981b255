"""Transposed convolution (the paper calls it deconvolution): convolution run backwards.

Its forward is convolution's gradient by the input, and its gradient by the input is a convolution: one pair of
routines serves both, and the tests hold them to that identity.
"""

from fcn_from_scratch import checks, kernels
from fcn_from_scratch.backend import get_array_module
from fcn_from_scratch.engine.im2col import channels_first, channels_last, spread
from fcn_from_scratch.ops import shapes
from fcn_from_scratch.ops.conv import conv2d, conv2d_weight_grad


def conv_transpose2d(x, weight, bias=None, stride=1, padding=0):
    """Spread each input pixel over the output through a kernel: the adjoint of conv2d.

    y[n, o, s*i + a - p, s*j + b - p] += x[n, c, i, j] * weight[c, o, a, b]        (then + bias[o])

    Shapes: x (N, C, H, W); weight (C, O, kh, kw), input channels first; bias (O,) or None.
    Returns: y (N, O, oh, ow) with oh = s*(H - 1) + kh - 2*p; channels last in memory.
    Identity: <c, conv2d(v)> == <conv_transpose2d(c), v>  (tests/ops/test_conv_transpose.py).
    Raises: ValueError when x's channels differ from weight's first axis or the output would be empty.
    Source: Long et al. 2015, section 3.3. Lesson 9.
    """
    stride, padding, out = _sizes(x.shape, x, weight, stride, padding)
    checks.bias(bias, weight.shape[1])
    xp = get_array_module(x, weight, bias)
    dtype = checks.floating_result(xp, x, weight)
    if kernels.usable(x, weight, bias):
        return channels_first(kernels.conv_transpose(channels_last(x), weight, bias, out, stride, padding))
    (ph, pw), (oh, ow) = padding, out
    y = spread(channels_last(x, dtype=dtype), weight, stride, (oh + 2 * ph, ow + 2 * pw))
    y = y[:, ph : ph + oh, pw : pw + ow]
    if bias is not None:
        y = y + bias.astype(dtype, copy=False)
    return channels_first(xp.ascontiguousarray(y))


def conv_transpose2d_backward(dy, x, weight, stride=1, padding=0):
    """The gradients of conv_transpose2d: (dx, dweight, dbias) for the upstream gradient dy.

    dx[n, c, i, j] = sum over o, a, b of dy[n, o, s*i + a - p, s*j + b - p] * weight[c, o, a, b]

    which is conv2d(dy, weight): the kernel is used as it stands, not turned. dweight is convolution's gradient by
    the weight with x and dy in exchanged roles.
    Shapes: dy like conv_transpose2d's result; dx like x; dweight like weight; dbias (O,).
    Identity: vjp_check  (tests/ops/test_conv_transpose.py).
    Raises: ValueError when dy does not have conv_transpose2d's output shape. Lesson 9.
    """
    stride, padding, out = _sizes(x.shape, x, weight, stride, padding)
    checks.same_shape(dy, (x.shape[0], weight.shape[1], *out), "dy", "conv_transpose2d's output has")
    dx = conv2d(dy, weight, None, stride, padding)
    dweight = conv2d_weight_grad(x, dy, weight, stride, padding)
    return dx, dweight, dy.sum(axis=(0, 2, 3))


def _sizes(x_shape, x, weight, stride, padding):
    checks.ndim(x, 4, "x", "(N, C, H, W)")
    checks.conv_transpose_weight(weight, x_shape)
    stride, padding = checks.pair(stride, "stride", 1), checks.pair(padding, "padding", 0)
    size, kernel_size = x_shape[2:], weight.shape[2:]
    out = tuple(map(shapes.conv_transpose_output_size, size, kernel_size, stride, padding))
    if min(out) < 1:
        raise ValueError(
            f"the transposed convolution's output would be empty, {out[0]}x{out[1]}: input {size[0]}x{size[1]}, "
            f"kernel {kernel_size[0]}x{kernel_size[1]}, stride {stride}, padding {padding}"
        )
    return stride, padding, out

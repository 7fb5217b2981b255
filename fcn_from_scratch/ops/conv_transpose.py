"""Transposed convolution, which the paper calls deconvolution.

Its forward is the gradient of a convolution with respect to its input. Its own gradient with respect to its input is a
convolution. So the two share their routines, and the tests check this identity.
"""

from fcn_from_scratch import checks, engine
from fcn_from_scratch.backend import is_plain
from fcn_from_scratch.ops.conv import correlate, scatter_add, weight_gradient
from fcn_from_scratch.ops.shapes import conv_transpose_geometry


def conv_transpose2d(x, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    """Spread each input pixel over the output through a kernel: the adjoint of conv2d.

    y[n, o, s*i + d*a - p, s*j + d*b - p] += x[n, c, i, j] * weight[c, o, a, b]        (then + bias[o])

    With G groups, the g-th part of the input channels reaches only the g-th part of the output channels.
    A convolution with stride maps several input sizes to one output size. output_padding chooses among them. It adds
    rows and columns at the end, and is smaller than the stride or the dilation.
    Shapes: x (N, C, H, W); weight (C, O/G, kh, kw), input channels first; bias (O,) or None.
    Returns: y (N, O, oh, ow) with oh = s*(H - 1) + d*(kh - 1) + 1 - 2*p + output_padding.
    Identity: <c, conv2d(v)> == <conv_transpose2d(c), v>  (tests/ops/test_conv_transpose.py).
    Raises: ValueError when x's channels differ from weight's first axis or the output would be empty.
    Source: Long et al. 2015, section 3.3. Lesson 9.
    """
    geometry, y_shape = _geometry(x, weight, stride, padding, output_padding, groups, dilation)
    checks.bias(bias, y_shape[1])
    if not is_plain():
        return engine.conv_transpose2d(x, weight, bias, geometry, y_shape)
    y = scatter_add(x, weight, geometry, y_shape)
    return y if bias is None else y + bias[:, None, None].astype(y.dtype, copy=False)


def conv_transpose2d_backward(dy, x, weight, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    """Compute the gradients of conv_transpose2d: (dx, dweight, dbias) for the upstream gradient dy.

    dx[n, c, i, j] = sum over o, a, b of dy[n, o, s*i + d*a - p, s*j + d*b - p] * weight[c, o, a, b]
    dweight[c, o, a, b] = sum over n, i, j of x[n, c, i, j] * dy[n, o, s*i + d*a - p, s*j + d*b - p]
    dbias[o] = sum over n, i, j of dy[n, o, i, j]

    dx is conv2d(dy, weight), without flipping the kernel. dweight is the weight gradient of a convolution, with the
    roles of x and dy exchanged.
    Shapes: dy like conv_transpose2d's result; dx like x; dweight like weight; dbias (O,).
    Identity: vjp_check  (tests/ops/test_conv_transpose.py).
    Raises: ValueError when dy does not have conv_transpose2d's output shape. Lesson 9.
    """
    geometry, y_shape = _geometry(x, weight, stride, padding, output_padding, groups, dilation)
    checks.same_shape(dy, y_shape, "dy", "conv_transpose2d's output has")
    if not is_plain():
        return engine.conv_transpose2d_backward(dy, x, weight, geometry)
    dx, dweight = correlate(dy, weight, geometry), weight_gradient(x, dy, weight.shape, geometry)
    return dx, dweight, dy.sum(axis=(0, 2, 3))


def _geometry(x, weight, *arguments):
    """Return (the Geometry of the convolution from y to x, y's shape)."""
    checks.ndim(x, 4, "x", "(N, C, H, W)")
    geometry, size = conv_transpose_geometry(x.shape, weight, *arguments)
    return geometry, (len(x), weight.shape[1] * geometry.groups, *size)

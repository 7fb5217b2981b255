"""Convolution, and its gradients with respect to input, weight and bias.

Deep learning calls this operation convolution. The kernel is not flipped, so in mathematics it is a cross-correlation.
ops.loops.conv2d_loops is the definition as plain loops. The plain code here loops over the taps of the kernel.
engine.conv computes the same result faster.
"""

from fcn_from_scratch import checks, engine
from fcn_from_scratch.backend import get_array_module, is_plain
from fcn_from_scratch.ops.shapes import conv_geometry
from fcn_from_scratch.ops.windows import pad, taps


def conv2d(
    x,
    weight,
    bias=None,
    stride=1,
    padding=0,
    dilation=1,
    groups=1,
    algorithm="auto",
    *,
    transformed=None,
    workspace=None,
):
    """Slide a kernel over the image. Each output is the weighted sum of the pixels under the kernel.

    y[n, f, i, j] = bias[f] + sum over c, a, b of x[n, c, s*i + d*a - p, s*j + d*b - p] * weight[f, c, a, b]

    Pixels outside the image count as zero. With G groups, the g-th of G equal parts of the output channels sees only
    the g-th part of the input channels.
    Shapes: x (N, C, H, W); weight (F, C/G, kh, kw); bias (F,) or None; stride, padding, dilation integers or pairs.
    algorithm, transformed, workspace   used by the engine only, see engine.conv.conv2d
    Returns: y (N, F, oh, ow), oh = (H + 2p - d(kh - 1) - 1) // s + 1.
    Identity: equals ops.loops.conv2d_loops, for every algorithm  (tests/ops/test_conv.py).
    Raises: ValueError when the channels do not fit, an argument is out of range, the output would be empty, or the
    algorithm cannot compute such a convolution.
    Source: Long et al. 2015, section 3. Lesson 2.
    """
    checks.ndim(x, 4, "x", "(N, C, H, W)")
    geometry = conv_geometry(x.shape, weight, stride, padding, dilation, groups)
    checks.bias(bias, weight.shape[0])
    if not is_plain():
        return engine.conv2d(x, weight, bias, geometry, algorithm, transformed=transformed, workspace=workspace)
    y = correlate(x, weight, geometry)
    return y if bias is None else y + bias[:, None, None].astype(y.dtype, copy=False)


def conv2d_backward(
    dy, x, weight, stride=1, padding=0, dilation=1, groups=1, algorithm="auto", *, out=None, workspace=None
):
    """Compute the gradients of conv2d: (dx, dweight, dbias) for the upstream gradient dy.

    dx[n, c, s*i + d*a - p, s*j + d*b - p] += dy[n, f, i, j] * weight[f, c, a, b]
    dweight[f, c, a, b] = sum over n, i, j of dy[n, f, i, j] * x[n, c, s*i + d*a - p, s*j + d*b - p]
    dbias[f] = sum over n, i, j of dy[n, f, i, j]

    Shapes: dy like conv2d's result; dx like x; dweight like weight; dbias (F,).
    out   two arrays, to which dweight and dbias are added; they are returned. By default both arrays are new. Pass
          None in the place of dbias if it is not needed
    Identity: <dy, conv2d(v)> == <dx, v>, and vjp_check  (tests/ops/test_conv.py).
    Raises: ValueError when dy does not have conv2d's output shape, and whenever conv2d does. Lesson 3.
    """
    geometry = _checked_geometry(dy, x.shape, weight, stride, padding, dilation, groups)
    if not is_plain():
        return engine.conv2d_backward(dy, x, weight, geometry, out, algorithm, workspace=workspace)
    dx = scatter_add(dy, weight, geometry, x.shape)
    return dx, *accumulated(out, weight_gradient(dy, x, weight.shape, geometry), dy.sum(axis=(0, 2, 3)))


def conv2d_input_grad(
    dy, x_shape, weight, stride=1, padding=0, dilation=1, groups=1, algorithm="auto", *, workspace=None
):
    """Compute the gradient with respect to the input: every output hands its gradient back through its weights.

    dx[n, c, s*i + d*a - p, s*j + d*b - p] += dy[n, f, i, j] * weight[f, c, a, b]

    This is transposed convolution.
    Shapes: dy like conv2d's result; x_shape the input's (N, C, H, W). Returns: dx with shape x_shape.
    Identity: equals ops.loops_backward.conv2d_backward_loops  (tests/ops/test_conv.py).
    Raises: as conv2d_backward. Lessons 3 and 9.
    """
    geometry = _checked_geometry(dy, x_shape, weight, stride, padding, dilation, groups)
    if not is_plain():
        return engine.conv2d_input_grad(dy, x_shape, weight, geometry, algorithm, workspace=workspace)
    return scatter_add(dy, weight, geometry, x_shape)


def conv2d_weight_grad(
    dy, x, weight, stride=1, padding=0, dilation=1, groups=1, algorithm="auto", *, out=None, workspace=None
):
    """Compute the gradient with respect to the weight: for each tap, the sum of pixel times dy over all positions.

    dweight[f, c, a, b] = sum over n, i, j of dy[n, f, i, j] * x[n, c, s*i + d*a - p, s*j + d*b - p]

    Shapes: dy like conv2d's result; x (N, C, H, W). Only the shape of `weight` is used. Returns: dweight like weight.
    out   an array like weight, to which the gradient is added; it is returned. By default the array is new
    Identity: equals ops.loops_backward.conv2d_backward_loops  (tests/ops/test_conv.py).
    Raises: as conv2d_backward. Lesson 3.
    """
    geometry = _checked_geometry(dy, x.shape, weight, stride, padding, dilation, groups)
    if not is_plain():
        return engine.conv2d_weight_grad(dy, x, weight, geometry, out, algorithm, workspace=workspace)
    return accumulated(None if out is None else (out,), weight_gradient(dy, x, weight.shape, geometry))[0]


def conv2d_bias_grad(dy):
    """Compute the gradient with respect to the bias, which is added once to every output.

    dbias[f] = sum over n, i, j of dy[n, f, i, j]

    Shapes: dy (N, F, oh, ow). Returns: dbias (F,).
    Identity: equals ops.loops_backward.conv2d_backward_loops  (tests/ops/test_conv.py). Lesson 3.
    """
    return dy.sum(axis=(0, 2, 3)) if is_plain() else engine.conv2d_bias_grad(dy)


# --- the plain code ---------------------------------------------------------------------------------------------
# With G groups the channels are split into (G, C/G), and each group has its own matrix product.


def correlate(x, weight, geometry):
    """y[n, f, i, j] = sum over a, b, c of weight[f, c, a, b] * pixels[n, c, i, j], the pixels under tap (a, b)"""
    kernel, dtype = _tap_matrices(weight, geometry), _result(x, weight)
    y = 0
    for matrix, pixels in zip(kernel, taps(pad(x.astype(dtype, copy=False), geometry.padding), geometry)):
        y = y + matrix @ _grouped(pixels, geometry)
    return y.reshape(len(x), len(weight), *geometry.output_size)


def scatter_add(dy, weight, geometry, x_shape):
    """dpixels[n, c, i, j] += sum over f of weight[f, c, a, b] * dy[n, f, i, j], for each tap (a, b)"""
    (n, c, h, w), (ph, pw) = x_shape, geometry.padding
    kernel, dtype = _tap_matrices(weight, geometry), _result(dy, weight)
    upstream = _grouped(dy.astype(dtype, copy=False), geometry)
    padded = get_array_module(dy).zeros((n, c, h + 2 * ph, w + 2 * pw), dtype)
    for matrix, dpixels in zip(kernel, taps(padded, geometry)):
        dpixels += (matrix.swapaxes(1, 2) @ upstream).reshape(dpixels.shape)
    return padded[:, :, ph : ph + h, pw : pw + w]


def weight_gradient(dy, x, weight_shape, geometry):
    """dweight[f, c, a, b] = sum over n, i, j of dy[n, f, i, j] * pixels[n, c, i, j], the pixels under tap (a, b)"""
    dtype, (f, c, kh, kw) = _result(dy, x), weight_shape
    upstream = _grouped(dy.astype(dtype, copy=False), geometry)
    padded = pad(x.astype(dtype, copy=False), geometry.padding)
    found = [(upstream @ _grouped(pixels, geometry).swapaxes(2, 3)).sum(axis=0) for pixels in taps(padded, geometry)]
    return get_array_module(dy, x).stack(found).reshape(kh, kw, f, c).transpose(2, 3, 0, 1)


def _tap_matrices(weight, geometry):
    """weight (F, C/G, kh, kw) as one matrix for each tap and group: (kh * kw, G, F/G, C/G)."""
    f, c, kh, kw = weight.shape
    return weight.transpose(2, 3, 0, 1).reshape(kh * kw, geometry.groups, f // geometry.groups, c)


def _grouped(x, geometry):
    """A map (N, C, H, W) as (N, G, C/G, H * W)."""
    return x.reshape(len(x), geometry.groups, x.shape[1] // geometry.groups, -1)


def _result(*arrays):
    return checks.floating_result(get_array_module(*arrays), *arrays)


def accumulated(out, *gradients):
    """Return the gradients. With `out`, add them to its arrays and return these. A None in `out` is left out."""
    if out is None:
        return gradients
    for total, gradient in zip(out, gradients):
        if total is not None:
            total += gradient
    return tuple(out)


def _checked_geometry(dy, x_shape, weight, *arguments):
    geometry = conv_geometry(x_shape, weight, *arguments)
    checks.same_shape(dy, (x_shape[0], weight.shape[0], *geometry.output_size), "dy", "conv2d's output has")
    return geometry

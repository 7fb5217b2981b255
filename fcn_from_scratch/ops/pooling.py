"""Pooling over windows: the maximum with its position, the average, and max-unpooling."""

import numpy as np

from fcn_from_scratch import checks, engine, kernels
from fcn_from_scratch.backend import get_array_module, is_plain
from fcn_from_scratch.ops.shapes import pool_geometry
from fcn_from_scratch.ops.windows import pad, taps


def max_pool2d(x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    """Take the largest pixel of each window, and return its position too.

    y[n, c, i, j] = max over a, b of x[n, c, s*i + d*a - p, s*j + d*b - p]        (padding is never the maximum)

    If pixels are equal, the first in row-major order is taken, as in Caffe and PyTorch. NaN propagates: a window with a
    NaN gives NaN, and the position of its last NaN.
    With ceil_mode, as Caffe and FCN use it, a partial window at the end counts too.
    Shapes: x (N, C, H, W), of any real or integer dtype, which is kept; stride defaults to kernel_size.
    Returns: y (N, C, oh, ow) and indices (N, C, oh, ow), int64: the flat position i*W + j of the maximum in the
    unpadded plane.
    Identity: equals ops.loops.max_pool2d_loops, and y equals x at the indices  (tests/ops/test_pooling.py).
    Raises: ValueError for padding above half the window, and when the output would be empty.
    Source: Long et al. 2015, section 3; Caffe's pooling layer. Lesson 3.
    """
    checks.ndim(x, 4, "x", "(N, C, H, W)")
    geometry = pool_geometry(x.shape[2:], kernel_size, stride, padding, dilation, ceil_mode)
    if not is_plain():
        return engine.max_pool2d(x, geometry)
    xp, (n, c, h, w) = get_array_module(x), x.shape
    border = geometry.padding, 0, geometry.overhang((h, w))
    places = pad(xp.arange(h * w).reshape(1, 1, h, w), border[0], -1, border[2])  # -1: not a pixel of the image
    y = xp.zeros((n, c, *geometry.output_size), x.dtype)
    indices = xp.full(y.shape, -1, np.int64)  # -1: no pixel seen yet
    for pixels, place in zip(taps(pad(x, *border), geometry), taps(places, geometry)):
        is_nan = pixels != pixels
        wins = (place >= 0) & ((indices < 0) | (pixels > y) | is_nan)
        y, indices = xp.where(wins, pixels, y), xp.where(wins, place, indices)
    return y, indices


def max_pool2d_backward(dy, indices, x_shape):
    """Give each output's gradient to the pixel that was the maximum. The maximum of several windows gets the sum.

    dx[n, c, indices[n, c, i, j]] += dy[n, c, i, j]

    Shapes: dy and indices (N, C, oh, ow); x_shape the input's (N, C, H, W). Returns: dx with shape x_shape.
    Identity: vjp_check, with no equal pixels  (tests/ops/test_pooling.py).
    Raises: ValueError when the shapes differ or an index lies outside the plane. A GPU skips such an index, as in
    max_unpool2d. Lesson 3.
    """
    checks.same_shape(indices, dy.shape, "indices", "dy has")
    if len(x_shape) != 4 or tuple(x_shape[:2]) != tuple(dy.shape[:2]):
        raise ValueError(f"x_shape must be (N, C, H, W) with dy's N and C; got {tuple(x_shape)} for dy {dy.shape}")
    if kernels.usable(dy):
        return engine.gpu.max_pool2d_backward(dy, indices, x_shape)
    xp = get_array_module(dy, indices)
    dx = xp.zeros(tuple(x_shape), dy.dtype)
    xp.add.at(dx.reshape(-1), _flat(indices, x_shape), dy.ravel())
    return dx


def max_unpool2d(x, indices, output_size):
    """Put each pooled value back at the position of its maximum. All other pixels are zero.

    y[n, c, indices[n, c, i, j]] = x[n, c, i, j]

    If overlapping windows have the same maximum, the last value in row-major order stays, as in PyTorch.
    Shapes: x and indices (N, C, h, w), indices as max_pool2d returns them; output_size (H, W).
    Returns: y (N, C, H, W).
    Identity: max_pool2d(max_unpool2d(y, indices)) == y for y >= 0 and windows that do not overlap
    (tests/ops/test_pooling.py). It does not hold for negative values, because the zeros around them are larger.
    Raises: ValueError when the shapes differ or an index lies outside the plane. A GPU skips such an index instead,
    because the host would have to wait for the check. Lesson 9.
    """
    checks.ndim(x, 4, "x", "(N, C, h, w)")
    checks.same_shape(indices, x.shape, "indices", "x has")
    size = checks.pair(output_size, "output_size", 1)
    if kernels.usable(x):
        return engine.gpu.max_unpool2d(x, indices, size)
    y = get_array_module(x, indices).zeros((*x.shape[:2], *size), x.dtype)
    y.reshape(-1)[_flat(indices, y.shape)] = x.ravel()
    return y


def max_unpool2d_backward(dy, indices):
    """Give each pooled value the gradient of the pixel that it was written to.

    dx[n, c, i, j] = dy[n, c, indices[n, c, i, j]]

    This is right if no two values were written to the same pixel. That happens only with overlapping windows, which the
    networks here do not unpool. Then only the value that stayed should get the gradient.
    Shapes: dy (N, C, H, W); indices (N, C, h, w). Returns: dx (N, C, h, w).
    Identity: equals ops.loops_backward.max_unpool2d_backward_loops  (tests/ops/test_pooling.py).
    Raises: as max_unpool2d. Lesson 9.
    """
    checks.ndim(dy, 4, "dy", "(N, C, H, W)")
    checks.same_shape(dy, (*indices.shape[:2], *dy.shape[2:]), "dy", "the indices have images and channels")
    if kernels.usable(dy):
        return engine.gpu.max_unpool2d_backward(dy, indices)
    return dy.ravel()[_flat(indices, dy.shape)].reshape(indices.shape)


def avg_pool2d(x, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    """Average the pixels of each window.

    y[n, c, i, j] = (sum over a, b of x[n, c, s*i + a - p, s*j + b - p]) / count

    count is the number of pixels in the window. With count_include_pad the padding counts too. In ceil mode a partial
    window can reach beyond the padding; this part never counts.
    Shapes: x (N, C, H, W); integer input is averaged in float64. Returns: y (N, C, oh, ow).
    Identity: equals ops.loops.avg_pool2d_loops  (tests/ops/test_pooling.py).
    Raises: as max_pool2d.
    """
    checks.ndim(x, 4, "x", "(N, C, H, W)")
    geometry = pool_geometry(x.shape[2:], kernel_size, stride, padding, 1, ceil_mode)
    if kernels.usable(x):
        return engine.gpu.avg_pool2d(x, geometry, count_include_pad)
    x = checks.floating(x)
    padded = pad(x, geometry.padding, 0, geometry.overhang(x.shape[2:]))
    return sum(taps(padded, geometry)) / _counts(x, x.shape[2:], geometry, count_include_pad)


def avg_pool2d_backward(dy, x_shape, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    """Divide each output's gradient equally among the pixels of its window.

    dx[n, c, s*i + a - p, s*j + b - p] += dy[n, c, i, j] / count

    Shapes: dy (N, C, oh, ow); x_shape the input's. Returns: dx with shape x_shape.
    Identity: vjp_check  (tests/ops/test_pooling.py).
    Raises: ValueError when dy does not have avg_pool2d's output shape.
    """
    geometry = pool_geometry(x_shape[2:], kernel_size, stride, padding, 1, ceil_mode)
    checks.same_shape(dy, (*x_shape[:2], *geometry.output_size), "dy", "avg_pool2d's output has")
    if kernels.usable(dy):
        return engine.gpu.avg_pool2d_backward(dy, x_shape, geometry, count_include_pad)
    (n, c, h, w), (ph, pw), (eh, ew) = x_shape, geometry.padding, geometry.overhang(x_shape[2:])
    padded = get_array_module(dy).zeros((n, c, h + 2 * ph + eh, w + 2 * pw + ew), dy.dtype)
    share = dy / _counts(dy, (h, w), geometry, count_include_pad)
    for dpixels in taps(padded, geometry):
        dpixels += share
    return padded[:, :, ph : ph + h, pw : pw + w]


def _counts(like, size, geometry, count_include_pad):
    """The number that each window's sum is divided by: (1, 1, oh, ow), in the dtype of `like`."""
    ones = get_array_module(like).ones((1, 1, *size), like.dtype)
    counted = pad(pad(ones, geometry.padding, int(count_include_pad)), (0, 0), 0, geometry.overhang(size))
    return sum(taps(counted, geometry))


def _flat(indices, shape):
    """Turn positions in the planes into positions in the flattened array (N, C, H, W). Returns: one axis."""
    n, c, h, w = shape
    if indices.dtype.kind not in "iu":
        raise ValueError(f"indices must be integers, as max_pool2d returns them; got dtype {indices.dtype}")
    low, high = int(indices.min()), int(indices.max())
    if low < 0 or high >= h * w:
        wrong = low if low < 0 else high
        raise ValueError(f"index {wrong} lies outside the {h}x{w} plane, whose positions are 0..{h * w - 1}")
    planes = get_array_module(indices).arange(n * c, dtype=np.int64).reshape(n, c, 1, 1) * (h * w)
    return (planes + indices).ravel()

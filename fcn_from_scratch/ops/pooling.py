"""Pooling over windows: the maximum with its position, the average, and max-unpooling."""

import math

import numpy as np

from fcn_from_scratch import checks, kernels
from fcn_from_scratch.backend import get_array_module
from fcn_from_scratch.engine import threads
from fcn_from_scratch.engine.im2col import channels_first, channels_last
from fcn_from_scratch.engine.pooling_windows import windows
from fcn_from_scratch.engine.workspace import empty_from

AT_ONCE = 1 << 17  # pixels of an image that one thread works on at a time


def max_pool2d(x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    """Keep the largest pixel of each window, and remember where it stood.

    y[n, c, i, j] = max over a, b of x[n, c, s*i + d*a - p, s*j + d*b - p]        (padding never wins)

    Of equal pixels the first in row-major order wins, as in Caffe and PyTorch. NaN propagates: a window that
    holds one gives NaN (and the position of its last one).
    Shapes: x (N, C, H, W), any real or integer dtype, which is kept; stride defaults to kernel_size.
    Returns: y (N, C, oh, ow) and indices (N, C, oh, ow), int64: the winner's flat position i*W + j in the unpadded
    plane. With ceil_mode (Caffe's rule, and FCN's) a partial window at the end counts too.
    Identity: equals ops.loops.max_pool2d_loops; y == x at the indices  (tests/ops/test_pooling.py).
    Raises: ValueError for padding above half the window, and when the output would be empty.
    Source: Long et al. 2015, section 3; Caffe's pooling layer. Lesson 3.
    """
    y, winner = max_pool2d_winner(x, kernel_size, stride, padding, dilation, ceil_mode)
    return y, winner_indices(winner, x.shape, kernel_size, stride, padding, dilation, ceil_mode)


def max_pool2d_winner(x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    """max_pool2d with the winners as they are found: (y, winner).

    winner (N, C, oh, ow) is the place a * kw + b in the window, in the smallest unsigned integers that hold it: one
    byte instead of eight, and backward need not look for it.
    """
    checks.ndim(x, 4, "x", "(N, C, H, W)")
    window = windows(x.shape[2:], kernel_size, stride, padding, dilation, ceil_mode)
    xp = get_array_module(x)
    if kernels.usable(x) and math.prod(window.kernel_size) <= kernels.MOST_PLACES:
        return tuple(map(channels_first, kernels.max_pool(channels_last(x), window.out, *window.geometry)))
    lowest = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
    padded, first = window.padded(x, lowest), xp.asarray(window.first_tap_inside)
    y = xp.empty((len(x), *window.out, x.shape[1]), x.dtype)
    winner = xp.empty(y.shape, first.dtype)

    def fill(rows):
        taps = (tap[:, rows] for tap in window.taps(padded))
        largest = next(taps).copy()
        best = xp.zeros(largest.shape, first.dtype) + first[rows, :, None]
        for number, tap in enumerate(taps, start=1):
            # Numbers rise, so the largest number whose tap was better is the winner: a maximum, and no branch.
            xp.maximum(best, (tap > largest) * first.dtype.type(number), out=best)
            xp.maximum(largest, tap, out=largest)
        y[:, rows], winner[:, rows] = largest, best

    threads.run(fill, threads.split(window.out[0], padded.size // AT_ONCE))
    if x.dtype.kind == "f" and bool(xp.isnan(y).any()):
        winner = _last_nan(xp, x, window, y, winner)
    return channels_first(y), channels_first(winner)


def max_pool2d_winner_backward(
    dy, winner, x_shape, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, *, workspace=None
):
    """max_pool2d_backward by the winners: place by place, every window that was won there gives its gradient.

    dx[n, c, s*i + d*a - p, s*j + d*b - p] += dy[n, c, i, j] * [winner[n, c, i, j] == a * kw + b]

    A winner that is no place in the window, as conv2d_relu_pool has it, passes nothing on.
    """
    checks.same_shape(winner, dy.shape, "winner", "dy has")
    window = windows(x_shape[2:], kernel_size, stride, padding, dilation, ceil_mode)
    xp = get_array_module(dy, winner)
    upstream, winner = channels_last(dy), channels_last(winner)
    n, c, h, w = x_shape
    if kernels.usable(dy) and winner.dtype == np.uint8:
        return channels_first(kernels.max_pool_backward(upstream, winner, (n, h, w, c), *window.geometry))
    (ph, pw), (eh, ew) = window.padding, window.extra
    dx = empty_from(workspace, xp)((n, h + 2 * ph + eh, w + 2 * pw + ew, c), dy.dtype)
    if window.tiles:  # every pixel lies in one window: the rows can be shared out, and nothing has to be added
        (oh, ow), (kh, kw) = window.out, window.kernel_size
        taps = dx.reshape(n, oh, kh, ow, kw, c).transpose(2, 4, 0, 1, 3, 5)
        places = xp.arange(kh * kw, dtype=winner.dtype).reshape(kh, kw, 1, 1, 1, 1)

        def fill(rows):
            xp.multiply(upstream[:, rows], winner[:, rows] == places, out=taps[:, :, :, rows])

        threads.run(fill, threads.split(oh, dx.size // AT_ONCE))
    else:
        dx[...] = 0
        for number, tap in enumerate(window.taps(dx)):
            tap += upstream * (winner == number)
    return channels_first(dx[:, ph : ph + h, pw : pw + w])


def relu_pool(xp, windows, out=(None, None)):
    """Max-pool and ReLU of 2x2 windows side by side: (max(0, largest), winner) as ops.conv.conv2d_relu_pool returns
    them. The winner is counted from behind, [not first] * (1 + [not second] * (1 + [not third])).

    windows  (2, 2, ...), the places in a window first
    out      two arrays to write to; by default new ones
    """
    largest = windows.max(axis=(0, 1))
    smaller = (windows != largest).view(np.uint8)
    winner = smaller[1, 0]
    winner += 1
    winner *= smaller[0, 1]
    winner += 1
    winner *= smaller[0, 0]
    positive = (largest > 0).view(np.uint8)
    return xp.maximum(largest, 0, out=out[0]), xp.bitwise_or(winner, positive - 1, out=out[1])  # 0 - 1 is 255


def winner_indices(winner, x_shape, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    """The winners (N, C, oh, ow) as flat positions i*W + j in the unpadded plane, int64: what max_pool2d returns.

    A winner that is no place in the window counts as the first, which wins where all are equal.
    """
    window = windows(x_shape[2:], kernel_size, stride, padding, dilation, ceil_mode)
    xp = get_array_module(winner)
    winner = xp.where(winner < math.prod(window.kernel_size), winner, winner.dtype.type(0))
    return channels_first(window.flat_position(xp, winner.transpose(0, 2, 3, 1)))


def max_pool2d_backward(dy, indices, x_shape):
    """Hand each output's gradient to the one pixel that won; a pixel that won several windows gets their sum.

    dx[n, c, indices[n, c, i, j]] += dy[n, c, i, j]

    Shapes: dy and indices (N, C, oh, ow); x_shape the input's (N, C, H, W). Returns: dx with shape x_shape.
    Identity: vjp_check away from ties  (tests/ops/test_pooling.py).
    Raises: ValueError when the shapes differ or an index lies outside the plane. (On a GPU such an index is passed
    over, as by max_unpool2d.) Lesson 3.
    """
    checks.same_shape(indices, dy.shape, "indices", "dy has")
    if len(x_shape) != 4 or tuple(x_shape[:2]) != tuple(dy.shape[:2]):
        raise ValueError(f"x_shape is (N, C, H, W) with dy's N and C; got {tuple(x_shape)} for dy {dy.shape}")
    n, c, h, w = x_shape
    xp = get_array_module(dy, indices)
    if kernels.usable(dy):
        places = channels_last(indices, dtype=np.int64)
        return channels_first(kernels.max_pool_indices_backward(channels_last(dy), places, (n, h, w, c)))
    flat = _memory_position(xp, indices, x_shape)
    dx = xp.zeros(n * h * w * c, dy.dtype)
    xp.add.at(dx, flat.ravel(), dy.transpose(0, 2, 3, 1).ravel())
    return channels_first(dx.reshape(n, h, w, c))


def max_unpool2d(x, indices, output_size):
    """Put each pooled value back where its maximum stood; everything else is zero.

    y[n, c, indices[n, c, i, j]] = x[n, c, i, j]

    Where windows overlap and two of them name one pixel, the last in row-major order stays, as in PyTorch.
    Shapes: x and indices (N, C, h, w), indices as max_pool2d returns them; output_size (H, W).
    Returns: y (N, C, H, W).
    Identity: max_pool2d(max_unpool2d(y, indices)) == y for y >= 0 and windows that do not overlap; for negative
    values it fails, unpooling is not an inverse  (tests/ops/test_pooling.py).
    Raises: ValueError when the shapes differ or an index lies outside the plane. (On a GPU such an index is passed
    over: to look for one, the host would have to wait.) Lesson 9.
    """
    checks.ndim(x, 4, "x", "(N, C, h, w)")
    checks.same_shape(indices, x.shape, "indices", "x has")
    h, w = checks.pair(output_size, "output_size", 1)
    xp = get_array_module(x, indices)
    if kernels.usable(x):
        return channels_first(kernels.max_unpool(channels_last(x), channels_last(indices, dtype=np.int64), (h, w)))
    n, c = x.shape[:2]
    flat = _memory_position(xp, indices, (n, c, h, w))
    y = xp.zeros(n * h * w * c, x.dtype)
    y[flat.ravel()] = x.transpose(0, 2, 3, 1).ravel()
    return channels_first(y.reshape(n, h, w, c))


def max_unpool2d_backward(dy, indices):
    """Each pooled value gets the gradient of the pixel it was put on.

    dx[n, c, i, j] = dy[n, c, indices[n, c, i, j]]

    (Where two values were put on one pixel, only the one that stayed should; such indices come from overlapping
    windows, which the networks here do not unpool.)
    Shapes: dy (N, C, H, W); indices (N, C, h, w). Returns: dx (N, C, h, w). Lesson 9.
    """
    checks.ndim(dy, 4, "dy", "(N, C, H, W)")
    checks.same_shape(dy, (*indices.shape[:2], *dy.shape[2:]), "dy", "the indices have images and channels")
    xp = get_array_module(dy, indices)
    if kernels.usable(dy):
        return channels_first(kernels.max_unpool_backward(channels_last(dy), channels_last(indices, dtype=np.int64)))
    flat = _memory_position(xp, indices, dy.shape)
    return channels_first(dy.transpose(0, 2, 3, 1).ravel()[flat])


def avg_pool2d(x, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    """The mean of each window.

    y[n, c, i, j] = (sum over a, b of x[n, c, s*i + a - p, s*j + b - p]) / count

    count is the window's pixels; with count_include_pad padded ones are among them (what lies beyond the padding,
    in a partial window of ceil mode, never is).
    Shapes: x (N, C, H, W); integer input is averaged in float64. Returns: y (N, C, oh, ow).
    Identity: equals ops.loops.avg_pool2d_loops  (tests/ops/test_pooling.py).
    Raises: as max_pool2d.
    """
    checks.ndim(x, 4, "x", "(N, C, H, W)")
    window = windows(x.shape[2:], kernel_size, stride, padding, 1, ceil_mode)
    if kernels.usable(x):
        geometry = window.kernel_size, window.stride, window.padding, count_include_pad
        return channels_first(kernels.avg_pool(channels_last(x), window.out, *geometry))
    taps = window.taps(window.padded(checks.floating(x), 0))
    total = next(taps).copy()
    for tap in taps:
        total += tap
    count = window.counts(get_array_module(x), count_include_pad, total.dtype)
    return channels_first(total / count[..., None])


def avg_pool2d_backward(dy, x_shape, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    """Share each output's gradient equally among the pixels of its window.

    dx[n, c, s*i + a - p, s*j + b - p] += dy[n, c, i, j] / count

    Shapes: dy (N, C, oh, ow); x_shape the input's. Returns: dx with shape x_shape.
    Identity: vjp_check  (tests/ops/test_pooling.py).
    """
    window = windows(x_shape[2:], kernel_size, stride, padding, 1, ceil_mode)
    checks.same_shape(dy, (*x_shape[:2], *window.out), "dy", "avg_pool2d's output has")
    xp = get_array_module(dy)
    n, c, h, w = x_shape
    if kernels.usable(dy):
        geometry = window.kernel_size, window.stride, window.padding, count_include_pad
        return channels_first(kernels.avg_pool_backward(channels_last(dy), (n, h, w, c), *geometry))
    (ph, pw), (eh, ew) = window.padding, window.extra
    share = dy.transpose(0, 2, 3, 1) / window.counts(xp, count_include_pad, dy.dtype)[..., None]
    dx = xp.zeros((n, h + 2 * ph + eh, w + 2 * pw + ew, c), dy.dtype)
    for tap in window.taps(dx):
        tap += share
    return channels_first(dx[:, ph : ph + h, pw : pw + w])


def _last_nan(xp, x, window, y, winner):
    """The winner, but where the maximum is NaN the last NaN of the window, as PyTorch names it: comparisons with
    NaN say nothing."""
    for number, tap in enumerate(window.taps(window.padded(x, 0))):
        winner = xp.where(xp.isnan(y) & xp.isnan(tap), winner.dtype.type(number), winner)
    return winner


def _memory_position(xp, indices, x_shape):
    """Positions in the plane (N, C, oh, ow) as positions in a flat channels-last array of shape x_shape."""
    n, c, h, w = x_shape
    if indices.dtype.kind not in "iu":
        raise ValueError(f"indices are integers, as max_pool2d returns them; got dtype {indices.dtype}")
    low, high = int(indices.min()), int(indices.max())
    if low < 0 or high >= h * w:
        wrong = low if low < 0 else high
        raise ValueError(f"index {wrong} lies outside the {h}x{w} plane, whose positions are 0..{h * w - 1}")
    plane = indices.transpose(0, 2, 3, 1).astype(np.int64, copy=False)
    image = xp.arange(n, dtype=np.int64)[:, None, None, None] * (h * w)
    return (plane + image) * c + xp.arange(c, dtype=np.int64)

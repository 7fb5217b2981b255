"""Max-pooling that keeps one byte for each winner, and the 2x2 max-pool that follows a ReLU in one pass.

ops.pooling has checked the arguments; `geometry` is its ops.shapes.Geometry.
"""

import math

import numpy as np

from fcn_from_scratch import checks, kernels
from fcn_from_scratch.backend import get_array_module
from fcn_from_scratch.engine import threads
from fcn_from_scratch.engine.im2col import channels_first, channels_last
from fcn_from_scratch.engine.pooling_windows import Windows
from fcn_from_scratch.engine.workspace import empty_from


def max_pool2d(x, geometry):
    """ops.max_pool2d: (y, indices)."""
    y, winner = max_pool2d_winner(x, geometry)
    return y, winner_indices(winner, x.shape, geometry)


def max_pool2d_winner(x, geometry):
    """max_pool2d with the winners as they are found: (y, winner).

    winner (N, C, oh, ow) is the place a * kw + b in the window, in the smallest unsigned integers that hold it: one
    byte instead of eight, and backward need not look for it.
    """
    window = Windows(tuple(x.shape[2:]), geometry)
    xp = get_array_module(x)
    if kernels.usable(x) and math.prod(window.kernel_size) <= kernels.MOST_PLACES:
        return tuple(map(channels_first, kernels.max_pool(channels_last(x), window.out, *window.placing)))
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

    threads.run(fill, threads.pieces(window.out[0], padded.size))
    if x.dtype.kind == "f" and bool(xp.isnan(y).any()):
        winner = _last_nan(xp, x, window, y, winner)
    return channels_first(y), channels_first(winner)


def max_pool2d_winner_backward(dy, winner, x_shape, geometry, workspace=None):
    """max_pool2d_backward by the winners: place by place, every window that was won there gives its gradient.

    dx[n, c, s*i + d*a - p, s*j + d*b - p] += dy[n, c, i, j] * [winner[n, c, i, j] == a * kw + b]

    A winner that is no place in the window, as conv2d_relu_pool has it, passes nothing on.
    """
    checks.same_shape(winner, dy.shape, "winner", "dy has")
    window = Windows(tuple(x_shape[2:]), geometry)
    xp = get_array_module(dy, winner)
    upstream, winner = channels_last(dy), channels_last(winner)
    n, c, h, w = x_shape
    if kernels.usable(dy) and winner.dtype == np.uint8:
        return channels_first(kernels.max_pool_backward(upstream, winner, (n, h, w, c), *window.placing))
    (ph, pw), (eh, ew) = window.padding, window.extra
    dx = empty_from(workspace, xp)((n, h + 2 * ph + eh, w + 2 * pw + ew, c), dy.dtype)
    if window.tiles:  # every pixel lies in one window: the rows can be shared out, and nothing has to be added
        (oh, ow), (kh, kw) = window.out, window.kernel_size
        taps = dx.reshape(n, oh, kh, ow, kw, c).transpose(2, 4, 0, 1, 3, 5)
        places = xp.arange(kh * kw, dtype=winner.dtype).reshape(kh, kw, 1, 1, 1, 1)

        def fill(rows):
            xp.multiply(upstream[:, rows], winner[:, rows] == places, out=taps[:, :, :, rows])

        threads.run(fill, threads.pieces(oh, dx.size))
    else:
        dx[...] = 0
        for number, tap in enumerate(window.taps(dx)):
            tap += upstream * (winner == number)
    return channels_first(dx[:, ph : ph + h, pw : pw + w])


def relu_pool(xp, windows, out=(None, None)):
    """Max-pool and ReLU of 2x2 windows side by side: (max(0, largest), winner) as engine.conv.conv2d_relu_pool returns
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


def winner_indices(winner, x_shape, geometry):
    """The winners (N, C, oh, ow) as flat positions i*W + j in the unpadded plane, int64: what max_pool2d returns.

    A winner that is no place in the window counts as the first, which wins where all are equal.
    """
    window = Windows(tuple(x_shape[2:]), geometry)
    xp = get_array_module(winner)
    winner = xp.where(winner < math.prod(window.kernel_size), winner, winner.dtype.type(0))
    return channels_first(window.flat_position(xp, winner.transpose(0, 2, 3, 1)))


def _last_nan(xp, x, window, y, winner):
    """The winner, but where the maximum is NaN the last NaN of the window, as PyTorch names it: comparisons with
    NaN say nothing."""
    for number, tap in enumerate(window.taps(window.padded(x, 0))):
        winner = xp.where(xp.isnan(y) & xp.isnan(tap), winner.dtype.type(number), winner)
    return winner

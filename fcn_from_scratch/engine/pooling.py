"""Max-pooling that stores one byte for each winner, and the 2x2 max-pool that follows a ReLU in one pass.

ops.pooling has checked the arguments. `geometry` is an ops.shapes.Geometry.
"""

import math

import numpy as np

from fcn_from_scratch import checks, kernels
from fcn_from_scratch.backend import get_array_module
from fcn_from_scratch.engine import threads
from fcn_from_scratch.engine.im2col import channels_first, channels_last
from fcn_from_scratch.engine.pixelwise import rectify
from fcn_from_scratch.engine.pooling_windows import Windows
from fcn_from_scratch.engine.workspace import empty_from


def max_pool2d(x, geometry):
    """Compute ops.max_pool2d: (y, indices)."""
    y, winner = max_pool2d_winner(x, geometry)
    return y, winner_indices(winner, x.shape, geometry)


def max_pool2d_winner(x, geometry):
    """Compute max_pool2d, with the winner's place in its window instead of its index: (y, winner).

    winner (N, C, oh, ow) is the place a * kw + b in the window, in the smallest unsigned integers that hold it: one
    byte instead of eight. Backward can use it directly.
    """
    window = Windows(tuple(x.shape[2:]), geometry)
    xp = get_array_module(x)
    if kernels.usable(x) and math.prod(window.kernel_size) <= kernels.MOST_PLACES:
        return tuple(map(channels_first, kernels.max_pool(channels_last(x), window.out, *window.placing)))
    lowest = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
    padded, first = window.padded(x, lowest), xp.asarray(window.first_tap_inside)
    make = empty_from(None, xp)
    y = make((len(x), *window.out, x.shape[1]), x.dtype)
    winner = make(y.shape, first.dtype)

    def fill(rows):
        taps = (tap[:, rows] for tap in window.taps(padded))
        largest = next(taps).copy()
        best = xp.zeros(largest.shape, first.dtype) + first[rows, :, None]
        for number, tap in enumerate(taps, start=1):
            # Later taps have larger numbers. So the maximum is the last tap that beat all before it. No branch.
            xp.maximum(best, (tap > largest) * first.dtype.type(number), out=best)
            xp.maximum(largest, tap, out=largest)
        y[:, rows], winner[:, rows] = largest, best

    def fill_pairs(rows):
        left, right = _halves(padded[:, 2 * rows.start : 2 * rows.stop], axis=2)
        top, bottom = _halves(np.maximum(left, right), axis=1)
        of_top, of_bottom = _halves((right > left).view(np.uint8), axis=1)
        np.maximum(top, bottom, out=y[:, rows])
        of_bottom += 2
        of_bottom *= (bottom > top).view(np.uint8)
        np.maximum(of_top, of_bottom, out=winner[:, rows])

    by_pairs = xp is np and window.tiles and window.kernel_size == (2, 2)
    threads.run(fill_pairs if by_pairs else fill, threads.pieces(window.out[0], padded.size))
    if x.dtype.kind == "f" and bool(xp.isnan(y).any()):
        winner = _last_nan(xp, x, window, y, winner)
    return channels_first(y), channels_first(winner)


def max_pool2d_winner_backward(dy, winner, x_shape, geometry, workspace=None):
    """Compute max_pool2d_backward from the winners, place by place: every window that was won there gives its gradient.

    dx[n, c, s*i + d*a - p, s*j + d*b - p] += dy[n, c, i, j] * [winner[n, c, i, j] == a * kw + b]

    If the winner is not a place in the window (as conv2d_relu_pool may return it), no gradient passes.
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
    if window.tiles:  # every pixel lies in one window: threads can share the rows, and nothing is added
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
    """Compute max-pool and ReLU of 2x2 windows that do not overlap: (max(0, largest), winner).

    The winner is the number of the first largest pixel, as engine.conv.conv2d_relu_pool returns it. With
    smaller[k] = [pixel k is not the largest] it is smaller[0] * (1 + smaller[1] * (1 + smaller[2])).

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
    y, place = out
    return rectify(largest, largest if y is None else y), xp.bitwise_or(winner, positive - 1, out=place)  # 0 - 1 is 255


def _halves(array, axis):
    """The elements with an even and those with an odd position along an axis: two views."""
    before = (slice(None),) * axis
    return array[(*before, slice(0, None, 2))], array[(*before, slice(1, None, 2))]


def winner_indices(winner, x_shape, geometry):
    """The winners (N, C, oh, ow) as max_pool2d's indices: flat positions i*W + j in the unpadded plane, int64.

    If a winner is not a place in the window, the first place is taken: after ReLU all pixels of that window are zero.
    """
    window = Windows(tuple(x_shape[2:]), geometry)
    xp = get_array_module(winner)
    winner = xp.where(winner < math.prod(window.kernel_size), winner, winner.dtype.type(0))
    return channels_first(window.flat_position(xp, winner.transpose(0, 2, 3, 1)))


def _last_nan(xp, x, window, y, winner):
    """The winner, except that where the maximum is NaN it is the last NaN of the window, as in PyTorch.

    Comparisons with NaN are all false, so they do not find it.
    """
    for number, tap in enumerate(window.taps(window.padded(x, 0))):
        winner = xp.where(xp.isnan(y) & xp.isnan(tap), winner.dtype.type(number), winner)
    return winner

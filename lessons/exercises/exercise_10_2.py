"""Exercise 10.2, change: the best taps by least squares.

The lesson fits a kernel with sixty steps of gradient descent. But the output is linear in
the taps, so least squares finds the best taps in one step. Along one axis, fine pixel o of
the upsampled row is

    y[o] = sum of coarse[i] * taps[a] over all i and a with stride * i + a - padding = o

Write `best_taps(coarse, fine, k, stride, padding)`. It returns the `k` taps with the
smallest squared error over the whole row `fine`. Build a matrix with one row for each fine
pixel and one column for each tap, and solve it with `np.linalg.lstsq`. The length of `fine`
is stride * (len(coarse) - 1) + k - 2 * padding. All rows are long enough for the taps to be
unique.
"""

import numpy as np


def best_taps(coarse, fine, k, stride, padding):
    """The taps whose upsampling of `coarse` is nearest to `fine`."""
    # BEGIN SOLUTION
    matrix = np.zeros((len(fine), k))
    for i, value in enumerate(coarse):
        for a in range(k):
            o = stride * i + a - padding
            if 0 <= o < len(fine):
                matrix[o, a] += value
    return np.linalg.lstsq(matrix, fine, rcond=None)[0]
    # END SOLUTION


# --- check

TOLERANCE = 1e-8


def _upsampled(coarse, taps, stride, padding):
    nails = np.zeros(stride * (len(coarse) - 1) + 1)
    nails[::stride] = coarse
    row = np.convolve(nails, taps)
    return row[padding : len(row) - padding]


def cases(rng):
    found = []
    for n, k, stride, padding, noise in (
        (30, 4, 2, 1, 0),
        (25, 5, 3, 0, 1),
        (40, 8, 4, 2, 0.5),
        (20, 3, 2, 0, 1),
    ):
        coarse, taps = rng.normal(size=n), rng.normal(size=k)
        fine = _upsampled(coarse, taps, stride, padding)
        found.append(
            (coarse, fine + noise * rng.normal(size=len(fine)), k, stride, padding)
        )
    return found


def expected(coarse, fine, k, stride, padding):
    # the normal equations; each column of the matrix is the upsampling with a single tap
    columns = np.array([_upsampled(coarse, tap, stride, padding) for tap in np.eye(k)])
    return np.linalg.solve(columns @ columns.T, columns @ fine)


def _no_padding(coarse, fine, k, stride, padding):
    whole = np.append(fine, np.zeros(2 * padding))
    return expected(coarse, whole, k, stride, 0)


def _flipped(coarse, fine, k, stride, padding):
    return expected(coarse, fine, k, stride, padding)[::-1]


def _minus_the_error(coarse, fine, k, stride, padding):
    columns = np.array([_upsampled(coarse, tap, stride, padding) for tap in np.eye(k)])
    return columns @ fine / (columns**2).sum(axis=1)


MISTAKES = {
    "the padding is cut off before the first pixel: tap a of number i stands at stride * i + a - padding": _no_padding,
    "the taps come out in reverse order. A transposed convolution does not flip its kernel": _flipped,
    "each tap was fitted alone. The taps overlap, so they must be solved for together": _minus_the_error,
}

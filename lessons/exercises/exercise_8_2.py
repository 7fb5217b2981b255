"""Exercise 8.2, change: a pool with dilation.

A rarefied network also needs dilated pools. Write `max_pool(x, k, dilation)` for a map x of
size (H, W). The window has k x k taps. Neighbouring taps are `dilation` values apart, and
the stride is 1. There is no padding, so the result has H - dilation * (k - 1) rows and W -
dilation * (k - 1) columns.

    max_pool(np.array([[3, 1, 4, 1, 5]] * 3), 2, 2) -> [[4, 1, 5]]
"""

import numpy as np


def max_pool(x, k, dilation):
    """The maximum of k x k taps, `dilation` values apart, at every place."""
    # BEGIN SOLUTION
    span = dilation * (k - 1) + 1
    rows, columns = len(x) - span + 1, x.shape[1] - span + 1
    y = np.empty((rows, columns), x.dtype)
    for i, j in np.ndindex(rows, columns):
        y[i, j] = x[i : i + span : dilation, j : j + span : dilation].max()
    return y
    # END SOLUTION


# --- check


def cases(rng):
    row = np.array([[3, 1, 4, 1, 5]] * 3)
    shapes = [((9, 11), 2, 2), ((13, 10), 3, 4), ((6, 8), 3, 1), ((12, 14), 2, 5)]
    return [
        (row, 2, 2),
        *((rng.integers(-50, 50, shape), k, dilation) for shape, k, dilation in shapes),
    ]


def expected(x, k, dilation):
    rows, columns = (n - dilation * (k - 1) for n in x.shape)
    moved = [
        x[a : a + rows, b : b + columns]
        for a in range(0, dilation * k, dilation)
        for b in range(0, dilation * k, dilation)
    ]
    return np.max(moved, axis=0)


def _whole_window(x, k, dilation):
    return expected(x, dilation * (k - 1) + 1, 1)


def _forgotten(x, k, dilation):
    return expected(x, k, 1)


def _stride(x, k, dilation):
    return expected(x, k, dilation)[::dilation, ::dilation]


MISTAKES = {
    "only the taps count, not the values in the holes between them": _whole_window,
    "this is the forgotten pool: its taps must be `dilation` values apart": _forgotten,
    "the dilation moves the taps apart. The window itself moves by 1": _stride,
}

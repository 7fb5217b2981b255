"""Exercise 5.2, change: a classifier whose crop is not square.

The classifier of the lesson reads crops of 32x32 pixels, and its first fully connected
layer reads a map of 4x4. If the crops have 32x48 pixels, the map has 4x8 places. The number
of weights alone does not tell 4x8 from 8x4 or 2x16. So the size must be given.

Write `at_every_place(x, weight, bias, kh, kw)`: the fully connected layer at every place
where a window of kh rows and kw columns fits. Each row of the weight lists its inputs
channel by channel, and inside a channel row by row.

    x       (C, H, W)
    weight  (F, C * kh * kw)
    bias    (F,)
    result  (F, H - kh + 1, W - kw + 1)
"""

import numpy as np


def at_every_place(x, weight, bias, kh, kw):
    """A fully connected layer as a convolution with a kernel of kh x kw."""
    # BEGIN SOLUTION
    rows, columns = x.shape[1] - kh + 1, x.shape[2] - kw + 1
    y = np.empty((len(weight), rows, columns))
    for i, j in np.ndindex(rows, columns):
        y[:, i, j] = weight @ x[:, i : i + kh, j : j + kw].ravel() + bias
    return y
    # END SOLUTION


# --- check


def cases(rng):
    found = []
    for channels, units, kh, kw, height, width in [
        (3, 2, 4, 8, 9, 11),
        (2, 5, 3, 1, 7, 4),
        (4, 3, 2, 6, 9, 8),
    ]:
        x = rng.normal(size=(channels, height, width))
        found.append(
            (
                x,
                rng.normal(size=(units, channels * kh * kw)),
                rng.normal(size=units),
                kh,
                kw,
            )
        )
    return found


def expected(x, weight, bias, kh, kw):
    windows = np.lib.stride_tricks.sliding_window_view(x, (kh, kw), axis=(1, 2))
    return (
        np.einsum("chwab,fcab->fhw", windows, weight.reshape(-1, len(x), kh, kw))
        + bias[:, None, None]
    )


def _no_bias(x, weight, bias, kh, kw):
    return expected(x, weight, 0 * bias, kh, kw)


def _channels_last(x, weight, bias, kh, kw):
    misread = weight.reshape(-1, kh, kw, len(x)).transpose(0, 3, 1, 2)
    return expected(x, misread.reshape(weight.shape), bias, kh, kw)


def _swapped(x, weight, bias, kh, kw):
    return expected(x, weight, bias, kw, kh)


MISTAKES = {
    "the bias is missing": _no_bias,
    "the weight lists all numbers of channel 0 first, then those of channel 1": _channels_last,
    "kh counts rows and kw columns; you have them the other way round": _swapped,
}
TOLERANCE = 1e-9

"""Exercise 3.2, change: a ReLU that learns the slope of its negative side.

    y[n, c, i, j] = x[n, c, i, j]               where x is positive
                    slope[c] * x[n, c, i, j]    elsewhere

There is one slope for each channel, and it is learned like a weight. (He et al. 2015 call
this layer PReLU.)

Write `learned_relu_backward(dy, x, slope)` for x and dy (N, C, H, W) and slope (C,). It
returns the pair (dx, dslope). The slope of channel c is used at every pixel of this channel
in every image. What does this mean for its gradient?

Later you can make it a layer and check it with `fcn gradcheck my_layer.py:MyLayer --shape
2,3,7,6`.
"""

import numpy as np


def learned_relu_backward(dy, x, slope):
    """The gradients with respect to x and to the slopes."""
    # BEGIN SOLUTION
    # Where x is not positive, y = slope * x: its derivative with respect to
    # x is slope, that with respect to slope is x. The slope is used at many pixels, and the
    # gradients of all uses add up.
    dx = np.where(x > 0, dy, slope[:, None, None] * dy)
    dslope = (dy * np.minimum(x, 0)).sum(axis=(0, 2, 3))
    return dx, dslope
    # END SOLUTION


# --- check

TOLERANCE = 1e-12


def cases(rng):
    shapes = (1, 1, 2, 3), (2, 3, 4, 5), (3, 2, 1, 4)
    return [
        (rng.normal(size=s), rng.normal(size=s), rng.uniform(0.1, 0.9, s[1]))
        for s in shapes
    ]


def expected(dy, x, slope):
    dx, dslope = np.zeros_like(x), np.zeros_like(slope)
    for n, c, i, j in np.ndindex(x.shape):
        if x[n, c, i, j] > 0:
            dx[n, c, i, j] = dy[n, c, i, j]
        else:
            dx[n, c, i, j] = slope[c] * dy[n, c, i, j]
            dslope[c] += x[n, c, i, j] * dy[n, c, i, j]
    return dx, dslope


def _plain_relu(dy, x, slope):
    return np.where(x > 0, dy, 0), expected(dy, x, slope)[1]


def _all_pixels(dy, x, slope):
    return expected(dy, x, slope)[0], (dy * x).sum(axis=(0, 2, 3))


def _mean(dy, x, slope):
    return expected(dy, x, slope)[0], (dy * np.minimum(x, 0)).mean(axis=(0, 2, 3))


def _first_image(dy, x, slope):
    return expected(dy, x, slope)[0], (dy * np.minimum(x, 0))[0].sum(axis=(1, 2))


MISTAKES = {
    "dx: where x is negative, dx is dy times the slope, not zero": _plain_relu,
    "dslope: where x is positive the output does not depend on the slope. Leave those pixels out": _all_pixels,
    "dslope is a sum over all pixels that used the slope, not their mean": _mean,
    "dslope collects from all images of the batch, not from the first only": _first_image,
}

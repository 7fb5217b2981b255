"""Exercise 14.2, change: the fourth slice of the first filters.

A trained network reads three colour channels. Now it gets depth as a fourth channel. Its
first layer has the weight (O, 3, kh, kw).

Write `add_depth(weight, filling)`. It returns a weight (O, 4, kh, kw) whose first three
slices are the old ones. The fourth is zero for filling "zero". For "mean" it is, for each
filter, the mean of the filter's three colour slices.
"""

import numpy as np


def add_depth(weight, filling):
    """The first layer's weight with a fourth slice for depth."""
    # BEGIN SOLUTION
    depth = weight.mean(axis=1, keepdims=True)
    if filling == "zero":
        depth = np.zeros_like(depth)
    return np.concatenate([weight, depth], axis=1)
    # END SOLUTION


# --- check

TOLERANCE = 1e-12


def cases(rng):
    return [(rng.normal(size=(5, 3, 3, 2)), filling) for filling in ("zero", "mean")]


def expected(weight, filling):
    out = np.zeros((weight.shape[0], 4, *weight.shape[2:]))
    for o in range(len(weight)):
        for c in range(3):
            out[o, c] = weight[o, c]
            if filling == "mean":
                out[o, 3] += weight[o, c] / 3
    return out


def _depth_first(weight, filling):
    return expected(weight, filling)[:, [3, 0, 1, 2]]


def _mean_of_filters(weight, filling):
    out = expected(weight, "zero")
    if filling == "mean":
        out[:, 3] = weight.mean(axis=(0, 1))
    return out


def _smaller(weight, filling):
    out = expected(weight, filling)
    return out * (0.75 if filling == "mean" else 1)


MISTAKES = {
    "depth is the last channel of the picture, so its slice is the last one": _depth_first,
    "take the mean over the three colour slices of each filter, not over all filters": _mean_of_filters,
    "the colour slices stay as they are. They are not scaled down": _smaller,
}

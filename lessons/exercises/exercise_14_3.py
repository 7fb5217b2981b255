"""Exercise 14.3, prove: late fusion is one score layer on the concatenated features.

Late fusion scores the features h of the colour network with a 1x1 layer (weight w, bias b),
the features g of the depth network with another one (weight v, bias c), and averages the
scores:

    y = ((w h + b) + (v g + c)) / 2

Write `joint_score_layer(w, b, v, c)`. It returns the weight and the bias of the single 1x1
score layer that gives the same y when it reads the concatenation [h, g]. Why does this
proof fail for early fusion?

Shapes: w (K, H, 1, 1), b (K,), v (K, G, 1, 1), c (K,).
"""

import numpy as np


def joint_score_layer(w, b, v, c):
    """The weight (K, H + G, 1, 1) and the bias (K,) of one layer on the concatenated features."""
    # BEGIN SOLUTION
    # A convolution adds up its input channels: [w v] [h; g] = w h + v g. The
    # average halves weight and bias. Early fusion joins the pictures before the ReLUs.
    # relu(A x + B d) is no sum of a function of x and a function of d: for f(x) + g(d) the
    # four values at (1, -2), (0, 0), (1, 0), (0, -2) satisfy y(1, -2) + y(0, 0) = y(1, 0) +
    # y(0, -2), but relu(1 - 2) + relu(0) = 0 and relu(1) + relu(-2) = 1.
    return np.concatenate([w, v], axis=1) / 2, (b + c) / 2
    # END SOLUTION


# --- check

TOLERANCE = 1e-12


def cases(rng):
    return [
        (
            rng.normal(size=(3, 5, 1, 1)),
            rng.normal(size=3),
            rng.normal(size=(3, 7, 1, 1)),
            rng.normal(size=3),
        ),
        (
            rng.normal(size=(2, 4, 1, 1)),
            rng.normal(size=2),
            rng.normal(size=(2, 1, 1, 1)),
            rng.normal(size=2),
        ),
    ]


def expected(w, b, v, c):
    """Read from the average itself: its value for features of zero, and its change for one feature at a time."""

    def average(h, g):
        return (w[:, :, 0, 0] @ h + b + v[:, :, 0, 0] @ g + c) / 2

    h, g = w.shape[1], v.shape[1]
    bias = average(np.zeros(h), np.zeros(g))
    columns = [average(unit, np.zeros(g)) - bias for unit in np.eye(h)]
    columns += [average(np.zeros(h), unit) - bias for unit in np.eye(g)]
    return np.stack(columns, axis=1)[:, :, None, None], bias


def _sum(w, b, v, c):
    return tuple(2 * array for array in expected(w, b, v, c))


def _bias_not_halved(w, b, v, c):
    return expected(w, b, v, c)[0], b + c


def _depth_first(w, b, v, c):
    return np.concatenate([v, w], axis=1) / 2, (b + c) / 2


MISTAKES = {
    "the scores are averaged, not summed: both weights count half": _sum,
    "the average halves the biases too": _bias_not_halved,
    "the features are concatenated as [h, g]: the weight w of h comes first": _depth_first,
}

"""Exercise 12.2, change: one score layer in place of two.

A skip adds the scores of two 1x1 convolutions, one on the deep map and one on the fine map.
Change it: join the two maps along their channels, deep channels first, and score them with
a single 1x1 convolution. It must give the same scores.

Write `one_score_layer(w_deep, b_deep, w_fine, b_fine)`. The weights have the shapes (C, D,
1, 1) and (C, F, 1, 1), the biases (C,). Return the weight and the bias of the single layer.
"""

import numpy as np


def one_score_layer(w_deep, b_deep, w_fine, b_fine):
    """The weight (C, D + F, 1, 1) and the bias (C,) of the layer on the joined maps."""
    # BEGIN SOLUTION
    # A score is a weighted sum of the channels plus a bias. The sum of two
    # such scores is a weighted sum over the channels of both, plus the sum of the biases.
    # So it cannot express more or less than the joined layer.
    return np.concatenate([w_deep, w_fine], axis=1), b_deep + b_fine
    # END SOLUTION


# --- check

TOLERANCE = 1e-12


def cases(rng):
    made = []
    for classes, deep, fine in ((3, 4, 2), (2, 1, 5), (4, 4, 4)):
        weights = [rng.normal(size=(classes, channels, 1, 1)) for channels in (deep, fine)]
        biases = [rng.normal(size=classes) for _ in range(2)]
        made.append((weights[0], biases[0], weights[1], biases[1]))
    return made


def expected(w_deep, b_deep, w_fine, b_fine):
    """What the sum of the two layers answers to 0, and to a 1 in each channel alone."""

    def scores(deep, fine):
        return (
            (w_deep[:, :, 0, 0] * deep).sum(1)
            + b_deep
            + (w_fine[:, :, 0, 0] * fine).sum(1)
            + b_fine
        )

    d, f = w_deep.shape[1], w_fine.shape[1]
    bias = scores(np.zeros(d), np.zeros(f))
    columns = [scores(one[:d], one[d:]) - bias for one in np.eye(d + f)]
    return np.stack(columns, axis=1)[:, :, None, None], bias


def _one_bias(w_deep, b_deep, w_fine, b_fine):
    return expected(w_deep, b_deep, w_fine, b_fine)[0], b_deep


def _fine_first(w_deep, b_deep, w_fine, b_fine):
    return expected(w_fine, b_fine, w_deep, b_deep)


def _mean(w_deep, b_deep, w_fine, b_fine):
    weight, bias = expected(w_deep, b_deep, w_fine, b_fine)
    return weight / 2, bias / 2


MISTAKES = {
    "both layers have a bias, and the sum of the scores contains both": _one_bias,
    "the deep channels come first in the joined map": _fine_first,
    "the scores are added, not averaged": _mean,
}

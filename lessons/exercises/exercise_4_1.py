"""Exercise 4.1, trace: probabilities, loss and gradient.

The scores are 0, 0 and ln 2, and class 2 is the true one. Write down the probabilities, the
loss and the gradient of the loss with respect to the scores. Then write
`softmax_loss(scores, label)` for one picture: scores is an array (C,), and label is the
true class. It returns the tuple (probabilities, loss, gradient).

    softmax_loss(np.array([0., 0., np.log(2)]), 2) -> [1/4, 1/4, 1/2], ln 2, [1/4, 1/4, -1/2]

Scores may be as large as 1000, and exp(1000) is infinite in float64. Softmax does not
change if the same number is subtracted from all scores.
"""

import numpy as np


def softmax_loss(scores, label):
    """The probabilities, the cross-entropy and its gradient, for one picture."""
    # BEGIN SOLUTION
    exponentials = np.exp(scores - scores.max())  # none is above 1 now
    probabilities = exponentials / exponentials.sum()
    loss = np.log(exponentials.sum()) - (scores[label] - scores.max())
    gradient = probabilities.copy()
    gradient[label] -= 1  # probability minus truth
    return probabilities, loss, gradient
    # END SOLUTION


# --- check

import math

TOLERANCE = 1e-9


def cases(rng):
    drawn = [(rng.normal(size=c) * 3, int(rng.integers(c))) for c in (4, 7)]
    return [
        (np.array([0.0, 0.0, np.log(2)]), 2),
        *drawn,
        (np.array([1000.0, 998.0, 990.0]), 1),
    ]


def expected(scores, label):
    """Each probability is 1 / (sum of e^(other - own)); the gradient comes from differences of the loss."""
    probabilities = np.array(
        [1 / sum(math.exp(other - own) for other in scores) for own in scores]
    )
    truth = np.array([float(c == label) for c in range(len(scores))])
    return probabilities, -math.log(probabilities[label]), probabilities - truth


def _overflow(scores, label):
    with np.errstate(all="ignore"):
        exponentials = np.exp(scores)
        probabilities = exponentials / exponentials.sum()
        loss = np.log(exponentials.sum()) - scores[label]
    gradient = probabilities.copy()
    gradient[label] -= 1
    return probabilities, loss, gradient


def _other_sign(scores, label):
    probabilities, loss, gradient = expected(scores, label)
    return probabilities, loss, -gradient


def _largest(scores, label):
    probabilities, _, gradient = expected(scores, label)
    return probabilities, -np.log(probabilities.max()), gradient


def _not_normalised(scores, label):
    with np.errstate(all="ignore"):
        exponentials = np.exp(scores)
    return exponentials, *expected(scores, label)[1:]


MISTAKES = {
    "exp overflows for large scores. Subtract the largest score first": _overflow,
    "the gradient has the other sign: it is probability minus truth": _other_sign,
    "the loss takes the probability of the true class, not that of the largest score": _largest,
    "probabilities add up to 1. Divide the exponentials by their sum": _not_normalised,
}

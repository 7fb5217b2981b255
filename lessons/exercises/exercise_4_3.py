"""Exercise 4.3, prove: the average loss over all labels.

Let each of the C classes be the label once, and average the cross-entropy of the same
scores over the C labels. The excess is this average minus ln C. Show that

    it is never negative, and zero only if all scores are equal;
    for small scores it is about half the variance of the scores.

For the proof, write the excess as ln(mean of e^t), where t are the scores minus some
number. Which number?

Write `excess_and_variance(scores)` for an array (C,). It returns the pair (excess, half the
variance of the scores). Here the variance is the mean of the squared distances from the
mean.
"""

import numpy as np


def excess_and_variance(scores):
    """The excess of the average loss over ln C, and half the variance of the scores."""
    # BEGIN SOLUTION
    # With L = ln(sum of e^s), the loss for label c is L - s_c. Its average
    # over the labels is L - m, where m is the mean of the scores. With t = s - m this is
    # ln(sum of e^t) = ln C + ln(mean of e^t). e^t >= 1 + t, and they are equal only at t =
    # 0. The mean of t is 0, so the mean of e^t is at least 1. Its logarithm is then at
    # least 0, and it is 0 only if all t are 0. For small t, e^t is about 1 + t + t*t/2. Its
    # mean is about 1 + variance/2, and ln(1 + v/2) is about v/2.
    t = scores - scores.mean()
    return float(np.log(np.exp(t).mean())), float((t**2).mean() / 2)
    # END SOLUTION


# --- check

import math

TOLERANCE = 1e-10


def cases(rng):
    return [
        (np.array([0.0, 0.0, np.log(2)]),),
        *((scale * rng.normal(size=5) + 1,) for scale in (0.1, 1, 3)),
    ]


def expected(scores):
    C = len(scores)
    losses = [math.log(sum(math.exp(other - s) for other in scores)) for s in scores]
    pairs = sum(
        (a - b) ** 2 for a in scores for b in scores
    )  # the variance is half the mean of these
    return sum(losses) / C - math.log(C), pairs / (2 * C * C) / 2


def _sample_variance(scores):
    return expected(scores)[0], float(scores.var(ddof=1) / 2)


def _without_ln(scores):
    excess, half = expected(scores)
    return excess + math.log(len(scores)), half


def _from_largest(scores):
    return float(np.log(np.exp(scores - scores.max()).mean())), expected(scores)[1]


def _whole_variance(scores):
    excess, half = expected(scores)
    return excess, 2 * half


MISTAKES = {
    "the variance is a mean over C classes. Divide by C, not by C - 1": _sample_variance,
    "this is the average loss. The excess is what is left after ln C is subtracted": _without_ln,
    "subtract the mean of the scores, not the largest one: the average of the losses contains the mean": _from_largest,
    "half the variance is asked for": _whole_variance,
}

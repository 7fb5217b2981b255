"""Exercise 13.3, prove: what a mask does on average.

Cell i has the gradient gradients[i], a row of numbers. Each cell is kept with probability
p, independently of the others, and the sum over the kept cells is divided by p. With n
cells there are 2**n masks, so for a few cells we can go through all of them.

Write `over_all_masks(gradients, p)`. It returns the mean of the divided sum over all masks,
an array, and its variance, a number: the mean of the squared distance from the mean. Each
mask counts with its probability. Then prove that the mean is the whole sum, and that the
variance is (1 - p)/p times the sum of all squares.

    over_all_masks(np.array([[1.0], [3.0]]), 0.5) -> [4.0], 10.0
"""

from itertools import product

import numpy as np


def over_all_masks(gradients, p):
    """The mean and the variance of the sum over the kept cells, divided by p."""
    # BEGIN SOLUTION
    masks = np.array(list(product([0, 1], repeat=len(gradients))))
    probability = np.where(masks == 1, p, 1 - p).prod(axis=1)
    sums = masks @ gradients / p
    mean = probability @ sums
    return mean, probability @ ((sums - mean) ** 2).sum(axis=1)
    # Proof. Let m_i be 1 if cell i is kept and 0 if not. Its mean is p. So the mean of the
    # sum of m_i g_i / p is the sum of p g_i / p, which is the whole sum: the estimate is
    # unbiased. The variance of m_i is p - p**2 = p (1 - p), because m_i squared is m_i. The
    # variances of independent terms add up. So the variance is the sum of p (1 - p) |g_i /
    # p|**2, which is (1 - p)/p times the sum of |g_i|**2. This fails for a mask that
    # depends on the scores. If the cells with the largest losses are kept, the probability
    # is not the same for all cells, and the mean is no longer the whole sum.
    # END SOLUTION


# --- check

TOLERANCE = 1e-9


def cases(rng):
    return [
        (np.array([[1.0], [3.0]]), 0.5),
        (rng.normal(size=(3, 2)), 0.25),
        (rng.normal(size=(5, 4)), 0.8),
        (rng.normal(size=(1, 3)), 0.1),
    ]


def expected(gradients, p):
    return gradients.sum(axis=0), (1 - p) / p * (gradients**2).sum()


def _masks(gradients):
    return np.array(list(product([0, 1], repeat=len(gradients))))


def _all_equal(gradients, p):
    sums = _masks(gradients) @ gradients / p
    return sums.mean(axis=0), ((sums - sums.mean(axis=0)) ** 2).sum(axis=1).mean()


def _not_divided(gradients, p):
    mean, variance = expected(gradients, p)
    return mean * p, variance * p**2


def _about_zero(gradients, p):
    mean, variance = expected(gradients, p)
    return mean, variance + (mean**2).sum()


MISTAKES = {
    "the masks are not equally likely: one that keeps k of n cells has probability p**k (1 - p)**(n - k)": _all_equal,
    "divide the sum over the kept cells by p. Otherwise its mean is p times the whole sum": _not_divided,
    "the variance is the mean squared distance from the mean, and not from zero": _about_zero,
}

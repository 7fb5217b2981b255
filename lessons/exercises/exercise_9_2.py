"""Exercise 9.2, change: a kernel that keeps ones.

The bilinear kernel of size 6 is made for stride 3. With stride 4 it turns a row of ones
into the pattern 4/6, 4/6, 5/6, 5/6: a fine pixel receives the sum of every fourth tap.

Write `even_taps(taps, stride)`. It changes the taps of a row so that a row of ones stays a
row of ones away from its ends. Divide each tap by the sum of all taps that can reach the
same pixel: every stride-th tap, before and after it. The number of taps is at least the
stride, and no such sum is zero.

    even_taps(np.array([1., 2, 1, 4]), 2) -> [0.5, 1/3, 0.5, 2/3]
"""

import numpy as np


def even_taps(taps, stride):
    """The taps, divided so that every stride-th of them add up to 1."""
    # BEGIN SOLUTION
    changed = np.array(taps, dtype=float)
    for first in range(stride):
        changed[first::stride] /= changed[first::stride].sum()
    return changed
    # END SOLUTION


# --- check

TOLERANCE = 1e-12


def cases(rng):
    return [
        (np.array([1.0, 2, 1, 4]), 2),
        (np.array([1.0, 3, 5, 5, 3, 1]) / 6, 4),
        (rng.uniform(0.5, 2, 7), 3),
        (rng.uniform(0.5, 2, 8), 2),
    ]


def expected(taps, stride):
    gains = np.zeros(50 * stride + len(taps))  # what a row of 50 ones becomes
    for i in range(50):
        gains[stride * i : stride * i + len(taps)] += taps
    inside = 20 * stride
    return taps / gains[inside : inside + len(taps)]


def _blocks(taps, stride):
    sums = [
        taps[a // stride * stride : a // stride * stride + stride].sum()
        for a in range(len(taps))
    ]
    return taps / np.array(sums)


def _whole_sum(taps, stride):
    return taps * stride / taps.sum()


MISTAKES = {
    "the taps that meet at a pixel are every stride-th one (a, a + stride, ...), and no neighbours": _blocks,
    "one factor for all taps makes the mean 1, but the pattern stays. Each sum needs its own factor": _whole_sum,
}

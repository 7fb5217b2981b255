"""Exercise 10.3, prove: odd bilinear kernels in two steps.

Along one axis, the bilinear kernel of size 2 s - 1 has its largest tap, 1, in the middle,
and falls by 1/s with each place. Double a row with the kernel of size 3, (1, 2, 1) / 2.
Then upsample the result by s with the kernel of size 2 s - 1. Both steps are linear, so
together they are one step by 2 s with a single kernel.

Write `two_steps(s)`. It returns the taps of this single kernel: upsample the taps of the
first step by s with the kernel of the second step. Then prove that it is the bilinear
kernel of size 4 s - 1.

    two_steps(1) -> [.5, 1, .5]
    two_steps(2) -> [.25, .5, .75, 1, .75, .5, .25]
"""

import numpy as np


def two_steps(s):
    """The kernel of a doubling and an upsampling by s, both with odd bilinear kernels."""
    # BEGIN SOLUTION
    first, second = np.array([0.5, 1, 0.5]), 1 - np.abs(np.arange(2 * s - 1) - (s - 1)) / s
    taps = np.zeros(s * (len(first) - 1) + len(second))
    for i, value in enumerate(first):
        taps[s * i : s * i + len(second)] += value * second
    return taps
    # Proof. Let f be the function that has the value x[i] at each whole number i and is
    # straight in between. The kernel of size 2s - 1 keeps the coarse numbers and adds
    # points of the straight lines between them. So upsampling by s returns f at all
    # multiples of 1/s (and the same beyond both ends, where f falls to zero). The doubled
    # row holds f at all multiples of 1/2. Connect these points by straight lines and call
    # the function g. Between two neighbouring multiples of 1/2, f is already straight. So g
    # is f. The second step returns g at all multiples of 1/(2s). That is f at all multiples
    # of 1/(2s), which is what one step by 2s with the kernel of size 4s - 1 returns. With
    # even kernels the doubled row holds f at the odd multiples of 1/4. The whole numbers
    # are not among them, and the line from 3/4 to 5/4 misses the corner of f at 1. So there
    # g is not f.
    # END SOLUTION


# --- check

TOLERANCE = 1e-12


def cases(rng):
    return [(1,), (2,), (3,), (5,), (16,)]


def expected(s):
    rising = np.arange(1, 2 * s + 1) / (2 * s)
    return np.concatenate([rising, rising[-2::-1]])


def _no_stride(s):
    return np.convolve([0.5, 1, 0.5], 1 - np.abs(np.arange(2 * s - 1) - (s - 1)) / s)


def _even_kernels(s):
    first, second = (
        np.array([0.25, 0.75, 0.75, 0.25]),
        1 - np.abs(np.arange(2 * s) - (s - 0.5)) / s,
    )
    taps = np.zeros(s * 3 + 2 * s)
    for i, value in enumerate(first):
        taps[s * i : s * i + 2 * s] += value * second
    return taps


MISTAKES = {
    "the taps of the first step stand s places apart on the fine grid": _no_stride,
    "these are the even kernels (1, 3, 3, 1) / 4 and 2 s. Their two steps are not one bilinear step": _even_kernels,
}

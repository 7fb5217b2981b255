"""Exercise 9.3, prove: bilinear kernels that turn ones into ones.

Away from the border, fine pixel o receives tap a from coarse value i if o = stride * i + a.
So a row of ones becomes the sum of all taps a that are equal to o modulo the stride. There
are `stride` such sums. The row stays constant exactly if all of them are equal.

One axis of the bilinear kernel has the taps 1 - abs(a - centre) / f with f = (size + 1) //
2, a whole number, and centre = (size - 1) / 2.

Write `tap_sums(size, stride)`. It returns the list of the sums for the first taps 0, 1,
..., stride - 1. Then prove that all of them are 1 for size = 2 * stride and for size = 2 *
stride - 1.

    tap_sums(4, 2) -> [1.0, 1.0]
    tap_sums(6, 4) -> [0.667, 0.667, 0.833, 0.833]
"""


def tap_sums(size, stride):
    """The sums of every stride-th tap of a row of the bilinear kernel."""
    # BEGIN SOLUTION
    f, centre = (size + 1) // 2, (size - 1) / 2
    taps = [1 - abs(a - centre) / f for a in range(size)]
    return [sum(taps[first::stride]) for first in range(stride)]
    # Proof. size = 2s: f = s and the centre is s - 1/2. Each sum has two taps, a < s on the
    # left of the centre and a + s on its right. Their distances from the centre are s - 1/2
    # - a and a + 1/2, together s. So the two taps add up to 2 - s/s = 1. size = 2s - 1: f =
    # s and the centre is s - 1. For a < s - 1 the taps are a and a + s, with the distances
    # s - 1 - a and a + 1, together s again, so their sum is 1. The last sum has the single
    # tap a = s - 1, and this tap is 1.
    # END SOLUTION


# --- check

import numpy as np

TOLERANCE = 1e-12


def cases(rng):
    return [(4, 2), (6, 4), (7, 4), (8, 4), (5, 2), (10, 3), (3, 3)]


def expected(size, stride):
    # The taps are the overlap of two blocks of ones: 1 at the centre, a straight line down
    # on both sides. np.convolve of two blocks of f ones has size 2f - 1; an even size is
    # the mean of two such rows, half a place apart.
    f = (size + 1) // 2
    odd = np.convolve(np.ones(f), np.ones(f)) / f
    taps = odd if size % 2 else (np.append(odd, 0) + np.append(0, odd)) / 2
    gains = np.zeros(20 * stride + size)
    for i in range(20):
        gains[stride * i : stride * i + size] += taps
    inside = 10 * stride
    return gains[inside : inside + stride].tolist()


def _blocks(size, stride):
    f, centre = (size + 1) // 2, (size - 1) / 2
    taps = [1 - abs(a - centre) / f for a in range(size)]
    return [
        sum(taps[first * size // stride : (first + 1) * size // stride])
        for first in range(stride)
    ]


def _half_size(size, stride):
    f, centre = size / 2, (size - 1) / 2
    taps = [1 - abs(a - centre) / f for a in range(size)]
    return [sum(taps[first::stride]) for first in range(stride)]


def _two_taps(size, stride):
    f, centre = (size + 1) // 2, (size - 1) / 2
    taps = [1 - abs(a - centre) / f for a in range(size)] + [0] * 3 * stride
    return [taps[first] + taps[first + stride] for first in range(stride)]


MISTAKES = {
    "a pixel receives every stride-th tap, taps[first::stride], and not a block of neighbouring taps": _blocks,
    "f is (size + 1) // 2, a whole number. For an odd size it is not size / 2": _half_size,
    "a kernel of more than 2 * stride taps has more than two taps in a sum": _two_taps,
}

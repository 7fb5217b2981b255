"""Exercise 15.3, prove: an upsampling kernel of size 64 or 63?

Score i of a coarse map stands at pixel S * i + c of the picture. (Lesson 6: c = 12.5 for
FCN-32s, 13 for FCN-AlexNet, both with S = 32.) A transposed convolution of stride S with a
kernel of size k places score i in the middle of the outputs S * i, ..., S * i + k - 1. A
crop that begins at output o brings the score back to its pixel if

    S * i + (k - 1) / 2 - o = S * i + c

o is a whole number, and k is 2 * S or 2 * S - 1.

Write `kernel_and_crop(S, c)`. It returns k and o.

    kernel_and_crop(32, 12.5) -> (64, 19)
"""


def kernel_and_crop(S, c):
    """The size of the upsampling kernel, and the first output that is kept."""
    # BEGIN SOLUTION
    # o = (k - 1) / 2 - c is whole if (k - 1) / 2 and c are both whole (k is
    # odd) or both end in .5 (k is even).
    k = 2 * S - 1 if c == int(c) else 2 * S
    return k, int((k - 1) / 2 - c)
    # END SOLUTION


# --- check

from fractions import Fraction


def cases(rng):
    return [(32, 12.5), (32, 13), (16, 3.5), (8, 0), (32, -84.5), (4, 1.5)]


def expected(S, c):
    """Try both sizes, and keep the one for which score 5 comes back to its pixel with a whole crop."""
    for k in (2 * S, 2 * S - 1):
        middle = Fraction(sum(range(S * 5, S * 5 + k)), k)
        o = middle - (S * 5 + Fraction(c))
        if o.denominator == 1:
            return k, int(o)
    raise ValueError(f"no kernel brings a score back to {c}")


def _always_even(S, c):
    return 2 * S, int((2 * S - 1) / 2 - c)


def _exchanged(S, c):
    k = 2 * S if c == int(c) else 2 * S - 1
    return k, int((k - 1) / 2 - c)


def _from_the_edge(S, c):
    k, o = expected(S, c)
    return k, int(o + c)


MISTAKES = {
    "an even kernel has its middle between two pixels: a score that stands on a pixel needs an odd one": _always_even,
    "it is the other way round: a score between two pixels (c ends in .5) needs an even kernel": _exchanged,
    "subtract c: the crop has to bring the score to S * i + c, not to S * i": _from_the_edge,
}

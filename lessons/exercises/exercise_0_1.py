"""Exercise 0.1, trace: the sizes of all maps of the trunk.

A photograph has n rows. VGG16's first convolution has a 3x3 kernel and a padding of
`padding` pixels. The other 3x3 convolutions have a padding of 1. A 2x2 pool with a stride
of 2 follows after the convolutions of each of five stages. Then fc6 follows, a 7x7
convolution without padding, and fc7, a 1x1 convolution.

Write `trunk_sizes(n, padding)`. It returns a list with the rows of the maps pool1, pool2,
pool3, pool4, pool5, fc6 and fc7. The pools round up.

    trunk_sizes(500, 100) -> [349, 175, 88, 44, 22, 16, 16]
"""


def trunk_sizes(n, padding):
    """The rows of pool1 to pool5, fc6 and fc7."""
    # BEGIN SOLUTION
    n = n + 2 * padding - 3 + 1
    sizes = []
    for _ in range(5):
        n = (n + 1) // 2  # the 3x3 convolutions before the pool keep the size
        sizes.append(n)
    n = n - 7 + 1
    return [*sizes, n, n]
    # END SOLUTION


# --- check

import math


def cases(rng):
    sizes = [int(n) for n in rng.integers(200, 1000, size=3)]
    return [(500, 100), (500, 90), (375, 100), (224, 110), *((n, 100) for n in sizes)]


def expected(n, padding):
    """Rounding up five times is the same as rounding up once."""
    conv1 = n + 2 * padding - 2
    pools = [math.ceil(conv1 / 2**number) for number in range(1, 6)]
    return [*pools, pools[-1] - 6, pools[-1] - 6]


def _round_down(n, padding):
    conv1 = n + 2 * padding - 2
    pools = [conv1 // 2**number for number in range(1, 6)]
    return [*pools, pools[-1] - 6, pools[-1] - 6]


def _padding_once(n, padding):
    pools = [math.ceil((n + padding - 2) / 2**number) for number in range(1, 6)]
    return [*pools, pools[-1] - 6, pools[-1] - 6]


def _same(n, padding):
    pools = [math.ceil((n + 2 * padding) / 2**number) for number in range(1, 6)]
    return [*pools, pools[-1] - 6, pools[-1] - 6]


def _fc6_keeps(n, padding):
    return [*expected(n, padding)[:5], expected(n, padding)[4], expected(n, padding)[4]]


MISTAKES = {
    "these pools round up: 175 cells become 88, because a last window of one cell counts too": _round_down,
    "the padding is added on both sides, so the map grows by two times the padding": _padding_once,
    "a 3x3 convolution removes 2 rows, which a padding of 1 gives back. The first one has another padding": _same,
    "fc6 has no padding: a kernel of 7 rows has 7 - 1 = 6 places fewer than the map has rows": _fc6_keeps,
}

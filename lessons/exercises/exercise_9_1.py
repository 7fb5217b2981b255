"""Exercise 9.1, trace: the coarse values that reach a fine pixel.

A row of `n` coarse values is upsampled by a transposed convolution with `k` taps. Coarse
value i adds its product with tap a to place stride * i + a - padding of the fine row.

Write `sources(o, n, k, stride, padding)`. It returns the list of all pairs (i, a) that
reach fine pixel o, in ascending order of i. A coarse value exists for i = 0 ... n - 1 only,
and a tap for a = 0 ... k - 1.

    sources(0, 3, 4, 2, 1) -> [(0, 1)]
    sources(2, 3, 4, 2, 1) -> [(0, 3), (1, 1)]

Now upsample 4 8 0 with the taps (1, 3, 3, 1) / 4, stride 2 and padding 1 on paper. You get
3 5 7 6 2 0. A resize to six pixels gives 4 5 7 6 2 0. Which pairs explain the 3?
"""


def sources(o, n, k, stride, padding):
    """The pairs (coarse value, tap) that reach fine pixel o."""
    # BEGIN SOLUTION
    found = []
    for i in range(n):
        a = o + padding - stride * i
        if 0 <= a < k:
            found.append((i, a))
    return found
    # The 3: sources(0, 3, 4, 2, 1) is [(0, 1)], so the first pixel gets 3/4 of the 4 and
    # nothing else. Inside, a pixel has two sources with 3/4 and 1/4. A resize repeats the
    # first value, and 3/4 of 4 + 1/4 of 4 = 4.
    # END SOLUTION


# --- check


def cases(rng):
    return [
        (0, 3, 4, 2, 1),
        (2, 3, 4, 2, 1),
        (5, 3, 4, 2, 1),
        (7, 5, 9, 3, 2),
        (4, 6, 3, 2, 0),
        (1, 4, 2, 4, 0),
    ]


def expected(o, n, k, stride, padding):
    return [(i, a) for i in range(n) for a in range(k) if stride * i + a - padding == o]


def _no_padding(o, n, k, stride, padding):
    return expected(o, n, k, stride, 0)


def _no_border(o, n, k, stride, padding):
    every = range(-k, n + k)
    return [
        (i, o + padding - stride * i) for i in every if 0 <= o + padding - stride * i < k
    ]


def _nearest_below(o, n, k, stride, padding):
    return expected(o, n, k, stride, padding)[-1:]


MISTAKES = {
    "the padding is cut off the result: o = stride * i + a - padding": _no_padding,
    "a coarse value exists for i = 0 ... n - 1 only. This is why the border fades": _no_border,
    "with k > stride the kernels overlap, and more than one coarse value reaches a pixel": _nearest_below,
}

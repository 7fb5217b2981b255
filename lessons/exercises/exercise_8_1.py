"""Exercise 8.1, trace: the dilation of every layer.

A chain of layers is given by their strides, in order. All strides after the first `kept`
ones are set to 1, as `rarefy` does. Each layer must then be dilated by the product of the
strides that were removed before it.

Write `dilations(strides, kept)`. It returns two lists: the new strides and the dilations.

    dilations([1, 2, 1, 2, 1], 0) -> [1, 1, 1, 1, 1], [1, 1, 2, 2, 4]
"""


def dilations(strides, kept):
    """The strides and the dilations of the rarefied chain."""
    # BEGIN SOLUTION
    new_strides, factors, factor = [], [], 1
    for number, stride in enumerate(strides):
        factors.append(factor)
        new_strides.append(stride if number < kept else 1)
        if number >= kept:
            factor *= stride
    return new_strides, factors
    # END SOLUTION


# --- check

import math


def cases(rng):
    return [([1, 2, 1, 2, 1], 0), ([2, 2, 1, 1], 1), ([1, 3, 2, 2, 1], 2), ([4], 0)]


def expected(strides, kept):
    removed = [1] * kept + list(strides[kept:])
    kept_strides = list(strides[:kept]) + [1] * (len(strides) - kept)
    return kept_strides, [math.prod(removed[:number]) for number in range(len(strides))]


def _own_stride_too(strides, kept):
    new, factors = expected(strides, kept)
    return new, [
        factor * (1 if n < kept else stride)
        for n, (factor, stride) in enumerate(zip(factors, strides))
    ]


def _sum(strides, kept):
    removed = [1] * kept + list(strides[kept:])
    return expected(strides, kept)[0], [
        sum(s - 1 for s in removed[:n]) + 1 for n in range(len(strides))
    ]


MISTAKES = {
    "a layer is dilated by the strides removed before it. Its own stride is not among them": _own_stride_too,
    "strides multiply; they do not add up": _sum,
}

"""Dropout: drawing the mask and applying it."""

import math

import numpy as np

from fcn_from_scratch import kernels
from fcn_from_scratch.lab.bench.kernel_cases.work import KernelCase, moved, normal, size_of

P = 0.5


def dropout_mask(sizes, xp, rng):
    n, h, w, c = sizes.wide
    shape, generator, theirs = (n, c, h, w), np.random.default_rng(0), xp.random.default_rng(0)
    return KernelCase(
        lambda: kernels.dropout_mask(xp, generator, shape, P),
        lambda: theirs.random(shape, dtype=np.float32) >= P,
        "random(shape) >= p",
        "x".join(map(str, shape)),
        math.prod(shape),  # one byte for each value; nothing is read
        same=False,
    )


def dropout(sizes, xp, rng):
    n, h, w, c = sizes.wide
    x, mask = normal(xp, rng, n, h, w, c), xp.asarray(rng.random((n, c, h, w)) >= P)
    scale = np.float32(1 / (1 - P))
    return KernelCase(
        lambda: kernels.dropout(x, mask, P),
        lambda: x * mask.transpose(0, 2, 3, 1) * scale,
        "x * mask * scale",
        size_of(x),
        moved(x, mask, x),
    )


CASES = {"dropout_mask": dropout_mask, "dropout": dropout}

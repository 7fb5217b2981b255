"""Dropout: drawing the mask, and applying it."""

import math

import numpy as np

from fcn_from_scratch import kernels
from fcn_from_scratch.lab.bench.kernel_cases.work import Piece, moved, normal, times

P = 0.5


def dropout_mask(sizes, xp, rng):
    n, h, w, c = sizes.wide
    shape, generator, theirs = (n, c, h, w), np.random.default_rng(0), xp.random.default_rng(0)
    return Piece(
        lambda: kernels.dropout_mask(xp, generator, shape, P),
        lambda: theirs.random(shape, dtype=np.float32) >= P,
        "random(shape) >= p",
        "x".join(map(str, shape)),
        math.prod(shape),  # a byte each, and nothing is read
        same=False,
    )


def dropout(sizes, xp, rng):
    n, h, w, c = sizes.wide
    x, mask = normal(xp, rng, n, h, w, c), xp.asarray(rng.random((n, c, h, w)) >= P)
    scale = np.float32(1 / (1 - P))
    return Piece(
        lambda: kernels.dropout(x, mask, P),
        lambda: x * mask.transpose(0, 2, 3, 1) * scale,
        "x * mask * scale",
        times(x),
        moved(x, mask, x),
    )


PIECES = {"dropout_mask": dropout_mask, "dropout": dropout}

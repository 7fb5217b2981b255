"""The three kernels of the softmax cross-entropy loss."""

import numpy as np

from fcn_from_scratch.kernels.launch import grid, launch
from fcn_from_scratch.kernels.loss import BLOCKS
from fcn_from_scratch.lab.bench.kernel_cases.work import KernelCase, moved, normal, size_of

IGNORE = 255


def _labels(sizes, xp, rng):
    """(one label for each pixel, of which a tenth is ignored; the number of blocks to launch)"""
    n, h, w, classes = sizes.scores
    labels = rng.integers(0, classes, n * h * w)
    labels[::10] = IGNORE
    return xp.asarray(labels), min(grid(len(labels)), BLOCKS)


def pixel_weights(sizes, xp, rng):
    labels, blocks = _labels(sizes, xp, rng)
    partials, classes = xp.empty((blocks, 2), np.float64), sizes.scores[-1]

    def ours():
        arguments = labels, None, None, partials, labels.size, classes, IGNORE
        launch("pixel_weights", labels.size, *arguments, blocks=blocks)
        return partials

    return KernelCase(
        ours, lambda: (labels != IGNORE).sum(), "(labels != ignore).sum()", size_of(labels), moved(labels, partials)
    )


def softmax_cross_entropy(sizes, xp, rng):
    labels, blocks = _labels(sizes, xp, rng)
    pixels, classes = labels.size, sizes.scores[-1]
    scores = normal(xp, rng, pixels, classes)
    counted = (labels != IGNORE).astype(np.float32)
    totals, partials = counted.sum(dtype=np.float64).reshape(1), xp.empty((blocks, 1), np.float64)
    dscores, every = xp.empty_like(scores), xp.arange(classes)

    def ours():
        arrays = scores, labels, None, None, totals, dscores, partials
        launch("softmax_cross_entropy", pixels, *arrays, pixels, classes, IGNORE, 1, blocks=blocks)
        return dscores, partials

    def theirs():
        exponentials = xp.exp(scores - scores.max(axis=1, keepdims=True))
        probabilities = exponentials / exponentials.sum(axis=1, keepdims=True)
        chosen = labels[:, None] == every
        loss = -xp.where(chosen, xp.log(probabilities), 0).sum(dtype=np.float64) / totals
        return (probabilities - chosen) * (counted / totals.astype(np.float32))[:, None], loss

    return KernelCase(
        ours,
        theirs,
        "exp(s - max) / sum, - one_hot, log, sum",
        size_of(scores),
        moved(scores, labels, totals, dscores, partials),
    )


def sum_partials(sizes, xp, rng):
    _, blocks = _labels(sizes, xp, rng)
    partials, totals = xp.asarray(rng.standard_normal((blocks, 2))), xp.empty(2, np.float64)

    def ours():
        launch("sum_partials", 1, partials, totals, blocks, 2, blocks=2)
        return totals

    return KernelCase(
        ours, lambda: partials.sum(axis=0), "partials.sum(axis=0)", size_of(partials), moved(partials, totals)
    )


CASES = {
    "pixel_weights": pixel_weights,
    "softmax_cross_entropy": softmax_cross_entropy,
    "sum_partials": sum_partials,
}

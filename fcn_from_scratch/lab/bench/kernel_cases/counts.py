"""The two kernels of the confusion matrix."""

import numpy as np

from fcn_from_scratch.kernels.counts import BLOCKS
from fcn_from_scratch.kernels.launch import grid, launch
from fcn_from_scratch.lab.bench.kernel_cases.work import KernelCase, moved, size_of

IGNORE = 255


def confusion_matrix(sizes, xp, rng):
    n, h, w, classes = sizes.scores
    pixels, cells = n * h * w, classes * classes
    host_labels, host_predictions = rng.integers(0, classes, (2, pixels))
    host_labels[::10] = IGNORE
    labels, predictions = xp.asarray(host_labels), xp.asarray(host_predictions)
    blocks = min(grid(pixels), BLOCKS)
    partials = xp.empty((blocks, cells + 1), np.int32)

    def ours():
        arrays = labels, predictions, partials
        launch("confusion_matrix", pixels, *arrays, pixels, classes, IGNORE, blocks=blocks)
        return partials

    def theirs():
        cell = xp.where(labels == IGNORE, cells, labels * classes + predictions)
        return xp.bincount(cell, minlength=cells + 1)

    return KernelCase(
        ours, theirs, "bincount(label * K + prediction)", size_of(labels), moved(labels, predictions, partials)
    )


def sum_counts(sizes, xp, rng):
    n, h, w, classes = sizes.scores
    blocks, cells = min(grid(n * h * w), BLOCKS), classes * classes + 1
    partials = xp.asarray(rng.integers(0, 9, (blocks, cells), dtype=np.int32))
    counts = xp.empty(cells, np.int64)

    def ours():
        launch("sum_counts", cells, partials, counts, blocks, cells)
        return counts

    return KernelCase(
        ours, lambda: partials.sum(axis=0), "partials.sum(axis=0)", size_of(partials), moved(partials, counts)
    )


CASES = {"confusion_matrix": confusion_matrix, "sum_counts": sum_counts}

"""Softmax cross-entropy on the GPU: four launches, and three numbers that are copied to the host."""

import numpy as np

from fcn_from_scratch.backend import get_array_module, to_numpy
from fcn_from_scratch.kernels.launch import grid, launch

BLOCKS = 1024  # of the first stage of a sum: enough to fill a GPU, and few enough to keep the second stage short
NO_LABEL = np.iinfo(np.int64).min  # an ignore label that no array holds


def softmax_cross_entropy(scores, labels, ignore_index, mean, class_weight, mask):
    """The loss and the gradient of ops.softmax_cross_entropy (softmax_cross_entropy.cu).

    Shapes: scores (pixels, C); labels (pixels,) int64; class_weight (C,) and mask (pixels,) of the scores' dtype, or
    None.
    Returns: (loss, the number of labels out of range, dscores). Loss and number are copied to the host. This is the
    only copy from the device in a training step, and a training loop needs the loss on the host anyway.
    """
    xp = get_array_module(scores)
    pixels, classes = scores.shape
    ignore = NO_LABEL if ignore_index is None else ignore_index
    blocks = min(grid(pixels), BLOCKS)
    # totals holds the loss, the sum of the pixels' weights, and the number of labels out of range.
    totals, dscores = xp.empty(3, np.float64), xp.empty(scores.shape, scores.dtype)
    partials = xp.empty((blocks, 2), np.float64)
    arguments = labels, class_weight, mask
    launch("pixel_weights", pixels, *arguments, partials, pixels, classes, ignore, real=scores.dtype, blocks=blocks)
    launch("sum_partials", 1, partials, totals[1:], blocks, 2, blocks=2)
    partials = xp.empty((blocks, 1), np.float64)
    sizes = pixels, classes, ignore, int(mean)
    launch("softmax_cross_entropy", pixels, scores, *arguments, totals[1:], dscores, partials, *sizes, blocks=blocks)
    launch("sum_partials", 1, partials, totals[:1], blocks, 1, blocks=1)
    loss, _, wrong = to_numpy(totals)
    return loss, int(wrong), dscores

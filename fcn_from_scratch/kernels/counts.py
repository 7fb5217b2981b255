"""The confusion matrix on the GPU. Only K*K numbers are copied to the host, not two label maps."""

import numpy as np

from fcn_from_scratch.backend import get_array_module, to_numpy
from fcn_from_scratch.kernels.launch import grid, launch

MOST_CLASSES = 64  # MOST_CLASSES in confusion_matrix.cu
BLOCKS = 256  # the most blocks; each block writes a matrix of its own
NO_LABEL = np.iinfo(np.int64).min


def confusion_matrix(labels, predictions, num_classes, ignore_index):
    """Count how often each label meets each prediction (confusion_matrix.cu).

    Shapes: labels and predictions flat, int64. num_classes is at most 64.
    Returns: (matrix, wrong): the counts as a NumPy array (K, K), int64, and the number of pixels whose label or
    prediction is out of range.
    """
    xp = get_array_module(labels, predictions)
    ignore = NO_LABEL if ignore_index is None else ignore_index
    cells = num_classes * num_classes + 1
    blocks = min(grid(labels.size), BLOCKS)
    partials, counts = xp.empty((blocks, cells), np.int32), xp.empty(cells, np.int64)
    arguments = labels, predictions, partials, labels.size, num_classes, ignore
    launch("confusion_matrix", labels.size, *arguments, blocks=blocks)
    launch("sum_counts", cells, partials, counts, blocks, cells)
    counts = to_numpy(counts)
    return counts[:-1].reshape(num_classes, num_classes), int(counts[-1])

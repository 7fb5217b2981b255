"""Exercise 1.1, trace: fill in the confusion matrix.

Six pixels have a class, and one is void:

    truth       0 0 1 1 2 2 255
    prediction  0 1 1 1 2 0  2

Fill in the matrix on paper first. Then write `count_pixels(truth, predicted, num_classes)`
for any two label maps of the same shape. It returns the matrix as an integer array: row i,
column j holds the number of pixels of true class i that were predicted as class j. Pixels
whose true label is 255 are not counted, whatever is predicted there. For the example it
returns

    [[1, 1, 0], [0, 2, 0], [1, 0, 1]]

You may use a loop.
"""

import numpy as np


def count_pixels(truth, predicted, num_classes):
    """The confusion matrix (num_classes, num_classes) of two label maps."""
    # BEGIN SOLUTION
    matrix = np.zeros((num_classes, num_classes), dtype=int)
    for i, j in zip(truth.flat, predicted.flat):
        if i != 255:
            matrix[i, j] += 1
    return matrix
    # END SOLUTION


# --- check


def cases(rng):
    example = np.array([0, 0, 1, 1, 2, 2, 255]), np.array([0, 1, 1, 1, 2, 0, 2])
    drawn = [
        (rng.choice([0, 1, 3, 255], (4, 7)), rng.integers(0, 4, (4, 7)), 4)
        for _ in range(3)
    ]
    return [(*example, 3), *drawn]


def expected(truth, predicted, num_classes):
    ids = range(num_classes)
    return np.array([[((truth == i) & (predicted == j)).sum() for j in ids] for i in ids])


def _transposed(truth, predicted, num_classes):
    return expected(truth, predicted, num_classes).T


def _void_as_zero(truth, predicted, num_classes):
    return expected(np.where(truth == 255, 0, truth), predicted, num_classes)


def _once(truth, predicted, num_classes):
    return np.minimum(expected(truth, predicted, num_classes), 1)


MISTAKES = {
    "rows belong to the truth and columns to the prediction. Yours is the other way round": _transposed,
    "void pixels, those of label 255, were counted as class 0. Leave them out": _void_as_zero,
    "a pair that occurs twice counts twice, but `matrix[truth, predicted] += 1` adds 1 only once for each pair; "
    "use a loop, np.add.at or np.bincount": _once,
}

"""Exercise 1.2, change: mean IU in both ways of treating absent classes.

The IU of class i is right / (of the truth + of the prediction - right), where the three
numbers come from the confusion matrix: the diagonal, the row sum and the column sum. A
class that is neither present nor predicted has IU 0/0 and is always left out of the mean.
The two ways differ in the classes that are predicted but not present:

    absent="count"   their IU, zero, enters the mean (the code that was released with the paper)
    absent="skip"    they are left out too (the paper's text)

Write `mean_iu(matrix, absent)`, where the matrix is an integer array (rows: truth, columns:
prediction).

    mean_iu(np.array([[2, 0, 1], [1, 1, 0], [0, 0, 0]]), "count") -> (1/2 + 1/2 + 0) / 3
    mean_iu(np.array([[2, 0, 1], [1, 1, 0], [0, 0, 0]]), "skip")  -> (1/2 + 1/2) / 2
"""

import numpy as np


def mean_iu(matrix, absent):
    """The mean IU of a confusion matrix; absent is "count" or "skip"."""
    # BEGIN SOLUTION
    right, of_truth, of_prediction = np.diag(matrix), matrix.sum(axis=1), matrix.sum(axis=0)
    union = of_truth + of_prediction - right
    enters = union > 0 if absent == "count" else of_truth > 0
    return float((right[enters] / union[enters]).mean())
    # END SOLUTION


# --- check

TOLERANCE = 1e-12


def cases(rng):
    example = np.array([[2, 0, 1], [1, 1, 0], [0, 0, 0]])
    nowhere = np.array([[5, 1, 0, 0], [2, 7, 0, 3], [0, 0, 0, 0], [0, 0, 0, 0]])
    drawn = rng.integers(1, 9, (4, 4))
    return [
        (matrix, absent)
        for matrix in (nowhere, example, drawn)
        for absent in ("count", "skip")
    ]


def expected(matrix, absent):
    ious = []
    for i in range(len(matrix)):
        missed = sum(int(matrix[i, j]) for j in range(len(matrix)) if j != i)
        false = sum(int(matrix[j, i]) for j in range(len(matrix)) if j != i)
        right = int(matrix[i, i])
        if right + missed > 0 or (absent == "count" and false > 0):
            ious.append(right / (right + missed + false))
    return sum(ious) / len(ious)


def _over_all_classes(matrix, absent):
    right = np.diag(matrix)
    union = matrix.sum(axis=0) + matrix.sum(axis=1) - right
    return float((right / np.maximum(union, 1)).mean())


def _accuracy(matrix, absent):
    present = matrix.sum(axis=1) > 0
    return float((np.diag(matrix)[present] / matrix.sum(axis=1)[present]).mean())


def _overlap_twice(matrix, absent):
    right = np.diag(matrix)
    both = matrix.sum(axis=0) + matrix.sum(axis=1)
    enters = both > 0 if absent == "count" else matrix.sum(axis=1) > 0
    return float((right[enters] / both[enters]).mean())


MISTAKES = {
    "you divide by the number of all classes. A class with IU 0/0 does not enter the mean, and with 'skip' neither "
    "does a class that is not present": _over_all_classes,
    "this is mean accuracy. The union also contains the false positives, which stand in the column": _accuracy,
    "the right pixels are in the row sum and in the column sum. Subtract them once": _overlap_twice,
}

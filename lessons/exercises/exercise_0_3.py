"""Exercise 0.3, build: from scores to a label map.

A network gives scores of shape (C, H, W): one for each of C classes at each of H x W
pixels. The label map names the class with the largest score at each pixel. If two classes
have the same score, the first of them counts.

Write `label_map(scores)`. It returns an integer array of shape (H, W).

    label_map(np.array([[[3.0, 1.0]], [[2.0, 5.0]]])) -> [[0, 1]]

Then think about this question: which numbers may you add to the scores of a pixel without
changing its label?
"""

import numpy as np


def label_map(scores):
    """The class with the largest score at each pixel."""
    # BEGIN SOLUTION
    # The same number may be added to all scores of one pixel: it does not
    # change which one is the largest.
    return np.argmax(scores, axis=0)
    # END SOLUTION


# --- check


def cases(rng):
    ties = rng.integers(0, 3, size=(4, 3, 5)).astype(float)
    return [
        (rng.normal(size=(21, 4, 6)),),
        (rng.normal(size=(2, 5, 3)),),
        (ties,),
        (-rng.random(size=(3, 2, 7)),),
    ]


def expected(scores):
    """One pixel after the other."""
    labels = np.zeros(scores.shape[1:], int)
    for y, x in np.ndindex(labels.shape):
        best = 0
        for number in range(len(scores)):
            if scores[number, y, x] > scores[best, y, x]:
                best = number
        labels[y, x] = best
    return labels


def _last_axis(scores):
    return scores.argmax(axis=-1)


def _largest_score(scores):
    return scores.max(axis=0)


def _from_one(scores):
    return expected(scores) + 1


def _smallest(scores):
    return scores.argmin(axis=0)


MISTAKES = {
    "the classes stand on the first axis, so compare along axis 0": _last_axis,
    "a label is the number of the class, not its score": _largest_score,
    "classes are counted from 0": _from_one,
    "this is the class with the smallest score": _smallest,
}

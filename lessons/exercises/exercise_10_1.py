"""Exercise 10.1, trace: cutting corners.

The bilinear kernel of size 4 has the taps (1, 3, 3, 1) / 4 along one axis. Upsampling a row
by 2 with these taps and padding 1 puts two fine numbers where each coarse number was:

    fine[2 i]     = 1/4 of the number on the left + 3/4 of number i
    fine[2 i + 1] = 3/4 of number i + 1/4 of the number on the right

Before the first number and after the last one there are zeros, since a transposed
convolution adds nothing there.

Write `cut_corners(row, times)`. It doubles the row as many times as `times` says, each time
by this rule.

    cut_corners([0, 4, 0], 1) -> [0, 1, 3, 3, 1, 0]
    cut_corners([0, 4, 0], 2) -> [0, .25, .75, 1.5, 2.5, 3, 3, 2.5, 1.5, .75, .25, 0]

One step by 4 with the bilinear kernel of size 8 gives 0, 0, .5, 1.5, 2.5, 3.5, 3.5, 2.5,
1.5, .5, 0, 0 instead. Which of the two is higher, and which reaches further?
"""

import numpy as np


def cut_corners(row, times):
    """The row, doubled several times."""
    # BEGIN SOLUTION
    row = np.array(row, dtype=float)
    for _ in range(times):
        left, right = np.append(0, row[:-1]), np.append(row[1:], 0)
        row = np.stack([left / 4 + 3 * row / 4, 3 * row / 4 + right / 4], axis=1).ravel()
    return row
    # Two steps reach further: 10 numbers are above zero, and 8 after one step. They are
    # lower: 3 instead of 3.5. The peak has been cut off. The sums are equal, 16.
    # END SOLUTION


# --- check

TOLERANCE = 1e-12


def cases(rng):
    return [
        ([3, 1, 2], 1),
        ([0, 4, 0], 1),
        ([0, 4, 0], 2),
        (rng.normal(size=5), 3),
        ([2.0, 5], 5),
    ]


def expected(row, times):
    for _ in range(times):
        longer = np.zeros(2 * len(row) + 2)
        for i, number in enumerate(row):
            longer[2 * i : 2 * i + 4] += number * np.array([0.25, 0.75, 0.75, 0.25])
        row = longer[1:-1]
    return np.asarray(row)


def _repeats_the_ends(row, times):
    row = np.array(row, dtype=float)
    for _ in range(times):
        left, right = np.append(row[0], row[:-1]), np.append(row[1:], row[-1])
        row = np.stack([left / 4 + 3 * row / 4, 3 * row / 4 + right / 4], axis=1).ravel()
    return row


def _one_after_the_other(row, times):
    row = np.array(row, dtype=float)
    for _ in range(times):
        left, right = np.append(0, row[:-1]), np.append(row[1:], 0)
        row = np.append(left / 4 + 3 * row / 4, 3 * row / 4 + right / 4)
    return row


def _far_one_heavier(row, times):
    row = np.array(row, dtype=float)
    for _ in range(times):
        left, right = np.append(0, row[:-1]), np.append(row[1:], 0)
        row = np.stack([3 * left / 4 + row / 4, row / 4 + 3 * right / 4], axis=1).ravel()
    return row


MISTAKES = {
    "a resize repeats the first and the last number. A transposed convolution has zeros there": _repeats_the_ends,
    "the two fine numbers of a coarse one stand next to each other: interlace them": _one_after_the_other,
    "the nearer number has the weight 3/4": _far_one_heavier,
}

"""Exercise 7.1, trace: all passes of a row.

A row of pixels is max-pooled with windows of k pixels and stride k. A last window that is
not full is left out. Pass a drops the first a pixels, for a = 0, 1, ..., k - 1.

Write `passes(row, k)`. It returns the outputs of the k passes as a list of lists, and the
interlaced row as a list. First do it by hand for the row 2 7 1 8 2 8 1 and k = 3. Why do
the passes have different lengths?

    passes([3, 1, 4, 1, 5, 9], 2) -> [[3, 4, 9], [4, 5]], [3, 4, 4, 5, 9]
"""


def passes(row, k):
    """The outputs of the k passes, and all of them interlaced."""
    # BEGIN SOLUTION
    # By hand:  row          2 7 1 8 2 8 1
    #           pass 0       7     8            2 7 1 | 8 2 8, and the last 1 is left out
    #           pass 1         8     8          7 1 8 | 2 8 1
    #           pass 2           8              1 8 2, and 8 1 is left out
    #           interlaced   7 8 8 8 8
    # Seven pixels hold five windows of three. Pass a has every third of them, from window a
    # on: 2, 2 and 1.
    outputs = [
        [max(row[i : i + k]) for i in range(a, len(row) - k + 1, k)] for a in range(k)
    ]
    interlaced = [outputs[place % k][place // k] for place in range(len(row) - k + 1)]
    return outputs, interlaced
    # END SOLUTION


# --- check

import numpy as np


def cases(rng):
    rows = [[int(v) for v in rng.integers(0, 100, n)] for n in (14, 17, 9)]
    return [
        ([3, 1, 4, 1, 5, 9], 2),
        ([2, 7, 1, 8, 2, 8, 1], 3),
        *((row, k) for row, k in zip(rows, (4, 3, 2))),
    ]


def expected(row, k):
    dense = np.lib.stride_tricks.sliding_window_view(np.array(row), k).max(axis=1)
    return [dense[a::k].tolist() for a in range(k)], dense.tolist()


def _partial(row, k):
    outputs = [[max(row[i : i + k]) for i in range(a, len(row), k)] for a in range(k)]
    longest = max(map(len, outputs))
    return outputs, [y[n] for n in range(longest) for y in outputs if n < len(y)]


def _one_after_another(row, k):
    outputs, _ = expected(row, k)
    return outputs, [value for y in outputs for value in y]


def _steps_of_one(row, k):
    _, dense = expected(row, k)
    return [dense[a:] for a in range(k)], dense


def _smallest(row, k):
    outputs, interlaced = expected([-value for value in row], k)
    return [[-value for value in y] for y in outputs], [-value for value in interlaced]


def _only_outputs(row, k):
    return expected(row, k)[0]


def _only_interlaced(row, k):
    return expected(row, k)[1]


MISTAKES = {
    "return two values: the list of the outputs, and the interlaced row": _only_outputs,
    "return two values; the list of the outputs comes before the interlaced row": _only_interlaced,
    "an output is the largest value of its window, not the smallest": _smallest,
    "a window that would end behind the row is left out, since it is not full": _partial,
    "interlace: take the first output of every pass, then the second ones, and so on": _one_after_another,
    "inside one pass the windows do not overlap: the next one begins k pixels further on": _steps_of_one,
}

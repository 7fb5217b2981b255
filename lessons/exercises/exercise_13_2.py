"""Exercise 13.2, change: a random shift before every step.

The windows of a picture begin at multiples of the stride only. Patches can begin anywhere.
To train on all of them, move the picture before each step: remove its first `a` rows and
first `b` columns, with a and b from 0 to stride - 1. Cell (i, j) of the moved picture sees
the window that begins at its pixel (stride * i, stride * j). The labels have to move along.

Write `shifted_labels(labels, size, stride, a, b)`. It gets the labels (H, W) of the picture
that was not moved, and returns the labels of the cells of the moved picture. The label of a
cell is that of the middle pixel of its window, which has size x size pixels. For an even
size, take the first of the two middle pixels along each axis. There is a cell for every
window that ends inside the picture.

Over all stride * stride shifts, every window of the picture is trained on exactly once.
These are the windows of shift-and-stitch (lesson 7). So on average the loss is that of the
dense map of lesson 8.
"""

import numpy as np


def shifted_labels(labels, size, stride, a, b):
    """The label of each cell of the picture without its first a rows and b columns."""
    # BEGIN SOLUTION
    moved = labels[a:, b:]
    rows, columns = ((length - size) // stride + 1 for length in moved.shape)
    middle = (size - 1) // 2
    return moved[
        middle : middle + stride * rows : stride,
        middle : middle + stride * columns : stride,
    ]
    # END SOLUTION


# --- check


def cases(rng):
    found = []
    for (H, W), size, stride, a, b in (
        ((33, 30), 18, 4, 1, 2),
        ((33, 30), 18, 4, 3, 0),
        ((17, 21), 7, 2, 0, 1),
        ((20, 20), 5, 5, 4, 3),
    ):
        found.append(
            (np.arange(H * W).reshape(H, W) + rng.integers(1000), size, stride, a, b)
        )
    return found


def expected(labels, size, stride, a, b):
    (H, W), found = labels.shape, {}
    for y in range(H - size + 1):
        for x in range(W - size + 1):
            if y >= a and x >= b and (y - a) % stride == 0 and (x - b) % stride == 0:
                window = labels[y : y + size, x : x + size]
                found[(y - a) // stride, (x - b) // stride] = window[
                    (size + 1) // 2 - 1, (size + 1) // 2 - 1
                ]
    rows, columns = max(found)
    return np.array([[found[i, j] for j in range(columns + 1)] for i in range(rows + 1)])


def _labels_stay(labels, size, stride, a, b):
    height, width = expected(labels, size, stride, a, b).shape
    middle = (size - 1) // 2
    return labels[
        middle : middle + stride * height : stride,
        middle : middle + stride * width : stride,
    ]


def _other_way(labels, size, stride, a, b):
    moved = np.pad(labels, ((a, 0), (b, 0)))[: labels.shape[0], : labels.shape[1]]
    height, width = expected(labels, size, stride, a, b).shape
    middle = (size - 1) // 2
    return moved[
        middle : middle + stride * height : stride,
        middle : middle + stride * width : stride,
    ]


def _second_middle(labels, size, stride, a, b):
    height, width = expected(labels, size, stride, a, b).shape
    middle = size // 2
    return labels[a + middle :: stride, b + middle :: stride][:height, :width]


def _half_windows(labels, size, stride, a, b):
    middle = (size - 1) // 2
    return labels[a + middle :: stride, b + middle :: stride]


MISTAKES = {
    "the picture has moved and the labels have not: cell (0, 0) now begins at pixel (a, b)": _labels_stay,
    "the first a rows are removed, so the picture moves up, and its labels with it. You moved them down": _other_way,
    "an even window has two middle pixels, and the label is that of the first one: (size - 1) // 2": _second_middle,
    "a cell exists only if its whole window ends inside the picture: (length - size) // stride + 1": _half_windows,
}

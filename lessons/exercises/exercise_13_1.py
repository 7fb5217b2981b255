"""Exercise 13.1, trace: the pixels that the kept windows use.

A network sees `size` pixels of a row of `n` pixels and has the given stride. Its windows
begin at 0, stride, 2 * stride and so on, as long as they end inside the row. `mask` says
for each window whether its cell is kept.

Write `used(n, size, stride, mask)`. It returns two lists. The first says for each pixel how
many kept windows contain it. The second says for each kept window the pixel whose label its
cell should predict. That is the middle pixel of the window, and for an even size the first
of the two middle ones.

    used(12, 4, 2, [1, 0, 1, 1, 0]) -> [1, 1, 1, 1, 1, 1, 2, 2, 1, 1, 0, 0], [1, 5, 7]
"""


def used(n, size, stride, mask):
    """How often each pixel is used, and the pixels that give the labels."""
    # BEGIN SOLUTION
    counts, centres = [0] * n, []
    for window, kept in enumerate(mask):
        if kept:
            first = stride * window
            for pixel in range(first, first + size):
                counts[pixel] += 1
            centres.append(first + (size - 1) // 2)
    return counts, centres
    # END SOLUTION


# --- check

import numpy as np


def cases(rng):
    found = [(12, 4, 2, [1, 0, 1, 1, 0])]
    for n, size, stride in ((15, 5, 3), (20, 6, 4), (18, 18, 4), (11, 3, 1)):
        windows = (n - size) // stride + 1
        found.append((n, size, stride, [*rng.integers(0, 2, windows - 1).tolist(), 1]))
    return found


def expected(n, size, stride, mask):
    # a transposed convolution of the mask with ones counts the windows
    nails = np.zeros(n + 1 - size, int)
    nails[: stride * len(mask) : stride][: len(mask)] = mask
    middles = np.arange(n + 1 - size) + (size + 1) // 2 - 1
    return np.convolve(nails, np.ones(size, int)).tolist(), middles[nails > 0].tolist()


def _second_middle(n, size, stride, mask):
    counts, _ = expected(n, size, stride, mask)
    return counts, [stride * window + size // 2 for window, kept in enumerate(mask) if kept]


def _no_stride(n, size, stride, mask):
    counts, centres = [0] * n, []
    for window, kept in enumerate(mask):
        if kept:
            for pixel in range(window, min(window + size, n)):
                counts[pixel] += 1
            centres.append(window + (size - 1) // 2)
    return counts, centres


def _all_windows(n, size, stride, mask):
    return expected(n, size, stride, [1] * len(mask))


MISTAKES = {
    "an even window has two middle pixels, and the label is that of the first one: (size - 1) // 2": _second_middle,
    "window number k begins at pixel stride * k": _no_stride,
    "a window whose cell is not kept uses no pixel and no label": _all_windows,
}

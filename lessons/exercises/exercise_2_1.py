"""Exercise 2.1, trace: where does a pixel occur in the patch matrix?

An image of C channels, H rows and W columns is convolved with kernels of (kh, kw), at
stride 1 without padding. The patch matrix has a row for each window (i, j), in reading
order, and a column for each tap (c, a, b), in this order.

Write `places(pixel, image_size, kernel_size)`. `pixel` is (channel, row, column),
`image_size` is (H, W), and `kernel_size` is (kh, kw). The result is the list of all (row,
column) pairs of the patch matrix at which the pixel stands, ordered by row. Work the
example out on paper first:

    places((1, 2, 3), (4, 5), (3, 3)) -> [(1, 17), (2, 16), (4, 14), (5, 13)]
"""


def places(pixel, image_size, kernel_size):
    """The (row, column) pairs of the patch matrix at which a pixel stands."""
    # BEGIN SOLUTION
    # Window (i, j) reads pixel (u, v) with the tap a = u - i, b = v - j, if
    # both lie inside the kernel.
    (c, u, v), (h, w), (kh, kw) = pixel, image_size, kernel_size
    oh, ow = h - kh + 1, w - kw + 1
    found = []
    for i in range(oh):
        for j in range(ow):
            a, b = u - i, v - j
            if 0 <= a < kh and 0 <= b < kw:
                found.append((i * ow + j, (c * kh + a) * kw + b))
    return found
    # END SOLUTION


# --- check

import numpy as np


def cases(rng):
    return [
        ((1, 2, 3), (4, 5), (3, 3)),
        ((0, 0, 0), (4, 5), (3, 3)),
        ((2, 3, 1), (6, 5), (2, 4)),
        ((1, 4, 6), (5, 7), (3, 2)),
    ]


def expected(pixel, image_size, kernel_size):
    return _where(_patches(pixel, image_size, kernel_size))


def _patches(pixel, image_size, kernel_size):
    """The windows of an image that is 1 at the pixel and 0 elsewhere: (oh, ow, C, kh, kw)."""
    image = np.zeros((pixel[0] + 1, *image_size), int)
    image[pixel] = 1
    view = np.lib.stride_tricks.sliding_window_view(image, kernel_size, axis=(1, 2))
    return view.transpose(1, 2, 0, 3, 4)


def _where(patches):
    oh, ow = patches.shape[:2]
    return [tuple(place) for place in np.argwhere(patches.reshape(oh * ow, -1)).tolist()]


def _channels_last(pixel, image_size, kernel_size):
    return _where(_patches(pixel, image_size, kernel_size).transpose(0, 1, 3, 4, 2))


def _rows_of_the_image(pixel, image_size, kernel_size):
    """Rows are numbered i * W + j."""
    ow = image_size[1] - kernel_size[1] + 1
    return [
        (row // ow * image_size[1] + row % ow, column)
        for row, column in expected(pixel, image_size, kernel_size)
    ]


def _rotated(pixel, image_size, kernel_size):
    return _where(_patches(pixel, image_size, kernel_size)[..., ::-1, ::-1])


MISTAKES = {
    "the columns have the order (c, a, b): all taps of channel 0, then those of channel 1. Yours is (a, b, c)": (
        _channels_last
    ),
    "a row of the output has W - kw + 1 windows, not W": _rows_of_the_image,
    "window (i, j) reads pixel (u, v) with the tap a = u - i, b = v - j. Yours count from the other end": _rotated,
}

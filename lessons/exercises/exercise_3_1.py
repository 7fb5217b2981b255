"""Exercise 3.1, trace: scatter an upstream gradient.

A kernel moved over an image with a stride s, without padding: y[i, j] = sum over a, b of
x[s*i + a, s*j + b] * kernel[a, b]. Which pixel receives what, when the upstream gradient dy
comes back? On paper first, for stride 1:

    kernel  1 2    dy  0 1    dx  0 1 2
            3 4        2 0        2 7 4
                                  6 8 0

Write `scatter(dy, kernel, stride, image_size)`. It returns dx with the shape image_size,
for arrays of two axes. Pixels that no window reads get 0.
"""

import numpy as np


def scatter(dy, kernel, stride, image_size):
    """The gradient with respect to the image."""
    # BEGIN SOLUTION
    dx = np.zeros(image_size)
    for i, j in np.ndindex(dy.shape):
        for a, b in np.ndindex(kernel.shape):
            dx[stride * i + a, stride * j + b] += kernel[a, b] * dy[i, j]
    return dx
    # END SOLUTION


# --- check

TOLERANCE = 1e-12


def cases(rng):
    example = (
        np.array([[0.0, 1.0], [2.0, 0.0]]),
        np.array([[1.0, 2.0], [3.0, 4.0]]),
        1,
        (3, 3),
    )
    drawn = [
        ((3, 2), (3, 2), 2, (8, 4)),
        ((2, 4), (2, 3), 1, (3, 6)),
        ((2, 3), (2, 2), 3, (5, 9)),
    ]
    return [
        example,
        *((rng.normal(size=y), rng.normal(size=k), s, size) for y, k, s, size in drawn),
    ]


def expected(dy, kernel, stride, image_size):
    """dx = J.T dy, where each column of J is the forward of an image that is 1 at one pixel."""
    dx = np.zeros(image_size)
    for pixel in np.ndindex(*image_size):
        image = np.zeros(image_size)
        image[pixel] = 1
        view = np.lib.stride_tricks.sliding_window_view(image, kernel.shape)[
            ::stride, ::stride
        ]
        dx[pixel] = (np.einsum("ijab,ab->ij", view, kernel) * dy).sum()
    return dx


def _overwrites(dy, kernel, stride, image_size):
    dx = np.zeros(image_size)
    for i, j in np.ndindex(dy.shape):
        for a, b in np.ndindex(kernel.shape):
            dx[stride * i + a, stride * j + b] = kernel[a, b] * dy[i, j]
    return dx


def _rotated(dy, kernel, stride, image_size):
    return expected(dy, kernel[::-1, ::-1], stride, image_size)


def _flipped(dy, kernel, stride, image_size):
    return expected(dy[::-1, ::-1], kernel, stride, image_size)


MISTAKES = {
    "a pixel that several windows read gets the sum of what they send back. Use +=": _overwrites,
    "the kernel is rotated. The gradient goes back through the same weights: tap (a, b) of window (i, j) read pixel "
    "(s*i + a, s*j + b)": _rotated,
    "each output's gradient went to the pixels of the opposite output. A check with ones would not see this": _flipped,
}

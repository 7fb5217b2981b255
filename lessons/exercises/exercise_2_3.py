"""Exercise 2.3, prove: two layers with nothing between them are one layer.

One layer with the kernel `first` is followed by one with the kernel `second`. There is one
channel, stride 1, and no padding, bias or ReLU. Show that together they compute what one
layer with a larger kernel computes. Begin with one axis: z[i] = sum over a of y[i + a] *
second[a], and y[i] = sum over b of x[i + b] * first[b].

Write `merged(first, second)`, which returns the kernel of that one layer. Both kernels are
arrays of two axes.

    merged(np.array([[1., 0., -1.]]), np.array([[1., 2., 3.]])) -> [[1., 2., 2., -2., -3.]]

How many weights do two 3x3 kernels have, and how many does the one kernel have that
replaces them?
"""

import numpy as np


def merged(first, second):
    """The kernel of the one layer that replaces two."""
    # BEGIN SOLUTION
    # Insert y: z[i] = sum over a, b of x[i + a + b] * first[b] * second[a].
    # Collect the terms with a + b = e:
    #     z[i] = sum over e of x[i + e] * u[e],    u[e] = sum over a of second[a] * first[e - a].
    # So u is the convolution of the two kernels as mathematicians define it: the index of
    # `first` runs backwards. The same holds for each further axis. Every tap of `second`
    # adds a copy of `first`, moved by that tap. Two 3x3 kernels have 18 weights. The 5x5
    # kernel that replaces them has 25.
    kernel = np.zeros(np.add(first.shape, second.shape) - 1)
    for a, b in np.ndindex(second.shape):
        kernel[a : a + first.shape[0], b : b + first.shape[1]] += second[a, b] * first
    return kernel
    # END SOLUTION


# --- check

TOLERANCE = 1e-12


def cases(rng):
    example = np.array([[1.0, 0.0, -1.0]]), np.array([[1.0, 2.0, 3.0]])
    drawn = [
        (rng.normal(size=one), rng.normal(size=two))
        for one, two in (((3, 3), (3, 3)), ((2, 4), (3, 2)))
    ]
    return [example, *drawn]


def expected(first, second):
    """Apply both layers to images with a single 1. The answer at place (0, 0) is one weight of the merged kernel."""
    size = np.add(first.shape, second.shape) - 1
    kernel = np.zeros(size)
    for place in np.ndindex(*size):
        image = np.zeros(size)
        image[place] = 1
        kernel[place] = _layer(_layer(image, first), second)[0, 0]
    return kernel


def _layer(x, kernel):
    view = np.lib.stride_tricks.sliding_window_view(x, kernel.shape)
    return np.einsum("ijab,ab->ij", view, kernel)


def _correlated(first, second):
    return expected(first, second[::-1, ::-1])


def _rotated(first, second):
    return expected(first, second)[::-1, ::-1]


def _inside(first, second):
    return np.ascontiguousarray(expected(first, second)[: first.shape[0], : first.shape[1]])


MISTAKES = {
    "you correlated the two kernels. In the sum one index runs backwards: second[a] * first[e - a]": _correlated,
    "these are the right weights, but rotated by 180 degrees": _rotated,
    "the merged kernel is larger: it has k1 + k2 - 1 taps along each axis": _inside,
}

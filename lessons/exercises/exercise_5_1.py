"""Exercise 5.1, trace: the size of every map.

A network without padding is given as a list of (kernel size, stride), one pair for each
layer, in order. Convolutions and pools are both in it. Sizes are rounded down: a last
window that does not fit is left out.

Write `sizes(layers, height, width)`. It returns the size (height, width) of the map after
every layer, as a list. First do it by hand for the network of the lesson and a picture of
50x75 pixels: a 5x5 convolution, a pool of 2, a 3x3 convolution, a pool of 2, a 3x3
convolution, a 4x4 convolution, a 1x1 convolution.

    sizes([(5, 1), (2, 2)], 50, 75) -> [(46, 71), (23, 35)]
"""


def sizes(layers, height, width):
    """The size of the map after every layer."""
    # BEGIN SOLUTION
    # The lesson's network: 50x75 -> 46x71 -> 23x35 -> 21x33 -> 10x16 -> 8x14
    # -> 5x11 -> 5x11.
    found = []
    for kernel_size, stride in layers:
        height = (height - kernel_size) // stride + 1
        width = (width - kernel_size) // stride + 1
        found.append((height, width))
    return found
    # END SOLUTION


# --- check

import math


def cases(rng):
    lesson = [(5, 1), (2, 2), (3, 1), (2, 2), (3, 1), (4, 1), (1, 1)]
    random = [(int(k), int(s)) for k, s in rng.integers(1, 4, (5, 2))]
    return [
        ([(5, 1), (2, 2)], 50, 75),
        (lesson, 50, 75),
        (lesson, 35, 96),
        ([(3, 3), (2, 1)], 20, 31),
        (random, 200, 301),
    ]


def expected(layers, height, width):
    found, lengths = [], [height, width]
    for k, s in layers:  # count the windows that fit, one by one
        lengths = [
            sum(start + k <= length for start in range(0, length, s)) for length in lengths
        ]
        found.append(tuple(lengths))
    return found


def _rounded_up(layers, height, width):
    found, lengths = [], (height, width)
    for k, s in layers:
        lengths = tuple(math.ceil((length - k) / s) + 1 for length in lengths)
        found.append(lengths)
    return found


def _strides_only(layers, height, width):
    found = []
    for _, s in layers:
        height, width = height // s, width // s
        found.append((height, width))
    return found


def _swapped(layers, height, width):
    return [size[::-1] for size in expected(layers, height, width)]


MISTAKES = {
    "a window that does not fit is left out: round down, not up": _rounded_up,
    "a kernel of size k fits in k - 1 fewer places than the map has pixels, even with stride 1": _strides_only,
    "the height comes first": _swapped,
}

"""Exercise 6.1, trace: the pixels that a value of FCN-AlexNet sees.

A network is a list of (kernel size, stride, padding), one for each layer, in order. Write
`seen(layers, value)`: the first and the last pixel, along one axis, that can influence the
output's value number `value`. Padding counts as pixels with negative coordinates; it is not
cut off.

First do it by hand for FCN-AlexNet. Its layers are a convolution of 11 with stride 4 and
padding 100; a pool of 3 with stride 2; a convolution of 5 with padding 2; a pool of 3 with
stride 2; three convolutions of 3 with padding 1; a pool of 3 with stride 2; a convolution
of 6; a convolution of 1. How many pixels does an output see, how many pixels are between
two outputs, and where does output 0 lie?

    seen([(3, 1, 0), (2, 2, 0), (3, 1, 0)], 1) -> (2, 9)
"""


def seen(layers, value):
    """The first and the last pixel that a value of the output sees."""
    # BEGIN SOLUTION
    # FCN-AlexNet:            size   stride  start
    #     conv1 11/4 p100      11      4     5 - 100 = -95
    #     pool1 3/2            19      8     -95 + 4 = -91
    #     conv2 5 p2           51      8     -91, because (k - 1) / 2 = p: this padding keeps the place
    #     pool2 3/2            67     16     -91 + 8 = -83
    #     conv3, 4, 5    99, 131, 163 16     -83
    #     pool5 3/2           195     32     -83 + 16 = -67
    #     conv6 6             355     32     -67 + 2.5 * 32 = 13
    # So it sees 355 pixels, outputs are 32 pixels apart, and output 0 lies at 13. Here we
    # walk back from the output: a layer turns the values first ... last into those that
    # their windows cover.
    first = last = value
    for k, s, p in reversed(layers):
        first, last = first * s - p, last * s - p + k - 1
    return first, last
    # END SOLUTION


# --- check


ALEXNET = [
    (11, 4, 100),
    (3, 2, 0),
    (5, 1, 2),
    (3, 2, 0),
    *3 * [(3, 1, 1)],
    (3, 2, 0),
    (6, 1, 0),
    (1, 1, 0),
]


def cases(rng):
    odd = [(3, 2, 1), (2, 3, 0), (4, 1, 2)]
    return [
        ([(3, 1, 0), (2, 2, 0), (3, 1, 0)], 1),
        (ALEXNET, 0),
        (ALEXNET, 7),
        (odd, 0),
        (odd, 5),
        ([(5, 4, 1)], 3),
    ]


def expected(layers, value):
    size, stride, start = 1, 1, 0.0  # the rule of the lesson, from the picture upwards
    for k, s, p in layers:
        size, start, stride = (
            size + (k - 1) * stride,
            start + ((k - 1) / 2 - p) * stride,
            stride * s,
        )
    middle = start + stride * value
    return int(middle - (size - 1) / 2), int(middle + (size - 1) / 2)


def _no_padding(layers, value):
    return expected([(k, s, 0) for k, s, _ in layers], value)


def _one_too_many(layers, value):
    first, last = expected(layers, value)
    return first, last + 1


def _upwards(layers, value):
    first = last = value
    for k, s, p in layers:
        first, last = first * s - p, last * s - p + k - 1
    return first, last


MISTAKES = {
    "a layer with padding p begins p places earlier": _no_padding,
    "a window of k places that begins at first ends at first + k - 1": _one_too_many,
    "begin at the output: the last layer comes first": _upwards,
}

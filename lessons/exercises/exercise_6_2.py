"""Exercise 6.2, change: another upscore kernel.

FCN-32s has an upscore layer with a kernel of 64 and stride 32. FCN-AlexNet has one with a
kernel of 63. What happens to the crop if AlexNet gets a kernel of 64, or if VGG16 gets a
kernel of 63?

Write `crop(layers, k, s)`. `layers` is a list of (kernel size, stride, padding) up to the
coarse scores. The upscore layer has kernel size k and stride s, where s is the output
stride of the layers. The function returns the crop offset against the picture as an
integer, or None if no crop of whole pixels puts the scores over the picture.

    crop([(4, 2, 3)], 4, 2) -> 3
    crop([(4, 2, 3)], 3, 2) -> None
"""


def crop(layers, k, s):
    """The crop offset of the upsampled scores against the picture, or None."""
    # BEGIN SOLUTION
    # AlexNet's outputs see 355 pixels, an odd number. So each of them lies
    # in the middle of a pixel, the first at 13. An odd kernel keeps it there: 31 - 13 = 18.
    # With 64 the map would begin at 13 - 31.5 = -18.5: half a pixel off. VGG16's outputs
    # see 404 pixels, an even number, and lie between two pixels: 12.5. There the even
    # kernel is right.
    stride, start = 1, 0.0
    for kernel_size, step, padding in layers:
        start += ((kernel_size - 1) / 2 - padding) * stride
        stride *= step
    offset = (k - 1) / 2 * stride / s - start
    return int(offset) if offset == int(offset) else None
    # END SOLUTION


# --- check

import math

PAIR, CONV, POOL = (2, 2, 0), (3, 1, 1), (3, 2, 0)
VGG16 = [
    (3, 1, 100),
    CONV,
    PAIR,
    CONV,
    CONV,
    PAIR,
    *3 * [CONV, CONV, CONV, PAIR],
    (7, 1, 0),
    (1, 1, 0),
]
ALEXNET = [
    (11, 4, 100),
    POOL,
    (5, 1, 2),
    POOL,
    CONV,
    CONV,
    CONV,
    POOL,
    (6, 1, 0),
    (1, 1, 0),
]


def cases(rng):
    nets = [(net, k, 32) for net in (VGG16, ALEXNET) for k in (64, 63)]
    return [
        ([(4, 2, 3)], 4, 2),
        ([(4, 2, 3)], 3, 2),
        *nets,
        ([(5, 3, 4), (2, 2, 1)], 9, 6),
        ([(3, 2, 7)], 7, 2),
    ]


def _middle(layers):
    """Twice the place of output 0: the sum of the first and the last pixel that it sees."""
    first = last = 0
    for k, s, p in reversed(layers):
        first, last = first * s - p, last * s - p + k - 1
    return first + last


def expected(layers, k, s):
    twice = (k - 1) - _middle(
        layers
    )  # output 0 lies in the middle of the first k pixels of the upsampled map
    return twice // 2 if twice % 2 == 0 else None


def _half_kernel(layers, k, s):
    twice = k - _middle(layers)
    return twice // 2 if twice % 2 == 0 else None


def _rounded(layers, k, s):
    return math.floor(((k - 1) - _middle(layers)) / 2)


def _other_sign(layers, k, s):
    right = expected(layers, k, s)
    return None if right is None else -right


MISTAKES = {
    "the middle of k values lies (k - 1) / 2 values behind the first, not k / 2": _half_kernel,
    "if the maps lie half a pixel apart, no crop of whole pixels aligns them: return None": _rounded,
    "the picture begins at 0 and the map before it: the offset is 0 minus the map's start": _other_sign,
}

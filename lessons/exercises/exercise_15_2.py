"""Exercise 15.2, change: fold torchvision's preprocessing into the first layer.

torchvision's networks read RGB in 0..1, minus a mean, divided by a standard deviation.
Caffe's read BGR in 0..255, minus a mean. Both means stand for the same grey, so

    x_torchvision[r] = x_caffe[2 - r] / (255 * std[r])      for r = 0 (red), 1 (green), 2 (blue)

Write `fold(weight, std)`. From a first layer's weight (O, 3, kh, kw) for torchvision's
input it makes the weight for Caffe's input that gives the same output. Why can the mean not
be folded into the bias in the same way?
"""

import numpy as np


def fold(weight, std):
    """The first layer's weight for BGR in 0..255, minus the mean."""
    # BEGIN SOLUTION
    scaled = weight / (255 * np.asarray(std))[None, :, None, None]
    # The mean cannot be folded in this way. The layer pads with zeros *after* the mean was
    # subtracted, so its frame has the mean's colour. A network that does not subtract the
    # mean pads with black. Its bias takes the mean away there too. So the result is right
    # inside, and wrong wherever the kernel reaches over the border.
    return scaled[:, ::-1]
    # END SOLUTION


# --- check

from fcn_from_scratch import ops

TOLERANCE = 1e-12


def cases(rng):
    std = np.array([0.229, 0.224, 0.225])
    return [
        (rng.normal(size=(4, 3, 3, 2)), std),
        (rng.normal(size=(1, 3, 1, 1)), np.array([0.5, 0.25, 0.125])),
    ]


def expected(weight, std):
    """Read from the first layer itself: its output for one pixel of one colour is one column of the weight."""
    kh, kw = weight.shape[2:]
    out = np.zeros_like(weight)
    for c in range(3):
        caffe = np.zeros((1, 3, 2 * kh - 1, 2 * kw - 1))
        caffe[0, c, kh - 1, kw - 1] = 1
        torchvision = np.stack([caffe[:, 2 - r] / (255 * std[r]) for r in range(3)], axis=1)
        out[:, c] = ops.conv2d(torchvision, weight)[0, :, ::-1, ::-1]
    return out


def _not_reversed(weight, std):
    return expected(weight, std)[:, ::-1]


def _reversed_first(weight, std):
    return weight[:, ::-1] / (255 * np.asarray(std))[None, :, None, None]


def _multiplied(weight, std):
    return (weight * (255 * np.asarray(std))[None, :, None, None])[:, ::-1]


MISTAKES = {
    "Caffe's first channel is blue: the slices have to be reversed": _not_reversed,
    "std[0] belongs to red. Divide first, then reverse the slices": _reversed_first,
    "torchvision's input is the smaller one, so Caffe's weight is smaller too: divide": _multiplied,
}

"""Shift-and-stitch as a function: the stride comes from the net's geometry."""

from fcn_from_scratch import checks, geometry
from fcn_from_scratch.layers import Layer, Sequential
from fcn_from_scratch.layers.shift_and_stitch import stitch


def shift_and_stitch(net, x, stride=None, form="drop"):
    """The net's outputs at every pixel, from f*f passes over shifted images, interlaced.

    y[n, c, f*i + a, f*j + b] = net(x[:, :, a:, b:])[n, c, i, j]   for 0 <= a, b < f

    net     a layer or a Sequential; a segmentation network counts as its layers up to the coarsest scores, and any
            function of x will do if `stride` is given
    stride  f, the output stride of the net, an integer or a pair; None: from geometry.receptive_field(net)
    form    "drop", as above, or "shift", the paper's: the image moves down and right, zeros follow
    Shapes: x (N, C, H, W); for an unpadded net with receptive field r, y is (N, C', H - r + 1, W - r + 1). Passes may
    have outputs of different sizes, or none.
    Identity: equals rarefy(net)(x) on unpadded nets  (tests/dense/test_rarefaction.py). For the gradient there is
    the layer ShiftAndStitch.
    Raises: ValueError when `stride` is not the net's.
    Source: Long et al. 2015, section 3.2. Lesson 7.
    """
    if hasattr(net, "coarse_path"):
        net = Sequential(*net.coarse_path)
    return stitch(net, x, _stride(net, stride), form)


def _stride(net, stride):
    """The output stride as a pair: the geometry's if it knows the net, and then a given one has to be the same."""
    given = None if stride is None else checks.pair(stride, "stride", 1)
    if given and not isinstance(net, Layer):
        return given
    try:
        known = checks.pair(geometry.receptive_field(net).stride, "the net's output stride", 1)
    except ValueError:
        if given is None:
            raise
        return given
    if given not in (None, known):
        raise ValueError(f"the net's output stride is {known}; got stride {given}: its outputs would be put elsewhere")
    return known

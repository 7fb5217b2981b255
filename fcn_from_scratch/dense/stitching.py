"""Shift-and-stitch as a function. The net's geometry gives the stride."""

from fcn_from_scratch import checks, geometry
from fcn_from_scratch.dense.chain import chain, share_weights
from fcn_from_scratch.layers import Layer, Sequential
from fcn_from_scratch.layers.shift_and_stitch import stitch


def shift_and_stitch(net, x, stride=None, form="drop"):
    """Compute the net's output at every pixel: run f*f passes over shifted images and interlace the outputs.

    y[n, c, f*i + a, f*j + b] = net(x[:, :, a:, b:])[n, c, i, j]   for 0 <= a, b < f

    net     a layer, a list of layers, a Sequential or Branches. A segmentation network counts as its layers up to the
            coarsest scores. Any function of x will do if `stride` is given
    stride  f, the output stride of the net, an integer or a pair; None takes it from geometry.receptive_field(net)
    form    "drop" drops the first rows and columns, as above. "shift", the paper's form, moves the image down and to
            the right and fills in zeros. Only "shift" takes an image that has fewer rows or columns than the stride,
            in a padded net that has outputs for it: in form "drop" nothing of it would be left for the last passes
    The net is meant to be in eval mode. In training mode each pass draws dropout masks of its own, so the result is not
    that of one net. Nothing is kept for backward, in either mode: a layer that is given as `net` forgets what its last
    forward kept. Lists and segmentation networks run as copies, whose weights are the net's own, and forget nothing.
    Shapes: x (N, C, H, W); for an unpadded net with receptive field r, y is (N, C', H - r + 1, W - r + 1). Passes may
    have outputs of different sizes, or none.
    Identity: equals rarefy(net)(x) on unpadded nets  (tests/dense/test_rarefaction.py). The layer ShiftAndStitch also
    has the gradient.
    Raises: ValueError when `stride` is not the net's, or not known, and as ShiftAndStitch does.
    Source: Long et al. 2015, section 3.2. Lesson 7.
    """
    if hasattr(net, "coarse_path") or isinstance(net, (list, tuple)):
        net = Sequential(*(share_weights(layer, name) for name, layer in chain(net).items()))
    try:
        return stitch(net, x, _stride(net, stride), form)
    finally:
        if isinstance(net, Layer):
            net.forget()


def _stride(net, stride):
    """The output stride as a pair. If geometry knows the net, it gives the stride, and a given one must be equal."""
    given = None if stride is None else checks.pair(stride, "stride", 1)
    if not isinstance(net, Layer):
        if given is None:
            raise ValueError(f"the stride of a function is not known: pass stride=; got net {type(net).__name__}")
        return given
    try:
        known = checks.pair(geometry.receptive_field(net).stride, "the net's output stride", 1)
    except ValueError:
        if given is None:
            raise
        return given
    if given not in (None, known):
        raise ValueError(
            f"the net's output stride is {known}; got stride {given}: the outputs would be put in the wrong places"
        )
    return known

"""Filter rarefaction: a net of a smaller output stride, in one pass and with the weights it has."""

from math import gcd, prod

from fcn_from_scratch import checks
from fcn_from_scratch.dense.chain import chain, rebuild, share_weights
from fcn_from_scratch.dense.dilated_pool import DilatedAvgPool2d
from fcn_from_scratch.layers import AvgPool2d, Conv2d, MaxPool2d

WINDOWS = (Conv2d, MaxPool2d, AvgPool2d)  # whose stride, padding and dilation can be set


def rarefy(net, stride=1):
    """Remove strides until the net's output stride is `stride`, and dilate what comes after by what was removed.

    stride s = kept * removed:  the layer strides by `kept`; every later filter AND pooling window is dilated by
    `removed` more, so that its taps, d = the product of all that was removed, stand where they stood in the image:
    a kernel k spans d(k - 1) + 1 cells and has no more weights than before. Padding grows to d * p.

    net     a Sequential of convolutions, pools, ReLU, dropout and LRN, or a segmentation network (its layers up to
            the coarsest scores)
    stride  an integer or a pair that divides the net's output stride. Earlier strides are kept first: of 2, 2, 2 and
            stride 2 the first stays, as in later work ("à trous").
    Returns: a Sequential of new layers that SHARE the weights: its params and grads are the net's own arrays.
    The receptive field and the place of the first output stay (geometry.receptive_field); only the stride changes.
    Identity: for an unpadded net, rarefy(net)(x) == shift_and_stitch(net, x)  (tests/dense/test_rarefaction.py): the
    same products summed, equal to the last bit where sums are exact or the matrix product adds in the same order, else
    to 1e-12.
    With padding, as long as pools round down: every f-th output of rarefy(net)(x) still is net(x), also at the border.
    Shift-and-stitch agrees wherever the output's receptive field lies inside the image (for form "drop", inside what
    its pass sees of it). In the rows before, as many as the first field begins ahead of the image, it need not: each
    pass pads at another place. Where ceil mode gives the net a last, partial window, the result has none, and ends
    earlier.
    Raises: ValueError for a layer that cannot be dilated (Linear: convolutionalize first), and for a stride that does
    not divide the net's.
    Source: Long et al. 2015, section 3.2. Lesson 8.
    """
    wanted = checks.pair(stride, "stride", 1)
    rest, dilation, strides, layers = wanted, (1, 1), [], []
    for name, layer in chain(net).items():
        if not (layer.pointwise or isinstance(layer, WINDOWS)):
            raise ValueError(_refusal(layer))
        layer = share_weights(layer, name)
        if isinstance(layer, WINDOWS):
            strides.append(layer.stride)
            kept = tuple(map(gcd, layer.stride, rest))
            removed = tuple(s // k for s, k in zip(layer.stride, kept))
            layer = _strided(layer, kept, dilation)
            rest = tuple(r // k for r, k in zip(rest, kept))
            dilation = tuple(d * r for d, r in zip(dilation, removed))
        layers.append(layer)
    if rest != (1, 1):
        total = tuple(map(prod, zip(*strides))) or (1, 1)
        raise ValueError(f"the net's output stride is {total}: {wanted} does not divide it")
    return rebuild(net, layers)


def _strided(layer, stride, factor):
    """The layer with another stride, its taps moved apart by `factor` and the padding with them."""
    if isinstance(layer, AvgPool2d) and factor != (1, 1):
        pool = DilatedAvgPool2d(layer, stride, factor, name=layer.name)
        return pool.train(layer.training)
    layer.stride = stride
    layer.padding = tuple(p * f for p, f in zip(layer.padding, factor))
    if factor != (1, 1):
        layer.dilation = tuple(d * f for d, f in zip(layer.dilation, factor))
    return layer


def _refusal(layer):
    if not layer.on_grid:
        return f"{layer.label} works on one crop and not on a map: convolutionalize the net first"
    return f"rarefy knows convolutions, pools and what works pixel by pixel; it cannot dilate {layer.label}"

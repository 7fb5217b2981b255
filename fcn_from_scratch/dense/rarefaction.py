"""Filter rarefaction: make a net of smaller output stride from the same weights. It needs only one pass."""

from math import gcd, prod

from fcn_from_scratch import checks
from fcn_from_scratch.dense.chain import chain, rebuild, share_weights
from fcn_from_scratch.dense.dilated_pool import DilatedAvgPool2d
from fcn_from_scratch.layers import AvgPool2d, Conv2d, MaxPool2d

WINDOWS = (Conv2d, MaxPool2d, AvgPool2d)  # whose stride, padding and dilation can be set


def rarefy(net, stride=1):
    """Remove strides until the net's output stride is `stride`, and dilate the later layers to make up for it.

    A stride s is split into s = kept * removed. The layer keeps the stride `kept`. Every later filter AND pooling
    window is dilated by `removed`, on top of earlier dilations. Let d be the product of all that was removed before a
    layer. Its taps are d cells apart, so they lie where they lay in the image: a kernel of size k spans d(k - 1) + 1
    cells and has as many weights as before. Its padding p grows to d * p.

    net     a Sequential of convolutions, pools, ReLU, dropout and LRN, or a segmentation network, which counts as its
            layers up to the coarsest scores
    stride  an integer or a pair that divides the net's output stride. Earlier strides are kept first: of the strides
            2, 2, 2 the first is kept for stride=2, as in later work ("à trous")
    Returns: a Sequential of new layers that SHARE the weights: its params and grads are the net's own arrays.
    The receptive field and the centre of the first output stay (geometry.receptive_field); only the stride changes.
    Identity: for an unpadded net, rarefy(net)(x) == shift_and_stitch(net, x)  (tests/dense/test_rarefaction.py). Both
    sum the same products. They are equal to the last bit where the sums are exact or the matrix product adds in the
    same order, otherwise to 1e-12.

    A padded net: every f-th output of rarefy(net)(x) still equals net(x), also at the border, as long as pools round
    down. Shift-and-stitch agrees wherever the output's receptive field lies inside the image (for form "drop", inside
    the part of it that the pass sees). It need not agree in the first rows, as many as the first field begins before
    the image, because each pass pads in another place. Where ceil mode gives the net a last, partial window, the result
    has no such window and ends earlier.
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
    """Change the layer's stride, and multiply its dilation and padding by `factor`."""
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
    return f"rarefy takes convolutions, pools and layers that work pixel by pixel; it cannot dilate {layer.label}"

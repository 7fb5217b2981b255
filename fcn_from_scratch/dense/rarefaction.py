"""Filter rarefaction: make a net of smaller output stride from the same weights. It needs only one pass."""

from math import gcd
from operator import floordiv, mul
from typing import NamedTuple

from fcn_from_scratch import checks
from fcn_from_scratch.dense.chain import branches_of, chain, rebuild, share_weights
from fcn_from_scratch.dense.dilated_pool import DilatedAvgPool2d
from fcn_from_scratch.layers import AvgPool2d, Branches, Conv2d, MaxPool2d

WINDOWS = (Conv2d, MaxPool2d, AvgPool2d)  # whose stride, padding and dilation can be set


def rarefy(net, stride=1):
    """Remove strides until the net's output stride is `stride`, and dilate the later layers to make up for it.

    A stride s is split into s = kept * removed. The layer keeps the stride `kept`. Every later filter AND pooling
    window is dilated by `removed`, on top of earlier dilations. Let d be the product of all that was removed before a
    layer. Its taps are d cells apart, so they lie where they lay in the image: a kernel of size k spans d(k - 1) + 1
    cells and has as many weights as before. Its padding p grows to d * p.

    net     a Sequential of convolutions, pools, ReLU, dropout, LRN and Branches of these, or a list of layers. Inner
            chains are opened. A segmentation network counts as its layers up to the coarsest scores, without its skips
    stride  an integer or a pair that divides the net's output stride. Earlier strides are kept first: of the strides
            2, 2, 2 the first is kept for stride=2, as in later work ("à trous")
    Returns: a Sequential of new layers that SHARE the weights: its params and grads are the net's own arrays. Each
    layer has the mode, training or eval, of the layer that it was made from.
    The receptive field and the centre of the first output stay (geometry.receptive_field); only the stride changes.
    Identity: for an unpadded net, rarefy(net)(x) == shift_and_stitch(net, x)  (tests/dense/test_rarefaction.py). Both
    sum the same products. They are equal to the last bit where the sums are exact or the matrix product adds in the
    same order, otherwise to 1e-12.

    A padded net: every f-th output of rarefy(net)(x) still equals net(x), also at the border, as long as no pool of
    the net rounds its size up on x. Shift-and-stitch agrees wherever the output's receptive field lies inside the image
    (for form "drop", inside the part of it that the pass sees). It need not agree in the first rows, as many as the
    first field begins before the image, because each pass pads in another place.

    Ceil mode: a pool keeps it, but with a smaller stride there is less to round up, and with stride 1 nothing. So a
    last, partial window of the net may be missing here, and rarefy(net)(x) may end earlier. In an unpadded net all
    other outputs are right. In a padded net the layers behind the pool see padding in place of the missing window. No
    pool rounds up where geometry.map_sizes(net, size) equals geometry.map_sizes(net, size, ceil_mode=False): fill up
    the image to such a size.
    Raises: ValueError for a layer that cannot be dilated (Linear: convolutionalize first), for branches of different
    strides, for a network of several streams, and for a stride that does not divide the net's.
    Source: Long et al. 2015, section 3.2. Lesson 8.
    """
    wanted = checks.pair(stride, "stride", 1)
    layers, end = _rarefied(chain(net), Place(wanted, (1, 1), (1, 1)))
    if end.rest != (1, 1):
        raise ValueError(f"the net's output stride is {end.stride}: {wanted} does not divide it")
    return rebuild(net, layers)


class Place(NamedTuple):
    """A place in the net, between two layers.

    rest      the stride that may still be kept after it
    dilation  the product of all strides that were removed before it
    stride    the stride that the net itself has there
    """

    rest: tuple
    dilation: tuple
    stride: tuple

    def after(self, stride, kept):
        """The place after a layer of the given stride, of which `kept` stays."""
        removed = (s // k for s, k in zip(stride, kept))
        return Place(
            tuple(r // k for r, k in zip(self.rest, kept)),
            tuple(d * r for d, r in zip(self.dilation, removed)),
            tuple(map(mul, self.stride, stride)),
        )


def _rarefied(named, place):
    """The new layers of a chain, a dict name -> layer, that begins at a place. Returns: (layers, the place behind)."""
    layers = []
    for name, layer in named.items():
        if isinstance(layer, Branches):
            layer, place = _side_by_side(layer, name, place)
        elif layer.pointwise:
            layer = share_weights(layer, name)
        elif isinstance(layer, WINDOWS):
            kept = tuple(map(gcd, layer.stride, place.rest))
            after = place.after(layer.stride, kept)
            layer, place = _strided(share_weights(layer, name), kept, place.dilation), after
        else:
            raise ValueError(_refusal(layer))
        layers.append(layer)
    return layers, place


def _side_by_side(module, name, place):
    """Rarefied Branches, and the place behind them. It is the same for all branches if their strides are equal."""
    ends = [_rarefied(chain(branch), place)[1] for branch in module.branches]
    if len(set(ends)) > 1:
        strides = ", ".join(str(tuple(map(floordiv, end.stride, place.stride))) for end in ends)
        raise ValueError(f"the branches of {module.label} must have one output stride; theirs are {strides}")
    return branches_of(module, name, lambda branch: _rarefied(chain(branch), place)[0]), ends[0]


def _strided(layer, stride, factor):
    """Change the layer's stride, and multiply its dilation and padding by `factor`."""
    if isinstance(layer, AvgPool2d) and factor != (1, 1):
        pool = DilatedAvgPool2d(layer, stride, factor, name=layer.name)
        return pool.train(layer.training)
    layer.stride = stride
    layer.padding = tuple(p * f for p, f in zip(layer.padding, factor))
    if factor != (1, 1):
        layer.dilation = tuple(d * f for d, f in zip(layer.dilation, factor))
        if getattr(layer, "algorithm", None) == "winograd":
            layer.algorithm = "auto"  # Winograd's takes no dilation
    return layer


def _refusal(layer):
    if not layer.on_grid:
        return f"{layer.label} works on one crop and not on a map: convolutionalize the net first"
    return f"rarefy takes convolutions, pools and layers that work pixel by pixel; it cannot dilate {layer.label}"

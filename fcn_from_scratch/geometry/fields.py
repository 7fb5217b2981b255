"""Which pixels an output sees and where it stands: receptive field, stride, start, and the crops that follow.

Every map is a grid laid over the image. Cell i of a map has its centre at image coordinate start + stride * i,
where 0 is the centre of the image's first pixel, and sees `size` pixels. Each layer changes the grid by one rule. With
kernel size k, stride s, padding p, dilation d and e = d(k - 1) + 1, the layer's `window`:

convolution, pooling    size += (e - 1) * stride;  start += ((e - 1) / 2 - p) * stride;  stride *= s
transposed convolution  size += (ceil(k / s) - 1) * stride;  stride /= s;  start -= ((e - 1) / 2 - p) * stride

With dilation and g = gcd(d, s) a transposed convolution's size grows by (ceil(kg / s) - 1) * d/g * stride.
Nearest neighbour counts as a transposed convolution with k = s, max-unpooling as one with its pool's window.
After an upsampling the cells of a map do not all see the same number of pixels: the place of a cell decides which
coarse cells reach it. `size` is then what the rule gives, which is about their mean.
Image sizes do not occur here, nor in a crop offset. Rounding up or down changes none of these numbers.
Source: Caffe's coord_map.py, from the paper's authors. Lesson 6.
"""

from fractions import Fraction
from inspect import isclass
from math import gcd
from typing import NamedTuple

from fcn_from_scratch import layers
from fcn_from_scratch.layers.container import has_known_forward, is_chain
from fcn_from_scratch.layers.window import declared_window


class Axis(NamedTuple):
    """One axis of a grid, in exact fractions of image pixels."""

    size: Fraction
    stride: Fraction
    start: Fraction


_PIXELS = Axis(Fraction(1), Fraction(1), Fraction(0))


class ReceptiveField:
    """A map's grid over the image: `size` of the receptive field, `stride` between cells, `start`, the centre of cell
    0, all in image pixels; a number each, or a (vertical, horizontal) pair where the axes differ.

    size, stride, start = field   unpacks it.
    """

    def __init__(self, axes=(_PIXELS, _PIXELS)):
        self.axes = tuple(axes)

    @property
    def size(self):
        return self._value("size")

    @property
    def stride(self):
        return self._value("stride")

    @property
    def start(self):
        return self._value("start")

    def _value(self, name):
        vertical, horizontal = (_plain(getattr(axis, name)) for axis in self.axes)
        return vertical if vertical == horizontal else (vertical, horizontal)

    def __iter__(self):
        return iter((self.size, self.stride, self.start))

    def __eq__(self, other):
        return isinstance(other, ReceptiveField) and self.axes == other.axes

    def __hash__(self):
        return hash(self.axes)

    def __repr__(self):
        return f"ReceptiveField(size={self.size}, stride={self.stride}, start={self.start})"


IMAGE = ReceptiveField()


def axes_of(field, name):
    """The axes of a grid, an argument called `name`. Raises: ValueError for a net, which is an easy mistake."""
    if not isinstance(field, ReceptiveField):
        raise ValueError(f"{name} must be a grid: pass geometry.receptive_field(net); got {type(field).__name__}")
    return field.axes


def receptive_field(net, start=IMAGE):
    """The grid of the net's output, or of its coarsest scores if it is a segmentation network.

    net is a layer, a list of layers, a Sequential or a model with a `coarse_path` (the layers from the image to
    score_fr); start is the grid its input lies on. Of Branches the largest size counts.
    Returns: a ReceptiveField with size, stride and start.
    Raises: ValueError at a layer whose outputs have no place in the image, such as Linear, for a Sequential with a
    forward of its own that declares no `window`, for Branches whose outputs do not lie in the same places, and for
    ShiftAndStitch with another stride than its net's.
    """
    axes_of(start, "start")
    if isinstance(net, layers.Branches) and has_known_forward(net):
        return joint(receptive_field(branch, start) for branch in net.branches)
    if isinstance(net, layers.ShiftAndStitch):
        return _stitched(net, start)
    if hasattr(net, "coarse_path"):
        path = net.coarse_path
    elif is_chain(net):
        path = net.layers
    elif isinstance(net, (list, tuple)):
        path = net
    else:
        return ReceptiveField(_move(checked(net), axis, number) for number, axis in enumerate(start.axes))
    for layer in path:
        start = receptive_field(layer, start)
    return start


def checked(net):
    """The net, if it is a layer. Raises: ValueError for anything else, such as None or a layer's class."""
    if isclass(net) or not hasattr(net, "window"):
        got = f"the class {net.__name__}" if isclass(net) else type(net).__name__
        raise ValueError(f"net must be a layer, a list of layers or a model; got {got}")
    return net


def _stitched(layer, start):
    """The grid of the net itself, as fine as its input's: pass (a, b) answers for what lies a rows and b columns on."""
    coarse = receptive_field(layer.net, start)
    for axis, before, f in zip(coarse.axes, start.axes, layer.stride):
        if axis.stride != f * before.stride:
            raise ValueError(
                f"{layer.label} interlaces passes of output stride {f}; that of its net is "
                f"{_plain(axis.stride / before.stride)}: the outputs would be put in the wrong places"
            )
    return ReceptiveField(axis._replace(stride=before.stride) for axis, before in zip(coarse.axes, start.axes))


def crop_offset(field, reference):
    """Where the reference grid's cell 0 lies in a map with the given grid: the first row and column to keep.

    offset = (reference.start - field.start) / field.stride

    Returns: an integer, or a (vertical, horizontal) pair where the axes differ. Negative: the reference starts before
    the map does, and has to be cropped itself.
    Raises: ValueError when the strides differ or the offset is not whole (Caffe's crop layer asks the same), and for
    nets instead of grids.
    """
    offsets = []
    for here, there in zip(axes_of(field, "field"), axes_of(reference, "reference")):
        if here.stride != there.stride:
            raise ValueError(
                f"maps that are cropped to each other must have equal strides; got {_plain(here.stride)} and "
                f"{_plain(there.stride)}"
            )
        offset = (there.start - here.start) / here.stride
        if offset.denominator != 1:
            raise ValueError(
                f"the grids lie {_plain(offset)} cells apart, which is not a whole number: no crop aligns them. An "
                "upsampling kernel one smaller or larger moves the map by half a cell"
            )
        offsets.append(int(offset))
    return offsets[0] if offsets[0] == offsets[1] else tuple(offsets)


def overlap(field, other):
    """The grid on which two maps of one stride lie after the earlier one is cropped: the later start, and the larger
    receptive field."""
    return ReceptiveField(
        Axis(max(a.size, b.size), a.stride, max(a.start, b.start))
        for a, b in zip(axes_of(field, "field"), axes_of(other, "other"))
    )


def joint(fields):
    """The grid on which maps lie that are stacked or added: theirs, with the largest receptive field of them.

    Raises: ValueError when a stride or a start differs: what is joined would not belong together.
    """
    fields = list(fields)
    if not fields:
        raise ValueError("joint needs the grid of one map at least; got none")
    for other in fields:
        axes_of(other, "each of the fields")
    first, *others = fields
    for other in others:
        if any((a.stride, a.start) != (b.stride, b.start) for a, b in zip(first.axes, other.axes)):
            raise ValueError(f"maps that are joined must lie in the same places; got {first} and {other}")
        first = overlap(first, other)
    return first


def _move(layer, axis, number):
    """The grid of a layer's output along one axis (0 vertical, 1 horizontal)."""
    window = declared_window(layer)
    if window is None:
        raise ValueError(_nowhere(layer))
    size, stride, start = axis
    k, s, p, d = (pair[number] for pair in window[:4])
    reach = d * (k - 1)
    centre = Fraction(reach, 2) - p
    if window.transposed:
        finer, shared = stride / s, gcd(d, s)  # with d = 1 shared is 1, and both factors vanish
        return Axis(size + (-(-k * shared // s) - 1) * (d // shared) * stride, finer, start - centre * finer)
    return Axis(size + reach * stride, stride * s, start + centre * stride)


def _nowhere(layer):
    """Why a layer's outputs have no place."""
    if not layer.on_grid:
        return f"{layer.label} has no place in a grid over the image, because its output is a vector"
    return (
        f"{layer.label} has no place in a grid over the image, because it does not say what its outputs read. It must "
        "declare `window`, such as layers.Window(kernel_size=3, stride=2, padding=1)"
    )


def _plain(value):
    """A fraction as an int if it is whole, else as a float."""
    return int(value) if value.denominator == 1 else float(value)

"""The zero frame: of each map only the part that sees the image is computed. A small image of zeros tells the rest.

The paper pads its images by 100 zeros. Far enough from the image a map does not depend on it: the values there are the
same as for an image of zeros. Such a map has few different values. In the middle it is constant in each channel. Only
near the borders it is not, because there the layers have read their own padding: that is zero, and the map beside it
is not. So the map of a small image of zeros holds all values of a large one:

    large[i, j] == small[f(i), g(j)]    f and g leave all rows and columns of the middle out, except one

This holds for each pair of sizes whose difference is a multiple of the strides. Then the windows of strided layers
begin and end in both images in the same way. For VGG16 the small maps have 1 to 14 rows. They are computed anew for
each batch. So nothing is kept from one batch to the next, and no frame is ever out of date.

Where Winograd's algorithm computes in tiles, the part that sees the image is enlarged to whole tiles, so that the map
is cut into the same tiles as when it is computed as a whole.
"""

import math
from typing import NamedTuple

import numpy as np

from fcn_from_scratch import checks
from fcn_from_scratch.backend import get_array_module, is_plain
from fcn_from_scratch.dense.chain import share_weights
from fcn_from_scratch.engine import threads
from fcn_from_scratch.engine.conv import choose
from fcn_from_scratch.engine.im2col import channels_first
from fcn_from_scratch.engine.micro_batches import METHODS
from fcn_from_scratch.engine.winograd import Beyond, winograd_conv2d, winograd_conv2d_relu_pool
from fcn_from_scratch.engine.winograd_transforms import OUTPUTS, TAPS
from fcn_from_scratch.engine.workspace import empty_from
from fcn_from_scratch.layers import Conv2d, MaxPool2d, fused
from fcn_from_scratch.models.fcn import FCN
from fcn_from_scratch.models.head import Head
from fcn_from_scratch.models.trunk import Trunk
from fcn_from_scratch.ops import shapes


class ZeroFrame:
    """An FCN that computes only what its images reach, on a CPU and in eval mode: predictor = ZeroFrame(model).

    predictor(x) is model(x), with x (N, C, H, W) of any size. It keeps nothing but the model.
    Identity: predictor(x) == model(x) up to rounding, 5e-6 of the largest score  (tests/models/test_zero_frame.py).
    Raises: InputError for a network that is no FCN, in training mode (where each layer keeps its whole maps for
    backward), or on a GPU.
    """

    def __init__(self, model):
        if type(model) is not FCN:
            raise checks.InputError(
                f"the zero frame takes FCN-32s, 16s, 8s, FCN-AlexNet and FCN-GoogLeNet; got {type(model).__name__}"
            )
        self.model = model

    def __call__(self, x):
        checks.ndim(x, 4, "x", "(N, C, H, W)")
        if self.model.training:
            raise checks.InputError("the zero frame is for a network in eval mode: call model.eval()")
        if get_array_module(x, *self.model.params.values()) is not np:
            raise checks.InputError(
                "the zero frame runs on the CPU: move the model and x there, or use the model alone"
            )
        first = self.model.trunk.layers[0]
        checks.channels(first, x, first.in_channels)
        return self.model.head(*run_trunk(self.model.trunk, x), x.shape[2:])

    @property
    def transform(self):
        """The model's preprocessing, which turns a picture into x."""
        return self.model.transform

    @property
    def params(self):
        """The model's parameters."""
        return self.model.params


def with_zero_frame(model):
    """ZeroFrame(model) for a network that it takes, else the model itself. Both give the same scores, up to rounding.

    A network with a replaced method and one on a GPU are returned as they are, and so is every network in `plain()`.
    """
    if is_plain() or type(model) is not FCN or get_array_module(*model.params.values()) is not np:
        return model
    parts = (model, FCN), (model.trunk, Trunk), (model.head, Head)
    as_written = all(type(part) is kind and METHODS.isdisjoint(vars(part)) for part, kind in parts)
    return ZeroFrame(model) if as_written else model


def run_trunk(trunk, x):
    """Like the trunk's forward, with the zero frame. Returns: (top, maps)."""
    parts = plan(trunk, x)
    if not parts:
        return trunk(x)
    maps, make = {}, empty_from(trunk.layers[0].workspace, np)
    y, place = x, tuple(axis.seen for axis in parts[0].before)
    frame = Frame(np.zeros((1, x.shape[1], 1, 1), x.dtype), parts[0].before)
    with threads.meanwhile(lambda: list(_frames(parts, frame))) as frames:
        for number, part in enumerate(parts):
            y = _run(part, y, place, frame, make)  # the old y is freed
            frame, place = frames()[number], part.place
            if part.name in trunk.taps or part is parts[-1]:
                everything = tuple(slice(0, axis.size) for axis in frame.axes)
                y, place = _fill(y, place, frame, everything, make), everything
            if part.name in trunk.taps:
                maps[part.name] = y
    names = list(trunk.children)
    rest = names[names.index(parts[-1].name) + 1 :]
    y, others = fused.forward({name: trunk.children[name] for name in rest}, y, trunk.taps, winners=False)
    return y, maps | others


class Frame(NamedTuple):
    """What a map is where it sees nothing of the image: a small map of an image of zeros, and the axes of the map."""

    small: np.ndarray
    axes: tuple

    def constant(self, window):
        """The values (C,) in a window that lies in the middle, where they are the same everywhere; or None."""
        for axis, cells in zip(self.axes, window):
            if not (axis.near <= cells.start and cells.stop <= axis.size - axis.far):
                return None
        return self.small[0, :, self.axes[0].near, self.axes[1].near]


def _frames(parts, frame):
    """Yield the Frame after each part, from that before the first one. None of them depends on the image."""
    small, axes = frame
    for part in parts:
        for layer, after in zip(part.layers, part.axes):
            small, axes = _small_map(layer, small, axes, after), after
        yield Frame(small, axes)


def _run(part, y, place, frame, make):
    """The output of a part at its place, from its input: y at `place`, and the frame elsewhere."""
    values = frame.constant(part.window)
    if values is None or part.algorithm != "winograd" or is_plain():
        return fused.run(part.windowed(), _fill(y, place, frame, part.window, make), winners=False)
    # The transform of the tiles supplies the constant. So no copy of the map with its surroundings is made.
    inside, known = _meeting(place, part.window)
    conv, *others = part.layers
    size = tuple(cells.stop - cells.start - TAPS + 1 for cells in part.window)
    arguments = y[(..., *known)], conv.params["weight"], conv.params.get("bias"), tuple(cells.start for cells in inside)
    kernel = None if conv.transformed is None else conv.transformed()
    options = {"transformed": kernel, "workspace": conv.workspace, "beyond": Beyond(values, size)}
    if len(others) < 2:
        return winograd_conv2d(*arguments, relu=bool(others), **options)
    pooled = tuple(cells.stop - cells.start for cells in part.place)
    return winograd_conv2d_relu_pool(*arguments, pooled, winners=False, **options)[0]


# --- the plan: which part of each map is computed ---------------------------------------------------------------------


class Axis(NamedTuple):
    """One axis of a map.

    size       the number of cells
    seen       a slice: the cells that see at least one pixel of the image
    near, far  how many of the first and of the last cells see padding, other than that of the image
    """

    size: int
    seen: slice
    near: int
    far: int

    def after(self, stride, padding, span, size):
        """The same axis of a layer's output, which has `size` cells."""
        # Cell i reads the input's cells from i * stride - padding to i * stride - padding + span - 1.
        seen = -(-(self.seen.start + padding - span + 1) // stride), (self.seen.stop - 1 + padding) // stride + 1
        near = -(-(self.near + padding) // stride)
        beyond = (self.size - self.far - span + padding) // stride + 1  # the first cell that reads too far
        return Axis(size, slice(max(seen[0], 0), min(seen[1], size)), near, size - max(min(beyond, size), 0))

    @property
    def small(self):
        """The number of cells in a map that has one cell in the middle."""
        return self.near + 1 + self.far

    def in_small(self, cells):
        """For each of some cells, a slice: its number in the small map, or -1 if it lies outside the map."""
        cell = np.arange(cells.start, cells.stop)
        from_end = cell - (self.size - self.far)
        number = np.where(from_end >= 0, self.near + 1 + from_end, np.minimum(cell, self.near))
        return np.where((cell < 0) | (cell >= self.size), -1, number)


class Part(NamedTuple):
    """A run of layers, see layers.fused, of which only a part is computed.

    layers     replicas of its layers
    algorithm  that of its convolution, or None for another layer. It is the one that the whole map would have
    before     the two axes of its input
    axes       the two axes of each layer's output
    place      the rows and columns of its output that are computed, a pair of slices
    window     the rows and columns of its input that are read. Those outside the input are padding
    """

    layers: list
    algorithm: str | None
    before: tuple
    axes: list
    place: tuple
    window: tuple

    @property
    def name(self):
        """The name of its last layer."""
        return self.layers[-1].name

    @property
    def size(self):
        """The size (H, W) of its whole output."""
        return tuple(axis.size for axis in self.axes[-1])

    def to(self, place):
        """The same layers for another place, which is enlarged to whole tiles of Winograd's algorithm."""
        if self.algorithm == "winograd":
            tile = OUTPUTS // (2 if len(self.layers) == 3 else 1)
            tiles = [(cells.start // tile, -(-cells.stop // tile)) for cells in place]
            place = [slice(tile * first, tile * last) for first, last in tiles]
        place = tuple(slice(max(cells.start, 0), min(cells.stop, size)) for cells, size in zip(place, self.size))
        return self._replace(place=place, window=_read(self.layers, self.before, self.axes, place))

    def windowed(self):
        """The layers for the window: without padding, because the window includes it."""
        first, *others = self.layers
        return self.layers if self.algorithm is None else [_replica(first, self.algorithm), *others]


def plan(trunk, x):
    """The Parts of a trunk for images x (N, C, H, W): its first runs of layers, as far as the zero frame saves work."""
    parts, axes, dtype = [], tuple(Axis(size, slice(0, size), 0, 0) for size in x.shape[2:]), x.dtype
    for names in fused.groups(trunk.children, trunk.taps):
        layers = [trunk.children[name] for name in names]
        if not all(map(_is_local, layers)):
            break
        layers = [share_weights(layer, name) for name, layer in zip(names, layers)]
        if isinstance(layers[0], Conv2d):
            dtype = np.result_type(dtype, layers[0].params["weight"])
            if not parts:  # the image and its padding are both zero: take them together
                axes = tuple(Axis(a.size + 2 * p, slice(p, p + a.size), 0, 0) for a, p in zip(axes, layers[0].padding))
                layers[0] = _replica(layers[0])
        part = _part(layers, axes, len(x), dtype)
        if part is None:
            break
        parts.append(part)
        axes = part.axes[-1]
    if len(parts) > 1 and parts[0].name not in trunk.taps:
        # The largest map need not be copied if the first part also computes the frame that the second one reads.
        parts[0] = parts[0].to(parts[1].window)
    return parts


def _part(layers, before, images, dtype):
    """The Part of a run of layers, or None if it would save no work."""
    after = [before]
    for layer in layers:
        after.append(_after(layer, after[-1]))
    axes = after[-1]
    empty = min(axis.size for axis in axes) < 1 or any(axis.seen.start >= axis.seen.stop for axis in axes)
    if empty or any(axis.small > axis.size for axis in axes):
        return None
    algorithm = _algorithm(layers[0], images, after[1], dtype) if isinstance(layers[0], Conv2d) else None
    part = Part(layers, algorithm, before, after[1:], (), ()).to([axis.seen for axis in axes])
    saved = math.prod(part.size) - _cells(part.place)
    return part if images * saved > math.prod(axis.small for axis in axes) else None


def _after(layer, axes):
    """The axes of a layer's output."""
    if layer.pointwise:
        return axes
    _, *sizes = layer.output_shape((1, *(axis.size for axis in axes)))
    return tuple(axis.after(*_window(layer, number), size) for number, (axis, size) in enumerate(zip(axes, sizes)))


def _read(layers, before, axes, cells):
    """The rows and columns that a run of layers reads for some cells of its output, a pair of slices.

    Those of a convolution's padding lie before 0 or beyond the input's size. A pool's last window ends with the map.
    """
    for layer, inputs in zip(reversed(layers), reversed([before, *axes[:-1]])):
        if not layer.pointwise:
            cells = tuple(_read_by(layer, axis, *pair) for axis, pair in enumerate(zip(cells, inputs)))
    return cells


def _read_by(layer, number, cells, axis):
    stride, padding, span = _window(layer, number)
    start, stop = cells.start * stride - padding, (cells.stop - 1) * stride - padding + span
    return slice(start, min(stop, axis.size) if isinstance(layer, MaxPool2d) else stop)


def _window(layer, axis):
    """(stride, padding, span) of a layer along one axis."""
    return layer.stride[axis], layer.padding[axis], shapes.span(layer.kernel_size[axis], layer.dilation[axis])


def _cells(place):
    return math.prod(cells.stop - cells.start for cells in place)


# --- arrays -----------------------------------------------------------------------------------------------------------


def _fill(y, place, frame, wanted, make):
    """The values of a map at `wanted`: y where it is known, at `place`, and the frame elsewhere.

    Returns: a view of y if y has them all, else a new array.
    """
    inside, known = _meeting(place, wanted)
    if _cells(inside) == _cells(wanted):
        return y[(..., *known)]
    height, width = (cells.stop - cells.start for cells in wanted)
    whole = make((len(y), height, width, y.shape[1]), y.dtype)
    rows, columns = (axis.in_small(cells) for axis, cells in zip(frame.axes, wanted))
    values = np.pad(frame.small[0].transpose(1, 2, 0), ((0, 1), (0, 1), (0, 0)))  # number -1 is zero
    for part in _around(inside, height, width):
        whole[(slice(None), *part)] = values[rows[part[0]]][:, columns[part[1]]]
    target, source = whole[(slice(None), *inside)], y.transpose(0, 2, 3, 1)[(slice(None), *known)]

    def copy(part):
        target[:, part] = source[:, part]

    threads.run(copy, threads.pieces(target.shape[1], target.size))
    return channels_first(whole)


def _around(inside, height, width):
    """The four rectangles around an inner one: above, below, to the left and to the right of it."""
    rows, columns = inside
    yield slice(0, rows.start), slice(0, width)
    yield slice(rows.stop, height), slice(0, width)
    yield rows, slice(0, columns.start)
    yield rows, slice(columns.stop, width)


def _meeting(place, wanted):
    """Where two places of a map overlap: as slices of an array for `wanted`, and as slices of an array for `place`."""
    both = [slice(max(p.start, w.start), min(p.stop, w.stop)) for p, w in zip(place, wanted)]
    return tuple(
        tuple(slice(b.start - o.start, b.stop - o.start) for b, o in zip(both, other)) for other in (wanted, place)
    )


def _small_map(layer, small, before, after):
    """The small map after a layer, from that before it: (1, C, h, w) with `Axis.small` rows and columns.

    The input gets as many cells in the middle as one middle cell of the output needs.
    """
    if not layer.pointwise:
        rows, columns = (_stretched(*axes, layer.stride[number]) for number, axes in enumerate(zip(before, after)))
        small = small[:, :, rows][:, :, :, columns]
    return layer(small)


def _stretched(before, after, stride):
    size = before.size - stride * (after.size - after.small)
    return before._replace(size=size).in_small(slice(0, size))


# --- layers -----------------------------------------------------------------------------------------------------------


def _is_local(layer):
    """Does every output pixel depend only on a window, in which pixels outside the image are zero?

    Subclasses, and layers whose forward was replaced, may do something else. So only a class that itself declares
    `pointwise` is believed, not one that inherits the declaration.
    """
    if not METHODS.isdisjoint(vars(layer)):
        return False
    pointwise = layer.pointwise and "pointwise" in vars(type(layer))
    return pointwise or type(layer) is Conv2d or (type(layer) is MaxPool2d and layer.padding == (0, 0))


def _replica(conv, algorithm=None):
    """A convolution with the same weights and its own cache, without padding, and perhaps with another algorithm."""
    other = share_weights(conv, conv.name)
    other.padding, other.algorithm = (0, 0), algorithm or conv.algorithm
    if conv.transformed is not None:  # the transformed weight depends on neither
        other._prepared = conv._prepared._replace(made_for=(other.algorithm, other.placing))
    return other


def _algorithm(conv, images, axes, dtype):
    """The algorithm of a convolution whose output has these axes."""
    if conv.algorithm != "auto":
        return conv.algorithm
    size = tuple(axis.size for axis in axes)
    geometry = shapes.Geometry(conv.kernel_size, conv.stride, conv.padding, conv.dilation, conv.groups, size)
    return choose((images, conv.in_channels), conv.params["weight"].shape, geometry, dtype)

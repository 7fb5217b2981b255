"""The zero frame: the border of a map that the image does not reach is computed once for all images of that size.

The paper pads its images by 100 zeros. Far enough from the image a map does not depend on it: the values there are the
same as for an image of zeros. A ZeroFrame keeps these values. Of each layer it computes only the part that sees the
image. For a picture of 500x500 pixels this is a little more than half of the first layers, and everything from pool5
on.

The receptive fields tell which part that is. Where Winograd's algorithm computes in tiles, the part is enlarged to
whole tiles, so that the map is cut into the same tiles as when it is computed as a whole.
"""

from math import ceil, floor
from typing import NamedTuple

import numpy as np

from fcn_from_scratch import checks, geometry
from fcn_from_scratch.backend import get_array_module
from fcn_from_scratch.dense.chain import share_weights
from fcn_from_scratch.engine.conv import choose
from fcn_from_scratch.engine.im2col import channels_first, channels_last
from fcn_from_scratch.engine.winograd_transforms import OUTPUTS
from fcn_from_scratch.layers import Conv2d, MaxPool2d, fused
from fcn_from_scratch.models.fcn import FCN
from fcn_from_scratch.ops import shapes


class ZeroFrame:
    """An FCN that computes only what its images reach, on a CPU and in eval mode: predictor = ZeroFrame(model).

    predictor(x) is model(x), with x (N, C, H, W). The first batch of a shape needs one more pass over the trunk, with
    an image of zeros. Later batches of this shape save the work outside the image.

    sizes   the number of batch shapes whose frames are kept; a new one replaces the one that was used longest ago
    The frame depends on the weights. At every call they are compared with a copy of the weights that the frame was made
    with, and if any differ, a new frame is made. So the frame is never stale. After any other change to a layer, such
    as its padding, call reset(). A ZeroFrame must not be used by several threads at once.
    `nbytes` is the memory it holds: for each shape the inputs of the layers it shortens, and one copy of their weights.
    Identity: predictor(x) == model(x) up to rounding, 5e-6 of the largest score  (tests/models/test_zero_frame.py).
    Raises: InputError for a network that is no FCN, in training mode (every step changes the frame), or on a GPU.
    """

    def __init__(self, model, sizes=2):
        if type(model) is not FCN:
            raise checks.InputError(
                f"the zero frame takes FCN-32s, 16s, 8s, FCN-AlexNet and FCN-GoogLeNet; got {type(model).__name__}"
            )
        self.model, self.sizes = model, checks.integer(sizes, "sizes", 1)
        self.reset()

    def __call__(self, x):
        checks.ndim(x, 4, "x", "(N, C, H, W)")
        if self.model.training:
            raise checks.InputError(
                "the zero frame is for a network in eval mode; every training step would change it: call model.eval()"
            )
        if get_array_module(x, *self.model.params.values()) is not np:
            raise checks.InputError(
                "the zero frame runs on the CPU: move the model and x there, or use the model alone"
            )
        top, maps = self._frame(x).trunk(x)
        return self.model.head(top, maps, x.shape[2:])

    def reset(self):
        """Forget all frames. The next batch makes a new one."""
        self._frames = {}  # (shape, dtype) -> _Frame; the one used last is at the end
        self._weights = {}  # name -> a copy of the parameter that all frames were made with

    @property
    def transform(self):
        """The model's preprocessing, which turns a picture into x."""
        return self.model.transform

    @property
    def nbytes(self):
        """The memory that it holds at present, in bytes."""
        frames = sum(frame.nbytes for frame in self._frames.values())
        return frames + sum(weight.nbytes for weight in self._weights.values())

    def _frame(self, x):
        params, key = self.model.trunk.params, (x.shape, x.dtype.str)
        if not all(_same(params.get(name), weight) for name, weight in self._weights.items()):
            self.reset()
        frame = self._frames.pop(key, None)
        if frame is None:
            while len(self._frames) >= self.sizes:
                del self._frames[next(iter(self._frames))]
            frame = _Frame(self.model.trunk, x.shape, x.dtype)
            for name in frame.weights - self._weights.keys():
                self._weights[name] = params[name].copy("K")
        self._frames[key] = frame
        return frame


class _Part(NamedTuple):
    """A run of layers (see layers.fused), and the window of its input that must be read for each image.

    layers   the run's layers without padding, because the window includes it
    window   an array (N, C, h, w). Its border holds the frame; its inner part changes from image to image
    source   the index of that inner part in the previous run's computed output
    target   the index of that inner part in the window
    place    the rows and columns of the run's map that are computed
    whole    the run's whole map where it is needed, otherwise None
    """

    name: str
    layers: list
    window: np.ndarray
    source: tuple
    target: tuple
    place: tuple
    whole: np.ndarray | None


class _Frame:
    """The trunk for batches of one shape. Of the runs in `parts` only a window is computed, those in `rest` wholly."""

    def __init__(self, trunk, shape, dtype):
        self.children, self.taps = trunk.children, trunk.taps
        self.parts, self.rest, self.weights = [], list(fused.groups(self.children, self.taps)), set()
        images, size = shape[0], shape[2:]
        sizes = {name: found.size for name, found in geometry.map_sizes(trunk, size).items()}
        zeros, path, before, computed = np.zeros((1, *shape[1:]), dtype), [], "image", _everything(size)
        while self.rest:
            names = self.rest[0]
            run = [self.children[name] for name in names]
            if not all(map(_is_local, run)):
                break
            path += run
            out = sizes[names[-1]]
            place = _reached(geometry.receptive_field(path), size, out)
            if place == _everything(out) or any(axis.start >= axis.stop for axis in place):
                break
            layers = _settled(run, images, sizes[names[0]], zeros)
            if getattr(layers[0], "algorithm", None) == "winograd":
                place = _in_tiles(place, OUTPUTS // (2 if len(run) == 3 else 1), out)
            needed = place
            for layer, name in zip(reversed(run), reversed([before, *names[:-1]])):
                needed = tuple(map(_read_by, [layer] * 2, (0, 1), needed, sizes[name]))
            window = _cut(zeros, needed, images)
            zeros = fused.run(layers, zeros)
            whole = _copies(zeros, images) if names[-1] in self.taps else None
            source, target = _meeting(computed, needed)
            self.parts.append(_Part(names[-1], _unpadded(layers), window, source, target, place, whole))
            self.weights |= {n + c.separator + key for n, c in zip(names, run) for key in c.params}
            before, computed = names[-1], place
            self.rest.pop(0)
        if self.parts:  # the next layer reads the whole map
            self.parts[-1] = self.parts[-1]._replace(whole=_copies(zeros, images))

    def trunk(self, x):
        """Like the trunk's forward. Returns: (top, maps). The next call overwrites the maps."""
        maps = {}
        for part in self.parts:
            part.window[part.target] = x[part.source]
            x = fused.run(part.layers, part.window)
            if part.whole is not None:
                part.whole[(..., *part.place)] = x
                maps[part.name] = part.whole
        if self.parts:
            x = self.parts[-1].whole
        for names in self.rest:
            x = fused.run([self.children[name] for name in names], x)
            if names[-1] in self.taps:
                maps[names[-1]] = x
        return x, maps

    @property
    def nbytes(self):
        return sum(a.nbytes for part in self.parts for a in (part.window, part.whole) if a is not None)


# --- which part: slices of rows and columns ------------------------------------------------------------------------


def _everything(size):
    return tuple(slice(0, n) for n in size)


def _reached(field, image, size):
    """The cells of a map on the grid `field` that see at least one pixel of an image."""
    found = []
    for (width, stride, start), pixels, cells in zip(field.axes, image, size):
        reach = (width - 1) / 2  # cell i sees the pixels from start + i * stride - reach to start + i * stride + reach
        first, last = ceil((-reach - start) / stride), floor((pixels - 1 + reach - start) / stride)
        found.append(slice(max(first, 0), min(last + 1, cells)))
    return tuple(found)


def _in_tiles(place, tile, size):
    """Enlarge a place to whole tiles, but not beyond the map."""
    return tuple(slice(p.start // tile * tile, min(-(-p.stop // tile) * tile, n)) for p, n in zip(place, size))


def _read_by(layer, axis, cells, size):
    """The pixels that a layer reads for some of its cells, along one axis. `size` is the input's size on this axis.

    Pixels of a convolution's padding lie before 0 or beyond `size`. A pool's last window ends with the map.
    """
    if layer.pointwise:
        return cells
    stride, span = layer.stride[axis], shapes.span(layer.kernel_size[axis], layer.dilation[axis])
    start = cells.start * stride - layer.padding[axis]
    stop = (cells.stop - 1) * stride - layer.padding[axis] + span
    return slice(start, min(stop, size) if isinstance(layer, MaxPool2d) else stop)


def _meeting(part, window):
    """Where two places of a map overlap. Returns: the index of the overlap in an array (N, C, h, w) of each place."""
    both = [slice(max(p.start, w.start), min(p.stop, w.stop)) for p, w in zip(part, window)]
    return tuple(
        (..., *(slice(b.start - o.start, b.stop - o.start) for b, o in zip(both, other))) for other in (part, window)
    )


# --- arrays and layers ----------------------------------------------------------------------------------------------


def _cut(y, place, images):
    """Copy one place of a map (1, C, H, W), once for each image. Pixels beyond the map are zero."""
    height, width = (axis.stop - axis.start for axis in place)
    window = channels_first(np.zeros((images, height, width, y.shape[1]), y.dtype))
    source, target = _meeting(_everything(y.shape[2:]), place)
    window[target] = y[source]
    return window


def _copies(y, images):
    """Repeat a map (1, C, H, W), once for each image."""
    return channels_first(np.repeat(channels_last(y), images, axis=0))


def _is_local(layer):
    """Does every output pixel depend only on a window, in which pixels outside the image are zero?

    Subclasses, and layers whose forward was replaced, may do something else. So only a class that itself declares
    `pointwise` is believed, not one that inherits the declaration.
    """
    if "forward" in vars(layer):
        return False
    pointwise = layer.pointwise and "pointwise" in vars(type(layer))
    return pointwise or type(layer) is Conv2d or (type(layer) is MaxPool2d and layer.padding == (0, 0))


def _settled(run, images, size, x):
    """Replicas of the layers: same weights, own caches. The convolution's algorithm is that of its whole map."""
    layers = [share_weights(layer, layer.name) for layer in run]
    conv = layers[0]
    if isinstance(conv, Conv2d) and conv.algorithm == "auto":
        weight = conv.params["weight"]
        windows = shapes.Geometry(conv.kernel_size, conv.stride, conv.padding, conv.dilation, conv.groups, size)
        dtype = checks.floating_result(np, x, weight)
        conv.algorithm = choose((images, *x.shape[1:]), weight.shape, windows, dtype)
    return layers


def _unpadded(layers):
    """The same layers, but the convolution has no padding."""
    first, *others = layers
    first = share_weights(first, first.name)
    if isinstance(first, Conv2d):
        first.padding = (0, 0)
    return [first, *others]


def _same(ours, theirs):
    """Do two arrays have the same dtype, shape and numbers? `ours` may be None; then they differ."""
    return ours is not None and ours.dtype == theirs.dtype and np.array_equal(ours, theirs)

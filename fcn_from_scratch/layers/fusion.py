"""Aligning and joining maps: a crop, a stack, a sum, and the paper's fusion of coarse scores with a finer layer's."""

import operator

import numpy as np

from fcn_from_scratch import checks, ops
from fcn_from_scratch.backend import get_array_module, in_memory_order
from fcn_from_scratch.layers.base import Layer
from fcn_from_scratch.layers.conv import Conv2d
from fcn_from_scratch.layers.window import Window


class Crop(Layer):
    """ops.crop at a fixed offset. The size is fixed too, or it is given at each forward: forward(x, size=(H, W)).
    Lesson 6."""

    in_place, kind = True, "crop"

    def __init__(self, offset, size=None, *, name=None):
        super().__init__(name)
        self.offset = checks.pair(offset, "offset", 0)
        self.size = None if size is None else checks.pair(size, "size", 1)

    @property
    def window(self):
        """One pixel. The first rows and columns, `offset` of them, are left out."""
        return Window(1, padding=tuple(-offset for offset in self.offset))

    def output_shape(self, shape):
        """The fixed size, or 0 along an axis on which the map does not cover it."""
        if self.size is None:
            raise ValueError(f"{self.label} has no size of its own, and no other map gives one")
        channels, *have = shape
        return channels, *(n if h >= o + n else 0 for n, h, o in zip(self.size, have, self.offset))

    def forward(self, x, size=None):
        """The window of x at the layer's offset; `size` (H, W) overrides the layer's."""
        size = self.size if size is None else size
        if size is None:
            raise ValueError(f"{self.label} has no size of its own: call forward(x, size=(H, W))")
        with checks.naming(self):
            y = ops.crop(x, self.offset, size)
        self.remember(x.shape, y.shape)
        return y

    def __call__(self, x, size=None):
        return self.forward(x, size)

    def _backward(self, dy, x_shape):
        return ops.crop_backward(dy, x_shape, self.offset)


class Concat(Layer):
    """Stack maps of one size along the channels. backward(dy) returns a tuple with the channels of each map.
    Lesson 15."""

    joins = True

    def output_shape(self, *shapes):
        return sum(channels for channels, *_ in shapes), *shapes[0][1:]

    def forward(self, *maps):
        checks.same_sizes(self, maps)
        y = get_array_module(*maps).concatenate(maps, axis=1)
        self.remember([x.shape[1] for x in maps], y.shape)
        return y

    def __call__(self, *maps):
        return self.forward(*maps)

    def _backward(self, dy, channels):
        ends = np.cumsum(channels)
        return tuple(dy[:, end - count : end] for end, count in zip(ends, channels))


class Sum(Layer):
    """Add maps of one shape: y = scale * (x_1 + ... + x_n). backward(dy) returns a tuple, scale * dy for each of them.

    scale   1 / n gives the average. Lesson 14.
    """

    joins = True

    def __init__(self, scale=1.0, *, name=None):
        super().__init__(name)
        self.scale = float(scale)

    def output_shape(self, *shapes):
        return shapes[0]

    def forward(self, *maps):
        checks.same_sizes(self, maps, channels=True)
        self.remember(len(maps), maps[0].shape)
        return _scaled(sum(maps[1:], maps[0]), self.scale)

    def __call__(self, *maps):
        return self.forward(*maps)

    def _backward(self, dy, number):
        return (_scaled(dy, self.scale),) * number


class SkipFusion(Layer):
    """Score a finer feature map with a 1x1 convolution, crop the scores to the coarse scores, and add both.

    y = scores + crop(weight * (scale * skip) + bias)

    Adding scores equals scoring the concatenated features, because both are linear (lesson 12). The 1x1 convolution
    starts at zero, so that at first the skip adds nothing.
    offset  where the coarse map starts inside the skip's map, in pixels, an integer or a pair (from
            geometry.crop_offset). If it is negative, the coarse map starts earlier and is cropped instead
    scale   the features are multiplied by it before they are scored: 0.01 and 0.0001 in the paper's at-once training
    forward(scores, skip) -> y; backward(dy) -> (dscores, dskip)
    Shapes: scores (N, num_classes, H, W), skip (N, in_channels, H', W'). Along each axis y has the size of scores, or
    the size of skip if the offset is negative. If both start together, y ends with the shorter one.
    Source: Long et al. 2015, section 4.2. Lesson 12.
    """

    kind = "score, crop, add"

    def __init__(self, in_channels, num_classes, offset=0, scale=1.0, *, dtype=np.float32, name=None):
        super().__init__(name)
        self.score = Conv2d(in_channels, num_classes, 1, dtype=dtype, name=name)
        for array in self.score.params.values():
            array[...] = 0
        self._params, self._grads = self.score.params, self.score.grads
        self.offset = checks.pair(offset, "offset", None)
        self.scale = float(scale)

    def multiply_adds(self, scores, skip):
        return self.score.multiply_adds(skip)

    def forward(self, scores, skip):
        """The coarse scores plus the skip's scores, on the grid of the map that starts later."""
        if not scores.ndim == skip.ndim == 4 or (len(skip), self.score.out_channels) != scores.shape[:2]:
            raise ValueError(
                f"{self.label} adds scores (N, {self.score.out_channels}, H, W) and a skip of as many pictures, (N, "
                f"{self.score.in_channels}, H', W'); got scores {scores.shape} and a skip {skip.shape}"
            )
        fine = self.score(_scaled(skip, self.scale))
        cut_fine = tuple(max(o, 0) for o in self.offset)
        cut_coarse = tuple(max(-o, 0) for o in self.offset)
        sizes = zip(self.offset, scores.shape[2:], fine.shape[2:])
        size = tuple(c if o > 0 else f if o < 0 else min(c, f) for o, c, f in sizes)
        self._covers("the skip", fine.shape[2:], cut_fine, size)
        self._covers("the map of scores", scores.shape[2:], cut_coarse, size)
        y = in_memory_order(operator.add, ops.crop(scores, cut_coarse, size), ops.crop(fine, cut_fine, size))
        self.remember((scores.shape, fine.shape, cut_coarse, cut_fine), y.shape)
        return y

    def __call__(self, scores, skip):
        return self.forward(scores, skip)

    def _covers(self, cut, have, offset, size):
        """Check that a map that is cropped reaches as far as the other one."""
        if any(n < o + m for n, o, m in zip(have, offset, size)):
            raise ValueError(
                f"{self.label}: {cut} is too small: it has {have[0]}x{have[1]} cells, and the other map needs "
                f"{size[0]}x{size[1]} of them, from cell {offset} on"
            )

    def _backward(self, dy, cache):
        scores_shape, fine_shape, cut_coarse, cut_fine = cache
        dscores = ops.crop_backward(dy, scores_shape, cut_coarse)
        dskip = self.score.backward(ops.crop_backward(dy, fine_shape, cut_fine))
        return dscores, _scaled(dskip, self.scale)

    def train(self, mode=True):
        self.score.train(mode)
        return super().train(mode)

    def forget(self):
        self.score.forget()
        return super().forget()

    def use(self, workspace):
        self.score.use(workspace)
        return super().use(workspace)

    def prepare(self, mode=True):
        self.score.prepare(mode)
        return super().prepare(mode)


def _scaled(x, scale):
    """scale * x in x's dtype."""
    return x if scale == 1 else in_memory_order(lambda x: x * x.dtype.type(scale), x)

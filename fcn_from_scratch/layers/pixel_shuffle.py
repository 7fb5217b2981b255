"""Pixel shuffle as a layer."""

from fcn_from_scratch import checks, ops
from fcn_from_scratch.layers.base import Layer


class PixelShuffle(Layer):
    """ops.pixel_shuffle: r*r channels become one map that is r times as fine.

    docs/extending.md shows how it was added.
    """

    def __init__(self, upscale_factor, *, name=None):
        super().__init__(name)
        self.upscale_factor = checks.integer(upscale_factor, "upscale_factor", 1)

    def _forward(self, x):
        return ops.pixel_shuffle(x, self.upscale_factor), ()

    def _backward(self, dy, cache):
        return ops.pixel_shuffle_backward(dy, self.upscale_factor)

"""Fixed upsampling layers: they have no parameters, so the optimiser and checkpoints have nothing to do with them."""

import math

from fcn_from_scratch import checks, ops
from fcn_from_scratch.layers.base import Layer
from fcn_from_scratch.layers.window import Window


class BilinearUpsample(Layer):
    """ops.bilinear_upsample: the fixed transposed convolution of every network in the paper's public code.

    It stores only the size of one 2-D kernel. A (C, C, k, k) weight would be zero except on its diagonal. Lesson 9.
    """

    def __init__(self, kernel_size, stride, padding=0, *, name=None):
        super().__init__(name)
        self.kernel_size = checks.pair(kernel_size, "kernel_size", 1)
        self.stride = checks.pair(stride, "stride", 1)
        self.padding = checks.pair(padding, "padding", 0)

    @property
    def window(self):
        return Window(self.kernel_size, self.stride, self.padding, transposed=True)

    @property
    def kind(self):
        return f"bilinear up {self.window}"

    @property
    def _placing(self):
        return self.kernel_size, self.stride, self.padding

    def multiply_adds(self, shape):
        return math.prod(shape) * math.prod(self.kernel_size)

    def _forward(self, x):
        workspace = None if self.training else self.workspace  # its own makes a training step 4 % slower
        return ops.bilinear_upsample(x, *self._placing, workspace=workspace), x.shape

    def _backward(self, dy, x_shape):
        return ops.bilinear_upsample_backward(dy, x_shape, *self._placing, workspace=self.workspace)


class NearestUpsample(Layer):
    """ops.upsample_nearest: every pixel is repeated in a block. Lesson 9."""

    kind = "nearest up"

    def __init__(self, scale, *, name=None):
        super().__init__(name)
        self.scale = checks.pair(scale, "scale", 1)

    @property
    def window(self):
        """A full block. The blocks lie side by side."""
        return Window(self.scale, self.scale, transposed=True)

    def _forward(self, x):
        return ops.upsample_nearest(x, self.scale), ()

    def _backward(self, dy, cache):
        return ops.upsample_nearest_backward(dy, self.scale)


class BedOfNails(Layer):
    """ops.bed_of_nails: every pixel goes to the corner of a block of zeros. Lesson 9."""

    kind = "bedofnails"

    def __init__(self, scale, *, name=None):
        super().__init__(name)
        self.scale = checks.pair(scale, "scale", 1)

    @property
    def window(self):
        """The corner of a block. The other pixels of the block read nothing."""
        return Window(1, self.scale, transposed=True)

    def output_shape(self, shape):
        """The size that follows from the window, but the last block is whole too."""
        channels, *size = shape
        return channels, *(n * s for n, s in zip(size, self.scale))

    def _forward(self, x):
        return ops.bed_of_nails(x, self.scale), ()

    def _backward(self, dy, cache):
        return ops.bed_of_nails_backward(dy, self.scale)


class PixelShuffle(Layer):
    """ops.pixel_shuffle: r*r channels become one map that is r times as fine. See docs/extending.md.

    Each cell of the input fills a block, as NearestUpsample does, but with numbers of its own for each pixel.
    """

    kind = "pixel shuffle"

    def __init__(self, upscale_factor, *, name=None):
        super().__init__(name)
        self.upscale_factor = checks.integer(upscale_factor, "upscale_factor", 1)

    @property
    def window(self):
        return Window(self.upscale_factor, self.upscale_factor, transposed=True)

    def output_shape(self, shape):
        channels, *size = super().output_shape(shape)
        return channels // self.upscale_factor**2, *size

    def _forward(self, x):
        return ops.pixel_shuffle(x, self.upscale_factor), ()

    def _backward(self, dy, cache):
        return ops.pixel_shuffle_backward(dy, self.upscale_factor)

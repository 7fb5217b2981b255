"""Pooling layers, and the unpooling that undoes their shrinking."""

from fcn_from_scratch import checks, ops
from fcn_from_scratch.layers.base import Layer


class MaxPool2d(Layer):
    """ops.max_pool2d. `indices` holds where the last forward's maxima stood, in eval mode too, for MaxUnpool2d.
    Lesson 3."""

    def __init__(self, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, *, name=None):
        super().__init__(name)
        self.kernel_size = checks.pair(kernel_size, "kernel_size", 1)
        self.stride = self.kernel_size if stride is None else checks.pair(stride, "stride", 1)
        self.padding = checks.pair(padding, "padding", 0)
        self.dilation = checks.pair(dilation, "dilation", 1)
        self.ceil_mode = bool(ceil_mode)
        self.indices = None

    def _forward(self, x):
        y, self.indices = ops.max_pool2d(x, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode)
        return y, (self.indices, x.shape)

    def _backward(self, dy, cache):
        indices, x_shape = cache
        return ops.max_pool2d_backward(dy, indices, x_shape)


class AvgPool2d(Layer):
    """ops.avg_pool2d."""

    def __init__(self, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, *, name=None):
        super().__init__(name)
        self.kernel_size = checks.pair(kernel_size, "kernel_size", 1)
        self.stride = self.kernel_size if stride is None else checks.pair(stride, "stride", 1)
        self.padding = checks.pair(padding, "padding", 0)
        self.ceil_mode = bool(ceil_mode)
        self.count_include_pad = bool(count_include_pad)

    def _forward(self, x):
        return ops.avg_pool2d(x, *self._arguments()), x.shape

    def _backward(self, dy, x_shape):
        return ops.avg_pool2d_backward(dy, x_shape, *self._arguments())

    def _arguments(self):
        return self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad


class MaxUnpool2d(Layer):
    """ops.max_unpool2d: forward(x, indices, output_size), with what the max-pool of the way down kept. Lesson 9."""

    def forward(self, x, indices, output_size):
        """Put each value of x where its maximum stood, on a map of output_size (H, W)."""
        y = ops.max_unpool2d(x, indices, output_size)
        self._cache = indices if self.training else None
        return y

    def __call__(self, x, indices, output_size):
        return self.forward(x, indices, output_size)

    def _backward(self, dy, indices):
        return ops.max_unpool2d_backward(dy, indices)

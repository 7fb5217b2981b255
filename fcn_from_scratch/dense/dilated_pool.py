"""Dilated average pooling, for rarefied nets. It is built from ops.avg_pool2d, which has no dilation."""

from itertools import product

from fcn_from_scratch import checks, ops
from fcn_from_scratch.backend import get_array_module
from fcn_from_scratch.layers import AvgPool2d, Window
from fcn_from_scratch.ops import shapes


class DilatedAvgPool2d(AvgPool2d):
    """The mean of windows whose taps are d pixels apart.

    y[n, c, i, j] = (sum over u, v of x[n, c, s*i + d*u - p, s*j + d*v - p]) / count

    The pixels are split into d*d phases, each with every d-th row and column. Ordinary windows pool each phase, and the
    results are interlaced.

    pool    the AvgPool2d (dilated or not) whose window, padding and count are taken over. Its ceil mode is not: all
            windows are whole
    stride  the stride s
    factor  the dilation d and the padding p are `factor` times the pool's
    Identity: on every d-th pixel it is the pool at stride 1; vjp_check  (tests/dense/test_rarefaction.py).
    """

    def __init__(self, pool, stride, factor, *, name=None):
        count = pool.count_include_pad
        super().__init__(pool.kernel_size, stride, count_include_pad=count, name=name)
        before = getattr(pool, "dilation", (1, 1))
        self.dilation = tuple(d * f for d, f in zip(before, factor))
        self.padding = tuple(p * f for p, f in zip(pool.padding, factor))
        padding = tuple(p // d for p, d in zip(self.padding, self.dilation))  # counted on every d-th pixel
        self.every_dth = (pool.kernel_size, 1, padding, False, count)

    @property
    def window(self):
        return Window(self.kernel_size, self.stride, self.padding, self.dilation)

    def _forward(self, x):
        checks.ndim(x, 4, "x", "(N, C, H, W)")
        every = get_array_module(x).empty((*x.shape[:2], *self._size(x.shape)), checks.floating(x[:0]).dtype)
        for phase in self._phases(every):
            every[phase] = ops.avg_pool2d(x[phase], *self.every_dth)
        return every[:, :, :: self.stride[0], :: self.stride[1]], x.shape

    def _backward(self, dy, x_shape):
        xp = get_array_module(dy)
        every, dx = (xp.zeros((*x_shape[:2], *size), dy.dtype) for size in (self._size(x_shape), x_shape[2:]))
        every[:, :, :: self.stride[0], :: self.stride[1]] = dy
        for phase in self._phases(every):
            dx[phase] = ops.avg_pool2d_backward(every[phase], dx[phase].shape, *self.every_dth)
        return dx

    def _phases(self, every):
        """Yield an index for each phase, the pixels a, a + d, a + 2d, ..., that holds a whole window."""
        starts = (range(min(d, size)) for d, size in zip(self.dilation, every.shape[2:]))
        for a, b in product(*starts):
            yield ..., slice(a, None, self.dilation[0]), slice(b, None, self.dilation[1])

    def _size(self, x_shape):
        """The number of windows at stride 1, along each axis."""
        size, span = x_shape[2:], tuple(map(shapes.span, self.kernel_size, self.dilation))
        out = tuple(map(shapes.conv_output_size, size, span, (1, 1), self.padding))
        checks.output_fits(out, size, span, self.padding, self.label)
        return out

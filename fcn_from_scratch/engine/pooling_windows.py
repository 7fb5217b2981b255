"""Where pooling windows lie, and the pixels below them: what all kinds of pooling share."""

import functools
from itertools import product

import numpy as np

from fcn_from_scratch import checks
from fcn_from_scratch.engine.im2col import channels_last
from fcn_from_scratch.ops import shapes


def windows(size, kernel_size, stride, padding, dilation, ceil_mode):
    """The Windows of pooling with these arguments, integers or pairs; stride defaults to kernel_size."""
    kernel_size = checks.pair(kernel_size, "kernel_size", 1)
    stride = kernel_size if stride is None else checks.pair(stride, "stride", 1)
    padding, dilation = checks.pair(padding, "padding", 0), checks.pair(dilation, "dilation", 1)
    return Windows(tuple(size), kernel_size, stride, padding, dilation, bool(ceil_mode))


@functools.lru_cache(maxsize=1024)  # a layer asks for the same ones at every step
class Windows:
    """The windows over maps of `size` (H, W): pairs for each argument, and `out`, how many there are.

    extra   the rows and columns that the last, partial windows of ceil mode reach beyond the padded image
    tiles   whether they lie side by side and leave nothing over
    Raises: ValueError for padding above half the window, and when there would be no window.
    """

    def __init__(self, size, kernel_size, stride, padding, dilation, ceil_mode):
        self.size, self.geometry = size, (kernel_size, stride, padding, dilation)
        self.kernel_size, self.stride, self.padding, self.dilation = self.geometry
        self.span = tuple(map(shapes.span, self.kernel_size, self.dilation))
        self.out = tuple(map(shapes.pool_output_size, size, *self.geometry, (ceil_mode, ceil_mode)))
        shapes.check_pool_windows(size, self.out, *self.geometry)
        self.tiles = (
            self.stride == self.kernel_size
            and self.dilation == (1, 1)
            and self.padding == (0, 0)
            and all(o * k >= n for o, k, n in zip(self.out, self.kernel_size, size))
        )
        self.extra = tuple(
            max((o - 1) * s + e - n - 2 * p, 0)
            for o, s, e, n, p in zip(self.out, self.stride, self.span, size, self.padding)
        )

    def padded(self, x, fill):
        """x (N, C, H, W) channels last, with as much of `fill` around it as the windows reach."""
        return channels_last(x, self.padding, fill, extra=self.extra)

    def taps(self, padded):
        """For each place (a, b) in the window, in row-major order, the pixels of all windows at that place: views."""
        (sh, sw), (dh, dw), (oh, ow) = self.stride, self.dilation, self.out
        for a, b in product(*map(range, self.kernel_size)):
            top, left = a * dh, b * dw
            yield padded[:, top : top + (oh - 1) * sh + 1 : sh, left : left + (ow - 1) * sw + 1 : sw]

    @functools.cached_property
    def first_tap_inside(self):
        """For each output (oh, ow), the number of the first place of its window that is not padding: the winner to
        start from, so that a window of -inf alone still names a pixel of the image."""
        kh, kw = self.kernel_size
        dtype = np.min_scalar_type(kh * kw)
        first = []
        for out, s, p, d in zip(self.out, self.stride, self.padding, self.dilation):
            outside = np.maximum(p - s * np.arange(out), 0)
            first.append(-(-outside // d))
        return (first[0][:, None] * kw + first[1]).astype(dtype)

    def flat_position(self, xp, winner):
        """The winner's place in its window, (N, oh, ow, C), as a flat position in the unpadded plane."""
        (kh, kw), (dh, dw), width = self.kernel_size, self.dilation, self.size[1]
        place = xp.arange(kh)[:, None] * dh * width + xp.arange(kw) * dw
        rows, columns = (xp.arange(out) * s - p for out, s, p in zip(self.out, self.stride, self.padding))
        corner = rows[:, None] * width + columns
        return place.ravel()[winner] + corner[..., None]

    def counts(self, xp, count_include_pad, dtype):
        """The number of pixels each window's mean divides by, (oh, ow)."""
        lengths = []
        for n, out, k, s, p in zip(self.size, self.out, self.kernel_size, self.stride, self.padding):
            start = np.arange(out) * s - p
            end = np.minimum(start + k, n + p)
            if not count_include_pad:
                start, end = np.maximum(start, 0), np.minimum(end, n)
            lengths.append(end - start)
        return xp.asarray((lengths[0][:, None] * lengths[1]).astype(dtype))

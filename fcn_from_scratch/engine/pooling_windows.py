"""Where pooling windows lie in channels-last maps, and the pixels below them."""

import functools
from itertools import product

import numpy as np

from fcn_from_scratch.engine.im2col import channels_last


@functools.lru_cache(maxsize=1024)  # a layer asks for the same windows at every step
class Windows:
    """The windows of a pool over maps of `size` (H, W), placed by an ops.shapes.Geometry.

    out     how many windows there are along each axis
    extra   the rows and columns that the last, partial windows of ceil mode reach beyond the padded image
    tiles   whether the windows lie side by side and cover every pixel
    """

    def __init__(self, size, geometry):
        self.size, self.out, self.placing = size, geometry.output_size, geometry[:4]
        self.kernel_size, self.stride, self.padding, self.dilation = self.placing
        self.tiles = (
            self.stride == self.kernel_size
            and self.dilation == (1, 1)
            and self.padding == (0, 0)
            and all(o * k >= n for o, k, n in zip(self.out, self.kernel_size, size))
        )
        self.extra = geometry.overhang(size)

    def padded(self, x, fill):
        """x (N, C, H, W) as channels last, with a border of `fill` as wide as the windows reach."""
        return channels_last(x, self.padding, fill, extra=self.extra)

    def taps(self, padded):
        """Yield, for each place (a, b) of the window in row-major order, a view of the pixels of all windows there."""
        (sh, sw), (dh, dw), (oh, ow) = self.stride, self.dilation, self.out
        for a, b in product(*map(range, self.kernel_size)):
            top, left = a * dh, b * dw
            yield padded[:, top : top + (oh - 1) * sh + 1 : sh, left : left + (ow - 1) * sw + 1 : sw]

    @functools.cached_property
    def first_tap_inside(self):
        """For each output (oh, ow) the number of the first place of its window that is not padding.

        The search for the winner starts there. So even a window of only -inf names a pixel of the image.
        """
        kh, kw = self.kernel_size
        dtype = np.min_scalar_type(kh * kw)
        first = []
        for out, s, p, d in zip(self.out, self.stride, self.padding, self.dilation):
            outside = np.maximum(p - s * np.arange(out), 0)
            first.append(-(-outside // d))
        return (first[0][:, None] * kw + first[1]).astype(dtype)

    def flat_position(self, xp, winner):
        """Turn the winner's place in its window, (N, oh, ow, C), into a flat position in the unpadded plane."""
        (kh, kw), (dh, dw), width = self.kernel_size, self.dilation, self.size[1]
        place = xp.arange(kh, dtype=np.int64)[:, None] * dh * width + xp.arange(kw) * dw
        rows, columns = (xp.arange(out) * s - p for out, s, p in zip(self.out, self.stride, self.padding))
        corner = rows[:, None] * width + columns
        return place.ravel()[winner] + corner[..., None]

"""Where pooling windows lie in maps that are channels last, and the pixels below them."""

import functools
from itertools import product

import numpy as np

from fcn_from_scratch.engine.im2col import channels_last


@functools.lru_cache(maxsize=1024)  # a layer asks for the same ones at every step
class Windows:
    """The windows of a pool over maps of `size` (H, W), placed by an ops.shapes.Geometry; `out`, how many there are.

    extra   the rows and columns that the last, partial windows of ceil mode reach beyond the padded image
    tiles   whether they lie side by side and leave nothing over
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
        self.extra = tuple(
            max((o - 1) * s + d * (k - 1) + 1 - n - 2 * p, 0) for o, n, k, s, p, d in zip(self.out, size, *self.placing)
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

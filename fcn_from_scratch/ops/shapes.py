"""Output sizes, and the checked geometry of convolution and pooling.

The input size is n, the kernel size k, the stride s, the padding p and the dilation d. With e = d(k - 1) + 1, the span
of the kernel, the output sizes are:

convolution             floor((n + 2p - e) / s) + 1
pooling, ceil mode      ceil((n + 2p - e) / s) + 1, less one if the last window would start beyond n + p
transposed convolution  s(n - 1) + e - 2p + output_padding
"""

import functools
from typing import NamedTuple

from fcn_from_scratch import checks


class Geometry(NamedTuple):
    """The arguments and the output size of a convolution or a pool. All but groups are pairs (vertical, horizontal)."""

    kernel_size: tuple
    stride: tuple
    padding: tuple
    dilation: tuple
    groups: int
    output_size: tuple

    def overhang(self, size):
        """The number of rows and columns by which windows reach beyond the padded image of `size`, as the partial ones
        of ceil mode do."""
        ends = zip(size, *self[:4], self.output_size)
        return tuple(max(s * (o - 1) + span(k, d) - n - 2 * p, 0) for n, k, s, p, d, o in ends)


def span(kernel_size, dilation=1):
    """The number of input pixels from the first to the last tap of a kernel: d(k - 1) + 1."""
    return dilation * (kernel_size - 1) + 1


def conv_output_size(size, kernel_size, stride=1, padding=0, dilation=1):
    """Output size of a convolution, and of pooling in floor mode, along one axis."""
    return (size + 2 * padding - span(kernel_size, dilation)) // stride + 1


def pool_output_size(size, kernel_size, stride, padding=0, dilation=1, ceil_mode=False):
    """Output size of pooling along one axis.

    In ceil mode a last, partial window counts if it starts inside the image or the leading padding. This is the rule of
    Caffe and of PyTorch.
    """
    out = conv_output_size(size, kernel_size, stride, padding, dilation)
    if ceil_mode:
        room = size + 2 * padding - span(kernel_size, dilation)
        out = -(-room // stride) + 1
        if (out - 1) * stride >= size + padding:
            out -= 1
    return out


def conv_transpose_output_size(size, kernel_size, stride=1, padding=0, dilation=1, output_padding=0):
    """Output size of a transposed convolution along one axis.

    Without output_padding it is the smallest input size that a convolution maps to `size`.
    """
    return stride * (size - 1) + span(kernel_size, dilation) - 2 * padding + output_padding


def conv_geometry(x_shape, weight, stride, padding, dilation, groups):
    """Check every argument and return the Geometry of a convolution of x (N, C, H, W) with a weight."""
    stride, padding = checks.pair(stride, "stride", 1), checks.pair(padding, "padding", 0)
    dilation, groups = checks.pair(dilation, "dilation", 1), checks.integer(groups, "groups", 1)
    checks.ndim(weight, 4, "weight", "(out_channels, in_channels / groups, kh, kw)")
    return _conv_geometry(tuple(x_shape), tuple(weight.shape), stride, padding, dilation, groups)


@functools.lru_cache(maxsize=1024)  # a layer asks for the same one at every step
def _conv_geometry(x_shape, weight_shape, stride, padding, dilation, groups):
    checks.conv_channels(weight_shape, x_shape, groups)
    size, kernel_size = x_shape[2:], weight_shape[2:]
    out = tuple(map(conv_output_size, size, kernel_size, stride, padding, dilation))
    checks.output_fits(out, size, tuple(map(span, kernel_size, dilation)), padding, "the kernel")
    return Geometry(kernel_size, stride, padding, dilation, groups, out)


def conv_transpose_geometry(x_shape, weight, stride, padding, output_padding, groups, dilation):
    """Check every argument. Return (the Geometry of the convolution that is transposed, the output size).

    The convolution maps arrays of the output size to arrays of x's size. It has one window for each pixel of x.
    """
    stride, padding = checks.pair(stride, "stride", 1), checks.pair(padding, "padding", 0)
    dilation, groups = checks.pair(dilation, "dilation", 1), checks.integer(groups, "groups", 1)
    output_padding = checks.pair(output_padding, "output_padding", 0)
    checks.conv_transpose_weight(weight, x_shape, groups)
    checks.output_padding(output_padding, stride, dilation)
    size, kernel_size = tuple(x_shape[2:]), tuple(weight.shape[2:])
    out = tuple(map(conv_transpose_output_size, size, kernel_size, stride, padding, dilation, output_padding))
    if min(out) < 1:
        raise ValueError(
            f"the transposed convolution's output would be empty, {out[0]}x{out[1]}: input {size[0]}x{size[1]}, "
            f"kernel {kernel_size[0]}x{kernel_size[1]}, stride {stride}, padding {padding}"
        )
    return Geometry(kernel_size, stride, padding, dilation, groups, size), out


def pool_geometry(size, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    """Check every argument and return the Geometry of pooling over maps of `size` (H, W).

    The stride defaults to kernel_size.
    Raises: ValueError for padding above half the window, and when there would be no window.
    """
    kernel_size = checks.pair(kernel_size, "kernel_size", 1)
    stride = kernel_size if stride is None else checks.pair(stride, "stride", 1)
    padding, dilation = checks.pair(padding, "padding", 0), checks.pair(dilation, "dilation", 1)
    return _pool_geometry(tuple(size), kernel_size, stride, padding, dilation, bool(ceil_mode))


@functools.lru_cache(maxsize=1024)  # a layer asks for the same one at every step
def _pool_geometry(size, kernel_size, stride, padding, dilation, ceil_mode):
    out = tuple(map(pool_output_size, size, kernel_size, stride, padding, dilation, (ceil_mode, ceil_mode)))
    check_pool_windows(size, out, kernel_size, stride, padding, dilation)
    return Geometry(kernel_size, stride, padding, dilation, 1, out)


def check_pool_windows(size, out, kernel_size, stride, padding, dilation):
    """Check that each of the `out` (oh, ow) windows of a pool over `size` (H, W) holds a pixel. Arguments are pairs.

    Raises: ValueError for padding above half the window, if there is no window, and if dilated taps step over the map.
    """
    spans = check_pool_padding(kernel_size, padding, dilation)
    checks.output_fits(out, size, spans, padding, "the pooling window")
    for n, o, s, p, d in zip(size, out, stride, padding, dilation):
        # A window that starts in the padding must have a tap inside the image. With dilation its taps can step over it.
        if any((s * i - p) % d >= n for i in range(o) if s * i < p):
            raise ValueError(f"a pooling window of dilation {dilation} steps over the whole input, {size[0]}x{size[1]}")


def check_pool_padding(kernel_size, padding, dilation=(1, 1)):
    """Return the span of a pool's windows along each axis; all arguments are pairs.

    The padding is at most half the window: k // 2 taps, which are d * (k // 2) pixels. So a pool that may be padded may
    also be dilated together with its padding, as dense.rarefy does.
    Raises: ValueError for more padding.
    """
    spans = tuple(map(span, kernel_size, dilation))
    half = [max(e // 2, d * (k // 2)) for e, d, k in zip(spans, dilation, kernel_size)]
    if any(p > most for p, most in zip(padding, half)):
        raise ValueError(
            f"pooling's padding must be at most half the window, or a window could lie in the padding alone; got "
            f"padding {padding} for a window of {spans[0]}x{spans[1]}"
        )
    return spans

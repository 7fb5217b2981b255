"""The output-size formulas, one axis at a time.

With input size n, kernel size k, stride s, padding p and dilation d, and the kernel's span e = d(k - 1) + 1:

convolution             floor((n + 2p - e) / s) + 1
pooling, ceil mode      ceil((n + 2p - e) / s) + 1, less one if the last window would start beyond n + p
transposed convolution  s(n - 1) + e - 2p
"""

from typing import NamedTuple

from fcn_from_scratch import checks


class ConvGeometry(NamedTuple):
    """What places the windows of a convolution: pairs (vertical, horizontal), and the number of groups."""

    kernel_size: tuple
    stride: tuple
    padding: tuple
    dilation: tuple
    groups: int
    output_size: tuple


def span(kernel_size, dilation=1):
    """How many input pixels a kernel reaches over: d(k - 1) + 1."""
    return dilation * (kernel_size - 1) + 1


def conv_output_size(size, kernel_size, stride=1, padding=0, dilation=1):
    """Output size of a convolution, and of pooling in floor mode."""
    return (size + 2 * padding - span(kernel_size, dilation)) // stride + 1


def pool_output_size(size, kernel_size, stride, padding=0, dilation=1, ceil_mode=False):
    """Output size of pooling. In ceil mode a last, partial window counts if it starts inside the image or the
    leading padding: Caffe's rule and PyTorch's."""
    out = conv_output_size(size, kernel_size, stride, padding, dilation)
    if ceil_mode:
        room = size + 2 * padding - span(kernel_size, dilation)
        out = -(-room // stride) + 1
        if (out - 1) * stride >= size + padding:
            out -= 1
    return out


def conv_transpose_output_size(size, kernel_size, stride=1, padding=0, dilation=1):
    """Output size of a transposed convolution: the smallest input a convolution maps to `size`."""
    return stride * (size - 1) + span(kernel_size, dilation) - 2 * padding


def check_pool_windows(size, out, kernel_size, stride, padding, dilation):
    """Each of the `out` (oh, ow) windows of a pool over `size` (H, W) holds a pixel: all arguments are pairs.

    Raises: ValueError for padding above half the window, for no window, and for dilated taps that step over the map.
    """
    spans = tuple(map(span, kernel_size, dilation))
    if any(2 * p > e for p, e in zip(padding, spans)):
        raise ValueError(
            f"pooling's padding is at most half the window, else a window could lie in padding alone; got "
            f"padding {padding} for a window of {spans[0]}x{spans[1]}"
        )
    checks.output_fits(out, size, spans, padding, "the pooling window")
    for n, o, s, p, d in zip(size, out, stride, padding, dilation):
        # The first tap of a window that lies in the image, if any does: dilated taps may step over it.
        if any((s * i - p) % d >= n for i in range(o) if s * i < p):
            raise ValueError(f"a pooling window of dilation {dilation} steps over the whole input, {size[0]}x{size[1]}")

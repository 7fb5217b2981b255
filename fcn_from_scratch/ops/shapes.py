"""The output-size formulas, one axis at a time.

With input size n, kernel size k, stride s, padding p and dilation d, and the kernel's span e = d(k - 1) + 1:

convolution             floor((n + 2p - e) / s) + 1
pooling, ceil mode      ceil((n + 2p - e) / s) + 1, less one if the last window would start beyond n + p
transposed convolution  s(n - 1) + e - 2p
"""

from typing import NamedTuple


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

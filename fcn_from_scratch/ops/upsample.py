"""Upsampling without learned weights: nearest neighbour, bed of nails, bilinear.

Upsampling with a learned kernel is in ops.conv_transpose. Unpooling to the positions of maxima is in ops.pooling.
"""

import functools

import numpy as np

from fcn_from_scratch import checks, engine, kernels
from fcn_from_scratch.backend import get_array_module, is_plain
from fcn_from_scratch.ops import shapes


def upsample_nearest(x, scale):
    """Repeat every pixel in a block of scale x scale pixels.

    y[n, c, i, j] = x[n, c, i // scale, j // scale]

    Shapes: x (N, C, H, W); scale an integer or a pair. Returns: (N, C, H*scale, W*scale).
    Identity: equals conv_transpose2d with a kernel of ones and stride = kernel size  (tests/ops/test_upsample.py).
    Lesson 9.
    """
    sh, sw = _scale(x, "x", scale)
    return x.repeat(sh, axis=2).repeat(sw, axis=3)


def upsample_nearest_backward(dy, scale):
    """Sum the gradient over the block of each pixel.

    dx[n, c, i, j] = sum over a, b < scale of dy[n, c, scale*i + a, scale*j + b]

    Shapes: dy (N, C, H*scale, W*scale). Returns: dx (N, C, H, W).
    Identity: equals ops.loops_backward.upsample_nearest_backward_loops  (tests/ops/test_upsample.py).
    Raises: ValueError when dy's size is not a multiple of the scale. Lesson 9.
    """
    return _cells(dy, scale).sum(axis=(3, 5))


def bed_of_nails(x, scale):
    """Put every pixel at the top left of a block of scale x scale pixels. The rest of the block is zero.

    y[n, c, scale*i, scale*j] = x[n, c, i, j]

    Shapes: x (N, C, H, W). Returns: (N, C, H*scale, W*scale).
    Identity: equals conv_transpose2d with a delta kernel  (tests/ops/test_upsample.py). Lesson 9.
    """
    sh, sw = _scale(x, "x", scale)
    n, c, h, w = x.shape
    y = get_array_module(x).zeros((n, c, h * sh, w * sw), x.dtype)
    y[:, :, ::sh, ::sw] = x
    return y


def bed_of_nails_backward(dy, scale):
    """Give each pixel the gradient at the top left of its block.

    dx[n, c, i, j] = dy[n, c, scale*i, scale*j]

    Shapes: dy (N, C, H*scale, W*scale). Returns: dx (N, C, H, W).
    Identity: equals ops.loops_backward.bed_of_nails_backward_loops  (tests/ops/test_upsample.py).
    Raises: ValueError when dy's size is not a multiple of the scale. Lesson 9.
    """
    return _cells(dy, scale)[:, :, :, 0, :, 0].copy()


def bilinear_kernel(size):
    """Make the kernel with which a transposed convolution interpolates bilinearly. It has the shape of a pyramid.

    kernel[a, b] = (1 - |a - centre| / factor) * (1 - |b - centre| / factor)
    factor = (size + 1) // 2; centre = factor - 1 for odd sizes, factor - 0.5 for even ones

    Returns: (size, size) float64. Its sum is factor**2.
    Identity: with stride s and size 2s, the interior of the result is exactly bilinear interpolation
    (tests/ops/test_upsample.py).
    Source: surgery.py of the paper's public code; Long et al. 2015, section 3.3. Lessons 9 and 10.
    """
    row = _kernel_row(checks.integer(size, "size", 1))
    return row[:, None] * row


def bilinear_upsample(x, kernel_size, stride, padding=0, *, workspace=None):
    """Upsample each channel by a transposed convolution with the fixed bilinear kernel.

    y[n, c, s*i + a - p, s*j + b - p] += x[n, c, i, j] * bilinear_kernel(k)[a, b]

    The kernel is an outer product, so the sum equals two matrix products, y = A x B^T. A has a column for each input
    row, and B has a column for each input column. A transposed convolution would store a kernel for each pair of
    channels, and multiply by the zeros between different channels. Neither is needed here.
    workspace   a source of memory for y, used by the engine only
    Shapes: x (N, C, H, W). Returns: (N, C, s(H - 1) + k - 2p, s(W - 1) + k - 2p).
    Identity: equals conv_transpose2d with the kernel on the channel diagonal  (tests/ops/test_upsample.py).
    Raises: ValueError when the padding cuts off the whole output.
    Source: Long et al. 2015, section 3.3. Lessons 9 and 11.
    """
    checks.ndim(x, 4, "x", "(N, C, H, W)")
    x = checks.floating(x)
    if kernels.usable(x):
        _, *geometry = _spread_geometry(x.shape[2:], kernel_size, stride, padding)
        return engine.gpu.bilinear_upsample(x, *geometry)
    vertical, horizontal = _spread_matrices(x, x.shape[2:], kernel_size, stride, padding)
    return _both_axes(vertical, x, horizontal, workspace)


def bilinear_upsample_backward(dy, x_shape, kernel_size, stride, padding=0, *, workspace=None):
    """Compute the gradient of bilinear_upsample with respect to its input.

    dx = A^T dy B        (A and B as in bilinear_upsample)

    workspace   a source of memory for dx, used by the engine only
    Shapes: dy like bilinear_upsample's result; x_shape its input's. Returns: dx with shape x_shape.
    Identity: vjp_check  (tests/ops/test_upsample.py).
    Raises: ValueError when dy does not have bilinear_upsample's output shape. Lesson 9.
    """
    out, *geometry = _spread_geometry(x_shape[2:], kernel_size, stride, padding)
    checks.same_shape(dy, (*x_shape[:2], *out), "dy", "bilinear_upsample's output has")
    if kernels.usable(dy):
        return engine.gpu.bilinear_upsample_backward(dy, x_shape, *geometry)
    vertical, horizontal = _spread_matrices(dy, x_shape[2:], kernel_size, stride, padding)
    return _both_axes(vertical.T, dy, horizontal.T, workspace)


def interpolate_bilinear(x, size, align_corners=False):
    """Resample to any size. Each output is a weighted mean of the four inputs around it; at the border pixels repeat.

    y = A x B^T, where row i of A holds the two weights of the source position (i + 0.5) * H / oh - 0.5
    (align_corners: i * (H - 1) / (oh - 1)). B does the same for the columns.

    Shapes: x (N, C, H, W); size (oh, ow). Returns: (N, C, oh, ow).
    Identity: away from the border it equals bilinear_upsample. A constant image stays constant everywhere, while
    bilinear_upsample falls towards zero at the border  (tests/ops/test_upsample.py).
    Raises: ValueError when x does not have four axes or a size is below 1. Lessons 9 and 10.
    """
    checks.ndim(x, 4, "x", "(N, C, H, W)")
    x = checks.floating(x)
    vertical, horizontal = _resample_matrices(x, x.shape[2:], size, align_corners)
    return _both_axes(vertical, x, horizontal)


def interpolate_bilinear_backward(dy, x_shape, align_corners=False):
    """Compute the gradient of interpolate_bilinear with respect to its input.

    dx = A^T dy B        (A and B as in interpolate_bilinear)

    Shapes: dy (N, C, oh, ow); x_shape the input's. Returns: dx with shape x_shape.
    Identity: vjp_check  (tests/ops/test_upsample.py).
    Raises: ValueError when dy's images or channels are not the input's.
    """
    checks.same_shape(dy, (*x_shape[:2], *dy.shape[2:]), "dy", "interpolate_bilinear's output has")
    vertical, horizontal = _resample_matrices(dy, x_shape[2:], dy.shape[2:], align_corners)
    return _both_axes(vertical.T, dy, horizontal.T)


def _scale(array, name, scale):
    checks.ndim(array, 4, name, "(N, C, H, W)")
    return checks.pair(scale, "scale", 1)


def _cells(dy, scale):
    """dy (N, C, H*sh, W*sw) as (N, C, H, sh, W, sw)."""
    sh, sw = _scale(dy, "dy", scale)
    n, c, h, w = dy.shape
    if h % sh or w % sw:
        raise ValueError(f"dy's size must be a multiple of the scale {sh}x{sw}; got {h}x{w}")
    return dy.reshape(n, c, h // sh, sh, w // sw, sw)


def _both_axes(vertical, x, horizontal, workspace=None):
    """vertical @ x @ horizontal.T for every image and channel."""
    if not is_plain():
        return engine.both_axes(vertical, x, horizontal, workspace)
    return vertical @ x @ horizontal.T


def _kernel_row(size):
    factor = (size + 1) // 2
    centre = factor - 1 if size % 2 else factor - 0.5
    return 1 - np.abs(np.arange(size) - centre) / factor


def _spread_geometry(size, kernel_size, stride, padding):
    """Return (output size, kernel size, stride, padding), each a pair."""
    kernel_size, stride = checks.pair(kernel_size, "kernel_size", 1), checks.pair(stride, "stride", 1)
    padding = checks.pair(padding, "padding", 0)
    full = tuple(map(shapes.conv_transpose_output_size, size, kernel_size, stride))
    for n, length, p in zip(size, full, padding):
        if length <= 2 * p:
            raise ValueError(f"a padding of {p} cuts off the whole output: {n} rows are upsampled to {length}")
    return tuple(length - 2 * p for length, p in zip(full, padding)), kernel_size, stride, padding


def _spread_matrices(array, size, kernel_size, stride, padding):
    """For each axis the (output, input) matrix. Each column is the kernel's row, one stride below the column before."""
    _, *geometry = _spread_geometry(size, kernel_size, stride, padding)
    xp, dtype = get_array_module(array), np.dtype(array.dtype)
    return [xp.asarray(_spread_matrix(*numbers, dtype)) for numbers in zip(size, *geometry)]


@functools.lru_cache(maxsize=64)
def _spread_matrix(n, k, s, p, dtype):
    matrix = np.zeros((shapes.conv_transpose_output_size(n, k, s), n), dtype)
    for i in range(n):
        matrix[s * i : s * i + k, i] = _kernel_row(k)
    matrix = matrix[p : len(matrix) - p]
    matrix.flags.writeable = False  # all callers share this array
    return matrix


def _resample_matrices(array, size, new_size, align_corners):
    """For each axis the (output, input) matrix of linear interpolation."""
    matrices = []
    for n, m in zip(size, checks.pair(new_size, "size", 1)):
        if align_corners:
            position = np.arange(m) * ((n - 1) / (m - 1) if m > 1 else 0.0)
        else:
            position = np.maximum((np.arange(m) + 0.5) * n / m - 0.5, 0)
        below = np.minimum(position.astype(int), n - 1)
        above = np.minimum(below + 1, n - 1)
        matrix = np.zeros((m, n))
        np.add.at(matrix, (np.arange(m), below), 1 - (position - below))
        np.add.at(matrix, (np.arange(m), above), position - below)
        matrices.append(get_array_module(array).asarray(matrix.astype(array.dtype)))
    return matrices

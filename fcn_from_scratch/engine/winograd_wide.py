"""Winograd's F(2, 7) for fc6: a third of the multiplications of a 7x7 kernel.

engine.conv_wide computes layers with more weights than patches. Winograd's algorithm saves multiplications there too:
for tiles of 2x2 outputs and a 7x7 kernel it needs 64, where the direct sum needs 196. The transformed weights of fc6
would take 512 MiB. So only a part of them exists at any time. Each thread transforms the weights of a few filters,
multiplies them by all tiles while they are in the cache, and goes on to the next filters.

The matrices A, G and B are those of engine.winograd_transforms for other points. With seven points and infinity the
numbers grow more before they cancel: in float32 the error is about 20 times the direct sum's. The gradients are those
of engine.conv_wide: their transforms would cost nearly as much as they save.
"""

from functools import cache
from itertools import product

import numpy as np

from fcn_from_scratch import checks
from fcn_from_scratch.engine import threads
from fcn_from_scratch.engine.im2col import C, H, W, channels_first, channels_last, strided
from fcn_from_scratch.engine.pixelwise import rectify
from fcn_from_scratch.engine.winograd_tiles import Scratch
from fcn_from_scratch.engine.winograd_transforms import cook_toom
from fcn_from_scratch.engine.workspace import empty_from

POINTS = (0, 1, -1, 2, -2, "1/2", "-1/2")  # and infinity
OUTPUTS = 2
FILTERS_BYTES = 8 << 20  # of the transformed weights of the filters that a thread computes at a time
AT_ONCE = 8  # filters in one product of the transform


def can_transform(kernel_size, stride, dilation, groups):
    """Whether F(2, k) exists here for such a convolution: stride 1, and a kernel of 2 to 7 pixels a side."""
    return all(2 <= k <= len(POINTS) for k in kernel_size) and stride == dilation == (1, 1) and groups == 1


@threads.one_blas_thread
@np.errstate(under="ignore")  # a tiny number that becomes zero on the way is no fault of the caller's
def winograd_wide_conv2d(x, weight, bias, geometry, relu=False, workspace=None):
    """Compute conv2d for NumPy arrays, and where `can_transform` holds.

    Shapes: x (N, C, H, W); weight (F, C, kh, kw); geometry, an ops.shapes.Geometry.
    Returns: y (N, F, oh, ow), channels last in memory.
    Identity: equals ops.loops.conv2d_loops  (tests/engine/test_winograd_wide.py).
    """
    (oh, ow), (f, c, kh, kw) = geometry.output_size, weight.shape
    dtype = checks.floating_result(np, x, weight)
    counts = rows, columns = tuple(-(-n // OUTPUTS) for n in (oh, ow))
    make = empty_from(workspace, np)
    tiles = _input_tiles(x, geometry, counts, make, dtype)
    output = np.kron(*(_matrices(k)[0] for k in (kh, kw))).T.astype(dtype, order="C")
    y = make((len(x), oh, ow, f), dtype)

    def fill(filters, scratch):
        kernel = _transformed(weight[filters], scratch)
        products = scratch.take("products", len(tiles), len(kernel), tiles.shape[2])
        np.matmul(kernel.swapaxes(0, 1), tiles, out=products)
        pixels = (output @ products.reshape(len(tiles), -1)).reshape(OUTPUTS, OUTPUTS, -1, len(x), rows, columns)
        if bias is not None:
            pixels += bias[filters, None, None, None]
        if relu:
            rectify(pixels, pixels)
        for i, j in product(range(OUTPUTS), repeat=2):
            target = y[:, i::OUTPUTS, j::OUTPUTS, filters]
            target[...] = pixels[i, j].transpose(1, 2, 3, 0)[:, : target.shape[1], : target.shape[2]]

    filter_bytes = len(tiles) * c * dtype.itemsize
    parts = threads.split(f, max(2 * threads.shares(), f * filter_bytes // FILTERS_BYTES))
    threads.run(fill, parts, lambda: Scratch(make, dtype))
    return channels_first(y)


def _input_tiles(x, geometry, counts, make, dtype):
    """B^T d B of every tile d of x: (places, C, tiles)."""
    sides = tuple(k + OUTPUTS - 1 for k in geometry.kernel_size)
    vertical, horizontal = (_matrices(k)[2].astype(dtype) for k in geometry.kernel_size)
    extra = tuple(OUTPUTS * count - n for count, n in zip(counts, geometry.output_size))
    source = channels_last(x, geometry.padding, dtype=dtype, extra=extra)
    n, _, _, c = source.shape
    tiles = make((*sides, c, n, *counts), dtype)

    def transform(item):
        image, row = item
        axes = (W, counts[1], OUTPUTS), (H, sides[0], 1), (W, sides[1], 1), (C, c, 1)
        windows = strided(source[image : image + 1], OUTPUTS * row, axes)  # (columns, sides, C)
        rows = vertical @ windows.reshape(counts[1], sides[0], sides[1] * c)
        done = horizontal @ rows.reshape(counts[1], *sides, c)
        tiles[:, :, :, image, row] = done.transpose(1, 2, 3, 0)

    threads.run(transform, product(range(n), range(counts[0])))
    return tiles.reshape(sides[0] * sides[1], c, -1)


def _transformed(weight, scratch):
    """G w G^T of some filters, (n, C, kh, kw): (n, places, C). One product along each axis of the kernels."""
    n, c, kh, kw = weight.shape
    vertical, horizontal = (_matrices(k)[1].astype(scratch.dtype) for k in (kh, kw))
    taps = weight.transpose(0, 2, 3, 1)
    kernel = scratch.take("kernel", n, len(vertical), len(horizontal), c)
    for start in range(0, n, AT_ONCE):
        part = np.ascontiguousarray(taps[start : start + AT_ONCE], dtype=scratch.dtype)
        rows = scratch.take("rows", len(part), len(vertical), kw * c)
        np.matmul(vertical, part.reshape(-1, kh, kw * c), out=rows)
        np.matmul(horizontal, rows.reshape(-1, len(vertical), kw, c), out=kernel[start : start + AT_ONCE])
    return kernel.reshape(n, -1, c)


@cache
def _matrices(taps):
    """(A, G, B^T) of F(2, taps) in float64: (inputs, 2), (inputs, taps), (inputs, inputs), with inputs = taps + 1."""
    return [np.array(matrix, float) for matrix in cook_toom(POINTS[:taps], OUTPUTS, taps)]

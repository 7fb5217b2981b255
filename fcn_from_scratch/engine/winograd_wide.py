"""Winograd's F(4, 7) for fc6, along the rows of the kernel only: 36 % of the multiplications of a 7x7 kernel.

engine.conv_wide computes layers with more weights than patches. Winograd's algorithm saves multiplications there too:
for tiles of 4 rows of outputs and a kernel of 7 rows it needs 10 products, where the direct sum needs 28. Along the
columns the sum stays direct, as a part of these products. With F(2, 7) along both axes there would be 64 products where
the direct sum has 196, which is 33 %. But that transform makes 56 numbers of 49 weights, and then 64 of these. Here it
makes 56 in one product: eight of the ten rows of G w, with 7 numbers each. The first and the last row are rows of w
itself, and are read where they lie.

    products[q] = (the patches of one row of pixels, from row q of B^T d) @ (row q of G w), summed over columns and c
    4 rows of y = A^T products

The transformed weights of fc6 would take 448 MiB. So only a part of them exists at any time. Each thread transforms the
weights of a few filters, multiplies them by all tiles while they are in the cache, and goes on to the next filters.

The matrices A, G and B are those of engine.winograd_transforms for other points, but for one factor (`_matrices`).
With nine points and infinity the numbers grow more before they cancel: in float32 the error is about 15 times the
direct sum's. The gradients are those of engine.conv_wide: their transforms would cost nearly as much as they save.
"""

from functools import cache
from itertools import product

import numpy as np

from fcn_from_scratch import checks
from fcn_from_scratch.engine import threads
from fcn_from_scratch.engine.im2col import C, H, W, channels_first, channels_last, strided
from fcn_from_scratch.engine.pixelwise import rectify
from fcn_from_scratch.engine.small_products import without_copies
from fcn_from_scratch.engine.winograd_tiles import Scratch
from fcn_from_scratch.engine.winograd_transforms import cook_toom
from fcn_from_scratch.engine.workspace import empty_from

POINTS = (0, 1, -1, 2, -2, "1/2", "-1/2", "3/4", "-4/3")  # and infinity
OUTPUTS = 4  # rows of outputs in a tile
TAPS = len(POINTS) + 2 - OUTPUTS  # rows of a kernel at most
FILTERS_BYTES = 8 << 20  # of the transformed weights of the filters that a thread computes at a time
COPIED = 4  # times as many where BLAS has no products without copies: it copies all tiles anew for every part


def can_transform(kernel_size, stride, dilation, groups):
    """Whether F(4, k) exists here for such a convolution: stride 1, and a kernel of 2 to 7 pixels a side."""
    return all(2 <= k <= TAPS for k in kernel_size) and stride == dilation == (1, 1) and groups == 1


@threads.one_blas_thread
@np.errstate(under="ignore")  # a tiny number that becomes zero on the way is no fault of the caller's
def winograd_wide_conv2d(x, weight, bias, geometry, relu=False, workspace=None):
    """Compute conv2d for NumPy arrays, and where `can_transform` holds.

    Shapes: x (N, C, H, W); weight (F, C, kh, kw); geometry, an ops.shapes.Geometry.
    Returns: y (N, F, oh, ow), channels last in memory.
    Identity: equals ops.loops.conv2d_loops  (tests/engine/test_winograd_wide.py).
    """
    (oh, ow), (f, _, kh, _) = geometry.output_size, weight.shape
    dtype = checks.floating_result(np, x, weight)
    rows = -(-oh // OUTPUTS)
    make = empty_from(workspace, np)
    tiles = _input_tiles(x, geometry, rows, make, dtype)
    output = _matrices(kh)[0].T.astype(dtype, order="C")
    y = make((len(x), oh, ow, f), dtype)

    def fill(filters, scratch):
        taps = _taps(weight[filters], dtype)
        kernel = _transformed(taps, scratch)
        products = scratch.take("products", len(tiles), len(taps), tiles.shape[1])
        np.matmul(taps[:, 0], tiles[0].T, out=products[0])
        np.matmul(kernel.swapaxes(0, 1), tiles[1:-1].swapaxes(1, 2), out=products[1:-1])
        np.matmul(taps[:, -1], tiles[-1].T, out=products[-1])
        pixels = (output @ products.reshape(len(tiles), -1)).reshape(OUTPUTS, -1, len(x), rows, ow)
        if bias is not None:
            pixels += bias[filters, None, None, None]
        if relu:
            rectify(pixels, pixels)
        for i in range(OUTPUTS):
            target = y[:, i::OUTPUTS, :, filters]
            target[...] = pixels[i].transpose(1, 2, 3, 0)[:, : target.shape[1]]

    threads.run(fill, _groups(weight.shape, dtype), lambda: Scratch(make, dtype))
    return channels_first(y)


def _groups(weight_shape, dtype):
    """Slices of the filters. The transformed weights of each take FILTERS_BYTES at most, or COPIED times that."""
    f, c, kh, kw = weight_shape
    room = FILTERS_BYTES * (1 if without_copies() else COPIED)
    rows = kh + OUTPUTS - 3  # of G w, but for the first and the last
    return threads.split(f, max(2 * threads.shares(), -(-f * rows * kw * c * dtype.itemsize // room)))


def _input_tiles(x, geometry, rows, make, dtype):
    """For each row of B^T d, in all tiles d of x, the patches of one row of pixels: (inputs, N * rows * ow, kw * C)."""
    (kh, kw), (oh, ow) = geometry.kernel_size, geometry.output_size
    matrix = _matrices(kh)[2].astype(dtype)
    side = len(matrix)
    source = channels_last(x, geometry.padding, dtype=dtype, extra=(OUTPUTS * rows - oh, 0))
    n, _, w, c = source.shape
    tiles = make((side, n, rows, ow, kw, c), dtype)

    def transform(item):
        image, row = item
        lines = source[image, OUTPUTS * row : OUTPUTS * row + side].reshape(side, w * c)
        lines = (matrix @ lines).reshape(1, side, w, c)
        tiles[:, image, row] = strided(lines, 0, ((H, side, 1), (W, ow, 1), (W, kw, 1), (C, c, 1)))

    threads.run(transform, product(range(n), range(rows)))
    return tiles.reshape(side, n * rows * ow, kw * c)


def _taps(weight, dtype):
    """The weights of some filters, (n, C, kh, kw), as (n, kh, kw * C): a view if they lie channels last in memory."""
    n, c, kh, kw = weight.shape
    return np.ascontiguousarray(weight.transpose(0, 2, 3, 1), dtype=dtype).reshape(n, kh, kw * c)


def _transformed(taps, scratch):
    """All rows of G w but the first and the last: those two are rows of w itself. Returns: (n, inputs - 2, kw * C)."""
    n, kh, size = taps.shape
    matrix = _matrices(kh)[1][1:-1].astype(scratch.dtype)
    return np.matmul(matrix, taps, out=scratch.take("kernel", n, len(matrix), size))


@cache
def _matrices(taps):
    """(A, G, B^T) of F(4, taps) in float64: (inputs, 4), (inputs, taps), (inputs, inputs), with inputs = taps + 3.

    The first row of G is divided by its first number, and becomes (1, 0, ..., 0). The first row of B^T is multiplied by
    this number. The last row of G, for infinity, is (0, ..., 0, 1).
    """
    a, g, b = cook_toom(POINTS[: taps + OUTPUTS - 2], OUTPUTS, taps)
    b[0], g[0] = [g[0][0] * value for value in b[0]], [value / g[0][0] for value in g[0]]
    return [np.array(matrix, float) for matrix in (a, g, b)]

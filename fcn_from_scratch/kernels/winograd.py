"""Winograd's F(4, 3) on the GPU: 3x3 convolution at stride 1. Maps are channels last, (N, H, W, C)."""

from fcn_from_scratch.backend import get_array_module
from fcn_from_scratch.kernels.launch import contiguous, launch

FREQUENCIES = 36
OUTPUTS = 4  # a tile is 4x4 pixels of the output
BAND_BYTES = 256 << 20  # of the transformed input and its product, for one band of tile rows


def conv3x3(x, weight, bias, padding):
    """y of ops.conv2d for a 3x3 kernel at stride 1 (winograd.cu), 36 products of matrices between two transforms.

    Bands of tile rows are done one after the other, so that the tiles, 36/16 of the image, need not exist as a whole.
    Shapes: x (N, H, W, C); weight (F, C, 3, 3); bias (F,) or None. Returns: y (N, oh, ow, F).
    Identity: equals conv2d_loops to Winograd's accuracy  (tests/kernels/test_kernels.py).
    """
    xp = get_array_module(x)
    (n, h, w, c), f = x.shape, weight.shape[0]
    oh, ow = h + 2 * padding[0] - 2, w + 2 * padding[1] - 2
    kernel = xp.empty((FREQUENCIES, f, c), x.dtype)
    launch("winograd_kernel", f * c, contiguous(weight), kernel, f, c)
    bias, columns = contiguous(bias), -(-ow // OUTPUTS)
    y = xp.empty((n, oh, ow, f), x.dtype)
    row_bytes = FREQUENCIES * columns * (c + f) * x.dtype.itemsize
    for image, first, rows in bands(n, -(-oh // OUTPUTS), row_bytes):
        count = image.stop - image.start
        tiles = xp.empty((FREQUENCIES, count * rows * columns, c), x.dtype)
        part = first, rows, columns
        launch("winograd_input", tiles[0].size, x[image], tiles, count, h, w, c, *part, *padding)
        products = xp.matmul(tiles, kernel.transpose(0, 2, 1))
        launch("winograd_output", products[0].size, products, bias, y[image], count, oh, ow, f, *part)
    return y


def bands(images, tile_rows, row_bytes):
    """Cut the tile rows of all images into bands of at most BAND_BYTES: (slice of images, first row, rows)."""
    if images * tile_rows * row_bytes <= BAND_BYTES:
        yield slice(0, images), 0, tile_rows
        return
    at_once = max(BAND_BYTES // row_bytes, 1)
    for n in range(images):
        for first in range(0, tile_rows, at_once):
            yield slice(n, n + 1), first, min(at_once, tile_rows - first)

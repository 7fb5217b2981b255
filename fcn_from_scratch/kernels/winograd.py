"""Winograd's F(4, 3) on the GPU: 3x3 convolution at stride 1, and its gradients. Maps are channels last, (N, H, W, C).

Each of them is 36 matrix products between two transforms (winograd.cu). The work is done in bands of tile rows. The
transformed tiles are 36/16 the size of the image, and this way they need not all exist at once.
"""

import numpy as np

from fcn_from_scratch.backend import get_array_module
from fcn_from_scratch.kernels.launch import contiguous, launch, tile_grid

FREQUENCIES = 36
POINTS = (0, 1, -1, 2, -2)  # and infinity. A point and its negative share additions in winograd.cu
OUTPUTS, TAPS = 4, 3  # a tile is 4x4 pixels of the output
TILES_AT_ONCE, CHANNELS_AT_ONCE = 32, 8  # of a block of winograd_output_adjoint
BAND_BYTES = 256 << 20  # the most bytes of one band's transformed tiles, before and after the products together


def conv3x3(x, weight, bias, padding, relu=False):
    """y of ops.conv2d for a 3x3 kernel at stride 1; with `relu`, of ReLU after it.

    Shapes: x (N, H, W, C); weight (F, C, 3, 3); bias (F,) or None. Returns: y (N, oh, ow, F).
    Identity: equals conv2d_loops to Winograd's accuracy  (tests/kernels/test_kernels.py).
    """
    f, c = weight.shape[:2]
    return _convolved(x, _kernel(weight, (c, f), turned=False), bias, padding, relu)


def conv3x3_relu_pool(x, weight, bias, padding, pooled):
    """conv3x3, ReLU and a 2x2 max-pool at stride 2: (y, winner), see kernels.max_pool with relu.

    The map between them is never written. Shapes: pooled (h, w); y, winner (N, h, w, F).
    Identity: equals conv3x3 and max_pool one after another, bit for bit  (tests/kernels/test_kernels.py).
    """
    xp, (f, c), (oh, ow) = get_array_module(x), weight.shape[:2], _output_size(x, padding)
    y, winner = xp.empty((len(x), *pooled, f), x.dtype), xp.empty((len(x), *pooled, f), np.uint8)
    kernel, bias = _kernel(weight, (c, f), turned=False), contiguous(bias)

    def write(products, image, count, part):
        maps = y[image], winner[image]
        launch("winograd_output_pool", products[0].size, products, bias, *maps, count, oh, ow, f, *part, *pooled)

    _convolve(x, kernel, padding, write)
    return y, winner


def conv3x3_input_grad(dy, weight, padding):
    """dx of ops.conv2d_input_grad for a 3x3 kernel at stride 1.

    It is the convolution of dy, padded by 2 - padding, with the kernel turned by 180 degrees.

    Shapes: dy (N, oh, ow, F); weight (F, C, 3, 3). Returns: dx (N, H, W, C).
    Identity: <dx, v> == <dy, conv3x3(v)>  (tests/kernels/test_kernels.py).
    """
    reach = [TAPS - 1 - p for p in padding]
    cut_h, cut_w = (max(-r, 0) for r in reach)  # with a padding above 2 the outer outputs saw no pixel
    inner = contiguous(dy[:, cut_h : dy.shape[1] - cut_h, cut_w : dy.shape[2] - cut_w])
    return _convolved(inner, _kernel(weight, weight.shape[:2], turned=True), None, [max(r, 0) for r in reach])


def conv3x3_weight_grad(dy, x, padding):
    """dweight of ops.conv2d_weight_grad for a 3x3 kernel at stride 1. The bands are summed in a fixed order.

    Shapes: dy (N, oh, ow, F); x (N, H, W, C). Returns: dweight (F, C, 3, 3).
    Identity: <dweight, v> == <dy, conv3x3(x, v)>  (tests/kernels/test_kernels.py).
    """
    xp = get_array_module(dy, x)
    (n, oh, ow, f), c = dy.shape, x.shape[3]
    dkernel = xp.zeros((FREQUENCIES, f, c), x.dtype)
    for image, count, part in bands(n, oh, ow, c + f, x.dtype):
        tiles = _input_tiles(x[image], part, padding)
        gradients = xp.empty((FREQUENCIES, f, tiles.shape[1]), x.dtype)
        groups = -(-tiles.shape[1] // TILES_AT_ONCE) * -(-f // CHANNELS_AT_ONCE)
        sizes = count, oh, ow, f, *part
        launch("winograd_output_adjoint", groups, dy[image], gradients, *sizes, blocks=tile_grid(groups))
        dkernel += xp.matmul(gradients, tiles)
    dweight = xp.empty((f, c, TAPS, TAPS), x.dtype)
    launch("winograd_kernel_adjoint", f * c, dkernel, dweight, f, c)
    return dweight


def _convolved(x, kernel, bias, padding, relu=False):
    """x (N, H, W, C) convolved with a transformed kernel (36, C, F)."""
    f, (oh, ow) = kernel.shape[2], _output_size(x, padding)
    bias, y = contiguous(bias), get_array_module(x).empty((len(x), oh, ow, f), x.dtype)

    def write(products, image, count, part):
        launch("winograd_output", products[0].size, products, bias, y[image], count, oh, ow, f, *part, int(relu))

    _convolve(x, kernel, padding, write)
    return y


def _convolve(x, kernel, padding, write):
    """Make the products of each band of tiles, and hand them to write(products, images, how many, part)."""
    xp, (_, c, f) = get_array_module(x), kernel.shape
    for image, count, part in bands(len(x), *_output_size(x, padding), c + f, x.dtype):
        write(xp.matmul(_input_tiles(x[image], part, padding), kernel), image, count, part)


def _output_size(x, padding):
    return tuple(n + 2 * p - TAPS + 1 for n, p in zip(x.shape[1:3], padding))


def _kernel(weight, channels, turned):
    """The transformed kernel, (36, *channels), where channels is (in, out) of the matrix product."""
    kernel = get_array_module(weight).empty((FREQUENCIES, *channels), weight.dtype)
    launch("winograd_kernel", kernel[0].size, contiguous(weight), kernel, *weight.shape[:2], int(turned))
    return kernel


def _input_tiles(x, part, padding):
    """The transformed tiles of some tile rows, (36, tiles, C). `part` is (first tile row, rows, columns)."""
    _, rows, columns = part
    tiles = get_array_module(x).empty((FREQUENCIES, len(x) * rows * columns, x.shape[3]), x.dtype)
    launch("winograd_input", tiles[0].size, x, tiles, *x.shape, *part, *padding)
    return tiles


def bands(images, oh, ow, channels, dtype):
    """Cut the tiles of all images into bands of at most BAND_BYTES, but of at least one tile row.

    Yields: (slice of images, number of images, (first tile row, rows, columns)).
    """
    tile_rows, columns = -(-oh // OUTPUTS), -(-ow // OUTPUTS)
    row_bytes = FREQUENCIES * columns * channels * dtype.itemsize
    if images * tile_rows * row_bytes <= BAND_BYTES:
        yield slice(0, images), images, (0, tile_rows, columns)
        return
    at_once = max(BAND_BYTES // row_bytes, 1)
    for n in range(images):
        for first in range(0, tile_rows, at_once):
            yield slice(n, n + 1), 1, (first, min(at_once, tile_rows - first), columns)

"""Winograd's F(4, 3) on the GPU: 3x3 convolution at stride 1, and its gradients. Maps are channels last, (N, H, W, C).

Each of them is 36 matrix products between two transforms (winograd.cu). The work is done in bands of tile rows. The
transformed tiles are 36/16 the size of the image, and this way they need not all exist at once.
"""

from fcn_from_scratch.backend import get_array_module
from fcn_from_scratch.kernels.launch import contiguous, launch

FREQUENCIES = 36
POINTS = (0, 1, -1, 2, -2)  # and infinity. A point and its negative share additions in winograd.cu
OUTPUTS, TAPS = 4, 3  # a tile is 4x4 pixels of the output
BAND_BYTES = 256 << 20  # the most bytes of one band's transformed tiles, before and after the products together


def conv3x3(x, weight, bias, padding):
    """y of ops.conv2d for a 3x3 kernel at stride 1.

    Shapes: x (N, H, W, C); weight (F, C, 3, 3); bias (F,) or None. Returns: y (N, oh, ow, F).
    Identity: equals conv2d_loops to Winograd's accuracy  (tests/kernels/test_kernels.py).
    """
    f, c = weight.shape[:2]
    return _convolve(x, _kernel(weight, (c, f), turned=False), bias, padding)


def conv3x3_input_grad(dy, weight, padding):
    """dx of ops.conv2d_input_grad for a 3x3 kernel at stride 1.

    It is the convolution of dy, padded by 2 - padding, with the kernel turned by 180 degrees.

    Shapes: dy (N, oh, ow, F); weight (F, C, 3, 3). Returns: dx (N, H, W, C).
    Identity: <dx, v> == <dy, conv3x3(v)>  (tests/kernels/test_kernels.py).
    """
    reach = [TAPS - 1 - p for p in padding]
    cut_h, cut_w = (max(-r, 0) for r in reach)  # with a padding above 2 the outer outputs saw no pixel
    inner = contiguous(dy[:, cut_h : dy.shape[1] - cut_h, cut_w : dy.shape[2] - cut_w])
    return _convolve(inner, _kernel(weight, weight.shape[:2], turned=True), None, [max(r, 0) for r in reach])


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
        launch("winograd_output_adjoint", gradients[0].size, dy[image], gradients, count, oh, ow, f, *part)
        dkernel += xp.matmul(gradients, tiles)
    dweight = xp.empty((f, c, TAPS, TAPS), x.dtype)
    launch("winograd_kernel_adjoint", f * c, dkernel, dweight, f, c)
    return dweight


def _convolve(x, kernel, bias, padding):
    """Convolve x (N, H, W, C) with a transformed kernel (36, C, F)."""
    xp = get_array_module(x)
    (n, h, w, _), (_, c, f) = x.shape, kernel.shape
    oh, ow = h + 2 * padding[0] - TAPS + 1, w + 2 * padding[1] - TAPS + 1
    bias, y = contiguous(bias), xp.empty((n, oh, ow, f), x.dtype)
    for image, count, part in bands(n, oh, ow, c + f, x.dtype):
        products = xp.matmul(_input_tiles(x[image], part, padding), kernel)
        launch("winograd_output", products[0].size, products, bias, y[image], count, oh, ow, f, *part)
    return y


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

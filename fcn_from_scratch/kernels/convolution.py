"""im2col, col2im and a matrix product on the GPU. Images are channels last: (N, H, W, C)."""

from fcn_from_scratch.backend import get_array_module
from fcn_from_scratch.kernels.launch import MOST_BLOCKS, PACK_BYTES, indices, launch, packs, walkers

TILE = 64  # TILE in gemm.cu


def im2col(x, rows, ow, kernel_size, stride, dilation, padding=(0, 0)):
    """Copy the patch below each pixel of some output rows into one matrix row (im2col.cu).

    patches[(n, i, j), (a, b, c)] = x[n, s*i + d*a - p, s*j + d*b - p, c]

    rows  a slice of output rows. Shapes: x (n, H, W, C). Returns: (n * rows * ow, kh * kw * C).
    Identity: equals engine.im2col.gather on NumPy arrays  (tests/kernels/test_kernels.py).
    """
    n, h, w, c = x.shape
    count = rows.stop - rows.start
    patches = get_array_module(x).empty((n * count * ow, kernel_size[0] * kernel_size[1] * c), x.dtype)
    sizes = n, h, w, c, rows.start, count, ow, *kernel_size, *stride, *padding, *dilation
    variant = indices(x.size, patches.size) + packs(c, x, patches)
    units = patches.nbytes // PACK_BYTES if packs(c, x, patches) else patches.size
    launch("im2col", units, x, patches, *sizes, blocks=walkers(units), variant=variant)
    return patches


def col2im(columns, image_shape, out, kernel_size, stride, dilation=(1, 1), padding=(0, 0)):
    """Add every number of a patch matrix to the pixel it belongs to: the transpose of im2col (col2im.cu).

    Shapes: columns (N * oh * ow, kh * kw * C); out (oh, ow). Returns: image_shape, (N, H, W, C).
    Identity: <columns, im2col(x)> == <col2im(columns), x>  (tests/kernels/test_kernels.py).
    """
    x = get_array_module(columns).empty(image_shape, columns.dtype)
    sizes = *image_shape, *out, *kernel_size, *stride, *padding, *dilation
    launch("col2im", x.size, columns, x, *sizes, blocks=walkers(x.size))
    return x


def gemm(a, b):
    """a @ b for two matrices, tile by tile in shared memory (gemm.cu). The layers use `@`, which calls cuBLAS."""
    (m, k), n = a.shape, b.shape[1]
    product = get_array_module(a).empty((m, n), a.dtype)
    tiles = -(-m // TILE) * -(-n // TILE)
    launch("gemm", product.size, a, b, product, m, n, k, blocks=min(tiles, MOST_BLOCKS))
    return product

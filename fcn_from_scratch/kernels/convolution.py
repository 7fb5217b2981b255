"""im2col, col2im and a matrix product on the GPU. Images are channels last: (N, H, W, C)."""

from fcn_from_scratch.backend import get_array_module
from fcn_from_scratch.kernels.launch import MOST_BLOCKS, PACK_BYTES, contiguous, indices, launch, packs, walkers

TILE = 64  # TILE in gemm.cu
CONV_TILE, RUN = 128, 4  # TILE and RUN in implicit.cuh
TENSOR_CORES = 80  # the first compute capability whose tensor cores know TF32


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
    packed = packs(c, x, patches)
    units = patches.nbytes // PACK_BYTES if packed else patches.size
    variant = indices(x.size, patches.size) + packed
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


def implicit_gemm(x, weight, bias, out, stride, dilation, padding=(0, 0), relu=False, kernel="implicit_gemm"):
    """y of ops.conv2d without groups, as a product whose patches are in shared memory only (implicit_gemm.cu).

    relu    ReLU after it
    kernel  "implicit_gemm", or "tf32x3_gemm" for float32 on tensor cores (tf32x3_gemm.cu)
    Shapes: x (N, H, W, C); weight (F, kh, kw, C); bias (F,) or None; out (oh, ow). Returns: y (N, oh, ow, F).
    Identity: equals conv2d_loops  (tests/kernels/test_kernels.py).
    Raises: ValueError for "tf32x3_gemm" on a GPU whose tensor cores do not know TF32.
    """
    capability = int(getattr(x.device, "compute_capability", TENSOR_CORES))
    if kernel == "tf32x3_gemm" and capability < TENSOR_CORES:
        raise ValueError(f"algorithm '3xtf32' needs a GPU of compute capability 8.0 or more; this one has {capability}")
    (n, _, _, c), (f, *kernel_size, _) = x.shape, weight.shape
    y, bias = get_array_module(x).empty((n, *out, f), x.dtype), contiguous(bias)
    arrays = [array for array in (x, weight, bias, y) if array is not None]
    packed = packs(c, *arrays) if c % RUN == 0 else ()
    tiles = -(-n * out[0] * out[1] // CONV_TILE) * -(-f // CONV_TILE)
    sizes = *x.shape, f, *out, *kernel_size, *stride, *padding, *dilation
    blocks = min(tiles, MOST_BLOCKS)
    launch(kernel, y.size, x, weight, bias, y, *sizes, int(relu), blocks=blocks, variant=packed)
    return y


def gemm(a, b):
    """a @ b for two matrices, tile by tile in shared memory (gemm.cu). The layers use `@`, which calls cuBLAS."""
    (m, k), n = a.shape, b.shape[1]
    product = get_array_module(a).empty((m, n), a.dtype)
    tiles = -(-m // TILE) * -(-n // TILE)
    launch("gemm", product.size, a, b, product, m, n, k, blocks=min(tiles, MOST_BLOCKS))
    return product

"""im2col, col2im and a matrix product on the GPU. Images are channels last: (N, H, W, C)."""

from fcn_from_scratch.backend import get_array_module
from fcn_from_scratch.kernels.launch import PACK_BYTES, contiguous, indices, launch, packs, tile_grid, walkers

TILE = 64  # TILE in gemm.cu
CONV_TILE, STRIP, RUN = 128, 8, 4  # TILE, STRIP and RUN in implicit.cuh
ENOUGH_TILES, LEAST_SHARE = 512, 512  # of a weight gradient: tiles that keep a large GPU busy; pixels of a share
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


def implicit_gemm(x, weight, bias, out, stride, dilation, padding=(0, 0), relu=False, tensor_cores=False):
    """y of ops.conv2d without groups, as a product whose patches are in shared memory only (implicit_gemm.cu).

    relu          ReLU after it
    tensor_cores  multiply on tensor cores, three products for one: for float32 only (tile_tf32x3.cuh)
    Shapes: x (N, H, W, C); weight (F, kh, kw, C); bias (F,) or None; out (oh, ow). Returns: y (N, oh, ow, F).
    Identity: equals conv2d_loops  (tests/kernels/test_kernels.py).
    Raises: ValueError for tensor cores on a GPU whose tensor cores do not know TF32.
    """
    (n, _, _, c), (f, *kernel_size, _) = x.shape, weight.shape
    y, bias = get_array_module(x).empty((n, *out, f), x.dtype), contiguous(bias)
    arrays = [array for array in (x, weight, bias, y) if array is not None]
    packed = packs(c, *arrays) if c % RUN == 0 else ()
    tiles = -(-n * out[0] * out[1] // CONV_TILE) * -(-f // CONV_TILE)
    sizes = *x.shape, f, *out, *kernel_size, *stride, *padding, *dilation
    name = "tf32x3_gemm" if _on_tensor_cores(x, tensor_cores) else "implicit_gemm"
    launch(name, y.size, x, weight, bias, y, *sizes, int(relu), blocks=tile_grid(tiles), variant=packed)
    return y


def implicit_weight_grad(dy, x, kernel_size, stride, dilation, padding=(0, 0), tensor_cores=False):
    """dweight of ops.conv2d without groups, from patches in shared memory only (implicit_weight_grad.cu).

    dweight[f, (a, b, c)] = sum over (n, i, j) of dy[n, i, j, f] * x[n, s*i + d*a - p, s*j + d*b - p, c]

    Shapes: dy (N, oh, ow, F); x (N, H, W, C). Returns: dweight (F, kh, kw, C).
    tensor_cores, Raises: as for implicit_gemm.
    Identity: equals conv2d_backward_loops  (tests/kernels/test_kernels.py).
    """
    return sum_parts(weight_grad_parts(dy, x, kernel_size, stride, dilation, padding, tensor_cores))


def weight_grad_parts(dy, x, kernel_size, stride, dilation, padding=(0, 0), tensor_cores=False):
    """As implicit_weight_grad, for each share of the pixels: (shares, F, kh, kw, C)."""
    (n, oh, ow, f), c = dy.shape, x.shape[3]
    length, pixels = kernel_size[0] * kernel_size[1] * c, n * oh * ow
    tiles = -(-f // CONV_TILE) * -(-length // CONV_TILE)
    shares, share = _shares(pixels, tiles)
    parts = get_array_module(dy).empty((shares, f, *kernel_size, c), dy.dtype)
    packed = packs(c, dy, x, parts) if c % RUN == f % RUN == 0 else ()
    sizes = *x.shape, f, oh, ow, *kernel_size, *stride, *padding, *dilation
    name = "tf32x3_weight_grad" if _on_tensor_cores(x, tensor_cores) else "implicit_weight_grad"
    launch(name, pixels, dy, x, parts, *sizes, shares, share, blocks=tile_grid(shares * tiles), variant=packed)
    return parts


def sum_parts(parts):
    """The sum over the first axis, in one order; parts[0] itself if there is one part."""
    if len(parts) == 1:
        return parts[0]
    total = get_array_module(parts).empty(parts.shape[1:], parts.dtype)
    launch("sum_parts", total.size, parts, total, total.size, len(parts))
    return total


def _shares(pixels, tiles):
    """(number of shares, pixels of each but the last): so many that the GPU has work, and no share is very short.

    They do not depend on the GPU, so the sums do not either.
    """
    most = -(-pixels // LEAST_SHARE)
    share = -(-pixels // max(1, min(most, ENOUGH_TILES // tiles)))
    share += -share % STRIP
    return -(-pixels // share), share


def _on_tensor_cores(x, wanted):
    capability = int(getattr(x.device, "compute_capability", TENSOR_CORES))
    if wanted and capability < TENSOR_CORES:
        raise ValueError(f"algorithm '3xtf32' needs a GPU of compute capability 8.0 or more; this one has {capability}")
    return wanted


def gemm(a, b):
    """a @ b for two matrices, tile by tile in shared memory (gemm.cu). The layers use `@`, which calls cuBLAS."""
    (m, k), n = a.shape, b.shape[1]
    product = get_array_module(a).empty((m, n), a.dtype)
    tiles = -(-m // TILE) * -(-n // TILE)
    launch("gemm", product.size, a, b, product, m, n, k, blocks=tile_grid(tiles))
    return product

"""3x3 convolution by Winograd's F(4, 3): a quarter of the multiplications, and its gradients the same way.

The output is cut into tiles of 4x4 pixels. Each needs 6x6 pixels of the input, which overlap by two:

    tile of y = A^T (sum over c of (G w G^T) * (B^T d B)) A

For each of the 36 places of a transformed tile ("frequencies") the sum over channels is a matrix product over all
tiles: 36 GEMMs of (tiles, C) @ (C, F), together 36/144 of the direct sum's multiplications. engine.winograd_transforms
says where A, B and G come from.

What makes it fast is memory. The image is taken in bands of tile rows whose 36 matrices stay in the processor's cache
from the first transform to the last write; each thread works on a band of its own. Everything lies channels last, so
that the transform along columns runs over whole rows of the image, (rows, W * C) numbers in one stretch; one copy then
sorts the columns by their place in the tile, and the transform along rows runs over long stretches too.

A NaN or an infinity spreads over all outputs of the tiles that see it, where the plain sum keeps it to its windows.
"""

from fcn_from_scratch import checks, kernels
from fcn_from_scratch.backend import get_array_module
from fcn_from_scratch.engine import threads
from fcn_from_scratch.engine.im2col import channels_first, channels_last
from fcn_from_scratch.engine.winograd_tiles import (
    FREQUENCIES,
    Scratch,
    bands,
    gradient_tiles,
    input_tiles,
    output_tiles,
    write_pooled,
    write_tiles,
)
from fcn_from_scratch.engine.winograd_transforms import TAPS, transform_kernel, transform_kernel_adjoint
from fcn_from_scratch.engine.workspace import empty_from

MEAN = 7  # frequency (1, 1), of the point 1 in both axes: there A is all ones, so what is added reaches every output
GRADIENT_BYTES = 96 << 20  # of the transformed tiles of x and of dy that the weight's gradient holds at once


def winograd_conv2d(x, weight, bias=None, padding=(0, 0), relu=False, transformed=None, workspace=None):
    """conv2d with a 3x3 kernel at stride 1, without dilation or groups; relu cuts it off at zero; `transformed` may
    bring transformed_weight(weight).

    Shapes: x (N, C, H, W); weight (F, C, 3, 3); bias (F,) or None; padding a pair.
    Returns: y (N, F, H + 2ph - 2, W + 2pw - 2), channels last in memory.
    Identity: equals ops.loops.conv2d_loops  (tests/engine/test_winograd.py).
    """
    if kernels.usable(x, weight, bias):
        y = kernels.conv3x3(channels_last(x), weight, bias, padding)
        return channels_first(get_array_module(y).maximum(y, 0) if relu else y)
    kernel, make, dtype = _forward_kernel(x, weight, transformed, workspace)
    y = make((len(x), *_output_size(x, padding), len(weight)), dtype)

    def write(xp, tiles, band):
        write_tiles(xp, tiles, band, y, relu)

    _convolve(x, kernel, bias, padding, write, make)
    return channels_first(y)


def winograd_conv2d_relu_pool(x, weight, bias, padding, pooled, transformed=None, workspace=None):
    """winograd_conv2d, ReLU and a 2x2 max-pool in one: (y, winner), see engine.conv.conv2d_relu_pool.

    pooled   the size (ph, pw) of the pool's output
    """
    kernel, make, dtype = _forward_kernel(x, weight, transformed, workspace)
    size = _output_size(x, padding)
    y = make((len(x), *pooled, len(weight)), dtype)
    winner = make(y.shape, "uint8")

    def write(xp, tiles, band):
        write_pooled(xp, tiles, band, size, y, winner)

    _convolve(x, kernel, bias, padding, write, make)
    return channels_first(y), channels_first(winner)


def winograd_input_grad(dy, weight, padding, workspace=None):
    """conv2d's gradient by the input: the convolution of dy with the kernel turned by 180 degrees, padded by 2 - p.

    Shapes: dy (N, F, oh, ow); weight (F, C, 3, 3). Returns: dx (N, C, H, W), channels last in memory.
    """
    if kernels.usable(dy, weight):
        return channels_first(kernels.conv3x3_input_grad(channels_last(dy), weight, padding))
    kernel, make, dtype = _kernel(dy, weight, workspace, turned=True)
    reach = [TAPS - 1 - p for p in padding]
    cut_h, cut_w = (max(-r, 0) for r in reach)
    dy = dy[:, :, cut_h : dy.shape[2] - cut_h, cut_w : dy.shape[3] - cut_w]
    reach = [max(r, 0) for r in reach]
    dx = make((len(dy), *_output_size(dy, reach), weight.shape[1]), dtype)
    _convolve(dy, kernel, None, reach, lambda xp, tiles, band: write_tiles(xp, tiles, band, dx), make)
    return channels_first(dx)


@threads.one_blas_thread
def _convolve(x, kernel, bias, padding, write, make):
    """x (N, C, H, W) by a transformed kernel (36, C, F); `write` takes the tiles of every band."""
    xp, dtype, (_, c, f) = get_array_module(x, kernel, bias), kernel.dtype, kernel.shape
    source = _pixels(x, dtype)

    def work(band, scratch):
        tiles = scratch.take("tiles", FREQUENCIES, band.tiles, c)
        products = scratch.take("products", FREQUENCIES, band.tiles, f)
        input_tiles(xp, source, band, padding, tiles, scratch)
        xp.matmul(tiles, kernel, out=products)
        if bias is not None:
            products[MEAN] += bias
        write(xp, output_tiles(xp, products, band, scratch), band)

    everything = bands(len(x), *_output_size(x, padding), c, f, dtype.itemsize)
    threads.run(work, everything, lambda: Scratch(make, dtype))


@threads.one_blas_thread
def winograd_weight_grad(dy, x, padding, out, workspace=None):
    """conv2d's gradient by the weight: y is linear in G w G^T, with factors B^T d B and A.

    d(G w G^T)[q, f, c] = sum over tiles of (A dy A^T)[q, tile, f] * (B^T d B)[q, tile, c]

    Shapes: dy (N, F, oh, ow); x (N, C, H, W); out (F, C, 3, 3), to which it is added. Returns: out.
    Identity: <dweight, v> == <dy, conv2d(x, v)>  (tests/engine/test_winograd.py).
    """
    if kernels.usable(dy, x):
        out += kernels.conv3x3_weight_grad(channels_last(dy), channels_last(x), padding)
        return out
    xp = get_array_module(dy, x)
    make, dtype = empty_from(workspace, xp), checks.floating_result(xp, dy, x)
    pixels, upstream = _pixels(x, dtype), _pixels(dy, dtype)
    c, f = pixels.shape[3], upstream.shape[3]
    dkernel = make((FREQUENCIES, f, c), dtype)
    room = max(GRADIENT_BYTES // (FREQUENCIES * (c + f) * dtype.itemsize), 1)
    for number, group in enumerate(_groups(bands(*upstream.shape[:3], c, f, dtype.itemsize), room)):
        count = sum(band.tiles for band, _ in group)
        tiles, gradients = make((FREQUENCIES, count, c), dtype), make((FREQUENCIES, count, f), dtype)

        def transform(item, scratch, tiles=tiles, gradients=gradients):
            band, first = item
            place = slice(first, first + band.tiles)
            input_tiles(xp, pixels, band, padding, tiles[:, place], scratch)
            gradient_tiles(xp, upstream, band, gradients[:, place], scratch)

        def multiply(frequency, scratch, tiles=tiles, gradients=gradients, number=number):
            product = scratch.take("product", f, c) if number else dkernel[frequency]
            xp.matmul(gradients[frequency].T, tiles[frequency], out=product)
            if number:
                dkernel[frequency] += product

        for work, items in ((transform, group), (multiply, range(FREQUENCIES))):
            threads.run(work, items, lambda: Scratch(make, dtype))
    return transform_kernel_adjoint(xp, dkernel, out)


def _pixels(x, dtype):
    """x (N, C, H, W) indexed as (N, H, W, C): what a band needs of it is made contiguous there, by its thread."""
    return x.transpose(0, 2, 3, 1).astype(dtype, copy=False)


def transformed_weight(weight):
    """G w G^T of a weight that will be used many times: (36, C, F), four times the memory of the weight.

    It lies as the matrix product reads it fastest, which a kernel that is made for one forward does not: sorting the
    numbers takes longer than it saves there.
    """
    kernel, _, _ = _kernel(weight, weight, None)
    return get_array_module(weight).ascontiguousarray(kernel.transpose(0, 2, 1))


def _forward_kernel(x, weight, transformed, workspace):
    """The transformed kernel (36, C, F), what makes arrays, and the dtype of the result."""
    xp = get_array_module(x, weight)
    if transformed is not None and transformed.dtype == checks.floating_result(xp, x, weight):
        return transformed, empty_from(workspace, xp), transformed.dtype
    kernel, make, dtype = _kernel(x, weight, workspace)
    return kernel.transpose(0, 2, 1), make, dtype


def _kernel(x, weight, workspace, turned=False):
    """The transformed kernel (36, F, C), the function that makes arrays, and the dtype of the result."""
    xp = get_array_module(x, weight)
    make, dtype = empty_from(workspace, xp), checks.floating_result(xp, x, weight)
    kernel = make((FREQUENCIES, *weight.shape[:2]), dtype)
    transform_kernel(xp, weight, kernel, turned)
    return kernel, make, dtype


def _output_size(x, padding):
    return tuple(n + 2 * p - TAPS + 1 for n, p in zip(x.shape[2:], padding))


def _groups(everything, room):
    """Bands in order, in groups of at most `room` tiles, at least one band: lists of (band, tiles before it there)."""
    group, count = [], 0
    for band in everything:
        if group and count + band.tiles > room:
            yield group
            group, count = [], 0
        group.append((band, count))
        count += band.tiles
    yield group

"""3x3 convolution by Winograd's F(4, 3), with a quarter of the multiplications, and the input's gradient likewise.

The output is cut into tiles of 4x4 pixels. Each tile needs 6x6 pixels of the input. Neighbours overlap by two pixels.

    tile of y = A^T (sum over c of (G w G^T) * (B^T d B)) A

A transformed tile has 36 places, the "frequencies". For each of them the sum over channels is a matrix product over all
tiles: 36 GEMMs of (tiles, C) @ (C, F), together 36/144 of the direct sum's multiplications. engine.winograd_transforms
says where A, B and G come from.

It is fast because it uses memory well. The image is taken in bands of tile rows, and each thread works on its own band.
The transforms work on parts of a band, which stay in the processor's cache. Everything lies channels last. So the
transform along columns is a product over whole rows of the image, (6, W * C) numbers. The transform along rows reads
its tiles from there without a copy.

A NaN or an infinity spreads to all outputs of the tiles that read it. With the plain sum it spreads only to the outputs
whose windows hold it.
"""

from typing import NamedTuple

import numpy as np

from fcn_from_scratch import checks
from fcn_from_scratch.backend import get_array_module
from fcn_from_scratch.engine import threads
from fcn_from_scratch.engine import winograd_frequencies as by_frequency
from fcn_from_scratch.engine.im2col import channels_first
from fcn_from_scratch.engine.small_products import grouped, multiply
from fcn_from_scratch.engine.winograd_tiles import (
    FREQUENCIES,
    MEAN,
    Scratch,
    bands,
    output_tiles,
    parts,
    pixels_last,
    tiles_of,
    write_pooled,
    write_tiles,
)
from fcn_from_scratch.engine.winograd_transforms import INPUT, TAPS, transform_kernel
from fcn_from_scratch.engine.workspace import empty_from


class Beyond(NamedTuple):
    """What lies beyond x, if it is not zeros: x is then a part of a map that is constant around it.

    values  (C,), the pixels beyond x
    size    (oh, ow) of the output. There may be more padding after x than before it
    """

    values: np.ndarray
    size: tuple


def winograd_conv2d(x, weight, bias=None, padding=(0, 0), relu=False, transformed=None, workspace=None, beyond=None):
    """Compute conv2d with a 3x3 kernel at stride 1, without dilation or groups.

    relu         replace negative values by zero
    transformed  transformed_weight(weight), or None
    beyond       a Beyond: the padding has other values than zeros, and its `size` replaces that of y below
    Shapes: x (N, C, H, W); weight (F, C, 3, 3); bias (F,) or None; padding a pair.
    Returns: y (N, F, H + 2ph - 2, W + 2pw - 2), channels last in memory.
    Identity: equals ops.loops.conv2d_loops  (tests/engine/test_winograd.py).
    """
    make, dtype = _memory(x, weight, workspace)
    y = make((len(x), *_output_size(x, padding, beyond), len(weight)), dtype)

    def write(xp, tiles, band):
        write_tiles(tiles, band, y, relu)

    _convolve(x, weight, bias, padding, write, make, transformed, beyond)
    return channels_first(y)


def winograd_conv2d_relu_pool(
    x, weight, bias, padding, pooled, transformed=None, workspace=None, winners=True, beyond=None
):
    """Compute winograd_conv2d, ReLU and a 2x2 max-pool in one pass: (y, winner), see engine.conv.conv2d_relu_pool.

    pooled   the size (ph, pw) of the pool's output
    """
    make, dtype = _memory(x, weight, workspace)
    size = _output_size(x, padding, beyond)
    y = make((len(x), *pooled, len(weight)), dtype)
    winner = make(y.shape, "uint8") if winners else None

    def write(xp, tiles, band):
        write_pooled(xp, tiles, band, size, y, winner)

    _convolve(x, weight, bias, padding, write, make, transformed, beyond)
    return channels_first(y), None if winner is None else channels_first(winner)


def winograd_input_grad(dy, weight, padding, workspace=None):
    """Compute conv2d's gradient with respect to the input: dy, padded by 2 - p, convolved with the turned kernel.

    Shapes: dy (N, F, oh, ow); weight (F, C, 3, 3). Returns: dx (N, C, H, W), channels last in memory.
    """
    make, dtype = _memory(dy, weight, workspace)
    reach = [TAPS - 1 - p for p in padding]
    cut_h, cut_w = (max(-r, 0) for r in reach)
    dy = dy[:, :, cut_h : dy.shape[2] - cut_h, cut_w : dy.shape[3] - cut_w]
    reach = [max(r, 0) for r in reach]
    dx = make((len(dy), *_output_size(dy, reach), weight.shape[1]), dtype)
    _convolve(dy, weight, None, reach, lambda xp, tiles, band: write_tiles(tiles, band, dx), make, turned=True)
    return channels_first(dx)


@threads.one_blas_thread
@np.errstate(under="ignore")  # a tiny number that becomes zero on the way is no fault of the caller's
def _convolve(x, weight, bias, padding, write, make, transformed=None, beyond=None, turned=False):
    """Convolve x (N, C, H, W) with a weight. `write` gets the output tiles of every band.

    turned   with the weight turned by 180 degrees, whose filters are then its input channels
    """
    xp, dtype = get_array_module(x, weight, bias), checks.floating_result(get_array_module(x), x, weight)
    source, (c, f) = pixels_last(x, dtype), weight.shape[:2] if turned else weight.shape[1::-1]
    values = None if beyond is None else beyond.values.astype(dtype, copy=False)
    kernel = transformed if transformed is not None and transformed.dtype == dtype else None

    def transform(tiles, band, scratch):
        for part, place in parts(band, c, dtype.itemsize):
            tiles_of(xp, INPUT, source, part, padding, tiles[:, place], scratch, values)

    def finish(products, band, scratch):
        if bias is not None:
            products[MEAN] += bias
        for part, place in parts(band, f, dtype.itemsize):
            write(xp, output_tiles(xp, products[:, place], part, scratch), part)

    everything = bands(len(x), *_output_size(x, padding, beyond), c, f, dtype.itemsize)
    if by_frequency.pays(everything, c, f, dtype.itemsize):
        some_of = by_frequency.kernel_of(xp, weight, turned, kernel)
        by_frequency.convolve(xp, some_of, (c, f), everything, transform, finish, make, dtype)
    else:
        kernel = _kernel(xp, weight, make, dtype, turned) if kernel is None else kernel
        _by_bands(xp, kernel, (c, f), everything, transform, finish, make)


def _by_bands(xp, kernel, sizes, everything, transform, finish, make):
    """Convolve one band after another. The arguments are those of winograd_frequencies.convolve; a kernel is whole."""

    def work(band, scratch):
        tiles = scratch.take("tiles", FREQUENCIES, band.tiles, sizes[0])
        products = scratch.take("products", FREQUENCIES, band.tiles, sizes[1])
        transform(tiles, band, scratch)
        multiply(xp, tiles, kernel, products)
        finish(products, band, scratch)

    threads.run(work, everything, lambda: Scratch(make, kernel.dtype))


def transformed_weight(weight):
    """Compute G w G^T for a weight that will be used many times: four times the memory of the weight.

    Returns: as `multiply` takes it, in memory of its own.
    """
    xp = get_array_module(weight)
    return _kernel(xp, weight, xp.empty, weight.dtype)


def _kernel(xp, weight, make, dtype, turned=False):
    """The transformed kernel, (36, groups, C, width), see engine.small_products. A turned kernel takes dy, gives dx."""
    kernel = make((FREQUENCIES, *weight.shape[:2]), dtype)
    transform_kernel(xp, weight, kernel, turned)
    return grouped(xp, kernel if turned else kernel.transpose(0, 2, 1))


def _memory(x, weight, workspace):
    """(the function that makes arrays, the dtype of the result)"""
    xp = get_array_module(x, weight)
    return empty_from(workspace, xp), checks.floating_result(xp, x, weight)


def _output_size(x, padding, beyond=None):
    return beyond.size if beyond else tuple(n + 2 * p - TAPS + 1 for n, p in zip(x.shape[2:], padding))

"""fc6 in half the time: Winograd's F(2, 7) for a weight that is transformed once and used for many pictures.

engine.conv_wide computes layers with more weights than patches. Winograd's algorithm saves multiplications there too:
for tiles of 2x2 outputs and a 7x7 kernel it needs 64, where the direct sum needs 196. But it must transform the
weights: fc6's 411 MB become 537 MB, a third more. This takes longer than one forward. So it is for weights that are
transformed once (layers.Layer.prepare), and it has no gradients.

The matrices A, G and B are those of engine.winograd_transforms for other points. With seven points and infinity the
numbers grow more before they cancel: in float32 the error is about 20 times the direct sum's.
"""

from functools import cache
from itertools import product

import numpy as np

from fcn_from_scratch import checks
from fcn_from_scratch.engine import threads
from fcn_from_scratch.engine.im2col import channels_first, channels_last, gather
from fcn_from_scratch.engine.winograd_transforms import cook_toom
from fcn_from_scratch.engine.workspace import empty_from

POINTS = (0, 1, -1, 2, -2, "1/2", "-1/2")  # and infinity
OUTPUTS = 2
FILTERS = 32  # transformed at a time, in float64


def can_transform(kernel_size, stride, dilation, groups):
    """Whether F(2, k) exists here for such a convolution: stride 1, and a kernel of 2 to 7 pixels a side."""
    return all(2 <= k <= len(POINTS) for k in kernel_size) and stride == dilation == (1, 1) and groups == 1


def frequencies(kernel_size):
    """The number of places in a transformed tile."""
    kh, kw = kernel_size
    return (kh + OUTPUTS - 1) * (kw + OUTPUTS - 1)


@threads.one_blas_thread
def transformed_wide_weight(weight):
    """Compute G weight G^T for weight (F, C, kh, kw): (frequencies, F, C)."""
    f, c, kh, kw = weight.shape
    factor = np.kron(_matrices(kh)[1], _matrices(kw)[1])
    kernel = np.empty((len(factor), f, c), weight.dtype)
    taps = weight.transpose(0, 2, 3, 1)

    def transform(filters):
        for number in range(filters.start, filters.stop):
            kernel[:, number] = factor @ taps[number].reshape(kh * kw, c).astype(np.float64)

    threads.run(transform, threads.split(f, -(-f // FILTERS)))
    return kernel


@threads.one_blas_thread
def winograd_wide_conv2d(x, kernel, bias, geometry, relu=False, workspace=None):
    """Compute conv2d with a transformed weight, for NumPy arrays and where `can_transform` holds.

    Shapes: x (N, C, H, W); kernel, transformed_wide_weight(weight); geometry, an ops.shapes.Geometry.
    Returns: y (N, F, oh, ow), channels last in memory.
    Identity: equals ops.loops.conv2d_loops  (tests/engine/test_winograd_wide.py).
    """
    (kh, kw), (oh, ow), f = geometry.kernel_size, geometry.output_size, kernel.shape[1]
    dtype = checks.floating_result(np, x, kernel)
    (rows, columns), inputs = [-(-n // OUTPUTS) for n in (oh, ow)], (kh + OUTPUTS - 1, kw + OUTPUTS - 1)
    source = channels_last(x, geometry.padding, dtype=dtype, extra=(oh % OUTPUTS, ow % OUTPUTS))
    tiles = gather(source, slice(0, rows), columns, inputs, (OUTPUTS, OUTPUTS), (1, 1))
    (output_h, _, input_h), (output_w, _, input_w) = map(_matrices, (kh, kw))
    tiles = tiles.reshape(len(tiles), inputs[0] * inputs[1], -1).transpose(1, 2, 0)  # (frequencies, C, tiles)
    tiles = np.tensordot(np.kron(input_h, input_w).astype(dtype), tiles, 1)
    output = np.kron(output_h, output_w).T.astype(dtype, order="C")
    y = empty_from(workspace, np)((len(x), oh, ow, f), dtype)

    def fill(filters):
        products = np.matmul(kernel[:, filters], tiles)
        pixels = (output @ products.reshape(len(kernel), -1)).reshape(OUTPUTS, OUTPUTS, -1, len(x), rows, columns)
        if bias is not None:
            pixels += bias[filters, None, None, None]
        if relu:
            np.maximum(pixels, 0, out=pixels)
        for i, j in product(range(OUTPUTS), repeat=2):
            target = y[:, i::OUTPUTS, j::OUTPUTS, filters]
            target[...] = pixels[i, j].transpose(1, 2, 3, 0)[:, : target.shape[1], : target.shape[2]]

    threads.run(fill, threads.split(f, 8 * threads.shares()))
    return channels_first(y)


@cache
def _matrices(taps):
    """(A, G, B^T) of F(2, taps) in float64: (inputs, 2), (inputs, taps), (inputs, inputs), with inputs = taps + 1."""
    return [np.array(matrix, float) for matrix in cook_toom(POINTS[:taps], OUTPUTS, taps)]

"""The transforms of Winograd's F(4, 3). CuPy does each as a product with one matrix: 36x36, 36x9 or 16x36."""

import numpy as np

from fcn_from_scratch.engine.winograd_transforms import both_axes, cook_toom
from fcn_from_scratch.kernels.launch import launch
from fcn_from_scratch.kernels.winograd import CHANNELS_AT_ONCE, FREQUENCIES, OUTPUTS, POINTS, TAPS, TILES_AT_ONCE
from fcn_from_scratch.lab.bench.kernel_cases.work import REAL, KernelCase, moved, normal, size_of

INPUTS = OUTPUTS + TAPS - 1


def _matrices():
    """B^T, A^T and G along both axes of a tile: (36, 36), (16, 36) and (36, 9). Pixels go column by column."""
    a, g, b = cook_toom(POINTS, OUTPUTS, TAPS)
    a, b = np.array(a, float), np.array(b, float)
    return np.kron(b, b), np.kron(a.T, a.T), both_axes(g)


INPUT, OUTPUT, KERNEL = _matrices()


def _tiles(size):
    """(numbers of tiles along both axes of an output, heights and widths in pixels that they cover)"""
    counts = [-(-each // OUTPUTS) for each in size]
    return counts, [OUTPUTS * count for count in counts]


def winograd_input(sizes, xp, rng):
    (n, h, w, c), (_, oh, ow, _), (ph, pw) = sizes.conv
    x, ((rows, columns), (high, wide)) = normal(xp, rng, n, h, w, c), _tiles((oh, ow))
    tiles, factor = xp.empty((FREQUENCIES, n * rows * columns, c), REAL), xp.asarray(INPUT.astype(REAL))
    over = (0, 0), (ph, high + TAPS - 1 - h - ph), (pw, wide + TAPS - 1 - w - pw), (0, 0)

    def ours():
        launch("winograd_input", tiles[0].size, x, tiles, n, h, w, c, 0, rows, columns, ph, pw)
        return tiles

    def theirs():
        windows = xp.lib.stride_tricks.sliding_window_view(xp.pad(x, over), (INPUTS, INPUTS), axis=(1, 2))
        places = windows[:, ::OUTPUTS, ::OUTPUTS].transpose(5, 4, 0, 1, 2, 3)
        return (factor @ places.reshape(FREQUENCIES, -1)).reshape(tiles.shape)

    return KernelCase(ours, theirs, "matrix @ windows.reshape(...)", size_of(x), moved(x, tiles))


def winograd_output(sizes, xp, rng):
    n, oh, ow, f = sizes.conv[1]
    (rows, columns), (high, wide) = _tiles((oh, ow))
    products, bias = normal(xp, rng, FREQUENCIES, n * rows * columns, f), normal(xp, rng, f)
    y, factor = xp.empty((n, oh, ow, f), REAL), xp.asarray(OUTPUT.astype(REAL))

    def ours():
        launch("winograd_output", products[0].size, products, bias, y, n, oh, ow, f, 0, rows, columns, 0)
        return y

    def theirs():
        cells = (factor @ products.reshape(FREQUENCIES, -1)).reshape(OUTPUTS, OUTPUTS, n, rows, columns, f)
        return cells.transpose(2, 3, 1, 4, 0, 5).reshape(n, high, wide, f)[:, :oh, :ow] + bias

    return KernelCase(ours, theirs, "matrix @ products + bias", size_of(products), moved(products, bias, y))


def winograd_output_pool(sizes, xp, rng):
    n, oh, ow, f = sizes.conv[1]
    (rows, columns), (high, wide) = _tiles((oh, ow))
    products, bias = normal(xp, rng, FREQUENCIES, n * rows * columns, f), normal(xp, rng, f)
    h, w = -(-oh // 2), -(-ow // 2)
    y, winner = xp.empty((n, h, w, f), REAL), xp.empty((n, h, w, f), np.uint8)
    factor = xp.asarray(OUTPUT.astype(REAL))

    def ours():
        launch(
            "winograd_output_pool", products[0].size, products, bias, y, winner, n, oh, ow, f, 0, rows, columns, h, w
        )
        return y

    def theirs():
        cells = (factor @ products.reshape(FREQUENCIES, -1)).reshape(OUTPUTS, OUTPUTS, n, rows, columns, f)
        fine = xp.maximum(cells.transpose(2, 3, 1, 4, 0, 5).reshape(n, high, wide, f) + bias, 0)
        fine[:, oh:], fine[:, :, ow:] = 0, 0
        return fine.reshape(n, high // 2, 2, wide // 2, 2, f).max(axis=(2, 4))[:, :h, :w]

    moving = moved(products, bias, y, winner)
    return KernelCase(ours, theirs, "max of windows of matrix @ products", size_of(products), moving)


def winograd_output_adjoint(sizes, xp, rng):
    n, oh, ow, f = sizes.conv[1]
    (rows, columns), (high, wide) = _tiles((oh, ow))
    dy, gradients = normal(xp, rng, n, oh, ow, f), xp.empty((FREQUENCIES, f, n * rows * columns), REAL)
    factor, over = xp.asarray(OUTPUT.T.astype(REAL)), ((0, 0), (0, high - oh), (0, wide - ow), (0, 0))

    def ours():
        groups = -(-n * rows * columns // TILES_AT_ONCE) * -(-f // CHANNELS_AT_ONCE)
        launch("winograd_output_adjoint", groups, dy, gradients, n, oh, ow, f, 0, rows, columns, blocks=groups)
        return gradients

    def theirs():
        cells = xp.pad(dy, over).reshape(n, rows, OUTPUTS, columns, OUTPUTS, f)
        return (factor @ cells.transpose(4, 2, 5, 0, 1, 3).reshape(OUTPUTS**2, -1)).reshape(gradients.shape)

    return KernelCase(ours, theirs, "matrix @ dy.reshape(...)", size_of(dy), moved(dy, gradients))


def winograd_kernel(sizes, xp, rng):
    c, f = sizes.conv[0][3], sizes.conv[1][3]
    weight, kernel = normal(xp, rng, f, c, TAPS, TAPS), xp.empty((FREQUENCIES, c, f), REAL)
    factor = xp.asarray(KERNEL.astype(REAL))

    def ours():
        launch("winograd_kernel", kernel[0].size, weight, kernel, f, c, 0)
        return kernel

    def theirs():
        return (factor @ weight.transpose(2, 3, 1, 0).reshape(TAPS**2, -1)).reshape(kernel.shape)

    return KernelCase(ours, theirs, "matrix @ weight.reshape(...)", size_of(weight), moved(weight, kernel))


def winograd_kernel_adjoint(sizes, xp, rng):
    c, f = sizes.conv[0][3], sizes.conv[1][3]
    dkernel, dweight = normal(xp, rng, FREQUENCIES, f, c), xp.empty((f, c, TAPS, TAPS), REAL)
    factor = xp.asarray(KERNEL.T.astype(REAL))

    def ours():
        launch("winograd_kernel_adjoint", f * c, dkernel, dweight, f, c)
        return dweight

    def theirs():
        return (factor @ dkernel.reshape(FREQUENCIES, -1)).reshape(TAPS, TAPS, f, c).transpose(2, 3, 0, 1)

    return KernelCase(ours, theirs, "matrix @ dkernel.reshape(...)", size_of(dkernel), moved(dkernel, dweight))


CASES = {
    "winograd_input": winograd_input,
    "winograd_kernel": winograd_kernel,
    "winograd_output": winograd_output,
    "winograd_output_pool": winograd_output_pool,
    "winograd_output_adjoint": winograd_output_adjoint,
    "winograd_kernel_adjoint": winograd_kernel_adjoint,
}

"""Upsampling, and the interlacing of shift-and-stitch. CuPy does them with matrix products and slice assignments."""

import numpy as np

from fcn_from_scratch import kernels, ops
from fcn_from_scratch.kernels.launch import launch
from fcn_from_scratch.lab.bench.kernel_cases.work import REAL, KernelCase, moved, normal, size_of

NONE = (0, 0)


def conv_transpose(sizes, xp, rng):
    (n, h, w, c), s = sizes.coarse, sizes.stride
    x, weight, bias = normal(xp, rng, n, h, w, c), normal(xp, rng, 2 * s, 2 * s, c, c), normal(xp, rng, c)
    out = s * (h + 1), s * (w + 1)
    matrix = xp.ascontiguousarray(weight.transpose(2, 0, 1, 3)).reshape(c, -1)

    def theirs():
        cells = (x.reshape(-1, c) @ matrix).reshape(n, h, w, 2, s, 2, s, c)
        y = xp.empty((n, h + 1, s, w + 1, s, c), REAL)
        y[...] = bias
        for u, v in np.ndindex(2, 2):
            y[:, u : u + h, :, v : v + w] += cells[:, :, :, u, :, v].transpose(0, 1, 3, 2, 4, 5)
        return y.reshape(n, *out, c)

    outputs = n * out[0] * out[1] * c
    return KernelCase(
        lambda: kernels.conv_transpose(x, weight.transpose(2, 3, 0, 1), bias, out, (s, s), NONE),
        theirs,
        "x @ weight, four y[...] += product[...]",
        f"{size_of(x)}, stride {s}",
        moved(x, weight, bias) + outputs * x.itemsize,
        2 * n * h * w * weight.size,
    )


def _axis(sizes, xp, rng):
    """(coarse, fine, matrix) for the pass along the columns.

    Shapes: coarse (outer, size, inner), fine (outer, out, inner), matrix (out, size).
    """
    (n, h, w, c), s = sizes.coarse, sizes.stride
    row = np.sqrt(np.diag(ops.bilinear_kernel(2 * s)))  # the 2-D kernel is the outer product of this row with itself
    matrix = np.zeros((s * (w + 1), w), REAL)
    for u in range(w):
        matrix[s * u : s * u + 2 * s, u] = row
    outer = n * s * (h + 1)
    return normal(xp, rng, outer, w, c), normal(xp, rng, outer, len(matrix), c), xp.asarray(matrix)


def bilinear(sizes, xp, rng):
    x, y, matrix = _axis(sizes, xp, rng)
    outer, size, inner = x.shape

    def ours():
        launch("bilinear", y.size, x, y, outer, size, inner, 2 * sizes.stride, sizes.stride, 0)
        return y

    return KernelCase(ours, lambda: xp.matmul(matrix, x), "matrix @ x", size_of(y), moved(x, y))


def bilinear_backward(sizes, xp, rng):
    dx, dy, matrix = _axis(sizes, xp, rng)
    outer, size, inner = dx.shape
    transposed = xp.ascontiguousarray(matrix.T)

    def ours():
        launch("bilinear_backward", dx.size, dy, dx, outer, size, inner, 2 * sizes.stride, sizes.stride, 0)
        return dx

    return KernelCase(ours, lambda: xp.matmul(transposed, dy), "matrix.T @ dy", size_of(dy), moved(dx, dy))


def interlace(sizes, xp, rng):
    n, h, w, c = sizes.pooled
    coarse = normal(xp, rng, n, h, w, c)
    mine, other = xp.zeros((2, n, 2 * h, 2 * w, c), REAL)

    def ours():
        kernels.interlace(coarse, mine, (2, 2), (1, 0))
        return mine

    def theirs():
        other[:, 1::2, 0::2] = coarse
        return other

    return KernelCase(ours, theirs, "fine[:, a::s, b::s] = coarse", size_of(coarse), moved(coarse, coarse))


CASES = {
    "conv_transpose": conv_transpose,
    "bilinear": bilinear,
    "bilinear_backward": bilinear_backward,
    "interlace": interlace,
}

"""The kernels of a 3x3 convolution by patches: im2col, the matrix product, and col2im."""

import numpy as np

from fcn_from_scratch import kernels
from fcn_from_scratch.lab.bench.kernel_cases.work import REAL, KernelCase, moved, normal, size_of

K, ONE = (3, 3), (1, 1)


def im2col(sizes, xp, rng):
    (n, h, w, c), (_, oh, ow, _), (ph, pw) = sizes.conv
    x = normal(xp, rng, n, h + 2 * ph, w + 2 * pw, c)

    def theirs():
        windows = xp.lib.stride_tricks.sliding_window_view(x, K, axis=(1, 2))
        return windows.transpose(0, 1, 2, 4, 5, 3).reshape(n * oh * ow, 9 * c)

    patch_bytes = n * oh * ow * 9 * c * x.itemsize
    return KernelCase(
        lambda: kernels.im2col(x, slice(0, oh), ow, K, ONE, ONE),
        theirs,
        "windows.reshape(...)",
        size_of(x),
        x.nbytes + patch_bytes,
    )


def col2im(sizes, xp, rng):
    (n, h, w, c), (_, oh, ow, _), (ph, pw) = sizes.conv
    columns = normal(xp, rng, n * oh * ow, 9 * c)
    size = n, h + 2 * ph, w + 2 * pw, c

    def theirs():
        x, cells = xp.zeros(size, REAL), columns.reshape(n, oh, ow, *K, c)
        for a, b in np.ndindex(K):
            x[:, a : a + oh, b : b + ow] += cells[:, :, :, a, b]
        return x

    return KernelCase(
        lambda: kernels.col2im(columns, size, (oh, ow), K, ONE),
        theirs,
        "nine x[...] += columns[...]",
        size_of(columns),
        columns.nbytes + int(np.prod(size)) * columns.itemsize,
    )


def gemm(sizes, xp, rng):
    (_, _, _, c), (n, oh, ow, f), _ = sizes.conv
    a, b = normal(xp, rng, n * oh * ow, 9 * c), normal(xp, rng, 9 * c, f)
    return KernelCase(
        lambda: kernels.gemm(a, b),
        lambda: a @ b,
        "a @ b (cuBLAS)",
        f"{size_of(a)} @ {size_of(b)}",
        moved(a, b) + len(a) * f * a.itemsize,
        2 * a.size * f,
    )


def _implicit(sizes, xp, rng, kernel):
    (n, h, w, c), (_, oh, ow, f), padding = sizes.conv
    x, weight, bias = normal(xp, rng, n, h, w, c), normal(xp, rng, f, *K, c), normal(xp, rng, f)
    by_tap = weight.reshape(f, -1).T
    border = (0, 0), *((p, p) for p in padding), (0, 0)

    def theirs():
        windows = xp.lib.stride_tricks.sliding_window_view(xp.pad(x, border), K, axis=(1, 2))
        patches = windows.transpose(0, 1, 2, 4, 5, 3).reshape(n * oh * ow, 9 * c)
        return (patches @ by_tap + bias).reshape(n, oh, ow, f)

    return KernelCase(
        lambda: kernels.implicit_gemm(x, weight, bias, (oh, ow), ONE, ONE, padding, kernel=kernel),
        theirs,
        "windows.reshape(...) @ weight (cuBLAS)",
        size_of(x),
        moved(x, weight, bias) + n * oh * ow * f * x.itemsize,
        2 * n * oh * ow * f * 9 * c,
    )


def implicit_gemm(sizes, xp, rng):
    return _implicit(sizes, xp, rng, "implicit_gemm")


def tf32x3_gemm(sizes, xp, rng):
    return _implicit(sizes, xp, rng, "tf32x3_gemm")


CASES = {
    "implicit_gemm": implicit_gemm,
    "tf32x3_gemm": tf32x3_gemm,
    "im2col": im2col,
    "col2im": col2im,
    "gemm": gemm,
}

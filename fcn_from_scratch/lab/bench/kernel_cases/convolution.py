"""The kernels of a 3x3 convolution by patches: im2col, the matrix product, and col2im."""

import numpy as np

from fcn_from_scratch import kernels
from fcn_from_scratch.kernels import convolution
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


def _patches(xp, x, padding, out):
    """The patches of x (N, H, W, C) by CuPy's functions."""
    border = (0, 0), *((p, p) for p in padding), (0, 0)
    windows = xp.lib.stride_tricks.sliding_window_view(xp.pad(x, border), K, axis=(1, 2))
    return windows.transpose(0, 1, 2, 4, 5, 3).reshape(len(x) * out[0] * out[1], 9 * x.shape[3])


def _implicit(sizes, xp, rng, tensor_cores):
    (n, h, w, c), (_, *out, f), padding = sizes.conv
    x, weight, bias = normal(xp, rng, n, h, w, c), normal(xp, rng, f, *K, c), normal(xp, rng, f)
    by_tap, place = weight.reshape(f, -1).T, (tuple(out), ONE, ONE, padding)
    return KernelCase(
        lambda: kernels.implicit_gemm(x, weight, bias, *place, tensor_cores=tensor_cores),
        lambda: (_patches(xp, x, padding, out) @ by_tap + bias).reshape(n, *out, f),
        "windows.reshape(...) @ weight (cuBLAS)",
        size_of(x),
        moved(x, weight, bias) + n * out[0] * out[1] * f * x.itemsize,
        2 * n * out[0] * out[1] * f * 9 * c,
    )


def implicit_gemm(sizes, xp, rng):
    return _implicit(sizes, xp, rng, False)


def tf32x3_gemm(sizes, xp, rng):
    return _implicit(sizes, xp, rng, True)


def _weight_grad(sizes, xp, rng, tensor_cores):
    (n, h, w, c), (_, *out, f), padding = sizes.conv
    dy, x, place = normal(xp, rng, n, *out, f), normal(xp, rng, n, h, w, c), (K, ONE, ONE, padding)
    shape = convolution.weight_grad_parts(dy, x, *place).shape
    share = -(-dy.size // f // shape[0] // convolution.STRIP) * convolution.STRIP

    def theirs():
        rows, patches = dy.reshape(-1, f), _patches(xp, x, padding, out)
        starts = range(0, len(rows), share)
        return xp.stack([rows[s : s + share].T @ patches[s : s + share] for s in starts]).reshape(shape)

    return KernelCase(
        lambda: convolution.weight_grad_parts(dy, x, *place, tensor_cores=tensor_cores),
        theirs,
        "dy.T @ windows.reshape(...) (cuBLAS)",
        size_of(x),
        moved(dy, x) + int(np.prod(shape)) * x.itemsize,
        2 * dy.size * 9 * c,
    )


def implicit_weight_grad(sizes, xp, rng):
    return _weight_grad(sizes, xp, rng, False)


def tf32x3_weight_grad(sizes, xp, rng):
    return _weight_grad(sizes, xp, rng, True)


def sum_parts(sizes, xp, rng):
    (_, _, _, c), (_, _, _, f), _ = sizes.conv
    parts = normal(xp, rng, 3, f, *K, c)
    return KernelCase(
        lambda: convolution.sum_parts(parts),
        lambda: parts.sum(axis=0),
        "parts.sum(axis=0)",
        size_of(parts),
        parts.nbytes + parts[0].nbytes,
    )


CASES = {
    "implicit_gemm": implicit_gemm,
    "tf32x3_gemm": tf32x3_gemm,
    "implicit_weight_grad": implicit_weight_grad,
    "tf32x3_weight_grad": tf32x3_weight_grad,
    "sum_parts": sum_parts,
    "im2col": im2col,
    "col2im": col2im,
    "gemm": gemm,
}

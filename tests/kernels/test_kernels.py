"""Every kernel against the definition of what it computes: the plain loops of ops.loops, or a few lines of NumPy.

The sizes are odd, small and different along each axis; images, channels, strides, paddings and dilations vary. Results
that can be equal to the last bit are compared bit by bit.
"""

import sys

import numpy as np
import pytest
import standin
from arrays import close
from hypothesis import given
from hypothesis import strategies as st

from fcn_from_scratch import kernels
from fcn_from_scratch.engine.im2col import channels_last, gather
from fcn_from_scratch.kernels import convolution as convolution_kernels
from fcn_from_scratch.kernels import loss as loss_kernels
from fcn_from_scratch.kernels import winograd
from fcn_from_scratch.ops import loops, loops_backward, shapes

TOLERANCE = {"float32": 2e-6, "float64": 1e-13}
WINOGRAD = {"float32": 2e-5, "float64": 1e-13}
ONE = (1, 1)


def last(x):
    """(N, C, H, W) as a contiguous (N, H, W, C)."""
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1))


def first(x):
    """(N, H, W, C) as (N, C, H, W)."""
    return x.transpose(0, 3, 1, 2)


def out_size(size, kernel_size, stride, padding, dilation=ONE):
    return tuple(map(shapes.conv_output_size, size, kernel_size, stride, padding, dilation))


# --- patches ----------------------------------------------------------------------------------------------------

PATCHES = {
    "plain": ((2, 5, 7, 3), (3, 2), ONE, (0, 0), ONE),
    "one image, one pixel": ((1, 1, 1, 1), (1, 1), ONE, (0, 0), ONE),
    "stride": ((2, 9, 8, 2), (3, 3), (2, 3), (1, 2), ONE),
    "dilation": ((1, 11, 9, 3), (3, 2), (2, 1), (2, 0), (2, 3)),
    "no images": ((0, 5, 7, 3), (3, 2), ONE, (0, 0), ONE),
    "packs": ((2, 5, 6, 8), (3, 2), ONE, (1, 0), ONE),
    "packs of doubles only": ((1, 5, 7, 6), (1, 3), (2, 1), (0, 2), ONE),
    "more padding than kernel": ((2, 4, 3, 4), (2, 3), (1, 2), (3, 4), (2, 1)),
}
patches = pytest.mark.parametrize("case", PATCHES.values(), ids=PATCHES)


@patches
class TestPatches:
    def test_im2col_copies(self, xp, rng, dtype, case):
        shape, kernel_size, stride, padding, dilation = case
        x = rng.normal(size=shape).astype(dtype)
        oh, ow = out_size(shape[1:3], kernel_size, stride, padding, dilation)
        padded = channels_last(first(x), padding)
        for rows in slice(0, oh), slice(oh // 2, oh):
            expected = gather(padded, rows, ow, kernel_size, stride, dilation)
            actual = kernels.im2col(xp.asarray(x), rows, ow, kernel_size, stride, dilation, padding)
            close(actual, expected, 0)

    def test_col2im_adds_where_im2col_read(self, xp, rng, dtype, case):
        shape, kernel_size, stride, padding, dilation = case
        out = out_size(shape[1:3], kernel_size, stride, padding, dilation)
        columns = rng.normal(size=(shape[0], *out, *kernel_size, shape[3])).astype(dtype)
        expected = np.zeros(shape)
        for n, i, j, a, b in np.ndindex(columns.shape[:-1]):
            u, v = (s * k + d * t - p for s, k, d, t, p in zip(stride, (i, j), dilation, (a, b), padding))
            if 0 <= u < shape[1] and 0 <= v < shape[2]:
                expected[n, u, v] += columns[n, i, j, a, b]
        flat = xp.asarray(columns.reshape(-1, kernel_size[0] * kernel_size[1] * shape[3]))
        close(kernels.col2im(flat, shape, out, kernel_size, stride, dilation, padding), expected, TOLERANCE[dtype])


@pytest.mark.parametrize("sizes", [(1, 1, 1), (64, 64, 16), (70, 65, 33), (3, 130, 5), (129, 2, 40), (5, 7, 0)])
def test_gemm(xp, rng, dtype, sizes):
    m, n, k = sizes
    a, b = rng.normal(size=(m, k)).astype(dtype), rng.normal(size=(k, n)).astype(dtype)
    close(kernels.gemm(xp.asarray(a), xp.asarray(b)), a.astype(float) @ b.astype(float), TOLERANCE[dtype])


IMPLICIT = {  # N, C, H, W; F; kernel, stride, padding, dilation
    "few channels": ((2, 3, 9, 11), 5, (3, 2), (2, 1), (1, 2), ONE),
    "packs, dilated": ((1, 8, 10, 7), 6, (2, 3), ONE, (2, 1), (3, 2)),
    "more than one tile": ((1, 4, 12, 13), 132, (3, 3), ONE, (1, 1), ONE),
    "a strip over several taps": ((1, 1, 6, 7), 3, (5, 5), (1, 2), (4, 7), ONE),
    "half a strip": ((2, 4, 3, 5), 2, ONE, ONE, (0, 0), ONE),
}


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("case", IMPLICIT.values(), ids=IMPLICIT)
def test_implicit_gemm(xp, rng, dtype, case, relu):
    shape, f, kernel_size, stride, padding, dilation = case
    x, weight, bias = (rng.normal(size=s).astype(dtype) for s in (shape, (f, shape[1], *kernel_size), (f,)))
    out = out_size(shape[2:], kernel_size, stride, padding, dilation)
    for offset in (None, bias):
        expected = loops.conv2d_loops(x.astype(float), weight.astype(float), offset, stride, padding, dilation)
        arrays = [None if a is None else xp.asarray(a) for a in (last(x), last(weight), offset)]
        y = kernels.implicit_gemm(*arrays, out, stride, dilation, padding, relu)
        close(y, last(loops.relu_loops(expected) if relu else expected), 4 * TOLERANCE[dtype])


@pytest.mark.parametrize("case", IMPLICIT.values(), ids=IMPLICIT)
def test_three_products_of_tf32(xp, rng, case):
    """As near to float64 as float32 is, and a thousand times nearer than one product of TF32 numbers."""
    shape, f, kernel_size, stride, padding, dilation = case
    x, weight, bias = (rng.normal(size=s).astype("float32") for s in (shape, (f, shape[1], *kernel_size), (f,)))
    placing = stride, padding, dilation
    out = out_size(shape[2:], kernel_size, *placing)
    expected = loops.conv2d_loops(*(a.astype(float) for a in (x, weight)), bias, *placing)
    arrays = [xp.asarray(a) for a in (last(x), last(weight), bias)]
    y = kernels.implicit_gemm(*arrays, out, stride, dilation, padding, tensor_cores=True)
    close(y, last(expected), 4 * TOLERANCE["float32"])
    fused = kernels.implicit_gemm(*arrays, out, stride, dilation, padding, True, True)
    close(fused, np.maximum(xp.asnumpy(y), 0), 0)
    rounded = [(a.view(np.uint32) + 0x1000 & 0xFFFFE000).astype(np.uint32).view(np.float32) for a in (x, weight)]
    one = loops.conv2d_loops(*(a.astype(float) for a in rounded), bias, *placing)
    assert np.abs(one - expected).max() > 100 * np.abs(last(expected) - xp.asnumpy(y)).max()


def test_implicit_gemm_keeps_nan_to_its_windows(xp, rng, dtype):
    x, weight = rng.normal(size=(1, 9, 9, 4)).astype(dtype), rng.normal(size=(3, 3, 3, 4)).astype(dtype)
    x[0, 4, 5, 1] = np.nan
    y = xp.asnumpy(kernels.implicit_gemm(xp.asarray(x), xp.asarray(weight), None, (9, 9), ONE, ONE, ONE, True))
    holes = np.zeros((9, 9), bool)
    holes[3:6, 4:7] = True
    np.testing.assert_array_equal(np.isnan(y[0]), np.repeat(holes[..., None], 3, axis=2))


GRADIENT = IMPLICIT | {
    "shares, the last one short": ((2, 4, 11, 13), 8, (3, 3), ONE, (1, 1), ONE),
    "a strip over several rows": ((3, 2, 5, 4), 9, (2, 2), (2, 2), ONE, ONE),
    "two tiles of filters and of taps": ((1, 16, 4, 5), 132, (3, 3), ONE, (1, 1), ONE),
}


def gradient_arrays(rng, dtype, case):
    """dy and x for a kernel, and the weight gradient by loops in float64."""
    shape, f, kernel_size, *placing = case
    dy = rng.normal(size=(shape[0], f, *out_size(shape[2:], kernel_size, *placing))).astype(dtype)
    x, weight = rng.normal(size=shape).astype(dtype), np.zeros((f, shape[1], *kernel_size))
    expected = loops_backward.conv2d_backward_loops(dy.astype(float), x.astype(float), weight, *placing)[1]
    return dy, x, last(expected)


@pytest.fixture(params=[512, 40])
def least_share(request, monkeypatch):
    """One share for all pixels, and several."""
    monkeypatch.setattr(convolution_kernels, "LEAST_SHARE", request.param)


@pytest.mark.parametrize("case", GRADIENT.values(), ids=GRADIENT)
def test_implicit_weight_grad(xp, rng, dtype, case, least_share):
    dy, x, expected = gradient_arrays(rng, dtype, case)
    _, _, kernel_size, stride, padding, dilation = case
    arrays = xp.asarray(last(dy)), xp.asarray(last(x))
    found = kernels.implicit_weight_grad(*arrays, kernel_size, stride, dilation, padding)
    close(found, expected, 4 * TOLERANCE[dtype])


@pytest.mark.parametrize("case", GRADIENT.values(), ids=GRADIENT)
def test_a_weight_gradient_by_three_products_of_tf32(xp, rng, case, least_share):
    dy, x, expected = gradient_arrays(rng, "float32", case)
    _, _, kernel_size, *placing = case
    stride, padding, dilation = placing
    arrays = xp.asarray(last(dy)), xp.asarray(last(x))
    found = kernels.implicit_weight_grad(*arrays, kernel_size, stride, dilation, padding, True)
    close(found, expected, 4 * TOLERANCE["float32"])
    rounded = [(a.view(np.uint32) + 0x1000 & 0xFFFFE000).astype(np.uint32).view(np.float32) for a in (dy, x)]
    one = loops_backward.conv2d_backward_loops(*(a.astype(float) for a in rounded), first(0 * expected), *placing)[1]
    assert np.abs(last(one) - expected).max() > 100 * np.abs(expected - xp.asnumpy(found)).max()


@pytest.mark.parametrize("tensor_cores", [False, True])
def test_implicit_weight_grad_in_shares_of_any_length(xp, rng, monkeypatch, tensor_cores):
    """A strip of 8 pixels that reaches beyond its share: those pixels are the next share's."""
    dy, x, expected = gradient_arrays(rng, "float32", ((2, 4, 7, 6), 8, (3, 3), ONE, (1, 1), ONE))
    monkeypatch.setattr(convolution_kernels, "_shares", lambda pixels, tiles: (-(-pixels // 13), 13))
    arrays = xp.asarray(last(dy)), xp.asarray(last(x))
    parts = convolution_kernels.weight_grad_parts(*arrays, (3, 3), ONE, ONE, (1, 1), tensor_cores)
    assert len(parts) == 7
    close(convolution_kernels.sum_parts(parts), expected, 4 * TOLERANCE["float32"])


@pytest.mark.parametrize("pixels", [1, 8, 511, 512, 513, 4096, 30976, 487204, 1 << 32])
@pytest.mark.parametrize("tiles", [1, 5, 144, 511, 512, 6272])
def test_shares_hold_all_pixels(pixels, tiles):
    """None is empty, none is very short if there are several, and together with the tiles they are at most 512."""
    shares, share = convolution_kernels._shares(pixels, tiles)
    assert (shares - 1) * share < pixels <= shares * share
    assert share % 8 == 0
    assert shares == 1 or (shares * tiles <= 512 and share >= 256)
    assert shares * tiles > 256 or share <= 520 or pixels < 520


def test_implicit_weight_grad_keeps_nan_to_its_taps(xp, rng, dtype):
    """A NaN in the last pixel is never below a kernel's first row or column: that window would begin outside."""
    dy, x = rng.normal(size=(1, 9, 9, 3)).astype(dtype), rng.normal(size=(1, 9, 9, 4)).astype(dtype)
    x[0, 8, 8, 1] = np.nan
    found = xp.asnumpy(kernels.implicit_weight_grad(xp.asarray(dy), xp.asarray(x), (3, 3), ONE, ONE, ONE))
    expected = np.zeros((3, 3, 3, 4), bool)
    expected[:, 1:, 1:, 1] = True
    np.testing.assert_array_equal(np.isnan(found), expected)


# --- pooling ------------------------------------------------------------------------------------------------------

MAX = {
    "plain": {"kernel_size": (2, 3), "stride": (2, 3)},
    "overlap": {"kernel_size": (3, 2), "stride": (2, 1), "padding": (1, 0)},
    "ceil": {"kernel_size": (3, 3), "stride": (2, 2), "padding": (1, 1), "ceil_mode": True},
    "dilation": {"kernel_size": (2, 2), "stride": (1, 2), "padding": (1, 0), "dilation": (2, 3)},
}
pools = pytest.mark.parametrize("options", MAX.values(), ids=MAX)
POOLED = (2, 3, 7, 8)  # (N, C, H, W)


def window(options):
    """(out, kernel_size, stride, padding, dilation) of a pooling of POOLED."""
    zero = {"padding": (0, 0), "dilation": ONE, "ceil_mode": False} | options
    k, s, p, d = (zero[name] for name in ("kernel_size", "stride", "padding", "dilation"))
    out = tuple(loops.pooled_size(*axis, zero["ceil_mode"]) for axis in zip(POOLED[2:], k, s, p, d))
    return out, k, s, p, d


def places(indices, options):
    """Positions in the plane as places in their windows, uint8."""
    _, (_, kw), stride, padding, dilation = window(options)
    pixels = np.divmod(indices, POOLED[3])
    starts = [s * k - p for s, k, p in zip(stride, np.indices(indices.shape)[2:], padding)]
    a, b = ((pixel - start) // d for pixel, start, d in zip(pixels, starts, dilation))
    return (a * kw + b).astype(np.uint8)


def with_ties_and_nan(rng, dtype):
    x = rng.integers(0, 4, POOLED).astype(dtype)
    x[0, 1, 2:5, 3:6] = np.nan
    x[1, 0] = -np.inf
    return x


@pools
class TestMaxPool:
    def test_forward(self, xp, rng, dtype, options):
        x = with_ties_and_nan(rng, dtype)
        y, winner = kernels.max_pool(xp.asarray(last(x)), *window(options))
        expected, indices = loops.max_pool2d_loops(x, **options)
        assert np.isnan(expected).any()
        close(y, last(expected), 0)
        close(winner, last(places(indices, options)), 0)
        assert winner.dtype == np.uint8

    def test_with_relu(self, xp, rng, dtype, options):
        """Where ReLU's output is not positive, the winner is no place in the window."""
        x = with_ties_and_nan(rng, dtype) - 2
        y, winner = kernels.max_pool(xp.asarray(last(x)), *window(options), relu=True)
        pooled, indices = loops.max_pool2d_loops(x, **options)
        close(y, last(loops.relu_loops(pooled)), 0)
        shut = ~(pooled > 0)
        assert 0 < shut.sum() < shut.size
        size = np.prod(options["kernel_size"], dtype=np.uint8)
        close(winner, last(places(indices, options) + size * shut), 0)

    def test_backward(self, xp, rng, dtype, options):
        _, indices = loops.max_pool2d_loops(with_ties_and_nan(rng, dtype), **options)
        dy, winner = rng.normal(size=indices.shape).astype(dtype), places(indices, options)
        winner[1, 2, 0, 0] = 200  # no place in the window
        expected = np.zeros((2, 3, 7 * 8))
        for n, c, i, j in np.ndindex(dy.shape):
            expected[n, c, indices[n, c, i, j]] += dy[n, c, i, j] * (winner[n, c, i, j] < 200)
        n, c, h, w = POOLED
        dx = kernels.max_pool_backward(*map(xp.asarray, (last(dy), last(winner))), (n, h, w, c), *window(options)[1:])
        close(dx, last(expected.reshape(POOLED)), TOLERANCE[dtype])

    def test_backward_by_indices(self, xp, rng, dtype, options):
        _, indices = loops.max_pool2d_loops(with_ties_and_nan(rng, dtype), **options)
        indices[0, 1, 0, :2] = -1, 7 * 8  # outside the plane: passed over
        dy = rng.normal(size=indices.shape).astype(dtype)
        expected = np.zeros((2, 3, 7 * 8))
        for n, c, i, j in np.ndindex(dy.shape):
            if 0 <= indices[n, c, i, j] < 7 * 8:
                expected[n, c, indices[n, c, i, j]] += dy[n, c, i, j]
        n, c, h, w = POOLED
        dx = kernels.max_pool_indices_backward(*map(xp.asarray, (last(dy), last(indices))), (n, h, w, c))
        close(dx, last(expected.reshape(POOLED)), TOLERANCE[dtype])


def test_max_pool_backward_by_indices_adds_in_their_order(xp, dtype):
    dy = np.array([1e20, 1.0, -1e20, 3.0, 1.0, 7.0]).astype(dtype).reshape(1, 3, 2, 1)
    indices = np.array([4, 4, 4, 0, 4, 0]).reshape(dy.shape)
    dx = xp.asnumpy(kernels.max_pool_indices_backward(xp.asarray(dy), xp.asarray(indices), (1, 2, 3, 1)))
    assert dx.ravel().tolist() == [10, 0, 0, 0, 1, 0]


AVERAGE = {name: options for name, options in MAX.items() if "dilation" not in options}


@pytest.mark.parametrize("include_pad", [True, False])
@pytest.mark.parametrize("options", AVERAGE.values(), ids=AVERAGE)
class TestAveragePool:
    def test_forward(self, xp, rng, dtype, options, include_pad):
        x = rng.normal(size=POOLED).astype(dtype)
        y = kernels.avg_pool(xp.asarray(last(x)), *window(options)[:4], include_pad)
        close(y, last(loops.avg_pool2d_loops(x, **options, count_include_pad=include_pad)), TOLERANCE[dtype])

    def test_backward_is_the_transpose(self, xp, rng, dtype, options, include_pad):
        n, c, h, w = POOLED
        out, *geometry = window(options)[:4]
        dy = rng.normal(size=(n, *out, c)).astype(dtype)
        pixels = np.eye(h * w).reshape(h * w, 1, h, w)
        matrix = loops.avg_pool2d_loops(pixels, **options, count_include_pad=include_pad).reshape(h, w, *out)
        dx = kernels.avg_pool_backward(xp.asarray(dy), (n, h, w, c), *geometry, include_pad)
        close(dx, np.einsum("uvij,nijc->nuvc", matrix, dy), TOLERANCE[dtype])


class TestMaxUnpool:
    indices = np.array([[[[0, 5], [5, 11]], [[7, 7], [7, 0]]], [[[1, 2], [3, 4]], [[11, 10], [9, 8]]]])  # (N, C, h, w)

    def test_forward_the_last_of_several_stays(self, xp, rng, dtype):
        x = rng.normal(size=self.indices.shape).astype(dtype)
        y = kernels.max_unpool(xp.asarray(last(x)), xp.asarray(last(self.indices)), (3, 4))
        close(y, last(loops.max_unpool2d_loops(x, self.indices, (3, 4))), 0)

    def test_backward(self, xp, rng, dtype):
        dy = rng.normal(size=(2, 2, 3, 4)).astype(dtype)
        dx = kernels.max_unpool_backward(xp.asarray(last(dy)), xp.asarray(last(self.indices)))
        expected = np.take_along_axis(dy.reshape(2, 2, 12), self.indices.reshape(2, 2, 4), 2)
        close(dx, last(expected.reshape(2, 2, 2, 2)), 0)

    def test_an_index_outside_the_plane_writes_nowhere(self, xp, dtype):
        indices = np.array([[-1, 12, 1 << 40, 3]]).reshape(1, 2, 2, 1)
        x = np.arange(1, 5).reshape(1, 2, 2, 1).astype(dtype)
        y = xp.asnumpy(kernels.max_unpool(xp.asarray(x), xp.asarray(indices), (3, 4)))
        assert y.sum() == y.flat[3] == 4
        dx = kernels.max_unpool_backward(xp.asarray(y), xp.asarray(indices))
        assert xp.asnumpy(dx).ravel().tolist() == [0, 0, 0, 4]


# --- upsampling -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    ("kernel_size", "stride", "padding", "extra", "groups", "dilation"),
    [
        ((3, 2), ONE, (0, 0), (0, 0), 1, ONE),
        ((4, 4), (2, 2), (1, 1), (0, 0), 1, ONE),
        ((2, 5), (3, 2), (0, 2), (0, 0), 1, ONE),
        ((1, 1), (2, 3), (0, 0), (0, 0), 1, ONE),
        ((1, 2), (4, 3), (0, 1), (3, 2), 1, ONE),
        ((3, 2), (1, 2), (1, 0), (0, 0), 3, ONE),
        ((3, 2), (2, 1), (1, 2), (0, 0), 1, (1, 3)),
        ((2, 3), (3, 2), (1, 2), (2, 2), 2, (2, 3)),
        ((2, 2), ONE, (0, 5), (3, 1), 6, (4, 7)),
    ],
)
def test_conv_transpose(xp, rng, dtype, kernel_size, stride, padding, extra, groups, dilation, bias):
    x = rng.normal(size=(2, 6, 4, 5)).astype(dtype)
    weight, offset = rng.normal(size=(6, 2, *kernel_size)).astype(dtype), rng.normal(size=2 * groups).astype(dtype)
    given = offset if bias else None
    placing = stride, padding, extra, groups, dilation
    expected = loops.conv_transpose2d_loops(*map(np.float64, (x, weight)), given, *placing)
    arrays = xp.asarray(last(x)), xp.asarray(weight), xp.asarray(offset) if bias else None
    y = kernels.conv_transpose(*arrays, expected.shape[2:], stride, padding, dilation, groups)
    close(y, last(expected), TOLERANCE[dtype])


@pytest.mark.parametrize(
    ("kernel_size", "stride", "padding"),
    [
        ((4, 4), (2, 2), (0, 0)),
        ((3, 6), (2, 3), (1, 2)),
        ((2, 1), (3, 4), (0, 0)),
        ((8, 5), (4, 1), (3, 0)),
        (ONE, ONE, (0, 0)),
    ],
)
class TestBilinear:
    def dense(self, x, kernel_size, stride, padding):
        """Transposed convolution with the kernel on the channel diagonal."""
        taps = [np.sqrt(np.diag(loops.bilinear_kernel_loops(k))) for k in kernel_size]  # of a square kernel t t^T
        weight = np.eye(x.shape[1])[:, :, None, None] * (taps[0][:, None] * taps[1])
        return loops.conv_transpose2d_loops(x, weight, None, stride, padding)

    def test_forward(self, xp, rng, dtype, kernel_size, stride, padding):
        x = rng.normal(size=(2, 3, 4, 5)).astype(dtype)
        y = kernels.bilinear(xp.asarray(last(x)), kernel_size, stride, padding)
        close(y, last(self.dense(x.astype(float), kernel_size, stride, padding)), TOLERANCE[dtype])

    def test_backward_is_the_transpose(self, xp, rng, dtype, kernel_size, stride, padding):
        pixels = np.eye(4 * 5).reshape(4 * 5, 1, 4, 5)
        matrix = self.dense(pixels, kernel_size, stride, padding)[:, 0]
        dy = rng.normal(size=(2, *matrix.shape[1:], 3)).astype(dtype)
        dx = kernels.bilinear_backward(xp.asarray(dy), (2, 4, 5, 3), kernel_size, stride, padding)
        close(dx, np.einsum("pij,nijc->npc", matrix, dy).reshape(2, 4, 5, 3), TOLERANCE[dtype])


@pytest.mark.parametrize(("stride", "size"), [((2, 3), (6, 7)), ((3, 1), (5, 4)), (ONE, (3, 2))])
def test_interlace(xp, rng, dtype, stride, size):
    fine = xp.empty((2, *size, 3), dtype)
    expected = rng.normal(size=fine.shape).astype(dtype)
    for a, b in np.ndindex(stride):
        coarse = expected[:, a :: stride[0], b :: stride[1]]
        kernels.interlace(xp.asarray(np.ascontiguousarray(coarse)), fine, stride, (a, b))
    close(fine, expected, 0)


# --- pixel by pixel -------------------------------------------------------------------------------------------------


def test_bias_relu(xp, rng, dtype):
    x, bias = rng.normal(size=(2, 5, 4, 3)).astype(dtype), rng.normal(size=3).astype(dtype)
    x[0, 0, 0] = [np.nan, np.inf, -np.inf]
    close(kernels.bias_relu(xp.asarray(x), xp.asarray(bias)), loops.relu_loops(x + bias), TOLERANCE[dtype])


def test_relu_backward(xp, rng, dtype):
    dy, y = (rng.normal(size=(2, 5, 4, 3)).astype(dtype) for _ in range(2))
    y[0, 0, 0], dy[1, 2, 3] = [np.nan, 0, -0.0], [np.inf, np.nan, -1]
    with np.errstate(invalid="ignore"):
        expected = dy * (y > 0)
    close(kernels.relu_backward(xp.asarray(dy), xp.asarray(y)), expected, 0)


@pytest.mark.parametrize("options", [(5, 1.5, 0.75, 1.0), (4, 0.3, 1.2, 2.0), (1, 1.0, 0.5, 1.0), (9, 2.0, 0.75, 1.0)])
class TestLocalResponseNorm:
    def test_forward(self, xp, rng, dtype, options):
        x = rng.normal(size=(2, 6, 3, 2)).astype(dtype)
        y = kernels.local_response_norm(xp.asarray(last(x)), *options)
        close(y, last(loops.local_response_norm_loops(x, *options)), TOLERANCE[dtype])

    def test_backward_by_differences(self, xp, rng, options):
        x, dy, direction = (rng.normal(size=(2, 6, 3, 2)) for _ in range(3))
        dx = kernels.local_response_norm_backward(*(xp.asarray(last(a)) for a in (dy, x)), *options)
        step = 1e-5
        plus, minus = (loops.local_response_norm_loops(x + sign * step * direction, *options) for sign in (1, -1))
        expected = np.vdot(dy, plus - minus) / (2 * step)
        assert np.vdot(xp.asnumpy(dx), last(direction)) == pytest.approx(expected, rel=1e-7)

    def test_backward_in_float32(self, xp, rng, options):
        dy, x = (rng.normal(size=(2, 3, 2, 6)) for _ in range(2))
        exact, rough = (
            kernels.local_response_norm_backward(*(xp.asarray(a.astype(dtype)) for a in (dy, x)), *options)
            for dtype in ("float64", "float32")
        )
        assert rough.dtype == np.float32
        close(rough, xp.asnumpy(exact), TOLERANCE["float32"])


@pytest.mark.parametrize("mask_shape", [(2, 3, 4, 5), (2, 3)], ids=["elements", "channels"])
def test_dropout(xp, rng, dtype, mask_shape):
    x, mask = rng.normal(size=(2, 3, 4, 5)).astype(dtype), rng.random(mask_shape) < 0.6
    x[0, 0, 0, 0] = np.nan
    expected = x * mask.reshape(*mask_shape, *(1,) * (4 - mask.ndim)) / 0.7
    close(kernels.dropout(xp.asarray(last(x)), xp.asarray(mask), 0.3), last(expected), TOLERANCE[dtype])


@pytest.mark.parametrize("lying", [("C", "C", "C"), ("F", "F", "F"), ("F", "C", "F")])
def test_sgd(xp, rng, dtype, lying):
    weight, velocity, grad = (rng.normal(size=(3, 4, 5)).astype(dtype) for _ in range(3))
    arrays = [xp.asarray(np.asarray(a, order=order)) for a, order in zip((weight, velocity, grad), lying)]
    kernels.sgd(*arrays, 0.9, 0.01, 0.002)
    step = 0.9 * velocity.astype(float) + 0.01 * grad + 0.002 * weight
    close(arrays[1], step, TOLERANCE[dtype])
    close(arrays[0], weight - step, TOLERANCE[dtype])
    close(arrays[2], grad, 0)


# --- loss and counts ------------------------------------------------------------------------------------------------


class TestSoftmaxCrossEntropy:
    def arrays(self, rng, dtype, pixels=701, classes=5):
        scores = (3 * rng.normal(size=(pixels, classes))).astype(dtype)
        labels = rng.integers(0, classes, pixels)
        labels[rng.random(pixels) < 0.2] = 255
        return scores, labels

    @pytest.mark.parametrize("mean", [True, False])
    @pytest.mark.parametrize("weighted", [True, False])
    def test_loss_and_gradient(self, xp, rng, dtype, mean, weighted, monkeypatch):
        monkeypatch.setattr(loss_kernels, "BLOCKS", 2)
        scores, labels = self.arrays(rng, dtype)
        weight = rng.uniform(0.5, 2, 5).astype(dtype) if weighted else None
        mask = rng.uniform(0, 2, len(labels)).astype(dtype) if weighted else None
        if weighted:
            mask[:50] = 0
        extra = [None if a is None else xp.asarray(a) for a in (weight, mask)]
        arguments = xp.asarray(scores), xp.asarray(labels), 255, mean, *extra
        loss, wrong, dscores = kernels.softmax_cross_entropy(*arguments)

        value = np.where(labels == 255, 0, np.ones(len(labels)) if weight is None else weight[labels % 5] * mask)
        exponentials = np.exp(scores.astype(float))
        probabilities = exponentials / exponentials.sum(1, keepdims=True)
        chosen = np.where(labels == 255, 0, labels)
        divisor = value.sum() if mean else 1
        expected = (-np.log(probabilities[np.arange(len(labels)), chosen]) * value).sum() / divisor
        gradient = (probabilities - np.eye(5)[chosen]) * (value / divisor)[:, None]
        assert wrong == 0
        assert loss == pytest.approx(expected, rel=1e-5 if dtype == "float32" else 1e-12)
        close(dscores, gradient, TOLERANCE[dtype])

    def test_labels_out_of_range_are_counted_and_not_read(self, xp, rng, dtype):
        scores, labels = self.arrays(rng, dtype, 40)
        labels[[1, 7]], labels[9] = -1, 1 << 40
        _, wrong, dscores = kernels.softmax_cross_entropy(*map(xp.asarray, (scores, labels)), 255, True, None, None)
        assert wrong == 3
        assert not xp.asnumpy(dscores)[[1, 7, 9]].any()

    def test_nan_where_it_counts_only(self, xp, rng, dtype):
        scores, labels = self.arrays(rng, dtype, 40)
        labels[:2] = 0, 255
        scores[1, 3] = np.nan
        arguments = *map(xp.asarray, (scores, labels)), 255, True, None, None
        assert np.isfinite(kernels.softmax_cross_entropy(*arguments)[0])
        scores[0, 3] = np.nan
        loss, _, dscores = kernels.softmax_cross_entropy(xp.asarray(scores), *arguments[1:])
        assert np.isnan(loss)
        assert np.isnan(xp.asnumpy(dscores)).sum(1).tolist() == [5] + [0] * 39

    def test_nothing_counts(self, xp, rng, dtype):
        scores, labels = self.arrays(rng, dtype, 40)
        labels[:] = 255
        loss, _, dscores = kernels.softmax_cross_entropy(*map(xp.asarray, (scores, labels)), 255, True, None, None)
        assert loss == 0
        assert not xp.asnumpy(dscores).any()


@pytest.mark.parametrize("classes", [1, 5, 64])
@pytest.mark.parametrize("ignore", [255, None, 2])
def test_confusion_matrix(xp, rng, classes, ignore):
    labels, predictions = rng.integers(0, classes, (2, 1300))
    if ignore == 255:
        labels[::7] = 255
    counted = np.ones(len(labels), bool) if ignore is None else labels != ignore
    expected = np.zeros((classes, classes), int)
    np.add.at(expected, (labels[counted], predictions[counted]), 1)
    matrix, wrong = kernels.confusion_matrix(*map(xp.asarray, (labels, predictions)), classes, ignore)
    assert matrix.tolist() == expected.tolist()
    assert wrong == 0


def test_confusion_matrix_counts_what_is_out_of_range(xp):
    labels = np.array([0, 3, -1, 255, 255, 1])
    predictions = np.array([3, 0, 0, 9, 0, 1])
    matrix, wrong = kernels.confusion_matrix(xp.asarray(labels), xp.asarray(predictions), 3, 255)
    assert wrong == 4
    assert matrix.sum() == matrix[1, 1] == 1


# --- Winograd -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "padding"),
    [((2, 3, 6, 9), (1, 0)), ((1, 1, 3, 3), (0, 0)), ((1, 2, 8, 4), (2, 1)), ((2, 2, 3, 6), (3, 4))],
)
@pytest.mark.parametrize("band_bytes", [1, 1 << 28], ids=["a row at a time", "at once"])
class TestWinograd:
    def arrays(self, rng, dtype, shape, padding):
        """x (N, C, H, W), weight (F, C, 3, 3) and dy (N, F, oh, ow)."""
        out = out_size(shape[2:], (3, 3), ONE, padding)
        sizes = shape, (4, shape[1], 3, 3), (shape[0], 4, *out)
        return (rng.normal(size=size).astype(dtype) for size in sizes)

    @pytest.fixture(autouse=True)
    def bands(self, monkeypatch, band_bytes):
        monkeypatch.setattr(winograd, "BAND_BYTES", band_bytes)

    @pytest.mark.parametrize("bias", [True, False])
    def test_forward(self, xp, rng, dtype, shape, padding, bias):
        x, weight, _ = self.arrays(rng, dtype, shape, padding)
        offset = rng.normal(size=4).astype(dtype)
        expected = loops.conv2d_loops(x.astype(float), weight, offset if bias else None, 1, padding)
        device_bias = xp.asarray(offset) if bias else None
        y = kernels.conv3x3(xp.asarray(last(x)), xp.asarray(weight), device_bias, padding)
        close(y, last(expected), WINOGRAD[dtype])

    @pytest.mark.parametrize("ceil_mode", [True, False])
    def test_with_relu_and_pool(self, xp, rng, dtype, shape, padding, ceil_mode):
        """The same bits as three kernels one after another; a window of an odd map may have one pixel."""
        x, weight, dy = self.arrays(rng, dtype, shape, padding)
        size = dy.shape[2:]
        pooled = tuple((n + ceil_mode) // 2 for n in size)
        if not all(pooled):
            pytest.skip("no window")
        arrays = xp.asarray(last(x)), xp.asarray(weight), xp.asarray(rng.normal(size=4).astype(dtype)), padding
        y = kernels.conv3x3(*arrays)
        close(kernels.conv3x3(*arrays, relu=True), loops.relu_loops(xp.asnumpy(y)), 0)
        expected = kernels.max_pool(y, pooled, (2, 2), (2, 2), (0, 0), ONE, relu=True)
        for ours, theirs in zip(kernels.conv3x3_relu_pool(*arrays, pooled), expected):
            close(ours, xp.asnumpy(theirs), 0)

    def test_gradients(self, xp, rng, dtype, shape, padding):
        """By the definition: what an output got from a pixel through a tap, it gives back through it."""
        x, weight, dy = self.arrays(rng, dtype, shape, padding)
        dx, dweight = np.zeros(x.shape), np.zeros(weight.shape)
        for n, i, j, a, b in np.ndindex(len(x), *dy.shape[2:], 3, 3):
            u, v = i + a - padding[0], j + b - padding[1]
            if 0 <= u < shape[2] and 0 <= v < shape[3]:
                dx[n, :, u, v] += dy[n, :, i, j] @ weight[:, :, a, b].astype(float)
                dweight[:, :, a, b] += np.outer(dy[n, :, i, j], x[n, :, u, v].astype(float))
        upstream, pixels, taps = xp.asarray(last(dy)), xp.asarray(last(x)), xp.asarray(weight)
        close(kernels.conv3x3_input_grad(upstream, taps, padding), last(dx), WINOGRAD[dtype])
        close(kernels.conv3x3_weight_grad(upstream, pixels, padding), dweight, WINOGRAD[dtype])


@pytest.mark.parametrize("shape", [(2, 9, 13, 70, 11), (1, 35, 4, 5, 3)])
def test_the_adjoint_in_parts_of_tiles_and_channels(xp, rng, dtype, shape):
    """More tiles and channels than a block takes at once, and neither a multiple of it."""
    n, oh, ow, f, c = shape
    x, dy = (rng.normal(size=s).astype(dtype) for s in ((n, oh + 2, ow + 2, c), (n, oh, ow, f)))
    windows = np.lib.stride_tricks.sliding_window_view(x.astype(float), (3, 3), axis=(1, 2))
    expected = np.einsum("nijf,nijcab->fcab", dy, windows)
    close(kernels.conv3x3_weight_grad(xp.asarray(dy), xp.asarray(x), (0, 0)), expected, WINOGRAD[dtype])


# --- shapes nobody thought of ---------------------------------------------------------------------------------------


@pytest.mark.usefixtures("built")
@given(st.data())
def test_im2col_and_col2im_are_transposes(data):
    pairs = {name: st.tuples(st.integers(low, 3), st.integers(low, 3)) for name, low in (("k", 1), ("p", 0))}
    kernel_size, stride, dilation = (data.draw(pairs["k"]) for _ in range(3))
    padding = data.draw(pairs["p"])
    size = tuple(data.draw(st.integers(shapes.span(k, d), 9)) for k, d in zip(kernel_size, dilation))
    shape = data.draw(st.integers(1, 2)), *size, data.draw(st.integers(1, 3))
    oh, ow = out_size(size, kernel_size, stride, padding, dilation)
    rng = np.random.default_rng(0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "cupy", standin)
        x = standin.asarray(rng.normal(size=shape))
        patches = kernels.im2col(x, slice(0, oh), ow, kernel_size, stride, dilation, padding)
        columns = standin.asarray(rng.normal(size=patches.shape))
        back = kernels.col2im(columns, shape, (oh, ow), kernel_size, stride, dilation, padding)
    assert float((columns * patches).sum()) == pytest.approx(float((back * x).sum()), rel=1e-10, abs=1e-10)

"""Convolution, checked by loops, PyTorch, finite differences and identities."""

import tracemalloc

import numpy as np
import pytest
from arrays import LAYOUTS, TORCH_TOLERANCES, close, refuses, torch_gradients, torch_module
from conv_cases import by_loops
from hypothesis import assume, given
from hypothesis import strategies as st

from fcn_from_scratch import ops
from fcn_from_scratch.engine import im2col
from fcn_from_scratch.gradcheck import vjp_check
from fcn_from_scratch.ops import loops, loops_backward


def gradients_by_loops(*arrays, algorithm=None, **options):
    return loops_backward.conv2d_backward_loops(*arrays, **options)


def by_taps(x, weight):
    """Plain convolution as a sum over kernel taps: an oracle for images too large for loops."""
    kh, kw = weight.shape[2:]
    oh, ow = x.shape[2] - kh + 1, x.shape[3] - kw + 1
    return sum(
        np.einsum("nchw,fc->nfhw", x[:, :, a : a + oh, b : b + ow], weight[:, :, a, b]) for a, b in np.ndindex(kh, kw)
    )


class TestForward:
    def test_equals_loops(self, xp, conv_case):
        arrays, options = conv_case
        close(ops.conv2d(*map(xp.asarray, arrays), **options), by_loops(*arrays, **options))

    def test_without_bias(self, rng):
        x, weight = rng.normal(size=(2, 3, 4, 5)), rng.normal(size=(4, 3, 2, 3))
        close(ops.conv2d(x, weight), loops.conv2d_loops(x, weight))

    def test_any_memory_layout(self, conv_case, layout):
        arrays, options = conv_case
        close(ops.conv2d(*map(layout, arrays), **options), by_loops(*arrays, **options))

    @given(st.data())
    def test_any_shape_and_argument(self, data):
        def number(low, high):
            return data.draw(st.tuples(st.integers(low, high), st.integers(low, high)))

        groups, per_group, f = (data.draw(st.integers(1, 3)) for _ in range(3))
        size, kernel_size, stride = number(1, 8), number(1, 4), number(1, 4)
        padding, dilation = number(0, 3), number(1, 3)
        spans = [d * (k - 1) + 1 for k, d in zip(kernel_size, dilation)]
        assume(all(n + 2 * p >= e for n, p, e in zip(size, padding, spans)))
        rng = np.random.default_rng(0)
        x = rng.normal(size=(data.draw(st.integers(1, 2)), groups * per_group, *size))
        weight = rng.normal(size=(groups * f, per_group, *kernel_size))
        x = LAYOUTS[data.draw(st.sampled_from(list(LAYOUTS)))](x)
        options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
        y, expected = ops.conv2d(x, weight, **options), loops.conv2d_loops(x, weight, **options)
        close(y, expected)
        # the derivative is linear too, so the adjoint identities hold to rounding
        dy = rng.normal(size=y.shape)
        dx, dweight, dbias = ops.conv2d_backward(dy, x, weight, **options)
        assert np.vdot(dy, expected) == pytest.approx(np.vdot(dx, x), rel=1e-9, abs=1e-9)
        assert np.vdot(dy, expected) == pytest.approx(np.vdot(dweight, weight), rel=1e-9, abs=1e-9)
        close(dbias, np.einsum("nfhw->f", dy))
        for actual, gradient in zip((dx, dweight, dbias), gradients_by_loops(dy, x, weight, **options)):
            close(actual, gradient)

    def test_integers_stand_for_pairs(self, rng):
        x, weight = rng.normal(size=(2, 3, 8, 9)), rng.normal(size=(4, 3, 2, 2))
        expected = loops.conv2d_loops(x, weight, None, (2, 2), (1, 1), (3, 3))
        close(ops.conv2d(x, weight, stride=2, padding=1, dilation=3), expected)

    @pytest.mark.parametrize(
        "shape",
        [(1, 8, 150, 141), (5, 8, 37, 41), (1, 2, 301, 280), (5, 2, 75, 82)],
        ids=["rows_of_an_image", "images", "rows_of_planes", "planes"],
    )
    def test_blocks_join_without_a_seam(self, rng, shape):
        """The patch matrix of each input is larger than one block."""
        x, weight = rng.normal(size=shape), rng.normal(size=(4, shape[1], 3, 5))
        assert x.nbytes * 15 > im2col.BLOCK_BYTES
        y = ops.conv2d(x, weight)
        close(y, by_taps(x, weight))
        dy = rng.normal(size=y.shape)
        dx, dweight, _ = ops.conv2d_backward(dy, x, weight)
        assert np.vdot(dx, x) == pytest.approx(np.vdot(dy, y), rel=1e-9)
        oh, ow = y.shape[2:]
        for a, b in [(0, 0), (1, 4), (2, 3)]:
            expected = np.einsum("nfhw,nchw->fc", dy, x[:, :, a : a + oh, b : b + ow])
            close(dweight[:, :, a, b], expected)
            close(ops.conv2d_weight_grad(dy, x, weight)[:, :, a, b], expected)

    def test_kernel_with_a_single_one_shifts_the_image(self, rng):
        x = rng.normal(size=(2, 3, 6, 7))
        weight = np.zeros((3, 3, 3, 4))
        weight[[0, 1, 2], [2, 0, 1], 2, 1] = 1  # channel 0 shows channel 2, and so on
        np.testing.assert_array_equal(ops.conv2d(x, weight), x[:, [2, 0, 1], 2:, 1:5])

    def test_uint8_does_not_wrap(self, xp):
        x = np.full((1, 2, 3, 4), 255, np.uint8)
        weight = np.full((3, 2, 2, 3), 2.0, np.float32)
        y = ops.conv2d(xp.asarray(x), xp.asarray(weight))
        close(y, np.full((1, 3, 2, 2), 255.0 * 2 * 12))
        y = ops.conv2d(xp.asarray(x), xp.asarray(weight.astype(np.uint8)))
        close(y, np.full((1, 3, 2, 2), 255.0 * 2 * 12))

    def test_nan_reaches_the_windows_that_hold_it_and_no_other(self, rng):
        x, weight = rng.normal(size=(2, 3, 6, 7)), rng.normal(size=(4, 3, 2, 3))
        x[1, 2, 3, 3] = np.nan
        close(ops.conv2d(x, weight, stride=(1, 2)), loops.conv2d_loops(x, weight, stride=(1, 2)))

    def test_arguments_stay_as_they_are(self, rng):
        arrays = [rng.normal(size=s) for s in [(2, 4, 5, 6), (2, 3, 6, 7), (4, 3, 2, 2), (4,)]]
        before = [array.copy() for array in arrays]
        ops.conv2d(*arrays[1:])
        ops.conv2d_backward(*arrays[:3])
        for array, copy in zip(arrays, before):
            np.testing.assert_array_equal(array, copy)

    @pytest.mark.slow
    def test_memory_stays_near_input_and_output(self):
        """conv1_2 of VGG16 on a padded 500-pixel image: the whole patch matrix would take 1.1 GB."""
        x = np.ones((1, 64, 698, 698), np.float32)
        weight = np.ones((64, 64, 3, 3), np.float32)
        tracemalloc.start()
        try:
            y = ops.conv2d(x, weight, padding=1)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert y[0, 5, 300, 300] == 9 * 64
        assert y[0, 5, 0, 0] == 4 * 64
        assert peak < 500e6


class TestBackward:
    def test_equals_loops(self, xp, conv_case, rng):
        (x, weight, _), options = conv_case
        dy = rng.normal(size=ops.conv2d(x, weight, **options).shape)
        gradients = ops.conv2d_backward(*map(xp.asarray, (dy, x, weight)), **options)
        for actual, expected in zip(gradients, gradients_by_loops(dy, x, weight, **options)):
            close(actual, expected)

    def test_finite_differences(self, xp, conv_case, rng):
        arrays, options = conv_case
        x, weight, bias = map(xp.asarray, arrays)
        error = vjp_check(
            lambda x, weight, bias: ops.conv2d(x, weight, bias, **options),
            lambda dy: ops.conv2d_backward(dy, x, weight, **options),
            [x, weight, bias],
            rng,
        )
        assert error < 1e-7

    def test_any_memory_layout(self, conv_case, layout, rng):
        (x, weight, bias), options = conv_case
        error = vjp_check(
            lambda x, weight, bias: ops.conv2d(x, weight, bias, **options),
            lambda dy: ops.conv2d_backward(*map(layout, (dy, x, weight)), **options),
            [x, weight, bias],
            rng,
        )
        assert error < 1e-7

    def test_a_single_upstream_one_hands_back_the_kernel(self, rng):
        x, weight = rng.normal(size=(2, 3, 7, 8)), rng.normal(size=(4, 3, 3, 2))
        dy = np.zeros((2, 4, 3, 3))
        dy[1, 2, 1, 2] = 5
        dx, dweight, dbias = ops.conv2d_backward(dy, x, weight, stride=(2, 3))
        expected = np.zeros_like(x)
        expected[1, :, 2:5, 6:8] = 5 * weight[2]
        close(dx, expected)
        expected = np.zeros_like(weight)
        expected[2] = 5 * x[1, :, 2:5, 6:8]
        close(dweight, expected)
        assert dbias.tolist() == [0, 0, 5, 0]

    def test_pixels_no_window_sees_get_zero(self, rng):
        x, weight = rng.normal(size=(2, 3, 7, 8)), rng.normal(size=(4, 3, 2, 2))
        dy = rng.normal(size=(2, 4, 2, 2))
        dx = ops.conv2d_backward(dy, x, weight, stride=(3, 5))[0]
        seen = np.zeros((7, 8), bool)
        for top, left in [(0, 0), (0, 5), (3, 0), (3, 5)]:
            seen[top : top + 2, left : left + 2] = True
        assert (dx[:, :, ~seen] == 0).all()
        assert (dx[:, :, seen] != 0).all()

    def test_together_as_one_by_one(self, conv_case, layout, rng):
        """One patch matrix may serve two gradients."""
        (x, weight, _), options = conv_case
        dy = rng.normal(size=ops.conv2d(x, weight, **options).shape)
        dx, dweight, dbias = ops.conv2d_backward(*map(layout, (dy, x, weight)), **options)
        close(dx, ops.conv2d_input_grad(dy, x.shape, weight, **options))
        close(dweight, ops.conv2d_weight_grad(dy, x, weight, **options))
        close(dbias, np.einsum("nfhw->f", dy))
        close(ops.conv2d_bias_grad(layout(dy)), np.einsum("nfhw->f", dy))

    def test_added_to_what_is_there(self, conv_case, layout, rng):
        (x, weight, bias), options = conv_case
        dy = rng.normal(size=ops.conv2d(x, weight, **options).shape)
        expected = ops.conv2d_backward(dy, x, weight, **options)
        out = layout(rng.normal(size=weight.shape)), rng.normal(size=bias.shape)
        before = [array.copy() for array in out]
        dx, dweight, dbias = ops.conv2d_backward(dy, x, weight, **options, out=out)
        assert dweight is out[0]
        assert dbias is out[1]
        close(dx, expected[0])
        close(dweight, before[0] + expected[1])
        close(dbias, before[1] + expected[2])
        assert ops.conv2d_backward(dy, x, weight, **options, out=(out[0], None))[2] is None

    @pytest.mark.parametrize("kind", [int, np.float32])
    def test_dtypes_that_differ(self, kind, rng):
        """float64 wherever one of the two arrays of a product has it; integers do not wrap."""
        x, weight, dy = (rng.normal(size=s) * 9 for s in [(2, 3, 6, 7), (4, 3, 3, 3), (2, 4, 4, 5)])
        x, weight = x.astype(kind), weight.astype(kind)
        arrays = dy.astype(kind) if kind is int else dy, x, weight
        expected = ops.conv2d_backward(*(array.astype(float) for array in arrays))
        for actual, gradient in zip(ops.conv2d_backward(*arrays)[:2], expected):
            assert actual.dtype == np.float64
            close(actual, gradient)


class TestOptions:
    def test_the_weights_gradient_is_added_to_what_is_there(self, conv_case, layout, rng):
        (x, weight, _), options = conv_case
        dy = rng.normal(size=ops.conv2d(x, weight, **options).shape)
        expected = ops.conv2d_weight_grad(dy, x, weight, **options)
        out = layout(rng.normal(size=weight.shape))
        before = out.copy()
        assert ops.conv2d_weight_grad(dy, x, weight, **options, out=out) is out
        close(out, before + expected)


@pytest.mark.parametrize("kind", [int, np.float64])
def test_the_bias_does_not_change_the_dtype(rng, kind):
    x, weight = (rng.normal(size=shape).astype(np.float32) for shape in [(2, 3, 4, 5), (4, 3, 2, 2)])
    bias = np.arange(1, 5).astype(kind)
    y = ops.conv2d(x, weight, bias)
    assert y.dtype == np.float32
    close(y - ops.conv2d(x, weight), np.broadcast_to(np.array([1, 2, 3, 4])[:, None, None], y.shape), 1e-5)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_dtype_is_kept(xp, conv_case, rng, dtype):
    arrays, options = conv_case
    x, weight, bias = (xp.asarray(array.astype(dtype)) for array in arrays)
    y = ops.conv2d(x, weight, bias, **options)
    dy = xp.asarray(rng.normal(size=y.shape).astype(dtype))
    for array in [y, *ops.conv2d_backward(dy, x, weight, **options)]:
        assert array.dtype == dtype


@pytest.mark.torch
@pytest.mark.parametrize(("dtype", "tolerance"), TORCH_TOLERANCES)
def test_equals_torch(conv_case, rng, dtype, tolerance):
    arrays, options = conv_case
    arrays = [array.astype(dtype) for array in arrays]
    y = ops.conv2d(*arrays, **options)
    dy = rng.normal(size=y.shape).astype(dtype)
    conv2d = torch_module().nn.functional.conv2d
    theirs = {key: value for key, value in options.items() if key != "algorithm"}
    expected, expected_gradients = torch_gradients(lambda *tensors: conv2d(*tensors, **theirs), arrays, dy)
    close(y, expected, tolerance)
    for actual, gradient in zip(ops.conv2d_backward(dy, *arrays[:2], **options), expected_gradients):
        close(actual, gradient, tolerance)


class TestErrors:
    x = np.ones((2, 4, 5, 6))
    weight = np.ones((6, 4, 3, 2))
    dy = np.ones((2, 6, 3, 5))

    def test_channels(self):
        with refuses("4 input channels", "(6, 4, 3, 2)", "(2, 3, 5, 6)"):
            ops.conv2d(self.x[:, :3], self.weight)
        with refuses("4 input channels", "(2, 3, 5, 6)"):
            ops.conv2d_backward(self.dy, self.x[:, :3], self.weight)

    def test_channels_with_groups(self):
        with refuses("8 input channels", "groups 2", "(2, 4, 5, 6)"):
            ops.conv2d(self.x, self.weight, groups=2)

    def test_groups_that_do_not_divide(self):
        with refuses("4 groups", "6 output channels"):
            ops.conv2d(self.x, self.weight[:, :1], groups=4)
        with refuses("groups", "at least 1", "0"):
            ops.conv2d(self.x, self.weight, groups=0)

    def test_kernel_larger_than_the_input(self):
        with refuses("9x2", "5x6", "padding 1 and 0"):
            ops.conv2d(self.x, np.ones((6, 4, 9, 2)), padding=(1, 0))
        with refuses("7x2", "5x6"):
            ops.conv2d(self.x, self.weight, dilation=(3, 1))

    @pytest.mark.parametrize("shape", [(0, 4, 5, 6), (2, 4, 0, 6), (2, 4, 5, 0)])
    def test_empty_input(self, shape):
        with refuses("empty", str(shape)):
            ops.conv2d(np.ones(shape), self.weight, padding=3)

    @pytest.mark.parametrize("shape", [(0, 4, 3, 2), (6, 4, 0, 2)])
    def test_empty_weight(self, shape):
        with refuses("weight is empty", str(shape)):
            ops.conv2d(self.x, np.ones(shape))

    def test_no_channels_at_all(self):
        with refuses("empty", "(2, 0, 5, 6)"):
            ops.conv2d(self.x[:, :0], self.weight[:, :0])

    def test_number_of_axes(self):
        with refuses("(N, C, H, W)", "(4, 5, 6)"):
            ops.conv2d(self.x[0], self.weight)
        with refuses("weight", "(4, 3, 2)"):
            ops.conv2d(self.x, self.weight[0])

    def test_bias(self):
        with refuses("bias", "(6,)", "(4,)"):
            ops.conv2d(self.x, self.weight, np.ones(4))
        with refuses("bias", "(6,)", "(6, 1)"):
            ops.conv2d(self.x, self.weight, np.ones((6, 1)))

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("stride", 0),
            ("stride", (1, 0)),
            ("stride", 1.5),
            ("stride", (1, 2, 3)),
            ("padding", -1),
            ("padding", "same"),
            ("dilation", 0),
        ],
    )
    def test_arguments(self, name, value):
        with refuses(name, str(value)):
            ops.conv2d(self.x, self.weight, **{name: value})
        with refuses(name, str(value)):
            ops.conv2d_backward(self.dy, self.x, self.weight, **{name: value})

    def test_upstream_gradient_of_another_shape(self):
        with refuses("dy", "(2, 6, 3, 5)", "(2, 6, 3, 4)"):
            ops.conv2d_backward(self.dy[..., :-1], self.x, self.weight)

    def test_host_and_device_do_not_mix(self, xp):
        if xp is np:
            pytest.skip("needs two kinds of array")
        with refuses("different devices"):
            ops.conv2d(xp.asarray(self.x), self.weight)

"""Transposed convolution, checked by loops, PyTorch and finite differences, and as the adjoint of conv2d."""

import inspect

import numpy as np
import pytest
from arrays import LAYOUTS, TORCH_TOLERANCES, close, refuses, torch_gradients, torch_module
from hypothesis import assume, given
from hypothesis import strategies as st

from fcn_from_scratch import ops
from fcn_from_scratch.engine import im2col
from fcn_from_scratch.gradcheck import vjp_check
from fcn_from_scratch.ops import loops, loops_backward

# Kernel and arguments; the input is 2 x 3 x 4 x 5 and there are 4 output channels.
CASES = {
    "plain": ((3, 2), {}),
    "pointwise": ((1, 1), {}),
    "no_overlap": ((2, 3), {"stride": (2, 3)}),
    "kernel_twice_the_stride": ((4, 6), {"stride": (2, 3)}),
    "kernel_no_multiple_of_the_stride": ((5, 3), {"stride": (3, 2)}),
    "holes": ((1, 2), {"stride": (3, 4)}),
    "padded": ((3, 4), {"padding": (1, 2)}),
    "strided_padded": ((4, 5), {"stride": (2, 3), "padding": (1, 2)}),
    "padding_above_the_kernel": ((2, 3), {"stride": 3, "padding": (4, 3)}),
    "output_padding": ((3, 2), {"stride": (2, 3), "output_padding": (1, 2)}),
    "dilated": ((3, 2), {"stride": (2, 1), "padding": 1, "dilation": (1, 2)}),
    "output_padding_below_the_dilation": ((3, 2), {"padding": 1, "output_padding": (1, 2), "dilation": (2, 3)}),
    "groups": ((3, 2), {"groups": 2, "stride": (1, 2)}),
    "all": ((2, 3), {"stride": (3, 2), "padding": (1, 2), "output_padding": (2, 0), "groups": 2, "dilation": (2, 3)}),
}


@st.composite
def calls(draw):
    """The shapes of x and weight, and all arguments, so that the output is not empty."""

    def pairs(low, high):
        return draw(st.tuples(st.integers(low, high), st.integers(low, high)))

    groups, n, c, f = draw(st.integers(1, 3)), *(draw(st.integers(1, 2)) for _ in range(3))
    size, kernel_size, stride, padding, dilation = pairs(1, 4), pairs(1, 4), pairs(1, 4), pairs(0, 3), pairs(1, 3)
    extra = tuple(draw(st.integers(0, max(s, d) - 1)) for s, d in zip(stride, dilation))
    axes = zip(size, kernel_size, stride, padding, dilation, extra)
    assume(all(s * (m - 1) + d * (k - 1) + 1 - 2 * p + e >= 1 for m, k, s, p, d, e in axes))
    options = {"stride": stride, "padding": padding, "output_padding": extra, "groups": groups, "dilation": dilation}
    return (n, groups * c, *size), (groups * c, f, *kernel_size), options


@pytest.fixture(params=CASES)
def case(request, rng):
    """Arrays (x, weight, bias) and the arguments."""
    kernel_size, options = CASES[request.param]
    groups = options.get("groups", 1)
    channels = 4 if groups == 2 else 3
    weight = rng.normal(size=(channels, 6 // groups if groups == 2 else 4, *kernel_size))
    return (rng.normal(size=(2, channels, 4, 5)), weight, rng.normal(size=weight.shape[1] * groups)), options


class TestForward:
    def test_equals_loops(self, xp, case):
        arrays, options = case
        y = ops.conv_transpose2d(*map(xp.asarray, arrays), **options)
        close(y, loops.conv_transpose2d_loops(*arrays, **options))

    def test_without_bias(self, rng):
        x, weight = rng.normal(size=(2, 3, 4, 5)), rng.normal(size=(3, 4, 2, 3))
        close(ops.conv_transpose2d(x, weight), loops.conv_transpose2d_loops(x, weight))

    def test_any_memory_layout(self, case, layout):
        arrays, options = case
        y = ops.conv_transpose2d(*map(layout, arrays), **options)
        close(y, loops.conv_transpose2d_loops(*arrays, **options))

    @given(calls(), st.sampled_from(list(LAYOUTS)))
    def test_any_shape_and_argument(self, call, layout):
        x_shape, weight_shape, options = call
        rng = np.random.default_rng(0)
        x, weight = LAYOUTS[layout](rng.normal(size=x_shape)), rng.normal(size=weight_shape)
        y = ops.conv_transpose2d(x, weight, None, **options)
        expected = loops.conv_transpose2d_loops(x, weight, None, **options)
        close(y, expected)
        dy = rng.normal(size=y.shape)
        dx, dweight, dbias = ops.conv_transpose2d_backward(dy, x, weight, **options)
        assert np.vdot(dy, expected) == pytest.approx(np.vdot(dx, x), rel=1e-9, abs=1e-9)
        assert np.vdot(dy, expected) == pytest.approx(np.vdot(dweight, weight), rel=1e-9, abs=1e-9)
        close(dbias, np.einsum("nfhw->f", dy))
        by_loops = loops_backward.conv_transpose2d_backward_loops(dy, x, weight, **options)
        for actual, gradient in zip((dx, dweight, dbias), by_loops):
            close(actual, gradient)

    @pytest.mark.parametrize("shape", [(2, 16, 80, 70), (20, 16, 17, 20)], ids=["rows_of_an_image", "images"])
    def test_blocks_join_without_a_seam(self, rng, shape):
        """The products of either input, 8 * 4 * 6 numbers a pixel, are more than one block."""
        x, weight = rng.normal(size=shape), rng.normal(size=(16, 8, 4, 6))
        assert x.nbytes / 16 * 8 * 4 * 6 > 2 * im2col.BLOCK_BYTES
        h, w = 2 * (shape[2] - 1) + 1, 3 * (shape[3] - 1) + 1
        expected = np.zeros((shape[0], 8, h + 3, w + 5))
        for a, b in np.ndindex(4, 6):
            expected[:, :, a : a + h : 2, b : b + w : 3] += np.einsum("nchw,cf->nfhw", x, weight[:, :, a, b])
        close(ops.conv_transpose2d(x, weight, stride=(2, 3)), expected)

    def test_zero_insertion_and_a_turned_kernel_give_the_same(self, rng):
        """The other way to see it: insert zeros between the pixels, pad, convolve with the turned kernel."""
        x, weight = rng.normal(size=(2, 3, 4, 5)), rng.normal(size=(3, 4, 4, 3))
        spaced = np.zeros((2, 3, 7, 13))
        spaced[:, :, ::2, ::3] = x
        turned = weight[:, :, ::-1, ::-1].transpose(1, 0, 2, 3)
        expected = loops.conv2d_loops(spaced, turned, padding=(3, 2))
        close(ops.conv_transpose2d(x, weight, stride=(2, 3)), expected)

    def test_delta_kernel_puts_pixels_on_a_grid(self, rng):
        x, weight = rng.normal(size=(2, 3, 2, 3)), np.zeros((3, 3, 2, 3))
        weight[[0, 1, 2], [1, 2, 0], 1, 2] = 1
        y = ops.conv_transpose2d(x, weight, stride=(2, 3))
        expected = np.zeros((2, 3, 4, 9))
        expected[:, [1, 2, 0], 1::2, 2::3] = x
        np.testing.assert_array_equal(y, expected)

    def test_uint8_does_not_wrap(self, xp):
        x = np.full((1, 2, 2, 2), 255, np.uint8)
        weight = np.full((2, 1, 2, 2), 2.0, np.float32)
        y = ops.conv_transpose2d(xp.asarray(x), xp.asarray(weight))
        close(y, 1020.0 * np.outer([1, 2, 1], [1, 2, 1])[None, None])

    @pytest.mark.parametrize("kernel_size", [(4, 2), (3, 2), (1, 5)])
    def test_nan_reaches_the_pixels_below_its_copy_of_the_kernel_and_no_other(self, rng, kernel_size):
        x, weight = rng.normal(size=(2, 3, 4, 5)), rng.normal(size=(3, 4, *kernel_size))
        x[0, 1, 2, 2] = np.nan
        close(ops.conv_transpose2d(x, weight, stride=2), loops.conv_transpose2d_loops(x, weight, stride=2))

    @pytest.mark.parametrize("groups", [1, 3])
    @pytest.mark.parametrize("stride", [1, 2])
    @pytest.mark.parametrize("bad", [np.nan, np.inf])
    def test_nan_does_not_reach_the_pixels_between_dilated_taps(self, rng, bad, stride, groups):
        x, weight = rng.normal(size=(2, 3, 4, 5)), rng.normal(size=(3, 4, 2, 3))
        x[0, 1, 2, 2] = bad
        options = {"stride": stride, "dilation": (3, 2), "groups": groups, "output_padding": (2, 1)}
        with np.errstate(invalid="ignore"):
            y, expected = ops.conv_transpose2d(x, weight, **options), loops.conv_transpose2d_loops(x, weight, **options)
        np.testing.assert_array_equal(np.isinf(y), np.isinf(expected))
        close(np.where(np.isinf(y), 0, y), np.where(np.isinf(expected), 0, expected))

    def test_blocks_of_a_dilated_kernel_join_without_a_seam(self, rng):
        x, weight = rng.normal(size=(2, 16, 80, 70)), rng.normal(size=(16, 8, 4, 6))
        expected = np.zeros((2, 8, 80 * 2 + 9, 70 * 3 + 8))
        for a, b in np.ndindex(4, 6):
            rows, columns = slice(3 * a, 3 * a + 159, 2), slice(2 * b, 2 * b + 208, 3)
            expected[:, :, rows, columns] += np.einsum("nchw,cf->nfhw", x, weight[:, :, a, b])
        y = ops.conv_transpose2d(x, weight, stride=(2, 3), dilation=(3, 2), output_padding=(1, 0))
        close(y, expected[:, :, :169, :218])

    @pytest.mark.parametrize("groups", [2, 4])
    def test_each_group_is_a_transposed_convolution_of_its_own(self, rng, groups):
        x, weight = rng.normal(size=(2, 4, 4, 5)), rng.normal(size=(4, 3, 2, 3))
        y = ops.conv_transpose2d(x, weight, None, 2, 1, 1, groups)
        parts = zip(np.split(x, groups, axis=1), np.split(weight, groups))
        close(y, np.concatenate([loops.conv_transpose2d_loops(*part, None, 2, 1, 1) for part in parts], axis=1))

    def test_output_padding_adds_the_bias_alone_where_no_kernel_reaches(self, xp, rng):
        x, weight, bias = rng.normal(size=(2, 3, 2, 2)), rng.normal(size=(3, 4, 1, 2)), rng.normal(size=4)
        y = ops.conv_transpose2d(*map(xp.asarray, (x, weight, bias)), stride=4, output_padding=(3, 2))
        end = y[:, :, 5:, 6:]
        assert end.shape == (2, 4, 3, 2)
        close(end, np.broadcast_to(bias[:, None, None], end.shape))


class TestBackward:
    def test_equals_loops(self, xp, case, rng):
        (x, weight, _), options = case
        dy = rng.normal(size=ops.conv_transpose2d(x, weight, **options).shape)
        gradients = ops.conv_transpose2d_backward(*map(xp.asarray, (dy, x, weight)), **options)
        by_loops = loops_backward.conv_transpose2d_backward_loops(dy, x, weight, **options)
        for actual, expected in zip(gradients, by_loops):
            close(actual, expected)

    def test_finite_differences(self, xp, case, rng):
        arrays, options = case
        x, weight, bias = map(xp.asarray, arrays)
        error = vjp_check(
            lambda x, weight, bias: ops.conv_transpose2d(x, weight, bias, **options),
            lambda dy: ops.conv_transpose2d_backward(dy, x, weight, **options),
            [x, weight, bias],
            rng,
        )
        assert error < 1e-7

    def test_any_memory_layout(self, case, layout, rng):
        (x, weight, bias), options = case
        error = vjp_check(
            lambda x, weight, bias: ops.conv_transpose2d(x, weight, bias, **options),
            lambda dy: ops.conv_transpose2d_backward(*map(layout, (dy, x, weight)), **options),
            [x, weight, bias],
            rng,
        )
        assert error < 1e-7


class TestAdjoint:
    """<c, conv2d(x)> == <conv_transpose2d(c), x>: each is the other's transpose, with the same weight."""

    @pytest.mark.parametrize(
        ("size", "kernel_size", "options"),
        [
            ((7, 9), (3, 2), {}),
            ((7, 11), (3, 2), {"stride": (2, 3)}),
            ((7, 8), (5, 4), {"stride": 2, "padding": (1, 2)}),
        ],
    )
    def test_inner_products_agree(self, rng, size, kernel_size, options):
        x, weight = rng.normal(size=(2, 3, *size)), rng.normal(size=(4, 3, *kernel_size))
        y = ops.conv2d(x, weight, **options)
        c = rng.normal(size=y.shape)
        back = ops.conv_transpose2d(c, weight, **options)
        assert back.shape == x.shape
        assert np.vdot(c, y) == pytest.approx(np.vdot(back, x), rel=1e-12)

    def test_it_is_conv2ds_gradient_by_the_input(self, rng):
        x, weight = rng.normal(size=(2, 3, 7, 8)), rng.normal(size=(4, 3, 3, 2))
        dy = rng.normal(size=(2, 4, 3, 4))
        dx = ops.conv2d_backward(dy, x, weight, stride=2)[0]
        close(dx, loops.conv_transpose2d_loops(dy, weight, stride=2))

    @given(calls())
    def test_inner_products_agree_for_any_arguments(self, call):
        """output_padding chooses the input size of conv2d, among those that give one output size."""
        x_shape, weight_shape, options = call
        rng = np.random.default_rng(0)
        c, weight = rng.normal(size=x_shape), rng.normal(size=weight_shape)
        back = ops.conv_transpose2d(c, weight, **options)
        shared = {key: options[key] for key in ("stride", "padding", "dilation", "groups")}
        v = rng.normal(size=back.shape)
        y = loops.conv2d_loops(v, weight, **shared)[:, :, : x_shape[2], : x_shape[3]]
        assert np.vdot(c, y) == pytest.approx(np.vdot(back, v), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("kind", [int, np.float64])
def test_the_bias_does_not_change_the_dtype(rng, kind):
    x, weight = (rng.normal(size=shape).astype(np.float32) for shape in [(2, 3, 4, 5), (3, 4, 2, 2)])
    bias = np.arange(1, 5).astype(kind)
    y = ops.conv_transpose2d(x, weight, bias)
    assert y.dtype == np.float32
    close(y - ops.conv_transpose2d(x, weight), np.broadcast_to(np.array([1, 2, 3, 4])[:, None, None], y.shape), 1e-5)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_dtype_is_kept(xp, case, rng, dtype):
    arrays, options = case
    x, weight, bias = (xp.asarray(array.astype(dtype)) for array in arrays)
    y = ops.conv_transpose2d(x, weight, bias, **options)
    dy = xp.asarray(rng.normal(size=y.shape).astype(dtype))
    for array in [y, *ops.conv_transpose2d_backward(dy, x, weight, **options)]:
        assert array.dtype == dtype


@pytest.mark.torch
@pytest.mark.parametrize(("dtype", "tolerance"), TORCH_TOLERANCES)
def test_equals_torch(case, rng, dtype, tolerance):
    arrays, options = case
    arrays = [array.astype(dtype) for array in arrays]
    y = ops.conv_transpose2d(*arrays, **options)
    dy = rng.normal(size=y.shape).astype(dtype)
    function = torch_module().nn.functional.conv_transpose2d
    expected, expected_gradients = torch_gradients(lambda *tensors: function(*tensors, **options), arrays, dy)
    close(y, expected, tolerance)
    gradients = ops.conv_transpose2d_backward(dy, *arrays[:2], **options)
    for actual, gradient in zip(gradients, expected_gradients):
        close(actual, gradient, tolerance)


@pytest.mark.torch
class TestTorch:
    def both(self, call, numbers):
        """(ours, PyTorch's): y, dx, dweight, dbias."""
        x_shape, weight_shape, options = call
        x, weight = numbers(x_shape), numbers(weight_shape)
        arrays = [x, weight, numbers(weight_shape[1] * options["groups"])]
        y = ops.conv_transpose2d(*arrays, **options)
        dy = numbers(y.shape)
        function = torch_module().nn.functional.conv_transpose2d
        expected, gradients = torch_gradients(lambda *tensors: function(*tensors, *options.values()), arrays, dy)
        return (y, *ops.conv_transpose2d_backward(dy, x, weight, *options.values())), (expected, *gradients)

    @given(calls())
    def test_any_shape_and_argument(self, call):
        rng = np.random.default_rng(0)
        for actual, expected in zip(*self.both(call, lambda shape: rng.normal(size=shape))):
            close(actual, expected, 1e-13)

    @given(calls())
    def test_integers_are_exact(self, call):
        rng = np.random.default_rng(0)
        for actual, expected in zip(*self.both(call, lambda shape: rng.integers(-9, 10, shape).astype(float))):
            np.testing.assert_array_equal(actual, expected)

    def test_weights_that_are_split_by_channels(self, rng):
        """So many that conv2d's routines for wide layers compute the gradients."""
        options = {"stride": (2, 1), "padding": 1, "output_padding": (1, 2), "groups": 1, "dilation": (2, 3)}
        call = (1, 256, 3, 2), (256, 512, 4, 3), options
        for actual, expected in zip(*self.both(call, lambda shape: rng.normal(size=shape))):
            close(actual, expected, 1e-13)

    def test_the_signatures(self):
        """PyTorch's words, order and defaults."""
        ours = list(inspect.signature(ops.conv_transpose2d).parameters)
        assert ours == ["x", "weight", "bias", "stride", "padding", "output_padding", "groups", "dilation"]
        said = torch_module().nn.functional.conv_transpose2d.__doc__.split("->")[0]
        assert "(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1)" in said


class TestErrors:
    x = np.ones((2, 4, 5, 6))
    weight = np.ones((4, 3, 2, 2))

    def test_channels(self):
        with refuses("4 input channels", "(4, 3, 2, 2)", "(2, 3, 5, 6)"):
            ops.conv_transpose2d(self.x[:, :3], self.weight)
        with refuses("4 input channels", "(2, 3, 5, 6)"):
            ops.conv_transpose2d_backward(np.ones((2, 3, 6, 7)), self.x[:, :3], self.weight)

    @pytest.mark.parametrize("shape", [(0, 4, 5, 6), (2, 4, 0, 6), (2, 4, 5, 0)])
    def test_empty_input(self, shape):
        with refuses("empty", str(shape)):
            ops.conv_transpose2d(np.ones(shape), self.weight)

    def test_empty_weight(self):
        with refuses("weight is empty", "(4, 0, 2, 2)"):
            ops.conv_transpose2d(self.x, self.weight[:, :0])

    def test_empty_output(self):
        with refuses("empty", "0x1", "1x2", "padding (1, 1)"):
            ops.conv_transpose2d(self.x[:, :, :1, :2], self.weight, padding=1)

    def test_bias(self):
        with refuses("bias", "(3,)", "(4,)"):
            ops.conv_transpose2d(self.x, self.weight, np.ones(4))

    def test_number_of_axes(self):
        with refuses("(N, C, H, W)", "(4, 5, 6)"):
            ops.conv_transpose2d(self.x[0], self.weight)
        with refuses("weight", "(3, 2, 2)"):
            ops.conv_transpose2d(self.x, self.weight[0])

    def test_groups(self):
        with refuses("groups must divide the channels evenly", "3 groups of 4 input channels"):
            ops.conv_transpose2d(self.x, self.weight, groups=3)
        with refuses("bias must have shape (6,)", "got (3,)"):
            ops.conv_transpose2d(self.x, self.weight, np.ones(3), groups=2)

    @pytest.mark.parametrize(
        "options",
        [
            {"output_padding": 1},
            {"output_padding": (0, 2), "stride": 2},
            {"output_padding": (2, 0), "stride": (2, 3)},
            {"output_padding": (3, 0), "stride": 2, "dilation": (3, 4)},
        ],
    )
    def test_output_padding(self, options):
        with refuses("output_padding must be smaller than the stride or the dilation", str(options["output_padding"])):
            ops.conv_transpose2d(self.x, self.weight, **options)
        with refuses("output_padding must be smaller than the stride or the dilation"):
            ops.conv_transpose2d_backward(np.ones((2, 3, 6, 7)), self.x, self.weight, **options)

    @pytest.mark.torch
    @given(stride=st.integers(1, 4), dilation=st.integers(1, 4), extra=st.integers(0, 5))
    def test_output_padding_is_refused_as_by_torch(self, stride, dilation, extra):
        torch = torch_module()
        options = {"stride": (stride, 5), "output_padding": (extra, 1), "dilation": (dilation, 1)}
        try:
            torch.nn.functional.conv_transpose2d(torch.tensor(self.x), torch.tensor(self.weight), **options)
        except RuntimeError:
            with refuses("output_padding must be smaller"):
                ops.conv_transpose2d(self.x, self.weight, **options)
        else:
            ops.conv_transpose2d(self.x, self.weight, **options)

    def test_upstream_gradient_without_the_output_padding(self):
        with refuses("dy", "(2, 3, 11, 13)", "(2, 3, 10, 12)"):
            ops.conv_transpose2d_backward(np.ones((2, 3, 10, 12)), self.x, self.weight, 2, 0, 1)

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("stride", 0),
            ("stride", 0.5),
            ("padding", (0, -1)),
            ("output_padding", -1),
            ("groups", 0),
            ("groups", (1, 1)),
            ("dilation", (1, 0)),
        ],
    )
    def test_arguments(self, name, value):
        with refuses(name, str(value)):
            ops.conv_transpose2d(self.x, self.weight, **{name: value})

    def test_upstream_gradient_of_another_shape(self):
        with refuses("dy", "(2, 3, 6, 7)", "(2, 3, 5, 7)"):
            ops.conv_transpose2d_backward(np.ones((2, 3, 5, 7)), self.x, self.weight)

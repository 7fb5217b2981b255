"""Pooling and unpooling, checked by loops, PyTorch and finite differences; ties, NaN, and what is refused."""

import numpy as np
import pytest
from arrays import LAYOUTS, TORCH_TOLERANCES, close, refuses, torch_gradients, torch_module
from hypothesis import assume, given
from hypothesis import strategies as st
from pool_cases import MAX, SHAPE, avg_options, max_options, with_ties

from fcn_from_scratch import ops
from fcn_from_scratch.backend import to_numpy
from fcn_from_scratch.gradcheck import spaced, vjp_check
from fcn_from_scratch.ops import loops, loops_backward


def draw_window(data, dilation=1):
    """A window that fits an input of the drawn size: (size, arguments)."""

    def number(low, high):
        return data.draw(st.tuples(st.integers(low, high), st.integers(low, high)))

    size, kernel_size, dilations = number(1, 9), number(1, 4), number(1, dilation)
    spans = [d * (k - 1) + 1 for k, d in zip(kernel_size, dilations)]
    padding = tuple(data.draw(st.integers(0, k // 2)) for k in kernel_size)
    assume(all(n + 2 * p >= e and n + p > (k - 1) for n, p, e, k in zip(size, padding, spans, kernel_size)))
    assume(all(n >= d for n, d in zip(size, dilations)))  # every window meets a pixel
    options = {"kernel_size": kernel_size, "stride": number(1, 4), "padding": padding}
    return size, {**options, "ceil_mode": data.draw(st.booleans())}, dilations


def flat(array):
    """The two image axes as one."""
    return array.reshape(*array.shape[:2], -1)


class TestMaxForward:
    @max_options
    def test_equals_loops(self, xp, rng, options):
        x = with_ties(rng)
        y, indices = ops.max_pool2d(xp.asarray(x), **options)
        expected, expected_indices = loops.max_pool2d_loops(x, **options)
        close(y, expected, 0)
        close(indices, expected_indices, 0)
        assert indices.dtype == np.int64

    @max_options
    def test_any_memory_layout(self, rng, layout, options):
        x = with_ties(rng)
        for actual, expected in zip(ops.max_pool2d(layout(x), **options), loops.max_pool2d_loops(x, **options)):
            close(actual, expected, 0)

    @given(st.data())
    def test_any_shape_and_argument(self, data):
        size, options, dilation = draw_window(data, dilation=3)
        x = with_ties(np.random.default_rng(0), (2, 3, *size))
        x = LAYOUTS[data.draw(st.sampled_from(list(LAYOUTS)))](x)
        y, indices = ops.max_pool2d(x, **options, dilation=dilation)
        expected, expected_indices = loops.max_pool2d_loops(x, **options, dilation=dilation)
        close(y, expected, 0)
        close(indices, expected_indices, 0)
        dy = np.random.default_rng(1).normal(size=y.shape)
        dx = ops.max_pool2d_backward(dy, indices, x.shape)
        close(dx, loops_backward.max_pool2d_backward_loops(dy, indices, x.shape))

    def test_the_index_is_where_the_maximum_stands(self, rng):
        x = rng.normal(size=SHAPE)
        y, indices = ops.max_pool2d(x, (3, 2), (2, 1), (1, 0), ceil_mode=True)
        np.testing.assert_array_equal(np.take_along_axis(flat(x), flat(indices), 2), flat(y))

    def test_of_equal_pixels_the_first_in_row_major_order(self):
        x = np.zeros((1, 1, 3, 4))
        x[0, 0, 1, 0] = x[0, 0, 0, 2] = x[0, 0, 2, 1] = 3
        assert ops.max_pool2d(x, (3, 4))[1].tolist() == [[[[2]]]]
        assert ops.max_pool2d(x[:, :, 1:], (2, 4))[1].tolist() == [[[[0]]]]

    def test_a_window_of_minus_infinity_names_a_pixel_of_the_image(self, rng):
        x = np.full(SHAPE, -np.inf)
        options = MAX["all"]
        y, indices = ops.max_pool2d(x, **options)
        assert (y == -np.inf).all()
        close(indices, loops.max_pool2d_loops(x, **options)[1], 0)

    @max_options
    def test_nan_wins(self, xp, rng, options):
        x = with_ties(rng)
        x[rng.random(SHAPE) < 0.15] = np.nan
        y, indices = ops.max_pool2d(xp.asarray(x), **options)
        expected, expected_indices = loops.max_pool2d_loops(x, **options)
        assert np.isnan(expected).any()
        close(y, expected, 0)
        close(indices, expected_indices, 0)

    @pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "uint8", "int8", "int64"])
    def test_dtype_is_kept(self, xp, rng, dtype):
        low = 0 if dtype == "uint8" else -100
        x = rng.integers(low, 101, SHAPE).astype(dtype)
        y, indices = ops.max_pool2d(xp.asarray(x), **MAX["all"])
        expected, expected_indices = loops.max_pool2d_loops(x, **MAX["all"])
        assert y.dtype == dtype
        close(y, expected, 0)
        close(indices, expected_indices, 0)

    @pytest.mark.parametrize("dtype", ["uint8", "int8"])
    def test_padding_never_wins_against_the_lowest_integer(self, dtype):
        x = np.full((1, 1, 2, 2), np.iinfo(dtype).min, dtype)
        y, indices = ops.max_pool2d(x, 2, 2, 1)
        assert (y == x).all()
        assert indices.tolist() == [[[[0, 1], [2, 3]]]]


class TestMaxBackward:
    @max_options
    def test_equals_loops(self, xp, rng, options):
        y, indices = loops.max_pool2d_loops(with_ties(rng), **options)
        dy = rng.normal(size=y.shape)
        dx = ops.max_pool2d_backward(xp.asarray(dy), xp.asarray(indices), SHAPE)
        close(dx, loops_backward.max_pool2d_backward_loops(dy, indices, SHAPE))

    @max_options
    def test_finite_differences(self, xp, rng, options):
        x = xp.asarray(spaced(rng, SHAPE))
        indices = ops.max_pool2d(x, **options)[1]
        error = vjp_check(
            lambda x: ops.max_pool2d(x, **options)[0],
            lambda dy: ops.max_pool2d_backward(dy, indices, SHAPE),
            [x],
            rng,
        )
        assert error < 1e-7

    def test_goes_to_the_first_of_equals_only(self, xp):
        x, dy = xp.asarray(np.ones((1, 1, 2, 4))), xp.asarray(np.array([[[[2.0, 3.0]]]]))
        dx = ops.max_pool2d_backward(dy, ops.max_pool2d(x, 2)[1], (1, 1, 2, 4))
        close(dx, [[[[2, 0, 3, 0], [0, 0, 0, 0]]]])

    def test_a_pixel_that_won_several_windows_gets_the_sum(self):
        x = np.zeros((1, 1, 1, 5))
        x[..., 2] = 1
        indices = ops.max_pool2d(x, (1, 3), 1)[1]
        dx = ops.max_pool2d_backward(np.array([[[[2.0, 30, 400]]]]), indices, x.shape)
        assert dx.tolist() == [[[[0, 0, 432, 0, 0]]]]

    def test_images_and_channels_stay_apart(self, rng, layout):
        indices = rng.integers(0, 20, (2, 3, 2, 3))
        dy = rng.normal(size=indices.shape)
        expected = np.zeros((2, 3, 20))
        for at in np.ndindex(indices.shape):
            expected[at[0], at[1], indices[at]] += dy[at]
        dx = ops.max_pool2d_backward(layout(dy), layout(indices), (2, 3, 4, 5))
        close(dx, expected.reshape(2, 3, 4, 5))

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_dtype_is_kept(self, xp, rng, dtype):
        y, indices = ops.max_pool2d(xp.asarray(rng.normal(size=SHAPE).astype(dtype)), 2)
        assert ops.max_pool2d_backward(y, indices, SHAPE).dtype == dtype

    def test_int32_indices_will_do(self, rng):
        y, indices = ops.max_pool2d(rng.normal(size=SHAPE), 2)
        expected = np.zeros((2, 3, 56))
        np.put_along_axis(expected, flat(indices), flat(y), 2)
        close(ops.max_pool2d_backward(y, indices.astype(np.int32), SHAPE), expected.reshape(SHAPE))


class TestUnpool:
    def test_equals_loops(self, xp, rng, layout):
        pooled, indices = map(to_numpy, ops.max_pool2d(rng.normal(size=SHAPE), (2, 3), ceil_mode=True))
        y = ops.max_unpool2d(xp.asarray(layout(pooled)), xp.asarray(layout(indices)), SHAPE[2:])
        close(y, loops.max_unpool2d_loops(pooled, indices, SHAPE[2:]), 0)

    def test_onto_another_size(self, rng):
        x, indices = rng.normal(size=(2, 3, 1, 4)), np.tile([3, 9, 14, 0], (2, 3, 1, 1))
        close(ops.max_unpool2d(x, indices, (3, 5)), loops.max_unpool2d_loops(x, indices, (3, 5)), 0)

    def test_where_two_meet_the_last_stays(self):
        x, indices = np.array([[[[5.0, 6], [7, 8]]]]), np.array([[[[1, 1], [2, 1]]]])
        assert ops.max_unpool2d(x, indices, (1, 3)).tolist() == [[[[0, 8, 7]]]]

    def test_pooling_undoes_unpooling(self, rng):
        pooled, indices = ops.max_pool2d(rng.random(SHAPE), (2, 7))
        np.testing.assert_array_equal(ops.max_pool2d(ops.max_unpool2d(pooled, indices, SHAPE[2:]), (2, 7))[0], pooled)

    def test_it_is_not_an_inverse_for_negative_values(self, rng):
        pooled, indices = ops.max_pool2d(-rng.random(SHAPE) - 1, 2)
        assert (ops.max_pool2d(ops.max_unpool2d(pooled, indices, SHAPE[2:]), 2)[0] == 0).all()

    def test_finite_differences(self, xp, rng):
        x = rng.normal(size=SHAPE)
        pooled, indices = map(xp.asarray, loops.max_pool2d_loops(x, (2, 3), ceil_mode=True))
        error = vjp_check(
            lambda x: ops.max_unpool2d(x, indices, SHAPE[2:]),
            lambda dy: ops.max_unpool2d_backward(dy, indices),
            [pooled],
            rng,
        )
        assert error < 1e-7

    def test_backward_equals_loops(self, xp, rng):
        dy, indices = rng.normal(size=SHAPE), rng.integers(0, 56, (2, 3, 4, 5))
        dx = ops.max_unpool2d_backward(xp.asarray(dy), xp.asarray(indices))
        close(dx, loops_backward.max_unpool2d_backward_loops(dy, indices), 0)

    def test_backward_in_any_memory_layout(self, rng, layout):
        dy, indices = rng.normal(size=SHAPE), rng.integers(0, 56, (2, 3, 4, 5))
        expected = np.take_along_axis(flat(dy), flat(indices), 2).reshape(indices.shape)
        close(ops.max_unpool2d_backward(layout(dy), layout(indices)), expected, 0)

    @pytest.mark.parametrize("dtype", ["float32", "float64", "uint8"])
    def test_dtype_is_kept(self, xp, rng, dtype):
        x = xp.asarray(rng.integers(0, 200, SHAPE).astype(dtype))
        pooled, indices = ops.max_pool2d(x, 2)
        y = ops.max_unpool2d(pooled, indices, SHAPE[2:])
        assert y.dtype == dtype
        assert ops.max_unpool2d_backward(y, indices).dtype == dtype


class TestAvg:
    @avg_options
    def test_equals_loops(self, xp, rng, options):
        x = rng.normal(size=SHAPE)
        close(ops.avg_pool2d(xp.asarray(x), **options), loops.avg_pool2d_loops(x, **options))

    @avg_options
    def test_any_memory_layout(self, rng, layout, options):
        x = rng.normal(size=SHAPE)
        close(ops.avg_pool2d(layout(x), **options), loops.avg_pool2d_loops(x, **options))

    @given(st.data())
    def test_any_shape_and_argument(self, data):
        size, options, _ = draw_window(data)
        options["count_include_pad"] = data.draw(st.booleans())
        rng = np.random.default_rng(0)
        x = rng.normal(size=(2, 3, *size))
        y, expected = ops.avg_pool2d(x, **options), loops.avg_pool2d_loops(x, **options)
        close(y, expected)
        dy = rng.normal(size=y.shape)
        dx = ops.avg_pool2d_backward(dy, x.shape, **options)
        assert np.vdot(dx, x) == pytest.approx(np.vdot(dy, expected), rel=1e-9, abs=1e-9)
        close(dx, loops_backward.avg_pool2d_backward_loops(dy, x.shape, **options))

    @avg_options
    def test_backward_equals_loops(self, xp, rng, options):
        dy = rng.normal(size=loops.avg_pool2d_loops(rng.normal(size=SHAPE), **options).shape)
        dx = ops.avg_pool2d_backward(xp.asarray(dy), SHAPE, **options)
        close(dx, loops_backward.avg_pool2d_backward_loops(dy, SHAPE, **options))

    @avg_options
    def test_finite_differences(self, xp, rng, options):
        error = vjp_check(
            lambda x: ops.avg_pool2d(x, **options),
            lambda dy: ops.avg_pool2d_backward(dy, SHAPE, **options),
            [xp.asarray(rng.normal(size=SHAPE))],
            rng,
        )
        assert error < 1e-7

    def test_backward_in_any_memory_layout(self, rng, layout):
        error = vjp_check(
            lambda x: ops.avg_pool2d(x, (3, 2), (2, 1), (1, 0)),
            lambda dy: ops.avg_pool2d_backward(layout(dy), SHAPE, (3, 2), (2, 1), (1, 0)),
            [rng.normal(size=SHAPE)],
            rng,
        )
        assert error < 1e-7

    def test_the_mean_of_a_constant_is_the_constant_where_padding_is_not_counted(self):
        x = np.full(SHAPE, 3.5)
        y = ops.avg_pool2d(x, (3, 4), (2, 3), (1, 2), ceil_mode=True, count_include_pad=False)
        close(y, np.full(y.shape, 3.5))
        assert ops.avg_pool2d(x, (3, 4), (2, 3), (1, 2)).min() < 3

    def test_uint8_does_not_wrap(self, xp):
        x = np.full((1, 2, 4, 6), 255, np.uint8)
        close(ops.avg_pool2d(xp.asarray(x), (2, 3)), np.full((1, 2, 2, 2), 255.0))

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    @avg_options
    def test_dtype_is_kept(self, xp, rng, dtype, options):
        y = ops.avg_pool2d(xp.asarray(rng.normal(size=SHAPE).astype(dtype)), **options)
        assert y.dtype == dtype
        assert ops.avg_pool2d_backward(y, SHAPE, **options).dtype == dtype


@pytest.mark.torch
class TestAgainstTorch:
    @pytest.fixture
    def F(self):
        return torch_module().nn.functional

    @max_options
    @pytest.mark.parametrize("special", [None, np.nan, -np.inf])
    def test_max_forward(self, F, rng, options, special):
        x = with_ties(rng)
        if special is not None:
            x[rng.random(SHAPE) < 0.3] = special
        y, indices = F.max_pool2d(torch_module().tensor(x), return_indices=True, **options)
        actual = ops.max_pool2d(x, **options)
        close(actual[0], y.numpy(), 0)
        close(actual[1], indices.numpy(), 0)

    @max_options
    @pytest.mark.parametrize(("dtype", "tolerance"), TORCH_TOLERANCES)
    def test_max_backward(self, F, rng, options, dtype, tolerance):
        x = with_ties(rng).astype(dtype)
        y, indices = ops.max_pool2d(x, **options)
        dy = rng.normal(size=y.shape).astype(dtype)
        expected = torch_gradients(lambda x: F.max_pool2d(x, **options), [x], dy)[1][0]
        close(ops.max_pool2d_backward(dy, indices, SHAPE), expected, tolerance)

    @avg_options
    @pytest.mark.parametrize(("dtype", "tolerance"), TORCH_TOLERANCES)
    def test_avg(self, F, rng, options, dtype, tolerance):
        x = rng.normal(size=SHAPE).astype(dtype)
        y = ops.avg_pool2d(x, **options)
        dy = rng.normal(size=y.shape).astype(dtype)
        expected, (gradient,) = torch_gradients(lambda x: F.avg_pool2d(x, **options), [x], dy)
        close(y, expected, tolerance)
        close(ops.avg_pool2d_backward(dy, SHAPE, **options), gradient, tolerance)

    def test_unpool(self, F, rng):
        pooled, indices = loops.max_pool2d_loops(rng.normal(size=SHAPE), 2, ceil_mode=True)
        dy = rng.normal(size=SHAPE)
        positions = torch_module().tensor(indices)
        expected, (gradient,) = torch_gradients(
            lambda x: F.max_unpool2d(x, positions, 2, output_size=SHAPE[2:]), [pooled], dy
        )
        close(ops.max_unpool2d(pooled, indices, SHAPE[2:]), expected, 0)
        close(ops.max_unpool2d_backward(dy, indices), gradient, 0)


class TestErrors:
    x = np.ones((2, 3, 5, 6))
    pools = pytest.mark.parametrize("pool", [ops.max_pool2d, ops.avg_pool2d])

    @pools
    def test_padding_above_half_the_window(self, pool):
        with refuses("half the window", "(0, 2)", "3x3"):
            pool(self.x, 3, padding=(0, 2))
        with refuses("half the window", "(1, 1)", "1x1"):
            pool(self.x, 1, padding=1)

    def test_a_window_that_meets_no_pixel(self):
        # the taps of the dilated window fall on both sides of the one pixel
        with refuses("1x1"):
            ops.max_pool2d(self.x[:, :, :1, :1], 2, padding=1, dilation=2)

    @pools
    def test_window_larger_than_the_input(self, pool):
        with refuses("6x2", "5x6"):
            pool(self.x, (6, 2))
        with refuses("2x9", "5x6", "padding 0 and 1", "empty"):
            pool(self.x, (2, 9), padding=(0, 1))

    @pools
    @pytest.mark.parametrize("shape", [(0, 3, 5, 6), (2, 0, 5, 6), (2, 3, 0, 6)])
    def test_empty_input(self, pool, shape):
        with refuses("empty", str(shape)):
            pool(np.ones(shape), 1)

    @pools
    def test_number_of_axes(self, pool):
        with refuses("(N, C, H, W)", "(3, 5, 6)"):
            pool(self.x[0], 2)

    @pools
    @pytest.mark.parametrize(
        ("name", "value"), [("kernel_size", 0), ("stride", (2, 0)), ("padding", -1), ("stride", 2.0)]
    )
    def test_arguments(self, pool, name, value):
        with refuses(name, str(value)):
            pool(self.x, **({"kernel_size": 2} | {name: value}))

    def test_dilation(self):
        with refuses("dilation", "0"):
            ops.max_pool2d(self.x, 2, dilation=0)

    @pytest.mark.parametrize("index", [-1, 30, 1000])
    def test_index_outside_the_plane(self, index):
        indices = np.array([[[[3, index]]]])
        dy = np.ones((1, 1, 1, 2))
        with refuses(str(index), "5x6", "29"):
            ops.max_pool2d_backward(dy, indices, (1, 1, 5, 6))
        with refuses(str(index), "5x6", "29"):
            ops.max_unpool2d(dy, indices, (5, 6))
        with refuses(str(index), "5x6", "29"):
            ops.max_unpool2d_backward(np.ones((1, 1, 5, 6)), indices)

    def test_indices_are_integers(self):
        with refuses("indices", "float64"):
            ops.max_unpool2d(self.x, self.x, (5, 6))

    def test_indices_of_another_shape(self):
        indices = np.zeros((2, 3, 2, 3), int)
        with refuses("indices", "(2, 3, 2, 2)", "(2, 3, 2, 3)"):
            ops.max_pool2d_backward(np.ones((2, 3, 2, 2)), indices, (2, 3, 5, 6))
        with refuses("indices", "(2, 3, 5, 6)", "(2, 3, 2, 3)"):
            ops.max_unpool2d(self.x, indices, (5, 6))
        with refuses("dy", "(1, 3, 5, 6)", "indices", "(2, 3, 5, 6)"):
            ops.max_unpool2d_backward(self.x, indices[:1])

    def test_shape_of_the_input_in_backward(self):
        with refuses("(2, 4, 5, 6)", "(2, 3, 2, 3)"):
            ops.max_pool2d_backward(np.ones((2, 3, 2, 3)), np.zeros((2, 3, 2, 3), int), (2, 4, 5, 6))
        with refuses("dy", "(2, 3, 2, 3)", "(2, 3, 2, 2)"):
            ops.avg_pool2d_backward(np.ones((2, 3, 2, 2)), self.x.shape, 2)

    @pytest.mark.parametrize("size", [0, (3, 0), -1])
    def test_output_size(self, size):
        with refuses("output_size", str(size)):
            ops.max_unpool2d(self.x, np.zeros(self.x.shape, int), size)

    def test_unpooling_nothing(self):
        with refuses("empty", "(0, 3, 5, 6)"):
            ops.max_unpool2d(self.x[:0], np.zeros((0, 3, 5, 6), int), (5, 6))

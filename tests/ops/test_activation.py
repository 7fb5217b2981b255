"""ReLU and dropout."""

import numpy as np
import pytest
from arrays import TORCH_TOLERANCES, close, refuses, torch_gradients, torch_module

from fcn_from_scratch import ops
from fcn_from_scratch.gradcheck import away_from_zero, vjp_check
from fcn_from_scratch.ops import loops, loops_backward

SHAPE = (2, 3, 4, 5)


class TestRelu:
    def test_equals_loops(self, xp, rng, layout):
        x = rng.normal(size=SHAPE)
        x[0, 0, 0] = [0, -0.0, np.nan, np.inf, -np.inf]
        close(ops.relu(xp.asarray(layout(x))), loops.relu_loops(x), 0)

    def test_finite_differences(self, xp, rng, layout):
        x = away_from_zero(rng, SHAPE)
        y = xp.asarray(layout(loops.relu_loops(x)))
        error = vjp_check(ops.relu, lambda dy: ops.relu_backward(dy, y), [xp.asarray(x)], rng)
        assert error < 1e-7

    def test_backward_equals_loops(self, xp, rng, layout):
        y, dy = loops.relu_loops(rng.normal(size=SHAPE)), rng.normal(size=SHAPE)
        dx = ops.relu_backward(xp.asarray(layout(dy)), xp.asarray(y))
        close(dx, loops_backward.relu_backward_loops(dy, y), 0)

    def test_backward_at_the_kink_is_zero(self):
        y = np.array([0.0, 0.0, 1e-300, 5.0])
        assert ops.relu_backward(np.array([2.0, -3.0, 4.0, -5.0]), y).tolist() == [0, 0, 4, -5]

    @pytest.mark.parametrize("dtype", ["float32", "float64", "uint8", "int8"])
    def test_dtype_is_kept(self, xp, rng, dtype):
        x = rng.integers(0 if dtype == "uint8" else -99, 100, SHAPE).astype(dtype)
        y = ops.relu(xp.asarray(x))
        assert y.dtype == dtype
        close(y, loops.relu_loops(x), 0)

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_gradients_dtype_is_kept(self, xp, rng, dtype):
        y = xp.asarray(rng.random(SHAPE).astype(dtype))
        assert ops.relu_backward(y, y).dtype == dtype

    def test_input_stays_as_it_is(self, rng):
        x = rng.normal(size=SHAPE)
        before = x.copy()
        ops.relu(x)
        np.testing.assert_array_equal(x, before)

    def test_refuses_a_gradient_of_another_shape(self):
        with refuses("dy", "(2, 3)", "(3, 2)"):
            ops.relu_backward(np.ones((3, 2)), np.ones((2, 3)))

    @pytest.mark.torch
    @pytest.mark.parametrize(("dtype", "tolerance"), TORCH_TOLERANCES)
    def test_equals_torch(self, rng, dtype, tolerance):
        x, dy = rng.normal(size=SHAPE).astype(dtype), rng.normal(size=SHAPE).astype(dtype)
        x[0, 0] = 0
        expected, (gradient,) = torch_gradients(torch_module().relu, [x], dy)
        y = ops.relu(x)
        close(y, expected, tolerance)
        close(ops.relu_backward(dy, y), gradient, tolerance)


class TestDropout:
    masks = pytest.mark.parametrize("shape", [SHAPE, SHAPE[:2]], ids=["elements", "channels"])

    @masks
    @pytest.mark.parametrize("p", [0, 0.3, 0.75])
    def test_equals_loops(self, xp, rng, layout, shape, p):
        x, mask = rng.normal(size=SHAPE), rng.random(shape) >= 0.5
        y = ops.dropout(xp.asarray(layout(x)), xp.asarray(mask), p)
        close(y, loops.dropout_loops(x, mask, p))

    @masks
    def test_finite_differences(self, xp, rng, layout, shape):
        mask = xp.asarray(rng.random(shape) >= 0.5)
        x = xp.asarray(layout(rng.normal(size=SHAPE)))
        error = vjp_check(lambda x: ops.dropout(x, mask, 0.4), lambda dy: ops.dropout_backward(dy, mask, 0.4), [x], rng)
        assert error < 1e-7

    @masks
    def test_backward_equals_loops(self, xp, rng, layout, shape):
        dy, mask = rng.normal(size=SHAPE), rng.random(shape) >= 0.5
        dx = ops.dropout_backward(xp.asarray(layout(dy)), xp.asarray(mask), 0.4)
        close(dx, loops_backward.dropout_backward_loops(dy, mask, 0.4))

    def test_features_of_a_linear_layer(self, rng):
        x, mask = rng.normal(size=(4, 6)), rng.random((4, 6)) >= 0.5
        close(ops.dropout(x, mask, 0.5), 2 * np.where(mask, x, 0))

    def test_the_mean_stays(self, rng):
        y = ops.dropout(np.full((100, 1000), 3.0), rng.random((100, 1000)) >= 0.8, 0.8)
        assert y.mean() == pytest.approx(3, rel=0.03)  # five standard deviations

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    @masks
    def test_dtype_is_kept(self, xp, rng, dtype, shape):
        x, mask = xp.asarray(rng.normal(size=SHAPE).astype(dtype)), xp.asarray(rng.random(shape) >= 0.5)
        assert ops.dropout(x, mask, 0.5).dtype == dtype
        assert ops.dropout_backward(x, mask, 0.5).dtype == dtype

    def test_uint8_does_not_wrap(self):
        x = np.full((1, 2), 255, np.uint8)
        assert ops.dropout(x, np.array([[True, False]]), 0.5).tolist() == [[510, 0]]

    @pytest.mark.parametrize("p", [1, -0.1, 1.5])
    def test_refuses_p(self, p):
        with refuses("p ", str(p)):
            ops.dropout(np.ones(SHAPE), np.ones(SHAPE, bool), p)
        with refuses("p ", str(p)):
            ops.dropout_backward(np.ones(SHAPE), np.ones(SHAPE, bool), p)

    def test_refuses_a_mask_of_another_shape(self):
        with refuses("mask", "(2, 3, 4, 5)", "(2, 3)", "(3,)"):
            ops.dropout(np.ones(SHAPE), np.ones(3, bool), 0.5)

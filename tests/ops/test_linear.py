"""The fully connected layer."""

import numpy as np
import pytest
from arrays import TORCH_TOLERANCES, close, refuses, torch_gradients, torch_module

from fcn_from_scratch import ops
from fcn_from_scratch.gradcheck import vjp_check
from fcn_from_scratch.ops import loops, loops_backward


@pytest.fixture
def arrays(rng):
    """x, weight, bias: 3 samples, 5 inputs, 4 outputs."""
    return rng.normal(size=(3, 5)), rng.normal(size=(4, 5)), rng.normal(size=4)


def test_equals_loops(xp, arrays, layout):
    close(ops.linear(*(xp.asarray(layout(array)) for array in arrays)), loops.linear_loops(*arrays))
    close(ops.linear(*map(xp.asarray, arrays[:2])), loops.linear_loops(*arrays[:2]))


def test_backward_equals_loops(xp, arrays, layout, rng):
    dy, (x, weight, _) = rng.normal(size=(3, 4)), arrays
    gradients = ops.linear_backward(*(xp.asarray(layout(array)) for array in (dy, x, weight)))
    for actual, expected in zip(gradients, loops_backward.linear_backward_loops(dy, x, weight)):
        close(actual, expected)


def test_finite_differences(xp, arrays, layout, rng):
    x, weight, bias = (xp.asarray(layout(array)) for array in arrays)
    error = vjp_check(ops.linear, lambda dy: ops.linear_backward(dy, x, weight), [x, weight, bias], rng)
    assert error < 1e-7


def test_it_is_a_convolution_whose_kernel_covers_the_input(rng):
    x, weight, bias = rng.normal(size=(2, 3, 4, 5)), rng.normal(size=(6, 60)), rng.normal(size=6)
    y = ops.linear(x.reshape(2, 60), weight, bias)
    close(y, loops.conv2d_loops(x, weight.reshape(6, 3, 4, 5), bias)[:, :, 0, 0])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_dtype_is_kept(xp, arrays, dtype):
    x, weight, bias = (xp.asarray(array.astype(dtype)) for array in arrays)
    y = ops.linear(x, weight, bias)
    for array in [y, *ops.linear_backward(y, x, weight)]:
        assert array.dtype == dtype


def test_uint8_does_not_wrap():
    x = np.full((1, 300), 255, np.uint8)
    assert ops.linear(x, np.ones((2, 300), np.float32)).tolist() == [[76500, 76500]]
    assert ops.linear(x, np.ones((2, 300), np.uint8)).tolist() == [[76500, 76500]]


@pytest.mark.torch
@pytest.mark.parametrize(("dtype", "tolerance"), TORCH_TOLERANCES)
def test_equals_torch(arrays, rng, dtype, tolerance):
    arrays = [array.astype(dtype) for array in arrays]
    dy = rng.normal(size=(3, 4)).astype(dtype)
    expected, expected_gradients = torch_gradients(torch_module().nn.functional.linear, arrays, dy)
    close(ops.linear(*arrays), expected, tolerance)
    for actual, gradient in zip(ops.linear_backward(dy, *arrays[:2]), expected_gradients):
        close(actual, gradient, tolerance)


class TestErrors:
    weight = np.ones((4, 5))

    def test_features(self):
        with refuses("5 input features", "(4, 5)", "(3, 6)"):
            ops.linear(np.ones((3, 6)), self.weight)
        with refuses("5 input features", "(3, 6)"):
            ops.linear_backward(np.ones((3, 4)), np.ones((3, 6)), self.weight)

    def test_number_of_axes(self):
        with refuses("x must have shape", "(3, 5, 1, 1)"):
            ops.linear(np.ones((3, 5, 1, 1)), self.weight)
        with refuses("weight must have shape", "(5,)"):
            ops.linear(np.ones((3, 5)), self.weight[0])

    def test_empty(self):
        with refuses("x is empty", "(0, 5)"):
            ops.linear(np.ones((0, 5)), self.weight)

    def test_bias(self):
        with refuses("bias", "(4,)", "(5,)"):
            ops.linear(np.ones((3, 5)), self.weight, np.ones(5))

    def test_upstream_gradient_of_another_shape(self):
        with refuses("dy", "(3, 4)", "(2, 4)"):
            ops.linear_backward(np.ones((2, 4)), np.ones((3, 5)), self.weight)

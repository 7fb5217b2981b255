"""Local response normalisation."""

import numpy as np
import pytest
from arrays import LAYOUTS, TORCH_TOLERANCES, close, refuses, torch_gradients, torch_module
from hypothesis import given
from hypothesis import strategies as st

from fcn_from_scratch import ops
from fcn_from_scratch.gradcheck import vjp_check
from fcn_from_scratch.ops import loops, loops_backward

SHAPE = (2, 5, 3, 4)
SETTINGS = {"alpha": 0.7, "beta": 0.6, "k": 1.3}

# odd, even, the whole axis, far beyond it
window_sizes = pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 9, 20])


@window_sizes
def test_equals_loops(xp, rng, layout, size):
    x = rng.normal(size=SHAPE)
    close(
        ops.local_response_norm(xp.asarray(layout(x)), size, **SETTINGS),
        loops.local_response_norm_loops(x, size, **SETTINGS),
    )


@given(
    st.tuples(*[st.integers(1, n) for n in (2, 7, 3, 3)]),
    st.integers(1, 9),
    st.floats(0, 2),
    st.floats(0, 2),
    st.floats(0.5, 2),
    st.sampled_from(list(LAYOUTS)),
)
def test_any_shape_and_argument(shape, size, alpha, beta, k, layout):
    x = np.random.default_rng(0).normal(size=shape)
    y = ops.local_response_norm(LAYOUTS[layout](x), size, alpha, beta, k)
    close(y, loops.local_response_norm_loops(x, size, alpha, beta, k))
    dy = np.random.default_rng(1).normal(size=shape)
    dx = ops.local_response_norm_backward(LAYOUTS[layout](dy), x, size, alpha, beta, k)
    close(dx, loops_backward.local_response_norm_backward_loops(dy, x, size, alpha, beta, k))


@window_sizes
def test_backward_equals_loops(xp, rng, layout, size):
    x, dy = rng.normal(size=SHAPE), rng.normal(size=SHAPE)
    dx = ops.local_response_norm_backward(*(xp.asarray(layout(array)) for array in (dy, x)), size, **SETTINGS)
    close(dx, loops_backward.local_response_norm_backward_loops(dy, x, size, **SETTINGS))


@window_sizes
def test_finite_differences(xp, rng, layout, size):
    x = xp.asarray(layout(rng.normal(size=SHAPE)))
    error = vjp_check(
        lambda x: ops.local_response_norm(x, size, **SETTINGS),
        lambda dy: ops.local_response_norm_backward(dy, x, size, **SETTINGS),
        [x],
        rng,
    )
    assert error < 1e-7


def test_even_windows_reach_further_back_than_ahead():
    x = np.zeros((1, 4, 1, 1))
    x[0, 1] = 10
    x[0, [0, 2, 3]] = 1
    y = ops.local_response_norm(x, 2, alpha=2, beta=1, k=1).ravel()
    # channel 2 sees channel 1 before it; channel 0 does not see channel 1 after it
    np.testing.assert_allclose(y, [1 / 2, 10 / 102, 1 / 102, 1 / 3], rtol=1e-14)


def test_defaults_are_alexnets_in_pytorch(rng):
    x = 30 * rng.normal(size=SHAPE)
    close(ops.local_response_norm(x, 5), loops.local_response_norm_loops(x, 5, 1e-4, 0.75, 1.0))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_dtype_is_kept(xp, rng, dtype):
    x = xp.asarray(rng.normal(size=SHAPE).astype(dtype))
    y = ops.local_response_norm(x, 3, **SETTINGS)
    assert y.dtype == dtype
    assert ops.local_response_norm_backward(y, x, 3, **SETTINGS).dtype == dtype


def test_uint8_does_not_wrap(xp, rng):
    x = rng.integers(200, 256, SHAPE).astype(np.uint8)
    y = ops.local_response_norm(xp.asarray(x), 3, **SETTINGS)
    close(y, loops.local_response_norm_loops(x.astype(float), 3, **SETTINGS))


def test_uint8_does_not_wrap_in_backward(rng):
    x = rng.integers(200, 256, SHAPE).astype(np.uint8)
    error = vjp_check(
        lambda x: ops.local_response_norm(x, 3, **SETTINGS),
        lambda dy: ops.local_response_norm_backward(dy, x, 3, **SETTINGS),
        [x.astype(float)],
        rng,
    )
    assert error < 1e-7


@pytest.mark.torch
@window_sizes
@pytest.mark.parametrize(("dtype", "tolerance"), TORCH_TOLERANCES)
def test_equals_torch(rng, size, dtype, tolerance):
    x, dy = rng.normal(size=SHAPE).astype(dtype), rng.normal(size=SHAPE).astype(dtype)
    function = torch_module().nn.functional.local_response_norm
    expected, (gradient,) = torch_gradients(lambda x: function(x, size, **SETTINGS), [x], dy)
    close(ops.local_response_norm(x, size, **SETTINGS), expected, tolerance)
    close(ops.local_response_norm_backward(dy, x, size, **SETTINGS), gradient, tolerance)


class TestErrors:
    @pytest.mark.parametrize("size", [0, -3, 2.5])
    def test_size(self, size):
        with refuses("size", str(size)):
            ops.local_response_norm(np.ones(SHAPE), size)
        with refuses("size", str(size)):
            ops.local_response_norm_backward(np.ones(SHAPE), np.ones(SHAPE), size)

    def test_empty(self):
        with refuses("empty", "(2, 0, 3, 4)"):
            ops.local_response_norm(np.ones((2, 0, 3, 4)), 3)

    def test_no_channel_axis(self):
        with refuses("(5,)"):
            ops.local_response_norm(np.ones(5), 3)

    def test_upstream_gradient_of_another_shape(self):
        with refuses("dy", "(2, 5, 3, 4)", "(2, 5, 3, 3)"):
            ops.local_response_norm_backward(np.ones((2, 5, 3, 3)), np.ones(SHAPE), 3)

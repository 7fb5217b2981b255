"""Pixel shuffle: the loops, PyTorch, its inverse, and a transposed convolution that does the same."""

import numpy as np
import pytest
from arrays import close, refuses, torch_gradients, torch_module
from hypothesis import given
from hypothesis import strategies as st

from fcn_from_scratch import ops
from fcn_from_scratch.gradcheck import vjp_check
from fcn_from_scratch.ops import loops, loops_backward


@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), st.integers(1, 4), st.integers(1, 5))
def test_equals_loops(r, n, c, h, w):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, c * r * r, h, w))
    y = ops.pixel_shuffle(x, r)
    close(y, loops.pixel_shuffle_loops(x, r), 0)
    dy = rng.normal(size=y.shape)
    close(ops.pixel_shuffle_backward(dy, r), loops_backward.pixel_shuffle_backward_loops(dy, r), 0)


def test_backward_undoes_it_and_is_the_gradient(xp, rng, layout):
    x = layout(rng.normal(size=(2, 18, 3, 4)))
    np.testing.assert_array_equal(ops.pixel_shuffle_backward(ops.pixel_shuffle(x, 3), 3), x)
    x = xp.asarray(x)
    assert vjp_check(lambda x: ops.pixel_shuffle(x, 3), lambda dy: ops.pixel_shuffle_backward(dy, 3), [x], rng) < 1e-7


def test_after_a_convolution_it_is_a_transposed_convolution(rng):
    """A 1x1 convolution to r*r channels, shuffled, lays down a kernel of r x r taps at stride r."""
    x, weight = rng.normal(size=(2, 5, 3, 4)), rng.normal(size=(2 * 9, 5, 1, 1))
    shuffled = ops.pixel_shuffle(ops.conv2d(x, weight), 3)
    kernel = weight.reshape(2, 3, 3, 5).transpose(3, 0, 1, 2)
    close(shuffled, ops.conv_transpose2d(x, kernel, stride=3))


@pytest.mark.torch
def test_equals_torch(rng):
    x = rng.normal(size=(2, 12, 3, 4))
    dy = rng.normal(size=(2, 3, 6, 8))
    expected, (gradient,) = torch_gradients(lambda x: torch_module().nn.functional.pixel_shuffle(x, 2), [x], dy)
    close(ops.pixel_shuffle(x, 2), expected, 0)
    close(ops.pixel_shuffle_backward(dy, 2), gradient, 0)


def test_errors(rng):
    x = rng.normal(size=(2, 6, 4, 4))
    with refuses("one channel of 4", "upscale_factor 2", "6 channels"):
        ops.pixel_shuffle(x, 2)
    with refuses("upscale_factor must be at least 1"):
        ops.pixel_shuffle(x, 0)
    with refuses("(N, C, H, W)"):
        ops.pixel_shuffle(x[0], 2)
    with refuses("multiple of upscale_factor 3", "4x4"):
        ops.pixel_shuffle_backward(x, 3)

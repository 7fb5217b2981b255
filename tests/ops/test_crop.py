"""Cropping."""

import numpy as np
import pytest
from arrays import close, refuses
from hypothesis import given
from hypothesis import strategies as st

from fcn_from_scratch import ops
from fcn_from_scratch.gradcheck import vjp_check
from fcn_from_scratch.ops import loops, loops_backward

SHAPE = (2, 3, 7, 9)
WINDOWS = [((1, 3), (4, 5)), (2, 3), (0, (7, 9)), ((6, 8), 1), ((0, 2), (7, 7))]

windows = pytest.mark.parametrize(("offset", "size"), WINDOWS, ids=str)


@windows
def test_equals_loops(xp, rng, layout, offset, size):
    x = rng.normal(size=SHAPE)
    close(ops.crop(xp.asarray(layout(x)), offset, size), loops.crop_loops(x, offset, size), 0)


@windows
def test_finite_differences(xp, rng, layout, offset, size):
    error = vjp_check(
        lambda x: ops.crop(x, offset, size),
        lambda dy: ops.crop_backward(dy, SHAPE, offset),
        [xp.asarray(layout(rng.normal(size=SHAPE)))],
        rng,
    )
    assert error < 1e-7


def test_backward_puts_the_gradient_back_into_its_window(rng, layout):
    dy = rng.normal(size=(2, 3, 4, 5))
    dx = ops.crop_backward(layout(dy), SHAPE, (1, 3))
    np.testing.assert_array_equal(dx[:, :, 1:5, 3:8], dy)
    assert np.count_nonzero(dx) == dy.size


@given(st.data())
def test_any_window(data):
    size = [data.draw(st.integers(1, 6)) for _ in range(2)]
    offset = [data.draw(st.integers(0, 4)) for _ in range(2)]
    shape = [n + o + data.draw(st.integers(0, 3)) for n, o in zip(size, offset)]
    x = np.random.default_rng(0).normal(size=(2, 3, *shape))
    y = ops.crop(x, offset, size)
    close(y, loops.crop_loops(x, offset, size), 0)
    close(ops.crop_backward(y, x.shape, offset), loops_backward.crop_backward_loops(y, x.shape, offset), 0)


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8"])
def test_dtype_is_kept(xp, rng, dtype):
    y = ops.crop(xp.asarray(rng.integers(0, 256, SHAPE).astype(dtype)), 1, 3)
    assert y.dtype == dtype
    assert ops.crop_backward(y, SHAPE, 1).dtype == dtype


class TestErrors:
    x = np.ones(SHAPE)

    @pytest.mark.parametrize(("offset", "size"), [((4, 0), (4, 5)), ((0, 5), (4, 5)), (0, (8, 9)), ((7, 0), 1)])
    def test_window_outside(self, offset, size):
        with refuses("7x9"):
            ops.crop(self.x, offset, size)
        with refuses("7x9"):
            ops.crop_backward(np.ones((2, 3, *np.broadcast_to(size, 2))), SHAPE, offset)

    def test_the_message_names_all_numbers(self):
        with refuses("4x5", "(4, 0)", "7x9"):
            ops.crop(self.x, (4, 0), (4, 5))

    def test_negative_offset(self):
        with refuses("offset", "-1"):
            ops.crop(self.x, -1, 3)

    @pytest.mark.parametrize("size", [0, (3, 0), -2])
    def test_size(self, size):
        with refuses("size", str(size)):
            ops.crop(self.x, 0, size)

    def test_number_of_axes(self):
        with refuses("(N, C, H, W)", "(3, 7, 9)"):
            ops.crop(self.x[0], 0, 3)

    def test_upstream_gradient_of_other_images(self):
        with refuses("dy", "(2, 3, 4, 5)", "(1, 3, 4, 5)"):
            ops.crop_backward(np.ones((1, 3, 4, 5)), SHAPE, 0)

"""F(2, k) for weights that were transformed in advance: exact in float64, with known errors in float32."""

import numpy as np
import pytest
from arrays import close
from hypothesis import given
from hypothesis import strategies as st

from fcn_from_scratch.engine.conv import WIDE_WEIGHTS, transformation
from fcn_from_scratch.engine.winograd_wide import can_transform, transformed_wide_weight, winograd_wide_conv2d
from fcn_from_scratch.layers import Conv2d, ReLU, Sequential
from fcn_from_scratch.ops import conv2d, loops
from fcn_from_scratch.ops.shapes import Geometry


def by_transform(x, weight, bias, padding, relu=False):
    kernel_size, size = weight.shape[2:], x.shape[2:]
    out = tuple(n + 2 * p - k + 1 for n, p, k in zip(size, padding, kernel_size))
    geometry = Geometry(kernel_size, (1, 1), padding, (1, 1), 1, out)
    return winograd_wide_conv2d(x, transformed_wide_weight(weight), bias, geometry, relu)


@given(st.data())
def test_equals_loops(data):
    kernel_size = data.draw(st.tuples(st.integers(2, 7), st.integers(2, 7)))
    padding = data.draw(st.tuples(st.integers(0, 3), st.integers(0, 3)))
    size = [data.draw(st.integers(max(k - 2 * p, 1), 10)) for k, p in zip(kernel_size, padding)]
    n, c, f = (data.draw(st.integers(1, 3)) for _ in range(3))
    rng = np.random.default_rng(data.draw(st.integers(0, 9)))
    x, weight, bias = rng.normal(size=(n, c, *size)), rng.normal(size=(f, c, *kernel_size)), rng.normal(size=f)
    expected = loops.conv2d_loops(x, weight, bias, 1, padding)
    close(by_transform(x, weight, bias, padding, relu=True), np.maximum(expected, 0), 1e-9)
    close(by_transform(x, weight, None, padding), expected - bias[:, None, None], 1e-9)


@pytest.mark.parametrize("size", [(10, 9), (9, 10), (9, 9)])
def test_the_last_tiles_do_not_reach_into_the_next_image(size):
    """With an odd number of outputs, half of the last tile is used. Beyond the image it must read zeros."""
    rng = np.random.default_rng(3)
    x, weight = rng.normal(size=(2, 3, *size)), rng.normal(size=(2, 3, 3, 5))
    x[1] = np.nan
    y = by_transform(x, weight, None, (0, 0))
    close(y[0], loops.conv2d_loops(x[:1], weight)[0], 1e-9)


def test_what_float32_costs():
    """About 20 times the direct sum's error, as in a prototype: 8.5e-6 of the largest output."""
    rng = np.random.default_rng(0)
    x = np.maximum(rng.standard_normal((1, 64, 12, 14), np.float32), 0)
    weight = rng.standard_normal((48, 64, 7, 7), np.float32)
    exact = conv2d(x.astype(np.float64), weight.astype(np.float64))
    error = abs(by_transform(x, weight, None, (0, 0)) - exact).max() / abs(exact).max()
    assert 2e-7 < error < 2e-5


@pytest.fixture(scope="module")
def layer():
    return Conv2d(32, 1024, 7, rng=np.random.default_rng(1), name="fc6").eval()


class TestPreparedLayer:
    def test_is_asked_for(self, layer):
        x = np.random.default_rng(2).standard_normal((2, 32, 10, 11)).astype(np.float32)
        plain = layer.prepare()(x)
        assert layer.transformed is None
        fast = layer.prepare(wide=True)(x)
        assert layer.transformed.shape == (64, 1024, 32)
        assert not np.array_equal(fast, plain)  # another algorithm did run
        np.testing.assert_allclose(fast, plain, atol=3e-5 * abs(plain).max())

    def test_is_asked_for_in_a_chain(self, layer):
        Sequential(ReLU(), layer).eval().prepare(wide=True)
        assert layer.transformed is not None

    def test_wider_input_takes_the_weight_itself(self, layer):
        x = np.random.default_rng(2).standard_normal((1, 32, 10, 11))
        plain = layer.prepare(False)(x)
        np.testing.assert_array_equal(layer.prepare(wide=True)(x), plain)

    def test_is_left_to_few_places(self, layer):
        """On a large map the patches are larger than the weights, and the plain product runs."""
        x = np.random.default_rng(2).standard_normal((1, 32, 45, 40)).astype(np.float32)
        plain = layer.prepare(False)(x)
        np.testing.assert_array_equal(layer.prepare(wide=True)(x), plain)


@pytest.mark.parametrize(
    ("kernel_size", "stride", "dilation", "groups"),
    [
        ((1, 1), (1, 1), (1, 1), 1),
        ((8, 7), (1, 1), (1, 1), 1),
        ((7, 7), (2, 1), (1, 1), 1),
        ((7, 7), (1, 1), (2, 2), 1),
    ],
)
def test_others_cannot(kernel_size, stride, dilation, groups):
    assert not can_transform(kernel_size, stride, dilation, groups)


def test_what_prepare_transforms():
    wide = np.zeros((WIDE_WEIGHTS // 256, 64, 2, 2), np.float32)
    plain = (1, 1), (1, 1), 1
    assert transformation(wide, *plain, wide=True) is transformed_wide_weight
    assert transformation(wide, *plain) is None
    assert transformation(wide, *plain, algorithm="im2col", wide=True) is None
    assert transformation(wide.astype(float), *plain, wide=True) is None
    assert transformation(wide[1:, :32], *plain, wide=True) is None

"""F(4, k): exact in float64, with known errors in float32, and chosen where it pays."""

import numpy as np
import pytest
from arrays import LAYOUTS, close, refuses
from hypothesis import given
from hypothesis import strategies as st

from fcn_from_scratch.engine import threads, winograd_wide
from fcn_from_scratch.engine.conv import choose
from fcn_from_scratch.engine.winograd_wide import can_transform, winograd_wide_conv2d
from fcn_from_scratch.engine.workspace import Workspace
from fcn_from_scratch.layers import Conv2d
from fcn_from_scratch.ops import conv2d, loops
from fcn_from_scratch.ops.shapes import Geometry, conv_geometry


def by_transform(x, weight, bias, padding, relu=False, workspace=None):
    kernel_size, size = weight.shape[2:], x.shape[2:]
    out = tuple(n + 2 * p - k + 1 for n, p, k in zip(size, padding, kernel_size))
    geometry = Geometry(kernel_size, (1, 1), padding, (1, 1), 1, out)
    return winograd_wide_conv2d(x, weight, bias, geometry, relu, workspace)


@given(st.data())
def test_equals_loops(data):
    kernel_size = data.draw(st.tuples(st.integers(2, 7), st.integers(2, 7)))
    padding = data.draw(st.tuples(st.integers(0, 3), st.integers(0, 3)))
    size = [data.draw(st.integers(max(k - 2 * p, 1), 10)) for k, p in zip(kernel_size, padding)]
    n, c, f = (data.draw(st.integers(1, 3)) for _ in range(3))
    layout = LAYOUTS[data.draw(st.sampled_from(list(LAYOUTS)))]
    rng = np.random.default_rng(data.draw(st.integers(0, 9)))
    x, weight, bias = rng.normal(size=(n, c, *size)), rng.normal(size=(f, c, *kernel_size)), rng.normal(size=f)
    expected = loops.conv2d_loops(x, weight, bias, 1, padding)
    close(by_transform(layout(x), layout(weight), bias, padding, relu=True), np.maximum(expected, 0), 1e-9)
    close(by_transform(x, weight, None, padding), expected - bias[:, None, None], 1e-9)


@pytest.mark.parametrize("filters_bytes", [1, 5000, 1 << 30])
def test_filters_in_parts(rng, monkeypatch, filters_bytes):
    monkeypatch.setattr(winograd_wide, "FILTERS_BYTES", filters_bytes)
    x, weight, bias = rng.normal(size=(2, 3, 9, 10)), rng.normal(size=(37, 3, 5, 7)), rng.normal(size=37)
    close(by_transform(x, weight, bias, (2, 3), workspace=Workspace()), loops.conv2d_loops(x, weight, bias, 1, (2, 3)))


@pytest.mark.parametrize("size", [(8, 9), (9, 10), (11, 9)])
def test_the_last_tiles_do_not_reach_into_the_next_image(size):
    """With 6, 7 or 9 rows of outputs, a part of the last tile is used. Beyond the image it must read zeros."""
    rng = np.random.default_rng(3)
    x, weight = rng.normal(size=(2, 3, *size)), rng.normal(size=(2, 3, 3, 5))
    x[1] = np.nan
    y = by_transform(x, weight, None, (0, 0))
    close(y[0], loops.conv2d_loops(x[:1], weight)[0], 1e-9)


def test_what_float32_costs():
    """About 15 times the direct sum's error, relative to the largest output."""
    rng = np.random.default_rng(0)
    x = np.maximum(rng.standard_normal((1, 64, 12, 14), np.float32), 0)
    weight = rng.standard_normal((48, 64, 7, 7), np.float32)
    exact = conv2d(x.astype(np.float64), weight.astype(np.float64))
    error = abs(by_transform(x, weight, None, (0, 0)) - exact).max() / abs(exact).max()
    assert 1e-6 < error < 1e-5


@pytest.mark.parametrize(
    ("kernel_size", "stride", "dilation", "groups"),
    [
        ((1, 1), (1, 1), (1, 1), 1),
        ((8, 7), (1, 1), (1, 1), 1),
        ((7, 7), (2, 1), (1, 1), 1),
        ((7, 7), (1, 1), (2, 2), 1),
    ],
)
def test_others_cannot(kernel_size, stride, dilation, groups, rng):
    assert not can_transform(kernel_size, stride, dilation, groups)
    weight, options = rng.normal(size=(2, 3, *kernel_size)), {"stride": stride, "dilation": dilation, "groups": groups}
    with refuses("'winograd_wide'", "2 to 7 pixels", f"kernel_size {kernel_size}"):
        conv2d(rng.normal(size=(1, 3, 30, 30)), weight, **options, algorithm="winograd_wide")


FC6 = (1, 512, 28, 28), (4096, 512, 7, 7)


@pytest.mark.parametrize(
    ("x_shape", "weight_shape", "dtype", "chosen"),
    [
        (*FC6, np.float32, "winograd_wide"),
        (*FC6, np.float64, "wide"),
        ((1, 512, 22, 22), FC6[1], np.float32, "winograd_wide"),
        ((1, 512, 18, 18), FC6[1], np.float32, "winograd_wide"),  # 12x12 outputs
        ((1, 512, 17, 19), FC6[1], np.float32, "wide"),  # 11x13
        ((1, 512, 7, 7), FC6[1], np.float32, "wide"),  # the classifier
        ((1, 4096, 22, 22), (4096, 4096, 1, 1), np.float32, "wide"),
        ((1, 256, 22, 22), (4096, 256, 6, 6), np.float32, "winograd_wide"),
        ((1, 512, 70, 71), FC6[1], np.float32, "im2col"),  # 64x65 outputs: more than filters
    ],
)
def test_is_chosen_where_it_pays(x_shape, weight_shape, dtype, chosen):
    geometry = conv_geometry(x_shape, np.empty(weight_shape, np.bool_), 1, 0, 1, 1)
    assert choose(x_shape, weight_shape, geometry, dtype) == chosen


def test_a_small_layer_is_shared_out_too(rng, monkeypatch):
    """All transformed weights of this one would fit the memory of one thread."""
    run, items = threads.run, []
    monkeypatch.setattr(
        threads, "run", lambda function, every, *more: run(function, items.append(every) or every, *more)
    )
    by_transform(rng.normal(size=(1, 2, 16, 17)), rng.normal(size=(64, 2, 7, 7)), None, (3, 3))
    assert len(items[-1]) >= 2 * threads.shares()


def test_a_layer_chooses_it_and_takes_the_gradients_of_the_plain_product(rng):
    layer = Conv2d(32, 1024, 7, padding=3, rng=np.random.default_rng(1))
    x = rng.standard_normal((1, 32, 16, 17)).astype(np.float32)
    fast = layer(x)
    dy = rng.standard_normal(fast.shape).astype(np.float32)
    fast_dx, fast_dweight = layer.backward(dy), layer.grads["weight"].copy()
    layer.algorithm = "wide"
    layer.zero_grad()
    plain = layer(x)
    assert not np.array_equal(fast, plain)  # another algorithm did run
    np.testing.assert_allclose(fast, plain, atol=2e-5 * abs(plain).max())
    np.testing.assert_array_equal(layer.backward(dy), fast_dx)
    np.testing.assert_array_equal(layer.grads["weight"], fast_dweight)

"""Winograd's products frequency by frequency, and a part of a map in a constant surrounding, against the loops."""

import numpy as np
import pytest
from arrays import close

from fcn_from_scratch.engine import small_products, winograd_frequencies, winograd_tiles
from fcn_from_scratch.engine import winograd as by_bands
from fcn_from_scratch.engine.winograd import (
    Beyond,
    transformed_weight,
    winograd_conv2d,
    winograd_conv2d_relu_pool,
    winograd_input_grad,
)
from fcn_from_scratch.ops import loops


@pytest.fixture(params=["by bands", "by frequency"])
def way(request, monkeypatch):
    """Both ways to compute the same: as for a small kernel, and as for a large one."""
    if request.param == "by frequency":
        monkeypatch.setattr(small_products, "WIDEST", 2)
        monkeypatch.setattr(by_bands, "_kernel", None)  # the whole transformed kernel is not needed
    monkeypatch.setattr(winograd_tiles, "TILES", 7)  # several bands
    return request.param


def arrays(rng, c=3, f=5):
    return rng.normal(size=(2, c, 13, 18)), rng.normal(size=(f, c, 3, 3)), rng.normal(size=f)


def test_equals_loops(way, rng):
    x, weight, bias = arrays(rng)
    expected = loops.conv2d_loops(x, weight, bias, 1, (1, 2))
    close(winograd_conv2d(x, weight, bias, (1, 2)), expected)
    close(winograd_conv2d(x, weight, bias, (1, 2), relu=True), np.maximum(expected, 0))
    pooled, _ = loops.max_pool2d_loops(np.maximum(expected, 0), 2)
    close(winograd_conv2d_relu_pool(x, weight, bias, (1, 2), pooled.shape[2:])[0], pooled)


def test_the_gradient_is_the_adjoint(way, rng):
    x, weight, _ = arrays(rng)
    y = loops.conv2d_loops(x, weight, None, 1, (1, 1))
    dy = rng.normal(size=y.shape)
    assert np.vdot(winograd_input_grad(dy, weight, (1, 1)), x) == pytest.approx(np.vdot(dy, y), rel=1e-10)


def test_a_kernel_transformed_in_advance_gives_the_same_bits(monkeypatch, rng):
    x, weight, bias = (array.astype(np.float32) for array in arrays(rng, 6, 7))
    kernel = transformed_weight(weight)
    expected = winograd_conv2d(x, weight, bias, (1, 1))
    nothing = np.full_like(weight, np.nan)
    np.testing.assert_array_equal(winograd_conv2d(x, nothing, bias, (1, 1), transformed=kernel), expected)
    monkeypatch.setattr(small_products, "WIDEST", 2)
    expected = winograd_conv2d(x, weight, bias, (1, 1))
    np.testing.assert_array_equal(
        winograd_conv2d(x, nothing, bias, (1, 1), transformed=kernel.reshape(36, 1, 6, 7)), expected
    )


@pytest.mark.parametrize(
    ("c", "f", "side", "expected"),
    [(512, 512, 88, True), (512, 512, 44, True), (256, 512, 88, True), (256, 256, 175, False), (128, 256, 44, False)],
)
def test_large_kernels_and_few_tiles(c, f, side, expected):
    """VGG16's conv4 and conv5 at 500x500, but not conv3, whose tiles are more than its kernel, nor narrow layers."""
    bands = winograd_tiles.bands(1, side, side, c, f, 4)
    assert winograd_frequencies.pays(bands, c, f, 4) is expected


class TestBeyond:
    """x is a part of a map, which is constant around it."""

    def padded(self, x, values, before, after):
        n, c, h, w = x.shape
        shape = n, c, before[0] + h + after[0], before[1] + w + after[1]
        whole = np.broadcast_to(values[:, None, None], shape).copy()
        whole[:, :, before[0] : before[0] + h, before[1] : before[1] + w] = x
        return whole

    @pytest.mark.parametrize(("before", "after"), [((0, 0), (0, 0)), ((3, 5), (6, 1)), ((9, 0), (0, 11))])
    def test_equals_loops_on_the_whole_map(self, way, rng, before, after):
        x, weight, bias = arrays(rng)
        values = rng.normal(size=3)
        whole = loops.conv2d_loops(self.padded(x, values, before, after), weight, bias)
        around = Beyond(values, whole.shape[2:])
        close(winograd_conv2d(x, weight, bias, before, beyond=around), whole)
        even = whole[:, :, : whole.shape[2] // 2 * 2, : whole.shape[3] // 2 * 2]
        pooled, _ = loops.max_pool2d_loops(np.maximum(even, 0), 2)
        around = Beyond(values, even.shape[2:])
        y, winner = winograd_conv2d_relu_pool(x, weight, bias, before, pooled.shape[2:], winners=False, beyond=around)
        close(y, pooled)
        assert winner is None

"""MaxPool2d, AvgPool2d, MaxUnpool2d: arguments are passed on, and indices are kept."""

import numpy as np
import pytest
from arrays import TORCH_TOLERANCES, close, refuses, torch_gradients, torch_module

from fcn_from_scratch import plain
from fcn_from_scratch.layers import AvgPool2d, MaxPool2d, MaxUnpool2d
from fcn_from_scratch.ops import loops

MAP = (2, 3, 8, 7)
MAX = [
    {"kernel_size": (3, 2)},
    {"kernel_size": (3, 2), "stride": (2, 1), "padding": (1, 0)},
    {"kernel_size": 2, "stride": (3, 2), "ceil_mode": True},
    {"kernel_size": (2, 3), "stride": 1, "dilation": (3, 2)},
]
AVG = [
    {"kernel_size": (3, 2)},
    {"kernel_size": (3, 4), "stride": (2, 1), "padding": (1, 2)},
    {"kernel_size": (3, 4), "stride": (2, 1), "padding": (1, 2), "count_include_pad": False},
    {"kernel_size": 3, "stride": (3, 2), "padding": 1, "ceil_mode": True},
]


class TestForward:
    @pytest.mark.parametrize("options", MAX)
    @pytest.mark.parametrize("by_plain", [False, True])
    def test_max_pool_equals_loops(self, by_plain, options, rng):
        x = rng.normal(size=MAP)
        layer = MaxPool2d(**options)
        assert layer.indices is None
        y, indices = loops.max_pool2d_loops(x, **options)
        with plain(by_plain):
            np.testing.assert_array_equal(layer(x), y)
        np.testing.assert_array_equal(layer.indices, indices)

    @pytest.mark.parametrize("options", AVG)
    def test_avg_pool_equals_loops(self, options, rng):
        x = rng.normal(size=MAP)
        close(AvgPool2d(**options)(x), loops.avg_pool2d_loops(x, **options))

    def test_positional_arguments_are_torchs(self):
        layer = MaxPool2d(3, 2, 1, 4, True)
        assert (layer.kernel_size, layer.stride, layer.padding, layer.dilation) == ((3, 3), (2, 2), (1, 1), (4, 4))
        assert layer.ceil_mode is True
        layer = AvgPool2d(3, 2, 1, True, False)
        assert (layer.kernel_size, layer.stride, layer.padding) == ((3, 3), (2, 2), (1, 1))
        assert (layer.ceil_mode, layer.count_include_pad) == (True, False)


@pytest.mark.torch
@pytest.mark.parametrize(("dtype", "tolerance"), TORCH_TOLERANCES)
class TestTorch:
    def compare(self, layer, module, rng, dtype, tolerance):
        x = rng.normal(size=MAP).astype(dtype)
        y = layer(x)
        dy = rng.normal(size=y.shape).astype(dtype)
        expected, (dx,) = torch_gradients(module, [x], dy)
        close(y, expected, tolerance)
        close(layer.backward(dy), dx, tolerance)

    @pytest.mark.parametrize("options", MAX)
    def test_max_pool(self, options, dtype, tolerance, rng):
        self.compare(MaxPool2d(**options), torch_module().nn.MaxPool2d(**options), rng, dtype, tolerance)

    @pytest.mark.parametrize("options", AVG)
    def test_avg_pool(self, options, dtype, tolerance, rng):
        self.compare(AvgPool2d(**options), torch_module().nn.AvgPool2d(**options), rng, dtype, tolerance)


def _picked(dy, pool, x):
    """dy at the places of the maxima of x."""
    _, indices = loops.max_pool2d_loops(x, pool.kernel_size, ceil_mode=pool.ceil_mode)
    flat = dy.reshape(*dy.shape[:2], -1)
    return np.take_along_axis(flat, indices.reshape(*indices.shape[:2], -1), axis=2).reshape(indices.shape)


class TestMaxUnpool:
    def test_puts_the_maxima_back(self, rng):
        x = rng.normal(size=MAP)
        pool = MaxPool2d(2, ceil_mode=True).eval()  # SegNet's decoder needs the indices in eval mode too
        y = pool(x)
        back = MaxUnpool2d()(y, pool.indices, MAP[2:])
        np.testing.assert_array_equal(back, loops.max_unpool2d_loops(y, pool.indices, MAP[2:]))
        assert (back == x).sum() == y.size

    @pytest.mark.parametrize("ceil_mode", [False, True])
    @pytest.mark.parametrize("size", [(7, 6), (8, 9)])
    def test_takes_indices_and_size_from_its_pool(self, size, ceil_mode, rng):
        x = rng.normal(size=(2, 3, *size))
        pool = MaxPool2d((2, 3), ceil_mode=ceil_mode).eval()
        y = pool(x)
        unpool = MaxUnpool2d(pool)
        values = rng.normal(size=y.shape)
        back = unpool(values)
        np.testing.assert_array_equal(back, loops.max_unpool2d_loops(values, pool.indices, size))
        dy = rng.normal(size=back.shape)
        pool(-x)  # the pool runs again: what was unpooled keeps its places
        np.testing.assert_array_equal(unpool.backward(dy), _picked(dy, pool, x))

    def test_without_a_pool_that_ran(self, rng):
        with refuses("MaxUnpool2d 'up' has no pool of its own: call forward(x, indices, output_size)"):
            MaxUnpool2d(name="up")(rng.normal(size=(1, 1, 2, 2)))
        with pytest.raises(RuntimeError, match="undoes MaxPool2d 'pool5', which must run forward first"):
            MaxUnpool2d(MaxPool2d(2, name="pool5"))(rng.normal(size=(1, 1, 2, 2)))
        pool = MaxPool2d(2)
        pool(rng.normal(size=(1, 1, 8, 8)))
        with refuses("indices", "(1, 1, 4, 4)"):
            MaxUnpool2d(pool)(rng.normal(size=(1, 1, 2, 2)))

    def test_backward_picks_at_the_indices(self, rng):
        pool, unpool = MaxPool2d((2, 3)), MaxUnpool2d()
        y = pool(rng.normal(size=MAP))
        unpool(y, pool.indices, MAP[2:])
        dy = rng.normal(size=MAP)
        dx = unpool.backward(dy)
        for at in np.ndindex(y.shape):
            assert dx[at] == dy[at[:2]].ravel()[pool.indices[at]]


class TestRefusals:
    @pytest.mark.parametrize("layer", [MaxPool2d, AvgPool2d])
    def test_arguments_out_of_range(self, layer):
        with refuses("kernel_size must be at least 1; got 0"):
            layer(0)
        with refuses("stride must be at least 1; got (1, 0)"):
            layer(2, (1, 0))
        with refuses("padding must be at least 0; got -1"):
            layer(2, 2, -1)

    @pytest.mark.parametrize("layer", [MaxPool2d, AvgPool2d])
    def test_padding_above_half_the_window(self, layer, rng):
        with refuses("padding must be at most half the window", "(2, 2)", "3x3"):
            layer(3, padding=2)(rng.normal(size=MAP))
        with refuses("padding must be at most half the window", "(2, 2)", "3x3"):
            layer(3, padding=2).output_shape((3, 9, 9))

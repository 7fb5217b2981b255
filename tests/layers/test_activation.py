"""ReLU, Dropout, ChannelDropout, Flatten."""

import numpy as np
import pytest
from arrays import LAYOUTS, refuses

from fcn_from_scratch.layers import ChannelDropout, Dropout, Flatten, ReLU
from fcn_from_scratch.ops import loops


def test_relu_equals_loops(rng):
    x = rng.normal(size=(2, 3, 4, 5))
    x[0, 0, 0, :3] = 0.0, -0.0, np.nan
    np.testing.assert_array_equal(ReLU()(x), loops.relu_loops(x))


def test_relu_passes_no_gradient_at_the_kink(rng):
    layer = ReLU()
    layer(np.array([[-1.0, 0.0, 2.0]]))
    np.testing.assert_array_equal(layer.backward(np.array([[3.0, 5.0, -7.0]])), [[0.0, 0.0, -7.0]])


def test_flatten_goes_channel_by_channel_row_by_row(rng):
    x = rng.normal(size=(2, 3, 4, 5))
    expected = [[x[n, c, i, j] for c, i, j in np.ndindex(3, 4, 5)] for n in range(2)]
    layer = Flatten()
    np.testing.assert_array_equal(layer(x), expected)
    np.testing.assert_array_equal(layer(np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1)), expected)
    np.testing.assert_array_equal(layer.backward(np.array(expected)), x)


SHAPE = (4, 50, 20, 10)


class TestDropout:
    @pytest.mark.parametrize("p", [0.2, 0.5, 0.9])
    def test_drops_that_part_and_scales_up_the_rest(self, p, rng):
        y = Dropout(p, rng=rng)(np.ones(SHAPE))
        assert set(np.unique(y)) == {0.0, 1 / (1 - p)}
        part = (y == 0).mean()
        assert part == pytest.approx(p, abs=5 * np.sqrt(p * (1 - p) / y.size))
        assert 0 < (y == 0)[0, 0].mean() < 1  # element by element, not whole channels

    def test_keeps_the_expected_value(self, rng):
        x = rng.normal(size=SHAPE) + 3
        layer = Dropout(0.5, rng=rng)
        mean = np.mean([layer(x) for _ in range(200)], axis=0)
        # each mean has standard deviation |x| / sqrt(200)
        assert np.abs((mean - x) / np.abs(x) * np.sqrt(200)).max() < 6
        assert (mean - x).mean() == pytest.approx(0, abs=0.02)

    def test_backward_uses_the_mask_of_the_last_forward(self, rng):
        layer = Dropout(0.3, rng=rng)
        ones = np.ones(SHAPE)
        layer(ones)
        factor = layer(ones)
        dy = rng.normal(size=SHAPE)
        np.testing.assert_allclose(layer.backward(dy), dy * factor, rtol=1e-12)

    def test_backward_uses_the_p_of_its_forward(self, rng):
        layer = Dropout(0.5, rng=rng)
        factor = layer(np.ones(SHAPE))
        layer.p = 0.9
        dy = rng.normal(size=SHAPE)
        np.testing.assert_allclose(layer.backward(dy), dy * factor, rtol=1e-12)

    def test_p_may_be_set(self, rng):
        layer = Dropout(rng=rng)
        assert layer.p == 0.5
        layer.p = 0.25
        y = layer(np.ones(SHAPE))
        assert set(np.unique(y)) == {0.0, 1 / 0.75}
        assert (y == 0).mean() == pytest.approx(0.25, abs=0.02)
        layer.p = 0
        assert (layer(np.ones(SHAPE)) == 1).all()
        assert (layer.backward(np.ones(SHAPE)) == 1).all()

    @pytest.mark.parametrize("p", [-0.1, 1, 1.5, float("nan")])
    def test_p_is_a_probability(self, p, rng):
        with refuses("p must be a probability", str(p)):
            Dropout(p)
        layer = Dropout(rng=rng)
        layer.p = p
        with refuses("p must be a probability", str(p)):
            layer(np.ones(SHAPE))

    def test_eval_passes_everything_and_draws_nothing(self, rng):
        layer = Dropout(0.9, rng=rng).eval()
        state = rng.bit_generator.state
        x = np.ones(SHAPE)
        np.testing.assert_array_equal(layer(x), x)
        assert rng.bit_generator.state == state
        layer.train()
        assert (layer(x) == 0).any()
        assert rng.bit_generator.state != state

    def test_the_generators_state_repeats_the_mask(self, rng):
        layer = Dropout(0.5, rng=rng)
        assert layer.generators() == {"rng": rng}
        x = np.ones(SHAPE)
        state = layer.generators()["rng"].bit_generator.state
        first, second = layer(x), layer(x)
        assert (first != second).any()
        layer.generators()["rng"].bit_generator.state = state
        np.testing.assert_array_equal(layer(x), first)

    @pytest.mark.parametrize("layout", [np.ascontiguousarray, LAYOUTS["channels_last"]])
    def test_the_mask_is_drawn_in_the_order_of_the_indices(self, layout):
        """However x lies in memory; it is kept channels last, as the maps of a network lie."""
        layer, drawn = Dropout(0.3, rng=np.random.default_rng(4)), np.random.default_rng(4).random((2, 3, 4, 5), "f4")
        y = layer(layout(np.ones((2, 3, 4, 5))))
        np.testing.assert_array_equal(y > 0, drawn >= 0.3)
        mask, _ = layer.kept()
        assert np.moveaxis(mask, 1, -1).flags.c_contiguous

    def test_masks_are_the_same_for_every_dtype(self):
        masks = [Dropout(rng=np.random.default_rng(3))(np.ones(SHAPE, dtype)) > 0 for dtype in ("f4", "f8")]
        np.testing.assert_array_equal(*masks)


class TestChannelDropout:
    def test_drops_whole_channels(self, rng):
        y = ChannelDropout(0.4, rng=rng)(np.ones(SHAPE))
        channels = y.reshape(200, -1)
        assert (channels == channels[:, :1]).all()
        assert set(np.unique(y)) == {0.0, 1 / 0.6}
        assert (channels[:, 0] == 0).mean() == pytest.approx(0.4, abs=5 * np.sqrt(0.24 / 200))

    def test_backward_drops_the_same_ones(self, rng):
        layer = ChannelDropout(0.4, rng=rng)
        factor = layer(np.ones(SHAPE))
        dy = rng.normal(size=SHAPE)
        np.testing.assert_allclose(layer.backward(dy), dy * factor, rtol=1e-12)

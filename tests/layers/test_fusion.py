"""Crop and SkipFusion."""

import numpy as np
import pytest
from arrays import close, refuses
from hypothesis import given
from hypothesis import strategies as st

from fcn_from_scratch.gradcheck import layer_check
from fcn_from_scratch.layers import Conv2d, Crop, SkipFusion
from fcn_from_scratch.ops import loops


class TestCrop:
    def test_keeps_the_window(self, rng):
        x = rng.normal(size=(2, 3, 7, 9))
        np.testing.assert_array_equal(Crop((2, 3), (4, 5))(x), loops.crop_loops(x, (2, 3), (4, 5)))
        np.testing.assert_array_equal(Crop(1, 4)(x), loops.crop_loops(x, 1, 4))

    def test_the_size_given_at_forward_wins(self, rng):
        x = rng.normal(size=(2, 3, 7, 9))
        layer = Crop((2, 3), (1, 1))
        np.testing.assert_array_equal(layer(x, size=(4, 5)), loops.crop_loops(x, (2, 3), (4, 5)))
        dx = layer.backward(dy := rng.normal(size=(2, 3, 4, 5)))
        np.testing.assert_array_equal(loops.crop_loops(dx, (2, 3), (4, 5)), dy)
        assert np.count_nonzero(dx) == dy.size

    def test_no_size_at_all(self, rng):
        with refuses("Crop 'score' has no size of its own"):
            Crop(1, name="score")(rng.normal(size=(1, 1, 5, 5)))

    def test_a_window_that_does_not_fit(self, rng):
        layer, x = Crop((3, 0), (4, 9)), rng.normal(size=(1, 1, 7, 9))
        assert layer(x).shape == (1, 1, 4, 9)
        with refuses("4x9", "(3, 0)", "6x9", "padding"):
            layer(x[:, :, :6])

    def test_negative_offset(self):
        with refuses("offset must be at least 0; got (1, -1)"):
            Crop((1, -1))


def fused(scores, fine, offset):
    """The definition, pixel by pixel on the grid of the map that starts later: fine pixel = coarse pixel + offset."""
    both = zip(offset, scores.shape[2:], fine.shape[2:])
    sizes = [f if o < 0 else c if o > 0 else min(c, f) for o, c, f in both]
    y = np.zeros((*scores.shape[:2], *sizes))
    for i, j in np.ndindex(*sizes):
        u, v = (max(-o, 0) + place for o, place in zip(offset, (i, j)))
        y[:, :, i, j] = scores[:, :, u, v] + fine[:, :, u + offset[0], v + offset[1]]
    return y


class TestSkipFusion:
    @given(offset=st.tuples(*[st.integers(-3, 3)] * 2), scale=st.sampled_from([1.0, 0.01]), extra=st.integers(0, 2))
    def test_adds_where_the_maps_meet(self, offset, scale, extra):
        rng = np.random.default_rng(1)
        # the map that starts earlier reaches past the other one's end by `extra`
        coarse_size = [4 + max(-o, 0) + (extra if o < 0 else 0) for o in offset]
        fine_size = [4 + max(o, 0) + (extra if o >= 0 else 0) for o in offset]
        scores, skip = rng.normal(size=(2, 3, *coarse_size)), rng.normal(size=(2, 5, *fine_size))
        layer = SkipFusion(5, 3, offset, scale, dtype=np.float64)
        for array in layer.params.values():
            array[...] = rng.normal(size=array.shape)
        weight, bias = layer.params["weight"][:, :, 0, 0], layer.params["bias"]
        fine = np.einsum("fc,ncij->nfij", weight, scale * skip) + bias[:, None, None]
        close(layer(scores, skip), fused(scores, fine, offset))

    @pytest.mark.parametrize(("coarse", "fine"), [((4, 6), (3, 6)), ((4, 3), (5, 4)), ((5, 2), (3, 4))])
    def test_of_two_that_start_together_the_longer_one_is_cropped(self, coarse, fine, rng):
        """A pool rounds up, and nearest upsampling doubles what it made."""
        layer = SkipFusion(5, 3, dtype=np.float64)
        layer.params["weight"][...] = rng.normal(size=(3, 5, 1, 1))
        scores, skip = rng.normal(size=(2, 3, *coarse)), rng.normal(size=(2, 5, *fine))
        scored = np.einsum("fc,ncij->nfij", layer.params["weight"][:, :, 0, 0], skip)
        y = layer(scores, skip)
        close(y, fused(scores, scored, (0, 0)))
        assert max(layer_check(layer, (scores, skip), rng).values()) < 1e-7

    def test_both_inputs_get_their_gradient(self, rng):
        layer = SkipFusion(5, 3, (2, -1), 0.5, dtype=np.float64)
        weight = layer.params["weight"]
        weight[...] = rng.normal(size=weight.shape)
        scores, skip = rng.normal(size=(1, 3, 4, 6)), rng.normal(size=(1, 5, 7, 5))
        y = layer(scores, skip)
        assert y.shape == (1, 3, 4, 5)
        dy = rng.normal(size=y.shape)
        dscores, dskip = layer.backward(dy)
        expected = np.zeros_like(scores)
        expected[:, :, :, 1:] = dy
        np.testing.assert_array_equal(dscores, expected)
        expected = np.zeros_like(skip)
        expected[:, :, 2:6, :] = 0.5 * np.einsum("fc,nfij->ncij", weight[:, :, 0, 0], dy)
        close(dskip, expected)
        close(layer.grads["weight"][:, :, 0, 0], np.einsum("nfij,ncij->fc", dy, 0.5 * skip[:, :, 2:6]))
        close(layer.grads["bias"], dy.sum((0, 2, 3)))

    def test_adds_nothing_at_first(self, rng):
        layer = SkipFusion(5, 3, 1)
        scores = rng.normal(size=(1, 3, 4, 4)).astype(np.float32)
        y = layer(scores, rng.normal(size=(1, 5, 6, 6)).astype(np.float32))
        np.testing.assert_array_equal(y, scores)
        assert [(name, array.shape) for name, array in layer.params.items()] == [
            ("weight", (3, 5, 1, 1)),
            ("bias", (3,)),
        ]

    def test_scale_multiplies_the_features_and_not_the_bias(self, rng):
        layer = SkipFusion(2, 1, scale=0.01, dtype=np.float64)
        layer.params["weight"][...] = 1
        layer.params["bias"][...] = 10
        y = layer(np.zeros((1, 1, 1, 1)), np.full((1, 2, 1, 1), 300.0))
        assert y.item() == pytest.approx(0.01 * 600 + 10, rel=1e-12)

    def test_sum_of_scores_is_the_score_of_the_concatenation(self, rng):
        """Long et al. 2015, section 4.2: fusing by sum is linear in all the features together."""
        layer = SkipFusion(5, 3, dtype=np.float64)
        together = Conv2d(7, 3, 1, rng=rng, dtype=np.float64)
        coarse, skip = rng.normal(size=(2, 2, 4, 4)), rng.normal(size=(2, 5, 4, 4))
        score = Conv2d(2, 3, 1, bias=False, dtype=np.float64)
        score.params["weight"][...] = together.params["weight"][:, :2]
        layer.params["weight"][...] = together.params["weight"][:, 2:]
        close(layer(score(coarse), skip), together(np.concatenate([coarse, skip], axis=1)))

    def test_other_channels_are_named(self, rng):
        with refuses("Conv2d 'score_pool4' expects 5 input channels", "(1, 4, 6, 6)"):
            SkipFusion(5, 3, name="score_pool4")(rng.normal(size=(1, 3, 4, 4)), rng.normal(size=(1, 4, 6, 6)))

    def test_a_skip_too_small(self, rng):
        with refuses("'score': the skip is too small: it has 6x6 cells, and the other map needs 4x4", "cell (3, 3) on"):
            SkipFusion(5, 3, 3, name="score")(rng.normal(size=(1, 3, 4, 4)), rng.normal(size=(1, 5, 6, 6)))
        with refuses("the map of scores is too small: it has 4x9 cells, and the other map needs 6x6", "cell (3, 3) on"):
            SkipFusion(5, 3, -3)(rng.normal(size=(1, 3, 4, 9)), rng.normal(size=(1, 5, 6, 6)))

    def test_eval_and_train_reach_the_score_layer(self, rng):
        layer = SkipFusion(5, 3)
        layer.eval()
        assert layer.score.training is False
        layer.train()
        assert layer.score.training is True

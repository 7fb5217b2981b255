"""Softmax cross-entropy, checked by loops, PyTorch and finite differences; which pixels count, and what is refused."""

import math

import numpy as np
import pytest
from arrays import LAYOUTS, TORCH_TOLERANCES, close, refuses, torch_gradients, torch_module
from hypothesis import given
from hypothesis import strategies as st

from fcn_from_scratch import ops
from fcn_from_scratch.backend import to_numpy
from fcn_from_scratch.gradcheck import vjp_check
from fcn_from_scratch.ops import loops, loops_backward

SHAPE = (2, 4, 3, 5)
PIXELS = (2, 3, 5)

reductions = pytest.mark.parametrize("reduction", ["mean", "sum"])
# Keyword arguments besides the reduction, made from random numbers.
OPTIONS = {
    "plain": lambda rng: {},
    "weight": lambda rng: {"weight": rng.random(4) + 0.1},
    "a_class_of_weight_zero": lambda rng: {"weight": np.array([0, 0.5, 2, 1.0])},
    "bool_mask": lambda rng: {"mask": rng.random(PIXELS) < 0.6},
    "real_mask": lambda rng: {"mask": rng.random(PIXELS) * (rng.random(PIXELS) < 0.7)},
    "both": lambda rng: {"weight": rng.random(4), "mask": rng.random(PIXELS)},
}


@pytest.fixture(params=OPTIONS)
def options(request, rng):
    return OPTIONS[request.param](rng)


@pytest.fixture
def scores(rng):
    return 3 * rng.normal(size=SHAPE)


@pytest.fixture
def labels(rng):
    """About a third of the pixels are ignored; every class occurs."""
    labels = rng.integers(0, 4, PIXELS)
    labels[rng.random(PIXELS) < 0.3] = 255
    assert set(np.unique(labels)) == {0, 1, 2, 3, 255}
    return labels


def on(xp, options):
    return {name: xp.asarray(array) for name, array in options.items()}


class TestLoss:
    @reductions
    def test_equals_loops(self, xp, scores, labels, options, reduction):
        loss, _ = ops.softmax_cross_entropy(
            xp.asarray(scores), xp.asarray(labels), reduction=reduction, **on(xp, options)
        )
        expected = loops.softmax_cross_entropy_loops(scores, labels, reduction=reduction, **options)
        assert loss.shape == ()
        assert float(loss) == pytest.approx(expected, rel=1e-12)

    def test_any_memory_layout(self, rng, scores, labels, layout):
        loss, dscores = ops.softmax_cross_entropy(layout(scores), layout(labels))
        assert loss == pytest.approx(loops.softmax_cross_entropy_loops(scores, labels), rel=1e-12)
        error = vjp_check(lambda s: ops.softmax_cross_entropy(s, labels)[0], lambda dy: dy * dscores, [scores], rng)
        assert error < 1e-7

    @given(
        st.integers(1, 3),
        st.integers(1, 6),
        st.lists(st.integers(1, 4), max_size=3),
        st.sampled_from(["mean", "sum"]),
        st.sampled_from(["uint8", "int8", "int32", "int64", "uint16"]),
        st.sampled_from([255, -1, 0, None]),
        st.sampled_from(list(LAYOUTS)),
    )
    def test_any_shape_label_dtype_and_ignore_index(self, n, c, size, reduction, dtype, ignore, layout):
        rng = np.random.default_rng(0)
        scores, labels = rng.normal(size=(n, c, *size)), rng.integers(0, c, (n, *size)).astype(dtype)
        if ignore is not None and np.iinfo(dtype).min <= ignore <= np.iinfo(dtype).max:
            labels[rng.random(labels.shape) < 0.3] = ignore
        loss, dscores = ops.softmax_cross_entropy(LAYOUTS[layout](scores), labels, ignore, reduction)
        expected = loops.softmax_cross_entropy_loops(scores, labels, ignore, reduction)
        assert loss == pytest.approx(expected, rel=1e-12, abs=1e-12)
        assert dscores.shape == scores.shape
        close(dscores.sum(axis=1), np.zeros(labels.shape))
        close(dscores, loops_backward.softmax_cross_entropy_backward_loops(scores, labels, ignore, reduction))

    def test_one_label_for_each_image(self, rng):
        scores, labels = rng.normal(size=(5, 3)), np.array([0, 2, 1, 255, 2])
        loss, dscores = ops.softmax_cross_entropy(scores, labels)
        assert loss == pytest.approx(loops.softmax_cross_entropy_loops(scores, labels), rel=1e-12)
        error = vjp_check(lambda s: ops.softmax_cross_entropy(s, labels)[0], lambda dy: dy * dscores, [scores], rng)
        assert error < 1e-7

    def test_scores_all_zero_give_log_c_a_pixel(self, labels):
        loss, _ = ops.softmax_cross_entropy(np.zeros(SHAPE), labels)
        assert loss == pytest.approx(math.log(4), rel=1e-14)
        total, _ = ops.softmax_cross_entropy(np.zeros(SHAPE), labels, reduction="sum")
        assert total == pytest.approx(math.log(4) * (labels != 255).sum(), rel=1e-14)

    def test_sum_is_not_divided_by_the_number_of_images(self, scores, labels):
        once, gradient = ops.softmax_cross_entropy(scores, labels, reduction="sum")
        twice, gradients = ops.softmax_cross_entropy(
            np.concatenate([scores, scores]), np.concatenate([labels, labels]), reduction="sum"
        )
        assert twice == pytest.approx(2 * once, rel=1e-14)
        close(gradients, np.concatenate([gradient, gradient]))

    def test_mean_counts_the_valid_pixels_only(self, scores, labels):
        """Two more images whose pixels are all ignored change nothing."""
        more = np.concatenate([labels, np.full(PIXELS, 255)])
        loss, _ = ops.softmax_cross_entropy(np.concatenate([scores, scores]), more)
        assert loss == pytest.approx(loops.softmax_cross_entropy_loops(scores, labels), rel=1e-12)

    def test_weighted_mean_divides_by_the_weights(self):
        scores = np.zeros((1, 3, 1, 4))
        scores[0, 1, 0, 3] = math.log(4)  # there class 1 has the probability 4/6
        labels = np.array([[[0, 2, 255, 1]]])
        weight = np.array([5, 100, 2.0])
        loss, _ = ops.softmax_cross_entropy(scores, labels, weight=weight)
        assert loss == pytest.approx((5 * math.log(3) + 2 * math.log(3) + 100 * math.log(6 / 4)) / 107)
        loss, _ = ops.softmax_cross_entropy(scores, labels, weight=weight, reduction="sum")
        assert loss == pytest.approx(5 * math.log(3) + 2 * math.log(3) + 100 * math.log(6 / 4))

    @pytest.mark.parametrize("shift", [1e3, -1e3])
    def test_large_scores_do_not_overflow(self, scores, labels, shift):
        loss, dscores = ops.softmax_cross_entropy(scores + shift, labels)
        assert loss == pytest.approx(loops.softmax_cross_entropy_loops(scores, labels), rel=1e-9)
        assert np.isfinite(dscores).all()

    def test_float32_scores_are_summed_in_float64(self):
        """A hundred thousand pixels of equal loss: a float32 sum would lose several digits."""
        scores, labels = np.zeros((1, 3, 400, 250), np.float32), np.zeros((1, 400, 250), np.uint8)
        loss, _ = ops.softmax_cross_entropy(scores, labels, reduction="sum")
        assert loss == pytest.approx(1e5 * float(np.log(np.float32(3))), rel=1e-12)


class TestGradient:
    @reductions
    def test_equals_loops(self, xp, scores, labels, options, reduction):
        on_device = on(xp, {"scores": scores, "labels": labels} | options)
        _, dscores = ops.softmax_cross_entropy(**on_device, reduction=reduction)
        close(
            dscores,
            loops_backward.softmax_cross_entropy_backward_loops(scores, labels, reduction=reduction, **options),
        )

    @reductions
    def test_finite_differences(self, xp, rng, scores, labels, options, reduction):
        labels, options = xp.asarray(labels), on(xp, options)

        def loss(scores):
            return ops.softmax_cross_entropy(scores, labels, reduction=reduction, **options)

        scores = xp.asarray(scores)
        dscores = loss(scores)[1]
        assert vjp_check(lambda s: loss(s)[0], lambda dy: dy * dscores, [scores], rng) < 1e-7

    def test_by_hand(self):
        scores = np.log([[[1.0, 1]], [[3, 1]]]).reshape(1, 2, 1, 2)
        _, dscores = ops.softmax_cross_entropy(scores, np.array([[[0, 1]]]), reduction="sum")
        close(dscores, [[[[1 / 4 - 1, 1 / 2]], [[3 / 4, 1 / 2 - 1]]]])

    def test_what_does_not_count_gets_exactly_zero(self, scores, labels):
        mask = np.ones(PIXELS)
        mask[0, 0] = 0
        weight = np.array([0, 1, 1, 1.0])
        _, dscores = ops.softmax_cross_entropy(scores, labels, mask=mask, weight=weight)
        left_out = (labels == 255) | (labels == 0) | (mask == 0)
        per_pixel = dscores.transpose(0, 2, 3, 1)
        assert (per_pixel[left_out] == 0).all()
        assert (per_pixel[~left_out] != 0).all()

    @pytest.mark.parametrize(
        "left_out",
        [
            {"labels": np.full(PIXELS, 255)},
            {"mask": np.zeros(PIXELS)},
            {"mask": np.zeros(PIXELS, bool)},
            {"weight": np.zeros(4)},
        ],
        ids=["ignored", "masked", "masked_bool", "weightless"],
    )
    @reductions
    def test_nothing_to_learn_from_is_zero(self, xp, scores, labels, left_out, reduction):
        arguments = on(xp, {"scores": scores, "labels": labels} | left_out)
        loss, dscores = ops.softmax_cross_entropy(**arguments, reduction=reduction)
        assert float(loss) == 0
        close(dscores, np.zeros(SHAPE), 0)

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    @reductions
    def test_dtype_is_kept(self, xp, scores, labels, options, dtype, reduction):
        scores, labels = xp.asarray(scores.astype(dtype)), xp.asarray(labels)
        _, dscores = ops.softmax_cross_entropy(scores, labels, reduction=reduction, **on(xp, options))
        assert dscores.dtype == dtype

    def test_arguments_stay_as_they_are(self, scores, labels, options):
        arrays = {"scores": scores, "labels": labels} | options
        before = {name: array.copy() for name, array in arrays.items()}
        ops.softmax_cross_entropy(**arrays)
        for name, array in arrays.items():
            np.testing.assert_array_equal(array, before[name])


class TestNan:
    def test_at_a_pixel_that_counts_it_reaches_loss_and_gradient(self, xp, scores, labels):
        labels[1, 2, 3] = 2
        scores[1, 0, 2, 3] = np.nan
        loss, dscores = ops.softmax_cross_entropy(xp.asarray(scores), xp.asarray(labels))
        assert math.isnan(float(loss))
        bad = np.zeros(SHAPE, bool)
        bad[1, :, 2, 3] = True
        np.testing.assert_array_equal(np.isnan(to_numpy(dscores)), bad)

    @pytest.mark.parametrize("value", [np.nan, -np.inf])
    def test_at_a_pixel_that_does_not_count_it_is_left_out(self, xp, scores, labels, value):
        labels[1, 2, 3] = 255
        expected = loops.softmax_cross_entropy_loops(scores, labels)
        scores[1, 0, 2, 3] = value
        loss, dscores = ops.softmax_cross_entropy(xp.asarray(scores), xp.asarray(labels))
        assert float(loss) == pytest.approx(expected, rel=1e-12)
        assert np.isfinite(to_numpy(dscores)).all()


class TestSoftmax:
    def test_by_hand_and_without_overflow(self, xp):
        scores = np.log([[1.0, 3, 4], [2, 2, 4]]) + 5000
        close(ops.softmax(xp.asarray(scores)), [[1 / 8, 3 / 8, 4 / 8], [1 / 4, 1 / 4, 1 / 2]])

    def test_it_adds_up_to_one_over_the_classes(self, scores):
        y = ops.softmax(scores)
        assert (y > 0).all()
        close(y.sum(axis=1), np.ones(PIXELS))
        close(np.log(y[:, 1] / y[:, 3]), scores[:, 1] - scores[:, 3])


@pytest.mark.torch
@pytest.mark.parametrize(("dtype", "tolerance"), TORCH_TOLERANCES)
@pytest.mark.parametrize("weighted", [False, True])
@reductions
def test_equals_torch(rng, scores, labels, dtype, tolerance, weighted, reduction):
    torch = torch_module()
    scores = scores.astype(dtype)
    weight = rng.random(4).astype(dtype) if weighted else None

    def loss(scores):
        return torch.nn.functional.cross_entropy(
            scores,
            torch.tensor(labels),
            weight=None if weight is None else torch.tensor(weight),
            ignore_index=255,
            reduction=reduction,
        )

    expected, (gradient,) = torch_gradients(loss, [scores], np.ones((), dtype))
    actual, dscores = ops.softmax_cross_entropy(scores, labels, reduction=reduction, weight=weight)
    assert float(actual) == pytest.approx(float(expected), rel=tolerance)
    close(dscores, gradient, tolerance)


class TestErrors:
    scores = np.zeros(SHAPE)
    labels = np.zeros(PIXELS, int)

    @pytest.mark.parametrize("ignored", [True, False])
    @pytest.mark.parametrize("label", [4, -1, 254, 1000])
    def test_a_label_out_of_range_is_named(self, label, ignored):
        labels = self.labels.copy()
        labels[1, 2, 3] = label
        labels[0, 0, 0] = 255 if ignored else 0
        with refuses(f"id {label}", "0..3", "255"):
            ops.softmax_cross_entropy(self.scores, labels)

    def test_255_is_out_of_range_where_it_is_not_ignored(self):
        with refuses("id 255", "0..3"):
            ops.softmax_cross_entropy(self.scores, self.labels + 255, ignore_index=-1)
        with refuses("id 255", "0..3"):
            ops.softmax_cross_entropy(self.scores, self.labels + 255, ignore_index=None)

    def test_uint8_labels_out_of_range(self):
        with refuses("id 21", "30 pixels", "0..3"):
            ops.softmax_cross_entropy(self.scores, (self.labels + 21).astype(np.uint8))

    @pytest.mark.parametrize("dtype", ["float32", "float64", "bool"])
    def test_labels_are_integers(self, dtype):
        with refuses("labels", "integers", dtype):
            ops.softmax_cross_entropy(self.scores, self.labels.astype(dtype))

    @pytest.mark.parametrize("shape", [(2, 3, 4), (2, 5, 3), (2, 1, 3, 5), (1, 3, 5)])
    def test_labels_of_another_shape(self, shape):
        with refuses("labels", "(2, 3, 5)", str(shape)):
            ops.softmax_cross_entropy(self.scores, np.zeros(shape, int))

    @pytest.mark.parametrize("reduction", ["none", "average", None, "Mean"])
    def test_reduction(self, reduction):
        with refuses("reduction", "'mean'", "'sum'", repr(reduction)):
            ops.softmax_cross_entropy(self.scores, self.labels, reduction=reduction)

    @pytest.mark.parametrize("shape", [(3,), (5,), (1, 4), ()])
    def test_weight(self, shape):
        with refuses("weight", "4", str(shape)):
            ops.softmax_cross_entropy(self.scores, self.labels, weight=np.ones(shape))

    def test_mask(self):
        with refuses("mask", "(2, 3, 5)", "(2, 3, 1)"):
            ops.softmax_cross_entropy(self.scores, self.labels, mask=np.ones((2, 3, 1)))

    @pytest.mark.parametrize("shape", [(0, 4, 3, 5), (2, 0, 3, 5), (2, 4, 0, 5)])
    def test_empty(self, shape):
        with refuses("empty", str(shape)):
            ops.softmax_cross_entropy(np.zeros(shape), np.zeros((shape[0], *shape[2:]), int))

    def test_no_class_axis(self):
        with refuses("(7,)"):
            ops.softmax_cross_entropy(np.zeros(7), np.zeros(7, int))

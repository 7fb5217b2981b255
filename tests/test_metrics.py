"""Metrics against counts by hand and plain loops: nothing expected here comes from the code under test."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fcn_from_scratch.metrics import METRICS, ConfusionMatrix, boundary_band
from fcn_from_scratch.objects import objects, recall_by_size

TRUTH = np.array([0, 0, 0, 1, 1, 255, 255])
CALLED = np.array([0, 0, 2, 1, 0, 2, 1])


def scores_by_loop(labels, predictions, k, ignore=255):
    """The four metrics from sets of pixels, as exact fractions; None where nothing can be averaged."""
    pixels = [(t, p) for t, p in zip(labels.ravel().tolist(), predictions.ravel().tolist()) if t != ignore]
    if not pixels:
        return dict.fromkeys((*METRICS, "mean_iu_of_present"))
    accuracies, ious, ious_of_present, weighted = [], [], [], Fraction(0)
    for c in range(k):
        true = {n for n, (t, _) in enumerate(pixels) if t == c}
        called = {n for n, (_, p) in enumerate(pixels) if p == c}
        if true | called:
            ious.append(Fraction(len(true & called), len(true | called)))
        if true:
            accuracies.append(Fraction(len(true & called), len(true)))
            ious_of_present.append(ious[-1])
            weighted += Fraction(len(true), len(pixels)) * ious[-1]
    return {
        "pixel_accuracy": Fraction(sum(t == p for t, p in pixels), len(pixels)),
        "mean_accuracy": sum(accuracies) / len(accuracies),
        "mean_iu": sum(ious) / len(ious),
        "frequency_weighted_iu": weighted,
        "mean_iu_of_present": sum(ious_of_present) / len(ious_of_present),
    }


def draw_maps(seed, k, shape):
    """Labels in 0..k-1 and 255, predictions in 0..k-1; some classes stay empty."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, rng.integers(1, k + 1), shape)
    labels[rng.random(shape) < 0.2] = 255
    return labels, rng.integers(0, k, shape)


# --- the confusion matrix -----------------------------------------------------------------------------------


def test_sift_flow_is_scored_over_30_of_its_33_classes():
    """Three classes do not occur: called for somewhere, they count as 0 by one convention and not at all by the other.

    Two pixels of each class that occurs, one found, the other called cow (8), desert (10) or moon (15) in turn.
    """
    absent = [8, 10, 15]
    present = [id for id in range(33) if id not in absent]
    labels = np.repeat(present, 2)
    called = labels.copy()
    called[1::2] = np.resize(absent, 30)
    confusion = ConfusionMatrix(33).update(labels, called)
    assert confusion.scores()["mean_iu"] == pytest.approx(30 * 0.5 / 33, abs=1e-15)
    assert confusion.scores("skip")["mean_iu"] == pytest.approx(0.5, abs=1e-15)
    for key in ("pixel_accuracy", "mean_accuracy", "frequency_weighted_iu"):
        assert confusion.scores()[key] == confusion.scores("skip")[key] == pytest.approx(0.5, abs=1e-14)
    assert "(50.0 over the 30 of 33 classes present)" in confusion.table()


def test_matrix_rows_are_truth_and_columns_prediction():
    confusion = ConfusionMatrix(4).update(TRUTH, CALLED)
    assert confusion.matrix.dtype == np.int64
    assert confusion.matrix.tolist() == [[2, 0, 1, 0], [1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]


def test_worked_example_with_an_absent_class():
    confusion = ConfusionMatrix(4).update(TRUTH, CALLED)
    expected = {
        "pixel_accuracy": 3 / 5,
        "mean_accuracy": (2 / 3 + 1 / 2) / 2,
        "mean_iu": 1 / 3,  # (1/2 + 1/2 + 0) / 3: class 2 is absent but predicted
        "frequency_weighted_iu": 1 / 2,
    }
    assert confusion.scores() == pytest.approx(expected, abs=1e-15)
    assert tuple(confusion.scores()) == METRICS
    assert confusion.scores(absent="skip") == pytest.approx({**expected, "mean_iu": 1 / 2}, abs=1e-15)
    with pytest.raises(ValueError, match="'reference', 'skip'; got 'zero'"):
        confusion.scores(absent="zero")


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 6), st.integers(1, 7), st.integers(1, 7))
def test_scores_equal_the_loop_over_pixels(seed, k, height, width):
    labels, predictions = draw_maps(seed, k, (height, width))
    expected = scores_by_loop(labels, predictions, k)
    confusion = ConfusionMatrix(k).update(labels, predictions)
    found = {**confusion.scores(), "mean_iu_of_present": confusion.scores("skip")["mean_iu"]}
    for name, value in expected.items():
        if value is None:
            assert np.isnan(found[name])
        else:
            assert found[name] == pytest.approx(float(value), abs=1e-14), name


def test_nothing_counted_gives_nan_without_a_warning():
    for confusion in (
        ConfusionMatrix(3),
        ConfusionMatrix(3).update(np.full((2, 2), 255), np.zeros((2, 2), int)),
    ):
        assert all(np.isnan(value) for value in confusion.scores().values())
        assert all(np.isnan(value) for value in confusion.scores("skip").values())
        assert np.isnan(np.array(confusion.per_class())).all()
        assert "nan" not in confusion.table()


def test_per_class_numbers():
    per_class = ConfusionMatrix(4).update(TRUTH, CALLED).per_class()
    np.testing.assert_allclose(per_class.iu, [1 / 2, 1 / 2, 0, np.nan], atol=1e-15)
    np.testing.assert_allclose(per_class.accuracy, [2 / 3, 1 / 2, np.nan, np.nan], atol=1e-15)
    np.testing.assert_allclose(per_class.share, [3 / 5, 2 / 5, 0, 0], atol=1e-15)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint16, np.int32, np.int64, np.uint64])
def test_any_integer_type_counts_alike(dtype):
    ignore = 255 if dtype != np.int8 else -1
    labels = np.where(TRUTH == 255, ignore, TRUTH).astype(dtype)
    confusion = ConfusionMatrix(4, ignore_index=ignore).update(labels, CALLED.astype(dtype))
    assert confusion.matrix.tolist() == ConfusionMatrix(4).update(TRUTH, CALLED).matrix.tolist()


def test_ids_do_not_wrap_in_small_integer_types():
    labels, predictions = np.array([59], np.uint8), np.array([58], np.uint8)
    assert ConfusionMatrix(60).update(labels, predictions).matrix[59, 58] == 1


def test_ignore_index_may_be_a_class_or_none():
    assert ConfusionMatrix(12, ignore_index=11).update(np.array([11, 3]), np.array([0, 3])).matrix.sum() == 1
    confusion = ConfusionMatrix(2, ignore_index=None)
    with pytest.raises(ValueError, match="id 255"):
        confusion.update(np.array([255]), np.array([0]))


def test_updates_add_up_and_merge_is_the_sum():
    labels, predictions = draw_maps(1, 5, (4, 6, 7))
    whole = ConfusionMatrix(5).update(labels, predictions)
    parts = ConfusionMatrix(5)
    for n in range(4):
        parts.merge(ConfusionMatrix(5).update(labels[n], predictions[n]))
    assert np.array_equal(whole.matrix, parts.matrix)
    assert whole.matrix.sum() == (labels != 255).sum()


def test_merge_refuses_other_classes():
    with pytest.raises(ValueError, match=r"4 classes .* the other 5"):
        ConfusionMatrix(4).merge(ConfusionMatrix(5))
    with pytest.raises(ValueError, match="ignore_index 255, the other 4 and 11"):
        ConfusionMatrix(4).merge(ConfusionMatrix(4, ignore_index=11))


def test_mean_iu_of_the_set_is_not_the_mean_over_images():
    a, b, lazy = np.zeros(8, int), np.repeat([0, 1], 4), np.zeros(8, int)
    alone = [ConfusionMatrix(2).update(labels, lazy).scores()["mean_iu"] for labels in (a, b)]
    both = ConfusionMatrix(2).update(a, lazy).update(b, lazy).scores()["mean_iu"]
    assert (np.mean(alone), both) == (5 / 8, 3 / 8)


@pytest.mark.parametrize(
    ("labels", "predictions", "message"),
    [
        (np.zeros((2, 3), int), np.zeros((3, 2), int), r"\(2, 3\).*\(3, 2\)"),
        (np.zeros(2), np.zeros(2, int), "labels must be integers.*float64"),
        (np.zeros(2, int), np.zeros(2), "predictions must be integers.*float64"),
        (np.zeros(2, bool), np.zeros(2, int), "labels must be integers.*bool"),
        (np.array([0, 4]), np.zeros(2, int), "labels contain the id 4"),
        (np.array([0, -1]), np.zeros(2, int), "labels contain the id -1"),
        (np.zeros(2, int), np.array([0, 4]), "predictions contain the id 4"),
        (np.zeros(2, int), np.array([0, -1]), "predictions contain the id -1"),
        (np.zeros(2, int), np.array([0, 255]), "predictions contain the id 255"),
        (np.array([0, 255]), np.array([0, 4]), "predictions contain the id 4"),
    ],
)
def test_update_refuses_what_it_cannot_count_and_counts_nothing(labels, predictions, message):
    confusion = ConfusionMatrix(4)
    with pytest.raises(ValueError, match=message):
        confusion.update(labels, predictions)
    assert confusion.matrix.sum() == 0


def test_num_classes_is_a_positive_integer():
    with pytest.raises(ValueError, match="num_classes must be at least 1; got 0"):
        ConfusionMatrix(0)


def test_table_shows_percent_names_and_both_conventions():
    confusion = ConfusionMatrix(4).update(TRUTH, CALLED)
    rows = {line.split("  ")[0]: line.split() for line in confusion.table(["sky", "sea", "cow", "moon"]).split("\n")}
    assert rows["sky"] == ["sky", "60.0", "66.7", "50.0"]
    assert rows["cow"] == ["cow", "0.0", "-", "0.0"]
    assert rows["moon"] == ["moon", "0.0", "-", "-"]
    assert rows["mean IU"][:3] == ["mean", "IU", "33.3"]
    assert "(50.0 over the 2 of 4 classes present)" in confusion.table()
    assert "classes present" not in ConfusionMatrix(2).update(np.array([0, 1]), np.array([0, 0])).table()
    with pytest.raises(ValueError, match="4 names; got 2"):
        confusion.table(["sky", "sea"])


# --- the band along boundaries ------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 9), st.integers(1, 9), st.integers(1, 4))
def test_band_is_where_a_window_holds_two_labels(seed, height, width, reach):
    labels, _ = draw_maps(seed, 3, (height, width))
    band = boundary_band(labels, reach)
    for y in range(height):
        for x in range(width):
            window = labels[max(y - reach, 0) : y + reach + 1, max(x - reach, 0) : x + reach + 1]
            assert band[y, x] == (labels[y, x] != 255 and len(set(window.ravel().tolist())) > 1)


def test_band_lies_on_both_sides_of_the_rim():
    row = np.array([[0, 0, 0, 0, 255, 1, 1, 1, 1]], np.uint8)
    assert boundary_band(row, 1)[0].tolist() == [False, False, False, True, False, True, False, False, False]
    assert boundary_band(row, 2).sum() == 4
    assert boundary_band(row, 2, ignore_index=None).sum() == 5
    assert np.array_equal(boundary_band(np.stack([row, row]), 2)[1], boundary_band(row, 2))


def test_band_refuses_a_width_of_nothing():
    with pytest.raises(ValueError, match="width must be at least 1"):
        boundary_band(np.zeros((3, 3), int), 0)
    with pytest.raises(ValueError, match=r"shape \(3,\)"):
        boundary_band(np.zeros(3, int), 1)


# --- objects ------------------------------------------------------------------------------------------------


def objects_by_flood_fill(labels, left_out):
    """Number components in reading order, one pixel at a time."""
    numbers, count = np.zeros(labels.shape, int), 0
    for start in np.ndindex(labels.shape):
        if numbers[start] or labels[start] in left_out:
            continue
        count += 1
        waiting = [start]
        while waiting:
            y, x = waiting.pop()
            inside = 0 <= y < labels.shape[0] and 0 <= x < labels.shape[1]
            if inside and not numbers[y, x] and labels[y, x] == labels[start]:
                numbers[y, x] = count
                waiting += [(y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)]
    return numbers, count


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 3), st.integers(1, 14), st.integers(1, 14))
def test_objects_equal_a_flood_fill(seed, k, height, width):
    labels, _ = draw_maps(seed, k, (height, width))
    numbers, count = objects(labels)
    expected, expected_count = objects_by_flood_fill(labels, (0, 255))
    assert count == expected_count
    assert np.array_equal(numbers, expected)
    everything = objects(labels, ignore_index=None, background=None)[0]
    assert np.array_equal(everything, objects_by_flood_fill(labels, ())[0])


def test_one_long_snake_is_one_object():
    snake = np.zeros((61, 61), int)
    snake[:, ::2] = 1
    snake[0, 1::4] = 1  # joins neighbouring columns above and below in turn
    snake[-1, 3::4] = 1
    for labels in (snake, snake.T, np.ascontiguousarray(snake[:, ::-1])):
        numbers, count = objects(labels)
        assert count == 1
        assert np.array_equal(numbers, labels)


def test_diagonal_neighbours_are_two_objects():
    assert objects(np.array([[1, 0], [0, 1]]))[1] == 2


def test_recall_and_area_of_each_object():
    labels = np.array([[0, 2, 2, 255], [1, 2, 2, 255], [1, 0, 0, 2]])
    predictions = np.array([[0, 2, 2, 2], [1, 1, 2, 2], [0, 2, 0, 1]])
    found = recall_by_size(labels, predictions)
    assert found.label.tolist() == [2, 1, 2]
    assert found.area.tolist() == [4, 2, 1]
    np.testing.assert_allclose(found.recall, [3 / 4, 1 / 2, 0])


def test_recall_without_any_object_is_empty():
    found = recall_by_size(np.zeros((3, 4), int), np.ones((3, 4), int))
    assert [len(part) for part in found] == [0, 0, 0]


def test_recall_refuses_maps_that_differ_in_size():
    with pytest.raises(ValueError, match=r"\(3, 4\).*\(4, 3\)"):
        recall_by_size(np.zeros((3, 4), int), np.zeros((4, 3), int))
    with pytest.raises(ValueError, match=r"\(H, W\)"):
        objects(np.zeros((1, 3, 4), int))

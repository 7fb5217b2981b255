"""The rows hold the numbers that direct calls give."""

import math
import sys

import numpy as np
import pytest
import standin

from fcn_from_scratch.datasets import Sample
from fcn_from_scratch.lab.compare import METHODS, measure, predictor
from fcn_from_scratch.lab.compare.measuring import BAND, QUALITIES, SMALL, peak_bytes
from fcn_from_scratch.metrics import METRICS, ConfusionMatrix, boundary_band
from fcn_from_scratch.objects import recall_by_size
from fcn_from_scratch.training import evaluate, segment

NAMES = ("32s", "rarefy", "8s", "unpool")


@pytest.fixture(scope="module")
def predictors(nets):
    return {name: predictor(METHODS[name], nets, 8) for name in NAMES}


@pytest.fixture(scope="module")
def rows(nets, val, settings, predictors):
    found = measure(METHODS, predictors, list(val), nets["32s"].transform, settings, val, progress=False)
    return {row.method: row for row in found}


@pytest.mark.parametrize("name", ["32s", "8s", "unpool"])
def test_the_four_metrics_are_those_of_evaluate(rows, nets, val, name):
    expected = evaluate(nets[name], val).scores()
    assert {metric: getattr(rows[name], metric) for metric in METRICS} == expected


def test_borders_and_small_objects_are_measured_where_they_are(rows, nets, val):
    near, recalls = ConfusionMatrix(val.num_classes), []
    for image, labels, _ in val:
        predictions, band = segment(nets["8s"], image), boundary_band(labels, BAND)
        near.update(labels[band], predictions[band])
        found = recall_by_size(labels, predictions)
        recalls += [part for part, area in zip(found.recall, found.area) if area < SMALL]
    assert recalls
    assert rows["8s"].boundary_iu == near.scores()["mean_iu"]
    assert rows["8s"].small_recall == pytest.approx(np.mean(recalls))


def test_costs_are_the_predictors(rows, predictors, settings):
    for name, row in rows.items():
        one = predictors[name]
        assert (row.passes, row.output_stride, row.parameters) == (one.passes, one.stride, one.parameters)
        assert row.multiply_adds == one.multiply_adds((64, 96))
        assert row.steps == settings.steps
        assert row.weights == METHODS[name].stage
        assert row.milliseconds > 0
        assert row.peak_mib > 0


def test_the_methods_take_turns(nets, val, settings):
    """All methods predict a picture before the next one comes. Then another method is first."""
    calls = []

    class Spy:
        passes = stride = parameters = 1

        def __init__(self, name):
            self.name = name

        def multiply_adds(self, size):
            return 1

        def __call__(self, x):
            calls.append((self.name, float(x.sum())))
            return np.zeros((1, 6, *x.shape[2:]))

    measure(
        METHODS,
        {n: Spy(n) for n in ["8s", "16s", "32s"]},
        list(val),
        nets["32s"].transform,
        settings,
        val,
        progress=False,
    )
    scored = calls[-15:-6]
    assert [name for name, _ in scored] == ["8s", "16s", "32s", "16s", "32s", "8s", "32s", "8s", "16s"]
    assert len({total for _, total in scored[:3]}) == 1
    assert len({total for _, total in scored}) == 3
    assert calls[-6:] == [(name, scored[0][1]) for name in ("8s", "16s", "32s")] + [
        (name, scored[3][1]) for name in ("16s", "32s", "8s")
    ]  # two more rounds, for the timing only


def test_a_photo_has_costs_and_no_qualities(nets, val, settings, predictors):
    photo = Sample(val[0].image, None, "photo")
    for row in measure(METHODS, predictors, [photo], nets["32s"].transform, settings, progress=False):
        assert all(getattr(row, name) is None for name in QUALITIES)
        assert row.milliseconds > 0


def test_no_small_object_is_no_number(nets, val, settings, predictors):
    empty = Sample(val[0].image, np.zeros_like(val[0].labels), "ground")
    row, *_ = measure(METHODS, predictors, [empty], nets["32s"].transform, settings, val, progress=False)
    assert math.isnan(row.small_recall)
    assert math.isnan(row.boundary_iu)
    assert row.pixel_accuracy >= 0


def test_peak_memory_is_the_most_that_was_held_at_once():
    def two_then_one():
        a, b = np.ones(2**20, np.uint8), np.ones(2**20, np.uint8)
        del a, b
        return np.ones(2**20, np.uint8)

    assert 2 * 2**20 <= peak_bytes(two_then_one) < 2.1 * 2**20
    assert peak_bytes(lambda: None) < 2**14


def test_on_a_gpu_it_is_what_the_pool_grew_by(monkeypatch):
    class Pool:
        held = 100

        def free_all_blocks(self):
            self.held = 40

        def total_bytes(self):
            return self.held

    pool, sizes = Pool(), iter([9, 5, 7, 6])

    def call():
        pool.held += next(sizes)

    monkeypatch.setitem(sys.modules, "cupy", standin)
    monkeypatch.setattr(standin, "get_default_memory_pool", lambda: pool, raising=False)
    assert peak_bytes(call, "cuda") == 7

"""The qualities are those that direct calls give."""

import math

import numpy as np
import pytest

from fcn_from_scratch.datasets import Sample
from fcn_from_scratch.lab.compare import METHODS, predictor, score
from fcn_from_scratch.lab.compare.scoring import BAND, SMALL
from fcn_from_scratch.metrics import METRICS, ConfusionMatrix, boundary_band
from fcn_from_scratch.objects import recall_by_size
from fcn_from_scratch.training import evaluate, segment

NAMES = ("32s", "rarefy", "8s", "unpool")


@pytest.fixture(scope="module")
def predictors(nets):
    return {name: predictor(METHODS[name], nets, 8) for name in NAMES}


@pytest.fixture(scope="module")
def scores(nets, val, predictors):
    return score(predictors, list(val), nets["32s"].transform, val, progress=False)


@pytest.mark.parametrize("name", ["32s", "8s", "unpool"])
def test_the_four_metrics_are_those_of_evaluate(scores, nets, val, name):
    assert {metric: scores[name][metric] for metric in METRICS} == evaluate(nets[name], val).scores()


def test_borders_and_small_objects_are_measured_where_they_are(scores, nets, val):
    near, recalls = ConfusionMatrix(val.num_classes), []
    for image, labels, _ in val:
        predictions, band = segment(nets["8s"], image), boundary_band(labels, BAND)
        near.update(labels[band], predictions[band])
        found = recall_by_size(labels, predictions)
        recalls += [part for part, area in zip(found.recall, found.area) if area < SMALL]
    assert recalls
    assert scores["8s"]["boundary_iu"] == near.scores()["mean_iu"]
    assert scores["8s"]["small_recall"] == pytest.approx(np.mean(recalls))


def test_no_small_object_is_no_number(nets, val, predictors):
    empty = Sample(val[0].image, np.zeros_like(val[0].labels), "ground")
    found = score(predictors, [empty], nets["32s"].transform, val, progress=False)["8s"]
    assert math.isnan(found["small_recall"])
    assert math.isnan(found["boundary_iu"])
    assert found["pixel_accuracy"] >= 0

"""All rows have equal steps, and the keys depend on everything that determines the weights."""

import os

import numpy as np
import pytest
from PIL import Image

from fcn_from_scratch import datasets
from fcn_from_scratch.lab.compare import METHODS, STAGES
from fcn_from_scratch.lab.compare.training_plan import NETWORKS, chain, fingerprint
from fcn_from_scratch.models import NAMES


@pytest.mark.parametrize("method", METHODS.values(), ids=list(METHODS))
def test_every_row_is_trained_for_the_same_steps_after_the_trunk(method, settings):
    assert method.steps(settings._replace(steps=480)) == 480
    assert STAGES[method.stage].network != "classifier"


def test_every_chain_begins_at_the_trunk():
    for name in STAGES:
        if name != "trunk":
            first, *later = chain(name)
            assert first.start == "trunk"
            assert [stage.start for stage in later] == [stage.name for stage in [first, *later][:-1]]


def test_the_networks_exist():
    assert {name for names in NETWORKS.values() for name in names.values()} <= set(NAMES)


@pytest.mark.parametrize(
    "change",
    [
        {"steps": 9},
        {"seed": 1},
        {"batch_size": 3},
        {"crop": (32, 32)},
        {"options": {"width": 3, "fc6_kernel": 2}},
        {"num_classes": 7},
        {"family": "vgg16"},
        {"data": {}},
        {"weights": "1f"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_key_depends_on_every_setting(settings, change):
    assert settings._replace(**change).key(STAGES["8s"]) != settings.key(STAGES["8s"])


def test_a_key_depends_on_the_stage_and_all_before_it(settings, monkeypatch):
    keys = {settings.key(stage) for stage in STAGES.values()}
    assert len(keys) == len(STAGES)
    before = settings.key(STAGES["8s"])
    monkeypatch.setitem(STAGES, "32s-half", STAGES["32s-half"]._replace(lr=0.04))
    assert settings.key(STAGES["8s"]) != before
    assert settings.key(STAGES["unpool"]) in keys  # it does not start from there


def test_drawn_scenes_are_told_apart_by_their_pixels(train):
    again = datasets.Shapes(count=6, size=(64, 96), split="train", classes_by="colour")
    assert fingerprint(again) == fingerprint(train)
    for other in ({"seed": 1}, {"noise": 7.0}, {"count": 7}, {"classes_by": "shape"}):
        options = {"count": 6, "size": (64, 96), "classes_by": "colour", **other}
        assert fingerprint(datasets.Shapes(**options)) != fingerprint(train)


def test_files_are_told_apart_by_size_and_time(tmp_path):
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
        Image.fromarray(np.zeros((8, 9), np.uint8)).save(tmp_path / folder / "one.png")

    def now():
        return fingerprint(datasets.build("folder", tmp_path, "train", 2))

    before = now()
    assert now() == before
    os.utime(tmp_path / "labels" / "one.png", (1, 1))
    assert now() != before

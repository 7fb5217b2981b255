"""All rows have equal steps, structure and schedule are kept apart, and the keys depend on what determines weights."""

import os
import shutil

import numpy as np
import pytest
from PIL import Image

from fcn_from_scratch import datasets
from fcn_from_scratch.lab.compare import METHODS, STAGES
from fcn_from_scratch.lab.compare.training_plan import NETWORKS, chain, fingerprint
from fcn_from_scratch.models import NAMES


@pytest.mark.parametrize("method", METHODS.values(), ids=list(METHODS))
@pytest.mark.parametrize("steps", [480, 400, 97])
def test_every_row_is_trained_for_the_same_steps_after_the_trunk(method, steps, settings):
    assert method.steps(settings._replace(steps=steps)) == steps
    assert STAGES[method.stage].network != "classifier"


def test_structures_are_trained_in_one_go_and_schedules_in_equal_parts(settings):
    staged = {name for name, method in METHODS.items() if method.family == "stages"}
    assert staged == {"16s-staged", "8s-staged"}
    for name, method in METHODS.items():
        steps = [settings._replace(steps=480).steps_of(stage) for stage in chain(method.stage)]
        assert steps == {"16s-staged": [240, 240], "8s-staged": [160, 160, 160]}.get(name, [480])
    assert [stage.network for stage in chain("8s-third")] == ["32s", "16s", "8s in stages"]
    for names in NETWORKS.values():  # the networks of both schedules are the same up to the factors on the skips
        assert names["8s"].replace("_atonce", "") == names["8s in stages"]


def test_only_32s_fixed_has_a_frozen_trunk():
    assert [name for name, stage in STAGES.items() if stage.frozen] == ["32s-fixed"]


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
        {"rates": {"16s-third": 0.5}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_key_depends_on_every_setting(settings, change):
    assert settings._replace(**change).key("8s-third") != settings.key("8s-third")


def test_a_key_depends_on_the_stage_and_all_before_it(settings, monkeypatch):
    keys = {settings.key(name) for name in STAGES}
    assert len(keys) == len(STAGES)
    before = settings.key("8s-third")
    monkeypatch.setitem(STAGES, "32s-third", STAGES["32s-third"]._replace(lr=0.7))
    assert settings.key("8s-third") != before
    assert settings.key("unpool") in keys  # it does not start from there


def test_rates_of_other_stages_do_not_matter(settings):
    tuned = settings._replace(rates={"32s": 0.7, "32s-half": STAGES["32s-half"].lr})
    assert tuned.stage("32s").lr == 0.7
    assert tuned.key("32s") != settings.key("32s")
    assert tuned.stage("8s") == STAGES["8s"]
    for name in ("trunk", "8s", "32s-half", "16s-half"):
        assert tuned.key(name) == settings.key(name)


def test_drawn_scenes_are_told_apart_by_their_pixels(train):
    again = datasets.Shapes(count=6, size=(64, 96), split="train", classes_by="colour")
    assert fingerprint(again) == fingerprint(train)
    for other in ({"seed": 1}, {"noise": 7.0}, {"count": 7}, {"classes_by": "shape"}):
        options = {"count": 6, "size": (64, 96), "classes_by": "colour", **other}
        assert fingerprint(datasets.Shapes(**options)) != fingerprint(train)


def test_files_are_told_apart_by_their_bytes(tmp_path):
    """A copy in another folder, made at another time, is the same data. Other labels of the same size are not."""
    here, there = tmp_path / "here", tmp_path / "there"
    for folder in ("images", "labels"):
        (here / folder).mkdir(parents=True)
        Image.fromarray(np.zeros((8, 9), np.uint8)).save(here / folder / "one.bmp")

    def of(root):
        return fingerprint(datasets.build("folder", root, "train", 2))

    before = of(here)
    shutil.copytree(here, there)
    os.utime(there / "labels" / "one.bmp", (1, 1))
    assert of(there) == of(here) == before
    Image.fromarray(np.ones((8, 9), np.uint8)).save(there / "labels" / "one.bmp")
    assert (there / "labels" / "one.bmp").stat().st_size == (here / "labels" / "one.bmp").stat().st_size
    assert of(there) != before

"""The data of a recipe: which data set, modality and splits it takes, and how a departure is named."""

import re

import numpy as np
import pytest
import trees

from fcn_from_scratch import models
from fcn_from_scratch.training import checkpoint
from fcn_from_scratch.training.recipes import RECIPES

TINY = ["--width", 2, "--steps", 1]


def settled(folder):
    return checkpoint.read(folder / "checkpoint.npz")[1]["extra"]["arguments"]


def departures(out):
    found = re.findall("changed settings: (.*)", out)
    return {part for part in found[0].split(", ") if not part.startswith(("--steps", "--lr"))} if found else set()


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root, rng = tmp_path_factory.mktemp("data"), np.random.default_rng(3)
    trees.nyud(root, rng, train=["5001"], val=["5002"], test=["5003", "5004", "5005"])
    trees.siftflow(root, rng, ["coast_a"], ["coast_b", "coast_c"])
    trees.voc(root, rng, "VOC2011", train=["2007_000001"], val=["2007_000011", "2009_000004"])
    trees.sbd(root, rng, train=["2008_000001", "2009_000004"], val=["2008_000003"])
    trees.pascalcontext(root, rng, train=["2008_000002"], val=["2008_000004"])
    return root


@pytest.fixture
def train(done, tmp_path, data):
    """A function that trains by a recipe; returns the output and the settings that the run recorded."""

    def train(recipe, *words, folder="run", root=data):
        out = done("train", "--recipe", recipe, "--root", root, *TINY, *words, "--out", tmp_path / folder)
        return out, settled(tmp_path / folder)

    return train


# what the public code's data layers and scoring scripts take: data set, modality, split; data set and split of scoring
PUBLISHED = {
    "fcn32s-heavy": ("sbd", None, "train", "voc", "seg11valid", 2, 1),
    "siftflow-fcn32s-heavy": ("siftflow", None, "trainval", None, "test", 2, 1),
    "nyud-fcn32s-color-heavy": ("nyud", "color", "trainval", None, "test", 2, 3),
    "nyud-fcn32s-color-d-heavy": ("nyud", "color-d", "trainval", None, "test", 2, 3),
    "nyud-fcn32s-hha-heavy": ("nyud", "hha", "trainval", None, "test", 2, 3),
    "nyud-fcn32s-color-hha-heavy": ("nyud", "color-hha", "trainval", None, "test", 2, 3),
    "pascalcontext-fcn32s-heavy": ("pascalcontext", None, "train", None, "val", 1, 1),
    "fcn32s-cvpr": ("voc", None, "train", None, "val", 1, 2),
}


@pytest.mark.parametrize("recipe", PUBLISHED)
def test_a_recipe_takes_the_published_data(train, recipe):
    *names, pictures, scored = PUBLISHED[recipe]
    out, arguments = train(recipe, *(["--iter-size", 1] if "cvpr" in recipe else []))
    found = [arguments[name] for name in ("dataset", "modality", "split", "val_dataset", "val_split")]
    assert found == names
    assert f"; {pictures} pictures of {names[0]}; " in out
    assert departures(out) <= {"--iter-size 1 for 20"}
    data = RECIPES[recipe].data
    assert (f"note: {names[0]} {names[2]} has {pictures} pictures here" in out) == (data.pictures is not None)
    assert (f"{names[4]} has {scored} pictures here" in out) == (data.val_pictures is not None)


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--split", "train"], {"--split train for trainval"}),
        (["--val-split", "val"], {"--val-split val for test"}),
        (["--modality", "color"], {"--modality color for hha"}),
        (["--modality", "color", "--val-split", "train"], {"--modality color for hha", "--val-split train for test"}),
        (["--modality", "hha", "--split", "trainval", "--val-split", "test"], set()),
    ],
)
def test_a_departure_is_named_in_one_line(train, words, named):
    out, arguments = train("nyud-fcn32s-hha-heavy", *words)
    assert departures(out) == named
    assert out.count("changed settings") == 1
    for option, value in zip(words[::2], words[1::2]):
        assert arguments[option.removeprefix("--").replace("-", "_")] == value
    assert ("pictures here" in out) == (not named), "the numbers are those of the recipe's splits"


def test_another_data_set_is_named(train):
    out, arguments = train("nyud-fcn32s-color-heavy", "--dataset", "voc")
    assert departures(out) == {"--dataset voc for nyud"}
    assert (arguments["split"], arguments["val_split"], arguments["modality"]) == ("train", "val", None)


def test_scored_elsewhere(train):
    out, arguments = train("fcn32s-heavy", "--val-dataset", "sbd")
    assert departures(out) == {"--val-dataset sbd for voc", "--val-split val for seg11valid"}
    assert (arguments["val_dataset"], arguments["val_split"]) == ("sbd", "val")


def test_options_of_drawn_shapes_choose_them(done, tmp_path):
    out = done("train", "--recipe", "fcn32s-heavy", *TINY, "--size", "32x32", "--count", 2, "--out", tmp_path / "r")
    assert departures(out) == {"--dataset shapes for sbd"}


def test_without_a_root(mistake, tmp_path):
    error = mistake("train", "--recipe", "siftflow-fcn32s-heavy", *TINY, "--out", tmp_path / "r")
    assert "dataset siftflow needs a root" in error


def test_a_recipe_nobody_asked_for_leaves_the_data(done, data, tmp_path):
    """A network implies settings. The data is what the command line says, and the difference is named."""
    words = ["--dataset", "nyud", "--modality", "color-hha", "--root", data]
    out = done("train", "--model", "fcn32s_late_fusion", *TINY, *words, "--out", tmp_path / "r")
    assert out.startswith("recipe nyud-fcn32s-color-hha-heavy ")
    assert departures(out) == {"--split train for trainval", "--val-split val for test"}


class TestSbdsOwnFolder:
    """--root may name SBD's folder itself; VOC is then looked for above it, or named."""

    def test_voc_above_it(self, train, done, data, tmp_path):
        out, _ = train("fcn32s-heavy", root=data / "benchmark_RELEASE" / "dataset")
        assert "seg11valid has 1 pictures here" in out
        done("evaluate", "--out", tmp_path / "run", "--save-dir", tmp_path / "ids")
        assert [path.stem for path in (tmp_path / "ids").iterdir()] == ["2007_000011"]

    def test_voc_elsewhere(self, train, mistake, tmp_path):
        rng = np.random.default_rng(5)
        trees.sbd(tmp_path / "a", rng, train=["2008_000001"])
        trees.voc(tmp_path / "b", rng, "VOC2011", val=["2007_000011", "2008_000001"])
        words = ["train", "--recipe", "fcn32s-heavy", "--root", tmp_path / "a", *TINY, "--out", tmp_path / "r"]
        assert "the run is scored on voc seg11valid: pass --val-root" in mistake(*words)
        out, arguments = train("fcn32s-heavy", "--val-root", tmp_path / "b", root=tmp_path / "a")
        assert "seg11valid has 1 pictures here" in out
        assert arguments["val_root"] == str(tmp_path / "b")
        (tmp_path / "b").rename(tmp_path / "moved")
        words = ["--out", tmp_path / "run", "--root", tmp_path / "moved"]
        assert "seg11valid needs" in mistake("evaluate", *words), "SBD's list is not below the new folder"

    def test_a_resumed_run_finds_both(self, train, done, tmp_path):
        train("fcn32s-heavy")
        out = done("train", "--resume", "--steps", 2, "--out", tmp_path / "run")
        assert "going on at step 1 of 2" in out
        assert "1 image" not in out


def test_evaluate_takes_the_scoring_data_of_the_run(train, done, tmp_path):
    train("nyud-fcn32s-hha-heavy")
    done("evaluate", "--out", tmp_path / "run", "--save-dir", tmp_path / "ids")
    assert sorted(path.stem for path in (tmp_path / "ids").iterdir()) == ["5003", "5004", "5005"]
    train("fcn32s-heavy", folder="voc")
    done("evaluate", "--out", tmp_path / "voc", "--save-dir", tmp_path / "ids2")
    assert [path.stem for path in (tmp_path / "ids2").iterdir()] == ["2007_000011"]


class TestStarts:
    """Where a recipe starts, by the command line."""

    def start(self, tmp_path, name, options=None, seed=1):
        net = models.build("fcn32s", 40, width=2, seed=seed, **(options or {}))
        np.savez(tmp_path / name, **net.params)
        return net

    def test_color_d_from_vgg16(self, train, tmp_path):
        net = self.start(tmp_path, "vgg16.npz")
        out, _ = train("nyud-fcn32s-color-d-heavy", "--weights", tmp_path / "vgg16.npz", "--lr", 0)
        arrays = checkpoint.read(tmp_path / "run" / "checkpoint.npz")[0]
        weight = net.params["conv1_1.weight"]
        np.testing.assert_array_equal(arrays["model/conv1_1_bgrd.weight"][:, :3], weight)
        np.testing.assert_allclose(arrays["model/conv1_1_bgrd.weight"][:, 3], weight.mean(axis=1), atol=1e-7)
        assert "the fourth channel of conv1_1_bgrd.weight, the depth, starts as the mean of the file's three" in out
        assert "missing" not in out

    def test_color_hha_from_two_files(self, train, tmp_path):
        colour, hha = self.start(tmp_path, "c.npz", seed=1), self.start(tmp_path, "h.npz", seed=2)
        out, arguments = train(
            *("nyud-fcn32s-color-hha-heavy", "--weights", tmp_path / "c.npz", tmp_path / "h.npz", "--lr", 0)
        )
        arrays = checkpoint.read(tmp_path / "run" / "checkpoint.npz")[0]
        for name, weight in colour.params.items():
            layer, _, kind = name.rpartition(".")
            np.testing.assert_array_equal(arrays[f"model/{layer}color.{kind}"], weight)
            np.testing.assert_array_equal(arrays[f"model/{layer}hha.{kind}"], hha.params[name])
        assert arguments["weights"] == [str(tmp_path / "c.npz"), str(tmp_path / "h.npz")]
        assert "warning" not in out

    def test_the_steps_of_its_two_files_are_checked(self, train, tmp_path):
        for modality in ("color", "hha"):
            train(f"nyud-fcn32s-{modality}-heavy", folder=modality)
        files = [tmp_path / modality / "checkpoint.npz" for modality in ("color", "hha")]
        out, _ = train("nyud-fcn32s-color-hha-heavy", "--weights", *files)
        assert f"note: {files[0]} is of step 1; the published network starts from step 28,000" in out
        assert f"note: {files[1]} is of step 1; the published network starts from step 60,000" in out

    def test_without_weights(self, train):
        out, _ = train("nyud-fcn32s-color-hha-heavy")
        assert (
            "warning: it starts from nyud-fcn32s-color-heavy at step 28,000 and nyud-fcn32s-hha-heavy at step 60,000: "
            "pass --weights FILE FILE"
        ) in out

    def test_two_files_for_one_network(self, mistake, data, tmp_path):
        self.start(tmp_path, "c.npz")
        words = ["train", "--recipe", "nyud-fcn32s-color-heavy", "--root", data, *TINY, "--out", tmp_path / "r"]
        error = mistake(*words, "--weights", tmp_path / "c.npz", tmp_path / "c.npz")
        assert "2 files of weights were given: only a late fusion starts from two" in error

    @pytest.mark.parametrize("words", [["--new-scores"], ["--new-scores", 6]])
    def test_old_classes(self, done, tmp_path, words):
        start = models.build("mini_fcn8s", 8, width=2, seed=1)
        start.params["score_fr.weight"][...] = 5
        np.savez(tmp_path / "w.npz", **start.params)
        shapes = ["--width", 2, "--size", "32x32", "--count", 4, "--steps", 1, "--lr", 0]
        done("train", *shapes, "--weights", tmp_path / "w.npz", *words, "--out", tmp_path / "r")
        weight = checkpoint.read(tmp_path / "r" / "checkpoint.npz")[0]["model/score_fr.weight"]
        assert weight.shape[0] == 6
        assert (weight == (5 if len(words) > 1 else 0)).all()

    def test_more_old_classes_than_there_are(self, mistake, tmp_path):
        np.savez(tmp_path / "w.npz", **models.build("mini_fcn8s", 8, width=2).params)
        shapes = ["--width", 2, "--size", "32x32", "--count", 4, "--steps", 1]
        words = ["--weights", tmp_path / "w.npz", "--new-scores", 7, "--out", tmp_path / "r"]
        assert "keeps the rows of 7 classes" in mistake("train", *shapes, *words)

"""`fcn train --recipe`: its settings, those of the command line, and the warnings."""

import re

import numpy as np
import pytest

from fcn_from_scratch import models
from fcn_from_scratch.training import checkpoint
from fcn_from_scratch.training.recipes import RECIPES

TINY = ["--width", "2", "--size", "32x32", "--count", "4"]


def settled(folder):
    """The settings that a run recorded."""
    return checkpoint.read(folder / "checkpoint.npz")[1]["extra"]["arguments"]


class TestList:
    def test_prints_all(self, fcn, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        status, out, err = fcn("train", "--recipe", "list")
        assert (status, err) == (0, "")
        assert {line.split()[0] for line in out.splitlines() if line} >= RECIPES.keys()
        assert list(tmp_path.iterdir()) == []

    def test_a_wrong_name(self, fcn, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        status, _, err = fcn("train", "--recipe", "fcn64s-heavy")
        assert status == 2
        assert err == "fcn: there is no recipe 'fcn64s-heavy'; `fcn train --recipe list` prints all recipes\n"
        assert list(tmp_path.iterdir()) == []


class TestARecipe:
    @pytest.fixture
    def run(self, fcn, tmp_path):
        def run(*words, folder="r"):
            status, out, err = fcn("train", *TINY, *words, "--out", tmp_path / folder)
            assert (status, err) == (0, "")
            return out, settled(tmp_path / folder)

        return run

    def test_sets_everything(self, run):
        out, arguments = run("--recipe", "fcn16s-heavy", "--steps", 1)
        expected = {
            "model": "fcn16s",
            "lr": 1e-12,
            "momentum": 0.99,
            "weight_decay": 5e-4,
            "reduction": "sum",
            "batch_size": 1,
            "iter_size": 1,
            "schedule": "fixed",
            "sampling": "replacement",
            "no_augment": True,
        }
        assert {name: arguments[name] for name in expected} == expected
        assert "public code" in out.splitlines()[0]

    def test_a_network_implies_its_recipe(self, run):
        out, arguments = run("--model", "fcn8s", "--steps", 1)
        assert (arguments["recipe"], arguments["lr"]) == ("fcn8s-heavy", 1e-14)
        assert out.startswith("recipe fcn8s-heavy ")

    def test_a_lesson_network_says_nothing_about_recipes(self, run):
        out, arguments = run("--model", "mini_fcn8s", "--steps", 1)
        assert (arguments["recipe"], arguments["sampling"], arguments["schedule"]) == ("mini", "epoch", "poly")
        assert out.startswith("mini_fcn8s: ")

    def test_flags_override_and_are_named(self, run):
        words = ["--lr", 1e-9, "--iter-size", 2, "--momentum", 0.99, "--model", "mini_fcn16s"]
        out, arguments = run("--recipe", "fcn16s-heavy", "--steps", 1, *words)
        assert (arguments["lr"], arguments["iter_size"], arguments["model"]) == (1e-9, 2, "mini_fcn16s")
        (changed,) = re.findall("changed settings: (.*)", out)
        assert set(changed.split(", ")) == {
            "--model mini_fcn16s for fcn16s",
            "--steps 1 for 100000",
            "--lr 1e-09 for 1e-12",
            "--iter-size 2 for 1",
            "--dataset shapes for sbd",
        }

    def test_an_overriding_crop_augments(self, done, tmp_path):
        data = [
            "--dataset",
            "voc",
            "--root",
            "sample",
            "--split",
            "train",
            "--val-dataset",
            "voc",
            "--val-split",
            "val",
        ]
        words = ["--width", 2, "--recipe", "fcn32s-heavy", "--steps", 1, "--crop", "16x16"]
        done("train", *data, *words, "--out", tmp_path / "r")
        assert settled(tmp_path / "r")["no_augment"] is False

    def test_options_of_the_network(self, run, tmp_path):
        run("--recipe", "fcn16s-cvpr", "--steps", 1)
        assert "model/upscore2.weight" in checkpoint.read(tmp_path / "r" / "checkpoint.npz")[0], "learned there"
        run("--recipe", "fcn16s-heavy", "--steps", 1, folder="s")
        assert "model/upscore2.weight" not in checkpoint.read(tmp_path / "s" / "checkpoint.npz")[0]

    def test_where_it_starts(self, run, tmp_path):
        out, _ = run("--recipe", "fcn32s-heavy", "--steps", 1)
        assert "warning: it starts from VGG16: pass --weights" in out
        out, _ = run(
            *("--recipe", "fcn16s-heavy", "--steps", 1, "--weights", tmp_path / "r" / "checkpoint.npz"), folder="s"
        )
        assert "warning" not in out
        assert "missing: score_pool4.weight, score_pool4.bias" in out

    @pytest.mark.parametrize(
        ("words", "text"),
        [
            (["--recipe", "fcn32s-heavy", "--reduction", "mean"], "1e-10 is a rate for a summed loss"),
            (["--recipe", "fcn32s-cvpr", "--reduction", "sum"], "0.0001 is large for reduction 'sum'"),
        ],
    )
    def test_a_rate_of_the_other_reduction(self, fcn, tmp_path, words, text):
        _, out, _ = fcn("train", *TINY, *words, "--steps", 1, "--out", tmp_path / "r")
        assert len(re.findall(f"(?m)^warning: the learning rate {re.escape(text)}", out)) == 1

    def test_resuming_keeps_it(self, run, fcn, tmp_path):
        """The rule for biases is kept too. It belongs to the recipe and is not an option of the command line."""
        run("--recipe", "fcn_alexnet-heavy", "--steps", 1, "--iter-size", 1)
        status, out, _ = fcn("train", "--resume", "--steps", 2, "--out", tmp_path / "r")
        assert status == 0
        assert "going on at step 1 of 2" in out
        assert "changed" not in out
        assert settled(tmp_path / "r")["recipe"] == "fcn_alexnet-heavy"


def test_whole_pictures_drawn_with_replacement(fcn, tmp_path, monkeypatch):
    """The recipe trains on whole, unchanged pictures, each drawn from all."""
    from fcn_from_scratch import datasets

    seen = []
    original = datasets.Batches._sample
    monkeypatch.setattr(
        datasets.Batches, "_sample", lambda self, index, place: seen.append(index) or original(self, index, place)
    )
    words = ["train", *TINY[:-1], 8, "--recipe", "fcn32s-heavy", "--steps", 8, "--out", tmp_path / "r"]
    assert fcn(*words)[0] == 0
    assert len(seen) == 8
    assert len(set(seen)) < 8, "a permutation would show each of the 8 once"
    assert max(seen) < 8


def test_the_bias_rule_reaches_the_weights(fcn, tmp_path):
    """The trunk's gradients are zero, so only decay changes it. AlexNet's base biases decay, VGG's do not."""
    words = ["--size", "32x32", "--count", 2, "--width", 2, "--steps", 1, "--weight-decay", 1, "--lr", 1e-3]
    moved = {}
    for recipe, layer in (("fcn_alexnet-heavy", "conv3"), ("fcn32s-heavy", "conv3_1")):
        start = models.build(RECIPES[recipe].model, 6, width=2, seed=0)
        start.params[f"{layer}.bias"][...] = 1
        np.savez(tmp_path / f"{layer}.npz", **start.state_dict())
        status, *_ = fcn(
            *("train", *words, "--recipe", recipe, "--iter-size", 1, "--reduction", "mean"),
            *("--weights", tmp_path / f"{layer}.npz", "--out", tmp_path / layer),
        )
        assert status == 0
        arrays = checkpoint.read(tmp_path / layer / "checkpoint.npz")[0]
        moved[layer] = float(np.median(1 - arrays[f"model/{layer}.bias"]))
    # score_fr starts at zero, so the trunk gets no gradient in the first step and changes by decay only
    assert moved["conv3"] == pytest.approx(1e-3, rel=1e-3)
    assert moved["conv3_1"] == 0

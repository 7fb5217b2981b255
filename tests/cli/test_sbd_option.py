"""--sbd DIR: where SBD's training list lies, for VOC's split seg11valid, in train, evaluate and data."""

import shutil

import numpy as np
import pytest
import trees

from fcn_from_scratch import models
from fcn_from_scratch.training import checkpoint

TINY = ["--model", "mini_fcn8s", "--width", "2", "--steps", "1", "--batch-size", "1"]


@pytest.fixture
def places(tmp_path, rng):
    """VOC 2011 in one folder and SBD in another. Of val, b is trained on."""
    trees.voc(tmp_path / "voc", rng, "VOC2011", train=["t"], val=["a", "b", "c"])
    trees.sbd(tmp_path / "far", rng, train=["b", "t"], val=["a"])
    return tmp_path / "voc", tmp_path / "far"


def test_train_and_evaluate_score_on_seg11valid(done, fcn, places, tmp_path):
    voc, sbd = places
    out = tmp_path / "run"
    split = ["--val-split", "seg11valid"]
    status, _, err = fcn("train", *TINY, "--dataset", "voc", "--root", voc, *split, "--out", out)
    assert (status, err.count("\n")) == (2, 1)
    assert "--sbd DIR tells where SBD is" in err
    text = done("train", *TINY, "--dataset", "voc", "--root", voc, *split, "--sbd", sbd, "--out", out)
    assert f"voc train: 1 picture of {voc / 'VOCdevkit/VOC2011'}\n" in text
    assert f"voc seg11valid: 2 pictures of {voc / 'VOCdevkit/VOC2011'}\n" in text
    again = done("evaluate", "--out", out, "--split", "seg11valid")  # the run remembers where SBD is
    assert "voc seg11valid: 2 pictures" in again
    weights = ["--weights", out / "checkpoint.npz", "--dataset", "voc", "--root", voc, "--split", "seg11valid"]
    assert fcn("evaluate", *weights)[0] == 2
    assert "voc seg11valid: 2 pictures" in done("evaluate", *weights, "--sbd", sbd / "benchmark_RELEASE")


def test_a_resumed_run_finds_sbd_where_it_was_moved(done, places, tmp_path, monkeypatch):
    _, sbd = places
    out = tmp_path / "run"
    monkeypatch.chdir(tmp_path)
    words = ["--dataset", "voc", "--root", "voc", "--val-split", "seg11valid", "--sbd", "far", "--out", out]
    done("train", *TINY, *words)
    assert checkpoint.read(out / "checkpoint.npz")[1]["extra"]["arguments"]["sbd"] == str(sbd)
    shutil.move(sbd, tmp_path / "near")
    done("train", "--resume", "--out", out, "--steps", 2, "--sbd", tmp_path / "near")
    arguments = checkpoint.read(out / "checkpoint.npz")[1]["extra"]["arguments"]
    assert arguments["sbd"] == str(tmp_path / "near")


@pytest.mark.parametrize("dataset", ["shapes", "camvid", "nyud"])
def test_other_datasets_have_no_use_for_it(fcn, tmp_path, dataset):
    root = [] if dataset == "shapes" else ["--root", tmp_path]
    words = ["--sbd", tmp_path, "--val-split", "seg11valid"]
    status, _, err = fcn("train", *TINY, "--dataset", dataset, *root, *words, "--out", tmp_path / "run")
    assert (status, err) == (
        2,
        f"fcn: --sbd is for --dataset voc with the split seg11valid; dataset is {dataset}\n",
    )


def test_other_splits_have_no_use_for_it(fcn, places, tmp_path):
    """An option is honoured or refused, and never dropped."""
    voc, sbd = places
    data = ["--dataset", "voc", "--root", voc, "--sbd", sbd]
    status, _, err = fcn("train", *TINY, *data, "--out", tmp_path / "run")
    expected = "fcn: --sbd is for the split seg11valid of voc; this command reads train and val\n"
    assert (status, err) == (2, expected)
    assert not (tmp_path / "run").exists()
    np.savez(tmp_path / "w.npz", **models.build("mini_fcn8s", 21).state_dict())
    words = ["--weights", tmp_path / "w.npz", "--model", "mini_fcn8s"]
    status, _, err = fcn("evaluate", *words, *data, "--split", "val")
    assert (status, err) == (2, expected.replace("train and ", ""))


def test_data_counts_seg11valid(fcn, places):
    voc, sbd = places
    out = fcn("data", "voc", "--root", voc, "--sbd", sbd)[1]
    assert "seg11valid: 2 pictures; a complete set has 736\n" in out
    assert f"  read from {voc / 'VOCdevkit/VOC2011'}\n" in out
    assert "compared with VOC's development kit" in out
    np.testing.assert_equal(out.count("found  "), 4)
    assert "needs benchmark_RELEASE/dataset/train.txt" in fcn("data", "voc", "--root", voc)[1]

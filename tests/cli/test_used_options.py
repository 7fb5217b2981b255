"""Every option that is given is used or refused; none is dropped without a word. What messages name."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from cli_runs import TINY, write_folder
from PIL import Image


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--new-scores"], "--new-scores has no use here: it says what is taken from --weights FILE"),
        (["--new-scores", "3"], "--new-scores has no use here"),
        (["--preprocessing", "caffe"], "--preprocessing has no use here: it says what --weights FILE expects"),
        (["--crop", "16x16"], "--crop has no use here: drawn shapes are not cropped"),
        (["--modality", "hha"], "--modality is for --dataset nyud"),
        (["--modality", "color"], "--modality is for --dataset nyud"),
        (["--out", ""], "argument --out: invalid folder value: ''"),
        (["--resume", "--recipe", "list"], "--recipe list only prints the recipes: leave out --resume"),
        (["--batch-size", "10001"], "argument --batch-size: invalid"),
        (["--iter-size", "1000000"], "argument --iter-size: invalid"),
        (["--size", "2000x1001"], "drawn shapes have at most 2,000,000 pixels; --size says 2000x1001"),
        (["--count", "100001"], "at most 100,000 shapes are drawn; --count says 100,001"),
    ],
)
def test_train_on_shapes(fcn, tmp_path, monkeypatch, words, reason):
    monkeypatch.chdir(tmp_path)
    status, out, err = fcn("train", *TINY, "--steps", 1, *words)
    assert (status, err.count("\n")) == (2, 1), err
    assert reason in err
    assert "recipe" not in out
    assert not any(tmp_path.iterdir())


def test_train_on_pictures(fcn, tmp_path):
    root = write_folder(tmp_path / "data", [(33, 40), (20, 50)], ids=3)
    words = ["--dataset", "folder", "--root", root, "--width", 2, "--steps", 1, "--batch-size", 1]
    status, _, err = fcn("train", *words, "--crop", "16x16", "--no-augment", "--out", tmp_path / "run")
    assert status == 2
    assert "--crop has no use here: --no-augment trains on whole pictures" in err
    assert fcn("train", *words, "--crop", "16x16", "--out", tmp_path / "run")[0] == 0


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--preprocessing", "torchvision"], "records its own preprocessing: leave out --preprocessing"),
        (["--dataset", "shapes", "--modality", "hha"], "--modality is for --dataset nyud"),
        (["--out", ""], "argument --out: invalid folder value"),
        (["--save-dir", ""], "argument --save-dir: invalid folder value"),
        (["--size", "9000x9000"], "drawn shapes have at most 2,000,000 pixels"),
    ],
)
def test_evaluate(fcn, trained, words, reason):
    status, _, err = fcn("evaluate", "--weights", trained.checkpoint, *words)
    assert (status, err.count("\n")) == (2, 1), err
    assert reason in err


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--preprocessing", "caffe"], "records its own preprocessing: leave out --preprocessing"),
        (["--out", ""], "argument --out: invalid folder value"),
        (["--modality", "hha"], "--modality belongs to --dataset nyud"),
    ],
)
def test_segment(fcn, trained, tmp_path, words, reason):
    Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(tmp_path / "x.png")
    status, _, err = fcn("segment", tmp_path / "x.png", "--weights", trained.checkpoint, *words)
    assert (status, err.count("\n")) == (2, 1), err
    assert reason in err


def test_what_a_seed_is_for(fcn):
    assert "seed of --random-weights" in fcn("segment", "--help")[1]


# --- messages that name the file --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"upsampling": 7, "dropout": [1]}, ""),
        ({"dropout": [1]}, ""),
        ({"upsampling": "none"}, "upsampling must be one of"),
        ({"nosuch": 1}, "nosuch"),
        (None, "num_classes must be an integer"),
    ],
)
@pytest.mark.parametrize("command", ["evaluate", "segment"])
def test_wrong_options_of_a_checkpoint(fcn, trained, tmp_path, options, reason, command):
    with np.load(trained.checkpoint) as archive:
        arrays = {name: archive[name] for name in archive.files if name != "digest"}
    meta = json.loads(arrays["meta"].tobytes())
    meta["options"] = {} if options is None else meta["options"] | options
    arrays["meta"] = np.frombuffer(json.dumps(meta).encode(), np.uint8)
    np.savez(tmp_path / "lying.npz", **arrays)
    Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(tmp_path / "x.png")
    photo = [tmp_path / "x.png"] if command == "segment" else []
    status, _, err = fcn(command, *photo, "--weights", tmp_path / "lying.npz")
    assert (status, err.count("\n")) == (2, 1), err
    assert "lying.npz is not a sound checkpoint: " in err
    assert reason in err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no full device")
@pytest.mark.parametrize("words", [["published"], ["gradcheck", "--list"], ["data"], ["inspect", "mini_fcn8s"]])
def test_a_full_standard_output_is_named(words):
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "fcn_from_scratch", *words]
        child = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (child.returncode, child.stderr) == (1, "fcn: standard output: No space left on device\n")

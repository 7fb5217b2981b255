"""`fcn train --resume`: every option that is given is the run's, takes effect, or is refused by its name."""

import argparse
import json
import shutil

import numpy as np
import pytest
from cli_runs import TINY, arrays_of, log_of, write_folder

from fcn_from_scratch.cli import train_arguments, train_resume
from fcn_from_scratch.training import checkpoint

RUN = ["--lr", 0.05, "--schedule", "fixed", "--seed", 5, "--momentum", 0.8, "--crop", "24x32", "--balance", 0.5]


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    """The folder of a run of two steps, with the options RUN and TINY."""
    from fcn_from_scratch.cli import main

    folder = tmp_path_factory.mktemp("started") / "r"
    assert main(list(map(str, ["train", *TINY, *RUN, "--steps", 2, "--out", folder]))) == 0
    return folder


@pytest.fixture
def part(started, tmp_path):
    """A copy of that run."""
    return shutil.copytree(started, tmp_path / "part")


def settings(folder):
    return checkpoint.read(folder / "checkpoint.npz")[1]["extra"]["arguments"]


@pytest.mark.parametrize(
    ("words", "given", "theirs"),
    [
        (["--lr", 0.1], "--lr 0.1", "with 0.05"),
        (["--schedule", "poly"], "--schedule poly", "with fixed"),
        (["--seed", 6], "--seed 6", "with 5"),
        (["--momentum", 0.9], "--momentum 0.9", "with 0.8"),
        (["--weight-decay", 0], "--weight-decay 0.0", "with 0.0005"),
        (["--crop", "32x24"], "--crop 32x24", "with 24x32"),
        (["--size", "32x48"], "--size 32x48", "with 32x32"),
        (["--count", 7], "--count 7", "with 6"),
        (["--balance", 0], "--balance 0.0", "with 0.5"),
        (["--width", 4], "--width 4", "with 2"),
        (["--dropout", 0.5], "--dropout 0.5", "without it"),
        (["--upsampling", "learned"], "--upsampling learned", "without it"),
        (["--weights", "w.npz"], "--weights w.npz", "without it"),
        (["--new-scores"], "--new-scores", "without it"),
        (["--freeze-trunk"], "--freeze-trunk", "without it"),
        (["--no-augment"], "--no-augment", "without it"),
        (["--preprocessing", "caffe"], "--preprocessing caffe", "without it"),
        (["--classes-by", "colour"], "--classes-by colour", "without it"),
        (["--modality", "hha"], "--modality hha", "without it"),
        (["--num-classes", 6], "--num-classes 6", "without it"),
        (["--dataset", "voc"], "--dataset voc", "without it"),
        (["--model", "mini_fcn16s"], "--model mini_fcn16s", "with mini_fcn8s"),
        (["--recipe", "fcn8s-heavy"], "--recipe fcn8s-heavy", "with mini"),
        (["--reduction", "sum"], "--reduction sum", "with mean"),
        (["--batch-size", 3], "--batch-size 3", "with 2"),
        (["--iter-size", 2], "--iter-size 2", "with 1"),
        (["--sampling", "replacement"], "--sampling replacement", "with epoch"),
        (["--split", "val"], "--split val", "with train"),
        (["--val-split", "test"], "--val-split test", "with val"),
    ],
)
def test_another_value_is_refused(mistake, part, words, given, theirs):
    before = {path.name: path.read_bytes() for path in part.iterdir()}
    line = mistake("train", "--resume", "--steps", 4, "--out", part, *words)
    option = given.split()[0]
    assert line == (
        f"fcn: {given} does not fit the run in {part}, which was started {theirs}: leave out {option} to go on, or "
        "start a new run with another --out\n"
    )
    assert {path.name: path.read_bytes() for path in part.iterdir()} == before


def test_every_option_is_free_or_refused(part):
    """No option of the parser is left out: a changed value is refused, or it is one of FREE."""
    parser = argparse.ArgumentParser()
    train_arguments.add_arguments(parser)
    args = train_arguments.complete(parser.parse_args([]))
    names = set(vars(args)) - {"resume"}
    assert names >= {"lr", "val_every", "tensorboard", "root", "plain"}
    for name in names:
        value = "another"
        if name in train_resume.FREE:
            assert getattr(train_resume.resumed(args, {name: value}, part / "checkpoint.npz"), name) == value
        else:
            with pytest.raises(ValueError, match=f"^{train_arguments.option(name)} another does not fit the run"):
                train_resume.resumed(args, {name: value}, part / "checkpoint.npz")


def test_the_same_values_are_welcome(done, part, tmp_path):
    """All options again, some in words that mean the same, go on as no option does."""
    shutil.copytree(part, tmp_path / "other")
    same = ["--dataset", "shapes", "--model", "mini_fcn8s", "--recipe", "mini", "--reduction", "mean", "--iter-size", 1]
    same += ["--split", "train", "--val-split", "val", "--classes-by", "shape", "--upsampling", "fixed"]
    done("train", "--resume", *TINY, *RUN, *same, "--steps", 4, "--out", part)
    done("train", "--resume", "--steps", 4, "--out", tmp_path / "other")
    assert (part / "checkpoint.npz").read_bytes() == (tmp_path / "other/checkpoint.npz").read_bytes()
    assert settings(part) == settings(tmp_path / "other")


def test_free_options_take_effect(done, part, tmp_path):
    """The number of steps and the validation. The run's own settings stay."""
    before = settings(part)
    out = done("train", "--resume", "--steps", 6, "--val-every", 2, "--plain", "--device", "cpu", "--out", part)
    assert "going on at step 2 of 6" in out
    assert [row[3] != "" for row in log_of(part)[1:]] == [False, True, False, True, False, True]
    assert settings(part) == before | {"steps": 6, "val_every": 2}
    assert "going on at step 6 of 7" in done("train", "--resume", "--steps", 7, "--out", part)
    assert [row[3] != "" for row in log_of(part)[1:]] == [False, True, False, True, False, True, True]
    done("train", "--resume", "--steps", 9, "--out", part)
    assert [row[3] != "" for row in log_of(part)[8:]] == [True, True], "--val-every 2 is kept, and the end is scored"


def test_data_that_was_moved(done, mistake, tmp_path):
    root = write_folder(tmp_path / "data", [(32, 40)] * 5)
    words = ["--num-classes", 3, "--width", 2, "--batch-size", 2, "--steps", 1, "--out", tmp_path / "r"]
    done("train", "--dataset", "folder", "--root", root, *words)
    root.rename(tmp_path / "moved")
    assert "no folder" in mistake("train", "--resume", "--steps", 2, "--out", tmp_path / "r")
    done("train", "--resume", "--steps", 2, "--root", tmp_path / "moved", "--out", tmp_path / "r")
    assert settings(tmp_path / "r")["root"] == str(tmp_path / "moved")


def test_a_run_of_an_older_version(done, part, tmp_path):
    """Its checkpoint knows no --val-every and no best, and it has losses.csv in the place of log.csv."""
    arrays, meta = checkpoint.read(part / "checkpoint.npz")
    for name in ("val_every", "tensorboard"):
        del meta["extra"]["arguments"][name]
    del meta["extra"]["best"]
    arrays["meta"] = np.frombuffer(json.dumps(meta).encode(), np.uint8)
    np.savez(part / "checkpoint.npz", **arrays)
    for name in ("best.npz", "log.csv"):
        (part / name).unlink()
    done("train", "--resume", "--steps", 3, "--out", part)
    rows = log_of(part)[1:]
    assert [row[0] for row in rows] == ["1", "2", "3"]
    np.testing.assert_allclose([float(row[1]) for row in rows], arrays_of(part / "checkpoint.npz")["losses"], rtol=1e-8)
    assert {row[2] for row in rows} == {"0.05"}
    assert (part / "best.npz").read_bytes() == (part / "checkpoint.npz").read_bytes()

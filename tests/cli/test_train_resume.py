"""`fcn train --resume`: every option that is given is the run's, takes effect, or is refused by its name."""

import argparse
import json
import shutil

import numpy as np
import pytest
from cli_runs import TINY, arrays_of, log_of, write_folder

from fcn_from_scratch.cli import train_arguments, train_resume
from fcn_from_scratch.engine import threads
from fcn_from_scratch.training import checkpoint, meta, rounding

RUN = ["--lr", 0.05, "--schedule", "fixed", "--seed", 5, "--momentum", 0.8, "--balance", 0.5]


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
        (["--seed", 6], "--seed 6", "with 5"),
        (["--crop", "32x24"], "--crop 32x24", "without it"),
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


def options():
    """The options of the command, all at their defaults."""
    parser = argparse.ArgumentParser()
    train_arguments.add_arguments(parser)
    return train_arguments.complete(parser.parse_args([]))


def test_every_option_stands_in_one_list():
    listed = [*train_resume.FREE, *train_resume.CHANGES, *train_resume.REFUSED]
    assert sorted(listed) == sorted(set(vars(options())) - {"resume"})


def test_every_option_is_honoured_or_refused(part):
    args = options()
    for name in set(vars(args)) - {"resume"}:
        value = 77 if name == "steps" else "another"
        if name in (*train_resume.FREE, *train_resume.CHANGES):
            one, changed = train_resume.resumed(args, {name: value}, part / "checkpoint.npz")
            assert getattr(one, name) == value
            assert set(changed) == ({name} if name in train_resume.CHANGES else set())
        else:
            with pytest.raises(ValueError, match=f"^{train_arguments.option(name)} another does not fit the run"):
                train_resume.resumed(args, {name: value}, part / "checkpoint.npz")


def test_every_saved_setting_is_checked(part):
    """meta.ARGUMENTS has a line for each, so a lying one is found before it is used."""
    assert set(settings(part)) <= set(meta.ARGUMENTS)
    assert meta.extra_problem({"arguments": settings(part)}) is None


def test_what_changes_the_steps_is_honoured(done, part):
    words = ["--lr", 0.001, "--schedule", "poly", "--momentum", 0.5, "--weight-decay", 0, "--batch-size", 3]
    out = done("train", "--resume", "--steps", 4, "--iter-size", 2, *words, "--out", part)
    assert "from here on --lr is 0.001; it was 0.05" in out
    assert "4 steps of 6, learning rate 0.001 (poly, mean), momentum 0.5, decay 0" in out
    now = settings(part)
    assert [now[n] for n in train_resume.CHANGES] == [0.001, "poly", 0.5, 0.0, 3, 2]
    rates = [float(row[2]) for row in log_of(part)[1:]]
    assert rates[:2] == [0.05, 0.05]
    assert rates[2:] == pytest.approx([0.001 * (1 - n / 4) ** 0.9 for n in (2, 3)])
    out = done("train", "--resume", "--steps", 5, "--out", part)
    assert "batch" not in out
    assert "learning rate 0.001" in out, "the change is kept"


def test_a_lower_rate_lowers_the_next_step(done, part, tmp_path):
    """With a hundredth of the rate and no gradient to speak of, the weights move a hundredth as far."""
    shutil.copytree(part, tmp_path / "other")
    before = arrays_of(part / "checkpoint.npz")
    moved = []
    for folder, lr in ((part, 0.05), (tmp_path / "other", 0.0005)):
        done("train", "--resume", "--steps", 3, "--lr", lr, "--out", folder)
        after = arrays_of(folder / "checkpoint.npz")
        moved.append(after["model/score_fr.bias"] - before["model/score_fr.bias"])
    assert np.abs(moved[0]).max() > 0
    np.testing.assert_allclose(moved[1], moved[0] / 100, rtol=1e-2)


def test_fewer_steps_than_were_done(mistake, part):
    line = mistake("train", "--resume", "--steps", 1, "--out", part)
    assert f"the run in {part} has done 2 steps already: --steps 1 is less" in line


@pytest.mark.parametrize("words", [[], ["--steps", 2, "--dataset", "voc"], ["--out", "runs/camvdi"]])
def test_no_run_to_resume(mistake, tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    assert "there is no run in runs/" in mistake("train", "--resume", *words)
    assert list(tmp_path.iterdir()) == []


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


def test_a_relative_root_is_kept_as_an_absolute_one(done, tmp_path, monkeypatch):
    write_folder(tmp_path / "data", [(32, 40)] * 5)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    words = ["--num-classes", 3, "--width", 2, "--batch-size", 2, "--steps", 1, "--out", tmp_path / "r"]
    done("train", "--dataset", "folder", "--root", "data", *words)
    monkeypatch.chdir(tmp_path / "elsewhere")
    done("train", "--resume", "--steps", 2, "--out", tmp_path / "r")
    assert settings(tmp_path / "r")["root"] == str(tmp_path / "data")


def test_a_run_of_an_older_version(done, part, tmp_path):
    """Its checkpoint knows no --val-every and no best, and it has losses.csv in the place of log.csv."""
    arrays, facts = checkpoint.read(part / "checkpoint.npz")
    for name in ("val_every", "tensorboard", "strict"):
        del facts["extra"]["arguments"][name]
    del facts["extra"]["best"]
    arrays["meta"] = np.frombuffer(json.dumps(facts).encode(), np.uint8)
    np.savez(part / "checkpoint.npz", **arrays)
    for name in ("best.npz", "log.csv"):
        (part / name).unlink()
    done("train", "--resume", "--steps", 3, "--out", part)
    rows = log_of(part)[1:]
    assert [row[0] for row in rows] == ["1", "2", "3"]
    np.testing.assert_allclose([float(row[1]) for row in rows], arrays_of(part / "checkpoint.npz")["losses"], rtol=1e-8)
    assert {row[2] for row in rows} == {"0.05"}
    assert (part / "best.npz").read_bytes() == (part / "checkpoint.npz").read_bytes()


# --- what decides on rounding -----------------------------------------------------------------------------------


def test_on_the_same_machine_there_is_nothing_to_say(done, part):
    assert "rounding" not in done("train", "--resume", "--steps", 3, "--out", part)


@pytest.mark.parametrize(
    ("name", "there"), [("NumPy", "1.2.3"), ("BLAS", "OpenBLAS Z80"), ("device", "gpu"), ("plain", True)]
)
def test_another_machine_is_named(done, part, name, there):
    """The run goes on; it only may differ in the last bits."""
    arrays, facts = checkpoint.read(part / "checkpoint.npz")
    facts["extra"]["rounding"][name] = there
    arrays["meta"] = np.frombuffer(json.dumps(facts).encode(), np.uint8)
    np.savez(part / "checkpoint.npz", **arrays)
    (line,) = [line for line in done("train", "--resume", "--steps", 3, "--out", part).splitlines() if "note" in line]
    assert f"{name} is " in line
    assert f"{there} there" in line
    assert line.count(" there") == 1, "nothing else is named"
    assert checkpoint.read(part / "checkpoint.npz")[1]["extra"]["rounding"][name] != there


def test_where_blas_divides_its_products_the_cores_count(monkeypatch):
    monkeypatch.setattr(threads, "_openblas", lambda: None)
    monkeypatch.setattr(rounding.os, "cpu_count", lambda: 8)
    here = rounding.facts("cpu")
    assert here["cores"] == 8
    assert isinstance(here["BLAS"], str)
    assert rounding.changed({**here, "cores": 2}, here) == ["cores is 8 here, 2 there"]
    assert rounding.changed(None, here) == []

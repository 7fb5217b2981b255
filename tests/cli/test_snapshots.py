"""`fcn train --snapshot-every N --keep K`: numbered checkpoints."""

import numpy as np
import pytest
from cli_runs import TINY

from fcn_from_scratch.training import checkpoint


def numbered(folder):
    """The steps of the numbered checkpoints in a folder, by their names."""
    return sorted(int(path.stem.partition("-")[2]) for path in folder.glob("checkpoint-*.npz"))


def state(path):
    arrays, meta = checkpoint.read(path)
    return meta["steps"], arrays


@pytest.fixture
def train(done, tmp_path):
    def train(*words, folder="run"):
        return done("train", *TINY, *words, "--out", tmp_path / folder)

    return train


@pytest.mark.parametrize(
    ("words", "kept"),
    [([], [2, 4, 6]), (["--keep", 2], [4, 6]), (["--keep", 1], [6]), (["--keep", 9], [2, 4, 6])],
)
def test_every_nth_step(train, tmp_path, words, kept):
    train("--steps", 7, "--snapshot-every", 2, *words)
    assert numbered(tmp_path / "run") == kept
    for step in kept:
        assert state(tmp_path / "run" / f"checkpoint-{step}.npz")[0] == step
    assert not list((tmp_path / "run").glob(".*.part"))


def test_each_is_the_state_after_its_step(train, tmp_path):
    """A run that ends there has the same weights, if its schedule is the same."""
    fixed = ["--schedule", "fixed", "--lr", 0.01]
    train("--steps", 5, "--snapshot-every", 3, *fixed)
    train("--steps", 3, *fixed, folder="short")
    (steps, snapshot), (_, short) = (state(tmp_path / p) for p in ("run/checkpoint-3.npz", "short/checkpoint.npz"))
    assert steps == 3
    for name, array in short.items():
        np.testing.assert_array_equal(snapshot[name], array, err_msg=name)


def test_a_resumed_run_keeps_them(train, done, tmp_path):
    train("--steps", 4, "--snapshot-every", 2, "--keep", 2)
    done("train", "--resume", "--steps", 8, "--out", tmp_path / "run")
    assert numbered(tmp_path / "run") == [6, 8]
    done("train", "--resume", "--steps", 9, "--snapshot-every", 3, "--keep", 4, "--out", tmp_path / "run")
    assert numbered(tmp_path / "run") == [6, 8, 9]


def test_the_last_ones_are_kept_across_a_resume(train, done, tmp_path):
    train("--steps", 4, "--snapshot-every", 2)
    assert numbered(tmp_path / "run") == [2, 4]
    done("train", "--resume", "--steps", 6, "--keep", 2, "--out", tmp_path / "run")
    assert numbered(tmp_path / "run") == [4, 6]


def test_one_that_is_missing_is_made(train, done, tmp_path):
    """A process may be killed between the checkpoint and the snapshot."""
    train("--steps", 4, "--snapshot-every", 2)
    whole = state(tmp_path / "run" / "checkpoint-4.npz")[1]
    (tmp_path / "run" / "checkpoint-4.npz").unlink()
    done("train", "--resume", "--steps", 5, "--out", tmp_path / "run")
    assert numbered(tmp_path / "run") == [2, 4]
    for name, array in state(tmp_path / "run" / "checkpoint-4.npz")[1].items():
        np.testing.assert_array_equal(array, whole[name])


def test_other_files_are_left_alone(train, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "checkpoint-mine.npz").write_bytes(b"x")
    (tmp_path / "run" / "checkpoint-1.npz.bak").write_bytes(b"x")
    train("--steps", 4, "--snapshot-every", 1, "--keep", 1)
    assert {path.name for path in (tmp_path / "run").glob("checkpoint-*")} == {
        *("checkpoint-mine.npz", "checkpoint-1.npz.bak", "checkpoint-4.npz")
    }


def test_a_start_for_the_next_stage(train, done, tmp_path):
    train("--steps", 4, "--snapshot-every", 2)
    out = train("--steps", 1, "--weights", tmp_path / "run" / "checkpoint-2.npz", folder="next")
    assert "missing" not in out
    done("evaluate", "--weights", tmp_path / "run" / "checkpoint-2.npz")


def test_keep_alone(mistake, tmp_path):
    error = mistake("train", *TINY, "--steps", 2, "--keep", 3, "--out", tmp_path / "r")
    assert error == "fcn: --keep says how many snapshots stay: pass --snapshot-every N too\n"


def test_their_room_is_tried_out_first(fcn, tmp_path, monkeypatch):
    """A hundred snapshots that find no room must not be met after the first ten."""
    from fcn_from_scratch.cli import train

    asked = []
    monkeypatch.setattr(train, "reserve", lambda folder, size, count: asked.append(count))
    words = ["train", *TINY, "--steps", 3, "--snapshot-every", 1]
    assert fcn(*words, "--out", tmp_path / "all")[0] == 0
    assert fcn(*words, "--keep", 2, "--out", tmp_path / "two")[0] == 0
    assert asked == [3 + 3, 3 + 2]

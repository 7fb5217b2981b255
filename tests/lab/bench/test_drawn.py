"""Weights that one process draws and others read: the same network, and no waiting for what will not come."""

import threading
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from fcn_from_scratch.lab.bench import LESSON, Work, drawn
from fcn_from_scratch.lab.bench.numpy_rival import NumpyRival
from fcn_from_scratch.lab.bench.processes import Process

WORK = Work("mini_fcn8s", (32, 41), options={"width": 4})


def same(first, second):
    assert first.params.keys() == second.params.keys()
    for name, weight in first.params.items():
        np.testing.assert_array_equal(weight, second.params[name], strict=True)


@pytest.mark.parametrize("work", [WORK, Work(LESSON, (16, 24), 2, True), Work("fcn_googlenet", (64, 64))])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_was_written_is_read(tmp_path, work, dtype):
    drawn.Drawing(work, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["weights"]
    first, second = work.network(dtype), work._replace(weights=str(tmp_path)).network(dtype)
    same(first, second)
    for mine, other in zip(first.generators().values(), second.generators().values()):
        assert mine.bit_generator.state == other.bit_generator.state


def test_the_file_appears_when_it_is_complete(tmp_path, monkeypatch):
    seen, numbers = [], drawn._bytes
    monkeypatch.setattr(drawn, "_bytes", lambda w: seen.append((tmp_path / "weights").exists()) or numbers(w))
    drawn.Drawing(WORK, tmp_path)
    assert seen
    assert not any(seen)


def test_a_process_waits_for_the_weights(tmp_path):
    later = threading.Timer(0.5, drawn.Drawing, (WORK, tmp_path))
    later.start()
    began = time.monotonic()
    with Process(NumpyRival, WORK._replace(weights=str(tmp_path)), threads=1) as rival:
        np.testing.assert_array_equal(rival.ask("scores"), NumpyRival(WORK).scores())
    assert time.monotonic() - began > 0.5


def test_a_full_disk_is_no_end(tmp_path, monkeypatch):
    """The folder goes away, and whoever waited for the weights draws them."""
    folder = tmp_path / "gone"
    folder.mkdir()
    monkeypatch.setattr(drawn.os, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    drawn.Drawing(WORK, folder)
    assert not folder.exists()
    same(WORK._replace(weights=str(folder)).network(), WORK.network())


def test_a_file_that_is_too_short_is_not_taken(tmp_path):
    drawn.Drawing(WORK, tmp_path)
    file = tmp_path / "weights"
    file.write_bytes(file.read_bytes()[:-4])
    same(WORK._replace(weights=str(tmp_path)).network(), WORK.network())


def test_nobody_waits_for_ever(tmp_path, monkeypatch):
    monkeypatch.setattr(drawn, "PATIENCE", 0.05)
    same(WORK._replace(weights=str(tmp_path)).network(), WORK.network())


def test_only_large_networks_are_shared(monkeypatch):
    """The folder and the process end with the stack."""
    with ExitStack() as stack:
        assert drawn.drawn_once(WORK, stack) is WORK
        monkeypatch.setattr(drawn, "FEWEST", 1)
        shared = drawn.drawn_once(WORK, stack)
        assert shared._replace(weights=None) == WORK
        folder = Path(shared.weights)
        same(shared.network(), WORK.network())
        assert (folder / "weights").exists()
    assert not folder.exists()


def test_files_say_nothing_of_the_folder():
    assert Work("fcn8s", (500, 500), weights="elsewhere").facts() == Work("fcn8s", (500, 500)).facts()
    assert "weights" not in WORK.facts()

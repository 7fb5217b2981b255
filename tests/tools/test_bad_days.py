"""The programs that count bad days, with a few cases each."""

import os
import random
import signal

import crash_runs
import hostile_checkpoints
import pytest


def test_hostile_checkpoints(tmp_path):
    assert hostile_checkpoints.try_all(24, 1, tmp_path) == []


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize(("numbers", "writing"), [([signal.SIGKILL], True), ([signal.SIGTERM, signal.SIGINT], False)])
def test_stopped_runs(tmp_path, numbers, writing):
    cut, whole = tmp_path / "cut", tmp_path / "whole"
    counts = crash_runs.stop_again_and_again(cut, 2, 20, 2, numbers, random.Random(0), writing)
    assert counts.problems == ()
    crash_runs.subprocess.run(crash_runs.command(whole, 2, 20, False), check=True, timeout=600, capture_output=True)
    assert crash_runs.differences(cut, whole) == []

"""Lesson 16 as it runs on a GPU, with CuPy or with its stand-in, so that every line of it is tested without a GPU too.

test_without_a_compiler runs it where there is neither a GPU nor a compiler. The run with the emulator is tested with
all other lessons.
"""

import runpy
import sys

import numpy as np
import pytest

from fcn_from_scratch import course
from fcn_from_scratch.kernels import emulator


@pytest.fixture
def lesson(monkeypatch, tmp_path, capsys):
    """Runs it; returns its names and what it printed."""
    monkeypatch.setenv("FCN_FIGURES", str(tmp_path))

    def run():
        names = runpy.run_path(str(course.find("gpu_kernels").path))
        assert {path.name for path in tmp_path.iterdir()} == {"16_threads.png", "16_time.png"}
        return names, capsys.readouterr().out

    return run


@pytest.mark.slow
def test_on_the_device(xp, lesson):
    names, out = lesson()
    assert names["xp"] is xp
    assert "The kernels run on the GPU." in out
    assert "in float64 scores and gradients agree with the CPU to 1e-9" in out
    assert "in float32 the scores agree with float64 to 1e-4" in out
    assert "im2col.cu + cuBLAS" in out  # a time
    assert "gemm.cu reads 2K/T" in out


def test_without_a_compiler(lesson, monkeypatch):
    monkeypatch.setattr(emulator, "COMPILER", "no-such-compiler")
    monkeypatch.setitem(sys.modules, "cupy", None)
    names, out = lesson()
    assert names["xp"] is np
    assert "The checks of the kernels are left out." in out
    assert ".cu" not in out

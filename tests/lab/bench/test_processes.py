"""A process answers and passes exceptions on; its memory and its threads are its own."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from children import Full, Timed

from fcn_from_scratch.engine import threads
from fcn_from_scratch.lab import memory
from fcn_from_scratch.lab.bench import processes
from fcn_from_scratch.lab.bench.numpy_rival import LoopRival, NumpyRival
from fcn_from_scratch.lab.bench.processes import ANSWERS, THREADS, Process
from fcn_from_scratch.lab.bench.torch_rival import TorchRival


def test_answers_come_back():
    with Process(np.random.default_rng, 7, threads=1) as process:
        assert np.array_equal(process.ask("random", 5), np.random.default_rng(7).random(5))
        assert 0 < process.seconds("random", calls=10) < 1


@pytest.mark.parametrize(("calls", "made"), [(1, 1), (4, 5)])
def test_one_call_more_where_they_are_many(calls, made, monkeypatch):
    """The extra call brings the data back into the caches and is not timed."""
    monkeypatch.setattr(processes, "SETTLE", 0)
    left = list(range(9))
    assert ANSWERS["seconds"](left, "pop", calls) > 0
    assert len(left) == 9 - made


def test_short_calls_are_made_for_a_while_before_they_are_timed(monkeypatch):
    """This is not done where a device is timed, which needs no core."""
    monkeypatch.setattr(processes, "SETTLE", 0.1)
    ends = []

    class Rival:
        def work(self):
            time.sleep(0.002)
            ends.append(time.perf_counter())

    start = time.perf_counter()
    assert 0.002 <= ANSWERS["seconds"](Rival(), "work", 3) < ends[-1] - start
    assert ends[-4] - start >= 0.1, "the three last ones come after it"
    assert len(ends) > 5

    ends.clear()
    Rival.clock = lambda self, call, calls, ahead: [call() for _ in range(calls)] and 6.0
    assert ANSWERS["seconds"](Rival(), "work", 3) == 2.0
    assert len(ends) == 4


def test_an_exception_comes_through(capfd):
    with pytest.raises(ValueError, match="invalid literal"):
        Process(int, "seven", threads=1)
    with Process(list, (1, 2), threads=1) as process, pytest.raises(AttributeError, match="jump"):
        process.ask("jump")
    assert "Traceback" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (MemoryError, "Out of memory allocating 1,024 bytes (allocated so far: 0 bytes)."),
        (RuntimeError, "CUDA out of memory. Tried to allocate 20.00 MiB.\nGPU 0 has a total capacity of 79 GiB"),
        (RuntimeError, "cudaErrorMemoryAllocation: out of memory"),
    ],
)
def test_no_memory_is_one_line_with_the_rivals_name(kind, text, capfd):
    with Process(Full, threads=1, title="PyTorch NCHW") as process, pytest.raises(MemoryError) as full:
        process.ask("say", kind, text)
    assert str(full.value) == f"PyTorch NCHW: {text.splitlines()[0]}"
    assert "Traceback" not in capfd.readouterr().err


def test_what_has_a_clock_of_its_own_is_timed_by_it():
    with Process(Timed, threads=1) as process:
        assert process.seconds("work", 4) == 3.0
        assert process.seconds("work", 4, ahead=True) == 7.0
        assert process.peak() == 12345


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no such signal here")
def test_a_process_that_was_killed_is_taken_for_short_of_memory():
    with pytest.raises(MemoryError, match="the system may have stopped it"):
        Process(signal.raise_signal, signal.SIGKILL, threads=1)


@pytest.mark.skipif(memory.peak() is None, reason="this system does not tell")
def test_memory_is_its_own():
    with Process(np.ones, 1, threads=1) as small, Process(np.ones, 40 << 20, threads=1) as large:
        before = memory.peak()
        assert 310 << 20 < large.peak() - small.peak() < 330 << 20
        assert memory.peak() - before < 10 << 20


@pytest.mark.skipif(threads._blas() is None, reason="NumPy's BLAS here is not an OpenBLAS we can steer")
@pytest.mark.parametrize("number", [1, 3])
def test_numpy_gets_its_threads(work, number, monkeypatch):
    """Afterwards the environment is as it was before: old values are back, new variables are gone."""
    for name in THREADS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("FCN_THREADS", "5")
    with Process(NumpyRival, work, threads=number) as process:
        assert process.ask("threads") == number
    assert {name: os.environ[name] for name in THREADS if name in os.environ} == {"FCN_THREADS": "5"}


@pytest.mark.torch
@pytest.mark.parametrize("number", [1, 3])
def test_torch_gets_its_threads(work, number):
    pytest.importorskip("torch", reason="PyTorch is an optional extra")
    with Process(TorchRival, work, threads=number) as process:
        assert process.ask("threads") == number


FAULTS = """
import resource, sys
import numpy as np
from fcn_from_scratch.lab.bench.processes import keep_memory
if sys.argv[1] == "keep":
    keep_memory()
np.ones(4 << 20)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
np.ones(4 << 20)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif("CS_GNU_LIBC_VERSION" not in getattr(os, "confstr_names", ()), reason="for glibc")
def test_memory_is_kept_if_asked():
    """A new array as large as a freed one lies in the same place, so the system hands out no new pages."""
    pytest.importorskip("resource")
    usual, kept = (
        int(subprocess.run([sys.executable, "-c", FAULTS, word], capture_output=True, text=True, check=True).stdout)
        for word in ("drop", "keep")
    )
    assert kept < 3
    assert usual > 10


def test_a_loop_over_layers_does_the_step_of_the_trainer(work):
    """The losses of four steps, and then the scores, agree up to rounding."""
    trainer, loop = NumpyRival(work), LoopRival(work)
    for _ in range(4):
        assert loop.run() == pytest.approx(trainer.run(), rel=1e-6)
    np.testing.assert_allclose(loop.scores(), trainer.scores(), rtol=1e-4, atol=1e-5)

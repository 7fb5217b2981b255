"""A budget of seconds: in virtual time, with a device whose first calls are slow, and from the command line."""

import csv
import math
import os
import re
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest

from fcn_from_scratch.cli import bench as cli
from fcn_from_scratch.cli.bench_output import Output
from fcn_from_scratch.lab.bench import Settings, Work, budget, clocks, kernels, measuring, processes, timing
from fcn_from_scratch.lab.bench.kernel_cases import CASES
from fcn_from_scratch.lab.bench.measuring import measure

TINY = ("--model", "mini_fcn8s", "--width", "4", "--size", "32x41", "--peer", "none", "--threads", "1")
WARM = {"cuda": 20e-6, "cuda_winograd": 30e-6, "cuda_im2col": 40e-6, "cuda_implicit": 50e-6, "cupy": 60e-6}
WARM |= {"torch_cuda": 25e-6, "torch_cuda_cl": 35e-6, "ceiling": 1e-3, "kernel": 10e-6}
WHOLE = 500  # times the time of a part
LAUNCH = 40e-6
STARTING = {"cuda": 8.0, "torch_cuda": 22.0, "torch_cuda_cl": 22.0}  # seconds of a process; of the others a second


class World:
    """Virtual seconds. Nothing waits; host and device move the time on."""

    def __init__(self, cold):
        self.now, self.cold, self.busy = 0.0, cold, 0.0

    def sleep(self, seconds):
        self.now += seconds

    def time(self):
        return self.now


class Mark:
    def __init__(self, world):
        self.world = world

    def record(self):
        self.at = max(self.world.busy, self.world.now)

    def synchronize(self):
        self.world.now = max(self.world.now, self.at)


class Clock(clocks.EventClock):
    def __init__(self, world):
        super().__init__()
        self.world = world

    def event(self):
        return Mark(self.world)

    def passed(self, event):
        return event.at <= self.world.now

    def milliseconds(self, start, end):
        return 1000 * (end.at - start.at)

    def hold(self, seconds):
        self.world.busy = max(self.world.busy, self.world.now) + seconds


class Rival:
    """Its methods take `cold` seconds of the host once, and LAUNCH each time after that."""

    def __init__(self, world, name):
        self.world, self.name, self.clock, self.seen = world, name, Clock(world), set()

    def __getattr__(self, method):
        return lambda *arguments: self.call(method, arguments)

    def call(self, method, arguments):
        if method in ANSWERS:
            return ANSWERS[method]
        if method == "take":
            self.seen.clear()
        world = self.world
        world.now += LAUNCH if method in self.seen else world.cold
        self.seen.add(method)
        times = WHOLE if method == "run" else 1
        world.busy = max(world.busy, world.now) + times * WARM[self.name]
        return ("4x4", "CuPy", 10**6, 0) if self.name == "kernel" else np.ones((1, 2, 3, 3))

    def peak(self):
        self.call("run", ())
        return 1


ANSWERS = {"amounts": {"multiply": 10**9, "copy": 10**9}, "described": "PyTorch, in a simulation"}


class VirtualProcess:
    """A Process without a process: a request is answered by the code of the child.

    While one answers, others may do so too: the time goes on only for whoever waits for the answer, and it waits until
    the time `last` and no longer.
    """

    def __init__(self, world, name, last):
        self.rival, self.last, self.answered = Rival(world, name), last, None
        self.end = world.now + STARTING.get(name, 1.0)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def ready(self, until=math.inf):
        """All start at the same time."""
        self.answer(until)

    def begin(self, request, *details):
        world = self.rival.world
        begun = world.now
        self.answered = processes.ANSWERS[request](self.rival, *details)
        world.now, self.end = begun, world.now

    def answer(self, until=math.inf):
        world, until = self.rival.world, min(until, self.last)
        late = self.end > max(until, world.now)
        world.now = max(world.now, min(self.end, until))
        if late:
            raise budget.LateError(f"{self.rival.name} has not answered in time")
        return self.answered

    def ask(self, *details):
        self.begin("ask", *details)
        return self.answer()

    def seconds(self, *details, **options):
        world = self.rival.world
        found = processes.ANSWERS["seconds"](self.rival, *details, **options)
        if world.now > self.last:
            world.now = self.last
            raise budget.LateError(f"{self.rival.name} has not answered in time")
        return found

    def waits(self):
        return self.rival.clock.waits()

    close = __exit__


@pytest.fixture
def world(monkeypatch):
    """A function of the seconds of a first call: the World, in which measuring now takes place."""

    def make(cold, judge=0.0):
        world = World(cold)
        clock = SimpleNamespace(sleep=world.sleep, monotonic=world.time, perf_counter=world.time)
        for module in (timing, clocks, measuring, budget, processes, kernels):
            monkeypatch.setattr(module, "time", clock)
        process = lambda name: lambda settings, *_, **__: VirtualProcess(world, name, settings.budget.last)  # noqa: E731
        rival = lambda settings, name, *_: process(name)(settings)  # noqa: E731
        monkeypatch.setattr(Settings, "rival", rival)
        monkeypatch.setattr(Settings, "ceilings", process("ceiling"))
        monkeypatch.setattr(Settings, "process", process("kernel"))
        monkeypatch.setattr(measuring, "drawn_once", lambda work, stack: work)

        def answer(until):
            world.now = max(world.now, min(judge, until))
            return (np.ones((1, 2, 3, 3)), "the judge") if judge <= world.now else (None, "none: too late")

        monkeypatch.setattr(measuring, "Judge", lambda *_: SimpleNamespace(answer=answer))
        return world

    return make


@pytest.mark.parametrize("cold", [0.01, 2.0])
def test_in_virtual_time(world, cold):
    """First calls of two seconds: all is over in time, and the medians are those of the calls that follow."""
    now = world(cold)
    settings = Settings((), "cuda", 1, layers=True, progress=False, budget=budget.Budget(75))
    result = measure(Work("mini_fcn8s", (64, 64)), settings)
    assert now.now < 75
    rows = {(row.part, row.rival): row for row in result.rows}
    for (part, rival), row in rows.items():
        assert row.seconds == pytest.approx(WARM[rival] * (WHOLE if part == "whole" else 1), rel=0.01), (part, rival)
        assert not row.with_host
    measured = {part for part, _ in rows}
    assert not measured & set(result.left_out)
    if cold < 1:
        assert not result.left_out
        assert now.now < 60
    else:
        assert result.left_out
        assert len(measured) > 3
        rows = [row for row in result.rows if row.part.endswith("forward") and row.rival == "cuda"]
        sizes = [round(row.gflops * row.seconds, 12) for row in rows]
        assert sizes == sorted(sizes, reverse=True)


@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize("layers", [False, True])
@pytest.mark.parametrize("cases", [False, True])
@pytest.mark.parametrize("cold", [0.5, 2.5])
def test_the_command_in_virtual_time(world, capsys, train, layers, cases, cold):
    """FCN-8s with PyTorch. A look at the GPU takes 8 seconds, PyTorch starts in 22, and the judge needs 40. The command
    ends in 75 seconds, with a row for each rival; layers and kernels are measured or named."""
    now = world(cold, judge=40.0)
    settings = Settings(("torch",), "cuda", 1, layers=layers, progress=False, budget=budget.Budget(75))
    output = Output(settings, None, {}, "in a simulation")
    now.now = 8.0
    work = Work("fcn8s", (500, 500), train=train)
    cli._measure_all(SimpleNamespace(kernels=cases), [work], settings, output)
    assert 30 < now.now <= 75
    result, out = output.results[0], capsys.readouterr().out
    whole = {row.rival: row.seconds for row in result.rows if row.part == "whole"}
    assert set(whole) == set(settings.rivals)
    for rival, seconds in whole.items():
        assert seconds == pytest.approx(WHOLE * WARM[rival], rel=0.01)
    assert not result.absent
    for title in ("PyTorch NCHW", "PyTorch channels_last", "the same by implicit GEMM"):
        assert any(line.startswith(title) for line in out.splitlines())
    parts = {row.part for row in result.rows} - {"whole"}
    steps = {f"{conv.names} {step}" for conv in measuring.convolutions(work) for step in conv.passes}
    assert parts | set(result.left_out) == (steps if layers else set())
    assert parts or cold > 1 or not layers
    if cases:
        measured = set() if output.kernels is None else {row.part for row in output.kernels.rows}
        named = " ".join(line for line in out.splitlines() if line.startswith("Not measured"))
        assert sorted([*measured, *filter(CASES.__contains__, re.split(r"[ ,.]+", named))]) == sorted(CASES)
        assert measured or cold > 1


def test_a_peer_that_does_not_start_is_left_out(world, monkeypatch):
    monkeypatch.setitem(STARTING, "torch_cuda", 60.0)
    now = world(0.5)
    settings = Settings(("torch",), "cuda", 1, progress=False, budget=budget.Budget(75))
    result = measure(Work("mini_fcn8s", (64, 64)), settings)
    assert now.now <= 75
    rivals = {row.rival for row in result.rows}
    assert "torch_cuda_cl" in rivals
    assert "torch_cuda" not in rivals
    assert result.absent == {"PyTorch NCHW": "torch_cuda has not answered in time"}


@pytest.mark.parametrize("method", ["scores", "run"])
def test_a_rival_whose_first_call_takes_too_long_is_left_out(world, monkeypatch, method):
    """Ours, too. The first one is not: all others are compared with it."""
    now = world(0.5)
    call = Rival.call

    def slow(rival, which, arguments):
        if (rival.name, which) != ("cupy", method):
            return call(rival, which, arguments)
        rival.world.now += 100.0
        return np.ones((1, 2, 3, 3))

    monkeypatch.setattr(Rival, "call", slow)
    settings = Settings((), "cuda", 1, progress=False, budget=budget.Budget(75))
    result = measure(Work("mini_fcn8s", (64, 64)), settings)
    assert now.now <= 75
    assert {row.rival for row in result.rows} == {*settings.rivals} - {"cupy"}
    assert result.absent == {"the same without its kernels": "cupy has not answered in time"}
    monkeypatch.setitem(STARTING, "cuda", 100.0)
    with pytest.raises(budget.LateError, match="cuda has not answered in time"):
        measure(Work("mini_fcn8s", (64, 64)), settings._replace(budget=budget.Budget(75)))


def test_true_scores_that_come_too_late_are_done_without(world):
    now = world(0.5, judge=70.0)
    result = measure(Work("mini_fcn8s", (64, 64)), Settings((), "cuda", 1, progress=False, budget=budget.Budget(75)))
    assert now.now <= 75
    assert result.truth == "none: too late"
    assert {row.error for row in result.rows} == {None}


def test_turns_are_corrected_once_calls_are_warm(monkeypatch):
    monkeypatch.setattr(timing.time, "sleep", lambda seconds: None)
    made = []

    def rival(calls):
        made.append(calls)
        return 2.0 if len(made) == 1 else 1e-3

    assert timing.in_turn({"a": rival}, timing.Turns(rounds=3))["a"] == [1e-3] * 3
    assert made == [1, 1, 100, 100, 100]


def test_no_round_begins_that_would_end_too_late(monkeypatch):
    now = World(0)
    monkeypatch.setattr(timing, "time", SimpleNamespace(sleep=now.sleep, monotonic=now.time))

    def rival(calls):
        now.now += 2.0
        return 2.0

    assert len(timing.in_turn({"a": rival}, timing.Turns(until=9.0))["a"]) == 3
    assert now.now < 9
    assert len(timing.in_turn({"a": rival}, timing.Turns(until=0.0))["a"]) == 1


def test_what_is_not_used_is_passed_on(monkeypatch):
    now = World(0)
    monkeypatch.setattr(budget, "time", SimpleNamespace(monotonic=now.time))
    found = budget.Budget(50)
    assert (found.end, found.last) == (46, 50)
    assert found.until(0.5) == 23
    now.now = 40.0
    assert (found.left(), found.until(0.5)) == (6, 43)
    assert budget.Budget().until(0.5) == float("inf")


def test_a_slow_process_is_not_waited_for():
    with processes.Process(list, ((1,),), threads=1) as process:
        process.until = time.monotonic() + 0.2
        with pytest.raises(budget.LateError, match="a rival has not answered in time"):
            process.answer()


@pytest.mark.parametrize("word", ["0", "-3", "inf", "nan", "soon"])
def test_a_wrong_budget_is_one_line(fcn, word):
    status, out, err = fcn(f"--budget={word}")
    assert (status, out, len(err.splitlines())) == (2, "", 1)
    assert f"expected a number of seconds above 0, got '{word}'" in err


def test_what_does_not_fit_is_named(fcn, hurried, monkeypatch):
    """The time of the layers is over when they begin."""
    monkeypatch.setattr(measuring, "WHOLE", 1.0)
    by_layer = measuring._by_layer
    monkeypatch.setattr(measuring, "_by_layer", lambda *given: by_layer(*given[:-1], end=0.0))
    status, out, _ = fcn(*TINY, "--layers", "--budget", "600", "--repeats", "1")
    assert status == 0
    line = next(
        line for line in out.splitlines() if line.startswith("Not measured, because the budget of 600 s is over")
    )
    assert "conv1_1 forward" in line
    assert "score_fr weight_grad" in line


@pytest.mark.skipif(not hasattr(signal, "SIGTERM") or os.name == "nt", reason="no such signal here")
def test_a_stopped_command_has_printed_and_written_what_it_had(tmp_path):
    words = [sys.executable, "-m", "fcn_from_scratch", "bench", *TINY, "--repeats", "100000", "--out", tmp_path / "b"]
    with subprocess.Popen(list(map(str, words)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        end = time.monotonic() + 300
        while not (tmp_path / "b" / "bench.csv").exists() and time.monotonic() < end:
            time.sleep(0.05)
        child.terminate()
        out, err = child.communicate(timeout=300)
    assert child.returncode == 128 + signal.SIGTERM
    assert err.splitlines()[-1].startswith("fcn: stopped by SIGTERM; what was measured before is in ")
    assert "Traceback" not in err
    assert "the same by im2col" in out
    with open(tmp_path / "b" / "bench.csv", encoding="utf-8", newline="") as file:
        assert [row["rival"] for row in csv.DictReader(file)] == ["fcn", "im2col"]

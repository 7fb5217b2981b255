"""A budget of seconds: in virtual time, with a device whose first calls are slow, and from the command line."""

import csv
import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest

from fcn_from_scratch.lab.bench import Settings, Work, budget, clocks, measuring, processes, timing
from fcn_from_scratch.lab.bench.measuring import measure

TINY = ("--model", "mini_fcn8s", "--width", "4", "--size", "32x41", "--peer", "none", "--threads", "1")
WARM = {"cuda": 20e-6, "cuda_winograd": 30e-6, "cuda_im2col": 40e-6, "cuda_implicit": 50e-6, "cupy": 60e-6}
WARM["ceiling"] = 1e-3
WHOLE = 500  # times the time of a part
LAUNCH = 40e-6


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
        if method == "amounts":
            return {"multiply": 10**9}
        if method == "take":
            self.seen.clear()
        world = self.world
        world.now += LAUNCH if method in self.seen else world.cold
        self.seen.add(method)
        times = WHOLE if method == "run" else 1
        world.busy = max(world.busy, world.now) + times * WARM[self.name]
        return np.ones((1, 2, 3, 3))

    def peak(self):
        self.call("run", ())
        return 1


class VirtualProcess:
    """A Process without a process: a request is answered by the code of the child.

    While one answers, others may do so too: the time goes on only for whoever waits for the answer.
    """

    def __init__(self, rival):
        self.rival, self.answered, self.end = rival, None, 0.0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def ready(self, until=None):
        """All start at the same time, and take a second."""
        self.rival.world.now = max(self.rival.world.now, 1.0)

    def begin(self, request, *details):
        world = self.rival.world
        begun = world.now
        self.answered = processes.ANSWERS[request](self.rival, *details)
        world.now, self.end = begun, world.now

    def answer(self, until=None):
        self.rival.world.now = max(self.rival.world.now, self.end)
        return self.answered

    def ask(self, *details):
        self.begin("ask", *details)
        return self.answer()

    def seconds(self, *details, **options):
        return processes.ANSWERS["seconds"](self.rival, *details, **options)

    def waits(self):
        return self.rival.clock.waits()

    close = __exit__


@pytest.fixture
def world(monkeypatch):
    """A function of the seconds of a first call: the World, in which measuring now takes place."""

    def make(cold):
        world = World(cold)
        clock = SimpleNamespace(sleep=world.sleep, monotonic=world.time, perf_counter=world.time)
        for module in (timing, clocks, measuring, budget, processes):
            monkeypatch.setattr(module, "time", clock)
        monkeypatch.setattr(Settings, "rival", lambda self, name, *_: VirtualProcess(Rival(world, name)))
        monkeypatch.setattr(Settings, "ceilings", lambda self: VirtualProcess(Rival(world, "ceiling")))
        judge = SimpleNamespace(answer=lambda until: (np.ones((1, 2, 3, 3)), "nobody"))
        monkeypatch.setattr(measuring, "Judge", lambda *_: judge)
        return world

    return make


@pytest.mark.parametrize("cold", [0.01, 2.0])
def test_in_virtual_time(world, cold):
    """First calls of two seconds: all is over in time, and the medians are those of the calls that follow."""
    now = world(cold)
    settings = Settings((), "cuda", 1, layers=True, progress=False, budget=budget.Budget(75))
    result = measure(Work("mini_fcn8s", (64, 64)), settings)
    assert now.now < 75 + 3 * 3 * cold
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

"""The costs are medians of rounds in which the methods take turns. Doubtful times are called doubtful."""

import sys

import numpy as np
import pytest
import standin

from fcn_from_scratch.lab.compare import METHODS, measuring, predictor
from fcn_from_scratch.lab.compare.measuring import PEAKS, ROUNDS, Costs, costs, doubts, peak_bytes

QUIET = Costs(10.0, 9.8, 10.3, 3.0, 3.0, 3.1, 40_000_000, 1, 32, 150_000)


@pytest.fixture
def one_thread(monkeypatch):
    monkeypatch.setattr(measuring.threads, "most", lambda: 1)


class Spy:
    passes, stride, parameters = 3, 4, 5

    def __init__(self, name, calls=None):
        self.name, self.calls = name, [] if calls is None else calls

    def multiply_adds(self, size):
        return 7 * size[0] * size[1]

    def __call__(self, x):
        self.calls.append(self.name)
        return np.zeros((1, 6, *x.shape[2:]))


def test_costs_are_the_predictors(nets, val):
    predictors = {name: predictor(METHODS[name], nets, 8) for name in ("32s", "rarefy", "unpool")}
    x = nets["32s"].transform(val[0].image)[None]
    for name, found in costs(predictors, x, progress=False).items():
        one = predictors[name]
        assert (found.passes, found.output_stride, found.parameters) == (one.passes, one.stride, one.parameters)
        assert found.multiply_adds == one.multiply_adds((64, 96))
        assert 0 < found.milliseconds_low <= found.milliseconds <= found.milliseconds_high
        assert 0 < found.peak_mib_low <= found.peak_mib <= found.peak_mib_high


def test_the_methods_take_turns():
    calls = []
    costs({name: Spy(name, calls) for name in "abc"}, np.zeros((1, 3, 4, 4), np.float32), progress=False)
    rounds = [calls[start : start + 3] for start in range(0, len(calls), 3)]
    assert len(rounds) == 1 + PEAKS + ROUNDS  # the first round is not measured
    assert all(sorted(one) == ["a", "b", "c"] for one in rounds)
    for measured in (rounds[1 : 1 + PEAKS], rounds[1 + PEAKS :]):
        assert [one[0] for one in measured] == ["a", "b", "c"] * (len(measured) // 3) + ["a", "b"][: len(measured) % 3]


def test_costs_are_medians_and_quartiles(monkeypatch):
    times, peaks = iter([*range(ROUNDS - 1, 0, -1), 1000]), iter([1, 2, 3, 4, 500])
    monkeypatch.setattr(measuring, "seconds", lambda call: next(times) / 1000)
    monkeypatch.setattr(measuring, "peak_bytes", lambda call, device: next(peaks) * 2**20)
    found = costs({"a": Spy("a")}, np.zeros((1, 3, 2, 5), np.float32), progress=False)["a"]
    assert (PEAKS, ROUNDS) == (5, 15)
    assert (found.milliseconds, found.milliseconds_low, found.milliseconds_high) == pytest.approx((8, 4.5, 11.5))
    assert (found.peak_mib, found.peak_mib_low, found.peak_mib_high) == (3, 2, 4)
    assert found[6:] == (70, 3, 4, 5)


@pytest.mark.usefixtures("one_thread")
def test_a_quiet_machine_raises_no_doubts():
    assert doubts({"a": QUIET, "b": QUIET}, 0.4, 1.4) == []
    assert doubts({"a": QUIET}, None, None) == []


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize(("before", "after", "shown"), [(0.6, 1.0, "0.6"), (0.1, 2.31, "2.3")])
def test_a_busy_machine_is_named_with_its_load(before, after, shown):
    (sentence,) = doubts({"a": QUIET}, before, after)
    assert f"busy (load average {shown})" in sentence


@pytest.mark.usefixtures("one_thread")
def test_wide_rounds_are_named():
    wide, wider = QUIET._replace(milliseconds_high=12.0), QUIET._replace(milliseconds_low=7.0)
    (sentence,) = doubts({"a": QUIET, "b": wide, "c": wider}, 0, 0)
    assert "2 of 3 methods" in sentence
    assert "c: half of its rounds took from 7.0 to 10.3 ms" in sentence
    assert doubts({"a": QUIET._replace(milliseconds_high=11.7)}, 0, 0) == []


def test_peak_memory_is_the_most_that_was_held_at_once():
    def two_then_one():
        a, b = np.ones(2**20, np.uint8), np.ones(2**20, np.uint8)
        del a, b
        return np.ones(2**20, np.uint8)

    assert 2 * 2**20 <= peak_bytes(two_then_one) < 2.1 * 2**20
    assert peak_bytes(lambda: None) < 2**14


def test_on_a_gpu_it_is_what_the_pool_grew_by(monkeypatch):
    class Pool:
        held = 100

        def free_all_blocks(self):
            self.held = 40

        def total_bytes(self):
            return self.held

    pool = Pool()

    def call():
        pool.held += 7

    monkeypatch.setitem(sys.modules, "cupy", standin)
    monkeypatch.setattr(standin, "get_default_memory_pool", lambda: pool, raising=False)
    assert peak_bytes(call, "cuda") == 7

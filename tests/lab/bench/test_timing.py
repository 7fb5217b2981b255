"""The rivals take turns, and the medians are right."""

import numpy as np
import pytest

from fcn_from_scratch.lab.bench import timing


def test_everybody_is_first_and_everybody_follows():
    names = ["a", "b", "c"]
    assert [timing.order(names, number) for number in range(4)] == [
        ["a", "b", "c"],
        ["b", "c", "a"],
        ["c", "a", "b"],
        ["a", "b", "c"],
    ]


@pytest.fixture
def log(monkeypatch):
    """The order of events: names of rivals, and "-" for a rest."""
    happened = []
    monkeypatch.setattr(timing.time, "sleep", lambda seconds: happened.append("-" if 0.03 <= seconds <= 0.08 else "?"))
    return happened


def rival(log, name, seconds):
    return lambda calls: log.append(f"{name}{calls}") or seconds


def test_turns_with_a_rest_between_them(log):
    seconds = timing.in_turn({"a": rival(log, "a", 0.5), "b": rival(log, "b", 0.2)}, timing.Turns(3))
    assert "".join(log) == "-a1-b1" + "-a1-b1" + "-b1-a1" + "-a1-b1"
    assert seconds == {"a": [0.5] * 3, "b": [0.2] * 3}


def test_short_calls_are_repeated(log):
    """A turn lasts at least a tenth of a second. The warm-up call shows how long a call takes and is not counted."""
    timing.in_turn({"a": rival(log, "a", 0.009), "b": rival(log, "b", 0.1)}, timing.Turns(1))
    assert "".join(log) == "-a1-b1" + "-a12-b1"


@pytest.mark.parametrize(("seconds", "rounds"), [(0.01, 30), (4.0, 10), (30.0, 5)])
def test_as_many_rounds_as_take_forty_seconds(log, seconds, rounds):
    assert timing.number_of_rounds(seconds) == rounds
    assert len(timing.in_turn({"a": rival(log, "a", seconds)})["a"]) == timing.number_of_rounds(max(seconds, 0.1))


def test_summary():
    times = timing.summary([9.0, 1.0, 2.0, 4.0, 3.0])
    assert times == (3.0, 2.0, 4.0)
    assert times.median == np.median([9, 1, 2, 4, 3])

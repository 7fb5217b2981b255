"""A bar on a terminal, plain lines elsewhere."""

import io
import itertools
import sys

import pytest
from tqdm import tqdm

from fcn_from_scratch import progress
from fcn_from_scratch.progress import Lines, bar, in_words


class Clock:
    """A clock that the test sets."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(progress, "monotonic", clock)
    monkeypatch.setattr(progress, "EVERY", 10.0)
    return clock


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_gets_a_bar(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert isinstance(bar(range(3)), tqdm)
    assert list(bar(range(3), unit="image", desc="scoring")) == [0, 1, 2]
    assert "3/3" in sys.stderr.getvalue()


def test_disabled_is_silent_everywhere(monkeypatch, clock):
    for stream in (Terminal(), io.StringIO()):
        monkeypatch.setattr(sys, "stderr", stream)
        for _ in bar(range(3), disable=True):
            clock.now += 100
        with bar(total=2, disable=True) as shown:
            shown.set_postfix_str("loss 1", refresh=False)
            clock.now += 100
            shown.update()
        assert stream.getvalue() == ""


def test_a_short_loop_says_nothing(clock, capsys):
    for _ in bar(range(9)):
        clock.now += 1.1
    assert capsys.readouterr() == ("", "")


def test_the_lines(clock, capsys):
    """6 s a step: lines after 12, 24 and 36 s, and one at the end. The time left follows from this loop's steps."""
    with bar(total=107, initial=100, unit="step") as shown:
        for number in range(7):
            shown.set_postfix_str(f"loss {number}", refresh=False)
            clock.now += 6
            shown.update()
    assert capsys.readouterr().err.splitlines() == [
        "step 102 of 107, loss 1, 12 s, about 30 s left",
        "step 104 of 107, loss 3, 24 s, about 18 s left",
        "step 106 of 107, loss 5, 36 s, about 6 s left",
        "step 107 of 107, loss 6, 42 s",
    ]


def test_an_iterable(clock, capsys):
    def slow():
        for number in range(3):
            clock.now += 11
            yield number

    assert list(bar(slow(), unit="image", desc="scoring")) == [0, 1, 2]
    assert capsys.readouterr().err.splitlines() == [
        "scoring: image 1, 11 s",
        "scoring: image 2, 22 s",
        "scoring: image 3, 33 s",
    ]
    assert bar([1, 2, 3]).total == 3


def test_a_long_loop_speaks_seldom(clock, capsys):
    """Ten hours of steps of one second: never two lines within ten seconds, and one a minute in the end."""
    times = []
    lines = Lines(total=36_000)
    for _ in range(36_000):
        clock.now += 1
        lines.update()
        if capsys.readouterr().err:
            times.append(clock.now - 1000)
    pauses = [late - early for early, late in itertools.pairwise(times)]
    assert min(pauses) == 10
    assert pauses[-1] == max(pauses) == 60
    assert len(times) < 700


def test_a_loop_that_fails_does_not_say_it_ended(clock, capsys):
    with pytest.raises(KeyboardInterrupt), bar(total=5) as shown:  # noqa: PT012
        clock.now += 20
        shown.update()
        clock.now += 1
        shown.update()
        raise KeyboardInterrupt
    assert capsys.readouterr().err == "step 1 of 5, 20 s, about 80 s left\n"


def test_without_stderr(monkeypatch, clock):
    """A program without a console has none."""
    monkeypatch.setattr(sys, "stderr", None)
    for _ in bar(range(2)):
        clock.now += 60


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "0 s"),
        (45.4, "45 s"),
        (99.4, "99 s"),
        (99.6, "2 min"),
        (200, "3 min"),
        (5960, "99 min"),
        (7800, "2 h 10 min"),
    ],
)
def test_times(seconds, words):
    assert in_words(seconds) == words

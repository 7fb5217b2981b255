"""The command with its output, and an invented result of the lesson-size network."""

import pytest

from fcn_from_scratch.cli import main
from fcn_from_scratch.lab.bench import LESSON, Ceilings, Result, Work
from fcn_from_scratch.lab.bench.measuring import compared

SAMPLES = {"fcn": [0.04, 0.01, 0.03, 0.02, 0.9], "torch": [0.5, 0.12, 0.1, 0.11, 0.09], "torch_cl": [0.06] * 5}


@pytest.fixture
def work():
    return Work(LESSON, (16, 24), batch=2, train=True)


@pytest.fixture
def result(work):
    """An invented result: medians of 30, 110 and 60 ms."""
    rows = [
        row._replace(peak_bytes=(place + 1) << 26, error=10.0 ** -(5 + place), agreement=1 - place / 1e4)
        for place, row in enumerate(compared("whole", SAMPLES, flops=3_300_000_000))
    ]
    for part, factor in (("conv1 forward", 0.1), ("conv1 weight_grad", 0.2), ("conv2, conv3 input_grad", 0.3)):
        samples = {name: [factor * second for second in seconds] for name, seconds in SAMPLES.items()}
        rows += compared(part, samples, flops=300_000_000)
    return Result(work, "cpu", 2, rows, Ceilings(100.0), SAMPLES, (0.1, 1.9))


@pytest.fixture
def hurried(monkeypatch):
    """No rests, and one call in each turn: the measured times mean nothing."""
    from fcn_from_scratch.lab.bench import timing

    monkeypatch.setattr(timing, "TURN", 1e-9)
    monkeypatch.setattr(timing, "PAUSE", (0.0, 0.0))


@pytest.fixture
def fcn(capsys):
    """A function that runs `fcn bench` with some words; returns (exit status, standard output, standard error)."""

    def run(*words):
        try:
            status = main(["bench", *map(str, words)])
        except SystemExit as end:
            status = end.code
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run

"""One work, all its rivals: who is right, how long each takes, and how much memory."""

import os
from contextlib import ExitStack
from typing import NamedTuple

import numpy as np

from fcn_from_scratch.bench.ceiling import Ceiling
from fcn_from_scratch.bench.numpy_rival import NumpyRival, ZeroFrameRival
from fcn_from_scratch.bench.processes import Process
from fcn_from_scratch.bench.timing import ROUNDS, in_turn, summary
from fcn_from_scratch.bench.torch_rival import TorchRival
from fcn_from_scratch.bench.work import convolutions
from fcn_from_scratch.progress import bar


class Rival(NamedTuple):
    """Names for tables, long and short, and what makes the rival of a Work: make(work, *arguments)."""

    title: str
    short: str
    make: type
    arguments: tuple


RIVALS = {
    "fcn": Rival("fcn_from_scratch", "ours", NumpyRival, ("auto",)),
    "zero_frame": Rival("the same with the zero frame", "zero frame", ZeroFrameRival, ()),
    "im2col": Rival("the same by im2col", "im2col", NumpyRival, ("im2col",)),
    "torch": Rival("PyTorch NCHW", "NCHW", TorchRival, ("contiguous_format",)),
    "torch_cl": Rival("PyTorch channels_last", "channels_last", TorchRival, ("channels_last",)),
}
# Who competes with whom, ours first, and who says in float64 what is right.
COMPETITIONS = {"torch": (("fcn", "torch", "torch_cl"), "torch"), "none": (("fcn", "im2col"), "im2col")}


class Row(NamedTuple):
    """One rival at one part of the work.

    part         "whole", or layers and a pass: "conv1_1 forward", "conv3_2, conv3_3 weight_grad"
    seconds      the median over all rounds;  low, high, the quartiles
    ratio        seconds / ours: how many times as long it takes
    gflops       effective GFLOP/s: two for each multiply-add of the direct sum, whatever the algorithm makes of it
    peak_bytes   of the rival's process, Python and libraries included; None for a part
    error        largest difference of a score from float64's, relative to the largest score; None for a part
    agreement    of pixels, how many have float64's class; None for a part
    """

    part: str
    rival: str
    seconds: float
    low: float
    high: float
    ratio: float
    gflops: float
    peak_bytes: int | None = None
    error: float | None = None
    agreement: float | None = None


class Result(NamedTuple):
    """What was measured of one work.

    rows        of Row: the whole first, each rival, then the parts
    ceiling     GFLOP/s of the best matrix product, between the rivals' turns
    samples     rival -> seconds of the whole in each round
    load        the machine's load average before anything ran, and at the end; None where the system does not tell
    """

    work: object
    threads: int
    rows: list
    ceiling: float
    samples: dict
    load: tuple | None


def measure(work, peer, threads, repeats=None, layers=False, zero_frame=False, mallopt=False, progress=True):
    """The Result of a Work.

    peer      a key of COMPETITIONS;  threads, of every rival;  repeats, rounds (by default as many as take 40 s)
    layers    also measure every convolution alone, forward and both gradients
    zero_frame  also let models.ZeroFrame compete, at inference
    mallopt   every rival's malloc keeps its memory, see processes.keep_memory
    """
    names, judge = COMPETITIONS[peer]
    names = (names[0], *("zero_frame",) * zero_frame, *names[1:])
    before, knobs = load(), {"threads": threads, "mallopt": mallopt}
    with _process(judge, work._replace(train=False), "float64", threads=threads) as process:
        truth = process.ask("scores")
    with ExitStack() as stack:
        rivals = {name: stack.enter_context(_process(name, work, **knobs)) for name in names}
        accuracy = {name: deviation(rival.ask("scores"), truth) for name, rival in rivals.items()}
        ceiling = stack.enter_context(Process(Ceiling, threads=threads))
        calls = {name: lambda n, rival=rival: rival.seconds("run", n) for name, rival in rivals.items()}
        samples = in_turn({**calls, "ceiling": lambda n: ceiling.seconds("multiply", n)}, repeats, progress)
        best = Ceiling.flops / min(samples.pop("ceiling")) / 1e9
        rows = compared("whole", samples, 2 * work.multiply_adds())
        rows = [
            row._replace(peak_bytes=rivals[row.rival].peak(), error=error, agreement=agreement)
            for row, (error, agreement) in zip(rows, accuracy.values())
        ]
        if layers:
            alone = {name: rivals[name] for name in COMPETITIONS[peer][0]}
            rows += _by_layer(work, alone, repeats or ROUNDS[0], progress)
    after = load()
    return Result(work, threads, rows, best, samples, None if before is None else (before, after))


def _process(name, work, *more, **knobs):
    rival = RIVALS[name]
    return Process(rival.make, work, *rival.arguments, *more, **knobs)


def _by_layer(work, rivals, rounds, progress):
    rows = []
    for conv in bar(convolutions(work), disable=not progress, unit="layer", desc="layers"):
        for rival in rivals.values():
            rival.ask("take", conv)
        for step in conv.passes:
            calls = {name: lambda n, rival=rival, step=step: rival.seconds(step, n) for name, rival in rivals.items()}
            rows += compared(f"{conv.names} {step}", in_turn(calls, rounds), 2 * conv.multiply_adds)
    return rows


def compared(part, samples, flops):
    """A Row for every rival, from its seconds in each round; the first one's are ours."""
    times = {name: summary(seconds) for name, seconds in samples.items()}
    ours = next(iter(times.values())).median
    return [
        Row(part, name, *time, ratio=time.median / ours, gflops=flops / time.median / 1e9)
        for name, time in times.items()
    ]


def deviation(scores, truth):
    """(largest difference relative to the largest true score, part of the pixels whose arg-max is the true one)."""
    error = np.abs(scores - truth).max() / np.abs(truth).max()
    return float(error), float((scores.argmax(axis=1) == truth.argmax(axis=1)).mean())


def load():
    """The system's load average over the last minute: processes that want a core; None where it does not tell."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None

"""Measure one work with all its rivals: errors, times and memory."""

import math
import os
import time
from contextlib import ExitStack
from typing import NamedTuple

import numpy as np

from fcn_from_scratch.checks import InputError
from fcn_from_scratch.lab.bench import gpu, timing
from fcn_from_scratch.lab.bench.budget import Budget, LateError
from fcn_from_scratch.lab.bench.ceiling import Ceiling
from fcn_from_scratch.lab.bench.drawn import drawn_once
from fcn_from_scratch.lab.bench.peers import PEERS, installed
from fcn_from_scratch.lab.bench.processes import Process
from fcn_from_scratch.lab.bench.rivals import ALONE, OURS, RIVALS
from fcn_from_scratch.lab.bench.starting import Judge, note, start
from fcn_from_scratch.lab.bench.timing import (
    GPU_PAUSE,
    GPU_ROUNDS,
    MOST_CALLS,
    ROUNDS,
    Turns,
    in_turn,
    summary,
)
from fcn_from_scratch.lab.bench.work import convolutions
from fcn_from_scratch.progress import bar

WHOLE = 0.6  # of a work's time for the whole of it, if its layers are measured too
LATE = 0.4  # of a work's time: then no true scores are waited for
STARTED, WARM = 0.6, 0.8  # of the budget's: then a rival that has not started, or made its first runs, is left out


class Row(NamedTuple):
    """One rival on the whole work or on one part of it.

    part         "whole", or layers and a pass ("conv1_1 forward", "conv3_2, conv3_3 weight_grad"), or a kernel's name
    rival        its key in RIVALS
    seconds      the median over all rounds
    low, high    the quartiles
    ratio        its seconds / ours
    gflops       effective GFLOP/s: two operations for each multiply-add of the direct sum, whatever the algorithm does
    gbytes       effective GB/s: each array read or written once; None for the whole work
    peak_bytes   peak memory: on the CPU of the process, with Python and libraries; on a GPU of the arrays alone
    error        largest difference of a score from the float64 reference, relative to the largest score
    agreement    share of the pixels whose class is the reference's
    with_host    on a GPU: the host's time is in it although it should not be, because the device waited for the host
    peak_bytes, error and agreement are None for a part, and where a budget was too short for them.
    """

    part: str
    rival: str
    seconds: float
    low: float
    high: float
    ratio: float
    gflops: float
    gbytes: float | None = None
    peak_bytes: int | None = None
    error: float | None = None
    agreement: float | None = None
    with_host: bool = False


class Ceilings(NamedTuple):
    """The machine's highest speeds, measured between the rivals' turns.

    gflops   GFLOP/s of the best matrix product
    gbytes   GB/s of the best copy, bytes read plus bytes written; None on the CPU
    """

    gflops: float
    gbytes: float | None = None

    def share(self, row):
        """(share of a ceiling that a Row reaches, name of the ceiling), for the closer one, which limits the speed."""
        shares = [(row.gflops / self.gflops, "products")]
        if self.gbytes is not None and row.gbytes is not None:
            shares.append((row.gbytes / self.gbytes, "copy"))
        return max(shares)


class Result(NamedTuple):
    """All measurements of one work.

    device      "cpu" or "cuda"
    threads     of each rival; None on a GPU
    rows        list of Row: first the whole work by each rival, then the parts
    ceilings    Ceilings
    samples     rival -> seconds of the whole work in each round
    load        load averages (before the first run, after the last); None if the system has no load average
    truth       who computed the true scores
    peers       a sentence for each peer: its version and settings
    absent      title of a peer or rival that was asked for -> why it could not run
    left_out    the parts that did not fit into the budget
    """

    work: object
    device: str
    threads: int | None
    rows: list
    ceilings: Ceilings
    samples: dict
    load: tuple | None
    truth: str = ""
    peers: tuple = ()
    absent: dict = {}  # noqa: RUF012  never written to
    left_out: tuple = ()


class Settings(NamedTuple):
    """How a work is measured.

    peers       names in bench.peers.PEERS, of those that take part
    device      "cpu" or "cuda"
    threads     of each rival on the CPU, and of the reference
    repeats     rounds; None: as many as take 40 s
    layers      also measure each convolution alone: forward and both gradients
    extras      more rivals of ours on the CPU: "zero_frame", "one_picture" for inference, "loop" for a step of LESSON
    mallopt     let malloc keep freed memory in each rival's process, see processes.keep_memory
    tf32        allow the GPU's libraries to round factors to TF32, see bench.gpu
    progress    show progress bars
    absent      title of a peer -> why it cannot take part although it was asked for
    budget      budget.Budget: the seconds for everything
    """

    peers: tuple
    device: str
    threads: int
    repeats: int | None = None
    layers: bool = False
    extras: tuple = ()
    mallopt: bool = False
    tf32: bool = False
    progress: bool = True
    absent: dict = {}  # noqa: RUF012  never written to
    budget: Budget = Budget()

    @property
    def peer_rivals(self):
        """The names of the peers' rivals."""
        return tuple(rival for name in self.peers for rival in PEERS[name].rivals[self.device])

    @property
    def rivals(self):
        """The names of all rivals, ours first."""
        first, *more = OURS[self.device]
        return first, *self.extras, *more, *(self.peer_rivals or ALONE[self.device])

    @property
    def judges(self):
        """The names of the rivals that may compute the reference scores in float64, the best one first.

        They compute on the CPU, so that they share no kernel with a GPU. PyTorch shares no code with us.
        """
        return ("torch", "im2col") if self.peers and installed("torch") else ("im2col",)

    def process(self, make, *arguments, title="a rival", wait=True):
        """A Process for make(*arguments). With a GPU it gets one CPU thread, since the device has its own threads."""
        known = {"title": title, "wait": wait, "until": self.budget.last}
        if self.device == "cpu":
            return Process(make, *arguments, threads=self.threads, mallopt=self.mallopt, **known)
        return Process(make, *arguments, threads=1, variables=gpu.variables(self.tf32), **known)

    def rival(self, name, work, path=None):
        """A Process for a rival, which is still starting. `path`: of the network as an ONNX file, for a rival that
        reads one."""
        rival = RIVALS[name]
        arguments = (path,) if rival.from_file else rival.arguments
        return self.process(rival.make, work, *arguments, title=rival.title, wait=False)

    def turns(self, until=math.inf):
        """The Turns of a part of the work."""
        if self.device == "cpu":
            return Turns(self.repeats or ROUNDS[0], until=until)
        return Turns(self.repeats or GPU_ROUNDS, timing.GPU_TURN, MOST_CALLS, GPU_PAUSE, until)

    def ceilings(self):
        """The process in which the Ceilings are measured; it is still starting."""
        make = Ceiling if self.device == "cpu" else gpu.GpuCeiling
        return self.process(make, title="the best product of matrices", wait=False)


def measure(work, settings, tell=None, share=1.0):
    """Measure a Work; returns a Result.

    tell   called with the Result so far: after each round of the whole work, at its end, and after each part
    share  of what is left of the budget. Starting and the whole work come first; parts that do not fit are left out
    Raises: LateError if the budget is over before anything was measured.
    """
    tell, budget = tell or (lambda result: None), settings.budget
    before = load()
    end, late, started, warm = map(budget.until, (share, share * LATE, STARTED, WARM))
    with ExitStack() as stack:
        shared = drawn_once(work, stack)
        judge = Judge(shared, settings, stack)
        if settings.device == "cpu":  # alone, as it takes memory and all cores
            judge.answer(late)
        ceiling = stack.enter_context(settings.ceilings())
        rivals, absent = start(settings.rivals, shared, settings, stack, started)
        scores = _together(rivals, settings, absent, "ask", "scores", until=warm)
        accuracy, truth = _accuracy(scores, judge, late)
        ceiling.ready()
        peers = dict.fromkeys(rivals[name].ask("described") for name in settings.peer_rivals if name in rivals)
        number, absent = settings.threads if settings.device == "cpu" else None, settings.absent | absent
        result = Result(work, settings.device, number, [], None, {}, None, truth, tuple(peers), absent)
        until = time.monotonic() + (WHOLE if settings.layers else 1) * (end - time.monotonic())
        result = _whole(result, settings, rivals, ceiling, accuracy, (until, warm), tell)
        tell(result)
        if settings.layers:
            alone = {name: rival for name, rival in rivals.items() if _measures_layers(name, settings)}
            result = _by_layer(result, alone, settings, tell, end)
    return result._replace(load=None if before is None else (before, load()))


def _accuracy(scores, judge, until):
    """(name -> the error and the agreement of its Row, who computed the true scores). `scores`: name -> its own."""
    truth, title = judge.answer(until)
    found = {}
    for name in scores:
        error, agreement = (None, None) if truth is None else deviation(scores[name], truth)
        found[name] = {"error": error, "agreement": agreement}
    return found, title


def _together(rivals, settings, absent, *request, until=math.inf):
    """name -> its answer. A peer that fails moves from `rivals` to `absent`.

    until  a rival that has not answered at this time moves, too, unless it is the first, which all are compared with
    On a GPU our rivals answer at the same time: what they do for the first time is compiled on the host. The peers
    follow alone, because they time their algorithms to choose the fastest.
    """
    ours = [name for name in rivals if name not in settings.peer_rivals and settings.device == "cuda"]
    for name in ours:
        rivals[name].begin(*request)
    answers = {}
    for name, rival in list(rivals.items()):
        try:
            if name not in ours:
                rival.begin(*request)
            answers[name] = rival.answer(math.inf if name == settings.rivals[0] else until)
        except (InputError, MemoryError, LateError) as failure:
            if isinstance(failure, LateError) and until == math.inf:
                raise
            note(name, failure, settings, absent)
            rivals.pop(name).close()
    return answers


def _whole(result, settings, rivals, ceiling, accuracy, times, tell):
    """The Result with a Row for each rival, with its peak memory; after each round `tell` gets the Result so far.

    times  (no round begins after this time, a rival that has not made its first runs at this time is left out)
    """
    until, warm = times
    peaks = dict.fromkeys(rivals)
    if settings.device == "cuda":  # this also runs the work untimed: kernels are compiled and algorithms chosen
        peaks = _together(rivals, settings, result.absent, "peak", until=warm)
    flops = 2 * result.work.multiply_adds()

    def found(samples, ceilings):
        rows = compared("whole", samples, flops)
        rows = [row._replace(peak_bytes=peaks[row.rival], **accuracy[row.rival]) for row in rows]
        return result._replace(rows=rows, samples=samples, ceilings=ceilings)

    calls = {name: lambda n, rival=rival: rival.seconds("run", n) for name, rival in rivals.items()}
    turns = Turns(settings.repeats, until=until)
    samples, ceilings = beside(ceiling, calls, turns, settings.progress, lambda *so_far: tell(found(*so_far)))
    if settings.device == "cpu":  # the peak over the whole life of the process
        peaks.update({name: rival.peak() for name, rival in rivals.items()})
    return found(samples, ceilings)


def _measures_layers(name, settings):
    """Whether a rival also runs each convolution alone: not our extras, nor a network that was read from a file."""
    return name not in settings.extras and not RIVALS[name].from_file


def beside(ceiling, calls, turns, progress=False, tell=None):
    """(samples of timing.in_turn, Ceilings): the ceiling's process takes turns with the rivals.

    tell  called after each round with both so far
    """
    amounts = ceiling.ask("amounts")
    best = {f"best {name}": lambda n, name=name: ceiling.seconds(name, n) for name in amounts}

    def split(samples):
        speeds = {name: amount / min(samples[f"best {name}"]) / 1e9 for name, amount in amounts.items()}
        ours = {name: list(seconds) for name, seconds in samples.items() if name in calls}
        return ours, Ceilings(speeds["multiply"], speeds.get("copy"))

    each = None if tell is None else lambda samples: tell(*split(samples))
    return split(in_turn({**calls, **best}, turns, progress, each))


def _by_layer(result, rivals, settings, tell, end):
    """The Result with Rows for each pass of each convolution, and with the names of those that did not fit.

    end  the time when no more begins. With a budget the largest convolutions come first
    """
    found = convolutions(result.work)
    if settings.budget.seconds is not None:
        found.sort(key=lambda conv: -conv.multiply_adds)
    pairs = [(conv, step) for conv in found for step in conv.passes]
    taken, shortest = None, 0.0  # seconds of the shortest part so far: one that would end too late does not begin
    for place, (conv, step) in enumerate(bar(pairs, disable=not settings.progress, unit="part", desc="layers")):
        try:
            if time.monotonic() + shortest > end:
                raise LateError
            if conv is not taken:
                _together(rivals, settings, result.absent, "ask", "take", conv)
                taken = conv
            began = time.monotonic()
            if settings.device == "cuda":
                _together(rivals, settings, result.absent, "warm", step)
            now = time.monotonic()
            turns = settings.turns(now + (end - now) / (len(pairs) - place))
            calls = {name: (rival, step) for name, rival in rivals.items()}
            rows = part_rows(f"{conv.names} {step}", calls, turns, 2 * conv.multiply_adds, conv.bytes)
        except LateError:
            return result._replace(left_out=tuple(f"{conv.names} {step}" for conv, step in pairs[place:]))
        result = result._replace(rows=result.rows + rows)
        tell(result)
        spent = time.monotonic() - began
        shortest = min(shortest, spent) if shortest else spent
    return result


def part_rows(part, calls, turns, flops, moved):
    """A Row of a part of the work for each rival, without the host's time.

    calls  rival -> (its Process, the name of its method)
    """
    timed = {
        name: lambda n, process=process, method=method: process.seconds(method, n, ahead=True)
        for name, (process, method) in calls.items()
    }
    for process, _ in calls.values():
        process.waits()  # what was before is forgotten
    rows = compared(part, in_turn(timed, turns), flops, moved)
    return [row._replace(with_host=calls[row.rival][0].waits()) for row in rows]


def compared(part, samples, flops, moved=None):
    """A Row for each rival from its seconds in each round. The first rival is ours; `moved` are the arrays' bytes."""
    times = {name: summary(seconds) for name, seconds in samples.items()}
    ours = next(iter(times.values())).median
    return [
        Row(
            part,
            name,
            *time,
            ratio=time.median / ours,
            gflops=flops / time.median / 1e9,
            gbytes=None if moved is None else moved / time.median / 1e9,
        )
        for name, time in times.items()
    ]


def deviation(scores, truth):
    """(largest difference relative to the largest true score, share of the pixels whose arg-max is the true one)."""
    error = np.abs(scores - truth).max() / np.abs(truth).max()
    return float(error), float((scores.argmax(axis=1) == truth.argmax(axis=1)).mean())


def load():
    """The load average of the last minute: the number of processes that want a core. None if the system has none."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None

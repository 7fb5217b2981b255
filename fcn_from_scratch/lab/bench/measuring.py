"""Measure one work with all its rivals: errors, times and memory."""

import os
from contextlib import ExitStack
from typing import NamedTuple

import numpy as np

from fcn_from_scratch.checks import InputError
from fcn_from_scratch.lab.bench import gpu
from fcn_from_scratch.lab.bench.ceiling import Ceiling
from fcn_from_scratch.lab.bench.peers import PEERS, installed
from fcn_from_scratch.lab.bench.processes import Process
from fcn_from_scratch.lab.bench.rivals import ALONE, OURS, RIVALS
from fcn_from_scratch.lab.bench.starting import note, start, true_scores
from fcn_from_scratch.lab.bench.timing import GPU_TURN, ROUNDS, in_turn, summary
from fcn_from_scratch.lab.bench.work import convolutions
from fcn_from_scratch.progress import bar


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
    peak_bytes, error and agreement are None for a part.
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


class Settings(NamedTuple):
    """How a work is measured.

    peers       names in bench.peers.PEERS, of those that take part
    device      "cpu" or "cuda"
    threads     of each rival on the CPU, and of the reference
    repeats     rounds; None: as many as take 40 s
    layers      also measure each convolution alone: forward and both gradients
    extras      more rivals of ours, for inference on the CPU: "zero_frame", "one_picture"
    mallopt     let malloc keep freed memory in each rival's process, see processes.keep_memory
    tf32        allow the GPU's libraries to round factors to TF32, see bench.gpu
    progress    show progress bars
    absent      title of a peer -> why it cannot take part although it was asked for
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

    def process(self, make, *arguments, title="a rival"):
        """A Process for make(*arguments). With a GPU it gets one CPU thread, since the device has its own threads."""
        if self.device == "cpu":
            return Process(make, *arguments, threads=self.threads, mallopt=self.mallopt, title=title)
        return Process(make, *arguments, threads=1, variables=gpu.variables(self.tf32), title=title)

    def rival(self, name, work, path=None):
        """A Process for a rival. `path`: of the network as an ONNX file, for a rival that reads one."""
        rival = RIVALS[name]
        arguments = (path,) if rival.from_file else rival.arguments
        return self.process(rival.make, work, *arguments, title=rival.title)

    def in_turn(self, calls):
        """timing.in_turn with these settings, for a part of the work."""
        return in_turn(calls, self.repeats or ROUNDS[0], shortest=None if self.device == "cpu" else GPU_TURN)

    def ceilings(self):
        """The process in which the Ceilings are measured."""
        make = Ceiling if self.device == "cpu" else gpu.GpuCeiling
        return self.process(make, title="the best product of matrices")


def measure(work, settings, tell=None):
    """Measure a Work; returns a Result.

    tell  called with each list of Rows as soon as it is measured: first the whole work, then one part after another
    """
    tell = tell or (lambda rows: None)
    before = load()
    truth, judge = true_scores(work, settings)
    with ExitStack() as stack:
        rivals, absent = start(settings.rivals, work, settings, stack)
        accuracy = _accuracy(rivals, truth, settings, absent)
        peers = dict.fromkeys(rivals[name].ask("described") for name in settings.peer_rivals if name in rivals)
        rows, samples, ceilings = _whole(work, settings, rivals, stack.enter_context(settings.ceilings()))
        rows = [row._replace(**accuracy[row.rival]) for row in rows]
        tell(rows)
        if settings.layers:
            alone = {name: rival for name, rival in rivals.items() if _measures_layers(name, settings)}
            rows = rows + _by_layer(work, alone, settings, tell)
    after, number = load(), settings.threads if settings.device == "cpu" else None
    loads, absent = None if before is None else (before, after), settings.absent | absent
    return Result(work, settings.device, number, rows, ceilings, samples, loads, judge, tuple(peers), absent)


def _accuracy(rivals, truth, settings, absent):
    """name -> the error and the agreement of its Row. A peer that fails moves from `rivals` to `absent`."""
    found = {}
    for name, rival in list(rivals.items()):
        try:
            error, agreement = deviation(rival.ask("scores"), truth)
        except (InputError, MemoryError) as failure:
            note(name, failure, settings, absent)
            del rivals[name]
        else:
            found[name] = {"error": error, "agreement": agreement}
    return found


def _whole(work, settings, rivals, ceiling):
    """(a Row for each rival with its peak memory, samples of timing.in_turn, Ceilings)"""
    if settings.device == "cuda":  # this also runs the work untimed: kernels are compiled and algorithms chosen
        peaks = {name: rival.peak() for name, rival in rivals.items()}
    calls = {name: lambda n, rival=rival: rival.seconds("run", n) for name, rival in rivals.items()}
    samples, ceilings = beside(ceiling, calls, settings.repeats, settings.progress)
    if settings.device == "cpu":  # the peak over the whole life of the process
        peaks = {name: rival.peak() for name, rival in rivals.items()}
    rows = compared("whole", samples, 2 * work.multiply_adds())
    return [row._replace(peak_bytes=peaks[row.rival]) for row in rows], samples, ceilings


def _measures_layers(name, settings):
    """Whether a rival also runs each convolution alone: not our extras, nor a network that was read from a file."""
    return name not in settings.extras and not RIVALS[name].from_file


def beside(ceiling, calls, repeats, progress=False):
    """(samples of timing.in_turn, Ceilings): the ceiling's process takes turns with the rivals."""
    amounts = ceiling.ask("amounts")
    best = {f"best {name}": lambda n, name=name: ceiling.seconds(name, n) for name in amounts}
    samples = in_turn({**calls, **best}, repeats, progress)
    speeds = {name: amount / min(samples.pop(f"best {name}")) / 1e9 for name, amount in amounts.items()}
    return samples, Ceilings(speeds["multiply"], speeds.get("copy"))


def _by_layer(work, rivals, settings, tell):
    rows = []
    for conv in bar(convolutions(work), disable=not settings.progress, unit="layer", desc="layers"):
        for rival in rivals.values():
            rival.ask("take", conv)
        for step in conv.passes:
            calls = {
                name: lambda n, rival=rival, step=step: rival.seconds(step, n, ahead=True)
                for name, rival in rivals.items()
            }
            part = f"{conv.names} {step}"
            new = compared(part, settings.in_turn(calls), 2 * conv.multiply_adds, conv.bytes)
            tell(new)
            rows += new
    return rows


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

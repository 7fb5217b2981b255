"""Time and peak memory over the size of the picture, the batch and the threads, with fitted exponents."""

from contextlib import ExitStack
from typing import NamedTuple

import numpy as np

from fcn_from_scratch.geometry.table import memory as in_words
from fcn_from_scratch.lab import memory
from fcn_from_scratch.lab.bench.drawn import drawn_once
from fcn_from_scratch.lab.bench.rivals import OURS, RIVALS
from fcn_from_scratch.lab.bench.starting import start
from fcn_from_scratch.lab.bench.timing import Turns, in_turn, summary

SIZES = tuple(
    (side, side) for side in (250, 354, 500, 707, 1000, 1414, 2000)
)  # twice as many pixels from each to the next
BATCHES = (1, 2, 4, 8)
SIZE_OF_BATCHES = (500, 500)
ROUNDS = 3  # by default; the largest pictures take a minute
# What a process takes: MARGIN times what a rival needs at least (Work.bytes), and Python with its libraries
MARGIN, LIBRARIES = 1.5, 400 << 20


class Plan(NamedTuple):
    """What is measured: each size as a single picture, and batches of one size; all of it with each number of threads.

    work     the network; its size is that of the batches, and its batch is 1
    sizes    (H, W) of the single pictures
    batches  numbers of pictures
    threads  numbers of threads
    """

    work: object
    sizes: tuple
    batches: tuple
    threads: tuple

    def points(self):
        """A list of (Work, number of threads) without repetitions. The first is `work` with most threads."""
        single = [self.work._replace(size=size) for size in sorted(self.sizes)]
        batches = [self.work._replace(batch=batch) for batch in sorted(self.batches)]
        found = [(self.work, max(self.threads))]
        for threads in sorted(self.threads, reverse=True):
            for work in (*single, *batches):
                if (work, threads) not in found:
                    found.append((work, threads))
        return found


class ScaleRow(NamedTuple):
    """One rival at one point.

    size        of the pictures, (H, W)
    seconds     the median; low, high: the quartiles
    ratio       its seconds / ours at this point
    peak_bytes  peak memory of the process, which was started for this point
    why         why it was not measured: then the numbers are None
    """

    size: tuple
    batch: int
    threads: int
    rival: str
    seconds: float | None = None
    low: float | None = None
    high: float | None = None
    ratio: float | None = None
    peak_bytes: int | None = None
    why: str | None = None


class Fit(NamedTuple):
    """A straight line through logarithms: `what` grows as the power `exponent` of `over`.

    over      "pixels" of single pictures, or "batch"
    what      "seconds" or "peak_bytes"
    exponent  by least squares
    each      what one more pixel or picture adds: the slope of a straight line through the numbers themselves
    points    how many points there were
    off       the largest factor between a point and the power
    """

    rival: str
    threads: int
    over: str
    what: str
    exponent: float
    each: float
    points: int
    off: float


class ScaleResult(NamedTuple):
    """All measurements. `peers` and `absent` as in measuring.Result."""

    plan: Plan
    rows: list
    fits: list
    peers: tuple
    absent: dict


def measure_scale(plan, settings, tell=None):
    """Measure a Plan; returns a ScaleResult. Settings as for bench.measure; `threads` is the plan's.

    At the first point all rivals run. After it only ours, the fastest peer, and PyTorch's faster order of arrays go on.
    tell  called with the ScaleRows of a point as soon as it is measured
    """
    names, rows, peers, absent = settings.rivals, [], {}, dict(settings.absent)
    with ExitStack() as stack:
        weights = drawn_once(plan.work, stack).weights
        for number, (work, threads) in enumerate(plan.points()):
            new = _point(names, work._replace(weights=weights), settings._replace(threads=threads), peers)
            new = _compared(new)
            if tell is not None:
                tell(new)
            rows += new
            if number == 0:
                absent |= {RIVALS[row.rival].title: row.why for row in new if row.why}
                names = chosen(new, settings)
    return ScaleResult(plan, rows, fits(rows, plan.work.size), tuple(peers), absent)


def chosen(rows, settings):
    """The rivals that go on after the first point, in the order of `rows`."""
    times = {row.rival: row.seconds for row in rows if row.seconds is not None}
    peers = [name for name in settings.peer_rivals if name in times]
    if not peers:
        return tuple(row.rival for row in rows)
    torch = [name for name in peers if name.startswith("torch")]
    kept = {min(group, key=times.get) for group in (peers, torch) if group}
    return tuple(row.rival for row in rows if row.rival in kept or row.rival in OURS[settings.device])


def need(work):
    """Bytes that a rival's process takes, roughly."""
    return int(MARGIN * work.bytes()) + LIBRARIES


def _point(names, work, settings, peers):
    """A ScaleRow for each rival: measured in turn where the memory allows it, otherwise one after another."""
    free, wanted = memory.available(), need(work)
    if free is not None and wanted > free:
        why = f"does not fit: it takes about {in_words(wanted)}, and {in_words(free)} are free"
        return [ScaleRow(work.size, work.batch, settings.threads, name, why=why) for name in names]
    if free is not None and wanted * len(names) > free:
        return [row for name in names for row in _measured((name,), work, settings, peers)]
    return _measured(names, work, settings, peers)


def _measured(names, work, settings, peers):
    """ScaleRows of rivals that are measured in turn. If memory runs out, each of them gets a try alone."""
    try:
        return _turns(names, work, settings, peers)
    except MemoryError as error:
        if len(names) > 1:
            return [row for name in names for row in _measured((name,), work, settings, peers)]
        return [ScaleRow(work.size, work.batch, settings.threads, names[0], why=f"does not fit: {error}")]


def _turns(names, work, settings, peers):
    with ExitStack() as stack:
        rivals, absent = start(names, work, settings, stack)
        for name in rivals:
            if name in settings.peer_rivals:
                peers[rivals[name].ask("described")] = None
        calls = {name: lambda n, rival=rival: rival.seconds("run", n) for name, rival in rivals.items()}
        samples = in_turn(calls, Turns(settings.repeats or ROUNDS), settings.progress) if calls else {}
        peaks = {name: rival.peak() for name, rival in rivals.items()}
    rows = []
    for name in names:
        row = ScaleRow(work.size, work.batch, settings.threads, name, why=absent.get(RIVALS[name].title))
        if name in samples:
            median, low, high = summary(samples[name])
            row = row._replace(seconds=median, low=low, high=high, peak_bytes=peaks[name])
        rows.append(row)
    return rows


def _compared(rows):
    """The rows of a point with their ratios; the first rival is ours."""
    ours = rows[0].seconds
    known = [ours is not None and row.seconds is not None for row in rows]
    return [row._replace(ratio=row.seconds / ours) if both else row for row, both in zip(rows, known)]


# --- exponents -------------------------------------------------------------------------------------------------------


def fits(rows, size_of_batches):
    """A Fit of time and of memory, over pixels and over the batch, for each rival and number of threads."""
    found = []
    for rival, threads in dict.fromkeys((row.rival, row.threads) for row in rows):
        own = [row for row in rows if (row.rival, row.threads) == (rival, threads)]
        curves = {
            "pixels": [(row.size[0] * row.size[1], row) for row in own if row.batch == 1],
            "batch": [(row.batch, row) for row in own if row.size == size_of_batches],
        }
        for over, points in curves.items():
            for what in ("seconds", "peak_bytes"):
                known = [(x, getattr(row, what)) for x, row in points if getattr(row, what) is not None]
                if len({x for x, _ in known}) > 1:
                    found.append(Fit(rival, threads, over, what, *power(*zip(*known))))
    return found


def power(x, y):
    """(exponent, slope, number of points, largest factor off) of y over x, see Fit."""
    x, y = np.asarray(x, float), np.asarray(y, float)
    exponent, start = np.polyfit(np.log(x), np.log(y), 1)
    off = np.exp(np.abs(np.log(y) - exponent * np.log(x) - start).max())
    return float(exponent), float(np.polyfit(x, y, 1)[0]), len(x), float(off)

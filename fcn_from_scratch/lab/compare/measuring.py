"""The costs of each method: time, memory and work for one picture, and whether the machine was quiet enough."""

import os
import time
import tracemalloc
from typing import NamedTuple

import numpy as np

from fcn_from_scratch.backend import device_module
from fcn_from_scratch.engine import threads
from fcn_from_scratch.lab.compare.scoring import predict
from fcn_from_scratch.progress import bar

ROUNDS, PEAKS = 15, 5  # rounds of timing, and of measuring memory
WIDE = 0.2  # quartiles farther apart than this share of the median make a time doubtful
QUIET = 0.5  # load average of an idle machine at most


class Costs(NamedTuple):
    """The costs of one method for one picture. Each measured number is a median, `low` and `high` are the quartiles.

    milliseconds   from image to labels
    peak_mib       the peak of the memory, without network and image, in MiB
    multiply_adds  counted by geometry
    passes         of the network over the picture
    output_stride  pixels between the network's own predictions
    parameters     number of the weights
    """

    milliseconds: float
    milliseconds_low: float
    milliseconds_high: float
    peak_mib: float
    peak_mib_low: float
    peak_mib_high: float
    multiply_adds: int
    passes: int
    output_stride: int
    parameters: int


def costs(predictors, x, device="cpu", progress=True):
    """The Costs of all methods on the picture x (1, C, H, W): name of a method -> Costs.

    The methods take turns: each round runs every method once, and each round another method is first. So disturbances
    of the machine hit all methods alike.
    """
    for one in predictors.values():  # the first call makes what later calls find ready
        predict(one, x)
    peaks = _rounds(predictors, PEAKS, lambda call: peak_bytes(call, device) / 2**20, x, progress, "memory")
    times = _rounds(predictors, ROUNDS, lambda call: 1000 * seconds(call), x, progress, "time")
    return {
        name: Costs(
            *_median_and_quartiles(times[name]),
            *_median_and_quartiles(peaks[name]),
            one.multiply_adds(x.shape[2:]),
            one.passes,
            one.stride,
            one.parameters,
        )
        for name, one in predictors.items()
    }


def _rounds(predictors, number, measure, x, progress, what):
    """name of a method -> its measurements, one from each round."""
    found, names = {name: [] for name in predictors}, list(predictors)
    for turn in bar(range(number), disable=not progress, unit="round", desc=f"measuring {what}"):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            found[name].append(measure(lambda one=predictors[name]: predict(one, x)))
    return found


def _median_and_quartiles(numbers):
    low, median, high = np.percentile(numbers, (25, 50, 75))
    return float(median), float(low), float(high)


def seconds(call):
    """The time of one call. Its result must lie on the host, so that a GPU's work is done."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def peak_bytes(call, device="cpu"):
    """The peak of the additional memory while call() runs, in bytes.

    On the CPU this is the memory that Python and NumPy allocate, as tracemalloc counts it. With two threads the peak
    varies, because both may hold their largest blocks at the same time or not. On a GPU it is the growth of CuPy's
    memory pool.
    """
    if device == "cuda":
        pool = device_module(device).get_default_memory_pool()
        pool.free_all_blocks()
        before = pool.total_bytes()
        call()
        return pool.total_bytes() - before
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        call()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


def load():
    """The load average of the last minute: the number of processes that want a core. None if the system has none."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def doubts(found, before, after):
    """Sentences that warn of unreliable times; an empty list if there is no reason to doubt them.

    found   name of a method -> Costs
    before  the load average when the command started, when nothing of ours had run yet; or None
    after   the load average after the measurement, with our own threads in it; or None
    """
    warnings = []
    busy = [number for number, own in ((before, 0), (after, threads.most())) if number and number > own + QUIET]
    if busy:
        warnings.append(
            f"The machine was busy (load average {max(busy):.1f}), so the times are too long. Repeat the command on a "
            "quiet machine: the trained networks are kept."
        )
    wide = {name: (one.milliseconds_high - one.milliseconds_low) / one.milliseconds for name, one in found.items()}
    name = max(wide, key=wide.get)
    if wide[name] > WIDE:
        number = sum(value > WIDE for value in wide.values())
        warnings.append(
            f"The times of {number} of {len(wide)} methods vary widely between the rounds. The widest is {name}: half "
            f"of its rounds took from {found[name].milliseconds_low:.1f} to {found[name].milliseconds_high:.1f} ms."
        )
    return warnings

"""Rivals in turn, again and again: whatever else the machine does meanwhile meets all of them alike."""

import random
import time
from typing import NamedTuple

import numpy as np

from fcn_from_scratch.progress import bar

TURN = 0.1  # seconds that a rival works on before the next one comes, at least
GPU_TURN = (
    0.01  # where calls are timed on a device without the host's part: its clock is exact, and queueing takes long
)
PAUSE = 0.03, 0.08  # seconds between two rivals: threads of the one before may still spin
ROUNDS, LONGEST = (5, 30), 40  # how many by default: as many of these as take so many seconds


class Times(NamedTuple):
    """Seconds of one rival: the median, and the quartiles below and above it."""

    median: float
    low: float
    high: float


def summary(seconds):
    """The Times of a list of seconds."""
    low, median, high = np.percentile(seconds, (25, 50, 75))
    return Times(float(median), float(low), float(high))


def order(names, number):
    """Who comes after whom in round `number`: the first moves on, so that nobody always follows the same one."""
    start = number % len(names)
    return names[start:] + names[:start]


def in_turn(rivals, rounds=None, progress=False, shortest=None):
    """name -> list of seconds, one for each round, after one to warm up.

    rivals    name -> function of a number of calls, which returns the seconds that one of them took
    rounds    how often each gets its turn; None decides by the time that the first one took
    progress  show a bar
    shortest  seconds that a turn lasts at least; None is TURN
    """
    names, seconds = list(rivals), {name: [] for name in rivals}
    shortest = TURN if shortest is None else shortest
    warm = {name: _turn(rivals[name], 1) for name in names}
    calls = {name: max(1, int(np.ceil(shortest / warm[name]))) for name in names}
    rounds = rounds or number_of_rounds(sum(max(shortest, each) for each in warm.values()))
    for number in bar(range(rounds), disable=not progress, unit="round", desc="in turn"):
        for name in order(names, number):
            seconds[name].append(_turn(rivals[name], calls[name]))
    return seconds


def number_of_rounds(seconds):
    """How many rounds of so many seconds each."""
    fewest, most = ROUNDS
    return int(np.clip(LONGEST / seconds, fewest, most))


def _turn(rival, calls):
    time.sleep(random.uniform(*PAUSE))
    return rival(calls)

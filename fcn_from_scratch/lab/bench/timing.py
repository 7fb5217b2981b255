"""Rivals run in turn, again and again, so that disturbances of the machine hit all of them alike."""

import random
import time
from typing import NamedTuple

import numpy as np

from fcn_from_scratch.progress import bar

TURN = 0.1  # seconds that each turn of a rival lasts at least
GPU_TURN = 0.01  # the same for calls queued ahead on a GPU: the device's clock is exact, and queueing takes long
PAUSE = 0.03, 0.08  # seconds between two rivals: threads of the one before may still spin
ROUNDS, LONGEST = (5, 30), 40  # fewest and most rounds by default; seconds that they should take together


class Times(NamedTuple):
    """Times of one rival in seconds: the median and the two quartiles."""

    median: float
    low: float
    high: float


def summary(seconds):
    """The Times of a list of seconds."""
    low, median, high = np.percentile(seconds, (25, 50, 75))
    return Times(float(median), float(low), float(high))


def order(names, number):
    """The order of the rivals in round `number`. Each round starts with the next rival, so none is always first."""
    start = number % len(names)
    return names[start:] + names[:start]


def in_turn(rivals, rounds=None, progress=False, shortest=None):
    """Time the rivals in turn; returns name -> list of seconds of one call, one for each round.

    rivals    name -> function of a number of calls, which returns the mean seconds of a call
    rounds    how many turns each rival gets; None: a number that follows from the time of the first calls
    progress  show a progress bar
    shortest  seconds that a turn lasts at least; None is TURN
    The first call of each rival is a warm-up and is not counted.
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
    """How many rounds to make by default if one takes `seconds`."""
    fewest, most = ROUNDS
    return int(np.clip(LONGEST / seconds, fewest, most))


def _turn(rival, calls):
    time.sleep(random.uniform(*PAUSE))
    return rival(calls)

"""Rivals run in turn, again and again, so that disturbances of the machine hit all of them alike.

The number of calls in a turn follows from the time of a call. A first call may take seconds, because it compiles a
kernel or chooses an algorithm, and the next one microseconds. So the number is corrected after every turn. A turn that
turns out to be far too short is repeated and not counted.
"""

import math
import random
import time
from typing import NamedTuple

import numpy as np

from fcn_from_scratch.progress import bar

TURN = 0.1  # seconds that each turn of a rival lasts at least
GPU_TURN = 0.003  # the same for calls queued ahead on a GPU: the device's clock is exact, and queueing takes long
MOST_CALLS = 64  # of such calls in a turn
PAUSE = 0.03, 0.08  # seconds between two rivals: threads of the one before may still spin
GPU_PAUSE = 0.001, 0.003
GPU_ROUNDS = 3  # of a part, by default
ROUNDS, LONGEST = (5, 30), 40  # fewest and most rounds by default; seconds that they should take together
TRIES = 3  # for a turn with the right number of calls


class Times(NamedTuple):
    """Times of one rival in seconds: the median and the two quartiles."""

    median: float
    low: float
    high: float


class Turns(NamedTuple):
    """How long the turns are, and how many.

    rounds    how many turns each rival gets; None: a number that follows from the times of the first round
    shortest  seconds that a turn lasts at least; None is TURN
    most      most calls in a turn
    pause     seconds between two turns, the fewest and the most; None is PAUSE
    until     no round begins that would end after this time; the first one always begins
    """

    rounds: int | None = None
    shortest: float | None = None
    most: float = math.inf
    pause: tuple | None = None
    until: float = math.inf

    def calls(self, seconds):
        """The number of calls in a turn if one takes `seconds`."""
        return int(np.clip(np.ceil(self.least / seconds), 1, self.most))

    @property
    def least(self):
        return TURN if self.shortest is None else self.shortest

    def turn(self, rival, calls):
        time.sleep(random.uniform(*(PAUSE if self.pause is None else self.pause)))
        return rival(calls)


def summary(seconds):
    """The Times of a list of seconds."""
    low, median, high = np.percentile(seconds, (25, 50, 75))
    return Times(float(median), float(low), float(high))


def order(names, number):
    """The order of the rivals in round `number`. Each round starts with the next rival, so none is always first."""
    start = number % len(names)
    return names[start:] + names[:start]


def in_turn(rivals, turns=None, progress=False, tell=None):
    """Time the rivals in turn; returns name -> list of seconds of one call, one for each round.

    rivals    name -> function of a number of calls, which returns the mean seconds of a call
    turns     Turns
    progress  show a progress bar
    tell      called after each round with the seconds so far
    The first call of each rival is a warm-up and is not counted.
    """
    turns, names, seconds = turns or Turns(), list(rivals), {name: [] for name in rivals}
    calls = {name: turns.calls(turns.turn(rivals[name], 1)) for name in names}
    rounds = turns.rounds
    with bar(total=rounds, disable=not progress, unit="round", desc="in turn") as shown:
        for number in range(ROUNDS[1] if rounds is None else rounds):
            start = time.monotonic()
            for name in order(names, number):
                mean, calls[name] = _long_enough(rivals[name], calls[name], turns)
                seconds[name].append(mean)
            shown.update()
            if tell is not None:
                tell(seconds)
            if rounds is None:
                rounds = shown.total = number_of_rounds(sum(max(turns.least, each[0]) for each in seconds.values()))
            now = time.monotonic()
            if number + 1 >= rounds or now + (now - start) > turns.until:
                break
    return seconds


def number_of_rounds(seconds):
    """How many rounds to make by default if one takes `seconds`."""
    fewest, most = ROUNDS
    return int(np.clip(LONGEST / seconds, fewest, most))


def _long_enough(rival, calls, turns):
    """(the mean seconds of a call, the number of calls for the next turn)"""
    for _ in range(TRIES):
        mean = turns.turn(rival, calls)
        before, calls = calls, turns.calls(mean)
        if calls <= 2 * before:
            break
    return mean, calls

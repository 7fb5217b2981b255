"""How many seconds a command may take, and how they are shared out."""

import math
import time

ENDING = 0.08, 4.0  # share of a budget that is kept for closing processes and writing files, and its most seconds


class LateError(Exception):
    """The budget is over, and an answer has not come."""


class Budget:
    """Seconds from now on. What comes later gets a share of what is left then, so time that is not used is passed on.

    seconds  None: as many as it takes
    """

    def __init__(self, seconds=None):
        self.seconds, self.start = seconds, time.monotonic()
        share, most = ENDING
        self.last = math.inf if seconds is None else self.start + seconds  # then no answer is waited for
        self.end = math.inf if seconds is None else self.start + seconds - min(share * seconds, most)

    def left(self):
        """Seconds that are left; inf without a budget."""
        return self.end - time.monotonic()

    def until(self, share):
        """The time at which a share of what is left now is over."""
        return time.monotonic() + share * max(0.0, self.left())

    def __str__(self):
        return f"the budget of {self.seconds:g} s"

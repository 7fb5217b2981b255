"""When a run is saved: from time to time, at its end, and when an error or a signal stops it."""

import sys
import time

from fcn_from_scratch.checks import InputError
from fcn_from_scratch.training.finite import DivergedError

JUMP = 10  # a loss of so many times the usual may be the first sign of a divergence: such a step is not saved


class Keeper:
    """A context in which a Trainer runs: see Trainer.run for `save`, `seconds` and `stop`."""

    def __init__(self, trainer, save, seconds, stop):
        self.trainer, self.save, self.seconds, self.stop = trainer, save, seconds, stop
        self.saved_at, self.saved_step = time.monotonic(), trainer.steps

    def before(self, loss):
        """Before each step's update: the loss tells that the weights are good."""
        error = None if self.stop is None else self.stop()
        if error is not None:
            raise error
        due = time.monotonic() - self.saved_at >= self.seconds
        if self.save is not None and due and self.trainer.steps > self.saved_step and not self._jumps(loss):
            self._save()

    def _jumps(self, loss):
        recent = self.trainer.losses[-20:]
        return loss > JUMP * sorted(recent)[len(recent) // 2]

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        self.trainer.before_update = None
        if self.save is None or isinstance(error, DivergedError) or self.trainer.moving:
            return
        if error is None:
            self._save()
        elif self.trainer.steps > self.saved_step:
            self._save_after(error)

    def _save(self):
        self.save()
        self.saved_at, self.saved_step = time.monotonic(), self.trainer.steps

    def _save_after(self, error):
        """Save what an error or a signal interrupts. The error itself is what the user has to hear of."""
        try:
            self._save()
        except (OSError, InputError, MemoryError) as second:
            print(f"note: the state after step {self.trainer.steps} could not be saved: {second}", file=sys.stderr)

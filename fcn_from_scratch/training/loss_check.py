"""Whether the loss of a step makes sense. If not: whether the weights, a picture or the learning rate is to blame."""

import math

from fcn_from_scratch import checks
from fcn_from_scratch.training import finite
from fcn_from_scratch.training.finite import DivergedError

SENSE = 100.0  # a mean loss of a pixel above this: the right class lies as far below the best. Nothing learns there


class LossCheck:
    """The check of a Trainer's losses.

    pixels   of all label maps of the step that is computed
    picture  the place in its batch of a picture whose numbers are not finite, or None
    first    the place of our first picture in its batch: not 0 for one of several processes (lab.mpi)
    """

    def __init__(self, trainer):
        self.trainer, self.first = trainer, 0
        self.begin()

    def begin(self):
        """A new step begins."""
        self.pixels, self.picture = 0, None

    def look_at(self, x, labels):
        """Remember what a later complaint needs to know about a batch."""
        self.pixels += labels.size
        if self.picture is None and not finite.sum_is(x):
            bad = [place for place, each in enumerate(x) if not finite.sum_is(each)]
            self.picture = self.first + bad[0] if bad else None

    def require(self, loss):
        """Raises: DivergedError for a loss that is not finite or beyond any sense, and for a broken picture.

        A broken picture without a label spoils the gradients, but not the loss.
        """
        trainer = self.trainer
        most = SENSE * (self.pixels * self._largest_weight() if trainer.reduction == "sum" else 1)
        if math.isfinite(loss) and loss <= most and self.picture is None:
            return
        broken = self._broken()
        rate = (
            f"the learning rate {trainer.optimizer.lr:g} is too large for reduction {trainer.reduction!r}. "
            "Try a tenth of it"
        )
        raise DivergedError(f"the loss of step {trainer.steps} is {loss:.4g}: {broken or rate}", by_rate=broken is None)

    def _largest_weight(self):
        weights = self.trainer.class_weight
        return 1 if weights is None else max(1, float(weights.max()))

    def _broken(self):
        """What was broken before any step, in words: the weights or a picture. None: it must be the learning rate."""
        params = self.trainer.model.params
        if found := finite.wrong(params):
            return f"the weights are not finite: {checks.few(found, 3)}"
        if self.picture is not None:
            return f"picture {self.picture} of its batch holds numbers that are not finite{self._called()}"
        if self.trainer.steps == 0:
            name, value = finite.largest(params)
            return (
                "no step was taken yet, so the weights that it started from do not fit these pictures "
                f"(the largest number, {value:.3g}, is in {name}), or their preprocessing does not"
            )
        return None

    def _called(self):
        """The name of that picture, where the batches know it."""
        names = getattr(self.trainer.batches, "names", None)
        return f": {names()[self.picture]}" if names is not None and self.trainer.iter_size == 1 else ""

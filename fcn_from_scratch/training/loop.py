"""The training loop: batch, scores, loss, gradients, step."""

import copy
import math
import sys
import time

import numpy as np

from fcn_from_scratch import checks
from fcn_from_scratch.backend import to_device
from fcn_from_scratch.checks import InputError
from fcn_from_scratch.engine import loss_shares
from fcn_from_scratch.engine.micro_batches import MicroBatches
from fcn_from_scratch.engine.workspace import Workspace
from fcn_from_scratch.layers import fused
from fcn_from_scratch.ops import softmax_cross_entropy
from fcn_from_scratch.progress import bar
from fcn_from_scratch.training import finite
from fcn_from_scratch.training.finite import DivergedError
from fcn_from_scratch.training.pair_heads import pair_heads

SENSE = 100.0  # a mean loss of a pixel above this: the right class lies as far below the best. Nothing learns there
JUMP = 10  # a loss of so many times the usual may be the first sign of a divergence: such a step is not saved


class Trainer:
    """Trains a model on batches, step by step. Its whole state can be saved, and training can continue from it.

    model         scores = model(x), and model.backward_params(dscores) adds to its grads. With several heads, scores
                  and dscores are tuples, and the loss is the sum of the losses of the heads
    optimizer     training.optim.SGD
    batches       an iterator of (x, labels) with state_dict() and load_state_dict(): datasets.Batches
    reduction     "mean" over the pixels that count, or "sum" as in the paper's public code. The learning rate must suit
                  it: the sum over an image is about 100,000 times the mean (training.recipes)
    iter_size     the number of batches whose gradients are added up for one step
    class_weight  one number for each class of the first head, or None
    losses        the loss of every step so far
    """

    def __init__(
        self,
        model,
        optimizer,
        batches,
        reduction="mean",
        iter_size=1,
        class_weight=None,
        ignore_index=255,
        device="cpu",
    ):
        self.model, self.optimizer, self.batches = model.use(Workspace()), optimizer, batches
        self.reduction, self.iter_size = reduction, checks.integer(iter_size, "iter_size", 1)
        self.class_weight = None if class_weight is None else to_device(class_weight, device)
        self.ignore_index, self.device = ignore_index, device
        self.losses = []
        self.before_update = None  # a function of the loss: see `step`
        self._before = None  # the random generators and the batches as they were before the step that is computed
        self.moving = False  # while the optimiser changes the weights
        self._picture = None  # of the step that is computed, a picture whose numbers are not finite
        self._pixels = 0  # of all label maps of that step
        self._first = 0  # the place of our first picture in its batch, for one of several processes (lab.mpi)
        self._micro_batches = MicroBatches(self.model)

    @property
    def steps(self):
        """The number of steps taken so far."""
        return self.optimizer.steps

    def position(self):
        """The states of the generators and of the batches, for a checkpoint. During a step, those before it."""
        if self._before is not None:
            return self._before
        generators = {name: copy.deepcopy(g.bit_generator.state) for name, g in self.model.generators().items()}
        return {"generators": generators, "batches": getattr(self.batches, "state_dict", dict)()}

    def step(self):
        """Take one step of the optimiser. Returns: the loss before the step.

        `before_update` is called with the loss while the weights are still those before the step. A checkpoint that is
        written there is known to be good: its weights give a loss that makes sense.
        Raises: DivergedError when the loss is not finite or beyond any sense. After that the network learns nothing
        useful. The weights are then as they were before.
        """
        self._before, self._picture, self._pixels = None, None, 0
        self._before = self.position()
        try:
            loss = self._step()
        except BaseException:
            if self.moving:
                self._before = None
            raise
        self._before = None
        return loss

    def _step(self):
        def gradients(model, x, labels, shares):
            """Run forward, loss and backward, of a batch or of a part of it. Returns: the loss."""
            scores = model(x)
            loss, dscores = self.loss(scores, labels, shares)
            model.backward_params(dscores)
            return loss

        self.model.zero_grad()
        with fused.unobserved(self.model), np.errstate(over="ignore", invalid="ignore"):
            loss = self.over_batches(gradients) / self.iter_size
        self._require_finite(loss)
        if self.before_update is not None:
            self.before_update(loss)
        self.moving = True
        self.optimizer.step(self.iter_size)
        self.losses.append(loss)
        self.moving = False
        return loss

    def loss(self, scores, labels, shares=None):
        """Return (loss, dscores). With several heads the losses are added, and dscores is a tuple.

        shares   for each head, the weight of this part in the mean over the whole batch (engine.loss_shares). None
                 means a whole batch
        """
        pairs = pair_heads(scores, labels)
        shares = (1.0,) * len(pairs) if shares is None else shares
        weights = (self.class_weight, *(None,) * (len(pairs) - 1))
        total, gradients = 0.0, []
        for (each, ids), share, weight in zip(pairs, shares, weights):
            loss, dscores = softmax_cross_entropy(each, ids, self.ignore_index, self.reduction, weight)
            if share != 1:
                dscores *= share
            total, gradients = total + float(loss) * share, [*gradients, dscores]
        return total, tuple(gradients) if isinstance(scores, tuple) else gradients[0]

    # --- how the pictures are divided among threads and processes; the results do not depend on it ------------------

    def over_batches(self, gradients):
        """Call `gradients` on the next iter_size batches. Returns: the sum of their losses.

        Training with several processes overrides this method (lab.mpi).
        """
        return sum(self.over_parts(gradients, *next(self.batches)) for _ in range(self.iter_size))

    def over_parts(self, gradients, x, labels, shares=None):
        """Call `gradients` on a batch, or on its parts, with a thread for each part (engine.micro_batches)."""
        self._look_at(x, labels)
        x, labels = (to_device(array, self.device) for array in (x, labels))
        slices = self._micro_batches.cut(x)
        if len(slices) == 1:
            return gradients(self.model, x, labels, shares)
        if self.reduction == "mean":
            own = loss_shares.of_parts(labels, slices, shares, self.ignore_index, self.class_weight)
        else:
            own = [shares] * len(slices)

        def work(number, model):
            part = slices[number]
            return gradients(model, x[part], labels[part], own[number])

        return sum(self._micro_batches.run(slices, work))

    def _look_at(self, x, labels):
        """Remember what a later complaint about the loss needs to know about a batch."""
        self._pixels += labels.size
        if self._picture is None and not finite.sum_is(x):
            bad = [place for place, each in enumerate(x) if not finite.sum_is(each)]
            self._picture = self._first + bad[0] if bad else None

    def _require_finite(self, loss):
        most = SENSE * (self._pixels * self._largest_weight() if self.reduction == "sum" else 1)
        if math.isfinite(loss) and loss <= most and self._picture is None:
            return  # a picture without a label spoils the gradients, but not the loss
        broken = self._broken()
        rate = (
            f"the learning rate {self.optimizer.lr:g} is too large for reduction {self.reduction!r}. Try a tenth of it"
        )
        raise DivergedError(f"the loss of step {self.steps} is {loss:.4g}: {broken or rate}", by_rate=broken is None)

    def _largest_weight(self):
        return 1 if self.class_weight is None else max(1, float(self.class_weight.max()))

    def _broken(self):
        """What was broken before any step, in words: the weights or a picture. None: it must be the learning rate."""
        if found := finite.wrong(self.model.params):
            return f"the weights are not finite: {checks.few(found, 3)}"
        if self._picture is not None:
            return f"picture {self._picture} of its batch holds numbers that are not finite{self._called()}"
        if self.steps == 0:
            name, value = finite.largest(self.model.params)
            return (
                "no step was taken yet, so the weights that it started from do not fit these pictures "
                f"(the largest number, {value:.3g}, is in {name}), or their preprocessing does not"
            )
        return None

    def _called(self):
        """The name of that picture, where the batches know it."""
        names = getattr(self.batches, "names", None)
        return f": {names()[self._picture]}" if names is not None and self.iter_size == 1 else ""

    def run(self, steps, progress=True, save=None, save_seconds=60, watch=None, stop=None):
        """Train until the total number of steps is `steps`. Steps before a resume count too.

        progress      show a bar with the loss (a running mean) and the speed
        save          a function that writes a checkpoint. It is called when save_seconds seconds have passed and the
                      weights have proved good (see `step`), at the end, and when an error or a signal ends the run;
                      but not when the run diverged: then the last good checkpoint stays
        watch         a function that is called with the trainer after every step. It returns a text for the bar
        stop          a function that returns None, or an exception to end the run with, such as after a signal
        Returns: the trainer.
        """
        self.model.train()
        if progress and self._micro_batches.uncut is not None:
            print(f"note: {self._micro_batches.uncut}", file=sys.stderr)
        keeper = _Keeper(self, save, save_seconds, stop)
        recent, self.before_update = None, keeper.before
        with keeper, bar(total=steps, initial=self.steps, disable=not progress, unit="step") as shown:
            while self.steps < steps:
                loss = self.step()
                recent = loss if recent is None else 0.95 * recent + 0.05 * loss
                text = watch(self) if watch is not None else ""
                shown.set_postfix_str(f"loss {recent:.4g}{text}", refresh=False)
                shown.update()
        return self

    def stopped(self, error):
        """The exception to end the run with, or None. Processes that train together agree on it (lab.mpi)."""
        return error


class _Keeper:
    """Decides when a run is saved: from time to time, at its end, and when it is stopped."""

    def __init__(self, trainer, save, seconds, stop):
        self.trainer, self.save, self.seconds, self.stop = trainer, save, seconds, stop
        self.saved_at, self.saved_step = time.monotonic(), trainer.steps

    def before(self, loss):
        """Before each step's update: the loss tells that the weights are good."""
        error = self.trainer.stopped(None if self.stop is None else self.stop())
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

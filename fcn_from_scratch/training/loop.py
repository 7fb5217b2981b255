"""The training loop: batch, scores, loss, gradients, step."""

import math
import time

import numpy as np

from fcn_from_scratch import checks
from fcn_from_scratch.backend import to_device
from fcn_from_scratch.checks import InputError
from fcn_from_scratch.engine import loss_shares
from fcn_from_scratch.engine.micro_batches import MicroBatches
from fcn_from_scratch.engine.workspace import Workspace
from fcn_from_scratch.ops import softmax_cross_entropy
from fcn_from_scratch.progress import bar
from fcn_from_scratch.training.pair_heads import pair_heads


class Trainer:
    """Trains a model on batches, step by step; its whole state can be saved and taken up again.

    model         scores = model(x); model.backward_params(dscores) fills its grads. With several heads both are
                  tuples, and the loss is the sum of the heads' losses
    optimizer     training.optim.SGD
    batches       an iterator of (x, labels) with state_dict() and load_state_dict(): datasets.Batches
    reduction     "mean" over the pixels that count, or "sum" as in the paper's public code. The learning rate belongs
                  to it: a sum over an image is 100,000 times a mean (training.recipes)
    iter_size     batches whose gradients are added up for one step
    class_weight  one number a class, or None; of the first head's classes
    losses        of every step so far
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
        self._micro_batches = MicroBatches(self.model)

    @property
    def steps(self):
        """Steps taken so far."""
        return self.optimizer.steps

    def step(self):
        """One step of the optimiser; returns the loss before it.

        Raises: InputError when the loss is not finite: nothing learned after that would mean anything.
        """
        self.model.zero_grad()
        with np.errstate(over="ignore", invalid="ignore"):  # what that leads to is said once, below
            loss = self._gradients()
        if not math.isfinite(loss):
            raise InputError(
                f"the loss of step {self.steps} is {loss}: the learning rate {self.optimizer.lr:g} is too large for "
                f"reduction {self.reduction!r}. Try a tenth of it"
            )
        self.optimizer.step(self.iter_size)
        self.losses.append(loss)
        return loss

    def _gradients(self):
        """Add up the gradients of the next iter_size batches; returns the mean of their losses."""
        return sum(self._batch() for _ in range(self.iter_size)) / self.iter_size

    def _batch(self):
        """Forward and backward over the next batch; returns its loss."""
        return self._backward(*next(self.batches))

    def _backward(self, x, labels, shares=None):
        """Forward and backward over a batch; returns its loss. shares: None, or what to multiply each head's by."""
        x, labels = (to_device(array, self.device) for array in (x, labels))
        slices, failure = self._micro_batches.cut(x), None
        if len(slices) > 1:
            try:
                return self._in_parts(x, labels, shares, slices)
            except ValueError as error:  # is raised again below, where it says it of the whole batch
                failure = error
                self.model.zero_grad()  # of what other parts added
        loss = self._pass(self.model, x, labels, shares)
        if failure is not None:
            raise failure
        return loss

    def _in_parts(self, x, labels, shares, slices):
        """The same part by part."""
        if self.reduction == "mean":
            weights = [loss_shares.weights(labels[part], self.ignore_index, self.class_weight) for part in slices]
            own = loss_shares.shares(np.array(weights), sum(weights))
            own = (own if shares is None else own * shares).tolist()
        else:
            own = [shares] * len(slices)

        def work(number, model):
            part = slices[number]
            return self._pass(model, x[part], labels[part], own[number])

        return sum(self._micro_batches.run(slices, work))

    def _pass(self, model, x, labels, shares):
        """Forward and backward over a batch through a model, which is ours or its twin."""
        scores = model(x)
        results = [
            softmax_cross_entropy(each, ids, self.ignore_index, self.reduction, None if head else self.class_weight)
            for head, (each, ids) in enumerate(pair_heads(scores, labels))
        ]
        if shares is not None:
            for (_, gradient), share in zip(results, shares):
                gradient *= share
            results = [(loss * share, gradient) for (loss, gradient), share in zip(results, shares)]
        dscores = tuple(gradient for _, gradient in results)
        model.backward_params(dscores if isinstance(scores, tuple) else dscores[0])
        return sum(float(loss) for loss, _ in results)

    def run(self, steps, progress=True, save=None, save_seconds=60):
        """Train until `steps` steps are done in all, those before a resume included.

        progress      show a bar with the loss (a running mean) and the speed
        save          a function called every save_seconds seconds and at the end: it writes a checkpoint
        Returns: the trainer.
        """
        self.model.train()
        recent, saved = None, time.monotonic()
        with bar(total=steps, initial=self.steps, disable=not progress, unit="step") as shown:
            while self.steps < steps:
                loss = self.step()
                recent = loss if recent is None else 0.95 * recent + 0.05 * loss
                shown.set_postfix_str(f"loss {recent:.4g}", refresh=False)
                shown.update()
                if save is not None and time.monotonic() - saved >= save_seconds:
                    save()
                    saved = time.monotonic()
        if save is not None:
            save()
        return self

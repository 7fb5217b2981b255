"""The training loop: batch, scores, loss, gradients, step."""

import copy
import sys

from fcn_from_scratch import checks
from fcn_from_scratch.backend import to_device
from fcn_from_scratch.engine import loss_shares
from fcn_from_scratch.engine.micro_batches import MicroBatches
from fcn_from_scratch.engine.workspace import Workspace
from fcn_from_scratch.progress import bar
from fcn_from_scratch.training.keeper import Keeper
from fcn_from_scratch.training.loss_check import LossCheck
from fcn_from_scratch.training.objective import Objective


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
        self.losses, self.before_update = [], None  # a function of the loss: see `step`
        self._before, self.moving = None, False  # `position` before the step; whether the optimiser changes the weights
        self.loss_check = LossCheck(self)
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

        `before_update` is called with the loss while the weights are still those that gave it: known to be good.
        Raises: DivergedError, before the update, when the loss is not finite or beyond any sense.
        """
        self._before = None
        self._before = self.position()
        self.loss_check.begin()
        self.model.zero_grad()
        loss = self.over_batches(self._objective()) / self.iter_size
        self.loss_check.require(loss)
        if self.before_update is not None:
            self.before_update(loss)
        self._before, self.moving = None, True
        self.optimizer.step(self.iter_size)
        self.losses.append(loss)
        self.moving = False
        return loss

    def _objective(self):
        return Objective(self.reduction, self.ignore_index, self.class_weight)

    # --- how the pictures are divided among threads and processes; the results do not depend on it ------------------

    def over_batches(self, gradients):
        """Call `gradients` on the next iter_size batches (lab.mpi overrides this). Returns: the sum of the losses."""
        return sum(self.over_parts(gradients, *next(self.batches)) for _ in range(self.iter_size))

    def over_parts(self, gradients, x, labels, shares=None):
        """Call `gradients` on a batch, or on its parts, in a thread or a process for each (engine.micro_batches)."""
        self.loss_check.look_at(x, labels)
        x, labels = to_device(x, self.device), to_device(labels, self.device)
        if len(slices := self._micro_batches.cut(x)) == 1:
            return gradients(self.model, x, labels, shares)
        own = loss_shares.of_parts(labels, slices, shares, self.reduction, self.ignore_index, self.class_weight)
        arguments = [(x[part], labels[part], each) for part, each in zip(slices, own)]
        return sum(self._micro_batches.run(slices, gradients, arguments))

    def start_processes(self, x):
        """Start the processes for the parts of batches like x, and wait for them. Returns: their ids.

        A run starts them by itself after a second (engine.part_processes). This is for measuring.
        """
        return self._micro_batches.start_processes(x, self._objective())

    def run(self, steps, progress=True, save=None, save_seconds=60, watch=None, stop=None):
        """Train until the total number of steps is `steps`. Steps before a resume count too.

        progress      show a bar with the loss (a running mean) and the speed
        save          a function that writes a checkpoint: every save_seconds seconds, at the end, and when an error or
                      a signal ends the run, but not when it diverged (training.keeper)
        watch         a function that is called with the trainer after every step. It returns a text for the bar
        stop          a function that returns None, or an exception to end the run with, such as after a signal
        Returns: the trainer.
        """
        self.model.train()
        if progress and self._micro_batches.uncut is not None:
            print(f"note: {self._micro_batches.uncut}", file=sys.stderr)
        keeper = Keeper(self, save, save_seconds, stop)
        recent, self.before_update = None, keeper.before
        with keeper, bar(total=steps, initial=self.steps, disable=not progress, unit="step") as shown:
            while self.steps < steps:
                loss = self.step()
                recent = loss if recent is None else 0.95 * recent + 0.05 * loss
                text = watch(self) if watch is not None else ""
                shown.set_postfix_str(f"loss {recent:.4g}{text}", refresh=False)
                shown.update()
        return self

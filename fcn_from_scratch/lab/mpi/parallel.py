"""Training on several processes: each computes a part of every batch, and all take the same step.

Up to rounding, N processes compute what one process computes: the same pictures, augmentation, dropout and loss. So
the number of processes is not a setting of a run. It may change when the run is resumed.
"""

import zlib

import numpy as np

from fcn_from_scratch.backend import to_numpy
from fcn_from_scratch.checks import InputError
from fcn_from_scratch.datasets import collate
from fcn_from_scratch.engine import loss_shares
from fcn_from_scratch.metrics import ConfusionMatrix
from fcn_from_scratch.training import evaluation
from fcn_from_scratch.training.loop import Trainer
from fcn_from_scratch.training.readable import Readable


class ParallelTrainer(Trainer):
    """One of several Trainers, each in its own process. `group` is the mpi.group.Group of the processes.

    All trainers are built with the same arguments. They draw the same order of pictures, so each knows its part of a
    batch and reads only that.
    Loss: the mean over a batch is a weighted sum of the parts' means (engine.loss_shares). With "sum" no weights are
    needed.
    Gradients: they are summed over the ranks once for each step, after iter_size batches. From batch to batch of a step
    the parts move on to the next rank, so even batches of one picture keep all ranks busy.
    Padding: a part is padded to the size of the whole batch, because the borders change the scores.
    Dropout: a rank skips the random numbers of the other parts. So all generators end in the state that one process
    would leave, and a checkpoint of the first rank equals that of one process.
    Identity: 2, 3 and 5 parts equal the whole to 1e-10 in float64  (tests/lab/mpi/test_parallel.py).
    Raises: InputError if a step has fewer pictures than there are ranks, or if the ranks start in different states.
    """

    def __init__(self, group, model, optimizer, batches, *args, **options):
        super().__init__(model, optimizer, batches, *args, **options)
        self.group = group
        self._class_weight = None if self.class_weight is None else to_numpy(self.class_weight)
        self._dropouts = loss_shares.dropouts(model)
        pictures = batches.batch_size * self.iter_size
        if pictures < group.size:
            raise InputError(
                f"a step of {pictures} picture{'s' * (pictures > 1)} (batch size {batches.batch_size}, iter size "
                f"{self.iter_size}) cannot be shared by {group.size} processes: start at most {pictures}"
            )

    def run(self, steps, progress=True, save=None, save_seconds=60, watch=None, stop=None):
        """As Trainer.run. Only the first rank shows the progress and saves. All ranks call `watch`."""
        self._agree()
        first = self.group.first
        agreed = None if stop is None else lambda: self._first_of(stop())
        super().run(steps, progress and first, save if first else None, save_seconds, watch, agreed)
        self._agree()
        return self

    def _first_of(self, error):
        """A signal reaches the ranks at different moments, or only some of them: all stop at the same step."""
        return next((each for each in self.group.gather(error) if each is not None), None)

    def over_batches(self, gradients):
        loss = sum(self._part(gradients, turn) for turn in range(self.iter_size))
        frozen = self.model.frozen_params() if hasattr(self.model, "frozen_params") else ()
        self.group.add_up([gradient for name, gradient in self.model.grads.items() if name not in frozen])
        # All ranks must know what only one has seen: they judge the loss alike, and end together with the same words.
        check = self.loss_check
        losses, pixels, pictures = zip(*self.group.gather((loss, check.pixels, check.picture)))
        check.pixels = sum(pixels)
        check.picture = min((each for each in pictures if each is not None), default=None)
        return sum(losses)

    def _part(self, gradients, turn):
        """Forward and backward over this rank's part of the next batch; returns its share of the loss."""
        places = self.batches.advance()
        own = self.group.part(len(places), turn)
        samples = self.batches.samples(places[own])
        told = self.group.gather(self._size_and_weights(samples))
        sizes, weights = zip(*(each for each in told if each is not None))
        loss = 0.0
        if samples:
            x, labels = collate(*zip(*samples), size=np.max(sizes, axis=0))
            for layer in self._dropouts:
                layer.skip_before, layer.skip_after = own.start, len(places) - own.stop
            self.loss_check.first = own.start
            shares = loss_shares.part_shares(told[self.group.rank][1], sum(weights)).tolist()
            loss = self.over_parts(gradients, x, labels, None if self.reduction == "sum" else shares)
        if None in told:
            self._catch_up(next(rank for rank, each in enumerate(told) if each is not None))
        return loss

    def _catch_up(self, rank):
        """Copy the generators' states from a rank that had pictures. A rank without pictures drew no numbers."""
        generators = self.model.generators()
        states = self.group.gather({name: each.bit_generator.state for name, each in generators.items()})[rank]
        for name, generator in generators.items():
            generator.bit_generator.state = states[name]

    def _size_and_weights(self, samples):
        """((H, W), the divisor of each label map's mean loss) for a part; None without pictures."""
        if not samples:
            return None
        labels = [ids.reshape(1, -1, *ids.shape[-2:]) for _, ids in samples]
        size = np.max([maps.shape[2:] for maps in labels], axis=0)
        return size, sum(loss_shares.weights(maps, self.ignore_index, self._class_weight) for maps in labels)

    def _agree(self):
        """Check that all ranks hold the same weights and draw the same random numbers."""
        weights = 0
        for array in self.model.params.values():
            weights = zlib.crc32(np.ascontiguousarray(to_numpy(array)), weights)
        generators = [generator.bit_generator.state for generator in self.model.generators().values()]
        state = repr((weights, self.batches.state_dict(), generators))
        self.group.agree(state, f"the state of the run at step {self.steps}")


def evaluate_heads(group, model, dataset, device="cpu", progress=False, each=None):
    """As evaluation.evaluate_heads. Each rank scores a part of the pictures; all return the counts of all pictures.

    each   training.picture_losses.PictureLosses, which then holds the losses of all pictures
    """
    places = range(len(dataset))[group.part(len(dataset))]
    if isinstance(dataset, Readable):
        part = Readable(_Part(dataset.dataset, places), dataset.left_out)
    else:
        part = _Part(dataset, places)
    ours = evaluation.evaluate_heads(model, part, device, progress, each=each)
    if each is not None:
        each.merge(group.gather(each.state()))
    matrices = {}
    for theirs in group.gather({name: (m.num_classes, m.ignore_index, m.matrix) for name, m in ours.items()}):
        for name, (num_classes, ignore_index, counts) in theirs.items():
            matrices.setdefault(name, ConfusionMatrix(num_classes, ignore_index)).matrix += counts
    return matrices


class _Part:
    """The pictures of a dataset at some places, as a dataset."""

    def __init__(self, dataset, places):
        self.dataset, self.places = dataset, places
        self.heads, self.ignore_index = dataset.heads, dataset.ignore_index

    def __len__(self):
        return len(self.places)

    def __getitem__(self, index):
        return self.dataset[self.places[index]]

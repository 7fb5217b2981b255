"""Training on several processes: each works on a part of every batch, and all take the same step.

N processes do what one does with the whole batches, up to rounding: same pictures, same augmentation, same dropout,
same loss. So the number of processes is no setting of a run; it may change when the run is resumed.
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


class ParallelTrainer(Trainer):
    """A Trainer that is one of several, each in a process of its own: a lab.mpi.group.Group.

    All are made alike. They draw the same order, so that each knows which pictures are its own, and reads only those.
    The mean over the batch is a sum of shares of the parts' means (engine.loss_shares); "sum" needs none. Gradients are
    summed once a step, after iter_size batches. In a step of more than one batch the parts go round, so batches of one
    picture can be shared out too: picture by picture.
    A part is padded to the size of the whole batch, since borders count. Dropout passes over the numbers of the other
    parts, so every generator ends where one process would have left it, and a checkpoint by the first rank is one
    process's.
    Identity: 2, 3 and 5 parts equal the whole to 1e-10 in float64  (tests/lab/mpi/test_parallel.py).
    Raises: InputError when a step has fewer pictures than there are ranks, or the ranks do not start alike.
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
                f"{self.iter_size}) cannot be shared by {group.size} ranks: start at most {pictures}"
            )

    def run(self, steps, progress=True, save=None, save_seconds=60):
        """As Trainer.run; the first rank shows the progress and saves."""
        self._agree()
        first = self.group.first
        super().run(steps, progress and first, save if first else None, save_seconds)
        self._agree()
        return self

    def over_batches(self, gradients):
        loss = sum(self._part(gradients, turn) for turn in range(self.iter_size))
        frozen = self.model.frozen_params() if hasattr(self.model, "frozen_params") else ()
        self.group.add_up([gradient for name, gradient in self.model.grads.items() if name not in frozen])
        return sum(self.group.gather(loss))

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
            shares = loss_shares.part_shares(told[self.group.rank][1], sum(weights)).tolist()
            loss = self.over_parts(gradients, x, labels, None if self.reduction == "sum" else shares)
        if None in told:
            self._catch_up(next(rank for rank, each in enumerate(told) if each is not None))
        return loss

    def _catch_up(self, rank):
        """Set the generators as they are on a rank that had pictures: who had none drew nothing."""
        generators = self.model.generators()
        states = self.group.gather({name: each.bit_generator.state for name, each in generators.items()})[rank]
        for name, generator in generators.items():
            generator.bit_generator.state = states[name]

    def _size_and_weights(self, samples):
        """((H, W), weights) of a part: for each label map what its mean loss divides by. None if it has no pictures."""
        if not samples:
            return None
        labels = [ids.reshape(1, -1, *ids.shape[-2:]) for _, ids in samples]
        size = np.max([maps.shape[2:] for maps in labels], axis=0)
        return size, sum(loss_shares.weights(maps, self.ignore_index, self._class_weight) for maps in labels)

    def _agree(self):
        """The ranks hold the same weights and draw the same numbers."""
        weights = 0
        for array in self.model.params.values():
            weights = zlib.crc32(np.ascontiguousarray(to_numpy(array)), weights)
        generators = [generator.bit_generator.state for generator in self.model.generators().values()]
        state = repr((weights, self.batches.state_dict(), generators))
        self.group.agree(state, f"the state of the run at step {self.steps}")


def evaluate_heads(group, model, dataset, device="cpu", progress=False):
    """As evaluation.evaluate_heads: each rank scores its part of the pictures, and all return the counts over all."""
    part = _Part(dataset, range(len(dataset))[group.part(len(dataset))])
    ours = evaluation.evaluate_heads(model, part, device, progress)
    matrices = {}
    for theirs in group.gather({name: (m.num_classes, m.ignore_index, m.matrix) for name, m in ours.items()}):
        for name, (num_classes, ignore_index, counts) in theirs.items():
            matrices.setdefault(name, ConfusionMatrix(num_classes, ignore_index)).matrix += counts
    return matrices


class _Part:
    """Some places of a dataset, as a dataset."""

    def __init__(self, dataset, places):
        self.dataset, self.places = dataset, places
        self.heads, self.ignore_index = dataset.heads, dataset.ignore_index

    def __len__(self):
        return len(self.places)

    def __getitem__(self, index):
        return self.dataset[self.places[index]]

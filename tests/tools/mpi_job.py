"""A small training run in float64, whole or shared by ranks, and the job that test_parallel.py starts under mpiexec.

mpiexec -n 2 python tests/tools/mpi_job.py FOLDER [FAIL]   each rank writes what it ends with; FAIL says what fails
"""

import os
import sys
from functools import partial
from pathlib import Path

import numpy as np

from fcn_from_scratch import datasets, models
from fcn_from_scratch.checks import InputError
from fcn_from_scratch.datasets import Batches, Dataset, Sample
from fcn_from_scratch.lab.mpi import group
from fcn_from_scratch.lab.mpi.parallel import ParallelTrainer
from fcn_from_scratch.training import SGD, Trainer, checkpoint

STEPS = 3


class Pictures(Dataset):
    """Random pictures of many sizes. A third of them have hardly a labelled pixel, another third none."""

    classes = tuple("abcdef")

    def __init__(self, count=9, fail=None, heads=1):
        self.count, self.fail = count, fail
        self.more_heads = (("geometric", ("sky", "ground", "upright")),)[: heads - 1]

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        if index == self.fail:
            raise InputError(f"picture {index} is broken")
        rng = np.random.default_rng(index)
        height, width = rng.integers(20, 40, size=2)
        labels = rng.integers(6, size=(height, width), dtype=np.uint8)
        labels[rng.random(labels.shape) < (0.1, 0.95, 1)[index % 3]] = 255
        if self.more_heads:
            labels = np.stack([labels, rng.choice(np.array([0, 1, 2, 255], np.uint8), (height, width))])
        return Sample(rng.integers(256, size=(height, width, 3), dtype=np.uint8), labels, str(index))


def new_run(ranks=None, batch_size=4, freeze=False, fail=None, heads=1, **options):
    """A Trainer, or with a Group a ParallelTrainer, with dropout, momentum and decay."""
    name = "mini_fcn8s" if heads == 1 else "mini_fcn8s_two_heads"
    model = models.build(name, 6, seed=1, width=2, dropout=0.4, dtype=np.float64)
    rng = np.random.default_rng(7)
    for name, array in model.params.items():
        if name.startswith("score"):  # zero at first, and nothing would reach the trunk
            array[...] = 0.2 * rng.standard_normal(array.shape)
    if freeze:
        model.freeze_trunk()
    augment = datasets.Compose((datasets.RandomFlip(),))
    batches = Batches(Pictures(fail=fail, heads=heads), batch_size, model.transform, augment, seed=2)
    make = Trainer if ranks is None else partial(ParallelTrainer, ranks)
    lr = 1e-4 if options.get("reduction") == "sum" else 0.05
    return make(model, SGD(model, lr, 0.9, 5e-4), batches, **options)


def end_of(run):
    """What a run ends with, name -> array."""
    arrays = {f"param {name}": array for name, array in run.model.params.items()}
    arrays |= {f"velocity {name}": array for name, array in run.optimizer.velocity.items()}
    return arrays | {"losses": np.array(run.losses)}


def main(folder, fail=None):
    group.PATIENCE = 1.0
    with group.join() as ranks:
        run = new_run(ranks, fail=0 if fail == "file" else None)
        checkpoint.load(folder / "start.npz", run) if fail == "resume" else None
        if fail == "defect" and ranks.rank == 1:
            run.optimizer.step = None
        if fail == "killed" and ranks.rank == 1:
            os._exit(7)
        run.run(STEPS, save=lambda: checkpoint.save(folder / f"by_{ranks.rank}.npz", run))
        np.savez(folder / f"rank_{ranks.rank}.npz", **end_of(run))
        print(f"rank {ranks.rank} is done")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])

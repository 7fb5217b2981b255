"""Small runs to train, and everything that makes up a run's state."""

import copy

import numpy as np
import pytest

from fcn_from_scratch import datasets, models
from fcn_from_scratch.training import SGD, Trainer


class Given:
    """Batches that a test made itself, over and over; x in the given dtype."""

    def __init__(self, batches, dtype=np.float64):
        self.batches = [(x.astype(dtype), labels) for x, labels in batches]
        self.position = 0

    def __next__(self):
        batch = self.batches[self.position % len(self.batches)]
        self.position += 1
        return batch

    def state_dict(self):
        return {"position": self.position}

    def load_state_dict(self, state):
        self.position = state["position"]


def drawn(count, size=(32, 32), seed=0, void_border=1):
    """Drawn scenes as `count` batches of one picture each: a list of (x, labels)."""
    scenes = datasets.Shapes(count, size, seed=seed, classes_by="colour", void_border=void_border)
    return [(x, labels) for x, labels, _ in datasets.epoch(scenes, 1, models.MINI_TRANSFORM)]


def run_state(trainer):
    """A copy of all that a run is made of, name -> array or plain value."""
    state = {f"param {name}": np.array(array) for name, array in trainer.model.params.items()}
    state |= {f"velocity {name}": np.array(array) for name, array in trainer.optimizer.velocity.items()}
    state |= {f"rng {n}": copy.deepcopy(g.bit_generator.state) for n, g in trainer.model.generators().items()}
    return state | {
        "losses": list(trainer.losses),
        "steps": trainer.steps,
        "batches": trainer.batches.state_dict(),
    }


@pytest.fixture
def given():
    return Given


@pytest.fixture
def scenes():
    return drawn


@pytest.fixture
def state_of():
    return run_state


@pytest.fixture
def new_run():
    """A function that builds a small run: dropout, random crops and flips, shuffled epochs of 10 in batches of 3."""

    def build(seed=0, count=10, name="mini_fcn8s", dtype=np.float32, lr=0.02, batch_size=3, **options):
        model = models.build(name, 6, seed=seed, dtype=dtype, **{"width": 2, "dropout": 0.4, **options})
        augment = datasets.Compose(
            (datasets.RandomScale(0.8, 1.25), datasets.RandomCrop((24, 32)), datasets.RandomFlip())
        )
        scenes = datasets.Shapes(count, 32, seed=5, classes_by="colour")
        batches = datasets.Batches(scenes, batch_size, model.transform, augment, seed)
        return Trainer(model, SGD(model, lr, 0.9, 5e-4), batches)

    return build

"""What decides: optimiser, loop, checkpoints and recipes. A model is handed in; this room imports none."""

from fcn_from_scratch.training.loop import Trainer
from fcn_from_scratch.training.optim import SGD, constant, polynomial, stepped, warm_up

__all__ = ["SGD", "Trainer", "constant", "polynomial", "stepped", "warm_up"]

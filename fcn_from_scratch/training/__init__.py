"""What decides: optimiser, loop, checkpoints and recipes. A model is handed in; this room imports none."""

from fcn_from_scratch.training.evaluation import evaluate, evaluate_heads, predict, segment
from fcn_from_scratch.training.fit import fit
from fcn_from_scratch.training.loop import Trainer
from fcn_from_scratch.training.optim import SGD, constant, polynomial, stepped, warm_up

__all__ = [
    "SGD",
    "Trainer",
    "constant",
    "evaluate",
    "evaluate_heads",
    "fit",
    "polynomial",
    "predict",
    "segment",
    "stepped",
    "warm_up",
]

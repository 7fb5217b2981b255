"""Scoring a model on a dataset: one confusion matrix for the whole set."""

from fcn_from_scratch import datasets
from fcn_from_scratch.backend import to_device, to_numpy
from fcn_from_scratch.engine.workspace import Workspace
from fcn_from_scratch.metrics import ConfusionMatrix
from fcn_from_scratch.progress import bar
from fcn_from_scratch.training import pair_heads


def predict(model, x):
    """The class of every pixel, the arg-max of the scores: x (N, C, H, W) -> integers (N, H, W).

    If the network has several heads, it is the first one's.
    """
    scores = model(x)
    return (scores[0] if isinstance(scores, tuple) else scores).argmax(axis=1)


def segment(model, image, device="cpu"):
    """The class of every pixel of one picture, uint8 (H, W, 3) RGB -> integers (H, W). It applies model.transform."""
    return to_numpy(predict(model, to_device(model.transform(image)[None], device)))[0]


def evaluate(model, dataset, device="cpu", progress=False):
    """Compute the confusion matrix of a model over a dataset, picture by picture at its own size, in eval mode.

    Afterwards the model is in the mode it had before.
    Returns: a metrics.ConfusionMatrix. If the network has several heads, it is the first one's.
    """
    return next(iter(evaluate_heads(model, dataset, device, progress).values()))


def evaluate_heads(model, dataset, device="cpu", progress=False):
    """Like evaluate, for each head of the model. Returns: dict name -> ConfusionMatrix, named as in dataset.heads."""
    was_training, workspace = model.training, model.workspace
    model.eval().use(workspace or Workspace())  # each picture reuses the memory of the one before
    matrices = {}
    batches = datasets.epoch(dataset, 1, model.transform)
    for x, labels, _ in bar(batches, total=len(dataset), disable=not progress, unit="image"):
        found = pair_heads.pairs(model(to_device(x, device)), labels)
        for (name, classes), (scores, ids) in zip(dataset.heads.items(), found):
            matrix = matrices.setdefault(name, ConfusionMatrix(len(classes), dataset.ignore_index))
            matrix.update(ids, to_numpy(scores.argmax(axis=1)))
    model.train(was_training).use(workspace)
    return matrices

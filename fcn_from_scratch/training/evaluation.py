"""Scoring a model on a dataset: one confusion matrix over the whole set."""

from fcn_from_scratch import datasets
from fcn_from_scratch.backend import to_device, to_numpy
from fcn_from_scratch.engine.workspace import Workspace
from fcn_from_scratch.metrics import ConfusionMatrix
from fcn_from_scratch.progress import bar
from fcn_from_scratch.training import pair_heads


def predict(model, x):
    """The class of every pixel: the arg-max over the scores. x (N, C, H, W) -> integers (N, H, W).

    Of a network with several heads, the first one's.
    """
    scores = model(x)
    return (scores[0] if isinstance(scores, tuple) else scores).argmax(axis=1)


def segment(model, image, device="cpu"):
    """The class of every pixel of one picture, uint8 (H, W, 3) RGB -> integers (H, W); through model.transform."""
    return to_numpy(predict(model, to_device(model.transform(image)[None], device)))[0]


def evaluate(model, dataset, device="cpu", progress=False):
    """The confusion matrix of a model over a dataset, picture by picture at its own size, in eval mode.

    Returns: a metrics.ConfusionMatrix; of a network with several heads, the first one's. The model is left in the
    mode it was in.
    """
    return next(iter(evaluate_heads(model, dataset, device, progress).values()))


def evaluate_heads(model, dataset, device="cpu", progress=False):
    """As evaluate, for each of the model's heads. Returns: dict name -> ConfusionMatrix, named as dataset.heads."""
    was_training, workspace = model.training, model.workspace
    model.eval().use(workspace or Workspace())  # each picture in the memory of the one before
    matrices = {}
    batches = datasets.epoch(dataset, 1, model.transform)
    for x, labels, _ in bar(batches, total=len(dataset), disable=not progress, unit="image"):
        found = pair_heads.pairs(model(to_device(x, device)), labels)
        for (name, classes), (scores, ids) in zip(dataset.heads.items(), found):
            matrix = matrices.setdefault(name, ConfusionMatrix(len(classes), dataset.ignore_index))
            matrix.update(ids, to_numpy(scores.argmax(axis=1)))
    model.train(was_training).use(workspace)
    return matrices

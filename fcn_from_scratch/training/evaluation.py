"""Scoring a model on a dataset: one confusion matrix over the whole set."""

from fcn_from_scratch import datasets
from fcn_from_scratch.backend import to_device, to_numpy
from fcn_from_scratch.metrics import ConfusionMatrix
from fcn_from_scratch.progress import bar


def predict(model, x):
    """The class of every pixel: the arg-max over the scores. x (N, C, H, W) -> integers (N, H, W)."""
    return model(x).argmax(axis=1)


def segment(model, image, device="cpu"):
    """The class of every pixel of one picture, uint8 (H, W, 3) RGB -> integers (H, W); through model.transform."""
    return to_numpy(predict(model, to_device(model.transform(image)[None], device)))[0]


def evaluate(model, dataset, device="cpu", progress=False):
    """The confusion matrix of a model over a dataset, picture by picture at its own size, in eval mode.

    Returns: a metrics.ConfusionMatrix. The model is left in the mode it was in.
    """
    was_training = model.training
    model.eval()
    matrix = ConfusionMatrix(dataset.num_classes, dataset.ignore_index)
    batches = datasets.epoch(dataset, 1, model.transform)
    for x, labels, _ in bar(batches, total=len(dataset), disable=not progress, unit="image"):
        matrix.update(labels, to_numpy(predict(model, to_device(x, device))))
    model.train(was_training)
    return matrix

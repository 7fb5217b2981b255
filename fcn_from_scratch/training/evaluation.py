"""Score a model on a dataset with one confusion matrix for all pictures."""

from fcn_from_scratch import datasets
from fcn_from_scratch.backend import to_device, to_numpy
from fcn_from_scratch.engine.workspace import Workspace
from fcn_from_scratch.metrics import ConfusionMatrix
from fcn_from_scratch.progress import bar
from fcn_from_scratch.training.pair_heads import pair_heads


def predict(model, x):
    """The class of each pixel: the arg-max over the scores. x (N, C, H, W) -> integers (N, H, W).

    For a network with several heads, the classes of the first.
    """
    scores = model(x)
    return (scores[0] if isinstance(scores, tuple) else scores).argmax(axis=1)


def segment(model, image, device="cpu"):
    """The class of each pixel of one picture, prepared by model.transform: uint8 (H, W, 3) RGB -> integers (H, W)."""
    return to_numpy(predict(model, to_device(model.transform(image)[None], device)))[0]


def evaluate(model, dataset, device="cpu", progress=False):
    """The confusion matrix of a model on a dataset. Each picture is predicted at its own size, in eval mode.

    Returns: a metrics.ConfusionMatrix; for a network with several heads, that of the first. Afterwards the model is in
    the mode that it was in before.
    """
    return next(iter(evaluate_heads(model, dataset, device, progress).values()))


def evaluate_heads(model, dataset, device="cpu", progress=False, before=None):
    """As evaluate, for all heads. Returns: dict name -> ConfusionMatrix, with the names of dataset.heads.

    before   a function (size, name) that is called with the size (H, W) and the name of each picture before its forward
    """
    was_training, workspace = model.training, model.workspace
    model.eval().use(workspace or Workspace())  # each picture reuses the memory of the one before
    matrices = {}
    batches = datasets.epoch(dataset, 1, model.transform)
    options = {"total": len(dataset), "disable": not progress, "unit": "image", "desc": "scoring", "leave": None}
    for x, labels, names in bar(batches, **options):  # leave=None: inside a training run's bar it goes away at the end
        if before is not None:
            before(x.shape[2:], names[0])
        found = pair_heads(model(to_device(x, device)), labels)
        for (name, classes), (scores, ids) in zip(dataset.heads.items(), found):
            matrix = matrices.setdefault(name, ConfusionMatrix(len(classes), dataset.ignore_index))
            matrix.update(ids, to_numpy(scores.argmax(axis=1)))
    model.train(was_training).use(workspace)
    return matrices

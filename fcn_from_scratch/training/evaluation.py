"""Score a model on a dataset with one confusion matrix for all pictures."""

import numpy as np

from fcn_from_scratch import datasets
from fcn_from_scratch.backend import get_array_module, to_device, to_numpy
from fcn_from_scratch.checks import few
from fcn_from_scratch.engine import threads
from fcn_from_scratch.engine.workspace import Workspace
from fcn_from_scratch.metrics import ConfusionMatrix
from fcn_from_scratch.models.zero_frame import with_zero_frame
from fcn_from_scratch.progress import bar
from fcn_from_scratch.training import finite
from fcn_from_scratch.training.pair_heads import pair_heads
from fcn_from_scratch.training.readable import Readable

AT_ONCE = 16  # times the numbers of engine.threads.AT_ONCE: scores whose classes are found at once


def predict(model, x):
    """The class of each pixel: the arg-max over the scores. x (N, C, H, W) -> integers (N, H, W).

    model   a network, or a dense.TiledPredictor. The scores of a tile are dropped once its classes are known
    For a network with several heads, the classes of the first.
    Raises: finite.DivergedError for scores that are not finite. Their arg-max would look like a prediction.
    """
    if not hasattr(model, "pieces"):
        return _classes(model, _scores(model, x))
    labels = get_array_module(x).empty((len(x), *x.shape[2:]), np.intp)
    with np.errstate(over="ignore", invalid="ignore"):
        for rows, columns, scores in model.pieces(x):
            labels[:, rows, columns] = _classes(model.model, scores)
    return labels


def _scores(model, x):
    with np.errstate(over="ignore", invalid="ignore"):
        return model(x)


def _classes(model, scores):
    """The arg-max over finite scores, some rows at a time: it copies what it reads, and so does the check."""
    scores = scores[0] if isinstance(scores, tuple) else scores
    labels = get_array_module(scores).empty((len(scores), *scores.shape[2:]), np.intp)
    for rows in threads.pieces(scores.shape[2], scores.size // AT_ONCE):
        _require_finite(model, scores[:, :, rows], "a picture")
        labels[:, rows] = scores[:, :, rows].argmax(axis=1)
    return labels


def segment(model, image, device="cpu"):
    """The class of each pixel of one picture, prepared by model.transform: uint8 (H, W, 3) RGB -> integers (H, W)."""
    return to_numpy(predict(model, to_device(model.transform(image)[None], device)))[0]


def evaluate(model, dataset, device="cpu", progress=False):
    """The confusion matrix of a model on a dataset. Each picture is predicted at its own size, in eval mode.

    Returns: a metrics.ConfusionMatrix; for a network with several heads, that of the first. Afterwards the model is in
    the mode that it was in before.
    """
    return next(iter(evaluate_heads(model, dataset, device, progress).values()))


def evaluate_heads(model, dataset, device="cpu", progress=False, stop=None, before=None, each=None):
    """As evaluate, for all heads. Returns: dict name -> ConfusionMatrix, with the names of dataset.heads.

    The paper's networks run with the zero frame: their scores are those of the model up to 5e-6 of the largest one.
    `plain()` computes everything.

    dataset  of a readable.Readable, the pictures that can be read are scored
    stop     a function that returns None, or an exception to end with, such as after a signal
    before   a function (size, name) that is called with the size (H, W) and the name of each picture before its forward
    each     a function (name of the picture, dict name of the head -> (scores, labels)) that is called with the scores
             (1, C, H, W) of each picture, on their device, and its labels (1, H, W)
    Raises: finite.DivergedError for scores that are not finite; it names the picture.
    """
    was_training, workspace = model.training, model.workspace
    model.eval().use(workspace or Workspace())  # each picture reuses the memory of the one before
    network = with_zero_frame(model)
    matrices = {}
    options = {"total": len(dataset), "disable": not progress, "unit": "image", "desc": "scoring", "leave": None}
    try:
        for sample in bar(_samples(dataset), **options):  # leave=None: inside the bar of a training run it goes away
            if stop is not None and (error := stop()) is not None:
                raise error
            found = _count(network, sample, dataset, device, matrices, before)
            if each is not None:
                each(sample.name, found)
            del found  # the next picture takes the memory of the scores
    finally:
        model.train(was_training).use(workspace)
    return matrices


def _samples(dataset):
    if isinstance(dataset, Readable):
        return dataset.samples()
    return (dataset[place] for place in range(len(dataset)))


def _count(model, sample, dataset, device, matrices, before):
    """Predict one picture, and add the counts to the matrix of each head. Returns: name of the head -> its pair."""
    x, labels = datasets.collate([model.transform(sample.image)], [sample.labels])
    if before is not None:
        before(x.shape[2:], sample.name)
    with np.errstate(over="ignore", invalid="ignore"):
        found = pair_heads(model(to_device(x, device)), labels)
    for (name, classes), (scores, ids) in zip(dataset.heads.items(), found):
        _require_finite(model, scores, f"the picture {sample.name}")
        matrix = matrices.setdefault(name, ConfusionMatrix(len(classes), dataset.ignore_index))
        matrix.update(ids, to_numpy(scores.argmax(axis=1)))
    return dict(zip(dataset.heads, found))


def _require_finite(model, scores, picture):
    if bool(get_array_module(scores).isfinite(scores).all()):
        return
    found = finite.wrong(getattr(model, "params", {}))
    why = f"the weights are not finite: {few(found, 3)}" if found else "the weights are too large (diverged training?)"
    raise finite.DivergedError(f"the scores of {picture} are not finite: {why}")

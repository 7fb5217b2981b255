"""The quality of each method on labelled pictures."""

import numpy as np

from fcn_from_scratch.backend import to_device, to_numpy
from fcn_from_scratch.metrics import METRICS, ConfusionMatrix, boundary_band
from fcn_from_scratch.objects import recall_by_size
from fcn_from_scratch.progress import bar

BAND = 3  # pixels on each side of a boundary
SMALL = 16 * 16  # pixels: objects smaller than this, a quarter of a 32x32 cell of the coarse map, count as small
QUALITIES = (*METRICS, "boundary_iu", "small_recall")


def predict(predictor, x):
    """The class of each pixel of one picture, on the host: x (1, C, H, W) -> integers (H, W)."""
    return to_numpy(predictor(x).argmax(axis=1))[0]


def score(predictors, pictures, transform, truth, device="cpu", progress=True):
    """The qualities of all methods on the same pictures: name of a method -> {name of a quality: number}.

    predictors  name of a method -> predictor, from compare.predictors
    pictures    list of Samples
    truth       the dataset of the pictures' labels
    The qualities, all from 0 to 1; NaN where there was nothing to count:
    METRICS       the four metrics of the paper
    boundary_iu   mean IU over the pixels within BAND of a boundary
    small_recall  for each object of fewer than SMALL pixels the share of it that was found; the mean of these
    """
    tallies = {name: Tally(truth) for name in predictors}
    for picture in bar(pictures, disable=not progress, unit="picture", desc="predicting"):
        x = to_device(transform(picture.image)[None], device)
        for name, tally in tallies.items():
            tally.add(picture.labels, predict(predictors[name], x))
    return {name: tally.scores() for name, tally in tallies.items()}


class Tally:
    """Collects the qualities of one method, picture by picture."""

    def __init__(self, truth):
        self.ignore_index = truth.ignore_index
        self.background = 0 if truth.classes[0].lower() == "background" else None
        self.all, self.near = (ConfusionMatrix(truth.num_classes, truth.ignore_index) for _ in range(2))
        self.recalls = []

    def add(self, labels, predictions):
        """Add one picture: its labels and the predictions, (H, W) each."""
        self.all.update(labels, predictions)
        band = boundary_band(labels, BAND, self.ignore_index)
        self.near.update(np.where(band, labels, self.ignore_index), predictions)
        found = recall_by_size(labels, predictions, self.ignore_index, self.background)
        self.recalls.extend(found.recall[found.area < SMALL])

    def scores(self):
        """name of a quality -> number."""
        return {
            **self.all.scores(),
            "boundary_iu": self.near.scores()["mean_iu"],
            "small_recall": float(np.mean(self.recalls)) if self.recalls else float("nan"),
        }

"""Measure the quality and the cost of all methods, side by side in one run."""

import time
import tracemalloc
from typing import NamedTuple

import numpy as np

from fcn_from_scratch.backend import device_module, to_device, to_numpy
from fcn_from_scratch.metrics import METRICS, ConfusionMatrix, boundary_band
from fcn_from_scratch.objects import recall_by_size
from fcn_from_scratch.progress import bar

BAND = 3  # pixels on each side of a boundary
ROUNDS = 5  # of timing at least, even with fewer pictures
SMALL = 16 * 16  # pixels: objects smaller than this, a quarter of a 32x32 cell of the coarse map, count as small


class Row(NamedTuple):
    """One method's line of the table. The qualities are None for pictures without labels.

    boundary_iu     mean IU over the pixels within BAND of a boundary
    small_recall    for each object of fewer than SMALL pixels the share of it that was found; the mean of these
    milliseconds    for one picture, from image to labels: the median over all pictures
    peak_mib        measured peak memory for one picture, without network and image, in MiB
    multiply_adds   for one picture, counted by geometry
    passes          of the network over one picture
    output_stride   pixels between the network's own predictions
    steps           of training after the trunk
    parameters      number of the weights
    weights         the stage they come from; rows with the same weights differ only in how they predict
    """

    method: str
    pixel_accuracy: float | None
    mean_accuracy: float | None
    mean_iu: float | None
    frequency_weighted_iu: float | None
    boundary_iu: float | None
    small_recall: float | None
    milliseconds: float
    peak_mib: float
    multiply_adds: int
    passes: int
    output_stride: int
    steps: int
    parameters: int
    weights: str


def measure(methods, predictors, pictures, transform, settings, truth=None, device="cpu", progress=True):
    """Measure all methods; returns a Row for each.

    methods     methods.METHODS
    predictors  name of a method -> predictor, from compare.predictors
    pictures    list of Samples. All methods predict a picture before the next one comes, and each time another method
                is first, so that disturbances of the machine hit all alike. If there are few pictures, they are
                predicted several times, for the timing
    settings    training_plan.Settings
    truth       the dataset of the pictures' labels, or None without labels
    Multiply-adds and memory are those of the first picture.
    """
    inputs = [to_device(transform(picture.image)[None], device) for picture in pictures]
    tallies = {name: None if truth is None else Tally(truth) for name in predictors}
    seconds = {name: [] for name in predictors}
    peaks = {name: peak_bytes(lambda p=p: predict(p, inputs[0]), device) for name, p in predictors.items()}
    names = list(predictors)
    for number in bar(range(max(len(pictures), ROUNDS)), disable=not progress, unit="picture", desc="predicting"):
        turn, place = number % len(names), number % len(pictures)
        for name in names[turn:] + names[:turn]:
            started = time.perf_counter()
            labels = predict(predictors[name], inputs[place])
            seconds[name].append(time.perf_counter() - started)
            if truth is not None and number == place:
                tallies[name].add(pictures[place].labels, labels)
    size = inputs[0].shape[2:]
    return [
        Row(
            name,
            **(dict.fromkeys(QUALITIES) if truth is None else tallies[name].scores()),
            milliseconds=1000 * float(np.median(seconds[name])),
            peak_mib=peaks[name] / 2**20,
            multiply_adds=p.multiply_adds(size),
            passes=p.passes,
            output_stride=p.stride,
            steps=methods[name].steps(settings),
            parameters=p.parameters,
            weights=methods[name].stage,
        )
        for name, p in predictors.items()
    ]


def predict(predictor, x):
    """The class of each pixel of one picture, on the host: x (1, C, H, W) -> integers (H, W)."""
    return to_numpy(predictor(x).argmax(axis=1))[0]


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
        """name of a quality -> number; NaN where there was nothing to count."""
        return {
            **self.all.scores(),
            "boundary_iu": self.near.scores()["mean_iu"],
            "small_recall": float(np.mean(self.recalls)) if self.recalls else float("nan"),
        }


QUALITIES = (*METRICS, "boundary_iu", "small_recall")


def peak_bytes(call, device="cpu", runs=3):
    """The peak of the additional memory while call() runs, in bytes: the largest of several runs.

    On the CPU this is the memory that Python and NumPy allocate, as tracemalloc counts it. With two threads the peak
    varies, because both may hold their largest blocks at the same time or not. On a GPU it is the growth of CuPy's
    memory pool.
    """
    call()  # memory that stays in use after the first call is not counted
    return max(_peak_of_one(call, device) for _ in range(runs))


def _peak_of_one(call, device):
    if device == "cuda":
        pool = device_module(device).get_default_memory_pool()
        pool.free_all_blocks()
        before = pool.total_bytes()
        call()
        return pool.total_bytes() - before
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        call()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()

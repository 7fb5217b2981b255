"""What each way is worth and what it costs, measured side by side in one run."""

import time
import tracemalloc
from typing import NamedTuple

import numpy as np

from fcn_from_scratch.backend import device_module, to_device, to_numpy
from fcn_from_scratch.metrics import METRICS, ConfusionMatrix, boundary_band
from fcn_from_scratch.objects import recall_by_size
from fcn_from_scratch.progress import bar

BAND = 3  # pixels on each side of a boundary
ROUNDS = 5  # of timing at least, however few the pictures
SMALL = 16 * 16  # pixels: objects below a quarter of a 32x32 cell of the coarse map count as small


class Row(NamedTuple):
    """One method's line of the table. Qualities are None where there is no truth to measure them by.

    boundary_iu     mean IU over the pixels within BAND of a boundary
    small_recall    the mean, over objects of fewer than SMALL pixels, of the part of each that was found
    milliseconds    for one picture, image to labels: the median over all pictures
    peak_mib        MiB that one picture takes at most beyond the network and the image, measured
    multiply_adds   for one picture, counted by geometry
    passes          of the network over one picture;  output_stride, pixels between its own predictions
    steps           its weights were trained for, after the trunk;  parameters, numbers they consist of
    weights         the stage they are from: rows with the same one differ in how they predict alone
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
    """A Row for each method.

    predictors  name of a method -> predictor, as compare.predictors makes them
    pictures    list of Samples; every method predicts each before the next one comes, in an order that moves on, so
                that whatever else the machine does meets all alike. Few are predicted several times, for the times
    truth       the dataset that the pictures' labels belong to (its classes are counted), or None without labels
    Work and memory are those of the first picture.
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
    """The class of every pixel of one picture, on the host: x (1, C, H, W) -> integers (H, W)."""
    return to_numpy(predictor(x).argmax(axis=1))[0]


class Tally:
    """The qualities of one method, summed up picture by picture."""

    def __init__(self, truth):
        self.ignore_index = truth.ignore_index
        self.background = 0 if truth.classes[0].lower() == "background" else None
        self.all, self.near = (ConfusionMatrix(truth.num_classes, truth.ignore_index) for _ in range(2))
        self.recalls = []

    def add(self, labels, predictions):
        """One picture: its truth and what was predicted, (H, W) each."""
        self.all.update(labels, predictions)
        band = boundary_band(labels, BAND, self.ignore_index)
        self.near.update(np.where(band, labels, self.ignore_index), predictions)
        found = recall_by_size(labels, predictions, self.ignore_index, self.background)
        self.recalls.extend(found.recall[found.area < SMALL])

    def scores(self):
        """QUALITIES -> number; NaN where nothing was there to be counted."""
        return {
            **self.all.scores(),
            "boundary_iu": self.near.scores()["mean_iu"],
            "small_recall": float(np.mean(self.recalls)) if self.recalls else float("nan"),
        }


QUALITIES = (*METRICS, "boundary_iu", "small_recall")


def peak_bytes(call, device="cpu", runs=3):
    """How many bytes more than before were in use at most while call() ran: the most of several runs.

    On the CPU what Python and NumPy allocated, as tracemalloc sees it; where two threads work on blocks, it is chance
    whether both hold their largest at once. On a GPU what CuPy's memory pool grew by.
    """
    call()  # what is kept from the first call on is not the call's
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

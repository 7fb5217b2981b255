"""Which preprocessing the weights in a file expect. The file, its md5 or the user tells; nothing is guessed.

caffe         BGR, 0..255, minus the mean of the data set: Caffe's networks and those trained from them
torchvision   RGB, 0..1, minus a mean and divided by a standard deviation
"""

from typing import NamedTuple

import numpy as np

from fcn_from_scratch.checks import InputError
from fcn_from_scratch.datasets.transforms import CAFFE, TORCHVISION, Preprocess
from fcn_from_scratch.weights import formats, network_input
from fcn_from_scratch.weights.names import torchvision_network
from fcn_from_scratch.weights.network_input import describe

__all__ = ["PREPROCESSING", "Expected", "describe", "expected", "fold", "recorded_transform", "told", "transform_for"]

PREPROCESSING = ("caffe", "torchvision")


class Expected(NamedTuple):
    """Which preprocessing the weights expect, and how that is known."""

    kind: str | None  # one of PREPROCESSING, "recorded", or None when nothing tells
    why: str
    transform: Preprocess | None = None  # the settings, when the file records them


def expected(content, known=None, asked=None):
    """Find out which preprocessing a file's Content expects. Returns: Expected.

    known   the file's entry in the table of published files, when its md5 is there
    asked   what the user says; this counts most
    """
    if asked is not None:
        if asked not in PREPROCESSING:
            raise InputError(f"preprocessing must be one of {', '.join(PREPROCESSING)}; got {asked!r}")
        return Expected(asked, "as asked for")
    if known is not None:
        return Expected(known.preprocessing, f"its md5 is that of {known.name}")
    recorded = recorded_transform(content)
    if _leaves_the_mean_open(content, recorded):
        return Expected("caffe", f"the file it was converted from is a {content.meta['from']}, which expects it")
    if recorded is not None:
        return Expected("recorded", "the file says so", recorded)
    if content.format in (formats.CAFFE, formats.CHAINER):
        return Expected("caffe", f"a {content.format} expects it, with the mean of its data set")
    if torchvision_network(content.arrays):
        why = "its names are torchvision's. Caffe's VGG16 is also published under these names"
        return Expected("torchvision", f"{why}: if this is one, pass preprocessing caffe")
    hint = " (pytorch-fcn, whose names these may be, trains on Caffe's)" if content.format == formats.PYTORCH else ""
    return Expected(None, f"the file does not say{hint}; the model's own is kept")


def recorded_transform(content):
    """The Preprocess that one of this project's files carries, or None."""
    extra = content.meta.get("extra")
    settings = content.meta.get("transform") or (extra.get("transform") if isinstance(extra, dict) else None)
    return Preprocess.from_dict(settings) if isinstance(settings, dict) else None


def _leaves_the_mean_open(content, recorded):
    """Whether `fcn weights convert` wrote the file from one of Caffe's, which says nothing about the mean.

    The transform of such a file is Caffe's default, the mean of PASCAL VOC, whatever the network was trained on.
    """
    return content.meta.get("from") in (formats.CAFFE, formats.CHAINER) and recorded == CAFFE


def told(expectation, content):
    """What the weights record about their input: network_input.Told. None where they leave a mean or all of it open.

    Caffe's kind leaves the mean open, which is that of the data set.
    """
    if expectation.kind == "torchvision":
        return network_input.Told(TORCHVISION, expectation.why, network_input.COLOUR)
    if expectation.kind != "recorded":
        return None
    extra = content.meta.get("extra")
    settings = extra.get("arguments") if isinstance(extra, dict) else None
    transform = expectation.transform
    modality = network_input.recorded_modality(transform, content.arrays, settings)
    return network_input.Told(transform, "as the weights record", modality)


def transform_for(expectation, current):
    """The Preprocess that a model gets with new weights. `current` is its present one.

    A model that already takes Caffe's kind of input keeps its own mean, which may be that of another data set.
    """
    if expectation.kind == "recorded":
        return expectation.transform
    if expectation.kind == "torchvision":
        return TORCHVISION
    if expectation.kind is None:
        return current
    as_caffe = current is not None and (current.order, current.scale, current.std) == ("BGR", 1.0, None)
    return current if as_caffe else CAFFE


def fold(weight, transform):
    """Take the preprocessing into the first convolution, which then expects BGR, 0..255 minus a mean.

    With x = (scale * image - mean) / std in RGB,
    weight'[o, c] = weight[o, 2 - c] * scale / std[2 - c]  and  mean'[c] = mean[2 - c] / scale.

    The mean stays in the preprocessing and does not go into the bias. A padded zero stands for the mean colour, before
    and after; a bias would subtract the mean from it as well.

    Shapes: weight (O, 3, kh, kw).
    Returns: (weight', Preprocess), which together give the same numbers.
    Identity: conv2d(transform(image), weight, padding=p) == conv2d(transform'(image), weight', padding=p), borders
    included  (tests/weights/test_preprocessing.py).
    """
    if weight.ndim != 4 or weight.shape[1] != 3:
        raise InputError(
            f"a preprocessing can be folded only into a convolution of three channels; this one is {weight.shape}"
        )
    step = -1 if transform.order == "RGB" else 1
    factor = transform.scale / np.array(transform.std or (1.0, 1.0, 1.0))
    folded = weight * factor[:, None, None].astype(weight.dtype)
    mean = tuple(m / transform.scale for m in transform.mean)
    return np.ascontiguousarray(folded[:, ::step]), Preprocess(mean[::step], depth_mean=transform.depth_mean)

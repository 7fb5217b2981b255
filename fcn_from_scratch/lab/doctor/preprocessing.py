"""Are the pictures prepared as the weights expect? The scores of the network decide.

The scores of a network trained by cross-entropy are log-odds. They have an absolute scale, in nats. So two statistics
of the scores tell something without labels.

spread    How much the score of a class varies from pixel to pixel: the scores minus their mean over the classes, their
          standard deviation over the pixels, averaged over the classes. A trained network has some nats. With inputs
          60 times too small, little but the biases remains, and the scores hardly vary. With inputs 60 times too large,
          every layer's output is about 60 times too large, and so are the scores.
entropy   The entropy of the probabilities, mean over the pixels. Where red and blue are swapped, the network meets
          colours that it has never seen, and is less sure than with the right ones.

With labels the loss decides, and nothing is guessed.

Measured on mini networks (means over 20 pictures of a validation set; right preprocessing, then wrong ones):

                            spread                               entropy
                            right   0..1 instead   0..255        right    red and blue
                                    of about +-2   instead                swapped
CamVid                       4.2        0.5          242          0.65       0.94
drawn, classes by colour     1.8        0.6           87          0.24       0.65
drawn, classes by shape      1.3        0.4           33          0.53       0.89

Limits. The network must be trained: an untrained network's scores hardly vary either. A forgotten mean changes neither
statistic reliably. Scales that differ by less than a factor of about five are not told apart. A wrong channel order
does not show in a network that ignores colour, where it does no harm either, and it does not show on grey pictures.
Without labels the result is a suspicion, not a proof.
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from fcn_from_scratch import datasets, ops
from fcn_from_scratch.backend import to_numpy
from fcn_from_scratch.lab.doctor.registry import check, fine, note, serious, warning

SANE_SPREAD = (0.8, 12.0)  # nats: lowest and highest for a trained network
SURER = 1.25  # suspicious if the swapped order's entropy is smaller by this factor
BETTER = 0.8  # another preprocessing is better if its loss is below this share of ours


class Reading(NamedTuple):
    """The statistics of a network's scores under one preprocessing."""

    spread: float
    entropy: float
    loss: float | None

    @property
    def sane(self):
        return SANE_SPREAD[0] <= self.spread <= SANE_SPREAD[1]


def reading(model, transform, samples):
    """The Reading of a model over (image, labels or None) pairs."""
    spreads, entropies, losses = [], [], []
    for image, labels in samples:
        scores = first_head(model(transform(image)[None])).astype(np.float64)
        centred = scores - scores.mean(axis=1, keepdims=True)
        spreads.append(np.sqrt(centred.var(axis=(2, 3)).mean()))
        log_p = scores - scores.max(axis=1, keepdims=True)
        log_p -= np.log(np.exp(log_p).sum(axis=1, keepdims=True))
        entropies.append(-(np.exp(log_p) * log_p).sum(axis=1).mean())
        if labels is not None:
            losses.append(float(ops.softmax_cross_entropy(scores, labels[None].astype(np.int64))[0]))
    return Reading(float(np.mean(spreads)), float(np.mean(entropies)), float(np.mean(losses)) if losses else None)


def first_head(scores):
    """The scores on the host; of a network with several heads, those of the first."""
    return to_numpy(scores[0] if isinstance(scores, tuple) else scores)


def reversed_order(transform):
    """The same preprocessing with red and blue swapped. Each channel keeps its own mean."""
    order = "RGB" if transform.order == "BGR" else "BGR"
    return replace(transform, mean=transform.mean[::-1], order=order, std=transform.std and transform.std[::-1])


def others(transform):
    """Other preprocessings that the weights may have been trained with: name -> Preprocess."""
    mean = datasets.VOC_MEAN_BGR
    usual = {
        "BGR, 0..255, minus the mean (Caffe)": datasets.CAFFE,
        "RGB, 0..1, minus the mean, divided by the deviation (torchvision)": datasets.TORCHVISION,
        "BGR, 0..255, minus the mean, divided by 60 (mini networks)": datasets.Preprocess(mean, std=(60.0, 60.0, 60.0)),
        "BGR, 0..1": datasets.Preprocess((0, 0, 0), scale=1 / 255),
        "RGB, 0..1": datasets.Preprocess((0, 0, 0), "RGB", 1 / 255),
        "BGR, 0..255, no mean": datasets.Preprocess((0, 0, 0)),
    }
    swapped = f"red and blue swapped ({reversed_order(transform).order})"
    return {swapped: reversed_order(transform), **{k: v for k, v in usual.items() if v != transform}}


@check(
    "Are the pictures prepared as the weights expect? Channel order, range 0..255 or 0..1, the mean.",
    "pass the right one with --preprocessing, or set model.transform",
    needs=("model", "weights", "pictures"),
)
def preprocessing(case):
    if case.channels != 3:
        return
    model, own = case.model, reading(case.model, case.model.transform, case.pictures)
    if own.spread == 0:  # a dead network: the check outputs_alive reports it
        return
    found = {name: reading(model, other, case.pictures) for name, other in others(model.transform).items()}
    swapped = next(iter(found))
    if own.loss is not None:
        best = min(found, key=lambda name: found[name].loss)
        if found[best].loss < BETTER * own.loss:
            yield serious(
                f"the loss is {own.loss:.3g} with {describe(model.transform)}, and {found[best].loss:.3g} with {best}"
            )
        else:
            yield fine(f"no other preprocessing gives a smaller loss than {own.loss:.3g}")
    elif not own.sane and any(other.sane for other in found.values()):
        better = [name for name, other in found.items() if other.sane]
        yield warning(
            f"with {describe(model.transform)} the scores vary by {own.spread:.3g} nats from pixel to pixel; those of "
            f"trained networks vary by 1 to 10, and so would these with: {'; '.join(better)}"
        )
    elif own.sane and own.entropy > SURER * found[swapped].entropy:
        yield warning(
            "the network is more certain with red and blue swapped: its entropy is "
            f"{found[swapped].entropy:.2g} instead of {own.entropy:.2g} nats a pixel"
        )
    elif own.sane:
        yield fine(
            f"scores vary by {own.spread:.2g} nats from pixel to pixel, and the network is not more certain with red "
            "and blue swapped"
        )
    else:
        yield note(
            f"scores vary by {own.spread:.2g} nats from pixel to pixel, which shows nothing: is the network trained?"
        )


def describe(transform):
    """A preprocessing in words."""
    words = [transform.order, "0..255" if transform.scale == 1 else "0..1" if transform.scale < 0.01 else "scaled"]
    words.append("minus the mean" if any(transform.mean) else "no mean")
    return ", ".join(words + (["divided by the deviation"] if transform.std else []))

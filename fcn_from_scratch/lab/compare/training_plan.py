"""The training plan as data: one trunk, and the networks that start from it or from each other.

Training runs in stages, as in the paper: FCN-16s starts from FCN-32s, and FCN-8s from FCN-16s. A Stage is one run of
training, from some weights to others. All compared networks have been trained for the same number of steps since the
trunk. Otherwise a network at the end of several stages could win by its longer training alone.
"""

import hashlib
import json
from typing import NamedTuple

from fcn_from_scratch import __version__

# family -> {role of a network in the comparison: its name in models.build}. FCN-8s at once on VGG16 needs factors on
# its skips. The features of the lesson-size networks are small, so the mini network needs none (lesson 12).
NETWORKS = {
    "mini": {
        "classifier": "mini_classifier",
        "32s": "mini_fcn32s",
        "16s": "mini_fcn16s",
        "8s": "mini_fcn8s",
        "8s at once": "mini_fcn8s",
        "decoder": "mini_unpool",
    },
    "vgg16": {
        "32s": "fcn32s",
        "16s": "fcn16s",
        "8s": "fcn8s",
        "8s at once": "fcn8s_atonce",
        "decoder": "unpool_vgg16",
    },
}


class Stage(NamedTuple):
    """One run of training, from some weights to others.

    name        of the stage
    network     the role of the network that is trained, a key of NETWORKS[family]
    start       the stage whose weights it starts from; None for the trunk, which starts from random weights
    share       of the steps that every compared network is trained for
    lr          the highest learning rate
    frozen      train the score layer only
    upsampling  an option of the network
    """

    name: str
    network: str
    start: str | None
    share: float
    lr: float
    frozen: bool = False
    upsampling: str = "fixed"

    @property
    def options(self):
        """Options for models.build, besides those of the whole comparison."""
        return {} if self.upsampling == "fixed" else {"upsampling": self.upsampling}


TRUNK = "trunk"
STAGES = {
    stage.name: stage
    for stage in (
        Stage(TRUNK, "classifier", None, 1 / 4, 0.01),
        Stage("32s-fixed", "32s", TRUNK, 1, 0.005, frozen=True),
        Stage("32s-half", "32s", TRUNK, 1 / 2, 0.03),
        Stage("32s", "32s", "32s-half", 1 / 2, 0.02),
        Stage("32s-learned", "32s", "32s-half", 1 / 2, 0.02, upsampling="all_learned"),
        Stage("16s-half", "16s", "32s-half", 1 / 4, 0.02),
        Stage("16s", "16s", "16s-half", 1 / 4, 0.02),
        Stage("8s", "8s", "16s-half", 1 / 4, 0.02),
        Stage("8s-atonce", "8s at once", TRUNK, 1, 0.03),
        Stage("unpool", "decoder", TRUNK, 1, 0.03),
    )
}


class Settings(NamedTuple):
    """The settings of one comparison. Together with a stage they determine its weights.

    family       a key of NETWORKS
    options      for models.build: width, fc6_kernel
    num_classes  of the networks
    steps        of training of each compared network, after the trunk
    batch_size   pictures in a batch
    crop         (H, W) of random, scaled, mirrored crops to train on; None: whole pictures, unchanged
    seed         of all random numbers
    data         identifies the training set, in a form for JSON (see fingerprint)
    weights      a digest of the trunk's file; None if the trunk is trained here
    """

    family: str
    options: dict
    num_classes: int
    steps: int
    batch_size: int
    crop: tuple | None
    seed: int
    data: dict
    weights: str | None = None

    def steps_of(self, stage):
        """The number of steps of one stage; at least one."""
        return max(1, round(stage.share * self.steps))

    def key(self, stage):
        """A digest of everything that determines a stage's weights, including the weights that it starts from.

        The device is not part of it: another device may only change the last bits, by rounding.
        """
        text = {
            "version": __version__,
            "settings": self._asdict(),
            "stage": stage._asdict(),
            "start": None if stage.start is None else self.key(STAGES[stage.start]),
        }
        return hashlib.sha256(json.dumps(text, sort_keys=True).encode()).hexdigest()


def chain(name):
    """The stages from the trunk to this one: without the trunk, in the order of training, itself last."""
    stage = STAGES[name]
    if stage.start is None:
        return []
    return [*chain(stage.start), stage]


def fingerprint(dataset):
    """A dict that identifies a training set: by names, sizes and times of its files, or by pixels of drawn ones."""
    digest = hashlib.sha256()
    if hasattr(dataset, "pairs"):
        for name, *paths in dataset.pairs:
            stats = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in paths]
            digest.update(repr((name, stats)).encode())
    else:
        for number in range(min(len(dataset), 8)):
            digest.update(dataset[number].image.tobytes() + dataset[number].labels.tobytes())
    return {"pictures": len(dataset), "classes": list(dataset.classes), "digest": digest.hexdigest()}

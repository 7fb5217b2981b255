"""The training plan as data: one trunk, and the networks that start from it.

The plan keeps two questions apart.

structure   which layers make a dense prediction? All these networks start from the trunk. All their layers are trained
            together, from the first step to the last (only 32s-fixed trains nothing but its score layer)
schedule    does it help to train in stages, as the paper does? 16s-staged starts from a trained 32s; 8s-staged starts
            from a 16s that started from a 32s. Their layers are those of 16s and 8s

Every network is trained for the same number of steps after the trunk; the stages of one network share that number in
equal parts. Every stage has the rate that was best for it on one grid (see tuning). So no network wins by a longer
training or by more care with its rate.
"""

import functools
import hashlib
import json
from pathlib import Path
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
        "8s in stages": "mini_fcn8s",
        "decoder": "mini_unpool",
        "dilated": "mini_fcn8s_dilated",
        "concat": "mini_fcn8s_concat",
    },
    "vgg16": {
        "32s": "fcn32s",
        "16s": "fcn16s",
        "8s": "fcn8s_atonce",
        "8s in stages": "fcn8s",
        "decoder": "unpool_vgg16",
        "dilated": "fcn8s_dilated",
        "concat": "fcn8s_concat",
    },
}


class Stage(NamedTuple):
    """One run of training, from some weights to others.

    name        of the stage
    network     the role of the network that is trained, a key of NETWORKS[family]
    start       the stage whose weights it starts from; None for the trunk, which starts from random weights
    part        1 / part of the steps that every compared network is trained for
    lr          the highest learning rate: the best of tuning.GRID for drawn scenes
    frozen      train the score layer only
    upsampling  an option of the network
    """

    name: str
    network: str
    start: str | None
    part: int
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
        Stage(TRUNK, "classifier", None, 4, 0.01),
        # structure
        Stage("32s-fixed", "32s", TRUNK, 1, 0.16, frozen=True),
        Stage("32s", "32s", TRUNK, 1, 0.04),
        Stage("32s-learned", "32s", TRUNK, 1, 0.04, upsampling="all_learned"),
        Stage("16s", "16s", TRUNK, 1, 0.08),
        Stage("8s", "8s", TRUNK, 1, 0.08),
        Stage("dilated", "dilated", TRUNK, 1, 0.08),
        Stage("concat", "concat", TRUNK, 1, 0.08),
        Stage("unpool", "decoder", TRUNK, 1, 0.02),
        # schedule
        Stage("32s-half", "32s", TRUNK, 2, 0.04),
        Stage("16s-half", "16s", "32s-half", 2, 0.08),
        Stage("32s-third", "32s", TRUNK, 3, 0.02),
        Stage("16s-third", "16s", "32s-third", 3, 0.04),
        Stage("8s-third", "8s in stages", "16s-third", 3, 0.08),
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
    rates        name of a stage -> its highest learning rate; None: all rates are the plan's
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
    rates: dict | None = None

    def stage(self, name):
        """The stage with its rate in this comparison."""
        return STAGES[name]._replace(lr=(self.rates or {}).get(name, STAGES[name].lr))

    def steps_of(self, stage):
        """The number of steps of one stage; at least one. Those of a network's stages sum up to `steps`."""
        place = max(1, len(chain(stage.name)))
        return max(1, self.steps * place // stage.part - self.steps * (place - 1) // stage.part)

    def key(self, name):
        """A digest of everything that determines a stage's weights, including the weights that it starts from.

        The device is not part of it: another device may only change the last bits, by rounding. The rates of other
        stages are no part of it either.
        """
        stage = self.stage(name)
        text = {
            "version": __version__,
            "settings": self._replace(rates=None)._asdict(),
            "stage": stage._asdict(),
            "start": None if stage.start is None else self.key(stage.start),
        }
        return hashlib.sha256(json.dumps(text, sort_keys=True).encode()).hexdigest()


def chain(name):
    """The stages from the trunk to this one: without the trunk, in the order of training, itself last."""
    stage = STAGES[name]
    if stage.start is None:
        return []
    return [*chain(stage.start), stage]


def fingerprint(dataset):
    """A dict that identifies a training set: by the names and bytes of its files, or by pixels of drawn ones.

    Neither the folder nor the time of a file is part of it. So a dataset that was moved or copied is the same one.
    """
    digest = hashlib.sha256()
    if hasattr(dataset, "pairs"):
        for name, *paths in dataset.pairs:
            digest.update(repr((name, [_digest_of(Path(path)) for path in paths])).encode())
        digest.update("".join(getattr(dataset, "read_as", ())).encode())
    else:
        for number in range(min(len(dataset), 8)):
            digest.update(dataset[number].image.tobytes() + dataset[number].labels.tobytes())
    return {"pictures": len(dataset), "classes": list(dataset.classes), "digest": digest.hexdigest()}


def _digest_of(path):
    stat = path.stat()
    return _digest_of_bytes(path, stat.st_size, stat.st_mtime_ns)


@functools.lru_cache(maxsize=1 << 16)  # a comparison asks once for each seed and each tuned rate
def _digest_of_bytes(path, size, time):
    return hashlib.sha256(path.read_bytes()).hexdigest()

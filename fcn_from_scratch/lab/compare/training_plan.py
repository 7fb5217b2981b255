"""What is trained, as data: one trunk, and the networks that start from it or from one another.

Whatever a stage starts from, every network that is compared has been trained for as many steps since the trunk:
otherwise the one that was built up in stages would win by the longer training alone.
"""

import hashlib
import json
from typing import NamedTuple

from fcn_from_scratch import __version__

# The part a network plays here -> its name in models.build. The lesson-size features are small: their network with
# both skips at once needs no factors on them (lesson 12), the one on VGG16 does.
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
    """One piece of training.

    network  a key of NETWORKS;  start, the stage whose weights it takes over, None for the trunk itself
    share    of the steps every compared network gets;  lr, its highest learning rate
    frozen   only the score layer learns;  upsampling, an option of the network
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
        """What models.build is told besides the comparison's own options."""
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
    """What one comparison is made with; together with the stage it determines the weights.

    family       a key of NETWORKS;  options, of models.build: width, fc6_kernel
    steps        of every compared network after the trunk
    crop         (H, W) of random, scaled, mirrored crops to train on; None: whole pictures as they are
    data         what tells this training set from others, as JSON can hold it (see fingerprint)
    weights      a digest of the file the trunk comes from, None where it is trained here
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
        """The steps of one stage, at least one."""
        return max(1, round(stage.share * self.steps))

    def key(self, stage):
        """A digest of everything that determines a stage's weights, those it starts from included.

        The device is not among it: its rounding changes the last bits, and nothing else is meant to.
        """
        text = {
            "version": __version__,
            "settings": self._asdict(),
            "stage": stage._asdict(),
            "start": None if stage.start is None else self.key(STAGES[stage.start]),
        }
        return hashlib.sha256(json.dumps(text, sort_keys=True).encode()).hexdigest()


def chain(name):
    """The stages that lead to one, itself the last and the trunk left out: what it was trained for."""
    stage = STAGES[name]
    if stage.start is None:
        return []
    return [*chain(stage.start), stage]


def fingerprint(dataset):
    """What tells a training set from others: of files their names, sizes and times, of drawn pictures some pixels."""
    digest = hashlib.sha256()
    if hasattr(dataset, "pairs"):
        for name, *paths in dataset.pairs:
            stats = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in paths]
            digest.update(repr((name, stats)).encode())
    else:
        for number in range(min(len(dataset), 8)):
            digest.update(dataset[number].image.tobytes() + dataset[number].labels.tobytes())
    return {"pictures": len(dataset), "classes": list(dataset.classes), "digest": digest.hexdigest()}

"""A trunk that was trained elsewhere, read from a file."""

import hashlib
from pathlib import Path
from typing import NamedTuple

from fcn_from_scratch import datasets, models, weights
from fcn_from_scratch.checks import InputError, few
from fcn_from_scratch.lab.compare.training_plan import NETWORKS
from fcn_from_scratch.training import checkpoint

MINI = {"width": 16, "fc6_kernel": 3}  # models.build's defaults, for options that a checkpoint does not hold


class TrunkFile(NamedTuple):
    """A trunk from a file.

    family      as in training_plan.Settings
    options     as in training_plan.Settings
    parameters  name -> array
    transform   the preprocessing that the parameters expect
    digest      of the file's bytes
    told        what the file records about its input: weights.network_input.Told, or None
    """

    family: str
    options: dict
    parameters: dict
    transform: datasets.Preprocess
    digest: str
    told: object = None


def read_trunk(path, family="mini", options=None):
    """Read a trunk from any file that weights.load can read; returns a TrunkFile.

    A checkpoint tells which network it belongs to. For plain weights, `family` and `options` must tell it.

    Raises: InputError that names the file, if it holds no weights, or if parameters of the trunk are missing or have
    other shapes.
    """
    options = options or {}
    try:
        _, meta = checkpoint.read(path)
    except InputError:
        pass
    else:
        family = "mini" if str(meta["model"]).startswith("mini") else "vgg16"
        options = {key: value for key, value in meta["options"].items() if key not in ("num_classes", "upsampling")}
        if family == "mini":
            options = {**MINI, **options}
    try:
        net = models.build(NETWORKS[family]["32s"], **options)
    except (ValueError, TypeError) as error:
        raise InputError(f"{path}: {error}") from None
    report = weights.load(net, path, new_scores=True)
    missing = [name for name in net.trunk.params if name in report.missing]
    if missing:
        raise InputError(f"{path} lacks parameters of the trunk: {few(missing)}")
    digest = hashlib.sha256(Path(path).read_bytes()).hexdigest()
    return TrunkFile(family, options, net.trunk.state_dict(), net.transform, digest, net.told)

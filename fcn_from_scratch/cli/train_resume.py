"""`fcn train --resume`: the settings of the saved run, and what a command line may change of them.

Every option of `fcn train` stands in one of the three lists below. An option that is given is honoured or refused, and
never dropped.
"""

import argparse
import json
from pathlib import Path

from fcn_from_scratch.checks import InputError
from fcn_from_scratch.cli.own_arguments import absolute
from fcn_from_scratch.cli.train_arguments import option
from fcn_from_scratch.training import checkpoint

# Where and how a run computes, how far it goes and what it writes down. With the roots and "sbd", data that was moved
# is found.
FREE = (
    *("out", "device", "plain", "root", "steps", "val_every", "tensorboard", "save_seconds", "strict", "sbd"),
    *("val_root", "snapshot_every", "keep"),
)
# How the steps from here on are taken. The command says what changes.
CHANGES = ("lr", "schedule", "momentum", "weight_decay", "batch_size", "iter_size")
# What the network is, what it started from, and what it learns: with another value it would be another run.
REFUSED = (
    *("model", "recipe", "dataset", "num_classes", "modality", "size", "count", "classes_by", "split", "val_split"),
    *("val_dataset",),
    *("width", "dropout", "upsampling", "weights", "new_scores", "preprocessing", "freeze_trunk", "reduction"),
    *("images", "labels", "classes", "label_map", "bands", "range"),
    *("sampling", "crop", "no_augment", "balance", "seed"),
)
ABOUT_THE_COMMAND = ("resume", "defaults", "run", "transform", "names")
# What these options mean where a run was started without them.
MEANT = {"dataset": "shapes", "size": [96, 96], "classes_by": "shape", "modality": "color", "upsampling": "fixed"}
NOT_SAVED = (*ABOUT_THE_COMMAND, "out", "device", "plain", "save_seconds")


def to_save(args):
    """The settings that a checkpoint keeps, name -> value. Relative folders are made absolute, for another folder."""
    saved = {name: value for name, value in vars(args).items() if name not in NOT_SAVED}
    folders = {name: saved[name] for name in ("root", "val_root", "sbd") if saved.get(name) is not None}
    saved |= {name: str(Path(folder).absolute()) for name, folder in folders.items()}
    return saved | {"classes": absolute(args)}


def resumed(args, given, path):
    """(arguments, changed) of the saved run: its settings, with those of FREE and CHANGES that are `given`.

    changed  the settings of CHANGES that differ now, name -> their value in the saved run
    Raises: InputError for any other given option whose value is not the run's, and for fewer steps than were done.
    """
    _, meta = checkpoint.read(path)
    saved = meta["extra"].get("arguments")
    if not isinstance(saved, dict) or "model" not in saved:
        raise InputError(f"{path} was not written by `fcn train`: it does not hold the settings of a run")
    for name, value in given.items():
        if name not in (*FREE, *CHANGES, *ABOUT_THE_COMMAND):
            _require_equal(name, value, saved.get(name), path)
    taken = {name: given[name] for name in (*FREE, *CHANGES) if name in given}
    one = argparse.Namespace(**{**vars(args), **saved, **taken})
    one.transform, one.names = meta["extra"].get("transform"), meta["extra"].get("classes")
    _require_built_like(one, meta, path)
    if one.steps < meta["steps"]:
        raise InputError(
            f"the run in {Path(path).parent} has done {meta['steps']} steps already: --steps {one.steps} is less; "
            "--steps counts all steps of the run"
        )
    changed = {name: saved[name] for name in CHANGES if name in taken and saved.get(name) != taken[name]}
    return one, changed


def _require_built_like(args, meta, path):
    """The settings describe the network that the file holds. Else another one would be built, perhaps a huge one."""
    options = meta["options"]
    for name, ours, theirs in (
        ("model", args.model, meta["model"]),
        ("width", args.width, options.get("width")),
        ("dropout", args.dropout, options.get("dropout")),
        ("upsampling", args.upsampling, options.get("upsampling")),
    ):
        if ours != theirs:
            raise InputError(f"{path} contradicts itself: its settings say {name} {ours}, its network {theirs}")


def _require_equal(name, value, saved, path):
    """Compare an option as it was typed with the saved one."""
    if name == "weights" and isinstance(saved, str):  # of an older version
        saved = [saved]
    if json.loads(json.dumps(value)) == (MEANT.get(name) if saved is None else saved):
        return
    typed = option(name) if value is True else f"{option(name)} {_in_words(value)}"
    theirs = "without it" if saved in (None, False) else f"with {_in_words(saved)}"
    raise InputError(
        f"{typed} does not fit the run in {Path(path).parent}, which was started {theirs}: "
        f"leave out {option(name)} to go on, or start a new run with another --out"
    )


def _in_words(value):
    """A value as it is typed: a size as 240x320, files side by side."""
    if isinstance(value, (tuple, list)) and all(isinstance(each, str) for each in value):
        return " ".join(value)
    return "x".join(map(str, value)) if isinstance(value, (tuple, list)) else str(value)

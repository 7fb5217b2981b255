"""`fcn train --resume`: the settings of the saved run, and what a command line may change of them."""

import argparse
import json
from pathlib import Path

from fcn_from_scratch.checks import InputError
from fcn_from_scratch.cli.train_arguments import option
from fcn_from_scratch.training import checkpoint

# Where and how a run computes, how far it goes and what it writes down. None of it changes what a step computes. With
# "root", data that was moved is found.
FREE = ("out", "device", "plain", "root", "steps", "val_every", "tensorboard", "save_seconds")
ABOUT_THE_COMMAND = ("resume", "defaults", "run", "transform")
# What these options mean where a run was started without them.
MEANT = {"dataset": "shapes", "size": [96, 96], "classes_by": "shape", "modality": "color", "upsampling": "fixed"}
NOT_SAVED = (*ABOUT_THE_COMMAND, "out", "device", "plain", "save_seconds")


def to_save(args):
    """The settings that a checkpoint keeps, name -> value."""
    return {name: value for name, value in vars(args).items() if name not in NOT_SAVED}


def resumed(args, given, path):
    """The arguments of the saved run. The options FREE are taken from the command line if they are `given`.

    Raises: InputError for any other given option whose value is not the run's.
    """
    _, meta = checkpoint.read(path)
    saved = meta["extra"].get("arguments")
    if not isinstance(saved, dict):
        raise InputError(f"{path} was not written by `fcn train`: it does not hold the settings of a run")
    for name, value in given.items():
        if name not in (*FREE, *ABOUT_THE_COMMAND):
            _require_equal(name, value, saved.get(name), path)
    free = {name: given[name] for name in FREE if name in given}
    one = argparse.Namespace(**{**vars(args), **saved, **free})
    one.transform = meta["extra"].get("transform")
    return one


def _require_equal(name, value, saved, path):
    """Compare an option as it was typed with the saved one."""
    if json.loads(json.dumps(value)) == (MEANT.get(name) if saved is None else saved):
        return
    typed = option(name) if value is True else f"{option(name)} {_in_words(value)}"
    theirs = "without it" if saved in (None, False) else f"with {_in_words(saved)}"
    raise InputError(
        f"{typed} does not fit the run in {Path(path).parent}, which was started {theirs}: "
        f"leave out {option(name)} to go on, or start a new run with another --out"
    )


def _in_words(value):
    """A value as it is typed: a size as 240x320."""
    return "x".join(map(str, value)) if isinstance(value, (tuple, list)) else str(value)

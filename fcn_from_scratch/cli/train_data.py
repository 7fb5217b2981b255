"""The data of `fcn train`: what a recipe names, what the command line says, and where the two part."""

import argparse
from pathlib import Path

from fcn_from_scratch.checks import InputError
from fcn_from_scratch.cli import common, own_arguments
from fcn_from_scratch.cli.train_arguments import option
from fcn_from_scratch.datasets.pascal import devkits

NAMES = ("modality", "split", "val_dataset", "val_split")
DRAWN = ("size", "count", "classes_by")  # options of drawn shapes: whoever gives one wants these


def settle(args, recipe, is_asked):
    """Take the data from a recipe that was asked for by name, where the command line does not say it."""
    data = recipe.data
    if args.dataset is None and is_asked and all(getattr(args, name) is None for name in DRAWN):
        args.dataset = data.dataset
    if is_asked and data.dataset is not None and args.dataset == data.dataset:
        scored_elsewhere = args.val_dataset not in (None, data.val_dataset)
        for name in NAMES:
            if getattr(args, name) is None and not (name == "val_split" and scored_elsewhere):
                setattr(args, name, getattr(data, name))
    args.split, args.val_split = args.split or "train", args.val_split or "val"


def departures(args, recipe):
    """Where the data of a run is not that of its recipe, in words: "--split train for trainval"."""
    data = recipe.data
    if data.dataset is None:
        return []
    ours = args.dataset or "shapes"
    if ours != data.dataset:
        return [f"--dataset {ours} for {data.dataset}"]
    pairs = {
        "modality": (args.modality or (data.modality and "color"), data.modality),
        "split": (args.split, data.split),
        "val_dataset": (args.val_dataset or ours, data.val_dataset or ours),
        "val_split": (args.val_split, data.val_split),
    }
    return [f"{option(name)} {here} for {there}" for name, (here, there) in pairs.items() if here != there]


def of_validation(args):
    """The arguments with the data on which the network is scored. See common.build_dataset."""
    if args.val_dataset in (None, args.dataset) and args.val_root is None:
        return args
    words = vars(args) | {"dataset": args.val_dataset or args.dataset, "root": args.val_root or args.root}
    if args.dataset == "sbd" and words["dataset"] == "voc":
        words["root"] = args.val_root or _with_voc(args.root)
        words["sbd"] = getattr(args, "sbd", None) or args.root
    return argparse.Namespace(**words)


def build(args, split, validation=False):
    """The dataset of a split. Raises: InputError; where the recipe chose the data, it says so."""
    if not validation:
        return common.build_dataset(_own_options_apart(args, args), split)
    other = of_validation(args)
    try:
        return common.build_dataset(_own_options_apart(other, args), split)
    except InputError as error:
        if other is args:
            raise
        hint = f"the run is scored on {other.dataset} {split}: pass --val-root DIR with its folder, or --val-dataset"
        raise InputError(f"{error}; {hint}") from None


def _own_options_apart(args, run):
    """The arguments of one of a run's two datasets. --images and the like are for the folder among them."""
    if args.dataset == "folder" or "folder" not in (run.dataset, run.val_dataset):
        return args
    return argparse.Namespace(**(vars(args) | dict.fromkeys(own_arguments.OPTIONS)))


def _with_voc(root):
    """The folder with PASCAL VOC, for a root that may be SBD's own folder, a few levels below."""
    if root is None:
        return None
    places = [Path(root), *Path(root).absolute().parents[:3]]
    return str(next((place for place in places if (place / "JPEGImages").is_dir() or devkits(place)[1:]), root))


def other_counts(args, recipe, dataset, validation):
    """Sentences about a split that has another number of pictures than the published one."""
    data = recipe.data
    if departures(args, recipe):
        return []
    splits = (
        (f"{data.dataset} {data.split}", len(dataset), data.pictures),
        (f"{data.val_dataset or data.dataset} {data.val_split}", len(validation), data.val_pictures),
    )
    return [
        f"note: {name} has {here:,} pictures here, {there:,} in the published experiment"
        for name, here, there in splits
        if there not in (None, here)
    ]

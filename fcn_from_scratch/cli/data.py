"""`fcn data`: list the datasets, tell how to get one, or check one on disk."""

import textwrap
from pathlib import Path

from fcn_from_scratch import datasets
from fcn_from_scratch.checks import InputError, few, printable
from fcn_from_scratch.cli import common
from fcn_from_scratch.datasets import trees
from fcn_from_scratch.progress import bar

HELP = "List the datasets, tell how to get one, or check one on disk. Nothing is downloaded."
EXAMPLE = """  fcn data                               all datasets
  fcn data voc                           how to get VOC
  fcn data voc --root data               is VOC complete, and are its labels right?
  fcn data nyud --root data --modality color-hha --limit 20"""

OWN = {
    "shapes": "drawn shapes, 5 classes and the background: needs no files",
    "folder": "your own pictures: images/* and labels/* with the same stems (docs/datasets.md)",
}
WIDTH = 110


def add_arguments(parser):
    parser.add_argument("name", nargs="?", choices=datasets.NAMES, metavar="NAME", help=", ".join(datasets.NAMES))
    common.add_root_argument(parser, "check the dataset in this folder; for voc also: sample")
    parser.add_argument("--split", metavar="NAME", help="check only this split")
    parser.add_argument("--limit", type=common.positive, metavar="N", help="read only the first N pictures of a split")
    parser.add_argument("--num-classes", type=int, metavar="K", help="number of classes, for folder")
    common.add_sbd_argument(parser)
    parser.add_argument("--modality", choices=datasets.nyud.MODALITIES, help="the channels to check, for nyud")


def run(args):
    if args.name is None:
        if args.root is not None:
            raise InputError(f"--root {args.root}: which dataset is it? One of {', '.join(datasets.NAMES)}")
        print(listing())
        return 0
    if args.root is None:
        print(steps(args.name))
        return 0
    if found := tree_found(args.name, args.root):
        print(found)
    return check(args)


def listing():
    """One line for each dataset."""
    width = max(map(len, datasets.NAMES))
    return "\n".join(f"{name:{width}}  {_what(name)}" for name in datasets.NAMES)


def _what(name):
    """What a dataset is, in a line. One that is not in the catalogue says it in its class."""
    source = datasets.SOURCES.get(name)
    return source.what if source else OWN.get(name) or datasets.summary(name)


def steps(name):
    """Numbered instructions for getting a dataset."""
    if name not in datasets.SOURCES:
        return "\n".join([f"{name}: {_what(name)}", *tree_wanted(name)])
    source = datasets.SOURCES[name]
    lines = [source.what, ""]
    for number, step in enumerate(source.steps, start=1):
        lines.append(
            textwrap.fill(
                step,
                WIDTH,
                initial_indent=f"{number}. ",
                subsequent_indent="   ",
                break_long_words=False,
                break_on_hyphens=False,
            )
        )
    lines += tree_wanted(name)
    lines += ["", f"Licence: {source.licence}.", "If an address has moved, search for the dataset's name."]
    return "\n".join([*lines, "", f"Then check it:  fcn data {name} --root data"])


def tree_wanted(name):
    """The lines that show the trees of a dataset that are read."""
    lines = []
    for number, tree in enumerate(trees.TREES.get(name, ())):
        lines += ["", f"{'Or' if number else 'It reads'} {tree.what}, at --root DIR or below it:"]
        lines += [f"  {place}" for place in tree.places]
    return lines


def tree_found(name, root):
    """What there is of the tree that a folder resembles most, and where the two part; "" for drawn data."""
    compared = trees.nearest(name, root)
    if compared is None:
        return ""
    tree, parts = compared
    width = max(len(part.place) for part in parts)
    lines = [f"compared with {tree.what}:"]
    for part in parts:
        lines.append(f"  {'found  ' if part.found else 'missing'}  {part.place:{width}}  {printable(part.what)}")
    return "\n".join(lines)


def check(args):
    """Read all samples of all splits; returns 1 if something is wrong, otherwise 0.

    Raises: InputError if no split is found.
    """
    source = datasets.SOURCES.get(args.name)
    expected = source.counts if source else {}
    splits = [args.split] if args.split else _splits(args.name, args.root)
    optional = source.more_splits if source and not args.split else ()
    options = {} if args.modality is None else {"modality": args.modality}
    common.sbd_option(args.name, datasets.voc.SEG11VALID, args.sbd)
    sound, complaints = True, {}
    for split in splits:
        try:
            more = options | common.sbd_option(args.name, split, args.sbd)
            dataset = datasets.build(args.name, args.root, split, args.num_classes, **more)
        except InputError as error:
            complaints[split] = str(error)
            sound = sound and split in optional
            continue
        sound = _report(dataset, split, args.limit, expected.get(split)) and sound
    if len(complaints) == len(splits):
        raise InputError(complaints[splits[0]])
    for split, complaint in complaints.items():
        print(f"{split}: {printable(complaint)}")
    return 0 if sound else 1


def _splits(name, root):
    """All splits that a dataset should have. One that is not in the catalogue has those that the commands read."""
    source = datasets.SOURCES.get(name)
    if source:
        return [*source.splits, *source.more_splits]
    listed = [split for split in ("train", "val", "test") if Path(root, f"{split}.txt").exists()]
    return ["all", *listed] if name == "folder" else ["train", "val"]


def _report(dataset, split, limit, expected):
    """Print what is in one split; returns whether it is complete and readable."""
    seen = datasets.survey(dataset, limit, lambda numbers: bar(numbers, desc=split, leave=False, unit="picture"))
    count = f"{split}: {len(dataset):,} picture{'s' * (len(dataset) != 1)}"
    whole = expected in (None, len(dataset))
    if expected is not None:
        count += ", as it should be" if whole else f"; a complete set has {expected:,}"
    if limit is not None and limit < len(dataset):
        count += f" (read: the first {limit})"
    print(count)
    if dataset.folder is not None:
        print(f"  read from {printable(str(dataset.folder))}")
    for counts, (kind, classes) in zip(seen.counts, dataset.heads.items()):
        label = f"{kind} labels" if len(seen.counts) > 1 else "labels"
        present, total = int((counts[: len(classes)] > 0).sum()), max(int(counts.sum()), 1)
        print(f"  {label}: {present} of {len(classes)} classes, {counts[255] / total:.1%} of the pixels ignored")
    for finding in seen.findings:
        print(f"  {printable(finding)}")
    if seen.unreadable:
        print(f"  cannot be read ({len(seen.unreadable)}): {printable(few(seen.unreadable))}")
    return whole and not seen.unreadable

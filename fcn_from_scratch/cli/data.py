"""`fcn data`: list the datasets, tell how to get one, or check one on disk."""

import textwrap

from fcn_from_scratch import datasets
from fcn_from_scratch.checks import InputError, few, printable
from fcn_from_scratch.cli import common, own_help
from fcn_from_scratch.cli.own_arguments import add_own_arguments, own_options, tell, warn_of_same_pictures
from fcn_from_scratch.datasets import trees
from fcn_from_scratch.progress import bar

HELP = "List the datasets, tell how to get one, or check one on disk. Nothing is downloaded."
EXAMPLE = """  fcn data                               all datasets
  fcn data voc                           how to get VOC
  fcn data voc --root data               is VOC complete, and are its labels right?
  fcn data nyud --root data --modality color-hha --limit 20"""

OWN = {
    "shapes": "drawn shapes, 5 classes and the background: needs no files",
    "folder": "your own pictures, as any annotation tool wrote them (docs/own_data.md)",
}
WIDTH = 110
IN_A_LINE = 10  # names of classes


def add_arguments(parser):
    parser.add_argument("name", nargs="?", choices=datasets.NAMES, metavar="NAME", help=", ".join(datasets.NAMES))
    common.add_root_argument(parser, "check the dataset in this folder; for voc also: sample")
    parser.add_argument("--split", metavar="NAME", help="check only this split")
    parser.add_argument("--limit", type=common.positive, metavar="N", help="read only the first N pictures of a split")
    parser.add_argument("--num-classes", type=int, metavar="K", help="number of classes, for folder")
    common.add_sbd_argument(parser)
    parser.add_argument("--modality", choices=datasets.nyud.MODALITIES, help="the channels to check, for nyud")
    add_own_arguments(parser)


def run(args):
    if args.name is None:
        if args.root is not None:
            raise InputError(f"--root {args.root}: which dataset is it? One of {', '.join(datasets.NAMES)}")
        print(listing())
        return 0
    if args.root is None:
        print(steps(args.name))
        return 0
    if args.name == "folder":
        return _check_own(args)
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
    if name == "folder":
        return own_help.text()
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
    splits = [args.split] if args.split else _splits(args.name)
    optional = source.more_splits if source and not args.split else ()
    options = own_options(args, args.name) | ({} if args.modality is None else {"modality": args.modality})
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


def _check_own(args):
    """Read all of one's own pictures, and count those of each split; returns 1 if something is wrong, otherwise 0."""
    options = {"root": args.root, "num_classes": args.num_classes, **own_options(args, args.name)}
    if args.modality is not None:
        options["modality"] = args.modality
    dataset = datasets.build(args.name, split=args.split or "all", **options)
    told = tell(dataset)
    sound = _report(dataset, args.split or "all", args.limit, None, shares=True)
    parts = {}
    for split in () if args.split else ("train", "val", "test"):
        try:
            parts[split] = part = datasets.build(args.name, split=split, **options)
        except InputError as error:
            if split != "test":  # few people have one
                print(f"{split}: {error}")
                sound = False
            continue
        told = tell(part, told=told)
        print(f"{split}: {_pictures(part)}")
    if "train" in parts and "val" in parts:
        warn_of_same_pictures(parts["train"], parts["val"])
    return 0 if sound else 1


def _pictures(dataset):
    return f"{len(dataset):,} picture{'s' * (len(dataset) != 1)}"


def _splits(name):
    """All splits that a dataset should have. One that is not in the catalogue has those that the commands read."""
    source = datasets.SOURCES.get(name)
    if source:
        return [*source.splits, *source.more_splits]
    return ["train", "val"]


def _report(dataset, split, limit, expected, shares=False):
    """Print what is in one split, with each class's share of the pixels if `shares`.

    Returns: whether it is complete and readable.
    """
    seen = datasets.survey(dataset, limit, lambda numbers: bar(numbers, desc=split, leave=False, unit="picture"))
    count = f"{split}: {_pictures(dataset)}"
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
        for line in _shares(counts, classes) if shares else ():
            print(f"    {line}")
    for finding in seen.findings:
        print(f"  {printable(finding)}")
    if seen.unreadable:
        print(f"  cannot be read ({len(seen.unreadable)}): {printable(few(seen.unreadable))}")
    return whole and not seen.unreadable


def _shares(counts, classes):
    """The share of the pixels that count of each class that occurs, a few classes in a line."""
    total = max(int(counts[: len(classes)].sum()), 1)
    told = [f"{name} {count / total:.1%}" for name, count in zip(classes, counts) if count]
    return ["; ".join(told[first : first + IN_A_LINE]) for first in range(0, len(told), IN_A_LINE)]

"""The pairs of one split of one's own pictures, and what the user should know about them."""

from fcn_from_scratch.checks import InputError, few
from fcn_from_scratch.datasets.own import division, layouts, pairs
from fcn_from_scratch.datasets.own.patterns import SPLIT, Pattern
from fcn_from_scratch.datasets.own.splits import ALIASES, canonical


def gather(tree, split, images, labels, notes):
    """(the Pairs of a split that have labels, pairs.Found of all splits, (pattern, pattern)).

    images, labels  patterns as text; None for both takes the known layout that fits
    notes           sentences are appended: what was taken, divided and left out
    Raises: InputError for one pattern alone, and for everything that does not pair.
    """
    if (images is None) != (labels is None):
        given, other = ("--images", "--labels") if labels is None else ("--labels", "--images")
        raise InputError(f"{given} needs {other} beside it: a picture and its labels are found by two patterns")
    if images is None:
        images, labels = layouts.find(tree)
        notes.append(f"taken: --images '{images}' --labels '{labels}'")
    splits = () if split == "all" else (split,)
    patterns = Pattern(images, "--images", splits), Pattern(labels, "--labels", splits)
    found = pairs.find(tree, *patterns)
    if unread := _unread(tree, *patterns, splits):
        notes.append(f"not read: {few(unread)}, since a split is called train, val, test or the like")
    by_pattern = patterns[0].split or patterns[1].split
    both = patterns[0].split and patterns[1].split
    found.refuse_orphans(*patterns, division.canonical(split) if both and split != "all" else None)
    chosen, told = division.of_split(tree, split, found.pairs, by_pattern)
    notes += [told] * bool(told)
    labelled = [pair for pair in chosen if pair.labels]
    alone = [pair.name for pair in chosen if not pair.labels]
    if not labelled:
        raise InputError(f"{tree.root}: none of the {len(chosen)} pictures of {split} has labels")
    if alone:
        some = "1 picture without labels is" if len(alone) == 1 else f"{len(alone)} pictures without labels are"
        notes.append(f"{split}: {some} left out: {few(alone)}")
    return labelled, found, patterns


def _unread(tree, images, labels, splits):
    """The folders beside those of the splits which hold pictures too, but have another name."""
    if images.first != f"{{{SPLIT}}}" or (start := tree.start(images)) is None:
        return []
    others = [name for name in tree.entries(start)[1] if canonical(name) not in (*ALIASES, *splits)]
    others = [name for name in others if labels.parts[0] is None or not labels.parts[0].fullmatch(name)]
    return [name for name in others if any(file.split == name for file in tree.iterate(images.with_split(name)))]


def split_folders(found, patterns, split):
    """The folders of a split, then those of other splits, in which a class file may lie."""
    folders = {}
    for pair in found.pairs:
        for pattern, path in zip(patterns, (pair.picture, pair.labels)):
            if path is not None and (depth := pattern.split_depth) is not None:
                folders.setdefault(path.parents[depth], pair.split)
    wanted = division.canonical(split)
    return sorted(folders, key=lambda folder: (folders[folder] != wanted, folders[folder] != "train", str(folder)))

"""Your own data: pictures and labels as any annotation tool wrote them."""

import warnings
from pathlib import Path

import numpy as np

from fcn_from_scratch import checks
from fcn_from_scratch.datasets.audit import count_ids, swallowed_foreground
from fcn_from_scratch.datasets.base import PairDataset
from fcn_from_scratch.datasets.images import extensions
from fcn_from_scratch.datasets.labels import IGNORE, read_labels
from fcn_from_scratch.datasets.lists import read_list
from fcn_from_scratch.datasets.own import division, layouts, pairs
from fcn_from_scratch.datasets.own.patterns import Pattern
from fcn_from_scratch.datasets.own.scan import Tree

PEEK = 16  # so many label files are read when the dataset is built, to warn early


class Folder(PairDataset):
    """Pictures and labels below `root`, which two patterns find (docs/own_data.md).

    images, labels  patterns of file names, such as "{split}/{}.jpg" and "{split}/{}_mask.png"; without them
                 `images/*` and `labels/*` with equal stems, or another known layout
    split        What {split} stands for. Without {split}, a list `{split}.txt` is followed where there is one. Where
                 nobody divided the samples, every fifth goes to "val" (the last one where there are fewer than five),
                 the others to "train". A single pair serves as both. "all" is everything
    num_classes  the number of classes, the background included. None takes the number of lines of
                 `root/classes.txt` (one name a line), or without that file the largest id in any label file, plus one
    others       mask_palette, cache, cache_bytes: see PairDataset

    notes        sentences for the user: what was taken, left out and divided
    Raises: InputError for everything that does not fit, in one sentence.
    """

    def __init__(
        self,
        root,
        split="train",
        num_classes=None,
        mask_palette=None,
        cache=False,
        cache_bytes=256 * 2**20,
        images=None,
        labels=None,
    ):
        root = Path(root)
        self.notes = []
        chosen, everything = self._pairs(root, split, images, labels)
        paths = [pair.labels for pair in everything if pair.labels]
        classes = _class_names(root, num_classes) or _found_classes(root, paths, mask_palette)
        found = [(pair.name, pair.picture, pair.labels) for pair in chosen]
        super().__init__(found, classes, mask_palette=mask_palette, cache=cache, cache_bytes=cache_bytes)
        complaint = swallowed_foreground(count_ids(self, limit=PEEK))
        if complaint:
            warnings.warn(f"{root}: {complaint}", stacklevel=2)

    def _pairs(self, root, split, images, labels):
        """(the Pairs of the split, all Pairs of the folder); notes say what was taken and left out."""
        tree, endings = Tree(root), None
        if (images is None) != (labels is None):
            given, other = ("--images", "--labels") if labels is None else ("--labels", "--images")
            raise checks.InputError(f"{given} needs {other} beside it: the two patterns together make the pairs")
        if images is None:
            images, labels = layouts.find(tree)
            self.notes.append(f"taken: --images '{images}' --labels '{labels}'")
            endings = extensions() if labels.endswith(".*") else None
        self.images, self.labels = images, labels
        patterns = Pattern(images, "--images", (split,)), Pattern(labels, "--labels", (split,))
        everything = pairs.find(tree, *patterns, endings)
        chosen, told = division.choose(tree, split, everything, patterns[0].split or patterns[1].split)
        if told:
            self.notes.append(told)
        labelled = [pair for pair in chosen if pair.labels]
        alone = [pair.name for pair in chosen if not pair.labels]
        if not labelled:
            raise checks.InputError(f"{root}: none of the {len(chosen)} pictures of {split} has labels")
        if alone:
            some = "1 picture without labels is" if len(alone) == 1 else f"{len(alone)} pictures without labels are"
            self.notes.append(f"{split}: {some} left out: {checks.few(alone)}")
        return labelled, everything


def _class_names(root, num_classes):
    """The names of the classes, or None when only the labels can tell how many there are."""
    path = root / "classes.txt"
    if not path.is_file():
        return num_classes and _numbered(checks.integer(num_classes, "num_classes", 2))
    names = tuple(read_list(path))
    if num_classes not in (None, len(names)):
        raise checks.InputError(f"{path} names {len(names)} classes, but num_classes is {num_classes}")
    return names


def _found_classes(root, paths, mask_palette):
    """Names for the ids from 0 to the largest one in all label files, those of other splits included."""
    maps = (read_labels(path, palette=mask_palette).astype(np.intp, copy=False) for path in paths)
    counts = sum(np.bincount(ids.ravel(), minlength=256) for ids in maps)
    count = int(np.flatnonzero(counts[:IGNORE]).max(initial=0)) + 1
    if count < 2:
        reason = swallowed_foreground(counts) or "save the other classes as 1, 2, ..., or pass num_classes"
        raise checks.InputError(f"the labels in {root} hold no class but 0: {reason}")
    return _numbered(count)


def _numbered(count):
    return ("background", *(f"class {i}" for i in range(1, count)))

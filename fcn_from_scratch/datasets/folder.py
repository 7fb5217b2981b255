"""Your own data: a folder with `images/` and `labels/`. A picture and its labels have the same stem."""

import warnings
from pathlib import Path

import numpy as np

from fcn_from_scratch import checks
from fcn_from_scratch.datasets.audit import count_ids, swallowed_foreground
from fcn_from_scratch.datasets.base import PairDataset, first_folder
from fcn_from_scratch.datasets.images import extensions
from fcn_from_scratch.datasets.labels import IGNORE, read_labels
from fcn_from_scratch.datasets.lists import bare_name, read_list
from fcn_from_scratch.datasets.places import pictures

PEEK = 16  # so many label files are read when the dataset is built, to warn early


class Folder(PairDataset):
    """`root/images/*` and `root/labels/*` with equal stems, as PNG, JPEG, TIFF and the like.

    split        A list of stems, `root/{split}.txt`, is followed where there is one; its lines may also be file names
                 or paths. A folder without any lists is split by its sorted stems: every fifth goes to "val" (the
                 last one where there are fewer than five), the others to "train". A single pair serves as both.
                 "all" is everything
    num_classes  the number of classes, the background included. None takes the number of lines of
                 `root/classes.txt` (one name a line), or without that file the largest id in any label file, plus one
    others       mask_palette, cache, cache_bytes: see PairDataset
    Labels are palette or grey pictures of class ids; 255 means ignore.

    Warns: when the first label files hold 255 and no id from 1 up. They are probably masks saved as 0 and 255.
    Raises: InputError for a missing folder or list, stems without a partner (named), two files with one stem, a
    number of classes that contradicts classes.txt, labels that hold no class but 0; see also PairDataset.
    """

    def __init__(self, root, split="train", num_classes=None, mask_palette=None, cache=False, cache_bytes=256 * 2**20):
        root = first_folder([Path(root)], "images", "folder data is images/* and labels/* with the same stems")
        images, labels = _by_stem(root / "images"), _by_stem(root / "labels")
        stems = _split(root, split, images, labels)
        classes = _class_names(root, num_classes) or _found_classes(root, labels.values(), mask_palette)
        pairs = [(stem, images[stem], labels[stem]) for stem in stems]
        super().__init__(pairs, classes, mask_palette=mask_palette, cache=cache, cache_bytes=cache_bytes)
        complaint = swallowed_foreground(count_ids(self, limit=PEEK))
        if complaint:
            warnings.warn(f"{root / 'labels'}: {complaint}", stacklevel=2)


def _by_stem(folder):
    """The pictures of a folder as a dict, stem -> path. Hidden files and files of other kinds are skipped."""
    if not folder.is_dir():
        raise checks.InputError(
            f"folder data is images/* and labels/* with the same stems: there is no folder {folder}"
        )
    found = pictures(folder)
    if not found:
        raise checks.InputError(f"there are no pictures in {folder}")
    return found


def _stem(line, images):
    """The stem that a line of a list names: a stem, or a file with its ending and its folder."""
    return line if line in images else bare_name(line, extensions())


def _split(root, split, images, labels):
    """The stems of a split. Each of them is checked to have a picture and labels."""
    path = root / f"{split}.txt"
    if path.exists():  # if it is a FIFO or a folder, reading it says so
        stems = [_stem(line, images) for line in read_list(path)]
    else:
        lists = [name for name in ("train.txt", "val.txt", "test.txt") if (root / name).exists()]
        if lists and split != "all":
            raise checks.InputError(f"there is no list {path}, though there is {lists[0]} beside it")
        stems = sorted(images.keys() | labels.keys())
    _partners(root, stems, images, "picture in images/")
    _partners(root, stems, labels, "label file in labels/")
    if path.exists() or split == "all":
        return stems
    val = stems[4::5] or stems[-1:]
    if split == "val":
        return val
    if split == "train":
        return sorted(set(stems) - set(val)) or stems
    raise checks.InputError(f"split must be train, val, all, or the name of a list; there is no {path}")


def _partners(root, stems, found, kind):
    alone = [stem for stem in stems if stem not in found]
    if alone:
        raise checks.InputError(f"{root} has no {kind} for {checks.few(alone)}")


def _class_names(root, num_classes):
    """The names of the classes, or None when only the labels can tell how many there are."""
    path = root / "classes.txt"
    if not path.exists():
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
        raise checks.InputError(f"the labels in {root / 'labels'} hold no class but 0: {reason}")
    return _numbered(count)


def _numbered(count):
    return ("background", *(f"class {i}" for i in range(1, count)))

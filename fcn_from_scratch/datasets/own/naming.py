"""Which classes one's own pictures have: from --classes, a class file beside them, or the labels themselves."""

import re
from collections import Counter

from fcn_from_scratch.checks import InputError, UnreadableError
from fcn_from_scratch.datasets.own.class_files import read_class_file
from fcn_from_scratch.datasets.own.class_list import Classes, checked
from fcn_from_scratch.datasets.own.classes import find_class_file, read_classes
from fcn_from_scratch.datasets.own.label_map import parse
from fcn_from_scratch.datasets.own.settle import COLOUR, needs_counts, settle, tally
from fcn_from_scratch.datasets.own.stored import files_of, read_stored

FACT = "labels"
LONGEST_TOLD = 100  # letters of a name in a message


def given_classes(classes, root, folders, notes):
    """Classes from what was typed, else from a file with a known name, which is said; None where there is neither.

    folders  where such a file may be
    Raises: InputError for a file that is none; see also classes.read_classes.
    """
    if isinstance(classes, Classes):
        return classes
    if classes is not None and not isinstance(classes, (str, bytes)) and not hasattr(classes, "__fspath__"):
        return checked(Classes(tuple(map(str, classes))))
    if classes is not None:
        return read_classes(classes, root)
    path = find_class_file(folders)
    if path is None:
        return None
    found = read_class_file(path)
    notes.append(f"classes: {len(found.names)} from {path}")
    return found


def decide(found, classes, label_map, num_classes, names, kept, root):
    """The Decoder of a set.

    found    pairs.Found: all splits
    classes  Classes, or None
    names    names from elsewhere, such as a checkpoint's, which count where nothing else names the classes
    """
    label_map = None if label_map is None else parse(label_map)
    labelled = [pair for pair in found.pairs if pair.labels]
    if classes is None and names and num_classes in (None, len(names)):
        classes = Classes(tuple(names), source="the training set")
    if classes is None:
        classes = _of_indexes(labelled, found.indexes)
    by_name = any(pair.entry is None and pair.labels.suffix.lower() == ".json" for pair in labelled)
    counts = None
    if needs_counts(classes, label_map, num_classes, by_name):
        counts = _counts(labelled, found.indexes, kept)
    return settle(classes, label_map, num_classes, counts, f"the labels in {root}")


def doubts(classes, label_map, pairs):
    """A sentence in a list where the classes have several numberings, and the files' names do not tell which one."""
    if classes is None or label_map is not None or not classes.by_ending:
        return []
    path = next((pair.labels for pair in pairs if classes.ending_of(pair.labels) is None), None)
    if path is None:
        return []
    endings = " or ".join(ending for ending, *_ in classes.by_ending)
    return [
        f"note: numbers such as those in {path} are read as 0..{len(classes.names) - 1} in the order of "
        f"{classes.source}, since the name does not end in {endings}; --label-map says it otherwise"
    ]


def _of_indexes(pairs, indexes):
    """The classes that files of many pictures name, those of the training split first; None where they name none."""
    order = {split: place for place, split in enumerate(("train", None, "val", "test"))}
    ordered = sorted(pairs, key=lambda pair: order.get(pair.split, len(order)))
    paths = dict.fromkeys(pair.labels for pair in ordered if pair.entry)
    names = dict.fromkeys(name for path in paths for name in indexes[path].names)
    return checked(Classes(tuple(names), source=str(next(iter(paths))))) if names else None


def _counts(pairs, indexes, kept):
    """How many pixels of each value or name all label files hold. Files that cannot be read are left out."""
    total, trouble, colours = Counter(), None, {}
    for pair in pairs:
        path = files_of(pair, indexes)[0]  # with several, a list names the classes
        try:
            count = kept.fact(FACT, path, lambda path, pair=pair: tally(read_stored(pair, indexes), path), _is_tally)
        except UnreadableError as error:
            trouble = trouble or error
            continue
        _require_one_palette(count, path, colours)
        total.update({key: number for key, number in count.items() if not key.startswith(COLOUR)})
    if not total and trouble is not None:
        raise trouble
    return total


def _require_one_palette(count, path, colours):
    """Programs that save a palette file anew may order its colours anew. Then equal numbers are different classes.

    colours  number -> (colour, path) of the files before; that of this file is added
    Raises: InputError for a number that has different colours in two files.
    """
    for key, colour in count.items():
        if not key.startswith(COLOUR):
            continue
        before, other = colours.setdefault(key, (colour, path))
        if before != colour:
            number = key.removeprefix(COLOUR)
            raise InputError(
                f"the number {number} has one colour in {other} and another in {path.name}, so the numbers may not be "
                "classes: type --classes FILE with lines name:r,g,b, or --num-classes K if the numbers are right"
            )


def _is_tally(value):
    """Whether a kept value is one that `tally` returns."""
    if not isinstance(value, dict) or not value:
        return False
    fine = all(re.fullmatch(rf"name:.*|({COLOUR})?-?\d{{1,10}}", key, re.ASCII | re.DOTALL) for key in value)
    return fine and all(type(count) is int and count > 0 for count in value.values())


def require_same(first, second, what):
    """Raises: InputError where the classes of two sets have other names. Numbered names fit as many others."""
    if len(first) != len(second):
        raise InputError(f"{what}: {len(first)} classes and {len(second)} classes")
    if list(first) == list(second) or _numbered(first) or _numbered(second):
        return
    here, there = next((a, b) for a, b in zip(first, second) if a != b)
    place = list(first).index(here)
    raise InputError(f"{what}: class {place} is {here[:LONGEST_TOLD]} and {there[:LONGEST_TOLD]}")


def _numbered(names):
    """Whether nobody named the classes: see label_map.numbered."""
    return all(name == f"class {place}" for place, name in enumerate(names) if place)

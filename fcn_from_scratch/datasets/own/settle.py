"""Which classes a data set has, from what the user said and, where that is nothing, from the labels themselves."""

from collections import Counter

import numpy as np

from fcn_from_scratch import checks
from fcn_from_scratch.checks import InputError, few
from fcn_from_scratch.datasets.labels import IGNORE
from fcn_from_scratch.datasets.own.class_list import MOST_CLASSES, Classes, checked, is_background
from fcn_from_scratch.datasets.own.decode import Decoder, refuse_lossy, unnamed_colour
from fcn_from_scratch.datasets.own.label_map import numbered
from fcn_from_scratch.datasets.own.raw import IGNORED, UNMARKED, distinct
from fcn_from_scratch.datasets.own.suggest import share, to_type

MOST_COUNTED = 300  # different values of one file that are counted apart
MOST_GUESSED = 64  # an id up to here may be that of a class, beside classes that do not occur
_NAME = "name:"
COLOUR = "colour:"  # the colour of a number in the file's palette, as 1 + a number of 24 bits


def needs_counts(classes, label_map, num_classes, by_name=False):
    """Whether the labels of the whole set must be counted before its classes are known.

    by_name  whether the labels are outlines with names, as labelme's are
    """
    return classes is None and (by_name or (label_map is None and num_classes is None))


def tally(raw, path):
    """Count what one label file holds. Returns: a dict of texts and numbers of pixels, to be added up and kept.

    Where the file has a palette, there is also the colour of each number, under COLOUR and the number.
    Raises: InputError naming the file for colours, which somebody must name, and for JPEG labels.
    """
    refuse_lossy(raw, path)
    values = raw.values
    if raw.colours is not None:
        if (raw.colours != raw.colours[:, :, :1]).any():
            raise unnamed_colour(raw.colours, path)
        values = raw.colours[:, :, 0]
    found, counts, _ = distinct(values)
    if raw.names is None:
        found, counts = np.r_[found[:MOST_COUNTED], found[-1:]], np.r_[counts[:MOST_COUNTED], counts[-1:]]
        return {str(value): int(count) for value, count in zip(found, counts)} | _colours(raw, found)
    names = {UNMARKED: _NAME, IGNORED: str(IGNORE)}
    return {names.get(int(place)) or _NAME + raw.names[place]: int(count) for place, count in zip(found, counts)}


def _colours(raw, found):
    """COLOUR and number -> colour, of the numbers that occur. Shades of grey and one colour for all tell nothing."""
    used, table = found[found < IGNORE], raw.palette
    if table is None or (table[used] == used[:, None]).all() or (table == table[0]).all():
        return {}
    codes = 1 + table[used].astype(np.int64) @ (65536, 256, 1)
    return {f"{COLOUR}{number}": int(code) for number, code in zip(used, codes)}


def settle(classes=None, label_map=None, num_classes=None, counts=None, where="the label files"):
    """Decide on the classes of a data set.

    classes      Classes, or None
    label_map    LabelMap, or None
    num_classes  the number that the user gave, or None
    counts       the sum of `tally` over all label files; it is needed where `needs_counts` says so
    where        what to call the label files in a message
    Returns: Decoder.
    Raises: InputError for a number of classes that contradicts the others, and for values that are not 0..K-1 while
    nobody says what they stand for; the message prints the map to type.
    """
    if num_classes is not None:
        num_classes = checks.integer(num_classes, "num_classes", 1)
    if classes is None and counts and any(key.startswith(_NAME) for key in counts):
        classes = _classes_by_name(counts, where)
    names = None if classes is None else classes.names
    mapping = None
    if label_map is not None:
        names, mapping = label_map.resolve(names, num_classes)
    elif names is None:
        names = numbered(_count(counts, where) if num_classes is None else num_classes)
    if len(names) > MOST_CLASSES:
        raise InputError(f"there are {len(names)} classes; ids are 0..{MOST_CLASSES - 1}, since {IGNORE} means ignore")
    if num_classes not in (None, len(names)):
        source = classes.source if classes is not None else "--label-map"
        raise InputError(f"{source} names {len(names)} classes, but num_classes is {num_classes}")
    text, ranges = (label_map.text, label_map.only_ranges) if label_map is not None else ("", False)
    return Decoder(tuple(names), classes, mapping, text, ranges)


def _classes_by_name(counts, where):
    names = sorted(key.removeprefix(_NAME) for key in counts if key.startswith(_NAME) and key != _NAME)
    background = [name for name in names if is_background(name)] or (["background"] if _NAME in counts else [])
    return checked(Classes((*background, *(name for name in names if not is_background(name))), source=where))


def _count(counts, where):
    """The number of classes of labels that hold 0..K-1, and perhaps 255 or -1."""
    if not counts:
        raise ValueError("the labels were not counted")
    counts = Counter({int(key): count for key, count in counts.items()})
    ids = sorted(value for value in counts if value not in (IGNORE, -1))
    if 1 < len(ids) < IGNORE and ids == list(range(len(ids))):
        return len(ids)
    total = sum(counts.values())
    shown = few([f"{value} ({share(counts[value], total)})" for value in sorted(counts)], 10)
    one = "which is one class alone" if len(counts) == 1 else "not the ids 0..K-1 without a gap"
    some_absent = len(ids) > 1 and ids[0] == 0 and ids[-1] <= MOST_GUESSED
    hint = ", or --num-classes K where some classes just do not occur" if some_absent else ""
    if len(counts) == 1:
        raise InputError(f"{where} hold the value {shown} and no other, {one}: check them, or type --num-classes K")
    raise InputError(
        f"{where} hold the values {shown}, {one}: say what they stand for, as in {to_type(sorted(counts))}{hint}"
    )

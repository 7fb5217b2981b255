"""--label-map: which class each value of a label file stands for."""

import re
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from fcn_from_scratch.checks import InputError
from fcn_from_scratch.datasets.labels import IGNORE
from fcn_from_scratch.datasets.lists import nfc

FORM = "--label-map takes VALUE:CLASS,... with a value, a range a-b or rest, and a class's id, its name or ignore"
WORD = "ignore"
MOST_ENTRIES = 10_000
_RANGE = re.compile(r"\s*(-?\d{1,10})\s*(?:-\s*(-?\d{1,10})\s*)?", re.ASCII)


class Entry(NamedTuple):
    """Values low..high stand for `target`: an id, a class's name, or 255 (ignore)."""

    low: int
    high: int
    target: int | str


class LabelMap(NamedTuple):
    """What `parse` made of the user's text.

    entries  tuple of Entry, none of which overlap
    rest     the target of every other value; None refuses them
    text     the text as typed
    """

    entries: tuple
    rest: int | str | None
    text: str

    @property
    def only_ranges(self):
        """Whether each value is told by a range. Values that a lossy compression altered can be told by no other."""
        return bool(self.entries) and all(entry.low < entry.high for entry in self.entries)

    def resolve(self, names=None, num_classes=None):
        """Give each target its id.

        names        the classes' names, or None where nobody has named them
        num_classes  the number of classes that the user asked for, or None
        Returns: (names, Resolved). Names that are not in `names` become classes in front of them; where there are
        neither names nor num_classes, the map's own targets are the classes.
        Raises: InputError for an id that no class has, ids with a gap, ids beside new names, which would shift them.
        """
        targets = [entry.target for entry in self.entries] + ([] if self.rest is None else [self.rest])
        names = _all_names(targets, names, num_classes)
        ids = {target: _id(target, names) for target in targets}
        entries = tuple(entry._replace(target=ids[entry.target]) for entry in self.entries)
        return names, Resolved(entries, None if self.rest is None else ids[self.rest])


class Resolved(NamedTuple):
    """A label map whose targets are ids."""

    entries: tuple
    rest: int | None

    def __call__(self, values):
        """The id of each of an int64 array of values, -1 where the map names none. `rest` is left to the caller."""
        ids = np.full(values.shape, -1, np.int64)
        for low, high, target in self.entries:
            ids[(values >= low) & (values <= high)] = target
        return ids


def parse(text):
    """Read a label map, "7:0,8:1,rest:ignore".

    Returns: LabelMap.
    Raises: InputError naming the part that is wrong, or two parts that name the same value.
    """
    parts = [part for part in str(text).split(",") if part.strip()]
    if not parts or len(parts) > MOST_ENTRIES:
        raise InputError(f"{FORM}; got {str(text)[:60]!r}")
    entries, rest = [], None
    for part in parts:
        span, target = _part(part)
        if span is None and rest is not None:
            raise InputError(f"--label-map says twice what the rest is: {text}")
        if span is None:
            rest = target
        else:
            entries.append(Entry(*span, target))
    _no_overlap(entries)
    return LabelMap(tuple(entries), rest, str(text))


def _part(part):
    """((low, high) or None for the rest, target) of one part of a map."""
    value, colon, target = part.partition(":")
    target = nfc(target.strip())
    found = _RANGE.fullmatch(value)
    rest = value.strip().casefold() == "rest"
    if not colon or not target or not (found or rest):
        raise InputError(f"{FORM}; got {part.strip()[:60]!r}")
    target = _target(target, part)
    if rest:
        return None, target
    low = int(found[1])
    high = low if found[2] is None else int(found[2])
    if high < low:
        raise InputError(f"the range {low}-{high} of --label-map is empty; write {high}-{low}")
    return (low, high), target


def _target(word, part):
    if word.casefold() == WORD:
        return IGNORE
    if not re.fullmatch(r"-?\d+", word, re.ASCII):
        return word
    if len(word) > 4 or not 0 <= int(word) < IGNORE:
        raise InputError(
            f"{part.strip()[:60]!r} of --label-map: a class's id is 0..{IGNORE - 1}; write ignore for pixels that do "
            "not count"
        )
    return int(word)


def _no_overlap(entries):
    ordered = sorted(entries, key=lambda entry: entry.low)
    for first, second in pairwise(ordered):
        if second.low <= first.high:
            raise InputError(f"--label-map says twice what the value {second.low} is")


def _all_names(targets, names, num_classes):
    """The names of all classes: new ones in front of those there are."""
    words = list(dict.fromkeys(target for target in targets if isinstance(target, str)))
    ids = sorted({target for target in targets if not isinstance(target, str) and target != IGNORE})
    if names is None and num_classes is None:
        return _own_names(words, ids)
    known = tuple(numbered(num_classes) if names is None else names)
    new = [word for word in words if find(word, known) is None]
    if new and ids:
        raise InputError(
            f"--label-map makes the class {new[0]} in front of the others, which shifts the id {ids[0]}: write names "
            "instead of ids"
        )
    if ids and ids[-1] >= len(known):
        raise InputError(f"--label-map names the id {ids[-1]}, but there are {len(known)} classes: 0..{len(known) - 1}")
    return (*new, *known)


def _own_names(words, ids):
    """The classes of a map alone: the names it uses, or the ids 0..K-1."""
    if words and ids:
        raise InputError(f"--label-map has the name {words[0]} and the id {ids[0]}: write all ids or all names")
    if ids != list(range(len(ids))):
        gap = next(i for i in range(IGNORE) if i not in ids)
        raise InputError(f"--label-map has no value for the class {gap}, though for {ids[-1]}: ids are 0..K-1")
    if not words and not ids:
        raise InputError("--label-map ignores all that it names: say what the classes are, here or in --classes")
    return tuple(words) or numbered(len(ids))


def _id(target, names):
    return find(target, names) if isinstance(target, str) else target


def find(word, names):
    """The place of a name: as it is written, or else without regard to case where one such name exists; or None."""
    if word in names:
        return names.index(word)
    same = [place for place, name in enumerate(names) if name.casefold() == word.casefold()]
    return same[0] if len(same) == 1 else None


def numbered(count):
    """Names for classes that nobody named: background, class 1, class 2, ..."""
    return ("background", *(f"class {i}" for i in range(1, count)))

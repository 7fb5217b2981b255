"""Pairs of a picture and its labels: files of two patterns whose words have equal values."""

import difflib
from pathlib import Path
from typing import NamedTuple

from fcn_from_scratch.checks import InputError, few
from fcn_from_scratch.datasets.images import extensions
from fcn_from_scratch.datasets.own import told
from fcn_from_scratch.datasets.places import folded

LABELS = {".npy", ".json"}  # endings of label files besides those of pictures
INDEX = (".json", ".csv")  # of one file with the labels of many pictures
COMPARED = 400  # names at most that are compared to find the nearest one


class Pair(NamedTuple):
    """A picture and its labels.

    name    the values of the words joined with "/", {name} last
    place   the picture's path below the root
    labels  the file of its labels; None for a picture without any
    split   the canonical name of its split, or None where no pattern holds {split}
    """

    name: str
    picture: Path
    place: str
    labels: Path | None
    split: str | None


def find(tree, images, labels, endings=None):
    """All Pairs of two Patterns, sorted by their names. Those without labels are among them.

    endings  those of label files where the pattern leaves them open
    Raises: InputError for patterns with other words, a pattern that matches nothing, two files for one key, labels
    without a picture, and where nothing pairs.
    """
    index = is_index(images, labels)
    _same_words(images, labels, index)
    label_files = _readable(tree.find(labels), labels, endings or extensions() | LABELS)
    taken = {file.path for file in label_files}
    pictures = [file for file in _readable(tree.find(images), images, extensions()) if file.path not in taken]
    for files, pattern in ((pictures, images), (label_files, labels)):
        if not files:
            raise InputError(told.nothing_matches(tree, pattern))
    by_key = _Keys(images, labels)
    left, right = by_key.of(pictures, images), by_key.of(label_files, labels)
    partners = _by_index(left, right, by_key) if index else _partners(left, right)
    pairs = [_pair(file, partners.get(key), right) for key, file in left.items()]
    if not index:
        _no_orphans(left, right, set(partners.values()), (images, labels))
    return sorted(pairs, key=lambda pair: (pair.name, pair.split or ""))


def any_pair(tree, images, labels):
    """Whether two Patterns have a pair at all."""
    words = []
    for pattern in (images, labels):
        files = [file for file in tree.find(pattern) if not pattern.any_ending or _ending(file) in extensions()]
        words.append({(file.split if images.split and labels.split else None, *file.words) for file in files})
    return bool(words[0] and words[1] if is_index(images, labels) else words[0] & words[1])


def is_index(images, labels):
    """Whether --labels names one file for many pictures: COCO's .json, or a .csv. Its pattern lacks words then."""
    return labels.ending in INDEX and not set(labels.words) >= set(images.words)


def _same_words(images, labels, index):
    if not images.words:
        raise InputError(
            f"--images {images} holds no word, so its files have no names: write {{}} where the names differ, "
            "such as images/{}.png"
        )
    if index and set(labels.words) <= set(images.words):
        return
    if set(images.words) != set(labels.words):
        first, second = (_in_words(pattern.words) for pattern in (images, labels))
        raise InputError(
            f"the words of the two patterns differ: --images {images} has {first}, --labels {labels} has {second}; "
            "write the same words in both, and * for what need not be equal"
        )


def _in_words(words):
    return " ".join(f"{{{word}}}" for word in words) or "none"


def _readable(files, pattern, endings):
    """The files that can be read, where the pattern leaves the extension open."""
    if not pattern.any_ending:
        return files
    return [file for file in files if _ending(file) in endings]


def _ending(file):
    return file.path.suffix.lower()


class _Keys:
    """The key of a file: its split, where both patterns have one, and the values of its words in one order."""

    def __init__(self, images, labels):
        self.split = images.split and labels.split
        self.words = images.words
        self.common = [number for number, word in enumerate(images.words) if word in labels.words]

    def of(self, files, pattern):
        """The files as a dict, key -> File. Raises: InputError for two files with one key."""
        order = [pattern.words.index(word) for word in self.words if word in pattern.words]
        found = {}
        for file in files:
            key = (file.split if self.split else None, *(file.words[number] for number in order))
            if key in found:
                raise InputError(
                    f"{found[key].place} and {file.place} are two files for one name: both match {pattern.option} "
                    f"{pattern} as {'/'.join(key[1:])}; keep one of them"
                )
            found[key] = file
        return found


def _partners(left, right):
    """For each key of a picture the key of its labels: the same one, or the only one that differs just in case."""
    partners = {key: key for key in left if key in right}
    loose = {}
    for key in right.keys() - partners.keys():
        loose.setdefault(_folded(key), []).append(key)
    alone = {}
    for key in left.keys() - partners.keys():
        alone.setdefault(_folded(key), []).append(key)
    for key, keys in alone.items():
        if len(keys) == len(loose.get(key, ())) == 1:
            partners[keys[0]] = loose[key][0]
    return partners


def _folded(key):
    return tuple(part and folded(part) for part in key)


def _by_index(left, right, keys):
    """For each key of a picture the key of the file that holds its labels."""
    return {key: short for key in left if (short := (key[0], *(key[1 + n] for n in keys.common))) in right}


def _pair(file, key, right):
    labels = right[key] if key is not None else None
    split = file.split or (labels and labels.split)
    return Pair("/".join(file.words), file.path, file.place, labels and labels.path, split)


def _no_orphans(left, right, used, patterns):
    """Raises: InputError for labels without a picture."""
    orphans = sorted("/".join(key[1:]) for key in right if key not in used)
    if not orphans:
        return
    names = ["/".join(key[1:]) for key in left]
    images, labels = patterns
    nearest = _nearest(orphans, names)
    if len(orphans) == len(right):
        raise InputError(
            f"nothing pairs: --images {images} matches {len(left)} files and --labels {labels} {len(right)}, but no "
            f"two have equal words; the nearest are {nearest[1]} and {nearest[0]}"
        )
    raise InputError(
        f"labels without a picture: --labels {labels} matches {few(orphans)}, but --images {images} does not; "
        f"the picture nearest to {nearest[0]} is {nearest[1]}"
    )


def _nearest(orphans, names):
    """(name of labels, name of a picture) that are most alike."""
    best = (-1.0, orphans[0], names[0])
    for orphan in orphans[:3]:
        for name in names[:COMPARED]:
            ratio = difflib.SequenceMatcher(None, orphan, name).ratio()
            best = max(best, (ratio, orphan, name))
    return best[1:]

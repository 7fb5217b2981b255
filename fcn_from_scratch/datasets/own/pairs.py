"""Pairs of a picture and its labels: files of two patterns whose words have equal values."""

from pathlib import Path
from typing import NamedTuple

from fcn_from_scratch.checks import InputError
from fcn_from_scratch.datasets.images import extensions
from fcn_from_scratch.datasets.own import index_files, told
from fcn_from_scratch.datasets.own.label_files import endings
from fcn_from_scratch.datasets.places import folded


class Pair(NamedTuple):
    """A picture and its labels.

    name    the values of the words joined with "/", {name} last
    place   the picture's path below the root
    labels  the file of its labels; None for a picture without any
    split   the canonical name of its split, or None where no pattern holds {split}
    entry   its name in the file `labels`, where that has the labels of many pictures
    """

    name: str
    picture: Path
    place: str
    labels: Path | None
    split: str | None
    entry: str | None = None


class Found(NamedTuple):
    """What two patterns find.

    pairs    all Pairs, sorted by name; those without labels are among them
    orphans  (name, split) of labels without a picture
    indexes  path -> index_files.Index, of files with the labels of many pictures
    """

    pairs: list
    orphans: list
    indexes: dict

    def refuse_orphans(self, images, labels, split=None):
        """Raises: InputError for labels without a picture, of one split where it is given."""
        alone = [name for name, theirs in self.orphans if split in (None, theirs)]
        if alone:
            raise InputError(told.orphans(images, labels, alone, [pair.name for pair in self.pairs if not pair.labels]))


def find(tree, images, labels, label_endings=None):
    """What two Patterns find below a root.

    label_endings  of label files where the pattern leaves the extension open; None for all that can be read
    Raises: InputError for patterns with other words, a pattern that matches nothing, two files for one key, and where
    nothing pairs.
    """
    index = is_index(images, labels)
    _same_words(images, labels, index)
    label_files = _readable(tree.find(labels), labels, label_endings or endings())
    taken = {file.path for file in label_files}
    pictures = [file for file in _readable(tree.find(images), images, extensions()) if file.path not in taken]
    for files, pattern in ((pictures, images), (label_files, labels)):
        if not files:
            raise InputError(told.nothing_matches(tree, pattern))
    keys = _Keys(images, labels, index)
    left, right = keys.of(pictures, images), keys.of(label_files, labels)
    found = _in_indexes(tree, left, right, keys) if index else _in_files(left, right)
    found.pairs.sort(key=lambda pair: (pair.name, pair.split or ""))
    if not any(pair.labels for pair in found.pairs):
        names = [name for name, _ in found.orphans]
        raise InputError(told.nothing_pairs(images, labels, [pair.name for pair in found.pairs], names))
    return found


def any_pair(tree, images, labels):
    """Whether two Patterns have a pair at all. Files with the labels of many pictures are not opened."""
    both, known = images.split and labels.split, extensions()

    def keys(pattern):
        for file in tree.iterate(pattern):
            if not pattern.any_ending or file.path.suffix.lower() in known:
                yield (file.split if both else None, *file.words)

    theirs = set(keys(labels))
    return bool(theirs) and any(is_index(images, labels) or key in theirs for key in keys(images))


def is_index(images, labels):
    """Whether --labels names one file for many pictures. Its pattern lacks words of the other one then."""
    return labels.ending in index_files.ENDINGS and not set(labels.words) >= set(images.words)


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


def _readable(files, pattern, known):
    """The files that can be read, where the pattern leaves the extension open."""
    return [file for file in files if file.path.suffix.lower() in known] if pattern.any_ending else files


class _Keys:
    """The key of a file: its split, where both patterns have one, and the values of its words in one order.

    A file with the labels of many pictures tells pictures of two splits apart even where its own name does not.
    """

    def __init__(self, images, labels, index):
        self.split, self.labels_split = images.split and (labels.split or index), labels.split
        self.words = images.words
        self.common = [number for number, word in enumerate(images.words, start=1) if word in labels.words]

    def of(self, files, pattern):
        """The files as a dict, key -> File. Raises: InputError for two files with one key."""
        order = [pattern.words.index(word) for word in self.words if word in pattern.words]
        found = {}
        for file in files:
            key = (file.split if self.split else None, *(file.words[number] for number in order))
            if key in found:
                remedy = "keep one of them"
                if pattern.option == "--labels":
                    remedy += ", or list them in a .csv if each is the mask of another class: see docs/own_data.md"
                raise InputError(
                    f"{found[key].place} and {file.place} are two files for one name: both match {pattern.option} "
                    f"{pattern} as {_name(key) or 'the only file'}; {remedy}"
                )
            found[key] = file
        return found

    def shortened(self, key):
        """The key of the file that holds the labels of many pictures."""
        return (key[0] if self.labels_split else None, *(key[number] for number in self.common))


def _name(key):
    return "/".join(key[1:])


def _in_files(left, right):
    """Found, where each picture has a label file of its own."""
    partners = _partners(left, right)
    pairs = []
    for key, file in left.items():
        labels = right[partners[key]] if key in partners else None
        split = file.split or (labels and labels.split)
        pairs.append(Pair("/".join(file.words), file.path, file.place, labels and labels.path, split))
    used = set(partners.values())
    return Found(pairs, sorted((_name(key), file.split) for key, file in right.items() if key not in used), {})


def _partners(left, right):
    """For each key of a picture the key of its labels: the same one, or the only one that differs just in case."""
    partners = {key: key for key in left if key in right}
    rest = [{}, {}]
    for keys, by_folded in zip((left, right), rest):
        for key in keys:
            if key not in partners:
                by_folded.setdefault(tuple(part and folded(part) for part in key), []).append(key)
    for key, own in rest[0].items():
        theirs = rest[1].get(key, ())
        if len(own) == len(theirs) == 1:
            partners[own[0]] = theirs[0]
    return partners


def _in_indexes(tree, left, right, keys):
    """Found, where one file holds the labels of many pictures."""
    indexes = {file.path: index_files.Index(file.path, tree.root) for file in right.values()}
    used, pairs = {}, []
    for key, file in left.items():
        holder = right.get(keys.shortened(key))
        entry = holder and indexes[holder.path].name_of(file.place)
        split = file.split or (holder and holder.split)
        pairs.append(Pair("/".join(file.words), file.path, file.place, holder.path if entry else None, split, entry))
        if entry:
            other = used.setdefault((holder.path, entry), file)
            if other is not file:
                raise InputError(f"{other.place} and {file.place} both are {entry} of {holder.place}; keep one of them")
    alone = [
        (name, file.split) for file in right.values() for name in indexes[file.path] if (file.path, name) not in used
    ]
    return Found(pairs, alone, indexes)

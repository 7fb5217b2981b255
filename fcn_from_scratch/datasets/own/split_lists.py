"""The lists of a split: train.txt and the like, as tools and people of any system write them.

A line names a picture: by its name, by its file, by a path to it, or by the first of several words. A folder in front
and a known extension are dropped.
"""

import re
from contextlib import suppress
from pathlib import PurePosixPath

from fcn_from_scratch import checks
from fcn_from_scratch.datasets.images import extensions
from fcn_from_scratch.datasets.lists import ENCODINGS, MOST_LIST, nfc, read_list
from fcn_from_scratch.datasets.own.splits import aliases
from fcn_from_scratch.datasets.places import folded
from fcn_from_scratch.files import read_bytes

PLACES = ((), ("ImageSets", "Segmentation"), ("annotations",))
ENDINGS = {".npy", ".json", ".mat"}
# Encodings of lists that are not in UTF-8. The first one in which every line names a picture is the right one.
OLD = ("utf-16-le", "utf-16-be", "cp1252", "cp850", "mac_roman", "cp1250", "cp1251", "cp932", "gbk", "big5", "cp949")


def find_list(tree, split):
    """The list of a split, or None. Raises: InputError for two lists of one split in one folder."""
    for place in PLACES:
        names = [f"{name}.txt" for name in aliases(split)]
        found = [path for name in names if (path := tree.inside(tree.root, *place, name)) and path.exists()]
        if len(found) > 1 and folded(found[0].name) != folded(names[0]):
            raise checks.InputError(f"{found[0]} and {found[1].name} are two lists of one split: keep one of them")
        if found:
            return found[0]
    return None


class Names:
    """Finds the picture that a line of a list names, among Pairs."""

    def __init__(self, pairs):
        self._exact, self._folded = [{}, {}, {}], [{}, {}, {}]
        for number, pair in enumerate(pairs):
            bare = PurePosixPath(pair.place).with_suffix("")
            # A name is taken before a file, and a whole path before its end.
            for layer, texts in enumerate(
                ({pair.name}, {pair.place, str(bare)}, {pair.name.split("/")[-1], bare.name})
            ):
                for text in texts:
                    self._exact[layer].setdefault(text, []).append(number)
                    self._folded[layer].setdefault(folded(text), []).append(number)

    def find(self, line):
        """The numbers of the pictures that a line may mean: none, one, or several."""
        line = line.replace("\\", "/")
        for text in dict.fromkeys((line, line.split()[0])):
            for reading in _readings(text):
                for layers, key in ((self._exact, reading), (self._folded, folded(reading))):
                    if found := next((layer[key] for layer in layers if key in layer), None):
                        return found
        return []


def _readings(text):
    """A text as it is, without its extension, and without its folders, one by one."""
    parts = [part for part in text.split("/") if part not in ("", ".")]
    known = extensions() | ENDINGS
    for start in range(len(parts)):
        rest = "/".join(parts[start:])
        yield rest
        if PurePosixPath(rest).suffix.lower() in known:
            yield str(PurePosixPath(rest).with_suffix(""))


def listed(path, pairs):
    """The pairs that a list names, in its order.

    Raises: InputError that names a line which is no picture, or which may mean several.
    """
    names, first = Names(pairs), None
    for lines in _readings_of(path):
        found = [(line, names.find(line)) for line in lines]
        missing = [line for line, numbers in found if not numbers and not line.startswith("#")]
        if not missing:
            return [pairs[_only(line, numbers, path, pairs)] for line, numbers in found if numbers]
        first = first or missing
    raise checks.InputError(f"{path} names no picture that is there: {checks.few(first)}")


def _readings_of(path):
    """The lines of a list, in each encoding that it may be in. Text that is no Unicode may be in any old code page."""
    try:
        yield read_list(path)
        return
    except checks.InputError as error:
        refused = error
    data = read_bytes(path, MOST_LIST) if path.is_file() else b""
    if any(data.startswith(mark) for mark in ENCODINGS) or not data.strip():
        raise refused
    for encoding in OLD:
        with suppress(UnicodeDecodeError):
            text = nfc(data.decode(encoding))
            if "\0" not in text:
                yield [line for line in map(str.strip, re.split(r"[\r\n]+", text)) if line]


def _only(line, numbers, path, pairs):
    """The one picture that a line means. Raises: InputError where it may mean several."""
    if len(numbers) > 1:
        two = " and ".join(pairs[number].place for number in numbers[:2])
        raise checks.InputError(f"{path}: {line} may be {two}; write the folder in front")
    return numbers[0]

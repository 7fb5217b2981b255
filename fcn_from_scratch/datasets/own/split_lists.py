"""The lists of a split: train.txt and the like, as tools and people of any system write them.

A line names a picture: by its name, by its file, by a path to it, or by the first of several words. A folder in front
and a known extension are dropped.
"""

from pathlib import PurePosixPath

from fcn_from_scratch import checks
from fcn_from_scratch.datasets.images import extensions
from fcn_from_scratch.datasets.lists import read_list
from fcn_from_scratch.datasets.own.splits import aliases
from fcn_from_scratch.datasets.places import folded

PLACES = ((), ("ImageSets", "Segmentation"), ("annotations",))
ENDINGS = {".npy", ".json", ".mat"}


def find_list(tree, split):
    """The list of a split, or None. Raises: InputError for two lists of one split in one folder."""
    for place in PLACES:
        names = [f"{name}.txt" for name in aliases(split)]
        found = [path for name in names if (path := tree.inside(tree.root, *place, name)) and path.is_file()]
        if len(found) > 1 and folded(found[0].name) != folded(names[0]):
            raise checks.InputError(f"{found[0]} and {found[1].name} are two lists of one split: keep one of them")
        if found:
            return found[0]
    return None


class Names:
    """Finds the picture that a line of a list names, among Pairs."""

    def __init__(self, pairs):
        self._found = {}
        for number, pair in enumerate(pairs):
            stem = PurePosixPath(pair.place).with_suffix("")
            for text in {pair.name, pair.name.rpartition("/")[2], pair.place, str(stem), stem.name}:
                self._found.setdefault(folded(text), []).append(number)
                if text != folded(text):
                    self._found.setdefault(text, []).append(number)

    def find(self, line):
        """The numbers of the pictures that a line may mean; the best reading first."""
        line = line.replace("\\", "/")
        for text in dict.fromkeys((line, line.split()[0])):
            for reading in _readings(text):
                found = self._found.get(reading) or self._found.get(folded(reading))
                if found:
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
    names, numbers, missing = Names(pairs), [], []
    for line in read_list(path):
        found = names.find(line)
        if len(found) > 1:
            two = " and ".join(pairs[number].place for number in found[:2])
            raise checks.InputError(f"{path}: {line} may be {two}; write the folder in front")
        if not found and not line.startswith("#"):
            missing.append(line)
        numbers += found
    if missing:
        raise checks.InputError(f"{path} names no picture that is there: {checks.few(missing)}")
    return [pairs[number] for number in numbers]

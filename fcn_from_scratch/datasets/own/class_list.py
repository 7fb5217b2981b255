"""The classes of a data set: their names, the values or colours they have in label files, and how they are shown."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from fcn_from_scratch.checks import InputError, printable

MOST_CLASSES = 255  # 255 means ignore
IGNORE_NAME = "__ignore__"  # labelme's name for pixels that do not count


class Classes(NamedTuple):
    """The classes, in the order of their ids 0..K-1.

    names    tuple of str
    values   tuple of int, each class's value in the label files; None where nobody says, and ids are values
    colours  uint8 (K, 3); None where nobody says
    source   what named them, for messages: a file, or the user's words
    ignored  further values that mean "ignore"
    more_colours  further colours as ((red, green, blue), id); the id may be 255
    by_ending     ((end of a file's stem, values, ignored), ...): values that only such files have
    """

    names: tuple
    values: tuple | None = None
    colours: np.ndarray | None = None
    source: str = "--classes"
    ignored: tuple = ()
    more_colours: tuple = ()
    by_ending: tuple = ()

    def ending_of(self, path):
        """(ending, values, ignored) of the numbering that a label file's name tells; None where it tells none."""
        stem = Path(path).stem.casefold()
        return next((each for each in self.by_ending if stem.endswith(each[0])), None)

    def values_in(self, path):
        """(values or None, ignored) that hold in a label file."""
        return (self.ending_of(path) or (None, self.values, self.ignored))[1:]


def checked(classes):
    """The same classes. Raises: InputError for none, too many, a name twice, a value or a colour twice."""
    names, source = classes.names, classes.source
    if not 0 < len(names) <= MOST_CLASSES:
        raise InputError(f"{source} names {len(names)} classes; there can be 1 to {MOST_CLASSES}")
    for what, each in (("name", names), ("value", (*(classes.values or ()), *classes.ignored))):
        if twice := _twice(each):
            raise InputError(f"{source} has the {what} {printable(str(twice[0]))!r} twice")
    if classes.colours is not None and (twice := _twice([tuple(map(int, colour)) for colour in classes.colours])):
        raise InputError(f"{source} has the colour {twice[0]} twice")
    return classes


def _twice(each):
    seen = set()
    return [one for one in each if one in seen or seen.add(one)]


def is_background(name):
    """Whether a class is what no outline covers: "background", labelme's "_background_"."""
    return name.strip("_ ").casefold() == "background"

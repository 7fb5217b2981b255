"""Files with the labels of many pictures: COCO's .json, and a .csv of "picture,labels[,class]" lines."""

from pathlib import Path

from fcn_from_scratch.checks import InputError
from fcn_from_scratch.datasets.own.class_list import is_background
from fcn_from_scratch.datasets.own.coco import read_coco
from fcn_from_scratch.datasets.own.mask_list import read_mask_list
from fcn_from_scratch.datasets.places import folded

ENDINGS = (".json", ".csv")


class Index:
    """The labels of many pictures.

    content  Coco or MaskList: a mapping, picture as the file writes it -> its labels
    root     where the label files of a list are looked for, if they are not beside the list
    """

    def __init__(self, path, root="."):
        self.path, self.root = Path(path), Path(root)
        self.is_coco = self.path.suffix.lower() == ".json"
        self.content = read_coco(path) if self.is_coco else read_mask_list(path)
        self._written = {}
        for name in self.content:
            self._written.setdefault(folded(name), name)

    def __iter__(self):
        return iter(self.content)

    def name_of(self, place):
        """The picture of this file that a path below the root means: the same path, or the end of it. None for none."""
        parts = place.split("/")
        for start in range(len(parts)):
            tail = "/".join(parts[start:])
            if tail in self.content:
                return tail
            if folded(tail) in self._written:
                return self._written[folded(tail)]
        return None

    def file(self, name):
        """A label file that a list names. Raises: InputError if it is not there."""
        for folder in (self.root, self.path.parent):
            if (folder / name).is_file():
                return folder / name
        raise InputError(f"{self.path} names {name}, which is not in {self.root}")

    @property
    def names(self):
        """The classes that the file names, the background first; () where it names none."""
        names = self.content.classes.names if self.is_coco else self.content.names
        if self.is_coco or not names:
            return tuple(names)
        return ("background", *(name for name in names if not is_background(name)))

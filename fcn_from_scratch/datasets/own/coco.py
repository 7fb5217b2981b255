"""COCO's JSON: one file with the outlines of all pictures.

Crowds are painted first, then the other annotations in the order of the file, later ones over earlier ones.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from fcn_from_scratch.checks import InputError, printable
from fcn_from_scratch.datasets.lists import nfc
from fcn_from_scratch.datasets.own import outlines, run_lengths
from fcn_from_scratch.datasets.own.class_list import Classes, is_background
from fcn_from_scratch.datasets.own.json_file import read_json
from fcn_from_scratch.datasets.own.raw import UNMARKED, Raw


class _Picture(NamedTuple):
    name: str
    size: tuple | None  # (H, W) as the file says
    annotations: list


class Coco(Mapping):
    """Annotated pictures: file name -> function(size) -> Raw. Listed pictures without annotations are not in it.

    classes   Classes: the background and the categories in the file's order, without those that only group others
    unmarked  file names of the listed pictures without annotations
    """

    def __init__(self, path, categories, pictures):
        self.path = path
        self._numbers, self._names = tuple(categories), tuple(name for name, _ in categories.values())
        self._places = {number: place for place, number in enumerate(categories)}
        self._pictures = {each.name: each for each in pictures if each.annotations}
        self.unmarked = tuple(each.name for each in pictures if not each.annotations)
        used = {annotation["category_id"] for each in pictures for annotation in each.annotations}
        names = [name for number, (name, groups) in categories.items() if number in used or not groups]
        names = [name for name in names if not is_background(name)]
        self.classes = Classes(("background", *names), source=str(path))

    def __len__(self):
        return len(self._pictures)

    def __iter__(self):
        return iter(self._pictures)

    def __getitem__(self, name):
        picture = self._pictures[name]
        return lambda size: self._read(picture, tuple(size))

    def _read(self, picture, size):
        if picture.size not in (None, size):
            said = picture.size
            turned = "; its EXIF orientation turns it when it is shown" if said == size[::-1] else ""
            raise InputError(
                f"{self.path} was drawn on {printable(picture.name)} of {said[0]}x{said[1]} pixels, but that is "
                f"{size[0]}x{size[1]}{turned}"
            )
        values = np.full(size, UNMARKED, np.int32)
        for annotation in sorted(picture.annotations, key=lambda each: not each.get("iscrowd")):
            try:
                values[_mask(annotation.get("segmentation"), size)] = self._places[annotation["category_id"]]
            except InputError as error:
                number = _short(annotation.get("id"))
                raise InputError(f"{self.path}: annotation {number} of {printable(picture.name)} has {error}") from None
        return Raw(values, names=self._names, numbers=self._numbers)


def read_coco(path):
    """Read the annotations of a set of pictures. The outlines are filled when a picture is asked for.

    Returns: Coco, a mapping with `classes`.
    Raises: InputError naming the file for one that is no COCO file, for numbers and names that occur twice, and for
    annotations of pictures or categories that are not listed.
    """
    content = read_json(path)
    parts = [content.get(key) if isinstance(content, dict) else None for key in ("images", "annotations", "categories")]
    if not all(isinstance(part, list) and all(isinstance(each, dict) for each in part) for part in parts):
        raise InputError(f"{path} is no COCO file: it has no lists of images, annotations and categories")
    images, annotations, categories = parts
    categories, pictures = _categories(categories, path), _pictures(images, path)
    for annotation in annotations:
        for key, known in (("image_id", pictures), ("category_id", categories)):
            if _key(annotation.get(key)) not in known:
                raise InputError(
                    f"{path}: annotation {_short(annotation.get('id'))} has the {key} {_short(annotation.get(key))}, "
                    "which is not listed"
                )
        pictures[annotation["image_id"]].annotations.append(annotation)
    return Coco(path, categories, pictures.values())


def _categories(found, path):
    """dict number -> (name, whether it only groups others), in the file's order.

    Roboflow lists the name of the project as such a group: others give it as their supercategory.
    """
    groups = {each.get("supercategory") for each in found if isinstance(each.get("supercategory"), str)}
    categories = {}
    for each in found:
        name, number = each.get("name"), _key(each.get("id"))
        if not isinstance(name, str) or not name.strip() or type(number) is not int or number in categories:
            raise InputError(f"{path} has a category without a name, or without a number of its own: {_short(each)}")
        above = each.get("supercategory")
        categories[number] = (nfc(name.strip()), name in groups and above in (None, "", "none"))
    names = [name for name, _ in categories.values()]
    if len(set(names)) < len(names):
        raise InputError(f"{path} has two categories {next(n for n in names if names.count(n) > 1)!r}")
    if not 0 < len(names) < 255:
        raise InputError(f"{path} has {len(names)} categories; 1 to 254 can be told apart")
    return categories


def _pictures(found, path):
    """dict number -> _Picture, without annotations so far."""
    pictures, names = {}, set()
    for each in found:
        name, number = each.get("file_name"), _key(each.get("id"))
        if not isinstance(name, str) or number is None or number in pictures or _slashes(name) in names:
            raise InputError(f"{path} lists a picture without a name or number of its own: {_short(each)}")
        names.add(_slashes(name))
        size = each.get("height"), each.get("width")
        pictures[number] = _Picture(_slashes(name), size if all(type(n) is int for n in size) else None, [])
    return pictures


def _key(number):
    """A number or a text that can be looked up; anything else becomes None."""
    return number if type(number) in (int, str) else None


def _short(found):
    """What a file holds, for a message."""
    return printable(str(found)[:80])


def _slashes(name):
    """A file name with "/". Of a path on another machine only the last part is kept: /data/upload/1/a.jpg is a.jpg."""
    parts = nfc(name).replace("\\", "/").removeprefix("./").split("/")
    elsewhere = parts[0] == "" or ":" in parts[0] or ".." in parts
    return parts[-1] if elsewhere else "/".join(parts)


def _mask(found, size):
    """The pixels of a segmentation: polygons or run lengths. Returns: bool (H, W)."""
    if isinstance(found, dict):
        if found.get("size") != list(size):
            raise InputError(f"run lengths of a mask of the size {found.get('size')}, not {list(size)}")
        return run_lengths.mask(found.get("counts"), size)
    if not isinstance(found, list) or not found:
        raise InputError("no outline, perhaps only a box: export it with its segmentation")
    mask = np.zeros(size, bool)
    for part in found if isinstance(found[0], list) else [found]:
        if not isinstance(part, list) or len(part) % 2:
            raise InputError("a polygon that is no list of pairs x, y")
        mask |= outlines.area(outlines.points(list(zip(part[::2], part[1::2]))), size)
    return mask

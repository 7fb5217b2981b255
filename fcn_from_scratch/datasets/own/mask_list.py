"""A .csv of "picture,labels[,class]" lines: which label files belong to which picture.

Tools that write one mask a label give several files for a picture, and a class for each. They are painted in the order
of the classes, so that a later class lies above an earlier one, whatever the order of the lines.
"""

import csv
from pathlib import PurePosixPath

import numpy as np

from fcn_from_scratch.checks import InputError, printable
from fcn_from_scratch.datasets.lists import read_list
from fcn_from_scratch.datasets.own.label_files import reader
from fcn_from_scratch.datasets.own.label_map import find
from fcn_from_scratch.datasets.own.raw import UNMARKED, Raw, distinct

MOST_LINES = 1_000_000


class MaskList(dict):
    """The lines of a list: picture, as written with "/", -> tuple of (labels as written, class or None).

    names  the classes in the order in which the list names them; () where it names none
    """

    names = ()


def read_mask_list(path):
    """Read a list of masks. A first line without a file's ending in its first two cells is a header.

    Returns: MaskList.
    Raises: InputError naming the file and the line for other numbers of cells, for a picture that has several files
    without classes, and for a file that stands there twice.
    """
    lines = read_list(path)
    if len(lines) > MOST_LINES:
        raise InputError(f"{path} has {len(lines)} lines; at most {MOST_LINES} are read")
    try:
        rows = [[cell.strip() for cell in row] for row in csv.reader(lines, skipinitialspace=True)]
    except csv.Error as error:
        raise InputError(f"{path} cannot be read as a table: {error}") from None
    found = {}
    for number, row in enumerate(rows[_is_header(rows[0]) :], 1 + _is_header(rows[0])):
        if len(row) not in (2, 3) or not all(row[:2]):
            raise InputError(
                f"{path}, line {number}, is not picture,labels or picture,labels,class: {printable(','.join(row)[:80])}"
            )
        picture, labels = (cell.replace("\\", "/").removeprefix("./") for cell in row[:2])
        found.setdefault(picture, []).append((labels, (row[2:] or [""])[0] or None))
    _check(found, path)
    masks = MaskList({picture: tuple(each) for picture, each in found.items()})
    masks.names = tuple(dict.fromkeys(name for each in masks.values() for _, name in each if name is not None))
    return masks


def _is_header(row):
    return not any(PurePosixPath(cell).suffix for cell in row[:2])


def _check(found, path):
    for picture, each in found.items():
        files = [labels for labels, _ in each]
        if len(set(files)) < len(files):
            raise InputError(f"{path} gives {printable(picture)} the same file twice")
        if len(each) > 1 and any(name is None for _, name in each):
            raise InputError(
                f"{path} gives {printable(picture)} {len(each)} files; each needs a class, as picture,labels,class"
            )


def paint(masks, names, size, picture_path=None):
    """Paint the masks of one picture, those of a later class over those of an earlier one.

    masks  (path, class) of each file; in a mask, every value but 0, or every colour but black, marks the class
    names  the names of all classes, which give the order; a class may also be its id
    Returns: Raw with `names`; what no mask marks is UNMARKED.
    Raises: InputError naming the file for a class that is none, and for a mask of another size.
    """
    placed = sorted((_place(name, names, path), number) for number, (path, name) in enumerate(masks))
    values = np.full(size, UNMARKED, np.int32)
    for place, number in placed:
        path = masks[number][0]
        raw = reader(path)(path, picture_path, size)
        if raw.size != tuple(size):
            raise InputError(f"{picture_path} is {size[0]}x{size[1]} pixels but {path} is {raw.size[0]}x{raw.size[1]}")
        values[_marked(raw, path)] = place
    return Raw(values, names=tuple(names))


def _place(name, names, path):
    place = find(name, names)
    if place is None and name.isascii() and name.isdigit() and len(name) < 4:
        place = int(name)
    if place is None or not place < len(names):
        raise InputError(f"{path} has the class {printable(name[:60])!r}, which is none of the {len(names)} classes")
    return place


def _marked(raw, path):
    """Where a mask of one class is set. Returns: bool (H, W)."""
    if raw.lossy:
        raise InputError(f"{path} is a {raw.lossy}, whose compression alters masks: save them as PNG")
    if raw.colours is not None:
        return raw.colours.any(axis=2)
    if raw.names is not None:
        return raw.values != UNMARKED
    found, _, _ = distinct(raw.values)
    if len(found) > 2 or (len(found) == 2 and found[0] != 0):
        raise InputError(
            f"{path} holds the values {', '.join(map(str, found[:5]))}; a mask of one class holds 0 and one more"
        )
    return raw.values != 0

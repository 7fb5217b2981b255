"""The forms of class files: names, CVAT's label maps, tables with values or colours, and JSON."""

import csv
import re

import numpy as np

from fcn_from_scratch.checks import InputError, printable
from fcn_from_scratch.datasets.labels import IGNORE
from fcn_from_scratch.datasets.lists import nfc, read_list
from fcn_from_scratch.datasets.own.class_list import IGNORE_NAME, MOST_CLASSES, Classes, checked
from fcn_from_scratch.datasets.own.json_file import read_json

MOST_BYTES = 1 << 20
LISTS = ("labels", "classes", "categories")  # in JSON: Mapillary's config.json, Supervisely's meta.json, COCO's files
NAMES = ("readable", "title", "name")  # of a class there; Mapillary has a short and a readable one
HEADERS = {"name", "names", "class", "classes", "label", "labels", "category", "class name", "class_name", "id"}
_CVAT = re.compile(r"(?P<name>.+?):(?P<colour>\d{1,3},\d{1,3},\d{1,3})?(?::[^:]*){0,2}")
_LOOSE = re.compile(r"(\d{1,3}\s+\d{1,3}\s+\d{1,3}|-?\d{1,9}\s*:|-?\d{1,9}(?=\s))\s*(\S.*)", re.ASCII)
_WHOLE = re.compile(r"-?\d{1,9}", re.ASCII)


def read_class_file(path):
    """Read a class file.

    One name a line; CVAT's name:r,g,b:parts:actions; a table with or without a header, whose first column is the
    value (or the colour) and whose last is the name, or that has columns name, r, g, b; JSON {name: value or colour}
    or {value: name}, or with a list of classes under a key of LISTS. A line that begins with # is a comment.
    Returns: Classes in the file's order.
    Raises: InputError naming the file and the line that fits no form.
    """
    if str(path).casefold().endswith(".json"):
        rows = _json_rows(read_json(path, MOST_BYTES), path)
    else:
        rows = _text_rows([line for line in read_list(path) if not line.startswith("#")], path)
    return _classes(rows, str(path))


def _classes(rows, source):
    """Classes of rows (name, value or None, colour or None)."""
    if len(rows) > 2 * MOST_CLASSES:
        raise InputError(f"{source} names {len(rows)} classes; there can be 1 to {MOST_CLASSES}")
    kept = [row for row in rows if row[0] != IGNORE_NAME]
    void = [row for row in rows if row[0] == IGNORE_NAME]
    for place, what in ((1, "value"), (2, "colour")):
        if 0 < sum(row[place] is not None for row in rows) < len(rows):
            name = next(row[0] for row in rows if row[place] is None)
            raise InputError(f"{source} gives {printable(name)!r} no {what}, though others have one")
    names, values, colours = zip(*kept) if kept else ((), (), ())
    return checked(
        Classes(
            tuple(names),
            None if None in values or not values else tuple(values),
            None if None in colours or not colours else np.array(colours, np.uint8),
            source,
            tuple(row[1] for row in void if row[1] is not None),
            tuple((row[2], IGNORE) for row in void if row[2] is not None),
        )
    )


# --- text --------------------------------------------------------------------------------------------------------


def _text_rows(lines, path):
    if (
        lines
        and all(_CVAT.fullmatch(line) for line in lines)
        and any(_CVAT.fullmatch(line)["colour"] for line in lines)
    ):
        found = [_CVAT.fullmatch(line) for line in lines]
        return [(each["name"].strip(), None, _colour(each["colour"], path)) for each in found]
    return _table_rows(lines, path) or _name_rows(lines, path)


def _name_rows(lines, path):
    """One name a line. __ignore__ may only be the first line: ids are counted from the line behind it."""
    if lines and lines[0].casefold() in HEADERS:
        lines = lines[1:]
    if IGNORE_NAME in lines[1:]:
        raise InputError(f"{path} has {IGNORE_NAME} behind other names, which leaves open what the names' values are")
    return [(line, None, None) for line in lines]


def _table_rows(lines, path):
    """The rows of a table, or None where the lines are none."""
    delimiter = next((sign for sign in "\t;," if lines and all(sign in line for line in lines)), None)
    if delimiter is None:
        return _loose_rows(lines)
    cells = [[cell.strip() for cell in row] for row in csv.reader(lines, delimiter=delimiter, skipinitialspace=True)]
    head = [cell.casefold() for cell in cells[0]]
    if {"r", "g", "b"} <= set(head):
        return _rgb_rows(head, cells[1:], path)
    keyed = [_is_key(row[0]) for row in cells]
    if not all(keyed[1:]) or not (len(keyed) > 1 or keyed[0]):
        return None
    return [_row(cell[0], cell[-1], path) for cell in (cells if keyed[0] else cells[1:])]


def _loose_rows(lines):
    """Lines "64 128 64 Animal", "7: road" or "7 road", perhaps below a header; None where not all lines are such."""
    found = [_LOOSE.fullmatch(line) for line in lines]
    if len(found) > 1 and not found[0] and HEADERS & set(lines[0].casefold().split()):
        found = found[1:]
    return [_row(each[1].rstrip(": "), each[2], "") for each in found] if found and all(found) else None


def _rgb_rows(head, rows, path):
    """A table with the columns r, g, b and one for the name."""
    name = next((head.index(word) for word in ("name", "class", "label", "class_name") if word in head), 0)
    if any(len(row) < len(head) for row in rows):
        raise InputError(f"{path} has a line with fewer cells than its header")
    return [(row[name], None, _colour(",".join(row[head.index(each)] for each in "rgb"), path)) for row in rows]


def _is_key(cell):
    return bool(_WHOLE.fullmatch(cell) or re.fullmatch(r"\d{1,3}[ ,]+\d{1,3}[ ,]+\d{1,3}", cell))


def _row(key, name, path):
    if not name:
        raise InputError(f"{path} has the value {key} without a name")
    if _WHOLE.fullmatch(key):
        return name, int(key), None
    return name, None, _colour(",".join(key.replace(",", " ").split()), path)


def _colour(text, path):
    """(r, g, b) of "r,g,b" or "#rrggbb"; None of nothing. Raises: InputError for another text."""
    if not text:
        return None
    if re.fullmatch(r"#[0-9a-fA-F]{6}", text):
        return tuple(bytes.fromhex(text[1:]))
    numbers = [int(part) for part in re.findall(r"\d+", text)] if re.fullmatch(r"[\d,. ]+", text) else []
    if len(numbers) != 3 or max(numbers) > 255:
        raise InputError(f"{path} has the colour {printable(text[:40])!r}; a colour is three numbers of 0..255")
    return tuple(numbers)


# --- JSON --------------------------------------------------------------------------------------------------------


def _json_rows(content, path):
    if isinstance(content, list) and all(isinstance(each, str) for each in content):
        return [_named(each, None, None, path) for each in content]
    if not isinstance(content, dict) or not content:
        raise InputError(f"{path} must be JSON of the form {{name: value or colour}} or {{value: name}}")
    listed = next((content[key] for key in LISTS if isinstance(content.get(key), list)), None)
    if listed and all(isinstance(each, dict) for each in listed):
        return [_listed_row(each, path) for each in listed]
    return [_json_row(key, each, path) for key, each in content.items()]


def _listed_row(each, path):
    """A class of a list: {"name": ..., "color": ..., "id": ...}, with the words of several tools.

    Beside a colour, the id is a number of the tool's own; no pixel has it.
    """
    name = next((each[word] for word in NAMES if isinstance(each.get(word), str)), "")
    colour = next((each[word] for word in ("color", "colour") if each.get(word)), "")
    text = ",".join(map(str, colour)) if isinstance(colour, list) else str(colour)
    value = each.get("id") if type(each.get("id")) is int and not text else None
    return _named(name, value, _colour(text, path), path)


def _json_row(key, each, path):
    if type(each) is int:
        return _named(key, each, None, path)
    if isinstance(each, list) and len(each) == 3 and all(type(n) is int for n in each):
        return _named(key, None, _colour(",".join(map(str, each)), path), path)
    if isinstance(each, str) and re.fullmatch(r"#[0-9a-fA-F]{6}|\d{1,3}(\s*,\s*\d{1,3}){2}", each):
        return _named(key, None, _colour(each, path), path)
    if isinstance(each, str) and _WHOLE.fullmatch(key.strip()):
        return _named(each, int(key), None, path)
    raise InputError(f"{path}: {printable(str(key)[:40])!r} is neither the value of a name nor a name with a value")


def _named(name, value, colour, path):
    if not name.strip():
        raise InputError(f"{path} has an empty name")
    return nfc(name.strip()), value, colour

"""What a TIFF says about itself: its bands, their sample type and its pages. Pillow does not tell all of it.

A TIFF is a chain of directories, one a page; a directory is a table of numbered tags (TIFF 6.0, sections 2 and 8).
"""

import struct
from typing import NamedTuple

from fcn_from_scratch.files import open_regular

MOST_PAGES = 64  # directories that are looked at
MOST_TAGS = 4096
_SIZES = {1: "B", 3: "H", 4: "I", 16: "Q"}  # the types of the whole numbers that are read here
_SUBFILE, _BITS, _COLOUR, _BANDS, _EXTRA, _FORMAT = 254, 258, 262, 277, 338, 339
_WANTED = (_SUBFILE, _BITS, _COLOUR, _BANDS, _EXTRA, _FORMAT)
_KINDS = {1: "unsigned integers", 2: "signed integers", 3: "floating-point numbers", 5: "complex integers"}
_KINDS[6] = "complex numbers"


class Tiff(NamedTuple):
    """bands, bits of a sample, the kind of its numbers in words, whether it is RGB, and the number of pages."""

    bands: int
    bits: int
    kind: str
    rgb: bool
    pages: int

    def __str__(self):
        return f"{self.bands} band{'s' * (self.bands > 1)} of {self.bits}-bit {self.kind}"


def describe(path):
    """Read the directories of a TIFF. Returns: Tiff, or None where the file is no TIFF that can be understood.

    Smaller copies of the picture (overviews) and masks are no pages.
    Raises: OSError as open does; InputError for what is no regular file.
    """
    with open_regular(path) as file:
        try:
            found = list(_directories(file))
        except (struct.error, OSError, OverflowError, ValueError):
            return None
    if not found:
        return None
    first = found[0]
    pages = sum(1 for tags in found if not tags.get(_SUBFILE, (0,))[0] & 0b101)
    kind = _KINDS.get(first.get(_FORMAT, (1,))[0], "samples of an unknown kind")
    rgb = first.get(_COLOUR, (1,))[0] == 2
    return Tiff(first.get(_BANDS, (1,))[0], first.get(_BITS, (1,))[0], kind, rgb, max(pages, 1))


def _directories(file):
    """The wanted tags of each directory, as dicts tag -> tuple of numbers."""
    head = file.read(8)
    order = {b"II": "<", b"MM": ">"}.get(head[:2])
    if order is None or struct.unpack(order + "H", head[2:4])[0] not in (42, 43):
        return
    big = struct.unpack(order + "H", head[2:4])[0] == 43
    place = struct.unpack(order + "Q", file.read(8))[0] if big else struct.unpack(order + "I", head[4:])[0]
    seen = set()
    while place and place not in seen and len(seen) < MOST_PAGES:
        seen.add(place)
        file.seek(place)
        tags, place = _directory(file, order, big)
        yield tags


def _directory(file, order, big):
    """(the wanted tags, the place of the next directory) of the directory at the file's position."""
    count_form, entry_form, next_form = ("Q", "HHQ8s", "Q") if big else ("H", "HHI4s", "I")
    (count,) = _unpack(file, order + count_form)
    entries = [_unpack(file, order + entry_form) for _ in range(min(count, MOST_TAGS))]
    (place,) = _unpack(file, order + next_form) if count <= MOST_TAGS else (0,)
    return {entry[0]: _numbers(file, order, *entry[1:]) for entry in entries if entry[0] in _WANTED}, place


def _numbers(file, order, kind, count, inline):
    """The first numbers of an entry: they stand in it where they fit, else at the place that it names."""
    form = _SIZES.get(kind, "B")
    taken = max(1, min(count, 8))
    if count * struct.calcsize(form) <= len(inline):
        return struct.unpack_from(f"{order}{taken}{form}", inline)
    file.seek(struct.unpack(order + ("Q" if len(inline) == 8 else "I"), inline)[0])
    return _unpack(file, f"{order}{taken}{form}")


def _unpack(file, form):
    return struct.unpack(form, file.read(struct.calcsize(form)))

"""From what a label file stores to class ids: the label map first, then the classes' values or colours, then 255."""

import re
from typing import NamedTuple

import numpy as np

from fcn_from_scratch.checks import InputError, few, printable
from fcn_from_scratch.datasets.labels import IGNORE
from fcn_from_scratch.datasets.own.class_list import Classes, is_background
from fcn_from_scratch.datasets.own.label_map import Resolved, find
from fcn_from_scratch.datasets.own.raw import IGNORED, UNMARKED, distinct
from fcn_from_scratch.datasets.own.suggest import others, pixels_of, share, to_type
from fcn_from_scratch.palette import voc_palette

UNKNOWN = -1


class Decoder(NamedTuple):
    """How the labels of a data set become ids; `settle` makes one.

    names    the classes' names; ids are 0..K-1
    classes  Classes, or None where only their number is known
    mapping  Resolved, or None without a label map
    text     the label map as typed
    only_ranges  whether the map names ranges alone
    """

    names: tuple
    classes: Classes | None = None
    mapping: Resolved | None = None
    text: str = ""
    only_ranges: bool = False

    @property
    def shift(self):
        """How many classes the label map put in front of those of `classes`."""
        return 0 if self.classes is None else len(self.names) - len(self.classes.names)

    @property
    def palette(self):
        """The colour of each id in pictures of predictions, uint8 (256, 3)."""
        palette = voc_palette()
        if self.classes is not None and self.classes.colours is not None:
            palette[self.shift : len(self.names)] = self.classes.colours
        return palette

    def ids(self, raw, path):
        """The ids of one picture's labels. Returns: uint8 (H, W).

        Raises: InputError naming the file for a value, a colour or a name that is no class: how many pixels it has,
        and what to type.
        """
        if not self.only_ranges:
            refuse_lossy(raw, path)
        if raw.names is not None:
            return self._named(raw, path)
        if raw.colours is not None:
            return self._coloured(raw.colours, path)
        if raw.palette is not None and self._by_palette(raw, path):
            return self._from_colours(raw.palette[raw.values], path)
        decoder, values = self._by_shades(raw, path), raw.values
        if decoder is not self and values.dtype == bool:
            values = values * np.uint8(IGNORE)  # the white of a picture of one bit
        return decoder._valued(values, path)

    # --- numbers -------------------------------------------------------------------------------------------------

    def _valued(self, values, path):
        found, counts, places = distinct(values)
        ids = self._ids_of(found, path)
        if (ids == UNKNOWN).any():
            raise self._unknown_value(found, counts, ids, path)
        return ids.astype(np.uint8)[places(values)]

    def _ids_of(self, found, path):
        """The id of each of the values `found`, or UNKNOWN."""
        ids = np.full(found.shape, UNKNOWN) if self.mapping is None else self.mapping(found)
        values, ignored = (None, ()) if self.classes is None else self.classes.values_in(path)
        for place, value in enumerate(values or ()):
            ids[(ids == UNKNOWN) & (found == value)] = place + self.shift
        ids[(ids == UNKNOWN) & np.isin(found, ignored)] = IGNORE
        if self.mapping is not None and self.mapping.rest is not None:
            ids[ids == UNKNOWN] = self.mapping.rest
        ids[(ids == UNKNOWN) & np.isin(found, (IGNORE, -1))] = IGNORE
        if self.mapping is None and values is None:
            own = (ids == UNKNOWN) & (found >= 0) & (found < len(self.names))
            ids[own] = found[own]
        return ids

    def _unknown_value(self, found, counts, ids, path):
        unknown = ids == UNKNOWN
        worst = np.flatnonzero(unknown)[counts[unknown].argmax()]
        valued = self.classes is not None and self.classes.values_in(path)[0] is not None
        typed = self._to_type(found, unknown, valued)
        if not self.text and not valued:
            named = "" if self.classes is None else f", the classes of {self.classes.source}"
            return InputError(
                f"the labels in {path} contain the id {found[worst]} ({pixels_of(counts[worst])} out of range, "
                f"{share(counts[worst], counts.sum())}){others(unknown, 'value')}; allowed are "
                f"0..{len(self.names) - 1} and {IGNORE} (ignore){named}: type {typed}"
            )
        return InputError(
            f"{path} has the value {found[worst]} in {share(counts[worst], counts.sum())} of its pixels"
            f"{others(unknown, 'value')}, which "
            f"{self._named_by()} does not name: say its class, or ignore, as in {typed}"
        )

    def _named_by(self):
        return f"--label-map {self.text}" if self.text else self.classes.source

    def _to_type(self, found, unknown, valued):
        """The option that would take all values; `valued` says whether the classes have values."""
        if self.text or valued:
            own = 0 if valued or self.shift else len(self.names)  # classes whose ids the labels may hold
            by_name = any(re.search(r":\s*(?!ignore)\D", part) for part in self.text.split(","))
            ids = self.names if by_name else range(own)  # a map has ids or names, never both
            parts = [f"{value}:{ids[value] if 0 <= value < own else 'ignore'}" for value in found[unknown]]
            more = ",".join(parts) if len(parts) <= 8 else "rest:ignore"
            return f"--label-map {self.text}{',' * bool(self.text)}{more}"
        return to_type(found, len(self.names))

    def _by_shades(self, raw, path):
        """The decoder of a grey picture: where every class is a shade of grey, the shades are the values."""
        if self.classes is None or self.classes.colours is None or self.classes.values_in(path)[0] is not None:
            return self
        colours, ramp = self.classes.colours, np.arange(256)[:, None]
        if (colours != colours[:, :1]).any() or (raw.palette is not None and (raw.palette != ramp).any()):
            return self
        ignored = tuple(colour[0] for colour, id in self.classes.more_colours if id == IGNORE and len(set(colour)) == 1)
        return self._replace(classes=self.classes._replace(values=tuple(colours[:, 0].tolist()), ignored=ignored))

    # --- colours -------------------------------------------------------------------------------------------------

    def _coloured(self, colours, path):
        grey = (colours == colours[:, :, :1]).all()
        if self.classes is None or self.classes.colours is None:
            if not grey:
                raise unnamed_colour(colours, path)
            return self._valued(colours[:, :, 0], path)
        if grey and self.mapping is not None:
            found, _, places = distinct(colours[:, :, 0])
            ids = self._ids_of(found, path)
            if (ids != UNKNOWN).all():
                return ids.astype(np.uint8)[places(colours[:, :, 0])]
        return self._from_colours(colours, path)

    def _by_palette(self, raw, path):
        """Whether a palette file's colours tell its classes, since its numbers are in another order than the classes.

        The numbers tell them where a map or the classes name values, where the file's colours are the classes', and
        where it has none of its own: shades of grey, or one colour for everything.
        """
        if self.mapping is not None or self.classes is None or self.classes.colours is None:
            return False
        if self.classes.values_in(path)[0] is not None:
            return False
        used, table = distinct(raw.values)[0], raw.palette
        if (table[used] == used[:, None]).all() or (table == table[0]).all():
            return False
        used = used[used < len(self.names)]
        return bool((table[used] != self.classes.colours[used]).any())

    def _from_colours(self, pixels, path):
        codes = pixels.astype(np.int32) @ np.array([65536, 256, 1], np.int32)
        found, counts, places = distinct(codes)
        known = self._known_colours()
        ids = np.array([known.get(code, UNKNOWN) for code in found.tolist()])
        unknown = ids == UNKNOWN
        if unknown.any():
            worst = np.flatnonzero(unknown)[counts[unknown].argmax()]
            code = int(found[worst])
            raise InputError(
                f"{path} has {pixels_of(counts[worst])} in the colour ({code >> 16}, {code >> 8 & 255}, {code & 255})"
                f"{others(unknown, 'colour')}, which stands for no class in {self.classes.source}"
            )
        return ids.astype(np.uint8)[places(codes)]

    def _known_colours(self):
        """dict code of a colour -> id, without colours that two classes share."""
        own = [(tuple(map(int, colour)), place) for place, colour in enumerate(self.classes.colours)]
        known = {}
        for (red, green, blue), place in (*own, *self.classes.more_colours):
            code, id = red << 16 | green << 8 | blue, place if place == IGNORE else place + self.shift
            known[code] = id if known.get(code, id) == id else UNKNOWN
        return known

    # --- names ---------------------------------------------------------------------------------------------------

    def _named(self, raw, path):
        found, counts, places = distinct(raw.values)
        ids = np.array([self._id_of_place(place, raw) for place in found.tolist()])
        unknown = np.flatnonzero(ids == UNKNOWN)
        if len(unknown):
            place, part = int(found[unknown[0]]), share(counts[unknown[0]], counts.sum())
            raise self._unmarked(raw, part, path) if place == UNMARKED else self._unknown_name(raw, place, part, path)
        return ids.astype(np.uint8)[places(raw.values)]

    def _id_of_place(self, place, raw):
        if place == IGNORED:
            return IGNORE
        number = self._number(place, raw)
        if self.mapping is not None and number is not None and (mapped := self.mapping(np.array([number]))[0]) >= 0:
            return mapped
        name = "background" if place == UNMARKED else raw.names[place]
        id = find(name, self.names)
        if id is None and is_background(name):
            id = next((each for each, own in enumerate(self.names) if is_background(own)), None)
        if id is None and self.mapping is not None:
            id = self.mapping.rest
        return UNKNOWN if id is None else id

    @staticmethod
    def _number(place, raw):
        """The value that a label map can name: the file's own number; 0 for what no outline covers, if it is free."""
        if place == UNMARKED:
            return None if 0 in (raw.numbers or ()) else 0
        return raw.numbers[place] if raw.numbers else None

    def _unmarked(self, raw, part, path):
        value = "rest" if self._number(UNMARKED, raw) is None else "0"
        return InputError(
            f"{path} marks nothing on {part} of the pixels, and no class is called background: type --label-map "
            f"{self.text}{',' * bool(self.text)}{value}:background, or {value}:ignore"
        )

    def _unknown_name(self, raw, place, part, path):
        number = self._number(place, raw)
        value = "rest" if number is None else number
        names = few([printable(name) for name in self.names], 10)
        return InputError(
            f"{path} has {printable(raw.names[place])!r} on {part} of its pixels, which is none of the classes "
            f"{names}: name it in --classes, or type --label-map {self.text}{',' * bool(self.text)}{value}:ignore"
        )


def refuse_lossy(raw, path):
    """Raises: InputError for labels that a compression may have altered, unless ranges tell the classes."""
    if raw.lossy:
        raise InputError(
            f"{path} is a {raw.lossy}, whose compression alters values: save labels as PNG, or give each class a "
            "range, such as --label-map 0-127:0,128-255:1"
        )


def unnamed_colour(colours, path):
    """The complaint about colours without classes."""
    other = (colours != colours[:, :, :1]).any(axis=2)
    red, green, blue = colours[other][0]
    same = (colours == (red, green, blue)).all(axis=2).sum()
    return InputError(
        f"{path} shows its labels as colours, such as ({red}, {green}, {blue}) on {pixels_of(same)}: say what they "
        f"stand for in a file with lines like name:{red},{green},{blue}, and type --classes FILE"
    )

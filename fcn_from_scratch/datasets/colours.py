"""Labels that are stored as colours: each colour of a dataset stands for one id.

A palette PNG stores numbers and, for each number, a colour. Programs that save such a file again may sort the colours
anew and change the numbers with them; what the file shows stays the same. Then the colours still tell the ids, and the
numbers no longer do.
"""

import numpy as np

from fcn_from_scratch.checks import InputError

IGNORE = 255
ROWS = 64  # of a picture whose colours are looked up at once


def from_colours(pixels, colours, path, ids=None):
    """The ids of RGB pixels.

    colours  uint8 (K, 3)
    ids      the id of each colour; None numbers them 0..K-1
    Returns: int16 (H, W).
    Raises: InputError with the first colour that is none of `colours`.
    """
    known = _codes(np.asarray(colours))
    order = np.argsort(known, kind="stable")
    numbers = (np.arange(len(known)) if ids is None else np.asarray(ids)).astype(np.int16)
    result, unknown, first = np.empty(pixels.shape[:-1], np.int16), 0, None
    for rows in (slice(top, top + ROWS) for top in range(0, len(pixels), ROWS)):  # so that little memory is needed
        codes = _codes(pixels[rows])
        found = order[np.searchsorted(known[order], codes).clip(max=len(known) - 1)]
        wrong = known[found] != codes
        if wrong.any():
            first = pixels[rows][wrong][0] if first is None else first
            unknown += wrong.sum()
        result[rows] = numbers[found]
    if unknown:
        red, green, blue = first
        raise InputError(f"{path} has {unknown} pixels in colours not in the palette: first ({red}, {green}, {blue})")
    return result


def from_palette(numbers, table, colours, path):
    """The ids of a palette picture of a dataset whose id k has the colour colours[k].

    The numbers are the ids where the file's colours are the dataset's. They are the ids too where the file has no
    colours of its own: shades of grey, or one colour for everything. Otherwise the colours tell the ids.

    numbers  uint8 (H, W), as stored
    table    uint8 (256, 3), the file's colour of each number
    Returns: int16 (H, W).
    Raises: InputError for a colour that is not the dataset's.
    """
    used = np.unique(numbers)
    shown = table[used]
    grey = (shown == used[:, None]).all() or (table == table[0]).all()
    differ = (shown != colours[used]).any(axis=1)
    unknown = ~np.isin(_codes(shown), _codes(np.asarray(colours)))
    # Where the other ids agree, 255 is the border in any colour of its own, or black in a palette that ends before it.
    border = (used == IGNORE) & (unknown | ~shown.any(axis=1))
    if grey or not (differ & ~border).any():
        return numbers.astype(np.int16)
    if unknown.any():
        number, (red, green, blue) = used[unknown][0], shown[unknown][0]
        raise InputError(
            f"{path} has a palette of its own: it shows {number} as ({red}, {green}, {blue}), which is no colour of "
            "this dataset; save the labels with the dataset's palette, or as a grey PNG of ids"
        )
    return from_colours(shown, colours, path)[np.searchsorted(used, numbers)]


def file_palette(picture):
    """The colours of a palette picture, uint8 (256, 3); numbers without a colour are black."""
    table = np.zeros((256, 3), np.uint8)
    stored = np.array(picture.getpalette("RGB") or [], np.uint8).reshape(-1, 3)[:256]
    table[: len(stored)] = stored
    return table


def _codes(colours):
    """One number for each colour."""
    return colours.astype(np.int64) @ (65536, 256, 1)

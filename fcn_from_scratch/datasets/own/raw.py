"""Labels as a file stores them, before anybody has said what its values, its colours or its names stand for."""

from typing import NamedTuple

import numpy as np

UNMARKED = -1  # the place of a pixel that no outline covers, in labels that are stored by name
IGNORED = -2  # the place of a pixel that the tool marked as one to ignore


class Raw(NamedTuple):
    """The labels of one picture. One of `values` and `colours` is there.

    values   integers or booleans (H, W): the stored numbers. Where `names` is given, they are places in it, UNMARKED
             or IGNORED
    colours  uint8 (H, W, 3)
    palette  uint8 (256, 3), the file's own colour of each value; None where it has none
    names    tuple of str: labels that are stored by name, as outlines are
    numbers  the number that the file gives to each of `names`; None where it numbers nothing
    lossy    the name of the compression that may have altered the values, such as "JPEG"; None for an exact file
    """

    values: np.ndarray | None = None
    colours: np.ndarray | None = None
    palette: np.ndarray | None = None
    names: tuple | None = None
    numbers: tuple | None = None
    lossy: str | None = None

    @property
    def size(self):
        """(H, W)."""
        return (self.colours if self.values is None else self.values).shape[:2]


def distinct(values):
    """The different values of an integer array. Returns: (int64 sorted values, their counts, function values -> place).

    The function gives each pixel's place among the sorted values.
    """
    if values.dtype.itemsize <= 2 and values.dtype.kind in "ub":
        counts = np.bincount(values.ravel().astype(np.intp, copy=False))
        found = np.flatnonzero(counts)
        places = np.zeros(len(counts), np.intp)
        places[found] = np.arange(len(found))
        return found.astype(np.int64), counts[found], lambda pixels: places[pixels.astype(np.intp, copy=False)]
    low, high = int(values.min()), int(values.max())
    if high - low < 1 << 16:  # counting is many times faster than sorting
        shifted = (values.astype(np.int64) - low).astype(np.uint16)
        found, counts, places = distinct(shifted)
        return found + low, counts, lambda pixels: places((pixels.astype(np.int64) - low).astype(np.uint16))
    found, counts = np.unique(values, return_counts=True)
    return found.astype(np.int64), counts, lambda pixels: np.searchsorted(found, pixels)

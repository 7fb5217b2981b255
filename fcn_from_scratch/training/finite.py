"""Numbers that are not finite, found and named: a diverged run is known by them, and so are broken weights."""

import math

import numpy as np

from fcn_from_scratch.backend import get_array_module
from fcn_from_scratch.checks import InputError, few


class DivergedError(InputError):
    """Training left the numbers that make sense. What it holds now must not replace a good checkpoint.

    by_rate   whether a smaller learning rate is the remedy
    """

    def __init__(self, message, by_rate=True):
        super().__init__(message)
        self.by_rate = by_rate


def wrong(arrays):
    """The arrays of a dict that hold numbers which are not finite, in words: "fc6.weight (3 of 64)"."""
    found = []
    for name, array in arrays.items():
        if array.dtype.kind == "f" and (bad := _count(array)):
            found.append(f"{name} ({bad:,} of {array.size:,} numbers)")
    return found


def require(arrays, owner):
    """Raises: InputError that names the arrays of a dict which are not finite. `owner` says whose they are."""
    if found := wrong(arrays):
        raise InputError(f"{owner} holds weights that are not finite: {few(found, 3)}")


def _count(array):
    xp = get_array_module(array)
    if bool(xp.isfinite(array).all()):
        return 0
    return int(np.asarray(array.size - xp.isfinite(array).sum().item()))


def sum_is(array):
    """Whether the sum of an array is finite: in one pass over it, without another array."""
    return math.isfinite(float(array.sum(dtype=np.float64)))


def largest(arrays):
    """(name, the largest absolute value) over the arrays of a dict."""
    sizes = {name: float(abs(array).max()) for name, array in arrays.items() if array.size}
    name = max(sizes, key=sizes.get)
    return name, sizes[name]

"""Weights that stay as they are while something that was computed from them is in use.

Two layers may share one weight: a net and its rarefied or convolutionalized twin. So what holds a weight still belongs
to the memory, and not to a layer. Whoever wants to change the weight releases its memory. Everything that was computed
from it is then out of date, in every layer.
"""

import weakref

import numpy as np

_holds = {}  # id of the array that owns the memory -> its Hold


class Hold:
    """A promise that the numbers of one weight do not change. `broken` says that somebody ended it.

    Meanwhile the arrays given to `hold`, and the array that owns their memory, are read-only.
    """

    def __init__(self, owner):
        self.broken = False
        self._arrays = []
        key = id(owner)
        self._owner = weakref.ref(owner, lambda _: _holds.pop(key, None))

    def add(self, array):
        """Make the array read-only until the end of the hold."""
        if array.flags.writeable:
            self._arrays.append(weakref.ref(array))
            array.flags.writeable = False

    def end(self):
        """Break the promise: the arrays can be changed again."""
        self.broken = True
        for reference in self._arrays:  # the owner came first: NumPy makes a view writeable only after it
            array = reference()
            if array is not None:
                array.flags.writeable = True


class Once:
    """A function without arguments: its first call computes a value, which it keeps.

    nbytes   the memory that the value takes
    """

    def __init__(self, compute, nbytes):
        self.nbytes = nbytes
        self._compute, self._value = compute, None

    @property
    def nbytes_to_come(self):
        """The memory that the first call will take, 0 after it."""
        return self.nbytes if self._value is None else 0

    def __call__(self):
        if self._value is None:
            self._value = self._compute()  # two threads may both compute it: they get the same numbers
        return self._value


def hold(weight):
    """Make a weight read-only, together with the array that owns its memory. Returns: its Hold.

    Returns None for a weight that was read-only before: it cannot be made writeable again.
    """
    owner = _owner(weight)
    if id(owner) not in _holds:
        if not weight.flags.writeable:
            return None
        _holds[id(owner)] = Hold(owner)
    found = _holds[id(owner)]
    found.add(owner)
    found.add(weight)
    return found


def release(weight):
    """End the Hold of a weight, if there is one: it may be changed again."""
    if isinstance(weight, np.ndarray) and _holds:
        found = _holds.pop(id(_owner(weight)), None)
        if found is not None:
            found.end()


def _owner(array):
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array

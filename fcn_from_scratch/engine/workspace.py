"""Memory that is used again: large arrays of one training step lie where those of the step before lay.

A fresh large array is not free of cost. The system hands its memory out page by page, at the first touch, and wipes
each; an array that is dropped goes back to the system, and the next step asks for it again. A network at full size
touches a gigabyte a step that way.

A Workspace lends blocks of memory instead. An array of its `empty` is like one of numpy.empty; when it and all its
views are gone, its block is free for the next one that fits. Nothing has to be handed back, and nothing that is still
held is ever used twice. It belongs to whoever made it: `layer.use(Workspace())` lets a network's large arrays come
from it, and dropping it, or `layer.use(None)`, gives its memory back.
"""

import math
import threading
from collections import deque

import numpy as np

LEAST_BYTES = 1 << 18  # smaller arrays come from numpy.empty, which keeps memory of this size at hand anyway


class Workspace:
    """Blocks of memory for arrays; see above. May be used by several threads."""

    def __init__(self):
        self._returned = deque()  # blocks whose arrays are gone: appended at any moment, even amidst `empty`
        self._free = []
        self._lock = threading.Lock()

    def empty(self, shape, dtype=np.float64):
        """As numpy.empty: an array of this shape, filled with whatever its memory held."""
        dtype = np.dtype(dtype)
        shape = shape if isinstance(shape, tuple) else (shape,)
        size = math.prod(shape) * dtype.itemsize
        if size < LEAST_BYTES:
            return np.empty(shape, dtype)
        return np.asarray(_Loan(self._block(size), self._returned, shape, dtype))

    def __deepcopy__(self, memo):
        """A copied network goes on with the same workspace."""
        return self

    def _block(self, size):
        """The smallest free block that is large enough. If there is none a new one replaces the largest of the free, so
        that there are never more blocks than arrays were alive at once."""
        with self._lock:
            while self._returned:
                self._free.append(self._returned.popleft())
            self._free.sort(key=len)
            for place, block in enumerate(self._free):
                if len(block) >= size:
                    return self._free.pop(place)
            del self._free[-1:]
        return np.empty(size, np.uint8)


def empty_from(workspace, xp):
    """The function that makes new arrays: the workspace's, or xp.empty without one (CuPy reuses memory by itself)."""
    return xp.empty if workspace is None or xp is not np else workspace.empty


class _Loan:
    """What an array on a block refers to, through all its views; when the last of them is gone the block goes home."""

    def __init__(self, block, home, shape, dtype):
        self.block, self.home = block, home
        self.__array_interface__ = {**block.__array_interface__, "shape": shape, "typestr": dtype.str}

    def __del__(self):
        self.home.append(self.block)

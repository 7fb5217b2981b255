"""Reused memory: the large arrays of a training step lie where those of the step before lay.

A fresh large array has a cost. The system hands its memory out page by page, at the first touch, and sets each page to
zero. An array that is dropped goes back to the system, and the next step asks for it again. A network at full size
touches a gigabyte a step in this way.

A Workspace lends blocks of memory instead. Its `empty` works like numpy.empty. When an array and all its views are
gone, its block is free for the next array that fits. Nobody has to hand a block back, and no block is lent twice.
By default all large arrays come from COMMON, which keeps little memory: enough for a loop over the layers of a small
network. `layer.use(Workspace())` lets a network's large arrays come from a workspace of its own, which keeps all memory
that it ever lent. Dropping the workspace, or `layer.use(None)`, gives this memory back.
"""

import math
import threading
from collections import deque

import numpy as np

LEAST_BYTES = 1 << 18  # smaller arrays come from numpy.empty: malloc reuses small memory by itself


class Workspace:
    """Blocks of memory for arrays, see above. Several threads may use it.

    most   bytes of free blocks to keep at most; None: no limit. With a limit, an array gets at most twice the memory
           that it needs, so that a small array that is held for long does not hold a large block
    """

    def __init__(self, most=None):
        self.most = most
        self._returned = deque()  # blocks whose arrays are gone; one may be appended at any moment, even during `empty`
        self._free = []
        self._lock = threading.Lock()

    def empty(self, shape, dtype=np.float64):
        """Like numpy.empty: an array of this shape, with whatever numbers its memory held."""
        dtype = np.dtype(dtype)
        shape = shape if isinstance(shape, tuple) else (shape,)
        size = math.prod(shape) * dtype.itemsize
        if size < LEAST_BYTES:
            return np.empty(shape, dtype)
        return np.asarray(_Loan(self._block(size), self._returned, shape, dtype))

    def __deepcopy__(self, memo):
        """A copied network keeps the same workspace."""
        return self

    def __reduce__(self):
        """A pickled network gets an empty workspace of its own."""
        return type(self), (self.most,)

    def _block(self, size):
        """The smallest free block that is large enough, or a new one.

        A new block replaces the largest free one. So there are never more blocks than arrays that were alive at once.
        """
        with self._lock:
            while self._returned:
                self._free.append(self._returned.popleft())
            self._free.sort(key=len)
            found = next((place for place, block in enumerate(self._free) if len(block) >= size), None)
            if found is not None and (self.most is None or len(self._free[found]) <= 2 * size):
                return self._free.pop(found)
            if self.most is None:
                del self._free[-1:]
            else:
                self._drop(size)
        return np.empty(size, np.uint8)

    def _drop(self, size):
        """Drop the largest free blocks until the others and `size` new bytes together keep the limit."""
        total = size + sum(map(len, self._free))
        while self._free and total > self.most:
            total -= len(self._free.pop())


COMMON = Workspace(most=1 << 27)


def empty_from(workspace, xp):
    """The function that makes new arrays: `empty` of the workspace or of COMMON. CuPy reuses memory by itself."""
    return xp.empty if xp is not np else (workspace or COMMON).empty


class _Loan:
    """The owner of an array's memory. All views refer to it; when the last view is gone, the block is returned."""

    def __init__(self, block, home, shape, dtype):
        self.block, self.home = block, home
        self.__array_interface__ = {**block.__array_interface__, "shape": shape, "typestr": dtype.str}

    def __del__(self):
        self.home.append(self.block)

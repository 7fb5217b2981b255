"""Reused memory: the large arrays of a training step lie where those of the step before lay.

A fresh large array has a cost. The system hands its memory out page by page, at the first touch, and sets each page to
zero. An array that is dropped goes back to the system, and the next step asks for it again. A network at full size
touches a gigabyte a step in this way.

A Workspace lends parts of its own blocks of memory instead. Its `empty` works like numpy.empty. When an array and all
its views are gone, its part is free for the next arrays. Free neighbours become one part again. So many smaller maps
can use the memory of the first layer's map. Blocks are large: this costs addresses but no memory, since the system
hands memory out only where it is touched. The more parts have neighbours, the less is ever touched. In all, a workspace
takes little more memory than the arrays that exist at the same time (tests/models/test_memory.py). Nobody has to hand a
part back, and no part is lent twice.

By default arrays come from COMMON. It keeps at most 64 MiB: enough for a loop over the layers of a small network.
`layer.use(Workspace())` lets a network's large arrays come from a workspace of its own, which keeps all of its memory.
Dropping the workspace, or `layer.use(None)`, gives it back, once no array of it is in use. An array that is kept, such
as the scores of a picture, holds its whole block: copy what you keep for long.
"""

import math
import threading
from collections import deque
from typing import NamedTuple

import numpy as np

from fcn_from_scratch.browser import IN_BROWSER

BLOCK_BYTES = 0 if IN_BROWSER else 1 << 28  # of a block at least; a browser hands out all memory at once
LEAST_BYTES = 1 << 18  # smaller arrays come from numpy.empty: malloc reuses small memory by itself
PAGE = 4096  # bytes; parts begin and end at multiples of it, so that arrays lie in memory as numpy.empty's do


class Part(NamedTuple):
    """The bytes start ... stop - 1 of a block of memory, an array of uint8."""

    block: np.ndarray
    start: int
    stop: int

    @property
    def nbytes(self):
        return self.stop - self.start

    @property
    def is_whole(self):
        """Whether it is the whole block."""
        return self.nbytes == self.block.nbytes

    def follows(self, other):
        """Whether it begins where the other one ends."""
        return self.block is other.block and self.start == other.stop


class Workspace:
    """Blocks of memory for arrays, see above. Several threads may use it.

    most   bytes of free memory to keep at most; None: no limit. With a limit, arrays of more than a quarter of it come
           from numpy.empty, and no block is larger than the array for which it is made
    block  bytes of a new block at least, if there is no limit
    """

    def __init__(self, most=None, block=BLOCK_BYTES):
        self.most, self.block = most, block if most is None else 0
        self._returned = deque()  # parts whose arrays are gone; one may be appended at any moment, even during `empty`
        self._free = []  # no two of these touch
        self._lock = threading.Lock()

    def empty(self, shape, dtype=np.float64):
        """Like numpy.empty: an array of this shape, with whatever numbers its memory held."""
        dtype = np.dtype(dtype)
        shape = shape if isinstance(shape, tuple) else (shape,)
        size = math.prod(shape) * dtype.itemsize
        if size < LEAST_BYTES or (self.most is not None and size > self.most // 4):
            return np.empty(shape, dtype)
        return np.asarray(_Loan(self._part(-(-size // PAGE) * PAGE), self._returned, shape, dtype))

    @property
    def free_bytes(self):
        """The memory that it holds and that no array uses, in bytes."""
        with self._lock:
            self._take_back()
            return sum(part.nbytes for part in self._free)

    def __deepcopy__(self, memo):
        """A copied network keeps the same workspace."""
        return self

    def __reduce__(self):
        """A pickled network gets an empty workspace of its own."""
        return type(self), (self.most, self.block)

    def _part(self, size):
        """A part of the smallest free part that is large enough, or a new block.

        A new block replaces the largest block that is free as a whole. So the memory that is kept does not grow without
        end.
        """
        with self._lock:
            self._take_back()
            large = [part for part in self._free if part.nbytes >= size]
            if large:
                return self._cut(min(large, key=lambda part: part.nbytes), size)
            unused = [part for part in self._free if part.is_whole]
            if unused:
                self._drop(max(unused, key=lambda part: part.nbytes))
            block = self._new_block(size)
            self._free.append(Part(block, 0, block.nbytes))
            return self._cut(self._free[-1], size)

    def _new_block(self, size):
        """Memory for `size` bytes, and for more where the system grants it."""
        try:
            return np.empty(max(size, self.block), np.uint8)
        except MemoryError:  # there may be a limit on addresses
            return np.empty(size, np.uint8)

    def _cut(self, part, size):
        """The first `size` bytes of a free part. The rest stays free."""
        self._drop(part)
        middle = part.start + size
        if middle < part.stop:
            self._free.append(part._replace(start=middle))
        return part._replace(stop=middle)

    def _drop(self, part):
        self._free = [free for free in self._free if free is not part]

    def _take_back(self):
        """Join every part that was returned with its free neighbours."""
        while self._returned:
            part, apart = self._returned.popleft(), []
            for free in self._free:
                if part.follows(free):
                    part = part._replace(start=free.start)
                elif free.follows(part):
                    part = part._replace(stop=free.stop)
                else:
                    apart.append(free)
            self._free = [*apart, part]
        while self.most is not None and sum(part.nbytes for part in self._free) > self.most:
            unused = [part for part in self._free if part.is_whole]
            if not unused:
                return
            self._drop(max(unused, key=lambda part: part.nbytes))


COMMON = Workspace(most=1 << 26)


def empty_from(workspace, xp):
    """The function that makes new arrays: `empty` of the workspace or of COMMON. CuPy reuses memory by itself."""
    return xp.empty if xp is not np else (workspace or COMMON).empty


class _Loan:
    """The owner of an array's memory. All views refer to it; when the last view is gone, the part is returned."""

    def __init__(self, part, home, shape, dtype):
        self.part, self.home = part, home
        place = part.block.__array_interface__["data"][0] + part.start  # takes a third of the time of block.ctypes
        self.__array_interface__ = {"version": 3, "data": (place, False), "shape": shape, "typestr": dtype.str}

    def __del__(self):
        self.home.append(self.part)

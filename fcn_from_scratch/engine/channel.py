"""Objects sent to another process, with their arrays in memory that both processes see.

An object is pickled. The arrays in it are not: their numbers are copied into a block of shared memory, and the pickled
bytes, which go through a pipe, say where. The receiver's arrays are views of the block.
"""

import io
import mmap
import os
import pickle

import numpy as np

from fcn_from_scratch.backend import memory_order

ALIGNMENT = 64  # bytes: each array begins at a multiple of it


class Channel:
    """One direction between two processes: `send` in the one, `receive` in the other.

    pipe    a binary file, opened for writing in the sender and for reading in the receiver
    memory  the descriptor of a file in memory, for the numbers of the arrays (os.memfd_create)
    """

    def __init__(self, pipe, memory):
        self.pipe, self.memory = pipe, memory
        self._block, self._end = None, 0

    def send(self, value, keep=False):
        """Send an object.

        keep   keep the arrays that were sent before; otherwise their memory is used again
        Raises: whatever pickle raises if it cannot pickle the object, before anything is sent; OSError if the other
        process is gone.
        """
        stream, arrays, places, end = io.BytesIO(), [], [], self._end if keep else 0
        _Pickler(stream, 5, buffer_callback=lambda array: arrays.append(array.raw())).dump(value)
        for array in arrays:
            places.append((end, array.nbytes))
            end += -(-array.nbytes // ALIGNMENT) * ALIGNMENT
        self._end, block = end, self._of_size(end)
        for (start, size), array in zip(places, arrays):
            block[start : start + size] = array
        pickle.dump((stream.getvalue(), places, len(block)), self.pipe)
        self.pipe.flush()

    def receive(self):
        """Wait for an object. Its arrays hold until the sender uses their memory again.

        Raises: EOFError if the other process is gone; whatever pickle raises if it cannot rebuild the object.
        """
        text, places, size = pickle.load(self.pipe)
        block = memoryview(self._of_size(size))
        return pickle.loads(text, buffers=[block[start : start + size] for start, size in places])

    def _of_size(self, size):
        """The block, with at least `size` bytes."""
        size = max(size, ALIGNMENT)  # an empty file cannot be mapped
        if self._block is None or len(self._block) < size:
            if os.fstat(self.memory).st_size < size:
                os.ftruncate(self.memory, size)
            self._block = mmap.mmap(self.memory, size)
        return self._block


class _Pickler(pickle.Pickler):
    """Keeps the order in which an array lies in memory, such as channels last. The receiver's speed depends on it."""

    def reducer_override(self, value):
        if type(value) is not np.ndarray or value.flags.c_contiguous:
            return NotImplemented
        order, back = memory_order(value)
        return np.transpose, (np.ascontiguousarray(value.transpose(order)), back)

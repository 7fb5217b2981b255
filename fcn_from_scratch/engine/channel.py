"""Objects sent to another process, with their arrays in memory that both processes see.

An object is pickled. The arrays in it are not: their numbers are copied into a block of shared memory, and the pickled
bytes say where. The receiver's arrays are views of the block. The pickled bytes are in the block too. Only their place
goes through a pipe. So a sender never has to wait until the receiver has read: a pipe holds thousands of places.
"""

import copyreg
import io
import mmap
import os
import pickle
import struct

import numpy as np

from fcn_from_scratch.backend import memory_order

ALIGNMENT = 64  # bytes: each array begins at a multiple of it
PLACE = struct.Struct("3Q")  # where the pickled bytes begin and end, and the size of the block


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
        text = pickle.dumps((stream.getvalue(), places))
        self._end = end + -(-len(text) // ALIGNMENT) * ALIGNMENT
        block = self._of_size(self._end)
        for (start, size), array in zip(places, arrays):
            block[start : start + size] = array
        block[end : end + len(text)] = text
        self.pipe.write(PLACE.pack(end, end + len(text), len(block)))
        self.pipe.flush()

    def receive(self):
        """Wait for an object. Its arrays hold until the sender uses their memory again.

        Raises: EOFError if the other process is gone; whatever pickle raises if it cannot rebuild the object.
        """
        place = self.pipe.read(PLACE.size)
        if len(place) < PLACE.size:
            raise EOFError("the other process has ended")
        start, stop, size = PLACE.unpack(place)
        block = memoryview(self._of_size(size))
        text, places = pickle.loads(block[start:stop])
        return pickle.loads(text, buffers=[block[start : start + size] for start, size in places])

    def _of_size(self, size):
        """The block, with at least `size` bytes."""
        size = max(size, ALIGNMENT)  # an empty file cannot be mapped
        if self._block is None or len(self._block) < size:
            if os.fstat(self.memory).st_size < size:
                os.ftruncate(self.memory, size)
            self._block = mmap.mmap(self.memory, size)
        return self._block


def _in_memory_order(array):
    """How pickle takes an array apart: so that it lies in memory as before, such as channels last.

    The receiver's speed depends on that.
    """
    if array.flags.c_contiguous:
        return array.__reduce_ex__(5)
    order, back = memory_order(array)
    return np.transpose, (np.ascontiguousarray(array.transpose(order)), back)


class _Pickler(pickle.Pickler):
    dispatch_table = copyreg.dispatch_table | {np.ndarray: _in_memory_order}

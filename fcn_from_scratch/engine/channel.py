"""Objects sent to another process, with their arrays in memory that both processes see.

An object is pickled. The arrays in it are not: their numbers are copied into a block of shared memory, and the pickled
bytes say where. The receiver's arrays are views of the block. The pickled bytes are in the block too. Only the position
of a message goes through a pipe. So a sender never waits for the receiver: a pipe has room for thousands of positions.
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
POSITION = struct.Struct("4Q")  # where a message begins, its pickled bytes begin and end, and the size of the block


class Channel:
    """One direction between two processes: `send` in the one, `receive` in the other.

    pipe    a binary file, opened for writing in the sender and for reading in the receiver
    memory  the descriptor of a file in memory, for the numbers of the arrays (os.memfd_create)
    """

    def __init__(self, pipe, memory):
        self.pipe, self.memory = pipe, memory
        self._block, self._messages = None, []  # where those that are still needed begin and end

    def send(self, value, keep=0):
        """Send an object.

        keep   how many of the messages that were sent last are still needed; None: all. The memory of the others is
               used again
        Raises: whatever pickle raises if it cannot pickle the object, before anything is sent; OSError if the other
        process is gone.
        """
        stream, arrays, places, size = io.BytesIO(), [], [], 0
        _Pickler(stream, 5, buffer_callback=lambda array: arrays.append(array.raw())).dump(value)
        for array in arrays:
            places.append((size, array.nbytes))
            size += _aligned(array.nbytes)
        text = pickle.dumps((stream.getvalue(), places))
        begin = self._room(size + _aligned(len(text)), keep)
        block = memoryview(self._block)[begin:]
        for (start, length), array in zip(places, arrays):
            block[start : start + length] = array
        block[size : size + len(text)] = text
        self.pipe.write(POSITION.pack(begin, begin + size, begin + size + len(text), len(self._block)))
        self.pipe.flush()

    def receive(self):
        """Wait for an object. Its arrays are valid until the sender uses their memory again.

        Raises: EOFError if the other process is gone; whatever pickle raises if it cannot rebuild the object.
        """
        position = self.pipe.read(POSITION.size)
        if len(position) < POSITION.size:
            raise EOFError("the other process has ended")
        begin, start, stop, size = POSITION.unpack(position)
        self._grow(size)
        block = memoryview(self._block)
        text, places = pickle.loads(block[start:stop])
        block = block[begin:]
        return pickle.loads(text, buffers=[block[start : start + length] for start, length in places])

    def _room(self, size, keep):
        """Where a message of this size may begin: before those that are still needed if it fits there, or after."""
        if keep is not None:
            del self._messages[: len(self._messages) - keep]
        begin = 0
        if self._messages and size > min(start for start, _ in self._messages):
            begin = max(stop for _, stop in self._messages)
        self._messages.append((begin, begin + size))
        self._grow(begin + size)
        return begin

    def _grow(self, size):
        """Let the block have at least this size."""
        size = max(size, ALIGNMENT)  # an empty file cannot be mapped
        if self._block is None or len(self._block) < size:
            if os.fstat(self.memory).st_size < size:
                os.ftruncate(self.memory, size)
            self._block = mmap.mmap(self.memory, size)


def _aligned(size):
    return -(-size // ALIGNMENT) * ALIGNMENT


def _in_memory_order(array):
    """Tell pickle how to save an array so that the copy has the same order in memory, such as channels last.

    The receiver's speed depends on this order.
    """
    if array.flags.c_contiguous:
        return array.__reduce_ex__(5)
    order, back = memory_order(array)
    return np.transpose, (np.ascontiguousarray(array.transpose(order)), back)


class _Pickler(pickle.Pickler):
    dispatch_table = copyreg.dispatch_table | {np.ndarray: _in_memory_order}

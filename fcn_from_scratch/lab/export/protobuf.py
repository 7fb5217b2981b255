"""Write the wire format of protocol buffers. weights.protobuf reads it."""

import struct

import numpy as np

from fcn_from_scratch.lab.export.tensors import in_order

VARINT, LENGTH, FIXED32 = 0, 2, 5  # wire types


class Message:
    """A message in the making. Arrays in it are not copied before they are written.

    Each method adds one field, with its number, and returns the message.
    """

    def __init__(self):
        self.parts, self.size = [], 0

    def integer(self, number, value):
        return self._add(_varint(number << 3 | VARINT) + _varint(value))

    def real(self, number, value):
        """A float of 32 bits."""
        return self._add(_varint(number << 3 | FIXED32) + struct.pack("<f", value))

    def text(self, number, words):
        data = words.encode()
        return self._add(_varint(number << 3 | LENGTH) + _varint(len(data)) + data)

    def array(self, number, array):
        """The bytes of an array."""
        self._add(_varint(number << 3 | LENGTH) + _varint(array.nbytes))
        self.parts.append(array)
        self.size += array.nbytes
        return self

    def message(self, number, other):
        self._add(_varint(number << 3 | LENGTH) + _varint(other.size))
        self.parts.append(other)
        self.size += other.size
        return self

    def write(self, file):
        for part in self.parts:
            if isinstance(part, Message):
                part.write(file)
            else:
                file.write(in_order(part) if isinstance(part, np.ndarray) else part)

    def _add(self, data):
        self.parts.append(data)
        self.size += len(data)
        return self


def _varint(value):
    """A number in bytes of seven bits, the lowest first; the top bit of a byte says that another one follows."""
    value &= 2**64 - 1  # a negative number as its 64 bits
    data = bytearray()
    while value > 127:
        data.append(value & 127 | 128)
        value >>= 7
    return bytes([*data, value])

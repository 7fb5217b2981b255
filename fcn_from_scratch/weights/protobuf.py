"""Read the wire format of protocol buffers. A message is a sequence of (field number, value) without any meaning."""

import struct

import numpy as np

from fcn_from_scratch.checks import InputError
from fcn_from_scratch.weights.trust import CHUNK, size_of

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5  # the wire types; Caffe's files have no 3 and 4 (groups)
SIZES = {FIXED32: 4, FIXED64: 8}
MOST_FIELDS = 500_000  # the most fields of a whole file; a run of numbers counts once
MOST_TEXT = 1000  # the most bytes of a name or a shape


class Reader:
    """Walk through the messages of an open file.

    A message is a span (start, stop) of bytes. It is read when it is asked for.
    """

    def __init__(self, file):
        self.file = file
        self.span = (0, size_of(file))
        self.fields_left = MOST_FIELDS

    def fields(self, span):
        """Yield (number, wire type, value) for each field of a message.

        The value of VARINT is an int, and that of LENGTH a span. Fields of FIXED32 or FIXED64 with one number that
        follow each other are yielded as one: the value is the span of the whole run, tags included.
        """
        place, stop = span
        while place < stop:
            self.fields_left -= 1
            if self.fields_left < 0:
                raise InputError(f"it has more than {MOST_FIELDS} fields: this is not a file of weights")
            start = place
            self.file.seek(start)
            tag = self._varint()
            number, wire = tag >> 3, tag & 7
            if wire in SIZES:
                place = self.file.tell() + SIZES[wire]
                place = self._end_of_run(tag, SIZES[wire], place, stop)
                value = (start, place)
            elif wire in (VARINT, LENGTH):
                value = self._varint()
                place = self.file.tell()
                if wire == LENGTH:
                    value = (place, place + value)
                    place = value[1]
            if number == 0 or wire not in (VARINT, LENGTH, *SIZES):
                raise InputError(f"at byte {start} is no field: its number is {number}, its wire type {wire}")
            if place > stop:
                raise InputError(f"the field at byte {start} ends at {place}, after its message, which ends at {stop}")
            yield number, wire, value

    def text(self, wire, value):
        """Read a short string."""
        return self._read(wire, value).decode()

    def integers(self, wire, value):
        """Read int64 numbers of a repeated field. Packed, they are all there; otherwise it is one of them."""
        if wire == VARINT:
            return [_signed(value)]
        self._read(wire, value)
        self.file.seek(value[0])
        numbers = []
        while self.file.tell() < value[1]:
            numbers.append(_signed(self._varint()))
        return numbers

    def append(self, data, wire, value, itemsize):
        """Append the numbers of a repeated field, packed or one by one, to the bytearray `data`."""
        if wire != LENGTH and SIZES.get(wire) != itemsize:
            raise InputError(f"numbers of {itemsize} bytes have the wire type {wire}")
        place, stop = value
        record = itemsize if wire == LENGTH else 1 + itemsize
        if (stop - place) % record:
            raise InputError(f"{stop - place} bytes hold no whole number of numbers")
        self.file.seek(place)
        while place < stop:
            part = self.file.read(min(CHUNK // record * record, stop - place))
            if len(part) % record or not part:
                raise InputError(f"it ends inside a row of numbers that should end at byte {stop}")
            data += part if wire == LENGTH else _records(part, itemsize)["number"].tobytes()
            place += len(part)

    def _end_of_run(self, tag, itemsize, place, stop):
        """Find where a run of fields with the same tag ends. Each field is the tag and `itemsize` bytes.

        The run is known to reach up to `place`. Writers that do not know packed numbers make such runs; reading the
        fields one by one would take minutes. It is read in pieces that grow with it, so that a run that ends at once
        costs one byte.
        """
        size = 1
        while tag < 128 and place < stop:
            self.file.seek(place)
            if self.file.read(1) != bytes([tag]):
                break
            self.file.seek(place)
            size = min(64 * size, CHUNK)
            part = self.file.read(min(size, stop - place))
            records = _records(part[: len(part) // (1 + itemsize) * (1 + itemsize)], itemsize)
            others = np.flatnonzero(records["tag"] != tag)
            count = int(others[0]) if others.size else len(records)
            place += count * (1 + itemsize)
            if others.size or not count:
                break
        return place

    def _read(self, wire, value):
        if wire != LENGTH or value[1] - value[0] > MOST_TEXT:
            raise InputError("a name or a shape is none: this is not a file of weights")
        self.file.seek(value[0])
        return self.file.read(value[1] - value[0])

    def _varint(self):
        """Read a number. Each byte holds seven bits, the lowest first; its top bit says whether more bytes follow."""
        value = 0
        for shift in range(0, 70, 7):
            byte = self.file.read(1)
            if not byte:
                raise InputError("it ends in the middle of a number")
            value |= (byte[0] & 127) << shift
            if byte[0] < 128:
                return value & (2**64 - 1)
        raise InputError("it has a number of more than 64 bits")


def _records(part, itemsize):
    return np.frombuffer(part, [("tag", np.uint8), ("number", np.void, itemsize)])


def _signed(value):
    return struct.unpack("<q", struct.pack("<Q", value))[0]

"""Exercise 15.1, trace: the fields of a .caffemodel.

A protocol buffer is a sequence of fields. Each field here is a tag, a length, and that many
bytes. Tag and length are varints: seven bits in each byte, the lowest first; the top bit of
a byte says that more bytes follow. The tag is 8 * number + 2.

Write `read_fields(data)`. It returns a list of pairs (number, content), where content is a
`bytes` object. Try it on this file, field by field, and find the layer's name and the
weight's shape and value:

    a2 06 11 0a 01 73 3a 0c 2a 04 00 00 00 40 3a 04 0a 02 01 01
"""


def read_fields(data):
    """The fields of a message: [(number, content), ...]."""

    # BEGIN SOLUTION
    def varint(position):
        value, shift = 0, 0
        while True:
            byte = data[position]
            value |= (byte & 127) << shift
            position, shift = position + 1, shift + 7
            if byte < 128:
                return value, position

    fields, position = [], 0
    while position < len(data):
        tag, position = varint(position)
        length, position = varint(position)
        fields.append((tag // 8, data[position : position + length]))
        position += length
    # The file of the exercise: field 100 is a layer of 17 bytes. Its field 1 is the name
    # "s", its field 7 a blob of 12 bytes. The blob's field 5 is the float 2.0 (00 00 00
    # 40), its field 7 the shape: field 1 with 1 and 1.
    return fields
    # END SOLUTION


# --- check

_FILE = bytes.fromhex("a206110a01733a0c2a04000000403a040a020101")


def cases(rng):
    long = bytes(rng.integers(0, 256, 300, dtype="uint8"))
    return [
        (bytes.fromhex("0a0173"),),
        (_FILE[3:],),
        (_FILE,),
        (bytes([8 * 5 + 2, 0xAC, 0x02]) + long + bytes([8 * 9 + 2, 0]),),
    ]


def expected(data):
    """Every case by hand, from the bytes that it was made of."""
    if data == bytes.fromhex("0a0173"):
        return [(1, b"s")]
    if data == _FILE[3:]:
        return [(1, b"s"), (7, _FILE[8:])]
    if data == _FILE:
        return [(100, _FILE[3:])]
    return [(5, data[3:303]), (9, b"")]


def _one_byte_tags(data):
    fields, position = [], 0
    while position + 1 < len(data):
        tag, length = data[position], data[position + 1]
        fields.append((tag // 8, data[position + 2 : position + 2 + length]))
        position += 2 + length
    return fields


def _tag_for_number(data):
    return [(8 * number + 2, content) for number, content in expected(data)]


def _without_content(data):
    return [(number, len(content)) for number, content in expected(data)]


MISTAKES = {
    "tags and lengths may take several bytes: go on while the top bit is set": _one_byte_tags,
    "the field's number is the tag without its lowest three bits: tag // 8": _tag_for_number,
    "return the bytes of each field, not their number": _without_content,
}

"""Write pickles by hand. A pickle is a program for a stack machine; each function here returns a part of a program.

Every part leaves one value on the stack. Only instructions of protocol 2 are used, which torch.load(weights_only=True)
accepts. weights.pickles is the machine that runs such programs.
"""

import struct

EMPTY_DICT = b"}"
FALSE = b"\x89"


def program(value):
    """A whole pickle: the protocol's number, the value, and the end."""
    return b"\x80\x02" + value + b"."


def text(words):
    data = words.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def integer(number):
    """An integer that is not negative and below 2**63."""
    if number < 0x80000000:
        return b"J" + struct.pack("<i", number)
    return b"\x8a\x08" + struct.pack("<q", number)


def integers(numbers):
    """A tuple of integers."""
    return sequence(*map(integer, numbers))


def sequence(*values):
    """A tuple."""
    return b"(" + b"".join(values) + b"t"


def named(module, name):
    """A class or function, which the reader looks up."""
    return f"c{module}\n{name}\n".encode()


def called(function, *arguments):
    """The result of a call."""
    return function + sequence(*arguments) + b"R"


def filled(dictionary, entries):
    """A dict with entries: pairs of a key, a string, and a value."""
    return dictionary + b"(" + b"".join(text(key) + value for key, value in entries) + b"u"


def with_attributes(value, attributes):
    """A value with attributes, which are the entries of a dict."""
    return value + attributes + b"b"


def persistent(identity):
    """What lies outside of the pickle; the format around it defines what `identity` means."""
    return identity + b"Q"

"""A pickle is a program for a small stack machine. This is that machine without the instructions that can do harm.

Python's own machine looks up any function that the file names and calls it. This one builds numbers, text, tuples,
lists and dicts, and calls only the functions that it is given. Everything else that a file names, makes or calls
becomes a Placeholder: see placeholders.py. An instruction that no trainer's file has is refused, and the message names
it. The cost of a hostile file is bounded: see MOST_BYTES and MOST_STEPS. Nothing here is recursive.
"""

import pickletools
import struct
from types import FunctionType

from fcn_from_scratch.checks import InputError
from fcn_from_scratch.weights.placeholders import Placeholder, dotted
from fcn_from_scratch.weights.trust import CHUNK

MOST_BYTES = 16 << 20  # the most bytes of a program; the program of 100 arrays has 10 KB
MOST_STEPS = 1 << 20  # the most instructions; each makes at most one small object
MOST_DIGITS = 64  # the most characters of a number that is written out
MOST_LETTERS = 4096  # the most characters of the name of a module or a class
MOST_BYTES_OF_INTEGER = 255  # a longer one becomes a Placeholder
MOST_INTEGER = 1 << 60  # the keys of a dict are below this; larger ones can be made to collide

_CONSTANTS = {b"N": None, b"\x88": True, b"\x89": False}
_EMPTY = {b")": tuple, b"]": list, b"}": dict}
_NUMBERS = {b"K": "<B", b"M": "<H", b"J": "<i", b"G": ">d"}
_TUPLES = {b"\x85": 1, b"\x86": 2, b"\x87": 3}
# instruction: (the form of the string's length, the encoding of its bytes). Python 2 wrote byte strings with U and T.
_STRINGS = {
    b"U": ("<B", "latin-1"),
    b"T": ("<i", "latin-1"),
    b"\x8c": ("<B", "utf-8"),
    b"X": ("<I", "utf-8"),
    b"\x8d": ("<Q", "utf-8"),
    b"C": ("<B", None),
    b"B": ("<I", None),
    b"\x8e": ("<Q", None),
    b"\x96": ("<Q", None),  # a bytearray
}
_PUT = {b"q": "<B", b"r": "<I"}
_GET = {b"h": "<B", b"j": "<I"}


class Machine:
    """Run one pickle from a stream.

    globals        what the pickle may name: "module name" -> a value. Functions among the values may be called
    persistent_id  a function that resolves references whose meaning the format around the pickle defines
    After the run, `unknown` has a Placeholder for everything else that the pickle names.
    """

    def __init__(self, stream, globals, persistent_id=None):
        self.stream = stream
        self.globals = globals
        self.persistent_id = persistent_id
        self.stack, self.marks, self.memo = [], [], {}
        self.unknown = {}
        self.bytes_left = MOST_BYTES

    def run(self, most_steps=None):
        """Run the pickle, of at most MOST_STEPS instructions or fewer. Returns: the value that it describes.

        Raises: InputError for everything that a pickle must not do here, and for a damaged pickle.
        """
        most_steps = most_steps or MOST_STEPS
        for _ in range(most_steps):
            instruction = self.take(1)
            if instruction == b".":
                return self.pop()
            self.step(instruction)
        raise InputError(f"its pickle has more than {most_steps} instructions: this is not a file of weights")

    def step(self, op):
        push = self.stack.append
        if op in _CONSTANTS:
            push(_CONSTANTS[op])
        elif op in _EMPTY:
            push(_EMPTY[op]())
        elif op in _NUMBERS:
            push(self.number(_NUMBERS[op]))
        elif op in _STRINGS:
            push(self.string(*_STRINGS[op]))
        elif op in _TUPLES:
            push(tuple(self.top(_TUPLES[op])))
        elif op in _PUT:
            self.memo[self.number(_PUT[op])] = self.peek()
        elif op in _GET:
            push(self.recall(self.number(_GET[op])))
        elif op in _METHODS:
            _METHODS[op](self)
        else:
            name = pickletools.code2op[op.decode("latin-1")].name if op.decode("latin-1") in pickletools.code2op else op
            raise InputError(f"its pickle uses the instruction {name}, which building arrays does not need")

    # --- reading the program -------------------------------------------------------------------------------

    def spend(self, count):
        """Count bytes that are read, and values that a function copies: a pickle could copy a long text many times."""
        self.bytes_left -= count
        if count < 0 or self.bytes_left < 0:
            raise InputError(f"its pickle is longer than {MOST_BYTES} bytes: this is not a file of weights")

    def take(self, count):
        self.spend(count)
        data = self.stream.read(min(count, CHUNK))  # in pieces, since read allocates all it is asked for
        while len(data) < count and (part := self.stream.read(min(count - len(data), CHUNK))):
            data += part
        if len(data) < count:
            raise InputError("its pickle ends in the middle")
        return data

    def number(self, form):
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def string(self, form, encoding):
        data = self.take(self.number(form))
        return data if encoding is None else data.decode(encoding)

    def line(self, most=MOST_DIGITS):
        data = self.stream.readline(most + 1)
        self.spend(len(data))
        if not data.endswith(b"\n"):
            raise InputError(f"its pickle has a name or number of more than {most} characters, or ends in one")
        return data[:-1].decode()

    # --- the stack -----------------------------------------------------------------------------------------

    def peek(self):
        if len(self.stack) <= (self.marks[-1] if self.marks else 0):
            raise InputError("its pickle takes a value that is not there")
        return self.stack[-1]

    def pop(self):
        self.peek()
        return self.stack.pop()

    def top(self, count):
        """Pop the last `count` values. Returns: a list, in the order they were pushed."""
        return [self.pop() for _ in range(count)][::-1]

    def since_mark(self):
        """Pop the values since the last mark, and the mark."""
        if not self.marks:
            raise InputError("its pickle goes back to a mark it never set")
        place = self.marks.pop()
        values = self.stack[place:]
        del self.stack[place:]
        return values

    def recall(self, key):
        if key not in self.memo:
            raise InputError(f"its pickle recalls value {key}, which it never stored")
        return self.memo[key]

    # --- instructions --------------------------------------------------------------------------------------

    def mark(self):
        self.marks.append(len(self.stack))

    def append(self):
        value = self.pop()
        self.collection(list).append(value)

    def appends(self):
        values = self.since_mark()
        self.collection(list).extend(values)

    def set_item(self):
        key, value = self.top(2)
        self.collection(dict)[dict_key(key)] = value

    def set_items(self):
        values = self.since_mark()
        if len(values) % 2:
            raise InputError("its pickle has a dict with a key and no value")
        self.collection(dict).update((dict_key(k), v) for k, v in zip(values[::2], values[1::2]))

    def collection(self, kind):
        if isinstance(self.peek(), Placeholder):
            return self._items_of(self.peek()) if kind is dict else kind()  # what else is put into it is forgotten
        if not isinstance(self.peek(), kind):
            raise InputError(f"its pickle adds to a {type(self.peek()).__name__} as to a {kind.__name__}")
        return self.peek()

    @staticmethod
    def _items_of(placeholder):
        if placeholder.items is None:
            placeholder.items = {}
        return placeholder.items

    def dictionary(self):
        values = self.since_mark()
        self.stack.append({})
        self.mark()
        self.stack.extend(values)
        self.set_items()

    def place(self):
        """A number in the memo, written out. Larger ones than pickles have could be made to collide in a dict."""
        number = int(self.line())
        if not 0 <= number < MOST_STEPS:
            raise InputError("its pickle stores more values than it has instructions: this is not a file of weights")
        return number

    def integer_line(self):
        text = self.line()
        self.stack.append({"00": False, "01": True}[text] if text in ("00", "01") else int(text.rstrip("L")))

    def long(self):
        self.stack.append(int.from_bytes(self.take(self.number("<B")), "little", signed=True))

    def long_integer(self):
        """An integer of any length. Weights need none above a few bytes, and such a number is slow to write out."""
        size = self.number("<i")
        data = self.take(size)
        is_small = size <= MOST_BYTES_OF_INTEGER
        self.stack.append(int.from_bytes(data, "little", signed=True) if is_small else Placeholder("a long integer"))

    def memoize(self):
        self.memo[len(self.memo)] = self.peek()

    def look_up(self, module, name):
        full = f"{module} {name}"
        if full in self.globals:
            self.stack.append(self.globals[full])
            return
        name = dotted(module, name)
        self.stack.append(self.unknown.setdefault(name, Placeholder(name)))

    def stack_global(self):
        module, name = self.top(2)
        if not isinstance(module, str) or not isinstance(name, str):
            raise InputError("its pickle names a function by something that is no text")
        self.look_up(module, name)

    def reduce(self):
        function, arguments = self.top(2)
        if isinstance(function, Placeholder):
            self.spend(_length_of_first(arguments))
            self.stack.append(function.instance(arguments))
            return
        if not isinstance(function, FunctionType) or not isinstance(arguments, tuple):
            raise InputError(f"its pickle calls a {type(function).__name__}")
        self.spend(sum(len(value) for value in arguments if isinstance(value, (str, bytes, list, tuple))))
        self.stack.append(function(*arguments))

    def new_object(self, parts):
        """Make an object from a class and 1 or 2 more values. It is a Placeholder: nothing is called."""
        kind, arguments, *_ = self.top(parts)
        if not isinstance(kind, Placeholder):
            raise InputError(f"its pickle makes an object of a {type(kind).__name__}")
        self.spend(_length_of_first(arguments))
        self.stack.append(kind.instance(arguments))

    def add_items(self):
        """Fill a set, which is a Placeholder."""
        self.since_mark()
        self.collection(set)

    def frozen_set(self):
        self.since_mark()
        self.stack.append(Placeholder("frozenset"))

    def build(self):
        """Give a value its state. That of a plain dict is ignored, a Placeholder keeps it if it is a dict."""
        target, state = self.top(2)
        if type(target) is Placeholder and isinstance(state, dict):
            target.attributes = state
        self.stack.append(target if type(target) in (dict, Placeholder) else _with_state(target, state))

    def persistent(self):
        if self.persistent_id is None:
            raise InputError("its pickle refers to something outside of it")
        self.stack.append(self.persistent_id(self.pop()))


def _length_of_first(arguments):
    """The number of values that an object copies from what it is made from."""
    return len(arguments[0]) if isinstance(arguments, tuple) and arguments and isinstance(arguments[0], dict) else 0


def _with_state(target, state):
    if not hasattr(target, "with_state"):
        raise InputError(f"its pickle gives a state to a {type(target).__name__}")
    return target.with_state(state)


def dict_key(key):
    """Return the key if it is text or a small integer. Weights have no other keys: in their place is a Placeholder.

    No two of these are equal, so none can be made to collide.
    """
    if isinstance(key, str) or (isinstance(key, int) and abs(key) < MOST_INTEGER):
        return key
    return Placeholder(type(key).__name__)


_METHODS = {
    b"(": Machine.mark,
    b"0": Machine.pop,
    b"1": Machine.since_mark,
    b"2": lambda machine: machine.stack.append(machine.peek()),
    b"a": Machine.append,
    b"e": Machine.appends,
    b"s": Machine.set_item,
    b"u": Machine.set_items,
    b"t": lambda machine: machine.stack.append(tuple(machine.since_mark())),
    b"l": lambda machine: machine.stack.append(machine.since_mark()),
    b"d": Machine.dictionary,
    b"I": Machine.integer_line,
    b"L": Machine.integer_line,
    b"\x8a": Machine.long,
    b"\x8b": Machine.long_integer,
    b"p": lambda machine: machine.memo.__setitem__(machine.place(), machine.peek()),
    b"g": lambda machine: machine.stack.append(machine.recall(int(machine.line()))),
    b"\x94": Machine.memoize,
    b"c": lambda machine: machine.look_up(machine.line(MOST_LETTERS), machine.line(MOST_LETTERS)),
    b"\x93": Machine.stack_global,
    b"R": Machine.reduce,
    b"\x81": lambda machine: machine.new_object(2),
    b"\x92": lambda machine: machine.new_object(3),
    b"\x8f": lambda machine: machine.stack.append(Placeholder("set")),
    b"\x90": Machine.add_items,
    b"\x91": Machine.frozen_set,
    b"b": Machine.build,
    b"Q": Machine.persistent,
    b"\x80": lambda machine: machine.take(1),  # the protocol's number
    b"\x95": lambda machine: machine.take(8),  # a frame's length, which does not matter here
}

"""What a checkpoint says about itself, checked in one place before anybody uses it.

A checkpoint may come from a stranger, or an editor may have slipped. Every entry that the project reads later must have
the type and the range that it is written with. Other entries, of lessons and of a user's own programs, may hold any
value of JSON.
"""

import math
from typing import NamedTuple

from fcn_from_scratch import datasets
from fcn_from_scratch.checks import InputError

FORMAT = 1
LARGEST = 2**53  # the largest integer that every reader of JSON keeps exactly
MOST_LETTERS = 4096  # of a text: the longest path of Linux
LONGEST = 100_000  # entries of a list or a dict; characters of a text
SIDE = 1 << 13  # pixels; a larger crop or drawn picture does not fit into any memory
MOST_SHAPES = 10**5  # that are drawn: more would take hours
MOST_OF_A_STEP = 10**4  # pictures of a batch, batches of a step
CHANNELS = ("num_classes", "width", "in_channels")  # options of networks that their arrays show as a dimension


class Kind(NamedTuple):
    """A type of values: what it is called, and a function that tells whether a value is one."""

    words: str
    holds: object

    def or_none(self):
        return Kind(f"{self.words} or null", lambda value: value is None or self.holds(value))


def _number(value, low, high):
    return type(value) in (int, float) and math.isfinite(value) and low <= value <= high


def _integer(value, low, high=LARGEST):
    return type(value) is int and low <= value <= high


def _list(value, holds, longest=LONGEST):
    return type(value) is list and len(value) <= longest and all(map(holds, value))


def _text(value, longest=MOST_LETTERS):
    """Any text of a bounded length, as people name their classes and folders. Commands print it printable."""
    return type(value) is str and len(value) <= longest


def _one_of(*words):
    return Kind(f"one of {', '.join(words)}", lambda value: value in words if type(value) is str else False)


def _plain(value):
    """Whether a value is a word, a number, a truth value or a short list of these."""
    simple = _text(value) or type(value) is bool or value is None or _number(value, -LARGEST, LARGEST)
    return simple or _list(value, lambda each: type(each) is not list and _plain(each), 1000)


def _option(value):
    """An option of a network: a number, a word, or a few numbers."""
    fine = value is None or type(value) is bool or _text(value) or _number(value, 0, LARGEST)
    return fine or _list(value, lambda each: _integer(each, 0), 64)


TEXT = Kind(f"a text of at most {MOST_LETTERS} letters", _text)
LONG_TEXT = Kind(f"a text of at most {LONGEST} letters", lambda value: _text(value, LONGEST))  # a map of many values
FLAG = Kind("true or false", lambda value: type(value) is bool)
COUNT = Kind("an integer from 1 to 2^53", lambda value: _integer(value, 1))
WHOLE = Kind("an integer from 0 to 2^53", lambda value: _integer(value, 0))
SEED = Kind("an integer from 0 to 2^128", lambda value: _integer(value, 0, 2**128))
RATE = Kind("a number, at least 0", lambda value: _number(value, 0, math.inf))
SHARE = Kind("a number from 0 to 1", lambda value: _number(value, 0, 1))
SIZE = Kind(
    f"two integers from 1 to {SIDE}", lambda value: _list(value, lambda n: _integer(n, 1, SIDE)) and len(value) == 2
)
OF_A_STEP = Kind(f"an integer from 1 to {MOST_OF_A_STEP}", lambda value: _integer(value, 1, MOST_OF_A_STEP))
TEXTS = Kind(f"a list of texts of at most {MOST_LETTERS} letters", lambda value: _list(value, _text))
COLOURS = Kind(
    "a list of [red, green, blue], at most 256",
    lambda value: _list(value, lambda c: _list(c, lambda n: _integer(n, 0, 255)) and len(c) == 3, 256),
)
PLAIN = Kind("a word, a number or a list of these", _plain)
ABSENT = Kind("nothing: no such entry exists", lambda value: False)
BEST_SCORE = Kind(
    "a step and its mean_iu from 0 to 1",
    lambda value: type(value) is dict and _integer(value.get("step"), 0) and _number(value.get("mean_iu"), 0, 1),
)
OPTIONS = Kind(
    "options of a network: words and numbers", lambda value: type(value) is dict and all(map(_option, value.values()))
)
FACTS = Kind(
    "a dict of words and numbers",
    lambda value: type(value) is dict and len(value) <= 100 and all(_text(n) and _plain(v) for n, v in value.items()),
)
DICT = Kind("a dict", lambda value: type(value) is dict and len(value) <= LONGEST)

META = {
    "model": TEXT.or_none(),
    "options": OPTIONS,
    "steps": WHOLE,
    "generators": DICT,
    "batches": DICT,
    "extra": DICT,
}
EXTRA = {
    "arguments": DICT,
    "dataset": TEXT,
    "classes": TEXTS,
    "palette": COLOURS,
    "transform": DICT,
    "rounding": FACTS,
    "best": BEST_SCORE.or_none(),
}
THREE = Kind("three numbers", lambda value: _list(value, lambda n: _number(n, -1e9, 1e9)) and len(value) == 3)
NUMBER = Kind("a number", lambda value: _number(value, -1e9, 1e9))
TRANSFORM = {
    "order": _one_of("BGR", "RGB"),
    "mean": THREE,
    "scale": NUMBER,
    "std": THREE.or_none(),
    "depth_mean": NUMBER,
    "depth_std": NUMBER,
    "hha_mean": THREE,
}
ARGUMENTS = {
    "model": TEXT,
    "recipe": TEXT,
    "dataset": _one_of(*datasets.NAMES).or_none(),
    "root": TEXT.or_none(),
    "sbd": TEXT.or_none(),
    "num_classes": COUNT.or_none(),
    "modality": _one_of(*datasets.nyud.MODALITIES).or_none(),
    "size": SIZE.or_none(),
    "count": Kind("an integer from 1 to 100,000", lambda value: _integer(value, 1, MOST_SHAPES)).or_none(),
    "classes_by": _one_of("shape", "colour").or_none(),
    "images": TEXT.or_none(),
    "labels": TEXT.or_none(),
    "classes": LONG_TEXT.or_none(),
    "label_map": LONG_TEXT.or_none(),
    "bands": TEXT.or_none(),
    "range": TEXT.or_none(),
    "split": TEXT,
    "val_split": TEXT,
    "val_dataset": _one_of(*datasets.NAMES).or_none(),
    "val_root": TEXT.or_none(),
    "width": COUNT.or_none(),
    "dropout": SHARE.or_none(),
    "upsampling": TEXT.or_none(),
    "weights": Kind("a text or a list of texts", lambda value: _text(value) or _list(value, _text)).or_none(),
    "new_scores": Kind("true, false or an integer above 0", lambda value: type(value) is bool or _integer(value, 1)),
    "preprocessing": TEXT.or_none(),
    "freeze_trunk": FLAG,
    "steps": COUNT,
    "lr": RATE,
    "schedule": _one_of("poly", "fixed"),
    "momentum": SHARE,
    "weight_decay": RATE,
    "reduction": _one_of("mean", "sum"),
    "batch_size": OF_A_STEP,
    "iter_size": OF_A_STEP,
    "sampling": _one_of("epoch", "replacement"),
    "crop": SIZE.or_none(),
    "no_augment": FLAG,
    "balance": RATE,
    "val_every": COUNT.or_none(),
    "snapshot_every": COUNT.or_none(),
    "keep": COUNT.or_none(),
    "tensorboard": FLAG,
    "seed": SEED,
    "strict": FLAG,
}


def problem(meta):
    """What is wrong with the meta of a checkpoint, in words; None if nothing is.

    `extra.arguments`, the settings of `fcn train`, may lack entries: older versions had fewer.
    """
    if type(meta) is not dict or type(meta.get("format")) is not int or meta["format"] != FORMAT:
        return f"its meta does not say format {FORMAT}"
    absent = [name for name in META if name not in meta]
    if absent:
        return f"its meta lacks {absent[0]}"
    return _wrong(meta, META, "meta") or extra_problem(meta["extra"]) or _names_problem(meta)


def _names_problem(meta):
    """Whether there is a name for each class, where the file says how many there are."""
    number, classes = meta["options"].get("num_classes"), meta["extra"].get("classes")
    number = number[0] if isinstance(number, list) and number else number
    if type(number) is int and classes and len(classes) != number:
        return f"its extra.classes has {len(classes)} names for {number} classes"
    return None


def extra_problem(extra):
    """What is wrong with the facts that `fcn train` keeps beside the state; None if nothing is."""
    arguments, transform = extra.get("arguments"), extra.get("transform")
    return (
        _wrong(extra, EXTRA, "extra")
        or (arguments is not None and _wrong(arguments, ARGUMENTS, "extra.arguments", PLAIN))
        or (transform is not None and _wrong(transform, TRANSFORM, "extra.transform", ABSENT))
        or None
    )


def require_options_fit(options, arrays, path):
    """Raises: InputError if the options claim more channels than any array has. Nothing of that size is built then."""
    most = max((max(array.shape, default=1) for array in arrays.values()), default=1)
    for name, value in options.items():
        limit = most if name in CHANNELS else 1024
        numbers = value if isinstance(value, (list, tuple)) else [value]
        if any(type(number) in (int, float) and number > limit for number in numbers):
            raise InputError(
                f"{path} says {name} = {told(value)}, but its largest array has {most} rows: it is damaged or edited"
            )


def told(value):
    """A value from a file, for a message: never long, never with letters that control a terminal."""
    text = repr(value) if type(value) in (int, float, bool, str) or value is None else f"a {type(value).__name__}"
    text = "".join(letter if letter.isprintable() else "?" for letter in text)
    return text if len(text) <= 40 else f"{text[:40]}..."


def _wrong(values, kinds, where, others=None):
    """The first value that is not of its kind, in words. `others` is the kind of the names that `kinds` lacks."""
    for name, value in values.items():
        kind = kinds.get(name, others)
        if kind is not None and not kind.holds(value):
            return f"its {where}.{told(name)[1:-1]} is {told(value)} instead of {kind.words}"
    return None

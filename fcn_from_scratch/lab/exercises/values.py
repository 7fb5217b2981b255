"""What is wrong with a value, in a sentence: its kind, its shape or a number."""

import re

import numpy as np


def difference(got, want, tolerance=0, place="the result"):
    """What is wrong with a value, in a sentence. None if nothing is.

    Arrays, numbers, strings, bytes, bools, None, and tuples, lists and dicts of them are compared. A tuple and a list
    with the same entries are equal, and so are an array and a list of its rows.
    tolerance  the largest allowed difference of two numbers: tolerance * (1 + the size of the right one)
    """
    if isinstance(want, dict):
        return _dict_difference(got, want, tolerance, place)
    if isinstance(want, (tuple, list)):
        return _list_difference(got, want, tolerance, place)
    if want is None or isinstance(want, (str, bytes, bool, np.bool_)):
        return None if _same_word(got, want) else f"{place} should be {_plain(want)!r}; got {shown(got)}"
    return _array_difference(got, want, tolerance, place)


def shown(value):
    """A value in a few words."""
    if isinstance(value, np.ndarray) and value.size > 6:
        return f"an array of shape {value.shape}"
    text = f"array({value.tolist()})" if isinstance(value, np.ndarray) else repr(_plain(value))
    text = re.sub(r"\s+", " ", text)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _plain(value):
    """NumPy's numbers as Python's, since `np.int64(3)` is longer to read than `3`. Also inside tuples and lists."""
    if isinstance(value, np.generic):
        return value.item()
    if type(value) in (tuple, list):
        return type(value)(_plain(entry) for entry in value)
    return value


def _same_word(got, want):
    """Whether a string, bytes, a bool or None is the right one. 1 is not True, and an array is none of them."""
    kinds = (bool, np.bool_) if isinstance(want, (bool, np.bool_)) else type(want)
    if isinstance(got, np.ndarray) and got.ndim == 0:
        got = got[()]
    return isinstance(got, kinds) and bool(got == want)


def _list_difference(got, want, tolerance, place):
    if isinstance(got, np.ndarray) and got.ndim:
        got = list(got)
    if not isinstance(got, (tuple, list)):
        return f"{place} should be a {type(want).__name__} of {_count(want, 'value')}; got {shown(got)}"
    if len(got) != len(want):
        return f"{place} should have {_count(want, 'value')}: {shown(want)}; got {len(got)}: {shown(got)}"
    found = (difference(g, w, tolerance, _inside(place, i)) for i, (g, w) in enumerate(zip(got, want)))
    return next((problem for problem in found if problem), None)


def _inside(place, key):
    """An entry of a list or a dict as Python writes it: result[0][1]."""
    return f"{place.removeprefix('the ')}[{key!r}]"


def _dict_difference(got, want, tolerance, place):
    if not isinstance(got, dict):
        return f"{place} should be a dict with the keys {', '.join(map(repr, want))}; got {shown(got)}"
    if set(got) != set(want):
        return f"{place} should have the keys {', '.join(map(repr, want))}; got {', '.join(map(repr, got)) or 'none'}"
    found = (difference(got[key], want[key], tolerance, _inside(place, key)) for key in want)
    return next((problem for problem in found if problem), None)


def _array_difference(got, want, tolerance, place):
    want = np.asarray(want)
    kind = f"an array of shape {want.shape}" if want.ndim else "a number"
    try:
        array = np.asarray(got)
    except ValueError:  # rows of different lengths
        return f"{place} should be {kind}; got {shown(got)}"
    if array.dtype.kind not in "biuf":
        return f"{place} should be {kind}; got {shown(got)}"
    if array.shape != want.shape:
        if array.ndim and want.ndim:
            return f"{place} has the wrong shape: it should be {want.shape}; got {array.shape}"
        return f"{place} should be {kind}; got {shown(got)}"
    equal = np.isclose(array, want, rtol=tolerance, atol=tolerance, equal_nan=True)
    if equal.all():
        return None
    if not want.ndim:
        return f"{place} should be {_two(want, array)}"
    where = tuple(int(i) for i in np.argwhere(~equal)[0])
    wrong = int((~equal).sum())
    one = want.ndim == 1
    return (
        f"{place} has the right shape {want.shape}, but {wrong} of its {want.size} values "
        f"{'is' if wrong == 1 else 'are'} wrong. The first of them is at {where[0] if one else where}: it should be "
        f"{_two(want[where], array[where])}"
    )


def _two(want, got):
    """Two numbers with enough digits to tell them apart."""
    want, got = want[()], got[()]
    for digits in (6, 17):
        texts = [f"{float(value):.{digits}g}" for value in (want, got)]
        if texts[0] != texts[1]:
            break
    return f"{texts[0]}; got {texts[1]}"


def _count(values, word):
    return f"{len(values)} {word}" + ("" if len(values) == 1 else "s")

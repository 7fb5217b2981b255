"""Find the parameters of a layer that does not keep the layer contract: those that stand in plain attributes.

The rule is short. A parameter is an array of floats, or a float, that forward leaves as it is. Its gradient stands
beside it after a backward, under its name with d, grad_ or _grad: dW, grad_W or W_grad for W. Upper and lower case and
underscores do not count. Both may also be items of two dicts or two lists, such as params and grads, with the same key.
Objects that a layer holds, such as layers of its own, are searched too.
A gradient may stand there from the start, or backward may make it. It may add to it or replace it.
"""

import sys
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np

from fcn_from_scratch.backend import get_array_module, to_numpy
from fcn_from_scratch.gradcheck.parameters import ABSENT, Parameter, Place, contract
from fcn_from_scratch.gradcheck.vjp import float64_output
from fcn_from_scratch.layers import Layer

GRADIENT_BOXES = {"grad", "grads", "gradient", "gradients", "dparams", "dparameters"}  # attributes with all gradients
BOXES = (dict, list, tuple)
CLOSED = {"numpy", "cupy", "fcn_from_scratch", *sys.stdlib_module_names}  # objects of these packages are not searched


class Found(NamedTuple):
    """What a search found.

    parameters  a list of Parameter
    beside      (name, Place) of each array without a gradient: constants, or parameters that were forgotten; and of
                each with one that forward itself changes, which no finite difference can check
    moved       the names of arrays that backward changed, though they are no gradients
    """

    parameters: list
    beside: list
    moved: list


class Kept(NamedTuple):
    """An array or a float of a layer. steady: forward leaves it as it is, so it is a constant or a parameter."""

    name: str
    place: Place
    value: object
    copy: np.ndarray
    steady: bool = True


def of_layer(layer, x):
    """The parameters of a layer: those of the contract if it declares any, else those that stand in attributes."""
    declared = getattr(layer, "params", None)
    if _root(type(layer)) == "fcn_from_scratch" or (isinstance(declared, dict) and declared):
        return contract(layer)
    return find_gradients(layer, kept_by_forward(layer, x), x).parameters


def kept_by_forward(layer, x, convert=False):
    """Every array and float that forward leaves as it is, or that is there before any forward: a list of Kept.

    What changes with the input is not a parameter: what forward keeps for backward, a mask, a running mean. The last
    forward gets another input, so that parameters which only the first forward makes are found too.
    convert   turn all arrays of smaller floats into float64 before a forward reads them
    Raises: what forward raises.
    """
    if convert:
        to_float64(layer)
    at_first = _kept(layer)
    for _ in range(2 if convert else 1):
        layer.forward(*_copies(x))
        if convert:
            to_float64(layer)
    kept = _kept(layer)
    layer.forward(*_copies(x, get_array_module(_copies(x)[0]).flip))
    steady = [one for one in kept if _unchanged(one)]
    known = {_address(one.place) for one in steady}
    changed = [one for one in at_first if _is_array(one.value) and _address(one.place) not in known]
    return steady + [one._replace(steady=False) for one in changed]


def _kept(layer):
    numbers = [(name, place, place.get()) for name, place in _numbers(layer)]
    return [Kept(name, place, value, _as_numpy(value).copy()) for name, place, value in numbers]


def find_gradients(layer, kept, x):
    """Run forward and backward, and give each parameter its gradient. `kept` is what kept_by_forward returned.

    Raises: what forward and backward raise.
    """
    first = {_address(place): place.get() for owner in _objects(layer) for _, place in _places(*owner)}
    y = float64_output(layer.forward(*_copies(x)))
    dx = layer.backward(get_array_module(y).asarray(np.random.default_rng(0).normal(size=y.shape)))
    changed, kept = [one for one in kept if not one.steady], [one for one in kept if one.steady]
    moved = [one for one in kept if not _unchanged(one)]
    for one in moved:
        _restore(one)
    pairs = _pairs(kept)
    parameters = [
        Parameter(one.name, one.place, gradient, first.get(_address(gradient), ABSENT), adds=False)
        for one, gradient in pairs
    ]
    gradients, done = {_address(gradient) for _, gradient in pairs}, {id(one.value) for one, _ in pairs}
    beside = []
    for one in kept:
        if _is_array(one.value) and id(one.value) not in done and _address(one.place) not in gradients:
            done.add(id(one.value))
            beside.append((one.name, one.place))
    beside += [(one.name, one.place) for one, gradient in _pairs(changed) if not _is_one_of(gradient.get(), dx)]
    return Found(parameters, beside, [one.name for one in moved if _address(one.place) not in gradients])


def unchecked(beside, function):
    """The names of the arrays without a gradient on which the output depends. They look like parameters."""
    inputs = [array.copy() for array in function.inputs]
    y = float64_output(function.forward(*inputs)).copy() if beside else None
    return [name for name, place in beside if _matters(place, function, inputs, y)]


def to_float64(layer):
    """Turn every array of a smaller float that a layer holds into float64. One that stands in two places stays one."""
    made = {}
    for owner in _objects(layer):
        for _, place in _places(*owner):
            array = place.get()
            if isinstance(array, np.ndarray) and array.dtype.kind == "f" and array.dtype != np.float64:
                _, wide = made.setdefault(id(array), (array, array.astype(np.float64)))
                _replace(place, wide)


def _replace(place, value):
    box = getattr(place.owner, place.attribute)
    if place.key is not ABSENT and isinstance(box, tuple):
        setattr(place.owner, place.attribute, tuple(value if i == place.key else v for i, v in enumerate(box)))
    else:
        place.set(value)


def _matters(place, function, inputs, y):
    """Whether the output changes with the array."""
    array = place.get()
    before = array.copy()
    other = before + 0.1 * (1 + abs(before))
    try:
        _put(place, array, other)
        changed = float64_output(function.forward(*inputs))
        return not np.array_equal(_as_numpy(changed), _as_numpy(y), equal_nan=True)
    except Exception:  # whatever a user's forward raises: it has read the array
        return True
    finally:
        _put(place, array, before)


def _put(place, array, value):
    """Write a value into the array of a place. An array that is read-only makes way for a new one."""
    if array.flags.writeable:
        array[...] = value
    else:
        _replace(place, value)


# --- gradients beside parameters ---------------------------------------------------------------------------------


def _pairs(kept):
    """[(Kept, place of its gradient), ...]. Names that fit letter by letter come first."""
    pairs, done, taken = [], set(), set()
    for fits in (_exactly, _loosely, _carried):
        for one in kept:
            if id(one.place) in done or id(one.value) in done or _address(one.place) in taken:
                continue
            places = (place for place in _candidates(one, kept, fits) if _address(place) not in taken)
            gradient = next((place for place in places if _is_number(place.get())), None)
            if gradient is not None:
                pairs.append((one, gradient))
                taken.add(_address(gradient))
                done |= {id(one.place), id(one.value) if _is_array(one.value) else 0}
    return [(one, gradient) for one, gradient in pairs if _address(one.place) not in taken]


def _candidates(one, kept, fits):
    """The places where the gradient of a parameter may stand."""
    if fits is _carried:
        yield from _carried(one, kept)
        return
    owner, attribute, key = one.place
    name = attribute if key is ABSENT else key
    for other, value in _attributes(owner).items():
        if not isinstance(value, BOXES):
            if fits(other, name):
                yield Place(owner, other)
        elif _plain(other) in GRADIENT_BOXES or fits(other, attribute):
            if isinstance(value, dict):
                yield from (Place(owner, other, k) for k in value if k == name or fits(k, name))
            elif isinstance(key, int) and key < len(value):
                yield Place(owner, other, key)


def _carried(one, kept):
    """The attribute `grad` of an object with one array beside it: a parameter that carries its gradient."""
    arrays = {id(other.value) for other in kept if other.place.owner is one.place.owner and _is_array(other.value)}
    arrays.discard(id(getattr(one.place.owner, "grad", None)))
    if arrays == {id(one.value)}:
        yield Place(one.place.owner, "grad")


def _exactly(gradient, name):
    return gradient in (f"d{name}", f"d_{name}", f"grad_{name}", f"{name}_grad")


def _loosely(gradient, name):
    found, name = _plain(gradient), _plain(name)
    return found in (f"d{name}", f"grad{name}", f"{name}grad", f"gradient{name}", f"{name}gradient")


def _plain(name):
    return str(name).replace("_", "").lower()


# --- what a layer holds --------------------------------------------------------------------------------------------


def _numbers(layer):
    """(name, Place) of each array or float of a layer and of the objects that it holds."""
    for owner in _objects(layer):
        yield from ((name, place) for name, place in _places(*owner) if _is_number(place.get()))


def _objects(layer):
    """(the layer, ""), and each object that it holds with the prefix of its names."""
    seen, queue = {id(layer)}, [(layer, "")]
    for owner, prefix in queue:  # it grows
        yield owner, prefix
        for name, place in _places(owner, prefix):
            part = place.get()
            if _is_open(part) and id(part) not in seen:
                seen.add(id(part))
                queue.append((part, f"{name}."))


def _places(owner, prefix=""):
    """(name, Place) of each attribute of an object, and of each item of its dicts, lists and tuples."""
    for attribute, value in _attributes(owner).items():
        if isinstance(value, BOXES):
            keys = value if isinstance(value, dict) else range(len(value))
            for key in list(keys):
                short = attribute == "params" and isinstance(value, dict)
                yield prefix + (str(key) if short else f"{attribute}[{key!r}]"), Place(owner, attribute, key)
        else:
            yield prefix + attribute, Place(owner, attribute)


def _attributes(owner):
    """The attributes of an object by name: arrays of its class, its own, and the two dicts of the layer contract."""
    contracted = {
        name: value for name in ("params", "grads") if isinstance(value := getattr(owner, name, None), (dict, list))
    }
    if _root(type(owner)) == "fcn_from_scratch":
        return contracted  # all that a layer of the package learns stands there
    found = dict(contracted)
    for cls in reversed(type(owner).__mro__):
        if _root(cls) not in CLOSED:
            found |= {name: value for name, value in vars(cls).items() if isinstance(value, np.ndarray)}
            slots = vars(cls).get("__slots__", ())
            found |= {name: getattr(owner, name) for name in np.atleast_1d(slots).tolist() if hasattr(owner, name)}
    return found | getattr(owner, "__dict__", {})


def _is_open(value):
    """Whether an object may hold parameters: one of the user's classes, or a layer of the package."""
    return isinstance(value, (Layer, SimpleNamespace)) or (
        _root(type(value)) not in CLOSED and not isinstance(value, type) and not hasattr(value, "dtype")
    )


def _root(cls):
    return cls.__module__.partition(".")[0]


def _is_array(value):
    return hasattr(value, "dtype") and not isinstance(value, np.generic) and value.dtype.kind == "f"


def _is_number(value):
    """Whether a value is a float or an array of numbers."""
    if isinstance(value, (float, np.floating)):
        return True
    return hasattr(value, "dtype") and hasattr(value, "ndim") and value.dtype.kind in "fiu"


def _as_numpy(value):
    return np.asarray(value) if isinstance(value, (float, np.generic)) else to_numpy(value)


def _is_one_of(array, gradients):
    return any(array is one for one in (gradients if isinstance(gradients, (tuple, list)) else [gradients]))


def _address(place):
    return id(place.owner), place.attribute, place.key


def _copies(x, change=None):
    """Copies of a layer's inputs, so that a forward may change them."""
    return [one.copy() if change is None else change(one).copy() for one in (x if isinstance(x, tuple) else (x,))]


def _unchanged(one):
    now = one.place.get()
    if not _is_number(now) or (_is_array(one.value) and now is not one.value):
        return False
    return np.array_equal(_as_numpy(now), one.copy, equal_nan=one.copy.dtype.kind == "f")


def _restore(one):
    if _is_array(one.value) and one.value.flags.writeable:
        one.value[...] = get_array_module(one.value).asarray(one.copy)
    if one.place.get() is not one.value:
        one.place.set(one.value)

"""The parameters of a layer, each with the place where backward leaves its gradient.

The layer contract has two dicts for them, `params` and `grads`. attributes.py finds parameters that stand elsewhere.
"""

import contextlib
from typing import NamedTuple

import numpy as np

from fcn_from_scratch.backend import get_array_module

ABSENT = object()  # the value of a place where nothing is


class Place(NamedTuple):
    """An attribute of an object or, with a key, an item of the dict or list that stands in the attribute."""

    owner: object
    attribute: str
    key: object = ABSENT

    @property
    def words(self):
        """The place as it is written in Python, without its owner."""
        return self.attribute if self.key is ABSENT else f"{self.attribute}[{self.key!r}]"

    def get(self):
        """What stands here now, or ABSENT."""
        value = getattr(self.owner, self.attribute, ABSENT)
        if self.key is ABSENT or value is ABSENT:
            return value
        try:
            return value[self.key]
        except (KeyError, IndexError, TypeError):
            return ABSENT

    def set(self, value):
        """Put a value here. ABSENT takes away what is here, except from a list, whose other items would move."""
        if self.key is ABSENT and value is ABSENT:
            with contextlib.suppress(AttributeError):
                delattr(self.owner, self.attribute)
        elif self.key is ABSENT:
            setattr(self.owner, self.attribute, value)
        elif value is not ABSENT:
            getattr(self.owner, self.attribute)[self.key] = value
        elif isinstance(getattr(self.owner, self.attribute, None), dict):
            getattr(self.owner, self.attribute).pop(self.key, None)


class Parameter(NamedTuple):
    """One parameter.

    name      its name in reports
    place     where the layer keeps it: an array, or a float
    gradient  where backward leaves its gradient
    first     what stood there before the first backward
    adds      whether backward must add to what stands there, as the layer contract asks; else it may also replace it
    """

    name: str
    place: Place
    gradient: Place
    first: object
    adds: bool

    def value(self):
        """A copy of the parameter, as an array."""
        value = self.place.get()
        return np.array(value) if isinstance(value, (float, np.generic)) else value.copy()

    def assign(self, value):
        """Write a value into the layer's own array."""
        live = self.place.get()
        if isinstance(live, (float, np.generic)):
            self.place.set(float(value))
        else:
            live[...] = value

    def reset(self):
        """Set the gradient to zero, if the layer keeps an array for it, else to what it was before any backward."""
        if hasattr(self.first, "dtype") and self.first.ndim:
            self.first[...] = 0
        if self.gradient.get() is not self.first:
            self.gradient.set(self.first)

    @property
    def gradient_name(self):
        """Where the gradient stands, in the words of `name`."""
        words = self.place.words
        prefix = self.name.removesuffix(words if self.name.endswith(words) else str(self.place.key))
        return prefix + self.gradient.words

    def found(self):
        """The gradient that backward left.

        Raises: ValueError when it left none.
        """
        gradient = self.gradient.get()
        if gradient is ABSENT or gradient is None:
            raise ValueError(f"backward left no gradient of {self.name!r}")
        return np.asarray(gradient) if isinstance(gradient, (float, np.generic)) else gradient


def contract(layer):
    """The parameters of a layer that keeps the layer contract: a list of Parameter.

    Raises: ValueError when params and grads are not dicts with the same names, TypeError for what is not an array.
    """
    params, grads = getattr(layer, "params", {}), getattr(layer, "grads", {})
    if not (isinstance(params, dict) and isinstance(grads, dict)):
        raise ValueError("params and grads are dicts of arrays")
    missing = [name for name in params if name not in grads]
    if missing:
        raise ValueError(f"params has {missing[0]!r}, but grads does not: give both the same names")
    for array in params.values():
        get_array_module(array)
    places = {name: (Place(layer, "params", name), Place(layer, "grads", name)) for name in params}
    return [Parameter(name, *both, grads[name], adds=True) for name, both in places.items()]

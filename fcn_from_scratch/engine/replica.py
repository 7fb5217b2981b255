"""A second network on the same parameters, so that two threads can run one network at the same time."""

import copy

import numpy as np

from fcn_from_scratch.layers.base import Layer

PLAIN = frozenset((type(None), bool, int, float, str, np.ndarray))  # what nobody changes, and the parameters


def twin(layer, workspace=None):
    """A layer, with all that it is made of, that shares the parameters and nothing that forward or backward changes:
    what forward keeps, the gradients (zero at first) and the random generators (in the state of now) are its own.

    What stands in two places of the network stands in two places of the twin: a generator that two dropouts draw from,
    a pool that an unpooling undoes. Parameters that are replaced later are replaced in the twin too, or not, as it
    happens: a twin is for one step. It takes 5 microseconds a layer.
    workspace   where its large arrays come from
    Identity: same outputs and gradients  (tests/engine/test_replica.py).
    """
    return _second(layer, workspace, {})


def _second(value, workspace, known):
    """The twin of a layer, or of what a layer holds; `known` are the twins made so far, by the id of the first."""
    kind = type(value)
    if kind in PLAIN or (kind is tuple and PLAIN.issuperset(map(type, value))):
        return value
    if id(value) in known:
        return known[id(value)]
    if isinstance(value, Layer):
        other = known[id(value)] = object.__new__(kind)
        if id(value._grads) not in known:  # a SkipFusion's are those of its convolution
            known[id(value._grads)] = {name: np.zeros_like(array) for name, array in value._params.items()}
        own = vars(other)
        for name, held in vars(value).items():
            own[name] = held if type(held) in PLAIN else _second(held, workspace, known)
        other._cache, other.workspace = None, workspace
        return other
    if kind is dict:
        other = known[id(value)] = {key: _second(held, workspace, known) for key, held in value.items()}
        return other
    if kind in (list, tuple):
        return kind(_second(held, workspace, known) for held in value)
    if isinstance(value, np.random.Generator):
        other = known[id(value)] = copy.deepcopy(value)
        return other
    return value

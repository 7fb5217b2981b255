"""A second network on the same parameters, so that two threads can run one network at the same time.

A layer is told by its `_params` and `_grads` (layers.base.Layer): this room knows no layers.
"""

import copy

import numpy as np

SHARED = frozenset((type(None), bool, int, float, str, np.ndarray))  # immutable values, and the parameters


def replica(layer, workspace=None):
    """A copy of a layer and of all its children that shares the parameters.

    It shares nothing that forward or backward changes. It has caches, gradients (zero at first) and random generators
    (in their present state) of its own. An object that the network holds in two places, such as a generator of two
    dropouts, or a pool and its unpooling, is one object in the replica too.
    A replica is for one step: it does not follow when the layer's parameters are replaced by other arrays.
    workspace   where its large arrays come from
    Identity: same outputs and gradients  (tests/engine/test_replica.py).
    """
    return _copy(layer, workspace, {})


def _copy(value, workspace, known):
    """The replica of a layer or of a value that a layer holds; `known` maps the id of an original to its replica."""
    kind = type(value)
    if kind in SHARED or (kind is tuple and SHARED.issuperset(map(type, value))):
        return value
    if id(value) in known:
        return known[id(value)]
    if hasattr(value, "_params"):
        other = known[id(value)] = object.__new__(kind)
        if id(value._grads) not in known:  # a SkipFusion's are those of its convolution
            known[id(value._grads)] = {name: np.zeros_like(array) for name, array in value._params.items()}
        own = vars(other)
        for name, held in vars(value).items():
            own[name] = held if type(held) in SHARED else _copy(held, workspace, known)
        other._cache, other.workspace = None, workspace
        return other
    if kind is dict:
        other = known[id(value)] = {key: _copy(held, workspace, known) for key, held in value.items()}
        return other
    if kind in (list, tuple):
        return kind(_copy(held, workspace, known) for held in value)
    if isinstance(value, np.random.Generator):
        other = known[id(value)] = copy.deepcopy(value)
        return other
    return value

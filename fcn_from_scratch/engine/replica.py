"""A second network on the same parameters, so that two threads can run one network at the same time.

The engine may not import layers. It recognises one by its attributes `_params` and `_grads` (layers.base.Layer).
"""

import copy

import numpy as np

from fcn_from_scratch.engine.loss_shares import layers

SHARED = frozenset((type(None), bool, int, float, str, np.ndarray))  # immutable values, and the parameters


def replica(layer):
    """A copy of a layer and of all its children that shares the parameters.

    It shares nothing that forward or backward changes. It has its own caches and its own random generators (in their
    present state). If the network holds an object in two places, the replica holds one copy in both: the generator of
    two dropouts, for example, or the pool that an unpooling refers to.
    A replica is for one step. It keeps the present parameter arrays, even where the layer gets other ones later. It has
    no workspace yet, and no gradients: see `with_gradients`.
    Identity: same outputs and gradients  (tests/engine/test_replica.py).
    """
    return _copy(layer, {})


def with_gradients(replica):
    """Give a replica gradients of its own, zero at first. Whoever computes with the replica calls this. So no gradients
    are sent to another process. Returns the replica.
    """
    for layer in layers(replica):
        if not layer._grads:  # a SkipFusion and its convolution have one dict of gradients
            layer._grads.update((name, np.zeros_like(array)) for name, array in layer._params.items())
    return replica


def _copy(value, known):
    """The replica of a layer or of a value that a layer holds; `known` maps the id of each original to its replica."""
    kind = type(value)
    if kind in SHARED or (kind is tuple and SHARED.issuperset(map(type, value))):
        return value
    if id(value) in known:
        return known[id(value)]
    if hasattr(value, "_params"):
        other = known[id(value)] = object.__new__(kind)
        known.setdefault(id(value._grads), {})
        own = vars(other)
        for name, held in vars(value).items():
            own[name] = held if type(held) in SHARED else _copy(held, known)
        other._cache = other.workspace = None
        return other
    if kind is dict:
        other = known[id(value)] = {key: _copy(held, known) for key, held in value.items()}
        return other
    if kind in (list, tuple):
        return kind(_copy(held, known) for held in value)
    if isinstance(value, np.random.Generator):
        other = known[id(value)] = copy.deepcopy(value)
        return other
    return value

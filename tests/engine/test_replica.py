"""A replica computes what its layer computes, on the same parameters, and changes nothing in the layer."""

import numpy as np
import pytest

from fcn_from_scratch import models
from fcn_from_scratch.engine.replica import replica, with_gradients
from fcn_from_scratch.engine.workspace import Workspace
from fcn_from_scratch.layers import Conv2d, Dropout, Flatten, Linear, MaxPool2d, ReLU, Sequential

NAMES = [name for name in models.NAMES if name.startswith("mini")]


def arrays(value):
    """The arrays in the result of a forward: an array, a tuple or a dict."""
    if isinstance(value, np.ndarray):
        return [value]
    return [array for part in (value.values() if isinstance(value, dict) else value) for array in arrays(part)]


def run(model, x, rng):
    """Scores and gradients for a random upstream gradient."""
    scores = model(x)
    dscores = [rng.standard_normal(array.shape).astype(array.dtype) for array in arrays(scores)]
    model.backward_params(tuple(dscores) if isinstance(scores, tuple) else dscores[0])
    return arrays(scores), {name: np.array(gradient) for name, gradient in model.grads.items()}


def built(name):
    model = models.build(name, 6, seed=3, width=2, dropout=0.3, dtype=np.float64)
    rng = np.random.default_rng(1)
    for array in model.params.values():
        array[...] = 0.3 * rng.standard_normal(array.shape)
    return model


@pytest.mark.parametrize("name", [name for name in NAMES if name != "mini_classifier"])
def test_the_same_numbers(name, rng):
    """With dropout, and twice: the generators of replica and layer advance alike, each on its own."""
    model = built(name)
    channels = 6 if "late_fusion" in name else next(iter(model.params.values())).shape[1]
    x = rng.standard_normal((2, channels, 37, 40))
    other = with_gradients(replica(model)).use(Workspace())
    for seed in (5, 6):
        theirs = run(other, x, np.random.default_rng(seed))
        ours = run(model, x, np.random.default_rng(seed))
        np.testing.assert_equal(theirs, ours)


def test_parameters_are_shared_and_nothing_else(rng):
    model = Sequential(Conv2d(3, 4, 3, rng=rng), ReLU(), MaxPool2d(2), Dropout(0.5, rng=rng), Flatten(), Linear(36, 5))
    x = rng.standard_normal((2, 3, 8, 8), np.float32)
    model(x)
    kept = {key: layer._cache for key, layer in model.children.items()}
    pool, state = model.children["2"], rng.bit_generator.state
    before, winner = {name: np.array(g) for name, g in model.grads.items()}, pool.winner
    other = with_gradients(replica(model))
    assert all(other.params[name] is array for name, array in model.params.items())
    run(other, -x, np.random.default_rng(0))
    assert all(layer._cache is kept[key] for key, layer in model.children.items())
    assert pool.winner is winner
    assert rng.bit_generator.state == state
    np.testing.assert_equal(model.grads, before)
    assert any(gradient.any() for gradient in other.grads.values())
    for name, gradient in other.grads.items():
        assert gradient.strides == model.grads[name].strides, "it lies in memory as the parameter does"


def test_what_stands_in_two_places(rng):
    """Two dropouts share a generator, a fusion its convolution's gradients, an unpooling refers to its pool."""
    model = built("mini_fcn8s")
    other = with_gradients(replica(model))
    first, second = other.generators().values()
    assert first is second is not next(iter(model.generators().values()))
    fusions = [layer for layer in _all(other) if hasattr(layer, "score")]
    assert fusions
    assert all(layer.grads is layer.score.grads for layer in fusions)
    other = replica(built("mini_unpool"))
    layers = set(map(id, _all(other)))
    pools = [layer.pool for layer in _all(other) if getattr(layer, "pool", None) is not None]
    assert pools
    assert all(id(pool) in layers for pool in pools), "the replica's own pools, not the model's"


def _all(layer):
    yield layer
    for child in getattr(layer, "children", {}).values():
        yield from _all(child)


def test_settings_of_now(rng):
    """The replica has the mode and the probability that the layer has when the replica is made, and no workspace."""
    model = Sequential(Dropout(0.5, rng=rng), Linear(3, 2, rng=rng))
    model.layers[0].p = 0.25
    model.use(Workspace())
    other = replica(model.eval())
    assert not other.training
    assert other.layers[0].p == 0.25
    assert all(layer.workspace is None for layer in (other, *other.layers))
    assert model.workspace is not None


def test_a_replica_has_no_gradients_at_first(rng):
    """Its gradients are made later, and are zero then. After `forget`, no pool keeps its winners."""
    model = built("mini_fcn8s")
    x = rng.standard_normal((1, 3, 32, 32))
    run(model, x, rng)
    assert all(not layer._grads for layer in _all(replica(model)))
    other = with_gradients(replica(model))
    assert not any(gradient.any() for gradient in other.grads.values())
    assert list(other.grads) == list(model.grads)
    pools = [layer for layer in _all(model) if isinstance(layer, MaxPool2d)]
    assert all(pool.indices is not None for pool in pools)
    model.forget()
    assert all(pool.indices is None and pool.input_size is None for pool in pools)

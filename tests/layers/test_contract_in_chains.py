"""After a chain's forward, the backward of each layer is the gradient of that layer alone, fused or not."""

import contextlib
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fcn_from_scratch import models, plain
from fcn_from_scratch.layers import AvgPool2d, Conv2d, LocalResponseNorm, MaxPool2d, ReLU, Sequential
from fcn_from_scratch.layers.fused import unobserved
from fcn_from_scratch.models.trunk import Trunk
from fcn_from_scratch.ops import loops

KINDS = ("conv", "conv, negative", "relu", "pool", "pool, ceil", "pool, overlapping", "average", "norm")


def layer_of(kind, number, rng):
    name = f"{kind.split(',')[0]}{number}"
    if kind.startswith("conv"):
        conv = Conv2d(3, 3, 3, padding=1, rng=rng, dtype=np.float64, name=name)
        conv.params["bias"][...] = -1.5 if "negative" in kind else rng.normal(size=3)  # mostly below zero: ties at 0
        return conv
    return {
        "relu": lambda: ReLU(name=name),
        "pool": lambda: MaxPool2d(2, name=name),
        "pool, ceil": lambda: MaxPool2d(2, ceil_mode=True, name=name),
        "pool, overlapping": lambda: MaxPool2d(3, 1, 1, name=name),
        "average": lambda: AvgPool2d(2, 1, name=name),
        "norm": lambda: LocalResponseNorm(3, name=name),
    }[kind]()


def alone(layer, x):
    """A layer of the same kind, with the same parameters, after its own forward by the plain code."""
    twin = pickle.loads(pickle.dumps(layer))
    twin.zero_grad()
    with plain():
        return twin, twin(x)


def assert_each_layer_is_itself(net, x, rng):
    """Go through the chain layer by layer. Each layer gets its own random upstream gradient."""
    layers = net.layers
    for layer in layers:
        layer.zero_grad()
        lonely, y = alone(layer, x)
        dy = rng.normal(size=y.shape)
        with plain():
            expected = lonely.backward(dy)
        np.testing.assert_allclose(layer.backward(dy), expected, rtol=0, atol=1e-10, err_msg=layer.label)
        for name, gradient in lonely.grads.items():
            np.testing.assert_allclose(layer.grads[name], gradient, rtol=0, atol=1e-10, err_msg=layer.label)
        x = y


def fits(kinds):
    """Whether a map of 18 pixels is large enough for every window of the chain."""
    size = 18
    for kind in kinds:
        if size < 2 and kind in ("pool", "average"):
            return False
        size = {"pool": size // 2, "pool, ceil": -(-size // 2), "average": size - 1}.get(kind, size)
    return True


def maxima_are_clear(kinds):
    """Whether no pool sees an average or a norm, but for a convolution between them.

    Averages of the same pixels, added in another order, are equal but for rounding. Which of them a pool takes then
    differs between the engine and the plain code.
    """
    for number, kind in enumerate(kinds):
        later = kinds[number + 1 :]
        later = later[: next((place for place, other in enumerate(later) if other.startswith("conv")), None)]
        if kind in ("average", "norm") and any(other.startswith("pool") for other in later):
            return False
    return True


chains = st.lists(st.sampled_from(KINDS), min_size=1, max_size=6)


@given(chains.filter(fits).filter(maxima_are_clear), st.integers(0, 99), st.booleans())
def test_random_chains(kinds, seed, tapped):
    rng = np.random.default_rng(seed)
    layers = [layer_of(kind, number, rng) for number, kind in enumerate(["conv", "relu", *kinds])]
    x = rng.normal(size=(2, 3, 23, 18))
    net = Trunk(*layers, taps=(layers[len(layers) // 2].name,)) if tapped else Sequential(*layers)
    net(x)
    assert_each_layer_is_itself(net, x, rng)


def three(rng, bias=-0.5):
    net = Sequential(*(layer_of(kind, number, rng) for number, kind in enumerate(("conv", "relu", "pool"))))
    net.layers[0].params["bias"][...] = bias
    return net


def test_the_three_that_one_pass_can_compute(rng):
    """In half of the pool's windows no pixel is positive. There all four are zero, and the first one wins."""
    net, x = three(rng), rng.normal(size=(2, 3, 16, 14))
    net(x)
    conv, relu, pool = net.layers
    assert_each_layer_is_itself(net, x, rng)
    before = loops.conv2d_loops(x, conv.params["weight"], conv.params["bias"], padding=1)
    positive, dy = np.maximum(before, 0), rng.normal(size=(2, 3, 8, 7))
    indices = loops.max_pool2d_loops(positive, 2)[1]
    assert (indices == pool.indices).all()
    by_loop = np.zeros((2, 3, 16 * 14))
    for n, c, i, j in np.ndindex(dy.shape):
        by_loop[n, c, indices[n, c, i, j]] += dy[n, c, i, j]
    np.testing.assert_array_equal(pool.backward(dy), by_loop.reshape(before.shape))
    upstream = rng.normal(size=before.shape)
    assert (before <= 0).sum() > 400
    np.testing.assert_array_equal(relu.backward(upstream), upstream * (before > 0))


class Supervised(Sequential):
    """A user's container: its backward adds a second loss on the ReLU's map, between the pool and the ReLU."""

    def backward(self, dy):
        conv, relu, pool = self.layers
        return conv.backward(relu.backward(pool.backward(dy) + self.extra))


def test_a_users_container_may_look_between_its_layers_in_the_trainers_step(rng):
    net, x = three(rng), rng.normal(size=(2, 3, 16, 14))
    supervised = Supervised(*net.layers)
    supervised.extra = rng.normal(size=(2, 3, 16, 14))
    ends = []
    for context in (contextlib.nullcontext(), unobserved(supervised), plain()):
        with context:
            dy = np.random.default_rng(1).normal(size=supervised(x).shape)
            ends.append(supervised.backward(dy))
    np.testing.assert_allclose(ends[1:], [ends[0]] * 2, atol=1e-10)


@pytest.mark.parametrize("by_plain", [False, True])
def test_pickled_between_forward_and_backward(rng, by_plain):
    net, x = three(rng), rng.normal(size=(2, 3, 16, 14))
    with plain(by_plain):
        dy = rng.normal(size=net(x).shape)
        other = pickle.loads(pickle.dumps(net))
        np.testing.assert_array_equal(other.backward(dy), net.backward(dy))
        for name, gradient in net.grads.items():
            np.testing.assert_array_equal(other.grads[name], gradient)
        for mine, theirs in zip(other.layers, net.layers):
            upstream = rng.normal(size=mine(x).shape) if mine is other.layers[0] else None
            if upstream is not None:
                theirs(x)
                np.testing.assert_array_equal(mine.backward(upstream), theirs.backward(upstream))


@pytest.mark.parametrize("change", [(False, True), (True, False)], ids=["engine, then plain", "plain, then engine"])
def test_forward_by_one_and_backward_by_the_other(rng, change):
    net, x = models.build("mini_fcn8s", 4, width=2, dtype=np.float64), rng.normal(size=(2, 3, 47, 64))
    for key, array in net.params.items():
        array[...] = 0.3 * rng.standard_normal(array.shape) if key.endswith("weight") else 0.1
    with plain():
        dy = rng.normal(size=net(x).shape)
        expected = net.backward(dy)
    grads = {name: gradient.copy() for name, gradient in net.grads.items()}
    net.zero_grad()
    with plain(change[0]):
        net(x)
    with plain(change[1]):
        np.testing.assert_allclose(net.backward(dy), expected, atol=1e-10 * np.abs(expected).max())
    for name, gradient in grads.items():
        np.testing.assert_allclose(net.grads[name], gradient, atol=1e-10 * max(np.abs(gradient).max(), 1))

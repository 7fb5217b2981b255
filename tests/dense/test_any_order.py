"""Everything that one may do to a net and its twins, in any order: the values are always those of the plain code.

A classifier, its convolutional twin and rarefied twins of that share their weights. They are prepared, loaded, trained,
converted, copied and rarefied again in an order that hypothesis draws. After each step every net must give what the
plain code computes from the weights that it should have by now.
"""

import copy

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import fcn_from_scratch
from fcn_from_scratch import geometry
from fcn_from_scratch.dense import convolutionalize, rarefy, shift_and_stitch
from fcn_from_scratch.layers import Conv2d, Dropout, Flatten, Linear, MaxPool2d, ReLU, Sequential
from fcn_from_scratch.training import SGD

CROP = 18  # pixels: (18 - 2) / 2 - 2 = 6 cells, which the first Linear reads


def classifier(seed):
    """Layers large enough for the engine to prepare them: Winograd's F(4, 3) for conv, F(4, 7) for the first Linear."""
    rng = np.random.default_rng(seed)
    return Sequential(
        Conv2d(3, 64, 3, rng=rng, name="stem"),
        MaxPool2d(2, name="pool"),
        Conv2d(64, 64, 3, rng=rng, algorithm="winograd", name="conv"),
        ReLU(name="relu"),
        Flatten(name="flat"),
        Linear(64 * 36, 480, rng=rng, name="wide"),
        Dropout(0.5, rng=rng, name="drop"),
        Linear(480, 3, rng=rng, name="score"),
    ).eval()


class Twins:
    """Nets that share weights, and what the weights must be. `family` tells which nets go on sharing."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        net = classifier(seed)
        self.nets = [net, convolutionalize(net)]
        self.family = [0, 0]
        self.weights = {0: net.state_dict()}

    def sharing(self, number):
        return [net for net, family in zip(self.nets, self.family) if family == self.family[number]]

    def prepare(self, number):
        self.nets[number].eval().prepare()

    def unprepare(self, number):
        self.nets[number].prepare(False)

    def load(self, number):
        net = self.nets[number]
        new = {key: self.rng.normal(size=array.shape) * 0.05 for key, array in net.state_dict().items()}
        net.load_state_dict(new)
        self._expect(number, new)

    def step(self, number):
        net = self.nets[number].train()
        for gradient in net.grads.values():
            gradient[...] = self.rng.normal(size=gradient.shape)
        new = {key: net.params[key] - 0.01 * net.grads[key] for key in net.params}
        SGD(net, 0.01, momentum=0, multipliers={"*": (1, 0)}).step()
        net.zero_grad()
        net.eval()
        self._expect(number, new)

    def write(self, number):
        """Into the arrays themselves, after train() has released them."""
        net = self.nets[number].train()
        for array in net.params.values():
            array *= 1.25
        net.eval()
        self._expect(number, {key: array.copy() for key, array in net.params.items()})

    def rarefied(self, number):
        if self.nets[number].layers[-1].on_grid and len(self.nets) < 5:
            self.nets.append(rarefy(self.nets[number]))
            self.family.append(self.family[number])

    def copied(self, number):
        """A deep copy shares nothing with anybody."""
        if len(self.nets) < 5:
            self.nets.append(copy.deepcopy(self.nets[number]))
            self.family.append(max(self.weights) + 1)
            self.weights[self.family[-1]] = dict(self.weights[self.family[number]])

    def converted_to(self, number):
        """To float64 and back: new arrays for this net and for those that share its dicts."""
        net = self.nets[number].astype(np.float64).astype(np.float32)
        apart = [
            n for n, other in enumerate(self.nets) if self.family[n] == self.family[number] and not bound(net, other)
        ]
        if apart:
            new = max(self.weights) + 1
            self.weights[new] = dict(self.weights[self.family[number]])
            for n in apart:
                self.family[n] = new

    def _expect(self, number, new):
        flat = {key: np.asarray(array, np.float32).reshape(len(array), -1) for key, array in new.items()}
        old = self.weights[self.family[number]]
        self.weights[self.family[number]] = {key: flat[key].reshape(old[key].shape) for key in old}


def bound(net, other):
    """Whether two nets hold the very same arrays."""
    return all(net.params[key] is other.params[key] for key in net.params)


def check(twins, x):
    for net, family in zip(twins.nets, twins.family):
        for key, array in twins.weights[family].items():
            np.testing.assert_allclose(net.params[key].reshape(array.shape), array, rtol=1e-6, err_msg=key)
        image = x if net.layers[-1].on_grid else x[:, :, :CROP, :CROP]
        y = net.eval()(image)
        with fcn_from_scratch.plain():
            expected = net(image)
        np.testing.assert_allclose(y, expected, atol=1e-4 * max(abs(expected).max(), 1e-3))


STEPS = ("prepare", "prepare", "unprepare", "load", "step", "write", "rarefied", "copied", "converted_to")


@settings(max_examples=8)
@given(st.integers(0, 9), st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 4)), min_size=2, max_size=7))
def test_values_are_always_those_of_the_plain_code(seed, steps):
    twins, x = Twins(seed), np.random.default_rng(seed).normal(size=(1, 3, 20, 21)).astype(np.float32)
    for step, number in steps:
        getattr(twins, step)(number % len(twins.nets))
        check(twins, x)


@settings(max_examples=5)
@given(st.integers(0, 9), st.lists(st.sampled_from(["prepare", "load", "step", "rarefied"]), min_size=1, max_size=4))
def test_every_way_to_a_dense_output_agrees(seed, steps):
    """Crop by crop through the classifier, stitched, and rarefied, whatever was done to the nets before."""
    twins, x = Twins(seed), np.random.default_rng(seed).normal(size=(1, 3, 20, 19)).astype(np.float32)
    for number, step in enumerate(steps):
        getattr(twins, step)(number % len(twins.nets))
    net, convolutional = twins.nets[:2]
    dense = rarefy(convolutional.eval())(x)
    assert geometry.receptive_field(convolutional).size == CROP
    crops = [net.eval()(x[:, :, i : i + CROP, j : j + CROP])[0] for i, j in np.ndindex(3, 2)]
    by_crops = np.array(crops).reshape(3, 2, 3).transpose(2, 0, 1)[None]
    scale = 1e-4 * abs(by_crops).max()
    np.testing.assert_allclose(dense, by_crops, atol=scale)
    np.testing.assert_allclose(shift_and_stitch(convolutional, x), by_crops, atol=scale)

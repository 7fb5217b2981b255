"""The check of a layer: its gradients, and the promises of the layer contract."""

import numpy as np
import pytest
from arrays import refuses

from fcn_from_scratch import layers
from fcn_from_scratch.gradcheck import (
    layer_check,
)
from fcn_from_scratch.gradcheck.layers import broken_promises, layer_errors

RIGHT, WRONG = 1e-7, 1e-3


class Scale(layers.Layer):
    """y = x * weight, one weight per channel: a layer to break."""

    def __init__(self, channels=3):
        super().__init__()
        self.add_param("weight", np.linspace(1, 2, channels))

    def _forward(self, x):
        return x * self.params["weight"][:, None, None], x

    def _backward(self, dy, x):
        self.accumulate("weight", (dy * x).sum(axis=(0, 2, 3)))
        return dy * self.params["weight"][:, None, None]


class TestLayer:
    X = np.random.default_rng(2).normal(size=(2, 3, 4, 5))

    def test_right(self, rng):
        errors = layer_check(Scale(), self.X, rng)
        assert list(errors) == ["dx", "weight"]
        assert max(errors.values()) < RIGHT

    def test_parameters_are_left_as_they_were(self, rng):
        layer = Scale()
        layer_check(layer, self.X, rng)
        assert np.array_equal(layer.params["weight"], np.linspace(1, 2, 3))

    def test_an_error_is_named(self, rng):
        class Wrong(Scale):
            def _backward(self, dy, x):
                self.accumulate("weight", (dy * x)[-1].sum(axis=(1, 2)))
                return dy * self.params["weight"][:, None, None]

        errors = layer_check(Wrong(), self.X, rng)
        assert errors["dx"] < RIGHT
        assert errors["weight"] > WRONG

    def test_several_inputs(self, rng):
        fusion = layers.SkipFusion(3, 2, offset=1, dtype=np.float64)
        scores, skip = rng.normal(size=(2, 2, 3, 4)), rng.normal(size=(2, 3, 5, 6))
        errors = layer_check(fusion, (scores, skip), rng)
        assert list(errors)[:2] == ["dx0", "dx1"]
        assert len(errors) == 4
        assert max(errors.values()) < RIGHT

    @pytest.mark.parametrize("kind", [layers.Dropout, layers.ChannelDropout])
    def test_dropout_even_on_the_generator_of_the_check(self, rng, kind):
        assert layer_check(kind(0.4, rng=rng), self.X, rng)["dx"] < RIGHT

    def test_directions_differ_even_on_the_generator_of_the_check(self, rng):
        seen = []

        class Recording(layers.Dropout):
            def forward(self, x):
                seen.append(x.tobytes())
                return super().forward(x)

        layer_errors(Recording(0.4, rng=rng), self.X, rng, directions=3)
        assert len(set(seen)) == 7  # x itself, and two ends of three directions

    def test_parameters_are_float64(self, rng):
        with refuses("'weight' is float32"):
            layer_check(layers.Conv2d(3, 4, 3), self.X, rng)

    def test_shapes_are_named(self, rng):
        class Wrong(Scale):
            def _backward(self, dy, x):
                self.grads["weight"] = dy.sum(axis=(0, 1, 2))
                return dy

        with refuses("the gradient of 'weight' has shape (5,)", "(3,)"):
            layer_check(Wrong(), self.X, rng)

    def test_params_and_grads_have_the_same_names(self, rng):
        layer = Scale()
        del layer.grads["weight"]
        with refuses("params has 'weight', but grads does not"):
            layer_check(layer, self.X, rng)


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        ([layers.Conv2d(2, 2, 1)], r"got a list; pass Sequential\(\*layers\)"),
        ((layers.Conv2d(2, 2, 1),), r"got a tuple; pass Sequential\(\*layers\)"),
        (layers.Conv2d, "got the class Conv2d; pass a layer of it"),
        (None, "got a NoneType"),
        (np.zeros(3), "got a ndarray"),
    ],
)
def test_what_is_no_layer_is_named(rng, layer, words):
    with pytest.raises(ValueError, match=rf"a layer has forward\(x\) and backward\(dy\); {words}$"):
        layer_check(layer, rng.normal(size=(1, 2, 3, 3)), rng)


class Overwrites(Scale):
    def _backward(self, dy, x):
        self.grads["weight"][...] = (dy * x).sum(axis=(0, 2, 3))
        return dy * self.params["weight"][:, None, None]


class Random(layers.Layer):
    def _forward(self, x):
        return x * np.random.default_rng().random(x.shape), x


class KeepsInEval(Scale):
    def forward(self, x):
        y, self._cache = self._forward(x)
        return y


class SpendsCache(layers.Layer):
    def _forward(self, x):
        return x * x, 2 * x

    def _backward(self, dy, cache):
        cache *= dy
        return cache


class Upcasts(layers.Layer):
    def _forward(self, x):
        return x * np.ones(x.shape), ()

    def _backward(self, dy, cache):
        return dy


class TestPromises:
    X = TestLayer.X

    @pytest.mark.parametrize(
        ("layer", "words"),
        [
            (Overwrites, "must ADD to grads['weight']"),
            (Random, "another output for the same input"),
            (KeepsInEval, "after eval() forward must keep nothing"),
            (SpendsCache, "a second backward gives another dx"),
            (Upcasts, "forward turns float32 into float64"),
        ],
    )
    def test_broken(self, rng, layer, words):
        complaints = broken_promises(layer(), self.X, rng)
        assert len(complaints) == 1
        assert words in complaints[0]

    def test_layer_check_refuses_it(self, rng):
        with refuses("must ADD to grads['weight']"):
            layer_check(Overwrites(), self.X, rng)

    def test_kept(self, rng):
        assert broken_promises(Scale(), self.X, rng) == []

    def test_a_layer_without_a_base_class(self, rng):
        class Plain:
            def forward(self, x):
                self.y = np.exp(x)
                return self.y

            def backward(self, dy):
                return dy * self.y

        assert layer_check(Plain(), self.X, rng)["dx"] < RIGHT

    def test_the_layer_is_in_training_mode_afterwards(self, rng):
        layer = Scale().eval()
        layer_check(layer, self.X, rng)
        assert layer.training

"""Layer: names in messages, saving and loading, and the methods that a subclass must write."""

import numpy as np
import pytest

from fcn_from_scratch.layers import Conv2d, Layer, Linear, Sequential
from fcn_from_scratch.layers.base import fills


def linear(**options):
    return Linear(3, 2, rng=np.random.default_rng(1), **options)


class TestLabel:
    def test_class_and_name(self):
        assert linear().label == "Linear"
        assert linear(name="fc6").label == repr(linear(name="fc6")) == "Linear 'fc6'"

    def test_messages_name_the_layer(self):
        with pytest.raises(RuntimeError, match=r"Linear 'fc6'\.backward was called before forward"):
            linear(name="fc6").backward(np.ones((1, 2), np.float32))


class TestOwnLayer:
    """What the lessons ask of a layer of one's own."""

    class Scale(Layer):
        def __init__(self):
            super().__init__()
            self.add_param("factor", np.array([3.0]))

        def _forward(self, x):
            return self.params["factor"] * x, x

        def _backward(self, dy, x):
            self.accumulate("factor", (dy * x).sum(keepdims=True).reshape(1))
            return dy * self.params["factor"]

    def test_gradients_by_hand(self):
        layer = self.Scale()
        np.testing.assert_array_equal(layer(np.array([1.0, -2.0])), [3.0, -6.0])
        np.testing.assert_array_equal(layer.backward(np.array([10.0, 1.0])), [30.0, 3.0])
        np.testing.assert_array_equal(layer.grads["factor"], [8.0])

    def test_missing_methods_are_named(self):
        with pytest.raises(TypeError, match=r"Layer defines no _forward\(x\)"):
            Layer()(np.ones(1))

        class HalfDone(Layer):
            def _forward(self, x):
                return x, x

        half = HalfDone()
        half(np.ones(1))
        with pytest.raises(TypeError, match="HalfDone defines no _backward"):
            half.backward(np.ones(1))

    def test_it_draws_from_no_generator(self):
        assert self.Scale().generators() == {}


def test_a_parameter_replaced_by_one_of_another_dtype(rng):
    """Its gradient follows: a sum of small float64 gradients is not rounded to float32."""
    layer = linear(bias=False)
    layer.params["weight"] = np.zeros((2, 3))
    x, dy = rng.normal(size=(4, 3)), rng.normal(size=(4, 2))
    layer(x)
    layer.backward(dy)
    assert layer.grads["weight"].dtype == np.float64
    np.testing.assert_allclose(layer.grads["weight"], dy.T @ x, rtol=1e-12)


class TestMode:
    def test_train_and_eval_switch_it(self):
        layer = linear()
        assert layer.training is True
        assert layer.eval() is layer
        assert layer.training is False
        assert layer.train() is layer
        assert layer.training is True
        assert layer.train(False).training is False


class TestStateDict:
    def test_holds_copies(self):
        layer = linear()
        state = layer.state_dict()
        assert list(state) == ["weight", "bias"]
        before = layer.params["weight"].copy()
        state["weight"] += 1
        np.testing.assert_array_equal(layer.params["weight"], before)

    def test_round_trip_keeps_arrays_and_dtype(self):
        layer, other = linear(), Linear(3, 2, rng=np.random.default_rng(2), dtype=np.float64)
        other.params["bias"][:] = (5, 7)
        weight, expected = layer.params["weight"], other.params["weight"].astype(np.float32)
        assert np.abs(weight - expected).min() > 0
        layer.load_state_dict(other.state_dict())
        assert layer.params["weight"] is weight
        assert weight.dtype == np.float32
        np.testing.assert_array_equal(weight, expected)
        np.testing.assert_array_equal(layer.params["bias"], [5, 7])

    def test_lists_every_difference_and_copies_nothing(self):
        chain = Sequential(Conv2d(3, 2, 1, name="one"), Conv2d(2, 4, (3, 1), name="two"), name="chain")
        before = chain.state_dict()
        state = {
            "one.weight": np.full((2, 3, 1, 1), 9.0),  # fits, and must not be copied all the same
            "two.weight": np.zeros((4, 2, 1, 3)),
            "two.bias": np.zeros((4, 1)),
            "three.weight": np.zeros(1),
        }
        with pytest.raises(ValueError) as refusal:
            chain.load_state_dict(state)
        assert str(refusal.value) == (
            "the state does not fit Sequential 'chain': missing: one.bias; unknown: three.weight; "
            "two.weight has shape (4, 2, 3, 1) here, (4, 2, 1, 3) there; two.bias has shape (4,) here, (4, 1) there"
        )
        for name, array in chain.params.items():
            np.testing.assert_array_equal(array, before[name])

    def test_not_strict_takes_what_is_there(self):
        layer = linear()
        before = layer.params["weight"].copy()
        layer.load_state_dict({"bias": [1, 2], "unknown": [3]}, strict=False)
        np.testing.assert_array_equal(layer.params["bias"], [1, 2])
        np.testing.assert_array_equal(layer.params["weight"], before)

    def test_not_strict_still_refuses_another_shape(self):
        layer = linear()
        with pytest.raises(ValueError, match=r"bias has shape \(2,\) here, \(1,\) there"):
            layer.load_state_dict({"bias": [5.0], "weight": np.zeros((2, 3))}, strict=False)
        assert np.abs(layer.params["weight"]).min() > 0


@pytest.mark.parametrize(
    ("shape", "target", "answer"),
    [
        ((4096, 9216), (4096, 256, 6, 6), True),  # CaffeNet's fc6
        ((4096, 4096), (4096, 4096, 1, 1), True),
        ((5, 3, 2, 2), (5, 3, 2, 2), True),
        ((5,), (5,), True),
        ((9216, 4096), (4096, 256, 6, 6), False),  # transposed: the same number of elements in another order
        ((3, 5, 2, 2), (5, 3, 2, 2), False),
        ((5, 12), (5, 3, 4), False),  # not a convolution's weight
        ((5, 1), (5,), False),
    ],
)
def test_a_fully_connected_weight_fills_a_convolutions(shape, target, answer):
    assert fills(shape, target) is answer

"""Container and Sequential: names, order, modes, generators."""

import numpy as np
import pytest
from arrays import close

from fcn_from_scratch.layers import Conv2d, Dropout, Flatten, Linear, MaxPool2d, ReLU, Sequential


def small(rng):
    return Sequential(
        Conv2d(3, 4, 3, padding=1, rng=rng, dtype=np.float64, name="conv1"),
        ReLU(),
        MaxPool2d(2),
        Sequential(Flatten(), Linear(4 * 3 * 2, 5, rng=rng, dtype=np.float64, name="fc"), name="top"),
    )


class TestNames:
    def test_params_are_dotted_in_order(self, rng):
        net = small(rng)
        names = ["conv1.weight", "conv1.bias", "top.fc.weight", "top.fc.bias"]
        assert list(net.params) == list(net.grads) == list(net.state_dict()) == names
        assert net.params["top.fc.weight"] is net.layers[3].layers[1].params["weight"]
        assert net.grads["conv1.bias"] is net.layers[0].grads["bias"]

    def test_unnamed_layers_are_called_by_number(self, rng):
        net = small(rng)
        assert list(net.children) == ["conv1", "1", "2", "top"]
        assert [layer.label for layer in net.layers[:3]] == ["Conv2d 'conv1'", "ReLU '1'", "MaxPool2d '2'"]

    @pytest.mark.parametrize(
        ("names", "twice"), [(("pool", "conv", "pool"), "pool"), (("1", None), "1"), ((None, "0"), "0")]
    )
    def test_duplicates_are_refused(self, names, twice):
        with pytest.raises(ValueError, match=f"different names; '{twice}' occurs twice"):
            Sequential(*(ReLU(name=name) for name in names))

    def test_one_layer_in_two_places_is_refused(self):
        relu = ReLU()
        with pytest.raises(ValueError, match="one layer is in two places"):
            Sequential(relu, MaxPool2d(2), relu)

    def test_repr_shows_the_tree(self, rng):
        assert repr(small(rng)).splitlines() == [
            "Sequential(",
            "  conv1: Conv2d 'conv1'",
            "  1: ReLU '1'",
            "  2: MaxPool2d '2'",
            "  top: Sequential 'top'(",
            "    0: Flatten '0'",
            "    fc: Linear 'fc'",
            "  )",
            ")",
        ]


class TestChain:
    def test_runs_in_order_and_back_in_reverse(self, rng):
        net = small(rng)
        conv, relu, pool, (flatten, fc) = *net.layers[:3], net.layers[3].layers
        x = rng.normal(size=(2, 3, 6, 5))
        dy = rng.normal(size=(2, 5))
        close(net(x), fc(flatten(pool(relu(conv(x))))))
        expected = conv.backward(relu.backward(pool.backward(flatten.backward(fc.backward(dy)))))
        by_hand = {name: gradient.copy() for name, gradient in net.grads.items()}
        net.zero_grad()
        net(x)
        close(net.backward(dy), expected)
        for name, gradient in net.grads.items():
            assert np.abs(gradient).max() > 0
            close(gradient, by_hand[name])

    def test_empty_chain_changes_nothing(self, rng):
        x = rng.normal(size=(2, 3))
        np.testing.assert_array_equal(Sequential()(x), x)
        np.testing.assert_array_equal(Sequential().backward(x), x)

    def test_backward_params_asks_the_first_layer_for_no_dx(self, rng):
        net = small(rng)
        y = net(rng.normal(size=(2, 3, 6, 5)))
        asked = []
        net.layers[0]._backward = lambda dy, x: asked.append(1)
        assert net.backward_params(rng.normal(size=y.shape)) is None
        assert asked == []
        assert np.abs(net.grads["conv1.weight"]).min() > 0

    def test_backward_before_forward_names_the_last_layer(self, rng):
        with pytest.raises(RuntimeError, match="Linear 'fc'"):
            small(rng).backward(rng.normal(size=(2, 5)))


class TestModes:
    def test_reach_every_layer(self, rng):
        net = small(rng)
        everything = [net, *net.layers, *net.layers[3].layers]
        assert net.eval() is net
        assert [layer.training for layer in everything] == [False] * 7
        net.train()
        assert [layer.training for layer in everything] == [True] * 7

    def test_generators_are_dotted(self):
        one, two = np.random.default_rng(1), np.random.default_rng(2)
        net = Sequential(Dropout(rng=one, name="drop6"), Sequential(Dropout(rng=two), name="top"))
        assert net.generators() == {"drop6.rng": one, "top.0.rng": two}


def test_a_dotted_name_that_meets_an_inner_one():
    """One of the two weights would have no entry in params: no optimizer would move it, and no file would hold it."""
    inner = Sequential(Conv2d(1, 1, 1, name="b"), name="a")
    with pytest.raises(ValueError, match=r"two parameters would be called 'a\.b\.weight'"):
        Sequential(inner, Conv2d(1, 1, 1, name="a.b"))

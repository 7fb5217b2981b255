"""A prepared network gives the same numbers, and never those of weights that have changed since."""

import copy
import gc
import weakref

import numpy as np
import pytest

from fcn_from_scratch import models
from fcn_from_scratch.dense import convolutionalize, rarefy, shift_and_stitch
from fcn_from_scratch.dense.chain import share_weights
from fcn_from_scratch.engine import winograd
from fcn_from_scratch.layers import Conv2d, Flatten, Linear, MaxPool2d, ReLU, Sequential, prepared
from fcn_from_scratch.models import ZeroFrame
from fcn_from_scratch.ops import conv2d
from fcn_from_scratch.training import SGD

RNG = np.random.default_rng(0)
X = RNG.standard_normal((2, 64, 24, 28)).astype(np.float32)


def conv(f=72, c=64, **options):
    return Conv2d(c, f, 3, padding=1, rng=np.random.default_rng(1), **options).eval()


def transforms(monkeypatch):
    """How many weights are transformed from here on: a list that grows."""
    seen, plain = [], winograd.transform_kernel
    monkeypatch.setattr(winograd, "transform_kernel", lambda xp, weight, *rest: seen.append(plain(xp, weight, *rest)))
    return seen


def test_the_weight_is_transformed_once(monkeypatch):
    seen, layer = transforms(monkeypatch), conv()
    plain = [layer(X) for _ in range(2)]
    assert len(seen) == 2
    layer.prepare()
    prepared = [layer(X) for _ in range(3)]
    assert len(seen) == 3
    for y in prepared:
        np.testing.assert_allclose(y, plain[0], atol=1e-5 * abs(plain[0]).max())
    np.testing.assert_allclose(prepared[0], conv2d(X, layer.params["weight"], padding=1, algorithm="im2col"), atol=1e-4)


def test_a_chain(monkeypatch):
    """Its runs too, with ReLU and pool; in float32 the order of a sum may change the last digits."""
    rng = np.random.default_rng(2)
    convs = [Conv2d(64, 80, 3, padding=1, rng=rng), Conv2d(80, 64, 3, rng=rng), Conv2d(64, 7, 1, rng=rng)]
    net = Sequential(convs[0], ReLU(), MaxPool2d(2, name="pool"), convs[1], ReLU(name="last"), convs[2]).eval()
    x = RNG.standard_normal((2, 64, 54, 48)).astype(np.float32)
    expected, seen = net(x), transforms(monkeypatch)
    net.prepare()
    for _ in range(2):
        np.testing.assert_allclose(net(x), expected, atol=1e-5 * abs(expected).max())
    assert len(seen) == 2


def test_prepared_weights_cannot_change():
    layer = conv().prepare()
    with pytest.raises(ValueError, match="read-only"):
        layer.params["weight"][...] = 0
    with pytest.raises(ValueError, match="read-only"):
        layer.params["weight"] *= 2


@pytest.mark.parametrize("how", ["train", "prepare", "load", "replace", "astype", "copy"])
def test_changed_weights_are_seen(how):
    layer = conv().prepare()
    new = layer.params["weight"] + np.float32(0.5)
    if how == "train":
        layer.train().params["weight"][...] = new
        layer.eval()
    elif how == "prepare":
        layer.prepare(False).params["weight"][...] = new
    elif how == "load":
        layer.load_state_dict({"weight": new, "bias": layer.params["bias"]})
        assert layer.params["weight"].flags.writeable
    elif how == "replace":
        layer.params["weight"] = new
    elif how == "astype":
        layer.astype(np.float64).params["weight"][...] = new
    else:
        layer = copy.deepcopy(layer)
        layer.params["weight"][...] = new
    np.testing.assert_allclose(layer(X), conv2d(X, new, padding=1, algorithm="im2col"), atol=2e-3)


def test_a_second_layer_on_the_same_weight_notices_too():
    layer = conv().prepare()
    other = share_weights(layer, "other")
    assert other.transformed is layer.transformed is not None
    layer.prepare(False).params["weight"] *= 2
    np.testing.assert_allclose(other(X), conv2d(X, layer.params["weight"], padding=1, algorithm="im2col"), atol=1e-3)


@pytest.mark.parametrize(
    "layer",
    [
        conv(f=16),
        conv(dtype=np.float64),
        conv(algorithm="im2col"),
        conv(dilation=2),
        Conv2d(64, 64, 5).eval(),
        Conv2d(64, 64, 3, 2).eval(),
    ],
)
def test_other_convolutions_are_left_alone(layer):
    assert layer.prepare().transformed is None
    layer.params["weight"][...] = 0


def test_wider_input_takes_the_weight_itself():
    """float64 pictures are computed in float64, whatever was prepared in float32."""
    layer = conv(algorithm="winograd").prepare()
    y = layer(X.astype(np.float64))
    assert y.dtype == np.float64
    np.testing.assert_allclose(
        y, conv2d(X.astype(np.float64), layer.params["weight"].astype(np.float64), padding=1), atol=1e-9
    )


def test_the_memory_is_freed():
    layer = conv().prepare()
    assert layer._prepared is not None
    assert layer.train()._prepared is None


def test_in_training_mode_it_says_so():
    with pytest.raises(RuntimeError, match="eval mode"):
        conv().train().prepare()


def test_the_zero_frame_of_a_prepared_network(monkeypatch):
    net = models.build("fcn32s", 4, seed=0, width=32).eval()
    for name, weight in net.params.items():
        if name.startswith("score"):
            weight[...] = np.random.default_rng(3).normal(size=weight.shape)
    x = RNG.standard_normal((1, 3, 40, 50)).astype(np.float32)
    expected = net(x)
    predictor = ZeroFrame(net.prepare())
    for _ in range(2):
        np.testing.assert_allclose(predictor(x), expected, atol=1e-5 * abs(expected).max())


class TestTwins:
    """Two networks that share weights. Either may be prepared, loaded or trained; neither uses a stale transform."""

    @pytest.mark.parametrize("first", ["prepared", "rarefied"])
    def test_rarefied(self, first):
        rng = np.random.default_rng(4)
        net = Sequential(Conv2d(3, 64, 3, rng=rng), MaxPool2d(2, name="pool"), Conv2d(64, 80, 3, rng=rng)).eval()
        x = rng.standard_normal((1, 3, 72, 74)).astype(np.float32)
        expected = shift_and_stitch(net, x)
        if first == "prepared":
            net.prepare()
            twin = rarefy(net)
        else:
            twin = rarefy(net).prepare()
            net.prepare()
        assert net.layers[2].transformed is not None
        for _ in range(2):
            np.testing.assert_allclose(twin(x), expected, atol=1e-4 * abs(expected).max())
            twin.prepare()

    @pytest.mark.parametrize("changed", ["load", "train", "optimizer", "prepare"])
    def test_one_is_changed_after_the_other_was_prepared(self, changed):
        layer = conv()
        one, other = (Sequential(share_weights(layer, "conv")) for _ in range(2))
        one.eval().prepare()
        new = {name: array + np.float32(0.25) for name, array in layer.state_dict().items()}
        if changed == "load":
            other.load_state_dict({f"conv.{name}": array for name, array in new.items()})
        elif changed == "optimizer":
            other.training = other.layers[0].training = True  # it was in training mode before `one` was prepared
            other.grads["conv.weight"][...] = other.grads["conv.bias"][...] = -0.25
            SGD(other, 1.0, momentum=0, multipliers={"*": (1, 1)}).step()
        else:
            (other.train() if changed == "train" else other.prepare(False)).params["conv.weight"][...] = new["weight"]
            other.params["conv.bias"][...] = new["bias"]
        expected = conv2d(X, new["weight"], new["bias"], padding=1, algorithm="im2col")
        for _ in range(2):
            for net in (one, other):
                np.testing.assert_allclose(net(X), expected, atol=1e-4 * abs(expected).max())
            other.eval().prepare()  # its transform is of the new weight; the other's must stay unused

    def test_a_classifier_and_its_convolutional_twin(self):
        rng = np.random.default_rng(5)
        classifier = Sequential(Flatten(name="flat"), Linear(64 * 9, 600, rng=rng, name="fc")).eval()
        twin = convolutionalize(Sequential(conv(64, 64), *classifier.layers)).eval().prepare()
        assert twin.layers[-1].transformed is not None
        with pytest.raises(ValueError, match="read-only"):
            classifier.params["fc.weight"] += 1  # the same memory, seen as a matrix
        new = rng.standard_normal((600, 64 * 9)).astype(np.float32)
        classifier.load_state_dict({"fc.weight": new, "fc.bias": np.zeros(600)})
        x = rng.standard_normal((1, 64, 37, 35)).astype(np.float32)
        expected = conv2d(x, new.reshape(600, 64, 3, 3))
        np.testing.assert_allclose(twin.layers[-1](x), expected, atol=1e-4 * abs(expected).max())

    def test_a_weight_is_writeable_again_when_its_last_network_is_gone(self):
        layer = conv()
        twin = share_weights(layer, "twin").prepare()
        assert not layer.params["weight"].flags.writeable
        layer.train()
        layer.params["weight"] += 1
        assert twin.transformed is None


def test_memory_that_is_read_only_anyway_is_left_alone():
    layer = conv()
    layer.params["weight"] = np.broadcast_to(np.float32(0.5), layer.params["weight"].shape)
    assert layer.prepare().transformed is None
    layer.prepare(False)
    assert not layer.params["weight"].flags.writeable


def test_no_weight_is_kept_alive():
    layer = conv().prepare()
    weak = weakref.ref(prepared._owner(layer.params["weight"]))
    assert weak() is not None
    del layer
    gc.collect()
    assert weak() is None
    assert all(hold._owner() is not None for hold in prepared._holds.values())

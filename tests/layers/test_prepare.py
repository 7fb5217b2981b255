"""A prepared network gives the same numbers, and never those of weights that have changed since."""

import copy

import numpy as np
import pytest

from fcn_from_scratch import models
from fcn_from_scratch.dense.chain import share_weights
from fcn_from_scratch.engine import winograd
from fcn_from_scratch.layers import Conv2d, MaxPool2d, ReLU, Sequential
from fcn_from_scratch.models import ZeroFrame
from fcn_from_scratch.ops import conv2d

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
    x = RNG.standard_normal((2, 64, 50, 44)).astype(np.float32)
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

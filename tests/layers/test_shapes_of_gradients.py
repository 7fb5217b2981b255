"""backward takes a gradient of the output's shape only. NumPy would broadcast another one without a word."""

import re

import numpy as np
import pytest

from fcn_from_scratch import models
from fcn_from_scratch.gradcheck.layer_cases import LAYERS
from fcn_from_scratch.layers import AvgPool2d, Conv2d, MaxPool2d, ReLU, Sequential, ShiftAndStitch, SkipFusion

CASES = [(name, number) for name, (_, configurations) in LAYERS.items() for number in range(len(configurations))]


def wrong(shape):
    """Shapes with another length along one axis (NumPy repeats a length of 1), and with other numbers of axes."""
    for axis, length in enumerate(shape):
        for other in {1, length - 1, length + 1} - {0, length}:
            yield (*shape[:axis], other, *shape[axis + 1 :])
    yield from ((), shape[1:], (1, *shape), shape[::-1])


def refuses(backward, shape):
    count = 0
    for other in set(wrong(tuple(shape))) - {tuple(shape)}:
        with pytest.raises(ValueError, match=re.escape(str(tuple(shape)))) as caught:
            backward(np.ones(other))
        assert str(other) in str(caught.value)
        count += 1
    assert count >= 2


@pytest.mark.parametrize(("name", "number"), CASES)
def test_every_layer(name, number, rng):
    make, configurations = LAYERS[name]
    layer, x = make(rng, **configurations[number])
    y = layer.forward(*x) if isinstance(x, tuple) else layer.forward(x)
    layer.zero_grad()
    refuses(layer.backward, y.shape)
    assert not any(gradient.any() for gradient in layer.grads.values()), "nothing was added"
    layer.backward(np.ones(y.shape))


@pytest.mark.parametrize("layers", [(ReLU(name="relu"),), (ReLU(name="relu"), MaxPool2d(2, name="pool"))])
def test_passes_that_compute_several_layers(layers, rng):
    """Each layer of such a pass checks for itself."""
    chain = Sequential(Conv2d(3, 5, 3, rng=rng, name="conv"), *layers)
    y = chain(rng.standard_normal((2, 3, 8, 10)).astype(np.float32))
    refuses(chain.backward, y.shape)
    refuses(chain.children["conv"].backward, (2, 5, 6, 8))
    refuses(chain.children["conv"].backward_params, (2, 5, 6, 8))


def test_backward_params(rng):
    layer = ShiftAndStitch(Sequential(Conv2d(3, 2, 2, stride=2, rng=rng)), 2)
    y = layer(rng.standard_normal((1, 3, 7, 8)).astype(np.float32))
    refuses(layer.backward_params, y.shape)


@pytest.mark.parametrize("name", ["mini_fcn32s", "mini_fcn8s", "mini_fcn8s_concat", "mini_unpool"])
def test_networks(name, rng):
    net = models.build(name, 4)
    scores = net(rng.standard_normal((2, 3, 40, 33)).astype(np.float32))
    refuses(net.backward, scores.shape)
    refuses(net.backward_params, scores.shape)


def test_a_layer_that_ran_in_eval_mode_asks_for_a_forward(rng):
    layer = AvgPool2d(2)
    layer(rng.normal(size=(1, 1, 4, 4)))
    layer.eval()(rng.normal(size=(1, 1, 6, 6)))
    with pytest.raises(RuntimeError, match="before forward"):
        layer.backward(np.ones((1, 1, 2, 2)))


@pytest.mark.parametrize(
    ("scores", "skip"),
    [
        ((1, 4, 5, 6), (2, 3, 5, 6)),
        ((2, 4, 5, 6), (1, 3, 5, 6)),
        ((2, 1, 5, 6), (2, 3, 5, 6)),
        ((2, 5, 5, 6), (2, 3, 5, 6)),
        ((4, 5, 6), (2, 3, 5, 6)),
    ],
)
def test_a_fusion_refuses_scores_that_numpy_would_repeat(scores, skip):
    with pytest.raises(ValueError, match=re.escape(f"got scores {scores} and a skip {skip}")):
        SkipFusion(3, 4, name="fuse")(np.ones(scores, np.float32), np.ones(skip, np.float32))

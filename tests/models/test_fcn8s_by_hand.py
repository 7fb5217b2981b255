"""FCN-8s by hand equals the network of layers, its gradients and a training step; and it is written as promised."""

import ast
import copy
import inspect

import numpy as np
import pytest

from fcn_from_scratch.models import build, fcn8s_by_hand
from fcn_from_scratch.models.fcn8s_by_hand import FCN8sByHand, crop_offsets, sgd_step, training_step
from fcn_from_scratch.ops import softmax_cross_entropy
from fcn_from_scratch.training import SGD

SIZES = [(1, 1), (9, 14), (33, 50), (70, 37)]
SOURCE = ast.parse(inspect.getsource(fcn8s_by_hand))
(CLASS,) = (node for node in SOURCE.body if isinstance(node, ast.ClassDef))
METHODS = {node.name: node for node in CLASS.body if isinstance(node, ast.FunctionDef)}
PLUMBING = {"__init__", "forward", "backward", "conv", "conv_backward", "drop", "drop_backward"}


def equal(actual, expected):
    """Off by at most 1e-10 of the largest expected value, which is not zero."""
    largest = np.abs(expected).max()
    assert actual.shape == expected.shape
    assert largest > 0
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-10 * largest)


def pair(rng, dropout):
    """The network of layers, and the same by hand; none of the parameters is zero."""
    net = build("fcn8s", 3, width=2, dropout=dropout, dtype=np.float64, seed=4)
    for name, array in net.params.items():
        if name.startswith("score"):
            array[...] = rng.normal(size=array.shape)
        elif name.endswith("bias"):
            array[...] = rng.uniform(0.1, 0.5, size=array.shape)
    generator = copy.deepcopy(net.trunk.children["drop6"].rng) if dropout else None
    return net, FCN8sByHand(net.state_dict(), generator)


class TestEqualsTheNetworkOfLayers:
    @pytest.mark.parametrize("size", SIZES)
    def test_evaluation(self, size, rng):
        net, by_hand = pair(rng, dropout=0.5)
        by_hand.rng = None
        x = rng.normal(size=(2, 3, *size))
        equal(by_hand.forward(x), net.eval()(x))

    @pytest.mark.parametrize("dropout", [0.0, 0.5])
    @pytest.mark.parametrize("size", SIZES)
    def test_every_gradient(self, size, dropout, rng):
        net, by_hand = pair(rng, dropout)
        for _ in range(2):  # the second time with other masks, and with what the first one kept
            x, dscores = rng.normal(size=(2, 3, *size)), rng.normal(size=(2, 3, *size))
            net.zero_grad()
            equal(by_hand.forward(x), net(x))
            equal(by_hand.backward(dscores), net.backward(dscores))
            assert by_hand.grads.keys() == net.grads.keys()
            for name, gradient in net.grads.items():
                equal(by_hand.grads[name], gradient)

    def test_dropout_drops(self, rng):
        _, by_hand = pair(rng, dropout=0.5)
        x = rng.normal(size=(1, 3, 9, 14))
        first = by_hand.forward(x)
        assert np.abs(by_hand.forward(x) - first).max() > 1e-3

    def test_training_steps(self, rng):
        net, by_hand = pair(rng, dropout=0.5)
        optimizer, velocity = SGD(net, lr=1e-5, momentum=0.9, weight_decay=0.1), {}
        before = net.state_dict()
        for _ in range(3):
            x, labels = rng.normal(size=(2, 3, 33, 50)), rng.integers(0, 3, (2, 33, 50))
            labels[:, :4] = 255
            net.zero_grad()
            loss, dscores = softmax_cross_entropy(net(x), labels, reduction="sum")
            net.backward(dscores)
            optimizer.step()
            assert training_step(by_hand, velocity, x, labels, 1e-5, 0.9, 0.1) == pytest.approx(loss, rel=1e-10)
            for name, array in net.params.items():
                equal(by_hand.params[name], array)
                assert (array != before[name]).any()

    def test_shares_a_models_parameters(self, rng):
        net, _ = pair(rng, dropout=0.0)
        by_hand, x = FCN8sByHand(net.params), rng.normal(size=(1, 3, 9, 14))
        before = net(x)
        sgd_step(by_hand.params, {"score_fr.bias": np.ones(3)}, {}, 1.0, 0.9, 0.0)
        assert np.abs(net(x) - before).max() > 0.1
        equal(by_hand.forward(x), net(x))

    def test_keeps_float32(self, rng):
        net = build("fcn8s", 3, width=2, seed=4)
        by_hand, x = FCN8sByHand(net.state_dict(), rng), rng.normal(size=(1, 3, 9, 14)).astype(np.float32)
        training_step(by_hand, {}, x, np.ones((1, 9, 14), np.uint8), 1e-5)
        assert by_hand.forward(x).dtype == np.float32
        assert {array.dtype for array in [*by_hand.params.values(), *by_hand.grads.values()]} == {x.dtype}


def test_caffes_rule_by_numbers():
    """Two steps at rate 0.1, momentum 0.5 and decay 0.2 from w = 1 with g = 3; the bias at 0.2, without decay."""
    params = {"a.weight": np.array([1.0]), "a.bias": np.array([1.0])}
    grads, velocity = {"a.weight": np.array([3.0]), "a.bias": np.array([3.0])}, {}
    sgd_step(params, grads, velocity, 0.1, 0.5, 0.2)  # weight: V = 0.1 (3 + 0.2) = 0.32; bias: V = 0.2 * 3 = 0.6
    np.testing.assert_allclose([params["a.weight"][0], params["a.bias"][0]], [0.68, 0.4], rtol=1e-14)
    sgd_step(params, grads, velocity, 0.1, 0.5, 0.2)  # 0.16 + 0.1 (3 + 0.2 * 0.68) = 0.4736; 0.3 + 0.6 = 0.9
    np.testing.assert_allclose([params["a.weight"][0], params["a.bias"][0]], [0.2064, -0.5], rtol=1e-14)


def test_the_crops_of_the_public_network():
    """The offsets of Caffe's voc-fcn8s: score_pool4c, score_pool3c and score."""
    assert crop_offsets() == (5, 9, 31)


def test_backward_before_forward(rng):
    with pytest.raises(RuntimeError, match="before forward"):
        FCN8sByHand({}).backward(rng.normal(size=(1, 3, 9, 14)))


# --- how it is written --------------------------------------------------------------------------------------


def convolutions(method, function):
    """The layers that self.conv or self.conv_backward is called for, in the order of the lines."""
    calls = [node for node in ast.walk(METHODS[method]) if isinstance(node, ast.Call)]
    named = [call for call in calls if ast.unparse(call.func) == f"self.{function}"]
    return [call.args[0].value for call in sorted(named, key=lambda call: call.lineno)]


def test_no_loops_over_layers():
    loops = (ast.For, ast.While, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
    assert not [ast.unparse(node) for node in ast.walk(CLASS) if isinstance(node, loops)]
    called = {ast.unparse(node.func) for node in ast.walk(CLASS) if isinstance(node, ast.Call)}
    assert not called & {"map", "getattr", "reduce", "functools.reduce"}


def test_only_ops_and_numpy():
    imports = [ast.unparse(node) for node in ast.walk(SOURCE) if isinstance(node, (ast.Import, ast.ImportFrom))]
    assert imports == ["import numpy as np", "from fcn_from_scratch import ops"]


def test_backward_stands_below_forward():
    stages = [name for name in METHODS if name not in PLUMBING]
    assert len(stages) == 2 * 9
    assert stages[1::2] == [f"{name}_backward" for name in stages[::2]]


def test_every_convolution_has_a_line_of_its_own_and_one_of_its_gradients():
    forward = {name: convolutions(name, "conv") for name in METHODS if not name.endswith("_backward")}
    for name, layers in forward.items():
        if name not in PLUMBING:
            assert sorted(convolutions(f"{name}_backward", "conv_backward")) == sorted(layers)
    for name in ["stage1", "stage2", "stage3", "stage4", "stage5", "classifier"]:
        assert convolutions(f"{name}_backward", "conv_backward") == forward[name][::-1]
    spelled = [layer for layers in forward.values() for layer in layers]
    parameters = build("fcn8s", 3, width=1).params
    assert sorted(spelled) == sorted(name.removesuffix(".weight") for name in parameters if name.endswith("weight"))

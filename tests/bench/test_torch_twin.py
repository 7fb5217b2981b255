"""PyTorch computes the same network: scores, training steps, each convolution and its gradients."""

import numpy as np
import pytest
from arrays import close, torch_module

from fcn_from_scratch.bench import LESSON, Work
from fcn_from_scratch.bench.numpy_rival import NumpyRival
from fcn_from_scratch.bench.torch_rival import TorchRival
from fcn_from_scratch.bench.torch_twin import Twin
from fcn_from_scratch.bench.work import convolutions
from fcn_from_scratch.checks import InputError
from fcn_from_scratch.layers import Branches, Conv2d, ReLU, Sequential

pytestmark = pytest.mark.torch

FORMATS = ["contiguous_format", "channels_last"]
WORKS = {
    "lesson": Work(LESSON, (16, 24), batch=2),
    "skips": Work("mini_fcn8s", (41, 64), batch=2, options={"width": 4}),
    "at once": Work("mini_fcn8s_atonce", (41, 64), options={"width": 4}),
    "paper's padding": Work("fcn8s", (33, 47), options={"width": 2, "dropout": 0.0}),
    "learned": Work("mini_fcn16s", (64, 41), batch=2, options={"width": 4, "upsampling": "all_learned"}),
    "nearest": Work("mini_fcn32s", (64, 41), options={"width": 4, "upsampling": "nearest"}),
    "groups, normalisation": Work("fcn_alexnet", (65, 41), options={"width": 2, "dropout": 0.0}),
    "branches": Work("fcn_googlenet", (65, 97), options={"width": 8, "dropout": 0.0}),
}


@pytest.fixture(params=WORKS)
def work(request):
    return WORKS[request.param]


@pytest.mark.parametrize("memory_format", FORMATS)
def test_scores(work, memory_format):
    torch_module()
    ours, theirs = NumpyRival(work, dtype="float64").scores(), TorchRival(work, memory_format, "float64").scores()
    assert theirs.std() > 1e-4 * np.abs(theirs).max() > 0
    close(ours / np.abs(theirs).max(), theirs / np.abs(theirs).max(), 1e-11)


@pytest.mark.parametrize(("name", "memory_format"), [*((name, FORMATS[0]) for name in WORKS), ("skips", FORMATS[1])])
def test_training_steps(name, memory_format):
    """Three steps, so that momentum counts: all that the weights have moved is the same."""
    torch_module()
    work = WORKS[name]._replace(train=True)
    start = work.network("float64")
    ours, theirs = NumpyRival(work, dtype="float64"), TorchRival(work, memory_format, "float64")
    for _ in range(3):
        assert ours.run() == pytest.approx(theirs.run(), rel=1e-10)
    moved = {name: weight - start.params[name] for name, weight in ours.net.params.items()}
    tensors = {f"{layer}.{name}": t for layer, named in theirs.twin.params.items() for name, t in named.items()}
    if work.model != "fcn_googlenet":  # whose branches join their names by slashes
        assert set(tensors) == set(moved)
    for key in set(tensors) & set(moved):
        expected = tensors[key].detach().numpy() - start.params[key]
        assert np.abs(expected).max() > 0
        assert np.abs(moved[key] - expected).max() <= 1e-8 * np.abs(expected).max(), key


@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize("algorithm", ["auto", "im2col"])
def test_each_convolution(algorithm, memory_format):
    torch_module()
    work = Work("mini_fcn8s", (64, 72), batch=2, options={"width": 8})
    ours, theirs = NumpyRival(work, algorithm), TorchRival(work, memory_format)
    for conv in convolutions(work):
        ours.take(conv)
        theirs.take(conv)
        for step in conv.passes:
            expected = getattr(theirs, step)().numpy()
            close(getattr(ours, step)() / np.abs(expected).max(), expected / np.abs(expected).max(), 2e-6)


def test_the_algorithm_is_the_one_asked_for():
    assert {conv.algorithm for conv in NumpyRival(WORKS["skips"], "im2col").layers.values() if conv} == {"im2col"}


def test_weights_are_taken_over_not_held_twice():
    torch = torch_module()
    net = WORKS["skips"].network()
    weight = net.params["conv2_1.weight"]
    twin = Twin(torch, net, "channels_last")
    assert not net.params
    assert twin.params["conv2_1"]["weight"].data_ptr() == weight.ctypes.data  # ours lie channels last
    assert twin.params["conv2_1"]["weight"].is_contiguous(memory_format=torch.channels_last)
    assert Twin(torch, WORKS["skips"].network()).params["conv2_1"]["weight"].is_contiguous()


def test_a_relu_spares_what_others_read():
    torch, rng = torch_module(), np.random.default_rng(0)
    cut = [ReLU(name="relu"), Conv2d(4, 2, 1, rng=rng, name="narrow")]
    uncut = [Conv2d(4, 2, 3, padding=1, rng=rng, name="wide")]
    net = Sequential(Conv2d(3, 4, 3, rng=rng, name="first"), Branches(cut, uncut, name="both"))
    x = rng.standard_normal((2, 3, 7, 6), np.float32)
    y = net(x)
    close(Twin(torch, net)(torch.from_numpy(x)).numpy(), y, 1e-5)


def test_dropout_in_training_alone():
    torch = torch_module()
    work = WORKS["paper's padding"]._replace(options={"width": 2, "dropout": 0.5})
    twin = Twin(torch, work.network())
    x = torch.from_numpy(np.ascontiguousarray(work.pictures(work.outline())))
    assert torch.equal(twin(x), twin(x))
    twin.training = True
    assert not torch.equal(twin(x), twin(x))


def test_a_layer_without_a_counterpart_is_named():
    with pytest.raises(InputError, match=r"MaxUnpool2d 'unpool5' has no counterpart .* --peer none"):
        Twin(torch_module(), Work("mini_unpool", (64, 64), options={"width": 4}).network())

"""PyTorch computes the same network: equal scores, training steps, and convolutions with their gradients."""

import time

import numpy as np
import pytest
from arrays import close, torch_module

from fcn_from_scratch.checks import InputError
from fcn_from_scratch.lab.bench import LESSON, Work
from fcn_from_scratch.lab.bench.numpy_rival import NumpyRival
from fcn_from_scratch.lab.bench.torch_network import TorchNetwork
from fcn_from_scratch.lab.bench.torch_rival import TorchCudaRival, TorchRival
from fcn_from_scratch.lab.bench.work import convolutions
from fcn_from_scratch.layers import Branches, Conv2d, ReLU, Sequential

pytestmark = pytest.mark.torch

FORMATS = ["contiguous_format", "channels_last"]
WORKS = {
    "lesson": Work(LESSON, (16, 24), batch=2),
    "skips": Work("mini_fcn8s", (41, 64), batch=2, options={"width": 4}),
    "at once": Work("mini_fcn8s_atonce", (41, 64), options={"width": 4}),
    "paper's padding": Work("fcn8s", (33, 47), options={"width": 2, "dropout": 0.0}),
    "learned": Work("mini_fcn16s", (64, 41), batch=2, options={"width": 4, "upsampling": "all_learned"}),
    "dilated": Work("mini_fcn8s_dilated", (41, 64), options={"width": 4}),
    "stacked features": Work("mini_fcn8s_concat", (41, 64), options={"width": 4}),
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
    """Three steps, so that momentum counts. All weights have moved by the same amounts."""
    torch_module()
    work = WORKS[name]._replace(train=True)
    start = work.network("float64")
    ours, theirs = NumpyRival(work, dtype="float64"), TorchRival(work, memory_format, "float64")
    for _ in range(3):
        assert ours.run() == pytest.approx(theirs.run(), rel=1e-10)
    moved = {name: weight - start.params[name] for name, weight in ours.net.params.items()}
    tensors = {f"{layer}.{name}": t for layer, named in theirs.network.params.items() for name, t in named.items()}
    if work.model != "fcn_googlenet":  # the names of its branches contain slashes
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


class FakeCuda:
    """The functions of torch.cuda that a rival on the GPU calls, on the CPU."""

    class Event:
        def __init__(self, enable_timing):
            self.seen = [enable_timing]

        def record(self):
            self.at = time.perf_counter()

        def query(self):
            return True

        def synchronize(self):
            self.seen.append("waited for")

        def elapsed_time(self, end):
            assert self.seen == [True]
            assert end.seen == [True, "waited for"]
            return 1000 * (end.at - self.at)

    def __init__(self):
        self.calls = []

    def reset_peak_memory_stats(self):
        self.calls.append("reset")

    def max_memory_allocated(self):
        self.calls.append("read")
        return 7 << 20


@pytest.fixture
def backends():
    """PyTorch's switches; they are reset after the test."""
    switches = torch_module().backends
    before = switches.cudnn.benchmark, switches.cuda.matmul.allow_tf32, switches.cudnn.allow_tf32
    yield switches
    switches.cudnn.benchmark, switches.cuda.matmul.allow_tf32, switches.cudnn.allow_tf32 = before


@pytest.mark.parametrize("tf32", [False, True])
@pytest.mark.parametrize("train", [False, True])
def test_the_rival_on_the_gpu(backends, monkeypatch, tf32, train):
    """As far as a CPU can show it: equal numbers, times by events, TF32 only if allowed, the peak of one run."""
    cuda = FakeCuda()
    backends.cuda.matmul.allow_tf32 = backends.cudnn.allow_tf32 = not tf32
    monkeypatch.setattr(torch_module(), "cuda", cuda)
    monkeypatch.setattr(TorchCudaRival, "device", "cpu")
    monkeypatch.setenv("CUPY_TF32", str(int(tf32)))
    work = WORKS["skips"]._replace(train=train)
    rival, other = TorchCudaRival(work, "channels_last"), TorchRival(work, "channels_last")
    assert backends.cudnn.benchmark is True
    assert (backends.cuda.matmul.allow_tf32, backends.cudnn.allow_tf32) == (tf32, tf32)
    close(rival.scores(), other.scores(), 0)
    assert 0 < rival.clock(rival.run, 2) < 60
    monkeypatch.setattr(rival, "run", lambda: cuda.calls.append("run"))
    assert rival.peak() == 7 << 20
    assert cuda.calls == ["run", "reset", "run", "read"]


def test_the_algorithm_is_the_one_asked_for():
    assert {conv.algorithm for conv in NumpyRival(WORKS["skips"], "im2col").layers.values() if conv} == {"im2col"}


def test_weights_are_taken_over_not_held_twice():
    torch = torch_module()
    net = WORKS["skips"].network()
    weight = net.params["conv2_1.weight"]
    network = TorchNetwork(torch, net, "channels_last")
    assert not net.params
    assert network.params["conv2_1"]["weight"].data_ptr() == weight.ctypes.data  # our weights lie channels last
    assert network.params["conv2_1"]["weight"].is_contiguous(memory_format=torch.channels_last)
    assert TorchNetwork(torch, WORKS["skips"].network()).params["conv2_1"]["weight"].is_contiguous()


def test_a_relu_spares_what_others_read():
    torch, rng = torch_module(), np.random.default_rng(0)
    cut = [ReLU(name="relu"), Conv2d(4, 2, 1, rng=rng, name="narrow")]
    uncut = [Conv2d(4, 2, 3, padding=1, rng=rng, name="wide")]
    net = Sequential(Conv2d(3, 4, 3, rng=rng, name="first"), Branches(cut, uncut, name="both"))
    x = rng.standard_normal((2, 3, 7, 6), np.float32)
    y = net(x)
    close(TorchNetwork(torch, net)(torch.from_numpy(x)).numpy(), y, 1e-5)


def test_dropout_in_training_alone():
    torch = torch_module()
    work = WORKS["paper's padding"]._replace(options={"width": 2, "dropout": 0.5})
    network = TorchNetwork(torch, work.network())
    x = torch.from_numpy(np.ascontiguousarray(work.pictures(work.outline())))
    assert torch.equal(network(x), network(x))
    network.training = True
    assert not torch.equal(network(x), network(x))


def test_a_layer_without_a_counterpart_is_named():
    with pytest.raises(InputError, match=r"MaxUnpool2d 'unpool5' has no counterpart in PyTorch"):
        TorchNetwork(torch_module(), Work("mini_unpool", (64, 64), options={"width": 4}).network())

"""Whole networks on the device give the CPU's numbers, and nothing is copied between host and device without need."""

import sys

import numpy as np
import pytest
import standin
from arrays import close

from fcn_from_scratch import engine, models, ops, plain
from fcn_from_scratch.cli import main
from fcn_from_scratch.kernels import emulator, launch
from fcn_from_scratch.layers import Conv2d, Dropout, LocalResponseNorm, MaxPool2d, ReLU, Sequential, ShiftAndStitch
from fcn_from_scratch.ops import loops, loops_backward
from fcn_from_scratch.ops.shapes import conv_geometry, pool_geometry
from fcn_from_scratch.training import SGD

NETWORKS = {
    "three skips": ("mini_fcn4s", {}),
    "two skips": ("mini_fcn8s", {}),
    "learned upsampling": ("mini_fcn16s", {"upsampling": "all_learned"}),
    "dilated": ("mini_fcn8s_dilated", {}),
    "stacked features": ("mini_fcn8s_concat", {}),
    "unpooling": ("mini_unpool", {}),
}


def network(name, options, dtype):
    net = models.build(name, 3, width=4, dtype=dtype, seed=1, **options)
    rng = np.random.default_rng(1)
    for array in net.params.values():
        fan_in = array.size // len(array) if array.ndim > 1 else 4
        array[...] = rng.normal(size=array.shape) / np.sqrt(fan_in)
    return net


def odd_net(dtype):
    """What no mini network has: groups, a stride, dilation, overlapping windows, normalisation, dropout."""
    rng = np.random.default_rng(2)
    layers = [
        Conv2d(3, 4, (3, 2), (2, 1), (1, 2), rng=rng, dtype=dtype),
        LocalResponseNorm(3, 0.5, 0.75, 1.0),
        MaxPool2d(3, 2, 1, ceil_mode=True),
        Conv2d(4, 6, 3, padding=2, dilation=2, groups=2, rng=rng, dtype=dtype),
        ReLU(),
        Dropout(0.4, rng=np.random.default_rng(3)),
        Conv2d(6, 3, (2, 3), rng=rng, dtype=dtype),
    ]
    return Sequential(*layers)


def batch(net, dtype):
    rng = np.random.default_rng(4)
    x = rng.normal(size=(2, 3, 37, 30)).astype(dtype)
    labels = rng.integers(0, 3, (2, *net(x).shape[2:]))
    labels[:, :2] = 255
    return x, labels


def step(net, sgd, x, labels, counted=dict):
    """One training step. Returns its loss, and the copies made in each part of it."""
    copies = {"before": counted()}
    scores = net(x)
    copies["forward"] = counted()
    loss, dscores = ops.softmax_cross_entropy(scores, labels)
    copies["loss"] = counted()
    net.zero_grad()
    net.backward_params(dscores)
    copies["backward"] = counted()
    sgd.step()
    copies["step"] = counted()
    return float(loss), copies


def count_copies():
    """What the stand-in has copied since the last call."""
    found = {way: standin.counts[way] for way in ("to device", "to host") if standin.counts[way]}
    standin.counts.clear()
    return found


def nets(which, dtype):
    """The same network twice."""
    make = (lambda: odd_net(dtype)) if which == "odd" else (lambda: network(*NETWORKS[which], dtype))
    return make(), make()


@pytest.mark.parametrize("which", [*NETWORKS, "odd"])
def test_a_training_step_is_the_cpus(xp, dtype, which):
    """On a GPU the gradients of a whole network are compared in float64 only.

    In float32 a pool may have two largest numbers that are equal up to rounding. Then both devices are right with
    different winners, and the gradients of these pixels do not agree at all. Each kernel's own gradients are compared
    in float32 too (test_kernels.py).
    """
    host, device = nets(which, dtype)
    arrays = batch(host, dtype)
    for net in (host, device):  # the same point of the random numbers for both
        for generator in net.generators().values():
            generator.bit_generator.state = np.random.default_rng(5).bit_generator.state
    device.to("cuda")
    optimizers = [SGD(net, 0.05, 0.9, 0.01) for net in (host, device)]
    tolerance = {"float32": 2e-5, "float64": 1e-12}[dtype]
    for _ in range(2):
        expected, _ = step(host, optimizers[0], *arrays)
        loss, _ = step(device, optimizers[1], *map(xp.asarray, arrays))
        assert loss == pytest.approx(expected, rel=10 * tolerance)
    close(device(xp.asarray(arrays[0])), host(arrays[0]), 10 * tolerance)
    for name, array in host.params.items():
        if dtype == "float64" or xp is standin:
            close(device.params[name], array, tolerance)
            close(device.grads[name], host.grads[name], 10 * tolerance)
    for mine, theirs in zip(host.generators().values(), device.generators().values()):
        assert mine.bit_generator.state == theirs.bit_generator.state


@pytest.mark.parametrize("which", [*NETWORKS, "odd"])
def test_a_step_copies_nothing_but_the_loss(built, monkeypatch, which):
    monkeypatch.setitem(sys.modules, "cupy", standin)
    _, net = nets(which, "float32")
    x, labels = batch(net, "float32")
    net.to("cuda")
    sgd = SGD(net, 0.05, 0.9, 0.01)
    arrays = standin.asarray(x), standin.asarray(labels)
    standin.counts.clear()
    _, copies = step(net, sgd, *arrays, count_copies)
    assert copies == {"before": {}, "forward": {}, "loss": {"to host": 1}, "backward": {}, "step": {}}


def test_a_step_turns_no_map_of_features_round(built, monkeypatch):
    """Maps lie channels last from the first layer to the last. Only the picture is copied to this order, and what a
    crop's backward makes, which are maps of scores.

    As CuPy's, the stand-in's functions return C order. A sum of two gradients or a product with [y > 0] that is written
    as array code turns its map round, and the next kernel turns it back.
    """
    monkeypatch.setitem(sys.modules, "cupy", standin)
    _, net = nets("two skips", "float32")
    x, labels = batch(net, "float32")
    net.to("cuda")
    arrays = standin.asarray(x), standin.asarray(labels)
    standin.counts.clear()
    step(net, SGD(net, 0.05, 0.9, 0.01), *arrays)
    turned = [key[1] for key in standin.counts if key[0] == "transposed"]
    assert (2, 37, 30, 3) in turned
    assert {channels for *_, channels in turned} == {3}  # of the picture, and the classes; features have 4 or more


@pytest.fixture
def launched(built, monkeypatch):
    """The names of all launched kernels, in order."""
    monkeypatch.setitem(sys.modules, "cupy", standin)
    names = []

    class RawModule(standin.RawModule):
        def get_function(self, name):
            function = super().get_function(name)
            return lambda *given: names.append(name) or function(*given)

    monkeypatch.setattr(standin, "RawModule", RawModule)
    launch.compiled.cache_clear()
    yield names
    launch.compiled.cache_clear()


def wide_conv(rng, dtype, channels=64):
    """The smallest convolution that Winograd's algorithm pays for, on the device: 64 channels, 32x33 pixels."""
    return [standin.asarray(rng.normal(size=s).astype(dtype)) for s in ((1, channels, 32, 33), (64, channels, 3, 3))]


def test_a_gpu_takes_winograd_where_the_cpu_does(launched, rng):
    for dtype, channels, takes in (("float32", 64, True), ("float64", 64, False), ("float32", 63, False)):
        launched.clear()
        x, weight = wide_conv(rng, dtype, channels)
        ops.conv2d(x, weight, padding=1)
        dy = standin.zeros((1, 64, 32, 33), dtype)
        ops.conv2d_backward(dy, x, weight, padding=1)
        forward, gradients = "winograd_output" in launched, "winograd_output_adjoint" in launched
        assert (forward, gradients, "im2col" in launched) == (takes, takes, not takes)


def test_winograd_is_refused_under_tf32(launched, rng, monkeypatch):
    monkeypatch.setenv("CUPY_TF32", "1")
    x, weight = wide_conv(rng, "float32")
    ops.conv2d(x, weight, padding=1)
    assert "im2col" in launched
    assert "winograd_output" not in launched
    with pytest.raises(ValueError, match="take 'im2col', or unset CUPY_TF32"):
        ops.conv2d(x, weight, padding=1, algorithm="winograd")
    host = [standin.asnumpy(array) for array in (x, weight)]
    assert ops.conv2d(*host, padding=1, algorithm="winograd").shape == (1, 64, 32, 33)  # a CPU has no TF32


def test_three_products_of_tf32_are_asked_for_by_name(launched, rng):
    x, weight = wide_conv(rng, "float32")
    exact = ops.conv2d(x, weight, padding=1, algorithm="im2col")
    launched.clear()
    y = ops.conv2d(x, weight, padding=1, algorithm="3xtf32")
    assert launched == ["tf32x3_gemm"]
    close(y / 100, exact.get() / 100, 1e-6)
    with pytest.raises(
        ValueError, match="'3xtf32' multiplies float32 numbers on the tensor cores of a GPU; got float64"
    ):
        ops.conv2d(x.astype("float64"), weight.astype("float64"), padding=1, algorithm="3xtf32")
    with pytest.raises(ValueError, match="got arrays of the CPU"):
        ops.conv2d(x.get(), weight.get(), padding=1, algorithm="3xtf32")


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("algorithm", ["implicit", "3xtf32"])
def test_all_products_are_those_that_were_asked_for(launched, rng, algorithm, stride):
    """Forward and both gradients: no product by cuBLAS, and no patches but those of dx at a stride."""
    mine = {"implicit": "implicit", "3xtf32": "tf32x3"}[algorithm]
    x, weight = (rng.normal(size=s).astype("float32") for s in ((2, 5, 9, 11), (4, 5, 3, 3)))
    options = {"stride": stride, "padding": 1}
    y = ops.conv2d(x, weight, **options)
    dy = rng.normal(size=y.shape).astype("float32")
    arrays = {name: standin.asarray(array) for name, array in (("dy", dy), ("x", x), ("weight", weight))}
    close(ops.conv2d(arrays["x"], arrays["weight"], algorithm=algorithm, **options), y, 1e-5)
    assert launched == [f"{mine}_gemm"]
    launched.clear()
    found = ops.conv2d_backward(**arrays, algorithm=algorithm, **options)
    assert launched == [f"{mine}_weight_grad", f"{mine}_gemm", *["col2im"] * (stride > 1)]
    for ours, theirs in zip(found, loops_backward.conv2d_backward_loops(dy, x, weight, stride, 1)):
        close(ours, theirs, 1e-5)


def test_winograd_relu_and_pool_are_one_kernel(launched, rng):
    x, weight, bias = (standin.asarray(rng.normal(size=s)) for s in ((2, 5, 9, 7), (4, 5, 3, 3), (4,)))
    conv2d_relu_pool(x, weight, bias, 1, "winograd")
    assert launched == ["winograd_kernel", "winograd_input", "winograd_output_pool"]


def test_the_gradients_of_fc6_gather_its_input_alone(built, monkeypatch, rng):
    """More outputs than pixels: the patches of dy, padded by 6, would be 30 times as many numbers as those of x."""
    monkeypatch.setitem(sys.modules, "cupy", standin)
    x, weight, dy = (rng.normal(size=s) for s in ((2, 3, 8, 9), (40, 3, 7, 6), (2, 40, 2, 4)))
    gathered, im2col = [], engine.conv_gpu.kernels.im2col
    watch = lambda *given: gathered.append(im2col(*given)) or gathered[-1]  # noqa: E731
    monkeypatch.setattr(engine.conv_gpu.kernels, "im2col", watch)
    found = ops.conv2d_backward(*map(standin.asarray, (dy, x, weight)))
    assert [patches.shape for patches in gathered] == [(2 * 2 * 4, 7 * 6 * 3)]
    for ours, theirs in zip(found, loops_backward.conv2d_backward_loops(dy, x, weight)):
        close(ours, theirs, 1e-12)


@pytest.mark.parametrize("inside", [True, False])
def test_inside_plain_no_kernel_runs(built, monkeypatch, inside):
    monkeypatch.setitem(sys.modules, "cupy", standin)
    _, net = nets("odd", "float32")
    x, labels = batch(net, "float32")
    net.to("cuda")
    with plain(inside):
        standin.counts.clear()
        step(net, SGD(net, 0.05, 0.9, 0.01), standin.asarray(x), standin.asarray(labels))
    assert (standin.counts["kernels"] == 0) == inside


def test_the_order_of_threads_changes_no_bit(built, monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", standin)
    found = []
    for order in (0, 1):
        monkeypatch.setattr(emulator, "ORDER", order)
        net = odd_net("float32").to("cuda")
        x = np.random.default_rng(4).normal(size=(1, 3, 37, 30)).astype("float32")
        labels = standin.zeros((1, *net(standin.asarray(x)).shape[2:]), int)
        net.layers[5].rng = np.random.default_rng(6)
        step(net, SGD(net, 0.05, 0.9, 0.01), standin.asarray(x), labels)
        found.append(net.state_dict())
    for name, array in found[0].items():
        np.testing.assert_array_equal(array, found[1][name])


@pytest.mark.parametrize("form", ["drop", "shift"])
def test_shift_and_stitch(xp, rng, dtype, form):
    def make():
        layers = Conv2d(3, 2, 3, rng=np.random.default_rng(0), dtype=dtype), MaxPool2d(2)
        return ShiftAndStitch(Sequential(*layers), 2, form)

    host, device, x = make(), make().to("cuda"), rng.normal(size=(2, 3, 9, 8)).astype(dtype)
    y = host(x)
    dy = rng.normal(size=y.shape).astype(dtype)
    tolerance = {"float32": 5e-6, "float64": 1e-13}[dtype]
    close(device(xp.asarray(x)), y, tolerance)
    close(device.backward(xp.asarray(dy)), host.backward(dy), tolerance)


@pytest.mark.parametrize("algorithm", ["im2col", "winograd", "wide", "implicit"])
@pytest.mark.parametrize("relu", [True, False])
def test_convolution_by_name_in_any_layout(xp, rng, dtype, layout, algorithm, relu):
    x, weight, bias = (rng.normal(size=s).astype(dtype) for s in ((2, 5, 9, 7), (4, 5, 3, 3), (4,)))
    expected = loops.conv2d_loops(x.astype(float), weight, bias, 1, 1)
    arrays = [xp.asarray(layout(a)) for a in (x, weight, bias)]
    y = engine.conv2d(*arrays, conv_geometry(x.shape, weight, 1, 1, 1, 1), algorithm, relu=relu)
    close(y, loops.relu_loops(expected) if relu else expected, 2e-5)


@pytest.mark.parametrize("algorithm", ["im2col", "winograd", "wide", "implicit"])
def test_gradients_by_name_in_any_layout(xp, rng, dtype, layout, algorithm):
    x, weight, dy = (rng.normal(size=s).astype(dtype) for s in ((2, 5, 9, 7), (4, 5, 3, 3), (2, 4, 9, 9)))
    options = {"padding": (1, 2), "algorithm": algorithm}
    dy_, x_, weight_ = (xp.asarray(layout(a)) for a in (dy, x, weight))
    tolerance = {"float32": 2e-5, "float64": 1e-12}[dtype]
    expected = ops.conv2d_backward(dy, x, weight, padding=(1, 2), algorithm="im2col")
    for ours, theirs in zip(ops.conv2d_backward(dy_, x_, weight_, **options), expected):
        close(ours, theirs, tolerance)
    total = xp.asarray(np.ones_like(weight))
    ops.conv2d_weight_grad(dy_, x_, weight_, **options, out=total)
    close(total, 1 + expected[1], tolerance)


def conv2d_relu_pool(x, weight, bias, padding, algorithm, ceil_mode=False):
    geometry = conv_geometry(x.shape, weight, 1, padding, 1, 1)
    pool = pool_geometry(geometry.output_size, 2, ceil_mode=ceil_mode)
    return engine.conv2d_relu_pool(x, weight, bias, geometry, pool, algorithm)


@pytest.mark.parametrize("algorithm", ["im2col", "winograd", "wide", "implicit"])
def test_a_convolution_by_name_copies_nothing(built, rng, monkeypatch, algorithm):
    monkeypatch.setitem(sys.modules, "cupy", standin)
    sizes = (2, 5, 9, 7), (4, 5, 3, 3), (4,), (2, 4, 9, 9)
    x, weight, bias, dy = (standin.asarray(rng.normal(size=size)) for size in sizes)
    standin.counts.clear()
    options = {"padding": (1, 2), "algorithm": algorithm}
    ops.conv2d(x, weight, bias, **options)
    conv2d_relu_pool(x, weight, bias, **options)
    ops.conv2d_backward(dy, x, weight, **options)
    assert count_copies() == {}


@pytest.mark.parametrize("ceil_mode", [True, False])
def test_convolution_relu_and_pool_in_one(xp, rng, dtype, ceil_mode):
    x, weight, bias = (rng.normal(size=s).astype(dtype) for s in ((2, 5, 9, 7), (4, 5, 3, 3), (4,)))
    options = {"padding": 1, "algorithm": "winograd"}
    y, winner = conv2d_relu_pool(*map(xp.asarray, (x, weight, bias)), **options, ceil_mode=ceil_mode)
    expected = ops.relu(ops.conv2d(x, weight, bias, **options))
    pooled, places = engine.max_pool2d_winner(expected, pool_geometry(expected.shape[2:], 2, ceil_mode=ceil_mode))
    close(y, pooled, 2e-5)
    positive = pooled > 0
    assert (xp.asnumpy(winner)[positive] == places[positive]).all()
    assert (xp.asnumpy(winner)[~positive] >= 4).all()


def test_pooling_backward_by_indices_in_any_layout(xp, rng, dtype, layout):
    x = rng.normal(size=(2, 3, 7, 8)).astype(dtype)
    y, indices = ops.max_pool2d(x, 3, 2, 1)
    dy = rng.normal(size=y.shape).astype(dtype)
    arrays = [xp.asarray(layout(a)) for a in (dy, indices)]
    standin.counts.clear()
    dx = ops.max_pool2d_backward(*arrays, x.shape)
    assert count_copies() == {}
    close(dx, ops.max_pool2d_backward(dy, indices, x.shape), 2e-6)


def test_transposed_convolution_in_any_layout(xp, rng, dtype, layout):
    x, weight, bias = (rng.normal(size=s).astype(dtype) for s in ((2, 5, 4, 3), (5, 4, 3, 4), (4,)))
    arrays = [xp.asarray(layout(a)) for a in (x, weight, bias)]
    close(ops.conv_transpose2d(*arrays, 2), loops.conv_transpose2d_loops(x.astype(float), weight, bias, 2), 2e-6)


def test_no_memory_is_one_line_that_says_what_to_change(monkeypatch, capsys, tmp_path):
    """As CuPy's OutOfMemoryError, which is a MemoryError."""

    def empty(shape, dtype=float):
        raise MemoryError("Out of memory allocating 1,073,741,824 bytes")

    monkeypatch.setitem(sys.modules, "cupy", standin)
    monkeypatch.setattr(standin, "empty", empty)
    arguments = ["train", "--device", "cuda", "--steps", "1", "--out", str(tmp_path / "run")]
    assert main(arguments) == 1
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("fcn: not enough memory: Out of memory allocating 1,073,741,824 bytes")
    assert "smaller" in error

"""What only a GPU can show. All other tests of this folder run on it too (pytest -m gpu).

There must be no synchronisation inside a step, the same bits on every run, memory that stays bounded, a message when
the memory does not suffice, and a network of the paper at full width. Without a GPU the quick tests run on CuPy's
stand-in, where they show little more than that they run.
"""

import sys
from contextlib import nullcontext

import numpy as np
import pytest
import standin
from arrays import NEEDS_GPU, close

from fcn_from_scratch import models, ops
from fcn_from_scratch.cli import main
from fcn_from_scratch.engine import im2col
from fcn_from_scratch.kernels import winograd
from fcn_from_scratch.lab.bench import Work
from fcn_from_scratch.lab.bench.kernel_cases import CASES, Sizes
from fcn_from_scratch.training import SGD

WORK = Work("mini_fcn8s", (44, 60), batch=2, options={"width": 4})
HOW = "by Winograd", "by im2col", "by implicit GEMM", "without its kernels"  # the benchmark's rivals beside our choice
ON_A_GPU = pytest.param("cupy", marks=NEEDS_GPU)


@pytest.fixture(params=["standin", ON_A_GPU])
def cupy(request, monkeypatch):
    """CuPy with an empty memory pool and without TF32, which rounds the factors of products to ten bits."""
    monkeypatch.setenv("CUPY_TF32", "0")
    if request.param == "standin":
        request.getfixturevalue("built")
        monkeypatch.setitem(sys.modules, "cupy", standin)
        monkeypatch.setitem(sys.modules, "cupyx", standin.cupyx)
    module = sys.modules["cupy"]
    module.get_default_memory_pool().free_all_blocks()
    yield module
    module.get_default_memory_pool().set_limit(size=0)


def run(cupy, steps=3, dtype="float32"):
    """Some steps of a small network on the GPU; returns its parameters."""
    net = models.build("mini_fcn8s", 3, width=8, dtype=dtype, seed=1).to("cuda")
    sgd, rng = SGD(net, 0.05, 0.9, 0.01), np.random.default_rng(2)
    x = cupy.asarray(rng.normal(size=(2, 3, 96, 80)).astype(dtype))
    labels = cupy.asarray(rng.integers(0, 3, (2, 96, 80)))
    for _ in range(steps):
        _, dscores = ops.softmax_cross_entropy(net(x), labels)
        net.zero_grad()
        net.backward_params(dscores)
        sgd.step()
    return net.state_dict()


@pytest.mark.parametrize("name", CASES)
def test_each_kernel_once(cupy, name):
    """Small arrays, each in memory of its own, as gpu_report.sh runs it under NVIDIA's sanitizer: inside CuPy's pool
    neither a number beyond an array's end nor one that nobody wrote would be noticed."""
    pool = nullcontext() if cupy is standin else cupy.cuda.using_allocator(None)
    with pool:
        made = CASES[name](Sizes(WORK), cupy, np.random.default_rng(1)).ours()
        arrays = [cupy.asnumpy(array) for array in (made if isinstance(made, tuple) else (made,))]
    assert all(np.isfinite(array).all() for array in arrays)


def test_every_run_has_the_same_bits(cupy):
    first, second = run(cupy), run(cupy)
    for name, array in first.items():
        np.testing.assert_array_equal(array, second[name])


@pytest.mark.filterwarnings("ignore:cupyx.allow_synchronize will be removed")
def test_nothing_waits_for_the_device_inside_a_step(cupy):
    import cupyx

    net = models.build("mini_fcn8s", 3, width=8, seed=1).to("cuda")
    sgd = SGD(net, 0.05, 0.9, 0.01)
    x = cupy.asarray(np.random.default_rng(2).normal(size=(2, 3, 96, 80)).astype("float32"))
    labels = cupy.zeros((2, 96, 80), np.int64)
    for _ in range(2):  # in the first step the kernels are compiled
        with cupyx.allow_synchronize(False):
            scores = net(x)
        _, dscores = ops.softmax_cross_entropy(scores, labels)  # the loss comes to the host: the one wait
        with cupyx.allow_synchronize(False):
            net.zero_grad()
            net.backward_params(dscores)
            sgd.step()


@pytest.mark.parametrize("algorithm", ["im2col", "winograd"])
def test_patches_and_tiles_are_bounded(cupy, monkeypatch, algorithm):
    """A convolution whose patches would take 28 times the bound takes little more than its output and a block."""
    bound = 2 << 20
    monkeypatch.setattr(im2col, "GPU_BLOCK_BYTES", bound)
    monkeypatch.setattr(winograd, "BAND_BYTES", bound)
    x = cupy.zeros((1, 160, 160, 64), np.float32).transpose(0, 3, 1, 2)
    weight = cupy.zeros((64, 64, 3, 3), np.float32)
    assert 9 * x.nbytes > 28 * bound
    pool = cupy.get_default_memory_pool()
    pool.free_all_blocks()
    before = pool.total_bytes()
    y = ops.conv2d(x, weight, padding=1, algorithm=algorithm)
    assert pool.total_bytes() - before < y.nbytes + 4 * weight.nbytes + 4 * bound


def test_too_little_memory_is_one_line(cupy, capsys, tmp_path):
    pool = cupy.get_default_memory_pool()
    pool.set_limit(size=pool.total_bytes() + (1 << 20))
    assert main(["train", "--device", "cuda", "--steps", "1", "--out", str(tmp_path / "run")]) == 1
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("fcn: not enough memory: Out of memory allocating")
    assert "smaller" in error


@pytest.mark.slow
@pytest.mark.parametrize("cupy", [ON_A_GPU], indirect=True)
@pytest.mark.parametrize("name", ["fcn8s", "fcn_alexnet", "fcn_googlenet"])
def test_a_network_of_the_paper_is_the_cpus(cupy, name):
    host, device = (models.build(name, 21, seed=0).eval() for _ in range(2))
    rng = np.random.default_rng(0)
    for array in host.params.values():
        if not array.any():
            array[...] = rng.normal(size=array.shape) / np.sqrt(array.size)
    device.load_state_dict(host.state_dict())
    x = 50 * rng.normal(size=(1, 3, 97, 113)).astype(np.float32)
    expected = host(x)
    close(device.to("cuda")(cupy.asarray(x)) / float(np.abs(expected).max()), expected / np.abs(expected).max(), 1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("cupy", [ON_A_GPU], indirect=True)  # its rivals are processes of their own
def test_the_benchmark(cupy, capsys, tmp_path):
    """The real thing, tiny: every rival, layer and kernel, timed by real events."""
    words = "bench --device cuda --model mini_fcn8s --width 8 --size 97x125 --train --layers --kernels --repeats 1"
    assert main([*words.split(), "--budget", "200", "--out", str(tmp_path)]) == 0  # other tests run at the same time
    out = capsys.readouterr().out
    assert "TF32 off" in out.splitlines()[0]
    for title in ("fcn_from_scratch", *(f"the same {how}" for how in HOW)):
        line = next(line for line in out.splitlines() if line.startswith(title))
        assert float(line.split()[-2]) < 1e-4
    assert (tmp_path / "kernels.png").exists()

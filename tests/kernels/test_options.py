"""What could make results inexact or different from run to run is not asked for: in options, in sources, in order."""

import re
import sys

import numpy as np
import pytest
import standin
from arrays import NEEDS_GPU

from fcn_from_scratch import kernels
from fcn_from_scratch.kernels import emulator, launch
from fcn_from_scratch.kernels.table import KERNELS
from fcn_from_scratch.lab.bench import Work
from fcn_from_scratch.lab.bench.kernel_cases import CASES, Sizes

SOURCES = sorted(path.name for path in launch.SOURCES.glob("*.cu*"))
BUILDS = sorted({(kernel.source, variant) for kernel in KERNELS.values() for variant in kernel.variants})
WORK = Work("mini_fcn8s", (44, 60), batch=2, options={"width": 4})
# Functions of the card that are faster than C's and less exact, and atomics, whose order is another on every run.
INEXACT = r"\b(__expf|__logf|__powf|__sinf|__cosf|__fdividef|__frcp_\w+|__fsqrt_\w+|rsqrtf?|tex\w*)\("
ATOMIC = re.compile(r"\batomic\w+\(&?(\w+)")


@pytest.mark.parametrize("real", launch.REALS.values())
@pytest.mark.parametrize(("source", "variant"), BUILDS)
def test_the_compiler_is_told_nothing_that_is_inexact(monkeypatch, source, variant, real):
    """The options that CuPy's RawModule really gets."""
    given = []
    module = type("cupy", (), {"RawModule": staticmethod(lambda code, options: given.extend(options))})
    launch.compiled.__wrapped__(module, source, real, 0, variant)
    allowed = {"-std=c++17", f"-DREAL={real}", "--fmad=true", *(f"-D{definition}" for definition in variant)}
    assert set(given) == allowed
    assert not re.search(r"fast|ftz|prec-(div|sqrt)", " ".join(given))


@pytest.mark.parametrize("source", SOURCES)
def test_no_source_uses_an_inexact_function(source):
    text = (launch.SOURCES / source).read_text(encoding="utf-8")
    assert not re.search(INEXACT, text)
    assert "#pragma fp" not in text


@pytest.mark.parametrize("source", SOURCES)
def test_atomics_are_of_whole_numbers(source):
    """Each name that an atomic writes to is declared as an int in the same file."""
    text = (launch.SOURCES / source).read_text(encoding="utf-8")
    for name in ATOMIC.findall(text):
        assert re.search(rf"\bint\s*\*?(?:\s*__restrict__)?\s*{name}\b", text), name
        assert not re.search(rf"\b(REAL|float|double)\s*\*?(?:\s*__restrict__)?\s*{name}\b", text), name


def test_these_tests_find_what_they_look_for():
    assert re.search(INEXACT, "y[0] = __expf(x[0]);")
    assert ATOMIC.findall("if (ok) atomicAdd(&sum[0], value);") == ["sum"]
    assert any(ATOMIC.search((launch.SOURCES / source).read_text(encoding="utf-8")) for source in SOURCES)


def bits(xp, name):
    """What the benchmark's case of a kernel makes, as bytes. Its arrays come from one seed."""
    made = CASES[name](Sizes(WORK), xp, np.random.default_rng(1)).ours()
    return [xp.asnumpy(array).tobytes() for array in (made if isinstance(made, tuple) else (made,))]


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("order", [1, 2, 3])
def test_the_order_of_threads_changes_no_bit(built, monkeypatch, name, order):
    monkeypatch.setitem(sys.modules, "cupy", standin)
    expected = bits(standin, name)
    monkeypatch.setattr(emulator, "ORDER", order)
    assert bits(standin, name) == expected


@pytest.mark.parametrize("name", [pytest.param(name, marks=NEEDS_GPU) for name in CASES])
def test_bits_repeat_on_the_gpu(name):
    import cupy

    expected = bits(cupy, name)
    for _ in range(10):
        assert bits(cupy, name) == expected


def gpus():
    """How many GPUs there are."""
    try:
        import cupy

        return cupy.cuda.runtime.getDeviceCount() if cupy.cuda.is_available() else 0
    except ImportError:
        return 0


@pytest.mark.gpu
@pytest.mark.skipif(gpus() < 2, reason="fewer than two GPUs")
def test_arrays_stay_on_their_gpu(rng):
    """A kernel runs where its arrays lie, compiled for that GPU, whichever GPU is the current one."""
    import cupy

    x, bias = rng.normal(size=(2, 5, 4, 8)).astype("float32"), rng.normal(size=8).astype("float32")
    found = []
    for number in (1, 0):
        with cupy.cuda.Device(number):
            arrays = cupy.asarray(x), cupy.asarray(bias)
        with cupy.cuda.Device(1 - number):
            y = kernels.bias_relu(*arrays, out=arrays[0])
        assert y.device.id == number
        found.append(cupy.asnumpy(y))
    np.testing.assert_array_equal(found[0], np.maximum(x + bias, 0))
    np.testing.assert_array_equal(found[0], found[1])


class Second(standin.ndarray):
    """An array on the stand-in's second device."""

    device = type("Device", (standin.Device,), {"id": 1})()


def test_each_device_has_its_own_module(built, monkeypatch):
    """What a test without a second GPU can see: a source is compiled once for each device."""
    monkeypatch.setitem(sys.modules, "cupy", standin)
    launch.compiled.cache_clear()
    for kind in (standin.ndarray, Second, standin.ndarray, Second):
        weight = [kind(np.ones(3, np.float32)) for _ in range(3)]
        launch.launch("sgd", 3, *weight, 3, 0.9, 0.1, 0.0)
    info = launch.compiled.cache_info()
    assert (info.misses, info.hits) == (2, 2)

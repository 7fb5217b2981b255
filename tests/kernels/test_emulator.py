"""The emulator reports mistakes that a GPU does not show. Each such mistake is planted here, and must be reported."""

import numpy as np
import pytest
import standin

from fcn_from_scratch import kernels, ops
from fcn_from_scratch.kernels import emulator, launch

pytestmark = pytest.mark.skipif(emulator.missing() is not None, reason=str(emulator.missing()))

RACE = """
extern "C" __global__ void reverse(const float* x, float* y) {
  __shared__ float line[64];
  line[threadIdx.x] = x[threadIdx.x];
  %s
  y[threadIdx.x] = line[63 - threadIdx.x];
}
"""


def run(code, name, arguments, threads=64, order=0, monkeypatch=None):
    if monkeypatch is not None:
        monkeypatch.setattr(emulator, "ORDER", order)
    emulator.Module(code, ("-DREAL=float",)).run(name, 1, threads, arguments)


@pytest.mark.parametrize("order", [0, 1, 2])
def test_a_missing_barrier_shows(order, monkeypatch):
    """Without it some threads read what nobody has written yet: in any order of threads."""
    x, y = np.arange(64, dtype=np.float32), np.empty(64, np.float32)
    run(RACE % "__syncthreads();", "reverse", (x, y), order=order, monkeypatch=monkeypatch)
    assert y.tolist() == x[::-1].tolist()
    run(RACE % "", "reverse", (x, y), order=order, monkeypatch=monkeypatch)
    assert np.isnan(y).sum() == 32


UNDEFINED = {
    "an int overflows": ("y[0] = n * n;", "mistake.cu:4: a multiplication overflows"),
    "outside a shared array": ("y[0] = line[n];", "mistake.cu:4: an index outside its array"),
    "a shift by too much": ("y[0] = 1 << n;", "mistake.cu:4: a shift by too many bits"),
    "a division by zero": ("y[0] = n / (n >> 21);", "mistake.cu:4: a division by zero"),
    "a null pointer": ("y = 0; y[0] = n;", "mistake.cu:4: a null"),
}


@pytest.mark.parametrize(("statement", "words"), UNDEFINED.values(), ids=UNDEFINED)
def test_undefined_behaviour_is_reported_with_its_line(statement, words):
    code = '#line 1 "mistake.cu"\nextern "C" __global__ void mistake(int* y, int n) {\n  __shared__ int line[8];\n'
    code += f"  line[threadIdx.x] = 0;\n  {statement}\n  y[1] = line[0];\n}}\n"
    with pytest.raises(RuntimeError) as raised:
        run(code, "mistake", (np.zeros(2, np.int32), np.int32(1 << 20)), threads=8)
    assert words in str(raised.value)


def test_threads_that_do_not_come_to_the_barrier():
    code = 'extern "C" __global__ void half(float* y) { if (threadIdx.x < 9) __syncthreads(); y[threadIdx.x] = 1; }'
    with pytest.raises(RuntimeError, match="55 of 64 threads have ended, the others wait"):
        run(code, "half", (np.zeros(64, np.float32),))


def test_threads_at_different_barriers():
    code = """extern "C" __global__ void fork(float* y) {
      if (threadIdx.x < 9)
        __syncthreads();
      else
        __syncthreads();
      y[threadIdx.x] = 1;
    }"""
    with pytest.raises(RuntimeError, match="wait at different barriers, lines 4 and 6"):
        run(code, "fork", (np.zeros(64, np.float32),))


def test_shared_memory_is_rubbish_at_first():
    code = """extern "C" __global__ void fresh(float* y) {
      __shared__ float line[64];
      y[blockIdx.x * 64 + threadIdx.x] = line[threadIdx.x];
      line[threadIdx.x] = 1;
    }"""
    y = np.zeros(128, np.float32)
    emulator.Module(code, ()).run("fresh", 2, 64, (y,))
    assert np.isnan(y).all()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((np.zeros(2),), "1 arguments"),
        ((np.zeros(2), np.int32(1)), "a contiguous array of float"),
        ((np.zeros((2, 2), np.float32).T[:1], np.int32(1)), "a contiguous array of float"),
        ((np.zeros(2, np.float32), 1), "a int, as a NumPy scalar"),
        ((np.zeros(2, np.float32), np.int64(1)), "a int, as a NumPy scalar"),
        ((np.float32(0), np.int32(1)), "is an array of float"),
    ],
)
def test_arguments_that_do_not_fit(arguments, words):
    with pytest.raises(TypeError, match=words):
        run('extern "C" __global__ void f(float* y, int n) { y[0] = n; }', "f", arguments)


def test_what_does_not_compile_says_where():
    with pytest.raises(RuntimeError, match=r"wrong\.cu:2:.*error"):
        emulator.Module('#line 1 "wrong.cu"\nextern "C" __global__ void f(float* y) {\n  y[0] = nothing;\n}\n', ())


def test_without_a_compiler_it_says_so_and_tests_are_skipped(monkeypatch):
    monkeypatch.setattr(emulator, "COMPILER", "no-such-compiler")
    code = 'extern "C" __global__ void g(float* y) { y[0] = 1; }'
    with pytest.raises(RuntimeError, match="no no-such-compiler on this machine"):
        emulator.Module(code, ())
    with pytest.raises(pytest.skip.Exception, match="no no-such-compiler on this machine"):
        standin.RawModule(code=code)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32"])
@pytest.mark.parametrize("order", [0, 1, 2, 3])
def test_every_thread_runs_once_in_any_order_and_atomics_add(order, dtype, monkeypatch):
    code = """extern "C" __global__ void order(REAL* sum, int* turns) {
      const REAL before = atomicAdd(sum, (REAL)1);
      turns[(int)before] = blockIdx.x * blockDim.x + threadIdx.x;
    }"""
    word = {np.dtype(d): w for w, d in launch.DTYPES.items()}[np.dtype(dtype)]
    sum_, turns = np.zeros(1, dtype), np.full(5 * 7, -1, np.int32)
    monkeypatch.setattr(emulator, "ORDER", order)
    emulator.Module(code, (f"-DREAL={word}",)).run("order", 5, 7, (sum_, turns))
    assert sum_ == 35
    assert sorted(turns) == list(range(35))
    steps = set(np.diff(turns))
    assert steps == {1} if order == 0 else steps == {-1} if order == 1 else len(steps) > 5


@pytest.mark.parametrize("order", [0, 1, 2])
def test_emulated_kernels_take_numpys_arrays(order, rng):
    x, bias = rng.normal(size=(2, 5, 4, 3)), rng.normal(size=3)
    with emulator.emulated(order):
        assert emulator.ORDER == order
        y = kernels.bias_relu(x, bias)
    np.testing.assert_array_equal(y, ops.relu(x + bias))


def test_emulated_is_over_when_its_context_is(rng):
    x = rng.normal(size=(4, 3))
    with pytest.raises(RuntimeError, match="from within"), emulator.emulated(1):
        raise RuntimeError("from within")
    assert emulator.ORDER == 0
    with pytest.raises(TypeError, match="kernels run on arrays of the GPU"):
        kernels.bias_relu(x, x[0])


def test_a_module_wants_what_cupys_wants():
    with pytest.raises(TypeError, match="options are a tuple"):
        standin.RawModule(code="", options=["-DREAL=float"])
    launch = standin.RawModule(code='extern "C" __global__ void f(float* y) { y[0] = 1; }').get_function("f")
    with pytest.raises(TypeError, match="tuples"):
        launch(1, (1,), (standin.zeros(1, np.float32),))
    with pytest.raises(TypeError, match="NumPy array met"):
        launch((1,), (1,), (np.zeros(1, np.float32),))

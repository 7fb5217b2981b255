"""A launch refuses every argument that its kernel does not expect, and each source is compiled only once."""

import sys

import numpy as np
import pytest
import standin

from fcn_from_scratch import plain
from fcn_from_scratch.backend import usable
from fcn_from_scratch.kernels import launch as launching
from fcn_from_scratch.kernels.launch import launch, text


@pytest.fixture(autouse=True)
def device(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", standin)
    standin.counts.clear()


def sgd_arguments(**changed):
    arrays = {name: standin.asarray(np.ones((2, 3), np.float32)) for name in ("weight", "velocity", "grad")}
    return list((arrays | {"count": 6, "momentum": 0.9, "rate": 0.1, "decay": 0.0} | changed).values())


class Elsewhere(standin.ndarray):
    device = type("Device", (standin.Device,), {"id": 1})()


WRONG = {
    "another dtype": ({"grad": standin.asarray(np.ones((2, 3)))}, "sgd: grad has dtype float32; got float64"),
    "integers": ({"weight": standin.asarray(np.ones((2, 3), int))}, "sgd: weight is float32 or float64; got int64"),
    "transposed": ({"velocity": standin.asarray(np.ones((3, 2), np.float32)).T}, "velocity must be contiguous"),
    "an array for a number": ({"rate": standin.asarray(np.float32(1))}, "rate is a number of type REAL"),
    "a fraction for an integer": ({"count": 6.0}, "count is a number of type long long; got 6.0"),
    "no array": ({"grad": None}, "sgd: grad is an array; got None"),
    "a number for an array": ({"grad": 1.0}, "expected a NumPy or CuPy array; got float"),
    "one of NumPy's": ({"grad": np.ones((2, 3), np.float32)}, "different devices"),
    "another GPU": ({"grad": Elsewhere(np.ones((2, 3), np.float32))}, "different GPUs, [0, 1]"),
    "too large": ({"count": 1 << 63}, "count fits into long long"),
}


@pytest.mark.parametrize(("changed", "words"), WRONG.values(), ids=WRONG)
def test_refuses(changed, words):
    with pytest.raises((TypeError, ValueError)) as refused:
        launch("sgd", 6, *sgd_arguments(**changed))
    assert words in str(refused.value)
    assert standin.counts["kernels"] == 0


def test_refuses_a_wrong_number_of_arguments():
    with pytest.raises(TypeError, match="sgd has 7 parameters; got 6 arguments"):
        launch("sgd", 6, *sgd_arguments()[:-1])


def test_refuses_an_int_that_does_not_fit():
    x, y = (standin.asarray(np.ones((2, 3))) for _ in range(2))
    with pytest.raises(ValueError, match="bias_relu: C fits into int; got 2147483648"):
        launch("bias_relu", 6, x, standin.asarray(np.ones(3)), y, 2, 1 << 31)


def test_refuses_numpy_arrays_alone():
    with pytest.raises(TypeError, match="kernels run on arrays of the GPU"):
        launch("sgd", 6, *(np.ones(6) for _ in range(3)), 6, 0.9, 0.1, 0.0)


@pytest.mark.parametrize("blocks", [0, 1 << 31])
def test_refuses_a_grid(blocks):
    with pytest.raises(ValueError, match=f"a grid has 1 to 2147483647 blocks; got {blocks}"):
        launch("sgd", 6, *sgd_arguments(), blocks=blocks)


@pytest.mark.parametrize("first", [6, np.int64(6), True])
def test_a_number_of_another_kind_is_no_known_number(first):
    """6.0 == 6, but what was found right for the one says nothing of the other."""
    launch("sgd", 6, *sgd_arguments(count=first))
    with pytest.raises(TypeError, match="count is a number of type long long; got"):
        launch("sgd", 6, *sgd_arguments(count=float(first)))


def test_a_launch_that_comes_again_checks_its_arrays_again():
    launch("sgd", 6, *sgd_arguments())
    with pytest.raises(ValueError, match="velocity must be contiguous"):
        launch("sgd", 6, *sgd_arguments(velocity=standin.asarray(np.ones((3, 2), np.float32)).T))


def test_nothing_to_do_is_no_launch():
    launch("sgd", 0, *(standin.asarray(np.ones(0)) for _ in range(3)), 0, 0.9, 0.1, 0.0)
    assert standin.counts["kernels"] == 0


def test_a_null_pointer_where_it_may_be():
    x, weight, y = (standin.asarray(np.ones(shape)) for shape in ((1, 1, 1, 1),) * 3)
    launch("conv_transpose", 1, x, weight, None, y, *[1] * 11, 0, 0, 1, 1, 1)
    assert float(y.sum()) == 1


def test_the_grid_covers_the_work_and_has_a_limit():
    assert [launching.grid(n) for n in (1, 256, 257, 1 << 40)] == [1, 1, 2, launching.MOST_BLOCKS]


def test_each_source_is_compiled_once(monkeypatch):
    built = []

    class RawModule(standin.RawModule):
        def __init__(self, **given):
            built.append(given["options"])
            super().__init__(**given)

    monkeypatch.setattr(standin, "RawModule", RawModule)
    launching.compiled.cache_clear()
    for dtype in ("float32", "float64", "float32"):
        weight = standin.asarray(np.ones(3, dtype))
        for _ in range(2):
            launch("sgd", 3, weight, weight * 0, weight, 3, 0.9, 0.1, 0.0)
    assert [options[1] for options in built] == ["-DREAL=float", "-DREAL=double"]


def test_headers_are_written_in_place_once():
    source = text("softmax_cross_entropy.cu")
    assert "\n#include" not in source
    assert "#pragma once" not in source
    assert source.count("#define GRID_LOOP") == source.count("double block_sum(double") == 1


def test_a_changed_header_changes_the_text(monkeypatch, tmp_path):
    for name in ("bias_relu.cu", "common.cuh"):
        (tmp_path / name).write_text((launching.SOURCES / name).read_text(encoding="utf-8"))
    monkeypatch.setattr(launching, "SOURCES", tmp_path)
    before = text.__wrapped__("bias_relu.cu")
    (tmp_path / "common.cuh").write_text("typedef int idx_t;\n")
    assert text.__wrapped__("bias_relu.cu") != before


def test_usable():
    assert usable(standin.asarray(np.ones(2, np.float32)))
    assert not usable(standin.asarray(np.ones(2, np.float16)))
    assert not usable(np.ones(2, np.float32))
    with plain():
        assert not usable(standin.asarray(np.ones(2, np.float32)))

"""Passes over memory: arrays of any layout and number of dimensions, cut among threads."""

import sys
import threading
import time

import numpy as np
import pytest
from arrays import LAYOUTS

from fcn_from_scratch import engine
from fcn_from_scratch.engine import threads
from fcn_from_scratch.engine.pixelwise import long_sums, rectify


@pytest.fixture
def small_pieces(monkeypatch):
    monkeypatch.setattr(threads, "AT_ONCE", 10)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32])
@pytest.mark.parametrize("layout", LAYOUTS)
class TestRectify:
    def test_is_the_larger_of_a_number_and_zero(self, rng, layout, dtype):
        x = LAYOUTS[layout](rng.integers(-3, 4, size=(3, 4, 5, 6)).astype(dtype))
        expected = [max(number, 0) for number in x.ravel().tolist()]
        out = np.full(x.shape, 7, dtype)
        assert rectify(x, out) is out
        assert out.ravel().tolist() == expected
        assert rectify(x, x) is x
        assert x.ravel().tolist() == expected

    def test_keeps_nan_and_infinity(self, layout, dtype):
        if dtype is np.int32:
            pytest.skip("whole numbers have neither")
        x = LAYOUTS[layout](np.resize(np.array([np.nan, -np.nan, np.inf, -np.inf, 2, -2], dtype), (2, 3, 5, 7)))
        y = rectify(x, np.empty_like(x))
        np.testing.assert_array_equal(np.isnan(y), np.isnan(x))
        np.testing.assert_array_equal(y[x == np.inf], np.inf)
        assert (y[x < 0] == 0).all()
        assert (y[x == 2] == 2).all()


@pytest.mark.parametrize("shape", [(), (1,), (7,), (5, 3), (4, 3, 5, 2)])
def test_zero_reaches_every_number(small_pieces, shape, rng):
    array = rng.normal(size=shape)
    held = np.ones((2, *shape))
    engine.zero(held[0, ...])
    engine.zero(array)
    assert (array == 0).all()
    assert (held[0] == 0).all()
    assert (held[1] == 1).all()


@pytest.mark.parametrize("decay", [0.0, 0.25])
@pytest.mark.parametrize("shape", [(), (1,), (7,), (5, 3), (4, 3, 5, 2)])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_sgd_is_the_rule_number_by_number(small_pieces, rng, layout, shape, decay):
    weight, velocity, gradient = (rng.normal(size=shape) for _ in range(3))
    expected = 0.5 * velocity + 0.125 * gradient + decay * weight
    if len(shape) == 4:
        weight, velocity, gradient = map(LAYOUTS[layout], (weight, velocity, gradient))
    before = weight.copy()
    engine.sgd(weight, velocity, gradient, 0.5, 0.125, decay)
    np.testing.assert_allclose(velocity, expected, rtol=1e-15, atol=1e-15)
    np.testing.assert_array_equal(weight, before - velocity)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_long_sums_is_a_matrix_product(rng, dtype):
    for rows, inner, columns in ((1, 1, 1), (3, 7, 2), (27, 4097, 16), (16, 30_000, 5)):
        a, b = rng.normal(size=(rows, inner)).astype(dtype), rng.normal(size=(inner, columns)).astype(dtype)
        for left in (a, np.asfortranarray(a), a[0]):
            expected, bound = left.astype(np.float64) @ b.astype(np.float64), 8 * np.finfo(dtype).eps * inner**0.5
            np.testing.assert_allclose(long_sums(left, b), expected, rtol=bound, atol=bound)
            assert long_sums(left, b).dtype == dtype


@pytest.fixture
def nobody_is_interrupted():
    """A thread gives Python's lock back only when it waits or calls something that does so."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(10)
    yield
    sys.setswitchinterval(before)


def test_other_python_code_runs_during_a_product_with_a_small_result(rng, nobody_is_interrupted):
    a, b = rng.normal(size=(8, 200_000)), rng.normal(size=(200_000, 8))
    during = []

    def multiply():
        start = time.perf_counter()
        long_sums(a, b)
        during.extend((start, time.perf_counter()))

    for _ in range(100):  # a busy machine may leave this thread no time during one product
        during.clear()
        ticks, thread = [], threading.Thread(target=multiply)
        thread.start()
        while thread.is_alive():
            ticks.append(time.perf_counter())
            time.sleep(0)
        start, end = during
        if any(start < tick < end for tick in ticks):
            return
    pytest.fail("no other thread ran during any of 100 products")

"""Passes over memory: arrays of any layout and number of dimensions, cut among threads."""

import numpy as np
import pytest
from arrays import LAYOUTS

from fcn_from_scratch import engine
from fcn_from_scratch.engine import threads


@pytest.fixture
def small_pieces(monkeypatch):
    monkeypatch.setattr(threads, "AT_ONCE", 10)


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

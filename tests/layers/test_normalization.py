"""LocalResponseNorm."""

import numpy as np
import pytest
from arrays import TORCH_TOLERANCES, close, refuses, torch_gradients, torch_module

from fcn_from_scratch.layers import LocalResponseNorm
from fcn_from_scratch.ops import loops

OPTIONS = [(5, 0.7, 0.75, 1.0), (4, 1.3, 0.5, 2.0), (11, 0.2, 1.5, 0.5)]


@pytest.mark.parametrize("options", OPTIONS)
def test_equals_loops(options, rng):
    x = rng.normal(size=(2, 7, 3, 4))
    close(LocalResponseNorm(*options)(x), loops.local_response_norm_loops(x, *options))


def test_defaults_are_those_of_the_papers_network(rng):
    """CaffeNet: size 5, alpha 1e-4 (divided by size), beta 0.75, k 1."""
    x = rng.normal(size=(1, 5, 1, 1)) * 100
    middle = x[0, 2, 0, 0] / (1 + 1e-4 / 5 * (x**2).sum()) ** 0.75
    assert LocalResponseNorm(5)(x)[0, 2, 0, 0] == pytest.approx(middle, rel=1e-12)


@pytest.mark.torch
@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize(("dtype", "tolerance"), TORCH_TOLERANCES)
def test_equals_torch(options, dtype, tolerance, rng):
    layer, x = LocalResponseNorm(*options), rng.normal(size=(2, 7, 3, 4)).astype(dtype)
    y = layer(x)
    dy = rng.normal(size=y.shape).astype(dtype)
    expected, (dx,) = torch_gradients(torch_module().nn.LocalResponseNorm(*options), [x], dy)
    close(y, expected, tolerance)
    close(layer.backward(dy), dx, tolerance)


def test_no_size():
    with refuses("size must be at least 1; got 0"):
        LocalResponseNorm(0)
    assert np.isfinite(LocalResponseNorm(1)(np.ones((1, 1, 1, 1)))).all()

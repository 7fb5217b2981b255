"""Fixtures that the tests of the networks share."""

import numpy as np
import pytest

from fcn_from_scratch.layers import Layer


@pytest.fixture
def weightless(monkeypatch):
    """Large weights take no memory: one zero, seen through a shape."""

    def zeros(shape, fan_in, rng, dtype):
        return np.broadcast_to(np.zeros((), dtype), shape) if np.prod(shape) > 1e5 else np.zeros(shape, dtype)

    def add_param(layer, name, array):
        layer.params[name] = layer.grads[name] = array

    monkeypatch.setattr("fcn_from_scratch.layers.conv.he_normal", zeros)
    monkeypatch.setattr(Layer, "add_param", add_param)

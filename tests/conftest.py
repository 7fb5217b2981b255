"""What all tests share: seeded random numbers, the array modules, memory layouts, hypothesis profiles.

Helpers that are no fixtures stand in tests/tools/arrays.py; setup.cfg puts this folder on the path.
"""

import os
import sys

import hypothesis
import numpy as np
import pytest
import standin
from arrays import LAYOUTS, NEEDS_GPU
from conv_cases import conv_case

from fcn_from_scratch import progress

__all__ = ["conv_case"]  # a fixture that stands with its cases

hypothesis.settings.register_profile("local", max_examples=25, deadline=None)
hypothesis.settings.register_profile("ci", max_examples=50, deadline=None, derandomize=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "local")


@pytest.fixture(autouse=True)
def no_lines_of_progress(monkeypatch):
    """A loop that takes long on a busy machine prints nothing, so that tests can compare what a command prints."""
    monkeypatch.setattr(progress, "EVERY", float("inf"))


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture(params=["numpy", "standin", pytest.param("cupy", marks=NEEDS_GPU)])
def xp(request, monkeypatch):
    """The array module a test runs with: NumPy, the stand-in for CuPy (tests/tools/standin.py), CuPy itself."""
    if request.param == "numpy":
        return np
    if request.param == "standin":
        monkeypatch.setitem(sys.modules, "cupy", standin)
        return standin
    return sys.modules["cupy"]


@pytest.fixture(params=LAYOUTS)
def layout(request):
    """A function that moves an array in memory and leaves its values as they are."""
    return LAYOUTS[request.param]

"""The devices on which each kernel is tested: the emulator with two orders of threads, and a GPU where there is one."""

import os
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import standin
from arrays import NEEDS_GPU

from fcn_from_scratch.kernels import emulator, launch
from fcn_from_scratch.kernels.table import KERNELS


@pytest.fixture(scope="session")
def built():
    """Every kernel's library, built side by side: one after the other takes twice as long."""
    if emulator.missing():
        pytest.skip(emulator.missing())
    sources = {(kernel.source, variant) for kernel in KERNELS.values() for variant in kernel.variants}
    jobs = [(source, real, variant) for source, variant in sources for real in launch.REALS.values()]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(lambda job: emulator.build(launch.text(job[0]), launch.options(*job[1:])), jobs))


@pytest.fixture(params=["ascending", "descending", pytest.param("cupy", marks=NEEDS_GPU)])
def xp(request, monkeypatch):
    """The array module of the device. Descending runs two blocks only, so that every grid-stride loop goes round."""
    if request.param == "cupy":
        return sys.modules["cupy"]
    request.getfixturevalue("built")
    monkeypatch.setitem(sys.modules, "cupy", standin)
    if request.param == "descending":
        monkeypatch.setattr(emulator, "ORDER", 1)
        monkeypatch.setattr(launch, "MOST_BLOCKS", 2)
    return standin


@pytest.fixture(params=["float32", "float64"])
def dtype(request):
    return request.param

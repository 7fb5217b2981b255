"""NVIDIA's compiler accepts every kernel for three generations of GPUs, without warnings and without spilling."""

import nvrtc
import pytest

from fcn_from_scratch.kernels import launch
from fcn_from_scratch.kernels.table import KERNELS

pytestmark = pytest.mark.skipif(nvrtc.missing() is not None, reason=str(nvrtc.missing()))


@pytest.mark.parametrize("architecture", nvrtc.ARCHITECTURES)
@pytest.mark.parametrize("real", launch.REALS.values())
@pytest.mark.parametrize(("source", "variant"), nvrtc.BUILDS)
def test_compiles(source, variant, real, architecture):
    usages, warnings = nvrtc.compile_source(launch.text(source), real, architecture, variant)
    assert warnings == []
    assert {u.kernel for u in usages} == {k.name for k in KERNELS.values() if k.source == source}
    for usage in usages:
        assert usage.spilled == 0
        assert usage.registers * launch.THREADS <= nvrtc.REGISTERS
        assert usage.shared <= 48 * 1024


def test_a_mistake_is_refused():
    with pytest.raises(RuntimeError, match=r"avg_pool\.cu\(\d+\): error"):
        nvrtc.compile_source(launch.text("avg_pool.cu").replace("GRID_LOOP(at,", "GRID_LOOP(nothing,"), "float", "80")

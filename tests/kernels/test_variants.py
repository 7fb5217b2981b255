"""A kernel's variants: 32-bit indices up to a bound, packs of 16 bytes where they lie so, and no other launch."""

import sys

import numpy as np
import pytest
import standin
from arrays import close
from far_arrays import LAST, end, filled, sparse

from fcn_from_scratch import kernels
from fcn_from_scratch.kernels import emulator, launch
from fcn_from_scratch.kernels.table import INT, PACKED

SIDE = 1 << 14
MOST = 2**31 - 1 - 2**24  # after the last number a thread takes one more step, at most 65536 blocks of 256 threads


@pytest.fixture
def launched(monkeypatch):
    """The variants of all launches, in order."""
    found, build = [], launch.compiled

    def watch(xp, source, real, device_id, variant=()):
        found.append(variant)
        return build(xp, source, real, device_id, variant)

    monkeypatch.setattr(launch, "compiled", watch)
    return found


@pytest.fixture
def device(built, monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", standin)


def test_the_switch_is_at_the_bound():
    assert launch.indices(5, MOST) == (INT,)
    assert launch.indices(MOST + 1, 5) == ()


@pytest.mark.parametrize(("dtype", "channels", "packed"), [("float32", 6, False), ("float64", 6, True)])
def test_packs_are_taken_where_they_fit(device, launched, rng, dtype, channels, packed):
    x = standin.asarray(rng.normal(size=(1, 4, 5, channels)).astype(dtype))
    kernels.im2col(x, slice(0, 4), 5, (1, 1), (1, 1), (1, 1))
    assert (PACKED in launched[0]) == packed


@pytest.mark.parametrize("offset", [0, 1, 2, 3, 4])
def test_a_view_that_begins_between_two_packs(device, launched, rng, offset):
    """x is contiguous, but its first number lies 4 * offset bytes behind a multiple of 16."""
    memory = np.empty(2 * 5 * 7 * 4 + 8, "float32")
    start = -memory.ctypes.data // 4 % 4 + offset
    x = memory[start : start + 2 * 5 * 7 * 4].reshape(2, 5, 7, 4)
    x[...] = rng.normal(size=x.shape)
    patches = kernels.im2col(standin.ndarray(x), slice(0, 5), 7, (1, 1), (1, 1), (1, 1))
    assert (PACKED in launched[0]) == (offset % 4 == 0)
    close(patches, x.reshape(-1, 4), 0)


def arguments(x, patches):
    return x, patches, *x.shape, 0, x.shape[1], x.shape[2], *(1, 1) * 2, 0, 0, 1, 1


def test_a_launch_refuses_what_does_not_fit_its_variant(device):
    memory = np.zeros(21, "float32")
    odd = memory[1 + -memory.ctypes.data // 4 % 4 :][:16].reshape(1, 2, 2, 4)
    given = arguments(standin.ndarray(odd), standin.zeros((4, 4), np.float32))
    with pytest.raises(ValueError, match="im2col: x must begin at a multiple of 16 bytes"):
        launch.launch("im2col", 4, *given, variant=(PACKED,))
    with pytest.raises(ValueError, match="im2col has the variants"):
        launch.launch("im2col", 4, *given, variant=("INDEX=short",))
    large = sparse(1, 1 << 11, (1 << 20) - 8192 + 1, 1)
    assert large.size > MOST
    with emulator.emulated(), pytest.raises(ValueError, match="x has too many numbers for 32-bit indices"):
        launch.launch("im2col", 1, *arguments(large, large), variant=(INT,))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is promised as Linux does it")
@pytest.mark.parametrize("channels", [1, 4])
@pytest.mark.parametrize("beyond", [False, True])
def test_right_on_both_sides_of_the_bound(built, rng, monkeypatch, launched, beyond, channels):
    """The last block alone runs, to the last number of the largest array with 32-bit indices, and of the next one."""
    width = MOST // SIDE // channels + beyond
    x, patches = filled(rng, 1, SIDE, width, channels), sparse(SIDE * width, channels)
    assert (x.size > MOST) == beyond
    monkeypatch.setattr(kernels.convolution, "get_array_module", lambda _: Promise(patches))
    units = x.size // channels
    last = (units - 1) // launch.THREADS % launch.walkers(units)
    monkeypatch.setattr(emulator, "BLOCKS", slice(last, last + 1))
    with emulator.emulated():
        kernels.im2col(x, slice(0, SIDE), width, (1, 1), (1, 1), (1, 1))
    assert (INT in launched[0]) != beyond
    np.testing.assert_array_equal(end(patches)[-(units % LAST or LAST) :], end(x)[-(units % LAST or LAST) :])


class Promise:
    """An array module whose memory is only promised."""

    def __init__(self, array):
        self.array = array

    def empty(self, shape, dtype):
        assert (self.array.shape, self.array.dtype) == (shape, dtype)
        return self.array

"""The mask drawn on the device equals NumPy's, and the generator is left where NumPy leaves it."""

import numpy as np
import pytest
import standin
from arrays import close
from hypothesis import given
from hypothesis import strategies as st

from fcn_from_scratch import kernels
from fcn_from_scratch.kernels.random import skip
from fcn_from_scratch.layers import Dropout


@pytest.mark.parametrize("drawn", [0, 1, 2, 7])
@pytest.mark.parametrize("shape", [(2, 3, 5, 7), (1,), (4, 300), (16,), (17,), (0, 3)])
def test_mask_and_generator(xp, shape, drawn):
    host, twin = (np.random.default_rng(11) for _ in range(2))
    for rng in (host, twin):
        rng.random(drawn, dtype=np.float32)
    for p in (0.5, 0.1):
        mask = kernels.dropout_mask(xp, twin, shape, p)
        assert mask.dtype == bool
        assert (xp.asnumpy(mask) == (host.random(shape, dtype=np.float32) >= p)).all()
        assert twin.bit_generator.state == host.bit_generator.state


def test_no_mask_is_copied(xp):
    if xp is standin:
        standin.counts.clear()
        kernels.dropout_mask(xp, np.random.default_rng(0), (4, 5), 0.5)
        assert dict(standin.counts) == {"kernels": 1}


def test_a_leftover_half_that_is_not_of_the_last_draw(xp):
    """Drawing a float64 in between leaves NumPy's spare half alone: it comes first all the same."""
    host, twin = (np.random.default_rng(3) for _ in range(2))
    for rng in (host, twin):
        rng.random(1, dtype=np.float32)
        rng.random()
    mask = xp.asnumpy(kernels.dropout_mask(xp, twin, (9,), 0.5))
    assert mask.tolist() == (host.random(9, dtype=np.float32) >= 0.5).tolist()
    assert twin.bit_generator.state == host.bit_generator.state


@given(st.lists(st.integers(0, 50), max_size=6), st.integers(0, 9))
def test_skip(lengths, seed):
    drawing, skipping = (np.random.default_rng(seed) for _ in range(2))
    for length in lengths:
        drawing.random(length, dtype=np.float32)
        skip(skipping, length)
        assert drawing.bit_generator.state == skipping.bit_generator.state


def test_refuses_another_generator(xp):
    with pytest.raises(TypeError, match="PCG64"):
        kernels.dropout_mask(xp, np.random.Generator(np.random.Philox(0)), (3,), 0.5)


@pytest.mark.parametrize(("make", "copies"), [(np.random.PCG64, 0), (np.random.Philox, 1)])
def test_the_layer_drops_what_it_drops_on_the_cpu(xp, make, copies):
    host, device = (Dropout(0.4, rng=np.random.Generator(make(5))) for _ in range(2))
    x = np.random.default_rng(0).normal(size=(2, 3, 5, 7))
    on_device = xp.asarray(x)
    standin.counts.clear()
    y = device(on_device)
    assert xp is not standin or standin.counts["to device"] == copies
    close(y, host(x))
    close(device.backward(on_device), host.backward(x))

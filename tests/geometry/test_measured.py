"""Receptive fields from gradients equal those of the recurrence, and the effective field is smaller."""

import numpy as np
import pytest
from arrays import refuses
from hypothesis import given
from hypothesis import strategies as st

from fcn_from_scratch import geometry, layers, models
from fcn_from_scratch.geometry import effective_receptive_field, measured_receptive_field, receptive_field


@st.composite
def windows(draw):
    kernel_size, stride, padding, dilation = (
        draw(st.tuples(*[st.integers(*r)] * 2)) for r in ((1, 4), (1, 3), (0, 2), (1, 3))
    )
    if draw(st.booleans()):
        return layers.Conv2d(1, 1, kernel_size, stride, padding, dilation)
    padding = tuple(min(p, k // 2) for p, k in zip(padding, kernel_size))
    return layers.MaxPool2d(kernel_size, stride, padding, ceil_mode=draw(st.booleans()))


@given(st.lists(windows(), min_size=1, max_size=4))
def test_measured_equals_recurrence(chain):
    """Where strides are larger than kernels a cell's field has holes: its ends still stand where they should."""
    assert measured_receptive_field(chain) == receptive_field(chain)


def test_a_field_with_holes_that_is_cut_off_is_not_taken_for_a_smaller_one():
    """It need not end at the line's first or last pixel: there may be a hole."""
    chain = [layers.Conv2d(1, 1, 1, 3, 2), layers.Conv2d(1, 1, 1, 3), layers.Conv2d(1, 1, 9, 1, 12, dilation=3)]
    assert tuple(measured_receptive_field(chain)) == tuple(receptive_field(chain)) == (217, 9, -2)


@pytest.mark.parametrize("name", ["fcn32s", "fcn8s"])
def test_of_the_papers_networks(name):
    net = models.build(name, 2, width=1)
    assert tuple(measured_receptive_field(net)) == (404, 32, 12.5)


def test_of_a_trunk_and_of_nothing():
    net = models.build("mini_fcn8s", 2, width=1, dropout=0.5)
    assert measured_receptive_field(net.trunk.layers[:9]) == receptive_field(net.trunk.layers[:9])
    assert measured_receptive_field([]) == geometry.IMAGE
    with refuses("BilinearUpsample", "not one"):
        measured_receptive_field([layers.BilinearUpsample(4, 2)])


# --- the effective field ------------------------------------------------------------------------------------------


def uniform(number, kernel_size=3):
    """A linear chain of convolutions whose weights are all equal: its gradient is a binomial."""
    chain = [layers.Conv2d(1, 1, kernel_size, bias=False, dtype=np.float64) for _ in range(number)]
    for layer in chain:
        layer.params["weight"][...] = 1 / kernel_size**2
    return chain


def test_energy_of_a_linear_chain_is_known(xp):
    """Two 3x3 boxes make a pyramid: (1 2 3 2 1) squared, per axis."""
    device = "cpu" if xp is np else "cuda"
    effective = effective_receptive_field([layer.to(device) for layer in uniform(2)], xp.ones((1, 1, 9, 9)))
    line = np.array([1, 2, 3, 2, 1]) ** 2 / 19
    np.testing.assert_allclose(effective.energy, np.outer(line, line), atol=1e-12)
    assert effective.theoretical == 5
    assert effective.size == 5  # the inner 3x3 hold (17/19)**2 = 80 %
    assert effective_receptive_field(uniform(2), np.ones((1, 1, 9, 9)), share=0.8).size == 3
    assert effective_receptive_field(uniform(2), np.ones((1, 1, 9, 9)), share=0.81).size == 5


def test_grows_slower_than_the_theoretical_field():
    shares = []
    for number in (2, 8, 32):
        size = 2 * number + 1
        effective = effective_receptive_field(uniform(number), np.ones((1, 1, size, size)))
        assert effective.theoretical == size
        shares.append(effective.size / size)
    assert shares[0] > shares[1] > shares[2]


def test_a_network_is_left_as_it_was(rng):
    net = models.build("mini_fcn16s", 3, width=4, dropout=0.5)
    x = rng.normal(size=(2, 3, 190, 190)).astype(np.float32)
    before = net.state_dict()
    with refuses("too small", "-31 to 126 of 100"):
        effective_receptive_field(net, x[..., :100, :100])
    effective = effective_receptive_field(net, x)  # score_fr is zero: it is skipped
    assert effective.energy.shape == (158, 158)
    assert effective.energy.sum() == pytest.approx(1)
    assert 2 < effective.size < effective.theoretical == 158
    assert all(not gradient.any() for gradient in net.grads.values())
    assert all(np.array_equal(before[name], array) for name, array in net.params.items())
    with pytest.raises(RuntimeError, match="forward"):
        net.trunk.layers[0].backward(x)


def test_no_gradient_is_said():
    dead = layers.Sequential(layers.Conv2d(1, 1, 3), layers.ReLU())
    dead.params["0.weight"][...] = -1
    with refuses("no gradient arrives"):
        effective_receptive_field(dead, np.ones((1, 1, 5, 5)))


def test_oblong_fields():
    chain = [layers.Conv2d(1, 1, (5, 1), dtype=np.float64)]
    effective = effective_receptive_field(chain, np.ones((1, 1, 9, 3)), share=1 - 1e-9)
    assert effective.energy.shape == (5, 1)
    assert effective.size == effective.theoretical == 5

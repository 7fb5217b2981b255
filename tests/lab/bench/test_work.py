"""What is measured: the network, its multiply-adds and its convolutions."""

import numpy as np
import pytest

from fcn_from_scratch import geometry
from fcn_from_scratch.checks import InputError
from fcn_from_scratch.lab.bench import LESSON, Work
from fcn_from_scratch.lab.bench.work import convolution, convolutions

# Multiply-adds of the lesson-size network on 16x24 pixels, counted by hand: for each layer outputs times taps times
# input channels; for the upsampling 16x16 taps for each of the 2x3 scores of 5 classes.
CONV1 = 16 * 24 * 16 * 9 * 3
LATER = 8 * 12 * 32 * 9 * 16 + 4 * 6 * 64 * 9 * 32 + 2 * 3 * 96 * 9 * 64 + 2 * 3 * 5 * 96
UP = 2 * 3 * 5 * 16 * 16


def test_multiply_adds_of_a_forward(work):
    assert work._replace(train=False).multiply_adds() == 2 * (CONV1 + LATER + UP)


def test_multiply_adds_of_a_step(work):
    """The gradient with respect to the image is not computed, and the bilinear kernel does not learn."""
    assert work.multiply_adds() == 2 * (2 * CONV1 + 3 * LATER + 2 * UP)


def test_one_convolution_by_hand(work):
    conv = convolutions(work)[1]
    assert conv.multiply_adds == 2 * 8 * 12 * 32 * 9 * 16
    assert conv.x_shape == (2, 16, 8, 12)
    assert conv.bytes == 4 * (2 * 16 * 8 * 12 + 32 * 16 * 3 * 3 + 2 * 32 * 8 * 12)


@pytest.mark.parametrize("model", [LESSON, "mini_fcn8s"])
def test_convolutions_read_what_they_read_in_the_network(model):
    work = Work(model, (32, 40), batch=2, options={} if model == LESSON else {"width": 4})
    net = work.network().train()
    net(work.pictures(net))
    convs = {node.name: convolution(node.layer) for node in geometry.graph(net)}
    listed = {name: conv for conv in convolutions(work) for name in conv.names.split(", ")}
    assert set(listed) == {name for name, conv in convs.items() if conv is not None}
    for name, conv in listed.items():
        assert convs[name].kept().shape == conv.x_shape
        assert conv.from_image == (name in ("conv1", "conv1_1"))
        assert ("input_grad" in conv.passes) == (not conv.from_image)


def test_layers_of_one_shape_are_measured_once():
    names = [conv.names for conv in convolutions(Work("fcn8s", (40, 50), options={"width": 2}))]
    assert "conv3_2, conv3_3" in names
    assert "conv5_1, conv5_2, conv5_3" in names
    assert sum(name.count("conv") for name in names) == 13


def test_every_process_gets_the_same_network():
    work = Work("mini_fcn8s", (32, 40), options={"width": 4})
    first, second, exact, bare = work.network(), work.network(), work.network("float64"), work.outline()
    for name, weight in first.params.items():
        assert np.array_equal(weight, second.params[name])
        assert np.array_equal(weight, exact.params[name])
        assert exact.params[name].dtype == np.float64
        assert weight.any() == name.endswith("weight")
        assert not bare.params[name].any()
    assert np.array_equal(work.pictures(first), work.pictures(second))
    assert work.pictures(first).shape == (1, 3, 32, 40)
    assert not np.array_equal(work.labels(), work._replace(seed=1).labels())


@pytest.mark.parametrize(
    ("model", "size", "says"),
    [
        ("mini_classifier", (96, 96), "one input picture and one output map"),
        ("fcn8s_two_heads", (64, 64), "one input picture and one output map"),
        ("fcn32s_late_fusion", (64, 64), "one input picture and one output map"),
        ("fcn9s", (64, 64), "there is no model 'fcn9s'"),
        ("fcn_alexnet", (1, 1), ""),
    ],
)
def test_what_cannot_be_measured_is_refused(model, size, says):
    work = Work(model, size, options={"width": 2} if model.startswith("mini") else {})
    if not says:
        return work.check(2)
    with pytest.raises(InputError, match=says):
        work.check(2)


def test_a_picture_that_does_not_fit_is_refused():
    with pytest.raises(InputError, match="4x4"):
        Work(LESSON, (4, 4)).check(2)


def test_too_little_memory_is_refused_before_the_system_stops_a_process():
    """FCN-8s has 134,362,751 weights. conv1_2 reads 64 maps of 698x698 and writes as many."""
    work = Work("fcn8s", (500, 500), batch=2)
    assert work.bytes() == 4 * (134_362_751 + 2 * 2 * 64 * 698 * 698)
    assert work._replace(train=True).bytes() > 4 * (3 * 134_362_751 + 2 * 4 * 64 * 698 * 698)
    work.check(3, room=3 * work.bytes())
    with pytest.raises(InputError, match=r"3 rivals hold at least 2\.9 GiB, and 2 GiB are free"):
        work.check(3, room=2 << 30)

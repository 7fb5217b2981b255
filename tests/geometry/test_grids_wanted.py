"""A net where a grid is wanted: the sentence says what to pass."""

import numpy as np
import pytest
from arrays import refuses

from fcn_from_scratch import dense, geometry, models
from fcn_from_scratch.layers import Conv2d, MaxPool2d, Sequential, Window

NET = Sequential(Conv2d(1, 1, 3, name="conv"), MaxPool2d(2, name="pool"))
FIELD = geometry.receptive_field(NET)
X = np.ones((1, 1, 8, 8), np.float32)


@pytest.mark.parametrize(
    "call",
    [
        lambda net: geometry.crop_offset(net, FIELD),
        lambda net: geometry.crop_offset(FIELD, net),
        lambda net: geometry.explain_crop(FIELD, net),
        lambda net: geometry.overlap(net, FIELD),
        lambda net: geometry.overlap(FIELD, net),
        lambda net: geometry.joint([net]),
        lambda net: geometry.joint([FIELD, net]),
        lambda net: dense.patches(X, net),
        lambda net: dense.cell_mask((1, 8, 8), net, 0.5, np.random.default_rng(0)),
        lambda net: dense.labels_at_cells(np.zeros((1, 8, 8), int), net, (3, 3)),
    ],
)
@pytest.mark.parametrize("net", [NET, NET.layers, (4, 2, 0.5)])
def test_the_sentence_names_what_is_wanted(call, net):
    with pytest.raises(ValueError, match=rf"geometry\.receptive_field\(net\).*got {type(net).__name__}"):
        call(net)


ASKED = [
    geometry.receptive_field,
    geometry.graph,
    geometry.measured_receptive_field,
    lambda net: geometry.map_sizes(net, 9),
    lambda net: geometry.table(net, 9),
    lambda net: geometry.effective_receptive_field(net, X),
]


@pytest.mark.parametrize("ask", ASKED)
@pytest.mark.parametrize("net", [None, X, Conv2d, [NET, None], [[MaxPool2d]], "fcn8s"])
def test_what_is_no_net(ask, net):
    with pytest.raises(ValueError, match=r"^net must be a layer, a list of layers or a model; got "):
        ask(net)


@pytest.mark.parametrize("ask", [ask for ask in ASKED if ask is not geometry.graph])
def test_a_chain_with_a_forward_of_its_own(ask):
    """What it computes besides its layers is not known; a window tells what it reads, but not through which layers."""

    class Residual(Sequential):
        def forward(self, x):
            return x + super().forward(x)

    block = Residual(Conv2d(1, 1, 3, padding=1), name="block")
    for net in (block, [block], Sequential(block), Sequential(Sequential(block))):
        with refuses("Residual 'block'"):
            ask(net)
    block.window = Window(3, padding=1)
    assert tuple(geometry.receptive_field([block, MaxPool2d(2)])) == (4, 2, 0.5)
    assert geometry.measured_receptive_field([block, MaxPool2d(2)]) == geometry.receptive_field([block, MaxPool2d(2)])


def test_no_grids_and_a_net_as_start():
    with refuses("joint needs the grid of one map at least"):
        geometry.joint([])
    with refuses("start must be a grid: pass geometry.receptive_field(net); got Sequential"):
        geometry.receptive_field(NET, NET)


def test_parts_of_a_network_are_no_network():
    with refuses("Head does not say in which order its layers run"):
        geometry.graph(models.build("mini_fcn8s", 2, width=1).head)


@pytest.mark.parametrize("kind", [list, tuple])
def test_pairs(kind):
    sizes = geometry.map_sizes(NET, kind((9, 10)), pad=kind((1, 2)))
    assert [found.size for found in sizes.values()] == [(9, 10), (9, 12), (4, 6)]
    assert geometry.sizes_that_fit(NET, [kind((4, 3)), kind((4, 4))]) == [kind((4, 4))]
    assert geometry.table(NET, kind((9, 10))).size == (9, 10)
    assert dense.cell_mask(kind((1, 8, 9)), FIELD, 0.5, np.random.default_rng(0)).shape == (1, 8, 9)
    assert dense.labels_at_cells(np.zeros((1, 8, 9), int), FIELD, kind((3, 2))).shape == (1, 3, 2)
    assert dense.rarefy(NET, kind((1, 2))).layers[1].stride == (1, 2)
    assert dense.shift_and_stitch(NET, X, kind((2, 2))).shape == (1, 1, 5, 5)

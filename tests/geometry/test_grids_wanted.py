"""A net where a grid is wanted: the sentence says what to pass."""

import numpy as np
import pytest

from fcn_from_scratch import dense, geometry
from fcn_from_scratch.layers import Conv2d, MaxPool2d, Sequential

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

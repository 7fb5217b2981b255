"""The facts below the table."""

import re

import numpy as np
import pytest

from fcn_from_scratch.lab.compare import footnotes
from fcn_from_scratch.layers import Conv2d


@pytest.fixture
def x(nets, val):
    return nets["32s"].transform(val[0].image)[None]


def test_without_padding_the_tricks_agree_to_rounding(nets, x):
    share, gap = footnotes.agreement(nets["32s"], 8, x)
    assert 0 <= share <= 1
    assert gap < 1e-5


def test_without_padding_shares_the_weights_and_pads_nowhere(nets):
    bare = footnotes.without_padding(nets["32s"])
    assert all(layer.padding == (0, 0) for layer in bare.layers if isinstance(layer, Conv2d))
    assert bare.params["conv1_1.weight"] is nets["32s"].params["conv1_1.weight"]
    assert nets["32s"].children["conv1_1"].padding == (1, 1)


def test_one_pass_saves_work(nets, x):
    classifier = nets.fresh("classifier").eval()
    cells, work, longer = footnotes.one_pass(nets["32s"], classifier, x)
    assert cells == 3 * 4  # 64 x 96 pixels; there are cells on both edges
    # 12 crops of 64 x 64 have 8 times the pixels; on the map fc6 also covers the frame around it
    assert 6 < work < 8
    assert longer > 0


def test_in_words(nets, x):
    first, second, third = footnotes.sentences(nets, {"net", "rarefy"}, 8, x)
    assert "rarefied" in first
    assert "1024 passes and 1" in second
    assert "12 cells" in third
    assert all(re.fullmatch(r"[A-Z].*\.", line) for line in (first, second, third))
    assert len(footnotes.sentences(nets, {"net"}, 8, x)) == 1


def test_a_frame_of_zeros():
    framed = footnotes.in_frame(np.ones((1, 2, 3, 4)), 2)
    assert framed.shape == (1, 2, 7, 8)
    assert framed.sum() == 24

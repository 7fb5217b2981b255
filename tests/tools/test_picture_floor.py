"""The calls of tests/tools/picture_floor.py compute convolutions, and they are those of a picture."""

import numpy as np
import picture_floor
import pytest

from fcn_from_scratch import ops
from fcn_from_scratch.engine import winograd_frequencies
from fcn_from_scratch.engine.im2col import channels_first

CASES = {  # (channels, filters, kernel_size, size), pooled, algorithm, multiply-adds as a share of the direct sum's
    "patches": ((3, 6, (3, 3), (24, 20)), False, "im2col", 1),
    "bands": ((8, 6, (3, 3), (24, 20)), False, "winograd", 1 / 4),
    "bands and a pool": ((8, 6, (3, 3), (24, 20)), True, "winograd", 1 / 4),
    "frequencies": ((8, 6, (3, 3), (24, 20)), True, "winograd", 1 / 4),
    "fc6": ((4, 32, (7, 7), (8, 9)), False, "winograd_wide", 10 / 28),
    "fc7": ((16, 32, (1, 1), (8, 9)), False, "wide", 1),
}


@pytest.mark.parametrize("case", CASES)
def test_both_processes_together_compute_the_layer(case, monkeypatch):
    """The calls run three times. Here one process runs after the other, so at first it reads what the other has not
    made yet. There are three stages at most: tiles, products, outputs.
    """
    sizes, pooled, algorithm, share = CASES[case]
    if case == "frequencies":
        monkeypatch.setattr(winograd_frequencies.small_products, "WIDEST", 0)
    layer = picture_floor.Convolution(*sizes, pooled, algorithm)
    calls = [call for process in range(picture_floor.PROCESSES) for call in layer.calls(process)]
    assert {kind for kind, _ in calls} <= set(picture_floor.KINDS)
    for _ in range(3):
        for _, call in calls:
            call()
    expected = np.maximum(ops.conv2d(channels_first(layer.x), layer.weight, layer.bias), 0)
    if pooled:
        expected = ops.max_pool2d(expected, 2, ceil_mode=True)[0]
    np.testing.assert_allclose(channels_first(layer.y), expected, atol=2e-5 * abs(expected).max())
    channels, filters, kernel_size, size = sizes
    assert layer.multiply_adds == pytest.approx(share * channels * filters * np.prod([*kernel_size, *size]))


def test_the_layers_of_a_picture():
    """Each convolution up to fc7. The sizes of the maps are those of a thinner network. The zero frame cuts all maps
    but those from conv5 on.
    """
    found = [(each.size, each.pooled) for each in picture_floor.convolutions((500, 500), width=2)]
    assert len(found) == 13 + 2
    assert found[-3:] == [((44, 44), True), ((16, 16), False), ((16, 16), False)]
    whole = [698, 698, 349, 349, 175, 175, 175, 88, 88, 88]
    assert all(1 / 2 < size[0] * size[1] / side**2 < 1 for (size, _), side in zip(found, whole))
    assert [pooled for _, pooled in found[:5]] == [False, True, False, True, False]

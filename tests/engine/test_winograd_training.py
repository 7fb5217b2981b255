"""A network that Winograd's algorithm trains follows the same network trained by im2col."""

import numpy as np
import pytest
import winograd_training

SIZE, BATCH, STEPS = 48, 2, 16


def losses(seed, kind):
    return np.array(winograd_training.trainer(seed, kind, 100, SIZE, BATCH).run(STEPS, progress=False).losses)


def test_which_convolutions_use_it():
    net = winograd_training.network(0, "Winograd")
    assert winograd_training.by_winograd(net, SIZE, BATCH) == ["conv1_2", "conv2_1", "conv2_2"]
    assert {layer.algorithm for layer in winograd_training.convolutions(net)} == {"auto"}
    direct = winograd_training.network(0, "im2col")
    assert {layer.algorithm for layer in winograd_training.convolutions(direct)} == {"im2col"}
    np.testing.assert_equal(dict(net.params), dict(direct.params))
    whole = winograd_training.by_winograd(net, winograd_training.SIZE, winograd_training.BATCH)
    assert whole == ["conv1_2", "conv2_1", "conv2_2", "conv3_1", "conv3_2"]


@pytest.mark.parametrize("seed", [0, 1])
def test_losses_agree_at_first_and_stay_close(seed):
    """At the first step the scores are zero, whatever the trunk computes. Later every rounding error is amplified."""
    direct, fast = losses(seed, "im2col"), losses(seed, "Winograd")
    assert direct[0] == fast[0] == pytest.approx(np.log(6), rel=1e-6)
    difference = np.abs(fast / direct - 1)
    assert 0 < difference[1:6].max() < 1e-6
    assert difference.max() < 5e-3
    assert np.ptp(direct) > 0.2  # while the loss itself changes by much more

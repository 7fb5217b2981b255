"""The calls of tests/tools/step_floor.py are those of the convolutions of a training step, and none is missing."""

import numpy as np
import pytest
import step_floor

from fcn_from_scratch.lab.bench.work import LESSON, Work
from fcn_from_scratch.layers import Conv2d


@pytest.mark.parametrize("loop", [False, True])
@pytest.mark.parametrize("size", [64, 128])
def test_as_many_multiply_adds_as_a_step_has(size, loop):
    """Forward, the gradient of each weight, and that of each input but the first, as the layers count them."""
    images, count = step_floor.parts(size, loop)
    net, shape, expected = Work(LESSON, (size, size), 8, True).network(), (3, size, size), 0
    for number, layer in enumerate(net.children.values()):
        if isinstance(layer, Conv2d) and layer.kernel_size == (3, 3):
            expected += layer.multiply_adds(shape) * (2 if number == 0 else 3)
        shape = layer.output_shape(shape)
    assert images * count * step_floor.PROCESSES == step_floor.BATCH
    assert step_floor.Part(images, size, loop).multiply_adds == images * expected


def test_patches_are_those_of_the_map():
    """Each row of a block's matrix is a window of the map with its border, in both orders in memory."""
    for planes, channels in ((True, 3), (False, 5)):
        part = step_floor.Part(2, 16)
        part.calls.clear()
        found = []
        for patches in part._patches(8, channels, planes):
            for kind, call in part.calls:
                assert kind == "copies"
                call()
            part.calls.clear()
            found.append(np.array(patches))
        rows = np.concatenate(found).reshape(2, 8, 8, 9, channels)
        middle = rows[..., 4, :]
        np.testing.assert_array_equal(rows[:, :, 1:, 3], middle[:, :, :-1])  # the pixel to the left
        np.testing.assert_array_equal(rows[:, 1:, :, 1], middle[:, :-1])  # the pixel above


def test_a_loop_has_a_relu_and_a_pool_of_its_own_after_each_convolution():
    """Each with its gradient. In one pass a ReLU and a pool are one call, forward and back."""
    passes = {loop: [kind for kind, _ in step_floor.Part(4, 64, loop).calls].count("passes") for loop in (False, True)}
    biases, pools, relus, loss = 4, 3, 4, 1
    assert passes[False] == biases + 2 * pools + 2 + loss  # the last ReLU has no pool after it
    assert passes[True] == biases + 2 * pools + 2 * relus + loss

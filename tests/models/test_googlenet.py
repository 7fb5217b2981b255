"""FCN-GoogLeNet: names, shapes, receptive fields of 715 and 907, the crop of pad - 2, sizes, branches."""

import numpy as np
import pytest
from arrays import close, refuses, shapes_of

from fcn_from_scratch import geometry
from fcn_from_scratch.layers import AvgPool2d, BilinearUpsample, Branches, Dropout, MaxPool2d
from fcn_from_scratch.models import build

# BVLC's GoogLeNet: what each module reads, and the outputs of 1x1, 3x3_reduce, 3x3, 5x5_reduce, 5x5, pool_proj
MODULES = {
    "3a": (192, 64, 96, 128, 16, 32, 32),
    "3b": (256, 128, 128, 192, 32, 96, 64),
    "4a": (480, 192, 96, 208, 16, 48, 64),
    "4b": (512, 160, 112, 224, 24, 64, 64),
    "4c": (512, 128, 128, 256, 24, 64, 64),
    "4d": (512, 112, 144, 288, 32, 64, 64),
    "4e": (528, 256, 160, 320, 32, 128, 128),
    "5a": (832, 256, 160, 320, 32, 128, 128),
    "5b": (832, 384, 192, 384, 48, 128, 128),
}
LAYERS = (
    "conv1/7x7_s2 conv1/relu_7x7 pool1/3x3_s2 pool1/norm1 conv2/3x3_reduce conv2/relu_3x3_reduce conv2/3x3 "
    "conv2/relu_3x3 conv2/norm2 pool2/3x3_s2 inception_3a inception_3b pool3/3x3_s2 inception_4a inception_4b "
    "inception_4c inception_4d inception_4e pool4/3x3_s2 inception_5a inception_5b pool5/drop_7x7_s1 "
    "score_fr upscore crop"
)


def expected_shapes(num_classes):
    weights = {"conv1/7x7_s2": (64, 3, 7, 7), "conv2/3x3_reduce": (64, 64, 1, 1), "conv2/3x3": (192, 64, 3, 3)}
    for name, (before, one, reduce3, three, reduce5, five, projected) in MODULES.items():
        weights |= {
            f"inception_{name}/1x1": (one, before, 1, 1),
            f"inception_{name}/3x3_reduce": (reduce3, before, 1, 1),
            f"inception_{name}/3x3": (three, reduce3, 3, 3),
            f"inception_{name}/5x5_reduce": (reduce5, before, 1, 1),
            f"inception_{name}/5x5": (five, reduce5, 5, 5),
            f"inception_{name}/pool_proj": (projected, before, 1, 1),
        }
    weights["score_fr"] = (num_classes, 1024, 1, 1)
    return {key: s for n, shape in weights.items() for key, s in ((f"{n}.weight", shape), (f"{n}.bias", shape[:1]))}


@pytest.fixture(scope="module")
def thin():
    return build("fcn_googlenet", 2, width=1).eval()


def test_names_shapes_and_number_of_parameters(weightless):
    """5,973,552 parameters below the classifier: the paper's 6 M."""
    net = build("fcn_googlenet")
    assert list(net.children) == LAYERS.split()
    assert shapes_of(net) == expected_shapes(21)
    assert list(net.params) == list(expected_shapes(21))
    assert sum(array.size for array in net.params.values()) == 5_973_552 + 21 * 1025


def test_layers_between_the_convolutions(thin):
    pools = [layer for layer in thin.children.values() if isinstance(layer, MaxPool2d)]
    assert [(p.kernel_size, p.stride, p.ceil_mode) for p in pools] == [((3, 3), (2, 2), True)] * 4
    for name in ("pool1/norm1", "conv2/norm2"):
        norm = thin.children[name]
        assert (norm.size, norm.alpha, norm.beta, norm.k) == (5, 1e-4, 0.75, 1.0)
    drop = thin.children["pool5/drop_7x7_s1"]
    assert type(drop) is Dropout
    assert drop.p == 0.4
    assert not any(isinstance(layer, AvgPool2d) for layer in thin.children.values())


def test_receptive_field_with_and_without_the_average_pool(thin):
    """715 pixels; the paper's 907 are those of the net with its last pool, which the FCN leaves out."""
    assert tuple(geometry.receptive_field(thin)) == (715, 32, 33 - 100)
    kept = [*thin.trunk.layers, AvgPool2d(7, 1)]
    assert geometry.receptive_field(kept).size == 907


def test_the_field_is_that_of_the_widest_branches(thin):
    """Measured from gradients, along the 5x5 branches: no recurrence, and none of the code for branches."""
    path = []
    for layer in thin.trunk.layers:
        path += layer.branches[2].layers if isinstance(layer, Branches) else [layer]
    assert geometry.measured_receptive_field(path) == geometry.receptive_field(thin)


@pytest.mark.parametrize("pad", [2, 3, 18, 100])
def test_the_crop_is_the_padding_less_two(pad):
    net = build("fcn_googlenet", 2, width=1, pad=pad)
    assert net.upscore.kernel_size == (63, 63)
    assert net.crop.offset == (pad - 2, pad - 2)
    even = geometry.receptive_field(BilinearUpsample(64, 32), geometry.receptive_field(net))
    with refuses(f"{pad - 1.5} cells apart"):
        geometry.crop_offset(even, geometry.IMAGE)


def test_a_padding_below_two_starts_inside_the_image():
    with refuses("the scores would start at pixel 1 of the image"):
        build("fcn_googlenet", 2, width=1, pad=1)


def test_sizes(thin):
    """Every image fits with 100; with the classifier's 3, those from 31 pixels on."""
    assert geometry.sizes_that_fit(thin) == list(range(1, 1500))
    assert geometry.sizes_that_fit(thin, pad=3) == list(range(31, 1500))
    assert geometry.smallest_pad(thin) == 18
    # the classifier at 224 pixels ends in 7x7 cells
    sizes = geometry.map_sizes(thin.trunk, 224, pad=3)
    assert [sizes[name].size[0] for name in ("pool1/3x3_s2", "pool2/3x3_s2", "pool3/3x3_s2", "pool4/3x3_s2")] == [
        56,
        28,
        14,
        7,
    ]


def test_channels_at_full_width(weightless):
    sizes = geometry.map_sizes(build("fcn_googlenet"), 224, pad=3)
    outputs = {name: sum(widths[i] for i in (1, 3, 5, 6)) for name, widths in MODULES.items()}
    assert outputs["5b"] == 1024
    for name, channels in outputs.items():
        assert sizes[f"inception_{name}/output"].channels == channels


@pytest.mark.parametrize("size", [(1, 1), (3, 70), (65, 97)])
def test_scores_have_the_images_size(size, thin):
    assert thin(np.ones((1, 3, *size), np.float32)).shape == (1, 2, *size)


def test_a_module_hands_its_input_the_sum_over_its_branches(rng):
    """In the whole network: the gradient that reaches inception_4c is what its four branches send on, added."""
    net = build("fcn_googlenet", 2, width=4, pad=20, dropout=0.0, dtype=np.float64)
    for name in ("weight", "bias"):
        net.score_fr.params[name][...] = rng.normal(size=net.score_fr.params[name].shape)
    module, sent = net.children["inception_4c"], []
    for branch in module.branches:
        backward = branch.backward
        branch.backward = lambda dy, backward=backward: sent.append(backward(dy)) or sent[-1]
    received, before = [], net.children["inception_4b"]
    of_4b = before.backward
    before.backward = lambda dy: of_4b(received.append(dy) or dy)
    net(rng.normal(size=(1, 3, 40, 50)))
    net.backward(rng.normal(size=(1, 2, 40, 50)))
    assert len(sent) == 4
    assert all(np.abs(part).max() > 1e-6 * np.abs(received[0]).max() for part in sent)
    close(received[0], sum(sent))


def test_trains_a_step(rng):
    """First the scores learn, then the trunk, as in the other networks."""
    net = build("fcn_googlenet", 3, width=16, pad=20, dtype=np.float64)
    x, dy = rng.normal(size=(1, 3, 40, 50)), rng.normal(size=(1, 3, 40, 50))
    net(x)
    net.backward(dy)
    assert {key for key, g in net.grads.items() if g.any()} == {"score_fr.weight", "score_fr.bias"}
    net.params["score_fr.weight"][...] -= 0.1 * net.grads["score_fr.weight"]
    net.zero_grad()
    net(x)
    net.backward(dy)
    assert all(gradient.any() for key, gradient in net.grads.items() if key.endswith("weight"))

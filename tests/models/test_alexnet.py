"""FCN-AlexNet: names, shapes, the crop of 18, the kernel of 63, sizes, and pooling before normalisation."""

import numpy as np
import pytest
from arrays import refuses, shapes_of

from fcn_from_scratch import geometry
from fcn_from_scratch.layers import LocalResponseNorm, MaxPool2d
from fcn_from_scratch.models import build, transplant

# voc-fcn-alexnet of the paper's public code; two groups halve what conv2, conv4 and conv5 read
LAYERS = (
    "conv1 relu1 pool1 norm1 conv2 relu2 pool2 norm2 conv3 relu3 conv4 relu4 conv5 relu5 pool5 "
    "fc6 relu6 drop6 fc7 relu7 drop7 score_fr upscore crop"
)
SHAPES = {
    "conv1": (96, 3, 11, 11),
    "conv2": (256, 48, 5, 5),
    "conv3": (384, 256, 3, 3),
    "conv4": (384, 192, 3, 3),
    "conv5": (256, 192, 3, 3),
    "fc6": (4096, 256, 6, 6),
    "fc7": (4096, 4096, 1, 1),
    "score_fr": (21, 4096, 1, 1),
}


@pytest.fixture(scope="module")
def thin():
    return build("fcn_alexnet", 2, width=6).eval()


def test_names_shapes_and_number_of_parameters(weightless):
    net = build("fcn_alexnet")
    assert list(net.children) == LAYERS.split()
    expected = {key: s for n, shape in SHAPES.items() for key, s in ((f"{n}.weight", shape), (f"{n}.bias", shape[:1]))}
    assert shapes_of(net) == expected
    assert sum(array.size for array in net.params.values()) == 56_954_261


def test_normalises_after_pooling(thin):
    for number in (1, 2):
        names = list(thin.children)
        pool, norm = thin.children[f"pool{number}"], thin.children[f"norm{number}"]
        assert names.index(f"norm{number}") == names.index(f"pool{number}") + 1
        assert isinstance(norm, LocalResponseNorm)
        assert (norm.size, norm.alpha, norm.beta, norm.k) == (5, 1e-4, 0.75, 1.0)
        assert isinstance(pool, MaxPool2d)
        assert (pool.kernel_size, pool.stride, pool.ceil_mode) == ((3, 3), (2, 2), True)


def test_place_of_the_scores(thin):
    """113 - pad, on a pixel: with 64 taps the offset would be 18.5."""
    assert tuple(geometry.receptive_field(thin)) == (355, 32, 13)
    assert thin.upscore.kernel_size == (63, 63)
    assert thin.upscore.stride == (32, 32)
    assert thin.crop.offset == (18, 18)
    with refuses("18.5 cells apart"):
        even = geometry.receptive_field(type(thin.upscore)(64, 32), geometry.receptive_field(thin))
        geometry.crop_offset(even, geometry.IMAGE)


@pytest.mark.parametrize("pad", [82, 90, 99, 130])
def test_the_crop_moves_with_the_padding(pad):
    assert build("fcn_alexnet", 2, width=1, pad=pad).crop.offset == (pad - 82, pad - 82)
    with refuses("the scores would start at pixel 1 of the image"):
        build("fcn_alexnet", 2, width=1, pad=81)


def test_a_cell_lands_on_its_pixels(thin):
    """A 1 in cell (8, 5) of the scores spreads around pixel 32 * 8 + 13 and 32 * 5 + 13."""
    coarse = np.zeros((1, 2, 16, 16))
    coarse[0, 1, 8, 5] = 1
    y = thin.crop(thin.upscore(coarse), size=(500, 500))[0, 1]
    rows, columns = np.indices(y.shape)
    assert y.sum() == pytest.approx(32**2, rel=1e-12)
    assert (y * rows).sum() / y.sum() == pytest.approx(269, abs=1e-9)
    assert (y * columns).sum() / y.sum() == pytest.approx(173, abs=1e-9)


def test_every_size_fits(thin):
    """By the package, and by arithmetic of its own: 11/4 down, then 3/2 three times, rounded up, then 6 cells."""
    assert geometry.sizes_that_fit(thin) == list(range(1, 1500))
    for n in range(1, 1500):
        side = (n + 200 - 11) // 4 + 1
        for _ in range(3):
            side = -(-(side - 3) // 2) + 1
        scores = side - 5
        assert scores >= 1
        assert 32 * (scores - 1) + 63 >= 18 + n


@pytest.mark.parametrize("size", [(1, 1), (3, 70), (65, 97)])
def test_scores_have_the_images_size(size, thin):
    assert thin(np.ones((1, 3, *size), np.float32)).shape == (1, 2, *size)


def test_width_keeps_the_groups_even():
    for width in (1, 3, 7):
        shapes = shapes_of(build("fcn_alexnet", 2, width=width))
        for name in ("conv2", "conv4", "conv5"):
            assert shapes[f"{name}.weight"][0] % 2 == 0
        assert shapes["conv2.weight"][1] * 2 == shapes["conv1.weight"][0]
    assert shapes_of(build("fcn_alexnet", 2, width=48))["conv3.weight"] == (192, 128, 3, 3)


def test_takes_over_the_classifier(thin):
    """CaffeNet's fc6 is (4096, 9216) for 6x6 cells of 256 channels: the same numbers, row by row."""
    new, rng = build("fcn_alexnet", 2, width=6), np.random.default_rng(4)
    state = {key: rng.normal(size=array.shape) for key, array in new.params.items() if "score" not in key}
    fc6 = state["fc6.weight"]
    state["fc6.weight"], state["fc7.weight"] = fc6.reshape(len(fc6), -1), state["fc7.weight"][:, :, 0, 0]
    report = transplant(new, state | {"fc8.weight": np.zeros((5, 8))})
    assert report.reshaped == ["fc6.weight", "fc7.weight"]
    assert report.dropped == ["fc8.weight"]
    assert report.initialised == ["score_fr.weight", "score_fr.bias"]
    np.testing.assert_allclose(new.params["fc6.weight"], fc6, rtol=1e-6)

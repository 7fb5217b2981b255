"""Preprocess: the paper's input convention, its inverse, and settings that survive a checkpoint."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fcn_from_scratch.checks import InputError
from fcn_from_scratch.datasets import CAFFE, TORCHVISION, Preprocess

SETTINGS = [
    CAFFE,
    TORCHVISION,
    Preprocess(mean=(1, 2, 3), order="RGB"),
    Preprocess(scale=0.5, std=(2, 3, 4), depth_mean=10),
]


@pytest.fixture
def image(rng):
    return rng.integers(256, size=(5, 7, 4), dtype=np.uint8)


def test_the_default_is_blue_first_minus_the_mean(image):
    x = Preprocess()(image[:, :, :3])
    assert (x.dtype, x.shape) == (np.float32, (3, 5, 7))
    red, green, blue = image[2, 3, :3].tolist()
    expected = [blue - 104.00698793, green - 116.66876762, red - 122.67891434]
    np.testing.assert_allclose(x[:, 2, 3], expected, rtol=1e-6)


def test_torchvisions_is_red_first_from_zero_to_one(image):
    x = TORCHVISION(image[:, :, :3])
    expected = (image[:, :, 0] / 255 - 0.485) / 0.229
    np.testing.assert_allclose(x[0], expected, rtol=1e-4, atol=1e-5)


def test_depth_is_the_last_channel_and_has_its_own_mean(image):
    x = Preprocess(depth_mean=10)(image)
    np.testing.assert_array_equal(x[:3], Preprocess()(image[:, :, :3]))
    np.testing.assert_array_equal(x[3], image[:, :, 3] - np.float32(10))


@pytest.mark.parametrize("preprocess", SETTINGS)
@pytest.mark.parametrize("channels", [3, 4])
def test_undo_is_the_inverse(preprocess, channels):
    every_value = np.repeat(np.arange(256, dtype=np.uint8).reshape(16, 16, 1), channels, axis=2)
    every_value[..., 1] //= 2
    np.testing.assert_array_equal(preprocess.undo(preprocess(every_value)), every_value)


def test_undo_clips_what_no_picture_holds():
    x = np.full((3, 1, 2), 1e4, np.float32)
    x[:, :, 1] *= -1
    np.testing.assert_array_equal(Preprocess().undo(x)[0, :, 0], [255, 0])


def test_the_image_is_not_written_to(image):
    before = image.copy()
    Preprocess()(image)
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("preprocess", SETTINGS)
def test_settings_survive_json(preprocess):
    assert Preprocess.from_dict(json.loads(json.dumps(preprocess.as_dict()))) == preprocess


positive = st.floats(0.01, 100)


@given(st.tuples(positive, positive, positive), st.sampled_from(["RGB", "BGR"]), positive)
def test_any_settings_are_undone(mean, order, scale):
    preprocess = Preprocess(mean, order, scale)
    image = np.arange(48, dtype=np.uint8).reshape(4, 4, 3) * 5
    np.testing.assert_array_equal(preprocess.undo(preprocess(image)), image)


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"order": "GBR"}, "order"),
        ({"mean": (1, 2)}, "mean has three numbers; got 2"),
        ({"std": (1, 2, 3, 4)}, "std has three numbers; got 4"),
        ({"scale": 0}, "above 0"),
        ({"scale": float("nan")}, "above 0"),
        ({"std": (1, 0, 1)}, "above 0"),
    ],
)
def test_senseless_settings_are_refused(settings, complaint):
    with pytest.raises(ValueError, match=complaint):
        Preprocess(**settings)
    with pytest.raises(InputError, match="settings of a Preprocess"):
        Preprocess.from_dict(settings)


@pytest.mark.parametrize("settings", [{"means": 3}, {"mean": None}, {"mean": "abc"}, None, [1]])
def test_a_damaged_checkpoint_gives_a_clear_error(settings):
    with pytest.raises(InputError, match="settings of a Preprocess"):
        Preprocess.from_dict(settings)


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 1), (5, 7, 5), (2, 5, 7, 3)])
def test_an_image_of_another_form_is_refused(shape):
    with pytest.raises(ValueError, match=r"shape \(H, W, 3\)"):
        Preprocess()(np.zeros(shape, np.uint8))

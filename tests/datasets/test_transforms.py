"""Preprocess: the paper's input convention, its inverse, and settings that are saved in a checkpoint."""

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
    Preprocess(scale=0.5, std=(2, 3, 4), depth_mean=10, depth_std=7, hha_mean=(5, 6, 7)),
]


@pytest.fixture
def image(rng):
    return rng.integers(256, size=(5, 7, 4), dtype=np.uint8)


@pytest.fixture
def six(rng):
    """Colours and HHA."""
    return rng.integers(256, size=(5, 7, 6), dtype=np.uint8)


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


def test_depth_keeps_its_fractions(image):
    """A logarithm of a depth is a float: the third channel is not rounded on the way."""
    depth = np.log(np.arange(1, 36, dtype=np.float32)).reshape(5, 7, 1)
    x = Preprocess(depth_mean=2, depth_std=4)(np.concatenate([image[:, :, :3], depth], axis=2))
    np.testing.assert_allclose(x[3], (depth[:, :, 0] - 2) / 4, rtol=1e-6, atol=1e-7)


def test_hha_is_not_turned_round_and_has_its_own_mean(six):
    """Colours as ever; after them HHA less the mean of its files, divided as colours are."""
    x = Preprocess()(six)
    assert x.shape == (6, 5, 7)
    np.testing.assert_array_equal(x[:3], Preprocess()(six[:, :, :3]))
    expected = six[2, 3, 3:].astype(float) - (132.431, 94.076, 118.477)
    np.testing.assert_allclose(x[3:, 2, 3], expected, rtol=1e-6, atol=1e-5)
    divided = Preprocess(scale=0.5, std=(2, 3, 4), hha_mean=(5, 6, 7))(six)
    expected = 0.5 * (six[2, 3, 3:].astype(float) - (5, 6, 7)) / (2, 3, 4)
    np.testing.assert_allclose(divided[3:, 2, 3], expected, rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("preprocess", [Preprocess(), TORCHVISION, Preprocess(depth_mean=10, hha_mean=(5, 6, 7))])
@pytest.mark.parametrize("channels", [3, 4, 6])
def test_the_neutral_pixel_becomes_zero(preprocess, channels):
    pixel = preprocess.neutral(channels)
    assert len(pixel) == channels
    np.testing.assert_allclose(preprocess(np.array([[pixel]])).ravel(), 0, atol=1e-5)


@pytest.mark.parametrize("preprocess", SETTINGS)
@pytest.mark.parametrize("channels", [3, 4, 6])
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
        ({"mean": (1, 2)}, "mean must have three numbers; got 2"),
        ({"std": (1, 2, 3, 4)}, "std must have three numbers; got 4"),
        ({"scale": 0}, "above 0"),
        ({"scale": float("nan")}, "above 0"),
        ({"std": (1, 0, 1)}, "above 0"),
        ({"depth_std": 0}, "above 0"),
        ({"depth_std": float("nan")}, "above 0"),
        ({"hha_mean": (1, 2)}, "hha_mean must have three numbers; got 2"),
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

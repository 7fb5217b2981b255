"""Random changes: picture and labels move together, and one seed gives one result.

In most tests the picture encodes its label (channel 0 holds the id). A change that moves only one of them is noticed.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fcn_from_scratch.datasets import IGNORE, ColourJitter, Compose, RandomCrop, RandomFlip, RandomScale, Shapes

CHANGES = [RandomFlip(), RandomCrop(24), RandomCrop((70, 40)), RandomScale(), ColourJitter(0.3)]
CHANGES.append(Compose((RandomScale(0.7, 1.4), RandomCrop(32), RandomFlip(), ColourJitter())))


def coded(rng, height, width, channels=3):
    labels = rng.integers(5, size=(height, width)).astype(np.uint8)
    image = rng.integers(256, size=(height, width, channels), dtype=np.uint8)
    image[:, :, 0] = labels
    return image, labels


@pytest.mark.parametrize("change", CHANGES, ids=repr)
@pytest.mark.parametrize("depth", [False, True])
def test_one_seed_gives_one_result_and_inputs_stay(change, depth):
    image, labels, _ = Shapes(1, depth=depth)[0]
    image.setflags(write=False)
    labels.setflags(write=False)
    once, again = (change(image, labels, np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(once[0], again[0])
    np.testing.assert_array_equal(once[1], again[1])
    assert once[0].dtype == once[1].dtype == np.uint8
    assert once[0].shape == (*once[1].shape, 3 + depth)
    others = [change(image, labels, np.random.default_rng(seed))[0] for seed in range(8)]
    assert any(not np.array_equal(once[0], other) for other in others)


def test_flip_mirrors_both_or_neither(rng):
    image, labels = coded(rng, 4, 6)
    seen = set()
    for _ in range(30):
        turned, turned_labels = RandomFlip()(image, labels, rng)
        np.testing.assert_array_equal(turned[:, :, 0], turned_labels)
        flipped = np.array_equal(turned_labels, labels[:, ::-1])
        np.testing.assert_array_equal(turned, image[:, ::-1] if flipped else image)
        seen.add(flipped)
    assert seen == {True, False}
    assert RandomFlip(p=0)(image, labels, rng)[0] is image


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 12), st.integers(1, 12), st.integers(3, 4))
def test_crop_gives_its_size_and_keeps_labels_on_their_pixels(height, width, rows, columns, channels):
    rng = np.random.default_rng(0)
    image, labels = coded(rng, height, width, channels)
    window, ids = RandomCrop((rows, columns), fill=(77, 88, 99))(image, labels, rng)
    assert window.shape == (rows, columns, channels)
    assert ids.shape == (rows, columns)
    inside = ids != IGNORE
    np.testing.assert_array_equal(window[inside][:, 0], ids[inside])
    assert inside.sum() == min(rows, height) * min(columns, width)
    assert (window[~inside][:, :3] == (77, 88, 99)).all()


def test_crop_pads_each_channel_with_its_number(rng):
    """Rounded in a picture of bytes, as it is in one of floats; channels without a number get 0."""
    image, labels = coded(rng, 2, 2, channels=6)
    window, ids = RandomCrop(4, fill=(10.6, 20, 30, 40.4))(image, labels, rng)
    assert (window[ids == IGNORE] == (11, 20, 30, 40, 0, 0)).all()
    window, ids = RandomCrop(4, fill=(10.5, 20, 30, 7.75))(image[:, :, :4].astype(np.float32), labels, rng)
    assert window.dtype == np.float32
    np.testing.assert_array_equal(window[ids == IGNORE][0], [10.5, 20, 30, 7.75])


@pytest.mark.parametrize("change", CHANGES, ids=repr)
def test_every_label_map_moves_as_one_would(change, rng):
    """Two maps of one picture change as each of them does alone."""
    image, labels = coded(rng, 50, 40)
    other = 4 - labels
    alone = [change(image, ids, np.random.default_rng(5)) for ids in (labels, other)]
    together = change(image, np.stack([labels, other]), np.random.default_rng(5))
    np.testing.assert_array_equal(together[0], alone[0][0])
    for ids, (_, expected) in zip(together[1], alone):
        np.testing.assert_array_equal(ids, expected)
    assert together[1].dtype == np.uint8


def test_scale_keeps_the_fractions_of_a_float_channel(rng):
    image = np.full((8, 8, 4), 0.25, np.float32)
    scaled, _ = RandomScale(1.7, 1.7)(image, np.zeros((8, 8), np.uint8), rng)
    assert scaled.dtype == np.float32
    np.testing.assert_allclose(scaled, 0.25, rtol=1e-6)


def test_crop_reaches_every_place(rng):
    image = np.zeros((5, 6, 3), np.uint8)
    labels = np.arange(30, dtype=np.uint8).reshape(5, 6)
    corners = {int(RandomCrop((2, 3))(image, labels, rng)[1][0, 0]) for _ in range(300)}
    assert corners == set(labels[:4, :4].ravel().tolist())


def test_scale_moves_labels_with_the_picture(rng):
    """Away from the edge between two halves, picture and labels still say the same."""
    labels = np.zeros((40, 60), np.uint8)
    labels[:, 30:] = 4
    image = np.repeat(labels[:, :, None] * 50, 4, axis=2).astype(np.uint8)
    sizes = set()
    for _ in range(20):
        scaled, ids = RandomScale(0.5, 2.0)(image, labels, rng)
        assert set(np.unique(ids)) == {0, 4}
        assert (np.abs(scaled.astype(int) - 50 * ids[:, :, None].astype(int)) > 1).mean() < 0.1
        assert scaled.shape[0] / scaled.shape[1] == pytest.approx(40 / 60, rel=0.05)
        sizes.add(scaled.shape[0])
    assert min(sizes) < 30 < 50 < max(sizes)
    assert 20 <= min(sizes) <= max(sizes) <= 80


def test_scale_does_not_mix_depth_into_the_colours(rng):
    image = np.full((8, 8, 4), 200, np.uint8)
    image[:, :4, 3] = 0
    scaled, _ = RandomScale(1.7, 1.7)(image, np.zeros((8, 8), np.uint8), rng)
    assert (scaled[:, :, :3] == 200).all()


def test_jitter_changes_colours_only(rng):
    image, labels = coded(rng, 6, 7, channels=6)
    jittered, ids = ColourJitter(0.5)(image, labels, rng)
    assert ids is labels
    np.testing.assert_array_equal(jittered[:, :, 3:], image[:, :, 3:])
    assert not np.array_equal(jittered[:, :, :3], image[:, :, :3])
    np.testing.assert_array_equal(ColourJitter(0)(image, labels, rng)[0], image)


@pytest.mark.parametrize(
    "bad", [lambda: RandomCrop(0), lambda: RandomScale(2, 1), lambda: RandomScale(0, 1), lambda: ColourJitter(1.5)]
)
def test_senseless_settings_are_refused(bad):
    with pytest.raises(ValueError):
        bad()

"""Shapes: a scene depends only on its number; labels and depth tell what covers what; classes mean what they say."""

import colorsys
import itertools

import numpy as np
import pytest

from fcn_from_scratch.datasets import IGNORE, Shapes, count_ids, drawing


def same(a, b):
    return np.array_equal(a.image, b.image) and np.array_equal(a.labels, b.labels) and a.name == b.name


@pytest.mark.parametrize("classes_by", ["shape", "colour"])
@pytest.mark.parametrize("depth", [False, True])
def test_a_sample_is_an_image_labels_and_a_name(classes_by, depth):
    ds = Shapes(count=3, size=(33, 50), classes_by=classes_by, depth=depth)
    assert len(list(ds)) == len(ds) == 3
    assert ds.num_classes == len(ds.classes) == 6
    for image, labels, _ in ds:
        assert (image.shape, image.dtype) == ((33, 50, 3 + depth), np.uint8)
        assert (labels.shape, labels.dtype) == ((33, 50), np.uint8)
        assert set(np.unique(labels)) <= {*range(6), IGNORE}


def test_a_sample_follows_from_its_number_alone():
    few, many = Shapes(count=5), Shapes(count=5000)
    assert all(same(few[i], many[i]) for i in (4, 0, 2))
    assert same(many[-1], many[4999])
    assert not same(few[0], Shapes(seed=1)[0])


@pytest.mark.parametrize("index", [5, -6])
def test_no_sample_beyond_the_count(index):
    with pytest.raises(IndexError):
        Shapes(count=5)[index]


def test_the_splits_are_disjoint():
    scenes = [s.image.tobytes() for split in ("train", "val", "test") for s in Shapes(60, split=split)]
    assert len(set(scenes)) == 180


@pytest.mark.parametrize("classes_by", ["shape", "colour"])
def test_every_class_occurs_and_the_ground_is_most(classes_by):
    counts = count_ids(Shapes(150, classes_by=classes_by))
    share = counts / counts.sum()
    assert 0.6 < share[0] < 0.75
    assert share[1:6].min() > 0.02
    assert 0.04 < share[IGNORE] < 0.12
    assert counts[6:IGNORE].sum() == 0


def test_every_class_has_thin_and_small_parts():
    """Few of a string's, a rim's or an arm's pixels survive an 8x8 majority vote; large things do."""
    ds = Shapes(150, void_border=0)
    kept = np.zeros(6)
    for _, labels, _ in ds:
        cells = labels.reshape(8, 8, 8, 8).swapaxes(1, 2).reshape(64, 64)
        votes = np.array([np.bincount(cell, minlength=6).argmax() for cell in cells])
        kept += np.bincount(cells[cells == votes[:, None]], minlength=6)
    kept /= count_ids(ds)[:6]
    balloon, square, triangle, ring, cross = kept[1:]
    assert max(ring, cross) < 0.5 < min(square, triangle)
    assert ring < balloon < square


def test_scenes_are_painted_from_far_to_near():
    """At every pixel the nearest of the things there shows, in the labels and in the depth."""
    ds = Shapes(count=20, size=48, depth=True, void_border=0, noise=0)
    for index in range(len(ds)):
        image, labels, _ = ds[index]
        things = ds._scene(np.random.default_rng([ds.seed, 0, index]))
        covers = [drawing.coverage(t.kind, ds.size, t.centre, t.radius, t.angle) >= 128 for t in things]
        on_top = np.max([np.where(cover, place, 0) for place, cover in enumerate(covers, 1)], axis=0)
        np.testing.assert_array_equal(labels, np.array([0, *(t.label for t in things)])[on_top])
        depth = image[:, :, 3].astype(int)
        levels = [depth[on_top == place] for place in range(len(things) + 1)]
        levels = [level for level in levels if level.size]
        assert all(near.min() > far.max() for far, near in itertools.pairwise(levels))
        assert all(np.ptp(level) == 0 for level in levels[1:])


@pytest.mark.parametrize("kind", drawing.OUTLINES)
@pytest.mark.parametrize("radius", [3, 7, 20])
def test_an_outline_is_one_piece_within_its_reach(kind, radius):
    cover = drawing.coverage(kind, (64, 64), (32, 32), radius, angle=0.4) >= 128
    y, x = np.nonzero(cover)
    assert np.hypot(y + 0.5 - 32, x + 0.5 - 32).max() < drawing.REACH * radius + drawing.THINNEST
    piece = np.zeros_like(cover)
    piece[y[0], x[0]] = True
    for _ in range(cover.sum()):
        grown = piece.copy()
        for rows, columns in np.ndindex(3, 3):
            grown |= np.roll(piece, (rows - 1, columns - 1), (0, 1))
        if np.array_equal(grown & cover, piece):
            break
        piece = grown & cover
    np.testing.assert_array_equal(piece, cover)


def test_outlines_turn_anticlockwise():
    """An upright triangle's tip points up; after a quarter turn it points to the left."""
    upright, turned = (drawing.coverage("triangle", (60, 60), (30, 30), 20, a) for a in (0, np.pi / 2))
    assert np.count_nonzero(upright[:25]) < np.count_nonzero(upright[35:])
    assert np.abs(np.rot90(upright).astype(int) - turned).mean() < 3


def test_the_border_only_hides_labels():
    plain, thin, wide = (Shapes(10, void_border=border) for border in (0, 1, 3))
    for a, b, c in zip(plain, thin, wide):
        assert np.array_equal(a.image, b.image)
        assert not (a.labels == IGNORE).any()
        assert 0 < (b.labels == IGNORE).sum() < (c.labels == IGNORE).sum()
        for bordered in (b.labels, c.labels):
            kept = bordered != IGNORE
            np.testing.assert_array_equal(bordered[kept], a.labels[kept])


def hue_tells_the_class(ds):
    """How well the class of a thing's pixel is guessed from its hue alone, on scenes not used to learn it."""
    table = np.zeros((36, 6))
    right = total = 0
    for index, (image, labels, _) in enumerate(ds):
        thing = (labels > 0) & (labels < IGNORE)
        pixels, ids = image[thing][::7], labels[thing][::7]
        hues = [int(36 * colorsys.rgb_to_hsv(*pixel)[0]) % 36 for pixel in pixels.tolist()]
        if index < len(ds) // 2:
            np.add.at(table, (hues, ids), 1)
        else:
            right += (table[hues].argmax(axis=1) == ids).sum()
            total += len(ids)
    return right / total


def test_colour_is_the_class_or_says_nothing():
    assert hue_tells_the_class(Shapes(120, classes_by="colour")) > 0.95
    assert hue_tells_the_class(Shapes(120, classes_by="shape")) < 0.45


def test_smooth_edges_leave_the_labels_alone():
    for smooth, hard in zip(Shapes(5, noise=0), Shapes(5, noise=0, antialias=False)):
        np.testing.assert_array_equal(smooth.labels, hard.labels)
        assert not np.array_equal(smooth.image, hard.image)


def test_an_elongated_picture_keeps_its_ground():
    counts = count_ids(Shapes(60, size=(40, 160)))
    assert 0.5 < counts[0] / counts.sum() < 0.8


@pytest.mark.parametrize(
    "options",
    [
        {"count": 0},
        {"count": 1.5},
        {"size": 8},
        {"size": (64,)},
        {"seed": -1},
        {"split": "all"},
        {"classes_by": "size"},
        {"void_border": -1},
    ],
)
def test_bad_arguments_are_named(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        Shapes(**options)


def test_the_number_of_things_can_be_fixed():
    assert not any(sample.labels.any() for sample in Shapes(5, things=0))
    alone = [set(np.unique(sample.labels)) - {0, IGNORE} for sample in Shapes(40, things=1)]
    assert {len(classes) for classes in alone} == {1}
    assert set.union(*alone) == {1, 2, 3, 4, 5}

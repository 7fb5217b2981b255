"""Stripes: the class is the distance between a square's stripes, and nothing else tells it."""

import numpy as np
import pytest

from fcn_from_scratch.datasets import IGNORE, Stripes, count_ids, drawing
from fcn_from_scratch.datasets.stripes import SPACINGS, WIDTH

CLEAN = {"noise": 0.0, "antialias": False, "void_border": 0}


def test_a_sample_follows_from_its_number_alone():
    few, many = Stripes(count=3, size=(40, 56)), Stripes(count=500, size=(40, 56))
    for i in (2, 0):
        assert np.array_equal(few[i].image, many[i].image)
        assert np.array_equal(few[i].labels, many[i].labels)
    assert few[0].image.shape == (40, 56, 3)
    assert not np.array_equal(few[0].image, Stripes(count=3, size=(40, 56), split="val")[0].image)


def test_classes_occur_and_nothing_else():
    ds = Stripes(60)
    counts = count_ids(ds)
    assert ds.classes == ("background", "10 apart", "16 apart")
    assert counts[3:IGNORE].sum() == 0
    assert counts[:3].min() > 0.15 * counts.sum()


def test_without_things_there_is_ground_alone():
    image, labels, _ = Stripes(1, things=0, **CLEAN)[0]
    assert not labels.any()
    assert len(np.unique(image)) == 2


def test_a_scene_has_two_grey_tones():
    for image, _, _ in Stripes(20, **CLEAN):
        assert (image == image[:, :, :1]).all()
        dark, light = np.unique(image)
        assert dark <= 90
        assert light >= 165


def stripe_share(ds, label):
    """The share of a class's pixels that lie on a stripe, over all scenes. Stripes have the rarer tone of a square."""
    on, all_of_it = 0, 0
    for image, labels, _ in ds:
        inside = image[:, :, 0][labels == label]
        if inside.size > 400:
            rarer = np.unique(inside, return_counts=True)[1].min()
            on, all_of_it = on + rarer, all_of_it + inside.size
    return on / all_of_it


@pytest.mark.parametrize("label", [1, 2])
def test_the_class_is_the_distance_of_the_stripes(label):
    assert abs(stripe_share(Stripes(100, things=1, **CLEAN), label) - WIDTH / SPACINGS[label]) < 0.02


def test_grey_tells_no_class():
    """Dark stripes on light ground are as frequent as the reverse, so all classes have the same mean grey."""
    images = [(image[:, :, 0], labels) for image, labels, _ in Stripes(400, **CLEAN)]
    means = []
    for label in range(3):
        seen = [image[labels == label].mean() for image, labels in images if (labels == label).any()]
        means.append(np.mean(seen))
    assert max(means) - min(means) < 12


def test_stripes_have_the_width_and_the_spacing():
    """Across: a stripe of `width`, then a gap. Counted on the longest line, in all directions."""
    shares = [drawing.stripes(np.random.default_rng(i), (90, 80), 12, 3).mean() for i in range(50)]
    assert abs(np.mean(shares) - 3 / 12) < 0.01
    assert np.ptp(shares) < 0.08
    columns = drawing.stripes(_Upright(), (2, 36), 12, 3)[0]
    assert columns.tolist() == ([1] * 3 + [0] * 9) * 3


class _Upright:
    """A generator whose numbers are zero: stripes stand upright and begin at the left edge."""

    def uniform(self, low, high):
        return 0.0

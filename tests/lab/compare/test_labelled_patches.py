"""Patches: where they are cut, their labels, and how often each class is drawn."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fcn_from_scratch.checks import InputError
from fcn_from_scratch.datasets import Dataset, Sample
from fcn_from_scratch.lab.compare.labelled_patches import PatchBatches, cut


class Row(Dataset):
    """Pictures whose blue channel is the label. Class 2 is one pixel of 60."""

    classes = ("a", "b", "c")

    def __init__(self, ids):
        self.ids = np.array(ids, np.uint8)

    def __len__(self):
        return 1

    def __getitem__(self, index):
        return Sample(np.repeat(self.ids[:, :, None], 3, axis=2), self.ids, "one")


def as_it_is(image):
    return image.transpose(2, 0, 1).astype(np.float32)


@given(st.data())
def test_a_patch_is_a_window_of_the_framed_image(data):
    h, w, size = (data.draw(st.integers(1, 9)) for _ in range(3))
    middle = data.draw(st.integers(0, h - 1)), data.draw(st.integers(0, w - 1))
    x = np.arange(1.0, 1 + 2 * h * w).reshape(2, h, w)
    framed = np.pad(x, ((0, 0), (size, size), (size, size)))
    top, left = (place + size - size // 2 for place in middle)
    np.testing.assert_array_equal(cut(x, middle, size), framed[:, top : top + size, left : left + size])


def test_the_label_is_that_of_the_middle_pixel():
    ids = np.full((6, 10), 255)
    ids[1:4, 2:7], ids[5, 9], ids[0, 0] = 1, 2, 0
    x, labels = next(PatchBatches(Row(ids), 50, 5, as_it_is, seed=3))
    assert x.shape == (50, 3, 5, 5)
    assert x.dtype == np.float32
    assert labels.shape == (50, 1, 1)
    assert labels.dtype == np.int64
    np.testing.assert_array_equal(x[:, 0, 2, 2], labels[:, 0, 0])


def test_rare_classes_come_as_often_as_common_ones():
    ids = np.zeros((6, 10))
    ids[2, 3], ids[4:, 5:] = 2, 255
    _, labels = next(PatchBatches(Row(ids), 400, 3, as_it_is))
    assert set(np.unique(labels)) == {0, 2}
    assert 150 < (labels == 2).sum() < 250


def test_a_run_repeats(train):
    first, again, other = (PatchBatches(train, 3, 8, as_it_is, seed=seed) for seed in (0, 0, 1))
    a, b, c = (next(batches)[0] for batches in (first, again, other))
    np.testing.assert_array_equal(a, b)
    assert not np.array_equal(a, c)
    assert first.state_dict() == again.state_dict() != other.state_dict()


def test_pictures_without_a_label_are_refused():
    with pytest.raises(InputError, match="ignored"):
        next(PatchBatches(Row(np.full((4, 4), 255)), 1, 3, as_it_is))

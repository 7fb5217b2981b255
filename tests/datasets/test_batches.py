"""Batches: padding is ignored, each epoch visits every sample once, and a resumed run repeats bit for bit."""

import itertools
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fcn_from_scratch.checks import InputError
from fcn_from_scratch.datasets import (
    Batches,
    ColourJitter,
    Compose,
    Preprocess,
    RandomCrop,
    RandomFlip,
    Sample,
    Shapes,
    collate,
    epoch,
)


class Numbered:
    """A dataset whose sample i is a picture full of i."""

    def __init__(self, count):
        self.count = count

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        return Sample(np.full((2, 3, 3), index, np.uint8), np.full((2, 3), index, np.uint8), str(index))


def take(batches, number):
    return list(itertools.islice(batches, number))


def visited(batches, number):
    """The samples in each of the next batches."""
    return [labels[:, 0, 0].tolist() for _, labels in take(batches, number)]


def joined(lists):
    return list(itertools.chain.from_iterable(lists))


def numbered(count, batch_size, **options):
    return Batches(Numbered(count), batch_size, Preprocess(), **options)


# --- collate --------------------------------------------------------------------------------------------------

sizes = st.lists(st.tuples(st.integers(1, 6), st.integers(1, 6)), min_size=1, max_size=4)


@given(sizes, st.integers(1, 4))
def test_smaller_pictures_are_padded_with_the_mean_and_ignore(sizes, channels):
    rng = np.random.default_rng(0)
    images = [rng.standard_normal((channels, *size)).astype(np.float32) for size in sizes]
    labels = [rng.integers(21, size=size).astype(np.uint8) for size in sizes]
    x, y = collate(images, labels)
    height, width = max(h for h, _ in sizes), max(w for _, w in sizes)
    assert (x.shape, x.dtype) == ((len(sizes), channels, height, width), np.float32)
    assert (y.shape, y.dtype) == ((len(sizes), height, width), np.int64)
    for n, (h, w) in enumerate(sizes):
        np.testing.assert_array_equal(x[n, :, :h, :w], images[n])
        np.testing.assert_array_equal(y[n, :h, :w], labels[n])
        assert np.count_nonzero(x[n, :, h:]) == np.count_nonzero(x[n, :, :, w:]) == 0
        assert (y[n, h:] == 255).all()
        assert (y[n, :, w:] == 255).all()


@given(sizes, st.integers(1, 3))
def test_several_label_maps_are_padded_each(sizes, maps):
    """As if each were a batch of its own."""
    rng = np.random.default_rng(0)
    images = [rng.standard_normal((3, *size)).astype(np.float32) for size in sizes]
    labels = [rng.integers(21, size=(maps, *size)).astype(np.uint8) for size in sizes]
    x, y = collate(images, labels)
    assert y.shape == (len(sizes), maps, *x.shape[2:])
    for number in range(maps):
        alone_x, alone_y = collate(images, [ids[number] for ids in labels])
        np.testing.assert_array_equal(y[:, number], alone_y)
        np.testing.assert_array_equal(x, alone_x)


def test_channels_are_last_in_memory():
    x, _ = collate([np.zeros((3, 4, 5), np.float32)] * 2, [np.zeros((4, 5), int)] * 2)
    assert x.transpose(0, 2, 3, 1).flags.c_contiguous


def test_what_does_not_fit_is_refused():
    image, labels = np.zeros((3, 4, 5), np.float32), np.zeros((4, 5), int)
    with pytest.raises(ValueError, match="at least one image"):
        collate([], [])
    with pytest.raises(ValueError, match="at least one image"):
        collate([image, image], [labels])
    with pytest.raises(ValueError, match="equal channels"):
        collate([image, image[:2]], [labels, labels])
    with pytest.raises(ValueError, match="labels"):
        collate([image], [labels.T])
    with pytest.raises(ValueError, match="labels"):
        collate([image, image], [labels, labels[None]])
    with pytest.raises(ValueError, match="labels"):
        collate([image, image], [np.stack([labels] * 2), labels[None]])


# --- order ----------------------------------------------------------------------------------------------------


def test_an_epoch_visits_everything_once_in_a_new_order():
    batches = numbered(10, 3)
    assert len(batches) == 4
    epochs = [joined(visited(batches, 4)) for _ in range(3)]
    assert all(sorted(order) == list(range(10)) for order in epochs)
    assert len({tuple(order) for order in epochs}) == 3
    assert visited(numbered(10, 3, seed=1), 4) != visited(numbered(10, 3), 4)


def test_without_shuffling_the_order_is_the_datasets():
    assert visited(numbered(5, 2, shuffle=None), 4) == [[0, 1], [2, 3], [4], [0, 1]]
    assert visited(numbered(5, 2, shuffle=None, drop_last=True), 3) == [[0, 1], [2, 3], [0, 1]]


def test_with_replacement_every_draw_is_from_all():
    """Full batches, each sample equally often in the long run, some twice in what would be one epoch."""
    drawn = visited(numbered(10, 4, shuffle="replacement"), 750)
    assert all(len(batch) == 4 for batch in drawn)
    counts = np.bincount(joined(drawn), minlength=10)
    assert np.abs(counts - 300).max() < 5 * np.sqrt(300)
    assert len(set(joined(drawn[:3]))) < 10


def test_a_batch_is_preprocessed():
    x, labels = next(numbered(3, 2, shuffle=None))
    np.testing.assert_array_equal(x[1], Preprocess()(Numbered(3)[1].image))
    assert labels.shape == (2, 2, 3)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"batch_size": 0}, "batch_size"),
        ({"batch_size": 4, "drop_last": True}, "larger than the dataset"),
        ({"batch_size": 2, "shuffle": "random"}, "shuffle"),
        ({"batch_size": 2, "seed": -1}, "seed"),
    ],
)
def test_bad_arguments_are_named(options, complaint):
    with pytest.raises(ValueError, match=complaint):
        numbered(3, **options)


def test_epoch_gives_everything_in_order_with_names():
    seen = list(epoch(Numbered(5), 2, Preprocess()))
    assert [names for _, _, names in seen] == [("0", "1"), ("2", "3"), ("4",)]
    assert [len(x) for x, _, _ in seen] == [2, 2, 1]
    assert [labels[:, 0, 0].tolist() for _, labels, _ in seen] == [[0, 1], [2, 3], [4]]


# --- resuming -------------------------------------------------------------------------------------------------


def training_batches(shuffle="epoch", seed=5, count=10):
    augment = Compose((RandomCrop(24), RandomFlip(), ColourJitter()))
    return Batches(Shapes(count, size=32), 3, Preprocess(), augment, seed, shuffle)


@pytest.mark.parametrize("shuffle", ["epoch", "replacement", None])
@pytest.mark.parametrize("done", [0, 3, 4, 7])
def test_a_resumed_run_draws_the_same_bits(shuffle, done):
    run = training_batches(shuffle)
    take(run, done)
    state = json.loads(json.dumps(run.state_dict()))
    expected = take(run, 7)
    resumed = training_batches(shuffle, seed=99)
    take(resumed, 2)
    resumed.load_state_dict(state)
    for (x, labels), (want_x, want_labels) in zip(take(resumed, 7), expected):
        np.testing.assert_array_equal(x, want_x)
        np.testing.assert_array_equal(labels, want_labels)


def test_augmentation_differs_between_epochs_and_samples():
    run = Batches(Shapes(1, size=32), 1, Preprocess(), ColourJitter(), shuffle=None)
    assert len({x.tobytes() for x, _ in take(run, 5)}) == 5


@pytest.mark.parametrize(
    ("other", "complaint"),
    [
        ({"count": 11}, "samples = 10, these have 11"),
        ({"shuffle": None}, "shuffle = 'epoch', these have None"),
    ],
)
def test_the_state_of_another_run_is_refused(other, complaint):
    state = training_batches().state_dict()
    with pytest.raises(InputError, match=complaint):
        training_batches(**other).load_state_dict(state)


@pytest.mark.parametrize("damage", [{"epoch": "two"}, {"position": -1}, {"batch_size": None}, {"seed": None}])
def test_a_damaged_state_is_refused(damage):
    run = training_batches()
    with pytest.raises(ValueError, match=next(iter(damage))):
        run.load_state_dict({**run.state_dict(), **damage})

"""Patchwise training: masks that sample the loss, the labels of cells, and the patches that cells stand for."""

from itertools import product

import numpy as np
import pytest
from arrays import close, refuses
from hypothesis import given
from hypothesis import strategies as st

from fcn_from_scratch import geometry, models
from fcn_from_scratch.backend import to_numpy
from fcn_from_scratch.dense import cell_mask, labels_at_cells, patches, pixel_mask
from fcn_from_scratch.layers import AvgPool2d, BilinearUpsample, Conv2d, Crop, MaxPool2d, ReLU, Sequential
from fcn_from_scratch.ops import softmax_cross_entropy


def unpadded(rng):
    """Field 9x8, stride 4x2, over two channels: the axes differ."""
    options = {"rng": rng, "dtype": np.float64}
    return Sequential(
        Conv2d(2, 5, (2, 3), stride=(2, 1), name="conv1", **options),
        ReLU(),
        MaxPool2d((2, 2), (2, 2)),
        Conv2d(5, 4, (2, 3), name="conv2", **options),
    )


def gradients(net, x, labels, mask=None, reduction="sum"):
    loss, dscores = softmax_cross_entropy(net(x), labels, reduction=reduction, mask=mask)
    net.zero_grad()
    net.backward_params(dscores)
    return loss, {name: gradient.copy() for name, gradient in net.grads.items()}


@pytest.fixture
def scene(rng):
    """(net, its field, images, labels at the cells, 255 among them)."""
    net = unpadded(rng)
    x = rng.normal(size=(2, 2, 27, 19))
    labels = rng.integers(0, 4, (2, 27, 19))
    labels[0, 3:8] = 255
    field = geometry.receptive_field(net)
    return net, field, x, labels_at_cells(labels, field, net(x).shape[2:])


# --- patches are loss sampling ------------------------------------------------------------------------------------


@pytest.mark.parametrize("keep", [0.2, 0.6, 1])
def test_patch_gradients_add_up_to_the_masked_whole_image_gradient(scene, rng, keep):
    net, field, x, labels = scene
    mask = pixel_mask(labels.shape, keep, rng)
    loss, whole = gradients(net, x, labels, mask)
    total, added = 0, dict.fromkeys(whole, 0)
    for patch, label in zip(patches(x, field, mask), labels[mask]):
        one, parts = gradients(net, patch[None], label.reshape(1, 1, 1))
        total += one
        added = {name: added[name] + parts[name] for name in parts}
    assert abs(total - loss) <= 1e-12 * loss
    for name in whole:
        assert np.abs(whole[name]).max() > 0.1
        close(added[name], whole[name], 1e-12)


def test_all_patches_as_one_batch_give_the_mean_too(scene, rng):
    """One batch divides by the number of patches, the masked image by the number of kept cells: the same number."""
    net, field, x, labels = scene
    mask = pixel_mask(labels.shape, 0.5, rng)
    _, whole = gradients(net, x, labels, mask, "mean")
    _, batch = gradients(net, patches(x, field, mask), labels[mask][:, None, None], reduction="mean")
    for name in whole:
        close(batch[name], whole[name], 1e-12)


def test_means_of_patches_are_not_the_mean_of_the_image(scene, rng):
    net, field, x, labels = scene
    mask = pixel_mask(labels.shape, 0.5, rng)
    _, whole = gradients(net, x, labels, mask, "mean")
    pairs = zip(patches(x, field, mask), labels[mask])
    added = sum(gradients(net, p[None], label.reshape(1, 1, 1), None, "mean")[1]["conv2.bias"] for p, label in pairs)
    assert np.abs(added - whole["conv2.bias"]).max() > 0.1


def test_a_patch_is_what_its_cell_sees(scene):
    net, field, x, _ = scene
    scores = net(x)
    every = net(patches(x, field))
    close(every[:, :, 0, 0], scores.transpose(0, 2, 3, 1).reshape(-1, 4), 1e-12)
    assert every.shape == (scores[:, 0].size, 4, 1, 1)


@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), st.integers(0, 5))
def test_patches_by_their_definition(kernel_size, second, stride, more):
    net = [AvgPool2d(kernel_size, stride), AvgPool2d((second, 1), 1)]
    field = geometry.receptive_field(net)
    height, width = (int(axis.size) for axis in field.axes)
    x = np.arange(2 * 3 * (height + more) * (width + more + 1.0)).reshape(2, 3, height + more, width + more + 1)
    rows, columns = more // stride + 1, (more + 1) // stride + 1
    expected = [
        x[n, :, stride * i : stride * i + height, stride * j : stride * j + width]
        for n, i, j in product(range(2), range(rows), range(columns))
    ]
    np.testing.assert_array_equal(patches(x, field), expected)


def test_a_crop_in_the_net_moves_the_patches(rng):
    net = [Conv2d(1, 1, 3, dtype=np.float64, rng=rng), Crop((2, 1), (3, 4))]
    x, field = rng.normal(size=(1, 1, 9, 9)), geometry.receptive_field(net)
    cut = patches(x, field, np.ones((1, 3, 4), bool))
    np.testing.assert_array_equal(cut[0], x[0, :, 2:5, 1:4])
    np.testing.assert_array_equal(cut[-1], x[0, :, 4:7, 4:7])


# --- masks --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_masking_is_unbiased(scene, rng, reduction):
    """The sum divided by keep, and the mean over what is kept. Each number within five standard errors."""
    net, _, x, labels = scene
    scores, keep = net(x), 0.3
    _, whole = softmax_cross_entropy(scores, labels, reduction=reduction)
    scale = keep if reduction == "sum" else 1
    draws = []
    for _ in range(2000):
        mask = pixel_mask(labels.shape, keep, rng)
        draws.append(softmax_cross_entropy(scores, labels, reduction=reduction, mask=mask)[1] / scale)
    error = np.std(draws, axis=0) / np.sqrt(len(draws))
    assert (np.abs(np.mean(draws, axis=0) - whole) <= 5 * error + 1e-15).all()
    assert error.max() < np.abs(whole).max() / 10


@pytest.mark.parametrize("keep", [0.05, 0.5, 0.9])
def test_pixels_are_kept_with_the_probability_and_alone(rng, keep):
    mask = pixel_mask((4, 100, 100), keep, rng)
    tolerance = 5 * np.sqrt(keep * (1 - keep) / mask.size)
    assert abs(mask.mean() - keep) < tolerance
    centred = mask - keep
    for axis in range(3):
        neighbours = (np.diff(mask, axis=axis) == 0).mean()
        assert abs(neighbours - (keep**2 + (1 - keep) ** 2)) < 10 * tolerance
    assert abs((centred[0] * centred[1]).mean()) < 10 * tolerance


def test_keep_one_keeps_everything(rng):
    assert pixel_mask((2, 3), 1, rng).all()
    assert cell_mask((1, 9, 8), geometry.receptive_field(Conv2d(1, 1, 3, 2)), 1, rng).all()


def test_pixels_of_a_cell_share_its_coin():
    """Field 3, stride 2, start 1: pixel 0 lies half way between cell -1 and cell 0 and goes with cell 0."""
    field = geometry.receptive_field(MaxPool2d((3, 4), (2, 4)))
    assert field.start == (1, 1.5)
    for seed in range(20):
        mask = cell_mask((3, 7, 12), field, 0.5, np.random.default_rng(seed))
        coins = np.random.default_rng(seed).random((3, 4, 3)) < 0.5
        rows, columns = [0, 0, 1, 1, 2, 2, 3], [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2]
        np.testing.assert_array_equal(mask, coins[:, rows][:, :, columns])


def test_cells_of_a_padded_net_cover_the_image():
    net = models.build("mini_fcn32s", 3, width=2, fc6_kernel=2)
    field = geometry.receptive_field(net)
    mask = cell_mask((1, 100, 70), field, 0.5, np.random.default_rng(3))
    start, stride = field.start, field.stride
    blocks = [np.floor((np.arange(n) - start) / stride + 0.5).astype(int) for n in (100, 70)]
    for i, j in product(*(np.unique(block) for block in blocks)):
        cell = mask[0][blocks[0] == i][:, blocks[1] == j]
        assert cell.all() or not cell.any()
    assert mask.any()
    assert not mask.all()


def test_on_a_grid_of_pixels_both_schemes_are_one():
    a, b = (np.random.default_rng(1) for _ in range(2))
    by_cell = cell_mask((2, 5, 6), geometry.IMAGE, 0.4, a)
    np.testing.assert_array_equal(by_cell, pixel_mask((2, 5, 6), 0.4, b))


def test_chance_comes_from_the_argument_only():
    field = geometry.receptive_field(MaxPool2d(2))
    for draw in (lambda rng: pixel_mask((2, 9, 9), 0.5, rng), lambda rng: cell_mask((2, 9, 9), field, 0.5, rng)):
        np.random.seed(0)  # noqa: NPY002
        before = np.random.get_state()[1].copy()  # noqa: NPY002
        rng = np.random.default_rng(7)
        first, second = draw(rng), draw(rng)
        np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002
        np.testing.assert_array_equal(first, draw(np.random.default_rng(7)))
        assert (first != second).any()


# --- labels of cells ----------------------------------------------------------------------------------------------


def test_labels_stand_at_the_centres():
    labels = np.arange(2 * 9 * 11).reshape(2, 9, 11)
    odd = geometry.receptive_field(Conv2d(1, 1, 3, 2))
    np.testing.assert_array_equal(labels_at_cells(labels, odd, (4, 5)), labels[:, 1:9:2, 1:11:2])
    even = geometry.receptive_field(MaxPool2d((4, 2), (3, 2)))  # centres 1.5 + 3i and 0.5 + 2j
    np.testing.assert_array_equal(labels_at_cells(labels, even, (2, 5)), labels[:, 1:5:3, 0:10:2])


def test_on_either_device(xp, rng):
    """Images and labels stay where they are; masks come from the host."""
    field = geometry.receptive_field(MaxPool2d(3, 2))
    x, labels = rng.normal(size=(2, 3, 9, 8)), rng.integers(0, 4, (2, 9, 8))
    mask = pixel_mask((2, 4, 3), 0.5, rng)
    cut, coarse = patches(xp.asarray(x), field, mask), labels_at_cells(xp.asarray(labels), field, (4, 3))
    assert isinstance(cut, xp.ndarray)
    assert isinstance(coarse, xp.ndarray)
    np.testing.assert_array_equal(to_numpy(cut), patches(x, field, mask))
    np.testing.assert_array_equal(to_numpy(coarse), labels[:, 1:9:2, 1:7:2])
    np.testing.assert_array_equal(to_numpy(patches(xp.asarray(x), field, xp.asarray(mask))), to_numpy(cut))


def test_labels_keep_dtype_and_void():
    labels = np.full((1, 6, 6), 255, np.uint8)
    coarse = labels_at_cells(labels, geometry.receptive_field(MaxPool2d(2)), 3)
    assert coarse.dtype == np.uint8
    assert (coarse == 255).all()


# --- wrong arguments ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("keep", [0, -0.1, 1.01, np.nan])
def test_keep_is_a_probability(rng, keep):
    with refuses("keep must be a probability above 0", "got"):
        pixel_mask((2, 2), keep, rng)


@pytest.mark.parametrize("bad", [0, None, np.random])
def test_rng_is_a_generator(bad):
    with refuses("rng must be a numpy Generator", "default_rng"):
        pixel_mask((2, 2), 0.5, bad)


@pytest.mark.parametrize("shape", [(), (2, 0), (2, 1.5), 7])
def test_masks_have_a_shape(rng, shape):
    with refuses("shape", "got"):
        pixel_mask(shape, 0.5, rng)


def test_cell_masks_have_three_axes(rng):
    with refuses("(N, H, W)", "(4, 4)"):
        cell_mask((4, 4), geometry.IMAGE, 0.5, rng)


def test_labels_must_reach_all_cells():
    field = geometry.receptive_field(Conv2d(1, 1, 3, 2))
    labels = np.zeros((1, 9, 9), int)
    with refuses("5 cells", "pixels 1 to 9", "end at 8", "padded"):
        labels_at_cells(labels, field, (5, 4))
    with refuses("pixels -1 to"):
        labels_at_cells(labels, geometry.receptive_field(Conv2d(1, 1, 3, padding=2)), 3)
    with refuses("(N, H, W)"):
        labels_at_cells(labels[0], field, 2)
    with refuses("integers"):
        labels_at_cells(labels.astype(float), field, 2)


def test_patches_refuse_padding_and_upsampling():
    x = np.zeros((1, 1, 12, 12))
    with refuses("begins 1 pixels before the image", "the net pads", "only an unpadded net"):
        patches(x, geometry.receptive_field(Conv2d(1, 1, 3, padding=1)))
    with refuses("before upsampling"):
        patches(x, geometry.receptive_field([MaxPool2d(3), BilinearUpsample(4, 2)]))


def test_patches_refuse_what_does_not_fit():
    x, field = np.zeros((2, 1, 7, 8)), geometry.receptive_field(MaxPool2d(3, 2))  # 3x3 cells
    assert patches(x, field).shape == (18, 1, 3, 3)
    with refuses("5x8", "no whole field", "size=6"):
        patches(x[:, :, :5], geometry.receptive_field(MaxPool2d(6)))
    with refuses("(2, 3, 3) at most", "(2, 3, 4)"):
        patches(x, field, np.ones((2, 3, 4), bool))
    with refuses("(2, 3, 3) at most", "(1, 3, 3)"):
        patches(x, field, np.ones((1, 3, 3), bool))
    with refuses("True or False", "float64"):
        patches(x, field, np.ones((2, 3, 3)))
    with refuses("keeps no cell"):
        patches(x, field, np.zeros((2, 3, 3), bool))
    with refuses("(N, C, H, W)"):
        patches(x[0], field)

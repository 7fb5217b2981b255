"""Tiles of a large picture give the scores of the whole picture."""

import numpy as np
import pytest

import fcn_from_scratch
from fcn_from_scratch import geometry, layers, models
from fcn_from_scratch.checks import InputError
from fcn_from_scratch.dense import TiledPredictor
from fcn_from_scratch.dense.tiles import untouched
from fcn_from_scratch.layers import Conv2d, Linear, Sequential

LOCAL = [name for name in models.NAMES if name.startswith("mini") and "classifier" not in name]

PAPER = {"pad": 100, "fc6_kernel": 7, "fc6_padding": 0}  # the paper pads the picture, not the maps


def network(name="mini_fcn8s", dtype=np.float32, **options):
    """A network in eval mode with random scores and biases: a zero of the padding is then told from a real pixel."""
    channels = {} if "late_fusion" in name else {"width": 4}
    model, rng = models.build(name, 3, seed=0, dtype=dtype, **channels, **options), np.random.default_rng(1)
    for key, array in model.params.items():
        if key.startswith("score") or key.endswith("bias"):
            array[...] = rng.normal(0, 0.3, array.shape)
    return model.eval()


def pictures(model, *size, count=1, seed=2):
    channels = geometry.map_sizes(model, 64)["image"].channels
    first = next(iter(model.params.values()))
    return np.random.default_rng(seed).normal(size=(count, channels, *size)).astype(first.dtype)


def close(found, expected):
    """Within rounding: 2e-5 of the largest score in float32, 1e-10 in float64."""
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    bound = 1e-10 if expected.dtype == np.float64 else 2e-5
    assert np.abs(found - expected).max() <= bound * np.abs(expected).max()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["mini_fcn32s", "mini_fcn16s", "mini_fcn8s"])
@pytest.mark.parametrize("size", [(397, 301), (256, 511), (225, 224)])
def test_tiles_give_the_whole_pictures_scores(name, size, dtype):
    model = network(name, dtype)
    predictor, x = TiledPredictor(model, 224), pictures(model, *size)
    assert len(predictor.plan(size)) > 1
    close(predictor(x), model(x))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["mini_fcn32s", "mini_fcn16s", "mini_fcn8s"])
@pytest.mark.parametrize("size", [(450, 401), (32, 700), (321, 320)])
def test_the_papers_padding(name, size, dtype):
    model = network(name, dtype, **PAPER)
    predictor, x = TiledPredictor(model, 320), pictures(model, *size)
    assert len(predictor.plan(size)) > 1
    assert predictor.margin == (100, 100)
    close(predictor(x), model(x))


@pytest.mark.parametrize("name", LOCAL)
def test_every_network_of_windows(name):
    model = network(name, np.float64)
    x = pictures(model, 330, 290)
    found, expected = TiledPredictor(model, 288)(x), model(x)
    if not isinstance(expected, tuple):
        found, expected = (found,), (expected,)
    assert len(found) == len(expected)
    for part, whole in zip(found, expected):
        close(part, whole)


@pytest.mark.parametrize("options", [{"upsampling": "all_learned"}, {"upsampling": "nearest"}, {"pad": 81}])
def test_other_forms_of_a_network(options):
    model = network("mini_fcn16s", np.float64, **options)
    x = pictures(model, 401, 260)
    close(TiledPredictor(model, 352 if "pad" in options else 224)(x), model(x))


@pytest.mark.parametrize("name", ["fcn_alexnet", "fcn_googlenet"])
def test_trunks_with_other_pools(name):
    """Windows of 3x3 that overlap, strides of four, and several branches."""
    model = models.build(name, 3, seed=0, dtype=np.float64, width=4).eval()
    for key, array in model.params.items():
        if key.startswith("score"):
            array[...] = np.random.default_rng(1).normal(size=array.shape)
    size = 480 if name == "fcn_alexnet" else 864
    x = pictures(model, size + 70, 40)
    close(TiledPredictor(model, size)(x), model(x))


@pytest.mark.parametrize("size", [(1, 1), (37, 61), (224, 224)])
def test_a_picture_smaller_than_a_tile_is_one_tile(size):
    model = network()
    x = pictures(model, *size)
    predictor = TiledPredictor(model, 224)
    assert [tile.read for tile in predictor.plan(size)] == [tuple(slice(0, n) for n in size)]
    np.testing.assert_array_equal(predictor(x), model(x))
    assert predictor.work(size) == 1


def test_a_batch_and_another_memory_layout():
    model = network(dtype=np.float64)
    x = pictures(model, 300, 260, count=3)
    assert not np.array_equal(x[0], x[1])
    expected = model(x)
    close(TiledPredictor(model, 224)(x), expected)
    close(TiledPredictor(model, 224)(np.asfortranarray(x)), expected)


@pytest.mark.parametrize("size", [(1, 700), (223, 224), (225, 449), (640, 1000)])
def test_every_pixel_is_kept_once_and_no_tile_is_too_large(size):
    predictor, count = TiledPredictor(network(), 224), np.zeros(size, int)
    for tile in predictor.plan(size):
        count[tile.keep] += 1
        assert max(tile.size) <= 224
        assert all(read.start % 32 == 0 for read in tile.read)
        assert all(r.start <= k.start < k.stop <= r.stop for r, k in zip(tile.read, tile.keep))
    assert (count == 1).all()


@pytest.mark.parametrize("name", LOCAL)
def test_untouched_is_exact(name):
    """In a tile cut out of a picture the scores of this range are the picture's, and those around it are not."""
    model, start, size = network(name, np.float64), 160, 320
    x = pictures(model, 640, 32)
    whole, tile = model(x), model(x[:, :, start : start + size])
    whole, tile = (found[0] if isinstance(found, tuple) else found for found in (whole, tile))
    wrong = np.abs(tile - whole[:, :, start : start + size]).max(axis=(0, 1, 3)) > 1e-10
    first, end = untouched(model, size, before=True, behind=True)
    assert not wrong[first:end].any()
    slack = 4 if "unpool" not in name else 64  # a maximum often stays the same
    assert wrong[first - slack : first].any()
    assert wrong[end : end + slack].any()


@pytest.mark.parametrize("name", ["mini_fcn32s", "mini_fcn16s", "mini_fcn8s"])
def test_untouched_is_exact_with_pixels_around_the_tile(name):
    model, start, size, pad = network(name, np.float64, **PAPER), 320, 480, 100
    x = pictures(model, 1120, 32)
    window = np.pad(x[:, :, start - pad : start + size + pad], ((0, 0), (0, 0), (0, 0), (pad, pad)))
    part = model.on_window(window, (size, 32))
    wrong = np.abs(part - model(x)[:, :, start : start + size]).max(axis=(0, 1, 3)) > 1e-10
    first, end = untouched(model, size, before=True, behind=True, margin=pad)
    assert not wrong[first:end].any()
    assert wrong[first - 4 : first].any()
    assert wrong[end : end + 4].any()
    alone = untouched(model, size, before=True, behind=True)
    assert end - first >= alone[1] - alone[0] + 192  # 100 pixels are three cells of 32 pixels on each side


def test_a_window_with_a_border_of_zeros_is_forward():
    model = network(dtype=np.float64, **PAPER)
    x = pictures(model, 50, 70)
    window = np.pad(x, ((0, 0), (0, 0), (100, 100), (100, 100)))
    close(model.on_window(window, (50, 70)), model(x))
    with fcn_from_scratch.plain():
        close(model.on_window(window, (50, 70)), model(x))


def test_a_forward_of_ones_own_is_called():
    """A subclass may compute something else: on_window would pass it by."""

    class Doubled(models.FCN):
        def forward(self, x):
            return 2 * super().forward(x)

    model = network(dtype=np.float64)
    x, expected = pictures(model, 300, 40), 2 * model(pictures(model, 300, 40))
    model.__class__ = Doubled
    close(TiledPredictor(model, 256)(x), expected)


def test_a_side_of_the_picture_has_no_wrong_scores():
    model = network()
    assert untouched(model, 320) == (0, 320)
    assert untouched(model, 320, before=True)[1] == 320
    assert untouched(model, 320, behind=True)[0] == 0


def test_the_work_is_counted():
    """Four tiles that read all of a picture of twice their size would do its work once, with the padding more often."""
    model = network()
    predictor, size = TiledPredictor(model, 256), (400, 256)
    cost = {tile.size: geometry.table(model, tile.size).multiply_adds for tile in predictor.plan(size)}
    total = sum(cost[tile.size] for tile in predictor.plan(size))
    assert predictor.work(size) == total / geometry.table(model, size).multiply_adds > 1


class Strange(layers.Layer):
    """A layer that does not say what it reads."""

    def _forward(self, x):
        return x, ()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: models.build("mini_classifier", 3), "flatten.* does not read a window"),
        (lambda: Sequential(Conv2d(3, 3, 3, padding=1), Strange()), "cannot be predicted in tiles"),
        (lambda: Sequential(Conv2d(3, 3, 3, stride=2)), "do not have the picture's size"),
        (lambda: Sequential(Linear(3, 3)), "cannot be predicted in tiles"),
        (lambda: object(), "cannot be predicted in tiles"),
    ],
)
def test_other_networks_are_refused_in_one_sentence(make, message):
    with pytest.raises(InputError, match=message) as caught:
        TiledPredictor(make())
    assert "\n" not in str(caught.value)


def test_a_size_that_is_too_small_names_one_that_is_not():
    model = network()
    with pytest.raises(InputError, match=r"tiles of 150 pixels are too small for .*; use [0-9]+ or more") as caught:
        TiledPredictor(model, 150)
    named = int(str(caught.value).split("use ")[1].split()[0])
    x = pictures(model, named + 50, 40)
    close(TiledPredictor(model, named)(x), model(x))


@pytest.mark.parametrize("size", [0, -3, 1.5, "large"])
def test_a_size_that_is_none(size):
    with pytest.raises(ValueError, match="size"):
        TiledPredictor(network(), size)


def test_in_training_mode_it_says_so():
    with pytest.raises(InputError, match="eval mode"):
        TiledPredictor(network().train())(np.zeros((1, 3, 40, 40), np.float32))

"""Which images fit: the paper's padding of 100, pools that round up or down, and the crops explained in words."""

import numpy as np
import pytest
from arrays import refuses
from hypothesis import given
from hypothesis import strategies as st

from fcn_from_scratch import geometry, layers, models
from fcn_from_scratch.geometry.graph import graph, with_padding

NETWORKS = ("fcn32s", "fcn16s", "fcn8s")
EVERY = range(1, 1500)


@pytest.fixture(scope="module")
def nets():
    """The paper's networks, one channel wide: sizes do not depend on width."""
    return {name: models.build(name, 2, width=1) for name in NETWORKS}


def fits_by_formula(n, pad, skips, ceil):
    """The same question without the package: sizes down and up as plain arithmetic, with the paper's crops."""
    size, pools = n + 2 * pad - 2, []
    for _ in range(5):
        size = (size + 1) // 2 if ceil else size // 2
        pools.append(size)
    scores = pools[4] - 6
    if scores < 1:
        return False
    for pool, offset in ((pools[3], 5), (pools[2], 9))[:skips]:
        scores = 2 * (scores - 1) + 4
        if pool < offset + scores:
            return False
    stride = 32 // 2**skips
    offset = pad - (81, 73, 69)[skips]
    return offset >= 0 and stride * (scores - 1) + 2 * stride >= offset + n


@pytest.mark.parametrize(("name", "skips"), list(zip(NETWORKS, (0, 1, 2))))
@pytest.mark.parametrize("ceil", [True, False], ids=["ceil", "floor"])
@pytest.mark.parametrize("pad", [75, 81, 96, 97, 100])
def test_sizes_that_fit_as_by_formula(name, skips, ceil, pad, nets):
    found = geometry.sizes_that_fit(nets[name], range(1, 400), pad=pad, ceil_mode=ceil)
    assert found == [n for n in range(1, 400) if fits_by_formula(n, pad, skips, ceil)]


@pytest.mark.parametrize("name", NETWORKS)
def test_with_pools_that_round_up_every_image_fits(name, nets):
    assert geometry.sizes_that_fit(nets[name]) == list(EVERY)
    assert geometry.fits(nets[name], 1)
    assert geometry.fits(nets[name], (1, 1499))


@pytest.mark.parametrize(
    ("name", "fail", "of_these_from_26_pixels_on"), list(zip(NETWORKS, (577, 209, 25), (552, 184, 0)))
)
def test_with_pools_that_round_down_many_do_not(name, fail, of_these_from_26_pixels_on, nets):
    """Below 26 pixels the input of fc6 is too small; the others fail at a crop."""
    missing = set(EVERY) - set(geometry.sizes_that_fit(nets[name], ceil_mode=False))
    assert len(missing) == fail
    assert len([n for n in missing if n >= 26]) == of_these_from_26_pixels_on
    assert (375 in missing) == (name != "fcn8s")
    assert (500 in missing) == (name == "fcn32s")
    assert not {256, 480} & missing  # where the mistake hides


@pytest.mark.parametrize("name", NETWORKS)
def test_97_is_the_smallest_padding(name, nets):
    assert geometry.smallest_pad(nets[name]) == 97
    assert set(EVERY) - set(geometry.sizes_that_fit(nets[name], pad=96)) == {1, 2}


def test_a_smaller_padding_serves_larger_images(nets):
    """From 33 pixels on 81 is enough: below it the scores start inside the image, at any size."""
    assert geometry.smallest_pad(nets["fcn32s"], range(33, 1500)) == 81
    assert geometry.smallest_pad(nets["fcn32s"], [500]) == 81
    assert geometry.sizes_that_fit(nets["fcn32s"], pad=80) == []
    assert geometry.smallest_pad(nets["fcn32s"], [1], largest=96) is None


def test_reasons(nets):
    net = nets["fcn32s"]
    with refuses("crop: upscore is too small: it has 512 cells, but image needs 500 from cell 19 on"):
        geometry.map_sizes(net, 500, ceil_mode=False)
    with refuses("crop: upscore starts 1 pixels after image and"):
        geometry.map_sizes(net, 500, pad=80)
    with refuses("fc6: its input is 6x22, which is too small"):
        geometry.map_sizes(net, (1, 500), pad=90)
    with refuses("score_pool3: pool3 is too small: it has 9 cells, but upscore_pool4 needs 10 from cell 1 on"):
        geometry.map_sizes(models.build("mini_fcn8s", 2, width=1, pad=17, fc6_kernel=3, fc6_padding=0), 33)
    with refuses("size must be at least 1"):
        geometry.fits(net, 0)


def test_asking_changes_nothing(nets):
    net = nets["fcn32s"]
    before = repr(geometry.map_sizes(net, 500))
    geometry.map_sizes(net, 256, pad=90)
    geometry.map_sizes(net, 256, ceil_mode=False)
    assert net.trunk.children["conv1_1"].padding == (100, 100)
    assert net.trunk.children["pool1"].ceil_mode
    assert repr(geometry.map_sizes(net, 500)) == before
    changed = with_padding(graph(net), 5)
    assert changed[0].layer.params is net.trunk.children["conv1_1"].params
    with refuses("no convolution"):
        with_padding(graph([layers.ReLU()]), 5)


@given(size=st.tuples(*[st.integers(1, 90)] * 2), pad=st.sampled_from([17, 29, 33, 40]), ceil=st.booleans())
def test_fits_means_that_forward_runs(size, pad, ceil):
    """A network of the paper's construction at lesson size: fc6 2x2, no padding but the first layer's."""
    net = models.build("mini_fcn32s", 2, width=1, pad=pad, fc6_kernel=2, fc6_padding=0)
    for layer in net.trunk.layers:
        if isinstance(layer, layers.MaxPool2d):
            layer.ceil_mode = ceil
    x = np.zeros((1, 3, *size), np.float32)
    if geometry.fits(net, size):
        assert net(x).shape[2:] == size
    else:
        with pytest.raises(ValueError):
            net(x)


def test_a_classifier_fits_what_its_linear_layer_counts():
    """Pools that round up: VGG16 takes 193 to 224 pixels, and no image outside."""
    net = models.build("mini_classifier", 2, width=1, fc6_kernel=7)
    assert geometry.sizes_that_fit(net) == list(range(193, 225))
    with refuses("Linear 'fc6' expects 392 numbers; this image gives 512"):
        geometry.map_sizes(net, 225)
    assert not geometry.fits(net, (224, 225))


def test_a_crop_of_fixed_size_and_one_without():
    assert geometry.sizes_that_fit([layers.Crop((2, 3), (5, 4))], range(1, 12)) == list(range(7, 12))
    with refuses("Crop", "no size of its own"):
        geometry.map_sizes([layers.Crop(2)], 9)
    assert geometry.map_sizes([layers.NearestUpsample(3), layers.BedOfNails((1, 2))], (4, 5))["1"].size == (12, 30)


# --- crops in words -----------------------------------------------------------------------------------------------


def test_every_crop_of_fcn8s_is_explained(nets):
    names, offsets, texts = zip(*geometry.explain_crops(nets["fcn8s"]))
    assert names == ("score_pool4", "score_pool3", "crop")
    assert offsets == (5, 9, 31)
    assert "pool4 starts at -91.5, upscore2 at -11.5; the stride of both is 16" in texts[0]
    assert "((-11.5) - (-91.5)) / 16 = 5" in texts[0]
    assert "the first 9 cells of pool3 are cut off" in texts[1]
    assert "upscore8 starts at -31, the image at 0" in texts[2]
    assert "spread by upscore8 over 16 cells of 1 pixel, so upscore8 starts (16 - 1) / 2 of them earlier" in texts[2]
    assert "the first 31 pixels of upscore8 are cut off" in texts[2]


@pytest.mark.parametrize(("name", "expected"), list(zip(NETWORKS, ([19], [5, 27], [5, 9, 31]))))
def test_offsets_are_those_of_the_layers(name, expected, nets):
    net = nets[name]
    assert [offset for _, offset, _ in geometry.explain_crops(net)] == expected
    assert [fuse.offset[0] for _, _, fuse in net.skips] + [net.crop.offset[0]] == expected


def test_a_skip_that_starts_late_has_the_scores_cropped():
    (_, offset, text), _ = geometry.explain_crops(models.build("mini_fcn16s", 2, width=1, fc6_kernel=2))
    assert offset == -2
    assert "upscore2 starts 2 cells before pool4, so it is cropped instead" in text


def test_chains_have_no_crops_to_explain():
    assert geometry.explain_crops([layers.Conv2d(1, 1, 3), layers.Crop(1, 4)]) == []


def test_axes_that_differ():
    one, other = (geometry.receptive_field(layers.Conv2d(1, 1, 3, 4, pad)) for pad in (13, (5, 1)))
    text = geometry.explain_crop(one, other)
    assert text.splitlines()[0] == "the map starts at -12, the reference at (-4, 0); the stride of both is 4"
    assert text.splitlines()[1].endswith("/ 4 = (2, 3)")
    with refuses("equal strides"):
        geometry.explain_crop(one, geometry.IMAGE)

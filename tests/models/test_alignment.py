"""Crops and sizes: every score lies over the pixel it belongs to, for images of any size."""

import numpy as np
import pytest
from arrays import refuses
from hypothesis import given, settings
from hypothesis import strategies as st

from fcn_from_scratch import geometry
from fcn_from_scratch.layers import ReLU
from fcn_from_scratch.models import FCN, build
from fcn_from_scratch.models.trunk import Trunk, VGGConfig, vgg_stages, vgg_trunk

# name: crop offsets of the skips, then of the scores (Caffe's reference networks)
OFFSETS = {"fcn32s": [19], "fcn16s": [5, 27], "fcn8s": [5, 9, 31], "fcn8s_atonce": [5, 9, 31]}
HEADS = ["fcn32s", "fcn16s", "fcn8s"]
MINIS = ["mini_fcn32s", "mini_fcn16s", "mini_fcn8s", "mini_fcn8s_atonce", "mini_fcn4s"]

# image side: sides of pool1..pool5, score_fr, upscore, upscore2, upscore16, upscore_pool4, upscore8
SIZES = {
    32: (115, 58, 29, 15, 8, 2, 96, 6, 112, 14, 120),
    256: (227, 114, 57, 29, 15, 9, 320, 20, 336, 42, 344),
    375: (287, 144, 72, 36, 18, 12, 416, 26, 432, 54, 440),
    480: (339, 170, 85, 43, 22, 16, 544, 34, 560, 70, 568),
    500: (349, 175, 88, 44, 22, 16, 544, 34, 560, 70, 568),
}
_nets = {}


def thin(name, **options):
    """A network with the paper's geometry and few channels; built once."""
    key = (name, *options.items())
    if key not in _nets:
        _nets[key] = build(name, 2, width=1, **options).eval()
    return _nets[key]


def offsets(net):
    pairs = [*(fuse.offset for _, _, fuse in net.skips), net.crop.offset]
    assert all(vertical == horizontal for vertical, horizontal in pairs)
    return [vertical for vertical, _ in pairs]


class TestOffsets:
    @pytest.mark.parametrize("name", OFFSETS)
    def test_are_the_papers(self, name):
        assert offsets(thin(name)) == OFFSETS[name]
        assert (
            thin(name).skips == []
            or [pool for pool, _, _ in thin(name).skips] == ["pool4", "pool3"][: len(OFFSETS[name]) - 1]
        )

    @pytest.mark.parametrize("pad", [80, 81, 90, 97, 123])
    def test_only_the_last_one_depends_on_the_padding(self, pad):
        if pad >= 81:
            assert offsets(thin("fcn32s", pad=pad)) == [pad - 81]
        assert offsets(thin("fcn16s", pad=pad)) == [5, pad - 73]
        assert offsets(thin("fcn8s", pad=pad)) == [5, 9, pad - 69]

    def test_a_padding_that_starts_the_scores_inside_the_image_is_refused(self):
        with refuses("the scores would start at pixel 1 of the image", "raise pad", "by 1"):
            build("fcn32s", 2, width=1, pad=80)

    def test_at_lesson_size(self):
        """Image padded by 1, fc6 by half its kernel: cell 0 of pool i lies in the middle of the first 2**i pixels."""
        assert [offsets(thin(name)) for name in MINIS] == [[16], [-1, 8], [-1, -1, 4], [-1, -1, 4], [-1, -1, -1, 2]]

    def test_no_number_of_convolutions_changes_them(self):
        for convs in ((1, 1, 1, 1, 1), (2, 3, 1, 2, 3)):
            assert offsets(thin("fcn8s", convs=convs)) == [5, 9, 31]


class TestSizes:
    @pytest.mark.parametrize("side", SIZES)
    def test_table(self, side):
        trunk = thin("fcn8s").trunk
        x = np.zeros((1, 3, side, 32), np.float32)
        found, widths = [], []
        for key, layer in [*trunk.children.items(), ("score_fr", thin("fcn8s").score_fr)]:
            x = layer(x)
            if key.startswith(("pool", "score")):
                found.append(x.shape[2])
                widths.append(x.shape[3])
        coarse = x
        for name in HEADS:
            net, scores = thin(name), coarse
            for _, upscore, _ in net.skips:
                scores = upscore(scores)
            found += [scores.shape[2]] * (len(net.skips) > 0) + [net.upscore(scores).shape[2]]
        assert tuple(found) == SIZES[side]
        assert tuple(widths) == SIZES[32][:6]

    @pytest.mark.parametrize("name", HEADS)
    @pytest.mark.parametrize("size", [(1, 1), (2, 33), (31, 32), (65, 20), (97, 131)])
    def test_scores_have_the_images_size(self, name, size, rng):
        x = rng.normal(size=(1, 3, *size)).astype(np.float32)
        assert thin(name)(x).shape == (1, 2, *size)

    @given(size=st.tuples(*[st.integers(1, 120)] * 2), name=st.sampled_from(HEADS))
    @settings(max_examples=15)
    def test_scores_have_the_size_of_any_image(self, size, name):
        assert thin(name)(np.zeros((1, 3, *size), np.float32)).shape == (1, 2, *size)

    @given(
        size=st.tuples(*[st.integers(1, 150)] * 2),
        name=st.sampled_from(MINIS),
        fc6_kernel=st.integers(1, 4),
    )
    def test_at_lesson_size(self, size, name, fc6_kernel):
        x = np.zeros((1, 3, *size), np.float32)
        assert thin(name, fc6_kernel=fc6_kernel)(x).shape == (1, 2, *size)

    @given(
        size=st.tuples(*[st.integers(1, 80)] * 2),
        name=st.sampled_from(MINIS),
        fc6_kernel=st.integers(5, 7),
        extra=st.integers(0, 20),
    )
    def test_at_lesson_size_in_the_papers_frame(self, size, name, fc6_kernel, extra):
        """The construction that mini_config's docstring offers."""
        net = thin(name, fc6_kernel=fc6_kernel, pad=16 * (fc6_kernel - 1) + 1 + extra, fc6_padding=0)
        assert net(np.zeros((1, 3, *size), np.float32)).shape == (1, 2, *size)

    @pytest.mark.parametrize("name", HEADS)
    def test_every_side_up_to_1499_fits(self, name):
        """By arithmetic: pools round up, and the crop ends inside the upsampled scores."""
        for side in range(1, 1500):
            assert self.room(name, 100, side) >= 0

    def test_97_is_the_smallest_padding_for_32s(self):
        assert [side for side in range(1, 1500) if self.room("fcn32s", 97, side) < 0] == []
        assert [side for side in range(1, 1500) if self.room("fcn32s", 96, side) < 0] == [1, 2]

    def room(self, name, pad, side):
        """How many rows of the upsampled scores lie beyond the crop's end; fc6 spans 7 cells of pool5."""
        pools = [side + 2 * pad - 2]
        for _ in range(5):
            pools.append(-(-pools[-1] // 2))
        scores = pools[5] - 6
        if scores < 1:
            return -1
        *skips, last = offsets(thin(name, pad=pad))
        for pool, offset in zip((pools[4], pools[3]), skips):
            scores = 2 * (scores - 1) + 4
            if offset + scores > pool:
                return -1
        stride = 32 >> len(skips)
        return stride * (scores - 1) + 2 * stride - last - side

    @pytest.mark.parametrize("side", [1, 2])
    def test_a_padding_of_96_is_too_little(self, side):
        x = np.zeros((1, 3, side, 40), np.float32)
        assert thin("fcn32s", pad=97)(x).shape[2:] == (side, 40)
        with refuses("the kernel spans 7x7 pixels, which is more than its input: 6x"):
            thin("fcn32s", pad=96)(x)


class Stub:
    """In a trunk's place: gives fixed maps whatever the image."""

    def __init__(self, top, maps):
        self.top, self.maps = top, maps

    def __call__(self, x):
        return self.top, self.maps


class TestPlaces:
    @pytest.mark.parametrize("name", HEADS)
    def test_a_coarse_cell_lands_on_its_pixels(self, name):
        """A 1 in cell (8, 5) of score_fr spreads around pixel 32 * 8 + 12.5 and 32 * 5 + 12.5."""
        net = build(name, 1, width=1, dtype=np.float64).eval()
        net.score_fr.params["weight"][0, 0] = 1
        top = np.zeros((1, 64, 16, 16))
        top[0, 0, 8, 5] = 1
        net.trunk = Stub(top, {"pool4": np.ones((1, 8, 44, 44)), "pool3": np.ones((1, 4, 88, 88))})
        y = net(np.zeros((1, 3, 500, 500)))[0, 0]
        assert y.sum() == pytest.approx(32**2, rel=1e-12)
        rows, columns = np.indices(y.shape)
        assert (y * rows).sum() / y.sum() == pytest.approx(268.5, abs=1e-9)
        assert (y * columns).sum() / y.sum() == pytest.approx(172.5, abs=1e-9)

    @pytest.mark.parametrize(("pool", "stride", "start"), [("pool4", 16, -91.5), ("pool3", 8, -95.5)])
    def test_a_skips_cell_lands_on_its_pixels(self, pool, stride, start):
        net = build("fcn8s", 1, width=1, dtype=np.float64).eval()
        fuse = {key: fuse for key, _, fuse in net.skips}[pool]
        fuse.params["weight"][0, 0] = 1
        maps = {"pool4": np.zeros((1, 8, 44, 44)), "pool3": np.zeros((1, 4, 88, 88))}
        maps[pool][0, 0, 20, 17] = 1
        net.trunk = Stub(np.zeros((1, 64, 16, 16)), maps)
        y = net(np.zeros((1, 3, 500, 500)))[0, 0]
        rows, columns = np.indices(y.shape)
        assert y.sum() == pytest.approx(stride**2, rel=1e-12)
        assert (y * rows).sum() / y.sum() == pytest.approx(start + stride * 20, abs=1e-9)
        assert (y * columns).sum() / y.sum() == pytest.approx(start + stride * 17, abs=1e-9)

    @pytest.mark.parametrize("name", MINIS)
    def test_shifting_the_image_by_the_stride_shifts_the_scores(self, name, rng):
        """Far from the frame, where padding is not seen."""
        net = build(name, 2, width=1, dtype=np.float64).eval()
        for key, array in net.params.items():
            if key.startswith("score"):
                array[...] = rng.normal(size=array.shape)
        big = rng.normal(size=(1, 3, 416, 288))
        here, there = net(big[:, :, :384, :256]), net(big[:, :, 32:, 32:])
        inside = here[:, :, 160:224, 126:130]
        assert np.abs(inside).max() > 1e-6
        np.testing.assert_allclose(there[:, :, 128:192, 94:98], inside, rtol=0, atol=1e-9)


class TestTrunk:
    def test_a_skip_must_be_tapped(self, rng):
        config = VGGConfig((1, 1, 1, 1, 1), (1, 1, 1, 1, 1), 1)
        with refuses("the trunk taps pool4; got the skip 'pool3'"):
            FCN(vgg_trunk(config, ("pool4",), rng), 2, skips=("pool4", "pool3"))
        with refuses("the trunk taps nothing; got the skip 'pool4'"):
            FCN(vgg_trunk(config, (), rng), 2, skips=("pool4",))

    def test_with_a_skip_from_every_pool_no_two_layers_share_a_name(self, rng):
        """The scores end at stride 2. The last upsampling is twofold then, like the first, which is upscore2."""
        pools = ("pool4", "pool3", "pool2", "pool1")
        net = FCN(vgg_trunk(VGGConfig((2, 2, 2, 2, 2), (1, 1, 1, 1, 1), 2), pools, rng), 2, skips=pools)
        upsampling = [name for name in net.head.children if name.startswith("upscore")]
        assert upsampling == ["upscore2", "upscore_pool4", "upscore_pool3", "upscore_pool2", "upscore"]
        table = geometry.table(net, (64, 64))
        assert [table.row(name).field.stride for name in upsampling] == [16, 8, 4, 2, 1]

    @pytest.mark.parametrize("tap", ["conv1_1", "relu1_1", "pool3", "pool5"])
    def test_a_taps_gradient_joins_the_chains(self, tap, rng):
        """By linearity: a gradient for the tapped map alone equals one for the top of the chain that ends there."""
        config = VGGConfig((4, 5, 4, 5, 4), (1, 1, 1, 1, 1), 1, pad=1)
        chain = vgg_stages(config, np.random.default_rng(1), np.float64)
        trunk = Trunk(*chain, taps=(tap,))
        top, maps = trunk(x := rng.normal(size=(2, 3, 40, 37)))
        dtop, dmap = rng.normal(size=top.shape), rng.normal(size=maps[tap].shape)
        both = trunk.backward(dtop, {tap: dmap})
        with_both = {key: gradient.copy() for key, gradient in trunk.grads.items()}
        trunk.zero_grad()
        of_top = trunk.backward(dtop, {})
        trunk(x)
        of_tap = dmap
        for layer in reversed(chain[: list(trunk.children).index(tap) + 1]):
            of_tap = layer.backward(of_tap)
        assert np.abs(of_top).max() > 0
        assert np.abs(of_tap).max() > 0
        np.testing.assert_allclose(both, of_top + of_tap, rtol=0, atol=1e-10)
        for key, gradient in trunk.grads.items():  # both backward calls above added to them
            np.testing.assert_allclose(with_both[key], gradient, rtol=0, atol=1e-10)

    def test_taps_are_the_maps_themselves(self, rng):
        trunk = thin("fcn8s").trunk
        top, maps = trunk(rng.normal(size=(1, 3, 33, 40)).astype(np.float32))
        assert list(maps) == ["pool3", "pool4"]
        assert [maps[key].shape[1] for key in maps] == [4, 8]
        assert top.shape[1] == 64

    def test_geometry_reads_the_coarse_path(self):
        net = thin("mini_fcn8s")
        assert net.coarse_path[-1] is net.score_fr
        assert not any(layer is net.upscore for layer in net.coarse_path)
        assert isinstance(net.coarse_path[1], ReLU)
        # pools: 1 + 1 + 2 + 4 + 8 + 16; convolutions: 2 * (1 + 2 + 4 + 8 + 16); fc6: 2 * 32
        assert tuple(geometry.receptive_field(net)) == (32 + 62 + 64, 32, 15.5)

"""The dilated network: the last two pools have stride 1, and the later layers are dilated to make up for it."""

import numpy as np
import pytest
from arrays import close, shapes_of, torch_module
from hypothesis import given
from hypothesis import strategies as st

from fcn_from_scratch import engine, geometry, plain
from fcn_from_scratch.dense import rarefy
from fcn_from_scratch.gradcheck import layer_check
from fcn_from_scratch.layers import Conv2d, MaxPool2d, Sequential
from fcn_from_scratch.models import ZeroFrame, build, transplant
from fcn_from_scratch.models.trunk import VGGConfig
from fcn_from_scratch.models.zero_frame import plan
from fcn_from_scratch.ops import softmax_cross_entropy

SIZES = [(32, 40), (21, 38), (65, 97), (1, 8), (100, 33)]


def pair_of(name, whole, rng, **options):
    """The dilated network and FCN-32s with the same padding, both with the same random weights in float64."""
    dilated = build(f"{name}8s_dilated", 3, dtype=np.float64, dropout=0.0, **options)
    coarse = build(
        f"{name}32s", 3, dtype=np.float64, dropout=0.0, **{**options, "pad": dilated.trunk.layers[0].padding}
    )
    for key, array in dilated.params.items():
        array[...] = rng.integers(-2, 3, array.shape) if whole else rng.normal(size=array.shape)
        coarse.params[key][...] = array
    return dilated.eval(), coarse.eval()


class TestIsTheRarefiedNetwork:
    """Of FCN-32s with the same weights and the same padding."""

    @pytest.mark.parametrize("size", SIZES)
    @pytest.mark.parametrize(
        ("name", "options"),
        [
            ("mini_fcn", {"width": 2}),
            ("mini_fcn", {"width": 2, "convs": (1, 2, 1, 2, 3), "fc6_kernel": 5, "fc6_padding": 0, "pad": 80}),
            ("fcn", {"width": 1}),
        ],
    )
    def test_to_the_last_bit_with_whole_numbers(self, name, options, size, rng):
        """Sums of whole numbers are exact, whatever their order."""
        dilated, coarse = pair_of(name, True, rng, **options)
        x = rng.integers(-2, 3, (2, 3, *size)).astype(float)
        scores = Sequential(*dilated.coarse_path)(x)
        assert np.abs(scores).max() < 2**53
        with plain():  # no Winograd, whose fractions are rounded
            scores, expected = Sequential(*dilated.coarse_path)(x), rarefy(coarse, 8)(x)
        np.testing.assert_array_equal(scores, expected)
        assert len(np.unique(expected)) > 5

    @pytest.mark.parametrize("size", SIZES)
    def test_with_any_numbers(self, size, rng):
        dilated, coarse = pair_of("mini_fcn", False, rng, width=4)
        x = rng.normal(size=(2, 3, *size))
        expected = rarefy(coarse, 8)(x)
        close(Sequential(*dilated.coarse_path)(x) / np.abs(expected).max(), expected / np.abs(expected).max(), 1e-12)

    def test_every_fourth_score_is_that_of_fcn32s(self, rng):
        """Wherever FCN-32s's last pools have whole windows."""
        dilated, coarse = pair_of("mini_fcn", True, rng, width=2)
        x = rng.integers(-2, 3, (1, 3, 104, 136)).astype(float)  # 104 + 24 and 136 + 24 are multiples of 32
        with plain():
            fine, every = Sequential(*dilated.coarse_path)(x), Sequential(*coarse.coarse_path)(x)
        assert every.shape[2:] == (4, 5)
        assert fine.shape[2:] == (13, 17)
        np.testing.assert_array_equal(fine[:, :, ::4, ::4], every)

    def test_each_layer_is_the_rarefied_one(self):
        dilated, coarse = build("fcn8s_dilated", 2, width=1), build("fcn32s", 2, width=1, pad=109)
        twin = rarefy(coarse, 8).children
        for name, layer in dilated.children.items():
            if isinstance(layer, (Conv2d, MaxPool2d)) and layer.kernel_size != (1, 1):  # one tap has no distance
                assert layer.window == twin[name].window, name
        assert str(dilated.children["pool5"].window) == "2x2 dilated 2"
        assert str(dilated.children["conv5_3"].window) == "3x3 pad 2 dilated 2"
        assert str(dilated.children["fc6"].window) == "7x7 dilated 4"
        assert str(dilated.children["pool4"].window) == "2x2"

    @pytest.mark.parametrize(
        ("strides", "dilations"),
        [((2, 2, 2, 2, 2), [1] * 6), ((2, 2, 2, 1, 1), [1, 1, 1, 1, 2, 4]), ((1, 2, 1, 1, 2), [1, 2, 2, 4, 8, 8])],
    )
    def test_the_dilation_of_a_stage_is_what_earlier_pools_lack(self, strides, dilations):
        assert [VGGConfig(pool_strides=strides).dilation(stage) for stage in range(1, 7)] == dilations


class TestGeometry:
    @pytest.mark.parametrize(("name", "field"), [("mini_fcn8s_dilated", 158), ("fcn8s_dilated", 404)])
    def test_one_score_in_the_middle_of_each_block(self, name, field):
        net = build(name, 2, width=1)
        assert tuple(geometry.receptive_field(net)) == (field, 8, 3.5)
        for size in [(1, 8), (9, 16), (96, 100)]:
            scores = geometry.map_sizes(net, size)["score_fr"]
            assert scores.size == tuple(-(-n // 8) for n in size)

    def test_no_smaller_padding_lets_every_size_fit(self):
        assert geometry.smallest_pad(build("mini_fcn8s_dilated", 2, width=1)) == 13

    def test_the_grid_is_that_of_fcn8s_at_lesson_size(self):
        grids = geometry.grids(geometry.graph(build("mini_fcn8s", 2, width=1)))
        field, ours = grids["score_pool3"], geometry.receptive_field(build("mini_fcn8s_dilated", 2, width=1))
        assert (field.stride, field.start) == (ours.stride, ours.start)

    @pytest.mark.parametrize(
        "options", [{"fc6_kernel": 5}, {"fc6_kernel": 4}, {"fc6_kernel": (3, 5), "fc6_padding": (1, 2)}]
    )
    def test_the_padding_follows_from_the_other_options(self, options):
        net = build("mini_fcn8s_dilated", 2, width=1, **{"fc6_padding": 1, **options})
        assert geometry.receptive_field(net).start == 3.5
        assert geometry.fits(net, (33, 50))

    def test_another_padding_moves_the_crop_alone(self):
        for pad in (9, 13, 20):
            assert build("mini_fcn8s_dilated", 2, width=1, pad=pad).crop.offset == (pad - 9, pad - 9)
        with pytest.raises(ValueError, match="start at pixel 1 of the image"):
            build("mini_fcn8s_dilated", 2, width=1, pad=8)

    @given(st.integers(1, 70), st.integers(1, 70))
    def test_scores_have_the_size_of_the_image(self, height, width):
        net = build("mini_fcn8s_dilated", 2, width=1).eval()
        assert net(np.zeros((1, 3, height, width), np.float32)).shape == (1, 2, height, width)

    @pytest.mark.parametrize("name", ["mini_fcn8s_dilated", "fcn8s_dilated"])
    def test_every_size_fits(self, name):
        assert len(geometry.sizes_that_fit(build(name, 2, width=1))) == geometry.sizes.LARGEST

    def test_the_price(self):
        """The layers after pool4 have the parameters of FCN-32s, and up to sixteen times as many cells."""
        fine, coarse = (
            geometry.table(build(name, 2, width=4, pad=13), 96) for name in ("mini_fcn8s_dilated", "mini_fcn32s")
        )
        assert fine.parameters == coarse.parameters
        assert fine.row("fc7").size == (12, 12)
        assert coarse.row("fc7").size == (4, 4)
        assert fine.row("fc7").multiply_adds == 9 * coarse.row("fc7").multiply_adds
        assert fine.row("conv4_1").multiply_adds == coarse.row("conv4_1").multiply_adds


class TestParameters:
    @pytest.mark.parametrize("name", ["mini_fcn", "fcn"])
    def test_are_those_of_fcn32s(self, name):
        assert shapes_of(build(f"{name}8s_dilated", 4, width=2)) == shapes_of(build(f"{name}32s", 4, width=2))

    def test_transplant(self):
        old, new = build("mini_fcn32s", 4, width=2, seed=1), build("mini_fcn8s_dilated", 4, width=2, seed=2)
        report = transplant(new, old)
        assert report.copied == list(old.params)
        assert report.dropped == report.initialised == []

    def test_of_the_classifier(self):
        report = transplant(build("mini_fcn8s_dilated", 4, width=2), build("mini_classifier", 4, width=2))
        assert report.initialised == ["score_fr.weight", "score_fr.bias"]


class TestRunning:
    def test_gradients(self, rng):
        """Of the image too: the dilated pools, whose windows overlap, send back sums."""
        net, _ = pair_of("mini_fcn", False, rng, width=3)
        errors = layer_check(net.train(), rng.normal(size=(2, 3, 21, 38)), rng, directions=2, eps=1e-6)
        assert errors.keys() == {"dx", *net.params}
        assert max(errors.values()) < 1e-7

    def test_the_gradient_is_the_rarefied_networks(self, rng):
        dilated, coarse = pair_of("mini_fcn", False, rng, width=2)
        x = rng.normal(size=(2, 3, 45, 30))
        twin, path = rarefy(coarse.train(), 8), Sequential(*dilated.train().coarse_path)
        dscores = rng.normal(size=twin(x).shape)
        path(x)
        expected, found = twin.backward(dscores), path.backward(dscores)
        close(found / np.abs(expected).max(), expected / np.abs(expected).max(), 1e-12)
        for key, gradient in path.grads.items():
            largest = np.abs(coarse.grads[key]).max()
            assert largest > 0
            close(gradient / largest, coarse.grads[key] / largest, 1e-11)

    def test_the_zero_frame(self, rng):
        """One that knows dilated pools. In single precision, at a width at which Winograd's algorithm runs."""
        net = build("fcn8s_dilated", 3, width=16).eval()
        for key, array in net.params.items():
            if key.startswith("score") or key.endswith("bias"):
                array[...] = rng.normal(0, 0.5, array.shape)
        x = rng.normal(0, 3, (1, 3, 39, 58)).astype(np.float32)
        expected = net(x)
        predictor = ZeroFrame(net)
        close(predictor(x) / np.abs(expected).max(), expected / np.abs(expected).max(), 5e-6)
        assert len(plan(net.trunk, x)) > 4

    @pytest.mark.parametrize("mode", ["train", "eval"])
    def test_plain_code_and_engine(self, mode, rng, monkeypatch):
        net, _ = pair_of("mini_fcn", False, rng, width=3)
        x = rng.normal(size=(2, 3, 33, 40))
        getattr(net, mode)()
        expected = net(x)
        with plain():
            monkeypatch.delattr(engine, "conv2d")
            found = net(x)
        close(found / np.abs(expected).max(), expected / np.abs(expected).max(), 1e-12)

    def test_the_first_loss_is_log_k(self, rng):
        net = build("mini_fcn8s_dilated", 7, width=4)
        loss, dscores = softmax_cross_entropy(
            net(rng.normal(size=(2, 3, 40, 50)).astype(np.float32)), rng.integers(0, 7, (2, 40, 50))
        )
        assert loss == pytest.approx(np.log(7), rel=1e-6)
        net.backward_params(dscores)
        assert {key for key, gradient in net.grads.items() if gradient.any()} == {"score_fr.weight", "score_fr.bias"}

    @pytest.mark.parametrize("upsampling", ["learned", "all_learned", "nearest"])
    def test_options(self, upsampling, rng):
        net = build("mini_fcn8s_dilated", 3, width=2, upsampling=upsampling)
        kernels = {"upscore.weight": (3, 3, 16, 16)} if upsampling == "all_learned" else {}
        assert {key: shape for key, shape in shapes_of(net).items() if key.startswith("up")} == kernels
        assert net(rng.normal(size=(1, 3, 30, 41)).astype(np.float32)).shape == (1, 3, 30, 41)


@pytest.mark.torch
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-10), ("float32", 1e-4)])
def test_scores_and_gradients_are_pytorchs(dtype, tolerance, rng):
    """The network of lesson size, written with torch.nn.functional; its numbers are written out."""
    torch = torch_module()
    f = torch.nn.functional
    net = build("mini_fcn8s_dilated", 4, width=4, dtype=dtype)
    for key, array in net.params.items():
        if key.startswith("score") or key.endswith("bias"):
            array[...] = rng.normal(size=array.shape)
    x, dscores = (rng.normal(size=(2, channels, 45, 70)).astype(dtype) for channels in (3, 4))
    p = {key: torch.tensor(array, requires_grad=True) for key, array in net.state_dict().items()}
    image = torch.tensor(x, requires_grad=True)

    def conv(h, name, padding=0, dilation=1):
        return f.conv2d(h, p[f"{name}.weight"], p[f"{name}.bias"], padding=padding, dilation=dilation)

    h = f.max_pool2d(f.relu(conv(image, "conv1_1", 13)), 2, ceil_mode=True)
    h = f.max_pool2d(f.relu(conv(h, "conv2_1", 1)), 2, ceil_mode=True)
    h = f.max_pool2d(f.relu(conv(h, "conv3_1", 1)), 2, ceil_mode=True)
    h = f.max_pool2d(f.relu(conv(h, "conv4_1", 1)), 2, stride=1)
    h = f.max_pool2d(f.relu(conv(h, "conv5_1", 2, dilation=2)), 2, stride=1, dilation=2)
    h = f.relu(conv(f.relu(conv(h, "fc6", 4, dilation=4)), "fc7"))
    ramp = 1 - (torch.arange(16, dtype=h.dtype) - 7.5).abs() / 8
    kernel = torch.outer(ramp, ramp).expand(4, 1, 16, 16)
    expected = f.conv_transpose2d(conv(h, "score_fr"), kernel, stride=8, groups=4)[:, :, 4:49, 4:74]
    expected.backward(torch.tensor(dscores))

    close(net(x), expected.detach().numpy(), tolerance)
    for ours, theirs in [(net.backward(dscores), image.grad), *((net.grads[key], p[key].grad) for key in p)]:
        largest = theirs.abs().max().item()
        assert largest > 0
        close(ours / largest, theirs.numpy() / largest, tolerance)

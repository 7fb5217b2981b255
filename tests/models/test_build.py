"""build(): the networks by name, with their layers, parameters and options."""

import numpy as np
import pytest
from arrays import close, refuses, shapes_of

from fcn_from_scratch.models import NAMES, build

ONE_UPSAMPLING = [name for name in NAMES if "classifier" not in name and "unpool" not in name]

TRUNK = (
    "conv1_1 relu1_1 conv1_2 relu1_2 pool1 conv2_1 relu2_1 conv2_2 relu2_2 pool2 "
    "conv3_1 relu3_1 conv3_2 relu3_2 conv3_3 relu3_3 pool3 conv4_1 relu4_1 conv4_2 relu4_2 conv4_3 relu4_3 pool4 "
    "conv5_1 relu5_1 conv5_2 relu5_2 conv5_3 relu5_3 pool5 fc6 relu6 drop6 fc7 relu7 drop7 score_fr "
)
HEADS = {
    "fcn32s": "upscore crop",
    "fcn16s": "upscore2 score_pool4 upscore16 crop",
    "fcn8s": "upscore2 score_pool4 upscore_pool4 score_pool3 upscore8 crop",
    "fcn8s_atonce": "upscore2 score_pool4 upscore_pool4 score_pool3 upscore8 crop",
}
# weights of the public state dicts; every one has a bias of its first axis
SHAPES = {
    "conv1_1": (64, 3, 3, 3),
    "conv1_2": (64, 64, 3, 3),
    "conv2_1": (128, 64, 3, 3),
    "conv2_2": (128, 128, 3, 3),
    "conv3_1": (256, 128, 3, 3),
    "conv3_2": (256, 256, 3, 3),
    "conv3_3": (256, 256, 3, 3),
    "conv4_1": (512, 256, 3, 3),
    "conv4_2": (512, 512, 3, 3),
    "conv4_3": (512, 512, 3, 3),
    "conv5_1": (512, 512, 3, 3),
    "conv5_2": (512, 512, 3, 3),
    "conv5_3": (512, 512, 3, 3),
    "fc6": (4096, 512, 7, 7),
    "fc7": (4096, 4096, 1, 1),
    "score_fr": (21, 4096, 1, 1),
    "score_pool4": (21, 512, 1, 1),
    "score_pool3": (21, 256, 1, 1),
}
SKIPS = {"fcn32s": 0, "fcn16s": 1, "fcn8s": 2, "fcn8s_atonce": 2}
COUNTS = {"fcn32s": 134_346_581, "fcn16s": 134_357_354, "fcn8s": 134_362_751, "fcn8s_atonce": 134_362_751}


def expected_shapes(name):
    layers = list(SHAPES.items())[: 16 + SKIPS[name]]
    return {key: s for layer, shape in layers for key, s in ((f"{layer}.weight", shape), (f"{layer}.bias", shape[:1]))}


class TestThePapersNetworks:
    @pytest.mark.parametrize("name", HEADS)
    def test_layers_have_the_papers_names(self, name):
        assert list(build(name, 2, width=1).children) == (TRUNK + HEADS[name]).split()

    @pytest.mark.parametrize("name", HEADS)
    def test_shapes_and_number_of_parameters(self, name, weightless):
        net = build(name)
        assert shapes_of(net) == expected_shapes(name)
        assert sum(int(np.prod(shape)) for shape in shapes_of(net).values()) == COUNTS[name]

    def test_parts_of_the_count(self, weightless):
        params = build("fcn8s").params
        parts = dict.fromkeys(("conv", "fc6", "fc7", "score_fr", "score_pool4", "score_pool3"), 0)
        for key, array in params.items():
            parts[next(part for part in parts if key.startswith(part))] += array.size
        assert list(parts.values()) == [14_714_688, 102_764_544, 16_781_312, 86_037, 10_773, 5_397]

    @pytest.mark.slow
    def test_at_full_size(self):
        net = build("fcn32s")
        assert shapes_of(net) == expected_shapes("fcn32s")
        assert sum(array.size for array in net.params.values()) == 134_346_581
        fc6 = net.params["fc6.weight"]
        assert fc6.std(dtype=np.float64) == pytest.approx(np.sqrt(2 / (512 * 49)), rel=1e-3)

    @pytest.mark.parametrize(
        ("upsampling", "learned"),
        [
            ("fixed", {}),
            ("learned", {"upscore2.weight": (5, 5, 4, 4), "upscore_pool4.weight": (5, 5, 4, 4)}),
            (
                "all_learned",
                {
                    "upscore2.weight": (5, 5, 4, 4),
                    "upscore_pool4.weight": (5, 5, 4, 4),
                    "upscore8.weight": (5, 5, 16, 16),
                },
            ),
        ],
    )
    def test_upsampling_learned_or_not(self, upsampling, learned, rng):
        """Public state dicts have upscore weights and no upscore biases; they start as interpolation."""
        fixed, net = build("fcn8s", 5, width=1), build("fcn8s", 5, width=1, upsampling=upsampling)
        extra = {name: shape for name, shape in shapes_of(net).items() if name not in fixed.params}
        assert extra == learned
        for each in (fixed, net):
            each.eval()
            each.score_fr.params["weight"][...] = np.random.default_rng(1).normal(size=(5, 64, 1, 1))
        x = rng.normal(size=(1, 3, 40, 33)).astype(np.float32)
        assert np.abs(fixed(x)).max() > 0.1
        close(net(x), fixed(x), 1e-5)

    def test_32s_has_no_twofold_upsampling(self):
        assert "upscore.weight" not in build("mini_fcn32s", 2, width=1, upsampling="learned").params
        shape = shapes_of(build("mini_fcn32s", 2, width=1, upsampling="all_learned"))["upscore.weight"]
        assert shape == (2, 2, 64, 64)

    def test_scales_of_the_at_once_network(self):
        scales = {name: [fuse.scale for _, _, fuse in build(name, 2, width=1).skips] for name in HEADS}
        assert scales == {"fcn32s": [], "fcn16s": [1], "fcn8s": [1, 1], "fcn8s_atonce": [0.01, 0.0001]}

    def test_at_once_and_staged_weights_look_alike(self, rng):
        """The factors stand in no parameter: either network loads the other's weights, and computes something else."""
        staged, at_once = build("fcn8s", 3, width=2).eval(), build("fcn8s_atonce", 3, width=2).eval()
        assert shapes_of(staged) == shapes_of(at_once)
        for key, array in staged.params.items():
            if key.startswith("score"):
                array[...] = rng.normal(size=array.shape)
        at_once.load_state_dict(staged.state_dict())
        x = rng.normal(size=(1, 3, 40, 33)).astype(np.float32)
        assert np.abs(at_once(x) - staged(x)).max() > 0.1 * np.abs(staged(x)).max()

    def test_fixed_upsampling_holds_no_blob(self, weightless):
        """A dense kernel of 64 taps for 21 classes would be 1,806,336 numbers, all but 21 * 4096 of them zero."""
        for name in HEADS:
            net = build(name)
            held = [array for layer in net.children.values() if not layer.params for array in vars(layer).values()]
            assert not any(isinstance(value, np.ndarray) for value in held)
            assert not any(key.startswith("upscore") for key in net.state_dict())

    def test_dropout_is_element_by_element_after_fc6_and_fc7(self):
        net = build("fcn32s", 2, width=1)
        assert {name: (type(net.children[name]).__name__, net.children[name].p) for name in ("drop6", "drop7")} == {
            "drop6": ("Dropout", 0.5),
            "drop7": ("Dropout", 0.5),
        }
        assert [net.children[f"pool{stage}"].ceil_mode for stage in range(1, 6)] == [True] * 5


class TestOptions:
    def test_reach_the_trunk(self):
        net = build("mini_fcn8s", 6, width=3, pad=5, fc6_kernel=5, fc6_padding=1, dropout=0.2, convs=(1, 2, 1, 1, 1))
        shapes = shapes_of(net)
        assert shapes["conv1_1.weight"] == (3, 3, 3, 3)
        assert shapes["conv2_2.weight"] == (6, 6, 3, 3)
        assert shapes["fc6.weight"] == (24, 24, 5, 5)
        assert net.children["conv1_1"].padding == (5, 5)
        assert net.children["conv2_1"].padding == net.children["conv2_2"].padding == (1, 1)
        assert net.children["fc6"].padding == (1, 1)
        assert net.children["drop6"].p == net.children["drop7"].p == 0.2

    @pytest.mark.parametrize("name", NAMES)
    def test_a_net_can_be_built_again(self, name):
        options = {"upsampling": "learned"} if name in ONE_UPSAMPLING else {}
        net = build(name, 4, seed=3, width=1, **options)
        again = build(net.name, seed=3, **net.options)
        assert net.name == name
        assert net.options == {"num_classes": 4, "width": 1, **options}
        assert list(again.params) == list(net.params)
        for key, array in net.params.items():
            np.testing.assert_array_equal(again.params[key], array)
        other = build(name, 4, seed=4, width=1)
        first = next(iter(net.params))
        assert (other.params[first] != net.params[first]).any()

    @pytest.mark.parametrize("name", NAMES)
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_dtype(self, name, dtype, rng):
        options = {"upsampling": "all_learned"} if name in ONE_UPSAMPLING else {}
        net = build(name, 2, dtype=dtype, width=1, **options)
        assert {array.dtype for array in net.params.values()} == {np.dtype(dtype)}
        # 32 * fc6_kernel pixels are what a classifier takes; late fusion reads two pictures
        scores = net(rng.normal(size=(1, 6 if "late_fusion" in name else 3, 96, 96)).astype(dtype))
        for each in scores if isinstance(scores, tuple) else (scores,):
            assert each.dtype == dtype

    def test_dropout_goes_on_with_the_seeds_generator(self):
        net = build("fcn16s", 2, seed=5, width=1)
        generators = net.generators()
        assert list(generators) == ["drop6.rng", "drop7.rng"]
        assert generators["drop6.rng"] is generators["drop7.rng"]
        fresh = np.random.default_rng(5).bit_generator.state
        assert generators["drop6.rng"].bit_generator.state != fresh  # the weights were drawn from it

    def test_the_classifier_has_fc8(self):
        shapes = shapes_of(build("mini_classifier", 7, width=2, fc6_kernel=3))
        assert list(shapes)[-6:] == ["fc6.weight", "fc6.bias", "fc7.weight", "fc7.bias", "fc8.weight", "fc8.bias"]
        assert shapes["fc6.weight"] == (16, 16 * 9)
        assert shapes["fc8.weight"] == (7, 16)


class TestDepthAsAFourthChannel:
    @pytest.mark.parametrize("name", ["fcn32s", "mini_fcn8s"])
    def test_renames_the_first_layer_and_no_other(self, name, rng):
        plain, early = (build(name, 2, width=2, in_channels=channels) for channels in (3, 4))
        assert list(early.children) == [key.replace("conv1_1", "conv1_1_bgrd") for key in plain.children]
        assert early.params["conv1_1_bgrd.weight"].shape == (2, 4, 3, 3)
        assert early(rng.normal(size=(1, 4, 33, 40)).astype(np.float32)).shape == (1, 2, 33, 40)
        with refuses("Conv2d 'conv1_1_bgrd' expects 4 input channels", "(1, 3, 40, 40)"):
            early(rng.normal(size=(1, 3, 40, 40)))

    def test_only_four_channels_do(self):
        assert "conv1_1.weight" in build("mini_fcn32s", 2, width=4, in_channels=1).params
        # a later layer that reads four channels keeps its name
        assert "conv1_2.weight" in build("mini_fcn32s", 2, width=4, convs=(2, 1, 1, 1, 1)).params

    def test_the_classifier_takes_it_too(self):
        assert build("mini_classifier", 2, width=1, in_channels=4).params["conv1_1_bgrd.weight"].shape == (1, 4, 3, 3)


class TestRefusals:
    @pytest.mark.parametrize("name", ["fcn4s", "FCN8s", ""])
    def test_another_name(self, name):
        with refuses(f"there is no model {name!r}", ", ".join(NAMES)):
            build(name)

    def test_another_option(self):
        trunk = "width, pad, fc6_kernel, fc6_padding, dropout, convs, in_channels"
        with refuses("mini_fcn8s has no option 'stride'; its options are " + trunk + ", upsampling"):
            build("mini_fcn8s", stride=8)
        with pytest.raises(ValueError, match=f"no option 'upsampling'; its options are {trunk}$"):
            build("mini_classifier", upsampling="fixed")

    def test_values(self):
        with refuses("upsampling must be one of 'fixed', 'learned', 'all_learned', 'nearest'; got 'bilinear'"):
            build("mini_fcn8s", upsampling="bilinear")
        with refuses("width must be at least 1; got 0"):
            build("mini_fcn8s", width=0)
        with refuses("num_classes must be at least 1; got 0"):
            build("mini_fcn8s", 0)
        with refuses("p must be a probability", "got 1"):
            build("mini_fcn8s", dropout=1)

    def test_an_image_of_other_channels(self, rng):
        with refuses("Conv2d 'conv1_1' expects 3 input channels", "(1, 4, 40, 40)"):
            build("mini_fcn8s", 2, width=1)(rng.normal(size=(1, 4, 40, 40)))

    def test_an_image_too_small_for_fc6(self, rng):
        net = build("mini_fcn8s", 2, width=1, fc6_padding=0, pad=5)
        with refuses("the kernel spans 3x3 pixels, which is more than its input: 2x2"):
            net(rng.normal(size=(1, 3, 56, 56)))

    def test_too_small_a_frame(self):
        with refuses("the scores would start at pixel 4 of the image", "by 4"):
            build("mini_fcn8s", 2, width=1, fc6_padding=0, pad=1)

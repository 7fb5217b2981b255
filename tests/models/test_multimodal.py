"""Colour and depth: a fourth channel (early fusion), and two networks whose scores are joined (late fusion)."""

import numpy as np
import pytest
from arrays import close, refuses, shapes_of

from fcn_from_scratch import geometry
from fcn_from_scratch.gradcheck import layer_check
from fcn_from_scratch.models import build, transplant, with_depth

LATE = "mini_fcn32s_late_fusion"


def generic(name, rng, num_classes=4, **options):
    """A float64 network none of whose parameters is zero."""
    net = build(name, num_classes, width=3, dtype=np.float64, seed=1, **options)
    for key, array in net.params.items():
        if key.startswith("score") or key.endswith("bias"):
            array[...] = rng.uniform(-1, 1, size=array.shape)
    return net


class TestLateFusion:
    def test_layers_have_the_papers_names(self):
        """nyud-fcn32s-color-hha: the suffix follows without a dash."""
        one, net = build("fcn32s", 2, width=1), build("fcn32s_late_fusion", 2, width=1)
        trunk = list(one.trunk.children)
        streams = [key + modality for modality in ("color", "hha") for key in trunk]
        assert list(net.children) == [*streams, "score_frcolor", "score_frhha", "score_fused", "upscore", "crop"]
        assert net.children["conv1_1hha"].label == "Conv2d 'conv1_1hha'"

    def test_number_of_parameters_for_nyud(self, weightless):
        shapes = shapes_of(build("fcn32s_late_fusion", 40))
        assert sum(int(np.prod(shape)) for shape in shapes.values()) == 2 * (
            14_714_688 + 102_764_544 + 16_781_312 + 40 * 4097
        )

    def test_place_and_sizes(self):
        net = build("fcn32s_late_fusion", 2, width=1)
        assert tuple(geometry.receptive_field(net)) == (404, 32, 12.5)
        assert [(name, offset) for name, offset, _ in geometry.explain_crops(net)] == [("crop", 19)]
        assert geometry.sizes_that_fit(net) == list(range(1, 1500))
        assert geometry.smallest_pad(net) == 97
        sizes = geometry.map_sizes(net, (375, 500))
        assert sizes["image"] == (6, (375, 500))
        assert sizes["score_frhha"] == sizes["score_fused"] == (2, (12, 16))

    @pytest.mark.parametrize(("fusion", "factor"), [("average", 0.5), ("sum", 1.0)])
    def test_scores_are_those_of_two_networks(self, fusion, factor, rng):
        net, x = generic(LATE, rng, fusion=fusion), rng.normal(size=(2, 6, 45, 70))
        alone = []
        for modality in ("color", "hha"):
            one = build("mini_fcn32s", 4, width=3, dtype=np.float64)
            one.load_state_dict({key: net.params[key.replace(".", f"{modality}.")] for key in one.params})
            alone.append(one)
        close(net(x), factor * (alone[0](x[:, :3]) + alone[1](x[:, 3:])))
        dy = rng.normal(size=(2, 4, 45, 70))
        dx = net.backward(dy)
        for one, modality, part in zip(alone, ("color", "hha"), (dx[:, :3], dx[:, 3:])):
            close(part, one.backward(factor * dy))
            for key, gradient in one.grads.items():
                assert gradient.any()
                close(net.grads[key.replace(".", f"{modality}.")], gradient)

    def test_the_average_is_the_default(self):
        assert build(LATE, 2, width=1).fuse.scale == 0.5
        with refuses("fusion must be one of 'average', 'sum'; got 'max'"):
            build(LATE, 2, width=1, fusion="max")
        with refuses("mini_fcn32s has no option 'fusion'"):
            build("mini_fcn32s", 2, width=1, fusion="sum")

    def test_a_streams_gradient_knows_nothing_of_the_others_features(self, rng):
        net, dy = generic(LATE, rng), rng.normal(size=(1, 4, 40, 50))
        x, other = rng.normal(size=(2, 1, 6, 40, 50))
        other[:, :3] = x[:, :3]
        grads = []
        for picture in (x, other):
            net.zero_grad()
            net(picture)
            net.backward(dy)
            grads.append({key: gradient.copy() for key, gradient in net.grads.items()})
        for key in grads[0]:
            assert np.array_equal(grads[0][key], grads[1][key]) == ("color" in key or key == "score_frhha.bias")

    def test_finite_differences(self, rng):
        errors = layer_check(generic(LATE, rng), rng.normal(size=(2, 6, 21, 38)), rng, directions=2, eps=1e-6)
        assert max(errors.values()) < 1e-7

    def test_backward_params_and_a_frozen_trunk(self, rng):
        net, x, dy = generic(LATE, rng), rng.normal(size=(1, 6, 33, 40)), rng.normal(size=(1, 4, 33, 40))
        net(x)
        net.backward(dy)
        expected = {key: gradient.copy() for key, gradient in net.grads.items()}
        net.zero_grad()
        net(x)
        assert net.backward_params(dy) is None
        for key, gradient in net.grads.items():
            close(gradient, expected[key])
        net.freeze_trunk().zero_grad()
        net(x)
        assert net.backward(dy) is None
        assert {key.split(".")[0] for key, gradient in net.grads.items() if gradient.any()} == {
            "score_frcolor",
            "score_frhha",
        }
        assert net.frozen_params() == {key for key in net.params if not key.startswith("score")}

    def test_streams_of_other_widths(self, rng):
        """Three colours and one channel of depth, as the drawn world has."""
        net = build(LATE, 2, width=2, in_channels=(3, 1))
        assert net.params["conv1_1hha.weight"].shape == (2, 1, 3, 3)
        assert net(rng.normal(size=(1, 4, 33, 40)).astype(np.float32)).shape == (1, 2, 33, 40)
        with refuses("the streams read 3 and 1 channels of the image, one after the other; got x (1, 6, 33, 40)"):
            net(rng.normal(size=(1, 6, 33, 40)))
        with refuses("in_channels must be an integer"):
            build("mini_fcn32s", 2, width=1, in_channels=(3, 3))

    def test_dropout_goes_on_with_one_generator(self):
        generators = build("fcn32s_late_fusion", 2, width=1).generators()
        assert list(generators) == [f"drop{n}{modality}.rng" for modality in ("color", "hha") for n in (6, 7)]
        assert len(set(map(id, generators.values()))) == 1


class TestSurgery:
    def test_streams_from_two_single_networks(self, rng):
        color, hha = (generic("mini_fcn32s", np.random.default_rng(seed)) for seed in (5, 6))
        net = build(LATE, 4, width=3, dtype=np.float64, fusion="sum")
        reports = [transplant(net, old, suffix) for old, suffix in ((color, "color"), (hha, "hha"))]
        assert reports[0].dropped == reports[1].dropped == []
        assert all(("hha" in name) for name in reports[0].initialised)
        assert sorted(reports[0].copied + reports[1].copied) == sorted(net.params)
        x = rng.normal(size=(1, 6, 40, 50))
        close(net(x), color(x[:, :3]) + hha(x[:, 3:]))

    def test_without_the_suffix_nothing_fits(self, rng):
        net = build(LATE, 4, width=3)
        report = transplant(net, build("mini_fcn32s", 4, width=3))
        assert report.copied == []
        assert report.initialised == list(net.params)

    @pytest.mark.parametrize("fill", ["mean", "zero"])
    def test_a_fourth_channel(self, fill, rng):
        old = generic("mini_fcn8s", rng)
        new = build("mini_fcn8s", 4, width=3, in_channels=4, dtype=np.float64)
        report = transplant(new, with_depth(old, fill))
        assert report.dropped == report.initialised == []
        weight, theirs = new.params["conv1_1_bgrd.weight"], old.params["conv1_1.weight"]
        np.testing.assert_array_equal(weight[:, :3], theirs)
        expected = (theirs[:, 0] + theirs[:, 1] + theirs[:, 2]) / 3 if fill == "mean" else 0 * theirs[:, 0]
        close(weight[:, 3], expected)
        np.testing.assert_array_equal(new.params["conv1_1_bgrd.bias"], old.params["conv1_1.bias"])
        x = rng.normal(size=(1, 4, 40, 50))
        assert (np.abs(new(x) - old(x[:, :3])).max() < 1e-12) == (fill == "zero")

    def test_depth_keeps_the_rest_and_the_old_network(self, rng):
        old = generic("mini_fcn32s", rng)
        state = with_depth(old)
        assert "conv1_1.weight" in old.params
        assert list(state)[-2:] == ["conv1_1_bgrd.weight", "conv1_1_bgrd.bias"]
        assert with_depth(old.state_dict()).keys() == state.keys()
        with refuses("of three input channels, (F, 3, kh, kw); got none"):
            with_depth(state)
        with refuses("got shape (3, 1, 3, 3)"):
            with_depth(build("mini_fcn32s", 4, width=3, in_channels=1))
        with refuses("fill must be one of 'mean', 'zero'; got 'noise'"):
            with_depth(old, "noise")

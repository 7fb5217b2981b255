"""Copying parameters from one network to the next: transplants, state dicts, the dense kernels of public files."""

import numpy as np
import pytest
from arrays import close, refuses

from fcn_from_scratch.models import Transplant, build, transplant

CONVS = [f"conv{stage}_1.{part}" for stage in range(1, 6) for part in ("weight", "bias")]
FC = ["fc6.weight", "fc6.bias", "fc7.weight", "fc7.bias"]


def score(*layers):
    return [f"score_{layer}.{part}" for layer in layers for part in ("weight", "bias")]


def randomised(net, seed=2):
    rng = np.random.default_rng(seed)
    for array in net.params.values():
        array[...] = rng.normal(size=array.shape)
    return net


def bilinear(channels, size):
    """The dense block of the public files: per class the kernel by its formula, zero between classes."""
    ramp = 1 - abs(np.arange(size) - (size - 1) / 2) / ((size + 1) // 2)
    return np.einsum("ij,a,b->ijab", np.eye(channels), ramp, ramp)


class TestTransplant:
    def test_classifier_to_32s(self):
        old = randomised(build("mini_classifier", 7, width=2))
        new = build("mini_fcn32s", 3, width=2)
        assert transplant(new, old) == Transplant(
            copied=[*CONVS, "fc6.bias", "fc7.bias"],
            reshaped=["fc6.weight", "fc7.weight"],
            dropped=["fc8.weight", "fc8.bias"],
            initialised=score("fr"),
        )
        for name in (*CONVS, "fc6.bias", "fc7.bias"):
            np.testing.assert_array_equal(new.params[name], old.params[name])
        assert not new.params["score_fr.weight"].any()

    def test_fc6_is_reshaped_channel_by_channel_row_by_row(self):
        old = randomised(build("mini_classifier", 7, width=1))
        new = build("mini_fcn32s", 3, width=1)
        transplant(new, old)
        weight, dense = new.params["fc6.weight"], old.params["fc6.weight"]
        assert weight.shape == (8, 8, 3, 3)
        for f, c, a, b in np.ndindex(weight.shape):
            assert weight[f, c, a, b] == dense[f, 9 * c + 3 * a + b]
        np.testing.assert_array_equal(new.params["fc7.weight"][:, :, 0, 0], old.params["fc7.weight"])

    def test_32s_to_16s_to_8s(self):
        first = randomised(build("mini_fcn32s", 3, width=2))
        second, third = build("mini_fcn16s", 3, width=2), build("mini_fcn8s", 3, width=2)
        assert transplant(second, first) == Transplant([*CONVS, *FC, *score("fr")], [], [], score("pool4"))
        assert not second.params["score_pool4.weight"].any()
        randomised(second, seed=3)
        assert transplant(third, second) == Transplant([*CONVS, *FC, *score("fr", "pool4")], [], [], score("pool3"))
        for name, array in second.params.items():
            np.testing.assert_array_equal(third.params[name], array)

    def test_a_new_skip_changes_no_score_at_first(self, rng):
        """16s with a fresh skip scores like 32s whose coarse scores go up in two bilinear steps."""
        old = randomised(build("mini_fcn32s", 3, width=2, dtype=np.float64))
        new = build("mini_fcn16s", 3, width=2, dtype=np.float64)
        transplant(new, old)
        x = rng.normal(size=(1, 3, 50, 70))
        y = new(x)
        new.params["score_pool4.weight"][...] = 1
        assert np.abs(new(x) - y).max() > 1e-3
        (_, upscore2, fuse), coarse = new.skips[0], old.score_fr(old.trunk(x)[0])
        assert fuse.offset == (-1, -1)
        twice = upscore2(coarse)[:, :, 1:5, 1:6]  # over pool4's 4x5 cells
        close(y, new.upscore(twice)[:, :, 8:58, 8:78])

    def test_upsampling_that_was_learned(self):
        first = randomised(build("mini_fcn32s", 3, width=1, upsampling="all_learned"))
        second = build("mini_fcn16s", 3, width=1, upsampling="all_learned")
        report = transplant(second, first)
        assert report.dropped == ["upscore.weight"]
        assert report.initialised == ["upscore2.weight", *score("pool4"), "upscore16.weight"]
        close(second.params["upscore2.weight"], bilinear(3, 4), 1e-6)
        close(second.params["upscore16.weight"], bilinear(3, 32), 1e-6)

    def test_other_classes_start_afresh(self):
        old, new = randomised(build("mini_fcn16s", 3, width=1)), build("mini_fcn16s", 5, width=1)
        report = transplant(new, old)
        assert report.dropped == report.initialised == score("fr", "pool4")
        assert report.copied == [*CONVS, *FC]
        assert not new.params["score_pool4.weight"].any()

    def test_takes_a_state_dict_and_copies_it(self):
        state = randomised(build("mini_fcn32s", 3, width=1)).state_dict()
        new = build("mini_fcn32s", 3, width=1)
        transplant(new, state)
        expected = state["conv1_1.weight"].copy()
        state["conv1_1.weight"] += 1
        np.testing.assert_array_equal(new.params["conv1_1.weight"], expected)

    def test_report_reads_as_a_line(self):
        report = Transplant(
            copied=["conv1_1.weight", "conv1_1.bias"], reshaped=["fc6.weight"], dropped=[], initialised=["a"]
        )
        assert str(report) == (
            "copied: conv1_1.weight, conv1_1.bias; reshaped: fc6.weight; dropped: none; initialised: a"
        )


class TestConvolutionalised:
    @pytest.mark.parametrize(("fc6_kernel", "width"), [(3, 4), (7, 2)])
    def test_equals_the_classifier_on_its_own_image(self, fc6_kernel, width, rng):
        """On 32 * fc6_kernel pixels, padded by 1: one cell, and the classifier's features in it."""
        classifier = randomised(build("mini_classifier", 5, width=width, fc6_kernel=fc6_kernel, dtype=np.float64))
        for name, array in classifier.params.items():
            array /= np.sqrt(max(np.prod(array.shape[1:]), 1)) if name.endswith("weight") else 10
        net = build(
            "mini_fcn32s", 5, width=width, fc6_kernel=fc6_kernel, fc6_padding=0, pad=16 * fc6_kernel, dtype=np.float64
        )
        transplant(net, classifier)
        net.trunk.children["conv1_1"].padding = (1, 1)
        x = rng.normal(size=(2, 3, 32 * fc6_kernel, 32 * fc6_kernel))
        dense = x
        for layer in classifier.layers[:-1]:  # all but fc8
            dense = layer(dense)
        top, _ = net.trunk(x)
        assert np.abs(dense).max() > 1e-3
        close(top, dense[:, :, None, None])

    def test_slides_over_a_larger_image(self, rng):
        """One stride further right, the net sees what the classifier sees on the image's right part, where no
        padding reaches: the same classifier without padding."""
        classifier = build("mini_classifier", 5, width=3, dtype=np.float64)
        net = build("mini_fcn32s", 5, width=3, fc6_padding=0, pad=48, dtype=np.float64)
        transplant(net, classifier)
        for each in (classifier, net):
            for layer in each.children.values():
                if hasattr(layer, "padding") and hasattr(layer, "out_channels"):
                    layer.padding = (0, 0)
        # without padding the five stages take 158 pixels to 3 cells, and 158 + 32 to 4
        x = rng.normal(size=(1, 3, 158, 190))
        top, _ = net.trunk(x)
        assert top.shape[2:] == (1, 2)
        for cell in range(2):
            dense = x[:, :, :, 32 * cell : 32 * cell + 158]
            for layer in classifier.layers[:-1]:
                dense = layer(dense)
            assert np.abs(dense).max() > 1e-3
            close(top[:, :, 0, cell], dense)


KERNELS = [
    ("mini_fcn32s", {"upscore": 64}),
    ("mini_fcn16s", {"upscore2": 4, "upscore16": 32}),
    ("mini_fcn8s", {"upscore2": 4, "upscore_pool4": 4, "upscore8": 16}),
]


class TestLoadStateDict:
    @pytest.mark.parametrize(("name", "kernels"), KERNELS)
    def test_public_files_hold_the_fixed_kernels(self, name, kernels):
        old, net = randomised(build(name, 3, width=1)), build(name, 3, width=1)
        state = old.state_dict() | {f"{key}.weight": bilinear(3, size) for key, size in kernels.items()}
        net.load_state_dict(state)
        for key, array in old.params.items():
            np.testing.assert_array_equal(net.params[key], array)

    @pytest.mark.parametrize(("name", "kernels"), KERNELS)
    def test_learned_kernels_are_refused(self, name, kernels):
        for key, size in kernels.items():
            net = build(name, 3, width=1)
            before = net.state_dict()
            good, rng = bilinear(3, size), np.random.default_rng(0)
            every_pair = np.broadcast_to(good[0, 0], good.shape)
            for wrong in (
                good + 0.01 * rng.normal(size=good.shape),
                every_pair,
                bilinear(3, size + 1),
                good[:2],
                good[0],
            ):
                with refuses(f"{key}.weight is not the bilinear kernel of size {size}", "learned", "upsampling="):
                    net.load_state_dict(randomised(build(name, 3, width=1)).state_dict() | {f"{key}.weight": wrong})
            with refuses(f"{key}.weight is not the bilinear kernel"):
                net.load_state_dict({f"{key}.weight": np.float32(1)}, strict=False)
            for name_of, array in net.params.items():
                np.testing.assert_array_equal(array, before[name_of])

    def test_a_net_that_learns_them_takes_them(self):
        net = build("mini_fcn16s", 3, width=1, upsampling="learned")
        state = randomised(build("mini_fcn16s", 3, width=1, upsampling="all_learned")).state_dict()
        with refuses("upscore16.weight is not the bilinear kernel of size 32"):
            net.load_state_dict(state)
        net.load_state_dict(state | {"upscore16.weight": bilinear(3, 32)})
        np.testing.assert_array_equal(net.params["upscore2.weight"], state["upscore2.weight"])

    def test_names_are_compared_as_ever(self):
        net = build("mini_fcn16s", 3, width=1)
        state = net.state_dict()
        del state["fc6.bias"]
        state["upscore.weight"] = bilinear(3, 64)  # 32s's, not this network's
        with refuses("FCN 'mini_fcn16s'", "missing: fc6.bias", "unknown: upscore.weight"):
            net.load_state_dict(state)

    @pytest.mark.parametrize("name", ["mini_fcn8s", "mini_fcn8s_atonce", "mini_classifier"])
    def test_round_trip(self, name, rng):
        old = randomised(build(name, 3, width=1))
        net = build(name, 3, seed=9, width=1)
        net.load_state_dict(old.state_dict())
        x = rng.normal(size=(1, 3, 96, 96)).astype(np.float32)
        np.testing.assert_array_equal(net.eval()(x), old.eval()(x))

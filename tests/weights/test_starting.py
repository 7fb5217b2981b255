"""Starting points of the paper's networks: a depth channel, two streams, the rows of old classes."""

import numpy as np
import pytest
import weight_files as files
from arrays import refuses

from fcn_from_scratch import models, weights

COLOUR_D = {"width": 2, "in_channels": 4}


@pytest.fixture
def write(tmp_path):
    """A function that writes random arrays of a network's shapes as a file, and returns its path and the arrays."""
    rng = np.random.default_rng(1)

    def write(net, name, change=lambda arrays: arrays):
        arrays = {key: rng.standard_normal(w.shape).astype(np.float32) for key, w in net.params.items()}
        arrays = change(arrays)
        np.savez(tmp_path / name, **arrays)
        return tmp_path / name, arrays

    return write


def as_classifier(arrays):
    """A VGG16 before it is made fully convolutional, with a layer for ImageNet's classes."""
    arrays = {name: array for name, array in arrays.items() if not name.startswith("score")}
    for name in ("fc6.weight", "fc7.weight"):
        arrays[name] = arrays[name].reshape(len(arrays[name]), -1)
    return arrays | {"fc8.weight": np.zeros((1000, len(arrays["fc7.bias"])), np.float32)}


class TestDepth:
    def check(self, net, report, arrays):
        """As the solve.py of nyud-fcn32s-color-d: the colours copied, the depth their mean, the bias copied."""
        weight, layer = arrays["conv1_1.weight"], "conv1_1_bgrd"
        np.testing.assert_array_equal(net.params[f"{layer}.weight"][:, :3], weight)
        by_hand = (weight[:, 0] + weight[:, 1] + weight[:, 2]) / 3
        np.testing.assert_allclose(net.params[f"{layer}.weight"][:, 3], by_hand, atol=1e-6)
        np.testing.assert_array_equal(net.params[f"{layer}.bias"], arrays["conv1_1.bias"])
        np.testing.assert_array_equal(net.params["conv5_3.weight"], arrays["conv5_3.weight"])
        assert {f"{layer}.weight", f"{layer}.bias"} <= set(report.used)
        assert report.missing == ["score_fr.weight", "score_fr.bias"]
        assert any("the depth, starts as the mean" in note for note in report.notes)

    def test_vgg16(self, write):
        net = models.build("fcn32s", 40, **COLOUR_D)
        path, arrays = write(models.build("fcn32s", 40, width=2), "vgg16.npz", as_classifier)
        self.check(net, weights.load(net, path), arrays)

    def test_a_caffemodel(self, write, tmp_path):
        net = models.build("fcn32s", 40, **COLOUR_D)
        _, arrays = write(models.build("fcn32s", 40, width=2), "vgg16.npz", as_classifier)
        (tmp_path / "vgg16.caffemodel").write_bytes(files.caffemodel(arrays))
        self.check(net, weights.load(net, tmp_path / "vgg16.caffemodel"), arrays)

    def test_torchvisions_names(self, write, tmp_path):
        net = models.build("fcn32s", 40, **COLOUR_D)
        _, arrays = write(models.build("fcn32s", 40, width=2), "vgg16.npz", as_classifier)
        theirs = {"features.0.weight": arrays["conv1_1.weight"], "features.0.bias": arrays["conv1_1.bias"]}
        (tmp_path / "vgg16.pth").write_bytes(files.torch_zip(files.state_dict(theirs)))
        weights.load(net, tmp_path / "vgg16.pth")
        np.testing.assert_array_equal(net.params["conv1_1_bgrd.weight"][:, :3], arrays["conv1_1.weight"])
        np.testing.assert_array_equal(net.params["conv1_1_bgrd.bias"], arrays["conv1_1.bias"])

    def test_alexnet_has_no_other_name(self, write):
        net = models.build("fcn_alexnet", 40, **COLOUR_D)
        path, arrays = write(models.build("fcn_alexnet", 40, width=2), "alexnet.npz")
        weights.load(net, path)
        np.testing.assert_array_equal(net.params["conv1.weight"][:, :3], arrays["conv1.weight"])
        np.testing.assert_allclose(net.params["conv1.weight"][:, 3], arrays["conv1.weight"].mean(axis=1), atol=1e-6)

    def test_a_file_with_depth_is_copied(self, write):
        net = models.build("fcn32s", 40, **COLOUR_D)
        path, arrays = write(net, "w.npz")
        report = weights.load(net, path)
        np.testing.assert_array_equal(net.params["conv1_1_bgrd.weight"], arrays["conv1_1_bgrd.weight"])
        assert not any("the depth, starts" in note for note in report.notes)

    def test_another_width_is_refused(self, write):
        net = models.build("fcn32s", 40, width=4, in_channels=4)
        path, _ = write(models.build("fcn32s", 40, width=2), "w.npz")
        with refuses("w.npz", "(2, 2, 3, 3)"):
            weights.load(net, path)


class TestTwoStreams:
    @pytest.fixture
    def net(self):
        return models.build("fcn32s_late_fusion", 40, width=2)

    def test_colour_then_hha(self, net, write):
        """As the solve.py of nyud-fcn32s-color-hha: each network fills the layers with its stream's name."""
        single = models.build("fcn32s", 40, width=2)
        (colour, of_colour), (hha, of_hha) = write(single, "colour.npz"), write(single, "hha.npz")
        report = weights.load(net, [colour, hha])
        assert (report.missing, report.unused) == ([], [])
        for name, array in of_colour.items():
            layer, _, kind = name.rpartition(".")
            np.testing.assert_array_equal(net.params[f"{layer}color.{kind}"], array)
            np.testing.assert_array_equal(net.params[f"{layer}hha.{kind}"], of_hha[name])

    def test_their_upsampling_is_fixed(self, net, write, tmp_path):
        """A Caffe file holds the bilinear kernel, which is a constant of ours."""
        single = models.build("fcn32s", 40, width=2)
        path, arrays = write(single, "a.npz")
        (tmp_path / "a.caffemodel").write_bytes(
            files.caffemodel(arrays | {"upscore.weight": bilinear(40, 64)}),
        )
        report = weights.load(net, [tmp_path / "a.caffemodel", path])
        assert report.fixed == ["upscore.weight"]
        assert not report.missing

    @pytest.mark.parametrize("number", [2, 3])
    def test_another_network_takes_one(self, write, number):
        path, _ = write(models.build("fcn32s", 40, width=2), "a.npz")
        with refuses(f"{number} files of weights", "fcn32s is none"):
            weights.load(models.build("fcn32s", 40, width=2), [path] * number)

    def test_three(self, net, write):
        path, _ = write(models.build("fcn32s", 40, width=2), "a.npz")
        with refuses("3 files of weights", "is one"):
            weights.load(net, [path] * 3)

    def test_a_bad_second_file_leaves_the_network_as_it_is(self, net, write):
        before = {name: array.copy() for name, array in net.params.items()}
        good, _ = write(models.build("fcn32s", 40, width=2), "a.npz")
        bad, _ = write(models.build("fcn32s", 40, width=4), "b.npz")
        with refuses("b.npz", "conv1_1"):
            weights.load(net, [good, bad])
        for name, array in before.items():
            np.testing.assert_array_equal(net.params[name], array)

    def test_one_file_of_a_late_fusion(self, net, write):
        path, arrays = write(net, "both.npz")
        assert not weights.load(net, [path]).missing
        np.testing.assert_array_equal(net.params["conv1_1hha.weight"], arrays["conv1_1hha.weight"])


def bilinear(channels, size):
    """The kernel of a fixed upsampling layer, from its formula."""
    factor = size / 2
    tap = 1 - np.abs(np.arange(size) - (factor - 0.5)) / factor
    weight = np.zeros((channels, channels, size, size), np.float32)
    weight[range(channels), range(channels)] = tap[:, None] * tap
    return weight


class TestOldClasses:
    """As expand_score of the public code: the first rows of the new score layer are the old classes."""

    @pytest.mark.parametrize(("old", "new", "kept"), [(5, 8, 5), (5, 8, 3), (8, 5, 5), (8, 5, 2), (5, 5, 3)])
    def test_their_rows_are_kept(self, write, old, new, kept):
        path, arrays = write(models.build("mini_fcn8s", old, width=2), "w.npz")
        net = models.build("mini_fcn8s", new, width=2, seed=3)
        for name, array in net.params.items():
            if name.startswith("score"):
                array[...] = 7
        report = weights.load(net, path, new_scores=kept)
        for name in ("score_fr", "score_pool4", "score_pool3"):
            for kind in ("weight", "bias"):
                found = net.params[f"{name}.{kind}"]
                np.testing.assert_array_equal(found[:kept], arrays[f"{name}.{kind}"][:kept])
                assert (found[kept:] == 7).all()
        assert not report.missing
        assert f"score_fr.weight keeps the rows of {kept} of the file's {old} classes" in report.notes
        np.testing.assert_array_equal(net.params["fc7.weight"], arrays["fc7.weight"])

    def test_learned_upsampling_has_two_axes_of_classes(self, write):
        path, arrays = write(models.build("mini_fcn32s", 4, width=2, upsampling="all_learned"), "w.npz")
        net = models.build("mini_fcn32s", 6, width=2, upsampling="all_learned")
        before = net.params["upscore.weight"].copy()
        weights.load(net, path, new_scores=3)
        found = net.params["upscore.weight"]
        np.testing.assert_array_equal(found[:3, :3], arrays["upscore.weight"][:3, :3])
        np.testing.assert_array_equal(found[3:], before[3:])
        np.testing.assert_array_equal(found[:3, 3:], before[:3, 3:])

    def test_a_head_that_fits_is_loaded_whole(self, write):
        """Three geometric classes stay three while the semantic ones become more."""
        path, arrays = write(models.build("mini_fcn32s_two_heads", (5, 3), width=2), "w.npz")
        net = models.build("mini_fcn32s_two_heads", (9, 3), width=2)
        weights.load(net, path, new_scores=5)
        np.testing.assert_array_equal(net.params["score_fr_geo.weight"], arrays["score_fr_geo.weight"])
        np.testing.assert_array_equal(net.params["score_fr_sem.weight"][:5], arrays["score_fr_sem.weight"])

    @pytest.mark.parametrize(("old", "new"), [(5, 8), (8, 5)])
    def test_more_than_there_are(self, write, old, new):
        path, _ = write(models.build("mini_fcn8s", old, width=2), "w.npz")
        with refuses("w.npz", "rows of 6 classes", f"{old} in the file and {new} in the network"):
            weights.load(models.build("mini_fcn8s", new, width=2), path, new_scores=6)

    def test_none_are_kept_without_a_number(self, write):
        path, _ = write(models.build("mini_fcn8s", 5, width=2), "w.npz")
        net = models.build("mini_fcn8s", 8, width=2)
        report = weights.load(net, path, new_scores=True)
        assert set(report.missing) == {f"{n}.{k}" for n in files_of(net) for k in ("weight", "bias")}
        assert not net.params["score_fr.weight"].any()

    def test_another_width_is_refused_all_the_same(self, write):
        path, _ = write(models.build("mini_fcn8s", 5, width=4), "w.npz")
        with refuses("w.npz"):
            weights.load(models.build("mini_fcn8s", 8, width=2), path, new_scores=5)


def files_of(net):
    return {name.partition(".")[0] for name in net.params if name.startswith("score")}

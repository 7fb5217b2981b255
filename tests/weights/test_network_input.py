"""The rule for what a network reads. The expected inputs are made by hand, as the paper's public code makes them."""

import json
from dataclasses import replace

import numpy as np
import pytest
import trees
import weight_files as files
from arrays import refuses

from fcn_from_scratch import datasets, models, weights
from fcn_from_scratch.cli import main
from fcn_from_scratch.datasets import CAFFE, TORCHVISION, Preprocess
from fcn_from_scratch.models import MINI_TRANSFORM
from fcn_from_scratch.training import fit
from fcn_from_scratch.weights import network_input

# the means of the public code's data layers, in the order of their channels
VOC = (104.00698793, 116.66876762, 122.67891434)
CONTEXT = (104.007, 116.669, 122.679)
SIFT_FLOW = (114.578, 115.294, 108.353)
NYUD, HHA, LOG_DEPTH = (116.190, 97.203, 92.318), (132.431, 94.076, 118.477), 7.844


def bgr(image, mean):
    return image[:, :, 2::-1].astype(np.float32) - np.float32(mean)


def nyud_by_hand(image, modality):
    """The input of the paper's NYUDv2 networks: BGR, ln(depth), and HHA in the files' order."""
    if modality == "hha":
        return image.astype(np.float32) - np.float32(HHA)
    parts = [bgr(image, NYUD)]
    if modality == "color-d":
        parts.append(image[:, :, 3:].astype(np.float32) - np.float32(LOG_DEPTH))
    if modality == "color-hha":
        parts.append(image[:, :, 3:].astype(np.float32) - np.float32(HHA))
    return np.concatenate(parts, axis=2)


@pytest.fixture
def tree(tmp_path, rng):
    trees.nyud(tmp_path, rng, train=["5003"])
    trees.siftflow(tmp_path, rng, ["coast_a"], ["coast_b"])
    trees.voc(tmp_path, rng, train=["2007_000001"])
    trees.sbd(tmp_path, rng, train=["2008_000002"])
    trees.pascalcontext(tmp_path, rng, train=["2008_000003"])
    return tmp_path


class Pictures(datasets.Dataset):
    """A data set that no published code prepares."""


def network(modality="color", num_classes=40):
    if modality == "color-hha":
        return models.build("fcn32s_late_fusion", num_classes, width=1)
    options = {"in_channels": 4} if modality == "color-d" else {}
    return models.build("fcn32s", num_classes, width=1, **options)


def plain(net, path):
    """Weights that record nothing, read back into a network of the same kind."""
    np.savez(path, **net.params)
    weights.load(net, path)
    return net


def recorded(net, path, transform, **arguments):
    """The same with a record, as `fcn train` leaves it."""
    meta = {"model": net.name, "extra": {"transform": transform.as_dict(), "arguments": arguments}}
    arrays = {f"model/{name}": array for name, array in net.params.items()}
    np.savez(path, **arrays, meta=np.frombuffer(json.dumps(meta).encode(), np.uint8))
    weights.load(net, path)
    return net


class TestWhatThePublishedCodeFed:
    """Weights that record no preprocessing."""

    @pytest.mark.parametrize("modality", ["color", "color-d", "hha", "color-hha"])
    def test_nyud(self, tree, modality):
        dataset = datasets.build("nyud", tree, "train", modality=modality)
        net = plain(network(modality), tree / "w.npz")
        line = weights.feed(net, dataset)
        expected = nyud_by_hand(dataset[0].image, modality)
        np.testing.assert_allclose(net.transform(dataset[0].image).transpose(1, 2, 0), expected, atol=1e-4)
        assert "published code" in line
        assert network_input.WORDS[modality] in line

    @pytest.mark.parametrize(
        ("name", "split", "mean"),
        [
            ("voc", "train", VOC),
            ("sbd", "train", VOC),
            ("pascalcontext", "train", CONTEXT),
            ("siftflow", "test", SIFT_FLOW),
        ],
    )
    def test_the_others(self, tree, name, split, mean):
        dataset = datasets.build(name, tree, split)
        net = plain(network(), tree / "w.npz")
        weights.feed(net, dataset)
        expected = bgr(dataset[0].image, mean)
        np.testing.assert_allclose(net.transform(dataset[0].image).transpose(1, 2, 0), expected, atol=1e-4)

    @pytest.mark.parametrize("modality", ["color", "hha"])
    @pytest.mark.parametrize("convert", [False, True])
    def test_caffes_files_leave_the_mean_open(self, tree, convert, modality):
        """A .caffemodel says BGR, 0..255, and not whose mean; nor does the .npz that it is converted to."""
        dataset, net = datasets.build("nyud", tree, "train", modality=modality), network()
        path = tree / "w.caffemodel"
        path.write_bytes(files.caffemodel(net.params))
        if convert:
            assert main(["weights", "convert", str(path), str(tree / "w.npz")]) == 0
            path = tree / "w.npz"
        weights.load(net, path)
        weights.feed(net, dataset)
        expected = nyud_by_hand(dataset[0].image, modality)
        np.testing.assert_allclose(net.transform(dataset[0].image).transpose(1, 2, 0), expected, atol=1e-4)

    def test_a_lesson_network_keeps_its_deviation(self, tree):
        dataset = datasets.build("siftflow", tree, "test")
        net = models.build("mini_fcn8s", 33)
        weights.feed(net, dataset)
        assert (net.transform.mean, net.transform.std) == (SIFT_FLOW, (60.0, 60.0, 60.0))

    def test_torchvisions_scale_belongs_to_the_weights(self, tree):
        """HHA for a VGG16 of torchvision: its units, the data set's mean, and no flip."""
        dataset = datasets.build("nyud", tree, "train", modality="hha")
        net = network()
        path = tree / "w.pth"
        path.write_bytes(files.torch_zip(files.state_dict({"features.0.weight": net.params["conv1_1.weight"]})))
        weights.load(net, path)
        weights.feed(net, dataset)
        expected = (dataset[0].image / 255 - np.divide(HHA, 255)) / (0.229, 0.224, 0.225)
        np.testing.assert_allclose(net.transform(dataset[0].image).transpose(1, 2, 0), expected, atol=1e-4)

    def test_once_more_changes_nothing(self, tree):
        for modality in ("color", "color-d", "hha", "color-hha"):
            dataset, net = datasets.build("nyud", tree, "train", modality=modality), network(modality)
            net.transform = TORCHVISION
            weights.feed(net, dataset)
            once = net.transform
            weights.feed(net, dataset)
            assert net.transform == once


class TestWhatTheWeightsRecord:
    OTHER = Preprocess((1, 2, 3), "RGB", 0.5, (4, 5, 6))

    @pytest.mark.parametrize("modality", ["color", "color-d", "hha", "color-hha"])
    def test_it_counts_most(self, tree, modality):
        dataset = datasets.build("nyud", tree, "train", modality=modality)
        net = recorded(network(modality), tree / "w.npz", self.OTHER, modality=modality)
        assert "as the weights record" in weights.feed(net, dataset)
        assert net.transform == self.OTHER

    def test_vocs_mean_too(self, tree):
        """Weights that were trained with VOC's mean are scored with it, wherever."""
        dataset = datasets.build("siftflow", tree, "test")
        net = recorded(network(), tree / "w.npz", CAFFE)
        weights.feed(net, dataset)
        assert net.transform == CAFFE

    def test_colours_say_nothing_about_depth(self, tree):
        dataset = datasets.build("nyud", tree, "train", modality="color-d")
        start = recorded(network("color"), tree / "w.npz", self.OTHER)
        assert start.told.modality == "color"
        net = network("color-d")
        weights.load(net, tree / "w.npz")
        weights.feed(net, dataset)
        x, image = net.transform(dataset[0].image), dataset[0].image
        np.testing.assert_allclose(x[:3], self.OTHER(image[:, :, :3].astype(np.uint8)), atol=1e-4)
        np.testing.assert_allclose(x[3], image[:, :, 3] - LOG_DEPTH, atol=1e-4)

    def test_colours_say_nothing_about_hha(self, tree):
        dataset = datasets.build("nyud", tree, "train", modality="hha")
        net = recorded(network(), tree / "w.npz", CAFFE)
        assert "published code" in weights.feed(net, dataset)
        assert (net.transform.order, net.transform.mean) == ("RGB", HHA)

    def test_hha_is_known_by_its_transform(self, tree):
        """An exported file holds no settings of a run."""
        net = recorded(network(), tree / "w.npz", Preprocess(HHA, "RGB"))
        assert net.told.modality == "hha"
        assert "HHA pictures" in weights.feed(net)
        dataset = datasets.build("nyud", tree, "train")
        weights.feed(net, dataset)
        assert (net.transform.order, net.transform.mean) == ("BGR", NYUD)

    @pytest.mark.parametrize("name", ["fcn32s", "fcn_alexnet", "fcn_googlenet"])
    def test_depth_is_known_by_its_first_layer(self, tmp_path, name):
        net = recorded(models.build(name, 5, width=4, in_channels=4), tmp_path / "w.npz", self.OTHER)
        assert net.told.modality == "color-d"
        net = recorded(models.build(name, 5, width=4), tmp_path / "w.npz", self.OTHER)
        assert net.told.modality == "color"

    def test_own_pictures_are_what_the_weights_read(self, tmp_path):
        net = recorded(network(), tmp_path / "w.npz", Preprocess(HHA, "RGB"))
        weights.feed(net, Pictures())
        assert net.transform == Preprocess(HHA, "RGB")


class TestTheNetworksOwn:
    @pytest.mark.parametrize(("name", "own"), [("mini_fcn8s", MINI_TRANSFORM), ("fcn8s", CAFFE)])
    def test_where_nothing_else_tells(self, name, own):
        net = models.build(name, 6, width=1)
        assert "the network's own" in weights.feed(net, Pictures())
        assert net.transform == own

    def test_without_a_data_set_more_channels_are_nyuds(self):
        """They are the only published networks that read more than colours."""
        for modality in ("color-d", "color-hha"):
            net = network(modality)
            weights.feed(net)
            image = np.random.default_rng(0).integers(1, 256, size=(4, 5, 4 if modality == "color-d" else 6))
            expected = nyud_by_hand(image, modality)
            np.testing.assert_allclose(net.transform(image).transpose(1, 2, 0), expected, atol=1e-4)


class TestFit:
    def test_it_feeds_what_the_published_code_fed(self, tree):
        dataset = datasets.build("nyud", tree, "train", modality="hha")
        net = network()
        seen = []
        forward = net.forward
        net.forward = lambda x: seen.append(np.array(x)) or forward(x)
        fit(net, dataset, steps=1, lr=1e-9, batch_size=1, progress=False)
        np.testing.assert_allclose(seen[0][0].transpose(1, 2, 0), nyud_by_hand(dataset[0].image, "hha"), atol=1e-4)

    def test_from_then_on_the_weights_record_it(self, tree):
        net = models.build("mini_fcn32s", 6, width=2)
        fit(net, datasets.Shapes(2, 32), steps=1, lr=1e-3, batch_size=1, progress=False)
        assert "as the network was trained" in weights.feed(net, datasets.build("voc", tree, "train"))
        assert net.transform == MINI_TRANSFORM

    def test_what_the_weights_record_stays(self, tree):
        own = Preprocess((1, 2, 3), std=(4, 5, 6))
        net = recorded(network(num_classes=21), tree / "w.npz", own)
        fit(net, datasets.build("voc", tree, "train"), steps=1, lr=1e-9, batch_size=1, progress=False)
        assert net.transform == own


class TestTwoFiles:
    def told(self, transform, modality):
        return network_input.Told(transform, "as the weights record", modality)

    def test_each_says_its_part(self):
        colour, hha = Preprocess((1, 2, 3)), Preprocess((4, 5, 6), "RGB")
        both = network_input.of_streams((self.told(colour, "color"), self.told(hha, "hha")))
        image = np.random.default_rng(0).integers(256, size=(3, 4, 6), dtype=np.uint8)
        x = both.transform(image)
        np.testing.assert_allclose(x[:3], colour(image[:, :, :3]))
        np.testing.assert_allclose(x[3:], hha(image[:, :, 3:]))

    @pytest.mark.parametrize("scale", [1 / 255, 1.0])
    def test_one_that_says_nothing(self, scale):
        mean, std = tuple(m * scale for m in (4, 5, 6)), (0.5, 0.5, 0.5)
        hha = Preprocess(mean, "RGB", scale, std)
        both = network_input.of_streams((None, self.told(hha, "hha"))).transform
        image = np.random.default_rng(0).integers(256, size=(3, 4, 6), dtype=np.uint8)
        np.testing.assert_allclose(both(image)[3:], hha(image[:, :, 3:]), atol=1e-4)
        expected = bgr(image, NYUD).transpose(2, 0, 1) * scale / 0.5
        np.testing.assert_allclose(both(image)[:3], expected, atol=1e-3)
        colour = replace(CAFFE, mean=(1, 2, 3))
        assert network_input.of_streams((self.told(colour, "color"), None)).transform.hha_mean == HHA
        assert network_input.of_streams((None, None)) is None

    def test_in_the_wrong_order(self):
        """Both have three channels: only the record tells."""
        with refuses("the first of the two files is of an HHA network"):
            network_input.of_streams((self.told(Preprocess(HHA, "RGB"), "hha"), self.told(CAFFE, "color")))

    def test_a_second_file_of_colours_says_nothing_about_hha(self):
        both = network_input.of_streams((self.told(CAFFE, "color"), self.told(Preprocess((1, 2, 3)), "color")))
        assert both.transform.hha_mean == HHA
        assert both.transform.mean == VOC

    def test_that_contradict_each_other(self):
        with refuses("the two files do not fit together", "0..1", "0..255"):
            network_input.of_streams((self.told(TORCHVISION, "color"), self.told(Preprocess(HHA, "RGB"), "hha")))

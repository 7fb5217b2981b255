"""Other projects' names for the paper's layers, and networks that only look like the paper's."""

import numpy as np
import pytest
import weight_files as files
from arrays import refuses, torch_module

from fcn_from_scratch import models, weights
from fcn_from_scratch.datasets import CAFFE, TORCHVISION
from fcn_from_scratch.weights import names

# torchvision's vgg16 is a list of layers: convolutions with a ReLU each, and a pool after each stage
VGG16_FEATURES = [64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512, "M"]


def vgg_names(plan=VGG16_FEATURES, batch_norm=False):
    """The names of torchvision's convolutions, by counting its layers, and of its classifier's."""
    found, number = [], 0
    for entry in plan:
        if entry == "M":
            number += 1
            continue
        found.append(f"features.{number}")
        if batch_norm:
            found.append(f"features.{number + 1}")
        number += 3 if batch_norm else 2
    return [*found, "classifier.0", "classifier.3", "classifier.6"]


@pytest.fixture
def net():
    return models.build("fcn32s", 4, width=1, seed=1)


@pytest.fixture
def vgg(net, rng):
    """The parameters of a thin VGG16 under torchvision's names, in its order."""
    layers = [*dict.fromkeys(name.split(".")[0] for name in net.params if not name.startswith("score")), "fc8"]
    arrays = {}
    for theirs, ours in zip(vgg_names(), layers):
        shape = net.params[f"{ours}.weight"].shape if ours != "fc8" else (10, 64)
        shape = (shape[0], int(np.prod(shape[1:]))) if ours.startswith("fc") else shape
        arrays[f"{theirs}.weight"] = rng.standard_normal(shape).astype(np.float32)
        arrays[f"{theirs}.bias"] = rng.standard_normal(shape[0]).astype(np.float32)
    assert list(arrays)[-6] == "classifier.0.weight"
    return arrays


@pytest.fixture
def load(tmp_path):
    def load(net, arrays, **options):
        (tmp_path / "theirs.pth").write_bytes(files.torch_stream(files.state_dict(arrays)))
        return weights.load(net, tmp_path / "theirs.pth", **options)

    return load


class TestTorchvisionsVGG16:
    def test_every_value_unchanged(self, net, vgg, load):
        report = load(net, vgg)
        assert report.missing == ["score_fr.weight", "score_fr.bias"]
        assert report.unused == ["classifier.6.weight", "classifier.6.bias"]
        ours = [name for name in net.params if not name.startswith("score")]
        assert report.used == ours
        for name, array in zip(ours, vgg.values()):
            np.testing.assert_array_equal(net.params[name].ravel(), array.ravel(), name)

    def test_its_preprocessing_is_the_models(self, net, vgg, load):
        assert net.transform == CAFFE
        report = load(net, vgg)
        assert net.transform == TORCHVISION
        assert len(report.notes) == 1
        assert "RGB, 0..1" in report.notes[0]
        assert "names are torchvision's" in report.notes[0]

    def test_caffes_values_under_its_names_are_asked_for(self, net, vgg, load):
        report = load(net, vgg, preprocessing="caffe")
        assert net.transform == CAFFE
        assert "as asked for" in report.notes[0]

    def test_a_part_of_it_and_parallel(self, net, vgg, load):
        part = {f"module.{name}": array for name, array in vgg.items() if name.startswith("features")}
        report = load(net, part)
        assert report.missing[:2] == ["fc6.weight", "fc6.bias"]
        assert not report.unused
        assert net.transform == TORCHVISION

    def test_without_the_first_layer_the_preprocessing_stays(self, net, vgg, load):
        del vgg["features.0.weight"]
        load(net, vgg)
        assert net.transform == CAFFE

    def test_a_name_twice(self, net, vgg, load):
        with refuses("theirs.pth holds conv1_1.weight twice"):
            load(net, vgg | {"conv1_1.weight": vgg["features.0.weight"]})

    def test_its_classifier_as_one(self, load):
        """features and classifier.0, .3, .6 are conv1_1 ... fc6, fc7, fc8 of the classifier too."""
        net = models.build("mini_classifier", 10, width=1, fc6_kernel=7, convs=(2, 2, 3, 3, 3))
        theirs = [f"{name}.{kind}" for name in vgg_names() for kind in ("weight", "bias")]
        arrays = {name: np.full(w.shape, n, "f4") for n, (name, w) in enumerate(zip(theirs, net.params.values()))}
        assert not load(net, arrays).missing
        assert [float(w.flat[0]) for w in net.params.values()] == list(range(32))


class TestStrangers:
    @pytest.mark.parametrize(
        ("theirs", "reason"),
        [
            (["backbone.conv1.weight", "classifier.0.weight", "classifier.4.bias"], "none of the paper's networks"),
            (["module.backbone.layer1.0.conv1.weight", "aux_classifier.0.weight"], "none of the paper's networks"),
            (["conv1.conv.weight", "inception3a.branch1.conv.weight"], "torchvision's googlenet"),
            (["features.0.weight", "features.1.running_mean", "features.3.weight"], "batch normalisation"),
            (vgg_names([64, "M", 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M"]), "another VGG"),  # vgg11
            (vgg_names([64, 64, "M", 128, 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M"]), "another VGG"),
            (vgg_names([*[64] * 2, "M", *[128] * 2, "M", *[256] * 4, "M", *[512] * 4, "M", *[512] * 4]), "another VGG"),
        ],
        ids=["fcn_resnet", "parallel", "googlenet", "vgg16_bn", "vgg11", "vgg13", "vgg19"],
    )
    def test_are_refused_in_a_sentence(self, net, load, theirs, reason):
        arrays = {name if name[-1] in "tsn" else f"{name}.weight": np.ones(3, np.float32) for name in theirs}
        with refuses("theirs.pth", reason):
            load(net, arrays)

    @pytest.mark.parametrize("prefix", ["backbone.", "backbone.fcn.", "module.backbone.", "backbone.model.trunk."])
    @pytest.mark.parametrize("network", ["mini_fcn8s", "fcn_alexnet"])
    def test_the_word_backbone_alone_says_nothing(self, load, prefix, network):
        net = models.build(network, 4, width=2, seed=1)
        arrays = {f"{prefix}{name}": np.full(w.shape, 3, np.float32) for name, w in net.params.items()}
        report = load(net, arrays)
        assert (report.missing, report.unused) == ([], [])
        assert all((w == 3).all() for w in net.params.values())

    @pytest.mark.parametrize(
        "theirs",
        [
            ["backbone.bn1.weight"],  # a file of the backbone alone
            ["backbone.body.layer3.0.conv1.weight"],
            ["backbone.0.0.weight", "backbone.1.block.0.0.weight"],  # mobilenet
        ],
    )
    def test_backbones_of_torchvision(self, net, load, theirs):
        with refuses("theirs.pth", "none of the paper's networks"):
            load(net, {name: np.ones(3, np.float32) for name in theirs})

    def test_the_paper_is_none(self, net):
        assert names.stranger(net.params) is None
        for name in ("fcn_alexnet", "fcn_googlenet", "fcn8s_two_heads", "fcn32s_late_fusion"):
            theirs = models.build(name, 4, width=2, seed=None).params
            assert names.stranger(theirs) is None
            assert set(names.ours(theirs).values()) == theirs.keys()

    def test_torchvisions_alexnet_does_not_fit(self, load):
        """Mapped by name, so that the message can say which shapes differ and why."""
        net = models.build("fcn_alexnet", 4, seed=None)
        shapes = {
            0: (64, 3, 11, 11),
            3: (192, 64, 5, 5),
            6: (384, 192, 3, 3),
            8: (256, 384, 3, 3),
            10: (256, 256, 3, 3),
        }
        theirs = {f"features.{number}.weight": np.zeros(shape, np.float32) for number, shape in shapes.items()}
        with refuses("features.0.weight (conv1.weight)", "(64, 3, 11, 11)", "(96, 3, 11, 11)", "no groups", "Caffe's"):
            load(net, theirs)

    def test_caffenet_under_torchvisions_names_does(self, load):
        net = models.build("fcn_alexnet", 4, width=4, seed=None)
        numbers = {"conv1": 0, "conv2": 3, "conv3": 6, "conv4": 8, "conv5": 10}
        theirs = {
            f"features.{n}.weight": np.full(net.params[f"{ours}.weight"].shape, n, "f4") for ours, n in numbers.items()
        }
        report = load(net, theirs, preprocessing="caffe")
        assert report.used == [f"{name}.weight" for name in numbers]
        assert net.params["conv4.weight"].max() == 8


class TestClasses:
    def test_another_number_of_classes_says_what_to_do(self, net, load):
        theirs = {name: np.ones(w.shape, np.float32) for name, w in models.build("fcn32s", 7, width=1).params.items()}
        with refuses("score_fr.weight has shape (7, 64, 1, 1)", "7 classes", "--num-classes", "new_scores=True"):
            load(net, theirs)
        report = load(net, theirs, new_scores=True)
        assert report.unused == report.missing == ["score_fr.weight", "score_fr.bias"]
        assert not net.params["score_fr.weight"].any()
        assert net.params["fc7.weight"].min() == 1

    def test_new_scores_takes_those_that_fit(self, net, load):
        theirs = {name: np.ones(w.shape, np.float32) for name, w in net.params.items()}
        assert load(net, theirs, new_scores=True).missing == []

    def test_new_scores_does_not_excuse_other_layers(self, net, load):
        theirs = {name: np.ones(w.shape, np.float32) for name, w in models.build("fcn32s", 7, width=2).params.items()}
        with refuses("conv1_1.weight has shape (2, 3, 3, 3)", "another width"):
            load(net, theirs, new_scores=True)


# The names and shapes as Caffe's own nets have them
CAFFE_NETS = {
    "fcn_alexnet": ({"width": 6}, ["conv1", "conv2", "conv5", "fc6", "fc7", "score_fr"]),
    "fcn_googlenet": ({"width": 4}, ["conv1/7x7_s2", "conv2/3x3_reduce", "inception_3a/1x1", "inception_5b/pool_proj"]),
    "fcn8s_two_heads": ({"width": 1}, ["conv1_1", "fc7", "score_fr_sem", "score_pool3_geo", "score_pool4_sem"]),
    "fcn32s_late_fusion": ({"width": 1}, ["conv1_1color", "fc7hha", "score_frcolor", "score_frhha"]),
    "fcn32s": ({"width": 1, "in_channels": 4}, ["conv1_1_bgrd", "conv1_2", "score_fr"]),
    "fcn8s_atonce": ({"width": 1}, ["conv1_1", "score_pool3"]),
}


@pytest.mark.parametrize("form", ["new", "v1"])
@pytest.mark.parametrize("name", CAFFE_NETS)
def test_every_network_of_the_paper_from_caffe(name, form, tmp_path, rng):
    options, layers = CAFFE_NETS[name]
    net = models.build(name, 5, seed=None, **options)
    arrays = {key: rng.standard_normal(w.shape).astype(np.float32) for key, w in net.params.items()}
    assert {f"{layer}.weight" for layer in layers} <= arrays.keys()
    scales = {}
    if name == "fcn8s_atonce":
        scales = {"scale_pool4.weight": np.full(8, 0.01, "f4"), "scale_pool3.weight": np.full(4, 0.0001, "f4")}
    (tmp_path / "w.caffemodel").write_bytes(files.caffemodel(arrays | scales, form))
    report = weights.load(net, tmp_path / "w.caffemodel")
    assert (report.used, report.missing, report.unused, report.fixed) == (list(arrays), [], [], list(scales))
    for key, w in net.params.items():
        np.testing.assert_array_equal(w, arrays[key])


@pytest.mark.torch
def test_as_torchvision_itself_counts():
    """The layers of the plan above, in PyTorch's own container."""
    torch = torch_module()
    layers, channels = [], 3
    for entry in VGG16_FEATURES:
        if entry == "M":
            layers.append(torch.nn.MaxPool2d(2))
        else:
            layers += [torch.nn.Conv2d(channels, entry // 32, 3), torch.nn.ReLU()]
            channels = entry // 32
    convolutions = [f"features.{name}" for name in torch.nn.Sequential(*layers).state_dict()]
    ours = names.ours(convolutions)
    expected = [f"conv{stage}_{n}" for stage, count in enumerate((2, 2, 3, 3, 3), 1) for n in range(1, count + 1)]
    assert list(ours.values()) == [f"{name}.{kind}" for name in expected for kind in ("weight", "bias")]

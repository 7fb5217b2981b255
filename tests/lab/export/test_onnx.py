"""ONNX files: ONNX Runtime and an interpreter of our own compute the network's scores from them, at every size."""

import sys

import numpy as np
import onnx_files
import pytest
from arrays import close, refuses
from export_nets import all_scores, network, package, pictures

from fcn_from_scratch import __version__, layers, models
from fcn_from_scratch.lab.export import export, onnx_file, onnx_graph
from fcn_from_scratch.lab.export.onnx_layers import COUNTERPARTS

SIZES = [(2, (33, 50)), (1, (64, 96)), (3, (97, 45))]  # one file serves all of them
FRAME = {"pad": 70, "fc6_kernel": 5, "fc6_padding": 0}
CASES = {
    **{name: (name, {}) for name in models.NAMES if "classifier" not in name},
    "learned": ("mini_fcn8s", {"upsampling": "all_learned"}),
    "nearest": ("mini_fcn4s", {"upsampling": "nearest"}),
    "skips cropped": ("mini_fcn8s_atonce", FRAME),
    "both start together": ("mini_fcn8s", {"fc6_kernel": 2, "fc6_padding": 0, "pad": 33}),
    "scores cropped along one axis": ("mini_fcn16s", {"fc6_kernel": (5, 3), "fc6_padding": (0, 1), "pad": (70, 1)}),
    "features, skips cropped": ("mini_fcn8s_concat", FRAME),
    "features, learned": ("mini_fcn8s_concat", {"upsampling": "learned"}),
    "depth": ("mini_fcn32s", {"in_channels": 4}),
    "summed": ("mini_fcn32s_late_fusion", {"fusion": "sum"}),
    "dropout": ("mini_fcn16s", {"dropout": 0.5}),
}


@pytest.fixture(params=CASES)
def case(request, tmp_path):
    """(network, its ONNX file)."""
    name, options = CASES[request.param]
    net = network(name, **options)
    export(net, tmp_path / "net.onnx")
    return net, tmp_path / "net.onnx"


def compare(net, outputs, x):
    for ours, theirs in zip(all_scores(net, x), outputs, strict=True):
        assert theirs.dtype == np.float32
        assert np.abs(ours).max() > 0.01
        close(theirs / np.abs(ours).max(), ours / np.abs(ours).max(), 1e-5)


def test_our_own_interpreter(case, rng):
    net, path = case
    file = onnx_files.read(path)
    for count, size in SIZES:
        x = pictures(net, count, size, rng)
        compare(net, onnx_files.run(file, x), x)


def test_onnx_runtime(case, rng):
    net, path = case
    runtime = package("onnxruntime")
    session = runtime.InferenceSession(path, _one_thread(runtime))
    for count, size in SIZES:
        x = pictures(net, count, size, rng)
        compare(net, session.run(None, {"image": x}), x)


def test_onnx_finds_no_fault(case):
    _, path = case
    package("onnx").checker.check_model(path, full_check=True)


def test_what_the_file_says(case):
    net, path = case
    file = onnx_files.read(path)
    assert (file.ir_version, file.opset) == (7, 13)
    assert file.producer == ("fcn_from_scratch", __version__)
    assert file.metadata["model"] == net.name
    (image,) = file.inputs.items()
    assert image == ("image", ("batch", pictures(net, 1, (1, 1), np.random.default_rng(0)).shape[1], "height", "width"))
    heads = {"": net.num_classes} if isinstance(net.num_classes, int) else dict(zip(("_sem", "_geo"), net.num_classes))
    assert file.outputs == {f"scores{head}": ("batch", count, "height", "width") for head, count in heads.items()}


def test_parameters_keep_their_names(case):
    net, path = case
    constants = onnx_files.read(path).constants
    for name, array in net.params.items():
        assert constants[name].dtype == np.float32
        np.testing.assert_array_equal(constants[name], array)


def test_the_graph_is_well_formed(case):
    """Every result has a name of its own and is made before it is read; nothing is made in vain."""
    _, path = case
    file = onnx_files.read(path)
    made, read = {"image", *file.constants, ""}, set(file.outputs)
    assert len(made) == 2 + len(file.constants)
    for node in file.nodes:
        assert made.issuperset(node.inputs), node
        assert not made.intersection(node.outputs), node
        assert node.name == node.outputs[0]
        made.update(node.outputs)
        read.update(node.inputs)
    assert made - read <= {""}
    assert not any(node.operator == "Dropout" for node in file.nodes)


def test_every_name_is_exported(tmp_path):
    for name in models.NAMES:
        assert "ONNX, opset 13, image (batch, " in export(network(name), tmp_path / "net.onnx")


def test_the_classifier(tmp_path, rng):
    net = network("mini_classifier")
    export(net, tmp_path / "net.onnx")
    file = onnx_files.read(tmp_path / "net.onnx")
    assert file.outputs == {"scores": ("batch", 3)}
    x = pictures(net, 2, (96, 96), rng)
    compare(net, onnx_files.run(file, x), x)
    runtime = package("onnxruntime")
    compare(net, runtime.InferenceSession(tmp_path / "net.onnx", _one_thread(runtime)).run(None, {"image": x}), x)


def test_maxima_that_are_equal(tmp_path, rng):
    """After a ReLU many are: the unpooling has to choose the place that this project chooses, the first one."""
    net = network("mini_unpool", width=4)
    export(net, tmp_path / "net.onnx")
    x = np.rint(pictures(net, 2, (37, 50), rng))  # whole numbers, and flat places
    x[:, :, 5:20, 5:30] = 0
    y = np.maximum(net.trunk.children["conv1_1"](x), 0)[:, :, :36, :]
    windows = y.reshape(2, 4, 18, 2, 25, 2).transpose(0, 1, 2, 4, 3, 5).reshape(-1, 4)
    assert ((windows == windows.max(axis=1, keepdims=True)).sum(axis=1) > 1).mean() > 0.1
    compare(net, onnx_files.run(onnx_files.read(tmp_path / "net.onnx"), x), x)
    runtime = package("onnxruntime")
    compare(net, runtime.InferenceSession(tmp_path / "net.onnx", _one_thread(runtime)).run(None, {"image": x}), x)


def odd_chain(rng):
    """What the networks do not have: groups with dilation, odd strides, an average, a shuffle, numbers of two axes."""
    chain = layers.Sequential(
        layers.Conv2d(3, 4, (3, 2), (2, 1), (1, 2), (1, 2), rng=rng, name="a"),
        layers.LocalResponseNorm(3, 0.5, 0.75, 2.0, name="b"),
        layers.MaxPool2d((3, 2), (2, 1), (1, 0), dilation=(1, 2), ceil_mode=True, name="c"),
        layers.Conv2d(4, 6, 3, padding=2, dilation=2, groups=2, bias=False, rng=rng, name="d"),
        layers.AvgPool2d((2, 3), (1, 2), (1, 1), count_include_pad=False, name="e"),
        layers.AvgPool2d(3, 1, 1, name="f"),
        layers.ConvTranspose2d(6, 8, (3, 2), (2, 3), (1, 0), (1, 2), 2, dilation=(1, 2), rng=rng, name="g"),
        layers.PixelShuffle(2, name="h"),
        layers.ChannelDropout(0.5, name="i"),
        layers.BilinearUpsample((4, 3), (2, 2), (1, 0), name="j"),
        layers.NearestUpsample((1, 3), name="k"),
        name="odd",
    ).eval()
    return chain


def test_layers_that_the_networks_do_not_have(tmp_path, rng):
    net = odd_chain(rng)
    export(net, tmp_path / "net.onnx")
    file = onnx_files.read(tmp_path / "net.onnx")
    assert file.metadata.keys() == {"producer", "model"}
    assert file.outputs == {"scores": ("batch", 2, "height", "width")}
    covered = {type(layer) for layer in net.layers}
    assert COUNTERPARTS.keys() - covered == {
        *(layers.MaxUnpool2d, layers.ReLU, layers.Dropout, layers.Flatten, layers.Linear),
        *(layers.SkipFusion, layers.Crop, layers.Concat, layers.Sum),
    }
    for size in [(23, 19), (20, 32)]:
        x = rng.normal(size=(2, 3, *size)).astype(np.float32)
        compare(net, onnx_files.run(file, x), x)
    runtime = package("onnxruntime")
    package("onnx").checker.check_model(tmp_path / "net.onnx", full_check=True)
    session = runtime.InferenceSession(tmp_path / "net.onnx", _one_thread(runtime))
    for size in [(23, 19), (20, 32)]:
        x = rng.normal(size=(2, 3, *size)).astype(np.float32)
        compare(net, session.run(None, {"image": x}), x)


def test_a_crop_of_its_own_size(tmp_path, rng):
    net = layers.Sequential(layers.Conv2d(3, 2, 1, rng=rng, name="a"), layers.Crop((2, 1), (4, 5), name="b")).eval()
    export(net, tmp_path / "net.onnx")
    x = rng.normal(size=(2, 3, 9, 8)).astype(np.float32)
    compare(net, onnx_files.run(onnx_files.read(tmp_path / "net.onnx"), x), x)


class TestRefusals:
    @pytest.mark.parametrize(
        ("layer", "words"),
        [
            (
                layers.BedOfNails(2, name="x"),
                "BedOfNails 'x' has no counterpart in ONNX here: export the weights alone",
            ),
            (layers.LocalResponseNorm(4, name="x"), "sums over 4 channels; ONNX allows only odd numbers"),
            (layers.AvgPool2d(2, ceil_mode=True, name="x"), "AvgPool2d 'x' rounds up; ONNX averages the last windows"),
            (layers.MaxPool2d(2, 3, ceil_mode=True, name="x"), "rounds up with a stride above its window"),
        ],
    )
    def test_a_layer(self, layer, words, tmp_path):
        net = layers.Sequential(layers.Conv2d(3, 4, 3, name="a"), layer).eval()
        with refuses(words):
            export(net, tmp_path / "net.onnx")
        assert list(tmp_path.iterdir()) == []

    def test_more_than_protocol_buffers_hold(self, tmp_path, monkeypatch):
        monkeypatch.setattr(onnx_file, "LARGEST", 10_000)
        with refuses("mini_fcn8s takes 0.0 GiB, but a single ONNX file can hold at most 2"):
            export(network("mini_fcn8s"), tmp_path / "net.onnx")
        assert list(tmp_path.iterdir()) == []

    def test_the_largest_network_fits(self):
        """Two VGG16 at full width. Zeros take no memory as long as nobody reads them."""
        net = models.build("fcn32s_late_fusion", 40, seed=None)
        graph, _, _ = onnx_graph.build(net)
        assert 2**30 < sum(array.nbytes for array in graph.constants.values()) < onnx_file.LARGEST - 2**20


def test_nothing_else_is_needed(tmp_path, monkeypatch):
    for name in ("torch", "onnx", "onnxruntime", "safetensors", "google", "google.protobuf"):
        monkeypatch.setitem(sys.modules, name, None)
    for name in ("net.onnx", "net.pth", "net.safetensors"):
        export(network("mini_fcn8s"), tmp_path / name)
        assert (tmp_path / name).stat().st_size > 20_000


def test_the_network_is_not_changed(tmp_path, rng):
    net = network("mini_fcn8s", dropout=0.5)
    x, before = pictures(net, 1, (33, 40), rng), {name: array.copy() for name, array in net.params.items()}
    scores = net(x)
    for name in ("net.onnx", "net.pth", "net.safetensors"):
        export(net, tmp_path / name)
    np.testing.assert_array_equal(net(x), scores)
    for name, array in net.params.items():
        np.testing.assert_array_equal(array, before[name])


def _one_thread(runtime):
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    return options


def test_sizes_can_be_fixed(tmp_path, rng):
    """The input's are those that were asked for, the output's those that the network computes."""
    net = network("mini_fcn8s")
    onnx_file.write(tmp_path / "net.onnx", net, {"model": "m", "producer": "p 1"}, (2, 33, 50))
    x = pictures(net, 2, (33, 50), rng)
    compare(net, onnx_files.run(onnx_files.read(tmp_path / "net.onnx"), x), x)
    _, inputs, outputs = onnx_graph.build(net, (2, 33, 50))
    assert inputs == [("image", (2, *x.shape[1:]))]
    assert outputs == [("scores", all_scores(net, x)[0].shape)]
    session = package("onnxruntime").InferenceSession(tmp_path / "net.onnx", providers=["CPUExecutionProvider"])
    assert [value.shape for value in (*session.get_inputs(), *session.get_outputs())] == [
        list(x.shape),
        list(outputs[0][1]),
    ]

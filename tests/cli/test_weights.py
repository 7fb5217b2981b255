"""`fcn weights`, and the other commands with files in foreign formats."""

import json

import numpy as np
import pytest
import weight_files as files
from PIL import Image

from fcn_from_scratch import models, weights
from fcn_from_scratch.datasets import CAFFE, TORCHVISION


@pytest.fixture
def net():
    """A thin FCN-8s whose score layers are not zero."""
    net = models.build("mini_fcn8s", 6, seed=3)
    rng = np.random.default_rng(3)
    for w in net.params.values():
        w[...] = rng.standard_normal(w.shape) * np.sqrt(2 / max(w[0].size, 1))
    return net


@pytest.fixture
def photo(tmp_path):
    image = np.random.default_rng(0).integers(256, size=(45, 61, 3), dtype=np.uint8)
    Image.fromarray(image).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


@pytest.fixture
def vgg16(tmp_path):
    """A part of torchvision's vgg16: its first and its last convolution, in full size."""
    rng = np.random.default_rng(1)
    arrays = {
        "features.0.weight": rng.standard_normal((64, 3, 3, 3)).astype(np.float32),
        "features.0.bias": np.zeros(64, np.float32),
        "features.2.weight": np.ones((64, 64, 3, 3), np.float32),
        "classifier.6.bias": np.zeros(1000, np.float32),
    }
    (tmp_path / "vgg16.pth").write_bytes(files.torch_stream(files.state_dict(arrays)))
    return tmp_path / "vgg16.pth"


class TestInspect:
    def test_a_trainers_file(self, done, tmp_path, net):
        content = {"arch": "FCN8s", "best_mean_iu": 0.6551, "model_state_dict": files.state_dict(net.params)}
        (tmp_path / "best.pth.tar").write_bytes(files.torch_zip(content))
        out = done("weights", "inspect", tmp_path / "best.pth.tar")
        numbers = sum(w.size for w in net.params.values())
        assert f"best.pth.tar: PyTorch file, 20 arrays, {numbers:,} numbers" in out
        assert "not one of the published files" in out
        assert "arch: FCN8s\n" in out
        assert "best_mean_iu: 0.6551\n" in out
        lines = {line.split()[0]: line.split()[1:] for line in out.splitlines() if line.strip()}
        w = net.params["conv1_1.weight"]
        assert lines["conv1_1.weight"] == ["16x3x3x3", "float32", f"{w.min():.4g}", "..", f"{w.max():.4g}"]
        assert "fits none of the networks here" in out
        assert out.splitlines()[-1].startswith("preprocessing: the file does not say (pytorch-fcn, whose names")
        assert out.splitlines()[-1].endswith("; the model's own is kept")

    def test_torchvisions(self, done, vgg16):
        out = done("weights", "inspect", vgg16)
        assert "= conv1_1.weight" in out
        assert (
            "  fcn32s: 3 of 32; without conv1_2.bias, conv2_1.weight, conv2_1.bias and 26 more; 1 arrays unused" in out
        )
        assert "preprocessing: RGB, 0..1, minus (0.485, 0.456, 0.406) / (0.229, 0.224, 0.225) (its names" in out
        out = done("weights", "inspect", vgg16, "--preprocessing", "caffe")
        assert "preprocessing: BGR, 0..255, minus (104.007, 116.669, 122.679) (as asked for)" in out

    def test_the_networks_it_fits(self, done, tmp_path):
        """A file of FCN-16s fits all of FCN-16s and FCN-32s, and most of FCN-8s."""
        wanted = models.build("fcn16s", 3, seed=None).params
        arrays = {name: w[:1, :1] if w.size > 10**6 else w for name, w in wanted.items()}
        arrays = {name: w for name, w in arrays.items() if w.shape == wanted[name].shape}
        np.savez(tmp_path / "w.npz", **arrays)
        out = done("weights", "inspect", tmp_path / "w.npz")
        lines = [line.strip() for line in out.splitlines() if line.startswith("  ")]
        assert "with num_classes=3:" in out
        assert lines[0].startswith(f"fcn32s: {len(arrays) - 2} of 32; without ") or lines[0].startswith("fcn16s")
        found = {line.split(":")[0]: int(line.split()[1]) for line in lines}
        assert found["fcn16s"] == found["fcn8s"] == found["fcn8s_atonce"] == len(arrays)
        assert found["fcn32s"] == len(arrays) - 2

    def test_a_stranger(self, done, tmp_path):
        content = files.state_dict({"backbone.layer1.0.conv1.weight": np.ones((2, 3, 7, 7), np.float32)})
        (tmp_path / "r.pth").write_bytes(files.torch_zip(content))
        out = done("weights", "inspect", tmp_path / "r.pth")
        assert "fits none of the networks here: it is a torchvision network on another backbone" in out

    def test_names_do_not_steer_the_terminal(self, done, tmp_path):
        (tmp_path / "w.safetensors").write_bytes(files.safetensors({"a\x1b[2J": np.ones(2, "f4")}, {"k\x1b": "v\x07"}))
        out = done("weights", "inspect", tmp_path / "w.safetensors")
        assert "a?[2J" in out
        assert "\x1b" not in out
        assert "\x07" not in out


class TestConvert:
    def test_the_same_arrays_and_what_they_expect(self, done, tmp_path, net):
        (tmp_path / "w.caffemodel").write_bytes(files.caffemodel(net.params, "v1"))
        out = done("weights", "convert", tmp_path / "w.caffemodel", tmp_path / "new" / "w.npz")
        assert "wrote 20 arrays to" in out
        assert "BGR, 0..255, minus (104.007, 116.669, 122.679): a Caffe .caffemodel expects it" in out
        read = weights.read(tmp_path / "new" / "w.npz")
        assert list(read) == list(net.params)
        for name, w in net.params.items():
            np.testing.assert_array_equal(read[name], w)
        other = models.build("mini_fcn8s", 6)
        weights.load(other, tmp_path / "new" / "w.npz")
        assert other.transform == CAFFE

    def test_torchvisions_names_become_the_papers(self, done, tmp_path, vgg16):
        done("weights", "convert", vgg16, tmp_path / "w.npz")
        content = weights.read_file(tmp_path / "w.npz")
        assert list(content.arrays) == ["conv1_1.weight", "conv1_1.bias", "conv1_2.weight", "fc8.bias"]
        assert content.meta["transform"] == TORCHVISION.as_dict()
        assert content.meta["from"] == "PyTorch file"

    def test_folded(self, done, tmp_path, vgg16):
        out = done("weights", "convert", vgg16, tmp_path / "w.npz", "--fold")
        assert "BGR, 0..255, minus (103.53, 116.28, 123.675)" in out
        old, new = weights.read(vgg16)["features.0.weight"], weights.read(tmp_path / "w.npz")["conv1_1.weight"]
        np.testing.assert_allclose(new[:, 0], old[:, 2] / (255 * 0.225), rtol=1e-6)

    def test_the_model_is_noted(self, done, tmp_path, net):
        content = {"arch": "FCN8sAtOnce", "model_state_dict": files.state_dict(net.params)}
        (tmp_path / "w.pth").write_bytes(files.torch_zip(content))
        done("weights", "convert", tmp_path / "w.pth", tmp_path / "w.npz")
        assert weights.read_file(tmp_path / "w.npz").meta["model"] == "fcn8s_atonce"
        with pytest.raises(ValueError, match="at-once"):
            weights.load(net, tmp_path / "w.npz")

    def test_a_checkpoint_and_its_own_product(self, done, tmp_path, net):
        """A file that records no preprocessing is converted without one. A converted file can be converted again."""
        np.savez(tmp_path / "a.npz", **net.params)
        out = done("weights", "convert", tmp_path / "a.npz", tmp_path / "b.npz")
        assert "preprocessing not recorded: the file does not say" in out
        done("weights", "convert", tmp_path / "b.npz", tmp_path / "b.npz", "--preprocessing", "torchvision")
        assert weights.read_file(tmp_path / "b.npz").meta["transform"] == TORCHVISION.as_dict()


FORMATS = {
    "w.caffemodel": files.caffemodel,
    "w.pth": lambda params: files.torch_stream(files.state_dict(params)),
    "w.safetensors": files.safetensors,
}


class TestOtherCommands:
    def test_segment_gives_the_same_labels_from_every_format(self, done, net, photo, tmp_path):
        labels = []
        for name, write in FORMATS.items():
            (tmp_path / name).write_bytes(write(net.params))
            words = ["--model", "mini_fcn8s", "--preprocessing", "caffe", "--out", tmp_path / "out"]
            out = done("segment", photo, "--weights", tmp_path / name, *words)
            assert f"{name}: 20 parameters" in out
            assert "BGR, 0..255" in out
            labels.append(np.asarray(Image.open(tmp_path / "out" / "photo_labels.png")))
        net.transform = CAFFE
        image = np.asarray(Image.open(photo))
        expected = net.eval().forward(CAFFE(image)[None])[0].argmax(0)
        assert len(np.unique(expected)) > 1
        for found in labels:
            np.testing.assert_array_equal(found, expected)

    def test_preprocessing_matters(self, done, net, photo, tmp_path):
        (tmp_path / "w.pth").write_bytes(files.torch_zip(files.state_dict(net.params)))
        words = ["--weights", tmp_path / "w.pth", "--model", "mini_fcn8s", "--preprocessing", "torchvision"]
        assert "RGB, 0..1" in done("segment", photo, *words, "--out", tmp_path / "out")
        expected = net.eval().forward(TORCHVISION(np.asarray(Image.open(photo)))[None])[0].argmax(0)
        np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "out" / "photo_labels.png")), expected)

    def test_a_converted_file_knows_its_model(self, done, net, photo, tmp_path):
        meta = {"model": "mini_fcn8s", "transform": CAFFE.as_dict()}
        np.savez(tmp_path / "w.npz", **net.params, meta=np.frombuffer(json.dumps(meta).encode(), np.uint8))
        assert "the file says so" in done("segment", photo, "--weights", tmp_path / "w.npz", "--out", tmp_path / "out")

    def test_evaluate(self, done, net, tmp_path):
        (tmp_path / "w.pth").write_bytes(files.torch_zip(files.state_dict(net.params)))
        words = ["--model", "mini_fcn8s", "--count", 2, "--size", 40, "--preprocessing", "caffe"]
        assert "mean IU" in done("evaluate", "--weights", tmp_path / "w.pth", *words)

    def test_train_from_other_classes_and_go_on(self, done, fcn, tmp_path):
        """The run keeps the preprocessing of its weights, also when it is resumed."""
        old = models.build("mini_fcn32s", 9, width=2)
        (tmp_path / "w.caffemodel").write_bytes(files.caffemodel(old.params))
        words = ["train", "--model", "mini_fcn32s", "--width", 2, "--weights", tmp_path / "w.caffemodel", "--steps", 1]
        words += ["--count", 4, "--size", 40, "--out", tmp_path / "run"]
        status, _, err = fcn(*words)
        assert status == 2
        assert "It is for 9 classes" in err
        assert "--new-scores" in err
        out = done(*words, "--new-scores")
        assert "unused: score_fr.weight, score_fr.bias" in out
        assert "preprocessing BGR, 0..255" in out
        done("train", "--resume", "--steps", 2, "--out", tmp_path / "run")
        meta = weights.read_file(tmp_path / "run" / "checkpoint.npz").meta
        assert meta["extra"]["transform"] == CAFFE.as_dict()
        assert meta["steps"] == 2


class TestMistakes:
    @pytest.mark.parametrize(
        ("words", "reason"),
        [
            (["weights"], "the following arguments are required"),
            (["weights", "melt"], "invalid choice: 'melt'"),
            (["weights", "inspect"], "the following arguments are required: FILE"),
            (["weights", "convert", "w.pth"], "the following arguments are required: OUT.npz"),
            (["weights", "inspect", "gone.pth"], "gone.pth: No such file"),
            (["weights", "inspect", "."], ".: Is a directory"),
            (["weights", "inspect", "photo.png"], "photo.png is not a file of weights: it is a picture"),
            (["weights", "convert", "w.pth", "w.pth"], "the name of the new file must end in .npz; got w.pth"),
            (["weights", "convert", "w.pth", "w.npz", "--fold"], "does not record which preprocessing to fold"),
            (["segment", "photo.png", "--weights", "w.pth"], "does not say which network its weights belong to"),
            (["segment", "photo.png", "--weights", "evil.pth", "--model", "fcn8s"], "names posix.system"),
            (["segment", "photo.png", "--weights", "w.pth", "--model", "fcn8s"], "the model's has (64, 3, 3, 3)"),
            (["weights", "inspect", "w.pth", "--preprocessing", "keras"], "invalid choice: 'keras'"),
        ],
    )
    def test_are_told_in_one_line(self, fcn, net, photo, tmp_path, monkeypatch, words, reason):
        monkeypatch.chdir(tmp_path)
        (tmp_path / "w.pth").write_bytes(files.torch_zip(files.state_dict(net.params)))
        evil = b"\x80\x02cposix\nsystem\nX\x04\x00\x00\x00true\x85R."
        (tmp_path / "evil.pth").write_bytes(files.torch_zip({}, data_pkl=evil))
        before = sorted(tmp_path.iterdir())
        status, _, err = fcn(*words)
        assert status == 2
        assert reason in err
        assert err.count("\n") == 1
        assert sorted(tmp_path.iterdir()) == before

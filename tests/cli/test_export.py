"""`fcn export`: the trained network of a checkpoint in other formats, and what other commands make of them."""

import json

import numpy as np
import onnx_files
import pytest
from PIL import Image

from fcn_from_scratch import models, weights

FORMATS = ["net.onnx", "net.pth", "net.safetensors"]


@pytest.fixture
def photo(tmp_path, rng):
    Image.fromarray(rng.integers(0, 256, (40, 56, 3), dtype=np.uint8)).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


@pytest.mark.parametrize("name", FORMATS)
class TestAnyFormat:
    def test_is_written(self, done, trained, tmp_path, name):
        out = done("export", trained.checkpoint, tmp_path / "new" / name)
        assert out.startswith(f"wrote {tmp_path / 'new' / name}: mini_fcn8s, ")
        assert "\ninput: BGR, 0..255, minus (104.007, 116.669, 122.679) / (60, 60, 60)" in out
        assert [path.name for path in (tmp_path / "new").iterdir()] == [name]

    def test_the_facts_are_the_checkpoints(self, done, trained, tmp_path, name):
        done("export", trained.checkpoint, tmp_path / name)
        theirs = weights.read_file(trained.checkpoint).meta
        if name.endswith("onnx"):
            facts = onnx_files.read(tmp_path / name).metadata
            facts = {key: json.loads(facts[key]) for key in ("options", "transform", "classes", "palette")}
        else:
            facts = weights.read_file(tmp_path / name).meta
        assert facts["options"] == theirs["options"]
        for key in ("transform", "classes", "palette"):
            assert facts[key] == theirs["extra"][key]

    def test_a_folder_is_refused_before_anything_is_read(self, mistake, tmp_path, name):
        (tmp_path / name).mkdir()
        line = mistake("export", "gone.npz", tmp_path / name)
        assert f"{tmp_path / name} is a folder; give the name of a file that ends in .onnx" in line

    def test_a_failed_export_leaves_the_old_file(self, done, mistake, trained, tmp_path, name):
        done("export", trained.checkpoint, tmp_path / name)
        before = (tmp_path / name).read_bytes()
        mistake("export", trained.checkpoint, tmp_path / name, "--model", "mini_fcn16s")
        assert (tmp_path / name).read_bytes() == before


@pytest.mark.parametrize("name", ["net.pth", "net.safetensors"])
class TestOtherCommands:
    def test_segment_needs_no_model(self, done, varied, photo, tmp_path, name):
        """A network with options of its own: the file records them, and the colours of the classes."""
        done("export", varied.path, tmp_path / "a.pth", "--model", "mini_fcn8s", "--preprocessing", "caffe")
        done("export", tmp_path / "a.pth", tmp_path / name)
        found = []
        for words in (["--weights", varied.path, "--model", "mini_fcn8s", "--preprocessing", "caffe"],
                      ["--weights", tmp_path / name]):  # fmt: skip
            done("segment", photo, *words, "--out", tmp_path / "out")
            found.append(np.asarray(Image.open(tmp_path / "out" / "photo_labels.png")))
        np.testing.assert_array_equal(*found)
        assert len(np.unique(found[0])) > 1

    def test_segment_uses_the_classes_and_colours(self, done, trained, photo, tmp_path, name):
        done("export", trained.checkpoint, tmp_path / name)
        outs = []
        for path in (trained.checkpoint, tmp_path / name):
            out = done("segment", photo, "--weights", path, "--out", tmp_path / "out")
            outs.append([line.partition("; ")[0] for line in out.splitlines() if line.startswith(str(photo))])
        assert outs[0] == outs[1]
        assert "background" in outs[1][0] or "%" in outs[1][0]

    def test_evaluate(self, done, trained, tmp_path, name):
        done("export", trained.checkpoint, tmp_path / name)
        words = ["--dataset", "shapes", "--count", "4", "--size", "32x32", "--seed", "3"]
        outs = [done("evaluate", "--weights", path, *words) for path in (trained.checkpoint, tmp_path / name)]
        assert outs[1].endswith(outs[0])

    def test_inspect(self, done, trained, tmp_path, name):
        done("export", trained.checkpoint, tmp_path / name)
        out = done("weights", "inspect", tmp_path / name)
        assert "model: mini_fcn8s" in out
        assert "the file says so" in out

    def test_another_network_takes_what_fits(self, done, trained, tmp_path, name):
        """The recorded options are those of the file's own network. They do not get in the way."""
        done("export", trained.checkpoint, tmp_path / name)
        width = weights.read_file(trained.checkpoint).meta["options"]["width"]
        other = models.build("mini_fcn16s", 6, width=width)
        assert "score_pool3.weight" in weights.load(other, tmp_path / name).unused


class TestClassifier:
    def test_is_exported_and_cannot_segment(self, done, mistake, photo, tmp_path):
        net = models.build("mini_classifier", 4, width=2)
        np.savez(tmp_path / "c.npz", **net.params)
        words = ["--model", "mini_classifier", "--num-classes", "4"]
        with pytest.raises(AssertionError):  # of another width
            done("export", tmp_path / "c.npz", tmp_path / "c.onnx", *words)
        net = models.build("mini_classifier", 4)
        np.savez(tmp_path / "c.npz", **net.params)
        out = done("export", tmp_path / "c.npz", tmp_path / "c.onnx", *words)
        assert "image (batch, 3, height, width) -> scores (batch, 4)" in out
        line = mistake("segment", photo, "--weights", tmp_path / "c.npz", *words, "--out", tmp_path / "out")
        assert "predicts one class for a picture" in line


class TestMistakes:
    @pytest.mark.parametrize("name", ["net.pt", "net", "net.npz", "onnx"])
    def test_another_extension(self, mistake, tmp_path, name):
        line = mistake("export", "gone.npz", tmp_path / name)
        assert f"the extension chooses the format: .onnx, .safetensors, .pth; got {name}" in line

    def test_no_checkpoint(self, mistake, tmp_path):
        assert "gone.npz: No such file" in mistake("export", tmp_path / "gone.npz", tmp_path / "net.onnx")
        assert "Is a directory" in mistake("export", tmp_path, tmp_path / "net.onnx")
        assert list(tmp_path.iterdir()) == []

    def test_other_classes(self, mistake, trained, tmp_path):
        line = mistake("export", trained.checkpoint, tmp_path / "net.onnx", "--num-classes", "9")
        assert "was trained for 6 classes; --num-classes says 9" in line

    def test_another_model(self, mistake, trained, tmp_path):
        line = mistake("export", trained.checkpoint, tmp_path / "net.onnx", "--model", "fcn8s")
        assert "holds a mini_fcn8s; --model says fcn8s" in line

    def test_weights_that_lack_a_part(self, mistake, varied, tmp_path):
        words = ["--model", "mini_fcn4s"]
        line = mistake("export", varied.path, tmp_path / "net.onnx", *words)
        assert "lacks parameters of mini_fcn4s: score_pool2.weight" in line

    def test_no_file_of_weights(self, mistake, tmp_path):
        (tmp_path / "a.npz").write_bytes(b"\x89PNG....")
        assert "it is a picture" in mistake("export", tmp_path / "a.npz", tmp_path / "net.onnx")

    def test_a_folder_that_cannot_be_written_to(self, mistake, trained, tmp_path):
        (tmp_path / "file").write_text("")
        line = mistake("export", trained.checkpoint, tmp_path / "file" / "net.onnx")
        assert f"cannot be written: {tmp_path / 'file'} is a file and not a folder" in line

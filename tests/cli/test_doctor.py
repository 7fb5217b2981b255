"""`fcn doctor` and `fcn published` from the command line."""

import re
from types import SimpleNamespace

import numpy as np
import pytest
from cli_runs import SAMPLE
from PIL import Image

from fcn_from_scratch import datasets, models
from fcn_from_scratch.cli import evaluate
from fcn_from_scratch.lab import doctor
from fcn_from_scratch.metrics import METRICS


def levels(out):
    """{name of a check: its mark} from the printed lines."""
    return {name: mark for mark, name in re.findall(r"(?m)^(ok|note|WARNING|SERIOUS) +(\w+): ", out)}


@pytest.fixture
def weights(tmp_path):
    """A file of weights of a thin mini_fcn8s whose score layers are not zero, and the network."""
    net, rng = models.build("mini_fcn8s", 6), np.random.default_rng(0)
    for name, array in net.params.items():
        if name.startswith("score"):
            array[...] = rng.normal(size=array.shape)
    np.savez(tmp_path / "w.npz", **net.state_dict())
    return SimpleNamespace(path=tmp_path / "w.npz", net=net)


class TestDoctor:
    def test_the_machine(self, fcn):
        status, out, err = fcn("doctor")
        assert err == ""
        assert status == ("SERIOUS" in out)
        assert set(levels(out)) == {check.name for check in doctor.CHECKS if not check.needs}

    def test_list(self, fcn):
        status, out, _ = fcn("doctor", "--list")
        assert status == 0
        assert [line for line in out.splitlines() if not line.startswith(" ")] == [c.name for c in doctor.CHECKS]

    def test_a_network_before_training(self, fcn):
        status, out, _ = fcn("doctor", "--model", "mini_fcn8s", "--size", "40x50")
        assert status == 0
        assert levels(out) == {"outputs_alive": "note", "picture_sizes": "ok", "memory_needed": "ok"}

    def test_settings(self, fcn):
        status, out, _ = fcn("doctor", "--lr", "1e-4", "--reduction", "sum")
        assert (status, levels(out)) == (0, {"learning_rate": "WARNING"})
        assert "-> take both from one recipe" in out

    def test_sound_weights(self, fcn, weights):
        status, out, _ = fcn("doctor", "--model", "mini_fcn8s", "--weights", weights.path)
        assert (status, levels(out)) == (0, {"missing_layers": "ok"})

    def test_forgotten_fc6(self, fcn, weights, tmp_path):
        state = {name: array for name, array in weights.net.state_dict().items() if not name.startswith("fc")}
        np.savez(tmp_path / "half.npz", **state)
        status, out, _ = fcn("doctor", "--model", "mini_fcn8s", "--weights", tmp_path / "half.npz")
        assert status == 1
        assert "SERIOUS missing_layers" in out
        assert "fc6 and fc7" in " ".join(out.split())  # the line is cut where the path ends
        assert "1 serious" in out.splitlines()[-1] or "2 serious" in out.splitlines()[-1]

    def test_a_classifier_for_skips(self, fcn, tmp_path):
        net = models.build("mini_classifier", 10)
        np.savez(tmp_path / "c.npz", **net.state_dict())
        _, out, _ = fcn("doctor", "--model", "mini_fcn8s", "--weights", tmp_path / "c.npz", "--num-classes", 6)
        assert levels(out)["staging"] == "WARNING"
        assert "fcn8s_atonce" in out

    def test_a_damaged_file(self, fcn, tmp_path):
        (tmp_path / "w.npz").write_bytes(b"PK\x03\x04 and no more")
        status, out, _ = fcn("doctor", "--model", "mini_fcn8s", "--weights", tmp_path / "w.npz")
        assert (status, levels(out)) == (1, {"weights": "SERIOUS"})

    def test_labels(self, fcn, tmp_path):
        for place in ("images", "labels"):
            (tmp_path / place).mkdir()
        ids = np.repeat(np.arange(3, dtype=np.uint8), 20)[:, None].repeat(64, 1)
        Image.fromarray(np.dstack([ids] * 3) * 80).save(tmp_path / "images" / "a.png")
        Image.fromarray(ids).save(tmp_path / "labels" / "a.png")
        words = ["doctor", "--dataset", "folder", "--root", tmp_path, "--num-classes", 3]
        status, out, _ = fcn(*words)
        assert (status, levels(out)) == (0, {"label_audit": "ok"})
        Image.fromarray(ids * 3).save(tmp_path / "labels" / "a.png")
        status, out, _ = fcn(*words)
        assert status == 1
        assert "the id 3" in " ".join(out.split())
        assert "-> map the ids to 0, 1, 2" in out

    def test_a_dataset_that_is_not_there(self, fcn, tmp_path):
        status, out, _ = fcn("doctor", "--dataset", "folder", "--root", tmp_path / "gone")
        assert (status, levels(out)) == (1, {"dataset": "SERIOUS"})
        assert "-> `fcn data NAME` prints" in out

    def test_classes_and_channels(self, fcn, weights):
        status, out, _ = fcn(
            "doctor", "--model", "mini_fcn8s", "--weights", weights.path, "--dataset", "voc", "--root", SAMPLE
        )
        assert (status, levels(out)["class_count"]) == (1, "SERIOUS")
        status, out, _ = fcn("doctor", "--model", "mini_fcn32s_late_fusion", "--dataset", "voc", "--root", SAMPLE)
        assert status == 1
        assert "reads pictures of 6 channels" in out

    def test_pictures(self, fcn, weights, tmp_path):
        image = datasets.Shapes(1, (50, 60))[0].image
        Image.fromarray(image).save(tmp_path / "photo.png")
        words = ["doctor", tmp_path / "photo.png", "--model", "mini_fcn8s", "--weights", weights.path]
        _, out, _ = fcn(*words)
        assert levels(out)["at_once"] in ("note", "WARNING")
        assert "50x60" in out

    @pytest.mark.parametrize(
        ("words", "text"),
        [
            (["--model", "fcn9s"], "no model 'fcn9s'"),
            (["--model", "mini_classifier"], "one class for a picture"),
            (["--weights", "gone.npz"], "gone.npz"),
            (["gone.jpg", "--model", "mini_fcn8s"], "gone.jpg"),
        ],
    )
    def test_mistakes(self, fcn, tmp_path, monkeypatch, words, text):
        monkeypatch.chdir(tmp_path)
        status, _, err = fcn("doctor", *words)
        assert status == 2
        assert text in err
        assert err.count("\n") == 1


class TestPublished:
    def test_all(self, fcn):
        status, out, err = fcn("published")
        assert (status, err) == (0, "")
        for number in range(1, 6):
            assert f"CVPR 2015, Table {number}." in out
        assert "http" in out

    def test_one(self, fcn):
        _, out, _ = fcn("published", 2)
        assert "62.7" in out
        assert "NYUDv2" not in out
        assert fcn("published", 7)[0] == 2

    def test_beside_a_measurement(self):
        """The scores of `fcn evaluate` are printed beside the published ones, by the same conventions."""

        class Matrix:
            def __init__(self, pixel):
                self.pixel = pixel

            def scores(self, absent="reference"):
                return dict.fromkeys(METRICS, 0.25 if absent == "skip" else 0.1) | {"pixel_accuracy": self.pixel}

        measured = evaluate._as_published({"semantic": Matrix(0.5), "geometric": Matrix(0.75)})
        assert list(measured) == [*METRICS, "geometric_accuracy"]
        assert (measured["pixel_accuracy"], measured["mean_iu"], measured["geometric_accuracy"]) == (0.5, 0.25, 0.75)
        assert "geometric_accuracy" not in evaluate._as_published({"semantic": Matrix(0.5)})

    def test_evaluate_on_seg11valid(self, fcn, tmp_path):
        """A network and a split with the paper's names; the test writes files in VOC's layout."""
        root = tmp_path / "VOC2011"
        for place in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
            (root / place).mkdir(parents=True)
        image, labels, _ = datasets.Shapes(1, (40, 50))[0]
        Image.fromarray(image).save(root / "JPEGImages" / "a.jpg")
        Image.fromarray(labels).save(root / "SegmentationClass" / "a.png")
        (root / "ImageSets" / "Segmentation" / "seg11valid.txt").write_text("a\n")
        (root / "ImageSets" / "Segmentation" / "train.txt").write_text("a\n")
        (root / "ImageSets" / "Segmentation" / "val.txt").write_text("a\n")
        words = ["--dataset", "voc", "--root", root]
        train = ["train", "--model", "fcn16s", "--width", 2, "--steps", 1, *words, "--out", tmp_path / "r"]
        assert fcn(*train)[0] == 0
        status, out, _ = fcn("evaluate", "--out", tmp_path / "r", *words, "--split", "seg11valid")
        assert status == 0
        assert re.search(r"measured here( +\d+\.\d{3}){4}", out)
        assert re.search(r"CVPR 2015, Table 2: FCN-16s +90\.0 +75\.7 +62\.4 +83\.0", out)
        _, out, _ = fcn("evaluate", "--out", tmp_path / "r", *words, "--split", "val")
        assert "published" not in out


class TestRandomWeights:
    def test_says_so_and_reports_time_and_memory(self, fcn, tmp_path):
        Image.fromarray(datasets.Shapes(1, (37, 50))[0].image).save(tmp_path / "photo.png")
        words = ["segment", tmp_path / "photo.png", "--model", "mini_fcn8s", "--random-weights"]
        status, out, err = fcn(*words, "--out", tmp_path / "s")
        assert status == 0
        assert err == "fcn: warning: the weights are random: the labels mean nothing\n"
        assert re.search(r"photo.png: 50x37, .*; \d+\.\d s\npeak memory [\d.]+ [MG]iB\n", out)
        with Image.open(tmp_path / "s" / "photo_labels.png") as picture:
            assert picture.size == (50, 37)
            assert len(np.unique(np.asarray(picture))) > 1, "the score layers are random too"

    def test_of_which_network(self, fcn, tmp_path):
        status, _, err = fcn("segment", "photo.png", "--random-weights", "--out", tmp_path)
        assert status == 2
        assert "pass --model" in err
        status, _, err = fcn("segment", "photo.png", "--random-weights", "--model", "mini_classifier")
        assert status == 2
        assert "one class for a picture" in err

    def test_never_by_default(self, fcn):
        status, _, err = fcn("segment", "photo.png", "--model", "mini_fcn8s")
        assert status == 2
        assert "--weights --random-weights is required" in err

"""`fcn train` and `fcn evaluate` from end to end: drawn shapes, other data, runs that are resumed."""

import json
import math
import shutil
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import standin
from cli_runs import SAMPLE, TINY, arrays_of, assert_table_is_metrics, log_of, predictions, table, write_folder
from PIL import Image

from fcn_from_scratch import datasets, models
from fcn_from_scratch.cli import train_setup
from fcn_from_scratch.training import checkpoint


class TestShapes:
    def test_train_writes(self, trained):
        names = {path.name for path in trained.folder.iterdir()}
        assert names == {
            *("checkpoint.npz", "best.npz", "log.csv", "losses.png", "metrics.json", "predictions.png"),
        }
        for name in ("losses.png", "predictions.png"):
            with Image.open(trained.folder / name) as picture:
                assert np.asarray(picture.convert("L")).std() > 1

    def test_the_log(self, trained):
        """A row for every step: the loss is that of the checkpoint, the rate rises and falls, the end is scored."""
        lines = (trained.folder / "log.csv").read_text(encoding="utf-8").splitlines()
        assert lines[0] == "step,loss,lr,seconds,mean_iu,pixel_accuracy"
        steps, losses, rates, seconds, *scores = zip(*(line.split(",") for line in lines[1:]))
        assert steps == ("1", "2", "3", "4", "5")
        assert float(losses[0]) == pytest.approx(math.log(6), rel=1e-6)
        np.testing.assert_allclose(arrays_of(trained.checkpoint)["losses"], [float(loss) for loss in losses], rtol=1e-8)
        expected = [0.03 * (1 - step / 5) ** 0.9 for step in range(5)]
        np.testing.assert_allclose([float(rate) for rate in rates], expected, rtol=1e-8)
        assert sorted(map(float, seconds)) == list(map(float, seconds))
        assert scores[0][:4] == scores[1][:4] == ("",) * 4
        numbers = json.loads((trained.folder / "metrics.json").read_text(encoding="utf-8"))["scores"]
        assert [float(scores[0][4]), float(scores[1][4])] == pytest.approx(
            [numbers["mean_iu"], numbers["pixel_accuracy"]], abs=1e-6
        )

    def test_train_says_what_it_does(self, trained):
        number = sum(array.size for name, array in arrays_of(trained.checkpoint).items() if name.startswith("model/"))
        first = trained.out.splitlines()[0]
        assert first.startswith(f"mini_fcn8s: {number:,} parameters, 6 classes; 6 pictures of shapes; 5 steps of 2")

    def test_table_is_metrics(self, trained):
        metrics = assert_table_is_metrics(trained.out, trained.folder / "metrics.json", datasets.Shapes(1, 32).classes)
        assert metrics["pictures"] == 6

    def test_evaluate_repeats_it(self, trained, done, tmp_path):
        out = done("evaluate", "--weights", trained.checkpoint, "--count", 6, "--seed", 3, "--out", tmp_path / "e")
        assert (tmp_path / "e" / "metrics.json").read_bytes() == (trained.folder / "metrics.json").read_bytes()
        assert table(out) == table(trained.out)
        assert (tmp_path / "e" / "predictions.png").stat().st_size > 1000

    def test_evaluate_counts_right(self, varied, done, tmp_path):
        """The scores equal those counted here, on scenes of the size and seed in the command."""
        words = ["--dataset", "shapes", "--size", "24x40", "--count", 5, "--seed", 8]
        model = models.build("mini_fcn8s", 6, seed=0)  # the default width, which evaluate assumes
        assert model.params["fc6.weight"].shape == varied.model.params["fc6.weight"].shape
        out = done("evaluate", "--weights", varied.path, "--model", "mini_fcn8s", *words, "--out", tmp_path / "e")
        counts = np.zeros((6, 6), int)
        for image, labels, _ in datasets.Shapes(5, (24, 40), seed=8, split="val"):
            for truth, called in zip(labels.ravel(), predictions(varied.model, image).ravel()):
                if truth != 255:
                    counts[truth, called] += 1
        metrics = assert_table_is_metrics(out, tmp_path / "e" / "metrics.json", datasets.Shapes(1, 32).classes)
        hits, true, called = np.diag(counts), counts.sum(1), counts.sum(0)
        assert np.count_nonzero(counts) > 8
        assert metrics["scores"]["pixel_accuracy"] == pytest.approx(hits.sum() / true.sum())
        ius = [h / (t + c - h) for h, t, c in zip(hits, true, called) if t + c]
        assert metrics["scores"]["mean_iu"] == pytest.approx(np.mean(ius))
        for values, hit, total in zip(metrics["classes"].values(), hits, true):
            assert values["share"] == pytest.approx(total / true.sum())
            assert values["accuracy"] == (pytest.approx(hit / total) if total else None)

    def test_without_out_nothing_is_written(self, trained, done, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        assert "mean IU" in done("evaluate", "--weights", trained.checkpoint, "--count", 2)
        assert list(tmp_path.iterdir()) == []

    def test_nothing_to_score_is_null(self, varied, fcn, tmp_path):
        """0/0 is null in the JSON, which has no NaN, and a dash in the table."""
        root = write_folder(tmp_path / "void", [(16, 20)])
        Image.fromarray(np.full((16, 20), 255, np.uint8)).save(root / "labels" / "0.png")
        words = ["--dataset", "folder", "--root", root, "--num-classes", 6, "--out", tmp_path / "e"]
        status, out, err = fcn("evaluate", "--weights", varied.path, "--model", "mini_fcn8s", *words)
        assert status == 0
        assert len(err.splitlines()) == 1
        assert err.startswith("fcn: warning: ")
        assert "100% of the pixels are 255" in err
        text = (tmp_path / "e" / "metrics.json").read_text(encoding="utf-8")
        assert "NaN" not in text
        assert set(json.loads(text)["scores"].values()) == {None}
        assert table(out)["mean IU"] == [None]


class TestOtherData:
    def test_the_voc_sample(self, done, tmp_path):
        out = done(
            *(
                "train",
                "--dataset",
                "voc",
                "--root",
                SAMPLE,
                "--crop",
                "32x48",
                "--width",
                2,
                "--steps",
                2,
                "--out",
                tmp_path / "r",
            )
        )
        assert "21 classes; 8 pictures of voc" in out
        metrics = assert_table_is_metrics(out, tmp_path / "r" / "metrics.json", datasets.VOC().classes)
        assert metrics["pictures"] == 4
        again = done("evaluate", "--weights", tmp_path / "r" / "checkpoint.npz")
        assert table(again) == table(out)
        train_set = done("evaluate", "--weights", tmp_path / "r" / "checkpoint.npz", "--split", "train")
        assert table(train_set)["background"] != table(out)["background"]

    def test_a_folder(self, done, folder, tmp_path):
        """Pictures of many sizes. Of the four classes in the command three occur."""
        data = ["--dataset", "folder", "--root", folder, "--num-classes", 4]
        out = done("train", *data, "--crop", "24x40", "--width", 2, "--steps", 2, "--out", tmp_path / "r")
        metrics = assert_table_is_metrics(
            out, tmp_path / "r" / "metrics.json", ["background", "class 1", "class 2", "class 3"]
        )
        assert metrics["pictures"] == 1, "every fifth of six"
        assert metrics["classes"]["class 3"]["share"] == 0
        weights = ["--weights", tmp_path / "r" / "checkpoint.npz"]
        assert table(done("evaluate", *weights)) == table(out), "the checkpoint knows its data"
        everything = done("evaluate", *weights, *data, "--split", "all", "--out", tmp_path / "e")
        assert json.loads((tmp_path / "e" / "metrics.json").read_text(encoding="utf-8"))["pictures"] == 6
        assert table(everything) != table(out)

        photo = folder / "images" / "1.png"
        out = done("segment", photo, *weights, "--out", tmp_path / "s")
        assert f"{photo}: 50x20" in out
        assert any(name in out for name in metrics["classes"])

    def test_whole_pictures(self, done, folder, tmp_path):
        """Without augmentation, batches are padded to their largest picture."""
        words = ["--dataset", "folder", "--root", folder, "--no-augment", "--batch-size", 3, "--width", 2, "--steps", 2]
        done("train", *words, "--out", tmp_path / "r")
        assert len(arrays_of(tmp_path / "r" / "checkpoint.npz")["losses"]) == 2

    def test_class_weights_by_hand(self):
        """Shares 3/4 and 1/4. P = 1: 4/3 and 4, halved so a mean pixel weighs 1. P = 1/2: the ratio is (1/3)**.5."""

        class Two:
            num_classes = 3

            def __len__(self):
                return 1

            def __getitem__(self, index):
                return SimpleNamespace(labels=np.array([[0, 0, 0, 1, 255]], np.uint8))

        weight = train_setup.class_weight(SimpleNamespace(balance=1.0), Two())
        np.testing.assert_allclose(weight, [2 / 3, 2, 0], rtol=1e-6)
        weight = train_setup.class_weight(SimpleNamespace(balance=0.5), Two())
        np.testing.assert_allclose(weight[0] / weight[1], 3**-0.5, rtol=1e-6)
        assert 0.75 * weight[0] + 0.25 * weight[1] == pytest.approx(1, rel=1e-6)
        assert train_setup.class_weight(SimpleNamespace(balance=0.0), Two()) is None


class TestRuns:
    def test_a_seed_gives_the_same_run(self, trained, done, tmp_path):
        words = ["train", *TINY, "--dropout", 0.3, "--steps", 5]
        done(*words, "--seed", 3, "--out", tmp_path / "same")
        done(*words, "--seed", 4, "--out", tmp_path / "other")
        first, same, other = (
            arrays_of(f / "checkpoint.npz") for f in (trained.folder, tmp_path / "same", tmp_path / "other")
        )
        assert {name: array.tobytes() for name, array in same.items()} == {
            name: array.tobytes() for name, array in first.items()
        }
        for name in ("best.npz", "metrics.json", "losses.png", "predictions.png"):
            assert (tmp_path / "same" / name).read_bytes() == (trained.folder / name).read_bytes(), name
        assert log_of(tmp_path / "same") == log_of(trained.folder)
        assert not np.array_equal(other["model/conv1_1.weight"], first["model/conv1_1.weight"])

    def test_resume(self, done, tmp_path):
        """2 steps and then 4 equal 6 steps. Everything but the number of steps comes from the checkpoint."""
        words = [*TINY, "--dropout", 0.3, "--schedule", "fixed", "--lr", 0.05, "--momentum", 0.8, "--seed", 5]
        done("train", *words, "--steps", 6, "--out", tmp_path / "whole")
        done("train", *words, "--steps", 2, "--out", tmp_path / "part")
        out = done("train", "--resume", "--steps", 6, "--out", tmp_path / "part")
        assert "going on at step 2 of 6" in out
        np.testing.assert_equal(
            arrays_of(tmp_path / "part/checkpoint.npz"), arrays_of(tmp_path / "whole/checkpoint.npz")
        )
        before = arrays_of(tmp_path / "part/checkpoint.npz")
        assert "going on at step 6 of 6" in done("train", "--resume", "--out", tmp_path / "part")
        np.testing.assert_equal(arrays_of(tmp_path / "part/checkpoint.npz"), before)

    def test_a_32s_becomes_a_16s(self, done, tmp_path):
        """With a rate of 0, the FCN-16s still has the weights of the FCN-32s. Resuming does not need the old file."""
        words = [*TINY, "--out"]
        done("train", "--model", "mini_fcn32s", "--steps", 3, *words, tmp_path / "32s")
        old = tmp_path / "32s" / "checkpoint.npz"
        out = done(
            *("train", "--model", "mini_fcn16s", "--weights", old, "--lr", 0, "--schedule", "fixed", "--steps", 1),
            *(*words, tmp_path / "16s"),
        )
        assert f"from {old}: 16 parameters loaded; missing: score_pool4.weight, score_pool4.bias" in out
        source, target = arrays_of(old), arrays_of(tmp_path / "16s/checkpoint.npz")
        params = {name for name in source if name.startswith("model/")}
        assert len(params) == 16
        assert source["model/score_fr.weight"].any()
        for name in params:
            np.testing.assert_array_equal(target[name], source[name], name)
        assert not target["model/score_pool4.weight"].any(), "the skip starts by adding nothing"

        shutil.rmtree(tmp_path / "32s")
        done("train", "--resume", "--steps", 2, "--out", tmp_path / "16s")
        np.testing.assert_array_equal(
            arrays_of(tmp_path / "16s/checkpoint.npz")["model/fc6.weight"], source["model/fc6.weight"]
        )

    def test_frozen_trunk(self, done, tmp_path):
        done("train", *TINY, "--freeze-trunk", "--steps", 3, "--seed", 6, "--out", tmp_path / "r")
        arrays = arrays_of(tmp_path / "r/checkpoint.npz")
        for name, start in models.build("mini_fcn8s", 6, width=2, seed=6).params.items():
            same = np.array_equal(arrays[f"model/{name}"], start)
            assert same is (not name.startswith("score")), name

    def test_settings_reach_the_run(self, done, tmp_path):
        """A summed loss over 2 x 3 pictures: the first loss is ln 6 times the counted pixels of a mean batch."""
        out = done(
            *("train", *TINY, "--reduction", "sum", "--lr", 1e-4, "--iter-size", 3, "--steps", 1),
            *("--weight-decay", 0.25, "--momentum", 0.5, "--upsampling", "learned", "--out", tmp_path / "r"),
        )
        assert "warning: the learning rate 0.0001 is large for reduction 'sum'" in out
        assert "1 steps of 6, learning rate 0.0001 (poly, sum), momentum 0.5, decay 0.25" in out
        arrays, meta = checkpoint.read(tmp_path / "r/checkpoint.npz")
        scenes = datasets.Shapes(6, (32, 32), seed=0)
        counted = sum(int((labels != 255).sum()) for _, labels, _ in scenes)
        assert arrays["losses"][0] == pytest.approx(math.log(6) * counted / 3, rel=1e-5)
        assert arrays["model/upscore2.weight"].shape == (6, 6, 4, 4)
        assert meta["extra"]["arguments"]["weight_decay"] == 0.25
        assert meta["extra"]["classes"] == list(scenes.classes)

    def test_on_the_device(self, trained, done, tmp_path, monkeypatch):
        """The stand-in for CuPy refuses arrays of the host, so all computation happens on the device."""
        monkeypatch.setitem(sys.modules, "cupy", standin)
        words = ["train", *TINY, "--dropout", 0.3, "--steps", 5, "--seed", 3, "--device", "cuda"]
        done(*words, "--out", tmp_path / "r")
        on_device, on_host = arrays_of(tmp_path / "r/checkpoint.npz"), arrays_of(trained.checkpoint)
        for name, array in on_host.items():
            if name != "meta":
                np.testing.assert_allclose(on_device[name], array, rtol=1e-4, atol=1e-6, err_msg=name)


def test_small_pictures_are_not_padded_to_the_usual_crop(tmp_path):
    """Pictures of 16x20 are trained on in crops of 16x20, larger ones in crops of 240x320."""
    args = SimpleNamespace(no_augment=False, dataset="folder", crop=None, modality=None)
    for size, expected in (((16, 20), (16, 20)), ((300, 200), (240, 200)), ((500, 500), (240, 320))):
        labels = np.zeros(size, np.uint8)
        image = np.zeros((*size, 3), np.uint8)
        augment = train_setup.augmentation(args, [datasets.Sample(image, labels, "one")], datasets.CAFFE)
        changed, ids = augment(image, labels, np.random.default_rng(0))
        assert changed.shape == (*expected, 3)
        assert ids.shape == expected

"""A user's mistake is one line on stderr that names what is wrong, and exit status 2."""

import json
import os
import shutil
import sys

import numpy as np
import pytest
from cli_runs import SAMPLE, TINY, noise
from PIL import Image

from fcn_from_scratch import datasets, models
from fcn_from_scratch.training import SGD, Trainer, checkpoint


class TestTrainingMistakes:
    @pytest.mark.parametrize(
        ("words", "parts"),
        [
            (["--model", "fcn9s"], ["no model 'fcn9s'", "mini_fcn8s", "fcn32s"]),
            (["--model", "mini_classifier"], ["a classifier predicts one class for a picture"]),
            (["--lr", "nan"], ["lr must not be negative; got nan"]),
            (["--lr", "-0.1"], ["lr must not be negative; got -0.1"]),
            (["--lr", "nan", "--schedule", "fixed"], ["lr must not be negative; got nan"]),
            (["--momentum", "1"], ["momentum", "got 1.0"]),
            (["--weight-decay", "-1"], ["weight_decay must not be negative; got -1.0"]),
            (["--dropout", "1.5"], ["p must be a probability", "got 1.5"]),
            (["--balance", "nan", "--count", "8"], ["--balance nan"]),
            (["--balance", "1e9", "--count", "8"], ["--balance 1e+09"]),
            (["--seed", "-1"], ["seed must be at least 0; got -1"]),
            (["--count", "0"], ["count must be at least 1; got 0"]),
            (["--size", "8x8"], ["size must be at least 16; got (8, 8)"]),
            (["--num-classes", "9"], ["shapes has 6 classes", "9"]),
            (["--root", "somewhere"], ["shapes is drawn", "somewhere", "for your own pictures say --dataset folder"]),
            (["--weights", "gone.npz"], ["gone.npz: No such file"]),
            (["--weights", "."], [".: Is a directory"]),
            (["--dataset", "voc", "--size", "32x32"], ["--size is for drawn shapes", "voc"]),
            (["--dataset", "voc", "--root", "wrong"], ["no folder wrong/SegmentationClass"]),
            (["--dataset", "camvid", "--root", "wrong"], ["no folder wrong/train"]),
            (["--dataset", "folder", "--root", "wrong"], ["no folder wrong/images"]),
            (["--dataset", "folder"], ["dataset folder needs a root: pass --root DIR"]),
            (["--dataset", "camvid"], ["dataset camvid needs a root", "`fcn data camvid` says how to get it"]),
            (["--dataset", "voc"], ["dataset voc needs a root", "--root sample reads the twelve drawn pictures"]),
        ],
    )
    def test_is_one_line(self, mistake, tmp_path, monkeypatch, words, parts):
        monkeypatch.chdir(tmp_path)
        base = ["--width", "2", "--steps", "2"]
        line = mistake("train", *base, "--out", "run", *words)
        for part in parts:
            assert part in line
        assert list(tmp_path.iterdir()) == [], "nothing was written"

    def test_no_device(self, mistake, tmp_path, monkeypatch):
        monkeypatch.setitem(sys.modules, "cupy", None)
        assert "device 'cuda' needs CuPy" in mistake("train", *TINY, "--device", "cuda", "--out", tmp_path / "r")
        assert not (tmp_path / "r").exists()

    def test_a_rate_that_explodes(self, mistake, tmp_path):
        words = ["train", *TINY, "--steps", 9, "--lr", "1e30", "--schedule", "fixed", "--out", tmp_path / "r"]
        line = mistake(*words)
        assert "1e+30 is too large for reduction 'mean'" in line

    def test_an_existing_run(self, mistake, trained):
        before = trained.checkpoint.read_bytes()
        line = mistake("train", *TINY, "--out", trained.folder)
        assert f"{trained.folder} already holds a run: pass --resume" in line
        assert trained.checkpoint.read_bytes() == before

    def test_a_file_for_a_folder(self, mistake, tmp_path):
        (tmp_path / "file").write_text("mine")
        assert f"--out must be a folder; {tmp_path / 'file'} is a file" in mistake(
            "train", *TINY, "--out", tmp_path / "file"
        )
        assert str(tmp_path / "file") in mistake("train", *TINY, "--out", tmp_path / "file" / "run")
        assert (tmp_path / "file").read_text(encoding="utf-8") == "mine"

    def test_weights_of_another_width_or_class_count(self, mistake, trained, tmp_path):
        words = ["train", "--weights", trained.checkpoint, "--steps", 1, "--out", tmp_path / "r"]
        line = mistake(*words, "--width", 3)
        for part in (trained.checkpoint, "conv1_1.weight has shape (2, 3, 3, 3)", "the model's has (3, 3, 3, 3)"):
            assert str(part) in line
        line = mistake(*words, "--width", 2, "--dataset", "voc", "--root", SAMPLE)
        for part in (trained.checkpoint, "score_fr.weight has shape (6, 16, 1, 1)", "(21, 16, 1, 1)"):
            assert str(part) in line

    @pytest.mark.parametrize("length", [0, 10, 5000, -1])
    def test_resuming_a_cut_checkpoint(self, mistake, trained, tmp_path, length):
        content = trained.checkpoint.read_bytes()[:length]
        (tmp_path / "checkpoint.npz").write_bytes(content)
        line = mistake("train", "--resume", "--out", tmp_path)
        assert f"{tmp_path / 'checkpoint.npz'}: not a sound .npz archive" in line
        assert (tmp_path / "checkpoint.npz").read_bytes() == content

    def test_resuming_what_is_no_run(self, mistake, tmp_path):
        np.savez(tmp_path / "checkpoint.npz", w=np.zeros(3))
        assert "not a checkpoint" in mistake("train", "--resume", "--out", tmp_path)
        model = models.build("mini_fcn8s", 6, width=2)
        batches = datasets.Batches(datasets.Shapes(2, 32), 1, model.transform)
        checkpoint.save(tmp_path / "checkpoint.npz", Trainer(model, SGD(model, 0.1), batches))
        line = mistake("train", "--resume", "--out", tmp_path)
        assert "checkpoint.npz was not written by `fcn train`" in line

    def test_resuming_on_other_data(self, mistake, done, folder, tmp_path):
        words = ["--dataset", "folder", "--root", folder, "--num-classes", 3, "--crop", 32, "--width", 2]
        done("train", *words, "--steps", 1, "--out", tmp_path / "r")
        before = (tmp_path / "r" / "checkpoint.npz").read_bytes()
        for place in ("images", "labels"):
            shutil.copy(folder / place / "0.png", folder / place / "6.png")
        line = mistake("train", "--resume", "--steps", 2, "--out", tmp_path / "r")
        for part in (tmp_path / "r" / "checkpoint.npz", "samples = 5", "6"):
            assert str(part) in line
        assert (tmp_path / "r" / "checkpoint.npz").read_bytes() == before


class TestDataMistakes:
    """The user's own folder with one mistake in it."""

    @pytest.fixture
    def complaint(self, mistake, folder, tmp_path):
        def run(*more):
            words = ["--dataset", "folder", "--root", folder, "--num-classes", 3, "--no-augment", "--width", 2, *more]
            line = mistake("train", *words, "--batch-size", 5, "--steps", 3, "--out", tmp_path / "r")
            assert not (tmp_path / "r" / "checkpoint.npz").exists()
            return line

        return run

    def test_a_label_out_of_range(self, complaint, folder):
        labels = np.zeros((33, 40), np.uint8)
        labels[3, 4:6] = 7
        Image.fromarray(labels).save(folder / "labels" / "0.png")
        line = complaint()
        for part in (folder / "labels" / "0.png", "the id 7", "2 pixels", "0..2 and 255"):
            assert str(part) in line

    def test_masks_in_colour(self, complaint, folder):
        Image.fromarray(noise(33, 40)).save(folder / "labels" / "0.png")
        assert f"{folder / 'labels' / '0.png'} shows its labels as colours" in complaint()

    def test_labels_of_another_size(self, complaint, folder):
        Image.fromarray(np.zeros((30, 40), np.uint8)).save(folder / "labels" / "0.png")
        line = complaint()
        for part in (folder / "images" / "0.png", "33x40", folder / "labels" / "0.png", "30x40"):
            assert str(part) in line

    def test_labels_without_a_picture(self, complaint, folder):
        (folder / "images" / "2.png").unlink()
        assert "labels without a picture (1): --labels labels/{}.* has 2" in complaint()

    @pytest.mark.parametrize(("place", "rest"), [("images", 60), ("labels", 1000)])
    def test_a_picture_that_is_cut_or_empty(self, complaint, folder, place, rest):
        """With --strict it stops the run. Without, see test_train_endings.py."""
        path = folder / place / "0.png"
        path.write_bytes(path.read_bytes()[:-rest])
        assert f"{path} cannot be read as a picture" in complaint("--strict")


class TestWeightsMistakes:
    """evaluate and segment accept the same files and refuse the same files."""

    @pytest.fixture(params=["evaluate", "segment"])
    def complaint(self, request, mistake, tmp_path):
        def run(*words):
            Image.fromarray(noise(16, 16)).save(tmp_path / "photo.png")
            first = [tmp_path / "photo.png"] if request.param == "segment" else ["--dataset", "shapes", "--count", 1]
            line = mistake(request.param, *first, "--out", tmp_path / "out", *words)
            assert not (tmp_path / "out").exists()
            return line

        return run

    def test_no_file(self, complaint, tmp_path):
        assert f"{tmp_path / 'gone.npz'}: No such file" in complaint("--weights", tmp_path / "gone.npz")

    def test_a_folder(self, complaint, tmp_path):
        assert f"{tmp_path}: Is a directory" in complaint("--weights", tmp_path)

    def test_a_text(self, complaint, tmp_path):
        (tmp_path / "w.npz").write_text("weights")
        assert f"{tmp_path / 'w.npz'}: not a sound .npz archive" in complaint("--weights", tmp_path / "w.npz")

    def test_cut_short(self, complaint, trained, tmp_path):
        (tmp_path / "w.npz").write_bytes(trained.checkpoint.read_bytes()[:-500])
        assert f"{tmp_path / 'w.npz'}: not a sound .npz archive" in complaint("--weights", tmp_path / "w.npz")

    def test_not_ours(self, complaint, tmp_path):
        np.savez(tmp_path / "w.npz", **{"w_0": np.zeros(3)})
        words = ["--weights", tmp_path / "w.npz"]
        assert "does not say which network" in complaint(*words)
        assert "holds no score_fr" in complaint(*words, "--model", "mini_fcn8s")
        line = complaint(*words, "--model", "mini_fcn8s", "--num-classes", 6)
        assert "none of its 1 arrays has the name of a parameter" in line

    def test_incomplete(self, complaint, varied, tmp_path):
        params = dict(varied.model.params)
        del params["fc7.weight"]
        np.savez(tmp_path / "w.npz", **params)
        line = complaint("--weights", tmp_path / "w.npz", "--model", "mini_fcn8s")
        assert f"{tmp_path / 'w.npz'} lacks parameters of mini_fcn8s: fc7.weight" in line

    @pytest.mark.parametrize("array", [np.zeros(()), np.zeros((0,)), np.zeros((2, 2))])
    def test_a_score_layer_of_no_sense(self, complaint, tmp_path, array):
        np.savez(tmp_path / "w.npz", **{"score_fr.bias": array})
        complaint("--weights", tmp_path / "w.npz", "--model", "mini_fcn8s")

    def test_a_wrong_model(self, complaint, trained, varied):
        assert "no model 'fcn9s'" in complaint("--weights", varied.path, "--model", "fcn9s")
        line = complaint("--weights", trained.checkpoint, "--model", "mini_fcn16s")
        assert f"{trained.checkpoint} holds a mini_fcn8s; --model says mini_fcn16s" in line
        line = complaint("--weights", varied.path, "--model", "mini_classifier")
        assert "one class for a picture" in line

    def test_wrong_classes(self, complaint, trained):
        line = complaint("--weights", trained.checkpoint, "--num-classes", 5)
        assert f"{trained.checkpoint} was trained for 6 classes; --num-classes says 5" in line

    def test_no_device(self, complaint, trained, monkeypatch):
        monkeypatch.setitem(sys.modules, "cupy", None)
        assert "device 'cuda' needs CuPy" in complaint("--weights", trained.checkpoint, "--device", "cuda")

    @pytest.mark.parametrize(
        "change",
        [
            {"model": "mini_fcn99s"},
            {"options": {}},
            {"options": {"num_classes": "6"}},
            {"options": {"num_classes": 6, "width": 2, "colour": 1}},
            {"options": {"num_classes": 6, "width": 2, "seed": 1}},
            {"options": {"num_classes": 6, "width": -2}},
            {"extra": {"transform": {"mean": [1, 2]}}},
            {"extra": {"transform": {"mean": [1, 2, 3], "order": "GRB"}}},
        ],
    )
    def test_a_checkpoint_that_somebody_edited(self, complaint, trained, tmp_path, change):
        arrays, meta = checkpoint.read(trained.checkpoint)
        arrays["meta"] = np.frombuffer(json.dumps(meta | change).encode(), np.uint8)
        np.savez(tmp_path / "w.npz", **arrays)
        complaint("--weights", tmp_path / "w.npz")


class TestOtherMistakes:
    def test_data_of_other_classes(self, mistake, trained, folder):
        line = mistake("evaluate", "--weights", trained.checkpoint, "--dataset", "voc", "--root", SAMPLE)
        assert f"{trained.checkpoint} was trained for 6 classes; the dataset has 21" in line
        line = mistake("evaluate", "--weights", trained.checkpoint, "--dataset", "folder", "--root", folder)
        assert f"{trained.checkpoint} was trained for 6 classes; the dataset has 3" in line

    def test_a_split_that_is_not_there(self, mistake, trained):
        line = mistake("evaluate", "--weights", trained.checkpoint, "--split", "validation")
        for part in ("split", "'train'", "'validation'"):
            assert part in line
        line = mistake(
            "evaluate", "--weights", trained.checkpoint, "--dataset", "voc", "--root", SAMPLE, "--split", "test"
        )
        assert os.path.join("ImageSets", "Segmentation", "test.txt") in line

    def test_photos(self, mistake, trained, tmp_path):
        Image.fromarray(noise(16, 16)).save(tmp_path / "good.png")
        (tmp_path / "text.jpg").write_text("not a photo")
        (tmp_path / "cut.png").write_bytes((tmp_path / "good.png").read_bytes()[:60])
        (tmp_path / "other").mkdir()
        shutil.copy(tmp_path / "good.png", tmp_path / "other" / "good.png")
        end = ["--weights", trained.checkpoint, "--out", tmp_path / "out"]
        assert f"there is no file {tmp_path / 'gone.jpg'}" in mistake("segment", tmp_path / "gone.jpg", *end)
        assert f"{tmp_path / 'text.jpg'} cannot be read" in mistake("segment", tmp_path / "text.jpg", *end)
        assert f"{tmp_path / 'cut.png'} cannot be read" in mistake("segment", tmp_path / "cut.png", *end)
        (tmp_path / "none").mkdir()
        assert f"no pictures in {tmp_path / 'none'}; it holds nothing" in mistake("segment", tmp_path / "none", *end)
        same = mistake("segment", tmp_path / "good.png", tmp_path / "other" / "good.png", *end)
        assert "two pictures are called good" in same
        line = mistake("segment", tmp_path / "good.png", "--weights", trained.checkpoint, "--out", tmp_path / "cut.png")
        assert f"--out must be a folder; {tmp_path / 'cut.png'} is a file" in line

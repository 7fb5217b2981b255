"""`fcn train`, `fcn evaluate` and `fcn segment` from end to end, and their answers to a user's mistakes."""

import io
import json
import math
import os
import re
import shutil
import subprocess
import sys
from contextlib import redirect_stdout
from types import SimpleNamespace

import numpy as np
import pytest
import standin
from PIL import Image

from fcn_from_scratch import datasets, models
from fcn_from_scratch.checks import InputError
from fcn_from_scratch.cli import COMMANDS, main, segment, train
from fcn_from_scratch.training import SGD, Trainer, checkpoint

TINY = ["--width", "2", "--size", "32x32", "--count", "6", "--batch-size", "2"]
# VOC's first colours, from its development kit
VOC_COLOURS = [(0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0), (0, 0, 128), (128, 0, 128)]


@pytest.fixture
def done(fcn):
    """A function that runs a command which must succeed; returns the output."""

    def run(*words):
        status, out, err = fcn(*words)
        assert (status, err) == (0, "")
        return out

    return run


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of 5 steps on drawn shapes: its folder and the output of `fcn train`."""
    folder, out = tmp_path_factory.mktemp("run") / "shapes", io.StringIO()
    with redirect_stdout(out):
        assert main(["train", *TINY, "--dropout", "0.3", "--steps", "5", "--seed", "3", "--out", str(folder)]) == 0
    return SimpleNamespace(folder=folder, checkpoint=folder / "checkpoint.npz", out=out.getvalue())


@pytest.fixture(scope="module")
def varied(tmp_path_factory):
    """A file of plain weights whose predictions differ from pixel to pixel, and a model with these weights."""
    model = models.build("mini_fcn8s", 6, width=16, seed=1)
    rng = np.random.default_rng(2)
    for name, w in model.params.items():
        if name.startswith("score"):
            w[...] = rng.standard_normal(w.shape)
    path = tmp_path_factory.mktemp("varied") / "varied.npz"
    np.savez(path, **model.params)
    return SimpleNamespace(path=path, model=model.eval())


def predictions(model, image):
    """The arg-max of the scores for the picture, prepared by hand: BGR, minus VOC's mean, divided by 60."""
    x = image[:, :, ::-1].astype(np.float32) - np.float32((104.00698793, 116.66876762, 122.67891434))
    x *= np.float32(1 / 60)
    return model(x.transpose(2, 0, 1)[None]).argmax(axis=1)[0]


def noise(height, width, seed=0):
    """A picture of coarse random patches, so that the scores vary."""
    blocks = np.random.default_rng(seed).integers(256, size=(height // 8 + 1, width // 8 + 1, 3), dtype=np.uint8)
    return blocks.repeat(8, axis=0).repeat(8, axis=1)[:height, :width]


def write_folder(root, sizes, ids=3, seed=0):
    """Write a folder dataset: pictures 0.png, 1.png, ... of the given (height, width), and labels of ids and 255."""
    rng = np.random.default_rng(seed)
    for place in ("images", "labels"):
        (root / place).mkdir(parents=True)
    for number, (height, width) in enumerate(sizes):
        Image.fromarray(noise(height, width, number)).save(root / "images" / f"{number}.png")
        labels = rng.choice(np.array([*range(ids), 255], np.uint8), (height, width))
        labels[0, 0] = ids - 1
        Image.fromarray(labels).save(root / "labels" / f"{number}.png")
    return root


@pytest.fixture
def folder(tmp_path):
    return write_folder(tmp_path / "data", [(33, 40), (20, 50), (41, 32), (16, 16), (32, 32), (27, 39)])


def arrays_of(path):
    return checkpoint.read(path)[0]


def table(out):
    """The rows of a printed table of scores: name -> numbers, with None for a dash."""
    rows = {}
    for line in out.splitlines():
        found = re.fullmatch(r"(\S.*?)((?: +(?:-|\d+\.\d))+)(?:   \(.*\))?", line)
        if found:
            rows[found[1]] = [None if word == "-" else float(word) for word in found[2].split()]
    return rows


def percent(value):
    return None if value is None else pytest.approx(100 * value, abs=0.0501)


def assert_table_is_metrics(out, path, classes):
    """The printed numbers are those of metrics.json, rounded to one digit."""
    rows, metrics = table(out), json.loads(path.read_text(encoding="utf-8"))
    assert list(metrics["classes"]) == list(classes)
    for name, values in metrics["classes"].items():
        assert rows[name] == [percent(values[key]) for key in ("share", "accuracy", "iu")], name
    for name, value in metrics["scores"].items():
        assert rows[name.replace("_", " ").replace("iu", "IU")][0] == percent(value), name
    return metrics


class TestHelp:
    @pytest.mark.parametrize("command", COMMANDS)
    def test_each_command_shows_an_example(self, done, command):
        out = done(command, "--help")
        assert f"usage: fcn {command}" in out
        assert f"fcn {command}" in out.split("example")[1]

    def test_all_of_them(self, done):
        out = done("--help")
        assert all(command in out for command in COMMANDS)

    @pytest.mark.parametrize(
        "words", [[], ["trian"], ["train", "--steps", "0"], ["evaluate"], ["train", "--size", "a"]]
    )
    def test_words_that_do_not_parse(self, fcn, words):
        status, out, err = fcn(*words)
        assert (status, out) == (2, "")
        assert len(err.splitlines()) == 1
        assert err.startswith("fcn: ")
        assert "Traceback" not in err


class TestShapes:
    def test_train_writes(self, trained):
        names = {path.name for path in trained.folder.iterdir()}
        assert names == {"checkpoint.npz", "losses.csv", "losses.png", "metrics.json", "predictions.png"}
        for name in ("losses.png", "predictions.png"):
            with Image.open(trained.folder / name) as picture:
                assert np.asarray(picture.convert("L")).std() > 1

    def test_losses(self, trained):
        lines = (trained.folder / "losses.csv").read_text(encoding="utf-8").splitlines()
        assert lines[0] == "step,loss"
        steps, losses = zip(*(line.split(",") for line in lines[1:]))
        assert steps == ("0", "1", "2", "3", "4")
        assert float(losses[0]) == pytest.approx(math.log(6), rel=1e-6)
        np.testing.assert_allclose(arrays_of(trained.checkpoint)["losses"], [float(loss) for loss in losses], rtol=1e-8)

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
            *("train", "--dataset", "voc", "--crop", "32x48", "--width", 2, "--steps", 2, "--out", tmp_path / "r")
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

        weight = train._class_weight(SimpleNamespace(balance=1.0), Two())
        np.testing.assert_allclose(weight, [2 / 3, 2, 0], rtol=1e-6)
        weight = train._class_weight(SimpleNamespace(balance=0.5), Two())
        np.testing.assert_allclose(weight[0] / weight[1], 3**-0.5, rtol=1e-6)
        assert 0.75 * weight[0] + 0.25 * weight[1] == pytest.approx(1, rel=1e-6)
        assert train._class_weight(SimpleNamespace(balance=0.0), Two()) is None


class TestSegment:
    @pytest.mark.parametrize(("height", "width"), [(1, 1), (37, 61), (61, 37), (5, 96), (64, 32)])
    def test_pngs_of_any_size(self, done, varied, tmp_path, height, width):
        image = noise(height, width, seed=4)
        Image.fromarray(image).save(tmp_path / "photo.png")
        out = done(
            *("segment", tmp_path / "photo.png", "--weights", varied.path, "--model", "mini_fcn8s"),
            *("--out", tmp_path / "out"),
        )
        assert f"photo.png: {width}x{height}, " in out
        assert {p.name for p in (tmp_path / "out").iterdir()} == {
            f"photo_{kind}.png" for kind in ("labels", "colour", "overlay")
        }
        expected = predictions(varied.model, image)
        assert len(np.unique(expected)) > 1 or height == 1
        with Image.open(tmp_path / "out" / "photo_labels.png") as picture:
            assert (picture.mode, picture.size) == ("P", (width, height))
            np.testing.assert_array_equal(np.asarray(picture), expected)
            assert np.reshape(picture.getpalette(), (-1, 3))[:6].tolist() == [list(rgb) for rgb in VOC_COLOURS]
        colours = np.array(VOC_COLOURS, np.uint8)[expected]
        with Image.open(tmp_path / "out" / "photo_colour.png") as picture:
            np.testing.assert_array_equal(np.asarray(picture), colours)
        with Image.open(tmp_path / "out" / "photo_overlay.png") as picture:
            mixed = (image.astype(float) + colours) / 2
            assert np.abs(np.asarray(picture) - mixed).max() <= 0.5

    def test_the_zero_frame(self, done, fcn, tmp_path, monkeypatch):
        """The labels of all pictures are the same as without it. Other networks are refused in one line."""
        photos, calls = [tmp_path / f"{number}.png" for number in range(3)], []
        for number, (photo, width) in enumerate(zip(photos, (40, 40, 33))):
            Image.fromarray(noise(30, width, seed=number)).save(photo)

        class Counting(models.ZeroFrame):
            def __call__(self, x):
                calls.append(x.shape)
                return super().__call__(x)

        monkeypatch.setattr(segment, "ZeroFrame", Counting)
        done("train", "--model", "fcn32s", *TINY, "--steps", 2, "--out", tmp_path / "run")
        command = ["segment", *photos, "--weights", tmp_path / "run" / "checkpoint.npz", "--out"]
        done(*command, tmp_path / "plain")
        assert not calls
        done(*command, tmp_path / "framed", "--zero-frame")
        assert calls == [(1, 3, 30, 40), (1, 3, 30, 40), (1, 3, 30, 33)]
        for photo in photos:
            name = f"{photo.stem}_labels.png"
            assert (tmp_path / "plain" / name).read_bytes() == (tmp_path / "framed" / name).read_bytes()

        prepared, plain = [], segment.common.models.fcn.FCN.prepare
        monkeypatch.setattr(
            segment.common.models.fcn.FCN, "prepare", lambda *a, **wide: prepared.append(wide) or plain(*a, **wide)
        )
        done(*command, tmp_path / "fast", "--fast-fc6")
        assert {"wide": True} in prepared
        words = ["--model", "mini_unpool", "--random-weights", "--zero-frame"]
        status, _, err = fcn("segment", photos[0], *words, "--out", tmp_path / "x")
        assert status == 2
        assert "the zero frame takes FCN-32s" in err.splitlines()[-1]

    def test_shares(self, done, varied, tmp_path):
        image = noise(48, 64, seed=4)
        Image.fromarray(image).save(tmp_path / "photo.png")
        out = done(
            *("segment", tmp_path / "photo.png", "--weights", varied.path, "--model", "mini_fcn8s"),
            *("--out", tmp_path / "out"),
        )
        counts = np.bincount(predictions(varied.model, image).ravel(), minlength=6)
        first = int(counts.argmax())
        assert f"64x48, {first} {100 * counts[first] / counts.sum():.0f} %" in out, "a plain file has no class names"

    def test_a_photo_taken_upright(self, done, varied, tmp_path):
        """EXIF orientation 6: the picture must be turned a quarter to the right."""
        exif = Image.Exif()
        exif[0x0112] = 6
        Image.fromarray(noise(40, 56)).save(tmp_path / "phone.jpg", exif=exif, quality=95)
        with Image.open(tmp_path / "phone.jpg") as picture:
            upright = np.rot90(np.asarray(picture), -1)
        done(
            *("segment", tmp_path / "phone.jpg", "--weights", varied.path, "--model", "mini_fcn8s"),
            *("--out", tmp_path / "out"),
        )
        with Image.open(tmp_path / "out" / "phone_labels.png") as picture:
            assert picture.size == (40, 56)
            np.testing.assert_array_equal(np.asarray(picture), predictions(varied.model, upright))

    def test_a_checkpoint_says_how_pictures_are_prepared(self, done, varied, tmp_path):
        """The means and the channel order come from the checkpoint, not from the defaults of the network."""
        batches = datasets.Batches(datasets.Shapes(2, 32), 1, varied.model.transform)
        own = {"mean": [10, 20, 30], "order": "RGB", "scale": 1, "std": [50, 50, 50]}
        run = Trainer(varied.model, SGD(varied.model, 0.1), batches)
        checkpoint.save(tmp_path / "own.npz", run, {"transform": own})
        image = noise(40, 48, seed=4)
        Image.fromarray(image).save(tmp_path / "photo.png")
        done("segment", tmp_path / "photo.png", "--weights", tmp_path / "own.npz", "--out", tmp_path / "out")
        x = (image - np.float32((10, 20, 30))) * np.float32(1 / 50)
        expected = varied.model(x.transpose(2, 0, 1)[None]).argmax(axis=1)[0]
        assert (expected != predictions(varied.model, image)).any()
        with Image.open(tmp_path / "out" / "photo_labels.png") as picture:
            assert (np.asarray(picture) == expected).mean() > 0.999, "rounding may flip a tie"

    def test_several_pictures_of_all_kinds(self, done, trained, tmp_path):
        image = noise(30, 26)
        Image.fromarray(image[:, :, 0]).save(tmp_path / "grey.png")
        Image.fromarray(np.dstack([image, image[:, :, :1]])).save(tmp_path / "clear.png")
        Image.fromarray(image).convert("CMYK").save(tmp_path / "print.jpg")
        Image.fromarray(image).quantize(16).save(tmp_path / "gif.gif")
        photos = [tmp_path / name for name in ("grey.png", "clear.png", "print.jpg", "gif.gif")]
        out = done("segment", *photos, "--weights", trained.checkpoint, "--out", tmp_path / "out")
        names = datasets.Shapes(1, 32).classes
        for line, photo in zip(out.splitlines(), photos):
            assert line.startswith(f"{photo}: 26x30, ")
            assert line.split("26x30, ")[1].split()[0] in names
            with Image.open(tmp_path / "out" / f"{photo.stem}_labels.png") as picture:
                assert np.asarray(picture).max() <= 5
                assert picture.size == (26, 30)


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
        for name in ("losses.csv", "metrics.json", "losses.png", "predictions.png"):
            assert (tmp_path / "same" / name).read_bytes() == (trained.folder / name).read_bytes(), name
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

    def test_resume_of_nothing_is_a_start(self, trained, done, tmp_path):
        words = ["train", *TINY, "--dropout", 0.3, "--steps", 5, "--seed", 3]
        done(*words, "--resume", "--out", tmp_path / "r")
        np.testing.assert_equal(arrays_of(tmp_path / "r/checkpoint.npz"), arrays_of(trained.checkpoint))

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


# --- mistakes -------------------------------------------------------------------------------------------------


@pytest.fixture
def mistake(fcn):
    """A function that runs a command with a mistake; returns the one line of its message."""

    def run(*words):
        status, _, err = fcn(*words)
        assert status == 2
        assert err.count("\n") == 1
        assert err.startswith("fcn: ")
        return err

    return run


class TestTrainingMistakes:
    @pytest.mark.parametrize(
        ("words", "parts"),
        [
            (["--model", "fcn9s"], ["no model 'fcn9s'", "mini_fcn8s", "fcn32s"]),
            (["--model", "mini_classifier"], ["a classifier predicts one class for a picture"]),
            (["--lr", "nan"], ["lr is not negative; got nan"]),
            (["--lr", "-0.1"], ["lr is not negative; got -0.1"]),
            (["--lr", "nan", "--schedule", "fixed"], ["lr is not negative; got nan"]),
            (["--momentum", "1"], ["momentum", "got 1.0"]),
            (["--weight-decay", "-1"], ["weight_decay is not negative; got -1.0"]),
            (["--dropout", "1.5"], ["p is a probability", "got 1.5"]),
            (["--balance", "nan", "--count", "8"], ["--balance nan"]),
            (["--balance", "1e9", "--count", "8"], ["--balance 1e+09"]),
            (["--seed", "-1"], ["seed is at least 0; got -1"]),
            (["--count", "0"], ["count is at least 1; got 0"]),
            (["--size", "8x8"], ["size is at least 16; got (8, 8)"]),
            (["--num-classes", "9"], ["shapes has 6 classes", "9"]),
            (["--root", "somewhere"], ["shapes is drawn", "somewhere"]),
            (["--weights", "gone.npz"], ["gone.npz: No such file"]),
            (["--weights", "."], [".: Is a directory"]),
            (["--dataset", "voc", "--size", "32x32"], ["--size is for drawn shapes", "voc"]),
            (["--dataset", "voc", "--root", "wrong"], ["no folder wrong/SegmentationClass"]),
            (["--dataset", "camvid", "--root", "wrong"], ["no folder wrong/train"]),
            (["--dataset", "folder", "--root", "wrong"], ["no folder wrong/images"]),
            (["--dataset", "folder"], ["dataset folder needs a root"]),
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
        line = mistake(*words, "--width", 2, "--dataset", "voc")
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
        def run():
            words = ["--dataset", "folder", "--root", folder, "--num-classes", 3, "--no-augment", "--width", 2]
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
        assert f"{folder / 'labels' / '0.png'} is a RGB picture, not class ids" in complaint()

    def test_labels_of_another_size(self, complaint, folder):
        Image.fromarray(np.zeros((30, 40), np.uint8)).save(folder / "labels" / "0.png")
        line = complaint()
        for part in (folder / "images" / "0.png", "33x40", folder / "labels" / "0.png", "30x40"):
            assert str(part) in line

    def test_labels_without_a_picture(self, complaint, folder):
        (folder / "images" / "2.png").unlink()
        assert f"{folder} has no picture in images/ for 2" in complaint()

    def test_a_cut_picture(self, complaint, folder):
        path = folder / "images" / "0.png"
        path.write_bytes(path.read_bytes()[:-60])
        assert f"{path} cannot be read as a picture" in complaint()

    def test_an_empty_picture(self, complaint, folder):
        (folder / "labels" / "0.png").write_bytes(b"")
        assert f"{folder / 'labels' / '0.png'} cannot be read as a picture" in complaint()


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
        line = mistake("evaluate", "--weights", trained.checkpoint, "--dataset", "voc")
        assert f"{trained.checkpoint} was trained for 6 classes; the dataset has 21" in line
        line = mistake("evaluate", "--weights", trained.checkpoint, "--dataset", "folder", "--root", folder)
        assert f"{trained.checkpoint} was trained for 6 classes; the dataset has 3" in line

    def test_a_split_that_is_not_there(self, mistake, trained):
        line = mistake("evaluate", "--weights", trained.checkpoint, "--split", "validation")
        for part in ("split", "'train'", "'validation'"):
            assert part in line
        line = mistake("evaluate", "--weights", trained.checkpoint, "--dataset", "voc", "--split", "test")
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
        assert f"{tmp_path} cannot be read as a picture" in mistake("segment", tmp_path, *end)
        same = mistake("segment", tmp_path / "good.png", tmp_path / "other" / "good.png", *end)
        assert "two pictures are called good" in same
        line = mistake("segment", tmp_path / "good.png", "--weights", trained.checkpoint, "--out", tmp_path / "cut.png")
        assert f"--out must be a folder; {tmp_path / 'cut.png'} is a file" in line


class TestStatus:
    @pytest.mark.parametrize(
        ("error", "status", "line"),
        [
            (InputError("the file\nis odd"), 2, "fcn: the file is odd\n"),
            (MemoryError("Unable to allocate 9 GiB"), 1, "fcn: not enough memory: Unable to allocate 9 GiB. Use sm"),
            (KeyboardInterrupt(), 130, "fcn: interrupted\n"),
            (PermissionError(13, "Permission denied", "/a/b.npz"), 2, "fcn: /a/b.npz: Permission denied\n"),
        ],
    )
    def test_of_an_ending(self, fcn, monkeypatch, error, status, line):
        def fail(args):
            raise error

        monkeypatch.setattr(segment, "run", fail)
        ended, _, err = fcn("segment", "photo.png", "--weights", "w.npz")
        assert ended == status
        assert err.startswith(line)
        assert err.count("\n") == 1

    def python(self, *words, **options):
        return subprocess.run(
            [sys.executable, *map(str, words)], capture_output=True, text=True, timeout=120, **options
        )

    def test_in_a_process_of_its_own(self, trained, tmp_path):
        end = self.python("-m", "fcn_from_scratch", "segment", tmp_path / "gone.jpg", "--weights", trained.checkpoint)
        assert (end.returncode, end.stdout) == (2, "")
        assert end.stderr == f"fcn: there is no file {tmp_path / 'gone.jpg'}\n"

    def test_a_good_end_in_a_process_of_its_own(self, trained, tmp_path):
        Image.fromarray(noise(20, 16)).save(tmp_path / "photo.png")
        end = self.python(
            *("-m", "fcn_from_scratch", "segment", "photo.png", "--weights", trained.checkpoint), cwd=tmp_path
        )
        assert (end.returncode, end.stderr) == (0, "")
        assert (tmp_path / "segmented" / "photo_labels.png").is_file()

    def test_what_nobody_expected_is_status_1(self):
        code = """
import sys
from fcn_from_scratch.cli import main, segment

def run(args):
    raise ZeroDivisionError("a defect")

segment.run = run
sys.exit(main(["segment", "photo.png", "--weights", "w.npz"]))
"""
        end = self.python("-c", code)
        assert end.returncode == 1
        assert "ZeroDivisionError: a defect" in end.stderr

    @pytest.mark.skipif(os.name != "posix", reason="limits are POSIX's")
    def test_a_full_disk_is_status_1(self, tmp_path):
        """A limit on the size of files has the effect of a full disk."""
        code = f"""
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
from fcn_from_scratch.cli import main
sys.exit(main({["train", *TINY, "--steps", "1", "--out", str(tmp_path / "r")]!r}))
"""
        end = self.python("-c", code)
        assert end.returncode == 1
        assert "File too large" in end.stderr
        assert list((tmp_path / "r").iterdir()) == []


def test_small_pictures_are_not_padded_to_the_usual_crop(tmp_path):
    """Pictures of 16x20 are trained on in crops of 16x20, larger ones in crops of 240x320."""
    from fcn_from_scratch.cli.train import _augmentation

    args = SimpleNamespace(no_augment=False, dataset="folder", crop=None, modality=None)
    for size, expected in (((16, 20), (16, 20)), ((300, 200), (240, 200)), ((500, 500), (240, 320))):
        labels = np.zeros(size, np.uint8)
        image = np.zeros((*size, 3), np.uint8)
        augment = _augmentation(args, [datasets.Sample(image, labels, "one")], datasets.CAFFE)
        changed, ids = augment(image, labels, np.random.default_rng(0))
        assert changed.shape == (*expected, 3)
        assert ids.shape == expected

"""`fcn evaluate --save-dir`, and the mean loss beside the scores."""

import json

import numpy as np
import pytest
from cli_runs import TINY, VOC_COLOURS, predictions, write_folder
from PIL import Image

from fcn_from_scratch import datasets
from fcn_from_scratch.cli.predictions import Predictions


@pytest.fixture
def scored(done, varied, tmp_path):
    """A folder data set, and the scoring of its pictures with a network whose predictions vary."""
    root = write_folder(tmp_path / "data", [(33, 40), (20, 50), (41, 32)], ids=6)
    words = ["--weights", varied.path, "--model", "mini_fcn8s", "--dataset", "folder", "--num-classes", 6]

    def scored(*more):
        return done("evaluate", *words, "--root", root, "--split", "train", *more)

    return root, scored


def ids(path):
    with Image.open(path) as picture:
        assert picture.mode == "P"
        assert np.reshape(picture.getpalette(), (-1, 3))[:6].tolist() == [list(rgb) for rgb in VOC_COLOURS]
        return np.asarray(picture)


def test_an_index_png_a_picture(scored, varied, tmp_path):
    root, run = scored
    out = run("--save-dir", tmp_path / "ids")
    dataset = datasets.build("folder", root, "train", 6)
    names = [dataset[place].name for place in range(len(dataset))]
    assert sorted(path.stem for path in (tmp_path / "ids").iterdir()) == sorted(names)
    for place, name in enumerate(names):
        expected = predictions(varied.model, dataset[place].image)
        assert len(np.unique(expected)) > 1
        np.testing.assert_array_equal(ids(tmp_path / "ids" / f"{name}.png"), expected)
    assert f"wrote the class ids of every picture to {tmp_path / 'ids'}/: {len(names)} index PNGs" in out


def test_the_loss(scored, varied, tmp_path):
    """The mean over the pictures, of the mean and of the sum over the pixels that count."""
    root, run = scored
    out = run("--out", tmp_path / "out")
    dataset, means, sums = datasets.build("folder", root, "train", 6), [], []
    for sample in (dataset[place] for place in range(len(dataset))):
        x = (sample.image[:, :, ::-1] - np.float32((104.00698793, 116.66876762, 122.67891434))) / np.float32(60)
        scores = varied.model(np.ascontiguousarray(x.transpose(2, 0, 1))[None])[0].astype(np.float64)
        scores -= scores.max(axis=0)
        log_p = scores - np.log(np.exp(scores).sum(axis=0))
        losses = [-log_p[label, i, j] for (i, j), label in np.ndenumerate(sample.labels) if label != 255]
        means.append(np.mean(losses))
        sums.append(np.sum(losses))
    assert np.ptp(means) > 0.01
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert metrics["loss"] == pytest.approx(np.mean(means), rel=1e-4)
    assert metrics["summed_loss"] == pytest.approx(np.mean(sums), rel=1e-4)
    line = f"mean loss {np.mean(means):.4f} a pixel; {metrics['summed_loss']:.6g} summed over the pixels of a picture"
    assert line in out


def test_train_writes_the_same(trained, done, tmp_path):
    done("evaluate", "--weights", trained.checkpoint, "--out", tmp_path)
    there, here = (json.loads((p / "metrics.json").read_text()) for p in (trained.folder, tmp_path))
    assert here == there
    assert here["loss"] > 0


def test_a_file_in_the_way(scored, fcn, varied, tmp_path):
    (tmp_path / "ids").write_text("x")
    root, _ = scored
    words = ["--weights", varied.path, "--model", "mini_fcn8s", "--dataset", "folder", "--num-classes", 6]
    status, _, err = fcn("evaluate", *words, "--root", root, "--split", "train", "--save-dir", tmp_path / "ids")
    assert (status, err) == (2, f"fcn: --save-dir must be a folder; {tmp_path / 'ids'} is a file\n")


FOUND = {"semantic": (np.zeros((1, 2, 3, 4)), None), "geometric": (np.zeros((1, 2, 3, 4)), None)}


class TestNames:
    """The names come from lists of strangers."""

    def test_folders_of_names_stay(self, tmp_path):
        Predictions(tmp_path / "ids", None)("town/street/1", FOUND)
        assert {path.relative_to(tmp_path / "ids").as_posix() for path in (tmp_path / "ids").rglob("*.png")} == {
            *("town/street/1.png", "geometric/town/street/1.png")
        }

    @pytest.mark.parametrize("name", ["../1", "/etc/1", "a/../../1", "..\\1", "C:\\1", "", "a\0b"])
    def test_none_leads_out_of_the_folder(self, tmp_path, name):
        (tmp_path / "ids").mkdir()
        with pytest.raises(ValueError, match="cannot be the name of a file"):
            Predictions(tmp_path / "ids", None)(name, FOUND)
        assert not list((tmp_path).rglob("*.png"))

    def test_two_of_one_name(self, tmp_path):
        save = Predictions(tmp_path / "ids", None)
        save("1", FOUND)
        with pytest.raises(ValueError, match="two pictures called 1"):
            save("1", FOUND)


def test_drawn_shapes_have_names_too(done, tmp_path):
    done("train", *TINY, "--steps", 1, "--out", tmp_path / "run")
    done("evaluate", "--out", tmp_path / "run", "--save-dir", tmp_path / "ids")
    assert len(list((tmp_path / "ids").rglob("*.png"))) == 6

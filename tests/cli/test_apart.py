"""No command writes over what it reads."""

import os

import numpy as np
import pytest
from cli_runs import TINY, noise, write_folder
from PIL import Image


@pytest.fixture
def photos(tmp_path):
    """A function that writes pictures of these names to a folder; returns their paths."""

    def write(*names):
        for number, name in enumerate(names):
            Image.fromarray(noise(20, 30, seed=number)).save(tmp_path / name)
        return [tmp_path / name for name in names]

    return write


def content(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("kind", ["labels", "colour", "overlay", "figure"])
def test_segment_and_pictures_named_as_results(fcn, varied, photos, tmp_path, kind):
    first, second = photos("a.png", f"a_{kind}.png")
    before = content(tmp_path)
    words = ["--weights", varied.path, "--model", "mini_fcn8s"]
    status, _, err = fcn("segment", first, second, *words, "--out", tmp_path)
    assert status == 2
    assert f"the result {second} would overwrite a file that is read: choose another folder with --out" in err
    assert content(tmp_path) == before
    assert fcn("segment", first, second, *words, "--out", tmp_path / "out")[0] == 0


@pytest.mark.skipif(os.name != "posix", reason="links of Unix")
@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_links_are_found(fcn, varied, photos, tmp_path, link):
    (tmp_path / "out").mkdir()
    first, second = photos("a.png", "b.png")
    link(second, tmp_path / "out" / "a_labels.png")
    words = ["--weights", varied.path, "--model", "mini_fcn8s", "--out", tmp_path / "out"]
    status, _, err = fcn("segment", first, second, *words)
    assert status == 2
    assert f"would overwrite {second} that is read" in err
    Image.open(second).load()


def test_the_labels_of_a_data_set_stay(fcn, varied, tmp_path):
    root = write_folder(tmp_path / "data", [(33, 40), (20, 50)], ids=6)
    before = content(root)
    words = ["--weights", varied.path, "--model", "mini_fcn8s", "--dataset", "folder", "--num-classes", 6]
    status, _, err = fcn("evaluate", *words, "--root", root, "--split", "all", "--save-dir", root / "labels")
    assert status == 2
    assert "choose another folder with --save-dir" in err
    assert content(root) == before
    picture = next((root / "images").iterdir())
    for folder in ("images", "labels"):
        path = next((root / folder).glob(f"{picture.stem}.*"))
        path.rename(path.with_stem("predictions"))
    before = content(root)
    status, _, err = fcn("evaluate", *words, "--root", root, "--split", "all", "--out", root / "labels")
    assert status == 2
    assert "choose another folder with --out" in err
    assert content(root) == before


def test_weights_are_not_exported_onto_themselves(fcn, done, tmp_path):
    done("train", *TINY, "--steps", 1, "--out", tmp_path / "run")
    path = tmp_path / "run" / "checkpoint.npz"
    done("export", path, tmp_path / "w.pth")
    before = content(tmp_path)
    status, _, err = fcn("export", tmp_path / "w.pth", tmp_path / "w.pth")
    assert status == 2
    assert "would overwrite a file that is read: choose another name" in err
    path.rename(tmp_path / "run" / "best.npz")
    before = content(tmp_path)
    words = ["--steps", 2, "--weights", tmp_path / "run" / "best.npz", "--out", tmp_path / "run"]
    status, _, err = fcn("train", *TINY, *words)
    assert status == 2
    assert "best.npz would overwrite a file that is read: choose another --out" in err
    assert content(tmp_path) == before


@pytest.mark.parametrize("name", ["losses.png", "best.npz", "log.csv", "metrics.json", "predictions.png"])
def test_a_folder_in_the_place_of_a_result_is_noticed_before_the_training(fcn, tmp_path, name, monkeypatch):
    (tmp_path / "run" / name).mkdir(parents=True)
    monkeypatch.setattr("fcn_from_scratch.training.loop.Trainer.run", None)
    status, _, err = fcn("train", *TINY, "--steps", 1, "--out", tmp_path / "run")
    assert status == 2
    assert f"{tmp_path / 'run' / name}: Is a directory" in err


def test_a_map_beside_a_picture_stays(fcn, photos, tmp_path):
    """The depth map of photo.png, under the name of a result."""
    (photo,) = photos("photo.png")
    Image.fromarray(np.full((20, 30), 900, np.uint16)).save(tmp_path / "photo_labels.png")
    before = content(tmp_path)
    words = ["--model", "mini_fcn8s", "--random-weights", "--out", tmp_path, "--depth", tmp_path / "{name}_labels.png"]
    status, _, _ = fcn("segment", photo, *words, "--dataset", "nyud", "--modality", "early_fusion")
    assert status == 2
    assert content(tmp_path) == before

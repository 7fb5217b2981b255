"""`fcn compare` from end to end, and its answers to a user's mistakes."""

import csv
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from fcn_from_scratch.cli import compare, main
from fcn_from_scratch.lab.compare import METHODS

SMALL = ["--size", "64", "--count", "2", "--steps", "4", "--width", "2"]


def run(*words):
    try:
        return main(["compare", *map(str, words)])
    except SystemExit as end:
        return end.code


@pytest.fixture(scope="module", autouse=True)
def few_scenes():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compare, "TRAINING_SCENES", 8)
        yield


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with the results of one comparison of all methods."""
    folder = tmp_path_factory.mktemp("compare")
    assert run(*SMALL, "--out", folder) == 0
    return folder


@pytest.fixture
def folder(made, tmp_path):
    """A copy of that folder."""
    return shutil.copytree(made, tmp_path / "out")


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (50, 70, 3)).astype(np.uint8)).save(path)
    return path


def rows_of(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_everything_is_written(made):
    assert {path.name for path in made.iterdir()} == {"cache", *(f"comparison.{end}" for end in ("csv", "json", "png"))}
    assert [row["method"] for row in rows_of(made / "comparison.csv")] == list(METHODS)
    value = json.loads((made / "comparison.json").read_text(encoding="utf-8"))
    assert value["about"]["arguments"]["steps"] == 4
    assert len(value["about"]["notes"]) == 3
    with Image.open(made / "comparison.png") as slide:
        assert slide.size[0] == 1999


def test_a_second_run_trains_nothing_and_finds_the_same(folder, made, capsys):
    assert run(*SMALL, "--out", folder) == 0
    out = capsys.readouterr().out
    assert out.count(" read from /") == 7
    assert " steps in " not in out
    for ours, theirs in zip(rows_of(folder / "comparison.csv"), rows_of(made / "comparison.csv"), strict=True):
        costs = ("milliseconds", "peak_mib")
        assert {k: v for k, v in ours.items() if k not in costs} == {k: v for k, v in theirs.items() if k not in costs}


def test_only_what_the_methods_need_is_trained(tmp_path, capsys):
    assert run(*SMALL, "--out", tmp_path / "new", "--methods", "rarefy,nearest", "--stride", 16) == 0
    out = capsys.readouterr().out
    assert {path.name.rsplit("-", 1)[0] for path in (tmp_path / "new" / "cache").iterdir()} == {
        "trunk",
        "32s-half",
        "32s",
    }
    lines = [line for line in out.splitlines() if line.startswith(("rarefied", "coarse map"))]
    assert [line.split()[0] for line in lines] == ["rarefied", "coarse"]


def test_a_photo_is_predicted_by_the_cached_networks(folder, photo, capsys):
    words = (*SMALL, "--out", folder, "--image", photo)
    assert run(*words) == 0
    out = capsys.readouterr().out
    assert out.count(" read from /") == 7
    assert "photo.png, 50x70 pixels" in out
    assert "IU" not in out.split("border:")[0]
    rows = rows_of(folder / "photo_comparison.csv")
    assert all(row["mean_iu"] == "" and float(row["milliseconds"]) > 0 for row in rows)
    assert (folder / "photo_comparison.png").exists()


def test_the_cache_can_lie_elsewhere(folder, tmp_path, capsys):
    words = (*SMALL, "--out", tmp_path / "new", "--methods", "32s")
    assert run(*words, "--cache", folder / "cache") == 0
    assert "steps in" not in capsys.readouterr().out
    assert not (tmp_path / "new" / "cache").exists()


def test_another_seed_is_another_comparison(folder, capsys):
    assert run(*SMALL, "--out", folder, "--methods", "32s-fixed", "--seed", 1) == 0
    assert " read from /" not in capsys.readouterr().out


def test_a_trunk_from_a_file(folder, tmp_path, capsys):
    (weights,) = (folder / "cache").glob("16s-half-*.npz")
    words = ("--methods", "32s-fixed,8s", "--weights", weights, "--out", tmp_path / "new")
    assert run(*SMALL, *words) == 0
    assert "trunk " not in capsys.readouterr().out.split("pictures of shapes")[0]
    about = json.loads((tmp_path / "new" / "comparison.json").read_text(encoding="utf-8"))["about"]
    assert about["settings"]["weights"]
    assert about["settings"]["options"]["width"] == 2


def test_pictures_from_files(tmp_path, capsys):
    rng = np.random.default_rng(0)
    for folder in ("images", "labels"):
        (tmp_path / "data" / folder).mkdir(parents=True)
    for number in range(3):
        image = rng.integers(0, 256, (40 + number, 50, 3)).astype(np.uint8)
        Image.fromarray(image).save(tmp_path / "data" / "images" / f"{number}.png")
        Image.fromarray((image[:, :, 0] > 99).astype(np.uint8)).save(tmp_path / "data" / "labels" / f"{number}.png")
    words = ["--dataset", "folder", "--num-classes", "2", "--steps", "2", "--width", "2", "--methods", "32s,stitch"]
    assert run(*words, "--root", tmp_path / "data", "--out", tmp_path / "out") == 0
    assert "pictures of folder, 4" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--methods 32s,64s", "there is no method '64s'; the methods are nearest, 32s-fixed, 32s, stitch"),
        ("--stride 5", "--stride must divide the network's output stride, 32; got 5"),
        ("--stride 0", "argument --stride"),
        ("--steps 0", "argument --steps"),
        ("--image nowhere.jpg", "there is no file nowhere.jpg"),
        ("--weights nowhere.npz", "nowhere.npz"),
        ("--dataset camvid", "needs a root"),
        ("--dataset voc", "dataset voc needs a root"),
        ("--dataset camvid --root nowhere", "nowhere"),
        ("--dataset camvid --root nowhere --size 32", "--size is for drawn shapes"),
        ("--root somewhere", "takes no root"),
        ("--size 4", "at least 16"),
        ("--network vgg16", "pass one with --weights"),
        ("--device tpu", "argument --device"),
    ],
)
def test_a_mistake_ends_in_one_line(words, message, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(*words.split()) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""


def test_files_that_are_in_the_way_or_no_weights(tmp_path, capsys):
    (tmp_path / "file").write_text("not weights")
    assert run("--out", tmp_path / "file") == 2
    assert run("--weights", tmp_path / "file", "--out", tmp_path / "out") == 2
    out_error, weights_error = capsys.readouterr().err.splitlines()
    assert "is a file" in out_error
    assert str(tmp_path / "file") in weights_error

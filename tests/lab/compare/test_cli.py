"""`fcn compare` from end to end, and its answers to a user's mistakes."""

import csv
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from fcn_from_scratch.cli import compare, main
from fcn_from_scratch.lab.compare import METHODS, STAGES, measuring

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
        patch.setattr(measuring, "ROUNDS", 3)
        patch.setattr(measuring, "PEAKS", 2)
        patch.setenv("SOURCE_DATE_EPOCH", "0")
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
    slides = {"comparison.png", "comparison-2.png", "comparison-examples.png", "comparison-examples-2.png"}
    assert {path.name for path in made.iterdir()} == {"cache", "comparison.csv", "comparison.json", *slides}
    assert [row["method"] for row in rows_of(made / "comparison.csv")] == list(METHODS)
    value = json.loads((made / "comparison.json").read_text(encoding="utf-8"))
    about = value["about"]
    assert about["arguments"]["steps"] == 4
    assert len(about["notes"]) == 3
    assert about["command"] == "fcn compare --size 64x64 --count 2 --steps 4 --width 2"
    assert (about["date"], about["steps"], about["seeds"]) == ("1970-01-01", 4, [0])
    assert about["rates"] == {name: stage.lr for name, stage in STAGES.items() if name != "trunk"}
    assert set(about["load_average"]) == {"before", "after"}
    assert [one["seed"] for one in value["seeds"]] == [0]
    with Image.open(made / "comparison.png") as slide:
        assert slide.size == (1999, 1125)


def test_a_second_run_trains_nothing_and_finds_the_same(folder, made, capsys):
    assert run(*SMALL, "--out", folder) == 0
    out = capsys.readouterr().out
    assert out.count(" read from /") == len({method.stage for method in METHODS.values()})
    assert " steps in " not in out
    for ours, theirs in zip(rows_of(folder / "comparison.csv"), rows_of(made / "comparison.csv"), strict=True):
        assert steady(ours) == steady(theirs)


def steady(row):
    """What does not change from run to run."""
    return {key: value for key, value in row.items() if not key.startswith(("milliseconds", "peak_mib"))}


def test_several_seeds_give_means_spreads_and_differences(folder, capsys):
    words = (*SMALL, "--methods", "32s,8s", "--out")
    assert run(*words, folder, "--seeds", 2) == 0
    out = capsys.readouterr().out
    assert "seeds 0, 1" in out
    assert "s.d." in out
    value = json.loads((folder / "comparison.json").read_text(encoding="utf-8"))
    alone = []
    for seed in (0, 1):
        assert run(*words, folder, "--seed", seed) == 0
        alone.append({row["method"]: float(row["pixel_accuracy"]) for row in rows_of(folder / "comparison.csv")})
    assert alone[0] != alone[1]
    coarse, fine = value["rows"]
    assert fine["pixel_accuracy"] == pytest.approx(sum(one["8s"] for one in alone) / 2)
    assert fine["pixel_accuracy_low"] == min(one["8s"] for one in alone)
    assert fine["pixel_accuracy_gain"] == pytest.approx(sum(one["8s"] - one["32s"] for one in alone) / 2)
    assert coarse["pixel_accuracy_gain_sd"] == 0
    assert [one["methods"]["8s"]["pixel_accuracy"] for one in value["seeds"]] == [one["8s"] for one in alone]


def test_tuned_rates_are_kept_and_used(tmp_path, capsys):
    words = (*SMALL, "--methods", "32s,32s-fixed", "--out", tmp_path)
    assert run(*words, "--tune", "--seed", 5, "--seeds", 2) == 0
    out = capsys.readouterr().out
    assert "4 steps, seeds 5, 6" in out
    assert out.count("*") == 2
    (record,) = (tmp_path / "cache").glob("rates-*[0-9a-f].json")
    rates = {**json.loads(record.read_text())["rates"], "32s": 0.123}
    record.write_text(json.dumps({**json.loads(record.read_text()), "rates": rates}))
    assert run(*words, "--steps", 6) == 0  # another seed and other steps: the same rates
    assert "learning rates: tuned on held-out training pictures (4 steps, seeds 5, 6)" in capsys.readouterr().out
    about = json.loads((tmp_path / "comparison.json").read_text(encoding="utf-8"))["about"]
    assert about["rates"] == rates
    assert about["settings"]["rates"] == rates


def test_rates_that_were_not_tuned_are_named(tmp_path, capsys):
    assert run(*SMALL, "--methods", "32s-fixed", "--out", tmp_path, "--tune") == 0
    capsys.readouterr()
    assert run(*SMALL, "--methods", "32s-fixed,8s-staged", "--out", tmp_path) == 0
    line = capsys.readouterr().out.splitlines()[0]
    assert line.endswith("(4 steps, seed 0); those of 32s-third, 16s-third, 8s-third on drawn scenes")


def test_an_old_name_still_works(folder):
    assert run(*SMALL, "--out", folder, "--methods", "8s-atonce,8s") == 0
    assert [row["method"] for row in rows_of(folder / "comparison.csv")] == ["8s"]


def test_doubtful_times_are_said(folder, monkeypatch, capsys):
    monkeypatch.setattr(compare, "load", lambda: 7.25)
    assert run(*SMALL, "--out", folder, "--methods", "32s") == 0
    assert "The machine was busy (load average 7.2)" in capsys.readouterr().out
    about = json.loads((folder / "comparison.json").read_text(encoding="utf-8"))["about"]
    assert "busy" in about["warnings"][0]
    assert about["load_average"] == {"before": 7.25, "after": 7.25}


def test_only_what_the_methods_need_is_trained(tmp_path, capsys):
    assert run(*SMALL, "--out", tmp_path / "new", "--methods", "rarefy,nearest", "--stride", 16) == 0
    out = capsys.readouterr().out
    assert {path.name.rsplit("-", 1)[0] for path in (tmp_path / "new" / "cache").iterdir()} == {
        "trunk",
        "32s",
    }
    lines = [line for line in out.splitlines() if line.startswith(("rarefied", "coarse map"))]
    assert [line.split()[0] for line in lines] == ["rarefied", "coarse"]


def test_a_photo_is_predicted_by_the_cached_networks(folder, photo, capsys):
    words = (*SMALL, "--out", folder, "--image", photo)
    assert run(*words) == 0
    out = capsys.readouterr().out
    assert " steps in " not in out
    assert "photo.png, 50x70 pixels" in out
    assert "IU" not in out.split("With several seeds")[0]
    assert "These networks have learned only drawn shapes in 5 colours. They know nothing else." in out
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
    words = ("--methods", "32s-fixed,8s-staged", "--weights", weights, "--out", tmp_path / "new")
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
    out = capsys.readouterr().out
    assert "pictures of folder, 4" in out
    assert "tuned on drawn scenes (480 steps, seeds 11 and 12), not on folder; --tune does that" in out
    assert (
        run(*words, "--root", tmp_path / "data", "--out", tmp_path / "out", "--image", tmp_path / "data/images/0.png")
        == 0
    )
    assert "These networks have learned only the classes of folder: " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--methods 32s,64s", "there is no method '64s'; the methods are nearest, 32s-fixed, 32s, learned, stitch"),
        ("--stride 5", "--stride must divide the network's output stride, 32; got 5"),
        ("--stride 0", "argument --stride"),
        ("--steps 0", "argument --steps"),
        ("--image nowhere.jpg", "there is no file nowhere.jpg"),
        ("--image nowhere.jpg --seeds 2", "--image takes one seed"),
        ("--image nowhere.jpg --tune", "leave out --image"),
        ("--seeds 0", "argument --seeds"),
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

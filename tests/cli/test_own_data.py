"""People's own pictures from the command of docs/own_data.md to scores: the eight layouts, resumed and evaluated."""

import re
import shlex
import shutil

import numpy as np
import own_trees
import pytest
from PIL import Image

from fcn_from_scratch import datasets
from fcn_from_scratch.cli import own_help
from fcn_from_scratch.training import checkpoint

FAST = ("--model", "mini_fcn8s", "--width", 2, "--steps", 3, "--batch-size", 2, "--no-augment")
ROBOFLOW = "Roboflow, semantic segmentation masks"
OPTIONS = ("images", "labels", "classes", "label_map", "bands", "range")

every_tool = pytest.mark.parametrize("tool", own_trees.TOOLS)


def command(tool, root):
    """The words behind `fcn train` that docs/own_data.md gives for a tool (tests/test_own_page.py compares them)."""
    return [str(root) if word == "DIR" else word for word in shlex.split(own_help.COMMANDS[tool])]


def options(tool):
    """The same as keyword arguments of datasets.build."""
    words = command(tool, "")
    pairs = dict(zip(words[::2], words[1::2]))
    return {name: pairs[f"--{name.replace('_', '-')}"] for name in OPTIONS if f"--{name.replace('_', '-')}" in pairs}


def test_the_command_prints_them(done):
    printed = " ".join(done("data", "folder").replace("\\\n", " ").split())
    for tool, words in own_help.COMMANDS.items():
        assert f"{tool} fcn train {words}" in printed


@every_tool
def test_a_layout_is_read_right(tool, tmp_path):
    right = own_trees.write(tool, tmp_path)
    sets = [datasets.build("folder", tmp_path, split, **options(tool)) for split in ("train", "val")]
    assert [len(each) for each in sets] == [right.train, right.val]
    samples = {sample.name: sample for each in sets for sample in each}
    assert len(samples) == right.train + right.val
    for each in sets:
        assert each.classes == right.classes
    for name, row, column, id in right.pixels:
        assert samples[name].labels[row, column] == id, (name, row, column)
        assert samples[name].image.shape == (own_trees.HEIGHT, own_trees.WIDTH, 3)


@every_tool
def test_three_steps_then_more_then_scores(tool, tmp_path, done, capsys):
    """Resume and evaluate are given none of the options. The run was started from a copy that is gone then."""
    right = own_trees.write(tool, tmp_path / "data")
    out = done("train", *command(tool, tmp_path / "data"), *FAST, "--out", tmp_path / "run")
    assert f"{right.train} pictures of folder" in out
    assert f"{len(right.classes)} classes" in out
    done("train", "--resume", "--steps", 4, "--out", tmp_path / "run")
    extra = checkpoint.read(tmp_path / "run" / "checkpoint.npz")[1]["extra"]
    assert tuple(extra["classes"]) == right.classes
    scores = done("evaluate", "--weights", tmp_path / "run" / "checkpoint.npz")
    assert all(name[:16] in scores for name in right.classes[:3])
    (tmp_path / "data").rename(tmp_path / "moved")
    moved = done("evaluate", "--weights", tmp_path / "run" / "checkpoint.npz", "--root", tmp_path / "moved")
    assert moved.splitlines()[-8:] == scores.splitlines()[-8:]


@every_tool
def test_data_checks_it(tool, tmp_path, done):
    right = own_trees.write(tool, tmp_path)
    words = command(tool, tmp_path)
    out = done("data", "folder", *words[2:])
    assert {f"train: {right.train} pictures", f"val: {right.val} pictures"} <= set(out.splitlines())
    for id, name in enumerate(right.classes):
        if id in {each[-1] for each in right.pixels}:
            assert re.search(rf"{re.escape(name)} \d+\.\d%", out)


@pytest.mark.parametrize("tool", ["satellite tiles of four bands"])
def test_segment_reads_pictures_as_the_training_did(tool, tmp_path, done, mistake):
    """A folder of four-band tiles; without the checkpoint's bands they would be refused, or mixed with white."""
    own_trees.write(tool, tmp_path / "data")
    done("train", *command(tool, tmp_path / "data"), *FAST, "--out", tmp_path / "run")
    weights = ["--weights", tmp_path / "run" / "checkpoint.npz"]
    done("segment", tmp_path / "data" / "images", *weights, "--out", tmp_path / "s")
    names = sorted(path.name for path in (tmp_path / "s").glob("*_labels.png"))
    assert names == [f"tile_{n}_labels.png" for n in range(10)]
    for number in range(10):
        picture, _ = own_trees.scene(number)
        Image.fromarray(picture).save(tmp_path / f"tile_{number}.png")
    done("segment", *(tmp_path / f"tile_{n}.png" for n in range(10)), *weights, "--out", tmp_path / "t")
    for name in names:
        assert (tmp_path / "s" / name).read_bytes() == (tmp_path / "t" / name).read_bytes()


def test_segment_leaves_masks_beside_the_pictures_out(run, tmp_path, done):
    out = done("segment", tmp_path / "data" / "valid", "--weights", run, "--out", tmp_path / "s")
    assert "left out, since they are labels: p6_jpg" in out
    assert len(list((tmp_path / "s").glob("*_labels.png"))) == 2
    mask = next((tmp_path / "data" / "valid").glob("*_mask.png"))
    done("segment", mask, "--weights", run, "--out", tmp_path / "t")
    assert len(list((tmp_path / "t").glob("*_labels.png"))) == 1


# --- compare and doctor take the same -----------------------------------------------------------------------------


def test_doctor_and_compare_take_the_options(tmp_path, fcn):
    tool = "satellite tiles of four bands"
    own_trees.write(tool, tmp_path / "data")
    status, out, _ = fcn("doctor", *command(tool, tmp_path / "data"))
    assert status == 0, out
    words = ["--steps", 1, "--methods", "32s", "--width", 2, "--count", 1, "--crop", "32"][:8]
    status, out, err = fcn("compare", *command(tool, tmp_path / "data"), *words, "--out", tmp_path / "c")
    assert (status, err) == (0, "")


@pytest.mark.parametrize("name", ["train", "evaluate", "data", "compare", "doctor"])
def test_every_command_has_them(name, fcn):
    out = fcn(name, "--help")[1]
    assert all(f"--{option.replace('_', '-')} " in out for option in OPTIONS)


# --- splits ---------------------------------------------------------------------------------------------------


def test_a_validation_split_of_another_name_may_lack_a_class(tmp_path, done):
    for split, values in (("train2017", (0, 1, 2)), ("val2017", (0, 1))):
        for number in range(2):
            own_trees.save(tmp_path / "data" / split / f"{number}.jpg", own_trees.scene(number)[0])
            labels = np.resize(np.array(values, np.uint8), (own_trees.HEIGHT, own_trees.WIDTH))
            own_trees.save(tmp_path / "data" / split / f"{number}_mask.png", labels)
    words = ["--dataset", "folder", "--root", tmp_path / "data", "--images", "{split}/{}.jpg"]
    words += ["--labels", "{split}/{}_mask.png", "--split", "train2017", "--val-split", "val2017"]
    out = done("train", *words, *FAST, "--out", tmp_path / "run")
    assert re.search(r"^class 2 +0\.0 ", out, re.MULTILINE)


# --- evaluate -------------------------------------------------------------------------------------------------


@pytest.fixture
def run(tmp_path, done):
    """A run on pictures with named classes; its folder."""
    own_trees.write(ROBOFLOW, tmp_path / "data")
    done("train", *command(ROBOFLOW, tmp_path / "data"), *FAST, "--out", tmp_path / "run")
    return tmp_path / "run" / "checkpoint.npz"


def own(tmp_path, ids=(0, 1)):
    """Another folder in the same layout, without a class file."""
    for split in ("train", "valid"):
        for number in range(2):
            stem = tmp_path / "other" / split / f"q{number}"
            own_trees.save(stem.with_suffix(".jpg"), own_trees.scene(number)[0])
            labels = np.resize(np.array(ids, np.uint8), (own_trees.HEIGHT, own_trees.WIDTH))
            own_trees.save(stem.with_name(f"q{number}_mask.png"), labels)
    return tmp_path / "other"


def test_a_split_that_lacks_a_class_is_scored(run, tmp_path, done):
    out = done("evaluate", "--weights", run, "--dataset", "folder", "--root", own(tmp_path, (0, 1)))
    for name in ("background", "box", "bar"):
        assert re.search(rf"^{name} ", out, re.MULTILINE), "the checkpoint's names"


def test_the_class_file_of_the_training_data_serves_other_data(tmp_path, done, mistake):
    """Its values decode the labels there too; a class file that lies there is taken instead, and compared."""
    for place in ("a", "b"):
        for number in range(3):
            own_trees.save(tmp_path / place / "images" / f"{number}.png", own_trees.scene(number)[0])
            own_trees.save(tmp_path / place / "masks" / f"{number}.png", own_trees.scene(number)[1] * 10)
    (tmp_path / "a" / "kinds.csv").write_text("value,name\n0,ground\n10,box\n20,bar\n")
    words = ("--dataset", "folder", "--root", tmp_path / "a", "--classes", "kinds.csv")
    done("train", *words, *FAST, "--out", tmp_path / "run")
    other = ("evaluate", "--weights", tmp_path / "run" / "checkpoint.npz", "--root", tmp_path / "b")
    assert "box" in done(*other)
    (tmp_path / "b" / "_classes.csv").write_text("value,name\n0,ground\n10,disc\n20,bar\n")
    assert "class 1 is box and disc" in mistake(*other)


def test_other_names_are_refused(run, tmp_path, mistake):
    root = own(tmp_path)
    for split in ("train", "valid"):
        (root / split / "_classes.csv").write_text("Pixel Value, Class\n0, background\n1, disc\n2, bar\n")
    line = mistake("evaluate", "--weights", run, "--dataset", "folder", "--root", root)
    assert "was trained on other classes than the dataset has: class 1 is box and disc" in line
    (root / "train" / "_classes.csv").unlink()
    (root / "valid" / "_classes.csv").unlink()
    line = mistake("evaluate", "--weights", run, "--dataset", "folder", "--root", root, "--classes", "a,b,c")
    assert "class 0 is background and a" in line


def test_the_same_picture_in_both_splits_is_told_beside_the_score(tmp_path, done):
    own_trees.write(ROBOFLOW, tmp_path / "data")
    for path in (tmp_path / "data" / "train").glob("p3*"):
        shutil.copy(path, tmp_path / "data" / "valid" / path.name.replace("p3", "again"))
    words = command(ROBOFLOW, tmp_path / "data")
    told = "warning: 1 picture is in both train and val, so the score is too good: again_"
    assert told in done("train", *words, *FAST, "--out", tmp_path / "run")
    assert told in done("evaluate", "--weights", tmp_path / "run" / "checkpoint.npz")
    assert told in done("data", "folder", *words[2:])
    split = ("--split", "test")
    assert "warning" not in done("evaluate", "--weights", tmp_path / "run" / "checkpoint.npz", *split)


# --- resume ---------------------------------------------------------------------------------------------------


def test_resume_refuses_another_option_and_takes_the_same(tmp_path, done, mistake):
    tool = "satellite tiles of four bands"
    own_trees.write(tool, tmp_path / "data")
    words = command(tool, tmp_path / "data")
    done("train", *words, *FAST, "--out", tmp_path / "run")
    end = ("--steps", 4, "--out", tmp_path / "run")
    line = mistake("train", "--resume", "--label-map", "0:0,1:1,2:2,3:ignore", *end)
    assert "--label-map 0:0,1:1,2:2,3:ignore does not fit the run" in line
    assert "--bands 2,1,0 does not fit the run" in mistake("train", "--resume", "--bands", "2,1,0", *end)
    assert "--range 0:100 does not fit the run" in mistake("train", "--resume", "--range", "0:100", *end)
    done("train", "--resume", *words, *end)


def test_a_long_map_is_kept(tmp_path, done):
    own_trees.write("slices of 16 bits, such as medical ones", tmp_path / "data")
    label_map = ",".join(["0:0,1:1,2:2", *(f"{n}:ignore" for n in range(1000, 3000))])
    words = ("--dataset", "folder", "--root", tmp_path / "data", "--label-map", label_map)
    done("train", *words, *FAST, "--out", tmp_path / "run")
    done("train", "--resume", "--steps", 4, "--out", tmp_path / "run")


def test_what_was_taken_is_told_and_kept(tmp_path, done):
    """A second layout that fits later does not stop the run: the checkpoint names the patterns."""
    own_trees.write("CVAT, segmentation mask 1.1", tmp_path / "data")
    out = done("train", "--dataset", "folder", "--root", tmp_path / "data", *FAST, "--out", tmp_path / "run")
    lines = out.splitlines()
    assert sum("--images 'JPEGImages/{}.*' --labels 'SegmentationClass/{}.*'" in line for line in lines) == 1
    assert sum("every fifth sample is val (9 train, 2 val)" in line for line in lines) == 1
    assert "train: 1 picture without labels is left out: f 007" in lines
    shutil.copytree(tmp_path / "data" / "SegmentationClass", tmp_path / "data" / "SegmentationClassPNG")
    done("train", "--resume", "--steps", 4, "--out", tmp_path / "run")
    done("evaluate", "--weights", tmp_path / "run" / "checkpoint.npz")


def test_a_class_file_of_the_working_folder_is_found_again(tmp_path, done, monkeypatch):
    own_trees.write("slices of 16 bits, such as medical ones", tmp_path / "data")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "names.txt").write_text("background\nliver\ntumour\n")
    monkeypatch.chdir(tmp_path / "a")
    words = ["--dataset", "folder", "--root", "../data", "--classes", "names.txt"]
    done("train", *words, *FAST, "--out", tmp_path / "run")
    monkeypatch.chdir(tmp_path)
    assert "liver" in done("evaluate", "--weights", tmp_path / "run" / "checkpoint.npz")

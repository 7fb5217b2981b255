"""`fcn data`: the list of datasets, the instructions for getting one, and the check of one on disk."""

import json
import shutil

import matfile
import numpy as np
import pytest
import trees

from fcn_from_scratch import datasets
from fcn_from_scratch.cli import main


@pytest.fixture
def root(tmp_path, rng):
    """A folder with all datasets of the paper, like `data/`."""
    trees.voc(tmp_path, rng, "VOC2012", train=["a", "b"], val=["c"])
    trees.voc(tmp_path, rng, "VOC2011", train=["a"], val=["c", "b"])
    trees.sbd(tmp_path, rng, train=["b", "x"], val=["y"])
    trees.nyud(tmp_path, rng, train=["1", "2", "3"], val=["4"], test=["5"])
    trees.siftflow(tmp_path, rng, ["t1", "t2"], ["r1", "r2", "r3"], ["street_urb506"])
    trees.pascalcontext(tmp_path, rng, train=["q1", "q2"], val=["q3"])
    return tmp_path


@pytest.fixture
def fcn(capsys):
    def fcn(*words):
        status = main(["data", *map(str, words)])
        out = capsys.readouterr()
        return status, out.out, out.err

    return fcn


def expect(monkeypatch, name, **counts):
    """Set the number of pictures of a complete set to that of the tests' set."""
    monkeypatch.setitem(datasets.SOURCES, name, datasets.SOURCES[name]._replace(counts=counts))


# --- the list, and how to get a dataset -----------------------------------------------------------------------


def test_all_datasets_are_listed(fcn):
    status, out, _ = fcn()
    assert status == 0
    assert [line.split()[0] for line in out.splitlines()] == list(datasets.NAMES)


@pytest.mark.parametrize("name", datasets.NAMES)
def test_each_has_steps(fcn, name):
    status, out, _ = fcn(name)
    assert status == 0
    assert all(len(line) <= 120 for line in out.splitlines())
    if name in datasets.SOURCES:
        assert "http" in out
        assert "Licence: " in out
        check = next(line for line in out.splitlines() if line.startswith("Then check it:"))
        assert f"fcn data {name} --root data" in check


def test_every_dataset_that_is_read_from_a_fixed_layout_has_a_source():
    assert {*datasets.NAMES} - {"shapes", "folder"} == {*datasets.SOURCES}


def test_every_complaint_says_where_to_look(fcn, tmp_path):
    for name in datasets.SOURCES:
        status, out, err = fcn(name, "--root", tmp_path)
        assert status == 2
        assert out.count("missing") == out.count("\n") - 1 > 1
        assert err.count("\n") == 1
        assert "there is no folder" in err
        assert f"`fcn data {name}` says how to get it" in err


# --- the check of a dataset -----------------------------------------------------------------------------------

WHOLE = {
    "voc": {"train": 2, "val": 1, "seg11valid": 1},
    "sbd": {"train": 2, "val": 1},
    "nyud": {"train": 3, "val": 1, "test": 1},
    "siftflow": {"trainval": 3, "test": 2},
    "pascalcontext": {"train": 2, "val": 1},
}


@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_set_is_sound(fcn, root, monkeypatch, name):
    expect(monkeypatch, name, **WHOLE[name])
    status, out, err = fcn(name, "--root", root)
    assert (status, err) == (0, "")
    for split, count in WHOLE[name].items():
        assert f"{split}: {count} picture{'s' * (count > 1)}, as it should be\n" in out


def test_what_a_complete_set_has_is_said(fcn, root):
    status, out, _ = fcn("sbd", "--root", root)
    assert status == 1
    assert "train: 2 pictures; a complete set has 8,498" in out
    assert "labels: 21 of 21 classes, 0.0% of the pixels ignored" in out


def test_both_labellings_are_reported(fcn, root):
    _, out, _ = fcn("siftflow", "--root", root, "--split", "test")
    assert "semantic labels: 33 of 33 classes" in out
    assert "geometric labels: 3 of 3 classes" in out
    assert "trainval" not in out


def test_what_cannot_be_read_is_named(fcn, root, monkeypatch):
    expect(monkeypatch, "nyud")
    folder = root / "nyud"
    (folder / "data/images/img_2.png").write_bytes(b"x")
    trees.mat(folder / "segmentation/img_3.mat", matfile.array(np.full(trees.SIZE, 41, np.uint8), "segmentation"))
    status, out, _ = fcn("nyud", "--root", root, "--split", "train")
    assert status == 1
    assert "cannot be read (2): " in out
    assert "img_2.png cannot be read as a picture" in out
    assert "img_3.mat (its numbers minus 1) contain the id 40" in out
    status, out, _ = fcn("nyud", "--root", root, "--split", "train", "--limit", "1")
    assert status == 0
    assert "(read: the first 1)" in out


def test_a_split_that_is_missing_does_not_hide_the_others(fcn, root, monkeypatch):
    expect(monkeypatch, "nyud")
    (root / "nyud" / "val.txt").unlink()
    (root / "nyud" / "segmentation" / "img_5.mat").unlink()
    status, out, err = fcn("nyud", "--root", root)
    assert (status, err) == (1, "")
    assert "train: 3 pictures\n" in out
    assert "val: dataset nyud: there is no list" in out
    assert "test: dataset nyud: files of the dataset are missing (1)" in out


def test_seg11valid_is_not_asked_of_voc_alone(fcn, root, monkeypatch):
    expect(monkeypatch, "voc")
    (root / "benchmark_RELEASE").rename(root / "gone")
    status, out, _ = fcn("voc", "--root", root)
    assert status == 0
    assert "seg11valid: dataset voc: seg11valid needs benchmark_RELEASE/dataset/train.txt" in out
    status, _, err = fcn("voc", "--root", root, "--split", "seg11valid")
    assert status == 2
    assert "needs benchmark_RELEASE" in err


def test_only_the_channels_asked_for_are_wanted(fcn, root, monkeypatch):
    expect(monkeypatch, "nyud")
    (root / "nyud" / "data" / "depth").rename(root / "gone")
    assert fcn("nyud", "--root", root, "--modality", "color-hha")[0] == 0
    status, _, err = fcn("nyud", "--root", root, "--modality", "color-d")
    assert status == 2
    assert "missing (3)" in err


def test_a_folder_of_ones_own(fcn, tmp_path, rng):
    for stem in "abc":
        trees.picture(tmp_path / "images" / f"{stem}.png", rng)
        ids = tmp_path / "labels" / f"{stem}.png"
        ids.parent.mkdir(exist_ok=True)
        datasets.save_labels(ids, rng.integers(3, size=trees.SIZE))
    status, out, _ = fcn("folder", "--root", tmp_path, "--num-classes", "4")
    assert status == 0
    assert "all: 3 pictures\n  labels: 3 of 4 classes" in out
    assert "never seen in 3 samples: class 3" in out


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--root", "here"], "which dataset is it? One of shapes, voc"),
        (["shapes", "--root", "here"], "takes no root; got here"),
        (["voc", "--root", "here", "--modality", "hha"], "dataset voc has no option 'modality'"),
    ],
)
def test_mistakes_are_one_sentence(fcn, words, complaint):
    status, _, err = fcn(*words)
    assert status == 2
    assert complaint in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("words", [["coco"], ["voc", "--limit", "0"], ["nyud", "--modality", "rgb"]])
def test_words_that_do_not_exist(capsys, words):
    with pytest.raises(SystemExit) as end:
        main(["data", *words])
    assert end.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


# --- training and scoring on datasets -------------------------------------------------------------------------


def train(capsys, root, out, *words):
    tiny = ["--steps", "2", "--batch-size", "2", "--width", "4", "--crop", "32x32"]
    status = main(["train", *tiny, "--root", str(root), "--out", str(out), *words])
    return status, capsys.readouterr()


def test_two_heads_are_trained_and_scored(root, tmp_path, capsys):
    out = tmp_path / "run"
    status, text = train(capsys, root, out, "--model", "mini_fcn8s_two_heads", "--dataset", "siftflow")
    assert status == 0
    assert "geometric head: geometric accuracy is its pixel accuracy" in text.out
    numbers = json.loads((out / "metrics.json").read_text(encoding="utf-8"))
    assert len(numbers["classes"]) == 33
    assert list(numbers["heads"]["geometric"]["classes"]) == ["sky", "horizontal", "vertical"]
    assert main(["evaluate", "--out", str(out)]) == 0
    again = capsys.readouterr().out
    assert (
        again[again.index("class ") : again.index("wrote")]
        == text.out[text.out.index("class ") : text.out.index("wrote")]
    )
    assert json.loads((out / "metrics.json").read_text(encoding="utf-8")) == numbers


@pytest.mark.parametrize(
    ("modality", "model", "channels", "means"),
    [
        ("color", "mini_fcn32s", 3, {"mean": [116.19, 97.203, 92.318], "order": "BGR"}),
        ("color-d", "mini_fcn32s", 4, {"mean": [116.19, 97.203, 92.318], "depth_mean": 7.844, "depth_std": 1.0}),
        ("hha", "mini_fcn32s", 3, {"mean": [132.431, 94.076, 118.477], "order": "RGB"}),
        ("color-hha", "mini_fcn32s_late_fusion", 6, {"hha_mean": [132.431, 94.076, 118.477]}),
    ],
)
def test_every_modality_is_trained_and_scored(root, tmp_path, capsys, modality, model, channels, means):
    """Training uses the means of these channels and records them in the checkpoint. evaluate reads them from it."""
    from fcn_from_scratch.training import checkpoint

    out = tmp_path / "run"
    assert train(capsys, root, out, "--model", model, "--dataset", "nyud", "--modality", modality)[0] == 0
    _, meta = checkpoint.read(out / "checkpoint.npz")
    assert means.items() <= meta["extra"]["transform"].items()
    assert meta["extra"]["transform"]["std"] == [60.0, 60.0, 60.0]
    assert meta["options"].get("in_channels", 3) == (channels if channels != 6 else 3)
    assert main(["evaluate", "--out", str(out)]) == 0


def test_splits_to_train_and_score_on(root, tmp_path, capsys):
    words = ("--model", "mini_fcn32s", "--dataset", "nyud", "--split", "trainval", "--val-split", "test")
    status, text = train(capsys, root, tmp_path / "run", *words)
    assert status == 0
    assert "4 pictures of nyud" in text.out
    assert json.loads((tmp_path / "run" / "metrics.json").read_text(encoding="utf-8"))["pictures"] == 1


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (
            ["--model", "mini_fcn32s_late_fusion", "--dataset", "nyud"],
            "reads pictures of 6 channels, the dataset's have 3",
        ),
        (["--model", "mini_fcn8s_two_heads", "--dataset", "nyud"], "the network has 2 heads, the dataset 1 label map"),
        (["--model", "mini_fcn8s", "--dataset", "voc", "--modality", "hha"], "dataset voc has no option 'modality'"),
    ],
)
def test_networks_and_data_that_do_not_fit(root, tmp_path, capsys, words, complaint):
    status, text = train(capsys, root, tmp_path / "run", *words)
    assert status == 2
    assert complaint in text.err
    assert text.err.count("\n") == 1


def test_a_network_of_other_channels_is_not_scored(root, tmp_path, capsys):
    train(capsys, root, tmp_path / "run", "--model", "mini_fcn32s", "--dataset", "nyud")
    weights = ["--weights", str(tmp_path / "run" / "checkpoint.npz")]
    assert main(["evaluate", *weights, "--dataset", "nyud", "--root", str(root), "--modality", "color-d"]) == 2
    assert "mini_fcn32s reads pictures of 3 channels, the dataset's have 4" in capsys.readouterr().err


def test_a_photo_has_no_depth(root, tmp_path, capsys):
    words = ("--model", "mini_fcn32s", "--dataset", "nyud", "--modality", "color-d")
    train(capsys, root, tmp_path / "run", *words)
    weights = ["--weights", str(tmp_path / "run" / "checkpoint.npz"), "--out", str(tmp_path / "segmented")]
    photo = root / "nyud/data/images/img_1.png"
    assert main(["segment", str(photo), *weights]) == 0, "its depth map lies beside it"
    alone = str(shutil.copy(photo, tmp_path / "alone.png"))
    assert main(["segment", alone, *weights]) == 2
    assert "a mini_fcn32s reads 4 channels; a photo has 3" in capsys.readouterr().err


def test_the_first_head_labels_a_photo(root, tmp_path, capsys):
    train(capsys, root, tmp_path / "run", "--model", "mini_fcn8s_two_heads", "--dataset", "siftflow")
    weights = ["--weights", str(tmp_path / "run" / "checkpoint.npz"), "--out", str(tmp_path / "segmented")]
    photo = root / "siftflow/Images" / trees.SCENES / "t1.jpg"
    assert main(["segment", str(photo), *weights]) == 0
    assert datasets.read_labels(tmp_path / "segmented" / "t1_labels.png", 33).shape == trees.SIZE

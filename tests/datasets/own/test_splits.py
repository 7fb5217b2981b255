"""Splits of one's own pictures: folders, lists, and every fifth sample."""

import re

import numpy as np
import pytest
import trees
from PIL import Image

from fcn_from_scratch import datasets
from fcn_from_scratch.checks import InputError
from fcn_from_scratch.datasets import Folder
from fcn_from_scratch.datasets.own.overlap import same_pictures


def picture(path, value=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((3, 4, 3), value, np.uint8)).save(path)


def labels(path, *ids):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.resize(np.array(ids or (0, 1), np.uint8), (3, 4))).save(path)


def pairs(root, *names, images="images", masks="labels"):
    for number, name in enumerate(names):
        picture(root / images / f"{name}.png", number)
        labels(root / masks / f"{name}.png")


def names(root, split, **words):
    return [pair[0] for pair in Folder(root, split, **words).pairs]


def notes(root, split, **words):
    return " | ".join(Folder(root, split, **words).notes)


# --- folders --------------------------------------------------------------------------------------------------

SPLIT = {"images": "{split}/images/{}.png", "labels": "{split}/labels/{}.png"}


def in_folders(root, **counts):
    for split, count in counts.items():
        pairs(root / split, *(f"{split}{n}" for n in range(count)))


@pytest.mark.parametrize(("train", "val"), [("train", "val"), ("Training", "valid"), ("TRAIN", "Validation")])
def test_folders_under_their_usual_names(tmp_path, train, val):
    in_folders(tmp_path, **{train: 6, val: 2, "test": 1})
    for words in (SPLIT, {}):
        assert names(tmp_path, "train", **words) == [f"{train}{n}" for n in range(6)]
        for split in ("val", "valid"):
            assert names(tmp_path, split, **words) == [f"{val}{n}" for n in range(2)]
        assert names(tmp_path, "test", **words) == ["test0"]
        assert len(names(tmp_path, "all", **words)) == 9


@pytest.mark.parametrize("only", ["train", "valid"])
@pytest.mark.parametrize("more", [{}, {"test": 2}])
def test_every_fifth_of_the_only_folder(tmp_path, only, more):
    in_folders(tmp_path, **{only: 11}, **more)
    assert names(tmp_path, "val", **SPLIT) == sorted(f"{only}{n}" for n in range(11))[4::5]
    train = names(tmp_path, "train", **SPLIT)
    assert sorted(train + names(tmp_path, "val", **SPLIT)) == sorted(f"{only}{n}" for n in range(11))
    canonical = {"valid": "val"}.get(only, only)
    for split in ("train", "val"):
        told = f"there is only the split {canonical}: every fifth sample is val (9 train, 2 val)"
        assert told in notes(tmp_path, split, **SPLIT)


def test_a_folder_that_is_not_there_is_named(tmp_path):
    in_folders(tmp_path, train=2, val=1)
    with pytest.raises(InputError, match="there is no split test; there is train and val"):
        Folder(tmp_path, "test", **SPLIT)


def test_a_split_of_another_name(tmp_path):
    in_folders(tmp_path, train=2, val=1, fold1=3)
    assert len(names(tmp_path, "fold1", **SPLIT)) == 3
    assert len(names(tmp_path, "all", **SPLIT)) == 3


def test_a_broken_split_does_not_stop_another_one(tmp_path):
    in_folders(tmp_path, train=2, val=1)
    labels(tmp_path / "val" / "labels" / "alone.png")
    assert len(names(tmp_path, "train", **SPLIT)) == 2
    for split in ("val", "all"):
        with pytest.raises(InputError, match=r"labels without a picture \(1\).*alone"):
            Folder(tmp_path, split, **SPLIT)


# --- lists ----------------------------------------------------------------------------------------------------


def lists(root, place="", **content):
    (root / place).mkdir(parents=True, exist_ok=True)
    for name, lines in content.items():
        (root / place / f"{name}.txt").write_text("\n".join(lines))


@pytest.mark.parametrize("place", ["", "ImageSets/Segmentation", "annotations", "imagesets/segmentation"])
@pytest.mark.parametrize("val", ["val", "valid", "validation", "dev"])
def test_places_and_names_of_lists(tmp_path, place, val):
    pairs(tmp_path, *"abcdef")
    lists(tmp_path, place, train=["c", "a"], **{val: ["b"]})
    assert names(tmp_path, "train") == ["c", "a"]
    assert names(tmp_path, "val") == ["b"]
    assert not re.search("fifth", notes(tmp_path, "val"))


@pytest.mark.parametrize(
    "form",
    ["{}", "{}.png", "{}.JPG", "images/{}.png", "./{}", "D:\\set\\images\\{}.png", "/data/x/{}", "{} 1 2", "{}\t-1"],
)
def test_ways_to_write_a_name(tmp_path, form):
    pairs(tmp_path, "my photo", "b.1", "c")
    if " 1" in form or "\t" in form:
        (tmp_path / "labels" / "my photo.png").rename(tmp_path / "labels" / "my.png")
        (tmp_path / "images" / "my photo.png").rename(tmp_path / "images" / "my.png")
        written = ["my", "b.1"]
    else:
        written = ["my photo", "b.1"]
    lists(tmp_path, train=[form.format(name) for name in written], val=["c"])
    assert names(tmp_path, "train") == written


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\n\n", " \n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252", "cp850", "mac_roman"])
def test_lists_of_any_system(tmp_path, encoding, end):
    pairs(tmp_path, "café", "größe", "c")
    (tmp_path / "train.txt").write_bytes(end.join(["größe", "café", ""]).encode(encoding))
    lists(tmp_path, val=["c"])
    assert names(tmp_path, "train") == ["größe", "café"]


def test_a_name_is_taken_before_a_file(tmp_path):
    """Pictures a_left.png and a_left_left.png: their names are a and a_left."""
    for stem in ("a_left", "a_left_left"):
        picture(tmp_path / "p" / f"{stem}.png")
    labels(tmp_path / "a.png")
    labels(tmp_path / "a_left.png")
    lists(tmp_path, train=["a_left"], val=["a"])
    words = {"images": "p/{}_left.png", "labels": "{}.png"}
    assert names(tmp_path, "train", **words) == ["a_left"]
    assert names(tmp_path, "val", **words) == ["a"]


def test_names_in_several_folders(tmp_path):
    for city in ("bonn", "ulm"):
        picture(tmp_path / "images" / city / "1.png")
        labels(tmp_path / "labels" / city / "1.png")
    words = {"images": "images/{city}/{}.png", "labels": "labels/{city}/{}.png"}
    lists(tmp_path, train=["bonn/1"], val=["images/ulm/1.png"])
    assert names(tmp_path, "train", **words) == ["bonn/1"]
    assert names(tmp_path, "val", **words) == ["ulm/1"]
    lists(tmp_path, train=["1"], val=["ulm/1"])
    with pytest.raises(InputError, match=r"train\.txt: 1 may be images/bonn/1\.png and images/ulm/1\.png"):
        Folder(tmp_path, "train", **words)


def test_every_fifth_of_the_only_list(tmp_path):
    pairs(tmp_path, *"abcdefghijkl")
    lists(tmp_path, train=list("fedcba"))
    assert (names(tmp_path, "train"), names(tmp_path, "val")) == (list("fedca"), ["b"])
    assert "there is only the list train.txt: every fifth sample is val (5 train, 1 val)" in notes(tmp_path, "val")
    (tmp_path / "train.txt").rename(tmp_path / "trainval.txt")
    lists(tmp_path, test=["l"])
    assert (names(tmp_path, "train"), names(tmp_path, "val")) == (list("fedca"), ["b"])
    assert names(tmp_path, "trainval") == list("fedcba")
    assert names(tmp_path, "test") == ["l"]


def test_what_is_in_no_list_is_for_training_where_only_val_is_listed(tmp_path):
    pairs(tmp_path, *"abcdef")
    lists(tmp_path, valid=["b", "a"])
    assert names(tmp_path, "val") == ["b", "a"]
    assert names(tmp_path, "train") == list("cdef")
    assert "train is what valid.txt does not name" in notes(tmp_path, "train")
    lists(tmp_path, test=["c"])
    assert names(tmp_path, "train") == list("def")


def test_only_test_is_listed(tmp_path):
    pairs(tmp_path, *"abcdef")
    lists(tmp_path, test=["c"])
    assert names(tmp_path, "train") + names(tmp_path, "val") == list("abdef")


def test_a_list_of_everything_is_no_split(tmp_path):
    """CVAT writes one list, default.txt, which has pictures without labels too."""
    pairs(tmp_path, *"abcde")
    picture(tmp_path / "images" / "f.png")
    lists(tmp_path, "ImageSets/Segmentation", default=list("abcdef"))
    assert (names(tmp_path, "train"), names(tmp_path, "val")) == (list("abcd"), ["e"])
    assert names(tmp_path, "default") == list("abcde")
    assert "default: 1 picture without labels is left out: f" in notes(tmp_path, "default")
    assert "train: 1 picture without labels is left out: f" in notes(tmp_path, "train")


def test_two_lists_of_one_split(tmp_path):
    pairs(tmp_path, *"abc")
    lists(tmp_path, train=["a"], valid=["b"], validation=["c"])
    with pytest.raises(InputError, match=r"valid\.txt and validation\.txt are two lists of one split"):
        Folder(tmp_path, "val")
    assert names(tmp_path, "validation") == ["c"]
    lists(tmp_path, val=["a"])
    assert names(tmp_path, "val") == ["a"], "the split's own name"


def test_a_missing_list_says_which_are_there(tmp_path):
    pairs(tmp_path, *"abc")
    lists(tmp_path, train=["a"], val=["b"])
    with pytest.raises(InputError, match=r"no list .*test\.txt, though there is train\.txt and val\.txt beside it"):
        Folder(tmp_path, "test")


# --- the same picture in both splits ----------------------------------------------------------------------------


def test_the_same_picture_in_both_lists(tmp_path):
    pairs(tmp_path, *"abcd")
    lists(tmp_path, train=["a", "b"], val=["b", "c"])
    told = same_pictures(Folder(tmp_path, "train"), Folder(tmp_path, "val"))
    assert told == "1 picture is in both train and val, so the score is too good: b"


def test_a_copy_under_another_name(tmp_path):
    in_folders(tmp_path, train=3, val=2)
    train, val = tmp_path / "train" / "images", tmp_path / "val" / "images"
    rng = np.random.default_rng(0)
    for folder in (train, val):
        for path in folder.iterdir():
            Image.fromarray(rng.integers(256, size=(3, 4, 3), dtype=np.uint8)).save(path.with_suffix(".bmp"))
            path.unlink()
    words = {"images": "{split}/images/{}.bmp", "labels": "{split}/labels/{}.png"}
    both = [Folder(tmp_path, split, **words) for split in ("train", "val")]
    assert same_pictures(*both) is None, "files of one size are not the same"
    (val / "val1.bmp").write_bytes((train / "train2.bmp").read_bytes())
    assert same_pictures(*both) == "1 picture is in both train and val, so the score is too good: val1"


# --- folders that are no split ------------------------------------------------------------------------------------


def test_folders_beside_those_of_the_splits_are_named(tmp_path):
    for place in ("train", "val", "train_val", "TEST", "notes"):
        pairs(tmp_path, *(f"{place}{number}" for number in range(2)), images=f"{place}/images", masks=f"{place}/labels")
    for file in [*(tmp_path / "notes" / "images").iterdir(), *(tmp_path / "notes" / "labels").iterdir()]:
        file.rename(file.with_suffix(".txt"))  # no pictures: nothing is lost there
    assert "not read: train_val, since a split is called train, val, test" in notes(tmp_path, "train", **SPLIT)
    assert "not read" not in notes(tmp_path, "train_val", **SPLIT), "the split that was asked for"


def test_folders_of_masks_are_no_splits(tmp_path):
    pairs(tmp_path, "a", "b", images="train", masks="train_masks")
    assert "not read" not in notes(tmp_path, "train", images="{split}/{}.png", labels="{split}_masks/{}.png")


# --- the same picture in two datasets ---------------------------------------------------------------------------


@pytest.fixture
def voc_and_sbd(tmp_path):
    """VOC's val has two pictures, of which one is in SBD's train, as a copy."""
    rng = np.random.default_rng(0)
    trees.voc(tmp_path, rng, "VOC2012", train=["2007_000001"], val=["2007_000002", "2007_000003"])
    trees.sbd(tmp_path, rng, train=["2008_000001", "2007_000003"], val=["2008_000002"])
    theirs = next(tmp_path.glob("**/VOC2012/JPEGImages/2007_000003.jpg"))
    ours = next(tmp_path.glob("**/dataset/img/2007_000003.jpg"))
    ours.write_bytes(theirs.read_bytes())
    return [datasets.build(name, tmp_path, split) for name, split in (("sbd", "train"), ("voc", "val"), ("sbd", "val"))]


def test_published_sets_that_share_a_picture(voc_and_sbd):
    train, val, other = voc_and_sbd
    assert same_pictures(train, val, ("train", "val")).startswith("1 picture is in both train and val")
    assert "2007_000003" in same_pictures(train, val)
    assert same_pictures(other, val) is None
    assert same_pictures(val, val).startswith("2 pictures are in both")


def test_drawn_pictures_are_not_compared(voc_and_sbd):
    assert same_pictures(datasets.Shapes(2, 32), datasets.Shapes(2, 32)) is None
    assert same_pictures(datasets.Shapes(2, 32), voc_and_sbd[0]) is None

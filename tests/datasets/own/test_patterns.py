"""Patterns of file names: what they match, with which words, and which are refused."""

import unicodedata

import pytest

from fcn_from_scratch.checks import InputError
from fcn_from_scratch.datasets.own.patterns import Pattern
from fcn_from_scratch.datasets.own.scan import Tree


def tree(root, *places):
    for place in places:
        path = root / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return Tree(root)


def found(root, pattern, *splits):
    return [(file.place, "/".join(file.words), file.split) for file in Tree(root).find(Pattern(pattern, splits=splits))]


@pytest.mark.parametrize(
    ("pattern", "path", "words"),
    [
        ("{}.jpg", "a.jpg", ("a",)),
        ("{name}.jpg", "a.jpg", ("a",)),
        ("{}.jpg", "a b.c.jpg", ("a b.c",)),
        ("{}.jpg", "a.JPG", ("a",)),
        ("{}.jpg", "d/a.jpg", None),  # inside one part of the path
        ("{}.jpg", ".jpg", None),  # one or more characters
        ("{}.jpg", "a.jpg.bak", None),  # anchored
        ("{}.jpg", "axjpg", None),  # a dot is a dot
        ("{}_mask.png", "a_mask_mask.png", ("a_mask",)),
        ("{}_*.png", "a_3.png", ("a",)),
        ("*{}.png", "ab.png", ("ab",)),  # a star takes as little as it can
        ("{}_jpg.rf.*.jpg", "IMG_1_jpg.rf.0a1b.jpg", ("IMG_1",)),
        ("{}.*", "a.b.tif", ("a.b",)),
        ("{}.*", "a", None),
        ("{city}_{}.png", "bonn_1.png", ("bonn", "1")),
        ("{}-{city}.png", "1-bonn.png", ("bonn", "1")),  # {name} is the last
        ("{city}_{city}_{}.png", "bonn_bonn_1.png", ("bonn", "1")),
        ("{city}_{city}_{}.png", "bonn_ulm_1.png", None),
        ("[{}].png", "[1].png", ("1",)),
        ("{}+.png", "aa+.png", ("aa",)),
    ],
)
def test_one_part(pattern, path, words):
    match = Pattern(pattern).match(path)
    assert match == (words and (words, None))


@pytest.mark.parametrize(
    ("folder", "split"),
    [
        *(("train", "train"), ("Training", "train"), ("val", "val"), ("valid", "val"), ("validation", "val")),
        *(("dev", "val"), ("test", "test"), ("TESTING", "test"), ("minitrain", None), ("trainval", None)),
    ],
)
def test_the_usual_names_of_splits(tmp_path, folder, split):
    tree(tmp_path, f"x/{folder}/a.png")
    assert found(tmp_path, "x/{split}/{}.png") == ([(f"x/{folder}/a.png", "a", split)] if split else [])


def test_other_names_of_a_split_that_is_asked_for(tmp_path):
    tree(tmp_path, "fold.1/a.png", "fold_1/b.png", "train/c.png")
    assert found(tmp_path, "{split}/{}.png", "fold.1") == [
        ("fold.1/a.png", "a", "fold.1"),
        ("train/c.png", "c", "train"),
    ]


def test_a_split_that_is_written_twice_is_one_split(tmp_path):
    """ADE20K's folder is called training, its files train."""
    tree(tmp_path, "training/ADE_train_1.png", "validation/ADE_val_1.png", "validation/ADE_train_9.png")
    assert found(tmp_path, "{split}/ADE_{split}_{}.png") == [
        ("training/ADE_train_1.png", "1", "train"),
        ("validation/ADE_val_1.png", "1", "val"),
    ]


def test_hidden_files_and_folders_never_match(tmp_path):
    tree(tmp_path, "a/._x.png", ".a/x.png", "a/x.png", "a/.png")
    assert found(tmp_path, "*/*{}.png") == [("a/x.png", "x", None)]
    assert found(tmp_path, "{d}/{}.png") == [("a/x.png", "a/x", None)]


def test_any_number_of_folders(tmp_path):
    tree(tmp_path, "x.png", "a/x.png", "a/b/x.png", "a/b/c/y.png")
    assert sorted(name for name, *_ in found(tmp_path, "**/{}.png")) == ["a/b/c/y.png", "a/b/x.png", "a/x.png", "x.png"]
    assert [name for name, *_ in found(tmp_path, "a/**/c/{}.png")] == ["a/b/c/y.png"]


def test_links_are_followed_and_none_in_a_circle(tmp_path):
    tree(tmp_path, "set/a/x.png", "other/y.png")
    (tmp_path / "set" / "a" / "up").symlink_to(tmp_path / "set", target_is_directory=True)
    (tmp_path / "set" / "a" / "here").symlink_to(tmp_path / "set" / "a", target_is_directory=True)
    (tmp_path / "set" / "b").symlink_to(tmp_path / "other", target_is_directory=True)
    assert [place for place, *_ in found(tmp_path / "set", "**/{}.png")] == ["a/x.png", "b/y.png"]


def test_case_and_the_two_spellings_of_an_accent(tmp_path):
    composed, decomposed = (unicodedata.normalize(form, "été") for form in ("NFC", "NFD"))
    tree(tmp_path, f"Bilder/{decomposed}_1.PNG")
    assert found(tmp_path, f"bilder/{composed}_{{}}.png") == [(f"Bilder/{decomposed}_1.PNG", "1", None)]
    assert found(tmp_path, "bilder/{}.png")[0][1] == f"{composed}_1"


@pytest.mark.parametrize("typed", ["images\\{}.png", "./images/{}.png", "images//{}.png", "images/./{}.png"])
def test_ways_to_write_a_path(tmp_path, typed):
    tree(tmp_path, "images/a.png")
    assert found(tmp_path, typed) == [("images/a.png", "a", None)]


def test_folders_beside_and_elsewhere(tmp_path):
    tree(tmp_path, "data/x", "labels/a.png")
    for typed in ("../labels/{}.png", f"{tmp_path}/labels/{{}}.png"):
        files = Tree(tmp_path / "data").find(Pattern(typed))
        assert [(file.path.resolve(), file.words) for file in files] == [(tmp_path / "labels" / "a.png", ("a",))]


@pytest.mark.parametrize(
    ("typed", "complaint"),
    [
        ("", "ends with the name of a file"),
        ("images/", "ends with the name of a file"),
        ("images/**", "ends with the name of a file"),
        ("..", "ends with the name of a file"),
        ("{.png", "a brace has no partner"),
        ("a}.png", "a brace has no partner"),
        ("{{}}.png", "a brace has no partner"),
        ("{a/b}.png", "a brace has no partner"),
        ("{a}{b}.png", "two words touch"),
        ("{}{split}.png", "two words touch"),
        ("_".join(f"{{{n}}}" for n in range(20)), "at most 12"),
    ],
)
def test_patterns_that_are_refused(typed, complaint):
    with pytest.raises(InputError, match=complaint) as caught:
        Pattern(typed, "--labels")
    assert str(caught.value).startswith("--labels")

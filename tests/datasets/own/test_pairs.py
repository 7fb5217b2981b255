"""Pairs of pictures and labels: which files belong together, which are left out, which are refused."""

import json
import os
import re
import unicodedata

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image

from fcn_from_scratch.checks import InputError
from fcn_from_scratch.datasets import Folder
from fcn_from_scratch.datasets.own.pairs import find
from fcn_from_scratch.datasets.own.patterns import Pattern
from fcn_from_scratch.datasets.own.scan import Tree


def touch(root, *places):
    for place in places:
        path = root / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def pairs(root, images="images/{}.*", labels="labels/{}.*"):
    found = find(Tree(root), Pattern(images), Pattern(labels, "--labels"))
    return {pair.name: (pair.place, pair.labels and Tree(root).place(pair.labels)) for pair in found.pairs}


def refusal(root, images="images/{}.*", labels="labels/{}.*"):
    patterns = Pattern(images), Pattern(labels, "--labels")
    with pytest.raises(InputError) as caught:
        find(Tree(root), *patterns).refuse_orphans(*patterns)
    return str(caught.value)


# --- pairs survive random names ---------------------------------------------------------------------------------

LETTERS = st.characters(codec="utf-8", exclude_characters="/\0", exclude_categories=("Cs",))
NAMES = st.text(st.one_of(st.sampled_from(" .-_0123456789aAéß٣²"), LETTERS), min_size=1, max_size=20)


def usable(name):
    """A name that two files can have on every file system that tests run on, and that is not hidden."""
    return not name.startswith(".") and len(os.fsencode(unicodedata.normalize("NFD", name))) < 200


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    names=st.lists(NAMES.filter(usable), min_size=1, max_size=8, unique_by=lambda n: unicodedata.normalize("NFC", n))
)
@example(names=["img 1", "img.1", "img10", "img2", "IMG2", "img²", "a.jpg", "a.png", "a_mask", "{}", "*", "[x]", "\n"])
def test_pairs_survive_random_names(tmp_path_factory, form, names):
    """Each picture gets the labels that were written for it, whatever the names. Its labels are its number."""
    root = tmp_path_factory.mktemp("names")
    for place in ("images", "labels"):
        (root / place).mkdir()
    expected = {}
    for number, name in enumerate(names):
        picture, labels = (unicodedata.normalize(f, name) for f in ("NFC", form))
        Image.fromarray(np.full((2, 3, 3), number, np.uint8)).save(root / "images" / f"{picture}.png", "PNG")
        Image.fromarray(np.full((2, 3), number, np.uint8)).save(root / "labels" / f"{labels}_label.png", "PNG")
        expected[unicodedata.normalize("NFC", name)] = number
    dataset = Folder(root, "all", images="images/{}.png", labels="labels/{}_label.png", num_classes=14)
    found = {sample.name: (int(sample.image.max()), int(sample.labels.max())) for sample in dataset}
    assert found == {name: (number, number) for name, number in expected.items()}


WORDS = st.tuples(*[NAMES.filter(usable).filter(lambda name: "_" not in name)] * 3)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(words=st.lists(WORDS, min_size=1, max_size=6))
@example(words=[("a", "b", "1"), ("b", "a", "1")])
def test_several_words_in_another_order(tmp_path_factory, words):
    """images/CITY/DAY/NAME.jpg belongs to labels/DAY/NAME_CITY.png."""
    root = tmp_path_factory.mktemp("words")
    words = {tuple(unicodedata.normalize("NFC", word) for word in each) for each in words}
    for city, day, name in words:
        touch(root, f"images/{city}/{day}/{name}.jpg", f"labels/{day}/{name}_{city}.png")
    found = pairs(root, "images/{city}/{day}/{}.jpg", "labels/{day}/{}_{city}.png")
    assert found == {
        f"{city}/{day}/{name}": (f"images/{city}/{day}/{name}.jpg", f"labels/{day}/{name}_{city}.png")
        for city, day, name in words
    }


# --- what is a pair -------------------------------------------------------------------------------------------


def test_a_final_star_is_any_picture_and_any_labels(tmp_path):
    touch(tmp_path, "images/a.JPG", "images/b.bmp", "images/Thumbs.db", "images/b.txt", "labels/a.npy", "labels/b.tif")
    assert pairs(tmp_path) == {"a": ("images/a.JPG", "labels/a.npy"), "b": ("images/b.bmp", "labels/b.tif")}


def test_what_matches_the_labels_is_never_a_picture(tmp_path):
    touch(tmp_path, "a.png", "a_mask.png", "b.png", "b_mask.png")
    assert pairs(tmp_path, "{}.png", "{}_mask.png") == {"a": ("a.png", "a_mask.png"), "b": ("b.png", "b_mask.png")}


def test_a_star_is_not_compared(tmp_path):
    touch(tmp_path, "images/a_0f3.jpg", "images/b_77.jpg", "labels/b_1.png", "labels/a_9.png")
    assert pairs(tmp_path, "images/{}_*.jpg", "labels/{}_*.png") == {
        "a": ("images/a_0f3.jpg", "labels/a_9.png"),
        "b": ("images/b_77.jpg", "labels/b_1.png"),
    }


def test_case_decides_only_where_it_must(tmp_path):
    touch(tmp_path, "images/A.png", "images/a.png", "images/X.png", "labels/A.png", "labels/a.png", "labels/x.png")
    found = pairs(tmp_path)
    assert len(found) == len(list((tmp_path / "images").iterdir()))
    assert found["X"] == ("images/X.png", "labels/x.png")
    assert found["A"] == ("images/A.png", "labels/A.png")


def test_where_case_does_not_decide_nothing_is_guessed(tmp_path):
    touch(tmp_path, "images/Ab.png", "images/aB.png", "images/c.png", "labels/ab.png", "labels/c.png")
    if len(list((tmp_path / "images").iterdir())) < 3:
        pytest.skip("this file system takes the two names for one")
    assert {name: labels for name, (_, labels) in pairs(tmp_path).items()} == {
        "Ab": None,
        "aB": None,
        "c": "labels/c.png",
    }
    assert "labels without a picture (1): --labels labels/{}.* has ab" in refusal(tmp_path)


def test_pictures_without_labels_have_none(tmp_path):
    touch(tmp_path, "images/a.png", "images/b.png", "labels/b.png")
    assert pairs(tmp_path) == {"a": ("images/a.png", None), "b": ("images/b.png", "labels/b.png")}


def test_the_split_of_the_pictures_is_enough(tmp_path):
    touch(tmp_path, "images/train/a.png", "images/val/b.png", "labels/a.png", "labels/b.png")
    found = find(Tree(tmp_path), Pattern("images/{split}/{}.png"), Pattern("labels/{}.png"))
    assert [(pair.name, pair.split) for pair in found.pairs] == [("a", "train"), ("b", "val")]


def test_equal_names_in_two_splits_are_two_pictures(tmp_path):
    places = [f"{kind}/{split}/1.png" for kind in ("images", "labels") for split in ("train", "valid")]
    touch(tmp_path, *places)
    found = find(Tree(tmp_path), Pattern("images/{split}/{}.png"), Pattern("labels/{split}/{}.png"))
    assert [(pair.place, Tree(tmp_path).place(pair.labels)) for pair in found.pairs] == [
        ("images/train/1.png", "labels/train/1.png"),
        ("images/valid/1.png", "labels/valid/1.png"),
    ]


# --- one file for many pictures ---------------------------------------------------------------------------------


def coco(path, names):
    square = {"iscrowd": 0, "category_id": 3, "segmentation": [[0, 0, 2, 0, 2, 2, 0, 2]]}
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "images": [{"id": n, "file_name": name, "height": 4, "width": 5} for n, name in enumerate(names)],
        "annotations": [{"id": n, "image_id": n, **square} for n, _ in enumerate(names)],
        "categories": [{"id": 3, "name": "square"}],
    }
    path.write_text(json.dumps(content))


@pytest.mark.parametrize("written", ["{}.png", "images/{}.png", "images\\{}.png", "./images/{}.PNG"])
def test_pictures_of_a_coco_file(tmp_path, written):
    touch(tmp_path, "images/a.png", "images/b.png", "images/c.png")
    coco(tmp_path / "all.json", [written.format(name) for name in "ca"])
    found = find(Tree(tmp_path), Pattern("images/{}.png"), Pattern("all.json"))
    assert [(pair.name, bool(pair.labels)) for pair in found.pairs] == [("a", True), ("b", False), ("c", True)]
    assert not found.orphans


def test_one_entry_for_two_pictures_is_refused(tmp_path):
    touch(tmp_path, "train/a.png", "val/a.png")
    coco(tmp_path / "all.json", ["a.png"])
    assert "train/a.png and val/a.png both are a.png of all.json" in refusal(tmp_path, "{split}/{}.png", "all.json")
    coco(tmp_path / "all.json", ["val/a.png", "train/a.png"])
    found = find(Tree(tmp_path), Pattern("{split}/{}.png"), Pattern("all.json"))
    assert [(pair.split, pair.entry) for pair in found.pairs] == [("train", "train/a.png"), ("val", "val/a.png")]


def test_an_entry_without_a_picture_is_refused(tmp_path):
    touch(tmp_path, "images/a.png")
    coco(tmp_path / "all.json", ["a.png", "b.png"])
    assert "labels without a picture (1): --labels all.json has b.png" in refusal(tmp_path, "images/{}.png", "all.json")


def test_a_list_of_masks(tmp_path):
    """Two tools in one: a picture with a mask for each class, painted in the order of the classes."""
    for name in "ab":
        (tmp_path / "images").mkdir(exist_ok=True)
        Image.fromarray(np.zeros((2, 4, 3), np.uint8)).save(tmp_path / "images" / f"{name}.png")
    for name, columns in {"a-cat": (0, 3), "a-dog": (2, 4), "b-dog": (0, 1)}.items():
        mask = np.zeros((2, 4), np.uint8)
        mask[:, slice(*columns)] = 255
        Image.fromarray(mask).save(tmp_path / f"{name}.png")
    (tmp_path / "masks.csv").write_text("a.png,a-dog.png,dog\na.png,a-cat.png,cat\nb.png,b-dog.png,dog\n")
    words = {"images": "images/{}.png", "labels": "masks.csv"}
    dataset = Folder(tmp_path, "all", **words, classes="background,cat,dog")
    np.testing.assert_array_equal([sample.labels[0] for sample in dataset], [[1, 1, 2, 2], [2, 0, 0, 0]])
    dataset = Folder(tmp_path, "all", **words)
    assert dataset.classes == ("background", "dog", "cat")
    np.testing.assert_array_equal([sample.labels[0] for sample in dataset], [[2, 2, 2, 1], [1, 0, 0, 0]])


# --- what is refused --------------------------------------------------------------------------------------------


def test_words_that_differ(tmp_path):
    touch(tmp_path, "images/a.png", "labels/a.png")
    told = refusal(tmp_path, "images/{city}.png", "labels/{}.png")
    assert "words of the two patterns differ: --images images/{city}.png has {city}, --labels labels/{}.png has" in told
    assert "{name}" in told
    assert "holds no word" in refusal(tmp_path, "images/*.png", "labels/*.png")
    assert "words of the two patterns differ" in refusal(tmp_path, "images/{}.png", "labels/a.png")


def test_two_files_for_one_name(tmp_path):
    touch(tmp_path, "images/a.png", "images/a.jpg", "labels/a.png")
    assert re.search(r"images/a\.(jpg|png) and images/a\.(jpg|png) are two files for one name", refusal(tmp_path))
    (tmp_path / "images" / "a.jpg").unlink()
    touch(tmp_path, "labels/a.npy")
    assert re.search(r"labels/a\.(npy|png) and labels/a\.(npy|png) are two files for one name", refusal(tmp_path))
    assert pairs(tmp_path, labels="labels/{}.png") == {"a": ("images/a.png", "labels/a.png")}


def test_labels_without_a_picture(tmp_path):
    touch(tmp_path, *(f"images/frame{n}.jpg" for n in range(3)), *(f"labels/frame{n}.png" for n in (0, 1, 3)))
    told = refusal(tmp_path)
    assert "labels without a picture (1): --labels labels/{}.* has frame3" in told
    assert "nearest to frame3 is frame2" in told


def test_nothing_that_pairs(tmp_path):
    touch(tmp_path, *(f"images/scene_{n}.jpg" for n in range(7)), *(f"labels/scene_{n}_gt.png" for n in range(5)))
    told = refusal(tmp_path)
    assert "--images images/{}.* matches 7 files and --labels labels/{}.* 5 files" in told
    assert "scene_0 and scene_0_gt" in told


def test_a_pattern_that_matches_nothing_says_what_is_there(tmp_path):
    touch(tmp_path, "set/images/a.jpg", "set/images/b.jpg", "set/images/notes.txt", "set/masks/a.png")
    told = refusal(tmp_path / "set", "images/{}.png", "masks/{}.png")
    assert "--images images/{}.png matches no file" in told
    assert "images holds files: 2 .jpg, 1 .txt" in told
    told = refusal(tmp_path, "images/{}.jpg", "masks/{}.png")
    assert "there is no folder images" in told
    assert f"say --root {tmp_path / 'set'}" in told
    assert "folders: images, masks" in refusal(tmp_path / "set", "images/{}.jpg", "labels/{}.png")
    touch(tmp_path, "set/images/2024/c.gif")
    told = refusal(tmp_path / "set", "images/{}.gif", "masks/{}.png")
    assert "one folder deeper images/2024/c.gif fits: write images/{folder}/{}.gif" in told

"""PASCAL-Context in its layout: 459 numbers are mapped by name to 59 classes and the background."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import trees

from fcn_from_scratch.checks import InputError
from fcn_from_scratch.datasets import PascalContext, build

LISTS = Path(__file__).resolve().parents[3] / "shared" / "lists"


@pytest.fixture
def tree(tmp_path, rng):
    folder, written = trees.pascalcontext(tmp_path, rng, train=["2008_1"], val=["2008_2", "2008_3"])
    return tmp_path, folder, written


def test_numbers_become_the_classes_of_their_names(tree):
    """Whatever is no class, 0 included, is background; nothing is ignored."""
    root, _, written = tree
    for sample in PascalContext(root, "val"):
        numbers, ids = written[sample.name], sample.labels
        by_name = {number: name for name, number in trees.CONTEXT_NAMES.items()}
        other_words = {"table": "diningtable", "bedclothes": "bedcloth", "cloth": "clothes"}
        for number in np.unique(numbers):
            name = by_name.get(int(number), "background")
            (id,) = np.unique(ids[numbers == number])
            assert PascalContext(root).classes[id] == other_words.get(name, name)
        assert len(np.unique(ids)) > 50


def test_the_classes_begin_with_vocs(tree):
    dataset = build("pascalcontext", tree[0])
    assert dataset.num_classes == 60
    assert dataset.classes[:21] == build("voc").classes
    if (LISTS / "pascal-context-classes-59.txt").is_file():
        lines = (LISTS / "pascal-context-classes-59.txt").read_text(encoding="utf-8").splitlines()
        assert list(dataset.classes) == [line.split(": ")[1] for line in lines]


def test_both_parts_are_found(tree):
    root, folder, _ = tree
    kit = root / "VOCdevkit" / "VOC2010"
    trees.voc(root, np.random.default_rng(1), "VOC2012", train=["a"])
    assert len(PascalContext(root, "val")) == 2
    for name in ("trainval", "labels.txt"):
        shutil.move(folder / name, kit / name)
    for place in (root, root / "VOCdevkit", kit):
        assert len(PascalContext(place, "val")) == 2


@pytest.mark.parametrize(
    ("part", "complaint"),
    [
        ("VOCdevkit", "there is no folder .*JPEGImages"),
        ("pascal-context/trainval", "there is no folder .*trainval"),
        ("pascal-context/labels.txt", r"there is no list .*labels\.txt"),
        ("VOCdevkit/VOC2010/ImageSets/Main/train.txt", r"there is no list .*Main.train\.txt"),
        ("pascal-context/trainval/2008_1.mat", r"missing \(1\): .*2008_1\.mat"),
    ],
)
def test_what_is_missing_is_named(tree, part, complaint):
    (tree[0] / part).rename(tree[0] / "gone")
    with pytest.raises(InputError, match=f"{complaint}.*; `fcn data pascalcontext` says how"):
        build("pascalcontext", tree[0])


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        (["1 accordion"], "not a number, a colon and a name: 1 accordion"),
        (["99999999: accordion"], "not a number, a colon"),
        (["-1: accordion"], "not a number, a colon"),
        (["2: aeroplane"], "no number for the class bicycle"),
    ],
)
def test_a_list_of_names_that_does_not_serve(tree, lines, complaint):
    trees.lines(tree[1] / "labels.txt", *lines)
    with pytest.raises(InputError, match=complaint):
        PascalContext(tree[0])


def test_a_number_without_a_name(tree):
    names = (tree[1] / "labels.txt").read_text(encoding="utf-8").splitlines()
    trees.lines(tree[1] / "labels.txt", *(name for name in names if "wool" not in name))
    with pytest.raises(InputError, match=r"2008_1\.mat contain the id 459 .*allowed are 0\.\.458"):
        PascalContext(tree[0])[0]

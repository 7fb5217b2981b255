"""The trees that `fcn data` compares a folder with: each tree as it is written down can be read."""

import numpy as np
import pytest
import trees as made

from fcn_from_scratch.datasets import SOURCES, build
from fcn_from_scratch.datasets.trees import TREES, nearest


def test_every_dataset_of_others_has_trees():
    assert TREES.keys() == SOURCES.keys() | {"folder"}
    assert nearest("shapes", ".") is None


@pytest.fixture
def root(tmp_path):
    rng = np.random.default_rng(0)
    made.voc(tmp_path, rng, train=["a"], val=["b", "c"])
    made.sbd(tmp_path, rng, train=["b"], val=["c"])
    made.nyud(tmp_path, rng, train=["1"], val=["2"], test=["3"])
    made.siftflow(tmp_path, rng, ["t"], ["r"])
    made.pascalcontext(tmp_path, rng, train=["q"], val=["p"])
    return tmp_path


@pytest.mark.parametrize("name", ["voc", "sbd", "nyud", "siftflow", "pascalcontext"])
def test_a_whole_tree_is_found(root, name):
    """Below the folder that holds all datasets, and in the folder that the reader says it read."""
    folder = build(name, root, "val").folder
    for place in {root, root if name == "pascalcontext" else folder}:  # its labels lie outside the read folder
        tree, parts = nearest(name, place)
        assert all(part.found for part in parts)
        assert tree == TREES[name][0]
    assert str(folder) in " ".join(part.what for part in parts)


def test_where_the_two_part(root):
    kit = root / "VOCdevkit/VOC2012"
    (kit / "SegmentationClass").rename(kit / "Segmentation")
    (kit / "ImageSets/Segmentation/train.txt").rename(kit / "ImageSets/Segmentation/trian.txt")
    parts = {part.place: part for part in nearest("voc", root)[1]}
    assert [place for place, part in parts.items() if not part.found] == [
        "SegmentationClass/X.png",
        "ImageSets/Segmentation/train.txt",
    ]
    assert parts["JPEGImages/X.jpg"].what == f"3 files in {kit / 'JPEGImages'}"
    assert parts["SegmentationClass/X.png"].what == f"{kit} holds ImageSets/, JPEGImages/, Segmentation/"
    assert parts["ImageSets/Segmentation/train.txt"].what.endswith("Segmentation holds trian.txt, val.txt")


def test_the_nearest_tree_is_taken(tmp_path):
    (tmp_path / "nyu_depth_v2_labeled.mat").touch()
    tree, parts = nearest("nyud", tmp_path)
    assert tree.what == "the authors' file"
    assert [part.found for part in parts] == [True, False]
    made.lines(tmp_path / "RGB/0.png")
    made.lines(tmp_path / "Label/0.png")
    made.lines(tmp_path / "train.txt", "0")
    assert nearest("nyud", tmp_path)[0].what == "PNG files"


def test_files_of_the_wrong_kind_are_not_found(tmp_path):
    made.lines(tmp_path / "images/a.png")
    made.lines(tmp_path / "labels/a.txt")
    made.lines(tmp_path / "labels/._a.png")
    _, parts = nearest("folder", tmp_path)
    assert [part.found for part in parts] == [True, False]
    assert parts[1].what == f"{tmp_path / 'labels'} holds a.txt"

"""SIFT Flow in its layout: each picture has two label maps, and the training set is all that the test set is not."""

from pathlib import Path

import matfile
import numpy as np
import pytest
import trees

from fcn_from_scratch.checks import InputError
from fcn_from_scratch.datasets import SIFTFlow, audit, build, count_ids, survey

LISTS = Path(__file__).resolve().parents[3] / "shared" / "lists"


@pytest.fixture
def tree(tmp_path, rng):
    unlabelled = ["street_urb506", "highway_bost181"]
    folder, written = trees.siftflow(tmp_path, rng, ["coast_2", "street_1"], ["forest_3", "coast_4"], unlabelled)
    return tmp_path, folder, written


def names(dataset):
    return [name for name, *_ in dataset.pairs]


def test_training_is_on_all_others_but_two(tree):
    root, folder, _ = tree
    for place in (root, folder):
        assert names(SIFTFlow(place)) == names(SIFTFlow(place, "trainval")) == ["coast_4", "forest_3"]
        assert names(SIFTFlow(place, "test")) == names(SIFTFlow(place, "val")) == ["coast_2", "street_1"]


def test_lists_are_followed_whatever_surrounds_the_names(tree):
    root, folder, _ = tree
    trees.lines(folder / "trainval.txt", f"{trees.SCENES}\\coast_4.jpg", "images/forest_3.jpg")
    trees.lines(folder / "test.txt", "street_1.mat")
    assert names(SIFTFlow(root)) == ["coast_4", "forest_3"]
    assert names(SIFTFlow(root, "test")) == ["street_1"]


def test_labels_are_two_maps(tree):
    """Semantic 1..33 become 0..32, geometric 1..3 become 0..2; 0 and -1 are ignored."""
    root, _, written = tree
    for sample in SIFTFlow(root):
        semantic, geometric = written[sample.name]
        assert (sample.labels.shape, sample.labels.dtype) == ((2, *trees.SIZE), np.uint8)
        np.testing.assert_array_equal(sample.labels[0], np.where(semantic == 0, 255, semantic - 1))
        np.testing.assert_array_equal(sample.labels[1], np.where(geometric == -1, 255, geometric - 1))


def test_heads_name_both_labellings(tree):
    dataset = build("siftflow", tree[0])
    assert [len(classes) for classes in dataset.heads.values()] == [33, 3]
    assert list(dataset.heads) == ["semantic", "geometric"]
    assert dataset.num_classes == 33
    assert dataset.heads["geometric"] == ("sky", "horizontal", "vertical")
    assert dataset.preprocess.mean == (114.578, 115.294, 108.353)


def test_classes_are_the_published_ones(tree):
    path = LISTS / "sift-flow-classes.txt"
    if not path.is_file():
        pytest.skip("the published list is not on this machine")
    published = [line.split(" ", 1)[1] for line in path.read_text(encoding="utf-8").splitlines() if line[:2].isdigit()]
    dataset = SIFTFlow(tree[0])
    assert [*dataset.classes, *dataset.heads["geometric"]] == published


def test_the_published_test_list_is_read(tree):
    path = LISTS / "sift-flow-test.txt"
    if not path.is_file():
        pytest.skip("the published list is not on this machine")
    published = path.read_text(encoding="utf-8").split()
    assert len(set(published)) == 200
    (tree[1] / "test.txt").write_bytes(path.read_bytes())
    with pytest.raises(InputError, match=r"missing \(600\): .*coast_natu975\.jpg"):
        SIFTFlow(tree[0], "test")
    with pytest.raises(InputError, match=r"none of the 200 names of the test set, such as coast_natu975, is a picture"):
        SIFTFlow(tree[0])
    scenes = tree[1] / "Images" / trees.SCENES
    (scenes / "coast_natu975.JPG").write_bytes(next(scenes.iterdir()).read_bytes())
    assert not set(published) & set(names(SIFTFlow(tree[0])))


def test_audit_looks_at_both_maps(tree):
    root, folder, written = tree
    for name in ("coast_4", "forest_3"):
        trees.mat(
            folder / "GeoLabels" / trees.SCENES / f"{name}.mat", matfile.array(np.ones(trees.SIZE, np.int16), "S")
        )
    dataset = SIFTFlow(root)
    (finding,) = audit(dataset)
    assert finding == "geometric labels: never seen in 2 samples: horizontal, vertical"
    counts = survey(dataset).counts
    assert counts.shape == (2, 256)
    assert counts[1, 0] == 2 * 40 * 48
    for id in (0, 17, 255):
        expected = sum((written[name][0] == (id + 1 if id < 255 else 0)).sum() for name in ("coast_4", "forest_3"))
        assert counts[0, id] == count_ids(dataset)[id] == expected


@pytest.mark.parametrize("part", ["SemanticLabels", "test.txt"])
def test_what_is_missing_is_named(tree, part):
    (tree[1] / part).rename(tree[1] / "gone")
    with pytest.raises(InputError, match=rf"there is no .*{part}; `fcn data siftflow` says how"):
        build("siftflow", tree[0])


def test_maps_of_two_sizes_are_named(tree):
    path = tree[1] / "GeoLabels" / trees.SCENES / "coast_4.mat"
    trees.mat(path, matfile.array(np.ones((40, 47), np.int16), "S"))
    with pytest.raises(
        InputError, match=r"SemanticLabels.*coast_4\.mat and .*GeoLabels.* differ in size: 40x48 and 40x47"
    ):
        SIFTFlow(tree[0])[0]
    path.unlink()
    with pytest.raises(InputError, match=r"missing \(1\): .*GeoLabels"):
        SIFTFlow(tree[0])

"""SBD in its layout: the labels are one field of a struct, among other fields."""

import matfile
import numpy as np
import pytest
import trees

from fcn_from_scratch.checks import InputError
from fcn_from_scratch.datasets import SBD, VOC, build, read_image


@pytest.fixture
def tree(tmp_path, rng):
    folder, labels = trees.sbd(tmp_path, rng, train=["2008_1", "2008_2"], val=["2008_3"])
    return tmp_path, folder, labels


def test_samples_are_what_was_written(tree):
    root, folder, labels = tree
    for place in (root, folder, folder.parent):
        assert [sample.name for sample in SBD(place)] == ["2008_1", "2008_2"]
    for sample in [*SBD(root), *SBD(root, "val")]:
        np.testing.assert_array_equal(sample.labels, labels[sample.name])
        np.testing.assert_array_equal(sample.image, read_image(folder / "img" / f"{sample.name}.jpg"))
        assert sample.labels.dtype == np.uint8


def test_classes_are_vocs(tree):
    dataset = build("sbd", tree[0])
    assert dataset.classes == VOC().classes
    assert dataset.preprocess == VOC.preprocess


@pytest.mark.parametrize(
    ("break_it", "complaint"),
    [
        (lambda f: (f / "train.txt").unlink(), r"there is no list .*train\.txt; `fcn data sbd` says how"),
        (lambda f: (f / "cls").rename(f / "labels"), r"there is no folder .*cls; `fcn data sbd` says how"),
        (lambda f: (f / "cls/2008_2.mat").unlink(), r"missing \(1\): .*2008_2\.mat; `fcn data sbd`"),
    ],
)
def test_what_is_missing_is_named(tree, break_it, complaint):
    break_it(tree[1])
    with pytest.raises(InputError, match=complaint):
        build("sbd", tree[0])


def test_labels_that_do_not_fit_are_named(tree):
    root, folder, labels = tree

    def write(values):
        fields = {"Segmentation": matfile.array(values.astype(np.uint8))}
        trees.mat(folder / "cls" / "2008_1.mat", matfile.structure(fields, "GTcls"))

    write(labels["2008_1"].T)
    with pytest.raises(InputError, match=r"2008_1\.jpg is 40x48 pixels but .*2008_1\.mat is 48x40"):
        SBD(root)[0]
    write(np.full((40, 48), 21))
    with pytest.raises(InputError, match=r"2008_1\.mat contain the id 21 .*0\.\.20"):
        SBD(root)[0]
    trees.mat(folder / "cls" / "2008_1.mat", matfile.array(labels["2008_1"], "GTinst"))
    with pytest.raises(InputError, match=r"holds no variable GTcls; it holds GTinst"):
        SBD(root)[0]

"""The reader of PASCAL VOC's layout, on a tree made here and on a real pair where there is one."""

import shutil

import numpy as np
import pytest
from PIL import Image

from fcn_from_scratch.checks import InputError
from fcn_from_scratch.datasets import VOC, read_image, read_labels, save_labels


@pytest.fixture
def devkit(tmp_path):
    """VOCdevkit/VOC2012 with two pairs; returns the folder VOC2012."""
    root = tmp_path / "VOCdevkit" / "VOC2012"
    for part in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (root / part).mkdir(parents=True)
    for name, label in (("2007_000001", 20), ("2007_000002", 255)):
        Image.new("RGB", (9, 5), "red").save(root / "JPEGImages" / f"{name}.jpg")
        save_labels(root / "SegmentationClass" / f"{name}.png", np.full((5, 9), label))
    (root / "ImageSets/Segmentation/train.txt").write_text("2007_000002\n2007_000001\n")
    return root


def test_the_root_is_found_from_above(devkit):
    for root in (devkit, devkit.parent, devkit.parent.parent, str(devkit)):
        assert [sample.name for sample in VOC(root)] == ["2007_000002", "2007_000001"]
    assert (VOC(devkit)[1].labels == 20).all()
    assert (VOC(devkit)[0].labels == 255).all()


def test_the_last_year_is_taken(devkit):
    shutil.copytree(devkit, devkit.with_name("VOC2007"))
    assert VOC(devkit.parent).pairs[0][1].parts[-3] == "VOC2012"


def test_the_classes_are_the_published_ones(devkit):
    dataset = VOC(devkit)
    assert dataset.num_classes == 21
    assert dataset.classes[0] == "background"
    assert list(dataset.classes[1:]) == sorted(dataset.classes[1:])
    assert dataset.classes.index("person") == 15
    assert dataset.palette[15].tolist() == [192, 128, 128]
    assert dataset.ignore_index == 255


@pytest.mark.parametrize(
    ("missing", "complaint"),
    [
        ("SegmentationClass", r"there is no folder .*SegmentationClass"),
        ("JPEGImages", r"missing \(2\): .*JPEGImages.2007_000002\.jpg"),
        ("ImageSets", r"there is no list .*train\.txt"),
    ],
)
def test_what_is_missing_is_named(devkit, missing, complaint):
    shutil.rmtree(devkit / missing)
    with pytest.raises(InputError, match=complaint):
        VOC(devkit)


def test_an_unknown_split_names_its_list(devkit):
    with pytest.raises(InputError, match=r"no list .*seg11valid\.txt"):
        VOC(devkit, split="seg11valid")


def test_labels_that_are_no_voc_ids_are_named(devkit):
    save_labels(devkit / "SegmentationClass" / "2007_000001.png", np.full((5, 9), 21))
    with pytest.raises(InputError, match=r"2007_000001\.png contain the id 21 .*0\.\.20"):
        VOC(devkit)[1]


def test_the_real_pair(real_voc_pair):
    image, labels = read_image(real_voc_pair[0]), read_labels(real_voc_pair[1], 21)
    assert image.shape == (*labels.shape, 3) == (500, 334, 3)
    bicycle_and_person = {0, 2, 15, 255}
    assert set(np.unique(labels)) == bicycle_and_person

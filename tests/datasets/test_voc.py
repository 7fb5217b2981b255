"""The reader of PASCAL VOC's layout, on a folder made here and on a real pair where a machine has one."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import trees
from PIL import Image

from fcn_from_scratch.checks import InputError
from fcn_from_scratch.datasets import VOC, read_image, read_labels, save_labels, survey
from fcn_from_scratch.datasets.pascal import seg11valid


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
    with pytest.raises(InputError, match=r"no list .*seg12valid\.txt"):
        VOC(devkit, split="seg12valid")


# --- seg11valid: VOC 2011's val without what SBD trains on -------------------------------------------------------


@pytest.fixture
def both(tmp_path, rng):
    """VOC2012 and VOC2011 side by side, and SBD; of 2011's val, a and d are trained on."""
    trees.voc(tmp_path, rng, "VOC2012", val=[*"abcdefg"], train=["h"])
    trees.voc(tmp_path, rng, "VOC2011", val=[*"badec"])
    trees.sbd(tmp_path, rng, train=["d", "x", "a"], val=["b"])
    return tmp_path


def test_seg11valid_is_val_less_what_sbd_trains_on(both):
    """From any root; pictures and labels are those of 2011 where that year is there."""
    for root in (both, both / "VOCdevkit", both / "VOCdevkit" / "VOC2011", both / "VOCdevkit" / "VOC2012"):
        dataset = VOC(root, "seg11valid")
        assert [sample.name for sample in dataset] == ["b", "e", "c"]
        year = "VOC2012" if root.name == "VOC2012" else "VOC2011"
        assert all(path.parts[-3] == year for _, path, _ in dataset.pairs)
    assert VOC(both, "val").pairs[0][1].parts[-3] == "VOC2012"


def test_sbd_may_lie_elsewhere(both, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "sets"
    shutil.move(both / "benchmark_RELEASE", elsewhere)
    with pytest.raises(InputError, match=r"needs benchmark_RELEASE/dataset/train\.txt"):
        VOC(both, "seg11valid")
    assert len(VOC(both, "seg11valid", sbd=elsewhere / "dataset")) == 3
    with pytest.raises(InputError, match=r"needs benchmark_RELEASE/dataset/train\.txt"):
        VOC(both, "seg11valid", sbd=both)


def test_a_list_of_that_name_is_followed(both):
    trees.lines(both / "VOCdevkit/VOC2011/ImageSets/Segmentation/seg11valid.txt", "d")
    assert [sample.name for sample in VOC(both, "seg11valid")] == ["d"]


def test_without_2011_there_is_no_seg11valid(both):
    shutil.rmtree(both / "VOCdevkit" / "VOC2011")
    with pytest.raises(InputError, match=r"needs VOC2011/ImageSets/Segmentation/val\.txt"):
        VOC(both, "seg11valid")


def test_the_archive_of_2011_unpacks_one_folder_deeper(both):
    (both / "TrainVal").mkdir()
    shutil.move(both / "VOCdevkit", both / "TrainVal" / "VOCdevkit")
    assert [sample.name for sample in VOC(both, "seg11valid")] == ["b", "e", "c"]
    assert len(VOC(both, "val")) == 7


def test_the_published_list_comes_out(both):
    """736 names, whatever else is on the two lists."""
    path = Path(__file__).resolve().parents[3] / "shared" / "lists" / "pascal-seg11valid.txt"
    if not path.is_file():
        pytest.skip("the published list is not on this machine")
    published = path.read_text(encoding="utf-8").split()
    assert len(published) == len(set(published)) == 736
    trained_on = [f"{name}_sbd" for name in published[::2]]
    trees.lines(both / "VOCdevkit/VOC2011/ImageSets/Segmentation/val.txt", *sorted([*published, *trained_on]))
    trees.lines(both / "benchmark_RELEASE/dataset/train.txt", *trained_on, "2011_000000")
    assert seg11valid(both) == sorted(published)


def test_labels_that_are_no_voc_ids_are_named(devkit):
    save_labels(devkit / "SegmentationClass" / "2007_000001.png", np.full((5, 9), 21))
    with pytest.raises(InputError, match=r"2007_000001\.png contain the id 21 .*0\.\.20"):
        VOC(devkit)[1]


def test_the_real_pair(real_voc_pair):
    image, labels = read_image(real_voc_pair[0]), read_labels(real_voc_pair[1], 21)
    assert image.shape == (*labels.shape, 3) == (500, 334, 3)
    bicycle_and_person = {0, 2, 15, 255}
    assert set(np.unique(labels)) == bicycle_and_person


def test_the_real_pair_in_its_layout(real_voc_pair, devkit):
    """As a sample of a development kit: read, counted, prepared."""
    for path, place in zip(real_voc_pair, ("JPEGImages/2007_000001.jpg", "SegmentationClass/2007_000001.png")):
        shutil.copy(path, devkit / place)
    dataset = VOC(devkit)
    assert dataset[1].image.shape == (500, 334, 3)
    seen = survey(dataset)
    assert not seen.unreadable
    assert set(np.flatnonzero(seen.counts[0])) == {0, 2, 15, 255}
    assert seen.counts.sum() == 500 * 334 + 5 * 9
    x = dataset.preprocess(dataset[1].image)
    assert x.shape == (3, 500, 334)
    assert np.abs(x.mean(axis=(1, 2))).max() < 60

"""COCO's JSON: polygons and both run lengths, painted in order, and classes by the names of categories."""

import json

import numpy as np
import pytest
from slow_run_lengths import slow_counts, slow_text

from fcn_from_scratch.checks import InputError
from fcn_from_scratch.datasets.own.class_list import Classes
from fcn_from_scratch.datasets.own.coco import read_coco
from fcn_from_scratch.datasets.own.settle import settle

SIZE = (20, 30)
CATEGORIES = [{"id": 7, "name": "square", "supercategory": "none"}, {"id": 12, "name": "disc"}]
IMAGES = [{"id": 1, "file_name": "a.jpg", "height": 20, "width": 30}]


def box(top, left, bottom, right):
    """A box as COCO's polygon, and its mask."""
    mask = np.zeros(SIZE, bool)
    mask[top:bottom, left:right] = True
    return [left, top, right, top, right, bottom, left, bottom], mask


def annotation(segmentation, category=7, crowd=0, image=1):
    about = {"id": 5, "image_id": image, "category_id": category, "iscrowd": crowd}
    return about | {"segmentation": segmentation}


def write(path, *annotations, images=IMAGES, categories=CATEGORIES):
    content = {"images": images, "annotations": list(annotations), "categories": categories}
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def ids(path, classes=None, size=SIZE, name="a.jpg"):
    coco = read_coco(path)
    return settle(classes or coco.classes).ids(coco[name](size), path)


FORMS = {
    "polygons": lambda corners, mask: [corners],
    "a flat polygon": lambda corners, mask: corners,
    "run lengths": lambda corners, mask: {"size": list(SIZE), "counts": slow_counts(mask)},
    "compressed": lambda corners, mask: {"size": list(SIZE), "counts": slow_text(slow_counts(mask))},
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_mask(tmp_path, form):
    corners, mask = box(3, 5, 11, 20)
    path = write(tmp_path / "x.json", annotation(FORMS[form](corners, mask)))
    np.testing.assert_array_equal(ids(path), mask)


def test_several_parts_are_one_object(tmp_path):
    (one, first), (two, second) = box(1, 1, 6, 6), box(4, 4, 12, 9)
    path = write(tmp_path / "x.json", annotation([one, two], 12))
    np.testing.assert_array_equal(ids(path), 2 * (first | second))


def test_later_ones_lie_above_and_crowds_below(tmp_path):
    (one, first), (two, second), (_, below) = box(1, 1, 9, 9), box(4, 4, 12, 20), box(0, 0, 15, 15)
    path = write(
        tmp_path / "x.json",
        annotation([one], 7),
        annotation([two], 12),
        annotation({"size": list(SIZE), "counts": slow_counts(below)}, 12, crowd=1),
    )
    expected = np.where(second, 2, np.where(first, 1, np.where(below, 2, 0)))
    np.testing.assert_array_equal(ids(path), expected)


def test_categories_are_found_by_name(tmp_path):
    corners, mask = box(3, 5, 11, 20)
    path = write(tmp_path / "x.json", annotation([corners], 12))
    np.testing.assert_array_equal(ids(path, Classes(("Disc", "background"))), ~mask)


def test_classes_are_the_background_and_the_categories(tmp_path):
    corners, _ = box(3, 5, 11, 20)
    path = write(tmp_path / "x.json", annotation([corners]))
    assert read_coco(path).classes.names == ("background", "square", "disc")
    named = [{"id": 0, "name": "background"}, *CATEGORIES]
    assert read_coco(write(path, annotation([corners]), categories=named)).classes.names[0] == "background"


def test_a_category_that_only_groups_others_is_none(tmp_path):
    """Roboflow writes the project's name as the first category."""
    corners, _ = box(3, 5, 11, 20)
    group = {"id": 0, "name": "shapes", "supercategory": "none"}
    rest = [each | {"supercategory": "shapes"} for each in CATEGORIES]
    path = write(tmp_path / "x.json", annotation([corners]), categories=[group, *rest])
    assert read_coco(path).classes.names == ("background", "square", "disc")
    path = write(tmp_path / "x.json", annotation([corners], 0), categories=[group, *rest])
    assert read_coco(path).classes.names == ("background", "shapes", "square", "disc")


def test_a_category_zero_is_not_the_background(tmp_path):
    """Label Studio counts from 0."""
    corners, mask = box(3, 5, 11, 20)
    path = write(tmp_path / "x.json", annotation([corners], 0), categories=[{"id": 0, "name": "cat"}])
    np.testing.assert_array_equal(ids(path), mask)


def test_pictures_without_annotations_are_told(tmp_path):
    corners, _ = box(3, 5, 11, 20)
    images = [*IMAGES, {"id": "b", "file_name": "train\\b.jpg", "height": 20, "width": 30}]
    coco = read_coco(write(tmp_path / "x.json", annotation([corners]), images=images))
    assert (list(coco), coco.unmarked, len(coco)) == (["a.jpg"], ("train/b.jpg",), 1)


@pytest.mark.parametrize(
    "written", ["/data/upload/1/a.jpg", "C:\\data\\a.jpg", "../../media/a.jpg", "https://host/p/a.jpg", "./a.jpg"]
)
def test_a_path_of_another_machine_is_a_name(tmp_path, written):
    corners, _ = box(3, 5, 11, 20)
    path = write(tmp_path / "x.json", annotation([corners]), images=[IMAGES[0] | {"file_name": written}])
    assert list(read_coco(path)) == ["a.jpg"]


def test_another_size_is_refused(tmp_path):
    corners, mask = box(3, 5, 11, 20)
    path = write(tmp_path / "x.json", annotation([corners]))
    with pytest.raises(InputError, match=r"drawn on a\.jpg of 20x30 pixels, but that is 30x20; its EXIF orientation"):
        ids(path, size=(30, 20))
    path = write(tmp_path / "x.json", annotation(FORMS["run lengths"](corners, mask) | {"size": [30, 20]}))
    with pytest.raises(InputError, match=r"annotation 5 of a\.jpg has run lengths of a mask of the size \[30, 20\]"):
        ids(path)


@pytest.mark.parametrize(
    ("segmentation", "words"),
    [
        ([], "no outline, perhaps only a box"),
        (None, "no outline"),
        ("x", "no outline"),
        ([[1, 2, 3]], "no list of pairs"),
        ([[1, 2, 3, 4]], "a polygon of 2 points"),
        ([[1, 2, "3", 4, 5, 6]], "the point"),
        ([{"a": 1}], "no list of pairs|the point"),
        ([[1e300, 2, 3, 4, 5, 6]], "far outside"),
        ({"size": [20, 30]}, "run lengths that are not numbers"),
        ({"size": [20, 30], "counts": [601]}, "run lengths that are not numbers"),
        ({"size": [20, 30], "counts": [300, 299]}, "cover 599 pixels of 20x30"),
        ({"size": [20, 30], "counts": "~~"}, "damaged"),
        ({"size": "big", "counts": []}, "run lengths of a mask of the size big"),
    ],
)
def test_damaged_outlines_are_refused(tmp_path, segmentation, words):
    path = write(tmp_path / "x.json", annotation(segmentation))
    with pytest.raises(InputError, match=rf"x\.json: annotation 5 of a\.jpg has .*({words})"):
        ids(path)


WRONG = {
    "no lists of": {"images": None},
    "image_id 9, which is not listed": {"annotations": [annotation([], image=9)]},
    "category_id 9, which is not listed": {"annotations": [annotation([], 9)]},
    r"category_id \[\], which is not listed": {"annotations": [annotation([], [])]},
    "a category without a name, or without a number": {"categories": [{"id": 1}]},
    "or without a number of its own": {"categories": [CATEGORIES[0], CATEGORIES[0]]},
    "two categories 'square'": {"categories": [CATEGORIES[0], CATEGORIES[0] | {"id": 8}]},
    "0 categories": {"categories": []},
    "300 categories": {"categories": [{"id": i, "name": f"c{i}"} for i in range(300)]},
    "without a name or number of its own": {"images": [IMAGES[0], IMAGES[0] | {"id": 2}]},
}


@pytest.mark.parametrize("words", WRONG)
def test_damaged_files_are_refused(tmp_path, words):
    content = {"images": IMAGES, "annotations": [], "categories": CATEGORIES} | WRONG[words]
    (tmp_path / "x.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=rf"x\.json.*{words}"):
        read_coco(tmp_path / "x.json")


def test_a_boolean_is_no_number(tmp_path):
    """true == 1 in Python: it must not stand for category 1."""
    path = write(tmp_path / "x.json", annotation([], True), categories=[{"id": 1, "name": "cat"}])
    with pytest.raises(InputError, match="category_id True"):
        read_coco(path)

"""A .csv of pictures, their masks and classes."""

import numpy as np
import pytest
from PIL import Image

from fcn_from_scratch.checks import InputError
from fcn_from_scratch.datasets.own.class_list import Classes
from fcn_from_scratch.datasets.own.mask_list import paint, read_mask_list
from fcn_from_scratch.datasets.own.settle import settle

SIZE = (6, 8)


def save(path, mask, value=255):
    Image.fromarray(mask.astype(np.uint8) * value).save(path)
    return path


def masks():
    first, second = np.zeros(SIZE, bool), np.zeros(SIZE, bool)
    first[1:4, 1:5] = second[2:6, 3:8] = True
    return first, second


def read(tmp_path, text):
    (tmp_path / "l.csv").write_text(text, encoding="utf-8")
    return read_mask_list(tmp_path / "l.csv")


@pytest.mark.parametrize("header", ["", "image,mask,class\n", "Picture, Labels, Class\n"])
def test_lines_are_grouped_by_picture(tmp_path, header):
    found = read(tmp_path, header + "a.jpg,a-1.png,cat\nb/c.jpg, b\\c.png ,dog\na.jpg,./a-2.png,dog\n")
    assert found == {"a.jpg": (("a-1.png", "cat"), ("a-2.png", "dog")), "b/c.jpg": (("b/c.png", "dog"),)}
    assert found.names == ("cat", "dog")


def test_the_class_may_be_missing(tmp_path):
    found = read(tmp_path, "image,labels\na.jpg,a.png\n")
    assert found == {"a.jpg": (("a.png", None),)}
    assert found.names == ()


@pytest.mark.parametrize("order", [("cat", "dog"), ("dog", "cat")])
@pytest.mark.parametrize("lines", [1, -1])
def test_masks_are_painted_in_the_order_of_the_classes(tmp_path, order, lines):
    first, second = masks()
    files = [(save(tmp_path / "1.png", first), "cat"), (save(tmp_path / "2.png", second, 1), "dog")][::lines]
    names = ("background", *order)
    found = settle(Classes(names)).ids(paint(files, names, SIZE), "x")
    above, below = (second, first) if order[1] == "dog" else (first, second)
    np.testing.assert_array_equal(found, np.where(above, 2, np.where(below, 1, 0)))


def test_a_class_may_be_its_id(tmp_path):
    first, _ = masks()
    raw = paint([(save(tmp_path / "1.png", first), "2")], ("background", "cat", "dog"), SIZE)
    np.testing.assert_array_equal(settle(Classes(("background", "cat", "dog"))).ids(raw, "x"), 2 * first)


def test_a_name_goes_before_an_id(tmp_path):
    first, _ = masks()
    raw = paint([(save(tmp_path / "1.png", first), "1")], ("background", "2", "1"), SIZE)
    np.testing.assert_array_equal(settle(Classes(("background", "2", "1"))).ids(raw, "x"), 2 * first)


def test_wrong_masks_are_refused(tmp_path):
    first, _ = masks()
    path = save(tmp_path / "1.png", first)
    with pytest.raises(InputError, match=r"1\.png has the class 'cow', which is none of the 2 classes"):
        paint([(path, "cow")], ("background", "cat"), SIZE)
    with pytest.raises(InputError, match=r"a\.jpg is 9x9 pixels but .*1\.png is 6x8"):
        paint([(path, "cat")], ("background", "cat"), (9, 9), "a.jpg")
    save(path, np.arange(48).reshape(SIZE) % 3, 1)
    with pytest.raises(InputError, match=r"1\.png holds the values 0, 1, 2; a mask of one class"):
        paint([(path, "cat")], ("background", "cat"), SIZE)
    Image.fromarray(first.astype(np.uint8) * 255).save(tmp_path / "1.jpg")
    with pytest.raises(InputError, match=r"1\.jpg is a JPEG"):
        paint([(tmp_path / "1.jpg", "cat")], ("background", "cat"), SIZE)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a.jpg,a.png,cat,7\n", "line 1, is not picture,labels"),
        ("image,labels\na.jpg\n", "line 2, is not picture,labels"),
        ("a.jpg,,cat\n", "line 1"),
        ("a.jpg,1.png\na.jpg,2.png\n", r"gives a\.jpg 2 files; each needs a class"),
        ("a.jpg,1.png,cat\na.jpg,1.png,dog\n", r"gives a\.jpg the same file twice"),
        ("", "lists nothing"),
        ('a.jpg,"' + "x" * 200_000, "cannot be read as a table"),
    ],
)
def test_wrong_lists_are_refused(tmp_path, text, words):
    with pytest.raises(InputError, match=rf"l\.csv.* ?{words}"):
        read(tmp_path, text)

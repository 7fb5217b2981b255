"""Label files: ids are read as stored, 255 alone means "ignore", and anything that is no id is refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fcn_from_scratch.checks import InputError
from fcn_from_scratch.datasets import read_labels, save_labels, voc_palette


@pytest.fixture
def ids():
    return np.random.default_rng(0).choice(np.array([0, 1, 2, 20, 255], np.uint8), (6, 9))


@pytest.mark.parametrize("palette", [voc_palette(), np.zeros((256, 3)), voc_palette()[::-1]])
def test_a_palette_png_is_read_as_indices(tmp_path, ids, palette):
    save_labels(tmp_path / "x.png", ids, palette)
    with Image.open(tmp_path / "x.png") as picture:
        assert picture.mode == "P"
    np.testing.assert_array_equal(read_labels(tmp_path / "x.png", 21), ids)


def test_saved_colours_are_vocs(tmp_path, ids):
    save_labels(tmp_path / "x.png", ids)
    with Image.open(tmp_path / "x.png") as picture:
        shown = np.asarray(picture.convert("RGB"))
    assert {tuple(c) for c in shown[ids == 1]} == {(128, 0, 0)}
    assert {tuple(c) for c in shown[ids == 20]} == {(0, 64, 128)}
    assert {tuple(c) for c in shown[ids == 255]} == {(224, 224, 192)}


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32])
def test_grey_is_read_as_it_is(tmp_path, ids, dtype):
    Image.fromarray(ids.astype(dtype)).save(tmp_path / "x.tif")
    labels = read_labels(tmp_path / "x.tif", 21)
    assert labels.dtype == np.uint8
    np.testing.assert_array_equal(labels, ids)


def test_sixteen_bit_png(tmp_path, ids):
    Image.fromarray(ids.astype(np.uint16)).save(tmp_path / "x.png")
    np.testing.assert_array_equal(read_labels(tmp_path / "x.png", 21), ids)


def test_one_bit_gives_two_classes(tmp_path):
    mask = np.array([[True, False, False], [True, True, False]])
    Image.fromarray(mask).save(tmp_path / "x.png")
    np.testing.assert_array_equal(read_labels(tmp_path / "x.png", 2), mask)


@pytest.mark.parametrize(("depth", "line"), [(1, 0b01000110), (2, 0b00011011), (4, 0b00011110)])
def test_grey_of_few_bits_is_not_stretched(tmp_path, png, depth, line):
    """Image tools save small ids with few bits, which a viewer stretches to 0..255; ids must stay ids."""
    ids = [line >> shift & (2**depth - 1) for shift in range(8 - depth, -1, -depth)]
    (tmp_path / "x.png").write_bytes(png(len(ids), 1, [bytes([line])], depth))
    np.testing.assert_array_equal(read_labels(tmp_path / "x.png"), [ids])


def test_minus_one_and_named_ids_are_ignored(tmp_path):
    Image.fromarray(np.array([[-1, 0, 255, 11, 3]], np.int32)).save(tmp_path / "x.tif")
    np.testing.assert_array_equal(read_labels(tmp_path / "x.tif", 11, ignore=(11,)), [[255, 0, 255, 255, 3]])


@pytest.mark.parametrize("wrong", [5, 21, 254])
def test_an_id_out_of_range_is_named(tmp_path, ids, wrong):
    ids = np.where(ids == 20, wrong, ids).astype(np.uint8)
    Image.fromarray(ids).save(tmp_path / "cat.png")
    count = (ids == wrong).sum()
    with pytest.raises(InputError, match=rf"cat\.png .*id {wrong} \({count} pixels.*0\.\.4 and 255"):
        read_labels(tmp_path / "cat.png", 5)


@pytest.mark.parametrize("wrong", [-2, 256, 65535])
def test_ids_beyond_a_byte_do_not_wrap(tmp_path, wrong):
    Image.fromarray(np.array([[0, wrong]], np.int32)).save(tmp_path / "x.tif")
    with pytest.raises(InputError, match=rf"id {wrong} "):
        read_labels(tmp_path / "x.tif", 21)


def test_without_a_number_of_classes_any_byte_is_an_id(tmp_path):
    ids = np.arange(256, dtype=np.uint8)[None]
    Image.fromarray(ids).save(tmp_path / "x.png")
    np.testing.assert_array_equal(read_labels(tmp_path / "x.png"), ids)


def test_255_cannot_be_a_class(tmp_path):
    with pytest.raises(ValueError, match="at most 255"):
        read_labels(tmp_path / "x.png", 256)


def test_rgb_is_refused_unless_a_palette_decodes_it(tmp_path, ids):
    Image.fromarray(voc_palette()[ids]).save(tmp_path / "x.png")
    with pytest.raises(InputError, match=r"x\.png is a RGB picture, not class ids"):
        read_labels(tmp_path / "x.png", 21)
    np.testing.assert_array_equal(read_labels(tmp_path / "x.png", 21, palette=voc_palette()), ids)


def test_a_colour_outside_the_palette_is_named(tmp_path):
    pixels = np.array([[[0, 0, 0], [1, 2, 3], [128, 0, 0], [1, 2, 3]]], np.uint8)
    Image.fromarray(pixels).save(tmp_path / "x.png")
    with pytest.raises(InputError, match=r"x\.png has 2 pixels .*\(1, 2, 3\)"):
        read_labels(tmp_path / "x.png", palette=[(0, 0, 0), (128, 0, 0)])


def test_grey_saved_as_rgb_gets_a_hint(tmp_path, ids):
    Image.fromarray(np.dstack([ids] * 3)).save(tmp_path / "x.png")
    with pytest.raises(InputError, match="three channels are equal"):
        read_labels(tmp_path / "x.png", 21)


def test_jpeg_labels_are_refused(tmp_path, ids):
    Image.fromarray(ids).save(tmp_path / "x.jpg")
    with pytest.raises(InputError, match=r"x\.jpg is a JPEG"):
        read_labels(tmp_path / "x.jpg", 21)


@given(st.binary(min_size=1, max_size=64))
def test_save_and_read_are_inverse(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "any ids.png"
    ids = np.frombuffer(data, np.uint8)[:, None]
    save_labels(path, ids)
    np.testing.assert_array_equal(read_labels(path), ids)


def test_the_real_palette_is_vocs(real_voc_pair):
    """The oracle of voc_palette: the 256 colours that the real label file carries."""
    with Image.open(real_voc_pair[1]) as picture:
        np.testing.assert_array_equal(np.reshape(picture.getpalette(), (256, 3)), voc_palette())
    assert set(np.unique(read_labels(real_voc_pair[1], 21))) == {0, 2, 15, 255}

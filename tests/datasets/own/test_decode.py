"""From stored labels to ids: the order of map, classes and 255, and what is refused with which words."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fcn_from_scratch import datasets
from fcn_from_scratch.checks import InputError
from fcn_from_scratch.datasets import voc_palette
from fcn_from_scratch.datasets.own.classes import Classes, read_classes
from fcn_from_scratch.datasets.own.label_map import parse
from fcn_from_scratch.datasets.own.raw import IGNORED, UNMARKED, Raw, distinct
from fcn_from_scratch.datasets.own.settle import needs_counts, settle, tally

ABC = Classes(("a", "b", "c"))
COLOURS = np.array([(0, 0, 0), (200, 10, 10), (10, 10, 200)], np.uint8)


def decoder(classes=None, text=None, num_classes=None):
    return settle(classes, parse(text) if text else None, num_classes)


def ids(decoder, *values, path="x.png", dtype=np.int64):
    return decoder.ids(Raw(np.array([values], dtype)), path)[0].tolist()


def counted(*raws):
    total = {}
    for key, count in itertools.chain(*(tally(raw, "x.png").items() for raw in raws)):
        total[key] = total.get(key, 0) + count
    return total


# --- numbers -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.int64])
def test_names_alone_take_ids(dtype):
    assert ids(decoder(ABC), 2, 0, 1, 255, dtype=dtype) == [2, 0, 1, 255]
    assert decoder(ABC).ids(Raw(np.array([[1]], dtype)), "x").dtype == np.uint8


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int32, np.int64, np.uint32])
def test_numbers_of_every_type_are_told_apart(dtype):
    values = [0, 5, 127] if dtype == np.uint32 else [-128, 0, 127]
    found, counts, places = distinct(np.array([[*values, 0]], dtype))
    assert (found.tolist(), counts.tolist()) == (values, [2 if value == 0 else 1 for value in values])
    assert found[places(np.array([values], dtype))].tolist() == [values]


def test_too_many_classes_are_refused():
    with pytest.raises(InputError, match=r"there are 300 classes; ids are 0\.\.254"):
        decoder(None, ",".join(f"{i}:c{i}" for i in range(300)))
    with pytest.raises(InputError, match="there are 256 classes"):
        decoder(None, None, 256)
    assert len(decoder(None, None, 255).names) == 255


def test_minus_one_is_ignored():
    assert ids(decoder(ABC), -1, 0) == [255, 0]
    assert ids(decoder(ABC), -1, 0, dtype=np.int8) == [255, 0]


def test_values_become_ids_in_the_files_order():
    classes = Classes(("c", "a", "b"), (9, 0, 4), ignored=(7,))
    assert ids(decoder(classes), 0, 4, 9, 7, 255) == [1, 2, 0, 255, 255]


def test_the_map_goes_before_the_classes_and_before_255():
    classes = Classes(("a", "b"), (1, 2))
    assert ids(decoder(classes, "0:ignore,2:a,255:b"), 0, 1, 2, 255) == [255, 0, 0, 1]
    assert ids(decoder(classes, "0:ignore"), 0, 1, 2, 255, -1) == [255, 0, 1, 255, 255]


def test_the_rest_is_what_neither_names():
    classes = Classes(("a", "b"), (1, 2))
    assert ids(decoder(classes, "5:a,rest:ignore"), 1, 2, 5, 9, 255) == [0, 1, 0, 255, 255]
    assert ids(decoder(None, "0:0,rest:1"), 0, 128, 255, -1) == [0, 1, 1, 1]


def test_a_class_in_front_moves_the_others():
    front = decoder(Classes(("a", "b"), (1, 2), COLOURS[:2]), "0:background")
    assert front.names == ("background", "a", "b")
    assert ids(front, 0, 1, 2) == [0, 1, 2]
    np.testing.assert_array_equal(front.palette[1:3], COLOURS[:2])


@given(st.lists(st.integers(-5, 300), min_size=1, max_size=30))
def test_each_pixel_is_decoded_by_its_value(values):
    table = {0: 2, 7: 0, 255: 1}
    text = "0:2,7:0,255:1,rest:ignore"
    assert ids(decoder(ABC, text), *values) == [table.get(value, 255) for value in values]


REFUSED = [
    (ABC, None, None, [0, 0, 0, 3], r"x\.png contain the id 3 \(1 pixel .*25\.0%\).*0\.\.2.*--classes: .*0:0,3:ignore"),
    (None, None, 2, [0, 0, 0, 128], r"id 128 \(.*25\.0%\); allowed are 0\.\.1 .*: type --label-map 0:0,128:1"),
    (ABC, "0:a,1:b", None, [0, 1, 2, 2], r"value 2 in 50\.0% .*--label-map 0:a,1:b does not .*0:a,1:b,2:c"),
    (ABC, "0:new", None, [0, 7, 7, 1], r"value 7 in 50\.0% .*0:new,1:ignore,7:ignore"),
    (Classes(("a",), (4,)), None, None, [4, 0], r"value 0 in 50\.0% .*--label-map 0:ignore"),
    (Classes(("a",), (4,), source="c.csv"), None, None, [4, 0, 7, 7], r"value 7 .*\(and 1 more such value\).*c\.csv"),
    (Classes(("a",), (4,)), None, None, range(12), r"--label-map rest:ignore"),
    (ABC, None, None, [-2, 0], "id -2"),
    (ABC, None, None, [2**40, 0], f"id {2**40}"),
]


@pytest.mark.parametrize(("classes", "text", "number", "values", "words"), REFUSED)
def test_other_values_are_refused_with_what_to_type(classes, text, number, values, words):
    with pytest.raises(InputError, match=words):
        ids(decoder(classes, text, number), *values)


@pytest.mark.parametrize(("classes", "text", "number", "values", "words"), REFUSED[:6])
def test_what_the_refusal_says_to_type_works(classes, text, number, values, words):
    with pytest.raises(InputError) as error:
        ids(decoder(classes, text, number), *values)
    typed = str(error.value).rpartition("--label-map ")[2]
    assert len(ids(decoder(classes, typed, number), *values)) == len(values)


# --- Cityscapes --------------------------------------------------------------------------------------------------


def test_the_name_of_a_cityscapes_file_tells_its_numbers():
    city = decoder(read_classes("cityscapes"))
    assert ids(city, 7, 26, 0, 4, path="a_gtFine_labelIds.png") == [0, 13, 255, 255]
    assert ids(city, 7, 13, 0, 255, path="a_gtFine_labelTrainIds.png") == [7, 13, 0, 255]
    with pytest.raises(InputError, match=r"value 40 in 50\.0% .*cityscapes does not name: .*--label-map 40:ignore"):
        ids(city, 7, 40, path="a_gtFine_labelIds.png")
    colours = np.array([[(0, 0, 142), (128, 64, 128), (0, 0, 0)]], np.uint8)
    assert city.ids(Raw(colours=colours), "a_gtFine_color.png").tolist() == [[13, 0, 255]]


def test_camvids_numbers_and_the_colours_of_its_authors():
    camvid = decoder(read_classes("camvid"))
    assert ids(camvid, 0, 10, 11) == [0, 10, 255]  # SegNet's files have 11 for what is unlabelled
    stills = np.array([[(128, 128, 128), (192, 0, 128), (0, 0, 0), (64, 64, 0)]], np.uint8)
    assert camvid.ids(Raw(colours=stills), "x_L.png").tolist() == [[0, 1, 255, 9]]


def test_ade20ks_numbers():
    assert ids(decoder(read_classes("ade20k")), 0, 1, 150) == [255, 0, 149]


# --- colours -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_colours_tell_the_classes(seed):
    expected = np.random.default_rng(seed).integers(3, size=(5, 7))
    found = decoder(Classes(("a", "b", "c"), None, COLOURS)).ids(Raw(colours=COLOURS[expected]), "x.png")
    np.testing.assert_array_equal(found, expected)


def test_an_unknown_colour_is_refused_with_its_count():
    pixels = np.array([[(0, 0, 0), (1, 2, 3), (1, 2, 3), (9, 9, 9)]], np.uint8)
    with pytest.raises(InputError, match=r"x\.png has 2 pixels in the colour \(1, 2, 3\) \(and 1 more .* in l\.txt"):
        decoder(Classes(("a", "b", "c"), None, COLOURS, "l.txt")).ids(Raw(colours=pixels), "x.png")


def test_a_colour_that_two_classes_share_is_refused():
    pixels = np.full((1, 1, 3), 140, np.uint8)
    with pytest.raises(InputError, match=r"colour \(140, 140, 140\)"):
        decoder(read_classes("ade20k")).ids(Raw(colours=pixels), "x.png")


def test_three_equal_channels_are_grey():
    grey = np.repeat(np.array([[0, 1, 2, 255]], np.uint8)[:, :, None], 3, axis=2)
    assert decoder(ABC).ids(Raw(colours=grey), "x.png").tolist() == [[0, 1, 2, 255]]
    black = np.zeros((2, 2, 3), np.uint8)
    assert not decoder(Classes(("a", "b", "c"), None, COLOURS)).ids(Raw(colours=black), "x.png").any()
    mapped = decoder(Classes(("a", "b", "c"), None, COLOURS), "0:b,1-255:c")
    assert mapped.ids(Raw(colours=grey), "x.png").tolist() == [[1, 2, 2, 2]]


def test_colours_that_nobody_named_are_refused_with_what_to_write():
    pixels = np.array([[(0, 0, 0), (1, 2, 3)]], np.uint8)
    for make in (lambda: decoder(ABC).ids(Raw(colours=pixels), "x.png"), lambda: tally(Raw(colours=pixels), "x.png")):
        with pytest.raises(InputError, match=r"colours, such as \(1, 2, 3\) on 1 pixel: .*--classes FILE"):
            make()


def test_shades_of_grey_are_the_values_of_a_grey_picture():
    """A mask of black and white is the same labels whether it is saved in grey or in colour."""
    shades = Classes(("ground", "leaf"), None, np.array([(0, 0, 0), (255, 255, 255)], np.uint8))
    pixels = np.array([[0, 255, 255]], np.uint8)
    assert decoder(shades).ids(Raw(pixels), "x.png").tolist() == [[0, 1, 1]]
    assert decoder(shades).ids(Raw(colours=np.dstack([pixels] * 3)), "x.png").tolist() == [[0, 1, 1]]
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
    assert decoder(shades).ids(Raw(pixels, palette=ramp), "x.png").tolist() == [[0, 1, 1]]
    assert decoder(shades).ids(Raw(pixels > 0), "x.png").tolist() == [[0, 1, 1]]
    assert decoder(ABC).ids(Raw(pixels > 0), "x.png").tolist() == [[0, 1, 1]]
    with pytest.raises(InputError, match="value 7 in 50"):
        decoder(shades).ids(Raw(np.array([[0, 7]], np.uint8)), "x.png")
    counted_from_1 = Classes(("a", "b"), None, np.array([(1, 1, 1), (2, 2, 2)], np.uint8))
    assert decoder(counted_from_1).ids(Raw(np.array([[1, 2, 255]])), "x.png").tolist() == [[0, 1, 255]]


def test_a_palette_of_black_and_white_gives_numbers():
    shades = Classes(("ground", "leaf"), None, np.array([(0, 0, 0), (255, 255, 255)], np.uint8))
    palette = np.zeros((256, 3), np.uint8)
    palette[1] = 255
    assert decoder(shades).ids(Raw(np.array([[0, 1]], np.uint8), palette=palette), "x.png").tolist() == [[0, 1]]
    assert decoder(shades).ids(Raw(np.array([[0, 1]], np.uint8), palette=palette[::-1]), "x").tolist() == [[0, 0]]


# --- palettes ----------------------------------------------------------------------------------------------------


def test_a_palette_of_the_classes_or_none_of_its_own_gives_numbers():
    classes = Classes(("a", "b", "c"), None, COLOURS)
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)
    for palette in (np.concatenate([COLOURS, ramp[3:]]), ramp, np.zeros((256, 3), np.uint8)):
        raw = Raw(np.array([[0, 1, 2, 255]], np.uint8), palette=palette)
        assert decoder(classes).ids(raw, "x.png").tolist() == [[0, 1, 2, 255]]


def test_a_palette_in_another_order_gives_its_colours():
    raw = Raw(np.array([[0, 1, 2]], np.uint8), palette=np.concatenate([COLOURS[::-1], np.zeros((253, 3), np.uint8)]))
    assert decoder(Classes(("a", "b", "c"), None, COLOURS)).ids(raw, "x.png").tolist() == [[2, 1, 0]]
    assert decoder(Classes(("a", "b", "c"), None, COLOURS), "0:a,1:b,2:c").ids(raw, "x.png").tolist() == [[0, 1, 2]]
    assert decoder(ABC).ids(raw, "x.png").tolist() == [[0, 1, 2]]


def test_vocs_border_is_ignored_in_colour_and_in_number():
    voc, labels = decoder(read_classes("voc")), np.array([[0, 15, 255]], np.uint8)
    assert voc.ids(Raw(labels, palette=voc_palette()), "x.png").tolist() == [[0, 15, 255]]
    assert voc.ids(Raw(colours=voc_palette()[labels]), "x.png").tolist() == [[0, 15, 255]]


# --- JPEG --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [None, "0:0,255:1", "0-9:0,rest:1,255:1", "0:0,rest:1"])
def test_jpeg_labels_need_ranges(text):
    raw = Raw(np.array([[3, 250]], np.uint8), lossy="JPEG")
    with pytest.raises(InputError, match=r"x\.jpg is a JPEG, .* --label-map 0-127:0,128-255:1"):
        decoder(None if text else ABC, text).ids(raw, "x.jpg")
    if text is None:
        with pytest.raises(InputError, match="is a JPEG"):
            tally(raw, "x.jpg")


def test_jpeg_labels_in_ranges():
    raw = Raw(np.array([[3, 250]], np.uint8), lossy="JPEG")
    assert decoder(None, "0-127:0,128-255:1").ids(raw, "x.jpg").tolist() == [[0, 1]]
    assert decoder(None, "0-127:0,rest:1").ids(raw, "x.jpg").tolist() == [[0, 1]]


# --- names -------------------------------------------------------------------------------------------------------

NAMED = Raw(np.array([[0, 1, UNMARKED, IGNORED]], np.int32), names=("square", "disc"), numbers=(7, 12))


def test_names_are_found_in_the_classes():
    classes = Classes(("background", "disc", "square"))
    assert decoder(classes).ids(NAMED, "x").tolist() == [[2, 1, 0, 255]]
    assert decoder(Classes(("Disc", "_background_", "SQUARE"))).ids(NAMED, "x").tolist() == [[2, 0, 1, 255]]


def test_a_map_names_their_numbers():
    classes = Classes(("square", "disc"))
    assert decoder(classes, "0:background").ids(NAMED, "x").tolist() == [[1, 2, 0, 255]]
    assert decoder(classes, "0:ignore,7:disc").ids(NAMED, "x").tolist() == [[1, 1, 255, 255]]
    assert decoder(Classes(("background", "disc")), "rest:ignore").ids(NAMED, "x").tolist() == [[255, 1, 0, 255]]


def test_other_names_are_refused():
    with pytest.raises(
        InputError, match=r"x has 'square' on 25\.0% .* none of the classes background, disc: .*7:ignore"
    ):
        decoder(Classes(("background", "disc"))).ids(NAMED, "x")
    with pytest.raises(InputError, match=r"marks nothing on 25\.0% .* 0:background, or 0:ignore"):
        decoder(Classes(("square", "disc"))).ids(NAMED, "x")
    free = NAMED._replace(numbers=(0, 12))
    with pytest.raises(InputError, match=r"rest:background, or rest:ignore"):
        decoder(Classes(("square", "disc"))).ids(free, "x")


# --- nobody says anything ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("values", [[0, 1], [0, 1, 2, 255], [2, 1, 0, -1]])
def test_ids_without_a_gap_are_the_classes(values):
    raw = Raw(np.array([values]))
    found = settle(counts=counted(raw))
    classes = {value for value in values if value not in (255, -1)}
    assert len(found.names) == len(classes)
    assert found.ids(raw, "x").tolist() == [[value if value in classes else 255 for value in values]]


GAPS = {
    (0, 255): "0:0,255:1",
    (0, 127, 255): "0:0,127:1,255:2",
    (1, 2, 3): "1:0,2:1,3:2",
    (0, 2, 255): "0:0,2:1,255:ignore",
    (0, 65535): "0:0,65535:1",
    (0, 1, 4, 7, 26): "0:0,1:1,4:2,7:3,26:4",
    tuple(range(256)): "0-127:0,128-255:1",
    tuple(range(0, 65536, 9)): "0-32767:0,32768-65535:1",
}


@pytest.mark.parametrize("values", GAPS, ids=[str(values[:5]) for values in GAPS])
def test_other_values_are_refused_with_the_map_to_type(values):
    raw = Raw(np.array([values]))
    with pytest.raises(InputError, match=rf"masks hold the values {values[0]} .*--label-map {GAPS[values]}\b") as error:
        settle(counts=counted(raw), where="masks")
    if len(values) <= 10:
        assert all(f"{value} ({1 / len(values):.1%})" in str(error.value) for value in values)
    found = decoder(None, GAPS[values])
    assert set(np.unique(found.ids(raw, "x")).tolist()) - {255} == set(range(len(found.names)))


def test_one_value_alone_is_refused():
    with pytest.raises(InputError, match=r"masks hold the value 0 \(100\.0%\) and no other"):
        settle(counts={"0": 9}, where="masks")


def test_outlines_alone_name_the_classes():
    assert settle(counts=counted(NAMED)).names == ("background", "disc", "square")
    covered = Raw(np.array([[0, 1]]), names=("square", "_background_"))
    assert settle(counts=counted(covered)).names == ("_background_", "square")


def test_when_counting_is_needed():
    some = parse("0:0,1:1")
    assert needs_counts(None, None, None)
    assert not needs_counts(ABC, None, None)
    assert not needs_counts(None, some, None)
    assert not needs_counts(None, None, 3)
    assert needs_counts(None, some, None, by_name=True)


@pytest.mark.parametrize(("classes", "text"), [(ABC, None), (None, "0:0,1:1,2:2")])
def test_the_number_of_classes_must_agree(classes, text):
    assert len(decoder(classes, text, 3).names) == 3
    with pytest.raises(InputError, match=r"3 classes|the id 2, but there are 2"):
        decoder(classes, text, 2)
    with pytest.raises(ValueError, match="num_classes"):
        decoder(classes, text, 0)


class TestWhatIsSuggested:
    def test_names_beside_names_and_ids_beside_ids(self):
        """A map has ids or names, never both: what is printed can be typed."""
        labels = Raw(np.array([[0, 255, 1, 7]]))
        for text, more in (("0:bg,255:vessel", "1:vessel,7:ignore"), ("0:0,255:1", "1:1,7:ignore")):
            decoder = settle(label_map=parse(text))
            with pytest.raises(InputError) as caught:
                decoder.ids(labels, "a.png")
            typed = f"{text},{more}"
            assert f"--label-map {typed}" in str(caught.value)
            assert settle(label_map=parse(typed)).ids(labels, "a.png").tolist() == [[0, 1, 1, 255]]


@pytest.mark.parametrize(("name", "told"), [("a_10", True), ("a_labelIds", False), ("a_gtFine_labelTrainIds", False)])
def test_which_of_cityscapes_numberings_is_read_is_said(tmp_path, name, told):
    for place, shape in (("images", (3, 4, 3)), ("labels", (3, 4))):
        (tmp_path / place).mkdir()
        Image.fromarray(np.full(shape, 7, np.uint8)).save(tmp_path / place / f"{name}.png")
    notes = datasets.Folder(tmp_path, "all", classes="cityscapes").notes
    assert any("are read as 0..18 in the order of cityscapes" in note for note in notes) == told
    if told:
        mapped = datasets.Folder(tmp_path, "all", classes="cityscapes", label_map="7:road,rest:ignore")
        assert not any("are read as" in note for note in mapped.notes)
        assert mapped[0].labels.max() == 0

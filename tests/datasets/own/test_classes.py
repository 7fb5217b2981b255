"""--classes: every form of file that annotation tools write, names in the option, and four public data sets."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fcn_from_scratch.checks import InputError
from fcn_from_scratch.datasets import voc_palette
from fcn_from_scratch.datasets.own.classes import KNOWN_FILES, find_class_file, read_classes

NAMES = ("road", "building, edifice", "Fußweg")


def read(tmp_path, text, name="c.txt", encoding="utf-8"):
    (tmp_path / name).write_text(text, encoding=encoding)
    return read_classes(name, tmp_path)


# --- forms -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_one_name_a_line(tmp_path, end, encoding):
    (tmp_path / "c.txt").write_bytes(end.join(["# my classes", *NAMES, ""]).encode(encoding))
    classes = read_classes("c.txt", tmp_path)
    assert classes[:2] == (NAMES, None)
    assert classes.colours is None


@pytest.mark.parametrize("header", ["name", "Class", "labels", "class_name"])
def test_a_header_is_no_class(tmp_path, header):
    assert read(tmp_path, f"{header}\ncat\ndog\n").names == ("cat", "dog")


def test_labelmes_list(tmp_path):
    classes = read(tmp_path, "__ignore__\n_background_\nsquare\n")
    assert classes.names == ("_background_", "square")
    with pytest.raises(InputError, match="__ignore__ behind other names"):
        read(tmp_path, "_background_\n__ignore__\nsquare\n")


def test_cvats_label_map(tmp_path):
    text = "# label:color_rgb:parts:actions\ndisc:51,221,255::\nbackground:0,0,0::\nsquare:184,61,245:a,b:jump,run\n"
    classes = read(tmp_path, text)
    assert classes.names == ("disc", "background", "square")
    np.testing.assert_array_equal(classes.colours, [(51, 221, 255), (0, 0, 0), (184, 61, 245)])
    assert classes.values is None
    assert read(tmp_path, "a:1,2,3\nb: c:4,5,6\n").names == ("a", "b: c")


TABLES = {
    "Roboflow": "Pixel Value, Class\n0, road\n4, lane\n9, car\n",
    "tabs": "Idx\tRatio\tTrain\tVal\tName\n0\t0.1\t11\t1\troad\n4 \t0.1\t6\t6\tlane \n9\t0.1\t8\t1\tcar\n",
    "semicolons": "id;name\n0;road\n4;lane\n9;car\n",
    "without a header": "0,road\n4,lane\n9,car\n",
    "blanks": "0 road\n4 lane\n9 car\n",
    "blanks below a header": "Value Name\n0 road\n4 lane\n9 car\n",
    "colons": "0: road\n4: lane\n9: car\n",
}


@pytest.mark.parametrize("form", TABLES)
def test_a_table_of_values(tmp_path, form):
    classes = read(tmp_path, TABLES[form])
    assert classes.names == ("road", "lane", "car")
    assert classes.values == (0, 4, 9)


def test_names_may_begin_with_a_number(tmp_path):
    for names in (("background", "2 wheeler", "3d printer"), ("background", "2 wheeler", "4 wheeler")):
        assert read(tmp_path, "\n".join(names)).names == names


def test_names_may_hold_the_comma(tmp_path):
    assert read(tmp_path, "id\tname\n1\tfloor, flooring\n2\tsky\n").names == ("floor, flooring", "sky")
    assert read(tmp_path, 'id,name\n1,"floor, flooring"\n2,sky\n').names == ("floor, flooring", "sky")
    assert read(tmp_path, "floor, flooring\nsky, blue\n").names == ("floor, flooring", "sky, blue")
    assert read(tmp_path, "floor, flooring\nsky\n").names == ("floor, flooring", "sky")


@pytest.mark.parametrize(
    "text",
    [
        "name,r,g,b\nAnimal,64,128,64\nArchway,192,0,128\n",
        "64 128 64\tAnimal\n192 0 128\tArchway\n",
        "64 128 64 Animal\n192 0 128 Archway\n",
        "64 128 64\t\tAnimal\n192 0 128\t\tArchway\n",
    ],
)
def test_a_table_of_colours(tmp_path, text):
    classes = read(tmp_path, text)
    assert classes.names == ("Animal", "Archway")
    np.testing.assert_array_equal(classes.colours, [(64, 128, 64), (192, 0, 128)])


@pytest.mark.parametrize(
    ("content", "values", "colours"),
    [
        ({"cat": 0, "dog": 7}, (0, 7), None),
        ({"0": "cat", "7": "dog"}, (0, 7), None),
        ({"cat": [1, 2, 3], "dog": [4, 5, 6]}, None, [(1, 2, 3), (4, 5, 6)]),
        ({"cat": "#010203", "dog": "4, 5, 6"}, None, [(1, 2, 3), (4, 5, 6)]),
        (["cat", "dog"], None, None),
        (
            {
                "labels": [
                    {"name": "animal--cat", "readable": "cat", "color": [1, 2, 3], "instances": True},
                    {"name": "animal--dog", "readable": "dog", "color": [4, 5, 6]},
                ],
                "version": 1.2,
            },
            None,
            [(1, 2, 3), (4, 5, 6)],
        ),
        (
            {
                "classes": [
                    {"title": "cat", "shape": "polygon", "color": "#010203", "id": 775},
                    {"title": "dog", "color": "#040506", "id": 776},
                ],
                "tags": [],
            },
            None,
            [(1, 2, 3), (4, 5, 6)],
        ),
        ({"categories": [{"id": 3, "name": "cat", "supercategory": "animal"}, {"id": 9, "name": "dog"}]}, (3, 9), None),
    ],
)
def test_json(tmp_path, content, values, colours):
    classes = read(tmp_path, json.dumps(content), "c.json")
    assert classes.names == ("cat", "dog")
    assert classes.values == values
    assert (None if classes.colours is None else [tuple(colour) for colour in classes.colours.tolist()]) == colours


def test_an_ignored_value_or_colour(tmp_path):
    assert read(tmp_path, "id,name\n0,cat\n1,dog\n9,__ignore__\n").ignored == (9,)
    classes = read(tmp_path, "cat:1,2,3::\n__ignore__:9,9,9::\n")
    assert classes.names == ("cat",)
    assert classes.more_colours == (((9, 9, 9), 255),)


# --- the option --------------------------------------------------------------------------------------------------


def test_names_in_the_option():
    assert read_classes(" background, square ,disc").names == ("background", "square", "disc")


def test_a_file_in_the_root_goes_before_one_that_is_here(tmp_path, monkeypatch):
    (tmp_path / "root").mkdir()
    (tmp_path / "root/c.txt").write_text("there\n")
    (tmp_path / "c.txt").write_text("here\n")
    (tmp_path / "a,b.txt").write_text("comma\n")
    monkeypatch.chdir(tmp_path)
    assert read_classes("c.txt", "root").names == ("there",)
    assert read_classes("a,b.txt", "root").names == ("comma",)
    assert read_classes("c.txt").names == ("here",)
    assert read_classes(tmp_path / "c.txt", "root").names == ("here",)


WRONG = {
    "": "lists nothing",
    "cat\ncat\n": "the name 'cat' twice",
    "id,name\n1,cat\n1,dog\n": "the value '1' twice",
    "a:1,2,3\nb:1,2,3\n": r"the colour \(1, 2, 3\) twice",
    "a:1,2,3\nb:1,2,300\n": "colour '1,2,300'",
    "a:1,2,3::\nb:::\n": "gives 'b' no colour",
    "name,r,g,b\ncat,1,2\n": "fewer cells",
    "name,r,g,b\ncat,1,x,2\n": "colour '1,x,2'",
    "0,\n1,cat\n": "the value 0 without a name",
    "\n".join(f"c{i}" for i in range(256)): "names 256 classes",
    "\n".join(f"c{i}" for i in range(5000)): "names 5000 classes",
}


@pytest.mark.parametrize("text", WRONG, ids=WRONG.values())
def test_wrong_files_are_refused(tmp_path, text):
    with pytest.raises(InputError, match=rf"c\.txt .*{WRONG[text]}"):
        read(tmp_path, text)


@pytest.mark.parametrize(
    "text",
    ['{"a": 1, "a": 2}', '{"a": 1.5}', '{"a": null}', "3", "{}", "{", '{"a": [1, 2]}', '[""]', '{"a": {"b": 1}}'],
)
def test_wrong_json_is_refused(tmp_path, text):
    with pytest.raises(InputError, match=r"c\.json"):
        read(tmp_path, text, "c.json")


def test_a_missing_file_is_refused_with_what_can_be_typed(tmp_path):
    with pytest.raises(InputError, match=r"no class file labels\.txt in .*; --classes takes a file, .* voc, camvid"):
        read_classes("labels.txt", tmp_path)
    with pytest.raises(InputError, match="an empty name"):
        read_classes("cat,,dog")


@given(st.text(max_size=60))
def test_any_text_is_classes_or_a_sentence(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "any classes.txt"
    path.write_text(text, encoding="utf-8")
    try:
        classes = read_classes(path)
    except InputError:
        return
    assert len(set(classes.names)) == len(classes.names) > 0


# --- files that are found ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", KNOWN_FILES)
def test_a_known_name_is_found(tmp_path, name):
    assert find_class_file([tmp_path / "nowhere", tmp_path]) is None
    (tmp_path / name).write_text('["a"]' if name.endswith(".json") else "a\n")
    assert find_class_file([tmp_path / "nowhere", tmp_path]) == tmp_path / name


def test_two_that_differ_are_refused_by_name(tmp_path):
    (tmp_path / "labels.txt").write_text("a\nb\n")
    (tmp_path / "classes.txt").write_text("a\nb\n")
    assert find_class_file([tmp_path]) == tmp_path / "classes.txt"
    (tmp_path / "labels.txt").write_text("b\na\n")
    with pytest.raises(InputError, match=r"classes\.txt and labels\.txt name different classes"):
        find_class_file([tmp_path])


# --- public data sets --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("word", "count"), [("voc", 21), ("CamVid", 11), ("cityscapes", 19), ("ade20k", 150)])
def test_public_data_sets(word, count):
    classes = read_classes(word)
    assert len(set(classes.names)) == len(classes.colours) == count


def test_what_is_known_of_them():
    """Numbers that the sets' papers and sites name, apart from the tables here."""
    voc = read_classes("voc")
    assert (voc.names[0], voc.names[15], voc.names[20]) == ("background", "person", "tvmonitor")
    np.testing.assert_array_equal(voc.colours, voc_palette()[:21])
    city = read_classes("cityscapes")
    values, void = city.values_in("aachen_000000_000019_gtFine_labelIds.png")
    assert dict(zip(city.names, values))["car"] == 26
    assert sorted((*values, *void)) == list(range(34))
    assert city.values_in("aachen_000000_000019_gtFine_labelTrainIds.png")[0] == tuple(range(19))
    assert city.values_in("mine.png")[0] is None
    ade = read_classes("ade20k")
    assert dict(zip(ade.names, ade.values))["building, edifice"] == 2
    assert (ade.names[-1], ade.values[-1], ade.ignored) == ("flag", 150, (0,))
    camvid = dict(read_classes("camvid").more_colours)
    assert camvid[192, 0, 128] == 1  # an archway is a building
    assert camvid[0, 0, 0] == 255

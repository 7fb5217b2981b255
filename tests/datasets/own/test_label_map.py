"""--label-map: values, ranges and the rest, ids, names and ignore."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fcn_from_scratch.checks import InputError
from fcn_from_scratch.datasets.own.label_map import parse


def ids(text, values, names=None, num_classes=None):
    found, mapping = parse(text).resolve(names, num_classes)
    return found, mapping(np.array(values)).tolist()


def test_values_ranges_and_what_is_left():
    names, found = ids("0:0, 7-9:1 ,-1:ignore,-9--5:2,300 : 2", [0, 7, 8, 9, -1, -9, -5, 300, 10, 6])
    assert found == [0, 1, 1, 1, 255, 2, 2, 2, -1, -1]
    assert names == ("background", "class 1", "class 2")


def test_the_rest_is_kept_apart():
    _, mapping = parse("0:0,1:1,REST:Ignore").resolve()
    assert mapping.rest == 255
    assert parse("0:0,1:1").resolve()[1].rest is None


def test_names_of_classes():
    names = ("background", "cat", "DOG")
    assert ids("5:cat,6:dog,7:2,8:ignore", [5, 6, 7, 8], names) == (names, [1, 2, 2, 255])


def test_a_new_name_is_a_class_in_front():
    assert ids("0:background,4:dog", [0, 4], ("cat", "dog")) == (("background", "cat", "dog"), [0, 2])
    assert ids("0:a,1:b,2:cat", [0, 1, 2], ("cat",)) == (("a", "b", "cat"), [0, 1, 2])


def test_names_alone_are_the_classes():
    assert ids("0:background,255:cell,9:background", [0, 9, 255]) == (("background", "cell"), [0, 0, 1])


def test_ids_with_a_number_of_classes():
    names, found = ids("0:0,9:4", [0, 9], None, 6)
    assert (len(names), found) == (6, [0, 4])


@given(st.dictionaries(st.integers(-300, 70000), st.integers(0, 5), min_size=1, max_size=20))
def test_each_value_gets_its_id(targets):
    text = ",".join(f"{value}:{id}" for value, id in targets.items())
    _, mapping = parse(text).resolve(tuple("abcdef"))
    values = np.array(list(targets))
    assert mapping(values).tolist() == list(targets.values())
    assert (mapping(np.setdiff1d(np.arange(-310, 310), values)) == -1).all()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "takes VALUE:CLASS"),
        (",", "takes VALUE:CLASS"),
        ("7", "got '7'"),
        ("7:", "got '7:'"),
        (":3", "got ':3'"),
        ("cat:3", "got 'cat:3'"),
        ("1.5:3", "got '1.5:3'"),
        ("1-2-3:0", "got '1-2-3:0'"),
        ("٣:0", "got '٣:0'"),
        ("9999999999999:0", "got '9999999999999:0'"),
        ("9-7:0", "the range 9-7 .* is empty; write 7-9"),
        ("0:0,0:1", "says twice what the value 0 is"),
        ("0-5:0,3:1", "says twice what the value 3 is"),
        ("3:1,0-5:0", "says twice what the value 3 is"),
        ("rest:0,rest:1", "says twice what the rest is"),
        ("0:255", r"a class's id is 0\.\.254; write ignore"),
        ("0:-1", r"a class's id is 0\.\.254; write ignore"),
        ("0:99999999999999999999999", r"a class's id is 0\.\.254"),
    ],
)
def test_wrong_maps_are_refused(text, words):
    with pytest.raises(InputError, match=words):
        parse(text)


@pytest.mark.parametrize(
    ("text", "names", "num_classes", "words"),
    [
        ("0:0,255:2", None, None, "no value for the class 1"),
        ("1:1,2:2", None, None, "no value for the class 0"),
        ("0:0,1:cat", None, None, "the name cat and the id 0"),
        ("0:ignore", None, None, "ignores all that it names"),
        ("0:3", ("a", "b", "c"), None, r"the id 3, but there are 3 classes: 0\.\.2"),
        ("0:3", None, 3, r"the id 3, but there are 3 classes"),
        ("0:background,1:0", ("a", "b"), None, "class background in front of the others, which shifts the id 0"),
    ],
)
def test_targets_that_no_class_is_are_refused(text, names, num_classes, words):
    with pytest.raises(InputError, match=words):
        parse(text).resolve(names, num_classes)


def test_a_very_long_map_is_refused():
    with pytest.raises(InputError, match="takes VALUE:CLASS"):
        parse(",".join(f"{i}:0" for i in range(20_000)))
    assert len(parse(",".join(f"{i}:0" for i in range(5_000))).entries) == 5_000

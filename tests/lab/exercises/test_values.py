"""What is said about a wrong value: its kind, its shape, the first wrong number."""

import numpy as np
import pytest

from fcn_from_scratch.lab.exercises import difference

MAP = np.arange(6.0).reshape(2, 3)


@pytest.mark.parametrize(
    ("got", "want"),
    [
        (3, 3),
        (3.0, 3),
        (np.int64(3), 3),
        (np.array(3), 3),
        ("word", "word"),
        (b"word", b"word"),
        (None, None),
        (True, np.True_),
        (np.array(True), True),
        ([1, 2], (1, 2)),
        (np.array([1, 2]), [1, 2]),
        ([[0, 1, 2], [3, 4, 5]], MAP),
        ({"b": MAP, "a": "x"}, {"a": "x", "b": MAP.tolist()}),
        (np.nan, np.nan),
        (np.array([np.inf]), np.array([np.inf])),
        ([], []),
        (np.zeros((0, 2)), np.zeros((0, 2))),
    ],
)
def test_equal_values(got, want):
    assert difference(got, want) is None


@pytest.mark.parametrize(
    ("got", "want", "said"),
    [
        (4, 3, "the result should be 3; got 4"),
        ("three", 3, "the result should be a number; got 'three'"),
        ([3], 3, "the result should be a number; got [3]"),
        ("word", b"word", "the result should be b'word'; got 'word'"),
        (3, "word", "the result should be 'word'; got 3"),
        (MAP, "word", "the result should be 'word'; got array([[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]])"),
        (1, True, "the result should be True; got 1"),
        (False, True, "the result should be True; got False"),
        (0, None, "the result should be None; got 0"),
        (np.zeros((9, 9)), None, "the result should be None; got an array of shape (9, 9)"),
        (3, (1, 2), "the result should be a tuple of 2 values; got 3"),
        ([1], [1, 2], "the result should have 2 values: [1, 2]; got 1: [1]"),
        ([1, 2], [1], "the result should have 1 value: [1]; got 2: [1, 2]"),
        ([1, (np.int64(2), 4)], [1, (2, 3)], "result[1][1] should be 3; got 4"),
        ([[1, 2], [3]], [[1, 2], [3, 4]], "result[1] should have 2 values: [3, 4]; got 1: [3]"),
        ([1], {"a": 1}, "the result should be a dict with the keys 'a'; got [1]"),
        ({"b": 1}, {"a": 1}, "the result should have the keys 'a'; got 'b'"),
        ({"a": 2}, {"a": 1}, "result['a'] should be 1; got 2"),
        (MAP.T, MAP, "the result has the wrong shape: it should be (2, 3); got (3, 2)"),
        (1.0, MAP, "the result should be an array of shape (2, 3); got 1.0"),
        ("map", MAP, "the result should be an array of shape (2, 3); got 'map'"),
        ([[1], [1, 2]], MAP, "the result should be an array of shape (2, 3); got [[1], [1, 2]]"),
        (object, MAP, "the result should be an array of shape (2, 3); got <class 'object'>"),
        (1 + 1e-9, 1, "the result should be 1; got 1.0000000010000001"),
        (np.nan, 1, "the result should be 1; got nan"),
    ],
)
def test_wrong_values(got, want, said):
    assert difference(got, want) == said


def test_the_first_wrong_number_is_named():
    wrong = MAP.copy()
    wrong[1] = [3, 0, 0]
    said = "the result has the right shape (2, 3), but 2 of its 6 values are wrong. The first of them is at (1, 1): "
    assert difference(wrong, MAP) == said + "it should be 4; got 0"
    said = "the result has the right shape (3,), but 1 of its 3 values is wrong. The first of them is at 2: "
    assert difference([0, 1, 9], MAP[0]) == said + "it should be 2; got 9"


def test_tolerance():
    assert difference(100.9, 100, 0.01) is None
    assert difference(102.1, 100, 0.01) == "the result should be 100; got 102.1"
    assert difference({"a": [1.005]}, {"a": [1]}, 0.01) is None
    assert difference(0.005, 0, 0.01) is None


def test_long_values_are_cut():
    assert len(difference("x" * 200, 3)) < 110

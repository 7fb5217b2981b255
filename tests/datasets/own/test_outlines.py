"""Outlines: which pixels they hold."""

import math

import numpy as np
import pytest

from fcn_from_scratch.checks import InputError
from fcn_from_scratch.datasets.own import outlines

SIZE = (60, 80)


def centres_inside(corners, size):
    """The pixels whose middle is inside a polygon, by counting crossings to the left: the even-odd rule."""
    rows, columns = np.mgrid[: size[0], : size[1]] + 0.5
    inside = np.zeros(size, bool)
    for (x0, y0), (x1, y1) in zip(corners, [*corners[1:], corners[0]]):
        if y0 != y1:
            inside ^= ((y0 > rows) != (y1 > rows)) & (columns < (x1 - x0) * (rows - y0) / (y1 - y0) + x0)
    return inside


def polygon(rng, corners):
    angles, radii = np.sort(rng.uniform(0, 2 * np.pi, corners)), rng.uniform(8, 35, corners)
    return [(40 + r * math.cos(a), 30 + r * math.sin(a)) for a, r in zip(angles, radii)]


@pytest.mark.parametrize("corners", [3, 5, 12])
def test_a_polygon_of_coco_holds_the_pixels_whose_middle_is_inside(corners):
    rng = np.random.default_rng(corners)
    for scale in (1, 2.5):
        shape = [(x * scale - 20, y * scale - 20) for x, y in polygon(rng, corners)]
        np.testing.assert_array_equal(outlines.area(shape, SIZE), centres_inside(shape, SIZE))


@pytest.mark.parametrize("seed", range(5))
def test_lines_may_cross(seed):
    """Random corners in any order: the even-odd rule."""
    shape = [tuple(point) for point in np.random.default_rng(seed).uniform(-5, 70, (9, 2))]
    np.testing.assert_array_equal(outlines.area(shape, SIZE), centres_inside(shape, SIZE))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # its own, with NumPy 2
def test_pycocotools_fills_nearly_the_same():
    """It rounds to a fifth of a pixel."""
    tools = pytest.importorskip("pycocotools.mask", reason="pycocotools is not installed")
    rng = np.random.default_rng(0)
    wrong = total = 0
    for corners in range(3, 30):
        shape = polygon(rng, corners)
        flat = [number for point in shape for number in point]
        theirs = tools.decode(tools.merge(tools.frPyObjects([flat], *SIZE))).astype(bool)
        wrong += (outlines.area(shape, SIZE) != theirs).sum()
        total += theirs.sum()
    assert wrong < 0.02 * total


def test_a_box_of_coco_is_exact():
    mask = outlines.area([(10, 5), (20, 5), (20, 15), (10, 15)], SIZE)
    expected = np.zeros(SIZE, bool)
    expected[5:15, 10:20] = True
    np.testing.assert_array_equal(mask, expected)


def test_what_leaves_the_picture_is_cut_off():
    mask = outlines.area([(-500.5, -20), (5, -20), (5, 9000), (-500.5, 9000)], SIZE)
    expected = np.zeros(SIZE, bool)
    expected[:, :5] = True
    np.testing.assert_array_equal(mask, expected)
    assert not outlines.area([(-9, -9), (-3, -9), (-3, -3)], SIZE).any()
    assert outlines.polygon([(-9, -9), (200, -9), (200, 200), (-9, 200)], SIZE).all()


def test_a_circle_and_a_rectangle():
    rows, columns = np.mgrid[:60, :80]
    distance = np.hypot(columns - 40, rows - 30)
    mask = outlines.circle((40, 30), (40, 40), SIZE)
    assert mask[distance < 9.5].all()
    assert not mask[distance > 10.5].any()
    for corners in ([(10, 5), (20, 15)], [(20, 15), (10, 5)], [(20, 5), (10, 15)]):
        assert np.argwhere(outlines.rectangle(corners, SIZE))[[0, -1]].tolist() == [[5, 10], [15, 20]]


@pytest.mark.parametrize("found", [None, {}, [1, 2], [[1]], [[1, 2, 3]], [["1", 2]], [[True, 2]], [[1e9, 0]]])
def test_what_is_no_point_is_refused(found):
    with pytest.raises(InputError, match="point"):
        outlines.points(found)
    with pytest.raises(InputError, match="far outside"):
        outlines.points([[math.nan, 0]])


@pytest.mark.parametrize("fill", [outlines.area, outlines.polygon])
def test_two_points_are_no_polygon(fill):
    with pytest.raises(InputError, match="2 points"):
        fill([(0, 0), (1, 1)], SIZE)

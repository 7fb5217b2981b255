"""Fill outlines with Pillow: polygons, rectangles and circles become masks."""

import math

import numpy as np
from PIL import Image, ImageDraw

from fcn_from_scratch.checks import InputError

MOST_POINTS = 200_000  # of one outline
FINE = 8
STRIP = 1 << 18  # pixels that are drawn at once, FINE * FINE as many
FARTHEST = 1e6  # pixels from the origin; Pillow's whole numbers end far behind it


def points(found):
    """A list of points [[x, y], ...] from a file. Returns: list of (x, y). Raises: InputError for anything else."""
    if not isinstance(found, list) or len(found) > MOST_POINTS:
        raise InputError(f"points that are no list of at most {MOST_POINTS} points")
    return [_point(each) for each in found]


def _point(found):
    if not isinstance(found, (list, tuple)) or len(found) != 2 or not all(type(n) in (int, float) for n in found):
        raise InputError(f"the point {str(found)[:40]}; a point is two numbers, x and y")
    if not all(-FARTHEST < n < FARTHEST for n in found):  # NaN is refused too
        raise InputError(f"the point {str(found)[:40]}, which is far outside of any picture")
    return float(found[0]), float(found[1])


def polygon(corners, size):
    """The mask of a polygon of three or more corners (x, y). Returns: bool (H, W)."""
    if len(corners) < 3:
        raise InputError(f"a polygon of {len(corners)} points; three or more enclose an area")
    return _draw(size, lambda draw: draw.polygon(corners, fill=1, outline=1))


def area(corners, size):
    """The mask of a polygon whose numbers count from the upper left corner of the picture's first pixel, as COCO's do.

    Pillow takes whole numbers and fills the edge too. So the polygon is drawn FINE times as large, and the middle of
    each pixel decides.
    Returns: bool (H, W).
    """
    if len(corners) < 3:
        raise InputError(f"a polygon of {len(corners)} points; three or more enclose an area")
    fine = np.floor(np.array(corners) * FINE).astype(np.int64)
    (left, top), (right, bottom) = fine.min(0) // FINE, fine.max(0) // FINE + 1
    left, right = np.clip((left, right), 0, size[1])
    top, bottom = np.clip((top, bottom), 0, size[0])
    mask = np.zeros(size, bool)
    rows = max(1, STRIP // max(1, right - left))
    for row in range(top, bottom, rows):  # the memory is that of a strip, however large the polygon
        end = min(row + rows, bottom)
        shifted = [(int(x), int(y)) for x, y in fine - (FINE * left, FINE * row)]
        drawn = _draw((FINE * (end - row), FINE * (right - left)), lambda draw, xy=shifted: draw.polygon(xy, fill=1))
        mask[row:end, left:right] = drawn[FINE // 2 :: FINE, FINE // 2 :: FINE]
    return mask


def rectangle(corners, size):
    """The mask of the upright rectangle with two opposite corners (x, y)."""
    (x0, y0), (x1, y1) = corners
    box = [min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)]
    return _draw(size, lambda draw: draw.rectangle(box, fill=1, outline=1))


def circle(centre, edge, size):
    """The mask of the circle round a centre through a point of its edge, both (x, y)."""
    (x, y), radius = centre, math.dist(centre, edge)
    return _draw(size, lambda draw: draw.ellipse([x - radius, y - radius, x + radius, y + radius], fill=1, outline=1))


def _draw(size, draw):
    height, width = size
    picture = Image.new("1", (width, height))
    draw(ImageDraw.Draw(picture))
    return np.array(picture)

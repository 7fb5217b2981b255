"""Fill outlines: polygons, rectangles and circles become masks."""

import math

import numpy as np
from PIL import Image, ImageDraw

from fcn_from_scratch.checks import InputError

MOST_POINTS = 200_000  # of one outline
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

    A pixel is inside if a line from its middle to the left crosses the outline an odd number of times. Pillow would
    take whole numbers and fill the edge too: half a pixel more on each side.
    Returns: bool (H, W).
    """
    if len(corners) < 3:
        raise InputError(f"a polygon of {len(corners)} points; three or more enclose an area")
    points = np.array(corners)
    left, top = (max(0, int(n)) for n in np.floor(points.min(0)))
    right, bottom = (min(n, int(m)) for n, m in zip(size[::-1], np.ceil(points.max(0))))
    mask = np.zeros(size, bool)
    if left >= right or top >= bottom:
        return mask
    crossings = np.zeros((bottom - top, right - left + 1), bool)
    for (x0, y0), (x1, y1) in zip(points, np.roll(points, -1, axis=0)):
        first, last = np.clip(np.ceil(np.sort((y0, y1)) - 0.5), top, bottom).astype(int)
        rows = np.arange(first, last)  # those whose middle lies between the ends of this side
        if len(rows):
            x = x0 + (rows + 0.5 - y0) * (x1 - x0) / (y1 - y0)
            columns = np.clip(np.ceil(x - 0.5), left, right).astype(int)
            crossings[rows - top, columns - left] ^= True
    mask[top:bottom, left:right] = np.logical_xor.accumulate(crossings, axis=1)[:, :-1]
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

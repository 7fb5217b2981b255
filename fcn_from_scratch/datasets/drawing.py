"""How an object is drawn: its outline as a coverage map, and the pattern and colours that fill it."""

import colorsys
import math

import numpy as np
from PIL import Image, ImageDraw

OVERSAMPLING = 3  # outlines are drawn this many times larger and averaged down, which smooths their edges
REACH = 1.3  # in radii: no outline goes further from its centre than REACH * radius + THINNEST
THINNEST = 1.5  # in pixels: the least width of a rim, an arm or a string; a thinner one might leave no labels


# --- outlines -----------------------------------------------------------------------------------------------


def coverage(kind, size, centre, radius, angle):
    """Draw how much of each pixel an object covers.

    kind    a name in OUTLINES
    size    (H, W); centre (row, column) and radius in pixels; angle in radians, anticlockwise
    Returns: uint8 (H, W), from 0 outside to 255 inside. Thin parts are at least THINNEST pixels wide.
    """
    s = OVERSAMPLING
    canvas = Image.new("L", (size[1] * s, size[0] * s))
    centre_xy = np.array([centre[1], centre[0]]) * s
    OUTLINES[kind](ImageDraw.Draw(canvas), centre_xy, radius * s, angle, THINNEST * s)
    return np.asarray(canvas.reduce(s))


def _place(points, centre, radius, angle):
    """Turn, scale and move points (x to the right, y down) around the origin. Returns: a list for Pillow."""
    cos, sin = math.cos(angle), math.sin(angle)
    turned = np.asarray(points, float) @ [[cos, -sin], [sin, cos]]
    return [tuple(point) for point in (turned * radius + centre).tolist()]


def _ellipse(draw, centre, radius, fill):
    draw.ellipse([*(centre - radius).tolist(), *(centre + radius).tolist()], fill=fill)


def _balloon(draw, centre, radius, angle, thinnest):
    """A disc on a thin, wavy string. It turns by only a quarter of the angle, so that the string hangs down."""
    y = np.linspace(0, 1.2, 9)
    string = np.stack([0.1 * np.sin(6 * y), y], 1)
    width = max(thinnest, 0.06 * radius)
    draw.line(_place(string, centre, radius, angle / 4), fill=255, width=round(width), joint="curve")
    (top,) = _place([(0, -0.4)], centre, radius, angle / 4)
    _ellipse(draw, np.array(top), 0.62 * radius, 255)


def _square(draw, centre, radius, angle, thinnest):
    corners = [(-0.8, -0.8), (0.8, -0.8), (0.8, 0.8), (-0.8, 0.8)]
    draw.polygon(_place(corners, centre, radius, angle), fill=255)


def _triangle(draw, centre, radius, angle, thinnest):
    corners = [(0, -1.1), (0.95, 0.65), (-0.95, 0.65)]
    draw.polygon(_place(corners, centre, radius, angle), fill=255)


def _ring(draw, centre, radius, angle, thinnest):
    rim = max(thinnest, 0.22 * radius)
    _ellipse(draw, centre, radius, 255)
    _ellipse(draw, centre, radius - rim, 0)


def _cross(draw, centre, radius, angle, thinnest):
    arm = max(thinnest / radius / 2, 0.13)
    quarter = [(arm, -arm), (arm, -1.1), (-arm, -1.1)]
    corners = [corner for turn in range(4) for corner in _place(quarter, np.zeros(2), 1, turn * math.pi / 2)]
    draw.polygon(_place(corners, centre, radius, angle), fill=255)


OUTLINES = {"balloon": _balloon, "square": _square, "triangle": _triangle, "ring": _ring, "cross": _cross}


# --- fillings -----------------------------------------------------------------------------------------------


def pattern(rng, size):
    """A random pattern: plain, gradient, stripes, checks or blobs. Returns: float32 (H, W) in 0..1."""
    height, width = size
    kind = rng.integers(5)
    angle, phase = rng.uniform(0, 2 * math.pi, 2)
    if kind == 0:
        return np.zeros(size, np.float32)
    if kind == 1:
        return np.asarray(_stretched(rng.random((2, 2)), size, Image.Resampling.BILINEAR))
    if kind == 2:
        return np.asarray(_stretched(rng.random((6, 6)), size, Image.Resampling.BICUBIC)).clip(0, 1)
    step = rng.uniform(0.5, 1.4)  # radians per pixel: a period of 4 to 12 pixels
    y = np.arange(height, dtype=np.float32)[:, None] * step
    x = np.arange(width, dtype=np.float32)[None] * step
    along = np.sin(np.float32(math.cos(angle)) * x + np.float32(math.sin(angle)) * y + np.float32(phase))
    if kind == 3:
        return (along > 0).astype(np.float32)
    across = np.cos(np.float32(math.sin(angle)) * x - np.float32(math.cos(angle)) * y)
    return (along * across > 0).astype(np.float32)


def stripes(rng, size, spacing, width):
    """Parallel stripes in a random direction. Returns: float32 (H, W), 1 on a stripe and 0 between two.

    spacing, width   in pixels, across the stripes: from one to the next, and of each
    """
    angle, phase = rng.uniform(0, math.pi), rng.uniform(0, spacing)
    y, x = np.ogrid[: size[0], : size[1]]
    across = math.cos(angle) * x + math.sin(angle) * y + phase
    return (across % spacing < width).astype(np.float32)


def _stretched(values, size, method):
    return Image.fromarray(values.astype(np.float32)).resize((size[1], size[0]), method)


def blend(mix, first, second):
    """Two colours mixed by a pattern (H, W): 0 gives the first, 1 the second. Returns: float32 (3, H, W)."""
    first, second = np.float32(first)[:, None, None], np.float32(second)[:, None, None]
    return first + mix * (second - first)


def colour(hue, saturation, value):
    """An RGB colour 0..255 from hue (a full turn is 1), saturation and value in 0..1."""
    return tuple(255 * channel for channel in colorsys.hsv_to_rgb(hue % 1, saturation, value))

"""FCN-8s as one drawing: its maps as squares with their sizes, and the arrows, crops and sums between them.

The drawing gets all numbers from its caller, so that it cannot differ from what a lesson has computed.
"""

from typing import NamedTuple

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cbook import get_sample_data
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyBboxPatch, Rectangle
from matplotlib.patheffects import Normal, Stroke
from PIL import Image, ImageDraw

WIDTH, HEIGHT = 13.33, 7.5  # inches: a slide
INK, PALE, WORD, FIELD = "#222222", "#6b6b6b", "#b3452c", "#f2b705"
PARTS = {"left": (0.0, 6.6), "right": (6.02, WIDTH)}  # in inches from the left edge: as wide as a page
BANDS = ("#eef3f8", "#fbf3e8", "#eef5ef")  # behind the trunk, the score layers, the upsampling
TOP, MIDDLE, BOTTOM = 5.1, 3.1, 1.27  # the heights of the three rows
COLUMNS = {
    **{"image": 1.3, "pool1": 3.5, "pool2": 5.45, "pool3": 7.1, "pool4": 8.85, "pool5": 10.2, "fc6": 11.3, "fc7": 12.4},
    **{"score_fr": 12.4, "score_pool4": 8.85, "score_pool3": 7.1},
    **{"upscore2": 10.2, "upscore_pool4": 7.97, "upscore8": 4.85, "crop": 1.3},
}


class Map(NamedTuple):
    """One map of the network, as it is drawn."""

    picture: np.ndarray  # RGB, or one channel from -1 (blue) to 1 (red)
    size: int
    channels: int
    stride: int


OUTLINE = """
    18,500 22,450 33,405 48,382 75,370 110,358 150,347 178,333 193,318 196,305 185,297 165,288 155,270 152,240 150,205
    149,185 155,165 160,150 150,140 152,100 163,87 170,83 172,70 185,55 205,43 213,38 225,28 247,22 270,25 288,32 298,42
    315,48 332,60 344,75 347,86 357,87 363,105 366,140 362,170 367,185 369,200 364,225 358,250 355,275 345,297 330,305
    326,313 345,330 370,345 400,357 435,368 465,380 483,395 493,415 500,435 500,500
"""  # x,y of each corner of the person in the portrait


def portrait():
    """Matplotlib's photograph of Grace Hopper, and a label map of it that was drawn by hand.

    Returns: photo (500, 500, 3) uint8; person (500, 500) bool.
    """
    file = get_sample_data("grace_hopper.jpg", asfileobj=False)
    photo = np.asarray(Image.open(file, formats=["JPEG"]))[:500, 6:506]
    drawn = Image.new("L", (500, 500))
    corners = [tuple(map(int, point.split(","))) for point in OUTLINE.split()]
    ImageDraw.Draw(drawn).polygon(corners, fill=1)
    return photo, np.asarray(drawn) == 1


def fcn8s(maps, crops, padding, field, names, note):
    """FCN-8s on a square image. Returns: Figure.

    maps     {name: Map}: the image with its padding, the maps after the pools, fc6 and fc7, the three score layers and
             the three upsampled maps, and "crop", the output
    crops    {"score_pool4": 5, "score_pool3": 9, "crop": 31}: the first row and column that are kept
    padding  pixels around the image
    field    (first pixel, number of pixels, cell) of one receptive field: that of `cell`, on both axes, of fc7
    names    {name of a class: (row, column)} to write on the output
    note     what the pictures in the maps are, in a sentence for the corner
    """
    figure = Figure(figsize=(WIDTH, HEIGHT))
    ax = figure.add_axes((0, 0, 1, 1))
    ax.set(xlim=(0, WIDTH), ylim=(0, HEIGHT))
    ax.set_axis_off()
    _bands(ax)
    _title(figure, maps, padding)
    for name, one in maps.items():
        _draw_map(ax, name, one)
    _trunk_arrows(ax, maps)
    _head_arrows(ax, maps)
    _padding_and_field(ax, maps, padding, field)
    _crop_windows(ax, maps, crops)
    _words(ax, maps, crops, padding, field)
    _class_names(ax, maps, names)
    ax.text(WIDTH - 0.3, 0.2, note, size=8.5, color=PALE, ha="right", va="center")
    return figure


def part(figure, name):
    """Cut the figure of fcn8s down to one of its PARTS, at the same scale. Returns: the same figure.

    Texts and squares that would be cut through are left out.
    """
    (left, right), ax = PARTS[name], figure.axes[0]
    figure.set_size_inches(right - left, HEIGHT)
    ax.set(xlim=(left, right), ylim=(0, HEIGHT))
    figure.suptitle(f"FCN-8s, the {name} part", x=0.3 / (right - left), ha="left")
    renderer = FigureCanvasAgg(figure).get_renderer()  # an earlier one may have had another resolution
    drawn = [one for one in (*ax.texts, *ax.patches) if not isinstance(one, FancyBboxPatch)]
    for one in drawn:
        one.set_visible(True)
    for one in drawn:
        ends = one.get_window_extent(renderer).transformed(ax.transData.inverted()).intervalx
        one.set_visible(left <= ends[0] and ends[1] <= right)
    return figure


def side(size):
    """The drawn side of a map, in inches. Small maps are drawn larger than they are, or nobody would see them."""
    return 1.8 * (size / 700) ** 0.42


def row(name):
    if name.startswith("score"):
        return MIDDLE
    return BOTTOM if name.startswith("upscore") or name == "crop" else TOP


# --- parts of the drawing -----------------------------------------------------------------------------------


def _bands(ax):
    for colour, y, height in zip(BANDS, (3.78, 2.3, 0.06), (3.07, 1.4, 2.16)):
        ax.add_patch(
            FancyBboxPatch(
                (0.15, y), WIDTH - 0.3, height, boxstyle="round,pad=0,rounding_size=0.12", color=colour, lw=0
            )
        )


def _title(figure, maps, padding):
    size = maps["image"].size - 2 * padding
    text = f"FCN-8s on a photograph of {size}x{size} pixels"
    place = {"x": 0.3 / WIDTH, "y": 7.12 / HEIGHT, "ha": "left", "va": "center"}
    figure.suptitle(text, **place, size=18, weight="bold", color=INK)


def _draw_map(ax, name, one):
    """The picture in front, the other channels as sheets behind it; name and size below."""
    x, y, half = COLUMNS[name], row(name), side(one.size) / 2
    sheets = 0 if name in ("image", "crop") else 2 if one.channels < 64 else 4
    for sheet in range(sheets, 0, -1):
        shift = 0.035 * sheet
        ax.add_patch(
            Rectangle(
                (x - half + shift, y - half + shift), 2 * half, 2 * half, facecolor="white", edgecolor="#9a9a9a", lw=0.6
            )
        )
    extent = (x - half, x + half, y - half, y + half)
    limits = {"cmap": "RdBu_r", "vmin": -1.2, "vmax": 1.2} if one.picture.ndim == 2 else {}
    ax.imshow(one.picture, extent=extent, interpolation="nearest", zorder=2, **limits)
    ax.add_patch(Rectangle((x - half, y - half), 2 * half, 2 * half, fill=False, edgecolor=INK, lw=0.8, zorder=3))
    ax.set(xlim=(0, WIDTH), ylim=(0, HEIGHT), aspect="auto")
    title = {"image": "input", "crop": "output"}.get(name, name)
    depth = "" if name == "crop" else f"x{one.channels}"
    ax.text(x, y - half - 0.05, title, size=11, weight="bold", color=INK, ha="center", va="top")
    ax.text(x, y - half - 0.25, f"{one.size}x{one.size}{depth}", size=10, color=INK, ha="center", va="top")


def _arrow(ax, start, end, text="", above=0.07):
    ax.annotate("", end, start, arrowprops={"arrowstyle": "-|>", "color": PALE, "lw": 1.4, "shrinkA": 0, "shrinkB": 0})
    if text:
        middle = (start[0] + end[0]) / 2, (start[1] + end[1]) / 2 + above
        ax.text(*middle, text, size=8, color=PALE, ha="center", va="bottom", linespacing=1.1)


def _trunk_arrows(ax, maps):
    """From the image to fc7: what stands between two maps."""
    two, three = "conv 3x3\nconv 3x3\npool 2x2", "conv 3x3\nconv 3x3\nconv 3x3\npool 2x2"
    between = [two, two, three, three, three, "conv\n7x7", "conv\n1x1"]
    names = ["image", "pool1", "pool2", "pool3", "pool4", "pool5", "fc6", "fc7"]
    for left, right, text in zip(names, names[1:], between):
        start = COLUMNS[left] + side(maps[left].size) / 2 + 0.18 * (left != "image")
        end = COLUMNS[right] - side(maps[right].size) / 2
        _arrow(ax, (start, TOP), (end - 0.03, TOP))
        ax.text((start + end) / 2, TOP + 0.09, text, size=8.5, color=PALE, ha="center", va="bottom", linespacing=1.1)


def _head_arrows(ax, maps):
    """Down through the score layers, then to the left: upsampled, added, upsampled, cropped."""
    for pool, score in (("pool3", "score_pool3"), ("pool4", "score_pool4"), ("fc7", "score_fr")):
        x = COLUMNS[pool]
        top = TOP - side(maps[pool].size) / 2 - 0.42
        _arrow(ax, (x, top), (x, MIDDLE + side(maps[score].size) / 2 + 0.1))
        ax.text(x + 0.08, top - 0.12, "conv 1x1", size=8.5, color=PALE, va="center")
    x, right = COLUMNS["score_fr"], COLUMNS["upscore2"] + side(maps["upscore2"].size) / 2 + 0.1
    ax.plot([x, x], [MIDDLE - side(maps["score_fr"].size) / 2 - 0.42, BOTTOM], color=PALE, lw=1.4)
    _arrow(ax, (x, BOTTOM), (right, BOTTOM))
    for score, coarse in (("score_pool4", "upscore2"), ("score_pool3", "upscore_pool4")):
        x = COLUMNS[score]
        _arrow(ax, (x, MIDDLE - side(maps[score].size) / 2 - 0.42), (x, BOTTOM + 0.17))
        _arrow(ax, (COLUMNS[coarse] - side(maps[coarse].size) / 2, BOTTOM), (x + 0.17, BOTTOM))
        ax.add_patch(Circle((x, BOTTOM), 0.16, facecolor="white", edgecolor=WORD, lw=1.6, zorder=4))
        ax.text(x, BOTTOM - 0.012, "+", size=15, color=WORD, ha="center", va="center", zorder=5)
    for left, right in (("score_pool4", "upscore_pool4"), ("score_pool3", "upscore8")):
        _arrow(ax, (COLUMNS[left] - 0.17, BOTTOM), (COLUMNS[right] + side(maps[right].size) / 2 + 0.1, BOTTOM))
    left, right = COLUMNS["upscore8"] - side(maps["upscore8"].size) / 2, COLUMNS["crop"] + side(maps["crop"].size) / 2
    _arrow(ax, (left, BOTTOM), (right, BOTTOM))


def _inside(maps, name, pixel):
    """A number of cells of a map, in drawn inches."""
    return side(maps[name].size) * pixel / maps[name].size


def _padding_and_field(ax, maps, padding, field):
    """The frame of zeros around the photograph, and what one output sees."""
    x, y = COLUMNS["image"] - side(maps["image"].size) / 2, TOP - side(maps["image"].size) / 2
    width = _inside(maps, "image", padding)
    inner = side(maps["image"].size) - 2 * width
    ax.add_patch(Rectangle((x + width, y + width), inner, inner, fill=False, edgecolor=INK, lw=0.8, zorder=3))
    first, size = (_inside(maps, "image", pixel) for pixel in (field[0] + padding, field[1]))
    top = y + side(maps["image"].size)
    ax.add_patch(Rectangle((x + first, top - first - size), size, size, fill=False, edgecolor=FIELD, lw=2, zorder=4))
    for name in ("fc7", "score_fr"):
        cell = _inside(maps, name, 1)
        left, top = COLUMNS[name] - side(maps[name].size) / 2, row(name) + side(maps[name].size) / 2
        place = (left + field[2] * cell, top - (field[2] + 1) * cell)
        ax.add_patch(Rectangle(place, cell, cell, fill=False, edgecolor=FIELD, lw=1.6, zorder=4))


def _crop_windows(ax, maps, crops):
    """A dashed window for what is kept."""
    for name, other in (("score_pool4", "upscore2"), ("score_pool3", "upscore_pool4"), ("upscore8", "crop")):
        offset = crops["crop" if name == "upscore8" else name]
        first, size = _inside(maps, name, offset), _inside(maps, name, maps[other].size)
        left, top = COLUMNS[name] - side(maps[name].size) / 2, row(name) + side(maps[name].size) / 2
        window = Rectangle(
            (left + first, top - first - size), size, size, fill=False, edgecolor=INK, lw=1.1, ls="--", zorder=4
        )
        ax.add_patch(window)


def _class_names(ax, maps, names):
    left, top = COLUMNS["crop"] - side(maps["crop"].size) / 2, BOTTOM + side(maps["crop"].size) / 2
    outline = [Stroke(linewidth=2, foreground=INK), Normal()]
    for name, (y, x) in names.items():
        place = left + _inside(maps, "crop", x), top - _inside(maps, "crop", y)
        ax.text(*place, name, size=9, weight="bold", color="white", ha="center", path_effects=outline, zorder=5)


def _word(ax, x, y, letter, word, text="", ha="left"):
    """A word of the glossary, with the letter under which a lesson explains it."""
    ax.text(x, y, f"{letter}  {word}", size=11, weight="bold", color=WORD, ha=ha, va="center")
    if text:
        ax.text(x, y - 0.14, text, size=9.5, color=INK, ha=ha, va="top", linespacing=1.15)


def _words(ax, maps, crops, padding, field):
    size = maps["crop"].size
    _word(ax, 0.4, 6.64, "A", "padding", f"{padding} zeros on each side")
    _word(ax, 2.45, 6.64, "B", "receptive field", f"one cell of fc7 sees\n{field[1]}x{field[1]} pixels")
    _word(ax, 4.95, 6.64, "C", "ceil pooling", f"{maps['pool1'].size} / 2, rounded up")
    strides = ", ".join(f"{name}: {maps[name].stride}" for name in ("pool3", "pool4", "pool5"))
    _word(ax, 6.75, 6.64, "D", "output stride", f"pixels from cell to cell:\n{strides}")
    _word(ax, 10.85, 6.64, "E", "trunk", "all layers up to fc7:\nthey compute features")
    _word(
        ax,
        0.4,
        3.45,
        "F",
        "score layer",
        f"a 1x1 convolution: features to\n{maps['score_fr'].channels} scores, one for each class",
    )
    _word(ax, 0.4, 2.82, "G", "heat map", "the scores of one class; red is high")
    _word(ax, 3.2, 3.45, "H", "skip", "a finer map is scored too,\nand added to the coarse scores")
    _word(ax, 3.2, 2.82, "I", "crop offset", "the first row and column that\nare kept: the dashed window")
    _word(ax, 10.75, 0.98, "J", "transposed convolution", "spreads each score over 4x4\n(at last 16x16) finer cells")
    _word(ax, 8.78, 0.8, "K", "fusion", "two maps\nare added")
    _word(ax, 2.3, 1.95, "L", "label map", "at each pixel, the\nclass with the\nlargest score")
    _word(ax, 2.3, 0.9, "M", "pixels-to-pixels", f"{size}x{size} pixels in,\n{size}x{size} labels out")
    for name, offset in crops.items():
        place = "upscore8" if name == "crop" else name
        half = side(maps[place].size) / 2
        x, y = COLUMNS[place] - half - 0.06, row(place) + half - 0.05
        ax.text(x, y, f"from\n{offset}", size=9, color=WORD, weight="bold", ha="right", va="top", linespacing=1.1)

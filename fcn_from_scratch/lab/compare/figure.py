"""The comparison as one slide: a column for each method, with its output, its errors, its quality and its costs."""

import textwrap

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from fcn_from_scratch import viz
from fcn_from_scratch.geometry.table import count
from fcn_from_scratch.lab.compare.methods import METHODS

TITLE = "One trunk, many ways to a dense prediction"
FAMILIES = {
    "coarse": "#6b6b6b",
    "trick": "#d1703c",
    "upsampling": "#8a5fa8",
    "skips": "#3b6ea5",
    "unpooling": "#4e9a6b",
}
STRIPS = {  # field of Row: (name, unit, format of the number)
    "mean_iu": ("mean IU", "", "{:.2f}".format),
    "milliseconds": ("time", "ms a picture", lambda value: f"{value:,.{0 if value >= 100 else 1}f}"),
    "multiply_adds": ("work", "multiply-adds", count),
    "peak_mib": ("memory", "MiB a picture", "{:.1f}".format),
}
WIDTH, GAP = 13.33, 0.1  # the width of a slide in inches; the space between two columns, in columns
HEAD, FOOT, STRIP, SPACE = 1.3, 0.45, 0.8, 0.22  # inches
FEWEST = 7  # columns: with fewer, the pictures would be higher than a slide


def slide(rows, sample, outputs, dataset, subtitle=""):
    """A Figure of the comparison.

    rows      measuring.Rows
    sample    a picture; without labels no errors are shown
    outputs   name of a method -> the labels (H, W) that it predicts for the sample's image
    dataset   its classes and colours are used
    subtitle  a line below the title
    """
    image, truth, palette = sample.image, sample.labels, dataset.palette
    columns, pictures = max(len(rows) + 1, FEWEST), 1 if truth is None else 2
    strips = [name for name in STRIPS if all(_is_number(getattr(row, name)) for row in rows)]
    side = WIDTH / columns / (1 + GAP)
    heights = [side * image.shape[0] / image.shape[1]] * pictures + [STRIP] * len(strips)
    height = sum(heights) + SPACE * (len(heights) - 1) + HEAD + FOOT
    with matplotlib.rc_context(viz.STYLE):
        figure = Figure(figsize=(WIDTH, height))
        figure.text(0.012, 1 - 0.3 / height, TITLE, fontsize=17, fontweight="bold", va="center")
        figure.text(0.012, 1 - 0.62 / height, subtitle, fontsize=10, color="#666666", va="center")
        grid = figure.add_gridspec(
            *(len(heights), columns),
            height_ratios=heights,
            left=0.012,
            right=0.988,
            bottom=FOOT / height,
            top=1 - HEAD / height,
            wspace=GAP,
            hspace=SPACE * len(heights) / sum(heights),
        )
        _show(figure.add_subplot(grid[0, 0]), image, "input")
        if truth is not None:
            _show(figure.add_subplot(grid[1, 0]), viz.colourise(truth, palette), "truth")
        for number, row in enumerate(rows, start=1):
            method, labels = METHODS[row.method], outputs[row.method]
            title = textwrap.fill(method.title, 13)
            _show(figure.add_subplot(grid[0, number]), viz.colourise(labels, palette), title, FAMILIES[method.family])
            if truth is not None:
                _show(figure.add_subplot(grid[1, number]), viz.error_map(truth, labels, dataset.ignore_index))
        for place, name in enumerate(strips, start=pictures):
            _words(figure.add_subplot(grid[place, 0]), *STRIPS[name][:2])
            _bars(figure.add_subplot(grid[place, 1 : len(rows) + 1]), rows, name)
        _legend(figure, list(outputs.values()), truth, dataset)
    return figure


def _is_number(value):
    return value is not None and value == value


def _show(axis, picture, title="", colour="#222222"):
    axis.imshow(picture, interpolation="nearest")
    axis.set(xticks=[], yticks=[])
    axis.spines[:].set_visible(False)
    axis.set_title(title, color=colour, fontweight="bold", pad=4)


def _words(axis, name, unit):
    axis.axis("off")
    axis.text(1, 0.5, name, ha="right", va="bottom", fontsize=10, fontweight="bold")
    axis.text(1, 0.44, unit, ha="right", va="top", fontsize=8, color="#666666")


def _bars(axis, rows, name):
    """One bar below each column of pictures."""
    values = np.array([getattr(row, name) for row in rows], float)
    colours = [FAMILIES[METHODS[row.method].family] for row in rows]
    axis.bar(range(len(rows)), values, width=0.55, color=colours)
    for place, value in enumerate(values):
        axis.annotate(STRIPS[name][-1](value), (place, value), xytext=(0, 2), textcoords="offset points", ha="center")
    edge = 0.5 / (1 + GAP)  # from the middle of the first picture to its left edge, in columns
    axis.set(xlim=(-edge, len(rows) - 1 + edge), ylim=(0, 1.3 * values.max()), xticks=[], yticks=[])
    axis.grid(False)
    axis.spines["left"].set_visible(False)


def _legend(figure, outputs, truth, dataset):
    """On the left the colours of the classes that occur, on the right the colours of the error maps."""
    maps = outputs if truth is None else [truth, *outputs]
    present = np.unique(np.concatenate([np.unique(labels) for labels in maps]))
    classes = {name: dataset.palette[number] for number, name in enumerate(dataset.classes) if number in present}
    errors = {} if truth is None else {"wrong": viz.WRONG, "right": viz.RIGHT, "not counted": viz.IGNORED}
    for colours, place, x in ((classes, "lower left", 0.006), (errors, "lower right", 0.994)):
        patches = [Patch(facecolor=np.divide(c, 255), edgecolor="#888888", label=name) for name, c in colours.items()]
        if patches:
            figure.legend(handles=patches, loc=place, bbox_to_anchor=(x, 0), ncols=12, fontsize=8, columnspacing=1.2)

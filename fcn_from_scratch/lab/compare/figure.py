"""The comparison as slides: a column for each method, with its output, its errors, its quality and its costs.

A slide has at most COLUMNS methods, so that it can be read from the back row. The other methods are on further slides,
beside 32s, and all slides have the same scales.
"""

import textwrap

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from fcn_from_scratch import viz
from fcn_from_scratch.geometry.table import count
from fcn_from_scratch.lab.compare.methods import METHODS
from fcn_from_scratch.lab.compare.summary import REFERENCE

TITLE = "One trunk, many ways to a dense prediction"
FAMILIES = {
    "coarse": "#6b6b6b",
    "trick": "#d1703c",
    "dilated": "#a8842c",
    "skips": "#3b6ea5",
    "stages": "#7fa6cf",
    "concat": "#8a5fa8",
    "unpooling": "#4e9a6b",
}
STRIPS = {  # name in Row.flat(): (title, unit, format of the number)
    "mean_iu": ("mean IU", "", "{:.2f}".format),
    "milliseconds": ("time", "ms", lambda value: f"{value:,.{0 if value >= 10 else 1}f}"),
    "multiply_adds": ("work", "multiply-adds", lambda value: count(value).replace(" ", "\u2009")),
    "peak_mib": ("memory", "MiB", lambda value: f"{value:,.{0 if value >= 10 else 1}f}"),
}
COLUMNS = 7  # methods on a slide at most
FLATTENED = 5  # a strip gets a log scale if its highest bar is more than this times the median bar
EXAMPLES = 3  # pictures on the slides of examples
BIG, MIDDLE, LITTLE = 13, 12, 10  # points

# Lengths in inches.
WIDTH, HEIGHT, MARGIN = 13.33, 7.5, 0.15
HEAD, FOOT = 1.2, 0.6  # above the pictures, and below everything else
FEWEST, GAP, SPACE = 6, 0.14, 0.12  # columns; between columns; between rows
TALLEST = {1: 2.4, 2: 1.3, 3: 1.6}  # number of rows of pictures -> their height at most
STRIP, TITLE_SPACE, TEXT = 0.85, 0.14, 0.2  # a strip of bars, more space for a title, a line of text
LINE = 180  # characters in a line of the foot


def parts(names):
    """Lists of at most COLUMNS names. Each list after the first starts with 32s again, to compare with."""
    first, rest = names[:COLUMNS], names[COLUMNS:]
    again = [REFERENCE] if REFERENCE in first else []
    step = COLUMNS - len(again)
    return [first, *(again + rest[start : start + step] for start in range(0, len(rest), step))]


def slides(rows, sample, outputs, dataset, subtitle="", foot=""):
    """A list of Figures that show the whole comparison.

    rows      summary.Rows
    sample    a picture; without labels no errors are shown
    outputs   name of a method -> the labels (H, W) that it predicts for the sample's image
    dataset   its classes and colours are used
    subtitle  lines below the title
    foot      lines at the bottom: where the numbers come from
    """
    scales = {name: _Scale(name, [row.flat() for row in rows]) for name in STRIPS}
    strips = [scale for scale in scales.values() if scale.exists]
    found = {row.method: row for row in rows}
    pages = []
    for names in parts(list(found)):
        page = _Page(names, 1 if sample.labels is None else 2, subtitle, foot)
        page.pictures([sample.image, *(viz.colourise(outputs[name], dataset.palette) for name in names)], "input")
        if sample.labels is not None:
            errors = [viz.error_map(sample.labels, outputs[name], dataset.ignore_index) for name in names]
            page.down += TITLE_SPACE
            page.pictures([viz.colourise(sample.labels, dataset.palette), *errors], "truth")
        for place, scale in enumerate(strips):
            page.bars(scale, [found[name] for name in names], len(strips) - place)
        page.legend([outputs[name] for name in names], [sample.labels], dataset)
        pages.append(page.figure)
    return pages


def examples(samples, outputs, dataset, subtitle="", foot=""):
    """A list of Figures with several pictures: a row for each picture, a column for each method.

    samples  pictures with labels
    outputs  for each of them as in `slides`
    """
    pages = []
    for names in parts(list(outputs[0])):
        page = _Page(["truth", *names], len(samples), subtitle, foot)
        for sample, predicted in zip(samples, outputs):
            labels = [sample.labels, *(predicted[name] for name in names)]
            page.pictures([sample.image, *(viz.colourise(one, dataset.palette) for one in labels)], "input")
        shown = [predicted[name] for predicted in outputs for name in names]
        page.legend(shown, [sample.labels for sample in samples], dataset, errors=False)
        pages.append(page.figure)
    return pages


class _Scale:
    """The common scale of one strip on all slides."""

    def __init__(self, name, rows):
        self.name, (self.title, self.unit, self.word) = name, STRIPS[name]
        values = [row[name] for row in rows]
        self.exists = all(value is not None and value == value for value in values)
        if self.exists:
            self.log = max(values) > FLATTENED * np.median(values)
            top = max(row.get(f"{name}_high") or row[name] for row in rows)
            self.limits = (0, 1.35 * top)
            if self.log:  # the lowest bar is a quarter as high as the highest
                low = min(values)
                self.limits = (low * (low / top) ** (1 / 3), top * (top / low) ** 0.5)

    @staticmethod
    def reach(row, name):
        """How far the line on a bar goes down and up from the bar's end; (0, 0) if there is nothing to show."""
        low, high = row.get(f"{name}_low", row[name]), row.get(f"{name}_high", row[name])
        return row[name] - low, high - row[name]


class _Page:
    """One slide, filled from top to bottom."""

    def __init__(self, names, rows, subtitle, foot):
        self.names, self.tallest = names, TALLEST[rows]
        self.columns = max(len(names) + 1, FEWEST)
        self.side = (WIDTH - 2 * MARGIN - (self.columns - 1) * GAP) / self.columns
        self.head = self.down = HEAD + TEXT * subtitle.count("\n")  # from the top to what comes next
        with matplotlib.rc_context(viz.STYLE):
            self.figure = Figure(figsize=(WIDTH, HEIGHT))
            self._text(MARGIN, 0.3, TITLE, fontsize=20, fontweight="bold", va="center")
            self._text(MARGIN, 0.5, subtitle, fontsize=MIDDLE, color="#555555", va="top")
            lines = [line for text in foot.splitlines() for line in textwrap.wrap(text, LINE)]
            self._text(MARGIN, HEIGHT - 0.08, "\n".join(lines), fontsize=LITTLE, color="#777777", va="bottom")
            self.foot = FOOT if not lines else 0.38 + 0.18 * len(lines)

    def pictures(self, pictures, first):
        """A row of pictures, the first of them on the left of the methods' columns. The top row gets the titles."""
        height = min(self.side * pictures[0].shape[0] / pictures[0].shape[1], self.tallest)
        titles = [first, *self.names] if self.down == self.head else [first if first != "input" else ""]
        for column, picture in enumerate(pictures):
            axis = self._axis(column, 1, height)
            axis.imshow(picture, interpolation="nearest")
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set_visible(False)
            if column < len(titles):
                self._title(axis, titles[column])
        self.down += height + SPACE

    def _title(self, axis, name):
        method = METHODS.get(name)
        words, colour = (name, "#222222") if method is None else (method.title, FAMILIES[method.family])
        with matplotlib.rc_context(viz.STYLE):
            axis.set_title(textwrap.fill(words, 13), color=colour, fontsize=BIG, fontweight="bold", pad=4)

    def bars(self, scale, rows, left):
        """A strip with a bar below each method's pictures; `left` is the number of strips that still need room."""
        height = min((HEIGHT - self.foot - self.down) / left - SPACE, STRIP)
        with matplotlib.rc_context(viz.STYLE):
            words, axis = self._axis(0, 1, height), self._axis(1, len(rows), height)
            words.axis("off")
            words.text(0.95, 0.5, scale.title, ha="right", va="bottom", fontsize=BIG, fontweight="bold")
            unit = scale.unit + (", log" if scale.log else "")
            words.text(0.95, 0.44, unit, ha="right", va="top", fontsize=LITTLE, color="#666666")
            flat = [row.flat() for row in rows]
            self._bars(axis, scale, flat)
            edge = self.side / 2 / (self.side + GAP)  # from the middle of a picture to its edge, in columns
            axis.set(xlim=(-edge, len(rows) - 1 + edge), xticks=[], yticks=[])
            axis.set_yscale("log" if scale.log else "linear")
            axis.set_ylim(scale.limits)
            axis.tick_params(which="both", left=False, labelleft=False)
            axis.grid(False)
            axis.spines["left"].set_visible(False)
        self.down += height + SPACE

    def _bars(self, axis, scale, rows):
        colours = [FAMILIES[METHODS[row["method"]].family] for row in rows]
        values = [row[scale.name] for row in rows]
        reach = np.array([scale.reach(row, scale.name) for row in rows]).T
        line = {"elinewidth": 1.6, "capsize": 4, "ecolor": "#222222"}
        axis.bar(
            range(len(rows)), values, width=0.55, color=colours, yerr=reach if reach.any() else None, error_kw=line
        )
        for place, value in enumerate(values):
            top = (place, value + reach[1, place])
            style = {"ha": "center", "fontsize": MIDDLE}
            axis.annotate(scale.word(value), top, xytext=(0, 2), textcoords="offset points", **style)

    def legend(self, outputs, truths, dataset, errors=True):
        """On the left the colours of the classes that occur, on the right the colours of the error maps."""
        truths = [labels for labels in truths if labels is not None]
        present = np.unique(np.concatenate([np.unique(labels) for labels in [*truths, *outputs]]))
        classes = {name: dataset.palette[number] for number, name in enumerate(dataset.classes) if number in present}
        names = {"wrong": viz.WRONG, "right": viz.RIGHT, "not counted": viz.IGNORED} if truths and errors else {}
        with matplotlib.rc_context(viz.STYLE):
            for colours, place, x in ((classes, "lower left", 0.006), (names, "lower right", 0.994)):
                handles = [Patch(facecolor=np.divide(c, 255), edgecolor="#888") for c in colours.values()]
                if handles:
                    at = {"loc": place, "bbox_to_anchor": (x, (self.foot - 0.36) / HEIGHT), "ncols": 12}
                    at |= {"fontsize": LITTLE, "columnspacing": 1, "handlelength": 1.4}
                    viz.add_legend(self.figure, handles, list(colours), **at)

    def _axis(self, column, number, height):
        """An Axes over `number` columns, at the height that comes next."""
        left, width = MARGIN + column * (self.side + GAP), number * (self.side + GAP) - GAP
        box = left / WIDTH, 1 - (self.down + height) / HEIGHT, width / WIDTH, height / HEIGHT
        with matplotlib.rc_context(viz.STYLE):
            return self.figure.add_axes(box)

    def _text(self, x, down, words, **style):
        self.figure.text(x / WIDTH, 1 - down / HEIGHT, words, **style)

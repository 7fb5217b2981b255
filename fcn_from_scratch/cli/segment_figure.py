"""The figure of `fcn segment`: the photo, the photo tinted by its classes, and a legend of the classes that occur."""

from typing import NamedTuple

import numpy as np
from matplotlib.patches import Patch
from PIL import Image

from fcn_from_scratch import viz

NAMED = 5  # classes in a printed line
SIDE = 4.0  # inches: the longest side of a picture
LEGEND = 2.4, 0.21  # inches: the width of a column of the legend, the height of an entry
MOST_PIXELS = 1200  # about what is shown of a side
COLUMN = 22  # entries in a column of the legend


class Found(NamedTuple):
    """A class that occurs in a prediction."""

    number: int
    name: str
    share: float  # of all pixels

    def __str__(self):
        percent = f"{100 * self.share:.0f} %" if self.share >= 0.005 else "<1 %"
        return f"{self.name} {percent}"


def occurring(labels, classes):
    """The classes that occur in a label map (H, W), as a list of Found, the largest first."""
    counts = np.bincount(labels.ravel().astype(np.intp, copy=False), minlength=len(classes))
    order = np.argsort(-counts, kind="stable")
    return [Found(int(n), classes[n], counts[n] / labels.size) for n in order if counts[n]]


def in_words(found):
    """The largest classes and how many more there are: "Road 41 %, Sky 20 %"."""
    more = len(found) - NAMED
    named = ", ".join(map(str, found[:NAMED]))
    return named if more <= 0 else f"{named}, and {more} more class{'es' * (more > 1)}"


def draw(image, overlay, found, palette):
    """Both pictures side by side, wide ones one above the other, and the legend to the right. Returns: Figure."""
    height, width = image.shape[:2]
    stacked = width > 1.6 * height
    rows, columns = (2, 1) if stacked else (1, 2)
    side = SIDE * (1.6 if stacked else 1)
    w, h = (side * length / max(height, width) for length in (width, height))
    entries = min(len(found), COLUMN)
    legend_columns = -(-len(found) // COLUMN)
    figure, axes = viz.new_figure(
        rows=rows,
        columns=columns,
        width=columns * max(w, 0.5) + legend_columns * LEGEND[0] + 0.3,
        height=max(rows * max(h, 0.3), entries * LEGEND[1] + 0.2) + 0.2,
    )
    for ax, picture, anchor in zip(axes, (image, overlay), "SN" if stacked else "CC"):
        ax.imshow(_shrunk(picture), interpolation="nearest")
        ax.set_anchor(anchor)
        ax.set_axis_off()
    handles = [
        Patch(
            facecolor=palette[each.number] / 255,
            edgecolor="#888888",
        )
        for each in found
    ]
    names = [str(each) if palette[each.number].any() else f"{each} (not tinted)" for each in found]
    at = {"loc": "outside right upper", "ncols": legend_columns, "frameon": False, "fontsize": 9}
    viz.add_legend(figure, handles, names, **at)
    return figure


def _shrunk(picture):
    """A picture of at most MOST_PIXELS a side. Matplotlib would take half a minute for a large photo."""
    small = Image.fromarray(picture)
    small.thumbnail((MOST_PIXELS, MOST_PIXELS))
    return np.asarray(small)

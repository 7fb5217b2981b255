"""Pictures: label maps in colour, overlays, error maps, panels and curves, and writing them to disk.

Everything is drawn through `matplotlib.figure.Figure` and never through pyplot. So no display is needed, no global
state is changed, and one figure cannot affect the next. A figure's file has the same bytes on every run.
"""

import io
import os
import sys
import warnings
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font
from matplotlib.patches import Patch, Rectangle
from matplotlib.text import Text
from PIL import Image

from fcn_from_scratch.backend import to_numpy
from fcn_from_scratch.checks import InputError, label_range, ndim, printable, same_shape
from fcn_from_scratch.files import write_atomically
from fcn_from_scratch.palette import voc_palette

COLOURS = ("#3b6ea5", "#d1703c", "#4e9a6b", "#8a5fa8", "#a39341", "#6b6b6b")
STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "figure.titlesize": 11,
    "axes.titlesize": 9,
    "axes.labelsize": 9,
    "axes.edgecolor": "#888888",
    "axes.labelcolor": "#333333",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.prop_cycle": matplotlib.cycler(color=COLOURS),
    "axes.grid": True,
    "grid.color": "#e6e6e6",
    "axes.axisbelow": True,
    "xtick.color": "#555555",
    "ytick.color": "#555555",
    "text.color": "#222222",
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "image.interpolation": "nearest",
}
LONGEST = 80  # letters of a name in a legend
RIGHT, WRONG, IGNORED = (214, 226, 217), (196, 61, 61), (245, 245, 245)
_display = None  # who shows a figure instead of `show`; see set_display


# --- label maps as images -----------------------------------------------------------------------------------


def colourise(labels, palette=None):
    """Draw a label map in the colours of its classes: colours[y, x] = palette[labels[y, x]].

    Shapes: labels (H, W), integers in 0..P-1; palette uint8 (P, 3), by default PASCAL VOC's with 256 rows.
    Returns: uint8 (H, W, 3).
    """
    labels, palette = to_numpy(labels), _palette(palette)
    ndim(labels, 2, "labels", "(H, W)")
    label_range(labels, len(palette), None)
    return palette[labels]


def overlay(image, labels, palette=None, alpha=0.5, background=0):
    """Tint an image with its label map: (1 - alpha) * image + alpha * colour. The background is not tinted.

    Shapes: image uint8 (H, W, 3), labels (H, W). Returns: uint8 (H, W, 3).
    """
    image, labels = to_numpy(image), to_numpy(labels)
    colours = colourise(labels, palette)
    same_shape(image, colours.shape, "image", "labels have, with three channels")
    tinted = np.rint((1 - alpha) * image + alpha * colours).astype(np.uint8)
    return np.where((labels == background)[:, :, None], image, tinted)


def error_map(labels, predictions, ignore_index=255):
    """Draw where a prediction is wrong. Wrong pixels are red, right pixels pale green, ignored pixels nearly white.

    Shapes: labels and predictions (H, W), integers. Returns: uint8 (H, W, 3).
    """
    labels, predictions = to_numpy(labels), to_numpy(predictions)
    same_shape(predictions, labels.shape, "predictions", "labels have")
    kind = (labels != predictions).astype(np.int64)
    kind[labels == ignore_index] = 2
    return np.array([RIGHT, WRONG, IGNORED], np.uint8)[kind]


# --- figures ------------------------------------------------------------------------------------------------


def new_figure(caption=None, rows=1, columns=1, width=7.0, height=3.6, titles=None):
    """An empty figure in the course's style, for plots that `panels` and `curves` do not cover.

    caption         the figure's title
    width, height   in inches
    titles          one for each plot, row by row
    Returns: (figure, axes), where axes is one Axes or an array of them, as in matplotlib's `subplots`.
    """
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        axes = figure.subplots(rows, columns)
        if caption:
            figure.suptitle(caption)
        for ax, title in zip(figure.axes, titles or []):
            ax.set_title(title)
    return figure, axes


def panels(rows, titles=None, caption=None, row_titles=None, classes=None, palette=None, size=2.0):
    """A grid of pictures, for example rows of [image, truth, prediction].

    rows        list of lists of pictures. A picture is RGB (H, W, 3), or a label map (H, W) of integers, which is
                coloured, or a map (H, W) of floats, which is drawn from dark to bright. None leaves the place empty
    titles      one for each column, or one for each picture, row by row
    caption     the title of the whole figure
    row_titles  one for each row
    classes     class names; a legend below shows those that occur in the label maps
    size        inches for each picture
    Returns: Figure.
    """
    columns = max(len(row) for row in rows)
    tallest = [max([p.shape[0] / p.shape[1] for p in row if p is not None], default=1) for row in rows]
    titled = 0 if not titles else 1 if len(titles) <= columns else len(rows)  # rows with titles
    height = size * sum(tallest) + 0.35 * titled + 0.4 * bool(caption) + 0.35 * (classes is not None)
    width = size * columns + 0.3 * bool(row_titles)
    figure, axes = new_figure(caption, len(rows), columns, width, height, titles)
    axes = np.reshape(axes, (len(rows), columns))
    bare(axes)
    for y, row in enumerate(rows):
        for ax, picture in zip(axes[y], row):
            if picture is not None:
                _draw(ax, to_numpy(picture), palette)
        if row_titles:
            axes[y, 0].set_ylabel(as_written(row_titles[y]), parse_math=False)
    if classes is not None:
        _class_legend(figure, [p for row in rows for p in row if p is not None], classes, _palette(palette))
    return figure


def curves(series, xlabel, ylabel, caption=None, log=False):
    """Lines over a common axis.

    series  a dict from a name to y values, or to a pair (x values, y values)
    log     make the y axis logarithmic
    Returns: Figure.
    """
    figure, ax = new_figure(caption)
    for name, values in series.items():
        x, y = values if isinstance(values, tuple) else (range(len(values)), values)
        ax.plot(x, y, label=name)
    ax.set(xlabel=xlabel, ylabel=ylabel, yscale="log" if log else "linear")
    if len(series) > 1:
        ax.legend(frameon=False, fontsize=9)
    return figure


def bare(axes):
    """Take the ticks, the grid and the border off one Axes or an array of them: for pictures and maps."""
    for ax in np.ravel(axes):
        ax.set(xticks=[], yticks=[])
        ax.grid(False)
        ax.spines[:].set_visible(False)


def frame(ax, top, left, height, width, colour, linewidth=2.0):
    """Draw a rectangle around the pixels of rows top ... top + height - 1 and columns left ... left + width - 1."""
    corner = (left - 0.5, top - 0.5)
    ax.add_patch(Rectangle(corner, width, height, fill=False, edgecolor=colour, linewidth=linewidth))


def _draw(ax, picture, palette):
    if picture.ndim == 2 and picture.dtype.kind in "iu":
        picture = colourise(picture, palette)
    ax.imshow(picture, cmap="viridis", interpolation="nearest")


def _class_legend(figure, pictures, classes, palette):
    """Name the colours of the classes that occur in the label maps among `pictures`."""
    maps = [to_numpy(p) for p in pictures if p.ndim == 2 and p.dtype.kind in "iu"]
    present = sorted({int(i) for labels in maps for i in np.unique(labels) if i < len(classes)})
    handles = [Patch(facecolor=palette[i] / 255, edgecolor="#888888") for i in present]
    columns = min(len(handles), 6) or 1
    at = {"loc": "outside lower center", "ncols": columns, "frameon": False, "fontsize": 9}
    add_legend(figure, handles, [classes[i] for i in present], **at)


def add_legend(figure, handles, names, **options):
    """A figure's legend with names from a user or a file, drawn as they are written.

    Matplotlib would read $...$ in a name as mathematics, and leave out a name that begins with "_".
    """
    legend = figure.legend(handles, ["?"] * len(handles), **options)
    for text, name in zip(legend.get_texts(), names):
        text.set_text(as_written(name))
        text.set_parse_math(False)
    return legend


def as_written(name):
    """A name that is fit to be drawn: in one line, of bounded length."""
    text = printable(str(name))
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


def _palette(palette):
    return voc_palette() if palette is None else np.asarray(palette, np.uint8)


# --- files --------------------------------------------------------------------------------------------------


def figures_folder():
    """The folder for bare names: FCN_FIGURES if set, else lessons/figures of the checkout, else ./figures."""
    if os.environ.get("FCN_FIGURES"):
        return Path(os.environ["FCN_FIGURES"])
    lessons = Path(__file__).resolve().parent.parent / "lessons"
    return lessons / "figures" if lessons.is_dir() else Path("figures")


def save_figure(figure, name):
    """Write a figure as PNG, print where it is, and return the path.

    name   a bare name ("08_stitch") is written into figures_folder(); a path ("out/loss.png") is used as it is
    The file is written whole or not at all. Its bytes depend only on the figure.
    """
    path = Path(name)
    if path.name == str(name) and not path.suffix:
        path = figures_folder() / f"{name}.png"
    if path.suffix != ".png":
        raise InputError(f"{path}: figures are written as .png")
    write_atomically(path, lambda file: write_png(figure, file))
    print(f"  figure  {printable(str(_relative(path)))}", flush=True)
    return path


def show(figure, name, alt=None):
    """Show a figure to the reader: as a file of save_figure, and in a notebook also below the cell.

    alt   what the picture shows, for a reader who cannot see it; by default alt_text(figure)
    A program that shows figures in another place, such as the course's site, sets that by set_display.
    It returns nothing, so that a notebook shows the picture and no path.
    """
    alt = alt_text(figure) if alt is None else alt
    if _display is not None:
        file = io.BytesIO()
        write_png(figure, file)
        _display(file.getvalue(), alt, str(name))
        return
    path = save_figure(figure, name)
    ipython = sys.modules.get("IPython")
    if ipython is not None and ipython.get_ipython() is not None:
        ipython.display.display(ipython.display.Image(filename=str(path), alt=alt))


def set_display(function):
    """Make `show` call function(png_bytes, alt, name) instead of writing a file. None restores the file."""
    global _display
    _display = function


def alt_text(figure):
    """A figure in words: its title; then for each plot its title, its axes and the names in its legend.

    Returns: a text in one line that ends with a full stop, or "" if nothing in the figure has a name.
    """
    parts = [figure.get_suptitle(), *(_plot_in_words(ax) for ax in figure.axes)]
    parts += [_legend_in_words(legend) for legend in figure.legends]
    sentences = (" ".join(part.split()).rstrip(".") for part in parts)
    kept = dict.fromkeys(sentence for sentence in sentences if sentence)
    return "".join(f"{sentence}. " for sentence in kept).strip()


def _plot_in_words(ax):
    labels = " against ".join(label for label in (ax.get_ylabel(), ax.get_xlabel()) if label)
    legend = ax.get_legend()
    words = [ax.get_title(), labels, _legend_in_words(legend) if legend else ""]
    return ", ".join(word for word in words if word)


def _legend_in_words(legend):
    names = ", ".join(text.get_text() for text in legend.get_texts())
    return f"legend: {names}" if names else ""


def write_png(figure, file):
    """Write a figure as PNG. The same figure gives the same bytes on every run.

    Warns: once, where the font lacks letters of the figure's texts, such as those of Chinese names.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        figure.savefig(file, format="png", dpi=150, metadata={"Software": None})
    missing = [each for each in caught if "missing from" in str(each.message)]
    for each in caught:
        if each not in missing:
            warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)
    if missing:
        letters = "".join(dict.fromkeys(letter for text in figure.findobj(Text) for letter in _without_glyph(text)))
        warnings.warn(f"the figures' font has no letters {letters[:40]}: boxes stand for them", stacklevel=2)


def _without_glyph(text):
    """The letters of a text that its font cannot draw."""
    known = get_font(findfont(text.get_fontproperties())).get_charmap()
    return [letter for letter in text.get_text() if letter.isprintable() and ord(letter) not in known]


def save_index_png(path, labels, palette=None):
    """Write a label map as a palette PNG. The pixels are ids; the palette only tells viewers how to draw them.

    Shapes: labels (H, W), integers in 0..255. Returns: the path.
    Raises: ValueError for an id outside 0..255.
    """
    labels = to_numpy(labels)
    ndim(labels, 2, "labels", "(H, W)")
    label_range(labels, 256, None)
    image = Image.fromarray(np.ascontiguousarray(labels, np.uint8))
    image.putpalette(_palette(palette).tobytes())
    write_atomically(path, lambda file: image.save(file, format="PNG"))
    return Path(path)


def _relative(path):
    """The path relative to the current folder, if it lies below it."""
    path = path.resolve()
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path

"""Published numbers as data: the paper's five tables, and the scores of its released weights.

table("2")                                  one of TABLES, with the other systems that the paper lists
rows_for("fcn8s", "voc", "seg11valid")      the rows that a measurement with this project can be compared with
Numbers are text with the digits of the source: metrics in percent, a dash for no value. Each table names its source. A
row from another source names it.
"""

import textwrap
from typing import NamedTuple

from fcn_from_scratch.checks import InputError
from fcn_from_scratch.metrics import METRICS

PAPER = "Long, Shelhamer, Darrell, CVPR 2015 (arXiv:1411.4038v2, https://arxiv.org/abs/1411.4038v2)"
CODE = "https://github.com/shelhamer/fcn.berkeleyvision.org"
CHAINER = "https://github.com/wkentaro/fcn"
PYTORCH = "https://github.com/wkentaro/pytorch-fcn"


class Row(NamedTuple):
    """One system: its name, a number for each column, and the network of this project to compare it with."""

    system: str
    numbers: str  # separated by spaces; "-" where there is none
    model: str | None = None  # a name of models.NAMES
    source: str | None = None  # None: the table's source
    modality: str | None = None  # for NYUDv2: which channels the network reads


class Table(NamedTuple):
    """A table of results. `dataset` and `split` are this project's names for the data; None if it has none."""

    title: str
    columns: tuple  # names of metrics.METRICS, or headings
    rows: tuple
    source: str
    dataset: str | None = None
    split: str | None = None
    note: str = ""


TABLES = {
    "1": Table(
        "Three classifiers made fully convolutional, on PASCAL VOC 2011 val",
        ("mean_iu", "forward ms", "conv. layers", "parameters M", "field", "stride"),
        (
            Row("FCN-AlexNet", "39.8 50 8 57 355 32", "fcn_alexnet"),
            Row("FCN-VGG16", "56.0 210 16 134 404 32", "fcn32s"),
            Row("FCN-GoogLeNet", "42.5 59 22 6 907 32", "fcn_googlenet"),
        ),
        f"{PAPER}, Table 1",
        note="Trained on VOC 2011's own 1,112 pictures. Times for 500x500 pixels on an NVIDIA Tesla K40c. "
        "GoogLeNet's field of 907 includes the final average pool, although the text says that the network drops it.",
    ),
    "2": Table(
        "Skips, on the 736 pictures of PASCAL VOC 2011 val that SBD does not train on (seg11valid)",
        METRICS,
        (
            Row("FCN-32s-fixed", "83.0 59.7 45.4 72.0"),
            Row("FCN-32s", "89.1 73.3 59.4 81.4", "fcn32s"),
            Row("FCN-16s", "90.0 75.7 62.4 83.0", "fcn16s"),
            Row("FCN-8s", "90.3 75.9 62.7 83.2", "fcn8s"),
        ),
        f"{PAPER}, Table 2",
        "voc",
        "seg11valid",
        note="FCN-32s-fixed: only the score layer is trained.",
    ),
    "3": Table(
        "PASCAL VOC 2011 and 2012 test",
        ("mean IU 2011", "mean IU 2012", "seconds"),
        (
            Row("R-CNN", "47.9 - -"),
            Row("SDS", "52.6 51.6 50"),
            Row("FCN-8s", "62.7 62.2 0.175", "fcn8s"),
        ),
        f"{PAPER}, Table 3",
        note="The test labels are not public: only VOC's server can measure these scores. Seconds are approximate.",
    ),
    "4": Table(
        "NYUDv2, 40 classes, test",
        METRICS,
        (
            Row("Gupta et al.", "60.3 - 28.6 47.0"),
            Row("FCN-32s RGB", "60.0 42.2 29.2 43.9", "fcn32s", modality="color"),
            Row("FCN-32s RGBD", "61.5 42.4 30.5 45.5", "fcn32s", modality="color-d"),
            Row("FCN-32s HHA", "57.1 35.2 24.2 40.4", "fcn32s", modality="hha"),
            Row("FCN-32s RGB-HHA", "64.3 44.9 32.8 48.0", "fcn32s_late_fusion", modality="color-hha"),
            Row("FCN-16s RGB-HHA", "65.4 46.1 34.0 49.5"),
        ),
        f"{PAPER}, Table 4",
        "nyud",
        "test",
        note="RGBD is early fusion, RGB-HHA late fusion.",
    ),
    "5": Table(
        "SIFT Flow, 33 semantic and 3 geometric classes, test",
        (*METRICS, "geometric_accuracy"),
        (
            Row("Liu et al.", "76.7 - - - -"),
            Row("Tighe et al. (superparsing)", "- - - - 90.8"),
            Row("Tighe et al. 1", "75.6 41.1 - - -"),
            Row("Tighe et al. 2", "78.6 39.2 - - -"),
            Row("Farabet et al. 1", "72.3 50.8 - - -"),
            Row("Farabet et al. 2", "78.5 29.6 - - -"),
            Row("Pinheiro et al.", "77.7 29.8 - - -"),
            Row("FCN-16s", "85.2 51.7 39.5 76.1 94.3", "fcn16s_two_heads"),
        ),
        f"{PAPER}, Table 5",
        "siftflow",
        "test",
        note="Means over the 30 classes that occur in the test set. Tighe 1: exemplar SVMs, 2: with an MRF. "
        "Farabet 1: balanced samples, 2: natural frequency.",
    ),
    "weights": Table(
        "The released weights, on seg11valid",
        METRICS,
        (
            Row("fcn32s-heavy-pascal", "90.481 76.482 63.626 83.458", "fcn32s"),
            Row("fcn16s-heavy-pascal", "90.997 78.071 65.005 84.261", "fcn16s"),
            Row("fcn8s-heavy-pascal", "91.221 77.615 65.513 84.545", "fcn8s"),
            Row("fcn8s-atonce-pascal", "91.129 78.498 65.400 84.433", "fcn8s_atonce"),
            Row("fcn-alexnet-pascal", "- - 48.0 -", "fcn_alexnet", f"{CODE} (README); also CVPR 2015, section 4.1"),
        ),
        f"scored again by {CHAINER} (README) after conversion; {CODE} gives mean IU 63.6, 65.0, 65.5 and 65.4",
        "voc",
        "seg11valid",
        note="An import of these weights should reach these scores, to the digits given.",
    ),
    "ports": Table(
        "The same networks trained again by others, on seg11valid",
        METRICS,
        (
            Row("Chainer FCN-32s", "90.567 76.874 63.818 83.507", "fcn32s"),
            Row("Chainer FCN-16s", "91.101 77.252 65.363 84.368", "fcn16s"),
            Row("Chainer FCN-8s", "91.261 78.148 65.844 84.645", "fcn8s"),
            Row("Chainer FCN-8s at once", "91.088 77.353 65.343 84.428", "fcn8s_atonce"),
            Row("PyTorch FCN-32s", "- - 62.84 -", "fcn32s"),
            Row("PyTorch FCN-16s", "- - 64.91 -", "fcn16s"),
            Row("PyTorch FCN-8s", "- - 65.49 -", "fcn8s"),
            Row("PyTorch FCN-8s at once", "- - 64.74 -", "fcn8s_atonce"),
        ),
        f"{CHAINER} (README); {PYTORCH}",
        "voc",
        "seg11valid",
        note="They show how much the results of separate trainings of one network differ.",
    ),
}


def table(name):
    """The table of that name. Raises: InputError that lists the names."""
    if name not in TABLES:
        raise InputError(f"there is no table {name!r}; there are {', '.join(TABLES)}")
    return TABLES[name]


def rows_for(model, dataset, split, modality=None):
    """The published rows of a model on a split of a dataset: list of (table and system, {column: number as text})."""
    found = []
    for name, there in TABLES.items():
        where = f"CVPR 2015, Table {name}" if name.isdigit() else f"published {name}"
        found += [
            (f"{where}: {row.system}", dict(zip(there.columns, row.numbers.split())))
            for row in there.rows
            if there.dataset and (there.dataset, there.split) == (dataset, split)
            if row.model and (row.model, row.modality) == (model, modality)
        ]
    return found


def as_text(name):
    """One table as text, with title, note and source."""
    found = table(name)
    heading = f"CVPR 2015, Table {name}" if name.isdigit() else name.capitalize()
    body = align([["", *map(in_words, found.columns)], *([row.system, *row.numbers.split()] for row in found.rows)])
    others = [f"{row.system}: {row.source}" for row in found.rows if row.source]
    below = [textwrap.fill(text, 110) for text in (found.note, f"Source: {found.source}", *others) if text]
    return "\n".join([f"{heading}. {found.title}", body, *below])


def beside(measured, model, dataset, split, modality=None):
    """A table of a measurement and the published numbers; "" if nothing was published.

    measured  metric -> value in 0..1
    """
    rows = rows_for(model, dataset, split, modality)
    if not rows:
        return ""
    here = [f"{100 * value:.3f}" for value in measured.values()]
    there = [[where, *(numbers.get(name, "-") for name in measured)] for where, numbers in rows]
    return align([["", *map(in_words, measured)], ["measured here", *here], *there])


def in_words(metric):
    """A metric's name as the heading of a column."""
    return (
        metric.replace("frequency_weighted", "f.w.")
        .replace("geometric", "geom.")
        .replace("accuracy", "acc.")
        .replace("_", " ")
        .replace("iu", "IU")
    )


def align(lines):
    """Rows of words as text: the first column is aligned left, the others right."""
    widths = [max(map(len, column)) for column in zip(*lines)]
    return "\n".join(
        "  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]).rstrip() for line in lines
    )

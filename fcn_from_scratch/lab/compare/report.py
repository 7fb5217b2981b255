"""The comparison as text, CSV and JSON, with the same numbers."""

import csv
import io
import json
import math

from fcn_from_scratch.files import write_atomically
from fcn_from_scratch.geometry.table import count
from fcn_from_scratch.lab.compare.measuring import BAND, QUALITIES, SMALL, Row
from fcn_from_scratch.lab.compare.methods import METHODS

# field of Row: (two lines of the heading, format of the number; None: geometry.table.count)
COLUMNS = {
    "pixel_accuracy": ("pixel", "acc.", "{:.3f}"),
    "mean_accuracy": ("mean", "acc.", "{:.3f}"),
    "mean_iu": ("mean", "IU", "{:.3f}"),
    "frequency_weighted_iu": ("f.w.", "IU", "{:.3f}"),
    "boundary_iu": ("border", "IU", "{:.3f}"),
    "small_recall": ("small", "found", "{:.3f}"),
    "milliseconds": ("time", "ms", "{:.1f}"),
    "peak_mib": ("memory", "MiB", "{:.1f}"),
    "multiply_adds": ("multiply-", "adds", None),
    "passes": ("", "passes", "{}"),
    "output_stride": ("output", "stride", "{}"),
    "steps": ("", "steps", "{}"),
    "parameters": ("para-", "meters", "{:,}"),
    "weights": ("", "weights", "{}"),
}
LEGEND = (
    f"border: mean IU within {BAND} pixels of a boundary. small: mean recall of objects below {SMALL} pixels. time: "
    "median, from image to labels; methods run in turn.\n"
    "memory: the peak for one picture, without the network. stride: between predictions, before interpolation. steps: "
    "of training, after the\n"
    "common trunk. weights: rows with the same weights differ only in how they predict."
)


def text(rows):
    """The table. Columns without numbers are left out."""
    shown = [name for name in COLUMNS if any(getattr(row, name) is not None for row in rows)]
    lines = [["", *(COLUMNS[name][0] for name in shown)], ["method", *(COLUMNS[name][1] for name in shown)]]
    lines += [[METHODS[row.method].title, *(_word(name, getattr(row, name)) for name in shown)] for row in rows]
    widths = [max(map(len, column)) for column in zip(*lines)]
    return "\n".join(
        "  ".join(
            f"{word:{'<' if place in (0, len(shown)) else '>'}{widths[place]}}" for place, word in enumerate(line)
        ).rstrip()
        for line in lines
    )


def _word(name, value):
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    pattern = COLUMNS[name][2]
    return count(value) if pattern is None else pattern.format(value)


def write_csv(path, rows):
    """Write a line for each method, with the names of Row's fields as the heading. Cells without a number are empty."""
    lines = io.StringIO(newline="")
    writer = csv.writer(lines, lineterminator="\n")
    writer.writerow(Row._fields)
    writer.writerows(["" if value is None else value for value in map(_plain, row)] for row in rows)
    write_atomically(path, lambda file: file.write(lines.getvalue().encode()))


def write_json(path, rows, about):
    """Write {"about": how the numbers were made, "units": ..., "rows": [...]}. Values without a number are null."""
    value = {
        "about": about,
        "units": {
            **dict.fromkeys(QUALITIES, "0 to 1"),
            "milliseconds": "ms a picture, median",
            "peak_mib": "MiB a picture",
            "multiply_adds": "a picture",
        },
        "rows": [{name: _plain(value) for name, value in row._asdict().items()} for row in rows],
    }
    write_atomically(path, lambda file: file.write((json.dumps(value, indent=2) + "\n").encode()))


def _plain(value):
    """The value, or None for NaN, which JSON and CSV cannot hold."""
    return None if isinstance(value, float) and math.isnan(value) else value

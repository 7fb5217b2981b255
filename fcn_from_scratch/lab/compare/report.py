"""The comparison as text, CSV and JSON: the same numbers each time."""

import csv
import io
import json
import math

from fcn_from_scratch.files import write_atomically
from fcn_from_scratch.geometry.table import count
from fcn_from_scratch.lab.compare.measuring import BAND, QUALITIES, SMALL, Row
from fcn_from_scratch.lab.compare.methods import METHODS

# heading over a column, in two lines, and how its number is written
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
    "median, image to labels, methods in turn.\n"
    "memory: the most that one picture takes beside the network. stride: of the predictions, before interpolation. "
    "steps: of training after the\n"
    "common trunk. weights: rows with the same ones differ in how they predict, and in nothing that was learned."
)


def text(rows):
    """The table, right-aligned; columns without numbers are left out."""
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
    """A line a method under the names of Row's fields; empty where nothing was measured."""
    lines = io.StringIO(newline="")
    writer = csv.writer(lines, lineterminator="\n")
    writer.writerow(Row._fields)
    writer.writerows(["" if value is None else value for value in map(_plain, row)] for row in rows)
    write_atomically(path, lambda file: file.write(lines.getvalue().encode()))


def write_json(path, rows, about):
    """{"about": how it was made, "units": ..., "rows": [...]}; null where nothing was measured."""
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
    """JSON and CSV have no NaN."""
    return None if isinstance(value, float) and math.isnan(value) else value

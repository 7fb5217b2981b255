"""The comparison as text, CSV and JSON, with the same numbers."""

import csv
import io
import json
import math
import textwrap

from fcn_from_scratch.files import write_atomically
from fcn_from_scratch.geometry.table import count
from fcn_from_scratch.lab.compare.methods import METHODS
from fcn_from_scratch.lab.compare.scoring import BAND, QUALITIES, SMALL
from fcn_from_scratch.lab.compare.summary import REFERENCE

# name in Row.flat(): (two lines of the heading, format of the number; None: geometry.table.count)
COLUMNS = {
    "mean_iu": ("mean", "IU", "{:.3f}"),
    "mean_iu_sd": ("", "s.d.", "{:.3f}"),
    "mean_iu_gain": ("against", REFERENCE, "{:+.3f}"),
    "mean_iu_gain_sd": ("", "s.d.", "{:.3f}"),
    "pixel_accuracy": ("pixel", "acc.", "{:.3f}"),
    "mean_accuracy": ("mean", "acc.", "{:.3f}"),
    "frequency_weighted_iu": ("f.w.", "IU", "{:.3f}"),
    "boundary_iu": ("border", "IU", "{:.3f}"),
    "small_recall": ("small", "found", "{:.3f}"),
    "milliseconds": ("time", "ms", "{:.1f}"),
    "peak_mib": ("memory", "MiB", "{:.1f}"),
    "multiply_adds": ("multiply-", "adds", None),
    "passes": ("", "passes", "{}"),
    "output_stride": ("output", "stride", "{}"),
    "weights": ("", "weights", "{}"),
}
LEGEND = textwrap.fill(
    "With several seeds all qualities are means over the seeds. s.d.: standard deviation over the seeds. "
    f"against {REFERENCE}: the difference in mean IU to {REFERENCE} with the same seed and the same pictures. "
    f"border: mean IU within {BAND} pixels of a boundary. small: mean recall of objects below {SMALL} pixels. "
    "time: from image to labels; memory: the peak for one picture, without the network; both are medians of rounds in "
    "which all methods take turns. stride: between predictions, before interpolation. weights: rows with the same "
    "weights differ only in how they predict.",
    120,
)


def text(rows):
    """The table. Columns without numbers are left out."""
    flat = [row.flat() for row in rows]
    shown = [name for name in COLUMNS if any(_plain(row[name]) is not None for row in flat)]
    lines = [["", *(COLUMNS[name][0] for name in shown)], ["method", *(COLUMNS[name][1] for name in shown)]]
    lines += [[METHODS[row["method"]].title, *(_word(name, row[name]) for name in shown)] for row in flat]
    return _aligned(lines, left={0, len(shown)})


def seeds_text(by_seed, seeds):
    """The mean IU of every method, a column for each seed. Empty for one seed."""
    if len(seeds) < 2:
        return ""
    lines = [["mean IU", *(f"seed {seed}" for seed in seeds)]]
    lines += [[METHODS[name].title, *(f"{scores[name]['mean_iu']:.3f}" for scores in by_seed)] for name in by_seed[0]]
    return _aligned(lines, left={0})


def _aligned(lines, left):
    """Lines of words in columns. The columns `left` are aligned on the left, the others on the right."""
    widths = [max(map(len, column)) for column in zip(*lines)]
    return "\n".join(
        "  ".join(f"{word:{'<' if place in left else '>'}{widths[place]}}" for place, word in enumerate(line)).rstrip()
        for line in lines
    )


def _word(name, value):
    if _plain(value) is None:
        return "-"
    pattern = COLUMNS[name][2]
    return count(value) if pattern is None else pattern.format(value)


def write_csv(path, rows):
    """Write a line for each method; the heading has the names of Row.flat(). Cells without a number are empty."""
    flat, lines = [row.flat() for row in rows], io.StringIO(newline="")
    writer = csv.writer(lines, lineterminator="\n")
    writer.writerow(flat[0])
    writer.writerows(["" if value is None else value for value in map(_plain, row.values())] for row in flat)
    write_atomically(path, lambda file: file.write(lines.getvalue().encode()))


def write_json(path, rows, by_seed, seeds, about):
    """Write {"about": how the numbers were made, "units": ..., "rows": [...], "seeds": the qualities of each seed}.

    Values without a number are null.
    """
    value = {
        "about": about,
        "units": {
            **dict.fromkeys(QUALITIES, "0 to 1, mean over the seeds; _sd, _low, _high: over the seeds"),
            **{f"{name}_gain": f"difference to {REFERENCE} with the same seed and pictures" for name in QUALITIES},
            "milliseconds": "ms a picture, median of rounds; _low, _high: quartiles",
            "peak_mib": "MiB a picture, median of rounds; _low, _high: quartiles",
            "multiply_adds": "a picture",
        },
        "rows": [{name: _plain(value) for name, value in row.flat().items()} for row in rows],
        "seeds": [
            {"seed": seed, "methods": {method: _all_plain(found) for method, found in scores.items()}}
            for seed, scores in zip(seeds, by_seed)
        ],
    }
    write_atomically(path, lambda file: file.write((json.dumps(value, indent=2) + "\n").encode()))


def _all_plain(values):
    return {name: _plain(value) for name, value in values.items()}


def _plain(value):
    """The value, or None for NaN, which JSON and CSV cannot hold."""
    return None if isinstance(value, float) and math.isnan(value) else value

"""The numbers as tables for people, as CSV and as JSON."""

import csv
import io
import json
import os
import platform
from importlib.metadata import PackageNotFoundError, version

import numpy as np

from fcn_from_scratch.bench.measuring import RIVALS, Row
from fcn_from_scratch.files import write_atomically
from fcn_from_scratch.geometry.table import memory

QUIET = 0.5  # load average up to which nothing else counts as running

LEGEND = """\
time: the median, and the middle half of all rounds. ratio: its time over ours. memory: the process's peak, Python and
libraries included. GFLOP/s: of the direct sum, whatever the algorithm; Winograd needs fewer operations, and may pass
the ceiling. error: the largest difference from float64's scores, relative to the largest score. same class: pixels
whose arg-max is float64's."""
NO_PEER = (
    "Without PyTorch to compete, this is the project against itself: its own choice of algorithms beside im2col for "
    "every convolution, and beside the ceiling."
)


def text(result):
    """Everything measured of one work."""
    work, whole = result.work, [row for row in result.rows if row.part == "whole"]
    lines = [
        f"{work.title}; threads: {result.threads}, rounds: {len(result.samples['fcn'])}",
        f"ceiling: {result.ceiling:.0f} GFLOP/s, the best float32 matrix product",
        "",
        _aligned(
            ("", "time", "middle half", "ratio", "GFLOP/s", "of ceiling", "memory", "error", "same class"),
            [_line(row, result.ceiling) for row in whole],
        ),
    ]
    parts = [row.part for row in result.rows if row.part != "whole"]
    if parts:
        lines += ["", _layers(result, list(dict.fromkeys(parts)))]
    return "\n".join(lines)


def _line(row, ceiling):
    return (
        RIVALS[row.rival].title,
        duration(row.seconds),
        f"{duration(row.low)} .. {duration(row.high)}",
        f"{row.ratio:.2f}",
        f"{row.gflops:.0f}",
        f"{row.gflops / ceiling:.0%}",
        "-" if row.peak_bytes is None else memory(row.peak_bytes),
        f"{row.error:.1e}",
        f"{row.agreement:.3%}",
    )


def _layers(result, parts):
    """A line a layer and pass: everybody's time, ours in GFLOP/s, and the others' time over ours."""
    at = {(row.part, row.rival): row for row in result.rows}
    rivals = [row.rival for row in result.rows if row.part == parts[0]]
    others = rivals[1:]
    headings = ["layer", "pass", *(f"ms {RIVALS[name].short}" for name in rivals), "GFLOP/s"]
    headings += [f"ratio {RIVALS[name].short}" for name in others]
    lines = []
    for part in parts:
        layer, step = part.rsplit(" ", 1)
        rows = [at[part, name] for name in rivals]
        numbers = [f"{1000 * row.seconds:.2f}" for row in rows] + [f"{rows[0].gflops:.0f}"]
        lines.append((layer, step.replace("_", " "), *numbers, *(f"{row.ratio:.2f}" for row in rows[1:])))
    return _aligned(headings, lines, left=2)


def _aligned(headings, lines, left=1):
    """Columns as wide as their widest word; the first `left` of them flush left."""
    widths = [max(map(len, column)) for column in zip(headings, *lines)]
    return "\n".join(
        "  ".join(f"{word:{'<' if place < left else '>'}{widths[place]}}" for place, word in enumerate(line)).rstrip()
        for line in (headings, *lines)
    )


def duration(seconds):
    """Three digits and a unit."""
    return f"{1000 * seconds:.3g} ms" if seconds < 0.9995 else f"{seconds:.3g} s"


def machine():
    """What it is measured on."""
    versions = {"python": platform.python_version(), "numpy": np.__version__}
    try:
        versions["torch"] = version("torch")
    except PackageNotFoundError:
        versions["torch"] = None
    return {"system": f"{platform.system()} {platform.machine()}", "cores": os.cpu_count(), **versions}


def disturbance(load, threads=0):
    """A sentence if more wants to run than the `threads` that are ours; None if nothing does, or nobody knows."""
    if load is None or load <= threads + QUIET:
        return None
    return (
        f"the load average is {load:.1f}: other programs are running, and take from all rivals what they like. Believe "
        "the ratios more than the times, and neither much"
    )


def write_csv(path, results):
    """A line a Row, after the work it belongs to; empty where nothing was measured."""
    lines = io.StringIO(newline="")
    writer = csv.writer(lines, lineterminator="\n")
    writer.writerow(("work", "threads", *Row._fields))
    for result in results:
        writer.writerows((result.work.title, result.threads, *row) for row in result.rows)
    write_atomically(path, lambda file: file.write(lines.getvalue().encode()))


def write_json(path, results, about):
    """{"about": how and on what, "results": [...]} with every round's seconds; null where nothing was measured."""
    value = {
        "about": {**about, "machine": machine()},
        "results": [
            {
                "work": result.work._asdict(),
                "title": result.work.title,
                "threads": result.threads,
                "load_average": result.load,
                "ceiling_gflops": result.ceiling,
                "rows": [row._asdict() for row in result.rows],
                "samples": result.samples,
            }
            for result in results
        ],
    }
    write_atomically(path, lambda file: file.write((json.dumps(value, indent=2) + "\n").encode()))

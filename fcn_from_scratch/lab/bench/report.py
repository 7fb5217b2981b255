"""The results as tables for people, as CSV and as JSON."""

import csv
import datetime
import io
import json
import os
import platform
from importlib.metadata import PackageNotFoundError, version

import numpy as np

from fcn_from_scratch.files import write_atomically
from fcn_from_scratch.geometry.table import memory
from fcn_from_scratch.lab.bench.measuring import Row
from fcn_from_scratch.lab.bench.peers import PEERS
from fcn_from_scratch.lab.bench.rivals import RIVALS

QUIET = 0.5  # a load average up to this counts as an idle machine

LEGEND = """\
time: the median, and the middle half of all rounds. ratio: its time divided by ours. memory: the peak of the process,
with Python, libraries and loading. GFLOP/s: operations of the direct sum, whatever the algorithm. Winograd needs fewer,
so it may exceed the ceiling. error: the largest difference from the float64 scores, relative to the largest score. same
class: pixels whose class is that of the float64 scores. not like for like: this row leaves out work in the padding
that a peer does."""
GPU_LEGEND = """\
time: by events on the device, the median and the middle half of all rounds; for a single layer or kernel without the
host's time. ratio: its time divided by ours. memory: the peak of all arrays, without the libraries' own. GFLOP/s:
operations of the direct sum, whatever the algorithm; Winograd needs fewer. GB/s: each array read or written once. of
ceiling: of the best product or the best copy, whichever is closer. Arrays that fit into the device's cache may exceed
the copy. error: the largest difference from the float64 scores of the CPU, relative to the largest score. same class:
pixels whose class is that of the float64 scores."""
NO_PEER = {
    "cpu": "No peer takes part: neither PyTorch nor ONNX Runtime nor OpenVINO. The project's own choice of algorithms "
    "is compared with im2col for every convolution, and with the ceiling.",
    "cuda": "No peer takes part: PyTorch does not run. The project's own choice of algorithms is compared with "
    "Winograd's, with CuPy's functions in the place of its kernels, and with the ceilings.",
}


def text(result):
    """The Result of one work as text."""
    work, whole = result.work, [row for row in result.rows if row.part == "whole"]
    place = "on the GPU" if result.device == "cuda" else f"threads: {result.threads}"
    lines = [
        f"{work.title}; {place}, rounds: {len(next(iter(result.samples.values())))}",
        limits(result.ceilings),
        *result.peers,
        *([f"true scores: {result.truth}"] if result.truth else []),
        "",
        aligned(
            ("", "time", "middle half", "ratio", "GFLOP/s", "of ceiling", "memory", "error", "same class", ""),
            [_line(row, result.ceilings) for row in whole],
        ),
        *absences(result),
        *fastest(whole, result.device),
    ]
    parts = list(dict.fromkeys(row.part for row in result.rows if row.part != "whole"))
    if parts:
        rows = [_layer_cells(result, part) for part in parts]
        lines += ["", aligned(_layer_headings(result), rows, left=2), *after_layers(result)]
    return "\n".join(lines)


def absences(result):
    """A sentence for each peer that could not run."""
    return [f"{title}: cannot run: {why}" for title, why in result.absent.items()]


def fastest(rows, device):
    """Sentences that compare us with the fastest peer: like for like, and in the fastest way that is not.

    rows  of the whole work, ours first
    """
    theirs = {rival for peer in PEERS.values() for rival in peer.rivals.get(device, ())}
    peers = [row for row in rows if row.rival in theirs]
    if not peers:
        return []
    best = min(peers, key=lambda row: row.seconds)
    title = RIVALS[best.rival].title
    found = [f"The fastest peer like for like is {title}: it takes {best.ratio:.2f} times our time."]
    others = [row for row in rows if not RIVALS[row.rival].like_for_like]
    if others:
        least = min(others, key=lambda row: row.seconds)
        found.append(
            f"Not like for like, it takes {best.seconds / least.seconds:.2f} times the time of "
            f'"{RIVALS[least.rival].title}".'
        )
    return found


def after_layers(result):
    """Sentences below the lines of the layers: who is not in them, and what an "h" means."""
    titles = [RIVALS[row.rival].title for row in result.rows if row.part == "whole" and RIVALS[row.rival].from_file]
    found = []
    if titles:
        found.append(f"Not measured layer by layer, because they run whole networks only: {', '.join(titles)}.")
    return found + hosts(result.rows)


def hosts(rows):
    """The sentence that explains an "h"."""
    return ["h: with the host's time, because the device waited for it."] if any(row.with_host for row in rows) else []


def left_out(parts, budget):
    """The sentence about the parts that did not fit into a budget."""
    return f"Not measured, because {budget} is over: {', '.join(parts)}."


def limits(ceilings):
    """The Ceilings in a line of text."""
    products = f"{ceilings.gflops:.0f} GFLOP/s, the best float32 matrix product"
    if ceilings.gbytes is None:
        return f"ceiling: {products}"
    return f"ceilings: {products}; {ceilings.gbytes:.0f} GB/s, the best copy, read and written"


def _line(row, ceilings):
    return (
        RIVALS[row.rival].title,
        duration(row.seconds),
        f"{duration(row.low)} .. {duration(row.high)}",
        f"{row.ratio:.2f}",
        f"{row.gflops:.0f}",
        f"{ceilings.share(row)[0]:.0%}",
        "-" if row.peak_bytes is None else memory(row.peak_bytes),
        "-" if row.error is None else f"{row.error:.1e}",
        "-" if row.agreement is None else f"{row.agreement:.3%}",
        "" if RIVALS[row.rival].like_for_like else "not like for like",
    )


def layer_heading(result, parts):
    """The line above `layer_line`s. parts: the names of all parts, for the width of the columns."""
    return in_columns(_layer_headings(result), _layer_widths(result, parts))


def layer_line(result, part, parts):
    """A line for a part of a Result, in columns that do not depend on its numbers: for printing as it comes."""
    return in_columns(_layer_cells(result, part), _layer_widths(result, parts))


def _layer_headings(result):
    rivals = _layer_rivals(result)
    headings = ["layer", "pass", *(f"ms {RIVALS[name].short}" for name in rivals), "GFLOP/s"]
    headings += ["GB/s", "of ceiling"] if result.device == "cuda" else []
    return headings + [f"ratio {RIVALS[name].short}" for name in rivals[1:]]


def _layer_rivals(result):
    first = next(row.part for row in result.rows if row.part != "whole")
    return [row.rival for row in result.rows if row.part == first]


def _layer_cells(result, part):
    """One layer and pass: every rival's time, our speed, and the others' times divided by ours."""
    at = {row.rival: row for row in result.rows if row.part == part}
    rows = [at[name] for name in _layer_rivals(result)]
    layer, step = part.rsplit(" ", 1)
    numbers = [f"{1000 * row.seconds:.2f}{'h' * row.with_host}" for row in rows] + [f"{rows[0].gflops:.0f}"]
    numbers += [f"{rows[0].gbytes:.0f}", reached(rows[0], result.ceilings)] if result.device == "cuda" else []
    return layer, step.replace("_", " "), *numbers, *(f"{row.ratio:.2f}" for row in rows[1:])


def _layer_widths(result, parts):
    layers = max(len(part.rsplit(" ", 1)[0]) for part in parts)
    return [layers, len("weight grad"), *(max(len(words), 8) for words in _layer_headings(result)[2:])]


def in_columns(words, widths, left=2):
    """Words in a line of columns; the first `left` ones are aligned left, the others right."""
    return "  ".join(
        f"{word:{'<' if place < left else '>'}{widths[place]}}" for place, word in enumerate(words)
    ).rstrip()


def reached(row, ceilings):
    """The share of a ceiling that a Row reaches, and which ceiling: "83% copy"."""
    share, which = ceilings.share(row)
    return f"{share:.0%} {which}"


def aligned(headings, lines, left=1):
    """Lines of words as columns; the first `left` columns are aligned left, the others right."""
    widths = [max(map(len, column)) for column in zip(headings, *lines)]
    return "\n".join(in_columns(line, widths, left) for line in (headings, *lines))


def duration(seconds):
    """A time with three digits and a unit."""
    return f"{1000 * seconds:.3g} ms" if seconds < 0.9995 else f"{seconds:.3g} s"


def described(facts, tf32, peers):
    """The GPU and its software in words.

    facts  of gpu.Gpu and gpu.TorchGpu
    tf32   whether the user asked for TF32
    peers  the names of the peers that take part
    """
    words = [
        f"{facts['gpu']}, {memory(facts['memory'])}",
        f"CUDA driver {facts['driver']}, runtime {facts['runtime']}",
        f"CuPy {facts['cupy']}",
    ]
    if "torch" in peers:
        words.append(f"PyTorch {facts['torch']} for CUDA {facts['torch_cuda']}, cudnn.benchmark on")
    asked = ("off", "on")[tf32]
    words.append(f"TF32 {asked}" if facts["tf32"] == tf32 else f"TF32 should be {asked}, but a test shows it is not")
    return "; ".join(words)


def machine():
    """The machine and its software, as a dict."""
    versions = {"python": platform.python_version(), "numpy": np.__version__}
    for name in PEERS:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = None
    return {"system": f"{platform.system()} {platform.machine()}", "cores": os.cpu_count(), **versions}


def disturbance(load, threads=0):
    """A warning if more programs run than our own `threads`; None if not, or if the load is unknown."""
    if load is None or load <= threads + QUIET:
        return None
    return (
        f"the load average is {load:.1f}: other programs are running and slow all rivals down. The ratios are more "
        "reliable than the times, but repeat the measurement on an idle machine"
    )


def write_csv(path, results, kernels=None):
    """Write a line for each Row, which starts with its work. Cells without a measurement are empty. A kernel's part is
    "kernel NAME"."""
    lines = io.StringIO(newline="")
    writer = csv.writer(lines, lineterminator="\n")
    writer.writerow(("work", "device", "threads", *Row._fields, "like_for_like"))
    for result in results:
        writer.writerows((result.work.title, result.device, result.threads, *_cells(row)) for row in result.rows)
    if kernels is not None:
        rows = (row._replace(part=f"kernel {row.part}") for row in kernels.rows)
        writer.writerows((kernels.work.title, "cuda", None, *_cells(row)) for row in rows)
    write_atomically(path, lambda file: file.write(lines.getvalue().encode()))


def _cells(row):
    return *row, RIVALS[row.rival].like_for_like


def write_json(path, results, about, kernels=None):
    """Write {"about": settings and machine, "results": [...]} with the seconds of every round, and "kernels" if they
    were measured. Values without a measurement are null."""
    value = {
        "about": {**about, "machine": machine(), "date": datetime.date.today().isoformat()},
        "results": [
            {
                **_work(result),
                "device": result.device,
                "threads": result.threads,
                "load_average": result.load,
                "true_scores": result.truth,
                "peers": result.peers,
                "absent": result.absent,
                "left_out": result.left_out,
                "rows": [row._asdict() | {"like_for_like": RIVALS[row.rival].like_for_like} for row in result.rows],
                "samples": result.samples,
            }
            for result in results
        ],
    }
    if kernels is not None:
        rows = [row._asdict() | dict(zip(("size", "by"), kernels.facts[row.part])) for row in kernels.rows]
        value["kernels"] = {**_work(kernels), "rows": rows}
    write_atomically(path, lambda file: file.write((json.dumps(value, indent=2) + "\n").encode()))


def _work(result):
    """The entries that results of works and of kernels share."""
    ceilings = {"ceiling_gflops": result.ceilings.gflops, "ceiling_gbytes": result.ceilings.gbytes}
    return {"work": result.work.facts(), "title": result.work.title, **ceilings}

"""The numbers as bars."""

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from fcn_from_scratch import viz
from fcn_from_scratch.bench.measuring import RIVALS
from fcn_from_scratch.bench.report import duration

OURS, OTHERS = viz.COLOURS[1], (viz.COLOURS[0], "#8fb0d3")
WIDTH, BAR, LAYERS, HEAD = 9.0, 0.36, 2.1, 0.75  # inches; the height of one bar, of one pass's plot, of a title
PASSES = {"forward": "forward", "input_grad": "gradient by the input", "weight_grad": "gradient by the weight"}


def chart(results, subtitle=""):
    """A Figure: for every work a bar a rival, and where layers were measured alone their speed beside the ceiling."""
    plots = [("whole", result, None) for result in results]
    for result in results:
        passes = {row.part.rsplit(" ", 1)[1] for row in result.rows if row.part != "whole"}
        plots += [("layers", result, step) for step in PASSES if step in passes]
    heights = [
        HEAD + BAR * len(result.samples) if kind == "whole" else LAYERS + (0.5 if number == len(plots) - 1 else 0)
        for number, (kind, result, _) in enumerate(plots)
    ]
    with matplotlib.rc_context(viz.STYLE):
        figure = Figure(figsize=(WIDTH, sum(heights) + HEAD), layout="constrained")
        figure.suptitle(subtitle, fontsize=9, color="#666666", x=0.99, ha="right")
        axes = figure.subplots(len(plots), 1, squeeze=False, gridspec_kw={"height_ratios": heights})[:, 0]
        for axis, (kind, result, step) in zip(axes, plots):
            if kind == "whole":
                _whole(axis, result)
            else:
                _layers(axis, result, step, legend=step == "forward")
    return figure


def _colours(result):
    return dict(zip(result.samples, (OURS, *OTHERS)))


def _whole(axis, result):
    """Horizontal bars of the medians with the middle half of the rounds, times and ratios written beside them."""
    rows = [row for row in result.rows if row.part == "whole"]
    colours = _colours(result)
    for place, row in enumerate(rows):
        axis.barh(place, row.seconds, height=0.62, color=colours[row.rival])
        axis.plot((row.low, row.high), (place, place), color="#222222", linewidth=1.2)
        ratio = "" if place == 0 else f"   {row.ratio:.2f} times ours"
        words = f"{duration(row.seconds)}{ratio}"
        axis.annotate(words, (max(row.seconds, row.high), place), (5, 0), textcoords="offset points", va="center")
    axis.set_yticks(range(len(rows)), [RIVALS[row.rival].title for row in rows])
    axis.set(xlim=(0, 1.3 * max(row.high for row in rows)), xlabel="seconds")
    axis.set_title(f"{result.work.title}; threads: {result.threads}", loc="left", fontweight="bold")
    axis.invert_yaxis()
    axis.grid(False, axis="y")


def _layers(axis, result, step, legend):
    """Bars side by side: every layer's effective GFLOP/s, and the matrix product's as a line."""
    parts = list(dict.fromkeys(row.part for row in result.rows if row.part.endswith(f" {step}")))
    colours, width = _colours(result), 0.8 / len(result.samples)
    for number, (rival, colour) in enumerate(colours.items()):
        speeds = [row.gflops for part in parts for row in result.rows if (row.part, row.rival) == (part, rival)]
        places = np.arange(len(parts)) + (number - (len(colours) - 1) / 2) * width
        axis.bar(places, speeds, width, color=colour, label=RIVALS[rival].title)
    axis.axhline(result.ceiling, color="#222222", linewidth=1, linestyle="--", label="the best matrix product")
    axis.set_xticks(range(len(parts)), [part.rsplit(" ", 1)[0].replace(", ", "\n") for part in parts], fontsize=7)
    axis.set(ylabel="GFLOP/s")
    axis.set_title(f"{PASSES[step]}, convolution by convolution", loc="left")
    axis.grid(False, axis="x")
    if legend:
        axis.legend(ncols=len(colours) + 1, loc="lower right", bbox_to_anchor=(1, 1), fontsize=8)

"""The numbers as bars."""

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from fcn_from_scratch import viz
from fcn_from_scratch.bench.measuring import RIVALS
from fcn_from_scratch.bench.report import duration

COLOURS = {
    "fcn": "#d1703c",
    "zero_frame": "#e8b48f",
    "im2col": "#6b6b6b",
    "torch": "#3b6ea5",
    "torch_cl": "#8fb0d3",
}
WIDTH, BAR, PASS, HEAD = 10.0, 0.36, 2.4, 0.75  # inches; the height of a bar, of a pass's plot, and of what is around
PASSES = {"forward": "forward", "input_grad": "gradient by the input", "weight_grad": "gradient by the weight"}


def chart(results, subtitle=""):
    """A Figure: for every work a bar a rival, and where layers were measured alone their speed beside the ceiling."""
    plots = [(_whole, result) for result in results]
    for result in results:
        measured = {_split(row)[1] for row in result.rows}
        plots += [(_pass, result, step) for step in PASSES if step in measured]
    heights = [HEAD + BAR * len(result.samples) if draw is _whole else PASS for draw, result, *_ in plots]
    with matplotlib.rc_context(viz.STYLE):
        figure = Figure(figsize=(WIDTH, sum(heights) + HEAD), layout="constrained")
        figure.suptitle(subtitle, fontsize=9, color="#666666", x=0.99, ha="right")
        axes = figure.subplots(len(plots), 1, squeeze=False, gridspec_kw={"height_ratios": heights})[:, 0]
        for axis, (draw, *what) in zip(axes, plots):
            draw(axis, *what)
        if len(plots) > len(results):
            figure.legend(*axes[-1].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure


def _split(row):
    """(layers, pass) of a Row of a part; ("whole", "") of one of the whole."""
    layer, _, step = row.part.rpartition(" ")
    return (layer, step) if layer else (step, "")


def _whole(axis, result):
    """Horizontal bars of the medians with the middle half of the rounds, times and ratios written beside them."""
    rows = [row for row in result.rows if row.part == "whole"]
    for place, row in enumerate(rows):
        axis.barh(place, row.seconds, height=0.62, color=COLOURS[row.rival])
        axis.plot((row.low, row.high), (place, place), color="#222222", linewidth=1.2)
        words = duration(row.seconds) + (f"   {row.ratio:.2f} times ours" if place else "")
        axis.annotate(words, (max(row.seconds, row.high), place), (5, 0), textcoords="offset points", va="center")
    axis.set_yticks(range(len(rows)), [RIVALS[row.rival].title for row in rows])
    axis.set(xlim=(0, 1.3 * max(row.high for row in rows)), xlabel="seconds")
    axis.set_title(f"{result.work.title}; threads: {result.threads}", loc="left", fontweight="bold")
    axis.invert_yaxis()
    axis.grid(False, axis="y")


def _pass(axis, result, step):
    """Bars side by side: every layer's effective GFLOP/s in one pass, and the matrix product's as a line."""
    layers = list(dict.fromkeys(_split(row)[0] for row in result.rows if row.part != "whole"))
    rivals = list(dict.fromkeys(row.rival for row in result.rows if row.part != "whole"))
    width = 0.8 / len(rivals)
    for number, rival in enumerate(rivals):
        speeds = {_split(row)[0]: row.gflops for row in result.rows if (row.rival, _split(row)[1]) == (rival, step)}
        places = np.array([layers.index(layer) for layer in speeds]) + (number - (len(rivals) - 1) / 2) * width
        axis.bar(places, list(speeds.values()), width, color=COLOURS[rival], label=RIVALS[rival].title)
    axis.axhline(result.ceiling, color="#222222", linewidth=1, linestyle="--", label="the best matrix product")
    names = [layer.replace(", ", "\n").replace("score_", "score_\n") for layer in layers]
    axis.set_xticks(range(len(layers)), names, fontsize=7)
    axis.set(xlim=(-0.6, len(layers) - 0.4), ylabel="GFLOP/s")
    axis.set_title(f"{PASSES[step]}, convolution by convolution", loc="left")
    axis.grid(False, axis="x")

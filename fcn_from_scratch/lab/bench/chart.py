"""The results as bar charts."""

import textwrap

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from fcn_from_scratch import viz
from fcn_from_scratch.lab.bench.report import duration
from fcn_from_scratch.lab.bench.rivals import RIVALS

COLOURS = {
    "fcn": "#d1703c",
    "zero_frame": "#e8b48f",
    "one_picture": "#d99a6c",
    "loop": "#e8b48f",
    "im2col": "#6b6b6b",
    "torch": "#3b6ea5",
    "torch_cl": "#8fb0d3",
    "onnxruntime": "#4d8b5f",
    "openvino": "#8a6fb0",
    "cuda": "#d1703c",
    "cuda_winograd": "#e8b48f",
    "cuda_im2col": "#d99a6c",
    "cuda_implicit": "#b5895b",
    "cupy": "#6b6b6b",
    "torch_cuda": "#3b6ea5",
    "torch_cuda_cl": "#8fb0d3",
}
# inches: the figure's width, and the heights of a bar, of a plot of one pass, of title and axis, of a pair of thin bars
WIDTH, BAR, PASS, HEAD, PAIR = 10.0, 0.36, 2.4, 0.75, 0.26
LINE = 125  # characters in a line of the subtitle
PASSES = {"forward": "forward", "input_grad": "input gradient", "weight_grad": "weight gradient"}


def chart(results, subtitle=""):
    """A Figure with one bar for each work and rival. Layers that were measured alone get a plot for each pass."""
    plots = [(_whole, result) for result in results]
    for result in results:
        measured = {_split(row)[1] for row in result.rows}
        plots += [(_pass, result, step) for step in PASSES if step in measured]
    heights = [HEAD + BAR * len(result.samples) if draw is _whole else PASS for draw, result, *_ in plots]
    return _figure(plots, heights, subtitle, legend=len(plots) > len(results))


def kernel_chart(result, subtitle=""):
    """A Figure: how much of its ceiling each kernel reaches, beside CuPy's functions."""
    return _figure([(_kernels, result)], [HEAD + PAIR * len(result.facts)], subtitle, legend=True)


def _figure(plots, heights, subtitle, legend):
    """A Figure of plots below each other: tuples of a function and its arguments after the axis. The legend is the
    last plot's."""
    with matplotlib.rc_context(viz.STYLE):
        figure = Figure(figsize=(WIDTH, sum(heights) + HEAD), layout="constrained")
        figure.suptitle(textwrap.fill(subtitle, LINE), fontsize=9, color="#666666", x=0.99, ha="right")
        axes = figure.subplots(len(plots), 1, squeeze=False, gridspec_kw={"height_ratios": heights})[:, 0]
        for axis, (draw, *what) in zip(axes, plots):
            draw(axis, *what)
        if legend:
            figure.legend(*axes[-1].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure


def _split(row):
    """(layers, pass) of a Row; ("whole", "") for the whole work."""
    layer, _, step = row.part.rpartition(" ")
    return (layer, step) if layer else (step, "")


def _whole(axis, result):
    """Horizontal bars: the medians, with lines from quartile to quartile, and times and ratios as text."""
    rows = [row for row in result.rows if row.part == "whole"]
    for place, row in enumerate(rows):
        axis.barh(place, row.seconds, height=0.62, color=COLOURS[row.rival])
        axis.plot((row.low, row.high), (place, place), color="#222222", linewidth=1.2)
        words = duration(row.seconds) + (f"   {row.ratio:.2f} times ours" if place else "")
        axis.annotate(words, (max(row.seconds, row.high), place), (5, 0), textcoords="offset points", va="center")
    axis.set_yticks(range(len(rows)), [_label(RIVALS[row.rival]) for row in rows])
    axis.set(xlim=(0, 1.3 * max(row.high for row in rows)), xlabel="seconds")
    place = "on the GPU" if result.device == "cuda" else f"threads: {result.threads}"
    axis.set_title(f"{result.work.title}; {place}", loc="left", fontweight="bold")
    axis.invert_yaxis()
    axis.grid(False, axis="y")


def _label(rival):
    return rival.title if rival.like_for_like else f"{rival.title}\n(not like for like)"


def _pass(axis, result, step):
    """Bars side by side: the effective GFLOP/s of each layer in one pass. A line shows the best matrix product."""
    layers = list(dict.fromkeys(_split(row)[0] for row in result.rows if row.part != "whole"))
    rivals = list(dict.fromkeys(row.rival for row in result.rows if row.part != "whole"))
    width = 0.8 / len(rivals)
    for number, rival in enumerate(rivals):
        speeds = {_split(row)[0]: row.gflops for row in result.rows if (row.rival, _split(row)[1]) == (rival, step)}
        places = np.array([layers.index(layer) for layer in speeds]) + (number - (len(rivals) - 1) / 2) * width
        axis.bar(places, list(speeds.values()), width, color=COLOURS[rival], label=RIVALS[rival].title)
    axis.axhline(result.ceilings.gflops, color="#222222", linewidth=1, linestyle="--", label="the best matrix product")
    names = [layer.replace(", ", "\n").replace("score_", "score_\n") for layer in layers]
    axis.set_xticks(range(len(layers)), names, fontsize=7)
    axis.set(xlim=(-0.6, len(layers) - 0.4), ylabel="GFLOP/s")
    axis.set_title(f"{PASSES[step]}, convolution by convolution", loc="left")
    axis.grid(False, axis="x")


def _kernels(axis, result):
    """Two thin bars for each kernel."""
    names = list(result.facts)
    for number, (rival, label) in enumerate((("cuda", "our kernel"), ("cupy", "CuPy's functions"))):
        shares = {row.part: result.ceilings.share(row)[0] for row in result.rows if row.rival == rival}
        places = np.arange(len(names)) + 0.38 * (number - 0.5)
        axis.barh(places, [100 * shares[name] for name in names], 0.38, color=COLOURS[rival], label=label)
    axis.axvline(
        100, color="#222222", linewidth=1, linestyle="--", label="the best copy; for products, the best product"
    )
    axis.set_yticks(range(len(names)), [f"{name}  {result.facts[name][0]}" for name in names], fontsize=7)
    axis.set(ylim=(len(names) - 0.4, -0.6), xlabel="% of the ceiling that bounds it")
    axis.set_title("each kernel alone", loc="left", fontweight="bold")
    axis.grid(False, axis="y")

"""Time and memory over size and batch, on logarithmic axes."""

import textwrap

import matplotlib
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, LogLocator, NullLocator, StrMethodFormatter

from fcn_from_scratch import viz
from fcn_from_scratch.lab.bench.chart import COLOURS, LINE
from fcn_from_scratch.lab.bench.rivals import RIVALS

SIZE = 10.0, 7.6  # inches
WHAT = {"seconds": ("time", "seconds", 1), "peak_bytes": ("peak memory", "GiB", 2**30)}
DASHES = ("-", "--", ":", "-.")  # for the numbers of threads, the largest first


def chart(result, subtitle=""):
    """A Figure of a ScaleResult: above over the size of single pictures, below over the batch."""
    with matplotlib.rc_context(viz.STYLE):
        figure = Figure(figsize=SIZE, layout="constrained")
        figure.suptitle(textwrap.fill(subtitle, LINE), fontsize=9, color="#666666", x=0.99, ha="right")
        axes = figure.subplots(2, 2)
        for row, over in zip(axes, ("pixels", "batch")):
            for axis, what in zip(row, WHAT):
                _curves(axis, result, over, what)
        handles, labels = axes[0, 0].get_legend_handles_labels()
        if handles:
            figure.legend(handles, labels, loc="outside lower center", ncols=3)
    return figure


def _curves(axis, result, over, what):
    """A curve for each rival and number of threads."""
    title, unit, factor = WHAT[what]
    threads = sorted({row.threads for row in result.rows}, reverse=True)
    ticks = {}
    for rival, number in dict.fromkeys((row.rival, row.threads) for row in result.rows):
        own = [row for row in result.rows if (row.rival, row.threads) == (rival, number)]
        points = sorted(point for row in own if (point := _point(row, over, what, result.plan.work.size)) is not None)
        ticks |= {x: label for x, _, label in points}
        label = f"{RIVALS[rival].title}, threads: {number}"
        style = {"color": COLOURS[rival], "linestyle": DASHES[threads.index(number) % len(DASHES)], "label": label}
        axis.plot([x for x, _, _ in points], [y / factor for _, y, _ in points], marker="o", markersize=4, **style)
    axis.set(xscale="log", yscale="log", ylabel=unit)
    axis.set_xlabel("pixels of a single picture" if over == "pixels" else "pictures in a batch")
    axis.xaxis.set_major_locator(FixedLocator(list(ticks)))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.set_xticks(list(ticks), list(ticks.values()), fontsize=7)
    axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.yaxis.set_minor_locator(NullLocator())
    axis.set_title(f"{title} over {'the size' if over == 'pixels' else 'the batch'}", loc="left", fontweight="bold")


def _point(row, over, what, size_of_batches):
    """(x, y, label of x) of a ScaleRow, or None if it is not part of this curve."""
    y = getattr(row, what)
    if y is None:
        return None
    if over == "pixels":
        height, width = row.size
        return (height * width, y, f"{height}x{width}") if row.batch == 1 else None
    return (row.batch, y, str(row.batch)) if row.size == size_of_batches else None

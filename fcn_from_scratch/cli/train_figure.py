"""The figure of a training run: the loss of every step, and below it the scores on the validation split."""

import numpy as np

from fcn_from_scratch import viz


def draw(rows, best=None, title="Training"):
    """The rows of a training.log.Log as a Figure. The scores have a plot of their own from two validations on.

    best   the best score so far (training.record.Record.best); it is marked
    """
    scored = [row for row in rows if row.mean_iu is not None]
    if len(scored) < 2:
        figure, ax = viz.new_figure(title)
        _draw_loss(ax, rows)
        ax.set_xlabel("step")
        return figure
    figure, (above, below) = viz.new_figure(title, rows=2, height=5.4)
    _draw_loss(above, rows)
    _draw_scores(below, scored, best)
    below.set(xlim=above.get_xlim(), xlabel="step")
    return figure


def _draw_loss(ax, rows):
    """Each step's loss in a pale colour, and its running mean: single losses jump from picture to picture."""
    steps, losses = [row.step for row in rows], np.array([row.loss for row in rows])
    width = max(len(rows) // 40, 1)
    ax.plot(steps, losses, color=viz.COLOURS[0], alpha=0.3 if width > 1 else 1, linewidth=0.8, label="each step")
    if width > 1:
        mean = np.convolve(losses, np.ones(width) / width, "valid")
        ax.plot(steps[width - 1 :], mean, color=viz.COLOURS[0], label=f"mean of the last {width} steps")
        ax.legend(frameon=False, fontsize=9)
    ax.set_ylabel("training loss")


def _draw_scores(ax, scored, best):
    for place, name in enumerate(("mean_iu", "pixel_accuracy"), start=1):
        values = [100 * getattr(row, name) for row in scored]
        label = name.replace("_", " ").replace("iu", "IU")
        ax.plot([row.step for row in scored], values, ".-", color=viz.COLOURS[place], label=label)
    if best is not None:
        text = f"best mean IU: {100 * best['mean_iu']:.1f} % after step {best['step']}"
        ax.plot(
            best["step"], 100 * best["mean_iu"], "o", color=viz.COLOURS[1], markersize=8, fillstyle="none", label=text
        )
    ax.set(ylabel="validation, %", ylim=(0, 100))
    # Above the plot: there are curves at any height.
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, frameon=False, fontsize=9)

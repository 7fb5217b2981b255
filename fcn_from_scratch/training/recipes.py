"""Training settings as data: the paper's, its public code's, and ours for the lesson-size networks.

A learning rate belongs to the loss's reduction. "sum" adds up every pixel's gradient: on a 375x500 image the same
step as "mean" takes a rate 187,500 times smaller. Mixing the two is the most common way to get NaN (a mean's rate
with a sum) or a network that never learns (a sum's rate with a mean), so a recipe always names both.
"""

from typing import NamedTuple


class Recipe(NamedTuple):
    """How one network is trained."""

    lr: float
    momentum: float
    weight_decay: float
    reduction: str  # "sum" or "mean" over the pixels that count
    batch_size: int
    iter_size: int
    steps: int
    start: str  # whose weights it starts from
    source: str


_HEAVY = "solver.prototxt and solve.py of the paper's public code"

RECIPES = {
    "mini": Recipe(3e-2, 0.9, 5e-4, "mean", 4, 1, 1500, "random weights", "measured in this project"),
    "fcn32s-heavy": Recipe(1e-10, 0.99, 5e-4, "sum", 1, 1, 100_000, "VGG16", _HEAVY),
    "fcn16s-heavy": Recipe(1e-12, 0.99, 5e-4, "sum", 1, 1, 100_000, "FCN-32s", _HEAVY),
    "fcn8s-heavy": Recipe(1e-14, 0.99, 5e-4, "sum", 1, 1, 100_000, "FCN-16s", _HEAVY),
    "fcn8s_atonce-heavy": Recipe(1e-10, 0.99, 5e-4, "sum", 1, 1, 300_000, "VGG16", _HEAVY),
}

# What a rate of each reduction usually lies between, for images of some thousand to some hundred thousand pixels.
_USUAL = {"mean": (1e-6, 1.0), "sum": (0.0, 1e-5)}


def same_step(lr, reduction, pixels):
    """The rate with which the other reduction takes the same step over `pixels` counted pixels.

    lr_sum = lr_mean / pixels        (exact without weight decay, whose share does not scale)
    """
    return lr / pixels if reduction == "mean" else lr * pixels


def doubt(lr, reduction):
    """A sentence of warning when a rate does not look like one for this reduction, else None."""
    low, high = _USUAL[reduction]
    if low <= lr <= high:
        return None
    if reduction == "mean" and lr < low:
        return (
            f"the learning rate {lr:g} is one for a summed loss; with reduction 'mean' the network will hardly move "
            f"(on a 375x500 image {lr:g} as a sum equals {same_step(lr, 'sum', 375 * 500):g} as a mean)"
        )
    return f"the learning rate {lr:g} is large for reduction {reduction!r} and will likely end in NaN" + (
        f" (as a sum over 375x500 pixels it would be {same_step(lr, 'mean', 375 * 500):g})"
        if reduction == "sum"
        else ""
    )

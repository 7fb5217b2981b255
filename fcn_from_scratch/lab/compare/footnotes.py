"""Facts below the table: whether the tricks agree, their cost for every pixel, and what one pass saves."""

import time

import numpy as np

from fcn_from_scratch import geometry
from fcn_from_scratch.backend import get_array_module, to_numpy
from fcn_from_scratch.dense.chain import chain, rebuild, share_weights
from fcn_from_scratch.geometry.table import count
from fcn_from_scratch.lab.compare.measuring import predict
from fcn_from_scratch.lab.compare.predictors import Rarefied, Stitched
from fcn_from_scratch.layers import Sequential

ROUNDS = 5  # of timing
TRICKS = (Stitched, Rarefied)


def sentences(nets, ways, stride, x):
    """A list of sentences about the picture x (1, C, H, W). `ways` are the Method.way of the compared methods."""
    found = []
    if "stitch" in ways or "rarefy" in ways:
        share, gap = agreement(nets["32s"], stride, x)
        found.append(
            f"Shift-and-stitch and the rarefied net predict the same class for {share:.1%} of the first picture's "
            f"pixels. The padding makes the difference: without it, their scores differ by at most {gap:.0e} of the "
            "largest."
        )
        if stride > 1:
            every = [trick(nets["32s"], 1) for trick in TRICKS]
            work = " and ".join(count(trick.multiply_adds(x.shape[2:])) for trick in every)
            found.append(
                f"At every pixel (--stride 1) they would take {every[0].passes} passes and {every[1].passes}: {work} "
                "multiply-adds."
            )
    if nets.settings.family == "mini":
        # untrained networks will do: the time does not depend on the weights
        net, classifier = (nets.fresh(network).to(nets.device).eval() for network in ("32s", "classifier"))
        cells, work, longer = one_pass(net, classifier, x)
        found.append(
            f"One pass predicts {cells} cells of the coarse map. The classifier on {cells} crops in one batch does "
            f"{work:.1f} times the work and takes {longer:.1f} times as long (the paper: more than 5 times, for 100)."
        )
    return found


def lowered(nets):
    """A sentence about the stages that diverged at their rate and were trained at a lower one, in a list; else []."""
    if not nets.lowered:
        return []
    stages = ", ".join(f"{name} at {lr:g}" for name, lr in nets.lowered.items())
    return [f"Diverged at the rate of the tuning (seed {nets.settings.seed}) and trained at a lower one: {stages}."]


def agreement(net, stride, x):
    """(share of pixels, largest difference): how well shift-and-stitch and the rarefied net agree on x.

    share       pixels for which both predict the same class. They differ because each pass of shift-and-stitch has its
                padding at another place of the image
    difference  of the scores of both tricks, relative to the largest, for the net without padding on the image in a
                frame of zeros. These scores are equal up to rounding. At most 16 passes are run for it
    """
    stitched, rarefied = (trick(net, stride) for trick in TRICKS)
    share = (predict(stitched, x) == predict(rarefied, x)).mean()
    bare = without_padding(net)
    field = geometry.receptive_field(bare)
    framed = in_frame(x, field.size // 2)
    one, other = (trick(bare, max(stride, field.stride // 4)).fine(framed) for trick in TRICKS)
    return float(share), float(abs(one - other).max() / abs(other).max())


def without_padding(net):
    """A Sequential of the net's layers up to its coarsest scores, with the same weights and without padding."""
    layers = []
    for name, layer in chain(Sequential(*net.coarse_path)).items():
        layer = share_weights(layer, name)
        if hasattr(layer, "padding"):
            layer.padding = (0, 0)
        if hasattr(layer, "ceil_mode"):
            layer.ceil_mode = False
        layers.append(layer)
    return rebuild(net, layers)


def in_frame(x, width):
    """x (N, C, H, W) with `width` zeros on every side."""
    return get_array_module(x).pad(x, ((0, 0), (0, 0), (width, width), (width, width)))


def one_pass(net, classifier, x):
    """Compare the classifier on crops, one for each cell of the coarse map, with one pass of the net over the picture.

    All crops go through the classifier in one batch. The net runs up to its coarse scores. x is (1, C, H, W).
    Returns: (number of cells, ratio of the multiply-adds, ratio of the times: medians of alternated runs).
    """
    coarse, rounds = Sequential(*net.coarse_path).eval(), []
    side = 32 * classifier.options["fc6_kernel"]
    cells = int(np.prod(coarse(x).shape[2:]))
    crops = get_array_module(x).zeros((cells, x.shape[1], side, side), x.dtype)
    for _ in range(ROUNDS):
        rounds.append([_seconds(classifier, crops), _seconds(coarse, x)])
    longer = np.divide(*np.median(rounds, axis=0))
    work = geometry.table(classifier, side).multiply_adds * cells / geometry.table(coarse, x.shape[2:]).multiply_adds
    return cells, float(work), float(longer)


def _seconds(net, x):
    started = time.perf_counter()
    to_numpy(net(x))
    return time.perf_counter() - started

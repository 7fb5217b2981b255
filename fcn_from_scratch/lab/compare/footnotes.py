"""What the table cannot show in a column: do the tricks agree, what would every pixel cost, what does one pass save?"""

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
    """All of it in words: a list of sentences about the picture x (1, C, H, W). `ways` are those that are compared."""
    found = []
    if "stitch" in ways or "rarefy" in ways:
        share, gap = agreement(nets["32s"], stride, x)
        found.append(
            f"Shift-and-stitch and the rarefied net give one class to {share:.1%} of the first picture's pixels. What "
            f"differs is the padding: without any, their scores differ by at most {gap:.0e} of the largest."
        )
        if stride > 1:
            every = [trick(nets["32s"], 1) for trick in TRICKS]
            work = " and ".join(count(trick.multiply_adds(x.shape[2:])) for trick in every)
            found.append(
                f"At every pixel (--stride 1) they would take {every[0].passes} passes and {every[1].passes}: {work} "
                "multiply-adds."
            )
    if nets.settings.family == "mini":
        # what their weights are does not matter for time
        net, classifier = (nets.fresh(network).to(nets.device).eval() for network in ("32s", "classifier"))
        cells, work, longer = one_pass(net, classifier, x)
        found.append(
            f"One pass answers for {cells} cells of the coarse map. The classifier on {cells} crops, one batch, does "
            f"{work:.1f} times the work and takes {longer:.1f} times as long (the paper: more than 5 times, for 100)."
        )
    return found


def agreement(net, stride, x):
    """(share of pixels, largest difference): how far shift-and-stitch and the rarefied net say the same of x.

    The share is of pixels to which both give one class, with the net as it is: its padding lies in another place of
    each pass. The difference, relative to the largest score, is between the same net and its twin without padding, on
    the image in a frame of zeros: these are equal but for rounding, and 16 passes at most have to show it.
    """
    stitched, rarefied = (trick(net, stride) for trick in TRICKS)
    share = (predict(stitched, x) == predict(rarefied, x)).mean()
    bare = without_padding(net)
    field = geometry.receptive_field(bare)
    framed = in_frame(x, field.size // 2)
    one, other = (trick(bare, max(stride, field.stride // 4)).fine(framed) for trick in TRICKS)
    return float(share), float(abs(one - other).max() / abs(other).max())


def without_padding(net):
    """A Sequential of the net's layers up to the coarsest scores, with its weights and without any padding."""
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
    """(cells, times as much work, times as long): the classifier on a crop for each cell of the coarse map, all
    crops in one batch, against one pass of the net over the picture x (1, C, H, W), up to its coarse scores.

    The times are medians of alternated runs.
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

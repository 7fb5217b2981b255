"""The numbers behind the interactive figures, computed by the package: one JSON file for each figure.

write(folder)   writes NAME.json for every figure, for the scripts in docs/static/play
data(name)      the same numbers as a dict

The figure of the skips needs trained networks. Its numbers are in interactive_skips.py, and are kept in a cache.
"""

import functools
import json
from pathlib import Path

import interactive_skips
import numpy as np

from fcn_from_scratch import dense, geometry, layers, metrics, models, ops

SEED = 15

# --- receptive-field ----------------------------------------------------------------------------------------

NETWORKS = {"FCN-32s": "fcn32s", "FCN-16s": "fcn16s", "FCN-8s": "fcn8s"}
IMAGE, PAD = 500, 100
OWN = {"image": 16, "layers": [[3, 1, 0], [2, 2, 0], [3, 1, 0]]}  # (kernel size, stride, padding): lesson 6's example


def receptive_field_data():
    """The paper's networks as lists of windows, and where their maps lie for the picture of the default setting."""
    own = [
        layers.Conv2d(1, 1, k, stride=s, padding=p, name=f"layer {i}") for i, (k, s, p) in enumerate(OWN["layers"], 1)
    ]
    return {
        "image": IMAGE,
        "pad": PAD,
        "networks": {title: _network(models.build(name, num_classes=2, width=1)) for title, name in NETWORKS.items()},
        "own": {**OWN, "maps": _maps(own, OWN["image"])},
    }


def _network(net):
    """The windows of a network, layer by layer, its maps for the default picture, and its crops."""
    nodes, names = [], {"image": "image"}
    for node in geometry.graph(net):
        sources = [names[source] for source in node.sources]
        names[node.name] = node.name
        if node.crops:
            skip = isinstance(node.layer, layers.SkipFusion)
            nodes.append({"name": node.name, "sources": sources, "joins": "skip" if skip else "image"})
        elif node.layer.window == layers.Window(1) and node.name != "score_fr":
            names[node.name] = sources[0]  # ReLU, dropout and fc7 move nothing
        else:
            nodes.append({"name": node.name, "sources": sources, **_window(node.layer)})
    crops = [[name, offset] for name, offset, _ in geometry.explain_crops(net)]
    return {"nodes": nodes, "maps": _maps(net, IMAGE, {node["name"] for node in nodes}), "crops": crops}


def _window(layer):
    window = layer.window
    found = {"kernel": window.kernel_size[0], "stride": window.stride[0], "padding": window.padding[0]}
    return {**found, "transposed": window.transposed, "ceil": bool(getattr(layer, "ceil_mode", False))}


def _maps(net, image, wanted=None):
    """Size, receptive field, stride and start of every map: {name: [size, field, stride, start]}."""
    fields, sizes = geometry.grids(geometry.graph(net)), geometry.map_sizes(net, image)
    names = [name for name in fields if wanted is None or name == "image" or name in wanted]
    return {name: [sizes[name].size[0], *fields[name]] for name in names}


# --- shift-and-stitch ---------------------------------------------------------------------------------------

FACTORS = (2, 3, 4)
ROW = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8]
PICTURE = np.random.default_rng(SEED).integers(1, 100, (8, 9)).tolist()


def shift_and_stitch_data():
    """Every pass of a max-pool of size f and stride f over a row and over a small picture, in both directions."""
    return {
        "row": ROW,
        "picture": PICTURE,
        "passes": {
            view: {form: {f: _passes(values, f, form) for f in FACTORS} for form in ("drop", "shift")}
            for view, values in (("row", [ROW]), ("picture", PICTURE))
        },
    }


def _passes(values, f, form):
    """The passes over a picture with one row or many, and the interlaced map."""
    x = np.array(values, np.float64)
    tall = len(values) > 1
    stride, size = ((f, f), f) if tall else ((1, f), (1, f))
    net = layers.MaxPool2d(size)
    stitched = dense.shift_and_stitch(net, x[None, None], stride, form)[0, 0]
    passes = [_one_pass(net, x, down, right, stride, form) for down in range(stride[0]) for right in range(f)]
    return {"passes": passes, "stitched": stitched.astype(int).tolist()}


def _one_pass(net, x, down, right, stride, form):
    """What one pass sees, its outputs, and the place of each output on the fine map; a discarded one has none."""
    if form == "drop":
        seen, sign = x[down:, right:], 1
    else:
        seen, sign = np.pad(x, ((down, 0), (right, 0))), -1
    y = net(seen[None, None])[0, 0]
    places = [
        [[stride[0] * i + sign * down, stride[1] * j + sign * right] for j in range(y.shape[1])]
        for i in range(y.shape[0])
    ]
    kept = [[place if min(place) >= 0 else None for place in row] for row in places]
    return {
        "down": down,
        "right": right,
        "seen": seen.astype(int).tolist(),
        "outputs": y.astype(int).tolist(),
        "places": kept,
    }


# --- impulse ------------------------------------------------------------------------------------------------

COARSE = 7
LEARNED = {2: [0.3, 0.9, 0.8, 0.1], 3: [0.2, 0.5, 1.1, 0.9, 0.4, 0.1], 4: [0.1, 0.3, 0.8, 1.2, 0.9, 0.6, 0.3, 0.1]}


def impulse_data():
    """The kernels of the upsamplings along one axis, and one impulse through each of them."""
    kernels = {
        "nearest": {f: [1.0] * f for f in FACTORS},
        "bilinear": {f: (ops.bilinear_kernel(2 * f).sum(axis=0) / f).tolist() for f in FACTORS},
        "nails": {f: [1.0] + [0.0] * (f - 1) for f in FACTORS},
        "own": LEARNED,
    }
    spread = {name: {f: _spread(kernel, f) for f, kernel in row.items()} for name, row in kernels.items()}
    return {"coarse": COARSE, "kernels": kernels, "spread": spread}


def _spread(kernel, f):
    """The middle impulse and a row of ones, upsampled without a crop."""
    x = np.zeros((2, 1, 1, COARSE))
    x[0, ..., COARSE // 2], x[1] = 1, 1
    y = ops.conv_transpose2d(x, np.array(kernel)[None, None, None], None, (1, f))
    return {"impulse": y[0, 0, 0].tolist(), "sum": y[1, 0, 0].tolist()}


# --- confusion ----------------------------------------------------------------------------------------------

CONFUSION_CLASSES = ("background", "square", "balloon")
TRUTH = """
00000000
01110000
01113000
01113220
03333222
00003222
00000320
00000000
"""  # 3 is void, the border between the two things
PREDICTION = """
00000000
00110000
01110000
01110220
01100222
00000222
00000022
00000000
"""
VOID = 255


def confusion_data():
    """Two small label maps, their confusion matrix and the four metrics."""
    truth, prediction = _label_map(TRUTH), _label_map(PREDICTION)
    counted = metrics.ConfusionMatrix(len(CONFUSION_CLASSES), VOID).update(truth, prediction)
    return {
        "classes": CONFUSION_CLASSES,
        "void": VOID,
        "truth": truth.tolist(),
        "prediction": prediction.tolist(),
        "matrix": counted.matrix.tolist(),
        "scores": counted.scores(),
    }


def _label_map(text):
    labels = np.array([[int(digit) for digit in line] for line in text.split()])
    labels[labels == 3] = VOID
    return labels


# --- all of them --------------------------------------------------------------------------------------------

DATA = {
    "receptive-field": receptive_field_data,
    "shift-and-stitch": shift_and_stitch_data,
    "impulse": impulse_data,
    "confusion": confusion_data,
    "skips": interactive_skips.skips_data,
}


@functools.cache
def data(name):
    return DATA[name]()


def write(folder, names=tuple(DATA)):
    """Write NAME.json for every figure, or for those named."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / f"{name}.json").write_text(json.dumps(data(name), separators=(",", ":")), encoding="utf-8")

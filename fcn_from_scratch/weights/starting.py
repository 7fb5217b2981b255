"""Arrays that start a network of another input or of other classes: a depth channel, a stream, rows of old classes.

Source: the surgery of the paper's public code (solve.py of nyud-fcn32s-color-d and nyud-fcn32s-color-hha, and
expand_score in surgery.py).
"""

import numpy as np

from fcn_from_scratch.backend import to_numpy
from fcn_from_scratch.checks import InputError

DEPTH_LAYER = "_bgrd"  # what the paper's code adds to the name of a first layer that also reads depth
STREAMS = ("color", "hha")  # what it adds to the names of a late fusion's layers


def depth_sources(mapped, arrays, params):
    """The arrays of a file's three-channel first layer that start a first layer of four channels.

    mapped, arrays   a file's name -> our name, and its arrays
    Returns: a dict, name in the file -> (our name, the array). Empty where there is nothing to do.
    """
    first = next(iter(params))
    if not first.endswith(".weight") or params[first].ndim != 4 or params[first].shape[1] != 4:
        return {}
    layer = first.removesuffix(".weight")
    plain = layer.removesuffix(DEPTH_LAYER)
    names = {ours: name for name, ours in mapped.items()}
    source = names.get(f"{plain}.weight")
    target = params[first].shape
    if source is None or (first in names and plain != layer) or arrays[source].shape != (target[0], 3, *target[2:]):
        return {}
    found = {source: (first, with_depth_channel(arrays[source]))}
    if plain != layer and f"{plain}.bias" in names:
        found[names[f"{plain}.bias"]] = (f"{layer}.bias", arrays[names[f"{plain}.bias"]])
    return found


def with_depth_channel(weight):
    """weight (F, 3, kh, kw) -> (F, 4, kh, kw): the fourth channel is the mean of the three, as for a grey picture."""
    return np.concatenate([weight, weight.mean(axis=1, keepdims=True)], axis=1)


def in_stream(names, stream):
    """The names of the layers in one stream of a late fusion, without the stream's word.

    conv1_1color.weight -> {"conv1_1.weight": "conv1_1color.weight"} for the stream "color".
    """
    found = {}
    for name in names:
        layer, dot, kind = name.rpartition(".")
        if layer.endswith(stream):
            found[layer.removesuffix(stream) + dot + kind] = name
    return found


def kept_rows(path, name, array, target, number):
    """A parameter of a score layer that starts with the rows of the first `number` classes of another one.

    The rest stays as the network was built. A learned upsampling layer has a row and a column for each class.
    array    the file's, (K, ...) for K classes
    target   the network's own parameter, (C, ...)
    Raises: InputError when the file or the network has fewer classes.
    """
    classes = (len(array), len(target))
    if number > min(classes):
        raise InputError(
            f"{path}: new_scores={number} (--new-scores {number}) keeps the rows of {number} classes, but {name} has "
            f"{classes[0]} in the file and {classes[1]} in the network"
        )
    kept = np.array(to_numpy(target))
    rows = (slice(number), slice(number)) if name.startswith("upscore") else (slice(number),)
    kept[rows] = array[rows]
    return kept


def rows_fit(name, array, target):
    """Whether two parameters of a score layer differ only in their number of classes."""
    if array.ndim != target.ndim or not array.ndim:
        return False
    start = 2 if name.startswith("upscore") else 1
    return array.shape[start:] == target.shape[start:]

"""The share of each part of a batch in the batch's loss, if that is a mean over the pixels that count.

Let p be a part of the batch, v[p] the summed weights of its pixels that count, and V the sum over all v[p]:

mean over the batch = sum over p of (v[p] / V) * (mean over p)      and the same for the gradients

The plain mean of the parts' means would be wrong: a part with few labelled pixels would count too much. Two modules
split a batch so: lab.mpi.parallel over ranks, and engine.micro_batches over threads and processes.
"""

import numpy as np


def weights(labels, ignore_index, class_weight=None):
    """v for labels (N, ...) or (N, maps, H, W): for each label map the number that its mean loss divides by.

    class_weight   one number for each class of the first map, or None
    """
    maps = [labels[:, number] for number in range(labels.shape[1])] if labels.ndim == 4 else [labels]
    return np.array([_weight(ids, ignore_index, None if head else class_weight) for head, ids in enumerate(maps)])


def part_shares(mine, whole):
    """v[p] / V for each label map; 0 if nothing counts in the whole batch. `mine` is v of one part, or of several."""
    return mine / np.where(whole > 0, whole, 1)


def of_parts(labels, slices, shares, reduction, ignore_index, class_weight=None):
    """For each part of a batch a list with its share for each label map. A sum needs no shares: then it is `shares`.

    shares   the shares of the batch itself in a larger batch, by which each list is multiplied, or None
    """
    if reduction == "sum":
        return [shares] * len(slices)
    counts = [weights(labels[part], ignore_index, class_weight) for part in slices]
    own = [part_shares(mine, sum(counts)) for mine in counts]
    return [(each if shares is None else each * shares).tolist() for each in own]


def layers(layer):
    """Yield a layer and all layers inside it."""
    yield layer
    for child in getattr(layer, "children", {}).values():
        yield from layers(child)


def leaves(layer):
    """The layers inside it that hold parameters, each once: a layer may stand in two places."""
    return list({id(each._grads): each for each in layers(layer) if each._grads}.values())


def dropouts(layer):
    """The dropout layers of a network: those that can skip the random numbers of other parts (Dropout.skip_before)."""
    return [each for each in layers(layer) if hasattr(each, "skip_before")]


def _weight(labels, ignore_index, class_weight):
    counts = labels != ignore_index
    if class_weight is None:
        return float(np.count_nonzero(counts))
    ids = labels[counts].astype(np.intp, copy=False)
    return class_weight.take(ids, mode="clip").sum(dtype=np.float64)  # the loss reports wrong ids

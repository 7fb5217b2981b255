"""The share of each part of a batch in the loss of the whole batch, when that is a mean over the pixels that count.

With p a part of the batch, v[p] the weights of its pixels that count, together, and V the sum over all v[p]:

mean over the batch = sum over p of (v[p] / V) * (mean over p)      and so for the gradients

(Without V, the plain mean of the parts' means would let a part with few labelled pixels count too much.) Two kinds of
parts are summed so: those of processes (lab.mpi.parallel), and those of threads (engine.micro_batches).
"""

import numpy as np


def weights(labels, ignore_index, class_weight=None):
    """v of labels (N, ...) or (N, maps, H, W): for each label map what its mean loss divides by.

    class_weight   one number a class of the first map, or None
    """
    maps = [labels[:, number] for number in range(labels.shape[1])] if labels.ndim == 4 else [labels]
    return np.array([_weight(ids, ignore_index, None if head else class_weight) for head, ids in enumerate(maps)])


def part_shares(mine, whole):
    """v[p] / V for each label map; 0 where nothing counts in the whole batch. mine: of one part, or of several."""
    return mine / np.where(whole > 0, whole, 1)


def of_parts(labels, slices, shares, ignore_index, class_weight=None):
    """For each part of a batch a list, with a share for each label map; times `shares`, those of the batch itself."""
    counts = [weights(labels[part], ignore_index, class_weight) for part in slices]
    own = [part_shares(mine, sum(counts)) for mine in counts]
    return [(each if shares is None else each * shares).tolist() for each in own]


def layers(layer):
    """A layer and all that it is made of."""
    yield layer
    for child in getattr(layer, "children", {}).values():
        yield from layers(child)


def dropouts(layer):
    """The dropout layers of a network. They pass over the numbers of other parts (layers.Dropout.skip_before)."""
    return [each for each in layers(layer) if hasattr(each, "skip_before")]


def _weight(labels, ignore_index, class_weight):
    counts = labels != ignore_index
    if class_weight is None:
        return float(np.count_nonzero(counts))
    return class_weight.take(labels[counts], mode="clip").sum(dtype=np.float64)  # a wrong id is for the loss to name

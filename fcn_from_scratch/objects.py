"""Objects in a label map: connected pixels of one class, and how much of each object was found.

Mean IU counts pixels, so a small object hardly changes it. Counting by objects and their size shows what a coarse
prediction loses. An object here is a 4-connected component: two instances of one class that touch are one object.
"""

from typing import NamedTuple

import numpy as np

from fcn_from_scratch.backend import to_numpy
from fcn_from_scratch.checks import integer_labels, ndim, same_shape


class ObjectRecall(NamedTuple):
    """One entry for each object, in reading order of their first pixels. Arrays of shape (number of objects,)."""

    area: np.ndarray  # the number of its pixels in the truth
    recall: np.ndarray  # the part of them that was predicted with the object's class
    label: np.ndarray  # its class


def objects(labels, ignore_index=255, background=0):
    """Number the objects of a label map.

    Two pixels belong to one object when a path of horizontal and vertical steps joins them and the label never changes
    along the path. Pixels of `background` and of `ignore_index` belong to no object; None switches either rule off.

    Shapes: labels (H, W), integers.
    Returns: (numbers int64 (H, W), count): 0 is no object, 1..count are objects in reading order of their first pixels.
    Method: rows are cut into runs of one label. Two runs in adjacent rows are tied where equal pixels touch. `_roots`
    resolves the ties of all runs at once.
    Identity: equals a flood fill  (tests/test_metrics.py).
    """
    labels = to_numpy(labels)
    ndim(labels, 2, "labels", "(H, W)")
    integer_labels(labels)
    starts = np.ones(labels.shape, bool)
    starts[:, 1:] = labels[:, 1:] != labels[:, :-1]
    run = np.cumsum(starts, dtype=np.intp).reshape(labels.shape) - 1
    tied = labels[1:] == labels[:-1]
    root = _roots(run[-1, -1] + 1, run[:-1][tied], run[1:][tied])

    label_of_run = labels[starts]
    counted = np.ones(label_of_run.shape, bool)
    for left_out in (ignore_index, background):
        if left_out is not None:
            counted &= label_of_run != left_out
    is_first = counted & (root == np.arange(root.size))
    number_of_root = np.cumsum(is_first, dtype=np.int64) * is_first
    return number_of_root[root][run], int(is_first.sum())


def recall_by_size(labels, predictions, ignore_index=255, background=0):
    """How much of each object was found, together with its size.

    recall[o] = pixels of object o that were predicted with its class / area[o]

    Shapes: labels and predictions (H, W), integers. Returns: ObjectRecall(area, recall, label).
    Raises: ValueError for shapes that differ or numbers that are not integers.
    Source: lesson 12 draws recall against area for 32s, 16s and 8s.
    """
    labels, predictions = to_numpy(labels), to_numpy(predictions)
    same_shape(predictions, labels.shape, "predictions", "labels have")
    integer_labels(predictions, "predictions")
    numbers, count = objects(labels, ignore_index, background)
    index = numbers.astype(np.intp, copy=False)
    area = np.bincount(index.ravel(), minlength=count + 1)[1:]
    found = np.bincount(index[labels == predictions], minlength=count + 1)[1:]
    _, first = np.unique(numbers, return_index=True)
    return ObjectRecall(area, found / area, labels.ravel()[first[-count:]] if count else labels.ravel()[:0])


def _roots(count, a, b):
    """The smallest member of each node's component, in a graph of `count` nodes with edges a[i] - b[i].

    Every node points to a node whose number is not larger, at first to itself; this makes trees. Each round points the
    root of every tree to the smallest root that an edge leads to, and then points all nodes directly to their roots.
    """
    root = np.arange(count)
    while True:
        low, high = np.minimum(root[a], root[b]), np.maximum(root[a], root[b])
        if np.array_equal(low, high):
            return root
        np.minimum.at(root, high, low)
        while not np.array_equal(root, root[root]):
            root = root[root]

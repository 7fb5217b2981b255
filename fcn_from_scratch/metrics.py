"""How good a segmentation is: the four metrics of the paper, all computed from one confusion matrix.

Let n[i, j] count the pixels of true class i that were predicted as class j, over a whole set of images. Let
t[i] = sum_j n[i, j] be the number of pixels of class i. Then, over K classes,

pixel accuracy           sum_i n[i, i] / sum_i t[i]
mean accuracy            mean over i of  n[i, i] / t[i]
mean IU                  mean over i of  IU[i] = n[i, i] / (t[i] + sum_j n[j, i] - n[i, i])
frequency weighted IU    sum_i t[i] * IU[i] / sum_i t[i]

IU is intersection over union: the pixels where truth and prediction agree on the class, divided by the pixels
where either of them names it. Pixels with the ignore label (VOC's border around objects) are not counted.

The "geometric accuracy" of SIFT Flow is the pixel accuracy of the geometric head, computed from its own matrix.

Source: Long et al. 2015, section 5. Lesson 1.
"""

from typing import NamedTuple

import numpy as np

from fcn_from_scratch import kernels
from fcn_from_scratch.backend import get_array_module, is_plain, to_numpy
from fcn_from_scratch.checks import choice, integer, integer_labels, label_range, same_shape

METRICS = ("pixel_accuracy", "mean_accuracy", "mean_iu", "frequency_weighted_iu")


class PerClass(NamedTuple):
    """Three numbers for each class, as arrays of shape (K,). NaN stands for 0/0."""

    iu: np.ndarray  # intersection over union
    accuracy: np.ndarray  # the part of the class's pixels that was found
    share: np.ndarray  # the class's part of all valid pixels


class ConfusionMatrix:
    """Counts of (true class, predicted class) over any number of images. Rows are the truth, columns the prediction.

    matrix[i, j] = number of pixels with label i and prediction j     int64, (K, K)

    Fill one matrix over the whole set, then compute the scores once. The mean of the single images' scores is a
    different number.
    """

    def __init__(self, num_classes, ignore_index=255):
        self.num_classes = integer(num_classes, "num_classes", 1)
        self.ignore_index = ignore_index
        self.matrix = np.zeros((self.num_classes, self.num_classes), np.int64)

    def update(self, labels, predictions):
        """Add the pixels of one image or of a batch. Returns: this object.

        matrix[i, j] += bincount(K * labels + predictions)[K * i + j]     over the pixels not ignored

        Shapes: labels and predictions have any equal shape and any integer dtype, NumPy or CuPy.
        Raises: ValueError for shapes that differ, for numbers that are not integers, for a label outside
        0..K-1 that is not the ignore label, and for a prediction outside 0..K-1, under ignored labels too. (A
        prediction of K would be counted in column 0 of the next row.) After an error nothing has been counted.
        """
        same_shape(predictions, labels.shape, "predictions", "labels have")
        on_gpu = get_array_module(labels, predictions) is not np
        if on_gpu and not is_plain() and self._update_on_gpu(labels, predictions):
            return self
        labels, predictions = to_numpy(labels), to_numpy(predictions)
        label_range(labels, self.num_classes, self.ignore_index)
        label_range(predictions, self.num_classes, None, "predictions")
        if self.ignore_index is not None:
            valid = labels != self.ignore_index
            labels, predictions = labels[valid], predictions[valid]
        k = self.num_classes
        cells = k * labels.astype(np.intp).ravel() + predictions.astype(np.intp).ravel()
        self.matrix += np.bincount(cells, minlength=k * k).reshape(k, k)
        return self

    def _update_on_gpu(self, labels, predictions):
        """Count on the GPU. Returns: False if nothing was counted: too many classes, or an id out of range."""
        for array, name in ((labels, "labels"), (predictions, "predictions")):
            integer_labels(array, name)
        if self.num_classes > kernels.MOST_CLASSES or labels.size == 0:
            return False
        flat = [array.ravel().astype(np.int64, copy=False) for array in (labels, predictions)]
        matrix, wrong = kernels.confusion_matrix(*flat, self.num_classes, self.ignore_index)
        if not wrong:
            self.matrix += matrix
        return not wrong

    def merge(self, other):
        """Add another matrix's counts, as if its images had been counted here. Returns: this object.

        Raises: ValueError when the two matrices count different classes or ignore different labels.
        """
        ours, theirs = ((m.num_classes, m.ignore_index) for m in (self, other))
        if ours != theirs:
            raise ValueError(
                f"only matrices of the same classes can be merged; this one has {ours[0]} classes and "
                f"ignore_index {ours[1]}, the other {theirs[0]} and {theirs[1]}"
            )
        self.matrix += other.matrix
        return self

    def per_class(self):
        """IU, accuracy and share of each class. Returns: PerClass(iu, accuracy, share), float64 arrays (K,).

        NaN marks 0/0: the accuracy of a class without pixels, the IU of such a class when it is never predicted either,
        and every share when no pixel was counted.
        """
        hits, true, called = self._counts()
        return PerClass(
            iu=_ratio(hits, true + called - hits),
            accuracy=_ratio(hits, true),
            share=_ratio(true, true.sum()),
        )

    def scores(self, absent="reference"):
        """The four metrics as a dict of floats in 0..1 with METRICS as keys. All are NaN if no pixel was counted.

        absent   how mean IU treats a class that has no pixel in the truth but was predicted somewhere:
                 "reference"  its IU, 0/(false alarms) = 0, counts in the mean, as in the paper's released code
                 "skip"       it is left out, so the mean is over the classes present. The paper's footnote 9 says
                              so for SIFT Flow, where 3 of the 33 classes do not occur in the test set
                 Both leave out a class that is neither present nor predicted. The other metrics do not differ.

        Example: labels 0 0 0 1 1 255 255, predictions 0 0 2 1 0 2 1, K = 4: mean IU is 1/3, with "skip" 1/2.
        """
        choice(absent, "absent", ("reference", "skip"))
        hits, true, _ = self._counts()
        iu, accuracy, share = self.per_class()
        present = true > 0
        averaged = present if absent == "skip" else ~np.isnan(iu)
        return {
            "pixel_accuracy": float(_ratio(hits.sum(), true.sum())),
            "mean_accuracy": _mean(accuracy[present]),
            "mean_iu": _mean(iu[averaged]),
            "frequency_weighted_iu": float((share * iu)[present].sum()) if present.any() else float("nan"),
        }

    def table(self, class_names=None):
        """The numbers as text, in percent: one line for each class, then the four metrics. A dash stands for 0/0.

        Raises: ValueError when there are not K names.
        """
        names = [str(i) for i in range(self.num_classes)] if class_names is None else list(class_names)
        if len(names) != self.num_classes:
            raise ValueError(f"class_names must hold {self.num_classes} names; got {len(names)}")
        width = max(len("frequency weighted IU"), *map(len, names))
        lines = [f"{'class':{width}}  {'share':>6}  {'acc':>6}  {'IU':>6}   (%)"]
        for name, iu, accuracy, share in zip(names, *self.per_class()):
            lines.append(f"{name:{width}}  {_percent(share)}  {_percent(accuracy)}  {_percent(iu)}")
        lines.append("")
        scores, skipped = self.scores(), self.scores("skip")["mean_iu"]
        for key in METRICS:
            lines.append(f"{key.replace('_', ' ').replace('iu', 'IU'):{width}}  {_percent(scores[key])}")
            if key == "mean_iu" and skipped > scores[key]:
                present = np.count_nonzero(self._counts()[1])
                lines[-1] += f"   ({100 * skipped:.1f} over the {present} of {self.num_classes} classes present)"
        return "\n".join(lines)

    def _counts(self):
        """For each class: its correct pixels, its pixels in the truth, its pixels in the prediction. Each is (K,)."""
        return np.diag(self.matrix), self.matrix.sum(axis=1), self.matrix.sum(axis=0)


def boundary_band(labels, width, ignore_index=255):
    """The pixels close to a change of the label. There a coarse segmentation fails first.

    band[y, x] = labels[y, x] is valid  and  the window of 2*width + 1 pixels a side around (y, x), cut off at
                 the image's edge, holds more than one label

    The distance is that of a chessboard. A width of 1 marks the pixels that touch another label, also at a corner. The
    ignore label counts as a label here: VOC draws its border on the boundary itself, so the band lies on both sides of
    the border.

    Shapes: labels (..., H, W), integers. Returns: bool (..., H, W).
    Source: the idea of a trimap around boundaries, Kohli et al. 2009. Lesson 12.
    """
    labels = to_numpy(labels)
    integer_labels(labels)
    width = integer(width, "width", 1)
    if labels.ndim < 2:
        raise ValueError(f"labels must have shape (..., H, W); got shape {labels.shape}")
    low = high = labels
    for axis in (-2, -1):  # a window's minimum is the minimum over rows of the minimum over columns
        low, high = _window(low, width, axis).min(-1), _window(high, width, axis).max(-1)
    band = low != high
    return band if ignore_index is None else band & (labels != ignore_index)


def _window(array, width, axis):
    """The 2*width + 1 values around each position along `axis`, on a new last axis. Edge values are repeated."""
    padding = [(0, 0)] * array.ndim
    padding[axis] = (width, width)
    padded = np.pad(array, padding, mode="edge")
    return np.lib.stride_tricks.sliding_window_view(padded, 2 * width + 1, axis=axis)


def _ratio(part, whole):
    """part / whole in float64, NaN where whole is 0, without a warning."""
    part, whole = np.broadcast_arrays(np.asarray(part, np.float64), np.asarray(whole, np.float64))
    return np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)


def _mean(values):
    return float(values.mean()) if values.size else float("nan")


def _percent(value):
    return f"{'-':>6}" if np.isnan(value) else f"{100 * value:6.1f}"

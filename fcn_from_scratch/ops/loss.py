"""Softmax and cross-entropy in one step: the loss of every pixel and its gradient."""

import numpy as np

from fcn_from_scratch import checks, engine, kernels
from fcn_from_scratch.backend import get_array_module, is_plain

REDUCTIONS = ("mean", "sum")


def softmax_cross_entropy(scores, labels, ignore_index=255, reduction="mean", weight=None, mask=None):
    """Compute the softmax cross-entropy loss of scores and labels, and its gradient with respect to the scores.

    loss = sum over pixels of v * (log(sum over c of exp(scores[c])) - scores[label]) / D
    dscores[c] = v * (softmax(scores)[c] - [c == label]) / D

    v is the pixel's weight: weight[label] * mask, and zero where the label is ignore_index. For "mean", D is the sum of
    all v. For "sum" it is 1 (Caffe's normalize: false for one image; the loss is not divided by N).
    If all v are zero, the loss and its gradient are 0. If all scores are zero, the loss of a pixel is log(C).
    NaN in the scores of a pixel that counts propagates to the loss.
    Shapes: scores (N, C, H, W), or (N, C, ...) in general; labels (N, H, W) of any integer dtype; weight (C,) or
    None; mask like labels, bool or non-negative real, or None.
    Returns: loss, a scalar summed in float64; dscores like scores. On a GPU the loss is copied to the host. This is the
    only such copy in a training step.
    Identity: vjp_check; equals ops.loops.softmax_cross_entropy_loops  (tests/ops/test_loss.py).
    Raises: ValueError when the shapes differ, or a label is neither in 0..C-1 nor ignore_index (it names the label).
    Source: Long et al. 2015, section 3.4 (the mask is its loss sampling). Lessons 4, 11 and 13.
    """
    _check(scores, labels, reduction, weight, mask)
    if kernels.usable(scores):
        loss, dscores, wrong_labels = engine.gpu.softmax_cross_entropy(
            scores, labels, ignore_index, reduction, weight, mask
        )
        if wrong_labels:
            checks.label_range(labels, scores.shape[1], ignore_index)  # names the wrong labels
        return loss, dscores
    checks.label_range(labels, scores.shape[1], ignore_index)
    scores = checks.floating(scores)
    if not is_plain():
        return engine.softmax_cross_entropy(scores, labels, ignore_index, reduction, weight, mask)
    xp = get_array_module(scores, labels, weight, mask)
    v = pixel_weights(scores, labels, ignore_index, weight, mask)
    counts = v > 0
    is_label = xp.arange(scores.shape[1]).reshape(-1, *(1,) * (labels.ndim - 1)) == labels[:, None]  # [c == label]
    shifted = scores - scores.max(axis=1, keepdims=True)  # the softmax is the same, and exp cannot overflow
    total = xp.exp(shifted).sum(axis=1)
    surprise = xp.log(total) - xp.where(is_label, shifted, 0).sum(axis=1)
    gradient = xp.exp(shifted) / total[:, None] - is_label
    # Pixels that do not count are left out by `where`, not multiplied by 0: 0 * nan would be nan.
    divisor = (float(v.sum(dtype=np.float64)) or 1.0) if reduction == "mean" else 1.0
    loss = xp.where(counts, v * surprise, 0).sum(dtype=np.float64) / divisor
    return np.float64(float(loss)), xp.where(counts[:, None], (v / scores.dtype.type(divisor))[:, None] * gradient, 0)


def softmax(scores):
    """Turn scores into probabilities over axis 1.

    softmax(scores)[c] = exp(scores[c]) / sum over c' of exp(scores[c'])

    The maximum is subtracted first, so that no exponential overflows.
    Shapes: scores (N, C, ...). Returns: probabilities like scores.
    Identity: they add up to one over the classes  (tests/ops/test_loss.py). Lesson 4.
    """
    exponentials = get_array_module(scores).exp(scores - scores.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def pixel_weights(scores, labels, ignore_index, weight=None, mask=None):
    """Return v, the weight of every pixel in the loss: weight[label] * mask, and zero where the label is ignored."""
    counted = labels != ignore_index
    v = counted.astype(scores.dtype)
    if weight is not None:
        v = v * weight.astype(scores.dtype)[get_array_module(labels).where(counted, labels, 0)]
    return v if mask is None else v * mask.astype(v.dtype)


def _check(scores, labels, reduction, weight, mask):
    checks.choice(reduction, "reduction", REDUCTIONS)
    if scores.ndim < 2:
        raise ValueError(f"scores must have shape (N, C, ...); got {tuple(scores.shape)}")
    checks.not_empty(scores, "scores")
    checks.same_shape(labels, (scores.shape[0], *scores.shape[2:]), "labels", "the scores have")
    checks.integer_labels(labels)
    if weight is not None and tuple(weight.shape) != (scores.shape[1],):
        raise ValueError(
            f"weight must have one number for each of the {scores.shape[1]} classes; got shape {tuple(weight.shape)}"
        )
    if mask is not None:
        checks.same_shape(mask, labels.shape, "mask", "the labels have")

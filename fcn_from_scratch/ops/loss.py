"""Softmax and cross-entropy in one step: the loss of every pixel and its gradient."""

import numpy as np

from fcn_from_scratch import checks, kernels
from fcn_from_scratch.backend import get_array_module

REDUCTIONS = ("mean", "sum")


def softmax_cross_entropy(scores, labels, ignore_index=255, reduction="mean", weight=None, mask=None):
    """How surprised the scores are by the labels, and which way to change them.

    loss = sum over pixels of v * (log(sum over c of exp(scores[c])) - scores[label]) / D
    dscores[c] = v * (softmax(scores)[c] - [c == label]) / D

    v is the pixel's weight: weight[label] * mask, and zero where the label is ignore_index. D is the sum of all v
    for "mean", and 1 for "sum" (Caffe's normalize: false for one image; it is not divided by N).
    With nothing to learn from (all v zero) the loss and its gradient are 0. Scores all zero give log(C) a pixel.
    NaN in the scores of a pixel that counts propagates to the loss.
    Shapes: scores (N, C, H, W), or (N, C, ...) in general; labels (N, H, W) of any integer dtype; weight (C,) or
    None; mask like labels, bool or non-negative real, or None.
    Returns: loss, a scalar (summed in float64; from a GPU it comes back to the host, a training step's one copy);
    dscores like scores.
    Identity: vjp_check; equals ops.loops.softmax_cross_entropy_loops  (tests/ops/test_loss.py).
    Raises: ValueError when the shapes differ, or a label is neither 0..C-1 nor ignore_index (named by its number).
    Source: Long et al. 2015, section 3.4 (the mask is its loss sampling). Lessons 4, 11 and 13.
    """
    xp = get_array_module(scores, labels, weight, mask)
    _check(scores, labels, reduction, weight, mask)
    if kernels.usable(scores):
        return _on_gpu(scores, labels, ignore_index, reduction, weight, mask)
    checks.label_range(labels, scores.shape[1], ignore_index)
    scores = checks.floating(scores)
    counted = labels != ignore_index
    safe = xp.where(counted, labels, 0).astype(np.int64)
    value = counted.astype(scores.dtype)
    if weight is not None:
        value *= weight.astype(scores.dtype)[safe]
    if mask is not None:
        value *= mask

    shifted = scores - scores.max(axis=1, keepdims=True)
    exponentials = xp.exp(shifted)
    total = exponentials.sum(axis=1, keepdims=True)
    at_label = xp.take_along_axis(shifted, safe[:, None], axis=1)
    surprise = (xp.log(total) - at_label)[:, 0]
    # A pixel that does not count is left out by selection: 0 * nan would be nan.
    counts = value > 0
    divisor = value.sum(dtype=np.float64) if reduction == "mean" else np.float64(1)
    divisor = xp.where(divisor > 0, divisor, 1.0)
    loss = (xp.where(counts, surprise, 0) * value).sum(dtype=np.float64) / divisor

    exponentials /= total
    _subtract_at(xp, exponentials, safe)
    factor = (value / divisor).astype(scores.dtype)[:, None]
    dscores = exponentials
    dscores *= factor
    if not bool(counts.all()):
        dscores = xp.where(counts[:, None], dscores, scores.dtype.type(0))
    return loss, dscores


def softmax(scores):
    """Scores as probabilities over axis 1: exp(scores) / sum(exp(scores)), shifted by the maximum so that no
    exponential overflows. Shapes: scores (N, C, ...)."""
    exponentials = get_array_module(scores).exp(scores - scores.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def _subtract_at(xp, array, labels):
    """array[n, labels[n, ...], ...] -= 1"""
    here = xp.take_along_axis(array, labels[:, None], axis=1)
    xp.put_along_axis(array, labels[:, None], here - 1, axis=1)


def _on_gpu(scores, labels, ignore_index, reduction, weight, mask):
    """The same by kernels; the loss comes back as NumPy's float64, and a wrong label with it."""
    xp = get_array_module(scores)
    by_pixel = xp.ascontiguousarray(xp.moveaxis(scores, 1, -1))
    flat = xp.ascontiguousarray(labels).ravel().astype(np.int64, copy=False)
    extra = [None if a is None else xp.ascontiguousarray(a).ravel().astype(scores.dtype) for a in (weight, mask)]
    loss, wrong, dscores = kernels.softmax_cross_entropy(
        by_pixel.reshape(-1, scores.shape[1]), flat, ignore_index, reduction == "mean", *extra
    )
    if wrong:
        checks.label_range(labels, scores.shape[1], ignore_index)  # names them
    return loss, xp.moveaxis(dscores.reshape(by_pixel.shape), -1, 1)


def _check(scores, labels, reduction, weight, mask):
    checks.choice(reduction, "reduction", REDUCTIONS)
    if scores.ndim < 2:
        raise ValueError(f"scores have shape (N, C, ...); got {tuple(scores.shape)}")
    checks.not_empty(scores, "scores")
    checks.same_shape(labels, (scores.shape[0], *scores.shape[2:]), "labels", "the scores have")
    checks.integer_labels(labels)
    if weight is not None and tuple(weight.shape) != (scores.shape[1],):
        raise ValueError(
            f"weight has one number for each of the {scores.shape[1]} classes; got shape {tuple(weight.shape)}"
        )
    if mask is not None:
        checks.same_shape(mask, labels.shape, "mask", "the labels have")

"""Softmax and cross-entropy in one step: the loss of every pixel and its gradient."""

import numpy as np

from fcn_from_scratch import checks, kernels
from fcn_from_scratch.backend import get_array_module
from fcn_from_scratch.engine import threads
from fcn_from_scratch.engine.im2col import GPU_BLOCK_BYTES, blocks

REDUCTIONS = ("mean", "sum")
BLOCK_BYTES = 1 << 20  # scores that one thread works on at a time: they stay in the cache through all passes


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
    scores, shape = checks.floating(scores), scores.shape
    n, c = scores.shape[:2]
    labels, value = _values(xp, scores, labels, ignore_index, weight, mask)
    divisor = 1.0
    if reduction == "mean":
        divisor = float(labels.size if value is None else value.sum(dtype=np.float64))
        divisor = divisor if divisor > 0 else 1.0
    one, by = scores.dtype.type(1), scores.dtype.type(divisor)

    scores, memory, dscores = _planes(xp, scores)
    strides = [stride // memory.itemsize for stride in dscores.strides]
    cuts = list(blocks(n, labels.shape[1], c * memory.itemsize, 1, BLOCK_BYTES if xp is np else GPU_BLOCK_BYTES))
    losses = [0.0] * len(cuts)

    def work(number):
        images, pixels = cuts[number]
        own, p = scores[images, :, pixels], dscores[images, :, pixels]
        v = one if value is None else value[images, pixels]
        at_label = _positions(xp, images, labels[images, pixels], pixels, strides)
        xp.subtract(own, own.max(axis=1)[:, None], out=p)
        of_label = memory.take(at_label)
        xp.exp(p, out=p)
        total = p.sum(axis=1)
        surprise = xp.log(total)
        surprise -= of_label
        factor = v / by
        p *= (factor / total)[:, None]
        memory[at_label] -= factor
        if value is not None:
            if not bool((v > 0).all()):  # a pixel that does not count is left out by selection: 0 * nan would be nan
                surprise = xp.where(v > 0, surprise, 0)
                if not bool(xp.isfinite(total).all()):
                    p[...] = xp.where((v > 0)[:, None], p, 0)
            surprise *= v
        losses[number] = surprise.sum(dtype=np.float64)

    threads.run(work, range(len(cuts)))
    return sum(losses) / divisor, dscores.reshape(shape)


def softmax(scores):
    """Scores as probabilities over axis 1: exp(scores) / sum(exp(scores)), shifted by the maximum so that no
    exponential overflows. Shapes: scores (N, C, ...)."""
    exponentials = get_array_module(scores).exp(scores - scores.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def _values(xp, scores, labels, ignore_index, weight, mask):
    """The labels (N, pixels), with some class where a pixel does not count, and v; None where every pixel counts as
    one, which takes less to compute."""
    n, counted = len(labels), labels != ignore_index
    everything = bool(counted.all())
    labels = (labels if everything else xp.where(counted, labels, 0)).astype(np.int64, copy=False).reshape(n, -1)
    if everything and weight is None and mask is None:
        return labels, None
    value = counted.astype(scores.dtype)
    if weight is not None:
        value *= weight.astype(scores.dtype)[labels].reshape(value.shape)
    if mask is not None:
        value *= mask
    return labels, value.reshape(n, -1)


def _planes(xp, scores):
    """The scores (N, C, ...) as (N, C, pixels), memory for as many numbers, and this memory as such an array: in the
    order in which the scores lie, channels first or last."""
    n, c = scores.shape[:2]
    last = scores.ndim > 2 and scores.strides[1] == min(scores.strides)
    scores, memory = scores.reshape(n, c, -1), xp.empty(scores.size, scores.dtype)
    return scores, memory, memory.reshape(n, -1, c).transpose(0, 2, 1) if last else memory.reshape(n, c, -1)


def _positions(xp, images, labels, pixels, strides):
    """Where in memory, as strides count it, the scores stand that belong to the labels (images, pixels)."""
    of_image, of_class, of_pixel = strides
    at_image = xp.arange(images.start * of_image, images.stop * of_image, of_image)
    at_pixel = xp.arange(pixels.start * of_pixel, pixels.stop * of_pixel, of_pixel)
    at = labels * of_class
    at += at_image[:, None] + at_pixel
    return at


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

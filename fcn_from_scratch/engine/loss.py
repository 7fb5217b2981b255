"""Softmax cross-entropy in blocks of pixels. A block stays in the processor's cache through all passes."""

import numpy as np

from fcn_from_scratch.backend import get_array_module
from fcn_from_scratch.engine import threads
from fcn_from_scratch.engine.im2col import GPU_BLOCK_BYTES, blocks

BLOCK_BYTES = 1 << 20  # of scores that one thread works on at a time


def softmax_cross_entropy(scores, labels, ignore_index, reduction, weight, mask):
    """Compute ops.softmax_cross_entropy, which has checked the arguments: (loss, dscores)."""
    xp, shape = get_array_module(scores, labels, weight, mask), scores.shape
    n, c = scores.shape[:2]
    labels, value = _values(xp, scores, labels, ignore_index, weight, mask)
    divisor = 1.0
    if reduction == "mean":
        divisor = float(labels.size if value is None else value.sum(dtype=np.float64))
        divisor = divisor if divisor > 0 else 1.0
    one, by = scores.dtype.type(1), scores.dtype.type(divisor)

    scores, memory, dscores = _planes(xp, scores)
    strides = [stride // memory.itemsize for stride in dscores.strides]
    most, parts = (BLOCK_BYTES, threads.shares()) if xp is np else (GPU_BLOCK_BYTES, 1)
    cuts = blocks(n, labels.shape[1], c * memory.itemsize, parts, most)
    losses = [0.0] * len(cuts)

    def work(number):
        images, pixels = cuts[number]
        own, p = scores[images, :, pixels], dscores[images, :, pixels]
        v = one if value is None else value[images, pixels]
        at_label = _positions(xp, images, labels[images, pixels], pixels, strides).astype(np.intp, copy=False)
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
            if not bool((v > 0).all()):  # `where` leaves out pixels that do not count: 0 * nan would be nan
                surprise = xp.where(v > 0, surprise, 0)
                if not bool(xp.isfinite(total).all()):
                    p[...] = xp.where((v > 0)[:, None], p, 0)
            surprise *= v
        losses[number] = surprise.sum(dtype=np.float64)

    threads.run(work, range(len(cuts)))
    return sum(losses) / divisor, dscores.reshape(shape)


def _values(xp, scores, labels, ignore_index, weight, mask):
    """Return (labels, v), each (N, pixels); an ignored pixel gets label 0 and v = 0.

    v is None if every pixel has weight one, which takes less to compute.
    """
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
    """Return (scores as (N, C, pixels), an empty flat array of as many numbers, a view of it shaped like the scores).

    The view has the scores' memory order, channels first or channels last.
    """
    n, c = scores.shape[:2]
    last = scores.ndim > 2 and scores.strides[1] == min(scores.strides)
    scores, memory = scores.reshape(n, c, -1), xp.empty(scores.size, scores.dtype)
    return scores, memory, memory.reshape(n, -1, c).transpose(0, 2, 1) if last else memory.reshape(n, c, -1)


def _positions(xp, images, labels, pixels, strides):
    """The positions in flat memory of the scores of the labels (images, pixels). Strides count numbers, not bytes."""
    of_image, of_class, of_pixel = strides
    at_image = xp.arange(images.start * of_image, images.stop * of_image, of_image)
    at_pixel = xp.arange(pixels.start * of_pixel, pixels.stop * of_pixel, of_pixel)
    at = labels * of_class
    at += at_image[:, None] + at_pixel
    return at

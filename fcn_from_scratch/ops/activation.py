"""Element by element: ReLU and dropout."""

import numpy as np

from fcn_from_scratch import checks, kernels
from fcn_from_scratch.backend import get_array_module
from fcn_from_scratch.engine import threads
from fcn_from_scratch.engine.im2col import channels_first
from fcn_from_scratch.engine.workspace import empty_from

AT_ONCE = 1 << 17  # numbers that one thread works on at a time


def relu(x):
    """Cut off what is negative: y = max(x, 0). NaN propagates."""
    return get_array_module(x).maximum(x, x.dtype.type(0))


def relu_backward(dy, y, workspace=None):
    """Pass the gradient where the output is positive: dx = dy * [y > 0]. At a kink, x = 0, it is zero.

    y is the forward's OUTPUT, which the next layer keeps anyway; [y > 0] and [x > 0] are the same.
    Identity: vjp_check away from the kink  (tests/ops/test_activation.py). Lesson 3.
    """
    checks.same_shape(dy, y.shape, "dy", "y has")
    xp = get_array_module(dy, y)
    if y.ndim != 4 or xp is not np:
        return dy * (y > 0)
    n, c, h, w = y.shape
    dx = channels_first(empty_from(workspace, xp)((n, h, w, c), dy.dtype))

    def mask(rows):
        xp.multiply(dy[:, :, rows], y[:, :, rows] > 0, out=dx[:, :, rows])

    threads.run(mask, threads.split(h, y.size // AT_ONCE))
    return dx


def dropout(x, mask, p):
    """Zero what the mask drops and scale up the rest, so that the expected value stays: y = x * mask / (1 - p).

    Shapes: x any; mask bool, True where kept (drawn with probability 1 - p): x's shape, or (N, C) to drop whole
    channels. p, the probability of dropping, is in [0, 1).
    Source: Srivastava et al. 2014; element-wise in the paper's public code, by whole channels in some ports.
    """
    return _dropped(x, mask, p)


def dropout_backward(dy, mask, p):
    """The gradient goes where the values went: dx = dy * mask / (1 - p)."""
    return _dropped(dy, mask, p)


def _dropped(x, mask, p):
    p = checks.probability(p, "p")
    if tuple(mask.shape) not in (tuple(x.shape), tuple(x.shape[:2])):
        raise ValueError(
            f"the dropout mask has the array's shape {tuple(x.shape)} or, for whole channels, "
            f"{tuple(x.shape[:2])}; got {tuple(mask.shape)}"
        )
    xp = get_array_module(x, mask)
    if kernels.usable(x):
        by_pixel = xp.ascontiguousarray(xp.moveaxis(x, 1, -1))
        return xp.moveaxis(kernels.dropout(by_pixel, xp.ascontiguousarray(mask), p), -1, 1)
    mask = mask.reshape(*mask.shape, *(1,) * (x.ndim - mask.ndim))
    return x * (mask.astype(checks.floating_result(xp, x)) / (1 - p))

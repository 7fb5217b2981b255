"""Element by element: ReLU and dropout."""

from fcn_from_scratch import checks, engine, kernels
from fcn_from_scratch.backend import get_array_module, is_plain


def relu(x):
    """Cut off what is negative: y = max(x, 0). NaN propagates."""
    return get_array_module(x).maximum(x, x.dtype.type(0))


def relu_backward(dy, y, workspace=None):
    """Pass the gradient where the output is positive: dx = dy * [y > 0]. At a kink, x = 0, it is zero.

    y is the forward's OUTPUT, which the next layer keeps anyway; [y > 0] and [x > 0] are the same.
    workspace   where the memory of dx comes from (engine.workspace); by default it is new
    Identity: vjp_check away from the kink  (tests/ops/test_activation.py). Lesson 3.
    """
    checks.same_shape(dy, y.shape, "dy", "y has")
    if not is_plain():
        return engine.relu_backward(dy, y, workspace)
    return dy * (y > 0)


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
        return engine.gpu.dropout(x, mask, p)
    mask = mask.reshape(*mask.shape, *(1,) * (x.ndim - mask.ndim))
    return x * (mask.astype(checks.floating_result(xp, x)) / (1 - p))

"""Functions that work element by element: ReLU and dropout."""

from fcn_from_scratch import checks, engine, kernels
from fcn_from_scratch.backend import get_array_module, is_plain


def relu(x, workspace=None):
    """Replace negative values by zero. NaN propagates.

    y = max(x, 0)

    Shapes: x any. Returns: y like x.
    Identity: equals ops.loops.relu_loops  (tests/ops/test_activation.py). Lesson 3.
    """
    if not is_plain():
        return engine.relu(x, workspace)
    return get_array_module(x).maximum(x, x.dtype.type(0))


def relu_backward(dy, y, workspace=None):
    """Pass the gradient where the output is positive. At x = 0, where ReLU has a kink, the gradient is zero.

    dx = dy * [y > 0]

    y is the OUTPUT of the forward. The next layer keeps it anyway, and [y > 0] equals [x > 0].
    Shapes: dy and y alike. Returns: dx like dy.
    workspace   a source of memory for dx, used by the engine only
    Identity: vjp_check, with values away from x = 0  (tests/ops/test_activation.py).
    Raises: ValueError when the shapes differ. Lesson 3.
    """
    checks.same_shape(dy, y.shape, "dy", "y has")
    if not is_plain():
        return engine.relu_backward(dy, y, workspace)
    return dy * (y > 0)


def dropout(x, mask, p):
    """Set the dropped values to zero and scale up the others, so that the expected value stays the same.

    y = x * mask / (1 - p)

    Shapes: x any; mask bool, True where a value is kept (drawn with probability 1 - p). The mask has x's shape, or
    (N, C) to drop whole channels. p in [0, 1) is the probability of dropping. Returns: y like x.
    Identity: equals ops.loops.dropout_loops  (tests/ops/test_activation.py).
    Raises: ValueError when p or the mask's shape is wrong.
    Source: Srivastava et al. 2014. The paper's public code drops single values; some ports drop whole channels.
    """
    return _dropped(x, mask, p)


def dropout_backward(dy, mask, p):
    """Send the gradient back through the kept values.

    dx = dy * mask / (1 - p)

    Shapes: dy like dropout's result. Returns: dx like dy.
    Identity: vjp_check  (tests/ops/test_activation.py).
    Raises: as dropout.
    """
    return _dropped(dy, mask, p)


def _dropped(x, mask, p):
    p = checks.probability(p, "p")
    if tuple(mask.shape) not in (tuple(x.shape), tuple(x.shape[:2])):
        raise ValueError(
            f"the dropout mask must have the array's shape {tuple(x.shape)} or, for whole channels, "
            f"{tuple(x.shape[:2])}; got {tuple(mask.shape)}"
        )
    xp = get_array_module(x, mask)
    if kernels.usable(x):
        return engine.gpu.dropout(x, mask, p)
    mask = mask.reshape(*mask.shape, *(1,) * (x.ndim - mask.ndim))
    return x * (mask.astype(checks.floating_result(xp, x)) / (1 - p))

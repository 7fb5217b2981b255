"""The gradient check: a backward compared with its forward, by finite differences.

A backward computes a vector-Jacobian product, Jᵀ dy. It says how the loss changes with each input, if dy, the upstream
gradient, says how the loss changes with each output. For any direction v of an input, two numbers must agree:

    dy · (J v)   from two forwards, (forward(x + eps v) - forward(x - eps v)) / (2 eps)
    (Jᵀ dy) · v  from one backward

Both dy and v are drawn at random. With dy = 1 everywhere, a backward that reverses dy or exchanges its positions would
pass; lesson 3 shows this. Two forwards test a whole gradient, however many elements it has.
"""

import math

import numpy as np

from fcn_from_scratch.backend import get_array_module

LIMIT = 1e-7  # the error of a right gradient is near 1e-10, that of a wrong one near 1


def vjp_check(forward, backward, inputs, rng, directions=3, eps=1e-5):
    """The largest relative error between dy · (J v), by finite differences, and (Jᵀ dy) · v, by backward.

    forward(*inputs) returns y, an array or a single number such as a loss. backward(dy) returns one gradient for each
    input, or None for an input that is not differentiated. For a single input it may return the array alone. backward
    is called once, right after the first forward, so that it may use what that forward kept.

    inputs   a list of float64 arrays, at least ten eps away from kinks: see `spaced` for max-pooling and
             `away_from_zero` for ReLU
    Returns: a float, about 1e-10 for a right backward and about 1 for a wrong one. The limit between them is LIMIT. It
    is infinity when an output or a gradient is not finite.
    Raises: ValueError when a gradient does not have the shape of its input, when a dtype is not float64, when forward
    changes its inputs or backward its dy, and when no input is differentiated.
    Source: the directional test of Chainer's `gradient_check`. Lesson 3.
    """
    errors = vjp_errors(forward, backward, inputs, rng, directions, eps)
    return max(error for error in errors if error is not None)


def vjp_errors(forward, backward, inputs, rng, directions=3, eps=1e-5):
    """Like `vjp_check`, but with one error for each input, which is moved alone. None: the input has no gradient."""
    inputs = _float64_inputs(inputs)
    xp = get_array_module(*inputs)
    before = [x.copy() for x in inputs]
    y = float64_output(forward(*inputs))
    if not _same(inputs, before):
        raise ValueError("forward changed its input: let it compute into a new array")
    dy = xp.asarray(rng.normal(size=y.shape))
    gradients = _call_backward(backward, dy, inputs)
    # If outputs are 10,000 times larger than a gradient, their difference says nothing about the gradient.
    resolution = 1e-4 * float(abs(y * dy).sum())

    def error_along(v, which, gradient):
        up, down = (
            float64_output(forward(*inputs[:which], inputs[which] + step * v, *inputs[which + 1 :]))
            for step in (eps, -eps)
        )
        if not all(bool(xp.isfinite(array).all()) for array in (up, down, gradient)):
            return np.inf
        numeric = float(((up - down) * dy).sum()) / (2 * eps)
        analytic = float((gradient * v).sum())
        length = float((gradient**2).sum()) ** 0.5  # the typical |analytic|; a single one may be tiny by chance
        scale = max(abs(numeric), abs(analytic), length, resolution)
        if not math.isfinite(numeric + analytic + scale):
            return np.inf
        return abs(numeric - analytic) / scale if scale else 0.0

    def worst_error(which, gradient):
        vs = (xp.asarray(rng.normal(size=gradient.shape)) for _ in range(directions))
        return max(error_along(v, which, gradient) for v in vs)

    return [None if g is None else worst_error(which, g) for which, g in enumerate(gradients)]


# --- the whole Jacobian, for small cases ---------------------------------------------------------------


def numerical_jacobian(forward, inputs, which=0, eps=1e-6):
    """The full Jacobian of forward with respect to one input, by central differences, one column at a time.

    J[i, j] = (forward(x + eps e_j) - forward(x - eps e_j))[i] / (2 eps)

    Shapes: x of n elements and y of m elements, in row-major order -> J (m, n). It takes 2n forwards.
    """
    inputs = _float64_inputs(inputs)
    columns = []
    for j in range(inputs[which].size):
        ends = []
        for step in (eps, -eps):
            moved = inputs[which].copy()
            moved.reshape(-1)[j] += step
            ends.append(float64_output(forward(*inputs[:which], moved, *inputs[which + 1 :])))
        columns.append((ends[0] - ends[1]).reshape(-1) / (2 * eps))
    return get_array_module(*inputs).stack(columns, axis=1)


def vjp_jacobian(backward, y_shape, which=0):
    """The full Jacobian from backward. The upstream gradient e_i, which is 1 at output i and 0 elsewhere, gives row i.

    Shapes: y of m elements (its shape is `y_shape`), the input `which` of n elements -> J (m, n). It takes
    m backwards.
    """
    rows = []
    for i in range(int(np.prod(y_shape))):
        dy = np.zeros(y_shape)
        dy.reshape(-1)[i] = 1.0
        gradients = backward(dy)
        gradient = gradients[which] if isinstance(gradients, (tuple, list)) else gradients
        rows.append(np.array(gradient).reshape(-1))
    return np.stack(rows)


# --- inputs away from kinks ----------------------------------------------------------------------------


def spaced(rng, shape, gap=0.01):
    """Values `gap` apart in random order, none of them zero. A small step never changes which of two is larger."""
    n = int(np.prod(shape))
    return (gap * (rng.permutation(n) - n // 2 + 0.25)).reshape(shape)


def away_from_zero(rng, shape, gap=0.1):
    """Normal values moved away from zero, so that |x| >= gap. A small step never changes a sign."""
    x = rng.normal(size=shape)
    return x + np.where(x < 0, -gap, gap)


# --- checks of the arrays that go in and out -------------------------------------------------------------------


def _float64_inputs(inputs):
    inputs = list(inputs) if isinstance(inputs, (tuple, list)) else [inputs]
    for which, x in enumerate(inputs):
        get_array_module(x)
        if x.dtype != np.float64:
            raise ValueError(f"input {which} is {x.dtype}; a gradient check needs float64: x.astype(np.float64)")
    return inputs


def float64_output(y):
    if isinstance(y, (tuple, list)):
        raise ValueError(f"forward returned a {type(y).__name__}; return the one array that dy belongs to")
    y = np.float64(y) if isinstance(y, float) else y
    get_array_module(y)
    if y.dtype != np.float64:
        raise ValueError(f"forward turned float64 into {y.dtype}: keep the dtype of the input")
    return y


def _call_backward(backward, dy, inputs):
    """One gradient (or None) for each input, with its shape and dtype. They are copies: a layer may reuse memory."""
    given = dy.copy()
    gradients = backward(dy)
    if not _same([dy], [given]):
        raise ValueError("backward changed its dy, which another branch may need: let it compute into a new array")
    gradients = list(gradients) if isinstance(gradients, (tuple, list)) else [gradients]
    if len(gradients) != len(inputs):
        raise ValueError(f"backward returned {len(gradients)} gradients for {len(inputs)} inputs")
    if all(gradient is None for gradient in gradients):
        raise ValueError("backward returned no gradient at all: there is nothing to check")
    for which, (gradient, x) in enumerate(zip(gradients, inputs)):
        if gradient is None:
            continue
        get_array_module(gradient)
        if gradient.shape != x.shape:
            raise ValueError(f"gradient {which} has shape {gradient.shape}; its input has shape {x.shape}")
        if gradient.dtype != np.float64:
            raise ValueError(f"gradient {which} is {gradient.dtype}; its input is float64")
    return [None if gradient is None else gradient.copy() for gradient in gradients]


def _same(arrays, others):
    xp = get_array_module(*arrays)
    return all(bool(xp.array_equal(a, b, equal_nan=True)) for a, b in zip(arrays, others))

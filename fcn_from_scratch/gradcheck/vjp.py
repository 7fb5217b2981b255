"""The gradient check: a backward compared with its forward, by finite differences.

A backward computes a vector-Jacobian product, Jᵀ dy: how the loss changes with each input, given how it
changes with each output (dy, the upstream gradient). Along any direction v of an input two numbers agree:

    dy · (J v)   from two forwards, (forward(x + eps v) - forward(x - eps v)) / (2 eps)
    (Jᵀ dy) · v  from one backward

Both dy and v are drawn at random. With dy = 1 everywhere a backward may reverse dy, or mix up its positions,
and nobody notices; lesson 3 shows it. Two forwards test a whole gradient, however many elements it has.
"""

import math

import numpy as np

from fcn_from_scratch.backend import get_array_module

LIMIT = 1e-7  # right gradients lie near 1e-10, wrong ones near 1


def vjp_check(forward, backward, inputs, rng, directions=3, eps=1e-5):
    """Largest relative error between dy · (J v), by finite differences, and (Jᵀ dy) · v, by backward.

    forward(*inputs) -> y, an array or a single number such as a loss. backward(dy) -> one gradient per input
    (a bare array will do for one input), None for an input that is not differentiated. backward is called
    once, right after the first forward, so that it may use what that forward kept.

    inputs: a list of float64 arrays, ten eps away from kinks: `spaced` for max-pooling, `away_from_zero` for
    ReLU. A right backward gives about 1e-10, a wrong one about 1; the line is drawn at LIMIT.
    Returns: a float; infinity when an output or a gradient is not finite.
    Raises: ValueError when the shape of a gradient is not that of its input, when a dtype is not float64,
    when forward changes its inputs or backward its dy, and when no input is differentiated.
    Source: the directional test of Chainer's `gradient_check`. Lesson 3.
    """
    errors = vjp_errors(forward, backward, inputs, rng, directions, eps)
    return max(error for error in errors if error is not None)


def vjp_errors(forward, backward, inputs, rng, directions=3, eps=1e-5):
    """As `vjp_check`, but one error per input, each moved on its own; None where an input has no gradient."""
    inputs = _float64_inputs(inputs)
    xp = get_array_module(*inputs)
    before = [x.copy() for x in inputs]
    y = _float64_output(forward(*inputs))
    if not _same(inputs, before):
        raise ValueError("forward changed its input: let it compute into a new array")
    dy = xp.asarray(rng.normal(size=y.shape))
    gradients = _call_backward(backward, dy, inputs)
    # Where outputs are 10,000 times larger than a gradient, their difference says nothing about it.
    resolution = 1e-4 * float(abs(y * dy).sum())

    def error_along(v, which, gradient):
        up, down = (
            _float64_output(forward(*inputs[:which], inputs[which] + step * v, *inputs[which + 1 :]))
            for step in (eps, -eps)
        )
        if not all(bool(xp.isfinite(array).all()) for array in (up, down, gradient)):
            return np.inf
        numeric = float(((up - down) * dy).sum()) / (2 * eps)
        analytic = float((gradient * v).sum())
        length = float((gradient**2).sum()) ** 0.5  # what |analytic| is on average: one may be tiny by chance
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
    """The full Jacobian of forward by one of its inputs, by central differences, one column at a time.

    J[i, j] = (forward(x + eps e_j) - forward(x - eps e_j))[i] / (2 eps)

    Shapes: x of n elements and y of m elements, in row-major order -> J (m, n). Takes 2n forwards.
    """
    inputs = _float64_inputs(inputs)
    columns = []
    for j in range(inputs[which].size):
        ends = []
        for step in (eps, -eps):
            moved = inputs[which].copy()
            moved.reshape(-1)[j] += step
            ends.append(_float64_output(forward(*inputs[:which], moved, *inputs[which + 1 :])))
        columns.append((ends[0] - ends[1]).reshape(-1) / (2 * eps))
    return get_array_module(*inputs).stack(columns, axis=1)


def vjp_jacobian(backward, y_shape, which=0):
    """The full Jacobian as backward has it: the upstream gradient e_i, 1 at one output, gives row i.

    Shapes: y of m elements (its shape is `y_shape`), the input `which` of n elements -> J (m, n). Takes m
    backwards.
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
    """Values `gap` apart in random order, none of them zero: no small step changes which of two is larger."""
    n = int(np.prod(shape))
    return (gap * (rng.permutation(n) - n // 2 + 0.25)).reshape(shape)


def away_from_zero(rng, shape, gap=0.1):
    """Normal values pushed apart at zero, so that |x| >= gap: no small step changes a sign."""
    x = rng.normal(size=shape)
    return x + np.where(x < 0, -gap, gap)


# --- a look at what comes in and out -------------------------------------------------------------------


def _float64_inputs(inputs):
    inputs = list(inputs) if isinstance(inputs, (tuple, list)) else [inputs]
    for which, x in enumerate(inputs):
        get_array_module(x)
        if x.dtype != np.float64:
            raise ValueError(f"input {which} is {x.dtype}; a gradient check needs float64: x.astype(np.float64)")
    return inputs


def _float64_output(y):
    if isinstance(y, (tuple, list)):
        raise ValueError(f"forward returned a {type(y).__name__}; return the one array that dy belongs to")
    y = np.float64(y) if isinstance(y, float) else y
    get_array_module(y)
    if y.dtype != np.float64:
        raise ValueError(f"forward turned float64 into {y.dtype}: keep the dtype of the input")
    return y


def _call_backward(backward, dy, inputs):
    """One gradient per input (or None), of its shape and dtype; copies, since a layer may reuse a buffer."""
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

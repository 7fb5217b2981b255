"""What may be wrong with a gradient that fails its check. The usual mistakes are tried one after another.

For a small case finite differences give the whole Jacobian J, and with it the right gradient Jᵀ dy for any upstream
gradient dy. A wrong gradient is compared with the gradients that the usual mistakes would give.
"""

import numpy as np

from fcn_from_scratch.gradcheck.vjp import numerical_jacobian

LARGEST_JACOBIAN = 4_000_000  # the most numbers of a Jacobian: 32 MB


def explain(forward, backward, inputs, which, rng):
    """Say in one clause how the gradient of one input differs from the right one, such as "has the wrong sign".

    forward, backward, inputs  as for `vjp_check`; NumPy arrays
    which                      the position of the input among `inputs`
    """
    x = inputs[which]
    y = forward(*inputs)
    if y.size * x.size > LARGEST_JACOBIAN:
        return "is wrong; a smaller input shows where"
    dy = rng.normal(size=y.shape)
    gradient = np.array(backward(dy)[which])
    if not np.isfinite(gradient).all():
        return "is not finite"
    jacobian = numerical_jacobian(forward, inputs, which, eps=1e-5)

    def right(upstream):
        return (jacobian.T @ upstream.ravel()).reshape(x.shape)

    expected = right(dy)
    if _close(gradient, expected):
        return "is off by very little: x may lie near a kink, try another --seed"
    if not np.any(np.abs(expected) > 1e-9):
        return "should be zero: forward does not depend on this array"
    if not gradient.any():
        return "is zero everywhere"
    factor = float((gradient * expected).sum() / (expected**2).sum())
    if _close(gradient, -expected):
        return "has the wrong sign"
    if _close(gradient, factor * expected):
        return f"is off by a factor of {factor:.4g} in every direction"
    for mistake, made in _mistakes(expected, dy, right):
        if gradient.shape == made.shape and _close(gradient, made):
            return mistake
    return _first_difference(gradient, expected)


def _mistakes(expected, dy, right):
    """Yield (clause, the gradient that this mistake gives) for the usual mistakes."""
    for axes in _flips(dy.ndim):
        yield f"matches when dy is flipped along {_named(axes)}", right(np.flip(dy, axes))
    yield "matches when dy is all ones: backward ignores dy", right(np.ones_like(dy))
    if dy.ndim and len(dy) > 1:
        for image in (0, len(dy) - 1):
            alone = np.zeros_like(dy)
            alone[image] = dy[image]
            yield f"matches when only image {image} counts: sum over the whole batch", right(alone)
    for axes in _flips(expected.ndim):
        yield f"is itself flipped along {_named(axes)}", np.flip(expected, axes)
    for a, b in ((0, 1), (-2, -1)):
        if expected.ndim >= 2:
            yield f"has {_named((a, b))} exchanged", expected.swapaxes(a, b)


def _flips(ndim):
    last = [(-2, -1), (-1,), (-2,), (1,), (0,)]
    return [axes for axes in last if all(-ndim <= axis < ndim for axis in axes)]


def _named(axes):
    if axes == (-2, -1):
        return "its last two axes"
    return " and ".join({-1: "its last axis", -2: "the axis before its last"}.get(a, f"axis {a}") for a in axes)


def _first_difference(gradient, expected):
    wrong = ~_agrees(gradient, expected)
    place = tuple(np.argwhere(wrong)[0].tolist())
    return (
        f"is wrong in {int(wrong.sum())} of {wrong.size} places; at {list(place)} it is {gradient[place]:.6g}, "
        f"and finite differences give {expected[place]:.6g}"
    )


def _close(gradient, other):
    return bool(_agrees(gradient, other).all())


def _agrees(gradient, other):
    return np.isclose(gradient, other, rtol=1e-5, atol=1e-7 * max(float(np.abs(other).max()), 1e-3))

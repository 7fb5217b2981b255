"""Exercise 4.2, change: the two rules of momentum.

The lesson's rule is Caffe's; PyTorch keeps the rate out of the velocity. With the gradient
g of the current w:

    Caffe     V = momentum * V + rate * g       w = w - V
    PyTorch   V = momentum * V + g              w = w - rate * V

Write `two_paths(steepness, start, rates, momentum)`. The gradient at w is `steepness * w`,
both arrays (n,). The weights begin at `start` and the velocity at zero. `rates` holds the
learning rate of every step. The function returns two arrays (len(rates), n): the weights
after each step by Caffe's rule, and those by PyTorch's rule.

When do the two paths agree? Let the rate drop to a tenth: which rule makes longer steps
just after it, and why?
"""

import numpy as np


def two_paths(steepness, start, rates, momentum):
    """The weights after each step, by Caffe's rule and by PyTorch's."""
    # BEGIN SOLUTION
    # At a constant rate Caffe's velocity is PyTorch's times the rate, so the
    # paths agree. When the rate drops, Caffe's velocity still contains gradients times the
    # old, larger rate, and these fade by `momentum` at each step. PyTorch's rate stands
    # before the whole velocity, so its steps are shorter at once.
    w, V, caffe = start, np.zeros_like(start), []
    for rate in rates:
        V = momentum * V + rate * steepness * w
        w = w - V
        caffe.append(w)
    w, V, pytorch = start, np.zeros_like(start), []
    for rate in rates:
        V = momentum * V + steepness * w
        w = w - rate * V
        pytorch.append(w)
    return np.array(caffe), np.array(pytorch)
    # END SOLUTION


# --- check

TOLERANCE = 1e-10


def cases(rng):
    falling = [0.03, 0.03, 0.03, 0.003, 0.003]
    return [
        (np.array([1.0, 25.0]), np.array([-10.0, 2.0]), falling, 0.9),
        (rng.uniform(0.5, 5, 3), rng.normal(size=3), [0.1, 0.2, 0.05, 0.2], 0.5),
        (np.array([2.0]), np.array([1.0]), [0.1, 0.1, 0.1], 0.9),
    ]


def expected(steepness, start, rates, momentum):
    """A step is a sum over all gradients so far: each has faded, times its own rate or the present one."""
    paths = []
    for own_rate in (True, False):
        w, gradients, path = start, [], []
        for t in range(len(rates)):
            gradients.append(steepness * w)
            factors = [
                momentum ** (t - k) * rates[k if own_rate else t] for k in range(t + 1)
            ]
            w = w - sum(factor * g for factor, g in zip(factors, gradients))
            path.append(w)
        paths.append(np.array(path))
    return tuple(paths)


def _exchanged(steepness, start, rates, momentum):
    return expected(steepness, start, rates, momentum)[::-1]


def _caffe_twice(steepness, start, rates, momentum):
    return (expected(steepness, start, rates, momentum)[0],) * 2


def _damped(steepness, start, rates, momentum):
    """The gradient is weighted by 1 - momentum, as in Adam's running mean."""
    return expected(steepness, start, [(1 - momentum) * rate for rate in rates], momentum)


def _with_start(steepness, start, rates, momentum):
    return tuple(
        np.concatenate([[start], path[:-1]])
        for path in expected(steepness, start, rates, momentum)
    )


MISTAKES = {
    "the two paths are exchanged: Caffe's comes first": _exchanged,
    "both paths follow Caffe's rule. In PyTorch's, V does not contain the rate": _caffe_twice,
    "the gradient is not multiplied by 1 - momentum in these rules": _damped,
    "the path holds the weights after each step, not before it": _with_start,
}

"""Exercise 11.3, prove: one step on the sum equals one step on the mean.

Show that the gradient of the summed loss is n times that of the mean, where n is the number
of pixels that count. Then ask what weight decay does: it adds `weight_decay * w` to the
gradient, and that does not grow with n.

Write `settings_for_sum(labels, lr, weight_decay)`. A training on the mean has these labels
(an integer array, with 255 for void), this rate and this decay. Return the rate and the
decay with which a step on the *sum* changes the weights by the same amount.

    settings_for_sum(labels with 10 pixels that count, 0.02, 0.5) -> 0.002, 5.0
"""

import numpy as np


def settings_for_sum(labels, lr, weight_decay):
    """The rate and the weight decay for the summed loss."""
    # BEGIN SOLUTION
    # Let l[p] be the loss of pixel p. For any weight w
    #     d(sum)/dw  =         sum over p of dl[p]/dw
    #     d(mean)/dw = (1/n) * sum over p of dl[p]/dw
    # since n depends on the labels only. So the first is n times the second, in every
    # layer. With g for the gradient of the mean, the two steps are
    #     mean    lr  * (    g + decay  * w)
    #     sum     lr' * (n * g + decay' * w)
    # They are equal for every g and w if lr' = lr / n and decay' = n * decay. With decay' =
    # decay only one n-th of the decay would be left. The public code of the paper has a
    # decay of 5e-4 on the sum: it hardly decays at all.
    n = int(np.sum(labels != 255))
    return lr / n, weight_decay * n
    # END SOLUTION


# --- check

TOLERANCE = 1e-9


def cases(rng):
    labels = rng.integers(0, 6, (2, 9, 7))
    labels[:, :3] = 255
    return [
        (labels, 0.02, 5e-4),
        (labels[:1, 2:], 0.3, 0.1),
        (np.zeros((1, 4, 5), int), 0.01, 0.05),
    ]


def expected(labels, lr, weight_decay):
    """Two unknowns, a = lr' and b = lr' * decay', from two steps: one with (g, w) = (1, 0), one with (0, 1)."""
    n = sum(int(label) != 255 for label in labels.ravel())
    gradient_of_sum = np.array(
        [[n * 1.0, 0.0], [0.0, 1.0]]
    )  # columns: what a and b are multiplied by
    steps_on_mean = np.array([lr * 1.0, lr * weight_decay])
    a, b = np.linalg.solve(gradient_of_sum, steps_on_mean)
    return a, b / a


def _void_counts(labels, lr, weight_decay):
    return lr / labels.size, weight_decay * labels.size


def _same_decay(labels, lr, weight_decay):
    return expected(labels, lr, weight_decay)[0], weight_decay


def _decay_divided(labels, lr, weight_decay):
    rate, decay = expected(labels, lr, weight_decay)
    return rate, weight_decay**2 / decay


MISTAKES = {
    "void pixels have no loss, so they do not count in n": _void_counts,
    "the step is lr' * decay' * w, and lr' is n times smaller: the decay must make up for it": _same_decay,
    "the decay is multiplied by n, not divided: the smaller rate divides it already": _decay_divided,
}

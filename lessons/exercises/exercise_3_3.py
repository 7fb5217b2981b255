"""Exercise 3.3, prove: which wrong backwards does a check with ones miss?

A layer has the Jacobian J, with m outputs and n inputs. Its backward is linear but may be
wrong: it computes B @ dy with a matrix B (n, m), where J.T would be right. The check
compares (B dy) . v with dy . (J v). Show that

    with dy = 1 everywhere, the check passes for every v if and only if each row of B - J.T sums to zero;
    with random dy and v, it passes with probability 0 unless B = J.T.

Write `seen_by_ones(jacobian, backward)` for J (m, n) and B (n, m), arrays of integers. It
returns the vector u (n,) for which, with dy = 1 everywhere and for every v,

    (B dy) . v  -  dy . (J v)  =  u . v

If u is zero, the check with ones passes. Find a wrong B for which it is.
"""

import numpy as np


def seen_by_ones(jacobian, backward):
    """The vector u: what a check with ones sees of the mistake."""
    # BEGIN SOLUTION
    # dy . (J v) = (J.T dy) . v, so the difference is (E dy) . v with E = B -
    # J.T. Ones: E @ 1 holds the sums of the rows of E. If all are zero, the difference is 0
    # for every v. If one is not, the check fails for the v that is 1 there and 0 elsewhere.
    # A backward that reads dy in another order only moves the columns of J.T. No row sum
    # changes, so u is zero: ones do not notice a flipped dy. Random: if E is not 0, the dy
    # with E dy = 0 form a space of lower dimension, on which random numbers lie with
    # probability 0. For any other dy, E dy is not 0, and the v with (E dy) . v = 0 form a
    # plane: probability 0 again.
    error = backward - jacobian.T
    return error @ np.ones(error.shape[1], int)
    # END SOLUTION


# --- check


def cases(rng):
    found = []
    for m, n in (3, 3), (4, 4), (2, 5), (4, 3):
        right = rng.integers(-4, 5, (m, n))
        anything = rng.integers(-4, 5, (n, m))
        found += [
            (right, anything),
            (right, right.T[:, ::-1].copy()),
            (right, right.T.copy()),
        ]
    return found


def expected(jacobian, backward):
    """Try every unit vector v: u . v is then one number of u."""
    m, n = jacobian.shape
    dy = [1] * m
    u = []
    for k in range(n):
        by_backward = sum(int(backward[k, i]) * dy[i] for i in range(m))
        by_forward = sum(int(jacobian[i, k]) * dy[i] for i in range(m))
        u.append(by_backward - by_forward)
    return np.array(u)


def _column_sums(jacobian, backward):
    return (backward - jacobian.T).sum(axis=0)


def _not_transposed(jacobian, backward):
    return (backward - jacobian).sum(axis=1)


def _absolute(jacobian, backward):
    return abs(backward - jacobian.T).sum(axis=1)


MISTAKES = {
    "you summed the columns of B - J.T. B is multiplied by a vector of ones, so its rows are summed": _column_sums,
    "J must be transposed: dy . (J v) = (J.T dy) . v": _not_transposed,
    "errors of opposite sign in one row cancel. So do not take absolute values": _absolute,
}

"""Exercise 8.3, prove: one pass with a spread filter is s passes, interlaced.

Along one axis, a pool of k pixels has stride s, and a filter f follows. Run both on the row
without its first a pixels, for a = 0, ..., s - 1, and interlace the results. Prove that
this is the pool with stride 1, followed by the filter f' of the paper. f'[q] is f[q / s]
where s divides q, and 0 elsewhere.

Write `in_one_pass(row, k, s, f)`: the pool with stride 1, then f'. A filter is applied as
in a convolution layer: the answer at place j is the sum of f[q] * values[j + q].

    in_one_pass([3, 1, 4, 1, 5, 9], 2, 2, [1, -1]) -> [-1, -1, -5]
"""

import numpy as np


def in_one_pass(row, k, s, f):
    """The answers at every place: a pool of k with stride 1, then the filter spread by s."""
    # BEGIN SOLUTION
    # Proof. Let m[i] be the maximum of row[i], ..., row[i + k - 1]: the pool
    # with stride 1. The pool with stride s over the row without its first a pixels gives
    # p_a[i] = m[s*i + a]. The filter makes of it
    #     out_a[i] = sum over q of f[q] * p_a[i + q] = sum over q of f[q] * m[s*i + a + s*q].
    # Interlacing puts out_a[i] at place j = s*i + a. So the answer at j is the sum over q
    # of f[q] * m[j + s*q]. But f'[s*q] = f[q], and f' is 0 elsewhere. So this is the sum
    # over all r of f'[r] * m[j + r]: the filter f' over m. Nothing was used of the maximum
    # except that it reads a window. So the same holds for a convolution in its place, and,
    # step by step, for all layers that follow.
    row, f = np.asarray(row), np.asarray(f)
    pooled = np.array([row[i : i + k].max() for i in range(len(row) - k + 1)])
    spread = np.zeros(s * (len(f) - 1) + 1, f.dtype)
    spread[::s] = f
    return np.array(
        [
            (pooled[j : j + len(spread)] * spread).sum()
            for j in range(len(pooled) - len(spread) + 1)
        ]
    )
    # END SOLUTION


# --- check


def cases(rng):
    found = [([3, 1, 4, 1, 5, 9], 2, 2, [1, -1])]
    for n, k, s, taps in [(24, 2, 2, 3), (30, 3, 3, 2), (27, 3, 2, 4), (40, 2, 4, 3)]:
        row, f = (
            rng.integers(-9, 10, n),
            rng.integers(1, 6, taps) * rng.choice([-1, 1], taps),
        )
        found.append((row.tolist(), k, s, f.tolist()))
    return found


def expected(row, k, s, f):
    passes = []
    for a in range(s):  # the passes, one after the other
        pooled = [max(row[i : i + k]) for i in range(a, len(row) - k + 1, s)]
        passes.append(
            [
                sum(w * v for w, v in zip(f, pooled[i:]))
                for i in range(len(pooled) - len(f) + 1)
            ]
        )
    answers = [0] * sum(map(len, passes))
    for a, y in enumerate(passes):
        answers[a::s] = y
    return answers


def _filtered(row, k, spread):
    pooled = [max(row[i : i + k]) for i in range(len(row) - k + 1)]
    return [
        sum(w * v for w, v in zip(spread, pooled[j:]))
        for j in range(len(pooled) - len(spread) + 1)
    ]


def _not_spread(row, k, s, f):
    return _filtered(row, k, list(f))


def _trailing_hole(row, k, s, f):
    spread = [0] * (s * len(f))
    spread[::s] = f
    return _filtered(row, k, spread)


def _flipped(row, k, s, f):
    spread = [0] * (s * (len(f) - 1) + 1)
    spread[::s] = f[::-1]
    return _filtered(row, k, spread)


MISTAKES = {
    "the filter must be spread: its taps are s values apart": _not_spread,
    "f' ends with its last tap: it spans s * (len(f) - 1) + 1 values, not s * len(f)": _trailing_hole,
    "a convolution layer does not turn its filter round: f[0] belongs to the first value": _flipped,
}

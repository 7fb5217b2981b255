"""Exercise 16.2, change: a tree for any number of threads.

`tree_sum` of the lesson halves the number of values at each level. This works for 2, 4, 8,
... threads only. Change it for any number: while more than one value is left, halve and
round *up*. Of `left` values, the first half = (left + 1) // 2 stay. Thread t of them adds
value t + half, if t + half < left.

Write `tree_levels(values)`. It returns a list of lists: the values that are left after each
level, from the first level to the last one, which holds the sum alone. For a single value
there is no level, and the list is empty.

    tree_levels([1, 2, 3, 4, 5]) -> [[5, 7, 3], [8, 7], [15]]

How many levels do 100 values need?
"""


def tree_levels(values):
    """The values that are left after each level of the tree."""
    # BEGIN SOLUTION
    levels, shared = [], list(values)
    while len(shared) > 1:
        left = len(shared)
        half = (left + 1) // 2
        shared = [
            shared[t] + (shared[t + half] if t + half < left else 0) for t in range(half)
        ]
        levels.append(shared)
    return levels
    # 100 values: 50, 25, 13, 7, 4, 2, 1. These are seven levels, which is log2(100),
    # rounded up. On a GPU there is a barrier before the first level and one after each
    # level.
    # END SOLUTION


# --- check

import numpy as np


def cases(rng):
    return [([1, 2, 3, 4, 5],)] + [
        (rng.integers(-9, 10, count).tolist(),) for count in (1, 2, 3, 8, 13, 100)
    ]


def expected(values):
    levels = []
    while len(values) > 1:
        pairs = np.append(values, [0] * (len(values) % 2)).reshape(
            2, -1
        )  # the second half below the first
        values = pairs.sum(axis=0).tolist()
        levels.append(values)
    return levels


def _rounds_down(values):
    levels, shared = [], list(values)
    while len(shared) > 1:
        half = len(shared) // 2
        shared = [shared[t] + shared[t + half] for t in range(half)]
        levels.append(shared)
    return levels


def _neighbours(values):
    levels, shared = [], list(values)
    while len(shared) > 1:
        shared = [sum(shared[t : t + 2]) for t in range(0, len(shared), 2)]
        levels.append(shared)
    return levels


def _no_bound(values):
    levels, shared, left = [], list(values), len(values)
    while left > 1:
        half = (left + 1) // 2
        for t in range(half):
            if t + half < len(values):
                shared[t] += shared[t + half]
        left = half
        levels.append(shared[:left])
    return levels


MISTAKES = {
    "with an odd number of values, rounding down loses the last one": _rounds_down,
    "thread t adds value t + half, and not its neighbour. Then the threads read neighbouring numbers": _neighbours,
    "value t + half counts only if t + half < left. Values behind `left` have been added before": _no_bound,
}

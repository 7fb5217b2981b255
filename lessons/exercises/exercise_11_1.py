"""Exercise 11.1, trace: the size of every map of FCN-32s.

Follow a picture with `side` rows through the lesson's network. Its 3x3 convolutions have a
padding of 1. Its five pools have windows of 2, a stride of 2, and round up. `fc6` has a
kernel of 2 and a padding of 1. `fc7` and `score_fr` are 1x1 convolutions. `upscore` has a
kernel of 64, a stride of 32 and no padding. The crop begins at row 32 and keeps `side`
rows.

Write `trace_32s(side)`. It returns a dict with the number of rows of pool1, pool2, pool3,
pool4, pool5, fc6 and upscore, and under "cut_behind" the number of rows that the crop
removes behind the picture.

    trace_32s(64)["fc6"] -> 3
"""


def trace_32s(side):
    """The number of rows of each map, as a dict."""
    # BEGIN SOLUTION
    rows, n = {}, side
    for stage in range(1, 6):
        n = -(
            -n // 2
        )  # half, rounded up; the 3x3 convolution before the pool keeps the size
        rows[f"pool{stage}"] = n
    n = n + 2 * 1 - 2 + 1  # padding on both sides, then the places of a kernel of 2
    rows["fc6"] = n
    rows["upscore"] = 32 * (n - 1) + 64  # n kernels of 64 rows, 32 rows apart
    rows["cut_behind"] = rows["upscore"] - 32 - side
    return rows
    # END SOLUTION


# --- check


def cases(rng):
    return [(64,), (50,), (33,), (1,), (97,), (500,)]


def expected(side):
    rows, n = {}, side
    for stage in range(1, 6):
        n = len(range(0, n, 2))
        rows[f"pool{stage}"] = n
    first_taps = range(-1, n)  # the kernel of 2 may begin in the padding and end in it
    covered = [32 * cell + tap for cell in range(len(first_taps)) for tap in range(64)]
    rows["fc6"], rows["upscore"] = len(first_taps), max(covered) + 1
    rows["cut_behind"] = sum(row >= 32 + side for row in set(covered))
    return rows


def _traced(side, half, padding, reach):
    rows, n = {}, side
    for stage in range(1, 6):
        n = half(n)
        rows[f"pool{stage}"] = n
    n = n + 2 * padding - 1
    up = 32 * n + reach
    return rows | {"fc6": n, "upscore": up, "cut_behind": up - 32 - side}


def _centred(side):
    rows = expected(side)
    return rows | {"cut_behind": (rows["upscore"] - side) // 2}


def _up(n):
    return (n + 1) // 2


MISTAKES = {
    "the pools round up: a window that is only half inside the map still gives a value": lambda side: (
        _traced(side, lambda n: n // 2, 1, 32)
    ),
    "fc6 has a padding of 1 on both sides": lambda side: _traced(side, _up, 0, 32),
    "the last kernel of upscore is 64 rows long: the map has 32 * (n - 1) + 64 rows": lambda side: (
        _traced(side, _up, 1, 0)
    ),
    "the crop is not centred: it begins at row 32 for every size, and all other rows are cut off behind": _centred,
}

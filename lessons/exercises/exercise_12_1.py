"""Exercise 12.1, trace: the size of every map in the head of FCN-8s.

Follow a picture with `side` rows through the lesson's FCN-8s. Three pools lead to pool3,
one more to pool4, and one more to pool5; each halves the map and rounds up. `score_fr` has
one row more than pool5. `upscore2` and `upscore_pool4` have a kernel of 4 and a stride of
2, and `upscore8` has a kernel of 16 and a stride of 8; none has a padding. The crops begin
at row 2 of upscore2, at row 1 of upscore_pool4 and at row 4 of upscore8.

Write `trace_head_8s(side)`. It returns a dict with the number of rows of pool3, pool4,
score_fr, upscore2, upscore_pool4 and upscore8, and under "cut_behind" a list: the number of
rows that each of the three crops removes behind.

    trace_head_8s(64)["cut_behind"] -> [2, 1, 4]
"""


def trace_head_8s(side):
    """The number of rows of each map, as a dict."""

    # BEGIN SOLUTION
    def half(n):
        return -(-n // 2)  # rounded up

    def up(n, kernel_size, stride):
        return stride * (n - 1) + kernel_size

    pool3 = half(half(half(side)))
    pool4 = half(pool3)
    score_fr = half(pool4) + 1
    upscore2 = up(score_fr, 4, 2)
    upscore_pool4 = up(pool4, 4, 2)  # the fused map has the size of pool4
    upscore8 = up(pool3, 16, 8)
    cut = [upscore2 - 2 - pool4, upscore_pool4 - 1 - pool3, upscore8 - 4 - side]
    rows = {"pool3": pool3, "pool4": pool4, "score_fr": score_fr, "upscore2": upscore2}
    return rows | {"upscore_pool4": upscore_pool4, "upscore8": upscore8, "cut_behind": cut}
    # END SOLUTION


# --- check


def cases(rng):
    return [(64,), (50,), (33,), (1,), (97,), (500,)]


def _traced(
    side, halved=lambda n: len(range(0, n, 2)), taps=(4, 4, 16), cropped=True, centred=False
):
    """Sizes found by listing the rows that the kernels cover."""
    sizes = [side]
    for _ in range(5):
        sizes.append(halved(sizes[-1]))
    pool3, pool4, score_fr = sizes[3], sizes[4], sizes[5] + 1

    def rows(n, size, stride):
        return len({stride * cell + tap for cell in range(n) for tap in range(size)})

    up2 = rows(score_fr, taps[0], 2)
    up4 = rows(pool4 if cropped else up2, taps[1], 2)
    up8 = rows(pool3 if cropped else up4, taps[2], 8)
    cut = [(up2 - pool4) - 2, (up4 - pool3) - 1, (up8 - side) - 4]
    if centred:
        cut = [(up2 - pool4) // 2, (up4 - pool3) // 2, (up8 - side) // 2]
    return {
        "pool3": pool3,
        "pool4": pool4,
        "score_fr": score_fr,
        "upscore2": up2,
        "upscore_pool4": up4,
        "upscore8": up8,
        "cut_behind": cut,
    }


def expected(side):
    return _traced(side)


MISTAKES = {
    "the pools round up: a window that is only half inside the map still gives a value": lambda side: (
        _traced(side, halved=lambda n: n // 2)
    ),
    "the last kernel is longer than the stride: an upsampled map has stride * (n - 1) + kernel rows": lambda side: (
        _traced(side, taps=(2, 2, 8))
    ),
    "after the crop and the sum, the map has the size of the pool that it was added to": lambda side: (
        _traced(side, cropped=False)
    ),
    "the crops are not centred: each begins at its own fixed row, and the rest is cut off behind": lambda side: (
        _traced(side, centred=True)
    ),
}

"""Exercise 16.1, trace: what a thread of im2col copies.

A picture of H x W pixels with C channels is padded by `padding` zeros on every side. A
window of k x k pixels moves over it with the given stride. There are `ow` windows in a row.
The patch matrix has one row for each window. Within a row, the numbers are ordered by the
row `a` in the window, then by the column `b`, then by the channel `c`; the channel changes
fastest. Thread `t` makes number t of the matrix, counted row after row.

Write `copied(t, H, W, C, k, stride, padding, ow)`. It returns the triple (u, v, c) of the
pixel's row, its column and its channel. If the thread copies a zero of the padding, it
returns None. Start with the fastest index and use divmod.

    copied(100, 4, 5, 2, 3, 1, 1, 5) -> (1, 1, 0)
    copied(0, 4, 5, 2, 3, 1, 1, 5)   -> None
"""


def copied(t, H, W, C, k, stride, padding, ow):
    """The pixel and the channel that thread t copies, or None for a zero of the padding."""
    # BEGIN SOLUTION
    rest, c = divmod(t, C)
    rest, b = divmod(rest, k)
    rest, a = divmod(rest, k)
    i, j = divmod(rest, ow)
    u, v = stride * i + a - padding, stride * j + b - padding
    return (u, v, c) if 0 <= u < H and 0 <= v < W else None
    # For t = 100: 100 = 50 * 2 + 0, so c = 0; 50 = 16 * 3 + 2, so b = 2; 16 = 5 * 3 + 1, so
    # a = 1; 5 = 1 * 5 + 0, so the window is (1, 0). The pixel is (1 + 1 - 1, 0 + 2 - 1) =
    # (1, 1).
    # END SOLUTION


# --- check

from itertools import product


def cases(rng):
    found = [(100, 4, 5, 2, 3, 1, 1, 5), (0, 4, 5, 2, 3, 1, 1, 5)]
    for H, W, C, k, stride, padding in (
        (6, 7, 3, 2, 2, 0),
        (5, 9, 2, 3, 2, 1),
        (4, 4, 1, 3, 1, 2),
    ):
        oh, ow = ((size + 2 * padding - k) // stride + 1 for size in (H, W))
        found += [
            (int(t), H, W, C, k, stride, padding, ow)
            for t in rng.integers(0, oh * ow * k * k * C, 6)
        ]
    return found


def expected(t, H, W, C, k, stride, padding, ow):
    oh = (H + 2 * padding - k) // stride + 1
    i, j, a, b, c = list(product(range(oh), range(ow), range(k), range(k), range(C)))[t]
    u, v = stride * i + a - padding, stride * j + b - padding
    return (u, v, c) if u in range(H) and v in range(W) else None


def _shown(u, v, c, H, W):
    return (u, v, c) if 0 <= u < H and 0 <= v < W else None


def _channel_first(t, H, W, C, k, stride, padding, ow):
    rest, b = divmod(t, k)
    rest, a = divmod(rest, k)
    rest, c = divmod(rest, C)
    i, j = divmod(rest, ow)
    return _shown(stride * i + a - padding, stride * j + b - padding, c, H, W)


def _rows_and_columns(t, H, W, C, k, stride, padding, ow):
    rest, c = divmod(t, C)
    rest, a = divmod(rest, k)
    rest, b = divmod(rest, k)
    i, j = divmod(rest, ow)
    return _shown(stride * i + a - padding, stride * j + b - padding, c, H, W)


def _no_padding(t, H, W, C, k, stride, padding, ow):
    rest, c = divmod(t, C)
    rest, b = divmod(rest, k)
    rest, a = divmod(rest, k)
    i, j = divmod(rest, ow)
    return _shown(stride * i + a, stride * j + b, c, H, W)


MISTAKES = {
    "the channel changes fastest, so it is the first remainder: divmod(t, C)": _channel_first,
    "within a window the column b changes faster than the row a": _rows_and_columns,
    "the window at 0 begins in the padding: subtract it from row and column": _no_padding,
}

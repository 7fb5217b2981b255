"""Exercise 0.2, change: the rows that are left out.

FCN-8s makes its coarse scores larger in three steps: a kernel of 4 cells with a stride of
2, the same again, and a kernel of 16 cells with a stride of 8. A step with kernel k and
stride s makes n rows into (n - 1) * s + k. The result has more rows than the photograph.
The first 31 rows are left out, and so are the rows behind the photograph.

Now change the last step: FCN-16s enlarges once with a kernel of 4 and a stride of 2, then
with a kernel of 32 and a stride of 16, and leaves the first 27 rows out.

Write `left_out(n, cells, steps, first)` for a photograph of n rows and coarse scores of
`cells` rows. `steps` is a list of (kernel, stride). `first` is the number of rows that are
left out before the photograph. It returns two numbers: the rows of the enlarged map, and
the rows that are left out behind the photograph.

    left_out(500, 16, [(4, 2), (4, 2), (16, 8)], 31) -> 568, 37
"""


def left_out(n, cells, steps, first):
    """The rows of the enlarged map, and those left out behind the photograph."""
    # BEGIN SOLUTION
    rows = cells
    for kernel, stride in steps:
        rows = (rows - 1) * stride + kernel
    return rows, rows - first - n
    # END SOLUTION


# --- check

FCN8S, FCN16S, FCN32S = [(4, 2), (4, 2), (16, 8)], [(4, 2), (32, 16)], [(64, 32)]


def cases(rng):
    return [
        (500, 16, FCN8S, 31),
        (500, 16, FCN16S, 27),
        (500, 16, FCN32S, 19),
        (375, 12, FCN8S, 31),
        (506, 16, FCN8S, 31),
    ]


def expected(n, cells, steps, first):
    """Mark the rows on which each cell's kernel lies, and count."""
    marked = set(range(cells))
    for kernel, stride in steps:
        marked = {stride * cell + tap for cell in marked for tap in range(kernel)}
    return len(marked), len([row for row in marked if row >= first + n])


def _times_stride(n, cells, steps, first):
    for _, stride in steps:
        cells *= stride
    return cells, cells - first - n


def _not_one_less(n, cells, steps, first):
    for kernel, stride in steps:
        cells = cells * stride + kernel
    return cells, cells - first - n


def _half(n, cells, steps, first):
    rows, _ = expected(n, cells, steps, first)
    return rows, (rows - n) // 2


def _all_of_them(n, cells, steps, first):
    rows, _ = expected(n, cells, steps, first)
    return rows, rows - n


MISTAKES = {
    "kernels overlap and reach beyond the last cell: n cells become (n - 1) * stride + kernel": _times_stride,
    "n cells have n - 1 steps between them, and one kernel at the end": _not_one_less,
    "the surplus is not divided in two halves: `first` rows are left out before the photograph": _half,
    "this counts the rows before the photograph, too": _all_of_them,
}

"""Matrix products cut so small that BLAS reads their factors where they lie.

BLAS copies the factors of a large product into an order that suits the processor, and then multiplies. A factor that is
used for few rows does not repay its copy. OpenBLAS has routines without this copy for products of at most a million
multiplications, on processors with AVX-512. For 64 and 128 input channels they are 1.3 and 1.2 times as fast. With more
channels, or on another processor, copying is faster. Then the product is not cut.
"""

from functools import cache

import numpy as np

from fcn_from_scratch.engine import threads

MOST = 10**6  # multiplications in one product without copies
WIDEST = 128  # input channels; with more, the parts have so few rows that copying pays
NARROW = 64  # input channels; up to here, groups of 128 columns are faster than groups of 64
LEAST = 16  # columns; fewer are no group of their own
WITHOUT_COPIES = ("SkylakeX", "Cooperlake", "SapphireRapids")  # the names of OpenBLAS's routines for AVX-512


def pays(inner):
    """Whether cutting a product over `inner` numbers makes it faster."""
    return inner <= WIDEST and without_copies()


@cache
def without_copies():
    """Whether BLAS has routines here that make no copies of small factors."""
    return threads.blas_kernel().endswith(WITHOUT_COPIES)


def grouped(xp, b):
    """Sort the columns of the second factors, (Q, inner, columns), into groups: (Q, groups, inner, width).

    There is one group, and no copy, if a product over `inner` numbers is not cut.
    """
    places, inner, columns = b.shape
    if xp is not np or not pays(inner):
        return b[:, None]
    most = 128 if inner <= NARROW else 64
    width = next((width for width in range(min(most, columns), LEAST, -1) if columns % width == 0), columns)
    return np.ascontiguousarray(b.reshape(places, inner, -1, width).swapaxes(1, 2))


def multiply(xp, a, b, out):
    """Compute out[q] = a[q] @ b[q] for every q, where `grouped` has sorted the columns of b.

    Shapes: a (Q, rows, inner); b (Q, groups, inner, width); out (Q, rows, groups * width).
    """
    places, rows, inner = a.shape
    _, groups, _, width = b.shape
    if xp is not np or not pays(inner):
        xp.matmul(a, b[:, 0], out=out)
        return
    at_once = max(MOST // (inner * width), 1)
    at_once = -(-rows // -(-rows // at_once))
    whole = rows // at_once * at_once
    for start, stop, count in ((0, whole, at_once), (whole, rows, rows - whole)):
        if start < stop:
            left = a[:, start:stop].reshape(places, -1, 1, count, inner)
            target = out[:, start:stop].reshape(places, -1, count, groups, width).swapaxes(2, 3)
            xp.matmul(left, b[:, None], out=target)

"""2x2 pooling at stride 2, and unpooling. CuPy does it with maxima, masks and fancy indices of whole arrays."""

import numpy as np

from fcn_from_scratch import kernels
from fcn_from_scratch.kernels.launch import launch
from fcn_from_scratch.lab.bench.kernel_cases.work import REAL, KernelCase, moved, normal, size_of, taps

K, NONE, ONE = (2, 2), (0, 0), (1, 1)
WINDOW = K, K, NONE


def _maps(sizes, xp, rng):
    """(a map, a map of the pooled size, random positions 0..3 of the winners in their windows)"""
    n, h, w, c = sizes.pooled
    winner = xp.asarray(rng.integers(0, 4, sizes.pooled, dtype=np.uint8))
    return normal(xp, rng, n, 2 * h, 2 * w, c), normal(xp, rng, *sizes.pooled), winner


def max_pool(sizes, xp, rng):
    x, y, winner = _maps(sizes, xp, rng)

    def theirs():
        one, two, three, four = taps(x)
        best = xp.maximum(xp.maximum(one, two), xp.maximum(three, four))
        place = xp.where(one == best, 0, xp.where(two == best, 1, xp.where(three == best, 2, 3)))
        return best, place.astype(np.uint8)

    return KernelCase(
        lambda: kernels.max_pool(x, sizes.pooled[1:3], *WINDOW, ONE),
        theirs,
        "maximum, where(tap == maximum)",
        size_of(x),
        moved(x, y, winner),
    )


def max_pool_backward(sizes, xp, rng):
    x, dy, winner = _maps(sizes, xp, rng)

    def theirs():
        dx = xp.empty(x.shape, REAL)
        for place, tap in enumerate(taps(dx)):
            tap[...] = dy * (winner == place)
        return dx

    return KernelCase(
        lambda: kernels.max_pool_backward(dy, winner, x.shape, *WINDOW, ONE),
        theirs,
        "four dx[...] = dy * (winner == place)",
        size_of(x),
        moved(x, dy, winner),
    )


def max_pool_indices_backward(sizes, xp, rng):
    dx, dy, indices = _unpooling(sizes, xp, rng)
    (n, pixels, c), cells = dx.shape, dy.shape[1]
    order = xp.ascontiguousarray(xp.argsort(indices, axis=1))
    gathered = xp.zeros(dx.shape, REAL)

    def ours():
        launch("max_pool_indices_backward", dy.size, dy, indices, order, gathered, n, cells, pixels, c)
        return gathered

    def theirs():
        scattered = xp.zeros(dx.shape, REAL)
        xp.put_along_axis(scattered, indices, dy, axis=1)  # windows do not overlap, so no values need adding
        return scattered

    return KernelCase(
        ours,
        theirs,
        "put_along_axis(zeros, ...)",
        size_of(dx),
        moved(dy, dy, indices, order),  # dx: only the pixels that are written
    )


def avg_pool(sizes, xp, rng):
    x, y, _ = _maps(sizes, xp, rng)
    n, h, w, c = sizes.pooled
    return KernelCase(
        lambda: kernels.avg_pool(x, (h, w), *WINDOW, True),
        lambda: x.reshape(n, h, 2, w, 2, c).mean(axis=(2, 4)),
        "x.reshape(...).mean(axis)",
        size_of(x),
        moved(x, y),
    )


def avg_pool_backward(sizes, xp, rng):
    x, dy, _ = _maps(sizes, xp, rng)
    return KernelCase(
        lambda: kernels.avg_pool_backward(dy, x.shape, *WINDOW, True),
        lambda: (dy / 4).repeat(2, axis=1).repeat(2, axis=2),
        "(dy / 4).repeat().repeat()",
        size_of(x),
        moved(x, dy),
    )


def _unpooling(sizes, xp, rng):
    """(fine map, coarse map, for each coarse pixel the index of a fine pixel), all (N, pixels, C)."""
    fine, coarse, winner = _maps(sizes, xp, rng)
    n, h, w, c = sizes.pooled
    row, column = np.indices((h, w))
    corner = xp.asarray((2 * row * 2 * w + 2 * column)[None, :, :, None])
    indices = (corner + winner // 2 * (2 * w) + winner % 2).astype(np.int64)
    return fine.reshape(n, -1, c), coarse.reshape(n, -1, c), indices.reshape(n, -1, c)


def max_unpool_owner(sizes, xp, rng):
    fine, coarse, indices = _unpooling(sizes, xp, rng)
    (n, pixels, c), cells = fine.shape, coarse.shape[1]
    owner = xp.full(fine.shape, -1, np.int32)
    number = xp.broadcast_to(xp.arange(cells, dtype=np.int32)[:, None], coarse.shape)

    def ours():
        launch("max_unpool_owner", indices.size, indices, owner, n, cells, pixels, c)
        return owner

    def theirs():
        signed = xp.full(fine.shape, -1, np.int32)
        xp.put_along_axis(signed, indices, number, axis=1)
        return signed

    signatures = indices.size * owner.itemsize  # written to scattered places of `owner`; each cell has its own place
    return KernelCase(ours, theirs, "put_along_axis(full(-1), ...)", size_of(indices), indices.nbytes + signatures)


def max_unpool(sizes, xp, rng):
    y, x, indices = _unpooling(sizes, xp, rng)
    (n, pixels, c), cells = y.shape, x.shape[1]
    owner = xp.full(y.shape, -1, np.int32)
    launch("max_unpool_owner", indices.size, indices, owner, n, cells, pixels, c)

    def ours():
        launch("max_unpool", y.size, x, owner, y, n, cells, pixels, c)
        return y

    def theirs():
        fine = xp.zeros(y.shape, REAL)
        xp.put_along_axis(fine, indices, x, axis=1)
        return fine

    return KernelCase(ours, theirs, "put_along_axis(zeros, ...)", size_of(y), moved(x, owner, y))


def max_unpool_backward(sizes, xp, rng):
    dy, dx, indices = _unpooling(sizes, xp, rng)
    (n, pixels, c), cells = dy.shape, dx.shape[1]

    def ours():
        launch("max_unpool_backward", dx.size, dy, indices, dx, n, cells, pixels, c)
        return dx

    return KernelCase(
        ours,
        lambda: xp.take_along_axis(dy, indices, axis=1),
        "take_along_axis(dy, indices)",
        size_of(dy),
        moved(dx, dx, indices),  # dy: only the pixels that are read
    )


CASES = {
    "max_pool": max_pool,
    "max_pool_backward": max_pool_backward,
    "max_pool_indices_backward": max_pool_indices_backward,
    "avg_pool": avg_pool,
    "avg_pool_backward": avg_pool_backward,
    "max_unpool_owner": max_unpool_owner,
    "max_unpool": max_unpool,
    "max_unpool_backward": max_unpool_backward,
}

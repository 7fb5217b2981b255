"""Lesson 16, answers to the exercises: what does the GPU do differently?"""

# %%
from collections import Counter

import numpy as np

from fcn_from_scratch.course import check

rng = np.random.default_rng(16)

# %% [markdown]
# ## 1. Trace
# The picture has 4x5 outputs, the matrix a row for each and 3*3*2 = 18 columns. Taken apart as the kernel
# does it:
#
#     100 = 50 * 2 + 0     channel 0
#      50 = 16 * 3 + 2     b = 2
#      16 =  5 * 3 + 1     a = 1
#       5 =  1 * 5 + 0     i = 1, j = 0
#
# So `u = i + a - 1 = 1` and `v = j + b - 1 = 1`: thread 100 copies channel 0 of pixel (1, 1), which stands
# at (1*5 + 1)*2 + 0 = 12 in memory.
#
# Pixel (1, 2) lies inside: the windows of its 9 neighbours, itself included, hold it, so 9 threads copy
# it. For the corner (0, 0) only 4 windows stand in the picture. And most of what the other threads round
# the rim copy is no pixel, but the zero beyond it.

# %%
H, W, C, k = 4, 5, 2, 3


def source(at):
    """What thread `at` copies: (u, v, c), or None for a zero."""
    rest, c = divmod(at, C)
    rest, b = divmod(rest, k)
    rest, a = divmod(rest, k)
    i, j = divmod(rest, W)
    u, v = i + a - 1, j + b - 1
    return (u, v, c) if 0 <= u < H and 0 <= v < W else None


copies = Counter(map(source, range(H * W * k * k * C)))
check("thread 100 copies pixel (1, 1), channel 0", source(100) == (1, 1, 0))
check("nine threads copy pixel (1, 2), channel 1", copies[1, 2, 1] == 9)
check("four copy the corner", copies[0, 0, 1] == 4)

# %% [markdown]
# ## 2. Change
# Halve, and round **up**: of `n` numbers the first `half = (n + 1) // 2` stay, and thread `t` adds number
# `t + half` if there is one. When `n` is odd, the last of those that stay gets nothing. Go on until one is
# left. Each floor has its barrier, as before: what is read was written on the floor above.
#
# A block of 100 goes through 100, 50, 25, 13, 7, 4, 2, 1: seven floors, and a barrier before the first, so
# eight. (`ceil(log2(n)) + 1` in general. The last could be spared, if only thread 0 reads the sum.)


# %%
def tree_sum(t, values, shared, passed):
    """Thread t of a tree for any number of threads; `passed` counts the barriers of thread 0."""
    shared[t] = values[t]
    passed[0] += t == 0
    yield
    left = len(values)
    while left > 1:
        half = (left + 1) // 2
        if t + half < left:
            shared[t] += shared[t + half]
        passed[0] += t == 0
        yield
        left = half


def block(kernel, order, *arguments):
    """Run a block: every thread goes on to its next barrier or to its end, then the next one."""
    threads = [kernel(t, *arguments) for t in order]
    while threads:
        threads = [thread for thread in threads if next(thread, "ended") != "ended"]


# %%
right = True
for count in range(1, 40):
    values = rng.integers(-9, 10, count).astype(float)
    for order in (range(count), range(count - 1, -1, -1), rng.permutation(count)):
        shared = np.full(count, np.nan)
        block(tree_sum, order, values, shared, [0])
        right &= shared[0] == values.sum()
check("1 to 39 threads, in three orders each", bool(right))
passed = [0]
block(tree_sum, range(100), np.ones(100), np.full(100, np.nan), passed)
check("a block of 100 passes eight barriers", passed == [8])

# %% [markdown]
# ## 3. Prove
# One axis is enough: the condition on rows and that on columns do not mix. The scatter adds number
# `(i, a)`, with `0 <= i < oh` and `0 <= a < kh`, to the row
#
#     u = sh*i + dh*a - ph          if that is a row of the picture
#
# So the set that row `u` receives is  S(u) = {(i, a): sh*i + dh*a - ph = u}. The gather goes through all `a`,
# each once, computes `down = u + ph - dh*a`, and takes `(down / sh, a)` when `down` is not negative, `sh`
# divides it, and `down / sh < oh`. Call these pairs G(u).
#
# *G in S*: `i = down / sh` is a whole number from 0 to oh - 1, and `sh*i = u + ph - dh*a` is the equation.
# *S in G*: for `(i, a)` of S the equation says `down = sh*i`. That is not negative, divisible by `sh`, and its
# quotient is `i < oh`. So the gather takes `(i, a)`.
# *Each once*: to one `a` belongs one `down`, so one `i`. Dilation may bring several `a` to the same row,
# with different `i`; they are different pairs.
#
# Nothing was said about the order, and that is all the two differ in: equal in exact arithmetic, and in
# floating point up to rounding.

# %%
equal = True
for _ in range(200):
    size, taps, stride, dilation, padding = rng.integers((1, 1, 1, 1, 0), (20, 5, 4, 4, 4)).tolist()
    out = (size + 2 * padding - dilation * (taps - 1) - 1) // stride + 1
    scattered, gathered = Counter(), Counter()
    for i in range(out):
        for a in range(taps):
            u = stride * i + dilation * a - padding
            if 0 <= u < size:
                scattered[u, i, a] += 1
    for u in range(size):
        for a in range(taps):
            down = u + padding - dilation * a
            if down >= 0 and down % stride == 0 and down // stride < out:
                gathered[u, down // stride, a] += 1
    equal &= scattered == gathered
check("the same additions, each once, for 200 shapes", equal)

"""Lesson 9, answers to the exercises: what ways are there to go back up?"""

# %%
import numpy as np

from fcn_from_scratch import ops
from fcn_from_scratch.course import check

# %% [markdown]
# ## 1. Trace
#
#     4 times the kernel     4 12 12  4
#     8 times the kernel          8 24 24  8
#     0 times the kernel               0  0  0  0
#     sum                    4 12 20 28 24  8  0  0
#     divided by 4           1  3  5  7  6  2  0  0
#     padding 1                 3  5  7  6  2  0
#
# A resize gives 4 5 7 6 2 0. Only the first number differs: it has one copy, 3/4 of 4, and the resize
# repeats the 4. At the other end the same happens, but 3/4 of 0 is 0. A border of zeros fades unseen.

# %%
row = np.array([[4.0, 8, 0]])[None, None]
kernel = np.array([[1.0, 3, 3, 1]])[None, None] / 4
painted = ops.conv_transpose2d(row, kernel, None, (1, 2), (0, 1))[0, 0, 0]
resized = ops.interpolate_bilinear(row, (1, 6))[0, 0, 0]
print(painted, resized)
check("painted", np.array_equal(painted, [3, 5, 7, 6, 2, 0]))
check("only the first differs from the resize", np.array_equal(np.flatnonzero(painted != resized), [0]))

# %% [markdown]
# ## 2. Change
# The hat of size 6 has the factor 3: its taps are (1, 3, 5, 5, 3, 1)/6, made for stride 3. At stride 4 the
# taps that meet are the first and the fifth, the second and the sixth, the third alone, the fourth alone:
#
#     1/6 + 3/6 = 4/6     3/6 + 1/6 = 4/6     5/6     5/6
#
# So a map of ones becomes a pattern of 4/6 and 5/6 along each axis, and nowhere 1: ripples, four pixels
# long. In two dimensions the products: 16/36, 20/36, 25/36.

# %%
flat = np.ones((1, 1, 6, 6))
ripples = ops.bilinear_upsample(flat, 6, 4)[0, 0, 4:-4, 4:-4]
check("16/36, 20/36 and 25/36", np.allclose(np.unique(ripples.round(12)), np.array([16, 20, 25]) / 36))
check("in periods of four", np.allclose(ripples[4:], ripples[:-4]) and np.allclose(ripples[:, 4:], ripples[:, :-4]))

# %% [markdown]
# ## 3. Prove
# Along one axis. Fine pixel `o` gets tap `a` from coarse pixel `i` if `o = s i + a`. Inside, every such
# `i` exists, so for a map of ones it gets
#
#     g(o) = sum of w[a] over all a with a = o (mod s)
#
# This depends on `o mod s` only: there are `s` values, the sums of every `s`-th tap from `0, 1, ..., s-1` on.
# The map is constant exactly if all of them agree. (In two dimensions the same holds for both axes at
# once, with `s * s` sums.)
#
# The hat of size `2s` has the centre `s - 1/2`, and two taps for each sum, `a < s` left of the centre and
# `a + s` right of it:
#
#     w[a] + w[a + s] = 1 - (s - 1/2 - a)/s + 1 - (a + s - s + 1/2)/s = 2 - s/s = 1
#
# The hat of size `2s - 1` has the centre `s - 1`, where the tap is 1, and `w[2s - 1]` would be 0. For
# `a < s - 1` the two are `1 - (s - 1 - a)/s + 1 - (a + 1)/s = 2 - s/s = 1`; `a = s - 1` stands alone with 1.

# %%
worst = 0
for s in range(1, 20):
    for size in (2 * s, 2 * s - 1):
        square = ops.bilinear_kernel(size)
        sums = np.array([[square[a::s, b::s].sum() for b in range(s)] for a in range(s)])
        worst = max(worst, np.abs(sums - 1).max())
check("hats of size 2s and 2s - 1 for s = 1 ... 19: all sums are 1", worst < 1e-12, f"{worst:.0e}")

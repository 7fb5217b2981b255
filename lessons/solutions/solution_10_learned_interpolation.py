"""Lesson 10, answers to the exercises: what does "interpolation is learned" mean, and why is it done in one step?"""

# %%
import numpy as np

from fcn_from_scratch import ops
from fcn_from_scratch.course import check

rng = np.random.default_rng(10)

# %% [markdown]
# ## 1. Trace
#
#     the row              0 0 4 0 0
#     by 2                 1 3 3 1                                  (and zeros around)
#     by 2 again           1/4 3/4 3/2 5/2 3 3 5/2 3/2 3/4 1/4      largest: 3
#     once by 4            1/2 3/2 5/2 7/2 7/2 5/2 3/2 1/2          largest: 7/2
#
# Two steps reach further, 10 pixels and not 8, and are lower: the peak is cut off. Both sum to 16.

# %%
row = np.array([0.0, 0, 4, 0, 0])


def upsampled(row, size, stride):
    """A row, upsampled with the hat of this size."""
    taps = ops.bilinear_kernel(size)
    taps = taps.sum(axis=0) / taps.sum() * stride  # one axis of it: its taps sum to the stride
    return ops.conv_transpose2d(row[None, None, None], taps[None, None, None], None, (1, stride))[0, 0, 0]


twice, once = upsampled(upsampled(row, 4, 2), 4, 2), upsampled(row, 8, 4)
check("by 2, again", np.allclose(twice[twice > 0] * 4, [1, 3, 6, 10, 12, 12, 10, 6, 3, 1]))
check("once by 4", np.allclose(once[once > 0] * 2, [1, 3, 5, 7, 7, 5, 3, 1]))
check("the sums are equal", np.allclose([twice.sum(), once.sum()], 16))

# %% [markdown]
# ## 2. Change
# A fine pixel sees `k / s` coarse pixels per axis: 2 with a kernel of 8, 3 with one of 12. Through which
# taps depends only on its place in the 4x4 block, and no tap belongs to two places. So the fit falls apart
# into 16 small ones: predict the pixel at one place of the block from its 2x2, or 3x3, coarse neighbours.

# %%
s = 4


def edges(count, size=48):
    """Maps that are 0 on one side of a straight line and 1 on the other."""
    u = np.arange(size) - (size - 1) / 2
    angle, shift = (rng.uniform(*ends, count)[:, None, None] for ends in ((0, 2 * np.pi), (-size / 4, size / 4)))
    return (np.cos(angle) * u[:, None] + np.sin(angle) * u + shift > 0).astype(float)[:, None]


def examples(fine, k, place):
    """The coarse neighbours that a kernel of size k uses for one place of each block, and the pixels there."""
    coarse, cells = ops.avg_pool2d(fine, s), np.arange(3, 9)  # blocks 3 to 8 of 12: away from the border
    rows, columns = (cells[:, None] + (p + (k - s) // 2) // s - np.arange(k // s) for p in place)
    seen = coarse[:, 0][:, rows[:, None, :, None], columns[None, :, None, :]]
    return seen.reshape(-1, (k // s) ** 2), fine[:, 0, place[0] :: s, place[1] :: s][:, 3:9, 3:9].ravel()


def error(k):
    """The squared error on new edges of the best kernel of size k for the old ones."""
    errors = []
    for place in np.ndindex(s, s):
        taps = np.linalg.lstsq(*examples(train, k, place), rcond=None)[0]
        seen, wanted = examples(test, k, place)
        errors.append(((seen @ taps - wanted) ** 2).mean())
    return np.mean(errors)


train, test = edges(1000), edges(1000)
error_8, error_12 = error(8), error(12)
gain = 1 - error_12 / error_8
check("three neighbours per axis are better than two", error_12 < error_8, f"by {gain:.0%}")

# %% [markdown]
# The step from 8 to 12 gains more than learning the kernel of size 8 did. Which pixels a layer can see is often
# worth more than how finely its numbers are tuned.

# %%
check("by more than a tenth", gain > 0.1, f"{error_8:.5f} to {error_12:.5f}")

# %% [markdown]
# ## 3. Prove
# Along one axis; the hat is a product of two rows, so both axes follow. Let `f` be the function that has
# the value `x[i]` at `i`, zero at all other whole numbers, and straight lines in between. The hat of
# size `2s - 1` has its centre tap, 1, on place `s - 1`, and falls by `1/s` per place, to 0 at `s` places
# from there. So
#
#     up(x)[o] = f((o - (s - 1)) / s)
#
# The doubled row is `z[m] = f((m - 1) / 2)`: `f` at all whole and half numbers. Draw straight lines
# between *these*, and call that function `g`, `g(m) = z[m]`. On a half interval `f` is already straight,
# so `g(t) = f((t - 1) / 2)` everywhere. Upsampling `z` by `s` gives
#
#     g((o - (s - 1)) / s) = f((o - (s - 1) - s) / 2s) = f((o - (2s - 1)) / 2s)
#
# which is `x` upsampled by `2s` with the hat of size `4s - 1`. The sizes agree, too: `n` numbers become
# `2n + 1` and then `2sn + 2s - 1`. With even hats `z` holds `f` at quarters, the whole numbers
# are not among them, and the line from 3/4 to 5/4 misses the corner at 1: there `g` is not `f`.

# %%
x = rng.normal(size=(2, 3, 5, 6))
gaps = [
    np.abs(
        ops.bilinear_upsample(ops.bilinear_upsample(x, 3, 2), 2 * s - 1, s) - ops.bilinear_upsample(x, 4 * s - 1, 2 * s)
    ).max()
    for s in range(1, 17)
]
check("for s = 1 ... 16", max(gaps) < 1e-12, f"{max(gaps):.0e}")

"""Lesson 8, answers to the exercises: can the same be had in one pass? Can pooling be removed?"""

# %%
import numpy as np

from fcn_from_scratch.course import check
from fcn_from_scratch.dense import rarefy, shift_and_stitch
from fcn_from_scratch.geometry import receptive_field
from fcn_from_scratch.layers import Conv2d, MaxPool2d, Sequential

rng = np.random.default_rng(8)

# %% [markdown]
# ## 1. Trace
# The output stride is 4. Each layer's dilation is the product of the strides removed before it.
#
#     layer        as it was       rarefy(net)              rarefy(net, 2)
#                  stride  span    stride  dilation  span   stride  dilation  span
#     conv 5x5     2       5       1       1         5      2       1         5
#     pool 3x3     2       3       1       2         5      1       1         3
#     conv 3x3     1       3       1       4         9      1       2         5
#     conv 1x1     1       1       1       4         1      1       2         1
#
# `rarefy(net, 2)` keeps the first stride. What comes before the removed one is left as it was. A 1x1
# convolution has nothing to put holes between: whatever its dilation, it spans one cell.

# %%
net = Sequential(Conv2d(3, 4, 5, stride=2), MaxPool2d(3, stride=2), Conv2d(4, 5, 3), Conv2d(5, 2, 1))


def table(net):
    """(stride, dilation, span) of every layer."""
    return [(la.stride[0], la.dilation[0], la.dilation[0] * (la.kernel_size[0] - 1) + 1) for la in net.layers]


check("rarefy(net)", table(rarefy(net)) == [(1, 1, 5), (1, 2, 5), (1, 4, 9), (1, 4, 1)])
check("rarefy(net, 2)", table(rarefy(net, 2)) == [(2, 1, 5), (1, 1, 3), (1, 2, 5), (1, 2, 1)])
check("the field stays what it was", receptive_field(net).size == receptive_field(rarefy(net, 2)).size == 17)

# %% [markdown]
# ## 2. Change
# `rarefy` makes each padding as many times larger as it makes the dilation.
#
# Inside, nothing changes. At the border the two maps part, because they pad at different places: each
# of the sixteen passes puts its zeros round *its* picture, the rarefied net round the whole one. With
# paddings of 1, 1 and 1 at cells of 1, 2 and 4 pixels, the first field begins 1 + 2 + 4 = 7 pixels
# before the picture. So from row 7 on no field meets padding and all is well. If rows were dropped it is
# from row 8 on: a pass pads where its rows were dropped, and its first two answers see that.
# (Not each of these rows has to differ. Of the paper's form the first padding does no harm: its zeros
# and the zeros that came in with the shift are the same.)
#
# Every fourth answer of either map is the coarse map, at the border too. For the stitched map, because
# the first pass *is* the coarse net. For the rarefied one: on the places that the coarse net knows, the
# zeros stand where its zeros stand.

# %%
padded = Sequential(
    Conv2d(2, 3, 3, padding=1, dtype=np.float64),
    MaxPool2d(2),
    Conv2d(3, 4, 3, padding=1, dtype=np.float64),
    MaxPool2d(2),
    Conv2d(4, 2, 3, padding=1, dtype=np.float64),
).eval()
for array in padded.params.values():
    array[...] = rng.integers(-3, 4, array.shape)
x = rng.integers(0, 256, (1, 2, 64, 64)).astype(float)
coarse, rarefied = padded(x), rarefy(padded)(x)
check("rarefied: every fourth answer is the coarse map", np.array_equal(rarefied[:, :, ::4, ::4], coarse))
for form, safe in (("shift", 7), ("drop", 8)):
    stitched = shift_and_stitch(padded, x, form=form)
    differ = (stitched != rarefied).any(axis=(0, 1))
    rows = differ[:30, 20:30].any(axis=1).nonzero()[0]
    check(f"{form}: every fourth answer is the coarse map", np.array_equal(stitched[:, :, ::4, ::4], coarse))
    check(f"{form}: rows differ at the border, none from row {safe} on", 0 < rows.max() < safe, f"rows {rows}")
    check(f"{form}: inside all agree", not differ[8:-12, 8:-12].any())

# %% [markdown]
# ## 3. Prove
# Let `m[i] = max(x[i], x[i + 1])`: the pool of stride 1. The pool of stride 2 over the row without its
# first `a` pixels, `a` being 0 or 1, is `p_a[i] = m[2i + a]`. The filter makes of it
#
#     out_a[i] = sum over k of f[k] p_a[i + k] = sum over k of f[k] m[2(i + k) + a]
#
# and interlaced, with `j = 2i + a`,
#
#     dense[j] = out_a[i] = sum over k of f[k] m[j + 2k]
#
# But `f'[2k] = f[k]`, and `f'` is 0 elsewhere. So this is `sum over q of f'[q] m[j + q]`: the filter
# `f'` over the pool of stride 1. Nothing was used of the maximum but that it looks at a window: any
# layer with a window will do in its place, and `s` in place of 2. Then go on with the next layer.

# %%
row, f = rng.integers(-9, 10, 24), rng.integers(-3, 4, 3)
m = np.maximum(row[:-1], row[1:])
stretched = np.zeros(5, int)
stretched[::2] = f
by_stretching = np.correlate(m, stretched, "valid")
interlaced = np.zeros_like(by_stretching)
for a in (0, 1):
    pooled = m[a::2]
    interlaced[a::2] = np.correlate(pooled, f, "valid")
check("the pool of stride 1 and f' = two passes, interlaced", np.array_equal(by_stretching, interlaced))

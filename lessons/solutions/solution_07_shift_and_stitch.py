"""Lesson 7, answers to the exercises: what is shift-and-stitch?"""

# %%
import numpy as np

from fcn_from_scratch.course import check
from fcn_from_scratch.dense import rarefy, shift_and_stitch
from fcn_from_scratch.layers import Conv2d, MaxPool2d, ReLU, Sequential

rng = np.random.default_rng(7)

# %% [markdown]
# ## 1. Trace
# Seven pixels hold five windows of three: five answers in all. Stride 3, so three passes.
#
#     row          2 7 1 8 2 8 1
#     pass 0       7     8             2 7 1 | 8 2 8 | 1: the last one has no company
#     pass 1         8     8           7 1 8 | 2 8 1
#     pass 2           8               1 8 2 | 8 1
#     interlaced   7 8 8 8 8
#
# The sizes are 2, 2, 1: pass `a` has `ceil((5 - a) / 3)` answers, and together they are five.

# %%
row = np.array([2.0, 7, 1, 8, 2, 8, 1]).reshape(1, 1, 1, 7)
pool = MaxPool2d((1, 3))
passes = [pool(row[..., a:])[0, 0, 0] for a in range(3)]
print(passes)
check("sizes 2, 2, 1", [len(y) for y in passes] == [2, 2, 1])
check("interlaced", np.array_equal(shift_and_stitch(pool, row)[0, 0, 0], [7, 8, 8, 8, 8]))

# %% [markdown]
# ## 2. Change
# Answers every 2 pixels: the windows that begin at 0, 2, 4, ... A pass without `a` pixels has those
# that begin at `4i + a`. So `a` is 0 or 2, in each direction: four passes, a quarter of the cost.


# %%
def stride_4_net():
    net = Sequential(
        Conv2d(3, 4, 3, dtype=np.float64),
        ReLU(),
        MaxPool2d(2),
        Conv2d(4, 5, 3, dtype=np.float64),
        MaxPool2d(2),
        Conv2d(5, 2, 3, dtype=np.float64),
    )
    for array in net.params.values():
        array[...] = rng.integers(-2, 3, array.shape)
    return net.eval()


net, x = stride_4_net(), rng.integers(0, 256, (1, 3, 40, 45)).astype(float)
dense = shift_and_stitch(net, x)
half = np.full((1, 2, 12, 14), np.nan)
for a in (0, 2):
    for b in (0, 2):
        half[:, :, a // 2 :: 2, b // 2 :: 2] = net(x[:, :, a:, b:])
check("every second answer, from four passes", np.array_equal(half, dense[:, :, ::2, ::2]))

# %% [markdown]
# Half of the strides can also be removed from the net (lesson 8), and what is left be stitched.

# %%
partly = rarefy(net, 2)
check("the same from a net of stride 2, in one pass", np.array_equal(partly(x), half))
check("and stitched, with four passes, it answers everywhere", np.array_equal(shift_and_stitch(partly, x), dense))

# %% [markdown]
# ## 3. Prove
# Let `F` be the net on one window: what it says of 18x18 pixels. Without padding each of its outputs
# is such an `F`, and nothing else of the picture matters. Shift-and-stitch gives, at every pixel,
#
#     dense[i, j] = F(x[i : i + 18, j : j + 18])
#
# Let `x'` be `x` moved by one pixel, `x'[i, j] = x[i, j - 1]`. Then
#
#     dense'[i, j] = F(x'[i : i + 18, j : j + 18]) = F(x[i : i + 18, j - 1 : j + 17]) = dense[i, j - 1]
#
# where the window does not reach the column that came in. The map moves along.
#
# The coarse map is `coarse[i, j] = dense[4i, 4j]`. After the move it is `dense[4i, 4j - 1]`: for the
# most part numbers that were not in it before. It moves along if the picture moves by 4, or by a
# multiple of 4. So the class of a pixel in the coarse map can depend on how the grid happens to lie.

# %%
moved = x[:, :, :, :-1]  # as seen from the second column on: `inner` is `moved` one pixel further left
inner = x[:, :, :, 1:]
check(
    "the stitched map moves along",
    np.array_equal(shift_and_stitch(net, inner)[..., :-1], shift_and_stitch(net, moved)[..., 1:]),
)
check("the coarse map does not", not np.array_equal(net(inner)[..., :-1], net(moved)[..., 1:]))
shared = np.isin(net(inner), net(moved)).mean()
check("most of its numbers are new", shared < 0.5, f"{shared:.0%} occurred before")
check("moved by 4, it moves along by 1", np.array_equal(net(x[..., 4:]), net(x)[..., 1:]))

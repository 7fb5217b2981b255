"""Lesson 5, answers to the exercises: how can the input be any size?"""

# %%
import numpy as np

from fcn_from_scratch import geometry
from fcn_from_scratch.course import check
from fcn_from_scratch.dense import convolutionalize
from fcn_from_scratch.layers import Conv2d, Flatten, Linear, MaxPool2d, ReLU, Sequential

rng = np.random.default_rng(5)

# %% [markdown]
# ## 1. Trace
# A 5x5 convolution takes 4 off each side length, a 3x3 one takes 2, the 4x4 one 3; a pool halves and
# rounds down.
#
#     50x75 -> 46x71 -> 23x35 -> 21x33 -> 10x16 -> 8x14 -> 5x11 -> 5x11
#
# Output (2, 5) sees rows 8 to 39 and columns 20 to 51: it begins at four times its place, 32 long.


# %%
def network(*fully_connected):
    """The lesson's convolutions, in float64, and whatever comes after."""

    def convolution(*arguments):
        return Conv2d(*arguments, rng=rng, dtype=np.float64)

    return Sequential(
        *(convolution(3, 8, 5), ReLU(), MaxPool2d(2)),
        *(convolution(8, 16, 3), ReLU(), MaxPool2d(2)),
        *(convolution(16, 24, 3), ReLU(), Flatten()),
        *fully_connected,
    ).eval()


def linear(inputs, outputs):
    return Linear(inputs, outputs, rng=rng, dtype=np.float64)


square = convolutionalize(network(linear(24 * 4 * 4, 48), ReLU(), linear(48, 6)))
rows = [row.size for row in geometry.table(square, (50, 75)).rows if row.kind != "relu"]
check("the sizes", rows == [(46, 71), (23, 35), (21, 33), (10, 16), (8, 14), (5, 11), (5, 11)])

x = rng.normal(size=(1, 3, 50, 75))
y = square(x)[0, :, 2, 5]
inside, outside = rng.normal(size=(2, *x.shape))
outside[:, :, 8:40, 20:52] = 0
inside[:, :, :8], inside[:, :, 40:], inside[..., :20], inside[..., 52:] = 0, 0, 0, 0
check("nothing outside the window matters", np.array_equal(square(x + outside)[0, :, 2, 5], y))
check("what is inside does", not np.allclose(square(x + inside)[0, :, 2, 5], y))

# %% [markdown]
# ## 2. Change
# The crop 32x48 leaves a map of 4x8 where 32x32 left 4x4. The fully connected layer gets
# `24 * 4 * 8` inputs, the convolution a kernel of 4x8. From the number of weights alone nobody can
# tell 4x8 from 8x4 (or 2x16): `convolutionalize` has to be told.

# %%
oblong = network(linear(24 * 4 * 8, 48), ReLU(), linear(48, 6))
fully = convolutionalize(oblong, kernel_size=(4, 8))
heat = fully(x)
crops = np.stack([oblong(x[:, :, 4 * i : 4 * i + 32, 4 * j : 4 * j + 48])[0] for i, j in np.ndindex(5, 7)], axis=1)
check("the map has 5x7 outputs", heat.shape == (1, 6, 5, 7))
check("each is the classifier on its crop", np.abs(heat.reshape(6, -1) - crops).max() < 1e-10)
try:
    convolutionalize(oblong)
except ValueError as error:
    print(f"  without it: {error}")

# %% [markdown]
# ## 3. Prove
# Let the layers up to the last pool cost `c` for each image pixel, away from the border, and the fully
# connected layers `f` for each output. A picture of `n * n` pixels has
# `m = (n - size) / stride + 1` outputs per side. Its cost is at most `c n^2 + f m^2`. Per output:
#
#     c (n / m)^2 + f   ->   c stride^2 + f      since n / m -> stride as n grows
#
# So an output costs what `stride * stride` pixels cost, and the fully connected layers, which are
# never shared. Crop by crop it is about `c size^2 + f`. The saving tends to
#
#     (c size^2 + f) / (c stride^2 + f)
#
# For VGG16, `size` 224 and `stride` 32. With `c size^2` = 15.35 G and `f` = 0.124 G this is
# 15.5 / (15.35 / 49 + 0.124) = 15.5 / 0.437 = 35. A larger picture would save 49 times, were it not
# for the fully connected layers. Here it is, counted (a convolution is padded by 1: `c` is exact).


# %%
def vgg16(n):
    """(cost of the convolutions, cost of fc6 to fc8 at one place, outputs per side) for n x n pixels."""
    cost, before = 0, 3
    for channels, convolutions in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(convolutions):
            cost += n * n * 9 * before * channels
            before = channels
        n = -(-n // 2)
    return cost, 49 * 512 * 4096 + 4096 * 4096 + 4096 * 1000, n - 6


shared, own, _ = vgg16(224)
limit = (shared + own) / (shared / 49 + own)
savings = []
for n in (224, 500, 1000, 4000, 32000):
    convolutions, places, side = vgg16(n)
    savings.append(side**2 * (shared + own) / (convolutions + side**2 * places))
    print(f"  {n:6} pixels: {side**2:7} outputs, {savings[-1]:5.1f} times cheaper than crops")
check("the saving grows with the picture", savings == sorted(savings))
check("towards the limit", 0.98 * limit < savings[-1] < limit, f"{limit:.1f}")

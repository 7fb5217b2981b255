# %% [markdown]
"""
# Lesson 9: How can a coarse map be made large again?

After this lesson you can name five ways from a coarse map to a fine one, and say which of
them are the same operation with different kernels. You can say what a "deconvolution" does,
and that it does not undo a convolution. You can also follow the scores of FCN-32s back to
the size of the picture, and say what happens at the border. (Lesson 8 asks another
question: can pooling be removed, so that the map is not coarse at all?)

Fast path: lesson 11 comes next. On the fast path you have not read lessons 3 and 6; what is
needed of them is repeated here in a sentence each.

Needs: lesson 7 (output stride); lessons 3 and 6 help.
Words: the [glossary](../docs/glossary.md).

Runtime: 3 s on 2 cores
"""

# %% [markdown]
# ## Each coarse value is spread through a kernel
#
# The scores of FCN-32s stand on a grid that is 32 times coarser than the picture. A
# *transposed convolution* makes the grid fine again. Each coarse value is multiplied by a
# kernel, and the result is added to the fine map. For the next coarse value, the kernel
# moves on by one stride. Where neighbouring kernels overlap, their values add up. Here is a
# row of three numbers with stride 2 and four different kernels:
#
#     row                            3 1 2
#     kernel 1 0                     3 0 1 0 2 0                    bed of nails
#     kernel 1 1                     3 3 1 1 2 2                    nearest neighbour
#     kernel 1 2 1, divided by 2     1.5 3 2 1 1.5 2 1              linear
#     kernel 1 3 3 1, divided by 4   .75 2.25 2.5 1.5 1.25 1.75 1.5 .5   linear
#
# In the third result, every second number is a number of the row. In the fourth, the
# numbers of the row lie between the fine ones.

# %% [markdown]
# ## Predict
# 1. How long is the result for `n` numbers, a kernel of size `k` and stride `s`? Use the
#    four rows above.
# 2. A row holds the number 1 everywhere. Which of the four kernels give 1 everywhere,
#    except near the ends?
# 3. FCN-32s upsamples 16x16 scores with `k = 64` and `s = 32`. How large is the result? The
#    picture has 500x500 pixels. What happens to the rest?
# 4. Convolve a picture with a kernel. Then apply the transposed convolution with the same
#    kernel. Do you get the picture back?

# %%
import matplotlib.cbook
import numpy as np
from PIL import Image

from fcn_from_scratch import models, ops, viz
from fcn_from_scratch.course import check, claims, seed

SEED = seed()
rng = np.random.default_rng([SEED, 9])

# %% [markdown]
# ## By hand
# This is the third kernel of the table. The numbers 3, 1 and 2 are each multiplied by the
# kernel (1, 2, 1) / 2. Each product is added two places after the one before.


# %%
def transposed_row(row, taps, stride):
    """The transposed convolution of a row of numbers."""
    up = np.zeros(stride * (len(row) - 1) + len(taps))
    for i, value in enumerate(row):
        up[stride * i : stride * i + len(taps)] += value * np.array(taps)
    return up


up = transposed_row([3, 1, 2], [0.5, 1, 0.5], 2)
print("3 1 2 ->", up)
check("the third line of the table", up.tolist() == [1.5, 3, 2, 1, 1.5, 2, 1])
kernels = {
    "bed of nails": [1, 0],
    "nearest": [1, 1],
    "1 2 1": [0.5, 1, 0.5],
    "1 3 3 1": [0.25, 0.75, 0.75, 0.25],
}
lengths = [len(transposed_row([3, 1, 2], taps, 2)) for taps in kernels.values()]
s, n = 2, 3
check("they have s(n - 1) + k numbers", lengths == [s * (n - 1) + k for k in (2, 2, 3, 4)])

# %% [markdown] tags=["answer"]
# > **Prediction 1.** The result has $s(n - 1) + k$ numbers: the last kernel begins at place
# > $s(n - 1)$ and has $k$ taps. The four rows above have 6, 6, 7 and 8 numbers. If you
# > wrote $s \cdot n$, your answer is right for $k = s$ only.

# %%
ones = {name: transposed_row(np.ones(6), taps, 2) for name, taps in kernels.items()}
for name, row in ones.items():
    print(f"  {name:13}", row)
constant = [name for name, row in ones.items() if np.all(row[3:-3] == 1)]
check("three kernels give 1 inside", constant == ["nearest", "1 2 1", "1 3 3 1"])
constant = [name for name, row in ones.items() if np.all(row == 1)]
check("at the ends, only nearest neighbour does", constant == ["nearest"])

# %% [markdown] tags=["answer"]
# > **Prediction 2.** Three of the four kernels give 1 everywhere, except near the ends: all
# > but the bed of nails. A fine pixel receives every second tap of the kernel: the taps 0,
# > 2, ... or the taps 1, 3, ... . The taps that it receives must add up to 1. For the third
# > kernel the two sums are 1/2 + 1/2 and 1. For the fourth they are 1/4 + 3/4 and 3/4 +
# > 1/4. For the bed of nails they are 1 and 0. Near the ends of the row some of the taps
# > are missing.

# %% [markdown]
# ## Write it yourself, then compare
# The same operation for maps with channels takes ten lines. The input value at channel $c$
# and place $(u, v)$ is multiplied by each tap $(a, b)$ of the kernel, and the product is
# added to output channel $o$:
#
# $$
# y_{o,\;su + a - p,\;sv + b - p} \mathrel{+}= x_{c,\,u,\,v} \cdot w_{c,\,o,\,a,\,b}
# $$
#
# Here $s$ is the stride and $p$ the padding. The padding of a convolution adds rows and
# columns before it begins. The padding of a transposed convolution does the opposite: it
# removes rows and columns from all sides of the result.


# %%
def scatter(x, weight, stride, padding=0):
    """The formula above. Shapes: x (N, in, H, W), weight (in, out, kh, kw)."""
    N, _, H, W = x.shape
    _, out_channels, kh, kw = weight.shape
    y = np.zeros((N, out_channels, stride * (H - 1) + kh, stride * (W - 1) + kw))
    for u, v in np.ndindex(H, W):
        # the kernels, times the values at (u, v)
        copies = np.einsum("nc,coab->noab", x[:, :, u, v], weight)
        y[:, :, stride * u : stride * u + kh, stride * v : stride * v + kw] += copies
    return y[:, :, padding : y.shape[2] - padding, padding : y.shape[3] - padding]


x, weight = rng.normal(size=(2, 3, 4, 5)), rng.normal(size=(3, 2, 4, 3))
ours = scatter(x, weight, stride=2, padding=1)
package_gap = np.abs(ours - ops.conv_transpose2d(x, weight, None, 2, 1)).max()
check(
    "ours = ops.conv_transpose2d, which uses one matrix product",
    package_gap < 1e-12,
    f"{package_gap:.0e}",
)

# %% [markdown]
# ## Three known ways are three kernels
# * **Nearest neighbour** is a kernel of ones that is as large as the stride.
# * **Bed of nails** is a kernel with a single 1. The other fine pixels stay zero.
# * **Bilinear interpolation** gives a fine pixel a weighted mean of the four coarse values
#   around it. Along each axis, the weight of a coarse value falls in a straight line, and
#   reaches zero at the next coarse value, which is `s` fine pixels away. So the kernel is a
#   pyramid that rises over `s` pixels and falls over `s` pixels. Its size is `2s`, and
#   `ops.bilinear_kernel` makes it. The row (1, 3, 3, 1) / 4 is one axis of it for stride 2.

# %%
s = 4
x = rng.normal(size=(1, 1, 6, 7))
block, nail, pyramid = np.ones((s, s)), np.zeros((s, s)), ops.bilinear_kernel(2 * s)
nail[0, 0] = 1


def convt(x, kernel, stride=s, padding=0):
    """The transposed convolution of one channel with this kernel."""
    return ops.conv_transpose2d(x, kernel[None, None], None, stride, padding)


nearest_same = np.array_equal(convt(x, block), ops.upsample_nearest(x, s))
nails_same = np.array_equal(convt(x, nail), ops.bed_of_nails(x, s))
check("nearest neighbour = transposed convolution with ones", nearest_same)
check("bed of nails = transposed convolution with a 1 in the corner", nails_same)

# %% [markdown]
# Compare the third way with a **resize**, as image programs do it. A transposed convolution
# goes through the coarse values. A resize goes through the fine pixels: each of them
# computes its position on the coarse grid, and takes the weighted mean of the four values
# around it. With `padding = s/2`, the transposed convolution gives a map of the same size.

# %%
h = s // 2
resized = ops.interpolate_bilinear(x, (6 * s, 7 * s))
transposed = convt(x, pyramid, padding=h)
inside_gap = np.abs(transposed - resized)[:, :, h:-h, h:-h].max()
border_gap = np.abs(transposed - resized).max()
check(
    "bilinear resize = transposed convolution with the pyramid, inside",
    inside_gap < 1e-12,
    f"{inside_gap:.0e}",
)
check(
    "they differ within s/2 pixels of the border", 0.3 < border_gap < 3, f"{border_gap:.2f}"
)

# %% [markdown]
# ## A fourth and a fifth way
# **Unpooling** uses the positions that a max-pool stored before. Each value goes to the
# place where the maximum was found, and all other places are zero. The fifth way is a
# transposed convolution with any other kernel. A *learned* upsampling is of this kind
# (lesson 10).


# %%
def five_ways(coarse, places, kernel):
    """The five ways, by name. The coarse maps (N, 1, H, W) become s times as large."""
    size = s * coarse.shape[2], s * coarse.shape[3]
    return {
        "nearest neighbour": ops.upsample_nearest(coarse, s),
        "bed of nails": ops.bed_of_nails(coarse, s),
        "max-unpooling": ops.max_unpool2d(coarse, places, size),
        "bilinear": convt(coarse, pyramid, padding=h),
        "random kernel": convt(coarse, kernel, padding=h),
    }


dot, random_kernel = np.zeros((1, 1, 5, 5)), rng.random((2 * s, 2 * s))
dot[0, 0, 2, 2] = 1
_, places = ops.max_pool2d(rng.normal(size=(1, 1, 5 * s, 5 * s)), s)
dots = five_ways(dot, places, random_kernel)
reached = {name: int((y != 0).sum()) for name, y in dots.items()}
print("fine pixels that one coarse value reaches:", reached)
check("each way makes 20x20 of 5x5", {y.shape[2:] for y in dots.values()} == {(20, 20)})
check(
    "one value reaches 16, 1, 1, 64 and 64 fine pixels",
    list(reached.values()) == [16, 1, 1, 64, 64],
)

# %% [markdown]
# ## How does FCN-32s get back to the size of the picture?
# Follow a picture of 500x500 pixels. The first convolution pads it by 100 on each side, and
# its 3x3 kernel takes 1 away on each side. Each of five pools halves the map and rounds up.
# `fc6` is a 7x7 convolution without padding. The other layers keep the size. Then one
# transposed convolution with a bilinear kernel of size 64 and stride 32 upsamples the
# scores. At the end a crop keeps 500 rows and columns, beginning with number 19. In the
# public code of the paper nothing is learned in this upsampling: the kernel stays bilinear.

# %%
n = 500 + 2 * 100 - 2
for _ in range(5):
    n = -(-n // 2)
n = n - 7 + 1
of_ones = ops.bilinear_upsample(np.ones((1, 1, n, n)), 64, 32)[0, 0]
large = len(of_ones)
print(f"500 pixels -> {n} scores -> {large} pixels -> crop 19 .. {19 + 500 - 1}")
sizes = n, large, large - 500, large - 500 - 19
check("16 scores become 544 pixels; 19 and 25 are cut off", sizes == (16, 544, 44, 25))

# %% [markdown]
# Is 19 right? A place of the score map is also called a cell. Cell 0 sees the pixels around
# 12.5, and each next cell sees those 32 pixels further on (lesson 6). So cell 8 sees the
# pixels around 32 * 8 + 12.5 = 268.5. Therefore a 1 in this cell must be spread around
# pixel 268.5 of the picture.

# %%
impulse = np.zeros((1, 1, 16, 16))
impulse[0, 0, 8, 8] = 1
weights = ops.bilinear_upsample(impulse, 64, 32)[0, 0].sum(axis=0)
centre = (weights * np.arange(544)).sum() / weights.sum()
check("cropped from 19 on, cell 8 lies around pixel 268.5", abs(centre - 19 - 268.5) < 1e-9)
check("cropped in the middle, from 22 on: around 265.5", abs(centre - 22 - 265.5) < 1e-9)

# %% [markdown] tags=["answer"]
# > **Prediction 3.** The result has 32 * 15 + 64 = 544 rows and columns. The crop cuts off
# > 19 rows before the picture and 25 behind it. If you wrote 22 on both sides, you cropped
# > in the middle. Then every score would stand 3 pixels too far to the upper left: 265.5
# > instead of 268.5.

# %% [markdown]
# **The last crops of FCN-16s and FCN-8s begin at 27 and 31.** Where do these numbers come
# from? A kernel of size `2s` has its centre at place `s - 1/2`. The crop moves this centre
# to the pixels that cell 0 sees: 31.5 - 12.5 = 19. FCN-16s first upsamples the scores by 2,
# and FCN-8s does so twice (lesson 12). A kernel of size 4 begins 1.5 *finer* cells before
# its centre. So cell 0 moves to 12.5 - 1.5 * 16 = -11.5, and then to -11.5 - 1.5 * 8 =
# -23.5. The crops are 15.5 + 11.5 = 27 and 7.5 + 23.5 = 31. (Lesson 6 also derives the
# crops of the skips, 5 and 9.)
#
# **Why 100?** `fc6` needs 7x7 cells, and so it needs a picture that is large enough. With
# the padding of 100, the README of the public code says, the output can be aligned with the
# input for pictures of any size in the data sets. (97 is the smallest padding that does
# this for every size; lesson 6 derives it.)

# %%
cell_0, stride, last_crops = 12.5, 32, []
for _ in ("FCN-32s", "FCN-16s", "FCN-8s"):
    last_crops.append(stride - 0.5 - cell_0)
    stride //= 2
    cell_0 -= 1.5 * stride
check("the last crops begin at 19, 27 and 31", last_crops == [19, 27, 31])

# %% [markdown]
# ## A constant map fades at the border
# Inside the map, two kernels overlap along each axis, and their taps add up to 1. Before
# the centre of the first coarse value there is only one kernel. There, a resize repeats the
# first value. A transposed convolution adds nothing, as if there were zeros outside. With
# stride 32 and padding 16, the corner of a map of ones is reduced to about a quarter.

# %%
flat = np.ones((1, 1, 5, 5))
faded = ops.bilinear_upsample(flat, 64, 32)[:, :, 16:-16, 16:-16]
corner, edge = faded[0, 0, 0, 0], faded[0, 0, 80, 0]
resized_flat, inside = (
    ops.interpolate_bilinear(flat, (160, 160)),
    faded[0, 0, 16:-16, 16:-16],
)
check("a resize keeps 1 everywhere", np.abs(resized_flat - 1).max() < 1e-12)
check("the transposed convolution keeps 1 inside", np.abs(inside - 1).max() < 1e-12)
check("at the edge it gives 33/64", abs(edge - 33 / 64) < 1e-12, f"{edge:.3f}")
check("in the corner (33/64)**2", abs(corner - (33 / 64) ** 2) < 1e-12, f"{corner:.3f}")

# %% [markdown]
# The **gain** of a pixel is the value that a map of ones has there after the upsampling.
# The kernel has its centre at place 31.5, and its taps fall by 1/32 with each place. The
# padding of 16 removes the places 0 to 15. So the first pixel is place 16. It lies 15.5
# places before the centre, so its gain is $1 - 15.5/32 = 33/64$, and $(33/64)^2$ in the
# corner. In FCN-32s the first pixel is place 19, which lies 12.5 places before the centre:
# $1 - 12.5/32 = 39/64$. There, 13 pixels lie before the first centre and 7 behind the last
# one. So 20 of the 500 pixels of a row have a gain below 1.

# %%
gain = of_ones[19 : 19 + 500, 19 : 19 + 500]
first, fading = gain[250, 0], int((gain[250] < 1 - 1e-9).sum())
check("the first pixel of a row: 39/64", abs(first - 39 / 64) < 1e-12, f"{first:.3f}")
check("20 pixels of a row have a gain below 1", fading == 20, f"{fading}")

# %% [markdown]
# ## Does the fading change the answer?
# **In FCN-32s it does not change the winning class.** All classes of a pixel have the same
# gain, so the largest score stays the largest. But smaller scores mean less certain
# probabilities, and the loss changes with them. If you divide the scores by the gain, you
# get exactly the resize, also at the border.

# %%
scores = 3 * rng.normal(size=(40, 21, 6, 6))
fading_scores = ops.bilinear_upsample(scores, 16, 8)[:, :, 4:-4, 4:-4]
gains = ops.bilinear_upsample(np.ones((1, 1, 6, 6)), 16, 8)[:, :, 4:-4, 4:-4]
exact = ops.interpolate_bilinear(scores, (48, 48))
divided_gap = np.abs(fading_scores / gains - exact).max()
same_winner = np.array_equal(fading_scores.argmax(axis=1), exact.argmax(axis=1))
check(
    "transposed convolution / its gain = resize, everywhere",
    divided_gap < 1e-12,
    f"{divided_gap:.0e}",
)
check("the winning class is the same at every pixel", same_winner)


def certainty(scores):
    """The mean probability of the winning class in the upper left corner."""
    corner = np.exp(scores[:, :, 0, 0])
    return (corner.max(axis=1) / corner.sum(axis=1)).mean()


sure, less_sure = certainty(exact), certainty(fading_scores)
certain = 0.12 < less_sure < 0.3 and 0.45 < sure < 0.75
check("its probability in the corner falls", certain, f"from {sure:.2f} to {less_sure:.2f}")

# %% [markdown]
# **In a network with several score maps it can change the winning class.** FCN-8s is such a
# network, and lesson 12 builds it. It has one score map of output stride 32, like FCN-32s,
# and two more that are computed from earlier layers of the network. Those have the output
# strides 16 and 8. FCN-8s goes up in three steps:
#
#     scores of stride 32 (16x16)     upsample by 2
#     + scores of stride 16 (44x44)   upsample by 2
#     + scores of stride 8 (88x88)    upsample by 8
#
# The maps do not have the same size. The padding of 100 makes the maps of strides 16 and 8
# go on beyond the border of the picture, so before each sum a part of the larger map is cut
# out, from number 5 or 9 on. The map of stride 32 ends near the border, because `fc6` is a
# 7x7 convolution without padding. So at the first pixel of a row, the scores of stride 32
# have the gain 39/64, and the others have the gain 1. Near the border, the scores of stride
# 32 count less in the sum than they do inside. We test this on random scores.


# %%
def way_up(stride_32, stride_16, stride_8):
    """FCN-8s' way from three score maps to a picture of 500x500 pixels."""
    y = ops.bilinear_upsample(stride_32, 4, 2)
    y = ops.bilinear_upsample(y + ops.crop(stride_16, 5, y.shape[2:]), 4, 2)
    return ops.crop(
        ops.bilinear_upsample(y + ops.crop(stride_8, 9, y.shape[2:]), 16, 8), 31, (500, 500)
    )


def maps(count, make):
    """Score maps of the sizes that FCN-8s has for 500x500 pixels."""
    return [make((1, count, size, size)).astype(np.float32) for size in (16, 44, 88)]


one, zero = maps(1, np.ones), maps(1, np.zeros)
gains_8s = [
    way_up(one[0], zero[1], zero[2]),
    way_up(zero[0], one[1], zero[2]),
    way_up(zero[0], zero[1], one[2]),
]
firsts = [float(gains[0, 0, 250, 0]) for gains in gains_8s]
check(
    "gains at the first pixel: 39/64, 1 and 1",
    np.allclose(firsts, [39 / 64, 1, 1], atol=1e-6),
    f"{firsts}",
)

# %%
deep, mid, fine = maps(21, lambda shape: rng.normal(size=shape))
deep_part, rest = way_up(deep, 0 * mid, 0 * fine), way_up(0 * deep, mid, fine)
with_fading = (deep_part + rest).argmax(axis=1)[0]
without_fading = (deep_part / gains_8s[0] + rest).argmax(axis=1)[0]
moved = with_fading != without_fading
fades = gains_8s[0][0, 0] < 1 - 1e-6
share = moved[fades].mean()
print(f"{fades[250].sum()} of 500 pixels of a row fade")
check(
    "on random scores, some of the fading pixels change their class",
    0.04 < share < 0.12,
    f"{share:.1%}",
)
check("no other pixel changes its class", not moved[~fades].any())

# %% [markdown]
# **The small networks of lessons 11 and 12** pad by 1, also in `fc6`. So the first of their
# scores of stride 32 stands half a pixel before the picture and the last one half a pixel
# behind it. In their FCN-32s nothing fades. In their FCN-8s the maps of `pool4` and `pool3`
# end with the picture, and what is added to them is cropped to them. So the upsampling by 8
# gives the first pixel of a row the gain $1 - 3.5/8 = 9/16$. The doubling before it takes a
# factor of 3/4 from all scores of strides 32 and 16: $27/64$. The gains differ, so the
# winning class can change there too. "The fading never changes the winning class" is true
# for FCN-32s only.


# %%
def small_gains(name):
    """For each score layer of a small network: the smallest gain in a row of pixels."""
    net, gains = models.build(name, 1, width=1, fc6_kernel=2), []
    for bias in (key for key in net.params if key.startswith("score") and "bias" in key):
        net.params[bias][...] = 1  # a map of ones: all other scores are still zero
        gains.append(float(net(np.zeros((1, 3, 64, 64), np.float32))[0, 0, 32].min()))
        net.params[bias][...] = 0
    return gains


no_fading, own_gains = small_gains("mini_fcn32s"), small_gains("mini_fcn8s")
check("lesson 11's FCN-32s: the gain is 1 along the row", no_fading == [1])
in_order = own_gains == [27 / 64, 27 / 64, 9 / 16]  # of score_fr, score_pool4, score_pool3
check("lesson 12's FCN-8s: 27/64, 27/64 and 9/16", in_order)

# %% [markdown]
# ## Two more views of the same operation
# **Zeros in between, then a convolution.** Place the pixels as a bed of nails, add `k - 1`
# zeros on all sides, and convolve with the *flipped* kernel: its rows and columns are
# reversed. Why flipped? A fine pixel to the right of a nail needs a tap from the right of
# the kernel. But in the window of this pixel, the nail stands on the left. This convolution
# has a stride of one fine pixel. Counted in coarse pixels, its stride is the fraction 1/s.
# So the operation is also called fractionally strided convolution.

# %%
kernel = rng.normal(size=(5, 5))


def nails_then_convolve(x, kernel, stride):
    """A bed of nails, then an ordinary convolution with full padding."""
    rows, columns = (stride * (size - 1) + 1 for size in x.shape[2:])
    nails = ops.bed_of_nails(x, stride)[:, :, :rows, :columns]  # it ends with a nail
    return ops.conv2d(nails, kernel[None, None], None, 1, len(kernel) - 1)


flipped_gap = np.abs(
    nails_then_convolve(x, kernel[::-1, ::-1], 3) - convt(x, kernel, 3)
).max()
check(
    "= zeros in between + convolution with the flipped kernel",
    flipped_gap < 1e-12,
    f"{flipped_gap:.0e}",
)

# %% [markdown]
# **The matrix of a convolution, transposed.** A convolution is linear, so it has a matrix
# $C$. Its columns are the results for single pixels. The transposed convolution with the
# same weight has the matrix $C^\top$, which is $C$ with rows and columns exchanged. This is
# where the name comes from. Let $\langle a, b\rangle$ be the sum of the products of all
# numbers of $a$ with those of $b$ at the same place. Then for every $v$ and $c$
#
# $$
# \langle C v,\, c \rangle = \langle v,\, C^\top c \rangle .
# $$
#
# The gradient of a convolution with respect to its input is the same operation (lesson 3).

# %%
kernel = rng.normal(size=(3, 3))


def matrix_of(operation, height, width):
    """The matrix of a linear operation on maps with one channel."""
    columns = [
        operation(pixel.reshape(1, 1, height, width)).ravel()
        for pixel in np.eye(height * width)
    ]
    return np.array(columns).T


C = matrix_of(lambda v: ops.conv2d(v, kernel[None, None], None, 2), 7, 7)
T = matrix_of(lambda c: convt(c, kernel, 2), 3, 3)
v, c = rng.normal(size=(1, 1, 7, 7)), rng.normal(size=(1, 1, 3, 3))
adjoint_gap = abs(
    (ops.conv2d(v, kernel[None, None], None, 2) * c).sum() - (v * convt(c, kernel, 2)).sum()
)
print("C is", C.shape, "and T is", T.shape)
check("T is C transposed, number for number", np.array_equal(T, C.T))
check("<conv(v), c> = <v, convT(c)>", adjoint_gap < 1e-12, f"{adjoint_gap:.0e}")
dx = ops.conv2d_input_grad(c, v.shape, kernel[None, None], 2)
check(
    "it is the convolution's gradient with respect to its input",
    np.array_equal(convt(c, kernel, 2), dx),
)

# %% [markdown]
# ## "Deconvolution" does not undo a convolution
# The paper calls the operation deconvolution, and this name misleads. Transposing restores
# the *size*, not the values. To undo the convolution $y = C v$, you would have to solve
# $C x = y$. Here these are 9 equations for 49 pixels, so a solution need not be $v$. But
# when a solution is convolved, it gives $y$ again. The result of the transposed convolution
# does not even give $y$.

# %%
y = C @ v.ravel()
solved, transposed = np.linalg.lstsq(C, y, rcond=None)[0], C.T @ y
again = C @ transposed
factor = (again @ y) / (again @ again)  # the factor that brings `again` nearest to y
solved_off = np.linalg.norm(C @ solved - y) / np.linalg.norm(y)
transposed_off = np.linalg.norm(factor * again - y) / np.linalg.norm(y)
pictures_off = [
    np.linalg.norm(picture - v.ravel()) / np.linalg.norm(v)
    for picture in (solved, transposed)
]
check("a solution of C x = y, convolved, is y", solved_off < 1e-10, f"{solved_off:.0e}")
not_undone = 0.02 < transposed_off < 1
check(
    "convolving C.T y does not, whatever the factor",
    not_undone,
    f"off by {transposed_off:.0%}",
)
not_the_picture = C.shape == (9, 49) and all(0.5 < off < 30 for off in pictures_off)
check(
    "and neither of the two is the picture",
    not_the_picture,
    "off by {:.0%} and {:.0%}".format(*pictures_off),
)

# %% [markdown] tags=["answer"]
# > **Prediction 4.** No. The size comes back, 7x7, but the picture does not. The
# > convolution has turned 49 numbers into 9. Many pictures give the same 9 numbers, so
# > nothing can find the right one. Even these 9 numbers do not come back when the result is
# > convolved again. If you wrote yes, you read "transposed" as "inverse".

# %% [markdown]
# ## Max-unpooling is not an inverse either
# A max-pool stores where each maximum was. Max-unpooling puts numbers back at these places.
# This is exactly the backward of the max-pool from lesson 3: each number goes to the pixel
# that was the maximum, and the other pixels get zero.

# %%
fine = rng.normal(size=(2, 3, 8, 10))
pooled, places = ops.max_pool2d(fine, 2)
dy = rng.normal(size=pooled.shape)
unpooled = ops.max_unpool2d(dy, places, (8, 10))
vjp_same = np.array_equal(unpooled, ops.max_pool2d_backward(dy, places, fine.shape))
check("max-unpooling = backward of max-pooling", vjp_same)
recovered = ops.max_unpool2d(pooled, places, (8, 10))
check("unpool(pool) keeps one pixel of four", (recovered == fine).mean() == 0.25)

# %% [markdown]
# Now the other way round: unpool first, then pool. Positive numbers come back. A *negative*
# number does not: around it the unpooling has placed zeros, a zero is larger, and so the
# max-pool takes a zero. After a ReLU there are no negative numbers. But about half of all
# scores are negative, and every one of them becomes 0.

# %%
kept, changed = {}, {}
for name, values in (("after a ReLU", np.maximum(dy, 0)), ("scores", dy)):
    again = ops.max_pool2d(ops.max_unpool2d(values, places, (8, 10)), 2)[0]
    kept[name], changed[name] = np.array_equal(again, values), (again != values).mean()
    print(f"  {name}: {changed[name]:.0%} of the numbers changed")
check("pool(unpool) gives back what a ReLU gave", kept["after a ReLU"])
half = 0.3 < changed["scores"] < 0.7 and np.array_equal(again, np.maximum(dy, 0))
check("of random scores it changes .3 to .7: they become 0", half)

# %% [markdown]
# ## Checkerboards
# (The fast path can skip this part.)
#
# How many kernels reach a fine pixel? Upsample ones with a kernel of ones: the result
# counts them. If `s` does not divide `k`, this number is not the same for all pixels. With
# `k = 3` and `s = 2`, it alternates between one and two along each axis, so a pixel is
# reached by 1, 2 or 4 kernels. Such a pattern is called a checkerboard.

# %%
flat = np.ones((1, 1, 8, 8))


def inner(kernel, stride=2):
    """What a map of ones becomes, away from the border."""
    return convt(flat, kernel, stride)[0, 0, 4:-4, 4:-4]


uneven, even = inner(np.ones((3, 3))), inner(np.ones((4, 4)))
check("k = 3, s = 2: 1, 2 or 4 kernels", set(np.unique(uneven)) == {1, 2, 4})
check("k = 4, s = 2: 4 kernels everywhere", set(np.unique(even)) == {4})

# %% [markdown]
# Therefore one often reads this advice: choose a `k` that is divisible by `s`. It removes
# one *cause* of checkerboards, but not all of them. A fine pixel receives the sum of the
# taps that reach it, and these are every `s`-th tap. Along each axis there are `s` such
# sums. The pattern disappears exactly when all sums are equal. For the bilinear kernel of
# size 3 they are equal, although 2 does not divide 3: the sums are 1 and 1/2 + 1/2. For
# random numbers they are not equal, although 2 divides 4.

# %%
random_4 = rng.random((4, 4))
smooth_odd, rough_even = inner(ops.bilinear_kernel(3)), inner(random_4)
sums = np.array([[random_4[a::2, b::2].sum() for b in range(2)] for a in range(2)])
check("the bilinear kernel of size 3: no pattern", np.ptp(smooth_odd) < 1e-12)
check(
    "random taps of size 4: a pattern",
    0.1 < np.ptp(rough_even) < 4,
    f"{np.ptp(rough_even):.2f}",
)
check(
    "it consists of the four sums of every second tap",
    np.allclose(rough_even[:2, :2], sums, atol=1e-12),
)

# %% [markdown]
# ## What could fool you
# **A kernel that is symmetric.** Suppose that you forget the flip in "zeros in between,
# then a convolution". With a bilinear kernel, or with ones, the result is still right to
# the last digit, and every picture looks right. With a kernel that the flip changes, the
# result is wrong. So test upsampling with random numbers, and not with a symmetric kernel.

# %%
kernel = rng.normal(size=(8, 8))
symmetric_gap = np.abs(nails_then_convolve(x, pyramid, s) - convt(x, pyramid)).max()
random_gap = np.abs(nails_then_convolve(x, kernel, s) - convt(x, kernel)).max()
check(
    "without the flip, the bilinear kernel gives the right answer",
    symmetric_gap < 1e-12,
    f"{symmetric_gap:.0e}",
)
check("a random kernel does not", 2 < random_gap < 40, f"off by {random_gap:.1f}")

# %% [markdown]
# ## The drawings


# %%
def six_panels(coarse, ups, caption):
    """The coarse map and the five ways up from it, in two rows of three."""
    pictures = [coarse, *ups.values()]
    names = ["the coarse map", *ups]
    return viz.panels([pictures[:3], pictures[3:]], names, caption, size=2.3)


def draw_impulse():
    """One coarse value, upsampled by 4 in five ways."""
    maps = {name: y[0, 0] for name, y in dots.items()}
    return six_panels(dot[0, 0], maps, "One coarse value, upsampled by 4")


def draw_photo():
    """A photograph after a max-pool of size 4, upsampled by 4 in five ways."""
    file = matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)
    photo = np.asarray(Image.open(file))
    face = photo[70:326:2, 120:376:2].transpose(2, 0, 1)[:, None] / 255
    pooled, places = ops.max_pool2d(face, s)
    ups = five_ways(pooled, places, random_kernel * s * s / random_kernel.sum())

    def picture(y):
        return (255 * y[:, 0].transpose(1, 2, 0).clip(0, 1)).astype(np.uint8)

    maps = {name: picture(y) for name, y in ups.items()}
    return six_panels(picture(pooled), maps, "A photograph, pooled by 4 and upsampled by 4")


def draw_border():
    """The gain at the border, as a map and along a row."""
    figure, axes = viz.new_figure(
        "A map of ones, upsampled by 32, fades at the border",
        columns=2,
        width=7.4,
        height=3.2,
        titles=["5x5 ones, padding 16", "gain along the middle row"],
    )
    figure.colorbar(axes[0].imshow(faded[0, 0], vmin=0, vmax=1), ax=axes[0])
    viz.bare(axes[0])
    axes[1].plot(np.arange(60), np.ones(60), label="resize")
    axes[1].plot(np.arange(60), gain[250, :60], label="FCN-32s, crop at 19")
    axes[1].plot(np.arange(60), faded[0, 0, 80, :60], label="padding 16")
    axes[1].set(xlabel="pixels from the left border", ylabel="gain", ylim=(0, 1.05))
    axes[1].legend(loc="lower right")
    return figure


def draw_checkerboard():
    """A map of ones under four kernels, each divided by its mean."""
    boards = {
        "3x3 ones": uneven,
        "4x4 ones": even,
        "3x3 bilinear": smooth_odd,
        "4x4 random": rough_even,
    }
    caption = "A map of ones, upsampled by 2 with four kernels"
    figure, axes = viz.new_figure(caption, 2, 2, 5.5, 5.8, titles=list(boards))
    viz.bare(axes)
    for ax, board in zip(axes.flat, boards.values()):
        ax.imshow(board / board.mean(), vmin=0, vmax=2)
    return figure


# %% [markdown]
# Look at how far one coarse value reaches, and in which shape.

# %%
viz.show(draw_impulse(), "09_impulse")

# %% [markdown]
# The same on a photograph after a max-pool of size 4. Look for blocks (nearest neighbour),
# black gaps (bed of nails, max-unpooling), smooth transitions (bilinear, with a border that
# is a little darker), and a repeated pattern (random kernel). The coarse picture and the
# nearest neighbour look the same, because the coarse one is drawn enlarged.

# %%
viz.show(draw_photo(), "09_photo")

# %% [markdown]
# On the left, look at the dark corners. On the right, look at where each line reaches 1.
# The line of FCN-32s starts higher than that of padding 16, because the crop of FCN-32s
# begins 3 pixels further inside.

# %%
viz.show(draw_border(), "09_border")

# %% [markdown]
# Look at which of the four maps have one colour only. The size 3 gives a pattern with ones,
# and none with the bilinear kernel. The size 4 gives none with ones, and a pattern with
# random taps.

# %%
viz.show(draw_checkerboard(), "09_checkerboard")

# %% [markdown]
# ## Exercises
# 1. *Trace.* Which coarse values reach fine pixel `o`, and through which taps?
# 2. *Change.* Change the taps of any kernel so that a row of ones stays a row of ones.
# 3. *Prove.* A bilinear kernel of size `2s` or `2s - 1` turns ones into ones.
#
# `fcn exercise 9` writes a file for each of them, `fcn exercise 9 --check FILE` checks your
# answer, `fcn exercise 9 --solution` shows ours.

# %% [markdown]
# ## Claims

# %%
edge_gains = abs(corner - (33 / 64) ** 2) < 1e-12 and abs(first - 39 / 64) < 1e-12
not_inverse = not_undone and not_the_picture
equal_sums = np.ptp(smooth_odd) < 1e-12 < 0.1 < np.ptp(rough_even)
hidden_flip = symmetric_gap < 1e-12 and random_gap > 2
three_counts = set(np.unique(uneven)) == {1, 2, 4}
claims(
    [
        ("the result has s(n - 1) + k numbers", lengths == [6, 6, 7, 8], "counted"),
        ("our ten lines = the package", package_gap < 1e-12, "1e-12: two orders"),
        ("nearest neighbour = ones", nearest_same, "exact: copies do not overlap"),
        ("bed of nails = a single 1", nails_same, "exact: copies do not overlap"),
        ("bilinear resize = pyramid, inside", inside_gap < 1e-12, "1e-12: two orders"),
        ("not at the border", 0.3 < border_gap < 3, ".7 to 1.1 on five seeds"),
        ("16 scores, 544 pixels, 500 kept", sizes == (16, 544, 44, 25), "counted"),
        (
            "= zeros in between + flipped convolution",
            flipped_gap < 1e-12,
            "1e-12: rounding",
        ),
        ("its matrix is C transposed", np.array_equal(T, C.T), "exact: the same weights"),
        ("it does not undo the convolution", not_inverse, "11 to 19 %; solving: 1e-10"),
        ("gains (33/64)**2 and 39/64", edge_gains, "1e-12: rounding"),
        ("20 of 500 pixels of a row fade", fading == 20, "counted"),
        ("divided by its gain it is the resize", divided_gap < 1e-12, "1e-12: rounding"),
        ("FCN-32s: fading moves no class", same_winner, "exact: one factor for all"),
        ("but it lowers the probability", certain, ".55 to .65 falls to .19 to .22"),
        ("FCN-8s: it moves some classes", 0.04 < share < 0.12, "6 to 9 % on five seeds"),
        ("the last crops begin at 19, 27, 31", last_crops == [19, 27, 31], "counted"),
        ("our small FCN-32s does not fade", no_fading == [1], "exact: sums of 64ths"),
        ("our small FCN-8s: 27/64 twice and 9/16", in_order, "exact: sums of 64ths"),
        ("max-unpooling = backward of max-pooling", vjp_same, "exact: both copy numbers"),
        ("pool(unpool) keeps a ReLU's output", kept["after a ReLU"], "exact: copies"),
        ("pool(unpool) loses negative scores", half, "half of 120 are negative"),
        ("k = 3, s = 2: coverage 1, 2, 4", three_counts, "exact: counted"),
        ("a constant map needs equal sums of taps", equal_sums, "1e-12: rounding"),
        ("a symmetric kernel hides a missing flip", hidden_flip, "1e-12: rounding"),
    ]
)

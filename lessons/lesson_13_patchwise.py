"""Lesson 13: Is whole-image training different from training on patches?

Afterwards you can say which patches a whole picture stands for, turn one kind of training into the other by a mask on
the loss, and say what sampling costs, what it buys, and what a batch of a single picture is.

Needs: lessons 5, 6 and 11 (fully convolutional nets; receptive field; training a segmenter)
Runtime: 12 s on 2 cores
"""

# %% [markdown]
# # A picture is a batch of patches
#
# Before FCNs, nets that label pixels were trained on **patches**: cut a window out of a picture, ask
# for the class in its middle, next window. An FCN takes the whole picture and sums the loss over all
# cells of its score map. Each cell sees one window, its receptive field. So the sum over cells is a
# sum over windows, and a gradient of a sum is a sum of gradients. To train on *some* windows, leave
# the other cells out of the loss: a **mask**. Worked example, a 2x2 filter `w`, two of four cells kept:
#
#     picture  1 2 3     mask  1 0     windows kept  1 2   5 6     gradient of their sum   6  8
#              4 5 6           0 1                   4 5   8 9     by w, added up         12 14
#              7 8 9

# %% [markdown]
# ## Predict
# 1. A net sees 18x18 pixels and has a stride of 4. How many patches is a picture of 64x64? How many
#    pixels do you store if you cut them all out?
# 2. You keep each cell with probability 1/4. How much faster is a step?
# 3. Which gradient is less noisy: that of 25 patches from one picture, or from 25 pictures?

# %%
import time

import numpy as np

from fcn_from_scratch import datasets, geometry, ops, viz
from fcn_from_scratch.course import check, claims
from fcn_from_scratch.layers import Conv2d, MaxPool2d, ReLU, Sequential

rng = np.random.default_rng(13)

# %% [markdown]
# ## By hand
# The example from above. The loss is the sum of the kept scores, so its gradient by each score is the
# mask itself.

# %%
picture = np.arange(1.0, 10).reshape(1, 1, 3, 3)
kept = np.array([[1.0, 0], [0, 1]])
by_patches = picture[0, 0, :2, :2] + picture[0, 0, 1:, 1:]
by_picture = ops.conv2d_weight_grad(kept[None, None], picture, np.zeros((1, 1, 2, 2)))[0, 0]
print(by_patches)
check("two patches = the masked picture, by hand", np.array_equal(by_patches, by_picture))

# %% [markdown]
# ## With a loop
# The net of lesson 7: three convolutions, two pools, **no padding**. Its scores stand every 4 pixels.
# Cell `(i, j)` sees the 18x18 pixels that begin at `(4i, 4j)`, and the middle of that window is 8.5
# pixels further. So the label it is asked for is that of pixel `(4i + 8, 4j + 8)`.


# %%
def build(padding=0, dtype=np.float64, seed=0):
    options = {"padding": padding, "dtype": dtype, "rng": np.random.default_rng(seed)}
    return Sequential(
        Conv2d(3, 8, 3, **options),
        ReLU(),
        MaxPool2d(2),
        Conv2d(8, 12, 3, **options),
        ReLU(),
        MaxPool2d(2),
        Conv2d(12, 6, 3, **options),
    )


def world(count, size, split="train"):
    """(pictures, labels): scenes in which the colour says the class."""
    scenes = list(datasets.Shapes(count=count, size=size, split=split, classes_by="colour", seed=13))
    pictures = np.stack([scene.image.transpose(2, 0, 1) for scene in scenes])
    return (pictures - 110.0) / 60, np.stack([scene.labels for scene in scenes])


# %%
def flat(net):
    """The net's gradients as one long row."""
    return np.concatenate([gradient.ravel() for gradient in net.grads.values()])


def gradient(net, x, labels, mask=None, reduction="sum"):
    """(loss, gradient) of the net over a batch."""
    loss, dscores = ops.softmax_cross_entropy(net(x), labels, reduction=reduction, mask=mask)
    net.zero_grad()
    net.backward_params(dscores)
    return loss, flat(net)


net = build()
x, labels = world(2, 64)
cells = net(x).shape[2]
cell_labels = labels[:, 8 : 8 + 4 * cells : 4, 8 : 8 + 4 * cells : 4]
mask = rng.random(cell_labels.shape) < 0.1
print(f"{cells}x{cells} cells in each of {len(x)} pictures, {mask.sum()} kept")

# %%
loss_whole, whole = gradient(net, x, cell_labels, mask)
loss_patches, patch_sum = 0.0, 0.0
for n, i, j in np.argwhere(mask):
    patch = x[n : n + 1, :, 4 * i : 4 * i + 18, 4 * j : 4 * j + 18]
    loss, part = gradient(net, patch, cell_labels[n : n + 1, i : i + 1, j : j + 1])
    loss_patches, patch_sum = loss_patches + loss, patch_sum + part


def gap(a, b):
    """The largest difference, relative to the largest number."""
    return np.abs(a - b).max() / np.abs(b).max()


patch_gap = gap(patch_sum, whole)
check("the losses of the patches add up to the masked loss", abs(loss_patches / loss_whole - 1) < 1e-13)
check("the gradients of the patches add up to the masked gradient", patch_gap < 1e-13, f"{patch_gap:.0e}")

# %% [markdown]
# ## With the package
# Where windows lie is geometry, and `dense` asks it: `labels_at_cells`, `pixel_mask` and `patches`.
# All patches can go through the net as one batch. (A net whose loss is taken on *upsampled* scores, such
# as FCN-32s, has `cell_mask`: all pixels around a cell are kept or dropped together.)

# %%
from fcn_from_scratch.dense import labels_at_cells, patches, pixel_mask

field = geometry.receptive_field(net)
print(field)
check("the same labels", np.array_equal(labels_at_cells(labels, field, (cells, cells)), cell_labels))
check("the same coins", np.array_equal(pixel_mask(mask.shape, 0.1, np.random.default_rng(13)), mask))
cut = patches(x, field, mask)
_, batch = gradient(net, cut, cell_labels[mask][:, None, None])
check("a batch of patches gives the same gradient", gap(batch, whole) < 1e-13, f"{len(cut)} patches")
many, stored = cells**2, patches(x[:1], field).size / x[:1].size
check("one picture is 144 patches, and cut out they are 11 times its pixels", many == 144 and 11 < stored < 12)

# %% [markdown]
# # Where the equality ends: padding
# Now pad every convolution by 1. A picture of 64 has 16x16 cells, and the outer ones see beyond its
# border. What do they see there? In *each* layer a frame of zeros round that layer's map. A patch cut
# out at the border, filled up with zeros, has its frame elsewhere: the second convolution finds numbers
# where the picture's own map has ended. So give each cell a patch of 20x20 pixels around it, and take
# the middle one of the 5x5 scores that come back.

# %%
padded = build(padding=1)
size = padded(x).shape[2]
padded_labels = labels_at_cells(labels, geometry.receptive_field(padded), (size, size))
inner = np.zeros((size, size), bool)
inner[2:-2, 2:-2] = True  # here the field, which begins 7 pixels before pixel 4i, lies inside the picture
some = rng.random((size, size)) < 0.3
framed = np.pad(x[:1], ((0, 0), (0, 0), (8, 8), (8, 8)))


def by_tiles(chosen):
    """The sum of the gradients of the chosen cells, each from a patch of its own."""
    total = 0.0
    for i, j in np.argwhere(chosen):
        only = np.full((1, 5, 5), 255)
        only[0, 2, 2] = padded_labels[0, i, j]
        total = total + gradient(padded, framed[:, :, 4 * i : 4 * i + 20, 4 * j : 4 * j + 20], only)[1]
    return total


# %%
results = {}
for place, chosen in (("inner", some & inner), ("border", some & ~inner)):
    results[place] = by_tiles(chosen), gradient(padded, x[:1], padded_labels[:1], chosen[None])[1]
inner_gap, border_gap = (gap(*results[place]) for place in ("inner", "border"))
check("cells whose field lies in the picture: still equal", inner_gap < 1e-13, f"{inner_gap:.0e}")
check("cells that see the border: not equal", border_gap > 0.01, f"{border_gap:.0%}")
check("and with small pictures many do", (~inner).mean() > 0.4, f"{(~inner).mean():.0%} of the cells")

# %%
figure, axes = viz.new_figure(
    "The sum of patch gradients is the gradient of the masked picture, as long as no padding is seen",
    columns=3,
    width=11,
    height=3.9,
    titles=["kept cells, and what they see", "no padding", "padded by 1"],
)
axes[0].imshow(np.clip((x[0].transpose(1, 2, 0) * 60 + 110) / 255, 0, 1))
axes[0].set(xticks=[], yticks=[])
axes[0].grid(False)
for i, j in np.argwhere(mask[0]):
    square = np.array([[0, 18, 18, 0, 0], [0, 0, 18, 18, 0]]) - 0.5
    axes[0].plot(4 * j + square[0], 4 * i + square[1], color="white", linewidth=0.8)
    axes[0].plot(4 * j + 8.5, 4 * i + 8.5, "o", color="white", markersize=3)
axes[1].plot(whole, patch_sum, ".", markersize=3)
for (place, (ours, theirs)), colour, words in zip(
    results.items(), viz.COLOURS, ["inner cells", "cells that see the border"]
):
    axes[2].plot(theirs, ours, ".", markersize=3, color=colour, label=words, zorder=2 + (place == "inner"))
axes[2].legend(loc="upper left", frameon=False)
for ax in axes[1:]:
    ax.axline((0, 0), slope=1, color="#999999", linewidth=0.8, zorder=1)
    ax.set(xlabel="gradient from the picture", ylabel="summed over patches")
viz.save_figure(figure, "13_gradients")

# %% [markdown]
# # What sampling does to the gradient
# Keep each cell with probability `p`, and divide the sum by `p` to make up for those left out. On the
# average over masks that is the whole gradient, each cell counting 1/p in a fraction p of all draws.
# A single draw is off. If cell `i` has the gradient `g_i`, then
#
#     variance = (1 - p)/p * (sum of |g_i|^2)
#
# because the coins are independent. The more is kept, the smaller, and with `p = 1` nothing is left.
# To see it, compute the gradients of all cells of some pictures one by one. That is what patches are
# good for.

# %%
small_x, small_labels = world(60, 34)
small_labels = labels_at_cells(small_labels, field, (5, 5))
each = []
for patch, label in zip(patches(small_x, field), small_labels.ravel()):
    each.append(gradient(net, patch[None], label.reshape(1, 1, 1))[1])
each = np.array(each).reshape(60, 25, -1)  # picture, cell, parameter
one = each[3]
check("25 cells add up to the picture", gap(one.sum(axis=0), gradient(net, small_x[3:4], small_labels[3:4])[1]) < 1e-13)


def spread(samples):
    """The variance of a gradient: summed over the parameters."""
    return samples.var(axis=0, ddof=1).sum()


# %%
draws, keeps = 4000, [0.05, 0.1, 0.25, 0.5, 0.75, 1.0]
measured, bias = [], []
for keep in keeps:
    sums = pixel_mask((draws, 25), keep, rng) @ one / keep
    measured.append(spread(sums))
    expected_error = np.sqrt(measured[-1] / draws)
    bias.append(np.linalg.norm(sums.mean(axis=0) - one.sum(axis=0)) / max(expected_error, 1e-9))
predicted = [(1 - keep) / keep * (one**2).sum() for keep in keeps]
ratios = np.array(measured[:-1]) / predicted[:-1]
check("unbiased: the mean of 4000 draws is off by no more than chance explains", max(bias[:-1]) < 3, f"{max(bias):.1f}")
check("the variance falls with every cell that is kept", bool((np.diff(measured) < 0).all()))
check("it is (1 - p)/p times the sum of squares", bool((abs(ratios - 1) < 0.2).all()), f"ratios {np.round(ratios, 2)}")
check("with all cells kept it is nothing", measured[-1] < 1e-12 * measured[0])

# %% [markdown]
# # What is a batch of one picture?
# The paper trains on 20 pictures at a time, its authors' later recipe on **one**. A classifier would not
# learn from one picture a step. Here one picture *is* a batch: of as many patches as it has cells. But
# they overlap, and they show one scene. So ask what it is worth: how many patches, each from another
# picture, give a mean as steady as the mean over all 25 cells of one?

# %%
one_patch = spread(each.reshape(60 * 25, -1))
one_picture = spread(each.mean(axis=1))
worth = one_patch / one_picture
check("a picture of 25 cells is worth more than 2 patches", worth > 2, f"{worth:.1f}")
check("and less than half as many as it has cells", worth < 12.5)

# %% [markdown]
# That is what patches from many pictures have to offer: less noise from the *same number of cells*.
# Keep a fraction `p` of the cells of each of `1/p` pictures: 25 cells again on average, from more scenes.
# Its variance has two parts: the pictures', divided by their number, and the mask's.

# %%
mixed = {}
for pictures in (1, 2, 4):
    keep, samples = 1 / pictures, []
    for _ in range(2000):
        chosen = rng.integers(0, 60, pictures)
        coins = pixel_mask((pictures, 25), keep, rng)
        samples.append(np.tensordot(coins, each[chosen], 2) / 25)
    mixed[pictures] = spread(np.array(samples))
    print(f"  25 cells from {pictures} picture(s): variance {mixed[pictures]:.1f}")
check("the same number of cells from more pictures: less noise", mixed[1] > mixed[2] > mixed[4])
all_cells = one_picture / 4
check("keeping all cells of those four pictures: still less", all_cells < mixed[4], f"{all_cells:.1f}")

# %%
figure, axes = viz.new_figure(
    "More cells, less noise; more pictures, still less",
    columns=2,
    width=9,
    height=3.6,
    titles=["one picture, 4000 masks each", "cells of one or of several pictures"],
)
fine = np.geomspace(keeps[0], keeps[-2], 50)
axes[0].plot(fine, (1 - fine) / fine * (one**2).sum(), color="#999999", label="(1 - p)/p * sum of squares")
axes[0].plot(keeps[:-1], measured[:-1], "o", color=viz.COLOURS[1], label="measured")
axes[0].set(xlabel="probability p to keep a cell", ylabel="variance of the gradient", xscale="log", yscale="log")
axes[0].set_xticks(keeps[:-1], [str(keep) for keep in keeps[:-1]])
axes[0].minorticks_off()
axes[0].legend(frameon=False)
names = ["1 patch", "1 picture: 25 cells", "2 pictures: 25 cells", "4 pictures: 25 cells", "4 pictures: 100 cells"]
bars = axes[1].barh(names[::-1], [one_patch, *mixed.values(), all_cells][::-1], color=viz.COLOURS[0])
axes[1].bar_label(bars, fmt="%.0f", padding=3)
axes[1].set(xlabel="variance of the mean gradient")
axes[1].margins(x=0.15)
viz.save_figure(figure, "13_variance")

# %% [markdown]
# # What it costs
# A mask sits between the scores and the loss. Everything before it has been computed, and the backward
# multiplies its zeros like any other number. So a step with a mask is as long as one without, and the
# `1/p` pictures that give the same number of cells take `1/p` times as long.
#
# Then cut the patches out, and compute no more than you keep? Neighbouring windows share most of their
# work. Count multiply-adds: after how many patches is the whole picture cheaper?

# %%
picture_cost = geometry.table(net, 64).multiply_adds
patch_cost = geometry.table(net, 18).multiply_adds
enough = picture_cost / patch_cost
print(f"a picture {picture_cost:,}   a patch {patch_cost:,}")
check("a quarter of its 144 patches already costs more than the picture", enough < many / 4, f"{enough:.0f} patches do")
check("all of them cost 5 times as much and more", many / enough > 5, f"{many / enough:.1f} times")

# %%
seconds = {"no mask": [], "1/4 kept": []}
quarter = pixel_mask(cell_labels.shape, 0.25, rng)
for _ in range(25):  # in turns: another program slows down both
    for name, chosen in (("no mask", None), ("1/4 kept", quarter)):
        started = time.perf_counter()
        gradient(net, x, cell_labels, chosen)
        seconds[name].append(time.perf_counter() - started)
fastest = {name: min(values) for name, values in seconds.items()}
print("  ".join(f"{name} {value * 1000:.1f} ms" for name, value in fastest.items()))
check("keeping a quarter of the cells does not halve the time of a step", fastest["1/4 kept"] > fastest["no mask"] / 2)

# %% [markdown]
# # Is whole-image training as good as patches?
# Train three nets, from the same start and for the same number of steps: all cells of 4 pictures; a
# quarter of the cells of 4 pictures; a quarter of the cells of 16 pictures, which is as many cells as
# the first has. The paper did this with FCN-32s, and saw no effect on how fast the loss falls per step.

# %%
from fcn_from_scratch.training import SGD, polynomial, warm_up

train_x, train_labels = world(400, 64)
val_x, val_labels = world(60, 64, "val")
train_x, val_x = train_x.astype(np.float32), val_x.astype(np.float32)
train_labels, val_labels = (labels_at_cells(maps, field, (cells, cells)) for maps in (train_labels, val_labels))
counted = val_labels != 255


def learn(pictures, keep, steps, rate):
    """(steps, losses) on held-out pictures every 10 steps and at the end, and the accuracy there"""
    net, rng, curve = build(dtype=np.float32, seed=1), np.random.default_rng(13), []
    optimizer = SGD(net, warm_up(polynomial(rate, steps), steps // 8), momentum=0.9)
    for step in range(steps + 1):
        if step % 10 == 0 or step == steps:
            scores = net(val_x)
            curve.append((step, ops.softmax_cross_entropy(scores, val_labels)[0]))
        if step < steps:
            chosen = rng.integers(0, len(train_x), pictures)
            mask = pixel_mask((pictures, cells, cells), keep, rng)
            gradient(net, train_x[chosen], train_labels[chosen], mask, "mean")
            optimizer.step()
    return np.array(curve).T, (scores.argmax(axis=1) == val_labels)[counted].mean()


# %%
plans = {
    "4 pictures, all cells": (4, 1, 150, 0.02),
    "4 pictures, 1/4 of the cells": (4, 0.25, 150, 0.02),
    "16 pictures, 1/4 of the cells": (16, 0.25, 150, 0.02),
    "the same, 37 steps, faster": (16, 0.25, 37, 0.06),
}
runs, accuracy, final, work = {}, {}, {}, {}
for title, (pictures, keep, steps, rate) in plans.items():
    started = time.perf_counter()
    runs[title], accuracy[title] = learn(pictures, keep, steps, rate)
    final[title] = runs[title][1, -1]
    work[title] = 3 * picture_cost * pictures  # of a step: a forward, and twice as much backward
    print(
        f"  {title:30} loss {final[title]:.3f}  accuracy {accuracy[title]:.3f}  {time.perf_counter() - started:.1f} s"
    )
whole_run, quarter_run, more_run, short_run = plans
background = (val_labels == 0)[counted].mean()

# %% [markdown]
# Same net, same number of steps, nearly the same end. But the third run had four times the work to do.
# The fourth is the third with the work of the first: a quarter of the steps, the learning rate falling
# to zero within them. It gets three times the rate, and still does not catch up.

# %%
equal_steps = [accuracy[title] for title in (whole_run, quarter_run, more_run)]
difference = max(equal_steps) - min(equal_steps)
check("all three learn", min(equal_steps) > background + 0.1, f"background alone has {background:.2f}")
check("after as many steps they are within 0.03 of each other", difference < 0.03, f"{difference:.3f}")
check("16 pictures at a quarter: four times the work a step", work[more_run] == 4 * work[whole_run], "counted")
check("with as much work, whole pictures are ahead", final[whole_run] < final[short_run])

# %%
figure, axes = viz.new_figure(
    "Step for step much alike; by work, whole pictures win",
    columns=2,
    width=9,
    height=3.6,
    titles=["by steps", "by work"],
)
for title, (at, losses) in runs.items():
    line = "--" if title == short_run else "-"
    axes[0].plot(at, losses, line, label=title)
    axes[1].plot(at * work[title] / 1e9, losses, line)
axes[0].set(xlabel="steps", ylabel="loss on held-out pictures")
axes[1].set(xlabel="multiply-adds, in billions (forward and backward)")
axes[0].legend(frameon=False)
for ax in axes:
    ax.set_yscale("log")
    ax.set_yticks([0.2, 0.5, 1, 2], ["0.2", "0.5", "1", "2"])
    ax.minorticks_off()
viz.save_figure(figure, "13_training")

# %% [markdown]
# ## So, is it as good?
# It is the same thing, sampled less. Patches chosen at random are a mask on whole pictures, and the mask
# adds noise and saves nothing. What patchwise training once had on its side can be had here: **classes
# balanced** by choosing patches is a weight in the loss (`weight=`), and **patches from many scenes** are
# more pictures a step. The paper needed neither; three quarters of its pixels are background.
#
# And a batch of one picture? It is a batch of many cells that look alike. Its gradient is noisy, the
# more so the fewer scenes are in it, and a momentum of 0.99, which remembers about 100 steps, averages
# over pictures what the batch does not.

# %% [markdown]
# # What could fool you
# **The mean of means.** The mean loss of one batch of patches equals that of the masked picture: both
# divide by the same number. Now go picture by picture, take the mean in each, and average the gradients;
# that is what summing over small batches (`iter_size`) does. Every loss is a proper mean, it falls, and
# nothing looks wrong. But a cell counts by how many *others* its picture kept. Keep a tenth of the one
# picture, all of the other:

# %%
uneven = np.stack([pixel_mask((cells, cells), 0.1, rng), np.ones((cells, cells), bool)])
mean_patches = gradient(net, patches(x, field, uneven), cell_labels[uneven][:, None, None], None, "mean")[1]
mean_together = gradient(net, x, cell_labels, uneven, "mean")[1]
apart = [gradient(net, x[n : n + 1], cell_labels[n : n + 1], uneven[n : n + 1], "mean")[1] for n in range(2)]
mean_of_means = (apart[0] + apart[1]) / 2
sums = [gradient(net, x[n : n + 1], cell_labels[n : n + 1], uneven[n : n + 1])[1] for n in range(2)]
same_divisor, other_divisor = gap(mean_together, mean_patches), gap(mean_of_means, mean_patches)
heavier = (uneven & (cell_labels != 255)).sum(axis=(1, 2))
check("one mean over both pictures = the mean over the patches", same_divisor < 1e-13, f"{same_divisor:.0e}")
check("the mean of two means is another gradient", other_divisor > 0.05, f"off by {other_divisor:.0%}")
check("a cell of the first picture counts 5 times one of the second, and more", heavier[1] > 5 * heavier[0])
all_patches = gradient(net, patches(x, field, uneven), cell_labels[uneven][:, None, None])[1]
check("sums do not mind how they are split", gap(sums[0] + sums[1], all_patches) < 1e-13)

# %% [markdown]
# ## Exercises
# 1. *Trace.* A row of 12 pixels, a net that sees 4 of them at stride 2. Which windows has it? The mask is
#    1 0 1 1 0: how many times is each pixel used, and at which pixels are the labels?
# 2. *Change.* The windows of a picture begin at multiples of 4 only; patches can begin anywhere. Move the
#    picture by a random shift, 0 to 3 pixels each way, before every step. Which windows are trained
#    on now, and which net's loss is it, on average?
# 3. *Prove.* Show that the sum divided by `p` is unbiased, derive its variance, and show that the *mean*
#    over the kept cells is unbiased too, as long as one cell is kept.
#
# Answers: `lessons/solutions/solution_13_patchwise.py`

# %% [markdown]
# ## Claims

# %%
claims(
    [
        ("patch gradients add up to the masked gradient", patch_gap < 1e-13, "1e-13: float64, two orders"),
        ("with padding: where none is seen, still", inner_gap < 1e-13, "1e-13: float64, two orders"),
        ("with padding: at the border no longer", border_gap > 0.01, "a hundredth: far above rounding"),
        ("masking is unbiased", max(bias[:-1]) < 3, "3 standard errors of 4000 draws"),
        ("its variance falls with every cell kept", bool((np.diff(measured) < 0).all()), "an order"),
        ("as (1 - p)/p", bool((abs(ratios - 1) < 0.2).all()), "a fifth: 4000 draws leave some hundredths"),
        ("a picture is worth fewer patches than it has", 2 < worth < 12.5, "4 to 6 of 25 on other scenes"),
        ("equal cells from more pictures: less noise", mixed[1] > mixed[2] > mixed[4], "an order"),
        ("a mask does not halve a step's time", fastest["1/4 kept"] > fastest["no mask"] / 2, "both are equal; half"),
        ("a quarter of the patches costs more than the picture", enough < many / 4, "counted"),
        ("whole pictures and patches end alike", difference < 0.03, "accuracies; .01 apart or less with other seeds"),
        ("at equal work whole pictures are ahead", final[whole_run] < final[short_run], "an order"),
        ("the mean of means is another gradient", other_divisor > 0.05, "a twentieth: far above rounding"),
        ("the mean over the same cells is not", same_divisor < 1e-13, "1e-13: float64, two orders"),
    ]
)

# %% [markdown]
"""
# Lesson 13: Is whole-image training different from training on patches?

After this lesson you can say which patches a whole picture contains. You can turn training
on whole pictures into training on patches by a mask on the loss, and say what the mask
costs and what it changes. You know what a batch of a single picture is, and how it compares
with larger batches when both see the same number of pictures.

No later lesson builds on this one. If you only want to build FCN-8s, you can leave it out.

Needs: lessons 5, 6 and 11. Words: the [glossary](../docs/glossary.md).

Runtime: 15 s on 2 cores
"""

# %% [markdown]
# ## A picture is a batch of patches
#
# **Patchwise training** is the older way: cut a window out of a picture, predict the class
# of its middle pixel, and go on to the next window. An FCN takes the whole picture and adds
# up the loss over all cells of its score map. (A cell is a place of the map.) Each cell
# sees one window, its receptive field. So the sum over cells is a sum over windows, and the
# gradient of a sum is the sum of the gradients. To train on *some* of the windows only,
# leave the other cells out of the loss with a **mask**. The paper calls this **loss
# sampling**. Here is an example with a 2x2 kernel `w`. Two of four cells are kept, and the
# loss is the sum of their scores. Its gradient with respect to `w` is the sum of the two
# windows:
#
#     picture  1 2 3     mask  1 0     windows kept  1 2   5 6     gradient   6  8
#              4 5 6           0 1                   4 5   8 9               12 14
#              7 8 9

# %% [markdown]
# ## Predict
# 1. A network sees windows of 18x18 pixels and has an output stride of 4. How many patches
#    is a picture of 64x64? If you cut all of them out, how many times its pixels do you
#    store?
# 2. A gradient is noisy if it is very different for another random choice of patches. Which
#    one is less noisy: that of 25 patches from one picture, or that of 25 patches from 25
#    pictures?
# 3. You keep each cell with probability 1/4. How much faster is a step of training?
# 4. You may train on 600 pictures. Is it better to take 600 steps with one picture each, or
#    30 steps with 20 each?

# %%
import os
import time

import numpy as np

from fcn_from_scratch import datasets, geometry, metrics, ops, viz
from fcn_from_scratch.course import check, claims, seed
from fcn_from_scratch.dense import labels_at_cells, patches, pixel_mask
from fcn_from_scratch.layers import Conv2d, MaxPool2d, ReLU, Sequential
from fcn_from_scratch.training import SGD, polynomial, warm_up

SEED = seed()
rng = np.random.default_rng([SEED, 13])

# %% [markdown]
# ## By hand
# This is the example from above. The loss is the sum of the kept scores. So its gradient
# with respect to the scores is the mask itself.

# %%
picture = np.arange(1.0, 10).reshape(1, 1, 3, 3)
kept = np.array([[1.0, 0], [0, 1]])
by_patches = picture[0, 0, :2, :2] + picture[0, 0, 1:, 1:]
by_picture = ops.conv2d_weight_grad(kept[None, None], picture, np.zeros((1, 1, 2, 2)))[0, 0]
print(by_patches)
check("two patches = the masked picture", np.array_equal(by_patches, by_picture))
check("as in the example", by_patches.tolist() == [[6, 8], [12, 14]])

# %% [markdown]
# ## Write it yourself
# This is the network of lesson 7: three convolutions and two pools, without padding. Its
# scores stand every 4 pixels. Cell $(i, j)$ sees the 18x18 pixels that begin at
# $(4i, 4j)$. The middle of this window is 8.5 pixels further, between two pixels. We take
# the first of them: the label of cell $(i, j)$ is that of pixel $(4i + 8, 4j + 8)$.


# %%
def build(padding=0, dtype=np.float64):
    options = {"padding": padding, "dtype": dtype, "rng": np.random.default_rng([SEED, 1])}
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
    options = {"size": size, "split": split, "classes_by": "colour", "seed": SEED}
    scenes = list(datasets.Shapes(count=count, **options))
    pictures = np.stack([scene.image.transpose(2, 0, 1) for scene in scenes])
    return (pictures - 110.0) / 60, np.stack([scene.labels for scene in scenes])


def gradient(net, x, labels, mask=None, reduction="sum"):
    """(loss, gradient) over a batch. The gradients of all parameters form one long row."""
    scores = net(x)
    loss, dscores = ops.softmax_cross_entropy(
        scores, labels, reduction=reduction, mask=mask
    )
    net.zero_grad()
    net.backward_params(dscores)
    return loss, np.concatenate([array.ravel() for array in net.grads.values()])


net = build()
x, labels = world(2, 64)
cells = net(x).shape[2]
cell_labels = labels[:, 8 : 8 + 4 * cells : 4, 8 : 8 + 4 * cells : 4]
mask = np.random.default_rng([SEED, 2]).random(cell_labels.shape) < 0.1
print(f"{cells}x{cells} cells in each of {len(x)} pictures, {mask.sum()} kept")

# %% [markdown]
# The first way is one pass over both pictures with the mask. The second way is one pass for
# each kept cell, over its patch alone.

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
same_loss = abs(loss_patches / loss_whole - 1) < 1e-12
check("the losses of the patches add up to the masked loss", same_loss)
check("and so do the gradients of the patches", patch_gap < 1e-12, f"{patch_gap:.0e}")

# %% [markdown]
# ## With the package
# The package computes from the geometry of the network where the windows are. `dense` has
# `labels_at_cells`, `pixel_mask` and `patches`. All patches can pass through the network as
# one batch. (If the loss is taken on *upsampled* scores, as in FCN-32s, use `cell_mask`. It
# keeps or drops all pixels around a cell together.)

# %%
field = geometry.receptive_field(net)
print(field)
check(
    "the same labels",
    np.array_equal(labels_at_cells(labels, field, (cells, cells)), cell_labels),
)
check(
    "the same mask",
    np.array_equal(pixel_mask(mask.shape, 0.1, np.random.default_rng([SEED, 2])), mask),
)
cut = patches(x, field, mask)
_, batch = gradient(net, cut, cell_labels[mask][:, None, None])
check(
    "one batch of all patches has the same gradient",
    gap(batch, whole) < 1e-12,
    f"{len(cut)} patches",
)
many, stored = cells**2, patches(x[:1], field).size / x[:1].size
check("one picture is 144 patches", many == 144)
check(
    "cut out, they have 11.4 times its pixels", abs(stored - 11.39) < 0.01, f"{stored:.2f}"
)

# %% [markdown] tags=["answer"]
# > **Prediction 1.** It is $\lfloor (64 - 18) / 4 \rfloor + 1 = 12$ along each axis, so
# > there are 144 patches. Cut out, they hold 144 * 18 * 18 pixels, which is 11.4 times
# > the pixels of the picture. If you wrote 256, you divided 64 by 4. Then some windows
# > would go over the border.

# %% [markdown]
# ## Where the equality ends: padding
# Now every convolution is padded by 1. A picture of 64x64 has 16x16 cells, and the windows
# of the outer cells go over its border. What do these cells see there? *Each* layer adds a
# frame of zeros around its own input. If a patch is cut out at the border and filled up
# with zeros, this frame is at another place. Then the second convolution reads numbers
# where it reads zeros in the whole picture. To compare, give each cell a patch of its own,
# and run the same padded network on it. Along one axis, for cell i:
#
#     field of cell i     18 pixels from 4i - 7 on    (paddings of 1 at strides 1, 2 and 4)
#     its patch           20 pixels from 4i - 8 on    (a multiple of 4: the pools agree)
#     scores of the patch 5, numbered 0 to 4: the field of number 2 is that of cell i

# %%
padded = build(padding=1)
size = padded(x).shape[2]
padded_labels = labels_at_cells(labels, geometry.receptive_field(padded), (size, size))
seen = geometry.receptive_field(padded)
begin = seen.start - (seen.size - 1) / 2 + seen.stride * np.arange(size)
fits = (begin >= 0) & (begin + seen.size <= 64)  # the field lies inside the picture
inner = np.outer(fits, fits)
check("the first field begins 7 pixels before the picture", begin[0] == -7)
some = rng.random((size, size)) < 0.3
framed = np.pad(x[:1], ((0, 0), (0, 0), (8, 8), (8, 8)))


def by_tiles(chosen):
    """The sum of the gradients of the chosen cells, each from a patch of its own."""
    total = 0.0
    for i, j in np.argwhere(chosen):
        only = np.full((1, 5, 5), 255)
        only[0, 2, 2] = padded_labels[0, i, j]
        tile = framed[:, :, 4 * i : 4 * i + 20, 4 * j : 4 * j + 20]
        total = total + gradient(padded, tile, only)[1]
    return total


# %%
results = {}
for place, chosen in (("inner", some & inner), ("border", some & ~inner)):
    in_picture = gradient(padded, x[:1], padded_labels[:1], chosen[None])[1]
    results[place] = by_tiles(chosen), in_picture
inner_gap, border_gap = (gap(*results[place]) for place in ("inner", "border"))
check(
    "cells whose field lies in the picture: still equal",
    inner_gap < 1e-12,
    f"{inner_gap:.0e}",
)
check(
    "cells that see the border: not equal",
    0.01 < border_gap < 2,
    f"off by {border_gap:.0%}",
)
share = (~inner).mean()
check(
    "in a small picture, 44 % of the cells see the border",
    share == 112 / 256,
    f"{share:.0%}",
)

# %% [markdown]
# ## What sampling does to the gradient
# Keep each cell with probability $p$, and divide the sum by $p$ to make up for the cells
# that are left out. On average over all masks this is the whole gradient: each cell counts
# $1/p$, in a fraction $p$ of the draws. So the divided sum is called unbiased. But the
# result of a single draw differs from the whole gradient. Let cell $i$ have the gradient
# $g_i$. The cells are drawn independently. From this follows, as exercise 3 proves:
#
# $$
# \mathrm{variance} = \frac{1 - p}{p} \sum_i |g_i|^2
# $$
#
# The more cells are kept, the smaller the variance is. To measure it, compute the gradients
# of all cells of some pictures one by one, each from a patch of its own.

# %%
small_x, small_labels = world(60, 34)
small_labels = labels_at_cells(small_labels, field, (5, 5))
each = []
for patch, label in zip(patches(small_x, field), small_labels.ravel()):
    each.append(gradient(net, patch[None], label.reshape(1, 1, 1))[1])
each = np.array(each).reshape(60, 25, -1)  # picture, cell, parameter
one = each[3]
whole_one = gradient(net, small_x[3:4], small_labels[3:4])[1]
check(
    "the 25 cells of a picture add up to the picture",
    gap(one.sum(axis=0), whole_one) < 1e-12,
)


def spread(samples):
    """The variance of a gradient: summed over the parameters."""
    return samples.var(axis=0, ddof=1).sum()


# %%
draws, keeps = 4000, [0.05, 0.1, 0.25, 0.5, 0.75, 1.0]
measured, bias = [], []
for keep in keeps:
    sums = pixel_mask((draws, 25), keep, rng) @ one / keep
    measured.append(spread(sums))
    standard_error = np.sqrt(measured[-1] / draws)
    off = np.linalg.norm(sums.mean(axis=0) - one.sum(axis=0))
    bias.append(off / max(standard_error, 1e-9))
predicted = [(1 - keep) / keep * (one**2).sum() for keep in keeps]
ratios = np.array(measured[:-1]) / predicted[:-1]
unbiased = 0.1 < max(bias[:-1]) < 3
check(
    "unbiased: the mean of 4000 draws is off by what chance explains",
    unbiased,
    f"{max(bias):.1f} standard errors",
)
check(
    "the variance falls with every cell that is kept", bool((np.diff(measured) < 0).all())
)
check(
    "it is (1 - p)/p times the sum of squares",
    bool((abs(ratios - 1) < 0.2).all()),
    f"ratios {np.round(ratios, 2)}",
)
check("with all cells kept it is zero", measured[-1] < 1e-12 * measured[0])

# %% [markdown]
# ## What is a batch of one picture?
# The paper trains on 20 pictures at a time. The authors' later public code takes **one**.
# For a classifier, one picture is one label. In image-to-image training each pixel, or each
# cell, has a loss of its own. So one picture *is* a batch: of as many patches as it has
# cells.
#
# But these patches overlap, and they show one scene. So what is one picture worth? How many
# patches, each from another picture, give a mean gradient with the same variance as the
# mean over all 25 cells of one picture? The mean of `n` independent patches has 1/n of the
# variance of one patch. So the answer is the variance of one patch, divided by the variance
# of one picture.

# %%
one_patch = spread(each.reshape(60 * 25, -1))
one_picture = spread(each.mean(axis=1))
worth = one_patch / one_picture
check("a picture of 25 cells is worth about 5 patches", 3 < worth < 6.5, f"{worth:.1f}")

# %% [markdown] tags=["answer"]
# > **Prediction 2.** The 25 patches from 25 pictures are less noisy. Those from one picture
# > are worth only 3.5 to 5.7 patches on five seeds, so their variance is about 5 times as
# > large. If you wrote that they are equal, you assumed that neighbouring patches are
# > independent.

# %% [markdown]
# So this is the advantage of patches from many pictures: less noise with the *same number
# of cells*. Keep a fraction `p` of the cells of each of `1/p` pictures. These are 25 cells
# again on average, but they come from more scenes.

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
all_cells = one_picture / 4
less_noise = mixed[1] > mixed[2] > mixed[4] > all_cells
check(
    "the same number of cells from more pictures: less noise",
    mixed[1] > mixed[2] > mixed[4],
)
check(
    "all cells of those four pictures: still less", mixed[4] > all_cells, f"{all_cells:.1f}"
)

# %% [markdown]
# ## What it costs
# A mask lies between the scores and the loss. Everything before it has already been
# computed, and the backward multiplies zeros like all other numbers. So a step with a mask
# takes as long as one without. And `1/p` pictures, which give the same number of cells,
# take `1/p` times as long.
#
# Could we cut the patches out instead, and compute only those that are kept? Neighbouring
# windows share most of their work. Count the multiply-adds: from how many patches on is the
# whole picture cheaper?

# %%
picture_cost = geometry.table(net, 64).multiply_adds
patch_cost = geometry.table(net, 18).multiply_adds
enough = picture_cost / patch_cost
print(f"multiply-adds: a picture {picture_cost:,}   a patch {patch_cost:,}")
check(
    "20 of the 144 patches cost more than the whole picture",
    18 < enough < 20,
    f"{enough:.1f} patches cost as much",
)
check(
    "all 144 cost 7 to 8 times as much", 7 < many / enough < 8, f"{many / enough:.1f} times"
)

# %%
seconds = {"no mask": [], "1/4 kept": []}
quarter = pixel_mask(cell_labels.shape, 0.25, rng)
for _ in range(25):  # in turns: another program slows down both
    for name, chosen in (("no mask", None), ("1/4 kept", quarter)):
        started = time.process_time()
        gradient(net, x, cell_labels, chosen)
        seconds[name].append(time.process_time() - started)
fastest = {name: min(values) for name, values in seconds.items()}
ratio = fastest["1/4 kept"] / fastest["no mask"]
print("  ".join(f"{name} {value * 1000:.1f} ms" for name, value in fastest.items()))
check(
    "with a quarter of the cells, a step takes at least half as long, and not twice",
    0.5 < ratio < 2,
    f"{ratio:.2f}",
)

# %% [markdown] tags=["answer"]
# > **Prediction 3.** Not faster: the layers compute as many numbers as before. On a busy
# > computer a clock is not exact, so the check allows half to twice the time. If you wrote
# > "four times", you expected that the layers know the mask. They do not: it acts on the
# > loss only.

# %% [markdown]
# ## Is whole-image training as good as patches?
# We train the same network six times, always from the same start. The first three trainings
# make 150 steps each. The first uses all cells of 4 pictures in each step, and the second a
# quarter of the cells of 4 pictures. The third uses a quarter of the cells of 16 pictures,
# which are as many cells as in the first. The paper made this comparison and saw no
# significant effect on how fast the training converges per step. The fourth is like the
# third, but stops after about as much *work* as the first: 37 * 16 = 592 pictures.
#
# The last two answer question 4. Like the first, they see 600 pictures: in 600 steps of one
# picture, and in 30 steps of 20.
#
# Each plan has a learning rate of its own. We chose it beforehand, by the accuracy on
# validation scenes: the lowest rate that comes close to the best (the table below). The
# results further below are from *test* scenes, which were not used for this choice.

# %%
plans = {  # pictures in a batch, share of the cells, steps, learning rate
    "4 pictures, all cells": (4, 1, 150, 0.04),
    "4 pictures, 1/4 of the cells": (4, 0.25, 150, 0.04),
    "16 pictures, 1/4 of the cells": (16, 0.25, 150, 0.08),
    "16 pictures, 1/4, 37 steps": (16, 0.25, 37, 0.08),
    "1 picture, 600 steps": (1, 1, 600, 0.01),
    "20 pictures, 30 steps": (20, 1, 30, 0.08),
}


def cells_of(count, split):
    """Pictures in float32, and the labels of their cells."""
    pictures, labels = world(count, 64, split)
    return pictures.astype(np.float32), labels_at_cells(labels, field, (cells, cells))


train_x, train_labels = cells_of(400, "train")
test = cells_of(60, "test")


def learn(pictures, keep, steps, rate, unseen=test):
    """Train one plan, and test it on unseen scenes.

    Returns: the rows (pictures computed, loss) of nine moments, and the scores at the end.
    """
    unseen_x, unseen_labels = unseen
    net, draws, curve = build(dtype=np.float32), np.random.default_rng([SEED, 3]), []
    optimizer = SGD(net, warm_up(polynomial(rate, steps), steps // 8), momentum=0.9)
    for step in range(steps + 1):
        if step in np.linspace(0, steps, 9).astype(int):
            scores = net(unseen_x)
            loss, _ = ops.softmax_cross_entropy(scores, unseen_labels)
            curve.append((step * pictures, loss))
        if step < steps:
            chosen = draws.integers(0, len(train_x), pictures)
            mask = pixel_mask((pictures, cells, cells), keep, draws)
            gradient(net, train_x[chosen], train_labels[chosen], mask, "mean")
            optimizer.step()
    table = metrics.ConfusionMatrix(6)
    table.update(unseen_labels, scores.argmax(axis=1))
    return np.array(curve).T, table.scores()


def rate_table():
    """Print the accuracy of every plan on validation scenes, at four or five rates."""
    val = cells_of(60, "val")
    for title, (*plan, _) in plans.items():
        rates = 0.01 * 2.0 ** np.arange(5)  # .01 to .16
        if title.startswith("1 picture"):
            rates = 0.0025 * 2.0 ** np.arange(4)  # .0025 to .02
        found = [learn(*plan, rate, val)[1]["pixel_accuracy"] for rate in rates]
        row = (f"{rate:g}: {score:.3f}" for rate, score in zip(rates, found))
        print(f"  {title:30}", *row, flush=True)


if os.environ.get("FCN_RATES"):
    rate_table()

# %% [markdown]
# `FCN_RATES=1 fcn lessons 13 --seed 0` also prints the accuracy of each plan at several
# rates. This takes one or two minutes more. Here is the mean over the seeds 0, 1, 2, 7
# and 11:
#
# | | .0025 | .005 | .01 | .02 | .04 | .08 | .16 |
# |---|---|---|---|---|---|---|---|
# | 4 pictures, all cells | | | .934 | .953 | .963 | .938 | .774 |
# | 4 pictures, 1/4 of the cells | | | .926 | .947 | .959 | .850 | .717 |
# | 16 pictures, 1/4 of the cells | | | .932 | .952 | .965 | .975 | .977 |
# | 16 pictures, 1/4, 37 steps | | | .780 | .845 | .872 | .896 | .806 |
# | 1 picture, 600 steps | .933 | .955 | .967 | .917 | | | |
# | 20 pictures, 30 steps | | | .762 | .812 | .857 | .882 | .840 |
#
# Close to the best means here: within .005 of accuracy. So the third plan gets .08,
# although .16 reaches .002 more, and each of the others gets its best rate.

# %%
runs, accuracy, final, mean_iu = {}, {}, {}, {}
print(f"  {'':30} {'loss':>6} {'accuracy':>9} {'mean IU':>8}")
for title, plan in plans.items():
    runs[title], scores = learn(*plan)
    final[title] = runs[title][1, -1]
    accuracy[title], mean_iu[title] = scores["pixel_accuracy"], scores["mean_iu"]
    print(f"  {title:30} {final[title]:6.3f} {accuracy[title]:9.3f} {mean_iu[title]:8.3f}")
whole_run, quarter_run, more_run, short_run, single_run, large_run = plans
test_labels = test[1]
background = (test_labels == 0).sum() / (test_labels != 255).sum()

# %% [markdown]
# **Equal steps.** The three accuracies are within .03 of each other. With the seed 0, a
# quarter of the cells of 4 pictures is a little worse than all cells. Its gradient is
# noisier. A quarter of 16 pictures is a little better: it sees four times as many scenes,
# and it allows a larger rate. It also takes four times the work.
#
# **Equal work.** The fourth plan computes 592 pictures and the first 600. But the fourth
# makes only 37 steps, and falls behind.

# %%
equal_steps = [accuracy[title] for title in (whole_run, quarter_run, more_run)]
difference = max(equal_steps) - min(equal_steps)
behind = accuracy[whole_run] - accuracy[short_run]
pictures_computed = {title: plan[0] * plan[2] for title, plan in plans.items()}
check(
    "all three learn",
    min(equal_steps) > background + 0.15,
    f"background alone has {background:.2f}",
)
check(
    "after as many steps, their accuracies are within .03",
    difference < 0.03,
    f"{difference:.3f}",
)
check(
    "16 pictures at a quarter: four times the work",
    pictures_computed[more_run] == 4 * pictures_computed[whole_run],
)
check("with equal work, whole pictures are ahead", 0.02 < behind < 0.2, f"by {behind:.3f}")

# %% [markdown]
# **Equal pictures.** Now compare batches of 1, 4 and 20. All three have seen 600 pictures
# and done the same work. The batch of one is as good as the batch of four, to within .03.
# The batch of 20 is behind, although its gradients are the least noisy. It has made only 30
# steps, and its rate cannot be 20 times as large. (With twice the rate, .16, its mean
# accuracy falls to .84.) So a batch of one is no disadvantage for this small network. Its
# steps are small and noisy, but there are many of them. (Work means multiply-adds here. On
# a computer with many cores, a larger batch uses them better.)

# %%
single_against_four = accuracy[single_run] - accuracy[whole_run]
single_against_large = accuracy[single_run] - accuracy[large_run]
equal = {pictures_computed[title] for title in (whole_run, single_run, large_run)}
same_pictures = equal == {600}
check("the batches of 1, 4 and 20 have seen 600 pictures each", same_pictures)
check(
    "a batch of one is as good as a batch of 4",
    abs(single_against_four) < 0.03,
    f"{single_against_four:+.3f}",
)
check(
    "it is better than a batch of 20",
    0.02 < single_against_large < 0.26,
    f"by {single_against_large:.3f}",
)

# %% [markdown] tags=["answer"]
# > **Prediction 4.** 600 steps of one picture: on five seeds the accuracy is higher by .05
# > to .21 than after 30 steps of 20. This holds at *equal pictures*. It says nothing about
# > 600 steps of 20 pictures, which are 20 times the work. If you wrote 30 steps, you
# > perhaps thought of a classifier, where one picture is one label.

# %% [markdown]
# ## So, is it as good?
# Yes, except at the border of padded networks. Patchwise training is whole-image training
# with a sampled loss: patches that are chosen at random are a mask on whole pictures. The
# mask adds noise and saves no time. Patches have two advantages. **Many scenes in a step**:
# whole pictures can have this too, as the training with 16 pictures shows. **Balanced
# classes**: instead of choosing patches of rare classes, give these classes a larger weight
# in the loss (`weight=`). We do not test this. The paper found it unnecessary, although
# three quarters of its pixels are background (section 4.3).
#
# And the batch of one picture? It is a batch of many cells that are similar. Its gradient
# is noisier than that of a larger batch, but it is also cheaper, so there are more steps.
# The authors' public code combines it with a momentum of 0.99. This averages the gradients
# of about 1 / (1 - 0.99) = 100 steps. The momentum of 0.9 averages those of 10 steps. The
# README of this code says that its networks were trained online, which means one picture in
# a step, with high momentum, and that this gives about 5 points of mean IU over the
# original networks. It does not say which part each of the two brings. (All our trainings
# use 0.9, so we have not tested it.)

# %% [markdown]
# ## What could fool you
# **The mean of means.** The mean loss of one batch of patches equals the mean loss of the
# masked pictures: both divide by the same number. Now go picture by picture instead. Take
# the mean in each picture, and average the gradients. (This is what you get when you add up
# the gradients of several small batches before a step, as Caffe does with its option
# `iter_size`.) Every loss is a mean, it falls, and nothing looks wrong.
# But now the weight of a cell depends on how many *other* cells of its picture are kept.
# Keep a tenth of the first picture and all of the second:

# %%
uneven = np.stack([pixel_mask((cells, cells), 0.1, rng), np.ones((cells, cells), bool)])
in_patches = patches(x, field, uneven), cell_labels[uneven][:, None, None]
mean_patches = gradient(net, *in_patches, None, "mean")[1]
mean_together = gradient(net, x, cell_labels, uneven, "mean")[1]


def of_picture(n, reduction):
    """The gradient of one of the two pictures."""
    picture = slice(n, n + 1)
    return gradient(net, x[picture], cell_labels[picture], uneven[picture], reduction)[1]


mean_of_means = (of_picture(0, "mean") + of_picture(1, "mean")) / 2
same_divisor = gap(mean_together, mean_patches)
other_divisor = gap(mean_of_means, mean_patches)
counts = (uneven & (cell_labels != 255)).sum(axis=(1, 2))
heavier = counts[1] / counts[0]
check(
    "one mean over both pictures = the mean over the patches",
    same_divisor < 1e-12,
    f"{same_divisor:.0e}",
)
check(
    "the mean of two means is another gradient",
    0.05 < other_divisor < 5,
    f"off by {other_divisor:.0%}",
)
check(
    "a cell of the first picture counts 5 to 30 times one of the second",
    5 < heavier < 30,
    f"{heavier:.0f} times",
)
sums = of_picture(0, "sum") + of_picture(1, "sum")
split_gap = gap(sums, gradient(net, *in_patches)[1])
check("sums do not depend on how they are split", split_gap < 1e-12)

# %% [markdown]
# ## The drawings


# %%
def draw_windows():
    """The kept windows on the picture."""
    caption = "Kept cells, and the windows that they see"
    figure, ax = viz.new_figure(caption, width=4.2, height=4.4)
    ax.imshow(np.clip((x[0].transpose(1, 2, 0) * 60 + 110) / 255, 0, 1))
    viz.bare(ax)
    for i, j in np.argwhere(mask[0]):
        viz.frame(ax, 4 * i, 4 * j, 18, 18, "white", 0.8)
        ax.plot(4 * j + 8.5, 4 * i + 8.5, "o", color="white", markersize=3)
    return figure


def draw_gradients():
    """The two gradients against each other."""
    caption = "The sum of patch gradients, and the gradient of the masked picture"
    titles = ["no padding", "padded by 1"]
    figure, axes = viz.new_figure(caption, columns=2, width=7.4, height=3.9, titles=titles)
    axes[0].plot(whole, patch_sum, ".", markersize=3)
    for place, colour in (("border", 1), ("inner", 0)):
        ours, theirs = results[place]
        style = {"markersize": 3, "color": viz.COLOURS[colour], "zorder": 2}
        axes[1].plot(theirs, ours, ".", label=f"{place} cells", **style)
    axes[1].legend(loc="upper left")
    for ax in axes:
        ax.axline((0, 0), slope=1, color="#999999", linewidth=0.8, zorder=1)
        ax.set(xlabel="gradient from the picture", ylabel="summed over patches")
    return figure


def draw_variance():
    """The variance under masks, and of several ways to choose 25 cells."""
    caption = "More cells give less noise, and so do more pictures"
    titles = ["one picture, 4000 masks each", "cells of one or of several pictures"]
    figure, axes = viz.new_figure(caption, 2, 1, 6.5, 6, titles)
    fine = np.geomspace(keeps[0], keeps[-2], 50)
    formula = (1 - fine) / fine * (one**2).sum()
    axes[0].plot(fine, formula, color="#999999", label="the formula")
    axes[0].plot(keeps[:-1], measured[:-1], "o", color=viz.COLOURS[1], label="measured")
    axes[0].set(
        xlabel="probability p to keep a cell",
        ylabel="variance of the gradient",
        xscale="log",
        yscale="log",
    )
    axes[0].set_xticks(keeps[:-1], [str(keep) for keep in keeps[:-1]])
    axes[0].minorticks_off()
    axes[0].legend(frameon=False)
    names = [
        "1 patch",
        "1 picture: 25 cells",
        "2 pictures: 25 cells",
        "4 pictures: 25 cells",
        "4 pictures: 100 cells",
    ]
    variances = [one_patch, *mixed.values(), all_cells]
    bars = axes[1].barh(names[::-1], variances[::-1], color=viz.COLOURS[0])
    axes[1].bar_label(bars, fmt="%.0f", padding=3)
    axes[1].set(xlabel="variance of the mean gradient")
    axes[1].margins(x=0.15)
    return figure


def draw_training():
    """The loss on test scenes, by steps and by pictures."""
    caption = "The loss on test scenes during training"
    titles = ["150 steps each", "600 pictures each (37 steps of 16: 592)"]
    figure, axes = viz.new_figure(caption, 2, 1, 6.5, 7, titles)
    for title in (whole_run, quarter_run, more_run):
        axes[0].plot(runs[title][0] / plans[title][0], runs[title][1], label=title)
    for title, colour in ((single_run, 3), (whole_run, 0), (large_run, 4), (short_run, 2)):
        line = "--" if title == short_run else "-"
        axes[1].plot(*runs[title], line, color=viz.COLOURS[colour], label=title)
    axes[0].set(xlabel="steps", ylabel="loss on test scenes")
    axes[1].set(xlabel="pictures computed (the work)", ylabel="loss on test scenes")
    for ax in axes:
        ax.set(yscale="log", ylim=(0.06, 5))
        ax.set_yticks([0.1, 0.2, 0.5, 1, 2], ["0.1", "0.2", "0.5", "1", "2"])
        ax.minorticks_off()
        ax.legend(frameon=False)
    return figure


# %% [markdown]
# Each white frame is a patch, and the dot is its middle. Look at how much they overlap.

# %%
viz.show(draw_windows(), "13_windows")

# %% [markdown]
# Each point is one parameter of the network. On the left, all points lie on the line. On
# the right, look for the points that do not lie on it: all of them come from the cells at
# the border.

# %%
viz.show(draw_gradients(), "13_gradients")

# %% [markdown]
# In the upper plot, the measured points lie on the line of the formula. In the lower one,
# compare the second bar with the fourth: both use 25 cells, but the second has a larger
# variance.

# %%
viz.show(draw_variance(), "13_variance")

# %% [markdown]
# In the upper plot, look at how close the ends of the three lines are. (The peak of one
# line on the way is noise: with seed 0 a few steps went in a bad direction.) In the lower
# plot, look at the ends at 600 pictures: the two small batches are below the two large
# ones.

# %%
viz.show(draw_training(), "13_training")

# %% [markdown]
# ## Exercises
# 1. *Trace.* Which pixels do the kept windows use, how often, and where are their labels?
# 2. *Change.* Move the picture by a random shift before each step. The labels have to move
#    along.
# 3. *Prove.* The sum divided by p is unbiased. Compute its mean and its variance over all
#    masks.
#
# `fcn exercise 13` writes a file for each of them, `fcn exercise 13 --check FILE` checks
# your answer, `fcn exercise 13 --solution` shows ours.

# %% [markdown]
# ## Claims

# %%
falls = bool((np.diff(measured) < 0).all())
as_formula = bool((abs(ratios - 1) < 0.2).all())
one_is_four = abs(single_against_four) < 0.03
one_beats_twenty = 0.02 < single_against_large < 0.26
claims(
    [
        ("patch gradients = masked gradient", patch_gap < 1e-12, "1e-12: two orders"),
        ("with padding: inside, still", inner_gap < 1e-12, "1e-12: two orders"),
        ("with padding: not at the border", 0.01 < border_gap < 2, "far above rounding"),
        ("masking is unbiased", unbiased, "3 standard errors of 4000 draws"),
        ("its variance falls with every cell kept", falls, "an order"),
        ("as (1 - p)/p", as_formula, "a fifth: 4000 draws leave some hundredths"),
        ("25 cells are worth about 5 patches", 3 < worth < 6.5, "3.5 to 5.7"),
        ("equal cells from more pictures: less noise", less_noise, "an order"),
        ("a mask does not halve a step's time", 0.5 < ratio < 2, "equal; a factor of two"),
        ("20 patches cost more than the picture", 18 < enough < 20, "counted"),
        ("at equal steps they end alike", difference < 0.03, ".007 to .021 on five seeds"),
        ("at equal work pictures lead", 0.02 < behind < 0.2, ".044 to .147"),
        ("at equal pictures one is as good as four", one_is_four, "-.002 to +.008"),
        ("and better than twenty", one_beats_twenty, ".046 to .214 on five seeds"),
        ("the mean of means differs", 0.05 < other_divisor < 5, "far above rounding"),
        ("one mean does not", same_divisor < 1e-12, "1e-12: two orders"),
    ]
)

"""Lesson 13, answers to the exercises: is whole-image training different from training on patches?"""

# %%
from itertools import product

import numpy as np

from fcn_from_scratch import geometry, ops
from fcn_from_scratch.course import check
from fcn_from_scratch.dense import labels_at_cells, patches, rarefy
from fcn_from_scratch.layers import Conv2d, MaxPool2d, ReLU, Sequential

rng = np.random.default_rng(13)


def gap(a, b):
    """The largest difference, relative to the largest number."""
    return np.abs(a - b).max() / np.abs(b).max()


# %% [markdown]
# ## 1. Trace
# Windows of 4 begin at 0, 2, 4, 6, 8: five of them, the last one ends at pixel 11. The mask keeps
# the first, the third and the fourth. The middle of a window that begins at `b` is `b + 1.5`, between
# two pixels; the one before is `b + 1`.
#
#     pixel      0 1 2 3 4 5 6 7 8 9 10 11
#     cell 0     x x x x                        label at 1
#     cell 2             x x x x                label at 5
#     cell 3                 x x x x            label at 7
#     used       1 1 1 1 1 1 2 2 1 1 0  0
#
# How often a pixel is used is a gradient: that of the sum of the kept scores by the picture, for a
# filter of ones.

# %%
row, mask = np.arange(12.0).reshape(1, 1, 1, 12), np.array([1, 0, 1, 1, 0], bool).reshape(1, 1, 5)
summing = Conv2d(1, 1, (1, 4), stride=(1, 2), bias=False, dtype=np.float64)
summing.params["weight"][...] = 1
field = geometry.receptive_field(summing)
windows = patches(row, field, mask)[:, 0, 0].astype(int)
print(windows)
check("three windows", windows.tolist() == [[0, 1, 2, 3], [4, 5, 6, 7], [6, 7, 8, 9]])
centres = labels_at_cells(row[0].astype(int), field, (1, 5))[mask]
check("the labels are those of pixels 1, 5 and 7", centres.tolist() == [1, 5, 7])
summing(row)
used = summing.backward(mask[None].astype(float))[0, 0, 0]
check("pixels 6 and 7 count twice, 10 and 11 not at all", used.tolist() == [1, 1, 1, 1, 1, 1, 2, 2, 1, 1, 0, 0])

# %% [markdown]
# ## 2. Change
# Take `a` rows and `b` columns away before the step. The windows now begin at `(4i + a, 4j + b)`. Over
# all 16 shifts every window of the picture has its turn, each exactly once: the windows of
# shift-and-stitch (lesson 7).
#
# So the sum of the losses of all shifts is the summed loss of the **dense** map, which the rarefied net
# (lesson 8) gives in one pass with the same weights. A random shift is a sample of a sixteenth of its
# cells: on average the gradient is a sixteenth of the dense one. The labels have to move along.


# %%
def net_of_stride_4():
    options = {"dtype": np.float64, "rng": rng}
    return Sequential(
        Conv2d(3, 4, 3, **options),
        ReLU(),
        MaxPool2d(2),
        Conv2d(4, 5, 3, **options),
        ReLU(),
        MaxPool2d(2),
        Conv2d(5, 3, 3, **options),
    )


def gradient(net, x, labels):
    """The gradient of the summed loss, as one long row."""
    scores = net(x)
    coarse = labels_at_cells(labels, geometry.receptive_field(net), scores.shape[2:])
    _, dscores = ops.softmax_cross_entropy(scores, coarse, reduction="sum")
    net.zero_grad()
    net.backward_params(dscores)
    return np.concatenate([array.ravel() for array in net.grads.values()])


# %%
net, x, labels = net_of_stride_4(), rng.normal(size=(1, 3, 33, 30)), rng.integers(0, 3, (1, 33, 30))
field = geometry.receptive_field(net)
begins = []
for a, b in product(range(4), repeat=2):
    rows, columns = net(x[:, :, a:, b:]).shape[2:]
    begins += [(4 * i + a, 4 * j + b) for i, j in product(range(rows), range(columns))]
every = list(product(range(33 - 18 + 1), range(30 - 18 + 1)))
check("every window has its turn, once", sorted(begins) == every, f"{len(every)} windows")

shifts = [gradient(net, x[:, :, a:, b:], labels[:, a:, b:]) for a, b in product(range(4), repeat=2)]
dense = gradient(rarefy(net), x, labels)
check("the 16 gradients add up to that of the dense map", gap(sum(shifts), dense) < 1e-13)
wrong = [gradient(net, x[:, :, a:, b:], labels) for a, b in product(range(4), repeat=2)]
check("not with labels that stay where they were", gap(sum(wrong), dense) > 0.01)

# %% [markdown]
# ## 3. Prove
# Let cell `i` have the gradient `g_i`, and `m_i` be its coin: 1 with probability `p`, else 0. The coins
# are independent. `E` is the average over all outcomes.
#
# **The sum divided by p.** Its mean is the whole sum, since `E m_i = p`:
#
#     E[ sum of m_i g_i / p ]  =  sum of E[m_i] g_i / p  =  sum of g_i
#
# The variance of a coin is `E[m_i^2] - p^2 = p - p^2 = p (1 - p)`, and those of independent terms add up:
#
#     variance  =  sum of p (1 - p) |g_i / p|^2  =  (1 - p)/p * sum of |g_i|^2
#
# **The mean over the kept cells.** Say that `k` of the `n` cells are kept, `k` at least 1. All sets of `k`
# cells are equally likely then, whatever `p` is. A given cell is in `k/n` of them. So the mean is
#
#     E[ sum of m_i g_i / k, given k ]  =  sum of (k/n) g_i / k  =  sum of g_i / n
#
# which is the mean over all cells, for every `k`, and so on average over `k`. Where no cell is kept
# there is no mean, and the package gives 0; then it is the mean of all, times the probability that a
# cell is kept at all, `1 - (1 - p)^n`.
#
# Both to the last digit: with five cells there are only 32 outcomes, so add them all up.

# %%
n, p = 5, 0.3
g = rng.normal(size=(n, 7))
outcomes = np.array(list(product([0, 1], repeat=n)))
probability = np.prod(np.where(outcomes == 1, p, 1 - p), axis=1)
check("the probabilities of the 32 outcomes add up to 1", abs(probability.sum() - 1) < 1e-14)

sums = outcomes @ g / p
check("the sum divided by p is unbiased", gap(probability @ sums, g.sum(axis=0)) < 1e-13)
variance = probability @ ((sums - g.sum(axis=0)) ** 2).sum(axis=1)
check("its variance is (1 - p)/p * sum of squares", abs(variance / ((1 - p) / p * (g**2).sum()) - 1) < 1e-13)

count = outcomes.sum(axis=1)
means = outcomes @ g / np.maximum(count, 1)[:, None]
some = count > 0
given_some = probability[some] @ means[some] / probability[some].sum()
check("the mean over the kept cells is unbiased, if one is kept", gap(given_some, g.mean(axis=0)) < 1e-13)
shrunk = (1 - (1 - p) ** n) * g.mean(axis=0)
check("with 0 for an empty mask it is a little small", gap(probability @ means, shrunk) < 1e-13)

# %% [markdown]
# It is the *mask* that must not look at the scores. Keep the cells with the largest losses, and nothing
# of this holds: the coins are no longer the same for all.

# %%
hard = np.argsort(-(g**2).sum(axis=1))[:2]
check("the two largest gradients are not the mean", gap(g[hard].mean(axis=0), g.mean(axis=0)) > 0.1)

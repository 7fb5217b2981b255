"""Lesson 14, answers to the exercises: how do depth and a second task enter?"""

# %%
from itertools import pairwise

import numpy as np

from fcn_from_scratch import datasets, models, ops
from fcn_from_scratch.course import check, device, seed
from fcn_from_scratch.training import evaluate, fit

rng = np.random.default_rng(14)


def gap(a, b):
    """The largest difference, relative to the largest number."""
    return float(abs(a - b).max() / abs(b).max())


# %% [markdown]
# ## 1. Trace
# Only `conv1_1` sees the image, so only its weight grows: from (64, 3, 3, 3) to (64, 4, 3, 3), by
# 64 * 9 = 576 numbers. To 134 million.
#
# Late fusion has two of everything that has weights, score layers included: twice a network for three
# channels. The parts, with 40 classes:
#
#     convolutions    14,714,688
#     fc6            102,764,544
#     fc7             16,781,312
#     score_fr            163,880 = 40 * 4096 + 40
#     one network    134,424,424     late fusion   268,848,848
#
# If the streams were joined after `drop7`, as a sum of *features*, one score layer would do: 163,880
# numbers fewer. That is another network: it scores both pictures with the same weights.
#
# The count below is made at an eighth of the width, where every weight but the first layer's is 64
# times smaller; the arithmetic is the same.

# %%


def parameters(name, width, **options):
    return sum(array.size for array in models.build(name, 40, width=width, **options).params.values())


def on_paper(width, channels=3):
    """The same sum by hand: 3x3 convolutions, fc6, fc7 and score_fr, each with its bias."""
    widths = [channels]
    for factor, count in zip((1, 2, 4, 8, 8), (2, 2, 3, 3, 3)):
        widths += [factor * width] * count
    convolutions = sum(9 * before * after + after for before, after in pairwise(widths))
    fc = 64 * width
    return convolutions + 49 * 8 * width * fc + fc + fc * fc + fc + 40 * fc + 40


check("one network at full width: 134,424,424", on_paper(64) == 134_424_424)
check("the fourth channel: 576 more at full width", on_paper(64, 4) - on_paper(64) == 576)
check("at width 8 the package counts what the hand counts", parameters("fcn32s", 8) == on_paper(8))
check("and with a fourth channel", parameters("fcn32s", 8, in_channels=4) == on_paper(8, 4))
check("late fusion is two networks", parameters("fcn32s_late_fusion", 8) == 2 * on_paper(8))

# %% [markdown]
# ## 2. Change
# The lesson's world, drawn again, and late fusion on the colours twice, and on colour and depth. Both
# have two trunks of the same size (but for the first layer's slices).

# %%
scene = {"size": 64, "seed": seed(), "depth": True, "noise": 2.0, "classes_by": "colour"}
WARM = [1, 2, 5]  # red, yellow, magenta


class World(datasets.Dataset):
    """Warm and cool things, near and far, as in the lesson; `channels` of the picture (0, 1, 2 colours, 3 depth)."""

    classes = ("ground", "warm, far", "warm, near", "cool, far", "cool, near")

    def __init__(self, count, split, channels):
        self.samples = []
        for sample in datasets.Shapes(count=count, split=split, **scene):
            cool, near = ~np.isin(sample.labels, WARM), sample.image[:, :, 3] > 174
            ids = np.where(sample.labels == 0, 0, 1 + 2 * cool + near)
            ids[sample.labels == 255] = 255
            self.samples.append(datasets.Sample(sample.image[:, :, channels], ids.astype(np.uint8), sample.name))

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, index):
        return self.samples[index]


iu = {}
for title, channels, in_channels in (
    ("colour twice", [0, 1, 2] * 2, (3, 3)),
    ("colour and depth", [0, 1, 2, 3], (3, 1)),
):
    net = models.build("mini_fcn32s_late_fusion", 5, width=12, fc6_kernel=2, in_channels=in_channels, seed=seed())
    fit(net, World(400, "train", channels), 200, 0.1, seed=seed(), device=device())
    iu[title] = evaluate(net, World(80, "val", channels), device()).scores()["mean_iu"]
    print(f"  {title:18} mean IU {iu[title]:.3f}")
check("it is the second picture that helps, not the second trunk", iu["colour and depth"] > iu["colour twice"])

# %% [markdown]
# ## 3. Prove
# Let `h` and `g` be the tops of the two streams, `W, b` and `V, c` their score layers. The fused scores
#
#     (W h + b) + (V g + c)  =  [W V] [h; g]  +  (b + c)
#
# are one score layer, `[W V]` with bias `b + c`, on the features laid one upon the other; an average
# halves both. A convolution is linear in its channels, so the first line is the second. (Lesson 12 has
# the same identity for a skip.) Early fusion joins *before* the ReLUs: `relu(A x + B d)` is in general
# no sum of a function of `x` and one of `d`. That is what it can do and late fusion cannot: look at an
# edge that is in both pictures *at once*.

# %%
h, g = rng.normal(size=(2, 5, 4, 6)), rng.normal(size=(2, 7, 4, 6))
w, v, b, c = (rng.normal(size=shape) for shape in ((3, 5, 1, 1), (3, 7, 1, 1), (3,), (3,)))
fused = ops.conv2d(h, w, b) + ops.conv2d(g, v, c)
stacked = ops.conv2d(np.concatenate([h, g], axis=1), np.concatenate([w, v], axis=1), b + c)
check("late fusion = one score layer on the concatenation", gap(fused, stacked) < 1e-12)

# a sum f(x) + g(d) has f(1) + g(-2) + f(0) + g(0) = f(1) + g(0) + f(0) + g(-2)
together, first, second, none = (np.maximum(i + j, 0) for i, j in ((1.0, -2.0), (1.0, 0.0), (0.0, -2.0), (0.0, 0.0)))
check(
    "early fusion is no such sum: relu(1 - 2) + relu(0 + 0) is not relu(1 + 0) + relu(0 - 2)",
    together + none != first + second,
)

# %% [markdown]
# A weight of 10 on the second loss multiplies its upstream gradient by 10, and backward is linear in
# that. So every gradient of the second head is 10 times as large, those of the first head do not
# change, and a trunk gradient, which was `a + b`, is `a + 10 b`: it leans to the second task.

# %%
net = models.build("mini_fcn8s_two_heads", (4, 3), width=4, fc6_kernel=2, dtype=np.float64)
for array in net.params.values():
    array[...] = rng.normal(size=array.shape) / np.sqrt(max(array[0].size, 4))
picture = rng.normal(size=(1, 3, 40, 50))
sem, geo = (rng.normal(size=y.shape) for y in net(picture))


def gradients(a, b):
    """All gradients when the two losses have the weights a and b."""
    net.zero_grad()
    net(picture)
    net.backward((a * sem, b * geo))
    return {name: gradient.copy() for name, gradient in net.grads.items()}


plain, weighted, of_sem, of_geo = gradients(1, 1), gradients(1, 10), gradients(1, 0), gradients(0, 1)
check("the first head's gradients stay", all(np.array_equal(weighted[n], plain[n]) for n in plain if "_sem" in n))
check(
    "the second head's are ten times as large",
    all(gap(weighted[n], 10 * plain[n]) < 1e-12 for n in plain if "_geo" in n),
)
trunk = [name for name in plain if not name.startswith("score")]
worst = max(gap(weighted[name], of_sem[name] + 10 * of_geo[name]) for name in trunk)
check("the trunk's are a + 10 b", worst < 1e-12, f"{worst:.0e}")

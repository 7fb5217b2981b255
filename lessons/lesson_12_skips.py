"""Lesson 12: How are the score layers fused?

Afterwards you can build FCN-16s and FCN-8s from FCN-32s, write their backward, say what each part of the
sum contributes, and tell what skips buy from what longer training buys.

Needs: lessons 1, 7, 8, 9 and 11
Runtime: 50 s on 2 cores
"""

# %% [markdown]
# # What, and where
#
# The scores of FCN-32s stand 32 pixels apart. They know *what* is there: each has seen a large part
# of the picture. They do not know *where* it ends. The map after `pool4` stands every 16 pixels. It
# knows less and sees sharper. FCN-16s lets both vote: a 1x1 convolution scores `pool4`, the coarse
# scores are upsampled by 2, and the two maps are **added**. FCN-8s does it again with `pool3`.
#
# Worked example, one class, coarse 1x1, fine 3x3, the upsampled coarse score 2 everywhere:
#
#     coarse  2 2 2     fine   1 -3 -3     sum   3 -1 -1
#             2 2 2            1  1 -3           3  3 -1      the corner is cut off
#             2 2 2            1  1  1           3  3  3
#
# In the backward the sum hands its gradient to both sides unchanged. `pool4` then feeds two: the
# skip, and `conv5_1`. Its gradient is the sum of what the two send back.

# %% [markdown]
# ## Predict
# 1. Adding the scores, or scoring the *concatenated* features: which of the two can say more?
# 2. FCN-16s starts from a trained FCN-32s, its new score layer at zero. Are its first predictions
#    those of FCN-32s, exactly?
# 3. You train 32s, then 16s, then 8s. How much of the gain is just the longer training?

# %%
import numpy as np

from fcn_from_scratch import datasets, models, ops, viz
from fcn_from_scratch.backend import to_device
from fcn_from_scratch.lab.compare import Rarefied, Stitched, Whole
from fcn_from_scratch.lab.compare.measuring import predict
from fcn_from_scratch.course import check, claims, device, seed
from fcn_from_scratch.metrics import ConfusionMatrix, boundary_band
from fcn_from_scratch.objects import recall_by_size
from fcn_from_scratch.training import SGD, evaluate, fit, polynomial, segment, warm_up

DEVICE, SEED = device(), seed()
rng = np.random.default_rng(SEED)

# %% [markdown]
# ## Sum of scores = score of the concatenation
# A score is linear in its features. So one 1x1 convolution over the concatenated features is two 1x1
# convolutions whose results are added: cut its weight in two. Neither can say more. The sum needs no
# wide map, and each side can be upsampled on its own first.

# %%
deep, fine = rng.normal(size=(2, 5, 4, 6)), rng.normal(size=(2, 3, 4, 6))
w_deep, w_fine = rng.normal(size=(4, 5, 1, 1)), rng.normal(size=(4, 3, 1, 1))
summed = ops.conv2d(deep, w_deep) + ops.conv2d(fine, w_fine)
both = np.concatenate([deep, fine], axis=1)
scored = ops.conv2d(both, np.concatenate([w_deep, w_fine], axis=1))
concatenation_gap = np.abs(summed - scored).max()
check("summing scores = scoring the concatenation", concatenation_gap < 1e-12, f"{concatenation_gap:.0e}")

# %% [markdown]
# ## The stages
# The small world of lesson 11, and its first two networks again: a classifier, and on its trunk
# 32s-fixed and 32s. Then each stage starts from the one before it.

# %%
scene = {"size": 64, "classes_by": "colour", "seed": SEED}
train = datasets.InMemory(datasets.Shapes(count=600, split="train", **scene))
val = datasets.InMemory(datasets.Shapes(count=80, split="val", **scene))
single = [sample for sample in datasets.Shapes(count=500, things=1, **scene)]
words = np.array([sample.labels[sample.labels != 255].max() for sample in single])
classes, scores = train.classes, {}


def build(name, start=None):
    net = models.build(name, len(classes), width=12, fc6_kernel=2, seed=SEED)
    if start is not None:
        models.transplant(net, start)
    return net


def learn(title, net, steps, lr=0.02):
    fit(net, train, steps, lr, seed=SEED, device=DEVICE)
    scores[title] = row = evaluate(net, val, DEVICE).scores()
    print(f"  {title:22} pixel accuracy {row['pixel_accuracy']:.3f}   mean IU {row['mean_iu']:.3f}", flush=True)
    return net.eval()


# %%
classifier = build("mini_classifier").to(DEVICE)
pictures = np.stack([classifier.transform(sample.image) for sample in single])
optimizer = SGD(classifier, warm_up(polynomial(0.01, 120), 20), weight_decay=5e-4)
for _ in range(120):
    batch = rng.integers(0, 500, 16)
    classifier.zero_grad()
    _, dscores = ops.softmax_cross_entropy(classifier(pictures[batch]), words[batch])
    classifier.backward_params(dscores)
    optimizer.step()

fixed = learn("32s-fixed", build("mini_fcn32s", classifier).freeze_trunk(), 150, 0.005)
fcn32s = learn("32s", build("mini_fcn32s", classifier), 300, 0.03)

# %% [markdown]
# ## A skip that says nothing yet
# FCN-16s takes over the trunk and `score_fr`. Its `score_pool4` starts at zero, so the skip adds
# exactly nothing. Still the predictions are only *nearly* those of FCN-32s: upsampling by 2 and then
# by 16 is not quite upsampling by 32 (lesson 10).

# %%
fcn16s = build("mini_fcn16s", fcn32s).eval()
x = np.stack([fcn32s.transform(val[i].image) for i in range(20)])
top, maps = fcn16s.trunk(x)
pool, upscore, fuse = fcn16s.skips[0]
coarse = upscore(fcn16s.score_fr(top))
cut = [max(-offset, 0) for offset in fuse.offset]
fused = fuse(coarse, maps[pool])
check("the untrained skip adds exactly 0", np.array_equal(fused, ops.crop(coarse, cut, fused.shape[2:])))
same = (fcn16s(x).argmax(axis=1) == fcn32s(x).argmax(axis=1)).mean()
check("16s starts with nearly the predictions of 32s, not exactly", 0.8 < same < 1, f"{same:.1%} of the pixels agree")

# %%
learn("16s", fcn16s.train(), 150)
fcn8s = learn("8s", build("mini_fcn8s", fcn16s), 150)

# %% [markdown]
# ## The control
# 8s has now been trained for 300 steps more than 32s. Give 32s the same 300 steps, in the same two
# rounds. And, since the question always comes up: go from 32s to 8s in one round of 200, both skips
# at once. The paper calls its own version of that *at once*, and needs small factors on the features
# for it, because VGG's are large.

# %%
control = learn("32s, equal steps to 16s", build("mini_fcn32s", fcn32s), 150)
learn("32s, equal steps to 8s", control.train(), 150)
learn("8s, both skips at once", build("mini_fcn8s", fcn32s), 200)
fcn4s = learn("4s", build("mini_fcn4s", fcn8s), 100)

# %%
iu = {title: row["mean_iu"] for title, row in scores.items()}
check("32s-fixed < 32s < 16s < 8s", iu["32s-fixed"] < iu["32s"] < iu["16s"] < iu["8s"])
check("32s trained as long as 16s stays below it", iu["32s, equal steps to 16s"] < iu["16s"])
check("32s trained as long as 8s stays below it", iu["32s, equal steps to 8s"] < iu["8s"])
check("both skips at once work here too", iu["8s, both skips at once"] > iu["32s, equal steps to 8s"])
gain_16, gain_8, gain_4 = iu["16s"] - iu["32s"], iu["8s"] - iu["16s"], iu["4s"] - iu["8s"]
print(f"  gained by pool4 {gain_16:.3f}, by pool3 {gain_8:.3f}, by pool2 {gain_4:.3f}")

# %% [markdown]
# **Why stop at 8s?** In the paper the gain shrinks fast: 59.4, 62.4, 62.7 mean IU. In this world a
# fourth network, 4s, gains again, and there is no mystery in it: here colour tells the class, and
# `pool2` sees colour as well as any. In photographs it does not know a horse from a cow. How far down
# a skip is worth its price is a question about the data.

# %%
full = sorted(range(len(val)), key=lambda i: (val[i].labels == 0).sum())  # scenes with the most in them first
rows = []
for i in full[:4]:
    image, truth, _ = val[i]
    rows.append([image, truth, *(segment(net, image, DEVICE) for net in (fcn32s, fcn16s.eval(), fcn8s, fcn4s))])
titles = ["picture", "truth", "32s", "16s", "8s", "4s"]
viz.save_figure(
    viz.panels(rows, titles, "Each skip halves the width of the brush", classes=classes, palette=train.palette),
    "12_skips",
)

figure, axis = viz.new_figure("Skips, and not the longer training, make the difference", width=6.5, height=3.4)
titles = ["32s-fixed", "32s", "32s, equal steps to 8s", "16s", "8s", "4s"]
bars = axis.barh(titles[::-1], [iu[title] for title in titles[::-1]], color=viz.COLOURS[0])
axis.bar_label(bars, fmt="%.2f", padding=3, fontsize=9)
axis.set_xlabel("mean IU")
viz.save_figure(figure, "12_mean_iu")

# %% [markdown]
# ## Who says how much?
# Everything after the score layers is linear, so the final scores are a sum of three maps, one for
# each score layer: switch the others off and run the rest. The share of a part is how far its own
# scores spread between classes, against the three spreads together.

# %%
heads = ["score_fr", "score_pool4", "score_pool3"]


def part_of(net, kept):
    """The scores with the weights and biases of all other score layers at zero."""
    state = net.state_dict()
    for head in heads:
        if head not in kept:
            for kind in ("weight", "bias"):
                net.params[f"{head}.{kind}"][...] = 0
    y = net(x)
    net.load_state_dict(state)
    return y


whole = fcn8s(x)
parts = {head: part_of(fcn8s, [head]) for head in heads}
linear_gap = np.abs(sum(parts.values()) - whole).max() / np.abs(whole).max()
check("the three parts add up to the scores", linear_gap < 1e-5, f"{linear_gap:.0e}")
spread = {head: (part - part.mean(axis=1, keepdims=True)).std() for head, part in parts.items()}
for head in heads:
    print(f"  {head:12} {spread[head] / sum(spread.values()):.0%} of the spread between classes")
least = min(spread.values()) / sum(spread.values())
check("deep or shallow, each part has its say: none is below a tenth", least > 0.1, f"the smallest is {least:.0%}")

# %% [markdown]
# ## A factor on the features
# The at-once networks multiply `pool4` by 0.01 and `pool3` by 0.0001 before they are scored. For what
# the layer can say this changes nothing: `w * (0.01 x)` is `(0.01 w) * x`. It changes how fast it
# learns. The gradient of `w` is 100 times smaller, and so is what a change of `w` does: together as
# if the plain layer had a rate 1e-4 times as large.

# %%
features, target = rng.normal(size=(1, 3, 4, 5)), rng.normal(size=(1, 2, 4, 5))
w, a, lr = rng.normal(size=(2, 3, 1, 1)), 0.01, 10.0


def step(weight, x, lr):
    """One step of gradient descent on half the squared error, bias left out."""
    dy = ops.conv2d(x, weight) - target
    return weight - lr * ops.conv2d_weight_grad(dy, x, weight)


scaled = a * step(w / a, a * features, lr)
plain = step(w, features, lr * a**2)
scale_gap = np.abs(scaled - plain).max()
check("features x 0.01 = plain features with the rate x 0.0001", scale_gap < 1e-12, f"{scale_gap:.0e}")
bias = np.array([1.0, -1.0])
before, after = ops.conv2d(a * features, w, bias), a * ops.conv2d(features, w, bias)
check("scaling the scores after the layer is another thing: it scales the bias", not np.allclose(before, after))

# %% [markdown]
# ## Is a skip ResNet's shortcut?
# Both go round some layers, and both are added. But a shortcut of ResNet adds *features* to features
# of the same place and meaning, unchanged, and is there to let a deep trunk learn. A skip of FCN adds
# *scores* made by a layer of its own, from another resolution, and is there to sharpen the answer.

# %%
added = {name: array.size for name, array in fcn16s.params.items() if name not in fcn32s.params}
channels = maps["pool4"].shape[1]
check("all that a skip adds is one small score layer", sum(added.values()) == len(classes) * (channels + 1), f"{added}")

# %% [markdown]
# ## What is still lost
# Look where the errors are: within three pixels of a boundary, and in small things.


# %%
def border_error(net):
    """The error rate within three pixels of a boundary, and elsewhere."""
    near, far = ConfusionMatrix(len(classes)), ConfusionMatrix(len(classes))
    for image, truth, _ in val:
        guess, band = segment(net, image, DEVICE), boundary_band(truth, 3)
        near.update(np.where(band, truth, 255), guess)
        far.update(np.where(band, 255, truth), guess)
    return [1 - matrix.scores()["pixel_accuracy"] for matrix in (near, far)]


borders = {"32s": border_error(fcn32s), "16s": border_error(fcn16s), "8s": border_error(fcn8s)}
for title, (near, far) in borders.items():
    print(f"  {title:4} wrong near a boundary {near:.1%}, elsewhere {far:.1%}")
check("every network errs most at boundaries", all(near > far for near, far in borders.values()))
check("skips help there most", borders["32s"][0] - borders["8s"][0] > borders["32s"][1] - borders["8s"][1])

# %%
recalls = {}
for title, net in (("32s", fcn32s), ("8s", fcn8s)):
    found = [recall_by_size(truth, segment(net, image, DEVICE)) for image, truth, _ in val]
    area = np.concatenate([one.area for one in found])
    recall = np.concatenate([one.recall for one in found])
    recalls[title] = [recall[area < 100].mean(), recall[area >= 100].mean()]
    print(
        f"  {title:4} found of things below 100 pixels {recalls[title][0]:.0%}, of larger ones {recalls[title][1]:.0%}"
    )
check("small things are found less than large ones, by both", all(small < large for small, large in recalls.values()))
check("8s finds more of both", all(eight > coarse for eight, coarse in zip(recalls["8s"], recalls["32s"])))

# %%
rows = []
for i in full[:3]:
    image, truth, _ = val[i]
    errors = [viz.error_map(truth, segment(net, image, DEVICE)) for net in (fcn32s, fcn16s, fcn8s)]
    rows.append([image, truth, *errors])
titles = ["picture", "truth", "32s, wrong in red", "16s", "8s"]
viz.save_figure(
    viz.panels(rows, titles, "What is left to get wrong lies along the boundaries", palette=train.palette), "12_errors"
)

# %% [markdown]
# ## A skip, or more questions?
# Lessons 7 and 8 knew another way to a finer map: ask the *same* net at more places. Bring 32s down
# to the stride of 8s by shift-and-stitch (16 passes) and by removing its last strides (one pass,
# filters with holes), and draw lines in between as always. No new weights; 32s has been trained for
# as many steps as 8s. Predict: which is worth more, and which costs more?


# %%
def worth_of(way):
    """Of anything that makes scores of pictures: mean IU, and the pixels it gives to things for each that they have."""
    matrix = ConfusionMatrix(len(classes))
    for image, truth, _ in val:
        matrix.update(truth, predict(way, to_device(fcn32s.transform(image)[None], DEVICE)))
    return matrix.scores()["mean_iu"], matrix.matrix[:, 1:].sum() / matrix.matrix[1:].sum()


control.eval()
ways = {"32s": Whole(control), "stitched": Stitched(control, 8), "rarefied": Rarefied(control, 8), "8s": Whole(fcn8s)}
work = {name: way.multiply_adds((64, 64)) for name, way in ways.items()}
worth, painted = {}, {}
for name, way in ways.items():
    worth[name], painted[name] = worth_of(way)
    cost = f"{work[name] / work['32s']:5.2f} times the work of 32s, {way.passes:2} passes"
    print(f"  {name:9} every {way.stride:2} pixels, {cost}; mean IU {worth[name]:.3f}, painted {painted[name]:.2f}")
check("three predict every 8 pixels", {way.stride for name, way in ways.items() if name != "32s"} == {8})
check("16 passes cost more than ten times as much as the skips", work["stitched"] > 10 * work["8s"])
check("and rarefied filters still more than the skips", work["rarefied"] > 1.2 * work["8s"])
tricks_gain, skips_gain = (max(worth[n] for n in names) - worth["32s"] for names in (["stitched", "rarefied"], ["8s"]))
check("the skips gain at least .1 more", skips_gain > tricks_gain + 0.1, f"{skips_gain:+.3f}, {tricks_gain:+.3f}")
check("stitched paints more than 32s, and too much", painted["stitched"] > max(1.2 * painted["32s"], 1.2))

# %% [markdown]
# The paper tried it and says that the tricks cost more for what they gain than fusing layers does.
# Here they gain nothing to speak of. What `score_fr` was taught is one answer for 32x32 pixels: *is
# there something red about?* Asked every 8 pixels it says yes at each of them, also where the red thing
# has ended, and paints up to twice what there is. A finer grid of questions does not make the eye
# sharper; `pool3` does see finer. (`fcn compare` has the whole table, on larger scenes. A net that is
# *trained* on its fine grid, as later work did with dilated filters, is another matter: its `score_fr`
# can learn a finer answer.)

# %% [markdown]
# # What could fool you
# **A crop in the middle.** The upsampled scores are larger than the picture, and something is cut
# off. Taking the same from all sides looks right, and for 64 pixels it *is* right. For 50 pixels it
# is seven pixels off, since the surplus depends on the size and the place does not. Every shape
# fits, nothing complains, and the answer is worse.

# %%
small = [(image[:50, :50], truth[:50, :50]) for image, truth, _ in val]
offset, cells = fcn16s.crop.offset, 4  # 50 pixels are four cells of pool4, the last one partial
surplus = 16 * cells + 16 - 50  # what upscore16 makes of them, less the picture
matrices = {}
for name, start in (("from geometry", offset), ("in the middle", (surplus // 2, surplus // 2))):
    fcn16s.crop.offset = start
    matrices[name] = ConfusionMatrix(len(classes))
    for image, truth in small:
        matrices[name].update(truth, segment(fcn16s, image, DEVICE))
    print(f"  crop {name} at {start}: mean IU {matrices[name].scores()['mean_iu']:.3f}")
fcn16s.crop.offset = offset
right, middle = (matrix.scores()["mean_iu"] for matrix in matrices.values())
check("at 64 pixels the middle is where the geometry says", (16 * 4 + 16 - 64) // 2 == offset[0])
check("at 50 pixels it is not, and costs mean IU", middle < right - 0.02)

# %% [markdown]
# ## Exercises
# 1. *Trace.* Write down the sizes of all maps of FCN-8s for a 50x50 picture, from `pool3` to the
#    crop, and the offset at each crop.
# 2. *Change.* Leave out the gradient that one of the two consumers sends to `pool4`. Which parameters
#    get a wrong gradient, and which check of lesson 3 sees it?
# 3. *Prove.* Show that the scores of FCN-8s are a sum of three terms, each linear in one score layer,
#    and that a bias of `score_fr` does not arrive undiminished at the picture's border.
#
# Answers: `lessons/solutions/solution_12_skips.py`

# %% [markdown]
# ## Claims

# %%
claims(
    [
        ("summing scores = scoring the concatenation", concatenation_gap < 1e-12, "1e-12: float64, two orders"),
        ("16s starts nearly, not exactly, where 32s ended", 0.8 < same < 1, "two upsamplings against one"),
        (
            "mean IU 32s-fixed < 32s < 16s < 8s",
            iu["32s-fixed"] < iu["32s"] < iu["16s"] < iu["8s"],
            "an order; the smallest step was .05 or more on seeds 0 to 2",
        ),
        (
            "32s trained for equal steps stays below 16s and 8s",
            iu["32s, equal steps to 16s"] < iu["16s"] and iu["32s, equal steps to 8s"] < iu["8s"],
            "an order; .05 or more apart on seeds 0 to 2",
        ),
        ("the three score layers' parts add up", linear_gap < 1e-5, "1e-5: float32"),
        ("a factor a on the features is a factor a**2 on the rate", scale_gap < 1e-12, "1e-12: float64"),
        (
            "skips help most at boundaries",
            borders["32s"][0] - borders["8s"][0] > borders["32s"][1] - borders["8s"][1],
            "an order",
        ),
        ("small things are found less than large ones", all(a < b for a, b in recalls.values()), "an order"),
        (
            "skips gain more than shift-and-stitch and rarefied filters, for less work",
            skips_gain > tricks_gain + 0.1 and work["8s"] < min(work["stitched"], work["rarefied"]),
            "an order, .1 apart; .2 or more on seeds 0 to 2. The work is counted",
        ),
        ("a crop in the middle is wrong at 50 pixels", middle < right - 0.02, ".02: ten times what chance moves"),
    ]
)

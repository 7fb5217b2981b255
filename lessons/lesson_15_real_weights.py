# %% [markdown]
"""
# Lesson 15: How are published weights used?

After this lesson you can put published weights into a network of the paper, and prove that
they arrived. You can name the mistakes that no error message reports. You can say how
AlexNet, VGG16 and GoogLeNet differ as trunks of an FCN.

Needs: lessons 5, 6, 11 and 12. Words: the [glossary](../docs/glossary.md).
Skip it if you do not want to load weights that others have trained.

Runtime: 20 s on 2 cores
"""

# %% [markdown]
# ## Names, shapes, numbers
#
# A file of weights is a list of named arrays. It does not say how the layers are connected,
# nor which preprocessing their input needs. So three things can go wrong. A name of the
# network is not in the file, or a name of the file is not in the network. A shape is
# different and has to be changed. The picture is prepared in another way than in training.
# For a VGG16 classifier and FCN-32s the list begins and ends like this:
#
# | name | in the file | in the network | |
# |---|---|---|---|
# | `conv1_1.weight` | (64, 3, 3, 3) | (64, 3, 3, 3) | the same |
# | ... | | | |
# | `fc6.weight` | (4096, 25088) | (4096, 512, 7, 7) | a reshape |
# | `fc8.weight` | (1000, 4096) | | not used |
# | `score_fr.weight` | | (21, 4096, 1, 1) | not in the file |

# %% [markdown]
# ## Predict
# 1. `fc6` of the classifier is a matrix (4096, 25088). `fc6` of the FCN is a convolution
#    with a weight (4096, 512, 7, 7). Which numbers have to change places?
# 2. The loss stays at 3.0445. There are 21 classes. What has happened?
# 3. A network receives its pictures with red and blue swapped. Will there be an error
#    message? How much of its mean IU is left?
# 4. Order AlexNet, VGG16 and GoogLeNet by parameters, by multiply-adds and by time. Is it
#    always the same order?

# %%
import json
import os
import pickle
import struct
import tempfile
import time
import zipfile
from pathlib import Path

import numpy as np

from fcn_from_scratch import datasets, geometry, layers, models, ops, plain, viz, weights
from fcn_from_scratch.checks import InputError
from fcn_from_scratch.course import check, claims, seed
from fcn_from_scratch.metrics import ConfusionMatrix
from fcn_from_scratch.models import vgg
from fcn_from_scratch.lab.published import table
from fcn_from_scratch.training import SGD, evaluate, fit, segment

SEED = seed()
rng = np.random.default_rng(SEED)
temporary = tempfile.TemporaryDirectory()  # removed when the lesson ends
folder = Path(temporary.name)


def gap(a, b):
    """The largest difference, relative to the largest number."""
    return float(np.abs(a - b).max() / np.abs(b).max())


# %% [markdown]
# ## From VGG16 to FCN-32s
# We take a VGG16 with a sixteenth of its channels, so that it fits into a lesson. Its
# layers and names are those of the real one. Its numbers are random, because we only check
# that they arrive. The file is a plain `.npz`; the appendix describes others.

# %%
thin = {"width": 4}
classifier = vgg.classifier(vgg.vgg16_config(**thin), 1000, rng).eval()
for name, array in classifier.params.items():
    if name.endswith("bias"):
        array += rng.normal(0, 10, array.shape)
vgg_file = folder / "vgg16.npz"
np.savez(vgg_file, **classifier.params)

# %% [markdown]
# First we do it by hand. Each array of the network is looked up by its name and reshaped. A
# score layer that the file does not have stays as it is: zero.

# %%
by_hand = models.build("fcn32s", seed=None, **thin).eval()  # seed=None: all weights zero
in_file = weights.read(vgg_file)
not_in_file = []
for name, array in by_hand.params.items():
    if name in in_file:
        array[...] = in_file[name].reshape(array.shape)
    else:
        not_in_file.append(name)

# %% [markdown]
# `weights.load` does the same and reports what it did.

# %%
fcn32s = models.build("fcn32s", seed=None, **thin).eval()
report = weights.load(fcn32s, vgg_file, preprocessing="caffe")
missing = report.missing
print(f"  {len(report.used)} arrays used, missing {missing}, unused {report.unused}")
same_arrays = all(
    np.array_equal(fcn32s.params[name], array) for name, array in by_hand.params.items()
)
check("by hand = weights.load", same_arrays and not_in_file == missing)
check("13 convolutions, fc6 and fc7 were filled", len(report.used) == 2 * (13 + 2))
only_score_fr = missing == ["score_fr.weight", "score_fr.bias"]
check("only the score layer is missing: it is what you train", only_score_fr)
no_fc8 = report.unused == ["fc8.weight", "fc8.bias"]
check("fc8 is unused: it scores ImageNet's 1000 classes", no_fc8)

# %% [markdown]
# **Read this report each time.** A name that only one side has is no error, since it may be
# what you want. A network whose `fc6` was not filled still trains, and its loss falls. Only
# the report tells you.
#
# Is a reshape right for `fc6`? The classifier flattens `pool5` channel by channel and row
# by row. The convolution's kernel lies in memory in the same order. So no number moves. For
# the matrix $M$ and the kernels $W$,
#
# $$
# W_{f,\,c,\,i,\,j} = M_{f,\;49c + 7i + j} .
# $$
#
# We test this in two ways. First we compare single numbers. Then we give the FCN the
# padding of the classifier, 1 instead of 100, and a picture of 224x224. Then there is only
# one place where the convolution `fc6` fits. There it must compute what the matrix
# computes.

# %%
matrix, kernels = classifier.params["fc6.weight"], fcn32s.params["fc6.weight"]
f, c, i, j = (rng.integers(0, n, 50) for n in kernels.shape)
no_number_moves = np.array_equal(kernels[f, c, i, j], matrix[f, 49 * c + 7 * i + j])
check("W[f, c, i, j] = M[f, 49 c + 7 i + j]", no_number_moves)

picture = datasets.Shapes(count=1, size=224, seed=SEED)[0].image
x = fcn32s.transform(picture)[None]
dense = x
for name, layer in classifier.children.items():
    dense = layer(dense)
    if name == "relu7":
        break
by_hand.trunk.children["conv1_1"].padding = (1, 1)  # by_hand is not needed any more
padded_by_100, padded_by_1 = (net.trunk(x)[0] for net in (fcn32s, by_hand))

# %%
fc_gap = gap(padded_by_1[:, :, 0, 0], dense)
places = padded_by_100[0].reshape(len(dense[0]), -1).T
nearest = min(gap(place, dense[0]) for place in places)
check("padded by 1 there is one place", padded_by_1.shape[2:] == (1, 1))
check("its features are those of the classifier's fc7", fc_gap < 1e-5, f"{fc_gap:.0e}")
check(
    "padded by 100, no place has these features: its zeros lie elsewhere",
    nearest > 1e-3,
    f"the nearest differs by {nearest:.2f}",
)

# %% [markdown] tags=["answer"]
# > **Prediction 1.** None. `fc6.weight.reshape(4096, 512, 7, 7)` is enough. 50 numbers at
# > random places agree, and so do the features after `fc7`, to 1e-5.

# %% [markdown]
# ## Where do two networks differ?
# Suppose that a network from a file gives nonsense. Run one picture through a network that
# you trust and through your own, and compare them **layer by layer**. (The maps of the
# trusted network may come from another program. Let it write them to a file.) Rounding
# errors differ everywhere, by about 1e-7. A mistake causes a large difference from one
# layer on, and that layer is the place to look. Here are five mistakes. All of these
# networks load and run without a message. Even the transpose of `fc7` loads, because its
# matrix is square.


# %%
def maps(net, x):
    """The output of every layer of the trunk, name -> array."""
    found = {}
    for name, layer in net.trunk.children.items():
        found[name] = x = layer(x)
    return {name: y for name, y in found.items() if not name.startswith(("relu", "drop"))}


def distance(ours, theirs):
    """The difference relative to the size of theirs, where both have a value."""
    (height, width), (h, w) = ours.shape[2:], theirs.shape[2:]
    a, b = (y[:, :, : min(height, h), : min(width, w)] for y in (ours, theirs))
    return np.linalg.norm(a - b) / np.linalg.norm(b)


def broken(change=None, ceil_mode=True):
    """FCN-32s from the file, but with other arrays or with pools that round down."""
    net = models.build("fcn32s", seed=None, **thin).eval()
    weights.load(net, vgg_file, preprocessing="caffe")
    net.load_state_dict(change or {}, strict=False)
    for layer in net.trunk.layers:
        if isinstance(layer, layers.MaxPool2d):
            layer.ceil_mode = ceil_mode
    return net


# %%
x = fcn32s.transform(picture[:102, :102])[None]
never_filled = models.build("fcn32s", seed=SEED + 1, **thin).params["conv2_2.weight"]
channels_last = matrix.reshape(-1, 7, 7, kernels.shape[1]).transpose(0, 3, 1, 2)
fc7_transposed = fcn32s.params["fc7.weight"].swapaxes(0, 1)
suspects = {
    "RGB for BGR": ("conv1_1", broken(), x[:, ::-1]),
    "conv2_2 never filled": ("conv2_2", broken({"conv2_2.weight": never_filled}), x),
    "pools round down": ("pool3", broken(ceil_mode=False), x),
    "fc6 read channels last": ("fc6", broken({"fc6.weight": channels_last}), x),
    "fc7 transposed": ("fc7", broken({"fc7.weight": fc7_transposed}), x),
    "none, in float64": (None, broken().astype(np.float64), x.astype(np.float64)),
}
trusted, gaps, resized, caught = maps(fcn32s, x), {}, {}, {}
for mistake, (_, net, own_x) in suspects.items():
    ours = maps(net, own_x)
    gaps[mistake] = [distance(ours[name], trusted[name]) for name in trusted]
    resized[mistake] = [ours[name].shape != trusted[name].shape for name in trusted]
    differs = np.array(gaps[mistake]) > 1e-4
    differs |= np.array(resized[mistake])
    caught[mistake] = next((name for name, wrong in zip(trusted, differs) if wrong), None)
    print(f"  {mistake:24} first difference at {caught[mistake]}")
found_all = caught == {name: at for name, (at, _, _) in suspects.items()}
check("each mistake is found at the layer that has it", found_all)
rounding = max(gaps["none, in float64"])
check("without a mistake there is only rounding", 0 < rounding < 1e-5, f"{rounding:.0e}")

# %% [markdown]
# The pools that round down are a special case. `pool3` then lacks its last row and column,
# but every number that it has is right. The following convolutions read zeros where the
# missing row and column would be. So the wrong numbers begin at that border, and reach one
# place further with each convolution.

# %% [markdown]
# ## All scores are zero
# The score layer of a new FCN is zero. So every class gets the score 0 and the loss is
# $\ln 21 = 3.0445$, whatever the trunk contains. This is right for **one** step. The first
# loss does not tell whether weights were transplanted, but the first gradient does. The
# gradient of the score layer's weight is a product with the features, and a trunk of zeros
# gives features of zero. (The authors' README blames zero outputs on weights that were not
# initialised. Caffe, the program that they used, fills a convolution with zeros when no
# other filling is given.)

# %%
labels = rng.integers(0, 21, (1, 102, 102))
first_loss, arriving = {}, {}
empty = models.build("fcn32s", seed=None, **thin)
for title, net in (("filled", fcn32s), ("nothing transplanted", empty)):
    net.train().zero_grad()
    first_loss[title], dscores = ops.softmax_cross_entropy(net(x), labels)
    net.backward_params(dscores)
    arriving[title] = [name for name, gradient in net.grads.items() if gradient.any()]
    print(f"  {title:21} loss {first_loss[title]:.4f}, gradients:", *arriving[title])
fcn32s.eval()
stuck = [abs(loss - np.log(21)) for loss in first_loss.values()]
check("both losses are ln 21", max(stuck) < 1e-6, f"to {max(stuck):.0e}")
both_learn = arriving["filled"] == ["score_fr.weight", "score_fr.bias"]
check("filled: score_fr's weight gets a gradient", both_learn)
dead_learns = arriving["nothing transplanted"]
check("a trunk of zeros: only the bias gets one", dead_learns == ["score_fr.bias"])

# %% [markdown]
# What do later losses tell? We train two small networks for 40 steps on labels of which
# three quarters are background. The trunk of one is zero, and its rate is 1. The other has
# random weights, but a rate of 1e-10. (The paper's public code has this rate, but its loss
# is a *sum* over the pixels. Ours is a mean.)

# %%
thing = rng.random((1, 64, 64)) > 0.75
unequal = np.where(thing, rng.integers(1, 21, thing.shape), 0)
view = rng.normal(size=(1, 3, 64, 64)).astype(np.float32)
counts = np.bincount(unequal.ravel().astype(np.intp, copy=False), minlength=21)
share = counts / unequal.size
entropy = -(share * np.log(share)).sum()  # the least loss if all pixels get the same scores
later_loss, predicted = {}, {}
for title, start, lr in (("zero trunk", None, 1.0), ("rate 1e-10", SEED, 1e-10)):
    net = models.build("mini_fcn32s", 21, width=12, fc6_kernel=2, seed=start).train()
    optimizer = SGD(net, lr)
    for _ in range(40):
        net.zero_grad()
        later_loss[title], dscores = ops.softmax_cross_entropy(net(view), unequal)
        net.backward_params(dscores)
        optimizer.step()
    predicted[title] = np.unique(net(view).argmax(axis=1))
    print(f"  {title}: loss {later_loss[title]:.4f}; the labels' entropy {entropy:.4f}")
dead_ends = 1 <= later_loss["zero trunk"] / entropy < 1.1
only_ground = predicted["zero trunk"].tolist() == [0]
check("zero trunk: the loss falls to the entropy of the labels", dead_ends)
check("and all pixels get the most frequent class", only_ground)
slow = abs(later_loss["rate 1e-10"] - np.log(21)) < 1e-3
check("a rate that is far too small: the loss stays at ln 21", slow)

# %% [markdown] tags=["answer"]
# > **Prediction 2.** 3.0445 is ln 21, so all classes have equal scores. At the first step
# > this is right. If the loss stays there, nothing learns, not even the biases: then the
# > rate is far too small for this loss. If you wrote that the trunk is zero: its loss does
# > not stay. The bias of the score layer still learns how frequent each class is, so the
# > loss falls until every pixel gets the most frequent class.

# %% [markdown]
# ## A trained network, and a wrong picture
# To see what a mistake costs we need a network that has learned something. A small FCN-8s
# learns the coloured things of lesson 11 for some seconds. Its input is the difference from
# the mean, divided by 60. We move this 1/60 into the first layer, whose weight becomes
# $W / 60$. Then the network takes what Caffe's networks take: blue, green and red, in this
# order, from 0 to 255, minus a mean.

# %%
scene = {"size": 64, "classes_by": "colour", "seed": SEED}
train = datasets.InMemory(datasets.Shapes(count=300, split="train", **scene))
val = datasets.InMemory(datasets.Shapes(count=40, split="val", **scene))
small = {"num_classes": len(train.classes), "width": 12, "fc6_kernel": 2}
trained = models.build("mini_fcn8s", seed=SEED, **small)
fit(trained, train, 120, 0.05, seed=SEED)
x = np.stack([trained.transform(val[i].image) for i in range(10)])
caffe_x = np.stack([datasets.CAFFE(val[i].image) for i in range(10)])
expected = trained.eval()(x)
state = {name: np.ascontiguousarray(array) for name, array in trained.state_dict().items()}
state["conv1_1.weight"] = state["conv1_1.weight"] / np.float32(60)
np.savez(folder / "plain.npz", **state)


def from_file(file, name="mini_fcn8s", **options):
    """A network that is filled from a file, and the report."""
    net = models.build(name, seed=None, **small).eval()
    return net, weights.load(net, folder / file, **options)


as_caffe = {"preprocessing": "caffe"}
toy, _ = from_file("plain.npz", **as_caffe)
fold_gap = gap(toy(caffe_x), expected)
check("the scores are those of the trained network", fold_gap < 1e-4, f"{fold_gap:.0e}")

# %% [markdown]
# Now the network with the right weights receives wrong pictures. There is no error and no
# warning, since all shapes are right. We print the mean IU over 40 scenes that were not
# used in training, and the share of pixels that get another class than with the right
# picture.

# %%
mean = datasets.VOC_MEAN_BGR
pictures = {
    "right": datasets.CAFFE,
    "mean forgotten": datasets.Preprocess((0, 0, 0)),
    "RGB for BGR": datasets.Preprocess(mean[::-1], "RGB"),
    "0..1 for 0..255": datasets.Preprocess([m / 255 for m in mean], scale=1 / 255),
}
answers, iu = {}, {}


def judge(title, net, samples=val):
    """Keep the answers and their mean IU under this title, and print it."""
    answers[title] = [segment(net, image) for image, *_ in samples]
    matrix = ConfusionMatrix(len(train.classes))
    for sample, answer in zip(samples, answers[title]):
        matrix.update(sample.labels, answer)
    iu[title] = matrix.scores()["mean_iu"]
    changed = np.mean([(a != b).mean() for a, b in zip(answers[title], answers["right"])])
    print(f"  {title:28} mean IU {iu[title]:.3f}, {changed:.0%} of the pixels changed")


for title, transform in pictures.items():
    toy.transform = transform
    judge(title, toy)
toy.transform = datasets.CAFFE
swapped_left = iu["RGB for BGR"] / iu["right"]
half_left = 0.35 < swapped_left < 0.65
check("red and blue swapped: about half of it is left", half_left, f"{swapped_left:.2f}")
nothing_found = not any(answer.any() for answer in answers["0..1 for 0..255"])
check("0..1: everything is background", nothing_found)
check("a forgotten mean costs too", iu["mean forgotten"] < iu["right"] - 0.05)

# %% [markdown] tags=["answer"]
# > **Prediction 3.** There is no message. About half of the mean IU is left. Here the
# > classes differ in colour only, so this mistake costs more than it does on photographs.

# %% [markdown]
# A picture in 0..1 is nearly black for a network that expects 0..255. Its first layer
# receives numbers near zero, so the scores come from the biases.

# %% [markdown]
# ## The same names, another network
# FCN-8s at-once multiplies `pool4` by 0.01 and `pool3` by 0.0001 before it scores them.
# Its parameters have the names and shapes of FCN-8s. Lesson 12 showed how to write one
# network as the other: $w \cdot x = (w / 0.01) \cdot (0.01\, x)$. So we can make the
# at-once network that gives our network's scores.

# %%
at_once = dict(state)
for name, scale in (("score_pool4", 0.01), ("score_pool3", 0.0001)):
    at_once[f"{name}.weight"] = state[f"{name}.weight"] / np.float32(scale)
np.savez(folder / "at_once.npz", **at_once)
judge("at-once in at-once", from_file("at_once.npz", "mini_fcn8s_atonce", **as_caffe)[0])
wrong_network = {
    "8s in at-once": from_file("plain.npz", "mini_fcn8s_atonce", **as_caffe),
    "at-once in 8s": from_file("at_once.npz", "mini_fcn8s", **as_caffe),
}
for title, (other, report) in wrong_network.items():
    judge(title, other)
    print(f"    {report.notes[0]}")
check(
    "at-once, loaded as what it is, scores the same",
    abs(iu["at-once in at-once"] - iu["right"]) < 0.01,
)
check(
    "8s in at-once loads, and predicts only background",
    not any(a.any() for a in answers["8s in at-once"]),
)
check("at-once in 8s loads, and loses mean IU", iu["at-once in 8s"] < iu["right"] - 0.1)

# %% [markdown]
# **How can you tell the two apart?** The names do not help. Published files are known by
# their md5, and a program that trains may have recorded the network. (A `.caffemodel` of
# the at-once network also has the scales as layers.) Otherwise look at the scores. By
# softmax, the difference of two scores is the logarithm of the ratio of two probabilities.
# So it is some units in a trained network, and not thousands. (`fcn doctor` looks at the
# scores and the pictures.)

# %%
suspect, _ = wrong_network["at-once in 8s"]
spread, too_wide = float(toy(caffe_x).std()), float(suspect(caffe_x).std())
wide = too_wide > 10 * spread
check("at-once in 8s: ten times the spread", wide, f"{too_wide:.0f}, {spread:.1f}")

# %% [markdown]
# ## AlexNet, VGG16, GoogLeNet
# The paper makes an FCN of each. The way from scores to pixels and the stride of 32 are the
# same; the trunks differ. Three ideas in them are new here:
#
# * **Groups** (AlexNet). AlexNet was trained on two GPUs with little memory. So three of
#   its layers are split into two halves. Each half reads only its own half of the channels.
# * **Local response normalisation** (AlexNet, GoogLeNet). A value is divided by a number
#   that grows with the squares of the five channels around it. Large values become smaller;
#   small ones hardly change.
# * **Inception** (GoogLeNet). Four branches read the same map. 1x1 convolutions first
#   reduce the number of channels, so that the 3x3 and 5x5 convolutions cost less.
#
# The formula of the normalisation is
#
# $$
# y_c = \frac{x_c}{\bigl(1 + \frac{a}{5} \sum_{k=c-2}^{c+2} x_k^2\bigr)^{0.75}},
# \qquad a = 10^{-4} .
# $$

# %%
x, weight = rng.normal(size=(1, 4, 6, 5)), rng.normal(size=(6, 2, 3, 3))
full_weight = np.zeros((6, 4, 3, 3))
full_weight[:3, :2], full_weight[3:, 2:] = weight[:3], weight[3:]
groups_gap = gap(ops.conv2d(x, weight, groups=2), ops.conv2d(x, full_weight))
check("two groups = a half of zeros", groups_gap < 1e-12, f"{groups_gap:.0e}")

energy = [(x[:, max(c - 2, 0) : c + 3] ** 2).sum(axis=1) for c in range(4)]
written_out = x / (1 + 1e-4 / 5 * np.stack(energy, axis=1)) ** 0.75
lrn_gap = gap(ops.local_response_norm(x, 5, 1e-4, 0.75, 1.0), written_out)
check("normalisation, as in the formula", lrn_gap < 1e-12, f"{lrn_gap:.0e}")
bright, dark = (
    ops.local_response_norm(size * x, 5, 1e-4, 0.75, 1.0) / (size * x) for size in (300, 1)
)
factors = bright.min(), dark.min()  # the smallest ones
halved, unchanged = 0 < factors[0] < 0.5, 0.99 < factors[1] <= 1
check("values in the hundreds are more than halved", halved, f"times {factors[0]:.2f}")
check("values near 1 hardly change", unchanged, f"times {factors[1]:.4f}")

# %%
names = ("fcn_alexnet", "fcn32s", "fcn_googlenet")
trunks = {name: models.build(name, seed=None) for name in names}
module = trunks["fcn_googlenet"].trunk.children["inception_3a"]
first, second = (module.params[f"{key}.weight"] for key in ("5x5_reduce", "5x5"))
reduced, direct = first.size + second.size, first.shape[1] * second[:, 0].size
tenth = 0.08 < reduced / direct < 0.13
check("with a 1x1 first, 5x5 has a tenth of the weights", tenth, f"{reduced:,}, {direct:,}")

# %% [markdown]
# ## Side by side
# Everything in this table follows from the layers, at full width and for 500x500 pixels;
# nothing is run. The last two rows are the paper's: mean IU on VOC 2011 val, and
# milliseconds on its GPU, a Tesla K40c. (The paper's FCN-GoogLeNet was never published.
# Ours pads by 100 as the others do.)

# %%
columns, rows = table("1").columns, [row for row in table("1").rows if row.model]
published = {row.model: dict(zip(columns, row.numbers.split())) for row in rows}
title = {row.model: row.system for row in rows}
costs = {name: geometry.table(net, 500) for name, net in trunks.items()}
fields = {name: geometry.receptive_field(net) for name, net in trunks.items()}


def facts(name):
    """One column of the table, as texts."""
    net, cost, paper = trunks[name], costs[name], published[name]
    fc6 = net.params["fc6.weight"].size if "fc6.weight" in net.params else 0
    return {
        "receptive field": f"{fields[name].size}",
        "stride": f"{fields[name].stride}",
        "upsampling kernel": f"{net.upscore.kernel_size[0]}",
        "crop": f"{net.crop.offset[0]}",
        "parameters": f"{cost.parameters / 1e6:.1f} M",
        "of these in fc6": f"{fc6 / cost.parameters:.0%}",
        "multiply-adds": f"{cost.multiply_adds / 1e9:.1f} G",
        "memory of the maps": f"{cost.activation_bytes / 2**20:.0f} MiB",
        "paper: mean IU": paper["mean_iu"],
        "paper: ms": paper["forward ms"],
    }


side_by_side = [facts(name) for name in trunks]
print(f"  {'':20}", *(f"{title[name]:>15}" for name in trunks))
for fact in side_by_side[0]:
    print(f"  {fact:20}", *(f"{column[fact]:>15}" for column in side_by_side))

# %%
millions = {name: round(costs[name].parameters / 1e6) for name in trunks}
counted = all(str(millions[name]) == published[name]["parameters M"] for name in trunks)
check("parameters as in the paper", counted, f"{list(millions.values())} M")
same_field = [str(fields[name].size) == published[name]["field"] for name in trunks]
check(
    "receptive fields as in the paper, except GoogLeNet's",
    same_field == [True, True, False],
)
googlenet_layers = trunks["fcn_googlenet"].trunk.layers
with_pool = geometry.receptive_field([*googlenet_layers, layers.AvgPool2d(7, 1)])
check(
    "GoogLeNet's too, with its last average pool",
    str(with_pool.size) == published["fcn_googlenet"]["field"],
)
check("all have stride 32", {field.stride for field in fields.values()} == {32})
by_parameters = sorted(trunks, key=lambda name: costs[name].parameters)
by_work = sorted(trunks, key=lambda name: costs[name].multiply_adds)
check(
    "by parameters: GoogLeNet, AlexNet, VGG16",
    by_parameters == ["fcn_googlenet", "fcn_alexnet", "fcn32s"],
)
check("by multiply-adds: the same order", by_work == by_parameters)

# %% [markdown]
# How the differences show in an FCN:
#
# * **Stride.** It is 32 in all three, so their boundaries are equally coarse. All need the
#   skips of lesson 12.
# * **Place.** VGG16's scores stand between two pixels. Those of AlexNet and GoogLeNet stand
#   on a pixel, so these two need an upsampling kernel of 63 instead of 64, and other crops
#   (exercise 3).
# * **Parameters.** Three quarters of VGG16's are in `fc6`. GoogLeNet has no `fc6`: its file
#   is the smallest.
# * **Field.** The network with the largest field is not the best one. The paper's best mean
#   IU is VGG16's, whose field is in the middle.
#
# What about **time**? We measure the three networks with a quarter of their channels on
# this machine. We take the processor's time, of all cores together: other programs hardly
# change it. The networks run in turns. The first round warms up the machine, and of the
# other five we take the fastest. (`plain(False)` asks for the package's fast code, even if
# the lesson runs by the plain code.)

# %%
quarter = {"fcn_alexnet": 24, "fcn32s": 16, "fcn_googlenet": 16}
nets = {
    name: models.build(name, width=width, seed=SEED).eval()
    for name, width in quarter.items()
}
x = rng.normal(0, 50, (1, 3, 160, 160)).astype(np.float32)
work = {name: geometry.table(net, 160).multiply_adds for name, net in nets.items()}
taken = {name: [] for name in nets}
for _ in range(6):
    for name, net in nets.items():
        started = time.process_time()
        with plain(False):
            net(x)
        taken[name].append(time.process_time() - started)
seconds = {name: min(times[1:]) for name, times in taken.items()}
rate = {name: work[name] / seconds[name] for name in nets}
for name in nets:
    milliseconds, a_second = 1000 * seconds[name], rate[name] / 1e9
    print(f"  {title[name]:14} {work[name] / 1e9:5.2f} G multiply-adds", end=" ")
    print(f"in {milliseconds:4.0f} ms, {a_second:4.1f} G a second")
alexnet, vgg16, googlenet = (seconds[name] for name in nets)
slowest = vgg16 > 1.1 * googlenet and googlenet > 1.1 * alexnet
proportion = f"1 : {googlenet / alexnet:.1f} : {vgg16 / alexnet:.1f}"
check("by time: AlexNet, GoogLeNet, VGG16", slowest, proportion)

# %% [markdown] tags=["answer"]
# > **Prediction 4.** It is not. GoogLeNet has the fewest parameters and the fewest
# > multiply-adds, but takes longer than AlexNet. Its work is spread over many thin layers,
# > and each of them reads its map, cuts out patches and writes its result. VGG16 does a few
# > large matrix products, which processors do fastest.

# %% [markdown]
# The paper's GPU shows the same. We divide our counts by the paper's milliseconds. This
# gives the multiply-adds of one second.

# %%
paper_rate = {}
for name in trunks:
    milliseconds = float(published[name]["forward ms"])
    paper_rate[name] = costs[name].multiply_adds / milliseconds * 1e3
    print(f"  {title[name]:14} {paper_rate[name] / 1e9:4.0f} G multiply-adds a second")
order = ["fcn_googlenet", "fcn_alexnet", "fcn32s"]
paper_order = sorted(paper_rate, key=paper_rate.get) == order
check("multiply-adds a second: GoogLeNet least, VGG16 most, in the paper", paper_order)
check("here too, GoogLeNet does the least", min(rate, key=rate.get) == "fcn_googlenet")

# %% [markdown]
# ## Is deeper better?
# VGG16 is deeper than AlexNet and scores better, but it also has more weights and more
# work. So we compare two trunks with nearly the same number of parameters. One has a single
# 3x3 convolution in each stage, the other has two, with fewer channels. Both networks are
# FCN-8s and get the same steps and the same rate, which was not tuned. The deeper one has
# two advantages besides its depth: a larger receptive field, and half as much work again.
# The class is the shape of a thing, so colour does not help.

# %%
by_shape = {"size": 64, "classes_by": "shape", "seed": SEED}
shapes = datasets.InMemory(datasets.Shapes(count=400, split="train", **by_shape))
unseen = datasets.InMemory(datasets.Shapes(count=80, split="val", **by_shape))
shape_iu, parameters, products = [], [], []
options = {"num_classes": shapes.num_classes, "fc6_kernel": 2, "seed": SEED}
for convs, width in ((1, 16), (2, 11)):  # convs: convolutions in each of five stages
    net = models.build("mini_fcn8s", width=width, convs=(convs,) * 5, **options)
    fit(net, shapes, 250, 0.06, seed=SEED)
    shape_iu.append(evaluate(net, unseen).scores()["mean_iu"])
    parameters.append(sum(array.size for array in net.params.values()))
    products.append(geometry.table(net, 64).multiply_adds)
    print(f"  {convs} in a stage: {parameters[-1]:,} parameters,", end=" ")
    print(f"{products[-1] / 1e6:.0f} M products, mean IU {shape_iu[-1]:.3f}")
check("the deeper trunk has fewer parameters", 0.9 < parameters[1] / parameters[0] < 1)
check(
    "and more work",
    1.4 < products[1] / products[0] < 1.6,
    f"{products[1] / products[0]:.2f} times",
)
deeper_gain = shape_iu[1] - shape_iu[0]
as_good = -0.02 < deeper_gain < 0.05
check("the deeper trunk is about as good", as_good, f"{deeper_gain:+.3f} mean IU")

# %% [markdown]
# Here depth changes little, even with these advantages: the mean IU grows by .00 to .03 on
# five seeds. A skip is worth far more (lesson 12). In the paper's table, too, the deepest
# network is not the best: GoogLeNet has 22 layers with weights and VGG16 has 16.

# %%
paper_iu = {name: float(published[name]["mean_iu"]) for name in trunks}
shortfall = paper_iu["fcn32s"] - paper_iu["fcn_googlenet"]
check(
    "GoogLeNet is deeper than VGG16, and 13.5 points below it", abs(shortfall - 13.5) < 0.01
)
most = all(
    max(costs, key=lambda name: getattr(costs[name], what)) == "fcn32s"
    for what in ("parameters", "multiply_adds")
)
check("VGG16 has most parameters and most work of the three", most)

# %% [markdown]
# So the answer to "is deeper better?" is: not by itself. The paper says the same of its own
# networks: it found VGG's net of 19 layers "equivalent to" that of 16 (section 4.1). A
# natural guess is that the better classifier becomes the better FCN. The paper contradicts
# it: "Despite similar classification accuracy, our implementation of GoogLeNet did not
# match this segmentation result." (The authors trained this GoogLeNet themselves. On
# ImageNet its first answer was right for 68.5 % of the pictures.) The paper gives no
# reason. VGG16 has the most weights and the most work. Whether these make it the best is
# not known from one table, and our small networks, which start from random weights, cannot
# tell.

# %% [markdown]
# ## What could fool you
# **A test at a convenient size.** Does it matter whether pools round sizes up or down? At
# 64 pixels every pool halves an even number, and the two networks are equal. At 50 pixels
# they are not. For the paper's FCN-32s, geometry answers this for all sizes at once. If its
# pools round down, it cannot take a picture of 500x375 pixels, as many of VOC's are. A test
# at 256 or 480 pixels passes all the same.

# %%
down, _ = from_file("plain.npz", **as_caffe)
for layer in down.trunk.layers:
    if isinstance(layer, layers.MaxPool2d):
        layer.ceil_mode = False
same_at_64 = gap(down(caffe_x), toy(caffe_x)) < 1e-5
up_50, down_50 = (one(caffe_x[:, :, :50, :50]) for one in (toy, down))
down_gap = gap(down_50, up_50)
moved_50 = (up_50.argmax(axis=1) != down_50.argmax(axis=1)).mean()
check("64 pixels: no difference", same_at_64)
check(
    "50 pixels: other scores",
    down_gap > 0.01,
    f"{moved_50:.1%} of the pixels get another class",
)
real = trunks["fcn32s"]
fitting = geometry.sizes_that_fit(real, range(1, 601), ceil_mode=False)
check(
    "rounding up, FCN-32s takes every size to 600",
    len(geometry.sizes_that_fit(real, range(1, 601))) == 600,
)
taken_down = [n for n in (256, 375, 480, 500) if n in fitting]
check(
    "rounding down, 256 and 480, but neither 375 nor 500",
    taken_down == [256, 480],
    f"{len(fitting)} sizes of 600",
)

# %% [markdown]
# **"All keys matched."** They also matched when `fc7` was transposed, when red and blue
# were swapped, and when the at-once network was loaded into FCN-8s. Names and shapes must
# match, but this does not prove that the network is right. You know it only if you get an
# answer that you knew before: a score on labelled pictures, or the maps of a trusted
# network.

# %% [markdown]
# ## Appendix: what is inside the files
# You can skip this part if you only want to use the files. Three formats are common:
#
# * `.safetensors` is a table in JSON with names, shapes and places, and then the numbers.
# * `.pth` (PyTorch) is a zip. It contains the numbers, and a **pickle** that says which
#   array is where. A pickle is not a table but a *program*: it tells Python which functions
#   to call.
# * `.caffemodel` (Caffe) is a *protocol buffer*: a sequence of fields. Each field is a tag,
#   a length, and that many bytes. The tag is `8 * number + 2`, and a table elsewhere says
#   what each number means.
#
# Here is a 3x3 kernel in a `.caffemodel`. This is called a *blob*:
#
#     2a 24  00 00 80 3f ...   field 5: the data, 36 bytes. The first float is 1.0
#     3a 04                    field 7: the shape, 4 bytes. It is a message of its own:
#           0a 02 03 03        field 1: the sizes, 2 bytes, 3 and 3
#
# A layer has a name and blobs; a network has layers. (A length below 128 is one byte. A
# longer one uses seven bits of each byte.) The functions that write these files are short.


# %%
def varint(n):
    """Seven bits in a byte, the lowest first. The top bit says that more bytes follow."""
    return bytes([n]) if n < 128 else bytes([n & 127 | 128]) + varint(n >> 7)


def field(number, content):
    """A field of a protocol buffer: tag, length, content."""
    return varint(8 * number + 2) + varint(len(content)) + content


def blob(array):
    """An array: field 5 holds its numbers, field 7 its shape."""
    shape = b"".join(varint(n) for n in array.shape)
    return field(5, array.astype("<f4").tobytes()) + field(7, field(1, shape))


def caffemodel(arrays):
    """A layer is field 100 of the file. In a layer, field 1 is the name, field 7 a blob."""
    blobs = {}
    for name, array in arrays.items():
        layer = name.rpartition(".")[0]
        blobs[layer] = blobs.get(layer, b"") + field(7, blob(array))
    return b"".join(field(100, field(1, n.encode()) + b) for n, b in blobs.items())


def safetensors(arrays):
    """The length of the table, the table, the numbers."""
    entries, end = {}, 0
    for name, array in arrays.items():
        place = [end, end + array.nbytes]
        entries[name] = {"dtype": "F32", "shape": array.shape, "data_offsets": place}
        end += array.nbytes
    text = json.dumps(entries).encode()
    numbers = b"".join(array.tobytes() for array in arrays.values())
    return struct.pack("<Q", len(text)) + text + numbers


# %%
kernel = np.arange(1, 10, dtype=np.float32).reshape(3, 3)
written = blob(kernel)
bytes_of_the_table = bytes.fromhex("2a240000803f"), bytes.fromhex("3a040a020303")
check("the bytes of the table above", (written[:6], written[38:]) == bytes_of_the_table)
(folder / "tiny.caffemodel").write_bytes(caffemodel({"conv1_1.weight": kernel}))
back = weights.read(folder / "tiny.caffemodel")["conv1_1.weight"]
check("the reader finds name, shape and numbers", np.array_equal(back, kernel))

# %% [markdown]
# Now one network in four files. Chainer's format is an `.npz` with names of its own.

# %%
(folder / "plain.caffemodel").write_bytes(caffemodel(state))
(folder / "plain.safetensors").write_bytes(safetensors(state))
chainer = {k.replace(".weight", "/W").replace(".bias", "/b"): a for k, a in state.items()}
np.savez(folder / "chainer.npz", **chainer)
files = ("plain.caffemodel", "chainer.npz", "plain.npz", "plain.safetensors")
outputs, tells = [], {}
for file in files:
    net, report = from_file(file)
    tells[file] = net.transform == datasets.CAFFE
    outputs.append(net(caffe_x))
    known = "Caffe" if tells[file] else "not recorded"
    print(f"  {file:18} {len(report.used)} arrays used; preprocessing {known}")
four_equal = all(np.array_equal(y, outputs[0]) for y in outputs)
check("four files give the same scores, to the last bit", four_equal)

# %% [markdown]
# The numbers are equal. But the files differ in what they say about the **preprocessing**.
# Caffe's and Chainer's formats imply it. The other formats say nothing. With those, *you*
# have to know it and pass `preprocessing="caffe"` or `"torchvision"` (RGB, 0..1, minus a
# mean, divided by a deviation).

# %%
implied = [file for file in files if tells[file]]
check("only Caffe's and Chainer's imply it", implied == [*files[:2]])
told_one, _ = from_file("plain.safetensors", **as_caffe)
check("the others can be told", told_one.transform == datasets.CAFFE)

# %% [markdown]
# **A file that runs code.** A pickle calls functions by name, so it may call any function.
# This one calls `os.mkdir`. It could also delete your files. Python's own `pickle.loads`
# runs it. Our reader has a short list of the names that building arrays needs, and calls
# nothing else.


# %%
class Trap:
    def __reduce__(self):
        return os.mkdir, (str(folder / "it ran"),)


program = pickle.dumps({"conv1_1.weight": Trap()}, protocol=2)
with zipfile.ZipFile(folder / "trap.pth", "w") as archive:
    archive.writestr("toy/version", b"3\n")
    archive.writestr("toy/data.pkl", program)
try:
    weights.read(folder / "trap.pth")
    refusal = ""
except InputError as error:
    refusal = str(error).replace(str(folder), "...")
print(" ", refusal)
refused = "mkdir" in refusal and not (folder / "it ran").exists()
check("our reader refuses it by name, and nothing has run", refused)
pickle.loads(program)
check("pickle.loads runs it", (folder / "it ran").is_dir())

# %% [markdown]
# ## The drawings


# %%
def draw_activations():
    """For each mistake, the difference from the trusted network at each layer."""
    caption = "The first layer that differs is the layer with the mistake"
    figure, axis = viz.new_figure(caption, width=7.4, height=3.2)
    image = np.log10(np.maximum(list(gaps.values()), 1e-8))
    drawn = axis.imshow(image, vmin=-8, vmax=0, aspect="auto", cmap="Blues")
    rows, columns = np.nonzero(list(resized.values()))
    axis.plot(columns, rows, "o", color="#d1703c", label="another size")
    figure.legend(loc="outside lower left")
    axis.set_xticks(range(len(trusted)), trusted, rotation=60)
    axis.set_yticks(range(len(gaps)), gaps)
    axis.set(xlabel="layer", ylabel="mistake")
    axis.grid(False)
    ticks = [-8, -6, -4, -2, 0]
    bar = figure.colorbar(drawn, ax=axis, ticks=ticks, label="relative difference")
    bar.ax.set_yticklabels(["0", "1e-6", "1e-4", "1 %", "100 %"])
    return figure


def draw_answers():
    """Four scenes, and the answers of networks that all loaded without an error."""
    full = sorted(range(len(val)), key=lambda i: (val[i].labels == 0).sum())[:4]
    rows = {"picture": [val[i].image for i in full]}
    rows["truth"] = [val[i].labels for i in full]
    for title in ("right", "RGB for BGR", "mean forgotten", "at-once in 8s"):
        rows[title] = [answers[title][i] for i in full]
    caption = "A trained network, and three mistakes without an error message"
    colours = {"classes": train.classes, "palette": train.palette}
    return viz.panels([*rows.values()], None, caption, [*rows], size=1.6, **colours)


# %% [markdown]
# In the first figure, follow each row from the left to its first dark cell or dot: that
# layer has the mistake. A dot marks a map whose size is not that of the trusted map. The
# last row has no mistake, only rounding.

# %%
viz.show(draw_activations(), "15_activations")

# %% [markdown]
# In the second figure, each column is a scene. They are those with the least ground.
# Compare each answer with the row "right", not with the truth: this small network misses
# thin things itself. (Two mistakes are not drawn: 0..1, and 8s in at-once. They leave only
# background, which is black.)

# %%
viz.show(draw_answers(), "15_answers")

# %% [markdown]
# ## Exercises
# 1. *Trace.* Read the fields of a `.caffemodel` from its bytes.
# 2. *Change.* Change the first layer so that it takes torchvision's pictures, and its
#    preprocessing can be left out.
# 3. *Prove.* Show when an upsampling kernel must have size 64, and when 63.
#
# `fcn exercise 15` writes a file for each of them, `fcn exercise 15 --check FILE` checks
# your answer, `fcn exercise 15 --solution` shows ours.

# %% [markdown]
# ## Claims

# %%
ln_21 = max(stuck) < 1e-6
lost = iu["at-once in 8s"] < iu["right"] - 0.1
claims(
    [
        ("fc6 is a reshape", fc_gap < 1e-5, "1e-5: float32, two orders"),
        ("missing arrays are named", only_score_fr, "exact: names"),
        ("each mistake is found at its layer", found_all, "1e-4: rounding is below 1e-5"),
        ("a zero score layer: the loss is ln 21", ln_21, "1e-6: float32"),
        ("in a dead trunk a bias learns", dead_learns == ["score_fr.bias"], "exact: zeros"),
        ("its loss ends at the entropy of the labels", dead_ends, "1.007 to 1.027 times"),
        ("W / 60 gives the same scores", fold_gap < 1e-4, "1e-4: float32, W / 60 rounds"),
        ("RGB for BGR costs half", half_left, ".46 to .54 on five seeds"),
        ("at-once in 8s loses mean IU", lost, ".20 or more on five seeds"),
        ("fields as published", same_field == [True, True, False], "exact: geometry"),
        ("parameters as published", counted, "exact: counted, rounded to millions"),
        ("by time: AlexNet, GoogLeNet, VGG16", slowest, "1.1; it is twice and more"),
        ("the deepest of three is not the best", shortfall > 10, "the paper's 42.5, 56.0"),
        ("as many parameters, deeper: as good", as_good, "five seeds: .00 to .03"),
        ("rounding down is not seen at 64 pixels", same_at_64, "1e-5: float32"),
        ("but it is at 50 pixels", down_gap > 0.01, "a thousand times rounding"),
        ("four formats, the same scores", four_equal, "exact: the same numbers"),
        ("a pickle that calls a function is refused", refused, "exact"),
    ]
)

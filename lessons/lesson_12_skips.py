# %% [markdown]
"""
# Lesson 12: How are the score layers fused?

After this lesson you can write the head of FCN-8s with its backward. You can tell what its
structure brings and what its schedule of training brings, what each score layer is worth,
and where a further one stops paying.

Needs: lesson 11 (FCN-32s) and lesson 7 (shift-and-stitch); lesson 8 helps.
Words: the [glossary](../docs/glossary.md).

Fast path: this is its last lesson. What is needed of lessons 6, 8 and 10 is repeated here
in a sentence each. Lessons 13 to 16 answer single questions.

Runtime: 100 s on 2 cores
"""

# %% [markdown]
# ## What, and where
#
# The scores of FCN-32s stand 32 pixels apart. Each has seen a large part of the picture, so
# it knows *what* is there. It does not know *where* it ends. The map after `pool4` has a
# value every 16 pixels. Each value has seen less of the picture, but at a finer place. A
# **skip** uses both. A 1x1 convolution scores `pool4`, the coarse scores are upsampled by
# 2, and the two maps are **added**. This addition is the **fusion**. FCN-16s has one skip.
# FCN-8s has a second one, from `pool3`.
#
# A worked example, one class. The coarse score is 2 everywhere after upsampling:
#
#     coarse  2 2 2     fine   1 -3 -3     sum   3 -1 -1
#             2 2 2            1  1 -3           3  3 -1
#             2 2 2            1  1  1           3  3  3
#
# Where the sum is positive, the class is predicted. The fine map has taken the upper right
# corner away.
#
# Backward, a sum passes its gradient unchanged to both terms. The map `pool4` is read
# twice, by the skip and by `conv5_1`. So its gradient is the sum of what these two send
# back.

# %% [markdown]
# ## Predict
# Write your answers down before you run anything. All networks start from one trunk and get
# equal steps.
#
# 1. Add the scores of two maps, or join the maps and score them together: which one can
#    express more?
# 2. FCN-16s starts from a trained FCN-32s, and its new score layer is zero. Are its first
#    predictions exactly those of FCN-32s?
# 3. Train 32s, then 16s from it, then 8s from that. Or train 8s from the trunk, all skips
#    from the first step, for the same number of steps in total. Which one scores higher?
# 4. Take a trained FCN-8s and set one of its three score layers to zero. Without which one
#    does it lose most?
# 5. A fourth skip, from `pool2`, makes FCN-4s. When does it help, and when not?
# 6. Scores every 8 pixels can also be had without skips. Let the last two pools have stride
#    1, and dilate the filters after them: their taps stand 2 or 4 places apart (lesson 8).
#    If such a network is *trained*, does it score higher than 8s? What does it cost?

# %%
import copy
from collections import namedtuple

import numpy as np

from fcn_from_scratch import datasets, geometry, models, ops, viz
from fcn_from_scratch.backend import to_device
from fcn_from_scratch.course import check, claims, device, seed
from fcn_from_scratch.dense import rarefy
from fcn_from_scratch.lab.compare import Rarefied, Stitched, Whole
from fcn_from_scratch.lab.compare.measuring import predict
from fcn_from_scratch.layers import BilinearUpsample, Sequential
from fcn_from_scratch.metrics import ConfusionMatrix, boundary_band
from fcn_from_scratch.models.fcn import FCN
from fcn_from_scratch.models.trunk import Trunk
from fcn_from_scratch.objects import objects, recall_by_size
from fcn_from_scratch.training import SGD, Trainer, evaluate, polynomial, segment, warm_up
from fcn_from_scratch.training.optim import CAFFE_MULTIPLIERS

DEVICE, SEED = device(), seed()
rng = np.random.default_rng([SEED, 12])

# %% [markdown]
# ## Adding scores, or joining maps
# **Concatenation** joins two maps along their channels. A score is a weighted sum of
# channels. Split the channels into two groups, and the weighted sum is the sum of two
# weighted sums:
#
# $$
# \begin{pmatrix} W_1 & W_2 \end{pmatrix}
# \begin{pmatrix} x_1 \\ x_2 \end{pmatrix} = W_1 x_1 + W_2 x_2 .
# $$
#
# So a 1x1 convolution on the joined maps is two 1x1 convolutions whose results are added.

# %%
deep, fine = rng.normal(size=(2, 5, 4, 6)), rng.normal(size=(2, 3, 4, 6))
w_deep, w_fine = rng.normal(size=(4, 5, 1, 1)), rng.normal(size=(4, 3, 1, 1))
summed = ops.conv2d(deep, w_deep) + ops.conv2d(fine, w_fine)
both, w_both = np.concatenate([deep, fine], 1), np.concatenate([w_deep, w_fine], 1)
joined = ops.conv2d(both, w_both)
concatenation_gap = np.abs(summed - joined).max()
same_sum = concatenation_gap < 1e-12
check("summing scores = scoring the concatenation", same_sum, f"{concatenation_gap:.0e}")

# %% [markdown] tags=["answer"]
# > **Prediction 1.** Neither: they are the same function. The sum is cheaper, because it
# > needs no joined map and each map can be scored before it is upsampled. If you wrote that
# > concatenation can express more: it can, once a nonlinear layer follows it. U-Net joins
# > the maps and then has 3x3 convolutions with ReLU. Such a network is trained below, under
# > the name `concat`.

# %% [markdown]
# ## The head of FCN-8s, by hand
# The trunk hands out three maps: `pool3`, `pool4` and its last map, the top. All that
# follows is the head. Each of its three crops begins at a fixed offset, derived as in
# lesson 6. The upsampled scores begin 2 cells before the scores of `pool4`, so 2 cells are
# cut off. In the same way 1 cell is cut off at `pool3`, and 4 pixels at the picture.
#
# In the paper the first two crops go the other way: `pool4` and `pool3` are cropped, at 5
# and 9. The reason is its padding of 100, which makes the pools larger than the scores that
# are added to them. Here `conv1_1` pads by 1, and the upsampled scores are the larger map.


# %%
def head(top, pool4, pool3, p, size):
    score_fr = ops.conv2d(top, p["score_fr.weight"], p["score_fr.bias"])
    upscore2 = ops.bilinear_upsample(score_fr, 4, 2)
    score_pool4 = ops.conv2d(pool4, p["score_pool4.weight"], p["score_pool4.bias"])
    fuse_pool4 = ops.crop(upscore2, 2, score_pool4.shape[2:]) + score_pool4
    upscore_pool4 = ops.bilinear_upsample(fuse_pool4, 4, 2)
    score_pool3 = ops.conv2d(pool3, p["score_pool3.weight"], p["score_pool3.bias"])
    fuse_pool3 = ops.crop(upscore_pool4, 1, score_pool3.shape[2:]) + score_pool3
    upscore8 = ops.bilinear_upsample(fuse_pool3, 16, 8)
    maps = score_fr, upscore2, fuse_pool4, upscore_pool4, fuse_pool3, upscore8
    return ops.crop(upscore8, 4, size), [y.shape for y in maps]


# %% [markdown]
# The backward goes through the same lines from last to first. A crop puts the gradient back
# into its window, and a sum passes it to both terms. Of the maps it needs the shapes only.


# %%
def head_backward(dy, top, pool4, pool3, p, shapes):
    fr_shape, up2_shape, fuse4_shape, up4_shape, fuse3_shape, up8_shape = shapes
    dup8 = ops.crop_backward(dy, up8_shape, 4)
    dfuse3 = ops.bilinear_upsample_backward(dup8, fuse3_shape, 16, 8)
    dpool3, *dscore3 = ops.conv2d_backward(dfuse3, pool3, p["score_pool3.weight"])
    dup4 = ops.crop_backward(dfuse3, up4_shape, 1)
    dfuse4 = ops.bilinear_upsample_backward(dup4, fuse4_shape, 4, 2)
    dpool4, *dscore4 = ops.conv2d_backward(dfuse4, pool4, p["score_pool4.weight"])
    dup2 = ops.crop_backward(dfuse4, up2_shape, 2)
    dscore = ops.bilinear_upsample_backward(dup2, fr_shape, 4, 2)
    dtop, *dfr = ops.conv2d_backward(dscore, top, p["score_fr.weight"])
    return dtop, dpool4, dpool3, [*dfr, *dscore4, *dscore3]


# %% [markdown]
# The package's FCN-8s must agree, forward and backward. Its score layers get random numbers
# for this: with zeros a wrong head would pass as well.

# %%
HEADS = ("score_fr", "score_pool4", "score_pool3")
toy = models.build("mini_fcn8s", 6, width=4, fc6_kernel=2, dtype=np.float64, seed=SEED)
score_params = [f"{name}.{kind}" for name in HEADS for kind in ("weight", "bias")]
for name in score_params:
    toy.params[name][...] = rng.normal(size=toy.params[name].shape)
picture = rng.normal(size=(2, 3, 50, 64))
top, maps = toy.trunk(picture)
inputs = top, maps["pool4"], maps["pool3"], toy.params
y, shapes = head(*inputs, (50, 64))
dy = rng.normal(size=y.shape)
dtop, dpool4, dpool3, dscores = head_backward(dy, *inputs, shapes)
head_gap = np.abs(toy(picture) - y).max()
check("the head by hand = the package's head", head_gap < 1e-12, f"{head_gap:.0e}")
package_dtop, package_dmaps = toy.head.backward(dy)
found = [dtop, dpool4, dpool3, *dscores]
wanted = [package_dtop, package_dmaps["pool4"], package_dmaps["pool3"]]
wanted += [toy.grads[name] for name in score_params]
backward_gap = max(np.abs(a - b).max() / np.abs(b).max() for a, b in zip(found, wanted))
check("and so are its nine gradients", backward_gap < 1e-12, f"{backward_gap:.0e}")

# %% [markdown]
# ## Two worlds, one budget
# Two drawn worlds ask for different things.
#
# - **Colours**: the scenes of lesson 11. The class of a thing is its colour, and a few
#   pixels show it. So an early look is enough. This world can only test how well a network
#   finds back to fine places.
# - **Stripes** (`datasets.Stripes`): squares on a ground, all in the same two grey tones.
#   The class is the *distance between the stripes*: 10 or 16 pixels, and 6 on the ground. A
#   few pixels show a stripe or two. So this world needs a wide look for *what* and a fine
#   one for *where*. It can test the claim of this lesson.
#
# Both worlds have pictures of 64 pixels, so FCN-32s has only 3x3 scores for each. On
# photographs things are larger compared with the stride, and skips gain less.
#
# In each world, all networks start from one trunk, a small classifier trained as in lesson
# 11. Each is trained for 240 steps of eight pictures.
#
# A common learning rate would favour the networks that it suits. So each network has its
# own rate from one small grid: 0.04, 0.08 and 0.16. The grid was run beforehand with
# colours, with the seeds 3 and 4, on scenes that no lesson uses. A network gets the lowest
# rate whose mean IU is within .02 of its best: higher rates sometimes fail. That is 0.08
# for 8s, 4s, dilated and concat, and 0.04 for the others. (It is the lowest of the grid, so
# the others may gain from a rate below it.) With stripes the grid was not run. All have
# 0.04 there, because at 0.08, 4s or 8s fails on two of the five seeds of the table below.
# Only `pool2 alone`, explained below, has 0.08 in both worlds.

# %%
STEPS = 240
RATES = {"8s": 0.08, "4s": 0.08, "dilated": 0.08, "concat": 0.08, "pool2 alone": 0.08}
STRIPED_RATES = {"pool2 alone": 0.08}
RATE = 0.04  # of all others, and of each stage of a training in stages
World = namedtuple("World", "train val trunk")


def make_world(dataset, **options):
    """Scenes to train on, unseen scenes, and a classifier trained on single things."""
    options |= {"size": 64, "seed": SEED}
    scenes = datasets.InMemory(dataset(count=600, split="train", **options))
    unseen = datasets.InMemory(dataset(count=80, split="val", **options))
    single = list(dataset(count=400, things=1, **options))
    words = np.array([sample.labels[sample.labels != 255].max() for sample in single])
    shape = {"width": 12, "fc6_kernel": 2, "seed": SEED}
    classifier = models.build("mini_classifier", scenes.num_classes, **shape).to(DEVICE)
    pictures = np.stack([classifier.transform(sample.image) for sample in single])
    optimizer = SGD(classifier, warm_up(polynomial(0.01, 120), 20), weight_decay=5e-4)
    for batch in np.random.default_rng([SEED, 11]).integers(0, 400, (120, 16)):
        classifier.zero_grad()
        _, dscores = ops.softmax_cross_entropy(classifier(pictures[batch]), words[batch])
        classifier.backward_params(dscores)
        optimizer.step()
    return World(scenes, unseen, classifier)


colours = make_world(datasets.Shapes, classes_by="colour")
stripes = make_world(datasets.Stripes)
classes, val = colours.train.classes, colours.val


def build(name, world=colours, start=None):
    """A network with the parameters of the world's trunk, or of another network."""
    num_classes = world.train.num_classes
    net = models.build(name, num_classes, width=12, fc6_kernel=2, seed=SEED)
    models.transplant(net, start or world.trunk)
    return net


def learn(net, lr=RATE, steps=STEPS, world=colours):
    """Train all layers of a network that are not frozen."""
    schedule = warm_up(polynomial(lr, steps), min(20, steps // 5))
    # as in the paper's public code: biases at twice the rate, and without weight decay
    options = {"weight_decay": 5e-4, "multipliers": CAFFE_MULTIPLIERS}
    optimizer = SGD(net.to(DEVICE), schedule, **options)
    batches = datasets.Batches(world.train, 8, net.transform, seed=SEED)
    Trainer(net, optimizer, batches, device=DEVICE).run(steps, progress=False)
    return net.eval()


def mean_iu(net, world=colours):
    return evaluate(net, world.val, DEVICE).scores()["mean_iu"]


def tapped(taps, world, last="relu7"):
    """A network whose trunk ends at `last`, with skips from the maps in `taps`."""
    layers = build("mini_fcn32s", world).trunk.layers
    end = [layer.name for layer in layers].index(last) + 1
    net = FCN(Trunk(*layers[:end], taps=taps), world.train.num_classes, taps)
    net.transform = models.MINI_TRANSFORM
    return net


# %% [markdown]
# ## First axis: the structure
# All skips are trained from the first step here: **all at once**. Their score layers start
# at zero, like `score_fr`. The networks:
#
# - 32s-fixed, which trains the score layer only; 32s, 16s, 8s; and 4s, which has a third
#   skip from `pool2`;
# - `dilated`: FCN-32s whose last two pools have stride 1, with dilated layers after them.
#   It has the same parameters as 32s, and its scores stand 8 pixels apart without any skip;
# - `concat`: the skips of 8s as in U-Net (Ronneberger et al. 2015). The maps are joined,
#   then follow a 3x3 convolution and a ReLU;
# - `decoder`: it has as many layers on the way up as on the way down, and one unpooling
#   (lesson 9) for each pool;
# - `pool2 alone`: the trunk ends at `pool2`. A score layer and upsampling by 4 follow. It
#   tells how much can be known from an early look.

# %%
order = ["32s", "16s", "8s", "4s"]
NETWORKS = {"32s-fixed": "mini_fcn32s"} | {title: f"mini_fcn{title}" for title in order}
NETWORKS |= {"dilated": "mini_fcn8s_dilated", "concat": "mini_fcn8s_concat"}
NETWORKS |= {"decoder": "mini_unpool", "pool2 alone": None}


def trained(title, world, lr):
    """A network of this title, trained in this world."""
    name = NETWORKS[title]
    net = build(name, world) if name else tapped((), world, "pool2")
    if title == "32s-fixed":
        net.freeze_trunk()
    return learn(net, lr, world=world)


nets, iu, striped_nets, striped_iu = {}, {}, {}, {}
for title in NETWORKS:
    nets[title] = trained(title, colours, RATES.get(title, RATE))
    iu[title] = mean_iu(nets[title])
    print(f"  colours: {title:11} mean IU {iu[title]:.3f}", flush=True)
for title in (*order, "dilated", "pool2 alone"):
    striped_nets[title] = trained(title, stripes, STRIPED_RATES.get(title, RATE))
    striped_iu[title] = mean_iu(striped_nets[title], stripes)
    print(f"  stripes: {title:11} mean IU {striped_iu[title]:.3f}", flush=True)
ordered = sorted(["32s-fixed", *order], key=iu.get) == ["32s-fixed", *order]
check("colours: 32s-fixed < 32s < 16s < 8s < 4s", ordered)
structure_gain = iu["8s"] - iu["32s"]
two_skips = 0.3 < structure_gain < 0.5
check("two skips are worth .3 to .5 at equal steps", two_skips, f"{structure_gain:+.3f}")
early = iu["pool2 alone"] - iu["8s"]
check("but pool2 alone is above 8s", 0.05 < early < 0.3, f"{early:+.3f}")
one_alone = max(striped_iu["32s"], striped_iu["pool2 alone"])
both_needed = striped_iu["8s"] - one_alone
what_and_where = 0.02 < both_needed < 0.5
check("stripes: 8s is above both alone", what_and_where, f"{both_needed:+.3f}")
concat_gain, decoder_gain = iu["concat"] - iu["8s"], iu["decoder"] - iu["8s"]
no_more = abs(concat_gain) < 0.05
check("joining maps is worth no more than adding scores", no_more, f"{concat_gain:+.3f}")
check("the decoder is below 8s", -0.4 < decoder_gain < 0, f"{decoder_gain:+.3f}")

# %% [markdown]
# What does the structure buy? Start, steps and pictures are equal. With colours, two skips
# double the mean IU. But this does not show that *what* and *where* are both needed:
# `pool2` alone, a network of two stages, is better than 8s. Here 8s is better than 32s
# because it looks earlier.
#
# The world of stripes is the evidence. 32s sees far enough, but its places are coarse.
# `pool2` alone has fine places, but each value sees only 10 pixels. 8s has both, and is
# above both.
#
# In the paper the order of 32s, 16s and 8s is the same, and the distances are much smaller:
# 59.4, 62.4 and 62.7. Mean IU on five seeds (`fcn lessons 12 --seed S`):
#
# | seed | 32s-fixed | 32s | 16s | 8s | 4s | dilated | concat | decoder | pool2 alone |
# |---|---|---|---|---|---|---|---|---|---|
# | colours, 0 | .159 | .358 | .528 | .769 | .904 | .470 | .769 | .714 | .895 |
# | 1 | .206 | .333 | .546 | .767 | .907 | .432 | .769 | .610 | .898 |
# | 2 | .205 | .364 | .563 | .762 | .890 | .410 | .773 | .679 | .887 |
# | 7 | .214 | .348 | .543 | .758 | .896 | .469 | .757 | .737 | .890 |
# | 11 | .172 | .311 | .529 | .745 | .891 | .420 | .752 | .591 | .884 |
# | stripes, 0 | | .638 | .848 | .903 | .906 | .569 | | | .600 |
# | 1 | | .678 | .814 | .886 | .882 | .561 | | | .623 |
# | 2 | | .738 | .849 | .888 | .884 | .804 | | | .667 |
# | 7 | | .479 | .833 | .898 | .902 | .651 | | | .613 |
# | 11 | | .575 | .839 | .886 | .901 | .510 | | | .690 |
#
# (Training of the decoder and of all networks with stripes is sensitive. Rounding alone, on
# another machine, changes their mean IU by .1 or more: in a browser, seed 0 gives .453 for
# the decoder.)

# %% [markdown]
# ## Second axis: the schedule
# The paper trains **in stages**: FCN-32s first, then FCN-16s from it, then FCN-8s from
# that. Is the network trained again each time? Yes, and not only its new layer: in each
# stage *all* layers train on, from the weights of the stage before. The new score layer
# starts at zero, so that the new skip adds exactly nothing at first. Structure and steps
# stay equal here: 80 for 32s, then 80 for 16s, then 80 for 8s.

# %%
staged32 = learn(build("mini_fcn32s"), steps=STEPS // 3)
staged16 = build("mini_fcn16s", start=staged32).eval()
x = np.stack([staged32.transform(val[i].image) for i in range(20)])
features, maps = staged16.trunk(x)
# its one skip: the pool's name, the upsampling before the sum, and the sum with its crop
pool, upscore, fuse = staged16.skips[0]
coarse = upscore(staged16.score_fr(features))
fused = fuse(coarse, maps[pool])
adds_nothing = np.array_equal(fused, ops.crop(coarse, 2, fused.shape[2:]))
check("the untrained skip adds exactly 0", adds_nothing)
agree = (staged16(x).argmax(axis=1) == staged32(x).argmax(axis=1)).mean()
nearly = 0.88 < agree < 1
check("16s starts with nearly the predictions of 32s", nearly, f"{agree:.1%} of the pixels")

# %% [markdown] tags=["answer"]
# > **Prediction 2.** Not exactly, although the paper says that the net "starts with
# > unmodified predictions". The skip adds exactly 0, but 16s upsamples by 2 and then by 16,
# > and this is not quite the same as upsampling by 32 (lesson 10). Up to one pixel in ten
# > changes, between two classes.

# %%
learn(staged16, steps=STEPS // 3)
staged8 = learn(build("mini_fcn8s", start=staged16), steps=STEPS // 3)
first = [net.params["conv1_1.weight"] for net in (staged32, staged16, staged8)]
trains_on = bool((first[0] != first[1]).any() and (first[1] != first[2]).any())
check("in each stage the trunk trains on", trains_on)
iu["8s in stages"] = mean_iu(staged8)
staged_gain = iu["8s in stages"] - iu["32s"]
check("8s in stages is above 32s", 0.2 < staged_gain < 0.45, f"{staged_gain:+.3f}")
schedule_gain = iu["8s"] - iu["8s in stages"]
at_once = 0.06 < schedule_gain < 0.18
check("all at once is above in stages", at_once, f"{schedule_gain:+.3f}")
equal_rate_gain = mean_iu(learn(build("mini_fcn8s"))) - iu["8s in stages"]
half_is_left = 0.3 < equal_rate_gain / schedule_gain < 1
check("at equal rates too, by less", half_is_left, f"{equal_rate_gain:+.3f}")

# %% [markdown] tags=["answer"]
# > **Prediction 3.** All at once scores higher here, by .10 to .12. A part of this is the
# > rate: the stages have 0.04, and all at once has 0.08. With 0.04 for both, a third of the
# > gap or more is left: all at once then has .70 to .74, and in stages .64 to .66. A
# > likely reason for the rest: at once, the skip from `pool3` is trained for 240 steps, in
# > stages only for 80. If you wrote that stages score higher: the paper trains in stages.

# %% [markdown]
# This is not a test of the paper's schedule. The paper lowers the rate with each stage: for
# 16s "the learning rate is decreased by a factor of 100" (section 4.2), and its public code
# does so again for 8s. Its stages are far longer. Our stages all have 0.04, and this was
# not tuned. The public networks of the paper are equally good: its README gives 65.5 mean
# IU for stages and 65.4 for all at once. So stages are a way to train, not the cause of the
# gain. The structure is the cause: 8s is far above 32s with either schedule.

# %% [markdown]
# ## What is each score layer worth?
# Everything after the score layers is linear, so the scores of FCN-8s are a sum of three
# maps, one for each score layer. There are two ways to ask how much each one contributes.
# The *spread* of a map says how much its scores differ between the classes. An *ablation*
# says what it is worth: set one score layer to zero and measure the mean IU that is left.


# %%
def without(net, removed):
    """A copy of the network in which these score layers are zero."""
    rest = copy.deepcopy(net)
    for name in removed:
        for kind in ("weight", "bias"):
            rest.params[f"{name}.{kind}"][...] = 0
    return rest


def ablation(net, world):
    """The share of the spread, and the mean IU that is lost without it, of each layer."""
    x = np.stack([net.transform(world.val[i].image) for i in range(20)])
    parts = {name: without(net, {*HEADS} - {name})(x) for name in HEADS}
    whole, full = net(x), mean_iu(net, world)
    gap = np.abs(sum(parts.values()) - whole).max() / np.abs(whole).max()
    spread = {name: float((y - y.mean(1)[:, None]).std()) for name, y in parts.items()}
    share = {name: spread[name] / sum(spread.values()) for name in HEADS}
    lost = {name: full - mean_iu(without(net, {name}), world) for name in HEADS}
    for name in HEADS:
        print(f"  {name:12} {share[name]:4.0%} of the spread;", end=" ")
        print(f"without it, mean IU {full - lost[name]:.3f} instead of {full:.3f}")
    return gap, share, lost


parts_gap, share, lost = ablation(nets["8s"], colours)
striped_gap, striped_share, striped_lost = ablation(striped_nets["8s"], stripes)
add_up = max(parts_gap, striped_gap) < 1e-5
check("the three parts add up to the scores", add_up, "to 1e-5 of the largest")
pool3_most = 0.5 < lost["score_pool3"] < 0.75
check("colours: without score_pool3, 8s loses .5 or more", pool3_most)
check("colours: without score_pool4 it loses less than .15", 0 < lost["score_pool4"] < 0.15)
striped_pool3 = 0.4 < striped_lost["score_pool3"] < 0.8
check("stripes: without score_pool3, 8s loses .4 or more", striped_pool3)
wide_look = 0.05 < striped_lost["score_pool4"] < 0.6
check("stripes: without score_pool4 it loses .05 or more", wide_look)
no_top = max(abs(one["score_fr"]) for one in (lost, striped_lost))
check("without score_fr it loses less than .1", no_top < 0.1, f"{no_top:.3f} at most")
shares = [[one[name] for name in HEADS] for one in (share, striped_share)]
by_spread = all(fr < pool4 < pool3 and 0.45 < pool3 < 0.9 for fr, pool4, pool3 in shares)
check("score_pool3 has most of the spread, score_fr least, in both", by_spread)

# %% [markdown] tags=["answer"]
# > **Prediction 4.** Without `score_pool3`, in both worlds: 8s loses .55 to .68. With
# > colours `score_pool4` is worth .04 to .09, with stripes .10 to .40. If you wrote that
# > `score_fr` matters most, since it has seen most of the picture: without it 8s loses less
# > than .1, on these seeds even less than .01. A likely reason is that no class here needs
# > more than the 46 pixels that `pool4` sees.

# %% [markdown]
# So the answer to "do shallow and deep layers contribute equally?" is no, and what the deep
# part is worth depends on the pictures. Colours only need an early look. Stripes need two
# layers: `score_pool3` for the place, and `score_pool4` for the wider look. On photographs
# the deep part carries more: in the paper 32s alone has 59.4 of 62.7, and learning from
# `pool4` only gave poor results (section 4.2).
#
# An ablation removes a layer from a network that was trained with it. The other question is
# what a network learns that never had the layer. Without `score_pool3`, 8s is a 16s, and
# that has been trained above.

# %%
pool3_retrained = iu["8s"] - iu["16s"]
far_less = 0.15 < pool3_retrained < lost["score_pool3"] / 2
check("trained without pool3's skip, it loses far less", far_less)

# %% [markdown]
# It loses less than half of what the cut costs, because the other layers learn to do more
# of the work. An ablation tells what a trained network uses, not what a network needs.

# %% [markdown]
# ## Why pool4 and pool3?
# A skip needs a map with the right stride. In VGG16 `pool3` is the *first* map with stride
# 8. `conv4_1` to `conv4_3` have stride 8 too, and they are deeper. In the same way `pool4`
# is the first with stride 16, before `conv5_1` to `conv5_3`. The paper says why a shallow
# map is enough: a finer prediction sees fewer pixels, so it "should need fewer layers". It
# tries no other map of the same stride. We can try one. Our small trunk has one convolution
# in a stage, so take its ReLU, `relu4_1`, in place of `pool3`.

# %%
deeper = mean_iu(learn(tapped(("pool4", "relu4_1"), colours), RATES["8s"])) - iu["8s"]
as_well = abs(deeper) < 0.05
check("a skip from relu4_1 is worth as much as pool3's", as_well, f"{deeper:+.3f}")
vgg_layers = models.build("fcn8s", 21, width=1).trunk.layers
vgg_names = [layer.name for layer in vgg_layers]
grids = {}
for name in ("pool2", "pool3", "conv4_3", "pool4", "conv5_3"):
    found = geometry.receptive_field(vgg_layers[: vgg_names.index(name) + 1])
    grids[name] = int(found.size), int(found.stride)
print("  VGG16, size of the field and stride:", grids)
strides = [stride for _, stride in grids.values()]
check("strides 4; 8, 8; 16, 16: each pool is the first", strides == [4, 8, 8, 16, 16])
wider = grids["conv4_3"][0] == 92 == 48 + grids["pool3"][0]
check("conv4_3 sees 92 pixels, pool3 only 44", wider)

# %% [markdown]
# ## Where does a further skip stop paying?
# In the paper the gain shrinks fast: mean IU 59.4, 62.4 and 62.7 for 32s, 16s and 8s. The
# paper stops there because of "diminishing returns", in the numbers and to the eye (section
# 4.2). 4s was trained in both worlds above. What does its skip from `pool2` gain?

# %%
layers = nets["4s"].trunk.layers
names = [layer.name for layer in layers]
pools = [layers[: names.index(pool) + 1] for pool in ("pool2", "pool3", "pool4")]
sees = [int(geometry.receptive_field(part).size) for part in pools]
check("pool2, pool3 and pool4 see 10, 22 and 46 pixels", sees == [10, 22, 46])
steps_down = (("32s", "16s"), ("16s", "8s"), ("8s", "4s"))
gains, striped_gains = ([s[b] - s[a] for a, b in steps_down] for s in (iu, striped_iu))
colours_4s = 0.08 < gains[2] < 0.2
check("with colours, the skip from pool2 gains .08 or more", colours_4s)
less = gains[2] - striped_gains[2]
stripes_4s = f"{striped_gains[2]:+.3f} instead of {gains[2]:+.3f}"
check("with stripes, it gains less", 0.01 < less < 0.25, stripes_4s)
late = striped_iu["pool2 alone"] - striped_iu["8s"]
pool2_knows = 0.05 < early < 0.3 and -0.5 < late < -0.05
knows = f"{early:+.3f} and {late:+.3f}"
check("pool2 alone: above 8s with colours, below it with stripes", pool2_knows, knows)
first_most = 0.03 < striped_gains[0] < 0.6 and striped_gains[1] < striped_gains[0]
check("with stripes, the first skip gains more than the second", first_most)

# %% [markdown] tags=["answer"]
# > **Prediction 5.** With colours `pool2` alone is better than the whole 8s, and 4s gains
# > .13 to .15. With stripes `pool2` alone is far below 8s, and 4s gains nearly nothing:
# > -.004 to .015 on five seeds. A likely rule: a skip helps if its map knows something that
# > the network does not know yet. If you wrote that a finer map always helps: it is finer,
# > but it sees less.

# %% [markdown]
# Two worlds do not prove this rule. A map that is worse alone may still add something, and
# with stripes 8s is already near .90, where 4s ends in both worlds. (With seed 11 8s got
# stuck at .80, and 4s gained .10. In another run 8s reached .89 there.)

# %% [markdown]
# ## Dilation or upsampling?
# Scores every 8 pixels can be had in four ways. Two take the trained 32s and train nothing:
# shift-and-stitch (lesson 7), and rarefied filters (lesson 8): the last two pools get
# stride 1, and the taps of the filters after them are spread. (Without padding these two
# are equal to the last bit. Here they differ, because they meet the zeros of the padding at
# other places.) The third is the dilated network, which is trained. The fourth is skips.
# Work is counted in multiply-adds.


# %%
def worth(way):
    """Mean IU, and how many pixels are given to things for each pixel that things have."""
    matrix = ConfusionMatrix(len(classes))
    for image, truth, _ in val:
        x = to_device(nets["32s"].transform(image)[None], DEVICE)
        matrix.update(truth, predict(way, x))
    counts = matrix.matrix  # a row for each true class, the ground first
    return matrix.scores()["mean_iu"], counts[:, 1:].sum() / counts[1:].sum()


tricks = {"stitched": Stitched(nets["32s"], 8), "rarefied": Rarefied(nets["32s"], 8)}
painted = {}
for title, way in tricks.items():
    iu[title], painted[title] = worth(way)
ways = tricks | {title: Whole(nets[title]) for title in ("32s", "dilated", "8s", "concat")}
work = {title: way.multiply_adds((64, 64)) for title, way in ways.items()}
work = {title: count / work["32s"] for title, count in work.items()}
for title, way in ways.items():
    print(f"  {title:9} mean IU {iu[title]:.3f}, {way.passes:2} passes", end=", ")
    print(f"{work[title]:5.2f} times the work of 32s")
apart = [nets[title].upscore.stride[0] for title in ("dilated", "8s", "concat")]
check("dilated, 8s and concat have a score every 8 pixels", apart == [8, 8, 8])
check("16 passes cost 15 to 30 times the work of 32s", 15 < work["stitched"] < 30)
check("holes in the filters cost 1.3 to 2 times that work", 1.3 < work["rarefied"] < 2)
trick_gain = max(iu["stitched"], iu["rarefied"]) - iu["32s"]
hardly = -0.03 < trick_gain < 0.1
check("without training, a finer grid is worth less than .1", hardly, f"{trick_gain:+.3f}")
too_many = f"{painted['stitched']:.2f} for each"
check("stitched gives things too many pixels", 1.2 < painted["stitched"] < 4, too_many)
dilated_gain, dilated_loss = iu["dilated"] - iu["32s"], iu["8s"] - iu["dilated"]
gains_too = 0.01 < dilated_gain < 0.25
check("a trained dilated network gains over 32s", gains_too, f"{dilated_gain:+.3f}")
check("it stays .2 or more below 8s", 0.2 < dilated_loss < 0.45, f"-{dilated_loss:.3f}")
striped_loss = striped_iu["8s"] - striped_iu["dilated"]
dilated_below = 0.03 < striped_loss < 0.6
check("with stripes too, dilated is below 8s", dilated_below, f"-{striped_loss:.3f}")

# %% [markdown]
# A finer grid alone is worth little. `score_fr` of 32s has learned one answer for 32x32
# pixels: *is something red near here?* Asked every 8 pixels it says yes around every red
# thing, also where the thing has ended. The paper found shift-and-stitch to cost more for
# what it gains than skips do (section 4.2).
#
# The trained dilated network can learn an answer for 8x8 pixels, and does better. But it is
# still far below 8s. A likely reason: each of its values depends on 126 pixels, twice the
# side of these pictures, and it must learn from them where an edge is, while `pool3` has it
# ready. (Lesson 8 finds a larger gain for dilation, with scores every 4 pixels.)
#
# The costs depend on the network. Here they are for VGG16's shape at a quarter of its
# width, with a picture of 500x500.

# %%
wide = {"seed": None, "width": 16}  # seed=None: all weights zero, since we only count
vgg = {title: models.build(f"fcn{title}", 21, **wide) for title in ("32s", "16s", "8s")}
vgg["dilated to 16"] = Sequential(*rarefy(vgg["32s"], 16).layers, BilinearUpsample(32, 16))
vgg["dilated"] = models.build("fcn8s_dilated", 21, **wide)
tables = {title: geometry.table(net, 500) for title, net in vgg.items()}
base, ratio = tables["32s"], {}
for title, row in tables.items():
    more_work = row.multiply_adds / base.multiply_adds
    more_memory = row.activation_bytes / base.activation_bytes
    ratio[title] = more_work, more_memory, row.parameters / base.parameters
    print(f"  VGG16, {title:13} {more_work:.2f} times the work", end=", ")
    print(f"{more_memory:.2f} times the memory, {ratio[title][2]:.4f} times the parameters")
cheap_skips = 3 < ratio["dilated"][0] < 4 and 1 <= ratio["8s"][0] < 1.01
check("VGG16: dilation 3 to 4 times the work, two skips a hundredth more", cheap_skips)
last_stride = 1.3 < ratio["dilated to 16"][0] < 1.6
check("dilating only the last stride costs about 1.5 times the work", last_stride)
few_new = 1 == ratio["dilated"][2] < ratio["8s"][2] < 1.001
check("dilation adds no parameters, two skips less than a thousandth", few_new)
dear_maps = 1.1 < ratio["dilated"][1] / ratio["8s"][1] < 1.5
check("dilated maps take more memory than skips", dear_maps)

# %% [markdown] tags=["answer"]
# > **Prediction 6.** The trained dilated network does not score higher: it is above 32s and
# > far below 8s, in these worlds and with these few steps. It costs 1.5 times the work of
# > 8s in our small network, and 3.7 times with VGG16: `fc6` and `fc7` are then computed at
# > 16 times as many places, and become most of the work. If you wrote that it scores
# > higher: a published network does, as the next paragraph says.

# %% [markdown]
# **Which is better?** Our worlds are drawn, and our networks are small. On photographs
# dilation does better than here. Yu and Koltun (2016, table 2) list three networks on
# VGG16, with their mean IU on the test set of VOC 2012: 62.2 for FCN-8s, 62.1 for DeepLab,
# which is dilated, and 67.6 for their own. In theirs the last two pools are left out, the
# later layers are dilated, and no map inside is padded. (Their training differs as well.)
# In our own comparison on the street scenes of CamVid, dilation gains over 32s about half
# of what two skips gain ([the comparison](../docs/compare.md) has the numbers).
#
# **When to choose which?**
#
# - *Dilation* keeps one deep map with a large field, at a finer grid. So every answer comes
#   from the deepest features. No layer is added, and a trained classifier can be taken as
#   it is. It costs work and memory: the layers after the removed strides are computed at 4
#   or 16 times as many places. Choose it if you can pay, and if shallow maps cannot tell
#   your classes.
# - *Skips* keep the trunk, its strides and its cost. They add what shallow maps know: exact
#   edges and small details, from few pixels. Choose them if work or memory is short, or if
#   edges matter and a shallow map sees them.
#
# Both can be combined: dilate the last stride, where it costs least, and add skips.

# %% [markdown]
# ## Is a skip ResNet's shortcut?
# Both go around some layers, and both end in an addition. A shortcut of ResNet (He et al.
# 2016) adds *features* to features, unchanged, or through a 1x1 convolution where the sizes
# differ. Its reason is degradation: deeper plain networks had a larger error even on the
# training pictures. With a shortcut a block has to learn only the difference from its
# input. (It is often said that shortcuts are there to let gradients pass. He et al. argue
# that the difficulty is "unlikely to be caused by vanishing gradients": their plain
# networks had batch normalization, and gradients of healthy size.) A skip of FCN adds
# *scores*, which its own 1x1 convolution computes from a finer map. Its purpose is detail.
#
# The two sums differ in their gradients too. Twenty layers of random weights, without and
# with a shortcut around each, receive a random upstream gradient. With weights of half the
# usual size it almost vanishes without shortcuts. (With the usual size it passes.) A new
# skip of FCN sends no gradient at all:


# %%
def gradient_ratio(shortcut, size=0.5, layers=20):
    """How much of a gradient that enters a chain at the top leaves it at the bottom."""
    rng = np.random.default_rng([SEED, 13])
    weights = [rng.normal(0, size * np.sqrt(2 / 72), (8, 8, 3, 3)) for _ in range(layers)]
    x, kept = rng.normal(size=(2, 8, 12, 12)), []
    for weight in weights:
        y = ops.relu(ops.conv2d(x, weight, padding=1))
        kept.append((x, y))
        x = x + y if shortcut else y
    dy = upstream = rng.normal(size=x.shape)
    for weight, (x, y) in zip(weights[::-1], kept[::-1]):
        dx = ops.conv2d_input_grad(ops.relu_backward(dy, y), x.shape, weight, padding=1)
        dy = dy + dx if shortcut else dx
    return np.linalg.norm(dy) / np.linalg.norm(upstream)


plain_ratio, shortcut_ratio = gradient_ratio(False), gradient_ratio(True)
vanishes = 1e-9 < plain_ratio < 1e-4
check("without shortcuts the gradient almost vanishes", vanishes, f"{plain_ratio:.0e}")
arrives = 1 < shortcut_ratio < 100
check("with shortcuts it does not", arrives, f"{shortcut_ratio:.1f}")
usual = gradient_ratio(False, size=1.0)
check("with the usual weights it passes anyway", 0.1 < usual < 2, f"{usual:.2f}")

untrained = build("mini_fcn8s").to(DEVICE)
_, dmaps = untrained.head.backward(np.ones_like(untrained(x)))
skip_gradients = [float(np.abs(dmaps[pool]).max()) for pool in ("pool4", "pool3")]
check("a new skip of FCN sends a gradient of exactly 0 down", skip_gradients == [0, 0])
# (At the first step only: then its score layer is no longer zero.)
new = [name for name in staged16.params if name not in staged32.params]
added = sum(staged16.params[name].size for name in new)
small_layer = added == len(classes) * (maps["pool4"].shape[1] + 1)
check("all that a skip adds is one small score layer", small_layer, f"{added} parameters")

# %% [markdown]
# ## What is still lost
# Errors are frequent in two places: within three pixels of a boundary, and in small
# things.

# %%
guesses = {key: [segment(nets[key], one.image, DEVICE) for one in val] for key in order}


def border_error(guesses):
    """The share of wrong pixels: within three pixels of a boundary, and elsewhere."""
    near, far = ConfusionMatrix(len(classes)), ConfusionMatrix(len(classes))
    for (_, truth, _), guess in zip(val, guesses):
        band = boundary_band(truth, 3)
        near.update(np.where(band, truth, 255), guess)
        far.update(np.where(band, 255, truth), guess)
    return [1 - matrix.scores()["pixel_accuracy"] for matrix in (near, far)]


def recalls(guesses):
    """How much of a thing is found on average: below 100 pixels, and of larger ones."""
    found = [recall_by_size(truth, guess) for (_, truth, _), guess in zip(val, guesses)]
    area = np.concatenate([one.area for one in found])
    recall = np.concatenate([one.recall for one in found])
    return [recall[area < 100].mean(), recall[area >= 100].mean()]


errors = {title: border_error(guesses[title]) for title in ("32s", "16s", "8s")}
recall = {title: recalls(guesses[title]) for title in ("32s", "8s")}
for title, (near, far) in errors.items():
    print(f"  {title:4} wrong near a boundary {near:.1%}, elsewhere {far:.1%}")
for title, (small, large) in recall.items():
    print(f"  {title:4} finds {small:.0%} of a thing below 100 pixels", end=", ")
    print(f"{large:.0%} of a larger one")
boundary_gain = errors["32s"][0] - errors["8s"][0] - (errors["32s"][1] - errors["8s"][1])
near, far = errors["8s"]
few_far = 0.08 < near < 0.3 and far < 0.02
check("8s: 8 to 30 % are wrong near a boundary, below 2 % elsewhere", few_far)
more = f"by {boundary_gain:.1%} more of the pixels"
check("skips help most there", 0.1 < boundary_gain < 0.3, more)
smaller = all(0.05 < large - small < 0.7 for small, large in recall.values())
check("both find less of small things than of large ones", smaller)
finds_more = all(0.05 < b - a < 0.7 for a, b in zip(recall["32s"], recall["8s"]))
check("8s finds more of both", finds_more)

# %% [markdown]
# A third thing is missing in every FCN: nothing makes neighbouring pixels agree. In the
# loss, what a pixel's scores receive depends on its own label and not on those beside it.
# In the answer, each pixel takes its own arg-max. Upsampling makes the answers smooth, but
# one thing can still get two classes. We count the things of at least 100 pixels in which
# the right class has more than a tenth of the pixels, and the classes of other things have
# more than a tenth too. (Later work added a step that makes neighbours agree, a conditional
# random field.)

# %%
own = np.add.outer(range(6), range(6)) % 2 == 0  # a chessboard: no two of them touch
any_scores, any_labels = rng.normal(size=(1, 4, 6, 6)), rng.integers(0, 4, (1, 6, 6))
others = np.where(own, any_labels, (any_labels + 1) % 4)  # each neighbour's label changes
received = [ops.softmax_cross_entropy(any_scores, y)[1] for y in (any_labels, others)]
independent = np.array_equal(*(gradient[:, :, own] for gradient in received))
check("other labels beside a pixel leave its gradient as it is", independent)

halves = []
for (_, truth, _), guess in zip(val, guesses["8s"]):
    numbers, count = objects(truth)
    for thing in (numbers == number for number in range(1, count + 1)):
        right = guess[thing] == truth[thing]
        wrong = ~right & (guess[thing] > 0)  # the ground does not count
        if thing.sum() >= 100:
            halves.append(min(right.mean(), wrong.mean()) > 0.1)
twice = np.mean(halves)
torn = 0.02 < twice < 0.16
check("8s gives two classes to 2 to 16 % of the things", torn, f"{twice:.1%}")

# %% [markdown]
# ## What could fool you
# **A crop in the middle.** The upsampled scores are larger than the picture, and something
# is cut off. To cut the same from all sides looks right, and for 64 pixels it *is* right.
# For 50 pixels the middle is at 15 and the right place at 8: the surplus depends on the
# size, and the right place does not. All shapes fit, no error is raised, and the result is
# worse.

# %%
surplus = 16 * 4 + 16 - 50  # 50 pixels are four cells of pool4; the last one is partial
in_the_middle = copy.deepcopy(nets["16s"])
in_the_middle.crop.offset = (surplus // 2, surplus // 2)
cropped = []
for net in (nets["16s"], in_the_middle):
    matrix = ConfusionMatrix(len(classes))
    for image, truth, _ in val:
        matrix.update(truth[:50, :50], segment(net, image[:50, :50], DEVICE))
    cropped.append(matrix.scores()["mean_iu"])
    print(f"  crop at {net.crop.offset}: mean IU {cropped[-1]:.3f}")
crop_loss = cropped[0] - cropped[1]
fits_at_64 = (16 * 4 + 16 - 64) // 2 == nets["16s"].crop.offset[0]
check("at 64 pixels the middle is where geometry puts the crop", fits_at_64)
check("at 50 it is not, and costs mean IU", 0.1 < crop_loss < 0.35, f"-{crop_loss:.3f}")

# %% [markdown]
# **A forgotten gradient.** `pool4` is read twice. Leave out the gradient of one reader, and
# all layers below learn from the wrong gradient. A gradient check of each layer by itself
# does not see it, since each layer is right. A check of the whole network sees it, but only
# if the score layer is not zero: a new skip sends back zeros, and nobody misses them.


# %%
def lowest_gradient(keep):
    """The gradient of conv1_1's weight, with (1) or without (0) that of pool4's skip."""
    dtop, dpool4, dpool3, _ = head_backward(dy, *inputs, shapes)
    toy.zero_grad()
    toy.trunk.backward(dtop, {"pool4": keep * dpool4, "pool3": dpool3})
    return toy.grads["conv1_1.weight"].copy()


off = []
for factor in (1, 0):  # numbers in the skip's score layer, then zeros
    toy.params["score_pool4.weight"][...] *= factor
    right, wrong = lowest_gradient(keep=1), lowest_gradient(keep=0)
    off.append(np.linalg.norm(right - wrong) / np.linalg.norm(right))
check("with numbers in the score layer it shows", 0.05 < off[0] < 2, f"{off[0]:.0%} off")
check("with zeros it does not", off[1] == 0)

# %% [markdown]
# ## Appendix: a factor on the features
# The fast path can skip the appendix.
#
# The paper's public at-once network multiplies `pool4` by 0.01 and `pool3` by 0.0001 before
# they are scored. (We suppose that VGG16's features are large there; we do not measure
# them. `8s` above has no factors.) The factor $a$ does not change what the layer can
# express: $w \cdot (a x) = (a w) \cdot x$. It changes the speed of learning. For $a = 0.01$
# the gradient of $w$ is 100 times smaller, and so is the effect of a change of $w$. So it
# is the plain layer with $a^2 = 0.0001$ times its rate. To check this, give the layer with
# the factor the weight $w / a$, so that both start with the same scores.

# %%
seen, target = rng.normal(size=(1, 3, 4, 5)), rng.normal(size=(1, 2, 4, 5))
w, a, lr = rng.normal(size=(2, 3, 1, 1)), 0.01, 10.0


def descend(weight, x, lr):
    """One step of gradient descent on half the squared error, without a bias."""
    return weight - lr * ops.conv2d_weight_grad(ops.conv2d(x, weight) - target, x, weight)


scale_gap = np.abs(a * descend(w / a, a * seen, lr) - descend(w, seen, lr * a**2)).max()
check("features x 0.01 = plain features at the rate x 0.0001", scale_gap < 1e-12)
bias = np.array([1.0, -1.0])
bias_gap = np.abs(ops.conv2d(a * seen, w, bias) - a * ops.conv2d(seen, w, bias)).max()
scales_bias = abs(bias_gap - 0.99) < 1e-12
check("to scale the scores is another thing: it scales the bias too", scales_bias)

# %% [markdown]
# ## The drawings


# %%
FULL = sorted(range(len(val)), key=lambda i: (val[i].labels == 0).sum())[:4]


def draw_scenes():
    rows = {"picture": [val[i].image for i in FULL], "truth": [val[i].labels for i in FULL]}
    for title in order:
        rows[title] = [guesses[title][i] for i in FULL]
    caption = f"No skip, one, two and three skips: {STEPS} steps each"
    colouring = {"classes": classes, "palette": colours.train.palette}
    return viz.panels([*rows.values()], None, caption, [*rows], size=1.6, **colouring)


def draw_worlds():
    titles = ["the world of colours", "the world of stripes", "the truth of the stripes"]
    caption = "Each skip, in two worlds"
    figure, axes = viz.new_figure(caption, 2, 2, 6.5, 6, titles=[*titles, "mean IU"])
    *images, plot = axes.ravel()
    image, labels, _ = stripes.val[0]
    for axis, shown in zip(images, (val[0].image, image, viz.colourise(labels))):
        axis.imshow(shown)
        axis.set_axis_off()
    for name, found, colour in (("colours", iu, "C0"), ("stripes", striped_iu, "C1")):
        plot.plot(order, [found[title] for title in order], "o-", color=colour, label=name)
        plot.axhline(found["pool2 alone"], color=colour, linestyle=":")
    plot.set(xlabel="network", ylabel="mean IU")
    plot.legend()
    return figure


# %% [markdown]
# Each column is a scene; in the truth, void is pale. Go down a column and compare the
# edges with the truth.

# %%
viz.show(draw_scenes(), "12_skips")

# %% [markdown]
# In the truth of the stripes, black is the ground, red has stripes 10 pixels apart, green
# 16, and void is pale. A dotted line is `pool2` alone. Compare each line with its dots at
# 8s, and then the two lines between 8s and 4s.

# %%
viz.show(draw_worlds(), "12_worlds")

# %% [markdown]
# ## Exercises
# 1. *Trace.* Find the size of every map in the head of FCN-8s, and where each crop begins.
# 2. *Change.* Replace two score layers whose results are added by one on the joined maps.
# 3. *Prove.* Show that a bias of `score_fr` does not arrive as a constant: it fades at the
#    picture's border.
#
# `fcn exercise 12` writes a file for each of them, `fcn exercise 12 --check FILE` checks
# your answer, `fcn exercise 12 --solution` shows ours.

# %% [markdown]
# ## Claims
# The numbers behind the bounds are those of five seeds.

# %%
by_hand = max(head_gap, backward_gap) < 1e-12
dear = 0.2 < dilated_loss < 0.45 and work["dilated"] > work["8s"]
claims(
    [
        ("summing scores = scoring the concatenation", same_sum, "1e-12: two orders"),
        ("the head by hand is the package's", by_hand, "1e-12: float64"),
        ("32s-fixed < 32s < 16s < 8s < 4s", ordered, "an order; .12 apart or more"),
        ("two skips at equal steps", two_skips, ".398 to .434"),
        ("stripes: 8s is above 32s and pool2", what_and_where, ".081 to .276"),
        ("joining maps gains no more", no_more, "-.001 to +.011"),
        ("16s starts where 32s ended", nearly, ".935 to .982"),
        ("all at once, not in stages", at_once, ".103 to .121"),
        ("at equal rates too", half_is_left, ".70 to .74, not .64 to .66"),
        ("the three parts add up", add_up, "1e-5: float32"),
        ("pool3's score layer is used", pool3_most, ".616 to .640"),
        ("and with stripes", striped_pool3, ".554 to .675"),
        ("and there pool4's", wide_look, ".104 to .399"),
        ("the spread has the same order", by_spread, "pool3: .556 to .76"),
        ("with colours, 4s gains", colours_4s, ".128 to .146"),
        ("with stripes, 4s gains less", 0.01 < less < 0.25, "by .131 to .144"),
        ("pool2 alone: above 8s, then below it", pool2_knows, "+.125 up, -.196 down"),
        ("conv4 serves as well as pool3", as_well, "-.019 to .000"),
        ("a finer grid, untrained", hardly, "+.011 to +.065"),
        ("dilated is below 8s, at more work", dear, ".289 to .352 below"),
        ("with stripes too", dilated_below, ".084 to .376 below"),
        ("VGG16: dilation 3 to 4 times, skips a hundredth", cheap_skips, "counted"),
        ("a on the features = a**2 on the rate", scale_gap < 1e-12, "1e-12: float64"),
        ("skips help most at boundaries", 0.1 < boundary_gain < 0.3, ".176 to .193"),
        ("small things are found less than large ones", smaller, "an order"),
        ("each pixel is answered alone", independent, "exact: a sum over pixels"),
        ("some things get two classes", torn, ".059 to .108"),
        ("a crop in the middle is wrong", 0.1 < crop_loss < 0.35, ".192 to .222"),
    ]
)

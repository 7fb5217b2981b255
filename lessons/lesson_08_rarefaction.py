# %% [markdown]
"""
# Lesson 8: Can the same be had in one pass? Can pooling be removed?

After this lesson you can take the strides out of a network without changing its answers.
You can say what this costs, and so what pooling is good for. You also know what happens
when such a network is trained, and whether it beats upsampling.

You may skip this lesson on the fast path.

Needs: lesson 7 (shift-and-stitch) and lesson 6 (grids). Words: the
[glossary](../docs/glossary.md).

Runtime: 17 s on 2 cores
"""

# %% [markdown]
# ## Holes
#
# Lesson 7 ran the same network 16 times. Why does one run answer at every fourth pixel
# only? Its pools have stride 2. So set these strides to 1. Now the next kernel finds new
# values between those that it used to read: its old inputs are 2 places apart. It must
# leave the new ones out, so its taps are moved apart, with **holes** between them. A
# kernel whose taps are $s$ places apart is *rarefied by s*. The paper says filter for
# kernel, as this lesson does from here on, and calls this **filter rarefaction**. Others
# call it the *à trous* algorithm, as the paper says, or dilated convolution.
#
#     picture                         3 1 4 1 5 9
#     pool of 2, stride 2             3   4   9
#     then the filter 1 -1            3-4 = -1,             4-9 = -5
#
#     pool of 2, stride 1             3 4 4 5 9
#     then the filter 1 0 -1          3-4 = -1, 4-5 = -1,   4-9 = -5
#
# The old answers are every second one of the new answers.

# %% [markdown]
# ## Predict
# 1. A 3x3 filter is rarefied by 4. How many places does it span now, along each axis? How
#    many weights does it have?
# 2. Take the layers convolution, pool, convolution, pool, convolution; both pools have
#    stride 2. All strides become 1. By which factors are the five layers dilated?
# 3. The new network answers at 16 times as many places. Does it cost more or less than the
#    16 passes of lesson 7?
# 4. Keep all weights, and take one thing away from every pool: (a) its stride, or (b) its
#    window, so that it keeps one pixel of each 2x2 window. Which of the two makes the
#    answers worse? What if a network without pools is trained anew?
# 5. Four networks, equal training steps: coarse scores that are upsampled; the same
#    weights, rarefied; a dilated network that is trained as such; coarse scores with skips
#    to finer maps. Which is the best on unseen scenes?

# %%
import numpy as np

from fcn_from_scratch import datasets, models, ops, viz
from fcn_from_scratch.course import check, claims, seed

SEED = seed()
rng = np.random.default_rng([SEED, 8])

# %% [markdown]
# ## By hand
# The row from above.

# %%
row = np.array([3, 1, 4, 1, 5, 9])
pooled, pooled_by_1 = np.maximum(row[:-1:2], row[1::2]), np.maximum(row[:-1], row[1:])
coarse_row = pooled[:-1] - pooled[1:]  # the filter 1 -1
fine_row = pooled_by_1[:-2] - pooled_by_1[2:]  # the filter 1 0 -1
print("coarse", coarse_row, " fine", fine_row)
every_second = np.array_equal(fine_row[::2], coarse_row)
check("the coarse answers are every second fine one", every_second)

# %% [markdown]
# ## The paper's formula
# A layer has stride $s$, and a filter $f$ follows. Set the stride to 1 and use the filter
#
# $$
# f'_{ij} = \begin{cases}
#   f_{i/s,\,j/s} & \text{if } s \text{ divides } i \text{ and } j \\
#   0 & \text{otherwise} \end{cases}
# $$
#
# Readers have asked whether $f'$ has the size of $f$. It has not. Its last tap is at
# $(k - 1) s$, so it spans $(k - 1) s + 1$ places. But it has no more *weights* than before.
# All other places are zeros. Nobody trains them and nobody multiplies by them: a
# convolution with dilation $s$ leaves them out.


# %%
def rarefied(weight, s):
    """f' of the paper, with its zeros written out."""
    f, c, kh, kw = weight.shape
    spread = np.zeros((f, c, (kh - 1) * s + 1, (kw - 1) * s + 1))
    for a, b in np.ndindex(kh, kw):
        spread[:, :, a * s, b * s] = weight[:, :, a, b]
    return spread


weight = rng.integers(1, 5, (2, 3, 3, 3)).astype(float)
values = rng.integers(-9, 10, (1, 3, 20, 23)).astype(float)
by_four = rarefied(weight, 4)
check("3x3, rarefied by 4, spans (3 - 1) * 4 + 1 places", by_four.shape[2:] == (9, 9))
check("and has nine weights, as before", np.count_nonzero(by_four[0, 0]) == 9)
written_out, dilated = ops.conv2d(values, by_four), ops.conv2d(values, weight, dilation=4)
check("zeros written out = dilation", np.array_equal(written_out, dilated))

# %% [markdown] tags=["answer"]
# > **Prediction 1.** It spans 9 places, because its last tap is at (3 - 1) * 4 = 8. It has
# > 9 weights. If you wrote 12 places, you also counted a hole behind the last tap.

# %% [markdown]
# ## The network of lesson 7
# It is trained again in the same way with the same random numbers, so it is the same
# network. Its weights are rounded to multiples of 1/64. So all sums are exact, and "equal"
# means equal to the last bit. (`pools=False` makes a network without pools, for later.)

# %%
from fcn_from_scratch.layers import Conv2d, MaxPool2d, ReLU, Sequential
from fcn_from_scratch.training import SGD, polynomial, warm_up


def learned(classes_by="colour", pools=True, rate=0.1):
    """140 scenes and a network trained as in lesson 7. The last forty scenes are held out.

    Returns: pictures, label maps, network.
    """
    world = datasets.Shapes(count=140, size=64, classes_by=classes_by, seed=SEED)
    pictures = np.stack([(scene.image.transpose(2, 0, 1) - 128.0) / 128 for scene in world])
    labels = np.stack([scene.labels for scene in world])
    rng = np.random.default_rng([SEED, 7])
    layers = []
    for n, (before, after) in enumerate(((3, 8), (8, 16)), start=1):
        kernel = {"kernel_size": 3} if pools else {"kernel_size": 4, "stride": 2}
        layers.append(Conv2d(before, after, **kernel, rng=rng, name=f"conv{n}"))
        layers.append(ReLU(name=f"relu{n}"))
        if pools:
            layers.append(MaxPool2d(2, name=f"pool{n}"))
    layers += [Conv2d(16, 24, 3, rng=rng, name="conv3"), ReLU(name="relu3")]
    net = Sequential(*layers, Conv2d(24, 6, 1, rng=rng, name="score"))
    optimizer = SGD(net, warm_up(polynomial(rate, 200), 20), weight_decay=5e-4)
    for _ in range(200):
        chosen = rng.integers(0, 100, 8)
        net.zero_grad()
        scores = net(pictures[chosen].astype(np.float32))
        _, dscores = ops.softmax_cross_entropy(scores, labels[chosen][:, 8:56:4, 8:56:4])
        net.backward_params(dscores)
        optimizer.step()
    net.eval().astype(np.float64)
    for array in net.params.values():
        array[...] = np.round(array * 64) / 64
    return pictures, labels, net


pictures, labels, net = learned()
NAMES = datasets.Shapes(count=1, classes_by="colour", seed=SEED).classes

# %% [markdown]
# ## The core in ten lines
# Every layer is dilated by the product of the strides that were removed *before* it. This
# is 1 for the first convolution and the first pool, 2 for the second convolution **and the
# second pool**, and 4 for the third convolution. A 1x1 convolution has one tap, so dilation
# changes nothing there.

# %%
from fcn_from_scratch.dense import rarefy, shift_and_stitch

unseen, truth = pictures[100:], labels[100:]
shown = int((truth == 0).sum(axis=(1, 2)).argmin())  # the scene with the most things in it
x = unseen[shown : shown + 1]


def in_one_pass(net, x, conv2=2, pool2=2, conv3=4):
    """The scores at every place, with strides of 1; the other arguments are dilations."""
    w = net.params
    y = ops.relu(ops.conv2d(x, w["conv1.weight"], w["conv1.bias"]))
    y, _ = ops.max_pool2d(y, 2, stride=1)
    y = ops.relu(ops.conv2d(y, w["conv2.weight"], w["conv2.bias"], dilation=conv2))
    y, _ = ops.max_pool2d(y, 2, stride=1, dilation=pool2)
    y = ops.relu(ops.conv2d(y, w["conv3.weight"], w["conv3.bias"], dilation=conv3))
    return ops.conv2d(y, w["score.weight"], w["score.bias"])


dense, stitched = in_one_pass(net, x), shift_and_stitch(net, x)
one_pass = np.array_equal(dense, stitched)
check("one pass = sixteen passes, to the last bit", one_pass)
check("every fourth is the coarse map", np.array_equal(dense[:, :, ::4, ::4], net(x)))

# %% [markdown]
# ## With the package
# `dense.rarefy` goes through the network and does the same. The layers of the new network
# **share** the weights of the old one. They are the same arrays, so when one network
# learns, the other one learns too.

# %%
from fcn_from_scratch.geometry import receptive_field
from fcn_from_scratch.gradcheck import layer_check, spaced
from fcn_from_scratch.layers import ShiftAndStitch

fine_net = rarefy(net)
check("the package = by hand", np.array_equal(fine_net(x), dense))
factors = [layer.dilation[0] for layer in fine_net.layers if hasattr(layer, "dilation")]
check("from conv1 to conv3 the dilations are 1, 1, 2, 2, 4", factors[:5] == [1, 1, 2, 2, 4])
shared = all(fine_net.params[name] is array for name, array in net.params.items())
check("the weights are shared, not copied", shared)
before, after = receptive_field(net), receptive_field(fine_net)
check("the grid is finer: stride 1, not 4", (before.stride, after.stride) == (4, 1))
same_field = before.size == after.size == 18 and before.start == after.start
check("the receptive field is the same: 18 pixels, with the same middle", same_field)

# %% [markdown] tags=["answer"]
# > **Prediction 2.** 1, 1, 2, 2, 4. The first pool's own stride does not change its own
# > window, only the layers behind it. If you wrote 1 for the second pool, read "the
# > forgotten pool" below.

# %% [markdown]
# The new network has a backward, like any other. Here it is compared with finite
# differences on a small network, and, for ours, with the sum over the sixteen passes.

# %%
after_pool = Conv2d(2, 3, (2, 1), rng=rng, dtype=np.float64, name="conv")
small = Sequential(MaxPool2d(2), after_pool)
errors = layer_check(rarefy(small), spaced(rng, (2, 2, 9, 7)), rng)
worst = max(errors.values())
check("its gradients are right", worst < 1e-7, f"{worst:.0e}")

dy = rng.integers(-9, 10, stitched.shape).astype(float)
dxs, dweights = [], []
for machine in (ShiftAndStitch(net, 4).train(), rarefy(net).train()):
    machine(x)
    net.zero_grad()
    dxs.append(machine.backward(dy))
    dweights.append(net.grads["conv1.weight"].copy())
net.eval()
same_gradient = np.array_equal(*dxs) and np.array_equal(*dweights)
check("they equal those of shift-and-stitch, to the last bit", same_gradient)

# %% [markdown]
# ## What it costs
# We count multiply-adds, and the numbers in all maps. The rarefied network runs `conv1` as
# often as the coarse one, `conv2` at 4 times as many places, and `conv3` and the score
# layer at 16 times as many. The sixteen passes run *everything* sixteen times.

# %%
from fcn_from_scratch import geometry


def cost(net, size):
    """(multiply-adds, numbers in all maps) for one picture."""
    table = geometry.table(net, size, dtype=np.float32)
    return table.multiply_adds, table.activation_bytes // 4


once, once_memory = cost(net, 64)
in_one, in_one_memory = cost(fine_net, 64)
in_sixteen = sum(cost(net, (64 - a, 64 - b))[0] for a, b in np.ndindex(4, 4))
print(f"multiply-adds: coarse {once:,}, rarefied {in_one:,}, sixteen passes {in_sixteen:,}")
print(f"numbers in the maps: coarse {once_memory:,}, rarefied {in_one_memory:,}")
more, less, memory = in_one / once, in_one / in_sixteen, in_one_memory / once_memory
check("rarefied costs more than one coarse pass", 5 < more < 12, f"{more:.1f} times")
check("it costs less than the sixteen passes", 0.3 < less < 0.8, f"{less:.2f} of them")
check("its maps take more memory", 2 < memory < 5, f"{memory:.1f} times")

# %% [markdown] tags=["answer"]
# > **Prediction 3.** Less than the sixteen passes, and more than one. The early layers run
# > once, and only the late ones run at many more places. The price is memory: every map has
# > the full size.

# %% [markdown]
# ## Half way
# You need not remove all strides. `rarefy(net, 2)` keeps the first stride and removes the
# second. It gives every second answer, at a part of the price. After this paper, other
# networks took VGG's stride from 32 to 8 in this way.

# %%
half = rarefy(net, 2)
halves = np.array_equal(half(x), dense[:, :, ::2, ::2])
check("stride 2: every second one of the dense answers", halves)
halfway = cost(half, 64)[0]
cheaper = once < halfway < in_one
check("it costs less than going all the way", cheaper, f"{halfway / once:.1f} passes")

# %% [markdown]
# What does it cost for VGG16? Take FCN-32s and a picture of 500x500. Nothing is run; the
# sizes are enough. The network has a quarter of VGG16's width. With an eighth the factors
# are nearly the same, so they do not depend much on the width.


# %%
def cost_of_strides(net, strides=(32, 16, 8, 4, 2, 1)):
    """{output stride: multiply-adds of the rarefied network, original = 1}."""
    costs = {stride: cost(rarefy(net, stride), 500)[0] for stride in strides}
    return {stride: found / costs[32] for stride, found in costs.items()}


vgg = models.build("fcn32s", 21, width=16)
times = cost_of_strides(vgg)
for stride, factor in times.items():
    print(f"  output stride {stride:2}: {factor:6.1f} times the multiply-adds of FCN-32s")
narrow = cost_of_strides(models.build("fcn32s", 21, width=8))
by_width = max(abs(narrow[stride] / times[stride] - 1) for stride in times)
check("half the width changes the factors by less than 2 %", by_width < 0.02)
check("down to stride 8: between 3 and 4 times", 3 < times[8] < 4, f"{times[8]:.2f}")
check("down to stride 1: 100 to 200 times", 100 < times[1] < 200, f"{times[1]:.0f}")

# %% [markdown]
# ## Can pooling be removed?
# A pool has a stride and a window. We take them away one at a time, and first keep the
# weights.
#
# **The stride**: you have just removed it, and every answer stayed the same. So the stride
# does not add anything to the answers. It saves work. It also makes the filters behind it
# see farther with few weights. `fc6` of VGG16 reads 7x7 values of `pool5`. If `pool5` gets
# stride 1, the first and the last of 7 values are 6 * 2 = 12 places apart, so `fc6` without
# holes needs 13x13 weights to see as far. If `pool5` is left out altogether, its window of
# 2 is missing, too, and `fc6` needs 14x14 weights. Here we disagree with the paper: section
# 4.2 says 14x14 for a `pool5` of stride 1. By our count 13x13 is enough for that. It also
# says that such large filters were hard to learn.

# %%
seen_in_pool4 = 2 + (7 - 1) * 2  # by fc6 through pool5: a window of 2, and six steps of 2
holes = rarefy(vgg, 16).children["fc6"]
spans = (holes.kernel_size[0] - 1) * holes.dilation[0] + 1
check("fc6 needs 13x13 taps behind a pool5 of stride 1", spans == 13)
check("and 14x14 without pool5", seen_in_pool4 == 14)
seven = holes.kernel_size == (7, 7) and holes.dilation == (2, 2)
check("rarefied, it has its 7x7 weights, with dilation 2", seven)

# %% [markdown]
# **The window**: let each pool keep the stride, but only the first pixel of each 2x2
# window. The weights stay. An output then sees 15 pixels, from 4i to 4i + 14. Its middle
# moves from 4i + 8.5 to 4i + 7, so we evaluate it there. (At 4i + 8, as before, it would
# lose two to three times as much.) And then a third network: it has no pools at all. A 3x3
# convolution and the 2x2 pool behind it see 4x4 pixels, 2 pixels apart. A **4x4 convolution
# of stride 2** sees the same pixels, so it takes the place of both. This network is trained
# from the beginning, with the same scenes and as many steps. Each of the two has the best
# of the rates 0.02, 0.05, 0.1 and 0.2: it is 0.1 with pools, and 0.05 without. (They were
# tried with other seeds. To repeat it, change both rates and run `fcn lessons 8 --seed
# 100`.)

# %%
from fcn_from_scratch.metrics import ConfusionMatrix

_, _, strided = learned(pools=False, rate=0.05)
first_pixel = (MaxPool2d(1, 2) if isinstance(one, MaxPool2d) else one for one in net.layers)
only_first = Sequential(*first_pixel).eval()
same_pixels = receptive_field(net) == receptive_field(strided)
check("without pools: the same pixels, 18, 4 apart, with the same middles", same_pixels)


def mean_iu_at_cells(net, first=8):
    """The mean IU on the unseen scenes; output i of a row counts for pixel 4i + first."""
    matrix, end = ConfusionMatrix(6), first + 48
    guesses = net(unseen)[:, :, :12, :12].argmax(axis=1)  # windows of 15 pixels give 13x13
    matrix.update(truth[:, first:end:4, first:end:4], guesses)
    return matrix.scores()["mean_iu"]


with_pools, without_pools = map(mean_iu_at_cells, (net, strided))
without_window, misplaced = (mean_iu_at_cells(only_first, first) for first in (7, 8))
work = cost(strided, 64)[0] / cost(net, 64)[0]
weights = [sum(array.size for array in one.params.values()) for one in (strided, net)]
print(f"  convolutions and pools                                {with_pools:.3f}")
print(f"  windows of one pixel, the same weights                {without_window:.3f}")
print(f"  convolutions of stride 2, trained for as many steps   {without_pools:.3f}")
lost, at_old_middle = with_pools - without_window, with_pools - misplaced
worse = 0.03 < lost < 0.2
check("without their windows the trained pools give worse answers", worse, f"-{lost:.3f}")
check("evaluated at the old middle they lose more", 1.4 < at_old_middle / lost < 3.6)
as_good = abs(without_pools - with_pools) < 0.06
check("a network trained without pools is about as good as one with pools", as_good)
check("it computes no values that a pool throws away", 0.3 < work < 0.9, f"work {work:.2f}")
check("but it has a fifth more weights: 4x4 taps, not 3x3", weights == [6086, 5022])

# %% [markdown] tags=["answer"]
# > **Prediction 4.** (a) The stride can go, and no answer changes, if the layers behind it
# > are dilated. (b) Without the windows of its pools a trained network loses .06 to .11 of
# > mean IU on five seeds. Two things have changed, and we do not separate them: its later
# > weights were trained on maxima of 2x2 values, and it sees 15 pixels in place of 18. But
# > if a network is trained without pools from the beginning, it reaches about as much: the
# > one with pools is ahead by .00 to .02 on five seeds. So in this small network, with a
# > fifth more weights and colours as classes, pooling can be removed if you train anew.
# > Springenberg et al. (2015) found the same for classifiers of photographs.

# %% [markdown]
# ## Dilation or upsampling?
# There are four ways to a fine map here.
#
# - *Upsampling*: coarse scores, and straight lines between them, as in FCN-32s.
# - *Rarefied*: the same weights, asked four times as often along each axis. Nothing is
#   trained.
# - *Dilated*: a network without the last two strides that is trained as such. It has the
#   same number of weights.
# - *Skips*: two finer maps get score layers of their own, and their scores are added to
#   the upsampled ones. (Lesson 6 explains the word skip, lesson 12 the network.)
#
# We train small networks: five convolutions with four pools between them, so the output
# stride is 16. They learn from scenes of 48x48 pixels, and they are tested on scenes that
# none of them has seen. Such a scene has only 3x3 coarse scores, so upsampling is easy to
# beat here. (`FCN`, `Trunk`, `fit` and `evaluate` build, train and score such networks.
# Lessons 11 and 12 explain them; here it is enough to know that.)


# %%
from fcn_from_scratch.models.fcn import FCN
from fcn_from_scratch.models.trunk import Trunk
from fcn_from_scratch.training import evaluate, fit


def network(kind):
    """Five convolutions with four pools between them, a score layer, and upsampling.

    kind  "pools"    all pools have stride 2
          "dilated"  pool3 and pool4 have stride 1, and the layers behind are dilated
          "skips"    as "pools", with score layers on pool3 and pool2, too
    """
    rng = np.random.default_rng([SEED, 80])
    layers, before, dilation = [], 3, 1
    for n, channels in enumerate((12, 16, 24, 32, 40), start=1):
        # With padding 1, value 0 of the scores would lie at 7.5. With 7 it lies at 1.5, in
        # the middle of 4x4 pixels.
        padding = 7 if kind == "dilated" and n == 1 else dilation
        options = {"padding": padding, "dilation": dilation, "rng": rng, "name": f"conv{n}"}
        layers += [Conv2d(before, channels, 3, **options), ReLU(name=f"relu{n}")]
        if n < 5:
            step = 1 if kind == "dilated" and n > 2 else 2
            options = {"dilation": dilation, "ceil_mode": True, "name": f"pool{n}"}
            layers.append(MaxPool2d(2, step, **options))
            dilation *= 2 // step
        before = channels
    taps = ("pool3", "pool2") if kind == "skips" else ()
    net = FCN(Trunk(*layers, taps=taps), 6, taps)
    net.transform = models.MINI_TRANSFORM
    return net


scenes = {"size": 48, "classes_by": "colour", "seed": SEED}
train = datasets.InMemory(datasets.Shapes(count=150, split="train", **scenes))
held_out = datasets.InMemory(datasets.Shapes(count=40, split="val", **scenes))
fields = {kind: tuple(receptive_field(network(kind))) for kind in ("pools", "dilated")}
check("with pools: 16 pixels apart, from 7.5 on", fields["pools"] == (78, 16, 7.5))
check("dilated: 4 apart, from 1.5 on, as many pixels", fields["dilated"] == (78, 4, 1.5))

# %% [markdown]
# Every network gets the same scenes in the same order, for 400 steps of four scenes, and
# the same rate, 0.05. (Of 0.02, 0.05, 0.1 and 0.2 it is the best for upsampling on the
# average of the seeds 100 and 101. With 0.1, the dilated network reaches .01 more and the
# skips .02 more. To repeat it, change `lr` and run with these seeds.)
#
# `Rarefied` runs `rarefy(net, 4)`, and draws straight lines between the scores.

# %%
trained, iu = {}, {}
for kind in ("pools", "dilated", "skips"):
    trained[kind] = network(kind)
    fit(trained[kind], train, steps=400, lr=0.05, batch_size=4, seed=SEED, progress=False)
    iu[kind] = evaluate(trained[kind].eval(), held_out).scores()["mean_iu"]

# %%
from fcn_from_scratch.lab.compare import Rarefied

trained["rarefied"] = Rarefied(trained["pools"], 4)  # scores every 4 pixels, not every 16


def guess(way, image):
    """The label map of one way, (H, W)."""
    return trained[way](models.MINI_TRANSFORM(image)[None])[0].argmax(axis=0)


matrix = ConfusionMatrix(6)
for image, wanted, _ in held_out:
    matrix.update(wanted, guess("rarefied", image))
iu["rarefied"] = matrix.scores()["mean_iu"]
WAYS = {"pools": "upsampling", "rarefied": "rarefied"}
WAYS |= {"dilated": "dilated, trained", "skips": "skips"}
base = cost(trained["pools"], 48)[0]
price = {way: cost(trained[way], 48)[0] / base for way in ("pools", "dilated", "skips")}
price["rarefied"] = trained["rarefied"].multiply_adds((48, 48)) / base
print("                    mean IU   multiply-adds")
for way, title in WAYS.items():
    print(f"  {title:17} {iu[way]:7.3f} {price[way]:9.1f} times")

# %%
gains = {way: iu[way] - iu["pools"] for way in WAYS}
barely = 0 < gains["rarefied"] < 0.07
check("rarefied, without training, is a little better than upsampling", barely)
pays = 0.1 < gains["dilated"] < 0.3
check("dilated and trained is much better", pays, f"{gains['dilated']:+.3f}")
best = 0.13 < iu["skips"] - iu["dilated"] < 0.3
check("skips are the best", best)
check("skips cost 1 % more than upsampling", 1.005 < price["skips"] < 1.015)
check("dilated costs 2.5 times as much", 2.45 < price["dilated"] < 2.55)
check("rarefied costs 1.5 times as much", 1.5 < price["rarefied"] < 1.6)

# %% [markdown]
# Every layer here pads with zeros, and a scene is smaller than a field of 78 pixels. So all
# outputs see zeros. Is this why rarefying gains so little? We put the mirror image of each
# scene around it, and evaluate the same pixels again.


# %%
def mirrored(way, around=64):
    """The mean IU on the held-out scenes, with 64 pixels of mirror image on each side."""
    matrix = ConfusionMatrix(6)
    for image, wanted, _ in held_out:
        frame = (around, around), (around, around), (0, 0)
        labels_found = guess(way, np.pad(image, frame, mode="symmetric"))
        matrix.update(wanted, labels_found[around:-around, around:-around])
    return matrix.scores()["mean_iu"]


better, worse_up = (mirrored(way) - iu[way] for way in ("rarefied", "pools"))
print(f"  with mirror images: rarefied {better:+.3f}, upsampling {worse_up:+.3f}")
no_zeros = -0.02 < better < 0.06 and -0.14 < worse_up < 0.03
check("rarefied gains little by it, upsampling does not gain", no_zeros)

# %% [markdown] tags=["answer"]
# > **Prediction 5.** The skips are the best, and then comes the dilated network. On five
# > seeds the mean IU is .40 to .47 with upsampling. Rarefied, it is .02 to .04 more.
# > Dilated and trained, it is .61 to .65. With skips, it is .85 to .86. If you expected the
# > rarefied network to be far better than upsampling: it was trained to answer every 16
# > pixels, and each answer still depends on 78x78 pixels.

# %% [markdown]
# The zeros do not explain it: without them rarefied reaches .00 to .03 more on five seeds,
# and is still far below the dilated network. (Upsampling reaches .00 to .09 less with
# mirror images, since no network here was trained with them.)
#
# So what is better when?
#
# - *Upsampling* costs nearly nothing. Take it if coarse answers are enough.
# - *Rarefying* gains .02 to .04, here and in lesson 7. It needs no training. But measure
#   it: on the photographs of CamVid it loses .02 ([the comparison](../docs/compare.md)).
#   The paper made the same map by shift-and-stitch, and found skips better for their cost
#   (section 4.2).
# - *Dilation with training* gains .17 to .23 here, for 2.5 times the work. A likely reason
#   is that the layers learn to use the finer map.
# - *Skips* gain the most, for hardly any work. Their maps show more precisely where a thing
#   is. In this world they also show *what* it is, because the colour tells the class. **A
#   skip helps where its own map can tell the classes apart.**
#
# Dilation does not need such a map. Does it win where shallow maps see too little? Lesson
# 12 has a world in which the class is the distance between stripes. A value of `pool2` sees
# too few pixels for this, and a skip from there gains -.00 to .02. But a dilated network
# that is trained there stays below FCN-8s, by .08 to .38 on five seeds: `pool3` and `pool4`
# together see just enough. On photographs the two are closer: [on
# CamVid](../docs/compare.md), dilation gains about half of what skips do. And Yu and Koltun
# ([arXiv 1511.07122](https://arxiv.org/abs/1511.07122)) took the last two pools out of
# VGG16, dilated the layers behind, and report that this network is more accurate on PASCAL
# VOC than FCN-8s. So prefer skips where a shallow map can tell the classes, or where work
# counts. Try dilation where no shallow map can, and where you can pay for it.

# %% [markdown]
# ## What could fool you
# **The forgotten pool.** Code for dilated networks often dilates the convolutions and
# leaves the pools as they are. A pool has no weights, so it seems to need no holes. But
# `pool2` takes the maximum of two *neighbours of the old grid*, and these are 2 places
# apart now. Nothing complains. The map is one row larger, and it looks right.


# %%
def mean_iu(scores, truth, first=8):
    """The mean IU of scores at every place; place 0 counts for pixel `first`."""
    matrix, end = ConfusionMatrix(6), first + scores.shape[2]
    matrix.update(truth[:, first:end, first:end], scores.argmax(axis=1))
    return matrix.scores()["mean_iu"]


everywhere, forgotten = in_one_pass(net, unseen), in_one_pass(net, unseen, pool2=1)
rows_down = everywhere.shape[2], forgotten.shape[2]
check("right: 47x47 places; without holes in pool2: 48x48", rows_down == (47, 48))
forgotten = forgotten[:, :, :47, :47]
differing = (forgotten != everywhere).any(axis=1).mean()
right, wrong = mean_iu(everywhere, truth), mean_iu(forgotten, truth)
check("the forgotten pool changes nearly every answer", differing > 0.9, f"{differing:.1%}")
unnoticed, measured = abs(right - wrong) < 0.05, f"{right:.3f} -> {wrong:.3f}"
check("but it costs so little that the mean IU does not show it", unnoticed, measured)

# %% [markdown]
# So compare the *numbers* with those of shift-and-stitch when you make a network dense. A
# look at the map, or at its mean IU, is not enough.
#
# **No dilation at all.** Setting the strides to 1 and nothing else also gives a fine map.
# But it is another network. Its filters were trained on values that are 2 and 4 pixels
# apart, and now they read values that are 1 pixel apart. An output sees 9 pixels, not 18.
# Is this bad? We try it in two worlds: one in which the colour of a thing tells its class,
# and one in which its outline does.

# %%
undilated = in_one_pass(net, unseen, 1, 1, 1)
check("without dilation an output sees 64 - 56 + 1 = 9 pixels", undilated.shape[2] == 56)
other_pictures, other_labels, other_net = learned("shape")
outlines, wanted = other_pictures[100:], other_labels[100:]
by_colour = mean_iu(undilated, truth, first=4) - right
with_holes = mean_iu(in_one_pass(other_net, outlines), wanted)
without = mean_iu(in_one_pass(other_net, outlines, 1, 1, 1), wanted, first=4)
by_outline = without - with_holes
loses, wins = -0.15 < by_outline < -0.01, 0.015 < by_colour < 0.15
check("where the outline tells the class, it costs mean IU", loses, f"{by_outline:+.3f}")
check("(there the network is weak anyway)", 0.15 < with_holes < 0.45, f"{with_holes:.3f}")
check("where the colour tells it, it even gains", wins, f"{by_colour:+.3f}")

# %% [markdown]
# It is not the same network, so nothing about its mean IU is certain. A likely reason for
# the difference: to see colours, 9 pixels are enough, and a smaller window finds edges more
# precisely. To see outlines, the network needs the 18 pixels that it was trained for. Do
# not call a network rarefied because its mean IU went up.

# %% [markdown]
# **A network with padding.** With padding, stitched and rarefied maps agree inside and
# differ at the border. Each pass of shift-and-stitch puts its zeros around its own moved
# picture, and the rarefied network puts them around the whole one. With three paddings of 1
# at strides 1, 2 and 4, the first window begins 1 + 2 + 4 = 7 pixels before the picture. So
# only the first 7 rows and columns can differ. (At the far end it is 8, because a pool can
# also leave out a last row that has no partner.)

# %%
border = {"padding": 1, "dtype": np.float64}
layers = [Conv2d(2, 3, 3, **border), MaxPool2d(2)]
layers += [Conv2d(3, 4, 3, **border), MaxPool2d(2), Conv2d(4, 2, 3, **border)]
padded = Sequential(*layers).eval()
for array in padded.params.values():
    array[...] = rng.integers(-3, 4, array.shape)
pixels = rng.integers(0, 256, (1, 2, 64, 64)).astype(float)
moved = shift_and_stitch(padded, pixels, form="shift")
differ = (moved != rarefy(padded)(pixels)).any(axis=(0, 1))
check("with padding they differ at the border", differ[:7].any())
check("and nowhere else", not differ[7:-8, 7:-8].any())

# %% [markdown]
# ## The drawings

# %%
from matplotlib.colors import to_rgb

BLUE, ORANGE = viz.COLOURS[:2]


def draw_chain(ax, stride, pools, answers):
    """Picture, pool and answers as rows of boxes, and which values each answer reads."""
    old = 2 // stride  # every such value was there before
    chain = (row, 1, 0), (pools, stride, 0.5), (answers, stride, 1.5)
    for y, (numbers, step, shift) in enumerate(chain):
        for n, value in enumerate(numbers):
            new = y > 0 and n % old
            face, edge = ("white", ORANGE) if new else ("#dfe8f1", BLUE)
            box = {"boxstyle": "round", "fc": face, "ec": edge}
            ax.text(n * step + shift, -y, value, ha="center", va="center", bbox=box)
    for n in range(len(answers)):
        for tap in (0, old):
            ends = [n * stride + 1.5, (n + tap) * stride + 0.5]
            ax.plot(ends, [-1.75, -1.25], color="#aaaaaa" if n % old else "#333333")
    for y, text in enumerate(("picture", "pool", "answers")):
        ax.text(-0.6, -y, text, ha="right", va="center")
    ax.set(xlim=(-2.6, 5.6), ylim=(-2.4, 0.4))


def draw_holes():
    """The worked example: which values the filter reads, with stride 2 and with 1."""
    titles = ["pool of 2, stride 2; filter 1 -1", "pool of 2, stride 1; filter 1 0 -1"]
    caption = "With stride 1 the pool gives more values.\n"
    caption += "The old answers (blue) still read the old values only"
    figure, axes = viz.new_figure(caption, 1, 2, 7.4, 3, titles)
    draw_chain(axes[0], 2, pooled, coarse_row)
    draw_chain(axes[1], 1, pooled_by_1, fine_row)
    viz.bare(axes)
    return figure


def draw_filters():
    """The windows of the rarefied network's layers, all at one scale."""
    caption = "Taps where they always were, holes for the new values between them"
    figure, ax = viz.new_figure(caption, width=7.4, height=3.7)
    left = 0
    layers = ("conv1", 3, 1), ("conv2", 3, 2), ("pool2", 2, 2), ("conv3", 3, 4)
    for name, taps, factor in layers:
        span = (taps - 1) * factor + 1
        picture = np.ones((span, span, 3))
        picture[::factor, ::factor] = to_rgb(ORANGE if name == "pool2" else BLUE)
        ax.imshow(picture, extent=(left, left + span, 0, span))
        ax.vlines(left + np.arange(span + 1), 0, span, color="#999999", linewidth=0.8)
        ax.hlines(np.arange(span + 1), left, left + span, color="#999999", linewidth=0.8)
        text = f"{name}, dilated by {factor}\n{taps}x{taps} taps\n{span}x{span} places"
        ax.text(left + span / 2, -0.3, text, ha="center", va="top")
        left += span + 3
    ax.set(xlim=(-1.5, left - 2), ylim=(-2.6, 9.2), aspect="equal")
    viz.bare(ax)
    return figure


def draw_difference():
    """One class's scores by sixteen passes and by one, and two differences."""
    c = 1 + int(stitched[0, 1:].max(axis=(1, 2)).argmax())
    ours, passes = dense[0, c], stitched[0, c]
    differences = ours - passes, (forgotten - everywhere)[shown, c]
    titles = ["picture", f"16 passes: scores of {NAMES[c]}", "1 pass, rarefied"]
    titles += ["", "difference of the two", "if pool2 is not dilated"]
    caption = "One pass gives the numbers of sixteen, unless a pool was forgotten"
    figure, axes = viz.new_figure(caption, 2, 3, 7.4, 5.9, titles)
    axes[0, 0].imshow((x[0].transpose(1, 2, 0)[8:55, 8:55] + 1) / 2)
    axes[1, 0].set_visible(False)
    for ax, values in zip(axes[0, 1:], (passes, ours)):
        ax.imshow(values, cmap="gray", vmin=passes.min(), vmax=passes.max())
    limit = np.abs(differences[1]).max()
    for ax, values in zip(axes[1, 1:], differences):
        ax.imshow(values, cmap="RdBu_r", vmin=-limit, vmax=limit)
        ax.set_xlabel(f"at most {np.abs(values).max():.2g}")
        viz.frame(ax, 0, 0, *values.shape, "#cccccc", 1)
    viz.bare(axes)
    return figure


def draw_cost():
    """The price of a small stride for VGG16, and price and mean IU of the four ways."""
    caption = "What a finer map costs, and what it brings"
    titles = ["VGG16 on 500x500 pixels, rarefied", "small networks, equal training steps"]
    figure, (left, right) = viz.new_figure(caption, 1, 2, 7.4, 3.6, titles)
    strides = list(times)
    left.plot(strides, list(times.values()), "o-")
    left.set(xscale="log", yscale="log", xlabel="output stride", ylim=(0.7, 500))
    left.set_ylabel("multiply-adds, FCN-32s = 1")
    left.set_xticks(strides, strides)
    left.set_xticks([], minor=True)
    left.invert_xaxis()
    at = {"textcoords": "offset points"}
    for stride, factor in times.items():
        left.annotate(f"{factor:.3g}", (stride, factor), (-5, 6), ha="right", **at)
    for colour, (way, title) in zip(viz.COLOURS, WAYS.items()):
        place, below = (price[way], iu[way]), -14 if way == "pools" else 2
        right.plot(*place, "o", color=colour, markersize=9)
        right.annotate(f"{title}, {iu[way]:.2f}", place, (8, below), **at)
    right.set(xlim=(0.8, 4.6), ylim=(0, 1), xlabel="multiply-adds, upsampling = 1")
    right.set_ylabel("mean IU on unseen scenes")
    return figure


def draw_ways():
    """Three unseen scenes and the labels of the four ways."""
    full = sorted(held_out, key=lambda scene: (scene.labels == 0).sum())  # much in it first
    rows = [
        [one.image, one.labels, *(guess(way, one.image) for way in WAYS)]
        for one in full[:3]
    ]
    titles = ["picture", "truth\n(void pale)"]
    titles += [f"{name.split(',')[0]}\nmean IU {iu[way]:.2f}" for way, name in WAYS.items()]
    caption = "Equal training steps, unseen scenes"
    options = {"classes": held_out.classes, "palette": held_out.palette, "size": 1.22}
    return viz.panels(rows, titles, caption, **options)


# %% [markdown]
# Look at the boxes with an orange border: these values and answers are new. A new answer
# reads new values, and an old one reads the old values.

# %%
viz.show(draw_holes(), "08_holes")

# %% [markdown]
# Look at the filled squares: there are 9 or 4 of them in every window, as before. Only
# these are multiplied or compared.

# %%
viz.show(draw_filters(), "08_filters")

# %% [markdown]
# This is the scene of lesson 7. Look at the lower row: the left map is empty, and the right
# one is not.

# %%
viz.show(draw_difference(), "08_difference")

# %% [markdown]
# On the left, look at the last two steps: they are the expensive ones. On the right, up is
# better and left is cheaper.

# %%
viz.show(draw_cost(), "08_cost")

# %% [markdown]
# Look at thin things and at edges, from left to right.

# %%
viz.show(draw_ways(), "08_ways")

# %% [markdown]
# ## Exercises
# 1. *Trace*: given the strides of a chain of layers, set all but the first few to 1, and
#    compute the dilation that each layer then needs.
# 2. *Change*: write a max-pool of stride 1 whose taps are `dilation` values apart, as a
#    rarefied network needs it.
# 3. *Prove*: write a pool of stride 1 with the filter f' behind it. Prove that it gives the
#    interlaced answers of the s passes with a pool of stride s and the filter f.
#
# `fcn exercise 8` writes a file for each of them, `fcn exercise 8 --check FILE` checks your
# answer, `fcn exercise 8 --solution` shows ours.

# %% [markdown]
# ## Claims

# %%
claims(
    [
        ("one pass = sixteen passes", one_pass, "exact: multiples of one unit"),
        ("dense.rarefy = by hand", np.array_equal(fine_net(x), dense), "exact"),
        ("the weights are shared", shared, "exact: the same arrays"),
        ("f' spans (k - 1) * s + 1 places", by_four.shape[2:] == (9, 9), "exact"),
        ("zeros = dilation", np.array_equal(written_out, dilated), "exact: whole numbers"),
        ("the same receptive field on a finer grid", same_field, "exact: fractions"),
        ("gradient = that of 16 passes", same_gradient and worst < 1e-7, "exact; steps"),
        ("a forgotten pool changes nearly all", differing > 0.9, "counted"),
        ("strides alone: worse for outlines", loses, "-.03 to -.07 on five seeds"),
        ("strides alone: better for colours", wins, "+.04 to +.05 on five seeds"),
        ("one pass costs .3 to .8 of sixteen", 0.3 < less < 0.8, "counted"),
        ("VGG16 at stride 1 costs 100 to 200 times", 100 < times[1] < 200, "counted"),
        ("a trained pool needs its window", worse, ".03 to .2: .06 to .11 on five seeds"),
        ("trained without pools: as good", as_good, ".06: .00 to .02 on five seeds"),
        ("rarefied, not trained: hardly better", barely, ".02 to .04 on five seeds"),
        ("mirrors help rarefied little", no_zeros, ".00 to .03, -.09 to .00, five seeds"),
        ("dilated and trained: better", pays, ".1 to .3: .17 to .23 on five seeds"),
        ("skips: the best", best, ".13 to .3: .20 to .25 on five seeds"),
    ]
)

"""Lesson 11, answers to the exercises: how does a classifier become a segmenter?"""

# %%
import numpy as np

from fcn_from_scratch import models, ops
from fcn_from_scratch.course import check
from fcn_from_scratch.training import SGD

# %% [markdown]
# The lesson's network, thinner. Nothing is trained here, so random pictures and labels will do. The
# numbers are float64, so that rounding is not mistaken for a result.

# %%
CLASSES = 6
rng = np.random.default_rng(11)


def network(score_weight=None):
    """FCN-32s with a random trunk, the same at each call; its score layer at zero or as given."""
    net = models.build("mini_fcn32s", CLASSES, width=4, fc6_kernel=2, dtype=np.float64, seed=0)
    if score_weight is not None:
        net.params["score_fr.weight"][...] = score_weight
    return net


def batch(pictures, void_rows):
    """Random pictures of 64x64, labelled at random in blocks of 16, and void in the first rows."""
    x, y = rng.normal(size=(pictures, 3, 64, 64)), rng.integers(0, CLASSES, (pictures, 4, 4))
    y = y.repeat(16, axis=1).repeat(16, axis=2)
    y[:, :void_rows] = 255
    return x, y


def gap(a, b):
    """The largest difference between two arrays, relative to the largest number in the second."""
    return float(abs(a - b).max() / abs(b).max())


# %% [markdown]
# ## 1. Trace
# A 3x3 convolution with a padding of 1 keeps the size, a pool halves it.
#
#     picture         64
#     conv1_1  64     pool1  32
#     conv2_1  32     pool2  16
#     conv3_1  16     pool3   8
#     conv4_1   8     pool4   4
#     conv5_1   4     pool5   2
#     fc6             2 + 2*1 - 2 + 1 = 3       a kernel of 2, a padding of 1
#     fc7, score_fr   3                         1x1 convolutions
#     upscore         32 * (3 - 1) + 64 = 128   a kernel of 64, a stride of 32
#     crop            64
#
# Where the classifier had one `fc6` there are three in a row. The middle one sees what the classifier
# saw; the padding adds one at either edge. Where does the crop begin? The first cell of `pool5`
# stands at 15.5, the middle of its 32 pixels. The first `fc6` reads it together with a cell of
# padding at -16.5, and so stands halfway, at -0.5. The upsampling kernel of 64 reaches 31.5 further
# to the left. So the upsampled map begins at -32, and pixel 0 is its number **32**. Cut off: 32 in
# front, 32 behind.

# %%
net = network()
y, sizes = np.zeros((1, 3, 64, 64)), {}
for layer in [*net.trunk.layers, net.score_fr, net.upscore]:
    y = layer(y)
    sizes[layer.name] = y.shape[2:]
on_paper = {"conv1_1": 64, "pool1": 32, "conv2_1": 32, "pool2": 16, "conv3_1": 16, "pool3": 8, "conv4_1": 8}
on_paper |= {"pool4": 4, "conv5_1": 4, "pool5": 2, "fc6": 3, "fc7": 3, "score_fr": 3, "upscore": 128}
check("every map has the size on paper", all(sizes[name] == (side, side) for name, side in on_paper.items()))
check("the crop begins at 32", net.crop.offset == (32, 32))
check("and ends at the picture's size", net.crop(y, size=(64, 64)).shape == (1, CLASSES, 64, 64))

# %% [markdown]
# ## 2. Change
# **The loss.** It is no longer exactly ln C. One pixel's loss is
#
#     log(sum over c of exp(s[c])) - s[label]
#
# The logarithm lies between `min s + ln C` and `max s + ln C`, and `s[label]` between `min s` and
# `max s`. So the loss is never further from ln C than the spread `max s - min s`. Small weights give
# a loss *near* ln C, on either side. Turn all signs, and a pixel that was lucky is unlucky; what is
# left on average is half the variance of the scores between the classes. A guess without knowledge
# costs more than no guess.
#
# **The gradient.** The trunk is handed `weight.T @ d`, where `d` is `dscores` gathered into cells by
# the upsampling's backward. While the scores are small, each pixel's `dscores` is 1/C at all classes,
# less 1 at the right one, over the number of pixels, whatever the weights. So the trunk's first
# gradient is no longer zero, and it grows in proportion to the weights.


# %%
def first_step(score_weight):
    """The first loss, the scores, and the trunk's gradient as one vector."""
    net = network(score_weight)
    scores = net(x)
    loss, dscores = ops.softmax_cross_entropy(scores, labels)
    net.backward(dscores)
    return loss, scores, np.concatenate([net.grads[name].ravel() for name in net.trunk.params])


x, labels = batch(2, void_rows=3)
shape = network().params["score_fr.weight"].shape
loss, scores, gradient = first_step(np.zeros(shape))
check("from zeros: ln 6, and a trunk gradient of exactly 0", abs(loss - np.log(6)) < 1e-12 and not gradient.any())

small = rng.normal(0, 1e-4, shape)
loss, scores, gradient = first_step(small)
off = loss - np.log(6)
spread = (scores.max(axis=1) - scores.min(axis=1)).max()
check("from small weights: not ln 6, but within the spread", 0 < abs(off) <= spread, f"off by {off:.4f}")
check("and the trunk has a gradient at once", gradient.any())

turned = first_step(-small)[0]
half_variance = scores.var(axis=1)[labels != 255].mean() / 2
excess = (loss + turned) / 2 - np.log(6)
check("the mean over both signs lies above ln 6", excess > 0, f"by {excess:.1e}")
check("by half the variance of the scores", abs(excess / half_variance - 1) < 0.01)

tenth = first_step(small / 10)[2]
check("a tenth of the weights, a tenth of the gradient (nearly)", gap(10 * tenth, gradient) < 0.1)

# %% [markdown]
# What is gained? One step of the trunk, towards scores that mean nothing yet. What is lost? A number
# that is known before the run. Zeros it is, then.
#
# But are zeros not forbidden? In a hidden layer they are: behind ReLU nothing would come back, and
# rows that start equal get equal gradients and stay equal. In the *last* layer each row answers to a
# class of its own. The labels tell them apart at the first step.

# %%
net = network()
net.backward(ops.softmax_cross_entropy(net(x), labels)[1])
SGD(net, 0.02).step()
rows = net.params["score_fr.weight"].reshape(CLASSES, -1)
check("after one step no two rows are equal", len(np.unique(rows, axis=0)) == CLASSES)

# %% [markdown]
# ## 3. Prove
# Let `l[p]` be the loss of pixel p, and n the number of pixels that count. For any one weight w
#
#     d(sum)/dw   =         sum over p of  dl[p]/dw
#     d(mean)/dw  = (1/n) * sum over p of  dl[p]/dw
#
# since n depends on the labels alone, and not on w. So the first is n times the second, for every
# weight of every layer: a backward is linear in what it is handed. If nothing counts both are zero.


# %%
weight = rng.normal(0, 0.1, shape)


def backward(reduction, x, labels):
    """A network with the gradients of the batch."""
    net = network(weight)
    net.backward(ops.softmax_cross_entropy(net(x), labels, reduction=reduction)[1])
    return net


for pictures, void_rows in ((1, 0), (2, 3), (3, 40)):
    x, labels = batch(pictures, void_rows)
    n = pictures * (64 - void_rows) * 64
    of_mean, of_sum = (backward(reduction, x, labels).grads for reduction in ("mean", "sum"))
    worst = max(gap(of_sum[name], n * of_mean[name]) for name in of_mean)
    check(f"the sum's gradient is {n} times the mean's, in every layer", worst < 1e-10, f"{worst:.0e}")
nothing = backward("sum", x, np.full_like(labels, 255)).grads.values()
check("if nothing counts, it is zero", not any(gradient.any() for gradient in nothing))

# %% [markdown]
# **Weight decay** adds `decay * w` to the gradient, and that does not grow with the loss. With the
# rates `lr` and `lr / n` the two steps are
#
#     mean   lr     * (     g + decay * w)  =  lr * (g + decay * w)
#     sum    lr / n * (n * g  + decay * w)  =  lr * (g + decay * w / n)
#
# Of the decay, the sum keeps one n-th. The steps differ by `lr * decay * w * (1 - 1/n)`, and are equal
# again if the sum is given the decay `n * decay`. Biases are not decayed, so theirs never differ.


# %%
def step(reduction, lr, decay):
    """What the first step takes off each parameter: the velocity."""
    optimizer = SGD(backward(reduction, x, labels), lr, weight_decay=decay)
    optimizer.step()
    return optimizer.velocity


lr, decay, w = 0.02, 0.05, network(weight).params
mean, plain, repaired = step("mean", lr, decay), step("sum", lr / n, decay), step("sum", lr / n, n * decay)
weights = [name for name in w if name.endswith("weight")]
biases = [name for name in w if name.endswith("bias")]
without = step("mean", lr, 0), step("sum", lr / n, 0)
check("without decay the steps are equal", max(gap(without[1][name], without[0][name]) for name in w) < 1e-10)
differ = min(gap(plain[name], mean[name]) for name in weights)
check("with the same decay those of all weights differ", differ > 1e-3, f"by {differ:.1%} or more")
expected = {name: lr * decay * w[name] * (1 - 1 / n) for name in weights}
check("by just this much", max(gap(mean[name] - plain[name], expected[name]) for name in weights) < 1e-10)
check("those of the biases do not", max(gap(plain[name], mean[name]) for name in biases) < 1e-10)
check("n times the decay makes them equal", max(gap(repaired[name], mean[name]) for name in w) < 1e-10)

# %% [markdown]
# Two things to take home.
#
# **n belongs to the batch.** The rate `lr / n` was right for this one. At a fixed rate the sum takes
# larger steps on larger pictures, and on pictures with less void. The mean does not.
#
# **The paper's decay hardly decays.** Its public code trains FCN-32s 100,000 steps on the sum, with
# the rate 1e-10, a decay of 5e-4 and a momentum of 0.99, which makes each pull on a weight count
# 1 / (1 - 0.99) = 100 times. Together: 1e-10 * 5e-4 * 100 * 100,000 = 5e-7. Half a millionth is all
# that decay takes off a weight. On the mean over 500x375 pixels the same 5e-4 would take off
# 5e-7 * 187,500, nine percent.


# %%
def decayed(lr, decay=5e-4, momentum=0.99, steps=100_000):
    """What is left of a weight of 1 when nothing but decay moves it."""
    w, velocity = 1.0, 0.0
    for _ in range(steps):
        velocity = momentum * velocity + lr * decay * w
        w -= velocity
    return w


on_sum, on_mean = 1 - decayed(1e-10), 1 - decayed(1e-10 * 500 * 375)
check("the public rates: decay takes off half a millionth", abs(on_sum / 5e-7 - 1) < 0.01, f"{on_sum:.1e}")
check("on the mean it would be nine percent", 0.085 < on_mean < 0.095, f"{on_mean:.1%}")

"""Lesson 12, answers to the exercises: how are the score layers fused?"""

# %%
import numpy as np

from fcn_from_scratch import models
from fcn_from_scratch.course import check
from fcn_from_scratch.gradcheck import layer_check

# %% [markdown]
# The lesson's FCN-8s, thinner, in float64. As built, its score layers are zero, and a zero hides
# mistakes (exercise 2 shows it). So all of them get random weights, and every layer a random bias.

# %%
HEADS = ("score_fr", "score_pool4", "score_pool3")


def network(name="mini_fcn8s", **options):
    """An FCN with three classes, none of its parameters zero, the same at each call."""
    options = {"width": 4, "fc6_kernel": 2, **options}
    net, rng = models.build(name, 3, dtype=np.float64, seed=1, **options), np.random.default_rng(12)
    for key, array in net.params.items():
        if key.startswith("score"):
            array[...] = rng.normal(size=array.shape)
        elif key.endswith("bias"):
            array[...] = rng.uniform(0.1, 0.5, size=array.shape)
    return net


def gap(a, b):
    """The largest difference between two arrays, relative to the largest number in the second."""
    return float(abs(a - b).max() / abs(b).max())


# %% [markdown]
# ## 1. Trace
# Pools round up, `fc6` has a kernel of 2 and a padding of 1, an upsampling with stride s and kernel
# 2s makes n cells s*n + s. A cell of pool3 (4, 5) covers 8 (16, 32) pixels and stands in their
# middle. An upsampled map begins (k - 1)/2 of its own cells before the first cell it was made of.
#
#                     size             stride   stands at
#     pool3           7 = ceil(50/8)      8     3.5
#     pool4           4 = ceil(7/2)      16     7.5
#     pool5           2                  32     15.5
#     fc6, score_fr   2 + 2 - 2 + 1 = 3  32     (15.5 - 16.5) / 2 = -0.5
#     upscore2        2*3 + 2 = 8        16     -0.5 - 1.5*16 = -24.5
#     crop            4                  16     7.5, two cells later:    offset 2
#     upscore_pool4   2*4 + 2 = 10        8     7.5 - 1.5*8 = -4.5
#     crop            7                   8     3.5, one cell later:     offset 1
#     upscore8        8*7 + 8 = 64        1     3.5 - 7.5 = -4
#     crop            50                  1     0, four pixels later:    offset 4
#
# At the two fusions it is the coarse map that starts too early and is cropped. The package writes
# such an offset with a minus: in the paper's networks, with their padding of 100, it is the skip
# that starts early, and the offsets are +5 and +9. And see the last crop: 64 - 50 = 14 are cut off,
# 4 in front and 10 behind. The middle would be 7.

# %%
net = network()
x, sizes = np.zeros((1, 3, 50, 50)), {}
y = x
for layer in net.trunk.layers:
    y = layer(y)
    sizes[layer.name] = y.shape[2]
top, maps = net.trunk(x)
scores = net.score_fr(top)
sizes["score_fr"] = scores.shape[2]
for pool, upscore, fuse in net.skips:
    scores = upscore(scores)
    sizes[upscore.name] = scores.shape[2]
    scores = fuse(scores, maps[pool])
    sizes[f"fused with {pool}"] = scores.shape[2]
sizes["upscore8"] = net.upscore(scores).shape[2]
sizes["crop"] = net(x).shape[2]

on_paper = {"pool3": 7, "pool4": 4, "pool5": 2, "fc6": 3, "score_fr": 3, "upscore2": 8, "fused with pool4": 4}
on_paper |= {"upscore_pool4": 10, "fused with pool3": 7, "upscore8": 64, "crop": 50}
check("every map has the size on paper", all(sizes[name] == side for name, side in on_paper.items()))
offsets = [fuse.offset for _, _, fuse in net.skips]
check("the coarse maps are cropped by 2 and by 1", offsets == [(-2, -2), (-1, -1)])
check("the picture begins at 4, and the middle is 7", net.crop.offset == (4, 4) and (64 - 50) // 2 == 7)

# %% [markdown]
# ## 2. Change
# The sum stands in one line of `Trunk`: what comes back from `conv5_1` plus what comes back from the
# skip. Keep only one of the two.


# %%
def forgetful(net, forgotten):
    """The network with a mistake: what one consumer of pool4, "conv5_1" or "score_pool4", sends is lost."""
    right = net.trunk._both

    def both(dy, dmaps, key):
        if key != "pool4":
            return right(dy, dmaps, key)
        return dmaps[key] if forgotten == "conv5_1" else dy

    net.trunk._both = both
    return net


# %% [markdown]
# **Which gradients go wrong?** Those of everything that reaches the loss through `pool4`: the picture
# and conv1 to conv4, weights and biases. Both branches, on the other hand, stay right: conv5, fc6,
# fc7 and the three score layers got their gradients before the sum was made.
#
# **Which check sees it?** That of the fork, with random numbers, on the network as a whole. Asking
# the layers one by one is no use. Each of them is right. The mistake is between them.

# %%
below = {f"conv{stage}_1.{kind}" for stage in (1, 2, 3, 4) for kind in ("weight", "bias")} | {"dx"}
picture = np.random.default_rng(0).normal(size=(1, 3, 37, 50))


def errors_of(net):
    """The relative error of the gradient of the picture (dx) and of each parameter, by finite differences."""
    return layer_check(net, picture, np.random.default_rng(0), directions=2, eps=1e-6)


errors = errors_of(network())
check("the sum of both is right", max(errors.values()) < 1e-6, f"{max(errors.values()):.0e}")
for forgotten in ("score_pool4", "conv5_1"):
    errors = errors_of(forgetful(network(), forgotten))
    wrong = {name for name, error in errors.items() if error > 1e-6}
    least = min(errors[name] for name in below)
    check(f"without {forgotten}: wrong below pool4, and only there", wrong == below, f"by {least:.0%} or more")

# %%
rng = np.random.default_rng(1)
net = forgetful(network(), "score_pool4")
alone = {
    "conv4_1": rng.normal(size=(2, 16, 7, 6)),
    "conv5_1": rng.normal(size=(2, 24, 4, 3)),
    "score_pool4": (rng.normal(size=(2, 3, 8, 10)), rng.normal(size=(2, 24, 4, 3))),
}
worst = max(max(layer_check(net.children[name], x, rng).values()) for name, x in alone.items())
check("layer by layer nothing is wrong", worst < 1e-7, f"{worst:.0e}")

# %% [markdown]
# The two halves make the whole: for conv4_1, what the one mistake loses is what the other one keeps.
# (Further down this is no longer so: pool3 has a skip of its own, which both networks count.)


# %%
def gradient(net, name, dy):
    """The gradient of one parameter, for the upstream gradient dy."""
    net(picture)
    net.backward(dy)
    return net.grads[name]


dy, name = rng.normal(size=(1, 3, 37, 50)), "conv4_1.weight"
halves = [gradient(forgetful(network(), forgotten), name, dy) for forgotten in ("score_pool4", "conv5_1")]
check("the gradients of the two halves add up", gap(sum(halves), gradient(network(), name, dy)) < 1e-12)

# %% [markdown]
# **What hides it.** Check the network as it is built, with its score layers at zero, and the mistake
# passes: a skip that scores with zeros sends zeros back, and nobody misses them. So a gradient check
# wants random numbers in the parameters too.

# %%
net = forgetful(network(), "score_pool4")
net.params["score_pool4.weight"][...] = 0
errors = errors_of(net)
check("with score_pool4 at zero the mistake goes unseen", max(errors.values()) < 1e-6, f"{max(errors.values()):.0e}")

# %% [markdown]
# ## 3. Prove
# Let `h`, `p4` and `p3` be what the trunk hands out for some picture. Write `S` for a score layer,
# `S_fr h = W_fr h + b_fr`, and `U` for an upsampling with the crop that follows it. Then
#
#     y  =  U8 ( U4 ( U2 S_fr h  +  S_4 p4 )  +  S_3 p3 )
#        =  U8 U4 U2 S_fr h   +   U8 U4 S_4 p4   +   U8 S_3 p3
#
# The second line needs only `U(a + b) = U a + U b`. An output of `U` is a sum of inputs times fixed
# taps, and so `U` is linear. Each term knows one score layer, and is linear in its weight and bias
# taken together. A ReLU after a fusion would end this.


# %%
def scores_of(layers):
    """The scores of FCN-8s when each score layer has the given (weight, bias), zero where none is given."""
    for head in HEADS:
        for kind, array in zip(("weight", "bias"), layers.get(head, (0, 0))):
            net.params[f"{head}.{kind}"][...] = array
    return net(x)


def draw():
    """A random weight and bias for each score layer."""
    return {
        head: [rng.normal(size=net.params[f"{head}.{kind}"].shape) for kind in ("weight", "bias")] for head in HEADS
    }


net, x = network(), rng.normal(size=(2, 3, 50, 41))
one, other = draw(), draw()
terms = {head: scores_of({head: one[head]}) for head in HEADS}
check("the scores are the sum of three terms", gap(sum(terms.values()), scores_of(one)) < 1e-12)
for head in HEADS:
    mixed = [2 * a - 3 * b for a, b in zip(one[head], other[head])]
    expected = 2 * terms[head] - 3 * scores_of({head: other[head]})
    check(f"each is linear in its layer: {head}", gap(scores_of({head: mixed}), expected) < 1e-12)

# %% [markdown]
# **The bias.** Let `b_fr` be 1 and all else zero. The score map is 1 everywhere. How much of it
# arrives? One axis will do; both are alike, and the gains multiply. Take a picture of 64.
#
# The upsampling by 2 has the taps 1/4, 3/4, 3/4, 1/4, laid down two cells apart. Inside, two taps
# meet in each place, 1/4 + 3/4 = 1. The first and the last two places get only one.
#
#     score_fr        1 1 1
#     upscore2        1/4 3/4 1 1 1 1 3/4 1/4         the crop keeps the four in the middle
#     fused at pool4  1 1 1 1                         nothing is lost so far
#     upscore_pool4   1/4 3/4 1 1 1 1 1 1 3/4 1/4     the crop takes one at each end
#     fused at pool3  3/4 1 1 1 1 1 1 3/4
#
# The upsampling by 8 has the taps 1/16, 3/16, ... 15/16, 15/16, ... 3/16, 1/16, and 4 pixels are cut
# off. The first 4 pixels are left with the first cell alone, and its taps 9/16 to 15/16:
#
#     3/4 * 9/16 = 27/64,  33/64,  39/64,  45/64
#
# In the next 8 the first cell fades out, t = 15/16 ... 1/16, and the second one, which has 1, fades
# in: 3/4 t + (1 - t) = 1 - t/4, which is 49/64, 51/64, ... 63/64. From there on it is 1.

# %%
fade = np.array([27, 33, 39, 45, 49, 51, 53, 55, 57, 59, 61, 63]) / 64


def gain_of(net, head, height, width):
    """What arrives at each pixel when the bias of one score layer is 1, and all else of the score layers is zero."""
    for key, array in net.params.items():
        if key.startswith("score"):
            array[...] = key == f"{head}.bias"
    return net(np.zeros((1, 3, height, width)))[0, 0]


axis = np.concatenate([fade, np.ones(40), fade[::-1]])
gain = gain_of(net, "score_fr", 64, 64)
check("the gain is the one on paper, at every pixel", np.array_equal(gain, np.outer(axis, axis)))
check("inside it is 1", (gain[12:-12, 12:-12] == 1).all())
check("in the corner less than a fifth arrives", gain[0, 0] == (27 / 64) ** 2 < 0.2, f"{gain[0, 0]:.3f}")

# %% [markdown]
# The bias of score_pool4 joins where nothing has been lost yet, and so arrives just like that of
# score_fr. The bias of score_pool3 joins later, and only `upscore8` can take from it: 9/16, 11/16,
# 13/16, 15/16, and then 1.

# %%
check("score_pool4's bias fades just as score_fr's", np.array_equal(gain_of(net, "score_pool4", 64, 64), gain))
late = np.concatenate([[9 / 16, 11 / 16, 13 / 16, 15 / 16], np.ones(56), [15 / 16, 13 / 16, 11 / 16, 9 / 16]])
check(
    "score_pool3's bias fades over four pixels",
    np.array_equal(gain_of(net, "score_pool3", 64, 64), np.outer(late, late)),
)

# %% [markdown]
# Two more borders. A picture of 50 ends in the middle of its last cells. There the fade lies behind
# the picture, and the right and the lower border get all of the bias.
#
# And the paper's padding of 100? Even that does not quite hide the fade. FCN-32s cuts off 19 of the
# 32 pixels over which the first cell rises, so pixel 0 gets (19 + 1/2) / 32 = 39/64. The same number
# comes out for FCN-8s: its three upsamplings climb the same ramp.

# %%
cut = np.concatenate([fade, np.ones(38)])
check(
    "of 50 pixels the first 12 fade, and the last do not",
    np.array_equal(gain_of(net, "score_fr", 50, 50), np.outer(cut, cut)),
)
for name in ("fcn32s", "fcn8s"):
    corner = gain_of(network(name, width=1, fc6_kernel=7, dropout=0.0), "score_fr", 32, 32)[0, 0]
    check(f"the paper's {name}: 39/64 on each axis", corner == (39 / 64) ** 2, f"{corner:.2f} in the corner")

# %% [markdown]
"""
# Lesson 10: What does "interpolation is learned" mean, and why is it done in one step?

After this lesson you can say what an upsampling layer can learn, and why little is lost
when it is kept fixed. You have fitted such a layer yourself. You can also say how five
small upsampling steps differ from one large step.

Lesson 12 uses one fact of this lesson and repeats it: upsampling by 2 and then by 16 is not
quite upsampling by 32. If you only want to build FCN-8s, go on with lesson 11.

Needs: lessons 3 and 9 (backward; transposed convolution).
Words: the [glossary](../docs/glossary.md).

Runtime: 5 s on 2 cores
"""

# %% [markdown]
# ## The kernel is a weight
#
# Along one axis, a fine pixel between two coarse numbers is
# $a \cdot \mathrm{left} + b \cdot \mathrm{right}$. Bilinear interpolation chooses $a$ and
# $b$ by distance: near the left number they are 3/4 and 1/4. But a transposed convolution
# is a layer like any other, and its taps are weights. So we can *fit* them to examples.
# An example is a coarse row, and the fine row that it should become. Two fine pixels are
# enough for two taps:
#
#     left 0, right 4, wanted 1        4 b = 1        b = 1/4
#     left 4, right 0, wanted 3        4 a = 3        a = 3/4
#
# If the wanted rows are linear between the coarse numbers, the fit finds the bilinear
# kernel. If they are not, it finds another kernel. The layer that upsamples scores is
# called `upscore` in the public code of the paper. "The interpolation is bilinear first
# and then learned" means: the weights of an upscore layer start as the bilinear kernel,
# and then training changes them like all other weights.

# %% [markdown]
# ## Predict
# 1. A random 4x4 kernel is trained on maps of noise and their bilinear upsampling. Which
#    kernel does it become?
# 2. Now the fine maps have sharp edges. Is the trained kernel narrower than the bilinear
#    one, or wider? Is its squared error smaller? Does it put fewer pixels on the wrong side
#    of an edge?
# 3. Upsample by 2, five times in a row. Is the result the same as that of one step by 32?
#    Which of the two has more weights? Which needs more multiplications?

# %%
import numpy as np

from fcn_from_scratch import ops, viz
from fcn_from_scratch.course import check, claims, seed
from fcn_from_scratch.layers import ConvTranspose2d
from fcn_from_scratch.training import SGD

SEED = seed()
rng = np.random.default_rng([SEED, 10])

# %% [markdown]
# ## By hand
# These are the two fine pixels from above, as two equations.

# %%
neighbours, wanted = np.array([[0.0, 4], [4, 0]]), np.array([1.0, 3])
a, b = np.linalg.solve(neighbours, wanted)
print("a =", a, " b =", b)
check("two examples give the two taps of bilinear interpolation", (a, b) == (0.75, 0.25))

# %% [markdown]
# ## Write it yourself
# Training needs the layer and its gradient. Both loop over the taps of the kernel. With
# the stride $s$ and the padding $p$, tap $(a, b)$ connects coarse pixel $(u, v)$ with
# fine pixel $(su + a - p,\ sv + b - p)$. In the forward, the tap is multiplied by the
# coarse value and added to the fine pixel:
#
# $$
# y_{su + a - p,\;sv + b - p} \mathrel{+}= x_{u,\,v}\, k_{a,\,b}
# $$
#
# So its gradient is the coarse value times the upstream gradient of the fine pixel, added
# up over all pairs that the tap connects:
#
# $$
# \frac{\partial L}{\partial k_{a,\,b}}
# = \sum_{u,\,v} x_{u,\,v}\, \frac{\partial L}{\partial y_{su + a - p,\;sv + b - p}}
# $$


# %%
def at_tap(fine, a, b, coarse, stride):
    """The fine pixels that tap (a, b) connects with the coarse ones: a view."""
    rows, columns = (stride * (size - 1) + 1 for size in coarse.shape[2:])
    return fine[:, :, a : a + rows : stride, b : b + columns : stride]


def upsample(x, kernel, stride, padding):
    """The first formula, tap by tap. Without padding y has s(H - 1) + k rows."""
    (H, W), (kh, kw) = x.shape[2:], kernel.shape
    y = np.zeros((*x.shape[:2], stride * (H - 1) + kh, stride * (W - 1) + kw))
    for a, b in np.ndindex(kh, kw):
        at_tap(y, a, b, x, stride)[...] += x * kernel[a, b]
    return y[:, :, padding : y.shape[2] - padding, padding : y.shape[3] - padding]


def kernel_gradient(dy, x, size, stride, padding):
    """The second formula, tap by tap, added up over all maps."""
    dy = np.pad(dy, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    dkernel = np.zeros((size, size))
    for a, b in np.ndindex(size, size):
        dkernel[a, b] = (x * at_tap(dy, a, b, x, stride)).sum()
    return dkernel


# %% [markdown]
# The package computes the same with matrix products.

# %%
x, kernel = rng.normal(size=(3, 1, 5, 6)), rng.normal(size=(4, 4))
dy = rng.normal(size=(3, 1, 10, 12))
theirs = ops.conv_transpose2d(x, kernel[None, None], None, 2, 1)
forward_gap = np.abs(upsample(x, kernel, 2, 1) - theirs).max()
theirs = ops.conv_transpose2d_backward(dy, x, kernel[None, None], 2, 1)[1][0, 0]
backward_gap = np.abs(kernel_gradient(dy, x, 4, 2, 1) - theirs).max()
check("our upsampling = ops.conv_transpose2d", forward_gap < 1e-12, f"{forward_gap:.0e}")
check(
    "our gradient = ops.conv_transpose2d_backward",
    backward_gap < 1e-12,
    f"{backward_gap:.0e}",
)

# %% [markdown]
# ## Fit a kernel
# All 16 taps of a kernel of size 4 and stride 2 start as random numbers and are fitted by
# gradient descent. The targets come from a *resize*, a program that has no kernel. Only
# pixels inside the map count, because a resize and a transposed convolution differ at the
# border, whatever the kernel is (lesson 9).


# %%
def fit(kernel, coarse, target, stride, rate, steps, border, batch=None):
    """Gradient descent on half the mean squared error.

    Pixels that lie less than `border` away from the edge of the map do not count.
    Returns the kernel and the errors on the way. `batch` is the number of maps of a step.
    """
    kernel, errors, draws = kernel.copy(), [], np.random.default_rng([SEED, 10, 1])
    counts = np.zeros(target.shape[1:])
    counts[:, border : target.shape[2] - border, border : target.shape[3] - border] = 1
    for _ in range(steps):
        drawn = draws.integers(len(coarse), size=batch) if batch else slice(None)
        x, wanted = coarse[drawn], target[drawn]
        dy = counts * (upsample(x, kernel, stride, stride // 2) - wanted)
        count = len(wanted) * counts.sum()
        errors.append((dy**2).sum() / count)
        kernel -= rate * kernel_gradient(dy / count, x, len(kernel), stride, stride // 2)
    return kernel, errors


# %%
coarse = rng.normal(size=(8, 1, 16, 16))
target = ops.interpolate_bilinear(coarse, (32, 32))
start, bilinear = rng.normal(size=(4, 4)), ops.bilinear_kernel(4)
learned, errors = fit(start, coarse, target, stride=2, rate=2, steps=60, border=2)
bilinear_gap = np.abs(learned - bilinear).max()
print(learned.round(4))
check(
    "trained to interpolate, a random kernel becomes the bilinear one",
    bilinear_gap < 1e-8,
    f"{bilinear_gap:.0e}",
)
check("it was another kernel before", np.abs(start - bilinear).max() > 0.5)

# %% [markdown] tags=["answer"]
# > **Prediction 1.** It becomes the bilinear kernel, with an error below 1e-8 after 60
# > steps. The targets are linear between the coarse numbers, and this is the only kernel
# > that gives them.

# %% [markdown]
# ## With the package
# `layers.ConvTranspose2d` is this layer, and `training.SGD` does the steps. From the same
# start, both give the same kernel as ours after ten steps. `init_bilinear()` sets the
# bilinear kernel. With this kernel the gradient is zero: nothing is left to learn.

# %%
layer = ConvTranspose2d(1, 1, 4, stride=2, padding=1, bias=False, dtype=np.float64)
layer.params["weight"][0, 0] = start
optimizer = SGD(layer, 2, momentum=0)
for _ in range(10):
    dy = np.zeros(target.shape)
    dy[:, :, 2:-2, 2:-2] = (layer(coarse) - target)[:, :, 2:-2, 2:-2]
    layer.zero_grad()
    layer.backward(dy / (8 * 28 * 28))
    optimizer.step()
on_the_way, _ = fit(start, coarse, target, stride=2, rate=2, steps=10, border=2)
same_fit = np.abs(layer.params["weight"][0, 0] - on_the_way).max()
check(
    "after ten steps, the package's layer and SGD have our kernel",
    same_fit < 1e-12,
    f"{same_fit:.0e}",
)
check("it is not the bilinear kernel yet", np.abs(on_the_way - bilinear).max() > 1e-6)

layer.init_bilinear().zero_grad()
dy[:, :, 2:-2, 2:-2] = (layer(coarse) - target)[:, :, 2:-2, 2:-2]
layer.backward(dy / (8 * 28 * 28))
rest = np.abs(layer.grads["weight"]).max()
check(
    "from init_bilinear on, there is nothing to learn", rest < 1e-12, f"gradient {rest:.0e}"
)

# %% [markdown]
# ## Another target, another kernel
# Label maps are not linear between two coarse pixels: at an edge they jump from one class
# to another. Take maps with one straight edge at any angle, and shrink them by 4: each
# coarse value is the mean of a block. Train a kernel to restore the edge, once from the
# bilinear kernel and once from noise.

# %%
s = 4


def edges(count, size=48):
    """Maps that are 0 on one side of a straight line and 1 on the other."""
    u = np.arange(size) - (size - 1) / 2
    angle = rng.uniform(0, 2 * np.pi, count)[:, None, None]
    shift = rng.uniform(-size / 4, size / 4, count)[:, None, None]
    side = np.cos(angle) * u[:, None] + np.sin(angle) * u + shift > 0
    return side.astype(float)[:, None]


train, test = edges(1000), edges(1000)
bilinear_8, noise = ops.bilinear_kernel(2 * s), rng.normal(0, 0.1, (2 * s, 2 * s))
setting = dict(
    coarse=ops.avg_pool2d(train, s),
    target=train,
    stride=s,
    rate=8,
    steps=300,
    border=2 * s,
    batch=50,
)
from_bilinear, bilinear_errors = fit(bilinear_8, **setting)
from_noise, noise_errors = fit(noise, **setting)


# %%
def judge(kernel):
    """The squared error on new edges, and the share of pixels on the wrong side of 1/2."""
    inside = np.s_[:, :, 2 * s : -2 * s, 2 * s : -2 * s]
    y = upsample(ops.avg_pool2d(test, s), kernel, s, s // 2)[inside]
    return ((y - test[inside]) ** 2).mean(), ((y > 0.5) != (test[inside] > 0.5)).mean()


error_bilinear, wrong_bilinear = judge(bilinear_8)
error_learned, wrong_learned = judge(from_bilinear)
error_noise, _ = judge(from_noise)
gain = 1 - error_learned / error_bilinear
print(f"  squared error of the bilinear kernel {error_bilinear:.5f}")
print(f"  learned from it {error_learned:.5f}, from noise {error_noise:.5f}")
check(
    "on new edges the learned kernel has a smaller error, but not by much",
    0.02 < gain < 0.06,
    f"by {gain:.1%}",
)
middle_up = (from_bilinear - bilinear_8)[3:5, 3:5].mean()
rim_up = (from_bilinear - bilinear_8)[[0, -1]].mean()
narrower = 0.1 < middle_up < 0.2 and -0.07 < rim_up < -0.02
check(
    "it is narrower: larger in the middle, smaller at the rim",
    narrower,
    f"{middle_up:+.2f} and {rim_up:+.2f}",
)

# %% [markdown]
# The output is linear in the taps, so the squared error has a single minimum, and both
# starts reach it. The bilinear kernel starts close to it. So "first bilinear" means that
# the layer gives a good answer before the first step.

# %%
starts = noise_errors[0] / bilinear_errors[0]
same_end = abs(error_noise / error_learned - 1)
check(
    "from noise, training starts with at least ten times the error",
    10 < starts < 200,
    f"{starts:.0f} times",
)
check("both starts end with the same error, to 2 %", same_end < 0.02, f"{same_end:.1%}")

# %% [markdown]
# ## A smaller error, better labels?
# A segmentation is not judged by the squared error. What counts is on which side of the
# edge a pixel is put. So count the pixels on the wrong side. The narrower kernel is a step
# towards nearest neighbour, and nearest neighbour turns a slanted edge into steps.

# %%
nearest = np.pad(np.ones((s, s)), s // 2)
_, wrong_nearest = judge(nearest)
print(f"  on the wrong side with the bilinear kernel {wrong_bilinear:.2%}")
print(f"  with the learned one {wrong_learned:.2%}, with nearest {wrong_nearest:.2%}")
worse = wrong_learned / wrong_bilinear
check(
    "the learned kernel puts *more* pixels on the wrong side",
    1.9 < worse < 2.7,
    f"{worse:.1f} times as many",
)
check("nearest neighbour puts even more there", wrong_nearest > 1.5 * wrong_learned)

# %% [markdown] tags=["answer"]
# > **Prediction 2.** It is narrower: the middle rises by about .15 and the rim falls by
# > about .04. Its squared error is about 4 % smaller. But it puts 2.3 times as many pixels
# > on the wrong side. If you expected fewer, you assumed that a smaller loss means a better
# > segmentation. Training lowers the loss that it is given, and nothing else.

# %% [markdown]
# Does it matter in a whole network? The paper initialises the upscore layers in the middle
# of the network to bilinear kernels and learns them. The last upscore layer is fixed
# (section 4.3). The public code fixes all of them. Its README reports no significant
# difference in accuracy. On drawn scenes there is a small one: `fcn compare --seeds 3`
# trains 32s both ways, and the mean IU is .574 fixed and .586 learned. Learned is ahead on
# all three seeds, by .010 to .014. On the photographs of CamVid it is -.022 to +.010, so
# either may win. (This is 32s, whose one upscore layer is also the last. And the loss is
# the cross-entropy, not the squared error of above.) Two skips are worth .337 in the table
# of drawn scenes. (These have 128x128 pixels, and 480 steps of training. Lessons 11 and 12
# have 64x64 pixels and 240 steps, and so other numbers.)

# %% [markdown]
# ## One kernel for each class
# Upsampling should not mix the classes: a score of "bus" should not become a score of
# "car". The weight of an upscore layer for 21 classes holds 21x21 kernels, one for each
# pair (from, to). Interpolation needs the 21 kernels on the diagonal, and zeros beside it.
# If *every* pair holds the bilinear kernel, each class receives the sum of all classes.

# %%
scores = rng.normal(size=(1, 5, 6, 6))
per_class = ConvTranspose2d(5, 5, 4, stride=2, bias=False, dtype=np.float64).init_bilinear()
alone = [ops.bilinear_upsample(scores[:, [c]], 4, 2) for c in range(5)]
each_alone = np.concatenate(alone, axis=1)
diagonal_gap = np.abs(per_class(scores) - each_alone).max()
check("the diagonal upsamples each alone", diagonal_gap < 1e-12, f"{diagonal_gap:.0e}")

mixed = ops.conv_transpose2d(scores, np.tile(bilinear, (5, 5, 1, 1)), None, 2)
summed = ops.bilinear_upsample(scores.sum(axis=1, keepdims=True), 4, 2)
mixed_gap = np.abs(mixed - summed).max()
check(
    "every pair filled: all classes get the same score, the sum",
    mixed_gap < 1e-12,
    f"{mixed_gap:.0e}",
)

# %% [markdown]
# If such a layer is learned, the kernels beside the diagonal do not stay zero, because they
# have a gradient too. So the classes begin to mix in the first step, and then the layer no
# longer interpolates.

# %%
labels = rng.integers(0, 5, (1, 14, 14))
loss, dscores = ops.softmax_cross_entropy(per_class(scores), labels)
per_class.backward(dscores)
beside = np.abs(per_class.grads["weight"][~np.eye(5, dtype=bool)]).max()
check("kernels beside the diagonal have a gradient", 1e-3 < beside < 1, f"{beside:.0e}")

# %% [markdown]
# ## Why in one step?
# The output stride of FCN-32s is 32. Why not double the map five times, from 32 to 16, 8,
# 4, 2 and 1? First, **several linear steps are one linear step.** Between the steps there
# is no ReLU and nothing else. To find the single kernel, upsample the first kernel with the
# second one. The result does both steps at once. Its stride is the product of the two
# strides.

# %%
first, second = rng.normal(size=(4, 4)), rng.normal(size=(4, 4))
x = rng.normal(size=(1, 1, 6, 6))
two_steps = upsample(upsample(x, first, 2, 0), second, 2, 0)
composed = upsample(first[None, None], second, 2, 0)[0, 0]
composed_gap = np.abs(two_steps - upsample(x, composed, 4, 0)).max()
check(
    "two steps of stride 2 = one of stride 4 with a 10x10 kernel",
    composed.shape == (10, 10) and composed_gap < 1e-12,
)

with_relu = upsample(np.maximum(upsample(x, first, 2, 0), 0), second, 2, 0)
opposite = upsample(np.maximum(upsample(-x, first, 2, 0), 0), second, 2, 0)
odd_gap = np.abs(upsample(upsample(-x, first, 2, 0), second, 2, 0) + two_steps).max()
check("without a ReLU, f(-x) = -f(x), as for every single kernel", odd_gap < 1e-12)
relu_gap = np.abs(with_relu + opposite).max() / np.abs(two_steps).max()
check(
    "with a ReLU in between, no single kernel does the same",
    0.2 < relu_gap < 5,
    f"f(x) + f(-x): {relu_gap:.0%}",
)

# %% [markdown]
# So one step with a kernel of 94x94 can do all that five steps with kernels of 4x4 can do,
# because together the five span 94x94 pixels. It can do more: it has $94^2 = 8836$ weights,
# and they have $5 \cdot 16 = 80$. What does it cost? In one step, each coarse score is
# multiplied by each weight of the kernel. In five steps, each map has 4 times as many
# pixels as the one before, and each of its pixels costs 16:
#
# $$
# \text{one step: } 94^2 = 8836 , \qquad
# \text{five steps: } \sum_{i=0}^{4} 4^i \cdot 4^2 = 5456 .
# $$
#
# So for the *same* function the five steps are cheaper. The paper's single step is another
# function. Its kernel is 64x64, so it costs $64^2 = 4096$, less than the five.

# %%
five_steps = sum(4**i * 4**2 for i in range(5))
whole = np.ones((4, 4))
for _ in range(4):
    whole = upsample(whole[None, None], np.ones((4, 4)), 2, 0)[0, 0]
equal_step, paper_step = whole.size, 64**2
check("together the five kernels span 94x94 pixels", whole.shape == (94, 94))
check(
    "five steps cost less than the single step that does the same",
    (five_steps, equal_step) == (5456, 8836),
    f"{five_steps / equal_step:.2f} times",
)
check(
    "and a third more than the paper's single step, which does not do the same",
    1.3 < five_steps / paper_step < 1.4,
    f"{five_steps / paper_step:.2f} times",
)

# %% [markdown]
# ## Is it the same with bilinear kernels?
# Not quite. The bilinear kernel of size 4 never returns a coarse number itself. It returns
# points at 1/4 and 3/4 of the way between two of them. The next step connects *these*
# points by straight lines. So it cuts off the corner that the line had at the coarse
# number. Each further step cuts off the new corners. (This is Chaikin's corner cutting. Its
# limit is a smooth curve made of parabolas, and a single 1 becomes a peak of 3/4.) The
# kernel of size 3 is different. It keeps the coarse numbers and adds the points half way
# between them. These points lie on the straight lines, so a second step with linear
# interpolation changes nothing.


# %%
def doubled(x, size, times=5):
    """x upsampled by two, several times, with the bilinear kernel of this size."""
    for _ in range(times):
        x = ops.bilinear_upsample(x, size, 2)
    return x


def middle(y, size):
    """As many rows and columns from the middle of y."""
    cut = (y.shape[2] - size) // 2
    return y[:, :, cut : cut + size, cut : cut + size]


dot = np.ones((1, 1, 1, 1))
even_once, even_five = ops.bilinear_upsample(dot, 64, 32)[0, 0], doubled(dot, 4)[0, 0]
odd_once, odd_five = ops.bilinear_upsample(dot, 63, 32)[0, 0], doubled(dot, 3)[0, 0]
odd_gap = np.abs(odd_once - odd_five).max()
peak_once, peak_five = np.sqrt(even_once.max()), np.sqrt(even_five.max())  # along one axis
check(
    "odd kernels: five doublings with size 3 = one step with size 63",
    odd_gap < 1e-12,
    f"{odd_gap:.0e}",
)
check("even kernels: one step has the peak 63/64", abs(peak_once - 63 / 64) < 1e-12)
check("five steps have the peak 3/4", abs(peak_five - 3 / 4) < 1e-12)
check("the sums of the taps are equal", abs(even_once.sum() - even_five.sum()) < 1e-9)

# %%
scores = rng.normal(size=(1, 21, 12, 12))
once = ops.bilinear_upsample(scores, 64, 32)
five = middle(doubled(scores, 4), once.shape[2])
two = ops.bilinear_upsample(ops.bilinear_upsample(scores, 4, 2), 32, 16)
paper = middle(two, once.shape[2])
inner = np.s_[:, 64:-64, 64:-64]
winner, winner_five, winner_paper = (y.argmax(axis=1)[inner] for y in (once, five, paper))
agree, agree_paper = (winner == winner_five).mean(), (winner == winner_paper).mean()
odd = ops.bilinear_upsample(scores, 63, 32).argmax(axis=1)
agree_odd = (odd == doubled(scores, 3).argmax(axis=1)).mean()
check(
    "on noise, one step and five choose the same class in most pixels",
    0.82 < agree < 0.89,
    f"{agree:.0%}",
)
check(
    "so do x32 and the steps x2, x16 of FCN-16s",
    0.84 < agree_paper < 0.93,
    f"{agree_paper:.0%}",
)
check(
    "with odd kernels they agree everywhere, except for ties by rounding",
    agree_odd > 0.9999,
    f"{agree_odd:.2%}",
)

# %% [markdown]
# Noise is a hard case. Neighbouring scores of a trained network are usually similar. On
# smooth scores, one step and five choose the same class nearly everywhere.

# %%
blurred = middle(ops.bilinear_upsample(rng.normal(size=(1, 21, 4, 4)), 8, 4), 12)
calm, calm_five = ops.bilinear_upsample(blurred, 64, 32), doubled(blurred, 4)
calm_five = middle(calm_five, calm.shape[2])
agree_calm = (calm.argmax(axis=1) == calm_five.argmax(axis=1))[inner].mean()
check("on smooth scores: at least 95 %", 0.95 < agree_calm < 1, f"{agree_calm:.1%}")

# %% [markdown] tags=["answer"]
# > **Prediction 3.** It is not the same with even kernels: on noise the winning class
# > agrees in only about 85 % of the pixels, and the peak is 3/4 instead of 63/64. With odd
# > kernels it is the same. One step has more weights, 4096 instead of 80. Five steps of 4x4
# > need 1.33 times the multiplications of one step of 64x64. If you wrote that the single
# > step is dearer: it is, if it has the 94x94 kernel that does the same as the five.

# %% [markdown]
# ## So, why one step?
# Because nothing happens between the steps. Then five steps can express nothing that one
# step cannot, and the single step can have the kernel that one wants, here the bilinear
# one. Cost is not the reason: it depends on the kernels, as the counts above show. Several
# steps are useful if something happens between them. FCN-16s stops at stride 16, because it
# adds the scores of `pool4` there. FCN-8s also stops at stride 8, for the scores of `pool3`
# (lesson 12). With convolutions and ReLUs between them, steps can do what no single kernel
# can.

# %% [markdown]
# ## What could fool you
# **A test on a ramp.** You want to see whether five doublings equal one step by 32, and you
# take a map that is easy to look at: a slope. A slope has no corners, so there is nothing
# to cut off, and both results are equal up to rounding. But they are not the same
# operation, as the noise above has shown.

# %%
ramp = (np.arange(12.0) + 2 * np.arange(12.0)[:, None])[None, None]
ramp_once = ops.bilinear_upsample(ramp, 64, 32)
ramp_gap = np.abs(ramp_once - middle(doubled(ramp, 4), ramp_once.shape[2]))[0][inner].max()
noise_gap = np.abs(once - five)[0][inner].max()
check("on a ramp, one step and five are equal", ramp_gap < 1e-9, f"{ramp_gap:.0e}")
check("on noise they are not", 0.5 < noise_gap < 3, f"{noise_gap:.1f}")

# %% [markdown]
# **A fit that includes the border.** Repeat the first fit with all pixels. The error falls
# by more than a factor of a hundred, and the kernel looks bilinear. But it is not. The
# outermost pixels lack some of their neighbours (lesson 9). No kernel can replace these.
# The fit has made the error there a little smaller, at the cost of the pixels inside.

# %%
with_border, border_errors = fit(
    start, coarse, target, stride=2, rate=2, steps=60, border=0
)
border_gap = np.abs(with_border - bilinear).max()
fell = border_errors[0] / border_errors[-1]
check("the error fell by more than a factor of a hundred", fell > 100, f"{fell:.0f}")
check(
    "the kernel is not the bilinear one",
    0.01 < border_gap < 0.2,
    f"off by {border_gap:.2f}",
)

# %% [markdown]
# ## The drawings


# %%
def draw_training():
    """The error of each step, from both starts."""
    lines = {"from noise": noise_errors, "from the bilinear kernel": bilinear_errors}
    caption = "The bilinear kernel starts near the end of the training"
    return viz.curves(lines, "step", "squared error of the batch", caption, log=True)


def draw_kernels():
    """The kernels before and after, and the change."""
    caption = "Kernels before and after training on edges"
    titles = ["bilinear, before", "after", "after - before", "noise, before", "after"]
    figure, axes = viz.new_figure(caption, 2, 3, width=7, height=4.9, titles=titles)
    axes = axes.ravel()
    viz.bare(axes)
    for ax, kernel in zip(
        axes[[0, 1, 3, 4]], (bilinear_8, from_bilinear, noise, from_noise)
    ):
        ax.imshow(kernel, vmin=-0.1, vmax=1)
    change = axes[2].imshow(from_bilinear - bilinear_8, cmap="RdBu_r", vmin=-0.2, vmax=0.2)
    axes[5].set_axis_off()
    scale = axes[5].inset_axes([0.1, 0.6, 0.8, 0.1])
    bar = figure.colorbar(change, scale, ticks=[-0.2, 0, 0.2], orientation="horizontal")
    bar.set_label("after - before")
    return figure


def draw_steps():
    """One step and five: the weights of one score, and the winning classes on noise."""
    caption = "Upsampled by 32: in one step, and in five doublings"
    titles = ["one score, along one axis", "noise: winning class, one step"]
    titles += ["where one step and five differ", "noise: winning class, five doublings"]
    figure, axes = viz.new_figure(caption, 2, 2, width=7, height=6.6, titles=titles)
    axes = axes.ravel()
    lines = {"one step, size 64": even_once, "five, size 4": even_five}
    lines["five, size 3"] = odd_five
    for name, y in lines.items():
        style = "--" if name == "five, size 3" else "-"  # it lies on the first line
        place = np.arange(len(y)) - (len(y) - 1) / 2
        axes[0].plot(place, y.sum(axis=0) / 32, style, label=name)
    axes[0].set(xlabel="pixels from the middle", ylabel="weight", ylim=(0, 1.7))
    axes[0].legend(loc="upper right")
    axes[1].imshow(viz.colourise(winner[0]))
    axes[2].imshow(winner[0] != winner_five[0], cmap="Greys")
    axes[3].imshow(viz.colourise(winner_five[0]))
    viz.bare(axes[1:])
    return figure


# %% [markdown]
# Look at the left end of the two lines: noise starts far above. Then look at the right end:
# the lines meet.

# %%
viz.show(draw_training(), "10_training")

# %% [markdown]
# The upper row starts from the bilinear kernel, and the lower row from noise. Compare the
# two kernels after training: they are nearly the same. In the upper right picture, red
# taps have become larger and blue taps smaller.

# %%
viz.show(draw_kernels(), "10_kernels")

# %% [markdown]
# In the first plot, look at the tops of the lines: about 1, and 3/4 for five doublings with
# size 4. In the maps on the right, look for small regions that are there after one step and
# not after five. The map at the lower left marks in black where the two differ.

# %%
viz.show(draw_steps(), "10_steps")

# %% [markdown]
# ## Exercises
# 1. *Trace.* Double a row several times with the taps (1, 3, 3, 1) / 4, and see how corners
#    are cut.
# 2. *Change.* Fit the taps by least squares, in one step instead of sixty.
# 3. *Prove.* Two steps with odd bilinear kernels are one step with an odd bilinear kernel.
#
# `fcn exercise 10` writes a file for each of them, `fcn exercise 10 --check FILE` checks
# your answer, `fcn exercise 10 --solution` shows ours.

# %% [markdown]
# ## Claims

# %%
our_layer = max(forward_gap, backward_gap) < 1e-12
between = paper_step < five_steps < equal_step
round_peak = abs(peak_five - 3 / 4) < 1e-12 < peak_once - 0.2
ramp_hides = ramp_gap < 1e-9 and noise_gap > 0.5
claims(
    [
        ("our layer and its gradient = the package's", our_layer, "1e-12: two orders"),
        ("a kernel becomes bilinear", bilinear_gap < 1e-8, "60 steps reach rounding"),
        ("the package's layer learns the same", same_fit < 1e-12, "1e-12: rounding"),
        ("the bilinear kernel has nothing to learn", rest < 1e-12, "1e-12: rounding"),
        ("a smaller error on new edges", 0.02 < gain < 0.06, "3.7 to 3.9 % on five seeds"),
        ("it is narrower than the bilinear kernel", narrower, ".15 and -.04 on five seeds"),
        ("more pixels on the wrong side", 1.9 < worse < 2.7, "2.3 times on five seeds"),
        ("both starts end with the same error", same_end < 0.02, "2 %: 300 noisy steps"),
        ("diagonal kernels keep classes apart", diagonal_gap < 1e-12, "1e-12: two orders"),
        ("kernels for every pair add them up", mixed_gap < 1e-12, "1e-12: two orders"),
        ("two linear steps are one", composed_gap < 1e-12, "1e-12: two orders"),
        ("five steps: 5456 products, one: 4096 or 8836", between, "counted"),
        ("five doublings = x32 for odd kernels", odd_gap < 1e-12, "1e-12: rounding"),
        ("not for even kernels: peak 3/4", round_peak, "1e-12: rounding"),
        ("on noise most winners agree", 0.82 < agree < 0.89, ".85 to .86 on five seeds"),
        ("on smooth scores nearly all", 0.95 < agree_calm < 1, ".985 to .992"),
        ("a ramp does not show the difference", ramp_hides, "1e-9: numbers up to 33"),
        (
            "a fit with the border is off",
            0.01 < border_gap < 0.2,
            "1e-8 without the border",
        ),
    ]
)

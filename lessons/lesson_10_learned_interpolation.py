"""Lesson 10: What does "interpolation is learned" mean, and why is it done in one step?

Afterwards you can say what an upsampling layer may learn, what it learns when there is nothing better, and why
the paper's networks lose nothing by keeping it fixed. You know what five small steps do that one large one does not.

Needs: lessons 3 and 9 (backward; transposed convolution and the hat)
Runtime: 6 s on 2 cores
"""

# %% [markdown]
# # The kernel is a weight
#
# Between two coarse numbers a fine pixel is `a * left + b * right`. Bilinear interpolation says what `a`
# and `b` are: near the left one 3/4 and 1/4. But a transposed convolution is a layer like any other.
# Its taps can be *fitted*: show it coarse rows and the fine rows they should become. Two pixels suffice:
#
#     left 0, right 4, wanted 1        4 b = 1        b = 1/4
#     left 4, right 0, wanted 3        4 a = 3        a = 3/4
#
# Who is asked for straight lines learns the hat. Who is asked for something else learns something else.
# "First bilinear, then learned" means no more than this: the hat is where training *starts*.

# %% [markdown]
# ## Predict
# 1. A random 4x4 kernel is trained on coarse noise and its bilinear upsampling. What does it become?
# 2. The same with sharp edges as the fine maps. Is the new kernel more pointed than the hat, or rounder?
#    Is its squared error smaller? Are fewer pixels on the wrong side of the edge?
# 3. Upsample by 2, five times over. Is it the same as by 32, once? Which way has more weights, which
#    more multiplications?

# %%
import numpy as np

from fcn_from_scratch import ops, viz
from fcn_from_scratch.course import check, claims
from fcn_from_scratch.layers import ConvTranspose2d

rng = np.random.default_rng(10)

# %% [markdown]
# ## By hand
# The two pixels from above, as two equations.

# %%
neighbours, wanted = np.array([[0.0, 4], [4, 0]]), np.array([1.0, 3])
a, b = np.linalg.solve(neighbours, wanted)
print("a =", a, " b =", b)
check("two examples are enough for the two taps of the hat", (a, b) == (0.75, 0.25))

# %% [markdown]
# ## With a loop
# Now all 16 taps of a kernel of size 4, stride 2, from random numbers on, by gradient descent. The
# targets come from a *resize*, a program that knows nothing of kernels. Only the inside counts: at the border
# the two differ, whatever the kernel (lesson 9).

# %%
coarse = rng.normal(size=(8, 1, 16, 16))
target = ops.interpolate_bilinear(coarse, (32, 32))
start = rng.normal(size=(4, 4))


def fit(kernel, coarse, target, stride, rate, steps, border, batch=None):
    """Gradient descent on half the mean squared error more than `border` pixels from the edge of the map.

    Returns the kernel and the errors on the way. With `batch` each step draws that many maps.
    """
    kernel, errors = kernel[None, None].copy(), []
    inside = slice(border, target.shape[2] - border)
    for _ in range(steps):
        x, wanted = coarse, target
        if batch:
            drawn = rng.integers(len(coarse), size=batch)
            x, wanted = coarse[drawn], target[drawn]
        counts = np.zeros(wanted.shape)
        counts[:, :, inside, inside] = 1
        dy = counts * (ops.conv_transpose2d(x, kernel, None, stride, stride // 2) - wanted)
        count = counts.sum()
        errors.append((dy**2).sum() / count)
        kernel -= rate * ops.conv_transpose2d_backward(dy / count, x, kernel, stride, stride // 2)[1]
    return kernel[0, 0], errors


hat = ops.bilinear_kernel(4)
learned, errors = fit(start, coarse, target, stride=2, rate=4, steps=60, border=2)
hat_gap = np.abs(learned - hat).max()
print(learned.round(4))
check("trained to interpolate, a random kernel becomes the hat", hat_gap < 1e-8, f"off by {hat_gap:.0e}")

# %% [markdown]
# ## With the package
# `layers.ConvTranspose2d` is that layer. `init_bilinear()` sets the hat, so that it starts where the loop
# above ended: there is nothing left to learn, the gradient is zero.

# %%
layer = ConvTranspose2d(1, 1, 4, stride=2, padding=1, bias=False, dtype=np.float64).init_bilinear()
dy = layer(coarse) - target
dy[:, :, [0, -1]] = 0
dy[:, :, :, [0, -1]] = 0
layer.backward(dy / dy.size)
rest = np.abs(layer.grads["weight"]).max()
check("from init_bilinear on there is nothing to learn", rest < 1e-12, f"gradient {rest:.0e}")

# %% [markdown]
# # Another target, another kernel
# Labels are not straight lines, they jump. Take maps with one straight edge each, at any angle, and shrink
# them by 4 (the mean of each block). Learn to bring the edge back, once from the hat, once from noise.

# %%
s = 4


def edges(count, size=48):
    """Maps that are 0 on one side of a straight line and 1 on the other."""
    u = np.arange(size) - (size - 1) / 2
    angle, shift = (rng.uniform(*ends, count)[:, None, None] for ends in ((0, 2 * np.pi), (-size / 4, size / 4)))
    return (np.cos(angle) * u[:, None] + np.sin(angle) * u + shift > 0).astype(float)[:, None]


train, test = edges(1000), edges(1000)
hat8, noise = ops.bilinear_kernel(2 * s), rng.normal(0, 0.1, (2 * s, 2 * s))
setting = dict(coarse=ops.avg_pool2d(train, s), target=train, stride=s, rate=8, steps=300, border=2 * s, batch=50)
from_hat, hat_errors = fit(hat8, **setting)
from_noise, noise_errors = fit(noise, **setting)


def judge(kernel):
    """On edges not seen in training: the squared error, and how many pixels are on the wrong side of 1/2."""
    inside = np.s_[:, :, 2 * s : -2 * s, 2 * s : -2 * s]
    y = ops.conv_transpose2d(ops.avg_pool2d(test, s), kernel[None, None], None, s, s // 2)[inside]
    return ((y - test[inside]) ** 2).mean(), ((y > 0.5) != (test[inside] > 0.5)).mean()


(error_hat, wrong_hat), (error_learned, wrong_learned), (error_noise, _) = map(judge, (hat8, from_hat, from_noise))
gain = 1 - error_learned / error_hat
print(f"  squared error: hat {error_hat:.5f}, learned from the hat {error_learned:.5f}, from noise {error_noise:.5f}")
check("the learned kernel has a lower error on new edges", error_learned < error_hat, f"by {gain:.1%}")
check("but not by much", gain < 0.1)
apart = np.abs(from_hat - hat8).max()
check("it is another kernel than the hat", apart > 0.03, f"{apart:.2f} apart")
middle_up = (from_hat - hat8)[3:5, 3:5].mean()
rim_up = (from_hat - hat8)[[0, -1]].mean()
narrower = middle_up > 0.1 and rim_up < -0.01
check("it is narrower: higher in the middle, lower at the rim", narrower, f"{middle_up:+.2f} and {rim_up:+.2f}")

# %% [markdown]
# The error is a bowl, since the output is linear in the taps: there is one lowest point, and both starts
# roll towards it. The hat starts next to it. This is what "first bilinear" is good for: a sensible answer
# before the first step.

# %%
starts = noise_errors[0] / hat_errors[0]
check("noise starts with an error at least ten times as large", starts > 10, f"{starts:.0f} times")
check("both arrive at the same error, to 2 %", abs(error_noise / error_learned - 1) < 0.02)
figure = viz.curves(
    {"from noise": noise_errors, "from the hat": hat_errors},
    "step",
    "squared error of the batch",
    "Starting from the hat saves the way there, the end is the same",
    log=True,
)
viz.save_figure(figure, "10_training")

# %%
lines = {"hat": hat8, "noise, before": noise, "noise, after": from_noise, "hat, after": from_hat}
change = from_hat - hat8
figure, axes = viz.new_figure(
    "Kernels before and after learning edges: nearly the hat, higher in the middle, lower at the rim",
    columns=5,
    width=11,
    height=2.8,
    titles=[*lines, "hat, after - before"],
)
for ax, kernel in zip(axes, lines.values()):
    ax.imshow(kernel, vmin=-0.1, vmax=1)
axes[4].imshow(change, cmap="RdBu_r", vmin=-0.15, vmax=0.15)
for ax in axes:
    ax.set(xticks=[], yticks=[])
    ax.grid(False)
    ax.spines[:].set_visible(False)
viz.save_figure(figure, "10_kernels")

# %% [markdown]
# ## Lower error, better labels?
# A segmentation is not judged by squared error, but by which side of the edge a pixel is put on. Count
# that. A narrower kernel has gone a step towards nearest neighbour, whose edges are stairs.

# %%
nearest = np.pad(np.ones((s, s)), s // 2)
_, wrong_nearest = judge(nearest)
print(f"  on the wrong side: hat {wrong_hat:.2%}, learned {wrong_learned:.2%}, nearest neighbour {wrong_nearest:.2%}")
check("the learned kernel puts *more* pixels on the wrong side", wrong_learned > wrong_hat)
check("nearest neighbour puts yet more there", wrong_nearest > wrong_learned)

# %% [markdown]
# The hat was already good, and what training lowers is the loss it is given, nothing else. So it is
# no wonder that learning the interpolation did little for the paper's networks. The paper says of the
# intermediate upsamplings: initialised to bilinear, then learned; the last is fixed. In the public code
# all are fixed, and the authors report no significant difference in accuracy, at a slightly higher speed.
# They add that this is about one kernel for each class; non-linear upsampling may have more to learn.

# %% [markdown]
# # One kernel for each class
# Upsampling should not turn a bus into a car. The weight of a layer for 21 classes has 21x21 kernels,
# one for each pair (from, to). Interpolation needs the 21 on the diagonal, and zeros elsewhere. Fill *every*
# pair with the hat, and each class gets the sum of all.

# %%
scores = rng.normal(size=(1, 5, 6, 6))
per_class = ConvTranspose2d(5, 5, 4, stride=2, bias=False, dtype=np.float64).init_bilinear()
each_alone = np.concatenate([ops.bilinear_upsample(scores[:, [c]], 4, 2) for c in range(5)], axis=1)
diagonal_gap = np.abs(per_class(scores) - each_alone).max()
check("the diagonal upsamples each class alone", diagonal_gap < 1e-12, f"{diagonal_gap:.0e}")

every_pair = np.tile(hat, (5, 5, 1, 1))
mixed = ops.conv_transpose2d(scores, every_pair, None, 2)
summed = ops.bilinear_upsample(scores.sum(axis=1, keepdims=True), 4, 2)
mixed_gap = np.abs(mixed - summed).max()
check("every pair filled: all classes have the same score, their sum", mixed_gap < 1e-12, f"{mixed_gap:.0e}")

# %% [markdown]
# And a diagonal does not stay one: the zeros beside it have a gradient, too. If such a layer is learned, the
# classes begin to mix at the first step. In a loss over classes that can even help, as any 1x1
# convolution between them could; but it is no longer interpolation.

# %%
labels = rng.integers(0, 5, (1, 14, 14))
loss, dscores = ops.softmax_cross_entropy(per_class(scores), labels)
per_class.backward(dscores)
beside = per_class.grads["weight"][~np.eye(5, dtype=bool)]
check("kernels beside the diagonal have a gradient", np.abs(beside).max() > 1e-4, f"{np.abs(beside).max():.0e}")

# %% [markdown]
# # Why in one step?
# Why not 32 -> 16 -> 8 -> 4 -> 2 -> 1, a doubling each time? First: **several linear steps are one
# linear step.** Nothing stands between them, no ReLU. Upsample the first kernel with the second, use
# the result at the product of the strides, and get the same numbers.

# %%
first, second = rng.normal(size=(4, 4)), rng.normal(size=(4, 4))


def convt(x, kernel, stride):
    """One channel through a transposed convolution with this kernel."""
    return ops.conv_transpose2d(x, kernel[None, None], None, stride)


x = rng.normal(size=(1, 1, 6, 6))
two_steps = convt(convt(x, first, 2), second, 2)
composed = convt(first[None, None], second, 2)[0, 0]
composed_gap = np.abs(two_steps - convt(x, composed, 4)).max()
check("two steps of stride 2 = one of stride 4, kernel 10x10", composed.shape == (10, 10) and composed_gap < 1e-12)

with_relu = convt(np.maximum(convt(x, first, 2), 0), second, 2)
opposite = convt(np.maximum(convt(-x, first, 2), 0), second, 2)
check("without a ReLU, f(-x) = -f(x)", np.allclose(convt(convt(-x, first, 2), second, 2), -two_steps, atol=1e-12))
check("with a ReLU in between not: no single kernel does that", np.abs(with_relu + opposite).max() > 1)

# %% [markdown]
# So five steps can do nothing that one step cannot. They have fewer weights, 5 x 16 instead of 94 x 94 for
# the kernel they amount to, and do a third more multiplications than one step with the hat of 64: each
# coarse pixel costs `k * k` in its step.

# %%
one_step = 64**2
five_steps = sum(4**i * 4**2 for i in range(5))
print(f"multiplications per score: one step {one_step}, five steps {five_steps}")
check("five steps multiply more, by a third", 1.3 < five_steps / one_step < 1.4, f"{five_steps / one_step:.2f} times")

# %% [markdown]
# ## Is it the same with the hat?
# Not quite. The hat of size 4 never gives a coarse number itself, only points at 1/4 and 3/4 of the way. The
# next step connects *those* with straight lines: it cuts the corner off, the one after it cuts off new
# corners. (It is known as Chaikin's corner cutting; the limit is a curve of parabolas with the peak 3/4.)
# The hat of size 3 keeps the coarse numbers and adds points on the lines between. On a straight line
# a second cut changes nothing.


# %%
def doubled(x, size, times=5):
    """x upsampled by two, several times, with the hat of this size."""
    for _ in range(times):
        x = ops.bilinear_upsample(x, size, 2)
    return x


def middle(y, size):
    """As much from the middle of y."""
    cut = (y.shape[2] - size) // 2
    return y[:, :, cut : cut + size, cut : cut + size]


dot = np.ones((1, 1, 1, 1))
even_once, even_five = ops.bilinear_upsample(dot, 64, 32)[0, 0], doubled(dot, 4)[0, 0]
odd_once, odd_five = ops.bilinear_upsample(dot, 63, 32)[0, 0], doubled(dot, 3)[0, 0]
odd_gap = np.abs(odd_once - odd_five).max()
peak_once, peak_five = np.sqrt(even_once.max()), np.sqrt(even_five.max())  # along one axis
check("odd kernels: five doublings of 3 are the hat of 63", odd_gap < 1e-12, f"{odd_gap:.0e}")
check("even kernels: the peak is 63/64 after one step", abs(peak_once - 63 / 64) < 1e-12)
check("and 3/4 after five", abs(peak_five - 3 / 4) < 1e-12)
check("both paint the same amount", abs(even_once.sum() - even_five.sum()) < 1e-9)

# %%
scores = rng.normal(size=(1, 21, 12, 12))
once = ops.bilinear_upsample(scores, 64, 32)
five = middle(doubled(scores, 4), once.shape[2])
paper = middle(ops.bilinear_upsample(ops.bilinear_upsample(scores, 4, 2), 32, 16), once.shape[2])
inner = np.s_[:, 64:-64, 64:-64]
winner, winner_five, winner_paper = (y.argmax(axis=1)[inner] for y in (once, five, paper))
agree, agree_paper = (winner == winner_five).mean(), (winner == winner_paper).mean()
odd = ops.bilinear_upsample(scores, 63, 32).argmax(axis=1)
agree_odd = (odd == doubled(scores, 3).argmax(axis=1)).mean()
check("on noise one step and five agree in most pixels, not in all", 0.7 < agree < 0.95, f"{agree:.0%}")
check("so do x32 and FCN-16s' x2, x16", 0.7 < agree_paper < 0.95, f"{agree_paper:.0%}")
check("with odd kernels they agree everywhere, but for ties by rounding", agree_odd > 0.9999, f"{agree_odd:.2%}")

# %% [markdown]
# Noise is the worst case; scores of a trained net are smoother, and there the two agree in nearly all pixels.

# %%
blurred = middle(ops.bilinear_upsample(rng.normal(size=(1, 21, 4, 4)), 8, 4), 12)
calm, calm_five = ops.bilinear_upsample(blurred, 64, 32), doubled(blurred, 4)
agree_calm = (calm.argmax(axis=1)[inner] == middle(calm_five, calm.shape[2]).argmax(axis=1)[inner]).mean()
check("on smooth scores they agree in 97 % and more", agree_calm > 0.97, f"{agree_calm:.1%}")

# %%
figure, axes = viz.new_figure(
    "Upsampled by 32: five doublings round off what one step leaves pointed",
    columns=3,
    width=10,
    height=3.6,
    titles=["one score, along one axis", "winning class on noise, one step", "five doublings"],
)
for name, y in (("one step, 64", even_once), ("five times 4", even_five), ("five times 3", odd_five)):
    style = "--" if name == "five times 3" else "-"  # it lies on the first line
    axes[0].plot(np.arange(len(y)) - (len(y) - 1) / 2, y.sum(axis=0) / 32, style, label=name)
axes[0].set(xlabel="pixels from the middle", ylabel="weight", ylim=(0, 1.3))
axes[0].legend(loc="upper right", fontsize=8)
for ax, labels in zip(axes[1:], (winner[0], winner_five[0])):
    ax.imshow(viz.colourise(labels))
    ax.set(xticks=[], yticks=[])
    ax.grid(False)
    ax.spines[:].set_visible(False)
viz.save_figure(figure, "10_steps")

# %% [markdown]
# ## So, why one step?
# Because stopping on the way pays only if something happens there. With nothing in between, five steps are
# one step with a rounder kernel, and cost more. With something in between they are worth it: FCN-16s stops at
# 16 to add the scores of `pool4`, FCN-8s again at 8 for `pool3` (lesson 12). Later networks put convolutions
# and ReLUs there, and then each step learns what no single kernel can.

# %% [markdown]
# # What could fool you
# **A test on a straight ramp.** To see whether five doublings equal one step of 32, one takes a map that is
# easy to look at, a slope. Cutting corners changes nothing where there are none: both are equal to the last
# digit. The conclusion is wrong, the noise above has shown it.

# %%
ramp = (np.arange(12.0) + 2 * np.arange(12.0)[:, None])[None, None]
ramp_once = ops.bilinear_upsample(ramp, 64, 32)
ramp_gap = np.abs(ramp_once - middle(doubled(ramp, 4), ramp_once.shape[2]))[0][inner].max()
noise_gap = np.abs(once - five)[0][inner].max()
check("on a ramp one step and five are equal", ramp_gap < 1e-9, f"{ramp_gap:.0e}")
check("on noise they are not", noise_gap > 0.5, f"{noise_gap:.1f}")

# %% [markdown]
# **A fit that includes the border.** Take no care of the border in the first fit. The error falls a
# hundredfold and more, and the kernel looks like the hat. But it is not: it has tried to make up for the
# missing neighbours of the outermost pixels, which no kernel can.

# %%
with_border, border_errors = fit(start, coarse, target, stride=2, rate=4, steps=60, border=0)
border_gap = np.abs(with_border - hat).max()
fell = border_errors[0] / border_errors[-1]
check("the error fell a hundredfold", fell > 100, f"{fell:.0f} times")
check("the kernel is not the hat", 0.01 < border_gap < 0.2, f"off by {border_gap:.2f}")

# %% [markdown]
# ## Exercises
# 1. *Trace.* Upsample the row 0 0 4 0 0 by 2 with the hat (1, 3, 3, 1)/4, then again by 2. Upsample it by 4
#    at once, with the hat of size 8. What is the largest number of each?
# 2. *Change.* Give the edge fit a larger kernel, 12 instead of 8. How much does it gain? (Use least squares
#    instead of 300 steps: each tap is one unknown.)
# 3. *Prove.* Show that doubling with (1, 2, 1)/2 and then upsampling by `s` with the hat of size `2s - 1` is
#    upsampling by `2s` with the hat of size `4s - 1`.
#
# Answers: `lessons/solutions/solution_10_learned_interpolation.py`

# %% [markdown]
# ## Claims

# %%
claims(
    [
        ("a kernel fitted to bilinear targets is the hat", hat_gap < 1e-8, "1e-8: 60 steps of gradient descent"),
        ("the hat leaves nothing to learn there", rest < 1e-12, "1e-12: rounding"),
        ("on edges the learned kernel has a lower squared error", error_learned < error_hat, "an order, on new edges"),
        ("by less than a tenth", gain < 0.1, "4 % on three other seeds"),
        ("the learned kernel is narrower than the hat", narrower, ".1 and .01; least squares gives .18 and -.05"),
        ("it puts more pixels on the wrong side", wrong_learned > wrong_hat, "an order; twice as many on other seeds"),
        ("both starts end at the same error", abs(error_noise / error_learned - 1) < 0.02, "2 %: 300 noisy steps"),
        ("diagonal kernels keep the classes apart", diagonal_gap < 1e-12, "1e-12: two orders of summation"),
        ("kernels for every pair add them up", mixed_gap < 1e-12, "1e-12: two orders of summation"),
        ("two linear steps are one", composed_gap < 1e-12, "1e-12: two orders of summation"),
        ("five steps multiply a third more", 1.3 < five_steps / one_step < 1.4, "counted"),
        ("five doublings = x32 for odd kernels", odd_gap < 1e-12, "1e-12: rounding"),
        ("not for even ones: peak 3/4", abs(peak_five - 3 / 4) < 1e-12 < peak_once - 0.2, "1e-12: rounding"),
        ("on noise the winners agree in most pixels only", 0.7 < agree < 0.95, "a share; .86 on another seed"),
        ("on smooth scores in nearly all", agree_calm > 0.97, "a share; .99 on another seed"),
        ("a ramp does not show the difference", ramp_gap < 1e-9 and noise_gap > 0.5, "1e-9: numbers up to 33"),
        ("a fit with the border misses the hat", border_gap > 0.01, ".01: without the border it reaches 1e-8"),
    ]
)

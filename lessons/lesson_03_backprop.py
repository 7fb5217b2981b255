"""Lesson 3: How do I know that my backward is right?

Afterwards you can say what an upstream gradient is, write the backward of a convolution, a ReLU and a max-pool
by hand, and test any backward with two forwards. You will also know why a test with ones proves nothing.

Needs: lesson 2 (what a convolution computes)
Runtime: 2 s on 2 cores
"""

# %% [markdown]
# # What comes back
#
# A network turns an image into one number, the loss `L`. Learning asks for the opposite way: if
# this pixel, or this weight, grew a little, how fast would `L` grow? **Backpropagation** answers
# layer by layer, from the loss to the image.
#
# A layer knows nothing about `L`. It is handed `dy`, the **upstream gradient**. `dy` has the shape
# of `y`, and `dy[i, j]` says how fast `L` grows with `y[i, j]`. The layer's **backward** turns it
# into `dx`, which has the shape of `x` and says how fast `L` grows with each `x[i, j]`. For the
# layer below, `dx` is then the upstream gradient.
#
# A convolution of a 3x3 image with a 2x2 kernel has four outputs. Here is a `dy` for them:
#
#     kernel     dy          dx
#     1  2       1  0        ?  ?  ?
#     3  4       0 -1        ?  ?  ?
#                            ?  ?  ?

# %% [markdown]
# ## Predict
# Two of the four outputs matter to the loss: the first, and (with a minus) the last. Each of them
# looked at four pixels through the kernel. Write down the nine numbers of `dx` before you go on.
#
# Start with the pixel in the middle. Which outputs saw it, and through which weight?

# %%
import numpy as np

from fcn_from_scratch.course import check, claims

kernel = np.array([[1.0, 2.0], [3.0, 4.0]])
dy = np.array([[1.0, 0.0], [0.0, -1.0]])

# %% [markdown]
# ## By hand
# Output `y[0, 0]` saw the four pixels at the top left: `x[0, 0]` through weight 1, `x[0, 1]`
# through 2, `x[1, 0]` through 3, `x[1, 1]` through 4. Its gradient, 1, goes back to them through
# the same weights. Output `y[1, 1]` saw the four at the bottom right, and hands back -1 times the
# kernel. Both saw the middle pixel. What they hand back **adds up**: 4 * 1 + 1 * (-1) = 3.

# %%
by_hand = np.array(
    [
        [1.0, 2.0, 0.0],
        [3.0, 4.0 - 1.0, -2.0],
        [0.0, -3.0, -4.0],
    ]
)

# %% [markdown]
# ## With a loop
# Forward: each output *gathers* the pixels below the kernel. Backward: each output *scatters* its
# gradient over the same pixels. It is the same line with the two sides exchanged.
#
#     forward    y[i, j]          += kernel[a, b] * x[i + a, j + b]
#     backward   dx[i + a, j + b] += kernel[a, b] * dy[i, j]
#                dkernel[a, b]    += x[i + a, j + b] * dy[i, j]
#
# The third line is the gradient by the kernel. Every output used every weight, so each weight
# collects from all outputs.


# %%
def conv_backward(dy, x, kernel):
    """The gradients of a plain convolution by its image and by its kernel."""
    dx, dkernel = np.zeros_like(x), np.zeros_like(kernel)
    for i, j in np.ndindex(dy.shape):
        for a, b in np.ndindex(kernel.shape):
            dx[i + a, j + b] += kernel[a, b] * dy[i, j]
            dkernel[a, b] += x[i + a, j + b] * dy[i, j]
    return dx, dkernel


x = np.arange(9.0).reshape(3, 3)
dx, dkernel = conv_backward(dy, x, kernel)
print(dx)

# %% [markdown]
# ## With the package
# The package does this for batches and channels, with a stride, a padding, a dilation, and a bias.
# `[None, None]` makes a 3x3 image a batch of one image with one channel.

# %%
from fcn_from_scratch import ops

packaged, packaged_kernel, dbias = ops.conv2d_backward(dy[None, None], x[None, None], kernel[None, None])
check("the loop gives the gradient by hand", np.array_equal(dx, by_hand))
check("so does the package", np.allclose(packaged[0, 0], by_hand, rtol=0, atol=1e-12))
check("the kernel's gradient agrees too", np.allclose(packaged_kernel[0, 0], dkernel, rtol=0, atol=1e-12))
check("the bias went into every output once: its gradient is the sum of dy", dbias[0] == dy.sum())

# %% [markdown]
# # Asking the forward
# Three ways agree, but they share one author. A better witness is the forward itself. Nudge one
# pixel up and down by a small `eps`, and see what happens to a loss.
#
# Which loss has the upstream gradient `dy`? The simplest one is `L = sum(dy * y)`. Its gradient by
# `y[i, j]` is `dy[i, j]`, as ordered.


# %%
def conv(x, kernel):
    return ops.conv2d(x[None, None], kernel[None, None])[0, 0]


def loss(x):
    return (dy * conv(x, kernel)).sum()


eps = 1e-5
nudge = np.zeros((3, 3))
nudge[1, 1] = eps
middle = (loss(x + nudge) - loss(x - nudge)) / (2 * eps)
check("nudging the middle pixel gives 3", abs(middle - 3) < 1e-8, f"{middle:.10f}")

# %% [markdown]
# ## All nudges at once: the Jacobian
# Nudge every pixel and watch every output, and you have a table: the **Jacobian** `J`. Row `i` is
# an output, column `j` a pixel, and `J[i, j]` says how fast output `i` grows with pixel `j`. What
# backward computes is `dx = J.T @ dy`, a **vector-Jacobian product**, VJP for short.
#
# `J` can be had from both sides. From forward, a column at a time: nudge pixel `j`. From backward,
# a row at a time: set `dy` to 1 at output `i`, and to 0 elsewhere.

# %%
from fcn_from_scratch.gradcheck import numerical_jacobian, vjp_jacobian

rng = np.random.default_rng(3)
small = rng.normal(size=(4, 5))
tall = np.array([[1.0, -2.0], [0.5, 1.5], [-1.0, 2.5]])  # a kernel that is not square
upstream = rng.normal(size=conv(small, tall).shape)

jacobian = numerical_jacobian(lambda x: conv(x, tall), small)
from_backward = vjp_jacobian(lambda dy: conv_backward(dy, small, tall)[0], upstream.shape)
backward_now = conv_backward(upstream, small, tall)[0]
print("image", small.shape, "output", upstream.shape, "Jacobian", jacobian.shape)
check("both sides give the same Jacobian", np.allclose(jacobian, from_backward, rtol=0, atol=1e-8))
check("backward is J.T @ dy", np.allclose(jacobian.T @ upstream.ravel(), backward_now.ravel(), rtol=0, atol=1e-8))

# %% [markdown]
# This test is complete, and hopeless for a real network. Take the first convolution of VGG16 on an
# image of 500x500: 3 channels in, 64 out. How large is its Jacobian?

# %%
rows, columns = 64 * 500 * 500, 3 * 500 * 500
terabytes = rows * columns * 8 / 1e12
check("VGG16's first Jacobian would fill fifty disks of a terabyte", terabytes > 50, f"{terabytes:.0f} TB")

# %% [markdown]
# # Two forwards instead of a million
# Nobody has to see `J`. Move *all* pixels at once along a random direction `v`. Then
#
#     dy . (J v)     comes from two forwards:   sum(dy * (f(x + eps v) - f(x - eps v))) / (2 eps)
#     (J.T dy) . v   comes from one backward:   sum(dx * v)
#
# The two are the same number, however the brackets are set. If `dx` is wrong anywhere, a random `v`
# points at the mistake a little, and the two numbers differ. The whole check fits into six lines.


# %%
def check_along(forward, backward, x, dy, v, eps=1e-5):
    """The relative error between dy . (J v), by two forwards, and (J.T dy) . v, by backward."""
    moved = forward(x + eps * v) - forward(x - eps * v)
    numeric = (dy * moved).sum() / (2 * eps)
    analytic = (backward(dy) * v).sum()
    return abs(numeric - analytic) / max(abs(numeric), abs(analytic))


v = rng.normal(size=small.shape)
error = check_along(lambda x: conv(x, tall), lambda dy: conv_backward(dy, small, tall)[0], small, upstream, v)
check("six lines vouch for the whole convolution", error < 1e-6, f"relative error {error:.0e}")

# %% [markdown]
# `gradcheck.vjp_check` is the same with some care: several directions, several inputs, complaints
# that name a wrong shape. This is how every operation of the package is tested. Shapes are chosen
# so that no two sizes are equal: on a square case an exchanged axis goes unnoticed.

# %%
from fcn_from_scratch.gradcheck import away_from_zero, spaced, vjp_check

image, weight, bias = rng.normal(size=(2, 3, 7, 6)), rng.normal(size=(4, 3, 3, 2)), rng.normal(size=4)
options = {"stride": (2, 1), "padding": (1, 0)}
errors = {
    "convolution": vjp_check(
        lambda x, w, b: ops.conv2d(x, w, b, **options),
        lambda dy: ops.conv2d_backward(dy, image, weight, **options),
        [image, weight, bias],
        rng,
    )
}
check("convolution, by image, weight and bias", errors["convolution"] < 1e-6, f"{errors['convolution']:.0e}")

# %% [markdown]
# # Never check with ones
# Most gradient checks you will meet sum up the output and differentiate the sum. A sum is a loss
# whose upstream gradient is **1 everywhere**. Here is a backward that reads `dy` upside down. It
# hands each output's gradient to the pixels of the *opposite* output.
#
# ## Predict
# Does the check with ones notice? Does the check with random numbers?


# %%
def flipped_backward(dy):
    """Wrong: the first output's gradient goes where the last one looked."""
    return conv_backward(dy[::-1, ::-1], small, tall)[0]


ones = np.ones(upstream.shape)
with_ones = check_along(lambda x: conv(x, tall), flipped_backward, small, ones, v)
with_random = check_along(lambda x: conv(x, tall), flipped_backward, small, upstream, v)
check("the flipped backward passes the check with ones", with_ones < 1e-6, f"{with_ones:.0e}")
check("and fails the check with random numbers", with_random > 1e-2, f"{with_random:.1f}")
wrong_error = vjp_check(lambda x: conv(x, tall), flipped_backward, [small], rng)
check("vjp_check draws dy at random and is not fooled", wrong_error > 1e-2, f"{wrong_error:.1f}")

# %% [markdown]
# Ones, flipped, are still ones. The picture says it with Jacobians. Reading `dy` upside down is the
# same as turning the rows of `J` upside down. All that ones can see of `J` is the sum of each
# column, and a sum does not care about order. In segmentation *where* an output is is the whole
# point, so this is the one mistake a check must find.

# %%
from fcn_from_scratch import viz

jacobian_flipped = vjp_jacobian(flipped_backward, upstream.shape)
figure, axes = viz.new_figure(
    "Ones see the column sums of a Jacobian, and miss that its rows are in the wrong order",
    columns=2,
    rows=2,
    height=4.2,
    titles=["forward's Jacobian", "that of the flipped backward"],
)
limit = abs(jacobian).max()
for column, matrix in enumerate((jacobian, jacobian_flipped)):
    top, below = axes[:, column]
    top.imshow(matrix, cmap="RdBu_r", vmin=-limit, vmax=limit, aspect="auto")
    below.bar(range(matrix.shape[1]), matrix.sum(axis=0), color="#6b6b6b")
    below.set(xlabel="pixel (column)", ylim=(-5, 5), xlim=(-0.5, matrix.shape[1] - 0.5))
    top.grid(False)
axes[0, 0].set_ylabel("output (row)")
axes[1, 0].set_ylabel("column sum")
viz.save_figure(figure, "03_ones")
check(
    "the column sums are equal, the matrices are not",
    np.allclose(jacobian.sum(axis=0), jacobian_flipped.sum(axis=0), rtol=0, atol=1e-7)
    and abs(jacobian - jacobian_flipped).max() > 0.1,
)

# %% [markdown]
# # ReLU: a row of gates
# `y = max(x, 0)`. Where `x` was positive the output moves with it, and `dy` passes. Elsewhere
# nothing moves, and nothing passes: `dx = dy * [x > 0]`. The package asks the *output*, `[y > 0]`,
# which is the same set, since the next layer has to keep `y` anyway.
#
# And at `x = 0`? To the right the slope is 1, to the left it is 0. There is a **kink**, and no
# derivative. The usual choice is 0, here and in PyTorch. A central difference takes the mean of both sides.
#
# ## Predict
# Which number will the nudge report at `x = 0`?

# %%
x0 = np.array([0.0])
at_kink = float((ops.relu(x0 + eps) - ops.relu(x0 - eps))[0] / (2 * eps))
by_backward = float(ops.relu_backward(np.array([1.0]), ops.relu(x0))[0])
check("at the kink the nudge says 1/2", abs(at_kink - 0.5) < 1e-9)
check("and backward says 0", by_backward == 0)

# %% [markdown]
# Neither is wrong, but a test that compares them fails. So the test must keep away from kinks: no
# value may cross one while it is moved by `eps * v`. `away_from_zero` draws values with `|x| >= 0.1`.
# One single value in the way of the step is enough to make a right backward look wrong.


# %%
def relu_error(x):
    return vjp_check(ops.relu, lambda dy: ops.relu_backward(dy, ops.relu(x)), [x], rng)


safe = away_from_zero(rng, (2, 3, 7, 6))
risky = safe.copy()
risky[0, 0, 0, 0] = 1e-6  # a tenth of a step from the kink
errors["ReLU"], kink_error = relu_error(safe), relu_error(risky)
check("one value of 252 at the kink: a right backward looks wrong", kink_error > 1e-3, f"{kink_error:.0e}")
check("away from the kink it does not", errors["ReLU"] < 1e-9, f"{errors['ReLU']:.0e}")

# %% [markdown]
# # Max-pool: a switch
# The largest pixel of each window goes through, so it alone can change the output, and it alone
# gets the gradient. The others get zero, however close behind they were. Forward must remember
# *where* the winner stood. The package calls these positions `indices`; papers call them
# **switches**.
#
#     x                 windows of 2x2         dy         dx
#     1  5 | 2  0       largest: 5 and 7       10  20     0 10  0  0
#     3  4 | 7  6                                         0  0 20  0

# %%
rows_of_x = np.array([[1.0, 5.0, 2.0, 0.0], [3.0, 4.0, 7.0, 6.0]])[None, None]
pooled, indices = ops.max_pool2d(rows_of_x, 2)
routed = ops.max_pool2d_backward(np.array([[[[10.0, 20.0]]]]), indices, rows_of_x.shape)
print("largest", pooled.ravel(), "at flat positions", indices.ravel())
check("the gradient is at the winners", np.array_equal(routed[0, 0], [[0, 10, 0, 0], [0, 0, 20, 0]]))

# %% [markdown]
# Now with a loop, on two images of three channels, with windows of 3x2 that overlap. A pixel may
# win several windows. What does it get then? Say so before you read the loop.

# %%
from itertools import product

image = spaced(rng, (2, 3, 7, 6))  # all values differ by 0.01 or more
window = {"kernel_size": (3, 2), "stride": (2, 1)}
y, indices = ops.max_pool2d(image, **window)
dy = rng.normal(size=y.shape)

# %%
by_loop, wins = np.zeros_like(image), np.zeros(image.shape, dtype=int)
for n, c, i, j in product(*map(range, y.shape)):
    part = image[n, c, 2 * i : 2 * i + 3, j : j + 2]
    a, b = np.unravel_index(part.argmax(), part.shape)
    by_loop[n, c, 2 * i + a, j + b] += dy[n, c, i, j]
    wins[n, c, 2 * i + a, j + b] += 1

# %% [markdown]
# It gets the *sum*: once more the scatter line, `+=`. The package agrees.

# %%
pool_dx = ops.max_pool2d_backward(dy, indices, image.shape)
errors["max-pool"] = vjp_check(
    lambda x: ops.max_pool2d(x, **window)[0],
    lambda dy: ops.max_pool2d_backward(dy, indices, image.shape),
    [image],
    rng,
)
check("max-pool routes dy to the winners only", np.array_equal(pool_dx != 0, wins > 0))
check("a pixel that wins twice gets the sum", wins.max() > 1 and np.allclose(pool_dx, by_loop, rtol=0, atol=1e-12))
check("and the VJP agrees", errors["max-pool"] < 1e-6, f"{errors['max-pool']:.0e}")

# %% [markdown]
# ## Ties
# What if two pixels are equally large? Again a kink, and again somebody has to choose. Caffe,
# PyTorch and this package take the **first** in reading order. Nudging one pixel of an all-equal
# window gives 1/2 for each of the four (up, it wins; down, another one does), 2 in all. Yet when
# all four move together the output moves by 1, not by 2. At a tie there is no right answer. There
# is only a convention, and the duty to keep it.

# %%
equal = np.ones((1, 1, 2, 2))
first_wins = ops.max_pool2d_backward(np.ones((1, 1, 1, 1)), ops.max_pool2d(equal, 2)[1], equal.shape)
nudged = numerical_jacobian(lambda x: ops.max_pool2d(x, 2)[0], equal)
check("of equal pixels the first gets everything", np.array_equal(first_wins[0, 0], [[1, 0], [0, 0]]))
check("each nudge says 1/2", np.allclose(nudged, 0.5, rtol=0, atol=1e-9))

# %% [markdown]
# ## The switch map
# A smooth picture, pooled 2x2. White rings mark the winners. The gradient `dy` arrives on the small
# grid and lands on the rings, nowhere else. Three quarters of the pixels learn nothing from this
# step. Lesson 9 runs these switches *forwards*, to get back up to a finer grid.

# %%
yy, xx = np.mgrid[0:8, 0:12]
picture = np.sin(0.9 * xx + 0.5) * np.cos(0.7 * yy) + 0.05 * rng.normal(size=(8, 12))
pooled, where = ops.max_pool2d(picture[None, None], 2)
sent = rng.normal(size=pooled.shape)
received = ops.max_pool2d_backward(sent, where, (1, 1, 8, 12))
ring_y, ring_x = np.divmod(where.ravel(), 12)

# %%
figure, axes = viz.new_figure(
    "Max-pool sends each gradient back to the pixel that won, and to no other",
    rows=2,
    columns=2,
    width=7.2,
    height=5.2,
    titles=["x, a ring on the winner of each window", "y, the winners", "dx: zero off the rings", "dy, upstream"],
)
maps = [(picture, "viridis"), (pooled[0, 0], "viridis"), (received[0, 0], "RdBu_r"), (sent[0, 0], "RdBu_r")]
for ax, (values, colours) in zip(axes.flat, maps):
    limit = abs(values).max()
    ax.imshow(values, cmap=colours, vmin=-limit, vmax=limit)
    ax.set(xticks=[], yticks=[])
    if values.shape == (8, 12):
        ax.set(xticks=np.arange(1.5, 11, 2), yticks=np.arange(1.5, 7, 2), xticklabels=[], yticklabels=[])
        ax.plot(ring_x, ring_y, "o", color="none", markeredgecolor="#ffffff" if ax is axes[0, 0] else "#444444")
    ax.tick_params(length=0)
viz.save_figure(figure, "03_switches")
check("one pixel in four gets a gradient", np.count_nonzero(received) == picture.size // 4)

# %% [markdown]
# # A fork adds
# FCN-8s feeds `pool3` to two consumers: to `conv4`, and to a score layer. A change of `pool3`
# reaches the loss both ways, so its gradient is the **sum** of what both send back. The same
# holds for a *weight* that is used twice. This is why `backward` **adds** to a layer's `grads` here,
# and why `zero_grad()` exists.

# %%
left, right = rng.normal(size=(4, 3, 3, 2)), rng.normal(size=(4, 3, 3, 2))
fork_in = rng.normal(size=(2, 3, 7, 6))


def fork(x):
    return ops.conv2d(x, left) + np.tanh(ops.conv2d(x, right))


def fork_backward(dy, both=True):
    slope = 1 - np.tanh(ops.conv2d(fork_in, right)) ** 2
    dx_left = ops.conv2d_backward(dy, fork_in, left)[0]
    dx_right = ops.conv2d_backward(dy * slope, fork_in, right)[0]
    return dx_left + dx_right if both else dx_right


# %%
errors["fork"] = vjp_check(fork, fork_backward, [fork_in], rng)
one_sided = vjp_check(fork, lambda dy: fork_backward(dy, both=False), [fork_in], rng)
check("the two gradients of a fork, added, are right", errors["fork"] < 1e-6, f"{errors['fork']:.0e}")
check("one of them alone is not", one_sided > 1e-2, f"{one_sided:.1f}")

# %%
from fcn_from_scratch.layers import Conv2d

layer = Conv2d(3, 4, (3, 2), rng=rng, dtype=np.float64)
dys = rng.normal(size=(2, 4, 5, 5))
collected = {}
for name, images, dy in (("first", fork_in[:1], dys[:1]), ("second", fork_in[1:], dys[1:]), ("batch", fork_in, dys)):
    layer.zero_grad()
    layer.forward(images)
    layer.backward(dy)
    collected[name] = layer.grads["weight"].copy()
added = collected["first"] + collected["second"]
check(
    "the gradients of two images add up to that of the batch",
    np.allclose(added, collected["batch"], rtol=0, atol=1e-12),
)

# %% [markdown]
# # How small is a small step?
# A central difference is wrong for two reasons, and they pull in opposite directions. With a
# **large** step the curve bends: the error grows with `eps**2`. With a **small** one `f(x + eps)`
# and `f(x - eps)` agree in nearly all digits, and little is left after subtraction: the error grows
# with `1e-16 / eps`.
#
# ## Predict
# Put the two together. Where is the best step for a curved layer? And for a convolution, which has
# no curve at all? What will ReLU do, with values that lie anywhere?

# %%
steps = 10.0 ** np.arange(-12, 0.1, 0.5)
field, plain = rng.normal(size=(2, 7, 5, 4)), rng.normal(size=(2, 3, 7, 6))
curved = {"size": 5, "alpha": 0.7, "beta": 0.75, "k": 1.0}
examples = {
    "normalisation (curved)": (
        lambda x: ops.local_response_norm(x, **curved),
        lambda dy: ops.local_response_norm_backward(dy, field, **curved),
        field,
    ),
    "convolution (straight)": (
        lambda x: ops.conv2d(x, left),
        lambda dy: ops.conv2d_backward(dy, plain, left)[0],
        plain,
    ),
    "ReLU (kinks anywhere)": (ops.relu, lambda dy: ops.relu_backward(dy, ops.relu(plain)), plain),
}

# %%
curves = {}
for name, (forward, backward, x) in examples.items():
    curves[name] = np.array([vjp_check(forward, backward, [x], np.random.default_rng(0), 5, step) for step in steps])

# %%
figure = viz.curves(
    {name: (steps, np.maximum(error, 1e-16)) for name, error in curves.items()},
    xlabel="step eps",
    ylabel="relative error",
    caption="Too small a step drowns in rounding, too large a step meets curves and kinks",
    log=True,
)
ax = figure.axes[0]
ax.set(xscale="log", ylim=(1e-16, 10))
ax.axvline(1e-5, color="#999999", linewidth=0.9, linestyle="--")
ax.text(1.3e-5, 2e-16, "the package's step, 1e-5", color="#777777", fontsize=8)
viz.save_figure(figure, "03_step_size")

# %%
v_curve = curves["normalisation (curved)"]
straight = curves["convolution (straight)"]
best = steps[v_curve.argmin()]
at = {step: v_curve[np.isclose(steps, step)][0] for step in (1e-12, 1e-5, 1e-1)}
check("the best step for a curved layer lies between 1e-7 and 1e-3", 1e-7 <= best <= 1e-3, f"{best:.0e}")
check("1e-12 is much worse", at[1e-12] > 1e3 * at[1e-5], f"{at[1e-12]:.0e} against {at[1e-5]:.0e}")
check("and so is 1e-1", at[1e-1] > 1e3 * at[1e-5], f"{at[1e-1]:.0e}")
check("a straight layer likes large steps", straight[-1] < straight[np.isclose(steps, 1e-5)][0])

# %% [markdown]
# # What could fool you
# `dy` is random, `v` is random, and still a wrong backward can pass: when the *case* is symmetric.
#
# At stride 1, scattering `dy` is the same as a convolution of padded `dy` with the kernel **turned
# by 180 degrees**. Forget to turn it, and test on a nice kernel, say the bilinear one of FCN's
# upsampling. Turned, it looks the same.


# %%
def unturned_backward(dy, kernel):
    """Wrong unless the kernel looks the same upside down: it should be kernel[::-1, ::-1]."""
    kh, kw = kernel.shape
    return conv(np.pad(dy, ((kh - 1, kh - 1), (kw - 1, kw - 1))), kernel)


bilinear = ops.bilinear_kernel(4)
scene = rng.normal(size=(9, 8))
fooled, caught = (
    vjp_check(lambda x, k=k: conv(x, k), lambda dy, k=k: unturned_backward(dy, k), [scene], rng)
    for k in (bilinear, rng.normal(size=(4, 3)))
)
check("a kernel that is not turned passes on a symmetric kernel", fooled < 1e-6, f"{fooled:.0e}")
check("and fails on one that is not", caught > 1e-2, f"{caught:.1f}")

# %% [markdown]
# So draw *everything* at random, and make no two sizes equal: two images, three channels in, four
# out, height unlike width, kernel unlike stride. Every test of the package does.
#
# Run the whole table with `fcn gradcheck`. And check a layer of your own, any class with `forward`
# and `backward`:
#
#     fcn gradcheck my_layer.py:MyLayer --shape 2,3,7,6
#
# It says which gradient is wrong, and often how: a factor, a sign, a flipped `dy`.

# %% [markdown]
# # Exercises
# 1. **Trace.** (a) The kernel of the first cell, and `dy = [[0, 1], [2, 0]]`. What is `dx`?
#    (b) `x = [[1, 3, 2], [4, 6, 5]]`, windows of 2x2, stride 1, and `dy = [[10, 20]]`. What is `dx`?
# 2. **Change.** ReLU learns nothing from negative values. Let them pass, times a slope that is
#    *learned*, one per channel: `y = x` where `x > 0`, else `slope * x`. Write the layer with its
#    two gradients and run `fcn gradcheck` on it. Then let it overwrite `grads` instead of adding.
# 3. **Prove.** Let a backward be linear but wrong: it computes `(J.T + E) @ dy`. Show that the
#    check with ones passes for every `v` just when each row of `E` sums to zero. Show that random
#    numbers notice any `E` that is not zero, with probability 1.
#
# Answers: `lessons/solutions/solution_03_backprop.py`.

# %% [markdown]
# # Claims
# Everything this lesson showed, once more in one place.

# %%
claims(
    [
        (
            "the gradient by hand, by loop and by package are the same",
            np.array_equal(dx, by_hand) and np.allclose(packaged[0, 0], by_hand, rtol=0, atol=1e-12),
            "exact, and 1e-12: another order of summation",
        ),
        (
            "the Jacobian from forward is the Jacobian from backward",
            np.allclose(jacobian, from_backward, rtol=0, atol=1e-8),
            "1e-8: rounding of a difference quotient with eps 1e-6",
        ),
        (
            f"VJP error below 1e-6 for {', '.join(errors)}",
            max(errors.values()) < 1e-6,
            "right backwards lie near 1e-10, wrong ones near 1",
        ),
        (
            "a flipped backward passes the check with ones and fails the one with random numbers",
            with_ones < 1e-6 and with_random > 1e-2 and wrong_error > 1e-2,
            "between the two lie many orders of magnitude",
        ),
        (
            "max-pool routes dy to the winners only; one that wins twice gets the sum",
            np.array_equal(pool_dx != 0, wins > 0) and np.allclose(pool_dx, by_loop, rtol=0, atol=1e-12),
            "the places exactly; the sums to rounding",
        ),
        (
            "at a kink nudge and backward disagree, and neither is wrong",
            abs(at_kink - 0.5) < 1e-9 and by_backward == 0 and kink_error > 1e-3,
            "a mean of 0 and 1 is 1/2; one wrong slope among 252 weighs about a hundredth",
        ),
        (
            "a fork adds gradients: without one branch the check fails",
            errors["fork"] < 1e-6 and one_sided > 1e-2,
            "the missing half is as large as the other",
        ),
        (
            "the gradients of two images add up to that of the batch",
            np.allclose(added, collected["batch"], rtol=0, atol=1e-12),
            "1e-12: another order of summation",
        ),
        (
            "the error has its smallest value at a middle step",
            1e-7 <= best <= 1e-3 and min(at[1e-12], at[1e-1]) > 1e3 * at[1e-5],
            "theory: eps near the cube root of 1e-16",
        ),
        (
            "a kernel that is not turned passes on a symmetric kernel only",
            fooled < 1e-6 < caught,
            "the bilinear kernel turned by 180 degrees is itself",
        ),
    ]
)

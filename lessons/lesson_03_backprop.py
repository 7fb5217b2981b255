# %% [markdown]
"""
# Lesson 3: How do I know that my gradients are right?

After this lesson you can compute the gradients of a convolution, a ReLU and a max-pool by
hand, and test any gradient code by running a layer twice. You also know which mistakes a
test with ones cannot find.

Readers who know backpropagation can go straight to lesson 5, or read only "Never check with
ones".

Needs: lesson 2 (what a convolution computes). Words: the [glossary](../docs/glossary.md).

Runtime: 2 s on 2 cores
"""

# %% [markdown]
# ## From the loss to the image
# A network computes one number from an image, the loss `L`. This computation is called the
# *forward*. If one pixel or one weight grows a little, how fast does `L` grow?
# Backpropagation answers this question layer by layer, from the loss back to the image.
#
# A layer receives `dy`, the **upstream gradient**: `dy[i, j]` says how fast `L` grows with
# the layer's output `y[i, j]`. The layer's **backward** turns it into `dx`, which says how
# fast `L` grows with each input `x[i, j]`. For the layer below, `dx` is the upstream
# gradient. In formulas the two are
#
# $$
# dy_{ij} = \frac{\partial L}{\partial y_{ij}}, \qquad
#   dx_{ij} = \frac{\partial L}{\partial x_{ij}}
# $$
#
# A convolution of a 3x3 image with a 2x2 kernel has four outputs:
#
#     kernel     dy          dx
#     1  2       1  0        ?  ?  ?
#     3  4       0 -1        ?  ?  ?
#                            ?  ?  ?

# %% [markdown]
# ## Predict
# 1. What are the nine numbers of `dx`? Begin with the pixel in the middle: which outputs
#    used it, and with which weights?

# %%
import numpy as np

from fcn_from_scratch.course import check, claims, seed

SEED = seed()
kernel = np.array([[1.0, 2.0], [3.0, 4.0]])
dy = np.array([[1.0, 0.0], [0.0, -1.0]])

# %% [markdown]
# ## By hand
# Output `y[0, 0]` used the four pixels at the top left with the weights 1, 2, 3, 4. Its
# gradient is 1. So it sends 1 times the kernel back to these pixels. Output `y[1, 1]` has
# the gradient -1. So it sends -1 times the kernel to the four pixels at the bottom right.
# Both used the middle pixel, and what they send back **adds up**.

# %%
by_hand = np.array([[1.0, 2, 0], [3, 4 - 1, -2], [0, -3, -4]])

# %% [markdown]
# ## With a loop
# The forward *gathers* the pixels below the kernel. The backward *scatters* a gradient over
# them. The third line is the gradient with respect to the kernel. Every output used every
# weight, so each weight collects from all outputs.
#
#     forward    y[i, j]          += kernel[a, b] * x[i + a, j + b]
#     backward   dx[i + a, j + b] += kernel[a, b] * dy[i, j]
#                dkernel[a, b]    += x[i + a, j + b] * dy[i, j]


# %%
def conv_backward(dy, x, kernel):
    """The gradients of a convolution with respect to its image and to its kernel."""
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
# `[None, None]` makes a 3x3 image a batch of one image with one channel.

# %%
from fcn_from_scratch import ops

packaged, packaged_kernel, dbias = ops.conv2d_backward(
    dy[None, None], x[None, None], kernel[None, None]
)
check(
    "the loop gives the gradient by hand, with 3 in the middle",
    np.array_equal(dx, by_hand) and dx[1, 1] == 3,
)
check("so does the package", np.allclose(packaged[0, 0], by_hand, rtol=0, atol=1e-12))
check(
    "the kernel's gradient agrees too",
    np.allclose(packaged_kernel[0, 0], dkernel, rtol=0, atol=1e-12),
)
check(
    "the bias entered every output once: its gradient is the sum of dy",
    dbias[0] == dy.sum(),
)

# %% [markdown] tags=["answer"]
# > **Prediction 1.** The rows are 1 2 0, then 3 3 -2, then 0 -3 -4. The middle pixel gets
# > 4 * 1 + 1 * (-1) = 3. If you wrote 4 or -1 there, you forgot that two outputs used it.

# %% [markdown]
# ## A test that needs only the forward
# Three versions agree, but all may contain the same mistake. A better test uses only the
# forward. It changes a pixel by a small number $\varepsilon$ (`eps` in the code) and
# measures how the loss changes:
#
# $$
# \frac{\partial L}{\partial x} \approx
#   \frac{L(x + \varepsilon) - L(x - \varepsilon)}{2 \varepsilon}
# $$
#
# The simplest loss with the upstream gradient `dy` is `L = sum(dy * y)`.


# %%
def conv(x, kernel):
    return ops.conv2d(x[None, None], kernel[None, None])[0, 0]


def loss(x):
    return (dy * conv(x, kernel)).sum()


eps = 1e-5
step = np.zeros((3, 3))
step[1, 1] = eps
middle = (loss(x + step) - loss(x - step)) / (2 * eps)
check("changing the middle pixel gives 3", abs(middle - 3) < 1e-8, f"{middle:.10f}")

# %% [markdown]
# ### The Jacobian
# The *Jacobian* $J$ is a table: $J_{ij}$ says how fast output $i$ grows with pixel $j$. The
# backward computes
#
# $$
# dx = J^\top dy, \qquad dx_j = \sum_i J_{ij} \, dy_i,
# $$
#
# a *vector-Jacobian product*, VJP for short. The forward gives $J$ column by column: a
# change of pixel $j$ gives column $j$. The backward gives $J$ row by row: if `dy` is 1 at
# output $i$ and 0 elsewhere, then `dx` is row $i$.

# %%
from fcn_from_scratch.gradcheck import numerical_jacobian, vjp_jacobian

rng = np.random.default_rng([SEED, 3])
small = rng.normal(size=(4, 5))
tall = np.array([[1.0, -2.0], [0.5, 1.5], [-1.0, 2.5]])  # a kernel that is not square
upstream = rng.normal(size=conv(small, tall).shape)

jacobian = numerical_jacobian(lambda x: conv(x, tall), small)
from_backward = vjp_jacobian(lambda dy: conv_backward(dy, small, tall)[0], upstream.shape)
backward_now = conv_backward(upstream, small, tall)[0]
print("image", small.shape, "output", upstream.shape, "Jacobian", jacobian.shape)
check(
    "forward and backward give the same Jacobian",
    np.allclose(jacobian, from_backward, rtol=0, atol=1e-8),
)
check(
    "backward is J.T @ dy",
    np.allclose(jacobian.T @ upstream.ravel(), backward_now.ravel(), rtol=0, atol=1e-8),
)

# %% [markdown]
# ### Predict
# 2. VGG16's first convolution has 3 channels in, 64 out, and keeps the size of the image.
#    How many bytes does its Jacobian take in float64, for 500x500 pixels?

# %%
rows, columns = 64 * 500 * 500, 3 * 500 * 500
check("VGG16's first Jacobian has 96 terabytes", rows * columns * 8 == 96e12)

# %% [markdown] tags=["answer"]
# > **Prediction 2.** It has 16 million rows and 750,000 columns of 8 bytes: 96 terabytes.
# > No computer can compare whole Jacobians of a real network.

# %% [markdown]
# ## Two forwards instead of one for each pixel
# Change all pixels together along a random direction $v$, an array of the shape of `x`. The
# two numbers below are equal, because both are $\sum_{i,j} dy_i \, J_{ij} \, v_j$, the sum
# over all outputs $i$ and pixels $j$:
#
#     dy . (J v)     two forwards:   sum(dy * (f(x + eps v) - f(x - eps v))) / (2 eps)
#     (J.T dy) . v   one backward:   sum(dx * v)
#
# If `dx` is wrong anywhere, they differ for almost every random $v$. A single $v$ may be
# unlucky, so we take three.


# %%
def check_along(forward, backward, x, dy, v, eps=1e-5):
    """The relative error of dy . (J v), from forward, and (J.T dy) . v, from backward."""
    moved = forward(x + eps * v) - forward(x - eps * v)
    numeric = (dy * moved).sum() / (2 * eps)
    analytic = (backward(dy) * v).sum()
    return abs(numeric - analytic) / max(abs(numeric), abs(analytic))


directions = rng.normal(size=(3, *small.shape))


def worst(backward, dy):
    """The largest error in the three random directions."""

    def forward(x):
        return conv(x, tall)

    return max(check_along(forward, backward, small, dy, v) for v in directions)


error = worst(lambda dy: conv_backward(dy, small, tall)[0], upstream)
check(
    "a few lines check the whole convolution",
    0 < error < 1e-7,
    f"relative error {error:.0e}",
)

# %% [markdown]
# `gradcheck.vjp_check` does the same for several inputs. It tests every operation of the
# package. A right backward gives an error near 1e-10. A wrong one mostly gives an error
# near 1; if it is wrong in a few numbers only, the error is smaller, but far above the
# limit of 1e-7.

# %%
from fcn_from_scratch.gradcheck import away_from_zero, spaced, vjp_check
from fcn_from_scratch.gradcheck.vjp import LIMIT

image, weight = rng.normal(size=(2, 3, 7, 6)), rng.normal(size=(4, 3, 3, 2))
bias = rng.normal(size=4)
options = {"stride": (2, 1), "padding": (1, 0)}
errors = {
    "convolution": vjp_check(
        lambda x, w, b: ops.conv2d(x, w, b, **options),
        lambda dy: ops.conv2d_backward(dy, image, weight, **options),
        [image, weight, bias],
        rng,
    )
}
check(
    "convolution: image, weight and bias",
    0 < errors["convolution"] < LIMIT,
    f"{errors['convolution']:.0e}",
)

# %% [markdown]
# ## Never check with ones
# Many gradient checks differentiate the sum of all outputs. The upstream gradient of a sum
# is **1 everywhere**. Here is a wrong backward: it gives each output's gradient to the
# pixels of the *opposite* output.
#
# ### Predict
# 3. Is the relative error of this backward near 1e-10 or near 1 in a check with ones? And
#    in a check with random numbers?


# %%
def flipped_backward(dy):
    """Wrong: the first output's gradient goes to the pixels of the last output."""
    return conv_backward(dy[::-1, ::-1], small, tall)[0]


with_ones = worst(flipped_backward, np.ones(upstream.shape))
with_random = worst(flipped_backward, upstream)
by_vjp_check = vjp_check(lambda x: conv(x, tall), flipped_backward, [small], rng)
check(
    "the flipped backward passes the check with ones", with_ones < LIMIT, f"{with_ones:.0e}"
)
check(
    "it fails the check with random numbers", 0.1 < with_random < 10, f"{with_random:.1f}"
)
check(
    "vjp_check draws dy at random and finds it",
    0.1 < by_vjp_check < 10,
    f"{by_vjp_check:.1f}",
)

# %%
jacobian_flipped = vjp_jacobian(flipped_backward, upstream.shape)
same_sums = np.allclose(
    jacobian.sum(axis=0), jacobian_flipped.sum(axis=0), rtol=0, atol=1e-7
)
check("the column sums of both Jacobians are equal", same_sums)
check("the Jacobians are not", abs(jacobian - jacobian_flipped).max() > 0.1)

# %% [markdown] tags=["answer"]
# > **Prediction 3.** With ones it is below 1e-7, so the wrong backward passes. With random
# > numbers it is near 1. The flipped backward has the rows of `J` in reverse order. A check
# > with ones uses only the sum of each column, which does not depend on the order of the
# > rows.

# %% [markdown]
# Segmentation is about *where* an output is, so a check must find exactly this mistake.

# %% [markdown]
# ## ReLU
# $y = \max(x, 0)$ has the gradient $dx = dy \cdot [x > 0]$. Here $[x > 0]$ is 1 where $x$
# is positive and 0 elsewhere. At $x = 0$ the slope is 1 on the right and 0 on the left.
# Such a place is a *kink*, and there is no derivative. The package and PyTorch use 0.
#
# ### Predict
# 4. What does the difference `(f(eps) - f(-eps)) / (2 eps)` give at `x = 0`?

# %%
x0 = np.array([0.0])
at_kink = float((ops.relu(x0 + eps) - ops.relu(x0 - eps))[0] / (2 * eps))
by_backward = float(ops.relu_backward(np.array([1.0]), ops.relu(x0))[0])
check("at the kink the difference gives 1/2", abs(at_kink - 0.5) < 1e-9)
check("and backward gives 0", by_backward == 0)

# %% [markdown] tags=["answer"]
# > **Prediction 4.** It gives 1/2, the mean of both slopes, and backward gives 0. Neither
# > is wrong, but a test that compares them fails.

# %% [markdown]
# So no value of a test may cross a kink. `away_from_zero` draws values with `|x| >= 0.1`. A
# single value at a kink makes a right backward look wrong.


# %%
def relu_error(x):
    return vjp_check(ops.relu, lambda dy: ops.relu_backward(dy, ops.relu(x)), [x], rng)


safe = away_from_zero(rng, (2, 3, 7, 6))
risky = safe.copy()
risky[0, 0, 0, 0] = 1e-6  # a tenth of eps from the kink
errors["ReLU"], kink_error = relu_error(safe), relu_error(risky)
check(
    "away from the kink a right backward passes",
    0 < errors["ReLU"] < LIMIT,
    f"{errors['ReLU']:.0e}",
)
check(
    "with one of 252 values at the kink it fails",
    10 * LIMIT < kink_error < 1,
    f"{kink_error:.0e}",
)

# %% [markdown]
# ## Max-pool
# Max-pool replaces each window by its largest pixel. A small change of another pixel does
# not change the output. So the largest pixel alone gets the gradient. The forward stores
# its place. The package calls these places `indices`, and papers call them *switches*.
#
#     x                 windows of 2x2         dy         dx
#     1  5 | 2  0       largest: 5 and 7       10  20     0 10  0  0
#     3  4 | 7  6                                         0  0 20  0
#
# ### Predict
# 5. Now the windows overlap: `x` is 1 3 2 over 4 6 5, the windows are 2x2 at stride 1, and
#    `dy` is 10 20. What does the pixel of value 6 get?


# %%
def pool_gradient(x, dy, **window):
    """The gradient that max-pool sends back to one image of one channel."""
    x, dy = np.array(x, dtype=float)[None, None], np.array(dy, dtype=float)[None, None]
    indices = ops.max_pool2d(x, 2, **window)[1]
    return ops.max_pool2d_backward(dy, indices, x.shape)[0, 0]


routed = pool_gradient([[1, 5, 2, 0], [3, 4, 7, 6]], [[10, 20]])
shared = pool_gradient([[1, 3, 2], [4, 6, 5]], [[10, 20]], stride=1)
check(
    "the gradient goes to the largest pixels",
    np.array_equal(routed, [[0, 10, 0, 0], [0, 0, 20, 0]]),
)
check(
    "the largest pixel of two windows gets 10 + 20 = 30",
    np.array_equal(shared, [[0, 0, 0], [0, 30, 0]]),
)

# %% [markdown] tags=["answer"]
# > **Prediction 5.** It gets the sum, 30, because it is the largest pixel of both windows.

# %% [markdown]
# Here is the loop, for two images of three channels and windows of 3x2.

# %%
image = spaced(rng, (2, 3, 7, 6))  # all values differ by 0.01 or more
window = {"kernel_size": (3, 2), "stride": (2, 1)}
y, indices = ops.max_pool2d(image, **window)
dy = rng.normal(size=y.shape)
by_loop, times_largest = np.zeros_like(image), np.zeros(image.shape, dtype=int)
for n, c, i, j in np.ndindex(y.shape):
    part = image[n, c, 2 * i : 2 * i + 3, j : j + 2]
    a, b = np.unravel_index(part.argmax(), part.shape)
    by_loop[n, c, 2 * i + a, j + b] += dy[n, c, i, j]
    times_largest[n, c, 2 * i + a, j + b] += 1

# %%
pool_dx = ops.max_pool2d_backward(dy, indices, image.shape)
errors["max-pool"] = vjp_check(
    lambda x: ops.max_pool2d(x, **window)[0],
    lambda dy: ops.max_pool2d_backward(dy, indices, image.shape),
    [image],
    rng,
)
adds = times_largest.max() > 1 and np.allclose(pool_dx, by_loop, rtol=0, atol=1e-12)
check(
    "max-pool sends dy to the largest pixels only",
    np.array_equal(pool_dx != 0, times_largest > 0),
)
check("a pixel that is largest in several windows gets the sum", adds)
check("the VJP agrees", 0 < errors["max-pool"] < LIMIT, f"{errors['max-pool']:.0e}")

# %% [markdown]
# How much of a picture gets a gradient? Take a photograph of a face, reduced to 12x16
# pixels, and windows of 2x2 that do not overlap.

# %%
import matplotlib.cbook
from PIL import Image

file = matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)
reduced = Image.open(file).convert("L").crop((150, 90, 390, 270))
face = np.asarray(reduced.resize((16, 12), Image.Resampling.BOX), dtype=float)
pooled, switches = ops.max_pool2d(face[None, None], 2)
hit = ops.max_pool2d_backward(np.ones(pooled.shape), switches, (1, 1, *face.shape))
check("one pixel in four gets a gradient", np.count_nonzero(hit) == face.size // 4)

# %% [markdown]
# If two pixels are equally large, there is again a kink. Caffe (the software of the paper's
# authors), PyTorch and this package take the **first** in reading order.

# %%
equal = np.ones((1, 1, 2, 2))
check(
    "the first of equal pixels gets everything",
    np.array_equal(pool_gradient(equal[0, 0], [[1]]), [[1, 0], [0, 0]]),
)
halves = numerical_jacobian(lambda x: ops.max_pool2d(x, 2)[0], equal)
check(
    "differences give 1/2 for each of the four", np.allclose(halves, 0.5, rtol=0, atol=1e-9)
)

# %% [markdown]
# ## A map that is used twice
# FCN-8s uses the map `pool3` twice: in the next layer, and on a shorter way to the output.
# We call this a *fork*. The gradient of the map is the **sum** of what both ways send back.
# The same holds for a weight that is used on two images. So `backward` **adds** to a
# layer's `grads`, and `zero_grad()` sets them to zero.

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


errors["fork"] = vjp_check(fork, fork_backward, [fork_in], rng)
one_sided = vjp_check(fork, lambda dy: fork_backward(dy, both=False), [fork_in], rng)
check(
    "the sum of the two gradients of a fork is right",
    0 < errors["fork"] < LIMIT,
    f"{errors['fork']:.0e}",
)
check("one of them alone is not", 0.1 < one_sided < 10, f"{one_sided:.1f}")

# %%
from fcn_from_scratch.layers import Conv2d

layer = Conv2d(3, 4, (3, 2), rng=rng, dtype=np.float64)
dys = rng.normal(size=(2, 4, 5, 5))
collected = {}
for name, part in (("first", slice(0, 1)), ("second", slice(1, 2)), ("batch", slice(0, 2))):
    layer.zero_grad()
    layer.forward(fork_in[part])
    layer.backward(dys[part])
    collected[name] = layer.grads["weight"].copy()
added = np.allclose(
    collected["first"] + collected["second"], collected["batch"], rtol=0, atol=1e-12
)
check("the gradients of two images add up to that of the batch", added)

# %% [markdown]
# ## How small is a small step?
# Two errors limit the step. Over a **large** step the function is not a straight line. This
# error grows like $\varepsilon^2$. With a **small** step, $f(x + \varepsilon)$ and
# $f(x - \varepsilon)$ agree in nearly all digits, and few correct digits remain after the
# subtraction. This error grows like $10^{-16} / \varepsilon$. We try three layers: one
# that is curved, a convolution, and a ReLU. The curved one is AlexNet's normalisation. It
# divides by a power of a sum of squares; that it is curved is all that matters here.
#
# ### Predict
# 6. Which step is best for a curved layer: about 1e-10, about 1e-5, or about 1e-1? And
#    which step is best for a convolution, which is linear?

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
    "ReLU (kinks not avoided)": (
        ops.relu,
        lambda dy: ops.relu_backward(dy, ops.relu(plain)),
        plain,
    ),
}
curves = {}
for name, (forward, backward, x) in examples.items():
    found = []
    for step in steps:
        same = np.random.default_rng([SEED, 33])  # the same directions for every step
        found.append(vjp_check(forward, backward, [x], same, 5, step))
    curves[name] = np.array(found)

# %%
bent, straight, kinked = curves.values()
best = steps[bent.argmin()]
tiny, usual, large, one = (abs(steps - s).argmin() for s in (1e-12, 1e-5, 1e-1, 1))
check(
    "the best step for a curved layer lies between 1e-7 and 1e-3",
    1e-7 <= best <= 1e-3,
    f"{best:.0e}",
)
check(
    "1e-12 is much worse than 1e-5",
    bent[tiny] > 1e3 * bent[usual],
    f"{bent[tiny]:.0e}, {bent[usual]:.0e}",
)
check("so is 1e-1", bent[large] > 1e3 * bent[usual], f"{bent[large]:.0e}")
check(
    "for a straight layer the largest step is best",
    straight[one] < straight[usual] / 10,
    f"{straight[one]:.0e}",
)
check(
    "ReLU fails once values cross its kink",
    kinked[usual] < LIMIT < 1e-2 < kinked[one],
    f"{kinked[one]:.0e}",
)

# %% [markdown] tags=["answer"]
# > **Prediction 6.** It is about 1e-5, where the two errors are about equally large:
# > $\varepsilon^2 = 10^{-16} / \varepsilon$ gives the cube root of $10^{-16}$. A
# > convolution is linear, so the largest step is best for it.

# %% [markdown]
# ## What could fool you
# With random `dy` and `v` you find a backward that is wrong for the kernel of the test. But
# a backward can be right for one kernel and wrong for all others. At stride 1, scattering
# `dy` equals a convolution of the padded `dy` with the kernel **rotated by 180 degrees**.
# Suppose that you forget to rotate it, and that you test with the kernel of FCN's
# upsampling, which is symmetric.


# %%
def unrotated_backward(dy, kernel):
    """Wrong unless the kernel is symmetric: kernel[::-1, ::-1] would be right."""
    kh, kw = kernel.shape
    return conv(np.pad(dy, ((kh - 1, kh - 1), (kw - 1, kw - 1))), kernel)


scene = rng.normal(size=(9, 8))


def unrotated_error(kernel):
    """What vjp_check says of this backward."""

    def forward(x):
        return conv(x, kernel)

    def backward(dy):
        return unrotated_backward(dy, kernel)

    return vjp_check(forward, backward, [scene], rng)


fooled = unrotated_error(ops.bilinear_kernel(4))
caught = unrotated_error(rng.normal(size=(4, 3)))
check(
    "a backward that does not rotate passes with a symmetric kernel",
    fooled < LIMIT,
    f"{fooled:.0e}",
)
check("it fails with one that is not symmetric", 0.1 < caught < 10, f"{caught:.1f}")

# %% [markdown]
# So draw *everything* at random and make no two sizes equal. `fcn gradcheck` checks all
# operations. It also checks a layer of your own: any class with `forward` and `backward`.
# It says which gradient is wrong, and often also what is wrong with it: a factor, a sign,
# or a flipped `dy`.
#
#     fcn gradcheck my_layer.py:MyLayer --shape 2,3,7,6

# %% [markdown]
# ## The drawings
# The right Jacobian has the rows of the left one in reverse order. The column sums are the
# same.

# %%
from fcn_from_scratch import viz


def draw_jacobians():
    """The Jacobians of forward and of the flipped backward, and their column sums."""
    caption = "A check with ones compares only the column sums, and they are equal"
    titles = ["the Jacobian from the forward", "the Jacobian from the flipped backward"]
    figure, axes = viz.new_figure(caption, columns=2, rows=2, height=4.2, titles=titles)
    limit = abs(jacobian).max()
    for column, matrix in enumerate((jacobian, jacobian_flipped)):
        top, below = axes[:, column]
        top.imshow(matrix, cmap="RdBu_r", vmin=-limit, vmax=limit, aspect="auto")
        below.bar(range(matrix.shape[1]), matrix.sum(axis=0), color="#6b6b6b")
        below.set(xlabel="pixel (column)", ylim=(-5, 5), xlim=(-0.5, matrix.shape[1] - 0.5))
        top.grid(False)
    axes[0, 0].set_ylabel("output (row)")
    axes[1, 0].set_ylabel("column sum")
    viz.show(figure, "03_ones")


draw_jacobians()

# %% [markdown]
# This is the photograph of the face, reduced to 12x16 pixels as above. The rings mark the
# largest pixel of each window. `dy` arrives on the small grid and goes to the rings. Three
# quarters of the pixels get nothing. Lesson 9 uses these switches to return to a finer
# grid.


# %%
def draw_switches():
    """The photograph, its max-pool, and a gradient that is sent back."""
    sent = rng.normal(size=pooled.shape)
    received = ops.max_pool2d_backward(sent, switches, (1, 1, *face.shape))
    ring_y, ring_x = np.divmod(switches.ravel(), face.shape[1])
    titles = ["x, with a ring at each largest pixel", "y: the largest pixels"]
    titles += ["dx: zero outside the rings", "dy"]
    caption = "Max-pool sends each gradient to the largest pixel of its window"
    figure, axes = viz.new_figure(caption, 2, 2, width=7.2, height=5.6, titles=titles)
    for ax, values in zip(axes.flat, (face, pooled[0, 0], received[0, 0], sent[0, 0])):
        grey = ax in axes[0]
        limits = {"vmin": 0, "vmax": 255} if grey else {"vmin": -3, "vmax": 3}
        ax.imshow(values, cmap="gray" if grey else "RdBu_r", **limits)
    viz.bare(axes)
    for ax, colour in zip(axes[:, 0], (viz.COLOURS[1], "#444444")):
        ax.plot(ring_x, ring_y, "o", color="none", markeredgecolor=colour)
        for edge in range(2, 16, 2):
            ax.axvline(edge - 0.5, color="#cccccc", linewidth=0.8)
            ax.axhline(edge - 0.5, color="#cccccc", linewidth=0.8)
        ax.set(xlim=(-0.5, 15.5), ylim=(11.5, -0.5))
    viz.show(figure, "03_switches")


draw_switches()

# %% [markdown]
# Look for the lowest point of each curve. For the curved layer it is near 1e-5.


# %%
def draw_step_sizes():
    """The error of three right backwards against the step of the check."""
    series = {name: (steps, np.maximum(error, 1e-16)) for name, error in curves.items()}
    caption = "Small steps suffer from rounding, large steps from curves and kinks"
    figure = viz.curves(
        series, xlabel="step eps", ylabel="relative error", caption=caption, log=True
    )
    ax = figure.axes[0]
    ax.set(xscale="log", ylim=(1e-16, 10))
    ax.axvline(1e-5, color="#999999", linewidth=0.9, linestyle="--")
    ax.text(1.3e-5, 2e-16, "the package's step, 1e-5", color="#555555", fontsize=9)
    viz.show(figure, "03_step_size")


draw_step_sizes()

# %% [markdown]
# ## Exercises
# 1. **Trace.** A kernel moved over an image with a stride. Given the upstream gradient and
#    the kernel, compute the gradient of each pixel of the image.
# 2. **Change.** A ReLU multiplies negative values by a slope that is learned, one for each
#    channel. Write its backward: the gradients of the input and of the slopes.
# 3. **Prove.** Given a layer's Jacobian and a wrong backward as a matrix, say whether a
#    check with ones passes. Show that with random numbers it passes with probability 0.
#
# `fcn exercise 3` writes a file for each of them, `fcn exercise 3 --check FILE` checks your
# answer, `fcn exercise 3 --solution` shows ours.

# %% [markdown]
# ## Claims

# %%
claims(
    [
        (
            "the gradient by hand, by loop and by package are the same",
            np.array_equal(dx, by_hand)
            and np.allclose(packaged[0, 0], by_hand, rtol=0, atol=1e-12),
            "exact, and 1e-12: another order of summation",
        ),
        (
            "the Jacobian from forward is the Jacobian from backward",
            np.allclose(jacobian, from_backward, rtol=0, atol=1e-8),
            "1e-8: rounding of a difference with eps 1e-6",
        ),
        (
            f"the VJP error is above 0 and below 1e-7 for {', '.join(errors)}",
            0 < min(errors.values()) and max(errors.values()) < LIMIT,
            "right backwards lie near 1e-10; at an error of 0 nothing was compared",
        ),
        (
            "a flipped backward passes the check with ones, and fails with random numbers",
            with_ones < LIMIT and 0.1 < min(with_random, by_vjp_check),
            "the largest of three directions; five seeds have 1e-10 against .5 or more",
        ),
        (
            "max-pool sends dy to the largest pixels, and adds",
            np.array_equal(pool_dx != 0, times_largest > 0) and adds,
            "the places exactly; the sums to rounding",
        ),
        (
            "at a kink difference and backward disagree, and neither is wrong",
            abs(at_kink - 0.5) < 1e-9 and by_backward == 0 and 10 * LIMIT < kink_error < 1,
            "1e-9: rounding. One wrong slope of 252 gives 1e-4 to .05 on the five seeds",
        ),
        (
            "a fork adds gradients: without one branch the check fails",
            errors["fork"] < LIMIT and one_sided > 0.1,
            "the missing part is as large as the other",
        ),
        (
            "the gradients of two images add up to that of the batch",
            added,
            "1e-12: another order of summation",
        ),
        (
            "the error is smallest at a middle step",
            1e-7 <= best <= 1e-3 and min(bent[tiny], bent[large]) > 1e3 * bent[usual],
            "theory: eps near the cube root of 1e-16",
        ),
        (
            "a backward that does not rotate passes with a symmetric kernel only",
            fooled < LIMIT < 0.1 < caught,
            "the bilinear kernel rotated by 180 degrees is itself",
        ),
    ]
)

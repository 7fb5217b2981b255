"""Lesson 9: What ways are there to go back up?

Afterwards you can name five ways from a coarse map to a fine one, and say which of them are one operation with
different kernels. You know what a "deconvolution" undoes, what it does not, and what it does at the border.

Needs: lessons 3 and 6 (backward of convolution and max-pool; crops)
Runtime: 2 s on 2 cores
"""

# %% [markdown]
# # Every coarse pixel paints a patch
#
# The net's scores stand on a grid 32 times coarser than the picture. **Transposed convolution** goes
# back up: each coarse pixel lays down a copy of one kernel, times its own value, the next copy one
# stride further on. Where copies overlap they add up. A row of three, stride 2, four kernels:
#
#     row                  3 1 2
#     kernel 1 0           3 0 1 0 2 0                   bed of nails
#     kernel 1 1           3 3 1 1 2 2                   nearest neighbour
#     kernel 1 2 1         3 6 4 2 3 4 2      (: 2)      linear, every second number is the row itself
#     kernel 1 3 3 1       3 9 10 6 5 7 6 2   (: 4)      linear, the row falls between two numbers

# %% [markdown]
# ## Predict
# 1. How long is the result for `n` numbers, a kernel of `k` and stride `s`? Try it on the four above.
# 2. FCN-32s upsamples 16x16 scores with `k = 64`, `s = 32`. How large is the result? The picture has
#    500x500 pixels. What happens to the rest?
# 3. A map holds 1 everywhere. Which of the four kernels give 1 everywhere?
# 4. Convolve with a kernel, then transposed-convolve with the same one. Is the picture back?

# %%
import numpy as np

from fcn_from_scratch import ops, viz
from fcn_from_scratch.course import check, claims
from fcn_from_scratch.ops.loops import conv_transpose2d_loops

rng = np.random.default_rng(9)

# %% [markdown]
# ## By hand
# The third line: 3, 1 and 2 times the kernel (1, 2, 1), each two places further on, then halved.

# %%
row, kernel = np.array([3.0, 1, 2]), np.array([0.5, 1, 0.5])
up = np.zeros(7)
for i, value in enumerate(row):
    up[2 * i : 2 * i + 3] += value * kernel
print(row, "->", up)
check("as in the table above", np.array_equal(2 * up, [3, 6, 4, 2, 3, 4, 2]))
check("its length is s(n - 1) + k", len(up) == 2 * (3 - 1) + 3)

# %% [markdown]
# ## With a loop, and with the package
# `ops.loops.conv_transpose2d_loops` does this for pictures with channels, pixel by pixel;
# `ops.conv_transpose2d` does it with one matrix product. The weight is `(in, out, kh, kw)`.

# %%
x, weight = rng.normal(size=(2, 3, 4, 5)), rng.normal(size=(3, 2, 4, 3))
looped = conv_transpose2d_loops(x, weight, None, 2, 1)
loop_gap = np.abs(ops.conv_transpose2d(x, weight, None, 2, 1) - looped).max()
check("loops = package", loop_gap < 1e-12, f"{loop_gap:.0e}")

# %% [markdown]
# # Three old ways are three kernels
# Nearest neighbour: a kernel of ones as large as the stride. Bed of nails: a single one. Bilinear: the
# hat, a pyramid of size `2s`, which `ops.bilinear_kernel` makes.

# %%
s = 4
x = rng.normal(size=(1, 1, 6, 7))
ones, delta, hat = np.ones((s, s)), np.zeros((s, s)), ops.bilinear_kernel(2 * s)
delta[0, 0] = 1


def convt(x, kernel, stride=s, padding=0):
    """One channel, upsampled by a transposed convolution with this kernel."""
    return ops.conv_transpose2d(x, kernel[None, None], None, stride, padding)


nearest_same = np.array_equal(convt(x, ones), ops.upsample_nearest(x, s))
nails_same = np.array_equal(convt(x, delta), ops.bed_of_nails(x, s))
check("nearest = transposed convolution with ones", nearest_same)
check("bed of nails = transposed convolution with a one in the corner", nails_same)

# %% [markdown]
# For bilinear compare with a **resize**, as picture programs do it: each fine pixel asks where it lies on
# the coarse grid and takes a mean of the four pixels around. `padding = s/2` cuts the result of the
# transposed convolution to the same size.

# %%
h = s // 2
resized = ops.interpolate_bilinear(x, (6 * s, 7 * s))
painted = convt(x, hat, padding=h)
inside_gap = np.abs(painted - resized)[:, :, h:-h, h:-h].max()
border_gap = np.abs(painted - resized).max()
check("bilinear = transposed convolution with the hat, inside", inside_gap < 1e-12, f"{inside_gap:.0e}")
check("but not within s/2 pixels of the border", border_gap > 0.1, f"{border_gap:.2f}")

# %% [markdown]
# A fourth way remembers. **Max-unpooling** puts each number where the maximum stood that a max-pool
# took on the way down. Here is what one coarse pixel becomes in each way, and in a fifth: a kernel of
# any other numbers, which is what a *learned* upsampling has before training (lesson 10).

# %%
dot = np.zeros((1, 1, 5, 5))
dot[0, 0, 2, 2] = 1
fine = rng.normal(size=(1, 1, 5 * s, 5 * s))
_, places = ops.max_pool2d(fine, s)
pictures = {
    "coarse, 5x5": dot,
    "nearest": ops.upsample_nearest(dot, s),
    "bed of nails": ops.bed_of_nails(dot, s),
    "max-unpool": ops.max_unpool2d(dot, places, (5 * s, 5 * s)),
    "bilinear (hat)": convt(dot, hat, padding=h),
    "random kernel": convt(dot, rng.random((2 * s, 2 * s)), padding=h),
}
check("each makes 20x20 of 5x5", {y.shape[2:] for y in list(pictures.values())[1:]} == {(20, 20)})
figure = viz.panels(
    [[y[0, 0] for y in pictures.values()]],
    list(pictures),
    "One coarse pixel, upsampled by 4: its patch is the kernel (max-unpool: the place that won)",
    size=1.8,
)
viz.save_figure(figure, "09_impulse")

# %% [markdown]
# # Two more views of the same thing
# **Zeros in between, then a convolution.** Spread the pixels out as a bed of nails, surround them
# with `k - 1` zeros, and convolve with the kernel *flipped*. This is why it is also called
# fractionally strided convolution: the window moves by one fine pixel, that is by 1/s of a coarse one.

# %%
kernel = rng.normal(size=(5, 5))


def nails_then_convolve(x, kernel, stride):
    """Bed of nails without the zeros after the last nail, then an ordinary convolution with full padding."""
    nails = ops.bed_of_nails(x, stride)[:, :, : 1 - stride or None, : 1 - stride or None]
    return ops.conv2d(nails, kernel[None, None], None, 1, len(kernel) - 1)


flipped_gap = np.abs(nails_then_convolve(x, kernel[::-1, ::-1], 3) - convt(x, kernel, 3)).max()
check("= zeros in between + convolution with the flipped kernel", flipped_gap < 1e-12, f"{flipped_gap:.0e}")

# %% [markdown]
# **The convolution's matrix, transposed.** A convolution is linear, so it is a matrix `C`. Feed it each
# pixel alone, and write the answers side by side. The transposed convolution with the same weight has the
# matrix `C` with rows and columns exchanged, hence the name. Lesson 3 has met it: what hands `dy` back
# through a convolution is `C` transposed. In one line: `<conv(v), c> = <v, convT(c)>` for every `v`, `c`.

# %%
kernel = rng.normal(size=(3, 3))


def matrix_of(operation, height, width):
    """The matrix of a linear operation on one-channel pictures."""
    columns = [operation(pixel.reshape(1, 1, height, width)).ravel() for pixel in np.eye(height * width)]
    return np.array(columns).T


C = matrix_of(lambda v: ops.conv2d(v, kernel[None, None], None, 2), 7, 7)
T = matrix_of(lambda c: convt(c, kernel, 2), 3, 3)
v, c = rng.normal(size=(1, 1, 7, 7)), rng.normal(size=(1, 1, 3, 3))
down = (ops.conv2d(v, kernel[None, None], None, 2) * c).sum()
adjoint_gap = abs(down - (v * convt(c, kernel, 2)).sum())
print("C is", C.shape, "and T is", T.shape)
check("T is C transposed, number for number", np.array_equal(T, C.T))
check("<conv(v), c> = <v, convT(c)>", adjoint_gap < 1e-12, f"{adjoint_gap:.0e}")
check(
    "it is what backward computes",
    np.array_equal(convt(c, kernel, 2), ops.conv2d_input_grad(c, v.shape, kernel[None, None], 2)),
)

# %% [markdown]
# ## "Deconvolution" does not undo a convolution
# The paper calls it deconvolution, and the name misleads. Transposing restores the *size*, not the
# values. To undo would be to solve `C x = y`. Even that does not bring `v` back, there are 9 equations
# for 49 pixels; but it finds a picture that *would* give `y`. The transposed convolution does not.

# %%
y = C @ v.ravel()
solved, transposed = np.linalg.lstsq(C, y, rcond=None)[0], C.T @ y
again = C @ transposed
factor = (again @ y) / (again @ again)  # the best that any one factor could do for it
solved_off = np.linalg.norm(C @ solved - y) / np.linalg.norm(y)
transposed_off = np.linalg.norm(factor * again - y) / np.linalg.norm(y)
check("a solution of C x = y gives y again", solved_off < 1e-10, f"{solved_off:.0e}")
check(
    "the transposed convolution of y does not, times any factor", transposed_off > 0.1, f"off by {transposed_off:.0%}"
)
check(
    "and neither is the picture", np.abs(solved - v.ravel()).max() > 0.1 and np.abs(transposed - v.ravel()).max() > 0.1
)

# %% [markdown]
# # A constant map fades at the border
# Inside, each fine pixel gets from two copies per axis, and what they give adds up to 1. Before the
# first coarse centre there is only one copy. A resize repeats the edge there; the transposed
# convolution adds nothing, as if the map went on with zeros. At `s = 32` and `padding = 16` the corner of a
# map of ones is down to about a quarter.

# %%
flat = np.ones((1, 1, 5, 5))
faded = ops.bilinear_upsample(flat, 64, 32)[:, :, 16:-16, 16:-16]
corner, edge = faded[0, 0, 0, 0], faded[0, 0, 80, 0]
check("a resize keeps it at 1", np.abs(ops.interpolate_bilinear(flat, (160, 160)) - 1).max() < 1e-12)
check("the transposed convolution keeps it inside", np.abs(faded[:, :, 16:-16, 16:-16] - 1).max() < 1e-12)
check("but not at the edge, 33/64", abs(edge - 33 / 64) < 1e-12, f"{edge:.3f}")
check("and not in the corner, (33/64)**2", abs(corner - (33 / 64) ** 2) < 1e-12, f"{corner:.3f}")

# %% [markdown]
# ## How does FCN get back to the picture's size?
# Follow 500 pixels through FCN-32s: 100 zeros on each side (the first convolution's padding, less 1 per
# side for its own window); five pools, each rounding up; a 7x7 convolution; then one transposed
# convolution, and a crop that begins at 19 (lesson 6 derives it). Nothing on the way up is learned.

# %%
n = 500 + 2 * 100 - 2
for _ in range(5):
    n = -(-n // 2)
n = n - 7 + 1
gain = ops.bilinear_upsample(np.ones((1, 1, n, n)), 64, 32)[0, 0]
print(f"500 pixels -> {n} scores -> {len(gain)} pixels -> crop 19 .. {19 + 500 - 1}")
check("16 scores become 544 pixels, enough for 500 from 19 on", (n, len(gain)) == (16, 544) and 19 + 500 <= 544)

# %% [markdown]
# Does the padding of 100 keep the fading out of sight? Only partly. The crop removes the worst. What is
# left starts at 39/64, and 20 of the 500 pixels of a row are below 1.

# %%
gain = gain[19 : 19 + 500, 19 : 19 + 500]
first, fading = gain[250, 0], int((gain[250] < 1 - 1e-9).sum())
check("the first pixel of a row gets 39/64", abs(first - 39 / 64) < 1e-12, f"{first:.3f}")
check("20 pixels of a row fade", fading == 20, f"{fading}")

# %% [markdown]
# Does it hurt? All classes of a pixel fade by the same factor, so the class that wins is the same. But
# smaller scores are a less certain answer: probabilities move towards 1/21, and the loss with them.
# Divide by the gain, and what comes out is the resize, *also* at the border.

# %%
scores = 3 * rng.normal(size=(1, 21, 6, 6))
fading_scores = ops.bilinear_upsample(scores, 16, 8)[:, :, 4:-4, 4:-4]
gains = ops.bilinear_upsample(np.ones((1, 1, 6, 6)), 16, 8)[:, :, 4:-4, 4:-4]
exact = ops.interpolate_bilinear(scores, (48, 48))
divided_gap = np.abs(fading_scores / gains - exact).max()
same_winner = np.array_equal(fading_scores.argmax(axis=1), exact.argmax(axis=1))
check("transposed convolution / its gain = resize, everywhere", divided_gap < 1e-12, f"{divided_gap:.0e}")
check("the winning class is the same at every pixel", same_winner)


def certainty(scores):
    """The probability of the winning class in the corner."""
    corner = np.exp(scores[0, :, 0, 0])
    return corner.max() / corner.sum()


sure, less_sure = certainty(exact), certainty(fading_scores)
check("its probability in the corner is not", less_sure < sure - 0.1, f"{less_sure:.2f}, resized {sure:.2f}")

# %%
figure, axes = viz.new_figure(
    "A map of ones, upsampled by 32: the transposed convolution fades at the border, a resize does not",
    columns=2,
    width=9,
    height=3.4,
    titles=["5x5 ones, padding 16", "along the middle row"],
)
drawn = axes[0].imshow(faded[0, 0], vmin=0, vmax=1)
axes[0].set(xticks=[], yticks=[])
axes[0].grid(False)
figure.colorbar(drawn, ax=axes[0])
axes[1].plot(np.arange(60), np.ones(60), label="resize")
axes[1].plot(np.arange(60), gain[250, :60], label="FCN-32s, crop at 19")
axes[1].plot(np.arange(60), faded[0, 0, 80, :60], label="padding 16")
axes[1].set(xlabel="pixels from the left border", ylabel="gain", ylim=(0, 1.05))
axes[1].legend(loc="lower right")
viz.save_figure(figure, "09_border")

# %% [markdown]
# # Max-unpool
# Pool, remember who won, and later put numbers back on those places. That is exactly the backward
# of max-pool from lesson 3: each number goes to the pixel that won, and the others get zero.

# %%
fine = rng.normal(size=(2, 3, 8, 10))
pooled, places = ops.max_pool2d(fine, 2)
dy = rng.normal(size=pooled.shape)
unpooled = ops.max_unpool2d(dy, places, (8, 10))
vjp_same = np.array_equal(unpooled, ops.max_pool2d_backward(dy, places, fine.shape))
check("max-unpool = backward of max-pool", vjp_same)

# %% [markdown]
# It is no inverse either. Three of four pixels are lost, of course. And the other way round, pooling
# what was unpooled? As long as the numbers are positive they come back. A *negative* number loses
# against the zeros that unpooling has put around it. After a ReLU nobody notices; scores are negative
# half of the time.

# %%
kept, again = {}, {}
for name, values in (("after a ReLU", np.maximum(dy, 0)), ("scores", dy)):
    again[name] = ops.max_pool2d(ops.max_unpool2d(values, places, (8, 10)), 2)[0]
    kept[name] = np.array_equal(again[name], values)
    print(f"  {name}: {(again[name] != values).mean():.0%} of the numbers changed")
check("what a ReLU gave comes back", kept["after a ReLU"])
check("scores do not: the negative ones have become 0", np.array_equal(again["scores"], np.maximum(dy, 0)))
check(
    "unpooling what was pooled is not the map either",
    not np.array_equal(ops.max_unpool2d(pooled, places, (8, 10)), fine),
)

# %% [markdown]
# # Checkerboards
# How many copies reach a fine pixel? Upsample ones with a kernel of ones, and count. If `s` does not
# divide `k`, the copies overlap unevenly: with `k = 3`, `s = 2` one copy and two take turns along each
# axis, so a pixel gets 1, 2 or 4.

# %%
flat = np.ones((1, 1, 8, 8))


def inner(kernel, stride=2):
    """What a map of ones becomes, away from the border."""
    return convt(flat, kernel, stride)[0, 0, 4:-4, 4:-4]


uneven, even = inner(np.ones((3, 3))), inner(np.ones((4, 4)))
check("k = 3, s = 2: 1, 2 or 4 copies", set(np.unique(uneven)) == {1, 2, 4})
check("k = 4, s = 2: 4 copies everywhere", set(np.unique(even)) == {4})

# %% [markdown]
# So choose `k` divisible by `s`, one often reads. It takes away a *reason* for checkerboards, no more.
# What a pixel gets is the sum of those taps that reach it: every `s`-th one. There are `s` such sums per
# axis, and the pattern vanishes when all of them agree. For the hat of size 3 they do, though 2 does
# not divide 3: 1 and 1/2 + 1/2. For four random numbers they do not, though 2 divides 4.

# %%
random_kernel = rng.random((4, 4))
smooth_odd, rough_even = inner(ops.bilinear_kernel(3)), inner(random_kernel)
sums = np.array([[random_kernel[a::2, b::2].sum() for b in range(2)] for a in range(2)])
check("the hat of size 3: no pattern", np.ptp(smooth_odd) < 1e-12)
check("random taps of size 4: a pattern", np.ptp(rough_even) > 0.1, f"{np.ptp(rough_even):.2f}")
check("made of the four sums of every second tap", np.allclose(rough_even[:2, :2], sums, atol=1e-12))

# %%
boards = {
    "3x3 ones": uneven / uneven.mean(),
    "4x4 ones": even / even.mean(),
    "3x3 hat": smooth_odd / smooth_odd.mean(),
    "4x4 random": rough_even / rough_even.mean(),
}
figure, axes = viz.new_figure(
    "A map of ones, stride 2: even overlap is neither needed nor enough for an even map",
    columns=4,
    width=9,
    height=2.9,
    titles=list(boards),
)
for ax, board in zip(axes, boards.values()):
    ax.imshow(board, vmin=0, vmax=2)
    ax.set(xticks=[], yticks=[])
    ax.grid(False)
    ax.spines[:].set_visible(False)
viz.save_figure(figure, "09_checkerboard")

# %% [markdown]
# # What could fool you
# **A kernel that looks the same from both sides.** Forget the flip in "zeros in between, then a
# convolution". With the hat, with ones, with everything symmetric the result is right, to the last
# digit, and every picture looks well. With any other kernel it is wrong. A test of upsampling
# should use random numbers, not the hat.

# %%
kernel = rng.normal(size=(8, 8))
hat_gap = np.abs(nails_then_convolve(x, hat, s) - convt(x, hat)).max()
random_gap = np.abs(nails_then_convolve(x, kernel, s) - convt(x, kernel)).max()
check("without the flip the hat gives the right answer", hat_gap < 1e-12, f"{hat_gap:.0e}")
check("a random kernel does not", random_gap > 1, f"{random_gap:.1f}")

# %% [markdown]
# ## Exercises
# 1. *Trace.* Upsample the row 4 8 0 with the kernel (1, 3, 3, 1)/4, stride 2, padding 1. Which numbers
#    differ from a resize to six pixels?
# 2. *Change.* Take the hat of size 6 with stride 4. What becomes of a map of ones, and why?
# 3. *Prove.* Show that a constant map stays constant inside exactly if the sums of every `s`-th tap agree,
#    for each of the `s` places to begin, and that the hats of size `2s` and `2s - 1` fulfil this.
#
# Answers: `lessons/solutions/solution_09_upsampling.py`

# %% [markdown]
# ## Claims

# %%
claims(
    [
        ("nearest = transposed convolution with ones", nearest_same, "exact: copies that do not overlap"),
        ("bed of nails = transposed convolution with a delta", nails_same, "exact: copies that do not overlap"),
        (
            "bilinear = transposed convolution with the hat, inside",
            inside_gap < 1e-12,
            "1e-12: two orders of summation",
        ),
        ("within s/2 of the border it is not", border_gap > 0.1, ".1: scores have size 1"),
        ("= zeros in between + flipped convolution", flipped_gap < 1e-12, "1e-12: two orders of summation"),
        ("its matrix is the convolution's, transposed", np.array_equal(T, C.T), "exact: the same weights"),
        ("it does not undo the convolution", transposed_off > 0.1, ".1: solving reaches 1e-10"),
        ("ones fade to (33/64)**2 in the corner at s = 32", abs(corner - (33 / 64) ** 2) < 1e-12, "1e-12: rounding"),
        ("FCN-32s' first pixel has gain 39/64", abs(first - 39 / 64) < 1e-12, "1e-12: rounding"),
        ("20 of 500 pixels of a row fade", fading == 20, "counted"),
        ("divided by its gain it is the resize", divided_gap < 1e-12, "1e-12: rounding"),
        ("fading does not move the winning class", same_winner, "exact: one factor for all classes"),
        ("max-unpool = backward of max-pool", vjp_same, "exact: both copy numbers"),
        ("pool(unpool) gives back what a ReLU gave", kept["after a ReLU"], "exact: both copy numbers"),
        ("pool(unpool) loses negative scores", not kept["scores"], "a zero beats them"),
        ("k = 3, s = 2: coverage 1, 2, 4", set(np.unique(uneven)) == {1, 2, 4}, "exact: counted"),
        (
            "an even map needs even sums, not even overlap",
            np.ptp(smooth_odd) < 1e-12 < 0.1 < np.ptp(rough_even),
            "rounding",
        ),
        ("a symmetric kernel hides a missing flip", hat_gap < 1e-12 and random_gap > 1, "1e-12: rounding"),
    ]
)

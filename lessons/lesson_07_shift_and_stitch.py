"""Lesson 7: What is shift-and-stitch?

Afterwards you can turn a net that answers at every fourth pixel into one that answers at every pixel, without
touching a weight. You can say which way to shift, what it costs, and what it cannot bring back.

Needs: lessons 2 and 6 (convolution; receptive field and stride)
Runtime: 3 s on 2 cores
"""

# %% [markdown]
# # Ask again, one pixel further
#
# A net of output stride `f` says something about every `f`-th pixel. Nothing is wrong with its
# answers, there are too few of them. So move the picture by one pixel and ask again: the same net
# now answers for the pixels in between. After `f * f` such passes every pixel has had its turn, and
# the answers are **interlaced** on one fine grid. One row of a picture, max-pooled 2 by 2:
#
#     picture            3 1 4 1 5 9
#     pass 0             3   4   9          max(3,1), max(4,1), max(5,9)
#     first pixel gone     4   5            max(1,4), max(1,5)
#     interlaced         3 4 4 5 9          the maximum of every two neighbours

# %% [markdown]
# ## Predict
# 1. A net has output stride 4 and sees 18x18 pixels. The picture is 64x64. How many outputs has one
#    pass? How many passes are there, and how many outputs have all of them together?
# 2. The paper moves the picture *right* and *down*, where we dropped pixels. After one step to the
#    right, output 2 looks at what begins at pixel 8. Which pixel of the picture is that: 7, 8 or 9?
# 3. The fine map has 16 times as many numbers. Does it show details that the coarse one cannot?

# %%
import numpy as np

from fcn_from_scratch import datasets, viz
from fcn_from_scratch.course import check, claims
from fcn_from_scratch.layers import Conv2d, MaxPool2d, ReLU, Sequential, ShiftAndStitch

rng = np.random.default_rng(5)

# %% [markdown]
# ## By hand
# The row from above. `pool` is our net: it halves a row.

# %%
row = np.array([3, 1, 4, 1, 5, 9])


def pool(row):
    """The maximum of each pair; a last pixel without a partner is left out."""
    return row[: len(row) // 2 * 2].reshape(-1, 2).max(axis=1)


interlaced = np.zeros(5, int)
interlaced[0::2] = pool(row)  # pixels 0, 2, 4
interlaced[1::2] = pool(row[1:])  # pixels 1, 3
print(row, "->", pool(row), "and", pool(row[1:]), "->", interlaced)
check("interlaced: the maximum of every two neighbours", np.array_equal(interlaced, np.maximum(row[:-1], row[1:])))

# %% [markdown]
# ## With a loop
# Now a real net: convolution, pool, convolution, pool, convolution. Two pools of stride 2 make an
# output stride of 4. Each output sees 18x18 pixels: 3, then 4, 8, 10 and 18, layer by layer.
#
# Its weights are **whole numbers**, and so are the pixels. Then every sum below is exact, in
# whatever order it is added. If two ways agree, they agree to the last bit; and no rounding can
# excuse a difference.

# %%
picture = datasets.Shapes(count=1, size=64, seed=4)[0].image
x = picture.transpose(2, 0, 1)[None].astype(float)
net = Sequential(
    Conv2d(3, 8, 3, dtype=np.float64),
    ReLU(),
    MaxPool2d(2),
    Conv2d(8, 8, 3, dtype=np.float64),
    ReLU(),
    MaxPool2d(2),
    Conv2d(8, 2, 3, dtype=np.float64),
).eval()
for name, array in net.params.items():
    array[...] = 0 if name.endswith("bias") else rng.integers(-2, 3, array.shape)

f, field = 4, 18
coarse = net(x)
print("picture", x.shape, "coarse map", coarse.shape)

# %% [markdown]
# Dropping the first `a` rows and `b` columns is moving the picture up and to the left. Output
# `(i, j)` of that pass looks at the window that begins at pixel `(4i + a, 4j + b)` of the picture,
# so that is its place:
#
#     dense[4i + a, 4j + b] = net(x without a rows and b columns)[i, j]

# %%
side = 64 - field + 1  # as many windows of 18 pixels as fit side by side
stitched = np.full((1, 2, side, side), np.nan)
passes = {}
for a, b in np.ndindex(f, f):
    passes[a, b] = net(x[:, :, a:, b:])
    stitched[:, :, a::f, b::f] = passes[a, b]

sizes = sorted({y.shape[2:] for y in passes.values()})
print(len(passes), "passes, their sizes", sizes, "together", stitched.shape)
check("16 passes fill every place", len(passes) == f**2 and not np.isnan(stitched).any())
check("every fourth number is the coarse map", np.array_equal(stitched[:, :, ::f, ::f], coarse))

# %% [markdown]
# ## Is it right?
# The honest way to an answer at every pixel: cut out the window of 18x18 pixels that begins there,
# give it to the net, and write down the one number per class that comes back. 2209 windows.

# %%
own_window = np.empty_like(stitched)
for i, j in np.ndindex(side, side):
    own_window[:, :, i, j] = net(x[:, :, i : i + field, j : j + field])[:, :, 0, 0]
check("each pixel of the stitched map is the net on its own window", np.array_equal(stitched, own_window))

# %% [markdown]
# ## With the package
# `dense.shift_and_stitch` asks geometry for the stride. `layers.ShiftAndStitch` is the same as a
# layer, so it has a backward: each pass hands its share of `dy` back through the net, moved to where
# the pass had looked, and everything adds up. It runs each pass again for that, and never holds
# more than the caches of one.

# %%
from fcn_from_scratch.dense import shift_and_stitch
from fcn_from_scratch.gradcheck import layer_check, spaced

packaged = shift_and_stitch(net, x)
check("the package does the same", np.array_equal(packaged, stitched))

small = Sequential(MaxPool2d(2), Conv2d(2, 3, (2, 1), rng=rng, dtype=np.float64, name="conv"))
errors = layer_check(ShiftAndStitch(small, 2), spaced(rng, (2, 2, 9, 7)), rng)
worst = max(errors.values())
check("its gradients are right, by picture, weight and bias", worst < 1e-7, f"{worst:.0e}")

# %% [markdown]
# ## In colours
# The 16 coarse maps, one colour for each shift. Then a part of the stitched map: every block of
# 4x4 pixels holds one cell of each pass. Last, the whole map without the colours.

# %%
from matplotlib.colors import hsv_to_rgb

hues = np.array([hsv_to_rgb((n / 16, 0.55, 1)) for n in np.arange(16) * 7 % 16]).reshape(f, f, 3)
low, high = stitched[0, 0].min(), stitched[0, 0].max()


def tinted(values, colour):
    """A map from dark to bright, times a colour (or a colour for each place)."""
    return (0.15 + 0.85 * (values - low) / (high - low))[..., None] * colour


cells = max(y.shape[2] for y in passes.values())
sheet = np.ones((f * (cells + 1) - 1, f * (cells + 1) - 1, 3))  # white lines between the maps
for (a, b), y in passes.items():
    top, left = a * (cells + 1), b * (cells + 1)
    sheet[top : top + y.shape[2], left : left + y.shape[3]] = tinted(y[0, 0], hues[a, b])
rows, columns = np.indices((side, side))
colours = tinted(stitched[0, 0], hues[rows % f, columns % f])

# %%
figure, axes = viz.new_figure(
    "Sixteen coarse maps, one for each shift, interlaced: every block of 4x4 holds one cell of each",
    columns=4,
    width=12,
    height=3.4,
    titles=["the picture", "16 passes, coloured by shift", "interlaced: the part marked on the right", "stitched"],
)
top, left = 16, 4  # of the part drawn large
axes[0].imshow(picture)
axes[1].imshow(sheet)
axes[2].imshow(colours[top : top + 16, left : left + 16])
axes[3].imshow(stitched[0, 0], cmap="gray")
frame = np.array([[0, 16, 16, 0, 0], [0, 0, 16, 16, 0]]) - 0.5
axes[3].plot(left + frame[0], top + frame[1], color=viz.COLOURS[1])
for line in np.arange(5) * f - 0.5:
    axes[2].axhline(line, color="white", linewidth=1.5)
    axes[2].axvline(line, color="white", linewidth=1.5)
for ax in axes:
    ax.set(xticks=[], yticks=[])
    ax.grid(False)
    ax.spines[:].set_visible(False)
viz.save_figure(figure, "07_stitch")

# %% [markdown]
# # Right and down: the paper's form
# The paper moves the input to the right and down, once for every pair of shifts below `f`. What comes
# in from the left and from above are zeros. After one step to the right, what stood at pixel 7 of
# the picture stands at pixel 8, so output 2 belongs to pixel 7:
#
#     dense[4i - a, 4j - b] = net(x moved a down and b right)[i, j]
#
# The outputs before row 0 or column 0 have looked at the zeros, and are thrown away.

# %%
papers = np.full_like(stitched, np.nan)
moved_passes = {}
for a, b in np.ndindex(f, f):
    moved = np.zeros((1, 3, 64 + a, 64 + b))
    moved[:, :, a:, b:] = x
    moved_passes[a, b] = y = net(moved)
    for i, j in np.ndindex(y.shape[2:]):
        if f * i >= a and f * j >= b:
            papers[:, :, f * i - a, f * j - b] = y[:, :, i, j]
check("the paper's form gives the same map", np.array_equal(papers, stitched))
check("so does form='shift'", np.array_equal(shift_and_stitch(net, x, form="shift"), stitched))

# %% [markdown]
# # What it costs
# Count multiply-adds: for each convolution, outputs times weights. Sixteen passes cost nearly
# sixteen times one (a little less, the later pictures are smaller). For FCN-32s it would be 1024.
#
# Still it is cheap beside the honest way. Neighbouring windows share nearly all of their pixels,
# and within a pass what they share is computed once.


# %%
def multiply_adds(x):
    """How many multiplications and additions one pass over x takes."""
    total = 0
    for layer in net.layers:
        x = layer(x)
        if isinstance(layer, Conv2d):
            total += x[0, 0].size * layer.params["weight"].size
    return total


one_pass = multiply_adds(x)
all_passes = sum(multiply_adds(x[:, :, a:, b:]) for a, b in np.ndindex(f, f))
one_by_one = side**2 * multiply_adds(x[:, :, :field, :field])
print(f"one pass {one_pass:,}   16 passes {all_passes:,}   2209 windows {one_by_one:,}")
ratio, saved = all_passes / one_pass, one_by_one / all_passes
check("16 passes cost between 14 and 16 times one pass", 14 < ratio <= 16, f"{ratio:.1f}")
check("the windows one by one cost at least four times that", saved > 4, f"{saved:.1f} times")

# %% [markdown]
# # It is not upsampling
# Upsampling (lesson 9) draws a line between two answers and reads numbers off the line.
# Shift-and-stitch *asks*: in between it has the net's own answers. Where the map bends faster than
# every 4 pixels, the two differ.

# %%
pixels, asked = np.arange(0, 45), np.arange(0, 45, f)


def between(values, axis):
    return np.apply_along_axis(lambda line: np.interp(pixels, asked, line), axis, values)


interpolated = between(between(coarse[0, 0], 0), 1)
error = np.abs(interpolated - stitched[0, 0, :45, :45])
check("where the coarse net was asked, both agree", np.allclose(error[::f, ::f], 0, atol=1e-9 * high))
off = error.max() / (high - low)
check("in between a straight line is wrong by a tenth of the map's range and more", off > 0.1, f"{off:.0%}")

# %% [markdown]
# # It does not invent resolution
# The grid is finer, the net is not. Each answer still speaks for 18x18 pixels, and its neighbour's
# 18x18 pixels are the same but for one row. So a dot of one pixel becomes a blot. And what the net
# cannot tell apart at one place it cannot tell apart at any.

# %%
dotted = x.copy()
dotted[:, :, 32, 32] += 100
touched = np.argwhere((shift_and_stitch(net, dotted) != stitched).any(axis=(0, 1)))
first, last = touched.min(axis=0), touched.max(axis=0)
blot = (last - first + 1).min()
check("a dot of one pixel moves the answers over more than 10 rows and columns", blot > 10, f"{blot}")
check("none of them further than its 18x18 windows reach", (first > 32 - field).all() and (last <= 32).all())

# %% [markdown]
# The second half, with a net that adds up 2x2 pixels at stride 2. It looks at stripes one pixel wide.

# %%
stripes = np.zeros((1, 1, 8, 8))
stripes[..., ::2] = 1
adder = Conv2d(1, 1, 2, stride=2, bias=False, dtype=np.float64)
adder.params["weight"][...] = 1
fine = shift_and_stitch(adder, stripes)
check("on the coarse grid the stripes are gone", (adder(stripes) == 2).all())
check("and on the fine grid too", (fine == 2).all())

# %% [markdown]
# ## So what is it good for?
# It is the yardstick: what this net has to say about every pixel, exactly. The paper tried it and
# turned to upsampling and skips, whose "cost to improvement ratio" it found better: a skip brings in
# a layer that *does* see finer, and costs one small score layer. Lesson 8 gets the same map in a
# single pass. Lesson 12 has the skips.

# %% [markdown]
# # What could fool you
# **The wrong way round.** Move the picture right and down, as the paper says, and put the outputs
# where the *other* form puts them, at `4i + a`. Every place is filled, every number is an answer of
# the net, every fourth is right, and from afar the map still looks like the picture. But the answers
# between two of these stand in reverse.

# %%
wrong = np.empty_like(stitched)
for (a, b), y in moved_passes.items():
    height, width = wrong[:, :, a::f, b::f].shape[2:]
    wrong[:, :, a::f, b::f] = y[:, :, :height, :width]
misplaced = (wrong != stitched).mean()
check("every fourth pixel is right", np.array_equal(wrong[:, :, ::f, ::f], stitched[:, :, ::f, ::f]))
check("three quarters and more of all pixels are not", misplaced > 0.75, f"{misplaced:.0%}")


def roughness(values):
    """How much neighbours differ, on average."""
    return np.abs(np.diff(values, axis=2)).mean() + np.abs(np.diff(values, axis=3)).mean()


rough = roughness(wrong) / roughness(stitched)
check("a sign to look for: the wrong map is rougher", rough > 1.3, f"{rough:.1f} times")

# %%
figure, axes = viz.new_figure(
    "The same answers in the wrong order: edges break up into blocks",
    columns=3,
    width=9,
    height=3.3,
    titles=["right", "wrong: moved right, placed left", "wrong - right"],
)
largest = np.abs(wrong - stitched)[0, 0].max()
for ax, values in zip(axes, (stitched[0, 0], wrong[0, 0])):
    ax.imshow(values, cmap="gray", vmin=low, vmax=high)
axes[2].imshow((wrong - stitched)[0, 0], cmap="RdBu_r", vmin=-largest, vmax=largest)
for ax in axes:
    ax.set(xticks=[], yticks=[])
    ax.grid(False)
    ax.spines[:].set_visible(False)
viz.save_figure(figure, "07_direction")

# %% [markdown]
# ## Exercises
# 1. *Trace.* The row 2 7 1 8 2 8 1, max-pooled 3 by 3. Write down all passes, which have how many
#    outputs, and the interlaced row.
# 2. *Change.* Stitch with two shifts per axis instead of four, so that the answers stand every 2
#    pixels. Which two? What does it cost?
# 3. *Prove.* Move the picture by one pixel. Show that the stitched map moves along, and that the coarse
#    map in general does not. (No padding.)
#
# Answers: `lessons/solutions/solution_07_shift_and_stitch.py`

# %% [markdown]
# ## Claims

# %%
claims(
    [
        ("stitched = the net on each pixel's own window", np.array_equal(stitched, own_window), "exact: whole numbers"),
        ("every fourth pixel is the coarse map", np.array_equal(stitched[:, :, ::f, ::f], coarse), "exact: one pass"),
        ("the paper's form = dropping rows and columns", np.array_equal(papers, stitched), "exact: whole numbers"),
        ("the gradients of the layer are right", worst < 1e-7, "1e-7: finite differences reach 1e-10"),
        ("the cost is that of f*f passes", 14 < ratio <= 16, "counted; later passes see less of the picture"),
        ("windows one by one cost four times that", saved > 4, "counted"),
        ("interpolation differs from asking", off > 0.1, "a tenth of the range: far above rounding"),
        ("one pixel moves more than ten rows", blot > 10, "counted; the field is 18"),
        ("stripes the net adds up stay flat on the fine grid", bool((fine == 2).all()), "exact"),
        ("the wrong direction misplaces three quarters", misplaced > 0.75, "counted; fifteen of sixteen passes"),
    ]
)

# %% [markdown]
"""
# Lesson 7: What is shift-and-stitch?

After this lesson you can turn a network that answers at every fourth pixel into one that
answers at every pixel. No weight changes. You can say in which direction to shift, how much
it costs, and which details it cannot restore.

Fast path: you come from lesson 5, and lesson 9 comes next.

Needs: lesson 5; lesson 6 helps. Words: the [glossary](../docs/glossary.md).

Runtime: 6 s on 2 cores
"""

# %% [markdown]
# ## Run the network again, one pixel further on
#
# A network of output stride `f` gives an answer at every `f`-th pixel. (The output stride
# is the number of pixels between two neighbouring outputs; two pools of stride 2 make it
# 4.) There may be too few of them. So move the picture by one pixel and run the same
# network again: now its answers belong to other pixels, next to the first ones. There are
# `f` shifts along each axis. After `f * f` passes the network has answered at every pixel.
# The paper calls this **shift-and-stitch**. To **interlace** the answers is to place those
# of the passes alternately into one fine map. Here is an example with one row of a picture.
# The network is a max-pool of size 2 and stride 2:
#
#     picture                        3 1 4 1 5 9
#     pass 0                         3   4   9          max(3, 1), max(4, 1), max(5, 9)
#     pass 1, first pixel dropped      4   5            max(1, 4), max(1, 5)
#     interlaced                     3 4 4 5 9          the maximum of every two neighbours

# %% [markdown]
# ## Predict
# 1. A network has an output stride of 4, and each output sees 18x18 pixels. The picture has
#    64x64 pixels and is not padded. How many outputs does one pass give? How many passes
#    are there, and how many outputs do they give together?
# 2. The paper moves the picture to the *right* and *down*. We dropped pixels instead. Take
#    the network of question 1 and move the picture one step to the right. Output 2 sees the
#    window that begins at pixel 2 * 4 = 8 of the moved picture. Which pixel of the unmoved
#    picture is this: 7, 8 or 9?
# 3. The fine map has 16 times as many numbers as the coarse one. Does it show details that
#    the network could not see before?

# %%
import numpy as np

from fcn_from_scratch import datasets, ops, viz
from fcn_from_scratch.course import check, claims, seed

SEED = seed()
rng = np.random.default_rng([SEED, 7])

# %% [markdown]
# ## By hand
# We compute the row from above.

# %%
row = np.array([3, 1, 4, 1, 5, 9])


def pool(row):
    """The maximum of each pair; a last pixel without a partner is left out."""
    return row[: len(row) // 2 * 2].reshape(-1, 2).max(axis=1)


interlaced = np.zeros(5, int)
interlaced[0::2] = pool(row)  # places 0, 2, 4
interlaced[1::2] = pool(row[1:])  # places 1, 3
print(row, "->", pool(row), "and", pool(row[1:]), "->", interlaced)
check(
    "interlaced: the maximum of every two neighbours",
    np.array_equal(interlaced, np.maximum(row[:-1], row[1:])),
)

# %% [markdown]
# ## A network that has learned something
# The network has a convolution, a pool, a convolution, a pool, a convolution and a score
# layer (a 1x1 convolution that gives one score for each class). Along each axis, a value of
# the first convolution sees 3 pixels. A value of the next layers sees 4, then 8, 10 and 18
# pixels, and the score layer does not add any. The network learns to name the class of the
# pixel in the middle of these 18x18 pixels. Output $i$ of a row sees the pixels from $4i$
# to $4i + 17$. Their middle is $4i + 8.5$, between two pixels; we take the pixel $4i + 8$.
# One hundred scenes are for training, and forty are held out.
#
# The training is that of lesson 5: scores, the loss with its gradient, the gradients of the
# weights, and a step of `SGD` against them. Here one step takes 8 whole scenes. The slice
# `8:56:4` picks the labels of the 12x12 middles. So each of the outputs of a scene is an
# example of its own.

# %%
from fcn_from_scratch.layers import Conv2d, MaxPool2d, ReLU, Sequential
from fcn_from_scratch.training import SGD, polynomial, warm_up

world = datasets.Shapes(count=140, size=64, classes_by="colour", seed=SEED)
# multiples of 1/128
pictures = np.stack([(scene.image.transpose(2, 0, 1) - 128.0) / 128 for scene in world])
labels = np.stack([scene.labels for scene in world])
layers = [Conv2d(3, 8, 3, rng=rng), ReLU(), MaxPool2d(2)]
layers += [Conv2d(8, 16, 3, rng=rng), ReLU(), MaxPool2d(2)]
layers += [Conv2d(16, 24, 3, rng=rng), ReLU(), Conv2d(24, len(world.classes), 1, rng=rng)]
net = Sequential(*layers)
optimizer = SGD(net, warm_up(polynomial(0.1, 200), 20), weight_decay=5e-4)
for _ in range(200):
    chosen = rng.integers(0, 100, 8)
    net.zero_grad()
    scores = net(pictures[chosen].astype(np.float32))
    loss, dscores = ops.softmax_cross_entropy(scores, labels[chosen][:, 8:56:4, 8:56:4])
    net.backward_params(dscores)
    optimizer.step()

# %% [markdown]
# Now the weights are rounded to multiples of 1/64. Then every sum below is **exact** in
# double precision, in whatever order it is computed. If two ways agree, they agree to the
# last bit, and a difference cannot be due to rounding.

# %%
net.eval().astype(np.float64)
for weight in net.params.values():
    weight[...] = np.round(weight * 64) / 64

f, field = 4, 18
unseen, truth = pictures[100:], labels[100:]
shown = int((truth == 0).sum(axis=(1, 2)).argmin())  # the scene with the most things in it
x = unseen[shown : shown + 1]
coarse = net(x)
# a pixel and four layers of weights: the result counts units of 1 / (128 * 64**4)
in_units = coarse * 128 * 64**4
exact = np.array_equal(in_units, np.round(in_units)) and np.abs(in_units).max() < 2**53
check("the scores are whole numbers of one small unit, below 2**53: exact", exact)
named, middles = net(unseen).argmax(axis=1), truth[:, 8:56:4, 8:56:4]
accuracy = (named == middles)[middles != 255].mean()
check(
    "on unseen scenes it names the pixel in the middle",
    0.9 < accuracy < 1,
    f"{accuracy:.1%}",
)

# %% [markdown]
# ## The core in ten lines
# If you drop the first $a$ rows and $b$ columns, the picture moves up by $a$ and left by
# $b$. Output $(i, j)$ of this pass sees the window that begins at pixel $(4i + a, 4j + b)$
# of the picture. So this is its place in the fine map:
#
#     dense[4i + a, 4j + b] = net(x without a rows and b columns)[i, j]


# %%
def stitch(net, x, f):
    """The outputs of f * f passes, interlaced: (N, C, H, W) -> (N, classes, H', W')."""
    passes = {(a, b): net(x[:, :, a:, b:]) for a, b in np.ndindex(f, f)}
    down = sum(passes[a, 0].shape[2] for a in range(f))
    across = sum(passes[0, b].shape[3] for b in range(f))
    dense = np.full((*passes[0, 0].shape[:2], down, across), np.nan)
    for (a, b), y in passes.items():
        dense[:, :, a::f, b::f] = y
    return dense


stitched = stitch(net, x, f)
side = 64 - field + 1  # so many windows of 18 pixels begin at different pixels of a row
print("picture", x.shape, " one pass", coarse.shape, " stitched", stitched.shape)
check("one pass gives 12x12 outputs", coarse.shape[2:] == (12, 12))
check(
    "16 passes fill all 47x47 places",
    stitched.shape[2:] == (47, 47) == (side, side) and not np.isnan(stitched).any(),
)
check(
    "every fourth answer is the coarse map",
    np.array_equal(stitched[:, :, ::f, ::f], coarse),
)

# %% [markdown] tags=["answer"]
# > **Prediction 1.** One pass gives 12x12 = 144 outputs: (64 - 18) / 4 = 11.5 is rounded
# > down to 11, and 1 is added for the first output. There are 16 passes, and together they
# > give 47x47 = 2209 outputs: one for each place where a window of 18x18 fits. If you wrote
# > 16 * 144 = 2304, you counted windows that end outside the picture. A pass that dropped 3
# > rows has one row of outputs fewer.

# %% [markdown]
# ## Is it right?
# The direct way to the answer at a place is this: cut out the window of 18x18 pixels that
# begins there, give it to the network, and keep the scores. There are 2209 windows.

# %%
own_window = np.empty_like(stitched)
for i, j in np.ndindex(side, side):
    own_window[:, :, i, j] = net(x[:, :, i : i + field, j : j + field])[:, :, 0, 0]
same_as_windows = np.array_equal(stitched, own_window)
check("every value is the network on its own window, to the last bit", same_as_windows)

# %% [markdown]
# One consequence: if the picture moves by one pixel, the stitched map moves by one place.
# The coarse map does not. It then holds other answers than before. So the class that it
# gives to a thing can depend on the position of its grid.

# %%
along = np.array_equal(stitch(net, x[..., 1:], f), stitched[..., 1:])
check("the picture moves by one pixel: the stitched map moves by one place", along)
known = np.isin(net(x[..., 1:]), coarse).mean()  # equal to the last bit: all sums are exact
check("most answers of the coarse map are new", known < 0.5, f"{1 - known:.0%} of them")

# %% [markdown]
# ## With the package
# `dense.shift_and_stitch` takes the stride from the network's geometry.
# `layers.ShiftAndStitch` is a layer that does the same, so it has a backward: the function
# that computes the gradients in training. It receives the gradient of the loss with respect
# to the fine map. Each pass sends its part of this back through the network, to the pixels
# that the pass has seen, and everything is added. (Lesson 3 explains how such a function is
# tested.)

# %%
from fcn_from_scratch.dense import shift_and_stitch
from fcn_from_scratch.gradcheck import layer_check, spaced
from fcn_from_scratch.layers import ShiftAndStitch

check("the package = by hand", np.array_equal(shift_and_stitch(net, x), stitched))
small = Sequential(
    MaxPool2d(2), Conv2d(2, 3, (2, 1), rng=rng, dtype=np.float64, name="conv")
)
errors = layer_check(ShiftAndStitch(small, 2), spaced(rng, (2, 2, 9, 7)), rng)
worst = max(errors.values())
check("the layer's gradients are right", worst < 1e-7, f"{worst:.0e}")

# %% [markdown]
# ## Right and down: the paper's form
# The paper moves the picture to the right and down. The pixels that enter from the left and
# from above are zeros. After `b` steps to the right, the pixel that was at 4j - b is at 4j.
# So output j belongs to pixel 4j - b:
#
#     dense[4i - a, 4j - b] = net(x moved down by a and right by b)[i, j]
#
# Outputs for which 4i - a or 4j - b is negative have seen the zeros. They are thrown away.

# %%
moved_passes = {}
for a, b in np.ndindex(f, f):
    moved = np.zeros((1, 3, 64 + a, 64 + b))
    moved[:, :, a:, b:] = x
    moved_passes[a, b] = net(moved)

papers = np.full_like(stitched, np.nan)
for (a, b), y in moved_passes.items():
    for i, j in np.ndindex(y.shape[2:]):
        if f * i - a >= 0 and f * j - b >= 0:
            papers[:, :, f * i - a, f * j - b] = y[:, :, i, j]
seventh = np.array_equal(moved_passes[0, 1][:, :, 0, 2], own_window[:, :, 0, 7])
check("after one step to the right, output 2 sees the window from pixel 7 on", seventh)
check("the paper's form gives the same map", np.array_equal(papers, stitched))
check(
    "so does the package's form='shift'",
    np.array_equal(shift_and_stitch(net, x, form="shift"), stitched),
)

# %% [markdown] tags=["answer"]
# > **Prediction 2.** It is pixel 7. The picture moved to the right by one, so the pixel
# > that is at 8 now was at 7 before. If you wrote 9, you subtracted in the wrong direction:
# > the place of an answer is 4j - b when the picture moves right, and 4j + b when pixels
# > are dropped. "What could fool you" shows what happens when the two are mixed up.

# %% [markdown]
# ## What it costs
# We count multiply-adds: for each convolution, the number of outputs times the number of
# weights. Sixteen passes cost nearly sixteen times as much as one. (It is a little less,
# because the later pictures are smaller.) FCN-32s, with its stride of 32, would need 1024
# passes.
#
# This is still cheap in comparison with the direct way, which runs the network on each
# window. Neighbouring windows share most of their pixels, and a pass computes the shared
# part only once.


# %%
def multiply_adds(x):
    """The number of multiply-adds of one pass over x."""
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
check(
    "16 passes cost between 14 and 16 times as much as one",
    14 < ratio < 16,
    f"{ratio:.1f} times",
)
check(
    "2209 windows one by one cost 4 to 8 times more than that",
    4 < saved < 8,
    f"{saved:.1f} times",
)

# %% [markdown]
# ## Is it better than upsampling?
# Upsampling fills the places between the answers without the network: with the *nearest*
# answer, or with values on a *straight line* between two answers. Shift-and-stitch has the
# network's own answers there. We compute the mean IU of all three ways on the forty unseen
# scenes, at all 47x47 places.

# %%
from fcn_from_scratch.metrics import ConfusionMatrix

places, asked = np.arange(47), np.arange(0, 47, f)


def on_lines(values, axis):
    """Linear interpolation along one axis, from the places asked to all places."""
    return np.apply_along_axis(lambda line: np.interp(places, asked, line), axis, values)


def mean_iu(scores, first=0):
    """The mean IU on the unseen scenes, at their places from row and column `first` on."""
    wanted = truth[:, 8 + first : 55, 8 + first : 55]
    matrix = ConfusionMatrix(len(world.classes))
    matrix.update(wanted, scores[:, :, first:, first:].argmax(axis=1))
    return matrix.scores()["mean_iu"]


few = net(unseen)
nearest_asked = np.minimum((places + 2) // f, 11)
fine = {
    "nearest answer": few[:, :, nearest_asked][..., nearest_asked],
    "straight lines": on_lines(on_lines(few, 2), 3),
    "shift-and-stitch": stitch(net, unseen, f),
}
iu = {way: mean_iu(scores) for way, scores in fine.items()}
for way, score in iu.items():
    print(f"  {way:17} mean IU {score:.3f}")
nearest, lines, asked_everywhere = iu.values()
better = nearest + 0.02 < lines and lines + 0.01 < asked_everywhere < 1
check("on unseen scenes: nearest < straight lines < shift-and-stitch", better)
closed = (lines - nearest) / (asked_everywhere - nearest)
check(
    "the straight lines close more than half of the gap",
    0.5 < closed < 0.9,
    f"{closed:.0%}",
)

# %% [markdown]
# So the network's own answers are better than straight lines, by .02 to .04 on five seeds.
# But the lines close more than half of the gap between the nearest answer and
# shift-and-stitch, and they cost about a sixteenth. Shift-and-stitch makes mistakes, too.
# They are the network's own: it is wrong although it was asked at that very place. Straight
# lines repeat about four of five of these mistakes and mend one. But they make more new
# mistakes than they mend.

# %%
valid = truth[:, 8:55, 8:55] != 255
mistaken = {
    way: (s.argmax(axis=1) != truth[:, 8:55, 8:55]) & valid for way, s in fine.items()
}
own, on_line = mistaken["shift-and-stitch"], mistaken["straight lines"]
again, new = (on_line & own).sum() / own.sum(), (on_line & ~own).sum() / own.sum()
four_of_five = 0.7 < again < 0.9
check("the lines repeat about 4 of 5 mistakes", four_of_five, f"{again:.0%} of them")
more_new = 0.45 < new < 0.85 and new > 1 - again
check("they make more new mistakes than they mend", more_new, f"{new:.0%} as many")

# %% [markdown]
# ## It does not show what a window cannot show
# The grid is finer, so edges are placed more exactly. But the network is the same. Each
# answer still depends on 18x18 pixels, and neighbouring windows overlap. So one changed
# pixel changes many answers, not one. And if the network cannot distinguish two patterns
# inside its window, a finer grid of windows does not help. In the next cell a second
# network adds up 2x2 pixels at stride 2, and its picture has stripes that are one pixel
# wide. Every window holds the same sum.

# %%
dotted = x.copy()
dotted[:, :, 32, 32] += 1
touched = np.argwhere((stitch(net, dotted, f) != stitched).any(axis=(0, 1)))
first, last = touched.min(axis=0), touched.max(axis=0)
spread = (last - first + 1).min()
check(
    "one changed pixel changes the answers over 10 rows or more", 10 < spread <= 18, spread
)
check("all of them see that pixel", (first > 32 - field).all() and (last <= 32).all())

stripes = np.zeros((1, 1, 8, 8))
stripes[..., ::2] = 1
adder = Conv2d(1, 1, 2, stride=2, bias=False, dtype=np.float64)
adder.params["weight"][...] = 1
no_stripes = bool((adder(stripes) == 2).all() and (stitch(adder, stripes, 2) == 2).all())
check("the stripes are gone in the coarse map, and in the fine map too", no_stripes)

# %% [markdown] tags=["answer"]
# > **Prediction 3.** No. It shows the network's answers at more places, and each answer
# > comes from the same 18x18 pixels as before. A detail that the network cannot see inside
# > such a window does not come back, like the stripes.

# %% [markdown]
# ## What is it good for?
# It gives the network's own answer at every pixel. So other ways can be compared with it.
# The paper tried it, and then chose upsampling and a combination with finer layers (lesson
# 12). It found the "cost to improvement ratio" of that combination better. A finer layer
# adds details that the last layer does not have. Lesson 8 computes the same map as
# shift-and-stitch in a single pass.

# %% [markdown]
# ## What could fool you
# **The wrong direction.** Move the picture right and down, as in the paper, but put the
# outputs where they belong when pixels are *dropped*: at 4j + b. Every place gets an answer
# of the network, and along each axis every fourth answer is right. We begin with the row
# from above, moved right by one: 0 3 1 4 1 5 9. Its stride is 2.

# %%
moved_row = np.concatenate([[0], row])
wrong_row = interlaced.copy()
wrong_row[1::2] = pool(moved_row)[:2]  # the pass gives 3, 4 and 5
print("right", interlaced, " wrong", wrong_row)
check(
    "place 3 got the answer for place 1, two places to the left",
    wrong_row[3] == interlaced[1] == 4,
)

# %% [markdown]
# Which answer is at which place? With a stride of 4, the pass that moved right by $b$
# gives, as output $j$, the answer for pixel $4j - b$. In the wrong map this answer is put
# at $4j + b$. So place $p = 4j + b$ holds the answer for pixel $p - 2b$: for a pixel 2, 4
# or 6 places to the left. These pixels lie *before* $4j$, in the **previous** interval of
# four. The three places behind $4j$ hold the answers for the three pixels in front of $4j$,
# as in a mirror at $4j$:
#
#     place             4j    4j + 1   4j + 2   4j + 3
#     answer for pixel  4j    4j - 1   4j - 2   4j - 3

# %%
wrong = np.empty_like(stitched)
for (a, b), y in moved_passes.items():
    height, width = wrong[:, :, a::f, b::f].shape[2:]
    wrong[:, :, a::f, b::f] = y[:, :, :height, :width]

answers_for = places - 2 * (places % f)
inside = answers_for >= 0  # the other places hold answers that have seen the zeros
mirrored = np.array_equal(
    wrong[:, :, inside][..., inside],
    stitched[:, :, answers_for[inside]][..., answers_for[inside]],
)
check("place p = 4j + b holds the answer for pixel p - 2b, at all places", mirrored)
between = places % f != 0
previous = bool((answers_for[between] // f == places[between] // f - 1).all())
check("except at every fourth place, it lies in the previous interval of four", previous)
check(
    "every fourth answer is right",
    np.array_equal(wrong[:, :, ::f, ::f], stitched[:, :, ::f, ::f]),
)
misplaced = (wrong != stitched).any(axis=1).mean()
check("about 15 of 16 answers are not", 0.9 < misplaced < 0.95, f"{misplaced:.1%}")

# %% [markdown]
# At first sight the wrong map still looks like the picture. How much mean IU does the
# mistake cost? And how can you notice it if you do not have the right map? Compare the
# steps from a place to the next one. In the wrong map a step from $4j$ to $4j + 3$ goes to
# the answer for the pixel beside. But the fourth step, from $4j + 3$ to $4j + 4$, goes from
# the answer for pixel $4j - 3$ to that for $4j + 4$. These pixels are 7 apart, so the
# answers differ much more. In the right map no step is special.


# %%
def fourth_step(values):
    """How much neighbours differ across every fourth step; across the others it is 1."""
    down, across = np.abs(np.diff(values, axis=2)), np.abs(np.diff(values, axis=3))
    steps = down.mean(axis=(0, 1, 3)) + across.mean(axis=(0, 1, 2))
    is_fourth = np.arange(len(steps)) % f == f - 1
    return steps[is_fourth].mean() / steps[~is_fourth].mean()


in_order = fine["shift-and-stitch"]  # of all unseen scenes
mixed_up = in_order[:, :, answers_for][..., answers_for]
right_iu, wrong_iu = mean_iu(in_order, first=4), mean_iu(mixed_up, first=4)
costs = right_iu - wrong_iu
measured = f"{right_iu:.3f} -> {wrong_iu:.3f}"
check("the wrong direction costs .2 to .5 in mean IU", 0.2 < costs < 0.5, measured)
nearest_iu = mean_iu(fine["nearest answer"], first=4)
check(
    "the nearest answer of a single pass is better than that", wrong_iu < nearest_iu - 0.1
)
usual, special = fourth_step(stitched), fourth_step(wrong)
check("right: each fourth step is like the others", 0.8 < usual < 1.3, f"{usual:.2f}")
noticed = 2 < special < 8
check("wrong: it is more than twice as large", noticed, f"{special:.1f} times")

# %% [markdown]
# ## The drawings

# %%
from matplotlib.colors import hsv_to_rgb

HUES = np.array([hsv_to_rgb((n / 16, 0.55, 1)) for n in np.arange(16) * 7 % 16])
HUES = HUES.reshape(f, f, 3)  # a colour for each shift


def thing(scores):
    """The probability that a place is not background, (places down, places across)."""
    e = np.exp(scores[0] - scores[0].max(axis=0))
    return 1 - e[0] / e.sum(axis=0)


def tinted(values, colour):
    """A map from dark to bright, times a colour (or a colour for each place)."""
    return (0.2 + 0.8 * values)[..., None] * colour


def sheet_of_passes():
    """The 16 coarse maps, each in the colour of its shift, with white between them."""
    sheet = np.ones((f * 13 - 1, f * 13 - 1, 3))
    for a, b in np.ndindex(f, f):
        y = thing(net(x[:, :, a:, b:]))
        height, width = y.shape
        sheet[13 * a : 13 * a + height, 13 * b : 13 * b + width] = tinted(y, HUES[a, b])
    return sheet


def draw_stitching():
    """The 16 coarse maps, and how they are interlaced."""
    rows, columns = np.indices((side, side))
    fine_map = tinted(thing(stitched), HUES[rows % f, columns % f])
    edges = np.abs(np.diff(thing(stitched), axis=1))  # show a part in which something ends
    windows = np.lib.stride_tricks.sliding_window_view(edges, (16, 15))[::f, ::f]
    ends = windows.sum(axis=(2, 3))
    top, left = f * np.array(np.unravel_index(ends.argmax(), ends.shape))
    titles = ["unseen picture", "16 passes, coloured by shift"]
    titles += ["interlaced (the framed part)", "stitched: bright is 'a thing'"]
    caption = "16 coarse maps, one for each shift, are interlaced:\n"
    caption += "every block of 4x4 places holds one answer of each"
    figure, axes = viz.new_figure(caption, 2, 2, 6.6, 7.3, titles)
    (picture, passes), (part, whole) = axes
    picture.imshow(world[100 + shown].image)
    viz.frame(picture, 8, 8, 47, 47, "white", 1)
    passes.imshow(sheet_of_passes())
    part.imshow(fine_map[top : top + 16, left : left + 16])
    for line in np.arange(5) * f - 0.5:
        part.axhline(line, color="white", linewidth=1.5)
        part.axvline(line, color="white", linewidth=1.5)
    whole.imshow(thing(stitched), cmap="gray", vmin=0, vmax=1)
    viz.frame(whole, top, left, 16, 16, viz.COLOURS[1])
    viz.bare(axes)
    return figure


def draw_ways():
    """Three unseen scenes and the labels of the three ways."""
    background = (truth[:, 8:55, 8:55] == 0).mean(axis=(1, 2))
    rows = []
    for n in np.argsort(background)[:3]:  # scenes with much in them
        guesses = [scores[n].argmax(axis=0) for scores in fine.values()]
        rows.append([world[100 + int(n)].image[8:55, 8:55], truth[n, 8:55, 8:55], *guesses])
    titles = ["picture", "truth\n(void pale)"]
    titles += [f"{way}\nmean IU {score:.2f}" for way, score in iu.items()]
    caption = "The same weights: coarse answers filled in two ways, and own answers"
    options = {"classes": world.classes, "palette": world.palette, "size": 1.45}
    return viz.panels(rows, titles, caption, **options)


def draw_mirror():
    """Which pixel's answer each place holds in the wrong direction."""
    caption = "The wrong direction: the places 4j + 1, 4j + 2, 4j + 3\n"
    caption += "hold the answers for 4j - 1, 4j - 2, 4j - 3"
    figure, ax = viz.new_figure(caption, width=7.4, height=2.7)
    for p in range(4, 16):
        colour = viz.COLOURS[p // f - 1] if p % f else "#333333"
        ax.plot([p - 2 * (p % f), p], [1, 0], color=colour, linewidth=2 if p % f else 1.2)
    for p in range(16):
        face, ink = ("#333333", "white") if p % f == 0 else ("white", "#333333")
        box = {"boxstyle": "circle", "fc": face, "ec": "#333333"}
        for y in (0, 1):
            ax.text(p, y, p, ha="center", va="center", color=ink, bbox=box)
    ax.text(-1, 1, "the answer\nfor pixel", ha="right", va="center")
    ax.text(-1, 0, "stands\nat place", ha="right", va="center")
    ax.set(xlim=(-3, 15.6), ylim=(-0.25, 1.25))
    viz.bare(ax)
    return figure


def draw_direction():
    """The score of one class, in the right and in the wrong order, and their difference."""
    c = 1 + int((stitched[0, 1:].max(axis=(1, 2))).argmax())
    values, mixed = stitched[0, c], wrong[0, c]
    titles = ["picture", f"right: score of {world.classes[c]}"]
    titles += ["wrong: moved right, placed at 4j + b", "wrong - right"]
    caption = "The same answers in the wrong order: edges break up into blocks"
    figure, axes = viz.new_figure(caption, 2, 2, 6.4, 6.9, titles)
    axes[0, 0].imshow(world[100 + shown].image[8:55, 8:55])
    for ax, scores in ((axes[0, 1], values), (axes[1, 0], mixed)):
        ax.imshow(scores, cmap="gray", vmin=values.min(), vmax=values.max())
    largest = np.abs(mixed - values).max()
    axes[1, 1].imshow(mixed - values, cmap="RdBu_r", vmin=-largest, vmax=largest)
    viz.bare(axes)
    return figure


# %% [markdown]
# Look at the picture at the lower left: in every block of 4x4 the sixteen colours stand in
# the same order. At bright places the network finds a thing. The white frame in the first
# picture holds the pixels that the answers belong to.

# %%
viz.show(draw_stitching(), "07_stitch")

# %% [markdown]
# Look at the edges of the things. They have steps of four pixels with the nearest answer,
# and finer steps with shift-and-stitch. Now look for a thin thing, such as the ring in the
# first row (with seed 0). It is blue, but all three ways call parts of it green, magenta or
# background. This is the network's own mistake: it makes it also when it is asked at that
# very place.

# %%
viz.show(draw_ways(), "07_ways")

# %% [markdown]
# Look at the lines: the three places behind a black place hold the answers for the three
# pixels in front of it, in reverse order. So the lines cross. Places 1 to 3 have no lines:
# their answers belong to the zeros in front of the picture.

# %%
viz.show(draw_mirror(), "07_mirror")

# %% [markdown]
# Look at the map at the lower left: the thing is still there, but its edge is cut into
# blocks of four pixels. (Lesson 8 shows the same scene and the same class.)

# %%
viz.show(draw_direction(), "07_direction")

# %% [markdown]
# ## Exercises
# 1. *Trace*: given a row of pixels and a pool of size and stride k, compute the outputs of
#    all k passes, and the interlaced row.
# 2. *Change*: given a network of output stride f, compute the answers at every second (or
#    `step`-th) pixel only, with as few passes as possible.
# 3. *Prove*: in the paper's form, which output of which pass answers for a given pixel? And
#    whose answer stands there in the wrong direction? Prove both.
#
# `fcn exercise 7` writes a file for each of them, `fcn exercise 7 --check FILE` checks your
# answer, `fcn exercise 7 --solution` shows ours.

# %% [markdown]
# ## Claims

# %%
claims(
    [
        (
            "stitched = the network on each place's own window",
            same_as_windows,
            "exact: multiples of one unit",
        ),
        (
            "every fourth answer is the coarse map",
            np.array_equal(stitched[:, :, ::f, ::f], coarse),
            "exact: one pass",
        ),
        (
            "the paper's form = dropping rows and columns",
            np.array_equal(papers, stitched),
            "exact",
        ),
        ("after one step to the right, output 2 answers for pixel 7", seventh, "exact"),
        ("if the picture moves, the stitched map moves along", along, "exact"),
        (
            "the gradients of the layer are right",
            worst < 1e-7,
            "1e-7: finite differences reach 1e-10",
        ),
        (
            "the cost is that of f * f passes",
            14 < ratio < 16,
            "counted; later passes see less of the picture",
        ),
        ("windows one by one cost 4 to 8 times more", 4 < saved < 8, "counted"),
        (
            "nearest < straight lines < shift-and-stitch, on unseen scenes",
            better,
            "gaps of .06 to .07 and .02 to .04 on five seeds",
        ),
        (
            "one pixel changes answers over 10 to 18 rows",
            10 < spread <= 18,
            "counted; the field is 18",
        ),
        (
            "straight lines repeat four of five of its mistakes",
            four_of_five,
            ".79 to .84 on five seeds",
        ),
        ("stripes that the network adds up stay lost", no_stripes, "exact"),
        (
            "wrong direction: place p holds the answer for p - 2b",
            mirrored and previous,
            "exact, at all places",
        ),
        (
            "the wrong direction costs .2 to .5",
            0.2 < costs < 0.5,
            ".35 to .37 on five seeds",
        ),
        ("a large fourth step gives it away", noticed, "2 to 8: 3.8 to 4.5 on SEEDS"),
    ]
)

# %% [markdown]
"""
# Lesson 6: Which pixels does an output see, and where is it?

After this lesson you can work out which pixels a value of any map sees, and where this
value lies in the picture. You can derive the crops in the authors' networks, 19, 27, 31, 5
and 9, and you can say what the padding of 100 is for.

You may skip this lesson on the fast path. Come back when you want to know where a crop or a
padding comes from.

Needs: lessons 2 and 5. Words: the [glossary](../docs/glossary.md).

Runtime: 8 s on 2 cores
"""

# %% [markdown]
# ## A grid over the picture
#
# Every map of a network lies over the picture like a grid. Three numbers describe this
# grid:
#
# - *size*: the number of pixels that can influence one value. These pixels are the
#   value's **receptive field**;
# - *stride*: the number of pixels between two neighbouring values. For a whole network it
#   is the **output stride**;
# - *start*: the place of value 0 in the picture. It is the middle of the pixels that the
#   value sees. Coordinate 0 is the middle of the first pixel.
#
# A worked example along one axis: a convolution of size 3, a pool of size 2 and stride 2, a
# convolution of size 3.
#
#     pixels     0  1  2  3  4  5  6  7       size  stride  start
#     conv 3   ( 0  1  2 )                      3     1      1
#     pool 2   ( 0  1  2  3 )                   4     2      1.5
#     conv 3   ( 0  1  2  3  4  5  6  7 )       8     2      3.5
#
# The brackets hold the pixels that value 0 sees. Value 0 of the pool sees two values of the
# first convolution, and these see the pixels 0 to 2 and 1 to 3. Value 0 of the last
# convolution sees three values of the pool. They see the pixels 0 to 3, 2 to 5 and 4 to 7.

# %% [markdown]
# ## Predict
# 1. VGG16 has thirteen 3x3 convolutions, five pools that halve the map, and `fc6` with a
#    7x7 kernel. How many pixels can influence one output? Which of these layers adds the
#    most?
# 2. The authors pad the picture by 100 pixels on each side. Why 100? Would 90 be enough?
#    Would 110 be right too?
# 3. In lesson 0 the crop of FCN-8s begins at 31 and not in the middle, at 34. That of
#    FCN-32s begins at 19. Suppose that someone crops FCN-32s in the middle, and tests this
#    with pictures of 32 successive sizes. For how many of them is it right: for none, for
#    two, or for half?

# %%
import numpy as np

from fcn_from_scratch import geometry, models, viz
from fcn_from_scratch.course import check, claims, seed

SEED = seed()
rng = np.random.default_rng([SEED, 6])

# %% [markdown]
# ## The rule, in ten lines
# A layer with kernel size $k$, stride $s$ and padding $p$ reads $k$ values of the map
# before it. These values are `stride` pixels apart. So the new size is larger by $k - 1$
# strides. The middle of the first window lies half of this distance further on. The padding
# moves it back by $p$ values, which are $p$ strides. At last, the layer's own stride
# multiplies the stride of the map:
#
# $$
# \begin{aligned}
#   \text{size} &\leftarrow \text{size} + (k - 1) \cdot \text{stride} \\
#   \text{start} &\leftarrow \text{start} + (\tfrac{k - 1}{2} - p) \cdot \text{stride} \\
#   \text{stride} &\leftarrow \text{stride} \cdot s
# \end{aligned}
# $$


# %%
def grid_of(layers):
    """(size, stride, start) after a chain of (kernel size, stride, padding)."""
    size, stride, start = 1, 1, 0.0
    for k, s, p in layers:
        size += (k - 1) * stride
        start += ((k - 1) / 2 - p) * stride
        stride *= s
    return size, stride, start


example = [(3, 1, 0), (2, 2, 0), (3, 1, 0)]
check("the worked example", grid_of(example) == (8, 2, 3.5))

conv, pool = (3, 1, 1), (2, 2, 0)
two, three = [conv, conv, pool], [conv, conv, conv, pool]
vgg = [(3, 1, 100), conv, pool, *two, *three, *three, *three, (7, 1, 0), (1, 1, 0)]
size, stride, start = grid_of(vgg)
print(f"VGG16, fc7: size {size}, stride {stride}, start {start}")
check("an output of VGG16 sees 404 pixels; two are 32 apart", (size, stride) == (404, 32))
check("the first one lies at 12.5", start == 12.5)
fc6_adds = size - grid_of(vgg[:-2])[0]
check("fc6 adds nearly half of the 404 pixels: six steps of 32", fc6_adds == 6 * 32 == 192)

# %% [markdown] tags=["answer"]
# > **Prediction 1.** 404 pixels can influence one output. `fc6` adds the most, 192 of them,
# > because its 7 values are 32 pixels apart and (7 - 1) * 32 = 192. If you added up the
# > kernel sizes only, you left out that the values of a deep map are far apart.

# %% [markdown]
# `geometry.receptive_field` computes the same for any network, in exact fractions. The
# networks here are the paper's, but with one channel where VGG16 has 64. The number of
# channels does not matter for the geometry.

# %%
nets = {
    name: models.build(name, num_classes=2, width=1)
    for name in ("fcn32s", "fcn16s", "fcn8s")
}
field = geometry.receptive_field(nets["fcn32s"])
check("the package = by hand", tuple(field) == (size, stride, start), f"{field}")

# %% [markdown]
# ## A test with gradients
# The rule describes the forward. The backward can confirm it. Put a gradient of 1 on one
# value of the output, and find the pixels that receive a gradient. Two neighbouring values
# are enough to measure all three numbers.

# %%
from fcn_from_scratch.layers import Conv2d, MaxPool2d, Sequential

chain = Sequential(Conv2d(1, 1, 3, padding=1), MaxPool2d(2), Conv2d(1, 1, 3, padding=1))
for name in ("0.weight", "2.weight"):
    chain.params[name][...] = 1  # positive, so that nothing cancels


def reached(net, value, number=50):
    """The first and the last row that get a gradient from one value, in many pictures."""
    found = np.zeros((24, 24), bool)
    for _ in range(number):
        y = net(rng.uniform(size=(1, 1, 24, 24)))
        dy = np.zeros_like(y)
        dy[0, 0, value, value] = 1
        found |= net.backward(dy)[0, 0] != 0
    rows = np.flatnonzero(found.any(axis=1))
    return int(rows[0]), int(rows[-1])


(first, last), (next_first, _) = reached(chain, 4), reached(chain, 5)
apart = next_first - first
measured = last - first + 1, apart, (first + last) / 2 - 4 * apart
check(
    "the gradients reach what the rule says",
    measured == tuple(geometry.receptive_field(chain)),
    f"{measured}",
)

# %% [markdown]
# Why does this take many pictures? A max-pool gives its gradient to the largest pixel of a
# window only. The output still depends on all pixels of the window, because each of them
# can be the largest in another picture. `geometry.measured_receptive_field` replaces each
# pool by a sum and makes all weights positive. Then one picture is enough.

# %%
support = geometry.measured_receptive_field(nets["fcn8s"])
check("measured on VGG16: 404, 32 and 12.5 again", tuple(support) == (404, 32, 12.5))

# %% [markdown]
# ## What an output can see, and what it uses
# An output *can* see 404x404 pixels: this is its **theoretical** field. A pixel in the
# middle reaches the output along many paths through the layers, and a pixel in the corner
# of the field along few. So most of the gradient lies in the middle. The square that holds
# 95 % of the squared gradient is the **effective** field. It depends on the weights. Here
# the weights are random, and the input is a photograph. The network has eight channels in
# its first layers this time, because one channel is too few for an average.

# %%
import matplotlib.cbook
from PIL import Image

file = matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)
photo = np.asarray(Image.open(file))
thin = models.build("fcn32s", num_classes=2, width=8, seed=SEED)
effective = geometry.effective_receptive_field(thin, thin.transform(photo)[None])
part = effective.size / effective.theoretical
side = effective.size
print(f"{side}x{side} pixels hold 95 % of the squared gradient: {part**2:.0%} of the area")
smaller = 0.5 < part < 0.85
check("the effective field is smaller than the theoretical one", smaller, f"{part:.2f}")

# %% [markdown]
# ## The way back up: three terms
# FCN gives scores for every pixel. For the crops you need to know three terms for the
# layers that do this.
#
# - `score_fr` is the score layer after `fc7`. Its scores are 32 pixels apart. An
#   **upscore** layer makes a map of scores finer.
# - In the paper's networks it is a **transposed convolution**: each score is spread over
#   `k` values of the finer map, weighted by a kernel, and all these contributions are
#   added. Lesson 9 builds it. Here only its kernel size k and its stride s matter.
# - FCN-16s and FCN-8s also have score layers on finer maps, `pool4` and `pool3`. Their
#   scores are added to the upsampled ones. Such a connection from a finer map to the scores
#   is a **skip** (lesson 12).
#
# Two maps can be added only if they lie on the same grid. So one of them is cropped: its
# first rows and columns are left out, and the surplus at its end, too. The number of rows
# and columns left out at the beginning is the **crop offset**.
#
# ## The crops
# An upscore layer of stride $s$ makes $s$ values for each old one. So it divides the stride
# of the map by $s$. Each value is spread over $k$ fine values around it. So the new map
# begins $(k - 1) / 2$ fine values earlier.
#
# The coarse scores begin at 12.5. The kernel of FCN-32s has size 64, so `upscore` begins at
#
# $$
# 12.5 - \frac{64 - 1}{2} = -19
# $$
#
# The picture begins at 0. So the first 19 pixels of `upscore` lie in front of the picture,
# and are left out.
#
# The crop of a skip follows in the same way. The layer `upscore2` has a kernel of size 4,
# and its map has a stride of 16 pixels. So its value 0 lies at 12.5 - 1.5 * 16 = -11.5.
# `pool4` has a stride of 16 pixels, too, and its value 0 lies at -91.5. The crop is the
# distance of the two, in values of `pool4`:
#
# $$
# \frac{-11.5 - (-91.5)}{16} = 5
# $$
#
# The next cell computes all five crops.


# %%
def upsampled(stride, start, k, s):
    """(stride, start) after a transposed convolution."""
    return stride / s, start - (k - 1) / 2 * stride / s


grids = {
    name: grid_of(vgg[:layers])[1:]
    for name, layers in (("pool3", 10), ("pool4", 14), ("score_fr", len(vgg)))
}
grids["upscore"] = upsampled(*grids["score_fr"], 64, 32)
grids["upscore2"] = upsampled(*grids["score_fr"], 4, 2)
grids["upscore16"] = upsampled(*grids["upscore2"], 32, 16)
# adding pool4's scores does not move upscore2
grids["upscore_pool4"] = upsampled(*grids["upscore2"], 4, 2)
grids["upscore8"] = upsampled(*grids["upscore_pool4"], 16, 8)
grids["picture"] = (1, 0.0)


def offset(cut, reference):
    """How many values of the map `cut` lie before the first one of the reference."""
    (stride, cut_start), (same, reference_start) = grids[cut], grids[reference]
    assert stride == same
    return (reference_start - cut_start) / stride


# %%
CROPS = [  # the network, the map that is cropped, and the map to which it is cropped
    ("FCN-32s", "upscore", "picture"),
    ("FCN-16s", "pool4", "upscore2"),
    ("FCN-16s", "upscore16", "picture"),
    ("FCN-8s", "pool3", "upscore_pool4"),
    ("FCN-8s", "upscore8", "picture"),
]
crops = []
for net, cut, reference in CROPS:
    crops.append(offset(cut, reference))
    (step, begins), (_, other) = grids[cut], grids[reference]
    print(f"  {net}: {cut} begins at {begins}, {reference} at {other}: crop {crops[-1]:g}")
derived = crops == [19, 5, 27, 9, 31]
check("19, 27 and 31 against the picture, 5 and 9 between two maps: all derived", derived)

# %% [markdown]
# No size of a picture was used. The padding was used: it moves the start of all maps. With
# a padding of $p$ the coarse scores begin at $112.5 - p$, so `upscore` begins at $81 - p$,
# and the crop is $p - 81$. In the same way the other last crops are $p - 73$ and $p - 69$.
# The crops of the skips do not change, because both maps move.
#
# The package derives its crops in the same way when it builds a network. It also explains
# them. `fcn inspect fcn8s` prints the explanations of one network; here are all five. (They
# say "image" for the picture, and "cell" for a place of a map.)

# %%
explained = geometry.explain_crops(nets["fcn32s"])
explained += geometry.explain_crops(nets["fcn16s"])
explained += geometry.explain_crops(nets["fcn8s"])[1:]  # pool4's is that of FCN-16s
for _, number, text in explained:
    print(f"crop {number}:")
    print("  " + text.replace("\n", "\n  "))
check("the package's crops are ours", [number for _, number, _ in explained] == crops)
moved = models.build("fcn8s", num_classes=2, width=1, pad=110)
moved_crops = [number for _, number, _ in geometry.explain_crops(moved)]
check(
    "ten more pixels of padding: the last crop grows by ten, the skips' stay",
    moved_crops == [5, 9, 41],
)

# %% [markdown]
# ## An impulse through every network
# Set value 8 of the coarse scores to 1, in both directions, and all others to 0. Then run
# only the upscore layers and the crops of each network. The centre of the result must lie
# where value 8 lies: at 12.5 + 32 * 8 = 268.5. A wrong crop moves it.


# %%
def landing(net, extent, value, shift=0):
    """The centre, in the picture, of what a 1 in one value of the coarse scores becomes."""
    maps = geometry.map_sizes(net, extent)
    scores = np.zeros((1, 2, *maps["score_fr"].size))
    scores[0, 0, value, value] = 1
    for pool, upscore, fuse in net.skips:  # upsample, then crop and add zeros as `pool`
        scores = fuse(upscore(scores), np.zeros((1, maps[pool].channels, *maps[pool].size)))
    y = net.upscore(scores)[0, 0]
    first = net.crop.offset[0] + shift
    rows = y[first : first + extent].sum(axis=1)
    return float((rows * np.arange(extent)).sum() / rows.sum())


places = {name: landing(net, 500, 8) for name, net in nets.items()}
print(places)
lands = all(abs(place - (12.5 + 32 * 8)) < 1e-6 for place in places.values())
check("in all three networks value 8 arrives at 268.5", lands)

# %% [markdown]
# ## Why 100?
# Let the picture have $n$ pixels along one side, and let the padding be $p$. The first
# convolution makes $n + 2p - 2$ values from them. Every other 3x3 convolution keeps the
# size. Five pools halve it, and each rounds up. This gives the same number as dividing by
# 32 and then rounding up once. `fc6` needs 7 values of `pool5`, even for a picture of one
# pixel:
#
# $$
# \left\lceil \frac{n + 2p - 2}{32} \right\rceil \ge 7, \qquad
#   \text{which is the same as} \quad n + 2p - 2 \ge 6 \cdot 32 + 1 = 193
# $$
#
# For $n = 1$ this is $p \ge 97$. For larger pictures a smaller padding is enough. And there
# is a second condition, for every $n$. A crop removes pixels and cannot add any. So the
# scores must not begin after the picture does. This means that the crop offset of FCN-32s,
# which is $p - 81$, must not be negative:
#
# $$
# p \ge 81
# $$
#
# Behind the picture there are enough scores then. Let there be $c$ coarse scores. `fc6`
# makes them from $c + 6$ values of `pool5`, which is the number from above, so
# $32 (c + 6) \ge n + 2p - 2$. The rows of `upscore` without the first $p - 81$ are
#
# $$
# 32 (c - 1) + 64 - (p - 81) = 32 (c + 6) - 160 - (p - 81) \ge n + p - 81
# $$
#
# These are at least $n$ rows, because $p \ge 81$.


# %%
def fits(n, p):
    """Does FCN-32s with the padding p take a picture of n pixels? The two inequalities."""
    return -(-(n + 2 * p - 2) // 32) >= 7 and p >= 81  # -(-a // b) rounds a / b up


every = range(1, 1500)
print("pad   sizes from 1 to 1499 that do not fit FCN-32s")
agree, missing = True, {}
for p in (70, 80, 81, 90, 95, 96, 97, 98, 100, 110):
    counted = geometry.sizes_that_fit(nets["fcn32s"], every, pad=p)  # through all layers
    agree = agree and counted == [n for n in every if fits(n, p)]
    missing[p] = len(every) - len(counted)
    print(f"{p:3}   {missing[p]}")
check("the inequalities = the sizes of all layers, for each n and ten paddings", agree)
smallest = next(p for p in range(120) if all(fits(n, p) for n in every))
right = smallest == 97 == geometry.smallest_pad(nets["fcn32s"])
check("97 is the smallest padding with which every size fits", right)
refused = {p: [n for n in every if not fits(n, p)] for p in (81, 90, 96)}
check("with 96 the sizes 1 and 2 do not fit", refused[96] == [1, 2])
check("with 90 the sizes 1 to 14 do not fit", refused[90] == list(range(1, 15)))
check("with 81 all sizes from 33 pixels on fit", refused[81] == list(range(1, 33)))
check("with 80 none fits: the scores begin inside the picture", missing[80] == len(every))
others = [geometry.sizes_that_fit(nets[name], every) for name in ("fcn16s", "fcn8s")]
check("with 100 every size fits FCN-16s and FCN-8s, too", others == 2 * [list(every)])

# %% [markdown] tags=["answer"]
# > **Prediction 2.** With 97 or more, every picture fits. The authors' README says that 100
# > guarantees this for any size in their data sets. 90 fails for pictures of 1 to 14 pixels
# > only. 110 works too, and changes the last crop only. Pictures of 33 pixels and more need
# > no more than 81.

# %% [markdown]
# The padding has a price. All layers also work on the wide frame of zeros. For a small
# picture this frame is nearly all of the work.

# %%
rows_made = geometry.table(nets["fcn32s"], 32).row("conv1_1").size[0]
frame = 1 - (32 / rows_made) ** 2
nearly_all = rows_made == 230 and 0.975 < frame < 0.985
check("with 32x32 pixels, 98 % of what conv1_1 computes is the frame", nearly_all)

# %% [markdown]
# So this is the whole answer to "how can the input be any size?". Every layer is a
# convolution, a pool or an upscore layer, and works on maps of any size (lesson 5). The
# padding gives even one pixel enough surroundings for `fc6`. And the crop gives the scores
# the size of the picture. This works for any height and any width. The next cell tries it.

# %%
right_size = True
for net in nets.values():
    for height, width in ((1, 1), (37, 211), (130, 64)):
        y = net.eval()(rng.normal(size=(1, 3, height, width)).astype(np.float32))
        right_size = right_size and y.shape == (1, 2, height, width)
check("all three networks give as many scores as the picture has pixels", right_size)

# %% [markdown]
# ## Rounding up
# All this holds because the paper's pools round **up**: **ceil pooling** keeps a last
# window that is only partly filled. A pool that rounds down drops the last row of a map
# with an odd number of rows. This can happen five times. Then the scores can end before the
# picture does.

# %%
hundreds = range(1, 601)
down = {
    name: 600 - len(geometry.sizes_that_fit(net, hundreds, ceil_mode=False))
    for name, net in nets.items()
}
print("sizes from 1 to 600 that do not fit when pools round down:", down)
check("rounding down breaks 240 of 600 sizes of FCN-32s", down["fcn32s"] == 240)
tried = 256, 375, 480, 500
fit_down = [n for n in tried if geometry.fits(nets["fcn32s"], n, ceil_mode=False)]
check("the sizes 256 and 480 do not show it; 375 and 500 do", fit_down == [256, 480])

# %% [markdown]
# ## What could fool you
# **A crop in the middle** gives the right size, too. But the surplus *behind* the picture
# depends on how the pools rounded, and the surplus *in front* of it does not. In FCN-32s
# the middle is right for two of every 32 sizes, so a test at one size may not find this.

# %%
made = {n: geometry.map_sizes(nets["fcn32s"], n)["upscore"].size[0] for n in range(33, 609)}
surplus = {n: rows - n for n, rows in made.items()}
by_chance = [n for n in surplus if surplus[n] // 2 == 19]
in_each = {sum(surplus[n + k] // 2 == 19 for k in range(32)) for n in range(33, 577)}
check("the middle is right for two sizes in any 32", in_each == {2}, f"{by_chance[:6]} ...")
half_of_8s = (geometry.map_sizes(nets["fcn8s"], 500)["upscore8"].size[0] - 500) // 2
centred = landing(nets["fcn8s"], 500, 8, shift=half_of_8s - 31)
moved_by_3 = abs(centred - (268.5 - 3)) < 1e-6
check("FCN-8s at 500 pixels: half of the surplus is 34", half_of_8s == 34)
rows_8s = {n: geometry.map_sizes(nets["fcn8s"], n)["upscore8"].size[0] for n in (500, 506)}
behind_8s = {n: rows - n - crops[-1] for n, rows in rows_8s.items()}
check("behind 500 pixels 37 are left out, behind 506 31", behind_8s == {500: 37, 506: 31})
check(
    "cropping there moves all scores by 3 pixels", moved_by_3, f"{centred:.1f}, not 268.5"
)
furthest = max(abs(s // 2 - 19) for s in surplus.values())
check("at worst it moves FCN-32s by 15 pixels, nearly half of its stride", furthest == 15)
seen = {250: 250 in by_chance, 256: 256 in by_chance}
check("a test at 250 would not notice; at 256 it would", seen == {250: True, 256: False})

# %% [markdown] tags=["answer"]
# > **Prediction 3.** For two. In front of the picture there are always 19 rows to leave
# > out. The number behind it depends on how the pools rounded. If you wrote none: for a few
# > sizes both numbers are equal, by chance. In FCN-8s, the middle is 34 for 500 pixels, and
# > the impulse lands 3 pixels too early.

# %% [markdown]
# **A receptive field is only a limit.** "An output sees 404 pixels" says that it can use
# them. It does not say that it uses all of them. The figure below shows this for random
# weights; with others the effective field has another size. So do not explain a result by
# the theoretical field alone.

# %% [markdown]
# ## The drawings

# %%
COLOURS = {"fc7": "#f2c14e", "pool5": "#8bd17c", "pool4": "#62b6f0", "pool3": "#ff6b4a"}
SHADE = {"facecolor": "black", "alpha": 0.65, "edgecolor": "none", "pad": 1.5}


def named_box(ax, centre, side, text, colour):
    """A square around a place, with its name above the left corner."""
    top, left = (c - side / 2 + 0.5 for c in centre)
    viz.frame(ax, top, left, side, side, colour)
    style = {"color": colour, "weight": "bold", "bbox": SHADE}
    ax.text(left + 2, top - 7, text, va="bottom", **style)


def draw_fields():
    """The theoretical fields on the photograph, and the effective one at the same scale."""
    fields = geometry.grids(geometry.graph(nets["fcn8s"]))
    row, column = start + stride * 9, start + stride * 8  # the output nearest to the middle
    titles = ["theoretical fields\n(dots: outputs, every 32 pixels)"]
    titles.append("gradient of one output\nin its field of 404x404 pixels")
    caption = "What an output of VGG16 can see, and what it uses with random weights"
    figure, (left, right) = viz.new_figure(caption, 1, 2, 7.4, 4.7, titles)
    left.imshow(photo)
    steps = 32 * np.arange(-6, 7)
    dots = map(np.ravel, np.meshgrid(column + steps, row + steps))
    left.plot(*dots, ".", color="white", markersize=4)
    for name, colour in COLOURS.items():
        size = fields[name].size
        named_box(left, (row, column), size, f"{name}: {size}", colour)
    energy = np.sqrt(effective.energy)
    limits = column - 202, column + 202, row + 202, row - 202
    right.imshow(energy, cmap="magma", vmax=np.quantile(energy, 0.998), extent=limits)
    text = f"95 % of the squared gradient: {effective.size}"
    named_box(right, (row, column), effective.size, text, "white")
    named_box(right, (row, column), 404, "fc7: 404", COLOURS["fc7"])
    for ax in (left, right):
        ax.set(xlim=(column - 210, column + 210), ylim=(row + 208, row - 232))
        ax.plot([column + 90, column + 190], [row + 190, row + 190], color="white", lw=3)
        style = {"color": "white", "ha": "center", "va": "bottom", "bbox": SHADE}
        ax.text(column + 140, row + 180, "100 pixels", **style)
    viz.bare((left, right))
    return figure


def draw_crops():
    """All five crops: the values of the cropped map as blocks, those left out in red."""
    caption = "The five crops: values before the black line are left out (red)"
    figure, ax = viz.new_figure(caption, width=7.4, height=4.4)
    for row, ((_, cut, reference), number) in enumerate(zip(CROPS, crops)):
        (step, begins), (_, other) = grids[cut], grids[reference]
        middles = np.arange(begins, 60, step)
        for kept, colour in ((False, "#d1495b"), (True, "#bcd0e2")):
            left = middles[(middles >= other) == kept] - step / 2
            line = "white" if step > 1 else "none"
            ax.barh(row, step, left=left, height=0.5, color=colour, edgecolor=line)
        edge = other - step / 2
        ax.plot([edge, edge], [row - 0.42, row + 0.42], color="black", linewidth=2)
        word = "pixels" if step == 1 else f"values\nof {step:g} pixels"
        ax.text(62, row, f"{number:g} {word}", va="center", color="#a02c3d", weight="bold")
        text = f"{reference} begins" if step == 1 else f"first block of {reference}"
        ax.text(edge + 2, row - 0.42, text, va="center")
    ax.axvspan(-0.5, 60, color="#f6efdc", zorder=0)
    ax.set(xlim=(-106, 60), ylim=(4.6, -0.9))
    ax.set_xlabel("pixels; the picture begins at 0 (yellow), its padding at -100")
    ax.set_yticks(range(5), [f"{net}\n{cut}" for net, cut, _ in CROPS])
    ax.grid(False)
    return figure


def draw_behind():
    """What FCN-32s cuts off in front of the picture and behind it, for five sizes."""
    caption = "FCN-32s: 19 pixels are cut off in front of every picture,\n"
    caption += "and another number behind it"
    figure, ax = viz.new_figure(caption, width=7.2, height=3.4)
    for y, n in enumerate((224, 256, 375, 480, 500)):
        behind, red, blue = surplus[n] - 19, "#b5303f", "#1f6f93"
        ax.barh(y, 19, left=-19, color=red, height=0.6)
        ax.barh(y, n, color="#f6efdc", height=0.6)
        ax.barh(y, behind, left=n, color=blue, height=0.6)
        ax.text(n / 2, y, f"picture, {n}", ha="center", va="center")
        ax.text(-23, y, 19, ha="right", va="center", color=red)
        ax.text(n + behind + 4, y, behind, va="center", color=blue)
    ax.set(yticks=[], xlabel="pixel of the picture (rows of upscore)", xlim=(-50, 570))
    ax.spines["left"].set_visible(False)
    ax.grid(False)
    return figure


def draw_padding():
    """Which pictures fit with which padding."""
    pads, sizes = np.arange(70, 111), np.arange(1, 61)
    fitting = np.array([[fits(n, p) for p in pads] for n in sizes])
    caption = "Which pictures fit FCN-32s with which padding"
    figure, ax = viz.new_figure(caption, width=6.4, height=3.8)
    ax.pcolormesh(pads, sizes, fitting, cmap="Blues", vmin=0, vmax=2.5)
    ax.plot((195 - sizes) / 2, sizes, color="#b5303f")
    ax.text(88.5, 21, "n + 2p - 2 = 193", color="#b5303f")
    ax.axvline(81, color="#333333", linestyle="--")
    ax.text(80.5, 45, "p = 81", ha="right")
    ax.text(98, 45, "fits", fontsize=12, ha="center")
    ax.text(88, 4, "fc6 gets fewer\nthan 7 values", ha="center")
    ax.text(75, 30, "the scores begin\ninside the picture", ha="center")
    ax.plot(97, 1, "o", color="#333333")
    ax.text(98, 3, "97: every size")
    ax.set(xlabel="padding p", ylabel="side of the picture, n")
    ax.set(xlim=(69.5, 110.5), ylim=(0.5, 60.5))
    ax.grid(False)
    return figure


# %% [markdown]
# Look at the sizes of the boxes: a value of a deeper layer sees a larger square. All boxes
# are drawn around the place of one output, to compare their sizes. (Values of `pool3` and
# `pool4` do not lie exactly there, but half a stride beside it.) On the right, the bright
# part is smaller than the whole field. Both pictures have the same scale.

# %%
viz.show(draw_fields(), "06_fields")

# %% [markdown]
# Each row shows a map that is cropped. Every block is a value, drawn as wide as the stride
# of the map; the value's place is the middle of its block. The black line is the left edge
# of the first block that is kept. For `upscore2`, whose value 0 lies at -11.5, this edge is
# half a block further left, at -19.5. Count the red blocks in the second and the fourth
# row: there are 5 and 9. In the other rows each block is one pixel wide.

# %%
viz.show(draw_crops(), "06_crops")

# %% [markdown]
# Look at the numbers on the left, which are all equal. The numbers on the right differ.

# %%
viz.show(draw_behind(), "06_behind")

# %% [markdown]
# Blue is what fits. Look at the lowest row, a picture of one pixel: the blue region reaches
# it at a padding of 97. (Paddings and sizes are whole numbers, so the region has steps, and
# the red line, the exact limit, runs through their squares.)

# %%
viz.show(draw_padding(), "06_padding")

# %% [markdown]
# ## Exercises
# 1. *Trace*: given the layers of a network such as FCN-AlexNet and the number of a value of
#    its output, compute the first and the last pixel that can influence this value.
# 2. *Change*: given the layers up to the coarse scores and an upscore layer with another
#    kernel, compute the crop offset, or say that no crop of whole pixels fits.
# 3. *Prove*: given the side of a picture and the padding, compute how many rows of FCN-32s
#    are left over behind the picture. Prove that with 97 they are never too few.
#
# `fcn exercise 6` writes a file for each of them, `fcn exercise 6 --check FILE` checks your
# answer, `fcn exercise 6 --solution` shows ours.

# %% [markdown]
# ## Claims

# %%
claims(
    [
        (
            "VGG16's fc7: size 404, stride 32, start 12.5",
            tuple(field) == (404, 32, 12.5),
            "exact: fractions",
        ),
        ("the rule = what gradients reach", support == field, "exact: both count pixels"),
        (
            "the effective field is smaller",
            smaller,
            ".5 to .85: .64 to .69 on seeds 0, 1, 2, 7, 11",
        ),
        ("crops 19, 27, 31 and 5, 9 are derived", derived, "exact: fractions"),
        (
            "an impulse lands where its value lies, in all networks",
            lands,
            "1e-6: rounding is 1e-13",
        ),
        (
            "ceil((n + 2p - 2) / 32) >= 7 and p >= 81 say what fits",
            agree,
            "exact: sizes, all n from 1 to 1499",
        ),
        (
            "every size fits with 97, and not with 96",
            smallest == 97 and missing[96] == 2,
            "exact: sizes",
        ),
        ("any height and width gives scores of that size", right_size, "exact: sizes"),
        (
            "pools that round down break 240 of 600 sizes",
            down["fcn32s"] == 240,
            "exact: sizes",
        ),
        (
            "a crop in the middle is 3 pixels off at 500",
            abs(centred - 265.5) < 1e-6,
            "1e-6: rounding is 1e-13",
        ),
    ]
)

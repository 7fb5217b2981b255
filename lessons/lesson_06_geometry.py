"""Lesson 6: Which pixels does an output see, and where is it?

Afterwards you can work out the receptive field, the stride and the place of any layer's outputs, derive the
paper's crops (19, 27, 31, 5 and 9) instead of believing them, and say what the padding of 100 is for.

Needs: lessons 2 and 5
Runtime: 4 s on 2 cores
"""

# %% [markdown]
# # A grid over the image
#
# Every map lies over the image like a grid. Three numbers say how:
#
# - **size**: how many pixels one cell sees, its *receptive field*;
# - **stride**: how many pixels further the next cell looks;
# - **start**: the place of cell 0, the middle of what it sees. 0 is the middle of the first pixel.
#
# Worked example, one axis: a convolution of 3, a pool of 2 with stride 2, a convolution of 3.
#
#     pixels   0  1  2  3  4  5  6  7          size  stride  start
#     conv 3   ( 0  1  2 )                       3     1      1      sees 0..2
#     pool 2   ( 0  1  2  3 )                    4     2      1.5    two cells of the line above: 0..3
#     conv 3   ( 0  1  2  3  4  5  6  7 )        8     2      3.5    three cells, 2 apart: 0..3, 2..5, 4..7

# %% [markdown]
# ## Predict
# 1. VGG16 has thirteen 3x3 convolutions, five pools that halve, and `fc6` with its 7x7. How many pixels
#    does one output see, and which of these layers adds most?
# 2. The authors pad the image by 100 on each side. Why 100? Would 90 do? Would 110?
# 3. FCN-8s on a 500x500 image makes scores of 568x568. The code crops from pixel 31 on. Half of the
#    surplus would be 34. Who is wrong?

# %%
import numpy as np

from fcn_from_scratch import geometry, models
from fcn_from_scratch.course import check, claims

# %% [markdown]
# ## The rule
# A layer with kernel size k, stride s and padding p looks at k cells of the map below it, which stand
# `stride` pixels apart. So it sees `(k - 1) * stride` pixels more. The middle of its first window moves by
# half of that, and back by the padding.


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
fc6_adds = size - grid_of(vgg[:-2])[0]
check("an output of VGG16 sees 404 pixels, and stands every 32", (size, stride) == (404, 32))
check("nearly half of it is fc6's: six steps of 32", fc6_adds == 6 * 32, f"{fc6_adds} of {size}")

# %% [markdown]
# `geometry.receptive_field` keeps the same account of any network, in exact fractions. The nets here are
# the paper's in all but width: one channel instead of 64. Geometry does not see the difference.

# %%
nets = {name: models.build(name, num_classes=2, width=1) for name in ("fcn32s", "fcn16s", "fcn8s")}
field = geometry.receptive_field(nets["fcn32s"])
check("the package says the same", tuple(field) == (size, stride, start), f"{field}")

# %% [markdown]
# # Ask the gradient
# The rule is a claim about forward. Backward can testify: put a gradient of 1 on one cell and see which
# pixels it reaches. Do it for two neighbours, and you have all three numbers.

# %%
from fcn_from_scratch.layers import Conv2d, MaxPool2d, Sequential

chain = Sequential(*(Conv2d(1, 1, 3, padding=1), MaxPool2d(2), Conv2d(1, 1, 3, padding=1)))
for name in ("0.weight", "2.weight"):
    chain.params[name][...] = 1  # nothing may cancel


def reached(net, cell, number=50):
    """The first and the last row that a cell's gradient reaches, over many images."""
    rng, found = np.random.default_rng(0), np.zeros((24, 24), bool)
    for _ in range(number):
        y = net(rng.uniform(size=(1, 1, 24, 24)))
        dy = np.zeros_like(y)
        dy[0, 0, cell, cell] = 1
        found |= net.backward(dy)[0, 0] != 0
    rows = np.flatnonzero(found.any(axis=1))
    return int(rows[0]), int(rows[-1])


(first, last), (next_first, _) = reached(chain, 4), reached(chain, 5)
measured = (last - first + 1, next_first - first, (first + last) / 2 - 4 * (next_first - first))
check("gradients reach what the rule says", measured == tuple(geometry.receptive_field(chain)), f"{measured}")

# %% [markdown]
# Why many images? The gradient of a max-pool goes to the winner only, though the output *depends* on all
# pixels of the window: each of them may win another time. `geometry.measured_receptive_field` puts a sum
# in the place of each pool, makes all weights positive, and needs one image.

# %%
support = geometry.measured_receptive_field(nets["fcn8s"])
check("measured on VGG16: 404, 32, 12.5 again", support == geometry.receptive_field(nets["fcn8s"]))

# %% [markdown]
# ## What it can see and what it listens to
# 404 is what an output *can* see. A pixel in the middle reaches it on many ways, one at the rim on a
# single one. So most of the gradient lies in the middle, and 404 is an upper bound: the **theoretical**
# field. The **effective** one is measured with the weights the network has. Here they are random, and
# the question is a photograph; eight channels now, for one is too few.

# %%
import matplotlib.cbook
from PIL import Image

photo = np.asarray(Image.open(matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)))
thin = models.build("fcn32s", num_classes=2, width=8, seed=6)
effective = geometry.effective_receptive_field(thin, thin.transform(photo)[None])
share = (effective.size / effective.theoretical) ** 2
print(f"95 % of the squared gradient lies in {effective.size}x{effective.size} pixels: {share:.0%} of the area")
check("the effective field is smaller than the theoretical one", effective.size < 0.85 * effective.theoretical)

# %% [markdown]
# The picture: dots where the outputs of FCN-32s stand, every 32 pixels, from 12.5 on. Boxes: what one
# cell of `pool3`, of `pool4` and of `fc7` sees, around the same place.

# %%
from matplotlib.patches import Rectangle
from fcn_from_scratch import viz

fields = geometry.grids(geometry.graph(nets["fcn8s"]))
height, width = photo.shape[:2]
figure, axes = viz.new_figure("What an output sees, and what it listens to", columns=2, width=8.4, height=4.9)
axes[0].imshow(photo)
label = {"fontsize": 9, "weight": "bold", "bbox": {"facecolor": "black", "alpha": 0.6, "edgecolor": "none", "pad": 1.5}}
rows, columns = (np.arange(start, extent, stride) for extent in (height, width))
axes[0].plot(*map(np.ravel, np.meshgrid(columns, rows)), ".", color="white", markersize=5, markeredgewidth=0)
centre = start + stride * 8, start + stride * 9  # cell 9, 8: nearest to the middle, asked on the right
axes[0].plot(*centre, "o", color="#f2c14e", markersize=6)
for name, colour in (("fc7", "#f2c14e"), ("pool4", "#4ea5d9"), ("pool3", "#e4572e")):
    side = fields[name].size
    corner = [c - side / 2 for c in centre]
    axes[0].add_patch(Rectangle(corner, side, side, fill=False, edgecolor=colour, linewidth=2))
    axes[0].text(corner[0] + 4, corner[1] - 5, f"{name}: {side}", color=colour, **label)
axes[0].set_title("outputs every 32 pixels; theoretical fields", fontsize=9)
energy = np.sqrt(effective.energy)
axes[1].imshow(energy, cmap="magma", vmax=np.quantile(energy, 0.998))
inner = (effective.theoretical - effective.size) / 2 - 0.5
axes[1].add_patch(
    Rectangle((inner, inner), effective.size, effective.size, fill=False, edgecolor="white", linewidth=1.5)
)
axes[1].text(inner + 4, inner - 5, f"95 % of it: {effective.size}", color="white", fontsize=9, weight="bold")
axes[1].set_title("one output's gradient in its 404x404 field, random weights", fontsize=9)
for ax in axes:
    ax.set(xticks=[], yticks=[])
    ax.grid(False)
viz.save_figure(figure, "06_fields")

# %% [markdown]
# # The crops
# Upsampling by s puts s cells where one was: the stride is divided by s. Each cell is spread through a
# kernel of k small cells around its place, so the new map begins `(k - 1) / 2` small cells earlier.
#
# The coarse scores start at 12.5, the kernel of FCN-32s is 64, a half of it 31.5: `upscore` starts at
# -19. The image starts at 0. Nineteen pixels are too much in front. That is all.


# %%
def upsampled(stride, start, k, s):
    """(stride, start) after a transposed convolution."""
    return stride / s, start - (k - 1) / 2 * stride / s


grids = {name: grid_of(vgg[:layers])[1:] for name, layers in (("pool3", 10), ("pool4", 14), ("score_fr", len(vgg)))}
grids["upscore2"] = upsampled(*grids["score_fr"], 4, 2)
grids["upscore_pool4"] = upsampled(*grids["upscore2"], 4, 2)  # the fused scores lie where upscore2 does


def offset(cut, reference):
    """How many cells of `cut` lie before the reference's first cell; both have one stride."""
    (stride, start), (same, reference_start) = cut, reference
    assert stride == same
    return (reference_start - start) / stride


image = (1, 0.0)
last_crops = [
    offset(upsampled(*grids["score_fr"], 64, 32), image),
    offset(upsampled(*grids["upscore2"], 32, 16), image),
    offset(upsampled(*grids["upscore_pool4"], 16, 8), image),
]
skip_crops = [offset(grids["pool4"], grids["upscore2"]), offset(grids["pool3"], grids["upscore_pool4"])]
print("last crops", last_crops, "skip crops", skip_crops)
check("19, 27 and 31, derived", last_crops == [19, 27, 31])
check("5 and 9, derived", skip_crops == [5, 9])

# %% [markdown]
# No image size took part. The padding did: it moves the start of all maps, so the last crops change
# with it (19 is 100 - 81) and the skips' do not. The package derives its crops like this whenever it
# builds a network, and explains them: `fcn inspect fcn8s` prints this and more.

# %%
explained = geometry.explain_crops(nets["fcn8s"])
print(explained[-1][2])
check("the package's crops of FCN-8s", [o for _, o, _ in explained] == [5, 9, 31])
moved = models.build("fcn8s", num_classes=2, width=1, pad=110)
moved_crops = [o for _, o, _ in geometry.explain_crops(moved)]
check("ten more pixels of padding: only the last crop changes, by ten", moved_crops == [5, 9, 41])

# %% [markdown]
# ## An impulse through every head
# Light one cell of the coarse scores, cell 8, and let the three heads carry it up to the image. It has
# to come out where cell 8 stands: at `12.5 + 32 * 8 = 268.5`.


# %%
def landing(net, extent, cell, shift=0):
    """The centre of mass, in the image, of what a 1 in one cell of the coarse scores becomes."""
    maps = geometry.map_sizes(net, extent)
    scores = np.zeros((1, 2, *maps["score_fr"].size))
    scores[0, 0, cell, cell] = 1
    for pool, upscore, fuse in net.skips:
        scores = fuse(upscore(scores), np.zeros((1, maps[pool].channels, *maps[pool].size)))
    y = net.upscore(scores)[0, 0]
    first = net.crop.offset[0] + shift
    rows = y[first : first + extent].sum(axis=1)
    return float((rows * np.arange(extent)).sum() / rows.sum())


places = {name: landing(net, 500, 8) for name, net in nets.items()}
print(places)
lands = all(abs(place - (12.5 + 32 * 8)) < 1e-6 for place in places.values())
check("all three heads put cell 8 at 268.5", lands)

# %% [markdown]
# # Why 100?
# A crop cuts off; it cannot add. So the scores must *cover* the image: begin before it (the offset is not
# negative) and end behind it. And `fc6` needs its 7x7 cells, even for an image of one pixel.
# `geometry.sizes_that_fit` counts, with size formulas only.

# %%
every = range(1, 601)
print("pad   sizes from 1 to 600 that do not fit FCN-32s")
missing = {}
for pad in (80, 81, 90, 96, 97, 100, 110):
    missing[pad] = 600 - len(geometry.sizes_that_fit(nets["fcn32s"], every, pad=pad))
    print(f"{pad:3}   {missing[pad]}")
smallest = geometry.smallest_pad(nets["fcn32s"], every)
check("97 is the smallest padding with which every size fits", smallest == 97)
check("with 80 none fits: the scores would start inside the image", missing[80] == 600)
check(
    "with 81 all from 33 pixels on do", geometry.sizes_that_fit(nets["fcn32s"], every, pad=81) == list(range(33, 601))
)

# %% [markdown]
# So 90 fails for some tiny images, 97 is enough, 100 is on the safe side, and 110 only moves the last crop.
# From 33 pixels on 81 would do. The price of the padding is a wide frame of zeros, through which all
# layers go: on a 32x32 image it is nearly all of the work.

# %%
rows_made = geometry.table(nets["fcn32s"], 32).row("conv1_1").size[0]
check(
    "on 32x32 pixels nine tenths of conv1_1's outputs are frame", 1 - (32 / rows_made) ** 2 > 0.9, f"{rows_made} rows"
)

# %% [markdown]
# ## Ceil
# All this holds because Caffe's pools round **up**. A pool that rounds down loses the last row of an odd
# map, five times over, and the scores end too early.

# %%
down = {name: 600 - len(geometry.sizes_that_fit(net, every, ceil_mode=False)) for name, net in nets.items()}
print("sizes from 1 to 600 that do not fit when pools round down:", down)
check("rounding down breaks 240 sizes of FCN-32s", down["fcn32s"] == 240)
hides = [n for n in (256, 480) if geometry.fits(nets["fcn32s"], n, ceil_mode=False)]
check(
    "and hides at 256 and 480 pixels, but not at 375 and 500",
    hides == [256, 480] and not any(geometry.fits(nets["fcn32s"], n, ceil_mode=False) for n in (375, 500)),
)

# %% [markdown]
# # What could fool you
# **A crop in the middle.** It is the natural thing: the scores are too large, so take the same from all
# sides. Every shape fits. But what is left over behind the image depends on how the pools rounded, and
# what is left over in front does not. The middle is right for two sizes in every 32.

# %%
surplus = {n: geometry.map_sizes(nets["fcn32s"], n)["upscore"].size[0] - n for n in range(33, 601)}
right_by_chance = [n for n in surplus if surplus[n] // 2 == 19]
print("FCN-32s: surplus at 500 pixels", surplus[500], "- half of it is", surplus[500] // 2, "and not 19")
centred = landing(nets["fcn32s"], 500, 8, shift=surplus[500] // 2 - 19)
check("at 500 pixels the middle moves all scores by 3", abs(centred - (268.5 - 3)) < 1e-6, f"{centred:.1f}")
furthest = max(abs(s // 2 - 19) for s in surplus.values())
check("the worst sizes are off by 15, nearly half a cell", furthest == 15)
check("at 250 pixels nobody would notice; at 256 one would", 250 in right_by_chance and 256 not in right_by_chance)
print("sizes for which the middle is right:", right_by_chance[:8], "...")

# %%
figure, ax = viz.new_figure(
    "What is cut off in front is always 19; what is cut off behind changes", width=7.2, height=3.0
)
for y, n in enumerate((224, 256, 375, 480, 500)):
    left, behind = 19, surplus[n] - 19
    ax.barh(y, left, left=-left, color="#e4572e", height=0.6)
    ax.barh(y, n, color="#dfe8f1", height=0.6)
    ax.barh(y, behind, left=n, color="#4ea5d9", height=0.6)
    ax.text(n / 2, y, f"image, {n}", ha="center", va="center", fontsize=9)
    ax.text(-left - 4, y, left, ha="right", va="center", fontsize=9, color="#e4572e")
    ax.text(n + behind + 4, y, behind, ha="left", va="center", fontsize=9, color="#4ea5d9")
ax.set(yticks=[], xlabel="image pixel (rows of upscore, FCN-32s)", xlim=(-60, 570))
ax.spines["left"].set_visible(False)
ax.grid(False)
viz.save_figure(figure, "06_crops")

# %% [markdown]
# **A field is not a promise.** "It sees 404 pixels" does not say that it uses them. Look at the picture
# again before you explain a result with a receptive field.

# %% [markdown]
# ## Exercises
# 1. *Trace.* FCN-AlexNet: conv 11 stride 4 pad 100; pool 3 stride 2; conv 5 pad 2; pool 3 stride 2; three
#    conv 3 pad 1; pool 3 stride 2; conv 6; conv 1; upscore 63 stride 32. Field, stride, start, crop?
# 2. *Change.* Its upscore gets a kernel of 64 instead of 63, like VGG's. What happens to the crop? Why
#    does an odd kernel suit AlexNet, and an even one VGG?
# 3. *Prove.* Pools round up, each halving. Show that FCN-32s covers an image of n pixels for every n
#    that leaves `fc6` something to see, if its offset is 19. (Start with: ceil(m / 32) * 32 >= m.)
#
# Answers: `lessons/solutions/solution_06_geometry.py`

# %% [markdown]
# ## Claims

# %%
claims(
    [
        ("the recurrence = the support of gradients", support == field, "exact: both count pixels"),
        ("VGG16's fc7: size 404, stride 32, start 12.5", tuple(field) == (404, 32, 12.5), "exact: fractions"),
        ("the effective field is smaller", effective.size < 0.85 * effective.theoretical, ".85: 0.66 measured"),
        ("crops 19, 27, 31 and 5, 9 are derived", last_crops + skip_crops == [19, 27, 31, 5, 9], "exact"),
        ("an impulse lands where its cell stands, in all heads", lands, "1e-6: rounding is 1e-13"),
        ("every size from 1 to 600 fits with 97, not with 96", smallest == 97 and missing[96] > 0, "exact: sizes"),
        ("pools that round down break 240 of them", down["fcn32s"] == 240, "exact: sizes"),
        ("a crop in the middle is 3 pixels off at 500", abs(centred - 265.5) < 1e-6, "1e-6: rounding is 1e-13"),
    ]
)

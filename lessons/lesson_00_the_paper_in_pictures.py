# %% [markdown]
"""
# Lesson 0: What does the paper build?

After this lesson you can name every part of FCN-8s, say how large each map of it is, and point at the place where each
word of the paper belongs. You also know which lesson answers which question.

Needs: nothing. Words: the [glossary](../docs/glossary.md).

Fast path: lesson 1 comes next.

Runtime: 4 s on 2 cores
"""

# %% [markdown]
# ## The idea
# A classifier looks at a picture and names one class for the whole picture. Semantic segmentation names a class for
# *each pixel*. The paper "Fully Convolutional Networks for Semantic Segmentation" turns a classifier into a network
# that does this: [the conference version](https://arxiv.org/abs/1411.4038) of 2015, and
# [the longer journal version](https://arxiv.org/abs/1605.06211).
#
# The network has two halves. The first half is the classifier without its last layer. It makes the picture smaller
# step by step, and it computes what is in the picture. The second half makes scores for the classes, and enlarges
# them until there is one score for each class at each pixel.
#
# A small example. A row of 8 pixels is pooled twice, each time by the maximum of 2 neighbours. Then each value is
# repeated 4 times:
#
#     8 pixels       1 2 9 4 0 1 1 0
#     4 values       2   9   1   1
#     2 values       9       1
#     8 values       9 9 9 9 1 1 1 1      as many as at the start, but the place of the 9 is lost
#
# FCN-32s, FCN-16s and FCN-8s differ in how well they restore the places. In this course you build all three, by hand,
# in NumPy.

# %% [markdown]
# ## Predict
# Write your answers down before you run anything.
# 1. A photograph has 500x500 pixels. FCN-8s first adds 100 zeros on each side. Then 3x3 convolutions and five 2x2
#    pools follow, and each pool halves the map. How many rows does the map have after the fifth pool?
# 2. The output has one score for each of 21 classes at each pixel. How many scores are these for one photograph?
# 3. The enlarged map of scores has 568 rows, but the photograph has 500. So 68 rows are too many. Is the first row
#    that is kept row 34, in the middle of the surplus?

# %% [markdown]
# # The sizes, by hand and with the package
# Two rules give the sizes of all maps of the first half.
#
# - A convolution with a kernel of k cells and a padding of p cells makes n cells into `n + 2p - k + 1`.
# - A 2x2 pool makes n cells into `n / 2`, rounded up.
#
# In VGG16, which is the classifier here, all 3x3 convolutions have a padding of 1, so that they keep the size. Only
# the very first one has a padding of 100.

# %%
import math

from fcn_from_scratch import geometry, models
from fcn_from_scratch.course import check, claims


def convolved(n, kernel, padding):
    """The size of a map after a convolution."""
    return n + 2 * padding - kernel + 1


def halved(n):
    """The size of a map after a 2x2 pool."""
    return math.ceil(n / 2)


by_hand = {"conv1_1": convolved(500, kernel=3, padding=100)}
before = by_hand["conv1_1"]
for pool in ("pool1", "pool2", "pool3", "pool4", "pool5"):
    by_hand[pool] = halved(convolved(before, kernel=3, padding=1))
    before = by_hand[pool]
by_hand["fc6"] = convolved(before, kernel=7, padding=0)
by_hand["fc7"] = convolved(by_hand["fc6"], kernel=1, padding=0)
print(by_hand)

# %% [markdown]
# The package computes the same sizes from the layers of a network. Nothing runs for this. The network below has the
# paper's layers, but its first layer has 1 channel instead of 64. The sizes are the same, and it is small.

# %%
net = models.build("fcn8s", num_classes=21, width=1)
sizes = {name: found.size[0] for name, found in geometry.map_sizes(net, 500).items()}
check("the two rules give the sizes of all maps", all(sizes[name] == size for name, size in by_hand.items()))
check("after the fifth pool the map has 22 rows", by_hand["pool5"] == 22)
check("fc6 and fc7 have 16 rows", by_hand["fc6"] == by_hand["fc7"] == 16)
scores = 21 * sizes["crop"] ** 2
check("the output has 21 x 500 x 500 scores", (sizes["crop"], scores) == (500, 5_250_000), f"{scores:,}")

# %% [markdown]
# > **Prediction 1.** The map has 22 rows. The sizes are 698, 349, 175, 88, 44, 22, because the pools round up. If you
# > wrote 500 / 32 = 15.6, you forgot the padding. If you wrote 21, you rounded down.
#
# > **Prediction 2.** The output has 21 x 500 x 500 = 5,250,000 scores. All of them come from a map of 16x16 cells and
# > two finer maps.

# %% [markdown]
# # The way back to the pixels
# An upsampling layer with a kernel of k cells and a stride of s makes n cells into `(n - 1) s + k`. Three of them
# follow the coarse scores. After each of the first two, scores of a finer map are added. These maps are larger than
# needed, because of the padding, so they are cropped.


# %%
def upsampled(n, kernel, stride):
    """The size of a map after an upsampling layer."""
    return (n - 1) * stride + kernel


upscore2 = upsampled(by_hand["fc7"], kernel=4, stride=2)
upscore_pool4 = upsampled(upscore2, kernel=4, stride=2)
upscore8 = upsampled(upscore_pool4, kernel=16, stride=8)
check("the scores grow from 16 to 34, 70 and 568 rows", [upscore2, upscore_pool4, upscore8] == [34, 70, 568])
package = [sizes[name] for name in ("upscore2", "upscore_pool4", "upscore8")]
check("the package says the same", package == [upscore2, upscore_pool4, upscore8])

# %% [markdown]
# Where does a crop begin? Each cell of a map stands at a place in the photograph. Cell 0 of pool4 stands at -91.5,
# which is in the padding; its cells are 16 pixels apart. Cell 0 of the upsampled scores stands at -11.5, and its cells
# are 16 pixels apart as well. So it stands on cell (-11.5 + 91.5) / 16 = 5 of pool4. Lesson 6 derives these places.

# %%
places = geometry.grids(geometry.graph(net))


def crop_offset(cut, reference):
    """The cell of the map `cut` on which cell 0 of the map `reference` stands."""
    assert places[cut].stride == places[reference].stride
    return (places[reference].start - places[cut].start) / places[cut].stride


crops = {
    "score_pool4": crop_offset("pool4", "upscore2"),
    "score_pool3": crop_offset("pool3", "upscore_pool4"),
    "crop": crop_offset("upscore8", "image"),
}
print({name: float(offset) for name, offset in crops.items()})
check("pool4 is cropped from cell 5 on", crops["score_pool4"] == (-11.5 + 91.5) / 16 == 5)
check("pool3 is cropped from cell 9 on", crops["score_pool3"] == (-23.5 + 95.5) / 8 == 9)
check("the last map is cropped from row 31 on", crops["crop"] == (0 + 31) / 1 == 31)
named = {name: offset for name, offset, _ in geometry.explain_crops(net)}
check("the package crops there", named == crops)

# %% [markdown]
# > **Prediction 3.** No, the first row that is kept is row 31. Row 0 of the enlarged map stands 31 pixels before the
# > photograph, because the sizes were rounded up at the far end only. If you wrote 34, your labels would be 3 pixels
# > too far to the left and too high: see "What could fool you".

# %% [markdown]
# # The picture
# Now everything goes into one picture. The input is a photograph. No weights are loaded in this lesson, so the heat
# maps cannot come from a trained network. They come from a label map that was drawn by hand: 1 at each pixel of the
# person, -1 elsewhere, averaged over the cells of each map. `score_fr` is this average for its cells of 32 pixels.
# `score_pool4` and `score_pool3` hold what is then missing in the finer maps. A trained network has to compute all
# three from its features.

# %%
import matplotlib.cbook
import numpy as np
from PIL import Image, ImageDraw

from fcn_from_scratch import diagram, ops, viz

photo = np.asarray(Image.open(matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)))[:500, 6:506]
outline = """18,500 22,450 33,405 48,382 75,370 110,358 150,347 178,333 193,318 196,305 185,297 165,288 155,270 152,240 150,205
    149,185 155,165 160,150 150,140 152,100 163,87 170,83 172,70 185,55 205,43 213,38 225,28 247,22 270,25 288,32 298,42
    315,48 332,60 344,75 347,86 357,87 363,105 366,140 362,170 367,185 369,200 364,225 358,250 355,275 345,297 330,305
    326,313 345,330 370,345 400,357 435,368 465,380 483,395 493,415 500,435 500,500"""
drawn = Image.new("L", (500, 500))
ImageDraw.Draw(drawn).polygon([tuple(map(int, point.split(","))) for point in outline.split()], fill=1)
person = np.asarray(drawn) == 1


# %%
def at_cells(values, name, outside):
    """The mean of the photograph's values over each cell of a map; `outside` is the value of the padding."""
    start, stride, size = places[name].start, places[name].stride, sizes[name]
    first = int(start - (stride - 1) / 2)  # the first pixel of cell 0: a cell has `stride` pixels around its place
    padded = np.full((1500, 1500, *values.shape[2:]), outside, float)
    padded[400:900, 400:900] = values
    window = padded[400 + first :, 400 + first :][: size * stride, : size * stride]
    return window.reshape(size, stride, size, stride, *values.shape[2:]).mean(axis=(1, 3))


def enlarged(heat, factor):
    """A map of scores after an upsampling layer of FCN-8s."""
    return ops.bilinear_upsample(heat[None, None], 2 * factor, factor)[0, 0]


def skip(name, coarse):
    """The scores of a finer map: what the coarse ones lack. Outside the crop they are zero."""
    first, size = int(crops[f"score_{name}"]), len(coarse)
    kept = slice(first, first + size), slice(first, first + size)
    fine = np.zeros((sizes[name], sizes[name]))
    fine[kept] = at_cells(wanted, name, -1)[kept] - coarse
    return fine, coarse + fine[kept]


wanted = np.where(person, 1.0, -1.0)
heat = {"score_fr": at_cells(wanted, "fc7", -1)}
heat["upscore2"] = enlarged(heat["score_fr"], 2)
heat["score_pool4"], fused16 = skip("pool4", heat["upscore2"])
heat["upscore_pool4"] = enlarged(fused16, 2)
heat["score_pool3"], fused8 = skip("pool3", heat["upscore_pool4"])
heat["upscore8"] = enlarged(fused8, 8)
labels = np.where(heat["upscore8"][31:531, 31:531] > 0, 15, 0)  # 15 is person in PASCAL VOC

# %% [markdown]
# One value of fc7 sees 404x404 pixels. Cell 8 stands in row and column 12.5 + 8 x 32 = 268.5, so it sees rows 67 to
# 470 of the photograph. It is marked in yellow.

# %%
field = places["fc7"]
middle = field.start + 8 * field.stride
seen = (math.ceil(middle - field.size / 2), field.size, 8)
check("a value of fc7 sees 404 pixels, every 32 pixels", (field.size, field.stride) == (404, 32))
check("cell 8 stands at 268.5 and sees 67 to 470", middle == 268.5 and (seen[0], seen[0] + seen[1] - 1) == (67, 470))

# %%
padded = np.full((700, 700, 3), 225, np.uint8)
padded[100:600, 100:600] = photo
maps = {"image": diagram.Map(padded, 700, 3, 1)}
channels = {name: 64 * found.channels for name, found in geometry.map_sizes(net, 500).items()}
for name in ("pool1", "pool2", "pool3", "pool4", "pool5", "fc6", "fc7"):
    picture = at_cells(photo, name, 225).astype(np.uint8)
    maps[name] = diagram.Map(picture, sizes[name], channels[name], places[name].stride)
for name, values in heat.items():
    maps[name] = diagram.Map(values, len(values), 21, 1)
maps["crop"] = diagram.Map(viz.overlay(photo, labels, alpha=0.65), 500, 21, 1)
note = "The squares show the photograph at each map's resolution. The heat maps come from a label map drawn by hand."
viz.show(
    diagram.fcn8s(maps, crops, 100, seen, {"person": (440, 130), "background": (90, 425)}, note),
    "00_fcn8s",
)

# %% [markdown]
"""
# Lesson 0: What does the paper build?

After this lesson you can name every part of FCN-8s, say how large each map of it is, and
point at the place where each word of the paper belongs. You also know which lesson answers
which question.

Needs: nothing. Words: the [glossary](../docs/glossary.md).

Fast path: lesson 1 comes next.

Runtime: 3 s on 2 cores
"""

# %% [markdown]
# ## The idea
# A classifier looks at a picture and names one class for the whole picture. Semantic
# segmentation names a class for *each pixel*. The paper "Fully Convolutional Networks for
# Semantic Segmentation" turns a classifier into a network that does this: [the conference
# version](https://arxiv.org/abs/1411.4038) of 2015, and [the longer journal
# version](https://arxiv.org/abs/1605.06211).
#
# The network has two halves. The first half is the classifier without its last layer. It
# makes the picture smaller step by step, and it finds out what is in the picture. The
# second half makes scores for the classes, and enlarges them until there is one score for
# each class at each pixel.
#
# A small example. A row of 8 pixels goes through two pools. A pool replaces every 2
# neighbours by their maximum. Then each value is repeated 4 times:
#
#     8 pixels       1 2 9 4 0 1 1 0
#     4 values       2   9   1   1
#     2 values       9       1
#     8 values       9 9 9 9 1 1 1 1
#
# There are as many values as at the start. But the exact place of the 9 is lost.
#
# The paper's three networks, FCN-32s, FCN-16s and FCN-8s, differ in how well they restore
# the places. In this course you build all three, by hand, in NumPy.

# %% [markdown]
# ## Predict
# Write your answers down before you run anything.
# 1. A photograph has 500x500 pixels. FCN-8s adds 100 zeros on each side, and its first 3x3
#    convolution makes 698 rows of these 700. All other 3x3 convolutions keep the size. Each
#    of the five 2x2 pools halves the map and rounds up. How many rows does the map have
#    after the fifth pool?
# 2. The output has one score for each of 21 classes at each pixel. How many scores does one
#    photograph get?
# 3. The enlarged map of scores has 568 rows, but the photograph has 500. So 68 rows are too
#    many. Is the first row that is kept row 34, in the middle of the surplus? (Where does
#    rounding up add rows?)

# %% [markdown]
# ## The sizes, by hand and with the package
# We call one place of a map a cell. (Later lessons also say "place", or "value" for the
# number in it. A cell of the last map is an "output". "Picture" and "image" mean the same,
# and a "scene" is a picture that a program has drawn.)
#
# A **convolution** moves a small array of weights, its **kernel**, over a map. At each
# place it computes one sum. A 2x2 **pool** keeps the largest number of each square of 2x2
# cells. (Lessons 2 and 3 explain both.) Two rules give the sizes of all maps of the first
# half.
#
# - A convolution with a kernel of $k$ cells and a padding of $p$ cells makes $n$ cells into
#   $n + 2p - k + 1$.
# - A 2x2 pool makes $n$ cells into $\lceil n / 2 \rceil$, which is $n / 2$ rounded up.
#
# The **padding** is the number of rows and columns of zeros that are added on each side. In
# VGG16, which is the classifier here, all 3x3 convolutions have a padding of 1, so that
# they keep the size. In FCN-8s, only the very first one has a padding of 100.

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
# The package computes the same sizes from the layers of a network. It needs no photograph
# for this. The network below has the paper's layers, but its first layer has 1 channel
# instead of 64. The sizes are the same, and the network is small.

# %%
net = models.build("fcn8s", num_classes=21, width=1)
sizes = {name: found.size[0] for name, found in geometry.map_sizes(net, 500).items()}
check(
    "the two rules give the sizes of all maps",
    all(sizes[name] == size for name, size in by_hand.items()),
)
check("after the fifth pool the map has 22 rows", by_hand["pool5"] == 22)
check("pools that round down would give 21", by_hand["conv1_1"] // 2**5 == 21)
check("fc6 and fc7 have 16 rows", by_hand["fc6"] == by_hand["fc7"] == 16)
scores = 21 * sizes["crop"] ** 2
check(
    "the output has 21 x 500 x 500 scores",
    (sizes["crop"], scores) == (500, 5_250_000),
    f"{scores:,}",
)

# %% [markdown] tags=["answer"]
# > **Prediction 1.** The map has 22 rows. The sizes are 698, 349, 175, 88, 44, 22, because
# > the pools round up. If you wrote 16, you divided 500 by 32 and forgot the padding. If
# > you wrote 21, you rounded down.

# %% [markdown] tags=["answer"]
# > **Prediction 2.** The output has 21 x 500 x 500 = 5,250,000 scores. All of them come
# > from a map of 16x16 cells and two finer maps.

# %% [markdown]
# ## The way back to the pixels
# An upsampling layer makes a map larger. It spreads each cell over $k$ cells of the larger
# map. The next cell is spread in the same way, $s$ cells further on. So $n$ cells become
# $(n - 1) s + k$. The number $k$ is the size of the kernel, and $s$ is the **stride**.
#
# Three such layers follow the coarse scores. After each of the first two, scores of a finer
# map are added. The maps are larger than needed, because of the padding. So they are
# cropped: only a part of each is kept.


# %%
def upsampled(n, kernel, stride):
    """The size of a map after an upsampling layer."""
    return (n - 1) * stride + kernel


upscore2 = upsampled(by_hand["fc7"], kernel=4, stride=2)
upscore_pool4 = upsampled(upscore2, kernel=4, stride=2)
upscore8 = upsampled(upscore_pool4, kernel=16, stride=8)
check(
    "the scores grow from 16 to 34, 70 and 568 rows",
    [upscore2, upscore_pool4, upscore8] == [34, 70, 568],
)
package = [sizes[name] for name in ("upscore2", "upscore_pool4", "upscore8")]
check("the package says the same", package == [upscore2, upscore_pool4, upscore8])

# %% [markdown]
# Where does a crop begin? Each cell of a map stands at a place in the photograph, counted
# in pixels. Cell 0 of `pool4` stands at -91.5, which is in the padding. Its cells are 16
# pixels apart. The upsampled scores that are added to it are `upscore2`. Cell 0 of
# `upscore2` stands at -11.5, and its cells are 16 pixels apart as well. So cell 0 of
# `upscore2` stands on this cell of `pool4`:
#
# $$
# \frac{-11.5 - (-91.5)}{16} = 5
# $$
#
# The crop of `pool4` begins there. Lesson 6 derives these places.

# %%
places = geometry.grids(geometry.graph(net))


def crop_offset(cut, reference):
    """The cell of the map `cut` on which cell 0 of the map `reference` stands."""
    assert places[cut].stride == places[reference].stride
    offset = (places[reference].start - places[cut].start) / places[cut].stride
    assert offset == int(offset)
    return int(offset)


crops = {
    "score_pool4": crop_offset("pool4", "upscore2"),
    "score_pool3": crop_offset("pool3", "upscore_pool4"),
    "crop": crop_offset("upscore8", "image"),
}
print(crops)
check("pool4 is kept from cell 5 on", crops["score_pool4"] == (-11.5 + 91.5) / 16 == 5)
check("pool3 is kept from cell 9 on", crops["score_pool3"] == (-23.5 + 95.5) / 8 == 9)
check("the last map is kept from row 31 on", crops["crop"] == (0 + 31) / 1 == 31)
behind = {n: geometry.map_sizes(net, n)["upscore8"].size[0] - n - 31 for n in (506, 500)}
check(
    "behind a photograph of 506 rows 31 are left out, behind one of 500 it is 37",
    behind == {506: 31, 500: 37},
)
named = {name: offset for name, offset, _ in geometry.explain_crops(net)}
check("the package crops there", named == crops)

# %% [markdown] tags=["answer"]
# > **Prediction 3.** No, the first row that is kept is row 31. The pools round up, and this
# > adds rows at the far end only. With a photograph of 506 rows nothing is rounded: 31 rows
# > are left out at each end. With 500 rows it is 31 rows before the photograph and 37
# > behind it. If you wrote 34, your labels are 3 pixels too far up and to the left.

# %% [markdown]
# ## The picture
# Now everything goes into one picture. The input is a photograph. No weights are loaded in
# this lesson, so the heat maps cannot come from a trained network. They come from a label
# map that was drawn by hand: 1 at each pixel of the person, -1 elsewhere, averaged over the
# cells of each map. `score_fr` is this average over cells of 32x32 pixels. `score_pool4`
# holds what must be added to the enlarged `score_fr` to get the average over cells of 16x16
# pixels. `score_pool3` does the same for cells of 8x8 pixels. A trained network has to
# compute all three from its features, which are the values of its maps.

# %%
import numpy as np

from fcn_from_scratch import diagram, ops, viz

photo, person = diagram.portrait()  # 500x500 pixels, and which of them are the person


# %%
def at_cells(values, name, outside):
    """The mean of the photograph's values over each cell of a map.

    outside  the value of the padding
    """
    start, stride, size = places[name].start, places[name].stride, sizes[name]
    # the first pixel of cell 0: a cell has `stride` pixels around its place
    first = int(start - (stride - 1) / 2)
    before, side = 400, 1500  # more than any map needs before the photograph, and in all
    padded = np.full((side, side, *values.shape[2:]), outside, float)
    padded[before : before + 500, before : before + 500] = values
    begin = before + first
    window = padded[begin:, begin:][: size * stride, : size * stride]
    return window.reshape(size, stride, size, stride, *values.shape[2:]).mean(axis=(1, 3))


def enlarged(heat, factor):
    """A map of scores after an upsampling layer of FCN-8s."""
    return ops.bilinear_upsample(heat[None, None], 2 * factor, factor)[0, 0]


def skip(name, coarse, wanted):
    """The scores of a finer map: what the coarse ones lack, and zero outside the crop."""
    first, size = crops[f"score_{name}"], len(coarse)
    kept = slice(first, first + size), slice(first, first + size)
    fine = np.zeros((sizes[name], sizes[name]))
    fine[kept] = at_cells(wanted, name, -1)[kept] - coarse
    return fine, coarse + fine[kept]


wanted = np.where(person, 1.0, -1.0)
heat = {"score_fr": at_cells(wanted, "fc7", -1)}
heat["upscore2"] = enlarged(heat["score_fr"], 2)
heat["score_pool4"], fused16 = skip("pool4", heat["upscore2"], wanted)
heat["upscore_pool4"] = enlarged(fused16, 2)
heat["score_pool3"], fused8 = skip("pool3", heat["upscore_pool4"], wanted)
heat["upscore8"] = enlarged(fused8, 8)
labels = np.where(heat["upscore8"][31:531, 31:531] > 0, 15, 0)  # 15 is person in PASCAL VOC

# %% [markdown]
# One value of `fc7` depends on 404x404 pixels; we say that it sees them. Cell 8 stands in
# row and column 12.5 + 8 x 32 = 268.5, so it sees rows 67 to 470 of the photograph. It is
# marked in yellow.

# %%
field = places["fc7"]
middle = field.start + 8 * field.stride
seen = (math.ceil(middle - field.size / 2), field.size, 8)
check(
    "a value of fc7 sees 404 pixels, every 32 pixels",
    (field.size, field.stride) == (404, 32),
)
check(
    "cell 8 stands at 268.5 and sees 67 to 470",
    middle == 268.5 and (seen[0], seen[0] + seen[1] - 1) == (67, 470),
)

# %%
padded = np.full((700, 700, 3), 225, np.uint8)
padded[100:600, 100:600] = photo
maps = {"image": diagram.Map(padded, 700, 3, 1)}
channels = {
    name: 64 * found.channels for name, found in geometry.map_sizes(net, 500).items()
}
for name in ("pool1", "pool2", "pool3", "pool4", "pool5", "fc6", "fc7"):
    picture = at_cells(photo, name, 225).astype(np.uint8)
    maps[name] = diagram.Map(picture, sizes[name], channels[name], places[name].stride)
for name, values in heat.items():
    maps[name] = diagram.Map(values, len(values), 21, 1)
maps["crop"] = diagram.Map(viz.overlay(photo, labels, alpha=0.65), 500, 21, 1)
note = (
    "The squares show the photograph at each map's resolution. "
    "The heat maps come from a label map drawn by hand."
)
names = {"person": (440, 130), "background": (36, 365)}
whole = diagram.fcn8s(maps, crops, 100, seen, names, note)
viz.show(whole, "00_fcn8s")

# %% [markdown]
# The upper row is the trunk, from left to right. The lower rows lead back to the size of
# the photograph, from right to left. Here are the same picture's left and right part, each
# enlarged.

# %%
viz.show(diagram.part(whole, "left"), "00_fcn8s_left")
viz.show(diagram.part(whole, "right"), "00_fcn8s_right")

# %% [markdown]
# ## The words
# The letters are those of the picture. The [glossary](../docs/glossary.md) has these words
# and all others, and it names the lesson that explains each of them.
#
# - **A, padding**: pixels that are added around a map, here zeros. The first layer adds 100
#   on each side, so that even the corner of a photograph gets scores (lessons 2 and 6).
# - **B, receptive field**: the pixels that can influence one value of a map. For a value of
#   `fc7` these are 404x404 (lesson 6).
# - **C, ceil pooling**: a pool that rounds sizes up, because it also keeps a last window
#   that is not full (lesson 6). The **stride** of a pool is 2: its windows begin 2 cells
#   apart (lesson 2).
# - **D, output stride**: the distance of two neighbouring values of a map, counted in
#   pixels of the photograph. A pool doubles it. The strides of `pool3`, `pool4` and `pool5`
#   are 8, 16 and 32 (lesson 6).
# - **E, trunk**: all layers before the score layers. They are the layers of the classifier,
#   and their values are called features. `fc6` and `fc7` were fully connected layers there.
#   Here they are convolutions, so the network is **fully convolutional** (lesson 5), and
#   its weights are **transplanted** from the classifier (lesson 11).
# - **F, score layer**: a 1x1 convolution. At each cell it turns the features into 21
#   **scores**, one for each class (lesson 5). Its kernel is 1x1, so a cell's scores depend
#   on this cell's features only.
# - **G, heat map**: the map of one class's scores. The picture draws the one of the class
#   person (lesson 5).
# - **H, skip**: the connection from a finer map, such as `pool4`, to the scores. A finer
#   map shows more exactly where things are (lessons 6 and 12).
# - **I, crop offset**: the first row and column that are kept when a map is cropped to
#   match another (lesson 6).
# - **J, transposed convolution**: the layer that enlarges scores. Each score is multiplied
#   by a kernel and added to the finer map. The kernel has 4x4 weights in the first two, and
#   16x16 in the last. The paper calls it deconvolution, and its public code names these
#   layers **upscore** (lessons 6 and 9).
# - **K, fusion**: adding two maps of scores of the same size (lesson 12).
# - **L, label map**: an integer for each pixel, the number of its class (lesson 1).
# - **M, pixels-to-pixels**: input and output have the same size. The loss is the number
#   that training makes small; it has a term for each pixel. **End-to-end** means that all
#   layers are trained at once by this loss (lesson 11).

# %% [markdown]
# ## Five steps from a classifier to FCN-8s
# 1. The classifier looks at one crop of 224x224 pixels and names one class.
# 2. Its fully connected layers become convolutions. It now takes the whole photograph, and
#    it answers at each of 16x16 cells, which are 32 pixels apart.
# 3. The scores are enlarged 32 times in one step: this is **FCN-32s**. It is trained again
#    for this task.
# 4. A skip adds the scores of `pool4`: this is **FCN-16s**.
# 5. A second skip adds the scores of `pool3`: this is **FCN-8s**.
#
# The code enlarges the scores of the hand-drawn label map in all three ways. It counts the
# pixels at which the result differs from the label map. This shows how exactly averages
# over cells of 32, 16 or 8 pixels describe an outline. It is no limit: other scores could
# describe it better. Lesson 12 measures trained networks. (The last crops of FCN-32s and
# FCN-16s begin at 19 and 27, which follows in the same way as 31.)

# %%
answers = {
    "FCN-32s": enlarged(heat["score_fr"], 32)[19:519, 19:519] > 0,
    "FCN-16s": enlarged(fused16, 16)[27:527, 27:527] > 0,
    "FCN-8s": enlarged(fused8, 8)[31:531, 31:531] > 0,
}
wrong = {name: int((answer != person).sum()) for name, answer in answers.items()}
print(wrong)
check(
    "each skip leaves fewer wrong pixels",
    wrong["FCN-32s"] > wrong["FCN-16s"] > wrong["FCN-8s"] > 0,
)
ratio = wrong["FCN-32s"] / wrong["FCN-8s"]
check(
    "both skips together leave less than a fourth of the wrong pixels",
    4 < ratio < 8,
    f"{ratio:.1f} times fewer",
)

# %% [markdown]
# ## Eighteen questions
# A reading group asked these questions about the paper. Each has a lesson that answers it,
# by a measurement where there is one. The answers here are short, and you need not
# understand them yet. Mean IU is a mark between 0 and 1 for a segmentation; 1 is the best
# (lesson 1). Two numbers such as ".02 to .04" are the smallest and the largest result with
# five sets of random numbers. (With other sets the result can lie outside. So the checks in
# the lessons accept a wider range.)
#
# 1. *What exactly is shift-and-stitch?* The network runs on shifted copies of the picture,
#    and the coarse outputs are interlaced into a fine one. (Lesson 7)
# 2. *How are layers fused? What is a 1x1 score layer? Why are scores added and features not
#    concatenated?* A score layer turns each cell's features into scores. The coarse scores
#    are enlarged, and those of the finer layer are added. To concatenate is to enlarge the
#    features instead, and to put both layers into one map. One score layer on this map
#    would compute the same sum, because score layers are linear (if all channels are
#    enlarged in the same way). Adding is cheaper. With a further layer and a ReLU behind
#    it, concatenation can express more, but in lesson 12 this gains nothing. (Lessons 5 and
#    12)
# 3. *How can the input be any size?* Convolutions and pools do the same at every place, so
#    they need no fixed size. A fully connected layer is a convolution with a kernel as
#    large as its input. (Lesson 5)
# 4. *Is the network trained again each time a skip is added?* In stages, yes: each network
#    starts from the weights of the one before, and all its layers train on, not only the
#    new one. The paper makes the learning rate 100 times smaller for FCN-16s (section 4.2).
#    All skips can also be trained at once. The authors published networks of both kinds,
#    which score alike. (Lessons 11 and 12)
# 5. *Why are the scores enlarged in one step, not in five?* Because nothing happens between
#    the steps. Then five express nothing that one step could not, if its kernel is large
#    enough (94x94 for five steps of 4x4). One step of 64x64 is enough for bilinear
#    interpolation between neighbouring scores, which is what the paper wants. Steps pay
#    where something is added between them: FCN-16s and FCN-8s stop for their skips. Cost is
#    not the reason: five steps of 4x4 cost 5456 products, the one of 64x64 costs 4096, the
#    one of 94x94 costs 8836. (Lesson 10)
# 6. *The interpolation is bilinear first and then learned. What does this mean?* Upsampling
#    is a layer with weights. They start as those of bilinear interpolation, and training
#    may change them. In the paper it does so, except in the last such layer. In the
#    authors' public code all stay bilinear, which makes no significant difference.
#    (Lesson 10)
# 7. *Can pooling be removed?* Its stride can be removed. The answers stay the same if all
#    later kernels and pools are dilated, which means that their cells are read with gaps.
#    A trained network whose pools lose their windows, and with them the maximum, is worse.
#    A small network that is trained without pools, with a fifth more weights, is about as
#    good as one with pools. (Lesson 8)
# 8. *Is dilation or upsampling better?* Upsampling computes few answers and interpolates
#    between them, so it costs almost nothing. Dilation computes the answers in between.
#    With VGG16 and a stride of 8 instead of 32 this takes 3 to 4 times the multiplications.
#    In the small networks of lesson 8, dilation gains .02 to .04 of mean IU over upsampling
#    without training, and .17 to .23 with training. Two skips gain more, here and in both
#    worlds of lesson 12, and cost almost nothing. On photographs it is closer: [on
#    CamVid](../docs/compare.md) dilation gains about half of what two skips gain, and
#    others report a dilated VGG16 that is better than FCN-8s. So prefer skips where a
#    shallow map can tell the classes or work counts, and try dilation where no shallow map
#    can. (Lessons 8 and 12)
# 9. *Are skips the same as the bypasses of ResNet?* No. A skip adds scores from a finer map
#    near the output. A bypass adds a block's input to its output, all along the network.
#    (Lesson 12)
# 10. *What do end-to-end and pixels-to-pixels mean?* End-to-end: all layers are trained
#     together, from the picture to the loss. Pixels-to-pixels: the output has the size of
#     the picture, and a loss at each pixel. (Lesson 11)
# 11. *How can a batch of one picture be enough?* One picture has a loss at each of its
#     pixels, so it already is a batch of many examples (image-to-image training). They are
#     similar, so its gradient is noisier than that of 20 pictures. But it takes a twentieth
#     of the work, so there are 20 times as many steps, and in lesson 13 they reach more.
#     The authors' public code trains in this way, with a high momentum. (Lessons 11 and 13)
# 12. *Do shallow and deep layers contribute equally?* No, and it depends on the pictures.
#     In lesson 12, a small FCN-8s needs the scores of `pool3` most, whether the class of a
#     thing is its colour or the distance of its stripes. Without them it loses .5 of mean
#     IU or more. The deepest scores are worth nothing there that we can measure. On
#     photographs they carry most: in the paper FCN-32s, which has no others, reaches 59.4 %
#     of mean IU, and FCN-8s 62.7 %. But a network that is trained without `pool3` from the
#     start loses much less: its other layers learn to do more of the work. (Lesson 12)
# 13. *Why pool3 and pool4? Why does it stop at 8s?* They are the first maps with strides of
#     8 and 16. Deeper maps have these strides too, and in lesson 12 one of them serves as
#     well; the paper tries no other. It stops at 8s because each skip gains less, 59.4,
#     62.4 and 62.7 % of mean IU: "diminishing returns" (section 4.2). A further skip seems
#     to help if its map knows what the network does not know yet. In lesson 12, a skip from
#     `pool2` gains .13 to .15 where each class has its own colour. Where the classes differ
#     in the distance from stripe to stripe, a value of `pool2` sees too few pixels to
#     measure it. There the skip gains -.00 to .02. (Lesson 12)
# 14. *How far does one get with masks only, without colours?* It depends on what makes the
#     class. Where it is the shape, the mask alone is even better than the picture after
#     equal training: by .07 to .08 of mean IU. Where it is the colour, the mask shows where
#     things are and not what they are, and is .09 to .14 below the picture. On photographs
#     the paper's journal version reports 29.1 % for masks and 84.8 % for the whole picture,
#     in mean IU without the background. (Lesson 14)
# 15. *How do AlexNet, VGG and GoogLeNet differ as FCNs?* All three have a stride of 32, so
#     their edges are equally coarse. They differ in parameters, in receptive field and in
#     time. As FCNs with a padding of 100, GoogLeNet has the fewest parameters and
#     multiplications, but AlexNet is faster. VGG16 is the slowest of them, has the most
#     parameters and the most work, and is the best in the paper: its mean IU on PASCAL VOC
#     is 56.0, that of GoogLeNet 42.5, that of AlexNet 39.8 (table 1). Depth alone does not
#     explain this: GoogLeNet is deeper than VGG16, and VGG19 was no better than VGG16
#     (section 4.1). With as many parameters, a deeper small network gains .00 to .03 only.
#     Nor does the accuracy of the classifier: "Despite similar classification accuracy, our
#     implementation of GoogLeNet did not match this segmentation result". The paper gives
#     no reason, and we do not measure one. (Lesson 15)
# 16. *How are the scores brought back to the original resolution?* By a transposed
#     convolution, which makes the map larger than needed, and a crop. The crops begin at 19
#     in FCN-32s, at 5 and 27 in FCN-16s and at 5, 9 and 31 in FCN-8s. They follow from the
#     strides, the kernels and the padding, and not from the size of the picture. The
#     padding of 100 makes the scores reach over the whole picture, whatever its size.
#     (Lesson 6 for crops and padding, lesson 9 for the transposed convolution)
# 17. *Is training on whole pictures as good as training on patches?* Yes, except at a
#     padded border. A patch is a part of the picture, cut out around one pixel whose class
#     is to be learned. The gradients are the same if the patches are those of the same
#     pixels. Whole pictures are faster, because patches overlap, and their common part is
#     computed once. (Lesson 13)
# 18. *What is lost?* Small things and sharp edges. In lesson 12, FCN-8s is wrong at 8 to 30
#     % of the pixels within three pixels of an edge, and at less than 2 % of the others.
#     FCN-32s and FCN-8s both find less of the small things than of the large ones. Also,
#     each pixel is labelled on its own: nothing makes neighbours agree, and 6 to 11 % of
#     the larger things get two classes. (Lesson 12)

# %% [markdown]
# ## How the course goes
# **The fast path** leads through the paper's main ideas: lessons 0, 1, 5, 7, 9, 11 and 12.
# `fcn lessons fast` runs it. Lessons 2, 3 and 4 explain convolution, backward and training;
# skip them if you have written these before. Each of the others answers a question of its
# own, and its first lines say which lessons it needs.
#
# What you will have built at the end: all layers with their gradients, the three networks,
# their training, and the tools that tell whether they are right.

# %% [markdown]
# ## What could fool you
# **The crop in the middle.** The enlarged map has 568 rows and the photograph 500. It seems
# natural to leave out 34 rows at each end. No error message appears: the result has the
# right size, and it looks right. But all labels move by 3 pixels.

# %%
centred = heat["upscore8"][34:534, 34:534] > 0
check("the centred crop has the right size", centred.shape == person.shape)
wrong_centred = int((centred != person).sum())
more = wrong_centred / wrong["FCN-8s"]
check(
    "but many more pixels are wrong",
    5 < more < 12,
    f"{wrong_centred:,} pixels, {more:.1f} times as many",
)

# %% [markdown]
# ## The drawings
# The figure shows the five steps. In the first picture, the yellow frame is the crop of
# 224x224 pixels that the classifier sees. The white frame marks the part that the lower row
# shows. Wrong pixels are bright green there. Look at the corners of the
# outline: the coarse scores round them off, and the finer maps restore them.


# %%
from matplotlib import colormaps


def framed(image, y, x, side, colour):
    """A copy of the image with a square frame, 4 pixels wide."""
    image = image.copy()
    for start in (0, side - 4):
        image[y + start : y + start + 4, x : x + side] = colour
        image[y : y + side, x + start : x + start + 4] = colour
    return image


def draw_steps():
    """A crop, the coarse answers, the truth; below, the errors of the three networks."""
    part = slice(225, 425), slice(15, 215)
    crop = framed(photo, 225, 15, 200, (255, 255, 255))
    crop = framed(crop, 100, 148, 224, (242, 183, 5))
    # cell 0 begins 3 pixels before the photograph
    cells = np.kron(heat["score_fr"], np.ones((32, 32)))[3:503, 3:503]
    coarse = colormaps["RdBu_r"]((cells + 1.2) / 2.4, bytes=True)[..., :3]
    pictures = [crop, (0.65 * coarse + 0.35 * photo).astype(np.uint8)]
    pictures.append(viz.overlay(photo, np.where(person, 15, 0)))
    for answer in answers.values():
        tinted = viz.overlay(photo, 15 * answer)
        tinted[answer != person] = (60, 255, 60)
        pictures.append(tinted[part])
    caption = "From a classifier to FCN-8s. All scores come from a label map drawn by hand"
    titles = ["1. a classifier names one crop", "2. scores at 16x16 cells"]
    titles += ["the label map drawn by hand", "3. FCN-32s", "4. FCN-16s", "5. FCN-8s"]
    figure = viz.panels([pictures[:3], pictures[3:]], titles, caption, size=2.4)
    for ax, number in zip(figure.axes[3:], wrong.values()):
        ax.set_xlabel(f"{number:,} wrong pixels in all")
    return figure


viz.show(draw_steps(), "00_steps")

# %% [markdown]
# ## Exercises
# 1. *Trace.* Given the rows of a photograph and the padding of the first layer, compute the
#    rows of the maps from `pool1` to `fc7`.
# 2. *Change.* FCN-16s enlarges its scores with other kernels than FCN-8s. Given these, how
#    many rows does the enlarged map have, and how many are left out behind the photograph?
# 3. *Build.* Given a score for each class at each pixel, make the label map.
#
# `fcn exercise 0` writes a file for each of them, `fcn exercise 0 --check FILE` checks your
# answer, `fcn exercise 0 --solution` shows ours.

# %% [markdown]
# ## Claims

# %%
claims(
    [
        (
            "two rules give the sizes of the trunk",
            all(sizes[n] == size for n, size in by_hand.items()),
            "exact",
        ),
        (
            "500 pixels become 22 cells, then 16",
            (by_hand["pool5"], by_hand["fc7"]) == (22, 16),
            "exact",
        ),
        ("the scores grow to 34, 70 and 568", package == [34, 70, 568], "exact"),
        (
            "the crops begin at 5, 9 and 31",
            list(crops.values()) == [5, 9, 31],
            "exact: places are fractions",
        ),
        ("31 rows are left out before, 37 behind", behind[500] == 37, "exact"),
        ("the output has 5,250,000 scores", scores == 5_250_000, "exact"),
        ("a value of fc7 sees 404 pixels", field.size == 404, "exact"),
        (
            "each skip leaves fewer wrong pixels",
            list(wrong.values()) == sorted(wrong.values(), reverse=True),
            "counted",
        ),
        (
            "a centred crop has 5 to 12 times as many",
            5 < more < 12,
            "counted: the drawing does not change",
        ),
    ]
)

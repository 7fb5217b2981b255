"""Lesson 5: How can the input be any size?

Afterwards you can turn any classifier into a network that takes images of any size, say what its map of
outputs means, why it costs far less than running the classifier crop by crop, and where the two differ.

Needs: lessons 2 and 4
Runtime: 6 s on 2 cores
"""

# %% [markdown]
# # Who is it that minds the size?
#
# A convolution slides. It does not care how far. A classifier still insists on one size, 224x224 for
# VGG16, and the culprit is one layer: the first **fully connected** one. It has a weight for every
# number of its input, so the count of its weights fixes the size of the image.
#
# But look at what it computes for one unit: multiply all inputs by weights, and add up. That is one
# place of a convolution whose kernel is as large as the whole input:
#
#     input    weights   unit            input       the same weights as a 2x2 kernel
#     1  2      1  0     1*1 + 4*2       1  2  5     9  20
#     3  4      0  2     = 9             3  4  9     1*1 + 4*2 = 9,   2*1 + 9*2 = 20
#
# On its own size the kernel fits in one place: one number, as before. On a larger input it slides. The
# layers after it see one vector at a time, so they become convolutions with 1x1 kernels.

# %% [markdown]
# ## Predict
# 1. VGG16's `fc6` reads a map of 512 channels, 7x7 pixels, with 4096 units. As a convolution: what is
#    its kernel size? (Many a blog post says 1x1.) How many weights has it?
# 2. On a 500x500 image this VGG16 gives a map of 10x10 outputs: 100 times the classifier. Does it cost
#    100 times as much as one 224x224 crop? 50 times? 5?
# 3. Is the output at place (i, j) *exactly* what the classifier says about the crop at that place?

# %%
import numpy as np

from fcn_from_scratch import datasets, ops
from fcn_from_scratch.course import check, claims, seed

rng = np.random.default_rng(seed())

# %% [markdown]
# ## One layer, three ways
# The numbers above with `ops.linear`, with a loop, and with `ops.conv2d`. A row of the fully connected
# weight lists its inputs channel by channel, row by row. So does NumPy's `reshape`: turning the layer
# into a convolution moves no number.

# %%
small, weight = np.array([[1.0, 2], [3, 4]]), np.array([[1.0, 0, 0, 2]])
wide = np.array([[1.0, 2, 5], [3, 4, 9]])
unit = ops.linear(small.reshape(1, 4), weight)[0, 0]
kernel = weight.reshape(1, 1, 2, 2)
slid = [(wide[:, j : j + 2] * kernel[0, 0]).sum() for j in range(2)]
as_conv = ops.conv2d(wide[None, None], kernel)[0, 0]
check("the unit by hand", unit == 9)
check("the loop slides it", slid == [9, 20])
check("and so does a convolution with the reshaped weight", np.array_equal(as_conv, [[9, 20]]))

# %% [markdown]
# Now with the shape of VGG16's `fc6`: 7x7, but 8 channels for 512 and 10 units for 4096.

# %%
pool5 = rng.normal(size=(2, 8, 7, 7))
fc6, fc6_bias = rng.normal(size=(10, 8 * 7 * 7)), rng.normal(size=10)
fc7, fc7_bias = rng.normal(size=(5, 10)), rng.normal(size=5)
vector = ops.linear(ops.relu(ops.linear(pool5.reshape(2, -1), fc6, fc6_bias)), fc7, fc7_bias)
top = ops.relu(ops.conv2d(pool5, fc6.reshape(10, 8, 7, 7), fc6_bias))
top = ops.conv2d(top, fc7.reshape(5, 10, 1, 1), fc7_bias)
layer_gap = np.abs(top[:, :, 0, 0] - vector).max()
check("fully connected = a 7x7 convolution, then 1x1", layer_gap < 1e-10, f"{layer_gap:.0e}")
check("fc6 of VGG16 is 7x7: 102,760,448 weights; as 1x1 it would have 49 times fewer", 4096 * 512 * 49 == 102_760_448)

# %% [markdown]
# # A classifier of crops
# It looks at 32x32 pixels and says what is in their middle. Learning takes some seconds. Mind that no
# layer pads: we shall see why. `geometry.sizes_that_fit` does the arithmetic of all layers for us.

# %%
from fcn_from_scratch import geometry
from fcn_from_scratch.layers import Conv2d, Flatten, Linear, MaxPool2d, ReLU, Sequential

world = datasets.Shapes(count=60, size=96, classes_by="colour", seed=seed())
scenes, classes = list(world), world.classes


def convolution(*arguments):
    return Conv2d(*arguments, rng=rng)


classifier = Sequential(
    *(convolution(3, 8, 5), ReLU(), MaxPool2d(2)),
    *(convolution(8, 16, 3), ReLU(), MaxPool2d(2)),
    *(convolution(16, 24, 3), ReLU(), Flatten()),
    *(Linear(24 * 4 * 4, 48, rng=rng), ReLU(), Linear(48, len(classes), rng=rng)),
)
sizes = geometry.sizes_that_fit(classifier, range(1, 100))
print(f"sizes from 1 to 99 that this classifier can take: {sizes}")
check("a classifier takes its own size, up to what its pools round off", sizes == [32, 33, 34, 35])


# %%
def prepared(image):
    """uint8 (H, W, 3) as float32 (1, 3, H, W) between -1 and 1."""
    return (image.transpose(2, 0, 1)[None] / 127.5 - 1).astype(np.float32)


def crops(number):
    """Random crops and the labels of their middles, all classes equally often."""
    chosen = []
    while len(chosen) < number:
        image, labels, _ = scenes[rng.integers(40)]  # the last twenty are for later
        rows, columns = np.nonzero(labels[16:-16, 16:-16] == len(chosen) % len(classes))
        if len(rows):
            k = rng.integers(len(rows))
            chosen.append((prepared(image)[..., rows[k] :, columns[k] :][..., :32, :32], len(chosen) % len(classes)))
    images, words = zip(*chosen)
    return np.concatenate(images), np.array(words)


# %%
from fcn_from_scratch.training import SGD, warm_up, polynomial

optimizer = SGD(classifier, warm_up(polynomial(0.05, 200), 20), weight_decay=5e-4)
for _ in range(200):
    x, words = crops(32)
    classifier.zero_grad()
    _, dscores = ops.softmax_cross_entropy(classifier(x), words)
    classifier.backward_params(dscores)
    optimizer.step()
x, words = crops(200)
accuracy = (classifier(x).argmax(axis=1) == words).mean()
check("it has learned: most crops are named right", accuracy > 0.7, f"{accuracy:.0%}; chance is {1 / len(classes):.0%}")

# %% [markdown]
# ## Convolutionalize
# `dense.convolutionalize` keeps the layers, drops `Flatten`, and reads each `Linear` as a
# convolution **on the same numbers**: 4x4 for the first one, since that is the map it reads. Nothing
# is trained again. A whole picture goes in.

# %%
from fcn_from_scratch.dense import convolutionalize

classifier.astype(np.float64).eval()
fully = convolutionalize(classifier).eval()
print(fully)
kernels = [layer.kernel_size for layer in fully.layers if isinstance(layer, Conv2d)]
check("the fully connected layers became 4x4 and 1x1", kernels[-2:] == [(4, 4), (1, 1)])
check(
    "no number was added", sum(w.size for w in fully.params.values()) == sum(w.size for w in classifier.params.values())
)

image, truth, _ = max(scenes[40:], key=lambda scene: len(np.unique(scene.labels)))
x = prepared(image).astype(np.float64)
heat = fully(x)
size, stride, start = geometry.receptive_field(fully)
print(
    f"picture {x.shape[2:]} -> map {heat.shape[2:]}; each output sees {size}x{size} pixels, they stand {stride} apart"
)

# %% [markdown]
# ## Crop by crop
# Output (i, j) sees the pixels from `4i`, `4j` on, 32 each way. Cut out exactly those, ask the
# classifier, and compare. All 289 of them.

# %%
by_crops = np.empty_like(heat)
for i, j in np.ndindex(heat.shape[2:]):
    crop = x[:, :, stride * i : stride * i + size, stride * j : stride * j + size]
    by_crops[0, :, i, j] = classifier(crop)[0]
crop_gap = np.abs(heat - by_crops).max()
check(
    "the map = the classifier on each crop", crop_gap < 1e-10, f"{heat.shape[2] * heat.shape[3]} crops, {crop_gap:.0e}"
)

odd = rng.uniform(-1, 1, size=(1, 3, 41, 67))
check("any size of 32 or more goes in", fully(odd).shape == (1, len(classes), 3, 9))
none_below = geometry.sizes_that_fit(fully, range(1, 200)) == list(range(32, 200))
check("and none below: one whole window has to fit", none_below)

# %% [markdown]
# So "any size" has three footnotes. The image must hold one window. It must fit into memory. And the
# images of one batch must agree, since a batch is one array.
#
# ## The backward, too
# Training on the map is training on all the crops at once: one backward gives the *sum* of the crops'
# gradients. Lesson 13 builds on this.

# %%
dy = rng.normal(size=heat.shape)
fully.train().zero_grad()
fully(x)
fully.backward(dy)
whole = {name: g.ravel().copy() for name, g in fully.grads.items()}
classifier.train().zero_grad()
for i, j in np.ndindex(heat.shape[2:]):
    classifier(x[:, :, stride * i : stride * i + size, stride * j : stride * j + size])
    classifier.backward(dy[:, :, i, j])
gradient_gap = max(np.abs(whole[n] - g.ravel()).max() / np.abs(g).max() for n, g in classifier.grads.items())
check("one backward = the sum over the crops", gradient_gap < 1e-10, f"{gradient_gap:.0e}")

# %% [markdown]
# The picture: three crops, what the classifier says about each, and the map that says it about all.

# %%
from matplotlib.patches import Rectangle
from fcn_from_scratch import viz

probabilities = np.exp(heat[0] - heat[0].max(axis=0))
probabilities /= probabilities.sum(axis=0)
best = [int(c) for c in np.argsort(-probabilities[1:].max(axis=(1, 2)))[:2] + 1]  # two things that are there
peaks = [np.unravel_index(probabilities[c].argmax(), probabilities[c].shape) for c in best]
background = np.unravel_index(probabilities[0].argmax(), probabilities[0].shape)
figure, axes = viz.new_figure(
    "One pass answers for every crop. Above, three crops and the classifier; below, the maps and their places",
    rows=2,
    columns=4,
    width=8.6,
    height=4.8,
)
colours = ("#f2c14e", "#e4572e", "#4ea5d9")
axes[0, 0].imshow(image)
for (i, j), colour, ax in zip([*peaks, background], colours, axes[0, 1:]):
    top_left = (stride * j - 0.5, stride * i - 0.5)
    axes[0, 0].add_patch(Rectangle(top_left, size, size, fill=False, edgecolor=colour, linewidth=2.2))
    ax.imshow(image[stride * i :, stride * j :][:size, :size])
    for spine in ax.spines.values():
        spine.set(visible=True, color=colour, linewidth=3)
    says = int(by_crops[0, :, i, j].argmax())
    ax.set_title(f"{classes[says]}, {probabilities[says, i, j]:.0%}")
axes[0, 0].set_title("picture, 96x96")
axes[1, 0].imshow(viz.colourise(heat[0].argmax(axis=0), world.palette))
axes[1, 0].set_title("largest score, 17x17")
for c, ax, (i, j), colour in zip([*best, 0], axes[1, 1:], [*peaks, background], colours):
    ax.imshow(probabilities[c], cmap="magma", vmin=0, vmax=1)
    ax.plot(j, i, "o", color=colour, markeredgecolor="white", markersize=7)
    ax.set_title(f"map of {classes[c]}")
for ax in axes.flat:
    ax.set(xticks=[], yticks=[])
    ax.grid(False)
viz.save_figure(figure, "05_heat_map")

# %% [markdown]
# # What it costs
# Neighbouring crops overlap by 28 of their 32 columns. Crop by crop, everything below an overlap is
# computed again. In one pass it is computed once: the paper calls this *amortised*. Here is the time.

# %%
from time import perf_counter


def seconds(work):
    """The fastest of three runs."""
    times = []
    for _ in range(3):
        started = perf_counter()
        work()
        times.append(perf_counter() - started)
    return min(times)


windows = np.lib.stride_tricks.sliding_window_view(x[0], (size, size), axis=(1, 2))[:, ::stride, ::stride]
batch = windows.transpose(1, 2, 0, 3, 4).reshape(-1, 3, size, size)  # all crops as one batch, cut out for free
classifier.eval(), fully.eval()
crop_time, map_time = seconds(lambda: classifier(batch)), seconds(lambda: fully(x))
times_faster = crop_time / map_time
counted = 289 * geometry.table(classifier, size).multiply_adds / geometry.table(fully, 96).multiply_adds
print(f"counted: {counted:.0f} times fewer multiply-adds")
check("one pass is faster than 289 crops, even in one batch", times_faster > 3, f"{times_faster:.0f} times")

# %% [markdown]
# For VGG16 we count multiply-adds: each number of a convolution's output takes `k * k * channels`.


# %%
def vgg16_cost(n):
    """(multiply-adds, outputs per side) of VGG16 with 1000 classes on n x n pixels, its fc layers as convolutions."""
    cost, before = 0, 3
    for channels, convolutions in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(convolutions):
            cost += n * n * 3 * 3 * before * channels
            before = channels
        n = -(-n // 2)  # the pool rounds up
    outputs = n - 7 + 1
    return cost + outputs**2 * (7 * 7 * 512 * 4096 + 4096 * 4096 + 4096 * 1000), outputs


one_crop, one = vgg16_cost(224)
one_picture, side = vgg16_cost(500)
ratio = one_picture / one_crop
print(f"224x224: {one_crop / 1e9:.1f} G for {one} output; 500x500: {one_picture / 1e9:.1f} G for {side**2}")
check("100 outputs for less than 6 times the cost of one", (one, side) == (1, 10) and ratio < 6, f"{ratio:.1f} times")

# %% [markdown]
# That is 17 times fewer than 100 crops. The paper measured AlexNet, with grids of the same size: 22 ms
# for 10x10 outputs against 1.2 ms for one, "more than 5 times faster" than 100 times 1.2 ms.

# %% [markdown]
# # What could fool you
# **A padded classifier.** VGG16 pads every convolution. Convolutionalize it and everything works: any
# size, sensible maps. But a crop is padded with *zeros* at its border, and in the large image there is
# the rest of the picture instead. The map is no longer the classifier on crops, near or exact.
# (Which is better is another question: the classifier was trained with the zeros.)

# %%
padded = Sequential(
    *(Conv2d(3, 8, 3, padding=1, rng=rng, dtype=np.float64), ReLU(), MaxPool2d(4)),
    *(Conv2d(8, 12, 3, padding=1, rng=rng, dtype=np.float64), ReLU(), MaxPool2d(2)),
    *(Flatten(), Linear(12 * 4 * 4, 6, rng=rng, dtype=np.float64)),
).eval()
padded_map = convolutionalize(padded).eval()(x)
on_crops = np.stack([padded(x[:, :, 8 * i : 8 * i + 32, 8 * i : 8 * i + 32])[0] for i in range(9)], axis=1)
padded_gap = np.abs(padded_map[0][:, range(9), range(9)] - on_crops).max() / np.abs(on_crops).max()
check("the shapes agree, the numbers do not", padded_gap > 0.01, f"off by {padded_gap:.0%}")

# %% [markdown]
# **A reshape in the wrong order.** A file from a framework that stores maps as (H, W, C) lists the
# weights pixel by pixel. Reshaped as if channel by channel it fits, loads, and runs.

# %%
misread = fc6.reshape(10, 7, 7, 8).transpose(0, 3, 1, 2)
wrong_first = ops.conv2d(pool5, misread, fc6_bias)[:, :, 0, 0]
right_first = ops.linear(pool5.reshape(2, -1), fc6, fc6_bias)
shuffled = np.corrcoef(wrong_first.ravel(), right_first.ravel())[0, 1]
check(
    "same shape, same numbers, wrong order",
    misread.shape == (10, 8, 7, 7) and not np.allclose(wrong_first, right_first),
)
flat_map = np.ones((1, 8, 7, 7))
hidden = np.allclose(ops.conv2d(flat_map, misread), ops.conv2d(flat_map, fc6.reshape(10, 8, 7, 7)))
check("a test with a map of ones would not have noticed", hidden)

# %% [markdown]
# ## Exercises
# 1. *Trace.* Write down all map sizes of the lesson's network for a 50x75 picture, and the pixels that
#    output (2, 5) sees.
# 2. *Change.* The classifier wants a crop that is not square, 32x48. What changes in the fully
#    connected layer, and what in the convolution? Build it and compare map and crops.
# 3. *Prove.* Show that the cost of an output falls, as the picture grows, towards a limit which is
#    the cost of `stride * stride` pixels. What is the limit of the saving for VGG16?
#
# Answers: `lessons/solutions/solution_05_fully_convolutional.py`

# %% [markdown]
# ## Claims

# %%
claims(
    [
        ("fully connected = 7x7 convolution, then 1x1", layer_gap < 1e-10, "1e-10: float64, other order of sums"),
        ("the map = the classifier on every crop", crop_gap < 1e-10, "1e-10: float64, other order of sums"),
        ("one backward = the sum of the crops' gradients", gradient_gap < 1e-10, "1e-10: float64, relative"),
        ("images of every size from one window on fit", none_below, "exact: sizes"),
        ("VGG16 at 500 pixels: 100 outputs for less than 6 crops' cost", side == 10 and ratio < 6, "counted: 5.8"),
        ("one pass beats crop by crop", times_faster > 3, "3: a time; 10 to 17 measured, 15 counted"),
        ("a padded classifier does not give its crops' answers", padded_gap > 0.01, ".01: rounding is 1e-15"),
    ]
)

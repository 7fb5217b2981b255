# %% [markdown]
"""
# Lesson 5: How can the input be any size?

After this lesson you can turn any classifier into a network that takes pictures of any
size. You can say what each place of its output means, and why one pass costs much less than
one run for each crop. You can also say what its last layer, a 1x1 convolution, computes.

Fast path: lesson 7 comes next. On the fast path you come from lesson 1; what you need of
lessons 2, 3 and 4 is repeated here in a sentence each.

Needs: lesson 1; lessons 2, 3 and 4 help. Words: the [glossary](../docs/glossary.md).

Runtime: 6 s on 2 cores
"""

# %% [markdown]
# ## Which layer fixes the size?
#
# A convolution moves a small array of weights, its kernel, over a map. At each place it
# multiplies the numbers under the kernel by the weights and adds up the products. A picture
# has three *channels*, red, green and blue; a map inside a network has many, and a kernel
# covers all of them. A convolution can do its work on a map of any size. But a classifier
# is made for one size, 224x224 pixels in the case of VGG16. The reason is one layer, the
# first **fully connected** layer. Each of its outputs has one weight for each number of the
# input. So the number of weights fixes the size of the map that the layer reads.
#
# Look at one output of this layer, which is called a unit. It multiplies each input by a
# weight and adds everything up. A convolution does the same at one place, if its kernel is
# as large as the whole input:
#
#     input    weights   one unit      larger input   the same weights as a 2x2 kernel
#     1  2      1  0     1*1 + 4*2     1  2  5        place 0: 1*1 + 4*2 = 9
#     3  4      0  2     = 9           3  4  9        place 1: 2*1 + 9*2 = 20
#
# On the input of the old size, the kernel has one place, and the result is the old number.
# On a larger input it has more places. The layers that follow see one vector at each place.
# So they become convolutions with 1x1 kernels. A network in which every layer works in this
# way is called **fully convolutional**.

# %% [markdown]
# ## Predict
# 1. The layer `fc6` of VGG16 reads a map of 512 channels and 7x7 places, and has 4096
#    units. It becomes a convolution. What is its kernel size? (Many blog posts say 1x1.)
#    How many weights does it have?
# 2. The last layer of FCN-32s turns 4096 features at each place into 21 scores. How many
#    parameters does it have, and how many places does it look at for one score?
# 3. Take a classifier without padding, and its convolutional form. Compare the output at
#    place (i, j) with the classifier's output on the crop at that place. Are they equal?
# 4. On a picture of 500x500 pixels, VGG16 as a convolutional network gives a map of 10x10
#    outputs. (FCN pads the picture by 100 first, so it gives 16x16.) That is 100 times as
#    many as the classifier gives. Does this cost about 100 times as much as one crop of
#    224x224, about 50 times, or about 5 times?

# %%
import math

import numpy as np

from fcn_from_scratch import datasets, geometry, ops, viz
from fcn_from_scratch.course import check, claims, seed

SEED = seed()
rng = np.random.default_rng([SEED, 5])

# %% [markdown]
# ## One layer, by hand
# We compute the numbers from above, first with `ops.linear`, which is the fully connected
# layer, then with a loop.

# %%
small, unit_weight = np.array([[1.0, 2], [3, 4]]), np.array([[1.0, 0, 0, 2]])
wide = np.array([[1.0, 2, 5], [3, 4, 9]])
unit = ops.linear(small.reshape(1, 4), unit_weight)[0, 0]
kernel = unit_weight.reshape(2, 2)
places = [(wide[:, j : j + 2] * kernel).sum() for j in range(2)]
check("the unit, by hand", unit == 9)
check("the loop over the places of the larger input", places == [9, 20])

# %% [markdown]
# ## The core in ten lines
# The weights of a fully connected layer form a matrix with one row for each unit. A row
# lists the weights channel by channel, and inside a channel row by row. `ravel` lists the
# numbers of a window in the same order. So the weights can be used as they are.


# %%
def at_every_place(x, weight, bias):
    """A fully connected layer at every place where its window fits.

    (C, H, W) -> (F, H - k + 1, W - k + 1)
    """
    k = math.isqrt(weight.shape[1] // len(x))
    rows, columns = x.shape[1] - k + 1, x.shape[2] - k + 1
    y = np.empty((len(weight), rows, columns))
    for i, j in np.ndindex(rows, columns):
        window = x[:, i : i + k, j : j + k]
        y[:, i, j] = weight @ window.ravel() + bias
    return y


two_places = at_every_place(wide[None], unit_weight, 0)
check("it gives 9 and 20", np.array_equal(two_places, [[[9, 20]]]))

# %% [markdown]
# `ops.conv2d` computes the same with the reshaped weight. Here the sizes are those of
# `fc6`, with fewer channels: 7x7 places, 8 channels in place of 512, 10 units in place of
# 4096. Between two layers of a classifier stands a *ReLU*, which replaces each negative
# number by 0.

# %%
fc6, fc6_bias = rng.normal(size=(10, 8 * 7 * 7)), rng.normal(size=10)
fc7, fc7_bias = rng.normal(size=(5, 10)), rng.normal(size=5)
pool5 = rng.normal(size=(1, 8, 7, 7))  # the size that the classifier wants
larger = rng.normal(size=(1, 8, 9, 12))

vector = ops.relu(ops.linear(pool5.reshape(1, -1), fc6, fc6_bias))
vector = ops.linear(vector, fc7, fc7_bias)
top = ops.relu(ops.conv2d(pool5, fc6.reshape(10, 8, 7, 7), fc6_bias))
top = ops.conv2d(top, fc7.reshape(5, 10, 1, 1), fc7_bias)
layer_gap = np.abs(top[:, :, 0, 0] - vector).max()
check(
    "fully connected layers = a 7x7 convolution, then a 1x1 convolution",
    layer_gap < 1e-10,
    f"{layer_gap:.0e}",
)

slid = ops.conv2d(larger, fc6.reshape(10, 8, 7, 7), fc6_bias)[0]
slid_gap = np.abs(slid - at_every_place(larger[0], fc6, fc6_bias)).max()
check(
    "ops.conv2d = the ten lines",
    slid.shape == (10, 3, 6) and slid_gap < 1e-10,
    f"{slid_gap:.0e}",
)

# %%
from fcn_from_scratch import models
from fcn_from_scratch.layers import Conv2d, Flatten, Linear, MaxPool2d, ReLU, Sequential

# VGG16 has 64 times as many channels in every layer
narrow = models.build("fcn32s", num_classes=21, width=1)
narrow_fc6 = narrow.params["fc6.weight"]
fc6_weights = 64**2 * narrow_fc6.size
check("fc6 of the package's VGG16 has a 7x7 kernel", narrow_fc6.shape[2:] == (7, 7))
check(
    "in full width it has 102,760,448 weights: 25,088 inputs x 4096 units",
    fc6_weights == 25_088 * 4096 == 102_760_448,
)

# %% [markdown] tags=["answer"]
# > **Prediction 1.** The kernel is 7x7, because `fc6` reads a map of 7x7 places. It has
# > 102,760,448 weights, as before. If you wrote 1x1, you thought of `fc7`. It reads the
# > vector that `fc6` gives at each place, so its kernel is 1x1.

# %% [markdown]
# ## The score layer
# A *score* says how well a class fits; the class with the largest score is predicted. In a
# fully convolutional network the last of the 1x1 convolutions makes the scores. It is
# called the **score layer**. At each place (i, j) it takes the features of that place only,
# and computes one number for each class c:
#
# $$
# \text{score}_{c,i,j} = b_c + \sum_d w_{c,d} \; \text{feature}_{d,i,j}
# $$
#
# So it is a linear classifier, the same one at every place. Here are two features, two
# classes and two places. The weights of class 0 are 1 and -1, those of class 1 are 0 and 1:
#
#     place   features   score of class 0   score of class 1   class
#       0      3, 1       3 - 1 =  2         1                  0
#       1      2, 4       2 - 4 = -2         4                  1

# %%
score_weight = np.array([[1.0, -1], [0, 1]])
features = np.array([[3.0, 2], [1, 4]]).reshape(
    1, 2, 1, 2
)  # (pictures, features, 1, places)
scores = ops.conv2d(features, score_weight.reshape(2, 2, 1, 1))
check("the scores by hand", np.array_equal(scores[0, :, 0], [[2, -2], [1, 4]]))
check("the classes by hand", np.array_equal(scores.argmax(axis=1)[0, 0], [0, 1]))

# whole numbers: every sum is exact
features = rng.integers(-9, 10, (1, 7, 4, 6)).astype(float)
score_weight = rng.integers(-9, 10, (3, 7)).astype(float)
score_bias = rng.integers(-9, 10, 3).astype(float)
scores = ops.conv2d(features, score_weight.reshape(3, 7, 1, 1), score_bias)
equation = np.einsum("cd,dij->cij", score_weight, features[0]) + score_bias[:, None, None]
check("a 1x1 convolution computes the equation", np.array_equal(scores[0], equation))
other = features.copy()
other[..., 2, 3] += 1
new_scores = ops.conv2d(other, score_weight.reshape(3, 7, 1, 1), score_bias)
changed = np.argwhere((new_scores != scores).any(axis=(0, 1))).tolist()
check("other features at place (2, 3) change the scores there only", changed == [[2, 3]])

score_fr = Conv2d(4096, 21, 1)
score_parameters = sum(array.size for array in score_fr.params.values())
check(
    "the score layer of FCN-32s has 21 * (4096 + 1) parameters",
    score_parameters == 21 * 4097 == 86_037,
)

# %% [markdown] tags=["answer"]
# > **Prediction 2.** It has 86,037 parameters: 4096 weights and one bias for each of the 21
# > classes. For one score it looks at one place. The layers below have already collected
# > what is around that place. If you multiplied by the number of places, remember that all
# > places share the same weights.

# %% [markdown]
# ## A classifier of crops
# Now we take a whole network. The classifier reads a crop of 32x32 pixels and names the
# class of the pixel in the middle. (The middle is 15.5, between two pixels; we take pixel
# 16.) It trains for some seconds. No layer uses padding, that is, no zeros are added around
# a map. "What could fool you" shows why. The network contains two pools. Each of them
# replaces every 2x2 numbers by the largest one, so the next map has half as many rows and
# columns. The windows of such a pool begin 2 places apart: the pool has a stride of 2. A
# last row without a partner is left out. So the sizes 33, 34 and 35 also give a map of 4x4
# places before `Flatten`, and are accepted. All others are not.

# %%
world = datasets.Shapes(count=60, size=96, classes_by="colour", seed=SEED)
scenes, classes = list(world), world.classes


def convolution(*arguments):
    return Conv2d(*arguments, rng=rng)


layers = [convolution(3, 8, 5), ReLU(), MaxPool2d(2)]
layers += [convolution(8, 16, 3), ReLU(), MaxPool2d(2)]
layers += [convolution(16, 24, 3), ReLU(), Flatten()]  # a map of 4x4 places
layers += [Linear(24 * 4 * 4, 48, rng=rng), ReLU(), Linear(48, len(classes), rng=rng)]
classifier = Sequential(*layers)
sizes = geometry.sizes_that_fit(classifier, range(1, 100))
print(f"sizes from 1 to 99 that this classifier takes: {sizes}")
check(
    "it takes its own size, and three that its pools round down", sizes == [32, 33, 34, 35]
)


# %%
def prepared(image):
    """uint8 (H, W, 3) as float32 (1, 3, H, W) between -1 and 1."""
    return (image.transpose(2, 0, 1)[None] / 127.5 - 1).astype(np.float32)


def crops(number, scenes):
    """Random crops of 32x32 pixels and the labels of their middles. Classes alternate."""
    images, named = [], []
    while len(images) < number:
        image, labels, _ = scenes[rng.integers(len(scenes))]
        wanted = len(images) % len(classes)
        rows, columns = np.nonzero(labels[16:-16, 16:-16] == wanted)
        if len(rows):
            k = rng.integers(len(rows))
            images.append(prepared(image)[..., rows[k] :, columns[k] :][..., :32, :32])
            named.append(wanted)
    return np.concatenate(images), np.array(named)


# %% [markdown]
# The first forty scenes are for training. The last twenty are held out: the classifier is
# tested on crops of scenes that it has never seen.
#
# One step of the training takes 32 crops, and does this:
#
# 1. `classifier(x)` computes the scores.
# 2. `softmax_cross_entropy` turns the scores into the *loss*, a number that is small when
#    the true classes have the largest scores. It also gives the gradient of the loss with
#    respect to the scores: how fast the loss grows with each of them.
# 3. `backward_params` computes from this the gradient of the loss with respect to each
#    weight, layer by layer from the last to the first.
# 4. `optimizer.step()` moves each weight a little against its gradient, so that the loss
#    becomes smaller.
#
# How far it moves is the *learning rate*. `polynomial(0.05, 200)` lets it fall from 0.05 to
# zero in 200 steps, and `warm_up` makes the first 20 steps shorter. `weight_decay` keeps
# the weights small. (Lesson 3 explains gradients, and lesson 4 the loss and the steps.)

# %%
from fcn_from_scratch.training import SGD, polynomial, warm_up

optimizer = SGD(classifier, warm_up(polynomial(0.05, 200), 20), weight_decay=5e-4)
for _ in range(200):
    x, named = crops(32, scenes[:40])
    classifier.zero_grad()
    loss, dscores = ops.softmax_cross_entropy(classifier(x), named)
    classifier.backward_params(dscores)
    optimizer.step()
x, named = crops(300, scenes[40:])
accuracy = (classifier.eval()(x).argmax(axis=1) == named).mean()
chance = 1 / len(classes)
learned = 0.75 < accuracy < 1
check(
    "it names most crops of unseen scenes", learned, f"{accuracy:.0%}; chance {chance:.0%}"
)

# %% [markdown]
# ## The whole network, by hand
# Keep the convolutions and the pools. Leave out `Flatten`, which turns a map into one long
# vector. Use each fully connected layer at every place. Nothing is trained again.


# %%
def by_hand(x):
    """The scores at every place of a picture: (3, H, W) -> (classes, down, across)."""
    for layer in classifier.layers:
        if isinstance(layer, Linear):
            x = at_every_place(x, layer.params["weight"], layer.params["bias"])
        elif not isinstance(layer, Flatten):
            x = layer(x[None])[0]
    return x


classifier.astype(np.float64).eval()
most = max(scenes[40:], key=lambda scene: len(np.unique(scene.labels)))  # of classes
image, truth, _ = most
x = prepared(image).astype(np.float64)
heat = by_hand(x[0])
print(f"picture {x.shape[2:]} -> map {heat.shape[1:]}")

# %% [markdown]
# The map of one class's scores is a **heat map**: it is large where the network finds the
# class. `heat` holds six of them, one for each class. What does each number of it mean? The
# network contains two pools of stride 2, so neighbouring places are 2 * 2 = 4 pixels apart.
# Place (i, j) belongs to the crop of 32x32 pixels that begins at pixel (4i, 4j). Cut out
# each of these crops, run the classifier on it, and compare. There are 289 of them.

# %%
on_crops = np.empty_like(heat)
for i, j in np.ndindex(heat.shape[1:]):
    on_crops[:, i, j] = classifier(x[:, :, 4 * i : 4 * i + 32, 4 * j : 4 * j + 32])[0]
crop_gap = np.abs(heat - on_crops).max()
check(
    "every place = the classifier on its crop",
    heat[0].size == 289 and crop_gap < 1e-10,
    f"{crop_gap:.0e}",
)

# %% [markdown] tags=["answer"]
# > **Prediction 3.** Yes, they are equal up to the rounding of the sums. This is true
# > because no layer pads: both ways multiply the same pixels by the same weights. "What
# > could fool you" below shows that it is false for a classifier with padding.

# %% [markdown]
# ## With the package
# `dense.convolutionalize` makes the same network from `Conv2d` layers. The first fully
# connected layer gets a kernel of 4x4, because it reads a map of 4x4 places. The score
# layer gets a kernel of 1x1. The weights are the classifier's own arrays.

# %%
from fcn_from_scratch.dense import convolutionalize

fully = convolutionalize(classifier).eval()
print(fully)
kernels = [layer.kernel_size for layer in fully.layers if isinstance(layer, Conv2d)]
check("the fully connected layers became 4x4 and 1x1", kernels[-2:] == [(4, 4), (1, 1)])
counts = [sum(array.size for array in net.params.values()) for net in (fully, classifier)]
check("no number was added", counts[0] == counts[1])
packaged_gap = np.abs(fully(x)[0] - heat).max()
check("the package = by hand", packaged_gap < 1e-10, f"{packaged_gap:.0e}")

# %% [markdown]
# ## Any size?
# The picture may have any size if one whole window fits into it. It need not be a square.
# We try all sizes from 1 to 199 by arithmetic, two sizes with the network, and a
# photograph. The network has learned coloured shapes only, so its scores for the photograph
# mean nothing. The photograph shows only that the size does not matter.

# %%
import matplotlib.cbook
from PIL import Image

fitting = geometry.sizes_that_fit(fully, range(1, 200))
any_size = fitting == list(range(32, 200))
check("every size from 32 on, and none below: one whole window has to fit", any_size)
file = matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)
photo = np.asarray(Image.open(file))
for picture in (x[..., :41, :67], x[..., :32, :35], prepared(photo).astype(np.float64)):
    height, width = picture.shape[2:]
    expected = (1, len(classes), (height - 32) // 4 + 1, (width - 32) // 4 + 1)
    check(
        f"{height}x{width} pixels give a map of {expected[2]}x{expected[3]}",
        fully(picture).shape == expected,
    )

# %% [markdown]
# So "any size" has three conditions. The picture must hold one window. It must fit into
# memory. And the pictures of one batch must have one size, because a batch is one array.
# (FCN pads the picture, so that even one pixel is enough. Lesson 6 shows how much padding
# this takes.)
#
# ## The backward
# Training needs the backward, which computes the gradients of the loss with respect to the
# weights (lesson 3). Training on the map is training on all the crops at once: one backward
# on the map gives the *sum* of the crops' gradients. Lesson 13 uses this.

# %%
dy = rng.normal(size=(1, *heat.shape))
fully.train().zero_grad()
fully(x)
fully.backward(dy)
whole = {name: gradient.ravel().copy() for name, gradient in fully.grads.items()}
classifier.train().zero_grad()
for i, j in np.ndindex(heat.shape[1:]):
    classifier(x[:, :, 4 * i : 4 * i + 32, 4 * j : 4 * j + 32])
    classifier.backward(dy[:, :, i, j])
summed = classifier.grads.items()
gradient_gap = max(abs(whole[n] - g.ravel()).max() / abs(g).max() for n, g in summed)
equal = gradient_gap < 1e-10
check("one backward on the map = the sum over the crops", equal, f"{gradient_gap:.0e}")

# %% [markdown]
# ## What it costs
# Neighbouring crops share 28 of their 32 columns. Crop by crop, everything that the shared
# pixels need is computed again and again. In one pass it is computed once. The paper says
# that the cost is *amortised* over the crops. First we count multiply-adds (one
# multiplication and one addition), then we measure time.

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


one_by_one = 289 * geometry.table(classifier, 32).multiply_adds
counted = one_by_one / geometry.table(fully, 96).multiply_adds
windows = np.lib.stride_tricks.sliding_window_view(x[0], (32, 32), axis=(1, 2))[:, ::4, ::4]
batch = windows.transpose(1, 2, 0, 3, 4).reshape(
    -1, 3, 32, 32
)  # at best: all crops at once
classifier.eval(), fully.eval()
times_faster = seconds(lambda: classifier(batch)) / seconds(lambda: fully(x))
check(
    "289 crops take about 15 times the multiply-adds of one pass",
    14.5 < counted < 15.5,
    f"{counted:.1f} times",
)
check(
    "one pass is faster than the crops, even in one batch",
    times_faster > 3,
    f"{times_faster:.0f} times here",
)

# %% [markdown]
# The time depends on the machine, and on how well the crops fit into its cache. The count
# does not.
#
# Now we count for VGG16. A convolution with a $k \times k$ kernel and $C$ input channels
# takes $k^2 C$ multiply-adds for each number of its output.


# %%
def vgg16_cost(n):
    """(multiply-adds, outputs per side) of VGG16 on n x n pixels, with 1000 classes."""
    cost, before = 0, 3
    for channels, convolutions in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(convolutions):
            cost += n * n * 3 * 3 * before * channels
            before = channels
        n = math.ceil(n / 2)  # the pool rounds up
    outputs = n - 7 + 1
    fully_connected = 7 * 7 * 512 * 4096 + 4096 * 4096 + 4096 * 1000  # at each place
    return cost + outputs**2 * fully_connected, outputs


one_crop, one = vgg16_cost(224)
one_picture, side = vgg16_cost(500)
ratio = one_picture / one_crop
print(f"224x224: {one_crop / 1e9:.1f} G multiply-adds for {one} output")
print(f"500x500: {one_picture / 1e9:.1f} G multiply-adds for {side**2} outputs")
check("VGG16 gives 1 output at 224 pixels and 10x10 at 500", (one, side) == (1, 10))
check(
    "the 100 outputs cost 5.8 times as much as the one",
    5.7 < ratio < 5.9,
    f"{ratio:.2f} times",
)

# %% [markdown] tags=["answer"]
# > **Prediction 4.** It costs about 5.8 times as much. The picture of 500x500 has 5 times
# > as many pixels as the crop, so the convolutions cost about 5 times as much. The fully
# > connected layers add the rest: they run at 100 places and share nothing. One hundred
# > crops would cost 100 times as much, which is 17 times more. If you wrote 100, you
# > computed the shared pixels again.

# %% [markdown]
# The paper measured AlexNet, which gives 10x10 outputs on 500x500 pixels: 22 ms for all of
# them, and 1.2 ms for one crop. That is more than 5 times faster than 100 crops.

# %% [markdown]
# ## What could fool you
# **A classifier with padding.** VGG16 pads every convolution. You can convolutionalize it,
# and everything works: any size is accepted, and the maps look sensible. But a crop has
# *zeros* around it, and the large picture has *other pixels* there. So the map and the
# classifier on the crops differ, and not only by rounding. (Which one is better is another
# question: VGG16 was trained with the zeros.) Here is a small network with random weights,
# and nine crops. We do not measure by how much VGG16 differs.

# %%
options = {"rng": rng, "dtype": np.float64}
layers = [Conv2d(3, 8, 3, padding=1, **options), ReLU(), MaxPool2d(4)]
layers += [Conv2d(8, 12, 3, padding=1, **options), ReLU(), MaxPool2d(2)]
padded = Sequential(*layers, Flatten(), Linear(12 * 4 * 4, 6, **options)).eval()
padded_map = convolutionalize(padded).eval()(x)
padded_crops = np.stack(
    [padded(x[:, :, 8 * i : 8 * i + 32, 8 * i : 8 * i + 32])[0] for i in range(9)], axis=1
)
difference = padded_map[0][:, range(9), range(9)] - padded_crops
padded_gap = np.sqrt((difference**2).mean() / (padded_crops**2).mean())
check(
    "with padding, map and crops differ by more than 5 %",
    0.05 < padded_gap < 1,
    f"root mean square {padded_gap:.0%}",
)

# %% [markdown]
# **A reshape in the wrong order.** Some frameworks store maps as (H, W, C). They list the
# weights pixel by pixel. Suppose that you reshape such weights as if they were listed
# channel by channel. The shape fits, and the network runs. A test with a map of ones does
# not notice, because all inputs are equal there. A random map notices.

# %%
misread = fc6.reshape(10, 7, 7, 8).transpose(0, 3, 1, 2)
wrong_first = ops.conv2d(pool5, misread, fc6_bias)[:, :, 0, 0]
right_first = ops.linear(pool5.reshape(1, -1), fc6, fc6_bias)
wrong_gap = np.abs(wrong_first - right_first).max() / np.abs(right_first).max()
check(
    "the shape is right, the results are not",
    misread.shape == (10, 8, 7, 7) and 0.5 < wrong_gap < 5,
    f"{wrong_gap:.0%}",
)
ones = np.ones((1, 8, 7, 7))
hidden = np.allclose(ops.conv2d(ones, misread), ops.conv2d(ones, fc6.reshape(10, 8, 7, 7)))
check("a map of ones would not have noticed", hidden)

# %% [markdown]
# ## The drawings
# The code of the figures stands here at the end, so that it does not interrupt the
# argument.

# %%
SAND, RED, BLUE = "#c98f00", "#b5303f", "#2e86ab"


def draw_numbers(ax, values, top=0, left=0, colour="white"):
    """Small squares with a number in each. Squares on top of others replace them."""
    for (i, j), value in np.ndenumerate(values):
        viz.frame(ax, top + i, left + j, 1, 1, "#666666", 1)
        across = left + j + np.array([-0.5, 0.5, 0.5, -0.5])
        down = top + i + np.array([-0.5, -0.5, 0.5, 0.5])
        ax.fill(across, down, color=colour)
        ax.text(left + j, top + i, f"{value:g}", ha="center", va="center", fontsize=12)


def draw_sliding():
    """The worked example: one place for the old size, two places for the larger one."""
    titles = ["old size: one place", "one column more: place 0", "place 1"]
    caption = "On a larger input the kernel of a fully connected unit fits in more places"
    figure, axes = viz.new_figure(caption, 1, 3, width=7.2, height=3.4, titles=titles)
    cases = (small, 0, [[9]]), (wide, 0, [[9, 20]]), (wide, 1, [[9, 20]])
    for ax, (values, place, result) in zip(axes, cases):
        draw_numbers(ax, values, colour="#f1f4f8")
        draw_numbers(ax, values[:, place : place + 2], left=place, colour="#fbe3b5")
        for (a, b), w in np.ndenumerate(kernel):
            corner = place + b + 0.44, a + 0.44
            ax.text(*corner, f"\u00d7{w:g}", ha="right", va="bottom", color=RED)
        viz.frame(ax, 0, place, 2, 2, SAND, 3)
        draw_numbers(ax, np.array(result), top=3, colour="#dfeaf3")
        viz.frame(ax, 3, place, 1, 1, BLUE, 3)
        arrow = {"arrowstyle": "->", "color": BLUE, "lw": 1.5}
        ax.annotate("", (place, 2.4), (place + 0.5, 1.6), arrowprops=arrow)
        ax.set(xlim=(-0.7, 2.7), ylim=(3.7, -0.7), aspect="equal")
    viz.bare(axes)
    return figure


def softmax(scores):
    """Scores (classes, ...) as probabilities."""
    e = np.exp(scores - scores.max(axis=0))
    return e / e.sum(axis=0)


def draw_heat_maps():
    """Three crops with the classifier's answers, and the heat maps that hold them."""
    probabilities = softmax(heat)
    largest = probabilities.max(axis=(1, 2))
    shown = [*np.argsort(-largest[1:])[:2] + 1, 0]  # two classes that are there, background
    titles = ["unseen picture, 96x96", *("crop" for _ in shown)]
    titles += [
        "largest score,\n17x17 places",
        *(f"heat map of\n{classes[c]}" for c in shown),
    ]
    caption = "One pass gives the answers for all crops"
    figure, axes = viz.new_figure(caption, 2, 4, width=7.4, height=4.8, titles=titles)
    axes[0, 0].imshow(image)
    viz.frame(axes[0, 0], 16, 16, 64, 64, "white", 1)
    axes[1, 0].imshow(viz.colourise(heat.argmax(axis=0), world.palette))
    for c, colour, above, below in zip(shown, (SAND, RED, BLUE), axes[0, 1:], axes[1, 1:]):
        i, j = np.unravel_index(probabilities[c].argmax(), probabilities[c].shape)
        says = softmax(on_crops[:, i, j])
        viz.frame(axes[0, 0], 4 * i, 4 * j, 32, 32, colour)
        dot = {"color": colour, "markeredgecolor": "white"}
        axes[0, 0].plot(4 * j + 15.5, 4 * i + 15.5, "o", **dot)
        above.imshow(image[4 * i : 4 * i + 32, 4 * j : 4 * j + 32])
        viz.frame(above, 0, 0, 32, 32, colour, 4)
        above.set_title(
            f"classifier:\n{classes[says.argmax()]}, {says.max():.0%}", fontsize=9
        )
        below.imshow(probabilities[c], cmap="magma", vmin=0, vmax=1)
        viz.frame(below, i, j, 1, 1, colour, 2.5)
    viz.bare(axes)
    return figure


# %% [markdown]
# Look at the yellow window: it is the same kernel, once on the input of the old size, and
# twice on the larger one. The small red numbers are its weights.

# %%
viz.show(draw_sliding(), "05_sliding")

# %% [markdown]
# Look at the frames: each crop in the upper row has its own small square in the map below
# it, in the same colour. The maps show the scores as probabilities: their exponentials,
# divided by the sum over the classes (softmax, lesson 4). Bright squares mean a probability
# near 1. A place answers for the middle of its crop (the dot). So the maps cover what lies
# inside the white frame of the picture. The lower left map shows the class with the largest
# score, in the class's own colour. With seed 0 two of its places are blue, although nothing
# in the picture is: the network is wrong there.

# %%
viz.show(draw_heat_maps(), "05_heat_map")

# %% [markdown]
# ## Exercises
# 1. *Trace*: given the kernel sizes and strides of a network without padding, compute the
#    size of every map for a picture that is not square.
# 2. *Change*: a classifier reads crops that are not square. Compute its first fully
#    connected layer at every place where a window of kh rows and kw columns fits.
# 3. *Prove*: given the costs of a classifier's convolutions and of its other layers, how
#    much cheaper is one pass than one run for each crop? Prove that this has a limit.
#
# `fcn exercise 5` writes a file for each of them, `fcn exercise 5 --check FILE` checks your
# answer, `fcn exercise 5 --solution` shows ours.

# %% [markdown]
# ## Claims

# %%
claims(
    [
        (
            "fully connected = 7x7 convolution, then 1x1",
            layer_gap < 1e-10,
            "1e-10: float64, other order of sums",
        ),
        (
            "fc6 of VGG16 is 7x7 and has 102,760,448 weights",
            fc6_weights == 102_760_448,
            "exact: counted",
        ),
        (
            "ops.conv2d = ten lines by hand",
            slid_gap < 1e-10,
            "1e-10: float64, other order of sums",
        ),
        (
            "the score layer computes its equation",
            np.array_equal(scores[0], equation),
            "exact: whole numbers",
        ),
        (
            "the score layer of FCN-32s has 86,037 parameters",
            score_parameters == 86_037,
            "exact: counted",
        ),
        (
            "the classifier has learned, on unseen scenes",
            learned,
            ".75: .85 to .92 on seeds 0, 1, 2, 7, 11; chance is .17",
        ),
        (
            "the map = the classifier on every crop",
            crop_gap < 1e-10,
            "1e-10: float64, other order of sums",
        ),
        (
            "the package = by hand",
            packaged_gap < 1e-10,
            "1e-10: float64, other order of sums",
        ),
        (
            "one backward = the sum of the crops' gradients",
            gradient_gap < 1e-10,
            "1e-10: float64, relative",
        ),
        ("pictures of every size from one window on fit", any_size, "exact: sizes"),
        (
            "VGG16 at 500 pixels: 100 outputs at 5.8 times the cost",
            side == 10 and 5.7 < ratio < 5.9,
            "counted",
        ),
        ("one pass takes 15 times fewer multiply-adds", 14.5 < counted < 15.5, "counted"),
        (
            "one pass is faster than all crops",
            times_faster > 3,
            "3: a fifth of what is counted; times vary",
        ),
        (
            "a padded classifier does not give its crops' answers",
            0.05 < padded_gap < 1,
            ".05: .14 to .36 on five seeds; rounding is 1e-15",
        ),
    ]
)

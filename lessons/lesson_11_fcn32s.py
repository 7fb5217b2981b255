# %% [markdown]
"""
# Lesson 11: How does a classifier become a segmenter?

After this lesson you can turn a trained classifier into FCN-32s and write the backward of
its head. You can say why its first loss is exactly ln C, convert a learning rate from one
loss to another, and measure what the classifier is worth.

Needs: lesson 5 (a classifier as a convolution) and lesson 9 (upsampling).
Words: the [glossary](../docs/glossary.md).

Fast path: lesson 12 comes next. What is needed of lessons 3, 4 and 6 is repeated here in a
sentence each.

Runtime: 20 s on 2 cores
"""

# %% [markdown]
# ## From one class for a picture to one class for every pixel
#
# Lesson 5 turned the classifier's last layers into convolutions. On a larger picture they
# give a map of scores, one cell every 32 pixels. FCN-32s has three parts. The **trunk** is
# all layers below the score layer, from `conv1_1` to `fc7`; its parameters come from the
# classifier. The score layer `score_fr` is a new 1x1 convolution. One upsampling by 32
# brings its scores back to the size of the picture.
#
# Each pixel has a loss. A worked example with nine pixels, three classes, and all scores
# zero:
#
#     labels  0 0 1
#             0 2 1
#             0 2 2
#
# The softmax turns scores into probabilities. Three zeros become 1/3 for each class. So the
# loss of each pixel is
#
# $$
# -\ln \tfrac{1}{3} = \ln 3 = 1.0986 ,
# $$
#
# and the mean of all pixels is $\ln 3$ too. The labels do not matter yet.
#
# Every layer has a backward (lesson 3): it turns the gradient of the loss with respect to
# the layer's output into those with respect to its input and its weights. So the loss of a
# pixel can change every weight that its scores depend on. (Prediction 2 asks for an
# exception.) Training all layers at once, from the picture to the loss, is called
# **end-to-end**. **Pixels-to-pixels** says that the input and the output are pictures of
# the same size, with a loss at each pixel.

# %% [markdown]
# ## Predict
# The score layer starts at zero. Everything below it is trained. Write your answers down
# first.
#
# 1. What is the first loss with six classes?
# 2. Which layers get a gradient at the first step, and which at the second?
# 3. The loss may be the *mean* over the pixels or their *sum*. The rate 0.02 is right for
#    the mean over 32,000 pixels. Which rate is right for the sum?
# 4. In 32s-fixed only the score layer is trained, for as many steps as 32s. A network that
#    always answers "background" has a mean IU of .13 here. 32s is above this by some
#    amount: which part of it does 32s-fixed reach? (In the paper it is three quarters: 45.4
#    and 59.4, and "background" alone has at most 1/21 = 4.8.)

# %%
import numpy as np

from fcn_from_scratch import datasets, models, ops, viz
from fcn_from_scratch.course import check, claims, device, seed
from fcn_from_scratch.metrics import ConfusionMatrix
from fcn_from_scratch.training import SGD, Trainer, evaluate, polynomial, segment, warm_up

DEVICE, SEED = device(), seed()
labels = np.array([[[0, 0, 1], [0, 2, 1], [0, 2, 2]]])
loss, dscores = ops.softmax_cross_entropy(np.zeros((1, 3, 3, 3)), labels)
by_hand = np.array([1 / 3 - 1, 1 / 3, 1 / 3]) / 9  # softmax, minus 1 at the label; 9 pixels
check("zero scores give the loss ln 3", abs(loss - np.log(3)) < 1e-15)
check(
    "the gradient of the first pixel is the one by hand",
    np.allclose(dscores[0, :, 0, 0], by_hand, atol=1e-15),
)

# %% [markdown]
# ## A small world
# The scenes have coloured things in them and are 64 pixels wide and high. The class of a
# thing is its colour. A small network learns colours in seconds, and finding where things
# end stays hard. The pictures for the classifier show one thing each, and have one label
# each.
#
# The small networks have the shape of VGG16: five stages, each with a pool at its end. A
# stage has a single 3x3 convolution here, with 12, 24, 48, 72 and 96 channels. All are
# padded by 1, so there is no padding of 100. `fc6` has a kernel of 2x2 instead of 7x7.

# %%
scene = {"size": 64, "classes_by": "colour", "seed": SEED}
train = datasets.InMemory(datasets.Shapes(count=600, split="train", **scene))
val = datasets.InMemory(datasets.Shapes(count=80, split="val", **scene))
single = [sample for sample in datasets.Shapes(count=500, things=1, **scene)]
words = np.array([sample.labels[sample.labels != 255].max() for sample in single])
classes = train.classes


def build(name, **options):
    return models.build(name, len(classes), width=12, fc6_kernel=2, seed=SEED, **options)


# %% [markdown]
# This is the training of lesson 4 in ten lines. In each step, a random batch of 16 pictures
# gives a gradient, and the weights move against it. Momentum averages the gradients of the
# last steps. The rate rises at first, and then falls to zero. The last hundred pictures are
# not trained on.

# %%
classifier = build("mini_classifier").to(DEVICE)
x = np.stack([classifier.transform(sample.image) for sample in single])
optimizer = SGD(classifier, warm_up(polynomial(0.01, 120), 20), weight_decay=5e-4)
rng = np.random.default_rng([SEED, 11])
for batch in rng.integers(0, 400, (120, 16)):
    classifier.zero_grad()
    _, dscores = ops.softmax_cross_entropy(classifier(x[batch]), words[batch])
    classifier.backward_params(dscores)
    optimizer.step()
accuracy = (classifier.eval()(x[400:]).argmax(axis=1) == words[400:]).mean()
check("it is right on 3 of 5 unseen pictures or more", accuracy > 0.6, f"{accuracy:.0%}")

# %% [markdown]
# ## Surgery
# To **transplant** is to copy the classifier's parameters into the fully convolutional
# network. The public code of the paper calls it net surgery. It goes by name: a parameter
# that both networks have is copied. `fc6` and `fc7` get another shape on the way, as in
# lesson 5. The last layer of the classifier, `fc8`, has no counterpart. `score_fr` is new
# and stays at zero.


# %%
def transplant(new, old):
    """Copy every parameter that has the same name in both networks."""
    for name, array in new.params.items():
        if name in old.params:
            array[...] = old.params[name].reshape(array.shape)


fcn, by_package = build("mini_fcn32s"), build("mini_fcn32s")
transplant(fcn, classifier)
report = models.transplant(by_package, classifier)
for word, names in report._asdict().items():
    print(f"  {word:12} {', '.join(names)}")
same = all(
    np.array_equal(array, by_package.params[name]) for name, array in fcn.params.items()
)
check("models.transplant copies the same numbers", same)
check(
    "fc6 was (96, 384) and is a kernel of 2x2 cells",
    fcn.params["fc6.weight"].shape == (96, 96, 2, 2),
)
check(
    "only the score layer is new",
    report.initialised == ["score_fr.weight", "score_fr.bias"],
)

# %% [markdown]
# ## The head, by hand
# The **head** is what stands above the trunk: the score layer, the upsampling and a crop.
# Upsampling by 32 has a kernel of 64, so the upsampled map is larger than the picture.
# Lesson 6 tells where it begins. The first cell of the map stands at pixel -0.5, since
# `fc6` pads by one cell. The kernel reaches 31.5 pixels further to the left. So the
# upsampled map begins at -32, and its column 32 is the picture's column 0. (In lesson 9 the
# crop begins at 19. There the picture is padded by 100, and `fc6` is 7x7 without padding.
# So the scores fade at the border there. Here they do not: no pixel lies before the first
# cell or behind the last.)
#
# The backward goes through the three steps from last to first: a crop, an upsampling and a
# convolution each have a backward of their own.


# %%
def head(top, weight, bias, size):
    scores = ops.conv2d(top, weight, bias)  # one score for each class in each cell
    large = ops.bilinear_upsample(scores, 64, 32)
    return ops.crop(large, 32, size), (top, scores.shape, large.shape)


def head_backward(dy, kept, weight):
    top, scores_shape, large_shape = kept
    dlarge = ops.crop_backward(dy, large_shape, 32)
    dscores = ops.bilinear_upsample_backward(dlarge, scores_shape, 64, 32)
    return ops.conv2d_backward(dscores, top, weight)  # dtop, dweight, dbias


# %% [markdown]
# The package's network must do the same. The comparison needs random numbers in the score
# layer: with zeros a wrong head would pass, since all results are zero.

# %%
net = build("mini_fcn32s", dtype=np.float64)
models.transplant(net, classifier)
for array in (net.params["score_fr.weight"], net.params["score_fr.bias"]):
    array[...] = rng.normal(size=array.shape)
eight = [train[i] for i in range(8)]
pictures = [net.transform(sample.image) for sample in eight]
x, y = datasets.collate(pictures, [sample.labels for sample in eight])
x = x.astype(np.float64)
top, _ = net.trunk(x)
weight, bias = net.params["score_fr.weight"], net.params["score_fr.bias"]
scores, kept = head(top, weight, bias, (64, 64))
dy = rng.normal(size=scores.shape)
ours = head_backward(dy, kept, weight)
forward_gap = np.abs(net(x) - scores).max()
check("the head by hand = the package's head", forward_gap < 1e-12, f"{forward_gap:.0e}")
package_dtop, _ = net.head.backward(dy)
theirs = package_dtop, net.grads["score_fr.weight"], net.grads["score_fr.bias"]
gaps = [np.abs(a - b).max() / np.abs(b).max() for a, b in zip(ours, theirs)]
backward_gap = max(gaps)
check("and so are the three gradients", backward_gap < 1e-12, f"{backward_gap:.0e}")
check("the package derives the same crop", net.crop.offset == (32, 32))

# %% [markdown]
# No number in the head depends on the picture's size. So any size will do.

# %%
sizes = [(64, 64), (33, 90), (1, 1)]
shapes = [fcn(np.zeros((1, 3, *hw), np.float32)).shape for hw in sizes]
any_size = shapes == [(1, 6, *hw) for hw in sizes]
check("pictures of any size come out at their own size", any_size)

# %% [markdown]
# ## The first two steps
# With zero scores the loss is ln 6, whatever the trunk computes. The gradient that goes
# down to the trunk is multiplied by the score layer's weight, and that is zero. So only the
# score layer learns at the first step. At the second step its weight is no longer zero, and
# the gradient reaches the trunk.

# %%
net.params["score_fr.weight"][...] = 0
net.params["score_fr.bias"][...] = 0
optimizer = SGD(net, 0.02)
losses, trunk_gradients, score_gradients = [], [], []
for _ in range(2):
    net.zero_grad()
    loss, dscores = ops.softmax_cross_entropy(net(x), y)
    net.backward(dscores)
    losses.append(loss)
    trunk_gradients.append(max(np.abs(net.grads[name]).max() for name in net.trunk.params))
    score_gradients.append(np.abs(net.grads["score_fr.weight"]).max())
    optimizer.step()
check("the first loss is ln 6", abs(losses[0] - np.log(6)) < 1e-12, f"{losses[0]:.6f}")
check(
    "at the first step the trunk's gradient is exactly zero",
    trunk_gradients[0] == 0 and score_gradients[0] > 0,
)
check("at the second step it is not", trunk_gradients[1] > 0)

# %% [markdown] tags=["answer"]
# > **Prediction 1.** The first loss is ln 6 = 1.792, because six zero scores give each
# > class the probability 1/6.

# %% [markdown] tags=["answer"]
# > **Prediction 2.** At the first step only `score_fr` gets a gradient, because the
# > gradient for the trunk is multiplied by the zero weight of `score_fr`. At the second
# > step every layer gets one. If you wrote that a layer of zeros can never learn: its own
# > gradient is the upstream gradient times its *input*, and the input is not zero.

# %% [markdown]
# A loss that *stays* at ln C says that nothing learns. A usual cause is a learning rate
# that belongs to another loss (see below). Another fault looks similar. In Caffe, the
# program of the authors, a weight that nobody initialises is zero. If nothing is
# transplanted, the trunk gives zeros, and only the bias of `score_fr` learns. The loss
# leaves ln C, but only as far as the same scores for all pixels allow.

# %%
dead = build("mini_fcn32s", dtype=np.float64)
for array in dead.params.values():
    array[...] = 0
optimizer, dead_losses = SGD(dead, 1, momentum=0, weight_decay=0), []
for _ in range(8):
    dead.zero_grad()
    loss, dscores = ops.softmax_cross_entropy(dead(x), y)
    dead.backward(dscores)
    dead_losses.append(loss)
    optimizer.step()
alive = [name for name, array in dead.params.items() if array.any()]
check("all weights zero: only one bias learns", alive == ["score_fr.bias"])
check("yet the loss leaves ln 6", 0.6 < dead_losses[-1] < 1.3, f"{dead_losses[-1]:.2f}")
check("all pixels get the same scores", np.ptp(dead(x), axis=(0, 2, 3)).max() < 1e-12)

# %% [markdown]
# ## One step, two losses
# The public code of the paper sums the loss over all pixels and has a learning rate of
# 1e-10 for FCN-32s (and 1e-12 and 1e-14 for the stages after it, lesson 12). This rate only
# looks strange. The gradient of the sum is the gradient of the mean, times the number $n$
# of pixels that count. Divide the rate by this number, and the step is the same:
#
# $$
# \eta_{\mathrm{sum}} = \frac{\eta_{\mathrm{mean}}}{n} .
# $$
#
# (This holds without weight decay, which makes every weight a little smaller in each step.
# Exercise 3 has it.)

# %%
pixels = int((y != 255).sum())
start = rng.normal(0, 0.01, net.params["score_fr.weight"].shape)


def one_step(reduction, lr):
    """What one step adds to a weight in the middle of the trunk."""
    net = build("mini_fcn32s", dtype=np.float64)
    models.transplant(net, classifier)
    net.params["score_fr.weight"][...] = start
    before = net.params["conv3_1.weight"].copy()
    net.backward(ops.softmax_cross_entropy(net(x), y, reduction=reduction)[1])
    SGD(net, lr, weight_decay=0).step()
    return net.params["conv3_1.weight"] - before


mean, summed = one_step("mean", 0.02), one_step("sum", 0.02 / pixels)
step_gap = np.abs(mean - summed).max() / np.abs(mean).max()
check(
    f"0.02 on the mean is {0.02 / pixels:.1e} on the sum",
    step_gap < 1e-9,
    f"the steps differ by {step_gap:.0e}",
)
check(
    "the eight pictures have 28,000 to 32,768 pixels that count",
    28_000 < pixels <= 8 * 64 * 64,
    f"{pixels:,}",
)

# %% [markdown] tags=["answer"]
# > **Prediction 3.** For the sum, the rate is 0.02 divided by the number of pixels that
# > count: about 0.02 / 32,000 = 6e-7. If you wrote 0.02 * 32,000, you divided on the wrong
# > side: a larger gradient needs a smaller rate.

# %% [markdown]
# A picture of 375x500 pixels, a usual size in PASCAL VOC, has 187,500. The rate 1e-10 on
# their sum is 1.9e-5 on their mean. With a momentum of 0.99 each gradient counts 100 times,
# and the step is that of 1.9e-3 without momentum.
#
# This training is **image-to-image**: the input is a picture, and so is the target, the
# label map. A batch here is eight pictures, but it is 30,000 pixels with a loss each. So
# the public code can train with a batch of *one* picture: it is a large batch of pixels.
# Lesson 13 compares a batch of one with larger ones, on the same number of pictures.

# %% [markdown]
# ## Three trainings, equal budgets
# Three networks are trained for 240 steps on the same batches:
#
# - **32s-fixed** keeps the classifier's trunk as it is and trains the score layer only.
# - **32s** starts from the same trunk and is trained end-to-end.
# - **from scratch** is 32s with a trunk of random weights.
#
# A comparison at one common rate would favour the network that the rate suits. So the rates
# 0.04, 0.08 and 0.16 were tried for each beforehand, with the seeds 3 and 4, and tested on
# scenes that no lesson uses. A network gets the lowest rate whose mean IU is within .02 of
# its best: higher rates sometimes fail. That is 0.04 for all three. It is the edge of the
# grid, so a rate below it may be better still. (`fcn compare --tune` runs such a grid for
# other data, and goes on beyond an edge.)

# %%
STEPS, RATE = 240, 0.04
marks = range(60, STEPS + 1, 60)
nets, curves, scores = {}, {}, {}
for name in ("32s-fixed", "32s", "from scratch"):
    nets[name] = net = build("mini_fcn32s")
    if name != "from scratch":
        models.transplant(net, classifier)
    if name == "32s-fixed":
        net.freeze_trunk()
    before = net.state_dict()
    optimizer = SGD(net, warm_up(polynomial(RATE, STEPS), 20), weight_decay=5e-4)
    batches = datasets.Batches(train, 8, net.transform, seed=SEED)
    trainer = Trainer(net.to(DEVICE), optimizer, batches, device=DEVICE)
    curves[name] = []
    for mark in marks:
        trainer.run(mark, progress=False)
        scores[name] = evaluate(net, val, DEVICE).scores()
        curves[name].append(scores[name]["mean_iu"])
    if name == "32s-fixed":
        after = net.state_dict()
        moved = [key for key in after if not np.array_equal(after[key], before[key])]
only_scores = moved == ["score_fr.weight", "score_fr.bias"]
check("32s-fixed changed its score layer and nothing else", only_scores)

# %% [markdown]
# The scenes of `val` were not trained on. A network that always answers "background" is
# tested as well.

# %%
lazy = ConfusionMatrix(len(classes))
for sample in val:
    lazy.update(sample.labels, np.zeros_like(sample.labels))
scores = {"all background": lazy.scores(), **scores}
iu = {name: row["mean_iu"] for name, row in scores.items()}
for name, row in scores.items():
    print(f"  {name:15} pixel accuracy {row['pixel_accuracy']:.3f}", end="   ")
    print(f"mean IU {row['mean_iu']:.3f}")
learned = 0.1 < iu["32s"] - iu["all background"] < 0.4
check("32s is above 'all background' in mean IU", learned)
check("and above training the scores alone", 0.05 < iu["32s"] - iu["32s-fixed"] < 0.4)
floor = iu["all background"]
share = (iu["32s-fixed"] - floor) / (iu["32s"] - floor)
check(
    "32s-fixed gains 8 to 65 % of what 32s gains above 'all background'",
    0.08 < share < 0.65,
    f"{iu['32s-fixed'] - floor:.3f} of {iu['32s'] - floor:.3f}: {share:.0%}",
)
trunk_gain = iu["32s"] - iu["from scratch"]
check("the classifier's trunk helps", 0.01 < trunk_gain < 0.2, f"{trunk_gain:+.3f}")
scratch_gain = iu["from scratch"] - iu["32s-fixed"]
check(
    "from scratch, end-to-end, is above a fixed trunk",
    0.01 < scratch_gain < 0.25,
    f"{scratch_gain:+.3f}",
)

# %% [markdown] tags=["answer"]
# > **Prediction 4.** 32s-fixed gains 13 to 40 % of what 32s gains, on five seeds. Where
# > sums are rounded in another order, it was up to 50 %. If you divided the mean IU of
# > the two, you got about a half. But a network that has learned nothing already has a
# > third of the mean IU of 32s, so compare what lies above it. If you wrote three
# > quarters as in the paper: its trunk is VGG16. Ours is small, and it saw 400 pictures.
# > This is a likely reason for the difference, but we have not tested it.

# %% [markdown]
# Mean IU on five seeds (`fcn lessons 11 --seed S`).
#
# | seed | all background | 32s-fixed | from scratch | 32s |
# |---|---|---|---|---|
# | 0 | .129 | .159 | .258 | .358 |
# | 1 | .127 | .206 | .264 | .333 |
# | 2 | .126 | .205 | .330 | .364 |
# | 7 | .125 | .214 | .278 | .348 |
# | 11 | .129 | .172 | .222 | .311 |
#
# So a trained trunk helps at equal steps, by .03 to .10, and it must be trained further. A
# trunk of random weights that is trained end-to-end is above a trained trunk that is kept
# fixed.

# %% [markdown]
# ## What could fool you
# Most pixels are background. A network that always answers "background" has a high pixel
# accuracy, and a network in training looks finished when it has hardly begun. Pixel
# accuracy hardly shows what 32s has learned. Mean IU shows it clearly.

# %%
lift_accuracy = scores["32s"]["pixel_accuracy"] / scores["all background"]["pixel_accuracy"]
lift_iu = iu["32s"] / iu["all background"]
check("pixel accuracy hardly grew", 1 < lift_accuracy < 1.1, f"by {lift_accuracy - 1:.0%}")
check("mean IU at least doubled", 2 < lift_iu < 4, f"{lift_iu:.1f} times as much")

# %% [markdown]
# ## The drawings


# %%
def draw_curves():
    caption = f"Mean IU during training, all at the rate {RATE}"
    series = {name: (marks, values) for name, values in curves.items()}
    return viz.curves(series, "step", "mean IU on val", caption)


def draw_scenes():
    """The four scenes with the most things in them, a column for each."""
    full = sorted(range(len(val)), key=lambda i: (val[i].labels == 0).sum())[:4]
    rows = {"picture": [val[i].image for i in full]}
    rows["truth"] = [val[i].labels for i in full]
    for name in ("32s-fixed", "32s"):
        net = nets[name].eval()
        rows[name] = [segment(net, val[i].image, DEVICE) for i in full]
    caption = f"The score layer alone, or the whole network: {STEPS} steps each"
    colours = {"classes": classes, "palette": train.palette}
    return viz.panels([*rows.values()], None, caption, [*rows], size=1.7, **colours)


# %% [markdown]
# Compare the lines of 32s and of the training from scratch. The distance between them is
# what the classifier's trunk is worth at equal steps. The line of 32s-fixed hardly rises,
# and near the end it can fall. Training lowers the loss, and mean IU is another measure.

# %%
viz.show(draw_curves(), "11_transplant")

# %% [markdown]
# Each column is a scene; in the truth, void is pale. Compare the two lower rows with the
# truth. Look at small and thin things, and at the corners of large ones. 32s draws round
# and pointed shapes: its scores stand 32 pixels apart, and the scores of one cell fall off
# along straight lines in between.

# %%
viz.show(draw_scenes(), "11_fcn32s")

# %% [markdown]
# ## Exercises
# 1. *Trace.* Find the size of every map of FCN-32s, for a picture of any size.
# 2. *Change.* Let the score layer start with random weights. Compute its first loss and the
#    gradient that it sends down.
# 3. *Prove.* Show that one step on the sum equals one step on the mean. What must happen to
#    the weight decay?
#
# `fcn exercise 11` writes a file for each of them, `fcn exercise 11 --check FILE` checks
# your answer, `fcn exercise 11 --solution` shows ours.

# %% [markdown]
# ## Claims

# %%
ln_6 = abs(losses[0] - np.log(6)) < 1e-12
by_hand = max(forward_gap, backward_gap) < 1e-12
claims(
    [
        ("zero scores: the first loss is ln C", ln_6, "1e-12: float64"),
        ("the trunk's first gradient is 0", trunk_gradients[0] == 0, "exact: times zero"),
        ("its second is not", trunk_gradients[1] > 0, "any number above zero"),
        ("the head by hand is the package's", by_hand, "1e-12: float64"),
        ("the sum's rate is the mean's / pixels", step_gap < 1e-9, "1e-9: small steps"),
        ("32s-fixed gains 8 to 65 % of 32s' gain", 0.08 < share < 0.65, "13 to 50 %"),
        ("32s is above 'all background'", learned, ".18 to .24 on five seeds"),
        ("a transplanted trunk is ahead", 0.01 < trunk_gain < 0.2, ".033 to .099"),
        ("any size in, the same size out", any_size, "exact: sizes"),
    ]
)

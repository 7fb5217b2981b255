"""Lesson 11: How does a classifier become a segmenter?

Afterwards you can turn a trained classifier into FCN-32s, say why its first loss is exactly ln C, read a
learning rate together with its loss, and show what a trained trunk is worth.

Needs: lessons 1 to 4
Runtime: 30 s on 2 cores
"""

# %% [markdown]
# # From one word to one word a pixel
#
# A classifier ends in layers that see the whole picture: `fc6` reads all cells of the last map at
# once and answers with one vector. But `fc6` is a convolution in disguise. Its weight of shape
# `(F, C * k * k)` is a kernel of shape `(F, C, k, k)` that happens to fit exactly once. Slide it,
# and a larger picture gives a *map* of answers, one every 32 pixels.
#
# FCN-32s is that, a 1x1 convolution `score_fr` that gives each cell one score a class, and one
# upsampling by 32 back to the picture. Everything in it has a backward, so the loss of every pixel
# reaches every weight. That is what **end-to-end** means, and **pixels-to-pixels** that picture and
# answer have the same size. A worked 3x3 example of the loss, three classes, all scores zero:
#
#     labels  0 0 1     every pixel gives each class 1/3, so every pixel's loss is
#             0 2 1     ln 3 = 1.0986, and so is their mean. No weight was asked.
#             0 2 2

# %% [markdown]
# ## Predict
# The score layer starts at zero, everything below it is trained. Before you run anything:
#
# 1. What is the first loss with six classes?
# 2. Which layers get a gradient at the first step, and which at the second?
# 3. The loss may be the *mean* over the pixels or their *sum*. If a rate of 0.02 is right for the
#    mean over 4,000 pixels, which one is right for the sum?

# %%
import numpy as np

from fcn_from_scratch import datasets, geometry, models, ops, viz
from fcn_from_scratch.course import check, claims, device, seed
from fcn_from_scratch.metrics import ConfusionMatrix
from fcn_from_scratch.training import SGD, Trainer, constant, evaluate, fit, polynomial, segment, warm_up

DEVICE, SEED = device(), seed()
labels = np.array([[[0, 0, 1], [0, 2, 1], [0, 2, 2]]])
loss, dscores = ops.softmax_cross_entropy(np.zeros((1, 3, 3, 3)), labels)
by_hand = np.array([1 / 3 - 1, 1 / 3, 1 / 3]) / 9  # softmax minus one-hot, over nine pixels
check("zero scores give every pixel the loss ln 3", abs(loss - np.log(3)) < 1e-15)
check("the gradient pulls the right class up and pushes the others down", np.allclose(dscores[0, :, 0, 0], by_hand))

# %% [markdown]
# ## A small world
# Scenes of coloured things, 64 pixels a side. What a thing *is* follows from its colour, so a small
# network learns it in seconds, and what stays hard is to say where things end. The classifier sees
# pictures with one thing each, and learns one word a picture.

# %%
scene = {"size": 64, "classes_by": "colour", "seed": SEED}
train = datasets.InMemory(datasets.Shapes(count=600, split="train", **scene))
val = datasets.InMemory(datasets.Shapes(count=80, split="val", **scene))
single = [sample for sample in datasets.Shapes(count=500, things=1, **scene)]
words = np.array([sample.labels[sample.labels != 255].max() for sample in single])
classes = train.classes


def build(name):
    return models.build(name, len(classes), width=12, fc6_kernel=2, seed=SEED)


# %% [markdown]
# Lesson 4 in ten lines: momentum, a rate that rises and falls, random batches of 16.

# %%
classifier = build("mini_classifier").to(DEVICE)
x = np.stack([classifier.transform(sample.image) for sample in single])
optimizer = SGD(classifier, warm_up(polynomial(0.01, 120), 20), weight_decay=5e-4)
rng = np.random.default_rng(SEED)
for _ in range(120):
    batch = rng.integers(0, 400, 16)
    classifier.zero_grad()
    _, dscores = ops.softmax_cross_entropy(classifier(x[batch]), words[batch])
    classifier.backward_params(dscores)
    optimizer.step()
accuracy = (classifier.eval()(x[400:]).argmax(axis=1) == words[400:]).mean()
check("the classifier knows more than 4 of 5 pictures it has not seen", accuracy > 0.8, f"{accuracy:.0%}")

# %% [markdown]
# ## Surgery
# `transplant` copies every parameter that both networks have under one name. The convolutions are
# copied as they are, `fc6` and `fc7` are reshaped, the classifier's last layer is dropped, and
# `score_fr` stays as it was built: zero. (Paper and public code call this net surgery.)

# %%
fcn = build("mini_fcn32s")
report = models.transplant(fcn, classifier)
for word, names in report._asdict().items():
    print(f"  {word:12} {', '.join(names)}")
old, new = classifier.params["fc6.weight"], fcn.params["fc6.weight"]
check("fc6 is a kernel of 2x2 cells now", old.shape == (96, 96 * 2 * 2) and new.shape == (96, 96, 2, 2))
check("with the same numbers in the same order", np.array_equal(old.ravel(), new.ravel()))

# %% [markdown]
# Which pixels a score sees, and where in the picture it stands, follows from kernels, strides and
# paddings alone (lesson 6). The crop that lays the upsampled scores over the picture follows too.
# It does not ask for the picture's size, and so any size will do.

# %%
size, stride, start = geometry.receptive_field(fcn)
print(f"  a score sees {size} pixels, scores are {stride} apart, the first stands at {start}; crop {fcn.crop.offset}")
sizes = [(64, 64), (33, 90), (1, 1)]
shapes = [fcn(np.zeros((1, 3, *hw), np.float32)).shape for hw in sizes]
check("pictures of any size come out at their own size", shapes == [(1, 6, *hw) for hw in sizes])

# %% [markdown]
# ## The first two steps
# Zero scores give ln 6 whatever the trunk says. And the gradient on its way down is multiplied by
# the score layer's weight: zero. At the first step only the score layer learns. At the second its
# weight is no longer zero, and the gradient passes.

# %%
x, y = datasets.collate([fcn.transform(train[i].image) for i in range(8)], [train[i].labels for i in range(8)])
optimizer = SGD(fcn, 0.02)
losses, trunk_gradients, score_gradients = [], [], []
for _ in range(2):
    fcn.zero_grad()
    loss, dscores = ops.softmax_cross_entropy(fcn(x), y)
    fcn.backward(dscores)
    losses.append(loss)
    trunk_gradients.append(max(np.abs(fcn.grads[name]).max() for name in fcn.trunk.params))
    score_gradients.append(np.abs(fcn.grads["score_fr.weight"]).max())
    optimizer.step()
check("the first loss is ln 6", abs(losses[0] - np.log(6)) < 1e-6, f"{losses[0]:.6f}")
check("the first gradient of the trunk is exactly zero", trunk_gradients[0] == 0 and score_gradients[0] > 0)
check("the second one is not", trunk_gradients[1] > 0)

# %% [markdown]
# A loss that *stays* at ln C is the sign of a dead network: nothing was transplanted and every
# weight is zero, or the rate belongs to another loss. Which brings us to the rate.
#
# ## One step, two losses
# The paper's public code sums the loss over all pixels and learns with a rate of 1e-10. That looks
# absurd, and is only a unit. The gradient of the sum is the gradient of the mean times the number
# of pixels that count, so dividing the rate by that number takes the very same step.

# %%
pixels = int((y != 255).sum())


def one_step(reduction, lr):
    net = build("mini_fcn32s")
    models.transplant(net, classifier)
    net.params["score_fr.weight"][...] = np.random.default_rng(1).normal(0, 0.01, net.params["score_fr.weight"].shape)
    _, dscores = ops.softmax_cross_entropy(net(x), y, reduction=reduction)
    net.backward(dscores)
    before = net.params["conv3_1.weight"].copy()
    SGD(net, lr, weight_decay=0).step()
    return net.params["conv3_1.weight"] - before


mean, summed = one_step("mean", 0.02), one_step("sum", 0.02 / pixels)
gap = np.abs(mean - summed).max() / np.abs(mean).max()
check(f"a mean's rate 0.02 is a sum's rate {0.02 / pixels:.0e} here", gap < 1e-2, f"the steps differ by {gap:.0e}")

# %% [markdown]
# ## What is a trained trunk worth?
# Two networks see the same scenes in the same order, at the same constant rate. One starts from the
# classifier's trunk, one from random weights. Every 40 steps both are scored on scenes they never
# see in training. A batch is eight scenes, but a scene is thousands of pixels with a loss each. That
# is why the paper can train with a batch of **one** picture: it is a large batch of pixels already.

# %%
marks = range(40, 161, 40)
curves = {}
for name in ("from the classifier", "from random weights"):
    net = build("mini_fcn32s")
    if name == "from the classifier":
        models.transplant(net, classifier)
    batches = datasets.Batches(train, 8, net.transform, seed=SEED)
    trainer = Trainer(net.to(DEVICE), SGD(net, warm_up(constant(0.02), 20)), batches, device=DEVICE)
    curves[name] = []
    for mark in marks:
        trainer.run(mark, progress=False)
        curves[name].append(evaluate(net, val, DEVICE).scores()["mean_iu"])
transplanted, scratch = curves.values()
check("after equal steps the transplanted trunk is ahead", transplanted[-1] > scratch[-1] + 0.03)

# %%
figure = viz.curves({name: (marks, values) for name, values in curves.items()}, "step", "mean IU")
figure.suptitle("A trained trunk finds the things sooner")
viz.save_figure(figure, "11_transplant")

# %% [markdown]
# ## Training
# **32s-fixed** keeps the classifier's trunk as it is and learns the score layer only. **32s** starts
# from the same trunk and learns end to end. The paper's table 2 begins with just these two.

# %%
fixed = build("mini_fcn32s")
models.transplant(fixed, classifier)
fixed.freeze_trunk()
before = fixed.state_dict()
fit(fixed, train, steps=150, lr=0.005, seed=SEED, device=DEVICE)
moved = [name for name, array in fixed.params.items() if not np.array_equal(array, before[name])]
check("32s-fixed moved its score layer and nothing else", moved == ["score_fr.weight", "score_fr.bias"])

# %%
fcn = build("mini_fcn32s")
models.transplant(fcn, classifier)
fit(fcn, train, steps=300, lr=0.03, seed=SEED, device=DEVICE)

# %%
nothing = ConfusionMatrix(len(classes))
for sample in val:
    nothing.update(sample.labels, np.zeros_like(sample.labels))
scores = {
    "all background": nothing.scores(),
    "32s-fixed": evaluate(fixed, val, DEVICE).scores(),
    "32s": evaluate(fcn, val, DEVICE).scores(),
}
for name, row in scores.items():
    print(f"  {name:15} pixel accuracy {row['pixel_accuracy']:.3f}   mean IU {row['mean_iu']:.3f}")
iu = {name: row["mean_iu"] for name, row in scores.items()}
check("32s is above no answer at all, in mean IU", iu["32s"] > iu["all background"])
check("learning end to end is above learning the scores alone", iu["32s"] > iu["32s-fixed"])

# %%
full = sorted(range(len(val)), key=lambda i: (val[i].labels == 0).sum())  # scenes with the most in them first
rows = []
for i in full[:4]:
    image, truth, _ = val[i]
    rows.append([image, truth, segment(fixed.eval(), image, DEVICE), segment(fcn.eval(), image, DEVICE)])
titles = ["picture", "truth (void pale)", "32s-fixed", "32s"]
caption = "FCN-32s knows what is there, and draws it with a brush 32 pixels wide"
viz.save_figure(viz.panels(rows, titles, caption, classes=classes, palette=train.palette), "11_fcn32s")


# %% [markdown]
# # What could fool you
# Most pixels are background, so a network that answers "background" everywhere has a high pixel
# accuracy, and while it learns it looks finished. What it
# learned is invisible in one number and plain in the other.

# %%
lift_accuracy = scores["32s"]["pixel_accuracy"] / scores["all background"]["pixel_accuracy"]
lift_iu = iu["32s"] / iu["all background"]
check("pixel accuracy grew by less than a fifth, mean IU by more than half", lift_accuracy < 1.2 and lift_iu > 1.5)

# %% [markdown]
# ## Exercises
# 1. *Trace.* Follow a 64x64 picture through the network: write down the size of every map, and of
#    the scores before and after the crop.
# 2. *Change.* Give `score_fr` small random weights in place of zeros. What becomes of the first
#    loss, and of the trunk's first gradient?
# 3. *Prove.* Show that the gradient of the summed loss is the number of counted pixels times that
#    of the mean, for any batch, and say what weight decay does to the equality of the two steps.
#
# Answers: `lessons/solutions/solution_11_fcn32s.py`

# %% [markdown]
# ## Claims

# %%
claims(
    [
        ("zero scores: the first loss is ln C", abs(losses[0] - np.log(6)) < 1e-6, "1e-6: float32"),
        ("the trunk's gradient is exactly 0 at step one", trunk_gradients[0] == 0, "exact: a product with zero"),
        ("and is not at step two", trunk_gradients[1] > 0, "any number above zero"),
        ("a sum's rate is the mean's over the pixels that count", gap < 1e-2, "steps of 1e-4 on weights of 1: float32"),
        ("32s-fixed < 32s in mean IU", iu["32s-fixed"] < iu["32s"], "an order; .1 apart or more on seeds 0 to 2"),
        ("all background < 32s in mean IU", iu["all background"] < iu["32s"], "an order; .15 apart or more"),
        (
            "a transplanted trunk beats scratch at equal steps",
            transplanted[-1] > scratch[-1] + 0.03,
            "a fifth of the gap seen",
        ),
        ("any size in, the same size out", shapes == [(1, 6, *hw) for hw in sizes], "exact: sizes"),
    ]
)

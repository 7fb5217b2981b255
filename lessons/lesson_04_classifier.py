"""Lesson 4: Can these parts learn?

Afterwards you can
- compute a cross-entropy and its gradient by hand, and a step of gradient descent with momentum and decay;
- say what the first loss of a network must be, and what it means if it is not;
- tell a network that learns from one that learns by heart;
- list what a checkpoint must hold so that a run goes on as if it had never stopped.

Needs: lessons 1 to 3 (the confusion matrix, what a convolution computes, its backward)
Runtime: 20 s on 2 cores
"""

# %% [markdown]
# # The idea
# The parts are there: convolution, ReLU, max-pool, each with its backward. Learning puts them into
# a circle: **scores, loss, gradient, step**, and again. The network gives a score to each class.
# The loss says how far the scores are from the truth. The gradient says how each weight changes the
# loss. The step moves every weight a little downhill.
#
# Scores become probabilities by *softmax*: take exponentials, divide by their sum. The loss is the
# **cross-entropy**, minus the logarithm of the probability of the true class. One picture, three
# classes, and the second is true:
#
#     class             0      1      2
#     score            ln 1   ln 2   ln 5
#     exponential       1      2      5       sum 8
#     probability      1/8    2/8    5/8      loss = -ln(2/8) = ln 4

# %% [markdown]
# ## Predict
# Write your answers down before you run anything.
# 1. A network that knows nothing chooses among five classes. What is its loss?
# 2. Twenty pictures get labels that were drawn from a hat. After training on them, how many of the
#    twenty can the network get right?
# 3. Stop a run halfway, save all its weights, load them and go on. Do you end with the same
#    weights as without the stop?

# %%
import numpy as np

from fcn_from_scratch.course import check, claims

scores = np.log([1.0, 2.0, 5.0])
true_class = 1
loss_by_hand = np.log(4)

# %% [markdown]
# # The loss
# ## By hand
# How does the loss change with the scores? `loss = ln(e^s0 + e^s1 + e^s2) - s1`. The derivative of
# the logarithm by `s0` is `e^s0` over the sum, and that is the probability of class 0. The last
# term takes 1 from the true class. So the gradient is **probability minus truth**:
#
#     probability      1/8    2/8    5/8
#     truth             0      1      0
#     gradient         1/8   -6/8    5/8
#
# It sums to zero. A step downhill raises the true score and lowers the others, the more so the more
# they were believed.

# %%
gradient_by_hand = np.array([1, -6, 5]) / 8

# %% [markdown]
# ## With a loop
# We nudge one score at a time and watch the loss, as in lesson 3.


# %%
def surprise(scores, label):
    """Minus the logarithm of the label's probability."""
    return np.log(sum(np.exp(s) for s in scores)) - scores[label]


eps = 1e-5
nudged = np.zeros(3)
for c in range(3):
    nudge = np.eye(3)[c] * eps
    nudged[c] = (surprise(scores + nudge, true_class) - surprise(scores - nudge, true_class)) / (2 * eps)
print("loss", surprise(scores, true_class), " gradient", nudged)

# %% [markdown]
# ## With the package
# `softmax_cross_entropy` takes scores `(N, C)` and labels `(N,)`, and gives the mean loss over the
# N pictures and the gradient. Give it scores `(N, C, H, W)` and labels `(N, H, W)`, and it takes
# the mean over all *pixels*. To the loss, a segmentation is a large batch of small decisions.

# %%
from fcn_from_scratch.ops import softmax_cross_entropy

loss, dscores = softmax_cross_entropy(scores[None], np.array([true_class]))
check("the loss by hand is the package's", abs(loss - loss_by_hand) < 1e-12)
check("so is the gradient", abs(dscores[0] - gradient_by_hand).max() < 1e-12)
check("nudging agrees", abs(nudged - gradient_by_hand).max() < 1e-8)

undecided, _ = softmax_cross_entropy(np.zeros((1, 5)), np.array([2]))
check("five equal scores cost ln 5", abs(undecided - np.log(5)) < 1e-12, f"{undecided:.3f}")

# %% [markdown]
# That was question 1. A network that knows nothing should give every class the probability 1/C, and
# then its loss is ln C, whatever the label. Keep this number in mind.
#
# # The step
# Plain gradient descent takes `lr * gradient` off each weight; `lr` is the **learning rate**.
# **Momentum** makes the weight a rolling ball. It keeps a *velocity* V, which forgets a part of
# itself at each step and is pushed by the gradient:
#
#     V = momentum * V + lr * gradient
#     w = w - V
#
# ## By hand
# The smallest landscape is the bowl `loss = w*w / 2`, whose gradient is `w`. The ball starts at
# w = 1 at rest. The rate is 1/2, the momentum 1/2.
#
#     step   gradient          V                     w
#      1        1       0       + 1/2 * 1   = 1/2    1/2
#      2       1/2      1/2*1/2 + 1/2 * 1/2 = 1/2     0
#      3        0       1/2*1/2 + 1/2 * 0   = 1/4   -1/4
#
# Look at step 3. The ball lies at the bottom and the gradient is zero, yet it rolls on.

# %%
steps_by_hand = [1 / 2, 0, -1 / 4]

# %% [markdown]
# ## With a loop, and with the package
# `SGD` asks little of a model: `params` and `grads`, two dicts of arrays. (The name is short for
# *stochastic* gradient descent: the gradient comes from a random batch, not from all the data.)

# %%
w, V, by_loop = 1.0, 0.0, []
for _ in range(3):
    V = 0.5 * V + 0.5 * w
    w = w - V
    by_loop.append(w)

# %%
from fcn_from_scratch.training import SGD


class Ball:
    """A model that consists of one array of weights."""

    def __init__(self, weight):
        self.params = {"weight": np.array(weight, dtype=float)}
        self.grads = {"weight": np.zeros_like(self.params["weight"])}


def roll(start, gradient, steps, **settings):
    """Where a ball is at the start and after each step of SGD, on a landscape with this gradient."""
    ball = Ball(start)
    optimizer, path = SGD(ball, **settings), [np.array(start, dtype=float)]
    for _ in range(steps):
        ball.grads["weight"][...] = gradient(ball.params["weight"])
        optimizer.step()
        path.append(ball.params["weight"].copy())
    return np.array(path)


# %%
by_package = roll([1.0], lambda w: w, steps=3, lr=0.5, momentum=0.5)
check("the loop takes the steps computed by hand", by_loop == steps_by_hand)
check("so does the package", np.array_equal(by_package[1:, 0], steps_by_hand))

# %% [markdown]
# ## What momentum is good for
# The landscape of a loss often looks like a narrow valley: steep across, flat along. The steep side
# limits the rate, for with a larger one the ball jumps from wall to wall, higher each time. Along
# the valley this rate is tiny. Momentum helps: pushes across the valley change their sign and
# cancel, pushes along it add up. The price is that the ball swings.
#
# Under a steady push g the velocity grows until it loses as much as it gains: `V = momentum * V +
# lr * g`, that is, `V = lr * g / (1 - momentum)`. **With the usual 0.9 the steps become ten times
# as long.**

# %%
steepness = np.array([1.0, 25.0])  # along the valley, across it
start = [-10.0, 2.0]
plain = roll(start, lambda w: steepness * w, steps=60, lr=0.03, momentum=0)
rolling = roll(start, lambda w: steepness * w, steps=60, lr=0.03, momentum=0.9)
steady = roll([0.0], lambda w: np.ones(1), steps=200, lr=0.03, momentum=0.9)
last_step = float(steady[-2, 0] - steady[-1, 0])

left_plain, left_rolling = np.hypot(*plain[-1]), np.hypot(*rolling[-1])
print(f"distance from the bottom after 60 steps: plain {left_plain:.2f}, with momentum {left_rolling:.2f}")
check("with momentum the ball comes at least twice as near", left_rolling < left_plain / 2)
check("under a steady push, steps grow to ten times lr * g", abs(last_step - 10 * 0.03) < 1e-6)

# %%
from fcn_from_scratch.viz import COLOURS, new_figure, panels, save_figure

figure, ax = new_figure("Sixty steps down a narrow valley, with the same learning rate", width=7.4, height=3.0)
x, y = np.meshgrid(np.linspace(-11, 5, 200), np.linspace(-3, 3, 100))
ax.contour(x, y, np.sqrt(x**2 + 25 * y**2), levels=12, colors="#d5d5d5", linewidths=0.8)
for path, colour, name in (plain, COLOURS[0], "plain"), (rolling, COLOURS[1], "momentum 0.9"):
    ax.plot(*path.T, "o-", color=colour, markersize=3, linewidth=1, label=name)
ax.plot(0, 0, "+", color="#222222", markersize=12, label="bottom")
ax.set(xlabel="along the valley", ylabel="across", xlim=(-11, 5), ylim=(-3, 3))
ax.grid(False)
ax.legend(loc="lower right", fontsize=9)
save_figure(figure, "04_momentum")

# %% [markdown]
# ## Decay
# **Weight decay** adds `decay * w` to the gradient: a spring that pulls each weight towards zero.
# It is the gradient of `decay/2 * w*w`, so it is as if large weights cost something. In a bowl
# around 1, spring and slope balance at `1 - w = decay * w`. Where a weight does nothing for the
# loss, the spring alone is left and the weight fades away.
#
# The paper takes momentum 0.9 and a decay of 5e-4 or 2e-4. Biases learn at twice the rate; in the
# authors' code they have no decay. `SGD` does this for every parameter whose name ends in `.bias`.

# %%
bowl = roll([0.0], lambda w: w - 1, steps=300, lr=0.1, weight_decay=0.25)
useless = roll([1.0], np.zeros_like, steps=300, lr=0.1, weight_decay=0.25)
check("with decay 1/4 the ball rests at 1/(1 + 1/4) = 4/5", abs(bowl[-1, 0] - 4 / 5) < 1e-6)
check("a weight that nothing depends on fades away", abs(useless[-1, 0]) < 1e-3)

# %% [markdown]
# # Pictures with one thing
# Now something to learn. The package draws scenes of balloons, squares, triangles, rings and
# crosses. We ask for scenes with **one** thing, and cut out the 32 x 32 pixels around it. Things
# that touch the border of the scene, or are larger than the cut, are left out. The *outline*
# decides the class. Colour and pattern say nothing about it.
#
# The scenes come with one label per pixel, for segmentation. A classifier needs one per picture. So
# we give all pixels of a cut the class of its thing, and read the label off any one of them.

# %%
from fcn_from_scratch import datasets


def cut(scene):
    """The 32 x 32 pixels around the thing in a scene, all of one label; None if it is not there as a whole."""
    rows, columns = np.nonzero(scene.labels)  # the thing and the rim of label 255 around it
    if len(rows) == 0:
        return None
    first, last = np.array([rows.min(), columns.min()]), np.array([rows.max(), columns.max()])
    if first.min() == 0 or last.max() == 63 or (last - first).max() > 31:
        return None
    i, j = np.clip((first + last) // 2 - 15, 0, 32)
    thing = scene.labels[scene.labels % 255 > 0]  # neither background, 0, nor rim, 255
    labels = np.full((32, 32), thing[0] - 1)  # 0 balloon, 1 square, ...: there is no background now
    return datasets.Sample(scene.image[i : i + 32, j : j + 32], labels, scene.name)


# %%
def pictures(split, scenes):
    """The cuts from that many scenes."""
    drawn = datasets.build("shapes", split=split, count=scenes, size=64, things=1)
    return [one for one in map(cut, drawn) if one is not None]


classes = datasets.build("shapes").classes[1:]
train, test = pictures("train", 5000), pictures("test", 1000)
truth = np.array([one.labels[0, 0] for one in test])
count = np.bincount([one.labels[0, 0] for one in train])
print(len(train), "pictures to learn from:", dict(zip(classes, count.tolist())))
print(len(test), "held out")
always = np.bincount(truth).max() / len(truth)
check("whoever always says the same is right less than 3 times in 10", always < 0.3, f"{always:.2f}")

# %%
rows = [[one.image for one in train if one.labels[0, 0] == c][:8] for c in range(5)]
figure = panels(rows, row_titles=classes, size=0.85, caption="The outline is the class; colour says nothing")
save_figure(figure, "04_pictures")

# %% [markdown]
# **Held out** means that these pictures take no part in training, nor in any choice. The settings
# below were chosen with a third split, "val".
#
# # The network, and its first loss
# `mini_classifier` has VGG's shape with few channels: five times convolution, ReLU, max-pool, then
# three fully connected layers fc6, fc7, fc8. Five pools halve 32 pixels to one. It has about 56,000
# weights. They start as random numbers of variance 2 / (number of inputs). That is He's rule: ReLU
# throws away half of the signal, the 2 makes up for it, and so the signal neither dies nor explodes
# on its way through the layers.
#
# ## Predict
# This network has seen nothing yet. Is its loss ln 5 = 1.61, or more, or less?

# %%
from fcn_from_scratch import models
from fcn_from_scratch.datasets import collate


def batch(net, some):
    """Pictures as the network wants them, and one label for each: x (N, 3, 32, 32), labels (N,)."""
    x, labels = collate([net.transform(one.image) for one in some], [one.labels for one in some])
    return x, labels[:, 0, 0]


net = models.build("mini_classifier", num_classes=5, fc6_kernel=1, width=8, seed=0).eval()
x, labels = batch(net, train)
scores = net(x)
loud, _ = softmax_cross_entropy(scores, labels)
print(f"loss {loud:.2f} = {loud / np.log(5):.2f} * ln 5, spread of the scores {scores.std(axis=1).mean():.2f}")
check("a fresh network is worse than one that knows nothing", loud > 1.25 * np.log(5))

# %% [markdown]
# It knows nothing, but it does not say so. He's rule keeps the *size* of the signal. Inside the
# network that is right. At the end it gives scores that lie about two apart, and that is a strong
# opinion: exp(2) means seven to one. A random opinion is worse than none.
#
# How much worse? Let every one of the C classes be the label once, and average the loss. Exercise 3
# shows that the result is never below ln C. For small scores it is **ln C + half the variance of
# the scores** among the classes. Make fc8 ten times smaller, and the excess becomes a hundred times
# smaller. (The paper starts its score layer from exactly zero. Lesson 11 shows what happens to the
# first gradient then.)

# %%
net.params["fc8.weight"][...] *= 0.1
quiet_scores = net(x)
quiet, _ = softmax_cross_entropy(quiet_scores, labels)
any_label = np.mean([softmax_cross_entropy(quiet_scores, np.full(len(x), c))[0] for c in range(5)])
excess, half_variance = any_label - np.log(5), quiet_scores.var(axis=1).mean() / 2
print(f"loss {quiet:.4f} = {quiet / np.log(5):.3f} * ln 5")
print(f"excess over all labels {excess:.5f}, half the variance {half_variance:.5f}")
check("with a quiet last layer the first loss is ln 5, within 5 %", abs(quiet / np.log(5) - 1) < 0.05)
check("the excess is half the variance of the scores", abs(excess / half_variance - 1) < 0.1)

# %% [markdown]
# Look at the first loss before you start a long run. Far above ln C, the network shouts: weights or
# inputs are too large. Far below, it knows what it cannot know yet: perhaps almost all labels are
# the same, or the answer leaks into the input.
#
# # A small set, by heart
# The next test costs a second. Train on twenty pictures only. There are 56,000 weights for them, so
# the loss can go to zero, and should. If it does not, a gradient is wrong or missing, or the rate
# is too large. We do it twice: with the true labels, and with the same labels in a random order.


# %%
class OneLabel(datasets.Batches):
    """Batches (x, labels) for training, with one label a picture in place of one a pixel."""

    def __next__(self):
        x, labels = super().__next__()
        return x, labels[:, 0, 0]


def new_net(seed, dropout=0.0):
    """A fresh classifier with a quiet last layer."""
    net = models.build("mini_classifier", num_classes=5, fc6_kernel=1, width=8, dropout=dropout, seed=seed)
    net.params["fc8.weight"][...] *= 0.1
    return net


# %%
def answers(net, some):
    """The class with the highest score, for each picture."""
    net.eval()  # no dropout, and nothing is kept for a backward
    called = net(batch(net, some)[0]).argmax(axis=1)
    net.train()
    return called


def accuracy(net, some):
    """The part of the pictures that are called by their label."""
    return float((answers(net, some) == [one.labels[0, 0] for one in some]).mean())


# %% [markdown]
# `Trainer` is the circle of the first cell. One `step()` clears the gradients, takes the next
# batch, goes forward to the loss and backward to the gradients, and lets `SGD` move the weights.
# Here the whole set is one batch.

# %%
from fcn_from_scratch.training import Trainer

twenty = train[:20]
order = np.random.default_rng(4).permutation(20)
shuffled = [one._replace(labels=twenty[k].labels) for one, k in zip(twenty, order)]
small = {}
for name, some in ("true labels", twenty), ("shuffled labels", shuffled):
    net = new_net(seed=0)
    trainer = Trainer(net, SGD(net, lr=0.005), OneLabel(some, 20, net.transform)).run(80, progress=False)
    small[name] = trainer.losses, accuracy(net, some), accuracy(net, test)
    print(f"{name:15}: loss {trainer.losses[-1]:.4f}, right {small[name][1]:.2f}, held out {small[name][2]:.2f}")

# %%
moved = sum(int(a.labels[0, 0] != b.labels[0, 0]) for a, b in zip(twenty, shuffled))
(losses, right, held), (hat_losses, hat_right, hat_held) = small.values()
check("the small set is learned to 100 %", right == 1 and losses[-1] < 0.05)
check("with labels from a hat as well", hat_right == 1 and hat_losses[-1] < 0.05, f"{moved} of 20 are wrong")
check("of other pictures neither network knows much", held < 0.5 and hat_held < 0.4)

# %%
figure, axes = new_figure("Twenty pictures are learned by heart, whatever their labels say", 1, 2, 7.4, 3.1)
for k, (name, (losses_of, on_twenty, on_test)) in enumerate(small.items()):
    axes[0].plot(losses_of, color=COLOURS[k], label=name)
    bars = axes[1].bar(np.arange(2) + 0.36 * (k - 0.5), [on_twenty, on_test], 0.32, color=COLOURS[k])
    axes[1].bar_label(bars, fmt="%.2f", padding=2, fontsize=9)
axes[0].axhline(np.log(5), color="#999999", linestyle=":")
axes[0].text(80, np.log(5) * 1.15, "ln 5", ha="right", fontsize=9)
axes[0].set(xlabel="step", ylabel="loss", yscale="log", ylim=(1e-4, 5))
axes[0].legend(loc="lower left", frameon=False, fontsize=9)
axes[1].axhline(0.2, color="#999999", linestyle=":")
axes[1].text(0.5, 0.22, "chance", ha="center", fontsize=9)
axes[1].set_xticks(range(2), ["the twenty", "held out"])
axes[1].set(ylabel="accuracy", ylim=(0, 1.12))
axes[1].grid(axis="x", visible=False)
save_figure(figure, "04_by_heart")

# %% [markdown]
# So question 2 has the answer: all twenty. A perfect score on the training set shows that the loop
# is closed and the gradients arrive. It does not show that they are exact, for a slightly wrong one
# goes downhill too; that is what lesson 3 was for. And it shows nothing about seeing: only held-out
# pictures can do that.
#
# # Learning
# The full set now, in batches of 24. The rate falls from 0.03 to zero: large steps at first, then
# ever smaller ones to settle. *Dropout* sets a random tenth of the values after fc6 and fc7 to
# zero, other ones at each step, so that the network does not rely on any single value. We save a
# checkpoint every 50 steps; you will see why.

# %%
from pathlib import Path
from tempfile import TemporaryDirectory

from fcn_from_scratch.training import checkpoint, polynomial

STEPS = 700
temporary = TemporaryDirectory()


def new_trainer(seed):
    """A fresh network with all it needs for learning."""
    net = new_net(seed, dropout=0.1)
    optimizer = SGD(net, polynomial(0.03, STEPS), momentum=0.9, weight_decay=5e-4)
    return Trainer(net, optimizer, OneLabel(train, 24, net.transform, seed=seed))


def file(name):
    return Path(temporary.name) / f"{name}.npz"


# %%
from time import perf_counter, process_time

trainer = new_trainer(seed=0)
net, first_filters = trainer.model, trainer.model.params["conv1_1.weight"].copy()
started = perf_counter(), process_time()
history = {0: accuracy(net, test)}
for stop in range(50, STEPS + 1, 50):
    trainer.run(stop, progress=False)
    checkpoint.save(file(stop), trainer)
    history[stop] = accuracy(net, test)
    print(f"step {stop}: loss {np.mean(trainer.losses[-50:]):.3f}, held-out accuracy {history[stop]:.3f}")
seconds = min(perf_counter() - started[0], process_time() - started[1])  # others may use the machine too

# %%
learned = history[STEPS]
check("held-out accuracy is above .9", learned > 0.9, f"{learned:.3f}")
check("within 30 s", seconds < 30, f"{seconds:.0f} s")

# %%
figure, axes = new_figure("Seen 24 at a time, the training set teaches something general", 1, 2, 7.4, 3.1)
axes[0].plot(trainer.losses, color=COLOURS[0], alpha=0.35, linewidth=0.8, label="each batch")
smooth = np.convolve(trainer.losses, np.ones(25) / 25, "valid")
axes[0].plot(np.arange(12, 12 + len(smooth)), smooth, color=COLOURS[0], label="mean over 25 steps")
axes[0].axhline(np.log(5), color="#999999", linestyle=":")
axes[0].text(250, np.log(5) + 0.04, "ln 5", fontsize=9)
axes[0].set(xlabel="step", ylabel="loss on the training set", ylim=(0, 2.1))
axes[0].legend(loc="upper right", frameon=False, fontsize=9)
axes[1].plot(list(history), list(history.values()), "o-", color=COLOURS[1], markersize=4)
axes[1].axhline(0.2, color="#999999", linestyle=":")
axes[1].text(STEPS, 0.22, "chance", ha="right", fontsize=9)
axes[1].set(xlabel="step", ylabel="accuracy on held-out pictures", ylim=(0, 1))
save_figure(figure, "04_learning")

# %% [markdown]
# The loss begins at ln 5 and stays there for a while: a quiet last layer also hands small gradients
# to the layers below it. Then they find something that tells classes apart, and all goes quickly.
#
# ## What it mistakes
# Here is lesson 1's confusion matrix, with pictures in place of pixels.

# %%
from fcn_from_scratch.metrics import ConfusionMatrix

called = answers(net, test)
confusion = ConfusionMatrix(5).update(truth, called)
wrong = np.flatnonzero(called != truth)
print(confusion.table(classes))
on_diagonal = int(np.trace(confusion.matrix))
check("the diagonal holds the pictures that are right", on_diagonal == len(test) - len(wrong))

# %%
titles = ["number of held-out pictures", "some mistakes, and what they were called"]
figure, axes = new_figure("Most pictures are on the diagonal", 1, 2, width=7.4, height=3.7, titles=titles)
axes[0].imshow(confusion.matrix, cmap="Blues", vmax=1.6 * confusion.matrix.max())
for (i, j), number in np.ndenumerate(confusion.matrix):
    axes[0].text(j, i, number, ha="center", va="center", color="#222222" if number else "#aaaaaa")
axes[0].set_xticks(range(5), classes, rotation=30)
axes[0].set_yticks(range(5), classes)
axes[0].set(xlabel="called", ylabel="true")
axes[0].grid(False)

# %%
for place, k in enumerate(wrong[:9]):
    i, j = divmod(place, 3)
    axes[1].imshow(test[k].image, extent=(40 * j, 40 * j + 32, -42 * i - 32, -42 * i))
    axes[1].text(40 * j + 16, -42 * i - 33, classes[called[k]], ha="center", va="top", fontsize=9)
axes[1].set(xlim=(0, 112), ylim=(-126, 0), aspect="equal")
axes[1].axis("off")
save_figure(figure, "04_confusion")

# %% [markdown]
# ## What the first layer learned
# conv1_1 has eight filters of 3 x 3 pixels and three colours. Each can be drawn as a tiny picture:
# grey is a weight of zero. (The network reads colours in the order blue, green, red. The figure
# turns them round.) Nine random pixels became patterns in which neighbours are more alike. Below
# each filter is its answer to one picture, bright where it is large. Some answer to edges, some to
# an area, some hardly at all.
#
# Are these changes worth anything? Put the filters of step 0 back into the trained network and see.


# %%
def roughness(filters):
    """How much neighbouring weights differ, compared with the size of the weights: 2 for pure noise."""
    down, right = np.diff(filters, axis=2), np.diff(filters, axis=3)
    return np.sqrt((down**2).mean() + (right**2).mean()) / np.sqrt((filters**2).mean())


last_filters = net.params["conv1_1.weight"].copy()
net.params["conv1_1.weight"][...] = first_filters
with_first = accuracy(net, test)
net.params["conv1_1.weight"][...] = last_filters
rough, smooth = roughness(first_filters), roughness(last_filters)
check("the filters became smoother", smooth < rough, f"{rough:.2f} to {smooth:.2f}")
check("with those of step 0, accuracy is lower by more than .1", learned - with_first > 0.1, f"{with_first:.3f}")


# %%
def drawn(filters):
    """Each filter as RGB, its largest weight in full colour."""
    return [(0.5 + 0.5 * f / abs(f).max()).transpose(1, 2, 0)[:, :, ::-1] for f in filters]


square = next(one for one in test if one.labels[0, 0] == classes.index("square"))
x, _ = batch(net, [square])
seen = net.children["relu1_1"](net.children["conv1_1"](x))[0]
rows = [[None, *drawn(first_filters)], [None, *drawn(last_filters)], [square.image, *seen]]
figure = panels(
    rows,
    row_titles=["step 0", f"step {STEPS}", "answer"],
    size=0.8,
    caption="The first layer's filters, and what they see",
)
save_figure(figure, "04_filters")

# %% [markdown]
# # Stopping and going on
# Real runs take days. Machines fail, so a run must be able to go on. What has to be kept? Look at
# what the next step depends on:
#
# - the **weights**;
# - the **velocities**, one number for each weight;
# - the **number of steps** so far, for the learning rate depends on it;
# - the **place in the data**: which pictures of this round have been used, and in what order the
#   rest will come;
# - the state of the **random generator** that draws the dropout.
#
# `checkpoint.save` writes all of it into one file. Here is the file of step 150.

# %%
arrays, meta = checkpoint.read(file(150))
weights = [name for name in arrays if name.startswith("model/")]
velocities = [name for name in arrays if name.startswith("velocity/")]
print(len(weights), "arrays of weights,", len(velocities), "of velocities,", len(arrays["losses"]), "losses")
print("steps:", meta["steps"], " generators:", *meta["generators"])
print("batches:", meta["batches"])
check("each weight has its velocity", [w[6:] for w in weights] == [v[9:] for v in velocities])

# %% [markdown]
# Now the test. We build everything anew, with another seed: other weights, other order, another
# generator. We load step 150 into it and go on to step 200. The run that was never interrupted left
# its own file of step 200. They should agree **bit for bit**. "Nearly" is not enough: a tiny
# difference grows at each step, and you could never tell it from a mistake.
#
# `forget` will be used below.


# %%
def resume(forget=()):
    """Load step 150 into a new run, forget some of it, go 50 steps on. Returns the run, its weights at each step."""
    again, path = new_trainer(seed=1), []
    checkpoint.load(file(150), again)
    for what in forget:
        what(again)
    for _ in range(50):
        again.step()
        path.append(np.concatenate([weight.ravel() for weight in again.model.params.values()]))
    return again, np.array(path)


# %%
resumed, true_path = resume()
checkpoint.save(file("resumed"), resumed)
(ours, our_meta), (theirs, their_meta) = checkpoint.read(file("resumed")), checkpoint.read(file(200))
same_arrays = ours.keys() == theirs.keys() and all(np.array_equal(ours[name], theirs[name]) for name in ours)
check("the resumed run has the same weights, velocities and losses, bit for bit", same_arrays)
check("the same place in the data, and the same generators", our_meta == their_meta)

# %% [markdown]
# (On one machine, that is. Another processor or another library may add up in another order, and
# then even two whole runs differ in the last digits.)
#
# # What could fool you
# Many programs save the weights and nothing else. It works, in a way: the loss goes on where it
# was, and nothing complains. Now we forget one thing at a time, and then all four.


# %%
# each of these makes a run forget one thing
def velocity(run):
    for array in run.optimizer.velocity.values():
        array[...] = 0


def steps(run):
    run.optimizer.steps = 0


def place(run):
    run.batches.epoch = run.batches.position = 0


def generator(run):
    for rng in run.model.generators().values():
        rng.bit_generator.state = np.random.default_rng(9).bit_generator.state


# %%
cases = {"velocity": [velocity], "number of steps": [steps], "place in the data": [place]}
cases |= {"generator": [generator], "all four": [velocity, steps, place, generator]}
forgetful, distance = {}, {}
for name, forget in cases.items():
    forgetful[name], path = resume(forget)
    distance[name] = np.linalg.norm(path - true_path, axis=1) / np.linalg.norm(true_path, axis=1)
    print(f"without {name:17}: weights off by {100 * distance[name][-1]:.0f} % after 50 steps")

# %% [markdown]
# Look at the run without its velocity, as a careful test would. The weights are loaded exactly. The
# first loss after the stop is right to the last bit, for the loss of a step is taken before the
# weights move. Both tests pass. The run is wrong all the same, from its first step on.

# %%
unbroken = trainer.losses[150:200]
ratio = np.mean(forgetful["all four"].losses[150:]) / np.mean(unbroken)
check("without velocity the first loss is still exact", forgetful["velocity"].losses[150] == unbroken[0])
check("but the first step is not", distance["velocity"][0] > 0)
check("whatever is forgotten, the weights soon differ", min(d[-1] for d in distance.values()) > 0.01)
check("yet with weights alone the loss looks as before", 2 / 3 < ratio < 3 / 2, f"{ratio:.2f} of it")

# %%
titles = ["loss, mean over 15 steps", "distance from the unbroken run's weights"]
figure, axes = new_figure("A forgetful run looks right, and is another run", 1, 2, 7.4, 3.4, titles=titles)
for k, (name, run) in enumerate({"unbroken": trainer, "weights alone": forgetful["all four"]}.items()):
    smooth_loss = np.convolve(run.losses[:200], np.ones(15) / 15, "valid")
    axes[0].plot(np.arange(15, 201), smooth_loss, color=COLOURS[5 * (1 - k)], zorder=3 - k, label=name)
axes[0].axvline(150, color="#999999", linestyle=":")
axes[0].text(148, 0.3, "stop", ha="right", fontsize=9)
axes[0].set(xlabel="step", ylim=(0, 2))
axes[0].legend(loc="lower left", frameon=False, fontsize=9)

# %%
for k, (name, values) in enumerate(distance.items()):
    axes[1].plot(np.arange(151, 201), 100 * values, color=COLOURS[k], label=f"without {name}")
axes[1].set(xlabel="step", ylabel="relative to their size", yscale="log", ylim=(0.03, 40))
axes[1].set_yticks([0.1, 1, 10], ["0.1 %", "1 %", "10 %"])
axes[1].text(151, 20, "nothing forgotten: exactly 0", fontsize=9)
axes[1].legend(loc="lower right", frameon=False, fontsize=9)
save_figure(figure, "04_resume")
temporary.cleanup()

# %% [markdown]
# So question 3: no, not with the weights alone. Is the other run a worse one? Often it is not. But
# you can no longer repeat it, and you can no longer tell a mistake in your program from bad luck.
#
# # What comes next
# This network says *what* is in a picture of 32 x 32 pixels. Nothing in its convolutions knows
# about 32, only fc6, fc7 and fc8 do. **Lesson 5** turns a classifier like this one into
# convolutions all the way, and it reads pictures of any size. **Lesson 11** gives it a new last
# layer and teaches it to say *where*: the classifier becomes a segmenter.
#
# # Exercises
# Answers, tested, are in `lessons/solutions/solution_04_classifier.py`.
#
# 1. **Trace.** (a) The scores are `0, 0, ln 2`, and class 2 is true. Write down the probabilities,
#    the loss and the gradient. (b) A layer has one weight and one bias, both 1, and both have the
#    gradient 1 at every step. The rate is 1/4, the momentum 1/2, the decay 1. Where are they after
#    two steps? Remember what `SGD` does with biases.
# 2. **Change.** PyTorch keeps the rate out of the velocity: `V = momentum * V + gradient` and
#    `w = w - lr * V`. Write it. Show that on the narrow valley it takes the same steps as `SGD`
#    while the rate is constant, and that the two differ once it drops to a tenth. Which one goes
#    further in the steps after the drop?
# 3. **Prove.** Let every class be the label once and average the cross-entropy of the same scores
#    over the C labels. Show that the result is at least ln C, and that only equal scores reach it.
#    Then show that for small scores it is about ln C + half their variance.

# %% [markdown]
# # Claims

# %%
ROUNDING = "1e-12: a few operations in float64"
claims(
    [
        ("cross-entropy by hand", abs(loss - np.log(4)) < 1e-12, ROUNDING),
        ("its gradient: probability minus truth", abs(dscores[0] - gradient_by_hand).max() < 1e-12, ROUNDING),
        ("three steps by hand", np.array_equal(by_package[1:, 0], steps_by_hand), "exact: halves and quarters"),
        ("momentum 0.9: ten times the step", abs(last_step - 0.3) < 1e-6, "1e-6: 0.9**200 is 1e-9"),
        ("momentum comes twice as near", left_rolling < left_plain / 2, "wide: the factor is above 3"),
        ("decay 1/4 rests at 4/5", abs(bowl[-1, 0] - 4 / 5) < 1e-6, "1e-6: 300 steps are enough"),
        ("five equal scores cost ln 5", abs(undecided - np.log(5)) < 1e-12, ROUNDING),
        ("a loud last layer costs more", loud > 1.25 * np.log(5), "wide: it costs about twice ln 5"),
        ("first loss = ln 5 within 5 %", abs(quiet / np.log(5) - 1) < 0.05, "5 %: the excess is about 2 %"),
        ("excess = half the variance", abs(excess / half_variance - 1) < 0.1, "10 %: higher orders"),
    ]
)

# %%
claims(
    [
        ("twenty pictures: 100 %", right == 1 and losses[-1] < 0.05, "exact; .05: the loss goes to zero"),
        ("labels from a hat: 100 % too", hat_right == 1, "exact: all are counted"),
        ("neither knows other pictures", max(held, hat_held) < 0.5, "wide: both are near chance, .2"),
        ("held-out accuracy > .9", learned > 0.9, ".96 here; four other seeds gave .93 to .98"),
        ("in less than 30 s", seconds < 30, "wide: a third of it on two quiet cores"),
        ("the first filters matter", learned - with_first > 0.1, "wide: other seeds lost .18 to .33"),
        ("they became smoother", smooth < rough, "a relation; about a tenth in all seeds tried"),
        ("a resumed run is the same run", same_arrays and our_meta == their_meta, "exact: bit for bit"),
        ("each thing forgotten changes it", min(d[-1] for d in distance.values()) > 0.01, "0 if it did not"),
        ("a forgetful loss looks right", 2 / 3 < ratio < 3 / 2, "wide: batches differ by more than that"),
    ]
)

# %% [markdown]
"""
# Lesson 4: Can a network made of these parts learn?

After this lesson you can compute a cross-entropy and its gradient by hand. You can say what
the first loss of a network must be, and tell a network that learns from one that only
memorises.

Readers who have trained a network can go straight to lesson 5. No later lesson needs the
appendix on checkpoints.

Needs: lessons 1 to 3 (the confusion matrix, convolution, gradients). Words: the
[glossary](../docs/glossary.md).

Runtime: 15 s on 2 cores
"""

# %% [markdown]
# ## The idea
# A classifier computes a **score** for each class and predicts the class with the largest
# one. *Softmax* turns scores into probabilities: it takes their exponentials and divides
# them by their sum. The loss is the *cross-entropy*: minus the logarithm of the probability
# of the true class. Here class 1 is true:
#
#     class             0      1      2
#     score            ln 1   ln 2   ln 5
#     exponential       1      2      5       sum 8
#     probability      1/8    2/8    5/8      loss = -ln(2/8) = ln 4

# %% [markdown]
# ## Predict
# 1. A network that knows nothing gives five classes the same score. What is its loss?

# %%
import numpy as np

from fcn_from_scratch.course import check, claims, seed

SEED = seed()
rng = np.random.default_rng([SEED, 4])
scores = np.log([1.0, 2.0, 5.0])
true_class = 1
loss_by_hand = np.log(4)

# %% [markdown]
# ## The loss
# ### By hand
# Let $s_c$ be the score of class $c$. The probability of class $c$, and the loss when class
# 1 is true, are
#
# $$
# p_c = \frac{e^{s_c}}{e^{s_0} + e^{s_1} + e^{s_2}}, \qquad
#   \text{loss} = -\ln p_1 = \ln (e^{s_0} + e^{s_1} + e^{s_2}) - s_1
# $$
#
# The derivative of the logarithm with respect to $s_0$ is $e^{s_0}$ divided by the sum,
# which is the probability of class 0. The derivatives with respect to the other scores have
# the same form, and the last term subtracts 1 for the true class. So the gradient is
# **probability minus truth**:
#
#     probability      1/8    2/8    5/8
#     truth             0      1      0
#     gradient         1/8   -6/8    5/8

# %%
gradient_by_hand = np.array([1, -6, 5]) / 8

# %% [markdown]
# ### With a loop, and with the package
# The loop changes one score at a time, as in lesson 3. `softmax_cross_entropy` takes scores
# `(N, C)` and gives the mean loss over the N pictures and its gradient. With scores `(N, C,
# H, W)` it takes the mean over all *pixels*.

# %%
from fcn_from_scratch.ops import softmax_cross_entropy


def cross_entropy(scores, label):
    """Minus the logarithm of the label's probability."""
    return np.log(sum(np.exp(s) for s in scores)) - scores[label]


eps, by_loop = 1e-5, np.zeros(3)
for c in range(3):
    step = np.eye(3)[c] * eps
    change = cross_entropy(scores + step, true_class) - cross_entropy(
        scores - step, true_class
    )
    by_loop[c] = change / (2 * eps)

loss, dscores = softmax_cross_entropy(scores[None], np.array([true_class]))
undecided, _ = softmax_cross_entropy(np.zeros((1, 5)), np.array([2]))
check("the loss by hand is the package's", abs(loss - loss_by_hand) < 1e-12)
check("so is the gradient", abs(dscores[0] - gradient_by_hand).max() < 1e-12)
check("the loop agrees", abs(by_loop - gradient_by_hand).max() < 1e-8)
check("five equal scores cost ln 5", abs(undecided - np.log(5)) < 1e-12, f"{undecided:.2f}")

# %% [markdown] tags=["answer"]
# > **Prediction 1.** It is ln 5 = 1.61 for any label: every class gets the probability 1/5.

# %% [markdown]
# ## The step
# Plain gradient descent subtracts `lr * gradient` from each weight; `lr` is the *learning
# rate*. With *momentum* each weight has a velocity $V$, in which earlier gradients continue
# to act:
#
#     V = momentum * V + lr * gradient
#     w = w - V
#
# Example: the loss $w^2 / 2$ has the gradient $w$. The weight starts at 1, and rate and
# momentum are 1/2.
#
#     step   gradient          V                     w
#      1        1       0       + 1/2 * 1   = 1/2    1/2
#      2       1/2      1/2*1/2 + 1/2 * 1/2 = 1/2     0
#      3        0       1/2*1/2 + 1/2 * 0   = 1/4   -1/4
#
# In step 3 the gradient is zero, but the weight still moves. If the gradient is constant,
# $V$ grows until
#
# $$
# V = \frac{\text{lr} \cdot \text{gradient}}{1 - \text{momentum}}
# $$
#
# **With the usual momentum of 0.9, steps become ten times as long.**

# %%
from fcn_from_scratch.training import SGD


class OneArray:
    """A model of one array of weights: SGD needs no more than these two dicts."""

    def __init__(self, weight):
        self.params = {"weight": np.array(weight, dtype=float)}
        self.grads = {"weight": np.zeros_like(self.params["weight"])}


def descend(start, gradient, steps, **settings):
    """The weights at the start and after each step of SGD, for one loss's gradient."""
    model = OneArray(start)
    optimizer, path = SGD(model, **settings), [np.array(start, dtype=float)]
    for _ in range(steps):
        model.grads["weight"][...] = gradient(model.params["weight"])
        optimizer.step()
        path.append(model.params["weight"].copy())
    return np.array(path)


three_steps = descend([1.0], lambda w: w, steps=3, lr=0.5, momentum=0.5)[1:, 0]
steady = descend([0.0], lambda w: np.ones(1), steps=200, lr=0.03, momentum=0.9)
last_step = float(steady[-2, 0] - steady[-1, 0])
by_hand = [1 / 2, 0, -1 / 4]
check("the package takes the steps computed by hand", np.array_equal(three_steps, by_hand))
check("a constant gradient: steps grow to ten times", abs(last_step - 10 * 0.03) < 1e-6)

# %% [markdown]
# What is it good for? A loss is often steep in one direction and flat in another. The steep
# direction limits the learning rate (here to 2/25), and a careful rate makes plain descent
# slow in the flat direction. With momentum, gradients that change their sign cancel, and
# gradients of equal sign add up.

# %%
steepness = np.array([1.0, 25.0])  # along the valley, across it
start = [-10.0, 2.0]
slow = descend(start, lambda w: steepness * w, steps=60, lr=0.03, momentum=0)
fast = descend(start, lambda w: steepness * w, steps=60, lr=0.03, momentum=0.9)
left_slow, left_fast = np.hypot(*slow[-1]), np.hypot(*fast[-1])
quarter = left_fast / left_slow
print(f"distance after 60 steps: plain {left_slow:.2f}, with momentum {left_fast:.2f}")
check("without momentum, 10 * .97**60 remains", abs(left_slow - 10 * 0.97**60) < 1e-9)
check("with momentum, about a quarter of that", 0.2 < quarter < 0.3, f"{quarter:.2f}")

# %% [markdown]
# Two more settings of a step occur in later lessons. *Warm-up* makes the first steps
# shorter: in the first 20 steps, `warm_up(rate, 20)` rises from near zero to `rate`.
# *Weight decay* adds `decay * w` to the gradient, so that weights stay small. For the loss
# $(w - 1)^2 / 2$, the weight stops where both parts cancel: $1 - w = \text{decay} \cdot w$.
# The paper uses momentum 0.9 and a decay of 5e-4 or 2e-4, and its biases learn at twice the
# rate (section 4.3). So do they in `SGD`; there, as in the authors' code, they have no
# decay.

# %%
balanced = descend([0.0], lambda w: w - 1, steps=300, lr=0.1, weight_decay=0.25)
stopped = balanced[-1, 0]
check("with decay 1/4 the weight stops at 1/(1 + 1/4) = 4/5", abs(stopped - 4 / 5) < 1e-6)

# %% [markdown]
# ## Pictures with one thing
# The package draws scenes of balloons, squares, triangles, rings and crosses. We cut out
# the 32 x 32 pixels around a single thing. Its outline gives its class. Its colour does not
# matter.
#
# The test pictures are *held out*: they are not used for training.

# %%
from fcn_from_scratch import datasets


def cut(scene):
    """The 32 x 32 pixels around the thing of a scene; None if a part of it is missing."""
    rows, columns = np.nonzero(scene.labels)  # the thing and the void border around it
    if len(rows) == 0:
        return None
    first, last = np.array([[rows.min(), columns.min()], [rows.max(), columns.max()]])
    if first.min() == 0 or last.max() == 63 or (last - first).max() > 31:
        return None
    i, j = np.clip((first + last) // 2 - 15, 0, 32)
    thing = scene.labels[scene.labels % 255 > 0]  # neither background, 0, nor void, 255
    labels = np.full((32, 32), thing[0] - 1)  # 0 balloon, 1 square, ...: no background now
    return datasets.Sample(scene.image[i : i + 32, j : j + 32], labels, scene.name)


def pictures(split, scenes):
    """The cuts from that many scenes."""
    options = {"split": split, "count": scenes, "size": 64, "things": 1, "seed": SEED}
    drawn = datasets.build("shapes", **options)
    return [one for one in map(cut, drawn) if one is not None]


# %%
classes = datasets.build("shapes").classes[1:]
train, test = pictures("train", 5000), pictures("test", 800)
truth = np.array([one.labels[0, 0] for one in test], np.intp)
always = np.bincount(truth).max() / len(truth)
repeated = {one.image.tobytes() for one in train} & {one.image.tobytes() for one in test}
print(len(train), "pictures to learn from,", len(test), "held out")
check("no picture is in both sets", not repeated)
check(
    "a constant prediction is right for 1 to 3 of 10", 0.1 < always < 0.35, f"{always:.2f}"
)

# %% [markdown]
# ## The network, and its first loss
# `mini_classifier` has VGG's structure with few channels: five times convolution, ReLU and
# max-pool, then three fully connected layers fc6, fc7, fc8. Its 56,000 weights start as
# random numbers of variance 2 / (number of inputs). This is the rule of He et al. (2015).
# With it, the values keep about the same size from layer to layer.
#
# ### Predict
# 2. This network has not been trained yet. Is its loss ln 5 = 1.61, or less, or more?

# %%
from fcn_from_scratch import models
from fcn_from_scratch.datasets import collate


def batch(net, some):
    """Pictures as the network takes them, x (N, 3, 32, 32), and labels (N,)."""
    images, labels = (
        [net.transform(one.image) for one in some],
        [one.labels for one in some],
    )
    x, labels = collate(images, labels)
    return x, labels[:, 0, 0]


def first_loss(net, last_layer=1.0):
    """What an untrained network costs, on 200 pictures. `last_layer` is a factor on fc8.

    Returns: its loss, divided by ln 5; the excess over ln 5 if each class is the label
    once; half the variance of the scores.
    """
    net.params["fc8.weight"][...] *= last_layer
    x, labels = batch(net, train[:200])
    scores = net.eval()(x)
    loss = softmax_cross_entropy(scores, labels)[0]
    each = [softmax_cross_entropy(scores, np.full(len(x), c))[0] for c in range(5)]
    return loss / np.log(5), np.mean(each) - np.log(5), scores.var(axis=1).mean() / 2


def fresh(seed, dropout=0.0):
    options = {"num_classes": 5, "fc6_kernel": 1, "width": 8, "dropout": dropout}
    return models.build("mini_classifier", seed=seed, **options)


seeds = range(100 * SEED, 100 * SEED + 10)
loud = np.array([first_loss(fresh(k)) for k in seeds])
print(
    "first losses of ten networks, divided by ln 5:", *(f"{one:.2f}" for one in loud[:, 0])
)
twice = loud[:, 0].mean()
params = fresh(SEED).params
number = sum(array.size for array in params.values())
variance = params["conv5_1.weight"].var() * params["conv5_1.weight"][0].size
check("each fresh network has a larger loss than equal scores", loud[:, 0].min() > 1)
check("on average it is about twice as large", 1.3 < twice < 3, f"{twice:.2f} * ln 5")
check("the network has about 56,000 weights", number == 56_261)
check("their variance is 2 / inputs, by He's rule", 1.9 < variance < 2.1, f"{variance:.2f}")

# %% [markdown] tags=["answer"]
# > **Prediction 2.** It is more, on average about twice ln 5. The scores of an untrained
# > network differ, so it prefers one class strongly and without a reason. This gives a
# > larger loss than equal scores.

# %% [markdown]
# How much larger is it? Let each of the $C$ classes be the label once, and average the
# loss. For small scores the result is $\ln C$ **plus half the variance of the scores**
# among the classes (exercise 3). If we make fc8 ten times smaller, the variance becomes a
# hundred times smaller. (The paper starts its last layer with zeros, see lesson 11.)

# %%
small_start = [first_loss(fresh(k), last_layer=0.1) for k in seeds]
quiet, excess, half_variance = np.mean(small_start, axis=0)
smaller = loud[:, 2].mean() / half_variance
print(
    f"first loss {quiet:.3f} * ln 5, excess {excess:.4f}, half variance {half_variance:.4f}"
)
check("the variance became a hundred times smaller", abs(smaller - 100) < 0.1)
check("with a smaller last layer the first loss is ln 5, within 5 %", abs(quiet - 1) < 0.05)
check("the excess is half the variance", abs(excess / half_variance - 1) < 0.1)

# %% [markdown]
# Look at the first loss before a long run. If it is far above ln C, the weights or the
# inputs are too large. It should not be far below ln C either, because an untrained network
# cannot know the labels. If it is, the loss may be divided by too large a number, or the
# network may have been trained before.
#
# ## What could fool you: a small set, learned by heart
# To learn by heart is to remember each picture with its label, without a rule for other
# pictures. Make this test before the long run: train on twenty pictures only. The network
# has 56,000 weights for them, so the loss should go to zero. If it does not, a gradient is
# wrong or missing, or the learning rate is too large. We train twice: with the true labels,
# and with the same labels in a random order.
#
# ### Predict
# 3. Twenty pictures get random labels. After training on them, how many of the twenty can a
#    network get right?


# %%
from fcn_from_scratch.training import Trainer, polynomial


class OneLabel(datasets.Batches):
    """Batches (x, labels) with one label for each picture instead of one for each pixel."""

    def __next__(self):
        x, labels = super().__next__()
        return x, labels[:, 0, 0]


def new_net(seed, dropout=0.0):
    """A fresh classifier with a small last layer."""
    net = fresh(seed, dropout)
    net.params["fc8.weight"][...] *= 0.1
    return net


def predictions(net, some):
    """The class with the largest score, for each picture."""
    net.eval()  # no dropout, and nothing is kept for a backward
    predicted = net(batch(net, some)[0]).argmax(axis=1)
    net.train()
    return predicted


def accuracy(net, some):
    """The part of the pictures whose predicted class is their label."""
    return float((predictions(net, some) == [one.labels[0, 0] for one in some]).mean())


# %%
twenty, order = train[:20], rng.permutation(20)
shuffled = [one._replace(labels=twenty[k].labels) for one, k in zip(twenty, order)]
by_heart = {}
for name, some in ("true labels", twenty), ("random labels", shuffled):
    net = new_net(SEED)
    batches = OneLabel(some, 20, net.transform, seed=SEED)
    found = Trainer(net, SGD(net, lr=0.005), batches).run(80, progress=False).losses
    by_heart[name] = found, accuracy(net, some), accuracy(net, test)
    on_twenty, on_test = by_heart[name][1:]
    print(f"{name}: loss {found[-1]:.4f}, right {on_twenty:.2f}, held out {on_test:.2f}")

# %%
moved = sum(int(a.labels[0, 0] != b.labels[0, 0]) for a, b in zip(twenty, shuffled))
(losses, right, held), (random_losses, random_right, random_held) = by_heart.values()
learned_all = right == 1 and 0 < losses[-1] < 0.05
learned_random = random_right == 1 and 0 < random_losses[-1] < 0.05
check("true labels of twenty pictures are learned: 20 of 20", learned_all)
check("random labels too: 20 of 20", learned_random, f"{moved} of them are wrong")
check("neither network knows other pictures well", max(held, random_held) < 0.5)
check("random labels teach nothing: chance is .2", 0.05 < random_held < 0.35)

# %% [markdown] tags=["answer"]
# > **Prediction 3.** It can get all twenty right: the weights can store any labels. If you
# > wrote 4, one in five, you thought of new pictures.

# %% [markdown]
# A perfect result on the training set shows that gradients reach the weights. It does not
# show that the gradients are exact, and it says nothing about other pictures.
#
# ## Learning
# Now the full set, in batches of 24. The rate falls from 0.04 to zero. *Dropout* sets a
# random tenth of the values after fc6 and fc7 to zero at each step, so that the network
# does not depend on any single value.

# %%
STEPS, BREAK, LATER = 600, 150, 170  # a checkpoint of step BREAK is for the appendix


def new_trainer(seed):
    """A fresh network with all that it needs for learning."""
    net = new_net(seed, dropout=0.1)
    optimizer = SGD(net, polynomial(0.04, STEPS), momentum=0.9, weight_decay=5e-4)
    return Trainer(net, optimizer, OneLabel(train, 24, net.transform, seed=seed))


# %%
from pathlib import Path
from tempfile import TemporaryDirectory

from fcn_from_scratch.training import checkpoint

temporary = TemporaryDirectory()
trainer = new_trainer(SEED)
net, first_filters = trainer.model, trainer.model.params["conv1_1.weight"].copy()
history = {0: accuracy(net, test)}
for stop in (75, BREAK, LATER, 240, 340, 460, STEPS):
    trainer.run(stop, progress=False)
    history[stop] = accuracy(net, test)
    recent = np.mean(trainer.losses[-30:])
    print(f"step {stop}: loss {recent:.3f}, held-out accuracy {history[stop]:.3f}")
    if stop in (BREAK, LATER):
        checkpoint.save(Path(temporary.name) / f"{stop}.npz", trainer)

learned = history[STEPS]
check("before training, held-out accuracy is near chance", 0.05 < history[0] < 0.35)
check("after it, it is above .9", 0.9 < learned <= 1, f"{learned:.3f}")

# %%
from fcn_from_scratch.metrics import ConfusionMatrix

predicted = predictions(net, test)
matrix = ConfusionMatrix(5).update(truth, predicted).matrix
check("the diagonal is the accuracy", abs(np.trace(matrix) / len(test) - learned) < 1e-12)

# %% [markdown]
# ### The first layer on a photograph
# conv1_1 has eight kernels of 3 x 3 pixels and three colours. It is a convolution, so it
# takes a photograph of any size. Some kernels respond to the blue wall and not to the face,
# others to the face and not to the wall. But this does not show that they were learned:
# random kernels do it too.

# %%
import matplotlib.cbook
from PIL import Image

from fcn_from_scratch.ops import conv2d, relu

file = matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)
photo = np.asarray(Image.open(file).convert("RGB").resize((256, 300)))


def first_layer(kernels, bias):
    """The maps (8, 300, 256) of the photograph."""
    return relu(conv2d(net.transform(photo)[None], kernels, bias, padding=1))[0]


def preferences(maps):
    """For each map, its mean at the wall divided by that at the face, and the inverse."""
    wall = maps[:, 20:100, 200:250].mean(axis=(1, 2))
    face = maps[:, 80:140, 90:170].mean(axis=(1, 2))
    return wall / (face + 1e-3), face / (wall + 1e-3)  # 1e-3: a mean response can be 0


last_filters = net.params["conv1_1.weight"].copy()
responses = first_layer(last_filters, net.params["conv1_1.bias"])
at_start = first_layer(first_filters, np.zeros(8, "float32"))
to_wall, to_face = preferences(responses)
random_to_face = preferences(at_start)[1]
check("a kernel responds to the wall ten times as much as to the face", to_wall.max() > 10)
check("another one to the face ten times as much as to the wall", to_face.max() > 10)
check("so does a random kernel of step 0", random_to_face.max() > 10)

# %% [markdown]
# A better question is: does the network need what its first kernels learned? We put the
# kernels of step 0 back into the trained network.

# %%
net.params["conv1_1.weight"][...] = first_filters
with_first = accuracy(net, test)
net.params["conv1_1.weight"][...] = last_filters
lost = learned - with_first
check(
    "with the kernels of step 0, accuracy is .15 to .6 lower",
    0.15 < lost < 0.6,
    f"{lost:.3f}",
)

# %% [markdown]
# So the later layers depend on the learned kernels. This does not show that a network with
# random kernels could not learn.

# %% [markdown]
# ## Appendix: checkpoints
# No later lesson needs this appendix. An interrupted run should continue as if nothing had
# happened. Its next step depends on
#
# - the **weights** and the **velocities**, one for each weight;
# - the **number of steps** so far, because the learning rate depends on it;
# - the **place in the data**: which pictures of this round have been used;
# - the state of the **random generator** that draws the dropout.
#
# `checkpoint.save` writes all of it into one file. We build a new run with another seed,
# load the file of step 150 into it and go on to step 170. It must agree **bit for bit**
# with the run that was not interrupted. (This holds on one machine. Another machine may add
# in another order.)
#
# ### Predict
# 4. Suppose that only the velocities are lost. How large is the difference of the first
#    loss after the break? And that of the weights after the first step?


# %%
def everything(run):
    """All weights of a run in one array."""
    return np.concatenate([weight.ravel() for weight in run.model.params.values()])


def resume(forget=()):
    """Load step BREAK into a new run, forget some of it, go on: the run, its weights."""
    again, path = new_trainer(SEED + 1), []
    checkpoint.load(Path(temporary.name) / f"{BREAK}.npz", again)
    for what in forget:
        what(again)
    for _ in range(LATER - BREAK):
        again.step()
        path.append(everything(again))
    return again, np.array(path)


# %%
resumed, true_path = resume()
checkpoint.save(Path(temporary.name) / "resumed.npz", resumed)
ours, our_meta = checkpoint.read(Path(temporary.name) / "resumed.npz")
theirs, their_meta = checkpoint.read(Path(temporary.name) / f"{LATER}.npz")
same_arrays = ours.keys() == theirs.keys() and all(
    np.array_equal(ours[name], theirs[name]) for name in ours
)
velocities = sum(name.startswith("velocity/") for name in ours)
check("each weight has its velocity in the file", velocities == len(net.params))
check("the resumed run has the same weights, velocities, losses, bit for bit", same_arrays)
check("the same place in the data, and the same generators", our_meta == their_meta)


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
    for own in run.model.generators().values():
        own.bit_generator.state = np.random.default_rng([SEED, 9]).bit_generator.state


# %%
cases = {"velocity": [velocity], "number of steps": [steps], "place in the data": [place]}
cases |= {"generator": [generator], "all four": [velocity, steps, place, generator]}
forgetful, distance, size = {}, {}, np.linalg.norm(true_path, axis=1)
for name, forget in cases.items():
    forgetful[name], path = resume(forget)
    distance[name] = np.linalg.norm(path - true_path, axis=1) / size
    print(f"without {name:17} weights off by {distance[name][-1]:.1%} at step {LATER}")
temporary.cleanup()

# %%
unbroken = trainer.losses[BREAK:LATER]
same_loss = forgetful["velocity"].losses[BREAK] == unbroken[0]
ratio = np.mean(forgetful["all four"].losses[BREAK:]) / np.mean(unbroken)
moved_by, last = distance["velocity"][0], [values[-1] for values in distance.values()]
differ = 0.02 < min(last) and max(last) < 0.5
check("without velocities the first loss differs by 0", same_loss)
check("the weights then differ by nearly 1 %", 0.003 < moved_by < 0.02, f"{moved_by:.1%}")
check("whatever is forgotten, the weights soon differ", differ)
check(
    "with weights alone the loss looks as before",
    2 / 3 < ratio < 3 / 2,
    f"{ratio:.2f} of it",
)

# %% [markdown] tags=["answer"]
# > **Prediction 4.** The first loss differs by 0, because it is computed before the weights
# > change. The weights then differ by nearly 1 % of their size. So a test that compares
# > only the loaded weights and one loss passes.

# %% [markdown]
# A run that forgot something is often not worse. But you cannot repeat it. And if its
# result differs, you cannot tell whether your program has a mistake or whether it is
# chance.

# %% [markdown]
# ## The drawings
# Within a row, the colours and the patterns differ, and the outline is the same.

# %%
from fcn_from_scratch import viz


def draw_pictures():
    """Eight training pictures of each class."""
    rows = [[one.image for one in train if one.labels[0, 0] == c][:8] for c in range(5)]
    caption = "The outline gives the class. The colour does not matter"
    figure = viz.panels(rows, row_titles=classes, size=0.85, caption=caption)
    viz.show(figure, "04_pictures")


draw_pictures()

# %% [markdown]
# Both losses go to zero. On held-out pictures both networks are not far from chance: with
# seed 0 they are right at .28 and .21 of them. Twenty pictures are too few.


# %%
def draw_by_heart():
    """Losses and accuracies with true and with random labels."""
    caption = "Twenty pictures are learned by heart, with true and with random labels"
    figure, (left, right) = viz.new_figure(caption, 1, 2, 7.4, 3.1)
    for k, (name, (losses_of, *accuracies)) in enumerate(by_heart.items()):
        left.plot(losses_of, color=viz.COLOURS[k], label=name)
        places = np.arange(2) + 0.36 * (k - 0.5)
        bars = right.bar(places, accuracies, 0.32, color=viz.COLOURS[k])
        right.bar_label(bars, fmt="%.2f", padding=2)
    left.axhline(np.log(5), color="#999999", linestyle=":")
    left.text(80, np.log(5) * 1.15, "ln 5", ha="right")
    left.set(xlabel="step", ylabel="loss on the twenty", yscale="log", ylim=(1e-4, 5))
    left.legend(loc="lower left")
    right.axhline(0.2, color="#999999", linestyle=":")
    right.text(0.5, 0.22, "chance", ha="center")
    right.set_xticks(range(2), ["the twenty", "held out"])
    right.set(ylabel="accuracy", ylim=(0, 1.12))
    right.grid(axis="x", visible=False)
    viz.show(figure, "04_by_heart")


draw_by_heart()

# %% [markdown]
# With the full set, the accuracy on held-out pictures rises while the loss falls.


# %%
def draw_learning():
    """The training loss and the held-out accuracy."""
    figure, (left, right) = viz.new_figure("Learning from the whole set", 1, 2, 7.4, 3.1)
    blue, orange = viz.COLOURS[:2]
    left.plot(trainer.losses, color=blue, alpha=0.35, linewidth=0.8, label="each batch")
    smooth = np.convolve(trainer.losses, np.ones(25) / 25, "valid")
    left.plot(12 + np.arange(len(smooth)), smooth, color=blue, label="mean over 25 steps")
    left.set(xlabel="step", ylabel="loss on the training set", ylim=(0, 2.1))
    left.legend(loc="upper right", frameon=False)
    right.plot(list(history), list(history.values()), "o-", color=orange, markersize=4)
    right.set(xlabel="step", ylabel="accuracy on held-out pictures", ylim=(0, 1))
    for ax, level, text in ((left, np.log(5), "ln 5"), (right, 0.2, "chance")):
        ax.axhline(level, color="#999999", linestyle=":")
        ax.text(STEPS, level * 0.98, text, ha="right", va="top")
    viz.show(figure, "04_learning")


draw_learning()

# %% [markdown]
# White squares mark the wall and the face. Each kernel is drawn in the corner of its map;
# grey is a weight of zero. A map is bright where its kernel responds. The kernels respond
# to colours, not to things: with seed 0, the flag and the ribbons are bright, too. The map
# of the random kernel is as clear as the learned ones, so clear maps prove no learning.


# %%
def draw_filters():
    """The photograph, and the maps of three kernels of the first layer."""
    titles = ["photograph", "a learned kernel for the wall"]
    titles += [
        "a learned kernel for the face",
        "a random kernel of step 0, also for the face",
    ]
    caption = "Kernels of the first layer respond to colours, before and after training"
    figure, axes = viz.new_figure(caption, 2, 2, width=6.2, height=7.4, titles=titles)
    axes[0, 0].imshow(photo)
    for top, left, height, width in ((20, 200, 80, 50), (80, 90, 60, 80)):
        viz.frame(axes[0, 0], top, left, height, width, "white")
    chosen = [(responses, last_filters, to_wall), (responses, last_filters, to_face)]
    chosen.append((at_start, first_filters, random_to_face))
    for ax, (maps, kernels, preference) in zip(axes.flat[1:], chosen):
        k = preference.argmax()
        ax.imshow(maps[k], cmap="gray", vmin=0, vmax=np.percentile(maps[k], 99.5))
        corner = ax.inset_axes([0.02, 0.72, 0.26, 0.26])
        weights = (0.5 + 0.5 * kernels[k] / abs(kernels[k]).max()).transpose(1, 2, 0)
        corner.imshow(weights[:, :, ::-1])  # BGR to RGB
        viz.bare(corner)
    viz.bare(axes)
    viz.show(figure, "04_filters")


draw_filters()

# %% [markdown]
# This is a confusion matrix as in lesson 1. It counts pictures instead of pixels.


# %%
def draw_confusion():
    """The confusion matrix of the held-out pictures, and nine mistakes."""
    titles = ["number of held-out pictures", "some mistakes, and what was predicted"]
    number = np.trace(matrix)
    caption = f"{number} of {len(test)} held-out pictures are predicted right: the diagonal"
    figure, (left, right) = viz.new_figure(caption, 1, 2, 7.4, 3.7, titles=titles)
    left.imshow(matrix, cmap="Blues", vmax=1.6 * matrix.max())
    for (i, j), number in np.ndenumerate(matrix):
        ink = "#222222" if number else "#767676"
        left.text(j, i, number, ha="center", va="center", color=ink)
    left.set_xticks(range(5), classes, rotation=30)
    left.set_yticks(range(5), classes)
    left.set(xlabel="predicted", ylabel="true")
    left.grid(False)
    for place, k in enumerate(np.flatnonzero(predicted != truth)[:9]):
        x, y = 40 * (place % 3), -42 * (place // 3)
        right.imshow(test[k].image, extent=(x, x + 32, y - 32, y))
        right.text(x + 16, y - 33, classes[predicted[k]], ha="center", va="top")
    right.set(xlim=(0, 112), ylim=(-126, 0), aspect="equal")
    viz.bare(right)
    viz.show(figure, "04_confusion")


draw_confusion()

# %% [markdown]
# With momentum the path swings from side to side, but it comes closer to the minimum.


# %%
def draw_momentum():
    """Two paths of sixty steps."""
    caption = "Sixty steps without and with momentum, at the same learning rate"
    figure, ax = viz.new_figure(caption, width=7.4, height=3.0)
    x, y = np.meshgrid(np.linspace(-11, 5, 200), np.linspace(-3, 3, 100))
    ax.contour(x, y, np.sqrt(x**2 + 25 * y**2), levels=12, colors="#d5d5d5", linewidths=0.8)
    for k, (path, name) in enumerate(((slow, "plain"), (fast, "momentum 0.9"))):
        ax.plot(*path.T, "o-", color=viz.COLOURS[k], markersize=3, linewidth=1, label=name)
    ax.plot(0, 0, "+", color="#222222", markersize=12, label="minimum")
    ax.set(xlabel="flat direction", ylabel="steep direction", xlim=(-11, 5), ylim=(-3, 3))
    ax.grid(False)
    ax.legend(loc="lower right")
    viz.show(figure, "04_momentum")


draw_momentum()

# %% [markdown]
# On the left, look at the steps after the break: nothing in the loss of the first run shows
# that it forgot everything but its weights. On the right, every run that forgot something
# moves away from the unbroken one.


# %%
def draw_resume():
    """The losses of an unbroken and a forgetful run, and the distances of their weights."""
    caption = "A run that forgot something looks right, but it is another run"
    titles = ["loss, mean over 10 steps", "distance from the unbroken run's weights"]
    figure, (left, right) = viz.new_figure(caption, 1, 2, 7.4, 3.4, titles=titles)
    runs = {"weights alone": forgetful["all four"], "unbroken": trainer}
    for (name, run), colour, line in zip(runs.items(), viz.COLOURS[:2], ("-", "--")):
        smooth = np.convolve(run.losses[:LATER], np.ones(10) / 10, "valid")
        left.plot(np.arange(140, LATER + 1), smooth[130:], line, color=colour, label=name)
    left.axvline(BREAK, color="#999999", linestyle=":")
    left.set(xlabel="step; the break is at the dotted line", xlim=(140, LATER))
    left.margins(y=0.3)
    left.legend(loc="lower left")
    for (name, values), colour in zip(distance.items(), viz.COLOURS):
        after = np.arange(BREAK + 1, LATER + 1)
        right.plot(after, 100 * values, color=colour, label=f"without {name}")
    right.set(xlabel="step", ylabel="relative to their size", yscale="log", ylim=(3e-4, 60))
    right.set_yticks([0.1, 1, 10], ["0.1 %", "1 %", "10 %"])
    right.text(BREAK + 1, 30, "nothing forgotten: exactly 0")
    right.legend(loc="lower right")
    viz.show(figure, "04_resume")


draw_resume()

# %% [markdown]
# ## Exercises
# 1. **Trace.** Given the scores of one picture and its label, compute the probabilities,
#    the loss and the gradient of the loss with respect to the scores.
# 2. **Change.** The lesson's rule of momentum is Caffe's; PyTorch's keeps the rate out of
#    the velocity. Compute the weights after each step by both rules, for given rates.
# 3. **Prove.** Let each class be the label once. Show that the average loss is at least ln
#    C, and that for small scores the excess is about half the variance of the scores.
#
# `fcn exercise 4` writes a file for each of them, `fcn exercise 4 --check FILE` checks your
# answer, `fcn exercise 4 --solution` shows ours.

# %% [markdown]
# ## Claims

# %%
ROUNDING = "1e-12: a few operations in float64"
claims(
    [
        ("cross-entropy by hand", abs(loss - np.log(4)) < 1e-12, ROUNDING),
        ("its gradient", abs(dscores[0] - gradient_by_hand).max() < 1e-12, ROUNDING),
        (
            "three steps by hand",
            np.array_equal(three_steps, by_hand),
            "exact: halves, quarters",
        ),
        ("momentum: ten times the step", abs(last_step - 0.3) < 1e-6, "0.9**200 is 1e-9"),
        ("five equal scores cost ln 5", abs(undecided - np.log(5)) < 1e-12, ROUNDING),
        ("fresh networks: twice ln 5", 1.3 < twice < 3, "the five seeds have 1.64 to 2.23"),
        (
            "small last layer: ln 5",
            abs(quiet - 1) < 0.05,
            "the five seeds are .6 to 2.3 % off",
        ),
        (
            "excess = half the variance",
            abs(excess / half_variance - 1) < 0.1,
            "10 %: higher orders; the five seeds have 5 % or less",
        ),
    ]
)

# %%
claims(
    [
        ("twenty pictures: 100 %", learned_all, "exact; .05: the loss goes to zero"),
        ("random labels: 100 % too", learned_random, "exact; .05, likewise"),
        (
            "neither network knows other pictures well",
            max(held, random_held) < 0.5,
            "the five seeds have .18 to .37",
        ),
        ("held-out accuracy > .9", 0.9 < learned <= 1, "the five seeds have .937 to .990"),
        (
            "later layers need the first kernels",
            0.15 < lost < 0.6,
            "five seeds: .26 to .39",
        ),
        (
            "kernels for wall and for face, also at random",
            min(to_wall.max(), to_face.max(), random_to_face.max()) > 10,
            "480 or more",
        ),
        ("momentum comes closer", 0.2 < quarter < 0.3, ".23, without any random number"),
        ("decay 1/4 stops at 4/5", abs(stopped - 4 / 5) < 1e-6, "300 steps are enough"),
        (
            "a resumed run is the same",
            same_arrays and our_meta == their_meta,
            "bit for bit",
        ),
        ("each thing forgotten changes it", differ, "the five seeds have 4 to 17 %"),
        (
            "without all four it looks right",
            2 / 3 < ratio < 3 / 2,
            "five seeds: .80 to 1.19",
        ),
    ]
)

# %% [markdown]
"""
# Lesson 14: How does a network use depth, and answer two questions?

After this lesson you can give a network a second input, depth, in two ways. You can give
one trunk two outputs, and write the backward of both changes. You can say from measurements
how much depth helps, what a second output costs, and how far a network gets that sees only
masks.

Needs: lessons 3, 11 and 12. Words: the [glossary](../docs/glossary.md).
Skip it if you only want to understand FCN-8s on colour pictures.

Runtime: 35 s on 2 cores
"""

# %% [markdown]
# ## One more picture, one more answer
#
# A depth camera gives a second picture of the same scene. There are two places where it can
# enter:
#
# * **Early fusion**: depth becomes a fourth input channel. The first filters get a fourth
#   slice.
# * **Late fusion**: depth gets a network of its own, a second **stream**. The *scores* of
#   the two streams are averaged.
#
# A second question about the same picture gets a second head on the same trunk. (The head
# is what follows the trunk: score layers, skips and upsampling.) Here is one place of the
# trunk with two features `h`. Each head has one score, and the upstream gradient of both
# scores is 1:
#
#     h = [3, 5]   head a: w = [2, -1], score  1   gradient with respect to h: [2, -1]
#                  head b: w = [1,  4], score 23   gradient with respect to h: [1,  4]
#                                                  the trunk receives the sum: [3,  3]
#
# Both heads read one array. So its gradient is the sum of two, as for `pool4` in lesson 12:
#
# $$
# \frac{\partial L}{\partial h}
# = \frac{\partial L_a}{\partial h} + \frac{\partial L_b}{\partial h}
# $$

# %% [markdown]
# ## Predict
# 1. A trained network gets a depth channel whose weights are zero. What happens to its
#    scores? Can these zeros change in training?
# 2. The scores of two networks are averaged. Only the depth picture changes, and the
#    upstream gradient stays the same. Which gradients of the *colour* network change?
# 3. A network sees no colour and no texture, only a mask: white things on black. In a world
#    where the class of a thing is its shape, is this network better or worse than one that
#    sees the picture?

# %%
import numpy as np

from fcn_from_scratch import datasets, geometry, layers, models, ops, viz
from fcn_from_scratch.course import check, claims, device, seed
from fcn_from_scratch.lab.published import table
from fcn_from_scratch.metrics import ConfusionMatrix
from fcn_from_scratch.training import evaluate, evaluate_heads, fit, segment

DEVICE, SEED = device(), seed()
rng = np.random.default_rng(SEED)


def gap(a, b):
    """The largest difference, relative to the largest number."""
    return float(abs(a - b).max() / abs(b).max())


# %% [markdown]
# ## A fourth channel, by hand
# A convolution adds up its input channels. So a convolution of four channels is the sum of
# one of three channels and one of one channel. If the fourth slice of the weight is zero,
# it adds exactly nothing.

# %%
colour, depth = rng.normal(size=(1, 3, 5, 6)), rng.normal(size=(1, 1, 5, 6))
filters, slices = rng.normal(size=(2, 3, 3, 3)), rng.normal(size=(2, 1, 3, 3))
x4, w4 = np.concatenate([colour, depth], axis=1), np.concatenate([filters, slices], axis=1)
early_gap = gap(ops.conv2d(x4, w4), ops.conv2d(colour, filters) + ops.conv2d(depth, slices))
check("four channels = three + one", early_gap < 1e-12, f"{early_gap:.0e}")

# %% [markdown]
# Now a whole network. `models.with_depth` makes the parameters of a four-channel network
# from those of a three-channel one. (The first layer is then called `conv1_1_bgrd`.) The
# paper's public code fills the fourth slice with the **mean** of the other three. Then the
# filters treat depth as a grey picture, and find edges in it as they find edges in colours.
# We try zeros and the mean.


# %%
def network(name, num_classes=4, **options):
    """A small float64 network, none of whose parameters is zero."""
    net = models.build(
        name, num_classes, width=4, fc6_kernel=2, dtype=np.float64, seed=SEED, **options
    )
    for key, array in net.params.items():
        if key.startswith("score") or key.endswith("bias"):
            array[...] = rng.uniform(-0.5, 0.5, size=array.shape)
    return net


three = network("mini_fcn8s")
picture = rng.normal(size=(1, 4, 50, 70))
scores = three(picture[:, :3])
four = {}
for filling in ("zero", "mean"):
    four[filling] = network("mini_fcn8s", in_channels=4)
    models.transplant(four[filling], models.with_depth(three, filling))
zero_gap, mean_gap = (gap(four[filling](picture), scores) for filling in ("zero", "mean"))
check(
    "zero depth weights: the scores of the old network", zero_gap < 1e-12, f"{zero_gap:.0e}"
)
check(
    "mean depth weights: other scores from the start",
    mean_gap > 0.01,
    f"they differ by {mean_gap:.0%}",
)

# %% [markdown]
# Can the zeros learn? The gradient of a weight is *the layer's input* times *the upstream
# gradient*. The weight itself does not occur in it. So zeros that read a picture do learn.
# (Zeros cannot learn where two layers of zeros follow each other: each multiplies the
# other's gradient by zero.)

# %%
four["zero"].backward(rng.normal(size=scores.shape))
slice_gradient = four["zero"].grads["conv1_1_bgrd.weight"][:, 3]
zeros_learn = bool((slice_gradient != 0).all())
check(
    "every one of the zeros gets a gradient",
    zeros_learn,
    f"up to {abs(slice_gradient).max():.2g}",
)

# %% [markdown] tags=["answer"]
# > **Prediction 1.** The scores stay as they were (to 1e-12), because a slice of zeros adds
# > nothing. The zeros learn from the first step on, because their gradient contains the
# > depth picture and not their own value.

# %% [markdown]
# ## Two streams
# First we build late fusion ourselves: two whole networks with their own weights, one for
# colour and one for depth, and the average of their scores,
#
# $$
# s = \tfrac{1}{2}\,\bigl(s_{\mathrm{colour}} + s_{\mathrm{depth}}\bigr) .
# $$
#
# In the code, the depth network is called `hha`, as in the paper. The name is explained
# below. A `Container` is a layer that consists of other layers. It collects their
# parameters, so that an optimiser finds them.


# %%
class LateFusion(layers.Container):
    """The average of the scores of two networks.

    The first three channels of the input are colours. The rest is depth.
    """

    transform = models.MINI_TRANSFORM
    per_picture = True  # each picture's scores depend on this picture only

    def __init__(self, colour, depth):
        super().__init__({"color": colour, "hha": depth})

    def forward(self, x):
        colour, depth = self.children.values()
        return (colour(x[:, :3]) + depth(x[:, 3:])) / 2

    def backward(self, dscores):  # an average hands half of the gradient to each term
        parts = [net.backward(dscores / 2) for net in self.children.values()]
        return np.concatenate(parts, axis=1)


# %% [markdown]
# The package's network is `mini_fcn32s_late_fusion`. Its score layers are called
# `score_frcolor` and `score_frhha`, as in the paper's public code. It averages the coarse
# scores, before the upsampling. This gives the same result, because upsampling is linear.
# The third argument of `transplant` is added to the names: the parameters of `conv1_1` of
# our colour network go to `conv1_1color`.

# %%
ours = LateFusion(network("mini_fcn32s"), network("mini_fcn32s", in_channels=1))
late = network("mini_fcn32s_late_fusion", in_channels=(3, 1))
for modality, net in ours.children.items():
    models.transplant(late, net, modality)
late_gap = gap(late(picture), ours(picture))
dscores = rng.normal(size=late(picture).shape)
late_dx_gap = gap(late.backward(dscores), ours.backward(dscores))
check("ours = the package's late fusion", late_gap < 1e-12, f"{late_gap:.0e}")
check(
    "and so is the gradient with respect to the picture",
    late_dx_gap < 1e-12,
    f"{late_dx_gap:.0e}",
)

# %% [markdown]
# The paper says that the scores are *summed*; its code *averages* them. The arg-max is the
# same for both. The loss is not: doubled scores give more extreme probabilities.

# %%
labels = rng.integers(0, 4, (1, 50, 70))
averaged, summed = (
    ops.softmax_cross_entropy(scale * late(picture), labels)[0] for scale in (1, 2)
)
same_answer = np.array_equal((2 * late(picture)).argmax(1), late(picture).argmax(1))
check("sum or average: the same arg-max", same_answer)
check("but another loss", abs(averaged - summed) > 0.01, f"{averaged:.3f} and {summed:.3f}")

# %% [markdown]
# What happens in the colour stream depends on its own features and on the upstream
# gradient. Change the depth picture and keep the upstream gradient: every gradient of the
# colour stream stays the same, bit for bit. The two streams meet only in the loss, through
# the upstream gradient.

# %%
other = picture.copy()
other[:, 3:] = rng.normal(size=other[:, 3:].shape)
gradients = []
for x in (picture, other):
    late.zero_grad()
    late(x)
    late.backward(dscores)
    gradients.append({name: gradient.copy() for name, gradient in late.grads.items()})
first, second = gradients
in_colour = [name for name in first if "color" in name]
untouched = all(np.array_equal(first[name], second[name]) for name in in_colour)
moved = [
    name
    for name in first
    if "hha" in name and not np.array_equal(first[name], second[name])
]
check("no gradient of the colour stream changes", untouched, f"{len(in_colour)} parameters")
check(
    "all gradients of the depth stream change but one",
    len(moved) == len(in_colour) - 1,
    "score_frhha.bias reads no input",
)

# %% [markdown] tags=["answer"]
# > **Prediction 2.** None: 16 of 16 parameters keep their gradient. In training the
# > upstream gradient does not stay the same, because the loss is computed from the average
# > of both scores. So there the depth picture has an influence.

# %% [markdown]
# ## HHA, in one paragraph
# Raw depth is a poor input for filters that were trained on photographs: the same table has
# other values when it stands farther away. Gupta et al. (2014) replace the depth of each
# pixel by three numbers that describe the scene: the **h**orizontal disparity (near or
# far), the **h**eight above the ground, and the **a**ngle between the surface and gravity.
# A floor is low and level, a wall is upright, a table top is high and level. HHA needs the
# camera's calibration and the direction of gravity, so it is computed once and stored like
# a photograph. Its channels keep their order. (The channels of a photograph are reversed
# from RGB to BGR.) The paper trains one network on HHA and joins it with the colour network
# by late fusion. Our drawn world has no floor and no gravity, only near and far. So one
# channel is enough.

# %% [markdown]
# ## Does depth help?
# We make a world that needs both pictures. Its classes are *warm* and *cool* things that
# are *near* or *far*. Colour does not say how far away a thing is, and depth does not say
# its colour. With the ground there are five classes.

# %%
scene = {"size": 64, "seed": SEED, "depth": True, "noise": 2.0}
WARM = [1 + list(datasets.shapes.HUES).index(hue) for hue in ("red", "yellow", "magenta")]


class World(datasets.Dataset):
    """Drawn scenes, seen through `view`, with the labels that `ask` makes of a sample."""

    def __init__(self, scenes, view, ask, heads):
        (_, self.classes), *more = heads.items()
        self.more_heads = dict(more)
        self.samples = []
        for sample in scenes:
            ids = np.where(sample.labels == 255, 255, ask(sample)).astype(np.uint8)
            self.samples.append(datasets.Sample(view(sample), ids, sample.name))

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, index):
        return self.samples[index]


def grey(channel):
    """One channel as a picture that a network of three channels can read."""
    return np.repeat(channel[:, :, None], 3, axis=2)


def is_thing(sample):
    return (sample.labels > 0) & (sample.labels < 255)


VIEWS = {
    "colour": lambda sample: sample.image[:, :, :3],
    "depth": lambda sample: grey(sample.image[:, :, 3]),
    "both": lambda sample: sample.image,
    "mask": lambda sample: grey(255 * is_thing(sample).astype(np.uint8)),
}


# %%
def what(sample):
    """0 ground, 1 warm, 2 cool."""
    return np.where(sample.labels == 0, 0, np.where(np.isin(sample.labels, WARM), 1, 2))


def where(sample):
    """0 ground, 1 far, 2 near."""
    return np.where(sample.labels == 0, 0, np.where(sample.image[:, :, 3] > 174, 2, 1))


def what_and_where(sample):
    """0 ground, 1 warm and far, 2 warm and near, 3 cool and far, 4 cool and near."""
    return np.where(sample.labels == 0, 0, 2 * what(sample) + where(sample) - 2)


FIVE = {"semantic": ("ground", "warm, far", "warm, near", "cool, far", "cool, near")}
drawn = {
    split: [*datasets.Shapes(count=count, split=split, classes_by="colour", **scene)]
    for split, count in (("train", 400), ("val", 80))
}
val = {view: World(drawn["val"], VIEWS[view], what_and_where, FIVE) for view in VIEWS}


# %% [markdown]
# Four FCN-8s get the same number of steps, the same rate and the same scenes. (The rate,
# 0.1, was not tuned for any of them.) All are scored on scenes that were not used in
# training. The fourth is our late fusion of two FCN-8s. It has two trunks. To be fair, they
# are narrower: 8 channels in the first stage, where the others have 12.


# %%
def fcn8s(channels, width=12):
    """A new FCN-8s for the five classes that reads so many channels."""
    return models.build(
        "mini_fcn8s", 5, width=width, fc6_kernel=2, in_channels=channels, seed=SEED
    )


def learn(title, net, view):
    """Train a network. Returns its mean IU on unseen scenes, and its size."""
    world = World(drawn["train"], VIEWS[view], what_and_where, FIVE)
    fit(net, world, 200, 0.1, seed=SEED, device=DEVICE)
    iu = evaluate(net, val[view], DEVICE).scores()["mean_iu"]
    size = sum(array.size for array in net.params.values())
    print(f"  {title:20} {size:7,} parameters   mean IU {iu:.3f}", flush=True)
    return iu, size


rgb, far, early, late = fcn8s(3), fcn8s(3), fcn8s(4), LateFusion(fcn8s(3, 8), fcn8s(1, 8))
iu_rgb, _ = learn("colour", rgb, "colour")
iu_depth, _ = learn("depth", far, "depth")
iu_early, size_early = learn("both, early fusion", early, "both")
iu_late, size_late = learn("both, late fusion", late, "both")

# %% [markdown]
# How much can one picture tell? Suppose that a network knows the colour of each pixel
# perfectly and always says "near" (or the same with depth and "warm").


# %%
def half_right(known, guess):
    """The mean IU of a map that knows half of the answer and guesses the rest."""
    matrix = ConfusionMatrix(5)
    for sample in drawn["val"]:
        truth = what_and_where(sample)
        kind = what(sample) if known == "what" else guess
        distance = where(sample) if known == "where" else guess
        answer = np.where(truth == 0, 0, 2 * kind + distance - 2)
        matrix.update(np.where(sample.labels == 255, 255, truth), answer)
    return matrix.scores()["mean_iu"]


limit_rgb, limit_depth = (
    max(half_right(known, guess) for guess in (1, 2)) for known in ("what", "where")
)
print(f"  from colour {iu_rgb:.3f}; with half of the answer {limit_rgb:.3f}")
print(f"  from depth {iu_depth:.3f}; with half of the answer {limit_depth:.3f}")
short = limit_rgb - iu_rgb, limit_depth - iu_depth
alone_says = all(-0.02 < gap < 0.15 for gap in short)
missing = f"{short[0]:.3f} and {short[1]:.3f} below it"
check("one picture alone scores about as much as half of the answer", alone_says, missing)
depth_gain, late_gain = min(iu_early, iu_late) - max(iu_rgb, iu_depth), iu_late - iu_early
check("both pictures do far better", 0.2 < depth_gain < 0.5, f"by {depth_gain:.3f} or more")
sizes_near = 1.05 < size_early / size_late < 1.2
check(
    "early fusion has about a tenth more parameters than late fusion",
    sizes_near,
    f"{size_early:,} and {size_late:,}",
)
check("late fusion is 0 to .1 below it", -0.1 < late_gain < 0, f"{late_gain:+.3f} mean IU")

# %% [markdown]
# Early fusion is ahead by .02 to .04 on all five seeds. It also has a tenth more
# parameters, and the rate was tuned for neither. So this does not show that early fusion is
# better in general. In table 4 of the paper (NYUDv2, mean IU), the gain from depth is much
# smaller, and late fusion is the better of the two. The numbers come from `fcn published`.

# %%
paper = {
    row.modality: float(row.numbers.split()[2]) for row in table("4").rows if row.model
}
for modality in ("hha", "color", "color-d", "color-hha"):
    print(f"  {modality:10} {paper[modality]}")
paper_order = max(paper["hha"], paper["color"]) < paper["color-d"] < paper["color-hha"]
check("in the paper: one picture < early fusion < late fusion", paper_order)

# %% [markdown]
# Two differences can explain this. We do not test them here. In our world one picture alone
# cannot answer the question; in the paper's scenes it can. And the paper's filters come
# from a network that was trained on photographs. Early fusion has to change these filters,
# because they never saw depth. Late fusion keeps them: its two networks are first trained
# alone. Our networks all start from random numbers, so early fusion has no such
# disadvantage. The paper has no control for the number of weights: its late fusion has
# twice as many as its early fusion.

# %% [markdown]
# ## Two heads
# Now we ask two separate questions: *what* is it (ground, warm, cool), and *how far away*
# is it (ground, far, near)? The paper does this on SIFT Flow. There are 33 semantic and 3
# geometric classes, one trunk, and layers called `score_fr_sem`, `score_fr_geo` and so on.
# The two losses are added. We first check in float64 that the trunk's gradient is the sum
# of what each head sends alone.

# %%
two = network("mini_fcn8s_two_heads", num_classes=(4, 3))
x = rng.normal(size=(2, 3, 45, 50))
upstream = tuple(rng.normal(size=y.shape) for y in two(x))


def gradients_for(sem, geo):
    """All gradients when the heads receive these upstream gradients."""
    two.zero_grad()
    two(x)
    two.backward((sem, geo))
    return {name: gradient.copy() for name, gradient in two.grads.items()}


sem, geo = upstream
together = gradients_for(sem, geo)
only_sem, only_geo = gradients_for(sem, 0 * geo), gradients_for(0 * sem, geo)
trunk = [name for name in together if not name.startswith("score")]
sum_gap = max(gap(only_sem[name] + only_geo[name], together[name]) for name in trunk)
check(
    "the trunk's gradient is the sum of both heads'",
    sum_gap < 1e-12,
    f"{sum_gap:.0e}, {len(trunk)} parameters",
)
alone = {name: only_sem if "_sem" in name else only_geo for name in together}
heads = [name for name in together if name not in trunk]
own = all(np.array_equal(together[name], alone[name][name]) for name in heads)
check("a head's own gradient does not depend on the other head", own)

# %% [markdown]
# This is why a layer **adds** to `grads` instead of setting it. With skips the two heads
# meet at three places: the top, `pool4` and `pool3`. `TwoHeads._backward_heads` adds their
# gradients there. Then the backward goes through the trunk once.
#
# What does the second answer cost? We count the multiply-adds of one forward. (The paper
# reports that its network with two heads is as good on both tasks as two separate networks.
# We do not test this here.)

# %%
counts = {
    name: geometry.table(models.build(name, classes, width=8), (500, 500)).multiply_adds
    for name, classes in (("fcn8s", 33), ("fcn8s_two_heads", (33, 3)))
}
extra = counts["fcn8s_two_heads"] / counts["fcn8s"] - 1
check(
    "a second head with 3 classes costs less than 5 % more",
    0.001 < extra < 0.05,
    f"{extra:.1%} more",
)

# %%
QUESTIONS = {"semantic": ("ground", "warm", "cool"), "geometric": ("ground", "far", "near")}


def both_questions(sample):
    return np.stack([what(sample), where(sample)])


asked = {
    split: World(scenes, VIEWS["both"], both_questions, QUESTIONS)
    for split, scenes in drawn.items()
}
joint = models.build(
    "mini_fcn8s_two_heads", (3, 3), width=12, fc6_kernel=2, in_channels=4, seed=SEED
)
fit(joint, asked["train"], 200, 0.1, seed=SEED, device=DEVICE)
matrices = evaluate_heads(joint, asked["val"], DEVICE)
answered = {name: matrix.scores()["mean_iu"] for name, matrix in matrices.items()}
ground = np.mean([(s.labels == 0).sum() / (s.labels != 255).sum() for s in drawn["val"]])
for question, iu in answered.items():
    print(f"  mean IU of the {question} head {iu:.3f}; if all were ground {ground / 3:.3f}")
least = min(answered.values())
check(
    "one network has learned both answers",
    0.6 < least < 0.95,
    f"mean IU {least:.3f} or more",
)

# %% [markdown]
# ## Only masks as input
# How far does a network get that sees only masks? Here a mask is a silhouette, white where
# there is a thing and black elsewhere. (Lesson 13 masks the loss, which is another thing.)
# We train a fifth FCN-8s like the four above, on masks. In their world it can see where
# things are. But two things with the same outline have the same mask, whatever their
# colours are.

# %%
iu_mask, _ = learn("the mask alone", fcn8s(3), "mask")
colour_gain, mask_gain = iu_rgb - iu_mask, iu_mask - ground / 5
check(
    "where the class is the colour, the mask scores below the picture",
    0.03 < colour_gain < 0.3,
    f"by {colour_gain:.3f}",
)
check(
    "but above 'all ground'",
    0.03 < mask_gain < 0.25,
    f"{iu_mask:.3f}, {ground / 5:.3f}",
)

# %% [markdown]
# In another world the class *is* the shape: balloons, squares, triangles, rings and
# crosses, in any colour and texture. The picture contains the shape too, but the network
# has to find it first.

# %%
shapes = {
    split: [*datasets.Shapes(count=count, split=split, classes_by="shape", **scene)]
    for split, count in (("train", 400), ("val", 80))
}
KINDS = {"semantic": datasets.shapes.CLASSES["shape"]}
iu_shapes = {}
for view in ("colour", "mask"):
    net = models.build("mini_fcn8s", 6, width=12, fc6_kernel=2, seed=SEED)
    seen = {
        split: World(scenes, VIEWS[view], lambda sample: sample.labels, KINDS)
        for split, scenes in shapes.items()
    }
    fit(net, seen["train"], 200, 0.1, seed=SEED, device=DEVICE)
    iu_shapes[view] = evaluate(net, seen["val"], DEVICE).scores()["mean_iu"]
    print(f"  shapes from the {view:6} mean IU {iu_shapes[view]:.3f}", flush=True)
gain = iu_shapes["mask"] - iu_shapes["colour"]
check(
    "where the class is the shape, the mask alone does better",
    0.03 < gain < 0.15,
    f"by {gain:.3f}",
)

# %% [markdown] tags=["answer"]
# > **Prediction 3.** It is better by .07 to .08 of mean IU, after 200 steps. The network
# > that sees the mask need not learn to separate a thing from the ground. But its mask is
# > the true one, which no camera gives. If you wrote that it is worse: this holds where
# > the class is the colour. There it scores .09 to .14 below the picture.

# %% [markdown]
# The paper's journal version ([arXiv 1605.06211](https://arxiv.org/abs/1605.06211), table
# 8) asks this about photographs of VOC. The numbers are its mean IU without the background.
# We cannot measure them here:
#
# | what the network sees | mean IU |
# |---|---|
# | the whole picture | 84.8 |
# | the foreground only, in training and in the test | 76.1 |
# | the background only, in training and in the test | 37.8 |
# | only the mask (its "shape") | 29.1 |
#
# So in photographs the shape says something, but far less than colour and texture do.

# %% [markdown]
# ## What could fool you
# **Only the last head counts.** Suppose that backward goes through the trunk once for each
# head, and that the layers *set* their gradients instead of adding to them. All shapes fit,
# both losses are computed, and both heads learn. But the second backward overwrites what
# the first one left, so the trunk learns for the second head alone: its gradient is
# `only_geo` from above. A check of the sum finds this: move a weight of the trunk a little
# in a random direction, and compare the change of both losses with what the gradient says.

# %%
step = 1e-6


def losses_along(direction, distance):
    """Both losses together, with the weight of conv2_1 moved by distance * direction."""
    two.params["conv2_1.weight"][...] += distance * direction
    total = sum((dy * y).sum() for dy, y in zip(upstream, two(x)))
    two.params["conv2_1.weight"][...] -= distance * direction
    return total


right, wrong = [], []
for direction in rng.normal(size=(5, *two.params["conv2_1.weight"].shape)):
    measured = (losses_along(direction, step) - losses_along(direction, -step)) / (2 * step)
    by_sum = (together["conv2_1.weight"] * direction).sum()
    by_last = (only_geo["conv2_1.weight"] * direction).sum()
    right.append(abs(by_sum / measured - 1))
    wrong.append(abs(by_last / measured - 1))
right, wrong = max(right), float(np.median(wrong))
check(
    "in five directions the sum agrees with finite differences",
    right < 1e-4,
    f"off by {right:.0e} or less",
)
check("the last head's gradient does not", wrong > 0.05, f"off by {wrong:.0%}, the median")
norms = [np.linalg.norm(g["conv2_1.weight"]) for g in (only_geo, together)]
size = norms[0] / norms[1]
check("its size looks normal", 0.2 < size < 5, f"{size:.0%} of the right one's")

# %% [markdown]
# ## The drawings


# %%
def palette_of(*colours):
    """VOC's palette with other colours for the first classes."""
    palette = datasets.Dataset.palette.copy()
    palette[: len(colours)] = colours
    return palette


FIVE_COLOURS = palette_of(
    (0, 0, 0), (240, 170, 130), (200, 40, 30), (140, 180, 235), (30, 70, 190)
)
WHAT_COLOURS = palette_of((0, 0, 0), (200, 40, 30), (30, 70, 190))
FAR_COLOURS = palette_of((0, 0, 0), (120, 120, 120), (245, 245, 245))
# scenes with little ground first
FULL = sorted(range(80), key=lambda i: (drawn["val"][i].labels == 0).sum())


def draw_depth():
    """The four networks' answers for four scenes, a column for each scene."""
    reads = {"colour": rgb, "depth": far}, {"early fusion": early, "late fusion": late}
    rows = {"colour": [], "depth": [], "truth": []}
    for i in FULL[:4]:
        rows["colour"].append(val["colour"][i].image)
        rows["depth"].append(val["depth"][i].image)
        rows["truth"].append(val["colour"][i].labels)
    for title, net in reads[0].items():
        answers = [segment(net, val[title][i].image, DEVICE) for i in FULL[:4]]
        rows[f"from {title}"] = answers
    for title, net in reads[1].items():
        rows[title] = [segment(net, val["both"][i].image, DEVICE) for i in FULL[:4]]
    return viz.panels(
        [*rows.values()],
        caption="Warm or cool, near or far: the answers of four FCN-8s",
        row_titles=[*rows],
        classes=FIVE["semantic"],
        palette=FIVE_COLOURS,
        size=1.6,
    )


def draw_two_heads():
    """Both heads' answers, each in colours of its own: a column for each scene."""
    columns = []
    for i in FULL[:4]:
        image, (kind, distance), _ = asked["val"][i]
        guesses = [y.argmax(axis=1)[0] for y in joint.eval()(joint.transform(image)[None])]
        kinds = [viz.colourise(ids, WHAT_COLOURS) for ids in (kind, guesses[0])]
        distances = [viz.colourise(ids, FAR_COLOURS) for ids in (distance, guesses[1])]
        columns.append([image[:, :, :3], grey(image[:, :, 3]), *kinds, *distances])
    return viz.panels(
        [*zip(*columns)],
        caption="Two heads on one trunk: what is it, and how far away?",
        row_titles=["colour", "depth", "what: truth", "head 1", "how far: truth", "head 2"],
        size=1.6,
    )


# %% [markdown]
# Each column is a scene. In the depth picture, near is bright. Compare the rows "from
# colour" and "from depth" with the truth. The network that sees only colour has to guess
# near or far. The network that sees only depth has to guess warm or cool, and gives most
# things the same answer. Both fusions get most of the large things right. Most rings and
# thin crosses are missing in every row.

# %%
viz.show(draw_depth(), "14_depth")

# %% [markdown]
# Each column is a scene. Compare each truth with the row below it. In the rows "what", red
# is warm and blue is cool. In the rows "how far", white is near and grey is far.

# %%
viz.show(draw_two_heads(), "14_two_heads")

# %% [markdown]
# ## Exercises
# 1. *Trace.* Count the parameters that early and late fusion add to FCN-32s.
# 2. *Change.* Give the first layer of a trained network a fourth slice for depth: zeros, or
#    the mean of the other three.
# 3. *Prove.* Show that late fusion is one score layer on the concatenated features.
#
# `fcn exercise 14` writes a file for each of them, `fcn exercise 14 --check FILE` checks
# your answer, `fcn exercise 14 --solution` shows ours.

# %% [markdown]
# ## Claims
# The numbers behind the bounds are those of five seeds.

# %%
early_zero, streams = zero_gap < 1e-12, max(late_gap, late_dx_gap) < 1e-12
below = 0.03 < colour_gain < 0.3 and 0.03 < mask_gain < 0.25
last_is_wrong = right < 1e-4 < 0.05 < wrong
claims(
    [
        ("zero depth weights change no score", early_zero, "1e-12: float64, two orders"),
        ("and every one of them gets a gradient", zeros_learn, "exact: not zero"),
        ("late fusion = the average of scores", streams, "1e-12: float64"),
        ("depth does not reach the colour stream", untouched, "exact: bit for bit"),
        ("the trunk's gradient is the heads' sum", sum_gap < 1e-12, "1e-12: two orders"),
        ("a second small head is cheap", 0.001 < extra < 0.05, "a count"),
        ("one picture tells half of the answer", alone_says, ".01 to .11 below it"),
        ("both pictures do far better", 0.2 < depth_gain < 0.5, ".304 to .354"),
        ("late fusion is hardly below early", -0.1 < late_gain < 0, "-.038 to -.016"),
        ("early fusion has a tenth more parameters", sizes_near, "a count"),
        ("one network, two answers", 0.6 < least < 0.95, ".753 to .807; all ground: .26"),
        ("for colours a mask is below a picture", below, ".091 to .141"),
        ("for shapes a mask beats a picture", 0.03 < gain < 0.15, ".070 to .084"),
        ("the last head's gradient alone is wrong", last_is_wrong, "finite differences"),
    ]
)

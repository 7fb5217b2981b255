"""Lesson 14: How do depth and a second task enter?

Afterwards you can give a network a fourth channel or a second stream, give a trunk two heads, write the backward of
both, and say from measurements what depth, a second task and a bare outline are worth.

Needs: lessons 3, 11 and 12
Runtime: 50 s on 2 cores
"""

# %% [markdown]
# # One more picture, one more answer
#
# A depth camera gives a second picture of the same scene. Where does it go in?
#
# * **Early fusion**: as a fourth channel. The first filters get a fourth slice, all else stays.
# * **Late fusion**: into a network of its own, and the two networks' *scores* are averaged.
#
# And a second question to the same picture, where does the answer come out? From a second **head**:
# score layers, skips and upsampling once more, on the same trunk. Worked example, one cell of the
# trunk, two features `h`, one score in each head, and the gradient `1` for both scores:
#
#     h = [3, 5]     head a: w = [2, -1], score 1     it sends back [2, -1]
#                    head b: w = [1,  4], score 23    it sends back [1,  4]     the trunk gets [3, 3]
#
# The trunk is one array with two readers. Its gradient is the sum, as for `pool4` in lesson 12.

# %% [markdown]
# ## Predict
# 1. A trained network gets a depth channel whose weights are zero. What happens to its scores? And
#    do the zeros ever learn?
# 2. Two networks, averaged. The depth picture changes. Which gradients in the *colour* network move?
# 3. Take away colour and texture: the network sees black things on white. In a world where only the
#    outline tells the class, how much worse will it be?

# %%
import numpy as np

from fcn_from_scratch import datasets, geometry, models, ops, viz
from fcn_from_scratch.course import check, claims, device, seed
from fcn_from_scratch.training import evaluate, evaluate_heads, fit, segment

DEVICE, SEED = device(), seed()
rng = np.random.default_rng(SEED)


def gap(a, b):
    """The largest difference, relative to the largest number."""
    return float(abs(a - b).max() / abs(b).max())


# %% [markdown]
# ## A fourth channel, by hand
# A convolution adds up its channels. With four of them it is a convolution of three plus one of one.
# So a slice of zeros adds exactly nothing.

# %%
colour, depth = rng.normal(size=(1, 3, 5, 6)), rng.normal(size=(1, 1, 5, 6))
filters, slices = rng.normal(size=(2, 3, 3, 3)), rng.normal(size=(2, 1, 3, 3))
x4, w4 = np.concatenate([colour, depth], axis=1), np.concatenate([filters, slices], axis=1)
early_gap = gap(ops.conv2d(x4, w4), ops.conv2d(colour, filters) + ops.conv2d(depth, slices))
check("four channels = three + one", early_gap < 1e-12, f"{early_gap:.0e}")

# %% [markdown]
# Now a whole network. `with_depth` makes a state for four channels out of one for three: its layer is
# called `conv1_1_bgrd` then. What goes into the fourth slice? The paper's public code takes the
# **mean** of the three others: to these filters depth is a grey picture, and an edge in it is an edge.


# %%
def network(name, num_classes=4, **options):
    """A small float64 network, none of whose parameters is zero."""
    net = models.build(name, num_classes, width=4, fc6_kernel=2, dtype=np.float64, seed=SEED, **options)
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
check("zero depth weights: the scores of the old network", zero_gap < 1e-12, f"{zero_gap:.0e}")
check("mean depth weights: others, from the first step on", mean_gap > 0.01, f"{mean_gap:.0%}")

# %% [markdown]
# And do zeros learn? The gradient of a weight is *input* times what comes back. The weight itself is
# not in it. Zeros that read a picture do learn. (Zeros are stuck only where two layers of them follow
# one another: each waits for the other, as in lesson 11's network of zeros.)

# %%
four["zero"].backward(rng.normal(size=scores.shape))
slice_gradient = four["zero"].grads["conv1_1_bgrd.weight"][:, 3]
check("the zeros get a gradient", (slice_gradient != 0).all(), f"up to {abs(slice_gradient).max():.2g}")

# %% [markdown]
# ## Two streams
# `mini_fcn32s_late_fusion` is two whole networks up to their coarse scores, called `score_frcolor`
# and `score_frhha`. The paper says that the two are summed; its code averages them, and so do we by
# default. To the arg-max it is the same. To the loss it is not: scores twice as large are surer.

# %%
singles = {
    "color": network("mini_fcn32s"),
    "hha": network("mini_fcn32s", in_channels=1),
}
late = network("mini_fcn32s_late_fusion", in_channels=(3, 1))
for modality, net in singles.items():
    models.transplant(late, net, modality)
parts = [singles["color"](picture[:, :3]), singles["hha"](picture[:, 3:])]
late_gap = gap(late(picture), (parts[0] + parts[1]) / 2)
check("late fusion = the average of two networks' scores", late_gap < 1e-12, f"{late_gap:.0e}")

labels = rng.integers(0, 4, (1, 50, 70))
averaged, summed = (ops.softmax_cross_entropy(scale * sum(parts), labels)[0] for scale in (0.5, 1.0))
same_answer = np.array_equal((parts[0] + parts[1]).argmax(1), late(picture).argmax(1))
check("summed or averaged: one arg-max, two losses", same_answer and abs(averaged - summed) > 0.01)

# %% [markdown]
# In the backward the average hands half of the gradient to each stream. What then happens in the
# colour stream depends on its own features alone: change the depth picture, keep the upstream
# gradient, and every gradient in it is the same, bit for bit. The streams meet only in the loss.

# %%
dscores = rng.normal(size=parts[0].shape)
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
moved = [name for name in first if "hha" in name and not np.array_equal(first[name], second[name])]
check("another depth picture moves no gradient of the colour stream", untouched, f"{len(in_colour)} of them")
check("and all of the depth stream's but one", len(moved) == len(in_colour) - 1, f"{len(moved)}: a bias reads nothing")

singles["color"].backward(dscores / 2)
half_gap = gap(first["conv1_1color.weight"], singles["color"].grads["conv1_1.weight"])
check("each stream gets half of the gradient", half_gap < 1e-12, f"{half_gap:.0e}")

# %% [markdown]
# ## HHA, in one paragraph
# Raw depth is a poor picture for filters made for photographs: a metre is not a brightness, and the
# same table is brighter the farther it stands. Gupta et al. (2014) turn each depth pixel into three
# numbers that stay the same when the camera moves: **H**orizontal disparity (near or far), **H**eight
# above the ground, and the **A**ngle between the surface and gravity. A floor is low and level, a
# wall upright, a table top level and high. It needs the camera's calibration and the direction of
# gravity, so it is computed once and stored like a photograph. It is *not* one: its channels are never
# turned round as RGB to BGR are. The paper trains one network on it, and joins it with the colour
# network in late fusion. Our drawn world has no floor and no gravity, only near and far: one channel.

# %% [markdown]
# ## Does depth help?
# A world that needs both pictures. Classes are *warm* and *cool* things, *near* and *far*. Colour does
# not say how far, depth does not say what colour. Five classes with the ground, and four networks of
# the same stride with the same number of steps.

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


def three_times(channel):
    """One channel as a picture that a network of three channels can read."""
    return np.repeat(channel[:, :, None], 3, axis=2)


VIEWS = {
    "colour": lambda sample: sample.image[:, :, :3],
    "depth": lambda sample: three_times(sample.image[:, :, 3]),
    "both": lambda sample: sample.image,
    "outline": lambda sample: three_times(255 * ((sample.labels > 0) & (sample.labels < 255)).astype(np.uint8)),
}


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


def learn(title, name, view, num_classes=5, lr=0.1, steps=300, **options):
    """A trained network, and its mean IU on scenes it has not seen."""
    net = models.build(name, num_classes, width=12, fc6_kernel=2, seed=SEED, **options)
    fit(net, World(drawn["train"], VIEWS[view], what_and_where, FIVE), steps, lr, seed=SEED, device=DEVICE)
    row = evaluate(net, val[view], DEVICE).scores()
    print(f"  {title:22} pixel accuracy {row['pixel_accuracy']:.3f}   mean IU {row['mean_iu']:.3f}", flush=True)
    return net.eval(), row["mean_iu"]


rgb, iu_rgb = learn("colour", "mini_fcn32s", "colour")
far, iu_depth = learn("depth", "mini_fcn32s", "depth")
early, iu_early = learn("both, early fusion", "mini_fcn32s", "both", in_channels=4)
late, iu_late = learn("both, late fusion", "mini_fcn32s_late_fusion", "both", in_channels=(3, 1))
best_alone, worst_joined = max(iu_rgb, iu_depth), min(iu_early, iu_late)
check("either fusion beats either picture alone", worst_joined > best_alone, f"{worst_joined:.3f}, {best_alone:.3f}")
check("late fusion beats early fusion", iu_late > iu_early, f"{iu_late:.3f}, {iu_early:.3f}")

# %% [markdown]
# The paper's table 4, on NYUDv2 (FCN-32s, mean IU): HHA alone 24.2, RGB 29.2, RGB and depth early 30.5,
# RGB and HHA late 32.8. Our numbers come in the same order, in another world and for a simpler reason:
# there one picture alone *can* answer, here it cannot. And mind the control that is missing in both:
# late fusion has two trunks, twice the weights and twice the work. (Exercise 2 supplies it.)

# %%
full = sorted(range(80), key=lambda i: (drawn["val"][i].labels == 0).sum())  # scenes with the most in them first
NETS = {"colour": rgb, "depth": far, "early": early, "late": late}
READS = {"colour": "colour", "depth": "depth", "early": "both", "late": "both"}
rows = []
for i in full[:4]:
    answers = [segment(net, val[READS[title]][i].image, DEVICE) for title, net in NETS.items()]
    rows.append([val["colour"][i].image, val["depth"][i].image, val["colour"][i].labels, *answers])
titles = ["colour", "depth", "truth", "by colour", "by depth", "early fusion", "late fusion"]
viz.save_figure(
    viz.panels(
        rows, titles, "FCN-32s, four times: what and how far takes both pictures", classes=FIVE["semantic"], size=1.7
    ),
    "14_depth",
)

# %% [markdown]
# ## Two heads
# Ask the two questions one by one: *what* is it (ground, warm, cool), and *how far* (ground, far,
# near). The paper does this on SIFT Flow: 33 semantic and 3 geometric classes, one trunk, layers
# called `score_fr_sem`, `score_fr_geo` and so on, the two losses added. First in float64: the trunk's
# gradient is the sum of what each head sends alone.

# %%
two = network("mini_fcn8s_two_heads", num_classes=(4, 3))
x = rng.normal(size=(2, 3, 45, 50))
upstream = tuple(rng.normal(size=y.shape) for y in two(x))


def gradients_for(sem, geo):
    """All gradients when the heads get these upstream gradients."""
    two.zero_grad()
    two(x)
    two.backward((sem, geo))
    return {name: gradient.copy() for name, gradient in two.grads.items()}


sem, geo = upstream
together = gradients_for(sem, geo)
only_sem, only_geo = gradients_for(sem, 0 * geo), gradients_for(0 * sem, geo)
trunk = [name for name in together if not name.startswith("score")]
sum_gap = max(gap(only_sem[name] + only_geo[name], together[name]) for name in trunk)
check("the trunk's gradient is the sum of both heads'", sum_gap < 1e-12, f"{sum_gap:.0e}, {len(trunk)} parameters")
own = all(np.array_equal(together[n], (only_sem if "_sem" in n else only_geo)[n]) for n in together if n not in trunk)
check("a head's gradient is its own", own)

# %% [markdown]
# This is why a layer **adds** to `grads` and does not set them. With skips the two heads meet in three
# places, the top, `pool4` and `pool3`. Look at `TwoHeads._backward_heads`: one line of sums, and then
# a single way down through the trunk.
#
# What does the second answer cost? Count the products of one forward.

# %%
counts = {
    name: geometry.table(models.build(name, classes, width=8), (500, 500)).multiply_adds
    for name, classes in (("fcn8s", 33), ("fcn8s_two_heads", (33, 3)))
}
extra = counts["fcn8s_two_heads"] / counts["fcn8s"] - 1
check("a second head of 3 classes costs a few hundredths of a network", 0 < extra < 0.05, f"{extra:.1%} more")

# %%
QUESTIONS = {"semantic": ("ground", "warm", "cool"), "geometric": ("ground", "far", "near")}


def both_questions(sample):
    return np.stack([what(sample), where(sample)])


asked = {split: World(scenes, VIEWS["both"], both_questions, QUESTIONS) for split, scenes in drawn.items()}
joint = models.build("mini_fcn8s_two_heads", (3, 3), width=12, fc6_kernel=2, in_channels=4, seed=SEED)
fit(joint, asked["train"], 200, 0.1, seed=SEED, device=DEVICE)
matrices = evaluate_heads(joint, asked["val"], DEVICE)
answered = {name: matrix.scores() for name, matrix in matrices.items()}
ground = np.mean([(s.labels == 0).sum() / (s.labels != 255).sum() for s in drawn["val"]])
for name, row in answered.items():
    print(f"  {name:10} pixel accuracy {row['pixel_accuracy']:.3f}   mean IU {row['mean_iu']:.3f}")
print(f"  ground alone: pixel accuracy {ground:.3f}, mean IU {ground / 3:.3f}")
least = min(row["mean_iu"] for row in answered.values())
check("one network learned both answers", least > ground / 3 + 0.1, f"mean IU {least:.3f} or more")

# %%
joint.eval()
rows = []
for i in full[:3]:
    image, (kind, distance), _ = asked["val"][i]
    guesses = [y.argmax(axis=1)[0] for y in joint(joint.transform(image)[None])]
    rows.append([image[:, :, :3], three_times(image[:, :, 3]), kind, guesses[0], distance, guesses[1]])
titles = ["colour", "depth", "what: red warm, green cool", "head 1", "how far: red far, green near", "head 2"]
viz.save_figure(viz.panels(rows, titles, "One trunk, two answers", size=2.2), "14_two_heads")

# %% [markdown]
# ## Only the outline
# How far does a network get that sees nothing but masks? Two worlds, two answers. In the first, an
# outline is white where there is a thing and black elsewhere: it cannot know warm from cool.

# %%
_, iu_outline = learn("the outline alone", "mini_fcn32s", "outline")
alone = ground / 5  # the mean IU of a map that is all ground
check("an outline cannot tell colours: below the picture", iu_outline < iu_rgb, f"{iu_outline:.3f}, {iu_rgb:.3f}")
check("but it says where things are: above 'all ground'", iu_outline > alone, f"{iu_outline:.3f}, {alone:.3f}")

# %% [markdown]
# In the second world the class *is* the outline: balloons, squares, triangles, rings, crosses, in any
# colour and texture. The picture holds the outline too, but the network has to find it first. (FCN-8s,
# since it takes a fine brush to see a shape.)

# %%
shapes = {
    split: [*datasets.Shapes(count=count, split=split, classes_by="shape", **scene)]
    for split, count in (("train", 400), ("val", 80))
}
KINDS = {"semantic": datasets.shapes.CLASSES["shape"]}
iu_shapes = {}
for view in ("colour", "outline"):
    net = models.build("mini_fcn8s", 6, width=12, fc6_kernel=2, seed=SEED)
    seen = {split: World(scenes, VIEWS[view], lambda sample: sample.labels, KINDS) for split, scenes in shapes.items()}
    fit(net, seen["train"], 200, 0.1, seed=SEED, device=DEVICE)
    iu_shapes[view] = evaluate(net, seen["val"], DEVICE).scores()["mean_iu"]
    print(f"  shapes from {view:8} mean IU {iu_shapes[view]:.3f}", flush=True)
check("where only shape counts, the outline alone does better", iu_shapes["outline"] > iu_shapes["colour"])

# %% [markdown]
# So masks alone go as far as shape goes. It is a lot here, where shape is all there is, and after so few
# steps: whoever is handed the outline need not learn to find it. (Our masks are the truth's. A real
# network would have to make them.) Nothing of this says how far shape goes in photographs.

# %% [markdown]
# # What could fool you
# **The last head wins.** Suppose backward went down the trunk once for each head, and the layers *set*
# their gradients. Every shape fits, both losses are computed, the heads learn. And the trunk learns
# for the second head alone. Only a check of the sum sees it: move the trunk a little, and compare
# what the two losses did with what the gradient foretold.

# %%
overwritten = only_geo  # what is left after the second head's backward, if layers set
step, direction = 1e-6, rng.normal(size=two.params["conv2_1.weight"].shape)


def loss_along(distance):
    """Both heads' losses together when one weight of the trunk is moved."""
    two.params["conv2_1.weight"][...] += distance * direction
    total = sum((dy * y).sum() for dy, y in zip(upstream, two(x)))
    two.params["conv2_1.weight"][...] -= distance * direction
    return total


measured = (loss_along(step) - loss_along(-step)) / (2 * step)
foretold, fooled = ((g["conv2_1.weight"] * direction).sum() for g in (together, overwritten))
right, wrong = abs(foretold / measured - 1), abs(fooled / measured - 1)
check("the sum foretells the loss", right < 1e-5, f"off by {right:.0e}")
check("the last head's gradient does not", wrong > 0.05, f"off by {wrong:.0%}")
size = np.linalg.norm(overwritten["conv2_1.weight"]) / np.linalg.norm(together["conv2_1.weight"])
check("and its size gives nothing away", 0.2 < size < 5, f"{size:.0%} of the right one's")

# %% [markdown]
# ## Exercises
# 1. *Trace.* `fcn32s` with `in_channels=4` and 40 classes: how many parameters has it more than with
#    three channels? How many has late fusion, and which of them would a *sum of features* save?
# 2. *Change.* Feed late fusion the colours twice, in both streams. It has the weights of late fusion
#    and reads no depth: is it the second trunk or the second picture that helps?
# 3. *Prove.* Late fusion is one 1x1 score layer on the concatenated features of both streams. And what
#    does weighting the second head's loss by 10 do to each gradient?
#
# Answers: `lessons/solutions/solution_14_more_inputs_outputs.py`

# %% [markdown]
# ## Claims

# %%
claims(
    [
        ("zero depth weights leave the scores as they were", zero_gap < 1e-12, "1e-12: float64, two orders"),
        ("and learn", bool((slice_gradient != 0).all()), "exact: not zero"),
        ("late fusion = the average of two networks' scores", late_gap < 1e-12, "1e-12: float64"),
        ("the colour stream's gradients do not know the depth picture", untouched, "exact: bit for bit"),
        ("the trunk's gradient is the sum of both heads'", sum_gap < 1e-12, "1e-12: float64, two orders"),
        ("a second small head costs below 5 %", 0 < extra < 0.05, "a count"),
        (
            "depth or colour < early fusion < late fusion",
            best_alone < iu_early < iu_late,
            "an order; .02 or more apart on seeds 0 to 3",
        ),
        ("one network answers two questions", least > ground / 3 + 0.1, ".1 above saying 'ground' everywhere"),
        ("outlines say nothing of colour", alone < iu_outline < iu_rgb, "an order; .03 or more apart on seeds 0 to 3"),
        (
            "where shape is the class, an outline says more than a picture, after 200 steps",
            iu_shapes["outline"] > iu_shapes["colour"],
            "an order; .04 or more apart on seeds 0 to 3",
        ),
        ("the last head's gradient alone is wrong", right < 1e-5 < 0.05 < wrong, "1e-5: finite differences"),
    ]
)

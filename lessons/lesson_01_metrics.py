"""Lesson 1: What is a segmentation worth?

Afterwards you can fill in a confusion matrix by hand, read the four metrics of the paper off it, and name
three things that bend a score: a large background, a border that is counted, classes that are not there.

Needs: Python and NumPy, no earlier lesson
Runtime: 2 s on 2 cores
"""

# %% [markdown]
# # One class for every pixel
#
# A classifier gives a picture one word. A segmentation gives every pixel one. To judge it, lay it
# over the truth and count: `n[i, j]` is the number of pixels of true class `i` that were called
# class `j`. This table is the **confusion matrix**. Its diagonal holds the pixels that are right.
#
#     truth    called           called 0   called 1   called 2
#     0 0 1    0 0 1    true 0      4          0          0
#     0 1 1    0 0 1    true 1      1          2          0
#     0 2 2    0 2 1    true 2      0          1          1

# %% [markdown]
# ## Predict
# Seven of the nine pixels are right. Before you run anything, write down:
#
# 1. Class 1 has three pixels and two of them were found. Is its score 2/3, or should the stray 1 in
#    the lower right corner cost something?
# 2. Averaged over the classes, will the score lie above or below 7/9?

# %%
from fractions import Fraction

import numpy as np

from fcn_from_scratch.course import check, claims

truth = np.array([[0, 0, 1], [0, 1, 1], [0, 2, 2]])
called = np.array([[0, 0, 1], [0, 0, 1], [0, 2, 1]])

# %% [markdown]
# ## By hand
# **Pixel accuracy** is the plain one: right pixels over all pixels. **Mean accuracy** asks each
# class how many of its own pixels were found, and averages the answers. It does not see false
# alarms.
#
# **Intersection over union** (IU) does. Take the pixels where truth *and* prediction say class `i`,
# and divide by the pixels where truth *or* prediction says it. A missed pixel and a false alarm
# both enlarge the union. **Mean IU** averages over the classes. **Frequency weighted IU** gives
# each class the weight of its pixels.

# %%
by_hand = {
    "pixel_accuracy": Fraction(4 + 2 + 1, 9),
    "mean_accuracy": (Fraction(4, 4) + Fraction(2, 3) + Fraction(1, 2)) / 3,
    "mean_iu": (Fraction(4, 5) + Fraction(2, 4) + Fraction(1, 2)) / 3,
    "frequency_weighted_iu": (4 * Fraction(4, 5) + 3 * Fraction(2, 4) + 2 * Fraction(1, 2)) / 9,
}
for name, value in by_hand.items():
    print(f"{name:22} {value!s:>6} = {float(value):.3f}")

# %% [markdown]
# ## With a loop
# The same, for any label map. One pass over the pixels fills the matrix. Everything else is read
# off it: row sums are the pixels of the truth, column sums those of the prediction.

# %%
matrix = np.zeros((3, 3), dtype=int)
for i, j in zip(truth.flat, called.flat):
    matrix[i, j] += 1

accuracies, ious = [], []
for i in range(3):
    overlap, true, predicted = matrix[i, i], matrix[i].sum(), matrix[:, i].sum()
    accuracies.append(overlap / true)
    ious.append(overlap / (true + predicted - overlap))
by_loop = {
    "pixel_accuracy": np.trace(matrix) / matrix.sum(),
    "mean_accuracy": np.mean(accuracies),
    "mean_iu": np.mean(ious),
    "frequency_weighted_iu": np.dot(matrix.sum(axis=1), ious) / matrix.sum(),
}

# %% [markdown]
# ## With the package
# `ConfusionMatrix` counts without a loop. It joins the two ids of a pixel into one number, `3 * i +
# j`, and lets `np.bincount` count the numbers. It refuses ids that do not exist: a prediction of 3
# for class 0 gives `3 * 0 + 3`, which would pass for `3 * 1 + 0`.

# %%
from fcn_from_scratch.metrics import ConfusionMatrix

confusion = ConfusionMatrix(num_classes=3).update(truth, called)
by_package = confusion.scores()
print(confusion.table(["zero", "one", "two"]))

# %%
largest = max(abs(float(by_hand[name]) - by_package[name]) for name in by_hand)
check("the loop fills the same matrix", np.array_equal(matrix, confusion.matrix))
check("four metrics from one matrix equal the counts by hand", largest < 1e-12, f"off by {largest:.0e}")
check("so do the loop's", max(abs(float(by_hand[k]) - by_loop[k]) for k in by_hand) < 1e-12)
check("the stray 1 costs class 1: its IU is below its accuracy", ious[1] < accuracies[1])
averages = by_package["mean_accuracy"], by_package["mean_iu"]
check("both averages over the classes lie below 7/9: the largest class does best", max(averages) < 7 / 9)

# %% [markdown]
# # Everything is background
# About three quarters of the pixels of PASCAL VOC are background. Say 73 %. The other 27 % are
# shared by twenty kinds of objects. Here is the laziest model there is: it looks at nothing and
# answers "background".
#
# ## Predict
# What are its pixel accuracy and its mean IU over the 21 classes?

# %%
sizes = [7300] + 20 * [135]  # 10,000 pixels, 73 % of them background; every class occurs
voc_like = np.repeat(np.arange(21), sizes)
nothing = np.zeros_like(voc_like)
lazy = ConfusionMatrix(21).update(voc_like, nothing).scores()
for name, value in lazy.items():
    print(f"{name:22} {value:.3f}")

# %% [markdown]
# Pixel accuracy is 73 %. It sounds like a model that works. Mean IU is .73/21, because twenty of
# the 21 terms are zero. That is why the field compares mean IU. Frequency weighted IU is no help
# here: it is .73 * .73, for it too listens to the pixels and not to the classes.

# %%
check("'all background' has pixel accuracy .73", abs(lazy["pixel_accuracy"] - 0.73) < 1e-12)
check("and mean IU .73/21, below .04", abs(lazy["mean_iu"] - 0.73 / 21) < 1e-12, f"{lazy['mean_iu']:.3f}")
check("frequency weighted IU is fooled as well", lazy["frequency_weighted_iu"] > 0.5)

# %% [markdown]
# # The rim that nobody counts
# Where an object ends, one pixel of a photograph holds a bit of both sides. No annotator can say
# whose it is. So VOC draws a rim of label **255** there, and the pixels of the rim are left out of
# every count. Pixels of objects that are too hard to label get 255 as well. The shapes below have
# such a rim too.
#
# 255 is not a class. Careless reading makes it one: a table from colours to ids that starts out as
# zeros sends the rim to class 0. Watch what that does to a prediction that is *right at every pixel
# that counts*. In the rim it names the object, and nothing forbids that.
#
# ## Predict
# The rim is one pixel wide. Can it cost more than a hundredth of the mean IU?

# %%
from fcn_from_scratch import datasets

shapes = datasets.build("shapes", split="train", count=40, size=96, seed=0, classes_by="shape")
labels_of = [sample.labels.astype(int) for sample in shapes]


def fill_rim(labels):
    """Give each pixel of the rim the largest class id among its eight neighbours."""
    classes = np.pad(np.where(labels == 255, 0, labels), 1)
    neighbours = np.lib.stride_tricks.sliding_window_view(classes, (3, 3))
    return np.where(labels == 255, neighbours.max(axis=(2, 3)), labels)


# %%
def score(all_labels, all_predictions):
    """The four metrics over a whole set: one matrix, filled image by image, read once."""
    confusion = ConfusionMatrix(len(shapes.classes))
    for labels, predictions in zip(all_labels, all_predictions):
        confusion.update(labels, predictions)
    return confusion.scores()


flawless = [fill_rim(labels) for labels in labels_of]
rim_ignored = score(labels_of, flawless)["mean_iu"]
rim_as_background = score([np.where(labels == 255, 0, labels) for labels in labels_of], flawless)["mean_iu"]
print(f"mean IU: rim ignored {rim_ignored:.3f}, rim counted as class 0 {rim_as_background:.3f}")

# %%
check("a prediction that is right at every valid pixel scores exactly 1", rim_ignored == 1)
check("counting 255 as class 0 takes more than .05 from it", rim_ignored - rim_as_background > 0.05)

# %% [markdown]
# ## The picture
# A coarse prediction: from each block of 16 x 16 pixels one is kept, and it speaks for the whole
# block. That is what a label map keeps at stride 16. (A network of stride 16 can do better: it
# enlarges scores, not answers. Lesson 12 measures how much.) In the last panel one class is taken
# out. Its IU is the area where truth and prediction overlap, over the area of all three colours.

# %%
from fcn_from_scratch import viz


def coarse(labels, stride):
    """Keep the middle pixel of each stride x stride block and repeat it over the block."""
    kept = labels[stride // 2 :: stride, stride // 2 :: stride]
    return kept.repeat(stride, axis=0).repeat(stride, axis=1)


square = shapes.classes.index("square")
first = next(n for n, labels in enumerate(labels_of) if (labels == square).sum() > 500)
image, labels, predictions = shapes[first].image, labels_of[first], coarse(flawless[first], 16)
valid = labels != 255
in_truth, in_prediction = (labels == square) & valid, (predictions == square) & valid
square_iu = (in_truth & in_prediction).sum() / (in_truth | in_prediction).sum()

# %%
kind = in_truth + 2 * in_prediction + 4 * ~valid  # 0 neither, 1 missed, 2 false alarm, 3 both, 4.. rim
overlap = viz.colourise(
    np.minimum(kind, 4),
    palette=[(236, 236, 236), (209, 112, 60), (59, 110, 165), (78, 154, 107), (255, 255, 255)],
)
figure = viz.panels(
    [[image, labels, predictions, overlap]],
    titles=["image", "truth, rim in beige", "prediction of stride 16", f"'square': IU = {square_iu:.2f}"],
    caption="IU is overlap over union; the rim of label 255 belongs to neither",
    classes=shapes.classes,
)
figure.axes[3].set_xlabel("green both, orange missed,\nblue false alarm, white rim")
viz.save_figure(figure, "01_overlap")
per_class = ConfusionMatrix(len(shapes.classes)).update(labels, predictions).per_class()
check("the areas in the picture give the package's IU", abs(square_iu - per_class.iu[square]) < 1e-12)

# %% [markdown]
# ## Which metric sees what?
# Five predictions for the same forty pictures, from worthless to flawless. By pixel accuracy a
# prediction of stride 32 is worth about as much as no answer at all, though it shows roughly where
# things are. Mean IU tells the two apart, and spreads the five over the whole scale.

# %%
contenders = {"all background": [np.zeros_like(labels) for labels in labels_of]}
for stride in (32, 16, 8):
    contenders[f"stride {stride}"] = [coarse(labels, stride) for labels in flawless]
contenders["flawless"] = flawless
results = {name: score(labels_of, predictions) for name, predictions in contenders.items()}

# %%
figure, ax = viz.new_figure("Pixel accuracy flatters 'all background'; mean IU does not")
shades = ["#b8b8b8", "#a9c4e0", "#6f9bc8", "#3b6ea5", "#4e9a6b"]
for k, (name, scores) in enumerate(results.items()):
    ax.bar(np.arange(4) + 0.16 * (k - 2), list(scores.values()), 0.14, label=name, color=shades[k])
ax.set_xticks(range(4), [metric.replace("_", " ").replace("iu", "IU") for metric in lazy])
ax.grid(axis="x", visible=False)
ax.set_ylim(0, 1.18)
ax.legend(ncols=5, loc="upper center", frameon=False, fontsize=8)
viz.save_figure(figure, "01_four_metrics")

# %%
none, coarsest = results["all background"], results["stride 32"]
order = [scores["mean_iu"] for scores in results.values()]
check("mean IU rises from each prediction to the next", order == sorted(order))
gain = coarsest["pixel_accuracy"] - none["pixel_accuracy"]
check("over no answer at all, stride 32 gains less than .05 in pixel accuracy", gain < 0.05, f"{gain:.3f}")
check("and more than doubles its mean IU", coarsest["mean_iu"] > 2 * none["mean_iu"])

# %% [markdown]
# # A class that is not there
# Four classes. The truth holds only 0 and 1, and once the prediction says 2.
#
#     truth       0 0 0 1 1 255 255
#     prediction  0 0 2 1 0  2   1
#
# Class 3 is neither present nor predicted. Its IU is 0/0, and everybody leaves it out. Class 2 is
# absent but was predicted: its IU is 0/1. Does this zero enter the mean? Two answers are in use.
#
# - **Yes**: the code that was released with the paper averages whatever is not 0/0, and its
#   rebuilds in other frameworks do the same. This is what `scores()` does.
# - **No**: the paper's text. Three of SIFT Flow's 33 classes do not occur in the test set. A
#   footnote says that all 33 are predicted and the 30 others are evaluated. This is
#   `scores(absent="skip")`.
#
# Neither is wrong, but one stray pixel decides between 1/3 and 1/2 here. Say which one you report.

# %%
present = np.array([0, 0, 0, 1, 1, 255, 255])
guess = np.array([0, 0, 2, 1, 0, 2, 1])
stray = ConfusionMatrix(4).update(present, guess)
counted, skipped = stray.scores()["mean_iu"], stray.scores(absent="skip")["mean_iu"]
print(stray.table())
check("counting the absent class: (1/2 + 1/2 + 0) / 3", abs(counted - 1 / 3) < 1e-12)
check("skipping it: (1/2 + 1/2) / 2", abs(skipped - 1 / 2) < 1e-12)

# %% [markdown]
# # One matrix for the whole set
# Two pictures, two classes, and the lazy model again. Picture A is all background. In picture B
# half is class 1.
#
# - A on its own: class 0 has IU 8/8, class 1 does not occur. Mean IU 1.
# - B on its own: IU 4/8 and 0/4. Mean IU 1/4.
# - Both in one matrix: IU 12/16 and 0/4. Mean IU 3/8.
#
# The average over pictures, 5/8, is a different number, and a kinder one: in a picture where a
# class does not occur it costs nothing to know nothing about it. The paper's metrics are read off
# **one matrix for the whole set**.

# %%
a, b = np.zeros(8, dtype=int), np.repeat([0, 1], 4)
answer = np.zeros(8, dtype=int)
matrix_a, matrix_b = ConfusionMatrix(2).update(a, answer), ConfusionMatrix(2).update(b, answer)
per_image = (matrix_a.scores()["mean_iu"] + matrix_b.scores()["mean_iu"]) / 2
whole_set = matrix_a.merge(matrix_b).scores()["mean_iu"]
check("the mean of the two pictures' mean IU is 5/8", per_image == 5 / 8)
check("the mean IU of the whole set is 3/8", whole_set == 3 / 8)

# %%
lazy_on_each = [score([labels], [np.zeros_like(labels)])["mean_iu"] for labels in labels_of]
kindness = np.mean(lazy_on_each) - none["mean_iu"]
check("the average over the forty pictures is kinder too", kindness > 0.05, f"by {kindness:.2f}")

# %% [markdown]
# # What could fool you
# Swap the two arguments: `update(predictions, labels)`. The matrix is transposed, and a test with
# pixel accuracy and mean IU will never notice. The diagonal stays, and a union does not care who
# comes first. But the rows are now the prediction: "mean accuracy" turns into mean *precision* (of
# the pixels called `i`, how many are `i`?), and the weights of the frequency weighted IU are taken
# from the model instead of the truth.

# %%
swapped = ConfusionMatrix(3).update(called, truth).scores()
for name in by_package:
    print(f"{name:22} right {by_package[name]:.3f}   swapped {swapped[name]:.3f}")
check("swapped, pixel accuracy is the same", swapped["pixel_accuracy"] == by_package["pixel_accuracy"])
check("and mean IU is the same", swapped["mean_iu"] == by_package["mean_iu"])
check("only mean accuracy", abs(swapped["mean_accuracy"] - by_package["mean_accuracy"]) > 0.01)
check(
    "and frequency weighted IU give it away",
    abs(swapped["frequency_weighted_iu"] - by_package["frequency_weighted_iu"]) > 0.01,
)

# %% [markdown]
# # Exercises
# 1. **Trace.** Truth `0 0 1 1 2 2 255`, prediction `0 1 1 1 2 0 2`, three classes. Fill in the
#    matrix on paper, then the four metrics as fractions.
# 2. **Change.** Count with `np.bincount(K * truth + called)` alone, without any test of the ids,
#    and let one prediction be `K`. Whose row does the pixel land in? Find a case in which the slip
#    *raises* pixel accuracy.
# 3. **Prove.** The IU of a class is never above its accuracy. When are they equal? Conclude that
#    frequency weighted IU is never above pixel accuracy.
#
# Answers: `lessons/solutions/solution_01_metrics.py`.

# %% [markdown]
# # Claims
# Everything this lesson showed, once more in one place.

# %%
claims(
    [
        (
            "four metrics from one confusion matrix equal the counts by hand",
            all(abs(float(by_hand[name]) - by_package[name]) < 1e-12 for name in by_hand),
            "1e-12: fractions against float64",
        ),
        (
            "'all background' on 73 % background: pixel accuracy .73, mean IU .73/21 with 21 classes present",
            abs(lazy["pixel_accuracy"] - 0.73) < 1e-12 and abs(lazy["mean_iu"] - 0.73 / 21) < 1e-12,
            "1e-12: a handful of float64 operations",
        ),
        (
            "counting 255 as class 0 changes the score of a flawless prediction",
            rim_ignored == 1 and rim_as_background < 0.95,
            "exactly 1: nothing is wrong; .05 is well below the cost of a rim one pixel wide",
        ),
        (
            "pixel accuracy does not lift stride 32 above no answer at all, mean IU does",
            gain < 0.05 and coarsest["mean_iu"] > 2 * none["mean_iu"],
            "wide margins: the gain is near zero, the factor near three",
        ),
        (
            "a class that is absent but predicted: 1/3 when it counts, 1/2 when it is skipped",
            abs(counted - 1 / 3) < 1e-12 and abs(skipped - 1 / 2) < 1e-12,
            "1e-12: a mean of three",
        ),
        (
            "mean IU of the whole set is not the mean of the pictures' mean IU",
            whole_set == 3 / 8 and per_image == 5 / 8 and kindness > 0.05,
            "eighths are exact in binary; .05 is far above rounding",
        ),
        (
            "with truth and prediction swapped only mean accuracy and frequency weighted IU change",
            [name for name in by_package if abs(swapped[name] - by_package[name]) > 1e-12]
            == ["mean_accuracy", "frequency_weighted_iu"],
            "1e-12: rounding lies far below",
        ),
    ]
)

# %% [markdown]
"""
# Lesson 1: How is a segmentation scored?

After this lesson you can count the errors of a segmentation in one table and compute the
four metrics of the paper from it. You also know what distorts them: a large background, a
border that is counted, a class that does not occur.

Needs: Python and NumPy, no earlier lesson. Words: the [glossary](../docs/glossary.md).

Fast path: lesson 5 comes next.

Runtime: 2 s on 2 cores
"""

# %% [markdown]
# ## One class for every pixel
#
# A classifier gives a picture one class. A segmentation gives every pixel a class: it is a
# **label map**, an integer for each pixel. To judge it, we compare it with the true label
# map and count: $n_{ij}$ is the number of pixels of true class $i$ that were predicted as
# class $j$. This table is the **confusion matrix**. The pixels that are counted on its
# diagonal are right.
#
#     truth    prediction            predicted 0   predicted 1   predicted 2
#     0 0 1      0 0 1      true 0        4             0             0
#     0 1 1      0 0 1      true 1        1             2             0
#     0 2 2      0 2 1      true 2        0             1             1

# %% [markdown]
# ## Predict
# Seven of the nine pixels are right. Write your answers down before you run anything.
#
# 1. We look for a value between 0 and 1 that says how good the prediction of one class is.
#    Class 1 has three pixels, and two of them were found. Is its value 2/3? Or must the
#    wrong 1 in the lower right corner make it smaller?
# 2. Take such a value for each class and average the three. Is the average above or below
#    7/9?

# %%
from fractions import Fraction

import numpy as np

from fcn_from_scratch.course import check, claims, seed

SEED = seed()
truth = np.array([[0, 0, 1], [0, 1, 1], [0, 2, 2]])
predicted = np.array([[0, 0, 1], [0, 0, 1], [0, 2, 1]])

# %% [markdown]
# ## By hand
# **Pixel accuracy** is the part of all pixels that is right. The accuracy of a class is the
# part of its pixels that was found. **Mean accuracy** is the average over the classes. It
# ignores false positives: pixels that were predicted as the class but do not belong to it.
#
# Intersection over union, in short **IU**, counts false positives too. Take the pixels
# where truth *and* prediction are class $i$, and divide by those where truth *or*
# prediction is class $i$. A missed pixel and a false positive both enlarge the union. Let
# $t_i$ be the number of pixels of class $i$ in the truth, and $p_i$ their number in the
# prediction. The pixels in both are counted twice in $t_i + p_i$, so
#
# $$
# \mathrm{IU}_i = \frac{n_{ii}}{t_i + p_i - n_{ii}}
# $$
#
# **Mean IU** averages over the classes. **Frequency weighted IU** weights each class by its
# number of pixels.

# %%
accuracy = [Fraction(4, 4), Fraction(2, 3), Fraction(1, 2)]  # of the three classes
iu = [Fraction(4, 5), Fraction(2, 4), Fraction(1, 2)]
by_hand = {
    "pixel_accuracy": Fraction(4 + 2 + 1, 9),
    "mean_accuracy": sum(accuracy) / 3,
    "mean_iu": sum(iu) / 3,
    "frequency_weighted_iu": (4 * iu[0] + 3 * iu[1] + 2 * iu[2]) / 9,
}
for name, value in by_hand.items():
    print(f"{name:22} {value!s:>6} = {float(value):.3f}")

# %% [markdown]
# ## With a loop
# One pass over the pixels fills the matrix. Its row sums are the $t_i$, the pixels of the
# truth, and its column sums are the $p_i$, those of the prediction.

# %%
matrix = np.zeros((3, 3), dtype=int)
for i, j in zip(truth.flat, predicted.flat):
    matrix[i, j] += 1

accuracies, ious = [], []
for i in range(3):
    overlap, of_truth, of_prediction = matrix[i, i], matrix[i].sum(), matrix[:, i].sum()
    accuracies.append(overlap / of_truth)
    ious.append(overlap / (of_truth + of_prediction - overlap))
by_loop = {
    "pixel_accuracy": np.trace(matrix) / matrix.sum(),
    "mean_accuracy": np.mean(accuracies),
    "mean_iu": np.mean(ious),
    "frequency_weighted_iu": np.dot(matrix.sum(axis=1), ious) / matrix.sum(),
}

# %% [markdown]
# ## With the package
# `ConfusionMatrix` needs no loop. It joins the two classes of a pixel, `i` and `j`, into
# one number, `3 * i + j`. Then `np.bincount` counts these numbers. A prediction of 3 for
# class 0 gives `3 * 0 + 3`, which is also `3 * 1 + 0`: the pixel would move to another row.
# So the package refuses a class number (an *id*) that does not exist.

# %%
from fcn_from_scratch.metrics import ConfusionMatrix

confusion = ConfusionMatrix(num_classes=3).update(truth, predicted)
by_package = confusion.scores()
print(confusion.table(["zero", "one", "two"]))
refusal = ""
try:
    ConfusionMatrix(3).update(np.array([0]), np.array([3]))
except ValueError as error:
    refusal = str(error)

# %%
largest = max(abs(float(by_hand[name]) - by_package[name]) for name in by_hand)
check("the loop fills the same matrix", np.array_equal(matrix, confusion.matrix))
check(
    "four metrics from one matrix equal the counts by hand",
    largest < 1e-12,
    f"off by {largest:.0e}",
)
check(
    "so do the four metrics from the loop",
    max(abs(float(by_hand[k]) - by_loop[k]) for k in by_hand) < 1e-12,
)
check("class 1 has accuracy 2/3 and IU 2/4", (accuracies[1], ious[1]) == (2 / 3, 2 / 4))
check(
    "mean accuracy is 13/18", by_hand["mean_accuracy"] == Fraction(13, 18) < Fraction(7, 9)
)
check("mean IU is 3/5", by_hand["mean_iu"] == Fraction(3, 5) < Fraction(7, 9))
check("the package refuses the id 3 and names it", "id 3" in refusal, refusal)

# %% [markdown] tags=["answer"]
# > **Prediction 1.** The IU of class 1 is 2/4, because the wrong 1 enlarges the union from
# > three pixels to four. If you wrote 2/3, you computed its accuracy, which ignores false
# > positives.

# %% [markdown] tags=["answer"]
# > **Prediction 2.** Both averages are below 7/9: mean accuracy is 13/18 and mean IU is
# > 3/5. Class 0 has the best values. Pixel accuracy counts it with four of nine pixels, but
# > in the two averages it is only one of three classes.

# %% [markdown]
# ## Everything is background
# About three quarters of the pixels of PASCAL VOC are background, let us say 73 %. Twenty
# classes share the other 27 %. Consider a model that always predicts "background".
#
# ### Predict
# 3. What are its pixel accuracy and its mean IU over the 21 classes?

# %%
sizes = [7300] + 20 * [135]  # 10,000 pixels, 73 % of them background; every class occurs
voc_like = np.repeat(np.arange(21), sizes)
lazy = ConfusionMatrix(21).update(voc_like, np.zeros_like(voc_like)).scores()
for name, value in lazy.items():
    print(f"{name:22} {value:.3f}")

check("'all background' has pixel accuracy .73", abs(lazy["pixel_accuracy"] - 0.73) < 1e-12)
check(
    "its mean IU is .73/21 = .035",
    abs(lazy["mean_iu"] - 0.73 / 21) < 1e-12,
    f"{lazy['mean_iu']:.3f}",
)
check(
    "its frequency weighted IU is .73 * .73",
    abs(lazy["frequency_weighted_iu"] - 0.73**2) < 1e-12,
)

# %% [markdown] tags=["answer"]
# > **Prediction 3.** Pixel accuracy is .73, as if the model worked. Mean IU is .73/21 =
# > .035, because the IU of twenty of the 21 classes is zero.

# %% [markdown]
# This is why the field compares mean IU. Frequency weighted IU is .73 * .73: it too depends
# mostly on the largest class.

# %% [markdown]
# ## The border that is not counted
# At the edge of an object a pixel shows a little of both sides, and nobody can say which
# class it has. VOC gives such pixels the label **255**. They are **void**: they have no
# class, and every count leaves them out. Objects that are too hard to label are void as
# well. The package's drawn scenes have a void border one pixel wide around each shape.
#
# 255 is not a class, but a program can turn it into one by mistake. For example, a program
# looks up the class of each colour in a table, and the table contains 0 wherever nothing
# was entered. Then the border becomes class 0. Now take a prediction that is right at every
# pixel that counts. In the border it predicts the object.
#
# ### Predict
# 4. The border holds 6 % of the pixels. How much mean IU does that prediction lose when the
#    border is counted as class 0: about .01, about .06, or about .2?

# %%
from fcn_from_scratch import datasets

shapes = datasets.build(
    "shapes", split="train", count=40, size=96, seed=SEED, classes_by="shape"
)
labels_of = [sample.labels.astype(int) for sample in shapes]


def fill_border(labels):
    """Give each void pixel the largest class id among its eight neighbours."""
    classes = np.pad(np.where(labels == 255, 0, labels), 1)
    neighbours = np.lib.stride_tricks.sliding_window_view(classes, (3, 3))
    return np.where(labels == 255, neighbours.max(axis=(2, 3)), labels)


def measure(all_labels, all_predictions):
    """The four metrics over a whole set: one matrix, to which each picture is added."""
    confusion = ConfusionMatrix(len(shapes.classes))
    for labels, predictions in zip(all_labels, all_predictions):
        confusion.update(labels, predictions)
    return confusion.scores()


# %%
flawless = [fill_border(labels) for labels in labels_of]
border_share = np.mean([labels == 255 for labels in labels_of])
# neither background, 0, nor void, 255
shape_share = np.mean([labels % 255 > 0 for labels in labels_of])
border_void = measure(labels_of, flawless)["mean_iu"]
wrongly_read = measure(
    [np.where(labels == 255, 0, labels) for labels in labels_of], flawless
)
border_as_0 = wrongly_read["mean_iu"]
print(f"mean IU: border ignored {border_void:.3f}, border as class 0 {border_as_0:.3f}")

check(
    "the border holds about 6 % of the pixels",
    0.05 < border_share < 0.07,
    f"{border_share:.3f}",
)
check(
    "that is about a quarter of what the shapes hold",
    0.2 < border_share / shape_share < 0.33,
)
check("a prediction that is right at every valid pixel has mean IU 1", border_void == 1)
check(
    "counting 255 as class 0 costs .06 of pixel accuracy",
    0.05 < 1 - wrongly_read["pixel_accuracy"] < 0.07,
)
check(
    "and about .2 of mean IU",
    0.17 < border_void - border_as_0 < 0.23,
    f"{1 - border_as_0:.3f}",
)

# %% [markdown] tags=["answer"]
# > **Prediction 4.** It loses about .2. The shapes are small: their borders hold a quarter
# > as many pixels as they do, and these are now false positives. So the IU of a shape is
# > about 1 / (1 + 1/4) = .8. If you wrote .06, you computed pixel accuracy.

# %% [markdown]
# ## Which metric sees what?
# Here are five predictions for the same forty pictures. Three of them are coarse: a block
# of 32 x 32, 16 x 16 or 8 x 8 pixels gets a single label, that of its middle. (A network
# with one answer for each block can do better, see lesson 12.)


# %%
def coarse(labels, block):
    """Keep the middle label of each block x block square and repeat it over the square."""
    kept = labels[block // 2 :: block, block // 2 :: block]
    return kept.repeat(block, axis=0).repeat(block, axis=1)


contenders = {"all background": [np.zeros_like(labels) for labels in labels_of]}
for block in (32, 16, 8):
    contenders[f"blocks of {block}"] = [coarse(labels, block) for labels in flawless]
contenders["flawless"] = flawless
results = {
    name: measure(labels_of, predictions) for name, predictions in contenders.items()
}

# %%
none, coarsest = results["all background"], results["blocks of 32"]
order = [metrics["mean_iu"] for metrics in results.values()]
gain = coarsest["pixel_accuracy"] - none["pixel_accuracy"]
factor = coarsest["mean_iu"] / none["mean_iu"]
check(
    "mean IU rises from each prediction to the next by .1 or more",
    min(np.diff(order)) > 0.1,
)
check(
    "in pixel accuracy, blocks of 32 are worth no more than 'all background'",
    abs(gain) < 0.05,
    f"{gain:+.3f}",
)
check(
    "in mean IU, they are worth three times as much",
    2.5 < factor < 3.5,
    f"{factor:.2f} times",
)

# %% [markdown]
# Blocks of 32 show roughly where things are. Pixel accuracy is no higher for this, but mean
# IU is.
#
# IU can be seen in a picture. Take one scene, and the class "square" of its prediction in
# blocks of 16. Count the pixels where truth and prediction overlap, and those of the union.
# The figure in "The drawings" shows both areas.

# %%
square = shapes.classes.index("square")
first = next(n for n, labels in enumerate(labels_of) if (labels == square).sum() > 500)
labels, predictions = labels_of[first], coarse(flawless[first], 16)
valid = labels != 255
in_truth, in_prediction = (labels == square) & valid, (predictions == square) & valid
overlap = (in_truth & in_prediction).sum() / (in_truth | in_prediction).sum()
per_class = ConfusionMatrix(len(shapes.classes)).update(labels, predictions).per_class()
check("the areas give the package's IU", abs(overlap - per_class.iu[square]) < 1e-12)

# %% [markdown]
# ## A class that does not occur
# Of four classes the truth contains only 0 and 1, and one pixel is predicted as 2.
#
#     truth       0 0 0 1 1 255 255
#     prediction  0 0 2 1 0  2   1
#
# Class 3 is neither present nor predicted. Its IU is 0/0, so it is left out of the mean.
# Class 2 is absent but was predicted, so its IU is 0/1. Does this zero enter the mean?
# There are two answers.
#
# - **It does** in the authors' code. There `score.py` (in their repository
#   fcn.berkeleyvision.org) averages everything that is not 0/0. So does the package.
# - **It does not** in the paper's text. Three of SIFT Flow's 33 classes do not occur in the
#   test set. A footnote says that all 33 are predicted, and only the other 30 are
#   evaluated.
#
# Neither is wrong. But here one pixel decides between 1/3 and 1/2. So always say which of
# the two rules you used.

# %%
present = np.array([0, 0, 0, 1, 1, 255, 255])
guess = np.array([0, 0, 2, 1, 0, 2, 1])
absent = ConfusionMatrix(4).update(present, guess)
counted, left_out = absent.scores()["mean_iu"], absent.scores(absent="skip")["mean_iu"]
print(absent.table())
check("with the absent class: (1/2 + 1/2 + 0) / 3", abs(counted - 1 / 3) < 1e-12)
check("without it: (1/2 + 1/2) / 2", abs(left_out - 1 / 2) < 1e-12)

# %% [markdown]
# ## One matrix for the whole set
# Take two pictures, two classes, and again the prediction "all background". Picture A is
# all background. Half of picture B is class 1.
#
# - A alone: class 0 has IU 8/8, and class 1 does not occur. Mean IU is 1.
# - B alone: the IUs are 4/8 and 0/4. Mean IU is 1/4.
# - Both in one matrix: the IUs are 12/16 and 0/4. Mean IU is 3/8.
#
# The average over the pictures is 5/8, which is higher. The reason is that picture A does
# not contain the class that the model never finds. The paper computes its metrics from
# **one matrix for the whole set**.

# %%
a, b, answer = np.zeros(8, dtype=int), np.repeat([0, 1], 4), np.zeros(8, dtype=int)
matrix_a, matrix_b = (ConfusionMatrix(2).update(one, answer) for one in (a, b))
per_image = (matrix_a.scores()["mean_iu"] + matrix_b.scores()["mean_iu"]) / 2
whole_set = matrix_a.merge(matrix_b).scores()["mean_iu"]
check("the average of the two pictures' mean IU is 5/8", per_image == 5 / 8)
check("the mean IU of the whole set is 3/8", whole_set == 3 / 8)

# %%
lazy_on_each = [
    measure([labels], [np.zeros_like(labels)])["mean_iu"] for labels in labels_of
]
ratio = np.mean(lazy_on_each) / none["mean_iu"]
check(
    "on the forty pictures the average is nearly twice as high",
    1.4 < ratio < 2.2,
    f"{ratio:.2f} times",
)

# %% [markdown]
# ## What could fool you
# Suppose that you exchange the two arguments by mistake: `update(predictions, labels)`.
# Then the matrix is transposed.
#
# ### Predict
# 5. How many of the four metrics change?

# %%
swapped = ConfusionMatrix(3).update(predicted, truth).scores()
changed = [name for name in by_package if abs(swapped[name] - by_package[name]) > 0.01]
for name in by_package:
    print(f"{name:22} right {by_package[name]:.3f}   exchanged {swapped[name]:.3f}")
check(
    "two of the four metrics change", changed == ["mean_accuracy", "frequency_weighted_iu"]
)
check("pixel accuracy does not", swapped["pixel_accuracy"] == by_package["pixel_accuracy"])
check("mean IU does not", swapped["mean_iu"] == by_package["mean_iu"])

# %% [markdown] tags=["answer"]
# > **Prediction 5.** Two of them change. The diagonal and the unions stay the same, so
# > pixel accuracy and mean IU stay the same. A test with these two metrics cannot find the
# > mistake. But the rows now belong to the prediction. Mean accuracy becomes mean
# > *precision*: which part of the pixels predicted as `i` is `i`? And frequency weighted IU
# > takes its weights from the prediction.

# %% [markdown]
# ## The drawings
# The last panel considers one class. Its IU is the green area over the area of green,
# orange and blue together.

# %%
from fcn_from_scratch import viz


# neither, missed, false positive, both, void
KINDS = [(236, 236, 236), (209, 112, 60), (59, 110, 165), (78, 154, 107), (255, 255, 255)]


def draw_overlap():
    """A picture, its truth, a coarse prediction, and both together for the squares."""
    kind = np.where(valid, in_truth + 2 * in_prediction, 4)
    rows = [[shapes[first].image, labels], [predictions, viz.colourise(kind, KINDS)]]
    caption = "IU is the overlap divided by the union\n(void pixels are in neither of them)"
    titles = ["image", "truth, void in beige", "prediction in blocks of 16"]
    titles.append(f"'square': IU = {overlap:.2f}")
    figure = viz.panels(rows, titles, caption, classes=shapes.classes, size=2.8)
    figure.axes[3].set_xlabel(
        "green: both, orange: missed,\nblue: false positive, white: void"
    )
    viz.show(figure, "01_overlap")


draw_overlap()

# %% [markdown]
# Compare the grey bar with the palest blue one: they are almost equal in pixel accuracy. In
# mean IU the blue one is three times as high.


# %%
def draw_four_metrics():
    """Five predictions and four metrics, as groups of bars."""
    figure, ax = viz.new_figure(
        "Pixel accuracy rates 'all background' high, and mean IU rates it low"
    )
    shades = ["#b8b8b8", "#a9c4e0", "#6f9bc8", "#3b6ea5", "#4e9a6b"]
    for k, (name, metrics) in enumerate(results.items()):
        ax.bar(
            np.arange(4) + 0.16 * (k - 2),
            list(metrics.values()),
            0.14,
            label=name,
            color=shades[k],
        )
    ax.set_xticks(
        range(4), [metric.replace("_", " ").replace("iu", "IU") for metric in lazy]
    )
    ax.grid(axis="x", visible=False)
    ax.set_ylim(0, 1.18)
    ax.set_ylabel("value of the metric")
    ax.legend(ncols=5, loc="upper center", fontsize=9, handlelength=1, columnspacing=1.2)
    viz.show(figure, "01_four_metrics")


draw_four_metrics()

# %% [markdown]
# ## Exercises
# 1. **Trace.** Given a true and a predicted label map, count the pixels for the confusion
#    matrix. Void pixels of the truth are left out.
# 2. **Change.** Given a confusion matrix, compute mean IU in both ways of treating a class
#    that does not occur in the truth.
# 3. **Prove.** Write the accuracy of a class minus its IU as one fraction, and see from it
#    that the IU is never above the accuracy.
#
# `fcn exercise 1` writes a file for each of them, `fcn exercise 1 --check FILE` checks your
# answer, `fcn exercise 1 --solution` shows ours.

# %% [markdown]
# ## Claims

# %%
claims(
    [
        (
            "four metrics from one confusion matrix equal the counts by hand",
            all(abs(float(by_hand[name]) - by_package[name]) < 1e-12 for name in by_hand),
            "1e-12: fractions against float64",
        ),
        (
            "'all background' on 73 % background: pixel accuracy .73, mean IU .73/21",
            abs(lazy["pixel_accuracy"] - 0.73) < 1e-12
            and abs(lazy["mean_iu"] - 0.73 / 21) < 1e-12,
            "1e-12: a handful of float64 operations",
        ),
        (
            "counting 255 as class 0 costs a flawless prediction about .2",
            border_void == 1 and 0.77 < border_as_0 < 0.83,
            "exactly 1: nothing is wrong; seeds 0, 1, 2, 7, 11 lose .195 to .201",
        ),
        (
            "blocks of 32: the pixel accuracy of 'all background', three times its IU",
            abs(gain) < 0.05 and 2.5 < factor < 3.5,
            "the five seeds gain -.023 to .015, and their factors are 2.96 to 3.18",
        ),
        (
            "mean IU separates all five predictions",
            min(np.diff(order)) > 0.1,
            "the smallest step of the five seeds is .17",
        ),
        (
            "a class that is absent but predicted: 1/3 if it counts, 1/2 if it does not",
            abs(counted - 1 / 3) < 1e-12 and abs(left_out - 1 / 2) < 1e-12,
            "1e-12: a mean of three",
        ),
        (
            "mean IU of the whole set is not the average of the pictures' mean IU",
            whole_set == 3 / 8 and per_image == 5 / 8 and 1.4 < ratio < 2.2,
            "eighths are exact in binary; the ratios of the five seeds are 1.70 to 1.83",
        ),
        (
            "with truth and prediction exchanged, two metrics change and two do not",
            changed == ["mean_accuracy", "frequency_weighted_iu"]
            and swapped["mean_iu"] == by_package["mean_iu"],
            ".01: the two change by .03 or more; the others are equal",
        ),
    ]
)

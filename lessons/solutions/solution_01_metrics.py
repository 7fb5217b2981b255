"""Lesson 1, answers to the exercises: what is a segmentation worth?"""

# %%
from fractions import Fraction

import numpy as np

from fcn_from_scratch.course import check
from fcn_from_scratch.metrics import ConfusionMatrix

# %% [markdown]
# ## 1. Trace
# The seventh pixel is ignored, whatever was predicted there. The six others:
#
#               called 0  called 1  called 2     accuracy   IU
#     true 0        1         1         0          1/2      1 / (2 + 2 - 1) = 1/3
#     true 1        0         2         0          2/2      2 / (2 + 3 - 2) = 2/3
#     true 2        1         0         1          1/2      1 / (2 + 1 - 1) = 1/2
#
# All three classes have two pixels, so both averages of the IU weigh them alike.

# %%
truth = np.array([0, 0, 1, 1, 2, 2, 255])
called = np.array([0, 1, 1, 1, 2, 0, 2])
confusion = ConfusionMatrix(3).update(truth, called)
scores = confusion.scores()
expected = {
    "pixel_accuracy": Fraction(4, 6),
    "mean_accuracy": (Fraction(1, 2) + 1 + Fraction(1, 2)) / 3,
    "mean_iu": (Fraction(1, 3) + Fraction(2, 3) + Fraction(1, 2)) / 3,
    "frequency_weighted_iu": (Fraction(1, 3) + Fraction(2, 3) + Fraction(1, 2)) / 3,
}
check("the matrix is the one on paper", confusion.matrix.tolist() == [[1, 1, 0], [0, 2, 0], [1, 0, 1]])
check("so are the four metrics", all(abs(scores[k] - float(v)) < 1e-12 for k, v in expected.items()))

# %% [markdown]
# ## 2. Change
# `K * 0 + K` is `K * 1 + 0`: the pixel of class 0 that was called `K` is filed as a pixel of class
# 1 that was called
# 0. It has changed its row, and nothing was said.
#
# A pixel of class `i` called `K + i + 1` lands at `K * i + K + i + 1`, which is row `i + 1`, column
# `i + 1`: on the diagonal. A wrong answer has become a right one.

# %%
K = 3


def careless(truth, called):
    return np.bincount(K * truth + called, minlength=K * K).reshape(K, K)


matrix = careless(np.array([0]), np.array([K]))
check("truth 0, prediction K is counted as truth 1, prediction 0", matrix[1, 0] == matrix.sum() == 1)

truth, called = np.array([0, 0, 1, 2]), np.array([0, K + 1, 1, 2])
matrix = careless(truth, called)
slipped, honest = np.trace(matrix) / matrix.sum(), np.mean(truth == called)
check("the slip raises pixel accuracy", slipped > honest, f"{honest:.2f} to {slipped:.2f}")
refused = False
try:
    ConfusionMatrix(K).update(truth, called)
except ValueError as error:
    refused = "4" in str(error)
check("the package refuses the prediction and names its id", refused)

# %% [markdown]
# ## 3. Prove
# For class `i` let `n` be the pixels that are right, `t` those of the truth and `p` those of the
# prediction. Then `n <= p`, for the right ones are among the predicted ones. So the union `t + p -
# n` is at least `t`, and
#
#     IU = n / (t + p - n) <= n / t = accuracy.
#
# They are equal when `p = n` (the class has no false alarm), or when `n = 0` and both are zero.
#
# Multiply by `t` and sum over the classes present: `sum t * IU <= sum n`. Divided by the number of
# all pixels, the left side is the frequency weighted IU, and the right side is the pixel accuracy.
#
# A proof needs no test, but a test may find a slip in it. Here are a thousand random matrices.

# %%
rng = np.random.default_rng(0)
below, below_weighted, equal_when = True, True, True
for _ in range(1000):
    confusion = ConfusionMatrix(4)
    confusion.matrix += rng.integers(0, 4, (4, 4))
    iu, accuracy, _ = confusion.per_class()
    scores = confusion.scores()
    n, t, p = np.diag(confusion.matrix), confusion.matrix.sum(axis=1), confusion.matrix.sum(axis=0)
    present = t > 0
    below &= bool((iu <= accuracy)[present].all())
    below_weighted &= scores["frequency_weighted_iu"] <= scores["pixel_accuracy"] + 1e-12
    equal_when &= np.array_equal((iu == accuracy)[present], ((p == n) | (n == 0))[present])
check("IU is never above accuracy", below)
check("they are equal just when there is no false alarm or nothing is right", equal_when)
check("frequency weighted IU is never above pixel accuracy (1e-12: rounding)", below_weighted)

"""Lesson 4, answers to the exercises: can these parts learn?"""

# %%
import numpy as np

from fcn_from_scratch.course import check
from fcn_from_scratch.ops import softmax_cross_entropy
from fcn_from_scratch.training import SGD

# %% [markdown]
# ## 1. Trace
# (a) The exponentials are 1, 1 and 2, their sum is 4. The probabilities are 1/4, 1/4 and 1/2. The
# loss is -ln(1/2) = ln 2. The gradient is probability minus truth: 1/4, 1/4, -1/2.

# %%
loss, dscores = softmax_cross_entropy(np.array([[0, 0, np.log(2)]]), np.array([2]))
check("the loss is ln 2", abs(loss - np.log(2)) < 1e-12)
check("the gradient is 1/4, 1/4, -1/2", abs(dscores[0] - [1 / 4, 1 / 4, -1 / 2]).max() < 1e-12)

# %% [markdown]
# (b) The weight is pulled by its gradient and by the decay, `1 + 1 * w`. The bias has twice the
# rate, 1/2, and no decay.
#
#     step   weight: push          V                   w       bias: V                    b
#      1     1 + 1   = 2           1/4 * 2     = 1/2   1/2     1/2 * 1           = 1/2   1/2
#      2     1 + 1/2 = 3/2   1/4 + 1/4 * 3/2   = 5/8  -1/8     1/4 + 1/2 * 1     = 3/4  -1/4


# %%
class Layer:
    """One weight and one bias, with a gradient of 1 each."""

    def __init__(self):
        self.params = {"fc.weight": np.ones(1), "fc.bias": np.ones(1)}
        self.grads = {"fc.weight": np.ones(1), "fc.bias": np.ones(1)}


layer = Layer()
optimizer = SGD(layer, lr=0.25, momentum=0.5, weight_decay=1.0)
trace = []
for _ in range(2):
    optimizer.step()
    trace.append((float(layer.params["fc.weight"][0]), float(layer.params["fc.bias"][0])))
check("step 1: both are 1/2", trace[0] == (1 / 2, 1 / 2))
check("step 2: the weight is -1/8, the bias -1/4", trace[1] == (-1 / 8, -1 / 4))

# %% [markdown]
# ## 2. Change
# The rate moves from the velocity into the step. It drops to a tenth after 20 of 40 steps.

# %%
steepness = np.array([1.0, 25.0])


class Ball:
    """The ball of the lesson, in its narrow valley."""

    def __init__(self):
        self.params = {"weight": np.array([-10.0, 2.0])}
        self.grads = {"weight": np.zeros(2)}


# %%
def with_sgd(rate, steps):
    """The path of the package's SGD; rate is a function of the step."""
    ball, path = Ball(), []
    optimizer = SGD(ball, rate, momentum=0.9)
    for _ in range(steps):
        ball.grads["weight"][...] = steepness * ball.params["weight"]
        optimizer.step()
        path.append(ball.params["weight"].copy())
    return np.array(path)


# %%
def with_pytorchs_rule(rate, steps):
    """The same with the rate outside of the velocity."""
    w, V, path = Ball().params["weight"], np.zeros(2), []
    for step in range(steps):
        V = 0.9 * V + steepness * w
        w = w - rate(step) * V
        path.append(w)
    return np.array(path)


# %% [markdown]
# With a constant rate the velocity of `SGD` is PyTorch's times the rate, so all steps agree.
#
# At the drop, PyTorch's step shrinks to a tenth at once, for the rate stands in front of the whole
# velocity. In `SGD` only the new pushes shrink. The old velocity was made at the old rate, rolls
# on, and fades by 0.9 a step. So `SGD` goes further in the steps after the drop.


# %%
def constant(step):
    return 0.03


def dropping(step):
    return 0.03 if step < 20 else 0.003


def length(path):
    """How far the ball goes in the ten steps after the drop."""
    return np.linalg.norm(np.diff(path[19:30], axis=0), axis=1).sum()


same = abs(with_sgd(constant, 40) - with_pytorchs_rule(constant, 40)).max()
ours, theirs = with_sgd(dropping, 40), with_pytorchs_rule(dropping, 40)
check("at a constant rate both take the same steps (1e-12: rounding)", same < 1e-12)
check("they agree up to the drop", abs(ours - theirs)[:20].max() < 1e-12)
check("and differ after it", abs(ours - theirs)[20:].max() > 0.1)
further = length(ours) / length(theirs)
check("SGD goes further after the drop", further > 1.5, f"{further:.1f} times as far in ten steps")

# %% [markdown]
# ## 3. Prove
# The scores are `s_1 ... s_C`, `L = ln(sum of e^s_c)`. With label c the loss is `L - s_c`. Averaged
# over all labels it is `L - m`, where m is the mean of the scores. Take m out of the exponentials:
#
#     L - m = ln( sum of e^(s_c - m) ) = ln C + ln( mean of e^(s_c - m) )
#
# Now `e^t >= 1 + t`, with equality only at `t = 0`. The numbers `t_c = s_c - m` have the mean 0, so
# the mean of the `e^t_c` is at least 1 and its logarithm at least 0. It is 0 only if all `t_c` are
# 0, that is, if all scores are equal.
#
# For small t, `e^t` is about `1 + t + t*t/2`. The mean of the `t_c` is 0, that of their squares is
# the variance v. So the mean of `e^t_c` is about `1 + v/2`, and `ln(1 + v/2)` is about `v/2`.
#
# A proof needs no test, but here are a thousand random scores of different sizes.

# %%
rng = np.random.default_rng(4)
C = 7
scores = rng.normal(size=(1000, C)) * rng.uniform(0.001, 5, size=(1000, 1))
labels = np.arange(C)
average = np.array([softmax_cross_entropy(np.tile(s, (C, 1)), labels)[0] for s in scores])
excess = average - np.log(C)
check("the average over all labels is above ln C", excess.min() > 0)
flat, _ = softmax_cross_entropy(np.full((C, C), 3.0), labels)
check("equal scores reach it (1e-12: rounding)", abs(flat - np.log(C)) < 1e-12)

# %%
small = 0.01 * rng.normal(size=(1000, C))
average = np.array([softmax_cross_entropy(np.tile(s, (C, 1)), labels)[0] for s in small])
ratio = (average - np.log(C)) / (small.var(axis=1) / 2)
check("for small scores the excess is half the variance, to 2 %", abs(ratio - 1).max() < 0.02)

"""Lesson 3, answers to the exercises: how do I know that my backward is right?"""

# %%
import numpy as np

from fcn_from_scratch import ops
from fcn_from_scratch.course import check
from fcn_from_scratch.gradcheck import away_from_zero, layer_check
from fcn_from_scratch.gradcheck.layers import broken_promises
from fcn_from_scratch.layers import Layer

# %% [markdown]
# ## 1. Trace
# (a) `y[0, 1]` hands back the kernel at the top right, `y[1, 0]` hands back twice the kernel at the
# bottom left. They meet in the middle: 3 + 2 * 2 = 7.
#
#     0  1  2
#     2  7  4
#     6  8  0
#
# (b) The two windows share their inner column, and 6 wins both. It gets 10 + 20.
#
#     0  0  0
#     0 30  0

# %%
kernel = np.array([[1.0, 2.0], [3.0, 4.0]])
dy = np.array([[0.0, 1.0], [2.0, 0.0]])
dx = ops.conv2d_backward(dy[None, None], np.zeros((1, 1, 3, 3)), kernel[None, None])[0]
check("(a)", np.array_equal(dx[0, 0], [[0, 1, 2], [2, 7, 4], [6, 8, 0]]))

x = np.array([[1.0, 3.0, 2.0], [4.0, 6.0, 5.0]])[None, None]
_, indices = ops.max_pool2d(x, 2, stride=1)
dx = ops.max_pool2d_backward(np.array([[[[10.0, 20.0]]]]), indices, x.shape)
check("(b)", np.array_equal(dx[0, 0], [[0, 0, 0], [0, 30, 0]]))

# %% [markdown]
# ## 2. Change
# Where `x` is negative, `y = slope * x`. By `x` this has the slope `slope`, by `slope` the slope
# `x`. One slope serves all pixels of its channel in all images, so its gradient is a sum over them:
# the same rule as for a kernel's weight. (The layer is known as PReLU: He et al. 2015.)


# %%
class LearnedReLU(Layer):
    """y = x where x > 0, else slope * x, with one slope per channel."""

    def __init__(self, channels, dtype=np.float32):
        super().__init__()
        self.add_param("slope", np.full(channels, 0.25, dtype))

    def _forward(self, x):
        return np.where(x > 0, x, self.params["slope"][:, None, None] * x), x

    def _backward(self, dy, x):
        self.accumulate("slope", (dy * np.minimum(x, 0)).sum(axis=(0, 2, 3)))
        return np.where(x > 0, dy, self.params["slope"][:, None, None] * dy)


# %% [markdown]
# On the command line: save the class as `my_layer.py` and run
#
#     fcn gradcheck my_layer.py:LearnedReLU --args 3
#
# Here the same from Python. Note `away_from_zero`: the kink is still there, it only got blunter.

# %%
rng = np.random.default_rng(0)
x = away_from_zero(rng, (2, 3, 7, 6))
errors = layer_check(LearnedReLU(3, np.float64), x, rng)
check("both gradients are right", max(errors.values()) < 1e-7, f"{max(errors.values()):.0e}")


class Overwriting(LearnedReLU):
    def accumulate(self, name, gradient):
        self.grads[name] = gradient


complaints = broken_promises(Overwriting(3, np.float64), x, rng)
print(complaints)
check("a layer that overwrites its gradient is found out", "must ADD" in complaints[0])

# %% [markdown]
# ## 3. Prove
# The check compares `dy . (J v)` with `((J.T + E) dy) . v`. The first is `(J.T dy) . v`, so the
# difference is
#
#     v . (E dy)
#
# **Ones.** With `dy = 1` everywhere, `E dy` holds the sums of the rows of `E`. If all of them are
# zero, the difference is 0 for every `v`. If one is not, take the `v` that points at it: the check
# fails. Reading `dy` in another order, by a permutation matrix `P`, gives `E = J.T P - J.T`. `P`
# moves the columns of `J.T` about, which changes no row sum: `E` passes.
#
# **Random.** Let `E` be not zero. `E dy = 0` holds on a subspace of lower dimension only, the null
# space of `E`, and normal numbers fall on it with probability 0. Then `E dy` is some vector that is
# not zero, and `v . (E dy) = 0` holds on the plane at right angles to it: probability 0 again.
#
# A proof needs no test, but a test may find a slip in it. A thousand wrong backwards, half of them
# wrong in a single pair of places, with rows that sum to zero:

# %%
noticed_by_ones, noticed_by_random = 0, 0
for trial in range(1000):
    m, n = rng.integers(2, 8, size=2)
    E = np.zeros((n, m))
    if trial % 2:
        E[rng.integers(n), :2] = 1.0, -1.0
    else:
        E = rng.normal(size=(n, m))
        E -= E.mean(axis=1, keepdims=True)
    v, dy = rng.normal(size=n), rng.normal(size=m)
    noticed_by_ones += abs(v @ E @ np.ones(m)) > 1e-9
    noticed_by_random += abs(v @ E @ dy) > 1e-9
check("ones notice none of them", noticed_by_ones == 0)
check("random numbers notice every one", noticed_by_random == 1000)

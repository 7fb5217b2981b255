"""Lesson 2, answers to the exercises: what does a convolution layer compute, and how is it made fast?"""

# %%
import tracemalloc

import numpy as np

from fcn_from_scratch.course import check
from fcn_from_scratch.ops import conv2d
from fcn_from_scratch.ops.shapes import conv_output_size

# %% [markdown]
# The two functions of the lesson that the answers use, without the stride.


# %%
def im2col(x, kh, kw):
    """The patch matrix: a row per window, in order (n, i, j); a column per weight, in order (c, a, b)."""
    n, c, h, w = x.shape
    oh, ow = conv_output_size(h, kh), conv_output_size(w, kw)
    patches = np.empty((n, oh, ow, c, kh, kw), x.dtype)
    for a, b in np.ndindex(kh, kw):
        patches[..., a, b] = x[:, :, a : a + oh, b : b + ow].transpose(0, 2, 3, 1)
    return patches.reshape(n * oh * ow, c * kh * kw)


# %%
def conv_gemm(x, weight):
    """The layer as one matrix product: (windows, C*kh*kw) @ (C*kh*kw, F)."""
    f, _, kh, kw = weight.shape
    oh, ow = conv_output_size(x.shape[2], kh), conv_output_size(x.shape[3], kw)
    product = im2col(x, kh, kw) @ weight.reshape(f, -1).T
    return product.reshape(len(x), oh, ow, f).transpose(0, 3, 1, 2)


def gap(a, b):
    """The largest difference between two arrays, relative to the largest number in the second."""
    return float(abs(a - b).max() / abs(b).max())


# %% [markdown]
# ## 1. Trace
# The output has 2 x 3 places, so window (i, j) is row `3*i + j`. There are two channels of nine
# taps, so tap (c, a, b) is column `9*c + 3*a + b`. Window (i, j) reads pixel (u, v) with the tap
# `a = u - i`, `b = v - j`, if both lie in 0..2.
#
# Pixel (2, 3) of channel 1: i can be 0 or 1 (a = 2 or 1). j can be 1 or 2 (b = 2 or 1); j = 0 would
# need b = 3. So there are four copies:
#
#     window (0, 1)  tap (1, 2, 2)   row 1, column 17
#     window (0, 2)  tap (1, 2, 1)   row 2, column 16
#     window (1, 1)  tap (1, 1, 2)   row 4, column 14
#     window (1, 2)  tap (1, 1, 1)   row 5, column 13
#
# Pixel (0, 0) of channel 0 lies in one window only, the first, below its first tap: row 0, column
# 0. Corners are copied once. Only pixels two or more away from every border are copied nine times,
# and this small image has none.


# %%
def places(*pixel):
    """The (row, column) pairs of the patch matrix where one pixel of a (1, 2, 4, 5) image occurs."""
    x = np.zeros((1, 2, 4, 5))
    x[pixel] = 1
    return np.argwhere(im2col(x, 3, 3)).tolist()


check("x[0, 1, 2, 3] occurs at the four places", places(0, 1, 2, 3) == [[1, 17], [2, 16], [4, 14], [5, 13]])
check("x[0, 0, 0, 0] occurs once, in the corner", places(0, 0, 0, 0) == [[0, 0]])
most = max(len(places(0, 0, u, v)) for u, v in np.ndindex(4, 5))
check("no pixel of this image occurs nine times", most < 9, f"at most {most}")

# %% [markdown]
# ## 2. Change
# Some output rows need only the input rows below them. `rows` output rows, beginning at `top`, read
# the input rows from `top` to `top + rows + kh - 2`. The `kh - 1` rows at the end are read again by
# the next block. At the bottom edge the slice stops at the image by itself.


# %%
def conv_blocks(x, weight, rows):
    """conv_gemm, with a patch matrix of at most `rows` output rows of all images."""
    f, _, kh, kw = weight.shape
    oh, ow = conv_output_size(x.shape[2], kh), conv_output_size(x.shape[3], kw)
    y = np.empty((len(x), f, oh, ow), x.dtype)
    for top in range(0, oh, rows):
        strip = x[:, :, top : top + rows + kh - 1]
        y[:, :, top : top + rows] = conv_gemm(strip, weight)
    return y


# %%
def peak(method, *arguments):
    """The most bytes that NumPy held at once while the method ran."""
    tracemalloc.start()
    method(*arguments)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most


# %%
rng = np.random.default_rng(0)
x, weight = rng.normal(size=(2, 16, 63, 50)), rng.normal(size=(8, 16, 3, 5))
whole = conv_gemm(x, weight)
worst = max(gap(conv_blocks(x, weight, rows), whole) for rows in (1, 4, 7, 61, 1000))
check("same result, also when the last block is shorter", worst < 1e-12, f"{worst:.0e}")

in_one, in_blocks = peak(conv_gemm, x, weight), peak(conv_blocks, x, weight, 4)
print(f"in one piece {in_one / 1e6:.1f} MB, four rows at a time {in_blocks / 1e6:.1f} MB")
check("the peak falls to less than a quarter", in_blocks < in_one / 4)

# %% [markdown]
# What is left is mostly the output itself. Making `rows` smaller still does not pay: each block
# costs a few calls from Python.
#
# ## 3. Prove
# One axis and one channel first. The first layer has the kernel `w`, the second the kernel `v`:
#
#     y[i] = sum over b of  x[i + b] * w[b]
#     z[i] = sum over a of  y[i + a] * v[a]
#          = sum over a, b of  x[i + a + b] * w[b] * v[a]
#
# Call `a + b = e`. It runs from 0 to 4. Collect the terms that read the same pixel:
#
#     z[i] = sum over e of  x[i + e] * u[e],      u[e] = sum over a of  v[a] * w[e - a]
#
# This is a layer with the kernel `u` of five taps. And `u` is the *convolution* of the two kernels,
# in the mathematician's sense: the index of `w` runs backwards. Two axes: the same for each. More
# channels: the second layer sums over the channels m between the two, so
#
#     u[f, c] = sum over m of  convolution of v[f, m] with w[m, c].
#
# The proof needs that nothing stands between the layers. A ReLU does stand there in a real network,
# and that is why two layers can say more than one.


# %%
def merged(v, w):
    """The kernel of one layer that does what layer w and then layer v do."""
    (f, m, vh, vw), (_, c, wh, ww) = v.shape, w.shape
    u = np.zeros((f, c, vh + wh - 1, vw + ww - 1))
    for k, a, b in np.ndindex(m, vh, vw):  # every tap of v lays down a copy of w
        u[:, :, a : a + wh, b : b + ww] += v[:, k, a, b][:, None, None, None] * w[k]
    return u


x, w, v = rng.normal(size=(2, 3, 9, 11)), rng.normal(size=(4, 3, 3, 3)), rng.normal(size=(5, 4, 3, 3))
two_layers, one_layer = conv2d(conv2d(x, w), v), conv2d(x, merged(v, w))
check("the merged kernel is 5x5", merged(v, w).shape == (5, 3, 5, 5))
check("two 3x3 layers = one 5x5 layer", gap(two_layers, one_layer) < 1e-12)

taps = np.array([1.0, 2, 3]), np.array([1.0, 0, -1])
line = merged(taps[0].reshape(1, 1, 1, 3), taps[1].reshape(1, 1, 1, 3))
check("on one axis it is np.convolve of the kernels", np.array_equal(line.ravel(), np.convolve(*taps)))
check("for one channel: 9 + 9 = 18 weights instead of 25", 2 * w[0, 0].size < merged(v, w)[0, 0].size)

# %% [markdown]
# So 18 weights reach as far as 25, with room for a ReLU in between. It is the reason why VGG stacks
# 3x3 layers. (18 numbers cannot make every 5x5 kernel, of course.)
#
# One more trap. Let both layers pad by 1, and the one layer by 2. Sizes agree, but at the rim the
# results differ: the second layer reads zeros where the first would have had outputs.

# %%
two_padded = conv2d(conv2d(x, w, padding=1), v, padding=1)
one_padded = conv2d(x, merged(v, w), padding=2)
inside = (..., slice(1, -1), slice(1, -1))
check("padded, they have the same shape", two_padded.shape == one_padded.shape)
check("they agree inside", gap(two_padded[inside], one_padded[inside]) < 1e-12)
check("but not on the outermost pixels", gap(two_padded, one_padded) > 0.01)

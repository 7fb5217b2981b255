# %% [markdown]
"""
# Lesson 2: What does a convolution layer compute, and how is it made fast?

After this lesson you can compute a convolution by hand, say how large its output is, turn
it into one matrix product, and say what that costs in memory.

Readers who know convolution layers can go straight to lesson 5.

Needs: Python and NumPy, no earlier lesson. Words: the [glossary](../docs/glossary.md).

Runtime: 5 s on 2 cores
"""

# %% [markdown]
# ## The idea
# A convolution layer moves a small window over an image. At each place it multiplies the
# pixels in the window by the numbers of a **kernel** and adds up the products. The sum is
# one output pixel. The numbers of the kernel are called its *taps*.
#
#     image x      kernel w     output y
#     1  2  0        1  2         4  ?       top left:  1*1 + 2*2 + 0*0 + 1*(-1) = 4
#     0  1  3        0 -1         ?  ?
#     2  1  1
#
# The kernel is the same at every place, so the weights do not depend on the size of the
# image.

# %% [markdown]
# ## Predict
# Write your answers down before you run anything.
#
# 1. What are the other three numbers of `y`?

# %%
import numpy as np

from fcn_from_scratch.course import check, claims, seed

SEED = seed()
x = np.array([[1, 2, 0], [0, 1, 3], [2, 1, 1]])
w = np.array([[1, 2], [0, -1]])
corner = 1 * 1 + 2 * 2 + 0 * 0 + 1 * (-1)

y = np.zeros((2, 2), dtype=int)
for i, j in np.ndindex(2, 2):
    window = x[i : i + 2, j : j + 2]
    y[i, j] = (window * w).sum()

print(y)
check("the loop finds the corner computed by hand", y[0, 0] == corner)
check("the other three numbers are -1, 1 and 6", np.array_equal(y, [[4, -1], [1, 6]]))

# %% [markdown] tags=["answer"]
# > **Prediction 1.** They are -1, 1 and 6. At the bottom right, for example, 1*1 + 2*3 +
# > 0*1 - 1*1 = 6.

# %% [markdown]
# ## A whole layer
# The input of a layer has N images of C channels: `x (N, C, H, W)`. The layer has F
# kernels, and each covers all channels: `weight (F, C, kh, kw)`. Every kernel makes one
# output channel and may add a constant, its bias:
#
# $$
# y_{n,f,i,j} = b_f + \sum_{c,a,b} x_{n,c,\,i+a,\,j+b} \; w_{f,c,a,b}
# $$
#
# Seven indices make seven nested loops. `ops.loops.conv2d_loops` consists of these loops.
# It is the definition, and every faster version must agree with it. Below, one NumPy sum
# replaces the three inner loops.


# %%
def conv_windows(x, weight):
    """One NumPy sum per output number: a window of all channels times one kernel."""
    (n_images, _, h, w), (n_kernels, _, kh, kw) = x.shape, weight.shape
    y = np.zeros((n_images, n_kernels, h - kh + 1, w - kw + 1))
    for n, f, i, j in np.ndindex(y.shape):
        y[n, f, i, j] = (x[n, :, i : i + kh, j : j + kw] * weight[f]).sum()
    return y


def gap(a, b):
    """The largest difference of a and b, divided by the largest number in b."""
    return float(abs(a - b).max() / abs(b).max())


# %%
from fcn_from_scratch.ops import conv2d
from fcn_from_scratch.ops.loops import conv2d_loops

rng = np.random.default_rng([SEED, 2])
# no two sizes are alike: "What could fool you" says why
images = rng.normal(size=(2, 3, 7, 10))
weight = rng.normal(size=(5, 3, 2, 4))
by_loops = conv2d_loops(images, weight)
by_windows = conv_windows(images, weight)
print("x", images.shape, " weight", weight.shape, " y", by_loops.shape)
check("seven loops = one sum for each window", gap(by_windows, by_loops) < 1e-12)
check("seven loops = the package's conv2d", gap(conv2d(images, weight), by_loops) < 1e-12)

# %% [markdown]
# ## On a photograph
# Here is a layer of three kernels on a grey photograph. The first kernel averages nine
# pixels. The second subtracts the left column of the window from the right one, and the
# third the upper row from the lower one.
#
# ### Predict
# 2. Every pixel of the photograph becomes brighter by 50. By how much does each output
#    change?

# %%
import matplotlib.cbook
from PIL import Image

file = matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)
photo = np.asarray(Image.open(file).convert("L"), dtype=float)[None, None]
average, difference = np.full((3, 3), 1 / 9), np.array([[-1, 0, 1]] * 3) / 3
three_kernels = np.stack([average, difference, difference.T])[:, None]
maps = conv2d(photo, three_kernels)
change = conv2d(photo + 50, three_kernels) - maps
print("photograph", photo.shape, " kernels", three_kernels.shape, " output", maps.shape)
check(
    "the outputs change by 50, 0 and 0",
    abs(change - np.array([50, 0, 0]).reshape(1, 3, 1, 1)).max() < 1e-9,
)
part = conv_windows(photo[..., 90:120, 90:130], three_kernels)
check("on a part of it, the windows agree", gap(part, maps[..., 90:118, 90:128]) < 1e-12)

# %% [markdown] tags=["answer"]
# > **Prediction 2.** They change by 50, 0 and 0, which is 50 times the sum of the kernel. A
# > kernel whose sum is 0 responds to differences only.

# %% [markdown]
# ## Convolution or correlation?
# In mathematics, a convolution rotates the kernel by 180 degrees before the kernel is
# moved. A correlation does not rotate it. **A convolution layer computes a correlation.**
# An image with a single 1 shows the difference.


# %%
def row(*numbers):
    """An image of one pixel row: shape (1, 1, 1, W)."""
    return np.array(numbers, dtype=float).reshape(1, 1, 1, -1)


impulse, ramp, symmetric = [0, 0, 1, 0, 0], [1, 2, 3], [1, 2, 1]
layer = conv2d(row(*impulse), row(*ramp)).ravel()
convolved = np.convolve(impulse, ramp, "valid")
correlated = np.correlate(impulse, ramp, "valid")
print("convolution", convolved, " correlation", correlated, " layer", layer)
check("the layer correlates", np.array_equal(layer, correlated))
check("the layer does not convolve", not np.array_equal(layer, convolved))
same = np.array_equal(
    np.convolve(impulse, symmetric, "valid"), np.correlate(impulse, symmetric, "valid")
)
check("a symmetric kernel hides the difference", same)

# %% [markdown]
# This matters for weights that come from another program, and for the gradients (lesson 3).

# %% [markdown]
# ## Four settings
# The image is one row, 1 2 3 4 5 6, and the kernel is 1 1 1. Every output is a sum of three
# pixels.
#
# - **stride** s: the window moves s pixels at a time. The output is smaller.
# - **padding** p: p zeros are added on each side. The window may extend beyond the image.
# - **dilation** d: neighbouring taps of the kernel are d pixels apart. The kernel covers
#   more pixels with the same number of weights.
# - **groups** G: the channels are divided into G parts, and a kernel reads one part only.
#   (AlexNet has such layers. The lessons before 15 do not need them.)
#
# ### Predict
# 3. Write down the outputs for stride 2, for padding 1, and for dilation 2.

# %%
numbers, ones = row(1, 2, 3, 4, 5, 6), row(1, 1, 1)
default = conv2d(numbers, ones).ravel()
strided = conv2d(numbers, ones, stride=(1, 2)).ravel()
padded = conv2d(numbers, ones, padding=(0, 1)).ravel()
dilated = conv2d(numbers, ones, dilation=(1, 2)).ravel()

check("default settings: 1+2+3, 2+3+4, ...", np.array_equal(default, [6, 9, 12, 15]))
check("stride 2: 1+2+3, then 3+4+5", np.array_equal(strided, [6, 12]))
check("padding 1: 0+1+2 first, 5+6+0 last", np.array_equal(padded, [3, 6, 9, 12, 15, 11]))
check("dilation 2: 1+3+5, then 2+4+6", np.array_equal(dilated, [9, 12]))

# %%
two_channels = np.array([[1.0, 2, 3], [10, 20, 30]]).reshape(1, 2, 1, 3)
mixed = conv2d(two_channels, np.ones((2, 2, 1, 1)))
apart = conv2d(two_channels, np.ones((2, 1, 1, 1)), groups=2)
check(
    "one group: every output adds both channels",
    np.array_equal(mixed[0, :, 0], [[11, 22, 33]] * 2),
)
check("two groups: each output reads its own channel", np.array_equal(apart, two_channels))

# %% [markdown] tags=["answer"]
# > **Prediction 3.** Stride 2 gives 6, 12. Padding 1 gives 3, 6, 9, 12, 15, 11. Dilation 2
# > gives 9, 12. If you wrote a third output for stride 2, its window extended beyond the
# > image.

# %% [markdown]
# ## How large is the output?
# The output has one number for each window. Let $n$ be the number of pixels along one axis,
# and $k$ the number of taps. Tap $a$ of window $i$ is at position $s i + d a - p$. The
# function below lists all windows that fit.


# %%
def windows(n, k, stride=1, padding=0, dilation=1):
    """Every window of k taps that fits on an axis of n pixels, as lists of positions."""
    end = n + padding
    every = [
        [start + dilation * a for a in range(k)] for start in range(-padding, end, stride)
    ]
    return [positions for positions in every if positions[-1] < end]


print("default   ", windows(6, 3))
print("stride 2  ", windows(6, 3, stride=2))
print("padding 1 ", windows(6, 3, padding=1))
print("dilation 2", windows(6, 3, dilation=2))

# %% [markdown]
# A formula counts them. The first window needs $d (k - 1) + 1$ pixels, its *span*, and each
# further window needs $s$ more. Pixels that remain at the end are not used, so the quotient
# is rounded down:
#
# $$
# \text{output size} =
#   \left\lfloor \frac{n + 2p - \text{span}}{s} \right\rfloor + 1,
#   \qquad \text{span} = d (k - 1) + 1
# $$
#
# ### Predict
# 4. In the network that the authors released, the first kernel of 3x3 moves over 500x500
#    pixels with a padding of 100. How large is the output?

# %%
from fcn_from_scratch.ops.shapes import conv_output_size

LIMITS = (1, 20), (1, 5), (1, 4), (0, 3), (1, 3)  # of n, k, stride, padding, dilation


def random_layer():
    """The sizes and settings (n, k, stride, padding, dilation) of both axes."""
    while True:
        axes = [
            tuple(int(rng.integers(low, 1 + high)) for low, high in LIMITS) for _ in "hw"
        ]
        if all(windows(*axis) for axis in axes):  # at least one window must fit
            return axes


# %%
formula_right, shape_right = 0, 0
for axes in [random_layer() for _ in range(200)]:
    image_size, kernel_size, *settings = zip(*axes)
    result = conv2d(
        np.zeros((1, 1, *image_size)), np.zeros((1, 1, *kernel_size)), None, *settings
    )
    counted = tuple(len(windows(*axis)) for axis in axes)
    by_formula = tuple((n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in axes)
    package_says = tuple(conv_output_size(*axis) for axis in axes)
    formula_right += counted == by_formula == package_says
    shape_right += counted == result.shape[2:]

side = conv_output_size(500, 3, padding=100)
changed = conv2d(row(1, 2, 3, 4, 5, 1000), ones, stride=(1, 2)).ravel()
check("the formula counts the windows of 200 random layers", formula_right == 200)
check("conv2d returns that many outputs, 200 times", shape_right == 200)
check(
    "first layer of the released network: 500 in, 698 out",
    side == len(windows(500, 3, padding=100)) == 698,
)
check(
    "the floor: with stride 2 the last of six pixels has no effect",
    np.array_equal(changed, strided),
)

# %% [markdown] tags=["answer"]
# > **Prediction 4.** It has 698x698 pixels: 500 + 2 * 100 - 3 + 1 = 698. If you wrote 500,
# > you thought of a padding of 1.

# %% [markdown]
# ## From windows to a matrix
# Now we make the layer fast. Write each window of the first example as a *row* and the
# kernel as a *column*. Then one matrix product computes all sums:
#
#     1 2 0 1        1         4       top left window
#     2 0 1 3   @    2    =   -1       top right
#     0 1 2 1        0         1       bottom left
#     1 3 1 1       -1         6       bottom right
#
# The matrix of windows is the *patch matrix*, and filling it is called **im2col**.
# Programmers call the matrix product GEMM, for "general matrix multiply". Processors
# compute it more efficiently than almost any other operation. The function below loops over
# the `kh*kw` taps only. The pixels that tap (a, b) reads in *all* windows are one slice of
# the image.


# %%
def im2col(x, kh, kw, stride=1):
    """The patch matrix: rows in the order (n, i, j), columns in the order (c, a, b)."""
    n, c, h, w = x.shape
    oh, ow = conv_output_size(h, kh, stride), conv_output_size(w, kw, stride)
    patches = np.empty((n, oh, ow, c, kh, kw), x.dtype)
    for a, b in np.ndindex(kh, kw):
        tap = x[:, :, a : a + stride * oh : stride, b : b + stride * ow : stride]
        patches[..., a, b] = tap.transpose(0, 2, 3, 1)
    return patches.reshape(n * oh * ow, c * kh * kw)


def conv_gemm(x, weight, stride=1):
    """The layer as one matrix product: (windows, C*kh*kw) @ (C*kh*kw, F)."""
    f, _, kh, kw = weight.shape
    oh, ow = (conv_output_size(n, k, stride) for n, k in zip(x.shape[2:], (kh, kw)))
    product = im2col(x, kh, kw, stride) @ weight.reshape(f, -1).T
    return product.reshape(len(x), oh, ow, f).transpose(0, 3, 1, 2)


# %%
small = im2col(x.reshape(1, 1, 3, 3), 2, 2)
pixel = im2col(np.arange(9).reshape(1, 1, 3, 3), 2, 2)  # which pixel each entry copies
copies = np.bincount(pixel.ravel())
by_gemm = conv_gemm(images, weight)
halved = gap(conv_gemm(images, weight, 2), conv2d_loops(images, weight, stride=2))
print(small)
check("the pixel in the middle is copied 4 = 2*2 times", copies[4] == 4 == copies.max())
check(
    "patch matrix @ kernel = the output computed by hand",
    np.array_equal(small @ w.ravel(), [4, -1, 1, 6]),
)
check(
    "im2col + GEMM = seven loops",
    gap(by_gemm, by_loops) < 1e-12,
    f"{gap(by_gemm, by_loops):.0e}",
)
check("with stride 2 as well", halved < 1e-12)

# %% [markdown]
# Why 1e-12 and not equality? Both versions add the same products, but not in the same
# order. Every addition rounds in the 16th digit.
#
# ### The price: copies
# Neighbouring windows overlap, so pixels are copied. If the padding keeps the image's size,
# the patch matrix has **`kh*kw` times** as many numbers as the input.
#
# A *view* avoids the copies: `sliding_window_view` gives the image's memory four axes, (i,
# j) for the window and (a, b) for the tap. But GEMM needs an ordinary matrix, and NumPy
# must copy the pixels to make one.

# %%
from numpy.lib.stride_tricks import sliding_window_view

inside = rng.normal(size=(1, 4, 12, 12))
# with a border of one pixel a 3x3 kernel gives 12x12 outputs
around = np.pad(inside, ((0, 0), (0, 0), (1, 1), (1, 1)))
buffer = im2col(around, 3, 3)
view = sliding_window_view(x, (2, 2))
print(f"input {inside.nbytes} bytes, patch matrix {buffer.nbytes} bytes")
check(
    "a 3x3 kernel's patch matrix is 9 times the input", buffer.nbytes == 9 * inside.nbytes
)
check(
    "at stride 2, a quarter of that",
    im2col(around, 3, 3, stride=2).nbytes * 4 == buffer.nbytes,
)
check(
    "the view has the rows of the patch matrix", np.array_equal(view.reshape(4, 4), small)
)
check("the view is the image's own memory", np.shares_memory(view, x))
check("reshaping it to a matrix copies", not np.shares_memory(view.reshape(4, 4), x))


# %%
def conv_view(x, weight):
    """The definition, summed over a view of all windows: no loop, no copy, no GEMM."""
    view = sliding_window_view(x, weight.shape[2:], axis=(2, 3))  # (N, C, oh, ow, kh, kw)
    return np.einsum("ncijab,fcab->nfij", view, weight)


by_view = conv_view(images, weight)
check(
    "strided view = seven loops",
    gap(by_view, by_loops) < 1e-12,
    f"{gap(by_view, by_loops):.0e}",
)

# %% [markdown]
# ## How fast?
# One layer is computed in five ways, all with the same multiplications. (`conv2d` chooses
# among several algorithms. Here and below we ask for im2col. GEMM runs on one core, so that
# other programs disturb it less.)
#
# ### Predict
# 5. How many times faster than the seven Python loops is the matrix product: about 2 times,
#    about 10 times, or more than 100 times?

# %%
from time import perf_counter

from fcn_from_scratch import plain
from fcn_from_scratch.engine.threads import one_blas_thread, workers


def package(x, weight, padding=0):
    """The package's conv2d by im2col, also when the lesson runs with `--plain`."""
    with plain(False):
        return conv2d(x, weight, padding=padding, algorithm="im2col")


def seconds(function):
    """The fastest of all runs that fit into 0.3 s: the one that was disturbed least."""
    times = []
    while sum(times) < 0.3:
        started = perf_counter()
        function(big, kernels)
        times.append(perf_counter() - started)
    return min(times)


# %%
big, kernels = rng.normal(size=(1, 16, 24, 24)), rng.normal(size=(8, 16, 3, 3))
ways = {"seven Python loops": conv2d_loops, "one NumPy sum per window": conv_windows}
ways |= {
    "einsum over the view": conv_view,
    "im2col + GEMM": one_blas_thread(conv_gemm),
    "the package's conv2d": package,
}
times = {name: seconds(way) for name, way in ways.items()}
products = 8 * 22 * 22 * 16 * 3 * 3
nanoseconds = {name: 1e9 * time / products for name, time in times.items()}
print(f"{products:,} products")
for name, time in times.items():
    print(f"{name:25} {1000 * time:8.2f} ms  {nanoseconds[name]:8.2f} ns per product")

# %%
loops_ns = nanoseconds["seven Python loops"]
gemm_speedup, speedup = (
    loops_ns / nanoseconds[name] for name in ("im2col + GEMM", "the package's conv2d")
)
check(
    "the loops take 50 to 20,000 ns for one product",
    50 < loops_ns < 20_000,
    f"{loops_ns:.0f} ns",
)
check(
    "im2col + GEMM is 300 to 100,000 times faster",
    300 < gemm_speedup < 1e5,
    f"{gemm_speedup:.0f} times",
)
check("conv2d is 300 to 100,000 times faster", 300 < speedup < 1e5, f"{speedup:.0f} times")

# %% [markdown] tags=["answer"]
# > **Prediction 5.** The matrix product is more than 100 times faster, usually thousands of
# > times. For each product, Python looks up indices, checks types and creates objects. GEMM
# > multiplies several numbers in one instruction, and uses each number many times while it
# > is in the processor's cache.

# %% [markdown]
# ## Where the memory goes
# Now a real layer: conv1_2 of VGG16 has 3x3 kernels and 64 channels in and out. It receives
# the 698x698 pixels of prediction 4.
#
# ### Predict
# 6. How many bytes does its patch matrix take in float32, for one image?

# %%
input_bytes = 64 * side * side * 4  # float32: 4 bytes
whole = side * side * (64 * 3 * 3) * 4  # a row per output pixel, a column per weight
print(f"conv1_2: input {input_bytes / 1e6:.0f} MB, patch matrix {whole / 1e6:.0f} MB")
check("9 times the input", whole == 9 * input_bytes)
check("1.1 gigabytes", 1.1e9 < whole < 1.2e9)

# %% [markdown] tags=["answer"]
# > **Prediction 6.** It takes 698*698 rows of 64*9 numbers of 4 bytes, which is 1.1
# > gigabytes. If you wrote 125 megabytes, you forgot the nine copies.

# %% [markdown]
# But each row of the matrix is used only once. So `conv2d` works in *blocks* of about 4 MB:
# each thread fills the part of the patch matrix for a few output rows, multiplies, and goes
# on. `tracemalloc` measures the memory that NumPy allocates. We subtract what every method
# needs: the result and a padded copy of the input.

# %%
import tracemalloc

from fcn_from_scratch.engine.im2col import BLOCK_BYTES


def working_memory(method, side):
    """Bytes that `method` holds at its peak, beyond its result and a padded input."""
    image = np.zeros((1, 64, side, side), np.float32)
    kernels = np.zeros((64, 64, 3, 3), np.float32)
    tracemalloc.start()
    y = method(image, kernels)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak - y.nbytes - 64 * (side + 2) ** 2 * image.itemsize


def conv_whole(x, weight):
    """im2col + GEMM with a padding of 1 and the patch matrix in one piece."""
    return conv_gemm(np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1))), weight)


# %%
sides = [64, 128, 256, side]  # the last one is conv1_2 itself
in_blocks = [working_memory(lambda x, w: package(x, w, padding=1), s) for s in sides]
in_one = [working_memory(conv_whole, s) for s in sides[:-1]]  # the last one is too large
print("megabytes     in one piece   in blocks")
for s, one, blocks in zip(sides, in_one, in_blocks):
    print(f"{s:3} x {s:3} {one / 1e6:16.1f} {blocks / 1e6:11.1f}")
print(f"{side} x {side} {whole / 1e6:16.1f} {in_blocks[-1] / 1e6:11.1f}   (conv1_2)")

# %%
pieces = [one / (9 * 64 * s * s * 4) for one, s in zip(in_one, sides)]
per_thread = [blocks / workers() / BLOCK_BYTES for blocks in in_blocks[-2:]]
check(
    "in one piece, the working memory is the patch matrix",
    0.95 < min(pieces) and max(pieces) < 1.15,
)
check(
    "in blocks, it is about one block per thread",
    0.5 < min(per_thread) and max(per_thread) < 1.5,
)

# %% [markdown]
# ## What could fool you
# The columns of the patch matrix must be in the order of the weights. Below, the weights
# are in the order (a, b, c) and the columns in the order (c, a, b). All shapes fit, and a
# test with one channel cannot find the mistake.


# %%
def conv_wrong(x, weight):
    """Wrong: the columns of the patches are (c, a, b), those of the weights (a, b, c)."""
    f, _, kh, kw = weight.shape
    oh, ow = x.shape[2] - kh + 1, x.shape[3] - kw + 1
    product = im2col(x, kh, kw) @ weight.transpose(0, 2, 3, 1).reshape(f, -1).T
    return product.reshape(len(x), oh, ow, f).transpose(0, 3, 1, 2)


grey, grey_weight = images[:, :1], weight[:, :1]
wrong_on_grey = gap(conv_wrong(grey, grey_weight), conv2d_loops(grey, grey_weight))
wrong_on_colour = gap(conv_wrong(images, weight), by_loops)
check(
    "the wrong version has the right shape",
    conv_wrong(images, weight).shape == by_loops.shape,
)
check("it is right on one channel", wrong_on_grey < 1e-12)
check(
    "it is wrong on three",
    wrong_on_colour > 0.1,
    f"off by {100 * wrong_on_colour:.0f} % of the largest",
)

# %% [markdown]
# Other special cases hide mistakes in the same way. A symmetric kernel hides a rotation,
# and a square image hides exchanged axes. So test with several channels, random numbers,
# and sizes that all differ.

# %% [markdown]
# ## The drawings
# In the two maps of differences, grey is zero. The first of them shows vertical edges, the
# second one horizontal edges.

# %%
from matplotlib.patches import Rectangle

from fcn_from_scratch import viz


def draw_photograph():
    """The photograph and the three outputs, each in its own range of grey."""
    titles = ["photograph", "average", "right minus left", "below minus above"]
    caption = "One layer of three kernels: three maps"
    figure, axes = viz.new_figure(caption, 2, 2, width=5.6, height=6.1, titles=titles)
    shown = photo[0, 0, 41:321, 131:411], *maps[0, :, 40:320, 130:410]
    for ax, values in zip(axes.flat, shown):
        low, high = (0, 255) if values.min() >= 0 else (-60, 60)
        ax.imshow(values, cmap="gray", vmin=low, vmax=high)
    viz.bare(axes)
    viz.show(figure, "02_photograph")


draw_photograph()

# %% [markdown]
# The pixels are at the top of each panel. Each row of dots below them is a window, with its
# sum. At stride 2, no window reads the orange pixel.


# %%
def draw_windows(ax, title, bottom, padding=0, **settings):
    """The pixels 1..6 as squares, orange if no window reads them; below, the windows."""
    values = [0] * padding + [1, 2, 3, 4, 5, 6] + [0] * padding
    every = windows(6, 3, padding=padding, **settings)
    read = {q for taps in every for q in taps}
    for q, value in enumerate(values, start=-padding):
        face = "#ffffff" if q not in range(6) else "#dfe8f1" if q in read else "#e8b394"
        ax.plot(q, 0, "s", markersize=19, markerfacecolor=face, markeredgecolor="#999999")
        ax.text(q, 0, value, ha="center", va="center_baseline")
    for level, taps in enumerate(every, start=1):
        ax.plot(taps, [-level] * 3, "o-", color=viz.COLOURS[0], markersize=6, linewidth=1)
        ax.text(6.8, -level, f"= {sum(values[t + padding] for t in taps)}", va="center")
    ax.set_title(title, fontsize=10)
    ax.set(xlim=(-1.5, 8), ylim=(bottom, 0.6))
    ax.axis("off")


def draw_settings():
    """The windows of the four lists above."""
    caption = "Each row of dots is one window: three taps, one sum"
    figure, axes = viz.new_figure(caption, 2, 2, width=7.4, height=5)
    axes[0, 0].get_gridspec().set_height_ratios([5.1, 7.1])
    draw_windows(axes[0, 0], "default: four windows fit", -4.5)
    draw_windows(axes[0, 1], "stride 2: pixel 6 is never read", -4.5, stride=2)
    draw_windows(axes[1, 0], "padding 1: windows extend beyond the image", -6.5, padding=1)
    draw_windows(axes[1, 1], "dilation 2: taps two pixels apart", -6.5, dilation=2)
    viz.show(figure, "02_knobs")


draw_settings()

# %% [markdown]
# Compare the shades. The pixel in the middle of the image is orange: it occurs in all four
# windows, so it stands in every row of the patch matrix.

# %%
SHADE = {1: "#f3f6f9", 2: "#c5d5e6", 4: "#e8b394"}


def draw_cells(ax, left, numbers, copies=None, title=""):
    """A matrix of numbers in squares, shaded by how often each is copied."""
    rows, columns = numbers.shape
    top = (4 - rows) / 2
    for (i, j), number in np.ndenumerate(numbers):
        face = "#ffffff" if copies is None else SHADE[int(copies[i, j])]
        ax.add_patch(
            Rectangle((left + j, top + i), 1, 1, facecolor=face, edgecolor="#aaaaaa")
        )
        middle = left + j + 0.5, top + i + 0.5
        ax.text(*middle, number, ha="center", va="center", fontsize=12)
    ax.text(left + columns / 2, 4.6, title, ha="center", va="baseline")


def draw_patch_matrix():
    """Image, patch matrix, kernel and output of the first example."""
    caption = "The patch matrix of the first example: one row for each window"
    figure, ax = viz.new_figure(caption, width=7.4, height=3)
    draw_cells(ax, 0, x, copies.reshape(3, 3), "image")
    draw_cells(ax, 4.5, small, copies[pixel], "patch matrix: 4 windows, 4 taps")
    draw_cells(ax, 9.5, w.reshape(4, 1), title="kernel")
    draw_cells(ax, 11.5, y.reshape(4, 1), title="output")
    for left, sign in (9, "@"), (11, "="):
        ax.text(left, 2, sign, ha="center", va="center", fontsize=14)
    outline = {"fill": False, "edgecolor": viz.COLOURS[0], "linewidth": 2.5}
    for place, width, height in ((1, 0.5), 2, 2), ((4.5, 1), 4, 1), ((11.5, 1), 1, 1):
        ax.add_patch(Rectangle(place, width, height, **outline))
    ax.set(xlim=(-0.2, 12.7), ylim=(5.7, -0.2), aspect="equal")
    ax.axis("off")
    note = "outlined: one window, its row, its output."
    note += "   shade: the pixel is copied 1, 2 or 4 times"
    ax.text(6.25, 5.5, note, ha="center", color="#555555")
    viz.show(figure, "02_patch_matrix")


draw_patch_matrix()

# %% [markdown]
# Each grid line means ten times as many milliseconds as the one to its left.


# %%
def draw_times():
    """The five ways as bars."""
    caption = "One layer, computed in five ways: time on a logarithmic scale"
    figure, ax = viz.new_figure(caption, width=7.4, height=2.7)
    milliseconds = [1000 * time for time in times.values()]
    bars = ax.barh(list(times), milliseconds, color=viz.COLOURS[0], height=0.62)
    slowest = milliseconds[0]
    labels = [f"{ms:,.2f} ms,  {slowest / ms:,.0f} times as fast" for ms in milliseconds]
    ax.bar_label(bars, [f"{slowest:,.0f} ms", *labels[1:]], padding=4, fontsize=9)
    limits = min(milliseconds) / 3, 20 * slowest
    ax.set(xscale="log", xlabel="milliseconds", xlim=limits)
    ax.invert_yaxis()
    ax.grid(False, axis="y")
    ax.tick_params(axis="y", length=0)
    viz.show(figure, "02_time")


draw_times()

# %% [markdown]
# ## Exercises
# 1. **Trace.** Given a pixel and the sizes of image and kernel, list the rows and columns
#    of the patch matrix at which this pixel stands.
# 2. **Change.** Compute a convolution layer block by block, with patch matrices of at most
#    a given number of output rows.
# 3. **Prove.** Two convolutions with nothing between them are one convolution. Given their
#    kernels, compute the kernel of this one.
#
# `fcn exercise 2` writes a file for each of them, `fcn exercise 2 --check FILE` checks your
# answer, `fcn exercise 2 --solution` shows ours.

# %% [markdown]
# ## Claims

# %%
ROUNDING = "1e-12: the same products in float64, added in another order"
claims(
    [
        ("loops = im2col + GEMM", gap(by_gemm, by_loops) < 1e-12, ROUNDING),
        ("loops = strided view", gap(by_view, by_loops) < 1e-12, ROUNDING),
        ("loops = conv2d", gap(conv2d(images, weight), by_loops) < 1e-12, ROUNDING),
        ("the layer correlates", np.array_equal(layer, [3, 2, 1]), "exact: small integers"),
        ("stride 2", np.array_equal(strided, [6, 12]), "exact: small integers"),
        (
            "padding 1",
            np.array_equal(padded, [3, 6, 9, 12, 15, 11]),
            "exact: small integers",
        ),
        ("dilation 2", np.array_equal(dilated, [9, 12]), "exact: small integers"),
        (
            "a group does not see another group's channels",
            np.array_equal(apart, two_channels),
            "exact: times one",
        ),
        (
            "size formula, 200 random layers",
            formula_right == shape_right == 200,
            "exact: counted",
        ),
        ("500 pixels with padding 100 give 698", side == 698, "exact: counted"),
    ]
)

# %%
claims(
    [
        (
            "patch matrix = kh*kw times the input",
            buffer.size == 9 * inside.size,
            "exact: both are counted",
        ),
        (
            "im2col + GEMM is 300 to 100,000 times faster than loops",
            300 < gemm_speedup < 1e5,
            "1,900 to 14,000 on quiet and busy machines; 1e5 would skip work",
        ),
        ("so is conv2d", 300 < speedup < 1e5, "wide: 3,400 to 16,000, likewise"),
        (
            "conv1_2 would need 1.1 GB of patches",
            1.1e9 < whole == 9 * input_bytes < 1.2e9,
            "exact: computed",
        ),
        (
            "in one piece, memory is the patch matrix",
            0.95 < min(pieces) and max(pieces) < 1.15,
            "1.000: small objects are less than a thousandth",
        ),
        (
            "in blocks, memory is one block per thread",
            0.5 < min(per_thread) and max(per_thread) < 1.5,
            ".78 to 1.02 with 1, 2 and 4 threads: a block is a whole number of rows",
        ),
        ("the wrong order passes on one channel", wrong_on_grey < 1e-12, ROUNDING),
        (
            "and fails on three",
            wrong_on_colour > 0.1,
            "0.1: far above rounding; the five seeds have 1.1 or more",
        ),
    ]
)

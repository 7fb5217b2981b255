"""Lesson 2: What does a convolution layer compute, and how is it made fast?

Afterwards you can
- compute one output pixel by hand and say what each index of the equation means;
- say what stride, padding, dilation and groups change, and how large the output is;
- tell the layer's "convolution" from the mathematician's, and say when the difference shows;
- turn the layer into one matrix product, say what that costs in memory, and why it is done in blocks.

Needs: Python and NumPy, no earlier lesson
Runtime: 6 s on 2 cores
"""

# %% [markdown]
# # The idea
# A convolution layer slides a small window over an image. At each place it multiplies the pixels in
# the window by the numbers of a *kernel* and adds up. One place, one sum, one output pixel.
#
#     image x      kernel w     output y
#     1  2  0        1  2         4 -1       top left:  1*1 + 2*2 + 0*0 + 1*(-1) = 4
#     0  1  3        0 -1         1  6
#     2  1  1
#
# The same kernel is used everywhere. So the layer has few weights, and no weight knows the image's
# size.

# %% [markdown]
# ## Predict
# Write your answers down before you run anything.
# 1. Compute the other three numbers of `y` yourself. Do you get -1, 1 and 6?
# 2. A 3x3 kernel moves over a 500x500 image with a border of 100 zeros on every side, one pixel at
#    a time. How large is the output? (It is the first layer of the network that the authors
#    released.)
# 3. We shall compute one layer with Python loops and again as a matrix product. How many times
#    faster is the second: 2, 10, 100 or 1000?

# %% [markdown]
# # By hand, then with a loop
# First one output pixel in full. Then the same for each place of the window.

# %%
import numpy as np

from fcn_from_scratch.course import check, claims

x = np.array([[1, 2, 0], [0, 1, 3], [2, 1, 1]])
w = np.array([[1, 2], [0, -1]])
corner = 1 * 1 + 2 * 2 + 0 * 0 + 1 * (-1)

y = np.zeros((2, 2), dtype=int)
for i, j in np.ndindex(2, 2):
    window = x[i : i + 2, j : j + 2]
    y[i, j] = (window * w).sum()

print(y)
check("the loop finds the corner computed by hand", y[0, 0] == corner)
check("and the other three", np.array_equal(y, [[4, -1], [1, 6]]))

# %% [markdown]
# # A whole layer
# A layer has more axes. Its input holds N images of C channels each, `x (N, C, H, W)`. It has F
# kernels, and each kernel looks at all the channels: `weight (F, C, kh, kw)`. Every kernel makes
# one output channel, and may add a constant to it, its bias:
#
#     y[n, f, i, j] = bias[f] + sum over c, a, b of  x[n, c, i + a, j + b] * weight[f, c, a, b]
#
# Four indices choose the output number: image n, kernel f, place (i, j). Three are summed over:
# channel c and tap (a, b) of the kernel. Seven indices make seven nested loops.
# `ops.loops.conv2d_loops` is just that (`np.ndindex` writes several loops in one line). It is the
# definition that every faster version must agree with. Here the three inner loops are one NumPy
# sum.


# %%
def conv_windows(x, weight):
    """One NumPy sum per output number: a window of all channels times one kernel."""
    (n_images, _, h, w), (n_kernels, _, kh, kw) = x.shape, weight.shape
    y = np.zeros((n_images, n_kernels, h - kh + 1, w - kw + 1))
    for n, f, i, j in np.ndindex(y.shape):
        y[n, f, i, j] = (x[n, :, i : i + kh, j : j + kw] * weight[f]).sum()
    return y


def gap(a, b):
    """The largest difference between two arrays, relative to the largest number in the second."""
    return float(abs(a - b).max() / abs(b).max())


# %%
from fcn_from_scratch.ops import conv2d
from fcn_from_scratch.ops.loops import conv2d_loops

rng = np.random.default_rng(2)
images = rng.normal(size=(2, 3, 7, 10))  # sizes that are not alike: "What could fool you" says why
weight = rng.normal(size=(5, 3, 2, 4))
by_loops = conv2d_loops(images, weight)
by_windows = conv_windows(images, weight)
print("x", images.shape, " weight", weight.shape, " y", by_loops.shape)
check("seven loops = one sum per window", gap(by_windows, by_loops) < 1e-12)
check("seven loops = the package's conv2d", gap(conv2d(images, weight), by_loops) < 1e-12)

# %% [markdown]
# # Convolution or correlation?
# In mathematics, a convolution turns the kernel around before it slides it. A correlation does not.
# Nothing in our sum was turned around: **what a convolution layer computes is a correlation.** The
# name has stuck.
#
# An image with a single 1 in it shows the difference. Convolution copies the kernel to where the 1
# is; correlation copies it back to front. NumPy has a function for each.


# %%
def row(*numbers):
    """An image of one pixel row: shape (1, 1, 1, W)."""
    return np.array(numbers, dtype=float).reshape(1, 1, 1, -1)


impulse, ramp, symmetric = [0, 0, 1, 0, 0], [1, 2, 3], [1, 2, 1]
layer = conv2d(row(*impulse), row(*ramp)).ravel()
convolved, correlated = np.convolve(impulse, ramp, "valid"), np.correlate(impulse, ramp, "valid")
print("convolution", convolved, " correlation", correlated, " layer", layer)
check("the layer correlates", np.array_equal(layer, correlated))
check("the layer does not convolve", not np.array_equal(layer, convolved))
same = np.array_equal(np.convolve(impulse, symmetric, "valid"), np.correlate(impulse, symmetric, "valid"))
check("a symmetric kernel hides the difference", same)

# %% [markdown]
# Does it matter? Not for learning: a layer that flips would learn the same weights, back to front.
# It does matter when you carry weights from one program to another, and when you go backwards:
# lesson 3 meets the flipped kernel again.

# %% [markdown]
# # Four knobs
# One pixel row, 1 2 3 4 5 6, and the kernel 1 1 1 are enough to see what each knob does, because
# every output is a sum of three pixels. (Knobs take one number for both axes, or a pair: vertical,
# horizontal.)
#
# - **stride** s: the window moves s pixels at a time. Fewer outputs, a smaller image.
# - **padding** p: p zeros are put around the image. The window may hang over the edge.
# - **dilation** d: the taps of the kernel stand d pixels apart. It sees further with the same
#   weights.
#
# Cover the right-hand sides below and predict each list.

# %%
numbers, ones = row(1, 2, 3, 4, 5, 6), row(1, 1, 1)
plain = conv2d(numbers, ones).ravel()
strided = conv2d(numbers, ones, stride=(1, 2)).ravel()
padded = conv2d(numbers, ones, padding=(0, 1)).ravel()
dilated = conv2d(numbers, ones, dilation=(1, 2)).ravel()

check("no knob turned: 1+2+3, 2+3+4, ...", np.array_equal(plain, [6, 9, 12, 15]))
check("stride 2: 1+2+3, then 3+4+5", np.array_equal(strided, [6, 12]))
check("padding 1: 0+1+2 first, 5+6+0 last", np.array_equal(padded, [3, 6, 9, 12, 15, 11]))
check("dilation 2: 1+3+5, then 2+4+6", np.array_equal(dilated, [9, 12]))

# %% [markdown]
# - **groups** G: the channels are divided into G parts that do not see each other. Normally each
#   output channel adds up all input channels. With two groups, the first half of the outputs sees
#   the first half of the inputs, the second half sees the second. The weight is `(F, C/G, kh, kw)`:
#   G times fewer numbers. AlexNet has two groups in some layers; it was trained on two GPUs with
#   half of the channels on each.
#
# Two channels, 1 2 3 and 10 20 30, and kernels of a single tap show it.

# %%
two_channels = np.array([[1.0, 2, 3], [10, 20, 30]]).reshape(1, 2, 1, 3)
mixed = conv2d(two_channels, np.ones((2, 2, 1, 1)))
apart = conv2d(two_channels, np.ones((2, 1, 1, 1)), groups=2)

print("groups=1:", mixed[0, :, 0].tolist())
print("groups=2:", apart[0, :, 0].tolist())
check("one group: every output adds both channels", np.array_equal(mixed[0, :, 0], [[11, 22, 33]] * 2))
check("two groups: each output sees its own channel", np.array_equal(apart, two_channels))

# %% [markdown]
# # How large is the output?
# As large as the number of windows. So let us count them, one axis at a time, without any formula.
# The function lists every window that fits, as the pixel positions below its taps. Positions below
# 0 and from n on are padding. They are `s*i + d*a - p`, and that is all there is to the three
# knobs.


# %%
def windows(n, k, stride=1, padding=0, dilation=1):
    """Every window of k taps that fits on an axis of n pixels, as lists of positions."""
    end = n + padding
    every = [[start + dilation * a for a in range(k)] for start in range(-padding, end, stride)]
    return [positions for positions in every if positions[-1] < end]


print("plain     ", windows(6, 3))
print("stride 2  ", windows(6, 3, stride=2))
print("padding 1 ", windows(6, 3, padding=1))
print("dilation 2", windows(6, 3, dilation=2))

# %% [markdown]
# Now draw them. The pixels are on top. Below them is one row of dots for each window, and its sum.

# %%
from fcn_from_scratch.viz import COLOURS, new_figure, save_figure


def draw_windows(ax, title, padding=0, **knobs):
    """The pixels 1..6 as squares, orange if no window reads them; below, each window's taps as dots."""
    values = [0] * padding + [1, 2, 3, 4, 5, 6] + [0] * padding
    every = windows(6, 3, padding=padding, **knobs)
    read = {q for taps in every for q in taps}
    for q, value in enumerate(values, start=-padding):
        face = "#ffffff" if q not in range(6) else "#dfe8f1" if q in read else "#e8b394"
        ax.plot(q, 0, "s", markersize=19, markerfacecolor=face, markeredgecolor="#999999")
        ax.text(q, 0, value, ha="center", va="center_baseline")
    for level, taps in enumerate(every, start=1):
        ax.plot(taps, [-level] * 3, "o-", color=COLOURS[0], markersize=6, linewidth=1)
        ax.text(6.8, -level, f"= {sum(values[t + padding] for t in taps)}", va="center")
    ax.set_title(title, fontsize=10, loc="left")


# %%
figure, axes = new_figure("Each row of dots is one window: three taps, one sum", 2, 2, width=7.4, height=5)
axes[0, 0].get_gridspec().set_height_ratios([5.1, 7.1])
draw_windows(axes[0, 0], "no knob turned: four windows fit")
draw_windows(axes[0, 1], "stride 2: pixel 6 is never read", stride=2)
draw_windows(axes[1, 0], "padding 1: windows hang over the edge", padding=1)
draw_windows(axes[1, 1], "dilation 2: taps two pixels apart", dilation=2)
for ax, bottom in zip(axes.flat, (-4.5, -4.5, -6.5, -6.5)):
    ax.set(xlim=(-1.5, 8), ylim=(bottom, 0.6))
    ax.axis("off")
save_figure(figure, "02_knobs")

# %% [markdown]
# The formula says the same in one line. A kernel of k taps reaches over `d*(k - 1) + 1` pixels, its
# *span*. The first window always takes that much; every further window needs s more pixels. What is
# left over at the end is dropped, and this is the floor in
#
#     output size = floor((n + 2p - span) / s) + 1,       span = d*(k - 1) + 1
#
# Does it hold for any sizes? We draw 200 layers at random. For each we count the windows, evaluate
# the formula, and look at the shape that `conv2d` returns.

# %%
from fcn_from_scratch.ops.shapes import conv_output_size


def random_layer():
    """Sizes of two axes and the knobs: (n, k, stride, padding, dilation) for each axis."""
    while True:
        axes = [tuple(int(rng.integers(low, 1 + high)) for low, high in RANGES) for _ in "hw"]
        if all(windows(*axis) for axis in axes):  # at least one window must fit
            return axes


RANGES = (1, 20), (1, 5), (1, 4), (0, 3), (1, 3)
random_layers = [random_layer() for _ in range(200)]
print("for example: n, k, stride, padding, dilation =", random_layers[0][0])

# %%
formula_right, shape_right = 0, 0
for axes in random_layers:
    image_size, kernel_size, *knobs = zip(*axes)
    result = conv2d(np.zeros((1, 1, *image_size)), np.zeros((1, 1, *kernel_size)), None, *knobs)
    counted = tuple(len(windows(*axis)) for axis in axes)
    formula_right += counted == tuple(conv_output_size(*axis) for axis in axes)
    shape_right += counted == result.shape[2:]

check("the formula counts the windows of all 200 layers", formula_right == 200)
check("conv2d returns that many outputs, 200 times", shape_right == 200)
check("first layer of the released network: 500 in, 698 out", conv_output_size(500, 3, padding=100) == 698)

# %% [markdown]
# The floor is silent. Pixel 6 in the picture above takes part in no window. Change it and nothing
# happens.

# %%
changed = conv2d(row(1, 2, 3, 4, 5, 1000), ones, stride=(1, 2)).ravel()
check("with stride 2 the last pixel of six is never read", np.array_equal(changed, strided))

# %% [markdown]
# # From windows to a matrix
# Now make it fast. Look at the worked example again. Write each window as one *row*, and the kernel
# as one *column*. Then "multiply and add up" is a row times a column, and all windows together are
# one matrix product:
#
#     1 2 0 1        1         4       top left window
#     2 0 1 3   @    2    =   -1       top right
#     0 1 2 1        0         1       bottom left
#     1 3 1 1       -1         6       bottom right
#
# The matrix of windows is called the *patch matrix*, the step that fills it *im2col*. A matrix
# product is the one operation that every processor maker has tuned for decades. In libraries it is
# named GEMM.
#
# The function below does it for any number of images and channels. It loops over the taps only,
# `kh*kw` steps: tap (a, b) of *all* windows is one slice of the image.


# %%
def im2col(x, kh, kw, stride=1):
    """The patch matrix: a row per window, in order (n, i, j); a column per weight, in order (c, a, b)."""
    n, c, h, w = x.shape
    oh, ow = conv_output_size(h, kh, stride), conv_output_size(w, kw, stride)
    patches = np.empty((n, oh, ow, c, kh, kw), x.dtype)
    for a, b in np.ndindex(kh, kw):
        tap = x[:, :, a : a + stride * oh : stride, b : b + stride * ow : stride]
        patches[..., a, b] = tap.transpose(0, 2, 3, 1)
    return patches.reshape(n * oh * ow, c * kh * kw)


small = im2col(x.reshape(1, 1, 3, 3), 2, 2)
print(small)
check("patch matrix @ kernel = the output computed by hand", np.array_equal(small @ w.ravel(), [4, -1, 1, 6]))


# %%
def conv_gemm(x, weight, stride=1):
    """The layer as one matrix product: (windows, C*kh*kw) @ (C*kh*kw, F)."""
    f, _, kh, kw = weight.shape
    oh, ow = conv_output_size(x.shape[2], kh, stride), conv_output_size(x.shape[3], kw, stride)
    product = im2col(x, kh, kw, stride) @ weight.reshape(f, -1).T
    return product.reshape(len(x), oh, ow, f).transpose(0, 3, 1, 2)


by_gemm = conv_gemm(images, weight)
check("im2col + GEMM = seven loops", gap(by_gemm, by_loops) < 1e-12, f"{gap(by_gemm, by_loops):.0e}")
halved = gap(conv_gemm(images, weight, 2), conv2d_loops(images, weight, stride=2))
check("with stride 2 as well", halved < 1e-12)

# %% [markdown]
# Why 1e-12 and not equality? Both add the same products, but in another order, and every addition
# rounds in the 16th digit.
#
# Next, a picture of the small case. Count the copies of each pixel while you look at it.

# %%
from matplotlib.patches import Rectangle

pixel = im2col(np.arange(9).reshape(1, 1, 3, 3), 2, 2)  # which pixel each number of the patch matrix is
copies = np.bincount(pixel.ravel())  # how often each pixel occurs
SHADE = {1: "#f3f6f9", 2: "#c5d5e6", 4: "#e8b394"}


def cells(ax, left, numbers, shades=None, title=""):
    """A matrix of numbers in squares."""
    rows, columns = numbers.shape
    top = (4 - rows) / 2
    for (i, j), number in np.ndenumerate(numbers):
        face = "#ffffff" if shades is None else SHADE[int(shades[i, j])]
        ax.add_patch(Rectangle((left + j, top + i), 1, 1, facecolor=face, edgecolor="#aaaaaa"))
        ax.text(left + j + 0.5, top + i + 0.5, number, ha="center", va="center", fontsize=12)
    ax.text(left + columns / 2, 4.6, title, ha="center", va="baseline")


# %%
figure, ax = new_figure("The patch matrix of the worked example: a row per window", width=7.4, height=3)
cells(ax, 0, x, copies.reshape(3, 3), "image")
cells(ax, 4.5, small, copies[pixel], "patch matrix: 4 windows, 4 taps")
cells(ax, 9.5, w.reshape(4, 1), title="kernel")
cells(ax, 11.5, y.reshape(4, 1), title="output")
for left, sign in (9, "@"), (11, "="):
    ax.text(left, 2, sign, ha="center", va="center", fontsize=14)
for place, width, height in ((1, 0.5), 2, 2), ((4.5, 1), 4, 1), ((11.5, 1), 1, 1):
    ax.add_patch(Rectangle(place, width, height, fill=False, edgecolor=COLOURS[0], linewidth=2.5))
ax.set(xlim=(-0.2, 12.7), ylim=(5.7, -0.2), aspect="equal")
ax.axis("off")
note = "outlined: one window, its row, its output.   shade: the pixel is copied 1, 2 or 4 times"
ax.text(6.25, 5.5, note, ha="center", color="#555555")
save_figure(figure, "02_patch_matrix")

# %% [markdown]
# # The price: copies
# Neighbouring windows overlap, so pixels are copied. A pixel far from the border lies below each of
# the `kh*kw` taps once, and is copied `kh*kw` times. With a padding that keeps the image's size,
# the count is exact: the patch matrix has **`kh*kw` times** as many numbers as the input. (A stride
# of s divides that by the square of s.)

# %%
inside = rng.normal(size=(1, 4, 12, 12))
around = np.pad(inside, ((0, 0), (0, 0), (1, 1), (1, 1)))  # a 3x3 kernel now gives 12x12 outputs
buffer = im2col(around, 3, 3)
print(f"input {inside.nbytes} bytes, patch matrix {buffer.nbytes} bytes")
check("the pixel in the middle of the 3x3 image is copied 4 = 2*2 times", copies[4] == 4)
check("a 3x3 kernel's patch matrix is 9 times the input", buffer.nbytes == 9 * inside.nbytes)
check("at stride 2, a quarter of that", im2col(around, 3, 3, stride=2).nbytes * 4 == buffer.nbytes)

# %% [markdown]
# # Windows without copies: a strided view
# Must we copy at all? An array is a block of memory plus its *strides*: how many bytes to step for
# the next row, the next column. Nothing forbids two index pairs from landing on the same byte. Give
# the memory of `x` four axes: (i, j) moves the window, (a, b) moves inside it. One step of i is one
# row down, and so is one step of a, so they get the same stride. All windows are there, and not a
# single byte was copied.
#
# (`as_strided` checks nothing: a wrong shape reads memory that is not yours. `sliding_window_view`
# makes the same view and does check; use that one.)

# %%
from numpy.lib.stride_tricks import as_strided, sliding_window_view

down, right = x.strides
view = as_strided(x, shape=(2, 2, 2, 2), strides=(down, right, down, right))
print("strides of x:", x.strides, "  strides of the view:", view.strides)
check("the view has the same rows as the patch matrix", np.array_equal(view.reshape(4, 4), small))
check("sliding_window_view is the same view", np.array_equal(view, sliding_window_view(x, (2, 2))))
check("it is the image's own memory", np.shares_memory(view, x))
check("but reshaping it to a matrix copies", not np.shares_memory(view.reshape(4, 4), x))

# %% [markdown]
# The last line is the catch. GEMM wants a plain matrix, with one stride for rows and one for
# columns. Overlapping windows are not of that kind, so the copy comes after all, if we want GEMM.
# `np.einsum` can sum over the view directly: no buffer, but no GEMM either.


# %%
def conv_view(x, weight):
    """The definition, summed over a view of all windows: no loop in Python, no copy."""
    view = sliding_window_view(x, weight.shape[2:], axis=(2, 3))  # (N, C, oh, ow, kh, kw)
    return np.einsum("ncijab,fcab->nfij", view, weight)


by_view = conv_view(images, weight)
check("strided view = seven loops", gap(by_view, by_loops) < 1e-12, f"{gap(by_view, by_loops):.0e}")

# %% [markdown]
# # How fast?
# One layer, five ways, all with the same multiplications. There are `N*F*oh*ow` outputs of
# `C*kh*kw` products each. Compare your guess.

# %%
from time import perf_counter


def seconds(function):
    """The fastest of all runs that fit into 0.3 s: the one that was disturbed least."""
    times = []
    while sum(times) < 0.3:
        started = perf_counter()
        function(big, kernels)
        times.append(perf_counter() - started)
    return min(times)


big, kernels = rng.normal(size=(1, 16, 24, 24)), rng.normal(size=(8, 16, 3, 3))
ways = {"seven Python loops": conv2d_loops, "one NumPy sum per window": conv_windows}
ways |= {"einsum over the view": conv_view, "im2col + GEMM": conv_gemm, "the package's conv2d": conv2d}

# %%
times = {name: seconds(way) for name, way in ways.items()}
products = 8 * 22 * 22 * 16 * 3 * 3
print(f"{products:,} products")
for name, time in times.items():
    print(f"{name:25} {1000 * time:8.2f} ms  {1e9 * time / products:8.2f} ns per product")
speedup = times["seven Python loops"] / times["im2col + GEMM"]
package_speedup = times["seven Python loops"] / times["the package's conv2d"]
check("GEMM is at least 10 times faster than loops", speedup >= 10, f"here {speedup:.0f} times")
check("so is conv2d", package_speedup >= 10, f"here {package_speedup:.0f} times")

# %% [markdown]
# Where does the time go? Python spends about a thousand nanoseconds on one product: it looks up the
# indices, checks types, makes number objects. The multiplication itself is lost among that. GEMM,
# on an idle machine, needs less than one nanosecond for it. It multiplies several numbers in one
# instruction, and uses a number many times while it is in the processor's fast memory, the cache.
# It also uses all cores, so a busy machine slows it most: run the lesson again if your numbers look
# odd.

# %%
figure, ax = new_figure("One layer, the same sums: time on a logarithmic scale", width=7.4, height=2.7)
milliseconds = [1000 * time for time in times.values()]
bars = ax.barh(list(times), milliseconds, color=COLOURS[0], height=0.62)
labels = [f"{ms:,.2f} ms,  {milliseconds[0] / ms:,.0f} times as fast" for ms in milliseconds]
ax.bar_label(bars, [f"{milliseconds[0]:,.0f} ms", *labels[1:]], padding=4, fontsize=9)
ax.set(xscale="log", xlabel="milliseconds", xlim=(min(milliseconds) / 3, 20 * milliseconds[0]))
ax.invert_yaxis()
ax.grid(False, axis="y")
ax.tick_params(axis="y", length=0)
save_figure(figure, "02_time")

# %% [markdown]
# # Where the memory goes
# Nine times the input is nothing for our toy. Take a real layer: conv1_2 of VGG16, 3x3, 64 channels
# in, as the paper runs it. The image has 500x500 pixels, conv1_1 pads it by 100 (lesson 6 says
# why), so conv1_2 receives 698x698. Predict the size of its patch matrix in float32, for one image.

# %%
from fcn_from_scratch.engine.im2col import BLOCK_BYTES, patch_bytes

float32 = np.dtype("float32")
side = conv_output_size(500, 3, padding=100)
input_bytes = 64 * side * side * float32.itemsize
whole = side * patch_bytes(side, (3, 3), 64, float32)  # rows of output times the patches below one row

print(f"conv1_2: input {input_bytes / 1e6:.0f} MB, patch matrix {whole / 1e6:.0f} MB")
check("9 times the input", whole == 9 * input_bytes)
check("more than a gigabyte", whole > 1e9)

# %% [markdown]
# Nobody needs all these rows at once. A row of the matrix makes a row of the product, and no other
# row has a part in it. So `conv2d` cuts the output into *blocks*: it gathers the patches below a
# few image rows, multiplies, stores the result, and uses the next few rows. A block takes 4 MB
# (`BLOCK_BYTES`), whatever the image. That saves memory, and time as well: a block is still in the
# cache when GEMM reads it. Training gains too. The backward pass (lesson 3) needs the patches
# again, and gathers them again from the input. Keeping them would cost nine inputs per layer.
#
# Believe no comment; measure. `tracemalloc` sees what NumPy allocates. We subtract what no method
# can avoid: the result and one padded copy of the input. What is left is working memory.

# %%
import tracemalloc

import fcn_from_scratch


def working_memory(method, side):
    """Bytes that `method` holds at its peak, beyond its result and a padded input of 64 channels."""
    image = np.zeros((1, 64, side, side), np.float32)
    tracemalloc.start()
    y = method(image, np.zeros((64, 64, 3, 3), np.float32))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak - y.nbytes - 64 * (side + 2) ** 2 * image.itemsize


def conv_whole(x, weight):
    """im2col + GEMM with a padding of 1 and the patch matrix in one piece."""
    return conv_gemm(np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1))), weight)


# %%
sides = [32, 64, 128, 256, side]  # the last one is conv1_2 itself
with fcn_from_scratch.plain(False):  # the blocks are the engine's: measure it even if the lesson runs with --plain
    in_blocks = [working_memory(lambda x, w: conv2d(x, w, padding=1), s) for s in sides]
in_one = [working_memory(conv_whole, s) for s in sides[:-1]]  # not the last one: it is too large
for s, one, blocks in zip(sides, in_one, in_blocks):
    print(f"{s:3} x {s:3}: in one piece {one / 1e6:5.1f} MB, in blocks {blocks / 1e6:3.1f} MB")
print(f"conv1_2:   in blocks {in_blocks[-1] / 1e6:.1f} MB, where the patch matrix has {whole / 1e6:.0f} MB")

check("in one piece, four times the pixels take four times the memory", in_one[3] > 3.5 * in_one[2])
check("in blocks, seven times the pixels take about the same", in_blocks[4] < 1.5 * in_blocks[3])
check("conv2d computes conv1_2 within a few blocks", in_blocks[4] < 8 * BLOCK_BYTES)

# %%
figure, ax = new_figure("Working memory of a 3x3 layer, 64 channels in and out", width=7.4, height=3.4)
every_side = np.arange(24, side + 1)
computed = [s * patch_bytes(s, (3, 3), 64, float32) / 1e6 for s in every_side]
ax.plot(every_side, computed, color=COLOURS[1], label="patch matrix, computed")
ax.plot(sides[:-1], np.array(in_one) / 1e6, "o", color=COLOURS[1], label="in one piece, measured")
ax.plot(sides, np.array(in_blocks) / 1e6, "s-", color=COLOURS[0], label="conv2d, in blocks, measured")
ax.axvline(side, color="#999999", linestyle=":")
label = {"xytext": (-8, 3), "textcoords": "offset points", "ha": "right", "fontsize": 9}
ax.annotate(f"conv1_2: {computed[-1]:,.0f} MB in one piece", (side, computed[-1]), **label)
ax.annotate(f"{in_blocks[-1] / 1e6:.0f} MB in blocks", (side, in_blocks[-1] / 1e6), **label | {"xytext": (-8, -13)})
ax.set(xlabel="side of the image in pixels", ylabel="megabytes", yscale="log", ylim=(1, 3000))
ax.legend(loc="center right", bbox_to_anchor=(0.94, 0.5), frameon=False, fontsize=9)
save_figure(figure, "02_memory")

# %% [markdown]
# # The package's patches
# `engine.im2col.gather` is the function that fills a block: a strided view, then the reshape that
# copies. It takes the image with the *channels last* in memory, so that the C numbers of a pixel
# lie side by side and are copied in one go. Therefore its columns come in the order (a, b, c), and
# ours come in the order (c, a, b). Apart from that the two matrices are the same.

# %%
from fcn_from_scratch.engine.im2col import channels_last, gather

c, kh, kw = weight.shape[1:]
oh, ow = by_loops.shape[2:]
theirs = gather(channels_last(images), slice(0, oh), ow, (kh, kw), stride=(1, 1), dilation=(1, 1))
ours = im2col(images, kh, kw)
reordered = theirs.reshape(-1, kh, kw, c).transpose(0, 3, 1, 2).reshape(ours.shape)
check("same matrix, other order of columns", np.array_equal(reordered, ours))

# %% [markdown]
# # What could fool you
# The order of the columns must be the order of the weights. Forget it, and *every shape still
# fits*. Below is the wrong version: patches in the order (a, b, c) times weights in the order (c,
# a, b). On a grey image it is right. A test with one channel cannot see the mistake.


# %%
def conv_wrong(x, weight):
    """Wrong: the columns of the patches are (a, b, c), those of the weights (c, a, b)."""
    f, _, kh, kw = weight.shape
    oh, ow = x.shape[2] - kh + 1, x.shape[3] - kw + 1
    patches = gather(channels_last(x), slice(0, oh), ow, (kh, kw), stride=(1, 1), dilation=(1, 1))
    return (patches @ weight.reshape(f, -1).T).reshape(len(x), oh, ow, f).transpose(0, 3, 1, 2)


grey, grey_weight = images[:, :1], weight[:, :1]
wrong_on_grey = gap(conv_wrong(grey, grey_weight), conv2d_loops(grey, grey_weight))
wrong_on_colour = gap(conv_wrong(images, weight), by_loops)
check("the wrong version has the right shape", conv_wrong(images, weight).shape == by_loops.shape)
check("it is right on one channel", wrong_on_grey < 1e-12)
check("it is wrong on three", wrong_on_colour > 0.1, f"off by {100 * wrong_on_colour:.0f} % of the largest")

# %% [markdown]
# The same holds for a flipped kernel, which a symmetric kernel hides, and for swapped axes, which
# square images hide. So test with nothing alike: several channels in, another number out, H unlike
# W, kh unlike kw, and random numbers. The comparisons with the loops above were made like that.

# %% [markdown]
# # Exercises
# Answers, tested, are in `lessons/solutions/solution_02_convolution.py`.
#
# 1. **Trace.** An image has shape (1, 2, 4, 5), the kernel is 3x3, nothing is padded. In which rows
#    and columns of our patch matrix does pixel `x[0, 1, 2, 3]` occur? And `x[0, 0, 0, 0]`? Work it
#    out on paper, then check it with an image that is zero but for that pixel.
# 2. **Change.** Write `conv_blocks(x, weight, rows)`: the result of `conv_gemm`, but with a patch
#    matrix of at most `rows` output rows at a time. Show with `tracemalloc` that its peak falls.
# 3. **Prove.** Two 3x3 layers in a row, without bias and with nothing between them, are one 5x5
#    layer. Which kernel does it have? (Here the mathematician's convolution turns up after all.)
#    Verify it with numbers. How many weights do the two ways have, for one channel?

# %% [markdown]
# # Claims

# %%
ROUNDING = "1e-12: the same products in float64, added in another order"
claims(
    [
        ("loops = im2col + GEMM", gap(by_gemm, by_loops) < 1e-12, ROUNDING),
        ("loops = strided view", gap(by_view, by_loops) < 1e-12, ROUNDING),
        ("loops = conv2d", gap(conv2d(images, weight), by_loops) < 1e-12, ROUNDING),
        ("GEMM is >= 10x faster than loops", speedup >= 10, "generous: thousands of times on an idle machine"),
        ("conv2d is >= 10x faster than loops", package_speedup >= 10, "generous, likewise"),
        ("patch matrix = kh*kw times the input", buffer.size == 9 * inside.size, "exact: both are counted"),
        ("size formula, 200 random layers", formula_right == shape_right == 200, "exact: counted"),
    ]
)

# %%
claims(
    [
        ("the layer correlates", np.array_equal(layer, [3, 2, 1]), "exact: small integers"),
        ("stride 2", np.array_equal(strided, [6, 12]), "exact: small integers"),
        ("padding 1", np.array_equal(padded, [3, 6, 9, 12, 15, 11]), "exact: small integers"),
        ("dilation 2", np.array_equal(dilated, [9, 12]), "exact: small integers"),
        ("groups do not see each other", np.array_equal(apart, two_channels), "exact: times one"),
        ("conv1_2 would need > 1 GB of patches", whole == 9 * input_bytes > 1e9, "exact: computed"),
        ("conv2d works in bounded memory", in_blocks[4] < 8 * BLOCK_BYTES, "generous: it takes less than two"),
        ("the wrong order passes on one channel", wrong_on_grey < 1e-12, ROUNDING),
        ("and fails on three", wrong_on_colour > 0.1, "0.1: far above rounding, far below the error"),
    ]
)

"""Lesson 16: What does the GPU do differently?

Afterwards you can read a CUDA kernel, say which thread makes which number, tell a gather from a scatter and a right sum
from a lucky one, count what a tile saves, and say when the CPU is faster.

Needs: lessons 2, 3 and 8 (im2col and its buffer; backward; rarefaction)
Runtime: 5 s on 2 cores, the first time 10 s: the kernels are compiled once
"""

# %% [markdown]
# # The body of a loop, and no loop
#
# A CPU runs through a loop. A GPU runs the loop's *body* in thousands of **threads** at once. That body
# is a **kernel**. All threads run the same text, and each is told one thing only: its number. So a kernel
# begins by asking *which element is mine?* Threads come in **blocks**: only those of one block can wait
# for each other and share memory. Nobody promises in which order anything runs. Worked example: im2col
# (lesson 2) of a 3x3 picture with a 2x2 window, 16 threads, each of which copies one number.
#
#     picture  1 2 3     patches  1 2 4 5     thread 6 = 4*1 + 2: row 1, the window that stands at (0, 1)
#              4 5 6              2 3 5 6                         column 2, its lower left corner (1, 0)
#              7 8 9              4 5 7 8     so it copies pixel (0 + 1, 1 + 0), which is 5
#                                 5 6 8 9

# %% [markdown]
# ## Predict
# 1. Which pixel does thread 11 of the example copy?
# 2. A hundred threads add a number each to one sum, whoever comes first. The same sum on every run?
# 3. A product of two matrices of 512x512. How often is a number of `A` read? And if blocks of threads
#    make tiles of 64x64 results, and share what they have read?
# 4. Your picture has 10x10 pixels. GPU or CPU?

# %%
import time
from contextlib import nullcontext

import numpy as np

from fcn_from_scratch import geometry, kernels, models, ops, viz
from fcn_from_scratch.backend import device_module, to_numpy
from fcn_from_scratch.course import check, claims, seed
from fcn_from_scratch.dense import rarefy
from fcn_from_scratch.kernels import emulator, launch
from fcn_from_scratch.layers import BilinearUpsample, Conv2d, MaxPool2d, ReLU, Sequential

rng = np.random.default_rng(160 + seed())

# %% [markdown]
# The kernels of this package are the files `fcn_from_scratch/kernels/*.cu`. Where there is a GPU (and
# CuPy), this lesson runs them there. Elsewhere it **emulates** them: g++ builds the very same files, and
# a loop runs thread after thread, in an order of our choosing, which no GPU allows. Where there is no
# compiler either, the threads written in Python below have to do, and the lesson says what it left out.

# %%
try:
    xp, place = device_module("cuda"), "the GPU"
except ValueError as reason:
    xp, place = np, None if emulator.missing() else "the emulator"
    print(reason)
on_gpu = xp is not np
if place:
    print(f"The kernels run on {place}.")
else:
    print(f"And there is {emulator.missing()}. Python threads only; the checks of the kernels are left out.")


def on_device(function, *arguments, order=0):
    """What function(*arguments) returns, of NumPy's arrays, computed by the kernels where they run."""
    given = [xp.asarray(argument) if isinstance(argument, np.ndarray) else argument for argument in arguments]
    with nullcontext() if on_gpu else emulator.emulated(order):
        results = function(*given)
    return tuple(map(to_numpy, results)) if isinstance(results, tuple) else to_numpy(results)


def compiled(code, name):
    """A kernel from its text, called as name(blocks, threads, arguments)."""
    module = (xp if on_gpu else emulator).RawModule(code=code, options=("-std=c++17", "-DREAL=float"))
    return module.get_function(name)


# %% [markdown]
# # Which element is mine?
# ## By hand
# Thread 6 of the example, then all sixteen.


# %%
def im2col_thread(at, x, patches, kh, kw, ow):
    """What thread `at` does: the body of im2col.cu, for one channel, stride 1 and no padding."""
    rest, b = divmod(at, kw)
    rest, a = divmod(rest, kh)
    i, j = divmod(rest, ow)
    patches[at] = x[i + a, j + b]


small, by_threads = np.arange(1, 10).reshape(3, 3), np.zeros(16, int)
im2col_thread(6, small, by_threads, 2, 2, 2)
check("thread 6 copies the 5", by_threads[6] == 5)
im2col_thread(11, small, by_threads, 2, 2, 2)
check("thread 11 the 8", by_threads[11] == 8)
for at in rng.permutation(16):
    im2col_thread(at, small, by_threads, 2, 2, 2)
hand = [[1, 2, 4, 5], [2, 3, 5, 6], [4, 5, 7, 8], [5, 6, 8, 9]]
by_hand = by_threads.reshape(4, 4).tolist() == hand
check("sixteen threads, in any order, make the matrix", by_hand)

# %% [markdown]
# ## With a loop
# A CPU makes the same matrix row by row. The threads need not know how: each finds its own element, no
# two write to one place, none waits for another. That is why the order cannot matter.

# %%
x = rng.normal(size=(9, 7))
kh, kw = 3, 2
oh, ow = 9 - kh + 1, 7 - kw + 1
looped = np.array([x[i : i + kh, j : j + kw].ravel() for i in range(oh) for j in range(ow)])
threaded = np.full(looped.size, np.nan)
for at in rng.permutation(looped.size):
    im2col_thread(at, x, threaded, kh, kw, ow)
index_formula = np.array_equal(threaded.reshape(looped.shape), looped)
check("thread by thread = row by row", index_formula)

# %% [markdown]
# ## With the kernel
# `im2col.cu` is this body with channels, strides, padding and dilation. (Read it now, it has 32 lines.)
# Its `GRID_LOOP` lets thread `t` of `T` do the elements `t`, `t + T`, `t + 2T` ..., so that any number of
# threads does for any picture. Channels stand last in memory: neighbouring threads then read
# neighbouring numbers, and a GPU fetches 32 such in one go.

# %%
images = rng.normal(size=(2, 9, 7, 3)).astype(np.float32)
padded = np.pad(images, ((0, 0), (1, 1), (0, 0), (0, 0)))
windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 2), (1, 2))[:, ::2]  # n, i, j, c, a, b
expected = windows.transpose(0, 1, 2, 4, 5, 3).reshape(-1, 3 * 2 * 3)
same_kernel = True
if place:
    for order in range(4):  # the emulator's: forwards, backwards, two shuffled ones
        arguments = slice(0, 5), 6, (3, 2), (2, 1), (1, 1), (1, 0)
        same_kernel &= np.array_equal(on_device(kernels.im2col, images, *arguments, order=order), expected)
    check("im2col.cu = the view of lesson 2, to the last bit", same_kernel)

# %%
figure, axes = viz.new_figure(
    "Which thread makes which number",
    columns=3,
    width=11,
    height=3.9,
    titles=["the picture", "im2col: thread t copies one number", "its transpose: the threads that meet at a pixel"],
)
meeting = [[] for _ in range(9)]
for at, value in enumerate(by_threads):
    meeting[value - 1].append(at)
colours = viz.voc_palette()[1:10].reshape(3, 3, 3) * 0.35 + 255 * 0.65
axes[0].imshow(colours / 255)
axes[1].imshow(colours.reshape(9, 3)[by_threads - 1].reshape(4, 4, 3) / 255)
axes[2].imshow(colours / 255)
for (i, j), value in np.ndenumerate(small):
    axes[0].text(j, i, str(value), ha="center", va="center", fontsize=15)
    axes[2].text(j, i, "\n".join(f"thread {t}" for t in meeting[value - 1]), ha="center", va="center", fontsize=8)
for at, value in enumerate(by_threads):
    axes[1].text(at % 4, at // 4, f"t = {at}", ha="center", va="center", fontsize=9)
    axes[1].text(at % 4, at // 4 + 0.3, f"copies {value}", ha="center", va="center", fontsize=7, color="#555555")
for ax in axes:
    ax.set(xticks=[], yticks=[])
    ax.tick_params(length=0)
    ax.grid(False)
    ax.spines[:].set_visible(False)
places = ["(0, 0)", "(0, 1)", "(1, 0)", "(1, 1)"]
axes[1].set_xticks(range(4), places)
axes[1].set_yticks(range(4), places)
axes[1].set(xlabel="which corner of the window", ylabel="where the window stands")
viz.save_figure(figure, "16_threads")

# %% [markdown]
# # Scatter or gather
# Backward, every number of the patch matrix is *added* to the pixel it came from (lesson 3: what was
# copied to several places adds up). On the right of the figure, four threads meet at the middle pixel.
# Written as it is said, that is a **scatter**: thread `t` adds number `t` to its pixel. `x += y` is three
# steps, read, add, write, and when two threads do it at once one addition is lost. So a GPU has
# `atomicAdd`, which makes them take turns. **In which order** is left open, and float32 sums care:

# %%
big, one = np.float32(1e8), np.float32(1)
left, right = (big + one) - big, (big - big) + one
print(f"(1e8 + 1) - 1e8 = {left}    (1e8 - 1e8) + 1 = {right}")
check("in float32 the order of three numbers decides between 0 and 1", (left, right) == (0, 1))

# %% [markdown]
# The other way is a **gather**: one thread for each *pixel*. It asks which numbers of the matrix point
# at it, and adds them up in an order that the text fixes. Nobody meets anybody. `col2im.cu` does that.

# %%
columns = rng.normal(size=(oh * ow, kh * kw)).astype(np.float32)
numbers = np.arange(9 * 7).reshape(9, 7)  # im2col of the pixels' own numbers tells where each belongs
pixel = np.array([numbers[i : i + kh, j : j + kw].ravel() for i in range(oh) for j in range(ow)])


def scatter(order):
    """Thread `t` adds number t to its pixel; the threads take turns in the given order."""
    image = np.zeros(9 * 7, np.float32)
    for t in order:
        image[pixel.flat[t]] += columns.flat[t]
    return image


def gather(order):
    """Thread `p` adds up what belongs to pixel p, in ascending order."""
    image = np.zeros(9 * 7, np.float32)
    for p in order:
        for number in columns[pixel == p]:
            image[p] += number
    return image


# %%
turns = [rng.permutation(columns.size) for _ in range(10)]
by_scatter = {scatter(order).tobytes() for order in turns}
by_gather = {gather(rng.permutation(9 * 7)).tobytes() for _ in turns}
print(f"ten orders of threads: {len(by_scatter)} results by scatter, {len(by_gather)} by gather")
check("a scatter's float32 sums depend on the order of threads", len(by_scatter) > 1)
check("a gather's do not, to the last bit", len(by_gather) == 1)

# %% [markdown]
# The same with kernels. The scatter is written here, because the package has none. (Its two kernels that
# do use atomics count with them, in whole numbers, where the order is all the same.)

# %%
SCATTER = """
extern "C" __global__ void scatter(const float* columns, const int* pixel, float* image, int count) {
  const int t = blockIdx.x * blockDim.x + threadIdx.x;
  if (t < count) atomicAdd(&image[pixel[t]], columns[t]);
}
"""


def scatter_kernel(columns, pixel):
    image = xp.zeros(9 * 7, np.float32)
    compiled(SCATTER, "scatter")((3,), (128,), (columns, pixel, image, np.int32(columns.size)))
    return image


def gather_kernel(columns):
    return kernels.col2im(columns, (1, 9, 7, 1), (oh, ow), (kh, kw), (1, 1))


# %%
repeats = True
if place:
    pixel = pixel.astype(np.int32)
    scattered = [on_device(scatter_kernel, columns, pixel, order=order) for order in range(10)]
    gathered = [on_device(gather_kernel, columns, order=order).ravel() for order in range(10)]
    results = {image.tobytes() for image in scattered}
    print(f"ten runs of the kernels: {len(results)} results by scatter")
    repeats = len({image.tobytes() for image in gathered}) == 1
    check("col2im.cu repeats to the last bit", repeats)
    check("both are right to rounding", np.abs(np.array(scattered) - gathered).max() < 1e-5)
    if not on_gpu:  # a GPU may be lucky ten times
        check("atomicAdd gives several results", len(results) > 1)

# %% [markdown]
# # Waiting for each other
# A loss is one number from millions, so threads have to work together. `block_sum` (`reduce.cuh`) adds
# up the numbers of a block in a tree, in **shared memory**, which all threads of a block see. Between two
# floors of the tree stands a **barrier**, `__syncthreads()`: nobody goes on before all have come.
#
# In Python a thread that can wait is a generator, and its barrier is a `yield`.


# %%
def tree_sum(t, values, shared):
    """Thread t of the tree: at the end shared[0] is the sum."""
    shared[t] = values[t]
    yield
    step = len(values) // 2
    while step > 0:
        if t < step:
            shared[t] += shared[t + step]
        yield
        step //= 2


def block(kernel, order, *arguments, barriers=True):
    """Run a block: every thread goes on to its next barrier, or without barriers right to its end."""
    threads = [kernel(t, *arguments) for t in order]
    if not barriers:
        threads = [thread for thread in threads if list(thread) is None]
    while threads:
        threads = [thread for thread in threads if next(thread, "ended") != "ended"]


# %%
values = rng.integers(1, 10, 8).astype(float)
sums = {}
for barriers in (True, False):
    for name, order in (("ascending", range(8)), ("descending", range(7, -1, -1))):
        shared = np.full(8, np.nan)  # what nobody wrote must show
        block(tree_sum, order, values, shared, barriers=barriers)
        sums[name, barriers] = shared[0]
        print(f"  {name:10}  {'barriers' if barriers else 'none    '}  {shared[0]:4.0f}")
with_barriers = sums["ascending", True] == sums["descending", True] == values.sum()
check("with barriers: the sum, in both orders", with_barriers)
missing_shows = bool(np.isnan(sums["ascending", False]))
check("without: wrong in one order", missing_shows)

# %% [markdown]
# Now the kernel, `sum_partials.cu`, as it is and with its barriers taken out of the text.

# %%
source = launch.text("sum_partials.cu")
terms = rng.integers(0, 100, 1000).astype(float)


def sum_kernel(code, terms):
    total = xp.zeros(1)
    compiled(code, "sum_partials")((1,), (256,), (terms, total, np.int32(len(terms)), np.int32(1)))
    return total


if place:
    for name, code in (("as it is", source), ("no barriers", source.replace("__syncthreads();", ";"))):
        totals = [on_device(sum_kernel, code, terms, order=order).item() for order in (0, 1)]
        print(f"  {name:12} {totals}")
        if name == "as it is":
            check("sum_partials.cu adds up", totals == [terms.sum()] * 2)
        elif not on_gpu:
            missing_shows &= totals[0] != terms.sum()
            check("without barriers the kernel is wrong in one order too", totals[0] != terms.sum())

# %% [markdown]
# # Reading less: tiles
# A product of matrices multiplies far more than it has numbers: each number of `A` is used `N` times. A
# thread for each result reads a row and a column, `2K` numbers, from the GPU's large, slow memory. If a
# block makes a tile of `TxT` results instead, and its threads share what they read, each number read
# serves `T` results: `2K/T` reads for a result. By a counting loop, 8x8 matrices, tiles of 4:


# %%
def reads_of(M, N, K, T):
    """Count the numbers that tiles of TxT results read: T rows of A and T columns of B, at every k."""
    count = 0
    for _top in range(0, M, T):
        for _left in range(0, N, T):
            for _k in range(K):
                count += T + T
    return count


check("no tiles: 2K = 16 reads a result", reads_of(8, 8, 8, 1) / 64 == 16)
check("tiles of 4: 2K/T = 4", reads_of(8, 8, 8, 4) / 64 == 4)

# %% [markdown]
# `gemm.cu` makes tiles of 64x64 in strips of 16 `k`s. To count *its* reads, put a counter in its text:

# %%
M, N, K = 128, 192, 32
gemm_text = launch.text("gemm.cu")


def counted(tile):
    """gemm.cu with another tile, and a counter beside every number it reads from A and B."""
    text = gemm_text.replace("#define TILE 64", f"#define TILE {tile}").replace("C, int M", "C, int* reads, int M")
    return text.replace("? A[", "? atomicAdd(reads, 1), A[").replace("? B[", "? atomicAdd(reads, 1), B[")


def gemm_kernel(a, b, tile):
    product, reads = xp.zeros((M, N), np.float32), xp.zeros(1, np.int32)
    sizes = map(np.int32, (M, N, K))
    compiled(counted(tile), "gemm")((M * N // tile**2,), (256,), (a, b, product, reads, *sizes))
    return product, reads


# %%
a, b = rng.normal(size=(M, K)).astype(np.float32), rng.normal(size=(K, N)).astype(np.float32)
reads = {}
for tile in (16, 32, 64) if place else ():
    product, count = on_device(gemm_kernel, a, b, tile)
    reads[tile] = count.item() / (M * N)
    check(f"tiles of {tile}: right, with {2 * K // tile} reads a result", np.abs(product - a @ b).max() < 1e-4)
fewer_reads = all(count == 2 * K / tile for tile, count in reads.items())
check("2K/T, counted in the kernel", fewer_reads, f"{reads or 'not run'}")

# %% [markdown]
# # The whole of an FCN, in kernels
# A convolution, ReLU, a pool, scores, bilinear upsampling, the loss, and everything backward: fourteen
# calls of kernels. Only a bias and ReLU's backward are plain array code.


# %%
def fcn(x, w1, b1, w2, b2, labels):
    """Scores, and the gradients of the loss by picture and weights. Channels last, matrices of weights."""
    n, h, w, _ = x.shape
    half, pool, up = (h // 2, w // 2), ((2, 2), (2, 2), (0, 0), (1, 1)), ((4, 4), (2, 2), (1, 1))
    patches = kernels.im2col(x, slice(0, h), w, (3, 3), (1, 1), (1, 1), (1, 1))
    hidden = kernels.bias_relu(kernels.gemm(patches, w1), b1).reshape(n, h, w, -1)
    pooled, winner = kernels.max_pool(hidden, half, *pool)
    features = pooled.reshape(-1, len(w2))
    coarse = (kernels.gemm(features, w2) + b2).reshape(n, *half, -1)
    scores = kernels.bilinear(coarse, *up)
    _, _, d = kernels.softmax_cross_entropy(scores.reshape(labels.size, -1), labels, 255, True, None, None)

    d = kernels.bilinear_backward(d.reshape(scores.shape), coarse.shape, *up).reshape(len(features), -1)
    dw2 = kernels.gemm(xp.ascontiguousarray(features.T), d)
    d = kernels.gemm(d, xp.ascontiguousarray(w2.T)).reshape(pooled.shape)
    d = kernels.max_pool_backward(d, winner, hidden.shape, *pool) * (hidden > 0)
    dw1 = kernels.gemm(xp.ascontiguousarray(patches.T), d.reshape(len(patches), -1))
    d = kernels.gemm(d.reshape(len(patches), -1), xp.ascontiguousarray(w1.T))
    return scores, kernels.col2im(d, x.shape, (h, w), (3, 3), (1, 1), padding=(1, 1)), dw1, dw2


# %% [markdown]
# The same net in the package, on the CPU, in float32 too. Its gradients were checked by finite
# differences (lesson 3).

# %%
layers = [
    Conv2d(3, 6, 3, padding=1, rng=rng, name="conv"),
    ReLU(),
    MaxPool2d(2),
    Conv2d(6, 4, 1, rng=rng, name="score"),
    BilinearUpsample(4, 2, padding=1),
]
net = Sequential(*layers)
picture = rng.normal(size=(2, 3, 20, 14)).astype(np.float32)
labels = rng.integers(0, 4, (2, 20, 14))
cpu_scores = net(picture)
dscores = ops.softmax_cross_entropy(cpu_scores, labels)[1]
cpu_dx = net.backward(dscores)


def matrix(weight):
    """(out, in, kh, kw) as the matrix that stands to the right of the patches."""
    return np.ascontiguousarray(weight.transpose(2, 3, 1, 0).reshape(-1, len(weight)))


# %%
worst = 0.0
if place:
    conv, score = layers[0].params, layers[3].params
    weights = matrix(conv["weight"]), conv["bias"], matrix(score["weight"]), score["bias"]
    found = on_device(fcn, np.ascontiguousarray(picture.transpose(0, 2, 3, 1)), *weights, labels.ravel())
    cpu = [cpu_scores.transpose(0, 2, 3, 1), cpu_dx.transpose(0, 2, 3, 1)]
    cpu += [matrix(layers[0].grads["weight"]), matrix(layers[3].grads["weight"])]
    for name, ours, theirs in zip(("scores", "by the picture", "by conv", "by score"), found, cpu):
        gap = np.abs(ours - theirs).max() / np.abs(theirs).max()
        worst = max(worst, gap)
        print(f"  {name:15} off by {gap:.0e} of the largest")
    check("forward and backward agree with the CPU to 1e-4", worst < 1e-4, f"worst {worst:.0e}, on {place}")

# %%
if on_gpu:  # with a GPU, a whole network: net.to moves its weights, and each op follows its array
    nets = [models.build("mini_fcn8s", 4, width=8, seed=seed()) for _ in range(2)]
    for array in nets[0].params.values():  # its scores begin with zeros, which would agree all too easily
        array[...] = rng.normal(size=array.shape) / np.sqrt(max(1, array.size / len(array)))
    nets[1].load_state_dict(nets[0].state_dict())
    nets[1].to("cuda")
    wide = rng.normal(size=(1, 3, 64, 48)).astype(np.float32)
    outputs = [net(x) for net, x in zip(nets, (wide, xp.asarray(wide)))]
    dy = rng.normal(size=outputs[0].shape).astype(np.float32)
    back = [net.backward(d) for net, d in zip(nets, (dy, xp.asarray(dy)))]
    for ours, theirs in ((outputs[1], outputs[0]), (back[1], back[0])):
        worst = max(worst, np.abs(to_numpy(ours) - theirs).max() / np.abs(theirs).max())
    check("so does a whole mini FCN-8s", worst < 1e-4, f"{worst:.0e}")

# %% [markdown]
# # Random numbers, the same on both
# Dropout's mask comes from a generator, and a generator is a chain: each state follows from the last.
# Threads cannot draw in turn. But NumPy's PCG64 moves by `state * m + c`, and a thousand such moves are
# one move of the same form. So a thread can *jump* to its place in the chain, and the GPU drops what the
# CPU would have dropped.

# %%
walking, jumping = (np.random.default_rng(7) for _ in range(2))
chain = walking.bit_generator.random_raw(1001)
jumping.bit_generator.advance(1000)
same_draw = jumping.bit_generator.random_raw() == chain[-1]
check("a jump of 1000 = 1000 steps", same_draw)


def mask_kernel(generator):
    return kernels.dropout_mask(xp, generator, (3, 5, 7), 0.4)


if place:
    host, device = (np.random.default_rng(8) for _ in range(2))
    for _ in range(2):  # 105 numbers: an odd count leaves half a draw over for the next time
        drawn = host.random((3, 5, 7), dtype=np.float32) >= 0.4
        same_draw &= np.array_equal(on_device(mask_kernel, device), drawn)
    check("dropout.cu draws NumPy's mask, twice in a row", same_draw)
    check("and both generators stand at the same place", host.bit_generator.state == device.bit_generator.state)

# %% [markdown]
# # An index can be too large
# The numbers of a patch matrix are counted, and an `int` ends at 2,147,483,647. How far is that for
# FCN-32s? `conv1_2` of a batch of eight 500x500 pictures, padded by 100 on every side:

# %%
row = geometry.table(models.build("fcn32s", 21, width=16), (500, 500)).row("conv1_2")
elements = 8 * row.size[0] * row.size[1] * 9 * 64  # 64 channels in VGG16
last = np.array([elements - 1])
wrapped = last.astype(np.int32).item()
print(f"{elements:,} elements; the last one has index {last.item():,}, as an int {wrapped:,}")
check("the patches of one layer are too many for an int, which wraps to a negative place", wrapped < 0)
blocks, threads = np.array([1 << 24], np.uint32), np.array([256], np.uint32)
narrow, wide = (blocks * threads).item(), (blocks.astype(np.int64) * threads).item()
check("blockIdx.x * blockDim.x, 32 bits each, starts again at 0", narrow == 0 and wide == 2**32)

# %% [markdown]
# So `common.cuh` widens *before* the product, `(idx_t)blockIdx.x * blockDim.x`. Convolutions here also work
# in bands of rows, so that a matrix this large never exists; the indices do not rely on it.

# %% [markdown]
# # When the CPU wins
# Starting a kernel costs some microseconds, however small its work. Then memory decides: bias and ReLU
# read and write 8 bytes for two operations. Below, the CPU's time is measured. The GPU's is measured too
# if you have one; if not, it is a **model**: 10 microseconds a launch and 500 GB/s, numbers made up to
# be of the usual size. The dotted line adds the way there and back at 10 GB/s.


# %%
def seconds(function, *arguments):
    """The shortest of seven runs."""
    times = []
    for _ in range(7):
        started = time.perf_counter()
        function(*arguments)
        times.append(time.perf_counter() - started)
    return min(times)


def by_numpy(numbers, bias, out):
    np.maximum(np.add(numbers, bias, out=out), 0, out=out)


def by_kernel(numbers, bias, out):
    float(kernels.bias_relu(numbers, bias, out)[0, 0])  # to read a number back, one has to wait for the kernel


counts = 64 * 4 ** np.arange(1, 9)
cpu_times, gpu_times = [], []
bias = np.ones(64, np.float32)
for count in counts:
    arrays = np.ones((count // 64, 64), np.float32), bias, np.ones((count // 64, 64), np.float32)
    cpu_times.append(seconds(by_numpy, *arrays))
    if on_gpu:
        gpu_times.append(seconds(by_kernel, *map(xp.asarray, arrays)))
    else:
        gpu_times.append(10e-6 + 8 * count / 500e9)
travelled = [t + 8 * count / 10e9 for t, count in zip(gpu_times, counts)]
ahead = [count for count, c, g in zip(counts, cpu_times, gpu_times) if c > g]
print(f"GPU {'measured' if on_gpu else 'modelled'}; ahead from {min(ahead, default=np.inf):,} numbers on")

# %% [markdown]
# Two things are in the picture. A map of 10x10 pixels is not worth a launch. And what has travelled to
# the GPU should stay there, or the journey costs what the GPU saves: here a step of training copies back
# one number, the loss.

# %%
figure, axes = viz.new_figure("What a tile saves, and what a launch costs", columns=2, width=10, height=3.8)
tiles = np.array([1, 2, 4, 8, 16, 32, 64])
axes[0].plot(tiles, 2 * K / tiles, color="#999999", label=f"2K/T, K = {K}")
axes[0].plot(list(reads), list(reads.values()), "o", color=viz.COLOURS[1], label="counted in gemm.cu")
axes[0].set(xscale="log", yscale="log", xlabel="side T of a tile", ylabel="reads from global memory a result")
axes[0].set_xticks(tiles, tiles)
axes[0].set_yticks([1, 4, 16, 64], [1, 4, 16, 64])
kind = "measured" if on_gpu else "a model, not measured"
axes[1].plot(counts, cpu_times, "o-", label="CPU, measured")
axes[1].plot(counts, gpu_times, "o-" if on_gpu else "--", label=f"GPU, {kind}")
axes[1].plot(counts, travelled, ":", color=viz.COLOURS[2], label="the same, and there and back at 10 GB/s")
axes[1].set(xscale="log", yscale="log", xlabel="numbers in the map", ylabel="seconds for bias and ReLU")
for ax in axes:
    ax.minorticks_off()
    ax.legend(frameon=False)
viz.save_figure(figure, "16_time")

# %% [markdown]
# # Dilation or upsampling: the table
# Lesson 8 promised it. Scores every 8 pixels can be had in two ways: take FCN-32s and **dilate** until its
# stride is 8, or keep the strides and **upsample**, with skips, as FCN-8s does. From geometry alone,
# for a picture of 500x500 and VGG16 a quarter as wide (the factors hardly depend on that).

# %%
whole = models.build("fcn32s", 21, width=16)
ways = {
    "FCN-32s, upsampled x32": whole,
    "FCN-32s dilated to 16, x16": Sequential(*rarefy(whole, 16).layers, BilinearUpsample(32, 16)),
    "FCN-32s dilated to 8, x8": Sequential(*rarefy(whole, 8).layers, BilinearUpsample(16, 8)),
    "FCN-16s: one skip": models.build("fcn16s", 21, width=16),
    "FCN-8s: two skips": models.build("fcn8s", 21, width=16),
}
tables = {name: geometry.table(net, 500) for name, net in ways.items()}
base = tables["FCN-32s, upsampled x32"]
work = {name: found.multiply_adds / base.multiply_adds for name, found in tables.items()}
memory = {name: found.activation_bytes / base.activation_bytes for name, found in tables.items()}
extra = {name: found.parameters / base.parameters - 1 for name, found in tables.items()}
print(f"  {'':28} {'work':>6} {'maps':>6} {'new weights':>12}")
for name in ways:
    print(f"  {name:28} {work[name]:6.2f} {memory[name]:6.2f} {extra[name]:12.3%}")
dilated, skipped = "FCN-32s dilated to 8, x8", "FCN-8s: two skips"
cheap_skips = work[skipped] < 1.01 and work[dilated] > 3
check("dilating to 8 costs three times the work, two skips under a hundredth more", cheap_skips)
check("dilated maps take more memory", memory[dilated] > memory[skipped])
check("dilation needs no new weights, skips a few", extra[dilated] == 0 < extra[skipped] < 0.001)

# %% [markdown]
# What is better when? **Upsampling with skips** where detail is in the shallow layers, memory is short or
# pictures are large: it is nearly free, but its few new weights have to be trained. **Dilation** where the
# *deep* answer itself has to be finer, or the weights are finished and nothing may be trained, and you can
# pay. Both can be had together: dilate the last stride, where it costs least, and upsample the rest.
#
# For a GPU the two differ once more. Dilated layers are large products of matrices, which keep it busy;
# skips are small launches, whose time is the launch's. Three times the work need not be three times as long.

# %% [markdown]
# # What could fool you
# **Testing with whole numbers.** They are a fine way to compare two programs to the last bit (lessons 7
# and 8 do). They are blind for just this fault: sums of whole numbers are exact in every order.

# %%
columns = np.round(9 * columns)
whole_numbers = {scatter(order).tobytes() for order in turns}
check("in whole numbers the scatter seems to repeat to the last bit", len(whole_numbers) == 1)

# %% [markdown]
# **Testing in one order.** The tree without barriers was wrong with ascending threads. With descending ones
# every thread finds its partner's work done, and the sum is right. A GPU may well run it so, in every test
# you make, until a driver or a larger block changes the order. So the tests here run each kernel in two.

# %%
lucky = sums["descending", False] == values.sum()
check("no barriers, the other order: right by luck", lucky)

# %% [markdown]
# **Timing the launch.** A kernel's call comes back at once, before the work is done. A clock around it shows
# microseconds for anything. Wait for the result, as `by_kernel` above does, or use the GPU's own events.

# %% [markdown]
# ## Exercises
# 1. *Trace.* im2col of a picture (1, 4, 5, 2), channels last, window 3x3, stride 1, padding 1. Which number
#    does thread 100 copy? How many threads copy pixel (1, 2) of channel 1, and how many pixel (0, 0)?
# 2. *Change.* `tree_sum` wants 2, 4, 8 ... threads. Make it right for any number, and check it in both orders
#    of threads. How many barriers does a block of 100 pass?
# 3. *Prove.* Show that `col2im.cu` adds to each pixel exactly the numbers that the scatter would add, each
#    once, for any stride, padding and dilation.
#
# Answers: `lessons/solutions/solution_16_gpu_kernels.py`

# %% [markdown]
# ## Claims
# Those of kernels hold on the device named above; where none runs they are not listed.

# %%
always = [
    ("threads in any order make im2col's matrix", by_hand and index_formula, "exact: copies"),
    ("float32 sums depend on their order", (left, right) == (0, 1), "exact: 1 is lost beside 1e8"),
    ("a scatter depends on the order of threads", len(by_scatter) > 1, "ten orders"),
    ("a gather does not", len(by_gather) == 1, "exact: one order of additions"),
    ("in whole numbers the scatter hides it", len(whole_numbers) == 1, "exact: small whole numbers"),
    ("with barriers the tree is right in both orders", with_barriers, "exact: whole numbers"),
    ("without them it is wrong in one", missing_shows, "what nobody wrote is NaN"),
    ("and right in the other", lucky, "exact"),
    ("a jump in the chain of random numbers = all its steps", same_draw, "exact: whole numbers"),
    ("one layer's patches are too many for an int", wrapped < 0 and narrow == 0, "counted"),
    ("dilation to 8: 3 times the work; skips: a hundredth", cheap_skips, "counted, not run"),
]
of_kernels = [
    ("im2col.cu = the strided view", same_kernel, "exact: copies"),
    ("col2im.cu repeats to the last bit", repeats, "exact: one order of additions"),
    ("gemm.cu reads 2K/T numbers a result", fewer_reads, "counted"),
    ("forward and backward agree with the CPU", worst < 1e-4, "1e-4: float32, two orders of summation"),
]
claims(always + (of_kernels if place else []))

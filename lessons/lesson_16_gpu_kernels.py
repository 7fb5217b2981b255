# %% [markdown]
"""
# Lesson 16: What does the GPU do differently?

After this lesson you can read a CUDA kernel and say which thread makes which number. You
can tell a gather from a scatter. You can say why a sum by many threads may be right only by
luck. You can count divisions, accesses to memory and what a tile saves, and say when the
CPU is faster.

No other lesson needs this one. Leave it out if you do not want to know how the layers run
on a GPU.

Needs: lessons 2 and 3 (im2col; backward). Words: the [glossary](../docs/glossary.md).

Runtime: 6 s on 2 cores; the first time 12 s, because the kernels are compiled once
"""

# %% [markdown]
# ## A GPU runs the body of a loop in many threads
#
# A CPU runs through a loop. A GPU runs the *body* of the loop in thousands of threads at
# once. In CUDA this body is also called a kernel; it has nothing to do with the kernel of a
# convolution. All threads run the same program. A thread knows only its number, so a CUDA
# kernel begins with the question: *which element is mine?* Threads are grouped in blocks.
# Only the threads of one block can wait for each other and share memory. The order in which
# threads run is not defined. Here is im2col (lesson 2) of a 3x3 picture with a 2x2 window.
# There are 16 threads, and each copies one number:
#
#     picture  1 2 3     patches  1 2 4 5
#              4 5 6              2 3 5 6
#              7 8 9              4 5 7 8
#                                 5 6 8 9
#
# The patches have a row for each window. Thread 6 is $4 \cdot 1 + 2$, so it makes the
# number in row 1 and column 2. Row 1 is the window at (0, 1), and column 2 is its lower
# left corner (1, 0). So the thread copies pixel (0 + 1, 1 + 0), which is 5.

# %% [markdown]
# ## Predict
# 1. Which pixel does thread 11 of the example copy?
# 2. Many threads add float32 numbers to a few sums, in the order in which they happen to
#    run. Are the sums the same on every run?
# 3. Two matrices of 512x512 are multiplied, with one thread for each result. How often is
#    each number of the first matrix read? And how often if blocks of threads make tiles of
#    64x64 results and share what they read?
# 4. A map has 10x10 pixels and 64 channels. Is bias and ReLU faster on a GPU or on a CPU?

# %%
import functools
import time
from contextlib import nullcontext

import numpy as np

from fcn_from_scratch import kernels, ops, viz
from fcn_from_scratch.backend import device_module, to_numpy
from fcn_from_scratch.course import check, claims, seed
from fcn_from_scratch.kernels import emulator, launch
from fcn_from_scratch.layers import BilinearUpsample, Conv2d, MaxPool2d, ReLU, Sequential

SEED = seed()
rng = np.random.default_rng([SEED, 16])

# %% [markdown]
# The kernels of this package are the files `fcn_from_scratch/kernels/*.cu`. If there is a
# GPU (and CuPy), this lesson runs them there. Otherwise it **emulates** them: g++ compiles
# the very same files, and a loop runs one thread after the other. In the emulator we can
# choose the order of the threads. On a GPU nobody can. If there is no compiler either, only
# the threads that are written in Python below are run, and the lesson says what it left
# out.

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
    print(f"And there is {emulator.missing()}. The checks of the kernels are left out.")


def on_device(function, *arguments, order=0):
    """What function(*arguments) returns, computed by the kernels where they run."""
    given = [xp.asarray(a) if isinstance(a, np.ndarray) else a for a in arguments]
    with nullcontext() if on_gpu else emulator.emulated(order):
        results = function(*given)
    if isinstance(results, tuple):
        return tuple(map(to_numpy, results))
    return to_numpy(results)


def compiled(code, name):
    """A kernel from its text, called as name(blocks, threads, arguments)."""
    compiler = xp if on_gpu else emulator
    module = compiler.RawModule(code=code, options=("-std=c++17", "-DREAL=float"))
    return module.get_function(name)


# %% [markdown]
# ## Which element is mine?
# Threads 6 and 11 of the example by hand, then all sixteen.


# %%
def im2col_thread(at, x, patches, kh, kw, ow):
    """The body of im2col.cu for thread `at`: one channel, stride 1 and no padding."""
    rest, b = divmod(at, kw)
    rest, a = divmod(rest, kh)
    i, j = divmod(rest, ow)
    patches[at] = x[i + a, j + b]


small, by_threads = np.arange(1, 10).reshape(3, 3), np.zeros(16, int)
im2col_thread(6, small, by_threads, 2, 2, 2)
im2col_thread(11, small, by_threads, 2, 2, 2)
copied = by_threads[6], by_threads[11]
check("thread 6 copies the 5, and thread 11 the 8", copied == (5, 8))
for at in rng.permutation(16):
    im2col_thread(at, small, by_threads, 2, 2, 2)
rows = [[1, 2, 4, 5], [2, 3, 5, 6], [4, 5, 7, 8], [5, 6, 8, 9]]
by_hand = by_threads.reshape(4, 4).tolist() == rows
check("sixteen threads, in any order, make the matrix", by_hand)

# %% [markdown] tags=["answer"]
# > **Prediction 1.** Thread 11 copies the 8. It is $4 \cdot 2 + 3$: row 2, which is the
# > window at (1, 0), and column 3, its lower right corner (1, 1). So it copies pixel (2,
# > 1).

# %% [markdown]
# A CPU makes the same matrix row by row. On a GPU each thread finds its own element. No two
# threads write to the same place, and none waits for another. So the order of the threads
# cannot matter.

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
# The package's `kernels/im2col.cu` is this body with channels, stride, padding and
# dilation. It has a loop around the body: thread $t$ of $T$ makes the elements $t$,
# $t + T$, $t + 2T$ and so on. So any number of threads is enough for any picture.

# %%
images = rng.normal(size=(2, 9, 7, 3)).astype(np.float32)
padded = np.pad(images, ((0, 0), (1, 1), (0, 0), (0, 0)))
windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 2), (1, 2))
windows = windows[:, ::2]  # the axes are n, i, j, c, a, b
expected = windows.transpose(0, 1, 2, 4, 5, 3).reshape(-1, 3 * 2 * 3)
same_kernel = True
if place:
    arguments = images, slice(0, 5), 6, (3, 2), (2, 1), (1, 1), (1, 0)
    for order in range(4):  # the emulator's: forwards, backwards, two shuffled ones
        found = on_device(kernels.im2col, *arguments, order=order)
        same_kernel &= np.array_equal(found, expected)
    check("im2col.cu = the view of lesson 2, to the last bit", same_kernel)

# %% [markdown]
# ## Divide once, then count on
# The body above divides three times for each number that it copies. A GPU has no
# instruction that divides whole numbers: a division of 32-bit numbers is about twenty
# instructions, and one of 64-bit numbers several times as many. Copying a number is two.
# So a kernel that only moves numbers can spend its time on finding out *which* numbers.
#
# The element's place is a number written in digits $(i, j, a, b)$, with a base for each
# digit. Adding $T$ to it needs no division. Write $T$ in the same digits. Add digit by
# digit, from the fastest on, and carry a 1 when a digit reaches its base, like the counter
# of a car. The package calls it an odometer (`odometer.cuh`).


# %%
divisions = 0


def digits(number, bases):
    """The digits of a number, the fastest first. The last one has no base."""
    global divisions
    found = []
    for base in bases:
        number, digit = divmod(number, base)
        divisions += 1
        found.append(digit)
    return [*found, number]


def add(spot, step, bases):
    """spot + step, digit by digit. Both are below the bases, so the carry is 0 or 1."""
    carry, total = 0, []
    for digit, more, base in zip(spot, step, bases):
        digit += more + carry
        carry = digit >= base
        total.append(digit - base if carry else digit)
    return [*total, spot[-1] + step[-1] + carry]


bases, count, threads = (kw, kh, ow), looped.size, 10
by_dividing = [digits(at, bases) for at in range(count)]
for_each_number, divisions = divisions, 0
by_odometer = [None] * count
for t in range(threads):
    spot, step = digits(t, bases), digits(threads, bases)
    for at in range(t, count, threads):
        by_odometer[at] = spot
        spot = add(spot, step, bases)
same_places = by_odometer == by_dividing
check("the odometer comes to the same places", same_places)
fewer_divisions = for_each_number == 3 * count and divisions == 6 * threads
check(
    "three divisions for each number, or six for each thread",
    fewer_divisions,
    f"{for_each_number} and {divisions} for {count} numbers",
)

# %% [markdown]
# Now the kernel. In `im2col.cu`, `split` finds the digits by dividing, and `advance` adds
# to them. There are six digits, because images and channels count too, so one `split` is
# five divisions. Put a counter into the text of the kernel: `split<6>(...)` becomes
# `atomicAdd(splits, 1), split<6>(...)`. A comma in C means: do the first, then the second.
# For comparison, put `split` in the place of `advance`. Then the kernel divides for each
# number, as it did at first.

# %%
IM2COL = launch.text("im2col.cu")
GO_ON = {
    "odometer": "advance<6>(place, step, base);",
    "division": "split<6>(at + stride, base, place);",
}


def im2col_that(goes_on, counting=True):
    """im2col.cu that finds the next number in one of these ways; `splits` is a counter."""
    text = IM2COL.replace(GO_ON["odometer"], GO_ON[goes_on])
    if counting:
        text = text.replace("int dw) {", "int dw, int* splits) {")
        text = text.replace("split<6>(", "atomicAdd(splits, 1), split<6>(")
    return compiled(text, "im2col")


def patches_of(x, kernel, blocks, *more):
    """The patches of 3x3 windows without padding, by `blocks` blocks of 256 threads."""
    _, h, w, c = x.shape
    patches = xp.zeros(((h - 2) * (w - 2), 9 * c), np.float32)
    sizes = 1, h, w, c, 0, h - 2, w - 2, 3, 3, 1, 1, 0, 0, 1, 1
    kernel((blocks,), (256,), (x, patches, *map(np.int32, sizes), *more))
    return patches


def split_kernel(x, goes_on):
    splits = xp.zeros(1, np.int32)
    return patches_of(x, im2col_that(goes_on), 2, splits), splits


# %%
splits = {}
if place:
    image = rng.normal(size=(1, 12, 11, 5)).astype(np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(image, (3, 3), (1, 2))
    of_windows = windows.transpose(0, 1, 2, 4, 5, 3).reshape(10 * 9, -1)
    same = []
    for goes_on in GO_ON:
        made, count = on_device(split_kernel, image, goes_on)
        splits[goes_on] = count.item()
        same.append(np.array_equal(made, of_windows))
    check("both ways make the patches", all(same))
one_a_number = 2 * 512 + 10 * 9 * 3 * 3 * 5
few_splits = splits == {"odometer": 2 * 512, "division": one_a_number}
if place:
    check("2 splits a thread, or one more for each number", few_splits, f"{splits}")


# %% [markdown]
# NVIDIA's compiler makes 457 instructions of the loop that divides 64-bit numbers. (Not all
# of them run each time.) It makes 110 of the loop with the odometer and 32-bit indices.
# Both loops copy two numbers a round. If the channels are a multiple of four, a thread also
# copies four numbers at once: 16 bytes are one instruction, as 4 bytes are. These counts
# are of `im2col.cu` in float32 for the generation of the H200 (sm_90, NVRTC 12.4). If you
# have a GPU, the next cell prints the times on it. We have none to print here.


# %%
def timed(way):
    """Milliseconds on the GPU, by its own clock: the shortest of three runs."""
    taken = []
    for _ in range(4):  # the first is warm-up
        started, ended = xp.cuda.Event(), xp.cuda.Event()
        started.record()
        way()
        ended.record()
        ended.synchronize()
        taken.append(xp.cuda.get_elapsed_time(started, ended))
    return min(taken[1:])


if on_gpu:
    side = 200 if xp.cuda.Device().mem_info[1] > 4e9 else 20
    large = xp.asarray(rng.normal(size=(1, side + 2, side + 2, 64)).astype(np.float32))
    print(f"the patches of {side}x{side} pixels with 64 channels, on this GPU:")
    for goes_on in GO_ON:
        kernel = im2col_that(goes_on, counting=False)
        way = functools.partial(patches_of, large, kernel, 4096)
        print(f"  by {goes_on}: {timed(way):.3f} ms")

# %% [markdown]
# ## Scatter or gather
# In the backward, every number of the patch matrix is *added* to the pixel that it came
# from (lesson 3: the gradients of copies add up). In the example, four threads add to the
# middle pixel. The direct way to write this is a **scatter**: thread `t` adds number `t` to
# its pixel. But `x += y` is three steps: read, add, write. If two threads do it at once,
# one addition is lost. So a GPU has `atomicAdd`, which makes the threads take turns. **The
# order of these turns** is not defined, and float32 sums depend on the order:

# %%
big, one = np.float32(1e8), np.float32(1)
left, right = (big + one) - big, (big - big) + one
print(f"(1e8 + 1) - 1e8 = {left}    (1e8 - 1e8) + 1 = {right}")
check("in float32 the order decides between 0 and 1", (left, right) == (0, 1))

# %% [markdown]
# The other way is a **gather**: one thread for each *pixel*. It looks for the numbers of
# the matrix that belong to it, and adds them in a fixed order. Let $s$ be the stride and
# $p$ the padding. Window $i$ has row $u$ of the picture at its place $a$ if
#
# $$
# u = s i + a - p, \qquad \text{that is,} \qquad a = u + p - s i .
# $$
#
# So the thread goes through the windows, computes $a$, and checks that it is a place of the
# window. The same holds for columns. Here it is in plain lines:


# %%
def col2im_thread(p, columns, image, windows, kernel, stride, padding):
    """The body of col2im.cu for thread `p`: one channel and no dilation."""
    (oh, ow), (kh, kw) = windows, kernel
    u, v = divmod(p, image.shape[1])
    for i, j in np.ndindex(oh, ow):
        a, b = u + padding - stride * i, v + padding - stride * j
        if 0 <= a < kh and 0 <= b < kw:
            image[u, v] += columns[i * ow + j, a * kw + b]


def scatter_thread(t, columns, image, windows, kernel, stride, padding):
    """Thread `t` adds number t of the matrix to its pixel, unless that is padding."""
    rest, b = divmod(t, kernel[1])
    rest, a = divmod(rest, kernel[0])
    i, j = divmod(rest, windows[1])
    u, v = stride * i + a - padding, stride * j + b - padding
    if 0 <= u < image.shape[0] and 0 <= v < image.shape[1]:
        image[u, v] += columns.flat[t]


def run(thread, order, columns, **settings):
    """The threads one after the other, in this order. Returns the picture of 9x7 pixels."""
    image = np.zeros((9, 7), columns.dtype)
    for t in order:
        thread(t, columns, image, **settings)
    return image


# %%
settings = dict(windows=(5, 4), kernel=(3, 3), stride=2, padding=1)
columns = rng.normal(size=(5 * 4, 3 * 3)).astype(np.float32)
turns = [rng.permutation(columns.size) for _ in range(10)]
by_scatter = [run(scatter_thread, order, columns, **settings) for order in turns]
orders = [rng.permutation(9 * 7) for _ in turns]
by_gather = [run(col2im_thread, order, columns, **settings) for order in orders]
scatter_results = len({image.tobytes() for image in by_scatter})
gather_results = len({image.tobytes() for image in by_gather})
both_gap = np.abs(by_scatter[0] - by_gather[0]).max()
print("ten orders of threads:", scatter_results, "results by scatter,", end=" ")
print(gather_results, "by gather")
check("both add the same numbers, up to rounding", both_gap < 1e-5, f"{both_gap:.0e}")
check(
    "the float32 sums of a scatter depend on the order of the threads", scatter_results > 1
)
check("those of a gather do not, to the last bit", gather_results == 1)

# %% [markdown] tags=["answer"]
# > **Prediction 2.** They need not be the same. Our ten orders give more than one result by
# > scatter, and one result by gather. If you wrote "the same, because addition is
# > commutative": this holds for two numbers. With three numbers, it matters which two are
# > added first, because float32 rounds each sum. Float32 addition is not associative.

# %% [markdown]
# Now the kernels. The package's `col2im.cu` gathers. The scatter is written here, because
# the package has none. (Two of its kernels use atomics, but they count in whole numbers,
# where the order does not matter.) In CUDA `threadIdx.x` is a thread's number in its block,
# `blockDim.x` is the number of threads in a block, and `blockIdx.x` is the block's number.

# %%
SCATTER = """
extern "C" __global__ void scatter(const float* columns, const int* pixel,
                                    float* image, int count) {
  const int t = blockIdx.x * blockDim.x + threadIdx.x;
  if (t < count && pixel[t] >= 0) atomicAdd(&image[pixel[t]], columns[t]);
}
"""


def scatter_kernel(columns, pixel):
    image = xp.zeros((9, 7), np.float32)
    arguments = columns, pixel, image, np.int32(columns.size)
    compiled(SCATTER, "scatter")((3,), (128,), arguments)  # 3 blocks of 128 threads
    return image


def gather_kernel(columns):
    return kernels.col2im(columns, (1, 9, 7, 1), (5, 4), (3, 3), (2, 2), padding=(1, 1))


# %%
repeats = same_gather = True
if place:
    numbers = np.pad(np.arange(9 * 7).reshape(9, 7), 1, constant_values=-1)
    pixel = []  # im2col of the pixels' own numbers
    for i, j in np.ndindex(5, 4):
        pixel.append(numbers[2 * i : 2 * i + 3, 2 * j : 2 * j + 3].ravel())
    pixel, scattered, gathered = np.array(pixel, np.int32), [], []
    for order in range(10):
        scattered.append(on_device(scatter_kernel, columns, pixel, order=order))
        gathered.append(on_device(gather_kernel, columns, order=order)[0, :, :, 0])
    different = len({image.tobytes() for image in scattered})
    print(f"ten runs of the kernels: {different} results by scatter")
    same_gather = np.array_equal(gathered[0], by_gather[0])
    check("col2im.cu = our gather, to the last bit", same_gather)
    repeats = len({image.tobytes() for image in gathered}) == 1
    check("col2im.cu repeats to the last bit", repeats)
    check(
        "the scatter kernel is right up to rounding",
        np.abs(np.array(scattered) - gathered).max() < 1e-5,
    )
    if not on_gpu:  # a GPU may take the same turns ten times
        check("atomicAdd gives several results", different > 1)

# %% [markdown]
# ## Waiting for each other
# A loss is one number that is computed from millions of numbers, so threads have to work
# together. `block_sum` (in `reduce.cuh`) adds up the numbers of a block in a tree: at each
# level, half of the threads add a second number to their own. The numbers are in shared
# memory, which all threads of a block can read. Between two levels of the tree there is a
# **barrier**, `__syncthreads()`: no thread goes on before all have arrived.
#
# In Python, a thread that can wait is a generator, and its barrier is a `yield`.


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
    """Every thread goes on to its next barrier, or without barriers right to its end."""
    threads = [kernel(t, *arguments) for t in order]
    if not barriers:
        for thread in threads:
            list(thread)  # runs to its end before the next one begins
        return
    while threads:
        threads = [thread for thread in threads if next(thread, "ended") != "ended"]


# %%
values = rng.integers(1, 10, 8).astype(float)
sums = {}
for barriers in (True, False):
    for name, order in (("ascending", range(8)), ("descending", range(7, -1, -1))):
        shared = np.full(8, np.nan)  # a value that nobody wrote must show
        block(tree_sum, order, values, shared, barriers=barriers)
        sums[name, barriers] = shared[0]
        print(f"  {name:10}  {'barriers' if barriers else 'none    '}  {shared[0]:4.0f}")
with_barriers = sums["ascending", True] == sums["descending", True] == values.sum()
check("with barriers: the sum, in both orders", with_barriers)
missing_shows = bool(np.isnan(sums["ascending", False]))
check("without barriers: wrong in one order", missing_shows)

# %% [markdown]
# ## What a warp reads
# 32 threads with neighbouring numbers are a **warp**. They do each instruction together.
# When they read, the memory does not send single numbers: it sends pieces of 32 bytes,
# which is eight float32 numbers that lie side by side. So what counts is how many pieces
# the 32 addresses lie in. Say the map lies channels last, with 64 channels.


# %%
def pieces(addresses):
    """How many pieces of 32 bytes hold the float32 numbers at these places."""
    return len({address * 4 // 32 for address in addresses})


channels, lanes = 64, np.arange(32)
along_channels = pieces(lanes)  # thread t reads channel t of one pixel
along_pixels = pieces(lanes * channels)  # thread t reads channel 0 of pixel t
check("32 channels of a pixel: 4 pieces, every byte used", along_channels == 4)
check("one channel of 32 pixels: 32 pieces, an eighth used", along_pixels == 32)

# %% [markdown]
# Here is a kernel that copies a map in either way. Each thread also writes down the place
# that it read. On a GPU you also see what each way costs.

# %%
COPY = """
extern "C" __global__ void copy(const float* x, float* y, int* read, int pixels,
                                int channels, int by_pixels) {
  const int step = gridDim.x * blockDim.x;
  for (int t = blockIdx.x * blockDim.x + threadIdx.x; t < pixels * channels; t += step) {
    const int pixel = by_pixels ? t % pixels : t / channels;
    const int channel = by_pixels ? t / pixels : t % channels;
    y[t] = x[pixel * channels + channel];
    read[t] = pixel * channels + channel;
  }
}
"""


def copy_kernel(x, by_pixels, blocks=4):
    y, read = xp.zeros(x.size, np.float32), xp.zeros(x.size, np.int32)
    sizes = map(np.int32, (*x.shape, by_pixels))
    compiled(COPY, "copy")((blocks,), (256,), (x, y, read, *sizes))
    return y, read


read_pieces = []
if place:
    pixels = rng.normal(size=(100, channels)).astype(np.float32)
    for by_pixels in (0, 1):
        y, read = on_device(copy_kernel, pixels, by_pixels)
        read_pieces.append(pieces(read[:32]))  # the first warp
        check("every number is copied", np.array_equal(y, pixels.ravel()[read]))
    check("a warp reads 4 pieces, or 32", read_pieces == [4, 32], f"{read_pieces}")
if on_gpu:
    large = xp.asarray(rng.normal(size=(side * side, channels)).astype(np.float32))
    print(f"to copy {side}x{side} pixels of {channels} channels, on this GPU:")
    for by_pixels, words in enumerate(("along channels", "along pixels")):
        way = functools.partial(copy_kernel, large, by_pixels, 4096)
        print(f"  {words}: {timed(way):.3f} ms")

# %% [markdown]
# So neighbouring threads take neighbouring channels, in nearly every kernel of the package.
# One kernel cannot do this for its reads and its writes. Winograd's algorithm computes 3x3
# convolutions with fewer multiplications, and cuts a map into squares of 4x4 pixels. In its
# gradient, `winograd_output_adjoint` reads the map with the channels side by side, and must
# write with the *squares* side by side, because a matrix product reads them so. So a block
# reads 32 squares of 8 channels into shared memory, with neighbours along the channels.
# Behind a barrier, it takes them out with neighbours along the squares. To see it, we let
# each thread write down the places in memory that it reads.

# %%
ADJOINT = launch.text("winograd.cu")
PLACE = "((n * oh + u) * ow + v) * F + f0 + c"


def noting_adjoint(dy, squares, rows, columns):
    """The places in dy that the threads of one block read, for each of the 16 pixels."""
    head = "int columns) {\n  __shared__"
    text = ADJOINT.replace(head, head.replace(")", ", int* read)"))
    noting = f"? read[256 * p + threadIdx.x] = {PLACE}, dy[{PLACE}]"
    text = text.replace(f"? dy[{PLACE}]", noting)
    read = xp.full((16, 256), -1, np.int32)
    out = xp.zeros((36, dy.shape[3], squares), np.float32)
    sizes = (*dy.shape, 0, rows, columns)
    arguments = dy, out, *map(np.int32, sizes), read
    compiled(text, "winograd_output_adjoint")((1,), (256,), arguments)
    return read, out


coalesced = True
if place:
    dy = rng.normal(size=(1, 8, 64, 16)).astype(np.float32)  # 2 rows of 16 squares
    read, _ = on_device(noting_adjoint, dy, 32, 2, 16)
    found = {pieces(of_pixel[:32]) for of_pixel in read}  # the first warp
    coalesced = found == {4}
    check("a warp of winograd_output_adjoint reads 4 pieces", coalesced, f"{found}")
by_squares = pieces(np.arange(32) * 4 * 16)
check("with neighbours along the squares it would be 32", by_squares == 32)

# %% [markdown]
# ## Reading less: tiles
# Let $A$ be a matrix of $M$ rows and $K$ columns, and $B$ one of $K$ rows and $N$ columns.
# Their product multiplies much more often than the matrices have numbers: each number of
# $A$ is used $N$ times. A thread that makes one result reads a row and a column, $2K$
# numbers, from the large and slow memory of the GPU. Instead, let a block make a tile of
# $T \times T$ results, and let its threads share what they read. Then each number that is
# read is used for $T$ results, and a result costs
#
# $$
# \frac{2K \cdot T}{T^2} = \frac{2K}{T} \quad \text{reads} .
# $$
#
# Count them in a loop:


# %%
def reads_of(M, N, K, T):
    """Count what tiles of TxT results read: T rows of A and T columns of B."""
    from_a = from_b = 0
    for _top in range(0, M, T):
        for _left in range(0, N, T):
            from_a += T * K
            from_b += K * T
    return from_a, from_b


check("8x8, no tiles: 2K = 16 reads for each result", sum(reads_of(8, 8, 8, 1)) / 64 == 16)
check("8x8, tiles of 4: 2K/T = 4", sum(reads_of(8, 8, 8, 4)) / 64 == 4)
each_read = [reads_of(512, 512, 512, tile)[0] / 512**2 for tile in (1, 64)]
check(
    "512x512: each number of A is read 512 times, and 8 times with tiles of 64",
    each_read == [512, 8],
)

# %% [markdown] tags=["answer"]
# > **Prediction 3.** 512 times, once for each column of the second matrix. With tiles of
# > 64x64 it is read once for each of the 512 / 64 = 8 tiles that need it. If you wrote
# > $512 / 64^2$, you used a number for all results of a tile. But a number of $A$ is used
# > for one row of them only.

# %% [markdown]
# The package's `gemm.cu` makes tiles of 64x64. To count *its* reads, put a counter into its
# text. Each read of the form `? A[...]` becomes `? atomicAdd(reads, 1), A[...]`. The value
# is that of what stands behind the comma.

# %%
M, N, K = 128, 192, 32
gemm_text = launch.text("gemm.cu")


def gemm_of(tile):
    """gemm.cu with another tile."""
    return gemm_text.replace("#define TILE 64", f"#define TILE {tile}")


def counted(text):
    """With a counter beside each read from A and B."""
    text = text.replace("C, int M", "C, int* reads, int M")
    for matrix in "AB":
        text = text.replace(f"? {matrix}[", f"? atomicAdd(reads, 1), {matrix}[")
    return text


def gemm_kernel(a, b, tile):
    product, reads = xp.zeros((M, N), np.float32), xp.zeros(1, np.int32)
    arguments = a, b, product, reads, *map(np.int32, (M, N, K))
    compiled(counted(gemm_of(tile)), "gemm")((M * N // tile**2,), (256,), arguments)
    return product, reads


# %%
a, b = (rng.normal(size=size).astype(np.float32) for size in ((M, K), (K, N)))
reads = {}
for tile in (16, 32, 64) if place else ():
    product, count = on_device(gemm_kernel, a, b, tile)
    reads[tile] = count.item() / (M * N)
    check(f"tiles of {tile}: the product is right", np.abs(product - a @ b).max() < 1e-4)
fewer_reads = all(count == 2 * K / tile for tile, count in reads.items())
if place:
    check("gemm.cu reads 2K/T numbers for each result", fewer_reads, f"{reads}")
if on_gpu:
    wide = 8 * side // 64 * 64  # rows and columns of square matrices
    square = xp.asarray(rng.normal(size=(wide, wide)).astype(np.float32))
    print(f"the product of two matrices of {wide}x{wide}, on this GPU:")
    for tile in (16, 32, 64):
        arguments = square, square, xp.empty_like(square), *map(np.int32, (wide,) * 3)
        kernel, blocks = compiled(gemm_of(tile), "gemm"), (wide // tile) ** 2
        way = functools.partial(kernel, (blocks,), (256,), arguments)
        print(f"  tiles of {tile}: {timed(way):.3f} ms")

# %% [markdown]
# ## The patches that nobody writes
# A convolution is a product of patches and weights. With im2col, the patches are written to
# memory and read again: for a 3x3 kernel they are nine times the picture. But `gemm.cu`
# copies each strip of its factors to shared memory anyway. If it takes the strip of the
# patches from the *picture*, the patches are never written. This is an **implicit GEMM**,
# and `implicit_gemm.cu` is one. Its tiles are 128x128, and each thread makes 8x8 results in
# its registers. It has two buffers for strips: while the threads compute with one strip,
# the reads of the next one are under way.
#
# Count its reads from the picture as before. Without padding, a patch number is read once
# for each tile of 128 filters. These reads are mostly from the cache, because neighbouring
# patches overlap.

# %%
implicit_text = launch.text("implicit_gemm.cu")
PUT = [  # what is replaced, and by what: a counter that every thread can reach
    ("struct Convolution {", "struct Convolution {\n  int* reads;"),
    ("conv = {N,", "conv = {reads, N,"),
    ("from ? *from : 0", "from ? atomicAdd(conv.reads, 1), *from : 0"),
    ("int dw, int relu)", "int dw, int relu, int* reads)"),
]


def implicit_kernel(x, filters):
    """A 3x3 convolution without padding, and how many numbers of x were read."""
    text = implicit_text
    for old, new in PUT:
        text = text.replace(old, new)
    (n, h, w, c), f = x.shape, len(filters)
    y, reads = xp.zeros((n, h - 2, w - 2, f), np.float32), xp.zeros(1, np.int32)
    sizes = n, h, w, c, f, h - 2, w - 2, 3, 3, 1, 1, 0, 0, 1, 1, 0
    arguments = x, filters, None, y, *map(np.int32, sizes), reads
    blocks = -(-n * (h - 2) * (w - 2) // 128) * -(-f // 128)
    compiled(text, "implicit_gemm")((blocks,), (256,), arguments)
    return y, reads


# %%
few_reads = same_convolution = True
if place:
    image = rng.normal(size=(1, 12, 11, 5)).astype(np.float32)
    filters = rng.normal(size=(130, 3, 3, 5)).astype(np.float32)
    y, count = on_device(implicit_kernel, image, filters)
    windows = np.lib.stride_tricks.sliding_window_view(image, (3, 3), (1, 2))
    expected = np.einsum("nijcab,fabc->nijf", windows, filters)
    same_convolution = np.abs(y - expected).max() < 1e-4
    check("implicit_gemm.cu is the convolution", same_convolution)
    patch_numbers = 10 * 9 * 3 * 3 * 5
    few_reads = count.item() == 2 * patch_numbers  # 130 filters are two tiles
    check("each patch number: one read for each 128 filters, no write", few_reads)


def by_patches(x, filters, side):
    patches = kernels.im2col(x, slice(0, side), side, (3, 3), (1, 1), (1, 1))
    return patches @ filters.reshape(128, -1).T


def by_implicit(x, filters, side):
    return kernels.implicit_gemm(x, filters, None, (side, side), (1, 1), (1, 1))


if on_gpu:
    sizes = (1, side + 2, side + 2, 64), (128, 3, 3, 64)
    pair = [xp.asarray(rng.normal(size=size).astype(np.float32)) for size in sizes]
    print(f"{side}x{side} pixels, 64 channels, 128 filters of 3x3, on this GPU:")
    for name, way in (
        ("im2col.cu + cuBLAS", by_patches),
        ("implicit_gemm.cu", by_implicit),
    ):
        print(f"  {name:20} {timed(lambda way=way: way(*pair, side)):.3f} ms")

# %% [markdown]
# ## A whole FCN in kernels
# Here is a network with a convolution, ReLU, a pool, scores, bilinear upsampling and the
# loss, and its whole backward. This takes fourteen calls of kernels. Only a bias and the
# backward of ReLU are plain array code.


# %%
def fcn(x, w1, b1, w2, b2, labels):
    """Scores, and the gradients of the loss: picture and weights. Channels come last."""
    n, h, w, _ = x.shape
    half, up = (h // 2, w // 2), ((4, 4), (2, 2), (1, 1))
    pool = (2, 2), (2, 2), (0, 0), (1, 1)
    patches = kernels.im2col(x, slice(0, h), w, (3, 3), (1, 1), (1, 1), (1, 1))
    hidden = kernels.bias_relu(kernels.gemm(patches, w1), b1).reshape(n, h, w, -1)
    pooled, winner = kernels.max_pool(hidden, half, *pool)
    features = pooled.reshape(-1, len(w2))
    coarse = (kernels.gemm(features, w2) + b2).reshape(n, *half, -1)
    scores = kernels.bilinear(coarse, *up)
    rows = scores.reshape(labels.size, -1)
    _, _, d = kernels.softmax_cross_entropy(rows, labels, 255, True, None, None)

    d = kernels.bilinear_backward(d.reshape(scores.shape), coarse.shape, *up)
    d = d.reshape(len(features), -1)
    dw2 = kernels.gemm(xp.ascontiguousarray(features.T), d)
    d = kernels.gemm(d, xp.ascontiguousarray(w2.T)).reshape(pooled.shape)
    d = kernels.max_pool_backward(d, winner, hidden.shape, *pool) * (hidden > 0)
    d = d.reshape(len(patches), -1)
    dw1 = kernels.gemm(xp.ascontiguousarray(patches.T), d)
    d = kernels.gemm(d, xp.ascontiguousarray(w1.T))
    dx = kernels.col2im(d, x.shape, (h, w), (3, 3), (1, 1), padding=(1, 1))
    return scores, dx, dw1, dw2


# %% [markdown]
# This is the same network in the package, on the CPU, in float64. Its gradients are checked
# by finite differences (lesson 3). The kernels must make the same numbers in float64. In
# float32 only the scores are compared: "What could fool you" says why.

# %%
layers = [
    Conv2d(3, 6, 3, padding=1, rng=rng, name="conv", dtype=np.float64),
    ReLU(),
    MaxPool2d(2),
    Conv2d(6, 4, 1, rng=rng, name="score", dtype=np.float64),
    BilinearUpsample(4, 2, padding=1),
]
net = Sequential(*layers)
picture = rng.normal(size=(2, 3, 20, 14))
labels = rng.integers(0, 4, (2, 20, 14))
cpu_scores = net(picture)
dscores = ops.softmax_cross_entropy(cpu_scores, labels)[1]
cpu_dx = net.backward(dscores)


def matrix(weight):
    """(out, in, kh, kw) as the matrix on the right of the patches."""
    return np.ascontiguousarray(weight.transpose(2, 3, 1, 0).reshape(-1, len(weight)))


# %%
worst = {"float64": 0.0, "float32": 0.0}
if place:
    conv, score = layers[0].params, layers[3].params
    weights = matrix(conv["weight"]), conv["bias"], matrix(score["weight"]), score["bias"]
    channels_last = np.ascontiguousarray(picture.transpose(0, 2, 3, 1))
    cpu = [cpu_scores.transpose(0, 2, 3, 1), cpu_dx.transpose(0, 2, 3, 1)]
    cpu += [matrix(layers[0].grads["weight"]), matrix(layers[3].grads["weight"])]
    names = "scores", "gradient: picture", "conv", "score"
    for dtype in worst:
        given = [array.astype(dtype) for array in (channels_last, *weights)]
        found = on_device(fcn, *given, labels.ravel())
        for name, ours, theirs in zip(names, found, cpu):
            gap = np.abs(ours - theirs).max() / np.abs(theirs).max()
            print(f"  {dtype}  {name:18} off by {gap:.0e} of the largest number")
            if dtype == "float64" or name == "scores":
                worst[dtype] = max(worst[dtype], gap)
    check(
        "in float64 scores and gradients agree with the CPU to 1e-9",
        worst["float64"] < 1e-9,
        f"worst {worst['float64']:.0e}, on {place}",
    )
    check(
        "in float32 the scores agree with float64 to 1e-4",
        worst["float32"] < 1e-4,
        f"{worst['float32']:.0e}",
    )

# %% [markdown]
# ## When the CPU wins
# Starting a kernel costs some microseconds, however little it has to do. This is called a
# launch. On a large map, the speed of the memory decides: bias and ReLU read and write 8
# bytes for two operations. Below, the time of the CPU is measured. The time of the GPU is
# measured too if you have one. If not, it is a **model**, and no measurement: we assume 10
# microseconds for a launch and 500 GB/s for the memory. The dotted line adds the time to
# copy the numbers to the GPU and back, for which we assume 10 GB/s.


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
    float(kernels.bias_relu(numbers, bias, out)[0, 0])  # reading a number back waits


LAUNCH, MEMORY, WAY = 10e-6, 500e9, 10e9  # the model: seconds, bytes per second
counts = 64 * 4 ** np.arange(1, 9)
cpu_times, gpu_times = [], []
bias = np.ones(64, np.float32)
for count in counts:
    shape = count // 64, 64
    arrays = np.ones(shape, np.float32), bias, np.ones(shape, np.float32)
    cpu_times.append(seconds(by_numpy, *arrays))
    if on_gpu:
        gpu_times.append(seconds(by_kernel, *map(xp.asarray, arrays)))
    else:
        gpu_times.append(LAUNCH + 8 * count / MEMORY)
travelled = [t + 8 * count / WAY for t, count in zip(gpu_times, counts)]
ahead = [count for count, c, g in zip(counts, cpu_times, gpu_times) if c > g]
crossing = min(ahead, default=np.inf)
print(f"GPU {'measured' if on_gpu else 'modelled'}: faster from {crossing:,} numbers on")
small_map = np.ones((100, 64), np.float32), bias, np.ones((100, 64), np.float32)
microseconds = 1e6 * seconds(by_numpy, *small_map)
print(f"10x10 pixels of 64 channels: {microseconds:.1f} microseconds on this CPU")
moved = 8 * 10 * 10 * 64 / MEMORY
check(
    "model: moving 10x10 pixels of 64 channels takes about a hundredth of a launch",
    0.005 < moved / LAUNCH < 0.02,
)

# %% [markdown] tags=["answer"]
# > **Prediction 4.** By the model, the launch alone takes 10 microseconds, and moving the
# > 6400 numbers takes about a hundredth of that. These are typical numbers that we assume,
# > not measured ones. So by this model the CPU is faster if it needs less than 10
# > microseconds. Your time is printed above; on our quiet machine it was about 5. If you
# > wrote "on the GPU", you counted the work and forgot the launch.

# %% [markdown]
# For a small map a launch takes longer than the work. And data that is on the GPU should
# stay there. Otherwise the copying takes the time that the GPU saves. In this package, a
# step of training copies back one number, the loss.

# %% [markdown]
# ## What could fool you
# **A test with whole numbers.** Whole numbers are good for comparing two programs to the
# last bit (lessons 7 and 8 do this). But they cannot show that a scatter depends on the
# order of its threads, because sums of small whole numbers are exact in every order.

# %%
whole_columns = np.round(9 * columns)
images = [run(scatter_thread, order, whole_columns, **settings) for order in turns]
whole_numbers = {image.tobytes() for image in images}
check("with whole numbers, the scatter seems to repeat", len(whole_numbers) == 1)

# %% [markdown]
# **A test in one order.** The tree without barriers was wrong with ascending threads:
# thread 0 ran to its end before the other threads had written anything. With descending
# threads, every value is complete before a thread of a smaller number reads it, and the sum
# is right. A GPU may run the threads like this in every test that you make, until a new
# driver or a larger block changes the order. So the package tests its kernels in several
# orders.

# %%
lucky = sums["descending", False] == values.sum()
check("no barriers, the other order: right by luck", lucky)

# %% [markdown]
# **Comparing float32 gradients of a max-pool.** Two numbers of a window can be equal up to
# rounding. Then two correct programs may choose different winners, and the gradient goes to
# another pixel. The scores still agree to seven digits, but the gradients of these pixels
# do not agree at all. This happened on a real GPU, an H200, with a small FCN-8s: its
# float32 gradients differed from the CPU's by 4e-2 of the largest. Who is right? In one
# window of pool3 the two largest numbers are 2e-8 of their size apart. The CPU's float32
# takes the first of them. Float64 takes the second, and so did the GPU, most likely. Both
# float32 programs are right up to rounding. So compare gradients of whole networks in
# float64, and float32 gradients layer by layer.

# %%
window = np.array([1, 1 + 1e-9, 0, -1]).reshape(1, 1, 2, 2)
winners = {}
for dtype in ("float64", "float32"):
    winners[dtype] = ops.max_pool2d(window.astype(dtype), 2)[1].item()
kink = winners == {"float64": 1, "float32": 0}
check("the same window has another winner in float32 than in float64", kink, f"{winners}")
sides = {}
for dtype in ("float64", "float32"):
    pool = MaxPool2d(2)
    pool(window.astype(dtype))
    sides[dtype] = pool.backward(np.ones((1, 1, 1, 1), dtype)).ravel().tolist()
apart = sides == {"float64": [0, 1, 0, 0], "float32": [1, 0, 0, 0]}
check("so its gradient goes to another pixel: off by all of it", apart)

# %% [markdown]
# **Timing the launch.** The call of a kernel returns at once, before the work is done. If
# you measure the time of the call, you get some microseconds for any kernel. Wait for the
# result, as `by_kernel` above does, or use the events of the GPU.

# %% [markdown]
# ## The drawings


# %%
def draw_threads():
    """The picture, the threads of im2col, and the threads that meet at each pixel."""
    titles = ["the picture", "im2col: thread t copies a number", "the backward: scatter"]
    caption = "Which thread makes which number"
    figure, axes = viz.new_figure(caption, 2, 2, width=7, height=7.2, titles=titles)
    colours = viz.voc_palette()[1:10].reshape(3, 3, 3) * 0.35 + 255 * 0.65
    axes, middle = axes.ravel(), {"ha": "center", "va": "center"}
    viz.bare(axes)
    axes[0].imshow(colours / 255)
    axes[1].imshow(colours.reshape(9, 3)[by_threads - 1].reshape(4, 4, 3) / 255)
    axes[2].imshow(colours / 255)
    for (i, j), value in np.ndenumerate(small):
        meeting = "\n".join(f"thread {t}" for t in np.flatnonzero(by_threads == value))
        axes[0].text(j, i, str(value), fontsize=15, **middle)
        axes[2].text(j, i, meeting, fontsize=9, **middle)
    for at, value in enumerate(by_threads):
        axes[1].text(at % 4, at // 4, f"t = {at}\ncopies {value}", fontsize=9, **middle)
    places = ["(0, 0)", "(0, 1)", "(1, 0)", "(1, 1)"]
    axes[1].set_xticks(range(4), places)
    axes[1].set_yticks(range(4), places)
    axes[1].tick_params(length=0)
    axes[1].set(xlabel="corner of the window", ylabel="place of the window")
    axes[3].set_axis_off()
    return figure


def draw_time():
    """The reads of a result by the tile's size, and the time by the map's size."""
    caption = "What a tile saves, and what a launch costs"
    titles = ["reads of gemm.cu", "time of bias and ReLU"]
    figure, axes = viz.new_figure(caption, 2, 1, width=6.5, height=7, titles=titles)
    tiles = np.array([1, 2, 4, 8, 16, 32, 64])
    axes[0].plot(tiles, 2 * K / tiles, color="#999999", label=f"2K/T, K = {K}")
    orange, label = viz.COLOURS[1], "counted in gemm.cu"
    axes[0].plot(list(reads), list(reads.values()), "o", color=orange, label=label)
    axes[0].set(xlabel="side T of a tile", ylabel="reads for each result")
    axes[0].set(xscale="log", yscale="log")
    axes[0].set_xticks(tiles, tiles)
    axes[0].set_yticks([1, 4, 16, 64], [1, 4, 16, 64])
    kind = "measured" if on_gpu else "a model, not measured"
    axes[1].plot(counts, cpu_times, "o-", label="CPU, measured")
    axes[1].plot(counts, gpu_times, "o-" if on_gpu else "--", label=f"GPU, {kind}")
    label = "GPU and copying both ways, a model"
    axes[1].plot(counts, travelled, ":", color=viz.COLOURS[2], label=label)
    axes[1].set(xlabel="numbers in the map", ylabel="seconds for bias and ReLU")
    axes[1].set(xscale="log", yscale="log")
    for ax in axes:
        ax.minorticks_off()
        ax.legend()
    return figure


# %% [markdown]
# Follow one colour from the picture to the matrix of im2col: the number, and the threads
# that copy it. Then look at the same colour below: these threads meet at its pixel in the
# backward.

# %%
viz.show(draw_threads(), "16_threads")

# %% [markdown]
# In the upper plot, the counted reads lie on the line of the formula. In the lower one,
# look at where the line of the CPU crosses that of the GPU. Look also at how flat the
# line of the GPU is for small maps: there it is the launch alone.

# %%
viz.show(draw_time(), "16_time")

# %% [markdown]
# ## Exercises
# 1. *Trace.* Which number does thread `t` of im2col copy, with channels and padding?
# 2. *Change.* Make the tree right for any number of threads.
# 3. *Build.* Let each thread jump to its place in a chain of random numbers, without making
#    the numbers before it.
#
# `fcn exercise 16` writes a file for each of them, `fcn exercise 16 --check FILE` checks
# your answer, `fcn exercise 16 --solution` shows ours.

# %% [markdown]
# ## Claims
# The claims about kernels hold on the device named above. Where no kernel runs, they are
# left out.

# %%
order_matters = (left, right) == (0, 1)
hides = len(whole_numbers) == 1
always = [
    ("threads in any order make im2col", by_hand and index_formula, "exact: copies"),
    ("float32 sums depend on their order", order_matters, "exact: 1 is lost beside 1e8"),
    ("scatter and gather add the same", both_gap < 1e-5, "1e-5: float32, a few terms"),
    ("a scatter depends on the order", scatter_results > 1, "ten orders"),
    ("a gather does not", gather_results == 1, "exact: one order of additions"),
    ("whole numbers do not show this", hides, "exact: small whole numbers"),
    ("with barriers the tree is right", with_barriers, "exact: whole numbers, both orders"),
    ("without them it is wrong in one order", missing_shows, "what nobody wrote is NaN"),
    ("and right in the other order", lucky, "exact: whole numbers"),
    ("an odometer comes to the same places", same_places, "exact: whole numbers"),
    ("it divides for each thread only", fewer_divisions, "counted"),
    ("along channels 4 pieces of 32 bytes", along_channels == 4, "counted: 32 * 4 / 32"),
    ("along pixels 32 of them", along_pixels == 32, "counted: 256 bytes apart"),
    ("tiles of 64: 8 reads instead of 512", each_read == [512, 8], "counted"),
    ("rounding decides between equal maxima", kink, "1e-9 apart; it rounds at 6e-8"),
    ("and where the gradient goes", apart, "exact: one winner"),
]
of_kernels = [
    ("im2col.cu = the strided view", same_kernel, "exact: copies"),
    ("col2im.cu = our gather", same_gather, "exact: the same order of additions"),
    ("col2im.cu repeats to the last bit", repeats, "exact: one order of additions"),
    ("gemm.cu reads 2K/T numbers for each result", fewer_reads, "counted"),
    ("im2col.cu divides for each thread only", few_splits, "counted"),
    ("a warp's copy reads 4 pieces, or 32", read_pieces == [4, 32], "counted"),
    ("winograd_output_adjoint reads 4 pieces", coalesced, "counted: 4 squares, 8 channels"),
    ("implicit_gemm.cu is the convolution", same_convolution, "1e-4: float32, 45 terms"),
    ("it reads a patch number once for 128 filters", few_reads, "counted"),
    ("scores and gradients are the CPU's", worst["float64"] < 1e-9, "1e-9: float64"),
    ("and the scores in float32", worst["float32"] < 1e-4, "1e-4: float32"),
]
claims(always + (of_kernels if place else []))

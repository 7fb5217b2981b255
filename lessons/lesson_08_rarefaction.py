"""Lesson 8: Can the same be had in one pass? Can pooling be removed?

Afterwards you can take the strides out of a net without changing what it says: holes in the filters, holes in the
pooling windows, no new weights. You can say what that costs, and so what pooling buys.

Needs: lesson 7 (shift-and-stitch)
Runtime: 3 s on 2 cores
"""

# %% [markdown]
# # Holes
#
# Lesson 7 asked the same net 16 times. But why did it answer at every fourth pixel only? Because its
# pools step by 2. So let them step by 1. Then the next filter's inputs, once neighbours, stand 2
# cells apart, with the new ones between them. Let the filter skip those: put **holes** between its
# taps. The paper calls this **filter rarefaction**; later it was named dilation, or *à trous*.
#
#     picture                 3 1 4 1 5 9
#     pool of 2, stride 2     3   4   9      then filter 1 -1:     3-4 = -1,             4-9 = -5
#     pool of 2, stride 1     3 4 4 5 9      then filter 1 0 -1:   3-4 = -1, 4-5 = -1,   4-9 = -5
#
# The old answers are among the new ones, in every second place.

# %% [markdown]
# ## Predict
# 1. A 3x3 filter is rarefied by 4. How many cells does it now span, and how many weights has it?
# 2. Conv, pool, conv, pool, conv, both pools of stride 2. What are the factors of the five layers?
# 3. The new net answers at 16 times as many places. Does it cost more or less than the 16 passes?

# %%
import numpy as np

from fcn_from_scratch import datasets, models, ops, viz
from fcn_from_scratch.course import check, claims
from fcn_from_scratch.dense import rarefy, shift_and_stitch
from fcn_from_scratch.geometry import receptive_field
from fcn_from_scratch.layers import Conv2d, MaxPool2d, ReLU, Sequential, ShiftAndStitch

rng = np.random.default_rng(8)

# %% [markdown]
# ## By hand
# The row from above.

# %%
row = np.array([3, 1, 4, 1, 5, 9])
pooled, pooled_by_1 = np.maximum(row[:-1:2], row[1::2]), np.maximum(row[:-1], row[1:])
coarse_row = pooled[:-1] - pooled[1:]  # the filter 1 -1
fine_row = pooled_by_1[:-2] - pooled_by_1[2:]  # the filter 1 0 -1
print("coarse", coarse_row, "fine", fine_row)
check("the coarse answers are every second fine one", np.array_equal(fine_row[::2], coarse_row))

# %% [markdown]
# ## The paper's formula
# A layer of stride `s`, then a filter `f`. Set the stride to 1 and take the filter
#
#     f'[i, j] = f[i/s, j/s]   where s divides i and j,   and 0 elsewhere
#
# Readers have asked whether `f'` has the size of `f`. It has not: its last tap stands at `(k - 1)s`,
# so it is `(k - 1)s + 1` wide. But it has no more *weights* than before. The rest are zeros that
# nobody learns and nobody multiplies: a **dilation** of `s` skips them.


# %%
def rarefied(weight, s):
    """f' of the paper, written out with its zeros."""
    f, c, kh, kw = weight.shape
    spread = np.zeros((f, c, (kh - 1) * s + 1, (kw - 1) * s + 1))
    for a, b in np.ndindex(kh, kw):
        spread[:, :, a * s, b * s] = weight[:, :, a, b]
    return spread


weight = rng.integers(1, 5, (2, 3, 3, 3)).astype(float)
field = rng.integers(-9, 10, (1, 3, 20, 23)).astype(float)
by_four = rarefied(weight, 4)
check("a 3x3 filter rarefied by 4 spans (3 - 1)4 + 1 = 9", by_four.shape[2:] == (9, 9))
check("and has the same nine weights", np.count_nonzero(by_four[0, 0]) == 9)
written_out, dilated = ops.conv2d(field, by_four), ops.conv2d(field, weight, dilation=4)
check("zeros written out = dilation", np.array_equal(written_out, dilated))

# %% [markdown]
# ## A whole net, by hand
# The net and the picture of lesson 7, whole numbers again. Every layer's factor is the product of
# the strides removed *before* it: 1 for the first convolution and the first pool, 2 for the second
# convolution **and the second pool**, 4 for the third convolution.

# %%
picture = datasets.Shapes(count=1, size=64, seed=4)[0].image
x = picture.transpose(2, 0, 1)[None].astype(float)
net = Sequential(
    Conv2d(3, 8, 3, dtype=np.float64, name="conv1"),
    ReLU(name="relu1"),
    MaxPool2d(2, name="pool1"),
    Conv2d(8, 8, 3, dtype=np.float64, name="conv2"),
    ReLU(name="relu2"),
    MaxPool2d(2, name="pool2"),
    Conv2d(8, 2, 3, dtype=np.float64, name="conv3"),
).eval()
drawn = np.random.default_rng(5)
for name, array in net.params.items():
    array[...] = 0 if name.endswith("bias") else drawn.integers(-2, 3, array.shape)


# %%
def in_one_pass(x, conv2=2, pool2=2, conv3=4):
    """The net with strides of 1; the numbers are the dilations."""
    w = net.params
    y = ops.relu(ops.conv2d(x, w["conv1.weight"], w["conv1.bias"]))
    y, _ = ops.max_pool2d(y, 2, stride=1)
    y = ops.relu(ops.conv2d(y, w["conv2.weight"], w["conv2.bias"], dilation=conv2))
    y, _ = ops.max_pool2d(y, 2, stride=1, dilation=pool2)
    return ops.conv2d(y, w["conv3.weight"], w["conv3.bias"], dilation=conv3)


dense, stitched = in_one_pass(x), shift_and_stitch(net, x)
check("one pass = sixteen passes, to the last bit", np.array_equal(dense, stitched))
check("every fourth answer is the coarse map", np.array_equal(dense[:, :, ::4, ::4], net(x)))

# %% [markdown]
# ## With the package
# `dense.rarefy` walks along the net and does just this. The layers of the new net **share** the
# weights of the old one: the same arrays, so that what one learns the other knows.

# %%
from fcn_from_scratch.gradcheck import layer_check, spaced

fine_net = rarefy(net)
check("rarefy(net) = stitched, to the last bit", np.array_equal(fine_net(x), stitched))
shared = all(fine_net.params[name] is array for name, array in net.params.items())
check("the weights are shared, not copied", shared)
coarse_grid, fine_grid = receptive_field(net), receptive_field(fine_net)
print("net", coarse_grid, " rarefied", fine_grid)
check("a finer grid", (coarse_grid.stride, fine_grid.stride) == (4, 1))
check("the same receptive field, 18, and the same first centre", coarse_grid.size == fine_grid.size == 18)

# %% [markdown]
# It has a backward as any net has. Below, by finite differences on a small net; and on ours, against
# the sum over the sixteen passes of lesson 7.

# %%
small = Sequential(MaxPool2d(2), Conv2d(2, 3, (2, 1), rng=rng, dtype=np.float64, name="conv"))
errors = layer_check(rarefy(small), spaced(rng, (2, 2, 9, 7)), rng)
worst = max(errors.values())
check("its gradients are right", worst < 1e-7, f"{worst:.0e}")

dy = rng.integers(-9, 10, stitched.shape).astype(float)
dxs, dweights = [], []
for machine in (ShiftAndStitch(net, 4).train(), rarefy(net)):
    machine(x)
    net.zero_grad()
    dxs.append(machine.backward(dy))
    dweights.append(net.grads["conv1.weight"].copy())
same_gradient = np.array_equal(*dxs) and np.array_equal(*dweights)
check("and equal those of shift-and-stitch, to the last bit", same_gradient)

# %% [markdown]
# ## The picture
# The second convolution spans 5 cells, the third 9. The blue squares are all that is multiplied. The
# window of `pool2`, in orange, has holes too.

# %%
figure, axes = viz.new_figure(
    "Taps where they always stood, holes for the new neighbours",
    columns=4,
    width=10,
    height=3.4,
)
kernels = [("conv1", 3, 1), ("conv2", 3, 2), ("pool2", 2, 2), ("conv3", 3, 4)]
for ax, (name, taps, factor) in zip(axes, kernels):
    span = (taps - 1) * factor + 1
    colour = viz.COLOURS[1 if name == "pool2" else 0]
    for i, j in np.ndindex(span, span):
        face = colour if i % factor == j % factor == 0 else "white"
        ax.fill([j, j + 0.9, j + 0.9, j], [i, i, i + 0.9, i + 0.9], facecolor=face, edgecolor="#999999", linewidth=0.8)
    ax.set_title(f"{name}, dilated by {factor}\n{taps}x{taps} taps over {span}x{span} cells", fontsize=9)
    ax.set(xlim=(span / 2 - 5, span / 2 + 5), ylim=(span / 2 + 5, span / 2 - 5), aspect="equal", xticks=[], yticks=[])
    ax.grid(False)
    ax.spines[:].set_visible(False)
viz.save_figure(figure, "08_filters")

# %% [markdown]
# # What could fool you
# **The pool that was forgotten.** "Atrous" code often dilates the convolutions and leaves the pools
# as they are: they have no weights to put holes between. But `pool2` takes the maximum of two
# *neighbours* of the old grid, and those now stand 2 apart. Nothing complains; the map is one row
# larger, and it looks right.

# %%
forgotten = in_one_pass(x, pool2=1)
print("right", dense.shape, " pool2 not dilated", forgotten.shape)
difference = forgotten[:, :, :47, :47] - dense
differing = (difference != 0).mean()
check("without holes in pool2 the map has another size", forgotten.shape == (1, 2, 48, 48))
check("and other values nearly everywhere", differing > 0.8, f"{differing:.0%}")

# %% [markdown]
# **No holes at all.** Setting the strides to 1 and nothing else gives a fine grid too. It is another
# net: its filters, trained on cells 2 and 4 pixels apart, now look at cells 1 pixel apart. What they
# see shrinks from 18 pixels to 9.

# %%
undilated = in_one_pass(x, 1, 1, 1)
shrunk = 64 - undilated.shape[2] + 1
unlike = (undilated[:, :, :47, :47] != dense).mean()
check("strides removed, nothing dilated: it sees 9 pixels instead of 18", shrunk == 9)
check("and says something else nearly everywhere", unlike > 0.9, f"{unlike:.0%}")

# %%
figure, axes = viz.new_figure(
    "One pass says what sixteen say: the difference is zero everywhere. Unless a pool was forgotten",
    columns=4,
    width=12,
    height=3.5,
    titles=["16 passes, stitched", "1 pass, rarefied", "their difference", "difference if pool2 is not dilated"],
)
low, high = stitched[0, 0].min(), stitched[0, 0].max()
limit = np.abs(difference[0, 0]).max()
for ax, values in zip(axes, (stitched[0, 0], dense[0, 0])):
    ax.imshow(values, cmap="gray", vmin=low, vmax=high)
for ax, values in zip(axes[2:], (dense[0, 0] - stitched[0, 0], difference[0, 0])):
    ax.imshow(values, cmap="RdBu_r", vmin=-limit, vmax=limit)
    ax.set_xlabel(f"at most {np.abs(values).max() / (high - low):.0%} of the range")
for ax in axes:
    ax.set(xticks=[], yticks=[])
    ax.grid(False)
    ax.spines[:].set_color("#cccccc")
    ax.spines[:].set_visible(True)
viz.save_figure(figure, "08_difference")

# %% [markdown]
# # What it costs
# Multiply-adds: outputs times weights, for every convolution. The rarefied net runs `conv1` once, as
# before, `conv2` at 4 times as many places, `conv3` at 16 times. The sixteen passes run *everything*
# sixteen times. One pass is the better bargain, and its price is memory: every map is full size.


# %%
def multiply_adds(net, size):
    """Those of all convolutions for a picture of a size, and the numbers in all maps; nothing is run."""
    work, memory, channels = 0, 0, 3
    for layer in net.layers:
        if isinstance(layer, (Conv2d, MaxPool2d)):
            args = (size, layer.kernel_size, layer.stride, layer.padding, layer.dilation)
            ceil = getattr(layer, "ceil_mode", False)
            size = tuple(ops.shapes.pool_output_size(*axis, ceil) for axis in zip(*args))
        if isinstance(layer, Conv2d):
            channels = layer.out_channels
            work += size[0] * size[1] * layer.params["weight"].size
        memory += channels * size[0] * size[1]
    return work, memory


# %%
once, once_memory = multiply_adds(net, (64, 64))
in_one, in_one_memory = multiply_adds(fine_net, (64, 64))
in_sixteen = sum(multiply_adds(net, (64 - a, 64 - b))[0] for a, b in np.ndindex(4, 4))
print(f"coarse {once:,}   rarefied {in_one:,}   sixteen passes {in_sixteen:,}")
print(f"numbers in the maps: coarse {once_memory:,}, rarefied {in_one_memory:,}")
check("rarefied costs more than the coarse net", in_one > 2 * once, f"{in_one / once:.1f} times")
check("and less than half of the sixteen passes", in_one < in_sixteen / 2, f"{in_one / in_sixteen:.2f}")
check("its maps take more memory", in_one_memory > 1.5 * once_memory, f"{in_one_memory / once_memory:.1f} times")

# %% [markdown]
# ## Half-way
# Nobody has to go down to 1. `rarefy(net, 2)` keeps the first stride and removes the second: every
# second answer, at a part of the price. Networks after this paper took VGG's stride from 32 to 8 in
# this way.

# %%
half = rarefy(net, 2)
check("stride 2: every second of the dense answers", np.array_equal(half(x), dense[:, :, ::2, ::2]))
halfway = multiply_adds(half, (64, 64))[0]
check("cheaper than all the way", once < halfway < in_one, f"{halfway / once:.2f} times the coarse net")

# %% [markdown]
# # Can pooling be removed?
# Its **stride** can: you just did it, and not a bit of the answer was lost. Its **window** cannot:
# the maximum over the window is part of what was learned.
#
# So what does the stride buy? Work. Take VGG16 as FCN-32s has it, one eighth as wide (which makes all
# of it cheaper nearly alike), and a picture of 500x500. Predict the factor, from stride 32 to 1.

# %%
vgg = models.build("fcn32s", 21, width=8)
strides = [32, 16, 8, 4, 2, 1]
costs = [multiply_adds(rarefy(vgg, stride), (500, 500))[0] for stride in strides]
factors = [cost / costs[0] for cost in costs]
for stride, factor in zip(strides, factors):
    print(f"  output stride {stride:2}: {factor:6.1f} times the multiply-adds of FCN-32s")
check("each stride removed costs more", all(np.diff(costs) > 0))
check("all five together: more than a hundred times", factors[-1] > 100, f"{factors[-1]:.0f}")
check("down to stride 8: three times", 3 < factors[2] < 4, f"{factors[2]:.1f}")

# %% [markdown]
# The second thing a stride buys is a field of view for few weights. `fc6` reads 7x7 cells of `pool5`.
# Take out `pool5`'s stride and put *no* holes into `fc6`. To see as far, it has to be 13x13 dense
# weights instead of 49: 3.4 times as many, to be learned anew. (The paper speaks of 14x14, which is
# what it takes when `pool5` is left out altogether, and found it hard to learn.)

# %%
cells_of_pool4 = 2 + (7 - 1) * 2  # what fc6 sees through pool5: 2 and six steps of 2
dense_fc6 = cells_of_pool4 - 1  # a pool of 2 at stride 1 adds one cell itself
check("fc6 needs 13x13 dense taps behind a pool of stride 1, 14x14 without it", (dense_fc6, cells_of_pool4) == (13, 14))
holes = rarefy(vgg, 16).children["fc6"]
check("with holes it spans the same 13 cells", (holes.kernel_size[0] - 1) * holes.dilation[0] + 1 == dense_fc6)
check("with its 7x7 weights", holes.kernel_size == (7, 7) and holes.dilation == (2, 2))

# %% [markdown]
# # Dilation or upsampling?
# Both give a fine map. Dilation *asks* the net at every pixel, at the price above. Upsampling asks at
# every `f`-th pixel and draws lines in between, nearly for free. How wrong are the lines? It depends
# on how far apart the questions are.


# %%
def between(values, step):
    """Linear interpolation of answers that stand `step` apart, down and across."""
    asked = np.arange(0, step * len(values), step)
    inside = np.arange(asked[-1] + 1)
    down = np.stack([np.interp(inside, asked, column) for column in values.T], axis=1)
    return np.stack([np.interp(inside, asked, line) for line in down])


line_errors = {}
for stride, answers in ((4, net(x)), (2, half(x)), (1, dense)):
    lines = between(answers[0, 0], stride)[:45, :45]
    line_errors[stride] = np.abs(lines - dense[0, 0, :45, :45]).mean() / (high - low)
    print(f"  asked every {stride} pixels, lines in between: off by {line_errors[stride]:.2%} of the range")
check("the finer one asks, the less is left to lines", line_errors[4] > line_errors[2] > line_errors[1] == 0)

# %% [markdown]
# So: few questions and lines where the map is smooth or time is short; dilation where the answers
# bend faster than the stride, and there it pays to remove the *last* strides, which cost least.
# Neither makes the net see finer: the field is 18 pixels either way. When that is what you lack, you
# want a layer that does see finer: a skip (lesson 12). Lesson 16 has the table.

# %%
figure, axes = viz.new_figure("What a finer grid costs, and what it saves", columns=2, width=9, height=3.3)
axes[0].plot(strides, factors, "o-")
axes[0].set(xscale="log", yscale="log", xlabel="output stride of the rarefied VGG16", ylabel="cost, FCN-32s = 1")
axes[0].set_xticks(strides, strides)
axes[0].set_xticks([], minor=True)
axes[0].invert_xaxis()
for stride, factor in zip(strides, factors):
    axes[0].annotate(f"{factor:.3g}", (stride, factor), xytext=(-4, 6), textcoords="offset points", ha="right")
bars = axes[1].bar([str(stride) for stride in line_errors], [100 * error for error in line_errors.values()], width=0.6)
axes[1].bar_label(bars, fmt="%.1f %%", padding=2)
axes[1].set(xlabel="asked every ... pixels, lines in between", ylabel="mean error, % of the range")
axes[1].grid(False)
viz.save_figure(figure, "08_cost")

# %% [markdown]
# ## Exercises
# 1. *Trace.* Conv 5x5 of stride 2, pool 3x3 of stride 2, conv 3x3, conv 1x1. Write down stride,
#    dilation and span of every layer after `rarefy(net)`, and after `rarefy(net, 2)`.
# 2. *Change.* Give every convolution a padding of 1 (and of its dilation, in the rarefied net). Where do
#    stitched and rarefied maps differ now? Whose every fourth answer is the coarse map?
# 3. *Prove.* Show for one axis that a pool of stride 2 followed by a filter `f`, run without the first
#    pixel and with it and interlaced, is the pool of stride 1 followed by `f'`.
#
# Answers: `lessons/solutions/solution_08_rarefaction.py`

# %% [markdown]
# ## Claims

# %%
claims(
    [
        ("one pass = sixteen passes", np.array_equal(dense, stitched), "exact: whole numbers"),
        ("so does dense.rarefy", np.array_equal(fine_net(x), stitched), "exact"),
        ("the weights are shared", shared, "exact: the same arrays"),
        ("f' spans (k - 1)s + 1 and has k*k weights", by_four.shape[2:] == (9, 9), "exact"),
        ("zeros written out = dilation", np.array_equal(written_out, dilated), "exact: whole numbers"),
        ("the same field on a finer grid", coarse_grid.size == fine_grid.size, "exact: from the geometry"),
        ("the gradient is that of the sixteen passes", same_gradient and worst < 1e-7, "exact; 1e-7 for differences"),
        ("pools must be dilated too", differing > 0.8, "counted"),
        ("strides alone shrink the field to 9", shrunk == 9, "exact"),
        ("one pass costs less than half of sixteen", in_one < in_sixteen / 2, "counted"),
        ("VGG16 without strides costs 100 times as much", factors[-1] > 100, "counted, not run"),
        ("lines between answers err less on a finer grid", line_errors[4] > line_errors[2] > 0, "an order"),
    ]
)

"""Lesson 15: How are published weights used?

Afterwards you can say what is inside a file of weights, put one into a network of the paper and prove that it arrived,
and name the mistakes that no shape gives away. And you can say what AlexNet, VGG16 and GoogLeNet make of an FCN.

Needs: lessons 5, 6, 11 and 12
Runtime: 10 s on 2 cores
"""

# %% [markdown]
# # Names, shapes, numbers
#
# A file of weights is a list of named arrays, whoever wrote it. It does not say how the layers are wired, nor what
# picture they want to see. Caffe's `.caffemodel` is a *protocol buffer*: a row of fields, each a tag, a length and as
# many bytes. The tag is `8 * number + 2`, and what the number means stands in a table elsewhere. A 3x3 kernel:
#
#     2a 24  00 00 80 3f ...    field 5, 36 bytes: nine floats, the first is 1.0          data
#     3a 04                     field 7, 4 bytes: another message, in it                  shape
#           0a 02 03 03         field 1, 2 bytes: 3 and 3                                 dim
#
# That is a *blob*. A layer has a name and blobs; a network has layers. Nothing else in the file matters here.

# %% [markdown]
# ## Predict
# 1. The classifier's `fc6` is a matrix (4096, 25088), that of the FCN a convolution (4096, 512, 7, 7). Which numbers
#    have to change places?
# 2. A network gets its pictures with red and blue swapped. What does it say, and how much of its mean IU is left?
# 3. The loss stands at 3.0445 and does not move. There are 21 classes. What has happened?
# 4. Put AlexNet, VGG16 and GoogLeNet in order by parameters, by multiply-adds, by time. Is it the same order?

# %%
import json
import os
import pickle
import struct
import tempfile
import time
import zipfile
from pathlib import Path

import numpy as np

from fcn_from_scratch import datasets, geometry, layers, models, ops, plain, viz, weights
from fcn_from_scratch.checks import InputError
from fcn_from_scratch.course import check, claims, seed
from fcn_from_scratch.metrics import ConfusionMatrix
from fcn_from_scratch.models import vgg
from fcn_from_scratch.lab.published import table
from fcn_from_scratch.training import fit, segment

SEED = seed()
rng = np.random.default_rng(SEED)
temporary = tempfile.TemporaryDirectory()  # gone when the lesson ends
folder = Path(temporary.name)

# %% [markdown]
# ## A file by hand
# All of the format that a network needs. (A length below 128 is one byte; a longer one takes seven bits a byte.)


# %%
def varint(n):
    """Seven bits a byte, the lowest first; the top bit says that more follow."""
    return bytes([n]) if n < 128 else bytes([n & 127 | 128]) + varint(n >> 7)


def field(number, content):
    return varint(8 * number + 2) + varint(len(content)) + content


def blob(array):
    shape = b"".join(varint(n) for n in array.shape)
    return field(5, array.astype("<f4").tobytes()) + field(7, field(1, shape))


def by_layer(arrays):
    """{"conv1_1": [weight, bias], ...} from {"conv1_1.weight": weight, "conv1_1.bias": bias, ...}."""
    found = {}
    for name, array in arrays.items():
        found.setdefault(name.rpartition(".")[0], []).append(array)
    return found


def caffemodel(arrays):
    """Layers are field 100 of the network; of a layer the name is field 1, a blob field 7."""
    nets = by_layer(arrays).items()
    return b"".join(field(100, field(1, n.encode()) + b"".join(field(7, blob(a)) for a in group)) for n, group in nets)


# %%
kernel = np.arange(1, 10, dtype=np.float32).reshape(3, 3)
print(" ", blob(kernel)[:6].hex(" "), "...", blob(kernel)[38:].hex(" "))
check("the bytes of the table above", blob(kernel)[:6] + blob(kernel)[38:] == bytes.fromhex("2a240000803f3a040a020303"))
arrays = {"conv1_1.weight": kernel, "conv1_1.bias": np.float32([0.5])}
(folder / "tiny.caffemodel").write_bytes(caffemodel(arrays))
back = weights.read(folder / "tiny.caffemodel")
check("the reader finds names, shapes and numbers", all(np.array_equal(back[name], arrays[name]) for name in arrays))

# %% [markdown]
# Caffe has changed its mind about this form. Older files keep layers under another number, and write every shape with
# four sizes: a bias has (1, 1, 1, C), a matrix (1, 1, out, in). Only the layer's type says which of the ones are real.


# %%
def old_blob(array):
    four = (1,) * (4 - array.ndim) + array.shape
    sizes = b"".join(varint(8 * number) + varint(n) for number, n in enumerate(four, start=1))
    return sizes + field(5, array.astype("<f4").tobytes())


def old_caffemodel(arrays):
    """Layers are field 2; of a layer the name is field 4, the type 5 (4 convolution, 14 matrix), a blob field 6."""
    parts = []
    for name, group in by_layer(arrays).items():
        kind = varint(8 * 5) + varint(14 if group[0].ndim == 2 else 4)
        parts.append(field(2, field(4, name.encode()) + kind + b"".join(field(6, old_blob(array)) for array in group)))
    return b"".join(parts)


# %% [markdown]
# # From VGG16 to FCN-32s
# A VGG16 with a sixteenth of its channels, so that it fits into a lesson; its layers and their names are those of the
# real one. Its numbers are random: what is checked is that they arrive.

# %%
thin = {"width": 4}
classifier = vgg.classifier(vgg.vgg16_config(**thin), 1000, rng).eval()
for name, array in classifier.params.items():
    if name.endswith("bias"):
        array += rng.normal(0, 10, array.shape)
vgg_file = folder / "vgg16.caffemodel"
vgg_file.write_bytes(old_caffemodel(classifier.params))

fcn32s = models.build("fcn32s", seed=None, **thin).eval()  # None: no numbers yet, everything is zero
report = weights.load(fcn32s, vgg_file)
missing = report.missing
print(f"  {len(report.used)} arrays used, missing {missing}, unused {report.unused}")
check("13 convolutions, fc6 and fc7 were filled", len(report.used) == 2 * (13 + 2))
check("the score layer is missing: this is what you train", missing == ["score_fr.weight", "score_fr.bias"])
check("fc8, which knows ImageNet's 1000 classes, is unused", report.unused == ["fc8.weight", "fc8.bias"])

# %% [markdown]
# **Read this report.** A name that finds no partner is no error: it may be what you want, as here. A network whose
# `fc6` was left out still trains, and its loss falls, and nothing but this line tells you.
#
# Now `fc6`. The classifier flattens `pool5` channel by channel, row by row, and that is how the kernel lies in memory.
# No number moves: `W[f, c, i, j] = M[f, 49 c + 7 i + j]`. If that is right, then on a picture of 224x224, padded by 1
# as the classifier's is, the convolution `fc6` has one place to stand, and says there what the matrix says.

# %%
matrix, kernels = classifier.params["fc6.weight"], fcn32s.params["fc6.weight"]
f, c, i, j = (rng.integers(0, n, 50) for n in kernels.shape)
check(
    "a reshape: W[f, c, i, j] = M[f, 49 c + 7 i + j]",
    np.array_equal(kernels[f, c, i, j], matrix[f, 49 * c + 7 * i + j]),
)

picture = datasets.Shapes(count=1, size=224, seed=SEED)[0].image
x = fcn32s.transform(picture)[None]
conv1_1 = fcn32s.trunk.children["conv1_1"]
dense = x
for name, layer in classifier.children.items():
    dense = layer(dense)
    if name == "relu7":
        break
padded_by_100, _ = fcn32s.trunk(x)
conv1_1.padding = (1, 1)
padded_by_1, _ = fcn32s.trunk(x)
conv1_1.padding = (100, 100)


def gap(a, b):
    """The largest difference, relative to the largest number."""
    return np.abs(a - b).max() / np.abs(b).max()


fc_gap = gap(padded_by_1[:, :, 0, 0], dense)
places = padded_by_100[0].reshape(len(dense[0]), -1).T
nearest = min(gap(place, dense[0]) for place in places)
check("padded by 1 there is one place", padded_by_1.shape[2:] == (1, 1))
check("and it says what the classifier's fc7 says", fc_gap < 1e-5, f"{fc_gap:.0e}")
check(
    "padded by 100 no place does: the zeros are elsewhere",
    nearest > 1e-3,
    f"{len(places)} places, nearest {nearest:.2f}",
)

# %% [markdown]
# # Where do two networks part?
# What to do when a network from a file gives nonsense: run one picture through a network that you trust and through
# your own, and compare them **layer by layer**. (The trusted maps may come from another program; write them to a file.)
# Rounding differs everywhere, by about 1e-7. A mistake differs from one layer on, and that is the layer it sits in.
# Here are five. All of them load, run, and complain of nothing: `fc7` is square, so that even its transpose fits.


# %%
def maps(net, x):
    """What every layer of the trunk makes of x, name -> array."""
    found = {}
    for name, layer in net.trunk.children.items():
        found[name] = x = layer(x)
    return {name: y for name, y in found.items() if not name.startswith(("relu", "drop"))}


def distance(ours, theirs):
    """Relative to the size of theirs, where both have a value."""
    (height, width), (h, w) = ours.shape[2:], theirs.shape[2:]
    a, b = (y[:, :, : min(height, h), : min(width, w)] for y in (ours, theirs))
    return np.linalg.norm(a - b) / np.linalg.norm(b)


def broken(change=None, ceil_mode=True):
    """FCN-32s from the file with some of its arrays exchanged, or with pools that round down."""
    net = models.build("fcn32s", seed=None, **thin).eval()
    weights.load(net, vgg_file)
    net.load_state_dict(change or {}, strict=False)
    for layer in net.trunk.layers:
        if isinstance(layer, layers.MaxPool2d):
            layer.ceil_mode = ceil_mode
    return net


# %%
x = fcn32s.transform(picture[:102, :102])[None]
never_filled = models.build("fcn32s", seed=SEED + 1, **thin).params["conv2_2.weight"]
channels_last = matrix.reshape(-1, 7, 7, kernels.shape[1]).transpose(0, 3, 1, 2)
suspects = {
    "RGB for BGR": ("conv1_1", broken(), x[:, ::-1]),
    "conv2_2 never filled": ("conv2_2", broken({"conv2_2.weight": never_filled}), x),
    "pools round down": ("pool3", broken(ceil_mode=False), x),
    "fc6 read channels last": ("fc6", broken({"fc6.weight": channels_last}), x),
    "fc7 transposed": ("fc7", broken({"fc7.weight": fcn32s.params["fc7.weight"].swapaxes(0, 1)}), x),
    "none, in float64": (None, broken().astype(np.float64), x.astype(np.float64)),
}
trusted, gaps, caught = maps(fcn32s, x), {}, {}
for mistake, (_, net, own_x) in suspects.items():
    ours = maps(net, own_x)
    gaps[mistake] = [distance(ours[name], trusted[name]) for name in trusted]
    differs = [d > 1e-4 or ours[name].shape != trusted[name].shape for name, d in zip(trusted, gaps[mistake])]
    caught[mistake] = next((name for name, wrong in zip(trusted, differs) if wrong), None)
    print(f"  {mistake:24} parts at {caught[mistake]}")
found_all = caught == {name: at for name, (at, _, _) in suspects.items()}
check("each mistake shows at the layer it sits in", found_all)
rounding = max(gaps["none, in float64"])
check("and without one there is only rounding", rounding < 1e-5, f"{rounding:.0e}")

# %%
figure, axis = viz.new_figure("A mistake leaves the floor of rounding at the layer it sits in", width=9, height=2.8)
drawn = axis.imshow(np.log10(np.maximum(list(gaps.values()), 1e-8)), vmin=-8, vmax=0, aspect="auto")
axis.set_xticks(range(len(trusted)), trusted, rotation=60)
axis.set_yticks(range(len(gaps)), gaps)
axis.grid(False)
bar = figure.colorbar(drawn, ax=axis, ticks=[-8, -6, -4, -2, 0], label="difference")
bar.ax.set_yticklabels(["0", "1e-6", "1e-4", "1 %", "100 %"])
viz.save_figure(figure, "15_activations")

# %% [markdown]
# Mind the pools that round down: `pool3` lacks its last row and column, and every number it has is right. The damage
# comes in from that border, one cell with every convolution.

# %% [markdown]
# ## All outputs are zero
# The score layer of a fresh FCN is zero, so every class gets 0 and the loss is `ln 21 = 3.0445`, whatever the trunk
# holds. That is as it should be, for **one** step. If it stays there, look for a trunk of zeros: nothing was
# transplanted, and zeros are what Caffe fills a convolution with when it is not told otherwise. The first loss does not
# tell the two apart; the first gradient does.

# %%
labels = rng.integers(0, 21, (1, 102, 102))
first_loss, arriving = {}, {}
for title, net in (("filled", fcn32s), ("nothing transplanted", models.build("fcn32s", seed=None, **thin))):
    net.train().zero_grad()
    first_loss[title], dscores = ops.softmax_cross_entropy(net(x), labels)
    net.backward_params(dscores)
    arriving[title] = [name for name, gradient in net.grads.items() if gradient.any()]
    print(f"  {title:21} loss {first_loss[title]:.4f}, a gradient arrives at {', '.join(arriving[title])}")
fcn32s.eval()
stuck = [abs(loss - np.log(21)) for loss in first_loss.values()]
check("both losses are ln 21", max(stuck) < 1e-6, f"to {max(stuck):.0e}")
check("filled: score_fr learns its weight", arriving["filled"] == ["score_fr.weight", "score_fr.bias"])
dead_learns = arriving["nothing transplanted"]
check("dead: there is but a bias to learn, one answer for all pixels", dead_learns == ["score_fr.bias"])

# %% [markdown]
# # A network that knows something
# To see what a mistake costs, one needs answers. A small FCN-8s learns the coloured things of lesson 11 for some
# seconds. It eats differences from the mean divided by 60. We move this 1/60 into its first layer, `W / 60`, and have
# what Caffe's networks are: BGR, 0..255, minus a mean, and no division.

# %%
scene = {"size": 64, "classes_by": "colour", "seed": SEED}
train = datasets.InMemory(datasets.Shapes(count=300, split="train", **scene))
val = datasets.InMemory(datasets.Shapes(count=40, split="val", **scene))
small = {"num_classes": len(train.classes), "width": 12, "fc6_kernel": 2}
teacher = models.build("mini_fcn8s", seed=SEED, **small)
fit(teacher, train, 120, 0.05, seed=SEED)
x = np.stack([teacher.transform(val[i].image) for i in range(10)])
caffe_x = np.stack([datasets.CAFFE(val[i].image) for i in range(10)])
expected = teacher.eval()(x)
state = teacher.state_dict()
state["conv1_1.weight"] = state["conv1_1.weight"] / np.float32(60)

# %% [markdown]
# ## Six files
# `np.savez` writes two of them, with our names and with Chainer's (`conv1_1/W`). A `.safetensors` file is a table in
# JSON, then the numbers. A `.pth` is a zip: the numbers, and a **pickle** that says which tensor is where.


# %%
def safetensors(arrays):
    """The length of the table, the table, the numbers."""
    entries, end = {}, 0
    for name, array in arrays.items():
        entries[name] = {"dtype": "F32", "shape": array.shape, "data_offsets": [end, end + array.nbytes]}
        end += array.nbytes
    text = json.dumps(entries).encode()
    return struct.pack("<Q", len(text)) + text + b"".join(array.tobytes() for array in arrays.values())


# %% [markdown]
# A pickle is no table but a *program* for a small stack machine. Each line below is an instruction: `X` pushes a word,
# `J` a number, `(` ... `t` makes a tuple, `c` fetches a function by its name, and `R` **calls** it.


# %%
def word(text):
    return b"X" + struct.pack("<I", len(text)) + text.encode()


def row(*items):
    return b"(" + b"".join(items) + b"t"


def numbers(values):
    return row(*(b"J" + struct.pack("<i", value) for value in values))


def tensor(key, array):
    """_rebuild_tensor_v2(storage, 0, size, stride, False, OrderedDict()): storage `key` is another file of the zip."""
    count, zero = b"J" + struct.pack("<i", array.size), b"K\0"
    storage = row(word("storage"), b"ctorch\nFloatStorage\n", word(key), word("cpu"), count) + b"Q"
    stride = [step // array.itemsize for step in array.strides]
    hooks = b"ccollections\nOrderedDict\n)R"
    arguments = row(storage, zero, numbers(array.shape), numbers(stride), b"\x89", hooks)
    return b"ctorch._utils\n_rebuild_tensor_v2\n" + arguments + b"R"


def write_pth(path, arrays, program=None):
    entries = [word(name) + tensor(str(key), array) for key, (name, array) in enumerate(arrays.items())]
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("toy/version", b"3\n")
        archive.writestr("toy/data.pkl", program or b"\x80\x02}(" + b"".join(entries) + b"u.")
        for key, array in enumerate(arrays.values()):
            archive.writestr(f"toy/data/{key}", array.tobytes())


# %%
state = {name: np.ascontiguousarray(array) for name, array in state.items()}
(folder / "new.caffemodel").write_bytes(caffemodel(state))
(folder / "old.caffemodel").write_bytes(old_caffemodel(state))
np.savez(folder / "plain.npz", **state)
np.savez(folder / "chainer.npz", **{k.replace(".weight", "/W").replace(".bias", "/b"): a for k, a in state.items()})
(folder / "plain.safetensors").write_bytes(safetensors(state))
write_pth(folder / "plain.pth", state)


def student(file, name="mini_fcn8s", **options):
    """A network without numbers, filled from a file."""
    net = models.build(name, seed=None, **small).eval()
    return net, weights.load(net, folder / file, **options)


files = ("new.caffemodel", "old.caffemodel", "plain.npz", "chainer.npz", "plain.safetensors", "plain.pth")
outputs, tells = [], {}
for file in files:
    net, report = student(file)
    tells[file] = net.transform == datasets.CAFFE
    outputs.append(net(caffe_x))
    print(f"  {file:18} {len(report.used)} arrays used, on the picture: {'Caffe' if tells[file] else 'not a word'}")
fold_gap = gap(outputs[0], expected)
check("a Caffe-layout file gives the scores of the network it was made from", fold_gap < 1e-4, f"{fold_gap:.0e}")
six_equal = all(np.array_equal(y, outputs[0]) for y in outputs)
check("six files, one answer, to the last bit", six_equal)

# %% [markdown]
# The numbers are the same. What differs is what a file says about the **picture** the numbers want to see. Caffe's
# formats imply it. The others say nothing, and there *you* have to know, and say `preprocessing="caffe"` (or
# `"torchvision"`: RGB, 0..1, minus a mean, divided by a deviation).

# %%
check("only Caffe's and Chainer's tell", [file for file in files if tells[file]] == [files[0], files[1], files[3]])
check("the others can be told", student("plain.pth", preprocessing="caffe")[0].transform == datasets.CAFFE)

# %% [markdown]
# ## A file that does something
# Since a pickle calls functions by name, it may call any. This one calls `os.mkdir`; it might as well delete your
# files. Python's own `pickle.loads` obeys. Our reader has a short list of the names that building arrays needs, and
# calls nothing else.


# %%
class Trap:
    def __reduce__(self):
        return os.mkdir, (str(folder / "it ran"),)


program = pickle.dumps({"conv1_1.weight": Trap()}, protocol=2)
write_pth(folder / "trap.pth", {}, program)
try:
    weights.read(folder / "trap.pth")
    refusal = ""
except InputError as error:
    refusal = str(error).replace(str(folder), "...")
print(" ", refusal)
refused = "mkdir" in refusal and not (folder / "it ran").exists()
check("the reader refuses it by name, and nothing has run", refused)
pickle.loads(program)
check("pickle.loads runs it", (folder / "it ran").is_dir())

# %% [markdown]
# # What the answer is worth
# The right weights, and a wrong picture. No error, no warning: the shapes are right. Mean IU over 40 scenes, and the
# share of pixels that get another class than with the right picture.

# %%
toy, _ = student("new.caffemodel")
mean = datasets.VOC_MEAN_BGR
pictures = {
    "right": datasets.CAFFE,
    "mean forgotten": datasets.Preprocess((0, 0, 0)),
    "RGB for BGR": datasets.Preprocess(mean[::-1], "RGB"),
    "0..1 for 0..255": datasets.Preprocess([m / 255 for m in mean], scale=1 / 255),
}
answers, iu = {}, {}


def judge(title, net, samples=val):
    """Keep the answers and their mean IU under this title, and print it."""
    answers[title] = [segment(net, image) for image, *_ in samples]
    matrix = ConfusionMatrix(len(train.classes))
    for sample, answer in zip(samples, answers[title]):
        matrix.update(sample.labels, answer)
    iu[title] = matrix.scores()["mean_iu"]
    changed = np.mean([(a != b).mean() for a, b in zip(answers[title], answers["right"])])
    print(f"  {title:28} mean IU {iu[title]:.3f}, {changed:.0%} of the pixels changed")


for title, transform in pictures.items():
    toy.transform = transform
    judge(title, toy)
toy.transform = datasets.CAFFE
check("red and blue swapped: a third of the mean IU is gone, at least", iu["RGB for BGR"] < iu["right"] * 2 / 3)
check("0..1: everything is background", not any(answer.any() for answer in answers["0..1 for 0..255"]))
check("the mean forgotten costs, too", iu["mean forgotten"] < iu["right"] - 0.05)

# %% [markdown]
# Here colour is all that tells the classes, so swapping it costs most. Pictures in 0..1 are dark for any network that
# expects 0..255: the first layer sees next to nothing, and what speaks are the biases.
#
# ## The same names, another network
# FCN-8s at-once multiplies `pool4` by 0.01 and `pool3` by 0.0001 before it scores them. Its parameters have the names
# and shapes of FCN-8s. Lesson 12 has shown how to say one in terms of the other: `w * x = (w / 0.01) * (0.01 x)`. So
# we have the at-once network that knows what ours knows, without training.

# %%
scales = {"score_pool4": np.float32(0.01), "score_pool3": np.float32(0.0001)}
at_once = state | {f"{name}.weight": state[f"{name}.weight"] / scale for name, scale in scales.items()}
np.savez(folder / "at_once.npz", **at_once)
told = {"preprocessing": "caffe"}
judge("at-once in at-once", student("at_once.npz", "mini_fcn8s_atonce", **told)[0])
mixed_up = {
    "8s in at-once": student("plain.npz", "mini_fcn8s_atonce", **told),
    "at-once in 8s": student("at_once.npz", "mini_fcn8s", **told),
}
for title, (other, report) in mixed_up.items():
    judge(title, other)
    print(f"    {report.notes[0]}")
check("at-once, loaded as what it is, knows the same", abs(iu["at-once in at-once"] - iu["right"]) < 0.01)
check("8s in at-once loads, and sees nothing but background", not any(a.any() for a in answers["8s in at-once"]))
check("at-once in 8s loads, and has lost a tenth and more", iu["at-once in 8s"] < iu["right"] - 0.1)

# %% [markdown]
# **How to tell?** Not by the names. A `.caffemodel` of the at-once network has two layers more, the scales, and the
# reader refuses it for the other one. Published files are known by their md5; a trainer may have noted the class. Else
# look at the scores, which are log-odds: a trained network's move by some units, and not by thousands. (`fcn doctor`
# looks, at scores and at pictures.)

# %%
channels = {name: state[f"{name}.weight"].shape[1] for name in scales}
blobs = {n.replace("score", "scale") + ".weight": np.full(channels[n], scale) for n, scale in scales.items()}
(folder / "at_once.caffemodel").write_bytes(caffemodel(at_once | blobs))
student("at_once.caffemodel", "mini_fcn8s_atonce")
try:
    student("at_once.caffemodel")
    told_apart = False
except InputError as error:
    told_apart = "at-once" in str(error)
    print(" ", str(error).replace(str(folder), "..."))
check("with its scales in the file it is refused for FCN-8s", told_apart)
spread, too_wide = (float(one(caffe_x).std()) for one in (toy, mixed_up["at-once in 8s"][0]))
check("at-once in 8s: scores more than ten times too large", too_wide > 10 * spread, f"{too_wide:.0f} for {spread:.1f}")

# %%
shown = ["right", *list(pictures)[2:], *mixed_up]
full = sorted(range(len(val)), key=lambda i: (val[i].labels == 0).sum())[:3]  # scenes with the most in them first
rows = [[val[i].image, val[i].labels, *(answers[title][i] for title in shown)] for i in full]
titles = ["picture", "truth", *shown]
caption = "Names and shapes fit each time, and nothing complains"
viz.save_figure(viz.panels(rows, titles, caption, classes=train.classes, palette=train.palette, size=1.5), "15_answers")

# %% [markdown]
# # AlexNet, VGG16, GoogLeNet
# The paper makes an FCN of each. Same head, same stride of 32; what differs is the trunk. Three ideas in it are new
# here. **Groups**: AlexNet was trained on two GPUs of little memory, so three of its layers are cut in two
# halves that do not see each other. **Normalisation** (AlexNet, GoogLeNet): a value is divided by a power of the
# energy in the channels around it, `y = x / (1 + a * sum of squares)^0.75`, which large numbers feel, and small
# ones do not. **Inception** (GoogLeNet): four branches
# read the same map, and 1x1 convolutions make it thin before the dear 3x3 and 5x5.

# %%
x, weight = rng.normal(size=(1, 4, 6, 5)), rng.normal(size=(6, 2, 3, 3))
full_weight = np.zeros((6, 4, 3, 3))
full_weight[:3, :2], full_weight[3:, 2:] = weight[:3], weight[3:]
groups_gap = gap(ops.conv2d(x, weight, groups=2), ops.conv2d(x, full_weight))
check("two groups = a convolution whose other half is zero", groups_gap < 1e-12, f"{groups_gap:.0e}")

energy = [(x[:, max(c - 2, 0) : c + 3] ** 2).sum(axis=1) for c in range(4)]
by_hand = x / (1 + 1e-4 / 5 * np.stack(energy, axis=1)) ** 0.75
lrn_gap = gap(ops.local_response_norm(x, 5, 1e-4, 0.75, 1.0), by_hand)
check("normalisation as in the formula, five channels", lrn_gap < 1e-12, f"{lrn_gap:.0e}")
bright, dark = (ops.local_response_norm(size * x, 5, 1e-4, 0.75, 1.0) / (size * x) for size in (300, 1))
check("numbers in the hundreds are halved and more, those near 1 stay", bright.min() < 0.5 and dark.min() > 0.99)

# %%
trunks = {name: models.build(name, seed=None) for name in ("fcn_alexnet", "fcn32s", "fcn_googlenet")}
module = trunks["fcn_googlenet"].trunk.children["inception_3a"]
thinned = sum(module.params[f"{key}.weight"].size for key in ("5x5_reduce", "5x5"))
direct = module.params["5x5_reduce.weight"].shape[1] * module.params["5x5.weight"][:, 0].size
check(
    "thinned by a 1x1 first, the 5x5 branch has a tenth of the weights",
    thinned < direct / 8,
    f"{thinned:,} weights for {direct:,}",
)

# %% [markdown]
# ## Side by side
# Everything in this table follows from the layers, at full width and for 500x500 pixels; nothing is run. The last two
# columns are the paper's, for comparison: mean IU on VOC 2011 val, and milliseconds on its GPU, a Tesla K40c. (Its
# FCN-GoogLeNet was never published. Ours pads by 100 as the others do.)

# %%
published = {row.model: dict(zip(table("1").columns, row.numbers.split())) for row in table("1").rows}
title = {row.model: row.system for row in table("1").rows}
costs = {name: geometry.table(net, 500) for name, net in trunks.items()}
fields = {name: geometry.receptive_field(net) for name, net in trunks.items()}
print("                 field  stride  kernel  crop  parameters  in fc6  multiply-adds  maps     | mean IU   ms")
for name, net in trunks.items():
    fc6 = net.params["fc6.weight"].size / costs[name].parameters if "fc6.weight" in net.params else 0
    print(
        f"  {title[name]:14} {fields[name].size:5} {fields[name].stride:6} {net.upscore.kernel_size[0]:7}"
        f"{net.crop.offset[0]:6} {costs[name].parameters / 1e6:8.1f} M {fc6:7.0%}"
        f"{costs[name].multiply_adds / 1e9:11.1f} G  {costs[name].activation_bytes / 2**20:4.0f} MiB | "
        f"{published[name]['mean_iu']:>7} {published[name]['forward ms']:>4}"
    )
millions = {name: round(costs[name].parameters / 1e6) for name in trunks}
counted = all(str(millions[name]) == published[name]["parameters M"] for name in trunks)
check("parameters as in the paper", counted, f"{list(millions.values())} M")
same_field = [str(fields[name].size) == published[name]["field"] for name in trunks]
check("receptive fields as in the paper, but for GoogLeNet's", same_field == [True, True, False])
with_pool = geometry.receptive_field([*trunks["fcn_googlenet"].trunk.layers, layers.AvgPool2d(7, 1)])
check("with the average pool that is left out it would be", str(with_pool.size) == published["fcn_googlenet"]["field"])
check("all have stride 32", {field.stride for field in fields.values()} == {32})

# %% [markdown]
# What you see of it in an FCN:
# * **Stride.** 32 in all three, so their edges are equally blunt. No trunk saves you the skips of lesson 12.
# * **Place.** VGG16's scores stand between two pixels, those of the other two on one. So they need a kernel of 63, not
#   64, and other crops (lesson 6 derives them).
# * **Parameters.** Three quarters of VGG16's are `fc6`. GoogLeNet has no `fc6` at all: the smallest file by far.
# * **Field.** The largest does not win: the paper's best mean IU is VGG16's, whose field is in the middle.
#
# And the **time**? Now with a quarter of the channels, on this machine, in turns, the middle one of five.

# %%
quarter = {"fcn_alexnet": 24, "fcn32s": 16, "fcn_googlenet": 16}
nets = {name: models.build(name, width=width, seed=SEED).eval() for name, width in quarter.items()}
x = rng.normal(0, 50, (1, 3, 160, 160)).astype(np.float32)
work = {name: geometry.table(net, 160).multiply_adds for name, net in nets.items()}
taken = {name: [] for name in nets}
for _ in range(5 + 1):
    for name, net in nets.items():
        started = time.perf_counter()
        with plain(False):  # the engine, also if the lesson runs by the plain code (`--plain`)
            net(x)
        taken[name].append(time.perf_counter() - started)
seconds = {name: np.median(times[1:]) for name, times in taken.items()}  # the first one warms up
rate = {name: work[name] / seconds[name] for name in nets}
for name in nets:
    print(
        f"  {title[name]:14} {work[name] / 1e9:5.2f} G multiply-adds in {1000 * seconds[name]:4.0f} ms, "
        f"{rate[name] / 1e9:4.1f} G a second"
    )
alexnet, vgg16, googlenet = (seconds[name] for name in nets)
slowest = vgg16 > 1.1 * googlenet and googlenet > 1.1 * alexnet
check(
    "VGG16 takes longest, then GoogLeNet, then AlexNet",
    slowest,
    f"{vgg16 / alexnet:.1f} : {googlenet / alexnet:.1f} : 1",
)
fewest = min(costs, key=lambda name: costs[name].multiply_adds) == "fcn_googlenet"
check("yet at full width GoogLeNet has the fewest multiply-adds", fewest)
check("and at a quarter hardly more than AlexNet", work["fcn_googlenet"] < 1.2 * work["fcn_alexnet"])

# %% [markdown]
# So multiply-adds do not tell the time. GoogLeNet's are spread over many thin layers, and each has to fetch its map,
# cut out patches and write the result. VGG16 is a few fat products, which is what processors do best. Divide our counts
# by the paper's milliseconds, and its GPU says the same.

# %%
paper_rate = {name: costs[name].multiply_adds / float(published[name]["forward ms"]) * 1e3 for name in trunks}
for name in trunks:
    print(f"  {title[name]:14} {paper_rate[name] / 1e9:4.0f} G multiply-adds a second in the paper")
order = ["fcn_googlenet", "fcn_alexnet", "fcn32s"]
paper_order = sorted(paper_rate, key=paper_rate.get) == order
check("multiply-adds a second: GoogLeNet least, VGG16 most, in the paper", paper_order)
check("and here", sorted(rate, key=rate.get) == order)

# %% [markdown]
# # What could fool you
# **A test at a convenient size.** Does it matter whether pools round up or down? At 64 pixels every pool halves an even
# number, and the two networks are one. At 50 pixels they are not. For the paper's FCN-32s geometry knows all sizes at
# once: rounding down, it cannot take a picture of 500x375 pixels, as many of VOC's are; a test on 256 or 480 passes.

# %%
down, _ = student("new.caffemodel")
for layer in down.trunk.layers:
    if isinstance(layer, layers.MaxPool2d):
        layer.ceil_mode = False
same_at_64 = gap(down(caffe_x), toy(caffe_x)) < 1e-5
up_50, down_50 = (one(caffe_x[:, :, :50, :50]) for one in (toy, down))
down_gap = gap(down_50, up_50)
moved_50 = (up_50.argmax(axis=1) != down_50.argmax(axis=1)).mean()
check("64 pixels: no difference", same_at_64)
check("50 pixels: other scores", down_gap > 0.01, f"{moved_50:.1%} of the pixels get another class")
real = trunks["fcn32s"]
fitting = geometry.sizes_that_fit(real, range(1, 601), ceil_mode=False)
check("rounding up, FCN-32s takes every size", len(geometry.sizes_that_fit(real, range(1, 601))) == 600)
taken_down = [n for n in (256, 375, 480, 500) if n in fitting]
check("rounding down, 256 and 480, but neither 375 nor 500", taken_down == [256, 480])
print(f"  rounding down: {len(fitting)} sizes of 600")

# %% [markdown]
# **"All keys matched."** So they did with `fc7` transposed, with RGB, with the at-once network in FCN-8s. Names and
# shapes must fit; that they fit proves nothing. What proves that weights have arrived is an answer you knew before: a
# score on labelled pictures, or the maps of a trusted network.

# %% [markdown]
# ## Exercises
# 1. *Trace.* Take this file of weights apart with a pencil:
#    `a2 06 11 0a 01 73 3a 0c 2a 04 00 00 00 40 3a 04 0a 02 01 01`
# 2. *Change.* Give the thin VGG16 torchvision's names (`features.0.weight`, ...) and load it. Which preprocessing does
#    the network get? Then load it with `fold=True`. Why is the mean not simply added to the bias of `conv1_1`?
# 3. *Prove.* The scores of FCN-AlexNet stand on a pixel, those of FCN-32s between two. Show that the first needs a
#    kernel of odd size and the second one of even size; and that the 7x7 average pool adds 192 to GoogLeNet's field.
#
# Answers: `lessons/solutions/solution_15_real_weights.py`

# %% [markdown]
# ## Claims

# %%
claims(
    [
        ("fc6 is a reshape: padded by 1, the classifier's answer", fc_gap < 1e-5, "1e-5: float32, two orders"),
        ("what a file has not is named", missing == ["score_fr.weight", "score_fr.bias"], "exact: names"),
        ("layer by layer, each mistake shows where it sits", found_all, "1e-4: rounding stays below 1e-5"),
        ("a zero score layer: the loss is ln 21, filled or dead", max(stuck) < 1e-6, "1e-6: float32"),
        ("a dead trunk leaves but a bias to learn", dead_learns == ["score_fr.bias"], "exact: gradients of 0"),
        ("a Caffe-layout file gives the scores it was made from", fold_gap < 1e-4, "1e-4: float32, W / 60 rounds"),
        ("six formats, one answer", six_equal, "exact: the same float32 numbers"),
        ("a pickle that calls a function is refused by name", refused, "exact"),
        ("RGB for BGR costs a third of the mean IU", iu["RGB for BGR"] < iu["right"] * 2 / 3, "half on seeds 0 to 2"),
        ("at-once in 8s costs", iu["at-once in 8s"] < iu["right"] - 0.1, ".1; .2 and more on seeds 0 to 2"),
        ("fields as published, GoogLeNet's with its pool", same_field == [True, True, False], "exact: geometry"),
        ("parameters as published", counted, "exact: counted, rounded to millions"),
        ("VGG16 slowest, GoogLeNet slower than AlexNet", slowest, "1.1 times, of medians; about twice"),
        ("rounding down cannot be seen at 64 pixels", same_at_64, "1e-5: float32"),
        ("but at 50", down_gap > 0.01, ".01: a thousand times rounding"),
    ]
)

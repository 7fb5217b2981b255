"""Lesson 15, answers to the exercises: how are published weights used?"""

# %%
import tempfile
from fractions import Fraction
from pathlib import Path

import numpy as np

from fcn_from_scratch import datasets, geometry, layers, models, ops, weights
from fcn_from_scratch.course import check
from fcn_from_scratch.models import vgg

rng = np.random.default_rng(15)
temporary = tempfile.TemporaryDirectory()
folder = Path(temporary.name)

# %% [markdown]
# ## 1. Trace
#
#     a2 06 11                    a2 06 is 34 + 128 * 6 = 802 = 8 * 100 + 2: field 100, a layer, of 17 bytes
#       0a 01 73                  field 1, one byte: its name, "s"
#       3a 0c                     field 7, a blob, of 12 bytes
#         2a 04 00 00 00 40       field 5, four bytes: one float, 2.0 (0x40000000, the lowest byte first)
#         3a 04                   field 7, a shape, of 4 bytes
#           0a 02 01 01           field 1: 1 and 1
#
# One layer `s` with one blob: a weight of shape (1, 1), which is 2.

# %%
traced = folder / "traced.caffemodel"
traced.write_bytes(bytes.fromhex("a206110a0173 3a0c 2a0400000040 3a040a020101"))
found = weights.read(traced)
check("the file holds s.weight and nothing else", list(found) == ["s.weight"])
check("it is [[2]]", np.array_equal(found["s.weight"], [[2.0]]))

# %% [markdown]
# ## 2. Change
# torchvision numbers the layers of `features`, ReLUs and pools included; `weights.load` knows the table. These names
# tell what the numbers expect: RGB, 0..1, minus a mean, divided by a deviation. The network's transform becomes that.

# %%
thin = {"width": 4}
classifier = vgg.classifier(vgg.vgg16_config(**thin), 1000, rng)
numbers = {
    "features": [0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28],
    "classifier": [0, 3, 6],
}
theirs = [f"{part}.{number}" for part in numbers for number in numbers[part]]
ours = dict.fromkeys(name.partition(".")[0] for name in classifier.params)
renamed = dict(zip(ours, theirs))
arrays = {}
for name, array in classifier.params.items():
    layer, _, kind = name.partition(".")
    arrays[f"{renamed[layer]}.{kind}"] = array
np.savez(folder / "torchvision.npz", **arrays)


def filled(**options):
    """FCN-32s with these weights; its score layer gets numbers too, so that there is something to compare."""
    net = models.build("fcn32s", seed=None, **thin).eval()
    report = weights.load(net, folder / "torchvision.npz", **options)
    scores = np.random.default_rng(1)
    for name in report.missing:
        net.params[name][...] = scores.normal(size=net.params[name].shape)
    return net


plain, folded = filled(), filled(fold=True)
image = datasets.Shapes(count=1, size=64, seed=15)[0].image
print(f"  as it is  {plain.transform}\n  folded    {folded.transform}")
check("as it is: RGB, 0..1", (plain.transform.order, plain.transform.scale) == ("RGB", 1 / 255))
check("folded: BGR, 0..255, no deviation", (folded.transform.order, folded.transform.std) == ("BGR", None))


def scores_of(net):
    return net(net.transform(image)[None])


fold_gap = np.abs(scores_of(plain) - scores_of(folded)).max() / np.abs(scores_of(plain)).max()
check("the scores are the same", fold_gap < 1e-4, f"{fold_gap:.0e}")

# %% [markdown]
# The order and the factors can go into the weight: they are factors of each channel. The mean cannot go into the bias,
# because of the padding. `conv1_1` pads with zeros *after* the mean is subtracted, so the frame has the mean's colour.
# A network that does without subtraction pads with black, and its bias takes the mean away there as well: right inside,
# wrong wherever the kernel reaches over the border.

# %%
x, mean = rng.uniform(0, 255, (1, 3, 9, 8)), np.array([104.0, 117.0, 123.0]).reshape(3, 1, 1)
weight, bias = rng.normal(size=(4, 3, 3, 3)), rng.normal(size=4)
subtracted = ops.conv2d(x - mean, weight, bias, padding=1)
in_the_bias = ops.conv2d(x, weight, bias - (weight * mean).sum(axis=(1, 2, 3)), padding=1)
difference = np.abs(in_the_bias - subtracted)
check("mean in the bias: right inside", difference[:, :, 1:-1, 1:-1].max() < 1e-10)
border = np.concatenate([difference[:, :, [0, -1]].ravel(), difference[:, :, :, [0, -1]].ravel()])
check("wrong at the border", border.min() > 0 and border.max() > 100, f"by up to {border.max():.0f}")

# %% [markdown]
# ## 3. Prove
# Let the score `i` stand at pixel `S i + c` of the image (lesson 6: `c` is 13 for AlexNet, 12.5 for VGG16). A
# transposed convolution of stride `S` and kernel `k` lays the kernel for score `i` on the places `S i ... S i + k - 1`
# of its output, so the score is in their middle, `S i + (k - 1) / 2`. A crop by `o` calls place `o` the pixel 0. The
# score is back where it belongs if
#
#     S i + (k - 1) / 2 - o = S i + c,   that is   o = (k - 1) / 2 - c
#
# `o` counts pixels and is a whole number. So `(k - 1) / 2` and `c` are both whole, and `k` is odd, or both are halves,
# and `k` is even. `2 S` is the usual choice, hence 64, and 63 next to it.
#
# The pool: a layer with a kernel of `k` on a map of stride `S` widens the field by `(k - 1) S`. 6 * 32 = 192.

# %%
for name, place, kernel_size in (("fcn_alexnet", Fraction(13), 63), ("fcn32s", Fraction(25, 2), 64)):
    net = models.build(name, seed=None)
    field = geometry.receptive_field(net.coarse_path)
    check(f"{name}: the first score stands at {float(place):g}", field.start == place)
    check(f"its kernel is {kernel_size}", net.upscore.kernel_size == (kernel_size, kernel_size))
    offset = Fraction(kernel_size - 1, 2) - place
    check(f"and its crop {offset}", net.crop.offset == (offset, offset))
    other = layers.BilinearUpsample(127 - kernel_size, 32)
    try:
        geometry.crop_offset(geometry.receptive_field(other, field), geometry.IMAGE)
        refused = ""
    except ValueError as error:
        refused = str(error)
    print(f"  with {127 - kernel_size}: {refused}")
    check(f"a kernel of {127 - kernel_size} has no crop", bool(refused))

trunk = models.build("fcn_googlenet", seed=None).trunk
fields = [geometry.receptive_field([*trunk.layers, *more]).size for more in ((), (layers.AvgPool2d(7, 1),))]
check("the average pool adds 192", fields[1] - fields[0] == 6 * 32 == 192, f"{fields[0]} and {fields[1]}")

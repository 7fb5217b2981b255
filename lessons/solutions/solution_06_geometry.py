"""Lesson 6, answers to the exercises: which pixels does an output see, and where is it?"""

# %%
from fcn_from_scratch import geometry
from fcn_from_scratch.course import check
from fcn_from_scratch.layers import BilinearUpsample, Conv2d, MaxPool2d

# %% [markdown]
# ## 1. Trace
#
#                       size   stride  start
#     conv1 11/4 p100     11      4    5 - 100 = -95
#     pool1 3/2           19      8    -95 + 4 = -91
#     conv2 5 p2          51      8    -91           (k - 1) / 2 = p: the padding keeps the place
#     pool2 3/2           67     16    -91 + 8 = -83
#     conv3, 4, 5         99, 131, 163
#     pool5 3/2          195     32    -83 + 16 = -67
#     conv6 6            355     32    -67 + 2.5 * 32 = 13
#     upscore 63/32              1     13 - 31 = -18      crop 18


# %%
def pooled():
    return MaxPool2d(3, 2, ceil_mode=True)


alexnet = [
    *(Conv2d(3, 1, 11, 4, padding=100), pooled(), Conv2d(1, 1, 5, padding=2), pooled()),
    *(Conv2d(1, 1, 3, padding=1) for _ in range(3)),
    *(pooled(), Conv2d(1, 1, 6), Conv2d(1, 1, 1)),
]
coarse = geometry.receptive_field(alexnet)
scores = geometry.receptive_field([*alexnet, BilinearUpsample(63, 32)])
print(geometry.explain_crop(scores, geometry.IMAGE, "upscore", "the image"))
check("355 pixels, every 32, from 13 on", tuple(coarse) == (355, 32, 13))
check("crop 18", geometry.crop_offset(scores, geometry.IMAGE) == 18)
check("the gradient agrees", geometry.measured_receptive_field(alexnet) == coarse)

# %% [markdown]
# ## 2. Change
# A kernel of 64 has its middle between two pixels, half a pixel later: the map starts at
# 13 - 31.5 = -18.5. No crop of whole pixels brings it onto the image, and the package refuses.
#
# An output of AlexNet looks at an odd number of pixels, 355, so its place is in the middle of one: 13.
# Spread by an odd kernel it stays on one. VGG's sees an even number, 404, and stands between two:
# 12.5. There the even kernel puts the places back onto pixels.

# %%
try:
    geometry.crop_offset(geometry.receptive_field([*alexnet, BilinearUpsample(64, 32)]), geometry.IMAGE)
    refused = ""
except ValueError as error:
    refused = str(error)
print(" ", refused)
check("half a pixel off, and said so", "18.5 cells apart" in refused)

# %% [markdown]
# ## 3. Prove
# Let the padded map have `m = n + 198` pixels per side (`conv1_1` makes 2 * 100 - 2 more than the image
# has, all others keep the size). A pool that rounds up makes `ceil(m / 2)` of m, and rounding up five
# times is rounding up once: `pool5` has `ceil(m / 32)` cells. (Why: ceil(ceil(m / 2) / 2) = ceil(m / 4),
# since a whole number is at least m / 2 just when it is at least ceil(m / 2).)
#
# `fc6` leaves `ceil(m / 32) - 6`, which is one or more by assumption. The upsampling, kernel 64 and
# stride 32, makes
#
#     32 * (ceil(m / 32) - 6 - 1) + 64  =  32 * ceil(m / 32) - 160  >=  m - 160  =  n + 38
#
# pixels. The crop needs 19 + n, and there are 19 more. Nothing depended on the remainder of n. The
# largest surplus is n + 38 + 31: what is left behind the image is 19 to 50 pixels.
#
# With pools that round down `32 * floor(m / 32) - 160` is `n + 38 - r`, r the remainder of m by 32. The
# crop needs n + 19, so it fails for r from 20 to 31: 12 remainders of 32.


# %%
def surplus(n, pad=100):
    return 32 * -(-(n + 2 * pad - 2) // 32) - 160 - n


net = [
    Conv2d(3, 1, 3, padding=100),
    *(MaxPool2d(2, ceil_mode=True, name=f"pool{number}") for number in range(1, 6)),
    *(Conv2d(1, 1, 7), BilinearUpsample(64, 32)),
]
names = [step.name for step in geometry.graph(net)]
counted = {n: geometry.map_sizes(net, n)[names[-1]].size[0] - n for n in range(1, 700)}
check("the formula counts what the layers make", all(counted[n] == surplus(n) for n in counted))
check("38 to 69 pixels too many, so never fewer than 19", (min(counted.values()), max(counted.values())) == (38, 69))
floors = [geometry.map_sizes(net, n, ceil_mode=False)[names[-1]].size[0] - n for n in range(100, 100 + 32)]
check("rounding down, 12 remainders of 32 leave too little", sum(s < 19 for s in floors) == 12)

"""The paper's networks against PyTorch networks written from the reference's description.

The PyTorch networks use torch.nn.functional and nothing of the package: layers, paddings and crop offsets are written
out as numbers. Both networks get the same random weights, also in the score layers and biases, and dropout is off.
Thin copies run at the sizes that people use. The full width is compared where it takes only seconds.
"""

import numpy as np
import pytest
from arrays import close, torch_module

from fcn_from_scratch.models import build

pytestmark = pytest.mark.torch

SIZES = [(375, 500), (500, 500), (65, 97)]
CONVS = (2, 2, 3, 3, 3)


class Twin:
    """The networks as functions of an image, with parameters `p` of the usual names."""

    def __init__(self, torch, p):
        self.torch, self.f, self.p = torch, torch.nn.functional, p

    def conv(self, h, name, **options):
        return self.f.conv2d(h, self.p[f"{name}.weight"], self.p[f"{name}.bias"], **options)

    def relu_conv(self, h, name, **options):
        return self.f.relu(self.conv(h, name, **options))

    def up(self, scores, size, stride):
        """One bilinear kernel for each class: 1 - |i - centre| / factor along both axes."""
        factor = (size + 1) // 2
        centre = factor - 1 if size % 2 else factor - 0.5
        ramp = 1 - (self.torch.arange(size, dtype=scores.dtype) - centre).abs() / factor
        kernel = self.torch.outer(ramp, ramp).expand(scores.shape[1], 1, size, size)
        return self.f.conv_transpose2d(scores, kernel, stride=stride, groups=scores.shape[1])

    @staticmethod
    def crop(h, offset, like):
        return h[:, :, offset : offset + like.shape[2], offset : offset + like.shape[3]]

    def vgg(self, x, suffix="", first="conv1_1"):
        """(fc7 after its ReLU, pool3, pool4)."""
        h, pools = x, []
        for stage, count in enumerate(CONVS, start=1):
            for number in range(1, count + 1):
                start = (stage, number) == (1, 1)
                name = first if start else f"conv{stage}_{number}"
                h = self.relu_conv(h, name + suffix, padding=100 if start else 1)
            h = self.f.max_pool2d(h, 2, 2, ceil_mode=True)
            pools.append(h)
        h = self.relu_conv(h, "fc6" + suffix)
        return self.relu_conv(h, "fc7" + suffix), pools[2], pools[3]

    def head(self, x, maps, skips, suffix="", scales=(1.0, 1.0)):
        top, pool3, pool4 = maps
        scores = self.conv(top, "score_fr" + suffix)
        if skips == 0:
            return self.crop(self.up(scores, 64, 32), 19, x)
        scores = self.up(scores, 4, 2)
        scores = scores + self.crop(self.conv(scales[0] * pool4, "score_pool4" + suffix), 5, scores)
        if skips == 1:
            return self.crop(self.up(scores, 32, 16), 27, x)
        scores = self.up(scores, 4, 2)
        scores = scores + self.crop(self.conv(scales[1] * pool3, "score_pool3" + suffix), 9, scores)
        return self.crop(self.up(scores, 16, 8), 31, x)

    def fcn32s(self, x):
        return self.head(x, self.vgg(x), 0)

    def fcn16s(self, x):
        return self.head(x, self.vgg(x), 1)

    def fcn8s(self, x):
        return self.head(x, self.vgg(x), 2)

    def fcn8s_atonce(self, x):
        return self.head(x, self.vgg(x), 2, scales=(0.01, 0.0001))

    def fcn8s_dilated(self, x):
        h = x
        for stage, count in enumerate(CONVS, start=1):
            for number in range(1, count + 1):
                place = {"padding": 109} if (stage, number) == (1, 1) else {"padding": 1}
                place = {"padding": 2, "dilation": 2} if stage == 5 else place
                h = self.relu_conv(h, f"conv{stage}_{number}", **place)
            if stage <= 3:
                h = self.f.max_pool2d(h, 2, 2, ceil_mode=True)
            else:
                h = self.f.max_pool2d(h, 2, 1, dilation=stage - 3)
        top = self.relu_conv(self.relu_conv(h, "fc6", dilation=4), "fc7")
        return self.crop(self.up(self.conv(top, "score_fr"), 16, 8), 4, x)

    def fcn8s_concat(self, x):
        top, pool3, pool4 = self.vgg(x)
        for pool, name, offset in ((pool4, "merge_pool4", 5), (pool3, "merge_pool3", 9)):
            top = self.up(top, 4, 2)
            top = self.relu_conv(self.torch.cat([top, self.crop(pool, offset, top)], dim=1), name, padding=1)
        return self.crop(self.up(self.conv(top, "score"), 16, 8), 31, x)

    def two_heads(self, x, skips):
        maps = self.vgg(x)
        return tuple(self.head(x, maps, skips, suffix) for suffix in ("_sem", "_geo"))

    def early_fusion(self, x):
        return self.head(x, self.vgg(x, first="conv1_1_bgrd"), 0)

    def late_fusion(self, x, factor=0.5):
        colour, hha = (
            self.conv(self.vgg(part, suffix)[0], "score_fr" + suffix)
            for part, suffix in ((x[:, :3], "color"), (x[:, 3:], "hha"))
        )
        return self.crop(self.up(factor * colour + factor * hha, 64, 32), 19, x)

    def alexnet(self, x):
        def pool_and_norm(h):
            return self.f.local_response_norm(self.f.max_pool2d(h, 3, 2, ceil_mode=True), 5, 1e-4, 0.75, 1.0)

        h = pool_and_norm(self.relu_conv(x, "conv1", stride=4, padding=100))
        h = pool_and_norm(self.relu_conv(h, "conv2", padding=2, groups=2))
        h = self.relu_conv(h, "conv3", padding=1)
        h = self.relu_conv(h, "conv4", padding=1, groups=2)
        h = self.relu_conv(h, "conv5", padding=1, groups=2)
        h = self.f.max_pool2d(h, 3, 2, ceil_mode=True)
        scores = self.conv(self.relu_conv(self.relu_conv(h, "fc6"), "fc7"), "score_fr")
        return self.crop(self.up(scores, 63, 32), 18, x)

    def googlenet(self, x):
        def pool(h):
            return self.f.max_pool2d(h, 3, 2, ceil_mode=True)

        def norm(h):
            return self.f.local_response_norm(h, 5, 1e-4, 0.75, 1.0)

        def inception(h, name):
            one = self.relu_conv(h, f"{name}/1x1")
            three = self.relu_conv(self.relu_conv(h, f"{name}/3x3_reduce"), f"{name}/3x3", padding=1)
            five = self.relu_conv(self.relu_conv(h, f"{name}/5x5_reduce"), f"{name}/5x5", padding=2)
            pooled = self.relu_conv(self.f.max_pool2d(h, 3, 1, padding=1), f"{name}/pool_proj")
            return self.torch.cat([one, three, five, pooled], dim=1)

        h = norm(pool(self.relu_conv(x, "conv1/7x7_s2", stride=2, padding=100)))
        h = self.relu_conv(self.relu_conv(h, "conv2/3x3_reduce"), "conv2/3x3", padding=1)
        h = pool(norm(h))
        for stage, modules in (("3", "ab"), ("4", "abcde"), ("5", "ab")):
            for letter in modules:
                h = inception(h, f"inception_{stage}{letter}")
            h = pool(h) if stage != "5" else h
        return self.crop(self.up(self.conv(h, "score_fr"), 63, 32), 98, x)


# what to build: (name, options, the twin's method and its arguments, channels of the image)
NETWORKS = {
    "fcn32s": ("fcn32s", {}, ("fcn32s",), 3),
    "fcn16s": ("fcn16s", {}, ("fcn16s",), 3),
    "fcn8s": ("fcn8s", {}, ("fcn8s",), 3),
    "fcn8s_atonce": ("fcn8s_atonce", {}, ("fcn8s_atonce",), 3),
    "fcn8s_dilated": ("fcn8s_dilated", {}, ("fcn8s_dilated",), 3),
    "fcn8s_concat": ("fcn8s_concat", {}, ("fcn8s_concat",), 3),
    "fcn_alexnet": ("fcn_alexnet", {}, ("alexnet",), 3),
    "fcn_googlenet": ("fcn_googlenet", {}, ("googlenet",), 3),
    "siftflow 32s": ("fcn32s_two_heads", {}, ("two_heads", 0), 3),
    "siftflow 16s": ("fcn16s_two_heads", {}, ("two_heads", 1), 3),
    "siftflow 8s": ("fcn8s_two_heads", {}, ("two_heads", 2), 3),
    "early fusion": ("fcn32s", {"in_channels": 4}, ("early_fusion",), 4),
    "late fusion": ("fcn32s_late_fusion", {}, ("late_fusion",), 6),
    "late fusion, summed": ("fcn32s_late_fusion", {"fusion": "sum"}, ("late_fusion", 1.0), 6),
}


def pair(torch, which, num_classes, dtype, width, rng):
    """The network with all its parameters random, and its twin as a function of the image, on the same memory."""
    name, options, (method, *arguments), channels = NETWORKS[which]
    net = build(name, num_classes, dtype=dtype, dropout=0.0, **options, **({} if width is None else {"width": width}))
    for key, array in net.params.items():
        if key.startswith("score"):
            spread = np.sqrt(2 / array[0].size) if key.endswith("weight") else 0.3
            # the at-once factors make the features small: larger weights, so that the skips can be seen
            spread *= {"score_pool4": 100, "score_pool3": 10_000}.get(key.split(".")[0], 1) if "atonce" in which else 1
            array[...] = spread * rng.normal(size=array.shape)
        elif key.endswith("bias"):  # mostly positive: of a thin layer's few channels none dies
            array[...] = rng.uniform(-0.1, 0.4, size=array.shape)
    p = {key: torch.from_numpy(array) for key, array in net.params.items()}
    twin = Twin(torch, p)
    return net, p, channels, lambda x: getattr(twin, method)(x, *arguments)


def as_tuple(scores):
    return scores if isinstance(scores, tuple) else (scores,)


def both(which, size, dtype, rng, width, num_classes=4, keys=()):
    """Run both forwards; gradients are wanted of the parameters `keys`. Checks the scores of every head."""
    torch = torch_module()
    net, p, channels, twin = pair(torch, which, num_classes, dtype, width, rng)
    for key in keys(p) if callable(keys) else keys:
        p[key].requires_grad_()
    x = rng.normal(size=(1, channels, *size)).astype(dtype)
    scores, expected = as_tuple(net(x)), as_tuple(twin(torch.from_numpy(x)))
    for ours, theirs in zip(scores, expected):
        theirs = theirs.detach().numpy()
        assert ours.dtype == dtype
        assert theirs.std() > 0.03
        close(ours / np.abs(theirs).max(), theirs / np.abs(theirs).max(), {"f4": 1e-4, "f8": 1e-11}[ours.dtype.str[1:]])
    return net, p, scores, expected


def check_gradients(net, p, scores, expected, tolerance, rng):
    """Of every parameter that wants one, by norm, for a random upstream gradient."""
    torch = torch_module()
    dscores = tuple(rng.normal(size=y.shape).astype(y.dtype) for y in scores)
    net.backward_params(dscores if len(dscores) > 1 else dscores[0])
    torch.autograd.backward(expected, [torch.from_numpy(dy) for dy in dscores])
    for key in (key for key in p if p[key].requires_grad):
        theirs = p[key].grad.numpy()
        largest = np.linalg.norm(theirs)
        assert largest > 0, key
        assert np.linalg.norm(net.grads[key] - theirs) <= tolerance * largest, key


# In float32 the gradients cannot be compared so: between two orders of summation a handful of some million ReLUs and
# maxima flip, and each changes all that lies below it, by up to 1e-2 of a thin layer's gradient. In float64 none does.


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("which", NETWORKS)
def test_scores_in_single_precision(which, size, rng):
    both(which, size, np.float32, rng, width=8)


@pytest.mark.parametrize(
    ("which", "size"),
    [*((which, (65, 97)) for which in NETWORKS), ("fcn8s", (375, 500)), ("fcn_alexnet", (500, 500))],
)
def test_all_gradients_in_double_precision(which, size, rng):
    width = 8 if which == "fcn_googlenet" else 4
    check_gradients(*both(which, size, np.float64, rng, width, keys=dict.keys), 1e-9, rng)


SIX = {
    "fcn8s": ("conv1_1.weight", "conv3_2.bias", "conv5_3.weight", "fc6.weight", "score_pool4.weight", "score_fr.bias"),
    "fcn_alexnet": ("conv1.weight", "conv2.weight", "conv4.bias", "conv5.weight", "fc6.weight", "score_fr.weight"),
    "fcn_googlenet": (
        "conv1/7x7_s2.weight",
        "inception_3b/5x5_reduce.bias",
        "inception_4c/pool_proj.weight",
        "inception_4e/1x1.weight",
        "inception_5b/3x3.weight",
        "score_fr.weight",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("which", "size"), [("fcn8s", (375, 500)), ("fcn_alexnet", (500, 500)), ("fcn_googlenet", (500, 500))]
)
def test_scores_at_full_width(which, size, rng):
    both(which, size, np.float32, rng, width=None, num_classes=21)


@pytest.mark.slow
@pytest.mark.parametrize(("which", "width"), [("fcn8s", 32), ("fcn_alexnet", None), ("fcn_googlenet", None)])
def test_six_gradients_at_full_width(which, width, rng):
    """Of VGG16 half the width, for time's sake."""
    check_gradients(*both(which, (65, 97), np.float64, rng, width, 21, SIX[which]), 1e-9, rng)

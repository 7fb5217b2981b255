"""The dense tricks on nets with branches, above all GoogLeNet's modules: the same values in every way."""

import numpy as np
import pytest
from arrays import close, refuses
from hypothesis import given
from hypothesis import strategies as st

from fcn_from_scratch import geometry, models
from fcn_from_scratch.dense import convolutionalize, patches, rarefy, shift_and_stitch
from fcn_from_scratch.gradcheck import layer_check, spaced
from fcn_from_scratch.layers import (
    AvgPool2d,
    Branches,
    Conv2d,
    ConvTranspose2d,
    Dropout,
    Flatten,
    Linear,
    MaxPool2d,
    ReLU,
    Sequential,
    ShiftAndStitch,
)


def conv(rng, before, out, kernel_size, stride=1, padding=0, dilation=1, name=None):
    layer = Conv2d(before, out, kernel_size, stride, padding, dilation, dtype=np.float64, name=name)
    for array in layer.params.values():
        array[...] = rng.integers(-2, 3, array.shape)
    return layer


@st.composite
def branch_chains(draw, rng, before, name, trim, stride):
    """A chain that trims the map by `trim` pixels along each axis and has the given stride, in one of several ways.

    Its field begins at the map's first pixel and spans trim + 1 pixels, so all such chains end in the same places.
    """
    whole = tuple(t + 1 for t in trim)
    ways = ["conv", "pool and conv", "1x1, then conv", "two convs"]
    way, width = draw(st.sampled_from(ways)), draw(st.integers(1, 2))
    if way == "conv":
        return [conv(rng, before, width, whole, stride, name=f"{name}a")]
    if way == "pool and conv":
        return [MaxPool2d(whole, stride, name=f"{name}a"), conv(rng, before, width, 1, name=f"{name}b")]
    if way == "1x1, then conv":
        first = conv(rng, before, 2, 1, name=f"{name}a")
        return [first, ReLU(name=f"{name}relu"), conv(rng, 2, width, whole, stride, name=f"{name}b")]
    part = tuple(draw(st.integers(0, t)) for t in trim)
    first = conv(rng, before, 2, tuple(p + 1 for p in part), name=f"{name}a")
    rest = tuple(t - p + 1 for t, p in zip(trim, part))
    return [first, ReLU(name=f"{name}relu"), conv(rng, 2, width, rest, stride, name=f"{name}b")]


@st.composite
def branched_nets(draw):
    """(net, image): convolutions, pools and modules of branches, all unpadded; at most stride 4 along each axis."""
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    channels, layers, room = 2, [], [4, 4]
    for number in range(draw(st.integers(1, 3))):
        stride = tuple(draw(st.sampled_from([s for s in (1, 2) if s <= most])) for most in room)
        room = [most // s for most, s in zip(room, stride)]
        trim = draw(st.tuples(*[st.integers(0, 2)] * 2))
        kind = draw(st.sampled_from(["branches", "branches", "conv", "max", "avg"]))
        name, window = f"layer{number}", tuple(t + 1 for t in trim)
        if kind == "branches":
            count = draw(st.integers(1, 3))
            chains = [draw(branch_chains(rng, channels, f"{'pqr'[k]}", trim, stride)) for k in range(count)]
            layers.append(Branches(*chains, name=name))
            channels = layers[-1].out_channels
        elif kind == "conv":
            layers.append(conv(rng, channels, 2, window, stride, name=name))
            channels = 2
        else:
            layers.append({"max": MaxPool2d, "avg": AvgPool2d}[kind](window, stride, name=name))
    net = Sequential(*layers)
    size = [int(axis.size) + draw(st.integers(0, 7)) for axis in geometry.receptive_field(net).axes]
    return net, rng.integers(-9, 10, (2, 2, *size)).astype(float)


@given(branched_nets())
def test_rarefied_stitched_and_patch_by_patch(case):
    net, x = case
    dense = rarefy(net)(x)
    for form in ("drop", "shift"):
        close(shift_and_stitch(net, x, form=form), dense, 1e-12)
    field = geometry.receptive_field(net)
    fine = geometry.ReceptiveField(axis._replace(stride=axis.stride / axis.stride) for axis in field.axes)
    cut = patches(x, fine)
    assert len(cut) == len(x) * dense.shape[2] * dense.shape[3]
    each = net(cut)
    assert each.shape[2:] == (1, 1)
    close(each[:, :, 0, 0].reshape(len(x), *dense.shape[2:], -1).transpose(0, 3, 1, 2), dense, 1e-12)


@given(branched_nets(), st.data())
def test_in_part_and_step_by_step(case, data):
    net, x = case
    total = [int(axis.stride) for axis in geometry.receptive_field(net).axes]
    stride = tuple(data.draw(st.sampled_from([d for d in range(1, s + 1) if s % d == 0])) for s in total)
    dense, partly = rarefy(net)(x), rarefy(net, stride)
    close(partly(x), dense[:, :, :: stride[0], :: stride[1]], 1e-12)
    close(rarefy(partly)(x), dense, 1e-12)
    close(shift_and_stitch(partly, x), dense, 1e-12)
    size, _, start = geometry.receptive_field(net)
    assert tuple(geometry.receptive_field(rarefy(net))) == (size, 1, start)


@given(branched_nets())
def test_gradients_of_both_tricks(case):
    net, x = case
    found = []
    for trick in (rarefy(net), ShiftAndStitch(net, geometry.receptive_field(net).stride)):
        net.zero_grad()
        dy = np.random.default_rng(1).normal(size=trick(x).shape)
        found.append([trick.backward(dy), *(gradient.copy() for gradient in net.grads.values())])
    for one, other in zip(*found):
        close(one, other, 1e-11)


@pytest.mark.torch
@given(branched_nets())
def test_against_pytorch(case):
    """The à trous net in PyTorch, written from the layers' numbers: each branch on its own, then torch.cat."""
    torch = pytest.importorskip("torch")
    net, x = case
    y, dilation = in_torch(torch, net.layers, torch.tensor(x), (1, 1))
    assert dilation == tuple(int(axis.stride) for axis in geometry.receptive_field(net).axes)
    close(rarefy(net)(x), y.numpy(), 1e-12)


def in_torch(torch, layers, x, d):
    """The layers at stride 1, dilated by the strides before them. Returns: (y, the product of all strides)."""
    for layer in layers:
        if isinstance(layer, Branches):
            ends = [in_torch(torch, branch.layers, x, d) for branch in layer.branches]
            x, d = torch.cat([y for y, _ in ends], dim=1), ends[0][1]
        elif isinstance(layer, ReLU):
            x = torch.relu(x)
        else:
            x = one_in_torch(torch, layer, x, d)
            d = tuple(a * s for a, s in zip(d, layer.stride))
    return x, d


def one_in_torch(torch, layer, x, d):
    if isinstance(layer, Conv2d):
        weight, bias = (torch.tensor(layer.params[key]) for key in ("weight", "bias"))
        return torch.nn.functional.conv2d(x, weight, bias, dilation=d)
    if isinstance(layer, MaxPool2d):
        return torch.nn.functional.max_pool2d(x, layer.kernel_size, 1, dilation=d)
    channels = x.shape[1]
    mean = torch.full((channels, 1, *layer.kernel_size), 1 / np.prod(layer.kernel_size), dtype=x.dtype)
    return torch.nn.functional.conv2d(x, mean, dilation=d, groups=channels)


class TestGoogLeNet:
    def net(self, rng):
        """All scores count, and no sum cancels: float32 agrees to its last digits."""
        model = models.build("fcn_googlenet", 3, width=2, seed=0).eval()
        model.params["score_fr.weight"][...] = rng.normal(size=model.params["score_fr.weight"].shape)
        return model

    def size(self, model):
        """The first size, from 40 pixels on, at which no pool rounds up."""
        path, sizes = model.coarse_path, range(40, 120)
        down = (geometry.map_sizes(path, n, ceil_mode=False) for n in sizes)
        return next(n for n, floor in zip(sizes, down) if geometry.map_sizes(path, n) == floor)

    @pytest.mark.parametrize("stride", [8, (16, 4)])
    def test_rarefied(self, stride, rng):
        model = self.net(rng)
        n = self.size(model)
        x = rng.normal(size=(1, 3, n, n)).astype(np.float32)
        coarse, twin = Sequential(*model.coarse_path)(x), rarefy(model, stride)
        down, across = _factors(stride)
        close(twin(x)[:, :, ::down, ::across], coarse, 1e-5)
        assert all(twin.params[key] is model.params[key] for key in twin.params)
        assert set(model.params) >= set(twin.params) > {"inception_3a/5x5.weight", "score_fr.bias"}
        assert geometry.receptive_field(twin).start == geometry.receptive_field(model).start

    def test_stitched_and_rarefied_up_to_the_first_modules(self, rng):
        """Fields that lie inside the image see no padding: all ways give the same, in float32."""
        layers = self.net(rng).trunk.layers
        path = layers[: [layer.name for layer in layers].index("inception_3b") + 1]
        ((size, stride, start), _) = geometry.receptive_field(path).axes
        assert stride == 8
        n = int(size) + 8 + 5
        x = rng.normal(size=(1, 3, n, n)).astype(np.float32)
        rarefied, stitched = rarefy(path)(x), shift_and_stitch(path, x, form="shift")
        first = int((size - 1) / 2 - start)  # the first cell whose field lies inside
        inner = np.s_[:, :, first : first + 13, first : first + 13]
        assert stitched[inner].shape[2:] == (13, 13)
        close(stitched[inner], rarefied[inner], 1e-5)

    def test_measured_field(self, rng):
        model = self.net(rng)
        assert geometry.measured_receptive_field(model) == geometry.receptive_field(model)


def _factors(stride):
    return tuple(32 // s for s in (stride if isinstance(stride, tuple) else (stride, stride)))


def module(rng, name="module", **options):
    """An inception module in small: padded branches that keep the map's size."""
    return Branches(
        [conv(rng, 2, 2, 1, name="narrow")],
        [conv(rng, 2, 1, 1, name="reduce"), ReLU(name="relu"), conv(rng, 1, 3, 5, padding=2, name="wide")],
        [MaxPool2d(3, 1, 1, ceil_mode=True, name="pool"), conv(rng, 2, 1, 1, name="proj")],
        name=name,
        **options,
    )


class TestTwins:
    def test_a_padded_module(self, rng):
        net = Sequential(MaxPool2d(2, name="first"), module(rng), AvgPool2d(3, 2, 1, name="last"))
        x = rng.integers(-9, 10, (2, 2, 24, 28)).astype(float)
        close(rarefy(net)(x)[:, :, ::4, ::4], net(x), 1e-12)
        dense, stitched = rarefy(net)(x), shift_and_stitch(net, x)
        inner = np.s_[:, :, 8:13, 8:17]  # fields of 14 pixels that begin 6 before the image, and 4 dropped rows
        close(stitched[inner], dense[inner], 1e-12)

    def test_weights_are_shared_and_caches_are_not(self, rng):
        net = Sequential(module(rng), MaxPool2d(2, name="pool"))
        x = rng.integers(-9, 10, (1, 2, 9, 8)).astype(float)
        y, twin = net(x), rarefy(net)
        assert list(twin.params) == list(net.params)
        assert all(twin.grads[key] is net.grads[key] for key in net.grads)
        with pytest.raises(RuntimeError, match="before forward"):
            twin.backward(y)
        twin(x[:, :, :6])
        assert net.backward(y).shape == x.shape
        assert next(iter(net.layers[0].children.values())).name == "module/narrow"
        assert next(iter(twin.layers[0].children.values())).name == "module/narrow"

    def test_modules_in_modules_and_chains_in_branches(self, rng):
        inner = Branches([conv(rng, 2, 1, 1, name="one")], [conv(rng, 2, 2, 3, padding=1, name="three")], name="inner")
        chained = Sequential(MaxPool2d(3, 2, 1, name="pool"), conv(rng, 3, 2, 1, name="after"), name="chain")
        outer = Branches([inner, chained], [conv(rng, 2, 2, 3, 2, 1, name="straight")], name="outer")
        net = Sequential(outer, MaxPool2d(2, name="last"))
        x = rng.integers(-9, 10, (1, 2, 16, 20)).astype(float)
        close(rarefy(net)(x)[:, :, ::4, ::4], net(x), 1e-12)
        assert set(rarefy(net).params) == set(net.params)
        assert geometry.measured_receptive_field(net) == geometry.receptive_field(net)

    def test_branches_alone(self, rng):
        x = rng.integers(-9, 10, (1, 2, 9, 8)).astype(float)
        alone = module(rng)
        close(rarefy(alone)(x), alone(x), 1e-12)
        assert list(rarefy(alone).params) == [f"module.{key}".replace("module.", "module/") for key in alone.params]

    def test_gradients(self, rng):
        net = rarefy(Sequential(MaxPool2d(2, name="first"), module(rng)))
        assert max(layer_check(net, spaced(rng, (1, 2, 9, 10)), rng).values()) < 1e-7

    @pytest.mark.parametrize("first", ["prepared", "rarefied"])
    def test_prepared_weights(self, first, rng):
        """A rarefied module is dilated: it must not take the transforms that were made for the module itself."""
        wide = Branches(
            [Conv2d(3, 64, 1, rng=rng, name="a"), Conv2d(64, 64, 3, padding=1, rng=rng, name="b")],
            [MaxPool2d(3, 1, 1, name="c"), Conv2d(3, 64, 3, padding=1, rng=rng, name="d")],
            name="module",
        )
        net = Sequential(MaxPool2d(2, name="first"), wide, Conv2d(128, 168, 3, rng=rng, name="last")).eval()
        x = rng.normal(size=(1, 3, 20, 22)).astype(np.float32)
        expected = rarefy(net)(x)
        if first == "prepared":
            twin = rarefy(net.prepare())
        else:
            twin = rarefy(net).prepare()
            net.prepare()
        assert net.layers[1].branches[0].layers[1].transformed is not None
        assert net.layers[2].transformed is not None
        for _ in range(2):
            close(twin(x), expected, 1e-4)
            close(net(x), expected[:, :, ::2, ::2], 1e-4)
            twin.prepare()
        net.load_state_dict({key: -array for key, array in net.state_dict().items()})
        again = twin(x)
        fresh = rarefy(net)(x)
        close(again, fresh, 1e-4)
        assert abs(again - expected).max() > 0.1 * abs(expected).max()

    def test_a_classifier_with_branches(self, rng):
        head = [Flatten(name="flat"), Linear(6 * 4 * 4, 3, rng=rng, dtype=np.float64, name="fc")]
        unpadded = Branches([conv(rng, 2, 4, 3, name="conv")], [MaxPool2d(3, 1, name="pool"), conv(rng, 2, 2, 1)])
        unpadded.name = "module"
        classifier = Sequential(unpadded, *head)
        x = rng.integers(-9, 10, (1, 2, 6, 6)).astype(float)
        y = classifier(x)
        twin = convolutionalize(classifier)
        large = rng.integers(-9, 10, (1, 2, 8, 9)).astype(float)
        dense = twin(large)
        for i, j in np.ndindex(3, 4):
            close(dense[:, :, i, j], classifier(large[:, :, i : i + 6, j : j + 6]), 1e-12)
        classifier(x)
        twin(large)
        assert classifier.backward(y).shape == x.shape  # its own cache

    def test_modes_are_kept(self, rng):
        net = Sequential(module(rng), Dropout(0.5, name="drop"))
        for training in (True, False):
            twin = rarefy(net.train(training))
            layers = [*twin.layers, *twin.layers[0].children.values()]
            assert {layer.training for layer in (twin, *layers)} == {training}


class TestRefusals:
    def test_branches_of_different_strides(self, rng):
        uneven = Branches([conv(rng, 2, 1, 1, 2, name="a")], [conv(rng, 2, 1, 1, name="b")], name="uneven")
        with refuses("the branches of Branches 'uneven' must have one output stride; theirs are (2, 2), (1, 1)"):
            rarefy([MaxPool2d(2), uneven])

    def test_a_layer_in_a_branch_that_cannot_be_dilated(self, rng):
        up = Branches([ConvTranspose2d(2, 2, 2, name="up")], name="module")
        with refuses("cannot dilate ConvTranspose2d 'module/up'"):
            rarefy([MaxPool2d(2), up])

    def test_two_streams(self):
        model = models.build("mini_fcn32s_late_fusion", 2, width=1)
        for trick in (rarefy, lambda net: shift_and_stitch(net, np.ones((1, 6, 64, 64), np.float32))):
            with refuses("reads the image in several streams, conv1_1hha among them", "Pass one stream"):
                trick(model)

    def test_a_chain_with_a_forward_of_its_own(self, rng):
        """Taken for a plain chain it would lose what its forward adds, without a word."""

        class Residual(Sequential):
            def forward(self, x):
                return x + super().forward(x)

        block = Residual(ReLU(), name="block")
        for trick in (rarefy, convolutionalize):
            with refuses("Residual 'block' has a forward of its own"):
                trick(Sequential(MaxPool2d(2), block, Flatten(name="flat"), Linear(4, 2, name="fc")))

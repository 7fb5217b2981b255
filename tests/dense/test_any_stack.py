"""Random stacks of all kinds of layers: a trick gives the net's own values, or says in one sentence why it cannot."""

import numpy as np
from arrays import close
from hypothesis import given
from hypothesis import strategies as st

from fcn_from_scratch import geometry
from fcn_from_scratch.dense import convolutionalize, rarefy, shift_and_stitch
from fcn_from_scratch.layers import (
    AvgPool2d,
    BilinearUpsample,
    Branches,
    Concat,
    Conv2d,
    ConvTranspose2d,
    Crop,
    Dropout,
    Flatten,
    Linear,
    LocalResponseNorm,
    MaxPool2d,
    NearestUpsample,
    ReLU,
    Sequential,
    ShiftAndStitch,
    SkipFusion,
)

DILATABLE = ("conv", "grouped", "max", "avg", "relu", "norm", "drop", "branches", "chain", "list")
OTHERS = ("up", "learned", "nearest", "crop", "flat", "linear", "stitch", "fusion", "concat")


def pairs(low, high):
    return st.tuples(*[st.integers(low, high)] * 2)


def convolution(draw, rng, before, name, groups=1):
    kernel_size, stride, padding, dilation = (draw(pairs(*r)) for r in ((1, 3), (1, 2), (0, 2), (1, 2)))
    layer = Conv2d(before, 4, kernel_size, stride, padding, dilation, groups, dtype=np.float64, name=name)
    for array in layer.params.values():
        array[...] = rng.integers(-2, 3, array.shape)
    return layer


def pool(draw, kind, name):
    kernel_size = draw(pairs(1, 3))
    padding = tuple(draw(st.integers(0, k // 2)) for k in kernel_size)
    options = {"ceil_mode": draw(st.booleans()), "name": name}
    if kind == "avg":
        return AvgPool2d(kernel_size, draw(pairs(1, 2)), padding, count_include_pad=draw(st.booleans()), **options)
    return MaxPool2d(kernel_size, draw(pairs(1, 2)), padding, draw(st.sampled_from([1, 1, 2])), **options)


def module(draw, rng, name):
    """Two branches of one stride that end in the same places: one layer padded, or a pool and a convolution."""
    stride, odd = draw(pairs(1, 2)), draw(st.sampled_from([1, 3]))
    first = Conv2d(4, 2, 1, stride, dtype=np.float64, rng=rng, name="one")
    second = [
        MaxPool2d(odd, stride, odd // 2, name="pool"),
        Conv2d(4, 2, 3, 1, 1, dtype=np.float64, rng=rng, name="three"),
    ]
    return Branches([first, ReLU(name="relu")], second, name=name)


def layer_of(draw, rng, kind, name):
    makers = {
        "conv": lambda: convolution(draw, rng, 4, name),
        "grouped": lambda: convolution(draw, rng, 4, name, groups=2),
        "max": lambda: pool(draw, "max", name),
        "avg": lambda: pool(draw, "avg", name),
        "relu": lambda: ReLU(name=name),
        "norm": lambda: LocalResponseNorm(3, name=name),
        "drop": lambda: Dropout(0.5, name=name),
        "branches": lambda: module(draw, rng, name),
        "chain": lambda: Sequential(pool(draw, "max", "inner"), convolution(draw, rng, 4, "conv"), name=name),
        "list": lambda: [pool(draw, "avg", "inner"), ReLU()],
        "up": lambda: BilinearUpsample(4, 2, name=name),
        "learned": lambda: ConvTranspose2d(4, 4, 4, 2, dtype=np.float64, rng=rng, name=name),
        "nearest": lambda: NearestUpsample(2, name=name),
        "crop": lambda: Crop(1, 3, name=name),
        "flat": lambda: Flatten(name=name),
        "linear": lambda: Linear(4, 2, dtype=np.float64, rng=rng, name=name),
        "stitch": lambda: ShiftAndStitch(MaxPool2d(2), 2, name=name),
        "fusion": lambda: SkipFusion(4, 4, dtype=np.float64, name=name),
        "concat": lambda: Concat(name=name),
    }
    return makers[kind]()


@st.composite
def stacks(draw, kinds):
    """(list of layers in eval mode, image), of at most three layers that may stride."""
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    chosen = draw(st.lists(st.sampled_from(kinds), min_size=1, max_size=4))
    layers = [layer_of(draw, rng, kind, f"layer{number}") for number, kind in enumerate(chosen)]
    for layer in layers:
        for each in layer if isinstance(layer, list) else [layer]:
            each.eval()
    size = draw(st.tuples(*[st.integers(1, 24)] * 2))
    return layers, rng.integers(-9, 10, (1, 4, *size)).astype(float)


def in_one_sentence(compute):
    """The result, or None where a ValueError of one line says why there is none. Other errors fail the test."""
    try:
        return compute()
    except ValueError as error:
        words = str(error)
        assert "\n" not in words
        assert 20 < len(words) < 400
        assert not any(bad in words for bad in ("broadcast", "unpack", "operands", "object has no", "index"))
        return None


def run(layers, x):
    for layer in layers:
        x = run(layer, x) if isinstance(layer, list) else layer(x)
    return x


def rounds_up(layers, size):
    if not geometry.fits(layers, size, ceil_mode=False):
        return True
    return geometry.map_sizes(layers, size) != geometry.map_sizes(layers, size, ceil_mode=False)


@given(stacks(DILATABLE), st.data())
def test_what_can_be_rarefied(case, data):
    layers, x = case
    total = [int(axis.stride) for axis in geometry.receptive_field(layers).axes]
    stride = tuple(data.draw(st.sampled_from([d for d in range(1, s + 1) if s % d == 0])) for s in total)
    twin = rarefy(layers, stride)
    assert [int(axis.stride) for axis in geometry.receptive_field(twin).axes] == list(stride)
    y, dense = in_one_sentence(lambda: run(layers, x)), in_one_sentence(lambda: twin(x))
    if y is None or rounds_up(layers, x.shape[2:]):
        return
    if dense is None:  # a dilated window in padding alone, on an image that is smaller than the dilation
        assert min(x.shape[2:]) < 12
        return
    down, across = (s // t for s, t in zip(total, stride))
    close(dense[:, :, ::down, ::across], y, 1e-11)
    assert dense.shape[2:] == tuple(geometry.map_sizes(twin, x.shape[2:]).values())[-1].size


@given(stacks(DILATABLE))
def test_what_is_stitched_is_the_net_on_shifted_images(case):
    layers, x = case
    f = [int(axis.stride) for axis in geometry.receptive_field(layers).axes]
    dense = in_one_sentence(lambda: shift_and_stitch(layers, x))
    if dense is None:
        return
    for a, b in np.ndindex(*f):
        if a < x.shape[2] and b < x.shape[3]:
            part = in_one_sentence(lambda a=a, b=b: run(layers, x[:, :, a:, b:]))
            found = dense[:, :, a :: f[0], b :: f[1]]
            assert found.size == 0 if part is None else found.shape == part.shape
            if part is not None:
                close(found, part, 1e-11)


@given(stacks((*DILATABLE, *OTHERS)))
def test_anything(case):
    """Layers that cannot be dilated too: no error but a sentence, and nothing is changed."""
    layers, x = case
    for trick in (rarefy, lambda net: rarefy(net, (2, 1)), convolutionalize, lambda net: shift_and_stitch(net, x)):
        in_one_sentence(lambda trick=trick: trick(layers))
    for ask in (geometry.receptive_field, geometry.measured_receptive_field, geometry.graph):
        in_one_sentence(lambda ask=ask: ask(layers))
    in_one_sentence(lambda: geometry.table(layers, x.shape[2:]))
    in_one_sentence(lambda: geometry.effective_receptive_field(layers, x))

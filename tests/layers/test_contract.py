"""The promises of every layer (layers/base.py), and every layer's gradients by finite differences."""

import gc
import weakref

import numpy as np
import pytest
from arrays import LAYOUTS, close

from fcn_from_scratch.backend import to_device, to_numpy
from fcn_from_scratch.gradcheck import away_from_zero, layer_check, spaced
from fcn_from_scratch.layers import (
    AvgPool2d,
    BedOfNails,
    BilinearUpsample,
    Branches,
    ChannelDropout,
    Concat,
    Conv2d,
    ConvTranspose2d,
    Crop,
    Dropout,
    Flatten,
    Linear,
    LocalResponseNorm,
    MaxPool2d,
    MaxUnpool2d,
    NearestUpsample,
    ReLU,
    Sequential,
    ShiftAndStitch,
    SkipFusion,
    Sum,
    upsampler,
)


def seeded():
    return np.random.default_rng(7)


class Unpool(MaxUnpool2d):
    """MaxUnpool2d as a function of x alone: each value goes to a random corner of its 2x2 block."""

    def forward(self, x):
        h, w = x.shape[2:]
        below, right = seeded().integers(0, 2, (2, *x.shape))
        rows, columns = 2 * np.arange(h)[:, None] + below, 2 * np.arange(w) + right
        return super().forward(x, to_device(2 * w * rows + columns, device_of(x)), (2 * h, 2 * w))

    __call__ = forward


def chain(dtype):
    """Down and up again, by smooth layers."""
    return Sequential(
        Conv2d(3, 4, (3, 2), padding=1, rng=seeded(), dtype=dtype, name="down"),
        LocalResponseNorm(3, alpha=0.7, k=2.0),
        Sequential(AvgPool2d(2, ceil_mode=True), ConvTranspose2d(4, 2, 4, 2, 1, rng=seeded(), dtype=dtype), name="up"),
    )


def branches(dtype):
    """Two chains from one map to channels of one."""
    narrow = [
        Conv2d(3, 2, 1, rng=seeded(), dtype=dtype, name="reduce"),
        Conv2d(2, 4, (3, 2), (2, 1), (1, 0), rng=seeded(), dtype=dtype, name="wide"),
    ]
    pooled = [AvgPool2d((3, 2), (2, 1), (1, 0), name="pool"), Conv2d(3, 1, 1, rng=seeded(), dtype=dtype, name="proj")]
    return Branches(narrow, pooled, name="module")


def strided(dtype):
    """A net of output stride (2, 2), smooth as well."""
    conv = Conv2d(3, 4, (1, 2), (1, 2), (0, 1), rng=seeded(), dtype=dtype, name="conv")
    return Sequential(AvgPool2d(2, (2, 1)), conv)


MAPS = [(2, 3, 7, 6)]
WITH_WEIGHTS = {
    "Conv2d": (lambda dtype: Conv2d(3, 4, (3, 2), (2, 1), (1, 0), rng=seeded(), dtype=dtype), MAPS),
    "Conv2d stride 1": (lambda dtype: Conv2d(3, 4, (3, 2), padding=(3, 2), rng=seeded(), dtype=dtype), MAPS),
    "Conv2d dilated, no bias": (
        lambda dtype: Conv2d(3, 4, 2, dilation=(3, 2), bias=False, rng=seeded(), dtype=dtype),
        MAPS,
    ),
    "Conv2d in groups": (
        lambda dtype: Conv2d(4, 6, (2, 3), (1, 2), groups=2, rng=seeded(), dtype=dtype),
        [(2, 4, 5, 6)],
    ),
    "ConvTranspose2d": (
        lambda dtype: ConvTranspose2d(3, 4, (3, 2), (2, 3), (1, 0), rng=seeded(), dtype=dtype),
        MAPS,
    ),
    "ConvTranspose2d, all arguments": (
        lambda dtype: ConvTranspose2d(3, 6, (3, 2), (2, 3), 1, (1, 2), 3, dilation=(2, 1), rng=seeded(), dtype=dtype),
        MAPS,
    ),
    "ConvTranspose2d, no bias": (
        lambda dtype: ConvTranspose2d(3, 2, 4, 2, bias=False, rng=seeded(), dtype=dtype),
        MAPS,
    ),
    "Linear": (lambda dtype: Linear(5, 4, rng=seeded(), dtype=dtype), [(3, 5)]),
    "Linear, no bias": (lambda dtype: Linear(5, 4, bias=False, rng=seeded(), dtype=dtype), [(3, 5)]),
    "SkipFusion": (
        lambda dtype: SkipFusion(3, 4, offset=(3, 1), scale=0.5, dtype=dtype),
        [(2, 4, 5, 6), (2, 3, 9, 8)],
    ),
    "SkipFusion, the coarse map cropped": (
        lambda dtype: SkipFusion(3, 4, offset=(-1, -2), dtype=dtype),
        [(2, 4, 5, 6), (2, 3, 3, 4)],
    ),
    "SkipFusion, offsets of both signs": (
        lambda dtype: SkipFusion(3, 4, offset=(-2, 1), dtype=dtype),
        [(2, 4, 5, 6), (2, 3, 2, 8)],
    ),
    "Sequential": (chain, MAPS),
    "Branches": (branches, MAPS),
    "ShiftAndStitch": (lambda dtype: ShiftAndStitch(strided(dtype), 2), MAPS),
    "ShiftAndStitch, the image moved": (lambda dtype: ShiftAndStitch(strided(dtype), 2, "shift"), MAPS),
    "upsampler, learned in two steps": (lambda dtype: upsampler("learned", 3, 2, 3, dtype=dtype), [(2, 3, 3, 2)]),
}
WITHOUT_WEIGHTS = {
    "ReLU": (lambda dtype: ReLU(), MAPS),
    "Dropout": (lambda dtype: Dropout(0.3, rng=seeded()), MAPS),
    "Dropout of nothing": (lambda dtype: Dropout(0.0), MAPS),
    "ChannelDropout": (lambda dtype: ChannelDropout(0.4, rng=seeded()), MAPS),
    "Flatten": (lambda dtype: Flatten(), MAPS),
    "MaxPool2d": (lambda dtype: MaxPool2d((3, 2), (2, 1), (1, 0)), MAPS),
    "MaxPool2d, ceil": (lambda dtype: MaxPool2d(2, ceil_mode=True), MAPS),
    "MaxPool2d, dilated": (lambda dtype: MaxPool2d(2, 1, dilation=(3, 2)), MAPS),
    "AvgPool2d": (lambda dtype: AvgPool2d((3, 2), (2, 1), (1, 0)), MAPS),
    "AvgPool2d, ceil": (lambda dtype: AvgPool2d(3, 2, 1, ceil_mode=True, count_include_pad=False), MAPS),
    "MaxUnpool2d": (lambda dtype: Unpool(), MAPS),
    "LocalResponseNorm": (lambda dtype: LocalResponseNorm(2, alpha=0.7, beta=0.5, k=2.0), MAPS),
    "BilinearUpsample": (lambda dtype: BilinearUpsample((4, 6), (2, 3)), MAPS),
    "BilinearUpsample, padded": (lambda dtype: BilinearUpsample((4, 6), (2, 3), (1, 2)), MAPS),
    "NearestUpsample": (lambda dtype: NearestUpsample((3, 2)), MAPS),
    "BedOfNails": (lambda dtype: BedOfNails((3, 2)), MAPS),
    "Crop": (lambda dtype: Crop((2, 1), (4, 3)), MAPS),
    "Concat": (lambda dtype: Concat(), [(2, 3, 7, 6), (2, 1, 7, 6), (2, 4, 7, 6)]),
    "Sum": (lambda dtype: Sum(), [(2, 3, 7, 6)] * 3),
    "Sum, averaging": (lambda dtype: Sum(0.5), [(2, 3, 7, 6)] * 2),
}
LAYERS = WITH_WEIGHTS | WITHOUT_WEIGHTS
KINKS = {"ReLU": away_from_zero, "MaxPool2d": spaced}
EVERY = pytest.mark.parametrize("name", LAYERS)
WEIGHTED = pytest.mark.parametrize("name", WITH_WEIGHTS)


def device_of(x):
    return "cpu" if isinstance(x, np.ndarray) else "cuda"


def make(name, rng, dtype=np.float64, layout=np.asarray):
    """The layer, every parameter random (a bias starts at zero, which would hide mistakes), and its inputs."""
    construct, input_shapes = LAYERS[name]
    layer = construct(dtype)
    for array in layer.params.values():
        array[...] = rng.normal(size=array.shape)
    draw = KINKS.get(type(layer).__name__, lambda rng, shape: rng.normal(size=shape))
    return layer, tuple(layout(draw(rng, shape).astype(dtype)) for shape in input_shapes)


def as_tuple(arrays):
    return arrays if isinstance(arrays, tuple) else (arrays,)


@EVERY
def test_gradients(name, rng):
    layer, inputs = make(name, rng)
    errors = layer_check(layer, inputs if len(inputs) > 1 else inputs[0], rng)
    assert len(errors) == len(inputs) + len(layer.params)
    assert max(errors.values()) < 1e-7


@EVERY
@pytest.mark.parametrize("layout", LAYOUTS)
def test_memory_layout_does_not_matter(name, layout, rng):
    layer, inputs = make(name, rng)
    twin, moved = make(name, np.random.default_rng(0), layout=LAYOUTS[layout])
    y = layer(*inputs)
    dy = rng.normal(size=y.shape)
    close(twin(*moved), y)
    for ours, theirs in zip(as_tuple(twin.backward(LAYOUTS[layout](dy))), as_tuple(layer.backward(dy))):
        close(ours, theirs)
    for key in layer.grads:
        close(twin.grads[key], layer.grads[key])


@EVERY
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_is_kept(name, dtype, rng):
    layer, inputs = make(name, rng, dtype)
    y = layer(*inputs)
    dxs = as_tuple(layer.backward(rng.normal(size=y.shape).astype(dtype)))
    arrays = [y, *dxs, *layer.params.values(), *layer.grads.values()]
    assert {array.dtype for array in arrays} == {np.dtype(dtype)}


@EVERY
def test_backward_before_forward_is_refused(name, rng):
    layer, inputs = make(name, rng)
    dy = rng.normal(size=make(name, rng)[0](*inputs).shape)
    with pytest.raises(RuntimeError, match="before forward"):
        layer.backward(dy)


@EVERY
def test_eval_keeps_nothing(name, rng):
    layer, inputs = make(name, rng)
    assert layer.eval() is layer
    dy = rng.normal(size=layer(*inputs).shape)
    with pytest.raises(RuntimeError, match="before forward"):
        layer.backward(dy)
    layer.train()
    layer(*inputs)
    layer.backward(dy)
    layer.eval()  # what the last forward kept goes too
    with pytest.raises(RuntimeError, match="before forward"):
        layer.backward(dy)


@EVERY
def test_eval_holds_no_reference_to_its_input(name, rng):
    layer, inputs = make(name, rng)
    layer.eval()
    held = [weakref.ref(x) for x in inputs]
    layer(*inputs)
    del inputs
    gc.collect()
    assert [reference() for reference in held] == [None] * len(held)


@EVERY
def test_runs_where_its_arrays_are(name, xp, rng):
    device = "cpu" if xp is np else "cuda"
    layer, inputs = make(name, rng)
    twin, _ = make(name, np.random.default_rng(0))
    assert twin.to(device) is twin
    y = layer(*inputs)
    dy = rng.normal(size=y.shape)
    there = twin(*(to_device(x, device) for x in inputs))
    assert isinstance(there, xp.ndarray)
    close(there, y)
    for ours, theirs in zip(as_tuple(twin.backward(to_device(dy, device))), as_tuple(layer.backward(dy))):
        assert isinstance(ours, xp.ndarray)
        close(ours, theirs)
    for key, gradient in layer.grads.items():
        assert isinstance(twin.grads[key], xp.ndarray)
        close(twin.grads[key], gradient)
        assert isinstance(twin.state_dict()[key], np.ndarray)


@EVERY
def test_to_drops_what_forward_kept(name, rng):
    layer, inputs = make(name, rng)
    dy = rng.normal(size=layer(*inputs).shape)
    layer.to("cpu")
    with pytest.raises(RuntimeError, match="before forward"):
        layer.backward(dy)


@WEIGHTED
def test_backward_adds_into_grads(name, rng):
    layer, inputs = make(name, rng)
    dy = rng.normal(size=layer(*inputs).shape)
    live = dict(layer.grads)
    assert all((gradient == 0).all() for gradient in live.values())
    layer.backward(dy)
    once = {key: gradient.copy() for key, gradient in live.items()}
    layer.backward(dy)
    assert live.keys() == layer.params.keys()
    for key, gradient in live.items():
        assert gradient is layer.grads[key]
        assert np.abs(once[key]).min() > 0
        close(gradient, 2 * once[key])
    layer.zero_grad()
    assert all((gradient == 0).all() for gradient in live.values())
    layer(*inputs)
    layer.backward(dy)
    for key, gradient in live.items():
        close(gradient, once[key])


@WEIGHTED
def test_backward_params_fills_the_same_grads(name, rng):
    layer, inputs = make(name, rng)
    dy = rng.normal(size=layer(*inputs).shape)
    layer.backward_params(dy)
    without_dx = {key: gradient.copy() for key, gradient in layer.grads.items()}
    layer.zero_grad()
    layer.backward(dy)
    for key, gradient in layer.grads.items():
        close(without_dx[key], gradient)


@WEIGHTED
def test_params_are_the_live_arrays(name, rng):
    layer, inputs = make(name, rng)
    before = layer(*inputs)
    for key, array in layer.params.items():
        assert array is layer.params[key]
        array *= 2
    assert np.abs(layer(*inputs) - before).max() > 1e-3
    close(to_numpy(layer.state_dict()[key]), array)


@WEIGHTED
def test_astype_converts_parameters_and_gradients(name, rng):
    layer, inputs = make(name, rng)
    dy = rng.normal(size=layer(*inputs).shape)
    layer.backward(dy)
    before = {key: (layer.params[key].copy(), layer.grads[key].copy()) for key in layer.params}
    assert layer.astype(np.float32) is layer
    for key, arrays in before.items():
        for array, old in zip((layer.params[key], layer.grads[key]), arrays):
            assert array.dtype == np.float32
            np.testing.assert_array_equal(array, old.astype(np.float32))
    with pytest.raises(RuntimeError, match="before forward"):
        layer.backward(dy)
    layer.zero_grad()
    y = layer(*(x.astype(np.float32) for x in inputs))
    assert y.dtype == np.float32
    layer.backward(dy.astype(np.float32))
    for key, (_, gradient) in before.items():
        close(layer.grads[key], gradient, 1e-5)


@pytest.mark.parametrize("name", WITHOUT_WEIGHTS)
def test_nothing_to_learn(name, rng):
    layer, _ = make(name, rng)
    assert layer.params == layer.grads == layer.state_dict() == {}

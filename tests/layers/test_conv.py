"""Conv2d, ConvTranspose2d, Linear: their outputs, their initial weights, and the inputs that they refuse."""

import inspect

import numpy as np
import pytest
from arrays import TORCH_TOLERANCES, close, refuses, torch_module
from hypothesis import given
from hypothesis import strategies as st

from fcn_from_scratch.engine.im2col import BLOCK_BYTES
from fcn_from_scratch.layers import Conv2d, ConvTranspose2d, Linear
from fcn_from_scratch.ops import loops

MAP = (2, 4, 6, 5)

CONV = [
    {"kernel_size": (3, 2)},
    {"kernel_size": (2, 3), "stride": (2, 3), "padding": (1, 2)},
    {"kernel_size": 2, "dilation": (3, 2), "bias": False},
    {"kernel_size": (3, 1), "groups": 2, "padding": 1},
]
TRANSPOSE = [
    {"kernel_size": (3, 2)},
    {"kernel_size": 4, "stride": 2, "bias": False},
    {"kernel_size": (2, 3), "stride": (3, 2), "padding": (0, 1)},
    {"kernel_size": (2, 3), "stride": (3, 2), "output_padding": (2, 1)},
    {"kernel_size": (3, 2), "groups": 2, "bias": False},
    {"kernel_size": 2, "stride": (2, 1), "padding": 1, "output_padding": (0, 2), "groups": 2, "dilation": (2, 3)},
]


def randomised(layer, rng):
    for array in layer.params.values():
        array[...] = rng.normal(size=array.shape)
    return layer


def without(options, *names):
    return {key: value for key, value in options.items() if key not in names}


class TestForward:
    @pytest.mark.parametrize("options", CONV)
    def test_conv_equals_loops(self, options, rng):
        layer = randomised(Conv2d(4, 6, **options, dtype=np.float64), rng)
        x = rng.normal(size=MAP)
        assert layer.params["weight"].shape[:2] == (6, 4 // options.get("groups", 1))
        close(
            layer(x),
            loops.conv2d_loops(
                x, layer.params["weight"], layer.params.get("bias"), **without(options, "kernel_size", "bias")
            ),
        )

    @pytest.mark.parametrize("options", TRANSPOSE)
    def test_conv_transpose_equals_loops(self, options, rng):
        layer = randomised(ConvTranspose2d(4, 6, **options, dtype=np.float64), rng)
        x = rng.normal(size=MAP)
        assert layer.params["weight"].shape[:2] == (4, 6 // options.get("groups", 1))
        close(
            layer(x),
            loops.conv_transpose2d_loops(
                x, layer.params["weight"], layer.params.get("bias"), **without(options, "kernel_size", "bias")
            ),
        )

    @pytest.mark.parametrize("bias", [True, False])
    def test_linear_equals_loops(self, bias, rng):
        layer = randomised(Linear(5, 3, bias, dtype=np.float64), rng)
        x = rng.normal(size=(4, 5))
        close(layer(x), loops.linear_loops(x, layer.params["weight"], layer.params.get("bias")))


def test_a_large_strided_image_joins_without_a_seam(rng):
    """Its patches fill several blocks of rows, each of which starts stride times further down the image."""
    layer = randomised(Conv2d(3, 2, (7, 5), stride=(2, 3), padding=(3, 1), dtype=np.float64), rng)
    weight = layer.params["weight"]
    x = rng.normal(size=(2, 3, 240, 210))
    y = layer(x)
    oh, ow = 120, 70
    assert oh * ow * weight[0].nbytes > 1.5 * BLOCK_BYTES
    below = {  # what lies below tap (a, b) of every window
        (a, b): np.pad(x, ((0, 0), (0, 0), (3, 3), (1, 1)))[:, :, a : a + 2 * oh : 2, b : b + 3 * ow : 3][..., :oh, :ow]
        for a, b in np.ndindex(7, 5)
    }
    expected = sum(np.einsum("nchw,fc->nfhw", pixels, weight[:, :, a, b]) for (a, b), pixels in below.items())
    close(y, expected + layer.params["bias"][:, None, None])
    dy = rng.normal(size=y.shape)
    dx = layer.backward(dy)
    assert np.vdot(dx, x) == pytest.approx(np.vdot(dy, expected), rel=1e-9)
    for (a, b), pixels in below.items():
        close(layer.grads["weight"][:, :, a, b], np.einsum("nfhw,nchw->fc", dy, pixels))


@pytest.mark.torch
@pytest.mark.parametrize(("dtype", "tolerance"), TORCH_TOLERANCES)
class TestTorch:
    """The same state dict in torch.nn gives the same output and the same gradients."""

    def compare(self, layer, module, x, rng, dtype, tolerance):
        torch = torch_module()
        randomised(layer, rng)
        module = module.to(getattr(torch, dtype))
        module.load_state_dict({name: torch.tensor(array) for name, array in layer.state_dict().items()})
        tensor = torch.tensor(x, requires_grad=True)
        expected = module(tensor)
        y = layer(x)
        dy = rng.normal(size=y.shape).astype(dtype)
        expected.backward(torch.tensor(dy))
        close(y, expected.detach().numpy(), tolerance)
        close(layer.backward(dy), tensor.grad.numpy(), tolerance)
        for name, parameter in module.named_parameters():
            close(layer.grads[name], parameter.grad.numpy(), tolerance)

    @pytest.mark.parametrize("options", CONV)
    def test_conv(self, options, dtype, tolerance, rng):
        module = torch_module().nn.Conv2d(4, 6, **options)
        self.compare(
            Conv2d(4, 6, **options, dtype=dtype), module, rng.normal(size=MAP).astype(dtype), rng, dtype, tolerance
        )

    @pytest.mark.parametrize("options", TRANSPOSE)
    def test_conv_transpose(self, options, dtype, tolerance, rng):
        module = torch_module().nn.ConvTranspose2d(4, 6, **options)
        layer = ConvTranspose2d(4, 6, **options, dtype=dtype)
        self.compare(layer, module, rng.normal(size=MAP).astype(dtype), rng, dtype, tolerance)

    def test_the_arguments_have_torchs_order_and_defaults(self, dtype, tolerance):
        def arguments(layer):
            found = inspect.signature(layer).parameters.values()
            return {one.name: one.default for one in found if one.kind is one.POSITIONAL_OR_KEYWORD}

        theirs = arguments(torch_module().nn.ConvTranspose2d)
        ours = arguments(ConvTranspose2d)
        assert list(ours.items()) == list(theirs.items())[: len(ours)]

    def test_linear(self, dtype, tolerance, rng):
        module = torch_module().nn.Linear(5, 3)
        x = rng.normal(size=(4, 5)).astype(dtype)
        self.compare(Linear(5, 3, dtype=dtype), module, x, rng, dtype, tolerance)


class TestStart:
    @pytest.mark.parametrize(
        ("layer", "variance"),
        [
            (lambda rng: Conv2d(60, 50, (3, 4), groups=2, rng=rng), 2 / (30 * 12)),
            (lambda rng: ConvTranspose2d(50, 40, (4, 6), (2, 3), rng=rng), 2 / (50 * 4)),
            (lambda rng: ConvTranspose2d(60, 50, (4, 6), (2, 3), groups=5, rng=rng), 2 / (12 * 4)),
            (lambda rng: Linear(300, 200, rng=rng), 2 / 300),
        ],
        ids=["Conv2d", "ConvTranspose2d", "ConvTranspose2d in groups", "Linear"],
    )
    def test_he_normal_and_zero_bias(self, layer, variance, rng):
        params = layer(rng).params
        weight = params["weight"].astype(np.float64)
        assert (params["bias"] == 0).all()
        assert weight.var() == pytest.approx(variance, rel=0.05)
        assert abs(weight.mean()) < 5 * np.sqrt(variance / weight.size)
        assert np.mean(np.abs(weight) < np.sqrt(variance)) == pytest.approx(0.683, abs=0.01)  # normal, not uniform

    def test_one_generator_one_start(self):
        one, same, other = (Conv2d(2, 3, 3, rng=np.random.default_rng(seed)).params["weight"] for seed in (1, 1, 2))
        np.testing.assert_array_equal(one, same)
        assert np.abs(one - other).min() > 0

    def test_without_a_generator_it_is_random(self):
        one, other = (Conv2d(2, 3, 3).params["weight"] for _ in range(2))
        assert np.abs(one - other).min() > 0

    @pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
    def test_dtype(self, dtype):
        for layer in (Conv2d(2, 3, 1, dtype=dtype), ConvTranspose2d(2, 3, 1, dtype=dtype), Linear(2, 3, dtype=dtype)):
            assert {array.dtype for array in (*layer.params.values(), *layer.grads.values())} == {np.dtype(dtype)}


class TestBilinear:
    @given(size=st.integers(1, 9), stride=st.integers(1, 4), channels=st.integers(1, 3))
    def test_interpolates_each_class_by_itself(self, size, stride, channels):
        layer = ConvTranspose2d(channels, channels, size, stride, bias=False, dtype=np.float64)
        assert layer.init_bilinear() is layer
        x = np.random.default_rng(size).normal(size=(1, channels, 2, 3))
        y = layer(x)
        kernel = loops.bilinear_kernel_loops(size)
        for c in range(channels):
            alone = loops.conv_transpose2d_loops(x[:, c : c + 1], kernel[None, None], stride=stride)
            close(y[:, c : c + 1], alone)

    @given(size=st.integers(1, 6), stride=st.integers(1, 4), groups=st.integers(1, 3), channels=st.integers(1, 2))
    def test_groups_interpolate_as_the_whole_does(self, size, stride, groups, channels):
        """Caffe's networks upsample with as many groups as classes; the kernel is then (C, 1, k, k)."""
        channels *= groups
        options = {"bias": False, "dtype": np.float64}
        whole = ConvTranspose2d(channels, channels, size, stride, **options).init_bilinear()
        layer = ConvTranspose2d(channels, channels, size, stride, groups=groups, **options).init_bilinear()
        x = np.random.default_rng(size).normal(size=(1, channels, 2, 3))
        close(layer(x), whole(x))

    def test_weight_is_the_diagonal_alone(self):
        weight = ConvTranspose2d(3, 3, 4, 2).init_bilinear().params["weight"]
        row = np.array([0.25, 0.75, 0.75, 0.25])
        np.testing.assert_array_equal(weight, np.einsum("ij,a,b->ijab", np.eye(3), row, row))
        assert weight.dtype == np.float32

    def test_an_oblong_kernel(self, rng):
        """One axis after the other, with the square kernels' rows."""
        layer = ConvTranspose2d(2, 2, (6, 3), (3, 2), bias=False, dtype=np.float64).init_bilinear()
        rows = np.array([1, 3, 5, 5, 3, 1]) / 6, np.array([1, 2, 1]) / 2
        np.testing.assert_allclose(layer.params["weight"], np.einsum("ij,a,b->ijab", np.eye(2), *rows), atol=1e-15)

    def test_refuses_what_cannot_interpolate(self):
        with refuses("ConvTranspose2d 'up' cannot interpolate: it needs equal channels, but has 2 -> 3 channels"):
            ConvTranspose2d(2, 3, 4, name="up").init_bilinear()


class TestRefusals:
    @pytest.mark.parametrize("channels", [3, 5])
    def test_other_channels(self, channels, rng):
        x = rng.normal(size=(1, channels, 5, 6)).astype(np.float32)
        with refuses("Conv2d 'score_pool4' expects 4 input channels", "(2, 4, 1, 1)", f"(1, {channels}, 5, 6)"):
            Conv2d(4, 2, 1, name="score_pool4")(x)
        with refuses("ConvTranspose2d 'up' expects 4 input channels", "(4, 2, 3, 3)", f"(1, {channels}, 5, 6)"):
            ConvTranspose2d(4, 2, 3, name="up")(x)

    def test_a_map_without_batch_axis(self, rng):
        with refuses("Conv2d 'c' expects 3 input channels", "(3, 5, 6)"):
            Conv2d(3, 2, 1, name="c")(rng.normal(size=(3, 5, 6)))

    def test_groups_that_do_not_divide(self):
        with refuses("groups must divide the channels evenly; got 2 groups of 4 input and 3"):
            Conv2d(4, 3, 1, groups=2)
        with refuses("groups must divide the channels evenly; got 2 groups of 3 input and 4"):
            Conv2d(3, 4, 1, groups=2)

    @pytest.mark.parametrize(
        ("name", "value"),
        [("kernel_size", 0), ("stride", (1, 0)), ("padding", -1), ("dilation", 0), ("groups", 0), ("stride", 1.5)],
    )
    def test_arguments_out_of_range(self, name, value):
        with refuses(name, "got", str(value)):
            Conv2d(4, 4, **{"kernel_size": 3, name: value})

    @pytest.mark.parametrize("channels", [(4, 3), (3, 4)])
    def test_groups_that_do_not_divide_a_transposed_convolution(self, channels):
        with refuses("groups must divide the channels evenly; got 2 groups of {} input and {}".format(*channels)):
            ConvTranspose2d(*channels, 1, groups=2)

    @pytest.mark.parametrize("options", [{"output_padding": 1}, {"output_padding": (1, 2), "stride": (3, 2)}])
    def test_output_padding_that_is_too_large(self, options):
        with refuses("output_padding must be smaller than the stride or the dilation", "got"):
            ConvTranspose2d(3, 4, 3, **options)

    @pytest.mark.parametrize(
        ("name", "value"),
        [("output_padding", -1), ("output_padding", 0.5), ("groups", 0), ("groups", 1.5), ("dilation", (1, 0))],
    )
    def test_arguments_of_a_transposed_convolution(self, name, value):
        with refuses(name, "got", str(value)):
            ConvTranspose2d(4, 4, 3, stride=2, **{name: value})

    @pytest.mark.parametrize("layer", [lambda *c: Conv2d(*c, 3), lambda *c: ConvTranspose2d(*c, 3), Linear])
    def test_no_channels(self, layer):
        with refuses("must be at least 1; got 0"):
            layer(0, 2)
        with refuses("must be at least 1; got 0"):
            layer(2, 0)

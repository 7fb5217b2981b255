"""BilinearUpsample, NearestUpsample, BedOfNails, and `upsampler`, which makes these and others by name."""

import numpy as np
import pytest
from arrays import close, refuses
from hypothesis import given
from hypothesis import strategies as st

from fcn_from_scratch import geometry
from fcn_from_scratch.gradcheck import layer_check
from fcn_from_scratch.layers import (
    BedOfNails,
    BilinearUpsample,
    ConvTranspose2d,
    MaxPool2d,
    MaxUnpool2d,
    NearestUpsample,
    Sequential,
    upsampler,
)
from fcn_from_scratch.layers.upsampler import METHODS
from fcn_from_scratch.ops import loops

# the kernels and strides of the paper's networks, and odd ones
KERNELS = [(4, 2), (16, 8), (32, 16), (64, 32), (63, 32), (3, 2), (5, 1), (2, 3)]


def row(size):
    """The factor whose outer product with itself is the square kernel."""
    kernel, middle = loops.bilinear_kernel_loops(size), size // 2
    return kernel[middle] / np.sqrt(kernel[middle, middle])


class TestBilinear:
    @pytest.mark.parametrize(("size", "stride"), KERNELS)
    def test_equals_the_dense_transposed_convolution(self, size, stride, rng):
        dense = ConvTranspose2d(3, 3, size, stride, bias=False, dtype=np.float64).init_bilinear()
        layer = BilinearUpsample(size, stride)
        x = rng.normal(size=(2, 3, 3, 2))
        y = layer(x)
        close(y, dense(x))
        dy = rng.normal(size=y.shape)
        close(layer.backward(dy), dense.backward(dy))

    @given(size=st.tuples(*[st.integers(1, 6)] * 2), stride=st.tuples(*[st.integers(1, 4)] * 2))
    def test_axes_have_their_own_kernel(self, size, stride):
        x = np.random.default_rng(0).normal(size=(1, 1, 3, 2))
        weight = np.outer(*(row(k) for k in size))[None, None]
        close(BilinearUpsample(size, stride)(x), loops.conv_transpose2d_loops(x, weight, stride=stride))

    def test_has_geometry_but_no_parameters(self):
        layer = BilinearUpsample(64, 32, name="upscore")
        assert (layer.kernel_size, layer.stride, layer.padding) == ((64, 64), (32, 32), (0, 0))
        assert layer.params == {}


class TestBlocks:
    @pytest.mark.parametrize("scale", [2, (3, 1), (1, 4)])
    def test_equal_loops(self, scale, rng):
        x = rng.normal(size=(2, 3, 4, 5))
        np.testing.assert_array_equal(NearestUpsample(scale)(x), loops.upsample_nearest_loops(x, scale))
        np.testing.assert_array_equal(BedOfNails(scale)(x), loops.bed_of_nails_loops(x, scale))


def make(method, *factors, rng, size=(4, 5)):
    """An upsampler of maps of 3 channels and that size; for unpooling, of pools that have run on the way down to it."""
    pools = []
    if method == "max_unpool":
        pools = [MaxPool2d(factor) for factor in factors]
        x = rng.normal(size=(2, 3, *(n * f for n, f in zip(size, times(factors)))))
        for pool in reversed(pools):
            x = pool(x)
    return upsampler(method, 3, *factors, pools=pools, dtype=np.float64)


def times(factors):
    """The factors multiplied, along each axis."""
    pairs = [factor if isinstance(factor, tuple) else (factor, factor) for factor in factors]
    return tuple(int(np.prod(axis)) for axis in zip(*pairs))


def one_step(x, method, factor, layer):
    """The definition: a transposed convolution by loops, of every channel for itself."""
    if method == "max_unpool":
        return loops.max_unpool2d_loops(x, layer.pool.indices, layer.pool.input_size)
    kernel = np.ones((factor, factor))
    if method == "bed_of_nails":
        kernel[...] = 0
        kernel[0, 0] = 1
    if method in ("bilinear", "learned"):
        kernel = loops.bilinear_kernel_loops(2 * factor - factor % 2)
    dense = np.eye(3)[:, :, None, None] * kernel
    return loops.conv_transpose2d_loops(x, dense, stride=factor, padding=(len(kernel) - factor) // 2)


EVERY = pytest.mark.parametrize("method", METHODS)
STEPS = pytest.mark.parametrize("factors", [(2,), (3,), (4,), (2, 3), (2, 1, 2)], ids=str)


class TestUpsampler:
    @EVERY
    @STEPS
    def test_is_its_definition_step_by_step(self, method, factors, rng):
        layer = make(method, *factors, rng=rng)
        x = rng.normal(size=(2, 3, 4, 5))
        expected = x
        for factor, step in zip(factors, layer.layers if len(factors) > 1 else [layer]):
            expected = one_step(expected, method, factor, step)
        y = layer(x)
        assert y.shape == (2, 3, 4 * np.prod(factors), 5 * np.prod(factors))
        close(y, expected)

    @EVERY
    @STEPS
    def test_gradients(self, method, factors, rng):
        layer = make(method, *factors, rng=rng, size=(3, 2))
        for array in layer.params.values():
            array += rng.normal(size=array.shape)
        errors = layer_check(layer, rng.normal(size=(2, 3, 3, 2)), rng)
        assert len(errors) == 1 + (len(factors) if method == "learned" else 0)
        assert max(errors.values()) < 1e-7

    @EVERY
    def test_axes_may_differ(self, method, rng):
        layer = make(method, (2, 3), (3, 1), rng=rng, size=(3, 2))
        x = rng.normal(size=(2, 3, 3, 2))
        assert layer(x).shape == (2, 3, 18, 6)
        assert layer_check(layer, x, rng)["dx"] < 1e-7
        if method == "learned":  # it starts as the fixed layer
            close(make(method, (2, 3), (3, 1), rng=rng)(x), make("bilinear", (2, 3), (3, 1), rng=rng)(x))

    @pytest.mark.parametrize("method", ["nearest", "max_unpool", "bilinear", "learned"])
    @STEPS
    def test_all_but_nails_stand_in_the_same_places(self, method, factors, rng):
        """The fine pixels of a block lie around the coarse one: back on the pixels it was pooled from."""
        coarse = geometry.receptive_field([MaxPool2d(int(np.prod(factors)))])
        field = geometry.receptive_field(make(method, *factors, rng=rng), coarse)
        assert (field.stride, field.start) == (1, 0)

    def test_nails_stand_where_the_coarse_pixels_do(self, rng):
        field = geometry.receptive_field(make("bed_of_nails", 2, 3, rng=rng), geometry.receptive_field([MaxPool2d(6)]))
        assert (field.stride, field.start) == (1, 2.5)

    @EVERY
    def test_sizes_are_known_beforehand(self, method, rng):
        layer = make(method, 2, 4, rng=rng)
        if method == "max_unpool":
            with refuses("the size of MaxUnpool2d '0' is that of its pool's input, and no node says which map"):
                geometry.map_sizes(layer, (4, 5))
        else:
            assert geometry.map_sizes(layer, (4, 5))["1"].size == (32, 40)

    @pytest.mark.parametrize("method", ["bilinear", "learned"])
    @pytest.mark.parametrize(("kernel_size", "factor"), [(64, 32), (63, 32), (4, 2)])
    def test_the_papers_kernels(self, method, kernel_size, factor, rng):
        layer = upsampler(method, 3, factor, kernel_size=kernel_size, padding=0, name="upscore")
        assert (layer.kernel_size, layer.stride, layer.padding) == ((kernel_size,) * 2, (factor,) * 2, (0, 0))
        assert layer.name == "upscore"
        x = rng.normal(size=(1, 3, 2, 3)).astype(np.float32)
        dense = np.eye(3)[:, :, None, None] * loops.bilinear_kernel_loops(kernel_size)
        close(layer(x), loops.conv_transpose2d_loops(x.astype(float), dense, stride=factor), 1e-6)

    def test_of_a_pool_that_rounded_up(self, rng):
        pool = MaxPool2d(2, ceil_mode=True)
        x = rng.normal(size=(1, 2, 5, 8))
        y = pool(x)
        layer = upsampler("max_unpool", 2, 2, pools=[pool])
        assert isinstance(layer, MaxUnpool2d)
        assert layer(y).shape == x.shape

    def test_what_it_makes(self):
        kinds = {
            "nearest": NearestUpsample,
            "bed_of_nails": BedOfNails,
            "bilinear": BilinearUpsample,
            "learned": ConvTranspose2d,
        }
        for method, kind in kinds.items():
            assert type(upsampler(method, 3, 2)) is kind
        learned = upsampler("learned", 3, 2, 2, name="up", dtype=np.float64)
        assert isinstance(learned, Sequential)
        assert learned.name == "up"
        assert {key: (array.shape, array.dtype) for key, array in learned.params.items()} == {
            "0.weight": ((3, 3, 4, 4), np.float64),
            "1.weight": ((3, 3, 4, 4), np.float64),
        }

    def test_refusals(self):
        with refuses(
            "method must be one of 'nearest', 'bed_of_nails', 'max_unpool', 'bilinear', 'learned'; got 'cubic'"
        ):
            upsampler("cubic", 3, 2)
        with refuses("an upsampler needs a factor for each of its steps"):
            upsampler("nearest", 3)
        with refuses("each factor must be at least 1; got 0"):
            upsampler("nearest", 3, 2, 0)
        with refuses("needs one pool for each factor", "factors [(2, 2), (2, 2)]", "strides [(2, 2)]"):
            upsampler("max_unpool", 3, 2, 2, pools=[MaxPool2d(2)])
        with refuses("factors [(2, 2)]", "strides [(3, 3)]"):
            upsampler("max_unpool", 3, 2, pools=[MaxPool2d(3)])
        with refuses("strides []"):
            upsampler("max_unpool", 3, 2)


class TestRefusals:
    @pytest.mark.parametrize("layer", [NearestUpsample, BedOfNails])
    def test_scale(self, layer):
        with refuses("scale must be at least 1; got 0"):
            layer(0)

    def test_bilinear(self):
        with refuses("kernel_size must be at least 1; got 0"):
            BilinearUpsample(0, 2)
        with refuses("stride must be at least 1; got 0"):
            BilinearUpsample(4, 0)

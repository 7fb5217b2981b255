"""BilinearUpsample, NearestUpsample, BedOfNails."""

import numpy as np
import pytest
from arrays import close, refuses
from hypothesis import given
from hypothesis import strategies as st

from fcn_from_scratch.layers import BedOfNails, BilinearUpsample, ConvTranspose2d, NearestUpsample
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


class TestRefusals:
    @pytest.mark.parametrize("layer", [NearestUpsample, BedOfNails])
    def test_scale(self, layer):
        with refuses("scale is at least 1; got 0"):
            layer(0)

    def test_bilinear(self):
        with refuses("kernel_size is at least 1; got 0"):
            BilinearUpsample(0, 2)
        with refuses("stride is at least 1; got 0"):
            BilinearUpsample(4, 0)

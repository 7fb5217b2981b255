"""The engine's convolution: the choice of the algorithm, blocks of patches, and ReLU and pool in the same pass."""

from unittest import mock

import numpy as np
import pytest
from arrays import close, refuses
from conv_cases import by_loops
from hypothesis import given
from hypothesis import strategies as st

from fcn_from_scratch import engine, ops
from fcn_from_scratch.engine import conv, im2col
from fcn_from_scratch.ops import loops
from fcn_from_scratch.ops.shapes import conv_geometry, pool_geometry


class TestBlocks:
    @pytest.mark.parametrize("budget", [1, 200, 500, 2000], ids="{} bytes".format)
    def test_bias_gradient_of_several_blocks(self, rng, layout, budget):
        """Three images of 960 bytes, 192 bytes a row. The budgets give blocks of some rows, or of some images."""
        dy = rng.normal(size=(3, 4, 5, 6))
        with mock.patch.object(im2col, "BLOCK_BYTES", budget):
            close(conv.conv2d_bias_grad(layout(dy)), np.einsum("nfhw->f", dy))

    @given(st.integers(1, 6), st.integers(1, 20), st.integers(1, 50), st.integers(1, 400))
    def test_blocks_cover_every_row_once_and_keep_to_the_budget(self, images, rows, row_bytes, budget):
        seen = np.zeros((images, rows), int)
        with mock.patch.object(im2col, "BLOCK_BYTES", budget):
            everything = im2col.blocks(images, rows, row_bytes)
        for image, part in everything:
            seen[image, part] += 1
            size = (image.stop - image.start) * (part.stop - part.start)
            assert size == 1 or size * row_bytes <= budget
        assert (seen == 1).all()

    @given(st.integers(1, 40), st.integers(1, 20), st.integers(1, 50), st.integers(2, 4))
    def test_threads_get_blocks_of_about_the_same_size(self, images, rows, row_bytes, parts):
        with mock.patch.multiple(im2col, BLOCK_BYTES=300, LEAST_BYTES=100):
            everything = im2col.blocks(images, rows, row_bytes, parts)
        whole = all(part == slice(0, rows) for _, part in everything)
        if len(everything) == 1 or (images if whole else rows) < parts:
            return
        assert len(everything) % parts == 0 or len(everything) == images
        sizes = [image.stop - image.start if whole else part.stop - part.start for image, part in everything]
        assert max(sizes) - min(sizes) <= 1

    @given(st.integers(1, 6), st.integers(1, 20), st.integers(1, 50), st.integers(1, 50), st.integers(1, 400))
    def test_outputs_that_are_more_than_the_patches_decide(self, images, rows, row_bytes, output_bytes, most):
        with mock.patch.multiple(im2col, BLOCK_BYTES=300, OUTPUT_BYTES=most, LEAST_BYTES=1):
            found = im2col.block_list(np, images, rows, row_bytes, output_bytes)
            usual = im2col.block_list(np, images, rows, row_bytes)
        if output_bytes <= row_bytes:
            assert found == usual
            return
        seen = np.zeros((images, rows), int)
        for image, part in found:
            seen[image, part] += 1
            size = (image.stop - image.start) * (part.stop - part.start)
            assert size == 1 or size * output_bytes <= most
        assert (seen == 1).all()

    @pytest.mark.parametrize("groups", [1, 2])
    def test_a_layer_of_many_outputs_in_many_blocks(self, rng, groups):
        """From four channels to twelve; each block is one row of outputs."""
        x, weight, bias = rng.normal(size=(2, 4, 6, 5)), rng.normal(size=(12, 4 // groups, 1, 1)), rng.normal(size=12)
        geometry = conv_geometry(x.shape, weight, 1, 0, 1, groups)
        with mock.patch.multiple(im2col, OUTPUT_BYTES=12 * 5 * 8, LEAST_BYTES=1):
            found = conv.conv2d(x, weight, bias, geometry, "im2col", relu=True)
        close(found, np.maximum(loops.conv2d_loops(x, weight, bias, groups=groups), 0))


class TestOnTheWayOut:
    def test_relu_on_the_way_out(self, xp, conv_case):
        arrays, options = conv_case
        y = conv2d_relu(*map(xp.asarray, arrays), **options)
        close(y, np.maximum(by_loops(*arrays, **options), 0))

    @pytest.mark.parametrize("ceil_mode", [False, True])
    def test_relu_and_pool_on_the_way_out(self, conv_case, ceil_mode):
        arrays, options = conv_case
        plain = np.maximum(by_loops(*arrays, **options), 0)
        if not ceil_mode and min(plain.shape[2:]) < 2:
            with refuses("empty"):
                conv2d_relu_pool(*arrays, **options, ceil_mode=ceil_mode)
            return
        y, winner = conv2d_relu_pool(*arrays, **options, ceil_mode=ceil_mode)
        pooled, indices = loops.max_pool2d_loops(plain, 2, ceil_mode=ceil_mode)
        close(y, pooled)
        assert winner.dtype == np.uint8
        np.testing.assert_array_equal(winner > 3, pooled == 0)
        np.testing.assert_array_equal(
            engine.winner_indices(winner, plain.shape, pool_geometry(plain.shape[2:], 2, ceil_mode=ceil_mode)), indices
        )


def conv2d_relu(x, weight, bias, stride=1, padding=0, dilation=1, groups=1, algorithm="auto"):
    geometry = conv_geometry(x.shape, weight, stride, padding, dilation, groups)
    return engine.conv2d(x, weight, bias, geometry, algorithm, relu=True)


def conv2d_relu_pool(x, weight, bias, stride=1, padding=0, dilation=1, groups=1, algorithm="auto", ceil_mode=False):
    geometry = conv_geometry(x.shape, weight, stride, padding, dilation, groups)
    pool = pool_geometry(geometry.output_size, 2, ceil_mode=ceil_mode)
    return engine.conv2d_relu_pool(x, weight, bias, geometry, pool, algorithm)


def choice(x_shape, weight_shape, dtype, stride=1, padding=0, dilation=1, groups=1):
    weight = np.broadcast_to(np.float32(0), weight_shape)
    x = np.broadcast_to(np.zeros((), dtype), x_shape)
    return conv._chosen(
        "auto", (x, x), x_shape, weight, conv_geometry(x_shape, weight, stride, padding, dilation, groups)
    )


class TestChoice:
    """Which algorithm "auto" takes."""

    @pytest.mark.parametrize(
        ("x_shape", "weight_shape", "options", "dtype", "chosen"),
        [
            ((1, 64, 40, 36), (64, 64, 3, 3), {"padding": 1}, "float32", "winograd"),
            ((2, 96, 26, 25), (64, 96, 3, 3), {}, "float32", "winograd"),
            ((1, 64, 40, 36), (64, 64, 3, 3), {"padding": 1}, "float64", "im2col"),
            ((1, 48, 40, 36), (64, 48, 3, 3), {"padding": 1}, "float32", "im2col"),
            ((1, 64, 40, 36), (48, 64, 3, 3), {"padding": 1}, "float32", "im2col"),
            ((1, 64, 9, 12), (64, 64, 3, 3), {"padding": 1}, "float32", "im2col"),
            ((1, 64, 40, 36), (64, 64, 3, 3), {"stride": (1, 2)}, "float32", "im2col"),
            ((1, 64, 40, 36), (64, 64, 3, 3), {"dilation": 2}, "float32", "im2col"),
            ((1, 128, 40, 36), (128, 64, 3, 3), {"groups": 2}, "float32", "im2col"),
            ((1, 64, 40, 36), (64, 64, 3, 2), {}, "float32", "im2col"),
            ((1, 128, 9, 8), (300, 128, 6, 5), {}, "float32", "wide"),
            ((1, 128, 9, 8), (300, 128, 6, 5), {}, "float64", "wide"),
            ((1, 128, 25, 24), (300, 128, 6, 5), {}, "float32", "im2col"),
            ((1, 8, 9, 8), (300, 8, 6, 5), {}, "float32", "im2col"),
        ],
    )
    def test_by_shape(self, x_shape, weight_shape, options, dtype, chosen):
        assert choice(x_shape, weight_shape, dtype, **options) == chosen

    def test_auto_gives_the_chosen_ones_numbers(self, rng):
        x, weight = (rng.normal(size=s).astype(np.float32) for s in [(1, 64, 40, 36), (66, 64, 3, 3)])
        y = ops.conv2d(x, weight, padding=1)
        dy = rng.normal(size=y.shape).astype(np.float32)
        by_auto = [y, *ops.conv2d_backward(dy, x, weight, padding=1)[:2]]
        for algorithm, same in [("winograd", True), ("im2col", False)]:
            asked = {"padding": 1, "algorithm": algorithm}
            by_name = [ops.conv2d(x, weight, **asked), *ops.conv2d_backward(dy, x, weight, **asked)[:2]]
            assert [np.array_equal(*pair) for pair in zip(by_auto, by_name)] == [same] * 3

    def test_vgg_uses_all(self):
        def chosen(channels, out_channels, kernel_size, size, padding):
            weight_shape = (out_channels, channels, kernel_size, kernel_size)
            return choice((1, channels, size, size), weight_shape, "float32", padding=padding)

        assert chosen(3, 64, 3, 500, 100) == "im2col"
        assert chosen(64, 64, 3, 698, 1) == "winograd"
        assert chosen(512, 512, 3, 44, 1) == "winograd"
        assert chosen(512, 4096, 7, 22, 0) == "winograd_wide"
        assert chosen(4096, 4096, 1, 16, 0) == "wide"
        assert chosen(4096, 21, 1, 16, 0) == chosen(256, 21, 1, 88, 0) == "im2col"


class TestErrors:
    x = np.ones((2, 4, 5, 6))

    @pytest.mark.parametrize(
        ("weight_shape", "options", "fragments"),
        [
            ((6, 4, 3, 2), {"algorithm": "winograd"}, ["3x3", "(3, 2)"]),
            ((6, 4, 3, 3), {"algorithm": "winograd", "stride": (1, 2)}, ["stride 1", "(1, 2)"]),
            ((6, 4, 3, 3), {"algorithm": "winograd", "dilation": 2}, ["dilation", "(2, 2)"]),
            ((6, 2, 3, 3), {"algorithm": "winograd", "groups": 2}, ["groups", "groups 2"]),
            ((6, 2, 3, 2), {"algorithm": "wide", "groups": 2}, ["without groups", "groups 2"]),
            ((6, 4, 3, 2), {"algorithm": "fft"}, ["algorithm", "'im2col'", "'winograd'", "'fft'"]),
        ],
    )
    def test_algorithms(self, weight_shape, options, fragments):
        x, weight = np.ones((2, 4, 8, 8)), np.ones(weight_shape)
        plain = {key: value for key, value in options.items() if key != "algorithm"}
        dy = np.ones_like(ops.conv2d(x, weight, **plain))
        with refuses(*fragments):
            ops.conv2d(x, weight, **options)
        with refuses(*fragments):
            ops.conv2d_input_grad(dy, x.shape, weight, **options)
        with refuses(*fragments):
            ops.conv2d_weight_grad(dy, x, weight, **options)


@pytest.mark.parametrize("algorithm", ["im2col", "winograd", "wide"])
def test_the_gradient_of_the_bias_has_the_dtype_of_dy(rng, algorithm):
    x, weight = rng.normal(size=(1, 4, 9, 8)), rng.normal(size=(5, 4, 3, 3)).astype(np.float32)
    dy = rng.normal(size=(1, 5, 9, 8)).astype(np.float32)
    geometry = conv_geometry(x.shape, weight, 1, 1, 1, 1)
    _, _, dbias = conv.conv2d_backward(dy, x, weight, geometry, algorithm=algorithm)
    assert dbias.dtype == np.float32
    close(dbias, dy.sum((0, 2, 3), dtype=float), 1e-5)

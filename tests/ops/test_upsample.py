"""Fixed upsampling, checked by loops, PyTorch and finite differences; and how its methods relate to each other."""

import numpy as np
import pytest
from arrays import LAYOUTS, TORCH_TOLERANCES, close, refuses, torch_gradients, torch_module
from hypothesis import given
from hypothesis import strategies as st

from fcn_from_scratch import ops
from fcn_from_scratch.gradcheck import vjp_check
from fcn_from_scratch.ops import loops, loops_backward

SHAPE = (2, 3, 4, 5)
SCALES = [1, 2, (2, 3), (3, 1)]
# enlarged, shrunk, one pixel, unchanged, one axis each way
SIZES = [(8, 10), (9, 13), (3, 2), (1, 1), (4, 5), (7, 2)]

scales = pytest.mark.parametrize("scale", SCALES, ids=str)
sizes = pytest.mark.parametrize("size", SIZES, ids=str)
corners = pytest.mark.parametrize("align_corners", [False, True], ids=["half_pixel", "align_corners"])
kernels = pytest.mark.parametrize(
    ("kernel_size", "stride"), [(4, 2), (3, 2), (6, 3), (1, 1), (2, 3), ((4, 3), (2, 1)), (7, 2)], ids=str
)
small_pair = st.tuples(st.integers(1, 5), st.integers(1, 5))


def diagonal_kernel(kernel_size, channels=3):
    """The bilinear kernel for each channel alone, as the weight of a transposed convolution."""
    vertical, horizontal = (
        1 - abs(np.arange(k) - (k - 1) / 2) / ((k + 1) // 2) for k in np.broadcast_to(kernel_size, 2)
    )
    weight = np.zeros((channels, channels, len(vertical), len(horizontal)))
    for c in range(channels):
        weight[c, c] = np.outer(vertical, horizontal)
    return weight


class TestNearestAndNails:
    BOTH = pytest.mark.parametrize(
        ("forward", "backward", "definition"),
        [
            (ops.upsample_nearest, ops.upsample_nearest_backward, loops.upsample_nearest_loops),
            (ops.bed_of_nails, ops.bed_of_nails_backward, loops.bed_of_nails_loops),
        ],
        ids=["nearest", "nails"],
    )

    @BOTH
    @scales
    def test_equals_loops(self, xp, rng, forward, backward, definition, scale):
        x = rng.normal(size=SHAPE)
        close(forward(xp.asarray(x), scale), definition(x, scale), 0)

    @scales
    def test_backward_equals_loops(self, xp, rng, scale):
        sh, sw = np.broadcast_to(scale, 2)
        dy = rng.normal(size=(2, 3, 4 * sh, 5 * sw))
        dx = ops.upsample_nearest_backward(xp.asarray(dy), scale)
        close(dx, loops_backward.upsample_nearest_backward_loops(dy, scale))
        dx = ops.bed_of_nails_backward(xp.asarray(dy), scale)
        close(dx, loops_backward.bed_of_nails_backward_loops(dy, scale), 0)

    @BOTH
    def test_any_memory_layout(self, rng, layout, forward, backward, definition):
        x = rng.normal(size=SHAPE)
        close(forward(layout(x), (2, 3)), definition(x, (2, 3)), 0)
        error = vjp_check(lambda x: forward(x, 2), lambda dy: backward(layout(dy), 2), [x], rng)
        assert error < 1e-7

    @BOTH
    @scales
    def test_finite_differences(self, xp, rng, forward, backward, definition, scale):
        x = xp.asarray(rng.normal(size=SHAPE))
        assert vjp_check(lambda x: forward(x, scale), lambda dy: backward(dy, scale), [x], rng) < 1e-7

    @BOTH
    @pytest.mark.parametrize("dtype", ["float32", "float64", "uint8"])
    def test_dtype_is_kept(self, xp, rng, forward, backward, definition, dtype):
        x = rng.integers(0, 256, SHAPE).astype(dtype)
        y = forward(xp.asarray(x), (2, 3))
        assert y.dtype == dtype
        close(y, definition(x, (2, 3)), 0)
        if dtype != "uint8":
            assert backward(y, (2, 3)).dtype == dtype

    @scales
    def test_nearest_is_transposed_convolution_with_ones(self, rng, scale):
        x = rng.normal(size=SHAPE)
        weight = np.zeros((3, 3, *np.broadcast_to(scale, 2)))
        weight[[0, 1, 2], [0, 1, 2]] = 1
        close(ops.upsample_nearest(x, scale), ops.conv_transpose2d(x, weight, stride=scale), 0)

    @scales
    def test_nails_are_transposed_convolution_with_a_delta(self, rng, scale):
        x = rng.normal(size=SHAPE)
        weight = np.zeros((3, 3, *np.broadcast_to(scale, 2)))
        weight[[0, 1, 2], [0, 1, 2], 0, 0] = 1
        close(ops.bed_of_nails(x, scale), ops.conv_transpose2d(x, weight, stride=scale), 0)

    @BOTH
    def test_refuses(self, forward, backward, definition):
        with refuses("scale", "0"):
            forward(np.ones(SHAPE), 0)
        with refuses("scale", "(2, 0)"):
            backward(np.ones(SHAPE), (2, 0))
        with refuses("(N, C, H, W)", "(3, 4, 5)"):
            forward(np.ones(SHAPE[1:]), 2)
        with refuses("empty", "(2, 3, 0, 5)"):
            forward(np.ones((2, 3, 0, 5)), 2)
        with refuses("multiple", "2x3", "4x5"):
            backward(np.ones(SHAPE), (2, 3))


class TestBilinearKernel:
    @pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 8, 16, 63, 64])
    def test_equals_loops(self, size):
        kernel = ops.bilinear_kernel(size)
        close(kernel, loops.bilinear_kernel_loops(size), 1e-15)
        assert kernel.dtype == np.float64

    def test_by_hand(self):
        assert ops.bilinear_kernel(4)[1].tolist() == [3 / 16, 9 / 16, 9 / 16, 3 / 16]
        assert ops.bilinear_kernel(3).tolist() == [[0.25, 0.5, 0.25], [0.5, 1, 0.5], [0.25, 0.5, 0.25]]

    @pytest.mark.parametrize("stride", [1, 2, 3, 8, 32])
    @pytest.mark.parametrize("odd", [0, 1])
    def test_the_copies_at_every_stride_add_up_to_one(self, stride, odd):
        """A partition of unity: a constant stays a constant wherever all copies are there."""
        kernel = ops.bilinear_kernel(2 * stride - odd)
        for a, b in np.ndindex(stride, stride):
            assert kernel[a::stride, b::stride].sum() == pytest.approx(1, abs=1e-14)

    @pytest.mark.parametrize("size", [0, -1, 2.5, "4", (3, 3)])
    def test_refuses(self, size):
        with refuses("size", str(size)):
            ops.bilinear_kernel(size)


class TestBilinearUpsample:
    @kernels
    @pytest.mark.parametrize("padding", [0, (1, 0)], ids=str)
    def test_equals_loops(self, xp, rng, kernel_size, stride, padding):
        x, arguments = rng.normal(size=SHAPE), (kernel_size, stride, padding)
        expected = loops.bilinear_upsample_loops(x, *arguments)
        close(ops.bilinear_upsample(xp.asarray(x), *arguments), expected)
        dy = rng.normal(size=expected.shape)
        dx = ops.bilinear_upsample_backward(xp.asarray(dy), SHAPE, *arguments)
        close(dx, loops_backward.bilinear_upsample_backward_loops(dy, SHAPE, *arguments))

    @kernels
    def test_equals_transposed_convolution_with_the_kernel_on_the_diagonal(self, xp, rng, kernel_size, stride):
        x = rng.normal(size=SHAPE)
        expected = loops.conv_transpose2d_loops(x, diagonal_kernel(kernel_size), stride=stride)
        close(ops.bilinear_upsample(xp.asarray(x), kernel_size, stride), expected)

    def test_any_memory_layout(self, rng, layout):
        x = rng.normal(size=SHAPE)
        expected = loops.conv_transpose2d_loops(x, diagonal_kernel(4), stride=2)
        close(ops.bilinear_upsample(layout(x), 4, 2), expected)
        error = vjp_check(
            lambda x: ops.bilinear_upsample(x, 4, 2),
            lambda dy: ops.bilinear_upsample_backward(layout(dy), SHAPE, 4, 2),
            [x],
            rng,
        )
        assert error < 1e-7

    def test_planes_in_several_parts(self, rng, monkeypatch):
        """As one thread after another takes them; to a larger map and to a smaller one."""
        x = rng.normal(size=SHAPE)
        expected = loops.conv_transpose2d_loops(x, diagonal_kernel(4), stride=2)
        monkeypatch.setattr("fcn_from_scratch.engine.threads.AT_ONCE", 1)
        close(ops.bilinear_upsample(x, 4, 2), expected)
        dy = rng.normal(size=expected.shape)
        dx = ops.bilinear_upsample_backward(dy, SHAPE, 4, 2)
        close(dx, loops.conv2d_loops(dy, diagonal_kernel(4), stride=2))

    @kernels
    def test_finite_differences(self, xp, rng, kernel_size, stride):
        error = vjp_check(
            lambda x: ops.bilinear_upsample(x, kernel_size, stride),
            lambda dy: ops.bilinear_upsample_backward(dy, SHAPE, kernel_size, stride),
            [xp.asarray(rng.normal(size=SHAPE))],
            rng,
        )
        assert error < 1e-7

    @given(
        size=st.tuples(*[st.integers(1, 6)] * 2), stride=st.integers(1, 4), padding=st.tuples(*[st.integers(0, 3)] * 2)
    )
    def test_padding_cuts_off_the_border(self, size, stride, padding):
        rng, shape = np.random.default_rng(0), (2, 3, 4, 5)
        x = rng.normal(size=shape)
        full = ops.bilinear_upsample(x, size, stride)
        (h, w), (ph, pw) = full.shape[2:], padding
        if h <= 2 * ph or w <= 2 * pw:
            with refuses("a padding of", "cuts off the whole output"):
                ops.bilinear_upsample(x, size, stride, padding)
            return
        y = ops.bilinear_upsample(x, size, stride, padding)
        close(y, full[:, :, ph : h - ph, pw : w - pw])
        dy, padded = rng.normal(size=y.shape), np.zeros(full.shape)
        padded[:, :, ph : h - ph, pw : w - pw] = dy
        close(
            ops.bilinear_upsample_backward(dy, shape, size, stride, padding),
            ops.bilinear_upsample_backward(padded, shape, size, stride),
        )

    def test_a_constant_stays_inside_and_fades_at_the_border(self):
        y = ops.bilinear_upsample(np.full((1, 1, 4, 5), 3.0), 4, 2)
        close(y[:, :, 2:-2, 2:-2], np.full((1, 1, 6, 8), 3.0))
        assert y[0, 0, 0, 0] == pytest.approx(3 / 16)

    def test_a_ramp_stays_a_ramp_inside(self):
        x = np.add.outer(2.0 * np.arange(4), 5.0 * np.arange(6))[None, None]
        y = ops.bilinear_upsample(x, 4, 2)
        # output i lies at input (i - 1.5) / 2
        rows, columns = (np.arange(2, 8) - 1.5) / 2, (np.arange(2, 12) - 1.5) / 2
        close(y[0, 0, 2:8, 2:12], np.add.outer(2 * rows, 5 * columns))

    def test_uint8_does_not_wrap(self, xp):
        x = np.full((1, 1, 2, 2), 255, np.uint8)
        y = ops.bilinear_upsample(xp.asarray(x), 4, 2)
        close(y, loops.conv_transpose2d_loops(x.astype(float), diagonal_kernel(4, 1), stride=2))

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_dtype_is_kept(self, xp, rng, dtype):
        y = ops.bilinear_upsample(xp.asarray(rng.normal(size=SHAPE).astype(dtype)), 4, 2)
        assert y.dtype == dtype
        assert ops.bilinear_upsample_backward(y, SHAPE, 4, 2).dtype == dtype

    def test_refuses(self):
        x = np.ones(SHAPE)
        with refuses("stride", "0"):
            ops.bilinear_upsample(x, 4, 0)
        with refuses("kernel_size", "0"):
            ops.bilinear_upsample(x, 0, 2)
        with refuses("(N, C, H, W)", "(3, 4, 5)"):
            ops.bilinear_upsample(x[0], 4, 2)
        with refuses("empty", "(2, 0, 4, 5)"):
            ops.bilinear_upsample(x[:, :0], 4, 2)
        with refuses("dy", "(2, 3, 10, 12)", "(2, 3, 10, 11)"):
            ops.bilinear_upsample_backward(np.ones((2, 3, 10, 11)), SHAPE, 4, 2)


class TestInterpolateBilinear:
    @sizes
    @corners
    def test_equals_loops(self, xp, rng, size, align_corners):
        x = rng.normal(size=SHAPE)
        y = ops.interpolate_bilinear(xp.asarray(x), size, align_corners)
        close(y, loops.interpolate_bilinear_loops(x, size, align_corners))

    @given(small_pair, st.tuples(st.integers(1, 12), st.integers(1, 12)), st.booleans(), st.data())
    def test_any_shape(self, size, new_size, align_corners, data):
        rng = np.random.default_rng(0)
        x = LAYOUTS[data.draw(st.sampled_from(list(LAYOUTS)))](rng.normal(size=(2, 3, *size)))
        y = ops.interpolate_bilinear(x, new_size, align_corners)
        expected = loops.interpolate_bilinear_loops(x, new_size, align_corners)
        close(y, expected)
        dy = rng.normal(size=y.shape)
        dx = ops.interpolate_bilinear_backward(dy, x.shape, align_corners)
        assert np.vdot(dx, x) == pytest.approx(np.vdot(dy, expected), rel=1e-9, abs=1e-9)
        close(dx, loops_backward.interpolate_bilinear_backward_loops(dy, x.shape, align_corners))

    @sizes
    @corners
    def test_backward_equals_loops(self, xp, rng, size, align_corners):
        dy = rng.normal(size=(2, 3, *size))
        dx = ops.interpolate_bilinear_backward(xp.asarray(dy), SHAPE, align_corners)
        close(dx, loops_backward.interpolate_bilinear_backward_loops(dy, SHAPE, align_corners))

    @sizes
    @corners
    def test_finite_differences(self, xp, rng, size, align_corners):
        error = vjp_check(
            lambda x: ops.interpolate_bilinear(x, size, align_corners),
            lambda dy: ops.interpolate_bilinear_backward(dy, SHAPE, align_corners),
            [xp.asarray(rng.normal(size=SHAPE))],
            rng,
        )
        assert error < 1e-7

    def test_backward_in_any_memory_layout(self, rng, layout):
        error = vjp_check(
            lambda x: ops.interpolate_bilinear(x, (9, 7)),
            lambda dy: ops.interpolate_bilinear_backward(layout(dy), SHAPE),
            [rng.normal(size=SHAPE)],
            rng,
        )
        assert error < 1e-7

    @sizes
    @corners
    def test_a_constant_stays_up_to_the_border(self, size, align_corners):
        close(ops.interpolate_bilinear(np.full(SHAPE, -2.5), size, align_corners), np.full((2, 3, *size), -2.5))

    def test_the_same_size_changes_nothing(self, rng):
        x = rng.normal(size=SHAPE)
        np.testing.assert_array_equal(ops.interpolate_bilinear(x, SHAPE[2:]), x)
        np.testing.assert_array_equal(ops.interpolate_bilinear(x, SHAPE[2:], align_corners=True), x)

    @pytest.mark.parametrize("stride", [2, 3, 4])
    def test_inside_it_equals_bilinear_upsample(self, rng, stride):
        """Half a stride from the border and on: there the transposed convolution has all its neighbours."""
        x = rng.normal(size=SHAPE)
        kernel_size = 2 * stride - stride % 2  # odd kernels for odd strides: centres fall on pixels
        y = ops.bilinear_upsample(x, kernel_size, stride)
        expected = ops.interpolate_bilinear(x, (4 * stride, 5 * stride))
        first = (kernel_size - 1 - (stride - 1)) // 2  # where the half-pixel grid begins in y
        y = y[:, :, first : first + 4 * stride, first : first + 5 * stride]
        inside = (..., slice(stride, -stride), slice(stride, -stride))
        close(y[inside], expected[inside])

    def test_uint8_does_not_wrap(self, xp):
        x = np.full((1, 1, 2, 3), 255, np.uint8)
        close(ops.interpolate_bilinear(xp.asarray(x), (5, 4)), np.full((1, 1, 5, 4), 255.0))

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_dtype_is_kept(self, xp, rng, dtype):
        y = ops.interpolate_bilinear(xp.asarray(rng.normal(size=SHAPE).astype(dtype)), (9, 7))
        assert y.dtype == dtype
        assert ops.interpolate_bilinear_backward(y, SHAPE).dtype == dtype

    def test_refuses(self):
        x = np.ones(SHAPE)
        with refuses("size", "(0, 5)"):
            ops.interpolate_bilinear(x, (0, 5))
        with refuses("(N, C, H, W)", "(3, 4, 5)"):
            ops.interpolate_bilinear(x[0], (8, 10))
        with refuses("empty", "(2, 3, 4, 0)"):
            ops.interpolate_bilinear(x[..., :0], (8, 10))
        with refuses("dy", "(2, 3, 8, 10)", "(2, 4, 8, 10)"):
            ops.interpolate_bilinear_backward(np.ones((2, 4, 8, 10)), SHAPE)


@pytest.mark.torch
@pytest.mark.parametrize(("dtype", "tolerance"), TORCH_TOLERANCES)
class TestAgainstTorch:
    def compare(self, rng, dtype, tolerance, forward, backward, function):
        x = rng.normal(size=SHAPE).astype(dtype)
        y = forward(x)
        dy = rng.normal(size=y.shape).astype(dtype)
        expected, (gradient,) = torch_gradients(function, [x], dy)
        close(y, expected, tolerance)
        close(backward(dy), gradient, tolerance)

    @scales
    def test_nearest(self, rng, dtype, tolerance, scale):
        interpolate = torch_module().nn.functional.interpolate
        self.compare(
            rng,
            dtype,
            tolerance,
            lambda x: ops.upsample_nearest(x, scale),
            lambda dy: ops.upsample_nearest_backward(dy, scale),
            lambda x: interpolate(x, scale_factor=scale),
        )

    @sizes
    @corners
    def test_interpolate(self, rng, dtype, tolerance, size, align_corners):
        interpolate = torch_module().nn.functional.interpolate
        self.compare(
            rng,
            dtype,
            tolerance,
            lambda x: ops.interpolate_bilinear(x, size, align_corners),
            lambda dy: ops.interpolate_bilinear_backward(dy, SHAPE, align_corners),
            lambda x: interpolate(x, size=size, mode="bilinear", align_corners=align_corners),
        )

    @kernels
    def test_bilinear_upsample(self, rng, dtype, tolerance, kernel_size, stride):
        torch = torch_module()
        weight = torch.tensor(diagonal_kernel(kernel_size).astype(dtype))
        self.compare(
            rng,
            dtype,
            tolerance,
            lambda x: ops.bilinear_upsample(x, kernel_size, stride),
            lambda dy: ops.bilinear_upsample_backward(dy, SHAPE, kernel_size, stride),
            lambda x: torch.nn.functional.conv_transpose2d(x, weight, stride=stride),
        )

"""The geometry of ShiftAndStitch: it has its net's field and start, its input's stride, and the costs of all passes."""

import numpy as np
import pytest
from arrays import refuses
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fcn_from_scratch import geometry, models
from fcn_from_scratch.dense import rarefy
from fcn_from_scratch.geometry import measured_receptive_field, receptive_field
from fcn_from_scratch.layers import AvgPool2d, Conv2d, ConvTranspose2d, MaxPool2d, ReLU, Sequential, ShiftAndStitch

FORMS = st.sampled_from(["drop", "shift"])


def pairs(low, high):
    return st.tuples(*[st.integers(low, high)] * 2)


@st.composite
def strided_nets(draw, padded=False):
    """(net, its output stride by hand): convolutions and pools whose strides multiply to 6 at most."""
    channels, layers, stride = 3, [], [1, 1]
    for number in range(draw(st.integers(1, 3))):
        kernel_size = draw(st.tuples(*[st.integers(1, 3)] * 2))
        steps = tuple(draw(st.integers(1, min(3, 6 // s))) for s in stride)
        padding = tuple(draw(st.integers(0, k // 2)) if padded else 0 for k in kernel_size)
        stride = [a * b for a, b in zip(stride, steps)]
        if draw(st.booleans()):
            layers.append(Conv2d(channels, 2 + number, kernel_size, steps, padding, dtype=np.float64))
            channels = 2 + number
        else:
            layers.append(AvgPool2d(kernel_size, steps, padding))
    if channels == 3:  # pools alone
        layers.append(Conv2d(3, 2, 1, dtype=np.float64))
    return Sequential(*layers, name="net"), tuple(stride)


@st.composite
def nets_with_frames(draw):
    """(net, its output stride) with all that sizes depend on: padding, dilation, rounding up, gaps between windows."""
    found, stride = [], [1, 1]
    for _ in range(draw(st.integers(1, 3))):
        kernel_size, dilation = draw(pairs(1, 3)), draw(pairs(1, 2))
        steps = tuple(draw(st.integers(1, min(4, 6 // s))) for s in stride)
        stride = [a * b for a, b in zip(stride, steps)]
        span = [d * (k - 1) + 1 for k, d in zip(kernel_size, dilation)]
        kind, ceil_mode = draw(st.sampled_from(["conv", "max", "avg"])), draw(st.booleans())
        if kind == "conv":
            padding = draw(pairs(0, 4))
            found.append(Conv2d(2, 2, kernel_size, steps, padding, dilation, dtype=np.float64))
        elif kind == "max":
            padding = tuple(draw(st.integers(0, n // 2)) for n in span)
            found.append(MaxPool2d(kernel_size, steps, padding, dilation, ceil_mode))
        else:
            padding = tuple(draw(st.integers(0, k // 2)) for k in kernel_size)
            found.append(AvgPool2d(kernel_size, steps, padding, ceil_mode))
    return Sequential(*found, Conv2d(2, 2, 1, dtype=np.float64), name="net"), tuple(stride)


def same_sizes_as_forward(layer, image):
    """The channels and size that geometry tells for an image (C, H, W) are forward's, or both refuse the image."""
    try:
        made = layer(np.zeros((1, *image))).shape
    except ValueError:
        assert not geometry.fits(layer, image[1:])
    else:
        assert list(geometry.map_sizes(layer, image[1:]).values())[-1] == (made[1], made[2:])


def positive(net):
    """No weight negative: nothing a cell sees cancels."""
    for key, array in net.params.items():
        array[...] = 0 if key.endswith("bias") else 1
    return net


def support(layer, size, cell):
    """First and last pixel, along each axis, of the gradient of one output by the image."""
    y = layer(np.ones((1, 3, *size)))
    dy = np.zeros_like(y)
    dy[:, :, cell[0], cell[1]] = 1
    pixels = np.argwhere(layer.backward(dy)[0].sum(axis=0))
    return pixels.min(axis=0), pixels.max(axis=0)


class TestField:
    @given(strided_nets(), FORMS)
    def test_is_what_the_rarefied_net_is_measured_to_see(self, case, form):
        net, stride = case
        found = receptive_field(ShiftAndStitch(net, stride, form))
        assert found == measured_receptive_field(rarefy(net))
        assert found.stride == 1

    @given(strided_nets(), FORMS)
    @settings(max_examples=15)
    def test_is_the_support_of_its_gradient(self, case, form):
        """Of two outputs, in different passes: where their gradients begin and end tells size, start and stride."""
        net, stride = case
        layer = ShiftAndStitch(positive(net), stride, form)
        axes = receptive_field(layer).axes
        size = [int(axis.size) + 7 for axis in axes]
        for cell in ((0, 0), (3, 4), (5, 1)):
            first, last = support(layer, size, cell)
            for number, axis in enumerate(axes):
                centre = axis.start + axis.stride * cell[number]
                reach = (axis.size - 1) / 2
                assert (first[number], last[number]) == (centre - reach, centre + reach)

    def test_on_a_grid_that_is_coarser_than_the_image(self):
        before = [Conv2d(3, 4, 3, stride=2, padding=1, name="conv1")]
        net = Sequential(MaxPool2d(2, name="pool"), Conv2d(4, 2, 3, name="conv2"), name="net")
        field = receptive_field([*before, ShiftAndStitch(net, 2)])
        assert tuple(field) == (3 + 2 * 1 + 2 * 4, 2, 0 + 0.5 * 2 + 1 * 4)

    def test_of_a_trunk(self):
        net = models.build("mini_fcn32s", 2, width=1)
        dense = ShiftAndStitch(Sequential(*net.coarse_path), 32)
        assert tuple(receptive_field(dense)) == (158, 1, 15.5)

    @pytest.mark.parametrize("stride", [1, 3, (4, 2)])
    def test_another_stride_than_the_nets_is_refused(self, stride):
        net = Sequential(MaxPool2d(2), MaxPool2d(2))
        words = "ShiftAndStitch interlaces passes of output stride", "that of its net is 4", "in the wrong places"
        with refuses(*words):
            receptive_field(ShiftAndStitch(net, stride))


class TestSizes:
    @given(strided_nets(padded=True), FORMS, pairs(0, 9))
    @example((Sequential(AvgPool2d((1, 2), (1, 3), (0, 1)), Conv2d(3, 2, 1)), (1, 3)), "drop", (0, 0))
    def test_are_those_of_forward(self, case, form, extra):
        net, stride = case
        size = tuple(int(axis.size) + more for axis, more in zip(receptive_field(net).axes, extra))
        same_sizes_as_forward(ShiftAndStitch(net, stride, form), (3, *size))

    @given(nets_with_frames(), FORMS, pairs(1, 12))
    @example((Sequential(AvgPool2d((1, 2), (1, 3), (0, 1)), Conv2d(2, 2, 1)), (1, 3)), "drop", (1, 2))
    @example((Sequential(Conv2d(2, 2, (3, 1), (6, 1), (3, 0))), (6, 1)), "drop", (5, 1))
    @example((Sequential(MaxPool2d(2, 2, 1, dilation=2), Conv2d(2, 2, 1)), (2, 2)), "shift", (1, 1))
    def test_whatever_frames_a_net_has(self, case, form, size):
        net, stride = case
        for layer in (net, ShiftAndStitch(net, stride, form)):
            same_sizes_as_forward(layer, (2, *size))

    def test_a_pass_that_has_dropped_all_columns_has_no_outputs(self):
        """Two columns, and windows that padding alone could fill: of three passes the last one sees no image."""
        net = Sequential(AvgPool2d((1, 2), (1, 3), (0, 1)), Conv2d(1, 4, 1, dtype=np.float64))
        layer = ShiftAndStitch(net, (1, 3))
        assert layer(np.ones((1, 1, 5, 2))).shape == (1, 4, 5, 2)
        assert geometry.map_sizes(layer, (5, 2))["ShiftAndStitch"] == (4, (5, 2))
        assert geometry.table(layer, (5, 2)).multiply_adds == 4 * (5 * 1 + 5 * 1)

    def test_a_hole_between_the_outputs_is_refused(self):
        """Five rows at stride 6: the last pass has no image, so nothing stands in row 5; the first has an output for
        row 6."""
        layer = ShiftAndStitch(Conv2d(1, 1, 3, stride=(6, 1), padding=(2, 1), name="conv"), (6, 1))
        words = "do not interlace: on 6x4 pixels the one shifted by (0, 0) has 2x4 outputs", "without an output: 1"
        for refuse in (lambda: layer(np.ones((1, 1, 5, 4), np.float32)), lambda: geometry.map_sizes(layer, (5, 4))):
            with refuses(*words):
                refuse()
        assert geometry.sizes_that_fit(layer, [(5, 4), (6, 4)]) == [(6, 4)]

    def test_passes_that_do_not_interlace_are_refused(self):
        """Upsampling in a pass makes several outputs side by side, which belong to one window."""
        net = Sequential(MaxPool2d(4), ConvTranspose2d(1, 2, 2, 2))
        layer = ShiftAndStitch(net, 2)
        for refuse in (lambda: layer(np.ones((1, 1, 8, 8), np.float32)), lambda: geometry.table(layer, 8)):
            with refuses("do not interlace: on 6x6 pixels the one shifted by (0, 0) has 4x4 outputs"):
                refuse()

    def test_an_image_smaller_than_the_net_does_not_fit(self):
        layer = ShiftAndStitch(Sequential(Conv2d(3, 2, 5, stride=2, name="conv")), 2)
        assert not geometry.fits(layer, 4)
        assert geometry.sizes_that_fit(layer, range(1, 9)) == [5, 6, 7, 8]
        with refuses("conv: its input is 4x9, which is too small"):
            geometry.map_sizes(layer, (4, 9))

    def test_in_a_chain(self):
        net = Sequential(MaxPool2d(2, name="pool"), Conv2d(4, 5, 3, name="conv2"), name="net")
        chain = [Conv2d(3, 4, 3, name="conv1"), ShiftAndStitch(net, 2, name="dense"), ReLU(name="relu")]
        assert geometry.map_sizes(chain, (20, 31)) == {
            "image": (3, (20, 31)),
            "conv1": (4, (18, 29)),
            "dense": (5, (13, 24)),
            "relu": (5, (13, 24)),
        }


class TestCost:
    @pytest.mark.parametrize(("form", "outputs"), [("drop", 4 + 3), ("shift", 4 + 4)])
    def test_every_pass_counts(self, form, outputs):
        """Of 9 columns (9 - 3) // 2 + 1 = 4 outputs, of the 8 without the first 3, of 10 with one of zeros 4."""
        net = Sequential(Conv2d(2, 3, (1, 3), stride=(1, 2), name="conv"))
        layer = ShiftAndStitch(net, (1, 2), form)
        table = geometry.table(layer, (5, 9))
        assert table.multiply_adds == 5 * outputs * 3 * (3 * 2)
        assert table.parameters == 3 * 2 * 3 + 3
        assert table.rows[0].size == (5, 7)
        assert table.rows[0].kind == "shift-and-stitch /1x2"
        assert table.rows[0].bytes == 4 * 3 * 5 * 7

    def test_transposed_convolutions_in_the_passes_too(self):
        net = Sequential(MaxPool2d(2, name="pool"), ConvTranspose2d(1, 2, 2, name="up"))
        layer = ShiftAndStitch(net, 2)
        # passes of 8x8, 8x7, 7x8, 7x7 pixels: 4x4, 4x3, 3x4 and 3x3 cells
        assert geometry.table(layer, 8).multiply_adds == (16 + 12 + 12 + 9) * 4 * 2

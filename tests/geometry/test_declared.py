"""A reader's own layers in the geometry: what they declare is all it asks, and gradients say whether it is true."""

import ast
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from arrays import close, refuses
from hypothesis import given
from hypothesis import strategies as st

from fcn_from_scratch import geometry, ops
from fcn_from_scratch.dense import rarefy
from fcn_from_scratch.geometry import IMAGE, crop_offset, map_sizes, measured_receptive_field, receptive_field, table
from fcn_from_scratch.layers import Conv2d, Crop, Layer, MaxPool2d, MaxUnpool2d, NearestUpsample, ReLU, Window

# --- a reader's own layers ----------------------------------------------------------------------------------------


class Blur(Layer):
    """Each channel blurred by 1 2 1, at every second pixel. It keeps a straight ramp as it is."""

    def __init__(self, padding=1, *, name=None):
        super().__init__(name)
        self.padding = padding

    @property
    def window(self):
        return Window(3, stride=2, padding=self.padding)

    def _arguments(self, x):
        kernel = np.outer([1, 2, 1], [1, 2, 1]) / 16
        channels = x.shape[1]
        return np.broadcast_to(kernel, (channels, 1, 3, 3)), 2, self.padding, channels

    def _forward(self, x):
        weight, stride, padding, groups = self._arguments(x)
        return ops.conv2d(x, weight, None, stride, padding, groups=groups), x

    def _backward(self, dy, x):
        weight, stride, padding, groups = self._arguments(x)
        return ops.conv2d_backward(dy, x, weight, stride, padding, groups=groups)[0]


class Spread(Layer):
    """Each pixel laid down k * k times, d apart, at every s-th place; the first and last p are cut off."""

    def __init__(self, kernel_size, stride, padding=(0, 0), dilation=(1, 1), taps=None):
        super().__init__()
        self.window = Window(kernel_size, stride, padding, dilation, transposed=True)
        self.taps = np.ones(kernel_size) if taps is None else taps

    def _places(self, shape):
        (kh, kw), (sh, sw), _, (dh, dw), _ = self.window
        for a, b in np.ndindex(kh, kw):
            rows, columns = (
                slice(d * t, d * t + s * (n - 1) + 1, s) for d, t, s, n in zip((dh, dw), (a, b), (sh, sw), shape)
            )
            yield (..., rows, columns), self.taps[a, b]

    def _full(self, shape):
        k, s, _, d, _ = self.window
        return np.zeros((*shape[:2], *(s * (n - 1) + d * (k - 1) + 1 for n, k, s, d in zip(shape[2:], k, s, d))))

    def _inside(self, full):
        return (..., *(slice(p, n - p) for p, n in zip(self.window.padding, full.shape[2:])))

    def _forward(self, x):
        full = self._full(x.shape)
        for place, tap in self._places(x.shape[2:]):
            full[place] += tap * x
        return full[self._inside(full)], x.shape

    def _backward(self, dy, shape):
        full = self._full(shape)
        full[self._inside(full)] = dy
        return sum(tap * full[place] for place, tap in self._places(shape[2:]))


def interpolation():
    """Twice as fine: between two pixels their mean."""
    return Spread((3, 3), (2, 2), taps=np.outer([0.5, 1, 0.5], [0.5, 1, 0.5]))


class Leaky(Layer):
    """A pixel-by-pixel layer with a parameter."""

    pointwise = True

    def __init__(self, name=None):
        super().__init__(name)
        self.add_param("slope", np.full(1, 0.25))

    def _forward(self, x):
        return np.where(x > 0, x, x * self.params["slope"]), x

    def _backward(self, dy, x):
        self.accumulate("slope", (dy * np.minimum(x, 0)).sum())
        return np.where(x > 0, dy, dy * self.params["slope"])


class Halved(Layer):
    """The means of 2x2 pixels, of fewer at an end where the size is odd, in twice as many channels."""

    window = Window(2, stride=2)

    def output_shape(self, shape):
        channels, height, width = shape
        return 2 * channels, (height + 1) // 2, (width + 1) // 2

    def multiply_adds(self, shape):
        return int(np.prod(shape))


class Mean(Layer):
    """The mean of each channel: a vector."""

    on_grid, kind = False, "mean of all"

    def output_shape(self, shape):
        return shape[0], 1, 1


class Largest(Layer):
    """The largest of several maps, pixel by pixel."""

    joins = True

    def output_shape(self, *shapes):
        return shapes[0]


class Own(Layer):
    """It declares nothing."""


# --- gradients ----------------------------------------------------------------------------------------------------


def positive(channels, kernel_size, **options):
    layer = Conv2d(channels, 2, kernel_size, bias=False, dtype=np.float64, **options)
    layer.params["weight"][...] = 1
    return layer


def gradient_support(chain, size, cell):
    """First and last pixel, along each axis, of the gradient of one cell by the image."""
    y = np.ones((1, 2, *size))
    for layer in chain:
        y = layer(y)
    dy = np.zeros_like(y)
    dy[:, :, cell[0], cell[1]] = 1
    for layer in reversed(chain):
        dy = layer.backward(dy)
    pixels = np.argwhere(dy[0].sum(axis=0))
    return pixels.min(axis=0), pixels.max(axis=0)


class TestWindow:
    @given(paddings=st.lists(st.integers(0, 1), min_size=1, max_size=3), kernel=st.tuples(*[st.integers(1, 3)] * 2))
    def test_field_is_the_support_of_the_gradients(self, paddings, kernel):
        """Through the layer's own backward, and through the probes of measured_receptive_field."""
        chain = [positive(2, kernel, padding=1), *(Blur(padding) for padding in paddings), positive(2, kernel)]
        field = receptive_field(chain)
        assert field == measured_receptive_field(chain)
        assert field.stride == 2 ** len(paddings)
        cells = [int(-(-((axis.size - 1) / 2 - axis.start) // axis.stride)) for axis in field.axes]  # the first inside
        size = [int(axis.size + 2 * axis.stride) + 2 for axis in field.axes]
        for step in (0, 1):
            cell = [first + step for first in cells]
            for axis, number, *seen in zip(field.axes, cell, *gradient_support(chain, size, cell)):
                centre, reach = axis.start + axis.stride * number, (axis.size - 1) / 2
                assert seen == [centre - reach, centre + reach]

    @given(
        kernel=st.tuples(*[st.integers(1, 5)] * 2),
        stride=st.tuples(*[st.integers(1, 4)] * 2),
        padding=st.tuples(*[st.integers(0, 2)] * 2),
        dilation=st.tuples(*[st.integers(1, 4)] * 2),
    )
    def test_of_an_upsampling_with_any_dilation(self, kernel, stride, padding, dilation):
        """Where a coarse cell lands, on the mean, and how far apart are the coarse cells that one output reads."""
        layer = Spread(kernel, stride, padding, dilation)
        before = receptive_field(Blur())
        x = np.zeros((1, 1, 33, 33))
        made = layer(x)
        assert layer.output_shape((1, 33, 33)) == made.shape[1:]
        for number, (coarse, fine) in enumerate(zip(before.axes, receptive_field(layer, before).axes)):
            seen = []
            for cell in range(33):
                x[...] = 0
                x[(0, 0, cell) if number == 0 else (0, 0, slice(None), cell)] = 1
                seen.append(layer(x)[0, 0].max(axis=1 - number) > 0)
            landing = Fraction(np.flatnonzero(seen[16]).mean().item())
            assert fine.start + fine.stride * landing == coarse.start + coarse.stride * 16
            read = [np.flatnonzero(cells) for cells in np.transpose(seen)]
            apart = max(int(cells[-1] - cells[0]) for cells in read if len(cells))
            assert fine.size == coarse.size + apart * coarse.stride

    def test_an_unpooled_map_lies_where_the_pool_found_it(self):
        """Of a dilated pool too."""
        for pool in (MaxPool2d((2, 3), (2, 1), (0, 1)), MaxPool2d(2, 2, 1, dilation=2)):
            found = receptive_field([pool, MaxUnpool2d(pool)])
            assert [(axis.stride, axis.start) for axis in found.axes] == [(1, 0), (1, 0)]

    @pytest.mark.parametrize("padding", [5, 9])
    def test_crops_that_follow_bring_a_ramp_back_to_its_place(self, padding):
        """Blur and interpolation keep a straight ramp: cropped by crop_offset it has every value at its pixel again."""
        chain = [Blur(padding), interpolation()]
        offset = crop_offset(receptive_field(chain), IMAGE)
        ramp = np.arange(40.0) + 2 * np.arange(30.0)[:, None]
        y = ramp[None, None]
        for layer in chain:
            y = layer(y)
        inner = slice(2, 27)
        close(y[0, 0, offset:, offset:][inner, inner], ramp[inner, inner])
        assert offset == padding - 1 + 1  # by hand: half the blur's kernel less, half the upsampling's more

    def test_sizes_and_rows_are_those_of_forward(self):
        chain = [positive(3, 3, padding=2), Blur(name="blur"), Leaky("leaky"), interpolation(), Blur(0, name="last")]
        for size in ((9, 14), (10, 10), (31, 8)):
            y, rows = np.ones((1, 3, *size)), table(chain, size, np.float64).rows
            for row, (name, found), layer in zip(rows, list(map_sizes(chain, size).items())[1:], chain):
                y = layer(y)
                assert found == (row.channels, row.size) == (y.shape[1], y.shape[2:])
                assert row.name == name
                assert row.bytes == (0 if name == "leaky" else y.nbytes)
                assert row.parameters == sum(array.size for array in layer.params.values())
        assert [row.kind for row in rows] == [
            "conv 3x3 pad 2",
            "blur 3x3 /2 pad 1",
            "leaky",
            "spread 3x3 /2",
            "blur 3x3 /2",
        ]
        assert rows[2].field == rows[1].field
        assert "blur 3x3 /2 pad 1" in str(table(chain, 9))
        assert geometry.sizes_that_fit([positive(3, 3), Blur(0)], range(1, 9)) == [5, 6, 7, 8]

    def test_is_what_a_crop_is_explained_by(self):
        class Net:
            def graph(self):
                chain = [
                    ("blur", Blur(5), ("image",)),
                    ("up", interpolation(), ("blur",)),
                    ("crop", Crop(5), ("up", "image")),
                ]
                return [geometry.Node(*node) for node in chain]

        ((name, offset, text),) = geometry.explain_crops(Net())
        assert (name, offset) == ("crop", 5)
        assert "spread by up over 3 cells of 1 pixel, so up starts (3 - 1) / 2 of them earlier, at -5" in text


class TestOtherDeclarations:
    def test_output_shape_and_multiply_adds(self):
        (row,) = table(Halved(), (5, 8)).rows
        assert (row.channels, row.size, row.multiply_adds, row.kind) == (2, (3, 4), 40, "halved 2x2 /2")

    def test_a_vector_stands_nowhere(self):
        rows = table([positive(3, 3), Mean(), Leaky()], 9).rows
        assert [(row.channels, row.size, row.field) for row in rows[1:]] == [(2, (1, 1), None)] * 2
        assert rows[1].kind == "mean of all"
        with refuses("Mean has no place in a grid", "its output is a vector"):
            receptive_field(Mean())

    def test_what_joins(self):
        one, other = positive(3, 3, padding=1, name="one"), positive(3, 5, padding=2, name="other")

        class Net:
            def graph(self):
                nodes = [geometry.Node(layer.name, layer, ("image",)) for layer in (one, other)]
                return [*nodes, geometry.Node("largest", Largest(), ("one", "other"))]

        row = table(Net(), 8).row("largest")
        assert (row.channels, row.size, tuple(row.field), row.kind) == (2, (8, 8), (5, 1, 0), "largest")
        other.padding = (1, 1)
        with refuses("must lie in the same places"):
            table(Net(), 8)

    def test_a_convolution_of_ones_own_says_how_many_channels_the_image_has(self):
        class Mix(Layer):
            window, in_channels, out_channels = Window(1), 3, 7

        chain = [Mix(name="mix"), positive(7, 3)]
        assert map_sizes(chain, 5)["image"].channels == 3
        assert map_sizes(chain, 5)["mix"] == (7, (5, 5))
        with refuses("Mix 'mix' has no padding that could be changed"):
            map_sizes(chain, 5, pad=2)

    def test_a_subclass_inherits(self):
        class Wider(Conv2d):
            pass

        class Loud(ReLU):
            pass

        wider = Wider(3, 4, 5, 2)
        assert receptive_field(wider) == receptive_field(Conv2d(3, 4, 5, 2))
        first, second = table([wider, Loud(name="loud")], 9).rows
        assert (first.kind, first.multiply_adds) == ("conv 5x5 /2", 3 * 3 * 25 * 3 * 4)
        assert (second.kind, second.bytes) == ("relu", 0)

    def test_a_pointwise_layer_is_rarefied_past(self, rng):
        net = [positive(2, 2, stride=2, name="down"), Leaky("leaky"), positive(2, 2, name="next")]
        fine, x = rarefy(net), rng.normal(size=(1, 2, 9, 8))
        y = x
        for layer in net:
            y = layer(y)
        close(fine(x)[:, :, ::2, ::2], y)
        assert fine.layers[1].params is net[1].params
        with refuses("it cannot dilate Blur"):
            rarefy([Blur()])
        with refuses("Mean works on one crop"):
            rarefy([Mean()])

    def test_the_effective_field_leaves_its_gradients_alone(self, rng):
        leaky = Leaky()
        effective = geometry.effective_receptive_field([positive(2, 3), leaky, Blur(0)], rng.normal(size=(2, 2, 9, 9)))
        assert effective.theoretical == 5
        assert leaky.grads["slope"] == 0
        with pytest.raises(RuntimeError, match="forward"):
            leaky.backward(np.ones((1, 2, 2, 2)))

    @pytest.mark.parametrize("layer", [NearestUpsample(2), interpolation(), Own()])
    def test_only_plain_windows_are_measured(self, layer):
        with refuses("measured through convolutions", layer.label, "is not one"):
            measured_receptive_field([positive(2, 3), layer])


class TestNothingDeclared:
    @pytest.mark.parametrize("ask", [receptive_field, lambda net: map_sizes(net, 9), lambda net: table(net, 9)])
    def test_is_refused_by_name(self, ask):
        with refuses("Own 'mine' has no place in a grid", "must declare `window`, such as layers.Window("):
            ask([Blur(), Own(name="mine")])

    def test_has_no_output_shape(self):
        with refuses("Own 'mine'", "declare `window` or `output_shape`"):
            Own(name="mine").output_shape((1, 5, 5))


class TestDeclaredWrongly:
    """The refusal names the layer and says what to declare."""

    ASK = (receptive_field, lambda net: map_sizes(net, 9), lambda net: table(net, 9), measured_receptive_field)

    @pytest.mark.parametrize("window", [3, (3, 2), (3, 1, 0, 1, False), "3x3", Window, np.array([3, 1])])
    @pytest.mark.parametrize("ask", ASK)
    def test_what_is_no_window(self, ask, window):
        layer = Own(name="mine")
        layer.window = window
        with refuses("Own 'mine' declares the window", "layers.Window(kernel_size=3)"):
            ask([Blur(), layer])

    @pytest.mark.parametrize("shape", [None, (5, 5), (1, 2.0, 2.0), "abc", 3])
    @pytest.mark.parametrize("ask", ASK[1:3])
    def test_what_is_no_shape(self, ask, shape):
        layer = Blur(name="mine")
        layer.output_shape = lambda _: shape
        with refuses("Blur 'mine'.output_shape must return three integers, (C, H, W); got", repr(shape)):
            ask([ReLU(), layer])

    @pytest.mark.parametrize("number", [None, "many"])
    def test_what_is_no_number_of_multiply_adds(self, number):
        layer = Blur(name="mine")
        layer.multiply_adds = lambda _: number
        with refuses("Blur 'mine'.multiply_adds must return a number; got", repr(number)):
            table([ReLU(), layer], 9)


# --- no list of layers --------------------------------------------------------------------------------------------

ROOT = Path(geometry.__file__).parent
# Not layers; containers, which run others; the two whose two maps meet on one grid; and a declared number's class.
ALLOWED = {"ReceptiveField", "int", "list", "tuple", "Container", "Sequential", "Branches", "ShiftAndStitch", "CHAINS"}
ALLOWED |= {"Crop", "SkipFusion", "numbers", "Real"}


def asked_for(source):
    """The classes that calls of isinstance in a source name."""
    names = set()
    for call in ast.walk(ast.parse(source)):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "isinstance":
            for part in ast.walk(call.args[1]):
                names |= {part.attr} if isinstance(part, ast.Attribute) else set()
                names |= {part.id} - {"layers"} if isinstance(part, ast.Name) else set()
    return names


@pytest.mark.parametrize("name", ["fields", "sizes", "graph", "table", "crops"])
def test_no_class_of_a_leaf_layer_is_asked_for(name):
    assert asked_for((ROOT / f"{name}.py").read_text(encoding="utf-8")) <= ALLOWED


def test_the_reading_finds_them():
    assert asked_for("isinstance(x, (layers.ReLU, Dropout)) or isinstance(y, layers.Crop)") == {
        "ReLU",
        "Dropout",
        "Crop",
    }

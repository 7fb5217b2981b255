"""Receptive fields and crops: the recurrence against measurement, and the paper's numbers."""

import tokenize
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from arrays import refuses
from hypothesis import given
from hypothesis import strategies as st

import fcn_from_scratch
from fcn_from_scratch import geometry
from fcn_from_scratch.geometry import IMAGE, ReceptiveField, crop_offset, overlap, receptive_field
from fcn_from_scratch.layers import (
    AvgPool2d,
    BedOfNails,
    BilinearUpsample,
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
)
from fcn_from_scratch.models import build

# --- measuring ----------------------------------------------------------------------------------------------------


def conv(kernel_size, stride=1, padding=0, dilation=1):
    layer = Conv2d(1, 1, kernel_size, stride, padding, dilation, dtype=np.float64)
    layer.params["weight"][...] = 1
    return layer


def responses(chain, size, axis):
    """How strongly output cell i answers to input line r of one axis: (outputs, inputs), from forward passes alone.

    The weights are positive and the images are dark but for one bright line: a cell answers when it sees the line.
    """
    images = np.zeros((size, 1, size, size))
    for r in range(size):
        images[(r, 0, r) if axis == 0 else (r, 0, slice(None), r)] = 1
    y = images
    for layer in chain:
        y = layer(y)
    return y[:, 0].max(axis=2 - axis).T


def seen_lines(answers):
    """The first and last input line each output cell sees."""
    return [tuple(np.flatnonzero(cell)[[0, -1]]) if cell.any() else None for cell in answers]


def axis_numbers(field, axis):
    """size, stride and start along one axis."""
    return [number[axis] if isinstance(number, tuple) else number for number in field]


def check_against_measurement(chain, size=64, margin=8):
    """Every cell whose field lies inside the image sees as many lines as the grid says, with the centre it says.

    A cell that sees a line within `margin` of the edge may be cut off there: its lines are up to 8 apart.
    """
    field = receptive_field(chain)
    for axis in (0, 1):
        extent, stride, start = axis_numbers(field, axis)
        lines = seen_lines(responses(chain, size, axis))
        whole = [(i, *line) for i, line in enumerate(lines) if line and margin <= line[0] and line[1] < size - margin]
        assert len(whole) > 1
        for i, first, last in whole:
            assert last - first + 1 == extent
            assert (first + last) / 2 == start + stride * i


# --- the recurrence -----------------------------------------------------------------------------------------------


@st.composite
def down_layers(draw):
    pairs = [st.tuples(*[st.integers(low, high)] * 2) for low, high in ((1, 3), (1, 2), (0, 2), (1, 2))]
    kernel_size, stride, padding, dilation = map(draw, pairs)
    kind = draw(st.sampled_from(["conv", "max", "avg"]))
    if kind == "conv":
        return conv(kernel_size, stride, padding, dilation)
    padding = tuple(min(p, k // 2) for p, k in zip(padding, kernel_size))
    if kind == "avg":
        return AvgPool2d(kernel_size, stride, padding, ceil_mode=draw(st.booleans()))
    return MaxPool2d(kernel_size, stride, padding, dilation, ceil_mode=draw(st.booleans()))


class TestRecurrence:
    @given(st.lists(down_layers(), min_size=1, max_size=3))
    def test_equals_what_cells_see(self, chain):
        check_against_measurement(chain)

    @pytest.mark.parametrize(
        "chain",
        [
            [conv((3, 2), (2, 1), (1, 0), (1, 3))],
            [conv(3, padding=5), MaxPool2d(2, ceil_mode=True), conv((1, 3)), AvgPool2d((3, 2), (2, 2), (1, 0))],
            [conv(4, 2), Crop((2, 3), (25, 24)), MaxPool2d((2, 3), 2)],
        ],
        ids=["conv", "down", "crop"],
    )
    def test_hand_picked_chains(self, chain):
        check_against_measurement(chain)

    @given(
        down=st.lists(down_layers(), max_size=2),
        kernel=st.tuples(*[st.integers(1, 7)] * 2),
        stride=st.tuples(*[st.integers(1, 4)] * 2),
        padding=st.tuples(*[st.integers(0, 2)] * 2),
    )
    def test_transposed_convolution(self, down, kernel, stride, padding):
        """Input cell i of the layer lands with its centre of mass on the output coordinate that the grid says."""
        layer = ConvTranspose2d(1, 1, kernel, stride, padding, bias=False, dtype=np.float64)
        layer.params["weight"][...] = 1
        before, after = receptive_field(down), receptive_field([*down, layer])
        for axis in (0, 1):
            size, coarse_stride, coarse_start = axis_numbers(before, axis)
            extent, fine_stride, fine_start = axis_numbers(after, axis)
            answers = responses([layer], 9, axis)
            middle = answers[:, 4]
            landing = (middle * np.arange(len(middle))).sum() / middle.sum()
            assert fine_start + fine_stride * landing == pytest.approx(coarse_start + coarse_stride * 4, abs=1e-9)
            assert fine_stride * stride[axis] == pytest.approx(coarse_stride, abs=1e-12)
            inputs_seen = (answers > 0).sum(axis=1).max()
            assert extent == size + (inputs_seen - 1) * coarse_stride

    @given(
        kernel=st.tuples(*[st.integers(1, 4)] * 2),
        stride=st.tuples(*[st.integers(1, 4)] * 2),
        padding=st.tuples(*[st.integers(0, 2)] * 2),
        dilation=st.tuples(*[st.integers(1, 3)] * 2),
        groups=st.integers(1, 3),
        data=st.data(),
    )
    def test_transposed_convolution_with_all_its_arguments(self, kernel, stride, padding, dilation, groups, data):
        """output_padding and groups move nothing: the output only gets larger, as output_shape says."""
        extra = tuple(data.draw(st.integers(0, max(s, d) - 1)) for s, d in zip(stride, dilation))
        layer = ConvTranspose2d(groups, groups, kernel, stride, padding, extra, groups, False, dilation, dtype=float)
        layer.params["weight"][...] = 1
        down = receptive_field(conv(3, 2, 1))
        field = receptive_field(layer, down)
        for axis in (0, 1):
            extent, fine_stride, fine_start = axis_numbers(field, axis)
            images = np.zeros((13, groups, 13, 13))
            for r in range(13):
                images[(r, slice(None), r) if axis == 0 else (r, slice(None), slice(None), r)] = 1
            y = layer(images)
            assert layer.output_shape((groups, 13, 13)) == y.shape[1:]
            answers = y.max(axis=(1, 3 - axis)).T  # (outputs, inputs)
            middle = answers[:, 6]
            landing = (middle * np.arange(len(middle))).sum() / middle.sum()
            assert fine_start + fine_stride * landing == pytest.approx(2 * 6, abs=1e-9)
            seen = max(last - first for first, last in filter(None, seen_lines(answers)))
            assert extent == 3 + 2 * seen

    @given(scale=st.tuples(*[st.integers(1, 4)] * 2))
    def test_nearest_upsampling_and_bed_of_nails(self, scale):
        for layer, landing_of in ((NearestUpsample(scale), np.mean), (BedOfNails(scale), np.min)):
            field = receptive_field([conv(3, 2), layer])
            for axis in (0, 1):
                extent, stride, start = axis_numbers(field, axis)
                landing = landing_of(np.flatnonzero(responses([layer], 9, axis)[:, 4]))
                assert start + stride * landing == pytest.approx(1 + 2 * 4, abs=1e-12)  # the convolution's grid
                assert stride * scale[axis] == pytest.approx(2)
                assert extent == 3

    @given(k=st.integers(1, 6), k2=st.integers(1, 6), s=st.integers(1, 4), s2=st.integers(1, 4))
    def test_composition_law_of_the_paper(self, k, k2, s, s2):
        """f_{k s} after g_{k' s'} has kernel k' + (k - 1) s' and stride s s' (section 3)."""
        chain = receptive_field([conv(k2, s2), conv(k, s)])
        assert chain == receptive_field(conv(k2 + (k - 1) * s2, s * s2))
        assert (chain.size, chain.stride) == (k2 + (k - 1) * s2, s * s2)

    def test_a_larger_padding_moves_the_start_alone(self):
        one, other = receptive_field(conv(5, 2, 3)), receptive_field(conv(5, 2, (10, 4)))
        assert (one.size, one.stride, one.start) == (5, 2, -1)
        assert (other.size, other.stride, other.start) == (5, 2, (-8, -2))

    @pytest.mark.parametrize("layer", [ReLU(), Dropout(), LocalResponseNorm(5)])
    def test_pixel_by_pixel_layers_move_nothing(self, layer):
        before = receptive_field(conv(3, 2, 1))
        assert receptive_field(layer, before) == before

    def test_nets_lists_and_single_layers(self):
        chain = [conv(3, 2), Sequential(ReLU(), MaxPool2d(2))]
        expected = (5, 4, 2)
        assert tuple(receptive_field(chain)) == expected
        assert tuple(receptive_field(Sequential(*chain))) == expected
        assert tuple(receptive_field(chain[1], receptive_field(chain[0]))) == expected
        assert receptive_field([]) == IMAGE
        assert tuple(IMAGE) == (1, 1, 0)

    @pytest.mark.parametrize("layer", [Flatten(name="flatten"), Linear(4, 2, name="fc8")])
    def test_layers_without_a_place_are_refused(self, layer):
        with refuses(layer.label, "no place in a grid"):
            receptive_field([conv(3), layer])


class TestReceptiveField:
    def test_shows_its_numbers(self):
        field = receptive_field([conv((3, 5), (2, 1)), BilinearUpsample(4, 4)])
        size, stride, start = field
        assert (size, stride, start) == (field.size, field.stride, field.start) == ((3, 5), (0.5, 0.25), (0.25, 1.625))
        assert repr(field) == "ReceptiveField(size=(3, 5), stride=(0.5, 0.25), start=(0.25, 1.625))"
        assert all(isinstance(number, int) for number in receptive_field(conv(3, 2)))

    def test_equal_by_value(self):
        one, same, other = (receptive_field(conv(3, s)) for s in (1, 1, 2))
        assert one == same
        assert hash(one) == hash(same)
        assert one != other
        assert one != (3, 1, 1)

    def test_overlap_is_where_the_later_map_starts(self):
        coarse = receptive_field([conv(9, 4, 6), BilinearUpsample(4, 2)])
        fine = receptive_field(conv(3, 2, (2, 0)))
        assert tuple(coarse) == (13, 2, -5)
        assert tuple(fine) == (3, 2, (-1, 1))
        assert tuple(overlap(fine, coarse)) == tuple(overlap(coarse, fine)) == (13, 2, (-1, 1))


# --- crops --------------------------------------------------------------------------------------------------------


def alexnet(pad=100):
    """FCN-AlexNet's geometry, layer by layer (FCN's public train.prototxt; one channel will do)."""
    return [
        conv(11, 4, pad),
        MaxPool2d(3, 2, ceil_mode=True),
        LocalResponseNorm(5),
        conv(5, padding=2),
        MaxPool2d(3, 2, ceil_mode=True),
        *(conv(3, padding=1) for _ in range(3)),
        MaxPool2d(3, 2, ceil_mode=True),
        conv(6),
        conv(1),
        conv(1),
    ]


class TestCropOffset:
    def test_alexnet(self):
        field = receptive_field(alexnet())
        assert tuple(field) == (355, 32, 13)
        assert crop_offset(receptive_field(BilinearUpsample(63, 32), field), IMAGE) == 18
        assert crop_offset(receptive_field([*alexnet(), BilinearUpsample(63, 32)]), IMAGE) == 18

    def test_an_even_kernel_misses_alexnets_grid_by_half_a_pixel(self):
        with refuses("18.5 cells apart", "not a whole number", "one smaller or larger"):
            crop_offset(receptive_field([*alexnet(), BilinearUpsample(64, 32)]), IMAGE)

    @pytest.mark.parametrize("pad", [97, 100, 110])
    def test_alexnets_offset_follows_the_padding(self, pad):
        assert crop_offset(receptive_field([*alexnet(pad), BilinearUpsample(63, 32)]), IMAGE) == pad - 82

    def test_counts_in_cells_of_the_map(self):
        early, late = receptive_field(conv(3, 4, 13)), receptive_field(conv(3, 4, (5, 1)))
        assert crop_offset(early, late) == (2, 3)
        assert crop_offset(late, early) == (-2, -3)
        assert crop_offset(early, early) == 0

    def test_other_strides_are_refused(self):
        with refuses("equal strides", "2 and 4"):
            crop_offset(receptive_field(conv(3, 2)), receptive_field(conv(3, 4)))
        with refuses("equal strides", "0.5 and 1"):
            crop_offset(receptive_field(NearestUpsample(2)), IMAGE)

    @given(down_layers(), st.tuples(*[st.integers(0, 7)] * 2))
    def test_undoes_a_crop(self, layer, offset):
        field = receptive_field(layer)
        found = crop_offset(field, receptive_field(Crop(offset, 1), field))
        assert found == (offset[0] if offset[0] == offset[1] else offset)

    def test_lays_one_map_over_the_other(self):
        """After the crop, a bright line under the centre of a coarse cell lies in the middle of its answer."""
        chain = [conv(3, 2, 7), conv(3, 2), BilinearUpsample(7, 4)]
        offset = crop_offset(receptive_field(chain), IMAGE)
        answers = responses(chain, 33, 0)[offset:]
        for line in (12, 16, 20):
            assert np.average(np.arange(len(answers)), weights=answers[:, line]) == pytest.approx(line, abs=1e-9)


# --- the networks of the paper ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fcn8s():
    return build("fcn8s", 2, width=1)


class TestVGG:
    """FCN on VGG16, with padding 100: field, stride and start of each map."""

    @pytest.mark.parametrize(
        ("layer", "expected"),
        [
            ("pool3", (44, 8, -95.5)),
            ("pool4", (100, 16, -91.5)),
            ("pool5", (212, 32, -83.5)),
            ("fc6", (404, 32, 12.5)),
            ("fc7", (404, 32, 12.5)),
        ],
    )
    def test_maps(self, layer, expected, fcn8s):
        names = list(fcn8s.trunk.children)
        path = fcn8s.trunk.layers[: names.index(layer) + 1]
        assert tuple(receptive_field(path)) == expected

    @pytest.mark.parametrize("name", ["fcn32s", "fcn16s", "fcn8s", "fcn8s_atonce"])
    def test_coarsest_scores(self, name):
        field = receptive_field(build(name, 2, width=1))
        assert isinstance(field, ReceptiveField)
        assert tuple(field) == (404, 32, 12.5)

    def test_upsampled_maps(self, fcn8s):
        field = receptive_field([*fcn8s.coarse_path, BilinearUpsample(4, 2)])
        assert (field.stride, field.start) == (16, -11.5)
        field = receptive_field(BilinearUpsample(4, 2), field)
        assert (field.stride, field.start) == (8, -23.5)

    def test_fractions_are_exact(self):
        field = receptive_field([conv(3, 3), BilinearUpsample(4, 7), BilinearUpsample(4, 3)])
        assert field.axes[0].stride == Fraction(1, 7)
        assert field.axes[0].start == 1 - Fraction(9, 14) - Fraction(3, 14)


def test_no_crop_is_written_as_a_number():
    """19, 27 and 31 come from crop_offset alone: the package's source does not hold them."""
    root = Path(fcn_from_scratch.__file__).parent
    files = sorted(root.rglob("*.py"))
    assert Path(geometry.__file__) in files
    found = []
    for path in files:
        with tokenize.open(path) as source:
            tokens = list(tokenize.generate_tokens(source.readline))
        found += [
            f"{path.relative_to(root)}:{token.start[0]}: {token.line.strip()}"
            for token in tokens
            if token.type == tokenize.NUMBER and token.string in {"19", "27", "31"}
        ]
    assert found == []

"""Geometry of networks that are no chains: parallel branches, added maps, two paths through one network."""

import numpy as np
import pytest
from arrays import close, refuses
from hypothesis import given
from hypothesis import strategies as st

from fcn_from_scratch import geometry
from fcn_from_scratch.layers import AvgPool2d, BilinearUpsample, Branches, Conv2d, MaxPool2d, ReLU, Sequential, Sum
from fcn_from_scratch.models import build


def module(name="module", wide_padding=2, wide_stride=1):
    return Branches(
        [Conv2d(4, 3, 1, name="narrow")],
        [Conv2d(4, 2, 1, name="reduce"), ReLU(name="relu"), Conv2d(2, 5, 5, wide_stride, wide_padding, name="wide")],
        name=name,
    )


def net(**options):
    return [Conv2d(3, 4, 3, 2, 1, name="first"), module(**options), MaxPool2d(2, name="pool")]


class TestField:
    def test_the_largest_branch_counts(self):
        # first: 3 pixels, stride 2; the 5x5 branch: 4 cells of 2 pixels more; the pool: one cell more, stride 4
        assert tuple(geometry.receptive_field(net())) == (3 + 8 + 2, 4, 1)
        assert tuple(geometry.receptive_field(net()[1])) == (5, 1, 0)

    def test_on_each_axis(self):
        tall = Branches([Conv2d(1, 1, (5, 1), padding=(2, 0), name="tall")], [Conv2d(1, 1, 1, name="point")])
        assert geometry.receptive_field(tall).size == (5, 1)

    def test_branches_that_end_in_other_places_are_refused(self):
        with refuses("maps that are joined must lie in the same places; got", "start=0", "start=1"):
            geometry.receptive_field(module(wide_padding=1))
        with refuses("maps that are joined must lie in the same places", "stride=2, start=0", "stride=4"):
            geometry.receptive_field(net(wide_stride=2))

    def test_the_package_computes_what_is_seen(self, rng):
        """A gradient from one cell of the sum over all channels reaches exactly the field's pixels."""
        layers = Sequential(*net())
        for key, array in layers.params.items():
            array[...] = rng.uniform(0.1, 1, size=array.shape) if key.endswith("weight") else 0
        layers = Sequential(*layers.layers[:2], AvgPool2d(2, name="pool"))  # a maximum hides what it compared
        y = layers(np.ones((1, 3, 40, 40), np.float32))
        dy = np.zeros_like(y)
        dy[:, :, 4, 5] = 1
        rows, columns = np.nonzero(np.abs(layers.backward(dy)).sum((0, 1)))
        assert (rows.min(), rows.max()) == (1 + 4 * 4 - 6, 1 + 4 * 4 + 6)
        assert (columns.min(), columns.max()) == (1 + 4 * 5 - 6, 1 + 4 * 5 + 6)


@st.composite
def aligned(draw, name):
    """Branches of random windows. Each pads by as much as keeps its outputs in the places of a 1x1 convolution."""
    stride, odd = draw(st.tuples(*[st.integers(1, 3)] * 2)), st.tuples(*[st.sampled_from([1, 3, 5])] * 2)
    chains = []
    for number in range(draw(st.integers(1, 3))):
        kernel_size, dilation = draw(odd), draw(st.integers(1, 2))
        padding = tuple(dilation * (k // 2) for k in kernel_size)
        strided = Conv2d(2, 1, kernel_size, stride, padding, dilation, dtype=np.float64, name=f"conv{number}")
        if draw(st.booleans()):
            before = [MaxPool2d(3, 1, 1, ceil_mode=True, name=f"pool{number}"), ReLU(name=f"relu{number}")]
            chains.append([*before, strided])
        else:
            chains.append([strided, ReLU(name=f"relu{number}")])
    first = Conv2d(2, 1, 1, stride, dtype=np.float64, name="first")
    return [Branches([first], *chains, name=name), Conv2d(1 + len(chains), 2, 1, dtype=np.float64, name=f"{name}_mix")]


class TestMeasured:
    @given(
        st.lists(st.sampled_from("abc"), min_size=1, max_size=3, unique=True).flatmap(
            lambda names: st.tuples(*map(aligned, names))
        )
    )
    def test_the_theoretical_field(self, modules):
        layers = [layer for module in modules for layer in module]
        assert geometry.measured_receptive_field(layers) == geometry.receptive_field(layers)

    def test_the_effective_field(self):
        """A 1x1 branch of weight 3 beside a 3x3 box: the gradient is 1 in the box and 4 at its centre."""
        box = Branches(
            [Conv2d(1, 1, 1, bias=False, dtype=np.float64, name="point")],
            [Conv2d(1, 1, 3, padding=1, bias=False, dtype=np.float64, name="box")],
        )
        box.params["point.weight"][...] = 3
        box.params["box.weight"][...] = 1
        mix = Conv2d(2, 1, 1, bias=False, dtype=np.float64, name="mix")
        mix.params["weight"][...] = 1
        found = geometry.effective_receptive_field([box, mix], np.ones((1, 1, 5, 5)))
        energy = np.ones((3, 3))
        energy[1, 1] = 16
        close(found.energy, energy / 24, 1e-12)
        assert not any(gradient.any() for gradient in [*box.grads.values(), *mix.grads.values()])

    def test_the_effective_field_is_backwards(self, rng):
        """Of a module with everything in it: what backward of the whole net gives."""
        layers = Sequential(
            Conv2d(3, 4, 3, 2, 1, dtype=np.float64, rng=rng, name="first"), module(), MaxPool2d(2, name="pool")
        ).astype(np.float64)
        x = rng.normal(size=(1, 3, 40, 40))
        found = geometry.effective_receptive_field(layers, x)
        y, field = layers(x), geometry.receptive_field(layers)
        cell = round((19.5 - field.start) / field.stride)
        dy = np.zeros_like(y)
        dy[:, :, cell, cell] = np.random.default_rng(0).choice([-1.0, 1.0], size=y.shape[:2])
        first = field.start + field.stride * cell - (field.size - 1) // 2
        inside = slice(first, first + field.size)
        energy = (layers.backward(dy)[0] ** 2).sum(0)[inside, inside]
        close(found.energy, energy / energy.sum(), 1e-9)

    def test_branches_that_end_in_other_places_are_refused(self):
        with refuses("maps that are joined must lie in the same places"):
            geometry.measured_receptive_field(net(wide_padding=1))
        with refuses("BilinearUpsample 'module/up' is not one"):
            geometry.measured_receptive_field(
                Branches([Conv2d(1, 1, 1), BilinearUpsample(4, 2, name="up")], name="module")
            )


class TestSteps:
    def test_branches_are_laid_open(self):
        found = geometry.graph(net())
        assert [(step.name, step.sources) for step in found] == [
            ("first", ("image",)),
            ("module/narrow", ("first",)),
            ("module/reduce", ("first",)),
            ("module/relu", ("module/reduce",)),
            ("module/wide", ("module/relu",)),
            ("module/output", ("module/narrow", "module/wide")),
            ("pool", ("module/output",)),
        ]

    def test_names_are_those_of_the_parameters(self):
        model = build("fcn_googlenet", 2, width=1)
        layers = {key.rpartition(".")[0] for key in model.params}
        assert layers < {node.name for node in geometry.graph(model)}

    def test_alone_and_in_a_chain_of_chains(self):
        assert [node.name for node in geometry.graph(module())][-1] == "module/output"
        nested = geometry.graph(Sequential(Sequential(*net(), name="trunk")))
        assert [node.name for node in nested if "output" in node.name] == ["trunk.module/output"]
        assert nested[-1].sources == ("trunk.module/output",)

    def test_two_layers_of_one_name_are_refused(self):
        with refuses("different names", "first, first"):
            geometry.graph([Conv2d(3, 4, 1, name="first"), Conv2d(4, 4, 1, name="first")])


class TestSizes:
    def test_of_every_branch(self):
        sizes = geometry.map_sizes(net(), (21, 30))
        assert sizes["module/narrow"] == (3, (11, 15))
        assert sizes["module/wide"] == (5, (11, 15))
        assert sizes["module/output"] == (8, (11, 15))
        assert sizes["pool"] == (8, (5, 7))

    def test_are_those_that_forward_makes(self, rng):
        layers = Sequential(*net())
        x = rng.normal(size=(1, 3, 21, 30)).astype(np.float32)
        assert layers(x).shape == (1, *[8], *geometry.map_sizes(layers, (21, 30))["pool"].size)

    def test_branches_of_other_sizes_are_refused(self):
        """One place and two sizes: a pool that rounds up beside a convolution, which rounds down."""
        strided = [Conv2d(1, 1, 3, 2, 1, name="conv")]
        pooled = [MaxPool2d(3, 2, 1, ceil_mode=True, name="pool"), Conv2d(1, 1, 1, name="proj")]
        module = Branches(strided, pooled, name="module")
        assert geometry.map_sizes(module, 9)["module/output"] == (2, (5, 5))
        with refuses("module/output joins maps of equal size; got module/conv 4x5, module/proj 5x5"):
            geometry.map_sizes(module, (8, 9))
        assert geometry.sizes_that_fit(module, range(5, 10)) == [5, 7, 9]

    def test_padding_changes_every_stream(self):
        model = build("mini_fcn32s_late_fusion", 2, width=1)
        sizes = geometry.map_sizes(model, 32, pad=33)
        assert sizes["pool1color"].size == sizes["pool1hha"].size == (48, 48)
        assert model.children["conv1_1color"].padding == (1, 1)

    def test_the_image_has_the_channels_of_all_streams(self):
        assert geometry.map_sizes(build("mini_fcn32s_late_fusion", 2, width=1), 32)["image"].channels == 6
        assert geometry.map_sizes(build("fcn_googlenet", 2, width=1), 32)["image"].channels == 3


class TestTable:
    def test_counts_every_branch(self):
        table = geometry.table(net(), (20, 30))
        cells = 10 * 15
        assert table.row("module/narrow").multiply_adds == cells * 4 * 3
        assert table.row("module/wide").multiply_adds == cells * 2 * 25 * 5
        output = table.row("module/output")
        assert (output.kind, output.channels, output.multiply_adds, output.parameters) == ("concat", 8, 0, 0)
        assert output.bytes == 4 * 8 * cells
        assert tuple(output.field) == (11, 2, 0)
        assert table.parameters == sum(array.size for layer in net() for array in layer.params.values())

    def test_a_sum_is_a_row(self):
        table = geometry.table(build("mini_fcn32s_late_fusion", 5, width=1), 64)
        row = table.row("score_fused")
        assert (row.kind, row.channels, row.size, tuple(row.field)) == ("sum", 5, (2, 2), (158, 32, 15.5))

    def test_maps_that_are_added_stand_in_one_place(self):
        one, other = (geometry.Node(n, Conv2d(1, 1, k, name=n), ("image",)) for n, k in (("a", 1), ("b", 3)))

        class Model:
            def graph(self):
                return [one, other, geometry.Node("sum", Sum(), ("a", "b"))]

        with refuses("maps that are joined must lie in the same places"):
            geometry.map_sizes(Model(), 9)


@pytest.mark.parametrize("name", ["fcn_alexnet", "fcn_googlenet", "fcn8s_two_heads", "fcn32s_late_fusion"])
def test_every_network_can_be_inspected(name):
    model = build(name, 2, width=2)
    table = geometry.table(model, (65, 97))
    assert table.rows[-1].size == (65, 97)
    assert table.parameters == sum(array.size for array in model.params.values())
    assert str(table).count("\n") > 15
    assert geometry.explain_crops(model)

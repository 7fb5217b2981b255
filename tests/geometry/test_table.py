"""The table of a network: the paper's sizes, costs, parameters and memory, and rows of small nets counted by hand."""

import numpy as np
import pytest
from arrays import refuses

from fcn_from_scratch import geometry, layers, models
from fcn_from_scratch.geometry.table import count, memory


@pytest.fixture(scope="module")
def full():
    """FCN-32s and FCN-8s at full width, the weights drawn once."""
    return {name: models.build(name) for name in ("fcn32s", "fcn8s")}


# --- by hand ------------------------------------------------------------------------------------------------------


def small_net():
    return layers.Sequential(
        layers.Conv2d(3, 8, (3, 2), stride=2, padding=(1, 0), name="down"),
        layers.ReLU(name="relu"),
        layers.Conv2d(8, 4, 3, groups=2, dilation=2, bias=False, name="groups"),
        layers.MaxPool2d(2, ceil_mode=True, name="pool"),
        layers.ConvTranspose2d(4, 5, 4, 2, name="up"),
        layers.BilinearUpsample(3, 2, name="hat"),
        layers.ConvTranspose2d(5, 10, (3, 2), (2, 3), (1, 0), (1, 2), 5, dilation=(2, 1), name="split"),
    )


def test_a_small_net_by_hand():
    rows = geometry.table(small_net(), (15, 20), np.float64).rows
    down, relu, groups, pool, up, hat, split = rows
    assert [row.size for row in rows] == [(8, 10), (8, 10), (4, 6), (2, 3), (6, 8), (13, 17), (28, 52)]
    assert [row.channels for row in rows] == [8, 8, 4, 4, 5, 5, 10]
    assert down.multiply_adds == 8 * 8 * 10 * 3 * 3 * 2
    assert groups.multiply_adds == 4 * 4 * 6 * 3 * 3 * 8 // 2
    assert up.multiply_adds == 2 * 3 * 4 * 5 * 4 * 4
    assert hat.multiply_adds == 6 * 8 * 5 * 3 * 3
    assert split.multiply_adds == 13 * 17 * 5 * 2 * 3 * 2
    assert relu.multiply_adds == pool.multiply_adds == 0
    assert [row.parameters for row in rows] == [8 * 3 * 6 + 8, 0, 4 * 4 * 9, 0, 4 * 5 * 16 + 5, 0, 5 * 2 * 6 + 10]
    assert (down.bytes, relu.bytes, pool.bytes) == (8 * 80 * 8, 0, 4 * 6 * 8)


def test_rows_are_what_forward_makes(rng):
    """Sizes and channels of every row, and the parameters, from a forward pass."""
    net = small_net()
    y = rng.normal(size=(1, 3, 15, 20)).astype(np.float32)
    for row, layer in zip(geometry.table(net, (15, 20)).rows, net.layers):
        y = layer(y)
        assert y.shape[1:] == (row.channels, *row.size)
        assert row.parameters == sum(array.size for array in layer.params.values())


@pytest.mark.parametrize("name", ["mini_classifier", "mini_fcn32s", "mini_fcn16s", "mini_fcn8s", "mini_fcn4s"])
@pytest.mark.parametrize("upsampling", ["fixed", "all_learned"])
def test_rows_are_what_a_models_forward_makes(name, upsampling, monkeypatch):
    """Every layer of the network makes a map of the size and channels of its row, at sizes that round."""
    net = models.build(name, 4, width=2, **({} if "classifier" in name else {"upsampling": upsampling}))
    size = (66, 93)
    made = {}
    for key, layer in net.children.items():
        monkeypatch.setattr(layer, "forward", _noting(layer, key, made))
    net(np.zeros((1, 3, *size), np.float32))
    found = geometry.table(net, size)
    assert {row.name for row in found.rows} == set(made)
    for row in found.rows:
        channels, *extent = made[row.name]
        assert (row.channels, row.size) == (channels, tuple(extent) or (1, 1))
    assert found.parameters == sum(array.size for array in net.params.values())
    ends_on_image = "classifier" not in name
    assert (found.rows[-1].size == size) == ends_on_image
    if ends_on_image:
        assert found.rows[-1].field.start == 0
        assert found.rows[-1].field.stride == 1


def _noting(layer, key, made):
    forward = layer.forward

    def noted(*args, **options):
        y = forward(*args, **options)
        made[key] = y.shape[1:]
        return y

    return noted


def test_fields_are_those_of_the_recurrence():
    net = models.build("mini_fcn8s", 3, width=1)
    found = geometry.table(net, 64)
    assert found.row("score_fr").field == geometry.receptive_field(net)
    assert found.row("pool3").field == geometry.receptive_field(net.trunk.layers[:9])


@pytest.mark.parametrize("name", ["mini_fcn16s", "fcn16s"])
def test_a_fusion_costs_its_score_layer_on_the_whole_skip(name):
    """In the first the scores are cropped, in the second the skip."""
    found = geometry.table(models.build(name, 5, width=2), 64)
    fuse, pool4 = found.row("score_pool4"), found.row("pool4")
    assert fuse.multiply_adds == 5 * pool4.channels * pool4.size[0] * pool4.size[1]
    assert fuse.parameters == 5 * (pool4.channels + 1)
    assert fuse.bytes == 4 * 5 * (pool4.size[0] * pool4.size[1] + fuse.size[0] * fuse.size[1])


def test_a_row_is_found_by_name():
    found = geometry.table(small_net(), 15)
    assert found.row("pool") is found.rows[3]
    with pytest.raises(KeyError, match="pool9"):
        found.row("pool9")


def test_vectors_stand_nowhere():
    rows = geometry.table(models.build("mini_classifier", 4, width=2), 96).rows
    assert [row.field for row in rows[-6:]] == [None] * 6
    assert rows[-1].multiply_adds == 16 * 4


def test_layers_in_a_list_and_nested():
    chain = [layers.Conv2d(1, 1, 3), layers.Sequential(layers.ReLU(), layers.MaxPool2d(2), name="inner")]
    assert [row.name for row in geometry.table(chain, 8).rows] == ["0", "inner.0", "inner.1"]
    assert [row.name for row in geometry.table(layers.MaxPool2d(2), 8).rows] == ["MaxPool2d"]


def test_what_has_no_order_is_refused():
    class Odd(layers.Container):
        pass

    with refuses("Odd", "which order", "coarse_path"):
        geometry.table(Odd({"a": layers.ReLU()}), 8)
    with refuses("different names"):
        geometry.table([layers.ReLU(name="a"), layers.ReLU(name="a")], 8)
    with refuses("Own", "no place in a grid"):
        geometry.table(type("Own", (layers.Layer,), {})(), 8)


# --- as text ------------------------------------------------------------------------------------------------------


def test_text_has_a_line_for_each_layer_and_the_totals():
    lines = str(geometry.table(small_net(), (15, 20))).splitlines()
    assert " ".join(lines[0].split()) == "layer channels size field stride start multiply-adds parameters memory"
    assert [line.split()[0] for line in lines[1:]] == ["down", "groups", "pool", "up", "hat", "split", "total"]
    assert " ".join(lines[1].split()) == "down conv 3x2 /2 pad 1x0 8 8x10 3,2 2 0,0.5 11.5 k 152 2.5 KiB"
    assert lines[2].startswith("groups  conv 3x3 dilated 2")
    assert len({len(line) for line in lines if line.endswith("B")}) == 1


@pytest.mark.parametrize(
    ("number", "words", "bytes_"),
    [
        (0, "0", "0 B"),
        (999, "999", "999 B"),
        (1536, "1.54 k", "1.5 KiB"),
        (180_992_697_408, "181 G", "169 GiB"),
        (12_345_678, "12.3 M", "11.8 MiB"),
    ],
)
def test_numbers_in_short(number, words, bytes_):
    assert count(number) == words
    assert memory(number) == bytes_


# --- the paper's networks -----------------------------------------------------------------------------------------


# image: pool1 .. pool5, score_fr, upscore (32s), upscore2, upscore16 (16s), upscore_pool4, upscore8
SIZES = {
    32: (115, 58, 29, 15, 8, 2, 96, 6, 112, 14, 120),
    256: (227, 114, 57, 29, 15, 9, 320, 20, 336, 42, 344),
    375: (287, 144, 72, 36, 18, 12, 416, 26, 432, 54, 440),
    480: (339, 170, 85, 43, 22, 16, 544, 34, 560, 70, 568),
    500: (349, 175, 88, 44, 22, 16, 544, 34, 560, 70, 568),
}
MAPS = ("pool1", "pool2", "pool3", "pool4", "pool5", "score_fr", "upscore")
MAPS += ("upscore2", "upscore16", "upscore_pool4", "upscore8")


@pytest.mark.parametrize("side", SIZES)
def test_sizes_of_the_papers_maps(side):
    found = {}
    for name in ("fcn32s", "fcn16s", "fcn8s"):
        found |= geometry.map_sizes(models.build(name, 2, width=1), (side, 7))
    assert tuple(found[name].size[0] for name in MAPS) == SIZES[side]
    assert found["crop"].size == (side, 7)


def test_parameters(full):
    assert geometry.table(full["fcn32s"], 32).parameters == 134_346_581
    found = geometry.table(full["fcn8s"], 32)
    assert found.parameters == 134_362_751
    convolutions = [row for row in found.rows if row.name.startswith("conv")]
    assert sum(row.parameters for row in convolutions) == 14_714_688
    assert found.row("fc6").parameters == 102_764_544


@pytest.mark.parametrize(
    ("size", "giga", "mebi"), [(500, 181, 560), ((375, 500), 146, 460), (256, 73, 237), (32, 17, 61)]
)
def test_cost(size, giga, mebi, full):
    """Multiply-adds of one forward; memory: the outputs of the trunk's convolutions and pools, in float32."""
    found = geometry.table(full["fcn32s"], size)
    assert round(found.multiply_adds / 1e9) == giga
    trunk = sum(row.bytes for row in found.rows if row.name.startswith(("conv", "pool")))
    assert round(trunk / 2**20) == mebi
    assert found.activation_bytes > trunk

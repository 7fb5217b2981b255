"""Rarefaction and shift-and-stitch: two ways to compute the same dense output.

Most nets and images here hold small whole numbers in float64. Every sum is then exact, in whatever order the matrix
product adds, so two ways to the same number agree to the last bit or not at all.
"""

import copy
from math import prod

import hypothesis
import numpy as np
import pytest
from arrays import close, refuses
from hypothesis import given
from hypothesis import strategies as st

from fcn_from_scratch import geometry, models
from fcn_from_scratch.dense import convolutionalize, rarefy, shift_and_stitch
from fcn_from_scratch.gradcheck import layer_check, spaced
from fcn_from_scratch.layers import (
    AvgPool2d,
    BilinearUpsample,
    Conv2d,
    ConvTranspose2d,
    Dropout,
    Flatten,
    Linear,
    LocalResponseNorm,
    MaxPool2d,
    ReLU,
    Sequential,
)
from fcn_from_scratch.ops import loops


def whole_numbers(net, rng):
    for array in net.params.values():
        array[...] = rng.integers(-3, 4, array.shape)
    return net


@st.composite
def nets(draw, padded=False):
    """(net, image): convolutions, max-pools and ReLUs of random shapes, the image at least as large as the field."""
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    channels, layers, strides = draw(st.integers(1, 3)), [], []
    for kind in draw(st.lists(st.sampled_from(["conv", "relu", "pool"]), min_size=1, max_size=5)):
        kernel_size = draw(st.tuples(*[st.integers(1, 3)] * 2))
        # at most 6 in all: the square of it is the number of passes
        room = [6 // prod(axis) for axis in zip(*strides)] or [6, 6]
        stride = tuple(draw(st.integers(1, min(3, most))) for most in room)
        padding = tuple(draw(st.integers(0, (k - 1) // 2)) if padded else 0 for k in kernel_size)
        if kind == "relu":
            layers.append(ReLU())
            continue
        strides.append(stride)
        if kind == "pool":
            layers.append(MaxPool2d(kernel_size, stride, padding))
        else:
            width, dilation = draw(st.integers(1, 3)), draw(st.integers(1, 2))
            conv = Conv2d(channels, width, kernel_size, stride, padding, dilation, dtype=np.float64)
            layers.append(whole_numbers(conv, rng))
            channels = width
    net = Sequential(*layers)
    first = next((layer.in_channels for layer in layers if isinstance(layer, Conv2d)), channels)
    field = [int(axis.size) for axis in geometry.receptive_field(net).axes]
    size = [draw(st.integers(f, f + 9)) for f in field]
    return net, rng.integers(-9, 10, (2, first, *size)).astype(float)


def inside(net, x, dense, form):
    """Which outputs of a padded net have a field inside the image, or for "drop" in what its pass sees: a mask."""
    axes = []
    for axis, length, outputs in zip(geometry.receptive_field(net).axes, x.shape[2:], dense.shape[2:]):
        position = np.arange(outputs)
        first = axis.start - (axis.size - 1) / 2 + position
        dropped = position % int(axis.stride) if form == "drop" else 0
        axes.append((first >= dropped) & (first + axis.size <= length))
    return axes[0][:, None] & axes[1]


def strided_net(rng, **options):
    """The net of many lessons: conv, pool, conv, pool, conv, with output stride 4 and a field of 18."""
    net = Sequential(
        Conv2d(2, 4, 3, dtype=np.float64, name="conv1", **options),
        ReLU(name="relu1"),
        MaxPool2d(2, name="pool1"),
        Conv2d(4, 5, (3, 2), dtype=np.float64, name="conv2"),
        ReLU(name="relu2"),
        MaxPool2d(2, name="pool2"),
        Conv2d(5, 3, 3, dtype=np.float64, name="conv3"),
    )
    return whole_numbers(net, rng)


class TestStitchedEqualsRarefied:
    @given(nets())
    def test_unpadded_nets(self, case):
        net, x = case
        dense = rarefy(net)(x)
        field = [int(axis.size) for axis in geometry.receptive_field(net).axes]
        assert dense.shape[2:] == tuple(n - f + 1 for n, f in zip(x.shape[2:], field))
        np.testing.assert_array_equal(shift_and_stitch(net, x), dense)
        np.testing.assert_array_equal(shift_and_stitch(net, x, form="shift"), dense)

    @given(nets())
    def test_each_pixel_is_the_net_on_its_own_window(self, case):
        net, x = case
        dense = rarefy(net)(x)
        (fh, fw), (h, w) = (tuple(int(a.size) for a in geometry.receptive_field(net).axes), dense.shape[2:])
        for i, j in {(0, 0), (h // 2, w // 3), (h - 1, w - 1), (0, w - 1)}:
            np.testing.assert_array_equal(dense[:, :, i : i + 1, j : j + 1], net(x[:, :, i : i + fh, j : j + fw]))

    @given(nets(), st.data())
    def test_partial_rarefaction(self, case, data):
        """Down to stride t: every t-th of the dense outputs; what is left can be stitched."""
        net, x = case
        total = [int(axis.stride) for axis in geometry.receptive_field(net).axes]
        t = tuple(data.draw(st.sampled_from([d for d in range(1, s + 1) if s % d == 0])) for s in total)
        dense, partly = rarefy(net)(x), rarefy(net, t)
        np.testing.assert_array_equal(partly(x), dense[:, :, :: t[0], :: t[1]])
        np.testing.assert_array_equal(shift_and_stitch(partly, x), dense)

    @given(nets(padded=True))
    def test_padded_nets(self, case):
        """Every f-th output is the net's, at the border too; stitching agrees where no field reaches the padding."""
        net, x = case
        dense = rarefy(net)(x)
        fh, fw = (int(axis.stride) for axis in geometry.receptive_field(net).axes)
        np.testing.assert_array_equal(dense[:, :, ::fh, ::fw], net(x))
        for form in ("drop", "shift"):
            stitched = shift_and_stitch(net, x, form=form)
            assert stitched.shape == dense.shape
            mask = inside(net, x, dense, form)
            np.testing.assert_array_equal(stitched[:, :, mask], dense[:, :, mask])

    @pytest.mark.parametrize(("form", "rows"), [("drop", (4, 5)), ("shift", (3, 3))])
    def test_padding_makes_a_difference_at_the_border(self, form, rows, rng):
        """Fields begin 3 pixels before the image: 3 rows differ, and 4, a whole number of strides, for "drop"."""
        net, x = strided_net(rng, padding=1), rng.integers(-9, 10, (1, 2, 40, 43)).astype(float)
        net.layers[3].padding = (1, 1)
        dense, stitched = rarefy(net)(x), shift_and_stitch(net, x, form=form)
        wrong = (stitched != dense).any(axis=(0, 1))
        assert not wrong[inside(net, x, dense, form)].any()
        top = wrong[:, 10:20].any(axis=1)[:10]
        assert top.nonzero()[0].max() < rows[0]
        assert top.any()

    def test_numbers_that_are_not_whole(self, rng):
        """Where the product may add in another order, 1e-12; LRN's powers are no sums at all."""
        k = {"rng": rng, "dtype": np.float64}
        net = Sequential(Conv2d(3, 8, 3, 2, **k), ReLU(), LocalResponseNorm(3), MaxPool2d(3, 2), Conv2d(8, 5, 3, **k))
        x = rng.normal(size=(2, 3, 40, 37))
        close(shift_and_stitch(net, x), rarefy(net)(x), 1e-12)

    def test_by_loops(self, rng):
        """The à trous net written out by hand: dilations 2 and 4, and strides of 1."""
        net, x = strided_net(rng), rng.integers(-9, 10, (1, 2, 22, 21)).astype(float)
        w = net.params
        y = np.maximum(loops.conv2d_loops(x, w["conv1.weight"], w["conv1.bias"]), 0)
        y = loops.max_pool2d_loops(y, 2, 1)[0]
        y = np.maximum(loops.conv2d_loops(y, w["conv2.weight"], w["conv2.bias"], dilation=2), 0)
        y = loops.max_pool2d_loops(y, 2, 1, dilation=2)[0]
        y = loops.conv2d_loops(y, w["conv3.weight"], w["conv3.bias"], dilation=4)
        np.testing.assert_array_equal(rarefy(net)(x), y)
        np.testing.assert_array_equal(shift_and_stitch(net, x), y)


class TestRarefy:
    def test_geometry(self, rng):
        net = strided_net(rng, padding=(1, 2))
        size, _, start = geometry.receptive_field(net)
        for stride in (1, 2, 4):
            assert tuple(geometry.receptive_field(rarefy(net, stride))) == (size, stride, start)
        twin = rarefy(net)
        assert [layer.dilation for layer in twin.layers if hasattr(layer, "dilation")] == [
            (1, 1),
            (1, 1),
            (2, 2),
            (2, 2),
            (4, 4),
        ]

    def test_keeps_the_first_strides(self):
        net = Sequential(*(MaxPool2d(2, s) for s in (2, 2, 2)))
        assert [layer.stride for layer in rarefy(net, (2, 4)).layers] == [(2, 2), (1, 2), (1, 1)]
        net = Sequential(MaxPool2d(3, 6), MaxPool2d(3, 2))
        assert [layer.stride for layer in rarefy(net, 4).layers] == [(2, 2), (2, 2)]
        assert rarefy(net, 4).layers[1].dilation == (3, 3)

    def test_pools_must_be_dilated_too(self, rng):
        """Strides removed and filters dilated, but pool2 left as it was: another size and other values."""
        net, x = strided_net(rng), rng.integers(-9, 10, (1, 2, 26, 26)).astype(float)
        dense, half = rarefy(net)(x), rarefy(net)
        half.children["pool2"].dilation = (1, 1)
        wrong = half(x)
        assert wrong.shape[2] == dense.shape[2] + 1
        assert (wrong[:, :, :-1, :-1] != dense).mean() > 0.1

    def test_strides_alone_shrink_the_field(self, rng):
        net, x = strided_net(rng), rng.integers(-9, 10, (1, 2, 26, 26)).astype(float)
        lazy = copy.deepcopy(net)
        for pool in ("pool1", "pool2"):
            lazy.children[pool].stride = (1, 1)
        assert geometry.receptive_field(lazy).size == (9, 8)
        assert geometry.receptive_field(rarefy(net)).size == geometry.receptive_field(net).size == (18, 16)
        assert (lazy(x)[:, :, :9, :9] != rarefy(net)(x)[:, :, :9, :9]).mean() > 0.5

    def test_weights_are_shared(self, rng):
        net = strided_net(rng)
        twin, x = rarefy(net), rng.normal(size=(1, 2, 22, 22))
        assert list(twin.params) == list(net.params)
        for name in net.params:
            assert twin.params[name] is net.params[name]
            assert twin.grads[name] is net.grads[name]
        twin.backward(rng.normal(size=twin(x).shape))
        assert all(np.abs(gradient).min() > 0 for gradient in net.grads.values())
        net.params["conv3.bias"][...] += 1
        assert twin.params["conv3.bias"] is net.params["conv3.bias"]
        twin.astype(np.float32)
        assert net.params["conv1.weight"] is twin.params["conv1.weight"]
        assert net.params["conv1.weight"].dtype == np.float32

    def test_caches_are_not(self, rng):
        net = strided_net(rng)
        x = rng.normal(size=(1, 2, 22, 22))
        y = net(x)
        with pytest.raises(RuntimeError, match="before forward"):
            rarefy(net).backward(y)
        twin = rarefy(net)
        twin(x[:, :, :20, :20])
        assert net.backward(y).shape == x.shape
        assert rarefy(net.eval()).layers[0].training is False
        assert twin.layers[0].training is True

    @pytest.mark.parametrize("stride", [1, (2, 1)])
    def test_gradients(self, stride, rng):
        net = Sequential(
            MaxPool2d((3, 2), (2, 3)),
            Conv2d(2, 3, (2, 3), (2, 1), rng=rng, dtype=np.float64, name="conv"),
            LocalResponseNorm(3, alpha=0.7, k=2.0),
            Conv2d(3, 4, 2, rng=rng, dtype=np.float64, padding=1, name="score"),
        )
        errors = layer_check(rarefy(net, stride), spaced(rng, (2, 2, 11, 13)), rng)
        assert len(errors) == 5
        assert max(errors.values()) < 1e-7

    def test_gradient_equals_that_of_stitching(self, rng):
        from fcn_from_scratch.layers import ShiftAndStitch

        net, x = strided_net(rng), rng.integers(-9, 10, (2, 2, 25, 23)).astype(float)
        results = []
        for dense in (rarefy(net), ShiftAndStitch(net, 4)):
            net.zero_grad()
            dy = np.random.default_rng(1).normal(size=dense(x).shape)
            results.append([dense.backward(dy), *(gradient.copy() for gradient in net.grads.values())])
        for one, other in zip(*results):
            close(one, other)

    @pytest.mark.parametrize("pool", [MaxPool2d, AvgPool2d])
    @pytest.mark.parametrize(("kernel_size", "padding"), [(2, 1), ((4, 2), (2, 1)), ((2, 3), (1, 0))])
    def test_pools_padded_by_half_an_even_window(self, pool, kernel_size, padding, rng):
        net = Sequential(MaxPool2d(2, name="first"), pool(kernel_size, 2, padding, name="second"))
        x = rng.integers(-9, 10, (2, 3, 22, 26)).astype(float)
        twin = rarefy(net)
        np.testing.assert_array_equal(twin(x)[:, :, ::4, ::4], net(x))
        dense = shift_and_stitch(net, x)
        inner = np.s_[:, :, 8 : dense.shape[2] - 8, 8 : dense.shape[3] - 8]
        np.testing.assert_array_equal(twin(x)[:, :, : dense.shape[2], : dense.shape[3]][inner], dense[inner])
        layer_check(twin.layers[1], spaced(rng, (1, 2, 9, 10)), rng)

    def test_a_convolution_by_winograds_algorithm(self, rng):
        """It takes no dilation. The net itself keeps it."""
        net = Sequential(
            MaxPool2d(2, name="pool"), Conv2d(2, 3, 3, algorithm="winograd", dtype=np.float64, name="conv")
        )
        x = rng.normal(size=(1, 2, 13, 12))
        close(rarefy(net)(x), shift_and_stitch(net, x), 1e-9)
        assert net.layers[1].algorithm == rarefy(net, 2).layers[1].algorithm == "winograd"

    def test_nested_chains_and_lists(self, rng):
        net = strided_net(rng)
        x = rng.normal(size=(1, 2, 22, 22))
        inner = Sequential(*rarefy(net, 4).layers[3:], name="top")
        nested = Sequential(*rarefy(net, 4).layers[:3], inner)
        twin = rarefy(nested)
        assert list(twin.params)[-1] == list(nested.params)[-1] == "top.conv3.bias"
        np.testing.assert_array_equal(twin(x), rarefy(net)(x))
        np.testing.assert_array_equal(rarefy(net.layers)(x), rarefy(net)(x))
        lists = [net.layers[:2], tuple(net.layers[2:4]), *net.layers[4:]]
        np.testing.assert_array_equal(rarefy(lists)(x), rarefy(net)(x))
        close(shift_and_stitch(lists, x), rarefy(net)(x), 1e-12)
        assert geometry.receptive_field(lists) == geometry.receptive_field(net)
        assert geometry.measured_receptive_field(lists) == geometry.receptive_field(net)
        assert list(geometry.map_sizes(lists, 30).values()) == list(geometry.map_sizes(net, 30).values())
        assert list(rarefy(lists).params)[-1] == "conv3.bias"

    @pytest.mark.parametrize("training", [True, False])
    def test_the_mode_is_kept(self, training, rng):
        layers = strided_net(rng).train(training).layers
        for twin in (rarefy(layers), rarefy(Sequential(*layers).train(training)), rarefy([layers])):
            assert {layer.training for layer in (twin, *twin.layers)} == {training}
        rarefy(Sequential(*layers).eval()).prepare()

    def test_ceil_mode_to_a_stride(self):
        """A pool that keeps its stride keeps its partial window; with half the stride it may miss it."""
        x = np.arange(14.0).reshape(1, 1, 1, 14)
        net = Sequential(MaxPool2d((1, 4), (1, 4), ceil_mode=True))
        assert net(x).ravel().tolist() == [3, 7, 11, 13]
        assert rarefy(net, (1, 4))(x).ravel().tolist() == [3, 7, 11, 13]
        assert rarefy(net, (1, 2))(x).ravel().tolist() == [3, 5, 7, 9, 11, 13]  # the window at 12 is missing
        assert rarefy(net)(x).ravel().tolist() == [*range(3, 14)]

    @given(nets(), st.data())
    def test_what_is_said_of_ceil_mode(self, case, data):
        """Unpadded: all that is there is right, and nothing is missing where no pool rounds up."""
        net, x = case
        for layer in net.layers:
            if isinstance(layer, MaxPool2d):
                layer.ceil_mode = data.draw(st.booleans())
        total = [int(axis.stride) for axis in geometry.receptive_field(net).axes]
        stride = tuple(data.draw(st.sampled_from([d for d in range(1, s + 1) if s % d == 0])) for s in total)
        down, across = (s // t for s, t in zip(total, stride))
        y = net(x)
        some = rarefy(net, stride)(x)[:, :, ::down, ::across]
        h, w = some.shape[2:]
        np.testing.assert_array_equal(some, y[:, :, :h, :w])
        if geometry.map_sizes(net, x.shape[2:]) == geometry.map_sizes(net, x.shape[2:], ceil_mode=False):
            assert some.shape == y.shape

    @given(nets(padded=True), st.data())
    def test_padded_nets_in_ceil_mode(self, case, data):
        """Where no pool rounds up, every f-th output is the net's, at the border too."""
        net, x = case
        for layer in net.layers:
            if isinstance(layer, MaxPool2d):
                layer.ceil_mode = data.draw(st.booleans())
        size = x.shape[2:]
        hypothesis.assume(geometry.map_sizes(net, size) == geometry.map_sizes(net, size, ceil_mode=False))
        total = [int(axis.stride) for axis in geometry.receptive_field(net).axes]
        stride = tuple(data.draw(st.sampled_from([d for d in range(1, s + 1) if s % d == 0])) for s in total)
        down, across = (s // t for s, t in zip(total, stride))
        np.testing.assert_array_equal(rarefy(net, stride)(x)[:, :, ::down, ::across], net(x))

    def test_a_segmentation_network_up_to_its_coarse_scores(self, rng):
        model = models.build("mini_fcn8s", 5, width=2).eval()
        model.params["score_fr.weight"][...] = rng.normal(size=(5, 16, 1, 1))
        x = rng.normal(size=(1, 3, 64, 96)).astype(np.float32)
        coarse = Sequential(*model.coarse_path)(x)
        twin = rarefy(model, 8)
        assert geometry.receptive_field(twin).stride == 8
        close(twin(x)[:, :, ::4, ::4], coarse, 1e-5)
        assert "score_fr.weight" in twin.params

    def test_average_pools(self, rng):
        x = rng.integers(-9, 10, (1, 2, 19, 21)).astype(float)
        conv = Conv2d(2, 3, 2, dtype=np.float64, rng=rng)
        net = Sequential(
            AvgPool2d((2, 3), (2, 1)), conv, ReLU(), AvgPool2d(2), MaxPool2d(2, (1, 2)), AvgPool2d((3, 1), 1)
        )
        close(rarefy(net)(x), shift_and_stitch(net, x), 1e-12)
        close(rarefy(net, (4, 2))(x), shift_and_stitch(net, x)[:, :, ::4, ::2], 1e-12)
        size, _, start = geometry.receptive_field(net)
        assert tuple(geometry.receptive_field(rarefy(net))) == (size, 1, start)
        with refuses("AvgPool2d '5' spans 9x1 pixels, which is more than its input"):
            rarefy(net)(x[:, :, :12])

    @pytest.mark.parametrize("count_include_pad", [True, False])
    def test_padded_average_pools(self, count_include_pad, rng):
        x = rng.integers(-9, 10, (2, 2, 20, 21)).astype(float)
        pool = AvgPool2d(3, 2, 1, count_include_pad=count_include_pad)
        net = Sequential(MaxPool2d(2), pool, Conv2d(2, 3, 3, padding=1, dtype=np.float64, rng=rng))
        close(rarefy(net)(x)[:, :, ::4, ::4], net(x), 1e-12)
        close(rarefy(net, 2)(x)[:, :, ::2, ::2], net(x), 1e-12)
        for twin in (rarefy(net), rarefy(net, 2)):
            assert list(geometry.map_sizes(twin, (20, 21)).values())[-1].shape == twin(x).shape[1:]

    def test_step_by_step(self, rng):
        """Rarefying what was rarefied in part is rarefying all of it."""
        x = rng.integers(-9, 10, (1, 2, 36, 33)).astype(float)
        conv = Conv2d(2, 3, (1, 2), (1, 2), padding=(0, 1), dtype=np.float64, rng=rng)
        net = Sequential(MaxPool2d(3, 2, 1), AvgPool2d(3, 2, 1), conv, AvgPool2d(3, (2, 1), 1), MaxPool2d(2, 2))
        steps = rarefy(rarefy(rarefy(net, 8), (2, 4)))
        assert geometry.receptive_field(steps).stride == 1
        np.testing.assert_array_equal(steps(x), rarefy(net)(x))

    def test_gradients_of_dilated_average_pools(self, rng):
        net = rarefy(Sequential(MaxPool2d(1, (2, 3)), AvgPool2d((3, 2), (1, 2), padding=1)), (1, 2))
        assert net.layers[1].dilation == (2, 3)
        assert layer_check(net, spaced(rng, (2, 3, 7, 9)), rng)["dx"] < 1e-7

    def test_ceil_mode_loses_the_partial_windows(self, rng):
        x = rng.integers(-9, 10, (1, 2, 19, 21)).astype(float)
        net = Sequential(MaxPool2d(2, ceil_mode=True), MaxPool2d(2, ceil_mode=True), MaxPool2d(2, 1))
        whole, part = net(x), rarefy(net)(x)[:, :, ::4, ::4]
        assert (whole.shape[2:], part.shape[2:]) == ((4, 5), (3, 4))
        np.testing.assert_array_equal(whole[:, :, :3, :4], part)

    @pytest.mark.parametrize(
        ("layer", "words"),
        [
            (Linear(8, 2, name="fc6"), "Linear 'fc6' works on one crop and not on a map: convolutionalize"),
            (Flatten(), "convolutionalize the net first"),
            (ConvTranspose2d(2, 2, 4, 2), "cannot dilate ConvTranspose2d"),
            (BilinearUpsample(4, 2), "cannot dilate BilinearUpsample"),
        ],
    )
    def test_layers_it_cannot_handle(self, layer, words):
        with refuses(words):
            rarefy(Sequential(MaxPool2d(2), layer))

    def test_strides_it_cannot_reach(self, rng):
        with refuses("the net's output stride is (4, 4): (3, 3) does not divide it"):
            rarefy(strided_net(rng), 3)
        with refuses("the net's output stride is (1, 1)"):
            rarefy(Sequential(ReLU()), 2)
        with refuses("net must be a chain of layers, a Sequential or a list; got MaxPool2d"):
            rarefy(MaxPool2d(2))

    @pytest.mark.parametrize("trick", [rarefy, convolutionalize])
    @pytest.mark.parametrize(
        ("layers", "name"),
        [
            ([ReLU(name="a"), MaxPool2d(2, name="b"), ReLU(name="a"), Flatten(), Linear(4, 2)], "a"),
            ([ReLU(name="1"), ReLU(), Flatten(), Linear(4, 2)], "1"),
            ([Sequential(ReLU(name="b"), name="a"), ReLU(name="a.b"), Flatten(), Linear(4, 2)], "a.b"),
        ],
    )
    def test_two_layers_of_one_name(self, trick, layers, name):
        """A dict of layers would hold only the last of them."""
        with refuses(f"the layers of a chain must have different names; {name!r} occurs twice"):
            trick(layers)


class TestShiftAndStitch:
    def test_the_stride_comes_from_the_geometry(self, rng):
        net, x = strided_net(rng), rng.integers(-9, 10, (1, 2, 22, 25)).astype(float)
        np.testing.assert_array_equal(shift_and_stitch(net, x), shift_and_stitch(net, x, (4, 4)))
        with refuses("the net's output stride is (4, 4); got stride (2, 2)"):
            shift_and_stitch(net, x, 2)

    def test_any_function_with_a_stride(self, rng):
        x = rng.normal(size=(2, 3, 7, 8))
        np.testing.assert_array_equal(shift_and_stitch(lambda x: x[:, :, ::2, ::3], x, (2, 3)), x)
        np.testing.assert_array_equal(shift_and_stitch(lambda x: x[:, :, ::2, ::3], x, (2, 3), "shift"), x)

    def test_a_segmentation_network(self, rng):
        model = models.build("mini_fcn32s", 4, width=1).eval()
        x = rng.normal(size=(1, 3, 40, 44)).astype(np.float32)
        calls = [layer(x) for layer in [Sequential(*model.coarse_path)]]
        np.testing.assert_array_equal(shift_and_stitch(model, x)[:, :, ::32, ::32], calls[0])

    def test_a_classifier_is_no_map(self, rng):
        with refuses("Flatten '1' has no place in a grid"):
            shift_and_stitch(Sequential(MaxPool2d(2), Flatten()), rng.normal(size=(1, 1, 4, 4)))

    def test_a_list_of_layers_is_left_as_it_is(self, rng):
        net, x = strided_net(rng), rng.integers(-9, 10, (1, 2, 22, 25)).astype(float)
        net.eval()
        names = [layer.name for layer in net.layers]
        np.testing.assert_array_equal(shift_and_stitch(net.layers, x), shift_and_stitch(net, x))
        assert [layer.name for layer in net.layers] == names
        pools = [MaxPool2d(2), MaxPool2d(2)]
        shift_and_stitch(pools, x)
        assert [pool.name for pool in pools] == [None, None]

    def test_in_training_mode(self, rng):
        """Masks differ from pass to pass; a layer forgets, copies of a list do not touch what the layers kept."""
        x = np.ones((1, 1, 8, 8))
        net = Sequential(Dropout(0.5, rng=np.random.default_rng(0), name="drop"), MaxPool2d(1, 2, name="pool"))
        assert len(np.unique(shift_and_stitch(net, x))) == 2
        y = net(x)
        shift_and_stitch(net.layers, x[:, :, :6])
        assert net.backward(y).shape == x.shape
        net(x)
        shift_and_stitch(net, x[:, :, :6])
        for layer in (net, *net.layers):
            with pytest.raises(RuntimeError, match="before forward"):
                layer.backward(y)
        np.testing.assert_array_equal(shift_and_stitch(net.eval(), x), x)

    @pytest.mark.parametrize("columns", [1, 2, 3])
    def test_a_padded_image_narrower_than_the_stride(self, columns, rng):
        """Padding gives it outputs for every shift; in form "drop" nothing of it is left for the last passes."""
        net, x = Sequential(Conv2d(1, 2, 3, 4, 3, dtype=np.float64, rng=rng)), rng.normal(size=(1, 1, 9, columns))
        stitched = shift_and_stitch(net, x, form="shift")
        assert stitched.shape == rarefy(net)(x).shape
        np.testing.assert_array_equal(stitched[:, :, ::4, ::4], net(x))
        with refuses("do not interlace", f"Passes without an output: {4 * (4 - columns)}.", 'form "shift" has all'):
            shift_and_stitch(net, x)

    def test_a_function_needs_a_stride(self):
        with refuses("the stride of a function is not known: pass stride=; got net function"):
            shift_and_stitch(lambda x: x, np.ones((1, 1, 4, 4)))

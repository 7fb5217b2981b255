"""The zero frame: a map's border is taken from a small image of zeros. The oracle is the plain network."""

import tracemalloc

import numpy as np
import pytest

from fcn_from_scratch import datasets, engine, geometry, models, ops, plain
from fcn_from_scratch.checks import InputError
from fcn_from_scratch.engine import winograd
from fcn_from_scratch.engine.workspace import Workspace
from fcn_from_scratch.layers import Layer, ReLU
from fcn_from_scratch.layers.fused import groups, run
from fcn_from_scratch.models import zero_frame
from fcn_from_scratch.models.zero_frame import ZeroFrame, plan, run_trunk, with_zero_frame
from fcn_from_scratch.training import evaluate, predict, segment
from fcn_from_scratch.training.finite import DivergedError

# (model, width): 32 and more make Winograd's algorithm run, in tiles; the others compute everything as patches
NETWORKS = [("fcn32s", 2), ("fcn16s", 3), ("fcn8s", 32), ("fcn8s_atonce", 2), ("fcn_alexnet", 12), ("fcn_googlenet", 8)]
SHAPES = [(2, 3, 39, 58), (1, 3, 1, 1), (1, 3, 97, 30)]


def network(name, width, dtype=np.float32, classes=5):
    """Biases and scores that are not zero: otherwise the frame would be, too."""
    model = models.build(name, classes, seed=3, width=width, dtype=dtype).eval()
    rng = np.random.default_rng(4)
    for key, array in model.params.items():
        if key.startswith("score") or key.endswith("bias"):
            array[...] = rng.normal(0, 0.5, array.shape)
    return model


def pictures(shape, seed=0, dtype=np.float32):
    return np.random.default_rng(seed).normal(0, 3, shape).astype(dtype)


def assert_close(found, expected, most):
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= most * np.abs(expected).max()


@pytest.mark.parametrize(("name", "width"), NETWORKS)
def test_equals_the_plain_network(name, width):
    model = network(name, width)
    predictor = ZeroFrame(model)
    for seed, shape in enumerate(SHAPES):
        x = pictures(shape, seed)
        found, expected = predictor(x), model(x)
        assert_close(found, expected, 5e-6)
        np.testing.assert_array_equal(found.argmax(axis=1), expected.argmax(axis=1))


def test_the_plain_code_computes_it_too(monkeypatch):
    model, x = network("fcn8s", 2, np.float64), pictures((1, 3, 45, 21), dtype=np.float64)
    expected = model(x)
    for name in ("conv2d", "conv2d_relu_pool"):
        monkeypatch.delattr(engine, name)
    with plain():
        assert_close(ZeroFrame(model)(x), expected, 1e-13)


class TestAnySize:
    """In double precision nothing is left to rounding, so one wrong cell of a frame would show.

    Where the last windows of strided layers end depends on the remainder of the size by the stride: 32 for VGG16.
    """

    @pytest.mark.parametrize(("name", "width"), [("fcn8s", 2), ("fcn_alexnet", 12), ("fcn_googlenet", 8)])
    @pytest.mark.parametrize("begin", [1, 40])
    def test_every_remainder(self, name, width, begin):
        model = network(name, width, np.float64)
        predictor = ZeroFrame(model)
        for rows in range(begin, begin + 32):
            x = pictures((1, 3, rows, begin + 5 * rows % 32), rows, np.float64)
            assert plan(model.trunk, x)
            assert_close(predictor(x), model(x), 1e-13)

    @pytest.mark.parametrize("size", [(500, 3), (2, 333), (217, 416), (375, 300)])
    def test_large_and_oblong(self, size):
        model = network("fcn8s", 2, np.float64)
        x = pictures((2, 3, *size), 1, np.float64)
        assert len(plan(model.trunk, x)) > 8
        assert_close(ZeroFrame(model)(x), model(x), 1e-13)

    @pytest.mark.parametrize("size", [(31, 66), (64, 85), (107, 20), (149, 150)])
    def test_in_single_precision_with_tiles(self, size):
        model = network("fcn8s", 32)
        x = pictures((1, 3, *size), 1)
        assert_close(ZeroFrame(model)(x), model(x), 5e-6)

    def test_the_frame_is_not_zero(self):
        """The biases of these tests are not zero. With the paper's first ones, many mistakes would not show."""
        model, x = network("fcn8s", 2, np.float64), np.zeros((1, 3, 30, 30))
        assert (np.abs(model.trunk(x)[1]["pool4"]).max(axis=(0, 2, 3)) > 0.1).mean() > 0.3


@pytest.mark.parametrize("pad", [0, 1, 60, 117])
@pytest.mark.parametrize("size", [(150, 203), (224, 131)])
def test_any_padding(pad, size):
    model = models.build("mini_fcn8s", 5, seed=3, width=4, pad=max(pad, 1), dtype=np.float64).eval()
    for key, array in model.params.items():
        if key.startswith("score"):
            array[...] = np.random.default_rng(4).normal(size=array.shape)
    x = pictures((1, 3, *size), 1, np.float64)
    assert_close(ZeroFrame(model)(x), model(x), 1e-13)


@pytest.mark.parametrize(("name", "width"), [("fcn8s", 8), ("fcn_alexnet", 12)])
@pytest.mark.parametrize("size", [(40, 71), (3, 26)])
def test_computes_what_pictures_change_and_no_more(name, width, size):
    """Of every map: the smallest rectangle around all that differs between pictures and an image of zeros."""
    model = network(name, width, np.float64)
    x = np.abs(pictures((3, 3, *size), 1, np.float64))
    first, *parts = plan(model.trunk, x)
    assert len(parts) > 3
    assert first.place == parts[0].window, "it also computes the frame that the second part reads"
    places = {part.name: part.place for part in parts}
    zeros = np.zeros((1, *x.shape[1:]))
    for names in groups(model.trunk.children, model.trunk.taps):
        layers = [model.trunk.children[key] for key in names]
        x, zeros = run(layers, x), run(layers, zeros)
        if names[-1] == first.name:
            continue
        changed = (np.abs(x - zeros) > 1e-9 * np.abs(zeros).max()).any(axis=(0, 1))  # by more than rounding
        for axis, whole in enumerate(changed.shape):
            lines = np.flatnonzero(changed.any(axis=1 - axis))
            place = places[names[-1]][axis] if names[-1] in places else slice(0, whole)
            # Where a cell sees one row of the picture, ReLU or a pool may still hide it.
            assert place.start <= lines[0] <= place.start + 1, names
            assert place.stop - 1 <= lines[-1] + 1 <= place.stop, names


def test_about_half_of_the_first_layers():
    """The numbers of a 500x500 picture: of 698 rows of conv1_1 the image reaches 502, and conv1_2 reads 508."""
    model, x = network("fcn8s", 1), pictures((1, 3, 500, 500))
    first, *parts = plan(model.trunk, x)
    assert [cells.stop - cells.start for cells in first.place] == [508, 508]
    assert [axis.seen for axis in first.axes[-1]] == [slice(98, 600)] * 2
    sizes = geometry.map_sizes(model.trunk, 500)
    share = {p.name: np.prod([(s.stop - s.start) / n for s, n in zip(p.place, sizes[p.name].size)]) for p in parts}
    assert share["pool1"] == pytest.approx((252 / 349) ** 2, rel=0.02)
    assert all(0.5 < share[name] < 0.75 for name in ("pool1", "pool2", "pool3", "relu4_2", "pool4"))
    assert list(share.values()) == sorted(share.values()), "the deeper, the more"
    assert parts[-1].name.startswith("relu5")


def test_the_work_that_is_saved(monkeypatch):
    """Multiply-adds that the convolutions really do, for a 500x500 picture, in a narrow VGG16."""
    model, x, done = network("fcn8s", 10), pictures((1, 3, 500, 500)), {}
    names = {id(model.params[f"{name}.weight"]): name for name in model.trunk.children if "conv" in name}

    def counted(function):
        def count(x, weight, bias, place, *args, beyond=None, **options):
            name, size = names.get(id(weight), "others"), place.output_size if beyond is None else beyond.size
            done[name] = done.get(name, 0) + np.prod(size) * weight.size
            return function(x, weight, bias, place, *args, **options | ({"beyond": beyond} if beyond else {}))

        return count

    for module in (engine, ops.conv.engine):
        for function in ("conv2d", "conv2d_relu_pool"):
            if getattr(module, function).__name__ != "count":
                monkeypatch.setattr(module, function, counted(getattr(module, function)))
    for function in ("winograd_conv2d", "winograd_conv2d_relu_pool"):  # of a part in a constant surrounding
        monkeypatch.setattr(zero_frame, function, counted(getattr(zero_frame, function)))
    model(x)
    whole = dict(done)
    done.clear()
    ZeroFrame(model)(x)
    share = {name: done[name] / whole[name] for name in whole}
    for name, window, small, rows in (
        *(("conv1_1", 508, 1, 698), ("conv1_2", 506, 3, 698), ("conv2_1", 255, 5, 349)),
        *(("conv3_1", 131, 7, 175), ("conv4_2", 72, 11, 88), ("conv4_3", 80, 13, 88)),
    ):
        assert share[name] == pytest.approx((window**2 + small**2) / rows**2, rel=1e-3), (name, share)
    assert share["others"] == 1
    stages = [name for name in share if name[:5] in ("conv1", "conv2", "conv3", "conv4")]
    assert 0.55 < sum(done[name] for name in stages) / sum(whole[name] for name in stages) < 0.65


def test_the_small_maps_are_a_hundredth_of_the_work():
    model, x = models.build("fcn8s", 1, seed=None, fc6_kernel=1).eval(), pictures((1, 3, 500, 500))
    parts = [part for part in plan(model.trunk, x) if part.algorithm]
    small = sum(np.prod([a.small for a in part.axes[0]]) * part.layers[0].params["weight"].size for part in parts)
    window = sum(np.prod([a.size for a in part.axes[0]]) * part.layers[0].params["weight"].size for part in parts)
    assert [part.layers[0].name for part in parts][-1] == "conv4_3", "Winograd's tiles reach the border of conv5"
    assert small < 0.012 * window


class TestSmallMaps:
    def test_they_do_not_grow_with_the_image(self):
        model = network("fcn8s", 1)
        for size in (1, 100, 1000):
            parts = plan(model.trunk, np.zeros((1, 3, size, size)))
            assert max(axis.small for part in parts for axes in part.axes for axis in axes) <= 14

    def test_no_part_costs_more_than_it_saves(self):
        model = network("fcn8s", 1)
        for size in (1, 33, 1000):
            for part in plan(model.trunk, np.zeros((1, 3, size, size))):
                saved = np.prod(part.size) - np.prod([cells.stop - cells.start for cells in part.place])
                assert saved > np.prod([axis.small for axis in part.axes[-1]])

    def test_a_network_that_pads_little_runs_as_ever(self):
        model, x = models.build("mini_fcn8s", 5, seed=3, width=4).eval(), pictures((1, 3, 40, 60))
        assert plan(model.trunk, x) == []
        np.testing.assert_array_equal(ZeroFrame(model)(x), model(x))


class TestTiles:
    def test_winograd_runs_on_whole_tiles_and_patches_anywhere(self):
        model = models.build("fcn8s", 5, seed=None, fc6_kernel=1).eval()
        parts = {part.name: part for part in plan(model.trunk, pictures((1, 3, 33, 42)))}
        assert parts["relu1_1"].algorithm == "im2col"
        assert parts["relu1_1"].place[0] == slice(95, 137), "four rows for each of the two rows of a pool's tile"
        for name, tile in (("pool1", 2), ("relu2_1", 4), ("pool2", 2), ("relu3_1", 4)):
            assert parts[name].algorithm == "winograd"
            assert all(s.start % tile == s.stop % tile == 0 for s in parts[name].place), name

    def test_the_whole_map_chooses_the_algorithm(self):
        """What one pixel reaches is too little for Winograd, the map is not: the other algorithm rounds otherwise."""
        model = models.build("fcn8s", 5, seed=None, fc6_kernel=1).eval()
        second = plan(model.trunk, pictures((1, 3, 1, 1)))[1]
        assert second.layers[0].name == "conv1_2"
        assert second.windowed()[0].algorithm == "winograd"
        assert model.trunk.children["conv1_2"].algorithm == "auto"
        assert model.trunk.children["conv1_2"].padding == (1, 1)


class TestNeverStale:
    SHAPE = (1, 3, 20, 33)

    @pytest.fixture
    def model(self):
        return network("fcn16s", 2)

    @pytest.fixture
    def predictor(self, model):
        predictor = ZeroFrame(model)
        predictor(pictures(self.SHAPE))
        return predictor

    def assert_follows(self, predictor, most=5e-6):
        for seed in (1, 2):
            x = pictures(self.SHAPE, seed)
            assert_close(predictor(x), predictor.model(x), most)

    @pytest.mark.parametrize("name", ["conv1_1.bias", "conv2_2.weight", "conv4_3.weight"])
    def test_one_number_is_changed_in_place(self, model, predictor, name):
        model.params[name].flat[1] += 5
        self.assert_follows(predictor)

    def test_two_numbers_change_places(self, model, predictor):
        weight = model.params["conv2_1.weight"]
        weight[[0, 1]] = weight[[1, 0]]
        self.assert_follows(predictor)

    def test_other_weights_are_loaded(self, model, predictor):
        model.load_state_dict({name: 1.5 * array for name, array in model.params.items()})
        self.assert_follows(predictor)

    def test_the_dtype_is_changed(self, model, predictor):
        model.astype(np.float64)
        self.assert_follows(predictor, 1e-13)

    def test_a_padding_is_changed(self, model, predictor):
        model.trunk.children["conv1_1"].padding = (102, 102)
        self.assert_follows(predictor)

    def test_prepared_weights(self, monkeypatch):
        model, x = network("fcn32s", 32).prepare(), pictures((1, 3, 40, 50))
        predictor, expected = ZeroFrame(model), model(x)
        algorithms = {part.algorithm for part in plan(model.trunk, x)}
        assert algorithms == {"im2col", "winograd"}
        with monkeypatch.context() as patch:
            patch.setattr(winograd, "transform_kernel", None)
            assert_close(predictor(x), expected, 5e-6)
        model.prepare(False).params["conv3_2.weight"][...] *= -1
        assert_close(predictor(x), model(x), 5e-6)

    def test_a_layer_that_does_something_else_runs_as_ever(self, model):
        class Doubled(ReLU):
            def _forward(self, x):
                return 2 * np.maximum(x, 0), ()

        model.trunk.children["relu2_1"] = Doubled().eval()
        model.trunk.children["relu3_1"].forward = lambda x: np.maximum(x, 1)
        predictor = ZeroFrame(model)
        self.assert_follows(predictor)
        parts = plan(model.trunk, pictures(self.SHAPE))
        assert [part.name for part in parts] == ["relu1_1", "pool1", "conv2_1"]

    def test_a_class_that_says_it_is_pointwise_is_believed_and_its_subclass_is_not(self, model):
        class Leaky(Layer):
            pointwise = True

            def _forward(self, x):
                return np.maximum(x, x / 8), ()

        class Smoothed(Leaky):
            def _forward(self, x):
                return (x + np.roll(x, 1, axis=3)) / 2, ()

        model.trunk.children["relu2_1"] = Leaky().eval()
        model.trunk.children["relu2_2"] = Smoothed().eval()
        predictor = ZeroFrame(model)
        self.assert_follows(predictor)
        parts = plan(model.trunk, pictures(self.SHAPE))
        assert [part.name for part in parts] == ["relu1_1", "pool1", "conv2_1", "relu2_1", "conv2_2"]


class TestMemory:
    def test_less_than_the_network_alone(self):
        """Its maps are smaller, and no map is kept longer."""
        model, x, peaks = network("fcn8s", 8), pictures((1, 3, 300, 300)), []
        for predictor in (model, ZeroFrame(model)):
            tracemalloc.start()
            predictor(x)
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
        assert peaks[1] < 0.9 * peaks[0]

    def test_it_keeps_nothing(self):
        model = network("fcn8s", 2)
        predictor = ZeroFrame(model)
        predictor(pictures(SHAPES[0]))
        assert vars(predictor) == {"model": model}

    def test_scores_are_the_callers_own(self):
        model = network("fcn8s", 2).use(Workspace())
        predictor = ZeroFrame(model)
        first = predictor(pictures(SHAPES[0], 1))
        kept = first.copy()
        predictor(pictures(SHAPES[0], 2))
        np.testing.assert_array_equal(first, kept)

    def test_the_network_is_left_as_it_was(self):
        model = network("fcn8s", 2)
        x = pictures(SHAPES[0])
        expected, winner = model(x), model.trunk.children["pool1"].winner
        ZeroFrame(model)(x)
        assert model.trunk.children["pool1"].winner is winner
        np.testing.assert_array_equal(model(x), expected)


class TestUse:
    def test_as_a_network_that_predicts(self):
        model = network("fcn8s", 2)
        predictor = ZeroFrame(model)
        x, image = pictures(SHAPES[0]), np.random.default_rng(0).integers(256, size=(19, 30, 3), dtype=np.uint8)
        np.testing.assert_array_equal(predict(predictor, x), predict(model, x))
        np.testing.assert_array_equal(segment(predictor, image), segment(model, image))

    def test_evaluate_counts_the_same_pixels(self, monkeypatch):
        model, calls = network("fcn16s", 2, classes=6), []
        data = datasets.build("shapes", split="val", size=(30, 40), count=3)
        with plain():
            expected = evaluate(model, data).matrix
        monkeypatch.setattr(zero_frame, "run_trunk", lambda *args: calls.append(1) or run_trunk(*args))
        np.testing.assert_array_equal(evaluate(model, data).matrix, expected)
        assert len(calls) == len(data)

    def test_weights_that_are_not_finite_are_named(self):
        model = network("fcn32s", 2)
        model.params["conv2_1.bias"][0] = np.nan
        with pytest.raises(DivergedError, match=r"conv2_1\.bias"):
            predict(ZeroFrame(model), pictures(SHAPES[0]))

    def test_only_where_it_is_known_what_the_network_computes(self):
        class Own(models.FCN):
            pass

        assert isinstance(with_zero_frame(network("fcn32s", 2)), ZeroFrame)
        for name in ("mini_unpool", "mini_fcn8s_concat"):
            model = models.build(name, 5)
            assert with_zero_frame(model) is model
        model = Own(network("fcn32s", 2).trunk, 5)
        assert with_zero_frame(model) is model
        for part in ("trunk", "head"):
            model = network("fcn32s", 2)
            getattr(model, part).forward = None
            assert with_zero_frame(model) is model
        model = network("fcn32s", 2)
        with plain():
            assert with_zero_frame(model) is model
        model.forward = None
        assert with_zero_frame(model) is model

    def test_not_in_training(self):
        model = network("fcn32s", 2)
        predictor = ZeroFrame(model)
        model.train()
        with pytest.raises(InputError, match=r"a network in eval mode.*call model.eval\(\)"):
            predictor(pictures(SHAPES[0]))

    @pytest.mark.parametrize("name", ["mini_unpool", "mini_classifier", "mini_fcn8s_two_heads"])
    def test_other_networks(self, name):
        with pytest.raises(InputError, match=r"the zero frame takes FCN-32s.*; got [A-Z]\w+"):
            ZeroFrame(models.build(name, (5, 2) if "heads" in name else 5))

    def test_other_arrays(self):
        predictor = ZeroFrame(network("fcn32s", 2))
        with pytest.raises(ValueError, match=r"\(N, C, H, W\)"):
            predictor(np.zeros((3, 20, 20), np.float32))
        with pytest.raises(ValueError, match="expects 3 input channels"):
            predictor(np.zeros((1, 4, 20, 20), np.float32))


def test_an_array_of_other_channels_is_named_with_its_own_shape():
    model = network("fcn32s", 2).eval()
    with pytest.raises(ValueError, match=r"expects 3 input channels.*got x with shape \(1, 6, 80, 27\)"):
        ZeroFrame(model)(np.zeros((1, 6, 80, 27), np.float32))

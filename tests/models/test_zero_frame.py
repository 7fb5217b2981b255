"""The zero frame: the part of a map that the image does not reach is computed once. The oracle is the plain network."""

import numpy as np
import pytest

from fcn_from_scratch import engine, geometry, models, plain
from fcn_from_scratch.checks import InputError
from fcn_from_scratch.engine.workspace import Workspace
from fcn_from_scratch.layers import Layer, ReLU
from fcn_from_scratch.layers.fused import groups, run
from fcn_from_scratch.models.zero_frame import ZeroFrame
from fcn_from_scratch.training import predict, segment

# (model, width): 32 and more make Winograd's algorithm run, in tiles; the others compute everything as patches
NETWORKS = [("fcn32s", 2), ("fcn16s", 3), ("fcn8s", 32), ("fcn8s_atonce", 2), ("fcn_alexnet", 12), ("fcn_googlenet", 8)]
SHAPES = [(2, 3, 39, 58), (1, 3, 1, 1), (1, 3, 97, 30)]


def network(name, width, dtype=np.float32):
    """Biases and scores that are not zero: otherwise the frame would be, too."""
    model = models.build(name, 5, seed=3, width=width, dtype=dtype).eval()
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
    predictor = ZeroFrame(model, sizes=len(SHAPES))
    for seed in (1, 2):  # the second time over, the frames are those that other pictures left behind
        for shape in SHAPES:
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


@pytest.mark.parametrize(("name", "width"), [("fcn8s", 2), ("fcn_alexnet", 12), ("fcn_googlenet", 8)])
def test_in_double_precision_nothing_is_left_to_rounding(name, width):
    model = network(name, width, np.float64)
    predictor = ZeroFrame(model)
    for seed in (1, 2):
        x = pictures((2, 3, 45, 21), seed, np.float64)
        assert_close(predictor(x), model(x), 1e-13)


@pytest.mark.parametrize("pad", [0, 1, 60, 117])
@pytest.mark.parametrize("size", [(150, 203), (224, 131)])
def test_any_padding(pad, size):
    model = models.build("mini_fcn8s", 5, seed=3, width=4, pad=max(pad, 1), dtype=np.float64).eval()
    for key, array in model.params.items():
        if key.startswith("score"):
            array[...] = np.random.default_rng(4).normal(size=array.shape)
    predictor = ZeroFrame(model)
    x = pictures((1, 3, *size), 1, np.float64)
    predictor(pictures((1, 3, *size), 2, np.float64))
    assert_close(predictor(x), model(x), 1e-13)


@pytest.mark.parametrize(("name", "width"), [("fcn8s", 8), ("fcn_alexnet", 12)])
@pytest.mark.parametrize("size", [(40, 71), (3, 26)])
def test_computes_what_pictures_change_and_no_more(name, width, size):
    """Of every map: the smallest rectangle around all that differs between pictures and an image of zeros."""
    model = network(name, width, np.float64)
    predictor = ZeroFrame(model)
    x = np.abs(pictures((3, 3, *size), 1, np.float64))
    predictor(x)
    (frame,) = predictor._frames.values()
    assert len(frame.parts) > 4
    places = {part.name: part.place for part in frame.parts}
    zeros = np.zeros((1, *x.shape[1:]))
    for names in groups(model.trunk.children, model.trunk.taps):
        layers = [model.trunk.children[key] for key in names]
        x, zeros = run(layers, x), run(layers, zeros)
        changed = (np.abs(x - zeros) > 1e-9 * np.abs(zeros).max()).any(axis=(0, 1))  # by more than rounding
        for axis, whole in enumerate(changed.shape):
            lines = np.flatnonzero(changed.any(axis=1 - axis))
            place = places[names[-1]][axis] if names[-1] in places else slice(0, whole)
            # Where a cell sees one row of the picture, ReLU or a pool may still hide it.
            assert place.start <= lines[0] <= place.start + 1, names
            assert place.stop - 1 <= lines[-1] + 1 <= place.stop, names


def test_about_half_of_the_first_layers():
    """The numbers of a 500x500 picture: of 698 rows of conv1_1 the image reaches 502."""
    predictor = ZeroFrame(network("fcn8s", 1))
    predictor(pictures((1, 3, 500, 500)))
    (frame,) = predictor._frames.values()
    sizes = geometry.map_sizes(predictor.model.trunk, 500)
    share = {
        p.name: np.prod([(s.stop - s.start) / n for s, n in zip(p.place, sizes[p.name].size)]) for p in frame.parts
    }
    assert share["relu1_1"] == (502 / 698) ** 2
    assert share["pool1"] == pytest.approx((252 / 349) ** 2, rel=0.02)
    assert all(0.5 < value < 1 for value in share.values())
    assert list(share.values()) == sorted(share.values()), "the deeper, the more"
    assert frame.rest[0][0].startswith(("conv5", "fc6"))


class TestTiles:
    def test_winograd_runs_on_whole_tiles_and_patches_anywhere(self):
        predictor = ZeroFrame(models.build("fcn8s", 5, seed=None, fc6_kernel=1).eval())
        predictor(pictures((1, 3, 33, 42)))
        (frame,) = predictor._frames.values()
        parts = {part.name: part for part in frame.parts}
        assert parts["relu1_1"].layers[0].algorithm == "im2col"
        assert parts["relu1_1"].place[0] == slice(98, 133)
        for name, tile in (("pool1", 2), ("relu2_1", 4), ("pool2", 2), ("relu3_1", 4)):
            assert parts[name].layers[0].algorithm == "winograd"
            assert all(s.start % tile == s.stop % tile == 0 for s in parts[name].place), name

    def test_the_whole_map_chooses_the_algorithm(self):
        """What one pixel reaches is too little for Winograd, the map is not: the other algorithm rounds otherwise."""
        predictor = ZeroFrame(models.build("fcn8s", 5, seed=None, fc6_kernel=1).eval())
        predictor(pictures((1, 3, 1, 1)))
        (frame,) = predictor._frames.values()
        second = frame.parts[1].layers[0]
        assert second.name == "conv1_2"
        assert second.algorithm == "winograd"
        assert predictor.model.trunk.children["conv1_2"].algorithm == "auto"
        assert predictor.model.trunk.children["conv1_2"].padding == (1, 1)


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
        before = list(predictor._frames.values())
        model.params[name].flat[1] += 5
        self.assert_follows(predictor)
        assert list(predictor._frames.values()) != before

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

    def test_weights_are_changed_while_another_size_is_looked_at(self, model, predictor):
        model.params["conv3_1.bias"] += 1
        predictor(pictures((1, 3, 9, 9)))
        self.assert_follows(predictor)

    def test_weights_behind_the_frame_leave_it_alone(self, model, predictor):
        before = list(predictor._frames.values())
        for name in ("fc6.weight", "score_fr.weight", "score_pool4.bias"):
            model.params[name] += 0.1
        self.assert_follows(predictor)
        assert list(predictor._frames.values()) == before

    def test_reset_after_another_change(self, model, predictor):
        model.trunk.children["conv1_1"].padding = (102, 102)
        predictor.reset()
        assert predictor.nbytes == 0
        self.assert_follows(predictor)

    def test_a_layer_that_does_something_else_runs_as_ever(self, model):
        class Doubled(ReLU):
            def _forward(self, x):
                return 2 * np.maximum(x, 0), ()

        model.trunk.children["relu2_1"] = Doubled().eval()
        model.trunk.children["relu3_1"].forward = lambda x: np.maximum(x, 1)
        predictor = ZeroFrame(model)
        self.assert_follows(predictor)
        (frame,) = predictor._frames.values()
        assert [part.name for part in frame.parts] == ["relu1_1", "pool1", "conv2_1"]

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
        (frame,) = predictor._frames.values()
        assert [part.name for part in frame.parts] == ["relu1_1", "pool1", "conv2_1", "relu2_1", "conv2_2"]


class TestMemory:
    def test_the_size_used_longest_ago_makes_room(self):
        predictor = ZeroFrame(network("fcn32s", 2), sizes=2)
        made = {}
        for rows in (10, 20, 10, 30):
            x = pictures((1, 3, rows, 12))
            predictor(x)
            made[rows] = predictor._frame(x)
        assert list(predictor._frames.values()) == [made[10], made[30]]
        copies = sum(weight.nbytes for weight in predictor._weights.values())
        assert predictor.nbytes == made[10].nbytes + made[30].nbytes + copies

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
        with pytest.raises(ValueError, match="sizes"):
            ZeroFrame(predictor.model, sizes=0)

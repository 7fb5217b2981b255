"""Branches, Concat and Sum: parallel maps, stacked or added."""

import numpy as np
import pytest
from arrays import close, refuses

from fcn_from_scratch.layers import AvgPool2d, Branches, Concat, Conv2d, Dropout, MaxPool2d, ReLU, Sequential, Sum


def module(rng, name="inception_3a"):
    one = [Conv2d(3, 4, 1, rng=rng, dtype=np.float64, name="1x1"), ReLU(name="relu_1x1")]
    three = [
        Conv2d(3, 2, 1, rng=rng, dtype=np.float64, name="3x3_reduce"),
        Conv2d(2, 5, 3, padding=1, rng=rng, dtype=np.float64, name="3x3"),
    ]
    pooled = [MaxPool2d(3, 1, 1, name="pool"), Conv2d(3, 1, 1, rng=rng, dtype=np.float64, name="pool_proj")]
    return Branches(one, three, pooled, name=name)


class TestBranches:
    def test_stacks_what_its_chains_make(self, rng):
        layer, x = module(rng), rng.normal(size=(2, 3, 6, 5))
        chains = [Sequential(*branch.layers) for branch in layer.branches]
        y = layer(x)
        assert y.shape == (2, 10, 6, 5)
        assert layer.out_channels == 10
        np.testing.assert_array_equal(y[:, :4], chains[0](x))
        np.testing.assert_array_equal(y[:, 4:9], chains[1](x))
        np.testing.assert_array_equal(y[:, 9:], chains[2](x))

    def test_the_gradient_is_the_sum_over_the_branches(self, rng):
        layer, x = module(rng), rng.normal(size=(2, 3, 6, 5))
        dy = rng.normal(size=layer(x).shape)
        whole = layer.backward(dy)
        with_all = {name: gradient.copy() for name, gradient in layer.grads.items()}
        layer.zero_grad()
        parts = []
        for start, stop in ((0, 4), (4, 9), (9, 10)):
            alone = np.zeros_like(dy)
            alone[:, start:stop] = dy[:, start:stop]
            layer(x)
            parts.append(layer.backward(alone))
            assert np.abs(parts[-1]).max() > 0.01
        close(whole, sum(parts))
        for name, gradient in layer.grads.items():
            close(gradient, with_all[name])

    def test_names_are_caffes(self, rng):
        net = Sequential(module(rng), Conv2d(10, 2, 1, name="score"))
        names = [f"inception_3a/{layer}" for layer in ("1x1", "3x3_reduce", "3x3", "pool_proj")] + ["score"]
        expected = [f"{name}.{kind}" for name in names for kind in ("weight", "bias")]
        assert list(net.params) == list(net.grads) == list(net.state_dict()) == expected
        assert net.layers[0].children["3x3"].label == "Conv2d 'inception_3a/3x3'"
        other = Sequential(module(np.random.default_rng(9)), Conv2d(10, 2, 1, name="score"))
        other.load_state_dict(net.state_dict())
        x = rng.normal(size=(1, 3, 4, 4))
        np.testing.assert_array_equal(other(x), net(x))

    def test_generators_have_the_same_names(self):
        rng = np.random.default_rng(3)
        drop = [Dropout(rng=rng, name="drop"), Conv2d(3, 1, 1, name="score")]
        assert Sequential(Branches(drop, name="module")).generators() == {"module/drop.rng": rng}

    def test_modes_and_dtype_reach_every_branch(self, rng):
        layer = module(rng).eval()
        assert not any(inner.training for branch in layer.branches for inner in branch.layers)
        layer(x := rng.normal(size=(1, 3, 4, 4)))
        with pytest.raises(RuntimeError, match="before forward"):
            layer.backward(rng.normal(size=(1, 10, 4, 4)))
        layer.train().astype(np.float32)
        assert layer(x.astype(np.float32)).dtype == np.float32

    def test_refusals(self, rng):
        with refuses("at least one chain"):
            Branches()
        with refuses("'one' is taken"):
            Branches([Conv2d(3, 1, 1, name="one")], [Conv2d(3, 1, 1, name="one")])
        with refuses("'output' is taken"):
            Branches([Conv2d(3, 1, 1, name="output")])
        with refuses("each branch must be a list of layers; got Conv2d"):
            Branches(Conv2d(3, 1, 1, name="one"))
        with refuses("each branch needs a convolution"):
            Branches([ReLU(name="relu")])
        smaller = Branches(
            [Conv2d(3, 1, 1, name="one")], [Conv2d(3, 1, 1, name="two"), AvgPool2d(2, name="pool")], name="module"
        )
        words = "Branches 'module' stacks maps of one size", "Conv2d 'module/one' 6x4, AvgPool2d 'module/pool' 3x2"
        with refuses(*words):
            smaller(rng.normal(size=(2, 3, 6, 4)).astype(np.float32))


class TestConcat:
    def test_backward_cuts_where_forward_stacked(self, rng):
        layer, maps = Concat(), [rng.normal(size=(2, c, 4, 3)) for c in (3, 1, 2)]
        y = layer(*maps)
        np.testing.assert_array_equal(y, np.concatenate(maps, axis=1))
        parts = layer.backward(dy := rng.normal(size=y.shape))
        assert [part.shape[1] for part in parts] == [3, 1, 2]
        np.testing.assert_array_equal(np.concatenate(parts, axis=1), dy)

    def test_maps_of_two_batches(self, rng):
        with refuses("Concat joins maps of equal height and width; got (2, 3, 4, 3), (1, 3, 4, 3)"):
            Concat()(rng.normal(size=(2, 3, 4, 3)), rng.normal(size=(1, 3, 4, 3)))
        with refuses("Concat joins maps"):
            Concat()()


class TestSum:
    @pytest.mark.parametrize(("scale", "number"), [(1.0, 1), (1.0, 2), (0.5, 2), (0.25, 3)])
    def test_adds_and_hands_back_the_same_to_all(self, scale, number, rng):
        layer, maps = Sum(scale), [rng.normal(size=(2, 3, 4, 5)) for _ in range(number)]
        before = [x.copy() for x in maps]
        close(layer(*maps), scale * np.sum(maps, axis=0))
        dy = rng.normal(size=(2, 3, 4, 5))
        parts = layer.backward(dy)
        assert len(parts) == number
        for part, x, kept in zip(parts, maps, before):
            close(part, scale * dy)
            np.testing.assert_array_equal(x, kept)

    def test_keeps_float32(self, rng):
        x = rng.normal(size=(1, 2, 3, 3)).astype(np.float32)
        layer = Sum(0.5)
        assert layer(x, x).dtype == np.float32
        assert layer.backward(x)[0].dtype == np.float32

    def test_other_channels_are_refused(self, rng):
        with refuses("Sum 'score_fused' joins maps of equal shape; got (1, 2, 3, 3), (1, 1, 3, 3)"):
            Sum(name="score_fused")(rng.normal(size=(1, 2, 3, 3)), rng.normal(size=(1, 1, 3, 3)))

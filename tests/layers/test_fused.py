"""Chains compute some layers in one pass: which layers these are, and that the numbers stay the same."""

import numpy as np
import pytest

from fcn_from_scratch import plain
from fcn_from_scratch.engine import im2col
from fcn_from_scratch.engine.workspace import Workspace
from fcn_from_scratch.layers import AvgPool2d, Conv2d, Dropout, MaxPool2d, MaxUnpool2d, ReLU, Sequential
from fcn_from_scratch.layers.fused import groups, unobserved
from fcn_from_scratch.models.trunk import Trunk


class OwnReLU(ReLU):
    """A subclass may do something else."""


class TestGroups:
    """In eval mode, in which nobody asks a layer for its gradient."""

    def lengths(self, layers, taps=()):
        return [len(names) for names in groups(Sequential(*layers).eval().children, taps)]

    def test_in_training_mode_a_pool_stands_alone(self):
        net = Sequential(Conv2d(3, 3, 3), ReLU(), MaxPool2d(2))
        assert list(groups(net.children)) == [["0", "1"], ["2"]]
        with unobserved(net):
            assert list(groups(net.children)) == [["0", "1", "2"]]
        assert list(groups(net.children)) == [["0", "1"], ["2"]]

    def test_covers_the_chain_in_order(self):
        layers = [ReLU(), Conv2d(3, 3, 3), ReLU(), MaxPool2d(2), MaxPool2d(2), Conv2d(3, 3, 3), ReLU(), Conv2d(3, 3, 1)]
        assert list(groups(Sequential(*layers).eval().children)) == [["0"], ["1", "2", "3"], ["4"], ["5", "6"], ["7"]]

    @pytest.mark.parametrize(
        "pool",
        [
            MaxPool2d(3),
            MaxPool2d(2, 1),
            MaxPool2d((2, 1)),
            MaxPool2d(2, padding=1),
            MaxPool2d(2, 2, 0, 2),
            AvgPool2d(2),
        ],
    )
    def test_other_pools_stand_alone(self, pool):
        assert self.lengths([Conv2d(3, 3, 3), ReLU(), pool]) == [2, 1]

    def test_what_may_do_something_else_stands_alone(self):
        assert self.lengths([Conv2d(3, 3, 3), OwnReLU(), MaxPool2d(2)]) == [1, 1, 1]
        assert self.lengths([Conv2d(3, 3, 3), Dropout(), ReLU(), MaxPool2d(2)]) == [1, 1, 1, 1]

    @pytest.mark.parametrize("method", ["forward", "_forward"])
    def test_a_layer_with_a_replaced_method_stands_alone(self, method):
        replaced = ReLU()
        setattr(replaced, method, lambda x: x)
        assert self.lengths([Conv2d(3, 3, 3), replaced, MaxPool2d(2)]) == [1, 1, 1]

    @pytest.mark.parametrize(("tap", "lengths"), [("0", [1, 1, 1]), ("1", [2, 1]), ("2", [3])])
    def test_a_tap_ends_a_group(self, tap, lengths):
        assert self.lengths([Conv2d(3, 3, 3), ReLU(), MaxPool2d(2)], (tap,)) == lengths


CONVS = {
    "im2col": {"kernel_size": (3, 2), "stride": (1, 2), "padding": 1},
    "im2col, even": {"kernel_size": (3, 5), "stride": (2, 1), "padding": (1, 2), "dilation": (2, 1)},
    "groups": {"kernel_size": 3, "groups": 3},
    "wide": {"kernel_size": (3, 4), "algorithm": "wide"},
    "winograd": {"kernel_size": 3, "padding": (1, 2), "algorithm": "winograd"},
}


def layers_of(options, ceil_mode, dtype, bias=True):
    rng = np.random.default_rng(1)
    conv = Conv2d(3, 6, **options, bias=bias, rng=rng, dtype=dtype)
    for array in conv.params.values():
        array[...] = rng.normal(size=array.shape)
    return [conv, ReLU(), MaxPool2d(2, ceil_mode=ceil_mode)]


@pytest.mark.parametrize("ceil_mode", [False, True])
@pytest.mark.parametrize("size", [(9, 14), (16, 17), (5, 6), (7, 23)])
@pytest.mark.parametrize("conv", CONVS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("workspace", [None, Workspace()], ids=["new", "workspace"])
@pytest.mark.parametrize("pooled", [False, True])
def test_one_pass_gives_the_numbers_of_three(rng, ceil_mode, size, conv, dtype, workspace, pooled):
    together, apart = (layers_of(CONVS[conv], ceil_mode, dtype)[: 3 if pooled else 2] for _ in range(2))
    x = rng.normal(size=(2, 3, *size)).astype(dtype)
    net = Sequential(*together).use(workspace)
    y = x
    for layer in apart:
        y = layer(y)
    dy = rng.normal(size=y.shape).astype(dtype)
    with unobserved(net):
        np.testing.assert_array_equal(net(x), y)
        dx, back = net.backward(dy), dy
        if pooled:
            np.testing.assert_array_equal(together[2].indices, apart[2].indices)
            assert together[2].input_size == apart[2].input_size
    for layer in reversed(apart):
        back = layer.backward(back)
    np.testing.assert_array_equal(dx, back)
    for ours, theirs in zip(together[0].grads.values(), apart[0].grads.values()):
        np.testing.assert_array_equal(ours, theirs)
    assert dx.dtype == y.dtype == dtype
    with pytest.raises(RuntimeError, match="forward"):
        net.backward(dy)
    assert not pooled or together[2].indices is None
    np.testing.assert_array_equal(net.eval()(x), y)
    with pytest.raises(RuntimeError, match="forward"):
        net.backward(dy)


@pytest.mark.parametrize("options", CONVS.values(), ids=CONVS)
def test_any_array_module(xp, rng, options):
    net = Sequential(*layers_of(options, True, "float64", bias=False))
    x = rng.normal(size=(2, 3, 9, 14))
    with plain():
        y = net(x)
        dy = rng.normal(size=y.shape)
        dx, grad = net.backward(dy), net.grads["0.weight"].copy()
    net.zero_grad()
    for arrays in (net.layers[0].params, net.layers[0].grads):
        arrays["weight"] = xp.asarray(arrays["weight"])
    with unobserved(net):
        np.testing.assert_allclose(to_host(net(xp.asarray(x))), y, atol=1e-12)
        np.testing.assert_allclose(to_host(net.backward(xp.asarray(dy))), dx, atol=1e-12)
    np.testing.assert_allclose(to_host(net.grads["0.weight"]), grad, atol=1e-11)


def to_host(array):
    return array if isinstance(array, np.ndarray) else array.get()


@pytest.mark.parametrize("budget", [1, 20_000, 50_000])
def test_blocks_of_windows(rng, monkeypatch, budget):
    """Blocks of one row of windows, of some rows, and of a whole image."""
    monkeypatch.setattr(im2col, "BLOCK_BYTES", budget)
    x = rng.normal(size=(3, 3, 21, 24)).astype(np.float32)
    together, apart = (layers_of(CONVS["im2col, even"], False, "float32") for _ in range(2))
    y = x
    for layer in apart:
        y = layer(y)
    np.testing.assert_array_equal(Sequential(*together).eval()(x), y)
    np.testing.assert_array_equal(together[2].indices, apart[2].indices)


def test_a_tapped_relu_is_handed_out(rng):
    layers = [Conv2d(3, 4, 3, name="conv"), ReLU(name="relu"), MaxPool2d(2, name="pool")]
    x = rng.normal(size=(2, 3, 9, 8)).astype(np.float32)
    top, maps = Trunk(*layers, taps=("relu",))(x)
    np.testing.assert_array_equal(maps["relu"], np.maximum(layers[0](x), 0))
    assert top.shape == (2, 4, 3, 3)


def test_where_nothing_is_positive_nothing_learns(rng):
    net = Sequential(*layers_of(CONVS["winograd"], True, "float64"))
    net.layers[0].params["bias"][...] = -1000
    with unobserved(net):
        y = net(rng.normal(size=(2, 3, 9, 14)))
        assert (y == 0).all()
        assert (net.backward(rng.normal(size=y.shape)) == 0).all()
        assert (net.layers[2].indices < 9 * 2 * 18).all()


@pytest.mark.parametrize("make", [Sequential, Trunk])
def test_inside_plain_every_layer_runs_alone(rng, monkeypatch, make):
    seen = []
    monkeypatch.setattr("fcn_from_scratch.layers.fused.run", lambda layers, x, winners: seen.append(len(layers)) or x)
    net, x = make(Conv2d(3, 4, 3), ReLU(), MaxPool2d(2)).eval(), rng.normal(size=(2, 3, 9, 8))
    with plain():
        net(x)
    assert seen == []
    net(x)
    assert seen == [3]


@pytest.mark.parametrize("width", [4, 64])
def test_a_trunk_in_eval_mode_keeps_the_maxima_that_are_undone(rng, width):
    pool = MaxPool2d(2, name="pool")
    net = Trunk(Conv2d(width, width, 3, padding=1, rng=rng, name="conv"), ReLU(name="relu"), pool).eval()
    x = rng.normal(size=(1, width, 36, 38)).astype(np.float32)
    expected = net(x)[0]
    with pytest.raises(RuntimeError, match="'pool' kept no positions"):
        pool.indices  # noqa: B018
    MaxUnpool2d(pool)
    np.testing.assert_array_equal(net(x)[0], expected)
    in_eval = pool.indices
    net.train()(x)
    np.testing.assert_array_equal(pool.indices, in_eval)

"""A workspace lends memory, gets it back when all views of an array are gone, and never lends it twice."""

import pickle
import threading

import numpy as np
import pytest

from fcn_from_scratch.engine import threads
from fcn_from_scratch.engine.workspace import COMMON, LEAST_BYTES, Workspace, empty_from
from fcn_from_scratch.layers import Conv2d, MaxPool2d, ReLU, Sequential, SkipFusion

LARGE = (LEAST_BYTES // 4, 2)  # twice the least, in float32


def place(array):
    return array.ctypes.data


def test_like_numpys_empty():
    array = Workspace().empty((3, LEAST_BYTES, 2), "float32")
    assert array.shape == (3, LEAST_BYTES, 2)
    assert array.dtype == np.float32
    assert array.flags.c_contiguous
    assert array.flags.writeable
    array[...] = 7
    assert array.sum(dtype=np.float64) == 7 * array.size
    assert Workspace().empty(5, "uint8").shape == (5,)


def test_memory_is_used_again_once_all_views_are_gone():
    workspace = Workspace()
    array = workspace.empty(LARGE, np.float32)
    first, view = place(array), array[3:].T
    del array
    other = workspace.empty(LARGE, np.float32)
    assert place(other) != first
    del view
    assert place(workspace.empty(LARGE, np.float32)) == first
    assert place(workspace.empty(LARGE, np.float64)) != first  # too small for twice the bytes


def test_what_is_held_is_never_lent_again():
    workspace, held = Workspace(), []
    for number in range(6):
        array = workspace.empty(LARGE, np.float32)
        array[...] = number
        held.append(array[::3] if number % 2 else array)
        workspace.empty(LARGE, np.float32)[...] = -1  # dropped at once
    for number, array in enumerate(held):
        assert (array == number).all()


def test_the_smallest_block_that_fits_is_taken_and_a_new_one_replaces_one_too_small():
    workspace = Workspace()
    arrays = [workspace.empty((n, *LARGE), np.float32) for n in (3, 1, 2)]
    places = [place(array) for array in arrays]
    del arrays
    assert place(workspace.empty((2, *LARGE), np.float32)) == places[2]
    workspace.empty((1, *LARGE), np.float32)
    assert len(workspace._free) + len(workspace._returned) == 3
    workspace.empty((4, *LARGE), np.float32)
    assert len(workspace._free) + len(workspace._returned) == 3


def test_several_threads():
    workspace, wrong = Workspace(), []

    def work(number):
        for _ in range(200):
            array = workspace.empty(LARGE, np.float32)
            array[::64] = number
            if not (array[::64] == number).all():
                wrong.append(number)

    several = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in several:
        thread.start()
    for thread in several:
        thread.join()
    assert not wrong


def test_other_array_modules_have_their_own(xp):
    make = empty_from(Workspace(), xp)
    assert (make is xp.empty) == (xp is not np)
    assert empty_from(None, xp) == (COMMON.empty if xp is np else xp.empty)


SIZE, EMPTY = LEAST_BYTES * 2, np.empty


class TestLimit:
    def kept(self, workspace):
        """The bytes of the blocks that are free."""
        workspace.empty(SIZE // 2 - 1, np.uint8)  # too small for a block, so it only brings the returned ones home
        return sum(map(len, [*workspace._free, *workspace._returned]))

    def test_free_memory_stays_below_it(self):
        workspace = Workspace(most=5 * SIZE)
        arrays = [workspace.empty(SIZE * n, np.uint8) for n in (1, 2, 3, 4)]
        del arrays
        held = workspace.empty(SIZE * 5, np.uint8)  # larger than each of the free blocks
        assert self.kept(workspace) == 0
        del held
        assert self.kept(workspace) == 5 * SIZE
        workspace.empty(SIZE, np.uint8)  # a fifth of that block would be used
        assert self.kept(workspace) <= 5 * SIZE

    def test_a_small_array_does_not_hold_a_large_block(self):
        workspace = Workspace(most=8 * SIZE)
        large = workspace.empty(4 * SIZE, np.uint8)
        first = place(large)
        del large
        small = workspace.empty(SIZE, np.uint8)
        assert place(workspace.empty(3 * SIZE, np.uint8)) == first
        assert len(small.base.block) == SIZE

    def test_a_pickled_workspace_keeps_it(self):
        assert pickle.loads(pickle.dumps(Workspace(most=7))).most == 7


def test_a_loop_over_layers_uses_the_memory_of_the_round_before(rng):
    """Without any workspace of its own."""
    layers = [Conv2d(3, 16, 3, padding=1, rng=rng), ReLU(), MaxPool2d(2), Conv2d(16, 20, 3, rng=rng), ReLU()]
    x = rng.standard_normal((4, 3, 64, 66)).astype(np.float32)

    def step():
        y = x
        for layer in layers:
            y = layer(y)
        for layer in reversed(layers):
            y = layer.backward(y)

    made = []
    for _ in range(4):
        step()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(np, "empty", lambda *args, **kwargs: made.append(args) or EMPTY(*args, **kwargs))
        step()
    assert not [args for args in made if args[1:] == (np.uint8,) and np.prod(args[0]) >= LEAST_BYTES]


class Counting(Workspace):
    """A workspace that keeps a list of all blocks it ever made."""

    def __init__(self):
        super().__init__()
        self.made = {}

    def _block(self, size):
        block = super()._block(size)
        return self.made.setdefault(id(block), block)


def test_a_network_steps_on_the_same_memory(rng, monkeypatch):
    """After a few steps each large array finds a block from a step before. Blocks only grow, so this must happen."""
    monkeypatch.setattr(threads, "workers", lambda: 1)  # two may hold more at once in one step than in another
    workspace = Counting()
    net = Sequential(
        Conv2d(3, 64, 3, padding=1, rng=rng),
        ReLU(),
        Conv2d(64, 64, 3, padding=1, rng=rng),
        ReLU(),
        MaxPool2d(2, ceil_mode=True),
        Conv2d(64, 5, 1, rng=rng),
    ).use(workspace)
    x = rng.normal(size=(1, 3, 61, 54)).astype(np.float32)

    def step():
        net.zero_grad()
        y = net(x)
        net.backward(np.ones_like(y))
        return y.copy(), {name: grad.copy() for name, grad in net.grads.items()}

    y, grads = step()
    for _ in range(5):
        step()
    blocks = len(workspace.made)
    again, grads_again = step()
    assert len(workspace.made) == blocks > 0
    np.testing.assert_array_equal(again, y)
    for name, grad in grads.items():
        np.testing.assert_array_equal(grads_again[name], grad)
    net.use(None)
    np.testing.assert_array_equal(step()[0], y)


@pytest.mark.parametrize("make", [lambda: Sequential(Conv2d(2, 3, 1)), lambda: SkipFusion(2, 3)])
def test_use_reaches_the_layers_inside(make):
    workspace = Workspace()
    layer = make().use(workspace)
    inner = layer.score if isinstance(layer, SkipFusion) else layer.layers[0]
    assert inner.workspace is workspace
    assert layer.use(None).workspace is inner.workspace is None


def test_a_network_with_a_workspace_is_pickled(rng):
    """As a trained network is. The copy gets a workspace of its own, one for all of its layers."""
    net = Sequential(Conv2d(2, 3, 1, rng=rng), ReLU()).use(Workspace())
    copy = pickle.loads(pickle.dumps(net))
    assert isinstance(copy.workspace, Workspace)
    assert copy.workspace is copy.layers[0].workspace is not net.workspace
    np.testing.assert_array_equal(copy.params["0.weight"], net.params["0.weight"])
    assert copy.workspace.empty((3, 5)).shape == (3, 5)

"""A workspace lends memory, gets it back when all views of an array are gone, and never lends it twice."""

import pickle
import threading

import numpy as np
import pytest

from fcn_from_scratch import ops
from fcn_from_scratch.engine import threads
from fcn_from_scratch.engine.workspace import COMMON, LEAST_BYTES, Workspace, empty_from
from fcn_from_scratch.layers import BilinearUpsample, Conv2d, MaxPool2d, ReLU, Sequential, SkipFusion

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


def test_the_smallest_part_that_fits_is_taken_and_a_new_block_replaces_one_too_small():
    workspace = Workspace(block=0)
    arrays = [workspace.empty((n, *LARGE), np.float32) for n in (3, 1, 2)]
    places, size = [place(array) for array in arrays], arrays[1].nbytes
    del arrays
    assert workspace.free_bytes == 6 * size
    assert place(workspace.empty((2, *LARGE), np.float32)) == places[2]
    assert place(workspace.empty((1, *LARGE), np.float32)) == places[1]
    assert workspace.free_bytes == 6 * size
    workspace.empty((4, *LARGE), np.float32)
    assert workspace.free_bytes == 7 * size  # 4 + 1 + 2: it replaces the largest


def test_a_large_map_leaves_its_memory_to_smaller_ones():
    workspace = Workspace(block=0)
    first = place(workspace.empty((4, *LARGE), np.float32))
    smaller = [workspace.empty((n, *LARGE), np.float32) for n in (1, 2, 1)]
    size = smaller[0].nbytes
    assert [place(array) - first for array in smaller] == [0, size, 3 * size]
    assert workspace.free_bytes == 0
    del smaller[1], smaller[0]  # neighbours: together they hold three
    assert place(workspace.empty((3, *LARGE), np.float32)) == first
    smaller.clear()
    assert place(workspace.empty((4, *LARGE), np.float32)) == first


def test_arrays_share_one_large_block():
    workspace = Workspace(block=9 * SIZE)
    arrays = [workspace.empty((n * SIZE,), np.uint8) for n in (1, 2, 3)]
    assert [place(array) - place(arrays[0]) for array in arrays] == [0, SIZE, 3 * SIZE]
    assert workspace.free_bytes == 3 * SIZE
    larger = workspace.empty((10 * SIZE,), np.uint8)
    assert workspace.free_bytes == 3 * SIZE, "one that does not fit gets a block of its own size"
    del arrays, larger
    assert workspace.free_bytes == 19 * SIZE


def test_without_room_for_a_large_block_a_small_one_will_do(monkeypatch):
    def empty(size, *rest):
        if size > 2 * SIZE:
            raise MemoryError
        return EMPTY(size, *rest)

    workspace = Workspace(block=3 * SIZE)
    monkeypatch.setattr(np, "empty", empty)
    assert workspace.empty((2 * SIZE,), np.uint8).size == 2 * SIZE
    with pytest.raises(MemoryError):
        workspace.empty((4 * SIZE,), np.uint8)


@pytest.mark.parametrize("seed", range(3))
def test_no_two_arrays_overlap(seed):
    """Arrays of random sizes come and go. Each is filled with its own number, and must still hold it when it goes."""
    rng, workspace, held = np.random.default_rng(seed), Workspace(block=0), {}
    for number in range(150):
        array = workspace.empty((LEAST_BYTES + int(rng.integers(LEAST_BYTES)),), np.uint8)
        array[...] = number
        held[number] = array
        if len(held) > 6:
            gone = int(rng.choice(list(held)))
            assert (held.pop(gone) == gone).all()
    for number, array in held.items():
        assert (array == number).all()
    del array
    held.clear()
    assert workspace.free_bytes <= 2 * 7 * 2 * LEAST_BYTES


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
    def test_free_memory_stays_below_it(self):
        workspace = Workspace(most=4 * SIZE)
        arrays = [workspace.empty(SIZE, np.uint8) for _ in range(7)]
        assert workspace.free_bytes == 0
        del arrays
        assert workspace.free_bytes == 4 * SIZE

    def test_a_block_in_use_is_kept(self):
        workspace = Workspace(most=8 * SIZE)
        place_before = place(workspace.empty(2 * SIZE, np.uint8))
        held = workspace.empty(SIZE, np.uint8)
        held[...] = 5
        del held  # both halves of the block are free: they are one part again
        assert place(workspace.empty(2 * SIZE, np.uint8)) == place_before

    def test_large_arrays_are_not_taken(self):
        workspace = Workspace(most=4 * SIZE)
        array = workspace.empty(SIZE + 1, np.uint8)
        assert array.base is None
        del array
        assert workspace.free_bytes == 0

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

    def _part(self, size):
        part = super()._part(size)
        self.made.setdefault(id(part.block), part.block)
        return part


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


def test_upsampled_scores_lie_in_it(rng):
    """At the end of a large network its maps have left memory for them. In training they lie elsewhere."""
    workspace = Workspace(block=0)
    layer = BilinearUpsample(16, 8, 4).use(workspace)
    x = rng.normal(size=(1, 3, 50, 60)).astype(np.float32)
    for training in (True, False):
        y, size = layer.train(training)(x), 4 * 3 * 400 * 480
        np.testing.assert_array_equal(y, ops.bilinear_upsample(x, 16, 8, 4))
        del y
        assert workspace.free_bytes == (0 if training else -(-size // 4096) * 4096)


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

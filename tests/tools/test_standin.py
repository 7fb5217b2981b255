"""The stand-in for CuPy refuses what CuPy refuses, and computes what NumPy computes."""

import sys

import numpy as np
import pytest
import standin

from fcn_from_scratch.backend import get_array_module, to_device, to_numpy

HOST = np.arange(6.0).reshape(2, 3)


@pytest.fixture
def x(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", standin)
    return standin.asarray(HOST)


@pytest.mark.parametrize(
    "mix",
    [
        lambda x: x + HOST,
        lambda x: HOST + x,
        lambda x: HOST @ x.T,
        lambda x: x > HOST,
        lambda x: x.__iadd__(HOST),
        lambda x: HOST.__iadd__(x),
        lambda x: standin.exp(HOST),
        lambda x: standin.concatenate([x, HOST]),
        lambda x: standin.where(x > 0, x, HOST),
        lambda x: x[np.array([0, 1])],
        lambda x: x.__setitem__(0, HOST[0]),
        lambda x: np.asarray(x),
        lambda x: np.exp(x),
        lambda x: np.concatenate([x, x]),
        lambda x: np.testing.assert_array_equal(x, HOST),
    ],
)
def test_the_two_kinds_of_array_do_not_mix(x, mix):
    with pytest.raises(TypeError):
        mix(x)


@pytest.mark.parametrize(
    "use",
    [
        lambda x: standin.block,
        lambda x: standin.insert,
        lambda x: standin.nditer,
        lambda x: standin.errstate,
        lambda x: standin.maximum.reduce,
        lambda x: standin.exp.at,
        lambda x: standin.no_such_function,
        lambda x: x.setflags,
        lambda x: x.no_such_method,
        lambda x: standin.random.default_rng(0).permutation,
        lambda x: standin.random.default_rng(0).normal,
    ],
)
def test_what_cupy_lacks_is_missing(x, use):
    with pytest.raises(AttributeError):
        use(x)


@pytest.mark.parametrize(
    "call",
    [
        lambda x: standin.sum(x, where=x > 1),
        lambda x: x.max(initial=0),
        lambda x: standin.take(x, 0, mode="clip"),
        lambda x: standin.lib.stride_tricks.as_strided(x, (2,), (8,), writeable=False),
    ],
)
def test_keywords_that_cupy_lacks_are_refused(x, call):
    with pytest.raises(TypeError, match="unexpected keyword"):
        call(x)


def test_the_rest_computes(x):
    y = standin.zeros_like(x)
    standin.add.at(y, (standin.asarray([0, 0]), standin.asarray([1, 1])), 2.5)
    y[1] = (2 * x - np.float64(1))[0]
    y += -x
    assert to_numpy(y).tolist() == [[0, 4, -2], [-4, -3, -2]]
    assert to_numpy(standin.einsum("ij,kj->ik", x, x)).tolist() == (HOST @ HOST.T).tolist()
    assert to_numpy(standin.pad(x, 1)).sum() == 15
    assert [float(row.sum()) for row in x] == [3, 12]


def test_reductions_give_arrays(x):
    total = x.sum()
    assert isinstance(total, standin.ndarray)
    assert total.shape == ()
    assert float(total) == 15
    assert bool((x >= 0).all())


def test_what_nobody_wrote_shows():
    assert np.isnan(standin.asnumpy(standin.empty((2, 3)))).all()
    assert (standin.asnumpy(standin.empty(3, np.int64)) == -1).all()


def test_the_backend_takes_it_for_cupy(x):
    assert get_array_module(x, None) is standin
    assert get_array_module(HOST) is np
    with pytest.raises(ValueError, match="different devices"):
        get_array_module(x, HOST)
    host = to_numpy(x)
    assert type(host) is np.ndarray
    host[:] = -1
    assert to_numpy(x).tolist() == HOST.tolist()


def test_memory_lies_on_the_device_as_it_did_here(x):
    """asarray and asnumpy keep C and Fortran order alone, and a layer's weights lie channels last."""
    host = np.arange(120.0).reshape(2, 4, 5, 3).transpose(0, 3, 1, 2)
    there = to_device(host, "cuda")
    assert there.strides == host.strides
    assert to_device(there, "cuda") is there
    assert to_device(host, "cpu") is host
    back = to_numpy(there)
    assert back.strides == host.strides
    np.testing.assert_array_equal(back, host)
    assert to_device(3.5, "cuda").shape == ()
    assert to_device([1, 2], "cuda").shape == (2,)


def test_cupy_cuda_has_what_the_stand_in_has():
    """Names from CuPy itself: kernels/freeze_cupy.py."""
    real, here = standin.CUPY["cuda"], vars(standin.cuda)
    assert set(here) <= set(real["module"])
    assert set(vars(standin.cuda.runtime)) <= set(real["runtime"])
    for name in ("Device", "Event", "MemoryHook"):
        mine = {attribute for attribute in vars(here[name]) if not attribute.startswith("_")}
        assert mine - {"hooks"} <= set(real[name])
    assert "used_bytes" in real["MemoryPool"]


def test_axes_lie_as_cupy_lays_them():
    """Channels last does not outlive the way to the device; C's order and Fortran's do."""
    last = np.ascontiguousarray(np.ones((2, 3, 4, 5), np.float32)).transpose(0, 3, 1, 2)
    assert standin.asarray(last).flags.c_contiguous
    assert standin.asarray(HOST).flags.c_contiguous
    assert standin.asarray(HOST.T).flags.f_contiguous
    assert standin.asarray(HOST.T, order="C").flags.c_contiguous


def test_the_pool_counts_what_is_alive(x):
    """What `empty` made, and no other array."""

    class Watch(standin.cuda.MemoryHook):
        name, seen = "watch", ()

        def malloc_postprocess(self, **given):
            self.seen = *self.seen, given["size"]

    pool = standin.get_default_memory_pool()
    before = pool.used_bytes()
    with Watch() as watch:
        first = standin.empty((3, 4), np.float32)
        assert pool.used_bytes() - before == 48
        del first
        standin.empty(2)
    standin.empty(5)
    assert watch.seen == (48, 16)
    assert pool.used_bytes() == before


@pytest.mark.parametrize(
    "compute",
    [
        lambda x: x + x,
        lambda x: 2 * x,
        lambda x: -x,
        lambda x: x > 0,
        lambda x: standin.exp(x),
        lambda x: standin.where(x > 0, x, x),
    ],
)
def test_what_is_computed_lies_in_c_order(x, compute):
    """As CuPy's results. NumPy's lie as their operands."""
    turned = x.T
    assert not turned.flags.c_contiguous
    assert compute(turned).flags.c_contiguous


def test_copies_of_maps_in_another_order_are_counted(x):
    image = x.reshape(1, 1, 2, 3)
    standin.counts.clear()
    standin.ascontiguousarray(image)
    assert not standin.counts
    turned = standin.ascontiguousarray(image.transpose(0, 3, 2, 1))
    assert standin.counts == {("transposed", (1, 3, 2, 1)): 1}
    assert turned.flags.c_contiguous

"""The stand-in for CuPy refuses what CuPy refuses, and computes what NumPy computes."""

import sys

import numpy as np
import pytest
import standin

from fcn_from_scratch.backend import get_array_module, to_numpy

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

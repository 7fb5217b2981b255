"""Several threads give the results of one, exceptions are passed on, and BLAS keeps its number of threads."""

import threading
import time

import numpy as np
import pytest

from fcn_from_scratch import ops
from fcn_from_scratch.engine import im2col, threads
from fcn_from_scratch.ops.loops import conv2d_loops

needs_blas = pytest.mark.skipif(threads._blas() is None, reason="NumPy's BLAS here is not an OpenBLAS we can steer")


@pytest.fixture
def several(monkeypatch):
    """Three workers, and blocks so small that each worker gets some."""
    monkeypatch.setattr(threads, "workers", lambda: 3)
    monkeypatch.setattr(im2col, "LEAST_BYTES", 1)
    threads._team.cache_clear()
    yield
    threads._team().close()
    threads._team.cache_clear()


@pytest.mark.parametrize("groups", [1, 3])
@pytest.mark.parametrize("images", [1, 5])
def test_threads_agree_with_the_loops(several, rng, images, groups):
    x, w = rng.normal(size=(images, 3, 9, 8)), rng.normal(size=(6, 3 // groups, 3, 2))
    args = {"stride": (2, 1), "padding": 1, "groups": groups}
    y = ops.conv2d(x, w, None, **args)
    np.testing.assert_allclose(y, conv2d_loops(x, w, None, **args), rtol=0, atol=1e-12)
    dy, v = rng.normal(size=y.shape), rng.normal(size=w.shape)
    dweight = ops.conv2d_weight_grad(dy, x, w, **args)
    np.testing.assert_allclose((dweight * v).sum(), (dy * conv2d_loops(x, v, None, **args)).sum(), rtol=1e-10)


def test_gradients_do_not_depend_on_which_thread_is_first(several, rng):
    x, dy = (rng.normal(size=(7, c, 12, 12)).astype(np.float32) for c in (4, 5))
    w = np.empty((5, 4, 3, 3), np.float32)
    first = ops.conv2d_weight_grad(dy, x, w, padding=1)
    assert all(np.array_equal(ops.conv2d_weight_grad(dy, x, w, padding=1), first) for _ in range(20))


def test_every_item_is_done_once(several):
    done = []
    threads.run(done.append, range(50))
    assert sorted(done) == list(range(50))


class TestMeanwhile:
    def test_another_thread_works_while_the_block_runs(self, several):
        begun, asked = threading.Event(), threading.Event()

        def wait_until_asked():
            begun.set()
            assert asked.wait(10)
            return threading.get_ident(), threads.workers(), threads.shares()

        with threads.meanwhile(wait_until_asked) as result:
            assert begun.wait(10)
            asked.set()
            thread, *_ = result()
            assert result() == result()
        assert thread != threading.get_ident()

    def test_who_has_not_begun_is_not_waited_for(self, several):
        """Every other thread has work that ends only afterwards, as in a fork, where no other thread exists."""
        free, pool = threading.Event(), threads._team()
        held = [pool.submit(free.wait, 20) for _ in range(pool.size)]
        begin = time.perf_counter()
        with threads.meanwhile(threading.get_ident) as result:
            assert result() == result() == threading.get_ident()
        assert time.perf_counter() - begin < 10
        free.set()
        assert all(each.result() for each in held)

    def test_without_another_thread_it_is_called_once_when_it_is_wanted(self, monkeypatch):
        monkeypatch.setattr(threads, "workers", lambda: 1)
        calls = []
        with threads.meanwhile(lambda: calls.append(threads.shares()) or len(calls)) as result:
            assert not calls
            assert [result(), result()] == [1, 1]
        assert calls == [1], "it counts as an item of `run`"

    def test_an_exception_comes_through(self, several):
        def wrong():
            raise ValueError("wrong")

        with pytest.raises(ValueError, match="wrong"), threads.meanwhile(wrong) as result:
            result()

    def test_nothing_runs_on_after_the_block(self, several):
        done = []

        def slow():
            time.sleep(0.2)
            done.append(1)

        with threads.meanwhile(slow):
            time.sleep(0.05)
        assert done == [1]

    def test_the_block_can_use_all_threads(self, several):
        done = []
        with threads.meanwhile(lambda: threads.run(done.append, range(5))) as result:
            threads.run(done.append, range(5, 50))
            result()
        assert sorted(done) == list(range(50))


@pytest.mark.parametrize("wrong", [0, 7])
def test_an_exception_comes_through(several, wrong):
    def work(item):
        if item == wrong:
            raise ValueError(f"item {item}")

    with pytest.raises(ValueError, match=f"item {wrong}"):
        threads.run(work, range(9))


def test_a_thread_may_share_out_work_itself(several):
    done = []
    threads.run(lambda outer: threads.run(lambda inner: done.append((outer, inner)), range(4)), range(5))
    assert sorted(done) == [(outer, inner) for outer in range(5) for inner in range(4)]


def test_inside_an_item_there_is_one_worker(monkeypatch):
    """What an item shares out stays in its thread. Later all threads are available again, even after an exception."""
    monkeypatch.setattr(threads, "most", lambda: 3)
    threads._team.cache_clear()

    def work(item):
        assert threads.workers() == 1
        here = []
        threads.run(lambda inner: here.append(threading.get_ident()), range(4))
        assert here == [threading.get_ident()] * 4
        if item == 5:
            raise KeyError

    with pytest.raises(KeyError):
        threads.run(work, range(6))
    assert threads.workers() == 3
    threads._team().close()
    threads._team.cache_clear()


def test_warnings_are_those_of_who_asks(several):
    """The caller's np.errstate holds in the other threads too."""

    def work(item):
        time.sleep(0.01)  # so that every thread gets some
        np.float32(3e38) * np.full(2, 9, np.float32)

    with np.errstate(over="ignore"):
        threads.run(work, range(9))
    with np.errstate(over="raise"), pytest.raises(FloatingPointError):
        threads.run(work, range(9))


def test_nothing_runs_on_after_an_exception_came_through(several):
    done = []

    def work(item):
        if item == 0:
            raise ValueError("item 0")
        time.sleep(0.01)
        done.append(item)

    with pytest.raises(ValueError, match="item 0"):
        threads.run(work, range(9))
    before = len(done)
    time.sleep(0.05)
    assert len(done) == before


def test_what_is_local_is_made_once_in_each_thread(several):
    made, used = [], []

    def local():
        made.append([])
        return made[-1]

    def work(item, own):
        own.append(item)
        used.append(threading.get_ident())

    threads.run(work, range(40), local)
    assert len(made) <= 3
    assert sorted(item for own in made for item in own) == list(range(40))
    assert len(set(used)) == sum(1 for own in made if own)


@pytest.mark.parametrize(("total", "count", "lengths"), [(7, 3, [2, 2, 3]), (2, 5, [1, 1]), (4, 0, [4]), (6, 1, [6])])
def test_split(total, count, lengths):
    parts = threads.split(total, count)
    assert [part.stop - part.start for part in parts] == lengths
    assert [part.start for part in parts] == [sum(lengths[:n]) for n in range(len(lengths))]


@pytest.mark.parametrize(
    ("total", "count", "lengths"),
    [
        (60, 6, [10] * 4 + [5] * 4),
        (61, 5, [12] * 3 + [6, 6, 6, 7]),
        (60, 4, [15] * 4),
        (6, 9, [1] * 6),
        (3, 9, [1] * 3),
        (1, 2, [1]),
    ],
)
def test_tapered(total, count, lengths):
    """The last slices have half the length, and all of them lie side by side from 0 to the total."""
    parts = threads.tapered(total, count)
    assert [part.stop - part.start for part in parts] == lengths
    assert [part.start for part in parts] == [0, *(part.stop for part in parts[:-1])]


@pytest.mark.parametrize(("numbers", "count"), [(0, 1), (1, 1), (1.9, 1), (2, 2), (5, 2), (8, 2), (8.9, 2), (9, 9)])
def test_pieces(numbers, count):
    """`numbers` is the size of the array, in units of AT_ONCE."""
    assert len(threads.pieces(100, int(numbers * threads.AT_ONCE))) == count
    assert len(threads.pieces(1, int(numbers * threads.AT_ONCE))) == 1


@needs_blas
def test_blas_is_left_as_it_was(several):
    get, put = threads._blas()
    before = get()
    try:
        put(2)

        @threads.one_blas_thread
        def inner(depth):
            assert get() == 1
            if depth:
                inner(depth - 1)
                assert get() == 1
                raise KeyError

        with pytest.raises(KeyError):
            inner(1)
        assert get() == 2
    finally:
        put(before)


def test_the_environment_decides(monkeypatch):
    monkeypatch.setattr(threads, "_blas", lambda: ("get", "put"))
    monkeypatch.setenv("FCN_THREADS", "5")
    assert threads.most.__wrapped__() == 5
    monkeypatch.setattr(threads, "_blas", lambda: None)
    assert threads.most.__wrapped__() == 1

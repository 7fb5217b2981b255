"""Training on several processes: always with threads in their place, and with mpiexec where MPI is installed."""

import itertools
import json
import os
import pickle
import re
import shutil
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from arrays import refuses
from hypothesis import given, settings
from hypothesis import strategies as st
from mpi_job import STEPS, Pictures, end_of, new_run

from fcn_from_scratch import backend, models
from fcn_from_scratch.backend import to_numpy
from fcn_from_scratch.cli import main
from fcn_from_scratch.engine import micro_batches, threads
from fcn_from_scratch.lab.mpi import group, launcher, parallel
from fcn_from_scratch.lab.mpi.group import Group
from fcn_from_scratch.layers import Dropout
from fcn_from_scratch.training import checkpoint, evaluation
from fcn_from_scratch.training.finite import DivergedError
from fcn_from_scratch.training.record import Record

TESTS = Path(__file__).resolve().parents[2]


class Rank:
    """The methods of an mpi4py communicator that Group uses, for ranks that are threads of this process."""

    def __init__(self, rank, shared):
        self.rank, self.shared, self.messages = rank, shared, 0

    def Get_rank(self):
        return self.rank

    def Get_size(self):
        return len(self.shared.values)

    def allgather(self, value):
        self.shared.values[self.rank] = pickle.dumps(value)
        self.shared.barrier.wait(60)
        everything = [pickle.loads(each) for each in self.shared.values]
        self.shared.barrier.wait(60)
        return everything

    def Allreduce(self, sent, received):
        assert isinstance(sent, np.ndarray), "a library that is not CUDA-aware gets NumPy's arrays"
        assert sent.flags.c_contiguous
        self.messages += 1
        received[...] = sum(self.allgather(sent))


class Shared:
    def __init__(self, size):
        self.values, self.barrier = [None] * size, threading.Barrier(size)


def on_ranks(size, work):
    """Run work(group) on `size` threads, the ranks of one job; returns the list of their results."""
    shared = Shared(size)

    def one(rank):
        try:
            return work(Group(Rank(rank, shared)))
        except Exception:
            shared.barrier.abort()
            raise

    with ThreadPoolExecutor(size) as pool:
        jobs = [pool.submit(one, rank) for rank in range(size)]
    errors = [job.exception() for job in jobs]
    for error in errors:
        if error is not None and not isinstance(error, threading.BrokenBarrierError):
            raise error
    return [job.result() for job in jobs]


def same(actual, expected, tolerance=1e-10):
    """Assert that two final states are equal, up to a share of each array's largest number."""
    assert actual.keys() == expected.keys()
    for name, array in expected.items():
        bound = tolerance * max(np.abs(array).max(), 1e-3)
        np.testing.assert_allclose(actual[name], array, rtol=0, atol=bound, err_msg=name)


# --- steps equal to those of one process ----------------------------------------------------------------------

WEIGHTS = np.array([0.2, 3.0, 1.0, 0.0, 7.0, 0.5])
RUNS = {
    "a mean over unevenly ignored pixels": {},
    "class weights": {"class_weight": WEIGHTS},
    "a sum": {"reduction": "sum"},
    "two batches a step": {"iter_size": 2},
    "two batches of one picture a step": {"iter_size": 5, "batch_size": 1},
    "two label maps": {"heads": 2, "class_weight": WEIGHTS},
    "a frozen trunk": {"freeze": True},
}


@pytest.mark.parametrize("size", [2, 3, 5])
@pytest.mark.parametrize("options", RUNS.values(), ids=RUNS)
def test_parts_equal_the_whole(options, size):
    """In float64, with dropout and pictures of many sizes. Nine pictures in batches of four: the last batch has one."""
    options = {**options, "batch_size": options.get("batch_size", 5 if size == 5 else 4)}
    whole = new_run(**options).run(4, progress=False)

    def work(ranks):
        run = new_run(ranks, **options).run(4, progress=False)
        return end_of(run), run.model.generators(), run.batches.state_dict()

    ends = on_ranks(size, work)
    for end, generators, batches in ends:
        same(end, end_of(whole))
        assert batches == whole.batches.state_dict()
        for name, generator in whole.model.generators().items():
            assert generators[name].bit_generator.state == generator.bit_generator.state
    for name, array in ends[0][0].items():
        assert all(np.array_equal(array, end[name]) for end, *_ in ends[1:]), f"{name}: every rank holds the same"


@pytest.mark.parametrize("size", [2, 4])
@pytest.mark.parametrize("broken", range(9))
def test_a_broken_picture_is_named_by_all_ranks_as_by_one_process(size, broken):
    """Only one rank reads it. If another blamed the learning rate, the advice would be wrong."""

    def message(run):
        prepared, total = run.batches.preprocess, Pictures()[broken].image.sum(dtype=int)
        run.batches.preprocess = lambda image: prepared(image) * (np.nan if image.sum(dtype=int) == total else 1)
        with pytest.raises(DivergedError) as caught:
            run.run(4, progress=False)
        return str(caught.value), caught.value.by_rate

    words, by_rate = message(new_run())
    assert words.endswith(f": {broken}")
    assert not by_rate
    assert on_ranks(size, lambda ranks: message(new_run(ranks))) == [(words, by_rate)] * size


def test_a_sum_may_be_as_large_as_all_ranks_pixels_allow():
    """The bound on a sum counts the pixels of all ranks and batches of the step, and the largest class weight."""
    options = {"reduction": "sum", "iter_size": 2, "batch_size": 2, "class_weight": 60 * WEIGHTS}
    whole = new_run(**options).run(1, progress=False).losses
    for losses in on_ranks(4, lambda ranks: new_run(ranks, **options).run(1, progress=False).losses):
        np.testing.assert_allclose(losses, whole, rtol=1e-10)


@pytest.mark.parametrize("options", RUNS.values(), ids=RUNS)
def test_parts_of_parts(options, monkeypatch):
    """Two ranks, whose threads cut their parts again (engine.micro_batches), take the step of the whole batch."""
    options = {**options, "batch_size": options.get("batch_size", 5)}
    whole = new_run(**options).run(3, progress=False)
    monkeypatch.setattr(micro_batches, "LEAST_PIXELS", 1)
    cuts = []
    run = micro_batches.MicroBatches.run
    monkeypatch.setattr(
        micro_batches.MicroBatches, "run", lambda self, slices, *rest: cuts.append(slices) or run(self, slices, *rest)
    )
    for end in on_ranks(2, lambda ranks: end_of(new_run(ranks, **options).run(3, progress=False))):
        same(end, end_of(whole))
    assert bool(cuts) == (options["batch_size"] > 1)


@pytest.mark.parametrize("batch_size", [2, 3])
def test_an_idle_rank_keeps_up(batch_size):
    """Nine pictures in batches of two: the last batch has one picture, so one rank has none."""
    whole = new_run(batch_size=batch_size).run(7, progress=False)
    for end in on_ranks(2, lambda ranks: end_of(new_run(ranks, batch_size=batch_size).run(7, progress=False))):
        same(end, end_of(whole))


def test_resumed_by_another_number(tmp_path):
    """Two steps by two ranks, then two steps by three ranks, equal four steps by one process."""

    def begin(ranks):
        run = new_run(ranks)
        run.run(2, save=lambda: checkpoint.save(tmp_path / f"by_{ranks.rank}.npz", run))

    def go_on(ranks):
        run = new_run(ranks)
        checkpoint.load(tmp_path / "by_0.npz", run)
        return end_of(run.run(4))

    on_ranks(2, begin)
    assert os.listdir(tmp_path) == ["by_0.npz"], "the first rank saves, and nobody else"
    for end in on_ranks(3, go_on):
        same(end, end_of(new_run().run(4, progress=False)))


def test_validation_is_shared(tmp_path):
    """Ranks that score while they train hold the same as one process. The first writes the files, nobody else."""
    pictures = Pictures(3)
    whole = new_run()
    alone = Record(whole, tmp_path / "one", lambda: evaluation.evaluate_heads(whole.model, pictures), every=1, last=3)
    alone.start()
    whole.run(3, progress=False, save=alone.save, watch=alone)

    def work(ranks):
        run = new_run(ranks)
        folder = tmp_path / "shared" if ranks.first else None
        record = Record(run, folder, lambda: parallel.evaluate_heads(ranks, run.model, pictures), every=1, last=3)
        record.start()
        run.run(3, save=record.save, watch=record)
        return end_of(run), record

    for end, record in on_ranks(2, work):
        same(end, end_of(whole))
        assert record.best["step"] == alone.best["step"]
        assert len(record.log.rows) == 3
        for row, expected in zip(record.log.rows, alone.log.rows):
            assert row.mean_iu == pytest.approx(expected.mean_iu, abs=1e-9)
    assert sorted(os.listdir(tmp_path)) == ["one", "shared"]
    assert sorted(os.listdir(tmp_path / "shared")) == sorted(os.listdir(tmp_path / "one"))


def test_each_picture_is_read_once():
    """A rank reads only its own pictures."""
    seen = []

    def work(ranks):
        run = new_run(ranks)
        read = run.batches.dataset.__getitem__
        run.batches.dataset = Counted(read, mine := [])
        run.run(2)
        seen.append(mine)

    on_ranks(2, work)
    assert sorted(map(len, seen)) == [4, 4]
    assert not set(seen[0]) & set(seen[1])


class Counted(Pictures):
    def __init__(self, read, seen):
        super().__init__()
        self.read, self.seen = read, seen

    def __getitem__(self, index):
        self.seen.append(index)
        return self.read(index)


def test_ranks_that_start_differently_are_refused():
    def work(ranks):
        run = new_run(ranks)
        run.model.params["conv1_1.bias"][0] += 1e-12 * ranks.rank
        run.run(1)

    with refuses("the 2 processes differ in the state of the run at step 0"):
        on_ranks(2, work)


def test_more_ranks_than_pictures_are_refused():
    with refuses("a step of 2 pictures (batch size 1, iter size 2) cannot be shared by 3 processes: start at most 2"):
        on_ranks(3, lambda ranks: new_run(ranks, batch_size=1, iter_size=2))


@pytest.mark.parametrize("heads", [1, 2])
@pytest.mark.parametrize("size", [2, 4])
def test_evaluation_is_shared(size, heads):
    """The counts equal those of one process. With three pictures a fourth rank has none."""
    model, pictures = new_run(heads=heads).model, Pictures(3, heads=heads)
    expected = evaluation.evaluate_heads(model, pictures)

    def work(ranks):
        return parallel.evaluate_heads(ranks, new_run(heads=heads).model, pictures)

    for matrices in on_ranks(size, work):
        assert list(matrices) == list(expected)
        for name, matrix in matrices.items():
            np.testing.assert_array_equal(matrix.matrix, expected[name].matrix)


@pytest.mark.parametrize("bits", [np.random.PCG64, np.random.MT19937])
def test_dropout_of_a_part(bits):
    """Three pictures of eight: the same values are dropped as in the whole batch, and the generator ends as there."""
    x = np.ones((8, 3, 5, 7))
    whole, part = (Dropout(0.4, rng=np.random.Generator(bits(3))) for _ in range(2))
    part.skip_before, part.skip_after = 4, 1
    for _ in range(2):
        np.testing.assert_array_equal(part(x[4:7]), whole(x)[4:7])
    assert whole.rng.random() == part.rng.random()


# --- the group ------------------------------------------------------------------------------------------------


@given(length=st.integers(0, 20), size=st.integers(1, 7), turn=st.integers(0, 9))
def test_the_parts_make_up_the_whole(length, size, turn):
    ranks = [Group(Rank(rank, Shared(size))) for rank in range(size)]
    things = list(range(length))
    parts = [things[each.part(length, turn)] for each in ranks]
    assert sorted(itertools.chain(*parts)) == things
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    turns = [sum(len(things[each.part(length, turn + t)]) for t in range(size)) for each in ranks]
    assert turns == [length] * size, "over as many turns as there are ranks, all do the same"


@settings(max_examples=10)
@given(
    shapes=st.lists(st.tuples(*3 * [st.integers(1, 6)]), min_size=1, max_size=6),
    bucket=st.integers(1, 100),
    data=st.data(),
)
def test_sums_in_buckets(shapes, bucket, data):
    """Sums are right for any shapes, dtypes, memory layouts and sizes of a message."""
    dtypes = data.draw(st.lists(st.sampled_from([np.float32, np.float64]), min_size=len(shapes), max_size=len(shapes)))

    def arrays(rank):
        rng = np.random.default_rng(rank)
        made = [rng.integers(-99, 99, shape).astype(dtype) for shape, dtype in zip(shapes, dtypes)]
        return [array.T if number % 2 else array for number, array in enumerate(made)]

    def work(ranks):
        ranks.add_up(mine := arrays(ranks.rank))
        return mine

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(group, "BUCKET", bucket)
        results = on_ranks(3, work)
    expected = [sum(three) for three in zip(*map(arrays, range(3)))]
    for result in results:
        for array, total in zip(result, expected):
            assert array.dtype == total.dtype
            np.testing.assert_array_equal(array, total)


def test_sums_where_the_arrays_are(xp):
    """On the GPU too, arrays are summed in place."""

    def work(ranks):
        array = xp.asarray(np.full((2, 3), 1.0 + ranks.rank, np.float32))
        ranks.add_up([array])
        return array

    for array in on_ranks(2, work):
        assert backend.get_array_module(array) is xp
        np.testing.assert_array_equal(to_numpy(array), np.full((2, 3), 3, np.float32))


def test_few_messages():
    """The gradients of a small network take one message, not one for each parameter. Large arrays are cut."""

    def messages(ranks, arrays):
        ranks.add_up(arrays)
        return ranks.comm.messages

    grads = models.build("mini_fcn8s", 6, width=2).grads
    assert len(grads) == 20
    assert on_ranks(2, lambda ranks: messages(ranks, list(grads.values()))) == [1, 1]
    large = np.zeros((64, group.BUCKET // 16), np.float32)
    assert on_ranks(2, lambda ranks: messages(ranks, [large.copy()])) == [4, 4]


def test_cores_are_divided(monkeypatch):
    """Ranks that may use the same cores divide them. A rank that the launcher bound to its own core keeps it."""
    monkeypatch.delenv("FCN_THREADS", raising=False)
    limits = []
    monkeypatch.setattr(threads, "limit", limits.append)
    monkeypatch.setattr(threads, "cores", lambda: set(range(8)))

    def work(ranks):
        ranks.share_cores()
        return ranks.local

    assert on_ranks(3, work) == [0, 1, 2]
    assert limits == [2, 2, 2]
    monkeypatch.setenv("FCN_THREADS", "5")
    on_ranks(3, work)
    assert limits == [2, 2, 2], "what the user says stands"


def test_each_rank_takes_a_gpu(monkeypatch):
    """A rank takes the GPU of its number on its machine. Where there are fewer GPUs, several ranks share one."""
    taken = []
    cuda = SimpleNamespace(
        Device=lambda number: SimpleNamespace(use=lambda: taken.append(number)),
        runtime=SimpleNamespace(getDeviceCount=lambda: 2),
    )
    monkeypatch.setattr(backend, "device_module", lambda device: SimpleNamespace(cuda=cuda))
    for local in range(3):
        backend.use_gpu(local)
    assert taken == [0, 1, 0]


def test_limit(monkeypatch):
    monkeypatch.setenv("FCN_THREADS", "2")
    blas = threads._blas()
    before = blas[0]() if blas else None
    try:
        threads.limit(1)
        assert threads.workers() == 1
        assert os.environ["FCN_THREADS"] == "1"
        if blas:
            assert blas[0]() == 1
    finally:
        if blas:
            blas[1](before)
        monkeypatch.undo()
        threads.most.cache_clear()
        threads._team.cache_clear()


# --- starting -------------------------------------------------------------------------------------------------


@pytest.fixture
def alone(monkeypatch):
    """The environment of a shell: without a launcher's variables."""
    for name in (*launcher._SIZES, *launcher._RANKS):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def test_without_a_launcher_there_is_no_group(alone):
    alone.setitem(sys.modules, "mpi4py", None)
    with group.join() as ranks:
        assert ranks is None
    alone.setenv("SLURM_STEP_NUM_TASKS", "1")
    with group.join() as ranks:
        assert ranks is None, "one process of a queue's job trains alone"


@pytest.mark.parametrize(("rank", "lines"), [(0, 1), (3, 0)])
def test_without_mpi4py(alone, capsys, rank, lines):
    """All ranks together print one line, and the exit status is that of a user's mistake."""
    alone.setitem(sys.modules, "mpi4py", None)
    alone.setenv("OMPI_COMM_WORLD_SIZE", "4")
    alone.setenv("OMPI_COMM_WORLD_RANK", str(rank))
    for stream in ("stdout", "stderr"):  # ranks other than the first close these
        alone.setattr(sys, stream, getattr(sys, stream))
    assert main(["train", "--steps", "1"]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == lines
    if rank:
        sys.stdout.close()
    else:
        assert "4 processes were started" in told
        assert "pip install 'fcn_from_scratch[mpi]'" in told


@pytest.mark.parametrize(("rank", "lines"), [(0, 1), (2, 0)])
def test_a_wrong_flag_is_reported_once(alone, capsys, rank, lines):
    alone.setenv("PMI_SIZE", "3")
    alone.setenv("PMI_RANK", str(rank))
    with pytest.raises(SystemExit) as end:
        main(["train", "--nope"])
    assert end.value.code == 2
    assert capsys.readouterr().err.count("\n") == lines


# --- processes ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def mpiexec():
    """A function that runs Python on n processes by MPI; returns the result of the process and its seconds."""
    beside = Path(sys.executable).with_name("mpiexec")
    launch = str(beside) if beside.exists() else shutil.which("mpiexec")
    if find_spec("mpi4py") is None or launch is None:
        pytest.skip("needs mpi4py and mpiexec: pip install mpi4py mpich")
    # Open MPI refuses to run as root, and to start more processes than cores. MPICH does not.
    words = (
        "OMPI_ALLOW_RUN_AS_ROOT OMPI_ALLOW_RUN_AS_ROOT_CONFIRM PRTE_ALLOW_RUN_AS_ROOT PRTE_ALLOW_RUN_AS_ROOT_CONFIRM"
    )
    environment = {
        **os.environ,
        **dict.fromkeys([*words.split(), "OMPI_MCA_rmaps_base_oversubscribe"], "1"),
        "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
        "PYTHONPATH": os.pathsep.join([str(TESTS.parent), os.environ.get("PYTHONPATH", "")]),
    }

    def run(number, *words):
        start = time.monotonic()
        command = [launch, "-n", str(number), sys.executable, *map(str, words)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
        return done, time.monotonic() - start

    done, _ = run(2, "-c", "from mpi4py import MPI; print(MPI.COMM_WORLD.size)")
    if "".join(done.stdout.split()) != "22":  # lines of several processes may be mixed
        pytest.skip(f"mpiexec and mpi4py do not work together: {done.stdout} {done.stderr}")
    return run


JOB = TESTS / "tools" / "mpi_job.py"


def ours(text):
    """The lines that fcn printed; launchers add their own."""
    return [line for line in text.splitlines() if line.startswith("fcn: ")]


@pytest.mark.slow
def test_two_processes_equal_one(mpiexec, tmp_path):
    done, _ = mpiexec(2, JOB, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "rank 0 is done\n", "the first rank speaks for all"
    whole = new_run().run(STEPS, progress=False)
    for rank in (0, 1):
        with np.load(tmp_path / f"rank_{rank}.npz") as end:
            same(dict(end), end_of(whole))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["by_0.npz", "rank_0.npz", "rank_1.npz"]


@pytest.mark.slow
def test_resumed_by_three_processes(mpiexec, tmp_path):
    checkpoint.save(tmp_path / "start.npz", new_run().run(1, progress=False))
    done, _ = mpiexec(3, JOB, tmp_path, "resume")
    assert done.returncode == 0, done.stderr
    with np.load(tmp_path / "rank_2.npz") as end:
        same(dict(end), end_of(new_run().run(STEPS, progress=False)))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fail", "status", "told"),
    [
        ("file", 2, r"fcn: rank [01] of 2 failed: picture 0 is broken"),
        ("defect", 1, r"fcn: rank 1 of 2 failed: Traceback .*TypeError: 'NoneType' object is not callable"),
        ("killed", None, r""),
    ],
)
def test_a_rank_that_fails_ends_the_job(mpiexec, tmp_path, fail, status, told):
    """The job ends soon, although the other ranks wait. No file is written that looks finished."""
    done, seconds = mpiexec(2, JOB, tmp_path, fail)
    assert done.returncode != 0
    assert status is None or done.returncode == status
    assert seconds < 30
    assert re.search(told, done.stderr, re.DOTALL), done.stderr
    assert not list(tmp_path.glob("rank_*"))


TINY = ["--width", "2", "--size", "32x32", "--count", "6", "--batch-size", "3", "--dropout", "0.3", "--seed", "1"]


@pytest.mark.slow
def test_the_command(mpiexec, tmp_path, capsys):
    """`mpiexec -n 2 fcn train`, resumed on 3 processes: the files equal those of one process, each written once."""
    command = ["-m", "fcn_from_scratch", "train"]
    rest = ["--schedule", "fixed", "--val-every", "2"]
    begun, _ = mpiexec(2, *command, *TINY, "--steps", 2, *rest, "--out", tmp_path / "shared")
    assert (begun.returncode, begun.stderr) == (0, "")
    assert "2 processes share the pictures of each step" in begun.stdout
    assert begun.stdout.count("wrote ") == 3
    ended, _ = mpiexec(3, *command, "--resume", "--steps", 4, "--out", tmp_path / "shared")
    assert ended.returncode == 0, ended.stderr
    assert main(["train", *TINY, "--steps", "4", *rest, "--out", str(tmp_path / "one")]) == 0
    one, shared = tmp_path / "one", tmp_path / "shared"
    assert sorted(os.listdir(shared)) == sorted(os.listdir(one))
    logs = [np.genfromtxt(folder / "log.csv", delimiter=",", skip_header=1) for folder in (one, shared)]
    np.testing.assert_allclose(*(log[:, :3] for log in logs), rtol=1e-5)
    for log in logs:
        assert np.isnan(log[:, 4]).tolist() == [True, False, True, False], "scored every second step"
    metrics = [
        json.loads((folder / "metrics.json").read_text(encoding="utf-8"))["pictures"] for folder in (one, shared)
    ]
    assert metrics[0] == metrics[1]
    again, seconds = mpiexec(2, *command, *TINY, "--out", shared)
    assert again.returncode == 2
    assert len(ours(again.stderr)) == 1
    assert "already holds a run" in again.stderr
    assert seconds < 30

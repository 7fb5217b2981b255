"""What a run leaves in its folder, and that scoring leaves the run alone."""

import shutil

import numpy as np
import pytest
from arrays import refuses

from fcn_from_scratch import datasets
from fcn_from_scratch.engine import micro_batches
from fcn_from_scratch.files import write_atomically
from fcn_from_scratch.metrics import ConfusionMatrix
from fcn_from_scratch.training import checkpoint, evaluate_heads
from fcn_from_scratch.training.log import Log, read
from fcn_from_scratch.training.record import Record

SCENES = datasets.Shapes(2, (32, 48), seed=8, split="val", classes_by="colour")


def matrix_of(heads):
    """The ConfusionMatrix of the first head."""
    return next(iter(heads.values()))


def matrix(right, wrong):
    """Counts of two classes with mean IU right / (right + 2 * wrong)."""
    counted = ConfusionMatrix(2)
    counted.matrix[...] = [[right, wrong], [wrong, right]]
    return {"semantic": counted}


def scripted(scores):
    """A `score` function that gives these mean IUs in turn."""
    values = iter(scores)
    return lambda: matrix(*{0.1: (2, 9), 0.5: (2, 1), 0.2: (1, 2), 0.8: (8, 1)}[next(values)])


def recorded(run, folder, steps, **options):
    """Train with a Record whose scores are real, or those of `score`; returns the Record."""
    options = {"score": lambda: evaluate_heads(run.model, SCENES), "last": steps, **options}
    record = Record(run, folder, **options)
    record.start()
    run.run(steps, progress=False, save=record.save, watch=record)
    record.finish()
    return record


@pytest.mark.parametrize("cut", [False, True], ids=["whole batches", "a thread for each part"])
def test_scoring_leaves_the_run_alone(new_run, state_of, tmp_path, monkeypatch, cut):
    """Weights, velocities, dropout's and the batches' random numbers are equal bit for bit, with any `every`."""
    if cut:
        monkeypatch.setattr(micro_batches, "LEAST_PIXELS", 1)
    plain = new_run().run(7, progress=False)
    for every in (None, 1, 3):
        run = new_run()
        record = recorded(run, tmp_path / str(every), 7, every=every)
        np.testing.assert_equal(state_of(run), state_of(plain))
        assert run.model.training
        assert [row.step for row in record.log.rows if row.mean_iu is not None] == {
            None: [7],
            1: [1, 2, 3, 4, 5, 6, 7],
            3: [3, 6, 7],
        }[every]


def test_the_rows(new_run, tmp_path):
    """Losses and rates are the trainer's. The scores are those of the weights after the step, in eval mode."""
    run, seen = new_run(lr=lambda step: 0.02 / (step + 1)), {}

    def score():
        found = evaluate_heads(run.model, SCENES)
        twice = evaluate_heads(run.model.eval(), SCENES)
        run.model.train()
        np.testing.assert_array_equal(matrix_of(found).matrix, matrix_of(twice).matrix)
        seen[run.steps] = matrix_of(found).scores()
        return found

    record = recorded(run, tmp_path, 5, every=2, score=score)
    rows = record.log.rows
    assert [row.step for row in rows] == [1, 2, 3, 4, 5]
    assert [row.loss for row in rows] == run.losses
    assert [row.lr for row in rows] == [0.02 / step for step in range(1, 6)]
    assert list(seen) == [2, 4, 5]
    for row in rows:
        expected = seen.get(row.step, {"mean_iu": None, "pixel_accuracy": None})
        assert (row.mean_iu, row.pixel_accuracy) == (expected["mean_iu"], expected["pixel_accuracy"])
    times = [row.seconds for row in rows]
    assert times == sorted(times)
    assert times[0] > 0
    assert [row._replace(loss=0, seconds=0) for row in read(tmp_path / "log.csv").values()] == [
        row._replace(
            loss=0,
            lr=float(f"{row.lr:.9g}"),
            seconds=0,
            mean_iu=row.mean_iu and round(row.mean_iu, 6),
            pixel_accuracy=row.pixel_accuracy and round(row.pixel_accuracy, 6),
        )
        for row in rows
    ]


def test_the_best(new_run, tmp_path):
    """best.npz is the state after the step with the best score; of equal scores the first counts."""
    run, states = new_run(), {}
    step = run.step
    run.step = lambda: (step(), states.update({run.steps: run.model.state_dict()}))[0] or run.losses[-1]
    record = recorded(run, tmp_path, 5, every=1, score=scripted([0.2, 0.5, 0.1, 0.5, 0.2]))
    assert record.best == {"step": 2, "mean_iu": 0.5}
    arrays, meta = checkpoint.read(tmp_path / "best.npz")
    assert meta["steps"] == 2
    assert meta["extra"]["best"] == record.best
    for name, array in states[2].items():
        np.testing.assert_array_equal(arrays[f"model/{name}"], array, name)
    assert checkpoint.read(tmp_path / "checkpoint.npz")[1]["steps"] == 5


def test_no_number_is_not_the_best(new_run, tmp_path):
    """Where no pixel counts, the mean IU is NaN. There is no best.npz then."""
    record = recorded(new_run(), tmp_path, 2, every=1, score=lambda: {"semantic": ConfusionMatrix(2)})
    assert record.best is None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint.npz", "log.csv"]


def test_the_first_head_decides(new_run, tmp_path):
    heads = [matrix(2, 9) | {"geometric": matrix(8, 1)["semantic"]}, matrix(2, 1) | {"geometric": matrix(1, 2)}]
    record = recorded(new_run(), tmp_path, 2, every=1, score=iter(heads).__next__)
    assert record.best["step"] == 2
    assert record.log.rows[0].mean_iu == pytest.approx(0.1)


def test_several_processes(new_run, tmp_path, monkeypatch):
    """A process without a folder scores and logs too, so that all hold the same, but writes nothing."""
    monkeypatch.chdir(tmp_path)
    record = recorded(new_run(), None, 3, every=1, score=scripted([0.2, 0.5, 0.1]))
    assert record.best == {"step": 2, "mean_iu": 0.5}
    assert len(record.log.rows) == 3
    assert list(tmp_path.iterdir()) == []


SCORES = {1: 0.2, 2: 0.5, 3: 0.1, 4: 0.8, 5: 0.5}  # of the steps of the run that is killed
WRITES = 13  # log.csv once and five rows; three times the best so far, by two files; the checkpoint at the end


class Killed(BaseException):
    """Stands for kill -9: nothing of ours is written after it."""


@pytest.fixture
def allow(monkeypatch):
    """A function that allows so many writes to the disk from now on; the next one raises Killed."""
    left = [0]

    def counted(real):
        def write(*arguments):
            left[0] -= 1
            if left[0] < 0:
                raise Killed
            return real(*arguments)

        return write

    for module in ("record", "log", "checkpoint"):
        monkeypatch.setattr(f"fcn_from_scratch.training.{module}.write_atomically", counted(write_atomically))
    monkeypatch.setattr(Log, "add", counted(Log.add))
    return lambda number: left.__setitem__(0, number)


def begin_or_go_on(run, folder):
    """Train for five steps in all, from the checkpoint if there is one; the scores are SCORES."""
    record = Record(run, folder, lambda: scripted([SCORES[run.steps]])(), every=1, last=5)
    path = folder / "checkpoint.npz"
    record.start(checkpoint.load(path, run) if path.exists() else None)
    run.run(5, progress=False, save=record.save, watch=record)
    record.finish()


@pytest.mark.parametrize("moment", range(WRITES))
def test_killed_at_any_moment(new_run, tmp_path, allow, moment):
    """The run is stopped before one of its writes, then goes on. All files end as if nothing had happened."""
    allow(WRITES)
    begin_or_go_on(new_run(), tmp_path / "whole")
    allow(moment)
    with pytest.raises(Killed):
        begin_or_go_on(new_run(), tmp_path / "cut")
    best, last = ((tmp_path / "cut" / name) for name in ("best.npz", "checkpoint.npz"))
    assert not best.exists() or checkpoint.read(best)[1]["steps"] <= checkpoint.read(last)[1]["steps"]
    allow(100)
    begin_or_go_on(new_run(), tmp_path / "cut")
    for name in ("best.npz", "checkpoint.npz"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name
    ours, theirs = (read(tmp_path / folder / "log.csv") for folder in ("cut", "whole"))
    assert [row._replace(seconds=0) for row in ours.values()] == [row._replace(seconds=0) for row in theirs.values()]


def test_seconds_go_on(new_run, tmp_path, monkeypatch):
    """The time between two processes does not count."""
    now = [100.0]
    monkeypatch.setattr("fcn_from_scratch.training.record.time.monotonic", lambda: now[0])
    run = new_run()
    step = run.step

    def slow():
        now[0] += 5
        return step()

    run.step = slow
    recorded(run, tmp_path, 2, score=scripted([0.2]))
    now[0] += 1000
    record = Record(run, tmp_path, scripted([0.5]), last=4)
    record.start(checkpoint.read(tmp_path / "checkpoint.npz")[1]["extra"])
    run.run(4, progress=False, watch=record)
    assert [row.seconds for row in record.log.rows] == [5, 10, 15, 20]


def test_what_cannot_be_read_back_is_found_before_the_first_step(new_run, tmp_path):
    record = Record(new_run(), tmp_path, dict, extra={"classes": [3]})
    with refuses("its extra.classes is a list instead of a list of texts"):
        record.start()


@pytest.mark.parametrize("best", [None, 3, {}, {"step": "2", "mean_iu": 0.5}, {"step": 2, "mean_iu": None}])
def test_a_checkpoint_without_a_best(new_run, tmp_path, best):
    """An older or edited checkpoint: the next score is the best so far."""
    run = new_run()
    recorded(run, tmp_path, 2, score=scripted([0.8]))
    shutil.rmtree(tmp_path)
    tmp_path.mkdir()
    record = Record(run, tmp_path, scripted([0.1]), last=3)
    record.start({"best": best})
    assert record.best is None
    assert [row.seconds for row in record.log.rows] == [None, None], "the log was gone: loss and rate are known"
    assert [row.loss for row in record.log.rows] == run.losses
    run.run(3, progress=False, save=record.save, watch=record)
    assert record.best["step"] == 3
    assert (tmp_path / "best.npz").read_bytes() == (tmp_path / "checkpoint.npz").read_bytes()


def test_a_finished_run_is_scored_again_without_a_step(new_run, tmp_path):
    run = new_run()
    recorded(run, tmp_path, 2, score=scripted([0.5]))
    (tmp_path / "best.npz").unlink()
    record = Record(run, tmp_path, scripted([0.5]), last=2)
    record.start(checkpoint.read(tmp_path / "checkpoint.npz")[1]["extra"])
    run.run(2, progress=False, save=record.save, watch=record)
    assert record.finish()["semantic"].scores()["mean_iu"] == 0.5
    assert (tmp_path / "best.npz").exists(), "it was deleted, and the run still stands at its best step"
    assert [row.mean_iu for row in read(tmp_path / "log.csv").values()] == [None, 0.5]

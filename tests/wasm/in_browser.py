"""Tests that run in Pyodide only: what a browser lacks, and what the package says of it. test_wasm.py starts them."""

import os
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from fcn_from_scratch import browser, cli, course, datasets, files, metrics
from fcn_from_scratch.engine import threads
from fcn_from_scratch.lab import exercises
from fcn_from_scratch.lab.bench.processes import Process
from fcn_from_scratch.lab.exercises import Wrong


def test_the_platform():
    assert sys.platform == "emscripten"
    assert np.dtype(np.intp).itemsize == 4
    with pytest.raises(RuntimeError, match="thread"):
        threading.Thread(target=print).start()


def test_a_written_file_can_be_read(tmp_path):
    files.write_atomically(tmp_path / "a" / "weights.npz", lambda file: file.write(b"three"))
    assert (tmp_path / "a" / "weights.npz").read_bytes() == b"three"
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["weights.npz"]


def test_one_thread_does_all_the_work(monkeypatch):
    monkeypatch.setenv("FCN_THREADS", "4")
    threads.most.cache_clear()
    done = []
    threads.run(done.append, range(5))
    assert (threads.workers(), done) == (1, [0, 1, 2, 3, 4])


@pytest.mark.parametrize("dtype", ["uint8", "int32", "uint32", "int64", "uint64"])
def test_labels_of_any_integer_dtype_count_alike(dtype):
    labels, predictions = np.array([[0, 1, 1, 255]], dtype), np.array([[0, 1, 0, 0]], dtype)
    matrix = metrics.ConfusionMatrix(2).update(labels, predictions).matrix
    assert matrix.tolist() == [[1, 0], [1, 1]]
    assert matrix.dtype == np.int64


def test_commands_say_that_there_are_no_processes(capsys):
    assert cli.main(["lessons", "1"]) == 2
    assert "fcn lessons starts a process of its own, which a browser does not allow" in capsys.readouterr().err
    with pytest.raises(browser.InputError, match="fcn bench starts a process of its own"):
        Process(print, threads=1)


def test_an_exercise_is_checked_in_this_process(tmp_path):
    [exercise] = [each for each in exercises.of_lesson(1) if each.number == 1]
    stub, answer = tmp_path / "stub.py", tmp_path / "answer.py"
    stub.write_text(exercise.stub)
    answer.write_text(
        "import numpy as np\n"
        f"def {exercise.asked}(truth, predicted, k):\n"
        "    valid = truth != 255\n"
        "    return np.bincount(k * truth[valid] + predicted[valid], minlength=k * k).reshape(k, k)\n"
    )
    exercises.check_in_process(exercise, answer)
    with pytest.raises(Wrong, match="still the stub"):
        exercises.check_in_process(exercise, stub)


def test_pictures_and_their_batches():
    dataset = datasets.build("shapes", count=2, size=48)
    assert dataset[0].image.shape == (48, 48, 3)


def test_the_lessons_are_there():
    assert [lesson.number for lesson in course.lessons()] == list(range(17))
    assert Path(os.environ["FCN_FIGURES"]).is_absolute()

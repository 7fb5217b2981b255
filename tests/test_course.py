"""The course: claims that are checked, and the runner. The lessons themselves are tested in tests/lessons/."""

import re
import subprocess
import sys

import numpy as np
import pytest

from fcn_from_scratch import course
from fcn_from_scratch.checks import InputError
from fcn_from_scratch.cli import main

# --- claims -------------------------------------------------------------------------------------------------


def test_check_prints_the_claim_and_raises_its_name(capsys):
    course.check("two is even", 2 % 2 == 0)
    course.check("close", np.isclose(1, 1), "off by 0")
    assert capsys.readouterr().out == "  ok  two is even\n  ok  close (off by 0)\n"
    with pytest.raises(AssertionError, match=r"three is even \(rest 1\)"):
        course.check("three is even", 3 % 2 == 0, "rest 1")


@pytest.mark.parametrize("holds", ["text", [True], np.array([True, True]), 1, None])
def test_check_takes_only_a_truth_value(holds):
    with pytest.raises(TypeError, match="'a claim': a check needs True or False"):
        course.check("a claim", holds)


def test_claims_count_and_name_the_broken_ones(capsys):
    course.claims([("one", True, "exact"), ("two", np.True_, "exact")])
    assert capsys.readouterr().out == "  all 2 claims of this lesson hold\n"
    with pytest.raises(AssertionError, match=r"^these claims do not hold: two; four$"):
        course.claims([("one", True, "a"), ("two", False, "b"), ("three", np.True_, "c"), ("four", False, "d")])
    assert capsys.readouterr().out == ""


def test_claims_take_only_truth_values():
    with pytest.raises(TypeError, match="'a claim': a check needs True or False; got list"):
        course.claims([("a claim", [True], "exact")])


def test_checks_hold_without_assert_statements():
    script = "from fcn_from_scratch.course import check; check('never', False)"
    process = subprocess.run([sys.executable, "-O", "-c", script], capture_output=True, text=True)
    assert process.returncode == 1
    assert "this claim does not hold: never" in process.stderr


def test_device_comes_from_the_environment(monkeypatch):
    monkeypatch.delenv("FCN_DEVICE", raising=False)
    assert course.device() == "cpu"
    monkeypatch.setenv("FCN_DEVICE", "tpu")
    with pytest.raises(ValueError, match="'tpu'"):
        course.device()


# --- the runner ---------------------------------------------------------------------------------------------


@pytest.fixture
def small_course(tmp_path, monkeypatch):
    """Two lessons: the first fails, the second prints what it was handed."""
    (tmp_path / "lesson_01_broken.py").write_text(
        '# %% [markdown]\n"""\n# Lesson 1: Why?\n"""\n\n# %%\nprint("one")\nraise SystemExit(3)\n'
    )
    (tmp_path / "lesson_02_fine.py").write_text(
        '# %% [markdown]\n"""\n# Lesson 2: How?\n\nNeeds: lesson 1 (what). Words: the [glossary](g.md).\n\n'
        'Runtime: 1 s on 2 cores\n"""\n\n# %%\nimport os\n'
        'print("figures", os.path.basename(os.environ["FCN_FIGURES"]), "device", os.environ["FCN_DEVICE"])\n'
    )
    monkeypatch.setattr(course, "LESSONS", tmp_path)
    return tmp_path


def test_lessons_are_read_not_run(small_course):
    first, second = course.lessons()
    assert (first.number, first.name, first.question, first.runtime) == (1, "broken", "Why?", "")
    assert (second.number, second.needs, second.runtime) == (2, "lesson 1 (what)", "1 s on 2 cores")


@pytest.mark.parametrize("name", ["2", "02", 2, "fine", "lesson_02_fine", "lesson_02_fine.py", "x/lesson_02_fine.py"])
def test_a_lesson_has_several_names(small_course, name):
    assert course.find(name).path.name == "lesson_02_fine.py"


def test_run_reports_status_and_time(small_course, capfd):
    outcome = course.run(course.find("broken"))
    assert outcome.status == 3
    assert outcome.seconds > 0
    assert capfd.readouterr().out == "one\n"


def test_command_runs_on_after_a_failure_and_says_so(small_course, capfd):
    assert main(["lessons", "--out", str(small_course / "out"), "--device", "cpu"]) == 1
    lines = [line for line in capfd.readouterr().out.splitlines() if line]
    assert lines[:4] == ["Lesson 1: Why?", "==============", "one", "lesson 1 failed (exit status 3)"]
    assert lines[4] == "Lesson 2: How?"
    assert lines[6] == "figures out device cpu"
    assert re.fullmatch(r" 1  broken +\d+\.\d s  FAILED", lines[7])
    assert re.fullmatch(r" 2  fine +\d+\.\d s  ok", lines[8])
    assert re.fullmatch(r" +\d+\.\d s  1 of 2 failed", lines[9])


def test_the_closing_line_counts_several_lessons_only(small_course, capfd):
    assert main(["lessons", "fine", "fine", "--out", str(small_course / "out"), "--device", "cpu"]) == 0
    assert capfd.readouterr().out.splitlines()[-1].endswith(" s  all 2 ok")
    assert main(["lessons", "fine", "--out", str(small_course / "out"), "--device", "cpu"]) == 0
    lines = capfd.readouterr().out.splitlines()
    assert re.fullmatch(r" 2  fine +\d+\.\d s  ok", lines[-1])
    assert lines[-2] == ""


def test_the_fast_path(small_course, monkeypatch, capfd):
    monkeypatch.setattr(course, "FAST_PATH", (0, 2))
    assert [lesson.number for lesson in course.fast_path()] == [2]
    assert main(["lessons", "fast", "--out", str(small_course / "out"), "--device", "cpu"]) == 0
    out = capfd.readouterr().out
    assert "Lesson 2: How?" in out
    assert "Lesson 1" not in out


def test_the_fast_path_is_part_of_the_course():
    assert [lesson.number for lesson in course.fast_path()] == list(course.FAST_PATH)


def test_command_lists_and_refuses_unknown_names(small_course, capsys):
    assert main(["lessons", "list"]) == 0
    assert capsys.readouterr().out == " 1 * broken  Why?\n 2   fine    How?\n\n* the fast path: fcn lessons fast\n"
    assert main(["lessons", "fine", "foo"]) == 2
    error = "fcn: there is no lesson 'foo'; the lessons are: 1 broken, 2 fine\n"
    assert capsys.readouterr().err == error


def test_command_refuses_a_file_as_figure_folder(small_course, capsys):
    assert main(["lessons", "2", "--out", str(small_course / "lesson_01_broken.py")]) == 2
    assert "this is a file" in capsys.readouterr().err


def test_without_a_checkout_the_message_says_what_to_do(tmp_path):
    with pytest.raises(InputError, match=r"pip install \."):
        course.lessons(tmp_path / "lessons")


@pytest.mark.slow
@pytest.mark.parametrize("number", [2, 3, 7, 9], ids=str)
def test_lesson_holds_by_the_plain_code_too(number, tmp_path):
    """Those that take seconds: lesson 2 measures the engine, whatever computes the rest."""
    assert course.run(course.find(str(number)), figures=tmp_path, plain=True).status == 0


def test_titles_are_names_for_readers():
    titles = {lesson.name: lesson.title for lesson in course.lessons()}
    assert titles["fully_convolutional"] == "Fully convolutional"
    assert titles["fcn32s"] == "FCN-32s"
    assert set(course.TITLES) < set(titles)

"""The course: claims that are checked, the runner, and the form that every lesson keeps."""

import ast
import re
import subprocess
import sys

import numpy as np
import pytest

from fcn_from_scratch import course
from fcn_from_scratch.checks import InputError
from fcn_from_scratch.cli import main

SCRIPTS = sorted(course.LESSONS.glob("lesson_*.py"))
SOLUTIONS = sorted(course.LESSONS.glob("solutions/solution_*.py"))
NETWORK = {"urllib", "http", "socket", "ssl", "ftplib", "requests", "httpx", "aiohttp", "urllib3"}


def by_name(path):
    return path.stem


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


def test_claims_print_all_and_name_the_broken_ones(capsys):
    course.claims([("one", True, "exact")])
    with pytest.raises(AssertionError, match="do not hold: two; four"):
        course.claims([("one", True, "a"), ("two", False, "b"), ("three", np.True_, "c"), ("four", False, "d")])
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "  ok  one [exact]",
        "  ok  one [a]",
        "  NO  two [b]",
        "  ok  three [c]",
        "  NO  four [d]",
    ]


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
    (tmp_path / "lesson_01_broken.py").write_text('"""Lesson 1: Why?"""\nprint("one")\nraise SystemExit(3)\n')
    (tmp_path / "lesson_02_fine.py").write_text(
        '"""Lesson 2: How?\n\nNeeds: lesson 1\nRuntime: 1 s on 2 cores\n"""\nimport os\n'
        'print("figures", os.path.basename(os.environ["FCN_FIGURES"]), "device", os.environ["FCN_DEVICE"])\n'
    )
    monkeypatch.setattr(course, "LESSONS", tmp_path)
    return tmp_path


def test_lessons_are_read_not_run(small_course):
    first, second = course.lessons()
    assert (first.number, first.name, first.question, first.runtime) == (1, "broken", "Why?", "")
    assert (second.number, second.needs, second.runtime) == (2, "lesson 1", "1 s on 2 cores")


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


def test_command_lists_and_refuses_unknown_names(small_course, capsys):
    assert main(["lessons", "list"]) == 0
    assert capsys.readouterr().out == " 1  broken  Why?\n 2  fine    How?\n"
    assert main(["lessons", "fine", "foo"]) == 2
    error = "fcn: there is no lesson 'foo'; the lessons are: 1 broken, 2 fine\n"
    assert capsys.readouterr().err == error


def test_command_refuses_a_file_as_figure_folder(small_course, capsys):
    assert main(["lessons", "2", "--out", str(small_course / "lesson_01_broken.py")]) == 2
    assert "this is a file" in capsys.readouterr().err


def test_without_a_checkout_the_message_says_what_to_do(tmp_path):
    with pytest.raises(InputError, match="pip install -e"):
        course.lessons(tmp_path / "lessons")


# --- the form of every lesson -------------------------------------------------------------------------------


def cells(path):
    """(is it Markdown?, its lines) for each cell; what stands before the first cell is left out."""
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("# %%"):
            found.append((line.startswith("# %% [markdown]"), []))
        elif found:
            found[-1][1].append(line)
    return found


def imported(path):
    """The names of all modules a script imports."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


@pytest.mark.parametrize("path", SCRIPTS + SOLUTIONS, ids=by_name)
def test_markdown_cells_hold_nothing_but_comments(path):
    """In a notebook code below a Markdown cell is prose: a check that stands there would never run."""
    stray = [line for is_markdown, lines in cells(path) if is_markdown for line in lines]
    assert [line for line in stray if line.strip() and not line.startswith("#")] == []


@pytest.mark.parametrize("path", SCRIPTS, ids=by_name)
def test_header_names_question_needs_and_runtime(path):
    lesson = next(lesson for lesson in course.lessons() if lesson.path == path)
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert docstring.startswith(f"Lesson {lesson.number}: ")
    assert lesson.question
    assert lesson.needs, "a line 'Needs: lessons 1 and 2'"
    assert re.match(r"\d+ s\b", lesson.runtime), "a line 'Runtime: 8 s on 2 cores'"


@pytest.mark.parametrize("path", SCRIPTS, ids=by_name)
def test_lesson_has_its_parts_and_ends_with_claims(path):
    headings = [line for is_markdown, lines in cells(path) if is_markdown for line in lines if line.startswith("# #")]
    for part in ("Predict", "What could fool you", "Exercises", "Claims"):
        assert any(part in heading for heading in headings), part
    assert "Claims" in headings[-1]
    is_markdown, last = cells(path)[-1]
    assert not is_markdown
    assert "claims(" in "".join(last) or "check(" in "".join(last)


@pytest.mark.parametrize("path", SCRIPTS + SOLUTIONS, ids=by_name)
def test_lesson_needs_no_display_no_network_and_no_other_lesson(path):
    modules = list(imported(path))
    assert not any(module.split(".")[0] in NETWORK for module in modules)
    assert not any("pyplot" in module or "lesson" in module for module in modules)
    assert ".show()" not in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", SCRIPTS, ids=by_name)
def test_lesson_has_a_solution(path):
    assert path.parent / "solutions" / path.name.replace("lesson_", "solution_") in SOLUTIONS


@pytest.mark.slow
@pytest.mark.parametrize("path", SOLUTIONS, ids=by_name)
def test_solution_runs(path, tmp_path):
    lesson = course.Lesson(0, path.stem, "", "", "", path)
    assert course.run(lesson, figures=tmp_path).status == 0


@pytest.mark.slow
@pytest.mark.parametrize("number", [2, 3, 7, 9], ids=str)
def test_lesson_holds_by_the_plain_code_too(number, tmp_path):
    """Those that take seconds: lesson 2 measures the engine, whatever computes the rest."""
    assert course.run(course.find(str(number)), figures=tmp_path, plain=True).status == 0

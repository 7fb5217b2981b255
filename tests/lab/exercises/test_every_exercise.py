"""Every exercise of the course: our answer is right; the stub and typical mistakes are wrong, with a reason."""

import ast
import re

import numpy as np
import pytest

from fcn_from_scratch import course
from fcn_from_scratch.lab import exercises
from fcn_from_scratch.lab.exercises.files import CHECK, EXERCISES

PATHS = sorted(EXERCISES.glob("exercise_*_*.py"))
LESSONS = sorted({int(path.stem.split("_")[1]) for path in PATHS})
EVERY = [exercise for lesson in LESSONS for exercise in exercises.of_lesson(lesson)]
SEEDS = (0, 1, 2)


def by_name(exercise):
    return exercise.name


every_exercise = pytest.mark.parametrize("exercise", EVERY, ids=by_name)


def ours(exercise):
    return exercises.run_file(exercise.path)


def first_result(exercise):
    """The right result of the first case."""
    names = ours(exercise)
    return names["expected"](*names["cases"](np.random.default_rng(0))[0])


def message(exercise, function, seed=0):
    """What the check says about a wrong function."""
    with pytest.raises(exercises.Wrong) as caught:
        exercises.check_function(exercise, function, seed)
    return str(caught.value)


# --- the course has them ------------------------------------------------------------------------------------


@pytest.mark.parametrize("lesson", course.lessons(), ids=lambda lesson: str(lesson.number))
def test_each_lesson_has_three(lesson):
    assert [exercise.number for exercise in exercises.of_lesson(lesson.number)] == [1, 2, 3]


def test_every_file_is_found():
    assert len(EVERY) == len(PATHS) == len(list(EXERCISES.glob("*.py")))
    assert {exercise.lesson for exercise in EVERY} <= {lesson.number for lesson in course.lessons()}


# --- right and wrong answers --------------------------------------------------------------------------------


@every_exercise
def test_ours_is_right(exercise):
    for seed in SEEDS:
        exercises.check_function(exercise, ours(exercise)[exercise.asked], seed)


@every_exercise
def test_untouched_stub_is_wrong(exercise, tmp_path):
    path = tmp_path / exercise.file_name
    path.write_text(exercise.stub, encoding="utf-8")
    with pytest.raises(exercises.Wrong, match=f"^{exercise.asked} is still the stub"):
        exercises.check(exercise, path)


@every_exercise
def test_mistakes_are_wrong_and_get_their_hint(exercise):
    mistakes = ours(exercise)["MISTAKES"]
    assert len(mistakes) >= 2
    for hint, mistake in mistakes.items():
        for seed in SEEDS:
            assert f"\nHint: {hint}" in message(exercise, mistake, seed), f"seed {seed}: {hint}"


@every_exercise
def test_an_answer_of_another_kind_is_named(exercise):
    assert "returns nothing" in message(exercise, lambda *args: None)
    said = message(exercise, lambda *args: {"another": "kind"})
    assert re.search(r"should (be|have)", said)
    assert "another" in said


@every_exercise
def test_an_array_of_another_shape_is_named(exercise):
    want = first_result(exercise)
    if not isinstance(want, np.ndarray) or want.ndim == 0:
        pytest.skip("the result is not an array")
    said = message(exercise, lambda *args: want[None])
    assert f"it should be {want.shape}; got {(1, *want.shape)}" in said


@every_exercise
def test_it_is_checked_on_several_cases(exercise):
    names = ours(exercise)
    assert len(names["cases"](np.random.default_rng(0))) >= 2


# --- the files ----------------------------------------------------------------------------------------------


@every_exercise
def test_title_and_text(exercise):
    kinds = "trace|change|prove|build"
    assert re.fullmatch(rf"Exercise {re.escape(exercise.name)}, ({kinds}): .+[.?]", exercise.title)
    docstring = ast.get_docstring(ast.parse(exercise.stub))
    assert exercise.asked in docstring
    assert len(docstring.splitlines()) > 3


@every_exercise
def test_lines_are_short(exercise):
    assert max(map(len, exercise.path.read_text(encoding="utf-8").splitlines())) <= 120


@every_exercise
def test_the_right_results_do_not_come_from_our_answer(exercise):
    """`expected` and the helpers below "# --- check" do not call the function that they check."""
    below = exercise.path.read_text(encoding="utf-8").partition(CHECK)[2]
    (expected,) = (
        node for node in ast.parse(below).body if isinstance(node, ast.FunctionDef) and node.name == "expected"
    )
    assert exercise.asked not in {node.id for node in ast.walk(expected) if isinstance(node, ast.Name)}


@every_exercise
def test_the_stub_holds_neither_answer_nor_check(exercise):
    names = {node.name for node in ast.parse(exercise.stub).body if isinstance(node, ast.FunctionDef)}
    assert not names & {"cases", "expected"}
    assert "SOLUTION" not in exercise.stub + exercise.solution
    assert len(exercise.stub.splitlines()) < len(exercise.solution.splitlines())


# --- a lesson's exercises together --------------------------------------------------------------------------


@pytest.mark.parametrize("lesson", LESSONS)
def test_asked_functions_have_different_names(lesson):
    """No exercise's file defines what another one asks for. So a file tells which exercises it answers."""
    for exercise in exercises.of_lesson(lesson):
        defined = {node.name for node in ast.parse(exercise.stub).body if isinstance(node, ast.FunctionDef)}
        assert defined & {other.asked for other in exercises.of_lesson(lesson)} == {exercise.asked}


@pytest.mark.parametrize("name", ["answers.py", "exercise_{lesson}_2.py", "exercise_99_1.py"])
@pytest.mark.parametrize("lesson", LESSONS)
def test_all_solutions_in_one_file_are_right(lesson, name, tmp_path):
    of_lesson = exercises.of_lesson(lesson)
    path = tmp_path / name.format(lesson=lesson)
    path.write_text("\n\n".join(exercise.solution for exercise in of_lesson), encoding="utf-8")
    assert exercises.answered_by(path, of_lesson) == of_lesson
    for exercise in of_lesson:
        exercises.check(exercise, path)

"""Stub, solution and title of an exercise; and which exercises a reader's file answers."""

import pytest

from fcn_from_scratch.checks import InputError
from fcn_from_scratch.lab.exercises import Wrong, answered_by, of_lesson


def numbers(path, lesson):
    return [exercise.number for exercise in answered_by(path, lesson)]


def test_the_parts_of_a_file(lesson):
    first = lesson[0]
    assert (first.name, first.file_name, first.asked) == ("7.1", "exercise_7_1.py", "double")
    assert first.title == "Exercise 7.1, build: twice the array."
    assert first.stub.endswith('    """Twice x."""\n    raise NotImplementedError("write this function")\n')
    assert first.solution.endswith('    """Twice x."""\n    return 2 * x\n')
    assert first.stub.startswith('"""Exercise 7.1')
    assert first.solution.startswith('"""Exercise 7.1')


def test_a_lesson_without_exercises(tmp_path):
    with pytest.raises(InputError, match="lesson 3 has no exercises in"):
        of_lesson(3, tmp_path)


def test_the_files_name_decides(lesson, answer):
    assert numbers(answer("x = 1", "exercise_7_2.py"), lesson) == [2]


def test_else_the_docstring_decides(lesson, answer):
    assert numbers(answer('"""Exercise 7.3, build: all."""'), lesson) == [3]
    assert numbers(answer('"""Exercise 7.3, build: all."""', "exercise_7_2.py"), lesson) == [2]


@pytest.mark.parametrize(
    "text",
    [
        "def twice(x): pass",
        "twice = lambda x: x",
        "from elsewhere import twice",
        "from elsewhere import other as twice",
        "if True:\n    twice = 1",
        "class twice: pass",
    ],
)
def test_else_the_functions_decide(lesson, answer, text):
    assert numbers(answer(text), lesson) == [2]


def test_every_function_that_is_there_counts(lesson, answer):
    text = "def both(x): pass\ndef double(x): pass"
    assert numbers(answer(text), lesson) == [1, 3]
    assert numbers(answer(text, "exercise_7_2.py"), lesson) == [1, 2, 3]
    assert numbers(answer(text, "exercise_9_9.py"), lesson) == [1, 3]


def test_of_another_lesson(lesson, answer):
    for path in (answer("x = 1", "exercise_8_3.py"), answer('"""Exercise 8.3, trace: x."""')):
        with pytest.raises(InputError, match=rf"answers exercise 8\.3: check it by `fcn exercise 8 --check {path}`"):
            answered_by(path, lesson)


def test_of_none(lesson, answer):
    with pytest.raises(InputError, match=r"defines none of the functions .* lesson 7 ask for: double, twice, both"):
        answered_by(answer("def inner():\n    def double(x): pass"), lesson)


def test_of_an_exercise_that_the_lesson_lacks(lesson, answer):
    with pytest.raises(InputError, match="defines none of the functions"):
        answered_by(answer("x = 1", "exercise_7_4.py"), lesson)


def test_what_is_not_python_is_named_with_its_line(lesson, answer):
    with pytest.raises(Wrong, match=r"answer\.py, line 2: this is not valid Python yet"):
        answered_by(answer("x = 1\ny = )"), lesson)

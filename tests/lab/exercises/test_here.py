"""The check of an answer given as text, as a live page asks for it."""

import os

import pytest

from fcn_from_scratch.lab import exercises

EXERCISE = '''"""Exercise 7.9, build: twice a number."""


def twice(x):
    """Twice x."""
    # BEGIN SOLUTION
    return 2 * x
    # END SOLUTION


# --- check


def cases(rng):
    return [(3,), (5,)]


def expected(x):
    return x + x


MISTAKES = {"multiply by two, do not square": lambda x: x * x}
'''


def check(answer):
    return exercises.check_text(7, 9, EXERCISE, answer)


def test_a_right_answer_has_no_message():
    assert check("def twice(x):\n    return x + x\n") == ""


def test_a_wrong_answer_is_described_as_by_the_command_and_a_known_mistake_gets_its_hint():
    message = check("def twice(x):\n    return x * x\n")
    assert message.splitlines() == [
        "twice(3): the result should be 6; got 9",
        "Hint: multiply by two, do not square",
    ]


@pytest.mark.parametrize(
    ("answer", "part"),
    [
        ("def twice(x):\n    return x / 0\n", "twice(3) raised ZeroDivisionError, line 2"),
        ("def twice(x)\n    return x\n", "exercise_7_9.py, line 1: this is not valid Python yet"),
        ("def thrice(x):\n    return x\n", "exercise_7_9.py does not define twice"),
        ("import sys\nsys.exit()\n", "exercise_7_9.py ends the program"),
        ('def twice(x):\n    raise NotImplementedError("write this function")\n', "twice is still the stub"),
    ],
)
def test_what_goes_wrong_in_the_answer_is_said_with_its_line(answer, part):
    assert part in check(answer)


def test_an_interrupted_answer_is_reported_with_its_line():
    message = check("def twice(x):\n    while True:\n        raise KeyboardInterrupt\n")
    assert message == "exercise_7_9.py had not ended, line 3. Does a loop run for ever?"


def test_the_working_folder_and_the_readers_files_are_left_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "exercise_7_9.py").write_text("mine", encoding="utf-8")
    check("open('other', 'w').close()\ndef twice(x):\n    return 1\n")
    assert os.getcwd() == str(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["exercise_7_9.py"]
    assert (tmp_path / "exercise_7_9.py").read_text(encoding="utf-8") == "mine"

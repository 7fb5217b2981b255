"""The check of a reader's function: what it says, and what it lets a file do."""

import numpy as np
import pytest

from fcn_from_scratch.checks import InputError
from fcn_from_scratch.lab import exercises
from fcn_from_scratch.lab.exercises import Wrong, check, check_in_process

CHECKS = pytest.mark.parametrize("check", [check, check_in_process])


def said(check, *args, **options):
    with pytest.raises(Wrong) as caught:
        check(*args, **options)
    return str(caught.value)


@CHECKS
def test_right(check, lesson, answer):
    check(lesson[0], answer("double = lambda x: x + x"), seed=3)


def test_the_first_wrong_case_and_its_hint(lesson, answer):
    """0 * 0 and 2 * 2 are right: the third case decides."""
    text = said(check, lesson[0], answer("def double(x):\n    return x * x"))
    assert text.startswith("double(array([[")
    assert text.endswith("\nHint: a square is not twice")
    text = said(check, lesson[0], answer("def double(x):\n    return x + 2"))
    assert "double(array([0.0, 0.0])): the result has the right shape (2,), but 2 of its 2 values are wrong." in text
    assert text.endswith("\nHint: add x itself")
    assert "Hint" not in said(check, lesson[0], answer("def double(x):\n    return 3 * x"))


def test_of_two_mistakes_with_one_result_the_other_cases_decide(lesson, answer):
    """On the first case both mistakes give 2. On the second case they differ."""
    lesson[0].path.write_text(
        "def f(x):\n    # BEGIN SOLUTION\n    return x\n    # END SOLUTION\n# --- check\n"
        "def cases(rng):\n    return [(1,), (3,)]\ndef expected(x):\n    return x\n"
        "MISTAKES = {'plus one': lambda x: x + 1, 'twice': lambda x: 2 * x, 'broken': lambda x: 1 / 0}\n"
    )
    assert said(check, lesson[0], answer("def f(x):\n    return x * 2")).endswith("got 2\nHint: twice")
    assert said(check, lesson[0], answer("def f(x):\n    return x + 1")).endswith("got 2\nHint: plus one")
    lesson[0].path.write_text(lesson[0].path.read_text().replace("2 * x", "None"))
    assert said(check, lesson[0], answer("def f(x):\n    pass")).endswith("end with `return`.")
    assert said(check, lesson[0], answer("def f(x):\n    return [None, 4][x // 3]")).endswith("got None\nHint: twice")
    assert "Hint" not in said(check, lesson[0], answer("def f(x):\n    return 1 if x == 3 else 7"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def double(x):\n    pass", "Hint: the function returns nothing. Let it end with `return`."),
        ("def double(x):\n    y = 1\n    return y / 0", "raised ZeroDivisionError, line 3: division by zero"),
        ("def double():\n    return 1", "raised TypeError: double() takes 0 positional arguments but 1 was given"),
        ("def double(x):\n    raise NotImplementedError('later')", "raised NotImplementedError: later"),
        ("double = 3", "double should be a function; got 3"),
        ("x = 1\ny = x / 0\ndef double(x): pass", "answer.py, line 2: ZeroDivisionError: division by zero"),
        ("import nowhere\n", "answer.py, line 1: ModuleNotFoundError: No module named 'nowhere'"),
        ("def double(x)\n    return x", "answer.py, line 1: this is not valid Python yet: expected ':'"),
        ("x = 1", "answer.py does not define double, which exercise 7.1 asks for"),
        ("import sys\nsys.exit(0)", "answer.py ends the program. Remove sys.exit()"),
        ("def double(x):\n    raise SystemExit(0)", "ends the program. Remove sys.exit(), and return the result"),
    ],
)
def test_files_that_fail(lesson, answer, text, message):
    assert message in said(check, lesson[0], answer(text))


def test_the_check_keeps_its_arguments(lesson, answer):
    """A function that changes its argument changes a copy."""
    check(lesson[0], answer("def double(x):\n    x *= 2\n    return x"))
    text = said(check, lesson[0], answer("def double(x):\n    x += 2\n    return x"))
    assert text.startswith("double(array([0.0, 0.0])): ")
    assert text.endswith("Hint: add x itself")


def test_the_main_part_of_a_script_does_not_run(lesson, answer):
    check(lesson[0], answer("def double(x):\n    return 2 * x\nif __name__ == '__main__':\n    raise RuntimeError"))


# --- in a process of its own --------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["file", "function"])
def test_an_endless_loop_is_ended_and_its_line_is_named(lesson, answer, place):
    loop = "def double(x):\n    while True:\n        x = x + 1\n"
    text = said(check_in_process, lesson[0], answer(loop + ("double(0)\n" if place == "file" else "")), time_limit=1)
    assert "answer.py did not end within 1 s. It was at line " in text
    assert text.split("at line ")[1][0] in "23"
    assert text.endswith("Does a loop run for ever?")


def test_a_process_that_ends_itself(lesson, answer):
    text = said(check_in_process, lesson[0], answer("import os\nos._exit(0)"))
    assert text.endswith("answer.py ended the process before the check was finished (exit status 0)")


def test_message_and_hint_come_from_the_process(lesson, answer):
    path = answer("def double(x):\n    return x + 2")
    assert said(check_in_process, lesson[0], path) == said(check, lesson[0], path)


def test_a_file_prints_to_the_terminal_and_imports_its_neighbour(lesson, answer, capfd):
    answer("def helper(x):\n    return 2 * x", "neighbour.py")
    path = answer("from neighbour import helper\nprint('hello')\ndef double(x):\n    return helper(x)")
    check_in_process(lesson[0], path)
    assert capfd.readouterr().out == "hello\n"


def test_the_seed_reaches_the_cases(lesson, answer):
    """The right answer for seed 5 alone: what the check compares depends on the seed."""
    number = float(np.random.default_rng(5).normal(size=(2, 3))[0, 0])
    path = answer(f"def double(x):\n    return 2 * x if x.ndim == 1 or x[0, 0] == {number!r} else x")
    check_in_process(lesson[0], path, seed=5)
    assert "(2, 3)" in said(check_in_process, lesson[0], path, seed=6)


# --- files that cannot be read ------------------------------------------------------------------------------


@CHECKS
def test_files_that_cannot_be_read(check, lesson, answer, tmp_path):
    with pytest.raises(InputError, match=r"there is no file .*gone\.py"):
        check(lesson[0], tmp_path / "gone.py")
    with pytest.raises(InputError, match="is a folder"):
        check(lesson[0], tmp_path)
    for content in (b"\xff\xfe\x00", b"\x00\x01", "x = 'ä'".encode("latin-1")):
        path = answer("", "binary.py")
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"binary\.py is not a text file"):
            check(lesson[0], path)


def test_a_byte_order_mark_is_skipped(lesson, answer):
    path = answer("")
    path.write_bytes(b"\xef\xbb\xbfdouble = lambda x: 2 * x")
    exercises.check(lesson[0], path)

"""A lesson with three small exercises, so that the tests of the check do not depend on the course's."""

import textwrap

import pytest

from fcn_from_scratch.lab import exercises

DOUBLE = '''
    """Exercise 7.{number}, build: twice the array.

    Write `{asked}(x)`.
    """

    import numpy as np


    def {asked}(x):
        """Twice x."""
        # BEGIN SOLUTION
        return 2 * x
        # END SOLUTION


    # --- check


    def cases(rng):
        return [(np.zeros(2),), (np.full(2, 2.0),), (rng.normal(size=(2, 3)),)]


    def expected(x):
        return x + x


    MISTAKES = {{"a square is not twice": lambda x: x * x, "add x itself": lambda x: x + 2}}
    TOLERANCE = 1e-9
'''


@pytest.fixture
def lesson(tmp_path):
    """The exercises of a lesson 7: they ask for double, twice and both."""
    folder = tmp_path / "exercises"
    folder.mkdir()
    for number, asked in enumerate(("double", "twice", "both"), 1):
        text = textwrap.dedent(DOUBLE).lstrip().format(number=number, asked=asked)
        (folder / f"exercise_7_{number}.py").write_text(text, encoding="utf-8")
    return exercises.of_lesson(7, folder)


@pytest.fixture
def answer(tmp_path):
    """A function that writes a reader's file and returns its path."""

    def write(text, name="answer.py"):
        path = tmp_path / name
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return path

    return write

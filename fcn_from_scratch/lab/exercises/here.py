"""The check of an answer that is given as text, in this process: for a live page, since a browser starts no process.

The page limits the time: it interrupts Python, as Ctrl+C does.
"""

import os
import tempfile
from pathlib import Path

from fcn_from_scratch.lab.exercises.checking import check, line_of
from fcn_from_scratch.lab.exercises.files import Exercise, Wrong


def check_text(lesson, number, exercise, answer, seed=0):
    """Check an answer to exercise `number` of a lesson.

    exercise, answer   the texts of the exercise's file and of the reader's
    Returns: "" if the answer is right, else the message for the reader.
    """
    before = os.getcwd()
    with tempfile.TemporaryDirectory(prefix="fcn_exercise_") as folder:
        ours = Exercise(lesson, number, Path(folder, "ours.py"))
        theirs = Path(ours.file_name)  # a bare name: this is how the message calls it
        try:
            os.chdir(folder)
            ours.path.write_text(exercise, encoding="utf-8")
            theirs.write_text(answer, encoding="utf-8")
            check(ours, theirs, seed)
        except Wrong as problem:
            return str(problem)
        except KeyboardInterrupt as error:
            return f"{theirs} had not ended{line_of(error, str(theirs))}. Does a loop run for ever?"
        finally:
            os.chdir(before)
    return ""

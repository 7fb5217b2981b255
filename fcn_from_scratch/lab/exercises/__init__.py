"""The exercises of the lessons: a stub for the reader to fill in, and a check that says what is wrong.

An exercise is a file lessons/exercises/exercise_N_K.py for exercise K of lesson N. Its parts, from top to bottom:

the docstring        the text of the exercise; its first line is "Exercise N.K, kind: title"
imports              those that the stub and the solution need
one asked function   its solution stands between the lines "# BEGIN SOLUTION" and "# END SOLUTION"
# --- check          what follows this line is not part of the stub:
    cases(rng)       a list of tuples of arguments, on which the function is called
    expected(*args)  the right result, computed in another way than the solution computes it
    MISTAKES         {hint: a function with that mistake}. A wrong answer that equals one of them gets its hint
    TOLERANCE        the largest difference from the expected numbers (optional; 0: equal)

The stub is the text above "# --- check" without the solution. The solution is the same text with it.

files     the exercises' files: title, stub, solution; which exercises a reader's file answers
checking  a reader's function compared with the right results
values    what is wrong with one value, in a sentence
process   the check of a reader's file in a process of its own, with a time limit
here      the check of an answer given as text, in this process: for a page in a browser
"""

from fcn_from_scratch.lab.exercises.checking import check, check_function, run_file
from fcn_from_scratch.lab.exercises.files import Exercise, Wrong, answered_by, of_lesson
from fcn_from_scratch.lab.exercises.here import check_text
from fcn_from_scratch.lab.exercises.process import TIME_LIMIT, check_in_process
from fcn_from_scratch.lab.exercises.values import difference

__all__ = [
    "TIME_LIMIT",
    "Exercise",
    "Wrong",
    "answered_by",
    "check",
    "check_function",
    "check_in_process",
    "check_text",
    "difference",
    "of_lesson",
    "run_file",
]

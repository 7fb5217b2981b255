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
"""

import ast
import copy
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fcn_from_scratch import course
from fcn_from_scratch.checks import InputError

EXERCISES = course.LESSONS / "exercises"
BEGIN, END, CHECK = "# BEGIN SOLUTION", "# END SOLUTION", "# --- check"
UNTOUCHED = "write this function"


class Wrong(Exception):
    """An answer is wrong. The message says where it differs, and gives a hint if the mistake is a known one."""


class Exercise(NamedTuple):
    """Exercise `number` of a lesson, and its file."""

    lesson: int
    number: int
    path: Path

    @property
    def file_name(self):
        return f"exercise_{self.lesson}_{self.number}.py"

    @property
    def title(self):
        """The first line of the docstring."""
        return ast.get_docstring(ast.parse(self._text)).partition("\n")[0]

    @property
    def asked(self):
        """The name of the function that the reader writes."""
        before = self._text.partition(BEGIN)[0]
        return re.findall(r"^def (\w+)\(", before, re.MULTILINE)[-1]

    @property
    def solution(self):
        """Our answer, as a file."""
        kept = self._text.partition(CHECK)[0].splitlines()
        return "\n".join(line for line in kept if line.strip() not in (BEGIN, END)).rstrip() + "\n"

    @property
    def stub(self):
        """What the reader starts from: the solution is replaced by an error."""
        kept, inside = [], False
        for line in self._text.partition(CHECK)[0].splitlines():
            if line.strip() == BEGIN:
                inside = True
                indent = line[: len(line) - len(line.lstrip())]
                kept.append(f'{indent}raise NotImplementedError("{UNTOUCHED}")')
            if not inside:
                kept.append(line)
            if line.strip() == END:
                inside = False
        return "\n".join(kept).rstrip() + "\n"

    @property
    def _text(self):
        return self.path.read_text(encoding="utf-8")


def of_lesson(lesson, folder=None):
    """The exercises of a lesson, given by its number, in order.

    Raises: InputError if there are none.
    """
    folder = Path(folder or EXERCISES)
    paths = sorted(folder.glob(f"exercise_{int(lesson)}_[0-9].py"))
    if not paths:
        raise InputError(f"lesson {lesson} has no exercises in {folder}")
    return [Exercise(int(lesson), int(path.stem.rpartition("_")[2]), path) for path in paths]


def check(exercise, path, seed=0):
    """Check a reader's file.

    Raises: Wrong with the first difference that was found.
    """
    reader = _run(Path(path))
    if exercise.asked not in reader:
        raise Wrong(
            f"{path} does not define {exercise.asked}, which exercise {exercise.lesson}.{exercise.number} asks for"
        )
    check_function(exercise, reader[exercise.asked], seed)


def check_function(exercise, function, seed=0):
    """Check one function, given as such, on every case of the exercise.

    Raises: Wrong with the first difference that was found.
    """
    ours = _run(exercise.path)
    tolerance = ours.get("TOLERANCE", 0)
    for args in ours["cases"](np.random.default_rng(seed)):
        want = ours["expected"](*copy.deepcopy(args))
        got = _call(exercise, function, args)
        problem = difference(got, want, tolerance)
        if problem is None:
            continue
        words = [f"{exercise.asked}({_arguments(args)}): {problem}"]
        for hint, mistake in ours["MISTAKES"].items():
            if difference(got, _quietly(mistake, args), tolerance) is None:
                words.append(f"Hint: {hint}")
        raise Wrong("\n".join(words))


def difference(got, want, tolerance=0, place="the result"):
    """What is wrong with a value, in a sentence: its kind, its shape or a number. None if nothing is.

    Arrays, numbers, strings, bools, and tuples, lists and dicts of them are compared. A tuple and a list with the same
    entries are equal, and so are an array and a number of no axes.
    """
    if isinstance(want, dict):
        return _dict_difference(got, want, tolerance, place)
    if isinstance(want, (tuple, list)):
        if isinstance(got, np.ndarray):
            got = list(got)
        if not isinstance(got, (tuple, list)):
            return f"{place} should be a {type(want).__name__} of {len(want)} values; got {_shown(got)}"
        if len(got) != len(want):
            return f"{place} should have {len(want)} values; got {len(got)}"
        found = (difference(g, w, tolerance, f"value {i} of {place}") for i, (g, w) in enumerate(zip(got, want)))
        return next((problem for problem in found if problem), None)
    if isinstance(want, (str, bytes, bool, np.bool_)) or want is None:
        same = type(got) in (type(want), bool, np.bool_) if isinstance(want, (bool, np.bool_)) else True
        return None if same and got == want else f"{place} should be {want!r}; got {_shown(got)}"
    return _array_difference(got, want, tolerance, place)


def _dict_difference(got, want, tolerance, place):
    if not isinstance(got, dict) or set(got) != set(want):
        return f"{place} should be a dict with the keys {', '.join(map(str, want))}; got {_shown(got)}"
    found = (difference(got[key], want[key], tolerance, f"{place}[{key!r}]") for key in want)
    return next((problem for problem in found if problem), None)


def _array_difference(got, want, tolerance, place):
    try:
        got, want = np.asarray(got), np.asarray(want)
    except ValueError:
        return f"{place} should be an array; got {_shown(got)}"
    if got.dtype.kind not in "biuf":
        return f"{place} should be {'an array' if want.ndim else 'a number'}; got {_shown(got)}"
    if got.shape != want.shape:
        return f"{place} has the wrong shape: it should be {want.shape}; got {got.shape}"
    equal = np.isclose(got, want, rtol=tolerance, atol=tolerance, equal_nan=True)
    if equal.all():
        return None
    if not want.ndim:
        return f"{place} should be {want:.6g}; got {got:.6g}"
    where = tuple(int(i) for i in np.argwhere(~equal)[0])
    count = int((~equal).sum())
    return (
        f"{place} has the right shape {want.shape}, but {count} of its {want.size} values are wrong. The first stands "
        f"at {where}: it should be {want[where]:.6g}; got {got[where]:.6g}"
    )


def _run(path):
    """The names that a file defines. An error in it is reported with its line."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise InputError(f"{path} is no text file: pass the Python file with your answer") from None
    names = {"__name__": path.stem, "__file__": str(path)}
    try:
        exec(compile(text, str(path), "exec"), names)
    except SyntaxError as error:
        raise Wrong(f"{path}, line {error.lineno}: this is no Python yet: {error.msg}") from None
    except Exception as error:
        raise Wrong(f"{path}{_line(error, str(path))}: {type(error).__name__}: {error}") from None
    return names


def _call(exercise, function, args):
    """The function's result. It gets copies, so that it cannot change the arguments of the check."""
    try:
        return function(*copy.deepcopy(args))
    except NotImplementedError as error:
        if str(error) == UNTOUCHED:
            raise Wrong(f"{exercise.asked} is still the stub: write the function, then check again") from None
        raise Wrong(f"{exercise.asked}({_arguments(args)}) raised NotImplementedError: {error}") from None
    except Exception as error:
        file = getattr(getattr(function, "__code__", None), "co_filename", "")
        where = _line(error, file)
        raise Wrong(f"{exercise.asked}({_arguments(args)}) raised {type(error).__name__}{where}: {error}") from None


def _quietly(mistake, args):
    """The result of a known mistake; one that cannot be computed equals nothing."""
    try:
        return mistake(*copy.deepcopy(args))
    except Exception:
        return object()


def _line(error, file):
    """ ", line N" of the file in which the error arose, if it is on the way to the error."""
    line, step = None, error.__traceback__
    while step is not None:
        if step.tb_frame.f_code.co_filename == file:
            line = step.tb_lineno
        step = step.tb_next
    return "" if line is None else f", line {line}"


def _arguments(args):
    return ", ".join(_shown(value) for value in args)


def _shown(value):
    """A value in a few words."""
    if isinstance(value, np.ndarray) and value.size > 6:
        return f"an array of shape {value.shape}"
    text = re.sub(r"\s+", " ", repr(value))
    return text if len(text) <= 60 else f"{text[:57]}..."

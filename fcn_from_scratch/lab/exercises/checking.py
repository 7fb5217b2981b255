"""A reader's function compared with the right results, case by case."""

import copy
from pathlib import Path

import numpy as np

from fcn_from_scratch.lab.exercises.files import UNTOUCHED, Wrong, parse, read
from fcn_from_scratch.lab.exercises.values import difference, shown


def check(exercise, path, seed=0):
    """Check a reader's file. It is run in this process; check_in_process is safer.

    Raises: Wrong with the first difference that was found.
    """
    names = run_file(path)
    if exercise.asked not in names:
        raise Wrong(f"{path} does not define {exercise.asked}, which exercise {exercise.name} asks for")
    check_function(exercise, names[exercise.asked], seed)


def check_function(exercise, function, seed=0):
    """Check one function, given as such, on every case of the exercise.

    Raises: Wrong with the first difference that was found.
    """
    ours = run_file(exercise.path)
    tolerance = ours.get("TOLERANCE", 0)
    if not callable(function):
        raise Wrong(f"{exercise.asked} should be a function; got {shown(function)}")
    cases = [tuple(map(_as_indices, args)) for args in ours["cases"](np.random.default_rng(seed))]
    for number, args in enumerate(cases):
        want = ours["expected"](*copy.deepcopy(args))
        got = _call(exercise, function, args)
        problem = difference(got, want, tolerance)
        if problem is not None:
            others = [*cases[:number], *cases[number + 1 :]]
            hint = _hint(ours["MISTAKES"], function, [args, *others], tolerance)
            raise Wrong(f"{exercise.asked}({_arguments(args)}): {problem}" + (f"\nHint: {hint}" if hint else ""))


def _as_indices(value):
    """An int64 array as np.intp. On 64 bits it stays the same; in a browser a reader's np.bincount would refuse it."""
    is_wide = isinstance(value, np.ndarray) and value.dtype == np.int64
    return value.astype(np.intp, copy=False) if is_wide else value


def run_file(path):
    """The names that a file defines. An error in it is reported with its line."""
    path = Path(path)
    tree = parse(path, read(path))
    names = {"__name__": path.stem, "__file__": str(path)}
    try:
        exec(compile(tree, str(path), "exec"), names)
    except SystemExit:
        raise Wrong(f"{path} ends the program. Remove sys.exit(), so that the check can go on") from None
    except Exception as error:
        raise Wrong(f"{path}{line_of(error, str(path))}: {type(error).__name__}: {error}") from None
    return names


def _call(exercise, function, args):
    """The function's result. It gets copies, so that it cannot change the arguments of the check."""
    called = f"{exercise.asked}({_arguments(args)})"
    try:
        return function(*copy.deepcopy(args))
    except NotImplementedError as error:
        if str(error) == UNTOUCHED:
            raise Wrong(f"{exercise.asked} is still the stub: write the function, then check again") from None
        raise Wrong(f"{called} raised NotImplementedError: {error}") from None
    except SystemExit:
        raise Wrong(f"{called} ends the program. Remove sys.exit(), and return the result") from None
    except Exception as error:
        file = getattr(getattr(function, "__code__", None), "co_filename", "")
        raise Wrong(f"{called} raised {type(error).__name__}{line_of(error, file)}: {error}") from None


def _hint(mistakes, function, cases, tolerance):
    """The hint of the known mistake with the function's results: on the first case, and on most of the next ones."""
    if all(_agree(function, _nothing, args, tolerance) for args in cases):
        return "the function returns nothing. Let it end with `return`."
    possible, hint = dict(mistakes), None
    for args in cases:
        possible = {text: mistake for text, mistake in possible.items() if _agree(function, mistake, args, tolerance)}
        hint = next(iter(possible), hint)
    return hint


def _agree(function, mistake, args, tolerance):
    """Whether two functions have one result. An error is not a result."""
    try:
        got, other = (one(*copy.deepcopy(args)) for one in (function, mistake))
        return difference(got, other, tolerance) is None
    except (Exception, SystemExit):
        return False


def _nothing(*args):
    """What a function without `return` gives."""


def line_of(error, file):
    """ ", line N" of the file in which the error arose, if it is on the way to the error."""
    line, step = None, error.__traceback__
    while step is not None:
        if step.tb_frame.f_code.co_filename == file:
            line = step.tb_lineno
        step = step.tb_next
    return "" if line is None else f", line {line}"


def _arguments(args):
    return ", ".join(shown(value) for value in args)

"""Support for the lessons: claims that are checked while a lesson runs, and the runner of the course.

A lesson is a script, lessons/lesson_NN_name.py. Any editor that knows `# %%` cells opens it as a notebook. Its
docstring is a markdown cell. It begins with the heading "# Lesson N: the question"; a later line begins with "Needs"
and another with "Runtime". The package never imports a lesson. It reads the docstring, and runs the script in a process
of its own.
"""

import ast
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fcn_from_scratch.backend import DEVICES
from fcn_from_scratch.browser import needs_processes
from fcn_from_scratch.checks import InputError, choice
from fcn_from_scratch.files import write_atomically
from fcn_from_scratch.resources import LESSONS

TITLES = {  # where the name with spaces would not do
    "shift_and_stitch": "Shift-and-stitch",
    "fcn32s": "FCN-32s",
    "more_inputs_outputs": "More inputs and outputs",
    "gpu_kernels": "GPU kernels",
}
FILE_NAME = re.compile(r"lesson_\d\d_\w+\.py")
FAST_PATH = (0, 1, 5, 7, 9, 11, 12)  # the paper's main ideas, up to FCN-8s


# --- inside a lesson ----------------------------------------------------------------------------------------


def check(claim, holds, detail=None):
    """Print "  ok  claim (detail)", or raise AssertionError that names the claim when it does not hold.

    holds   a bool or a 0-d array of bools. Anything else is a TypeError, since text and lists would count as true
    detail  what was measured; it is printed in either case
    This is an explicit raise and no assert statement, so it also works under `python -O`.
    """
    _require_bool(claim, holds)
    text = claim if detail is None else f"{claim} ({detail})"
    if not holds:
        raise AssertionError(f"this claim does not hold: {text}")
    print(f"  ok  {text}", flush=True)


def claims(rows):
    """Check every (claim, holds, reason) of a lesson's last cell: the lesson's results in one list.

    reason   why the tolerance has this value: "exact: both count pixels", "1e-12: two orders of summation"
    Only the number of claims is printed, since each was printed where it was checked first.
    Raises: AssertionError that names every claim that does not hold.
    """
    broken = []
    for claim, holds, _ in rows:
        _require_bool(claim, holds)
        if not holds:
            broken.append(claim)
    if broken:
        raise AssertionError("these claims do not hold: " + "; ".join(broken))
    print(f"  all {len(rows)} claims of this lesson hold", flush=True)


def device():
    """The device on which a lesson trains: the environment variable FCN_DEVICE, or "cpu" if it is not set."""
    return choice(os.environ.get("FCN_DEVICE", "cpu"), "FCN_DEVICE", DEVICES)


def seed():
    """The seed of a lesson that trains: the environment variable FCN_SEED, or 0 if it is not set."""
    text = os.environ.get("FCN_SEED", "0")
    if not text.isdecimal():
        raise InputError(f"FCN_SEED must be a whole number, 0 or more; got {text!r}")
    return int(text)


def _require_bool(claim, holds):
    is_bool = isinstance(holds, bool) or (getattr(holds, "dtype", None) == np.bool_ and holds.ndim == 0)
    if not is_bool:
        raise TypeError(f"{claim!r}: a check needs True or False; got {type(holds).__name__}")


# --- around the lessons -------------------------------------------------------------------------------------


class Lesson(NamedTuple):
    """One lesson, as its file name and docstring describe it."""

    number: int
    name: str
    question: str
    needs: str  # as written, for example "lessons 1 and 2"
    runtime: str  # as written, for example "8 s on 2 cores"
    path: Path

    @property
    def title(self):
        """The name as a heading: "Fully convolutional"."""
        return TITLES.get(self.name, self.name.replace("_", " ").capitalize())


class Outcome(NamedTuple):
    """How the run of one lesson ended."""

    lesson: Lesson
    status: int  # 0: every claim held
    seconds: float


def lessons(folder=None):
    """All lessons of a folder (by default the project's), in order.

    Raises: InputError when there are none.
    """
    folder = Path(folder or LESSONS)
    found = sorted(folder.glob("lesson_[0-9][0-9]_*.py"))
    if not found:
        raise InputError(
            f"no lessons in {folder}: this package was built without them. Install it from the project's folder, by "
            "`pip install .`, and try again"
        )
    return [_read(path) for path in found]


def find(name, folder=None):
    """Find a lesson by its number (1, 01), its name (metrics), its file name or its path.

    The path of a file that is there means this file, such as a reader's own copy of a lesson.
    Raises: InputError that lists the known names.
    """
    path = Path(str(name))
    if FILE_NAME.fullmatch(path.name) and path.is_file():
        return _read(path)
    everything = lessons(folder)
    word = path.name.removesuffix(".py")
    for lesson in everything:
        names = {lesson.name, lesson.path.stem, str(lesson.number), f"{lesson.number:02d}"}
        if word in names:
            return lesson
    known = ", ".join(f"{lesson.number} {lesson.name}" for lesson in everything)
    raise InputError(f"there is no lesson {str(name)!r}; the lessons are: {known}")


def copy(lesson, folder):
    """Copy a lesson's script into a folder, where a reader may change it. A file that is there stays as it is.

    Returns: (the path, what became of it: "wrote", "kept" an equal file, or "edited": kept one that differs).
    """
    path, ours = Path(folder, lesson.path.name), lesson.path.read_bytes()
    if path.is_symlink() or path.exists():
        return path, "kept" if path.is_file() and path.read_bytes() == ours else "edited"
    write_atomically(path, lambda file: file.write(ours))
    return path, "wrote"


def fast_path(folder=None):
    """The lessons of the fast path, in order."""
    return [lesson for lesson in lessons(folder) if lesson.number in FAST_PATH]


def run(lesson, figures=None, device=None, seed=None, plain=False):
    """Run one lesson in a new Python process. Its output goes straight to the terminal.

    figures  the folder for its figures (by default lessons/figures/), passed on as FCN_FIGURES
    device   "cpu" or "cuda", passed on as FCN_DEVICE
    seed     a number, passed on as FCN_SEED
    plain    True: compute by the plain code alone, passed on as FCN_PLAIN=1
    Returns: Outcome. Raises: InputError in a browser, where a lesson's script runs in the page itself.
    """
    needs_processes("fcn lessons", f"import runpy, then call runpy.run_path({str(lesson.path)!r})")
    environment = dict(os.environ, PYTHONUNBUFFERED="1")
    if figures is not None:
        environment["FCN_FIGURES"] = str(Path(figures).resolve())
    if device is not None:
        environment["FCN_DEVICE"] = choice(device, "device", DEVICES)
    if seed is not None:
        environment["FCN_SEED"] = str(seed)
    if plain:
        environment["FCN_PLAIN"] = "1"
    sys.stdout.flush()
    started = time.perf_counter()
    process = subprocess.run([sys.executable, str(lesson.path)], env=environment, stdin=subprocess.DEVNULL)
    return Outcome(lesson, process.returncode, time.perf_counter() - started)


def _read(path):
    """Read number and name from the file name, and the rest from the docstring. What it does not say is ""."""
    _, number, name = path.stem.split("_", 2)
    try:
        docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    except SyntaxError:
        docstring = ""  # running the lesson will show where
    question = docstring.partition("\n")[0].partition(":")[2].strip()
    return Lesson(int(number), name, question, _field(docstring, "Needs"), _field(docstring, "Runtime"), path)


def _field(docstring, name):
    """The text after `name` in the docstring, up to the end of the sentence or of the line."""
    match = re.search(rf"^\s*{name}:?\s+(.+?)(?:\.\s|\.?$)", docstring, re.MULTILINE)
    return match.group(1).strip() if match else ""

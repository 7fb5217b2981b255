"""The exercises' files: title, stub and solution. And which exercises a reader's file answers."""

import ast
import re
from pathlib import Path
from typing import NamedTuple

from fcn_from_scratch.checks import InputError
from fcn_from_scratch.files import read_bytes
from fcn_from_scratch.resources import EXERCISES

BEGIN, END, CHECK = "# BEGIN SOLUTION", "# END SOLUTION", "# --- check"
MOST_TEXT = 4 << 20  # bytes of a reader's file
UNTOUCHED = "write this function"


class Wrong(Exception):
    """An answer is wrong. The message says where it differs, and gives a hint if the mistake is a known one."""


class Exercise(NamedTuple):
    """Exercise `number` of a lesson, and its file."""

    lesson: int
    number: int
    path: Path

    @property
    def name(self):
        return f"{self.lesson}.{self.number}"

    @property
    def file_name(self):
        return f"exercise_{self.lesson}_{self.number}.py"

    @property
    def title(self):
        """The first line of the docstring."""
        return _title(ast.parse(self._text))

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


def answered_by(path, exercises):
    """Which of a lesson's exercises a reader's file answers. The file is read and not run.

    One is named by the file's name exercise_N_K.py, or else by the first line of its docstring, "Exercise N.K". Each
    further one is known by the function that it asks for: the file defines it.
    Raises: InputError if the file answers none of them, or cannot be read; Wrong if it is not valid Python.
    """
    text = read(path)
    tree = parse(path, text)
    lesson, asked = exercises[0].lesson, [exercise.asked for exercise in exercises]
    in_name = re.fullmatch(r"exercise_(\d+)_(\d+)", Path(path).stem)
    in_docstring = re.match(r"Exercise (\d+)\.(\d+)", _title(tree))
    named = [tuple(map(int, found.groups())) for found in (in_name, in_docstring) if found]
    first = next((number for other, number in named if other == lesson), None)
    defined = _defined(tree)
    answered = [exercise for exercise in exercises if exercise.number == first or exercise.asked in defined]
    if answered:
        return answered
    if named and named[0][0] != lesson:
        other, number = named[0]
        raise InputError(f"{path} answers exercise {other}.{number}: check it by `fcn exercise {other} --check {path}`")
    raise InputError(
        f"{path} defines none of the functions that the exercises of lesson {lesson} ask for: {', '.join(asked)}"
    )


def read(path):
    """The text of a reader's file.

    Raises: InputError if there is no such file, or if it is not a text.
    """
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path} is a folder: pass the Python file with your answer")
    if not path.exists():
        raise InputError(f"there is no file {path}")
    try:
        text = read_bytes(path, MOST_TEXT).decode("utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise InputError(f"{path} is not a text file in UTF-8: pass the Python file with your answer")
    return text


def parse(path, text):
    """The syntax tree of a reader's file.

    Raises: Wrong, which names the line, if the text is not valid Python.
    """
    try:
        return ast.parse(text, str(path))
    except SyntaxError as error:
        raise Wrong(f"{path}, line {error.lineno}: this is not valid Python yet: {error.msg}") from None


def _title(tree):
    """The first line of a file's docstring, or ""."""
    return (ast.get_docstring(tree) or "").partition("\n")[0]


def _defined(tree):
    """The names that a file binds at its top level by def, assignment or import."""
    names = set()
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            names.update(alias.asname or alias.name for alias in node.names)
        else:
            names.update(n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store))
    return names

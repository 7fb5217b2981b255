"""A lesson's script as the cells of a notebook, for the tests of the lessons."""

import ast
import re
from typing import NamedTuple


class Cell(NamedTuple):
    is_markdown: bool
    lines: list  # as they stand in the script
    is_answer: bool = False  # tagged "answer": it closes a prediction

    @property
    def code(self):
        return "\n".join(self.lines)

    @property
    def text(self):
        """Markdown without the comment signs, or without the quotes of the first cell."""
        if self.lines and self.lines[0].startswith('"""'):
            return self.code.strip().strip('"').strip("\n")
        return "\n".join(re.sub(r"^# ?", "", line) for line in self.lines).strip("\n")

    @property
    def headings(self):
        return re.findall(r"^#+ (.+)$", self.text, re.MULTILINE) if self.is_markdown else []


def cells(path):
    """The cells of a lesson, in order. What stands before the first one is a code cell."""
    found = [Cell(False, [])]
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("# %%"):
            found.append(Cell(line.startswith("# %% [markdown]"), [], 'tags=["answer"]' in line))
        else:
            found[-1].lines.append(line)
    return found if found[0].code.strip() else found[1:]


def docstring(path):
    return ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""


def imported(path):
    """The names of all modules that a script imports."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def calls(path, name):
    """How many calls of a function, given by the end of its name, a script contains."""
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    functions = [node.func for node in nodes if isinstance(node, ast.Call)]
    return sum(getattr(function, "attr", getattr(function, "id", None)) == name for function in functions)

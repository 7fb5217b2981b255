"""Where a mutant's text stands in the package, and the source with its mistake in it.

A mutant names a function and a text in it, not a line of a file. `place` is one of
- a dotted name below the package: "layers.conv.Conv2d._backward", "ops.loss.softmax_cross_entropy";
- a class, a module, or a name that a module assigns: "layers.conv.Conv2d", "engine.winograd", "engine.winograd.MEAN";
- a file that is not Python: "kernels/gemm.cu".

Code may move without a change here. Where no such place exists, the longest end of its name that exists is taken,
provided that only one place has it: after a move of the function to ops/gradients.py, "layers.conv.weight_gradient"
is found as ops.gradients.weight_gradient. White space does not count, nor does a comma before a closing bracket: code
that was indented or wrapped anew still holds the text.
"""

import ast
import re
import textwrap
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

PACKAGE = "fcn_from_scratch"
SOURCES = (".py", ".cu", ".cuh", ".cpp", ".h")


class Mutant(NamedTuple):
    """A mistake: in `place`, the only occurrence of `text` becomes `replacement`; `tests` must notice."""

    name: str
    place: str
    text: str
    replacement: str
    tests: str  # pytest's arguments below tests/


class Misfit(ValueError):
    """The mutant's place or text is not in the source, or not there once."""


class Segment(NamedTuple):
    """The characters from `start` to `end` of a file; `file` is a path below the package."""

    file: str
    start: int
    end: int


class Planted(NamedTuple):
    """A file's source before and after the mistake."""

    file: str
    source: str
    changed: str


class Package:
    """The sources of the package below `root`, and what stands where in them."""

    def __init__(self, root):
        folder = Path(root) / PACKAGE
        paths = sorted(path for path in folder.rglob("*") if path.suffix in SOURCES)
        self.sources = {path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8") for path in paths}

    @cached_property
    def places(self):
        """A dict of dotted name -> segments. A property and its setter have one name and two segments."""
        places = {}
        for file, source in self.sources.items():
            if file.endswith(".py"):
                words = file.removesuffix(".py").split("/")
                module = ".".join(words[:-1] if words[-1] == "__init__" and words[1:] else words)
                places[module] = [Segment(file, 0, len(source))]
                for name, segment in _definitions(file, source):
                    places.setdefault(f"{module}.{name}", []).append(segment)
        return places

    def find(self, place):
        """(name, segments) of the place. Raises: LookupError where there is none, or no single one."""
        if "/" in place:
            return self._find_file(place)
        if place in self.places:
            return place, self.places[place]
        words = place.split(".")
        for start in range(len(words)):
            ending = "." + ".".join(words[start:])
            found = [name for name in self.places if f".{name}".endswith(ending)]
            if len(found) == 1:
                return found[0], self.places[found[0]]
            if found:
                raise LookupError(f"no {place}, and {ending[1:]} is ambiguous: {', '.join(found)}")
        raise LookupError(f"no {place}, and nothing called {words[-1]} anywhere in the package")

    def _find_file(self, place):
        name = place.rpartition("/")[2]
        found = [place] if place in self.sources else [f for f in self.sources if f.rpartition("/")[2] == name]
        if len(found) != 1:
            raise LookupError(f"no file {place}, and {len(found)} files called {name} in the package")
        return found[0], [Segment(found[0], 0, len(self.sources[found[0]]))]

    def occurrences(self, text, segments):
        """Where the text stands in the segments: a list of segments."""
        pattern = _pattern(text)
        return [
            Segment(file, *found.span())
            for file, start, end in segments
            for found in pattern.finditer(self.sources[file], start, end)
        ]

    def holders(self, text):
        """The smallest places of the whole package that hold the text."""
        files = [[Segment(file, 0, len(source))] for file, source in self.sources.items()]
        return sorted({self._holder(found) for segments in files for found in self.occurrences(text, segments)})

    def _holder(self, found):
        """The smallest place around a segment; of a file that is not Python, the file."""
        around = [
            (end - start, -len(name), name)
            for name, segments in self.places.items()
            for file, start, end in segments
            if file == found.file and start <= found.start and found.end <= end
        ]
        return min(around)[2] if around else found.file

    def plant(self, mutant):
        """The mutant's file before and after. Raises: Misfit when its text is not in its place exactly once."""
        try:
            name, segments = self.find(mutant.place)
        except LookupError as error:
            raise Misfit(f"mutant {mutant.name!r}: {error.args[0]}{self._hint(mutant.text)}") from None
        found = self.occurrences(mutant.text, segments)
        if len(found) != 1:
            place = name if name == mutant.place else f"{name} (found for {mutant.place})"
            hint = self._hint(mutant.text) if not found else ""
            raise Misfit(f"mutant {mutant.name!r}: {place} holds its text {len(found)} times, not once{hint}")
        (file, start, end), source = found[0], self.sources[found[0].file]
        before = source[:start]
        indent = re.search(r"[ \t]*(?=\S|$)", before[before.rfind("\n") + 1 :])[0]
        lines = textwrap.indent(textwrap.dedent(mutant.replacement).strip(), indent).removeprefix(indent)
        return Planted(file, source, before + lines + source[end:])

    def _hint(self, text):
        holders = self.holders(text)
        if not holders:
            return "; no other place holds it either"
        return f"; the text stands in {', '.join(holders) if len(holders) < 6 else f'{len(holders)} places'}"


def _definitions(file, source):
    """(qualified name, segment) of the functions, classes and assigned names; not of what is inside a function."""
    starts = [0, *(found.end() for found in re.finditer(r"\n|\Z", source))]

    def walk(node, prefix):
        for child in ast.iter_child_nodes(node):
            decorators = getattr(child, "decorator_list", [])
            first = min([child.lineno, *(each.lineno for each in decorators)]) if hasattr(child, "lineno") else 0
            for name in _names(child):
                yield prefix + name, Segment(file, starts[first - 1], starts[child.end_lineno])
            if isinstance(child, ast.ClassDef):
                yield from walk(child, f"{prefix}{child.name}.")
            elif isinstance(child, (ast.If, ast.Try, ast.With)):
                yield from walk(child, prefix)

    return walk(ast.parse(source), "")


def _names(node):
    """The names that a statement defines."""
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    parts = [part for target in targets for part in (target.elts if isinstance(target, ast.Tuple) else [target])]
    return [part.id for part in parts if isinstance(part, ast.Name)]


def _pattern(text):
    """The text as a regular expression to which white space and a comma before a closing bracket are all the same."""
    words = re.findall(r"\w+|[^\w\s]", text)
    words = [word for word, after in zip(words, [*words[1:], ""]) if not (word == "," and after and after in ")]}")]
    parts = []
    for before, word in zip(["", *words], words):
        if before:
            parts.append(r"\s+" if _is_word(before) and _is_word(word) else r"\s*")
        if word in ")]}" and before and before != ",":
            parts.append(r"(?:,\s*)?")
        parts.append(re.escape(word))
    return re.compile("".join(parts))


def _is_word(text):
    return text[0] == "_" or text[0].isalnum()

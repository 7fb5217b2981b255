"""Imports point one way, from the tools down to the arithmetic, and never in a circle. This test reads them.

LEVELS is the rule: a room may import itself, the leaves, and rooms of earlier levels. A room is a package or a file
directly below fcn_from_scratch. Imports inside functions count too.
"""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "fcn_from_scratch"
# They import only each other.
LEAVES = ("__init__", "backend", "browser", "checks", "files", "palette", "progress", "resources")
LEVELS = (
    ("kernels",),
    ("engine",),
    ("ops",),
    ("layers",),
    ("geometry", "gradcheck"),
    ("dense", "datasets"),
    ("weights",),
    ("models", "metrics"),
    ("training", "objects", "viz", "diagram", "course"),
    ("lab",),
    ("cli",),
    ("__main__",),
)
ON_LEAVES_ALONE = ("datasets", "objects", "viz", "diagram", "course")
LAB = f"{PACKAGE}.lab"


def module_of(path, root):
    """The dotted name of a file's module; a package's is that of its __init__.py."""
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path, ROOT): path for path in sorted((ROOT / PACKAGE).rglob("*.py"))}


def imported(text, module, modules, is_package=False):
    """The modules of the package that a module's text imports.

    modules     the names of all modules: they tell in `from a import b` whether b is a module or a name in a
    is_package  whether the text is that of an __init__.py, from which relative imports count
    """
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = module.split(".")
            start = parts[: len(parts) - node.level + is_package] if node.level else []
            base = ".".join([*start, *([node.module] if node.module else [])])
            names = (f"{base}.{alias.name}" for alias in node.names)
            found.update(name if name in modules else base for name in names)
    return {name for name in found if name.partition(".")[0] == PACKAGE}


def room_of(module):
    """The room of a module: the part of its name after the package's; "__init__" is the package itself."""
    return module.split(".")[1] if "." in module else "__init__"


def circle(graph):
    """A list of names that leads from one to itself along the edges of a dict name -> names; None if there is none."""
    done, way = set(), []

    def visit(name):
        if name in way:
            return [*way[way.index(name) :], name]
        if name in done:
            return None
        way.append(name)
        for other in sorted(graph.get(name, ())):
            if found := visit(other):
                return found
        done.add(way.pop())
        return None

    return next((found for name in graph if (found := visit(name))), None)


IMPORTS = {
    module: imported(path.read_text(encoding="utf-8"), module, MODULES, path.name == "__init__.py")
    for module, path in MODULES.items()
}
ROOMS = {room_of(module) for module in MODULES}
EDGES = sorted({(module, other) for module, others in IMPORTS.items() for other in others})


def allowed(room):
    """The rooms that a room may import."""
    if room in LEAVES:
        return {*LEAVES}
    if room in ON_LEAVES_ALONE:
        return {room, *LEAVES}
    level = next(number for number, rooms in enumerate(LEVELS) if room in rooms)
    return {room, *LEAVES, *(lower for rooms in LEVELS[:level] for lower in rooms)}


def test_every_room_has_its_level():
    assert sorted([*LEAVES, *(room for rooms in LEVELS for room in rooms)]) == sorted(ROOMS)


@pytest.mark.parametrize("room", sorted(ROOMS))
def test_a_room_imports_only_rooms_below_it(room):
    upwards = [f"{module} imports {other}" for module, other in EDGES if room_of(module) == room]
    upwards = [line for line in upwards if room_of(line.split()[-1]) not in allowed(room)]
    assert not upwards, "\n".join(upwards)


def test_only_lab_and_cli_import_lab():
    users = {room_of(module) for module, other in EDGES if room_of(other) == "lab"}
    assert users == {"lab", "cli"}


def test_there_is_no_circle():
    assert circle(IMPORTS) is None


def test_what_is_imported_exists():
    assert not [f"{module} imports {other}" for module, other in EDGES if other not in MODULES]


@pytest.mark.parametrize("path", sorted((ROOT / "lessons").rglob("*.py")), ids=lambda path: path.stem)
def test_lessons_import_lab_by_its_full_name(path):
    """`from fcn_from_scratch.lab.published import table` tells a reader where a tool stands. No room hands on lab."""
    found = imported(path.read_text(encoding="utf-8"), path.stem, MODULES)
    assert found <= MODULES.keys()
    assert LAB not in found
    for module in found:
        assert room_of(module) == "lab" or not any(other.startswith(LAB) for other in IMPORTS[module])


# --- the reader of imports itself -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "modules"),
    [
        ("import numpy, fcn_from_scratch.ops.conv", {"fcn_from_scratch.ops.conv"}),
        ("from fcn_from_scratch import ops as o, plain", {"fcn_from_scratch.ops", "fcn_from_scratch"}),
        ("from fcn_from_scratch.ops import conv, conv2d", {"fcn_from_scratch.ops.conv", "fcn_from_scratch.ops"}),
        ("from . import conv", {"fcn_from_scratch.ops.conv"}),
        ("from .conv import conv2d", {"fcn_from_scratch.ops.conv"}),
        ("from ..layers import Conv2d", {"fcn_from_scratch.layers"}),
        ("def f():\n    from fcn_from_scratch.layers import Conv2d", {"fcn_from_scratch.layers"}),
        ("import fcn_from_scratch_of_others, ast\nfrom math import pi", set()),
    ],
)
def test_imports_are_read(text, modules):
    names = {PACKAGE, *(f"{PACKAGE}.{name}" for name in ("ops", "ops.conv", "ops.linear", "layers"))}
    assert imported(text, f"{PACKAGE}.ops.linear", names) == modules


def test_relative_imports_of_a_package_begin_in_it():
    names = {PACKAGE, f"{PACKAGE}.ops", f"{PACKAGE}.ops.conv"}
    assert imported("from .conv import conv2d", f"{PACKAGE}.ops", names, is_package=True) == {f"{PACKAGE}.ops.conv"}


def test_a_circle_is_found():
    assert circle({"a": ["b", "c"], "b": [], "c": ["b", "d"], "d": ["b"]}) is None
    assert circle({"a": ["b"], "b": ["c", "d"], "c": [], "d": ["b"]}) == ["b", "d", "b"]
    assert circle({"a": ["a"]}) == ["a", "a"]

"""Indices fit NumPy's index type on 32 bits too, found without a 32-bit machine, in the source.

On 32-bit WebAssembly np.intp has 32 bits, and the functions below refuse an array of int64: "Cannot cast array data
from dtype('int64') to dtype('int32') according to the rule 'safe'". Indexing with [ ], add.at and take_along_axis take
any integers. On 64 bits int64 and np.intp are one dtype, so no test that runs there can see the mistake. Therefore
every call of these functions must show its cast: np.intp stands in its argument, or where a name in it gets its value.
"""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FILES = sorted([*ROOT.glob("fcn_from_scratch/**/*.py"), *ROOT.glob("lessons/*.py")])
# function -> which argument holds indices, when called as np.name(...) or xp.name(...)
FUNCTIONS = {"bincount": 0, "take": 1, "put": 1, "choose": 0}  # as np.name(...): which argument holds the indices
METHODS = {"take": 0, "put": 0, "choose": 0}  # as array.name(...)
MODULES = {"np", "xp"}
NO_ARRAYS = {"self", "machine", "scratch"}  # objects of ours that have a method `take`
WITHOUT_CAST = {
    ("lessons/lesson_02_convolution.py", "pixel.ravel()"): "the patches of np.arange, whose numbers are np.intp",
    ("fcn_from_scratch/lab/bench/kernel_cases/counts.py", "cell"): "runs on a GPU",
}


def uncast(source):
    """(line, text of the indices) for every call whose indices are not cast to np.intp."""
    tree = ast.parse(source)
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    for node in ast.walk(tree):
        indices = _indices(node)
        if indices is not None:
            around = [function for function in functions if node in ast.walk(function)]
            if not _is_cast(indices, _cast_names(around[-1] if around else tree)):
                yield node.lineno, ast.unparse(indices)


def _indices(node):
    """The indices of a call of one of the functions or methods; else None."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
        return None
    owner = getattr(node.func.value, "id", None)
    if owner in NO_ARRAYS:
        return None
    place = (FUNCTIONS if owner in MODULES else METHODS).get(node.func.attr)
    return None if place is None or len(node.args) <= place else node.args[place]


def _cast_names(scope):
    """The names that a function gives to what is cast, or to what is computed from such names."""
    names = set()
    for node in ast.walk(scope):
        if isinstance(node, ast.Assign) and _is_cast(node.value, names):
            names |= {name.id for target in node.targets for name in ast.walk(target) if isinstance(name, ast.Name)}
        if isinstance(node, ast.comprehension) and _is_cast(node.iter, names):
            names |= {name.id for name in ast.walk(node.target) if isinstance(name, ast.Name)}
    return names


def _is_cast(node, names):
    """Whether an expression names np.intp, or a name of something cast."""
    used = {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
    return "np.intp" in ast.unparse(node) or bool(used & names)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_indices_are_cast(path):
    name = path.relative_to(ROOT).as_posix()
    source = path.read_text(encoding="utf-8")
    found = [(line, text) for line, text in uncast(source) if (name, text) not in WITHOUT_CAST]
    assert not found, f"{name}: cast these indices with astype(np.intp, copy=False)"


def test_no_exception_is_left_over():
    for name, text in WITHOUT_CAST:
        assert text in [each for _, each in uncast((ROOT / name).read_text(encoding="utf-8"))]


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("np.bincount(labels.ravel(), minlength=3)", ["labels.ravel()"]),
        ("np.bincount(k * labels.astype(np.int64).ravel())", ["k * labels.astype(np.int64).ravel()"]),
        ("np.bincount(k * labels.astype(np.intp).ravel())", []),
        ("memory.take(at)", ["at"]),
        ("xp.take(memory, at)", ["at"]),
        ("at = labels.astype(np.intp, copy=False); memory.take(at + 1)", []),
        ("scratch.take('tiles', 3); np.add.at(y, labels, 1); y[labels]", []),
    ],
)
def test_finds_the_mistake(line, wrong):
    body = f"def f(labels, at, k, memory):\n    {line}\n"
    assert [text for _, text in uncast(body)] == wrong

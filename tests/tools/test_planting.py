"""A mutant is found by the name of its place, also after the code has moved, and its text by what counts in it."""

import pytest
from planting import PACKAGE, Misfit, Mutant, Package

LAYER = '''
"""A layer."""
SIZE = 3

class Layer:
    def forward(self, x):
        return scale(x, self.size)

    @property
    @cached
    def size(self):
        return SIZE

    @size.setter
    def size(self, size):
        self._size = size


def scale(x, size):
    if size > 1:
        x = x * size
    return x
'''


@pytest.fixture
def package(tmp_path):
    """A function that writes files, and returns what Package makes of them."""

    def write(**files):
        for name, text in files.items():
            path = tmp_path / PACKAGE / (name.replace("__", "/") + ("" if "." in name else ".py"))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return Package(tmp_path)

    return write


def plant(package, place, text, replacement="CHANGED"):
    return package.plant(Mutant("m", place, text, replacement, ""))


@pytest.mark.parametrize(
    ("place", "text"),
    [
        ("layers.conv", "SIZE = 3"),
        ("layers.conv.SIZE", "3"),
        ("layers.conv.Layer", "return scale"),
        ("layers.conv.Layer.forward", "self.size"),
        ("layers.conv.Layer.size", "@cached"),
        ("layers.conv.Layer.size", "self._size"),
        ("layers.conv.scale", "x * size"),
    ],
)
def test_a_place_is_a_module_a_class_a_function_or_an_assigned_name(package, place, text):
    planted = plant(package(layers__conv=LAYER), place, text)
    assert planted.file == "layers/conv.py"
    assert planted.source == LAYER
    assert planted.changed == LAYER.replace(text, "CHANGED", 1)


def test_the_text_counts_in_its_place_only(package):
    source = "def first():\n    return 1\n\n\ndef second():\n    return 1\n"
    planted = plant(package(ops=source), "ops.second", "return 1")
    assert planted.changed == "def first():\n    return 1\n\n\ndef second():\n    CHANGED\n"


@pytest.mark.parametrize("moved", ["engine__conv", "layers__convolution", "lab__far__away"])
@pytest.mark.parametrize("place", ["layers.conv.Layer.forward", "layers.conv.scale", "layers.conv.SIZE"])
def test_a_function_is_found_when_its_file_moved_or_was_renamed(package, place, moved):
    sources = package(**{moved: LAYER, "layers__conv": "def other():\n    pass\n"})
    planted = plant(sources, place, {"forward": "self.size", "scale": "x * size", "SIZE": "3"}[place.split(".")[-1]])
    assert planted.file == moved.replace("__", "/") + ".py"


def test_the_place_itself_comes_before_one_of_its_name(package):
    sources = package(ops__conv="def f():\n    return 1\n", engine__conv="def f():\n    return 1\n")
    assert plant(sources, "engine.conv.f", "1").file == "engine/conv.py"


def test_a_longer_part_of_the_name_decides(package):
    sources = package(ops__conv="def f():\n    return 1\n", ops__pool="def f():\n    return 1\n")
    assert plant(sources, "layers.conv.f", "1").file == "ops/conv.py"


def test_an_ambiguous_name_is_refused(package):
    sources = package(ops__conv="def f():\n    return 1\n", ops__pool="def f():\n    return 2\n")
    with pytest.raises(Misfit, match=r"'m': no layers.relu.f, and f is ambiguous: ops.conv.f, ops.pool.f"):
        plant(sources, "layers.relu.f", "return 1")


def test_a_name_that_is_nowhere_is_refused_and_the_text_shown(package):
    sources = package(ops__conv="def renamed():\n    return 1\n")
    with pytest.raises(Misfit, match=r"no ops.conv.f, and nothing called f .* the text stands in ops.conv.renamed"):
        plant(sources, "ops.conv.f", "return 1")


def test_a_text_that_is_there_twice_is_refused(package):
    source = "def f(x):\n    return x + x\n"
    with pytest.raises(Misfit, match=r"'m': ops.conv.f holds its text 3 times, not once$"):
        plant(package(ops__conv=source), "ops.conv.f", "x")


def test_a_text_that_is_gone_is_refused(package):
    sources = package(ops__conv="def f():\n    return 1\n\n\ndef g():\n    return 2\n")
    with pytest.raises(Misfit, match=r"'m': ops.conv.f holds its text 0 times, .* stands in ops.conv.g"):
        plant(sources, "ops.conv.f", "return 2")
    with pytest.raises(Misfit, match=r"'m': ops.conv.f \(found for engine.conv.f\) holds its text 0 times"):
        plant(sources, "engine.conv.f", "return 3")


@pytest.mark.parametrize(
    "source",
    [
        "def f(a, b):\n    y = add(a, b)\n    return y\n",
        "def f(a, b):\n    y = add(\n        a,\n        b,\n    )\n    return y\n",
        "class A:\n    def f(a, b):\n        y = add(a,\n                b)\n        return y\n",
    ],
)
def test_white_space_does_not_count(package, source):
    sources = package(ops=source)
    place = "ops.A.f" if "class" in source else "ops.f"
    for text in ("y = add(a, b)\nreturn y", "    y = add(a, b,)\n    return y\n", "y=add( a,b )\n\n  return   y"):
        assert plant(sources, place, text, "pass").changed.endswith(":\n" + " " * 4 * place.count(".") + "pass\n")


def test_words_stay_apart(package):
    with pytest.raises(Misfit, match="0 times"):
        plant(package(ops="def f(notx):\n    return notx\n"), "ops.f", "not x")


def test_a_replacement_of_several_lines_is_indented_as_its_place(package):
    source = "def f(x):\n    if x:\n        x += 1\n        x *= 2\n    return x\n"
    replacement = """
                        if x > 1:
                            x *= 2
                        x += 1
    """
    planted = plant(package(ops=source), "ops.f", "x += 1\nx *= 2", replacement)
    changed = "        if x > 1:\n            x *= 2\n        x += 1\n"
    assert planted.changed == f"def f(x):\n    if x:\n{changed}    return x\n"


def test_a_file_that_is_not_python_is_found_by_its_name(package):
    sources = package(**{"kernels__gemm.cu": "int sum = a\n   + b;\n", "kernels__im2col.cu": "int sum = a + b;\n"})
    assert plant(sources, "kernels/gemm.cu", "a + b").changed == "int sum = CHANGED;\n"
    assert plant(sources, "cuda/gemm.cu", "a + b").file == "kernels/gemm.cu"
    with pytest.raises(Misfit, match=r"no file kernels/lrn.cu, and 0 files called lrn.cu"):
        plant(sources, "kernels/lrn.cu", "a + b")

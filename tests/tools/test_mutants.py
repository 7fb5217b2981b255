"""The mutants of tools/mutants.py still fit the source; whether the suite kills them, mutants.py itself asks."""

import ast

import pytest
from mutants import MUTANTS, PACKAGE, ROOT, Mutant, mutated


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_fits(mutant):
    source = (ROOT / PACKAGE / mutant.file).read_text(encoding="utf-8")
    changed = mutated(mutant)
    if mutant.file.endswith(".py"):
        assert ast.dump(ast.parse(changed)) != ast.dump(ast.parse(source))
    for part in mutant.tests.split():
        assert (ROOT / "tests" / part).exists()


def test_names_differ():
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)


@pytest.mark.parametrize(("text", "times"), [("no such text", 0), ("import", 2)])
def test_a_text_that_is_not_there_once_is_refused(text, times, tmp_path):
    (tmp_path / PACKAGE).mkdir()
    (tmp_path / PACKAGE / "a.py").write_text("import this\nimport that\n")
    with pytest.raises(ValueError, match=f"holds its text {times} times, not once"):
        mutated(Mutant("m", "a.py", text, "", ""), tmp_path)

"""The mutants of mutants/ fit the source. Whether the suite kills them, mutate.py asks."""

import ast
from pathlib import Path

import pytest
from mutants import MUTANTS, ROOMS
from mutate import ROOT
from planting import Package

PACKAGE = Package(ROOT)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_fits(mutant):
    planted = PACKAGE.plant(mutant)
    if planted.file.endswith(".py"):
        assert ast.dump(ast.parse(planted.changed)) != ast.dump(ast.parse(planted.source))
    else:
        assert planted.changed.split() != planted.source.split()
    for part in mutant.tests.split():
        assert (ROOT / "tests" / part).exists()


def test_names_differ():
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)


def test_every_room_is_listed():
    files = {path.stem for path in Path(__file__).with_name("mutants").glob("*.py")} - {"__init__"}
    assert {room.__name__ for room in ROOMS} == {f"mutants.{name}" for name in files}

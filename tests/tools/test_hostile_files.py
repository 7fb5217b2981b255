"""A small run of hostile_files.py: every file is read, or refused in a sentence, within the limits."""

import hostile_files
import pytest


@pytest.mark.parametrize("reader", hostile_files.READERS)
def test_every_reader(reader):
    told = []
    counts = hostile_files.run(reader, 34, 0, told.append)
    assert counts["read"] + counts["refused"] == 34, told


def test_the_same_seed_gives_the_same_files():
    assert hostile_files.case("npz", 3, 1) == hostile_files.case("npz", 3, 1)
    assert hostile_files.case("npz", 3, 1) != hostile_files.case("npz", 3, 2)

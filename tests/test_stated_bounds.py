"""docs/performance.md states the bounds of Winograd's errors that tests/engine/test_winograd.py holds."""

import re
from pathlib import Path

import winograd_accuracy

ROOT = Path(__file__).resolve().parents[1]


def test_the_page_states_the_bounds():
    page = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    stated = re.findall(r"^\| (\d+) \| \d+x\d+ \| (\w+) \| .* \| (\S+) \| .* \|$", page, re.MULTILINE)
    expected = {
        (str(channels), array): f"{bound:.1e}"
        for channels, bounds in winograd_accuracy.BOUNDS.items()
        for array, bound in zip(winograd_accuracy.ARRAYS, (*bounds, winograd_accuracy.SUMS))
    }
    assert {(channels, array): bound for channels, array, bound in stated} == expected

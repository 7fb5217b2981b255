"""docs/reading_route.md: its files exist, are about as long as it says, and are at most 2,000 lines in all.

python tests/test_reading_route.py   counts the lines again and writes them into the table
"""

import math
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "reading_route.md"
MOST = 2000
STOP = re.compile(r"^\| (\d+) \| \[`(\S+\.py)`\]\(\.\./fcn_from_scratch/\2\) \| (\d+) \|", re.MULTILINE)
TOTAL = re.compile(r"^\| \| \*\*in all\*\* \| \*\*(\d+)\*\* \|", re.MULTILINE)
TEXT = PAGE.read_text(encoding="utf-8")
STOPS = [(int(number), file, int(lines)) for number, file, lines in STOP.findall(TEXT)]


def length(file):
    """As wc -l counts."""
    return (ROOT / "fcn_from_scratch" / file).read_bytes().count(b"\n")


def counted(text):
    """The page with the lines of today; files that do not exist yet have none."""
    lengths = {file: length(file) if (ROOT / "fcn_from_scratch" / file).exists() else 0 for _, file, _ in STOPS}
    text = STOP.sub(lambda row: f"| {row[1]} | [`{row[2]}`](../fcn_from_scratch/{row[2]}) | {lengths[row[2]]} |", text)
    return TOTAL.sub(f"| | **in all** | **{sum(lengths.values())}** |", text)


def test_the_stops_are_numbered_and_differ():
    assert len(STOPS) > 10
    assert [number for number, _, _ in STOPS] == list(range(1, len(STOPS) + 1))
    assert len({file for _, file, _ in STOPS}) == len(STOPS)


@pytest.mark.parametrize(("file", "lines"), [stop[1:] for stop in STOPS])
def test_a_file_is_as_long_as_the_table_says(file, lines):
    """Within a few lines: not every small change has to count again."""
    assert abs(lines - length(file)) <= 15, "python tests/test_reading_route.py counts again"


def test_the_whole_route_is_short():
    (total,) = TOTAL.findall(TEXT)
    assert int(total) == sum(lines for _, _, lines in STOPS)
    assert int(total) <= MOST
    assert sum(length(file) for _, file, _ in STOPS) <= MOST


def test_the_example_learns(capsys):
    (code,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    exec(compile(code, "reading_route.md", "exec"), {})
    losses = [int(loss) for loss in re.findall(r"loss (\d+)", capsys.readouterr().out)]
    assert losses[0] == round(2000 * math.log(3))
    assert losses == sorted(losses, reverse=True)
    assert len(losses) == 4


if __name__ == "__main__":
    PAGE.write_text(counted(TEXT), encoding="utf-8")

"""What the README shows runs as it stands, and what it names exists."""

import re
from pathlib import Path

import pytest

from fcn_from_scratch import course
from fcn_from_scratch.cli import COMMANDS, _parser

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PYTHON = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
LINES = [re.sub(r"^mpiexec -n \d+ ", "", line) for line in README.splitlines()]
FCN = [line.split("  ")[0].split("#")[0].strip() for line in LINES if line.startswith("fcn ")]


@pytest.mark.slow
@pytest.mark.parametrize("code", PYTHON, ids=range(len(PYTHON)))
def test_python_runs(code, capsys):
    exec(compile(code, "README.md", "exec"), {})
    assert capsys.readouterr().out.strip()


@pytest.mark.parametrize("line", FCN)
def test_commands_parse(line):
    words = line.split()[1:]
    assert _parser(words).parse_args(words).run
    assert words[0] in COMMANDS


@pytest.mark.parametrize("path", sorted(set(re.findall(r"\]\(([^)#:]+)\)", README))))
def test_links_lead_somewhere(path):
    assert (ROOT / path).exists()


def test_every_lesson_is_in_the_table():
    """With its question, and with a star if it is on the fast path."""
    rows = re.findall(r"^\| (\d+) \| \[(\w+)\]\(lessons/(\S+)\) \| (.+) \| ([* ])\s*\|$", README, re.MULTILINE)
    wanted = [
        (str(one.number), one.name, one.path.name, one.question, "*" if one.number in course.FAST_PATH else " ")
        for one in course.lessons()
    ]
    assert rows == wanted


def test_every_file_of_the_package_is_in_the_architecture():
    """In the section of its room; and no file that is gone is named there."""
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    parts = re.split(r"^(?:### (\w+).*|\*\*(lab/\w+)\*\*)$", text, flags=re.MULTILINE)
    sections = {room or part: body for room, part, body in zip(parts[1::3], parts[2::3], parts[3::3])}
    package = ROOT / "fcn_from_scratch"
    for folder in {path.parent for path in package.rglob("*.py")}:
        room = str(folder.relative_to(package)).replace(".", "Leaves")
        if room in ("cli", "lab/bench/kernel_cases"):
            continue
        rows = "\n".join(line.split("|")[1] for line in sections[room].splitlines() if line.startswith("|"))
        listed = set(re.findall(r"`(\w+\.py)`", rows))
        assert listed == {path.name for path in folder.glob("*.py") if not path.name.startswith("__")}, room

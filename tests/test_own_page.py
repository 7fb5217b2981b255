"""docs/own_data.md says what the code does: the same commands, and the words of a pattern."""

import re
from pathlib import Path

import own_trees

from fcn_from_scratch.cli import own_help
from fcn_from_scratch.datasets.own import class_list, classes, known_classes, patterns, splits
from fcn_from_scratch.datasets.own.kept import FILE

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "own_data.md").read_text(encoding="utf-8")


def test_the_commands_are_those_of_fcn_data_folder():
    """tests/cli/test_own_data.py runs them."""
    commands = dict(re.findall(r"^\| ([^|]+) \| `fcn train ([^`|]+)` \|$", PAGE, re.MULTILINE))
    assert commands == own_help.COMMANDS
    assert list(commands) == list(own_trees.TOOLS)


def test_the_other_options_are_sound():
    """Each pattern of the page is one."""
    typed = re.findall(r"--(images|labels) (?:'([^']+)'|([^\s`']+))", PAGE)
    assert len(typed) > 30
    for option, quoted, plain in typed:
        assert patterns.Pattern(quoted or plain, f"--{option}").text


def test_names_of_the_code_are_on_the_page():
    for name in (*splits.CANONICAL, patterns.NAME, patterns.SPLIT, *known_classes.KNOWN, class_list.IGNORE_NAME, FILE):
        assert re.search(rf"(?<!\w){re.escape(name)}(?!\w)", PAGE), name
    assert sum(name in PAGE for name in classes.KNOWN_FILES) >= 5

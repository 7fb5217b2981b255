"""The glossary as a list of definitions: on GitHub it is a table, which would be too wide for a phone."""

import re

from places import DOCS

ROW = re.compile(r"^\| (?P<word>[^|]+?) \| (?P<meaning>[^|]+?) \| (?P<lesson>\d+) \|\n", re.MULTILINE)


def glossary_words():
    """The words in their order."""
    return [found["word"] for found in ROW.finditer((DOCS / "glossary.md").read_text(encoding="utf-8"))]


def glossary_page(text):
    """The page with its table replaced."""
    entries = [f"{row['word']}\n: {row['meaning']} (lesson {row['lesson']})\n" for row in ROW.finditer(text)]
    table = re.compile(r"^\|.*\|\n(?:^\|.*\|\n?)*", re.MULTILINE)
    return table.sub(lambda _: "{.glossary}\n" + "\n".join(entries), text, count=1)

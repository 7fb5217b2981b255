"""A lesson's page is "Lesson 7: What is ...?" in the search, in the links to the next page and in the browser's tab.

The heading of the page keeps the question alone.
"""

import json
import re

from docutils import nodes
from places import LESSON_PAGE, SITE

SEARCH_INDEX = re.compile(r"Search\.setIndex\((.*)\)", re.DOTALL)


def numbered(page, title):
    """The title with the lesson's number; the title as it is for any other page."""
    found = LESSON_PAGE.fullmatch(page)
    return f"Lesson {int(found[1])}: {title}" if found else title


def number_titles(app, document):
    """Runs after Sphinx has kept the page's heading as its title."""
    page = app.env.docname
    for titles in (app.env.titles, app.env.longtitles):
        titles[page] = nodes.title("", numbered(page, titles[page].astext()))


def number_search_results():
    """The search compares a query with headings, too: the heading of a lesson's page gets its number there."""
    path = SITE / "searchindex.js"
    index = json.loads(SEARCH_INDEX.fullmatch(path.read_text(encoding="utf-8"))[1])
    found = {}
    for heading, places in index["alltitles"].items():
        for page, section in places:
            shown = numbered(index["docnames"][page], heading) if section is None else heading
            found.setdefault(shown, []).append([page, section])
    index["alltitles"] = found
    path.write_text(f"Search.setIndex({json.dumps(index, separators=(',', ':'))})", encoding="utf-8")


def setup(app):
    app.connect("doctree-read", number_titles)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}

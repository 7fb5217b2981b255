"""Assemble the folder that Sphinx reads: the pages of docs/, the lessons, the API, the code that pages link to."""

import re
import shutil

from glossary_page import glossary_page
from page_parts import code_page, linked_sources, local_links
from places import DOCS, PACKAGE, SRC, chosen_lessons

from fcn_from_scratch import course

ROOMS = ("ops", "layers", "models", "geometry", "dense", "gradcheck", "datasets", "training", "metrics")
MENU = {  # caption -> pages of docs/ in their order; a page that is not listed here joins the last group
    "The course": ("glossary", "live", "paper_tables", "recipes", "teachers"),
    "Results": ("compare", "results", "performance"),
    "The code": ("reading_route", "extending"),
    "Using the package": ("own_data", "training", "datasets", "weights", "gradcheck"),
}
SLIDES = '<p><a href="slides.pdf" download>All of these figures as slides</a> (PDF, 16 to 9).</p>\n\n'
EMPTY_INDEX = "# Fully convolutional networks from scratch\n"
NOT_FOUND = "---\norphan: true\n---\n\n# This page does not exist\n\nBegin at the [first page](index.md), or search.\n"


def assemble():
    """Write every source whose content changed, so that Sphinx reads only those again; remove the others."""
    texts = {f"{path.stem}.md": path.read_text(encoding="utf-8") for path in sorted(DOCS.glob("*.md"))}
    pages = {name: _page(text) for name, text in texts.items()}
    pages["glossary.md"] = glossary_page(texts["glossary.md"])
    pages["index.md"] = pages.get("index.md", EMPTY_INDEX) + _menu(texts)
    pages["404.md"] = NOT_FOUND
    pages |= {f"api/{room}.md": _api_page(room) for room in ROOMS}
    pages |= {f"lessons/{path.name}": path.read_text(encoding="utf-8") for path in chosen_lessons()}
    pages |= _code_pages(pages)
    for name, text in pages.items():
        _write(SRC / name, text)
    pictures = [path.name for path in DOCS.glob("*.png")]
    for name in pictures:
        shutil.copy2(DOCS / name, SRC / name)
    _remove_others({*pages, *pictures})


def _write(path, text):
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def _remove_others(names):
    for path in SRC.rglob("*"):
        if path.is_file() and path.relative_to(SRC).as_posix() not in names:
            path.unlink()


# --- pages --------------------------------------------------------------------------------------------------


def _page(text):
    """A page of docs/: its links, and names of the package's files in backticks as links to these files."""
    text = text.replace("<!-- site: slides -->\n", SLIDES)
    blocks = re.split(r"(^```.*?^```$)", local_links(text, "docs"), flags=re.MULTILINE | re.DOTALL)
    return "".join(block if block.startswith("```") else _with_file_links(block) for block in blocks)


def _with_file_links(text):
    def link(found):
        page = code_page(f"fcn_from_scratch/{found[1]}")
        return f"[{found[0]}]({page})" if page else found[0]

    return re.sub(r"(?<!\[)`([\w/]+\.(?:py|cu|cuh|h|cpp))`", link, text)


def _api_page(room):
    return (
        f"# `fcn_from_scratch.{room}`\n\n```{{eval-rst}}\n.. automodule:: fcn_from_scratch.{room}\n   :members:\n```\n"
    )


def _code_pages(pages):
    """A page for each file of the package that another page links to."""
    found = {name for text in pages.values() for name in re.findall(r"\]\((?:\.\./)?code/([\w/.]+)\.md", text)}
    linked = {file for name, text in pages.items() if "/" not in name for file in linked_sources(text, "docs")}
    files = found | {file.removeprefix("fcn_from_scratch/") for file in linked}
    return {f"code/{file}.md": _code(file) for file in sorted(files)}


def _code(file):
    kind = "python" if file.endswith(".py") else "cuda"
    text = (PACKAGE / file).read_text(encoding="utf-8").rstrip()
    return f"---\norphan: true\n---\n\n# `{file}`\n\n`````{{code-block}} {kind}\n{text}\n`````\n"


# --- the menu -----------------------------------------------------------------------------------------------


def _menu(texts):
    """The tables of contents behind the menu: the lessons, the pages in their groups, the package."""
    there = [name.removesuffix(".md") for name in texts if name != "index.md"]
    listed = {name for names in MENU.values() for name in names}
    groups = {caption: [name for name in names if name in there] for caption, names in MENU.items()}
    groups["Using the package"] += [name for name in there if name not in listed]
    tables = [_toctree("Lessons", [_lesson_entry(path.stem) for path in chosen_lessons()])]
    tables += [_toctree(caption, names) for caption, names in groups.items()]
    return "\n" + "\n".join([*tables, _toctree("Reference", [f"{room} <api/{room}>" for room in ROOMS])])


def _lesson_entry(stem):
    """ "7 · Shift-and-stitch <lessons/lesson_07_shift_and_stitch>" """
    lesson = course.find(stem)
    return f"{lesson.number} · {lesson.title} <lessons/{stem}>"


def _toctree(caption, entries):
    return "\n".join(["```{toctree}", ":hidden:", f":caption: {caption}", "", *entries, "```", ""])

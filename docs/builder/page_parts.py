"""Parts that several kinds of pages share: folded text, and links that work on GitHub and on the site."""

import re
from posixpath import join, normpath, relpath

from places import ROOT, lesson_stems

LINK = re.compile(r"\]\(([^)\s:#]+\.(?:md|py|png|cu|cuh))(#[\w-]+)?\)")


def folded(summary, text):
    """A part of a page that opens when the reader asks for it."""
    return f'<details class="answer"><summary>{summary}</summary>\n\n{text.strip()}\n\n</details>\n'


def local_links(text, folder):
    """Links between files of the checkout as links between pages. `folder` holds the linking file: docs, lessons."""
    return LINK.sub(lambda found: f"]({_page(found[1], folder)}{found[2] or ''})", text)


def linked_sources(text, folder):
    """The source files of the package that a text links to, relative to the checkout."""
    targets = {normpath(join(folder, found[1])) for found in LINK.finditer(text)}
    return sorted(target for target in targets if code_page(target))


def code_page(target):
    """The page that shows a source file of the package, or None for any other file."""
    is_code = target.startswith("fcn_from_scratch/") and (ROOT / target).is_file()
    return f"code/{target.removeprefix('fcn_from_scratch/')}.md" if is_code else None


def _page(link, folder):
    """The link's counterpart on the site, relative to the page of the linking file."""
    target = normpath(join(folder, link))
    page = code_page(target) or target.removeprefix("docs/")
    stem = page.removeprefix("lessons/").removesuffix(".py")
    if page.startswith("lessons/lesson_") and stem not in lesson_stems().values():
        page = "index.md"  # a build of a few lessons has no page for the others
    return relpath(page, "lessons" if folder == "lessons" else ".")

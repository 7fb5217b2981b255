"""A lesson as a notebook that runs outside the checkout."""

import os
import re
from urllib.parse import urljoin

import jupytext
from nbformat.v4 import new_code_cell, new_markdown_cell
from page_parts import LINK, local_links

NEEDS = (
    "This notebook needs Python 3.10 or later and the package `fcn_from_scratch`. To install the package, remove the "
    "sign `#` in the next cell, and run the cell once. {where}"
)
FROM_THE_SITE = "It loads the package from the course's site."
BESIDE_THE_SITE = (
    "Its address is relative: it works where this notebook lies in the site's folder `lessons/`. Elsewhere put the "
    "site's address in front of `_static/`. In a copy of the project, `%pip install .` does the same."
)


def notebook_download(path, wheel):
    """The script's cells, after two cells that say what they need and install it.

    wheel  the file name of the package in the site's folder _static/live/
    """
    notebook = jupytext.read(path, fmt="py:percent")
    notebook.metadata["kernelspec"] = {"display_name": "Python 3", "language": "python", "name": "python3"}
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = with_links_to_the_site(cell.source)
    site = _site()
    address = urljoin(site, f"_static/live/{wheel}") if site else f"../_static/live/{wheel}"
    needs = NEEDS.format(where=FROM_THE_SITE if site else BESIDE_THE_SITE)
    notebook.cells[1:1] = [new_markdown_cell(needs), new_code_cell(f"# %pip install {address}")]
    return notebook


def with_links_to_the_site(text):
    """Links to files of the project become links to pages of the site; or only words, if its address is not known."""
    site = _site()
    if not site:
        return re.sub(r"(?<!!)\[([^]]+)" + LINK.pattern, r"\1", text)
    pages = local_links(text, "lessons")
    return LINK.sub(lambda found: f"]({urljoin(site + 'lessons/', _html(found[1]))}{found[2] or ''})", pages)


def _html(page):
    return re.sub(r"\.(md|py)$", ".html", page)


def _site():
    """The site's own address with a slash at its end, or "" if it is not known."""
    address = os.environ.get("FCN_SITE_URL", "").rstrip("/")
    return f"{address}/" if address else ""

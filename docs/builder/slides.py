"""The figures for teachers as one PDF. A slide of 16 to 9 shows a lesson's question, a figure and what to point at.

The table "Figures to show" of docs/teachers.md lists them. The pictures are those of the lessons' pages.
"""

import re
from typing import NamedTuple

import numpy as np
from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure
from PIL import Image
from places import DOCS, SITE, lesson_stems

from fcn_from_scratch import course

ROW = re.compile(r"^\| `(?P<name>\d\d_\w+)` \| (?P<lesson>\d+) \| (?P<note>[^|]+?) \|$", re.MULTILINE)
SIZE = (13.333, 7.5)  # inches
NAME = "slides.pdf"


class Slide(NamedTuple):
    """What one slide shows."""

    figure: str  # "07_stitch"
    lesson: int
    note: str


def listed():
    """The slides in the order of the teachers' page, those of lessons that are not on the site left out."""
    text = (DOCS / "teachers.md").read_text(encoding="utf-8")
    rows = [Slide(row["name"], int(row["lesson"]), row["note"]) for row in ROW.finditer(text)]
    return [slide for slide in rows if slide.lesson in lesson_stems()]


def write_slides():
    """Write site/slides.pdf. Raises: ValueError for a listed figure that its lesson does not show."""
    facts = {"Title": "Fully convolutional networks from scratch: figures to show", "CreationDate": None}
    with PdfPages(SITE / NAME, metadata=facts) as pdf:
        for slide in listed():
            pdf.savefig(_drawn(slide, course.find(slide.lesson).question))


def _drawn(slide, question):
    figure = Figure(figsize=SIZE)
    figure.text(0.04, 0.93, f"{slide.lesson} · {question}", size=24, va="center", wrap=True)
    figure.text(0.04, 0.06, _sentence(slide.note), size=18, va="center", color="#444444", wrap=True)
    ax = figure.add_axes((0.04, 0.12, 0.92, 0.74))
    ax.imshow(np.asarray(Image.open(_picture(slide)).convert("RGB")), interpolation="antialiased")
    ax.axis("off")
    return figure


def _sentence(note):
    return f"{note[0].upper()}{note[1:]}."


def _picture(slide):
    """The file of a figure, found by the name that its lesson's page gives it."""
    page = (SITE / "lessons" / f"{lesson_stems()[slide.lesson]}.html").read_text(encoding="utf-8")
    for image in re.findall(r"<img [^>]*>", page):
        if re.search(rf"\bfigure-{slide.figure}\b", image):
            return SITE / "lessons" / re.search(r'src="([^"]+)"', image)[1]
    raise ValueError(f"docs/teachers.md lists the figure {slide.figure}; lesson {slide.lesson} does not show it")

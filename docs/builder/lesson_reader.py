"""A lesson's script as the notebook that MyST-NB executes and renders.

The script stays as it is. The page adds: the question as the only title, a line of facts, folded answers, folded
drawing cells, and the exercises with their solutions.
"""

import re

import jupytext
from content_hash import package_hash
from exercise_section import exercise_section
from nbformat.v4 import new_code_cell, new_markdown_cell
from page_parts import folded, local_links
from places import DOCS, lesson_stems
from play_places import with_interactive_figures

FOLDED = {  # what the code does: how its button names it
    "the code of this figure": re.compile(r"^ *viz\.show\(", re.MULTILINE),
    "the code of these claims": re.compile(r"^claims\(", re.MULTILINE),
    "the code of the drawings": re.compile(r"^def draw_", re.MULTILINE),
}
CLOSING = re.compile(r"^> \*\*Prediction (\d+)\.\*\* ((?:.+\n?)(?:^>.*\n?)*)", re.MULTILINE)


def read_lesson(text):
    """What MyST-NB calls with the text of a script."""
    notebook = jupytext.reads(text, fmt="py:percent")
    number, head = _head(notebook.cells[0].source)
    cells = [new_markdown_cell(head), _setup_cell()]
    for cell in notebook.cells[1:]:
        if cell.cell_type == "markdown":
            cell.source = _prose(cell, number)
        else:
            _fold(cell)
        cells.append(cell)
    notebook.cells = cells
    notebook.metadata["language_info"] = {"name": "python", "pygments_lexer": "python"}
    return notebook


# --- the head -----------------------------------------------------------------------------------------------


def _head(docstring):
    """The lesson's number; and the head of its page: title, lead, facts, downloads and the button."""
    title, *paragraphs = docstring.strip().split("\n\n")
    number, question = re.fullmatch(r"# Lesson (\d+): (.*)", title).groups()
    number = int(number)
    facts = {name: text for name, text in map(_fact, paragraphs) if name}
    lead = [text for text in paragraphs if not _fact(text)[0]]
    facts["Needs"] = re.sub(r"\s*Words: .*", "", facts["Needs"])  # the glossary is a page of the site
    parts = [
        f"# {question}",
        *(f"{{.lesson-lead}}\n{local_links(text, 'lessons')}" for text in lead),
        f"{{.lesson-facts}}\nLesson {number}. Needs: {facts['Needs']} Runtime: {facts['Runtime']}.",
        *([f"{{.lesson-facts}}\nFast path: {facts['Fast path']}"] if "Fast path" in facts else []),
        _downloads(lesson_stems()[number]),
    ]
    return number, "\n\n".join(parts)


def _fact(paragraph):
    """("Needs", "lesson 5") of a paragraph "Needs: lesson 5"; (None, ...) of any other."""
    found = re.match(r"(Needs|Runtime|Fast path): ", paragraph)
    return (found[1], " ".join(paragraph[found.end() :].split())) if found else (None, paragraph)


def _downloads(stem):
    links = f'<a href="{stem}.py" download>Script</a> <a href="{stem}.ipynb" download>Notebook</a>'
    return f'<p class="lesson-actions">{links} <button id="live" type="button" hidden>Run live</button></p>'


# --- the cells ----------------------------------------------------------------------------------------------


def _setup_cell():
    """The package's hash is in it, because the cache of outputs compares cells and nothing else."""
    code = (DOCS / "builder" / "lesson_setup.py").read_text(encoding="utf-8")
    return new_code_cell(f"# {package_hash()}\n{code}", metadata={"tags": ["remove-cell"]})


def _fold(cell):
    """Fold the code of a cell that draws or that lists the claims. Other cells stay as they are."""
    name = next((name for name, code in FOLDED.items() if code.search(cell.source)), None)
    if name:
        cell.metadata.setdefault("tags", []).append("hide-input")
        cell.metadata["mystnb"] = {"code_prompt_show": f"Show {name}", "code_prompt_hide": f"Hide {name}"}


def _prose(cell, number):
    """A markdown cell: one level of headings below the title, links between pages, folded answers."""
    text = re.sub(r"^##? ", "## ", cell.source, flags=re.MULTILINE)
    text = local_links(text, "lessons")
    text = CLOSING.sub(_folded_prediction, text)
    if "answer" in cell.metadata.get("tags", []) and "<details" not in text:
        text = folded("Answer", text)
    text = with_interactive_figures(text, number)
    if re.search(r"^## Exercises", text, re.MULTILINE):
        text += "\n\n" + exercise_section(number)
    return text


def _folded_prediction(found):
    answer = re.sub(r"^> ?", "", found[2], flags=re.MULTILINE)
    return "\n" + folded(f"Prediction {found[1]}: the answer", answer) + "\n"

"""A lesson as a notebook that runs outside the checkout."""

import jupytext
from nbformat.v4 import new_markdown_cell

NEEDS = (
    "This notebook needs Python 3.10 or later and the package `fcn_from_scratch`. Install the package from the "
    "project's folder (`pip install .`), or from the wheel that the course's site offers in `_static/live/`."
)


def notebook_download(path):
    """The script's cells, after a cell that says what they need."""
    notebook = jupytext.read(path, fmt="py:percent")
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook.metadata["kernelspec"] = kernel
    notebook.cells.insert(1, new_markdown_cell(NEEDS))
    return notebook

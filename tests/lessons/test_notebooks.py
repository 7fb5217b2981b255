"""Every lesson is also a notebook: jupytext converts it, and three are executed."""

import re

import pytest
from lesson_cells import calls, cells, docstring

from fcn_from_scratch import course

jupytext = pytest.importorskip("jupytext", reason="needs the extra 'notebook': pip install -e '.[notebook]'")
LESSONS = course.lessons()
EXECUTED = (0, 1, 9)  # each in a few seconds, with pictures


def notebook(lesson):
    return jupytext.read(lesson.path, fmt="py:percent")


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.path.stem)
def test_the_cells_are_those_of_the_script(lesson):
    found = notebook(lesson).cells
    assert [cell.cell_type == "markdown" for cell in found] == [cell.is_markdown for cell in cells(lesson.path)]
    assert found[0].source == docstring(lesson.path)
    assert found[0].source.startswith(f"# Lesson {lesson.number}: {lesson.question}")
    for cell, expected in zip(found[1:], cells(lesson.path)[1:]):
        if cell.cell_type == "markdown":
            assert cell.source.strip() == expected.text.strip()
        else:
            assert cell.source.split() == expected.code.split()


@pytest.mark.slow
@pytest.mark.parametrize("number", EXECUTED)
def test_pictures_are_shown_and_nothing_is_echoed(number, tmp_path, monkeypatch):
    nbclient = pytest.importorskip("nbclient", reason="needs the extra 'notebook'")
    nbconvert = pytest.importorskip("nbconvert", reason="needs the extra 'notebook'")
    pytest.importorskip("ipykernel", reason="needs the extra 'notebook'")
    monkeypatch.setenv("FCN_FIGURES", str(tmp_path))
    lesson = course.find(number)
    book = notebook(lesson)
    nbclient.NotebookClient(book, timeout=300, kernel_name="python3").execute()
    outputs = [output for cell in book.cells if cell.cell_type == "code" for output in cell.outputs]
    assert {output.output_type for output in outputs} <= {"stream", "display_data"}  # no result is echoed
    assert {output.name for output in outputs if output.output_type == "stream"} == {"stdout"}
    pictures = [output.data for output in outputs if output.output_type == "display_data"]
    assert all("image/png" in picture for picture in pictures)
    assert len(pictures) == calls(lesson.path, "show") > 0
    printed = "".join(output.text for output in outputs if output.output_type == "stream")
    assert len(re.findall(r"^  figure  ", printed, re.MULTILINE)) == len(pictures)
    assert re.search(r"all \d+ claims of this lesson hold", printed)
    html, _ = nbconvert.HTMLExporter().from_notebook_node(book)
    assert len(re.findall(r'<img[^>]* src="data:image/png', html)) == len(pictures)
    assert f"Lesson {number}: " in re.search(r"<h1.*?</h1>", html, re.DOTALL)[0]

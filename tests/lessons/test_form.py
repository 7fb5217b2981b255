"""The form that every lesson keeps: its head, its parts, closed predictions, exercises, and figures at the end."""

import re

import pytest
from lesson_cells import calls, cells, docstring, imported

from fcn_from_scratch import course
from fcn_from_scratch.lab import exercises

LESSONS = course.lessons()
NETWORK = {"urllib", "http", "socket", "ssl", "ftplib", "requests", "httpx", "aiohttp", "urllib3"}
WIDTH = 92  # characters, as in lessons/ruff.toml
PLOTTING = re.compile(r"\b(ax|axes|figure|viz|Rectangle|Patch)\b|\bax_\w+|\w+_ax\b")

every_lesson = pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.path.stem)


def markdown(lesson):
    return [cell for cell in cells(lesson.path) if cell.is_markdown]


def position(lesson, heading):
    """The number of the first cell with a heading of this text; the number of cells if there is none."""
    everything = cells(lesson.path)
    found = (number for number, cell in enumerate(everything) if any(heading in text for text in cell.headings))
    return next(found, len(everything))


# --- the head -----------------------------------------------------------------------------------------------


@every_lesson
def test_the_docstring_is_the_first_markdown_cell(lesson):
    text = lesson.path.read_text(encoding="utf-8")
    assert text.startswith(f'# %% [markdown]\n"""\n# Lesson {lesson.number}: ')
    assert docstring(lesson.path) == cells(lesson.path)[0].text


@every_lesson
def test_the_head_names_question_needs_and_runtime(lesson):
    assert lesson.question.endswith("?") or lesson.number == 0
    assert lesson.needs, "a line 'Needs: lessons 1 and 2'"
    assert re.match(r"\d+ s\b", lesson.runtime), "a line 'Runtime: 8 s on 2 cores'"


@every_lesson
def test_the_head_links_the_glossary(lesson):
    assert "(../docs/glossary.md)" in docstring(lesson.path)


@every_lesson
def test_the_head_says_what_comes_next_or_who_may_skip(lesson):
    head = " ".join(docstring(lesson.path).split())
    if lesson.number in course.FAST_PATH:
        following = [number for number in course.FAST_PATH if number > lesson.number][:1]
        assert re.findall(r"Fast path: [^.]*?lesson (\d+) comes next", head) == [str(number) for number in following]
    else:
        words = r"\bskip\b|\bfast path\b|\bgo (on|straight)\b|\bleave (it|this lesson) out\b"
        assert re.search(words, head, re.IGNORECASE), "a sentence on who may skip this lesson"


# --- the parts ----------------------------------------------------------------------------------------------


@every_lesson
def test_markdown_cells_hold_nothing_but_comments(lesson):
    """In a notebook code below a Markdown cell is prose: a check that stands there would never run."""
    stray = [line for cell in markdown(lesson)[1:] for line in cell.lines]
    assert [line for line in stray if line.strip() and not line.startswith("#")] == []


@every_lesson
def test_it_has_its_parts_in_order_and_ends_with_claims(lesson):
    parts = ["Predict", "What could fool you", "Exercises", "Claims"]
    places = [position(lesson, part) for part in parts]
    last = cells(lesson.path)[-1]
    assert max(places) < len(cells(lesson.path)), parts[places.index(max(places))]
    assert places == sorted(places)
    assert "Claims" in markdown(lesson)[-1].headings[-1]
    assert not last.is_markdown
    assert "claims(" in last.code


@every_lesson
def test_each_prediction_is_closed_after_a_check(lesson):
    """Each numbered question of a Predict cell has one line "> **Prediction k.** ..." later, after a check."""
    asked, closed, checked = [], [], set()
    for cell in cells(lesson.path):
        if any(heading.startswith("Predict") for heading in cell.headings):
            asked += re.findall(r"^(\d+)\. ", cell.text, re.MULTILINE)
        elif cell.is_markdown:
            found = re.findall(r"^> \*\*Prediction (\d+)\.\*\* \S", cell.text, re.MULTILINE)
            assert set(found) <= checked, "closed before a check could answer it"
            closed += found
        elif "check(" in cell.code:
            checked = set(asked)
    assert asked == [str(number) for number in range(1, len(asked) + 1)]
    assert asked
    assert sorted(closed, key=int) == asked


@every_lesson
def test_answers_stand_alone_in_cells_of_their_own(lesson):
    """A page folds a cell with the tag "answer". So such a cell holds one answer, and nothing else."""
    for cell in cells(lesson.path):
        lines = [line for line in cell.text.splitlines() if line.strip()]
        answers = [line for line in lines if line.startswith("> **Prediction ")]
        assert cell.is_answer == bool(answers), cell.text[:60]
        if cell.is_answer:
            assert cell.is_markdown
            assert lines[0] == answers[0], "an answer begins its cell"
            assert len(answers) == 1, "one answer in a cell"
            assert [line for line in lines if not line.startswith(">")] == []


@every_lesson
def test_answers_come_in_the_order_of_the_questions(lesson):
    text = lesson.path.read_text(encoding="utf-8")
    order = re.findall(r"^# > \*\*Prediction (\d+)\.\*\*", text, re.MULTILINE)
    assert order == sorted(order, key=int)


@every_lesson
def test_headings_have_one_level_below_the_title(lesson):
    """One # in the title. The sections have ##, and ### stands only below such a section."""
    title, *levels = [
        len(found) for cell in markdown(lesson) for found in re.findall(r"^(#+) ", cell.text, re.MULTILINE)
    ]
    assert title == 1
    assert set(levels) <= {2, 3}
    assert levels[0] == 2
    parts = ["Predict", "What could fool you", "The drawings", "Exercises", "Claims"]
    text = "\n".join(cell.text for cell in markdown(lesson))
    assert [part for part in parts if not re.search(rf"^## {part}", text, re.MULTILINE)] in ([], ["The drawings"])


@every_lesson
def test_no_line_is_wider_than_a_page(lesson):
    """A wider line scrolls sideways on a page."""
    lines = lesson.path.read_text(encoding="utf-8").splitlines()
    assert [f"{number}: {line}" for number, line in enumerate(lines, start=1) if len(line) > WIDTH] == []


@every_lesson
def test_closings_are_written_alike(lesson):
    """A site folds them, so nothing else may look like one."""
    lines = [line for cell in markdown(lesson) for line in cell.text.splitlines() if "**Prediction" in line]
    assert [line for line in lines if not re.match(r"> \*\*Prediction \d+\.\*\* ", line)] == []


@every_lesson
def test_the_exercises_cell_lists_them(lesson):
    cell = cells(lesson.path)[position(lesson, "Exercises")]
    for exercise in exercises.of_lesson(lesson.number):
        kind = exercise.title.split(",")[1].split(":")[0].strip()
        assert re.search(rf"^{exercise.number}\. .*{kind}", cell.text, re.MULTILINE | re.IGNORECASE), exercise.title
    for command in ("", " --check FILE", " --solution"):
        assert f"`fcn exercise {lesson.number}{command}`" in " ".join(cell.text.split())


def test_answers_are_exercises():
    """The answer files of the first edition are gone."""
    assert not (course.LESSONS / "solutions").exists()


# --- figures ------------------------------------------------------------------------------------------------


@every_lesson
def test_the_argument_is_not_interrupted_by_plotting(lesson):
    """Cells before "The drawings" have at most 8 lines that plot."""
    argument = cells(lesson.path)[: position(lesson, "The drawings")]
    lengths = [sum(bool(PLOTTING.search(line)) for line in cell.lines) for cell in argument if not cell.is_markdown]
    assert max(lengths) <= 8


@every_lesson
def test_figures_are_shown(lesson):
    """viz.show puts a figure below its cell in a notebook; save_figure alone does not."""
    assert calls(lesson.path, "save_figure") == 0
    assert calls(lesson.path, "show") >= 1


@every_lesson
def test_a_drawing_checks_nothing(lesson):
    """A page folds the cells that draw. A claim that stands there would be hidden."""
    drawings = cells(lesson.path)[position(lesson, "The drawings") : position(lesson, "Exercises")]
    assert [cell.code for cell in drawings if not cell.is_markdown and "check(" in cell.code] == []


# --- what a lesson may use ----------------------------------------------------------------------------------


@every_lesson
def test_it_needs_no_display_no_network_and_no_other_lesson(lesson):
    modules = list(imported(lesson.path))
    assert not any(module.split(".")[0] in NETWORK for module in modules)
    assert not any("pyplot" in module or "lesson" in module for module in modules)
    text = lesson.path.read_text(encoding="utf-8")
    assert ".show()" not in text
    assert "__file__" not in text, "a notebook does not know it"


@every_lesson
def test_every_generator_takes_the_seed(lesson):
    """`fcn lessons N --seed S` changes all random numbers of a lesson."""
    text = lesson.path.read_text(encoding="utf-8")
    generators = re.findall(r"default_rng\((.*?)\)", text)
    assert [arguments for arguments in generators if re.fullmatch(r"[\s\d]*", arguments)] == []
    assert not re.search(r"\bseed=\d", text)

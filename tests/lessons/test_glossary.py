"""Each word of the glossary is in bold where a lesson uses it first: in the lesson that the table names."""

import re

import pytest
from lesson_cells import cells

from fcn_from_scratch import course

GLOSSARY = course.LESSONS.parent / "docs" / "glossary.md"
ROWS = re.findall(r"^\| ([^|]+?) \| ([^|]+?) \| (\d+) \|$", GLOSSARY.read_text(encoding="utf-8"), re.MULTILINE)
LESSONS = {lesson.number: lesson for lesson in course.lessons() if lesson.number > 0}
# Everyday English as well: a lesson may "skip" something or report "the scores". Only their bold use is held.
EVERYDAY = {"score", "skip", "all at once", "in stages"}
FORMS = {
    "dilation": r"dilat(?:ion|ions|e|es|ed|ing)",
    "concatenation": r"concatenat(?:ion|ions|e|es|ed|ing)",
    "fusion": r"fus(?:ion|ions|e|es|ed|ing)",
    "unpooling": r"unpool(?:s|ed|ing)?",
    "skip": r"skip(?:s|ped|ping)?",
    "padding": r"padding",
}


def pattern(word):
    """A regular expression of the word with its plural and its verb forms; hyphens and spaces are alike."""
    *before, last = re.split(r"[\s-]+", word)
    if word in FORMS:
        last = FORMS[word]
    elif last.endswith("e"):
        last = rf"{last[:-1]}(?:e|es|ed|ing)"
    else:
        last = rf"{last}(?:s|es|ed|ing)?"
    flags = 0 if word != word.lower() else re.IGNORECASE
    words = r"[\s-]+".join([*before, last])
    return re.compile(rf"(?<!\w){words}(?!\w)", flags)


def prose(lesson, head=True):
    """The markdown of a lesson without code, indented examples and addresses; on request without head and headings."""
    texts = [cell.text for cell in cells(lesson.path) if cell.is_markdown][0 if head else 1 :]
    text = "\n\n".join(texts)
    if not head:
        text = re.sub(r"^#.*$", "", text, flags=re.MULTILINE)
    text = re.sub(r"^    .*$", "", text, flags=re.MULTILINE)
    text = re.sub(r"`[^`]*`", "`", text)
    return re.sub(r"\]\([^)]*\)", "]", text)


def bold(text):
    """The places of the text in bold: (start, end)."""
    return [found.span() for found in re.finditer(r"\*\*(?!\s).+?\*\*", text, re.DOTALL)]


def uses(word, text):
    """(is it bold?, the words around it) for each use of a word."""
    spans = bold(text)
    for found in pattern(word).finditer(text):
        is_bold = any(start < found.start() and found.end() < end for start, end in spans)
        yield is_bold, " ".join(text[max(found.start() - 40, 0) : found.end() + 40].split())


@pytest.mark.parametrize(("word", "number"), [(word, int(number)) for word, _, number in ROWS])
def test_first_use_is_bold_and_in_its_lesson(word, number):
    for earlier in range(1, number):
        found = [around for is_bold, around in uses(word, prose(LESSONS[earlier])) if is_bold or word not in EVERYDAY]
        assert found == [], f"lesson {earlier} uses {word!r} before lesson {number} explains it"
    found = list(uses(word, prose(LESSONS[number], head=False)))
    if word in EVERYDAY:
        found = [use for use in found if use[0]][:1]
    assert found, f"lesson {number} does not explain {word!r}"
    assert found[0][0], f"the first use in lesson {number} is not bold: {found[0][1]!r}"


@pytest.mark.parametrize("word", [word for word, _, _ in ROWS if word not in EVERYDAY])
def test_a_word_is_bold_once(word):
    """Bold type marks the place that explains a word. A second place would mislead."""
    found = []
    for number, lesson in LESSONS.items():
        text = prose(lesson, head=False)
        marked = [" ".join(text[start:end].strip("*").split()) for start, end in bold(text)]
        found += [number for words in marked if pattern(word).fullmatch(words)]
    assert len(found) == 1


def test_the_table_is_in_the_order_of_the_lessons():
    numbers = [int(number) for _, _, number in ROWS]
    assert numbers == sorted(numbers)
    assert len({word for word, _, _ in ROWS}) == len(ROWS) > 30
    table = [line for line in GLOSSARY.read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    assert len(table) == len(ROWS) + 2, "a row that could not be read"


# --- the test itself ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "text", "found"),
    [
        ("stride", "Strides of 2; the striding; astride", ["Strides", "striding"]),
        ("score layer", "a score layer, score\nlayers, the scores layer", ["score layer", "score\nlayers"]),
        ("end-to-end", "End to end, end-to-end", ["End to end", "end-to-end"]),
        ("IU", "IU and IUs, not iu or IUPAC", ["IU", "IUs"]),
        ("dilation", "dilated, dilations, dilute", ["dilated", "dilations"]),
        ("transplant", "transplanted transplantation", ["transplanted"]),
        ("interlace", "interlaced, interlacing", ["interlaced", "interlacing"]),
        ("skip", "skipped the skip", ["skipped", "skip"]),
    ],
)
def test_forms(word, text, found):
    assert pattern(word).findall(text) == found


def test_bold_and_plain_uses():
    text = "A **receptive field** is large.\nThe receptive field, **the stride** and a field of **receptive\nfields**."
    assert [is_bold for is_bold, _ in uses("receptive field", text)] == [True, False, True]
    assert [is_bold for is_bold, _ in uses("stride", text)] == [True]


def test_prose_leaves_code_and_addresses_out(tmp_path):
    path = tmp_path / "lesson_01_a.py"
    path.write_text(
        '# %% [markdown]\n"""\n# Lesson 1: Why?\n\nThe head.\n"""\n\n# %% [markdown]\n# ## A heading\n# Text `code` '
        "[link](address.md).\n#\n#     indented\n# > quoted\n\n# %%\nx = 1  # a comment\n"
    )
    lesson = course.Lesson(1, "a", "Why?", "", "", path)
    assert prose(lesson, head=False).split() == ["Text", "`", "[link].", ">", "quoted"]
    assert prose(lesson).split()[:8] == ["#", "Lesson", "1:", "Why?", "The", "head.", "##", "A"]

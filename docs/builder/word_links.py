"""Links that nobody has to write: "lesson 7" leads to that lesson, and a word of the course to the glossary.

Every mention of a lesson is a link. A word of the glossary is one at its first use on each lesson page.
"""

import re

from docutils import nodes
from glossary_page import glossary_words
from places import lesson_stems
from sphinx import addnodes

CLOSED = (nodes.literal, nodes.literal_block, nodes.reference, nodes.title, nodes.raw, nodes.math, nodes.math_block)
CLOSED += (nodes.Invisible, nodes.image, addnodes.pending_xref, addnodes.desc_signature, addnodes.toctree, nodes.term)
LESSONS = re.compile(r"\b[Ll]essons? \d+(?:(?:, | and | or | to )\d+)*")
EVERYDAY = {"score", "skip", "all at once", "in stages"}  # linked only where a lesson sets them in bold
FORMS = {"dilation": "dilat", "concatenation": "concatenat", "fusion": "fus", "unpooling": "unpool"}
ENDINGS = r"(?:s|es|e|ed|ing|ion|ions)?"


def pattern(word):
    """A regular expression of a word with its plural and its verb forms; hyphens and spaces are alike."""
    *before, last = [re.escape(part) for part in re.split(r"[\s-]+", word)]
    stem = FORMS.get(word) or (last.removesuffix("e") if len(last) > 3 else last)
    flags = re.IGNORECASE if word == word.lower() else 0
    words = r"[\s-]+".join([*before, stem + ENDINGS])
    return re.compile(rf"(?<![\w-]){words}(?![\w-])", flags)


def link_words(app, document):
    name = app.env.docname
    own = int(name[15:17]) if name.startswith("lessons/lesson_") else None
    open_words = {word: pattern(word) for word in glossary_words()} if own is not None else {}
    for text in list(document.findall(nodes.Text)):
        if not _is_closed(text):
            spans = [*_lesson_spans(text, own, name), *_word_spans(text, open_words, name)]
            _replace(text, _without_overlaps(spans))


def _is_closed(text):
    parent = text.parent
    while parent is not None:
        if isinstance(parent, CLOSED):
            return True
        parent = parent.parent
    return False


def _lesson_spans(text, own, page):
    """(start, end, link) for each number in "lesson 5" and "lessons 1, 2 and 9"; the word itself joins the first."""
    stems = lesson_stems()
    for found in LESSONS.finditer(text):
        start = found.start()
        for number in re.finditer(r"\d+", found[0]):
            end = found.start() + number.end()
            if int(number[0]) in stems and int(number[0]) != own:
                yield start, end, _reference("doc", f"/lessons/{stems[int(number[0])]}", text[start:end], page)
            start = found.start() + _next_digit(found[0], number.end())


def _next_digit(text, start):
    found = re.compile(r"\d").search(text, start)
    return found.start() if found else len(text)


def _word_spans(text, open_words, page):
    """(start, end, link) of the words whose first use stands in this text. They are taken off the open words."""
    for word, compiled in list(open_words.items()):
        found = compiled.search(text)
        if found and (word not in EVERYDAY or isinstance(text.parent, nodes.strong)):
            yield found.start(), found.end(), _reference("term", word, found[0], page)
            del open_words[word]


def _reference(kind, target, words, page):
    options = {"refdomain": "std", "reftype": kind, "reftarget": target, "refexplicit": True, "refdoc": page}
    shown = nodes.inline("", words.replace(" ", "\u00a0") if kind == "doc" else words, classes=[f"to-{kind}"])
    return addnodes.pending_xref("", shown, refwarn=True, **options)


def _without_overlaps(spans):
    """In order; of two that overlap the longer one ("upstream gradient" before "gradient")."""
    kept = []
    for span in sorted(spans, key=lambda span: span[0] - span[1]):
        if all(span[1] <= other[0] or other[1] <= span[0] for other in kept):
            kept.append(span)
    return sorted(kept, key=lambda span: span[0])


def _replace(text, spans):
    """Put the links into the text's place."""
    if not spans:
        return
    pieces, place = [], 0
    for start, end, link in spans:
        pieces += [nodes.Text(text[place:start]), link]
        place = end
    pieces.append(nodes.Text(text[place:]))
    text.parent.replace(text, [piece for piece in pieces if not isinstance(piece, nodes.Text) or piece])


def setup(app):
    app.connect("doctree-read", link_words)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}

"""The builder's own parts: docstrings as reStructuredText, the glossary as a list, links, words, lessons as pages."""

import importlib
import inspect
import re

import pytest

docstrings = pytest.importorskip("docstrings")


def converted(text):
    return "\n".join(docstrings.convert(text.splitlines()))


# --- docstrings ---------------------------------------------------------------------------------------------


def test_an_equation_is_shown_as_it_is_written():
    text = converted("Meaning.\n\ny[n, f] = sum over c of x[n, c] * w[f, c]\ndx[n] += dy[n]\n\nMore.")
    assert "   y[n, f] = sum over c of x[n, c] * w[f, c]\n   dx[n] += dy[n]" in text
    assert text.count("code-block") == 1


def test_fields_become_one_list_wherever_they_stand_in_a_line():
    text = converted("Meaning.\n\nShapes: x (N, C); weight\n(F, C). Returns: y like x.\nRaises: ValueError for less.")
    assert ":Shapes: x (N, C); weight (F, C)." in text
    assert ":Returns: y like x.\n:Raises: ValueError for less." in text


def test_arguments_become_definitions_and_prose_below_them_does_not_join():
    text = converted(
        "Meaning.\n\nalgorithm  how it is computed,\n           in words\nrng        random numbers\nLesson 3."
    )
    assert "``algorithm``\n   how it is computed, in words\n" in text
    assert re.search(r"``rng``\n   random numbers\n\nLesson 3\.", text)


def test_values_of_an_argument_are_definitions_inside_it():
    text = converted(
        'absent   what counts:\n         "skip"       left out, so\n                      none\n         Both agree.'
    )
    assert '   ``"skip"``\n      left out, so none\n\n   Both agree.' in text


def test_names_are_code_and_signs_mean_themselves():
    text = converted("Pass ignore_index=255 or ops.conv2d, and |a - b| * 2; see tests/ops/test_conv.py. `x` is code.")
    assert "``ignore_index=255`` or ``ops.conv2d``, and \\|a - b\\| \\* 2" in text
    assert "``tests/ops/test_conv.py``. ``x`` is code." in text


def public_docstrings(room):
    """The docstring of a room and those of the names that it offers."""
    module = importlib.import_module(f"fcn_from_scratch.{room}")
    names = getattr(module, "__all__", [name for name in vars(module) if not name.startswith("_")])
    texts = [module.__doc__, *(getattr(module, name).__doc__ for name in names)]
    return [inspect.cleandoc(text) for text in texts if isinstance(text, str)]


@pytest.mark.parametrize("room", ["ops", "layers", "models", "geometry", "dense", "gradcheck", "datasets", "training"])
def test_every_public_docstring_is_valid(room):
    """docutils reads what the converter makes of each docstring, and finds no fault."""
    core = pytest.importorskip("docutils.core", reason="run by the site's own environment: make site-check")
    texts = public_docstrings(room)
    assert len(texts) > 5
    for text in texts:
        options = {"report_level": 2, "halt_level": 2, "warning_stream": False}
        core.publish_doctree(converted(text), settings_overrides=options)


# --- pages --------------------------------------------------------------------------------------------------


def test_the_glossary_becomes_a_list_with_every_word():
    from glossary_page import glossary_page, glossary_words
    from places import DOCS

    page = glossary_page((DOCS / "glossary.md").read_text(encoding="utf-8"))
    words = glossary_words()
    assert len(words) > 30
    assert re.findall(r"^(.+)\n: ", page, re.MULTILINE) == words
    assert "|" not in page


def test_links_between_files_become_links_between_pages():
    from page_parts import local_links

    text = "[a](../lessons/lesson_07_shift_and_stitch.py) [b](../fcn_from_scratch/ops/conv.py) [c](compare.md#seeds)"
    expected = "[a](lessons/lesson_07_shift_and_stitch.py) [b](code/ops/conv.py.md) [c](compare.md#seeds)"
    assert local_links(text, "docs") == expected
    assert local_links("[g](../docs/glossary.md)", "lessons") == "[g](../glossary.md)"


@pytest.mark.parametrize(
    ("word", "text", "found"),
    [
        ("receptive field", "Two receptive fields; receptive-field size", ["receptive fields", "receptive-field"]),
        ("dilation", "dilated, dilating; dilution", ["dilated", "dilating"]),
        ("stride", "strides of 2; astride", ["strides"]),
        ("IU", "mean IU, iu", ["IU"]),
    ],
)
def test_words_are_found_in_their_forms(word, text, found):
    pytest.importorskip("sphinx", reason="run by the site's own environment: make site-check")
    from word_links import pattern

    assert pattern(word).findall(text) == found


def test_a_heading_breaks_behind_the_dots_of_a_name_only():
    from page_repairs import repaired

    page = repaired('<h1><code><span class="pre">fcn_from_scratch.geometry</span></code></h1><p>a.b</p>', {})
    assert "fcn_from_scratch.<wbr>geometry</span>" in page
    assert page.endswith("<p>a.b</p>")


def test_a_word_carries_its_meaning_as_plain_text():
    from page_repairs import glossary_meanings, repaired

    glossary = '<dt id="term-IU">IU</dt><dd><p>a <em>ratio</em> &lt; 1, "mean"</p>\n</dd>'
    link = '<a class="reference internal" href="../glossary.html#term-IU"><span class="to-term">IU</span></a>'
    assert glossary_meanings(glossary) == {"term-IU": 'a ratio < 1, "mean"'}
    assert 'data-meaning="a ratio &lt; 1, &quot;mean&quot;"><span' in repaired(link, glossary_meanings(glossary))


def test_a_notebooks_links_lead_to_the_site_if_its_address_is_known(monkeypatch):
    pytest.importorskip("jupytext")
    from notebook_download import with_links_to_the_site

    text = "the [glossary](../docs/glossary.md#x), [the paper](https://arxiv.org/abs/1411.4038)"
    monkeypatch.setenv("FCN_SITE_URL", "https://example.org/fcn/")
    known = with_links_to_the_site(text)
    assert known.startswith("the [glossary](https://example.org/fcn/glossary.html#x), [the paper](https://arxiv")
    monkeypatch.delenv("FCN_SITE_URL")
    assert with_links_to_the_site(text).startswith("the glossary, [the paper](https://arxiv")


# --- lessons ------------------------------------------------------------------------------------------------

SCRIPT = '''# %% [markdown]
"""
# Lesson 7: What is it?

After this lesson you know it.

Needs: lesson 5. Words: the [glossary](../docs/glossary.md).

Runtime: 6 s on 2 cores
"""

# %% [markdown]
# # A part
# Text.
#
# > **Prediction 1.** No, it
# > is not.

# %% [markdown] tags=["answer"]
# > **Prediction 2.** Yes.

# %%
x = 1

# %%
def draw_it():
    pass
'''


@pytest.fixture
def page():
    pytest.importorskip("jupytext")
    pytest.importorskip("nbformat")
    from lesson_reader import read_lesson

    return read_lesson(SCRIPT).cells


def test_the_question_is_the_only_title(page):
    titles = [line for cell in page if cell.cell_type == "markdown" for line in cell.source.splitlines()]
    assert [line for line in titles if line.startswith("# ")] == ["# What is it?"]
    assert "## A part" in titles
    assert "Needs: lesson 5." in page[0].source
    assert "glossary" not in page[0].source


def test_answers_and_drawings_are_folded(page):
    folded = [cell.source for cell in page if "<details" in cell.source]
    assert len(folded) == 2
    assert "No, it\nis not." in folded[0]
    assert "Yes." in folded[1]
    assert [cell.metadata.get("tags", []) for cell in page if "draw_it" in cell.source] == [["hide-input"]]
    assert [cell.metadata.get("tags", []) for cell in page if cell.source == "x = 1"] == [[]]


def test_outputs_are_kept_for_one_state_of_the_package(page):
    """The cache compares cells, so the hidden cell names the package's state."""
    from content_hash import package_hash

    hidden = [cell for cell in page if "remove-cell" in cell.metadata.get("tags", [])]
    assert len(hidden) == 1
    assert package_hash() in hidden[0].source


# --- interactive figures ------------------------------------------------------------------------------------


def test_an_interactive_figure_stands_behind_the_whole_text_of_its_section():
    """A sentence that ends with a colon, and the block that it announces, stay together."""
    places = importlib.import_module("play_places")
    heading = "Right and down: the paper's form"
    text = f"## {heading}\nSo output j belongs to:\n\n    dense[4i - a]\n\nThe others.\n\n## Next\nMore."
    found = places.with_interactive_figures(text, 7)
    figure = found.index('id="play-shift-and-stitch"')
    assert found.index("The others.") < figure < found.index("## Next")
    assert found.startswith(text.split("## Next")[0])
    assert "\n\n" not in found[figure : found.index("</figure>")]  # a blank line would end the HTML
    assert places.with_interactive_figures(text, 8) == text

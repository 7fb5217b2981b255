"""What is changed in the HTML of each page: faults of the templates, figures, long names, words of the glossary."""

import html
import re

# What axe-core finds in the templates of Sphinx, MyST-NB and Furo
TEMPLATES = {
    ' role="heading">': ' role="heading" aria-level="2">',
    '<summary aria-label="Toggle hidden content">': "<summary>",
    '<aside class="sidebar-drawer">': '<aside class="sidebar-drawer" aria-label="Pages">',
    '<aside class="toc-drawer': '<aside aria-label="On this page" class="toc-drawer',
    '<div id="search-results"></div>': '<h1>Search</h1><div id="search-results"></div>',
}
IMAGE = re.compile(r'<img alt="[^"]*"[^>]* src="([^"]*_images/[^"]*)"[^>]*>')
HEADING = re.compile(r"<h1>.*?</h1>")
NAME = re.compile(r'(?<=<span class="pre">)[\w.]+(?=</span>)')
ENTRY = re.compile(r'<dt id="(term-[^"]+)">.*?</dt>\s*<dd>(.*?)</dd>', re.DOTALL)
WORD = re.compile(r'<a class="reference internal" (href="[^"]*#(term-[^"]+)")>(?=<span class="to-term">)')


def repaired(page, meanings):
    """The page with everything below.

    meanings  of the glossary's words, by their ids
    """
    for old, new in TEMPLATES.items():
        page = page.replace(old, new)
    page = HEADING.sub(_with_line_breaks, page)
    return _with_meanings(IMAGE.sub(_opening_in_full_size, page), meanings)


def glossary_meanings(page):
    """The id of each word on the glossary's page, such as "term-stride" -> its meaning as plain text."""
    return {name: html.unescape(re.sub(r"<[^>]+>", "", text)).strip() for name, text in ENTRY.findall(page)}


def _opening_in_full_size(image):
    """On a phone a wide figure is small or scrolls. In a tab of its own it can be enlarged; a live page stays open."""
    return (
        f'<a class="full-size" href="{image[1]}" target="_blank" title="Opens the figure in full size">{image[0]}</a>'
    )


def _with_line_breaks(heading):
    """A long name such as fcn_from_scratch.geometry may be broken behind its dots, and nowhere else."""
    return NAME.sub(lambda name: name[0].replace(".", ".<wbr>"), heading[0])


def _with_meanings(page, meanings):
    """Each link to a word carries the word's meaning, which words.js shows in place."""

    def link(found):
        meaning = html.escape(meanings.get(found[2], ""), quote=True)
        return f'<a class="reference internal" {found[1]} data-meaning="{meaning}">'

    return WORD.sub(link, page)

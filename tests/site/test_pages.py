"""The built site as a whole: each page in a browser, every link, its size, and what it offers."""

import json
import re
from html.parser import HTMLParser
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

import pytest

LIMIT = 60e6  # bytes, without the browser's Python
PARTS = 4  # of the pages, so that two processes can share them


class Page(HTMLParser):
    """The ids of a page, and the addresses it refers to."""

    def __init__(self, path):
        super().__init__()
        self.ids, self.links = set(), []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.ids |= {found[name] for name in ("id", "name") if found.get(name)}
        self.links += [found[name] for name in ("href", "src") if found.get(name)]


@pytest.fixture(scope="module")
def pages(site):
    """Path below the site -> Page."""
    found = [path for path in site.rglob("*.html") if "_static" not in path.parts]
    return {path.relative_to(site).as_posix(): Page(path) for path in sorted(found)}


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_every_page_in_a_browser(in_browser, part):
    result = in_browser("check_pages.mjs", part, PARTS)
    assert result.returncode == 0, result.stdout[-6000:] + result.stderr[-2000:]


def test_every_link_inside_the_site_leads_somewhere(site, pages):
    broken = []
    for name, page in pages.items():
        for link in page.links:
            if urlsplit(link).scheme or link.startswith("//"):
                continue
            target, fragment = urldefrag(urljoin(f"https://site/{name}", link))
            target = unquote(urlsplit(target).path).lstrip("/") or "index.html"
            there = (site / target).is_file()
            if not there or (fragment and target in pages and unquote(fragment) not in pages[target].ids):
                broken.append(f"{name}: {link}")
    assert broken == []


def test_no_page_loads_anything_from_elsewhere(pages):
    """Links may lead elsewhere. Files of a page may not come from there: a browser test sees only what is loaded."""
    for name, page in pages.items():
        assert [link for link in page.links if link.startswith(("http://", "//"))] == [], name


def test_the_site_is_small(site):
    size = sum(path.stat().st_size for path in site.rglob("*") if path.is_file() and "pyodide" not in path.parts)
    assert size < LIMIT


def test_a_lesson_offers_its_script_its_notebook_and_its_exercises(site, pages):
    lessons = [name for name in pages if name.startswith("lessons/")]
    assert lessons
    for name in lessons:
        stem = name.removeprefix("lessons/").removesuffix(".html")
        number = int(stem.split("_")[1])
        assert (site / f"lessons/{stem}.py").read_text(encoding="utf-8").startswith("# %% [markdown]")
        cells = json.loads((site / f"lessons/{stem}.ipynb").read_text(encoding="utf-8"))["cells"]
        assert "pip install" in "".join(cells[1]["source"])
        assert {f"{stem}.py", f"{stem}.ipynb", f"exercise_{number}_1.py"} <= set(pages[name].links)
        stub = (site / f"lessons/exercise_{number}_1.py").read_text(encoding="utf-8")
        assert "NotImplementedError" in stub
        assert "SOLUTION" not in stub


def test_a_notebook_says_how_to_install_what_it_needs_and_has_no_dead_link(site):
    for path in site.glob("lessons/*.ipynb"):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        [address] = re.findall(r"^# %pip install (\S+\.whl)$", "".join(cells[2]["source"]), re.MULTILINE)
        assert cells[2]["cell_type"] == "code"
        assert urlsplit(address).scheme or (path.parent / address).is_file()
        text = "".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
        assert [link for link in re.findall(r"\]\(([^)\s]+\.\w+)\)", text) if not urlsplit(link).scheme] == []


def test_a_lesson_has_its_number_wherever_its_title_stands_alone(site):
    index = json.loads((site / "searchindex.js").read_text(encoding="utf-8")[len("Search.setIndex(") : -1])
    titles = dict(zip(index["docnames"], index["titles"]))
    for path in site.glob("lessons/*.html"):
        number = int(path.stem.split("_")[1])
        html = path.read_text(encoding="utf-8")
        [question] = re.findall(r"<h1>(.*?)<a ", html)
        assert not question.startswith("Lesson")
        assert f"<title>Lesson {number}: {question}" in html
        assert titles[f"lessons/{path.stem}"] == f"Lesson {number}: {question}"
        assert f"Lesson {number}: {question}" in index["alltitles"]
        assert question not in index["alltitles"]


def test_a_figure_opens_in_full_size(pages, site):
    for name in pages:
        html = (site / name).read_text(encoding="utf-8")
        for before, source in re.findall(r'(<a [^>]*>)?<img alt="[^"]*"[^>]* src="([^"]*_images/[^"]*)"', html):
            assert f'href="{source}"' in before, name


def test_a_link_to_a_word_carries_what_the_glossary_says(pages, site):
    glossary = (site / "glossary.html").read_text(encoding="utf-8")
    for name in [name for name in pages if name.startswith("lessons/")]:
        html = (site / name).read_text(encoding="utf-8")
        found = re.findall(r'<a [^>]*#(term-[^"]+)" data-meaning="([^"]*)"><span class="to-term">', html)
        assert len(found) == html.count('class="to-term"') > 0
        for term, meaning in found:
            assert meaning[:30] in glossary.split(f'id="{term}"')[1][:400]


def test_folded_code_stands_below_what_it_shows(site):
    for path in site.glob("lessons/*.html"):
        html = path.read_text(encoding="utf-8")
        assert 'class="claims-box"' in html
        assert "claims of this lesson hold" not in html  # one count of claims on a page
        for cell in html.split('<div class="cell ')[1:]:
            folded, output = cell.find('<details class="admonition hide'), cell.find('<div class="cell_output')
            assert folded < 0 or output < 0 or output < folded


def test_nothing_is_left_of_an_earlier_larger_build(site, pages):
    interactive = pytest.importorskip("interactive")
    numbers = {int(name[15:17]) for name in pages if name.startswith("lessons/lesson_")}
    wanted = {name for lesson, _, name in interactive.PLACES if lesson in numbers}
    assert {path.stem for path in site.glob("_static/play/*.json")} - {"package"} == wanted


def test_interactive_figures_stand_where_they_belong(site, pages):
    interactive = pytest.importorskip("interactive")
    for number, _, name in interactive.PLACES:
        for page in [page for page in pages if page.startswith(f"lessons/lesson_{number:02d}_")]:
            assert f"play-{name}" in pages[page].ids


def test_the_slides_are_a_pdf_of_the_listed_figures(site):
    slides = pytest.importorskip("slides", reason="run by the site's own environment: make site-check")
    pages_in_pdf = (site / "slides.pdf").read_bytes().count(b"/Type /Page ")
    assert (site / "slides.pdf").read_bytes().startswith(b"%PDF")
    shown = [path for path in site.glob("lessons/lesson_*.html")]
    listed = [slide for slide in slides.listed() if any(f"lesson_{slide.lesson:02d}_" in path.name for path in shown)]
    assert pages_in_pdf == len(listed)

"""The built site as a whole: each page in a browser, every link, its size, and what it offers."""

import json
from html.parser import HTMLParser
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

import pytest

LIMIT = 60e6  # bytes, without the browser's Python


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
def test_every_page_in_a_browser(in_browser):
    result = in_browser("check_pages.mjs")
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

"""From Sphinx's pages to the site: repairs, downloads, and the files that tell browsers and search engines about it."""

import os
import re
import shutil
from urllib.parse import urlsplit

import jupytext
import live_files
from lesson_titles import number_search_results
from notebook_download import notebook_download
from page_repairs import glossary_meanings, repaired
from places import HTML, LESSONS, SITE, SRC, lesson_stems
from slides import write_slides
from static_files import copy_runtime

from fcn_from_scratch.lab import exercises

SITEMAP = "http://www.sitemaps.org/schemas/sitemap/0.9"
UNUSED = (".buildinfo", "objects.inv", "_sources", "jupyter_execute")


def finish():
    """Write the site from what Sphinx wrote. Sphinx's own output stays, so that the next build is quick."""
    shutil.rmtree(SITE, ignore_errors=True)
    shutil.copytree(HTML, SITE, ignore=shutil.ignore_patterns(*UNUSED))
    _remove_what_earlier_builds_left()
    (SITE / ".nojekyll").touch()  # GitHub Pages would leave out folders like _static
    _repair_pages()
    number_search_results()
    _write_downloads()
    write_slides()
    claims = {stem: _claims(SITE / "lessons" / f"{stem}.html") for stem in lesson_stems().values()}
    live_files.write(SITE / "_static" / "live", copy_runtime(SITE), claims)
    _write_sitemap()
    _let_404_find_its_files()


def _remove_what_earlier_builds_left():
    """Pages that have no source any more, and pictures that no page shows."""
    for page in [page for page in SITE.rglob("*.html") if page.name != "search.html"]:
        name = page.relative_to(SITE).with_suffix("").as_posix()
        if not any((SRC / f"{name}{suffix}").exists() for suffix in (".md", ".py")):
            page.unlink()
    shown = "".join(page.read_text(encoding="utf-8") for page in SITE.rglob("*.html"))
    for picture in (SITE / "_images").iterdir():
        if picture.name not in shown:
            picture.unlink()


def _repair_pages():
    meanings = glossary_meanings((SITE / "glossary.html").read_text(encoding="utf-8"))
    for page in SITE.rglob("*.html"):
        page.write_text(repaired(page.read_text(encoding="utf-8"), meanings), encoding="utf-8")


def _write_downloads():
    """Beside each lesson's page: its script, its notebook, and a file to begin with for each exercise."""
    wheel = next(path.name for path in (SITE / "_static/live").glob("fcn_from_scratch-*.whl"))
    for number, stem in lesson_stems().items():
        path = LESSONS / f"{stem}.py"
        shutil.copyfile(path, SITE / "lessons" / path.name)
        jupytext.write(notebook_download(path, wheel), SITE / "lessons" / f"{stem}.ipynb")
        for exercise in exercises.of_lesson(number):
            (SITE / "lessons" / exercise.file_name).write_text(exercise.stub, encoding="utf-8")


def _claims(page):
    """How many claims the lesson printed when it ran, each by a `check`."""
    lists = re.findall(r'<ul class="claims[ "].*?</ul>', page.read_text(encoding="utf-8"), re.DOTALL)
    return sum(text.count("<li") for text in lists)


def _write_sitemap():
    """The addresses of all pages, if the site's own address is known."""
    address = os.environ.get("FCN_SITE_URL", "").rstrip("/")
    if not address:
        return
    pages = sorted(page.relative_to(SITE).as_posix() for page in SITE.rglob("*.html") if "_static" not in page.parts)
    kept = [page for page in pages if page not in ("404.html", "search.html", "genindex.html", "py-modindex.html")]
    urls = "".join(f"<url><loc>{address}/{page}</loc></url>\n" for page in kept)
    text = f'<?xml version="1.0" encoding="UTF-8"?>\n<urlset xmlns="{SITEMAP}">\n{urls}</urlset>\n'
    (SITE / "sitemap.xml").write_text(text, encoding="utf-8")
    (SITE / "robots.txt").write_text(f"User-agent: *\nSitemap: {address}/sitemap.xml\n", encoding="utf-8")


def _let_404_find_its_files():
    """A server sends 404.html for any address, so the page must say where its links begin."""
    folder = urlsplit(os.environ.get("FCN_SITE_URL", "")).path.rstrip("/") + "/"
    page = SITE / "404.html"
    html = page.read_text(encoding="utf-8")
    page.write_text(html.replace("<head>", f'<head><base href="{folder}">', 1), encoding="utf-8")

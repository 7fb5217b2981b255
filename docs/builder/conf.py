"""Sphinx's settings. Sphinx is started by build.py."""

import logging
import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from content_hash import builder_hash, package_hash  # noqa: E402
from places import CACHE, DOCS, STATIC  # noqa: E402

# the lessons are run as a reader runs them
for name in ("FCN_DEVICE", "FCN_SEED", "FCN_PLAIN"):
    os.environ.pop(name, None)

project, author, language = "Fully convolutional networks from scratch", "", "en"
html_title = "FCN from scratch"
html_baseurl = os.environ.get("FCN_SITE_URL", "")
extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx_copybutton",
    "docstrings",
    "folded_code",
    "katex_math",
    "lesson_outputs",
    "lesson_titles",
    "word_links",
]

# The colours of the code (a11y_pygments) set logging to INFO on import; a kernel's start is no news.
logging.getLogger("traitlets").setLevel(logging.WARNING)

# pages
myst_enable_extensions = ["dollarmath", "deflist", "attrs_block", "attrs_inline", "colon_fence"]
myst_heading_anchors = 3
highlight_language = "none"  # an indented block is a small table, not Python
pygments_style, pygments_dark_style = "a11y-high-contrast-light", "a11y-high-contrast-dark"
copybutton_selector = "div.cell_input div.highlight pre, div.highlight-python pre, div.highlight-sh pre"
autodoc_member_order, autodoc_typehints = "bysource", "none"
add_module_names = False

# lessons: run once; the outputs are kept until a cell, the package or this folder changes
nb_custom_formats = {".py": ["lesson_reader.read_lesson", {}]}
nb_execution_mode, nb_execution_timeout = "cache", 900
nb_execution_cache_path = str(CACHE / "lessons")
nb_execution_show_tb = True  # a broken claim is a warning with its message, and warnings fail the build
nb_merge_streams = True
nb_render_text_lexer = "none"

# links to other sites are checked at night
linkcheck_ignore = [] if os.environ.get("FCN_LINKS") == "all" else ["https?://"]
linkcheck_timeout, linkcheck_retries = 30, 3

# the look
html_theme = "furo"
html_static_path = [str(DOCS / "static"), str(STATIC)]
html_css_files = ["book.css"]
html_js_files = [("book.js", {"defer": ""}), ("words.js", {"defer": ""})]
html_favicon = str(DOCS / "static" / "favicon.svg")
html_use_index = html_domain_indices = False
html_show_sourcelink = html_copy_source = html_show_sphinx = html_show_copyright = False
SERIF, MONO = "'Source Serif', Georgia, serif", "'Source Code', ui-monospace, monospace"
html_theme_options = {
    "light_css_variables": {
        "font-stack": SERIF,
        "font-stack--headings": SERIF,
        "font-stack--monospace": MONO,
        "color-background-primary": "#fffefb",
        "color-background-secondary": "#f8f6f0",
        "color-brand-primary": "#1f4e79",
        "color-brand-content": "#1f4e79",
        "color-brand-visited": "#5b3b79",
        "color-code-background": "#f6f4ee",
        "color-api-name": "#1f4e79",
        "color-api-pre-name": "#1f4e79",
    },
    "dark_css_variables": {
        "color-brand-primary": "#9cc4ea",
        "color-brand-content": "#9cc4ea",
        "color-brand-visited": "#c5aee6",
        "color-api-name": "#9cc4ea",
        "color-api-pre-name": "#9cc4ea",
    },
}


def add_live(app, page, template, context, doctree):
    """Lesson pages can run in the browser."""
    if page.startswith("lessons/"):
        app.add_css_file("live.css")
        app.add_js_file("live.js", type="module")


def setup(app):
    for name, value in (("fcn_builder", builder_hash()), ("fcn_package", package_hash())):
        app.add_config_value(name, value, "env", str)  # a new value lets Sphinx read all pages again
    app.connect("html-page-context", add_live)

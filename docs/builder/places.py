"""Where the build finds its parts, and where it works."""

import os
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS, LESSONS, PACKAGE = ROOT / "docs", ROOT / "lessons", ROOT / "fcn_from_scratch"
SITE = ROOT / "site"  # the result
BUILD = ROOT / "build" / "site"
SRC, HTML, DOCTREES, CACHE = BUILD / "src", BUILD / "html", BUILD / "doctrees", BUILD / "cache"
LESSON_PAGE = re.compile(r"lessons/lesson_(\d\d)_\w+")  # a page's name, and the number of its lesson
STATIC, NODE = BUILD / "static", BUILD / "node_modules"


def chosen_lessons():
    """The scripts of the lessons to build: all, or those whose numbers FCN_SITE_LESSONS lists ("01 07")."""
    scripts = sorted(LESSONS.glob("lesson_*.py"))
    numbers = os.environ.get("FCN_SITE_LESSONS", "").split()
    return [path for path in scripts if not numbers or path.stem[7:9] in numbers]


def lesson_stems():
    """Lesson number -> file name without .py, for the lessons on the site."""
    return {int(path.stem[7:9]): path.stem for path in chosen_lessons()}

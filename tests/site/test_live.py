"""Lessons live in a browser: every claim holds, and the page does what a reader expects of it.

Needs the built site with the browser's own Python (`FCN_PYODIDE=DIR make site`), Node and Chromium. What is missing is
named, and the tests are skipped; with FCN_REQUIRE_SITE=1 they fail. FCN_LIVE_ALL=1 runs every lesson of the list, which
takes a quarter of an hour.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SITE = Path(os.environ.get("FCN_SITE", ROOT / "site"))
MODULES = Path(os.environ.get("FCN_SITE_MODULES", ROOT / "build/site/node_modules"))
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
QUICK = ("00", "01", "07", "08", "09")
ALL = ("00", "01", "02", "03", "05", "06", "07", "08", "09", "10")


@pytest.fixture(scope="module", autouse=True)
def everything_needed():
    needed = {
        "site/: run FCN_PYODIDE=DIR make site": (SITE / "_static/pyodide/pyodide.js").exists(),
        "node": shutil.which("node"),
        "playwright-core and axe-core: run make site": (MODULES / "playwright-core").is_dir(),
        f"Chromium ({CHROMIUM}); CHROMIUM names another one": shutil.which(CHROMIUM),
    }
    missing = [what for what, there in needed.items() if not there]
    if missing and os.environ.get("FCN_REQUIRE_SITE") == "1":
        pytest.fail("missing: " + "; ".join(missing))
    if missing:
        pytest.skip("missing: " + "; ".join(missing))


def run_in_browser(script, *arguments, seconds=1200):
    environment = dict(os.environ, FCN_SITE=str(SITE), FCN_SITE_MODULES=str(MODULES), CHROMIUM=CHROMIUM)
    command = ["node", str(HERE / script), *arguments]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=seconds)
    print(result.stdout)
    assert result.returncode == 0, result.stdout + result.stderr


def test_what_a_reader_does_on_a_live_page():
    run_in_browser("live_page.mjs")


def test_every_claim_of_these_lessons_holds_live():
    wanted = ALL if os.environ.get("FCN_LIVE_ALL") == "1" else QUICK
    lessons = json.loads((SITE / "_static/live/config.json").read_text(encoding="utf-8"))["lessons"]
    built = [number for number in wanted if any(stem.startswith(f"lesson_{number}_") for stem in lessons)]
    assert built, "the site has none of these lessons"
    if os.environ.get("FCN_REQUIRE_SITE") == "1":
        assert built == list(wanted), "the site was built with some lessons only"
    run_in_browser("live_lessons.mjs", *built, seconds=3600)

"""The built site, for the tests of it. Without it they are skipped; with FCN_REQUIRE_SITE=1 they fail."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT / "docs" / "builder"))  # for the tests of the builder's own modules


def missing(reason):
    """Skip this test; or fail it, where the site is required."""
    if os.environ.get("FCN_REQUIRE_SITE") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def site():
    """The folder of the built site."""
    if not (ROOT / "site" / "index.html").exists():
        missing("site/ is not built: run `make site`")
    return ROOT / "site"


@pytest.fixture(scope="session")
def in_browser(site):
    """in_browser("check.mjs", *words) runs a script of this folder, which opens the site in Chromium."""
    if not shutil.which("node") or not (ROOT / "build" / "site" / "node_modules" / "playwright-core").exists():
        missing("Node 20 and what `make site` installs for it are needed")
    if not Path(os.environ.get("CHROMIUM", "/usr/bin/chromium")).exists():
        missing("Chromium is not installed; CHROMIUM may name it")

    def run(script, *words, timeout=600):
        command = ["node", str(HERE / script), *map(str, words)]
        return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=timeout)

    return run


@pytest.fixture(scope="session")
def runtime(site):
    """The folder of the browser's Python in the site. It is there if FCN_PYODIDE named one when the site was built."""
    folder = site / "_static" / "pyodide"
    if not folder.is_dir() and os.environ.get("FCN_PYODIDE"):
        pytest.fail("FCN_PYODIDE is set, but the site was built without it: run `make site` again")
    if not folder.is_dir():
        pytest.skip("the site was built without the browser's Python: set FCN_PYODIDE for `make site`")
    return folder

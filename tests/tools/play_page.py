"""What the tests of the interactive figures share: the builder's modules, Node, and a browser on a small page.

The figures need no built site: docs/builder/interactive.py writes a page with all of them.
"""

import functools
import json
import os
import shutil
import subprocess
import sys
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "tests" / "site"
sys.path.insert(0, str(ROOT / "docs" / "builder"))

import interactive  # noqa: E402
import interactive_data  # noqa: E402
import interactive_skips  # noqa: E402

__all__ = [
    "ROOT",
    "interactive",
    "interactive_data",
    "interactive_skips",
    "node",
    "numbers_of",
    "operate",
    "serve",
    "small_skips",
]

MODULES = Path(os.environ.get("FCN_SITE_MODULES", ROOT / "build" / "site"))  # a folder with node_modules
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def missing(what):
    """Skip the test; with FCN_REQUIRE_SITE=1 fail it."""
    (pytest.fail if os.environ.get("FCN_REQUIRE_SITE") == "1" else pytest.skip)(what)


def node(script, *arguments, given, **environment):
    """Run a script in Node with JSON on its standard input. Returns: the JSON that it writes."""
    if not shutil.which("node"):
        missing("there is no Node on this machine")
    done = subprocess.run(
        ["node", str(SCRIPTS / script), *map(str, arguments)],
        input=json.dumps(given),
        capture_output=True,
        encoding="utf-8",
        env={**os.environ, **environment},
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def numbers_of(settings):
    """What the scripts' own arithmetic gives for each setting."""
    return node("play_numbers.mjs", interactive.SCRIPTS, given=settings)


def operate(url, steps, **options):
    """Carry out the steps in a browser. Returns: what the reading steps read. Errors on the page fail the test."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if not browser:
        missing("there is no Chromium on this machine")
    if not (MODULES / "node_modules" / "playwright-core").is_dir():
        missing("playwright-core is not installed: `make site` does it")
    script = {"url": url, "browser": browser, "steps": steps, **options}
    found = node("play_browser.mjs", given=script, SITE_MODULES=str(MODULES))
    assert found["messages"] == []
    return found["readings"]


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def serve(folder):
    """Serve a folder on this machine. Returns: (the server, its address)."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server, f"http://127.0.0.1:{server.server_port}/"


@functools.cache
def small_skips():
    """Networks for the figure of the skips, hardly trained. Returns: (networks, scenes)."""
    nets, val = interactive_skips.train(steps=6, count=16, unseen=6)
    rng = interactive_data.np.random.default_rng(7)
    for net in nets.values():  # so that every score layer matters
        for name in interactive_skips.HEADS:
            if f"{name}.weight" in net.params:
                net.params[f"{name}.weight"][...] += rng.normal(size=net.params[f"{name}.weight"].shape)
    return nets, val

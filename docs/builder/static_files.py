"""Files that a reader's browser is served beside the pages: fonts, formulas' styles, the package, its runtime."""

import os
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import interactive
import interactive_data
from places import NODE, ROOT, STATIC, lesson_stems

FONTS = ("source-serif-4-{}-wght-normal", "source-serif-4-{}-wght-italic", "source-code-pro-{}-wght-normal")
RUNTIME = (".whl", ".js", ".mjs", ".wasm", ".zip", ".json")
PACKAGING = ("setup.cfg", "pyproject.toml", "README.md", "LICENSE")


def copy_static():
    """Fill the folder that Sphinx copies to _static."""
    shutil.rmtree(STATIC, ignore_errors=True)
    _copy(NODE.glob("katex/dist/katex.min.css"), STATIC / "katex")
    _copy(NODE.glob("katex/dist/fonts/*.woff2"), STATIC / "katex" / "fonts")
    for name in FONTS:
        for script in ("latin", "greek"):
            _copy(NODE.glob(f"@fontsource-variable/*/files/{name.format(script)}.woff2"), STATIC / "fonts")
    build_wheels(STATIC / "live")
    on_the_site = [name for lesson, _, name in interactive.PLACES if lesson in lesson_stems()]
    interactive_data.write(STATIC / "play", on_the_site)  # lesson 12's numbers come from networks that are trained


def build_wheels(folder):
    """The package and tqdm as wheels. Setuptools writes beside its sources, so it is given a copy."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as copy:
        for name in PACKAGING:
            shutil.copy2(ROOT / name, copy)
        shutil.copytree(ROOT / "fcn_from_scratch", Path(copy) / "fcn_from_scratch", ignore=_caches)
        wheel = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps"]
        subprocess.run([*wheel, "--wheel-dir", str(folder), copy, f"tqdm=={version('tqdm')}"], check=True)


def copy_runtime(site):
    """The runtime from the folder FCN_PYODIDE, if that is set. Returns: its address as seen from _static/live/."""
    folder = os.environ.get("FCN_PYODIDE")
    if not folder:
        return "https://cdn.jsdelivr.net/pyodide/v0.27.7/full/"
    files = [path for path in Path(folder).iterdir() if path.suffix in RUNTIME]
    if not files:
        sys.exit(f"FCN_PYODIDE names {folder}, which does not hold the runtime Pyodide")
    _copy(files, site / "_static" / "pyodide")
    return "../pyodide/"


def _copy(files, folder):
    folder.mkdir(parents=True, exist_ok=True)
    copied = [shutil.copyfile(path, folder / path.name) for path in files]
    if not copied:
        raise FileNotFoundError(f"nothing to copy into {folder}: remove build/site and build again")


_caches = shutil.ignore_patterns("__pycache__", "*.pyc")

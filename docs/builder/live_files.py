"""What "Run live" fetches from the site itself: wheels, exercises, and config.json, which names them.

    live/config.json             {"pyodide": address of Python's files, "bytes": how much is loaded, "wheels": [...],
                                 "lessons": {stem: {"claims": N or null, "seconds": S or null, "exercises": K}}}
    live/*.whl                   the package, and tqdm, which it imports and Pyodide does not have
    live/exercises/STEM.json     a lesson's exercises: title, stub, solution, and the whole file for the check

An address in config.json is relative to the folder live/.
"""

import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from fcn_from_scratch.checks import InputError
from fcn_from_scratch.lab import exercises

PUBLIC = "https://cdn.jsdelivr.net/pyodide/v0.27.7/full/"
COPY = "../pyodide/"  # relative to live/: the copy of Python that FCN_PYODIDE gives
# Bytes that a browser loads of Pyodide 0.27.7 for NumPy, Pillow and Matplotlib, unpacked. The wheels come on top.
RUNTIME_BYTES = 0
# Seconds from the click to the last claim in headless Chromium, 2 cores, files from localhost (tests/site/live.mjs).
SECONDS = {}


def write(folder, repository, claims, wheels=None, copied=True):
    """Write the folder live/ of the site.

    folder      site/_static/live, made if it is not there
    claims      {stem: number of claims on the recorded page, or None}; these lessons are offered live
    wheels      a folder in which built wheels are kept from one build to the next (default: built anew)
    copied      whether the site has its own copy of Pyodide. Otherwise the public one is used
    """
    folder, repository = Path(folder), Path(repository)
    folder.mkdir(parents=True, exist_ok=True)
    built = _wheels(repository, Path(wheels) if wheels else None)
    for old in folder.glob("*.whl"):
        old.unlink()
    for wheel in built:
        shutil.copy(wheel, folder)
    lessons = {stem: _lesson(folder, repository, stem, number) for stem, number in sorted(claims.items())}
    config = {
        "pyodide": COPY if copied else PUBLIC,
        "bytes": RUNTIME_BYTES + sum(wheel.stat().st_size for wheel in built),
        "wheels": [wheel.name for wheel in built],
        "lessons": lessons,
    }
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")
    return config


def _lesson(folder, repository, stem, claims):
    """A lesson's entry in config.json. Its exercises are written beside it."""
    found = _exercises(repository, int(stem.split("_")[1]))
    path = folder / "exercises" / f"{stem}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps([_described(exercise) for exercise in found]), encoding="utf-8")
    return {"claims": claims, "seconds": SECONDS.get(stem), "exercises": len(found)}


def _exercises(repository, lesson):
    try:
        return exercises.of_lesson(lesson, repository / "lessons" / "exercises")
    except InputError:
        return []


def _described(exercise):
    return {
        "lesson": exercise.lesson,
        "number": exercise.number,
        "name": exercise.name,
        "title": exercise.title,
        "stub": exercise.stub,
        "solution": exercise.solution,
        "text": exercise.path.read_text(encoding="utf-8"),
    }


def _wheels(repository, kept):
    """The wheels of the package and of tqdm. They are built again only when the package has changed."""
    kept = kept or Path(tempfile.mkdtemp(prefix="fcn_wheels_"))
    folder = kept / _hash(repository)
    if not (folder / "done").exists():
        shutil.rmtree(kept, ignore_errors=True)
        _build(repository, folder)
        (folder / "done").touch()
    return sorted(folder.glob("*.whl"))


def _build(repository, folder):
    """Build in a copy, since setuptools would leave its files in the checkout, and pick up old ones from there."""
    with tempfile.TemporaryDirectory(prefix="fcn_wheel_") as copy:
        package = Path(copy) / "fcn_from_scratch"
        shutil.copytree(repository / "fcn_from_scratch", package, ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(repository / name, copy)
        pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps"]
        subprocess.run([*pip, "--wheel-dir", str(folder), copy, "tqdm"], check=True)


def _hash(repository):
    files = [repository / "setup.cfg", *sorted((repository / "fcn_from_scratch").rglob("*"))]
    files = [path for path in files if path.is_file() and path.suffix != ".pyc"]
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:16]

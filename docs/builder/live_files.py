"""What "Run live" fetches from the site itself, beside the wheels: config.json, and the exercises of each lesson.

    live/config.json            {"pyodide": address of the browser's Python, "bytes": how much is loaded,
                                "wheels": [...], "start": seconds until Python is ready,
                                "limit": seconds for the check of an exercise,
                                "lessons": {stem: {"claims": N, "seconds": S or null, "exercises": K}}}
    live/exercises/STEM.json    the exercises of a lesson: what the reader begins with, our solution, and the whole
                                file for the check

Addresses in config.json are relative to the folder live/. browser_seconds.json beside this file has the seconds of
processor time that each lesson takes in Pyodide, as `node tests/wasm/run.mjs record` writes them. A lesson that is
not in it counts as a short one.
"""

import json
from pathlib import Path

from exercise_section import code_of

from fcn_from_scratch.checks import InputError
from fcn_from_scratch.lab import exercises

# What a browser loads of Pyodide 0.27.7 for NumPy, Pillow and Matplotlib, unpacked, if the public CDN sends it.
RUNTIME_BYTES = 25_400_000
LOADED = (".wasm", ".zip", ".whl")  # of a folder with the runtime, beside the list of its packages
UNUSED = ("micropip", "tqdm")  # packages in such a folder that no lesson asks for
MEASURED = Path(__file__).with_name("browser_seconds.json")


def write(folder, pyodide, claims):
    """Write config.json and the exercises into the site's folder _static/live, in which the wheels are already.

    pyodide   the address of the browser's Python
    claims    {stem: how many claims the recorded page shows}, for the lessons that are offered live
    """
    folder = Path(folder)
    wheels = sorted(folder.glob("*.whl"))
    measured = json.loads(MEASURED.read_text(encoding="utf-8")) if MEASURED.exists() else {}
    lessons = {}
    for stem, number in sorted(claims.items()):
        count = _write_exercises(folder / "exercises", stem)
        lessons[stem] = {"claims": number, "seconds": measured.get(stem), "exercises": count}
    config = {
        "pyodide": pyodide,
        "bytes": _runtime_bytes(folder / pyodide) + sum(wheel.stat().st_size for wheel in wheels),
        "wheels": [wheel.name for wheel in wheels],
        "start": measured.get("start"),
        "limit": exercises.TIME_LIMIT,
        "lessons": lessons,
    }
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")


def _runtime_bytes(folder):
    """How much of the runtime a browser loads: from its files, if they are on the site."""
    if not (folder / "pyodide-lock.json").exists():
        return RUNTIME_BYTES
    loaded = [path for path in folder.iterdir() if path.suffix in LOADED and not path.name.startswith(UNUSED)]
    return sum(path.stat().st_size for path in [*loaded, folder / "pyodide-lock.json"])


def _write_exercises(folder, stem):
    """Write the exercises of a lesson. Returns: how many there are."""
    try:
        found = exercises.of_lesson(int(stem.split("_")[1]))
    except InputError:
        found = []
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps([_described(exercise) for exercise in found])
    (folder / f"{stem}.json").write_text(text, encoding="utf-8")
    return len(found)


def _described(exercise):
    return {
        "lesson": exercise.lesson,
        "number": exercise.number,
        "name": exercise.name,
        "title": exercise.title,
        "begin": code_of(exercise.stub) + "\n",
        "solution": code_of(exercise.solution) + "\n",
        "text": exercise.path.read_text(encoding="utf-8"),
    }

"""What "Run live" fetches from the site itself, beside the wheels: config.json, and the exercises of each lesson.

    live/config.json            {"pyodide": address of the browser's Python, "bytes": how much is loaded,
                                "wheels": [...], "limit": seconds for the check of an exercise,
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

# What a browser loads of Pyodide 0.27.7 for NumPy, Pillow and Matplotlib, unpacked. The wheels come on top.
RUNTIME_BYTES = 25_400_000
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
        "bytes": RUNTIME_BYTES + sum(wheel.stat().st_size for wheel in wheels),
        "wheels": [wheel.name for wheel in wheels],
        "limit": exercises.TIME_LIMIT,
        "lessons": lessons,
    }
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")


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

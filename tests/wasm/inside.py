"""What run.mjs calls inside Pyodide: run one lesson, or run tests. This file runs there, not in the ordinary Python."""

import json
import os
import runpy
import sys
import time
from pathlib import Path

PROJECT, FIGURES = Path("/project"), Path("/figures")

sys.dont_write_bytecode = True
sys.path[:0] = [str(PROJECT), "/packages"]
os.environ |= {"MPLBACKEND": "Agg", "FCN_FIGURES": str(FIGURES)}


def run_lesson(words):
    """Run one lesson's script, given by its number. Returns: 0 if every claim holds.

    The last line printed is the result as JSON: the lesson's name and seconds, and the number of its figures.
    """
    [number] = words
    [path] = (PROJECT / "lessons").glob(f"lesson_{number}_*.py")
    FIGURES.mkdir(exist_ok=True)
    os.chdir(PROJECT)
    start = time.perf_counter()
    try:
        runpy.run_path(str(path), run_name="__main__")
    except SystemExit as end:
        if end.code:
            raise
    seconds = time.perf_counter() - start
    figures = len(list(FIGURES.glob("*.png")))
    print(json.dumps({"lesson": path.stem, "seconds": round(seconds, 1), "figures": figures}))
    return 0


def run_tests(words):
    """Run pytest on paths in tests/, and print which tests are left out and why. Returns: pytest's exit status."""
    import pytest

    sys.path[:0] = [str(PROJECT / "tests/wasm"), str(PROJECT / "tests/wasm/stand_in")]
    import left_out

    os.environ["CI"] = "true"
    os.chdir(PROJECT)
    first_option = next((k for k, word in enumerate(words) if word.startswith("-")), len(words))
    paths = [f"tests/{word}" for word in words[:first_option]]
    options = ["-p", "no:cacheprovider", "--capture=sys", "--color=no", "-q", "-rfE", *words[first_option:]]
    return int(pytest.main([*options, *paths], plugins=[left_out]))

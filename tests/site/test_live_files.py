"""What the build writes for "Run live": the exercises and config.json. No browser is needed."""

import importlib.util
import json
import os
from pathlib import Path

import pytest

from fcn_from_scratch.lab import exercises

ROOT = Path(__file__).resolve().parents[2]
STEM = "lesson_07_shift_and_stitch"
RUNTIME = Path(os.environ.get("FCN_PYODIDE") or ROOT.parent / "shared" / "pyodide")


@pytest.fixture(scope="module")
def live_files():
    spec = importlib.util.spec_from_file_location("live_files", ROOT / "docs/builder/live_files.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def written(live_files, tmp_path):
    (tmp_path / "fcn_from_scratch-0.1.0-py3-none-any.whl").write_bytes(b"123456")
    live_files.write(tmp_path, "../pyodide/", {STEM: 29})
    return tmp_path


def test_config_names_what_the_page_has_to_fetch(live_files, written):
    config = json.loads((written / "config.json").read_text(encoding="utf-8"))
    assert config["pyodide"] == "../pyodide/"
    assert config["wheels"] == ["fcn_from_scratch-0.1.0-py3-none-any.whl"]
    assert config["bytes"] == live_files.RUNTIME_BYTES + 6
    assert config["limit"] == exercises.TIME_LIMIT
    assert list(config["lessons"]) == [STEM]
    assert config["lessons"][STEM]["claims"] == 29
    assert config["lessons"][STEM]["exercises"] == 3


def test_the_size_is_that_of_the_runtimes_files_if_they_are_on_the_site(live_files, tmp_path):
    live, runtime = tmp_path / "live", tmp_path / "pyodide"
    live.mkdir()
    runtime.mkdir()
    (live / "fcn_from_scratch-0.1.0-py3-none-any.whl").write_bytes(b"1" * 5)
    for name, size in (("pyodide-lock.json", 70), ("a.wasm", 100), ("b.zip", 30), ("numpy-2.whl", 200)):
        (runtime / name).write_bytes(b"1" * size)
    for name in ("micropip-0.9.whl", "pyodide.mjs", "pyodide-lock.official.json"):
        (runtime / name).write_bytes(b"1" * 1000)  # not loaded
    live_files.write(live, "../pyodide/", {STEM: 29})
    assert json.loads((live / "config.json").read_text(encoding="utf-8"))["bytes"] == 5 + 70 + 100 + 30 + 200


def test_the_exercises_of_the_page_can_be_checked_by_what_is_written(written):
    found = json.loads((written / "exercises" / f"{STEM}.json").read_text(encoding="utf-8"))
    assert [exercise["name"] for exercise in found] == ["7.1", "7.2", "7.3"]
    for exercise in found:
        arguments = exercise["lesson"], exercise["number"], exercise["text"]
        assert exercises.check_text(*arguments, exercise["solution"]) == ""
        assert "still the stub" in exercises.check_text(*arguments, exercise["begin"])
        assert '"""Exercise' not in exercise["begin"]


def test_a_measured_lesson_has_its_seconds_and_another_has_none(live_files, written, tmp_path, monkeypatch):
    table = tmp_path / "seconds.json"
    table.write_text(json.dumps({STEM: 23}), encoding="utf-8")
    monkeypatch.setattr(live_files, "MEASURED", table)
    live_files.write(written, "../pyodide/", {STEM: 29, "lesson_08_rarefaction": 44})
    lessons = json.loads((written / "config.json").read_text(encoding="utf-8"))["lessons"]
    assert {stem: lesson["seconds"] for stem, lesson in lessons.items()} == {STEM: 23, "lesson_08_rarefaction": None}


@pytest.mark.skipif(not RUNTIME.is_dir(), reason="FCN_PYODIDE names no folder with the browser's Python")
def test_the_named_size_of_the_runtime_is_that_of_its_files(live_files):
    """Within 2 %: the public list of packages is 0.1 MB longer than the one in that folder."""
    loaded = [*RUNTIME.glob("*.wasm"), *RUNTIME.glob("*.zip"), RUNTIME / "pyodide-lock.json"]
    loaded += [wheel for wheel in RUNTIME.glob("*.whl") if not wheel.name.startswith(("micropip", "tqdm"))]
    assert sum(path.stat().st_size for path in loaded) == pytest.approx(live_files.RUNTIME_BYTES, rel=0.02)

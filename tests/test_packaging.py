"""What an installed package carries: the lessons, their exercises and the drawn sample. An sdist carries the tests too.

Both are built in a copy of the checkout, as setuptools writes beside its sources.
"""

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from fcn_from_scratch import course, resources
from fcn_from_scratch.cli import main

ROOT = Path(__file__).resolve().parent.parent
MADE = shutil.ignore_patterns(
    ".git", ".venv", ".hypothesis", "node_modules", "__pycache__", "figures", "*.egg-info", ".*_cache"
)


def skipped(folder, names):
    """What a copy of the checkout leaves out: what was made there. There is also a folder tests/site."""
    return MADE(folder, names) | ({"build", "site", "runs"} & {*names} if Path(folder) == ROOT else set())


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A function that builds by one of setuptools' hooks; returns the file."""
    setuptools = pytest.importorskip("setuptools", reason="setuptools is not installed here")
    if int(setuptools.__version__.split(".")[0]) < 71:
        pytest.skip("building a wheel needs the package wheel with this setuptools")
    copy = tmp_path_factory.mktemp("copy") / "checkout"
    shutil.copytree(ROOT, copy, ignore=skipped)

    def build(hook, folder=copy):
        out = tmp_path_factory.mktemp(hook)
        code = f"from setuptools import build_meta; build_meta.{hook}({str(out)!r})"
        subprocess.run([sys.executable, "-W", "ignore", "-c", code], cwd=folder, check=True, capture_output=True)
        return next(out.iterdir())

    return build


@pytest.fixture(scope="module")
def installed(built, tmp_path_factory):
    """A folder that holds what the wheel installs."""
    folder = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(built("build_wheel")) as wheel:
        wheel.extractall(folder)
    return folder


def fcn(installed, folder, *words):
    """Run a command of the installed package. Returns: the finished process."""
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    return subprocess.run(
        [sys.executable, "-m", "fcn_from_scratch", *words], cwd=folder, env=environment, capture_output=True, text=True
    )


@pytest.mark.slow
class TestWheel:
    def test_it_carries_the_course_and_the_sample(self, installed):
        inside = installed / "fcn_from_scratch" / "course_files"
        for pattern in ("lessons/*.py", "lessons/exercises/*.py", "data/sample/**/*.*"):
            ours = {path.relative_to(ROOT): path.read_bytes() for path in ROOT.glob(pattern)}
            theirs = {path.relative_to(inside): path.read_bytes() for path in inside.glob(pattern)}
            assert theirs == ours
            assert len(ours) > 10
        record = next(installed.glob("*.dist-info/RECORD")).read_text()
        assert "fcn_from_scratch/course_files/lessons/lesson_01_metrics.py,sha256=" in record

    def test_the_course_works_in_an_empty_folder(self, installed, tmp_path):
        listed = fcn(installed, tmp_path, "lessons", "list")
        assert listed.returncode == 0, listed.stderr
        assert len(listed.stdout.splitlines()) == len(course.lessons()) + 2
        ran = fcn(installed, tmp_path, "lessons", "metrics")
        assert ran.returncode == 0, ran.stderr
        assert [path.name for path in tmp_path.iterdir()] == ["figures"]
        solution = fcn(installed, tmp_path, "exercise", "8", "1", "--solution")
        assert solution.returncode == 0, solution.stderr
        assert "def " in solution.stdout
        data = fcn(installed, tmp_path, "data", "voc", "--root", "sample", "--split", "train")
        assert data.returncode == 0, data.stderr
        assert "train: 8 pictures" in data.stdout

    def test_without_the_course_it_is_the_site_that_builds_it(self, built, tmp_path):
        """docs/builder copies these files alone: the browser's wheel stays small."""
        for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
            shutil.copy2(ROOT / name, tmp_path)
        shutil.copytree(ROOT / "fcn_from_scratch", tmp_path / "fcn_from_scratch", ignore=skipped)
        with zipfile.ZipFile(built("build_wheel", tmp_path)) as wheel:
            assert not [name for name in wheel.namelist() if "lesson_" in name or "sample/" in name]


@pytest.mark.slow
def test_an_sdist_carries_what_its_tests_need(built):
    with tarfile.open(built("build_sdist")) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    wanted = [*ROOT.glob("tests/**/*.py"), *ROOT.glob("lessons/**/*.py"), *ROOT.glob("docs/*.md")]
    wanted += [*ROOT.glob("data/sample/**/*.*"), *ROOT.glob("fcn_from_scratch/kernels/*.*")]
    wanted += [ROOT / name for name in ("setup.py", "MANIFEST.in", "Makefile", "ARCHITECTURE.md", "data/README.md")]
    wanted = {path.relative_to(ROOT).as_posix() for path in wanted if not set(path.parts) & {"figures", "__pycache__"}}
    assert wanted - names == set()
    assert not [name for name in names if "__pycache__" in name or "/figures/" in name]


# --- copies of lessons ------------------------------------------------------------------------------------------


def test_lessons_are_copied_and_an_edited_one_stays(tmp_path, capsys):
    mine = tmp_path / "new" / "mine"
    assert main(["lessons", "1", "skips", "--copy", str(mine)]) == 0
    copied = {path.name: path.read_bytes() for path in mine.iterdir()}
    assert copied == {name: (resources.LESSONS / name).read_bytes() for name in copied}
    assert sorted(copied) == ["lesson_01_metrics.py", "lesson_12_skips.py"]
    edited = mine / "lesson_01_metrics.py"
    edited.write_text("# my own notes\n")
    capsys.readouterr()
    assert main(["lessons", "1", "2", "12", "--copy", str(mine)]) == 0
    out = capsys.readouterr().out
    assert f"kept   {edited}: it differs from ours" in out
    assert f"wrote  {mine / 'lesson_02_convolution.py'}" in out
    assert f"kept   {mine / 'lesson_12_skips.py'}\n" in out
    assert "files that differ from ours: 1." in out
    assert edited.read_text() == "# my own notes\n"


def test_all_are_copied(tmp_path):
    assert main(["lessons", "--copy", str(tmp_path)]) == 0
    assert len(list(tmp_path.iterdir())) == len(course.lessons())


def test_a_link_is_not_written_through(tmp_path):
    (tmp_path / "lesson_01_metrics.py").symlink_to(tmp_path / "elsewhere.py")
    assert main(["lessons", "1", "--copy", str(tmp_path)]) == 0
    assert not (tmp_path / "elsewhere.py").exists()


def test_a_file_is_no_folder(tmp_path, capsys):
    (tmp_path / "file").touch()
    assert main(["lessons", "1", "--copy", str(tmp_path / "file")]) == 2
    assert "this is a file; pass a folder" in capsys.readouterr().err


def test_a_readers_copy_is_the_one_that_runs(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lesson_01_metrics.py").write_text('"""\n# Lesson 1: Mine?\n"""\nprint("my copy runs")\n')
    assert main(["lessons", "./lesson_01_metrics.py"]) == 0
    assert "my copy runs" in capfd.readouterr().out


def test_nobody_trains_on_the_sample_unawares(tmp_path, monkeypatch, capsys):
    """In one sentence, with what to type."""
    monkeypatch.chdir(tmp_path)
    assert main(["train", "--dataset", "voc"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "dataset voc needs a root" in error
    assert "--root sample reads the twelve drawn pictures" in error


def test_the_word_sample_is_the_drawn_one(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["data", "voc", "--root", "sample", "--split", "val"]) == 0
    assert "val: 4 pictures" in capsys.readouterr().out
    (tmp_path / "sample").mkdir()  # a folder of this name comes first
    assert main(["data", "voc", "--root", "sample", "--split", "val"]) == 2
    assert "no folder sample/SegmentationClass" in capsys.readouterr().err

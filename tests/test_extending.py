"""docs/extending.md: what it quotes stands in the package, and what it adds works in a copy of the package."""

import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "fcn_from_scratch"
PAGE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def blocks(kind, begins=""):
    """(what stands behind `begins` in the first line, the other lines) of each block."""
    for language, text in BLOCKS:
        first, _, rest = text.partition("\n")
        if language == kind and first.startswith(begins):
            yield first.removeprefix(begins), rest


QUOTES = [(name, text) for name, text in blocks("python", "# ") if name.endswith(".py") and "new file" not in name]


@pytest.mark.parametrize(("name", "text"), QUOTES, ids=[name for name, _ in QUOTES])
def test_quotes_are_true(name, text):
    assert text in (PACKAGE / name).read_text(encoding="utf-8")


def test_there_are_quotes():
    assert len(QUOTES) == 4


def test_the_op_is_checked_and_measured():
    """The block that nobody has named a file for."""
    (code,) = (text for language, text in BLOCKS if language == "python" and text.startswith("import numpy"))
    exec(compile(code, "docs/extending.md", "exec"), {})


@pytest.fixture
def changed(tmp_path):
    """A copy of the package with the new files and the changes of the page."""
    copy = tmp_path / "copy" / "fcn_from_scratch"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    touched = set()
    for name, text in blocks("python", "# new file: "):
        assert not (copy / name).exists()
        (copy / name).write_text(text, encoding="utf-8")
        touched.add(name)
    for name, hunk in blocks("diff", "--- "):
        before = "".join(line[1:] + "\n" for line in hunk.splitlines() if line[0] == " ")
        after = "".join(line[1:] + "\n" for line in hunk.splitlines())
        source = (copy / name).read_text(encoding="utf-8")
        assert source.count(before) == 1, f"{name} does not hold the lines around the change once"
        (copy / name).write_text(source.replace(before, after), encoding="utf-8")
        touched.add(name)
    assert touched == {"datasets/fields.py", "datasets/__init__.py", "models/__init__.py"}, "as the table says"
    return copy.parent


def run(folder, *words):
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    return subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, env=environment, cwd=folder, encoding="utf-8"
    )


def test_dataset_and_model(changed, tmp_path, rng):
    root = tmp_path / "farm"
    for split, count in (("train", 3), ("val", 1)):
        (root / split).mkdir(parents=True)
        for number in range(count):
            image = rng.integers(0, 256, (48, 64, 3), dtype=np.uint8)
            mask = np.array([0, 128, 255], np.uint8)[rng.integers(0, 3, (48, 64))]
            Image.fromarray(image).save(root / split / f"{number}_rgb.png")
            Image.fromarray(mask).save(root / split / f"{number}_mask.png")
    (code,) = (text for name, text in blocks("python", "# after the changes"))
    ended = run(changed, "-c", code, str(root))
    assert ended.returncode == 0, ended.stderr
    command = textwrap.dedent(
        f"""
        import sys
        from fcn_from_scratch.cli import main
        words = "train --model mini_fcn8s_deep --width 4 --dataset fields --steps 2 --batch-size 2 --out out"
        sys.exit(main([*words.split(), "--root", {str(root)!r}]))
        """
    )
    ended = run(changed, "-c", command)
    assert ended.returncode == 0, ended.stderr
    assert "ground" in ended.stdout
    for words, said in {
        (): "Two classes, ground and plants",
        ("fields",): "fields: Two classes, ground and plants",
        ("fields", "--root", str(root)): "train: 3 pictures",
    }.items():
        ended = run(changed, "-m", "fcn_from_scratch", "data", *words)
        assert ended.returncode == 0, ended.stderr
        assert said in ended.stdout
    Image.fromarray(np.full((48, 64), 7, np.uint8)).save(root / "train" / "0_mask.png")
    ended = run(changed, "-c", command.replace("--out out", "--out other"))
    assert ended.returncode == 2
    assert "0_mask.png holds the id 7; the ids are 0, 128, 255" in ended.stderr

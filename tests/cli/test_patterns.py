"""Wildcards that the shell has left to us."""

import os

import pytest
from cli_runs import noise
from PIL import Image

from fcn_from_scratch.checks import InputError
from fcn_from_scratch.cli.patterns import files_matching


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with some files, as the working folder."""
    monkeypatch.chdir(tmp_path)
    for name in ("a.png", "b.png", "c.jpg", "deep/er/d.png", "[1].png", "what?.png"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "folder.png").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["?.png"], ["a.png", "b.png"]),
        (["[ab].png", "c.*"], ["a.png", "b.png", "c.jpg"]),
        (["deep/*/*.png"], ["deep/er/d.png"]),
        (["**/d.png"], ["deep/er/d.png"]),
        (["b.png", "a.png"], ["b.png", "a.png"]),
        (["[1].png", "what?.png"], ["[1].png", "what?.png"]),  # files of these names
        (["gone.png"], ["gone.png"]),  # whoever opens it complains
        (["f*.png", "a.png"], None),  # a folder only
        (["*.gif"], None),
        (["gone/*.png"], None),
    ],
)
def test_what_a_pattern_stands_for(here, words, found):
    words = [word.replace("/", os.sep) for word in words]
    if found is None:
        with pytest.raises(InputError, match="no file matches"):
            files_matching(words)
    else:
        assert files_matching(words) == [name.replace("/", os.sep) for name in found]


def test_segment_expands_it(done, mistake, varied, tmp_path):
    for number in range(3):
        Image.fromarray(noise(40, 48, number)).save(tmp_path / f"p{number}.png")
    words = ("--weights", varied.path, "--model", "mini_fcn8s", "--out", tmp_path / "out")
    done("segment", tmp_path / "p*.png", *words)
    written = sorted(path.name for path in (tmp_path / "out").glob("*_labels.png"))
    assert written == ["p0_labels.png", "p1_labels.png", "p2_labels.png"]
    line = mistake("segment", tmp_path / "q*.png", *words)
    assert line == f"fcn: no file matches {tmp_path / 'q*.png'}: check the folder and the file ending\n"

"""What all commands share: --help, and how an ending is reported."""

import os
import subprocess
import sys

import pytest
from cli_runs import TINY, noise
from PIL import Image

from fcn_from_scratch.checks import InputError
from fcn_from_scratch.cli import COMMANDS, segment


class TestHelp:
    @pytest.mark.parametrize("command", COMMANDS)
    def test_each_command_shows_an_example(self, done, command):
        out = done(command, "--help")
        assert f"usage: fcn {command}" in out
        assert f"fcn {command}" in out.split("example")[1]

    def test_all_of_them(self, done):
        out = done("--help")
        assert all(command in out for command in COMMANDS)

    @pytest.mark.parametrize(
        "words", [[], ["trian"], ["train", "--steps", "0"], ["evaluate"], ["train", "--size", "a"]]
    )
    def test_words_that_do_not_parse(self, fcn, words):
        status, out, err = fcn(*words)
        assert (status, out) == (2, "")
        assert len(err.splitlines()) == 1
        assert err.startswith("fcn: ")
        assert "Traceback" not in err


class TestStatus:
    @pytest.mark.parametrize(
        ("error", "status", "line"),
        [
            (InputError("the file\nis odd"), 2, "fcn: the file is odd\n"),
            (MemoryError("Unable to allocate 9 GiB"), 1, "fcn: not enough memory: Unable to allocate 9 GiB. Use sm"),
            (KeyboardInterrupt(), 130, "fcn: interrupted\n"),
            (PermissionError(13, "Permission denied", "/a/b.npz"), 2, "fcn: /a/b.npz: Permission denied\n"),
        ],
    )
    def test_of_an_ending(self, fcn, monkeypatch, error, status, line):
        def fail(args):
            raise error

        monkeypatch.setattr(segment, "run", fail)
        ended, _, err = fcn("segment", "photo.png", "--weights", "w.npz")
        assert ended == status
        assert err.startswith(line)
        assert err.count("\n") == 1

    def python(self, *words, **options):
        return subprocess.run(
            [sys.executable, *map(str, words)], capture_output=True, text=True, timeout=120, **options
        )

    def test_in_a_process_of_its_own(self, trained, tmp_path):
        end = self.python("-m", "fcn_from_scratch", "segment", tmp_path / "gone.jpg", "--weights", trained.checkpoint)
        assert (end.returncode, end.stdout) == (2, "")
        assert end.stderr == f"fcn: there is no file {tmp_path / 'gone.jpg'}\n"

    def test_a_good_end_in_a_process_of_its_own(self, trained, tmp_path):
        Image.fromarray(noise(20, 16)).save(tmp_path / "photo.png")
        end = self.python(
            *("-m", "fcn_from_scratch", "segment", "photo.png", "--weights", trained.checkpoint), cwd=tmp_path
        )
        assert (end.returncode, end.stderr) == (0, "")
        assert (tmp_path / "segmented" / "photo_labels.png").is_file()

    def test_what_nobody_expected_is_status_1(self):
        code = """
import sys
from fcn_from_scratch.cli import main, segment

def run(args):
    raise ZeroDivisionError("a defect")

segment.run = run
sys.exit(main(["segment", "photo.png", "--weights", "w.npz"]))
"""
        end = self.python("-c", code)
        assert end.returncode == 1
        assert "ZeroDivisionError: a defect" in end.stderr

    @pytest.mark.skipif(os.name != "posix", reason="limits are POSIX's")
    def test_a_full_disk_is_status_1(self, tmp_path):
        """A limit on the size of files has the effect of a full disk."""
        code = f"""
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
from fcn_from_scratch.cli import main
sys.exit(main({["train", *TINY, "--steps", "1", "--out", str(tmp_path / "r")]!r}))
"""
        end = self.python("-c", code)
        assert end.returncode == 1
        assert "File too large" in end.stderr
        assert f"{tmp_path / 'r'}: File too large" in end.stderr, "it is tried before the training"
        assert list((tmp_path / "r").iterdir()) == []

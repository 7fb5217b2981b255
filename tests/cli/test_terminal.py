"""Names that would control a terminal, and names that are not UTF-8."""

import os
import sys

import pytest
from cli_runs import noise, write_folder
from PIL import Image

from fcn_from_scratch.cli import main, memory_check, segment
from fcn_from_scratch.cli.terminal import printable_output
from fcn_from_scratch.lab import memory

ODD = ("a\x1b[2Jb", "a\x9b31mb", "a\u202eb", os.fsdecode(b"caf\xe9"))


@pytest.mark.parametrize("name", ODD, ids=ascii)
class TestNames:
    def test_what_is_printed(self, name, capsys):
        with printable_output():
            print(f"{name}\tä\n")
        out = capsys.readouterr().out
        assert all(letter.isprintable() or letter in "\n\t" for letter in out)
        assert out.endswith("\tä\n\n")

    def test_errors_and_results(self, name, fcn, varied, tmp_path):
        status, out, err = fcn("segment", tmp_path / f"{name}.png", "--weights", varied.path, "--model", "mini_fcn8s")
        assert status == 2
        assert (out + err).replace("\n", "").isprintable()
        Image.fromarray(noise(20, 30, seed=1)).save(tmp_path / f"{name}.png")
        options = ("--weights", varied.path, "--model", "mini_fcn8s", "--out", tmp_path / "out")
        status, out, err = fcn("segment", tmp_path / f"{name}.png", *options)
        assert status == 0, err
        assert (out + err).replace("\n", "").isprintable()
        assert (tmp_path / "out" / f"{name}_labels.png").is_file()

    def test_words_that_are_no_options(self, name, fcn):
        status, _, err = fcn("published", f"--{name}")
        assert status == 2
        assert err.replace("\n", "").isprintable()


LINES = ("a\nwrote nothing", "a\tb", "a\rb", "a\x0bb", "a\x85b", "a\u2028b", "a\nb\x1b[2J")


@pytest.mark.skipif(os.name != "posix", reason="such names exist on Unix only")
@pytest.mark.parametrize("name", LINES, ids=ascii)
class TestNamesOfSeveralLines:
    """A name cannot forge a line of the output."""

    def test_segment(self, name, fcn, varied, tmp_path):
        Image.fromarray(noise(20, 30, seed=1)).save(tmp_path / "good.png")
        Image.fromarray(noise(20, 30, seed=1)).save(tmp_path / f"{name}.png")
        (tmp_path / f"bad{name}.png").write_bytes(b"no picture")
        photos = [tmp_path / f"{stem}.png" for stem in ("good", name, f"bad{name}")]
        options = ("--weights", varied.path, "--model", "mini_fcn8s", "--out", tmp_path / f"out{name}")
        status, out, err = fcn("segment", *photos, *options)
        assert status == 1
        self.require_no_forged_line(name, out + err)
        assert err.count("\n") == 1

    def test_train_evaluate_and_convert(self, name, fcn, tmp_path):
        root = write_folder(tmp_path / name, [(33, 40), (20, 50)], ids=3)
        run, words = tmp_path / f"run{name}", ["--dataset", "folder", "--root", root]
        (root / "images" / f"{name}.png").write_bytes(b"none")
        (root / "labels" / f"{name}.png").write_bytes(b"none")
        small = ["--width", 2, "--steps", 1, "--batch-size", 1, "--num-classes", 3]
        _, out, err = fcn("train", *words, *small, "--out", run)
        self.require_no_forged_line(name, out + err)
        _, out, err = fcn("evaluate", "--weights", run / "checkpoint.npz", "--out", run, "--save-dir", run / "ids")
        self.require_no_forged_line(name, out + err)
        for line in (
            ("data", "folder", "--root", root),
            ("weights", "convert", run / "checkpoint.npz", run / "w.npz"),
            ("weights", "inspect", run / "w.npz"),
            ("weights", "verify", run / "checkpoint.npz"),
            ("export", run / "checkpoint.npz", run / "w.pth"),
            ("train", *words, *small, "--weights", run / "w.pth", "--out", run / "two"),
            ("doctor", "--weights", run / "checkpoint.npz"),
        ):
            _, out, err = fcn(*line)
            self.require_no_forged_line(name, out + err)

    def require_no_forged_line(self, name, text):
        assert "\x1b" not in text
        for part in ("\nwrote nothing", "a\tb", "a\rb", "a\nb"):
            assert part not in text


def test_stdout_is_what_it_was(capsys):
    before = sys.stdout
    main(["published"])
    assert sys.stdout is before


class TestMemory:
    def test_a_picture_too_large_is_refused_before_the_forward(self, fcn, varied, tmp_path, monkeypatch):
        """The side that the message gives is one with which the command works."""
        Image.fromarray(noise(300, 400, seed=1)).save(tmp_path / "photo.png")
        room = memory_check.needed(varied.model, (200, 267))[0]
        monkeypatch.setattr(memory, "room", lambda: room)
        command = ("segment", tmp_path / "photo.png", "--weights", varied.path, "--model", "mini_fcn8s", "--out")
        monkeypatch.setattr(segment, "segment", None)
        status, _, err = fcn(*command, tmp_path / "out")
        assert status == 2
        assert "photo.png is 300x400 pixels" in err
        side = int(err.split("--max-size ")[1].split()[0])
        assert 200 <= side < 400
        monkeypatch.undo()
        monkeypatch.setattr(memory, "room", lambda: room)
        assert fcn(*command, tmp_path / "out", "--max-size", side)[0] == 0
        with Image.open(tmp_path / "out" / "photo_labels.png") as picture:
            assert max(picture.size) == side

    def test_evaluate(self, fcn, trained, monkeypatch):
        monkeypatch.setattr(memory, "room", lambda: 1 << 20)
        status, _, err = fcn("evaluate", "--weights", trained.checkpoint)
        assert status == 2
        assert "make the pictures smaller" in err

    def test_a_system_that_does_not_tell(self, varied, monkeypatch):
        monkeypatch.setattr(memory, "room", lambda: None)
        memory_check.require_memory(varied.model, (9000, 9000), "photo.png")

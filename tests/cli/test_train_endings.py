"""`fcn train`, `segment`, `evaluate` on a bad day: signals, broken pictures, full disks, closed pipes, two writers."""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from cli_runs import TINY, arrays_of, log_of, noise
from PIL import Image

from fcn_from_scratch import files
from fcn_from_scratch.cli import signals
from fcn_from_scratch.training.loop import Trainer

posix = pytest.mark.skipif(os.name != "posix", reason="signals and pipes of POSIX")
ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-m", "fcn_from_scratch"]


def at_step(monkeypatch, number, action):
    """Call `action` while the step after `number` steps is computed."""
    real = Trainer.over_batches

    def over_batches(self, gradients):
        if self.steps == number:
            action()
        return real(self, gradients)

    monkeypatch.setattr(Trainer, "over_batches", over_batches)


def same_run(one, other):
    np.testing.assert_equal(arrays_of(one / "checkpoint.npz"), arrays_of(other / "checkpoint.npz"))
    assert log_of(one) == log_of(other)
    assert (one / "best.npz").read_bytes() == (other / "best.npz").read_bytes()


class TestSignals:
    @pytest.fixture(autouse=True)
    def _heard(self):
        """A shell lets its background jobs ignore SIGINT; there these tests would wait in vain."""
        before = [(number, signal.getsignal(number)) for number in signals.NUMBERS]
        for number in signals.NUMBERS:
            signal.signal(number, signal.SIG_DFL)
        yield
        for number, handler in before:
            signal.signal(number, handler)

    @posix
    @pytest.mark.parametrize(("name", "status"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
    def test_saved_and_resumed(self, fcn, done, trained, tmp_path, monkeypatch, name, status):
        words = ["train", *TINY, "--dropout", 0.3, "--steps", 5, "--seed", 3]
        with monkeypatch.context() as patch:
            at_step(patch, 3, lambda: os.kill(os.getpid(), getattr(signal, name)))
            ended, _, err = fcn(*words, "--out", tmp_path / "r")
        assert ended == status
        told = f"step 3 is saved: `fcn train --resume --out {tmp_path / 'r'}` goes on there"
        assert err == f"fcn: stopped by {name}; {told}\n"
        done("train", "--resume", "--out", tmp_path / "r")
        same_run(tmp_path / "r", trained.folder)

    @posix
    def test_while_it_is_scored(self, fcn, done, tmp_path, monkeypatch):
        """The step is saved without its score; the resumed run scores it first, and ends as a whole run does."""
        words = ["train", *TINY, "--dropout", 0.3, "--steps", 4, "--val-every", 2, "--schedule", "fixed"]
        done(*words, "--out", tmp_path / "whole")
        with monkeypatch.context() as patch:
            from fcn_from_scratch.training import record

            real, seen = record.Record._scores, []

            def scores(self):
                os.kill(os.getpid(), signal.SIGTERM) if not seen else None
                seen.append(self)
                return real(self)

            patch.setattr(record.Record, "_scores", scores)
            status, _, err = fcn(*words, "--out", tmp_path / "r")
        assert (status, "step 2 is saved" in err) == (143, True)
        done("train", "--resume", "--out", tmp_path / "r")
        same_run(tmp_path / "r", tmp_path / "whole")

    @posix
    def test_a_second_signal_ends_at_once(self):
        with signals.handled(), signals.patient():
            os.kill(os.getpid(), signal.SIGTERM)
            assert signals.pending().number == signal.SIGTERM
            with pytest.raises(signals.StoppedError):
                signal.raise_signal(signal.SIGTERM)

    @posix
    def test_what_nohup_ignores_stays_ignored(self):
        before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
        try:
            with signals.handled():
                os.kill(os.getpid(), signal.SIGHUP)
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        finally:
            signal.signal(signal.SIGHUP, before)

    @posix
    @pytest.mark.parametrize(("name", "status"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
    def test_while_the_libraries_are_loaded(self, tmp_path, name, status):
        """Here NumPy is a file that sends the signal, and catches every exception, as libraries do."""
        (tmp_path / "numpy.py").write_text(
            f"import os, signal, time\ntry:\n    os.kill(os.getpid(), signal.{name})\n    time.sleep(60)\n"
            "except BaseException:\n    pass\n"
        )
        environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
        done = subprocess.run([*COMMAND, "train"], env=environment, capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stdout, done.stderr) == (status, "", f"fcn: stopped by {name}\n")

    def test_the_handlers_are_put_back(self):
        before = [signal.getsignal(number) for number in signals.NUMBERS]
        with signals.handled():
            pass
        assert [signal.getsignal(number) for number in signals.NUMBERS] == before


class TestDivergence:
    def test_the_message_works_when_followed(self, fcn, done, tmp_path, monkeypatch):
        words = ["train", *TINY, "--steps", 8, "--schedule", "fixed", "--save-seconds", 0, "--out", tmp_path / "r"]
        done(*words[:-4], "--lr", 0.01, "--steps", 3, "--out", tmp_path / "r")
        kept = (tmp_path / "r/checkpoint.npz").read_bytes()
        words = ["train", "--resume", "--steps", 8, "--save-seconds", 0, "--out", tmp_path / "r"]
        status, _, err = fcn(*words, "--lr", 1e4)
        assert status == 2
        follow = re.search(r"of step 3, is kept: `fcn (train --resume --out \S+ --lr 1e\+03)` goes on there", err)
        assert follow, err
        assert (tmp_path / "r/checkpoint.npz").read_bytes() == kept
        shutil.copytree(tmp_path / "r", tmp_path / "again")
        done(*words, "--lr", 0.001)
        assert float(log_of(tmp_path / "r")[-1][1]) < 2
        asked = follow[1].replace(str(tmp_path / "r"), str(tmp_path / "again")).split()
        assert "--lr is 1000.0; it was 0.01" in fcn(*asked, "--steps", 3)[1], "the line is a command that works"

    def test_a_run_that_diverged_at_once(self, mistake, tmp_path):
        line = mistake("train", *TINY, "--steps", 1, "--lr", 1e30, "--schedule", "fixed", "--out", tmp_path / "r")
        assert "are not finite" in line
        assert "start again with --lr 1e+29" in line
        assert not (tmp_path / "r/checkpoint.npz").exists()

    @pytest.mark.parametrize("command", ["evaluate", "segment", "train"])
    def test_weights_that_are_not_finite(self, mistake, varied, tmp_path, command):
        params = {name: array.copy() for name, array in varied.model.params.items()}
        params["fc7.weight"][3] = np.nan
        np.savez(tmp_path / "w.npz", **params)
        Image.fromarray(noise(16, 16)).save(tmp_path / "p.png")
        words = {
            "evaluate": ["--model", "mini_fcn8s", "--count", 1],
            "segment": [tmp_path / "p.png", "--model", "mini_fcn8s", "--out", tmp_path / "o"],
            "train": ["--width", 16, "--count", 2, "--steps", 1, "--out", tmp_path / "o"],
        }
        line = mistake(command, *words[command], "--weights", tmp_path / "w.npz")
        assert f"{tmp_path / 'w.npz'} holds weights that are not finite: fc7.weight (" in line

    def test_inspect_and_verify(self, fcn, varied, tmp_path):
        params = {name: array.copy() for name, array in varied.model.params.items()}
        params["fc7.bias"][1] = np.inf
        np.savez(tmp_path / "w.npz", **params)
        told = f"fc7.bias (1 of {params['fc7.bias'].size} numbers)"
        assert f"not finite: {told}" in fcn("weights", "inspect", tmp_path / "w.npz")[1]
        status, _, err = fcn("weights", "verify", tmp_path / "w.npz")
        assert (status, told in err) == (1, True)


class TestVerify:
    def test_a_checkpoint(self, done, trained):
        out = done("weights", "verify", trained.checkpoint)
        assert "step 5 of mini_fcn8s" in out
        assert "SHA-256, fits its content" in out

    def test_one_of_an_older_version(self, done, trained, tmp_path):
        with np.load(trained.checkpoint) as archive:
            np.savez(tmp_path / "old.npz", **{n: archive[n] for n in archive.files if n != "digest"})
        assert "it records no digest" in done("weights", "verify", tmp_path / "old.npz")

    def test_a_changed_one(self, mistake, trained, tmp_path):
        with np.load(trained.checkpoint) as archive:
            arrays = {name: archive[name] for name in archive.files}
        arrays["model/fc6.bias"][0] += 1
        np.savez(tmp_path / "c.npz", **arrays)
        assert "its digest does not fit its content" in mistake("weights", "verify", tmp_path / "c.npz")
        (tmp_path / "r").mkdir()
        shutil.copy(tmp_path / "c.npz", tmp_path / "r/checkpoint.npz")
        assert "its digest does not fit" in mistake("train", "--resume", "--steps", 9, "--out", tmp_path / "r")


class TestBrokenPictures:
    def test_segment_does_the_rest(self, fcn, mistake, trained, tmp_path):
        for name in ("a", "c"):
            Image.fromarray(noise(16, 16)).save(tmp_path / f"{name}.png")
        (tmp_path / "b.png").write_bytes((tmp_path / "a.png").read_bytes()[:60])
        pictures = [tmp_path / f"{name}.png" for name in "abcd"]
        words = ["--weights", trained.checkpoint, "--out", tmp_path / "out"]
        status, out, err = fcn("segment", *pictures, *words)
        assert status == 1
        assert err.startswith(f"fcn: 2 of 4 pictures could not be segmented: {pictures[1]} cannot be read as a picture")
        assert f"there is no file {pictures[3]}" in err
        assert {path.name[0] for path in (tmp_path / "out").iterdir()} == {"a", "c"}
        assert f"{pictures[2]}: 16x16" in out
        shutil.rmtree(tmp_path / "out")
        assert f"{pictures[1]} cannot be read" in mistake("segment", *pictures, *words, "--strict")
        assert {path.name[0] for path in (tmp_path / "out").iterdir()} == {"a"}

    def test_train_and_evaluate_do_the_rest(self, fcn, mistake, folder, tmp_path):
        """One picture of the training and one label of the validation: the run comes to its end, and names both."""
        from fcn_from_scratch import datasets

        splits = [datasets.build("folder", folder, split, 3).pairs for split in ("train", "val")]
        cut, empty = splits[0][1][1], splits[1][0][2]
        cut.write_bytes(cut.read_bytes()[:-60])
        kept = empty.read_bytes()
        words = ["--dataset", "folder", "--root", folder, "--num-classes", 3]
        rest = ["--width", 2, "--batch-size", 2, "--steps", 4, "--out", tmp_path / "r"]
        if len(splits[1]) > 1:
            empty.write_bytes(b"")
        status, out, err = fcn("train", *words, *rest)
        assert status == 1
        assert f"{cut} cannot be read" in err
        assert (f"{empty} cannot be read" in err) == (len(splits[1]) > 1)
        assert "wrote" in out
        assert (tmp_path / "r/metrics.json").exists()
        status, out, err = fcn("evaluate", *words, "--weights", tmp_path / "r/checkpoint.npz", "--split", "train")
        assert (status, f"{cut} cannot be read" in err) == (1, True)
        assert "mean IU" in out
        empty.write_bytes(kept)
        shutil.rmtree(tmp_path / "r")
        assert f"{cut} cannot be read" in mistake("train", *words, *rest, "--strict")

    def test_an_error_after_hours_saves(self, fcn, folder, tmp_path):
        """With --strict, a picture that breaks during the run: the steps before it are saved."""
        words = ["--dataset", "folder", "--root", folder, "--num-classes", 3, "--width", 2, "--batch-size", 1]
        seen = []
        with pytest.MonkeyPatch.context() as patch:
            at_step(patch, 2, lambda: seen.append(files_broken(folder)))
            status, _, err = fcn("train", *words, "--steps", 9, "--strict", "--out", tmp_path / "r")
        assert status == 2
        assert seen
        assert err.count("\n") == 1
        assert f"; step 2 is saved: `fcn train --resume --out {tmp_path / 'r'}` goes on there" in err


def files_broken(folder):
    for path in (folder / "images").iterdir():
        path.write_bytes(b"")
    return True


class TestOutput:
    @posix
    def test_nobody_reads(self, trained, tmp_path):
        """`fcn train | head -1`, and with standard error closed: no file is lost, and the status is 0."""
        words = [*TINY, "--dropout", "0.3", "--steps", "5", "--seed", "3", "--out", str(tmp_path / "r")]
        read, write = os.pipe()
        os.close(read)
        code = subprocess.run([*COMMAND, "train", *words], stdout=write, stderr=write, timeout=300, check=False)
        os.close(write)
        assert code.returncode == 0
        same_run(tmp_path / "r", trained.folder)
        assert sorted(os.listdir(tmp_path / "r")) == sorted(os.listdir(trained.folder))

    @posix
    def test_closed_streams(self, trained, tmp_path):
        words = f"{' '.join(TINY)} --dropout 0.3 --steps 5 --seed 3 --out {tmp_path / 'r'}"
        line = f"{sys.executable} -m fcn_from_scratch train {words} >&- 2>&- <&-"
        assert subprocess.run(["sh", "-c", line], timeout=300, check=False).returncode == 0
        same_run(tmp_path / "r", trained.folder)

    @pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux")
    def test_a_full_disk_for_what_is_printed(self, trained, tmp_path):
        words = ["weights", "--help"]
        Image.fromarray(noise(16, 16)).save(tmp_path / "p.png")
        words = ["segment", tmp_path / "p.png", "--weights", trained.checkpoint, "--out", tmp_path / "o"]
        with open("/dev/full", "w") as full:
            end = subprocess.run(
                [*COMMAND, *map(str, words)], stdout=full, stderr=subprocess.PIPE, text=True, timeout=300, check=False
            )
        assert (end.returncode, end.stderr) == (1, "fcn: standard output: No space left on device\n")
        assert len(os.listdir(tmp_path / "o")) == 4

    def test_it_is_tried_before_the_training(self, fcn, tmp_path, monkeypatch):
        from fcn_from_scratch.cli import train

        sizes = []

        def full(folder, size, count):
            sizes.append((size, count))
            raise OSError(28, "No space left on device", str(folder))

        monkeypatch.setattr(train, "reserve", full)
        status, _, err = fcn("train", *TINY, "--steps", 1, "--out", tmp_path / "r")
        assert (status, err) == (1, f"fcn: {tmp_path / 'r'}: No space left on device\n")
        assert list((tmp_path / "r").iterdir()) == []
        monkeypatch.undo()
        fcn("train", *TINY, "--steps", 1, "--out", tmp_path / "r")
        assert sizes[0][1] == 3
        assert (tmp_path / "r/checkpoint.npz").stat().st_size <= sizes[0][0]

    def test_the_disk_fills_up_during_the_run(self, fcn, done, tmp_path, monkeypatch):
        from fcn_from_scratch.training import log

        real = log.Log.add

        def add(self, row):
            if row.step == 3:
                raise OSError(28, "No space left on device", str(self.path))
            real(self, row)

        with monkeypatch.context() as patch:
            patch.setattr(log.Log, "add", add)
            status, _, err = fcn("train", *TINY, "--steps", 5, "--out", tmp_path / "r")
        assert status == 1
        assert err.startswith(f"fcn: {tmp_path / 'r/log.csv'}: No space left on device; step 3 is saved: `fcn train")
        done("train", "--resume", "--out", tmp_path / "r")
        assert [row[0] for row in log_of(tmp_path / "r")[1:]] == ["1", "2", "3", "4", "5"]


@pytest.mark.skipif(files.fcntl is None, reason="locks of POSIX")
class TestOneWriter:
    @pytest.mark.parametrize("words", [["--resume"], [*TINY, "--steps", 1]])
    def test_the_second_is_refused_by_the_name_of_the_first(self, mistake, trained, tmp_path, words):
        shutil.copytree(trained.folder, tmp_path / "r") if "--resume" in words else (tmp_path / "r").mkdir()
        code = (
            "import sys; from fcn_from_scratch.training.lock import locked\n"
            "with locked(sys.argv[1]):\n    print('ready', flush=True); input()"
        )
        first = subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path / "r")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert first.stdout.readline() == "ready\n"
        before = sorted(os.listdir(tmp_path / "r"))
        line = mistake("train", *words, "--out", tmp_path / "r")
        assert f"{tmp_path / 'r'} is being written by process {first.pid} on" in line
        assert sorted(os.listdir(tmp_path / "r")) == before
        first.kill()
        first.communicate()

    def test_a_run_leaves_no_lock_and_sweeps(self, done, trained, tmp_path):
        shutil.copytree(trained.folder, tmp_path / "r")
        (tmp_path / "r/.losses.png.x.part").write_bytes(b"half")
        (tmp_path / "r/.lock").write_text("process 1 on elsewhere")
        done("train", "--resume", "--steps", 6, "--out", tmp_path / "r")
        assert sorted(os.listdir(tmp_path / "r")) == sorted(os.listdir(trained.folder))


class TestFolders:
    """Somebody removes or moves the run's folder while it trains."""

    WORDS = ("train", *TINY, "--dropout", 0.3, "--seed", 3, "--steps", 5, "--save-seconds", 0)

    @posix
    def test_removed(self, done, trained, tmp_path, monkeypatch):
        """The run makes it again, and ends with all that it would have had."""
        folder = tmp_path / "deep" / "r"
        at_step(monkeypatch, 3, lambda: shutil.rmtree(tmp_path / "deep"))
        done(*self.WORDS, "--out", folder)
        np.testing.assert_equal(arrays_of(folder / "checkpoint.npz"), arrays_of(trained.checkpoint))
        assert log_of(folder) == log_of(trained.folder)
        assert sorted(os.listdir(folder)) == sorted(os.listdir(trained.folder))

    @posix
    def test_moved_and_replaced(self, fcn, done, tmp_path, monkeypatch):
        """What is in the other folder is another run's. The checkpoint is where the folder was moved to."""
        folder, moved = tmp_path / "r", tmp_path / "moved"

        def move():
            folder.rename(moved)
            folder.mkdir()
            (folder / "checkpoint.npz").write_bytes(b"another run's")

        with monkeypatch.context() as patch:
            at_step(patch, 3, move)
            status, _, err = fcn(*self.WORDS, "--out", folder)
        assert status == 2
        assert f"{folder} is another folder now: the one of this run was moved or replaced, with its checkpoint" in err
        assert "goes on there" not in err
        assert os.listdir(folder) == ["checkpoint.npz"]
        assert (folder / "checkpoint.npz").read_bytes() == b"another run's"
        assert "going on at step 2 of 5" in done("train", "--resume", "--out", moved)


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["--lr", "inf"], "lr must be finite; got inf"),
        (["--lr", "nan"], "lr must not be negative; got nan"),
        (["--weight-decay", "inf"], "weight_decay must be finite"),
        (["--val-every", 10**19], "val_every is 10000000000000000000 instead of an integer from 1 to 2^53"),
        (["--seed", 2**130], "seed is"),
    ],
)
def test_what_no_checkpoint_could_hold_is_refused_at_once(mistake, tmp_path, words, part):
    assert part in mistake("train", *TINY, "--steps", 2, *words, "--out", tmp_path / "r")
    assert not list(tmp_path.glob("r/*.npz"))


def test_a_resumed_run_keeps_its_checkpoint_when_an_option_cannot_be_kept(mistake, done, tmp_path):
    done("train", *TINY, "--steps", 2, "--out", tmp_path / "r")
    before = (tmp_path / "r/checkpoint.npz").read_bytes()
    words = ["train", "--resume", "--steps", 3, "--val-every", 10**19, "--out", tmp_path / "r"]
    assert "val_every is 10000000000000000000" in mistake(*words)
    assert (tmp_path / "r/checkpoint.npz").read_bytes() == before
    done("train", "--resume", "--steps", 3, "--out", tmp_path / "r")

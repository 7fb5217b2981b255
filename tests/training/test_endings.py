"""How runs end and what they leave: divergence, errors, signals; the digest, previous.npz, the lock, the leftovers."""

import json
import os
import shutil
import subprocess
import sys
from textwrap import dedent
from types import MappingProxyType

import numpy as np
import pytest
from arrays import refuses

from fcn_from_scratch import datasets, files
from fcn_from_scratch.checks import InputError, UnreadableError
from fcn_from_scratch.training import checkpoint, evaluate_heads, finite, lock
from fcn_from_scratch.training.finite import DivergedError
from fcn_from_scratch.training.readable import Readable


def saving(run, path, **options):
    """Train to step 9 with a checkpoint whenever it may be written."""
    return run.run(9, progress=False, save=lambda: checkpoint.save(path, run), save_seconds=0, **options)


class TestDivergence:
    @pytest.mark.parametrize("lr", [1e30, 1e6, 50.0])
    def test_a_good_checkpoint_stays(self, new_run, tmp_path, lr):
        """The rate jumps after three steps; what is saved has a loss that makes sense, and trains on."""
        run, path = new_run(lr=lambda step: 0.01 if step < 3 else lr), tmp_path / "c.npz"
        with pytest.raises(DivergedError, match=r"learning rate .* is too large for reduction 'mean'\. Try a tenth"):
            saving(run, path)
        rest = new_run(lr=0.001)
        checkpoint.load(path, rest)
        assert rest.steps == 3
        rest.run(5, progress=False)
        assert max(rest.losses) < 5

    def test_the_usual_rate_is_no_divergence(self, new_run, tmp_path):
        assert saving(new_run(), tmp_path / "c.npz").steps == 9

    @pytest.mark.parametrize(("kind", "value"), [("params", np.nan), ("params", np.inf), ("velocity", -np.inf)])
    def test_no_broken_array_is_written(self, new_run, tmp_path, kind, value):
        run = new_run().run(2, progress=False)
        checkpoint.save(tmp_path / "c.npz", run)
        before = (tmp_path / "c.npz").read_bytes()
        owner = run.model.params if kind == "params" else run.optimizer.velocity
        owner["fc7.weight"][1, 2] = value
        with pytest.raises(DivergedError, match=r"fc7.weight \(1 of"):
            checkpoint.save(tmp_path / "c.npz", run)
        assert (tmp_path / "c.npz").read_bytes() == before
        assert os.listdir(tmp_path) == ["c.npz"]

    def test_before_the_first_step_the_rate_is_not_blamed(self, new_run):
        run, rng = new_run(), np.random.default_rng(0)
        for name, array in run.model.params.items():
            if name.startswith("score"):
                array[...] = 1e20 * rng.choice([-1, 1], array.shape)
        with pytest.raises(DivergedError, match=r"no step was taken yet.*1e\+20, is in score") as caught:
            run.run(2, progress=False)
        assert not caught.value.by_rate

    @pytest.mark.parametrize("value", [np.nan, np.inf])
    def test_a_picture_is_blamed(self, given, scenes, new_run, value):
        run = new_run(lr=0.01)
        batches = scenes(2)
        batches[1][0][0, 1, 3, 4] = value
        run.batches = given(batches, np.float32)
        with pytest.raises(DivergedError, match=r"the loss of step 1 is .*: picture 0 of its batch holds numbers"):
            run.run(2, progress=False)

    @pytest.mark.parametrize("name", ["velocity/fc6.weight", "model/score_fr.bias", "losses"])
    def test_what_is_not_finite_cannot_go_on(self, new_run, tmp_path, name):
        """A lower rate would not help: the numbers are in the file."""
        run = new_run().run(2, progress=False)
        checkpoint.save(tmp_path / "c.npz", run)
        arrays = dict(np.load(tmp_path / "c.npz"))
        del arrays["digest"]
        arrays[name].flat[1] = np.nan
        np.savez(tmp_path / "c.npz", **arrays)
        with refuses(f"{tmp_path / 'c.npz'} cannot go on, since not all of its numbers are finite: {name} (1 of"):
            checkpoint.load(tmp_path / "c.npz", new_run())

    def test_scores(self, new_run, tmp_path):
        run = new_run().run(1, progress=False)
        run.model.params["fc6.weight"][0, 0, 0, 0] = np.nan
        with pytest.raises(DivergedError, match=r"the scores of the picture val_000000 are not finite: .*fc6\.weight"):
            evaluate_heads(run.model, datasets.Shapes(2, 32, split="val"))
        assert run.model.training, "the mode is the one before"

    def test_in_words(self):
        arrays = {"a": np.float32([1, np.nan, np.inf]), "b": np.ones(3), "c": np.arange(3), "d": np.float64(np.nan)}
        assert finite.wrong(arrays) == ["a (2 of 3 numbers)", "d (1 of 1 numbers)"]
        assert finite.wrong({"b": arrays["b"], "c": arrays["c"]}) == []


class Stop(BaseException):
    pass


class TestStopped:
    @pytest.mark.parametrize("made", [Stop, KeyboardInterrupt, lambda: UnreadableError("p.png is cut"), MemoryError])
    @pytest.mark.parametrize("when", ["asked", "picture"])
    def test_what_was_done_is_saved(self, new_run, tmp_path, state_of, made, when):
        """Asked to stop within step 5, or a picture of step 5 cannot be read: the state after step 4 goes on alike."""
        error = made()  # here: pytest keeps a parameter, whose traceback would keep the run
        run, whole = new_run(), new_run().run(9, progress=False)
        asked = iter(range(100))
        if when == "picture":
            real = run.batches.samples
            run.batches.samples = lambda places: real(places) if run.steps < 4 else fail(error)
        with pytest.raises(type(error)):
            run.run(
                9,
                progress=False,
                save=lambda: checkpoint.save(tmp_path / "c.npz", run),
                stop=lambda: error if when == "asked" and next(asked) == 4 else None,
            )
        rest = new_run(seed=5)
        checkpoint.load(tmp_path / "c.npz", rest)
        assert rest.steps == 4
        np.testing.assert_equal(state_of(rest.run(9, progress=False)), state_of(whole))

    def test_nothing_is_saved_before_the_first_step(self, new_run, tmp_path):
        with pytest.raises(Stop):
            saving(new_run(), tmp_path / "c.npz", stop=Stop)
        assert os.listdir(tmp_path) == []

    def test_scoring_stops_between_pictures(self, new_run):
        asked = iter([None, None, Stop()])
        with pytest.raises(Stop):
            evaluate_heads(new_run().model, datasets.Shapes(9, 32), stop=lambda: next(asked))


def fail(error):
    raise error


@pytest.fixture
def saved(new_run, tmp_path):
    run = new_run().run(2, progress=False)
    checkpoint.save(tmp_path / "c.npz", run)
    return tmp_path / "c.npz", run


def arrays_in(path):
    with np.load(path) as archive:
        return {name: archive[name] for name in archive.files}


def _swap(arrays):
    """Two arrays of one shape change places: every byte is still there."""
    a, b = "model/conv1_1.bias", "velocity/conv1_1.bias"
    arrays[a], arrays[b] = arrays[b], arrays[a]


def _steps(arrays):
    meta = json.loads(arrays["meta"].tobytes())
    arrays["meta"] = np.frombuffer(json.dumps(meta | {"steps": meta["steps"] + 1}).encode(), np.uint8)


class TestDigest:
    CHANGES = MappingProxyType(
        {
            "one bit": lambda arrays: arrays["model/fc6.weight"].view(np.uint8).reshape(-1).__setitem__(7, 99),
            "a loss": lambda arrays: arrays["losses"].__setitem__(0, 0.5),
            "two arrays change places": _swap,
            "the number of steps": _steps,
            "an array more": lambda arrays: arrays.update(more=np.zeros(3)),
            "an array less": lambda arrays: arrays.pop("velocity/fc7.bias"),
            "another shape": lambda arrays: arrays.update({"model/fc7.bias": arrays["model/fc7.bias"][None]}),
            "another dtype": lambda arrays: arrays.update({"losses": arrays["losses"].astype(np.float32)}),
            "another digest": lambda arrays: arrays.update(digest=np.zeros(32, np.uint8)),
            "no digest at all": lambda arrays: arrays.update(digest=np.zeros(0)),
        }
    )

    @pytest.mark.parametrize("change", CHANGES)
    def test_any_change_is_noticed(self, saved, change):
        path, _ = saved
        arrays = arrays_in(path)
        self.CHANGES[change](arrays)
        np.savez(path, **arrays)
        with refuses("its digest does not fit its content"):
            checkpoint.read(path)

    def test_it_does_not_depend_on_the_archive(self, saved):
        """Packed again by NumPy, with compression and in another order, it is the same checkpoint."""
        path, _ = saved
        np.savez_compressed(path, **dict(reversed(arrays_in(path).items())))
        assert checkpoint.read(path)[1]["steps"] == 2

    def test_old_checkpoints_are_read(self, saved):
        path, _ = saved
        arrays = arrays_in(path)
        del arrays["digest"]
        np.savez(path, **arrays)
        assert checkpoint.read_with_digest(path)[2] is False


class TestPrevious:
    def test_it_is_there_while_the_new_one_is_not_proved(self, saved, monkeypatch):
        path, run = saved
        before, seen = path.read_bytes(), []
        real = checkpoint._read_back
        monkeypatch.setattr(checkpoint, "_read_back", lambda p: (seen.append(sorted(os.listdir(p.parent))), real(p)))
        run.run(3, progress=False)
        old = checkpoint.previous(path)
        monkeypatch.setattr(checkpoint, "_also", lambda a, b: (shutil.copyfile(a, b), seen.append(b.read_bytes())))
        checkpoint.save(path, run)
        assert seen == [before, ["c.npz", "c.previous.npz"]]
        assert not old.exists()
        assert checkpoint.previous(path.with_name("checkpoint.npz")).name == "previous.npz"

    def test_a_file_that_cannot_be_read_back(self, saved, monkeypatch):
        """A disk that gives back other bytes: the old checkpoint is put back, and the error names the file."""
        path, run = saved
        before, real = path.read_bytes(), files.write_atomically

        def rotten(target, write):
            real(target, write)
            content = bytearray(target.read_bytes())
            content[len(content) // 2] ^= 1
            target.write_bytes(content)

        monkeypatch.setattr(checkpoint, "write_atomically", rotten)
        run.run(3, progress=False)
        with pytest.raises(OSError, match="cannot be read back") as caught:
            checkpoint.save(path, run)
        assert caught.value.filename == str(path)
        assert path.read_bytes() == before
        assert os.listdir(path.parent) == [path.name]

    @pytest.mark.parametrize("damage", ["cut", "gone"])
    def test_a_resumed_run_takes_it(self, saved, capsys, damage):
        path, _ = saved
        before = path.read_bytes()
        shutil.copy(path, checkpoint.previous(path))
        path.write_bytes(before[:-9]) if damage == "cut" else path.unlink()
        checkpoint.recover(path)
        assert path.read_bytes() == before
        assert os.listdir(path.parent) == [path.name]
        assert "going on from c.previous.npz" in capsys.readouterr().out

    def test_a_sound_one_needs_it_no_more(self, saved):
        path, _ = saved
        before = path.read_bytes()
        checkpoint.previous(path).write_bytes(b"older")
        checkpoint.recover(path)
        assert path.read_bytes() == before
        assert os.listdir(path.parent) == [path.name]


posix = pytest.mark.skipif(files.fcntl is None, reason="locks of POSIX")


def child(script, **options):
    process = subprocess.Popen(
        [sys.executable, "-c", dedent(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **options
    )
    assert process.stdout.readline() == "ready\n"
    return process


@posix
class TestLock:
    def test_it_names_the_process(self, tmp_path):
        script = f"""
            from fcn_from_scratch.training.lock import locked
            with locked({str(tmp_path)!r}):
                print("ready", flush=True)
                input()
            """
        other = child(script)
        with refuses(f"{tmp_path} is being written by process {other.pid} on "), lock.locked(tmp_path):
            pass
        other.kill()
        other.communicate()
        assert (tmp_path / ".lock").exists(), "kill -9 leaves the file, which is then free"
        with lock.locked(tmp_path), refuses(f"process {os.getpid()} on"), lock.locked(tmp_path):
            pass
        assert os.listdir(tmp_path) == []

    @pytest.mark.parametrize("content", ["", "process 1 on elsewhere", "\0" * 3000])
    def test_a_stale_one_is_taken_over(self, tmp_path, content):
        (tmp_path / ".lock").write_text(content)
        with lock.locked(tmp_path):
            assert (tmp_path / ".lock").read_text().startswith(f"process {os.getpid()} on ")

    @pytest.mark.skipif(os.name != "posix", reason="links and FIFOs of POSIX")
    @pytest.mark.parametrize("make", [os.symlink, os.link, lambda victim, path: os.mkfifo(path)])
    def test_nothing_is_written_through_a_strangers_link(self, tmp_path, make):
        """An unpacked run may hold any file under that name."""
        (tmp_path / "run").mkdir()
        victim = tmp_path / "victim.txt"
        victim.write_text("kept" * 100)
        make(victim, tmp_path / "run" / ".lock")
        with refuses(f"{tmp_path / 'run' / '.lock'} is a link or no regular file"), lock.locked(tmp_path / "run"):
            pass
        assert victim.read_text() == "kept" * 100

    def test_a_folder_that_was_removed_is_made_again(self, tmp_path):
        folder = tmp_path / "a" / "run"
        folder.mkdir(parents=True)
        with lock.locked(folder) as held:
            assert not held.require_folder()
            shutil.rmtree(tmp_path / "a")
            assert held.require_folder()
            with refuses(f"process {os.getpid()} on"), lock.locked(folder):
                pass
            assert not held.require_folder()
        assert os.listdir(folder) == []

    def test_a_folder_that_was_replaced_is_left_alone(self, tmp_path):
        folder = tmp_path / "run"
        folder.mkdir()
        with lock.locked(folder) as held:
            folder.rename(tmp_path / "moved")
            folder.mkdir()
            with lock.locked(folder), refuses(f"{folder} is another folder now"):
                held.require_folder()
            (folder / ".lock").write_text("another's")
        assert (folder / ".lock").read_text() == "another's"

    def test_an_error_inside_gives_it_up(self, tmp_path):
        with pytest.raises(Stop), lock.locked(tmp_path):
            raise Stop
        with lock.locked(tmp_path):
            pass

    def test_leftovers_are_swept_and_files_in_work_are_not(self, tmp_path):
        for name in (".losses.png.abc.part", ".checkpoint.npz.x1.part", ".room.1.part"):
            (tmp_path / name).write_bytes(b"half")
        (tmp_path / "mine.part").write_bytes(b"kept")
        if hasattr(os, "mkfifo"):
            os.mkfifo(tmp_path / ".zz.part")  # nobody writes into it: whoever opened it would wait for ever
        script = f"""
            import pathlib
            from fcn_from_scratch.files import write_atomically
            def write(file):
                print("ready", flush=True)
                input()
                file.write(b"whole")
            write_atomically(pathlib.Path({str(tmp_path)!r}) / "metrics.json", write)
            """
        other = child(script)
        files.sweep(tmp_path)
        left = sorted(set(os.listdir(tmp_path)) - {".zz.part"})
        assert left[-1] == "mine.part"
        assert len(left) == 2
        assert left[0].startswith(".metrics.json.")
        other.communicate("\n", timeout=60)
        assert (tmp_path / "metrics.json").read_bytes() == b"whole"


class TestRoom:
    def test_nothing_is_left(self, tmp_path):
        files.reserve(tmp_path, 100_000, 3)
        assert os.listdir(tmp_path) == []

    @pytest.mark.parametrize("fallocate", [True, False])
    def test_no_room(self, tmp_path, monkeypatch, fallocate):
        resource = pytest.importorskip("resource", reason="limits are POSIX's")
        if not fallocate:
            monkeypatch.delattr(os, "posix_fallocate", raising=False)
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
        try:
            with pytest.raises(OSError, match="File too large") as caught:
                files.reserve(tmp_path, 20_000)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert caught.value.filename == str(tmp_path)
        assert os.listdir(tmp_path) == []

    def test_a_full_disk_names_the_file(self, tmp_path):
        with pytest.raises(OSError, match="No space") as caught:
            files.write_atomically(tmp_path / "a.npz", lambda file: fail(OSError(28, "No space left on device")))
        assert caught.value.filename == str(tmp_path / "a.npz")

    def test_the_folder_is_synced_after_the_rename(self, tmp_path, monkeypatch):
        done = []
        monkeypatch.setattr(files, "sync_folder", lambda folder: done.append((folder, os.listdir(folder))))
        files.write_atomically(tmp_path / "a", lambda file: file.write(b"1"))
        assert done == [(tmp_path, ["a"])]


class Broken(datasets.Shapes):
    """Drawn scenes, some of which cannot be read."""

    bad = ()

    def __getitem__(self, index):
        if index in self.bad:
            raise UnreadableError(f"{index}.png is cut")
        return super().__getitem__(index)


class TestReadable:
    @pytest.fixture
    def scenes(self):
        scenes = Broken(5, 32)
        scenes.bad = (1, 2, 4)
        return Readable(scenes)

    def test_the_next_one_takes_its_place(self, scenes):
        assert [scenes[n].name[-1] for n in range(5)] == ["0", "3", "3", "3", "0"]
        assert sorted(scenes.left_out) == ["1.png is cut", "2.png is cut", "4.png is cut"]
        assert len(scenes) == 5
        assert scenes.num_classes == 6

    def test_each_is_scored_once(self, scenes, new_run):
        model = new_run().model
        whole = evaluate_heads(model, scenes)["semantic"].matrix
        assert whole.sum() == sum((scenes[n].labels != 255).sum() for n in (0, 3))

    def test_none_is_left(self, scenes):
        scenes.dataset.bad = range(5)
        for use in (lambda: scenes[2], lambda: list(scenes.samples())):
            with refuses("none of the 5 pictures can be read: "):
                use()

    def test_other_mistakes_stop(self, scenes):
        scenes.dataset.labels = None
        broken = Readable([])
        broken.dataset = type("D", (), {"__len__": lambda s: 2, "__getitem__": lambda s, n: fail(InputError("id 7"))})()
        with refuses("id 7"):
            broken[0]
